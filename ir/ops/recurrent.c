/* recurrent.c: RNN, GRU, LSTM.
 *
 * What does not depend on the state is one contraction over all steps; a Loop carries the state,
 * with one contraction of the state and one map a step. Sequences shorter than the longest keep
 * their state when they are over, and give 0. Notation of the specification: W input weights [D,
 * G*H, I], R recurrent weights [D, G*H, H], B biases [D, 2*G*H], D directions, G gates, H hidden
 * size, T steps, N batch. Gates: LSTM i o f c, GRU z r h. */
#include "ir/ops/recurrent.h"

#include <string.h>

#include "ir/mathd.h"
#include "ir/ops/dot.h"
#include "ir/ops/ops_common.h"

/* ---- activations ---- */

#define K(v) sx_const(b->sx, x->dtype, v)
#define SX_ACT(f, e)                                                                               \
    static const Sx *sx_act_##f(Build *b, const Sx *x, double alpha, double beta)                  \
    {                                                                                              \
        (void)alpha;                                                                               \
        (void)beta;                                                                                \
        return e;                                                                                  \
    }
#define EVAL_ACT(f, e)                                                                             \
    static double eval_act_##f(double x, double alpha, double beta)                                \
    {                                                                                              \
        (void)alpha;                                                                               \
        (void)beta;                                                                                \
        return e;                                                                                  \
    }
SX_ACT(sigmoid, sx_sigmoid(b->sx, x))
EVAL_ACT(sigmoid, mathd_sigmoid(x))
SX_ACT(tanh, sx_tanh(b->sx, x))
EVAL_ACT(tanh, mathd_tanh(x))
SX_ACT(relu, sx_max(b->sx, x, K(0)))
EVAL_ACT(relu, x < 0 ? 0 : x)
SX_ACT(affine, sx_add(b->sx, sx_mul(b->sx, x, K(alpha)), K(beta)))
EVAL_ACT(affine, alpha *x + beta)
SX_ACT(leaky, sx_select(b->sx, sx_lt(b->sx, x, K(0)), sx_mul(b->sx, x, K(alpha)), x))
EVAL_ACT(leaky, x < 0 ? alpha * x : x)
SX_ACT(thresholded, sx_select(b->sx, sx_lt(b->sx, x, K(alpha)), K(0), x))
EVAL_ACT(thresholded, x < alpha ? 0 : x)
SX_ACT(scaled_tanh, sx_mul(b->sx, sx_tanh(b->sx, sx_mul(b->sx, x, K(beta))), K(alpha)))
EVAL_ACT(scaled_tanh, alpha *mathd_tanh(beta *x))
SX_ACT(hard_sigmoid,
       sx_min(b->sx, sx_max(b->sx, sx_add(b->sx, sx_mul(b->sx, x, K(alpha)), K(beta)), K(0)), K(1)))
EVAL_ACT(hard_sigmoid, alpha *x + beta < 0 ? 0 : alpha * x + beta > 1 ? 1 : alpha * x + beta)
SX_ACT(elu, sx_select(b->sx, sx_lt(b->sx, x, K(0)),
                      sx_mul(b->sx, sx_op1(b->sx, SX_EXPM1, x), K(alpha)), x))
EVAL_ACT(elu, x < 0 ? alpha * mathd_expm1(x) : x)
SX_ACT(softsign, sx_div(b->sx, x, sx_add(b->sx, sx_abs(b->sx, x), K(1))))
EVAL_ACT(softsign, x / (1 + (x < 0 ? -x : x)))
SX_ACT(softplus, sx_add(b->sx, sx_max(b->sx, x, K(0)),
                        sx_op1(b->sx, SX_LOG1P, sx_exp(b->sx, sx_neg(b->sx, sx_abs(b->sx, x))))))
EVAL_ACT(softplus, (x < 0 ? 0 : x) + mathd_log1p(mathd_exp(x < 0 ? x : -x)))
#undef K

