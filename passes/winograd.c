/* winograd.c: convolutions of 3 x 3 in another basis, where --math winograd asks for it.
 *
 *     x --conv 3x3--> y        16 results of a tile: 144 products a feature and channel
 *
 *     x --BT d B--> v [36][tiles][channels]
 *     v --36 products of matrices with G g GT--> u [36][tiles][features]     36
 *     u --AT u A, bias, residual, activation--> y
 *
 * F(4,3) makes tiles of 4 x 4 results from 6 x 6 inputs, F(2,3) tiles of 2 x 2 from 4 x 4. Weights
 * are transformed here, in double. Behind the last row or column of the operand the last one is
 * read again: what comes of it is not stored.
 *
 * Taken: f32, stride 1, no dilation, weights that are known, channels innermost, no guard left (see
 * halo). A model of costs decides, in multiply-adds; what it decides is noted on the kernel. The
 * sum over channels keeps its chain, so bits are the same for any threads and batch, but not those
 * of exact arithmetic.
 *
 * Ends: each change removes a sum over a window of 3 x 3. */
#include "passes/winograd.h"

#include <string.h>

#include "ir/build.h"
#include "passes/pass.h"
#include "support/vec.h"

enum {
    TAPS = 3,
    FETCH = 15, /* products of one row that a weight costs to be fetched, in multiply-adds */
    GAIN = 110  /* percent */
};

/* Multiply-adds that the transforms of one tile cost, a channel and a feature. */
static const struct Cost {
    int m, data, result;
} costs[] = {{4, 150, 120}, {2, 70, 50}};

typedef struct Conv {
    Node *n;
    const Stage *s;
    const Sx *x; /* the operand's load */
    const Tensor *weights;
    int w_axis[4];                    /* which index of the stage each axis of the weights is */
    int row, column;                  /* domain indices, */
    int tap_row, tap_column, channel; /* and reduced ones */
    int64_t base[2];                  /* of the operand's rows and columns */
    int64_t h, w, c, k;               /* of the result; channels, features */
} Conv;

typedef struct Winograd {
    Build b;
    const Conv *conv;
    int m, a;       /* results and inputs of a tile, along one direction */
    int64_t th, tw; /* tiles */
} Winograd;

/* ---- which convolutions ---- */

/* e = domain index + reduced index + base */
static bool window_of(SxTable *t, const Stage *s, const Sx *e, int *domain, int *reduced,
                      int64_t *base)
{
    const Sx *stride, *rest = e;

    *domain = *reduced = -1;
    for (int i = 0; i < s->rank + s->n_reduce; i++) {
        int *to = i < s->rank ? domain : reduced;
        if (!sx_uses_index(t, rest, i)) continue;
        if (*to >= 0 || !sx_linear(t, rest, i, &stride, &rest)) return false;
        if (stride->op != SX_CONST || stride->bits != 1) return false;
        *to = i;
    }
    if (rest->op != SX_CONST || *domain < 0 || *reduced < 0) return false;
    *base = (int64_t)rest->bits;
    return true;
}

static bool weights_of(const Node *n, const Sx *e, Conv *c)
{
    if (e->op != SX_LOAD || e->src < 0 || e->flat || e->guarded || e->n != 4) return false;
    c->weights = n->in[e->src]->data;
    if (!c->weights || c->weights->dtype != DT_F32) return false;
    for (int i = 0; i < 4; i++) {
        if (e->arg[i]->op != SX_INDEX) return false;
        c->w_axis[i] = e->arg[i]->index;
    }
    return true;
}

static bool weights_have(const Conv *c, int index)
{
    for (int i = 0; i < 4; i++)
        if (c->w_axis[i] == index) return true;
    return false;
}

static bool is_index(const Sx *e, int k)
{
    return e->op == SX_INDEX && e->index == k;
}

static bool operand_of(SxTable *t, const Node *n, const Sx *e, Conv *c)
{
    const Stage *s = c->s;

    if (e->op != SX_LOAD || e->src < 0 || e->flat || e->guarded || e->n != 4) return false;
    c->x = e;
    if (!window_of(t, s, e->arg[1], &c->row, &c->tap_row, &c->base[0])) return false;
    if (!window_of(t, s, e->arg[2], &c->column, &c->tap_column, &c->base[1])) return false;
    if (c->row != 1 || c->column != 2 || e->arg[3]->op != SX_INDEX) return false;
    c->channel = e->arg[3]->index;
    if (c->channel < s->rank || (!is_index(e->arg[0], 0) && e->arg[0]->op != SX_CONST))
        return false;
    for (int i = 1; i < 4; i++)
        if (!dim_is_const(n->in[e->src]->type.dim[i])) return false;
    return weights_have(c, 3) && weights_have(c, c->channel) && weights_have(c, c->tap_row) &&
           weights_have(c, c->tap_column);
}

