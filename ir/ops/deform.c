/* deform.c: DeformConv: a convolution whose taps lie where an operand says, between pixels.
 *
 *     y[n, c, o...] = sum over (ci, r...) w[c, ci, r...] mask(r, o) x(n, ci, position(o, r) +
 * offset(r, o))
 *
 * Two steps: the samples, a map that loads 2^spatial pixels at computed places, channels innermost
 * since they share these; and a product with the weights, group by group, of which a row of samples
 * is one operand as it stands. https://arxiv.org/abs/1811.11168 */
#include <string.h>

#include "ir/mathd.h"
#include "ir/ops/compose.h"
#include "ir/ops/conv.h"
#include "ir/ops/dot.h"
#include "ir/ops/ops_common.h"

enum { MOST_AXES = 3 };

typedef struct Deform {
    Conv c;
    int64_t offset_group;
    Dim taps;
} Deform;

/* An operand [N, count, o...]: checked now, or at run time where b is given. */
static Status deform_operand(Build *b, const Node *n, Diag *d, const Deform *f, int k, Dim count)
{
    const Type *t = in_type(n, k), *x = in_type(n, 0);
    const char *name = n->op->in[k].name;

    if (t->rank != x->rank)
        return op_error(n, d, name, "DeformConv: rank %d, expected %d", t->rank, x->rank);
    for (int i = 0; i < t->rank; i++) {
        Dim want = i == 0 ? x->dim[0] : i == 1 ? count : f->c.w.out[i - 2];
        if (t->dim[i] == want) continue;
        if (dim_is_const(t->dim[i]) && dim_is_const(want))
            return op_error(n, d, name, "DeformConv: %lld at axis %d, expected %lld",
                            (long long)t->dim[i]->value, i, (long long)want->value);
        if (b) build_require_equal(b, t->dim[i], want);
    }
    return OK;
}

static Status deform_read(Module *m, Build *b, const Node *n, Diag *d, Deform *f)
{
    DimTable *t = &m->dims;
    int spatial = in_type(n, 0)->rank - 2;
    Dim channels, slots;

    if (spatial > MOST_AXES)
        return op_unsupported(n, d, "%d spatial axes: 1 to %d are possible", spatial, MOST_AXES);
    TRY(conv_read(m, n, 0, 1, d, &f->c));
    f->taps = dim_product(t, spatial, f->c.w.kernel);
    f->offset_group = attr_int(n, "offset_group", 1);
    channels = f->c.channels;
    if (f->offset_group < 1 || f->offset_group > INT32_MAX ||
        (dim_is_const(channels) && channels->value % f->offset_group))
        return op_error(n, d, "offset_group", "DeformConv: %lld does not divide %lld channels",
                        (long long)f->offset_group, (long long)channels->lo);
    slots = dim_mul_c(t, f->taps, f->offset_group);
    TRY(deform_operand(b, n, d, f, 2, dim_mul_c(t, slots, spatial)));
    return has_in(n, 4) ? deform_operand(b, n, d, f, 4, slots) : OK;
}

static Status infer_deform(Infer *cx, Node *n)
{
    Dim dims[MAX_RANK];
    Deform f;

    for (int k = 0; k < n->n_in; k++)
        if (n->in[k]) TRY(infer_ranked(cx, n, k));
    TRY(deform_read(cx->module, NULL, n, cx->diag, &f));
    TRY(infer_vector(cx, n, 3, f.c.features));
    dims[0] = in_type(n, 0)->dim[0];
    dims[1] = f.c.features;
    memcpy(dims + 2, f.c.w.out, sizeof(Dim) * (size_t)f.c.w.n);
    infer_out(cx, n, 0, in_type(n, 0)->dtype, f.c.w.n + 2, dims);
    return OK;
}

/* ---- lowering ---- */

/* The domain of the samples: n, o..., r..., offset group where there are several, channel of it. */
typedef struct Samples {
    int rank;
    Dim dims[3 + 2 * MOST_AXES];
    const Sx *tap; /* row-major number of r */
    const Sx *og, *channel;
    const Sx *o[MOST_AXES], *r[MOST_AXES];
} Samples;

