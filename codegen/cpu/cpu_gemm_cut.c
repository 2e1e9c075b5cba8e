/* cpu_gemm_cut.c: contractions of floats whose panels of columns are larger than what L2 holds.
 *
 *     for each block of K, of which L2 holds a panel of columns
 *         for each panel of rows, and of columns:  tiles
 *
 * A panel of columns would else come from the third level of cache for each panel of rows. Sums are
 * kept in scratch between the blocks; a sum goes on where it was left: it is the same one. Blocks
 * are cut out of the outermost loop of K, the rows of a window if it has any. */
#include "codegen/cpu/cpu_gemm_impl.h"

enum {
    PANEL_BYTES = 1 << 20,   /* of columns that are not cut, */
    BLOCK_BYTES = 640 << 10, /* and a block's at most, if a loop is long enough */
    MOST_SUMS = 512 << 10,   /* bytes */
    LEAST_PANELS = 4         /* of rows, which share a block */
};

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static bool is_fit(const CpuGemm *g)
{
    return g->b.pack >= 0 && g->a.in_place && !g->amx && !g->bytes && !g->pairs && !g->open &&
           !g->band && !g->alternates && dim_is_const(g->size_k) && dim_is_const(g->size_m) &&
           g->a.n_k > 0 && dim_is_const(g->a.k_extent[0]) && (g->along.k < 0 || g->along.loop > 0);
}

void gemm_choose_cut(CpuGemm *g)
{
    DimTable *t = &g->nest->module->dims;
    int64_t panel, blocks, extent;
    Dim sums;

    if (!is_fit(g)) return;
    panel = g->unit * g->size_k->value * g->nr;
    sums = dim_mul_c(t, gemm_rows_of_task(g), g->unit * g->block_n);
    if (panel <= (g->l2 ? g->l2 : PANEL_BYTES) || nest_guess(sums) > MOST_SUMS ||
        g->size_m->value < LEAST_PANELS * g->rows[0])
        return;
    extent = g->a.k_extent[0]->value;
    blocks = ceil_div(panel, g->l2 ? g->l2 : BLOCK_BYTES);
    if (blocks > extent) blocks = extent;
    if (blocks < 2) return;
    g->k_cut = ceil_div(extent, blocks);
    g->sums = sums;
}

int64_t gemm_block_depth(const CpuGemm *g)
{
    return g->size_k->value / g->a.k_extent[0]->value * g->k_cut;
}

void gemm_cut_k(GemmTask *t, GemmTile *x)
{
    CpuFn *f = t->f;
    LLVMValueRef from, end;

    if (!t->g->k_cut) return;
    cpu_at(f, f->level);
    from = gemm_mul(f, t->k_block, cpu_i64(f->m, t->g->k_cut));
    end = gemm_smin(f, gemm_add(f, from, cpu_i64(f->m, t->g->k_cut)), x->k_extent[0]);
    x->k_extent[0] = end;
    x->k_from = x->k_from ? cpu_call2(f, "llvm.smax", x->k_from, from) : from;
}

/* Every sum starts with zero. */
static void clear_sums(GemmTask *t)
{
    CpuFn *f = t->f;
    const CpuGemm *g = t->g;
    LLVMTypeRef type = cpu_lanes_type(f->element, g->lanes);
    LLVMValueRef rows = cpu_dim(f, gemm_rows_of_task(g)), end;
    CpuLoop l;

    cpu_at(f, f->level);
    end = gemm_mul(f, rows, cpu_i64(f->m, g->block_n));
    l = cpu_loop_open(f, cpu_i64(f->m, 0), end, g->lanes, 0, NULL);
    cpu_at(f, f->level);
    LLVMSetAlignment(
        LLVMBuildStore(f->b, LLVMConstNull(type), gemm_float_at(f, f->scratch, l.index)), 4);
    cpu_loop_close(f, &l, NULL);
}

void gemm_emit_cut(GemmTask *t)
{
    CpuFn *f = t->f;
    CpuLoop l;

    clear_sums(t);
    l = cpu_loop_open(f, cpu_i64(f->m, 0), cpu_i64(f->m, gemm_k_blocks(t->g)), 1, 0, NULL);
    t->k_block = l.index;
    gemm_all_panels(t);
    cpu_loop_close(f, &l, NULL);
    t->k_block = NULL;
}

/* ---- the block at hand ---- */

int64_t gemm_k_blocks(const CpuGemm *g)
{
    if (g->k_cut) return ceil_div(g->a.k_extent[0]->value, g->k_cut);
    return g->k_steps ? ceil_div(gemm_run_bytes(g) / AMX_BYTES, g->k_steps) : 1;
}

LLVMValueRef gemm_is_last_block(GemmTask *t)
{
    CpuFn *f = t->f;

    cpu_at(f, f->level);
    return LLVMBuildICmp(f->b, LLVMIntEQ, t->k_block, cpu_i64(f->m, gemm_k_blocks(t->g) - 1), "");
}

LLVMValueRef gemm_sums_at(GemmTask *t, LLVMValueRef m, LLVMValueRef n)
{
    CpuFn *f = t->f;
    LLVMValueRef first = t->m0, end = t->m1, at;

    cpu_at(f, f->level);
    if (!dim_is(t->g->lines, 1)) {
        LLVMValueRef line = cpu_dim(f, t->g->line);
        cpu_at(f, f->level);
        first = gemm_mul(f, first, line);
        end = gemm_mul(f, end, line);
    }
    at = gemm_mul(f, LLVMBuildSub(f->b, n, t->n0, ""), LLVMBuildSub(f->b, end, first, ""));
    m = gemm_mul(f, LLVMBuildSub(f->b, m, first, ""), cpu_i64(f->m, t->g->width));
    return gemm_float_at(f, f->scratch, gemm_add(f, at, m));
}

LLVMValueRef gemm_next_block(GemmTask *t, LLVMValueRef n)
{
    CpuFn *f = t->f;
    LLVMValueRef next, last = gemm_is_last_block(t);

    next = gemm_mul(f, gemm_add(f, t->k_block, cpu_i64(f->m, 1)),
                    cpu_i64(f->m, gemm_block_depth(t->g) * t->g->nr));
    next = LLVMBuildSelect(f->b, last, gemm_mul(f, t->k, cpu_i64(f->m, t->g->block_n)), next, "");
    return gemm_add(f, gemm_mul(f, n, t->k), next);
}