static bool three_taps(const Conv *c, int index)
{
    return dim_is(c->s->reduce[index - c->s->rank], TAPS);
}

static bool is_conv(SxTable *t, Node *n, Conv *c)
{
    const Stage *s;

    if (n->kind != NODE_KERNEL || n->kernel->n_stage != 1) return false;
    s = &n->kernel->stage[0];
    if (s->rank != 4 || s->n_reduce != 3 || s->n_acc != 1 || s->n_out != 1) return false;
    if (s->acc[0].monoid != MONOID_DOT || s->acc[0].dtype != DT_F32 || s->out[0].dst) return false;
    *c = (Conv){.n = n, .s = s};
    if (!(weights_of(n, s->acc[0].body2, c) && operand_of(t, n, s->acc[0].body, c)) &&
        !(weights_of(n, s->acc[0].body, c) && operand_of(t, n, s->acc[0].body2, c)))
        return false;
    for (int i = 1; i < 4; i++)
        if (!dim_is_const(s->extent[i])) return false;
    if (!three_taps(c, c->tap_row) || !three_taps(c, c->tap_column)) return false;
    Dim channels = s->reduce[c->channel - s->rank];
    if (!dim_is_const(channels)) return false;
    c->h = s->extent[1]->value;
    c->w = s->extent[2]->value;
    c->k = s->extent[3]->value;
    c->c = channels->value;
    return c->h > 0 && c->w > 0 && c->k > 0 && c->c > 0;
}

/* ---- what it costs ---- */

static int64_t tiles(int64_t n, int m)
{
    return (n + m - 1) / m;
}

/* Of one image: the batch must not decide, since bits shall not depend on it. */
static double direct_cost(const Conv *c)
{
    return ((double)c->h * (double)c->w + FETCH) * TAPS * TAPS * (double)c->c * (double)c->k;
}

static double tiled_cost(const Conv *c, const struct Cost *cost)
{
    double n = (double)tiles(c->h, cost->m) * (double)tiles(c->w, cost->m);
    double products = (cost->m + 2) * (cost->m + 2) * (double)c->c * (double)c->k;

    return (n + FETCH) * products + n * (cost->data * (double)c->c + cost->result * (double)c->k);
}

/* The size of tiles that pays, or 0; `gain` in percent. */
static int choose(const Conv *c, int64_t *gain)
{
    double direct = direct_cost(c), least = direct;
    int m = 0;

    for (size_t i = 0; i < sizeof costs / sizeof *costs; i++) {
        double cost = tiled_cost(c, &costs[i]);
        if (cost * GAIN / 100 > direct || cost >= least) continue;
        least = cost;
        m = costs[i].m;
    }
    *gain = (int64_t)(100 * direct / least);
    return m;
}

static void note(Module *m, Node *n, const char *what)
{
    Kernel *k = arena_copy(m->arena, n->kernel, sizeof *k);

    k->why = k->why ? arena_printf(m->arena, "%s; %s", k->why, what) : what;
    n->kernel = k;
}

/* ---- weights ---- */

static int64_t weight_stride(const Conv *c, int index)
{
    int64_t stride = 1;

    for (int i = 3; i >= 0; i--) {
        if (c->w_axis[i] == index) return stride;
        stride *= c->weights->dim[i];
    }
    return 0;
}

/* G g GT of one channel and feature, `step` floats apart. */
static void transform(int m, const double g[TAPS * TAPS], float *out, int64_t step)
{
    int a = m + 2;
    double half[WINOGRAD_MOST * TAPS], whole[WINOGRAD_MOST * WINOGRAD_MOST];

    for (int s = 0; s < TAPS; s++)
        winograd_weights(m, g + s, TAPS, half + s, TAPS);
    for (int i = 0; i < a; i++)
        winograd_weights(m, half + (ptrdiff_t)i * TAPS, 1, whole + (ptrdiff_t)i * a, 1);
    for (int i = 0; i < a * a; i++)
        out[i * step] = (float)whole[i];
}

