/* activation.c: functions of one number: mathematics and activations. Where a formula has two
 * forms, the one that keeps NaN, infinities and the sign of zero is used, and says so. */
#include <math.h>
#include <string.h>

#include "ir/mathd.h"
#include "ir/ops/ops_common.h"

/* e_f and m_f of a function that is one scalar operation. */
#define MATH(f, OP)                                                                                \
    static double e_##f(const Node *n, const double *x)                                            \
    {                                                                                              \
        (void)n;                                                                                   \
        return mathd_##f(x[0]);                                                                    \
    }                                                                                              \
    static const Sx *m_##f(Build *b, const Node *n, const Sx *const *x)                            \
    {                                                                                              \
        (void)n;                                                                                   \
        return sx_op1(b->sx, SX_##OP, x[0]);                                                       \
    }
MATH(exp, EXP)
MATH(log, LOG)
MATH(sin, SIN)
MATH(cos, COS)
MATH(tan, TAN)
MATH(asin, ASIN)
MATH(acos, ACOS)
MATH(atan, ATAN)
MATH(sinh, SINH)
MATH(cosh, COSH)
MATH(tanh, TANH)
MATH(asinh, ASINH)
MATH(acosh, ACOSH)
MATH(atanh, ATANH)
MATH(erf, ERF)
MATH(sigmoid, SIGMOID)

/* e_f of the double x; m_f of the expression x, with t, c(v) a constant of its type. */
#define E(f, v)                                                                                    \
    static double e_##f(const Node *n, const double *in)                                           \
    {                                                                                              \
        double x = in[0];                                                                          \
        (void)n;                                                                                   \
        return v;                                                                                  \
    }
#define M(f, v)                                                                                    \
    static const Sx *m_##f(Build *b, const Node *n, const Sx *const *in)                           \
    {                                                                                              \
        SxTable *t = b->sx;                                                                        \
        const Sx *x = in[0];                                                                       \
        (void)n;                                                                                   \
        return v;                                                                                  \
    }
#define C(v)  sx_const(t, x->dtype, v)
#define ALPHA attr_float(n, "alpha", 0)
#define BETA  attr_float(n, "beta", 0)
#define GAMMA attr_float(n, "gamma", 0)

static double positive(double x)
{
    return x < 0 ? 0 : x; /* NaN stays */
}

static double unit_interval(double x)
{
    return x < 0 ? 0 : x > 1 ? 1 : x;
}

static const Sx *sx_unit_interval(SxTable *t, const Sx *x)
{
    return sx_min(t, sx_max(t, x, C(0)), C(1));
}

E(relu, positive(x))
M(relu, sx_max(t, x, C(0)))
static int64_t i_relu(const Node *n, const int64_t *x, DType t)
{
    (void)n;
    (void)t;
    return x[0] < 0 ? 0 : x[0];
}

/* Not max(x, 0) + alpha min(x, 0): where max(-0, 0) is 0, that loses a sign. */
E(leaky, x < 0 ? ALPHA * x : x)
M(leaky, sx_select(t, sx_lt(t, x, C(0)), sx_mul(t, C(ALPHA), x), x))

E(elu, x < 0 ? ALPHA * mathd_expm1(x) : x)
M(elu, sx_select(t, sx_lt(t, x, C(0)), sx_mul(t, C(ALPHA), sx_op1(t, SX_EXPM1, x)), x))

/* max(0, x) + min(0, alpha (exp(x / alpha) - 1)) */
static const Sx *celu_sx(SxTable *t, const Sx *x, double alpha)
{
    const Sx *curve = sx_mul(t, C(alpha), sx_op1(t, SX_EXPM1, sx_div(t, x, C(alpha))));
    return sx_add(t, sx_max(t, x, C(0)), sx_min(t, curve, C(0)));
}
E(celu, positive(x) + -positive(-ALPHA * mathd_expm1(x / ALPHA)))
M(celu, celu_sx(t, x, ALPHA))

E(selu, GAMMA *(x > 0 ? x : ALPHA * mathd_expm1(x)))
M(selu, sx_mul(t, C(GAMMA),
               sx_select(t, sx_lt(t, C(0), x), x, sx_mul(t, C(ALPHA), sx_op1(t, SX_EXPM1, x)))))

static bool is_tanh(const Node *n)
{
    return strcmp(attr_string(n, "approximate", "none"), "tanh") == 0;
}
#define HALF_ROOT   0.70710678118654752440 /* 1 / sqrt(2) */
#define TWO_OVER_PI 0.79788456080286535588 /* sqrt(2 / pi) */
#define GELU_CUBE   0.044715
static double gelu_inner(const Node *n, double x)
{
    if (is_tanh(n)) return mathd_tanh(TWO_OVER_PI * (x + GELU_CUBE * x * x * x));
    return mathd_erf(x * HALF_ROOT);
}
static const Sx *gelu_inner_sx(SxTable *t, const Node *n, const Sx *x)
{
    const Sx *cube;

    if (!is_tanh(n)) return sx_erf(t, sx_mul(t, x, C(HALF_ROOT)));
    cube = sx_mul(t, C(GELU_CUBE), sx_mul(t, x, sx_mul(t, x, x)));
    return sx_tanh(t, sx_mul(t, C(TWO_OVER_PI), sx_add(t, x, cube)));
}
E(gelu, 0.5 * x * (1 + gelu_inner(n, x)))
M(gelu, sx_mul(t, sx_mul(t, C(0.5), x), sx_add(t, C(1), gelu_inner_sx(t, n, x))))
static Status infer_gelu(Infer *cx, Node *n)
{
    const char *a = attr_string(n, "approximate", "none");

    if (strcmp(a, "none") != 0 && strcmp(a, "tanh") != 0)
        return op_error(n, cx->diag, "approximate", "Gelu: found \"%s\", expected none or tanh", a);
    infer_same(cx, n, 0, 0);
    return OK;
}

E(hard_sigmoid, unit_interval(ALPHA *x + BETA))
M(hard_sigmoid, sx_unit_interval(t, sx_add(t, sx_mul(t, C(ALPHA), x), C(BETA))))

E(hard_swish, x *unit_interval(x / 6 + 0.5))
M(hard_swish, sx_mul(t, x, sx_unit_interval(t, sx_add(t, sx_mul(t, x, C(1.0 / 6)), C(0.5)))))

/* log(1 + exp(x)), which for large x is x itself. */
static double softplus(double x)
{
    return positive(x) + mathd_log1p(mathd_exp(-fabs(x)));
}
static const Sx *softplus_sx(SxTable *t, const Sx *x)
{
    const Sx *rest = sx_op1(t, SX_LOG1P, sx_exp(t, sx_neg(t, sx_abs(t, x))));
    return sx_add(t, sx_max(t, x, C(0)), rest);
}
E(softplus, softplus(x))
M(softplus, softplus_sx(t, x))

/* tanh(log(1 + e)) = n / (n + 2), n = e (e + 2), for e = exp(x); from x = 20 on it is 1. */
static const Sx *mish_sx(SxTable *t, const Sx *x)
{
    const Sx *e = sx_exp(t, sx_min(t, x, C(20))), *n = sx_mul(t, e, sx_add(t, e, C(2)));
    return sx_mul(t, x, sx_div(t, n, sx_add(t, n, C(2))));
}
E(mish, x *mathd_tanh(softplus(x)))
M(mish, mish_sx(t, x))

E(softsign, x / (1 + fabs(x)))
M(softsign, sx_div(t, x, sx_add(t, C(1), sx_abs(t, x))))

E(swish, x *mathd_sigmoid(ALPHA *x))
M(swish, sx_mul(t, x, sx_sigmoid(t, sx_mul(t, C(ALPHA), x))))

static double e_swiglu(const Node *n, const double *x)
{
    return e_swish(n, x) * x[1];
}
static const Sx *m_swiglu(Build *b, const Node *n, const Sx *const *x)
{
    return sx_mul(b->sx, m_swish(b, n, x), x[1]);
}

E(thresholded, x > ALPHA ? x : 0)
M(thresholded, sx_select(t, sx_lt(t, C(ALPHA), x), x, C(0)))

/* x + bias below -lambd, x - bias above lambd, else 0; integers by way of f64, then truncated. */
static double shrink(const Node *n, double x)
{
    double bias = attr_float(n, "bias", 0), lambd = attr_float(n, "lambd", 0.5);
    return x < -lambd ? x + bias : x > lambd ? x - bias : 0;
}
static const Sx *shrink_sx(SxTable *t, const Node *n, const Sx *x)
{
    double bias = attr_float(n, "bias", 0), lambd = attr_float(n, "lambd", 0.5);
    const Sx *high;

    if (dtype_is_int(x->dtype)) x = sx_cast(t, x, DT_F64);
    high = sx_select(t, sx_lt(t, C(lambd), x), sx_sub(t, x, C(bias)), C(0));
    return sx_select(t, sx_lt(t, x, C(-lambd)), sx_add(t, x, C(bias)), high);
}
E(shrink, shrink(n, x))
M(shrink, shrink_sx(t, n, x))
static int64_t i_shrink(const Node *n, const int64_t *x, DType t)
{
    int64_t result = 0;
    double v = shrink(n, t == DT_U64 ? (double)(uint64_t)x[0] : (double)x[0]);

    dtype_store_double(t, &result, v, true);
    return dtype_load_int(t, &result);
}

/* slope * x where x < 0 */
static double e_prelu(const Node *n, const double *x)
{
    (void)n;
    return x[0] < 0 ? x[1] * x[0] : x[0];
}
static int64_t i_prelu(const Node *n, const int64_t *x, DType t)
{
    (void)n;
    if (x[0] >= 0 || !dtype_is_signed(t)) return x[0];
    return (int64_t)((uint64_t)x[0] * (uint64_t)x[1]);
}
static const Sx *m_prelu(Build *b, const Node *n, const Sx *const *x)
{
    SxTable *t = b->sx;

    (void)n;
    return sx_select(t, sx_lt(t, x[0], sx_const(t, x[0]->dtype, 0)), sx_mul(t, x[1], x[0]), x[0]);
}

/* The result of an idempotent operator applied twice is the first's. */
static void simplify_idempotent(Build *b, Node *n, Value **v)
{
    (void)b;
    if (n->in[0]->def && n->in[0]->def->op == n->op) v[0] = n->in[0];
}

/* ---- the table ---- */

#define PORTS(set, i, o)                                                                           \
    .in = (const PortDef[]){{.name = i, .types = set, .var = "T"}, {0}}, .out = OUT_T(o)
#define ROW(f) .eval1 = e_##f, .map = m_##f, .quant = QUANT_TABLE
#define ATTRS(...)                                                                                 \
    .attr = (const AttrDef[])                                                                      \
    {                                                                                              \
        __VA_ARGS__,                                                                               \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }
#define UP    OP_PURE | OP_IN_PLACE | OP_MONOTONE
#define UNARY OP_PURE | OP_IN_PLACE
/* A function of mathematics: name, since, ports, traits. */
#define FN(N, s, f, i, o, tr, text)                                                                \
    {                                                                                              \
        .name = N, .since = s, .about = text, PORTS(T_FLOAT, i, o), ROW(f), .traits = tr           \
    }

const OpDef activation_ops[] = {
    FN("Exp", 13, exp, "input", "output", UP, "e^x"),
    FN("Log", 13, log, "input", "output", UP, "natural logarithm"),
    FN("Sin", 22, sin, "input", "output", UNARY, "sine"),
    FN("Cos", 22, cos, "input", "output", UNARY, "cosine"),
    FN("Tan", 22, tan, "input", "output", UNARY, "tangent"),
    FN("Asin", 22, asin, "input", "output", UP, "inverse sine"),
    FN("Acos", 22, acos, "input", "output", UNARY, "inverse cosine"),
    FN("Atan", 22, atan, "input", "output", UP, "inverse tangent"),
    FN("Sinh", 22, sinh, "input", "output", UP, "hyperbolic sine"),
    FN("Cosh", 22, cosh, "input", "output", UNARY, "hyperbolic cosine"),
    FN("Tanh", 13, tanh, "input", "output", UP, "hyperbolic tangent"),
    FN("Asinh", 22, asinh, "input", "output", UP, "inverse hyperbolic sine"),
    FN("Acosh", 22, acosh, "input", "output", UP, "inverse hyperbolic cosine"),
    FN("Atanh", 22, atanh, "input", "output", UP, "inverse hyperbolic tangent"),
    FN("Erf", 13, erf, "input", "output", UP, "error function"),
    FN("Sigmoid", 13, sigmoid, "X", "Y", UP, "1 / (1 + e^-x)"),
    FN("Softplus", 22, softplus, "X", "Y", UP, "log(1 + e^x)"),
    FN("Softsign", 22, softsign, "input", "output", UP, "x / (1 + |x|)"),
    FN("HardSwish", 22, hard_swish, "X", "Y", UNARY, "x max(0, min(1, x/6 + 1/2))"),
    FN("Mish", 22, mish, "X", "Y", UNARY, "x tanh(softplus(x))"),
    {.name = "Relu",
     .since = 14,
     .about = "max(x, 0)",
     PORTS(T_FLOAT | T_SINT, "X", "Y"),
     ROW(relu),
     .evali = i_relu,
     .traits = UP | OP_IDEMPOTENT,
     .simplify = simplify_idempotent},
    {.name = "LeakyRelu",
     .since = 16,
     .about = "x, or alpha x where x < 0",
     PORTS(T_FLOAT, "X", "Y"),
     ROW(leaky),
     .traits = UNARY,
     ATTRS(ATTR_F("alpha", (double)0.01f))},
    {.name = "Elu",
     .since = 22,
     .about = "x, or alpha (e^x - 1) where x < 0",
     PORTS(T_FLOAT, "X", "Y"),
     ROW(elu),
     .traits = UNARY,
     ATTRS(ATTR_F("alpha", 1))},
    {.name = "Celu",
     .since = 28,
     .about = "max(0, x) + min(0, alpha (e^(x/alpha) - 1))",
     PORTS(T_FLOAT, "X", "Y"),
     ROW(celu),
     .traits = UNARY,
     ATTRS(ATTR_F("alpha", 1))},
    {.name = "Selu",
     .since = 22,
     .about = "gamma (x, or alpha (e^x - 1) where x <= 0)",
     PORTS(T_FLOAT, "X", "Y"),
     ROW(selu),
     .traits = UNARY,
     ATTRS(ATTR_F("alpha", (double)1.67326319217681884765625f),
           ATTR_F("gamma", (double)1.05070102214813232421875f))},
    {.name = "Gelu",
     .since = 20,
     .about = "x/2 (1 + erf(x/sqrt 2)), or its approximation by tanh",
     PORTS(T_FLOAT, "X", "Y"),
     ROW(gelu),
     .infer = infer_gelu,
     .traits = UNARY,
     ATTRS(ATTR_S("approximate", "none"))},
    {.name = "HardSigmoid",
     .since = 22,
     .about = "max(0, min(1, alpha x + beta))",
     PORTS(T_FLOAT, "X", "Y"),
     ROW(hard_sigmoid),
     .traits = UNARY,
     ATTRS(ATTR_F("alpha", (double)0.2f), ATTR_F("beta", 0.5))},
    {.name = "Swish",
     .since = 24,
     .about = "x sigmoid(alpha x)",
     PORTS(T_FLOAT, "X", "Y"),
     ROW(swish),
     .traits = UNARY,
     ATTRS(ATTR_F("alpha", 1))},
    {.name = "SwiGLU",
     .since = 28,
     .about = "a sigmoid(alpha a) b",
     .in = (const PortDef[]){{.name = "a", .types = T_FLOAT, .var = "T"},
                             {.name = "b", .types = T_FLOAT, .var = "T"},
                             {0}},
     .out = OUT_T("y"),
     .eval1 = e_swiglu,
     .map = m_swiglu,
     .traits = UNARY,
     ATTRS(ATTR_F("alpha", 1))},
    {.name = "ThresholdedRelu",
     .since = 22,
     .about = "x where x > alpha, else 0",
     PORTS(T_FLOAT, "X", "Y"),
     ROW(thresholded),
     .traits = UNARY,
     ATTRS(ATTR_F("alpha", 1))},
    {.name = "Shrink",
     .since = 9,
     .about = "toward zero by bias; 0 within lambd",
     PORTS(T_NUMBER, "input", "output"),
     ROW(shrink),
     .evali = i_shrink,
     .traits = UNARY,
     ATTRS(ATTR_F("bias", 0), ATTR_F("lambd", 0.5))},
    {.name = "PRelu",
     .since = 16,
     .about = "x, or slope x where x < 0",
     .in = (const PortDef[]){{.name = "X", .types = T_NUMBER, .var = "T"},
                             {.name = "slope", .types = T_NUMBER, .var = "T"},
                             {0}},
     .out = OUT_T("Y"),
     .eval1 = e_prelu,
     .evali = i_prelu,
     .map = m_prelu,
     .traits = UNARY},
    {0},
};
