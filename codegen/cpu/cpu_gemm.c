/* cpu_gemm.c: contractions: what shapes are taken, tiles and blocks for them, tasks, epilogue.
 *
 * Tiles by an analytical model: `vectors` columns of vectors and `rows` rows so that accumulators,
 * vectors of B and a broadcast fill the registers; few rows take more columns. A static M is cut
 * into panels of two heights that differ by one, so that no row is computed in vain; an open M
 * takes tall panels and then small ones. A block of columns is as wide as half of L2 holds all of
 * K. */
#include "codegen/cpu/cpu_gemm_impl.h"

#include <string.h>

enum {
    L2_BYTES = 384 << 10, /* for the block of B */
    TASKS_WANTED = 8,
    ROWS_PER_PACK = 192, /* rows that make packing a block of B again worth while */
    SET_STRIDE = 4096,   /* rows so many bytes apart fall into one set of L1, */
    SET_WAYS = 8,        /* which holds so many of them */
    MIN_COLUMNS = 8,
    MOST_ROWS = 14
};

LLVMValueRef gemm_mul(CpuFn *f, LLVMValueRef a, LLVMValueRef b)
{
    return LLVMBuildMul(f->b, a, b, "");
}

LLVMValueRef gemm_add(CpuFn *f, LLVMValueRef a, LLVMValueRef b)
{
    return LLVMBuildAdd(f->b, a, b, "");
}

