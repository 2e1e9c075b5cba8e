/* cpu_gemm.c: contractions: what shapes are taken, and tiles for them.
 *
 * Tiles by an analytical model: `vectors` columns of vectors and `rows` rows so that accumulators,
 * vectors of B and a broadcast fill the registers; few rows take more columns. A static M is cut
 * into panels of two heights that differ by one, so that no row is computed in vain; an open M
 * takes tall panels and then ones of 8, 4, 2 and 1. */
#include "codegen/cpu/cpu_gemm_impl.h"

#include <string.h>

enum {
    SET_STRIDE = 4096, /* rows so many bytes apart fall into one set of L1, */
    SET_WAYS = 8,      /* which holds so many of them */
    SOME_ROWS = 6,     /* enough for a tile */
    MOST_PANELS = 3,   /* of a line whose ends are told apart */
    MIN_COLUMNS = 8,
    LONG_SUM = 256,       /* points: of fewer columns, rows hide each other's latency */
    ROWS_IN_PLACE = 8,    /* at most, of a tile that reads B where it lies, */
    COLUMNS_IN_LINE = 16, /* and columns at least */
    MOST_ROWS = 14
};

static bool is_summed(DType d)
{
    return d == DT_F32 || d == DT_F64 || d == DT_I32;
}

static bool is_element(const CpuGemm *g, DType d)
{
    return d == (g->unit == 8 ? DT_F64 : DT_F32);
}

/* ---- index sets ---- */

static Dim index_extent(const Stage *s, int i)
{
    return i < s->rank ? s->extent[i] : s->reduce[i - s->rank];
}

/* Innermost domain index with more than one point. */
static int innermost(const Stage *s)
{
    int i = s->rank - 1;

    while (i >= 0 && dim_is(s->extent[i], 1))
        i--;
    return i;
}

/* n: from `first` to the innermost index. */
static void group_indices(CpuGemm *g, const Stage *s, const Contraction *c, int first, int last)
{
    for (int i = 0; i < g->n_index; i++) {
        g->group[i] = SET_O;
        if (i >= s->rank)
            g->group[i] = SET_K;
        else if (c->m >> i & 1)
            g->group[i] = SET_M;
        else if (i >= first && i <= last)
            g->group[i] = SET_N;
    }
}

static int first_of_n(const Stage *s, const Contraction *c, int last)
{
    int first = last;

    while (first > 0 && ((c->n >> (first - 1) & 1) || dim_is(s->extent[first - 1], 1)))
        first--;
    return first;
}

/* In a band, rows are those of one matrix: all other indices are outside. */
static void keep_last_row(const Stage *s, Contraction *c)
{
    int last = s->rank - 1;

    while (last >= 0 && !(c->m >> last & 1 && !dim_is(s->extent[last], 1)))
        last--;
    c->m &= last < 0 ? 0 : 1u << last;
}

static Dim set_size(const CpuGemm *g, DimTable *t, int set)
{
    Dim size = dim_const(t, 1);

    for (int i = 0; i < g->n_index; i++)
        if (g->group[i] == set) size = dim_mul(t, size, g->extent[i]);
    return size;
}

/* ---- the nest of three stages ---- */

static Status build_nest(CpuGemm *g, Arena *a, const Nest *n, const Contraction *c, Diag *d)
{
    const Stage *s = &n->kernel->stage[0];
    Node *node = arena_copy(a, n->node, sizeof *node);
    Kernel *k = arena_copy(a, n->kernel, sizeof *k);
    uint8_t *group = arena_copy(a, g->group, sizeof g->group);

    k->n_stage = GEMM_STAGES;
    k->stage = ARENA_ARRAY(a, Stage, GEMM_STAGES);
    k->stage[STAGE_A] = nest_side_stage(a, s, c->swapped ? s->acc[0].body2 : s->acc[0].body);
    k->stage[STAGE_B] = nest_side_stage(a, s, c->swapped ? s->acc[0].body : s->acc[0].body2);
    k->stage[STAGE_OUT] = nest_result_stage(a, &n->module->sx, s);
    node->kernel = k;
    TRY(nest_build_grouped(a, n->module, node, group, NULL, NULL, d, &g->nest));
    g->nest->abi.tasks = dim_const(&n->module->dims, 1);
    return OK;
}

