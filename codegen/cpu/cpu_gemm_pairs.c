/* cpu_gemm_pairs.c: contractions of bf16, two k at a time.
 *
 *     C[m, n] = sum over k of f32(a[m, k]) * b[k, n],   a bf16 in place, b known
 *
 * To the rest of the generator an element is a pair: of A where it lies, two neighbours along k in
 * 32 bits; of B as packed, the same of each column. K and all steps are counted in pairs, and the
 * product of a pair is one instruction that adds two products to an f32. So tiles, blocks and
 * epilogues are those of f32, at half the K. */
#include "codegen/cpu/cpu_gemm_impl.h"

enum { PAIR = 2 };

const Sx *gemm_widened_load(SxTable *t, const Sx *e)
{
    const Sx *load = e;

    while (load->op != SX_LOAD) {
        if (load->n < 1) return NULL;
        load = load->arg[0];
    }
    if (load->dtype != DT_BF16 || load->guarded || load->src < 0) return NULL;
    return sx_expand(t, sx_cast(t, load, DT_F32), (SxHas){.f16 = true, .scale = true}) == e ? load
                                                                                            : NULL;
}

/* A load of constant strides. */
static bool weights_fit(const CpuGemm *g)
{
    const NestStage *s = &g->nest->stage[STAGE_B];
    const Sx *e = gemm_widened_load(&g->nest->module->sx, s->value[0]);
    const Affine *x = e ? map_get(&s->address, e) : NULL;

    if (!x || x->n_term || !dim_is_const(x->base)) return false;
    for (int i = 0; i < g->n_index; i++)
        if (x->coef[i] && !dim_is_const(x->coef[i])) return false;
    return true;
}

bool gemm_pairs_fit(CpuGemm *g)
{
    if (!dim_is_const(g->size_k) || g->size_k->value % PAIR || !dim_is_const(g->size_n))
        return false;
    if (!gemm_constant(g, STAGE_B) || gemm_constant(g, STAGE_A) || !weights_fit(g)) return false;
    g->a_load = gemm_widened_load(&g->nest->module->sx, g->nest->stage[STAGE_A].value[0]);
    return g->a_load != NULL;
}

static bool is_even(Dim d)
{
    return dim_is_const(d) && d->value % PAIR == 0;
}

bool gemm_pairs_rows(CpuGemm *g)
{
    DimTable *t = &g->nest->module->dims;
    int last = g->a.n_k - 1;

    if (!g->a.in_place || last < 0 || !dim_is(g->a.k_step[last], 1)) return false;
    if (!is_even(g->a.k_extent[last]) || g->a.row % PAIR || g->run_step % PAIR) return false;
    for (int i = 0; i < last; i++)
        if (!is_even(g->a.k_step[i])) return false;
    g->a.k_extent[last] = dim_const(t, g->a.k_extent[last]->value / PAIR);
    for (int i = 0; i < last; i++)
        g->a.k_step[i] = dim_const(t, g->a.k_step[i]->value / PAIR);
    g->a.row /= PAIR;
    g->run_step /= PAIR;
    g->size_k = dim_const(t, g->size_k->value / PAIR);
    return true;
}

void gemm_pack_pairs(const Tensor *t, int64_t base, int64_t n, const int64_t *k, int64_t lines,
                     const int64_t *line, int64_t width, float *to)
{
    const uint16_t *u = (const uint16_t *)t->data + base;

    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < lines; j++) {
            uint32_t even = u[k[PAIR * i] + line[j]], odd = u[k[PAIR * i + 1] + line[j]];
            ((uint32_t *)to)[i * width + j] = even | odd << 16;
        }
}

LLVMValueRef gemm_dot_pair(CpuFn *f, const CpuGemm *g, LLVMValueRef a, LLVMValueRef b,
                           LLVMValueRef acc)
{
    LLVMTypeRef one = LLVMBFloatTypeInContext(f->m->cx);
    LLVMTypeRef pairs = cpu_lanes_type(one, PAIR * g->lanes);
    LLVMValueRef args[] = {acc, LLVMBuildBitCast(f->b, a, pairs, ""),
                           LLVMBuildBitCast(f->b, b, pairs, "")};

    return cpu_intrinsic(f->m, "llvm.x86.avx512bf16.dpbf16ps.512", 0, NULL, 3, args);
}
