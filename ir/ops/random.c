/* random.c: RandomUniform, RandomNormal and their Like forms, Bernoulli, Multinomial, Dropout.
 *
 * Number i of a stream is a hash of (seed, i) (SplitMix64, Steele and others 2014), so that every
 * element can be made alone, on any number of threads, with the same bits. A node without a seed
 * gets one from its position in the model: a compiled model repeats its numbers. Normal deviates
 * are by Box and Muller, from the streams 2 i and 2 i + 1; a multinomial sample is the class with
 * the greatest log-probability plus Gumbel noise. */
#include <string.h>

#include "ir/mathd.h"
#include "ir/ops/ops_common.h"

#define GOLDEN UINT64_C(0x9e3779b97f4a7c15)
#define MIX_1  UINT64_C(0xbf58476d1ce4e5b9)
#define MIX_2  UINT64_C(0x94d049bb133111eb)
#define TWO_PI 6.28318530717958647692

static uint64_t hash(uint64_t seed, uint64_t i)
{
    uint64_t z = seed + (i + 1) * GOLDEN;

    z = (z ^ z >> 30) * MIX_1;
    z = (z ^ z >> 27) * MIX_2;
    return z ^ z >> 31;
}

static const Sx *u64(Build *b, uint64_t v)
{
    return sx_const_bits(b->sx, DT_U64, v);
}

static const Sx *hash_step(Build *b, const Sx *z, unsigned shift, uint64_t factor)
{
    z = sx_xor(b->sx, z, sx_shr(b->sx, z, u64(b, shift)));
    return factor ? sx_mul(b->sx, z, u64(b, factor)) : z;
}

/* The hash of element i, an i64 expression. */
static const Sx *hash_sx(Build *b, uint64_t seed, const Sx *i)
{
    const Sx *z = sx_cast(b->sx, i, DT_U64);

    z = sx_mul(b->sx, sx_add(b->sx, z, u64(b, 1)), u64(b, GOLDEN));
    z = hash_step(b, sx_add(b->sx, z, u64(b, seed)), 30, MIX_1);
    return hash_step(b, hash_step(b, z, 27, MIX_2), 31, 0);
}

/* Bits of randomness in a number of that dtype: as many as it has digits. */
static int digits(DType t)
{
    return t == DT_F64 ? 53 : 24;
}

/* In [0, 1). */
static double unit(DType t, uint64_t h)
{
    return (double)(h >> (64 - digits(t))) / (double)(UINT64_C(1) << digits(t));
}

static const Sx *unit_sx(Build *b, DType t, const Sx *h)
{
    const Sx *v = sx_shr(b->sx, h, u64(b, (uint64_t)(64 - digits(t))));

    return sx_mul(b->sx, sx_cast(b->sx, v, t),
                  sx_const(b->sx, t, 1.0 / (double)(UINT64_C(1) << digits(t))));
}

/* The element number of the domain point, row-major. */
static const Sx *flat_index(Build *b, int rank, const Dim *dims)
{
    const Sx *e = sx_i64(b, 0);

    for (int i = 0; i < rank; i++)
        e = sx_add(b->sx, sx_mul(b->sx, e, sx_dim(b->sx, dims[i])), sx_index(b->sx, i));
    return e;
}

static uint64_t seed_of(const Node *n)
{
    const Attr *a = attr_find(n, "seed");

    if (a && a->kind == ATTR_FLOAT) return hash(1, mathd_bits(a->f));
    if (a && a->kind == ATTR_INT) return hash(2, (uint64_t)a->i);
    return hash(3, n->origin ? (uint64_t)n->origin->index : (uint64_t)n->id);
}

/* The dtype attribute, else that of the input, else f32; within `set`. */
static Status random_dtype(const Node *n, Diag *d, unsigned set, DType *t)
{
    const Attr *a = attr_find(n, "dtype");

    *t = a ? dtype_from_onnx((int)a->i) : n->n_in ? in_type(n, 0)->dtype : DT_F32;
    if (*t != DT_NONE && (set & DT_BIT(*t))) return OK;
    return op_error(n, d, "dtype", "%s: %s is not allowed", n->op->name, dtype_text(*t));
}

/* ---- uniform and normal ---- */

