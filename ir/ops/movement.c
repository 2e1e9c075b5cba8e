/* movement.c: the same elements in other dims: Identity, Reshape, Flatten, Squeeze, Unsqueeze,
 * Transpose, Expand, Tile. Concat and Split are in join.c; Slice, Pad and their like in
 * rearrange.c.
 *
 * Lowering gives reshapes (no copy), or a map whose value is one load at computed indices. */
#include <string.h>

#include "ir/ops/derive.h"
#include "ir/ops/ops_common.h"
#include "support/checked.h"

static Status copy_all(Eval *cx, const Node *n, const Tensor *x, int rank, const int64_t *dims,
                       Tensor **out)
{
    TRY(eval_out(cx, n, out, x->dtype, rank, dims));
    if ((*out)->count != x->count)
        return op_error(n, cx->diag, NULL, "%s: %lld elements do not fit %lld", n->op->name,
                        (long long)x->count, (long long)(*out)->count);
    if (x->bytes) memcpy((*out)->data, x->data, x->bytes);
    return OK;
}

/* out[0] is in[0] with the dims that infer gave it. */
static Status lower_reshape(Build *b, const Node *n, Value **out)
{
    const Type *to = &n->out[0]->type;

    build_require_equal(b, type_count(b->dims, in_type(n, 0)), type_count(b->dims, to));
    out[0] = build_reshape(b, n->in[0], to->rank, to->dim);
    return b->status;
}

/* The result of a reshape of a list or scalar to a list or scalar carries its contents. */
static void keep_contents(Infer *cx, Node *n, int rank)
{
    int count;
    const Dim *x = rank <= 1 ? contents_of(cx, n->in[0], &count) : NULL;

    if (x) infer_contents(cx, n, 0, count, x);
}

/* ---- Identity ---- */

static Status infer_identity(Infer *cx, Node *n)
{
    infer_same(cx, n, 0, 0);
    if (n->in[0]->contents) n->out[0]->contents = n->in[0]->contents;
    return OK;
}

static Status eval_identity(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    if (tensor_is_list(in[0])) { /* whoever keeps it copies it */
        out[0] = (Tensor *)(uintptr_t)in[0];
        return OK;
    }
    return copy_all(cx, n, in[0], in[0]->rank, in[0]->dim, &out[0]);
}

static Status lower_identity(Build *b, const Node *n, Value **out)
{
    (void)b;
    out[0] = n->in[0];
    return OK;
}

static void simplify_identity(Build *b, Node *n, Value **v)
{
    (void)b;
    v[0] = n->in[0];
}

/* ---- Reshape ---- */

/* What -1 stands for: the input's dims that are not copied over the extents that are given. So a
 * batch of 0 that is copied leaves the rest as it is. */

/* Some extents may be 0 or -1, and the run must tell which. */
static Status reshape_at_run(Infer *cx, Node *n, const Dim *asked, int rank, bool allowzero,
                             Dim *dims)
{
    Build *b = cx->build;
    SxTable *t = b->sx;
    const Type *x = in_type(n, 0);
    const Sx *extent[MAX_RANK], *given = sx_i64(b, 1), *left = given, *one = given, *inferred;
    const Sx *minus = sx_i64(b, -1), *no = sx_const_int(t, DT_BOOL, 0);

    for (int i = 0; i < rank || i < x->rank; i++) {
        const Sx *d = i < rank ? sx_dim(t, asked[i]) : minus;
        const Sx *own = i < x->rank ? sx_dim(t, x->dim[i]) : one;
        const Sx *copied = i < x->rank && !allowzero ? sx_eq(t, d, sx_i64(b, 0)) : no;
        left = sx_mul(t, left, sx_select(t, copied, one, own));
        if (i >= rank) continue;
        extent[i] = sx_select(t, copied, own, d);
        given = sx_mul(t, given, sx_select(t, sx_or(t, copied, sx_eq(t, d, minus)), one, d));
    }
    inferred = sx_div(t, left, given);
    for (int i = 0; i < rank; i++)
        dims[i] = dim_of_sx(
            b, 0, NULL, sx_select(t, sx_eq(t, extent[i], minus), inferred, extent[i]), 0, DIM_TOP);
    return b->status;
}

