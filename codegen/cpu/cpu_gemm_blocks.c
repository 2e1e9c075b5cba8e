/* cpu_gemm_blocks.c: tasks of a contraction: blocks of rows and of columns. A block of columns is
 * as wide as half of L2 holds all of K. */
#include "codegen/cpu/cpu_gemm_impl.h"

enum {
    L2_BYTES = 384 << 10,     /* for the block of B, */
    L2_BYTES_AMX = 640 << 10, /* where there is AMX, and 2 MB */
    TASKS_WANTED = 8,
    ROWS_PER_PACK = 192,      /* rows that make packing a block of B again worth while */
    ROWS_PER_THIN_PACK = 48,  /* the same where results cost more than the products, */
    THIN = 64,                /* which are of such a K at most */
    COLUMNS_PER_PACK = 512,   /* columns, and a block of A */
    AHEAD_BYTES = 256 << 10,  /* packed weights larger than this are fetched ahead */
    WEIGHT_BYTES = 768 << 10, /* weights that stay in L2 while rows are shared */
    WEIGHT_COST = 4,          /* multiply-adds in the time that one weight takes from L2 */
    WORTH_A_PART = 200000,    /* multiply-adds: 2 us */
    LANES_APART = 4096 / 32   /* columns of a pitch that would crowd one set of L1 */
};

/* Panels of columns that stream from memory past rows that stay in L2 (cpu_gemm_stream.c). */
enum {
    STREAM_ROWS = 256, /* of a task, at most */
    STREAM_TASKS = 24,
    LEAST_STEPS = 8,
    FAR_APART = 4096, /* bytes, of rows that come faster as tiles: a page, and all in a few sets */
    SUMS_OF_L2 = 2    /* times what L2 holds of operands: sums of a K that is cut */
};