static const Activation activations[] = {
    {"Sigmoid", 0, 0, sx_act_sigmoid, eval_act_sigmoid},
    {"Tanh", 0, 0, sx_act_tanh, eval_act_tanh},
    {"Relu", 0, 0, sx_act_relu, eval_act_relu},
    {"Affine", 1, 0, sx_act_affine, eval_act_affine},
    {"LeakyRelu", 0.01, 0, sx_act_leaky, eval_act_leaky},
    {"ThresholdedRelu", 1, 0, sx_act_thresholded, eval_act_thresholded},
    {"ScaledTanh", 1, 1, sx_act_scaled_tanh, eval_act_scaled_tanh},
    {"HardSigmoid", 0.2, 0.5, sx_act_hard_sigmoid, eval_act_hard_sigmoid},
    {"Elu", 1, 0, sx_act_elu, eval_act_elu},
    {"Softsign", 0, 0, sx_act_softsign, eval_act_softsign},
    {"Softplus", 0, 0, sx_act_softplus, eval_act_softplus},
};

static bool same_text(const char *a, const char *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((a[i] | 32) != (b[i] | 32)) return false;
    return b[n] == 0;
}

static const Activation *activation_of(StringRef s)
{
    for (size_t i = 0; i < sizeof activations / sizeof *activations; i++)
        if (same_text(s.s, activations[i].name, (size_t)s.n)) return &activations[i];
    return NULL;
}

/* ---- the node ---- */

static Status read_activations(const Node *n, Diag *d, Recurrent *r)
{
    static const char *const usual[3][3] = {
        {"Tanh", NULL, NULL}, {"Sigmoid", "Tanh", NULL}, {"Sigmoid", "Tanh", "Tanh"}};
    const Attr *names = attr_find(n, "activations");
    const Attr *alpha = attr_find(n, "activation_alpha"), *beta = attr_find(n, "activation_beta");
    int each = r->cell == CELL_RNN ? 1 : r->cell == CELL_GRU ? 2 : 3, ia = 0, ib = 0;

    for (int k = 0; k < each * r->directions; k++) {
        Act *a = &r->act[k / each][k % each];
        StringRef s = {usual[r->cell][k % each], 0};
        s.n = (int64_t)strlen(s.s);
        if (names && names->kind == ATTR_STRINGS && k < names->n) s = names->strings[k];
        a->a = activation_of(s);
        if (!a->a)
            return op_error(n, d, "activations", "%s: unknown activation '%.40s'", node_op_name(n),
                            s.s);
        a->alpha = a->a->alpha;
        a->beta = a->a->beta;
        bool has_alpha = a->a->alpha != 0, has_beta = a->a->beta != 0 || a->a->sx == sx_act_affine;
        if (alpha && alpha->kind == ATTR_FLOATS && has_alpha && ia < alpha->n)
            a->alpha = alpha->floats[ia++];
        if (beta && beta->kind == ATTR_FLOATS && has_beta && ib < beta->n)
            a->beta = beta->floats[ib++];
    }
    return OK;
}

static bool known_other(Dim d, int64_t v)
{
    return dim_is_const(d) && d->value != v;
}

Status recurrent_read(const Node *n, Diag *d, Recurrent *r)
{
    static const int gates[] = {1, 3, 4};
    const char *direction = attr_string(n, "direction", "forward");
    const Type *w = in_type(n, 1);
    Dim columns;
    bool given = attr_find(n, "hidden_size") != NULL;

    memset(r, 0, sizeof *r);
    r->cell = n->op->name[0] == 'R' ? CELL_RNN : n->op->name[0] == 'G' ? CELL_GRU : CELL_LSTM;
    r->gates = gates[r->cell];
    if (strcmp(direction, "forward") != 0 && strcmp(direction, "reverse") != 0 &&
        strcmp(direction, "bidirectional") != 0)
        return op_error(n, d, "direction", "%s: unknown direction '%s'", node_op_name(n),
                        direction);
    r->directions = direction[0] == 'b' ? 2 : 1;
    r->backward[0] = direction[0] == 'r';
    r->backward[1] = true;
    r->batch_first = attr_int(n, "layout", 0) != 0;
    r->linear_before_reset = attr_int(n, "linear_before_reset", 0) != 0;
    r->input_forget = attr_int(n, "input_forget", 0) != 0;
    r->clip = attr_float(n, "clip", 0);
    if (in_type(n, 0)->rank != 3 || w->rank != 3 || in_type(n, 2)->rank != 3)
        return op_error(n, d, NULL, "%s: X, W and R must have rank 3", node_op_name(n));
    columns = in_type(n, 2)->dim[2];
    if (!dim_is_const(columns) && !given) return op_unsupported(n, d, "an open hidden size");
    r->hidden = dim_is_const(columns) ? columns->value : attr_int(n, "hidden_size", 0);
    if ((given && attr_int(n, "hidden_size", 0) != r->hidden) || r->hidden < 0 ||
        r->hidden > INT32_MAX)
        return op_error(n, d, "hidden_size", "%s: %lld, but R is for %lld", node_op_name(n),
                        (long long)attr_int(n, "hidden_size", 0), (long long)r->hidden);
    if (known_other(w->dim[0], r->directions) || known_other(w->dim[1], r->gates * r->hidden))
        return op_error(n, d, "W", "%s: W does not fit %d directions and %d gates of %lld",
                        node_op_name(n), r->directions, r->gates, (long long)r->hidden);
    return read_activations(n, d, r);
}

