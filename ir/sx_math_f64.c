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
