/* Scalar expressions: interning, exact simplification, constants, rewriting, linear forms, ranges,
 * values. */
#include "ir/sx.h"
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "check.h"
#include "ir/sx_math.h"

static Arena *arena;
static DimTable dims;
static SxTable t;

static const Sx *c64(int64_t v)
{
    return sx_const_int(&t, DT_I64, v);
}

static const Sx *f32(double v)
{
    return sx_const(&t, DT_F32, v);
}

static void test_interning(void)
{
    const Sx *i = sx_index(&t, 0), *j = sx_index(&t, 1);

    CHECK(sx_index(&t, 0) == i && i != j);
    CHECK(sx_add(&t, i, j) == sx_add(&t, i, j));
    CHECK(sx_const(&t, DT_F32, 0.0) != sx_const(&t, DT_F32, -0.0));
    CHECK(sx_const(&t, DT_F32, 1.0) != sx_const(&t, DT_F64, 1.0));
    CHECK(sx_load(&t, DT_F32, 0, 1, &i, NULL) != sx_load_flat(&t, DT_F32, 0, i, NULL));
    CHECK(sx_load(&t, DT_F32, 0, 1, &i, NULL) != sx_load(&t, DT_F32, 1, 1, &i, NULL));
    CHECK(sx_load(&t, DT_F32, 0, 1, &i, sx_const_int(&t, DT_BOOL, 1)) ==
          sx_load(&t, DT_F32, 0, 1, &i, NULL));
    for (int k = 0; k < 5000; k++) {
        (void)sx_add(&t, i, c64(k + 7));
    }
    CHECK(sx_add(&t, i, c64(777)) == sx_add(&t, i, c64(777)));
}

static void test_integer_rules(void)
{
    const Sx *i = sx_index(&t, 0), *j = sx_index(&t, 1);

    CHECK(sx_add(&t, i, c64(0)) == i);
    CHECK(sx_add(&t, c64(0), i) == i);
    CHECK(sx_mul(&t, c64(1), i) == i);
    CHECK(sx_mul(&t, i, c64(0)) == c64(0));
    CHECK(sx_sub(&t, i, i) == c64(0));
    CHECK(sx_add(&t, sx_add(&t, i, c64(3)), c64(4)) == sx_add(&t, i, c64(7)));
    CHECK(sx_add(&t, sx_add(&t, i, c64(3)), j) == sx_add(&t, sx_add(&t, i, j), c64(3)));
    CHECK(sx_sub(&t, sx_add(&t, i, j), j) == i);
    CHECK(sx_add(&t, sx_mul(&t, i, c64(3)), sx_mul(&t, i, c64(4))) == sx_mul(&t, i, c64(7)));
    CHECK(sx_sub(&t, sx_mul(&t, i, c64(4)), sx_mul(&t, i, c64(3))) == i);
    CHECK(sx_mul(&t, sx_mul(&t, i, c64(3)), c64(5)) == sx_mul(&t, i, c64(15)));
    CHECK(sx_mul(&t, sx_add(&t, i, c64(3)), c64(5)) == sx_add(&t, sx_mul(&t, i, c64(5)), c64(15)));
    CHECK(sx_div(&t, i, c64(1)) == i && sx_rem(&t, i, c64(1)) == c64(0));
    CHECK(sx_div(&t, i, c64(0)) == c64(0) && sx_rem(&t, i, c64(0)) == c64(0));
    CHECK(sx_add(&t, sx_sub(&t, c64(5), i), c64(2)) == sx_sub(&t, c64(7), i));
    CHECK(sx_sub(&t, c64(9), sx_sub(&t, c64(5), i)) == sx_add(&t, i, c64(4)));
    CHECK(sx_lt(&t, i, i) == sx_const_int(&t, DT_BOOL, 0));
    CHECK(sx_not(&t, sx_lt(&t, i, j)) == sx_le(&t, j, i));
    CHECK(sx_select(&t, sx_lt(&t, i, j), i, i) == i);
    CHECK(sx_fma(&t, i, c64(2), j) == sx_add(&t, sx_mul(&t, i, c64(2)), j));
}

