/* image.c: Resize: interpolation along one axis after the other.
 *
 * What a position of the result reads along an axis is a list of taps (places and weights). Where
 * extents and scale are known it is computed here, in double, as the specification says, and goes
 * into small constant tensors (or into index arithmetic, where nearest neighbours repeat); where
 * only the run knows them it is an expression. The same function serves evaluation. */
#include <math.h>
#include <string.h>

#include "ir/mathd.h"
#include "ir/ops/ops_common.h"
#include "ir/ops/resize_taps.h"

/* ---- extents and scales ---- */

static void keep_aspect(const Resize *r, AxisPlan *p)
{
    double scale = p[r->axis[0]].scale;

    if (r->policy == 's' || !r->by_size) return;
    for (int i = 1; i < r->n_axis; i++) {
        double s = p[r->axis[i]].scale;
        if (r->policy == 'l' ? s < scale : s > scale) scale = s;
    }
    for (int i = 0; i < r->n_axis; i++) {
        AxisPlan *a = &p[r->axis[i]];
        a->scale = scale;
        a->out = (int64_t)(scale * (double)a->in + 0.5);
    }
}

/* p[rank] from elements of roi, scales and sizes. */
static Status plan_axes(const Node *n, Diag *d, const Resize *r, int rank, const int64_t *dims,
                        const double *roi, const double *scales, const int64_t *sizes, AxisPlan *p)
{
    for (int i = 0; i < rank; i++)
        p[i] = (AxisPlan){dims[i], dims[i], 1, {0, 1}};
    for (int i = 0; i < r->n_axis; i++) {
        AxisPlan *a = &p[r->axis[i]];
        if (roi) {
            a->roi[0] = roi[i];
            a->roi[1] = roi[i + r->n_axis];
        }
        if (r->by_size) {
            a->out = sizes[i];
            a->scale = a->in ? (double)a->out / (double)a->in : 1;
        } else {
            a->scale = scales[i];
            if (!(a->scale > 0) || a->scale * (double)a->in > 1e15)
                return op_error(n, d, "scales", "Resize: a scale of %g", a->scale);
            a->out = (int64_t)mathd_floor(a->scale * (double)a->in);
        }
    }
    keep_aspect(r, p);
    for (int i = 0; i < rank; i++) {
        if (p[i].out < 0) return op_error(n, d, "sizes", "Resize: a negative size");
        if (p[i].in == 0 && p[i].out > 0)
            return op_error(n, d, "X", "Resize: nothing to read along axis %d", i);
        if (p[i].out > 0 && r->antialias && resize_tap_count(r, p[i].scale) > 1 << 16)
            return op_error(n, d, "scales", "Resize: a scale of %g", p[i].scale);
    }
    return OK;
}

static bool is_trivial(const Resize *r, const AxisPlan *p)
{
    return p->scale == 1 && p->in == p->out &&
           (r->at != AT_CROP || (p->roi[0] == 0 && p->roi[1] == 1));
}

/* ---- evaluation: one axis after the other, in double ---- */

static Status eval_axis(Eval *cx, const Node *n, const Resize *r, const AxisPlan *p, int axis,
                        Tensor **x)
{
    Tensor *from = *x, *to;
    int64_t dims[MAX_RANK], outer = 1, inner = 1, taps = resize_tap_count(r, p->scale);
    int64_t *place = ARENA_ARRAY(cx->arena, int64_t, taps);
    double *weight = ARENA_ARRAY(cx->arena, double, taps);

    if (taps == 2 * RESIZE_REACH)
        return diag(cx->diag, ERR_LIMIT, node_where(n), "Resize: too many places to read");
    for (int i = 0; i < from->rank; i++) {
        dims[i] = i == axis ? p->out : from->dim[i];
        if (i < axis) outer *= dims[i];
        if (i > axis) inner *= dims[i];
    }
    TRY(eval_out(cx, n, &to, from->dtype, from->rank, dims));
    for (int64_t o = 0; o < p->out; o++) {
        bool out_of_it = resize_outside(r, p, o);
        resize_taps(r, p, o, place, weight);
        for (int64_t a = 0; a < outer; a++)
            for (int64_t c = 0; c < inner; c++) {
                int64_t at = (a * p->out + o) * inner + c;
                double sum = 0;
                if (r->mode == MODE_NEAREST && !out_of_it) {
                    eval_copy_element(to, at, from, (a * p->in + place[0]) * inner + c);
                    continue;
                }
                for (int64_t i = 0; i < taps && !out_of_it; i++)
                    sum += weight[i] * tensor_double(from, (a * p->in + place[i]) * inner + c);
                tensor_set_double(to, at, out_of_it ? r->extrapolation : sum);
            }
    }
    *x = to;
    return OK;
}