/* The loop of the result stage that covers the innermost index. */
static int column_loop(const CpuGemm *g, int last)
{
    return g->nest->stage[STAGE_OUT].loop_of[last];
}

static bool simple_results(const Stage *s)
{
    for (int j = 0; j < s->n_out; j++)
        if (s->out[j].dst) return false;
    return true;
}

/* Lanes that results along n are stored with. */
static bool stores_in_order(const CpuGemm *g, int last)
{
    const NestStage *s = &g->nest->stage[STAGE_OUT];

    for (int j = 0; j < s->stage->n_out; j++)
        if (!affine_is_coef(s->store[j], last, 1)) return false;
    return true;
}

/* ---- tiles and blocks ---- */

static int most_rows(const CpuGemm *g, const CpuIsa *isa, int vectors)
{
    int left = isa->registers - vectors - (isa->registers >= 32 ? 1 : isa->fma ? 1 : 2);
    int rows;

    if (g->amx) return AMX_ROWS;
    if (g->bytes && !isa->vnni) left -= vectors + 3;   /* halves of B and of a broadcast */
    if (g->bytes && g->a_load->dtype == DT_I8) left--; /* what flips signs */
    rows = left / vectors;

    return rows > g->most_rows ? g->most_rows : rows < 1 ? 1 : rows;
}

/* Few rows take more columns, so that enough sums are under way to hide the latency of one. */
static int choose_vectors(const CpuGemm *g, const CpuIsa *isa)
{
    int64_t m = nest_guess(g->line), n = nest_guess(g->size_n), columns;
    int usual = isa->registers >= 32    ? (g->most_rows > 8 ? 2 : 3)
                : isa->fma && !g->bytes ? 3
                                        : 2,
        most = isa->registers >= 32 ? 8 : 6;
    int v = usual;

    if (g->amx) v = most = AMX_VECTORS;
    while (v < most && most_rows(g, isa, v + 1) >= m)
        v++;
    if (g->tile->vectors && !g->amx) v = g->tile->vectors;
    columns = (n + g->lanes - 1) / g->lanes;
    return v > columns ? (int)columns : v;
}

static void choose_rows(CpuGemm *g)
{
    int mr = g->tile_rows;
    int64_t unit = g->run ? g->run : 1; /* panels hold whole runs */

    g->tall = -1;
    if (dim_is_const(g->line) && g->line->value > 0 && !g->band) {
        int64_t m = g->line->value / unit, most = mr / unit < 1 ? 1 : mr / unit;
        int64_t panels = (m + most - 1) / most, low = m / panels;
        g->tall = m % panels;
        if (g->tall) g->rows[g->n_rows++] = (int)((low + 1) * unit);
        g->rows[g->n_rows++] = (int)(low * unit);
        return;
    }
    g->rows[g->n_rows++] = mr;
    for (int rows = mr > 16 ? 16 : 8; rows >= 1; rows /= 2)
        if (mr > rows) g->rows[g->n_rows++] = rows;
}

int64_t gemm_round_up(int64_t v, int64_t step)
{
    return (v + step - 1) / step * step;
}

/* Loops of a side that belong to `set`, in the order of their indices, outermost first; the nest
 * has put the one that its lanes would take behind the others. */
static int loops_of_set(const CpuGemm *g, int side, int set, int *loop)
{
    const NestStage *s = &g->nest->stage[side];
    int n = 0;

    for (int i = 0; i < g->n_index; i++)
        for (int l = 0; l < s->n_loop; l++)
            if (s->loop[l].last == i && g->group[i] == set) loop[n++] = l;
    return n;
}

static Dim step_of(const CpuGemm *g, int side, const Affine *x, int loop)
{
    Dim c = x->coef[g->nest->stage[side].loop[loop].last];

    return c ? c : dim_const(&g->nest->module->dims, 0);
}

/* Rows of A where they lie. Where they are several loops, a line is the innermost one; or, when
 * that one is short and a tile holds several of it, the innermost two. */
