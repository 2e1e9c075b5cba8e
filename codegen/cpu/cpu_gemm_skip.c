/* cpu_gemm_skip.c: products of a window that lie beyond the edges of an image.
 *
 *     7 x 7 positions, a window of 3 x 3: 361 of 441 taps are inside
 *
 * Behind an edge lies a frame of zeros (passes/halo.c), and what the accumulator says of products
 * that count (Acc.where) tells where. Across lines: the loop over the window's rows begins and ends
 * where the panel's lines need it, which are several where columns without a frame join the lines
 * to one; and so it does along a line where the window is long and taps are steps of their own (of
 * groups, or with gaps: else taps and channels are one loop). Along a line of few panels: for the
 * first and the last of them the loop over the window's columns falls into parts, each for the rows
 * of the tile that it counts for. */
#include "codegen/cpu/cpu_gemm_impl.h"

enum { MOST_PARTS = 8 }; /* columns of a window that are told apart */

/* ---- from the expression ---- */

typedef struct Position {
    int64_t coef[NEST_INDICES], at;
} Position;

/* Adds by * e. */
static bool add_position(Position *p, const Sx *e, int64_t by)
{
    switch (e->op) {
    case SX_CONST:
        p->at += by * (int64_t)e->bits;
        return true;
    case SX_INDEX:
        p->coef[e->index] += by;
        return true;
    case SX_ADD:
        return add_position(p, e->arg[0], by) && add_position(p, e->arg[1], by);
    case SX_SUB:
        return add_position(p, e->arg[0], by) && add_position(p, e->arg[1], -by);
    case SX_MUL:
        return e->arg[1]->op == SX_CONST &&
               add_position(p, e->arg[0], by * (int64_t)e->arg[1]->bits);
    default:
        return false;
    }
}

/* One index of M and one of K, both growing with it. */
static bool edge_of(const CpuGemm *g, const Sx *position, GemmEdge *e)
{
    Position p = {0};

    *e = (GemmEdge){.m = -1, .k = -1};
    if (!add_position(&p, position, 1)) return false;
    for (int i = 0; i < g->n_index; i++) {
        int *index = g->group[i] == SET_M ? &e->m : g->group[i] == SET_K ? &e->k : NULL;
        if (p.coef[i] == 0 || dim_is(g->extent[i], 1)) continue;
        if (!index || *index >= 0 || p.coef[i] < 0) return false;
        *index = i;
    }
    if (e->m < 0 || e->k < 0) return false;
    e->m_step = p.coef[e->m];
    e->k_step = p.coef[e->k];
    e->at = p.at;
    return true;
}

/* The loop of k in place that the edge's index belongs to. */
static bool find_loop(const CpuGemm *g, GemmEdge *e)
{
    const NestStage *s = &g->nest->stage[STAGE_A];
    int n = -1;

    for (int l = 0; l < s->n_loop; l++) {
        if (g->group[s->loop[l].last] != SET_K) continue;
        n++;
        if (e->k < s->loop[l].first || e->k > s->loop[l].last) continue;
        e->loop = n;
        e->unit = 1;
        for (int i = e->k + 1; i <= s->loop[l].last; i++) {
            if (!dim_is_const(g->extent[i])) return false;
            e->unit *= g->extent[i]->value;
        }
        for (int i = s->loop[l].first; i < e->k; i++)
            if (!dim_is(g->extent[i], 1)) return false;
        return dim_is_const(s->loop[l].extent);
    }
    return false;
}

static int innermost_of_m(const CpuGemm *g)
{
    int last = -1;

    for (int i = 0; i < g->n_index; i++)
        if (g->group[i] == SET_M && !dim_is(g->extent[i], 1)) last = i;
    return last;
}

/* 0 <= position, or position < end. */
static void note_edge(CpuGemm *g, const Sx *position, Dim end)
{
    GemmEdge e, *to;

    if (!edge_of(g, position, &e) || !find_loop(g, &e)) return;
    e.end = end;
    to = e.m == innermost_of_m(g) ? &g->along : &g->across;
    if (to == &g->across && (e.loop != 0 || e.unit != 1)) return;
    if (to->k < 0) {
        *to = e;
        return;
    }
    if (to->m != e.m || to->k != e.k || to->at != e.at || to->m_step != e.m_step ||
        to->k_step != e.k_step)
        return;
    if (end) to->end = end;
}

