/* sx_math_f64.c: math_f64.inc as scalar expressions of f64, and fmod. */
#include "ir/sx_impl.h"
#include "ir/sx_math.h"

typedef const Sx *V;
typedef const Sx *U;
typedef const Sx *B;

#define FN             __attribute__((unused)) static
#define CX             SxTable *table,
#define CA             table,
#define K(c)           sx_const(table, DT_F64, c)
#define KU(c)          sx_const_bits(table, DT_U64, c)
#define ADD(a, b)      sx_add(table, a, b)
#define SUB(a, b)      sx_sub(table, a, b)
#define MUL(a, b)      sx_mul(table, a, b)
#define DIV(a, b)      sx_div(table, a, b)
#define MAD(a, b, c)   sx_fma(table, a, b, c)
#define SQRT(a)        sx_sqrt(table, a)
#define TRUNC(a)       sx_trunc(table, a)
#define ABS(a)         sx_abs(table, a)
#define NEG(a)         sx_neg(table, a)
#define COPYSIGN(a, b) sx_copysign(table, a, b)
#define MIN(a, b)      sx_min(table, a, b)
#define MAX(a, b)      sx_max(table, a, b)
#define LT(a, b)       sx_lt(table, a, b)
#define EQ(a, b)       sx_eq(table, a, b)
#define NE(a, b)       sx_ne(table, a, b)
#define UEQ(a, b)      sx_eq(table, a, b)
#define BAND(a, b)     sx_and(table, a, b)
#define BOR(a, b)      sx_or(table, a, b)
#define BNOT(a)        sx_not(table, a)
#define SEL(c, a, b)   sx_select(table, c, a, b)
#define SELU(c, a, b)  sx_select(table, c, a, b)
#define BITS(a)        sx_bitcast(table, a, DT_U64)
#define OF_BITS(u)     sx_bitcast(table, u, DT_F64)
#define UADD(a, b)     sx_add(table, a, b)
#define USUB(a, b)     sx_sub(table, a, b)
#define UMUL(a, b)     sx_mul(table, a, b)
#define UAND(a, b)     sx_and(table, a, b)
#define UOR(a, b)      sx_or(table, a, b)
#define UXOR(a, b)     sx_xor(table, a, b)
#define USHL(a, n)     sx_shl(table, a, n)
#define USHR(a, n)     sx_shr(table, a, n)
#define LIMBS(w, j)                                                                                \
    sx_limbs(table, two_over_pi, (int)(sizeof two_over_pi / sizeof *two_over_pi), j, 6, 7, w)

#include "ir/math_f64.inc"

/* Halving: bit by bit of `at`, from the highest, choose between the table and the table moved down
 * by 2^bit; of what is left only the first n + 2^bit - 1 can still be asked for. */
void sx_limbs(SxTable *table, const uint32_t *limb, int n_limb, const Sx *at, int bits, int n,
              const Sx **w)
{
    const Sx *row[128];
    int width = n + (1 << bits) - 1;

    for (int i = 0; i < width; i++) {
        row[i] = KU(i < n_limb ? limb[i] : 0);
    }
    for (int bit = bits - 1; bit >= 0; bit--) {
        const Sx *set = sx_ne(table, UAND(at, KU((uint64_t)1 << bit)), KU(0));
        width -= 1 << bit;
        for (int i = 0; i < width; i++) {
            row[i] = SEL(set, row[i + (1 << bit)], row[i]);
        }
    }
    for (int i = 0; i < n; i++) {
        w[i] = row[i];
    }
}

/* fmod: |a| = m 2^e, |b| = n 2^f with whole m, n < 2^53; the remainder is (m 2^(e - f) mod n) 2^f.
 * 2^(e - f) mod n by squaring, each product modulo n in doubles, exactly. */

/* a * b mod n for whole 0 <= a, b < n < 2^53. The nearest quotient leaves a remainder of at most n
 * either way, so that both differences and their sum are exact. */
