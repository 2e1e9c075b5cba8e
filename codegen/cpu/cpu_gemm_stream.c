/* cpu_gemm_stream.c: contractions on tiles of AMX whose weights come from memory.
 *
 *     for each block of rows, which stay in L2
 *         for each block of K, of which the rows have no more than L2 holds
 *             for each panel of columns
 *                 for each panel of rows:  tiles, which meanwhile fetch the next panel of columns
 *
 * So weights come from memory once for each block of rows, and while tiles are busy. They come in
 * four streams, quarters of a panel, which memory gives faster than one; and spread over all panels
 * of rows, for lines on their way take the places of those that tiles wait for.
 *
 * If K is cut, sums are kept in scratch between its blocks. A sum goes on where it was left: it is
 * the same one. Neighbouring tasks have the same rows, and are gone through as one. Where rows are
 * far apart, and enough panels of columns follow, the first one copies them as the tiles that they
 * are loaded as: one line after the other, which caches fetch by themselves. */
#include "codegen/cpu/cpu_gemm_impl.h"

enum { LINE = 64, PANELS_PER_COPY = 6 };

static int64_t floats_of_block(const CpuGemm *g)
{
    return g->k_steps * AMX_GROUPS * g->parts * g->nr;
}

/* ---- what is fetched ---- */

static LLVMValueRef weights_at(GemmTask *t, LLVMValueRef n, LLVMValueRef block)
{
    CpuFn *f = t->f;
    LLVMValueRef at = gemm_mul(f, n, t->k);

    if (block) at = gemm_add(f, at, gemm_mul(f, block, cpu_i64(f->m, floats_of_block(t->g))));
    return gemm_float_at(f, t->pack_b, at);
}

/* The panel behind this one; behind the last one of a block of K, the first one of the next block;
 * behind all, what lies there: other columns, or the weights of another kernel. */
static LLVMValueRef next_panel(GemmTask *t)
{
    CpuFn *f = t->f;
    LLVMValueRef n, last, zero = cpu_i64(f->m, 0), from, block;

    cpu_at(f, f->level);
    n = gemm_add(f, t->column, cpu_i64(f->m, t->g->nr));
    if (!t->k_block) return weights_at(t, n, NULL);
    last = LLVMBuildICmp(f->b, LLVMIntSGE, n, t->n1, "");
    block = LLVMBuildSelect(f->b, last, gemm_add(f, t->k_block, cpu_i64(f->m, 1)), t->k_block, "");
    from = LLVMBuildSelect(f->b, last, t->n0, n, "");
    last = LLVMBuildICmp(f->b, LLVMIntSGE, block, cpu_i64(f->m, gemm_k_blocks(t->g)), "");
    from = LLVMBuildSelect(f->b, last, t->n1, from, "");
    return weights_at(t, from, LLVMBuildSelect(f->b, last, zero, block, ""));
}

void gemm_stream_fetches(GemmTask *t, GemmTile *x, LLVMValueRef m)
{
    CpuFn *f = t->f;
    const CpuGemm *g = t->g;
    int64_t steps = g->k_steps ? g->k_steps : gemm_run_bytes(g) / AMX_BYTES + 1;
    int64_t of_stream = g->fetch_lines / FETCH_STREAMS * LINE; /* bytes, each step */
    int64_t quarter = steps * AMX_GROUPS * g->parts * 4 * g->nr / FETCH_STREAMS;
    LLVMValueRef panel, at, fetches, row = cpu_i64(f->m, of_stream / AMX_GROUPS / g->parts);

    cpu_at(f, f->level);
    panel = gemm_add(f, LLVMBuildSub(f->b, m, t->m0, ""), cpu_i64(f->m, g->rows[0] / 2));
    panel = LLVMBuildUDiv(f->b, panel, cpu_i64(f->m, g->rows[0]), ""); /* heights differ by one */
    fetches = LLVMBuildICmp(f->b, LLVMIntULT, panel, cpu_i64(f->m, g->fetch_panels), "");
    /* or the same lines again */
    x->fetch_row = LLVMBuildSelect(f->b, fetches, row, cpu_i64(f->m, 0), "");
    at = gemm_mul(f, LLVMBuildSelect(f->b, fetches, panel, cpu_i64(f->m, 0), ""),
                  cpu_i64(f->m, steps * of_stream));
    for (int i = 0; i < FETCH_STREAMS; i++) {
        LLVMValueRef from = gemm_add(f, at, cpu_i64(f->m, i * quarter));
        x->fetch[i] = LLVMBuildGEP2(f->b, f->m->i8, t->next, &from, 1, "");
    }
}

/* ---- rows ---- */