static void test_float_rules(void)
{
    const Sx *i = sx_index(&t, 0), *x = sx_load(&t, DT_F32, 0, 1, &i, NULL);

    CHECK(sx_mul(&t, x, f32(1)) == x && sx_mul(&t, f32(1), x) == x);
    CHECK(sx_add(&t, x, f32(-0.0)) == x && sx_sub(&t, x, f32(0)) == x);
    CHECK(sx_add(&t, x, f32(0)) != x && sx_sub(&t, x, f32(-0.0)) != x);
    CHECK(sx_mul(&t, x, f32(0))->op == SX_MUL);
    CHECK(sx_sub(&t, x, x)->op == SX_SUB);
    CHECK(sx_eq(&t, x, x)->op == SX_EQ && sx_le(&t, x, x)->op == SX_LE);
    CHECK(sx_not(&t, sx_lt(&t, x, f32(1)))->op == SX_NOT);
    CHECK(sx_div(&t, x, f32(4)) == sx_mul(&t, x, f32(0.25)));
    CHECK(sx_div(&t, x, f32(3))->op == SX_DIV);
    CHECK(sx_div(&t, x, f32(0x1p-149))->op == SX_DIV); /* its inverse is infinite */
    CHECK(sx_neg(&t, sx_neg(&t, x)) == x);
    CHECK(sx_min(&t, f32(1), x)->arg[0] == f32(1)); /* min of floats does not commute */
}

static void test_cast_rules(void)
{
    const Sx *i = sx_index(&t, 0), *x = sx_load(&t, DT_F32, 0, 1, &i, NULL);
    const Sx *s = sx_load(&t, DT_I8, 1, 1, &i, NULL);

    CHECK(sx_cast(&t, x, DT_F32) == x);
    CHECK(sx_cast(&t, sx_cast(&t, x, DT_F64), DT_F32) == x);
    CHECK(sx_cast(&t, sx_cast(&t, x, DT_F16), DT_F32) != x);
    CHECK(sx_cast(&t, sx_cast(&t, s, DT_I64), DT_I8) == s);
    CHECK(sx_cast(&t, sx_cast(&t, i, DT_I32), DT_I16) == sx_cast(&t, i, DT_I16));
    /* -1 as f32 saturates at 0 in u8; as i8 it wraps to 255. */
    CHECK(sx_cast(&t, sx_cast(&t, s, DT_F32), DT_U8) != sx_cast(&t, s, DT_U8));
    CHECK(sx_bitcast(&t, sx_bitcast(&t, x, DT_U32), DT_F32) == x);
}

static uint64_t bits_of(const Sx *e)
{
    CHECK(e->op == SX_CONST);
    return e->bits;
}

static const Sx *ci(DType d, int64_t v)
{
    return sx_const_int(&t, d, v);
}

