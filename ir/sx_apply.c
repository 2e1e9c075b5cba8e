/* sx_apply.c: what one operation gives, on bits: the meaning of sx.def in C.
 *
 * Values travel as CONST keeps them: bool 0 or 1, signed integers sign-extended, unsigned ones
 * zero-extended, floats as their bits. A NaN that arithmetic makes is the same NaN on every host.
 */
#include "ir/mathd.h"
#include "ir/sx_impl.h"

static bool is_uint(DType d)
{
    return dtype_kind(d) == KIND_UINT;
}

uint64_t sx_normal_bits(DType d, uint64_t bits)
{
    int unused = 64 - dtype_bits(d);

    if (d == DT_BOOL) return bits != 0;
    if (unused <= 0) return bits;
    if (dtype_kind(d) == KIND_INT) return (uint64_t)((int64_t)(bits << unused) >> unused);
    return bits << unused >> unused;
}

DType sx_op_result(SxOp op, DType d)
{
    return op == SX_EQ || op == SX_NE || op == SX_LT || op == SX_LE ? DT_BOOL : d;
}

bool sx_op_takes(SxOp op, DType d)
{
    bool integer = dtype_is_int(d), real = d == DT_F32 || d == DT_F64, boolean = d == DT_BOOL;

    if (d == DT_NONE || d >= DT_COUNT) return false;
    if (op >= SX_EXP) return real;
    switch ((int)op) {
    case SX_SQRT:
    case SX_FLOOR:
    case SX_CEIL:
    case SX_TRUNC:
    case SX_RINT:
    case SX_COPYSIGN:
        return real;
    case SX_SCALE:
        return d == DT_F32;
    case SX_AND:
    case SX_OR:
    case SX_XOR:
    case SX_NOT:
        return integer || boolean;
    case SX_SHL:
    case SX_SHR:
    case SX_CTLZ:
    case SX_POPCNT:
        return integer;
    case SX_EQ:
    case SX_NE:
    case SX_LT:
    case SX_LE:
        return integer || real || boolean;
    case SX_SELECT:
        return dtype_kind(d) <= KIND_FLOAT;
    default:
        return integer || real;
    }
}

/* Integers. */

static uint64_t divide(DType d, bool rem, uint64_t a, uint64_t b)
{
    if (b == 0) return 0;
    if (is_uint(d)) return rem ? a % b : a / b;
    if ((int64_t)b == -1) return rem ? 0 : 0 - a; /* the least integer wraps to itself */
    return (uint64_t)(rem ? (int64_t)a % (int64_t)b : (int64_t)a / (int64_t)b);
}

static uint64_t shift(DType d, bool right, uint64_t a, uint64_t amount)
{
    int bits = dtype_bits(d);
    bool negative = (int64_t)a < 0 && !is_uint(d);

    amount = bits < 64 ? amount & (((uint64_t)1 << bits) - 1) : amount; /* as unsigned */
    if (amount >= (uint64_t)bits) return right && negative ? ~(uint64_t)0 : 0;
    if (!right) return a << amount;
    return is_uint(d) ? a >> amount : (uint64_t)((int64_t)a >> amount);
}

static bool less(DType d, uint64_t a, uint64_t b)
{
    return dtype_kind(d) == KIND_INT ? (int64_t)a < (int64_t)b : a < b;
}

static uint64_t leading_zeros(DType d, uint64_t a)
{
    int unused = 64 - dtype_bits(d);
    uint64_t top = a << unused;

    return top ? (uint64_t)__builtin_clzll(top) : (uint64_t)dtype_bits(d);
}

static uint64_t apply_int(SxOp op, DType d, const uint64_t *x)
{
    uint64_t a = x[0], b = x[1];
    int unused = 64 - dtype_bits(d);

    switch ((int)op) {
    case SX_NEG:
        return 0 - a;
    case SX_ABS:
        return less(d, a, 0) ? 0 - a : a;
    case SX_ADD:
        return a + b;
    case SX_SUB:
        return a - b;
    case SX_MUL:
        return a * b;
    case SX_DIV:
        return divide(d, false, a, b);
    case SX_REM:
        return divide(d, true, a, b);
    case SX_MIN:
        return less(d, b, a) ? b : a;
    case SX_MAX:
        return less(d, a, b) ? b : a;
    case SX_FMA:
        return a * b + x[2];
    case SX_AND:
        return a & b;
    case SX_OR:
        return a | b;
    case SX_XOR:
        return a ^ b;
    case SX_NOT:
        return d == DT_BOOL ? !a : ~a;
    case SX_SHL:
        return shift(d, false, a, b);
    case SX_SHR:
        return shift(d, true, a, b);
    case SX_CTLZ:
        return leading_zeros(d, a);
    case SX_POPCNT:
        return (uint64_t)__builtin_popcountll(a << unused >> unused);
    case SX_EQ:
        return a == b;
    case SX_NE:
        return a != b;
    case SX_LT:
        return less(d, a, b);
    case SX_LE:
        return !less(d, b, a);
    default:
        return 0; /* not an operation of integers: sx_op_takes */
    }
}