static Samples samples_of(Build *b, const Node *n, const Deform *f)
{
    SxTable *t = b->sx;
    Dim depth = dim_div(b->dims, f->c.channels, dim_const(b->dims, f->offset_group));
    Samples s = {.rank = 1 + 2 * f->c.w.n, .tap = sx_i64(b, 0), .og = sx_i64(b, 0)};

    s.dims[0] = in_type(n, 0)->dim[0];
    for (int i = 0; i < f->c.w.n; i++) {
        s.dims[1 + i] = f->c.w.out[i];
        s.dims[1 + f->c.w.n + i] = f->c.w.kernel[i];
        s.o[i] = sx_index(t, 1 + i);
        s.r[i] = sx_index(t, 1 + f->c.w.n + i);
        s.tap = sx_add(t, sx_mul(t, s.tap, sx_dim(t, f->c.w.kernel[i])), s.r[i]);
    }
    if (f->offset_group > 1) {
        s.og = sx_index(t, s.rank);
        s.dims[s.rank++] = dim_const(b->dims, f->offset_group);
    }
    s.channel = sx_add(t, sx_mul(t, s.og, sx_dim(t, depth)), sx_index(t, s.rank));
    s.dims[s.rank++] = depth;
    return s;
}

/* Operand k at (n, channel, o...), in the dtype of arithmetic. */
static const Sx *at_output(Build *b, const Node *n, const Deform *f, const Samples *s, int src,
                           int k, const Sx *channel)
{
    const Sx *idx[MAX_RANK] = {sx_index(b->sx, 0), channel};

    for (int i = 0; i < f->c.w.n; i++)
        idx[2 + i] = s->o[i];
    return sx_compute(b, sx_at(b, src, n->in[k], idx));
}

/* One axis of a sample: the pixels on both sides, and their weights. */
typedef struct Side {
    const Sx *low, *high, *w_low, *w_high;
} Side;

static Side side_of(Build *b, const Node *n, const Deform *f, const Samples *s, int i)
{
    SxTable *t = b->sx;
    const Sx *at = sx_mul(t, s->og, sx_dim(t, f->taps)), *whole, *offset;
    Side side;

    at = sx_mul(t, sx_add(t, at, s->tap), sx_i64(b, f->c.w.n));
    offset = at_output(b, n, f, s, 1, 2, sx_add(t, at, sx_i64(b, i)));
    at = window_position(b, &f->c.w, i, s->o[i], s->r[i]);
    at = sx_add(t, sx_cast(t, at, offset->dtype), offset);
    whole = sx_floor(t, at);
    side.low = sx_cast(t, whole, DT_I64);
    side.high = sx_add(t, side.low, sx_i64(b, 1));
    side.w_high = sx_sub(t, at, whole);
    side.w_low = sx_sub(t, sx_const(t, at->dtype, 1), side.w_high);
    return side;
}

/* The pixel at corner c (bit i: the high side of axis i) by its weight; 0 outside of the image. */
static const Sx *corner(Build *b, const Node *n, const Deform *f, const Samples *s,
                        const Side *side, int c)
{
    SxTable *t = b->sx;
    const Sx *idx[MAX_RANK] = {sx_index(t, 0), s->channel}, *guard = NULL, *w = NULL, *v;

    for (int i = 0; i < f->c.w.n; i++) {
        const Sx *p = c >> i & 1 ? side[i].high : side[i].low;
        const Sx *part = c >> i & 1 ? side[i].w_high : side[i].w_low;
        guard = sx_both(b, guard, sx_le(t, sx_i64(b, 0), p));
        guard = sx_both(b, guard, sx_lt(t, p, sx_dim(t, f->c.w.in[i])));
        w = w ? sx_mul(t, w, part) : part;
        idx[2 + i] = p;
    }
    v = sx_compute(b, sx_at_guarded(b, 0, n->in[0], idx, guard));
    w = sx_select(t, guard, w, sx_const(t, v->dtype, 0)); /* it may be NaN */
    return sx_mul(t, w, v);
}

/* [n, o..., r..., channels] */
static Value *build_samples(Build *b, const Node *n, const Deform *f)
{
    DType type = compute_dtype(in_type(n, 0)->dtype);
    Samples s = samples_of(b, n, f);
    Value *in[3] = {n->in[0], n->in[2], has_in(n, 4) ? n->in[4] : NULL}, *v;
    Side side[MOST_AXES];
    const Sx *sum = NULL;

    for (int i = 0; i < f->c.w.n; i++)
        side[i] = side_of(b, n, f, &s, i);
    for (int c = 0; c < 1 << f->c.w.n; c++) {
        const Sx *x = corner(b, n, f, &s, side, c);
        sum = sum ? sx_add(b->sx, sum, x) : x;
    }
    if (in[2]) {
        const Sx *at = sx_add(b->sx, sx_mul(b->sx, s.og, sx_dim(b->sx, f->taps)), s.tap);
        sum = sx_mul(b->sx, sum, at_output(b, n, f, &s, 2, 4, at));
    }
    v = build_map(b, "samples", in[2] ? 3 : 2, in, type, s.rank, s.dims, sum);
    s.dims[1 + 2 * f->c.w.n] = f->c.channels;
    return v ? build_reshape(b, v, 2 + 2 * f->c.w.n, s.dims) : NULL;
}

