/* cpu_gemm_copy.c: what each run packs of operands that no compiler knows, or that stay narrow in
 * the artifact, into the layout that tiles stream.
 *
 *     B: one block of columns, [k][pitch]
 *     A: [row][a_pitch] where k is contiguous in memory and known, else panels of rows, [k][row]
 *
 * The expression itself is emitted: padding, conversion, transposition, unpacking cost nothing
 * more. */
#include "codegen/cpu/cpu_gemm_impl.h"

enum { ROWS_AT_ONCE = 192 }; /* of A that lie along a row of memory: most of a page */

/* Loops of a stage that belong to a set, in order of nesting (row-major). */
static int loops_of(const CpuGemm *g, int side, int set, int *out)
{
    const NestStage *s = &g->nest->stage[side];
    int n = 0;

    for (int i = 0; i < g->n_index; i++)
        if (g->group[i] == set && s->loop_of[i] >= 0 && s->loop[s->loop_of[i]].last == i)
            out[n++] = s->loop_of[i];
    return n;
}

typedef struct Packing {
    CpuFn *f;
    const CpuGemm *g;
    int side;
    LLVMValueRef to, first, last; /* columns of the block */
    LLVMValueRef row, from, end;  /* of columns that are a plane: a row of it, and what is wanted */
    int k[NEST_INDICES], n_k;     /* loops of the side's stage */
    int n[NEST_INDICES], n_n;
    LLVMValueRef m0, rows; /* of a panel */
    int n_rows;
} Packing;

static void at_loop(CpuFn *f, int l, LLVMValueRef v)
{
    f->loop_value[l] = v;
    f->loop_level[l] = f->level;
    cpu_restamp(f);
}

static void store_lanes(CpuFn *f, LLVMValueRef p, LLVMValueRef v, LLVMValueRef mask)
{
    if (mask) {
        LLVMTypeRef types[] = {LLVMTypeOf(v), f->m->ptr};
        LLVMValueRef args[] = {v, p, cpu_i32(f->m, 4), mask};
        cpu_intrinsic(f->m, "llvm.masked.store", 2, types, 4, args);
    } else {
        LLVMSetAlignment(LLVMBuildStore(f->b, v, p), 4);
    }
}

static LLVMValueRef lanes_value(Packing *p)
{
    const Sx *e = gemm_side(p->g, p->side);

    return p->f->lanes > 1 ? cpu_vector(p->f, e, 0) : cpu_value(p->f, e, 0);
}

/* The work at one chunk of lanes; `at` is the place of the chunk's first element within its row. */
typedef void (*ChunkBody)(Packing *p, LLVMValueRef at);

/* Chunks of `lanes` points of loop l from `from` on, masked at `to`; element i goes to row + i. */
static void chunks(Packing *p, int l, LLVMValueRef from, LLVMValueRef to, int lanes, bool masked,
                   LLVMValueRef row, ChunkBody body)
{
    CpuFn *f = p->f;
    CpuLoop loop = cpu_loop_open(f, from, to, lanes, 0, NULL);

    f->vec = lanes > 1 ? l : -1;
    f->lanes = lanes;
    f->unroll = f->active = 1;
    at_loop(f, l, loop.index);
    cpu_at(f, f->level);
    if (masked) f->mask[0] = cpu_lane_limit(f, LLVMBuildSub(f->b, to, loop.index, ""));
    body(p, gemm_add(f, row, loop.index));
    f->mask[0] = NULL;
    cpu_loop_close(f, &loop, NULL);
    f->vec = -1;
    f->lanes = 1;
}

static bool shorter_than(const CpuFn *f, int l, int lanes)
{
    Dim e = f->s->loop[l].extent;

    return dim_is_const(e) && e->value < lanes;
}

static void span(Packing *p, int l, LLVMValueRef from, LLVMValueRef to, LLVMValueRef row,
                 ChunkBody body)
{
    CpuFn *f = p->f;
    int lanes = p->g->lanes;
    bool masks = cpu_can_mask(f);
    LLVMValueRef whole = from;

    if (!shorter_than(f, l, lanes)) {
        cpu_at(f, f->level);
        whole = LLVMBuildSub(f->b, to, from, "");
        whole = LLVMBuildAnd(f->b, whole, cpu_i64(f->m, -(int64_t)lanes), "");
        whole = gemm_add(f, from, whole);
        chunks(p, l, from, whole, lanes, false, row, body);
    }
    chunks(p, l, whole, to, masks ? lanes : 1, masks, row, body);
}

