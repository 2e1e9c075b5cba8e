/* sx_math_f32.c: mathematics on f32, at most 2 ulp with fused multiply-adds and without.
 *
 * What models compute by the million has f32 algorithms of its own here: exponentials, logarithms,
 * erf. They follow math_f64.inc, with shorter polynomials (fitted the same way) and fewer
 * safeguards. The others go by way of f64, which costs twice the lanes and leaves half an ulp. */
#include "ir/sx_impl.h"
#include "ir/sx_math.h"

typedef const Sx *V;

#define K(c)           sx_const(t, DT_F32, (double)(c))
#define KU(c)          sx_const_bits(t, DT_U32, c)
#define ADD(a, b)      sx_add(t, a, b)
#define SUB(a, b)      sx_sub(t, a, b)
#define MUL(a, b)      sx_mul(t, a, b)
#define DIV(a, b)      sx_div(t, a, b)
#define MAD(a, b, c)   sx_fma(t, a, b, c)
#define ABS(a)         sx_abs(t, a)
#define NEG(a)         sx_neg(t, a)
#define COPYSIGN(a, b) sx_copysign(t, a, b)
#define MIN(a, b)      sx_min(t, a, b)
#define MAX(a, b)      sx_max(t, a, b)
#define LT(a, b)       sx_lt(t, a, b)
#define EQ(a, b)       sx_eq(t, a, b)
#define SEL(c, a, b)   sx_select(t, c, a, b)
#define BITS(a)        sx_bitcast(t, a, DT_U32)
#define OF_BITS(u)     sx_bitcast(t, u, DT_F32)
#define SHL(u, n)      sx_shl(t, u, KU(n))
#define SHR(u, n)      sx_shr(t, u, KU(n))
#define POLY(x, c)     poly(t, x, c, (int)(sizeof(c) / sizeof *(c)))
#define INF            K(__builtin_inf())
#define MAGIC          K(0x1.8p23 + 254)

/* (exp(r) - 1 - r) / r^2 for |r| <= ln(2)/2 */
static const float f_exp[] = {0x1p-1f,       0x1.555556p-3f,  0x1.5554eap-5f,
                              0x1.1110ep-7f, 0x1.6d4324p-10f, 0x1.a124f2p-13f};

/* (log(1 + f) - f + f^2/2) / f^3 for 1/sqrt(2) <= 1 + f <= sqrt(2) */
static const float f_log[] = {0x1.555554p-2f,  -0x1.fffffcp-3f, 0x1.999d5ap-3f,
                              -0x1.555b4ap-3f, 0x1.23d21ap-3f,  -0x1.fcf4c6p-4f,
                              0x1.dea282p-4f,  -0x1.d635bcp-4f, 0x1.1d8ea6p-4f};

/* (tanh(x)/x - 1) / x^2 in x^2, for |x| <= 5/8 */
static const float f_tanh[] = {-0x1.555552p-2f, 0x1.110e1cp-3f, -0x1.b9258ap-5f, 0x1.58048ep-6f,
                               -0x1.8f8de4p-8f};

/* erf(x)/x - 1 in x^2, for |x| <= 1 */
static const float f_erf[] = {0x1.06eba8p-3f, -0x1.81273ep-2f,  0x1.ce2d1p-4f, -0x1.b7fabap-6f,
                              0x1.54127p-8f,  -0x1.a45088p-11f, 0x1.4a569p-14f};

/* log(erfc(x)) for 1 <= x <= 4 */
static const float f_erfc[] = {0x1.4fb068p-12f, -0x1.2156fap+0f,  -0x1.437eb4p-1f,
                               -0x1.c2e356p-4f, 0x1.b0e246p-6f,   -0x1.37ecc6p-8f,
                               0x1.38e5e6p-11f, -0x1.825ce4p-15f, 0x1.b7783p-20f};

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

/* k times the 15 bits of the first part is exact, fused or not. */
static Reduced reduce(SxTable *t, V x)
{
    V shifted = MAD(x, K(0x1.715476p+0), MAGIC), k = SUB(shifted, MAGIC);
    V r = MAD(k, K(-0x1.7f7d1cp-20), MAD(k, K(-0x1.62e4p-1), x));

    return (Reduced){k, BITS(shifted), r};
}

/* e^r - 1 - r */
static V exp_tail(SxTable *t, V r)
{
    return MUL(MUL(r, r), POLY(r, f_exp));
}

/* v * 2^k in two steps, as 2^128 and 2^-149 are no normal floats: the low bits of `shifted` are
 * k + 254, half of which is the exponent field of 2^(k/2), and the rest that of the other factor.
 */
static V scale(SxTable *t, V v, V shifted)
{
    V half = sx_and(t, SHL(shifted, 22), KU(0xff800000)), rest = SUB(SHL(shifted, 23), half);

    return MUL(MUL(v, OF_BITS(half)), OF_BITS(rest));
}

/* v * 2^k for |k| < 127; by a product, which keeps NaN. */
static V scale_near(SxTable *t, V v, V shifted)
{
    return MUL(v, OF_BITS(SHL(SUB(shifted, KU(127)), 23)));
}

static V f32_exp(SxTable *t, V x)
{
    Reduced k = reduce(t, MIN(MAX(x, K(-104.5)), K(89.0)));

    return scale(t, ADD(K(1.0), ADD(k.r, exp_tail(t, k.r))), k.shifted);
}

