/* detect.c: NonMaxSuppression (a call of the runtime) and RoiAlign. */
#include <math.h>

#include "ir/mathd.h"
#include "ir/ops/ops_common.h"

/* ---- NonMaxSuppression ---- */

static Status infer_nms(Infer *cx, Node *n)
{
    DimTable *t = &cx->module->dims;
    const Type *boxes = in_type(n, 0), *scores = in_type(n, 1);
    Dim dims[2];

    TRY(infer_ranked(cx, n, 0));
    TRY(infer_ranked(cx, n, 1));
    if (boxes->rank != 3 || scores->rank != 3)
        return op_error(n, cx->diag, NULL, "NonMaxSuppression: boxes and scores must have rank 3");
    if (dim_distinct(t, boxes->dim[2], dim_const(t, 4)))
        return op_error(n, cx->diag, "boxes", "NonMaxSuppression: a box has 4 numbers");
    dims[0] = dim_fresh(t, "selected", 0, DIM_TOP);
    dims[1] = dim_const(t, 3);
    infer_out(cx, n, 0, DT_I64, 2, dims);
    return OK;
}

typedef struct Box {
    double x0, y0, x1, y1;
} Box;

static Box box_at(const Tensor *t, int64_t at, bool centred)
{
    double p[4];
    Box b;

    for (int i = 0; i < 4; i++)
        p[i] = tensor_double(t, at + i);
    if (centred) return (Box){p[0] - p[2] / 2, p[1] - p[3] / 2, p[0] + p[2] / 2, p[1] + p[3] / 2};
    b.y0 = p[0] < p[2] ? p[0] : p[2];
    b.y1 = p[0] < p[2] ? p[2] : p[0];
    b.x0 = p[1] < p[3] ? p[1] : p[3];
    b.x1 = p[1] < p[3] ? p[3] : p[1];
    return b;
}

static bool overlaps(Box a, Box b, double limit)
{
    double w = (a.x1 < b.x1 ? a.x1 : b.x1) - (a.x0 > b.x0 ? a.x0 : b.x0);
    double h = (a.y1 < b.y1 ? a.y1 : b.y1) - (a.y0 > b.y0 ? a.y0 : b.y0);
    double area = (a.x1 - a.x0) * (a.y1 - a.y0) + (b.x1 - b.x0) * (b.y1 - b.y0) - w * h;

    return w > 0 && h > 0 && area > 0 && w * h / area > limit;
}

typedef struct Nms {
    const Tensor *boxes, *scores;
    int64_t n, most;
    double overlap, least;
    bool centred, filtered;
} Nms;

/* The boxes of one class in order of their scores; a box stays out when a chosen one covers it. */
static int64_t nms_class(const Nms *x, int64_t batch, int64_t row, bool *done, int64_t *chosen)
{
    int64_t found = 0;

    for (int64_t i = 0; i < x->n; i++)
        done[i] = x->filtered && !(tensor_double(x->scores, row * x->n + i) > x->least);
    while (found < x->most) {
        int64_t best = -1, k = 0;
        for (int64_t i = 0; i < x->n; i++)
            if (!done[i] && (best < 0 || tensor_double(x->scores, row * x->n + i) >
                                             tensor_double(x->scores, row * x->n + best)))
                best = i;
        if (best < 0) break;
        done[best] = true;
        while (k < found &&
               !overlaps(box_at(x->boxes, (batch * x->n + best) * 4, x->centred),
                         box_at(x->boxes, (batch * x->n + chosen[k]) * 4, x->centred), x->overlap))
            k++;
        if (k == found) chosen[found++] = best;
    }
    return found;
}