/* The loops over k, the last one outermost: what a guard asks of the window's last index is then
 * known outside of the long loop over channels. `at` grows by each loop's step. */
static void over_k(Packing *p, int i, LLVMValueRef at, int64_t unit, ChunkBody body)
{
    CpuFn *f = p->f;
    LLVMValueRef extent, step = cpu_i64(f->m, unit);
    CpuLoop l;

    if (i < 0) {
        body(p, at);
        return;
    }
    extent = cpu_dim(f, f->s->loop[p->k[i]].extent);
    for (int j = i + 1; j < p->n_k; j++) {
        LLVMValueRef inner = cpu_dim(f, f->s->loop[p->k[j]].extent);
        cpu_at(f, f->level);
        step = gemm_mul(f, step, inner);
    }
    l = cpu_loop_open(f, cpu_i64(f->m, 0), extent, 1, 0, NULL);
    at_loop(f, p->k[i], l.index);
    cpu_at(f, f->level);
    at = gemm_add(f, at, gemm_mul(f, l.index, step));
    over_k(p, i - 1, at, unit, body);
    cpu_loop_close(f, &l, NULL);
}

/* The first `n` loops over k in their order; `at` is the number of the turn. */
static void over_k_in_order(Packing *p, int n, int i, LLVMValueRef at, ChunkBody body)
{
    CpuFn *f = p->f;
    LLVMValueRef extent;
    CpuLoop l;

    if (i == n) {
        body(p, at);
        return;
    }
    extent = cpu_dim(f, f->s->loop[p->k[i]].extent);
    cpu_at(f, f->level);
    at = gemm_mul(f, at, extent);
    l = cpu_loop_open(f, cpu_i64(f->m, 0), extent, 1, 0, NULL);
    at_loop(f, p->k[i], l.index);
    cpu_at(f, f->level);
    over_k_in_order(p, n, i + 1, gemm_add(f, at, l.index), body);
    cpu_loop_close(f, &l, NULL);
}

/* ---- columns: element (k, c) goes to k * pitch + c - first ---- */

static void store_chunk(Packing *p, LLVMValueRef at)
{
    CpuFn *f = p->f;
    LLVMValueRef v = lanes_value(p);

    cpu_at(f, f->level);
    store_lanes(f, gemm_float_at(f, p->to, at), v, f->mask[0]);
}

static void chunk_over_k(Packing *p, LLVMValueRef at)
{
    over_k(p, p->n_k - 1, at, p->g->pitch, store_chunk);
}

static LLVMValueRef smax(CpuFn *f, LLVMValueRef a, LLVMValueRef b)
{
    return cpu_call2(f, "llvm.smax", a, b);
}

static LLVMValueRef smin(CpuFn *f, LLVMValueRef a, LLVMValueRef b)
{
    return cpu_call2(f, "llvm.smin", a, b);
}

/* The loops outside of the innermost one stand at row `r` of the plane that the columns are. */
static void place_row(Packing *p, LLVMValueRef r)
{
    CpuFn *f = p->f;
    const NestStage *s = f->s;

    for (int i = p->n_n - 2; i >= 0; i--) {
        LLVMValueRef v = r, extent;
        if (i > 0) {
            extent = cpu_dim(f, s->loop[p->n[i]].extent);
            cpu_at(f, f->level);
            v = LLVMBuildURem(f->b, r, extent, "");
            r = LLVMBuildUDiv(f->b, r, extent, "");
        }
        at_loop(f, p->n[i], v);
    }
}

static void rule_out_windows(void *context, const Sx *e)
{
    if (e->guarded || e->op == SX_SELECT) *(bool *)context = false;
}

enum { MOST_CODES = 8 };

/* Whether the columns are weights to be unpacked: computed, and of no window; the last loop over k
 * is of the few that are unpacked from one place. */
static bool are_unpacked(const Packing *p)
{
    const Sx *e = gemm_side(p->g, p->side);
    const Dim last = p->n_k > 1 ? p->f->s->loop[p->k[p->n_k - 1]].extent : NULL;
    bool yes = e->op != SX_LOAD && last && dim_is_const(last) && last->value <= MOST_CODES;

    sx_visit(&p->g->nest->module->sx, e, rule_out_windows, &yes);
    return yes;
}