static void find_lines(CpuGemm *g, const Affine *x, const int *m, int n_m)
{
    const NestLoop *loop = g->nest->stage[STAGE_A].loop;
    DimTable *t = &g->nest->module->dims;
    Dim outer;
    bool alone;

    if (!g->pairs) gemm_find_edges(g, n_m > 1);
    if (n_m < 2) return;
    g->line = loop[m[n_m - 1]].extent;
    outer = step_of(g, STAGE_A, x, m[n_m - 2]);
    /* each leaves out its own rows of the window */
    alone = g->across.k >= 0 && nest_guess(g->line) >= SOME_ROWS;
    if (!alone && dim_is_const(g->line) && g->line->value <= g->most_rows / 2 &&
        dim_is_const(outer) && dim_is_const(loop[m[n_m - 2]].extent)) {
        g->run = g->line->value;
        g->run_step = outer->value;
        g->line = dim_mul(t, g->line, loop[m[n_m - 2]].extent);
        n_m--;
    }
    for (int i = 0; i < n_m - 1; i++)
        g->lines = dim_mul(t, g->lines, loop[m[i]].extent);
}

/* Columns so far apart that all of a row lie in few sets of L1. */
static bool crowds_a_set(const CpuGemm *g, const Affine *x, int loop, int unit)
{
    Dim step = step_of(g, STAGE_A, x, loop);

    return dim_is_const(step) && step->value && step->value * unit % SET_STRIDE == 0 &&
           nest_guess(g->nest->stage[STAGE_A].loop[loop].extent) > SET_WAYS;
}

static void find_in_place(CpuGemm *g, bool is_packed)
{
    DimTable *t = &g->nest->module->dims;
    const NestStage *s = &g->nest->stage[STAGE_A];
    const Sx *e = g->a_load ? g->a_load : s->value[0];
    int unit = g->bytes ? 1 : g->pairs ? 2 : g->unit;
    const Affine *x = g->a_load || (e->op == SX_LOAD && !e->guarded && is_element(g, e->dtype))
                          ? map_get(&s->address, e)
                          : NULL;
    int m[NEST_INDICES], k[NEST_INDICES], n_m, n_k;

    g->line = g->size_m;
    g->lines = dim_const(t, 1);
    g->run = 0;
    g->most_rows = MOST_ROWS;
    if (is_packed || !x || x->n_term || e->src < 0) return;
    n_m = loops_of_set(g, STAGE_A, SET_M, m);
    n_k = loops_of_set(g, STAGE_A, SET_K, k);
    if (n_k > GEMM_K_LOOPS) return;
    g->a.row = 0;
    if (n_m) {
        Dim row = step_of(g, STAGE_A, x, m[n_m - 1]);
        if (!dim_is_const(row)) return;
        g->a.row = row->value;
    }
    if (n_k && crowds_a_set(g, x, k[n_k - 1], unit)) return;
    g->a.in_place = true;
    g->a.n_k = n_k;
    for (int i = 0; i < n_k; i++) {
        g->a.k_extent[i] = s->loop[k[i]].extent;
        g->a.k_step[i] = step_of(g, STAGE_A, x, k[i]);
    }
    if (g->a.row && g->a.row * unit % SET_STRIDE == 0) g->most_rows = SET_WAYS;
    find_lines(g, x, m, n_m);
}

/* Rows beside which the columns of B are not worth a copy: one panel reads them once. */
static bool few_rows(const CpuGemm *g)
{
    return dim_is_const(g->size_m) && g->size_m->value <= ROWS_IN_PLACE;
}

/* The load that B is, when lanes along index `last` are next to each other in memory; else NULL. */
static const Affine *columns_load(const CpuGemm *g, int last)
{
    const NestStage *s = &g->nest->stage[STAGE_B];
    const Sx *e = s->value[0];
    const Affine *x = e->op == SX_LOAD && !e->guarded && is_element(g, e->dtype) && e->src >= 0
                          ? map_get(&s->address, e)
                          : NULL;

    return x && !x->n_term && affine_is_coef(x, last, 1) ? x : NULL;
}