static Status infer_recurrent(Infer *cx, Node *n)
{
    Recurrent r;
    DimTable *t = &cx->module->dims;
    const Type *x = in_type(n, 0);
    Dim d, h, steps, batch;

    TRY(recurrent_read(n, cx->diag, &r));
    d = dim_const(t, r.directions);
    h = dim_const(t, r.hidden);
    steps = x->dim[r.batch_first];
    batch = x->dim[!r.batch_first];
    TRY(infer_extents(cx, n, 1, 3, (Dim[]){d, dim_const(t, r.gates * r.hidden), x->dim[2]}));
    TRY(infer_extents(cx, n, 2, 3, (Dim[]){d, dim_const(t, r.gates * r.hidden), h}));
    TRY(infer_extents(cx, n, 3, 2, (Dim[]){d, dim_const(t, 2 * r.gates * r.hidden)}));
    TRY(infer_vector(cx, n, 4, batch));
    for (int k = 5; k < (r.cell == CELL_LSTM ? 7 : 6); k++)
        TRY(infer_extents(cx, n, k, 3,
                          r.batch_first ? (Dim[]){batch, d, h} : (Dim[]){d, batch, h}));
    if (r.cell == CELL_LSTM)
        TRY(infer_extents(cx, n, 7, 2, (Dim[]){d, dim_const(t, 3 * r.hidden)}));
    infer_out(cx, n, 0, x->dtype, 4,
              r.batch_first ? (Dim[]){batch, steps, d, h} : (Dim[]){steps, d, batch, h});
    for (int k = 1; k < 3; k++)
        infer_out(cx, n, k, x->dtype, 3,
                  r.batch_first ? (Dim[]){batch, d, h} : (Dim[]){d, batch, h});
    return OK;
}

/* ---- lowering ---- */

typedef struct Lowering {
    Build *b; /* around the loop */
    Build in; /* in the loop's body */
    const Node *n;
    const Recurrent *r;
    int dir;
    DType type, acc;
    Dim steps, batch, hidden;
    Value *x, *w, *rw, *bias, *lens, *peep;
    Value *round; /* in the body */
} Lowering;

static Value *optional_input(const Node *n, int k)
{
    return has_in(n, k) ? n->in[k] : NULL;
}

/* out[t, n, j] = sum_i x[t, n, i] * w[dir, j, i] + Wb[j] (+ Rb[j] for the first `both` columns) */
static Value *input_part(Lowering *l, int64_t both)
{
    Build *b = l->b;
    SxTable *s = b->sx;
    int64_t cols = l->r->gates * l->r->hidden;
    Dim dims[3] = {l->steps, l->batch, dim_const(b->dims, cols)};
    const Sx *t = sx_index(s, 0), *n = sx_index(s, 1), *j = sx_index(s, 2), *i = sx_index(s, 3);
    const Sx *dir = sx_i64(b, l->dir), *acc = sx_acc(s, 0, l->acc);
    Value *in[3] = {l->x, l->w, l->bias};
    Dot d = {.label = "gates",
             .n_in = l->bias ? 3 : 2,
             .in = in,
             .rank = 3,
             .n_reduce = 1,
             .dims = dims,
             .reduce = &l->w->type.dim[2],
             .out = l->acc};

    d.a = sx_at(b, 0, l->x, l->r->batch_first ? (const Sx *[]){n, t, i} : (const Sx *[]){t, n, i});
    d.b = sx_at(b, 1, l->w, (const Sx *[]){dir, j, i});
    if (l->bias) {
        const Sx *wb = sx_cast(s, sx_at(b, 2, l->bias, (const Sx *[]){dir, j}), l->acc);
        const Sx *jr = sx_add(s, j, sx_i64(b, cols));
        const Sx *rb = sx_cast(s, sx_at(b, 2, l->bias, (const Sx *[]){dir, jr}), l->acc);
        if (both < cols)
            rb = sx_select(s, sx_lt(s, j, sx_i64(b, both)), rb, sx_const(s, l->acc, 0));
        d.value = sx_add(s, acc, sx_add(s, wb, rb));
    }
    return build_dot(b, &d);
}

