/* index.c: reading at places that data names: Gather, GatherElements, GatherND,
 * OneHot, ArrayFeatureExtractor.
 *
 * Every index that comes from data is checked (SX_CHECK): out of range is a data error, and the
 * load does not happen. */
#include <string.h>

#include "ir/ops/ops_common.h"

static void own_index(Build *b, int rank, const Sx **idx)
{
    for (int i = 0; i < rank; i++)
        idx[i] = sx_index(b->sx, i);
}

/* ---- Gather ---- */

static Status gather_axis(const Node *n, Diag *d, int rank, int *axis)
{
    return infer_axis(n, d, "axis", attr_int(n, "axis", 0), rank, axis);
}

/* Constant indices into known contents. */
static void gather_contents(Infer *cx, Node *n)
{
    const int64_t *which;
    int count, have;
    const Dim *x = contents_of(cx, n->in[0], &have);
    Dim *all;

    if (!x || in_type(n, 0)->rank != 1 || in_type(n, 1)->rank > 1) return;
    if (!const_ints(n->in[1], cx->module->arena, &which, &count)) return;
    all = ARENA_ARRAY(cx->module->arena, Dim, count);
    for (int i = 0; i < count; i++) {
        int64_t k = which[i] < 0 ? which[i] + have : which[i];
        if (k < 0 || k >= have) return;
        all[i] = x[k];
    }
    infer_contents(cx, n, 0, count, all);
}

/* Indices known now are checked now. */
static Status gather_check(Infer *cx, const Node *n, Dim extent)
{
    const int64_t *which;
    int count;

    if (!dim_is_const(extent) || !const_ints(n->in[1], cx->module->arena, &which, &count))
        return OK;
    for (int i = 0; i < count; i++)
        if (which[i] < -extent->value || which[i] >= extent->value)
            return op_error(n, cx->diag, "indices",
                            "%s: index %lld is out of range for an axis of %lld", n->op->name,
                            (long long)which[i], (long long)extent->value);
    return OK;
}

static Status infer_gather(Infer *cx, Node *n)
{
    const Type *x, *which;
    Dim dims[2 * MAX_RANK];
    int axis, rank = 0;

    TRY(infer_ranked(cx, n, 0));
    TRY(infer_ranked(cx, n, 1));
    x = in_type(n, 0);
    which = in_type(n, 1);
    TRY(gather_axis(n, cx->diag, x->rank, &axis));
    TRY(gather_check(cx, n, x->dim[axis]));
    for (int i = 0; i < x->rank; i++) {
        if (i != axis) {
            dims[rank++] = x->dim[i];
            continue;
        }
        for (int k = 0; k < which->rank; k++)
            dims[rank++] = which->dim[k];
    }
    if (rank > MAX_RANK) return op_error(n, cx->diag, NULL, "Gather: the rank would be %d", rank);
    infer_out(cx, n, 0, x->dtype, rank, dims);
    gather_contents(cx, n);
    return OK;
}

static Status eval_gather(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    const Tensor *x = in[0], *which = in[1];
    int64_t dims[2 * MAX_RANK], outer = 1, inner = 1, o = 0;
    int axis, rank = 0;

    TRY(gather_axis(n, cx->diag, x->rank, &axis));
    for (int i = 0; i < x->rank; i++) {
        if (i < axis) outer *= x->dim[i];
        if (i > axis) inner *= x->dim[i];
        if (i != axis) dims[rank++] = x->dim[i];
        for (int k = 0; i == axis && k < which->rank; k++)
            dims[rank++] = which->dim[k];
    }
    TRY(eval_out(cx, n, &out[0], x->dtype, rank, dims));
    for (int64_t a = 0; a < outer; a++)
        for (int64_t k = 0; k < which->count; k++) {
            int64_t at = tensor_int(which, k);
            TRY(eval_index(cx, n, x->dim[axis], &at));
            for (int64_t c = 0; c < inner; c++)
                eval_copy_element(out[0], o++, x, (a * x->dim[axis] + at) * inner + c);
        }
    return OK;
}

