/* join.c: pieces and wholes along an axis: Concat, Split. */
#include <string.h>

#include "ir/ops/ops_common.h"
#include "support/checked.h"

/* ---- Concat ---- */

static Status infer_concat(Infer *cx, Node *n)
{
    DimTable *t = &cx->module->dims;
    const Type *first = in_type(n, 0);
    Dim dims[MAX_RANK];
    int axis, count = 0;

    for (int k = 0; k < n->n_in; k++) {
        TRY(infer_ranked(cx, n, k));
        if (in_type(n, k)->rank != first->rank)
            return op_error(n, cx->diag, NULL, "Concat: input %d has rank %d, input 0 rank %d", k,
                            in_type(n, k)->rank, first->rank);
    }
    TRY(infer_axis(n, cx->diag, "axis", attr_int(n, "axis", 0), first->rank, &axis));
    for (int i = 0; i < first->rank; i++)
        dims[i] = first->dim[i];
    for (int k = 1; k < n->n_in; k++)
        for (int i = 0; i < first->rank; i++) {
            Dim d = in_type(n, k)->dim[i];
            if (i == axis)
                dims[i] = dim_add(t, dims[i], d);
            else if (dim_distinct(t, dims[i], d))
                return op_error(n, cx->diag, NULL, "Concat: dim %d of input %d differs", i, k);
            else if (dim_is_const(d))
                dims[i] = d;
        }
    infer_out(cx, n, 0, first->dtype, first->rank, dims);
    if (first->rank != 1 || !dim_is_const(dims[0]) || dims[0]->value > 1024) return OK;
    Dim *all = ARENA_ARRAY(cx->module->arena, Dim, dims[0]->value);
    for (int k = 0; k < n->n_in; k++) {
        int more;
        const Dim *x = contents_of(cx, n->in[k], &more);
        if (!x) return OK;
        for (int i = 0; i < more; i++)
            all[count++] = x[i];
    }
    infer_contents(cx, n, 0, count, all);
    return OK;
}

static Status eval_concat(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    int64_t dims[MAX_RANK], outer = 1, inner = dtype_bytes(in[0]->dtype), at = 0;
    int axis;

    TRY(infer_axis(n, cx->diag, "axis", attr_int(n, "axis", 0), in[0]->rank, &axis));
    for (int i = 0; i < in[0]->rank; i++) {
        dims[i] = in[0]->dim[i];
        if (i < axis) outer *= dims[i];
        if (i > axis) inner *= dims[i];
    }
    for (int k = 1; k < n->n_in; k++)
        for (int i = 0; i < in[0]->rank; i++) {
            if (in[k]->rank != in[0]->rank || (i != axis && in[k]->dim[i] != dims[i]))
                return op_error(n, cx->diag, NULL, "Concat: input %d does not fit", k);
            if (i == axis && !checked_add_i64(dims[i], in[k]->dim[i], &dims[i]))
                return op_error(n, cx->diag, NULL, "Concat: the result is too large");
        }
    TRY(eval_out(cx, n, &out[0], in[0]->dtype, in[0]->rank, dims));
    for (int64_t o = 0; o < outer && out[0]->count; o++)
        for (int k = 0; k < n->n_in; k++) {
            int64_t piece = in[k]->dim[axis] * inner;
            if (piece)
                memcpy((char *)out[0]->data + at, (const char *)in[k]->data + o * piece,
                       (size_t)piece);
            at += piece;
        }
    return OK;
}