/* The step of the sequence that round i of the loop works on, for batch index n. */
static const Sx *step_of(Lowering *l, int round_src, int lens_src, const Sx *n)
{
    Build *b = &l->in;
    SxTable *s = b->sx;
    const Sx *i = sx_scalar(b, round_src, l->round), *one = sx_i64(b, 1), *len;

    if (!l->r->backward[l->dir]) return i;
    if (!l->lens) return sx_sub(s, sx_sub(s, sx_dim(s, l->steps), one), i);
    len = sx_cast(s, sx_at(b, lens_src, l->lens, &n), DT_I64);
    return sx_select(s, sx_lt(s, i, len), sx_sub(s, sx_sub(s, len, one), i), i);
}

/* out[n, j] = sum_k h[n, k] * R[dir, row0 + j, k] */
static Value *state_part(Lowering *l, Value *h, int64_t row0, int64_t rows)
{
    Build *b = &l->in;
    SxTable *s = b->sx;
    Dim dims[2] = {l->batch, dim_const(b->dims, rows)};
    const Sx *n = sx_index(s, 0), *k = sx_index(s, 2);
    const Sx *j = sx_add(s, sx_index(s, 1), sx_i64(b, row0));
    Value *in[2] = {h, l->rw};
    Dot d = {.label = "state",
             .n_in = 2,
             .in = in,
             .rank = 2,
             .n_reduce = 1,
             .dims = dims,
             .reduce = &l->hidden,
             .out = l->acc};

    d.a = sx_at(b, 0, h, (const Sx *[]){n, k});
    d.b = sx_at(b, 1, l->rw, (const Sx *[]){sx_i64(b, l->dir), j, k});
    return build_dot(b, &d);
}

static const Sx *clipped(Lowering *l, const Sx *x)
{
    SxTable *s = l->in.sx;

    if (l->r->clip <= 0) return x;
    x = sx_min(s, x, sx_const(s, l->acc, l->r->clip));
    return sx_max(s, x, sx_const(s, l->acc, -l->r->clip));
}

static const Sx *activate(Lowering *l, int which, const Sx *x)
{
    const Act *a = &l->r->act[l->dir][which];

    return a->a->sx(&l->in, clipped(l, x), a->alpha, a->beta);
}

/* Operands of the map of one step, by number. */
typedef struct Step {
    Value *in[10];
    int n;
} Step;

static int step_in(Step *s, Value *v)
{
    s->in[s->n] = v;
    return s->n++;
}

/* xw[step, n, g*H + j] + state[n, col0 + j] at (n, j); either may be missing */
static const Sx *gate_at(Lowering *l, Step *p, int xw, Value *xw_value, int g, int state,
                         Value *state_value, int64_t col0)
{
    Build *b = &l->in;
    SxTable *s = b->sx;
    const Sx *n = sx_index(s, 0), *j = sx_index(s, 1), *sum = NULL, *e;

    (void)p;
    if (xw >= 0) {
        const Sx *idx[3] = {step_of(l, 0, 1, n), n, sx_add(s, j, sx_i64(b, g * l->r->hidden))};
        sum = sx_at(b, xw, xw_value, idx);
    }
    if (state >= 0) {
        const Sx *idx[2] = {n, sx_add(s, j, sx_i64(b, col0))};
        e = sx_at(b, state, state_value, idx);
        sum = sum ? sx_add(s, sum, e) : e;
    }
    return sum;
}

/* Whether the sequence of batch n is still running in this round; NULL when all have full length.
 */
static const Sx *alive(Lowering *l)
{
    Build *b = &l->in;
    const Sx *n = sx_index(b->sx, 0);

    if (!l->lens) return NULL;
    return sx_lt(b->sx, sx_scalar(b, 0, l->round),
                 sx_cast(b->sx, sx_at(b, 1, l->lens, &n), DT_I64));
}

static const Sx *if_alive(Lowering *l, const Sx *live, const Sx *now, const Sx *else_)
{
    return live ? sx_select(l->in.sx, live, now, else_) : now;
}