static Status random_type(Infer *cx, Node *n)
{
    Dim dims[MAX_RANK];
    int rank;
    const int64_t *shape = attr_ints(n, "shape", &rank);
    DType t;

    TRY(random_dtype(n, cx->diag, T_FLOAT, &t));
    if (n->n_in) {
        TRY(infer_ranked(cx, n, 0));
        infer_out(cx, n, 0, t, in_type(n, 0)->rank, in_type(n, 0)->dim);
        return OK;
    }
    if (rank > MAX_RANK) return op_error(n, cx->diag, "shape", "%s: rank %d", n->op->name, rank);
    for (int i = 0; i < rank; i++) {
        if (shape[i] < 0)
            return op_error(n, cx->diag, "shape", "%s: dim %d is negative", n->op->name, i);
        dims[i] = dim_const(&cx->module->dims, shape[i]);
    }
    infer_out(cx, n, 0, t, rank, dims);
    return OK;
}

static Status random_out(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    int rank;
    const int64_t *shape = attr_ints(n, "shape", &rank);
    DType t;

    TRY(random_dtype(n, cx->diag, T_FLOAT, &t));
    if (n->n_in) return eval_out(cx, n, out, t, in[0]->rank, in[0]->dim);
    if (rank > MAX_RANK) return op_error(n, cx->diag, "shape", "%s: rank %d", n->op->name, rank);
    return eval_out(cx, n, out, t, rank, shape);
}

static Status eval_uniform(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    double low = attr_float(n, "low", 0), high = attr_float(n, "high", 1);
    uint64_t seed = seed_of(n);

    TRY(random_out(cx, n, in, &out[0]));
    for (int64_t i = 0; i < out[0]->count; i++)
        tensor_set_double(out[0], i,
                          low + unit(out[0]->dtype, hash(seed, (uint64_t)i)) * (high - low));
    return OK;
}

static Status lower_uniform(Build *b, const Node *n, Value **out)
{
    const Type *to = &n->out[0]->type;
    DType t = compute_dtype(to->dtype);
    double low = attr_float(n, "low", 0), high = attr_float(n, "high", 1);
    const Sx *u = unit_sx(b, t, hash_sx(b, seed_of(n), flat_index(b, to->rank, to->dim)));

    u = sx_add(b->sx, sx_mul(b->sx, u, sx_const(b->sx, t, high - low)), sx_const(b->sx, t, low));
    out[0] = build_map(b, "uniform", 0, NULL, to->dtype, to->rank, to->dim,
                       sx_cast(b->sx, u, to->dtype));
    return b->status;
}

static Status eval_normal(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    double mean = attr_float(n, "mean", 0), scale = attr_float(n, "scale", 1);
    uint64_t seed = seed_of(n);
    DType t;

    TRY(random_out(cx, n, in, &out[0]));
    t = out[0]->dtype;
    for (int64_t i = 0; i < out[0]->count; i++) {
        double u = 1 - unit(t, hash(seed, 2 * (uint64_t)i)); /* in (0, 1] */
        double v = unit(t, hash(seed, 2 * (uint64_t)i + 1));
        double x = mathd_sqrt(-2 * mathd_log(u)) * mathd_cos(TWO_PI * v);
        tensor_set_double(out[0], i, mean + scale * x);
    }
    return OK;
}

static Status lower_normal(Build *b, const Node *n, Value **out)
{
    const Type *to = &n->out[0]->type;
    DType t = compute_dtype(to->dtype);
    SxTable *s = b->sx;
    const Sx *i = sx_mul(s, flat_index(b, to->rank, to->dim), sx_i64(b, 2));
    const Sx *u = unit_sx(b, t, hash_sx(b, seed_of(n), i)), *x;
    const Sx *v = unit_sx(b, t, hash_sx(b, seed_of(n), sx_add(s, i, sx_i64(b, 1))));

    u = sx_sub(s, sx_const(s, t, 1), u);
    x = sx_mul(s, sx_sqrt(s, sx_mul(s, sx_const(s, t, -2), sx_log(s, u))),
               sx_op1(s, SX_COS, sx_mul(s, sx_const(s, t, TWO_PI), v)));
    x = sx_add(s, sx_mul(s, x, sx_const(s, t, attr_float(n, "scale", 1))),
               sx_const(s, t, attr_float(n, "mean", 0)));
    out[0] =
        build_map(b, "normal", 0, NULL, to->dtype, to->rank, to->dim, sx_cast(s, x, to->dtype));
    return b->status;
}

/* ---- Bernoulli: 1 with the probability that the input says ---- */

