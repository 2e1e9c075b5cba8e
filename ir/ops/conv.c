/* conv.c: convolution, float and integer.
 *
 * All are contractions: out[n, g, c, o...] = sum over (ci, r...) of x[n, g, ci, position] * w[g, c,
 * ci, r...]. Where there are several groups of several channels each, the group is a domain index
 * of its own, so that the contraction shows which index belongs to which operand; one channel a
 * group (depthwise) needs none. */
#include "ir/ops/conv.h"

#include <string.h>

#include "ir/ops/compose.h"
#include "ir/ops/dot.h"
#include "ir/ops/family.h"
#include "ir/ops/ops_common.h"
#include "ir/ops/window.h"

/* ---- shapes ---- */

Status conv_kernel(Module *m, const Node *n, int input, int spatial, Diag *d, Dim *kernel)
{
    const Type *w = in_type(n, input);
    int given;
    const int64_t *shape = attr_ints(n, "kernel_shape", &given);

    if (w->rank != spatial + 2)
        return op_error(n, d, "W", "%s: the weights have rank %d, the input %d", node_op_name(n),
                        w->rank, spatial + 2);
    if (shape && given != spatial)
        return op_error(n, d, "kernel_shape", "%s: %d values, expected %d", node_op_name(n), given,
                        spatial);
    for (int i = 0; i < spatial; i++) {
        kernel[i] = w->dim[2 + i];
        if (!shape) continue;
        if (shape[i] < 0 || shape[i] > INT32_MAX ||
            (dim_is_const(kernel[i]) && kernel[i]->value != shape[i]))
            return op_error(n, d, "kernel_shape", "%s: %lld, but the weights have %lld",
                            node_op_name(n), (long long)shape[i], (long long)kernel[i]->lo);
        kernel[i] = dim_const(&m->dims, shape[i]);
    }
    return OK;
}

Status conv_read(Module *m, const Node *n, int x_in, int w_in, Diag *d, Conv *c)
{
    const Type *x = in_type(n, x_in), *w = in_type(n, w_in);
    Dim kernel[MAX_RANK], want;

    if (x->rank < 3)
        return op_error(n, d, "X", "%s: the input has rank %d, at least 3 is needed",
                        node_op_name(n), x->rank);
    TRY(conv_kernel(m, n, w_in, x->rank - 2, d, kernel));
    c->group = attr_int(n, "group", 1);
    c->batch = x->dim[0];
    c->channels = x->dim[1];
    c->features = w->dim[0];
    c->depth = w->dim[1];
    if (c->group < 1 || c->group > INT32_MAX ||
        (dim_is_const(c->features) && c->features->value % c->group))
        return op_error(n, d, "group", "%s: %lld does not divide the %lld output channels",
                        node_op_name(n), (long long)c->group, (long long)c->features->lo);
    c->each = dim_div(&m->dims, c->features, dim_const(&m->dims, c->group));
    want = dim_mul_c(&m->dims, c->depth, c->group);
    if (dim_is_const(c->channels) && dim_is_const(want) && c->channels != want)
        return op_error(n, d, "W", "%s: the input has %lld channels, the weights are for %lld",
                        node_op_name(n), (long long)c->channels->value, (long long)want->value);
    return window_read(m, n, x->rank - 2, x->dim + 2, kernel, d, &c->w);
}

static Status infer_conv_at(Infer *cx, Node *n, int x_in, int w_in, DType out)
{
    Conv c;
    Dim dims[MAX_RANK];

    TRY(conv_read(cx->module, n, x_in, w_in, cx->diag, &c));
    dims[0] = c.batch;
    dims[1] = c.features;
    memcpy(dims + 2, c.w.out, sizeof(Dim) * (size_t)c.w.n);
    infer_out(cx, n, 0, out, c.w.n + 2, dims);
    return OK;
}

static Status infer_conv(Infer *cx, Node *n)
{
    if (in_type(n, 1)->rank > 0) TRY(infer_vector(cx, n, 2, in_type(n, 1)->dim[0]));
    return infer_conv_at(cx, n, 0, 1, in_type(n, 0)->dtype);
}

static Status infer_conv_integer(Infer *cx, Node *n)
{
    return infer_conv_at(cx, n, 0, 1, DT_I32);
}

/* ---- lowering ---- */

