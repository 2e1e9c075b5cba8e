/* sx_expand.c: mathematics and conversions as plain operations: one walk, arguments first. */
#include <math.h>

#include "ir/sx_impl.h"
#include "ir/sx_math.h"

/* rint(x / c) + d, as quantisation has it, without the division:
 *
 *     q = x * y, y = 1 / c rounded;  r = x - q * c;  x / c = q + r * y, rounded as it is, in f32
 *
 * by Markstein's theorem (Brisebarre, Muller, Raina: Accelerating correctly rounded floating-point
 * division when the divisor is known in advance, IEEE Transactions on Computers 53, 2004), unless
 * something overflows or is subnormal. Quotients that round to other numbers than 0 are too large
 * for the latter, given bounds on c; an infinite q stays what it is; and of a zero only the sign
 * may differ, which the sum with d takes away. The quotient may be held above a number, as that of
 * signed levels is: select(h < q, q, h). */
static const Sx *rounded_quotient(SxTable *t, const Sx *sum)
{
    const Sx *rint = sum->arg[0], *div = rint->op == SX_RINT ? rint->arg[0] : rint, *q, *y, *r;
    const Sx *held = sx_is_held_above(div) ? div : NULL;
    double c, d;

    if (held) div = held->arg[1];
    if (div->op != SX_DIV || rint->op != SX_RINT || sum->dtype != DT_F32) return NULL;
    if (!sx_is_const(div->arg[1], &c) || !(fabs(c) >= 0x1p-60 && fabs(c) <= 0x1p60)) return NULL;
    if (!sx_is_const(sum->arg[1], &d) || isnan(d) || (d == 0 && signbit(d))) return NULL;
    y = sx_const(t, DT_F32, (double)(1.0f / (float)c));
    q = sx_mul(t, div->arg[0], y);
    r = sx_fma(t, sx_neg(t, q), div->arg[1], div->arg[0]);
    q = sx_select(t, sx_lt(t, sx_abs(t, q), sx_const(t, DT_F32, INFINITY)), sx_fma(t, r, y, q), q);
    if (held) q = sx_select(t, sx_lt(t, held->arg[2], q), q, held->arg[2]);
    return sx_add(t, sx_rint(t, q), sum->arg[1]);
}

/* Levels: cast(rint(x) + d) to 8 or 16 bits, where NaN becomes the least. Then rint(x) is to be
 * within [low, high] for the cast to saturate nothing. */
typedef struct Level {
    const Sx *x;
    double low, high, d;
} Level;

static bool level_of(DType to, const Sx *sum, Level *l)
{
    int bits = dtype_bits(to);
    double most = ldexp(1, dtype_is_signed(to) ? bits - 1 : bits) - 1;

    if (!dtype_is_int(to) || (bits != 8 && bits != 16)) return false;
    if (sum->op != SX_ADD || sum->dtype != DT_F32 || sum->arg[0]->op != SX_RINT) return false;
    if (!sx_is_const(sum->arg[1], &l->d) || l->d != floor(l->d)) return false;
    l->x = sum->arg[0]->arg[0];
    l->low = (dtype_is_signed(to) ? -most - 1 : 0) - l->d;
    l->high = most - l->d;
    if (l->low > 0 || l->high < 0) return false;
    return !dtype_is_signed(to) || sx_is_held_above(l->x);
}

/* NaN becomes low. */
static const Sx *kept_within(SxTable *t, const Sx *x, double low, double high)
{
    const Sx *l = sx_const(t, DT_F32, low), *h = sx_const(t, DT_F32, high);

    x = sx_select(t, sx_lt(t, l, x), x, l);
    return sx_select(t, sx_lt(t, x, h), x, h);
}

/* The quotient of rounded_quotient where x is known to give a level, when it is kept to what gives
 * the least and the most: no infinities then, and nothing that the cast saturates. Rounded bounds
 * are as good, for what they give is far nearer to those levels than to others. */
