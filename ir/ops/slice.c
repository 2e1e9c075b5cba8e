/* slice.c: Slice: a window on each axis, where output index i reads input index i * step + start.
 *
 * Starts, ends, axes and steps may be data, and so may be how many there are: inference then binds
 * symbols, and lowering computes the same expressions again at its own place. */
#include "ir/ops/ops_common.h"
#include "support/checked.h"

static Infer infer_of(Build *b)
{
    return (Infer){.module = b->module, .build = b, .diag = b->diag};
}

typedef struct Window {
    Dim start[MAX_RANK], size[MAX_RANK], step[MAX_RANK];
} Window;

#define FAR      (INT64_MAX / 4)
#define STEP_FAR (1 << 20)

/* Data may say anything: near enough to zero that adding an extent cannot overflow. */
static Dim slice_within(Build *b, Dim asked)
{
    asked = dim_min(b->dims, asked, dim_const(b->dims, FAR));
    return dim_max(b->dims, asked, dim_const(b->dims, -FAR));
}

/* A bound as the model gives it; constants far outside of any axis are the usual "to the end". */
static Dim slice_bound(Build *b, Dim asked, Dim extent)
{
    if (dim_is_const(asked) && asked->value > DIM_TOP) return extent;
    if (dim_is_const(asked) && asked->value < -DIM_TOP) return dim_const(b->dims, -1);
    return dim_from_end(b, slice_within(b, asked), extent);
}

static void slice_axis(Build *b, Dim start, Dim end, int64_t step, Dim d, Dim *from, Dim *size)
{
    DimTable *t = b->dims;
    Dim zero = dim_const(t, 0), last = dim_add_c(t, d, -1), span;

    start = slice_bound(b, start, d);
    end = slice_bound(b, end, d);
    if (step > 0) {
        *from = dim_min(t, dim_max(t, start, zero), d);
        span = dim_sub(t, dim_min(t, end, d), *from);
    } else {
        *from = dim_max(t, dim_min(t, start, last), zero);
        span = dim_sub(t, dim_min(t, start, last), dim_max(t, end, dim_const(t, -1)));
    }
    if (step != 1) span = dim_ceil_div(t, span, dim_const(t, step < 0 ? -step : step));
    *size = dim_max(t, span, zero);
}

/* As slice_axis, where the step or the axis is data: by selection. A step of 0 gives -1, which is
 * out of the bounds of the symbol. */
static void slice_axis_at_run(Build *b, Dim start, Dim end, Dim step, Dim d, Window *w, int i)
{
    SxTable *t = b->sx;
    const Sx *x[2] = {sx_dim(t, slice_within(b, start)), sx_dim(t, slice_within(b, end))};
    const Sx *s = sx_dim(t, step), *n = sx_dim(t, d);
    const Sx *zero = sx_i64(b, 0), *one = sx_i64(b, 1), *minus = sx_i64(b, -1);
    const Sx *up = sx_lt(t, zero, s), *span;

    for (int k = 0; k < 2; k++) {
        x[k] = sx_select(t, sx_lt(t, x[k], zero), sx_add(t, x[k], n), x[k]);
        x[k] = sx_max(t, x[k], sx_select(t, up, zero, minus));
        x[k] = sx_min(t, x[k], sx_select(t, up, n, sx_sub(t, n, one)));
    }
    span = sx_select(t, up, sx_sub(t, x[1], x[0]), sx_sub(t, x[0], x[1]));
    span = sx_select(t, sx_lt(t, zero, span),
                     sx_add(t, sx_div(t, sx_sub(t, span, one), sx_abs(t, s)), one), zero);
    span = sx_select(t, sx_eq(t, s, zero), minus, span);
    w->size[i] = dim_of_sx(b, 0, NULL, span, 0, d->hi);
    w->start[i] = dim_of_sx(b, 0, NULL, sx_max(t, x[0], zero), 0, d->hi);
}

