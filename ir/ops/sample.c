/* sample.c: GridSample and AffineGrid: images read at places that a tensor gives.
 *
 * Along each axis a place gives taps (1: nearest, 2: linear, 4: cubic); the value sums over all
 * combinations. ONNX: GridSample, attributes align_corners, mode, padding_mode. */
#include <string.h>

#include "ir/mathd.h"
#include "ir/ops/ops_common.h"

typedef struct Grid {
    int taps;     /* 1, 2, 4 */
    char padding; /* z: zeros, b: border, r: reflection */
    bool corners;
    int space;
} Grid;

static Status grid_read(const Node *n, Diag *d, Grid *g)
{
    const char *mode = attr_string(n, "mode", "linear");
    const char *padding = attr_string(n, "padding_mode", "zeros");

    g->taps = strcmp(mode, "nearest") == 0  ? 1
              : strcmp(mode, "linear") == 0 ? 2
              : strcmp(mode, "cubic") == 0  ? 4
                                            : 0;
    g->padding = padding[0];
    g->corners = attr_int(n, "align_corners", 0) != 0;
    g->space = in_type(n, 0)->rank - 2;
    if (!g->taps) return op_error(n, d, "mode", "GridSample: unknown mode '%s'", mode);
    if (strcmp(padding, "zeros") != 0 && strcmp(padding, "border") != 0 &&
        strcmp(padding, "reflection") != 0)
        return op_error(n, d, "padding_mode", "GridSample: unknown padding '%s'", padding);
    if (g->space < 1 || g->space > 3)
        return op_unsupported(n, d, "an input of rank %d", g->space + 2);
    return OK;
}

static Status infer_grid(Infer *cx, Node *n)
{
    const Type *x = in_type(n, 0), *grid = in_type(n, 1);
    Dim dims[MAX_RANK];
    Grid g;

    TRY(infer_ranked(cx, n, 0));
    TRY(infer_ranked(cx, n, 1));
    TRY(grid_read(n, cx->diag, &g));
    if (grid->rank != x->rank || dim_distinct(&cx->module->dims, grid->dim[grid->rank - 1],
                                              dim_const(&cx->module->dims, g.space)))
        return op_error(n, cx->diag, "grid", "GridSample: the grid does not fit the input");
    dims[0] = x->dim[0];
    dims[1] = x->dim[1];
    for (int i = 0; i < g.space; i++)
        dims[2 + i] = grid->dim[1 + i];
    infer_out(cx, n, 0, x->dtype, x->rank, dims);
    return OK;
}

enum { OUTSIDE = -4 }; /* no tap from here is an element */

/* ---- evaluation ---- */

static double reflect(double x, double low, double high)
{
    double range = high - low, d = x < low ? low - x : x - high, turns, rest;

    if (x >= low && x <= high) return x;
    if (range <= 0) return low;
    turns = mathd_trunc(d / range);
    rest = d - turns * range;
    return (mathd_fmod(turns, 2) == 0) == (x < low) ? low + rest : high - rest;
}

/* Of cubic samples each tap is moved inside, by itself (as torch does, and ONNX Runtime), and the
 * weights are those of the place outside. NaN is a place beyond the low edge, and so is infinity
 * where it has no weights. */
static double pad_place(const Grid *g, double x, int64_t extent)
{
    double low = g->corners ? 0 : -0.5;
    double high = (double)extent - (g->corners ? 1 : 0.5), last = (double)(extent - 1);

    if (x - x != 0 && (g->padding == 'z' || g->taps == 4)) return OUTSIDE;
    if (g->padding == 'z' || g->taps == 4 || (x >= low && x <= high)) return x;
    x = g->padding == 'b' ? (x < 0 ? 0 : x > last ? last : x) : reflect(x, low, high);
    return x != x ? 0 : x;
}

