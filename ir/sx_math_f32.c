/* sx_math_f32.c: mathematics on f32, at most 2 ulp, with fused multiply-adds and without.
 *
 * What models compute by the million has f32 algorithms of its own here: exponentials, logarithms,
 * erf, the inverse circular functions. They follow math_f64.inc, with shorter polynomials (fitted
 * the same way) and fewer safeguards. The others go by way of f64, which costs twice the lanes and
 * leaves half an ulp. */
#include <math.h>

#include "ir/sx_impl.h"
#include "ir/sx_math.h"

typedef const Sx *V;

#define K(c)            sx_const(t, DT_F32, (double)(c))
#define KU(c)           sx_const_bits(t, DT_U32, c)
#define ADD(a, b)       sx_add(t, a, b)
#define SUB(a, b)       sx_sub(t, a, b)
#define MUL(a, b)       sx_mul(t, a, b)
#define DIV(a, b)       sx_div(t, a, b)
#define MAD(a, b, c)    sx_fma(t, a, b, c)
#define ABS(a)          sx_abs(t, a)
#define NEG(a)          sx_neg(t, a)
#define SQRT(a)         sx_sqrt(t, a)
#define COPYSIGN(a, b)  sx_copysign(t, a, b)
#define MIN(a, b)       sx_min(t, a, b)
#define MAX(a, b)       sx_max(t, a, b)
#define LT(a, b)        sx_lt(t, a, b)
#define EQ(a, b)        sx_eq(t, a, b)
#define SEL(c, a, b)    sx_select(t, c, a, b)
#define MOSTLY(c, a, b) sx_mostly(t, c, a, b)
#define BITS(a)         sx_bitcast(t, a, DT_U32)
#define OF_BITS(u)      sx_bitcast(t, u, DT_F32)
#define SHL(u, n)       sx_shl(t, u, KU(n))
#define SHR(u, n)       sx_shr(t, u, KU(n))
#define POLY(x, c)      poly(t, x, c, (int)(sizeof(c) / sizeof *(c)))
#define INF             K(__builtin_inf())
#define MAGIC           K(0x1.8p23 + 254)

/* e^r for |r| <= ln(2)/2, but for 1 + r, over r^2 */
static const float f_exp[] = {0x1.fffffcp-2f, 0x1.55549p-3f, 0x1.5558acp-5f, 0x1.123b1p-7f,
                              0x1.6a5424p-10f};

/* twice that */
static const float f_exp_twice[] = {0x1.fffffcp-1f, 0x1.55549p-2f, 0x1.5558acp-4f, 0x1.123b1p-6f,
                                    0x1.6a5424p-9f};

/* (exp(r) - 1 - r) / r^2, weighed for what is relative to exp(r) - 1 */
static const float f_expm1[] = {0x1p-1f, 0x1.5554aep-3f, 0x1.5554e2p-5f, 0x1.122944p-7f,
                                0x1.6d5482p-10f};

/* ((exp(2 r) - 1) / 2 - r) / r^2 for |r| <= ln(2)/4: the same with other powers of two */
static const float f_tanh[] = {0x1p0f, 0x1.55549ep-1f, 0x1.5554a8p-2f, 0x1.12290ap-3f,
                               0x1.6db6aap-5f};

/* (log(1 + f) - f + f^2/2) / f^3 for 1/sqrt(2) <= 1 + f <= sqrt(2) */
static const float f_log[] = {0x1.555554p-2f,  -0x1.fffffcp-3f, 0x1.999d5ap-3f,
                              -0x1.555b4ap-3f, 0x1.23d21ap-3f,  -0x1.fcf4c6p-4f,
                              0x1.dea282p-4f,  -0x1.d635bcp-4f, 0x1.1d8ea6p-4f};