/* starts, ends and steps as the node gives them; steps of 1 where it gives none. */
typedef struct SliceInputs {
    AxisList axes;
    const Dim *start, *end, *step;
} SliceInputs;

/* The length of starts, ends, axes or steps is open: the graph does not say how many axes are cut.
 */
static bool slice_is_open(const Node *n)
{
    for (int k = 1; k < n->n_in; k++) {
        const Type *t = n->in[k] ? in_type(n, k) : NULL;
        if (t && t->rank == 1 && !dim_is_const(t->dim[0])) return true;
    }
    return false;
}

/* Of the `count` entries of list k those that are for axis i: how many there are with k == 0, else
 * their sum, less `absent` each; exact for the one that may be there, however it wraps. */
static Value *slice_entries(Build *b, const Node *n, int k, int i, Dim count, int64_t absent)
{
    SxTable *t = b->sx;
    Value *in[2] = {has_in(n, 3) ? n->in[3] : NULL, k ? n->in[k] : NULL};
    const Sx *at = sx_index(t, 0), *axis = at, *entry = sx_i64(b, 1), *absent_sx;
    Acc acc = {.monoid = MONOID_SUM, .dtype = DT_I64};
    int named = in[0] ? 1 : 0;

    if (in[0]) axis = sx_cast(t, sx_at(b, 0, in[0], &at), DT_I64);
    if (k) entry = sx_sub(t, sx_cast(t, sx_at(b, named, in[1], &at), DT_I64), sx_i64(b, absent));
    absent_sx = k ? sx_i64(b, absent) : sx_i64(b, 0);
    acc.body = sx_select(
        t,
        sx_or(t, sx_eq(t, axis, sx_i64(b, i)), sx_eq(t, axis, sx_i64(b, i - in_type(n, 0)->rank))),
        entry, sx_i64(b, 0));
    return build_reduce(b, "slice", named + (k ? 1 : 0), named ? in : in + 1, 0, NULL, 1, &count,
                        ORDER_CHAIN, acc, DT_I64, sx_add(t, sx_acc(t, 0, DT_I64), absent_sx));
}

/* As slice_inputs, where the lists have open lengths: an entry for every axis of the data. An axis
 * that stands twice, or is none, does not let the number of entries add up. */
static Status slice_inputs_open(Infer *cx, Node *n, SliceInputs *s)
{
    Build *b = cx->build;
    int rank = in_type(n, 0)->rank;
    Dim count = in_type(n, 1)->dim[0], found = dim_const(b->dims, 0);
    Dim *d = ARENA_ARRAY(cx->module->arena, Dim, 3 * MAX_RANK);

    *s = (SliceInputs){.axes = {.n = rank, .known = true}, .start = d, .end = d + MAX_RANK};
    s->step = d + 2 * MAX_RANK;
    for (int k = 2; k < n->n_in; k++)
        if (n->in[k]) build_require_equal(b, in_type(n, k)->dim[0], count);
    for (int i = 0; i < rank; i++) {
        s->axes.axis[i] = i;
        found = dim_add(b->dims, found,
                        build_bind(b, slice_entries(b, n, 0, i, count, 0), 0, "named", 0, 1));
        d[i] = build_bind(b, slice_entries(b, n, 1, i, count, 0), 0, "d", INT64_MIN, INT64_MAX);
        d[MAX_RANK + i] = build_bind(b, slice_entries(b, n, 2, i, count, INT64_MAX), 0, "d",
                                     INT64_MIN, INT64_MAX);
        d[2 * MAX_RANK + i] = has_in(n, 4) ? build_bind(b, slice_entries(b, n, 4, i, count, 1), 0,
                                                        "d", INT64_MIN, INT64_MAX)
                                           : dim_const(b->dims, 1);
    }
    build_require_equal(b, found, count);
    return b->status;
}

