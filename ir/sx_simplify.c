/* sx_simplify.c: what an operation equals without being done.
 *
 * Every rule holds for every input: integers modulo 2^bits, floats with NaN, infinities and -0 (a
 * NaN may lose its payload). Constants of commutative operations go second, and in sums of integers
 * outermost, (x + 1) + y  ->  (x + y) + 1, so that they meet and fold. Each rule makes a smaller
 * expression or one nearer to this form; what a rule builds goes back through the constructors, one
 * level down, so it ends. */
#include "ir/sx_impl.h"

/* An integer whose bits are all ones, or bool true. */
static bool is_ones(const Sx *e)
{
    if (e->op != SX_CONST) return false;
    return e->dtype == DT_BOOL ? e->bits == 1 : e->bits == sx_normal_bits(e->dtype, ~(uint64_t)0);
}

static bool is_int(const Sx *e, int64_t v)
{
    int64_t c = 0;

    return sx_is_int_const(e, &c) && c == v;
}

static bool is_zero_bits(const Sx *e)
{
    return e->op == SX_CONST && e->bits == 0;
}

static bool is_number(const Sx *e, double v)
{
    double c;

    if (!sx_is_const(e, &c)) return false;
    return memcmp(&c, &v, sizeof c) == 0; /* -0 is not 0 */
}

static const Sx *of_int(SxTable *t, const Sx *like, int64_t v)
{
    return sx_const_bits(t, like->dtype, (uint64_t)v);
}

static const Sx *of_bool(SxTable *t, bool v)
{
    return sx_const_bits(t, DT_BOOL, v);
}

/* e = *base + constant. */
static bool is_sum_const(const Sx *e, const Sx **base, const Sx **c)
{
    if (e->op != SX_ADD || e->arg[1]->op != SX_CONST) return false;
    *base = e->arg[0];
    *c = e->arg[1];
    return true;
}

/* e = constant - *x. */
static bool is_const_minus(const Sx *e, const Sx **c, const Sx **x)
{
    if (e->op != SX_SUB || e->arg[0]->op != SX_CONST) return false;
    *c = e->arg[0];
    *x = e->arg[1];
    return true;
}

/* Extents: what the algebra of dims can do. */

/* Constants small enough to enter dims without any danger of overflow there. */
static Dim as_dim(SxTable *t, const Sx *e)
{
    int64_t v;

    if (e->op == SX_DIM) return e->dim;
    if (e->dtype != DT_I64 || !sx_is_int_const(e, &v) || v > INT32_MAX || v < INT32_MIN)
        return NULL;
    return dim_const(t->dims, v);
}

static const Sx *dims_compare(SxTable *t, SxOp op, Dim a, Dim b)
{
    bool strict = op == SX_LT;

    if (op == SX_EQ || op == SX_NE) {
        if (dim_equal(a, b)) return of_bool(t, op == SX_EQ);
        return dim_distinct(t->dims, a, b) ? of_bool(t, op == SX_NE) : NULL;
    }
    if (strict ? dim_lt(t->dims, a, b) : dim_le(t->dims, a, b)) return of_bool(t, true);
    if (strict ? dim_le(t->dims, b, a) : dim_lt(t->dims, b, a)) return of_bool(t, false);
    return NULL;
}

static Dim dims_compute(DimTable *t, SxOp op, Dim a, Dim b)
{
    bool floors = a->lo >= 0 && b->lo > 0; /* then toward zero is downward */

    if (op == SX_ADD) return dim_add(t, a, b);
    if (op == SX_SUB) return dim_sub(t, a, b);
    if (op == SX_MUL) return dim_mul(t, a, b);
    if (op == SX_DIV && floors) return dim_div(t, a, b);
    if (op == SX_REM && floors) return dim_mod(t, a, b);
    if (op == SX_MIN) return dim_min(t, a, b);
    if (op == SX_MAX) return dim_max(t, a, b);
    return NULL;
}

static const Sx *of_dims(SxTable *t, SxOp op, const Sx *a, const Sx *b)
{
    if (a->op != SX_DIM && b->op != SX_DIM) return NULL;
    Dim x = as_dim(t, a), y = as_dim(t, b);
    if (!x || !y) return NULL;
    if (op == SX_EQ || op == SX_NE || op == SX_LT || op == SX_LE) return dims_compare(t, op, x, y);
    bool before = t->dims->overflow;
    t->dims->overflow = false;
    Dim r = dims_compute(t->dims, op, x, y);
    bool ok = !t->dims->overflow;
    t->dims->overflow = before;
    return r && ok ? sx_dim(t, r) : NULL;
}

/* Integers. */

/* a = x * *factor, with x itself as 1 * x. */
static const Sx *factor_of(const Sx *a, int64_t *factor)
{
    *factor = 1;
    return a->op == SX_MUL && sx_is_int_const(a->arg[1], factor) ? a->arg[0] : a;
}

