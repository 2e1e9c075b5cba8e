/* roi_pool.c: MaxRoiPool: the largest pixel in each cell of boxes that are cut into cells of whole
 * pixels. Rounding is half away from zero, as in the original (https://arxiv.org/abs/1504.08083):
 * a box of one pixel has the extent 1. */
#include <math.h>

#include "ir/mathd.h"
#include "ir/ops/ops_common.h"

typedef struct RoiPool {
    int64_t bins[2]; /* height, width */
    double scale;
} RoiPool;

static Status roi_pool_read(const Node *n, Diag *d, RoiPool *r)
{
    int count;
    const int64_t *shape = attr_ints(n, "pooled_shape", &count);

    if (!shape || count != 2 || shape[0] < 1 || shape[1] < 1 || shape[0] > INT32_MAX ||
        shape[1] > INT32_MAX)
        return op_error(n, d, "pooled_shape", "MaxRoiPool: expected height and width");
    r->bins[0] = shape[0];
    r->bins[1] = shape[1];
    r->scale = attr_float(n, "spatial_scale", 1);
    return OK;
}

static Status infer_roi_pool(Infer *cx, Node *n)
{
    const Type *x = in_type(n, 0), *rois = in_type(n, 1);
    DimTable *t = &cx->module->dims;
    RoiPool r;

    TRY(infer_ranked(cx, n, 0));
    TRY(infer_ranked(cx, n, 1));
    TRY(roi_pool_read(n, cx->diag, &r));
    if (x->rank != 4 || rois->rank != 2)
        return op_error(n, cx->diag, "rois", "MaxRoiPool: ranks %d and %d, expected 4 and 2",
                        x->rank, rois->rank);
    if (dim_is_const(rois->dim[1]) && rois->dim[1]->value != 5)
        return op_error(n, cx->diag, "rois", "MaxRoiPool: %lld numbers a box, expected 5",
                        (long long)rois->dim[1]->value);
    infer_out(cx, n, 0, x->dtype, 4,
              (Dim[]){rois->dim[0], x->dim[1], dim_const(t, r.bins[0]), dim_const(t, r.bins[1])});
    return OK;
}

/* ---- evaluation ---- */

static double round_away(double v)
{
    return copysign(mathd_floor(fabs(v) + 0.5), v);
}

static int64_t within(double v, int64_t extent)
{
    return v > 0 ? v < (double)extent ? (int64_t)v : extent : 0; /* NaN: 0 */
}

/* Pixels [begin, end) of cell `bin` along an axis on which the box is [first, last]. */
static void cell_of(const RoiPool *r, int axis, double first, double last, int64_t bin,
                    int64_t extent, int64_t *begin, int64_t *end)
{
    double low = round_away((double)(float)(first * r->scale));
    double high = round_away((double)(float)(last * r->scale));
    float size = high - low + 1 <= 1 ? 1 : (float)(high - low + 1); /* NaN: no pixels */
    float step = size / (float)r->bins[axis];

    *begin = within(mathd_floor((double)((float)bin * step)) + low, extent);
    *end = within(mathd_ceil((double)((float)(bin + 1) * step)) + low, extent);
}

static double cell_max(const Tensor *x, int64_t plane, const int64_t *y, const int64_t *w)
{
    double best = 0;
    bool any = false;

    for (int64_t i = y[0]; i < y[1]; i++)
        for (int64_t j = w[0]; j < w[1]; j++) {
            double v = tensor_double(x, (plane * x->dim[2] + i) * x->dim[3] + j);
            if (!any || v > best || v != v) best = v;
            any = true;
        }
    return best;
}

