/* scatter.c: writing at places that data names: Scatter, ScatterElements, ScatterND, TensorScatter.
 *
 * The data is copied, then the updates are combined into it in row-major order, so that duplicates
 * have one stated result. Half precision is combined in f32 and rounded once at the end. */
#include <string.h>

#include "ir/ops/ops_common.h"

static Status scatter_combine(const Node *n, Diag *d, Combine *c)
{
    static const char *const name[] = {"none", "add", "mul", "min", "max"};
    const char *s = attr_string(n, "reduction", "none");

    for (int i = 0; i < 5; i++)
        if (strcmp(s, name[i]) == 0) {
            *c = (Combine)i;
            return OK;
        }
    return op_error(n, d, "reduction", "%s: found \"%s\", expected none, add, mul, min or max",
                    n->op->name, s);
}

static int64_t combine_int(Combine c, int64_t a, int64_t x, DType t)
{
    bool less = t == DT_U64 ? (uint64_t)a < (uint64_t)x : a < x;

    switch (c) {
    case COMBINE_SET:
    case COMBINE_PLACE:
        return x;
    case COMBINE_ADD:
        return (int64_t)((uint64_t)a + (uint64_t)x);
    case COMBINE_MUL:
        return (int64_t)((uint64_t)a * (uint64_t)x);
    case COMBINE_MIN:
        return less ? a : x;
    case COMBINE_MAX:
        return less ? x : a;
    }
    return x;
}

static double combine_double(Combine c, double a, double x)
{
    switch (c) {
    case COMBINE_SET:
    case COMBINE_PLACE:
        return x;
    case COMBINE_ADD:
        return a + x;
    case COMBINE_MUL:
        return a * x;
    case COMBINE_MIN:
        return a > x || x != x ? x : a;
    case COMBINE_MAX:
        return a < x || x != x ? x : a;
    }
    return x;
}

static void combine_element(Combine c, Tensor *out, int64_t o, const Tensor *x, int64_t i)
{
    if (c == COMBINE_SET)
        eval_copy_element(out, o, x, i);
    else if (dtype_is_float(out->dtype))
        tensor_set_double(out, o, combine_double(c, tensor_double(out, o), tensor_double(x, i)));
    else
        tensor_set_int(out, o, combine_int(c, tensor_int(out, o), tensor_int(x, i), out->dtype));
}

static Status copy_data(Eval *cx, const Node *n, const Tensor *x, Tensor **out)
{
    TRY(eval_out(cx, n, out, x->dtype, x->rank, x->dim));
    if (x->bytes) memcpy((*out)->data, x->data, x->bytes);
    return OK;
}

/* The kernel: updates (operand 1, of the stage's dims) into data (operand 0) at dst. */
static Status build_scatter(Build *b, const Node *n, const char *label, Combine c, Value *which,
                            const Sx *const *dst, const Sx *guard, int updates, Value **out)
{
    const Type *to = &n->out[0]->type, *from = in_type(n, updates);
    DType t = c == COMBINE_SET ? to->dtype : compute_dtype(to->dtype);
    Value *in[3] = {build_cast(b, n->in[0], t), build_cast(b, n->in[updates], t), which};
    Type type = type_tensor(t, to->rank, to->dim);
    const Sx *own[MAX_RANK], *at[MAX_RANK];
    Node *s;

    if (c != COMBINE_SET && to->dtype == DT_BOOL)
        return op_unsupported(n, b->diag, "a reduction of bool");
    if (b->status != OK) return b->status;
    for (int i = 0; i < from->rank; i++)
        own[i] = sx_index(b->sx, i);
    for (int i = 0; i < to->rank; i++)
        at[i] = dst[i];
    StageOut o = {.dtype = t,
                  .value = sx_at(b, 1, in[1], own),
                  .n_dst = to->rank,
                  .dst = at,
                  .dst_guard = guard,
                  .combine = c,
                  .init = 0};
    Stage stage = {.rank = from->rank,
                   .extent = (Dim *)(uintptr_t)from->dim,
                   .scan_axis = -1,
                   .n_out = 1,
                   .out = &o};
    s = build_stage(b, label, which ? 3 : 2, in, &stage, 1, &type);
    out[0] = s ? build_cast(b, s->out[0], to->dtype) : NULL;
    return b->status;
}

