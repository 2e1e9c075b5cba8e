/* rearrange.c: elements at computed places: Pad, CenterCropPad, Trilu, ReverseSequence.
 *
 * Pad and CenterCropPad are, as Slice is, a window on each axis. Their extents may be data:
 * inference then binds symbols, and lowering computes the same expressions again at its own
 * place. */
#include <string.h>

#include "ir/ops/ops_common.h"
#include "support/checked.h"

static Infer infer_of(Build *b)
{
    return (Infer){.module = b->module, .build = b, .diag = b->diag};
}

static int64_t clamp(int64_t v, int64_t low, int64_t high)
{
    return v < low ? low : v > high ? high : v;
}

/* ---- Pad ---- */

typedef enum PadMode { PAD_CONSTANT, PAD_REFLECT, PAD_EDGE, PAD_WRAP } PadMode;

static Status pad_mode(const Node *n, Diag *d, PadMode *mode)
{
    static const char *const name[] = {"constant", "reflect", "edge", "wrap"};
    const char *s = attr_string(n, "mode", "constant");

    for (int i = 0; i < 4; i++)
        if (strcmp(s, name[i]) == 0) {
            *mode = (PadMode)i;
            return OK;
        }
    return op_error(n, d, "mode", "Pad: found \"%s\", expected constant, reflect, edge or wrap", s);
}

/* On each axis: `crop` elements are cut at the start (negative pads), `kept` are left of the axis,
 * `begin` are put before them. */
typedef struct Padding {
    Dim begin[MAX_RANK], crop[MAX_RANK], kept[MAX_RANK], size[MAX_RANK];
} Padding;

static Status pad_padding(Infer *cx, Node *n, Padding *p)
{
    DimTable *t = &cx->module->dims;
    const Type *x = in_type(n, 0);
    const Dim *pads;
    Dim zero = dim_const(t, 0);
    AxisList axes;
    int count;

    TRY(infer_ranked(cx, n, 0));
    TRY(infer_axes(cx, n, 3, x->rank, x->rank, &axes));
    TRY(infer_elements(cx, n, 1, -DIM_TOP, DIM_TOP, &pads, &count));
    if (count != 2 * axes.n)
        return op_error(n, cx->diag, "pads", "Pad: %d pads for %d axes, expected two for each",
                        count, axes.n);
    for (int i = 0; i < x->rank; i++) {
        Dim before = axis_value(cx->build, &axes, pads, i, x->rank, 0, -DIM_TOP, DIM_TOP);
        Dim after = axis_value(cx->build, &axes, pads + axes.n, i, x->rank, 0, -DIM_TOP, DIM_TOP);
        p->begin[i] = dim_max(t, before, zero);
        p->crop[i] = dim_max(t, dim_mul_c(t, before, -1), zero);
        p->kept[i] = dim_sub(t, dim_add(t, x->dim[i], dim_min(t, after, zero)), p->crop[i]);
        p->size[i] = dim_add(t, x->dim[i], dim_add(t, before, after));
    }
    return cx->build->status;
}

static Status infer_pad(Infer *cx, Node *n)
{
    Padding p;
    PadMode mode;

    TRY(pad_mode(n, cx->diag, &mode));
    TRY(pad_padding(cx, n, &p));
    for (int i = 0; i < in_type(n, 0)->rank; i++) {
        if (p.size[i]->hi < 0)
            return op_error(n, cx->diag, "pads", "Pad: dim %d would be negative", i);
        if (mode != PAD_CONSTANT && p.kept[i]->hi <= 0 && p.size[i]->lo > 0)
            return op_error(n, cx->diag, "pads", "Pad: nothing is left of dim %d to repeat", i);
        p.size[i] = dim_max(&cx->module->dims, p.size[i], dim_const(&cx->module->dims, 0));
    }
    infer_out(cx, n, 0, in_type(n, 0)->dtype, in_type(n, 0)->rank, p.size);
    return OK;
}

/* Where element i of the padded axis is read; i counts from the first kept element. -1: nowhere. */
static int64_t pad_source(PadMode mode, int64_t i, int64_t kept)
{
    int64_t period = 2 * (kept - 1), m;

    if (i >= 0 && i < kept) return i;
    switch (mode) {
    case PAD_CONSTANT:
        return -1;
    case PAD_EDGE:
        return i < 0 ? 0 : kept - 1;
    case PAD_WRAP:
        m = i % kept;
        return m < 0 ? m + kept : m;
    case PAD_REFLECT:
        if (period == 0) return 0;
        m = (i % period + period) % period;
        return m < period - m ? m : period - m;
    }
    return -1;
}