static Status eval_nms(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    const Tensor *most = n->n_in > 2 ? in[2] : NULL, *overlap = n->n_in > 3 ? in[3] : NULL;
    const Tensor *least = n->n_in > 4 ? in[4] : NULL;
    Nms x = {.boxes = in[0], .scores = in[1], .centred = attr_int(n, "center_point_box", 0) != 0};
    int64_t batches = in[1]->dim[0], classes = in[1]->dim[1], total = 0, dims[2] = {0, 3};
    int64_t *all, *chosen;
    bool *done;

    x.n = in[1]->dim[2];
    if (in[0]->dim[0] != batches || in[0]->dim[1] != x.n || in[0]->dim[2] != 4)
        return op_error(n, cx->diag, "boxes", "NonMaxSuppression: boxes do not fit the scores");
    x.most = most && most->count ? tensor_int(most, 0) : 0;
    if (x.most > x.n) x.most = x.n;
    x.overlap = overlap && overlap->count ? tensor_double(overlap, 0) : 0;
    x.filtered = least && least->count;
    x.least = x.filtered ? tensor_double(least, 0) : 0;
    done = arena_try(cx->arena, (size_t)x.n + 1, sizeof *done);
    all = arena_try(cx->arena, (size_t)in[1]->count + 1, sizeof *all);
    chosen = arena_try(cx->arena, (size_t)in[1]->count + 1, 2 * sizeof *chosen);
    if (!done || !all || !chosen)
        return diag(cx->diag, ERR_LIMIT, node_where(n), "NonMaxSuppression: no memory");
    for (int64_t row = 0; row < batches * classes; row++) {
        int64_t found = nms_class(&x, row / classes, row, done, all + total);
        for (int64_t i = 0; i < found; i++)
            chosen[total + i] = row;
        total += found;
    }
    dims[0] = total;
    TRY(eval_out(cx, n, &out[0], DT_I64, 2, dims));
    for (int64_t i = 0; i < total; i++) {
        tensor_set_int(out[0], 3 * i, chosen[i] / classes);
        tensor_set_int(out[0], 3 * i + 1, chosen[i] % classes);
        tensor_set_int(out[0], 3 * i + 2, all[i]);
    }
    return OK;
}

static Status lower_nms(Build *b, const Node *n, Value **out)
{
    const Type *to = &n->out[0]->type;
    Node *call;

    for (int k = 2; k < n->n_in; k++)
        if (has_in(n, k))
            build_require_equal(b, type_count(b->dims, in_type(n, k)), dim_const(b->dims, 1));
    call = build_call(b, "nms", n->n_in, n->in, 1, to, 1,
                      (const int64_t[]){attr_int(n, "center_point_box", 0)}, 0, NULL);
    if (!call) return b->status;
    node_define(call, to->dim[0]);
    out[0] = call->out[0];
    return b->status;
}

/* ---- RoiAlign: [N, C, H, W], [rois, 4], [rois] -> [rois, C, out_h, out_w] ---- */

typedef struct Roi {
    int64_t height, width, samples; /* samples 0: as many as fit, only known with the boxes */
    double scale, offset;
    bool max, clamp_size;
} Roi;

static Status roi_read(const Node *n, Diag *d, Roi *r)
{
    const char *mode = attr_string(n, "coordinate_transformation_mode", "half_pixel");
    const char *how = attr_string(n, "mode", "avg");
    bool half = mode[0] == 'h';

    *r = (Roi){.height = attr_int(n, "output_height", 1),
               .width = attr_int(n, "output_width", 1),
               .samples = attr_int(n, "sampling_ratio", 0),
               .scale = attr_float(n, "spatial_scale", 1),
               .offset = half ? 0.5 : 0,
               .max = how[0] == 'm',
               .clamp_size = !half};
    if (r->height < 1 || r->width < 1 || r->samples < 0 || r->height > 1 << 20 ||
        r->width > 1 << 20 || r->samples > 1 << 12)
        return op_error(n, d, NULL, "RoiAlign: output sizes must be positive");
    return OK;
}

static Status infer_roi(Infer *cx, Node *n)
{
    const Type *x = in_type(n, 0), *rois = in_type(n, 1);
    DimTable *t = &cx->module->dims;
    Roi r;

    for (int k = 0; k < 3; k++)
        TRY(infer_ranked(cx, n, k));
    TRY(roi_read(n, cx->diag, &r));
    if (x->rank != 4 || rois->rank != 2 || in_type(n, 2)->rank != 1)
        return op_error(n, cx->diag, NULL, "RoiAlign: expected ranks 4, 2 and 1");
    infer_out(cx, n, 0, x->dtype, 4,
              (Dim[]){rois->dim[0], x->dim[1], dim_const(t, r.height), dim_const(t, r.width)});
    return OK;
}

typedef struct Tap { /* one axis of a bilinear sample */
    int64_t low, high;
    double w_low, w_high;
    bool inside;
} Tap;