/* The element that tap x (a whole number) reads; -1: zero. */
static int64_t pad_tap(const Grid *g, double x, int64_t extent)
{
    double last = (double)(extent - 1);

    if (extent == 0) return -1;
    if (g->padding == 'z') return x >= 0 && x <= last ? (int64_t)x : -1;
    if (g->padding == 'r')
        x = mathd_trunc(reflect(x, g->corners ? 0 : -0.5, last + (g->corners ? 0 : 0.5)));
    return x < 0 ? 0 : x > last ? extent - 1 : (int64_t)x;
}

static void tap_weights(int taps, double part, double *w)
{
    const double a = -0.75;

    w[0] = 1;
    if (taps == 2) {
        w[0] = 1 - part;
        w[1] = part;
    }
    if (taps != 4) return;
    for (int k = 0; k < 4; k++) {
        double x = k < 2 ? part + 1 - k : k - 1 - part;
        w[k] = k == 0 || k == 3 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
                                : ((a + 2) * x - (a + 3)) * x * x + 1;
    }
}

typedef struct Place {
    int64_t at[4];
    double weight[4];
} Place;

static Place place_of(const Grid *g, double v, int64_t extent)
{
    Place p;
    double x = g->corners ? (v + 1) / 2 * (double)(extent - 1) : ((v + 1) * (double)extent - 1) / 2;
    double low;

    if (g->taps == 1) x = mathd_rint(x);
    x = pad_place(g, x, extent);
    low = g->taps == 1 ? mathd_trunc(x) : mathd_floor(x);
    tap_weights(g->taps, x - low, p.weight);
    for (int k = 0; k < g->taps; k++)
        p.at[k] = pad_tap(g, low + k - (g->taps == 4), extent);
    return p;
}

static Status eval_grid(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    const Tensor *x = in[0], *grid = in[1];
    int64_t dims[MAX_RANK], points = 1, combos = 1;
    Grid g;
    Place p[3];

    TRY(grid_read(n, cx->diag, &g));
    if (grid->rank != x->rank || grid->dim[grid->rank - 1] != g.space || grid->dim[0] != x->dim[0])
        return op_error(n, cx->diag, "grid", "GridSample: the grid does not fit the input");
    dims[0] = x->dim[0];
    dims[1] = x->dim[1];
    for (int i = 0; i < g.space; i++) {
        points *= dims[2 + i] = grid->dim[1 + i];
        combos *= g.taps;
    }
    TRY(eval_out(cx, n, &out[0], x->dtype, x->rank, dims));
    for (int64_t b = 0; b < dims[0] && out[0]->count; b++)
        for (int64_t k = 0; k < points; k++) {
            for (int i = 0; i < g.space; i++) /* the last coordinate is the first axis */
                p[i] =
                    place_of(&g, tensor_double(grid, (b * points + k) * g.space + g.space - 1 - i),
                             x->dim[2 + i]);
            for (int64_t c = 0; c < dims[1]; c++) {
                double sum = 0;
                for (int64_t m = 0; m < combos; m++) {
                    int64_t at = b * dims[1] + c, rest = m;
                    double w = 1;
                    bool zero = false;
                    for (int i = 0; i < g.space; i++, rest /= g.taps) {
                        w *= p[i].weight[rest % g.taps];
                        zero |= p[i].at[rest % g.taps] < 0;
                        at = at * x->dim[2 + i] + p[i].at[rest % g.taps];
                    }
                    if (!zero) sum += w * tensor_double(x, at);
                }
                tensor_set_double(out[0], (b * dims[1] + c) * points + k, sum);
            }
        }
    return OK;
}

/* ---- lowering ---- */

static const Sx *reflect_sx(SxTable *t, const Sx *x, const Sx *low, const Sx *high)
{
    DType d = x->dtype;
    const Sx *range = sx_sub(t, high, low), *under = sx_lt(t, x, low), *over = sx_lt(t, high, x);
    const Sx *away = sx_select(t, under, sx_sub(t, low, x), sx_sub(t, x, high));
    const Sx *turns = sx_trunc(t, sx_div(t, away, range)), *half = sx_const(t, d, 0.5), *rest, *y;
    const Sx *even =
        sx_eq(t, sx_mul(t, sx_floor(t, sx_mul(t, turns, half)), sx_const(t, d, 2)), turns);

    rest = sx_sub(t, away, sx_mul(t, turns, range));
    y = sx_select(t, sx_eq(t, even, under), sx_add(t, low, rest), sx_sub(t, high, rest));
    y = sx_select(t, sx_le(t, range, sx_const(t, d, 0)), low, y);
    return sx_select(t, sx_or(t, under, over), y, x);
}

