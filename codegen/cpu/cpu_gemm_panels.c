/* cpu_gemm_panels.c: the panels of a task: where their rows and columns are, their tiles, and what
 * is fetched meanwhile. */
#include "codegen/cpu/cpu_gemm_impl.h"

enum {
    SHORT_EPILOGUE = 16, /* operations */
    SHORT_FOR_BYTES = 24,
    STREAMED_WEIGHTS =
        256 << 10 /* one row takes several panels at once where they have more bytes */
};

/* Where row m of A packed at run time begins. */
static LLVMValueRef panel_at(GemmTask *t, LLVMValueRef m)
{
    CpuFn *f = t->f;
    LLVMValueRef size = t->g->a_pitch ? cpu_i64(f->m, t->g->a_pitch) : t->k;

    cpu_at(f, f->level);
    return gemm_float_at(f, t->scratch_a, gemm_mul(f, LLVMBuildSub(f->b, m, t->m0, ""), size));
}

/* k as one loop. */
static void plain_k(GemmTask *t, GemmTile *x, int64_t step, int64_t row)
{
    x->n_k = 1;
    x->k_extent[0] = t->k;
    x->k_step[0] = cpu_i64(t->f->m, step);
    for (int r = 0; r < x->rows; r++)
        x->row_at[r] = r * row;
}

static void rows_in_place(GemmTask *t, GemmTile *x, LLVMValueRef m)
{
    CpuFn *f = t->f;
    const CpuGemm *g = t->g;
    const NestStage *s = &g->nest->stage[STAGE_A];
    const Sx *load = g->a_load ? g->a_load : s->value[0];
    LLVMTypeRef one = g->bytes ? f->m->i8 : g->pairs ? f->m->i16 : f->element;
    LLVMValueRef base = cpu_ptr(f, load->src), at;

    gemm_stage(f, g, STAGE_A);
    gemm_place(f, g, STAGE_A, SET_O, t->o);
    gemm_place(f, g, STAGE_A, SET_M, m);
    gemm_place(f, g, STAGE_A, SET_K, cpu_i64(f->m, 0));
    gemm_place(f, g, STAGE_A, SET_N, cpu_i64(f->m, 0));
    at = cpu_offset(f, map_get(&s->address, load), 0);
    if (g->a_zero) x->zero = cpu_value(f, g->a_zero, 0);
    x->n_k = g->a.n_k;
    for (int i = 0; i < g->a.n_k; i++) {
        x->k_extent[i] = cpu_dim(f, g->a.k_extent[i]);
        x->k_step[i] = cpu_dim(f, g->a.k_step[i]);
    }
    gemm_lines_counted(f, g, x, m);
    for (int r = 0; r < x->rows; r++)
        x->row_at[r] = g->run ? r / g->run * g->run_step + r % g->run * g->a.row : r * g->a.row;
    cpu_at(f, f->level);
    x->a = LLVMBuildGEP2(f->b, one, base, &at, 1, "");
    if (g->parts < 2) return;
    base = cpu_ptr(f, g->a_low->src);
    cpu_at(f, f->level);
    x->a_low = LLVMBuildGEP2(f->b, one, base, &at, 1, "");
}

/* A(m, 0) and its steps. */
static void rows_pointer(GemmTask *t, GemmTile *x, LLVMValueRef m)
{
    CpuFn *f = t->f;
    const CpuGemm *g = t->g;

    if (t->pack_a) {
        plain_k(t, x, x->rows, 1);
        cpu_at(f, f->level);
        x->a = gemm_float_at(f, t->pack_a, gemm_mul(f, m, t->k));
    } else if (!g->a.in_place) {
        x->a = panel_at(t, m);
        plain_k(t, x, g->a_pitch ? 1 : x->rows, g->a_pitch ? g->a_pitch : 1);
    } else {
        rows_in_place(t, x, m);
    }
}