static Tap tap_of(double at, int64_t extent)
{
    Tap t = {.inside = at >= -1 && at <= (double)extent};

    if (!t.inside || extent == 0) return (Tap){0};
    if (at < 0) at = 0;
    t.low = (int64_t)at;
    if (t.low >= extent - 1) {
        t.low = t.high = extent - 1;
        at = (double)t.low;
    } else {
        t.high = t.low + 1;
    }
    t.w_high = at - (double)t.low;
    t.w_low = 1 - t.w_high;
    return t;
}

typedef struct RoiRun {
    const Tensor *x;
    int64_t plane;
    double y0, x0, bin_h, bin_w;
    int64_t samples_h, samples_w;
    bool max;
} RoiRun;

static double roi_element(const RoiRun *r, int64_t ph, int64_t pw)
{
    int64_t height = r->x->dim[2], width = r->x->dim[3], count = r->samples_h * r->samples_w;
    double best = 0, sum = 0;
    bool first = true;

    for (int64_t i = 0; i < r->samples_h; i++)
        for (int64_t j = 0; j < r->samples_w; j++) {
            double at_y =
                r->y0 + (double)ph * r->bin_h + ((double)i + 0.5) * r->bin_h / (double)r->samples_h;
            double at_x =
                r->x0 + (double)pw * r->bin_w + ((double)j + 0.5) * r->bin_w / (double)r->samples_w;
            Tap y = tap_of(at_y, height), x = tap_of(at_x, width);
            int64_t base = r->plane * height * width;
            double v[4] = {0};
            if (y.inside && x.inside) {
                v[0] = y.w_low * x.w_low * tensor_double(r->x, base + y.low * width + x.low);
                v[1] = y.w_low * x.w_high * tensor_double(r->x, base + y.low * width + x.high);
                v[2] = y.w_high * x.w_low * tensor_double(r->x, base + y.high * width + x.low);
                v[3] = y.w_high * x.w_high * tensor_double(r->x, base + y.high * width + x.high);
            }
            sum += v[0] + v[1] + v[2] + v[3];
            for (int k = 0; k < 4; k++)
                if (first || v[k] > best) {
                    best = v[k];
                    first = false;
                }
        }
    if (r->max) return first ? 0 : best;
    return sum / (double)(count > 0 ? count : 1);
}

static Status eval_roi(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    const Tensor *x = in[0];
    int64_t rois = in[1]->dim[0], channels = x->dim[1], e = 0;
    Roi r;

    TRY(roi_read(n, cx->diag, &r));
    if (in[1]->dim[1] != 4 || in[2]->count != rois)
        return op_error(n, cx->diag, "rois", "RoiAlign: boxes and batch indices do not fit");
    TRY(eval_out(cx, n, &out[0], x->dtype, 4, (int64_t[]){rois, channels, r.height, r.width}));
    for (int64_t k = 0; k < rois; k++) {
        double box[4];
        int64_t batch = tensor_int(in[2], k);
        RoiRun run = {.x = x, .max = r.max};
        for (int i = 0; i < 4; i++)
            box[i] = tensor_double(in[1], k * 4 + i) * r.scale - r.offset;
        TRY(eval_index(cx, n, x->dim[0], &batch));
        double w = box[2] - box[0], h = box[3] - box[1];
        if (r.clamp_size && w < 1) w = 1;
        if (r.clamp_size && h < 1) h = 1;
        run.x0 = box[0];
        run.y0 = box[1];
        run.bin_h = h / (double)r.height;
        run.bin_w = w / (double)r.width;
        run.samples_h = r.samples ? r.samples : (int64_t)mathd_ceil(run.bin_h);
        run.samples_w = r.samples ? r.samples : (int64_t)mathd_ceil(run.bin_w);
        if (run.samples_h > 1 << 12 || run.samples_w > 1 << 12)
            return op_error(n, cx->diag, "rois", "RoiAlign: a box is too large to sample");
        for (int64_t c = 0; c < channels; c++) {
            run.plane = batch * channels + c;
            for (int64_t i = 0; i < r.height; i++)
                for (int64_t j = 0; j < r.width; j++)
                    tensor_set_double(out[0], e++, roi_element(&run, i, j));
        }
    }
    return OK;
}