/* x*c1 + x*c2 */
static const Sx *like_terms(SxTable *t, const Sx *a, const Sx *b, bool subtract)
{
    int64_t ca, cb;
    const Sx *x = factor_of(a, &ca), *y = factor_of(b, &cb);

    if (x != y || x->op == SX_CONST) return NULL;
    uint64_t sum = subtract ? (uint64_t)ca - (uint64_t)cb : (uint64_t)ca + (uint64_t)cb;
    return sx_mul(t, x, of_int(t, x, (int64_t)sum));
}

static const Sx *int_add(SxTable *t, const Sx *a, const Sx *b)
{
    const Sx *x = NULL, *y = NULL, *c = NULL, *d = NULL;

    if (is_zero_bits(b)) return a;
    bool sum_a = is_sum_const(a, &x, &c), sum_b = is_sum_const(b, &y, &d);
    if (b->op == SX_CONST) {
        if (is_const_minus(a, &c, &y)) return sx_sub(t, sx_add(t, c, b), y);
        return sum_a ? sx_add(t, x, sx_add(t, c, b)) : NULL;
    }
    if (is_const_minus(b, &d, &y)) return sx_add(t, sx_sub(t, a, y), d);
    if (is_const_minus(a, &c, &x)) return sx_add(t, sx_sub(t, b, x), c);
    if (sum_a && sum_b) return sx_add(t, sx_add(t, x, y), sx_add(t, c, d));
    if (sum_a) return sx_add(t, sx_add(t, x, b), c);
    if (sum_b) return sx_add(t, sx_add(t, a, y), d);
    if (b->op == SX_NEG) return sx_sub(t, a, b->arg[0]);
    if (a->op == SX_NEG) return sx_sub(t, b, a->arg[0]);
    if (a->op == SX_SUB && a->arg[1] == b) return a->arg[0];
    if (b->op == SX_SUB && b->arg[1] == a) return b->arg[0];
    return like_terms(t, a, b, false);
}

static const Sx *int_sub(SxTable *t, const Sx *a, const Sx *b)
{
    const Sx *x, *c;

    if (a == b) return of_int(t, a, 0);
    if (b->op == SX_CONST) return sx_add(t, a, sx_neg(t, b));
    if (is_zero_bits(a)) return sx_neg(t, b);
    if (is_const_minus(b, &c, &x)) return sx_sub(t, sx_add(t, a, x), c);
    if (is_const_minus(a, &c, &x)) return sx_sub(t, c, sx_add(t, x, b));
    if (is_sum_const(b, &x, &c)) return sx_sub(t, sx_sub(t, a, x), c);
    if (is_sum_const(a, &x, &c)) return sx_add(t, sx_sub(t, x, b), c);
    if (b->op == SX_NEG) return sx_add(t, a, b->arg[0]);
    if (a->op == SX_ADD && a->arg[1] == b) return a->arg[0];
    if (a->op == SX_ADD && a->arg[0] == b) return a->arg[1];
    if (a->op == SX_SUB && a->arg[0] == b) return sx_neg(t, a->arg[1]);
    if (b->op == SX_SUB && b->arg[0] == a) return b->arg[1];
    return like_terms(t, a, b, true);
}

static const Sx *int_mul(SxTable *t, const Sx *a, const Sx *b)
{
    const Sx *x, *c;

    if (b->op != SX_CONST) return NULL;
    if (is_zero_bits(b)) return b;
    if (is_int(b, 1)) return a;
    if (dtype_is_signed(b->dtype) && is_int(b, -1)) return sx_neg(t, a);
    if (a->op == SX_NEG) return sx_mul(t, a->arg[0], sx_neg(t, b));
    if (a->op == SX_MUL && a->arg[1]->op == SX_CONST) {
        return sx_mul(t, a->arg[0], sx_mul(t, a->arg[1], b));
    }
    if (is_sum_const(a, &x, &c)) return sx_add(t, sx_mul(t, x, b), sx_mul(t, c, b));
    if (is_const_minus(a, &c, &x)) return sx_sub(t, sx_mul(t, c, b), sx_mul(t, x, b));
    return NULL;
}

static const Sx *int_neg(SxTable *t, const Sx *a)
{
    const Sx *x, *c;

    if (a->op == SX_SUB) return sx_sub(t, a->arg[1], a->arg[0]);
    if (a->op == SX_DIM) return of_dims(t, SX_SUB, sx_const_int(t, DT_I64, 0), a);
    if (is_sum_const(a, &x, &c)) return sx_sub(t, sx_neg(t, c), x);
    if (a->op == SX_MUL && a->arg[1]->op == SX_CONST) {
        return sx_mul(t, a->arg[0], sx_neg(t, a->arg[1]));
    }
    return NULL;
}