typedef struct PlaceSx {
    const Sx *at[4], *inside[4], *weight[4]; /* inside NULL: always */
} PlaceSx;

static void weights_sx(SxTable *t, int taps, const Sx *part, const Sx **w)
{
    DType d = part->dtype;
    const double a = -0.75;

    w[0] = sx_const(t, d, 1);
    if (taps == 2) {
        w[1] = part;
        w[0] = sx_sub(t, w[0], part);
    }
    for (int k = 0; k < 4 && taps == 4; k++) {
        const Sx *x =
            k < 2 ? sx_add(t, part, sx_const(t, d, 1 - k)) : sx_sub(t, sx_const(t, d, k - 1), part);
        const Sx *e = sx_mul(t, sx_const(t, d, k == 0 || k == 3 ? a : a + 2), x);
        if (k == 0 || k == 3) {
            e = sx_add(t, sx_mul(t, sx_sub(t, e, sx_const(t, d, 5 * a)), x), sx_const(t, d, 8 * a));
            w[k] = sx_sub(t, sx_mul(t, e, x), sx_const(t, d, 4 * a));
        } else {
            e = sx_mul(t, sx_mul(t, sx_sub(t, e, sx_const(t, d, a + 3)), x), x);
            w[k] = sx_add(t, e, sx_const(t, d, 1));
        }
    }
}

static PlaceSx place_sx(Build *b, const Grid *g, const Sx *v, Dim extent)
{
    SxTable *t = b->sx;
    DType d = v->dtype;
    PlaceSx p = {{NULL}};
#define C(x) sx_const(t, d, x)
    const Sx *n = sx_cast(t, sx_dim(t, extent), d), *last = sx_sub(t, n, C(1));
    const Sx *low = C(g->corners ? 0 : -0.5), *high = g->corners ? last : sx_sub(t, n, C(0.5));
    const Sx *x = sx_add(t, v, C(1)), *base, *outside;
    const Sx *end = sx_sub(t, sx_dim(t, extent), sx_i64(b, 1)), *zero = sx_i64(b, 0);

    x = g->corners ? sx_mul(t, sx_mul(t, x, C(0.5)), last)
                   : sx_mul(t, sx_sub(t, sx_mul(t, x, n), C(1)), C(0.5));
    if (g->taps == 1) x = sx_rint(t, x);
    if (g->taps == 4 || g->padding == 'z') { /* see pad_place */
        x = sx_select(t, sx_eq(t, sx_sub(t, x, x), C(0)), x, C(OUTSIDE));
    } else {
        outside = sx_or(t, sx_lt(t, x, low), sx_lt(t, high, x));
        x = g->padding == 'r' ? reflect_sx(t, x, low, high)
                              : sx_select(t, outside, sx_max(t, C(0), sx_min(t, x, last)), x);
        x = sx_select(t, sx_eq(t, x, x), x, C(0));
    }
    base = g->taps == 1 ? sx_trunc(t, x) : sx_floor(t, x);
    weights_sx(t, g->taps, sx_sub(t, x, base), p.weight);
    for (int k = 0; k < g->taps; k++) {
        const Sx *y = sx_add(t, base, C(k - (g->taps == 4)));
        if (g->padding == 'r') y = sx_trunc(t, reflect_sx(t, y, low, high));
        p.at[k] = sx_cast(t, y, DT_I64);
        p.inside[k] = sx_and(t, sx_le(t, zero, p.at[k]), sx_le(t, p.at[k], end));
        if (g->padding == 'z') continue;
        p.at[k] = sx_max(t, zero, sx_min(t, p.at[k], end));
        p.inside[k] = NULL;
    }
#undef C
    return p;
}