void conv_require(Build *b, const Conv *c, const Value *weights)
{
    build_require_equal(b, c->channels, dim_mul_c(b->dims, c->depth, c->group));
    build_require_equal(b, c->features, dim_mul_c(b->dims, c->each, c->group));
    for (int i = 0; i < c->w.n; i++)
        build_require_equal(b, weights->type.dim[2 + i], c->w.kernel[i]);
}

void conv_layout(Build *b, const Conv *c, ConvLayout *y)
{
    SxTable *t = b->sx;
    int k = 0, spatial;

    y->split = c->group > 1 && !dim_is(c->each, 1) && !dim_is(c->depth, 1);
    y->dims[k++] = c->batch;
    if (y->split) y->dims[k++] = dim_const(b->dims, c->group);
    y->dims[k++] = y->split ? c->each : c->features;
    spatial = k;
    for (int i = 0; i < c->w.n; i++)
        y->dims[k++] = c->w.out[i];
    y->rank = k;
    y->reduce[0] = c->depth;
    for (int i = 0; i < c->w.n; i++)
        y->reduce[1 + i] = c->w.kernel[i];
    memcpy(y->extents, y->dims, sizeof(Dim) * (size_t)k);
    memcpy(y->extents + k, y->reduce, sizeof(Dim) * (size_t)(c->w.n + 1));

    y->feature = sx_index(t, y->split ? 2 : 1);
    y->group = y->split       ? sx_index(t, 1)
               : c->group > 1 ? sx_div(t, y->feature, sx_dim(t, c->each))
                              : sx_i64(b, 0);
    y->out_channel =
        y->split ? sx_add(t, sx_mul(t, y->group, sx_dim(t, c->each)), y->feature) : y->feature;
    y->in_channel = sx_mul(t, y->group, sx_dim(t, c->depth));
    if (!dim_is(c->depth, 1)) y->in_channel = sx_add(t, y->in_channel, sx_index(t, k));
    for (int i = 0; i < c->w.n; i++) {
        y->o[i] = sx_index(t, spatial + i);
        y->r[i] = sx_index(t, k + 1 + i);
    }
}

/* x at (n, channel, position...), 0 outside. */
static const Sx *conv_input(Build *b, const Conv *c, const ConvLayout *y, int src, const Value *x)
{
    const Sx *idx[MAX_RANK] = {sx_index(b->sx, 0), y->in_channel}, *guard = NULL;

    for (int i = 0; i < c->w.n; i++) {
        const Sx *p = window_position(b, &c->w, i, y->o[i], y->r[i]);
        const Sx *g = sx_inside(b, p, c->w.in[i], y->rank + c->w.n + 1, y->extents);
        idx[2 + i] = p;
        guard = guard && g ? sx_and(b->sx, guard, g) : g ? g : guard;
    }
    return sx_at_guarded(b, src, x, idx, guard);
}

static const Sx *conv_weight(Build *b, const Conv *c, const ConvLayout *y, int src, const Value *w)
{
    const Sx *idx[MAX_RANK] = {y->out_channel, sx_index(b->sx, y->rank)};

    for (int i = 0; i < c->w.n; i++)
        idx[2 + i] = y->r[i];
    return sx_at(b, src, w, idx);
}

Value *conv_join_groups(Build *b, const Node *n, const ConvLayout *y, Value *v)
{
    const Type *t = &n->out[0]->type;

    return y->split && v ? build_reshape(b, v, t->rank, t->dim) : v;
}

/* ---- taps that no output has: a window wider than the image, of few positions or with gaps ----
 */

/* Whether element r of the window lies in the image for any output along axis i. */
static bool tap_counts(const Window *w, int i, int64_t r)
{
    int64_t at = r * w->dilation[i] - w->before[i]->value, s = w->stride[i];
    int64_t first = at < 0 ? (-at + s - 1) / s : 0; /* output whose position is not before it */

    return first < w->out[i]->value && first * s + at < w->in[i]->value;
}

/* The elements along axis i that count: [*first, *end), where those are known and fewer than all.
 * What is padded in front stays at least 0. */
static bool counting_taps(const Window *w, int i, int64_t *first, int64_t *end)
{
    enum { LONGEST = INT32_MAX };

    *first = 0;
    if (!dim_is_const(w->in[i]) || !dim_is_const(w->out[i]) || !dim_is_const(w->before[i]))
        return false;
    if (w->in[i]->value > LONGEST || w->out[i]->value > LONGEST) return false;
    *end = w->kernel[i]->value;
    while (*first < *end && !tap_counts(w, i, *first))
        ++*first;
    while (*end > *first && !tap_counts(w, i, *end - 1))
        --*end;
    return *first < *end && *end - *first < w->kernel[i]->value &&
           *first * w->dilation[i] <= w->before[i]->value;
}

