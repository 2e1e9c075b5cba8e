/* conv.c: convolution and its transpose, float and integer.
 *
 * All are contractions: out[n, g, c, o...] = sum over (ci, r...) of x[n, g, ci, position] * w[g, c,
 * ci, r...]. Where there are several groups of several channels each, the group is a domain index
 * of its own, so that the contraction shows which index belongs to which operand; one channel a
 * group (depthwise) needs none. */
#include <string.h>

#include "ir/ops/compose.h"
#include "ir/ops/dot.h"
#include "ir/ops/family.h"
#include "ir/ops/ops_common.h"
#include "ir/ops/window.h"

/* ---- shapes ---- */

typedef struct Conv {
    Window w;
    int64_t group;
    Dim batch, channels;     /* of the input */
    int64_t features, depth; /* output channels; input channels of one group */
} Conv;

static Status weight_dims(const Node *n, int input, int rank, Diag *d, int64_t *out)
{
    const Type *t = in_type(n, input);

    if (t->rank != rank)
        return op_error(n, d, "W", "%s: the weights have rank %d, the input %d", node_op_name(n),
                        t->rank, rank);
    for (int i = 0; i < rank; i++) {
        if (!dim_is_const(t->dim[i])) return op_unsupported(n, d, "weights with open dims");
        out[i] = t->dim[i]->value;
    }
    return OK;
}

static Status check_kernel_attr(const Node *n, Diag *d, int spatial, const int64_t *kernel)
{
    int count;
    const int64_t *k = attr_ints(n, "kernel_shape", &count);

    if (!k) return OK;
    if (count != spatial)
        return op_error(n, d, "kernel_shape", "%s: %d values, expected %d", node_op_name(n), count,
                        spatial);
    for (int i = 0; i < spatial; i++)
        if (k[i] != kernel[i])
            return op_error(n, d, "kernel_shape", "%s: %lld, but the weights have %lld",
                            node_op_name(n), (long long)k[i], (long long)kernel[i]);
    return OK;
}

static Status conv_read(Module *m, const Node *n, int x_in, int w_in, Diag *d, Conv *c)
{
    const Type *x = in_type(n, x_in);
    int64_t w[MAX_RANK];

    if (x->rank < 3)
        return op_error(n, d, "X", "%s: the input has rank %d, at least 3 is needed",
                        node_op_name(n), x->rank);
    TRY(weight_dims(n, w_in, x->rank, d, w));
    TRY(check_kernel_attr(n, d, x->rank - 2, w + 2));
    c->group = attr_int(n, "group", 1);
    c->batch = x->dim[0];
    c->channels = x->dim[1];
    c->features = w[0];
    c->depth = w[1];
    if (c->group < 1 || c->features % c->group)
        return op_error(n, d, "group", "%s: %lld does not divide the %lld output channels",
                        node_op_name(n), (long long)c->group, (long long)c->features);
    if (dim_is_const(c->channels) && c->channels->value != c->depth * c->group)
        return op_error(n, d, "W", "%s: the input has %lld channels, the weights are for %lld",
                        node_op_name(n), (long long)c->channels->value,
                        (long long)(c->depth * c->group));
    return window_read(m, n, x->rank - 2, x->dim + 2, w + 2, d, &c->w);
}