static void note_guard(CpuGemm *g, const Sx *e)
{
    DimTable *t = &g->nest->module->dims;

    if (e->op == SX_AND) {
        note_guard(g, e->arg[0]);
        note_guard(g, e->arg[1]);
    } else if (e->op == SX_LE && e->arg[0]->op == SX_CONST && e->arg[0]->bits == 0) {
        note_edge(g, e->arg[1], NULL);
    } else if (e->op == SX_LT && e->arg[1]->op == SX_CONST) {
        note_edge(g, e->arg[0], dim_const(t, (int64_t)e->arg[1]->bits));
    } else if (e->op == SX_LT && e->arg[1]->op == SX_DIM) {
        note_edge(g, e->arg[0], e->arg[1]->dim);
    }
}

/* Index i of M shares its loop, the line that tiles walk along, with another one. */
static bool is_joined(const CpuGemm *g, int i)
{
    const NestStage *s = &g->nest->stage[STAGE_A];

    for (int l = 0; l < s->n_loop; l++) {
        if (i < s->loop[l].first || i > s->loop[l].last) continue;
        for (int k = s->loop[l].first; k <= s->loop[l].last; k++)
            if (k != i && !dim_is(g->extent[k], 1)) return true;
    }
    return false;
}

/* The window is long along the line itself: each tile begins and ends where its rows need it. */
static void line_to_across(CpuGemm *g)
{
    if (g->across.k < 0 && g->along.loop == 0 && g->along.unit == 1) {
        g->across = g->along;
        g->across.joined = true;
    }
    g->along.k = -1;
}

void gemm_find_edges(CpuGemm *g, bool image)
{
    if (!g->where || g->bytes) return;
    note_guard(g, g->where);
    if (g->across.k >= 0) g->across.joined = is_joined(g, g->across.m);
    if (g->along.k >= 0 && is_joined(g, g->along.m)) g->along.k = -1;
    if (g->along.k >= 0 && g->extent[g->along.k]->value > MOST_PARTS) line_to_across(g);
    if (g->along.k >= 0 &&
        (!image || !dim_is_const(g->line) || (g->along.end && !dim_is_const(g->along.end))))
        g->along.k = -1;
    if (g->across.k >= 0) nest_need(g->nest, g->across.end);
}

/* ---- for tiles ---- */

int64_t gemm_panels_of_line(const CpuGemm *g)
{
    int64_t tall = g->tall * g->rows[0];

    if (g->tall < 0) return INT64_MAX;
    return g->tall + (g->line->value - tall) / g->rows[g->n_rows - 1];
}

uint32_t gemm_rows_counted(const CpuGemm *g, const GemmTile *t, int64_t k)
{
    const GemmEdge *e = &g->along;
    uint32_t on = 0;

    for (int r = 0; r < t->rows; r++) {
        int64_t row = t->in_line + r, column = g->run ? row % g->run : row;
        int64_t p = e->at + column * e->m_step + k * e->k_step;
        if (p >= 0 && (!e->end || p < e->end->value)) on |= 1u << r;
    }
    return on;
}

/* at + m * m_step */
static LLVMValueRef line_at(CpuFn *f, const CpuGemm *g, LLVMValueRef m)
{
    const GemmEdge *e = &g->across;
    LLVMValueRef line = gemm_index(f, g, SET_M, e->m, m);

    cpu_at(f, f->level);
    line = gemm_mul(f, line, cpu_i64(f->m, e->m_step));
    return gemm_add(f, line, cpu_i64(f->m, e->at));
}

/* ceil(v / step), of v that is at least -step; within [0, k]. */
static LLVMValueRef steps(CpuFn *f, LLVMValueRef v, int64_t step, LLVMValueRef k)
{
    v = cpu_call2(f, "llvm.smax", v, cpu_i64(f->m, 0));
    v = LLVMBuildUDiv(f->b, gemm_add(f, v, cpu_i64(f->m, step - 1)), cpu_i64(f->m, step), "");
    return cpu_call2(f, "llvm.smin", v, k);
}

void gemm_lines_counted(CpuFn *f, const CpuGemm *g, GemmTile *t, LLVMValueRef m)
{
    const GemmEdge *e = &g->across;
    LLVMValueRef first, last, end, k = t->k_extent[0];

    if (e->k < 0) return;
    first = line_at(f, g, m); /* rows begin and end runs: the least and the greatest of all rows */
    last = g->run || e->joined ? line_at(f, g, gemm_add(f, m, cpu_i64(f->m, t->rows - 1))) : first;
    cpu_at(f, f->level);
    t->k_from = steps(f, LLVMBuildNeg(f->b, last, ""), e->k_step, k);
    if (!e->end) return;
    end = cpu_dim(f, e->end);
    cpu_at(f, f->level);
    t->k_extent[0] = steps(f, LLVMBuildSub(f->b, end, first, ""), e->k_step, k);
}