/* The product: domain n, o..., group where there are several, feature of it; reduced over r... and
 * the channels of a group. */
typedef struct Product {
    int rank;
    Dim dims[3 + MOST_AXES], reduce[1 + MOST_AXES];
    const Sx *a, *b, *feature;
} Product;

static void product_of(Build *b, const Node *n, const Deform *f, const Value *x, Product *p)
{
    SxTable *t = b->sx;
    int rank = 1 + f->c.w.n + (f->c.group > 1) + 1;
    const Sx *group = f->c.group > 1 ? sx_index(t, rank - 2) : sx_i64(b, 0);
    const Sx *channel = sx_index(t, rank + f->c.w.n), *at[MAX_RANK], *w[MAX_RANK];

    p->rank = rank;
    p->feature = sx_add(t, sx_mul(t, group, sx_dim(t, f->c.each)), sx_index(t, rank - 1));
    p->dims[0] = in_type(n, 0)->dim[0];
    at[0] = sx_index(t, 0);
    w[0] = p->feature;
    w[1] = channel;
    for (int i = 0; i < f->c.w.n; i++) {
        p->dims[1 + i] = f->c.w.out[i];
        p->reduce[i] = f->c.w.kernel[i];
        at[1 + i] = sx_index(t, 1 + i);
        at[1 + f->c.w.n + i] = w[2 + i] = sx_index(t, rank + i);
    }
    if (f->c.group > 1) p->dims[rank - 2] = dim_const(b->dims, f->c.group);
    p->dims[rank - 1] = f->c.each;
    p->reduce[f->c.w.n] = f->c.depth;
    at[1 + 2 * f->c.w.n] = sx_add(t, sx_mul(t, group, sx_dim(t, f->c.depth)), channel);
    p->a = sx_at(b, 0, x, at);
    p->b = sx_at(b, 1, n->in[1], w);
}

static Status lower_deform(Build *b, const Node *n, Value **out)
{
    const Type *to = &n->out[0]->type;
    Value *in[3] = {NULL, n->in[1], has_in(n, 3) ? n->in[3] : NULL}, *y;
    Dim dims[MAX_RANK];
    Product p;
    Deform f;

    TRY(deform_read(b->module, b, n, b->diag, &f));
    conv_require(b, &f.c, n->in[1]);
    build_require_equal(b, dim_mod(b->dims, f.c.channels, dim_const(b->dims, f.offset_group)),
                        dim_const(b->dims, 0));
    in[0] = build_samples(b, n, &f);
    TRY(b->status);
    product_of(b, n, &f, in[0], &p);
    Dot d = {.label = "deform",
             .n_in = in[2] ? 3 : 2,
             .in = in,
             .rank = p.rank,
             .n_reduce = 1 + f.c.w.n,
             .dims = p.dims,
             .reduce = p.reduce,
             .a = p.a,
             .b = p.b,
             .out = to->dtype};
    if (in[2]) {
        const Sx *acc = sx_acc(b->sx, 0, dot_dtype(to->dtype));
        const Sx *bias = sx_cast(b->sx, sx_at(b, 2, in[2], &p.feature), acc->dtype);
        build_require_equal(b, in[2]->type.dim[0], to->dim[1]);
        d.value = sx_cast(b->sx, sx_add(b->sx, acc, bias), to->dtype);
    }
    y = build_dot(b, &d);
    memcpy(dims, p.dims, sizeof(Dim) * (size_t)(1 + f.c.w.n));
    dims[1 + f.c.w.n] = to->dim[1];
    y = y ? build_reshape(b, y, to->rank, dims) : NULL;
    out[0] = make_moved_channels(b, y, false);
    return b->status;
}

/* ---- evaluation ---- */

typedef struct DeformRun {
    WindowEval w;
    const Tensor *x, *k, *offset, *mask;
    int64_t taps, offset_group, plane, area; /* pixels of the input and of the output */
} DeformRun;

/* x between pixels: each axis in turn splits the weight in two. */
static double sample(const DeformRun *r, int64_t base, const double *at, int axis, int64_t pixel)
{
    int64_t extent;
    double low, part, sum = 0;

    if (axis == r->w.n) return tensor_double(r->x, base + pixel);
    extent = r->w.in[axis];
    low = mathd_floor(at[axis]);
    part = at[axis] - low;
    if (low >= 0 && low < (double)extent)
        sum += (1 - part) * sample(r, base, at, axis + 1, pixel * extent + (int64_t)low);
    if (low >= -1 && low + 1 < (double)extent)
        sum += part * sample(r, base, at, axis + 1, pixel * extent + (int64_t)low + 1);
    return sum;
}

