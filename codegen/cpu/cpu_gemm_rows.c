/* cpu_gemm_rows.c: the epilogue of a contraction: the rows of a finished tile through the result
 * stage's value, and stored; from memory row by row, or written out from registers. */
#include "codegen/cpu/cpu_gemm_impl.h"

static LLVMValueRef tile_at(GemmTask *t, LLVMValueRef row, LLVMValueRef column)
{
    CpuFn *f = t->f;

    cpu_at(f, f->level);
    return gemm_float_at(f, t->tile,
                         gemm_add(f, gemm_mul(f, row, cpu_i64(f->m, t->g->width)), column));
}

static void store_row(GemmTask *t)
{
    CpuFn *f = t->f;
    const Stage *s = f->s->stage;
    LLVMValueRef v[CPU_UNROLL];

    for (int j = 0; j < s->n_out; j++) {
        for (int u = 0; u < f->active; u++)
            v[u] =
                f->lanes > 1 ? cpu_vector(f, f->s->value[j], u) : cpu_value(f, f->s->value[j], u);
        for (int u = 0; u < f->active; u++)
            cpu_store(f, j, v[u], u);
    }
}

static void publish(CpuFn *f)
{
    f->acc_varies = f->lanes > 1;
    f->acc_level = f->level;
    cpu_restamp(f);
}

static void column_at(CpuFn *f, int l, LLVMValueRef n, int lanes, int unroll)
{
    f->vec = lanes > 1 ? l : -1;
    f->lanes = lanes;
    f->unroll = f->active = unroll;
    f->loop_value[l] = n;
    f->loop_level[l] = f->level;
}

static LLVMValueRef load_tile(GemmTask *t, LLVMValueRef row, LLVMValueRef column, int lanes)
{
    CpuFn *f = t->f;
    LLVMValueRef p = tile_at(t, row, column);
    LLVMTypeRef one = t->g->bytes ? f->m->i32 : f->element;
    LLVMValueRef v = LLVMBuildLoad2(f->b, cpu_lanes_type(one, lanes), p, "");

    LLVMSetAlignment(v, 4);
    return v;
}

/* A row of a panel: all vectors at once, masked where there are masks. Its columns have been known
 * since the row's loop began. */
static void full_row(GemmTask *t, int l, LLVMValueRef row, LLVMValueRef n, const LLVMValueRef *mask)
{
    CpuFn *f = t->f;
    const CpuGemm *g = t->g;

    column_at(f, l, n, g->lanes, g->vectors);
    f->loop_level[l] = f->level - 1;
    for (int u = 0; u < g->vectors; u++)
        f->mask[u] = mask[u];
    for (int u = 0; u < g->vectors; u++)
        f->acc[u] = load_tile(t, row, cpu_i64(f->m, (int64_t)u * g->lanes), g->lanes);
    publish(f);
    store_row(t);
}

/* A row of the last panel: vectors, the last one masked, or one by one. */
static void part_row(GemmTask *t, int l, LLVMValueRef row, LLVMValueRef n)
{
    CpuFn *f = t->f;
    const CpuGemm *g = t->g;
    int lanes = cpu_can_mask(f) ? g->lanes : 1;
    LLVMValueRef left, width;
    CpuLoop loop;

    cpu_at(f, f->level);
    width = LLVMBuildSub(f->b, t->N, n, "");
    loop = cpu_loop_open(f, cpu_i64(f->m, 0), width, lanes, 0, NULL);
    cpu_at(f, f->level);
    column_at(f, l, gemm_add(f, n, loop.index), lanes, 1);
    left = LLVMBuildSub(f->b, width, loop.index, "");
    if (lanes > 1) f->mask[0] = cpu_lane_limit(f, left);
    f->acc[0] = load_tile(t, row, loop.index, lanes);
    publish(f);
    store_row(t);
    f->mask[0] = NULL;
    cpu_loop_close(f, &loop, NULL);
}

/* The result stage, at the outer point; gives the loop of the columns. */
static int enter_results(GemmTask *t)
{
    CpuFn *f = t->f;
    const CpuGemm *g = t->g;
    int column = -1;

    gemm_stage(f, g, STAGE_OUT);
    for (int i = 0; i < g->rank; i++)
        if (g->group[i] == SET_N && f->s->loop_of[i] >= 0) column = f->s->loop_of[i];
    cpu_at(f, f->level);
    gemm_place(f, g, STAGE_OUT, SET_O, t->o);
    return column;
}

/* ---- where the rows of a panel stand ---- */

typedef struct RowLoops {
    int n, loop[NEST_INDICES]; /* of the results, that M is; the innermost first */
    LLVMValueRef at[NEST_INDICES];
    bool carry; /* rows go from one line to the next: at[] is of the row at hand, not the first */
} RowLoops;