void gemm_stream_rows(GemmTask *t, GemmTile *x, LLVMValueRef m)
{
    CpuFn *f = t->f;
    const CpuGemm *g = t->g;
    int64_t tile = (int64_t)x->rows * AMX_BYTES, steps = gemm_run_bytes(g) / AMX_BYTES;
    LLVMValueRef from, end, to, copies, first, at, a, low;
    CpuIf c;

    if (!g->tiles_of_rows) return;
    cpu_at(f, f->level);
    from = gemm_mul(f, t->k_block, cpu_i64(f->m, g->k_steps));
    end = gemm_smin(f, gemm_add(f, from, cpu_i64(f->m, g->k_steps)), cpu_i64(f->m, steps));
    at = cpu_i64(f->m, g->k_steps * g->parts * AMX_BYTES);
    at = gemm_mul(f, LLVMBuildSub(f->b, m, t->m0, ""), at);
    to = LLVMBuildGEP2(f->b, f->m->i8, t->scratch_a, &at, 1, "");
    copies = LLVMBuildICmp(f->b, LLVMIntSGE, LLVMBuildSub(f->b, t->n1, t->n0, ""),
                           cpu_i64(f->m, PANELS_PER_COPY * g->nr), "");
    first = LLVMBuildICmp(f->b, LLVMIntEQ, t->column, t->n0, "");
    c = cpu_if_open(f, LLVMBuildAnd(f->b, copies, first, ""));
    gemm_amx_copy_steps(f, g, x, from, end, to);
    cpu_if_close(f, &c);
    cpu_at(f, f->level);
    at = gemm_mul(f, from, cpu_i64(f->m, -tile * g->parts));
    a = LLVMBuildGEP2(f->b, f->m->i8, to, &at, 1, "");
    x->a = LLVMBuildSelect(f->b, copies, a, x->a, "");
    x->a_row = LLVMBuildSelect(f->b, copies, cpu_i64(f->m, AMX_BYTES),
                               cpu_i64(f->m, gemm_amx_pitch(g)), "");
    x->a_step =
        LLVMBuildSelect(f->b, copies, cpu_i64(f->m, tile * g->parts), cpu_i64(f->m, AMX_BYTES), "");
    if (g->parts < 2) return;
    at = gemm_add(f, at, cpu_i64(f->m, tile));
    low = LLVMBuildGEP2(f->b, f->m->i8, to, &at, 1, "");
    x->a_low = LLVMBuildSelect(f->b, copies, low, x->a_low, "");
}

/* ---- loops ---- */

static void each_panel(GemmTask *t)
{
    CpuFn *f = t->f;
    CpuLoop l = cpu_loop_open(f, t->n0, t->n1, t->g->nr, 0, NULL);

    t->column = l.index;
    t->next = next_panel(t);
    gemm_all_panels(t);
    cpu_loop_close(f, &l, NULL);
}

/* Blocks of K, with as many columns as sums are kept of. */
static void each_block(GemmTask *t, LLVMValueRef n0, LLVMValueRef n1)
{
    CpuFn *f = t->f;
    const CpuGemm *g = t->g;
    CpuLoop columns = cpu_loop_open(f, n0, n1, g->sums_n, 0, NULL), blocks;

    cpu_at(f, f->level);
    t->n0 = columns.index;
    t->n1 = gemm_smin(f, gemm_add(f, t->n0, cpu_i64(f->m, g->sums_n)), n1);
    blocks = cpu_loop_open(f, cpu_i64(f->m, 0), cpu_i64(f->m, gemm_k_blocks(g)), 1, 0, NULL);
    t->k_block = blocks.index;
    each_panel(t);
    cpu_loop_close(f, &blocks, NULL);
    cpu_loop_close(f, &columns, NULL);
}

/* Those tasks from f->begin to f->end that have the rows of number `rows`. */
static void tasks_of_rows(GemmTask *t, LLVMValueRef rows)
{
    CpuFn *f = t->f;
    const CpuGemm *g = t->g;
    LLVMValueRef blocks = cpu_dim(f, g->blocks_n), first, from, to, n0, n1;

    cpu_at(f, f->level);
    first = gemm_mul(f, rows, blocks);
    from = cpu_call2(f, "llvm.smax", LLVMBuildSub(f->b, f->begin, first, ""), cpu_i64(f->m, 0));
    to = gemm_smin(f, LLVMBuildSub(f->b, f->end, first, ""), blocks);
    n0 = gemm_mul(f, from, cpu_i64(f->m, g->block_n));
    n1 = gemm_smin(f, gemm_mul(f, to, cpu_i64(f->m, g->block_n)), t->N);
    gemm_rows_of_block(t, cpu_take(f, &rows, g->blocks_m));
    t->o = rows;
    t->pack_b = gemm_packed(t, &g->b);
    t->n0 = n0;
    t->n1 = n1;
    if (g->k_steps)
        each_block(t, n0, n1);
    else
        each_panel(t);
}

void gemm_emit_stream(GemmTask *t)
{
    CpuFn *f = t->f;
    const CpuGemm *g = t->g;
    LLVMValueRef blocks = cpu_dim(f, g->blocks_n), first, last;
    CpuLoop l;

    cpu_at(f, f->level);
    first = LLVMBuildUDiv(f->b, f->begin, blocks, "");
    last = LLVMBuildSub(f->b, gemm_add(f, f->end, blocks), cpu_i64(f->m, 1), "");
    last = LLVMBuildUDiv(f->b, last, blocks, "");
    l = cpu_loop_open(f, first, last, 1, 0, NULL);
    tasks_of_rows(t, l.index);
    cpu_loop_close(f, &l, NULL);
}
