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
    const Sx *held = div->op == SX_SELECT ? div : NULL;
    double c, d;

    if (held) {
        div = held->arg[1];
        if (held->arg[0] != sx_lt(t, held->arg[2], div)) return NULL;
    }
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

static const Sx *expand_node(SxTable *t, const Sx *e, const Sx *const *arg, SxHas has)
{
    bool changed = false;
    const Sx *plain;

    if (e->op == SX_CAST) {
        plain = sx_cast_plain(t, arg[0], e->dtype, e->index != 0, has.f16);
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
