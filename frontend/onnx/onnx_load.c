/* onnx_load.c: bytes of an ONNX file to a module: scan, decode, import. */
#include "frontend/onnx/onnx.h"

#include "frontend/onnx/onnx_import.h"

static Status import_decoded(const OnnxWire *wire, const char *path, const FrontendOptions *o,
                             Arena *arena, Arena *scratch, Loaded *out, Diag *d)
{
    Importer im = {.arena = arena,
                   .scratch = scratch,
                   .diag = d,
                   .options = o,
                   .proto = wire->model,
                   .max_nodes = o->max_nodes,
                   .arena_start = arena_used(arena)};

    if (__builtin_add_overflow(o->memory_limit, wire->payload, &im.memory_limit))
        im.memory_limit = SIZE_MAX / 2;
    out->module = im.module = module_new(arena, path);
    im.poison = ARENA_NEW(scratch, Value);
    im.absent = ARENA_NEW(scratch, Value);
    map_init(&im.attributes, scratch, false);
    map_init(&im.asked, scratch, false);
    map_init(&im.answers, scratch, false);
    tensor_source_init(&im.tensors, wire, arena, path, o, out, d);
    return import_model(&im);
}

Status onnx_load(const void *bytes, size_t size, const char *path, const FrontendOptions *o,
                 Arena *arena, Loaded *out, Diag *d)
{
    WireLimits limits = {.memory = o->memory_limit, .depth = o->max_depth, .nodes = o->max_nodes};
    Arena *scratch = arena_new(o->memory_limit);
    OnnxWire wire;

    if (!scratch) return diag(d, ERR_LIMIT, (Where){.file = path}, "no memory left");
    Status s = wire_decode(bytes, size, path, &limits, scratch, &wire, d);
    if (s == OK) s = import_decoded(&wire, path, o, arena, scratch, out, d);
    arena_free(scratch);
    return s;
}