static Status slice_inputs(Infer *cx, Node *n, SliceInputs *s)
{
    int count, ends, steps;

    if (slice_is_open(n)) return slice_inputs_open(cx, n, s);
    TRY(infer_elements(cx, n, 1, INT64_MIN, INT64_MAX, &s->start, &count));
    TRY(infer_elements(cx, n, 2, INT64_MIN, INT64_MAX, &s->end, &ends));
    TRY(infer_elements(cx, n, 4, INT64_MIN, INT64_MAX, &s->step, &steps));
    if (count > in_type(n, 0)->rank)
        return op_error(n, cx->diag, "starts", "Slice: %d starts for rank %d", count,
                        in_type(n, 0)->rank);
    TRY(infer_axes(cx, n, 3, in_type(n, 0)->rank, count, &s->axes));
    if (ends != count || s->axes.n != count || (s->step && steps != count))
        return op_error(n, cx->diag, NULL, "Slice: %d starts, %d ends, %d axes, %d steps", count,
                        ends, s->axes.n, s->step ? steps : count);
    if (s->step) return OK;
    Dim *ones = ARENA_ARRAY(cx->module->arena, Dim, count);
    for (int i = 0; i < count; i++)
        ones[i] = dim_const(&cx->module->dims, 1);
    s->step = ones;
    return OK;
}

/* What is as far as the axis is long goes as far as any longer one, and its strides stay small. */
static Dim step_within(DimTable *t, Dim step, Dim extent)
{
    Dim most = dim_max(t, extent, dim_const(t, 1));

    if (dim_is_const(step) && step->value <= STEP_FAR && step->value >= -STEP_FAR) return step;
    return dim_max(t, dim_min(t, step, most), dim_mul(t, most, dim_const(t, -1)));
}

static Status slice_window(Infer *cx, Node *n, Window *w)
{
    DimTable *t = &cx->module->dims;
    Build *b = cx->build;
    const Type *x = in_type(n, 0);
    SliceInputs s;

    TRY(infer_ranked(cx, n, 0));
    TRY(slice_inputs(cx, n, &s));
    for (int i = 0; i < x->rank; i++) {
        bool named = !s.axes.known;
        for (int k = 0; k < s.axes.n && s.axes.known; k++)
            named |= s.axes.axis[k] == i;
        w->start[i] = dim_const(t, 0);
        w->size[i] = x->dim[i];
        w->step[i] = dim_const(t, 1);
        if (!named) continue;
        Dim start = axis_value(b, &s.axes, s.start, i, x->rank, 0, INT64_MIN, INT64_MAX);
        Dim end = axis_value(b, &s.axes, s.end, i, x->rank, DIM_TOP, INT64_MIN, INT64_MAX);
        Dim step = axis_value(b, &s.axes, s.step, i, x->rank, 1, INT64_MIN, INT64_MAX);
        step = slice_within(b, step); /* beyond any extent, all steps are alike */
        if (dim_is(step, 0))
            return op_error(n, cx->diag, "steps", "Slice: the step on axis %d is impossible", i);
        if (dim_is_const(step))
            slice_axis(b, start, end, step->value, x->dim[i], &w->start[i], &w->size[i]);
        else
            slice_axis_at_run(b, start, end, step, x->dim[i], w, i);
        w->step[i] = step_within(t, step, x->dim[i]);
    }
    return b->status;
}

static void slice_contents(Infer *cx, Node *n, const Window *w)
{
    int count;
    const Dim *x = contents_of(cx, n->in[0], &count);
    Dim *part;

    if (!x || in_type(n, 0)->rank != 1) return;
    if (!dim_is_const(w->start[0]) || !dim_is_const(w->size[0]) || !dim_is_const(w->step[0]))
        return;
    part = ARENA_ARRAY(cx->module->arena, Dim, w->size[0]->value);
    for (int64_t i = 0; i < w->size[0]->value; i++)
        part[i] = x[w->start[0]->value + i * w->step[0]->value];
    infer_contents(cx, n, 0, (int)w->size[0]->value, part);
}

static Status infer_slice(Infer *cx, Node *n)
{
    Window w;

    TRY(slice_window(cx, n, &w));
    infer_out(cx, n, 0, in_type(n, 0)->dtype, in_type(n, 0)->rank, w.size);
    slice_contents(cx, n, &w);
    return OK;
}