/* log(erfc(x)) / x + 1 for 0 <= x <= 3.95 */
static const float f_erf[] = {-0x1.06ebaap-3f, -0x1.45f2fap-1f,  -0x1.a4f94ep-4f,
                              0x1.39c02cp-6f,  0x1.5c05dap-13f,  -0x1.b66caap-10f,
                              0x1.4d40ep-11f,  -0x1.f09d48p-14f, 0x1.395944p-17f};

/* (asin(s)/s - 1) / s^2 in s^2, for |s| <= 1/2 */
static const float f_asin[] = {0x1.5555cap-3f, 0x1.33016ap-4f, 0x1.748a2cp-5f, 0x1.8bb536p-6f,
                               0x1.59cc92p-5f};

/* (atan(s)/s - 1) / s^2 in s^2, for |s| <= 1 */
static const float f_atan[] = {-0x1.55554p-2f,  0x1.999268p-3f,  -0x1.242658p-3f,
                               0x1.c0cbc6p-4f,  -0x1.58c856p-4f, 0x1.dcc8e2p-5f,
                               -0x1.016902p-5f, 0x1.69f6b2p-7f,  -0x1.ddeb2ep-10f};

/* Horner, from the last coefficient. */
static V poly(SxTable *t, V x, const float *c, int n)
{
    V r = K(c[n - 1]);

    for (int i = n - 2; i >= 0; i--) {
        r = MAD(r, x, K(c[i]));
    }
    return r;
}

/* x = k ln(2) + r: k as a float, and k + 254 in the low bits of `shifted`. */
typedef struct Reduced {
    V k, shifted, r;
} Reduced;

/* x - k ln(2): k times the 15 bits of the first part is exact, fused or not. */
static V reduced(SxTable *t, V x, V k)
{
    return MAD(k, K(-0x1.7f7d1cp-20), MAD(k, K(-0x1.62e4p-1), x));
}

static Reduced reduce(SxTable *t, V x)
{
    V shifted = MAD(x, K(0x1.715476p+0), MAGIC), k = SUB(shifted, MAGIC);

    return (Reduced){k, BITS(shifted), reduced(t, x, k)};
}

/* e^r */
static V exp_of(SxTable *t, V r)
{
    V high = POLY(r, f_exp);

    return MAD(MAD(high, r, K(1.0)), r, K(1.0));
}

/* e^r - 1 - r, and e^r - 1 */
static V exp_tail(SxTable *t, V r)
{
    return MUL(MUL(r, r), POLY(r, f_expm1));
}

static V exp_less_1(SxTable *t, V r)
{
    return MAD(MUL(r, r), POLY(r, f_expm1), r);
}

/* v * 2^k for |k| <= 254 and v near 1. Without SCALE in two steps, as 2^128 and 2^-149 are no
 * normal floats: the low bits of `shifted` are k + 254, half of which is the exponent field of
 * 2^(k/2), and the rest that of the other factor. The first product is exact: either way there is
 * one rounding. */
static V scale(SxTable *t, V v, Reduced k, bool has_scale)
{
    V half, rest;

    if (has_scale) return sx_scale(t, v, k.k);
    half = sx_and(t, SHL(k.shifted, 22), KU(0xff800000));
    rest = SUB(SHL(k.shifted, 23), half);
    return MUL(MUL(v, OF_BITS(half)), OF_BITS(rest));
}

static V f32_exp(SxTable *t, V x, bool has_scale)
{
    Reduced k = reduce(t, MIN(MAX(x, K(-104.5)), K(89.0)));

    return scale(t, exp_of(t, k.r), k, has_scale);
}

/* 2^k (e^r - 1 + (1 - 2^-k)), the sum in two parts. */
static V f32_expm1(SxTable *t, V x, bool has_scale)
{
    Reduced k = reduce(t, MIN(MAX(x, K(-18.0)), K(89.0)));
    V down = OF_BITS(SHL(SUB(ADD(BITS(MAGIC), KU(127)), k.shifted), 23));
    V a = SUB(K(1.0), SEL(LT(k.k, K(40.0)), down, K(0.0))), s = ADD(a, k.r), b = SUB(s, a);
    V lost = ADD(SUB(a, SUB(s, b)), SUB(k.r, b));

    return COPYSIGN(scale(t, ADD(s, ADD(lost, exp_tail(t, k.r))), k, has_scale), x);
}