static V mul_mod(CX V a, V b, V n)
{
    M2 p = m_prod(CA a, b), qn;
    V q = sx_rint(table, DIV(p.hi, n)), r;

    qn = m_prod(CA q, n);
    r = ADD(SUB(p.hi, qn.hi), SUB(p.lo, qn.lo));
    r = SEL(LT(r, K(0.0)), ADD(r, n), r);
    return SEL(LT(r, n), r, SUB(r, n));
}

/* The whole number m of |x| = m 2^(e - 1075), and e; of a subnormal as well. */
static V whole(CX V x, U *e)
{
    U bits = SHR(SHL(BITS(x), 1), 1), field = SHR(bits, 52);
    B normal = sx_ne(table, field, KU(0));

    *e = SEL(normal, field, KU(1));
    bits = UAND(bits, KU(0xfffffffffffffu));
    return ADD(m_of_u52(CA bits), SEL(normal, K(0x1p52), K(0.0)));
}

const Sx *sx_fmod_f64(SxTable *table, const Sx *a, const Sx *b)
{
    U ea, eb;
    V m = whole(CA a, &ea), n = whole(CA b, &eb), power = SEL(LT(K(1.0), n), K(1.0), K(0.0));
    B larger = LT(eb, ea);
    U k = SEL(larger, USUB(ea, eb), KU(0));

    for (int bit = 10; bit >= 0; bit--) {
        V twice;
        power = bit < 10 ? mul_mod(CA power, power, n) : power;
        twice = ADD(power, power);
        twice = SEL(LT(twice, n), twice, SUB(twice, n));
        power = SEL(sx_ne(table, UAND(k, KU((uint64_t)1 << bit)), KU(0)), twice, power);
    }
    V first = SUB(m, MUL(n, TRUNC(DIV(m, n)))); /* the quotient cannot round up: 1/n > m/n 2^-53 */
    V r = mul_mod(CA first, power, n);
    /* Back to a double: r is whole and below 2^53, 2^(eb - 1075) in two exact steps. */
    U half = SHR(eb, 1);
    r = MUL(r, OF_BITS(SHL(UADD(half, KU(1023 - 537)), 52)));
    r = MUL(r, OF_BITS(SHL(UADD(USUB(eb, half), KU(1023 - 538)), 52)));
    r = COPYSIGN(r, a);
    r = SEL(LT(ABS(a), ABS(b)), a, r);
    B valid = BAND(BAND(LT(ABS(a), INF), EQ(b, b)), NE(b, K(0.0)));
    return SEL(valid, r, NOT_A_NUMBER);
}

/* Functions of f32 that need less than f64 offers. */

/* sin and cos of |r| <= pi/4, errors below 2^-34 and 2^-32. */
static const double f_sin[] = {-0x1.555555545dd83p-3, 0x1.11110deeb33b2p-7, -0x1.a013a6edc8f34p-13,
                               0x1.6dbdd26f56d2dp-19};
static const double f_cos[] = {0x1.ffffffff976b4p-1, -0x1.ffffffbdc7be0p-2, 0x1.55553a7cd578cp-5,
                               -0x1.6c078282e149cp-10, 0x1.990637e5c216cp-16};