/* [a * a][channels][features] */
static Value *new_weights(Winograd *w)
{
    const Conv *c = w->conv;
    int64_t dim[] = {w->a * w->a, c->c, c->k};
    int64_t of_k = weight_stride(c, 3), of_c = weight_stride(c, c->channel);
    int64_t of_r = weight_stride(c, c->tap_row), of_s = weight_stride(c, c->tap_column);
    Tensor *t = tensor_new(w->b.module->arena, DT_F32, 3, dim);
    const float *from = c->weights->data;
    double g[TAPS * TAPS];

    if (!t) {
        build_fail(&w->b, diag(w->b.diag, ERR_LIMIT, node_where(c->n), "no memory for weights"));
        return NULL;
    }
    for (int64_t i = 0; i < c->c; i++)
        for (int64_t k = 0; k < c->k; k++) {
            for (int r = 0; r < TAPS * TAPS; r++)
                g[r] = (double)from[k * of_k + i * of_c + r / TAPS * of_r + r % TAPS * of_s];
            transform(w->m, g, (float *)t->data + i * c->k + k, c->c * c->k);
        }
    return build_tensor(&w->b, t);
}

/* ---- indices ---- */

static const Sx *times(Winograd *w, const Sx *e, int64_t by, const Sx *more)
{
    SxTable *t = w->b.sx;

    return sx_add(t, sx_mul(t, e, sx_i64(&w->b, by)), more);
}

/* Of the tile that the transforms' point belongs to. */
static const Sx *tile_row(Winograd *w)
{
    return sx_index(w->b.sx, 1);
}

static const Sx *tile_column(Winograd *w)
{
    return sx_index(w->b.sx, 2);
}

static const Sx *last_index(Winograd *w)
{
    return sx_index(w->b.sx, 3);
}

/* Its place in v and u. */
static void place(Winograd *w, int position, const Sx **idx)
{
    const Sx *row = times(w, sx_index(w->b.sx, 0), w->th, tile_row(w));

    idx[0] = sx_i64(&w->b, position);
    idx[1] = times(w, row, w->tw, tile_column(w));
    idx[2] = last_index(w);
}

/* Domain of the transforms: [4]. */
static void domain(Winograd *w, int64_t last, Dim *d)
{
    d[0] = w->conv->s->extent[0];
    d[1] = dim_const(w->b.dims, w->th);
    d[2] = dim_const(w->b.dims, w->tw);
    d[3] = dim_const(w->b.dims, last);
}

/* Dims of v or u: [3]. */
static void transformed(Winograd *w, int64_t last, Dim *d)
{
    d[0] = dim_const(w->b.dims, w->a * w->a);
    d[1] = dim_mul_c(w->b.dims, w->conv->s->extent[0], w->th * w->tw);
    d[2] = dim_const(w->b.dims, last);
}

/* m * tile + at + base, at most `last`. */
static const Sx *position(Winograd *w, const Sx *tile, int64_t n_tile, int at, int64_t base,
                          int64_t last)
{
    const Sx *e = times(w, tile, w->m, sx_i64(&w->b, at + base));

    if (w->m * (n_tile - 1) + at + base <= last) return e;
    return sx_min(w->b.sx, e, sx_i64(&w->b, last));
}

/* ---- the three kernels ---- */

typedef const Sx *(*Row)(Winograd *w, int i, int j);
typedef void (*Direction)(SxTable *t, int m, const Sx *const *x, const Sx **out);

/* Both directions over an a x a square. y: [n][n], n results a direction. */
static void both_ways(Winograd *w, Row read, Direction f, int n, const Sx **y)
{
    const Sx *column[WINOGRAD_MOST], *out[WINOGRAD_MOST], *half[WINOGRAD_MOST][WINOGRAD_MOST];

    for (int j = 0; j < w->a; j++) {
        for (int i = 0; i < w->a; i++)
            column[i] = read(w, i, j);
        f(w->b.sx, w->m, column, out);
        for (int i = 0; i < n; i++)
            half[i][j] = out[i];
    }
    for (int i = 0; i < n; i++)
        f(w->b.sx, w->m, half[i], y + (ptrdiff_t)i * n);
}