/* e^x for |x| <= 60 */
static V exp_near(SxTable *t, V x)
{
    Reduced k = reduce(t, x);

    return scale_near(t, ADD(K(1.0), ADD(k.r, exp_tail(t, k.r))), k.shifted);
}

/* 2^k (e^r - 1 + (1 - 2^-k)), the sum in two parts. */
static V f32_expm1(SxTable *t, V x)
{
    Reduced k = reduce(t, MIN(MAX(x, K(-18.0)), K(89.0)));
    V down = OF_BITS(SHL(SUB(ADD(BITS(MAGIC), KU(127)), k.shifted), 23));
    V a = SUB(K(1.0), SEL(LT(k.k, K(40.0)), down, K(0.0))), s = ADD(a, k.r), b = SUB(s, a);
    V lost = ADD(SUB(a, SUB(s, b)), SUB(k.r, b));

    return COPYSIGN(scale(t, ADD(s, ADD(lost, exp_tail(t, k.r))), k.shifted), x);
}

/* q = e / (1 + e) or 1 / (1 + e) with e = e^-|x|. What the roundings of e and 1 + e lost is brought
 * back: the last bits of a quotient just below a power of two show every one of them twice. */
static V f32_sigmoid(SxTable *t, V x)
{
    V negative = LT(x, K(0.0)), one = K(1.0);
    Reduced k = reduce(t, MAX(NEG(ABS(x)), K(-104.5)));
    V s = ADD(k.r, exp_tail(t, k.r)), y = ADD(one, s), y_lost = SUB(s, SUB(y, one));
    V e = scale(t, y, k.shifted), e_lost = scale(t, y_lost, k.shifted), d = ADD(one, e);
    V d_lost = ADD(SUB(e, SUB(d, one)), e_lost), q = DIV(SEL(negative, e, one), d);
    V inverse = SEL(negative, SUB(one, q), q), lost = SEL(negative, e_lost, K(0.0));

    return MAD(SUB(lost, MUL(q, d_lost)), inverse, q);
}

/* 1 - 2 / (e^2x + 1); near 0 a polynomial. */
static V f32_tanh(SxTable *t, V x)
{
    V a = MIN(ABS(x), K(10.0)), z = MUL(a, a), e = exp_near(t, ADD(a, a));
    V far = SUB(K(1.0), DIV(K(2.0), ADD(e, K(1.0))));
    V near = MAD(MUL(a, z), POLY(z, f_tanh), a);

    return COPYSIGN(SEL(LT(a, K(0.625)), near, far), x);
}

/* erf x = 1 - e^log(erfc x); near 0 a polynomial. */
static V f32_erf(SxTable *t, V x)
{
    V a = MIN(ABS(x), K(4.0)), z = MUL(a, a);
    V far = SUB(K(1.0), exp_near(t, POLY(MAX(a, K(1.0)), f_erfc)));
    V near = MAD(a, POLY(z, f_erf), a);

    return COPYSIGN(SEL(LT(a, K(1.0)), near, far), x);
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

/* m 2^e mod n 2^f, m and n of 24 bits: 40 bits of 2^(e - f) at a time in 64. */
const Sx *sx_fmod_f32(SxTable *t, const Sx *a, const Sx *b)
{
#define W(c) sx_const_bits(t, DT_U64, c)
    V zero = W(0), m[2], e[2], x[2] = {ABS(a), ABS(b)};

    for (int i = 0; i < 2; i++) {
        V bits = sx_cast(t, BITS(x[i]), DT_U64), field = sx_shr(t, bits, W(23));
        V fraction = sx_and(t, bits, W(0x7fffff)), normal = sx_ne(t, field, zero);
        e[i] = SEL(normal, field, W(1));
        m[i] = SEL(normal, sx_or(t, fraction, W(0x800000)), fraction);
    }
    V left = SEL(LT(e[1], e[0]), SUB(e[0], e[1]), zero), r = sx_rem(t, m[0], m[1]);
    for (int i = 0; i < 7; i++) { /* 7 * 40 > 253 */
        V step = MIN(left, W(40));
        r = sx_rem(t, sx_shl(t, r, step), m[1]);
        left = SUB(left, step);
    }
    /* Through f64, where no power of two from 2^-149 on is subnormal. */
    V wide = SUB(sx_bitcast(t, sx_or(t, r, W(0x4330000000000000u)), DT_F64),
                 sx_const(t, DT_F64, 0x1p52));
    V unit = sx_bitcast(t, sx_shl(t, ADD(e[1], W(1023 - 150)), W(52)), DT_F64);
    V result = SEL(LT(x[0], x[1]), a, COPYSIGN(sx_cast(t, MUL(wide, unit), DT_F32), a));
    V valid = sx_and(t, sx_and(t, LT(x[0], INF), EQ(b, b)), sx_ne(t, b, K(0.0)));
    return SEL(valid, result, K(__builtin_nan("")));
#undef W
}

const Sx *sx_math_f32(SxTable *t, SxOp op, const Sx *a, const Sx *b)
{
    switch ((int)op) {
    case SX_EXP:
        return f32_exp(t, a);
    case SX_EXPM1:
        return f32_expm1(t, a);
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
    case SX_SIN:
    case SX_COS:
    case SX_TAN:
        return sx_circle_f32(t, op, a);
    case SX_POW:
        return sx_pow_f32(t, a, b);
    case SX_REM:
        return sx_fmod_f32(t, a, b);
    default:
        return sx_cast(t, sx_math_f64(t, op, sx_cast(t, a, DT_F64), NULL), DT_F32);
    }
}