/* Tap number `tap` of channel c for output number `o` of image i. */
static double deform_tap(const DeformRun *r, int64_t i, int64_t c, int64_t tap, int64_t o)
{
    int64_t og = c / (r->x->dim[1] / r->offset_group), rest_o = o, rest_r = tap;
    int64_t slot = (i * r->offset_group + og) * r->taps + tap;
    double at[MOST_AXES], v;

    for (int a = r->w.n - 1; a >= 0; a--) {
        int64_t p = rest_o % r->w.out[a] * r->w.stride[a] +
                    rest_r % r->w.kernel[a] * r->w.dilation[a] - r->w.before[a];
        rest_o /= r->w.out[a];
        rest_r /= r->w.kernel[a];
        at[a] = (double)p + tensor_double(r->offset, (slot * r->w.n + a) * r->area + o);
    }
    v = sample(r, (i * r->x->dim[1] + c) * r->plane, at, 0, 0);
    return r->mask ? v * tensor_double(r->mask, slot * r->area + o) : v;
}

static Status deform_start(Eval *cx, const Node *n, const Tensor *const *in, DeformRun *r)
{
    const Tensor *x = in[0], *w = in[1];
    int64_t group = attr_int(n, "group", 1);
    int spatial = x->rank - 2;

    *r = (DeformRun){.x = x, .k = w, .offset = in[2], .mask = n->n_in > 4 ? in[4] : NULL};
    if (spatial < 1 || spatial > MOST_AXES || w->rank != x->rank)
        return op_error(n, cx->diag, "X", "DeformConv: ranks %d and %d", x->rank, w->rank);
    TRY(window_eval(cx, n, spatial, x->dim + 2, w->dim + 2, &r->w));
    r->taps = r->plane = r->area = 1;
    for (int i = 0; i < spatial; i++) {
        r->taps *= r->w.kernel[i];
        r->plane *= r->w.in[i];
        r->area *= r->w.out[i];
    }
    r->offset_group = attr_int(n, "offset_group", 1);
    if (group < 1 || w->dim[0] % group || x->dim[1] != w->dim[1] * group || r->offset_group < 1 ||
        x->dim[1] % r->offset_group)
        return op_error(n, cx->diag, "group", "DeformConv: channels and groups do not fit");
    int64_t slots = x->dim[0] * r->offset_group * r->taps * r->area;
    if (in[2]->count != slots * spatial || (r->mask && r->mask->count != slots))
        return op_error(n, cx->diag, "offset", "DeformConv: offsets or mask of the wrong size");
    return OK;
}

static Status eval_deform(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    const Tensor *bias = n->n_in > 3 ? in[3] : NULL;
    int64_t dims[MAX_RANK], depth = in[1]->dim[1], e = 0;
    DeformRun r;

    TRY(deform_start(cx, n, in, &r));
    int64_t per_group = in[1]->dim[0] / attr_int(n, "group", 1);
    dims[0] = r.x->dim[0];
    dims[1] = in[1]->dim[0];
    memcpy(dims + 2, r.w.out, sizeof *dims * (size_t)r.w.n);
    if (bias && bias->count != dims[1])
        return op_error(n, cx->diag, "B", "DeformConv: not one for each output channel");
    TRY(eval_out(cx, n, &out[0], r.x->dtype, r.w.n + 2, dims));
    for (int64_t i = 0; i < dims[0]; i++)
        for (int64_t c = 0; c < dims[1]; c++)
            for (int64_t o = 0; o < r.area; o++) {
                double sum = bias ? tensor_double(bias, c) : 0;
                for (int64_t k = 0; k < depth * r.taps; k++)
                    sum += tensor_double(r.k, c * depth * r.taps + k) *
                           deform_tap(&r, i, c / per_group * depth + k / r.taps, k % r.taps, o);
                tensor_set_double(out[0], e++, sum);
            }
    return OK;
}

const OpDef deform_ops[] = {
    {.name = "DeformConv",
     .since = 22,
     .about = "convolution at places that an operand moves",
     ROW_IN({"X", T_FLOAT, "T"}, {"W", T_FLOAT, "T"}, {"offset", T_FLOAT, "T"},
            {"B", T_FLOAT, "T", true}, {"mask", T_FLOAT, "T", true}),
     ROW_OUT({"Y", T_FLOAT, "T"}),
     ROW_ATTRS(ATTR_OPT("dilations", ATTR_INTS), ATTR_I("group", 1),
               ATTR_OPT("kernel_shape", ATTR_INTS), ATTR_I("offset_group", 1),
               ATTR_OPT("pads", ATTR_INTS), ATTR_OPT("strides", ATTR_INTS)),
     .traits = OP_PURE,
     .infer = infer_deform,
     .eval = eval_deform,
     .lower = lower_deform},
    {0},
};