static const Sx *read_data(Winograd *w, int i, int j)
{
    const Conv *c = w->conv;
    const Dim *dim = c->n->in[c->x->src]->type.dim;
    const Sx *idx[] = {
        c->x->arg[0], position(w, tile_row(w), w->th, i, c->base[0], dim[1]->value - 1),
        position(w, tile_column(w), w->tw, j, c->base[1], dim[2]->value - 1), last_index(w)};

    return sx_load(w->b.sx, DT_F32, 0, 4, idx, NULL);
}

static const Sx *read_product(Winograd *w, int i, int j)
{
    const Sx *idx[3];

    place(w, i * w->a + j, idx);
    return sx_load(w->b.sx, DT_F32, 0, 3, idx, NULL);
}

/* A stage over tiles with n results, all placed in result 0 of that rank. */
static Stage tile_stage(Winograd *w, int64_t last, int n, int rank)
{
    Arena *a = w->b.module->arena;
    Stage s = {.rank = 4, .scan_axis = -1, .n_out = n};

    s.extent = ARENA_ARRAY(a, Dim, 4);
    domain(w, last, s.extent);
    s.out = ARENA_ARRAY(a, StageOut, n);
    for (int i = 0; i < n; i++)
        s.out[i] = (StageOut){.dtype = DT_F32,
                              .n_dst = rank,
                              .dst = ARENA_ARRAY(a, const Sx *, rank),
                              .combine = COMBINE_PLACE,
                              .init = -1};
    return s;
}

static Value *data_kernel(Winograd *w, Value *x)
{
    Stage s = tile_stage(w, w->conv->c, w->a * w->a, 3);
    const Sx *v[WINOGRAD_MOST * WINOGRAD_MOST];
    Dim dims[3];

    transformed(w, w->conv->c, dims);
    both_ways(w, read_data, winograd_data, w->a, v);
    for (int p = 0; p < s.n_out; p++) {
        s.out[p].value = v[p];
        place(w, p, s.out[p].dst);
    }
    Type type = type_tensor(DT_F32, 3, dims);
    Node *n = build_stage(&w->b, "winograd data", 1, &x, &s, 1, &type);
    return n ? n->out[0] : NULL;
}

static Value *product_kernel(Winograd *w, Value *v, Value *weights)
{
    SxTable *t = w->b.sx;
    Value *in[] = {v, weights};
    const Sx *idx[] = {sx_index(t, 0), sx_index(t, 1), sx_index(t, 3)};
    const Sx *of_weights[] = {sx_index(t, 0), sx_index(t, 3), sx_index(t, 2)};
    Acc acc = {.monoid = MONOID_DOT,
               .dtype = DT_F32,
               .body = sx_load(t, DT_F32, 0, 3, idx, NULL),
               .body2 = sx_load(t, DT_F32, 1, 3, of_weights, NULL)};
    Dim dims[3], channels = dim_const(w->b.dims, w->conv->c);

    transformed(w, w->conv->k, dims);
    return build_reduce(&w->b, "winograd products", 2, in, 3, dims, 1, &channels, ORDER_CHAIN, acc,
                        DT_F32, NULL);
}

/* The convolution's own value at one result of a tile. */
typedef struct Epilogue {
    Winograd *w;
    const Sx *sum, *row, *column;
    Value **in; /* operands so far */
    int n_in, cap_in;
} Epilogue;

static int operand_number(Epilogue *e, Value *v)
{
    for (int i = 0; i < e->n_in; i++)
        if (e->in[i] == v) return i;
    VEC_PUSH(e->w->b.module->arena, e->in, e->n_in, e->cap_in, v);
    return e->n_in - 1;
}

static const Sx *epilogue_leaf(void *context, const Sx *x)
{
    Epilogue *e = context;
    SxTable *t = e->w->b.sx;
    const Sx *guard = x->guarded ? x->arg[x->n - 1] : NULL;

    if (x->op == SX_ACC) return e->sum;
    if (x->op == SX_INDEX)
        return x->index == 0   ? NULL
               : x->index == 1 ? e->row
               : x->index == 2 ? e->column
                               : last_index(e->w);
    if (x->op != SX_LOAD) return NULL;
    int src = operand_number(e, e->w->conv->n->in[x->src]);
    return x->flat ? sx_load_flat(t, x->dtype, src, x->arg[0], guard)
                   : sx_load(t, x->dtype, src, x->n - x->guarded, x->arg, guard);
}