/* ---- ScatterElements ---- */

static Status elements_shapes(Infer *cx, Node *n, int *axis)
{
    const Type *x = in_type(n, 0), *which = in_type(n, 1), *from = in_type(n, 2);

    for (int k = 0; k < 3; k++)
        TRY(infer_ranked(cx, n, k));
    TRY(infer_axis(n, cx->diag, "axis", attr_int(n, "axis", 0), x->rank, axis));
    if (which->rank != x->rank || from->rank != x->rank)
        return op_error(n, cx->diag, "indices", "%s: ranks %d, %d and %d, expected the same",
                        n->op->name, x->rank, which->rank, from->rank);
    for (int i = 0; i < x->rank; i++)
        if (dim_distinct(&cx->module->dims, which->dim[i], from->dim[i]) ||
            (i != *axis && which->dim[i]->lo > x->dim[i]->hi))
            return op_error(n, cx->diag, "indices", "%s: dim %d does not fit", n->op->name, i);
    return OK;
}

static Status infer_scatter_elements(Infer *cx, Node *n)
{
    Combine c;
    int axis;

    TRY(scatter_combine(n, cx->diag, &c));
    TRY(elements_shapes(cx, n, &axis));
    infer_same(cx, n, 0, 0);
    return OK;
}

static Status eval_scatter_elements(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    const Tensor *x = in[0], *which = in[1];
    int64_t index[MAX_RANK] = {0}, stride[MAX_RANK];
    Combine c;
    int axis;

    TRY(scatter_combine(n, cx->diag, &c));
    TRY(infer_axis(n, cx->diag, "axis", attr_int(n, "axis", 0), x->rank, &axis));
    for (int i = 0; i < x->rank; i++)
        if (which->rank != x->rank || in[2]->rank != x->rank || which->dim[i] != in[2]->dim[i] ||
            (i != axis && which->dim[i] > x->dim[i]))
            return op_error(n, cx->diag, "indices", "%s: dim %d does not fit", n->op->name, i);
    TRY(copy_data(cx, n, x, &out[0]));
    eval_strides(x->rank, x->dim, stride);
    for (int64_t u = 0; u < which->count; u++, eval_next(x->rank, which->dim, index)) {
        int64_t k = tensor_int(which, u), at = 0;
        TRY(eval_index(cx, n, x->dim[axis], &k));
        for (int i = 0; i < x->rank; i++)
            at += (i == axis ? k : index[i]) * stride[i];
        combine_element(c, out[0], at, in[2], u);
    }
    return OK;
}

static Status lower_scatter_elements(Build *b, const Node *n, Value **out)
{
    const Type *x = in_type(n, 0), *which = in_type(n, 1), *from = in_type(n, 2);
    const Sx *dst[MAX_RANK], *guard;
    Combine c;
    int axis;

    TRY(lower_movable(b, n, x->dtype));
    TRY(scatter_combine(n, b->diag, &c));
    TRY(infer_axis(n, b->diag, "axis", attr_int(n, "axis", 0), x->rank, &axis));
    for (int i = 0; i < x->rank; i++) {
        dst[i] = sx_index(b->sx, i);
        build_require_equal(b, which->dim[i], from->dim[i]);
    }
    dst[axis] = sx_data_index(b, 2, sx_at(b, 2, n->in[1], dst), x->dim[axis], &guard);
    for (int i = 0; i < x->rank; i++)
        if (i != axis)
            guard = sx_both(b, guard, sx_inside(b, dst[i], x->dim[i], from->rank, from->dim));
    return build_scatter(b, n, "scatter_elements", c, n->in[1], dst, guard, 2, out);
}