/* What is unpacked from one place, one k after the other. */
static void store_codes(Packing *p, LLVMValueRef at)
{
    CpuFn *f = p->f;
    int l = p->k[p->n_k - 1];

    for (int64_t i = 0; i < f->s->loop[l].extent->value; i++) {
        cpu_turn_open(f);
        at_loop(f, l, cpu_i64(f->m, i));
        cpu_at(f, f->level);
        store_chunk(p, gemm_add(f, at, cpu_i64(f->m, i * p->g->pitch)));
        cpu_turn_close(f);
    }
}

/* The lanes of one row of the plane, of all codes of a place. */
static void codes_of_row(Packing *p, LLVMValueRef at)
{
    CpuFn *f = p->f;
    int64_t pitch = p->g->pitch * f->s->loop[p->k[p->n_k - 1]].extent->value;

    cpu_at(f, f->level);
    at = gemm_add(f, gemm_mul(f, at, cpu_i64(f->m, pitch)), p->row);
    span(p, p->n[p->n_n - 1], p->from, p->end, at, store_codes);
}

/* Columns that are points of several loops: row after row, the lanes within a row. */
static void pack_rows_of_plane(Packing *p)
{
    CpuFn *f = p->f;
    int l = p->n[p->n_n - 1];
    LLVMValueRef width = cpu_dim(f, f->s->loop[l].extent), r0, r1, start;
    CpuLoop rows;

    cpu_at(f, f->level);
    r0 = LLVMBuildUDiv(f->b, p->first, width, "");
    r1 = LLVMBuildUDiv(f->b, LLVMBuildSub(f->b, p->last, cpu_i64(f->m, 1), ""), width, "");
    rows = cpu_loop_open(f, r0, gemm_add(f, r1, cpu_i64(f->m, 1)), 1, 0, NULL);
    place_row(p, rows.index);
    cpu_at(f, f->level);
    start = gemm_mul(f, rows.index, width);
    p->from = smax(f, LLVMBuildSub(f->b, p->first, start, ""), cpu_i64(f->m, 0));
    p->end = smin(f, LLVMBuildSub(f->b, p->last, start, ""), width);
    p->row = LLVMBuildSub(f->b, start, p->first, "");
    if (are_unpacked(p))
        over_k_in_order(p, p->n_k - 1, 0, cpu_i64(f->m, 0), codes_of_row);
    else
        span(p, l, p->from, p->end, p->row, chunk_over_k);
    cpu_loop_close(f, &rows, NULL);
}

/* Columns that are one loop: k after k, since each k is contiguous. */
static void pack_line(Packing *p, LLVMValueRef at)
{
    CpuFn *f = p->f;

    cpu_at(f, f->level);
    span(p, p->n[0], p->first, p->last, LLVMBuildSub(f->b, at, p->first, ""), store_chunk);
}

/* Rows or columns, `set` of a side, that are one loop, contiguous along the innermost k: tiles,
 * transposed. */
static bool are_turned(const CpuGemm *g, int side, int set)
{
    const NestStage *s = &g->nest->stage[side];
    int k[NEST_INDICES], n[NEST_INDICES], n_k = loops_of(g, side, SET_K, k);
    size_t i = 0;
    const void *key;
    void *affine;

    if (loops_of(g, side, set, n) != 1 || n_k < 1) return false;
    while (map_next(&s->address, &i, &key, &affine)) {
        if (!((Affine *)affine)->n_term && nest_transposes(g->nest, s, key, n[0], k[n_k - 1]))
            return true;
    }
    return false;
}

bool gemm_columns_are_turned(const CpuGemm *g)
{
    return are_turned(g, STAGE_B, SET_N);
}

static bool packs_tiles(Packing *p, CpuTileLoops *x)
{
    if (!are_turned(p->g, p->side, p->side == STAGE_A ? SET_M : SET_N)) return false;
    if (!cpu_can_mask(p->f)) return false;
    *x = (CpuTileLoops){.v = p->n[0], .w = p->k[p->n_k - 1], .v_cut = true, .rows_first = true};
    return cpu_tiles_fit(p->f, x);
}

/* A place in the block or panel: the row of k that tiles begin at. */
typedef struct TilePlace {
    Packing *p;
    LLVMValueRef at, pitch; /* from one k to the next */
    int w;
} TilePlace;