/* With e = e^-|x| and t = e / (1 + e): 1 - t, or e - e t where x is negative. So the roundings of
 * 1 + e and of the quotient come in with a factor below one half; e / (1 + e) alone would show both
 * in the last bits just below a power of two.
 *
 * Below 2^-125.5 it is 0: a subnormal number costs some processors 150 cycles in each product that
 * reads it, and nets that gate by sigmoids (SiLU, squeeze and excite) make many of them. So e is
 * 2 e^r times 2^(k - 1), whose exponent field is 0 for k = -126, the least one. */
static V f32_sigmoid(SxTable *t, V x)
{
    V magic = K(0x1.8p23 + 126), a = MAX(NEG(ABS(x)), K(-87.6));
    V shifted = MAD(a, K(0x1.715476p+0), magic), k = SUB(shifted, magic);
    V r = reduced(t, a, k), power = OF_BITS(SHL(BITS(shifted), 23));
    V e = MUL(MAD(MAD(POLY(r, f_exp_twice), r, K(2.0)), r, K(2.0)), power);
    V q = DIV(e, ADD(K(1.0), e)), n = SEL(LT(x, K(0.0)), e, K(1.0));

    return MAD(NEG(n), q, n);
}

/* h = (e^2a - 1) / 2 and 2^k for a = k ln(2)/2 + r. tanh a is h / (1 + h): 1 - 1 / (1 + h) from
 * tanh a = 1/2 on, h - h (h / (1 + h)) below, which is n - n (n / (1 + h)) either way. */
static V f32_tanh(SxTable *t, V x)
{
    V a = MIN(ABS(x), K(10.0)), near = K(0x1.8p23 + 127);
    V shifted = MAD(a, K(0x1.715476p+1), near), k = SUB(shifted, near);
    V r = MAD(k, K(-0x1.62e43p-2), a); /* off by k 2^-30: least where tanh a is not nearly 1 */
    V s = MAD(MUL(r, r), POLY(r, f_tanh), r), power = OF_BITS(SHL(BITS(shifted), 23));
    V h = MAD(power, s, MAD(power, K(0.5), K(-0.5)));
    V n = SEL(LT(a, K(0.5493)), h, K(1.0));

    return COPYSIGN(MAD(NEG(n), DIV(n, ADD(K(1.0), h)), n), x);
}

/* erf a = 1 - e^y with y = log(erfc a), which is -a and a little: no rounding of the polynomial is
 * seen near 0. */
static V f32_erf(SxTable *t, V x)
{
    V a = MIN(ABS(x), K(3.95)), y = MAD(a, POLY(a, f_erf), NEG(a)), near = K(0x1.8p23 + 127);
    V shifted = MAD(y, K(0x1.715476p+0), near), k = SUB(shifted, near);
    V r = MAD(k, K(-0x1.62e43p-1), y); /* off by k 2^-29, of e^y, which is nearly 0 for large k */
    V power = OF_BITS(SHL(BITS(shifted), 23));

    return COPYSIGN(MAD(power, exp_less_1(t, r), SUB(power, K(1.0))), x);
}

/* x = 2^k (1 + f), f from sqrt(1/2) - 1 to sqrt(2) - 1; x is positive and normal. */
static void split(SxTable *t, V x, V *k, V *f)
{
    const uint32_t root = 0x3f3504f3; /* sqrt(1/2) */
    V at = SHR(ADD(SUB(BITS(x), KU(root)), KU(128u << 23)), 23);
    V power = SHL(SUB(at, KU(128)), 23);

    *k = SUB(OF_BITS(sx_or(t, at, KU(0x4b000000))), K(0x1p23 + 128));
    *f = SUB(OF_BITS(SUB(BITS(x), power)), K(1.0));
}