static Status eval_cast(Eval *cx, const Node *n, Tensor *x, DType t, Tensor **out)
{
    TRY(eval_out(cx, n, out, t, x->rank, x->dim));
    for (int64_t i = 0; i < x->count; i++) {
        double v = tensor_double(x, i);
        tensor_set_double(*out, i, dtype_is_float(t) ? v : mathd_rint(v));
    }
    return OK;
}

static Status eval_resize(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    AxisPlan p[MAX_RANK];
    Resize r;
    double roi[2 * MAX_RANK], scales[MAX_RANK];
    int64_t sizes[MAX_RANK];
    const Tensor *given;
    bool wide;
    Tensor *x = (Tensor *)(uintptr_t)in[0];

    TRY(resize_read(n, cx->diag, x->rank, &r));
    given = in[r.by_size ? 3 : 2];
    if (given->count != r.n_axis)
        return op_error(n, cx->diag, NULL, "Resize: %lld numbers for %d axes",
                        (long long)given->count, r.n_axis);
    for (int i = 0; i < r.n_axis; i++) {
        scales[i] = r.by_size ? 1 : tensor_double(given, i);
        sizes[i] = r.by_size ? tensor_int(given, i) : 0;
    }
    if (r.at == AT_CROP && (n->n_in < 2 || !in[1] || in[1]->count != 2 * r.n_axis))
        return op_error(n, cx->diag, "roi", "Resize: roi needs %d numbers", 2 * r.n_axis);
    for (int i = 0; r.at == AT_CROP && i < 2 * r.n_axis; i++)
        roi[i] = tensor_double(in[1], i);
    TRY(plan_axes(n, cx->diag, &r, x->rank, x->dim, r.at == AT_CROP ? roi : NULL, scales, sizes,
                  p));
    wide = r.mode != MODE_NEAREST && x->dtype != DT_F64;
    if (wide) {
        const Tensor *narrow = x;
        TRY(eval_out(cx, n, &x, DT_F64, narrow->rank, narrow->dim));
        for (int64_t i = 0; i < x->count; i++)
            tensor_set_double(x, i, tensor_double(narrow, i));
    }
    for (int i = 0; i < r.n_axis; i++)
        if (!is_trivial(&r, &p[r.axis[i]])) TRY(eval_axis(cx, n, &r, &p[r.axis[i]], r.axis[i], &x));
    if (x == in[0]) {
        TRY(eval_out(cx, n, &out[0], x->dtype, x->rank, x->dim));
        memcpy(out[0]->data, x->data, x->bytes);
        return OK;
    }
    if (!wide) {
        out[0] = x;
        return OK;
    }
    return eval_cast(cx, n, x, in[0]->dtype, &out[0]);
}

/* ---- inference ---- */

/* floor(scale * d), as a dim: exact for scales that are small fractions. */
static Dim scaled_dim(Build *b, Dim d, double scale)
{
    DimTable *t = b->dims;

    if (dim_is_const(d)) return dim_const(t, (int64_t)mathd_floor(scale * (double)d->value));
    for (int64_t under = 1; under <= 64; under++) {
        double over = scale * (double)under;
        if (over == mathd_floor(over) && over < 1e6)
            return dim_div(t, dim_mul_c(t, d, (int64_t)over), dim_const(t, under));
    }
    const Sx *e =
        sx_mul(b->sx, sx_cast(b->sx, sx_dim(b->sx, d), DT_F64), sx_const(b->sx, DT_F64, scale));
    return dim_of_sx(b, 0, NULL, sx_cast(b->sx, sx_floor(b->sx, e), DT_I64), 0, DIM_TOP);
}

/* floor(scales[k] * d), both only known at run time. NaN and what is not positive give -1, which is
 * out of the bounds of the symbol. */
static Dim run_scaled_dim(Build *b, Value *scales, int k, Dim d)
{
    SxTable *t = b->sx;
    const Sx *at = sx_i64(b, k), *size;
    const Sx *s = sx_cast(t, sx_load(t, scales->type.dtype, 0, 1, &at, NULL), DT_F64);

    size = sx_floor(t, sx_mul(t, s, sx_cast(t, sx_dim(t, d), DT_F64)));
    size =
        sx_select(t, sx_lt(t, sx_const(t, DT_F64, 0), s), sx_cast(t, size, DT_I64), sx_i64(b, -1));
    return dim_of_sx(b, 1, &scales, size, 0, DIM_TOP);
}