static int64_t clamp(int64_t v, int64_t low, int64_t high)
{
    return v < low ? low : v > high ? high : v;
}

static Status eval_slice(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    const Tensor *x = in[0], *axes = n->n_in > 3 ? in[3] : NULL,
                 *steps = n->n_in > 4 ? in[4] : NULL;
    int64_t dims[MAX_RANK], stride[MAX_RANK], offset = 0;

    eval_strides(x->rank, x->dim, stride);
    for (int i = 0; i < x->rank; i++)
        dims[i] = x->dim[i];
    if (in[2]->count != in[1]->count || (axes && axes->count != in[1]->count) ||
        (steps && steps->count != in[1]->count) || in[1]->count > x->rank)
        return op_error(n, cx->diag, NULL, "Slice: the inputs differ in length");
    for (int64_t i = 0; i < in[1]->count; i++) {
        int64_t a = axes ? tensor_int(axes, i) : i, step = steps ? tensor_int(steps, i) : 1, d;
        int64_t start = tensor_int(in[1], i), end = tensor_int(in[2], i), span;

        TRY(eval_index(cx, n, x->rank, &a));
        step = clamp(step, -FAR, FAR);
        if (step == 0)
            return op_error(n, cx->diag, "steps", "Slice: step %d is impossible", (int)i);
        d = x->dim[a];
        if (start < 0) start = sat_add(start, d);
        if (end < 0) end = sat_add(end, d);
        start = step > 0 ? clamp(start, 0, d) : clamp(start, -1, d - 1);
        end = step > 0 ? clamp(end, 0, d) : clamp(end, -1, d - 1);
        span = step > 0 ? end - start : start - end;
        dims[a] = span <= 0 ? 0 : (span - 1) / (step < 0 ? -step : step) + 1;
        if (dims[a] > 0) offset += start * stride[a];
        stride[a] = dims[a] > 1 ? stride[a] * step : 0;
    }
    TRY(eval_out(cx, n, &out[0], x->dtype, x->rank, dims));
    eval_copy_strided(out[0], x, offset, stride);
    return OK;
}

static Status lower_slice(Build *b, const Node *n, Value **out)
{
    const Type *to = &n->out[0]->type;
    const Sx *idx[MAX_RANK];
    Infer cx = infer_of(b);
    Window w;

    TRY(lower_movable(b, n, to->dtype));
    TRY(slice_window(&cx, (Node *)(uintptr_t)n, &w));
    for (int i = 0; i < to->rank; i++) /* of one element no step is made, however far it goes */
        idx[i] = to->dim[i]->hi > 1 ? sx_affine(b, sx_index(b->sx, i), w.step[i], w.start[i])
                                    : sx_dim(b->sx, w.start[i]);
    out[0] = type_equal(to, in_type(n, 0)) && to->rank == 0
                 ? n->in[0]
                 : build_map(b, "slice", 1, n->in, to->dtype, to->rank, to->dim,
                             sx_at(b, 0, n->in[0], idx));
    return b->status;
}

#define T_INDEX (DT_BIT(DT_I32) | DT_BIT(DT_I64))
#define INDEX(n, o)                                                                                \
    {                                                                                              \
        .name = n, .types = T_INDEX, .var = "Tind", .optional = o                                  \
    }

const OpDef slice_ops[] = {
    {.name = "Slice",
     .since = 13,
     .about = "from start to end by steps",
     .in = (const PortDef[]){{.name = "data", .types = T_ANY, .var = "T"},
                             INDEX("starts", false),
                             INDEX("ends", false),
                             INDEX("axes", true),
                             INDEX("steps", true),
                             {0}},
     .out = OUT_T("output"),
     .infer = infer_slice,
     .eval = eval_slice,
     .lower = lower_slice,
     .quant = QUANT_MOVE,
     .traits = OP_PURE | OP_VIEW},
    {0},
};