typedef struct PadPlan {
    int64_t begin[MAX_RANK], crop[MAX_RANK], kept[MAX_RANK], dims[MAX_RANK];
} PadPlan;

static Status pad_plan(Eval *cx, const Node *n, const Tensor *const *in, PadMode mode, PadPlan *p)
{
    const Tensor *x = in[0], *axes = n->n_in > 3 ? in[3] : NULL;
    int64_t n_axes = axes ? axes->count : x->rank;

    if (in[1]->count != 2 * n_axes)
        return op_error(n, cx->diag, "pads", "Pad: not two pads for each axis");
    for (int i = 0; i < x->rank; i++) {
        p->begin[i] = p->crop[i] = 0;
        p->kept[i] = p->dims[i] = x->dim[i];
    }
    for (int64_t i = 0; i < n_axes; i++) {
        int64_t a = axes ? tensor_int(axes, i) : i;
        int64_t before = tensor_int(in[1], i), after = tensor_int(in[1], i + n_axes);
        TRY(eval_index(cx, n, x->rank, &a));
        if (before > DIM_TOP || before < -DIM_TOP || after > DIM_TOP || after < -DIM_TOP)
            return op_error(n, cx->diag, "pads", "Pad: axis %d: impossible", (int)a);
        p->begin[a] = before > 0 ? before : 0;
        p->crop[a] = before < 0 ? -before : 0;
        p->kept[a] = x->dim[a] - p->crop[a] + (after < 0 ? after : 0);
        p->dims[a] = x->dim[a] + before + after;
        if (p->dims[a] < 0 || (mode != PAD_CONSTANT && p->kept[a] <= 0 && p->dims[a] > 0))
            return op_error(n, cx->diag, "pads", "Pad: axis %d: impossible", (int)a);
    }
    return OK;
}

static Status eval_pad(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    const Tensor *x = in[0], *fill = n->n_in > 2 ? in[2] : NULL;
    int64_t index[MAX_RANK] = {0}, stride[MAX_RANK];
    PadMode mode;
    PadPlan p;

    TRY(pad_mode(n, cx->diag, &mode));
    TRY(pad_plan(cx, n, in, mode, &p));
    if (fill && fill->count != 1)
        return op_error(n, cx->diag, "constant_value", "Pad: the value must be a scalar");
    TRY(eval_out(cx, n, &out[0], x->dtype, x->rank, p.dims));
    eval_strides(x->rank, x->dim, stride);
    for (int64_t o = 0; o < out[0]->count; o++, eval_next(x->rank, p.dims, index)) {
        int64_t at = 0;
        bool inside = true;
        for (int i = 0; i < x->rank; i++) {
            int64_t from = pad_source(mode, index[i] - p.begin[i], p.kept[i]);
            inside &= from >= 0;
            at += (from + p.crop[i]) * stride[i];
        }
        if (inside)
            eval_copy_element(out[0], o, x, at);
        else if (fill)
            eval_copy_element(out[0], o, fill, 0);
    }
    return OK;
}

/* Whether no element is read from further than one period away. */
static bool is_near(Build *b, PadMode mode, const Padding *p, int axis)
{
    Dim after = dim_sub(b->dims, dim_sub(b->dims, p->size[axis], p->begin[axis]), p->kept[axis]);
    int64_t most = p->kept[axis]->lo - (mode == PAD_REFLECT);

    return p->begin[axis]->hi <= most && after->hi <= most;
}

/* pad_source as an expression, where it is somewhere. */
static const Sx *pad_source_sx(Build *b, PadMode mode, const Sx *i, Dim kept, bool near)
{
    SxTable *t = b->sx;
    const Sx *k = sx_dim(t, kept), *zero = sx_i64(b, 0), *one = sx_i64(b, 1), *m, *period;

    switch (mode) {
    case PAD_CONSTANT:
        return i;
    case PAD_EDGE:
        return sx_min(t, sx_max(t, i, zero), sx_sub(t, k, one));
    case PAD_WRAP:
        if (!near) return sx_floor_mod(t, i, k);
        i = sx_select(t, sx_lt(t, i, zero), sx_add(t, i, k), i);
        return sx_select(t, sx_lt(t, i, k), i, sx_sub(t, i, k));
    case PAD_REFLECT:
        period = sx_mul(t, sx_i64(b, 2), sx_sub(t, k, one));
        m = near ? sx_abs(t, i) : sx_floor_mod(t, i, period); /* 0 where the period is */
        return sx_min(t, m, sx_sub(t, period, m));
    }
    return i;
}