static Status lower_grid(Build *b, const Node *n, Value **out)
{
    const Type *to = &n->out[0]->type;
    SxTable *t = b->sx;
    DType d = compute_dtype(to->dtype);
    const Sx *idx[MAX_RANK], *sum = NULL;
    int combos = 1, rank = to->rank;
    PlaceSx p[3];
    Grid g;

    TRY(grid_read(n, b->diag, &g));
    build_require_equal(b, in_type(n, 1)->dim[rank - 1], dim_const(b->dims, g.space));
    build_require_equal(b, in_type(n, 1)->dim[0], to->dim[0]);
    if (g.padding != 'z')
        for (int i = 0; i < g.space; i++) /* an edge to read must be there */
            build_require_least(b, in_type(n, 0)->dim[2 + i], 1);
    for (int i = 0; i < g.space; i++) {
        const Sx *at[MAX_RANK];
        at[0] = sx_index(t, 0);
        for (int k = 0; k < g.space; k++)
            at[1 + k] = sx_index(t, 2 + k);
        at[rank - 1] = sx_i64(b, g.space - 1 - i);
        p[i] = place_sx(b, &g, sx_cast(t, sx_at(b, 1, n->in[1], at), d), in_type(n, 0)->dim[2 + i]);
        combos *= g.taps;
    }
    idx[0] = sx_index(t, 0);
    idx[1] = sx_index(t, 1);
    for (int m = 0; m < combos; m++) {
        const Sx *w = NULL, *guard = NULL, *v;
        for (int i = 0, rest = m; i < g.space; i++, rest /= g.taps) {
            int k = rest % g.taps;
            w = w ? sx_mul(t, w, p[i].weight[k]) : p[i].weight[k];
            guard = sx_both(b, guard, p[i].inside[k]);
            idx[2 + i] = p[i].at[k];
        }
        v = sx_cast(t, sx_at_guarded(b, 0, n->in[0], idx, guard), d);
        if (g.taps > 1) v = sx_mul(t, w, v);
        sum = sum ? sx_add(t, sum, v) : v;
    }
    out[0] =
        build_map(b, "grid_sample", 2, n->in, to->dtype, rank, to->dim, sx_cast(t, sum, to->dtype));
    return b->status;
}

/* ---- AffineGrid: [N, space, space + 1], size -> [N, extents..., space] ---- */

static Status infer_affine(Infer *cx, Node *n)
{
    const Dim *size;
    int count;
    Dim dims[MAX_RANK];

    TRY(infer_ranked(cx, n, 0));
    TRY(infer_elements(cx, n, 1, 0, DIM_TOP, &size, &count));
    if (count != 4 && count != 5)
        return op_error(n, cx->diag, "size", "AffineGrid: %d sizes, expected 4 or 5", count);
    if (in_type(n, 0)->rank != 3)
        return op_error(n, cx->diag, "theta", "AffineGrid: theta must have rank 3");
    dims[0] = size[0];
    for (int i = 2; i < count; i++)
        dims[i - 1] = size[i];
    dims[count - 1] = dim_const(&cx->module->dims, count - 2);
    infer_out(cx, n, 0, in_type(n, 0)->dtype, count, dims);
    return OK;
}

static double affine_at(bool corners, int64_t i, int64_t extent)
{
    double n = (double)extent;

    if (corners) return extent > 1 ? -1 + 2 * (double)i / (n - 1) : 0;
    return (2 * (double)i + 1) / n - 1;
}