static void find_row_loops(const CpuGemm *g, RowLoops *x)
{
    const NestStage *s = &g->nest->stage[STAGE_OUT];

    for (int i = g->n_index - 1; i >= 0; i--)
        for (int l = 0; l < s->n_loop; l++)
            if (s->loop[l].last == i && g->group[i] == SET_M) x->loop[x->n++] = l;
    x->carry = x->n > 1 && (dim_is(g->lines, 1) || g->run || s->loop[x->loop[0]].extent != g->line);
}

static RowLoops first_row(GemmTask *t, LLVMValueRef m)
{
    CpuFn *f = t->f;
    RowLoops x = {0};

    find_row_loops(t->g, &x);
    cpu_at(f, f->level);
    gemm_place(f, t->g, STAGE_OUT, SET_M, m);
    for (int i = 0; i < x.n; i++)
        x.at[i] = f->loop_value[x.loop[i]];
    return x;
}

/* The results stand at the r-th row. */
static void place_row(GemmTask *t, const RowLoops *x, LLVMValueRef r)
{
    CpuFn *f = t->f;

    cpu_at(f, f->level);
    for (int i = 0; i < (x->carry ? x->n : x->n ? 1 : 0); i++) {
        f->loop_value[x->loop[i]] = x->carry ? x->at[i] : gemm_add(f, x->at[i], r);
        f->loop_level[x->loop[i]] = f->level;
    }
    cpu_restamp(f);
}

/* On to the next row, without a division. */
static void next_row(GemmTask *t, RowLoops *x)
{
    CpuFn *f = t->f;
    const NestLoop *loop = t->g->nest->stage[STAGE_OUT].loop;
    LLVMValueRef step = cpu_i64(f->m, 1);

    for (int i = 0; x->carry && i < x->n; i++) {
        LLVMValueRef extent = cpu_dim(f, loop[x->loop[i]].extent), ends;

        cpu_at(f, f->level);
        x->at[i] = gemm_add(f, x->at[i], step);
        if (i == x->n - 1) return;
        ends = LLVMBuildICmp(f->b, LLVMIntEQ, x->at[i], extent, "");
        x->at[i] = LLVMBuildSelect(f->b, ends, cpu_i64(f->m, 0), x->at[i], "");
        step = LLVMBuildZExt(f->b, ends, f->m->i64, "");
    }
}

static void leave_row(CpuFn *f)
{
    for (int u = 0; u < CPU_UNROLL; u++)
        f->mask[u] = NULL;
    f->vec = -1;
    f->lanes = f->unroll = f->active = 1;
}

/* Of columns that there are; NULL: all. */
static void find_masks(GemmTask *t, LLVMValueRef n, LLVMValueRef *mask)
{
    CpuFn *f = t->f;

    f->lanes = t->g->lanes;
    for (int u = 0; u < t->g->vectors; u++) {
        LLVMValueRef left = gemm_add(f, n, cpu_i64(f->m, (int64_t)u * f->lanes));
        mask[u] = cpu_lane_limit(f, LLVMBuildSub(f->b, t->N, left, ""));
    }
    f->lanes = 1;
}

void gemm_rows_loop(GemmTask *t, LLVMValueRef m, LLVMValueRef rows, LLVMValueRef n,
                    GemmColumns columns)
{
    CpuFn *f = t->f;
    int column = enter_results(t);
    RowLoops at = first_row(t, m);
    int carried = at.carry ? at.n : 0;
    LLVMValueRef mask[GEMM_VECTORS] = {NULL};
    CpuLoop l;

    cpu_at(f, f->level);
    if (columns == GEMM_MASKED) find_masks(t, n, mask);
    l = cpu_loop_open(f, cpu_i64(f->m, 0), rows, 1, carried, at.at);
    for (int i = 0; i < carried; i++)
        at.at[i] = l.carry[i];
    place_row(t, &at, l.index);
    if (columns == GEMM_PART)
        part_row(t, column, l.index, n);
    else
        full_row(t, column, l.index, n, mask);
    leave_row(f);
    next_row(t, &at);
    cpu_loop_close(f, &l, at.at);
}

void gemm_rows_written_out(GemmTask *t, const GemmTile *x, const LLVMValueRef *acc, LLVMValueRef m,
                           LLVMValueRef n, int64_t last)
{
    CpuFn *f = t->f;
    const CpuGemm *g = t->g;
    int column;
    RowLoops at;
    CpuIf scope = cpu_if_open(f, LLVMConstInt(LLVMInt1TypeInContext(f->m->cx), 1, 0));

    column = enter_results(t);
    at = first_row(t, m);
    for (int r = 0; r < x->rows; r++) {
        cpu_turn_open(f);
        column_at(f, column, n, g->lanes, x->vectors);
        f->loop_level[column] = f->level - 1;
        if (last) f->mask[x->vectors - 1] = cpu_lane_limit(f, cpu_i64(f->m, last));
        place_row(t, &at, cpu_i64(f->m, r));
        for (int u = 0; u < x->vectors; u++)
            f->acc[u] = acc[r * x->vectors + u];
        publish(f);
        store_row(t);
        leave_row(f);
        cpu_turn_close(f);
        next_row(t, &at);
    }
    cpu_if_close(f, &scope);
}