/* All indices are constants that need no check: not negative, in range. */
static bool indices_plain(Build *b, const Value *v, Dim extent)
{
    const int64_t *which;
    int count;

    if (!const_ints(v, b->module->arena, &which, &count)) return false;
    for (int i = 0; i < count; i++)
        if (which[i] < 0 || which[i] >= extent->lo) return false;
    return true;
}

/* The place on an axis that element idx of operand `src` names, with its guard (NULL: always). */
static const Sx *named_place(Build *b, int src, const Value *v, const Sx *const *idx, Dim extent,
                             const Sx **guard)
{
    const Sx *e = sx_at(b, src, v, idx);

    if (!indices_plain(b, v, extent)) return sx_data_index(b, src, e, extent, guard);
    *guard = NULL;
    return sx_cast(b->sx, e, DT_I64);
}

static Status lower_gather(Build *b, const Node *n, Value **out)
{
    const Type *x = in_type(n, 0), *to = &n->out[0]->type;
    int q = in_type(n, 1)->rank, axis, count = 2;
    const Sx *idx[MAX_RANK], *which[MAX_RANK], *guard = NULL;
    const int64_t *only;
    int n_only;

    TRY(lower_movable(b, n, to->dtype));
    TRY(gather_axis(n, b->diag, x->rank, &axis));
    for (int i = 0; i < x->rank; i++)
        idx[i] = sx_index(b->sx, i < axis ? i : i + q - 1);
    for (int k = 0; k < q; k++)
        which[k] = sx_index(b->sx, axis + k);
    if (const_ints(n->in[1], b->module->arena, &only, &n_only) && n_only == 1 &&
        dim_is_const(x->dim[axis])) { /* inference has checked it: a slice */
        idx[axis] = sx_i64(b, only[0] < 0 ? only[0] + x->dim[axis]->value : only[0]);
        count = 1;
    } else {
        idx[axis] = named_place(b, 1, n->in[1], which, x->dim[axis], &guard);
    }
    out[0] = build_map(b, "gather", count, n->in, to->dtype, to->rank, to->dim,
                       sx_at_guarded(b, 0, n->in[0], idx, guard));
    return b->status;
}

/* ---- GatherElements ---- */

static Status infer_gather_elements(Infer *cx, Node *n)
{
    const Type *x, *which;
    int axis;

    TRY(infer_ranked(cx, n, 0));
    TRY(infer_ranked(cx, n, 1));
    x = in_type(n, 0);
    which = in_type(n, 1);
    TRY(gather_axis(n, cx->diag, x->rank, &axis));
    if (which->rank != x->rank)
        return op_error(n, cx->diag, "indices", "GatherElements: rank %d, data has rank %d",
                        which->rank, x->rank);
    for (int i = 0; i < x->rank; i++)
        if (i != axis && which->dim[i]->lo > x->dim[i]->hi)
            return op_error(n, cx->diag, "indices", "GatherElements: dim %d exceeds the data's", i);
    infer_out(cx, n, 0, x->dtype, x->rank, which->dim);
    return OK;
}

static Status eval_gather_elements(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    const Tensor *x = in[0], *which = in[1];
    int64_t index[MAX_RANK] = {0}, stride[MAX_RANK];
    int axis;

    TRY(gather_axis(n, cx->diag, x->rank, &axis));
    for (int i = 0; i < x->rank; i++)
        if (which->rank != x->rank || (i != axis && which->dim[i] > x->dim[i]))
            return op_error(n, cx->diag, "indices", "GatherElements: dim %d exceeds the data's", i);
    TRY(eval_out(cx, n, &out[0], x->dtype, x->rank, which->dim));
    eval_strides(x->rank, x->dim, stride);
    for (int64_t o = 0; o < which->count; o++, eval_next(x->rank, which->dim, index)) {
        int64_t k = tensor_int(which, o), at = 0;
        TRY(eval_index(cx, n, x->dim[axis], &k));
        for (int i = 0; i < x->rank; i++)
            at += (i == axis ? k : index[i]) * stride[i];
        eval_copy_element(out[0], o, x, at);
    }
    return OK;
}