/* Every extent but at most one is known not to be -1. */
static Status reshape_dims(Infer *cx, Node *n, const Dim *asked, int rank, bool allowzero,
                           Dim *dims)
{
    const Type *x = in_type(n, 0);
    int open = -1, n_given = 0, n_left = 0;
    Dim given[MAX_RANK], left[MAX_RANK];

    for (int i = 0; i < rank; i++) {
        bool copied = dim_is(asked[i], 0) && !allowzero;

        dims[i] = asked[i];
        if (copied && i >= x->rank)
            return op_error(n, cx->diag, "shape", "Reshape: dim %d is 0, but the input has rank %d",
                            i, x->rank);
        if (copied) dims[i] = x->dim[i];
        if (i < x->rank && !copied) left[n_left++] = x->dim[i];
        if (copied) continue;
        if (dim_is(asked[i], -1)) {
            if (open >= 0) return op_error(n, cx->diag, "shape", "Reshape: two dims are -1");
            open = i;
            continue;
        }
        if (asked[i]->hi < 0)
            return op_error(n, cx->diag, "shape", "Reshape: dim %d is negative", i);
        given[n_given++] = asked[i];
    }
    for (int i = rank; i < x->rank; i++)
        left[n_left++] = x->dim[i];
    for (int i = 0; i < n_given && open >= 0; i++)
        if (dim_is(given[i], 0))
            return op_error(n, cx->diag, "shape", "Reshape: 0 and -1 cannot stand together");
    if (open >= 0) dims[open] = dim_ratio(&cx->module->dims, n_left, left, n_given, given);
    return OK;
}

static Status infer_reshape(Infer *cx, Node *n)
{
    bool allowzero = attr_int(n, "allowzero", 0) != 0;
    const Dim *asked;
    Dim dims[MAX_RANK];
    int rank, unsure = 0, minus = 0;

    TRY(infer_ranked(cx, n, 0));
    TRY(infer_elements(cx, n, 1, -1, DIM_TOP, &asked, &rank));
    if (rank > MAX_RANK)
        return op_error(n, cx->diag, "shape", "Reshape: rank %d, at most %d is allowed", rank,
                        MAX_RANK);
    for (int i = 0; i < rank; i++) {
        unsure += !dim_is_const(asked[i]) && asked[i]->lo < 0;
        minus += dim_is(asked[i], -1);
    }
    if (unsure)
        TRY(reshape_at_run(cx, n, asked, rank, allowzero, dims));
    else
        TRY(reshape_dims(cx, n, asked, rank, allowzero, dims));
    Type to = type_tensor(in_type(n, 0)->dtype, rank, dims);
    Dim had = type_count(&cx->module->dims, in_type(n, 0));
    Dim has = type_count(&cx->module->dims, &to);
    if (dim_distinct(&cx->module->dims, had, has))
        return op_error(n, cx->diag, "shape", "Reshape: the number of elements would change%s",
                        minus ? ", -1 cannot make up for it" : "");
    infer_out(cx, n, 0, to.dtype, rank, dims);
    keep_contents(cx, n, rank);
    return OK;
}

static Status eval_reshape(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    const Tensor *x = in[0];
    int64_t dims[MAX_RANK], given = 1, left = 1;
    int rank = (int)in[1]->count, open = -1;

    if (in[1]->count > MAX_RANK)
        return op_error(n, cx->diag, "shape", "Reshape: the rank is too large");
    for (int i = 0; i < rank || i < x->rank; i++) {
        int64_t asked = i < rank ? tensor_int(in[1], i) : -1;
        bool copied = asked == 0 && !attr_int(n, "allowzero", 0);

        if (i < x->rank && !copied) left *= x->dim[i];
        if (i >= rank) break;
        if (copied && i >= x->rank)
            return op_error(n, cx->diag, "shape", "Reshape: no dim to copy");
        dims[i] = copied ? x->dim[i] : asked;
        if (copied) continue;
        if (asked == -1 && open < 0)
            open = i;
        else if (asked < 0 || !checked_mul_i64(given, asked, &given))
            return op_error(n, cx->diag, "shape", "Reshape: dim %d is impossible", i);
    }
    for (int i = rank + 1; i < x->rank; i++)
        left *= x->dim[i];
    if (open >= 0) dims[open] = given ? left / given : 0;
    return copy_all(cx, n, x, rank, dims, &out[0]);
}

/* ---- Flatten ---- */