static void store_column(CpuFn *f, void *context, LLVMValueRef column)
{
    const TilePlace *x = context;
    LLVMValueRef k = f->loop_value[x->w], at;

    (void)column;
    cpu_at(f, f->level);
    at = gemm_add(f, x->at, gemm_mul(f, k, x->pitch));
    at = gemm_add(f, at, LLVMBuildSub(f->b, f->loop_value[x->p->n[0]], x->p->first, ""));
    store_chunk(x->p, at);
}

static void pack_tiles(Packing *p, LLVMValueRef at)
{
    CpuFn *f = p->f;
    TilePlace place = {.p = p, .at = at, .w = p->k[p->n_k - 1]};
    CpuTileLoops x;

    if (!packs_tiles(p, &x)) return;
    place.pitch = p->side == STAGE_A ? p->rows : cpu_i64(f->m, p->g->pitch);
    x.v_from = p->first;
    x.v_to = p->last;
    x.w_from = cpu_i64(f->m, 0);
    x.w_to = cpu_dim(f, f->s->loop[x.w].extent);
    x.point = store_column;
    x.context = &place;
    cpu_tiles(f, &x);
}

/* All of k but the innermost, where that is part of tiles. */
static void tiles_over_k(Packing *p, int64_t pitch)
{
    over_k(p, p->n_k - 2, cpu_i64(p->f->m, 0), pitch, pack_tiles);
}

/* What tiles read behind the last column must be a number, or it may be slow. */
static void zero_rest(Packing *p)
{
    CpuFn *f = p->f;
    int64_t nr = p->g->nr;
    int lanes = f->m->isa->mask32 || f->m->isa->mask_any ? p->g->lanes : 1;
    LLVMValueRef n, end, k = cpu_dim(f, p->g->size_k), at;
    CpuLoop over, l;

    if (dim_is_const(p->g->size_n) && p->g->size_n->value % nr == 0) return;
    cpu_at(f, f->level);
    n = LLVMBuildSub(f->b, p->last, p->first, "");
    end = LLVMBuildUDiv(f->b, gemm_add(f, n, cpu_i64(f->m, nr - 1)), cpu_i64(f->m, nr), "");
    end = gemm_mul(f, end, cpu_i64(f->m, nr));
    over = cpu_loop_open(f, cpu_i64(f->m, 0), k, 1, 0, NULL);
    cpu_at(f, f->level);
    at = gemm_mul(f, over.index, cpu_i64(f->m, p->g->pitch));
    l = cpu_loop_open(f, n, end, lanes, 0, NULL);
    cpu_at(f, f->level);
    store_lanes(f, gemm_float_at(f, p->to, gemm_add(f, at, l.index)),
                LLVMConstNull(cpu_lanes_type(f->element, lanes)),
                lanes > 1 ? cpu_first_lanes(f, LLVMBuildSub(f->b, end, l.index, ""), lanes) : NULL);
    cpu_loop_close(f, &l, NULL);
    cpu_loop_close(f, &over, NULL);
}

void gemm_emit_pack_b(CpuFn *f, const CpuGemm *g, LLVMValueRef to, LLVMValueRef n0, LLVMValueRef n1)
{
    Packing p = {.f = f, .g = g, .side = STAGE_B, .to = to, .first = n0, .last = n1};

    CpuTileLoops x;

    p.n_k = loops_of(g, STAGE_B, SET_K, p.k);
    p.n_n = loops_of(g, STAGE_B, SET_N, p.n);
    if (packs_tiles(&p, &x))
        tiles_over_k(&p, g->pitch);
    else if (p.n_n == 0)
        over_k(&p, p.n_k - 1, cpu_i64(f->m, 0), g->pitch, store_chunk);
    else if (p.n_n == 1)
        over_k(&p, p.n_k - 1, cpu_i64(f->m, 0), g->pitch, pack_line);
    else
        pack_rows_of_plane(&p);
    zero_rest(&p);
}

/* ---- rows ---- */

/* As [row][k], lanes along the innermost k: what lies row after row in memory stays so. */
static void row_of_k(Packing *p, LLVMValueRef at)
{
    int l = p->k[p->n_k - 1];
    LLVMValueRef extent = cpu_dim(p->f, p->f->s->loop[l].extent);

    span(p, l, cpu_i64(p->f->m, 0), extent, at, store_chunk);
}