static const Sx *int_divide(SxTable *t, SxOp op, const Sx *a, const Sx *b)
{
    bool rem = op == SX_REM;

    if (is_zero_bits(a)) return a;
    if (is_zero_bits(b)) return b;
    if (is_int(b, 1)) return rem ? of_int(t, a, 0) : a;
    if (dtype_is_signed(b->dtype) && is_int(b, -1)) return rem ? of_int(t, a, 0) : sx_neg(t, a);
    return NULL;
}

static const Sx *bitwise(SxTable *t, SxOp op, const Sx *a, const Sx *b)
{
    if (a == b) return op == SX_XOR ? sx_const_bits(t, a->dtype, 0) : a;
    if (is_zero_bits(b)) return op == SX_AND ? b : a;
    if (is_ones(b)) return op == SX_AND ? a : op == SX_OR ? b : sx_not(t, a);
    return NULL;
}

static const Sx *shift(SxTable *t, SxOp op, const Sx *a, const Sx *b)
{
    bool arithmetic = op == SX_SHR && dtype_is_signed(a->dtype);

    if (is_zero_bits(a) || is_zero_bits(b)) return a;
    bool wide = b->op == SX_CONST && b->bits >= (uint64_t)dtype_bits(a->dtype);
    return wide && !arithmetic ? of_int(t, a, 0) : NULL;
}

static const Sx *int_op2(SxTable *t, SxOp op, const Sx *a, const Sx *b)
{
    switch ((int)op) {
    case SX_ADD:
        return int_add(t, a, b);
    case SX_SUB:
        return int_sub(t, a, b);
    case SX_MUL:
        return int_mul(t, a, b);
    case SX_DIV:
    case SX_REM:
        return int_divide(t, op, a, b);
    case SX_AND:
    case SX_OR:
    case SX_XOR:
        return bitwise(t, op, a, b);
    case SX_SHL:
    case SX_SHR:
        return shift(t, op, a, b);
    case SX_EQ:
    case SX_LE:
        return a == b ? of_bool(t, true) : NULL;
    case SX_NE:
        return a == b ? of_bool(t, false) : NULL;
    default:
        return NULL; /* the rest has no rules */
    }
}

/* Floats: the few identities that hold with NaN, infinities and both zeros. */

/* 1/c when that is exact: c a power of two, neither it nor its inverse subnormal. */
static const Sx *exact_inverse(SxTable *t, const Sx *c)
{
    double v;

    if ((c->dtype != DT_F32 && c->dtype != DT_F64) || !sx_is_const(c, &v)) return NULL;
    int least = c->dtype == DT_F32 ? 1023 - 126 : 1, most = c->dtype == DT_F32 ? 1023 + 126 : 2045;
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    int exponent = (int)(bits >> 52 & 0x7ff);
    if (bits << 12 || exponent < least || exponent > most) return NULL;
    return sx_const(t, c->dtype, 1.0 / v);
}

static const Sx *float_op2(SxTable *t, SxOp op, const Sx *a, const Sx *b)
{
    const Sx *inverse;

    switch ((int)op) {
    case SX_ADD:
        if (is_number(b, -0.0)) return a;
        return b->op == SX_NEG ? sx_sub(t, a, b->arg[0]) : NULL;
    case SX_SUB:
        if (is_number(b, 0.0)) return a;
        if (is_number(a, -0.0)) return sx_neg(t, b);
        return b->op == SX_NEG ? sx_add(t, a, b->arg[0]) : NULL;
    case SX_MUL:
        if (is_number(b, 1.0)) return a;
        return is_number(b, -1.0) ? sx_neg(t, a) : NULL;
    case SX_DIV:
        if (is_number(b, 1.0)) return a;
        inverse = exact_inverse(t, b);
        return inverse ? sx_mul(t, a, inverse) : NULL;
    default:
        return NULL; /* the rest has no rules */
    }
}

static bool commutes(SxOp op, const Sx *a)
{
    bool min_max = op == SX_MIN || op == SX_MAX; /* of floats: not with NaN and zeros */

    return op == SX_ADD || op == SX_MUL || op == SX_AND || op == SX_OR || op == SX_XOR ||
           op == SX_EQ || op == SX_NE || (min_max && !dtype_is_float(a->dtype));
}

const Sx *sx_simplify2(SxTable *t, SxOp op, const Sx *a, const Sx *b)
{
    if (a->op == SX_CONST && commutes(op, a)) {
        return sx_op2(t, op, b, a);
    }
    if ((op == SX_MIN || op == SX_MAX) && a == b) return a;
    if (op == SX_LT && a == b) return of_bool(t, false);
    if (dtype_is_float(a->dtype)) return float_op2(t, op, a, b);
    const Sx *dims = of_dims(t, op, a, b);
    return dims ? dims : int_op2(t, op, a, b);
}