static Status infer_flatten(Infer *cx, Node *n)
{
    DimTable *t = &cx->module->dims;
    const Type *x = in_type(n, 0);
    int64_t axis = attr_int(n, "axis", 1);
    Dim dims[2];

    TRY(infer_ranked(cx, n, 0));
    if (axis < -x->rank || axis > x->rank)
        return op_error(n, cx->diag, "axis", "Flatten: axis %lld is out of range for rank %d",
                        (long long)axis, x->rank);
    if (axis < 0) axis += x->rank;
    dims[0] = dim_product(t, (int)axis, x->dim);
    dims[1] = dim_product(t, x->rank - (int)axis, x->dim + axis);
    infer_out(cx, n, 0, x->dtype, 2, dims);
    return OK;
}

static Status eval_flatten(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    int64_t dims[2] = {1, 1}, axis = attr_int(n, "axis", 1);

    if (axis < 0) axis += in[0]->rank;
    for (int i = 0; i < in[0]->rank; i++)
        dims[i >= axis] *= in[0]->dim[i];
    return copy_all(cx, n, in[0], 2, dims, &out[0]);
}

/* ---- Squeeze, Unsqueeze ---- */

/* Without axes: all dims that are known to be 1. */
static Status squeeze_axes(Infer *cx, Node *n, const AxisList *axes, unsigned *gone)
{
    const Type *x = in_type(n, 0);

    *gone = 0;
    if (!has_in(n, 1)) {
        for (int i = 0; i < x->rank; i++)
            *gone |= (unsigned)dim_is(x->dim[i], 1) << i;
        return OK;
    }
    for (int i = 0; i < axes->n; i++) {
        Dim d = x->dim[axes->axis[i]];
        if (d->lo > 1 || d->hi < 1)
            return op_error(n, cx->diag, "axes", "Squeeze: dim %d is not 1", axes->axis[i]);
        *gone |= 1u << axes->axis[i];
    }
    return OK;
}

static Status infer_squeeze(Infer *cx, Node *n)
{
    const Type *x = in_type(n, 0);
    unsigned gone;
    Dim dims[MAX_RANK];
    int rank = 0;
    AxisList axes;

    TRY(infer_ranked(cx, n, 0));
    TRY(infer_axes(cx, n, 1, x->rank, 0, &axes));
    if (axes.known) {
        TRY(squeeze_axes(cx, n, &axes, &gone));
        for (int i = 0; i < x->rank; i++)
            if (!(gone >> i & 1)) dims[rank++] = x->dim[i];
    } else {
        dims_without(cx->build, x, &axes, dims);
        rank = x->rank - axes.n;
    }
    infer_out(cx, n, 0, x->dtype, rank, dims);
    keep_contents(cx, n, rank);
    return OK;
}

static Status eval_squeeze(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    const Tensor *axes = n->n_in > 1 ? in[1] : NULL;
    unsigned gone = 0;
    int64_t dims[MAX_RANK];
    int rank = 0;

    for (int64_t i = 0; axes && i < axes->count; i++) {
        int64_t a = tensor_int(axes, i);
        TRY(eval_index(cx, n, in[0]->rank, &a));
        if (in[0]->dim[a] != 1)
            return op_error(n, cx->diag, "axes", "Squeeze: dim %d is not 1", (int)a);
        gone |= 1u << a;
    }
    for (int i = 0; i < in[0]->rank; i++)
        if (axes ? !(gone >> i & 1) : in[0]->dim[i] != 1) dims[rank++] = in[0]->dim[i];
    return copy_all(cx, n, in[0], rank, dims, &out[0]);
}

/* Dims with a 1 at each of the axes: place i holds dim i less the number of ones before it. */
static void undims_without(Build *b, const Type *x, const AxisList *axes, int rank, Dim *dims)
{
    SxTable *t = b->sx;
    const Sx *from = sx_i64(b, 0);

    for (int i = 0; i < rank; i++) {
        const Sx *fresh = sx_listed(b, axes, i, rank), *d = sx_i64(b, -1);
        for (int k = 0; k < x->rank; k++)
            d = sx_select(t, sx_eq(t, from, sx_i64(b, k)), sx_dim(t, x->dim[k]), d);
        d = sx_select(t, sx_ne(t, fresh, sx_i64(b, 0)), sx_i64(b, 1), d);
        dims[i] = dim_of_sx(b, 0, NULL, d, 0, DIM_TOP);
        from = sx_add(t, from, sx_sub(t, sx_i64(b, 1), fresh));
    }
}