static Status by_scales(Infer *cx, Node *n, const Resize *r, Dim *dims)
{
    const double *scales;
    int count;

    if (const_doubles(n->in[2], cx->module->arena, &scales, &count)) {
        if (count != r->n_axis)
            return op_error(n, cx->diag, "scales", "Resize: %d scales for %d axes", count,
                            r->n_axis);
        for (int i = 0; i < count; i++) {
            if (!(scales[i] > 0) || scales[i] > 1e6)
                return op_error(n, cx->diag, "scales", "Resize: a scale of %g", scales[i]);
            dims[r->axis[i]] = scaled_dim(cx->build, dims[r->axis[i]], scales[i]);
        }
        return OK;
    }
    for (int i = 0; i < r->n_axis; i++)
        dims[r->axis[i]] = run_scaled_dim(cx->build, n->in[2], i, dims[r->axis[i]]);
    return cx->build->status;
}

/* The one scale of all axes that keeps the aspect ratio, in f64. */
static const Sx *policy_scale(Build *b, const Node *n, const Resize *r, const Dim *sizes)
{
    SxTable *t = b->sx;
    const Sx *scale = NULL;

    for (int i = 0; i < r->n_axis; i++) {
        Dim in = in_type(n, 0)->dim[r->axis[i]];
        const Sx *s =
            sx_div(t, sx_cast(t, sx_dim(t, sizes[i]), DT_F64), sx_cast(t, sx_dim(t, in), DT_F64));
        scale = !scale ? s : r->policy == 'l' ? sx_min(t, scale, s) : sx_max(t, scale, s);
    }
    return scale;
}

/* floor(scale * d + 1/2) */
static Dim policy_dim(Build *b, const Sx *scale, Dim d)
{
    SxTable *t = b->sx;
    const Sx *e = sx_mul(t, scale, sx_cast(t, sx_dim(t, d), DT_F64));

    e = sx_floor(t, sx_add(t, e, sx_const(t, DT_F64, 0.5)));
    return dim_of_sx(b, 0, NULL, sx_cast(t, e, DT_I64), 0, DIM_TOP);
}

static Status by_sizes(Infer *cx, Node *n, const Resize *r, Dim *dims)
{
    DimTable *t = &cx->module->dims;
    AxisPlan p[MAX_RANK];
    int64_t in[MAX_RANK], sizes[MAX_RANK];
    const Dim *d;
    int count, rank = in_type(n, 0)->rank;
    bool known = true;

    TRY(infer_elements(cx, n, 3, 0, DIM_TOP, &d, &count));
    if (count != r->n_axis)
        return op_error(n, cx->diag, "sizes", "Resize: %d sizes for %d axes", count, r->n_axis);
    if (r->policy == 's') {
        for (int i = 0; i < count; i++)
            dims[r->axis[i]] = d[i];
        return OK;
    }
    for (int i = 0; i < rank; i++)
        in[i] = dims[i]->lo;
    for (int i = 0; i < count; i++) {
        known &= dim_is_const(d[i]) && dim_is_const(dims[r->axis[i]]);
        sizes[i] = d[i]->lo;
    }
    if (known) {
        TRY(plan_axes(n, cx->diag, r, rank, in, NULL, NULL, sizes, p));
        for (int i = 0; i < count; i++)
            dims[r->axis[i]] = dim_const(t, p[r->axis[i]].out);
        return OK;
    }
    const Sx *scale = policy_scale(cx->build, n, r, d);
    for (int i = 0; i < count; i++)
        dims[r->axis[i]] = policy_dim(cx->build, scale, dims[r->axis[i]]);
    return cx->build->status;
}

static Status infer_resize(Infer *cx, Node *n)
{
    const Type *x = in_type(n, 0);
    Dim dims[MAX_RANK];
    Resize r;

    TRY(infer_ranked(cx, n, 0));
    for (int i = 0; i < x->rank; i++)
        dims[i] = x->dim[i];
    TRY(resize_read(n, cx->diag, x->rank, &r));
    TRY(infer_ranked(cx, n, r.by_size ? 3 : 2));
    TRY(r.by_size ? by_sizes(cx, n, &r, dims) : by_scales(cx, n, &r, dims));
    infer_out(cx, n, 0, x->dtype, x->rank, dims);
    return OK;
}