/* As m_circle, for a mantissa of 24 bits: three limbs of 2/pi, and 62 bits of the fraction. */
static MCircle circle_f32(CX V x32)
{
    V big = MAX(ABS(x32), sx_const(table, DT_F32, 0.5)), a = sx_cast(table, ABS(x32), DT_F64);
    U bits = sx_cast(table, sx_bitcast(table, big, DT_U32), DT_U64), w[4];
    U at = USUB(SHR(bits, 23), KU(150 - 62)), shift = UAND(at, KU(31));
    U m = UOR(UAND(bits, KU(0x7fffff)), KU(0x800000));

    sx_limbs(table, two_over_pi, 12, SHR(at, 5), 3, 4, w);
    for (int i = 0; i < 3; i++) {
        w[i] = m_low32(CA USHR(UOR(SHL(w[i], 32), w[i + 1]), USUB(KU(32), shift)));
    }
    U low = SHR(UMUL(m, w[2]), 32), mid = UADD(UMUL(m, w[1]), low);
    U p = UADD(SHL(UADD(UMUL(m, w[0]), SHR(mid, 32)), 32), m_low32(CA mid));
    U f = SHL(p, 2), up = SHR(f, 63), g = UXOR(f, USUB(KU(0), up));
    V v = MAD(m_of_u52(CA SHR(g, 32)), K(0x1p-32), MUL(m_of_u52(CA m_low32(CA g)), K(0x1p-64)));
    B small = LT(a, K(0x1.921fb54442d18p-1));
    V r = m_flip(CA MUL(v, K(0x1.921fb54442d18p+0)), up);
    return (MCircle){SEL(small, a, r), K(0.0),
                     UAND(UADD(SHR(p, 62), up), SELU(small, KU(0), KU(3)))};
}

const Sx *sx_circle_f32(SxTable *table, SxOp op, const Sx *a)
{
    MCircle c = circle_f32(CA a);
    U q = op == SX_COS ? UADD(c.q, KU(1)) : c.q, odd = UAND(q, KU(1)), flip;
    U sign = sx_cast(table,
                     sx_shr(table, sx_bitcast(table, a, DT_U32), sx_const_bits(table, DT_U32, 31)),
                     DT_U64);
    V z = MUL(c.r, c.r), s = MAD(MUL(c.r, z), POLY(z, f_sin), c.r), k = POLY(z, f_cos), v;
    B swap = UEQ(odd, KU(1));

    if (op == SX_TAN) {
        v = DIV(SEL(swap, k, s), SEL(swap, s, k));
        flip = UXOR(odd, sign);
    } else {
        v = SEL(swap, k, s);
        flip = UAND(SHR(q, 1), KU(1));
        if (op == SX_SIN) flip = UXOR(flip, sign);
    }
    B finite = LT(ABS(a), sx_const(table, DT_F32, __builtin_inf()));
    return sx_cast(table, SEL(finite, m_flip(CA v, flip), NOT_A_NUMBER), DT_F32);
}

const Sx *sx_pow_f32(SxTable *table, const Sx *a, const Sx *b)
{
    V x = sx_cast(table, a, DT_F64), y = sx_cast(table, b, DT_F64), l = m_log(CA ABS(x));

    return sx_cast(table, m_pow_edges(CA x, y, m_exp_of(CA MUL(y, l), K(0.0), 0)), DT_F32);
}

const Sx *sx_math_f64(SxTable *table, SxOp op, const Sx *a, const Sx *b)
{
    switch ((int)op) {
    case SX_EXP:
        return m_exp(table, a);
    case SX_LOG:
        return m_log(table, a);
    case SX_EXPM1:
        return m_expm1(table, a);
    case SX_LOG1P:
        return m_log1p(table, a);
    case SX_SIN:
        return m_sin(table, a);
    case SX_COS:
        return m_cos(table, a);
    case SX_TAN:
        return m_tan(table, a);
    case SX_ASIN:
        return m_asin(table, a);
    case SX_ACOS:
        return m_acos(table, a);
    case SX_ATAN:
        return m_atan(table, a);
    case SX_SINH:
        return m_sinh(table, a);
    case SX_COSH:
        return m_cosh(table, a);
    case SX_TANH:
        return m_tanh(table, a);
    case SX_ASINH:
        return m_asinh(table, a);
    case SX_ACOSH:
        return m_acosh(table, a);
    case SX_ATANH:
        return m_atanh(table, a);
    case SX_ERF:
        return m_erf(table, a);
    case SX_POW:
        return m_pow(table, a, b);
    case SX_SIGMOID:
        return m_sigmoid(table, a);
    case SX_REM:
        return sx_fmod_f64(table, a, b);
    default:
        return NULL; /* sx_expand asks for no other */
    }
}