/* log(2^k (1 + f)) + c */
static V log_of(SxTable *t, V k, V f, V c)
{
    V z = MUL(f, f), low = MAD(k, K(0x1.7f7d1cp-20), c);
    V r = MAD(MUL(z, f), POLY(f, f_log), low);

    r = ADD(f, MAD(z, K(-0.5), r));
    return MAD(k, K(0x1.62e4p-1), r);
}

static V log_edges(SxTable *t, V x, V r)
{
    r = SEL(LT(x, INF), r, x); /* infinity, NaN */
    r = SEL(EQ(x, K(0.0)), NEG(INF), r);
    return SEL(LT(x, K(0.0)), K(__builtin_nan("")), r);
}

static V f32_log(SxTable *t, V x)
{
    V tiny = LT(x, K(0x1p-126)), k, f;

    split(t, SEL(tiny, MUL(x, K(0x1p24)), x), &k, &f);
    k = SUB(k, SEL(tiny, K(24.0), K(0.0)));
    return log_edges(t, x, log_of(t, k, f, K(0.0)));
}

/* What 1 + x loses, over it, is added to the logarithm. */
static V f32_log1p(SxTable *t, V x)
{
    V u = ADD(K(1.0), x), b = SUB(u, K(1.0)), lost = ADD(SUB(K(1.0), SUB(u, b)), SUB(x, b)), k, f,
      r;

    split(t, u, &k, &f);
    r = log_of(t, k, f, DIV(lost, u));
    r = SEL(LT(ABS(x), K(0x1p-13)), MAD(MUL(x, x), K(-0.5), x), r);
    return SEL(LT(K(-1.0), x), SEL(LT(x, INF), r, x), log_edges(t, u, r));
}

#define HALF_PI     K(0x1.921fb6p+0)
#define HALF_PI_LOW K(-0x1.777a5cp-25)

/* c + low + s + s z p, |s| < |c| or c = 0, the last term small; what c + s loses comes in with it.
 */
static V arc(SxTable *t, V c, V low, V s, V z, V p)
{
    V sum = ADD(c, s), lost = ADD(SUB(c, sum), s);

    return ADD(sum, MAD(MUL(s, z), p, ADD(low, lost)));
}

/* From 1/2 on, asin a = pi/2 - 2 asin sqrt((1 - a) / 2), where 1 - a is exact; beyond 1 NaN. */
static V half_angle(SxTable *t, V a, V big, V *z)
{
    *z = SEL(big, MAD(a, K(-0.5), K(0.5)), MUL(a, a));
    return SEL(big, SQRT(*z), a);
}

static V f32_asin(SxTable *t, V x)
{
    V a = ABS(x), big = LT(K(0.5), a), z, s = half_angle(t, a, big, &z);
    V c = SEL(big, HALF_PI, K(0.0)), low = SEL(big, HALF_PI_LOW, K(0.0));

    s = MUL(s, SEL(big, K(-2.0), K(1.0)));
    return COPYSIGN(arc(t, c, low, s, z, POLY(z, f_asin)), x);
}

/* pi/2 - asin x; above 1/2 the halves of pi cancel, below -1/2 they add up. */
static V f32_acos(SxTable *t, V x)
{
    V a = ABS(x), big = LT(K(0.5), a), z, s = half_angle(t, a, big, &z);
    V down = LT(x, K(0.0)), halves = SEL(big, SEL(down, K(2.0), K(0.0)), K(1.0));

    s = MUL(s, SEL(big, SEL(down, K(-2.0), K(2.0)), SEL(down, K(1.0), K(-1.0))));
    return arc(t, MUL(halves, HALF_PI), MUL(halves, HALF_PI_LOW), s, z, POLY(z, f_asin));
}