/* One axis of a bilinear sample, as expressions; weights are 0 outside. */
typedef struct TapSx {
    const Sx *low, *high, *w_low, *w_high, *inside;
} TapSx;

static TapSx tap_sx(Build *b, const Sx *at, Dim extent)
{
    SxTable *t = b->sx;
    DType d = at->dtype;
    const Sx *zero = sx_i64(b, 0), *last, *e = sx_dim(t, extent), *i;
    TapSx s;

    s.inside = sx_and(t, sx_le(t, sx_const(t, d, -1), at), sx_le(t, at, sx_cast(t, e, d)));
    last = sx_sub(t, e, sx_i64(b, 1));
    at = sx_max(t, at, sx_const(t, d, 0));
    i = sx_cast(t, sx_floor(t, at), DT_I64);
    s.low = sx_max(t, zero, sx_min(t, i, last));
    s.high = sx_max(t, zero, sx_min(t, sx_add(t, i, sx_i64(b, 1)), last));
    s.w_high = sx_select(t, sx_lt(t, i, last), sx_sub(t, at, sx_cast(t, i, d)), sx_const(t, d, 0));
    s.w_low = sx_sub(t, sx_const(t, d, 1), s.w_high);
    return s;
}

static const Sx *roi_box(Build *b, const Roi *r, const Value *rois, int k, DType d)
{
    SxTable *t = b->sx;
    const Sx *idx[2] = {sx_index(t, 0), sx_i64(b, k)};
    const Sx *v = sx_cast(t, sx_at(b, 1, rois, idx), d);

    return sx_sub(t, sx_mul(t, v, sx_const(t, d, r->scale)), sx_const(t, d, r->offset));
}

/* Position of a sample along one axis, and how many there are. */
static const Sx *roi_position(Build *b, const Roi *r, const Value *rois, int axis, int64_t bins,
                              const Sx *bin, const Sx *sample, DType d, const Sx **count)
{
    SxTable *t = b->sx;
    const Sx *low = roi_box(b, r, rois, axis, d);
    const Sx *size = sx_sub(t, roi_box(b, r, rois, axis + 2, d), low), *step, *n;

    if (r->clamp_size) size = sx_max(t, size, sx_const(t, d, 1));
    step = sx_div(t, size, sx_const(t, d, (double)bins));
    n = r->samples ? sx_i64(b, r->samples) : sx_cast(t, sx_ceil(t, step), DT_I64);
    *count = n;
    sample = sx_add(t, sx_cast(t, sample, d), sx_const(t, d, 0.5));
    return sx_add(t, sx_add(t, low, sx_mul(t, sx_cast(t, bin, d), step)),
                  sx_div(t, sx_mul(t, sample, step), sx_cast(t, n, d)));
}

/* The most samples an axis needs, over all boxes, at least 1: the extent of the reduction. */
static Dim roi_samples(Build *b, const Roi *r, Value *rois, int axis, int64_t bins, DType d)
{
    SxTable *t = b->sx;
    const Sx *count;
    Value *in[2] = {rois, rois}, *most;
    Dim all = rois->type.dim[0];

    if (r->samples) return dim_const(b->dims, r->samples);
    /* the box is operand 1 at index 0, here of a reduction */
    roi_position(b, r, rois, axis, bins, sx_i64(b, 0), sx_i64(b, 0), d, &count);
    Acc acc = {.monoid = MONOID_MAX, .dtype = DT_I64, .body = sx_max(t, count, sx_i64(b, 1))};
    const Sx *least = sx_max(t, sx_acc(t, 0, DT_I64), sx_i64(b, 1));
    most = build_reduce(b, "samples", 2, in, 0, NULL, 1, &all, ORDER_CHAIN, acc, DT_I64, least);
    return build_bind(b, most, 0, "samples", 1, 1 << 12);
}