static void test_constants(void)
{
    double v;

    CHECK_EQ(bits_of(sx_add(&t, ci(DT_I8, 127), ci(DT_I8, 1))), -128);
    CHECK_EQ(bits_of(sx_add(&t, ci(DT_U8, 255), ci(DT_U8, 2))), 1);
    CHECK_EQ(bits_of(sx_div(&t, ci(DT_I32, INT32_MIN), ci(DT_I32, -1))), INT32_MIN);
    CHECK_EQ(bits_of(sx_rem(&t, ci(DT_I64, INT64_MIN), ci(DT_I64, -1))), 0);
    CHECK_EQ(bits_of(sx_div(&t, ci(DT_I32, -7), ci(DT_I32, 2))), -3);
    CHECK_EQ(bits_of(sx_floor_div(&t, ci(DT_I32, -7), ci(DT_I32, 2))), -4);
    CHECK_EQ(bits_of(sx_floor_mod(&t, ci(DT_I32, -7), ci(DT_I32, 2))), 1);
    CHECK_EQ(bits_of(sx_floor_mod(&t, ci(DT_I32, 7), ci(DT_I32, -2))), -1);
    CHECK_EQ(bits_of(sx_floor_div(&t, ci(DT_I32, 7), ci(DT_I32, 0))), 0);
    CHECK_EQ(bits_of(sx_floor_div(&t, ci(DT_U8, 200), ci(DT_U8, 7))), 28);
    CHECK_EQ(bits_of(sx_shl(&t, ci(DT_U32, 1), ci(DT_U32, 32))), 0);
    CHECK_EQ(bits_of(sx_shr(&t, ci(DT_I32, -5), ci(DT_I32, 99))), -1);
    CHECK_EQ(bits_of(sx_shr(&t, ci(DT_I8, -128), ci(DT_I8, -1))), -1);
    CHECK_EQ(bits_of(sx_op1(&t, SX_CTLZ, ci(DT_I16, 1))), 15);
    CHECK_EQ(bits_of(sx_op1(&t, SX_CTLZ, ci(DT_U32, 0))), 32);
    CHECK_EQ(bits_of(sx_op1(&t, SX_POPCNT, ci(DT_I16, -1))), 16);
    CHECK_EQ(bits_of(sx_cast(&t, f32(3e9), DT_I32)), INT32_MAX);
    CHECK_EQ(bits_of(sx_cast(&t, f32(-1), DT_U8)), 0);
    CHECK_EQ(bits_of(sx_cast(&t, f32(-2.9), DT_I8)), -2);
    CHECK_EQ(bits_of(sx_cast(&t, f32((double)NAN), DT_I64)), 0);
    CHECK_EQ(bits_of(sx_cast(&t, f32(0.25), DT_BOOL)), 1);
    CHECK_EQ(bits_of(sx_cast(&t, ci(DT_I64, 16777217), DT_F32)), 0x4b800000);
    CHECK_EQ(bits_of(sx_cast(&t, f32(0.1), DT_F16)), 0x2e66);
    CHECK_EQ(bits_of(sx_cast(&t, f32(1e6), DT_F16)), 0x7c00);
    /* Nearest in one step: through double it would tie and round to even. */
    CHECK_EQ(bits_of(sx_cast(&t, ci(DT_I64, ((int64_t)257 << 54) + 1), DT_BF16)), 0x5e81);
    CHECK(sx_is_const(sx_rem(&t, f32(-5.5), f32(2)), &v) && v == -1.5);
    CHECK(sx_is_const(sx_min(&t, f32(1), f32((double)NAN)), &v) && v != v);
    CHECK(sx_is_const(sx_op1(&t, SX_RINT, f32(2.5)), &v) && v == 2.0);
    CHECK(sx_is_const(sx_op1(&t, SX_FLOOR, f32(-0.5)), &v) && v == -1.0);
    CHECK(sx_is_const(sx_op1(&t, SX_CEIL, f32(-0.5)), &v) && v == 0.0 && signbit(v));
}

static uint64_t load_bits(void *context, const Sx *load, const int64_t *idx)
{
    (void)load;
    (void)idx;
    return *(const uint64_t *)context;
}

/* rint(x / by) + d; with the quotient held above a number other than 0, which NaN becomes, too. */
static const Sx *rounded_quotient(const Sx *x, double by, int d, double held)
{
    const Sx *q = sx_div(&t, x, f32(by)), *low = f32(held);

    if (held != 0) q = sx_select(&t, sx_lt(&t, low, q), q, low);
    return sx_add(&t, sx_op1(&t, SX_RINT, q), f32(d));
}

/* The same value for x, or, by v, for what is next to it. */
static void check_near(const Sx *a, const Sx *b, float x, int v)
{
    uint64_t bits = 0;
    uint32_t u;
    SxEnv env = {.index = (int64_t[]){0}, .load = load_bits, .context = &bits};

    if (v % 3) x = nextafterf(x, (float)(v % 3) * INFINITY);
    memcpy(&u, &x, sizeof u);
    bits = u;
    CHECK_EQ(sx_eval(&t, a, &env), sx_eval(&t, b, &env));
}

static void check_edges(const Sx *a, const Sx *b)
{
    static const float edge[] = {0.0f, -0.0f, INFINITY, -INFINITY, NAN, 0x1p-140f, 0x1.fffffep127f};

    for (size_t i = 0; i < sizeof edge / sizeof *edge; i++)
        check_near(a, b, edge[i], 0);
}

/* A quotient by a constant, rounded, is the same without the division: near the middle between two
 * whole numbers, of both signs, infinite, NaN, zero, too large and too small. */
