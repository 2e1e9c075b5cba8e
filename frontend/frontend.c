/* frontend.c: which reader for these bytes. ONNX has no magic number, and it is the only format of
 * models so far, so everything is read as ONNX, whose reader says what is wrong. */
#include "frontend/frontend.h"

#include <string.h>

#include "frontend/onnx/onnx.h"
#include "support/checked.h"

enum { DEPTH_DEFAULT = 64, DEPTH_MAX = 256, NODES_DEFAULT = 4000000 };

static const size_t memory_base = (size_t)64 << 20;

static FrontendOptions with_defaults(const FrontendOptions *o, size_t size)
{
    FrontendOptions all = o ? *o : (FrontendOptions){0};

    if (all.max_depth <= 0) all.max_depth = DEPTH_DEFAULT;
    if (all.max_depth > DEPTH_MAX) all.max_depth = DEPTH_MAX; /* readers recurse that far */
    if (all.max_nodes <= 0) all.max_nodes = NODES_DEFAULT;
    if (all.memory_limit == 0 && !checked_add(memory_base, size, &all.memory_limit))
        all.memory_limit = SIZE_MAX / 2;
    return all;
}

static Status load(const void *bytes, size_t size, const char *path, const FrontendOptions *o,
                   Arena *arena, Loaded *out, Diag *d)
{
    FrontendOptions all = with_defaults(o, size);

    return onnx_load(bytes, size, path, &all, arena, out, d);
}

Status frontend_load_bytes(const void *bytes, size_t size, const char *path,
                           const FrontendOptions *o, Arena *arena, Loaded *out, Diag *d)
{
    *out = (Loaded){0};
    Status s = load(bytes, size, path, o, arena, out, d);
    if (s != OK) frontend_close(out);
    return s;
}

Status frontend_load(const char *path, const FrontendOptions *o, Arena *arena, Loaded *out, Diag *d)
{
    *out = (Loaded){0};
    TRY(file_read(path, &out->bytes, d));
    Status s = load(out->bytes.data, out->bytes.size, path, o, arena, out, d);
    if (s != OK) frontend_close(out);
    return s;
}

void frontend_close(Loaded *l)
{
    for (int i = 0; i < l->n_external; i++)
        file_close(&l->external[i]);
    if (l->bytes.data) file_close(&l->bytes);
    *l = (Loaded){0};
}
