/* cpu_tile.c: loads that are contiguous along another loop than the lanes.
 *
 *     operand, contiguous along w      tile of lanes x lanes        for each w of the tile: one
 * vector v0   r0: w0 w1 w2 w3              log2(lanes) rounds           along v, as if it had been
 *       v1   r1: w0 w1 w2 w3              of shuffles                  loaded so
 *       ...
 *
 * Round h exchanges blocks of h lanes between rows i and i + h, which ends in the transpose. */
#include "codegen/cpu/cpu_emit.h"

enum { TILE_MOST = 16 };

int cpu_tile_lanes(const CpuFn *f)
{
    int lanes = cpu_native_lanes(f);

    return lanes > TILE_MOST ? TILE_MOST : lanes;
}

bool cpu_tile_fits(const CpuFn *f)
{
    int64_t lanes = cpu_tile_lanes(f);

    return lanes > 1 && !f->from[f->s->vec] && nest_guess(f->s->loop[f->s->vec].extent) >= lanes &&
           nest_guess(f->s->loop[f->s->tile].extent) >= lanes;
}

static LLVMValueRef exchange(CpuFn *f, LLVMValueRef a, LLVMValueRef b, int lanes, int h, bool high)
{
    LLVMValueRef pick[TILE_MOST];

    for (int l = 0; l < lanes; l++) {
        if (high)
            pick[l] = cpu_i32(f->m, l & h ? lanes + l : l + h);
        else
            pick[l] = cpu_i32(f->m, l & h ? lanes + l - h : l);
    }
    return LLVMBuildShuffleVector(f->b, a, b, LLVMConstVector(pick, (unsigned)lanes), "");
}

static void transpose(CpuFn *f, LLVMValueRef *r, int lanes)
{
    for (int h = lanes / 2; h; h /= 2)
        for (int i = 0; i < lanes; i++) {
            LLVMValueRef a = r[i], b;
            if (i & h) continue;
            b = r[i + h];
            r[i] = exchange(f, a, b, lanes, h, false);
            r[i + h] = exchange(f, a, b, lanes, h, true);
        }
}

/* The rows of a load's tile, transposed; elements as in memory. */
static void load_tile(CpuFn *f, const Sx *e, LLVMValueRef *r)
{
    const Affine *x = map_get(&f->s->address, e);
    LLVMTypeRef element = cpu_mem_type(f->m, e->dtype);
    LLVMValueRef offset = cpu_offset(f, x, 0), base = cpu_operand(f, e->src), stride, at;

    stride = cpu_dim(f, x->coef[f->s->loop[f->vec].last]);
    cpu_at(f, f->level);
    for (int i = 0; i < f->lanes; i++) {
        at = LLVMBuildMul(f->b, stride, cpu_i64(f->m, i), "");
        at = LLVMBuildAdd(f->b, offset, at, "");
        at = cpu_element(f, e->dtype, base, at);
        r[i] = LLVMBuildLoad2(f->b, cpu_lanes_type(element, f->lanes), at, "");
        LLVMSetAlignment(r[i], (unsigned)dtype_bytes(e->dtype));
    }
    transpose(f, r, f->lanes);
}

void cpu_tile_points(CpuFn *f)
{
    int w = f->s->tile, n = 0;
    LLVMValueRef origin = f->loop_value[w], (*rows)[TILE_MOST];
    const Sx **load = ARENA_ARRAY(f->arena, const Sx *, f->s->address.count);
    size_t i = 0;
    const void *key;
    void *x;

    while (map_next(&f->s->address, &i, &key, &x)) {
        if (nest_is_transposed(f->s, key)) load[n++] = key;
    }
    rows = arena_alloc(f->arena, sizeof *rows * (size_t)n);
    for (int k = 0; k < n; k++)
        load_tile(f, load[k], rows[k]);
    for (int turn = 0; turn < f->lanes; turn++) {
        cpu_turn_open(f);
        cpu_at(f, f->level);
        f->loop_value[w] = LLVMBuildAdd(f->b, origin, cpu_i64(f->m, turn), "");
        f->loop_level[w] = f->level;
        cpu_restamp(f);
        for (int k = 0; k < n; k++) {
            CpuVal *v = cpu_info(f, load[k]);
            v->v[0] = cpu_from_mem(f, load[k]->dtype, rows[k][turn]);
            v->level = v->depth;
        }
        cpu_store_point(f);
        cpu_turn_close(f);
    }
}