/* What cannot be chosen between two values, strings and complex numbers: one load from the elements
 * with `fill` behind them. */
static Value *build_moved_window(Build *b, const char *label, const Node *n, Value *fill,
                                 const Sx *const *idx, const Sx *guard)
{
    SxTable *t = b->sx;
    const Type *x = in_type(n, 0), *to = &n->out[0]->type;
    Dim count = type_count(b->dims, x), one = dim_const(b->dims, 1);
    Value *in[2] = {build_reshape(b, n->in[0], 1, &count), build_reshape(b, fill, 1, &one)}, *all;
    const Sx *at = sx_i64(b, 0);

    all = build_concat(b, 2, in, 0);
    if (!all) return NULL;
    for (int i = 0; i < x->rank; i++)
        at = sx_add(t, sx_mul(t, at, sx_dim(t, x->dim[i])), idx[i]);
    at = sx_select(t, guard, at, sx_dim(t, count));
    return build_map(b, label, 1, &all, to->dtype, to->rank, to->dim,
                     sx_load_flat(t, to->dtype, 0, at, NULL));
}

/* A load of in[0] at idx; where the guard is false: the scalar operand `fill`, or 0 (NULL). */
static Value *build_window(Build *b, const char *label, const Node *n, Value *fill,
                           const Sx *const *idx, const Sx *guard)
{
    const Type *to = &n->out[0]->type;
    Value *in[2] = {n->in[0], fill};
    const Sx *e = sx_at_guarded(b, 0, n->in[0], idx, guard);

    if (guard && fill) build_require_one(b, fill);
    if (guard && fill && !(T_PLAIN & DT_BIT(to->dtype)))
        return build_moved_window(b, label, n, fill, idx, guard);
    if (guard && fill) e = sx_select(b->sx, guard, e, sx_scalar(b, 1, fill));
    return build_map(b, label, guard && fill ? 2 : 1, in, to->dtype, to->rank, to->dim, e);
}

static bool is_zero_bits(const Value *v)
{
    return v->data && v->data->count == 1 && dtype_bytes(v->data->dtype) <= 8 &&
           dtype_load_bits(v->data->dtype, v->data->data) == 0;
}

/* At run time there is something to repeat, or nothing is padded. */
static void require_kept(Build *b, Dim kept, Dim size)
{
    SxTable *t = b->sx;
    const Sx *zero = sx_i64(b, 0), *bad;

    if (kept->lo > 0) return;
    bad = sx_and(t, sx_lt(t, zero, sx_dim(t, size)), sx_le(t, sx_dim(t, kept), zero));
    dim_of_sx(b, 0, NULL, sx_cast(t, bad, DT_I64), 0, 0);
}

/* Padded without a constant: rows lie next to each other but for their ends, which are pieces of
 * their own. `idx`: of the other axes. */
static Value *pad_rows(Build *b, const Node *n, PadMode mode, const Padding *p, const Sx **idx)
{
    SxTable *t = b->sx;
    const Type *to = &n->out[0]->type;
    int last = to->rank - 1, n_piece = 0;
    Dim begin = p->begin[last], kept = p->kept[last], dims[MAX_RANK];
    Dim size[3] = {begin, kept, dim_sub(b->dims, dim_sub(b->dims, p->size[last], begin), kept)};
    const Sx *i = sx_index(t, last);
    const Sx *at[3] = {sx_sub(t, i, sx_dim(t, begin)), i, sx_add(t, i, sx_dim(t, kept))};
    Value *piece[3];

    memcpy(dims, to->dim, sizeof(Dim) * (size_t)to->rank);
    for (int k = 0; k < 3; k++) {
        if (dim_is(size[k], 0)) continue;
        dims[last] = size[k];
        idx[last] = k == 1 ? i : pad_source_sx(b, mode, at[k], kept, is_near(b, mode, p, last));
        idx[last] = sx_add(t, idx[last], sx_dim(t, p->crop[last]));
        piece[n_piece++] = build_map(b, "pad", 1, (Value *[]){n->in[0]}, to->dtype, to->rank, dims,
                                     sx_at_guarded(b, 0, n->in[0], idx, NULL));
    }
    return n_piece == 1 ? piece[0] : build_concat(b, n_piece, piece, last);
}

