/* cpu_value.c: where each expression is computed, and its value there.
 *
 * The depth of an expression is the deepest level that it depends on; its code goes to the end of
 * that level, which is in front of all loops that it does not depend on. Values are kept until
 * their level is closed. */
#include "codegen/cpu/cpu_emit.h"

#include <string.h>

void cpu_bug(CpuFn *f, const char *what)
{
    if (f->failed == OK)
        f->failed =
            diag(f->m->diag, ERR_BUG, node_where(f->nest->node), "code generation: %s", what);
}

void cpu_at(CpuFn *f, int level)
{
    LLVMPositionBuilderAtEnd(f->b, f->tail[level]);
}

static CpuVal *val_of(CpuFn *f, const Sx *e)
{
    CpuVal *v = map_get(&f->vals, e);

    if (!v) {
        v = ARENA_NEW(f->arena, CpuVal);
        map_set(&f->vals, e, v);
    }
    return v;
}

void cpu_forget(CpuFn *f)
{
    map_init(&f->vals, f->arena, false);
    cpu_restamp(f);
}

static void drop_values(CpuVal *v)
{
    memset(v->v, 0, sizeof v->v);
    v->splat = NULL;
}

void cpu_drop(CpuFn *f, int level)
{
    size_t i = 0;
    const void *key;
    void *v;

    while (map_next(&f->vals, &i, &key, &v)) {
        if (((CpuVal *)v)->level >= level) drop_values(v);
    }
}

void cpu_restamp(CpuFn *f)
{
    f->stamp++;
}

LLVMValueRef cpu_dim(CpuFn *f, Dim d)
{
    LLVMValueRef base, at;
    int k;

    if (dim_is_const(d)) return cpu_i64(f->m, d->value);
    k = nest_dim(f->nest, d);
    if (k < 0) {
        cpu_bug(f, "a dim that the kernel is not passed");
        return cpu_i64(f->m, 0);
    }
    if (f->dim[k]) return f->dim[k];
    cpu_at(f, 0);
    at = cpu_i64(f->m, (int64_t)offsetof(ingot_kernel_args, dim));
    base = LLVMBuildGEP2(f->b, f->m->i8, f->args, &at, 1, "");
    base = LLVMBuildLoad2(f->b, f->m->ptr, base, "");
    at = cpu_i64(f->m, k);
    return f->dim[k] = LLVMBuildLoad2(f->b, f->m->i64,
                                      LLVMBuildGEP2(f->b, f->m->i64, base, &at, 1, ""), "");
}

LLVMValueRef cpu_ptr(CpuFn *f, int k)
{
    LLVMValueRef base, at;

    if (f->ptr[k]) return f->ptr[k];
    cpu_at(f, 0);
    at = cpu_i64(f->m, (int64_t)offsetof(ingot_kernel_args, ptr));
    base = LLVMBuildGEP2(f->b, f->m->i8, f->args, &at, 1, "");
    base = LLVMBuildLoad2(f->b, f->m->ptr, base, "");
    at = cpu_i64(f->m, k);
    return f->ptr[k] = LLVMBuildLoad2(f->b, f->m->ptr,
                                      LLVMBuildGEP2(f->b, f->m->ptr, base, &at, 1, ""), "");
}

/* ---- Depth */

static void deeper(CpuVal *v, int depth)
{
    if (depth > v->depth) v->depth = depth;
}

static void join(CpuFn *f, CpuVal *v, const Sx *e)
{
    const CpuVal *a = cpu_info(f, e);

    deeper(v, a->depth);
    v->varies = v->varies || a->varies;
    v->parts = v->parts || a->parts;
}

static void join_loop(const CpuFn *f, CpuVal *v, int l)
{
    deeper(v, f->loop_level[l]);
    v->varies = v->varies || l == f->vec;
    v->parts = v->parts || l == (f->across >= 0 ? f->across : f->vec);
}

static void join_affine(CpuFn *f, CpuVal *v, const Affine *x)
{
    for (int l = 0; l < f->s->n_loop; l++) {
        if (x->coef[f->s->loop[l].last]) join_loop(f, v, l);
    }
    for (int i = 0; i < x->n_term; i++)
        join(f, v, x->term[i].e);
}

static void info_index(CpuFn *f, CpuVal *v, const Sx *e)
{
    int l = nest_loop_of(f->s, e->index);

    if (l >= 0) join_loop(f, v, l);
}