/* Beyond 1, pi/2 - atan 1/a. */
static V f32_atan(SxTable *t, V x)
{
    V a = ABS(x), big = LT(K(1.0), a), s = SEL(big, DIV(K(-1.0), a), a), z = MUL(s, s);
    V c = SEL(big, HALF_PI, K(0.0)), low = SEL(big, HALF_PI_LOW, K(0.0));

    return COPYSIGN(arc(t, c, low, s, z, POLY(z, f_atan)), x);
}

/* (sin(r) - r) / r^3 and (cos(r) - 1 + r^2/2) / r^4 in r^2, for |r| <= pi/4 */
static const float f_sin[] = {-0x1.555546p-3f, 0x1.11077cp-7f, -0x1.9955b6p-13f};
static const float f_cos[] = {0x1.55554ap-5f, -0x1.6c0c28p-10f, 0x1.99e80cp-16f};

/* Angles below this are reduced in f32: the quotient by pi/2 has 13 bits. */
#define NEAR_ANGLE 0x1p13

/* pi/2 in three parts of 11 bits, whose products with that are exact, and a rest. */
#define QUARTER_1 K(0x1.92p+0)
#define QUARTER_2 K(0x1.fb4p-12)
#define QUARTER_3 K(0x1.444p-24)
#define QUARTER_4 K(0x1.68c234p-39)

/* sin and cos of |x| below NEAR_ANGLE = k pi/2 + r + low. The first two differences are exact,
 * and the third where it is small. */
static V near_circle(SxTable *t, SxOp op, V x)
{
    V shifted = MAD(ABS(x), K(0x1.45f306p-1), K(0x1.8p23)), k = SUB(shifted, K(0x1.8p23));
    V most = MAD(k, NEG(QUARTER_2), MAD(k, NEG(QUARTER_1), ABS(x))), third = MUL(k, QUARTER_3);
    V less = SUB(most, third), rest = MAD(k, NEG(QUARTER_4), SUB(SUB(most, less), third));
    V r = ADD(less, rest), low = SUB(rest, SUB(r, less)), z = MUL(r, r), half = MUL(z, K(0.5));
    V s = ADD(r, MAD(MUL(z, r), POLY(z, f_sin), low));
    V one = SUB(K(1.0), half), lost = SUB(SUB(K(1.0), one), half);
    V c = ADD(one, ADD(lost, MAD(MUL(z, z), POLY(z, f_cos), NEG(MUL(r, low)))));
    V q = BITS(shifted);

    if (op == SX_COS) q = sx_add(t, q, KU(1));
    V odd = sx_ne(t, sx_and(t, q, KU(1)), KU(0));
    q = sx_and(t, SHL(q, 30), KU(0x80000000)); /* the second half of the circle */
    if (op == SX_SIN) q = sx_xor(t, q, sx_and(t, BITS(x), KU(0x80000000)));
    return OF_BITS(sx_xor(t, BITS(SEL(odd, c, s)), q));
}

static V f32_circle(SxTable *t, SxOp op, V x)
{
    return MOSTLY(LT(ABS(x), K(NEAR_ANGLE)), near_circle(t, op, x), sx_circle_f32(t, op, x));
}

/* |x| mod |y| in f64, some bits of the quotient at a time, the highest first:
 *
 *     d = |y| 2^k;  r = r - rint(r / d) d        for k = ..., 2 STEP, STEP, 0
 *
 * What is left is a multiple of the unit of x or y and at most 3/4 d either way, since r / d is
 * below 2^STEP and its error, of two roundings, below 1/4: hence it is exact, as one fused
 * operation for any whole number, as two while that has 29 bits. Where d is beyond r, nothing
 * happens: 2^277 is above all quotients. */
