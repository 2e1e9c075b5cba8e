/* onnx_gradient.c: the operator Gradient (ai.onnx.preview.training): derivatives of one value of
 * the graph by others, which it names. */
#include <string.h>

#include "frontend/onnx/onnx_import.h"
#include "ir/gradient.h"

bool gradient_named(const char *domain, const char *op)
{
    return strcmp(domain, "ai.onnx.preview.training") == 0 && strcmp(op, "Gradient") == 0;
}

static Status wrong(Importer *im, const Draft *x, const char *attr, const char *text)
{
    return diag(im->diag, ERR_MODEL,
                (Where){.file = im->module->file,
                        .node = *x->origin->node ? x->origin->node : x->origin->op,
                        .attr = attr,
                        .index = x->origin->index},
                "Gradient: %s", text);
}

static bool is_float_tensor(const Value *v)
{
    return v->type.kind == TYPE_TENSOR && v->type.rank >= 0 && dtype_is_float(v->type.dtype);
}

/* The inputs are the values that the attribute names, in the same order. */
static Status check_named(Importer *im, const Draft *x, const Attr *names, const char *name,
                          int first, const Scope *scope)
{
    for (int i = 0; names && i < names->n; i++) {
        const Value *v = scope_find(scope, names->strings[i].s);
        if (first + i >= x->n_in || !x->in[first + i])
            return wrong(im, x, name, "found fewer inputs than names");
        if (v != x->in[first + i])
            return draft_unsupported(im, x, "inputs that are not the values it names");
    }
    return OK;
}

Status import_gradient(Importer *im, Draft *x, const Scope *scope, Value **out)
{
    const Attr *xs = draft_attr(x, "xs"), *zs = draft_attr(x, "zs"), *y = draft_attr(x, "y");
    Value *value, **all;

    if (!xs || xs->kind != ATTR_STRINGS || xs->n < 1)
        return wrong(im, x, "xs", "needs the names of what the derivatives are by");
    if (!y || y->kind != ATTR_STRING) return wrong(im, x, "y", "needs the name of a value");
    if (x->n_out > xs->n) return wrong(im, x, "xs", "found more outputs than names");
    TRY(check_named(im, x, xs, "xs", 0, scope));
    TRY(check_named(im, x, zs, "zs", xs->n, scope));
    value = scope_find(scope, y->s.s);
    if (!value || value == im->poison)
        return wrong(im, x, "y", "the value is not defined in front of this node");
    for (int i = 0; i < xs->n; i++)
        if (!is_float_tensor(x->in[i]))
            return wrong(im, x, "xs", "derivatives are by tensors of floats of known rank");
    if (!is_float_tensor(value))
        return wrong(im, x, "y", "derivatives are of tensors of floats of known rank");
    all = arena_try(im->scratch, (size_t)xs->n, sizeof *all);
    if (!all) return import_limits(im);
    TRY(gradient_build(x->build, value, xs->n, x->in, all));
    for (int i = 0; i < x->n_out; i++)
        out[i] = all[i];
    return OK;
}