static Status infer_conv_at(Infer *cx, Node *n, int x_in, int w_in, DType out)
{
    Conv c;
    Dim dims[MAX_RANK];

    TRY(conv_read(cx->module, n, x_in, w_in, cx->diag, &c));
    dims[0] = c.batch;
    dims[1] = dim_const(&cx->module->dims, c.features);
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

/* Index layout of the contraction's domain. */
typedef struct Layout {
    bool split; /* the group is an index of its own */
    int rank;   /* of the domain */
    Dim dims[MAX_RANK + 1];
    Dim reduce[MAX_RANK];
    const Sx *group, *feature, *out_channel, *in_channel; /* expressions */
    const Sx *o[MAX_RANK], *r[MAX_RANK];
    Dim extents[2 * MAX_RANK]; /* of all indices, for bounds */
} Layout;

static void conv_layout(Build *b, const Conv *c, Layout *y)
{
    SxTable *t = b->sx;
    int64_t per_group = c->features / c->group;
    int k = 0, spatial;

    y->split = c->group > 1 && per_group > 1 && c->depth > 1;
    y->dims[k++] = c->batch;
    if (y->split) y->dims[k++] = dim_const(b->dims, c->group);
    y->dims[k++] = dim_const(b->dims, y->split ? per_group : c->features);
    spatial = k;
    for (int i = 0; i < c->w.n; i++)
        y->dims[k++] = c->w.out[i];
    y->rank = k;
    y->reduce[0] = dim_const(b->dims, c->depth);
    for (int i = 0; i < c->w.n; i++)
        y->reduce[1 + i] = dim_const(b->dims, c->w.kernel[i]);
    memcpy(y->extents, y->dims, sizeof(Dim) * (size_t)k);
    memcpy(y->extents + k, y->reduce, sizeof(Dim) * (size_t)(c->w.n + 1));

    y->feature = sx_index(t, y->split ? 2 : 1);
    y->group = y->split       ? sx_index(t, 1)
               : c->group > 1 ? sx_div(t, y->feature, sx_i64(b, per_group))
                              : sx_i64(b, 0);
    y->out_channel =
        y->split ? sx_add(t, sx_mul(t, y->group, sx_i64(b, per_group)), y->feature) : y->feature;
    y->in_channel = sx_mul(t, y->group, sx_i64(b, c->depth));
    if (c->depth > 1) y->in_channel = sx_add(t, y->in_channel, sx_index(t, k));
    for (int i = 0; i < c->w.n; i++) {
        y->o[i] = sx_index(t, spatial + i);
        y->r[i] = sx_index(t, k + 1 + i);
    }
}

/* x at (n, channel, position...), 0 outside. */
static const Sx *conv_input(Build *b, const Conv *c, const Layout *y, int src, const Value *x)
{
    const Sx *idx[MAX_RANK] = {sx_index(b->sx, 0), y->in_channel}, *guard = NULL;

    build_require_equal(b, c->channels, dim_const(b->dims, c->depth * c->group));
    for (int i = 0; i < c->w.n; i++) {
        const Sx *p = window_position(b, &c->w, i, y->o[i], y->r[i]);
        const Sx *g = sx_inside(b, p, c->w.in[i], y->rank + c->w.n + 1, y->extents);
        idx[2 + i] = p;
        guard = guard && g ? sx_and(b->sx, guard, g) : g ? g : guard;
    }
    return sx_at_guarded(b, src, x, idx, guard);
}

static const Sx *conv_weight(Build *b, const Conv *c, const Layout *y, int src, const Value *w)
{
    const Sx *idx[MAX_RANK] = {y->out_channel, sx_index(b->sx, y->rank)};

    for (int i = 0; i < c->w.n; i++)
        idx[2 + i] = y->r[i];
    return sx_at(b, src, w, idx);
}

static Value *join_groups(Build *b, const Node *n, const Layout *y, Value *v)
{
    const Type *t = &n->out[0]->type;

    return y->split && v ? build_reshape(b, v, t->rank, t->dim) : v;
}

static Status lower_conv(Build *b, const Node *n, Value **out)
{
    Conv c;
    Layout y;
    DType type = n->out[0]->type.dtype;
    Dot d = {.label = "conv", .n_in = has_in(n, 2) ? 3 : 2, .in = n->in, .out = type};

    TRY(conv_read(b->module, n, 0, 1, b->diag, &c));
    conv_layout(b, &c, &y);
    d.rank = y.rank;
    d.dims = y.dims;
    d.n_reduce = c.w.n + 1;
    d.reduce = y.reduce;
    d.a = conv_input(b, &c, &y, 0, n->in[0]);
    d.b = conv_weight(b, &c, &y, 1, n->in[1]);
    if (has_in(n, 2)) {
        const Sx *bias = sx_at(b, 2, n->in[2], &y.out_channel);
        const Sx *acc = sx_acc(b->sx, 0, dot_dtype(type));
        build_require_equal(b, in_type(n, 2)->dim[0], dim_const(b->dims, c.features));
        d.value = sx_cast(b->sx, sx_add(b->sx, acc, sx_cast(b->sx, bias, acc->dtype)), type);
    }
    out[0] = join_groups(b, n, &y, build_dot(b, &d));
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

static const Sx *per_channel(Build *b, int src, const Value *v, const Sx *channel)
{
    Dim count = type_count(b->dims, &v->type);
    return v->type.rank == 1 && !dim_is(count, 1) ? sx_at(b, src, v, &channel)
                                                  : sx_scalar(b, src, v);
}

static Status lower_conv_integer(Build *b, const Node *n, Value **out)
{
    Conv c;
    Layout y;
    Value *in[4] = {n->in[0], n->in[1]};
    const Sx *zx = NULL, *zw = NULL;
    Dot d = {.label = "conv", .n_in = 2, .in = in, .out = DT_I32, .acc = DT_I32};

    TRY(conv_read(b->module, n, 0, 1, b->diag, &c));
    conv_layout(b, &c, &y);
    if (has_in(n, 2)) {
        zx = sx_scalar(b, d.n_in, n->in[2]);
        in[d.n_in++] = n->in[2];
    }
    if (has_in(n, 3)) {
        zw = per_channel(b, d.n_in, n->in[3], y.out_channel);
        in[d.n_in++] = n->in[3];
    }
    d.rank = y.rank;
    d.dims = y.dims;
    d.n_reduce = c.w.n + 1;
    d.reduce = y.reduce;
    d.a = centred(b, conv_input(b, &c, &y, 0, n->in[0]), zx);
    d.b = centred(b, conv_weight(b, &c, &y, 1, n->in[1]), zw);
    out[0] = join_groups(b, n, &y, build_dot(b, &d));
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

/* ---- ConvTranspose: the gradient of Conv with respect to its input ---- */

/* out = stride*(in-1) + output_padding + dilation*(k-1) + 1 - pads, or output_shape and pads from
 * it. */
static Status transposed_axis(Module *m, const Node *n, Diag *d, Window *w, int i,
                              const int64_t *pads, const int64_t *extra, const int64_t *shape,
                              const char *auto_pad)
{
    DimTable *t = &m->dims;
    Dim full = dim_add_c(t, dim_mul_c(t, dim_add_c(t, w->in[i], -1), w->stride[i]),
                         extra[i] + (w->kernel[i] - 1) * w->dilation[i] + 1);
    bool same = strncmp(auto_pad, "SAME", 4) == 0, valid = strcmp(auto_pad, "VALID") == 0;

    if (shape || same) {
        Dim want = shape ? dim_const(t, shape[i]) : dim_mul_c(t, w->in[i], w->stride[i]);
        Dim total = dim_sub(t, full, want), half;
        total = dim_max(t, total, dim_const(t, 0)); /* what output_shape has more is at the end */
        half = dim_div(t, total, dim_const(t, 2));
        w->before[i] = strcmp(auto_pad, "SAME_UPPER") == 0 ? half : dim_sub(t, total, half);
        w->after[i] = dim_sub(t, total, w->before[i]);
        w->out[i] = want;
    } else {
        w->before[i] = dim_const(t, valid ? 0 : pads[i]);
        w->after[i] = dim_const(t, valid ? 0 : pads[w->n + i]);
        w->out[i] = dim_sub(t, full, dim_add(t, w->before[i], w->after[i]));
    }
    if (w->out[i]->hi < 0) return op_error(n, d, "pads", "ConvTranspose: the output is empty");
    return OK;
}

static Status transposed_read(Module *m, const Node *n, Diag *d, const Type *x, const int64_t *wd,
                              Conv *c)
{
    Window *w = &c->w;
    int64_t pads[2 * MAX_RANK], extra[MAX_RANK];
    int n_shape;
    const int64_t *shape = attr_ints(n, "output_shape", &n_shape);

    memset(w, 0, sizeof *w);
    w->n = x->rank - 2;
    TRY(check_kernel_attr(n, d, w->n, wd + 2));
    TRY(window_ints(n, d, "strides", w->n, 1, 1, w->stride));
    TRY(window_ints(n, d, "dilations", w->n, 1, 1, w->dilation));
    TRY(window_ints(n, d, "pads", 2 * w->n, 0, 0, pads));
    TRY(window_ints(n, d, "output_padding", w->n, 0, 0, extra));
    if (shape && n_shape == w->n + 2)
        shape += 2; /* some exporters give the whole shape */
    else if (shape && n_shape != w->n)
        return op_error(n, d, "output_shape", "ConvTranspose: %d values, expected %d", n_shape,
                        w->n);
    c->group = attr_int(n, "group", 1);
    c->batch = x->dim[0];
    c->channels = x->dim[1];
    if (c->group < 1 || wd[0] % c->group)
        return op_error(n, d, "group", "ConvTranspose: %lld does not divide %lld channels",
                        (long long)c->group, (long long)wd[0]);
    if (dim_is_const(x->dim[1]) && x->dim[1]->value != wd[0])
        return op_error(n, d, "W", "ConvTranspose: the input has %lld channels, the weights %lld",
                        (long long)x->dim[1]->value, (long long)wd[0]);
    c->depth = wd[0] / c->group;
    c->features = wd[1] * c->group;
    for (int i = 0; i < w->n; i++) {
        w->in[i] = x->dim[2 + i];
        w->kernel[i] = wd[2 + i];
        TRY(transposed_axis(m, n, d, w, i, pads, extra, shape,
                            attr_string(n, "auto_pad", "NOTSET")));
    }
    return OK;
}

static Status transposed_of_node(Module *m, const Node *n, Diag *d, Conv *c)
{
    const Type *x = in_type(n, 0);
    int64_t wd[MAX_RANK];

    if (x->rank < 3) return op_error(n, d, "X", "ConvTranspose: the input has rank %d", x->rank);
    TRY(weight_dims(n, 1, x->rank, d, wd));
    return transposed_read(m, n, d, x, wd, c);
}

static Status infer_transposed(Infer *cx, Node *n)
{
    Conv c;
    Dim dims[MAX_RANK];

    TRY(transposed_of_node(cx->module, n, cx->diag, &c));
    dims[0] = c.batch;
    dims[1] = dim_const(&cx->module->dims, c.features);
    memcpy(dims + 2, c.w.out, sizeof(Dim) * (size_t)c.w.n);
    TRY(infer_vector(cx, n, 2, dims[1]));
    infer_out(cx, n, 0, in_type(n, 0)->dtype, c.w.n + 2, dims);
    return OK;
}

/* Output o gets input p through window element r where p*stride + r*dilation - before = o. */
static const Sx *transposed_input(Build *b, const Conv *c, const Layout *y, const Value *x)
{
    const Sx *idx[MAX_RANK] = {sx_index(b->sx, 0), y->in_channel}, *guard = NULL;
    SxTable *t = b->sx;

    for (int i = 0; i < c->w.n; i++) {
        const Sx *q = sx_sub(t, sx_add(t, y->o[i], sx_dim(t, c->w.before[i])),
                             sx_mul(t, y->r[i], sx_i64(b, c->w.dilation[i])));
        const Sx *s = sx_i64(b, c->w.stride[i]), *p = q, *g;
        if (c->w.stride[i] != 1) {
            p = sx_floor_div(t, q, s);
            g = sx_eq(t, sx_mul(t, p, s), q);
            guard = guard ? sx_and(t, guard, g) : g;
        }
        g = sx_and(t, sx_le(t, sx_i64(b, 0), p), sx_lt(t, p, sx_dim(t, c->w.in[i])));
        guard = guard ? sx_and(t, guard, g) : g;
        idx[2 + i] = p;
    }
    return sx_at_guarded(b, 0, x, idx, guard);
}

/* With strides, an output q = stride*j + phase (q counts from before the padding) only meets the
 * window elements r = stride*t + phase, at inputs j - t. So the phases are output channels of one
 * convolution without strides,
 *
 *     y[n, phase..., c, j...] = sum over (ci, t...) of x[n, ci, j - t] * w[ci, c, stride*t + phase]
 *
 * and the output is y rearranged: stride^axes times fewer products than with guards. The order of
 * each sum is the same. */
typedef struct Phases {
    const Conv *c;
    int rank, n_reduce;
    Dim dims[MAX_RANK + 1], reduce[MAX_RANK], extents[2 * MAX_RANK + 1];
} Phases;

static void phases_layout(Build *b, const Conv *c, Phases *p)
{
    DimTable *t = b->dims;
    int n = c->w.n, k = 0;

    p->c = c;
    p->dims[k++] = c->batch;
    for (int i = 0; i < n; i++)
        p->dims[k++] = dim_const(t, c->w.stride[i]);
    p->dims[k++] = dim_const(t, c->features);
    for (int i = 0; i < n; i++) {
        Dim end = dim_add(t, c->w.before[i], c->w.out[i]);
        p->dims[k++] = dim_ceil_div(t, end, dim_const(t, c->w.stride[i]));
    }
    p->rank = k;
    p->n_reduce = n + 1;
    p->reduce[0] = dim_const(t, c->depth);
    for (int i = 0; i < n; i++)
        p->reduce[1 + i] = dim_const(t, (c->w.kernel[i] + c->w.stride[i] - 1) / c->w.stride[i]);
    memcpy(p->extents, p->dims, sizeof(Dim) * (size_t)k);
    memcpy(p->extents + k, p->reduce, sizeof(Dim) * (size_t)(n + 1));
}

static const Sx *both_guards(Build *b, const Sx *x, const Sx *y)
{
    return x && y ? sx_and(b->sx, x, y) : x ? x : y;
}

static Value *phases_sum(Build *b, const Node *n, const Phases *p)
{
    const Conv *c = p->c;
    SxTable *t = b->sx;
    int k = c->w.n, total = p->rank + p->n_reduce;
    DType type = n->out[0]->type.dtype;
    const Sx *x[MAX_RANK] = {sx_index(t, 0), sx_index(t, p->rank)}, *in_x = NULL, *in_w = NULL;
    const Sx *w[MAX_RANK] = {sx_index(t, p->rank), sx_index(t, 1 + k)};
    Dot d = {.label = "conv_transpose",
             .n_in = has_in(n, 2) ? 3 : 2,
             .in = n->in,
             .rank = p->rank,
             .n_reduce = p->n_reduce,
             .dims = p->dims,
             .reduce = p->reduce,
             .out = type};

    for (int i = 0; i < k; i++) {
        const Sx *tap = sx_index(t, p->rank + 1 + i);
        x[2 + i] = sx_sub(t, sx_index(t, 2 + k + i), tap);
        w[2 + i] = sx_add(t, sx_mul(t, tap, sx_i64(b, c->w.stride[i])), sx_index(t, 1 + i));
        in_x = both_guards(b, in_x, sx_inside(b, x[2 + i], c->w.in[i], total, p->extents));
        in_w = both_guards(
            b, in_w, sx_inside(b, w[2 + i], dim_const(b->dims, c->w.kernel[i]), total, p->extents));
    }
    d.a = sx_at_guarded(b, 0, n->in[0], x, in_x);
    d.b = sx_at_guarded(b, 1, n->in[1], w, in_w);
    if (has_in(n, 2)) {
        const Sx *acc = sx_acc(t, 0, dot_dtype(type)), *f = sx_index(t, 1 + k);
        d.value =
            sx_cast(t, sx_add(t, acc, sx_cast(t, sx_at(b, 2, n->in[2], &f), acc->dtype)), type);
    }
    return build_dot(b, &d);
}

static Value *phases_in_order(Build *b, const Node *n, const Phases *p, Value *y)
{
    const Conv *c = p->c;
    const Type *o = &n->out[0]->type;
    int k = c->w.n;
    const Sx *idx[MAX_RANK];

    if (!y) return NULL;
    idx[0] = sx_index(b->sx, 0);
    idx[1 + k] = sx_index(b->sx, 1);
    for (int i = 0; i < k; i++) {
        const Sx *q = sx_add(b->sx, sx_index(b->sx, 2 + i), sx_dim(b->sx, c->w.before[i]));
        const Sx *s = sx_i64(b, c->w.stride[i]);
        idx[1 + i] = sx_rem(b->sx, q, s);
        idx[2 + k + i] = sx_div(b->sx, q, s);
    }
    return build_map(b, "phases", 1, &y, o->dtype, o->rank, o->dim, sx_at(b, 0, y, idx));
}

static bool has_phases(const Conv *c)
{
    int64_t phases = 1;

    for (int i = 0; i < c->w.n; i++) {
        phases *= c->w.stride[i];
        if (c->w.dilation[i] != 1 || c->w.before[i]->lo < 0) return false;
    }
    return c->group == 1 && phases > 1 && 3 + 2 * c->w.n <= MAX_RANK;
}

static Status lower_transposed(Build *b, const Node *n, Value **out)
{
    Conv c;
    Layout y;
    DType type = n->out[0]->type.dtype;
    const Sx *w[MAX_RANK];
    Dot d = {.label = "conv_transpose", .n_in = has_in(n, 2) ? 3 : 2, .in = n->in, .out = type};

    TRY(transposed_of_node(b->module, n, b->diag, &c));
    build_require_equal(b, c.channels, dim_const(b->dims, c.depth * c.group));
    if (has_in(n, 2)) build_require_equal(b, in_type(n, 2)->dim[0], dim_const(b->dims, c.features));
    if (has_phases(&c)) {
        Phases p;
        phases_layout(b, &c, &p);
        out[0] = phases_in_order(b, n, &p, phases_sum(b, n, &p));
        return b->status;
    }
    conv_layout(b, &c, &y);
    d.rank = y.rank;
    d.dims = y.dims;
    d.n_reduce = c.w.n + 1;
    d.reduce = y.reduce;
    d.a = transposed_input(b, &c, &y, n->in[0]);
    /* w[in channel, feature within the group, r...] */
    w[0] = y.in_channel;
    w[1] = y.split || c.group == 1 ? y.feature
                                   : sx_rem(b->sx, y.feature, sx_i64(b, c.features / c.group));
    for (int i = 0; i < c.w.n; i++)
        w[2 + i] = y.r[i];
    d.b = sx_at(b, 1, n->in[1], w);
    if (has_in(n, 2)) {
        const Sx *acc = sx_acc(b->sx, 0, dot_dtype(type));
        const Sx *bias = sx_cast(b->sx, sx_at(b, 2, n->in[2], &y.out_channel), acc->dtype);
        d.value = sx_cast(b->sx, sx_add(b->sx, acc, bias), type);
    }
    out[0] = join_groups(b, n, &y, build_dot(b, &d));
    return b->status;
}

static bool no_symbol(void *context, Dim symbol, int64_t *value)
{
    (void)context;
    (void)symbol;
    (void)value;
    return false;
}

/* Scatters each input element times the window. */
static Status eval_transposed_sum(const Tensor *x, const Tensor *k, const Conv *c,
                                  const int64_t *dims, const int64_t *before, double *sum)
{
    int64_t in_index[MAX_RANK] = {0}, per_group = c->features / c->group, window = 1, e = 0;
    int64_t plane = 1;

    for (int i = 0; i < c->w.n; i++) {
        window *= c->w.kernel[i];
        plane *= dims[2 + i];
    }
    if (!x->count) return OK;
    do {
        double v = tensor_double(x, e++);
        int64_t ci = in_index[1], group = ci / c->depth;
        for (int64_t f = 0; f < per_group; f++)
            for (int64_t r = 0; r < window; r++) {
                int64_t at = 0, left = r, q[MAX_RANK];
                bool inside = true;
                for (int i = c->w.n - 1; i >= 0; i--) {
                    q[i] = in_index[2 + i] * c->w.stride[i] +
                           left % c->w.kernel[i] * c->w.dilation[i] - before[i];
                    left /= c->w.kernel[i];
                    inside &= q[i] >= 0 && q[i] < dims[2 + i];
                }
                if (!inside) continue;
                for (int i = 0; i < c->w.n; i++)
                    at = at * dims[2 + i] + q[i];
                at += (in_index[0] * c->features + group * per_group + f) * plane;
                sum[at] += v * tensor_double(k, (ci * per_group + f) * window + r);
            }
    } while (eval_next(x->rank, x->dim, in_index));
    return OK;
}

static Status eval_transposed(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    Arena *a = arena_new(0);
    Module m = {.arena = a};
    Dim xd[MAX_RANK];
    Type x = type_tensor(in[0]->dtype, in[0]->rank, xd);
    Conv c;
    int64_t dims[MAX_RANK], before[MAX_RANK], plane = 1;
    double *sum;
    Status s;

    if (!a) return diag(cx->diag, ERR_LIMIT, node_where(n), "out of memory");
    dims_init(&m.dims, a);
    for (int i = 0; i < in[0]->rank; i++)
        xd[i] = dim_const(&m.dims, in[0]->dim[i]);
    s = in[0]->rank < 3 || in[1]->rank != in[0]->rank
            ? op_error(n, cx->diag, NULL, "ConvTranspose: ranks %d and %d", in[0]->rank,
                       in[1]->rank)
            : transposed_read(&m, n, cx->diag, &x, in[1]->dim, &c);
    if (s == OK) {
        dims[0] = in[0]->dim[0];
        dims[1] = c.features;
        for (int i = 0; i < c.w.n; i++) {
            dim_eval(c.w.out[i], no_symbol, NULL, &dims[2 + i]);
            dim_eval(c.w.before[i], no_symbol, NULL, &before[i]);
            plane *= dims[2 + i];
        }
        s = eval_out(cx, n, &out[0], in[0]->dtype, in[0]->rank, dims);
    }
    sum = s == OK ? arena_try(a, (size_t)out[0]->count + 1, sizeof *sum) : NULL;
    if (s == OK && !sum) s = diag(cx->diag, ERR_LIMIT, node_where(n), "out of memory");
    if (s == OK) s = eval_transposed_sum(in[0], in[1], &c, dims, before, sum);
    for (int64_t e = 0; s == OK && e < out[0]->count; e++) {
        double bias = n->n_in > 2 && in[2] ? tensor_double(in[2], e / plane % c.features) : 0;
        tensor_set_double(out[0], e, sum[e] + bias);
    }
    arena_free(a);
    return s;
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
    {.name = "ConvTranspose",
     .since = 22,
     .about = "the transpose of a convolution",
     ROW_IN({"X", T_FLOAT, "T"}, {"W", T_FLOAT, "T"}, {"B", T_FLOAT, "T", true}),
     ROW_OUT({"Y", T_FLOAT, "T"}),
     ROW_ATTRS(ATTR_S("auto_pad", "NOTSET"), ATTR_OPT("dilations", ATTR_INTS), ATTR_I("group", 1),
               ATTR_OPT("kernel_shape", ATTR_INTS), ATTR_OPT("output_padding", ATTR_INTS),
               ATTR_OPT("output_shape", ATTR_INTS), ATTR_OPT("pads", ATTR_INTS),
               ATTR_OPT("strides", ATTR_INTS)),
     .traits = OP_PURE,
     .quant = QUANT_CONTRACT,
     .infer = infer_transposed,
     .eval = eval_transposed,
     .lower = lower_transposed},
    {0},
};