/* ---- lowering ---- */

/* What one axis reads, as expressions. */
typedef struct Taps {
    int n;
    const Sx **place, **weight; /* [n]; weight NULL: 1 */
    const Sx *outside;          /* NULL: never */
    const Sx *position, *scale; /* f64; with n == 0: as many taps as the scale asks for */
} Taps;

typedef struct Lower {
    Build *b;
    const Node *n;
    Resize r;
    Value *in[4]; /* of the kernel being made */
    int n_in;
    DType acc;
} Lower;

static const Sx *table_at(Lower *l, Tensor *t, const Sx *at)
{
    Value *v = build_tensor(l->b, t);

    if (!v) return sx_const(l->b->sx, t ? t->dtype : DT_I64, 0);
    l->in[l->n_in] = v;
    return sx_load(l->b->sx, t->dtype, l->n_in++, 1, &at, NULL);
}

/* i / k or i * k where the table says just that; else NULL. */
static const Sx *regular_place(Lower *l, const Tensor *t, const Sx *o)
{
    int64_t k = 1, n = t->count;
    bool divides = true, multiplies = true;

    while (k < n && tensor_int(t, k) == 0)
        k++;
    for (int64_t i = 0; i < n; i++) {
        divides &= tensor_int(t, i) == i / k;
        multiplies &= n > 1 && tensor_int(t, i) == i * tensor_int(t, 1);
    }
    if (divides) return sx_floor_div(l->b->sx, o, sx_i64(l->b, k));
    if (multiplies && k == 1) return sx_mul(l->b->sx, o, sx_i64(l->b, tensor_int(t, 1)));
    return NULL;
}

#define TAPS_MOST ((int64_t)1 << 26) /* of the table of an axis */

/* Everything is known: tables by position. Tap k of position o is element k * out + o. */
static Status known_taps(Lower *l, const AxisPlan *p, const Sx *o, Taps *taps)
{
    Arena *a = l->b->module->arena;
    SxTable *t = l->b->sx;
    int64_t n = resize_tap_count(&l->r, p->scale), size = n * p->out, *place;
    double *weight;
    Tensor *places, *weights, *out_of;
    bool any = false;

    if (size > TAPS_MOST)
        return diag(l->b->diag, ERR_LIMIT, node_where(l->n), "Resize: an axis of %lld elements",
                    (long long)p->out);
    places = tensor_new(a, DT_I64, 1, &size);
    weights = tensor_new(a, l->acc, 1, &size);
    out_of = tensor_new(a, DT_BOOL, 1, &p->out);
    place = arena_try(a, (size_t)n, sizeof *place);
    weight = arena_try(a, (size_t)n, sizeof *weight);
    if (!places || !weights || !out_of || !place || !weight || n > 64)
        return diag(l->b->diag, ERR_LIMIT, node_where(l->n), "Resize: too many places to read");
    for (int64_t i = 0; i < p->out; i++) {
        resize_taps(&l->r, p, i, place, weight);
        for (int64_t k = 0; k < n; k++) {
            tensor_set_int(places, k * p->out + i, place[k]);
            tensor_set_double(weights, k * p->out + i, weight[k]);
        }
        tensor_set_int(out_of, i, resize_outside(&l->r, p, i));
        any |= resize_outside(&l->r, p, i);
    }
    taps->n = (int)n;
    taps->place = ARENA_ARRAY(a, const Sx *, n);
    taps->weight = ARENA_ARRAY(a, const Sx *, n);
    taps->outside = any ? table_at(l, out_of, o) : NULL;
    if (n == 1) {
        const Sx *regular = regular_place(l, places, o);
        taps->place[0] = regular ? regular : table_at(l, places, o);
        return OK;
    }
    int from = l->n_in;
    for (int64_t k = 0; k < n; k++) {
        const Sx *at = sx_add(t, o, sx_i64(l->b, k * p->out));
        l->n_in = from; /* the same two operands for all taps */
        taps->place[k] = table_at(l, places, at);
        taps->weight[k] = table_at(l, weights, at);
        if (k + 1 < n && l->b->status != OK) return l->b->status;
    }
    return OK;
}