static Status lower_pad(Build *b, const Node *n, Value **out)
{
    SxTable *t = b->sx;
    const Type *to = &n->out[0]->type;
    const Sx *idx[MAX_RANK], *guard = NULL;
    Value *fill = has_in(n, 2) && !is_zero_bits(n->in[2]) ? n->in[2] : NULL;
    Infer cx = infer_of(b);
    PadMode mode;
    Padding p;
    bool padded = false; /* axis i */

    TRY(lower_movable(b, n, to->dtype));
    TRY(pad_mode(n, b->diag, &mode));
    TRY(pad_padding(&cx, (Node *)(uintptr_t)n, &p));
    for (int i = 0; i < to->rank; i++) {
        idx[i] = sx_index(t, i);
        padded =
            !dim_is(p.begin[i], 0) || !dim_is(p.crop[i], 0) || p.size[i] != in_type(n, 0)->dim[i];
        if (!padded) continue;
        idx[i] = sx_sub(t, idx[i], sx_dim(t, p.begin[i]));
        if (mode == PAD_CONSTANT)
            guard = sx_both(
                b, guard,
                sx_and(t, sx_le(t, sx_i64(b, 0), idx[i]), sx_lt(t, idx[i], sx_dim(t, p.kept[i]))));
        else
            require_kept(b, p.kept[i], p.size[i]);
        idx[i] = pad_source_sx(b, mode, idx[i], p.kept[i], is_near(b, mode, &p, i));
        idx[i] = sx_add(t, idx[i], sx_dim(t, p.crop[i]));
    }
    out[0] = padded && mode != PAD_CONSTANT ? pad_rows(b, n, mode, &p, idx)
                                            : build_window(b, "pad", n, fill, idx, guard);
    return b->status;
}

/* ---- CenterCropPad ---- */

static Status crop_sizes(Infer *cx, Node *n, Dim *sizes)
{
    const Type *x = in_type(n, 0);
    int n_attr, count;
    const int64_t *axes = attr_ints(n, "axes", &n_attr);
    const Dim *asked;

    TRY(infer_ranked(cx, n, 0));
    TRY(infer_elements(cx, n, 1, 0, DIM_TOP, &asked, &count));
    if (count != (axes ? n_attr : x->rank))
        return op_error(n, cx->diag, "shape", "CenterCropPad: %d extents for %d axes", count,
                        axes ? n_attr : x->rank);
    for (int i = 0; i < x->rank; i++)
        sizes[i] = x->dim[i];
    for (int i = 0; i < count; i++) {
        int a = i;
        if (axes) TRY(infer_axis(n, cx->diag, "axes", axes[i], x->rank, &a));
        sizes[a] = asked[i];
    }
    return OK;
}

static Status infer_center_crop_pad(Infer *cx, Node *n)
{
    Dim sizes[MAX_RANK];

    TRY(crop_sizes(cx, n, sizes));
    infer_out(cx, n, 0, in_type(n, 0)->dtype, in_type(n, 0)->rank, sizes);
    return OK;
}

static Status eval_center_crop_pad(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    const Tensor *x = in[0];
    int n_attr;
    const int64_t *axes = attr_ints(n, "axes", &n_attr);
    int64_t dims[MAX_RANK], index[MAX_RANK] = {0}, stride[MAX_RANK], shift[MAX_RANK];

    if (in[1]->count != (axes ? n_attr : x->rank))
        return op_error(n, cx->diag, "shape", "CenterCropPad: not one extent for each axis");
    for (int i = 0; i < x->rank; i++)
        dims[i] = x->dim[i];
    for (int64_t i = 0; i < in[1]->count; i++) {
        int64_t a = axes ? axes[i] : i;
        TRY(eval_index(cx, n, x->rank, &a));
        dims[a] = tensor_int(in[1], i);
    }
    TRY(eval_out(cx, n, &out[0], x->dtype, x->rank, dims));
    eval_strides(x->rank, x->dim, stride);
    for (int i = 0; i < x->rank; i++) /* the start of the crop; minus the padding before */
        shift[i] = x->dim[i] > dims[i] ? (x->dim[i] - dims[i]) / 2 : -((dims[i] - x->dim[i]) / 2);
    for (int64_t o = 0; o < out[0]->count; o++, eval_next(x->rank, dims, index)) {
        int64_t at = 0;
        bool inside = true;
        for (int i = 0; i < x->rank; i++) {
            int64_t from = index[i] + shift[i];
            inside &= from >= 0 && from < x->dim[i];
            at += from * stride[i];
        }
        if (inside) eval_copy_element(out[0], o, x, at);
    }
    return OK;
}

