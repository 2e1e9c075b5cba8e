/* cpu_scan.c: running values along an axis.
 *
 * Lanes are other places than those of the axis. Where the axis is what lies along memory, tiles of
 * it are transposed in registers on the way in and out, and the running values of as many rows as
 * there are lanes go from column to column. Each of them is the same chain. */
#include "codegen/cpu/cpu_emit.h"

void cpu_scan(CpuFn *f)
{
    int l = f->s->scan, n;
    LLVMValueRef *carry, hi = cpu_dim(f, f->s->loop[l].extent);
    CpuLoop loop;

    f->acc_varies = f->lanes > 1;
    n = cpu_carry_count(f);
    carry = ARENA_ARRAY(f->arena, LLVMValueRef, n);
    cpu_carry_start(f, carry);
    loop = cpu_loop_open(f, cpu_i64(f->m, 0), hi, 1, n, carry);
    f->loop_value[l] = loop.index;
    f->loop_level[l] = f->level;
    cpu_restamp(f);
    for (int i = 0; i < n; i++)
        carry[i] = loop.carry[i];
    cpu_carry_add(f, carry);
    cpu_carry_publish(f, carry);
    cpu_store_point(f);
    cpu_loop_close(f, &loop, carry);
}

/* ---- Tiles */

typedef struct ScanTiles {
    int n;             /* running values */
    LLVMValueRef *acc; /* [n] on the stack, where registers are made of them */
    LLVMValueRef *start;
    LLVMValueRef *turned; /* [n_out] */
} ScanTiles;

static bool is_along(const Affine *x, const CpuFn *f, int v, int w)
{
    v = f->s->loop[v].last;
    return !x->n_term && affine_is_coef(x, f->s->loop[w].last, 1) && !affine_is_coef(x, v, 0) &&
           !affine_is_coef(x, v, 1);
}

/* Whether all that varies along the axis lies along memory there. */
static bool rows_lie_along(const CpuFn *f, int v, int w)
{
    const NestStage *s = f->s;
    size_t i = 0;
    const void *key;
    void *x;

    while (map_next(&s->address, &i, &key, &x)) {
        bool fixed = !((Affine *)x)->n_term && affine_is_coef(x, s->loop[w].last, 0);
        if (!fixed && (((Affine *)x)->n_term || !nest_transposes(f->nest, s, key, v, w)))
            return false;
    }
    for (int j = 0; j < s->stage->n_out; j++) {
        const StageOut *o = &s->stage->out[j];
        if (o->dst || o->result < 0 || dtype_bits(o->dtype) > 64) return false;
        if (!is_along(s->store[j], f, v, w)) return false;
    }
    return true;
}

static void scan_rows(CpuFn *f, void *context)
{
    ScanTiles *x = context;

    cpu_at(f, f->level);
    for (int i = 0; i < x->n; i++)
        LLVMBuildStore(f->b, x->start[i], x->acc[i]);
}

static void scan_column(CpuFn *f, void *context, LLVMValueRef column)
{
    ScanTiles *x = context;
    LLVMValueRef *carry = ARENA_ARRAY(f->arena, LLVMValueRef, x->n), v;

    cpu_at(f, f->level);
    for (int i = 0; i < x->n; i++)
        carry[i] = LLVMBuildLoad2(f->b, LLVMTypeOf(x->start[i]), x->acc[i], "");
    cpu_carry_add(f, carry);
    cpu_at(f, f->level);
    for (int i = 0; i < x->n; i++)
        LLVMBuildStore(f->b, carry[i], x->acc[i]);
    cpu_carry_publish(f, carry);
    for (int j = 0; j < f->s->stage->n_out; j++) {
        v = cpu_vector(f, f->s->value[j], 0);
        cpu_at(f, f->level);
        v = cpu_to_mem(f, f->s->stage->out[j].dtype, v);
        LLVMBuildStore(f->b, v, LLVMBuildGEP2(f->b, LLVMTypeOf(v), x->turned[j], &column, 1, ""));
    }
}

bool cpu_scan_tiles(CpuFn *f, int l, LLVMValueRef from, LLVMValueRef to)
{
    const NestStage *s = f->s;
    int n_out = s->stage->n_out, lanes = cpu_native_lanes(f);
    ScanTiles own = {.turned = ARENA_ARRAY(f->arena, LLVMValueRef, n_out)};
    CpuTileLoops x = {.v = l, .w = s->scan, .v_from = from, .v_to = to, .v_cut = true};

    if (s->scan < 0 || l == s->scan || !cpu_can_mask(f)) return false;
    if (!cpu_tiles_fit(f, &x) || !cpu_tiles_are_square(f, &x)) return false;
    if (!rows_lie_along(f, l, s->scan)) return false;
    f->lanes = lanes;
    f->unroll = f->active = 1;
    f->acc_varies = true;
    own.n = cpu_carry_count(f);
    own.acc = ARENA_ARRAY(f->arena, LLVMValueRef, own.n);
    own.start = ARENA_ARRAY(f->arena, LLVMValueRef, own.n);
    cpu_carry_start(f, own.start);
    for (int i = 0; i < own.n; i++)
        own.acc[i] = cpu_stack(f, LLVMTypeOf(own.start[i]), 1);
    for (int j = 0; j < n_out; j++)
        own.turned[j] =
            cpu_stack(f, cpu_lanes_type(cpu_mem_type(f->m, s->stage->out[j].dtype), lanes), lanes);
    x.w_from = cpu_i64(f->m, 0);
    x.w_to = cpu_dim(f, s->loop[s->scan].extent);
    x.rows_first = true;
    x.point = scan_column;
    x.rows = scan_rows;
    x.context = &own;
    x.turned = own.turned;
    cpu_tiles(f, &x);
    return true;
}