/* The first index of the columns that B has next to each other: of a window, those of one line. */
static int first_in_line(const CpuGemm *g, int first, int last)
{
    const NestStage *s = &g->nest->stage[STAGE_B];
    int loop = s->loop_of[last];

    if (!few_rows(g) || g->bytes || !columns_load(g, last) || loop < 0) return first;
    if (s->loop[loop].first <= first || nest_guess(s->loop[loop].extent) < COLUMNS_IN_LINE)
        return first;
    return s->loop[loop].first;
}

/* B where it lies; A goes on by one step with each k. */
static void find_columns(CpuGemm *g, int last)
{
    const NestStage *s = &g->nest->stage[STAGE_B];
    const Affine *x = columns_load(g, last);
    int n[NEST_INDICES], k[NEST_INDICES], n_k;

    if (!x || !few_rows(g) || g->bytes || g->pairs || (g->a.in_place && g->a.n_k > 1)) return;
    n_k = loops_of_set(g, STAGE_B, SET_K, k);
    if (loops_of_set(g, STAGE_B, SET_N, n) != 1 || n_k > GEMM_K_LOOPS) return;
    g->b.in_place = true;
    g->b.n_k = n_k;
    for (int i = 0; i < n_k; i++) {
        g->b.k_extent[i] = s->loop[k[i]].extent;
        g->b.k_step[i] = step_of(g, STAGE_B, x, k[i]);
    }
}

/* ---- which contractions ---- */

/* Lines of an image, each read at several places. */
static bool reads_lines(const CpuGemm *g, int last)
{
    int loop[NEST_INDICES];

    return few_rows(g) && columns_load(g, last) && loops_of_set(g, STAGE_B, SET_N, loop) == 1 &&
           loops_of_set(g, STAGE_B, SET_K, loop) > 1;
}

static bool shape_taken(const CpuGemm *g, bool constant_b, int last)
{
    int64_t m = nest_guess(g->size_m), n = nest_guess(g->size_n);

    if (dim_is(g->size_n, 0)) return false; /* no tile to be cut */
    bool longs = nest_guess(g->size_k) >= LONG_SUM && dim_is_const(g->size_k) && m > 2 && n > 1;
    if (!constant_b && dim_is_const(g->size_n) && n < MIN_COLUMNS && !longs) return false;
    if (!constant_b && m < 3 && !reads_lines(g, last) && !gemm_columns_are_turned(g)) return false;
    return true;
}

/* Packed at run time row by row where k is contiguous in memory, and known, so that rows are apart
 * by a constant. */
static void choose_a_pitch(CpuGemm *g)
{
    const NestStage *s = &g->nest->stage[STAGE_A];
    const Sx *e = s->value[0];
    int last = g->n_index - 1;
    const Affine *x;

    while (last >= g->rank && dim_is(g->extent[last], 1))
        last--;
    if (last < g->rank || s->loop_of[last] < 0 || !dim_is_const(g->size_k)) return;
    x = e->op == SX_LOAD ? map_get(&s->address, e) : NULL;
    if (x && !affine_is_coef(x, last, 1)) return;
    g->a_pitch = gemm_round_up(g->size_k->value, 16) + 16;
    if (g->a_pitch * g->unit % SET_STRIDE == 0) g->a_pitch += 16;
}

static void note_uses(CpuGemm *g, int side, GemmSide *x)
{
    const Sx *e = g->nest->stage[side].value[0];

    for (int i = 0; i < g->n_index; i++)
        if (g->group[i] == SET_O && sx_uses_index(&g->nest->module->sx, e, i) &&
            !dim_is(g->extent[i], 1))
            x->uses |= 1u << i;
}

typedef struct Unread {
    bool *unread;
} Unread;

static void reads(void *context, const Sx *e)
{
    Unread *u = context;
    if (e->op == SX_LOAD && e->src >= 0) u->unread[e->src] = false;
}