static Status lower_gather_elements(Build *b, const Node *n, Value **out)
{
    const Type *x = in_type(n, 0), *to = &n->out[0]->type;
    const Sx *idx[MAX_RANK], *guard;
    int axis;

    TRY(lower_movable(b, n, to->dtype));
    TRY(gather_axis(n, b->diag, x->rank, &axis));
    own_index(b, x->rank, idx);
    idx[axis] = named_place(b, 1, n->in[1], idx, x->dim[axis], &guard);
    for (int i = 0; i < x->rank; i++)
        if (i != axis && x->dim[i] != to->dim[i])
            guard = sx_both(b, guard, sx_inside(b, idx[i], x->dim[i], to->rank, to->dim));
    out[0] = build_map(b, "gather_elements", 2, n->in, to->dtype, to->rank, to->dim,
                       sx_at_guarded(b, 0, n->in[0], idx, guard));
    return b->status;
}

/* ---- GatherND ---- */

/* depth: the length of an index tuple. */
static Status gather_nd_ranks(const Node *n, Diag *d, int r, int q, int64_t depth, int *batch)
{
    int64_t b = attr_int(n, "batch_dims", 0);

    if (q < 1 || b < 0 || b >= (q < r ? q : r))
        return op_error(n, d, "batch_dims", "GatherND: %lld is out of range for ranks %d and %d",
                        (long long)b, r, q);
    if (depth < 1 || depth > r - b)
        return op_error(n, d, "indices", "GatherND: tuples of %lld for %lld axes", (long long)depth,
                        (long long)(r - b));
    if (q - 1 + r - b - depth > MAX_RANK)
        return op_error(n, d, NULL, "GatherND: the rank of the result is too large");
    *batch = (int)b;
    return OK;
}

static Status tuple_depth(Infer *cx, const Node *n, int64_t *depth)
{
    const Type *which = in_type(n, 1);

    TRY(infer_ranked(cx, n, 0));
    TRY(infer_ranked(cx, n, 1));
    if (which->rank < 1)
        return op_error(n, cx->diag, "indices", "%s: a scalar has no tuples", n->op->name);
    if (!dim_is_const(which->dim[which->rank - 1]))
        return op_unsupported(n, cx->diag, "index tuples of open length");
    *depth = which->dim[which->rank - 1]->value;
    return OK;
}

static Status infer_gather_nd(Infer *cx, Node *n)
{
    const Type *x = in_type(n, 0), *which = in_type(n, 1);
    Dim dims[2 * MAX_RANK];
    int64_t depth = 0;
    int batch, rank = 0;

    TRY(tuple_depth(cx, n, &depth));
    TRY(gather_nd_ranks(n, cx->diag, x->rank, which->rank, depth, &batch));
    for (int i = 0; i < which->rank - 1; i++)
        dims[rank++] = which->dim[i];
    for (int i = batch + (int)depth; i < x->rank; i++)
        dims[rank++] = x->dim[i];
    infer_out(cx, n, 0, x->dtype, rank, dims);
    return OK;
}

static Status eval_gather_nd(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    const Tensor *x = in[0], *which = in[1];
    int64_t dims[2 * MAX_RANK], stride[MAX_RANK], depth, inner = 1, tuples, per_batch = 1;
    int batch, rank = 0;

    depth = which->rank ? which->dim[which->rank - 1] : 0;
    TRY(gather_nd_ranks(n, cx->diag, x->rank, which->rank, depth, &batch));
    for (int i = 0; i < which->rank - 1; i++) {
        dims[rank++] = which->dim[i];
        if (i >= batch) per_batch *= which->dim[i];
        if (i < batch && which->dim[i] != x->dim[i])
            return op_error(n, cx->diag, "indices", "GatherND: batch dim %d differs", i);
    }
    for (int i = batch + (int)depth; i < x->rank; i++)
        inner *= dims[rank++] = x->dim[i];
    TRY(eval_out(cx, n, &out[0], x->dtype, rank, dims));
    eval_strides(x->rank, x->dim, stride);
    tuples = which->count / depth;
    for (int64_t t = 0; t < tuples; t++) {
        int64_t at = batch ? t / per_batch * stride[batch - 1] : 0;
        for (int64_t k = 0; k < depth; k++) {
            int64_t v = tensor_int(which, t * depth + k);
            TRY(eval_index(cx, n, x->dim[batch + k], &v));
            at += v * stride[batch + k];
        }
        for (int64_t c = 0; c < inner; c++)
            eval_copy_element(out[0], t * inner + c, x, at + c);
    }
    return OK;
}