/* Position o of the result along an axis, in f64. */
static const Sx *run_position(Lower *l, const Sx *o, Dim in, Dim out, const Sx *scale,
                              const Sx *const *roi)
{
    SxTable *t = l->b->sx;
    const Sx *half = sx_const(t, DT_F64, 0.5), *one = sx_const(t, DT_F64, 1);
    const Sx *y = sx_cast(t, o, DT_F64), *n = sx_cast(t, sx_dim(t, in), DT_F64);
    const Sx *exact = sx_mul(t, scale, n), *single = sx_eq(t, exact, one), *width;
    const Sx *centre = sx_sub(t, sx_div(t, sx_add(t, y, half), scale), half);

    switch (l->r.at) {
    case AT_HALF_PIXEL:
        break;
    case AT_HALF_PIXEL_SYMMETRIC:
        width = sx_div(t, sx_cast(t, sx_dim(t, out), DT_F64), exact);
        return sx_add(t, sx_mul(t, sx_mul(t, n, half), sx_sub(t, one, width)), centre);
    case AT_PYTORCH:
        return sx_select(t, single, sx_const(t, DT_F64, -0.5), centre);
    case AT_CORNERS:
        return sx_select(t, single, sx_const(t, DT_F64, 0),
                         sx_div(t, sx_mul(t, y, sx_sub(t, n, one)), sx_sub(t, exact, one)));
    case AT_ASYMMETRIC:
        return sx_div(t, y, scale);
    case AT_CROP:
        n = sx_sub(t, n, one);
        width = sx_mul(t, sx_sub(t, roi[1], roi[0]), n);
        y = sx_select(t, single, sx_mul(t, width, half),
                      sx_div(t, sx_mul(t, y, width), sx_sub(t, exact, one)));
        return sx_add(t, y, sx_mul(t, roi[0], n));
    }
    return centre;
}

static const Sx *run_nearest(Lower *l, const Sx *x, const Sx *scale)
{
    SxTable *t = l->b->sx;
    const Sx *low = sx_floor(t, x), *part = sx_sub(t, x, low), *half = sx_const(t, DT_F64, 0.5);
    const Sx *up = NULL, *i;

    switch (l->r.round) {
    case ROUND_FLOOR:
        return sx_cast(t, low, DT_I64);
    case ROUND_CEIL:
        return sx_cast(t, sx_ceil(t, x), DT_I64);
    case ROUND_FIRST:
        x = sx_select(t, sx_lt(t, scale, sx_const(t, DT_F64, 1)), sx_ceil(t, x), low);
        return sx_cast(t, x, DT_I64);
    case ROUND_LOW:
        up = sx_lt(t, half, part);
        break;
    case ROUND_HIGH:
        up = sx_le(t, half, part);
        break;
    }
    i = sx_cast(t, low, DT_I64);
    return sx_select(t, up, sx_add(t, i, sx_i64(l->b, 1)), i);
}

/* The weight function at distance x >= 0. */
static const Sx *run_kernel(Lower *l, const Sx *x)
{
    SxTable *t = l->b->sx;
    double a = l->r.cubic_a;
#define C(v) sx_const(t, DT_F64, v)
    const Sx *near, *far;

    if (l->r.mode == MODE_LINEAR) return sx_max(t, sx_sub(t, C(1), x), C(0));
    near = sx_add(t, sx_mul(t, C(a + 2), x), C(-(a + 3)));
    near = sx_add(t, sx_mul(t, sx_mul(t, near, x), x), C(1));
    far = sx_add(t, sx_mul(t, C(a), x), C(-5 * a));
    far = sx_add(t, sx_mul(t, far, x), C(8 * a));
    far = sx_add(t, sx_mul(t, far, x), C(-4 * a));
    return sx_select(t, sx_le(t, x, C(1)), near, sx_select(t, sx_lt(t, x, C(2)), far, C(0)));
#undef C
}

static const Sx *last_place(Build *b, Dim extent)
{
    return sx_sub(b->sx, sx_dim(b->sx, extent), sx_i64(b, 1));
}

static const Sx *clamp_sx(Build *b, const Sx *i, Dim extent)
{
    return sx_max(b->sx, sx_i64(b, 0), sx_min(b->sx, i, last_place(b, extent)));
}