static Status lower_roi(Build *b, const Node *n, Value **out)
{
    SxTable *t = b->sx;
    const Type *x = in_type(n, 0), *to = &n->out[0]->type;
    DType d = compute_dtype(x->dtype);
    const Sx *batch, *guard, *ny, *nx, *v[4], *all = NULL, *live;
    TapSx y, w;
    Dim reduce[2];
    Roi r;

    TRY(roi_read(n, b->diag, &r));
    build_require_equal(b, in_type(n, 1)->dim[1], dim_const(b->dims, 4));
    build_require_equal(b, in_type(n, 2)->dim[0], in_type(n, 1)->dim[0]);
    reduce[0] = roi_samples(b, &r, n->in[1], 1, r.height, d);
    reduce[1] = roi_samples(b, &r, n->in[1], 0, r.width, d);
    batch = sx_load(t, in_type(n, 2)->dtype, 2, 1, (const Sx *[]){sx_index(t, 0)}, NULL);
    batch = sx_data_index(b, 2, batch, x->dim[0], &guard);
    y = tap_sx(b,
               roi_position(b, &r, n->in[1], 1, r.height, sx_index(t, 2), sx_index(t, 4), d, &ny),
               x->dim[2]);
    w = tap_sx(b, roi_position(b, &r, n->in[1], 0, r.width, sx_index(t, 3), sx_index(t, 5), d, &nx),
               x->dim[3]);
    live = sx_and(t, sx_lt(t, sx_index(t, 4), ny), sx_lt(t, sx_index(t, 5), nx));
    guard = sx_and(t, guard, sx_and(t, live, sx_and(t, y.inside, w.inside)));
    for (int k = 0; k < 4; k++) {
        const Sx *idx[4] = {batch, sx_index(t, 1), k < 2 ? y.low : y.high, k % 2 ? w.high : w.low};
        const Sx *weight = sx_mul(t, k < 2 ? y.w_low : y.w_high, k % 2 ? w.w_high : w.w_low);
        weight = sx_select(t, guard, weight, sx_const(t, d, 0)); /* it may be NaN */
        v[k] = sx_mul(t, weight, sx_cast(t, sx_at_guarded(b, 0, n->in[0], idx, guard), d));
        all = !all ? v[k] : r.max ? sx_max(t, all, v[k]) : sx_add(t, all, v[k]);
    }
    all = sx_select(t, live, all, sx_const(t, d, r.max ? -INFINITY : 0));
    Acc acc = {.monoid = r.max ? MONOID_MAX : MONOID_SUM, .dtype = d, .body = all};
    const Sx *value = sx_acc(t, 0, d);
    const Sx *count = sx_max(t, sx_mul(t, ny, nx), sx_i64(b, 1));
    if (r.max)
        value = sx_select(t, sx_lt(t, sx_i64(b, 0), sx_mul(t, ny, nx)), value, sx_const(t, d, 0));
    else
        value = sx_div(t, value, sx_cast(t, count, d));
    out[0] = build_reduce(b, "roi_align", 3, n->in, 4, to->dim, 2, reduce, ORDER_CHAIN, acc,
                          to->dtype, sx_cast(t, value, to->dtype));
    return b->status;
}

#define T_I64 DT_BIT(DT_I64)

const OpDef detect_ops[] = {
    {.name = "NonMaxSuppression",
     .since = 11,
     .calls = CALL_BIT(nms),
     .about = "of boxes that overlap the one with the best score",
     ROW_IN({"boxes", T_F32}, {"scores", T_F32}, {"max_output_boxes_per_class", T_I64, NULL, true},
            {"iou_threshold", T_F32, NULL, true}, {"score_threshold", T_F32, NULL, true}),
     ROW_OUT({"selected_indices", T_I64}),
     ROW_ATTRS(ATTR_I("center_point_box", 0)),
     .traits = OP_PURE,
     .infer = infer_nms,
     .eval = eval_nms,
     .lower = lower_nms},
    {.name = "RoiAlign",
     .since = 22,
     .about = "boxes of an image, sampled and pooled",
     ROW_IN({"X", T_FLOAT, "T1"}, {"rois", T_FLOAT, "T1"}, {"batch_indices", T_I64}),
     ROW_OUT({"Y", T_FLOAT, "T1"}),
     ROW_ATTRS(ATTR_S("coordinate_transformation_mode", "half_pixel"), ATTR_S("mode", "avg"),
               ATTR_I("output_height", 1), ATTR_I("output_width", 1), ATTR_I("sampling_ratio", 0),
               ATTR_F("spatial_scale", 1)),
     .traits = OP_PURE,
     .infer = infer_roi,
     .eval = eval_roi,
     .lower = lower_roi},
    {0},
};