/* The places that the tuple of operand `src` names on axes from, from + 1, ...: at the domain
 * point's first rank - 1 indices. */
static const Sx *tuple_places(Build *b, int src, const Value *which, const Dim *extent,
                              int64_t depth, const Sx **idx)
{
    const Sx *at[MAX_RANK], *all = NULL;
    int last = which->type.rank - 1;

    own_index(b, last, at);
    for (int64_t k = 0; k < depth; k++) {
        const Sx *guard;
        at[last] = sx_i64(b, k);
        idx[k] = sx_data_index(b, src, sx_at(b, src, which, at), extent[k], &guard);
        all = sx_both(b, all, guard);
    }
    return all;
}

static Status lower_gather_nd(Build *b, const Node *n, Value **out)
{
    const Type *x = in_type(n, 0), *which = in_type(n, 1), *to = &n->out[0]->type;
    const Sx *idx[MAX_RANK], *guard;
    int64_t depth = which->dim[which->rank - 1]->value;
    int batch;

    TRY(lower_movable(b, n, to->dtype));
    TRY(gather_nd_ranks(n, b->diag, x->rank, which->rank, depth, &batch));
    for (int i = 0; i < batch; i++) {
        idx[i] = sx_index(b->sx, i);
        build_require_equal(b, x->dim[i], which->dim[i]);
    }
    guard = tuple_places(b, 1, n->in[1], x->dim + batch, depth, idx + batch);
    for (int i = batch + (int)depth; i < x->rank; i++)
        idx[i] = sx_index(b->sx, which->rank - 1 + i - batch - (int)depth);
    out[0] = build_map(b, "gather_nd", 2, n->in, to->dtype, to->rank, to->dim,
                       sx_at_guarded(b, 0, n->in[0], idx, guard));
    return b->status;
}

/* ---- OneHot ---- */

/* depth may be of any dtype; the result's dim along the new axis. */
static Status one_hot_depth(Infer *cx, Node *n, Dim *depth)
{
    const Value *v = n->in[1];
    Build *b = cx->build;

    TRY(infer_ranked(cx, n, 1));
    if (v->data && v->data->count == 1) {
        double d = tensor_double(v->data, 0);
        if (!(d >= 0 && d <= (double)DIM_TOP))
            return op_error(n, cx->diag, "depth", "OneHot: a depth of %g", d);
        *depth = dim_const(&cx->module->dims, (int64_t)d);
        return OK;
    }
    if (v->type.dtype == DT_I64 || v->type.dtype == DT_I32) {
        const Dim *dims;
        int count;
        TRY(infer_elements(cx, n, 1, 0, DIM_TOP, &dims, &count));
        if (count != 1) return op_error(n, cx->diag, "depth", "OneHot: depth must be a scalar");
        *depth = dims[0];
        return OK;
    }
    build_require_one(b, v);
    *depth = dim_of_sx(b, 1, &n->in[1], sx_cast(b->sx, sx_scalar(b, 0, v), DT_I64), 0, DIM_TOP);
    return b->status;
}

static Status one_hot_axis(const Node *n, Diag *d, int rank, int *axis)
{
    return infer_axis(n, d, "axis", attr_int(n, "axis", -1), rank + 1, axis);
}

static Status infer_one_hot(Infer *cx, Node *n)
{
    Dim dims[MAX_RANK + 1], depth = NULL;
    const Type *x = in_type(n, 0);
    int axis;

    TRY(infer_ranked(cx, n, 0));
    TRY(infer_ranked(cx, n, 2));
    if (in_type(n, 2)->rank != 1 || in_type(n, 2)->dim[0]->lo > 2 || in_type(n, 2)->dim[0]->hi < 2)
        return op_error(n, cx->diag, "values", "OneHot: expected two values, off and on");
    TRY(one_hot_axis(n, cx->diag, x->rank, &axis));
    if (x->rank >= MAX_RANK)
        return op_error(n, cx->diag, "indices", "OneHot: the rank would be %d", x->rank + 1);
    TRY(one_hot_depth(cx, n, &depth));
    for (int i = 0; i <= x->rank; i++)
        dims[i] = i == axis ? depth : x->dim[i > axis ? i - 1 : i];
    infer_out(cx, n, 0, in_type(n, 2)->dtype, x->rank + 1, dims);
    return OK;
}