/* k is the loops of B; A, which had one, goes on by its step. */
static void columns_in_place(GemmTask *t, GemmTile *x, LLVMValueRef n)
{
    CpuFn *f = t->f;
    const CpuGemm *g = t->g;
    const NestStage *s = &g->nest->stage[STAGE_B];
    LLVMValueRef base = cpu_ptr(f, s->value[0]->src), at, step;

    cpu_at(f, f->level);
    step = x->n_k ? x->k_step[0] : cpu_i64(f->m, 0);
    gemm_stage(f, g, STAGE_B);
    gemm_place(f, g, STAGE_B, SET_O, t->o);
    gemm_place(f, g, STAGE_B, SET_N, n);
    gemm_place(f, g, STAGE_B, SET_K, cpu_i64(f->m, 0));
    gemm_place(f, g, STAGE_B, SET_M, cpu_i64(f->m, 0));
    at = cpu_offset(f, map_get(&s->address, s->value[0]), 0);
    x->n_k = g->b.n_k;
    x->b_steps = g->b.k_step;
    for (int i = g->b.n_k - 1; i >= 0; i--) {
        x->k_extent[i] = cpu_dim(f, g->b.k_extent[i]);
        cpu_at(f, f->level);
        x->k_step[i] = step;
        step = gemm_mul(f, step, x->k_extent[i]);
    }
    cpu_at(f, f->level);
    x->b = gemm_float_at(f, base, at);
}

static void columns_pointer(GemmTask *t, GemmTile *x, LLVMValueRef n)
{
    CpuFn *f = t->f;
    const CpuGemm *g = t->g;

    if (g->b.in_place) {
        columns_in_place(t, x, n);
        return;
    }
    cpu_at(f, f->level);
    if (g->open) {
        x->b = LLVMBuildSub(f->b, n, t->n0, "");
        x->b = gemm_float_at(f, t->scratch_b, gemm_mul(f, x->b, t->k));
    } else if (t->pack_b) {
        x->b = gemm_float_at(f, t->pack_b, gemm_mul(f, n, t->k));
        x->b_step = cpu_i64(f->m, g->nr);
    } else {
        x->b = gemm_float_at(f, t->scratch_b, LLVMBuildSub(f->b, n, t->n0, ""));
        x->b_step = cpu_i64(f->m, g->pitch);
    }
}

/* ---- panels ---- */

/* Weights come from far away. While a block of columns is multiplied, the next one, which lies
 * behind it, is fetched: each panel of rows fetches its share of each panel of columns. Behind the
 * last block lie the weights of another kernel, as a rule the next one. */
static void fetch_ahead(GemmTask *t, GemmTile *x, LLVMValueRef m, LLVMValueRef n)
{
    CpuFn *f = t->f;
    const CpuGemm *g = t->g;
    LLVMValueRef first = t->m0, rows, at, share, next, depth = t->k;
    LLVMValueRef k_bytes = cpu_i64(f->m, (int64_t)4 * g->width);

    if (!t->pack_b || !g->ahead) return;
    cpu_at(f, f->level);
    rows = LLVMBuildSub(f->b, t->m1, t->m0, "");
    if (!dim_is(g->lines, 1)) {
        LLVMValueRef line = cpu_dim(f, g->line);
        cpu_at(f, f->level);
        first = gemm_mul(f, first, line);
        rows = gemm_mul(f, rows, line);
    }
    if (g->k_cut) depth = cpu_i64(f->m, gemm_block_depth(g));
    share = LLVMBuildUDiv(f->b, gemm_mul(f, cpu_i64(f->m, x->rows), k_bytes), rows, "");
    if (!LLVMIsAConstantInt(share) || LLVMConstIntGetZExtValue(share) == 0)
        share = cpu_call2(f, "llvm.umax", share, cpu_i64(f->m, 1));
    x->ahead_step = share;
    at = gemm_mul(f, LLVMBuildSub(f->b, m, first, ""), gemm_mul(f, k_bytes, depth));
    at = LLVMBuildUDiv(f->b, at, rows, "");
    if (g->k_cut) { /* shares are counted from the first k */
        LLVMValueRef before = gemm_mul(f, gemm_mul(f, t->k_block, depth), share);
        at = LLVMBuildSub(f->b, at, before, "");
    }
    next = g->k_cut ? gemm_next_block(t, n)
                    : gemm_mul(f, gemm_add(f, n, cpu_i64(f->m, g->block_n)), t->k);
    x->ahead = gemm_float_at(f, t->pack_b, next);
    x->ahead = LLVMBuildGEP2(f->b, f->m->i8, x->ahead, &at, 1, "");
}

