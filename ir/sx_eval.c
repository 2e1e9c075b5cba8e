/* sx_eval.c: the value of an expression, node by node, arguments before users. */
#include "ir/sx_impl.h"
#include "ir/sx_math.h"

uint64_t sx_math_bits(Arena *arena, SxOp op, DType d, const uint64_t *x, bool no_fma)
{
    ArenaMark mark = arena_mark(arena);
    SxTable t;

    sx_init(&t, arena, NULL); /* of constants only: all folds */
    t.no_fma = no_fma;
    const Sx *a = sx_const_bits(&t, d, x[0]);
    const Sx *b = sx_op_args(op) > 1 ? sx_const_bits(&t, d, x[1]) : NULL;
    uint64_t bits = (d == DT_F64 ? sx_math_f64(&t, op, a, b)
                                 : sx_math_f32(&t, op, a, b, (SxHas){.scale = true}))
                        ->bits;
    arena_reset(arena, mark);
    return bits;
}

static uint64_t eval_load(const Sx *e, const uint64_t *x, const SxEnv *env)
{
    int64_t idx[SX_MAX_ARGS] = {0};
    int n = e->n - e->guarded;

    if (e->guarded && !x[n]) return 0;
    for (int i = 0; i < n; i++) {
        idx[i] = (int64_t)x[i];
    }
    return sx_normal_bits(e->dtype, env->load(env->context, e, idx));
}

static uint64_t eval_check(const Sx *e, const uint64_t *x, const SxEnv *env)
{
    int64_t index = (int64_t)x[0], extent = (int64_t)x[1];

    if (index < 0) index = (int64_t)((uint64_t)index + (uint64_t)extent);
    if (index >= 0 && index < extent && ((int64_t)x[0] >= 0 || extent > 0)) return (uint64_t)index;
    if (env->fail) env->fail(env->context, e, (int64_t)x[0], extent);
    return (uint64_t)-1;
}

static uint64_t eval_dim(Dim dim, const SxEnv *env)
{
    int64_t v;

    return dim_eval(dim, env->dim, env->context, &v) ? (uint64_t)v : 0;
}

static uint64_t eval_node(SxTable *t, const Sx *e, const uint64_t *x, const SxEnv *env)
{
    SxShape s = {.op = e->op,
                 .dtype = e->dtype,
                 .from = e->n ? e->arg[e->n - 1]->dtype : DT_NONE,
                 .saturate = e->index != 0,
                 .no_fma = env->no_fma};

    switch ((int)e->op) {
    case SX_CONST:
        return e->bits;
    case SX_INDEX:
        return (uint64_t)env->index[e->index];
    case SX_DIM:
        return eval_dim(e->dim, env);
    case SX_ACC:
        return sx_normal_bits(e->dtype, env->acc[e->index]);
    case SX_LOAD:
        return eval_load(e, x, env);
    case SX_CHECK:
        return eval_check(e, x, env);
    default:
        if (e->op >= SX_EXP) return sx_math_bits(t->arena, e->op, e->dtype, x, env->no_fma);
        return sx_apply(&s, x);
    }
}

uint64_t sx_eval(SxTable *t, const Sx *e, const SxEnv *env)
{
    SxWalk w;
    uint64_t *value, arg[SX_MAX_ARGS], result = 0;

    if (e->n == 0 && e->op != SX_LOAD) return eval_node(t, e, NULL, env);
    if (!sx_walk(t, e, &w)) return 0;
    value = sx_scratch(t, w.n, sizeof *value);
    for (size_t i = 0; value && i < w.n; i++) {
        for (int k = 0; k < w.node[i]->n; k++) {
            arg[k] = value[sx_walk_at(&w, w.node[i]->arg[k])];
        }
        result = value[i] = eval_node(t, w.node[i], arg, env);
    }
    free(value);
    sx_walk_free(&w);
    return result;
}