static Status infer_unsqueeze(Infer *cx, Node *n)
{
    const Type *x = in_type(n, 0);
    AxisList axes;
    int rank;
    unsigned fresh = 0;
    Dim dims[MAX_RANK], count;

    TRY(infer_ranked(cx, n, 0));
    TRY(infer_ranked(cx, n, 1));
    count = type_count(&cx->module->dims, in_type(n, 1));
    if (!dim_is_const(count)) return op_unsupported(n, cx->diag, "an open number of axes");
    if (count->value > MAX_RANK - x->rank)
        return op_error(n, cx->diag, "axes", "Unsqueeze: the rank would be %lld",
                        (long long)(x->rank + count->value));
    rank = x->rank + (int)count->value;
    TRY(infer_axes(cx, n, 1, rank, 0, &axes));
    for (int i = 0; i < axes.n && axes.known; i++)
        fresh |= 1u << axes.axis[i];
    for (int i = 0, k = 0; i < rank && axes.known; i++)
        dims[i] = fresh >> i & 1 ? dim_const(&cx->module->dims, 1) : x->dim[k++];
    if (!axes.known) undims_without(cx->build, x, &axes, rank, dims);
    infer_out(cx, n, 0, x->dtype, rank, dims);
    keep_contents(cx, n, rank);
    return OK;
}

static Status eval_unsqueeze(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    int64_t dims[MAX_RANK];
    int rank = in[0]->rank + (int)in[1]->count;
    unsigned fresh = 0;

    if (in[1]->count > MAX_RANK - in[0]->rank)
        return op_error(n, cx->diag, "axes", "Unsqueeze: too many axes");
    for (int64_t i = 0; i < in[1]->count; i++) {
        int64_t a = tensor_int(in[1], i);
        TRY(eval_index(cx, n, rank, &a));
        if (fresh >> a & 1) return op_error(n, cx->diag, "axes", "Unsqueeze: an axis stands twice");
        fresh |= 1u << a;
    }
    for (int i = 0, k = 0; i < rank; i++)
        dims[i] = fresh >> i & 1 ? 1 : in[0]->dim[k++];
    return copy_all(cx, n, in[0], rank, dims, &out[0]);
}

/* ---- Transpose ---- */

static Status transpose_perm(const Node *n, Diag *d, int rank, int *perm)
{
    int count;
    const int64_t *ints = attr_ints(n, "perm", &count);
    unsigned seen = 0;

    for (int i = 0; i < rank; i++)
        perm[i] = rank - 1 - i;
    if (!ints) return OK;
    if (count != rank)
        return op_error(n, d, "perm", "Transpose: %d entries for rank %d", count, rank);
    for (int i = 0; i < rank; i++) {
        if (ints[i] < 0 || ints[i] >= rank || (seen >> ints[i] & 1))
            return op_error(n, d, "perm", "Transpose: no permutation of 0 .. %d", rank - 1);
        seen |= 1u << ints[i];
        perm[i] = (int)ints[i];
    }
    return OK;
}

static Status infer_transpose(Infer *cx, Node *n)
{
    const Type *x = in_type(n, 0);
    int perm[MAX_RANK];
    Dim dims[MAX_RANK];

    TRY(infer_ranked(cx, n, 0));
    TRY(transpose_perm(n, cx->diag, x->rank, perm));
    for (int i = 0; i < x->rank; i++)
        dims[i] = x->dim[perm[i]];
    infer_out(cx, n, 0, x->dtype, x->rank, dims);
    keep_contents(cx, n, x->rank);
    return OK;
}

static Status eval_transpose(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    int perm[MAX_RANK];
    int64_t dims[MAX_RANK], stride[MAX_RANK], own[MAX_RANK];

    TRY(transpose_perm(n, cx->diag, in[0]->rank, perm));
    eval_strides(in[0]->rank, in[0]->dim, own);
    for (int i = 0; i < in[0]->rank; i++) {
        dims[i] = in[0]->dim[perm[i]];
        stride[i] = own[perm[i]];
    }
    TRY(eval_out(cx, n, &out[0], in[0]->dtype, in[0]->rank, dims));
    eval_copy_strided(out[0], in[0], 0, stride);
    return OK;
}