static const Sx *both(SxTable *t, const Sx *a, const Sx *b)
{
    return a && b ? sx_and(t, a, b) : a ? a : b;
}

/* Whether row (or column) `at` of a tile is one of the n of the result; NULL: always. */
static const Sx *inside(Winograd *w, const Sx *at, int64_t tiles_there, int i, int64_t n)
{
    if (w->m * (tiles_there - 1) + i < n) return NULL;
    return sx_lt(w->b.sx, at, sx_i64(&w->b, n));
}

static void finish(Winograd *w, StageOut *o, int i, int j, Epilogue *e)
{
    const Conv *c = w->conv;
    SxTable *t = w->b.sx;
    const StageOut *was = &c->s->out[0];
    const Sx *row = times(w, tile_row(w), w->m, sx_i64(&w->b, i));
    const Sx *column = times(w, tile_column(w), w->m, sx_i64(&w->b, j));

    e->row = position(w, tile_row(w), w->th, i, 0, c->h - 1);
    e->column = position(w, tile_column(w), w->tw, j, 0, c->w - 1);
    o->value = sx_rewrite(t, was->value, epilogue_leaf, e);
    o->dtype = was->dtype;
    o->dst[0] = sx_index(t, 0);
    o->dst[1] = row;
    o->dst[2] = column;
    o->dst[3] = last_index(w);
    o->dst_guard = both(t, inside(w, row, w->th, i, c->h), inside(w, column, w->tw, j, c->w));
    o->before = was->before;
    o->within = was->before ? c->s->extent : NULL;
}

static Value *result_kernel(Winograd *w, Value *products)
{
    const Conv *c = w->conv;
    Stage s = tile_stage(w, c->k, w->m * w->m, 4);
    const Sx *y[WINOGRAD_MOST * WINOGRAD_MOST];
    Epilogue e = {.w = w};

    (void)operand_number(&e, products);
    both_ways(w, read_product, winograd_result, w->m, y);
    for (int p = 0; p < s.n_out; p++) {
        e.sum = y[p];
        finish(w, &s.out[p], p / w->m, p % w->m, &e);
    }
    const char *label = c->n->kernel->label ? c->n->kernel->label : "";
    label = arena_printf(w->b.module->arena, "winograd %s", label);
    Node *n = build_stage(&w->b, label, e.n_in, e.in, &s, 1, &c->n->out[0]->type);
    return n ? n->out[0] : NULL;
}

/* ---- the change ---- */

static Status change(PassContext *cx, Module *m, const Conv *c, int size, int64_t gain,
                     bool *changed)
{
    Node *n = c->n;
    Winograd w = {.b = build_at(n->parent, n, n->origin, cx->diag), .conv = c, .m = size};
    Value *weights, *y;

    w.a = size + 2;
    w.th = tiles(c->h, size);
    w.tw = tiles(c->w, size);
    weights = new_weights(&w);
    y = weights ? data_kernel(&w, n->in[c->x->src]) : NULL;
    y = y ? product_kernel(&w, y, weights) : NULL;
    y = y ? result_kernel(&w, y) : NULL;
    if (!y) return w.b.status;
    y->name = n->out[0]->name;
    note(m, y->def,
         arena_printf(m->arena, "F(%d,3), %lld x %lld tiles: %lld %% of the cost", size,
                      (long long)w.th, (long long)w.tw, (long long)(10000 / gain)));
    value_replace(n->out[0], y);
    node_unlink(n);
    *changed = true;
    return OK;
}

typedef struct Look {
    PassContext *cx;
    Module *m;
    bool *changed;
} Look;

static Status look(void *context, Node *n)
{
    Look *l = context;
    Conv c;
    int64_t gain;
    int m;

    if (n->kind != NODE_KERNEL || math_of(l->cx->options, n) != MATH_WINOGRAD) return OK;
    if (!is_conv(&l->m->sx, n, &c)) return OK;
    m = choose(&c, &gain);
    if (!m) {
        note(l->m, n, "not winograd: transforms and weights cost more than products saved");
        return OK;
    }
    if (!pass_accept(l->cx)) return OK;
    return change(l->cx, l->m, &c, m, gain, l->changed);
}

Status pass_winograd(PassContext *cx, Module *m, bool *changed)
{
    Look l = {cx, m, changed};

    if (!cx->options->n_math) return OK;
    TRY(module_visit(m, look, &l));
    if (*changed) module_resolve(m);
    return OK;
}