/* Whether the epilogue is so short that rows are written out. */
static bool is_short(GemmTask *t)
{
    int most = t->g->bytes ? SHORT_FOR_BYTES : SHORT_EPILOGUE;

    return t->g->lanes > 1 && t->g->nest->stage[STAGE_OUT].n_node <= most;
}

typedef void Finish(GemmTask *t, const GemmTile *x, const LLVMValueRef *acc, LLVMValueRef m,
                    LLVMValueRef n, int64_t left);

/* The tile's sums to the results: of all columns. */
static void finish(GemmTask *t, const GemmTile *x, const LLVMValueRef *acc, LLVMValueRef m,
                   LLVMValueRef n, int64_t left)
{
    (void)left;
    if (is_short(t)) {
        gemm_rows_written_out(t, x, acc, m, n, 0);
        return;
    }
    gemm_spill_tile(t->f, t->g, x, acc, t->tile);
    gemm_rows_loop(t, m, cpu_i64(t->f->m, x->rows), n, GEMM_FULL);
}

/* Sums of AMX come out in memory: those of a K that is cut where they are kept. */
static void amx_tile(GemmTask *t, const GemmTile *x, LLVMValueRef m, LLVMValueRef n, bool full)
{
    CpuFn *f = t->f;
    LLVMValueRef tile = t->tile, last = NULL, rows = cpu_i64(f->m, x->rows);
    CpuIf c;

    if (t->k_block) t->tile = gemm_sums_at(t, m, n);
    gemm_emit_amx(f, t->g, x, t->late, t->beside, t->tile);
    if (t->k_block) last = gemm_is_last_block(t);
    cpu_at(f, f->level);
    if (t->late) {
        if (last) rows = LLVMBuildSelect(f->b, last, rows, cpu_i64(f->m, 0), "");
        gemm_late_tile(t, rows, m, n);
    } else {
        if (last) c = cpu_if_open(f, last);
        gemm_rows_loop(t, m, rows, n, full ? GEMM_FULL : GEMM_PART);
        if (last) cpu_if_close(f, &c);
    }
    t->tile = tile;
}

/* The tile's sums to the results; or, while blocks of K follow, to where they are kept. */
static void settle(GemmTask *t, const GemmTile *x, const LLVMValueRef *acc, LLVMValueRef m,
                   LLVMValueRef n, Finish *results, int64_t left)
{
    CpuFn *f = t->f;
    LLVMValueRef last;
    CpuIf c;

    if (!x->sums) {
        results(t, x, acc, m, n, left);
        return;
    }
    last = gemm_is_last_block(t);
    c = cpu_if_open(f, last);
    cpu_at(f, f->level);
    results(t, x, acc, m, n, left);
    cpu_if_close(f, &c);
    cpu_at(f, f->level);
    c = cpu_if_open(f, LLVMBuildNot(f->b, last, ""));
    cpu_at(f, f->level);
    gemm_spill_tile(f, t->g, x, acc, x->sums);
    cpu_if_close(f, &c);
    cpu_at(f, f->level);
}

