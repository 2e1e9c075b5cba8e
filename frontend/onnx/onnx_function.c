/* onnx_function.c: functions of the model, inlined at each call.
 *
 * Values are no names here, so a body needs no renaming: it is imported in a scope of its own,
 * where the names of its inputs are the values of the call. A function that calls itself, on
 * whatever way, is an error; how far calls within calls may grow is bounded by the limit on nodes.
 */
#include <string.h>

#include "frontend/onnx/onnx_import.h"

static const char *function_key(Importer *im, const char *domain, const char *name,
                                const char *overload)
{
    return arena_printf(im->scratch, "%s\n%s\n%s", plain_domain_of(domain), name ? name : "",
                        overload ? overload : "");
}

Status functions_init(Importer *im)
{
    const Onnx__ModelProto *m = im->proto;

    map_init(&im->functions, im->scratch, true);
    for (size_t i = 0; i < m->n_functions; i++) {
        Onnx__FunctionProto *f = m->functions[i];
        const char *key = function_key(im, f->domain, f->name, f->overload);
        if (map_has(&im->functions, key))
            return diag(im->diag, ERR_MODEL, (Where){.file = im->module->file, .node = f->name},
                        "the function is defined twice");
        map_set(&im->functions, key, f);
    }
    return OK;
}

const Onnx__FunctionProto *function_find(Importer *im, const char *domain, const char *name,
                                         const char *overload)
{
    if (im->functions.count == 0) return NULL;
    return map_get(&im->functions, function_key(im, domain, name, overload));
}

static Status check_call(Importer *im, const Onnx__FunctionProto *f, const Origin *origin,
                         const Onnx__NodeProto *call, const Code *code)
{
    Where where = {.file = origin->file, .node = origin->node, .index = origin->index};

    for (const Code *c = code; c; c = c->caller)
        if (c->function == f)
            return diag(im->diag, ERR_MODEL, where, "the function %s calls itself", f->name);
    if (im->depth >= im->options->max_depth)
        return diag(im->diag, ERR_LIMIT, where, "graphs and functions are nested deeper than %d",
                    im->options->max_depth);
    if (call->n_input > f->n_input || call->n_output > f->n_output)
        return diag(im->diag, ERR_MODEL, where,
                    "%zu inputs and %zu outputs, the function %s has %zu and %zu", call->n_input,
                    call->n_output, f->name, f->n_input, f->n_output);
    return OK;
}

/* The attributes of the call, each followed to where it was written. */
static Status bind_attributes(Importer *im, const Onnx__NodeProto *call, const Scope *scope,
                              const Code *code, Code *body)
{
    Actual *actual = arena_try(im->scratch, call->n_attribute, sizeof *actual);

    if (!actual) return import_limits(im);
    body->actual = actual;
    for (size_t i = 0; i < call->n_attribute; i++) {
        Actual a = {call->attribute[i]->name, call->attribute[i], code, scope};
        if (!a.name || !attr_actual(&a.code, &a.scope, &a.proto)) continue;
        actual[body->n_actual++] = a;
    }
    return OK;
}

static Status bind_inputs(Importer *im, const Onnx__FunctionProto *f, int n_in, Value *const *in,
                          Scope *scope, Where where)
{
    for (size_t i = 0; i < f->n_input; i++) {
        Value *v = i < (size_t)n_in ? in[i] : NULL;
        TRY(import_define(im, scope, f->input[i], v ? v : im->absent, where));
    }
    return OK;
}

Status import_call(Importer *im, Region *r, const Onnx__FunctionProto *f,
                   const Onnx__NodeProto *call, const Origin *origin, int n_in, Value *const *in,
                   const Scope *scope, const Code *code, Value **out)
{
    Where where = {.file = origin->file, .node = origin->node, .index = origin->index};
    Code *body = ARENA_NEW(im->scratch, Code);
    Scope *inner = scope_new(im, NULL);

    TRY(check_call(im, f, origin, call, code));
    *body = (Code){.n_opset = f->n_opset_import,
                   .opset = f->opset_import,
                   .model = code->model ? code->model : code,
                   .function = f,
                   .caller = code};
    body->prefix = arena_printf(im->arena, "%s/", origin->node);
    if (!body->prefix) return import_limits(im);
    TRY(bind_attributes(im, call, scope, code, body));
    TRY(bind_inputs(im, f, n_in, in, inner, where));
    im->depth++;
    Status s = import_nodes(im, r, f->n_node, f->node, inner, body, f->n_output,
                            (const char *const *)f->output);
    im->depth--;
    TRY(s);
    for (size_t i = 0; i < call->n_output; i++) {
        Value *v = scope_find(inner, f->output[i]);
        if (!v || v == im->absent)
            return diag(im->diag, ERR_MODEL, where, "the function %s does not define its output %s",
                        f->name, f->output[i]);
        out[i] = v;
    }
    return OK;
}