static void test_rounded_quotient(double held)
{
    static const double by[] = {
        3, 0.1, -0.0377, 0.054155324, 1.9999998807907104, 0x1.fffffep-31, 0x1.8p61};
    const Sx *i = sx_index(&t, 0), *x = sx_load(&t, DT_F32, 0, 1, &i, NULL);

    for (size_t k = 0; k < sizeof by / sizeof *by; k++)
        for (int d = -1; d < 2; d++) {
            const Sx *whole = rounded_quotient(x, by[k], d, held);
            const Sx *without = sx_expand(&t, whole, (SxHas){.fma = true});

            CHECK((without == whole) == (by[k] > 0x1p60));
            check_edges(without, whole);
            for (int v = -3000; v < 3000; v++)
                check_near(without, whole, (float)((v / 3 + 0.5) * (double)(float)by[k]), v);
        }
}

/* Levels, and what dequantisation makes of them, are the same where sx_expand keeps what they come
 * from within bounds: around the least and the most, near the middle between two, and at the edges.
 */
static void test_levels(DType to, double held)
{
    static const double by[] = {1, 0.1, 0.054155324, 1.9999998807907104, 0x1.fffffep-60, 0x1.8p59};
    const Sx *i = sx_index(&t, 0), *x = sx_load(&t, DT_F32, 0, 1, &i, NULL);
    double half = ldexp(1, dtype_bits(to) - 1), middle = dtype_is_signed(to) ? 0 : half;

    for (size_t k = 0; k < sizeof by / sizeof *by; k++)
        for (int z = -1; z < 2; z++) {
            double d = middle + z * (half - 1);
            const Sx *sum = rounded_quotient(x, by[k], (int)d, held);
            const Sx *level = sx_cast(&t, sum, to), *wide = sx_cast(&t, level, DT_I32);
            const Sx *back = sx_cast(&t, sx_sub(&t, wide, ci(DT_I32, (int64_t)d)), DT_F32);
            const Sx *both[] = {level, back};
            for (int b = 0; b < 2; b++) {
                const Sx *without = sx_expand(&t, both[b], (SxHas){.fma = true});
                CHECK((without == both[b]) == (by[k] == 1 && b == 0));
                check_edges(without, both[b]);
                for (int v = -3000; v < 3000; v++) {
                    double at = v < -1500 ? middle - half - d : v < 1500 ? 0 : middle + half - d;
                    float near = (float)((floor(at) + v % 500 / 3 + 0.5) * (double)(float)by[k]);
                    check_near(without, both[b], near, v);
                }
            }
        }
}

/* SCALE is one thing whether folded or written out. */
static void test_scale(void)
{
    static const float edge[] = {0.0f,
                                 -0.0f,
                                 1.0f,
                                 -1.5f,
                                 0x1.8p-140f,
                                 0x1.fffffep127f,
                                 INFINITY,
                                 0x1.000002p-100f,
                                 -INFINITY,
                                 NAN,
                                 0x1.7ffffep-120f};
    static const float by[] = {0.0f,   0.5f,    -0.5f, 1.0f,  -26.0f,   -40.0f,    127.0f,
                               276.0f, -300.0f, 1e9f,  -1e9f, INFINITY, -INFINITY, NAN};

    for (size_t i = 0; i < sizeof edge / sizeof *edge; i++)
        for (size_t j = 0; j < sizeof by / sizeof *by; j++) {
            const Sx *a = f32((double)edge[i]), *b = f32((double)by[j]);
            const Sx *slow = sx_expand(&t, sx_scale_f32(&t, a, b), (SxHas){0});
            double v = 0, w = 0;

            CHECK(sx_is_const(sx_scale(&t, a, b), &v) && sx_is_const(slow, &w));
            CHECK(v == w ? signbit(v) == signbit(w) : v != v && w != w);
            if (isfinite(edge[i]) && isfinite(by[j]))
                CHECK(v == (double)(float)scalbn((double)edge[i],
                                                 (int)floorf(fmaxf(fminf(by[j], 400), -400))));
        }
}

static void test_dims(void)
{
    Dim n = dim_symbol(&dims, "n", 1, 1000);
    const Sx *d = sx_dim(&t, n);

    CHECK(sx_sub(&t, sx_add(&t, d, c64(2)), d) == c64(2));
    CHECK(sx_mul(&t, d, c64(3)) == sx_dim(&t, dim_mul_c(&dims, n, 3)));
    CHECK(sx_lt(&t, c64(0), d) == ci(DT_BOOL, 1));
    CHECK(sx_eq(&t, d, c64(0)) == ci(DT_BOOL, 0));
}