static Status eval_roi_pool(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    const Tensor *x = in[0], *rois = in[1];
    int64_t e = 0, y[2], w[2];
    RoiPool r;

    TRY(roi_pool_read(n, cx->diag, &r));
    if (x->rank != 4 || rois->rank != 2 || rois->dim[1] != 5)
        return op_error(n, cx->diag, "rois", "MaxRoiPool: boxes of the wrong shape");
    TRY(eval_out(cx, n, &out[0], x->dtype, 4,
                 (int64_t[]){rois->dim[0], x->dim[1], r.bins[0], r.bins[1]}));
    for (int64_t k = 0; k < rois->dim[0]; k++) {
        double box[5];
        int64_t batch;
        for (int i = 0; i < 5; i++)
            box[i] = tensor_double(rois, k * 5 + i);
        dtype_store_double(DT_I64, &batch, box[0], true);
        TRY(eval_index(cx, n, x->dim[0], &batch));
        for (int64_t c = 0; c < x->dim[1]; c++)
            for (int64_t i = 0; i < r.bins[0]; i++)
                for (int64_t j = 0; j < r.bins[1]; j++) {
                    cell_of(&r, 0, box[2], box[4], i, x->dim[2], &y[0], &y[1]);
                    cell_of(&r, 1, box[1], box[3], j, x->dim[3], &w[0], &w[1]);
                    tensor_set_double(out[0], e++, cell_max(x, batch * x->dim[1] + c, y, w));
                }
    }
    return OK;
}

/* ---- lowering ---- */

static const Sx *sx_round_away(SxTable *t, const Sx *v)
{
    const Sx *up = sx_floor(t, sx_add(t, sx_abs(t, v), sx_const(t, v->dtype, 0.5)));
    return sx_copysign(t, up, v);
}

/* Coordinate k of the box at index 0, in pixels. */
static const Sx *box_at(Build *b, const RoiPool *r, const Value *rois, int k)
{
    SxTable *t = b->sx;
    const Sx *idx[2] = {sx_index(t, 0), sx_i64(b, k)};
    const Sx *v = sx_compute(b, sx_at(b, 1, rois, idx));

    v = sx_cast(t, sx_mul(t, v, sx_const(t, v->dtype, r->scale)), DT_F32);
    return sx_round_away(t, sx_cast(t, v, DT_F64));
}

/* Extent of a cell along an axis, in pixels, as f32. */
static const Sx *cell_step(Build *b, const RoiPool *r, const Value *rois, int axis)
{
    SxTable *t = b->sx;
    const Sx *low = box_at(b, r, rois, 2 - axis), *high = box_at(b, r, rois, 4 - axis), *one;

    one = sx_const(t, DT_F64, 1);
    high = sx_cast(t, sx_max(t, sx_add(t, sx_sub(t, high, low), one), one), DT_F32);
    return sx_div(t, high, sx_const(t, DT_F32, (double)r->bins[axis]));
}

typedef struct Cell {
    const Sx *begin, *end;
} Cell;

static const Sx *sx_within(Build *b, const Sx *v, Dim extent)
{
    SxTable *t = b->sx;
    v = sx_cast(t, v, DT_I64);
    return sx_max(t, sx_i64(b, 0), sx_min(t, v, sx_dim(t, extent)));
}

static Cell cell_sx(Build *b, const RoiPool *r, const Value *rois, int axis, Dim extent)
{
    SxTable *t = b->sx;
    const Sx *step = cell_step(b, r, rois, axis), *low = box_at(b, r, rois, 2 - axis);
    const Sx *bin = sx_index(t, 2 + axis), *next = sx_add(t, bin, sx_i64(b, 1)), *from, *to;
    Cell c;

    from = sx_floor(t, sx_mul(t, sx_cast(t, bin, DT_F32), step));
    to = sx_ceil(t, sx_mul(t, sx_cast(t, next, DT_F32), step));
    c.begin = sx_within(b, sx_add(t, sx_cast(t, from, DT_F64), low), extent);
    c.end = sx_within(b, sx_add(t, sx_cast(t, to, DT_F64), low), extent);
    return c;
}

/* The most pixels that a cell has along an axis, over all boxes, at least 1: the extent of the
 * reduction. */