static const Sx *level_quotient(SxTable *t, DType to, const Sx *sum)
{
    const Sx *q, *x, *y, *r;
    Level l;
    double c, held;

    if (!level_of(to, sum, &l)) return NULL;
    q = l.x;
    if (sx_is_held_above(q)) {
        if (!sx_is_const(q->arg[2], &held) || !(held <= l.low)) return NULL;
        q = q->arg[1];
    }
    if (q->op != SX_SELECT || q->arg[1]->op != SX_FMA || q->arg[2]->op != SX_MUL) return NULL;
    r = q->arg[1]->arg[0];
    y = q->arg[1]->arg[1];
    if (r->op != SX_FMA || q->arg[2] != q->arg[1]->arg[2]) return NULL;
    x = r->arg[2];
    if (q->arg[2] != sx_mul(t, x, y) || !sx_is_const(r->arg[1], &c) || c <= 0) return NULL;
    x = kept_within(t, x, (double)(float)(l.low * c), (double)(float)(l.high * c));
    q = sx_mul(t, x, y);
    q = sx_fma(t, sx_fma(t, sx_neg(t, q), r->arg[1], x), y, q);
    return sx_cast(t, sx_add(t, sx_rint(t, q), sum->arg[1]), to);
}

/* i32(level) or f32(level), as dequantisation has it, without the small integer between. */
static const Sx *wide_level(SxTable *t, DType to, const Sx *level)
{
    const Sx *whole;
    Level l;

    if (to != DT_I32 && to != DT_F32) return NULL;
    if (level->op != SX_CAST || !level_of(level->dtype, level->arg[0], &l)) return NULL;
    whole = sx_cast(t, sx_rint(t, kept_within(t, l.x, l.low, l.high)), DT_I32);
    return sx_cast(t, sx_add(t, whole, sx_const_int(t, DT_I32, (int64_t)l.d)), to);
}

static const Sx *expand_node(SxTable *t, const Sx *e, const Sx *const *arg, SxHas has)
{
    bool changed = false;
    const Sx *plain;

    if (e->op == SX_CAST) {
        plain = sx_cast_plain(t, arg[0], e->dtype, e->index != 0, has.f16);
        if (!plain && has.fma) plain = level_quotient(t, e->dtype, arg[0]);
        if (!plain && has.fma) plain = wide_level(t, e->dtype, arg[0]);
        if (plain) return plain;
    }
    if (e->op == SX_SCALE && !has.scale) return sx_scale_f32(t, arg[0], arg[1]);
    if (e->op >= SX_EXP || (e->op == SX_REM && dtype_is_float(e->dtype))) {
        const Sx *b = e->n > 1 ? arg[1] : NULL;
        return e->dtype == DT_F64 ? sx_math_f64(t, e->op, arg[0], b)
                                  : sx_math_f32(t, e->op, arg[0], b, has);
    }
    for (int i = 0; i < e->n; i++) {
        changed = changed || arg[i] != e->arg[i];
    }
    if (changed) e = sx_rebuild(t, e, arg);
    plain = has.fma && e->op == SX_ADD ? rounded_quotient(t, e) : NULL;
    return plain ? plain : e;
}

const Sx *sx_expand(SxTable *t, const Sx *e, SxHas has)
{
    SxWalk w;
    const Sx *arg[SX_MAX_ARGS];
    const Sx **to;

    if (!sx_walk(t, e, &w)) return e;
    to = sx_scratch(t, w.n, sizeof *to);
    for (size_t i = 0; to && i < w.n; i++) {
        const Sx *from = w.node[i];
        for (int k = 0; k < from->n; k++) {
            arg[k] = to[sx_walk_at(&w, from->arg[k])];
        }
        to[i] = expand_node(t, from, arg, has);
    }
    if (to) e = to[w.n - 1];
    free(to);
    sx_walk_free(&w);
    return e;
}