static void test_linear(void)
{
    const Sx *i = sx_index(&t, 0), *j = sx_index(&t, 1), *k = sx_index(&t, 2);
    const Sx *n = sx_dim(&t, dim_symbol(&dims, "n", 1, 1000)), *stride, *rest;
    const Sx *e = sx_add(&t, sx_mul(&t, sx_add(&t, sx_mul(&t, i, n), j), c64(4)), sx_neg(&t, k));

    CHECK(sx_linear(&t, e, 0, &stride, &rest));
    CHECK(stride == sx_mul(&t, n, c64(4)));
    CHECK(!sx_uses_index(&t, rest, 0) && sx_uses_index(&t, rest, 1));
    CHECK(sx_linear(&t, e, 1, &stride, &rest) && stride == c64(4));
    CHECK(sx_linear(&t, e, 2, &stride, &rest) && stride == c64(-1));
    CHECK(sx_linear(&t, e, 3, &stride, &rest) && stride == c64(0) && rest == e);
    CHECK(!sx_linear(&t, sx_mul(&t, i, i), 0, &stride, &rest));
    CHECK(!sx_linear(&t, sx_div(&t, i, c64(2)), 0, &stride, &rest));
    e = sx_sub(&t, c64(10), sx_mul(&t, sx_sub(&t, i, c64(3)), c64(2)));
    CHECK(sx_linear(&t, e, 0, &stride, &rest) && stride == c64(-2) && rest == c64(16));
}

static void test_range(void)
{
    const Sx *i = sx_index(&t, 0), *j = sx_index(&t, 1);
    Dim extent[] = {dim_const(&dims, 10), dim_const(&dims, 3)};
    int64_t lo, hi;

    sx_range(&t, sx_sub(&t, sx_mul(&t, i, c64(3)), j), 2, extent, &lo, &hi);
    CHECK(lo == -2 && hi == 27);
    sx_range(&t, sx_rem(&t, i, c64(4)), 2, extent, &lo, &hi);
    CHECK(lo == 0 && hi == 3);
    sx_range(&t, sx_mul(&t, i, c64(INT64_MAX)), 2, extent, &lo, &hi);
    CHECK(lo == INT64_MIN && hi == INT64_MAX); /* wraps */
    sx_range(&t, sx_select(&t, sx_lt(&t, i, j), i, c64(-1)), 2, extent, &lo, &hi);
    CHECK(lo == -1 && hi == 9);
    sx_range(&t, sx_cast(&t, sx_load(&t, DT_U8, 0, 1, &i, NULL), DT_I64), 2, extent, &lo, &hi);
    CHECK(lo == 0 && hi == 255);
    CHECK(sx_floor_div(&t, i, c64(4)) == sx_div(&t, i, c64(4)));
    CHECK(sx_floor_mod(&t, sx_sub(&t, i, c64(1)), c64(4))->op != SX_REM);
}

static const Sx *index_to_three(void *context, const Sx *leaf)
{
    (*(int *)context)++;
    return leaf->op == SX_INDEX && leaf->index == 0 ? c64(3) : NULL;
}

/* 20000 deep: no walk may recurse. The sum alternates so that nothing folds. */
static void test_deep(void)
{
    const Sx *i = sx_index(&t, 0), *e = i, *stride, *rest;
    int asked = 0;
    int64_t index[] = {5}, lo, hi;
    SxEnv env = {.index = index};

    for (int k = 0; k < 20000; k++) {
        e = sx_xor(&t, sx_mul(&t, e, c64(3)), i);
    }
    int64_t want5 = 5, want3 = 3;
    for (int k = 0; k < 20000; k++) {
        want5 = (int64_t)((uint64_t)want5 * 3) ^ 5;
        want3 = (int64_t)((uint64_t)want3 * 3) ^ 3;
    }
    CHECK_EQ(sx_eval(&t, e, &env), want5);
    const Sx *r = sx_rewrite(&t, e, index_to_three, &asked);
    CHECK_EQ(r->op, SX_CONST);
    CHECK_EQ(r->bits, want3);
    CHECK_EQ(asked, 2); /* the index and the 3: shared, so once each */
    CHECK(sx_uses_index(&t, e, 0) && !sx_uses_index(&t, e, 1));
    CHECK(!sx_linear(&t, e, 0, &stride, &rest));
    sx_range(&t, e, 0, NULL, &lo, &hi);
    CHECK(lo <= hi);
}