/* Elements [from, from + to->dim) of x. */
static void copy_block(const Tensor *x, const int64_t *from, Tensor *to)
{
    int64_t index[MAX_RANK] = {0}, at;
    size_t size = (size_t)dtype_bytes(x->dtype);

    for (int64_t e = 0; e < to->count; e++) {
        at = 0;
        for (int i = 0; i < x->rank; i++)
            at = at * x->dim[i] + index[i] + from[i];
        memcpy(tensor_at(to, e), tensor_at(x, at), size);
        eval_next(to->rank, to->dim, index);
    }
}

/* Weights without the elements that never count, the window as it is then: they only ever meet
 * zeros, which is not the same where they are infinite. */
static Value *trimmed(Build *b, Conv *c, Value *weights)
{
    const Tensor *x = weights->data;
    Window *w = &c->w;
    int64_t dims[MAX_RANK], from[MAX_RANK] = {0}, first, end;
    bool trims = false;
    Tensor *t;

    if (!x || !x->count || dtype_bits(x->dtype) < 8) return weights;
    memcpy(dims, x->dim, sizeof *dims * (size_t)x->rank);
    for (int i = 0; i < w->n; i++) {
        if (!counting_taps(w, i, &first, &end)) continue;
        trims = true;
        from[2 + i] = first;
        dims[2 + i] = end - first;
        w->kernel[i] = dim_const(b->dims, end - first);
        w->before[i] = dim_add_c(b->dims, w->before[i], -first * w->dilation[i]);
    }
    if (!trims) return weights;
    t = tensor_new(b->module->arena, x->dtype, x->rank, dims);
    if (t) copy_block(x, from, t);
    return build_tensor(b, t);
}

static Status lower_conv(Build *b, const Node *n, Value **out)
{
    Conv c;
    ConvLayout y;
    DType type = n->out[0]->type.dtype;
    Value *in[3] = {n->in[0], n->in[1], has_in(n, 2) ? n->in[2] : NULL};
    Dot d = {.label = "conv", .n_in = in[2] ? 3 : 2, .in = in, .out = type};

    TRY(conv_read(b->module, n, 0, 1, b->diag, &c));
    conv_require(b, &c, n->in[1]);
    in[1] = trimmed(b, &c, n->in[1]);
    TRY(b->status);
    conv_layout(b, &c, &y);
    d.rank = y.rank;
    d.dims = y.dims;
    d.n_reduce = c.w.n + 1;
    d.reduce = y.reduce;
    d.a = conv_input(b, &c, &y, 0, in[0]);
    d.b = conv_weight(b, &c, &y, 1, in[1]);
    if (in[2]) {
        const Sx *bias = sx_at(b, 2, in[2], &y.out_channel);
        const Sx *acc = sx_acc(b->sx, 0, dot_dtype(type));
        build_require_equal(b, in_type(n, 2)->dim[0], c.features);
        d.value = sx_cast(b->sx, sx_add(b->sx, acc, sx_cast(b->sx, bias, acc->dtype)), type);
    }
    out[0] = conv_join_groups(b, n, &y, build_dot(b, &d));
    return b->status;
}

/* i32(x) - i32(zero); outside of the input the difference is 0, so the guard stands around it. */
static const Sx *centred(Build *b, const Sx *x, const Sx *zero)
{
    const Sx *wide = sx_cast(b->sx, x, DT_I32), *v;

    if (!zero) return wide;
    v = sx_sub(b->sx, wide, sx_cast(b->sx, zero, DT_I32));
    if (!x->guarded) return v;
    return sx_select(b->sx, x->arg[x->n - 1], v, sx_const_int(b->sx, DT_I32, 0));
}

static Dim apart(DimTable *t, Dim a, Dim b)
{
    return dim_max(t, dim_sub(t, a, b), dim_sub(t, b, a));
}

/* The zero point of an output channel: one for all, or one each. */
static const Sx *zero_of_channel(Build *b, const Conv *c, int src, const Value *v,
                                 const Sx *channel)
{
    DimTable *t = b->dims;
    Dim count = type_count(t, &v->type), one = dim_const(t, 1);
    const Sx *single;

    build_require_equal(b, dim_min(t, apart(t, count, one), apart(t, count, c->features)),
                        dim_const(t, 0));
    if (v->type.rank != 1 || dim_is(count, 1)) return sx_scalar(b, src, v);
    single = sx_eq(b->sx, sx_dim(b->sx, count), sx_i64(b, 1));
    channel = sx_select(b->sx, single, sx_i64(b, 0), channel);
    return sx_at(b, src, v, &channel);
}