static Status lower_concat(Build *b, const Node *n, Value **out)
{
    const Type *to = &n->out[0]->type;
    Value **in = ARENA_ARRAY(b->module->arena, Value *, n->n_in);
    int axis, count = 0;

    TRY(lower_movable(b, n, to->dtype));
    TRY(infer_axis(n, b->diag, "axis", attr_int(n, "axis", 0), to->rank, &axis));
    for (int k = 0; k < n->n_in; k++) {
        const Type *x = in_type(n, k);
        for (int i = 0; i < to->rank; i++)
            if (i != axis) build_require_equal(b, x->dim[i], to->dim[i]);
        if (!dim_is(x->dim[axis], 0)) in[count++] = n->in[k];
    }
    out[0] = count ? build_concat(b, count, in, axis) : n->in[0];
    if (out[0]) out[0] = build_reshape(b, out[0], to->rank, to->dim);
    return b->status;
}

/* ---- Split ---- */

/* Where output k begins and how long it is. */
static Status split_parts(Infer *cx, Node *n, int *axis, Dim *start, Dim *size)
{
    DimTable *t = &cx->module->dims;
    const Dim *asked;
    int count;
    Dim d, chunk, sum = dim_const(t, 0);

    TRY(infer_ranked(cx, n, 0));
    TRY(infer_axis(n, cx->diag, "axis", attr_int(n, "axis", 0), in_type(n, 0)->rank, axis));
    d = in_type(n, 0)->dim[*axis];
    TRY(infer_elements(cx, n, 1, 0, DIM_TOP, &asked, &count));
    if (asked && count != n->n_out)
        return op_error(n, cx->diag, "split", "Split: %d sizes for %d outputs", count, n->n_out);
    if (!asked && attr_int(n, "num_outputs", n->n_out) != n->n_out)
        return op_error(n, cx->diag, "num_outputs", "Split: it says %lld, but there are %d",
                        (long long)attr_int(n, "num_outputs", 0), n->n_out);
    chunk = dim_ceil_div(t, d, dim_const(t, n->n_out));
    for (int k = 0; k < n->n_out; k++) {
        start[k] = sum;
        if (asked)
            size[k] = asked[k];
        else if (dim_is_const(d))
            size[k] = dim_max(t, dim_min(t, chunk, dim_sub(t, d, sum)), dim_const(t, 0));
        else
            size[k] = k + 1 < n->n_out ? chunk : dim_sub(t, d, sum);
        sum = dim_add(t, sum, size[k]);
    }
    if (dim_distinct(t, sum, d))
        return op_error(n, cx->diag, "split", "Split: the sizes do not add up to the axis");
    return OK;
}

static Status infer_split(Infer *cx, Node *n)
{
    Dim *start = ARENA_ARRAY(cx->module->arena, Dim, n->n_out);
    Dim *size = ARENA_ARRAY(cx->module->arena, Dim, n->n_out);
    Dim dims[MAX_RANK];
    int axis, count;
    const Dim *x = contents_of(cx, n->in[0], &count);

    TRY(split_parts(cx, n, &axis, start, size));
    for (int i = 0; i < in_type(n, 0)->rank; i++)
        dims[i] = in_type(n, 0)->dim[i];
    for (int k = 0; k < n->n_out; k++) {
        dims[axis] = size[k];
        infer_out(cx, n, k, in_type(n, 0)->dtype, in_type(n, 0)->rank, dims);
        if (x && dim_is_const(start[k]) && dim_is_const(size[k]))
            infer_contents(cx, n, k, (int)size[k]->value, x + start[k]->value);
    }
    return OK;
}

static Status eval_split(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    const Tensor *x = in[0], *asked = n->n_in > 1 ? in[1] : NULL;
    int64_t dims[MAX_RANK], stride[MAX_RANK], at = 0, chunk;
    int axis;

    TRY(infer_axis(n, cx->diag, "axis", attr_int(n, "axis", 0), x->rank, &axis));
    if (asked && asked->count != n->n_out)
        return op_error(n, cx->diag, "split", "Split: not one size for each output");
    eval_strides(x->rank, x->dim, stride);
    for (int i = 0; i < x->rank; i++)
        dims[i] = x->dim[i];
    chunk = (x->dim[axis] + n->n_out - 1) / n->n_out;
    for (int k = 0; k < n->n_out; k++) {
        int64_t left = x->dim[axis] - at;
        dims[axis] = asked ? tensor_int(asked, k) : left < chunk ? left : chunk;
        if (dims[axis] < 0 || dims[axis] > left ||
            (asked && k + 1 == n->n_out && dims[axis] != left))
            return op_error(n, cx->diag, "split", "Split: the sizes do not add up to the axis");
        if (n->out[k]) {
            TRY(eval_out(cx, n, &out[k], x->dtype, x->rank, dims));
            eval_copy_strided(out[k], x, at * stride[axis], stride);
        }
        at += dims[axis];
    }
    return OK;
}