static uint64_t load_value(void *context, const Sx *load, const int64_t *idx)
{
    (*(int *)context)++;
    return (uint64_t)(load->src * 100 + idx[0]);
}

static void note_failure(void *context, const Sx *check, int64_t index, int64_t extent)
{
    (void)check;
    *(int *)context += index >= extent || index < -extent ? 1000 : 0;
}

static void test_eval(void)
{
    const Sx *i = sx_index(&t, 0), *guard = sx_lt(&t, i, c64(4));
    const Sx *x = sx_load(&t, DT_I64, 2, 1, &i, guard);
    int calls = 0;
    int64_t index[] = {3};
    SxEnv env = {.index = index, .load = load_value, .fail = note_failure, .context = &calls};

    CHECK_EQ(sx_eval(&t, sx_add(&t, x, c64(1)), &env), 204);
    index[0] = 4;
    CHECK_EQ(sx_eval(&t, sx_add(&t, x, c64(1)), &env), 1);
    CHECK_EQ(calls, 1);
    const Sx *check = sx_check(&t, 0, sx_sub(&t, i, c64(6)), c64(5));
    CHECK_EQ(sx_eval(&t, check, &env), 3);
    index[0] = 0;
    CHECK_EQ(sx_eval(&t, check, &env), -1);
    index[0] = 11;
    CHECK_EQ(sx_eval(&t, check, &env), -1);
    CHECK_EQ(calls, 2001);
}

static uint64_t random_state = 1;

static uint64_t random_bits(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    return random_state ^= random_state << 17;
}

/* An operation over leaves, and the same over their values as constants, agree: rules against
 * folding. */
static void test_rules_against_values(void)
{
    static const SxOp op[] = {SX_ADD, SX_SUB, SX_MUL, SX_DIV, SX_REM, SX_MIN, SX_MAX, SX_AND,
                              SX_OR,  SX_XOR, SX_SHL, SX_SHR, SX_EQ,  SX_NE,  SX_LT,  SX_LE};
    static const DType type[] = {DT_I8, DT_U8, DT_I32, DT_U64, DT_I64, DT_I4};
    int64_t index[3];
    SxEnv env = {.index = index};

    for (int round = 0; round < 20000; round++) {
        DType d = type[random_bits() % 6];
        const Sx *e[8], *c[8];
        for (int k = 0; k < 3; k++) {
            index[k] = (int64_t)(random_bits() % 9) - 4;
            e[k] = sx_cast(&t, sx_index(&t, k), d);
            c[k] = sx_cast(&t, c64(index[k]), d);
        }
        for (int k = 3; k < 8; k++) {
            int a = (int)(random_bits() % (uint64_t)k), b = (int)(random_bits() % (uint64_t)k);
            SxOp o = op[random_bits() % (k < 7 ? 12 : 16)];
            bool number = random_bits() % 3 == 0;
            const Sx *n = sx_const_int(&t, d, (int64_t)(random_bits() % 5) - 2);
            e[k] = number ? sx_op2(&t, o, n, e[a]) : sx_op2(&t, o, e[a], e[b]);
            c[k] = number ? sx_op2(&t, o, n, c[a]) : sx_op2(&t, o, c[a], c[b]);
        }
        if (sx_eval(&t, e[7], &env) == bits_of(c[7])) continue;
        CHECK(false && "a rule changed a value");
        return;
    }
}

int main(void)
{
    arena = arena_new(0);
    dims_init(&dims, arena);
    sx_init(&t, arena, &dims);
    test_interning();
    test_integer_rules();
    test_float_rules();
    test_cast_rules();
    test_constants();
    test_dims();
    test_scale();
    test_rounded_quotient(0);
    test_rounded_quotient(-0x1p30);
    for (int far = 0; far < 2; far++) {
        test_levels(DT_U8, far ? 0 : -3);
        test_levels(DT_I8, far ? -0x1p30 : -3);
        test_levels(DT_U16, far ? -0x1p30 : -0x1p14);
        test_levels(DT_I16, far ? -0x1p30 : 5);
    }
    test_linear();
    test_range();
    test_deep();
    test_eval();
    test_rules_against_values();
    CHECK(arena_ok(arena));
    arena_free(arena);
    return check_result();
}