static Status infer_bernoulli(Infer *cx, Node *n)
{
    DType t;

    TRY(random_dtype(n, cx->diag, T_NUMBER | T_BOOL, &t));
    TRY(infer_ranked(cx, n, 0));
    infer_out(cx, n, 0, t, in_type(n, 0)->rank, in_type(n, 0)->dim);
    return OK;
}

static Status eval_bernoulli(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    DType t;

    TRY(random_dtype(n, cx->diag, T_NUMBER | T_BOOL, &t));
    TRY(eval_out(cx, n, &out[0], t, in[0]->rank, in[0]->dim));
    for (int64_t i = 0; i < in[0]->count; i++)
        tensor_set_double(
            out[0], i, unit(in[0]->dtype, hash(seed_of(n), (uint64_t)i)) < tensor_double(in[0], i));
    return OK;
}

static Status lower_bernoulli(Build *b, const Node *n, Value **out)
{
    const Type *to = &n->out[0]->type;
    const Sx *p = sx_compute(b, sx_operand(b, 0, n->in[0], to->rank, to->dim));
    const Sx *u = unit_sx(b, p->dtype, hash_sx(b, seed_of(n), flat_index(b, to->rank, to->dim)));

    out[0] = build_map(b, "bernoulli", 1, n->in, to->dtype, to->rank, to->dim,
                       sx_cast(b->sx, sx_lt(b->sx, u, p), to->dtype));
    return b->status;
}

/* ---- Multinomial: [batch, classes] of log-probabilities -> [batch, samples] ---- */

static Status samples_of(const Node *n, Diag *d, DType *t, int64_t *samples)
{
    *samples = attr_int(n, "sample_size", 1);
    TRY(random_dtype(n, d, DT_BIT(DT_I32) | DT_BIT(DT_I64), t));
    if (*samples < 1 || *samples > DIM_TOP)
        return op_error(n, d, "sample_size", "Multinomial: found %lld, expected a positive number",
                        (long long)*samples);
    return OK;
}

static Status infer_multinomial(Infer *cx, Node *n)
{
    int64_t samples;
    DType t;

    TRY(samples_of(n, cx->diag, &t, &samples));
    TRY(infer_ranked(cx, n, 0));
    if (in_type(n, 0)->rank != 2)
        return op_error(n, cx->diag, NULL, "Multinomial: rank %d, expected 2", in_type(n, 0)->rank);
    infer_out(cx, n, 0, t, 2,
              (const Dim[]){in_type(n, 0)->dim[0], dim_const(&cx->module->dims, samples)});
    return OK;
}

static double gumbel(uint64_t h)
{
    double u = ((double)(h >> 11) + 0.5) / (double)(UINT64_C(1) << 53);

    return -mathd_log(-mathd_log(u));
}

static Status eval_multinomial(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    int64_t samples, classes = in[0]->dim[1];
    DType t;

    TRY(samples_of(n, cx->diag, &t, &samples));
    TRY(eval_out(cx, n, &out[0], t, 2, (const int64_t[]){in[0]->dim[0], samples}));
    for (int64_t i = 0; i < out[0]->count; i++) {
        int64_t best = 0;
        double top = -__builtin_inf();
        for (int64_t c = 0; c < classes; c++) {
            double v = tensor_double(in[0], i / samples * classes + c) +
                       gumbel(hash(seed_of(n), (uint64_t)(i * classes + c)));
            if (v > top) best = c;
            if (v > top) top = v;
        }
        tensor_set_int(out[0], i, best);
    }
    return OK;
}

static Status lower_multinomial(Build *b, const Node *n, Value **out)
{
    const Type *to = &n->out[0]->type;
    SxTable *s = b->sx;
    Dim classes = in_type(n, 0)->dim[1];
    const Dim all[3] = {to->dim[0], to->dim[1], classes};
    const Sx *u = hash_sx(b, seed_of(n), flat_index(b, 3, all)), *x;
    Acc acc = {.monoid = MONOID_ARGMAX_FIRST, .dtype = DT_I64};

    u = sx_add(s, sx_cast(s, sx_shr(s, u, u64(b, 11)), DT_F64), sx_const(s, DT_F64, 0.5));
    u = sx_mul(s, u, sx_const(s, DT_F64, 1.0 / (double)(UINT64_C(1) << 53)));
    u = sx_neg(s, sx_log(s, sx_neg(s, sx_log(s, u))));
    x = sx_at(b, 0, n->in[0], (const Sx *[]){sx_index(s, 0), sx_index(s, 2)});
    acc.body = sx_add(s, sx_cast(s, x, DT_F64), u);
    out[0] = build_reduce(b, "multinomial", 1, n->in, 2, to->dim, 1, &classes, ORDER_CHAIN, acc,
                          to->dtype, NULL);
    return b->status;
}