static void full_tile(GemmTask *t, GemmTile *x, LLVMValueRef m, LLVMValueRef n)
{
    LLVMValueRef acc[GEMM_ROWS * GEMM_VECTORS];

    x->vectors = t->g->vectors;
    if (t->g->amx) {
        amx_tile(t, x, m, n, true);
        return;
    }
    if (t->k_block) x->sums = gemm_sums_at(t, m, n);
    gemm_emit_tile(t->f, t->g, x, acc);
    settle(t, x, acc, m, n, finish, 0);
}

/* The last columns of a tile's sums to the results. */
static void finish_part(GemmTask *t, const GemmTile *x, const LLVMValueRef *acc, LLVMValueRef m,
                        LLVMValueRef n, int64_t left)
{
    const CpuGemm *g = t->g;

    if (dim_is_const(g->size_n) && is_short(t) && (left % g->lanes == 0 || cpu_can_mask(t->f))) {
        gemm_rows_written_out(t, x, acc, m, n, left % g->lanes);
        return;
    }
    gemm_spill_tile(t->f, g, x, acc, t->tile);
    gemm_rows_loop(t, m, cpu_i64(t->f->m, x->rows), n, GEMM_PART);
}

/* The last columns, `left` of them where that is known: as few vectors as they need. */
static void part_tile(GemmTask *t, GemmTile *x, LLVMValueRef m, LLVMValueRef n, int64_t left)
{
    CpuFn *f = t->f;
    const CpuGemm *g = t->g;
    LLVMValueRef acc[GEMM_ROWS * GEMM_VECTORS];
    bool known = dim_is_const(g->size_n);

    if (g->amx) {
        amx_tile(t, x, m, n, false);
        return;
    }
    x->vectors = known ? (int)((left + g->lanes - 1) / g->lanes) : g->vectors;
    cpu_at(f, f->level);
    if (g->b.in_place) x->columns = known ? cpu_i64(f->m, left) : LLVMBuildSub(f->b, t->N, n, "");
    if (t->k_block) x->sums = gemm_sums_at(t, m, n);
    gemm_emit_tile(t->f, t->g, x, acc);
    settle(t, x, acc, m, n, finish_part, left);
}

/* One tile after the other down the rows of a panel, at `column` of it. `left`: 0 for whole tiles,
 * else columns that there are (any number when N is not known). */
static void column_of_tiles(GemmTask *t, const GemmTile *panel, LLVMValueRef m, LLVMValueRef n,
                            LLVMValueRef column, int64_t left)
{
    CpuFn *f = t->f;
    int rows = panel->rows, tiles = (rows + t->g->tile_rows - 1) / t->g->tile_rows, row = 0;

    for (int i = 0; i < tiles; i++) {
        GemmTile x = *panel;
        LLVMValueRef first = m;
        x.rows = rows / tiles + (i < rows % tiles);
        if (x.in_line >= 0) x.in_line += row;
        for (int r = 0; r < x.rows; r++)
            x.row_at[r] = panel->row_at[row + r];
        cpu_at(f, f->level);
        x.b = gemm_float_at(f, x.b, column);
        if (x.terms) x.terms = gemm_float_at(f, x.terms, cpu_i64(f->m, row));
        if (row) first = gemm_add(f, m, cpu_i64(f->m, row));
        fetch_ahead(t, &x, first, gemm_add(f, n, column));
        cpu_at(f, f->level);
        if (left)
            part_tile(t, &x, first, gemm_add(f, n, column), left);
        else
            full_tile(t, &x, first, gemm_add(f, n, column));
        row += x.rows;
    }
}

/* All columns of a panel. */
static void whole_panel(GemmTask *t, GemmTile *x, LLVMValueRef m, LLVMValueRef n)
{
    CpuFn *f = t->f;
    const CpuGemm *g = t->g;
    CpuLoop l;

    if (g->width == g->nr) {
        column_of_tiles(t, x, m, n, cpu_i64(f->m, 0), 0);
        return;
    }
    l = cpu_loop_open(f, cpu_i64(f->m, 0), cpu_i64(f->m, g->nr), g->width, 0, NULL);
    column_of_tiles(t, x, m, n, l.index, 0);
    cpu_loop_close(f, &l, NULL);
}