static Status run_taps(Lower *l, const Sx *x, Dim in, Taps *taps)
{
    SxTable *t = l->b->sx;
    Arena *a = l->b->module->arena;
    const Sx *low = sx_floor(t, x), *first, *sum = NULL;
    int n = l->r.mode == MODE_NEAREST ? 1 : l->r.mode == MODE_LINEAR ? 2 : 4;

    taps->n = n;
    taps->place = ARENA_ARRAY(a, const Sx *, n);
    taps->weight = ARENA_ARRAY(a, const Sx *, n);
    if (n == 1) {
        taps->place[0] = clamp_sx(l->b, run_nearest(l, x, taps->scale), in);
        return OK;
    }
    first = sx_sub(t, sx_cast(t, low, DT_I64), sx_i64(l->b, n / 2 - 1));
    for (int k = 0; k < n; k++) {
        const Sx *at = sx_add(t, first, sx_i64(l->b, k)), *w;
        w = run_kernel(l, sx_abs(t, sx_sub(t, x, sx_cast(t, at, DT_F64))));
        if (l->r.exclude) {
            const Sx *inside =
                sx_and(t, sx_le(t, sx_i64(l->b, 0), at), sx_lt(t, at, sx_dim(t, in)));
            w = sx_select(t, inside, w, sx_const(t, DT_F64, 0));
        }
        sum = sum ? sx_add(t, sum, w) : w;
        taps->weight[k] = w;
        taps->place[k] = clamp_sx(l->b, at, in);
    }
    for (int k = 0; k < n; k++) {
        const Sx *w = taps->weight[k];
        taps->weight[k] = sx_cast(t, l->r.exclude ? sx_div(t, w, sum) : w, l->acc);
    }
    return OK;
}

/* A whole number of repeats of each element, whatever the extents: nearest only. 0: it is not so.
 */
static int64_t repeats(const Resize *r, double scale, Dim in, Dim out)
{
    int64_t k = (int64_t)scale;

    if (r->mode != MODE_NEAREST || (double)k != scale || k < 1 || k > 1 << 20) return 0;
    if (r->at == AT_ASYMMETRIC && (r->round == ROUND_FLOOR || r->round == ROUND_FIRST)) return k;
    if (r->at != AT_HALF_PIXEL && !(r->at == AT_PYTORCH && (in->lo > 1 || k == 1))) return 0;
    (void)out;
    return r->round == ROUND_LOW || r->round == ROUND_HIGH ? k : 0;
}

/* A constant scale between two dims, or NaN. */
static double dim_scale(DimTable *t, Dim in, Dim out)
{
    if (dim_is_const(in) && dim_is_const(out) && in->value > 0)
        return (double)out->value / (double)in->value;
    for (int64_t k = 1; k <= 32; k++) {
        if (dim_mul_c(t, in, k) == out) return (double)k;
        if (dim_mul_c(t, out, k) == in) return 1 / (double)k;
    }
    return NAN;
}

static const Sx *load_f64(Lower *l, Value *v, int64_t k)
{
    SxTable *t = l->b->sx;
    const Sx *at = sx_i64(l->b, k);

    l->in[l->n_in] = v;
    return sx_cast(t, sx_load(t, v->type.dtype, l->n_in++, 1, &at, NULL), DT_F64);
}