LLVMValueRef gemm_float_at(CpuFn *f, LLVMValueRef base, LLVMValueRef offset)
{
    return LLVMBuildGEP2(f->b, f->m->f32, base, &offset, 1, "");
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

static Dim set_size(const CpuGemm *g, DimTable *t, int set)
{
    Dim size = dim_const(t, 1);

    for (int i = 0; i < g->n_index; i++)
        if (g->group[i] == set) size = dim_mul(t, size, g->extent[i]);
    return size;
}

/* ---- the nest of three stages ---- */

static Stage side_stage(Arena *a, const Stage *s, const Sx *value)
{
    Stage y = {.rank = s->rank + s->n_reduce, .scan_axis = -1, .n_out = 1};
    StageOut *o = ARENA_NEW(a, StageOut);

    y.extent = ARENA_ARRAY(a, Dim, y.rank);
    for (int i = 0; i < y.rank; i++)
        y.extent[i] = index_extent(s, i);
    *o = (StageOut){.dtype = DT_F32, .value = value, .result = -1};
    y.out = o;
    return y;
}

static Stage result_stage(Arena *a, SxTable *t, const Stage *s)
{
    Stage y = *s;

    y.n_reduce = 0;
    y.acc = ARENA_NEW(a, Acc);
    *y.acc = (Acc){.monoid = MONOID_SUM, .dtype = DT_F32, .body = sx_const_bits(t, DT_F32, 0)};
    return y;
}

static Status build_nest(CpuGemm *g, Arena *a, const Nest *n, const Contraction *c, Diag *d)
{
    const Stage *s = &n->kernel->stage[0];
    Node *node = arena_copy(a, n->node, sizeof *node);
    Kernel *k = arena_copy(a, n->kernel, sizeof *k);
    uint8_t *group = arena_copy(a, g->group, sizeof g->group);

    k->n_stage = GEMM_STAGES;
    k->stage = ARENA_ARRAY(a, Stage, GEMM_STAGES);
    k->stage[STAGE_A] = side_stage(a, s, c->swapped ? s->acc[0].body2 : s->acc[0].body);
    k->stage[STAGE_B] = side_stage(a, s, c->swapped ? s->acc[0].body : s->acc[0].body2);
    k->stage[STAGE_OUT] = result_stage(a, &n->module->sx, s);
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

/* ---- which contractions ---- */

static bool shape_taken(const CpuGemm *g, bool constant_b)
{
    int64_t m = nest_guess(g->size_m), n = nest_guess(g->size_n);

    if (dim_is_const(g->size_n) && n < MIN_COLUMNS) return false;
    if (!constant_b && m < 3) return false;
    return true;
}

/* ---- tiles and blocks ---- */

static int most_rows(const CpuGemm *g, const CpuIsa *isa, int vectors)
{
    int left = isa->registers - vectors - (isa->registers >= 32 ? 1 : isa->fma ? 1 : 2);
    int rows = left / vectors;

    return rows > g->most_rows ? g->most_rows : rows < 1 ? 1 : rows;
}

/* Few rows take more columns, so that enough sums are under way to hide the latency of one. */
static int choose_vectors(const CpuGemm *g, const CpuIsa *isa)
{
    int64_t m = nest_guess(g->size_m), n = nest_guess(g->size_n), columns;
    int usual = isa->registers >= 32 ? (g->most_rows > 8 ? 2 : 3)
                : isa->fma           ? 3
                                     : 2,
        most = isa->registers >= 32 ? 8 : 6;
    int v = usual;

    while (v < most && most_rows(g, isa, v + 1) >= m)
        v++;
    columns = (n + g->lanes - 1) / g->lanes;
    return v > columns ? (int)columns : v;
}

static void choose_rows(CpuGemm *g, const CpuIsa *isa)
{
    int mr = most_rows(g, isa, g->vectors);

    g->tall = -1;
    if (dim_is_const(g->size_m) && g->size_m->value > 0) {
        int64_t m = g->size_m->value, panels = (m + mr - 1) / mr, low = m / panels;
        g->tall = m % panels;
        if (g->tall) g->rows[g->n_rows++] = (int)low + 1;
        g->rows[g->n_rows++] = (int)low;
        if (!g->tall) g->tall = 0;
        return;
    }
    g->rows[g->n_rows++] = mr;
    if (mr > 4) g->rows[g->n_rows++] = 4;
    if (mr > 1) g->rows[g->n_rows++] = 1;
}

static int64_t round_up(int64_t v, int64_t step)
{
    return (v + step - 1) / step * step;
}

static int64_t clamp(int64_t v, int64_t lo, int64_t hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

static void choose_blocks(CpuGemm *g)
{
    DimTable *t = &g->nest->module->dims;
    int64_t m = nest_guess(g->size_m), n = nest_guess(g->size_n), k = nest_guess(g->size_k);
    int64_t o = nest_guess(g->size_o), wide = L2_BYTES / 4 / clamp(k, 1, INT32_MAX), tasks;

    g->block_n =
        clamp(round_up(wide - g->nr + 1, g->nr), g->nr, round_up(clamp(n, 1, 4096), g->nr));
    if (o * ((n + g->block_n - 1) / g->block_n) < TASKS_WANTED) { /* narrower blocks, more tasks */
        int64_t each = round_up((n * o + TASKS_WANTED - 1) / TASKS_WANTED, g->nr);
        g->block_n = clamp(g->block_n, g->nr, clamp(each, g->nr, each));
    }
    g->pitch = g->block_n;
    tasks = o * ((n + g->block_n - 1) / g->block_n);
    g->block_m = 0;
    g->blocks_m = dim_const(t, 1);
    if (tasks < TASKS_WANTED && m > 2 * g->rows[0]) {
        int64_t cuts =
            clamp(TASKS_WANTED / tasks, 1, g->b.pack >= 0 ? m / g->rows[0] : m / ROWS_PER_PACK);
        if (cuts > 1 && g->tall == 0) g->block_m = round_up((m + cuts - 1) / cuts, g->rows[0]);
        if (cuts > 1 && g->tall < 0) g->block_m = round_up((m + cuts - 1) / cuts, g->rows[0]);
        if (cuts > 1 &&
            g->tall > 0) /* heights differ: cut at a panel of the tall ones only when all are */
            g->block_m = g->tall * g->rows[0] >= m / 2 ? g->tall * g->rows[0] : 0;
    }
    if (g->block_m) g->blocks_m = dim_ceil_div(t, g->size_m, dim_const(t, g->block_m));
    g->blocks_n = dim_ceil_div(t, g->size_n, dim_const(t, g->block_n));
}

static void find_in_place(CpuGemm *g)
{
    const NestStage *s = &g->nest->stage[STAGE_A];
    const Sx *e = s->value[0];
    const Affine *x =
        e->op == SX_LOAD && !e->guarded && e->dtype == DT_F32 ? map_get(&s->address, e) : NULL;
    DimTable *t = &g->nest->module->dims;
    int n_m = 0, n_k = 0;

    if (!x || x->n_term || e->src < 0) return;
    g->a.row = g->a.step = dim_const(t, 0);
    for (int l = 0; l < s->n_loop; l++) {
        int last = s->loop[l].last;
        if (g->group[last] == SET_M) {
            n_m++;
            g->a.row = x->coef[last] ? x->coef[last] : dim_const(t, 0);
        }
        if (g->group[last] == SET_K) {
            n_k++;
            g->a.step = x->coef[last] ? x->coef[last] : dim_const(t, 0);
        }
    }
    g->a.in_place = n_m <= 1 && n_k <= 1 && dim_is_const(g->a.row);
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
    g->a_pitch = round_up(g->size_k->value, 16) + 16;
    if (g->a_pitch * 4 % SET_STRIDE == 0) g->a_pitch += 16;
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
    if (g->a.in_place) nest_need(g->nest, g->a.step);
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
    Dim rows = g->block_m ? dim_const(t, g->block_m) : g->size_m;
    double work = (double)nest_guess(g->size_k) * (double)g->block_n * (double)nest_guess(rows);

    if (g->size_m->lo < 1) tasks = dim_mul(t, tasks, dim_min(t, g->size_m, dim_const(t, 1)));
    abi->tasks = tasks;
    abi->grain = work > 200000 ? 1 : (int64_t)(200000 / (work + 1)) + 1;
    g->a_at = g->b.pack < 0 ? align64(t, dim_mul_c(t, g->size_k, 4 * g->pitch)) : dim_const(t, 0);
    nest_need(g->nest, g->a_at);
    abi->scratch = g->a_at;
    if (g->a.pack < 0 && !g->a.in_place)
        abi->scratch =
            dim_add(t, g->a_at, align64(t, dim_mul(t, a_row_size(g), dim_mul_c(t, rows, 4))));
    abi->fails = false;
}

Status cpu_gemm_prepare(Arena *arena, Nest *n, const CpuIsa *isa, Diag *d, CpuGemm **out)
{
    const Stage *s = &n->kernel->stage[0];
    CpuGemm *g;
    Contraction c;
    int last, first, loop;

    *out = NULL;
    if (!isa->vector_bytes || n->kernel->n_stage != 1 || !simple_results(s) || n->abi.fails)
        return OK;
    if (!kernel_contraction(&n->module->sx, s, &c)) return OK;
    if (s->order != ORDER_CHAIN || s->acc[0].dtype != DT_F32 || !c.n) return OK;
    last = innermost(s);
    if (last < 0 || !(c.n >> last & 1)) return OK;
    g = ARENA_NEW(arena, CpuGemm);
    g->a.pack = g->b.pack = -1;
    g->rank = s->rank;
    g->n_index = s->rank + s->n_reduce;
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
    g->size_o = set_size(g, t, SET_O);
    g->size_m = set_size(g, t, SET_M);
    g->size_n = set_size(g, t, SET_N);
    g->size_k = set_size(g, t, SET_K);
    bool constant_b = gemm_constant(g, STAGE_B), constant_a = gemm_constant(g, STAGE_A);
    if (constant_b && !dim_is_const(g->size_n)) constant_b = false;
    if (!shape_taken(g, constant_b)) return OK;
    g->lanes = isa->vector_bytes / 4;
    g->most_rows = MOST_ROWS;
    constant_a = constant_a && dim_is_const(g->size_m);
    if (!constant_a) find_in_place(g);
    if (g->a.in_place && g->a.row->value && g->a.row->value * 4 % SET_STRIDE == 0)
        g->most_rows = SET_WAYS;
    g->vectors = choose_vectors(g, isa);
    g->nr = g->lanes * g->vectors;
    choose_rows(g, isa);
    note_uses(g, STAGE_A, &g->a);
    note_uses(g, STAGE_B, &g->b);
    if (constant_b) TRY(gemm_pack_constant(g, STAGE_B, d));
    if (constant_a) TRY(gemm_pack_constant(g, STAGE_A, d));
    if (g->a.pack < 0 && !g->a.in_place) choose_a_pitch(g);
    choose_blocks(g);
    if (g->tall > 0 && g->block_m && g->block_m != g->tall * g->rows[0]) g->block_m = 0;
    mark_unread(g);
    need_dims(g);
    set_abi(g);
    n->abi = g->nest->abi;
    if (!dims_ok(t)) return diag(d, ERR_LIMIT, node_where(n->node), "the sizes are too large");
    *out = g;
    return OK;
}

/* ---- emission ---- */

void gemm_stage(CpuFn *f, const CpuGemm *g, int s)
{
    f->s = &g->nest->stage[s];
    f->stage_level = f->level;
    f->vec = -1;
    f->lanes = f->unroll = f->active = 1;
    cpu_forget(f);
}

static LLVMValueRef index_value(CpuFn *f, const CpuGemm *g, int set, int index, LLVMValueRef flat)
{
    LLVMValueRef v = flat;
    bool outermost = true;

    for (int i = g->n_index - 1; i > index; i--) {
        if (g->group[i] != set || dim_is(g->extent[i], 1)) continue;
        LLVMValueRef extent = cpu_dim(f, g->extent[i]);
        cpu_at(f, f->level);
        v = LLVMBuildUDiv(f->b, v, extent, "");
    }
    for (int i = 0; i < index; i++)
        if (g->group[i] == set && !dim_is(g->extent[i], 1)) outermost = false;
    if (outermost) return v;
    LLVMValueRef extent = cpu_dim(f, g->extent[index]);
    cpu_at(f, f->level);
    return LLVMBuildURem(f->b, v, extent, "");
}

void gemm_place(CpuFn *f, const CpuGemm *g, int stage, int set, LLVMValueRef flat)
{
    const NestStage *s = &g->nest->stage[stage];

    for (int l = 0; l < s->n_loop; l++) {
        LLVMValueRef v = NULL;

        if (g->group[s->loop[l].last] != set) continue;
        for (int i = s->loop[l].first; i <= s->loop[l].last; i++) {
            LLVMValueRef x, extent;
            if (g->group[i] != set || dim_is(g->extent[i], 1)) continue;
            x = index_value(f, g, set, i, flat);
            extent = cpu_dim(f, g->extent[i]);
            cpu_at(f, f->level);
            v = v ? gemm_add(f, gemm_mul(f, v, extent), x) : x;
        }
        f->loop_value[l] = v ? v : cpu_i64(f->m, 0);
        f->loop_level[l] = f->level;
    }
    cpu_restamp(f);
}

typedef struct Task {
    CpuFn *f;
    const CpuGemm *g;
    LLVMValueRef o, m0, m1, n0, n1, k, M, N;
    LLVMValueRef scratch_a, scratch_b, tile;
    LLVMValueRef pack_a, pack_b; /* of this outer point */
} Task;

static LLVMValueRef smin(CpuFn *f, LLVMValueRef a, LLVMValueRef b)
{
    return cpu_call2(f, "llvm.smin", a, b);
}

/* Row-major number within the outer indices that a side uses. */
static LLVMValueRef outer_number(Task *t, uint32_t uses)
{
    CpuFn *f = t->f;
    LLVMValueRef v = cpu_i64(f->m, 0);

    for (int i = 0; i < t->g->n_index; i++) {
        LLVMValueRef x, extent;
        if (!(uses >> i & 1)) continue;
        x = index_value(f, t->g, SET_O, i, t->o);
        extent = cpu_dim(f, t->g->extent[i]);
        cpu_at(f, f->level);
        v = gemm_add(f, gemm_mul(f, v, extent), x);
    }
    return v;
}

static LLVMValueRef packed(Task *t, const GemmSide *s)
{
    CpuFn *f = t->f;
    const KernelAbi *abi = &t->g->nest->abi;
    LLVMValueRef p, at;

    if (s->pack < 0) return NULL;
    p = cpu_ptr(f, abi->n_in + abi->n_out + s->pack);
    at = outer_number(t, s->uses);
    cpu_at(f, f->level);
    return gemm_float_at(f, p, gemm_mul(f, at, cpu_i64(f->m, s->size->value)));
}

/* Where row m of A packed at run time begins. */
static LLVMValueRef panel_at(Task *t, LLVMValueRef m)
{
    CpuFn *f = t->f;
    LLVMValueRef size = t->g->a_pitch ? cpu_i64(f->m, t->g->a_pitch) : t->k;

    cpu_at(f, f->level);
    return gemm_float_at(f, t->scratch_a, gemm_mul(f, LLVMBuildSub(f->b, m, t->m0, ""), size));
}

/* A(m, 0) and its steps. */
static void rows_pointer(Task *t, GemmTile *x, LLVMValueRef m)
{
    CpuFn *f = t->f;
    const CpuGemm *g = t->g;

    x->a_row = 1;
    x->a_step = cpu_i64(f->m, x->rows);
    if (t->pack_a) {
        cpu_at(f, f->level);
        x->a = gemm_float_at(f, t->pack_a, gemm_mul(f, m, t->k));
    } else if (!g->a.in_place) {
        x->a = panel_at(t, m);
        if (g->a_pitch) {
            x->a_row = g->a_pitch;
            x->a_step = cpu_i64(f->m, 1);
        }
    } else {
        const NestStage *s = &g->nest->stage[STAGE_A];
        LLVMValueRef base = cpu_ptr(f, s->value[0]->src), at;

        gemm_stage(f, g, STAGE_A);
        gemm_place(f, g, STAGE_A, SET_O, t->o);
        gemm_place(f, g, STAGE_A, SET_M, m);
        gemm_place(f, g, STAGE_A, SET_K, cpu_i64(f->m, 0));
        gemm_place(f, g, STAGE_A, SET_N, cpu_i64(f->m, 0));
        at = cpu_offset(f, map_get(&s->address, s->value[0]), 0);
        x->a_step = cpu_dim(f, g->a.step);
        x->a_row = g->a.row->value;
        cpu_at(f, f->level);
        x->a = gemm_float_at(f, base, at);
    }
}

static void columns_pointer(Task *t, GemmTile *x, LLVMValueRef n)
{
    CpuFn *f = t->f;
    const CpuGemm *g = t->g;

    cpu_at(f, f->level);
    if (t->pack_b) {
        x->b = gemm_float_at(f, t->pack_b, gemm_mul(f, n, t->k));
        x->b_step = cpu_i64(f->m, g->nr);
    } else {
        x->b = gemm_float_at(f, t->scratch_b, LLVMBuildSub(f->b, n, t->n0, ""));
        x->b_step = cpu_i64(f->m, g->pitch);
    }
}

/* ---- the epilogue: rows of the tile through the stage's value ---- */

static LLVMValueRef tile_at(Task *t, LLVMValueRef row, LLVMValueRef column)
{
    CpuFn *f = t->f;

    cpu_at(f, f->level);
    return gemm_float_at(f, t->tile,
                         gemm_add(f, gemm_mul(f, row, cpu_i64(f->m, t->g->nr)), column));
}

static void store_row(Task *t)
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

static LLVMValueRef load_tile(Task *t, LLVMValueRef row, LLVMValueRef column, int lanes)
{
    CpuFn *f = t->f;
    LLVMValueRef p = tile_at(t, row, column);
    LLVMValueRef v = LLVMBuildLoad2(f->b, cpu_lanes_type(f->m->f32, lanes), p, "");

    LLVMSetAlignment(v, 4);
    return v;
}

/* A row of a full panel: all vectors at once. */
static void full_row(Task *t, int l, LLVMValueRef row, LLVMValueRef n)
{
    CpuFn *f = t->f;
    const CpuGemm *g = t->g;

    column_at(f, l, n, g->lanes, g->vectors);
    for (int u = 0; u < g->vectors; u++)
        f->acc[u] = load_tile(t, row, cpu_i64(f->m, (int64_t)u * g->lanes), g->lanes);
    publish(f);
    store_row(t);
}

/* A row of the last panel: vectors, the last one masked, or one by one. */
static void part_row(Task *t, int l, LLVMValueRef row, LLVMValueRef n)
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

static void rows_loop(Task *t, LLVMValueRef m, int rows, LLVMValueRef n, bool full)
{
    CpuFn *f = t->f;
    const CpuGemm *g = t->g;
    CpuLoop l = cpu_loop_open(f, cpu_i64(f->m, 0), cpu_i64(f->m, rows), 1, 0, NULL);
    int column = -1;

    gemm_stage(f, g, STAGE_OUT);
    for (int i = 0; i < g->rank; i++)
        if (g->group[i] == SET_N && f->s->loop_of[i] >= 0) column = f->s->loop_of[i];
    cpu_at(f, f->level);
    gemm_place(f, g, STAGE_OUT, SET_O, t->o);
    cpu_at(f, f->level);
    gemm_place(f, g, STAGE_OUT, SET_M, gemm_add(f, m, l.index));
    if (full)
        full_row(t, column, l.index, n);
    else
        part_row(t, column, l.index, n);
    f->vec = -1;
    f->lanes = f->unroll = f->active = 1;
    cpu_loop_close(f, &l, NULL);
}

/* ---- panels ---- */

static void full_tile(Task *t, GemmTile *x, LLVMValueRef m, LLVMValueRef n)
{
    x->vectors = t->g->vectors;
    gemm_emit_tile(t->f, t->g, x);
    rows_loop(t, m, x->rows, n, true);
}

/* The last columns: as few vectors as they need, when that is known. */
static void part_tile(Task *t, GemmTile *x, LLVMValueRef m, LLVMValueRef n)
{
    const CpuGemm *g = t->g;

    x->vectors = g->vectors;
    if (dim_is_const(g->size_n))
        x->vectors = (int)((g->size_n->value % g->nr + g->lanes - 1) / g->lanes);
    gemm_emit_tile(t->f, g, x);
    rows_loop(t, m, x->rows, n, false);
}

static void one_tile(Task *t, GemmTile *x, LLVMValueRef m, LLVMValueRef n)
{
    CpuFn *f = t->f;
    const CpuGemm *g = t->g;
    LLVMValueRef full, part;
    CpuIf c;

    columns_pointer(t, x, n);
    x->k = t->k;
    x->tile = t->tile;
    cpu_at(f, f->level);
    full = LLVMBuildICmp(f->b, LLVMIntSLE, gemm_add(f, n, cpu_i64(f->m, g->nr)), t->N, "");
    part = LLVMBuildNot(f->b, full, "");
    if (!dim_is_const(g->size_n) || g->size_n->value >= g->nr) {
        c = cpu_if_open(f, full);
        full_tile(t, x, m, n);
        cpu_if_close(f, &c);
    }
    if (dim_is_const(g->size_n) && g->size_n->value % g->nr == 0) return;
    c = cpu_if_open(f, part);
    part_tile(t, x, m, n);
    cpu_if_close(f, &c);
}

static void panel(Task *t, LLVMValueRef m, int rows)
{
    CpuFn *f = t->f;
    GemmTile x = {.rows = rows};
    CpuLoop l;

    if (!t->pack_a && !t->g->a.in_place) {
        LLVMValueRef to = panel_at(t, m);
        gemm_stage(f, t->g, STAGE_A);
        gemm_place(f, t->g, STAGE_A, SET_O, t->o);
        gemm_emit_pack_a(f, t->g, to, m, cpu_i64(f->m, rows));
    }
    rows_pointer(t, &x, m);
    l = cpu_loop_open(f, t->n0, t->n1, t->g->nr, 0, NULL);
    one_tile(t, &x, m, l.index);
    cpu_loop_close(f, &l, NULL);
}

/* Panels of one height, from m as long as `to` is not passed. Gives the next row. */
static LLVMValueRef panels(Task *t, LLVMValueRef m, LLVMValueRef to, int rows)
{
    CpuFn *f = t->f;
    LLVMValueRef next = m, last;
    CpuLoop l;

    cpu_at(f, f->level);
    last = LLVMBuildSub(f->b, to, cpu_i64(f->m, rows - 1), "");
    l = cpu_loop_open(f, m, last, rows, 1, &next);
    panel(t, l.index, rows);
    cpu_at(f, f->level);
    next = gemm_add(f, l.index, cpu_i64(f->m, rows));
    cpu_loop_close(f, &l, &next);
    return l.carry[0];
}

static void all_panels(Task *t)
{
    CpuFn *f = t->f;
    const CpuGemm *g = t->g;
    LLVMValueRef m = t->m0, to;

    for (int i = 0; i < g->n_rows; i++) {
        to = t->m1;
        if (g->tall > 0 && i == 0) {
            cpu_at(f, f->level);
            to = smin(f, to, cpu_i64(f->m, g->tall * g->rows[0]));
        }
        m = panels(t, m, to, g->rows[i]);
    }
}

static void decode(Task *t, LLVMValueRef number)
{
    CpuFn *f = t->f;
    const CpuGemm *g = t->g;
    LLVMValueRef blocks, at;

    blocks = cpu_dim(f, g->blocks_m);
    cpu_at(f, f->level);
    at = LLVMBuildURem(f->b, number, blocks, "");
    number = LLVMBuildUDiv(f->b, number, blocks, "");
    t->m0 = gemm_mul(f, at, cpu_i64(f->m, g->block_m));
    t->m1 = g->block_m ? smin(f, gemm_add(f, t->m0, cpu_i64(f->m, g->block_m)), t->M) : t->M;
    blocks = cpu_dim(f, g->blocks_n);
    cpu_at(f, f->level);
    at = LLVMBuildURem(f->b, number, blocks, "");
    t->o = LLVMBuildUDiv(f->b, number, blocks, "");
    t->n0 = gemm_mul(f, at, cpu_i64(f->m, g->block_n));
    t->n1 = smin(f, gemm_add(f, t->n0, cpu_i64(f->m, g->block_n)), t->N);
}

static void one_task(Task *t, LLVMValueRef number)
{
    CpuFn *f = t->f;
    const CpuGemm *g = t->g;

    decode(t, number);
    t->pack_a = packed(t, &g->a);
    t->pack_b = packed(t, &g->b);
    if (g->b.pack < 0) {
        gemm_stage(f, g, STAGE_B);
        gemm_place(f, g, STAGE_B, SET_O, t->o);
        gemm_place(f, g, STAGE_B, SET_M, cpu_i64(f->m, 0));
        gemm_emit_pack_b(f, g, t->scratch_b, t->n0, t->n1);
    }
    all_panels(t);
}

Status cpu_gemm_emit(CpuModule *m, const CpuGemm *g, const char *name)
{
    CpuFn *f = ARENA_NEW(m->arena, CpuFn);
    Task t = {.f = f, .g = g};
    CpuLoop l;

    cpu_fn_open(f, m, g->nest, name);
    f->s = &g->nest->stage[STAGE_OUT];
    f->acc = ARENA_ARRAY(f->arena, LLVMValueRef, CPU_UNROLL);
    t.k = cpu_dim(f, g->size_k);
    t.M = cpu_dim(f, g->size_m);
    t.N = cpu_dim(f, g->size_n);
    t.tile = cpu_stack(f, m->f32, g->rows[0] * g->nr);
    t.scratch_b = f->scratch;
    LLVMValueRef at = cpu_dim(f, g->a_at);
    cpu_at(f, 0);
    t.scratch_a = LLVMBuildGEP2(f->b, m->i8, f->scratch, &at, 1, "");
    l = cpu_loop_open(f, f->begin, f->end, 1, 0, NULL);
    one_task(&t, l.index);
    cpu_loop_close(f, &l, NULL);
    return cpu_fn_close(f);
}