/* Operands that only packed sides read are not passed. */
static void mark_unread(CpuGemm *g)
{
    SxTable *t = &g->nest->module->sx;
    int n = g->nest->abi.n_in;
    Unread u = {ARENA_ARRAY(g->nest->arena, bool, n)};

    for (int i = 0; i < n; i++)
        u.unread[i] = true;
    if (g->a.pack < 0) sx_visit(t, g->nest->stage[STAGE_A].value[0], reads, &u);
    if (g->b.pack < 0) sx_visit(t, g->nest->stage[STAGE_B].value[0], reads, &u);
    for (int j = 0; j < g->nest->stage[STAGE_OUT].stage->n_out; j++)
        sx_visit(t, g->nest->stage[STAGE_OUT].value[j], reads, &u);
    g->nest->abi.unread = u.unread;
}

/* Dims that the emitted code reads. */
static void need_dims(CpuGemm *g)
{
    nest_need(g->nest, g->size_m);
    nest_need(g->nest, g->size_n);
    nest_need(g->nest, g->size_k);
    nest_need(g->nest, g->blocks_m);
    nest_need(g->nest, g->blocks_n);
    nest_need(g->nest, g->line);
    nest_need(g->nest, g->lines);
    for (int i = 0; g->a.in_place && i < g->a.n_k; i++) {
        nest_need(g->nest, g->a.k_extent[i]);
        nest_need(g->nest, g->a.k_step[i]);
    }
    for (int i = 0; g->b.in_place && i < g->b.n_k; i++) {
        nest_need(g->nest, g->b.k_extent[i]);
        nest_need(g->nest, g->b.k_step[i]);
    }
    for (int i = 0; i < g->n_index; i++)
        nest_need(g->nest, g->extent[i]);
    for (int s = 0; s < GEMM_STAGES; s++)
        for (int l = 0; l < g->nest->stage[s].n_loop; l++)
            nest_need(g->nest, g->nest->stage[s].loop[l].extent);
}

static Dim align64(DimTable *t, Dim bytes)
{
    return dim_mul_c(t, dim_ceil_div(t, bytes, dim_const(t, 64)), 64);
}

static Dim a_row_size(const CpuGemm *g)
{
    return g->a_pitch ? dim_const(&g->nest->module->dims, g->a_pitch) : g->size_k;
}

static void set_abi(CpuGemm *g)
{
    DimTable *t = &g->nest->module->dims;
    KernelAbi *abi = &g->nest->abi;
    Dim tasks = dim_mul(t, g->size_o, dim_mul(t, g->blocks_m, g->blocks_n));
    Dim rows = gemm_rows_of_task(g);

    if (g->size_m->lo < 1) tasks = dim_mul(t, tasks, dim_min(t, g->size_m, dim_const(t, 1)));
    abi->alternates = g->alternates;
    if (g->band) abi->of_band = g->blocks_n;
    abi->tasks = nest_tasks(g->nest, &g->nest->stage[STAGE_OUT], tasks);
    abi->grain = gemm_worth_a_thread(g);
    g->a_at = dim_const(t, 0);
    g->block_size = dim_const(t, 0);
    if (g->band && g->b.pack < 0 && !g->b.in_place) {
        g->block_size = align64(t, dim_mul_c(t, g->size_k, g->unit * g->pitch));
        g->a_at = dim_mul(t, g->blocks_n, g->block_size);
        nest_need(g->nest, g->block_size);
    } else if (g->open)
        g->a_at = align64(t, dim_mul_c(t, dim_const(t, g->depth), 4 * g->block_n));
    else if (g->b.pack < 0 && !g->b.in_place)
        g->a_at = align64(t, dim_mul_c(t, g->size_k, g->unit * g->pitch));
    else if (g->sums)
        g->a_at = align64(t, g->sums);
    nest_need(g->nest, g->a_at);
    abi->scratch = g->tiles_of_rows ? dim_add(t, g->a_at, g->tiles_of_rows) : g->a_at;
    if (g->a.pack < 0 && !g->a.in_place)
        abi->scratch =
            dim_add(t, g->a_at, align64(t, dim_mul(t, a_row_size(g), dim_mul_c(t, rows, g->unit))));
}

static void choose_tiles(CpuGemm *g, const CpuIsa *isa)
{
    g->vectors = choose_vectors(g, isa);
    g->nr = g->width = g->lanes * g->vectors;
    g->tile_rows = most_rows(g, isa, g->vectors);
    choose_rows(g);
}