/* ---- ScatterND ---- */

static Status nd_shapes(Infer *cx, Node *n, int *depth)
{
    const Type *x = in_type(n, 0), *which = in_type(n, 1), *from = in_type(n, 2);
    Dim last;

    for (int k = 0; k < 3; k++)
        TRY(infer_ranked(cx, n, k));
    if (which->rank < 1) return op_error(n, cx->diag, "indices", "ScatterND: a scalar");
    last = which->dim[which->rank - 1];
    if (!dim_is_const(last)) return op_unsupported(n, cx->diag, "index tuples of open length");
    if (last->value > x->rank)
        return op_error(n, cx->diag, "indices", "ScatterND: tuples of %lld for rank %d",
                        (long long)last->value, x->rank);
    *depth = (int)last->value;
    if (from->rank != which->rank - 1 + x->rank - *depth)
        return op_error(n, cx->diag, "updates", "ScatterND: rank %d, expected %d", from->rank,
                        which->rank - 1 + x->rank - *depth);
    for (int i = 0; i < from->rank; i++) {
        Dim want = i < which->rank - 1 ? which->dim[i] : x->dim[*depth + i - which->rank + 1];
        if (dim_distinct(&cx->module->dims, want, from->dim[i]))
            return op_error(n, cx->diag, "updates", "ScatterND: dim %d does not fit", i);
    }
    return OK;
}

static Status infer_scatter_nd(Infer *cx, Node *n)
{
    Combine c;
    int depth;

    TRY(scatter_combine(n, cx->diag, &c));
    TRY(nd_shapes(cx, n, &depth));
    infer_same(cx, n, 0, 0);
    return OK;
}

static Status eval_scatter_nd(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    const Tensor *x = in[0], *which = in[1];
    int64_t stride[MAX_RANK], inner = 1, depth = which->rank ? which->dim[which->rank - 1] : -1;
    int64_t tuples = 1;
    Combine c;

    TRY(scatter_combine(n, cx->diag, &c));
    if (depth < 0 || depth > x->rank)
        return op_error(n, cx->diag, "indices", "ScatterND: tuples do not fit the data");
    for (int i = (int)depth; i < x->rank; i++)
        inner *= x->dim[i];
    for (int i = 0; i < which->rank - 1; i++)
        tuples *= which->dim[i];
    if (in[2]->count != tuples * inner)
        return op_error(n, cx->diag, "updates", "ScatterND: %lld elements, expected %lld",
                        (long long)in[2]->count, (long long)(tuples * inner));
    TRY(copy_data(cx, n, x, &out[0]));
    eval_strides(x->rank, x->dim, stride);
    for (int64_t t = 0; t < tuples; t++) {
        int64_t at = 0;
        for (int64_t k = 0; k < depth; k++) {
            int64_t v = tensor_int(which, t * depth + k);
            TRY(eval_index(cx, n, x->dim[k], &v));
            at += v * stride[k];
        }
        for (int64_t i = 0; i < inner; i++)
            combine_element(c, out[0], at + i, in[2], t * inner + i);
    }
    return OK;
}

static Status lower_scatter_nd(Build *b, const Node *n, Value **out)
{
    const Type *x = in_type(n, 0), *which = in_type(n, 1), *from = in_type(n, 2);
    const Sx *dst[MAX_RANK], *at[MAX_RANK], *guard = NULL, *one;
    Infer cx = {.module = b->module, .build = b, .diag = b->diag};
    int depth, last = which->rank - 1;
    Combine c;

    TRY(lower_movable(b, n, x->dtype));
    TRY(scatter_combine(n, b->diag, &c));
    TRY(nd_shapes(&cx, (Node *)(uintptr_t)n, &depth));
    for (int i = 0; i < last; i++) {
        at[i] = sx_index(b->sx, i);
        build_require_equal(b, which->dim[i], from->dim[i]);
    }
    for (int k = 0; k < depth; k++) {
        at[last] = sx_i64(b, k);
        dst[k] = sx_data_index(b, 2, sx_at(b, 2, n->in[1], at), x->dim[k], &one);
        guard = sx_both(b, guard, one);
    }
    for (int i = depth; i < x->rank; i++) {
        dst[i] = sx_index(b->sx, last + i - depth);
        guard = sx_both(b, guard, sx_inside(b, dst[i], x->dim[i], from->rank, from->dim));
    }
    return build_scatter(b, n, "scatter_nd", c, n->in[1], dst, guard, 2, out);
}

