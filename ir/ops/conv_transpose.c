/* conv_transpose.c: the transpose of a convolution, the gradient of Conv with respect to its input.
 */
#include "ir/ops/conv.h"

#include <string.h>

#include "ir/ops/compose.h"
#include "ir/ops/dot.h"
#include "ir/ops/family.h"
#include "ir/ops/ops_common.h"
#include "support/checked.h"

/* out = stride*(in-1) + output_padding + dilation*(k-1) + 1 - pads, or output_shape and pads from
 * it. */
static Status transposed_axis(Module *m, const Node *n, Diag *d, Window *w, int i,
                              const int64_t *pads, const int64_t *extra, const int64_t *shape,
                              const char *auto_pad)
{
    DimTable *t = &m->dims;
    Dim reach = dim_mul_c(t, dim_add_c(t, w->kernel[i], -1), w->dilation[i]);
    Dim full = dim_add(t, dim_mul_c(t, dim_add_c(t, w->in[i], -1), w->stride[i]),
                       dim_add_c(t, reach, extra[i] + 1));
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

static Status transposed_read(Module *m, const Node *n, Diag *d, const Type *x, const Type *wt,
                              const Dim *kernel, Conv *c)
{
    Window *w = &c->w;
    Dim channels = wt->dim[0];
    int64_t pads[2 * MAX_RANK], extra[MAX_RANK];
    int n_shape;
    const int64_t *shape = attr_ints(n, "output_shape", &n_shape);

    memset(w, 0, sizeof *w);
    w->n = x->rank - 2;
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
    if (c->group < 1 || c->group > INT32_MAX ||
        (dim_is_const(channels) && channels->value % c->group))
        return op_error(n, d, "group", "ConvTranspose: %lld does not divide %lld channels",
                        (long long)c->group, (long long)channels->lo);
    if (dim_is_const(x->dim[1]) && dim_is_const(channels) && x->dim[1] != channels)
        return op_error(n, d, "W", "ConvTranspose: the input has %lld channels, the weights %lld",
                        (long long)x->dim[1]->value, (long long)channels->value);
    c->depth = dim_div(&m->dims, channels, dim_const(&m->dims, c->group));
    c->each = wt->dim[1];
    c->features = dim_mul_c(&m->dims, c->each, c->group);
    for (int i = 0; i < w->n; i++) {
        w->in[i] = x->dim[2 + i];
        w->kernel[i] = kernel[i];
        TRY(transposed_axis(m, n, d, w, i, pads, extra, shape,
                            attr_string(n, "auto_pad", "NOTSET")));
        /* of one point, steps are any: as long as the window, for the fewest taps */
        if (dim_is(w->in[i], 1) && w->dilation[i] == 1 && dim_is_const(kernel[i]) &&
            kernel[i]->value > 0)
            w->stride[i] = kernel[i]->value;
    }
    return OK;
}

static Status transposed_of_node(Module *m, const Node *n, Diag *d, Conv *c)
{
    const Type *x = in_type(n, 0);
    Dim kernel[MAX_RANK];

    if (x->rank < 3) return op_error(n, d, "X", "ConvTranspose: the input has rank %d", x->rank);
    TRY(conv_kernel(m, n, 1, x->rank - 2, d, kernel));
    return transposed_read(m, n, d, x, in_type(n, 1), kernel, c);
}

static Status infer_transposed(Infer *cx, Node *n)
{
    Conv c;
    Dim dims[MAX_RANK];

    TRY(transposed_of_node(cx->module, n, cx->diag, &c));
    dims[0] = c.batch;
    dims[1] = c.features;
    memcpy(dims + 2, c.w.out, sizeof(Dim) * (size_t)c.w.n);
    TRY(infer_vector(cx, n, 2, dims[1]));
    infer_out(cx, n, 0, in_type(n, 0)->dtype, c.w.n + 2, dims);
    return OK;
}

/* Output o gets input p through window element r where p*stride + r*dilation - before = o. */
static const Sx *transposed_input(Build *b, const Conv *c, const ConvLayout *y, const Value *x)
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
 * and the output is y rearranged: stride^axes times fewer products than with guards. Where phases
 * have different numbers of taps, each is a convolution of its own, and y[n, phase, ...] joins
 * them; where these are many, or have none, the taps that a phase lacks read no x, for one that is
 * infinite times 0 is no number. Few features fill no vector: (phase..., c) is one index then, and
 * w is rearranged, too. The order of each sum is the same. */
enum { MOST_APART = 16 };   /* phases that are convolutions of their own */
enum { FEW_FEATURES = 15 }; /* of a group */

typedef struct Phases {
    const Conv *c;
    bool split; /* groups of several channels: an index of their own */
    bool apart; /* one phase, `phase`, whose index has one point */
    bool laced; /* `feature` is the index of phases, too */
    bool deep;  /* depthwise: `feature` is the channel of x, too */
    int64_t phase[MAX_RANK];
    int rank, n_reduce, group, feature, spatial; /* numbers of indices */
    Dim dims[MAX_RANK + 1], reduce[MAX_RANK], extents[2 * MAX_RANK + 1];
} Phases;

static bool is_deep(const Conv *c)
{
    return c->group > 1 && dim_is(c->depth, 1) && dim_is(c->each, 1);
}

static int64_t phases_of(const Conv *c)
{
    int64_t phases = 1;

    for (int i = 0; i < c->w.n; i++)
        if (!checked_mul_i64(phases, c->w.stride[i], &phases)) return INT64_MAX;
    return phases;
}

static void phases_layout(Build *b, const Conv *c, Phases *p)
{
    DimTable *t = b->dims;
    int n = c->w.n, k = 0;

    p->c = c;
    p->deep = is_deep(c);
    p->split = c->group > 1 && !p->deep;
    p->dims[k++] = c->batch;
    for (int i = 0; i < n && !p->apart && !p->laced; i++)
        p->dims[k++] = dim_const(t, c->w.stride[i]);
    if (p->apart) p->dims[k++] = dim_const(t, 1);
    p->group = k;
    if (p->split) p->dims[k++] = dim_const(t, c->group);
    p->feature = k;
    p->dims[k] = p->deep ? c->channels : c->each;
    if (p->laced) p->dims[k] = dim_mul(t, dim_const(t, phases_of(c)), c->each);
    k++;
    p->spatial = k;
    for (int i = 0; i < n; i++) {
        Dim end = dim_add(t, c->w.before[i], c->w.out[i]);
        p->dims[k++] = dim_ceil_div(t, end, dim_const(t, c->w.stride[i]));
    }
    p->rank = k;
    p->n_reduce = n + 1;
    p->reduce[0] = c->depth;
    for (int i = 0; i < n; i++) {
        Dim taps = dim_add_c(t, c->w.kernel[i], p->apart ? -p->phase[i] : 0);
        p->reduce[1 + i] = dim_ceil_div(t, taps, dim_const(t, c->w.stride[i]));
    }
    memcpy(p->extents, p->dims, sizeof(Dim) * (size_t)k);
    memcpy(p->extents + k, p->reduce, sizeof(Dim) * (size_t)(n + 1));
}

static const Sx *both_guards(Build *b, const Sx *x, const Sx *y)
{
    return x && y ? sx_and(b->sx, x, y) : x ? x : y;
}

/* Channel `at` of the group that the point belongs to. */
static const Sx *of_group(Build *b, const Phases *p, Dim size, const Sx *at)
{
    if (!p->split) return at;
    return sx_add(b->sx, sx_mul(b->sx, sx_index(b->sx, p->group), sx_dim(b->sx, size)), at);
}

/* w'[(phase..., c), ci, t...] = w[ci, c, stride*t + phase], of windows of whole strides */
static Tensor *laced_weights(Arena *a, const Conv *c, const Tensor *w)
{
    size_t size = (size_t)dtype_bytes(w->dtype);
    int64_t dims[MAX_RANK] = {phases_of(c) * w->dim[1], w->dim[0]};
    Tensor *laced;

    for (int i = 0; i < c->w.n; i++)
        dims[2 + i] = w->dim[2 + i] / c->w.stride[i];
    laced = tensor_new(a, w->dtype, w->rank, dims);
    for (int64_t k = 0; laced && k < w->count; k++) {
        int64_t left = k, phase = 0, phases = 1, tap = 0, taps = 1;
        for (int i = c->w.n - 1; i >= 0; i--) {
            int64_t r = left % w->dim[2 + i];
            left /= w->dim[2 + i];
            phase += r % c->w.stride[i] * phases;
            phases *= c->w.stride[i];
            tap += r / c->w.stride[i] * taps;
            taps *= dims[2 + i];
        }
        int64_t feature = phase * w->dim[1] + left % w->dim[1], channel = left / w->dim[1];
        int64_t to = (feature * w->dim[0] + channel) * taps + tap;
        memcpy(tensor_at(laced, to), tensor_at(w, k), size);
    }
    return laced;
}

/* Each phase has the bias again. */
static Tensor *laced_bias(Arena *a, const Conv *c, const Tensor *bias)
{
    int64_t count = phases_of(c) * bias->count;
    Tensor *laced = tensor_new(a, bias->dtype, 1, &count);

    for (int64_t phase = 0; laced && phase < phases_of(c); phase++)
        memcpy(tensor_at(laced, phase * bias->count), bias->data, bias->bytes);
    return laced;
}

static Value *phases_sum(Build *b, const Node *n, const Phases *p)
{
    const Conv *c = p->c;
    SxTable *t = b->sx;
    int k = c->w.n, total = p->rank + p->n_reduce;
    DType type = n->out[0]->type.dtype;
    const Sx *channel = of_group(b, p, c->depth, sx_index(t, p->deep ? p->feature : p->rank));
    const Sx *in_x = NULL, *in_w = NULL;
    const Sx *x[MAX_RANK] = {sx_index(t, 0), channel};
    const Sx *w[MAX_RANK] = {channel, p->deep ? sx_i64(b, 0) : sx_index(t, p->feature)};
    Value *in[3] = {n->in[0], n->in[1], has_in(n, 2) ? n->in[2] : NULL};
    Dot d = {.label = "conv_transpose",
             .n_in = in[2] ? 3 : 2,
             .in = in,
             .rank = p->rank,
             .n_reduce = p->n_reduce,
             .dims = p->dims,
             .reduce = p->reduce,
             .out = type};

    for (int i = 0; i < k; i++) {
        const Sx *tap = sx_index(t, p->rank + 1 + i);
        const Sx *phase = p->apart ? sx_i64(b, p->phase[i]) : sx_index(t, 1 + i);
        x[2 + i] = sx_sub(t, sx_index(t, p->spatial + i), tap);
        w[2 + i] = sx_add(t, sx_mul(t, tap, sx_i64(b, c->w.stride[i])), phase);
        in_x = both_guards(b, in_x, sx_inside(b, x[2 + i], c->w.in[i], total, p->extents));
        if (p->laced) continue; /* all phases have all taps */
        in_w = both_guards(b, in_w, sx_inside(b, w[2 + i], c->w.kernel[i], total, p->extents));
    }
    d.a = sx_at_guarded(b, 0, in[0], x, both_guards(b, in_x, in_w));
    if (p->laced) {
        in[1] = build_tensor(b, laced_weights(b->module->arena, c, in[1]->data));
        if (in[2]) in[2] = build_tensor(b, laced_bias(b->module->arena, c, in[2]->data));
        if (b->status != OK) return NULL;
        w[0] = sx_index(t, p->feature);
        w[1] = channel;
        for (int i = 0; i < k; i++)
            w[2 + i] = sx_index(t, p->rank + 1 + i);
    }
    d.b = sx_at_guarded(b, 1, in[1], w, in_w);
    if (in[2]) {
        const Sx *acc = sx_acc(t, 0, dot_dtype(type));
        const Sx *f = of_group(b, p, c->each, sx_index(t, p->feature));
        d.value = sx_cast(t, sx_add(t, acc, sx_cast(t, sx_at(b, 2, in[2], &f), acc->dtype)), type);
    }
    return build_dot(b, &d);
}

/* y[n, phase, ...] of phases that have taps of their own. */
static Value *phases_apart(Build *b, const Node *n, const Conv *c, Phases *p)
{
    Value *part[MOST_APART];
    int count = (int)phases_of(c);

    for (int k = 0; k < count; k++) {
        int left = k;
        for (int i = c->w.n - 1; i >= 0; i--) {
            p->phase[i] = left % c->w.stride[i];
            left /= (int)c->w.stride[i];
        }
        phases_layout(b, c, p);
        part[k] = phases_sum(b, n, p);
        if (!part[k]) return NULL;
    }
    return build_concat(b, count, part, 1);
}

static Value *phases_in_order(Build *b, const Node *n, const Phases *p, Value *y)
{
    const Conv *c = p->c;
    const Type *o = &n->out[0]->type;
    const Sx *idx[MAX_RANK], *phase = NULL, *channel = sx_index(b->sx, 1);
    const Sx *per_group = sx_dim(b->sx, c->each);

    if (!y) return NULL;
    idx[0] = sx_index(b->sx, 0);
    idx[p->feature] = p->split ? sx_rem(b->sx, channel, per_group) : channel;
    if (p->split) idx[p->group] = sx_div(b->sx, channel, per_group);
    for (int i = 0; i < c->w.n; i++) {
        const Sx *q = sx_add(b->sx, sx_index(b->sx, 2 + i), sx_dim(b->sx, c->w.before[i]));
        const Sx *s = sx_i64(b, c->w.stride[i]), *rem = sx_rem(b->sx, q, s);
        phase = phase ? sx_add(b->sx, sx_mul(b->sx, phase, s), rem) : rem;
        if (!p->apart && !p->laced) idx[1 + i] = rem;
        idx[p->spatial + i] = sx_div(b->sx, q, s);
    }
    if (p->apart) idx[1] = phase;
    if (p->laced) idx[p->feature] = sx_add(b->sx, sx_mul(b->sx, phase, per_group), channel);
    return build_map(b, "phases", 1, &y, o->dtype, o->rank, o->dim, sx_at(b, 0, y, idx));
}

/* All phases have as many taps. */
static bool are_even(const Conv *c)
{
    for (int i = 0; i < c->w.n; i++)
        if (!dim_is_const(c->w.kernel[i]) || c->w.kernel[i]->value % c->w.stride[i]) return false;
    return true;
}

/* Such phases are laced by shuffles; of depthwise ones, that is most of the work. */
static bool are_powers_of_two(const Conv *c)
{
    for (int i = 0; i < c->w.n; i++)
        if (c->w.stride[i] & (c->w.stride[i] - 1)) return false;
    return true;
}

static bool has_phases(const Conv *c)
{
    for (int i = 0; i < c->w.n; i++) {
        if (c->w.dilation[i] != 1 || c->w.before[i]->lo < 0) return false;
    }
    if (c->group > 1 && dim_is(c->depth, 1) != dim_is(c->each, 1)) return false;
    if (phases_of(c) <= 1 || 4 + 2 * c->w.n > MAX_RANK) return false;
    return !is_deep(c) || (are_even(c) && are_powers_of_two(c));
}

/* Some phases have more taps than others, and all have one. */
static bool are_apart(const Conv *c)
{
    for (int i = 0; i < c->w.n; i++)
        if (!dim_is_const(c->w.kernel[i]) || c->w.kernel[i]->value < c->w.stride[i]) return false;
    return !are_even(c) && phases_of(c) <= MOST_APART;
}

static bool is_laced(const Node *n, const Conv *c)
{
    const Tensor *w = n->in[1]->data;

    return w && are_even(c) && w->dim[1] <= FEW_FEATURES && c->group == 1 &&
           (!has_in(n, 2) || n->in[2]->data);
}

static Status lower_transposed(Build *b, const Node *n, Value **out)
{
    Conv c;
    ConvLayout y;
    DType type = n->out[0]->type.dtype;
    const Sx *w[MAX_RANK];
    Dot d = {.label = "conv_transpose", .n_in = has_in(n, 2) ? 3 : 2, .in = n->in, .out = type};

    TRY(transposed_of_node(b->module, n, b->diag, &c));
    conv_require(b, &c, n->in[1]);
    build_require_equal(b, c.channels, in_type(n, 1)->dim[0]);
    if (has_in(n, 2)) build_require_equal(b, in_type(n, 2)->dim[0], c.features);
    if (has_phases(&c)) {
        Phases p = {.apart = are_apart(&c)};
        p.laced = !p.apart && is_laced(n, &c);
        if (!p.apart) phases_layout(b, &c, &p);
        Value *y = p.apart ? phases_apart(b, n, &c, &p) : phases_sum(b, n, &p);
        out[0] = phases_in_order(b, n, &p, y);
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
    w[1] = y.split || c.group == 1 ? y.feature : sx_rem(b->sx, y.feature, sx_dim(b->sx, c.each));
    for (int i = 0; i < c.w.n; i++)
        w[2 + i] = y.r[i];
    d.b = sx_at(b, 1, n->in[1], w);
    if (has_in(n, 2)) {
        const Sx *acc = sx_acc(b->sx, 0, dot_dtype(type));
        const Sx *bias = sx_cast(b->sx, sx_at(b, 2, n->in[2], &y.out_channel), acc->dtype);
        d.value = sx_cast(b->sx, sx_add(b->sx, acc, bias), type);
    }
    out[0] = conv_join_groups(b, n, &y, build_dot(b, &d));
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
    int64_t in_index[MAX_RANK] = {0}, per_group = c->each->value, window = 1, e = 0;
    int64_t depth = c->depth->value, kernel[MAX_RANK];
    int64_t plane = 1;

    for (int i = 0; i < c->w.n; i++) {
        kernel[i] = c->w.kernel[i]->value;
        window *= kernel[i];
        plane *= dims[2 + i];
    }
    if (!x->count) return OK;
    do {
        double v = tensor_double(x, e++);
        int64_t ci = in_index[1], group = ci / depth;
        for (int64_t f = 0; f < per_group; f++)
            for (int64_t r = 0; r < window; r++) {
                int64_t at = 0, left = r, q[MAX_RANK];
                bool inside = true;
                for (int i = c->w.n - 1; i >= 0; i--) {
                    q[i] = in_index[2 + i] * c->w.stride[i] + left % kernel[i] * c->w.dilation[i] -
                           before[i];
                    left /= kernel[i];
                    inside &= q[i] >= 0 && q[i] < dims[2 + i];
                }
                if (!inside) continue;
                for (int i = 0; i < c->w.n; i++)
                    at = at * dims[2 + i] + q[i];
                at += (in_index[0] * c->features->value + group * per_group + f) * plane;
                sum[at] += v * tensor_double(k, (ci * per_group + f) * window + r);
            }
    } while (eval_next(x->rank, x->dim, in_index));
    return OK;
}

static Status eval_transposed(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    Arena *a = arena_new(0);
    Module m = {.arena = a};
    Dim xd[MAX_RANK], wd[MAX_RANK];
    Type x = type_tensor(in[0]->dtype, in[0]->rank, xd);
    Type w = type_tensor(in[1]->dtype, in[1]->rank, wd);
    Conv c;
    int64_t dims[MAX_RANK], before[MAX_RANK], plane = 1;
    double *sum;
    Status s;

    if (!a) return diag(cx->diag, ERR_LIMIT, node_where(n), "out of memory");
    dims_init(&m.dims, a);
    for (int i = 0; i < in[0]->rank; i++)
        xd[i] = dim_const(&m.dims, in[0]->dim[i]);
    for (int i = 0; i < in[1]->rank; i++)
        wd[i] = dim_const(&m.dims, in[1]->dim[i]);
    s = in[0]->rank < 3 || in[1]->rank != in[0]->rank
            ? op_error(n, cx->diag, NULL, "ConvTranspose: ranks %d and %d", in[0]->rank,
                       in[1]->rank)
            : transposed_read(&m, n, cx->diag, &x, &w, wd + 2, &c);
    if (s == OK) {
        dims[0] = in[0]->dim[0];
        dims[1] = c.features->value;
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
        double bias =
            n->n_in > 2 && in[2] ? tensor_double(in[2], e / plane % c.features->value) : 0;
        tensor_set_double(out[0], e, sum[e] + bias);
    }
    arena_free(a);
    return s;
}

const OpDef conv_transpose_ops[] = {
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