static void pack_as_rows(Packing *p)
{
    CpuFn *f = p->f;
    CpuLoop l = cpu_loop_open(f, cpu_i64(f->m, 0), p->rows, 1, 0, NULL);
    LLVMValueRef at;

    cpu_at(f, f->level);
    gemm_place(f, p->g, STAGE_A, SET_M, gemm_add(f, p->m0, l.index));
    cpu_at(f, f->level);
    at = gemm_mul(f, l.index, cpu_i64(f->m, p->g->a_pitch));
    over_k(p, p->n_k - 2, at, 1, row_of_k);
    cpu_loop_close(f, &l, NULL);
}

/* As a panel [k][row], one element after the other. */
static void rows_of_k(Packing *p, LLVMValueRef k)
{
    CpuFn *f = p->f;
    CpuLoop l = cpu_loop_open(f, cpu_i64(f->m, 0), p->rows, 1, 0, NULL);
    LLVMValueRef v, at;

    cpu_at(f, f->level);
    gemm_place(f, p->g, STAGE_A, SET_M, gemm_add(f, p->m0, l.index));
    v = cpu_value(f, gemm_side(p->g, STAGE_A), 0);
    cpu_at(f, f->level);
    at = gemm_add(f, gemm_mul(f, k, p->rows), l.index);
    store_lanes(f, gemm_float_at(f, p->to, at), v, NULL);
    cpu_loop_close(f, &l, NULL);
}

/* Whether all rows are one loop, next to each other in memory. */
static bool rows_are_lanes(Packing *p)
{
    const NestStage *s = &p->g->nest->stage[STAGE_A];
    const Sx *e = gemm_side(p->g, STAGE_A);
    const Affine *x = e->op == SX_LOAD && !e->guarded ? map_get(&s->address, e) : NULL;

    return x && !x->n_term && p->n_n == 1 && affine_is_coef(x, s->loop[p->n[0]].last, 1);
}

/* As panels, lanes along the rows: what is next to each other in memory is read at once. */
static void panels_of_k(Packing *p, LLVMValueRef k)
{
    CpuFn *f = p->f;
    CpuLoop l = cpu_loop_open(f, p->first, p->last, p->n_rows, 0, NULL);
    LLVMValueRef panel, at;

    cpu_at(f, f->level);
    panel = gemm_mul(f, LLVMBuildSub(f->b, l.index, p->first, ""), cpu_dim(f, p->g->size_k));
    cpu_at(f, f->level);
    at = LLVMBuildSub(f->b, gemm_add(f, panel, gemm_mul(f, k, p->rows)), l.index, "");
    span(p, p->n[0], l.index, gemm_add(f, l.index, p->rows), at, store_chunk);
    cpu_loop_close(f, &l, NULL);
}

/* One panel, lanes along the rows: what is next to each other along k in memory is turned. */
static void turned_panel(Packing *p)
{
    cpu_at(p->f, p->f->level);
    p->last = gemm_add(p->f, p->m0, p->rows);
    tiles_over_k(p, p->n_rows);
}

int gemm_panels_at_once(const CpuGemm *g, int rows)
{
    Packing p = {.g = g};

    p.n_n = loops_of(g, STAGE_A, SET_M, p.n);
    return !g->a_pitch && rows_are_lanes(&p) ? (ROWS_AT_ONCE + rows - 1) / rows : 1;
}

void gemm_emit_pack_a(CpuFn *f, const CpuGemm *g, LLVMValueRef to, LLVMValueRef m0, LLVMValueRef m1,
                      int rows)
{
    Packing p = {.f = f, .g = g, .side = STAGE_A, .to = to, .m0 = m0, .first = m0, .last = m1};
    CpuTileLoops x;

    p.n_rows = rows;
    p.rows = cpu_i64(f->m, rows);
    p.n_k = loops_of(g, STAGE_A, SET_K, p.k);
    p.n_n = loops_of(g, STAGE_A, SET_M, p.n);
    if (g->a_pitch)
        pack_as_rows(&p);
    else if (rows_are_lanes(&p))
        over_k(&p, p.n_k - 1, cpu_i64(f->m, 0), 1, panels_of_k);
    else if (rows >= g->lanes / 2 && packs_tiles(&p, &x))
        turned_panel(&p);
    else
        over_k(&p, p.n_k - 1, cpu_i64(f->m, 0), 1, rows_of_k);
}