static int64_t clamp(int64_t v, int64_t lo, int64_t hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

/* Panels, or lines, of a task. A line is never cut. */
static void cut_rows(CpuGemm *g, int64_t cuts)
{
    DimTable *t = &g->nest->module->dims;
    int64_t m = nest_guess(g->size_m), lines = nest_guess(g->lines);

    if (!dim_is(g->lines, 1)) {
        g->block_m = (lines + clamp(cuts, 1, lines) - 1) / clamp(cuts, 1, lines);
        g->blocks_m = dim_ceil_div(t, g->lines, dim_const(t, g->block_m));
        return;
    }
    if (g->tall >= 0) {
        int64_t panels = g->tall + (m - g->tall * g->rows[0]) / g->rows[g->n_rows - 1];
        cuts = clamp(cuts, 1, panels);
        g->block_m = (panels + cuts - 1) / cuts;
        g->blocks_m = dim_const(t, (panels + g->block_m - 1) / g->block_m);
        return;
    }
    g->block_m = gemm_round_up((m + cuts - 1) / cuts, g->rows[0]);
    g->blocks_m = dim_ceil_div(t, g->size_m, dim_const(t, g->block_m));
}

static int64_t packed_depth(const CpuGemm *g)
{
    return g->bytes || g->amx ? g->depth : nest_guess(g->size_k);
}

/* Whole rows of the result go to memory one behind the other, which is faster than a part of each,
 * and as fast as they are computed. */
static bool is_thin(const CpuGemm *g)
{
    return g->b.pack < 0 && !g->b.in_place && dim_is_const(g->size_k) && g->size_k->value <= THIN;
}

/* Into how many parts the rows may be cut so that each is worth it. */
static int64_t most_cuts(const CpuGemm *g)
{
    int64_t m = nest_guess(g->size_m);

    if (!dim_is(g->lines, 1)) return nest_guess(g->lines);
    if (is_thin(g)) return m / ROWS_PER_THIN_PACK;
    if (g->b.pack < 0 && !g->b.in_place) return m / ROWS_PER_PACK;
    return m / g->rows[0];
}

/* Equal blocks of columns, at most so wide. */
static void cut_columns(CpuGemm *g, int64_t wide)
{
    DimTable *t = &g->nest->module->dims;
    int64_t n = nest_guess(g->size_n), blocks;

    wide = clamp(wide / g->nr * g->nr, g->nr, gemm_round_up(clamp(n, 1, 4096), g->nr));
    blocks = (n + wide - 1) / wide;
    g->block_n = gemm_round_up((n + blocks - 1) / blocks, g->nr);
    g->blocks_n = dim_ceil_div(t, g->size_n, dim_const(t, g->block_n));
}

static bool is_in_loop(const Node *n)
{
    for (const Region *r = n->parent; r; r = r->holder ? r->holder->parent : NULL)
        if (r->holder && r->holder->kind == NODE_LOOP) return true;
    return false;
}

/* The product of a recurrent state, of few rows or of an open batch, with known weights. */
static bool is_state_product(const CpuGemm *g)
{
    bool in_place = g->a.pack >= 0 || g->a.in_place;
    bool few = !dim_is_const(g->size_m) || most_cuts(g) < TASKS_WANTED;

    return g->b.pack >= 0 && in_place && few && dim_is(g->lines, 1) && is_in_loop(g->nest->node);
}

static void choose_pitch(CpuGemm *g)
{
    g->pitch = g->block_n;
    if (g->b.pack < 0 && g->pitch % LANES_APART == 0 && gemm_columns_are_turned(g))
        g->pitch += 16; /* a column's tile is written to many k at once */
}

static int64_t tiles_l2(const CpuGemm *g)
{
    return g->l2 ? g->l2 : L2_BYTES_AMX;
}

/* Of weights that would stay in L2, nothing is gained. */
static bool streams(const CpuGemm *g)
{
    return g->amx && g->b.pack >= 0 && !g->open && !g->alternates && !g->band && !g->run &&
           dim_is(g->lines, 1) && g->a.n_k == 1 &&
           4 * g->depth * gemm_round_up(nest_guess(g->size_n), g->nr) >= tiles_l2(g) * 4 / 5;
}

/* Steps of K at once, so that rows of A stay in L2 meanwhile; 0: all. */
static int64_t steps_at_once(const CpuGemm *g, int64_t rows)
{
    int64_t bytes = gemm_run_bytes(g), steps = bytes / AMX_BYTES;
    int64_t blocks = (rows * bytes * g->parts + tiles_l2(g) - 1) / tiles_l2(g);

    if (bytes % AMX_BYTES || blocks < 2) return 0;
    if (steps / blocks < LEAST_STEPS) blocks = steps / LEAST_STEPS;
    return blocks < 2 ? 0 : (steps + blocks - 1) / blocks;
}

static void choose_stream(CpuGemm *g)
{
    DimTable *t = &g->nest->module->dims;
    int64_t m = nest_guess(g->size_m), n = nest_guess(g->size_n), rows, panels, lines;

    rows = clamp(m, 1, STREAM_ROWS);
    if (g->tall >= 0) {
        cut_rows(g, (m + STREAM_ROWS - 1) / STREAM_ROWS);
    } else {
        g->block_m = STREAM_ROWS;
        g->blocks_m = dim_ceil_div(t, g->size_m, dim_const(t, g->block_m));
    }
    cut_columns(g, (n + STREAM_TASKS - 1) / STREAM_TASKS);
    g->streams = g->rows_first = true;
    g->k_steps = steps_at_once(g, rows);
    g->sums_n = tiles_l2(g) * SUMS_OF_L2 / 4 / (g->tall >= 0 ? rows : STREAM_ROWS);
    g->sums_n =
        clamp(g->sums_n, g->block_n, gemm_round_up(n, g->block_n)) / g->block_n * g->block_n;
    g->sums = dim_mul_c(t, gemm_rows_of_task(g), g->k_steps ? 4 * g->sums_n : 0);
    if (g->k_steps && gemm_amx_pitch(g) >= FAR_APART)
        g->tiles_of_rows = dim_mul_c(t, gemm_rows_of_task(g), g->k_steps * AMX_BYTES * g->parts);
    panels = clamp(g->tall >= 0 ? g->block_m : rows / AMX_ROWS, 1, INT32_MAX);
    lines = AMX_GROUPS * 2 * g->parts;
    g->fetch_lines = (int)gemm_round_up((lines + panels - 1) / panels, FETCH_STREAMS);
    g->fetch_panels = (int)((lines + g->fetch_lines - 1) / g->fetch_lines);
}

/* Large weights, and several panels of rows among which to share the fetching. */
static bool is_fetched_ahead(const CpuGemm *g)
{
    return !g->streams && g->b.pack >= 0 && g->nest->abi.pack[g->b.pack].size > AHEAD_BYTES &&
           nest_guess(g->size_m) > 2 * g->rows[0];
}

/* Weights that fit L2 are read by every thread: threads then share the rows, as they did in the
 * layer before, and find them in their own cache. Larger ones are shared by columns, unless each
 * block of columns would pack the rows again. Those of a state are shared by columns, so that turns
 * can alternate: its rows are often one, of an open batch. */
static void choose_blocks(CpuGemm *g)
{
    DimTable *t = &g->nest->module->dims;
    int64_t n = nest_guess(g->size_n), k = packed_depth(g), tasks, wide;
    int64_t o = clamp(nest_guess(g->size_o), 1, INT64_MAX); /* a product of nothing is one, too */
    bool packs_rows = g->a.pack < 0 && !g->a.in_place;

    g->block_m = 0;
    g->blocks_m = dim_const(t, 1);
    g->alternates = !g->band && is_state_product(g);
    g->rows_first = g->b.pack >= 0 && !g->alternates && (packs_rows || k * n <= WEIGHT_BYTES / 4) &&
                    most_cuts(g) >= TASKS_WANTED;
    if (streams(g)) {
        choose_stream(g);
        choose_pitch(g);
        return;
    }
    wide = (g->amx ? tiles_l2(g) : L2_BYTES) / g->unit / clamp(k, 1, INT32_MAX) *
           (g->tile->block ? g->tile->block : 4) / 4;
    if (g->b.in_place) wide = INT32_MAX;
    cut_columns(g, packs_rows && wide < COLUMNS_PER_PACK ? COLUMNS_PER_PACK : wide);
    if (g->band) {
        g->rows_first = true;
        g->block_m = g->band;
        g->blocks_m = dim_ceil_div(t, g->size_m, dim_const(t, g->band));
        choose_pitch(g);
        return;
    }
    tasks = o * ((n + g->block_n - 1) / g->block_n);
    if (tasks < TASKS_WANTED && !g->rows_first && dim_is(g->lines, 1) &&
        !(is_thin(g) && tasks * most_cuts(g) >= TASKS_WANTED)) {
        wide = (n * o + TASKS_WANTED - 1) / TASKS_WANTED;
        if (g->alternates && wide < PANELS_OF_ROW * g->nr) wide = PANELS_OF_ROW * g->nr;
        cut_columns(g, wide);
        tasks = o * ((n + g->block_n - 1) / g->block_n);
    }
    if (g->rows_first && o < TASKS_WANTED) tasks = o;
    if (tasks < TASKS_WANTED && most_cuts(g) > 1)
        cut_rows(g, clamp((TASKS_WANTED + tasks - 1) / tasks, 1, most_cuts(g)));
    choose_pitch(g);
}

void gemm_choose_blocks(CpuGemm *g)
{
    choose_blocks(g);
    gemm_choose_cut(g);
    g->ahead = is_fetched_ahead(g);
}

/* Rows of a task, at most. */
Dim gemm_rows_of_task(const CpuGemm *g)
{
    DimTable *t = &g->nest->module->dims;

    if (!g->block_m) return g->size_m;
    if (!dim_is(g->lines, 1)) return dim_mul_c(t, g->line, g->block_m);
    return dim_const(t, g->block_m * (g->tall >= 0 ? g->rows[0] : 1));
}

/* How many tasks are worth a thread; of a state's product with as many rows as the run has. */
Dim gemm_worth_a_thread(const CpuGemm *g)
{
    DimTable *t = &g->nest->module->dims;
    Dim rows = gemm_rows_of_task(g);
    double column = (double)packed_depth(g) * (double)g->block_n; /* of one row */

    if (column >= WORTH_A_PART) return dim_const(t, 1);
    if (g->alternates)
        rows = dim_min(t, rows, dim_min(t, g->size_m, dim_const(t, WORTH_A_PART)));
    else
        rows = dim_const(t, nest_guess(rows));
    rows = dim_max(t, rows, dim_const(t, WEIGHT_COST));
    rows = dim_mul_c(t, rows, column < 1 ? 1 : (int64_t)column);
    return dim_add_c(t, dim_div(t, dim_const(t, WORTH_A_PART), rows), 1);
}