/* One map with results h (, c), y: y is h, or 0 when the sequence is over. */
static void step_map(Lowering *l, Step *p, const Sx *h, const Sx *h_old, const Sx *c,
                     const Sx *c_old, Value **out)
{
    SxTable *s = l->in.sx;
    const Sx *live = alive(l);
    Dim dims[2] = {l->batch, l->hidden};
    StageOut o[3];
    int n = 0;
    Node *k;

    o[n] = (StageOut){
        .dtype = l->type, .value = sx_cast(s, if_alive(l, live, h, h_old), l->type), .result = n};
    n++;
    if (c) {
        o[n] = (StageOut){.dtype = l->type,
                          .value = sx_cast(s, if_alive(l, live, c, c_old), l->type),
                          .result = n};
        n++;
    }
    o[n] = (StageOut){.dtype = l->type,
                      .value = sx_cast(s, if_alive(l, live, h, sx_const(s, l->acc, 0)), l->type),
                      .result = n};
    n++;
    Stage stage = {.rank = 2, .extent = dims, .scan_axis = -1, .n_out = n, .out = o};
    k = build_stage(&l->in, "step", p->n, p->in, &stage, n, NULL);
    for (int i = 0; k && i < n; i++)
        out[i] = k->out[i];
}

static const Sx *at_point(Lowering *l, int src, Value *v)
{
    SxTable *s = l->in.sx;
    const Sx *idx[2] = {sx_index(s, 0), sx_index(s, 1)};

    return sx_cast(s, sx_at(&l->in, src, v, idx), l->acc);
}

/* Peephole weights P[dir, g*H + j]: order i o f. */
static const Sx *peephole(Lowering *l, Step *p, int g, const Sx *c)
{
    SxTable *s = l->in.sx;
    const Sx *idx[2] = {sx_i64(&l->in, l->dir),
                        sx_add(s, sx_index(s, 1), sx_i64(&l->in, g * l->r->hidden))};

    if (!l->peep) return NULL;
    (void)p;
    return sx_mul(s, sx_cast(s, sx_at(&l->in, 2, l->peep, idx), l->acc), c);
}

static const Sx *plus(SxTable *s, const Sx *a, const Sx *b)
{
    return b ? sx_add(s, a, b) : a;
}

/* Operands 0, 1, 2 of every step map: round, lengths, peepholes (whatever stands there is read only
 * when wanted). */
static void step_start(Lowering *l, Step *p)
{
    memset(p, 0, sizeof *p);
    step_in(p, l->round);
    step_in(p, l->lens ? l->lens : l->round);
    step_in(p, l->peep ? l->peep : l->round);
}

static void lstm_step(Lowering *l, Value *xw, Value **state, Value **out)
{
    SxTable *s = l->in.sx;
    int64_t h = l->r->hidden;
    Value *hr = state_part(l, state[0], 0, 4 * h);
    Step p;
    const Sx *i, *o, *f, *g, *c_old, *c, *y;

    step_start(l, &p);
    int xs = step_in(&p, xw), hs = step_in(&p, hr), h0 = step_in(&p, state[0]),
        c0 = step_in(&p, state[1]);
    if (l->in.status != OK) return;
    c_old = at_point(l, c0, state[1]);
    i = gate_at(l, &p, xs, xw, 0, hs, hr, 0);
    o = gate_at(l, &p, xs, xw, 1, hs, hr, h);
    f = gate_at(l, &p, xs, xw, 2, hs, hr, 2 * h);
    g = gate_at(l, &p, xs, xw, 3, hs, hr, 3 * h);
    i = activate(l, 0, plus(s, i, peephole(l, &p, 0, c_old)));
    f = l->r->input_forget ? sx_sub(s, sx_const(s, l->acc, 1), i)
                           : activate(l, 0, plus(s, f, peephole(l, &p, 2, c_old)));
    g = activate(l, 1, g);
    c = sx_add(s, sx_mul(s, f, c_old), sx_mul(s, i, g));
    o = activate(l, 0, plus(s, o, peephole(l, &p, 1, c)));
    y = sx_mul(s, o,
               l->r->act[l->dir][2].a->sx(&l->in, c, l->r->act[l->dir][2].alpha,
                                          l->r->act[l->dir][2].beta));
    step_map(l, &p, y, at_point(l, h0, state[0]), c, c_old, out);
}