static Dim most_pixels(Build *b, const RoiPool *r, Value *rois, int axis, Dim extent)
{
    SxTable *t = b->sx;
    const Sx *count = sx_cast(t, sx_ceil(t, cell_step(b, r, rois, axis)), DT_I64), *least;
    Dim all = rois->type.dim[0];
    Acc acc = {.monoid = MONOID_MAX, .dtype = DT_I64, .body = sx_max(t, count, sx_i64(b, 0))};
    Value *most;
    int64_t hi = extent->hi > 1 ? extent->hi : 1;

    least = sx_max(t, sx_acc(t, 0, DT_I64), sx_i64(b, 0));
    least =
        sx_min(t, sx_add(t, sx_min(t, least, sx_dim(t, extent)), sx_i64(b, 1)), sx_dim(t, extent));
    least = sx_max(t, least, sx_i64(b, 1));
    most = build_reduce(b, "cell", 2, (Value *[]){rois, rois}, 0, NULL, 1, &all, ORDER_CHAIN, acc,
                        DT_I64, least);
    return build_bind(b, most, 0, "cell", 1, hi);
}

static Status lower_roi_pool(Build *b, const Node *n, Value **out)
{
    SxTable *t = b->sx;
    const Type *x = in_type(n, 0), *to = &n->out[0]->type;
    DType type = compute_dtype(x->dtype);
    const Sx *batch, *guard, *live, *v, *some, *idx[4];
    Dim reduce[2];
    Cell cell[2];
    RoiPool r;

    TRY(roi_pool_read(n, b->diag, &r));
    build_require_equal(b, in_type(n, 1)->dim[1], dim_const(b->dims, 5));
    for (int i = 0; i < 2; i++) {
        reduce[i] = most_pixels(b, &r, n->in[1], i, x->dim[2 + i]);
        cell[i] = cell_sx(b, &r, n->in[1], i, x->dim[2 + i]);
    }
    TRY(b->status);
    batch = sx_at(b, 1, n->in[1], (const Sx *[]){sx_index(t, 0), sx_i64(b, 0)});
    batch = sx_data_index(b, 1, sx_cast(t, sx_compute(b, batch), DT_I64), x->dim[0], &guard);
    idx[0] = batch;
    idx[1] = sx_index(t, 1);
    idx[2] = sx_add(t, cell[0].begin, sx_index(t, 4));
    idx[3] = sx_add(t, cell[1].begin, sx_index(t, 5));
    live = sx_and(t, sx_lt(t, sx_index(t, 4), sx_sub(t, cell[0].end, cell[0].begin)),
                  sx_lt(t, sx_index(t, 5), sx_sub(t, cell[1].end, cell[1].begin)));
    v = sx_compute(b, sx_at_guarded(b, 0, n->in[0], idx, sx_and(t, guard, live)));
    v = sx_select(t, live, v, sx_const(t, type, -INFINITY));
    Acc acc = {.monoid = MONOID_MAX, .dtype = type, .body = v};
    some = sx_and(t, sx_lt(t, cell[0].begin, cell[0].end), sx_lt(t, cell[1].begin, cell[1].end));
    v = sx_select(t, some, sx_acc(t, 0, type), sx_const(t, type, 0));
    out[0] = build_reduce(b, "roi_pool", 2, n->in, 4, to->dim, 2, reduce, ORDER_CHAIN, acc,
                          to->dtype, sx_cast(t, v, to->dtype));
    return b->status;
}

const OpDef roi_pool_ops[] = {
    {.name = "MaxRoiPool",
     .since = 22,
     .about = "the largest pixels in the cells of boxes",
     ROW_IN({"X", T_FLOAT, "T"}, {"rois", T_FLOAT, "T"}),
     ROW_OUT({"Y", T_FLOAT, "T"}),
     ROW_ATTRS(ATTR_REQ("pooled_shape", ATTR_INTS), ATTR_F("spatial_scale", 1)),
     .traits = OP_PURE,
     .infer = infer_roi_pool,
     .eval = eval_roi_pool,
     .lower = lower_roi_pool},
    {0},
};