static V far_fmod(SxTable *t, V a, V b, bool fused)
{
    enum { MOST_BITS = 277 };
    const int step = fused ? 48 : 28;
    V x = ABS(a), y = ABS(b), zero = sx_const(t, DT_F64, 0);
    V r = sx_cast(t, x, DT_F64), least = sx_cast(t, y, DT_F64);
    V inverse = DIV(sx_const(t, DT_F64, 1), least);

    for (int k = (MOST_BITS - 1) / step * step; k >= 0; k -= step) {
        V quotient = MUL(r, MUL(inverse, sx_const(t, DT_F64, ldexp(1, -k))));
        r = MAD(NEG(sx_rint(t, quotient)), MUL(least, sx_const(t, DT_F64, ldexp(1, k))), r);
    }
    r = SEL(LT(r, zero), ADD(r, least), r);
    V result = SEL(LT(x, y), a, COPYSIGN(sx_cast(t, r, DT_F32), a));
    V valid = sx_and(t, sx_and(t, LT(x, INF), EQ(b, b)), sx_ne(t, b, K(0.0)));
    return SEL(valid, result, K(__builtin_nan("")));
}

/* Of a quotient below 2^24, which is known but for its rounding up to a whole number: |x| less that
 * many |y| is exact as one operation, and so is a |y| more. */
static V f32_fmod(SxTable *t, V a, V b, bool fused)
{
    V x = ABS(a), y = ABS(b), quotient = DIV(x, y), r, far = far_fmod(t, a, b, fused);

    if (!fused) return far;
    r = MAD(NEG(sx_trunc(t, quotient)), y, x);
    r = SEL(LT(r, K(0.0)), ADD(r, y), r);
    V near = sx_and(t, LT(quotient, K(0x1p24)), EQ(r, r)); /* and not 0 times infinity */
    return MOSTLY(near, COPYSIGN(r, a), far);
}

/* Through f64, where the product is exact. */
const Sx *sx_scale_f32(SxTable *t, const Sx *a, const Sx *b)
{
    V n = MIN(MAX(sx_floor(t, b), K(-400.0)), K(400.0)), wide = sx_cast(t, n, DT_F64);
    V field = sx_bitcast(t, ADD(wide, sx_const(t, DT_F64, 0x1.8p52 + 1023)), DT_U64);
    V power = sx_bitcast(t, sx_shl(t, field, sx_const_bits(t, DT_U64, 52)), DT_F64);

    power = SEL(EQ(b, INF), sx_const(t, DT_F64, __builtin_inf()), power);
    power = SEL(EQ(b, NEG(INF)), sx_const(t, DT_F64, 0.0), power);
    a = sx_cast(t, MUL(sx_cast(t, a, DT_F64), power), DT_F32);
    return SEL(EQ(b, b), a, b);
}

const Sx *sx_math_f32(SxTable *t, SxOp op, const Sx *a, const Sx *b, SxHas has)
{
    switch ((int)op) {
    case SX_EXP:
        return f32_exp(t, a, has.scale);
    case SX_EXPM1:
        return f32_expm1(t, a, has.scale);
    case SX_SIGMOID:
        return f32_sigmoid(t, a);
    case SX_TANH:
        return f32_tanh(t, a);
    case SX_ERF:
        return f32_erf(t, a);
    case SX_LOG:
        return f32_log(t, a);
    case SX_LOG1P:
        return f32_log1p(t, a);
    case SX_ASIN:
        return f32_asin(t, a);
    case SX_ACOS:
        return f32_acos(t, a);
    case SX_ATAN:
        return f32_atan(t, a);
    case SX_SIN:
    case SX_COS:
        return f32_circle(t, op, a);
    case SX_TAN:
        return sx_circle_f32(t, op, a);
    case SX_POW:
        return sx_pow_f32(t, a, b);
    case SX_REM:
        return f32_fmod(t, a, b, has.fma);
    default:
        return sx_cast(t, sx_math_f64(t, op, sx_cast(t, a, DT_F64), NULL), DT_F32);
    }
}