static void rnn_step(Lowering *l, Value *xw, Value **state, Value **out)
{
    Value *hr = state_part(l, state[0], 0, l->r->hidden);
    Step p;

    step_start(l, &p);
    int xs = step_in(&p, xw), hs = step_in(&p, hr), h0 = step_in(&p, state[0]);
    if (l->in.status != OK) return;
    const Sx *h = activate(l, 0, gate_at(l, &p, xs, xw, 0, hs, hr, 0));
    step_map(l, &p, h, at_point(l, h0, state[0]), NULL, NULL, out);
}

/* Rb[dir, j] of the h gate. */
static const Sx *gru_bias(Lowering *l, int src)
{
    SxTable *s = l->in.sx;
    const Sx *idx[2] = {sx_i64(&l->in, l->dir),
                        sx_add(s, sx_index(s, 1), sx_i64(&l->in, 5 * l->r->hidden))};

    return sx_cast(s, sx_at(&l->in, src, l->bias, idx), l->acc);
}

/* r * h as a value of its own, for the product with R. */
static Value *reset_state(Lowering *l, Value *xw, Value *hr, Value *h_old)
{
    Step p;
    Dim dims[2] = {l->batch, l->hidden};

    step_start(l, &p);
    int xs = step_in(&p, xw), hs = step_in(&p, hr), h0 = step_in(&p, h_old);
    if (l->in.status != OK) return NULL;
    const Sx *r = activate(l, 0, gate_at(l, &p, xs, xw, 1, hs, hr, l->r->hidden));
    return build_map(&l->in, "reset", p.n, p.in, l->acc, 2, dims,
                     sx_mul(l->in.sx, r, at_point(l, h0, h_old)));
}

static void gru_step(Lowering *l, Value *xw, Value **state, Value **out)
{
    SxTable *s = l->in.sx;
    int64_t h = l->r->hidden;
    bool linear = l->r->linear_before_reset;
    Value *hr = state_part(l, state[0], 0, linear ? 3 * h : 2 * h), *rh = NULL;
    Step p;
    const Sx *z, *r, *g, *old, *y;
    int rs = -1, bs = -1;

    if (!linear) {
        rh = reset_state(l, xw, hr, state[0]);
        if (rh) rh = state_part(l, rh, 2 * h, h);
    }
    step_start(l, &p);
    int xs = step_in(&p, xw), hs = step_in(&p, hr), h0 = step_in(&p, state[0]);
    if (rh) rs = step_in(&p, rh);
    if (l->bias) bs = step_in(&p, l->bias);
    if (l->in.status != OK) return;
    old = at_point(l, h0, state[0]);
    z = activate(l, 0, gate_at(l, &p, xs, xw, 0, hs, hr, 0));
    if (linear) {
        r = activate(l, 0, gate_at(l, &p, xs, xw, 1, hs, hr, h));
        g = gate_at(l, &p, -1, NULL, 0, hs, hr, 2 * h);
        if (l->bias) g = sx_add(s, g, gru_bias(l, bs));
        g = sx_add(s, gate_at(l, &p, xs, xw, 2, -1, NULL, 0), sx_mul(s, r, g));
    } else {
        g = gate_at(l, &p, xs, xw, 2, rs, rh, 0);
        if (l->bias) g = sx_add(s, g, gru_bias(l, bs));
    }
    g = activate(l, 1, g);
    y = sx_add(s, sx_mul(s, sx_sub(s, sx_const(s, l->acc, 1), z), g), sx_mul(s, z, old));
    step_map(l, &p, y, old, NULL, NULL, out);
}

/* Initial state [N, H]: a slice of the input, or zeros. */
static Value *initial(Lowering *l, Value *v)
{
    Build *b = l->b;
    Dim dims[2] = {l->batch, l->hidden};
    const Sx *d = sx_i64(b, l->dir), *n = sx_index(b->sx, 0), *j = sx_index(b->sx, 1);

    if (!v) return build_map(b, "zeros", 0, NULL, l->type, 2, dims, sx_const(b->sx, l->type, 0));
    return build_map(
        b, "initial", 1, &v, l->type, 2, dims,
        sx_at(b, 0, v, l->r->batch_first ? (const Sx *[]){n, d, j} : (const Sx *[]){d, n, j}));
}

