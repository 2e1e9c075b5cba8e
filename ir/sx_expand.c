/* sx_expand.c: mathematics and conversions as plain operations: one walk, arguments first. */
#include "ir/sx_impl.h"
#include "ir/sx_math.h"

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
                                  : sx_math_f32(t, e->op, arg[0], b, has.scale);
    }
    for (int i = 0; i < e->n; i++) {
        changed = changed || arg[i] != e->arg[i];
    }
    return changed ? sx_rebuild(t, e, arg) : e;
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