static Status eval_one_hot(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    int64_t dims[MAX_RANK + 1], index[MAX_RANK + 1] = {0}, depth;
    const Tensor *x = in[0];
    int axis;

    TRY(one_hot_axis(n, cx->diag, x->rank, &axis));
    if (in[1]->count != 1 || in[2]->count != 2 || x->rank >= MAX_RANK)
        return op_error(n, cx->diag, NULL, "OneHot: depth or values have the wrong size");
    if (!(tensor_double(in[1], 0) >= 0 && tensor_double(in[1], 0) <= (double)DIM_TOP))
        return op_error(n, cx->diag, "depth", "OneHot: a depth of %g", tensor_double(in[1], 0));
    depth = (int64_t)tensor_double(in[1], 0);
    for (int i = 0; i <= x->rank; i++)
        dims[i] = i == axis ? depth : x->dim[i > axis ? i - 1 : i];
    TRY(eval_out(cx, n, &out[0], in[2]->dtype, x->rank + 1, dims));
    for (int64_t o = 0; o < out[0]->count; o++, eval_next(x->rank + 1, dims, index)) {
        int64_t at = 0, k;
        for (int i = 0; i <= x->rank; i++)
            if (i != axis) at = at * dims[i] + index[i];
        k = tensor_int(x, at);
        if (k < 0) k += depth;
        eval_copy_element(out[0], o, in[2], k == index[axis]);
    }
    return OK;
}

static Status lower_one_hot(Build *b, const Node *n, Value **out)
{
    const Type *x = in_type(n, 0), *to = &n->out[0]->type;
    SxTable *t = b->sx;
    const Sx *idx[MAX_RANK], *k, *on;
    int axis;

    TRY(lower_movable(b, n, to->dtype));
    TRY(one_hot_axis(n, b->diag, x->rank, &axis));
    build_require_equal(b, in_type(n, 2)->dim[0], dim_const(b->dims, 2));
    for (int i = 0; i < x->rank; i++)
        idx[i] = sx_index(t, i < axis ? i : i + 1);
    k = sx_cast(t, sx_at(b, 0, n->in[0], idx), DT_I64);
    k = sx_select(t, sx_lt(t, k, sx_i64(b, 0)), sx_add(t, k, sx_dim(t, to->dim[axis])), k);
    on = sx_eq(t, k, sx_index(t, axis));
    if (T_PLAIN & DT_BIT(to->dtype))
        on = sx_select(t, on, sx_at(b, 1, n->in[2], (const Sx *[]){sx_i64(b, 1)}),
                       sx_at(b, 1, n->in[2], (const Sx *[]){sx_i64(b, 0)}));
    else /* can only be moved: one load */
        on = sx_at(b, 1, n->in[2], (const Sx *[]){sx_cast(t, on, DT_I64)});
    out[0] = build_map(b, "one_hot", 2, (Value *[]){n->in[0], n->in[2]}, to->dtype, to->rank,
                       to->dim, on);
    return b->status;
}

/* ---- ArrayFeatureExtractor: columns of the last axis ---- */

static Status infer_features(Infer *cx, Node *n)
{
    const Type *x = in_type(n, 0);
    Dim dims[MAX_RANK];
    int rank = x->rank;

    TRY(infer_ranked(cx, n, 0));
    TRY(infer_ranked(cx, n, 1));
    if (rank < 1) return op_error(n, cx->diag, "X", "ArrayFeatureExtractor: a scalar");
    TRY(gather_check(cx, n, x->dim[rank - 1]));
    for (int i = 0; i < rank - 1; i++)
        dims[i] = x->dim[i];
    if (rank == 1) dims[0] = dim_const(&cx->module->dims, 1);
    if (rank == 1) rank = 2;
    dims[rank - 1] = type_count(&cx->module->dims, in_type(n, 1));
    infer_out(cx, n, 0, x->dtype, rank, dims);
    return OK;
}