/* The stack of y [round, n, j] in order of steps. */
static Value *in_order(Lowering *l, Value *stack)
{
    Build *b = l->b;
    SxTable *s = b->sx;
    Value *in[2] = {stack, l->lens};
    const Sx *t = sx_index(s, 0), *n = sx_index(s, 1), *at, *len;

    if (!l->r->backward[l->dir]) return stack;
    at = sx_sub(s, sx_sub(s, sx_dim(s, l->steps), sx_i64(b, 1)), t);
    if (l->lens) {
        len = sx_cast(s, sx_at(b, 1, l->lens, &n), DT_I64);
        at = sx_select(s, sx_lt(s, t, len), sx_sub(s, sx_sub(s, len, sx_i64(b, 1)), t), t);
    }
    return build_map(b, "in_order", l->lens ? 2 : 1, in, stack->type.dtype, 3, stack->type.dim,
                     sx_at(b, 0, stack, (const Sx *[]){at, n, sx_index(s, 2)}));
}

/* One direction: y [T, N, H], h [N, H], c [N, H]. */
static Status lower_direction(Lowering *l, Value **y, Value **h, Value **c)
{
    Build *b = l->b;
    bool lstm = l->r->cell == CELL_LSTM;
    int states = lstm ? 2 : 1;
    int64_t cols = l->r->gates * l->r->hidden;
    Value *xw = input_part(l, l->r->cell == CELL_GRU ? 2 * l->r->hidden : cols);
    Value *in[4] = {build_dims(b, -1, &l->steps), NULL}, *state[2], *out[3] = {0};
    Node *loop;
    Region *r;

    in[2] = initial(l, optional_input(l->n, 5));
    if (lstm) in[3] = initial(l, optional_input(l->n, 6));
    TRY(b->status);
    loop = node_new(b->region, b->before, NODE_LOOP, 2 + states, in, states + 1, b->origin);
    loop->op = op_find(NULL, "Loop");
    r = node_add_region(loop);
    l->round = region_add_arg(r, NULL, type_tensor(DT_I64, 0, NULL));
    Value *yes = region_add_arg(r, NULL, type_tensor(DT_BOOL, 0, NULL));
    for (int i = 0; i < states; i++) {
        state[i] = region_add_arg(r, NULL, in[2 + i]->type);
        loop->out[i]->type = in[2 + i]->type;
    }
    l->in = build_at(r, NULL, b->origin, b->diag);
    switch (l->r->cell) {
    case CELL_RNN:
        rnn_step(l, xw, state, out);
        break;
    case CELL_GRU:
        gru_step(l, xw, state, out);
        break;
    case CELL_LSTM:
        lstm_step(l, xw, state, out);
        break;
    }
    TRY(build_fail(b, l->in.status));
    region_add_result(r, yes);
    for (int i = 0; i <= states; i++)
        region_add_result(r, out[i]);
    Dim *dims = ARENA_ARRAY(b->module->arena, Dim, 3);
    dims[0] = l->steps;
    dims[1] = l->batch;
    dims[2] = l->hidden;
    loop->out[states]->type = type_tensor(l->type, 3, dims);
    *h = loop->out[0];
    *c = lstm ? loop->out[1] : NULL;
    *y = in_order(l, loop->out[states]);
    return b->status;
}

/* Results of the directions side by side, in the layout asked for. v[d] is [T, N, H] or [N, H]. */
static Value *join_directions(Lowering *l, Value *const *v, const Type *t, bool sequence)
{
    Build *b = l->b;
    Value *part[2];
    bool first = l->r->batch_first;

    for (int d = 0; d < l->r->directions; d++) {
        Dim dims[4];
        part[d] = v[d];
        if (sequence && first) part[d] = build_transpose(b, part[d], (const int[]){1, 0, 2});
        if (!part[d]) return NULL;
        memcpy(dims, t->dim, sizeof(Dim) * (size_t)t->rank);
        dims[sequence ? (first ? 2 : 1) : first ? 1 : 0] = dim_const(b->dims, 1);
        part[d] = build_reshape(b, part[d], t->rank, dims);
    }
    return build_concat(b, l->r->directions, part, sequence ? (first ? 2 : 1) : first ? 1 : 0);
}