static Status eval_affine(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    const Tensor *theta = in[0];
    bool corners = attr_int(n, "align_corners", 0) != 0;
    int space = (int)in[1]->count - 2;
    int64_t dims[MAX_RANK], index[MAX_RANK] = {0};

    if ((space != 2 && space != 3) || theta->rank != 3 || theta->dim[1] != space ||
        theta->dim[2] != space + 1 || theta->dim[0] != tensor_int(in[1], 0))
        return op_error(n, cx->diag, "theta", "AffineGrid: theta does not fit the size");
    dims[0] = theta->dim[0];
    for (int i = 0; i < space; i++)
        dims[1 + i] = tensor_int(in[1], 2 + i);
    dims[1 + space] = space;
    TRY(eval_out(cx, n, &out[0], theta->dtype, space + 2, dims));
    for (int64_t e = 0; e < out[0]->count; e++, eval_next(space + 2, dims, index)) {
        int64_t row = (index[0] * space + index[space + 1]) * (space + 1);
        double sum = tensor_double(theta, row + space);
        for (int i = 0; i < space; i++)
            sum += tensor_double(theta, row + i) *
                   affine_at(corners, index[space - i], dims[space - i]);
        tensor_set_double(out[0], e, sum);
    }
    return OK;
}

static const Sx *affine_sx(Build *b, bool corners, const Sx *i, Dim extent, DType d)
{
    SxTable *t = b->sx;
    const Sx *e = sx_cast(t, i, d), *n = sx_cast(t, sx_dim(t, extent), d);
    const Sx *one = sx_const(t, d, 1), *two = sx_const(t, d, 2), *steps;

    if (!corners) return sx_sub(t, sx_div(t, sx_add(t, sx_mul(t, e, two), one), n), one);
    steps = sx_sub(t, n, one);
    e = sx_sub(t, sx_div(t, sx_mul(t, two, e), sx_max(t, steps, one)), one);
    return sx_select(t, sx_lt(t, one, n), e, sx_const(t, d, 0));
}

static Status lower_affine(Build *b, const Node *n, Value **out)
{
    const Type *to = &n->out[0]->type, *theta = in_type(n, 0);
    SxTable *t = b->sx;
    DType d = compute_dtype(to->dtype);
    bool corners = attr_int(n, "align_corners", 0) != 0;
    int space = to->rank - 2;
    const Sx *idx[3] = {sx_index(t, 0), sx_index(t, space + 1), sx_i64(b, space)}, *sum;

    build_require_equal(b, theta->dim[0], to->dim[0]);
    build_require_equal(b, theta->dim[1], dim_const(b->dims, space));
    build_require_equal(b, theta->dim[2], dim_const(b->dims, space + 1));
    sum = sx_compute(b, sx_at(b, 0, n->in[0], idx));
    for (int i = 0; i < space; i++) {
        const Sx *at = affine_sx(b, corners, sx_index(t, space - i), to->dim[space - i], d);
        idx[2] = sx_i64(b, i);
        sum = sx_add(t, sum, sx_mul(t, sx_compute(b, sx_at(b, 0, n->in[0], idx)), at));
    }
    out[0] = build_map(b, "affine_grid", 1, n->in, to->dtype, to->rank, to->dim,
                       sx_cast(t, sum, to->dtype));
    return b->status;
}

const OpDef sample_ops[] = {
    {.name = "GridSample",
     .since = 22,
     .about = "an image read at the places of a grid",
     ROW_IN({"X", T_FLOAT, "T1"}, {"grid", T_FLOAT, "T2"}),
     ROW_OUT({"Y", T_FLOAT, "T1"}),
     ROW_ATTRS(ATTR_I("align_corners", 0), ATTR_S("mode", "linear"),
               ATTR_S("padding_mode", "zeros")),
     .traits = OP_PURE,
     .infer = infer_grid,
     .eval = eval_grid,
     .lower = lower_grid},
    {.name = "AffineGrid",
     .since = 20,
     .about = "the grid of an affine map",
     ROW_IN({"theta", T_FLOAT, "T1"}, {"size", DT_BIT(DT_I64)}),
     ROW_OUT({"grid", T_FLOAT, "T1"}),
     ROW_ATTRS(ATTR_I("align_corners", 0)),
     .traits = OP_PURE,
     .infer = infer_affine,
     .eval = eval_affine,
     .lower = lower_affine},
    {0},
};