/* Taps of axis number `i` of the list at position index `o`; false in *needed: nothing changes. */
static Status axis_taps(Lower *l, int i, Dim in, Dim out, const Sx *o, Taps *taps, bool *needed)
{
    const Node *n = l->n;
    Arena *a = l->b->module->arena;
    SxTable *t = l->b->sx;
    const double *scales = NULL, *roi = NULL;
    double scale;
    int count;
    const Sx *s, *common = NULL, *bounds[2] = {NULL};

    memset(taps, 0, sizeof *taps);
    *needed = true;
    if (!l->r.by_size) const_doubles(n->in[2], a, &scales, &count);
    if (l->r.at == AT_CROP) {
        if (!has_in(n, 1) || !dim_is(type_count(l->b->dims, in_type(n, 1)), 2 * l->r.n_axis))
            return op_error(n, l->b->diag, "roi", "Resize: roi needs %d numbers", 2 * l->r.n_axis);
        if (!const_doubles(n->in[1], a, &roi, &count)) roi = NULL;
    }
    scale = scales ? scales[i] : l->r.by_size ? dim_scale(l->b->dims, in, out) : NAN;
    if (l->r.by_size && l->r.policy != 's') {
        Infer cx = {.module = l->b->module, .build = l->b, .diag = l->b->diag};
        const Dim *sizes;
        TRY(infer_elements(&cx, (Node *)(uintptr_t)n, 3, 0, DIM_TOP, &sizes, &count));
        common = policy_scale(l->b, n, &l->r, sizes);
        if (!sx_is_const(common, &scale)) scale = NAN;
    }
    if (scale == 1 && in == out && l->r.at != AT_CROP) {
        *needed = false;
        return OK;
    }
    if (scale == scale && repeats(&l->r, scale, in, out)) {
        taps->n = 1;
        taps->place = ARENA_ARRAY(a, const Sx *, 1);
        taps->place[0] = sx_floor_div(t, o, sx_i64(l->b, repeats(&l->r, scale, in, out)));
        return OK;
    }
    if (dim_is_const(in) && dim_is_const(out) && scale == scale && (l->r.at != AT_CROP || roi)) {
        AxisPlan p = {in->value, out->value, scale, {0, 1}};
        if (roi) {
            p.roi[0] = roi[i];
            p.roi[1] = roi[i + l->r.n_axis];
        }
        *needed = !is_trivial(&l->r, &p);
        if (resize_tap_count(&l->r, scale) <= 64) return known_taps(l, &p, o, taps);
    }
    if (l->r.at == AT_CROP) {
        bounds[0] = load_f64(l, n->in[1], i);
        l->n_in--;
        bounds[1] = load_f64(l, n->in[1], i + l->r.n_axis);
    }
    if (scale == scale)
        s = sx_const(t, DT_F64, scale);
    else if (common)
        s = common;
    else if (l->r.by_size)
        s = sx_div(t, sx_cast(t, sx_dim(t, out), DT_F64), sx_cast(t, sx_dim(t, in), DT_F64));
    else
        s = load_f64(l, n->in[2], i);
    taps->position = run_position(l, o, in, out, s, bounds);
    taps->scale = s;
    if (l->r.at == AT_CROP)
        taps->outside = sx_or(t, sx_lt(t, taps->position, sx_const(t, DT_F64, 0)),
                              sx_lt(t, sx_cast(t, last_place(l->b, in), DT_F64), taps->position));
    if (l->r.antialias) return OK; /* any number of taps: see antialias_axis */
    return run_taps(l, taps->position, in, taps);
}

/* Antialiased along an axis with a scale that only the run knows: the sum over its taps, divided by
 * the sum of their weights. */
static Value *antialias_axis(Lower *l, int axis, Value *x, const Taps *taps, const Dim *dims)
{
    Build *b = l->b;
    SxTable *t = b->sx;
    int rank = x->type.rank;
    const Sx *one = sx_const(t, DT_F64, 1), *idx[MAX_RANK], *shrink, *first, *at, *w, *inside;
    const Sx *reach = sx_const(t, DT_F64, l->r.mode == MODE_CUBIC ? -2 : -1);
    Dim half;

    shrink = sx_min(t, taps->scale, one);
    /* half of the taps: 1 - (floor(-reach / scale) + 1); any will do where the axis ends empty */
    const Sx *counted = sx_select(t, sx_lt(t, sx_i64(b, 0), sx_dim(t, dims[axis])), shrink, one);
    half = dim_of_sx(b, l->n_in, l->in,
                     sx_cast(t, sx_neg(t, sx_floor(t, sx_div(t, reach, counted))), DT_I64), 1,
                     RESIZE_REACH);
    first = sx_sub(t, sx_cast(t, sx_ceil(t, taps->position), DT_I64), sx_dim(t, half));
    at = sx_add(t, first, sx_index(t, rank));
    w = sx_abs(t, sx_mul(t, shrink, sx_sub(t, sx_cast(t, at, DT_F64), taps->position)));
    w = run_kernel(l, w);
    if (l->r.exclude) {
        inside =
            sx_and(t, sx_le(t, sx_i64(b, 0), at), sx_le(t, at, last_place(b, x->type.dim[axis])));
        w = sx_select(t, inside, w, sx_const(t, DT_F64, 0));
    }
    w = sx_cast(t, w, l->acc);
    for (int k = 0; k < rank; k++)
        idx[k] = sx_index(t, k);
    idx[axis] = clamp_sx(b, at, x->type.dim[axis]);
    Acc acc[2] = {
        {.monoid = MONOID_SUM,
         .dtype = l->acc,
         .body = sx_mul(t, w, sx_cast(t, sx_at(b, 0, x, idx), l->acc))},
        {.monoid = MONOID_SUM, .dtype = l->acc, .body = w},
    };
    const Sx *value = sx_div(t, sx_acc(t, 0, l->acc), sx_acc(t, 1, l->acc));
    if (taps->outside)
        value = sx_select(t, taps->outside, sx_const(t, l->acc, l->r.extrapolation), value);
    StageOut o = {.dtype = l->acc, .value = value};
    Dim reduce = dim_mul_c(b->dims, half, 2);
    Stage s = {.rank = rank,
               .extent = (Dim *)(uintptr_t)dims,
               .n_reduce = 1,
               .reduce = &reduce,
               .order = ORDER_CHAIN,
               .n_acc = 2,
               .acc = acc,
               .scan_axis = -1,
               .n_out = 1,
               .out = &o};
    Node *k = build_stage(b, "resize", l->n_in, l->in, &s, 1, NULL);
    return k ? k->out[0] : NULL;
}