static Status lower_transpose(Build *b, const Node *n, Value **out)
{
    int perm[MAX_RANK];

    TRY(lower_movable(b, n, in_type(n, 0)->dtype));
    TRY(transpose_perm(n, b->diag, in_type(n, 0)->rank, perm));
    out[0] = build_transpose(b, n->in[0], perm);
    return b->status;
}

/* ---- Expand, Tile ---- */

static Status infer_expand(Infer *cx, Node *n)
{
    const Dim *asked;
    Dim dims[MAX_RANK];
    int count, rank, have;
    const Dim *x;

    TRY(infer_ranked(cx, n, 0));
    TRY(infer_elements(cx, n, 1, 0, DIM_TOP, &asked, &count));
    if (count > MAX_RANK)
        return op_error(n, cx->diag, "shape", "Expand: rank %d, at most %d is allowed", count,
                        MAX_RANK);
    Type wanted = type_tensor(in_type(n, 0)->dtype, count, asked);
    TRY(infer_broadcast_dims(cx, n, 2, (const Type *const[]){in_type(n, 0), &wanted}, &rank, dims));
    infer_out(cx, n, 0, in_type(n, 0)->dtype, rank, dims);
    x = contents_of(cx, n->in[0], &have);
    if (!x || rank > 1 || (rank == 1 && (!dim_is_const(dims[0]) || dims[0]->value > 1024)))
        return OK;
    count = rank ? (int)dims[0]->value : 1;
    Dim *all = ARENA_ARRAY(cx->module->arena, Dim, count);
    for (int i = 0; i < count; i++)
        all[i] = x[have == 1 ? 0 : i];
    infer_contents(cx, n, 0, count, all);
    return OK;
}

static Status eval_expand(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    int64_t dims[MAX_RANK], stride[MAX_RANK];
    int count = (int)in[1]->count, rank = count > in[0]->rank ? count : in[0]->rank;

    if (in[1]->count > MAX_RANK) return op_error(n, cx->diag, "shape", "Expand: rank too large");
    for (int i = 0; i < rank; i++) {
        int k = i - (rank - in[0]->rank), j = i - (rank - count);
        int64_t own = k >= 0 ? in[0]->dim[k] : 1, asked = j >= 0 ? tensor_int(in[1], j) : 1;
        if (own != 1 && asked != 1 && own != asked)
            return op_error(n, cx->diag, "shape", "Expand: dims %lld and %lld do not broadcast",
                            (long long)own, (long long)asked);
        dims[i] = own == 1 ? asked : own;
    }
    TRY(eval_out(cx, n, &out[0], in[0]->dtype, rank, dims));
    eval_broadcast_strides(in[0], rank, stride);
    eval_copy_strided(out[0], in[0], 0, stride);
    return OK;
}

static Status lower_expand(Build *b, const Node *n, Value **out)
{
    const Type *to = &n->out[0]->type;

    TRY(lower_movable(b, n, to->dtype));
    if (type_equal(to, in_type(n, 0))) {
        out[0] = n->in[0];
        return OK;
    }
    out[0] = build_map(b, "expand", 1, n->in, to->dtype, to->rank, to->dim,
                       sx_operand(b, 0, n->in[0], to->rank, to->dim));
    return b->status;
}

static Status infer_tile(Infer *cx, Node *n)
{
    const Type *x = in_type(n, 0);
    const Dim *repeats;
    Dim dims[MAX_RANK];
    int count;

    TRY(infer_ranked(cx, n, 0));
    TRY(infer_elements(cx, n, 1, 0, DIM_TOP, &repeats, &count));
    if (count != x->rank)
        return op_error(n, cx->diag, "repeats", "Tile: %d repeats for rank %d", count, x->rank);
    for (int i = 0; i < count; i++)
        dims[i] = dim_mul(&cx->module->dims, x->dim[i], repeats[i]);
    infer_out(cx, n, 0, x->dtype, x->rank, dims);
    return OK;
}