/* ---- Dropout: the input, unless training: then zeros, and the rest scaled up ---- */

static Status infer_dropout(Infer *cx, Node *n)
{
    TRY(infer_ranked(cx, n, 0));
    for (int k = 1; k < n->n_in; k++)
        if (n->in[k] && (in_type(n, k)->rank > 1 ||
                         (in_type(n, k)->rank == 1 && !dim_is(in_type(n, k)->dim[0], 1))))
            return op_error(n, cx->diag, NULL, "Dropout: input %d must be a scalar", k);
    infer_same(cx, n, 0, 0);
    infer_out(cx, n, 1, DT_BOOL, in_type(n, 0)->rank, in_type(n, 0)->dim);
    return OK;
}

static bool is_zero(const Value *v)
{
    return v->data && v->data->count == 1 && tensor_double(v->data, 0) == 0;
}

/* Known to keep all: it does not train, or drops none. */
static bool dropout_idle(const Node *n)
{
    return !has_in(n, 2) || is_zero(n->in[2]) || (has_in(n, 1) && is_zero(n->in[1]));
}

static Status eval_dropout(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    const Tensor *x = in[0], *ratio = n->n_in > 1 ? in[1] : NULL;
    bool training = n->n_in > 2 && in[2] && in[2]->count == 1 && tensor_int(in[2], 0);
    double r = training ? ratio && ratio->count == 1 ? tensor_double(ratio, 0) : 0.5 : 0;

    TRY(eval_out(cx, n, &out[0], x->dtype, x->rank, x->dim));
    if (has_out(n, 1)) TRY(eval_out(cx, n, &out[1], DT_BOOL, x->rank, x->dim));
    for (int64_t i = 0; i < x->count; i++) {
        bool keep = unit(DT_F32, hash(seed_of(n), (uint64_t)i)) >= r;
        if (r == 0)
            eval_copy_element(out[0], i, x, i);
        else
            tensor_set_double(out[0], i, keep ? tensor_double(x, i) / (1 - r) : 0);
        if (has_out(n, 1)) tensor_set_int(out[1], i, keep);
    }
    return OK;
}

static Status lower_training(Build *b, const Node *n, Value **out)
{
    const Type *to = &n->out[0]->type;
    SxTable *s = b->sx;
    Value *in[3] = {n->in[0], n->in[2], has_in(n, 1) ? n->in[1] : NULL};
    const Sx *x = sx_compute(b, sx_operand(b, 0, in[0], to->rank, to->dim)), *keep, *e;
    const Sx *u = unit_sx(b, DT_F32, hash_sx(b, seed_of(n), flat_index(b, to->rank, to->dim)));
    const Sx *zero = sx_const(s, DT_F32, 0), *r = sx_const(s, DT_F32, 0.5), *scale;
    int count = in[2] ? 3 : 2;

    if (in[2]) r = sx_cast(s, sx_scalar(b, 2, in[2]), DT_F32);
    r = sx_select(s, sx_scalar(b, 1, in[1]), r, zero);
    keep = sx_le(s, r, u);
    scale = sx_cast(s, sx_sub(s, sx_const(s, DT_F32, 1), r), x->dtype);
    e = sx_select(s, keep, sx_div(s, x, scale), sx_const(s, x->dtype, 0));
    e = sx_select(s, sx_eq(s, r, zero), x, e);
    out[0] =
        build_map(b, "dropout", count, in, to->dtype, to->rank, to->dim, sx_cast(s, e, to->dtype));
    if (has_out(n, 1)) out[1] = build_map(b, "mask", count, in, DT_BOOL, to->rank, to->dim, keep);
    return b->status;
}

static Status lower_dropout(Build *b, const Node *n, Value **out)
{
    const Type *to = &n->out[0]->type;

    if (!dropout_idle(n)) return lower_training(b, n, out);
    out[0] = n->in[0];
    if (has_out(n, 1))
        out[1] = build_map(b, "mask", 0, NULL, DT_BOOL, to->rank, to->dim,
                           sx_const_int(b->sx, DT_BOOL, 1));
    return b->status;
}