/* x with one axis resized. */
static Value *resize_axis(Lower *l, int i, Value *x)
{
    Build *b = l->b;
    SxTable *t = b->sx;
    const Type *to = &l->n->out[0]->type;
    int axis = l->r.axis[i], rank = to->rank;
    DType type = l->r.mode == MODE_NEAREST ? to->dtype : l->acc;
    const Sx *idx[MAX_RANK], *sum = NULL;
    Dim dims[MAX_RANK];
    Taps taps;
    bool needed;

    l->in[0] = x;
    l->n_in = 1;
    for (int k = 0; k < rank; k++) {
        idx[k] = sx_index(t, k);
        dims[k] = k == axis ? to->dim[k] : x->type.dim[k];
    }
    if (build_fail(b, axis_taps(l, i, x->type.dim[axis], to->dim[axis], sx_index(t, axis), &taps,
                                &needed)) != OK)
        return NULL;
    if (!needed) return x;
    if (taps.n == 0) return antialias_axis(l, axis, x, &taps, dims);
    for (int k = 0; k < taps.n; k++) {
        const Sx *v;
        idx[axis] = taps.place[k];
        v = sx_at(b, 0, x, idx);
        if (l->r.mode != MODE_NEAREST) {
            v = sx_cast(t, v, l->acc);
            v = sum ? sx_fma(t, taps.weight[k], v, sum) : sx_mul(t, taps.weight[k], v);
        }
        sum = v;
    }
    if (taps.outside) {
        DType d = sum->dtype;
        const Sx *c = sx_const(t, compute_dtype(d), l->r.extrapolation);
        sum = sx_select(t, taps.outside, sx_cast(t, c, d), sum);
    }
    return build_map(b, "resize", l->n_in, l->in, type, rank, dims, sum);
}

/* Rounded and saturated when the image is of integers. */
static Value *finish(Build *b, Value *v, DType t)
{
    const Sx *e;

    if (!v || v->type.dtype == t) return v;
    e = sx_operand(b, 0, v, v->type.rank, v->type.dim);
    if (!dtype_is_float(t)) e = sx_rint(b->sx, e);
    return build_map(b, "resize", 1, &v, t, v->type.rank, v->type.dim, sx_cast(b->sx, e, t));
}

static Status lower_resize(Build *b, const Node *n, Value **out)
{
    Value *x = n->in[0];
    DType t = x->type.dtype;
    Lower l = {.b = b, .n = n};

    TRY(lower_movable(b, n, t));
    TRY(resize_read(n, b->diag, x->type.rank, &l.r));
    l.acc = t == DT_F64 ? DT_F64 : DT_F32;
    for (int i = 0; i < l.r.n_axis && b->status == OK; i++)
        x = resize_axis(&l, i, x);
    out[0] = finish(b, x, t);
    return b->status;
}

const OpDef image_ops[] = {
    {.name = "Resize",
     .since = 19,
     .about = "an image, or any tensor, at another size",
     ROW_IN({"X", T_ANY, "T1"}, {"roi", T_FLOAT, "T2", true, .ranks = RANK(1)},
            {"scales", DT_BIT(DT_F32), NULL, true, .ranks = RANK(1)},
            {"sizes", DT_BIT(DT_I64), NULL, true, .ranks = RANK(1)}),
     ROW_OUT({"Y", T_ANY, "T1"}),
     ROW_ATTRS(ATTR_I("antialias", 0), ATTR_OPT("axes", ATTR_INTS),
               ATTR_S("coordinate_transformation_mode", "half_pixel"),
               ATTR_F("cubic_coeff_a", -0.75), ATTR_I("exclude_outside", 0),
               ATTR_F("extrapolation_value", 0), ATTR_S("keep_aspect_ratio_policy", "stretch"),
               ATTR_S("mode", "nearest"), ATTR_S("nearest_mode", "round_prefer_floor")),
     .traits = OP_PURE,
     .infer = infer_resize,
     .eval = eval_resize,
     .lower = lower_resize},
    {0},
};