/* Floats. Every f32 operation but FMA is done in float: double would round twice. */

static uint64_t bits32(float v)
{
    uint32_t bits;

    memcpy(&bits, &v, sizeof bits);
    return v != v ? 0x7fc00000u : bits;
}

static float of_bits32(uint64_t bits)
{
    uint32_t low = (uint32_t)bits;
    float v;

    memcpy(&v, &low, sizeof v);
    return v;
}

static uint64_t bits64(double v)
{
    return v != v ? (uint64_t)0x7ff8 << 48 : mathd_bits(v);
}

static double rounding(SxOp op, double a, double b)
{
    switch ((int)op) {
    case SX_SQRT:
        return mathd_sqrt(a);
    case SX_FLOOR:
        return mathd_floor(a);
    case SX_CEIL:
        return mathd_ceil(a);
    case SX_TRUNC:
        return mathd_trunc(a);
    case SX_RINT:
        return mathd_rint(a);
    case SX_REM:
        return mathd_fmod(a, b);
    default:
        return mathd_of_bits((uint64_t)0x7ff8 << 48);
    }
}

/* Those that only move bits keep a NaN as it is. */
static bool apply_sign(SxOp op, uint64_t sign, const uint64_t *x, uint64_t *out)
{
    if (op == SX_NEG)
        *out = x[0] ^ sign;
    else if (op == SX_ABS)
        *out = x[0] & ~sign;
    else if (op == SX_COPYSIGN)
        *out = (x[0] & ~sign) | (x[1] & sign);
    else
        return false;
    return true;
}

static uint64_t apply_f64(const SxShape *s, const uint64_t *x)
{
    double a = mathd_of_bits(x[0]), b = mathd_of_bits(x[1]);
    uint64_t moved;

    if (apply_sign(s->op, (uint64_t)1 << 63, x, &moved)) return moved;
    switch ((int)s->op) {
    case SX_ADD:
        return bits64(a + b);
    case SX_SUB:
        return bits64(a - b);
    case SX_MUL:
        return bits64(a * b);
    case SX_DIV:
        return bits64(a / b);
    case SX_FMA: {
        double c = mathd_of_bits(x[2]);
        return bits64(s->no_fma ? a * b + c : mathd_fma(a, b, c));
    }
    case SX_MIN:
        return a > b || b != b ? x[1] : x[0];
    case SX_MAX:
        return a < b || b != b ? x[1] : x[0];
    case SX_EQ:
        return a == b;
    case SX_NE:
        return a != b;
    case SX_LT:
        return a < b;
    case SX_LE:
        return a <= b;
    default:
        return bits64(rounding(s->op, a, b));
    }
}

/* In double the product is exact, where it is not beyond the floats or below them all. */
static float scale(float a, float b)
{
    double n = mathd_floor((double)b), infinity = __builtin_inf();

    if (n != n) return b;
    if (n < -400) return (float)((double)a * (n == -infinity ? 0.0 : mathd_scale(1.0, -400)));
    if (n > 400) return (float)((double)a * (n == infinity ? infinity : mathd_scale(1.0, 400)));
    return (float)((double)a * mathd_scale(1.0, (int)n));
}