static void simplify_dropout(Build *b, Node *n, Value **v)
{
    if (!dropout_idle(n)) return;
    v[0] = n->in[0];
    if (has_out(n, 1))
        v[1] = build_op2(b, "Expand", build_scalar(b, DT_BOOL, 1), build_op1(b, "Shape", n->in[0]));
}

/* ---- the table ---- */

#define IN(...)                                                                                    \
    .in = (const PortDef[])                                                                        \
    {                                                                                              \
        __VA_ARGS__,                                                                               \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }
#define IN_NONE                                                                                    \
    .in = (const PortDef[])                                                                        \
    {                                                                                              \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }
#define OUT(n, set)                                                                                \
    .out = (const PortDef[])                                                                       \
    {                                                                                              \
        {.name = n, .types = set},                                                                 \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }
#define SEED       ATTR_OPT("seed", ATTR_FLOAT)
#define ROW(f)     .eval = eval_##f, .lower = lower_##f
#define UNIFORM    SEED, ATTR_F("high", 1), ATTR_F("low", 0)
#define NORMAL     SEED, ATTR_F("scale", 1), ATTR_F("mean", 0)
#define DTYPE_F32  ATTR_I("dtype", 1)
#define DTYPE_SAME ATTR_OPT("dtype", ATTR_INT)
#define ATTRS(...)                                                                                 \
    .attr = (const AttrDef[])                                                                      \
    {                                                                                              \
        __VA_ARGS__,                                                                               \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }

const OpDef random_ops[] = {
    {.name = "RandomUniform",
     .since = 22,
     .about = "uniform numbers in [low, high)",
     IN_NONE,
     OUT("output", T_FLOAT),
     ATTRS(ATTR_REQ("shape", ATTR_INTS), DTYPE_F32, UNIFORM),
     .infer = random_type,
     ROW(uniform)},
    {.name = "RandomUniformLike",
     .since = 22,
     .about = "uniform numbers in the input's dims",
     IN({.name = "input", .types = T_ANY}),
     OUT("output", T_FLOAT),
     ATTRS(DTYPE_SAME, UNIFORM),
     .infer = random_type,
     ROW(uniform)},
    {.name = "RandomNormal",
     .since = 22,
     .about = "normal deviates",
     IN_NONE,
     OUT("output", T_FLOAT),
     ATTRS(ATTR_REQ("shape", ATTR_INTS), DTYPE_F32, NORMAL),
     .infer = random_type,
     ROW(normal)},
    {.name = "RandomNormalLike",
     .since = 22,
     .about = "normal deviates in the input's dims",
     IN({.name = "input", .types = T_ANY}),
     OUT("output", T_FLOAT),
     ATTRS(DTYPE_SAME, NORMAL),
     .infer = random_type,
     ROW(normal)},
    {.name = "Bernoulli",
     .since = 22,
     .about = "1 with a probability, else 0",
     IN({.name = "input", .types = T_FLOAT}),
     OUT("output", T_NUMBER | T_BOOL),
     ATTRS(DTYPE_SAME, SEED),
     .infer = infer_bernoulli,
     ROW(bernoulli)},
    {.name = "Multinomial",
     .since = 22,
     .about = "classes drawn by their log-probabilities",
     IN({.name = "input", .types = T_FLOAT}),
     OUT("output", DT_BIT(DT_I32) | DT_BIT(DT_I64)),
     ATTRS(ATTR_I("dtype", 6), ATTR_I("sample_size", 1), SEED),
     .infer = infer_multinomial,
     ROW(multinomial)},
    {.name = "Dropout",
     .since = 22,
     .about = "the input; when training, with zeros",
     IN({.name = "data", .types = T_FLOAT | T_FLOAT_NARROW, .var = "T"},
        {.name = "ratio", .types = T_FLOAT | T_FLOAT_NARROW, .optional = true},
        {.name = "training_mode", .types = T_BOOL, .optional = true}),
     .out = (const PortDef[]){{.name = "output", .types = T_ANY, .var = "T"},
                              {.name = "mask", .types = T_BOOL, .optional = true},
                              {0}},
     ATTRS(ATTR_OPT("seed", ATTR_INT)),
     .infer = infer_dropout,
     ROW(dropout),
     .simplify = simplify_dropout},
    {0},
};