/* The last panel, of a number of columns that is known. */
static void last_panel(GemmTask *t, GemmTile *x, LLVMValueRef m, LLVMValueRef n)
{
    CpuFn *f = t->f;
    const CpuGemm *g = t->g;
    int64_t left = g->size_n->value % g->nr, whole = left / g->width * g->width;
    CpuLoop l;

    if (t->pack_b && !g->bytes && !g->amx) x->b_step = cpu_i64(f->m, gemm_last_width(g));
    if (whole) {
        l = cpu_loop_open(f, cpu_i64(f->m, 0), cpu_i64(f->m, whole), g->width, 0, NULL);
        column_of_tiles(t, x, m, n, l.index, 0);
        cpu_loop_close(f, &l, NULL);
    }
    if (left > whole) column_of_tiles(t, x, m, n, cpu_i64(f->m, whole), left - whole);
}

/* The last panel, when only the run knows N. */
static void open_panel(GemmTask *t, GemmTile *x, LLVMValueRef m, LLVMValueRef n)
{
    CpuFn *f = t->f;
    const CpuGemm *g = t->g;
    LLVMValueRef left, whole;
    CpuLoop l;

    if (g->width == g->nr) {
        column_of_tiles(t, x, m, n, cpu_i64(f->m, 0), g->width);
        return;
    }
    cpu_at(f, f->level);
    left = LLVMBuildSub(f->b, t->N, n, "");
    whole = LLVMBuildUDiv(f->b, left, cpu_i64(f->m, g->width), "");
    whole = gemm_mul(f, whole, cpu_i64(f->m, g->width));
    l = cpu_loop_open(f, cpu_i64(f->m, 0), whole, g->width, 0, NULL);
    column_of_tiles(t, x, m, n, l.index, 0);
    cpu_loop_close(f, &l, NULL);
    l = cpu_loop_open(f, whole, left, g->width, 0, NULL); /* one turn or none */
    column_of_tiles(t, x, m, n, l.index, g->width);
    cpu_loop_close(f, &l, NULL);
}

static void one_panel(GemmTask *t, GemmTile *x, LLVMValueRef m, LLVMValueRef n)
{
    CpuFn *f = t->f;
    const CpuGemm *g = t->g;
    bool known = dim_is_const(g->size_n);
    LLVMValueRef full, part;
    CpuIf c;

    columns_pointer(t, x, n);
    cpu_at(f, f->level);
    full = LLVMBuildICmp(f->b, LLVMIntSLE, gemm_add(f, n, cpu_i64(f->m, g->nr)), t->N, "");
    part = LLVMBuildNot(f->b, full, "");
    if (!known || g->size_n->value >= g->nr) {
        c = cpu_if_open(f, full);
        whole_panel(t, x, m, n);
        cpu_if_close(f, &c);
    }
    if (known && g->size_n->value % g->nr == 0) return;
    c = cpu_if_open(f, part);
    (known ? last_panel : open_panel)(t, x, m, n);
    cpu_if_close(f, &c);
}

/* The panels of one height that begin before `end`, into the scratch. */
static void pack_panels(GemmTask *t, LLVMValueRef m, LLVMValueRef end, int rows)
{
    LLVMValueRef to = panel_at(t, m);

    gemm_stage(t->f, t->g, STAGE_A);
    gemm_place(t->f, t->g, STAGE_A, SET_O, t->o);
    gemm_emit_pack_a(t->f, t->g, to, m, end, rows);
}

/* How many panels of columns a row takes at once: a sum waits for its last product, and a stream of
 * weights for memory. Weights that are near come fastest in one stream, but for those of a loop,
 * which are nearer still. */