/* ---- TensorScatter: a cache, written from write_indices[batch] on ---- */

static Status tensor_scatter_axis(const Node *n, Diag *d, int rank, int *axis, bool *circular)
{
    const char *mode = attr_string(n, "mode", "linear");

    *circular = strcmp(mode, "circular") == 0;
    if (!*circular && strcmp(mode, "linear") != 0)
        return op_error(n, d, "mode", "TensorScatter: found \"%s\", expected linear or circular",
                        mode);
    TRY(infer_axis(n, d, "axis", attr_int(n, "axis", -2), rank, axis));
    if (*axis == 0) return op_error(n, d, "axis", "TensorScatter: it may not be the batch");
    return OK;
}

static Status infer_tensor_scatter(Infer *cx, Node *n)
{
    const Type *x = in_type(n, 0), *from = in_type(n, 1);
    bool circular;
    int axis;

    TRY(infer_ranked(cx, n, 0));
    TRY(infer_ranked(cx, n, 1));
    TRY(tensor_scatter_axis(n, cx->diag, x->rank, &axis, &circular));
    if (from->rank != x->rank)
        return op_error(n, cx->diag, "update", "TensorScatter: rank %d, expected %d", from->rank,
                        x->rank);
    for (int i = 0; i < x->rank; i++)
        if (i == axis ? from->dim[i]->lo > x->dim[i]->hi
                      : dim_distinct(&cx->module->dims, from->dim[i], x->dim[i]))
            return op_error(n, cx->diag, "update", "TensorScatter: dim %d does not fit", i);
    if (has_in(n, 2)) {
        TRY(infer_ranked(cx, n, 2));
        if (in_type(n, 2)->rank != 1 ||
            dim_distinct(&cx->module->dims, in_type(n, 2)->dim[0], x->dim[0]))
            return op_error(n, cx->diag, "write_indices", "TensorScatter: not one for each batch");
    }
    infer_same(cx, n, 0, 0);
    return OK;
}

static Status eval_tensor_scatter(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    const Tensor *x = in[0], *from = in[1], *which = n->n_in > 2 ? in[2] : NULL;
    int64_t index[MAX_RANK] = {0}, stride[MAX_RANK];
    bool circular;
    int axis;

    TRY(tensor_scatter_axis(n, cx->diag, x->rank, &axis, &circular));
    for (int i = 0; i < x->rank; i++)
        if (from->rank != x->rank ||
            (i == axis ? from->dim[i] > x->dim[i] : from->dim[i] != x->dim[i]))
            return op_error(n, cx->diag, "update", "TensorScatter: dim %d does not fit", i);
    if (which && which->count != x->dim[0])
        return op_error(n, cx->diag, "write_indices", "TensorScatter: not one for each batch");
    TRY(copy_data(cx, n, x, &out[0]));
    eval_strides(x->rank, x->dim, stride);
    for (int64_t u = 0; u < from->count; u++, eval_next(x->rank, from->dim, index)) {
        int64_t first = which ? tensor_int(which, index[0]) : 0, at = 0, extent = x->dim[axis];
        if (circular) first = (first % extent + extent) % extent;
        if (first < 0 || first > extent || (!circular && first + index[axis] >= extent))
            return op_error(n, cx->diag, "write_indices", "TensorScatter: %lld is out of range",
                            (long long)first);
        for (int i = 0; i < x->rank; i++)
            at += (i == axis ? (first + index[axis]) % extent : index[i]) * stride[i];
        eval_copy_element(out[0], at, from, u);
    }
    return OK;
}