/* Open dims of the operands against what the attributes and the input ask for. */
static void require_shapes(const Lowering *l)
{
    DimTable *t = l->b->dims;
    Dim d = dim_const(t, l->r->directions), h = l->hidden, n = l->batch;
    Dim rows = dim_const(t, l->r->gates * l->r->hidden);
    bool first = l->r->batch_first;
    const Dim want[8][3] = {[1] = {d, rows, in_type(l->n, 0)->dim[2]},
                            [2] = {d, rows, h},
                            [3] = {d, dim_const(t, 2 * l->r->gates * l->r->hidden)},
                            [4] = {n},
                            [5] = {first ? n : d, first ? d : n, h},
                            [6] = {first ? n : d, first ? d : n, h},
                            [7] = {d, dim_const(t, 3 * l->r->hidden)}};

    for (int k = 1; k < l->n->n_in && k < 8; k++)
        for (int i = 0; has_in(l->n, k) && i < in_type(l->n, k)->rank && i < 3 && want[k][i]; i++)
            build_require_equal(l->b, in_type(l->n, k)->dim[i], want[k][i]);
}

static Status lower_recurrent(Build *b, const Node *n, Value **out)
{
    Recurrent r;
    Value *y[2], *h[2], *c[2];

    TRY(recurrent_read(n, b->diag, &r));
    Lowering l = {.b = b,
                  .n = n,
                  .r = &r,
                  .x = n->in[0],
                  .w = n->in[1],
                  .rw = n->in[2],
                  .bias = optional_input(n, 3),
                  .lens = optional_input(n, 4),
                  .peep = optional_input(n, 7),
                  .type = in_type(n, 0)->dtype};
    l.acc = compute_dtype(l.type);
    l.steps = in_type(n, 0)->dim[r.batch_first];
    l.batch = in_type(n, 0)->dim[!r.batch_first];
    l.hidden = dim_const(b->dims, r.hidden);
    require_shapes(&l);
    for (l.dir = 0; l.dir < r.directions; l.dir++)
        TRY(lower_direction(&l, &y[l.dir], &h[l.dir], &c[l.dir]));
    if (has_out(n, 0)) out[0] = join_directions(&l, y, &n->out[0]->type, true);
    if (has_out(n, 1)) out[1] = join_directions(&l, h, &n->out[1]->type, false);
    if (has_out(n, 2)) out[2] = join_directions(&l, c, &n->out[2]->type, false);
    return b->status;
}

#define RECURRENT_IN                                                                               \
    {"X", T_FLOAT, "T"}, {"W", T_FLOAT, "T"}, {"R", T_FLOAT, "T"}, {"B", T_FLOAT, "T", true},      \
        {"sequence_lens", DT_BIT(DT_I32), NULL, true},                                             \
    {                                                                                              \
        "initial_h", T_FLOAT, "T", true                                                            \
    }
#define RECURRENT_ATTRS                                                                            \
    ATTR_OPT("activation_alpha", ATTR_FLOATS), ATTR_OPT("activation_beta", ATTR_FLOATS),           \
        ATTR_OPT("activations", ATTR_STRINGS), ATTR_OPT("clip", ATTR_FLOAT),                       \
        ATTR_S("direction", "forward"), ATTR_OPT("hidden_size", ATTR_INT), ATTR_I("layout", 0)
#define RECURRENT_FUNCTIONS                                                                        \
    .traits = OP_PURE, .infer = infer_recurrent, .eval = eval_recurrent, .lower = lower_recurrent

const OpDef recurrent_ops[] = {
    {.name = "RNN",
     .since = 22,
     .about = "simple recurrent net",
     ROW_IN(RECURRENT_IN),
     ROW_OUT({"Y", T_FLOAT, "T", true}, {"Y_h", T_FLOAT, "T", true}),
     ROW_ATTRS(RECURRENT_ATTRS),
     RECURRENT_FUNCTIONS},
    {.name = "GRU",
     .since = 22,
     .about = "gated recurrent units",
     ROW_IN(RECURRENT_IN),
     ROW_OUT({"Y", T_FLOAT, "T", true}, {"Y_h", T_FLOAT, "T", true}),
     ROW_ATTRS(RECURRENT_ATTRS, ATTR_I("linear_before_reset", 0)),
     RECURRENT_FUNCTIONS},
    {.name = "LSTM",
     .since = 22,
     .about = "long short-term memory",
     ROW_IN(RECURRENT_IN, {"initial_c", T_FLOAT, "T", true}, {"P", T_FLOAT, "T", true}),
     ROW_OUT({"Y", T_FLOAT, "T", true}, {"Y_h", T_FLOAT, "T", true}, {"Y_c", T_FLOAT, "T", true}),
     ROW_ATTRS(RECURRENT_ATTRS, ATTR_I("input_forget", 0)),
     RECURRENT_FUNCTIONS},
    {0},
};