static int columns_at_once(const CpuGemm *g, int rows)
{
    bool known = dim_is_const(g->size_n);
    int64_t n = known && g->size_n->value < g->block_n ? g->size_n->value : g->block_n;

    if (rows > 1 || g->k_cut || g->bytes || g->pairs || g->where || g->width != g->nr) return 1;
    if (!g->alternates && 4 * nest_guess(g->size_k) * nest_guess(g->size_n) <= STREAMED_WEIGHTS)
        return 1;
    return PANELS_OF_ROW * g->vectors <= GEMM_VECTORS && PANELS_OF_ROW * g->nr <= n ? PANELS_OF_ROW
                                                                                    : 1;
}

/* `count` whole panels of columns next to each other. */
static void wide_tile(GemmTask *t, const GemmTile *panel, LLVMValueRef m, LLVMValueRef n, int count)
{
    CpuFn *f = t->f;
    const CpuGemm *g = t->g;
    GemmTile x = *panel;
    LLVMValueRef acc[GEMM_ROWS * GEMM_VECTORS], part[GEMM_ROWS * GEMM_VECTORS];
    int v = g->vectors;

    columns_pointer(t, &x, n);
    x.vectors = count * v;
    x.in_panel = t->pack_b ? v : 0;
    cpu_at(f, f->level);
    x.b_panel = t->pack_b ? gemm_mul(f, t->k, cpu_i64(f->m, g->nr)) : NULL;
    gemm_emit_tile(f, g, &x, acc);
    x.vectors = v;
    for (int p = 0; p < count; p++) {
        for (int i = 0; i < x.rows * v; i++)
            part[i] = acc[i / v * count * v + p * v + i % v];
        cpu_at(f, f->level);
        finish(t, &x, part, m, gemm_add(f, n, cpu_i64(f->m, (int64_t)p * g->nr)), 0);
        cpu_at(f, f->level);
    }
}

static LLVMValueRef wide_tiles(GemmTask *t, const GemmTile *x, LLVMValueRef m, int count)
{
    CpuFn *f = t->f;
    LLVMValueRef next = t->n0, last;
    int64_t step = (int64_t)count * t->g->nr;
    CpuLoop l;

    cpu_at(f, f->level);
    last = LLVMBuildSub(f->b, t->n1, cpu_i64(f->m, step - 1), "");
    l = cpu_loop_open(f, t->n0, last, step, 1, &next);
    wide_tile(t, x, m, l.index, count);
    cpu_at(f, f->level);
    next = gemm_add(f, l.index, cpu_i64(f->m, step));
    cpu_loop_close(f, &l, &next);
    return l.carry[0];
}

static void columns_of_panel(GemmTask *t, GemmTile *x, LLVMValueRef m)
{
    CpuFn *f = t->f;
    int count = columns_at_once(t->g, x->rows);
    LLVMValueRef n = t->n0;
    CpuLoop l;

    if (count > 1) n = wide_tiles(t, x, m, count);
    l = cpu_loop_open(f, n, t->n1, t->g->nr, 0, NULL);
    one_panel(t, x, m, l.index);
    cpu_loop_close(f, &l, NULL);
}

/* A panel against all columns of the task, or the panel of them at hand. */
static void panel(GemmTask *t, LLVMValueRef m, int rows, int64_t in_line)
{
    CpuFn *f = t->f;
    GemmTile x = {.rows = rows, .in_line = in_line, .k_block = t->g->amx ? t->k_block : NULL};
    bool reshapes = t->g->amx && !gemm_amx_same_shape(rows, t->g->rows[0]); /* takes its time */

    rows_pointer(t, &x, m);
    gemm_cut_k(t, &x);
    if (t->terms) gemm_row_terms(f, t->g, &x, t->terms);
    if (reshapes) gemm_amx_shape(f, rows);
    if (t->g->streams) {
        gemm_stream_rows(t, &x, m);
        gemm_stream_fetches(t, &x, m);
        one_panel(t, &x, m, t->column);
    } else {
        columns_of_panel(t, &x, m);
    }
    if (reshapes) gemm_amx_shape(f, t->g->rows[0]);
}