static void info_load(CpuFn *f, CpuVal *v, const Sx *e)
{
    const Affine *x = map_get(&f->s->address, e);

    deeper(v, f->load_floor);
    if (e->src < 0) deeper(v, f->stage_level);
    if (e->src < 0 && cpu_in_register(f, &f->nest->stage[~e->src])) return;
    join_affine(f, v, x);
    if (e->guarded) join(f, v, e->arg[e->n - 1]);
}

CpuVal *cpu_info(CpuFn *f, const Sx *e)
{
    CpuVal *v = val_of(f, e);
    bool varied, parted;

    if (v->stamp == f->stamp) return v;
    varied = v->varies;
    parted = v->parts;
    v->depth = 0;
    v->varies = v->parts = false;
    if (e->op == SX_INDEX) {
        info_index(f, v, e);
    } else if (e->op == SX_ACC && e->index == NEST_OLD) {
        v->depth = f->old_level;
        v->varies = f->lanes > 1;
        v->parts = true;
    } else if (e->op == SX_ACC) {
        v->depth = f->acc_level;
        v->varies = f->acc_varies;
        v->parts = v->varies || f->across >= 0;
    } else if (e->op == SX_LOAD) {
        info_load(f, v, e);
    } else {
        if (e->op == SX_CHECK) deeper(v, f->load_floor);
        for (int i = 0; i < e->n; i++)
            join(f, v, e->arg[i]);
    }
    v->stamp = f->stamp;
    if (v->level != v->depth || v->varies != varied || v->parts != parted) drop_values(v);
    return v;
}

bool cpu_varies(CpuFn *f, const Sx *e)
{
    return cpu_info(f, e)->varies;
}

/* ---- Values */

static LLVMValueRef index_value(CpuFn *f, const Sx *e, int depth, int u)
{
    int l = nest_loop_of(f->s, e->index);
    LLVMValueRef v;

    if (l < 0) return cpu_i64(f->m, 0);
    v = f->loop_value[l];
    cpu_at(f, depth);
    if (u && l == f->across) v = LLVMBuildAdd(f->b, v, cpu_i64(f->m, u), "");
    if (l != f->vec || f->lanes == 1) return v;
    if (u && f->across < 0) v = LLVMBuildAdd(f->b, v, cpu_i64(f->m, (int64_t)u * f->lanes), "");
    return LLVMBuildAdd(f->b, cpu_splat(f, v, f->lanes), cpu_iota(f, f->m->i64, f->lanes), "");
}

/* The deepest level that x depends on, its terms alike in all lanes. */
static int affine_depth(CpuFn *f, const Affine *x)
{
    int depth = 0;

    for (int l = 0; l < f->s->n_loop; l++)
        if (x->coef[f->s->loop[l].last] && f->loop_level[l] > depth) depth = f->loop_level[l];
    for (int i = 0; i < x->n_term; i++) {
        const CpuVal *v = cpu_info(f, x->term[i].e);
        if (v->depth > depth) depth = v->depth;
    }
    return depth;
}

/* +-index + rest is 0: at one index of the loop of the lanes, or none, which is found in front of
 * that loop. NULL: indices do not fit in 32 bits. */
static LLVMValueRef lane_equals(CpuFn *f, const Affine *x, int depth, bool up, int u)
{
    const NestLoop *l = &f->s->loop[f->vec];
    Affine rest = *x;
    LLVMValueRef at, index;

    if (!dim_is_const(l->extent) || l->extent->value > INT32_MAX) return NULL;
    rest.coef[l->last] = NULL;
    at = cpu_offset(f, &rest, u);
    cpu_at(f, affine_depth(f, &rest));
    if (up) at = LLVMBuildNeg(f->b, at, "");
    at = cpu_call2(f, "llvm.smin", at, cpu_dim(f, l->extent));
    at = cpu_call2(f, "llvm.smax", at, cpu_i64(f->m, -1));
    at = cpu_splat(f, LLVMBuildTrunc(f->b, at, f->m->i32, ""), f->lanes);
    cpu_at(f, depth);
    index = LLVMBuildTrunc(f->b, f->loop_value[f->vec], f->m->i32, "");
    index = LLVMBuildAdd(f->b, cpu_splat(f, index, f->lanes), cpu_iota(f, f->m->i32, f->lanes), "");
    if (u && f->across < 0)
        index =
            LLVMBuildAdd(f->b, index, cpu_splat_const(cpu_i32(f->m, u * f->lanes), f->lanes), "");
    return LLVMBuildICmp(f->b, LLVMIntEQ, index, at, "");
}

