/* sx_derive.c: derivatives of scalar expressions, forward through the graph of an expression: a
 * node's derivative from those of its arguments, each node once. */
#include "ir/sx.h"
#include "support/map.h"

typedef struct Derive {
    SxTable *t;
    const Sx *by;
    Map done; /* Sx -> its derivative */
    bool failed;
} Derive;

#define K(v) sx_const(t, e->dtype, v)

static bool is_zero(const Sx *e)
{
    return e->op == SX_CONST && e->bits == 0;
}

static const Sx *zero_of(SxTable *t, const Sx *e)
{
    return sx_const_int(t, e->dtype, 0);
}

static const Sx *sum(SxTable *t, const Sx *a, const Sx *b)
{
    return is_zero(a) ? b : is_zero(b) ? a : sx_add(t, a, b);
}

static const Sx *product(SxTable *t, const Sx *a, const Sx *b)
{
    return is_zero(a) ? a : is_zero(b) ? b : sx_mul(t, a, b);
}

/* 1 - x x, or x x - 1 */
static const Sx *square_less(SxTable *t, const Sx *e, const Sx *x, bool from_one)
{
    const Sx *square = sx_mul(t, x, x);

    return from_one ? sx_sub(t, K(1), square) : sx_sub(t, square, K(1));
}

/* d f(x) / dx of a function of one argument; NULL for other operations. */
static const Sx *slope(SxTable *t, const Sx *e)
{
    const Sx *x = e->arg[0];

    switch ((int)e->op) {
    case SX_NEG:
        return K(-1);
    case SX_ABS: /* 0 at 0 */
        return sx_select(t, sx_lt(t, x, K(0)), K(-1), sx_select(t, sx_lt(t, K(0), x), K(1), K(0)));
    case SX_SQRT:
        return sx_div(t, K(0.5), e);
    case SX_EXP:
        return e;
    case SX_EXPM1:
        return sx_add(t, e, K(1));
    case SX_LOG:
        return sx_div(t, K(1), x);
    case SX_LOG1P:
        return sx_div(t, K(1), sx_add(t, x, K(1)));
    case SX_SIN:
        return sx_op1(t, SX_COS, x);
    case SX_COS:
        return sx_neg(t, sx_op1(t, SX_SIN, x));
    case SX_TAN:
        return sx_add(t, K(1), sx_mul(t, e, e));
    case SX_ASIN:
        return sx_div(t, K(1), sx_op1(t, SX_SQRT, square_less(t, e, x, true)));
    case SX_ACOS:
        return sx_div(t, K(-1), sx_op1(t, SX_SQRT, square_less(t, e, x, true)));
    case SX_ATAN:
        return sx_div(t, K(1), sx_add(t, K(1), sx_mul(t, x, x)));
    case SX_SINH:
        return sx_op1(t, SX_COSH, x);
    case SX_COSH:
        return sx_op1(t, SX_SINH, x);
    case SX_TANH:
        return square_less(t, e, e, true);
    case SX_ASINH:
        return sx_div(t, K(1), sx_op1(t, SX_SQRT, sx_add(t, sx_mul(t, x, x), K(1))));
    case SX_ACOSH:
        return sx_div(t, K(1), sx_op1(t, SX_SQRT, square_less(t, e, x, false)));
    case SX_ATANH:
        return sx_div(t, K(1), square_less(t, e, x, true));
    case SX_ERF:
        return sx_mul(t, K(1.1283791670955126), sx_op1(t, SX_EXP, sx_neg(t, sx_mul(t, x, x))));
    case SX_SIGMOID:
        return sx_mul(t, e, sx_sub(t, K(1), e));
    default:
        return NULL;
    }
}

/* x^y: y x^(y-1) dx + x^y log(x) dy */
static const Sx *of_power(SxTable *t, const Sx *e, const Sx *dx, const Sx *dy)
{
    const Sx *x = e->arg[0], *y = e->arg[1];
    const Sx *by_x = sx_mul(t, y, sx_pow(t, x, sx_sub(t, y, K(1))));

    return sum(t, product(t, dx, by_x), product(t, dy, sx_mul(t, e, sx_op1(t, SX_LOG, x))));
}

/* What is neither a function of one float nor constant. NULL: there is none. */
static const Sx *of_several(SxTable *t, const Sx *e, const Sx *const *d)
{
    const Sx *x = e->arg[0], *y = e->arg[1], *z = zero_of(t, e);

    switch ((int)e->op) {
    case SX_ADD:
        return sum(t, d[0], d[1]);
    case SX_SUB:
        return is_zero(d[1]) ? d[0] : sx_sub(t, d[0], d[1]);
    case SX_MUL:
        return sum(t, product(t, d[0], y), product(t, x, d[1]));
    case SX_DIV: /* (dx - e dy) / y */
        return sx_div(t, is_zero(d[1]) ? d[0] : sx_sub(t, d[0], sx_mul(t, e, d[1])), y);
    case SX_REM: /* x - n y, n whole */
        return is_zero(d[1])
                   ? d[0]
                   : sx_sub(t, d[0], sx_mul(t, sx_op1(t, SX_TRUNC, sx_div(t, x, y)), d[1]));
    case SX_MIN:
        return sx_select(t, sx_lt(t, y, x), d[1], d[0]);
    case SX_MAX:
        return sx_select(t, sx_lt(t, x, y), d[1], d[0]);
    case SX_FMA:
        return sum(t, sum(t, product(t, d[0], y), product(t, x, d[1])), d[2]);
    case SX_POW:
        return of_power(t, e, d[0], d[1]);
    case SX_COPYSIGN: /* the sign of x times that of y */
        return product(t, d[0],
                       sx_mul(t, sx_op2(t, SX_COPYSIGN, K(1), x), sx_op2(t, SX_COPYSIGN, K(1), y)));
    case SX_SELECT:
        return sx_select(t, x, d[1], d[2]);
    case SX_CAST:
        return dtype_is_float(x->dtype) ? sx_cast(t, d[0], e->dtype) : z;
    case SX_FLOOR:
    case SX_CEIL:
    case SX_TRUNC:
    case SX_RINT:
        return z;
    default:
        return NULL;
    }
}

static const Sx *derive(Derive *x, const Sx *e);

static const Sx *from_arguments(Derive *x, const Sx *e)
{
    SxTable *t = x->t;
    const Sx *d[3] = {NULL}, *s;
    bool moves = false;

    if (!dtype_is_float(e->dtype) || e->n == 0 || e->n > 3 || e->op == SX_LOAD)
        return zero_of(t, e);
    for (int i = 0; i < e->n; i++) {
        d[i] = derive(x, e->arg[i]);
        if (x->failed) return NULL;
        moves |= !is_zero(d[i]);
    }
    if (!moves) return zero_of(t, e);
    s = slope(t, e);
    return s ? product(t, d[0], s) : of_several(t, e, d);
}

static const Sx *derive(Derive *x, const Sx *e)
{
    const Sx *d = map_get(&x->done, e);

    if (d) return d;
    d = e == x->by ? sx_const(x->t, e->dtype, 1) : from_arguments(x, e);
    if (!d) x->failed = true;
    if (d) map_set(&x->done, e, (void *)(uintptr_t)d);
    return d;
}

const Sx *sx_derive(SxTable *t, const Sx *e, const Sx *by)
{
    Derive x = {.t = t, .by = by};

    map_init(&x.done, t->arena, false);
    return derive(&x, e);
}