static Status eval_tile(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    int64_t dims[MAX_RANK], index[MAX_RANK] = {0}, stride[MAX_RANK];
    const Tensor *x = in[0];

    if (in[1]->count != x->rank) return op_error(n, cx->diag, "repeats", "Tile: not one per dim");
    for (int i = 0; i < x->rank; i++)
        if (tensor_int(in[1], i) < 0 || !checked_mul_i64(x->dim[i], tensor_int(in[1], i), &dims[i]))
            return op_error(n, cx->diag, "repeats", "Tile: repeat %d is impossible", i);
    TRY(eval_out(cx, n, &out[0], x->dtype, x->rank, dims));
    eval_strides(x->rank, x->dim, stride);
    for (int64_t o = 0; o < out[0]->count; o++, eval_next(x->rank, dims, index)) {
        int64_t at = 0;
        for (int i = 0; i < x->rank; i++)
            at += index[i] % x->dim[i] * stride[i];
        eval_copy_element(out[0], o, x, at);
    }
    return OK;
}

static Status lower_tile(Build *b, const Node *n, Value **out)
{
    const Type *to = &n->out[0]->type, *x = in_type(n, 0);
    const Sx *idx[MAX_RANK];

    TRY(lower_movable(b, n, to->dtype));
    for (int i = 0; i < x->rank; i++) {
        idx[i] = sx_index(b->sx, i);
        if (dim_is(x->dim[i], 1))
            idx[i] = sx_i64(b, 0);
        else if (x->dim[i] != to->dim[i])
            idx[i] = sx_rem(b->sx, idx[i], sx_dim(b->sx, x->dim[i]));
    }
    out[0] =
        build_map(b, "tile", 1, n->in, to->dtype, to->rank, to->dim, sx_at(b, 0, n->in[0], idx));
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

const OpDef movement_ops[] = {
    {.name = "Identity",
     .since = 25,
     .about = "x",
     .in = (const PortDef[]){{.name = "input"}, {0}},
     .out = (const PortDef[]){{.name = "output"}, {0}},
     ROW(identity),
     .derive = derive_reshaped,
     .lower = lower_identity,
     .simplify = simplify_identity,
     .traits = VIEW | OP_IN_PLACE | OP_IDEMPOTENT | OP_MONOTONE | OP_ANY_RANK},
    {.name = "Reshape",
     .since = 25,
     .about = "the same elements in other dims",
     IN(PORT("data"), PORT_INT("shape")),
     .out = OUT_T("reshaped"),
     ATTRS(ATTR_I("allowzero", 0)),
     ROW(reshape),
     .derive = derive_reshaped,
     .lower = lower_reshape,
     .traits = VIEW | OP_IN_PLACE},
    {.name = "Flatten",
     .since = 25,
     .about = "as a matrix",
     IN(PORT("input")),
     .out = OUT_T("output"),
     ATTRS(ATTR_I("axis", 1)),
     ROW(flatten),
     .derive = derive_reshaped,
     .lower = lower_reshape,
     .traits = VIEW | OP_IN_PLACE},
    {.name = "Squeeze",
     .since = 25,
     .about = "without dims of 1",
     IN(PORT("data"), {.name = "axes", .types = DT_BIT(DT_I64), .optional = true}),
     .out = OUT_T("squeezed"),
     ROW(squeeze),
     .derive = derive_reshaped,
     .lower = lower_reshape,
     .traits = VIEW | OP_IN_PLACE},
    {.name = "Unsqueeze",
     .since = 25,
     .about = "with more dims of 1",
     IN(PORT("data"), PORT_INT("axes")),
     .out = OUT_T("expanded"),
     ROW(unsqueeze),
     .derive = derive_reshaped,
     .lower = lower_reshape,
     .traits = VIEW | OP_IN_PLACE},
    {.name = "Transpose",
     .since = 25,
     .about = "axes in another order",
     IN(PORT("data")),
     .out = OUT_T("transposed"),
     ATTRS(ATTR_OPT("perm", ATTR_INTS)),
     ROW(transpose),
     .derive = derive_transpose,
     .lower = lower_transpose,
     .traits = VIEW},
    {.name = "Expand",
     .since = 13,
     .about = "broadcast to dims",
     IN(PORT("input"), PORT_INT("shape")),
     .out = OUT_T("output"),
     ROW(expand),
     .lower = lower_expand,
     .traits = VIEW},
    {.name = "Tile",
     .since = 13,
     .about = "repeated along each axis",
     IN(PORT("input"), PORT_INT("repeats")),
     .out = OUT_T("output"),
     ROW(tile),
     .lower = lower_tile,
     .traits = VIEW},
    {0},
};