static Status lower_center_crop_pad(Build *b, const Node *n, Value **out)
{
    const Type *x = in_type(n, 0), *to = &n->out[0]->type;
    DimTable *t = b->dims;
    const Sx *idx[MAX_RANK], *guard = NULL;
    Dim zero = dim_const(t, 0), two = dim_const(t, 2);

    TRY(lower_movable(b, n, to->dtype));
    for (int i = 0; i < x->rank; i++) {
        Dim more = dim_sub(t, x->dim[i], to->dim[i]);
        Dim crop = dim_div(t, dim_max(t, more, zero), two);
        Dim pad = dim_div(t, dim_max(t, dim_mul_c(t, more, -1), zero), two);
        idx[i] = sx_add(b->sx, sx_index(b->sx, i), sx_dim(b->sx, dim_sub(t, crop, pad)));
        if (more->lo < 0)
            guard = sx_both(b, guard, sx_inside(b, idx[i], x->dim[i], to->rank, to->dim));
    }
    out[0] = build_window(b, "crop", n, NULL, idx, guard);
    return b->status;
}

/* ---- Trilu ---- */

static Status infer_trilu(Infer *cx, Node *n)
{
    TRY(infer_ranked(cx, n, 0));
    if (in_type(n, 0)->rank < 2)
        return op_error(n, cx->diag, NULL, "Trilu: rank %d, at least 2 is needed",
                        in_type(n, 0)->rank);
    infer_same(cx, n, 0, 0);
    return OK;
}

static Status eval_trilu(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    const Tensor *x = in[0], *kt = n->n_in > 1 ? in[1] : NULL;
    int64_t k = 0, rows = x->dim[x->rank - 2], columns = x->dim[x->rank - 1];
    bool upper = attr_int(n, "upper", 1) != 0;

    if (kt && kt->count != 1) return op_error(n, cx->diag, "k", "Trilu: k must be a scalar");
    if (kt) k = clamp(tensor_int(kt, 0), -DIM_TOP, DIM_TOP);
    TRY(eval_out(cx, n, &out[0], x->dtype, x->rank, x->dim));
    for (int64_t o = 0; o < x->count; o++) {
        int64_t i = o / columns % rows, j = o % columns;
        if (upper ? j - i >= k : j - i <= k) eval_copy_element(out[0], o, x, o);
    }
    return OK;
}

static Status lower_trilu(Build *b, const Node *n, Value **out)
{
    const Type *to = &n->out[0]->type;
    SxTable *t = b->sx;
    const Sx *k = sx_i64(b, 0), *idx[MAX_RANK], *d, *keep;
    Value *in[2] = {n->in[0], has_in(n, 1) ? n->in[1] : NULL};

    TRY(lower_movable(b, n, to->dtype));
    for (int i = 0; i < to->rank; i++)
        idx[i] = sx_index(t, i);
    if (in[1] && in[1]->data && in[1]->data->count == 1) {
        k = sx_i64(b, clamp(tensor_int(in[1]->data, 0), -DIM_TOP, DIM_TOP));
        in[1] = NULL;
    } else if (in[1]) {
        build_require_one(b, in[1]);
        k = sx_scalar(b, 1, in[1]);
    }
    d = sx_sub(t, idx[to->rank - 1], idx[to->rank - 2]);
    keep = attr_int(n, "upper", 1) ? sx_le(t, k, d) : sx_le(t, d, k);
    out[0] = build_map(b, "trilu", in[1] ? 2 : 1, in, to->dtype, to->rank, to->dim,
                       sx_at_guarded(b, 0, n->in[0], idx, keep));
    return b->status;
}

/* ---- ReverseSequence ---- */

static Status reverse_axes(const Node *n, Diag *d, int rank, int *time, int *batch)
{
    TRY(infer_axis(n, d, "time_axis", attr_int(n, "time_axis", 0), rank, time));
    TRY(infer_axis(n, d, "batch_axis", attr_int(n, "batch_axis", 1), rank, batch));
    if (*time == *batch)
        return op_error(n, d, "time_axis", "ReverseSequence: it is the batch axis too");
    return OK;
}