static Status lower_split(Build *b, const Node *n, Value **out)
{
    const Type *x = in_type(n, 0);
    Infer cx = {.module = b->module, .build = b, .diag = b->diag};
    Dim *start = ARENA_ARRAY(b->module->arena, Dim, n->n_out);
    Dim *size = ARENA_ARRAY(b->module->arena, Dim, n->n_out);
    Dim sum = dim_const(b->dims, 0);
    int axis;

    TRY(lower_movable(b, n, x->dtype));
    TRY(split_parts(&cx, (Node *)(uintptr_t)n, &axis, start, size));
    for (int k = 0; k < n->n_out; k++)
        sum = dim_add(b->dims, sum, size[k]);
    build_require_equal(b, sum, x->dim[axis]);
    for (int k = 0; k < n->n_out; k++) {
        const Type *to = n->out[k] ? &n->out[k]->type : NULL;
        const Sx *idx[MAX_RANK];

        if (!to) continue;
        for (int i = 0; i < x->rank; i++)
            idx[i] = sx_index(b->sx, i);
        idx[axis] = sx_add(b->sx, idx[axis], sx_dim(b->sx, start[k]));
        out[k] = n->n_out == 1 ? n->in[0]
                               : build_map(b, "split", 1, n->in, to->dtype, to->rank, to->dim,
                                           sx_at(b, 0, n->in[0], idx));
    }
    return b->status;
}

/* ---- the table ---- */

#define PORT(n)                                                                                    \
    {                                                                                              \
        .name = n, .types = T_ANY, .var = "T"                                                      \
    }
#define PORT_INT(n)                                                                                \
    {                                                                                              \
        .name = n, .types = DT_BIT(DT_I64)                                                         \
    }
#define IN(...)                                                                                    \
    .in = (const PortDef[])                                                                        \
    {                                                                                              \
        __VA_ARGS__,                                                                               \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }
#define ATTRS(...)                                                                                 \
    .attr = (const AttrDef[])                                                                      \
    {                                                                                              \
        __VA_ARGS__,                                                                               \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }
#define ROW(f) .infer = infer_##f, .eval = eval_##f, .quant = QUANT_MOVE
#define VIEW   OP_PURE | OP_VIEW

const OpDef join_ops[] = {
    {.name = "Concat",
     .since = 13,
     .about = "one after the other along an axis",
     IN({.name = "inputs", .types = T_ANY, .var = "T", .variadic = true}),
     .out = OUT_T("concat_result"),
     ATTRS(ATTR_REQ("axis", ATTR_INT)),
     .infer = infer_concat,
     .eval = eval_concat,
     .quant = QUANT_RESCALE,
     .lower = lower_concat,
     .traits = OP_PURE},
    {.name = "Split",
     .since = 18,
     .about = "pieces along an axis",
     IN(PORT("input"), {.name = "split", .types = DT_BIT(DT_I64), .optional = true}),
     .out =
         (const PortDef[]){{.name = "outputs", .types = T_ANY, .var = "T", .variadic = true}, {0}},
     ATTRS(ATTR_I("axis", 0), ATTR_OPT("num_outputs", ATTR_INT)),
     ROW(split),
     .lower = lower_split,
     .traits = VIEW},
    {0},
};