static Status eval_features(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    const Tensor *x = in[0];
    int64_t dims[MAX_RANK] = {1}, columns, rows;
    int rank = x->rank < 2 ? 2 : x->rank;

    if (x->rank < 1) return op_error(n, cx->diag, "X", "ArrayFeatureExtractor: a scalar");
    for (int i = 0; i < x->rank - 1; i++)
        dims[i] = x->dim[i];
    dims[rank - 1] = in[1]->count;
    columns = x->dim[x->rank - 1];
    TRY(eval_out(cx, n, &out[0], x->dtype, rank, dims));
    rows = in[1]->count ? out[0]->count / in[1]->count : 0;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t k = 0; k < in[1]->count; k++) {
            int64_t at = tensor_int(in[1], k);
            TRY(eval_index(cx, n, columns, &at));
            eval_copy_element(out[0], r * in[1]->count + k, x, r * columns + at);
        }
    return OK;
}

static Status lower_features(Build *b, const Node *n, Value **out)
{
    const Type *to = &n->out[0]->type;
    Dim count = type_count(b->dims, in_type(n, 1));
    Value *which = build_reshape(b, n->in[1], 1, &count);
    Attr axis = attr_of_int("axis", -1);
    Value *v = build_op(b, "Gather", 2, (Value *[]){n->in[0], which}, 1, &axis);

    out[0] = v ? build_reshape(b, v, to->rank, to->dim) : NULL;
    return b->status;
}

/* ---- the table ---- */

#define T_INDEX (DT_BIT(DT_I32) | DT_BIT(DT_I64))
#define PORT(n, set)                                                                               \
    {                                                                                              \
        .name = n, .types = set                                                                    \
    }
#define PORT_T(n, set)                                                                             \
    {                                                                                              \
        .name = n, .types = set, .var = "T"                                                        \
    }
#define IN(...)                                                                                    \
    .in = (const PortDef[])                                                                        \
    {                                                                                              \
        __VA_ARGS__,                                                                               \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }
#define OUT(...)                                                                                   \
    .out = (const PortDef[])                                                                       \
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

const OpDef index_ops[] = {
    {.name = "Gather",
     .since = 13,
     .about = "slices along an axis, by index",
     IN(PORT_T("data", T_ANY), PORT("indices", T_INDEX)),
     .out = OUT_T("output"),
     ATTRS(ATTR_I("axis", 0)),
     .quant = QUANT_MOVE,
     ROW(gather)},
    {.name = "GatherElements",
     .since = 13,
     .about = "elements along an axis, by index",
     IN(PORT_T("data", T_ANY), PORT("indices", T_INDEX)),
     .out = OUT_T("output"),
     ATTRS(ATTR_I("axis", 0)),
     .quant = QUANT_MOVE,
     ROW(gather_elements)},
    {.name = "GatherND",
     .since = 13,
     .about = "slices by index tuples",
     IN(PORT_T("data", T_ANY), PORT("indices", DT_BIT(DT_I64))),
     .out = OUT_T("output"),
     ATTRS(ATTR_I("batch_dims", 0)),
     .quant = QUANT_MOVE,
     ROW(gather_nd)},
    {.name = "OneHot",
     .since = 28,
     .about = "one value at an index, another elsewhere",
     IN(PORT("indices", T_NUMBER), PORT("depth", T_NUMBER), PORT_T("values", T_ANY)),
     .out = OUT_T("output"),
     ATTRS(ATTR_I("axis", -1)),
     ROW(one_hot)},
    {.name = "ArrayFeatureExtractor",
     .domain = "ai.onnx.ml",
     .since = 1,
     .about = "columns of the last axis, by index",
     IN(PORT_T("X", T_ANY), PORT("Y", DT_BIT(DT_I64))),
     .out = OUT_T("Z"),
     ROW(features)},
    {0},
};