static Status pack_constants(CpuGemm *g, bool a, bool b, Diag *d)
{
    if (g->bytes && !g->open)
        TRY(gemm_pack_bytes(g, d));
    else if (g->amx)
        TRY(gemm_pack_pair_tiles(g, d));
    else if (b)
        TRY(gemm_pack_constant(g, STAGE_B, d));
    if (a) TRY(gemm_pack_constant(g, STAGE_A, d));
    return OK;
}

/* Tasks, panels and packed operands of the lead, in tiles of this level's own. */
static void follow(CpuGemm *g, const CpuGemm *lead, const CpuIsa *isa)
{
    g->vectors = choose_vectors(g, isa);
    while (lead->nr % (g->lanes * g->vectors))
        g->vectors--;
    g->width = g->lanes * g->vectors;
    g->tile_rows = most_rows(g, isa, g->vectors);
    g->nr = lead->nr;
    memcpy(g->rows, lead->rows, sizeof g->rows);
    g->n_rows = lead->n_rows;
    g->tall = lead->tall;
    g->a.pack = lead->a.pack;
    g->a.size = lead->a.size;
    g->b.pack = lead->b.pack;
    g->b.size = lead->b.size;
    g->nest->abi.n_pack = lead->nest->abi.n_pack;
    g->nest->abi.pack = lead->nest->abi.pack;
    g->block_n = lead->block_n;
    g->block_m = lead->block_m;
    g->blocks_n = lead->blocks_n;
    g->blocks_m = lead->blocks_m;
    g->rows_first = lead->rows_first;
    g->alternates = lead->alternates;
    g->pitch = lead->pitch;
    g->ahead = lead->ahead;
    g->k_cut = lead->k_cut;
    g->sums = lead->sums;
    g->tiles_of_rows = lead->tiles_of_rows;
}

/* Bands are runs of rows of one line; what is multiplied is floats. */
static bool band_fits(const CpuGemm *g)
{
    return dim_is(g->lines, 1) && !g->run && !g->bytes && !g->pairs && !g->amx && !g->open &&
           g->nest->stage[STAGE_OUT].stage->n_out == 1;
}