static Status lower_conv_integer(Build *b, const Node *n, Value **out)
{
    Conv c;
    ConvLayout y;
    Value *in[4] = {n->in[0], n->in[1]};
    const Sx *zx = NULL, *zw = NULL;
    Dot d = {.label = "conv", .n_in = 2, .in = in, .out = DT_I32, .acc = DT_I32};

    TRY(conv_read(b->module, n, 0, 1, b->diag, &c));
    conv_require(b, &c, n->in[1]);
    in[1] = trimmed(b, &c, n->in[1]);
    TRY(b->status);
    conv_layout(b, &c, &y);
    if (has_in(n, 2)) {
        zx = sx_scalar(b, d.n_in, n->in[2]);
        in[d.n_in++] = n->in[2];
    }
    if (has_in(n, 3)) {
        zw = zero_of_channel(b, &c, d.n_in, n->in[3], y.out_channel);
        in[d.n_in++] = n->in[3];
    }
    d.rank = y.rank;
    d.dims = y.dims;
    d.n_reduce = c.w.n + 1;
    d.reduce = y.reduce;
    d.a = centred(b, conv_input(b, &c, &y, 0, in[0]), zx);
    d.b = centred(b, conv_weight(b, &c, &y, 1, in[1]), zw);
    out[0] = conv_join_groups(b, n, &y, build_dot(b, &d));
    return b->status;
}

static Value *integer_conv(Build *b, const Node *n, Value *const *in, Value *const *zero,
                           int w_axis, int *axis)
{
    static const char *const attrs[] = {"auto_pad", "dilations", "group", "kernel_shape",
                                        "pads",     "strides",   NULL};
    Value *all[4] = {in[0], in[1], zero[0], zero[1]};

    if (w_axis != 0) return NULL;
    *axis = 1;
    return make_like(b, n, "ConvInteger", 4, all, attrs);
}

/* ---- evaluation ---- */

/* Sum over the window of x * w at one output point; `flat` over (feature, o...). */
typedef struct ConvEval {
    WindowEval w;
    const Tensor *x, *k;
    int64_t depth, per_group;
    const Tensor *zero_x, *zero_w;
    int64_t x_spatial[MAX_RANK], k_size; /* strides; elements of one window */
} ConvEval;

static bool eval_position(const ConvEval *c, const int64_t *o, int64_t window, int64_t *at)
{
    *at = 0;
    for (int i = c->w.n - 1; i >= 0; i--) {
        int64_t r = window % c->w.kernel[i], p;
        window /= c->w.kernel[i];
        p = o[i] * c->w.stride[i] + r * c->w.dilation[i] - c->w.before[i];
        if (p < 0 || p >= c->w.in[i]) return false;
        *at += p * c->x_spatial[i];
    }
    return true;
}

static void eval_conv_point(const ConvEval *c, int64_t batch, int64_t feature, const int64_t *o,
                            double *sum, int64_t *isum)
{
    int64_t plane = 1, channels = c->x->dim[1], group = feature / c->per_group;
    int64_t zx = c->zero_x ? tensor_int(c->zero_x, 0) : 0;
    int64_t zw = c->zero_w ? tensor_int(c->zero_w, c->zero_w->count == 1 ? 0 : feature) : 0;
    bool floats = dtype_is_float(c->x->dtype);

    for (int i = 0; i < c->w.n; i++)
        plane *= c->w.in[i];
    *sum = 0;
    *isum = 0;
    for (int64_t ci = 0; ci < c->depth; ci++)
        for (int64_t r = 0; r < c->k_size; r++) {
            int64_t at, ch = group * c->depth + ci;
            if (!eval_position(c, o, r, &at)) continue;
            int64_t px = (batch * channels + ch) * plane + at;
            int64_t pk = (feature * c->depth + ci) * c->k_size + r;
            if (floats)
                *sum += tensor_double(c->x, px) * tensor_double(c->k, pk);
            else
                *isum += (tensor_int(c->x, px) - zx) * (tensor_int(c->k, pk) - zw);
        }
}