static Status infer_reverse_sequence(Infer *cx, Node *n)
{
    int time, batch;

    TRY(infer_ranked(cx, n, 0));
    TRY(infer_ranked(cx, n, 1));
    TRY(reverse_axes(n, cx->diag, in_type(n, 0)->rank, &time, &batch));
    if (in_type(n, 1)->rank != 1 ||
        dim_distinct(&cx->module->dims, in_type(n, 1)->dim[0], in_type(n, 0)->dim[batch]))
        return op_error(n, cx->diag, "sequence_lens", "ReverseSequence: not one for each batch");
    infer_same(cx, n, 0, 0);
    return OK;
}

static Status eval_reverse_sequence(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    const Tensor *x = in[0];
    int64_t index[MAX_RANK] = {0}, stride[MAX_RANK];
    int time, batch;

    TRY(reverse_axes(n, cx->diag, x->rank, &time, &batch));
    if (in[1]->count != x->dim[batch])
        return op_error(n, cx->diag, "sequence_lens", "ReverseSequence: not one for each batch");
    TRY(eval_out(cx, n, &out[0], x->dtype, x->rank, x->dim));
    eval_strides(x->rank, x->dim, stride);
    for (int64_t o = 0; o < x->count; o++, eval_next(x->rank, x->dim, index)) {
        int64_t length = tensor_int(in[1], index[batch]), t = index[time];
        if (length > x->dim[time]) length = x->dim[time];
        eval_copy_element(out[0], o, x, t < length ? o + (length - 1 - 2 * t) * stride[time] : o);
    }
    return OK;
}

static Status lower_reverse_sequence(Build *b, const Node *n, Value **out)
{
    const Type *to = &n->out[0]->type;
    SxTable *t = b->sx;
    const Sx *idx[MAX_RANK], *length;
    int time, batch;

    TRY(lower_movable(b, n, to->dtype));
    TRY(reverse_axes(n, b->diag, to->rank, &time, &batch));
    build_require_equal(b, in_type(n, 1)->dim[0], to->dim[batch]);
    for (int i = 0; i < to->rank; i++)
        idx[i] = sx_index(t, i);
    length = sx_min(t, sx_at(b, 1, n->in[1], &idx[batch]), sx_dim(t, to->dim[time]));
    idx[time] = sx_select(t, sx_lt(t, idx[time], length),
                          sx_sub(t, sx_sub(t, length, sx_i64(b, 1)), idx[time]), idx[time]);
    out[0] =
        build_map(b, "reverse", 2, n->in, to->dtype, to->rank, to->dim, sx_at(b, 0, n->in[0], idx));
    return b->status;
}

/* ---- the table ---- */

#define T_INDEX (DT_BIT(DT_I32) | DT_BIT(DT_I64))
#define PORT(n)                                                                                    \
    {                                                                                              \
        .name = n, .types = T_ANY, .var = "T"                                                      \
    }
#define PORT_I64(n)                                                                                \
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
#define ROW(f) .infer = infer_##f, .eval = eval_##f, .lower = lower_##f, .quant = QUANT_MOVE
#define VIEW   OP_PURE | OP_VIEW

const OpDef rearrange_ops[] = {
    {.name = "Pad",
     .since = 25,
     .about = "more elements around, or fewer",
     IN(PORT("data"), PORT_I64("pads"),
        {.name = "constant_value", .types = T_ANY, .var = "T", .optional = true},
        {.name = "axes", .types = T_INDEX, .optional = true}),
     .out = OUT_T("output"),
     ATTRS(ATTR_S("mode", "constant")),
     ROW(pad),
     .traits = OP_PURE | OP_FILLS},
    {.name = "CenterCropPad",
     .since = 18,
     .about = "the middle, cut or padded to given dims",
     IN(PORT("input_data"), {.name = "shape", .types = T_INDEX}),
     .out = OUT_T("output_data"),
     ATTRS(ATTR_OPT("axes", ATTR_INTS)),
     ROW(center_crop_pad),
     .traits = OP_PURE | OP_FILLS},
    {.name = "Trilu",
     .since = 14,
     .about = "the upper or lower triangle, else 0",
     IN(PORT("input"), {.name = "k", .types = DT_BIT(DT_I64), .optional = true}),
     .out = OUT_T("output"),
     ATTRS(ATTR_I("upper", 1)),
     ROW(trilu),
     .traits = OP_PURE | OP_FILLS},
    {.name = "ReverseSequence",
     .since = 28,
     .about = "each sequence turned round",
     IN(PORT("input"), PORT_I64("sequence_lens")),
     .out = OUT_T("Y"),
     ATTRS(ATTR_I("batch_axis", 1), ATTR_I("time_axis", 0)),
     ROW(reverse_sequence),
     .traits = VIEW},
    {0},
};