Status cpu_gemm_prepare(Arena *arena, Nest *n, const CpuIsa *isa, const TileChoice *tile,
                        const CpuGemm *lead, int64_t band, Diag *d, CpuGemm **out)
{
    const Stage *s = &n->kernel->stage[0];
    CpuGemm *g;
    Contraction c;
    int last, first, loop;

    *out = NULL;
    if (!isa->vector_bytes || n->kernel->n_stage != 1 || !simple_results(s)) return OK;
    if (!kernel_contraction(&n->module->sx, s, &c)) return OK;
    if (s->order == ORDER_LANES64 || !c.n) return OK;
    if (band) keep_last_row(s, &c);
    if (!is_summed(s->acc[0].dtype)) return OK;
    last = innermost(s);
    if (last < 0 || !(c.n >> last & 1)) return OK;
    g = ARENA_NEW(arena, CpuGemm);
    g->tile = tile;
    g->band = band;
    g->unit = s->acc[0].dtype == DT_F64 ? 8 : 4;
    g->a.pack = g->b.pack = g->across.k = g->along.k = -1;
    g->rank = s->rank;
    g->n_index = s->rank + s->n_reduce;
    g->where = s->acc[0].where;
    for (int i = 0; i < g->n_index; i++)
        g->extent[i] = index_extent(s, i);
    first = first_of_n(s, &c, last);
    group_indices(g, s, &c, first, last);
    TRY(build_nest(g, arena, n, &c, d));
    loop = column_loop(g, last);
    if (loop < 0) return OK;
    if (g->nest->stage[STAGE_OUT].loop[loop].first > first) { /* results see it as several loops */
        group_indices(g, s, &c, g->nest->stage[STAGE_OUT].loop[loop].first, last);
        TRY(build_nest(g, arena, n, &c, d));
        loop = column_loop(g, last);
    }
    if (!stores_in_order(g, last)) return OK;
    DimTable *t = &n->module->dims;
    g->bytes = s->acc[0].dtype == DT_I32;
    g->size_m = set_size(g, t, SET_M);
    first = g->nest->stage[STAGE_OUT].loop[loop].first;
    if (first_in_line(g, first, last) > first) {
        group_indices(g, s, &c, first_in_line(g, first, last), last);
        TRY(build_nest(g, arena, n, &c, d));
    }
    g->size_o = set_size(g, t, SET_O);
    g->size_n = set_size(g, t, SET_N);
    g->size_k = set_size(g, t, SET_K);
    if (g->bytes && !gemm_bytes_fit(g)) return OK;
    bool packs = !g->open && g->unit == 4; /* while compiling */
    bool constant_b = packs && gemm_constant(g, STAGE_B);
    bool constant_a = packs && gemm_constant(g, STAGE_A);
    if (constant_b && !dim_is_const(g->size_n)) constant_b = false;
    if (!shape_taken(g, constant_b, last)) return OK;
    g->lanes = isa->vector_bytes / g->unit;
    g->tiles = isa->tiles != CPU_TILES_NONE;
    g->l2 = isa->l2;
    constant_a = constant_a && dim_is_const(g->size_m) && !g->bytes;
    g->pairs = isa->bf16 && s->order == ORDER_PAIRS && gemm_pairs_fit(g);
    find_in_place(g, constant_a);
    if (g->bytes && !gemm_bytes_rows(g)) return OK;
    if (g->pairs && !gemm_pairs_rows(g)) { /* widened in a copy, then */
        g->pairs = g->a.in_place = false;
        g->a_load = NULL;
        find_in_place(g, false);
    }
    if (!constant_b) find_columns(g, last);
    if (band && !band_fits(g)) return OK;
    note_uses(g, STAGE_A, &g->a);
    note_uses(g, STAGE_B, &g->b);
    if (lead) {
        INVARIANT(d, lead->nr % g->lanes == 0 && lead->a.in_place == g->a.in_place &&
                         lead->b.in_place == g->b.in_place);
        follow(g, lead, isa);
    } else {
        choose_tiles(g, isa);
        TRY(pack_constants(g, constant_a, constant_b, d));
        gemm_choose_blocks(g);
    }
    if (!g->run && gemm_panels_of_line(g) > MOST_PANELS) g->along.k = -1;
    if (g->a.pack < 0 && !g->a.in_place) choose_a_pitch(g);
    mark_unread(g);
    need_dims(g);
    set_abi(g);
    n->abi = g->nest->abi;
    if (!dims_ok(t)) return diag(d, ERR_LIMIT, node_where(n->node), "the sizes are too large");
    *out = g;
    return OK;
}

CpuGemmForm cpu_gemm_form(const CpuGemm *g)
{
    if (!g->amx) return g->k_cut ? CPU_GEMM_CUTS_K : CPU_GEMM_TILES;
    if (!g->streams) return CPU_GEMM_AMX;
    if (!g->k_steps) return CPU_GEMM_AMX_STREAM;
    return g->tiles_of_rows ? CPU_GEMM_AMX_COPY : CPU_GEMM_AMX_CUTS_K;
}

/* Rows as they are numbered: by the outer indices, then by those of M. */
static int row_loops(const CpuGemm *g, int side, int *loop)
{
    int n = loops_of_set(g, side, SET_O, loop);

    return n + loops_of_set(g, side, SET_M, loop + n);
}

bool cpu_gemm_rows(const CpuGemm *g, int operand, KernelRows *out)
{
    int side = operand < 0 ? STAGE_OUT : STAGE_A, loop[NEST_INDICES];
    int n = row_loops(g, side, loop);

    if (operand >= 0 && g->a.pack >= 0) return false;
    *out = (KernelRows){g->size_o, g->size_m, operand < 0 ? g->size_n : g->size_k};
    return nest_goes_by_rows(g->nest, &g->nest->stage[side], operand, n, loop, out->columns) &&
           (operand < 0 || (!nest_reads(&g->nest->stage[STAGE_B], operand) &&
                            !nest_reads(&g->nest->stage[STAGE_OUT], operand)));
}