static Status conv_eval_start(Eval *cx, const Node *n, const Tensor *x, const Tensor *k,
                              ConvEval *c)
{
    int64_t group = attr_int(n, "group", 1);

    if (x->rank < 3 || k->rank != x->rank)
        return op_error(n, cx->diag, NULL, "%s: ranks %d and %d", node_op_name(n), x->rank,
                        k->rank);
    memset(c, 0, sizeof *c);
    TRY(window_eval(cx, n, x->rank - 2, x->dim + 2, k->dim + 2, &c->w));
    c->x = x;
    c->k = k;
    c->depth = k->dim[1];
    if (group < 1 || k->dim[0] % group || x->dim[1] != c->depth * group)
        return op_error(n, cx->diag, "group", "%s: channels and groups do not fit",
                        node_op_name(n));
    c->per_group = k->dim[0] / group;
    c->k_size = 1;
    for (int i = 0; i < c->w.n; i++)
        c->k_size *= c->w.kernel[i];
    eval_strides(c->w.n, c->w.in, c->x_spatial);
    return OK;
}

static Status eval_conv_all(Eval *cx, const Node *n, ConvEval *c, DType type, const Tensor *bias,
                            Tensor **out)
{
    int64_t dims[MAX_RANK] = {c->x->dim[0], c->k->dim[0]}, index[MAX_RANK] = {0}, e = 0;

    memcpy(dims + 2, c->w.out, sizeof(int64_t) * (size_t)c->w.n);
    TRY(eval_out(cx, n, out, type, c->w.n + 2, dims));
    if (!(*out)->count) return OK;
    do {
        double sum;
        int64_t isum;
        eval_conv_point(c, index[0], index[1], index + 2, &sum, &isum);
        if (dtype_is_float(type))
            tensor_set_double(*out, e++, sum + (bias ? tensor_double(bias, index[1]) : 0));
        else
            tensor_set_int(*out, e++, isum);
    } while (eval_next(c->w.n + 2, dims, index));
    return OK;
}

static Status eval_conv(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    ConvEval c;

    TRY(conv_eval_start(cx, n, in[0], in[1], &c));
    return eval_conv_all(cx, n, &c, in[0]->dtype, n->n_in > 2 ? in[2] : NULL, &out[0]);
}

static Status eval_conv_integer(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    ConvEval c;

    TRY(conv_eval_start(cx, n, in[0], in[1], &c));
    c.zero_x = n->n_in > 2 ? in[2] : NULL;
    c.zero_w = n->n_in > 3 ? in[3] : NULL;
    if ((c.zero_x && c.zero_x->count != 1) ||
        (c.zero_w && c.zero_w->count != 1 && c.zero_w->count != in[1]->dim[0]))
        return op_error(n, cx->diag, NULL, "%s: zero points: one of x, one or %lld of w expected",
                        node_op_name(n), (long long)in[1]->dim[0]);
    return eval_conv_all(cx, n, &c, DT_I32, NULL, &out[0]);
}

#define CONV_ATTRS                                                                                 \
    ROW_ATTRS(ATTR_S("auto_pad", "NOTSET"), ATTR_OPT("dilations", ATTR_INTS), ATTR_I("group", 1),  \
              ATTR_OPT("kernel_shape", ATTR_INTS), ATTR_OPT("pads", ATTR_INTS),                    \
              ATTR_OPT("strides", ATTR_INTS))

const OpDef conv_ops[] = {
    {.name = "Conv",
     .since = 22,
     .about = "convolution",
     ROW_IN({"X", T_FLOAT, "T"}, {"W", T_FLOAT, "T"}, {"B", T_FLOAT, "T", true}),
     ROW_OUT({"Y", T_FLOAT, "T"}),
     CONV_ATTRS,
     .traits = OP_PURE,
     .quant = QUANT_CONTRACT,
     .integer = integer_conv,
     .infer = infer_conv,
     .eval = eval_conv,
     .lower = lower_conv},
    {.name = "ConvInteger",
     .since = 10,
     .about = "convolution of 8-bit integers less their zero points, in i32",
     ROW_IN({"x", T_BYTE, "T1"}, {"w", T_BYTE, "T2"}, {"x_zero_point", T_BYTE, "T1", true},
            {"w_zero_point", T_BYTE, "T2", true}),
     ROW_OUT({"y", DT_BIT(DT_I32), "T3"}),
     CONV_ATTRS,
     .traits = OP_PURE,
     .infer = infer_conv_integer,
     .eval = eval_conv_integer,
     .lower = lower_conv_integer},
    {0},
};