static uint64_t apply_f32(const SxShape *s, const uint64_t *x)
{
    float a = of_bits32(x[0]), b = of_bits32(x[1]);
    uint64_t moved;

    if (apply_sign(s->op, (uint64_t)1 << 31, x, &moved)) return moved;
    switch ((int)s->op) {
    case SX_ADD:
        return bits32(a + b);
    case SX_SUB:
        return bits32(a - b);
    case SX_MUL:
        return bits32(a * b);
    case SX_DIV:
        return bits32(a / b);
    case SX_FMA: {
        float c = of_bits32(x[2]);
        return bits32(s->no_fma ? a * b + c : mathd_fmaf(a, b, c));
    }
    case SX_MIN:
        return a > b || b != b ? x[1] : x[0];
    case SX_MAX:
        return a < b || b != b ? x[1] : x[0];
    case SX_EQ:
        return a == b;
    case SX_NE:
        return a != b;
    case SX_LT:
        return a < b;
    case SX_LE:
        return a <= b;
    case SX_SCALE:
        return bits32(scale(a, b));
    /* sqrt of a float in double, rounded to float, is correctly rounded: 53 >= 2 * 24 + 2. */
    default:
        return bits32((float)rounding(s->op, (double)a, (double)b));
    }
}

/* Casts. */

/* The integer as a double of which rounding to any narrower float gives the nearest: exact, or odd.
 */
static double int_to_double_odd(DType from, uint64_t v)
{
    bool negative = !is_uint(from) && (int64_t)v < 0;
    uint64_t m = negative ? 0 - v : v;

    if (m >> 53) {
        int drop = 11 - __builtin_clzll(m);
        m = (m >> drop | ((m & (((uint64_t)1 << drop) - 1)) != 0)) << drop;
    }
    return negative ? -(double)m : (double)m;
}

static double to_double(DType from, uint64_t v)
{
    unsigned char element[8] = {0};

    if (from == DT_F64) return mathd_of_bits(v);
    if (from == DT_F32) return (double)of_bits32(v);
    if (from == DT_BOOL) return (double)v;
    if (dtype_is_int(from)) return int_to_double_odd(from, v);
    dtype_store_bits(from, element, v);
    return dtype_load_double(from, element);
}

static uint64_t float_to_int(DType to, double v)
{
    int bits = dtype_bits(to);

    if (v != v) return 0;
    v = mathd_trunc(v);
    if (is_uint(to)) {
        uint64_t most = ~(uint64_t)0 >> (64 - bits);
        if (v <= 0) return 0;
        return v >= 2.0 * (double)((uint64_t)1 << (bits - 1)) ? most : (uint64_t)v;
    }
    double limit = (double)((uint64_t)1 << (bits - 1));
    if (v >= limit) return ((uint64_t)1 << (bits - 1)) - 1;
    if (v < -limit) return ~(uint64_t)0 << (bits - 1);
    return (uint64_t)(int64_t)v;
}

static uint64_t cast_to_float(const SxShape *s, uint64_t v)
{
    bool integer = dtype_is_int(s->from);
    unsigned char element[8] = {0};

    if (s->dtype == DT_F64) {
        if (integer) return mathd_bits(is_uint(s->from) ? (double)v : (double)(int64_t)v);
        return bits64(to_double(s->from, v));
    }
    if (s->dtype == DT_F32) {
        if (integer) return bits32(is_uint(s->from) ? (float)v : (float)(int64_t)v);
        return bits32((float)to_double(s->from, v));
    }
    dtype_store_double(s->dtype, element, to_double(s->from, v), s->saturate);
    return dtype_load_bits(s->dtype, element);
}

static uint64_t apply_cast(const SxShape *s, uint64_t v)
{
    bool from_float = dtype_is_float(s->from);

    if (s->from == s->dtype) return v;
    if (dtype_is_float(s->dtype)) return cast_to_float(s, v);
    if (s->dtype == DT_BOOL) return from_float ? to_double(s->from, v) != 0 : v != 0;
    return from_float ? float_to_int(s->dtype, to_double(s->from, v)) : v;
}

uint64_t sx_apply(const SxShape *s, const uint64_t *x)
{
    uint64_t y[3] = {0};

    for (int i = 0; i < sx_op_args(s->op) && i < 3; i++) {
        y[i] = x[i];
    }
    if (s->op == SX_CAST) return sx_normal_bits(s->dtype, apply_cast(s, x[0]));
    if (s->op == SX_BITCAST) return sx_normal_bits(s->dtype, x[0]);
    if (s->op == SX_SELECT) return x[0] ? x[1] : x[2];
    if (!sx_op_takes(s->op, s->from)) return 0;
    if (s->from == DT_F64) return apply_f64(s, y);
    if (s->from == DT_F32) return apply_f32(s, y);
    return sx_normal_bits(s->dtype, apply_int(s->op, s->from, y));
}