static const Sx *simplify_not(SxTable *t, const Sx *a)
{
    bool plain = a->n == 2 && !dtype_is_float(a->arg[0]->dtype);

    if (a->op == SX_NOT) return a->arg[0];
    if (a->dtype != DT_BOOL) return NULL;
    if (a->op == SX_EQ) return sx_ne(t, a->arg[0], a->arg[1]);
    if (a->op == SX_NE) return sx_eq(t, a->arg[0], a->arg[1]);
    if (a->op == SX_LT && plain) return sx_le(t, a->arg[1], a->arg[0]);
    if (a->op == SX_LE && plain) return sx_lt(t, a->arg[1], a->arg[0]);
    return NULL;
}

const Sx *sx_simplify1(SxTable *t, SxOp op, const Sx *a)
{
    if (op == SX_NEG) {
        if (a->op == SX_NEG) return a->arg[0];
        if (dtype_is_int(a->dtype)) return int_neg(t, a);
    }
    if (op == SX_NOT) return simplify_not(t, a);
    if (op == SX_ABS) {
        if (a->op == SX_ABS || !(dtype_is_float(a->dtype) || dtype_is_signed(a->dtype))) return a;
        if (a->op == SX_NEG) return sx_abs(t, a->arg[0]);
    }
    bool rounds = op == SX_FLOOR || op == SX_CEIL || op == SX_TRUNC || op == SX_RINT;
    bool rounded = a->op == SX_FLOOR || a->op == SX_CEIL || a->op == SX_TRUNC || a->op == SX_RINT;
    return rounds && rounded ? a : NULL;
}

static const Sx *simplify_select(SxTable *t, const Sx *c, const Sx *a, const Sx *b)
{
    if (c->op == SX_CONST) return c->bits ? a : b;
    if (a == b) return a;
    if (c->op == SX_NOT) return sx_select(t, c->arg[0], b, a);
    if (a->dtype == DT_BOOL && a->op == SX_CONST && b->op == SX_CONST) {
        return a->bits ? c : sx_not(t, c);
    }
    return NULL;
}

const Sx *sx_simplify3(SxTable *t, SxOp op, const Sx *a, const Sx *b, const Sx *c)
{
    if (op == SX_SELECT) return simplify_select(t, a, b, c);
    if (!dtype_is_float(a->dtype)) return sx_add(t, sx_mul(t, a, b), c);
    if (a->op == SX_CONST && b->op != SX_CONST) return sx_fma(t, b, a, c);
    if (is_number(b, 1.0)) return sx_add(t, a, c);
    if (is_number(c, -0.0)) return sx_mul(t, a, b);
    return NULL;
}

/* Casts. */

/* Every value of `from` is one of `to`. */
static bool embeds(DType from, DType to)
{
    DTypeKind k = dtype_kind(from), l = dtype_kind(to);
    int n = dtype_bits(from), m = dtype_bits(to);

    if (from == to) return true;
    if (k == KIND_BOOL) return to != DT_F8E8M0; /* which has no 0 */
    if (k == KIND_FLOAT) {
        if (to == DT_F64) return true;
        return to == DT_F32 && from != DT_F64;
    }
    if (l == KIND_FLOAT) return (to == DT_F64 && n <= 32) || (to == DT_F32 && n <= 16);
    if (k == l) return n <= m;
    return k == KIND_UINT && l == KIND_INT && n < m;
}

const Sx *sx_simplify_cast(SxTable *t, const Sx *a, DType d, bool saturate)
{
    if (a->op != SX_CAST) return NULL;
    DType from = a->arg[0]->dtype, by = a->dtype;
    bool exact = embeds(from, by);
    DTypeKind k = dtype_kind(from), l = dtype_kind(by), m = dtype_kind(d);
    bool ints = (k == KIND_INT || k == KIND_UINT) && (m == KIND_INT || m == KIND_UINT);
    /* What is stored in 16 bits or fewer is computed with as f32: that step stays where it is. */
    bool stored = k == KIND_FLOAT && from != DT_F32 && from != DT_F64;

    if (exact && d == from) return a->arg[0];
    if (stored) return NULL;
    /* A float on the way to an integer saturates where the integer itself would wrap. */
    if (exact && !(ints && l == KIND_FLOAT)) return sx_cast_to(t, a->arg[0], d, saturate);
    /* Low bits of low bits. */
    bool low = ints && l != KIND_FLOAT && l != KIND_BOOL && dtype_bits(d) <= dtype_bits(by);
    return low ? sx_cast_to(t, a->arg[0], d, saturate) : NULL;
}
