/* elementwise.c: arithmetic, bits and logic element by element, numpy broadcasting.
 *
 * A row gives e_f (floats, in double), i_f (integers and bool, exact, as sx.def says) and m_f (the
 * scalar expression). Rows that shapes are computed with also give their contents (fold_f). */
#include <math.h>

#include "ir/mathd.h"
#include "ir/ops/ops_common.h"

#define E(f, v)                                                                                    \
    static double e_##f(const Node *n, const double *x)                                            \
    {                                                                                              \
        (void)n;                                                                                   \
        return v;                                                                                  \
    }
#define I(f, v)                                                                                    \
    static int64_t i_##f(const Node *n, const int64_t *x, DType t)                                 \
    {                                                                                              \
        (void)n;                                                                                   \
        (void)t;                                                                                   \
        return v;                                                                                  \
    }
#define M(f, v)                                                                                    \
    static const Sx *m_##f(Build *b, const Node *n, const Sx *const *x)                            \
    {                                                                                              \
        SxTable *t = b->sx;                                                                        \
        (void)n;                                                                                   \
        (void)t;                                                                                   \
        return v;                                                                                  \
    }
/* Contents of the result, and the row's infer that uses them. */
#define F(f, v)                                                                                    \
    static Dim fold_##f(DimTable *t, const Node *n, const Dim *x)                                  \
    {                                                                                              \
        (void)n;                                                                                   \
        (void)t;                                                                                   \
        return v;                                                                                  \
    }                                                                                              \
    static Status infer_##f(Infer *cx, Node *n)                                                    \
    {                                                                                              \
        return infer_fold(cx, n, DT_NONE, fold_##f);                                               \
    }

/* Two's complement, without undefined overflow. */
#define WRAP(a, op, b) ((int64_t)((uint64_t)(a)op(uint64_t)(b)))

static bool wide_unsigned(DType t)
{
    return t == DT_U64;
}

static bool int_less(int64_t a, int64_t b, DType t)
{
    return wide_unsigned(t) ? (uint64_t)a < (uint64_t)b : a < b;
}

static int64_t int_div(int64_t a, int64_t b, DType t)
{
    if (b == 0) return 0;
    if (wide_unsigned(t)) return (int64_t)((uint64_t)a / (uint64_t)b);
    return b == -1 ? WRAP(0, -, a) : a / b;
}

static int64_t int_rem(int64_t a, int64_t b, DType t)
{
    if (b == 0 || (b == -1 && !wide_unsigned(t))) return 0;
    return wide_unsigned(t) ? (int64_t)((uint64_t)a % (uint64_t)b) : a % b;
}

/* ---- arithmetic ---- */

E(add, x[0] + x[1])
I(add, WRAP(x[0], +, x[1]))
M(add, sx_add(t, x[0], x[1]))
F(add, dim_add(t, x[0], x[1]))

E(sub, x[0] - x[1])
I(sub, WRAP(x[0], -, x[1]))
M(sub, sx_sub(t, x[0], x[1]))
F(sub, dim_sub(t, x[0], x[1]))

E(mul, x[0] * x[1])
I(mul, WRAP(x[0], *, x[1]))
M(mul, sx_mul(t, x[0], x[1]))
F(mul, dim_mul(t, x[0], x[1]))

/* Toward zero: the floor where both are known not to be negative. */
static Dim dim_truncated(DimTable *t, Dim a, Dim b)
{
    if (dim_is_const(a) && dim_is_const(b))
        return dim_const(t, int_div(a->value, b->value, DT_I64));
    return a->lo >= 0 && b->lo > 0 ? dim_div(t, a, b) : NULL;
}
E(div, x[0] / x[1])
I(div, int_div(x[0], x[1], t))
M(div, sx_div(t, x[0], x[1]))
F(div, dim_truncated(t, x[0], x[1]))

/* fmod=0: sign of the divisor. fmod=1: sign of the dividend. */
static bool is_fmod(const Node *n)
{
    return attr_int(n, "fmod", 0) != 0;
}
static double mod_float(const Node *n, double a, double b)
{
    double r = mathd_fmod(a, b);
    return !is_fmod(n) && r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
static int64_t mod_int(const Node *n, int64_t a, int64_t b, DType t)
{
    int64_t r = int_rem(a, b, t);
    return !is_fmod(n) && !wide_unsigned(t) && r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
static const Sx *mod_sx(Build *b, const Node *n, const Sx *x, const Sx *y)
{
    SxTable *t = b->sx;
    const Sx *zero, *r;

    if (is_fmod(n)) return sx_rem(t, x, y);
    if (dtype_is_int(x->dtype)) return sx_floor_mod(t, x, y);
    zero = sx_const(t, x->dtype, 0);
    r = sx_rem(t, x, y);
    return sx_select(t,
                     sx_and(t, sx_ne(t, r, zero), sx_xor(t, sx_lt(t, r, zero), sx_lt(t, y, zero))),
                     sx_add(t, r, y), r);
}
static Dim mod_dim(DimTable *t, const Node *n, Dim a, Dim b)
{
    if (b->lo <= 0 || (is_fmod(n) && a->lo < 0)) return NULL;
    return dim_mod(t, a, b);
}
E(mod, mod_float(n, x[0], x[1]))
I(mod, mod_int(n, x[0], x[1], t))
M(mod, mod_sx(b, n, x[0], x[1]))
F(mod, mod_dim(t, n, x[0], x[1]))

E(neg, -x[0])
I(neg, WRAP(0, -, x[0]))
M(neg, sx_neg(t, x[0]))
F(neg, dim_mul_c(t, x[0], -1))

E(abs, fabs(x[0]))
I(abs, x[0] < 0 && dtype_is_signed(t) ? WRAP(0, -, x[0]) : x[0])
M(abs, sx_abs(t, x[0]))
F(abs, x[0]->lo >= 0 ? x[0] : x[0]->hi <= 0 ? dim_mul_c(t, x[0], -1) : NULL)

/* Of -0: +0. Of NaN: NaN. */
static const Sx *sign_sx(Build *b, const Sx *x)
{
    SxTable *t = b->sx;
    const Sx *zero = sx_const(t, x->dtype, 0), *one = sx_const(t, x->dtype, 1);
    const Sx *low = zero;

    if (dtype_is_signed(x->dtype))
        low = sx_select(t, sx_lt(t, x, zero), sx_const(t, x->dtype, -1),
                        sx_select(t, sx_eq(t, x, zero), zero, x));
    return sx_select(t, sx_lt(t, zero, x), one, low);
}
E(sign, x[0] > 0 ? 1 : x[0] < 0 ? -1 : x[0] == 0 ? 0 : x[0])
I(sign, x[0] == 0 ? 0 : x[0] < 0 && dtype_is_signed(t) ? -1 : 1)
M(sign, sign_sx(b, x[0]))

E(reciprocal, 1 / x[0])
M(reciprocal, sx_div(t, sx_const_like(b, x[0], 1), x[0]))

/* ---- the least, the greatest, sums of any number ---- */

static double float_min(double a, double b)
{
    return a > b || b != b ? b : a;
}
static double float_max(double a, double b)
{
    return a < b || b != b ? b : a;
}

/* FOLD_ALL(name, type, step): left to right over all operands. */
#define FOLD_ALL(T, step)                                                                          \
    T r = x[0];                                                                                    \
    for (int k = 1; k < n->n_in; k++)                                                              \
        r = step;                                                                                  \
    return r;

static double e_max(const Node *n, const double *x)
{
    FOLD_ALL(double, float_max(r, x[k]))
}
static int64_t i_max(const Node *n, const int64_t *x, DType t)
{
    FOLD_ALL(int64_t, int_less(r, x[k], t) ? x[k] : r)
}
static const Sx *m_max(Build *b, const Node *n, const Sx *const *x)
{
    FOLD_ALL(const Sx *, sx_max(b->sx, r, x[k]))
}
static Dim fold_max(DimTable *t, const Node *n, const Dim *x)
{
    FOLD_ALL(Dim, dim_max(t, r, x[k]))
}
static Status infer_max(Infer *cx, Node *n)
{
    return infer_fold(cx, n, DT_NONE, fold_max);
}

static double e_min(const Node *n, const double *x)
{
    FOLD_ALL(double, float_min(r, x[k]))
}
static int64_t i_min(const Node *n, const int64_t *x, DType t)
{
    FOLD_ALL(int64_t, int_less(x[k], r, t) ? x[k] : r)
}
static const Sx *m_min(Build *b, const Node *n, const Sx *const *x)
{
    FOLD_ALL(const Sx *, sx_min(b->sx, r, x[k]))
}
static Dim fold_min(DimTable *t, const Node *n, const Dim *x)
{
    FOLD_ALL(Dim, dim_min(t, r, x[k]))
}
static Status infer_min(Infer *cx, Node *n)
{
    return infer_fold(cx, n, DT_NONE, fold_min);
}

static double e_sum(const Node *n, const double *x)
{
    FOLD_ALL(double, r + x[k])
}
static const Sx *m_sum(Build *b, const Node *n, const Sx *const *x){
    FOLD_ALL(const Sx *, sx_add(b->sx, r, x[k]))} E(mean, e_sum(n, x) / n->n_in)
    M(mean, sx_div(t, m_sum(b, n, x), sx_const_like(b, x[0], n->n_in)))

    /* ---- bits ---- */

    I(bit_and, x[0] & x[1]) M(bit_and, sx_and(t, x[0], x[1])) I(bit_or, x[0] | x[1])
        M(bit_or, sx_or(t, x[0], x[1])) I(bit_xor, x[0] ^ x[1]) M(bit_xor, sx_xor(t, x[0], x[1]))
            I(bit_not, ~x[0]) M(bit_not, sx_not(t, x[0]))

                static bool shifts_left(const Node *n)
{
    return attr_string(n, "direction", "")[0] == 'L';
}
/* Arithmetic where t is signed; by as many bits as there are, or more, or a negative number: what
 * comes in from outside is all that is left. */
static int64_t int_shift(const Node *n, int64_t a, int64_t by, DType t)
{
    bool far = (uint64_t)by >= (uint64_t)dtype_bits(t);

    if (shifts_left(n)) return far ? 0 : (int64_t)((uint64_t)a << by);
    if (!dtype_is_signed(t)) return far ? 0 : (int64_t)((uint64_t)a >> by);
    return a >> (far ? 63 : by);
}
I(shift, int_shift(n, x[0], x[1], t))
M(shift, shifts_left(n) ? sx_shl(t, x[0], x[1]) : sx_shr(t, x[0], x[1]))
static Status infer_shift(Infer *cx, Node *n)
{
    const char *d = attr_string(n, "direction", "");

    if (__builtin_strcmp(d, "LEFT") != 0 && __builtin_strcmp(d, "RIGHT") != 0)
        return op_error(n, cx->diag, "direction", "BitShift: found \"%s\", expected LEFT or RIGHT",
                        d);
    return infer_fold(cx, n, DT_NONE, NULL);
}

/* ---- logic ---- */

/* For operands that are known to be 0 or 1 as dims. */
F(and, dim_min(t, x[0], x[1]))
F(or, dim_max(t, x[0], x[1]))
F(not, dim_sub(t, dim_const(t, 1), x[0]))
I(not, !x[0])

/* ---- rounding and roots ---- */

E(sqrt, mathd_sqrt(x[0]))
M(sqrt, sx_sqrt(t, x[0]))
E(floor, mathd_floor(x[0]))
M(floor, sx_floor(t, x[0]))
E(ceil, mathd_ceil(x[0]))
M(ceil, sx_ceil(t, x[0]))
E(round, mathd_rint(x[0]))
M(round, sx_rint(t, x[0]))

/* ---- the table ---- */

#define OUT(n) .out = OUT_T(n)
#define IN1(a, set)                                                                                \
    .in = (const PortDef[])                                                                        \
    {                                                                                              \
        {.name = a, .types = set, .var = "T"},                                                     \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }
#define IN2(a, b, set)                                                                             \
    .in = (const PortDef[])                                                                        \
    {                                                                                              \
        {.name = a, .types = set, .var = "T"}, {.name = b, .types = set, .var = "T"},              \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }
#define IN_ALL(set)                                                                                \
    .in = (const PortDef[])                                                                        \
    {                                                                                              \
        {.name = "data_0", .types = set, .var = "T", .variadic = true},                            \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }
#define BOTH(f)  .eval1 = e_##f, .evali = i_##f, .map = m_##f
#define FLOAT(f) .eval1 = e_##f, .map = m_##f
#define INT(f)   .evali = i_##f, .map = m_##f
#define UNARY    OP_PURE | OP_IN_PLACE

const OpDef elementwise_ops[] = {
    {.name = "Add",
     .since = 14,
     .about = "x + y",
     IN2("A", "B", T_NUMBER),
     OUT("C"),
     BOTH(add),
     .infer = infer_add,
     .traits = UNARY | OP_COMMUTES,
     .quant = QUANT_RESCALE},
    {.name = "Sub",
     .since = 14,
     .about = "x - y",
     IN2("A", "B", T_NUMBER),
     OUT("C"),
     BOTH(sub),
     .infer = infer_sub,
     .traits = UNARY,
     .quant = QUANT_RESCALE},
    {.name = "Mul",
     .since = 14,
     .about = "x * y",
     IN2("A", "B", T_NUMBER),
     OUT("C"),
     BOTH(mul),
     .infer = infer_mul,
     .traits = UNARY | OP_COMMUTES,
     .quant = QUANT_RESCALE},
    {.name = "Div",
     .since = 14,
     .about = "x / y; integers toward zero",
     IN2("A", "B", T_NUMBER),
     OUT("C"),
     BOTH(div),
     .infer = infer_div,
     .traits = UNARY},
    {.name = "Mod",
     .since = 28,
     .about = "remainder, with the sign of y, or of x (fmod)",
     IN2("A", "B", T_NUMBER),
     OUT("C"),
     BOTH(mod),
     .infer = infer_mod,
     .traits = UNARY,
     .attr = (const AttrDef[]){ATTR_I("fmod", 0), {0}}},
    {.name = "Neg",
     .since = 13,
     .about = "-x",
     IN1("X", T_FLOAT | T_SINT),
     OUT("Y"),
     BOTH(neg),
     .infer = infer_neg,
     .traits = UNARY,
     .quant = QUANT_TABLE},
    {.name = "Abs",
     .since = 13,
     .about = "|x|",
     IN1("X", T_NUMBER),
     OUT("Y"),
     BOTH(abs),
     .infer = infer_abs,
     .traits = UNARY | OP_IDEMPOTENT,
     .quant = QUANT_TABLE},
    {.name = "Sign",
     .since = 13,
     .about = "-1, 0 or 1",
     IN1("input", T_NUMBER),
     OUT("output"),
     BOTH(sign),
     .traits = UNARY | OP_IDEMPOTENT | OP_MONOTONE,
     .quant = QUANT_TABLE},
    {.name = "Reciprocal",
     .since = 13,
     .about = "1 / x",
     IN1("X", T_FLOAT),
     OUT("Y"),
     FLOAT(reciprocal),
     .traits = UNARY,
     .quant = QUANT_TABLE},
    {.name = "Max",
     .since = 13,
     .about = "the greatest; NaN wins",
     IN_ALL(T_NUMBER),
     OUT("max"),
     BOTH(max),
     .infer = infer_max,
     .traits = UNARY | OP_COMMUTES},
    {.name = "Min",
     .since = 13,
     .about = "the least; NaN wins",
     IN_ALL(T_NUMBER),
     OUT("min"),
     BOTH(min),
     .infer = infer_min,
     .traits = UNARY | OP_COMMUTES},
    {.name = "Sum",
     .since = 13,
     .about = "sum of all inputs",
     IN_ALL(T_FLOAT),
     OUT("sum"),
     FLOAT(sum),
     .traits = UNARY},
    {.name = "Mean",
     .since = 13,
     .about = "mean of all inputs",
     IN_ALL(T_FLOAT),
     OUT("mean"),
     FLOAT(mean),
     .traits = UNARY},
    {.name = "BitwiseAnd",
     .since = 18,
     .about = "x & y",
     IN2("A", "B", T_INT),
     OUT("C"),
     INT(bit_and),
     .traits = UNARY | OP_COMMUTES},
    {.name = "BitwiseOr",
     .since = 18,
     .about = "x | y",
     IN2("A", "B", T_INT),
     OUT("C"),
     INT(bit_or),
     .traits = UNARY | OP_COMMUTES},
    {.name = "BitwiseXor",
     .since = 18,
     .about = "x ^ y",
     IN2("A", "B", T_INT),
     OUT("C"),
     INT(bit_xor),
     .traits = UNARY | OP_COMMUTES},
    {.name = "BitwiseNot",
     .since = 18,
     .about = "~x",
     IN1("X", T_INT),
     OUT("Y"),
     INT(bit_not),
     .traits = UNARY},
    {.name = "BitShift",
     .since = 28,
     .about = "x << y or x >> y",
     IN2("X", "Y", T_INT),
     OUT("Z"),
     INT(shift),
     .infer = infer_shift,
     .traits = UNARY,
     .attr = (const AttrDef[]){ATTR_REQ("direction", ATTR_STRING), {0}}},
    {.name = "And",
     .since = 7,
     .about = "x and y",
     IN2("A", "B", T_BOOL),
     OUT("C"),
     INT(bit_and),
     .infer = infer_and,
     .traits = UNARY | OP_COMMUTES},
    {.name = "Or",
     .since = 7,
     .about = "x or y",
     IN2("A", "B", T_BOOL),
     OUT("C"),
     INT(bit_or),
     .infer = infer_or,
     .traits = UNARY | OP_COMMUTES},
    {.name = "Xor",
     .since = 7,
     .about = "either x or y",
     IN2("A", "B", T_BOOL),
     OUT("C"),
     INT(bit_xor),
     .traits = UNARY | OP_COMMUTES},
    {.name = "Not",
     .since = 1,
     .about = "not x",
     IN1("X", T_BOOL),
     OUT("Y"),
     .evali = i_not,
     .map = m_bit_not,
     .infer = infer_not,
     .traits = UNARY},
    {.name = "Sqrt",
     .since = 13,
     .about = "square root",
     IN1("X", T_FLOAT),
     OUT("Y"),
     FLOAT(sqrt),
     .traits = UNARY | OP_MONOTONE,
     .quant = QUANT_TABLE},
    {.name = "Floor",
     .since = 13,
     .about = "the integer below",
     IN1("X", T_FLOAT),
     OUT("Y"),
     FLOAT(floor),
     .traits = UNARY | OP_MONOTONE | OP_IDEMPOTENT,
     .quant = QUANT_TABLE},
    {.name = "Ceil",
     .since = 13,
     .about = "the integer above",
     IN1("X", T_FLOAT),
     OUT("Y"),
     FLOAT(ceil),
     .traits = UNARY | OP_MONOTONE | OP_IDEMPOTENT,
     .quant = QUANT_TABLE},
    {.name = "Round",
     .since = 22,
     .about = "the nearest integer, ties to even",
     IN1("X", T_FLOAT),
     OUT("Y"),
     FLOAT(round),
     .traits = UNARY | OP_MONOTONE | OP_IDEMPOTENT,
     .quant = QUANT_TABLE},
    {0},
};
