/* cpu_gemm_tile.c: the register tile: rows x vectors accumulators, carried through the loop over k.
 *
 *     for each k:  b[j] = vector j of B;  for each row: a = A(row, k);  acc[row][j] = fma(a, b[j],
 * acc[row][j])
 *
 * The accumulators, the vectors of B and one broadcast fit the registers (cpu_gemm.c chooses so),
 * hence the loop touches no memory but A and B. Two k a turn halve the loop's own cost; the chain
 * of each element is unchanged. */
#include "codegen/cpu/cpu_gemm_impl.h"

enum { MAX_ROWS = 32, MAX_VECTORS = 8 };

static LLVMValueRef load_vector(CpuFn *f, const CpuGemm *g, LLVMValueRef p)
{
    LLVMValueRef v = LLVMBuildLoad2(f->b, cpu_lanes_type(f->m->f32, g->lanes), p, "");

    LLVMSetAlignment(v, 4);
    return v;
}

static void one_k(CpuFn *f, const CpuGemm *g, const GemmTile *t, LLVMValueRef a, LLVMValueRef b,
                  LLVMValueRef *acc)
{
    LLVMValueRef vb[MAX_VECTORS];

    for (int j = 0; j < t->vectors; j++)
        vb[j] = load_vector(f, g, gemm_float_at(f, b, cpu_i64(f->m, (int64_t)j * g->lanes)));
    for (int r = 0; r < t->rows; r++) {
        LLVMValueRef p = gemm_float_at(f, a, cpu_i64(f->m, r * t->a_row));
        LLVMValueRef x = LLVMBuildLoad2(f->b, f->m->f32, p, "");

        LLVMSetAlignment(x, 4);
        x = cpu_splat(f, x, g->lanes);
        for (int j = 0; j < t->vectors; j++) {
            LLVMValueRef *c = &acc[r * t->vectors + j];
            *c = cpu_fma(f, DT_F32, x, vb[j], *c);
        }
    }
}

static void k_loop(CpuFn *f, const CpuGemm *g, const GemmTile *t, LLVMValueRef *acc)
{
    int n = t->rows * t->vectors;
    CpuLoop l = cpu_loop_open(f, cpu_i64(f->m, 0), t->k, 1, n, acc);

    for (int i = 0; i < n; i++)
        acc[i] = l.carry[i];
    cpu_at(f, f->level);
    one_k(f, g, t, gemm_float_at(f, t->a, gemm_mul(f, l.index, t->a_step)),
          gemm_float_at(f, t->b, gemm_mul(f, l.index, t->b_step)), acc);
    cpu_loop_close(f, &l, acc);
    for (int i = 0; i < n; i++)
        acc[i] = l.carry[i];
}

void gemm_emit_tile(CpuFn *f, const CpuGemm *g, const GemmTile *t)
{
    LLVMValueRef acc[MAX_ROWS * MAX_VECTORS];
    LLVMTypeRef type = cpu_lanes_type(f->m->f32, g->lanes);
    int n = t->rows * t->vectors;

    for (int i = 0; i < n; i++)
        acc[i] = LLVMConstNull(type);
    k_loop(f, g, t, acc);
    cpu_at(f, f->level);
    for (int i = 0; i < n; i++) {
        int64_t at = (int64_t)(i / t->vectors) * g->nr + (int64_t)(i % t->vectors) * g->lanes;
        LLVMValueRef p = gemm_float_at(f, t->tile, cpu_i64(f->m, at));
        LLVMSetAlignment(LLVMBuildStore(f->b, acc[i], p), 4);
    }
}