/* A comparison of i64 where a - b is +-lane + base: one of narrow lane numbers. */
static LLVMValueRef lane_compare(CpuFn *f, const Sx *e, const CpuVal *info, int u)
{
    const Affine *x = map_get(&f->s->address, e);
    bool up, equal = e->op == SX_LE;
    LLVMValueRef base, limit, r;

    if (!x || f->vec < 0 || f->lanes < 2 || !info->varies) return NULL;
    Dim c = x->coef[f->s->loop[f->vec].last];
    if (!c || !(dim_is(c, 1) || dim_is(c, -1))) return NULL;
    for (int i = 0; i < x->n_term; i++) {
        if (cpu_varies(f, x->term[i].e)) return NULL;
    }
    up = dim_is(c, 1);
    if (e->op == SX_EQ || e->op == SX_NE) {
        r = lane_equals(f, x, info->depth, up, u);
        return r && e->op == SX_NE ? LLVMBuildNot(f->b, r, "") : r;
    }
    base = cpu_offset(f, x, u); /* of lane 0 */
    cpu_at(f, info->depth);
    if (up) { /* lane + base < 0 (<= 0): lane < -base (+1) */
        limit = LLVMBuildSub(f->b, cpu_i64(f->m, equal ? 1 : 0), base, "");
        return cpu_lane_limit(f, limit);
    } /* base - lane < 0 (<= 0): not lane < base + 1 (base) */
    limit = LLVMBuildAdd(f->b, base, cpu_i64(f->m, equal ? 0 : 1), "");
    r = cpu_lane_limit(f, limit);
    return LLVMBuildNot(f->b, r, "");
}

static LLVMValueRef compute(CpuFn *f, const Sx *e, const CpuVal *info, int u)
{
    LLVMValueRef a[3];

    if (nest_compares(e)) {
        LLVMValueRef r = lane_compare(f, e, info, u);
        if (r) return r;
    }
    if (e->op == SX_SELECT && e->index) {
        LLVMValueRef r = cpu_mostly(f, e, u);
        if (r) return r;
    }
    if (e->n > 3) {
        cpu_bug(f, "an operation of more than three arguments");
        return LLVMConstNull(f->m->i64);
    }
    for (int i = 0; i < e->n; i++) {
        bool scalar = !info->varies || (e->op == SX_SELECT && i == 0 && !cpu_varies(f, e->arg[0]));
        a[i] = scalar ? cpu_value(f, e->arg[i], u) : cpu_vector(f, e->arg[i], u);
        for (int k = u + 1; k < f->active && cpu_info(f, e->arg[i])->parts; k++)
            cpu_value(f, e->arg[i], k);
    }
    cpu_at(f, info->depth);
    return cpu_apply(f, e, a);
}

LLVMValueRef cpu_value(CpuFn *f, const Sx *e, int u)
{
    CpuVal *info = cpu_info(f, e);
    int slot = info->parts ? u : 0;
    LLVMValueRef v;

    if (info->v[slot]) return info->v[slot];
    if (e->op == SX_CONST)
        v = cpu_const(f->m, e->dtype, e->bits);
    else if (e->op == SX_DIM)
        v = cpu_dim(f, e->dim);
    else if (e->op == SX_INDEX)
        v = index_value(f, e, info->depth, u);
    else if (e->op == SX_ACC)
        v = e->index == NEST_OLD ? f->old[u] : f->acc[e->index * CPU_UNROLL + slot];
    else if (e->op == SX_LOAD)
        v = cpu_load(f, e, u);
    else if (e->op == SX_CHECK)
        v = cpu_check(f, e, u);
    else
        v = compute(f, e, info, u);
    info->v[slot] = v;
    info->level = info->depth;
    return v;
}

LLVMValueRef cpu_vector(CpuFn *f, const Sx *e, int u)
{
    LLVMValueRef v = cpu_value(f, e, u);
    CpuVal *info = cpu_info(f, e);

    if (info->varies || f->lanes == 1) return v;
    if (info->parts) {
        cpu_at(f, info->depth);
        return cpu_splat(f, v, f->lanes);
    }
    if (info->splat && (int)LLVMGetVectorSize(LLVMTypeOf(info->splat)) == f->lanes)
        return info->splat;
    cpu_at(f, info->depth);
    return info->splat = cpu_splat(f, v, f->lanes);
}