/* Panels of one height that begin before `end`. Gives the next row. */
static LLVMValueRef panels_before(GemmTask *t, LLVMValueRef m, LLVMValueRef end, int rows)
{
    CpuFn *f = t->f;
    LLVMValueRef next = m;
    CpuLoop l = cpu_loop_open(f, m, end, rows, 1, &next);

    panel(t, l.index, rows, t->g->run && t->g->along.k >= 0 ? 0 : -1);
    cpu_at(f, f->level);
    next = gemm_add(f, l.index, cpu_i64(f->m, rows));
    cpu_loop_close(f, &l, &next);
    return l.carry[0];
}

/* Panels of one height, from m as long as `to` is not passed; packed several at once. */
static LLVMValueRef panels(GemmTask *t, LLVMValueRef m, LLVMValueRef to, int rows)
{
    CpuFn *f = t->f;
    LLVMValueRef next = m, last, end;
    CpuLoop l;

    cpu_at(f, f->level);
    last = LLVMBuildSub(f->b, to, cpu_i64(f->m, rows - 1), "");
    if (t->pack_a || t->g->a.in_place) return panels_before(t, m, last, rows);
    l = cpu_loop_open(f, m, last, rows * gemm_panels_at_once(t->g, rows), 1, &next);
    cpu_at(f, f->level);
    end = gemm_add(f, l.index, cpu_i64(f->m, rows * gemm_panels_at_once(t->g, rows)));
    end = gemm_smin(f, end, last);
    pack_panels(t, l.index, end, rows);
    next = panels_before(t, l.index, end, rows);
    cpu_loop_close(f, &l, &next);
    return l.carry[0];
}

static LLVMValueRef row_of_line(CpuFn *f, LLVMValueRef m0, int64_t row)
{
    cpu_at(f, f->level);
    return gemm_add(f, m0, cpu_i64(f->m, row));
}

/* A whole known line, the first and the last panel apart from those between. */
static void panels_with_ends(GemmTask *t, LLVMValueRef m0)
{
    CpuFn *f = t->f;
    const CpuGemm *g = t->g;
    int64_t row = 0, n = gemm_panels_of_line(g);

    for (int64_t p = 0; p < n; p++) {
        int rows = g->rows[p < g->tall ? 0 : g->n_rows - 1];
        panel(t, row_of_line(f, m0, row), rows, p == 0 || p == n - 1 ? row : -1);
        row += rows;
    }
}

/* The rows [m0, m1), which belong to one line. */
static void line_panels(GemmTask *t, LLVMValueRef m0, LLVMValueRef m1)
{
    CpuFn *f = t->f;
    const CpuGemm *g = t->g;
    LLVMValueRef m = m0, to, tall;

    if (g->along.k >= 0 && !g->run) {
        panels_with_ends(t, m0);
        return;
    }
    for (int i = 0; i < g->n_rows; i++) {
        to = m1;
        if (g->tall > 0 && i == 0) {
            cpu_at(f, f->level);
            tall = cpu_i64(f->m, g->tall * g->rows[0]);
            if (!dim_is(g->lines, 1)) tall = gemm_add(f, m0, tall);
            to = gemm_smin(f, to, tall);
        }
        m = panels(t, m, to, g->rows[i]);
    }
}

void gemm_all_panels(GemmTask *t)
{
    CpuFn *f = t->f;
    const CpuGemm *g = t->g;
    LLVMValueRef line, m0;
    CpuLoop l;

    if (dim_is(g->lines, 1)) {
        line_panels(t, t->m0, t->m1);
        return;
    }
    line = cpu_dim(f, g->line);
    l = cpu_loop_open(f, t->m0, t->m1, 1, 0, NULL);
    cpu_at(f, f->level);
    m0 = gemm_mul(f, l.index, line);
    line_panels(t, m0, gemm_add(f, m0, line));
    cpu_loop_close(f, &l, NULL);
}