static Status lower_tensor_scatter(Build *b, const Node *n, Value **out)
{
    const Type *x = in_type(n, 0), *from = in_type(n, 1);
    SxTable *t = b->sx;
    const Sx *dst[MAX_RANK], *guard, *zero = sx_i64(b, 0), *extent, *low;
    Value *which = has_in(n, 2) ? n->in[2] : NULL;
    bool circular;
    int axis;

    TRY(lower_movable(b, n, x->dtype));
    TRY(tensor_scatter_axis(n, b->diag, x->rank, &axis, &circular));
    for (int i = 0; i < x->rank; i++) {
        dst[i] = sx_index(t, i);
        if (i != axis) build_require_equal(b, from->dim[i], x->dim[i]);
    }
    if (which) build_require_equal(b, which->type.dim[0], x->dim[0]);
    extent = sx_dim(t, x->dim[axis]);
    if (which) dst[axis] = sx_add(t, sx_at(b, 2, which, &dst[0]), dst[axis]);
    if (circular) dst[axis] = sx_floor_mod(t, dst[axis], extent);
    low = sx_le(t, zero, dst[axis]);
    if (circular) {
        guard = sx_and(t, low, sx_lt(t, dst[axis], extent));
    } else if (which) { /* a negative place is an error here, not one from the end */
        dst[axis] = sx_check(t, 2, sx_select(t, low, dst[axis], extent), extent);
        guard = sx_le(t, zero, dst[axis]);
    } else {
        guard = sx_inside(b, dst[axis], x->dim[axis], from->rank, from->dim);
    }
    return build_scatter(b, n, "tensor_scatter", COMBINE_SET, which, dst, guard, 1, out);
}

/* ---- the table ---- */

#define T_INDEX (DT_BIT(DT_I32) | DT_BIT(DT_I64))
#define PORT_T(n)                                                                                  \
    {                                                                                              \
        .name = n, .types = T_ANY, .var = "T"                                                      \
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
#define ROW(f) .infer = infer_##f, .eval = eval_##f, .lower = lower_##f, .traits = OP_PURE

const OpDef scatter_ops[] = {
    {.name = "ScatterElements",
     .since = 18,
     .about = "data with elements replaced, by index",
     IN(PORT_T("data"), {.name = "indices", .types = T_INDEX}, PORT_T("updates")),
     .out = OUT_T("output"),
     ATTRS(ATTR_I("axis", 0), ATTR_S("reduction", "none")),
     ROW(scatter_elements)},
    {.name = "Scatter",
     .since = 11,
     .about = "the former name of ScatterElements",
     IN(PORT_T("data"), {.name = "indices", .types = T_INDEX}, PORT_T("updates")),
     .out = OUT_T("output"),
     ATTRS(ATTR_I("axis", 0)),
     ROW(scatter_elements)},
    {.name = "ScatterND",
     .since = 18,
     .about = "data with slices replaced, by index tuples",
     IN(PORT_T("data"), {.name = "indices", .types = DT_BIT(DT_I64)}, PORT_T("updates")),
     .out = OUT_T("output"),
     ATTRS(ATTR_S("reduction", "none")),
     ROW(scatter_nd)},
    {.name = "TensorScatter",
     .since = 24,
     .about = "a cache with new rows written",
     IN(PORT_T("past_cache"), PORT_T("update"),
        {.name = "write_indices", .types = DT_BIT(DT_I64), .optional = true}),
     .out = OUT_T("present_cache"),
     ATTRS(ATTR_S("mode", "linear"), ATTR_I("axis", -2)),
     ROW(tensor_scatter)},
    {0},
};
