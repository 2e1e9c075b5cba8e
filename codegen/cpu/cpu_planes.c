/* cpu_planes.c: convolutions of planes: blocks, tiles, results. cpu_planes_impl.h has the picture.
 *
 * Few taps stay in registers; of more, each row of a tile has a copy of its own in scratch, so that
 * none is held in a register from one row to the next. Many taps are loops, and all are where
 * registers are few: long stretches of code are not kept from loading much too early. */
#include "codegen/cpu/cpu_planes_impl.h"

enum {
    MOST_TAPS = 64, /* written out */
    FEW_TAPS = 3,   /* along a line, written out in loops over lines */
    MOST_ROWS = 8,  /* of a tile */
    MOST_VECTORS = 8,
    SOME_ROWS = 4,
    SOME_SUMS = 8, /* enough to hide the latency of one */
    MOST_SUMS = 16,
    WIDE_BLOCK = 512, /* columns, */
    OPEN_BLOCK = 256, /* where their number is open */
    LINES_BYTES = 32 << 10,
    TASKS_WANTED = 8,
    WORK_OF_GRAIN = 60000, /* multiply-adds that are worth a thread */
    SET_FLOATS = 1024      /* lines so far apart fall into one set of L1 */
};

static int64_t round_up(int64_t v, int64_t step)
{
    return (v + step - 1) / step * step;
}

static int64_t taps_of(const CpuPlanes *p)
{
    return p->form.row.taps * p->form.column.taps;
}

static bool has_many_taps(const CpuPlanes *p)
{
    return taps_of(p) > MOST_TAPS;
}

/* ---- plan ---- */

int64_t planes_beyond(const PlaneAxis *a)
{
    return a->step > 1 ? (a->taps - 1) / a->step : (a->taps - 1) * a->dilation;
}

/* x by itself: what lies beyond it is never asked for. */
static const Sx *open_data(SxTable *t, const Planes *p)
{
    const Sx *e = p->load;

    return e->guarded ? sx_load(t, e->dtype, e->src, e->n - 1, e->arg, NULL) : e;
}

/* The indices of x's stage go over lines, and over the places of a line: in steps, the taps do. */
static void set_extents(DimTable *t, const CpuPlanes *p, const Stage *s, Stage *x)
{
    const PlaneAxis *r = &p->form.row, *c = &p->form.column;
    Dim columns = dim_add_c(t, s->extent[c->out], planes_beyond(c));

    if (c->step > 1)
        x->extent[c->tap] = dim_mul_c(t, columns, c->step);
    else
        x->extent[c->out] = columns;
    if (c->step == 1 && c->tap >= 0) x->extent[c->tap] = dim_const(t, 1);
    if (r->out < 0) return;
    x->extent[r->out] = dim_add_c(t, s->extent[r->out], planes_beyond(r));
    if (r->tap >= 0) x->extent[r->tap] = dim_const(t, r->step);
}

static Status build(CpuPlanes *p, Arena *a, const Nest *n, Diag *d)
{
    const Stage *s = &n->kernel->stage[0];
    SxTable *t = &n->module->sx;
    Node *node = arena_copy(a, n->node, sizeof *node);
    Kernel *k = arena_copy(a, n->kernel, sizeof *k);
    uint8_t *group = ARENA_ARRAY(a, uint8_t, NEST_INDICES); /* each index by itself */

    for (int i = 0; i < NEST_INDICES; i++)
        group[i] = (uint8_t)(i + 1);
    k->n_stage = PLANES_STAGES;
    k->n_outer = 0;
    k->stage = ARENA_ARRAY(a, Stage, PLANES_STAGES);
    k->stage[PLANES_X] = nest_side_stage(a, s, open_data(t, &p->form));
    set_extents(&n->module->dims, p, s, &k->stage[PLANES_X]);
    k->stage[PLANES_WEIGHT] = nest_side_stage(a, s, p->form.weight);
    k->stage[PLANES_OUT] = nest_result_stage(a, t, s);
    node->kernel = k;
    return nest_build_grouped(a, n->module, node, group, NULL, NULL, d, &p->nest);
}

/* `most` at most, as even as may be. */
static int64_t cut(Dim n, int64_t most, int64_t unit)
{
    int64_t blocks;

    if (!dim_is_const(n)) return most;
    if (n->value <= most) return n->value < 1 ? 1 : n->value;
    blocks = (n->value + most - 1) / most;
    return round_up((n->value + blocks - 1) / blocks, unit);
}

static void choose_blocks(CpuPlanes *p)
{
    DimTable *t = &p->nest->module->dims;
    const PlaneAxis *r = &p->form.row, *c = &p->form.column;
    int64_t most, planes = 1, parts;

    p->block_columns =
        cut(p->columns, dim_is_const(p->columns) ? WIDE_BLOCK : OPEN_BLOCK, PLANES_UNIT);
    p->pitch = round_up(p->block_columns, PLANES_UNIT) + planes_beyond(c) + PLANES_UNIT - 1;
    p->pitch = round_up(p->pitch, PLANES_UNIT);
    if (p->pitch * p->phases % SET_FLOATS == 0) p->pitch += PLANES_UNIT;
    most = LINES_BYTES / 4 / (p->pitch * p->phases);
    most = (most - (r->taps - 1) * r->dilation) / r->step;
    if (most < 2 * MOST_ROWS) most = 2 * MOST_ROWS;
    for (int i = 0; i < p->rank; i++)
        if (i != r->out && i != c->out)
            planes *= nest_guess(p->nest->stage[PLANES_OUT].stage->extent[i]);
    parts = (TASKS_WANTED + planes - 1) / (planes < 1 ? 1 : planes);
    if (parts > 1 && nest_guess(p->rows) / parts < most) most = nest_guess(p->rows) / parts;
    if (most < MOST_ROWS) most = MOST_ROWS;
    p->block_rows = cut(p->rows, most, SOME_ROWS);
    p->lines = (p->block_rows - 1) * r->step + (r->taps - 1) * r->dilation + 1;
    p->blocks_rows = dim_ceil_div(t, p->rows, dim_const(t, p->block_rows));
    p->blocks_columns = dim_ceil_div(t, p->columns, dim_const(t, p->block_columns));
}

static int64_t weights_at(const CpuPlanes *p)
{
    return p->lines * p->phases * p->pitch;
}

static void set_abi(CpuPlanes *p)
{
    DimTable *t = &p->nest->module->dims;
    const NestStage *s = &p->nest->stage[PLANES_OUT];
    KernelAbi *abi = &p->nest->abi;
    int64_t work = taps_of(p) * p->block_rows * p->block_columns;
    int64_t copies = has_many_taps(p) ? 0 : MOST_ROWS * taps_of(p);

    abi->tasks = dim_mul(t, p->blocks_rows, p->blocks_columns);
    for (int i = 0; i < p->rank; i++) {
        if (i == p->form.row.out || i == p->form.column.out) continue;
        abi->tasks = dim_mul(t, abi->tasks, s->stage->extent[i]);
        nest_need(p->nest, s->stage->extent[i]);
    }
    abi->tasks = nest_tasks(p->nest, s, abi->tasks);
    abi->grain = dim_const(t, work > WORK_OF_GRAIN ? 1 : WORK_OF_GRAIN / (work + 1) + 1);
    abi->scratch = dim_const(t, 4 * (weights_at(p) + copies));
    nest_need(p->nest, p->rows);
    nest_need(p->nest, p->columns);
    nest_need(p->nest, p->blocks_rows);
    nest_need(p->nest, p->blocks_columns);
    if (p->form.row.end) nest_need(p->nest, p->form.row.end);
    if (p->form.column.end) nest_need(p->nest, p->form.column.end);
    for (int i = 0; i < PLANES_STAGES; i++)
        for (int l = 0; l < p->nest->stage[i].n_loop; l++)
            nest_need(p->nest, p->nest->stage[i].loop[l].extent);
}

static bool stores_in_order(const CpuPlanes *p)
{
    const NestStage *s = &p->nest->stage[PLANES_OUT];

    for (int j = 0; j < s->stage->n_out; j++)
        if (!affine_is_coef(s->store[j], p->form.column.out, 1)) return false;
    return true;
}

Status cpu_planes_prepare(Arena *arena, Nest *n, const CpuIsa *isa, Diag *d, CpuPlanes **out)
{
    const Stage *s = &n->kernel->stage[0];
    CpuPlanes *p = ARENA_NEW(arena, CpuPlanes);
    const PlaneAxis *c = &p->form.column;

    *out = NULL;
    if (!isa->vector_bytes || n->kernel->n_stage != 1) return OK;
    if (!kernel_planes(&n->module->sx, s, &p->form)) return OK;
    p->rank = s->rank;
    p->columns = s->extent[c->out];
    p->rows = p->form.row.out < 0 ? dim_const(&n->module->dims, 1) : s->extent[p->form.row.out];
    p->phases = c->step > 1 && c->step < c->taps ? c->step : c->step > 1 ? c->taps : 1;
    TRY(build(p, arena, n, d));
    if (p->nest->stage[PLANES_OUT].loop_of[c->out] < 0 || !stores_in_order(p)) return OK;
    choose_blocks(p);
    set_abi(p);
    if (!dims_ok(&n->module->dims))
        return diag(d, ERR_LIMIT, node_where(n->node), "the sizes are too large");
    n->abi = p->nest->abi;
    *out = p;
    return OK;
}

/* ---- code ---- */

void planes_at(CpuFn *f, int index, LLVMValueRef v)
{
    int l = index < 0 ? -1 : f->s->loop_of[index];

    if (l < 0) return;
    f->loop_value[l] = v;
    f->loop_level[l] = f->level;
    cpu_restamp(f);
}

LLVMValueRef planes_element(CpuFn *f, LLVMValueRef base, LLVMValueRef offset)
{
    return LLVMBuildGEP2(f->b, f->m->f32, base, &offset, 1, "");
}

void planes_stage(PlanesTask *t, int stage)
{
    CpuFn *f = t->f;

    f->s = &t->p->nest->stage[stage];
    f->stage_level = t->level;
    f->vec = -1;
    f->lanes = f->unroll = f->active = 1;
    for (int l = 0; l < f->s->n_loop; l++) {
        int i = f->s->loop[l].last;
        bool outer = i < t->p->rank && t->outer[i];
        f->loop_value[l] = outer ? t->outer[i] : cpu_i64(f->m, 0);
        f->loop_level[l] = t->level;
    }
    cpu_forget(f);
}

typedef struct Tile {
    PlanesTask *t;
    int rows, vectors; /* the most that there are */
    bool looped;       /* over lines */
    bool kept;         /* weights are in registers: */
    LLVMValueRef weight[MOST_TAPS];
    int lanes; /* from here on: of the tile at hand */
    int n_rows, n_vectors;
    LLVMValueRef row, column; /* its first ones, within the block */
    LLVMValueRef mask;        /* of its last vector, or NULL */
    LLVMValueRef base;        /* the first line that it reads */
    LLVMValueRef acc[MOST_ROWS * MOST_VECTORS];
} Tile;

/* Short rows take short vectors, whose taps lie within one store of what was laid out. */
static int choose_lanes(const CpuPlanes *p, const CpuIsa *isa)
{
    int lanes = isa->vector_bytes / 4;

    while (dim_is_const(p->columns) && p->block_columns <= lanes / 2 && lanes > 4)
        lanes /= 2;
    return lanes;
}

static bool has_many_registers(const CpuIsa *isa)
{
    return isa->registers >= 32;
}

/* Rows of a tile at most: in loops over lines they are next to each other. */
static int64_t most_rows(const Tile *x)
{
    const PlaneAxis *r = &x->t->p->form.row;
    int64_t most = x->t->p->block_rows;

    if (!x->looped) return most < MOST_ROWS ? most : MOST_ROWS;
    if (r->step > 1 || r->dilation > 1) return 1;
    if (most > SOME_ROWS) most = SOME_ROWS;
    return most < r->taps ? most : r->taps;
}

static void choose_tile(Tile *x)
{
    const CpuPlanes *p = x->t->p;
    const CpuIsa *isa = x->t->f->m->isa;
    bool many = has_many_registers(isa);
    int64_t all = (p->block_columns + x->t->lanes - 1) / x->t->lanes, most, wide, parts, left;

    x->looped = !many || has_many_taps(p);
    most = most_rows(x);
    wide = most > 1 ? (many ? 4 : 2) : many ? MOST_VECTORS : 6;
    parts = (all + wide - 1) / wide;
    x->vectors = (int)((all + parts - 1) / parts);
    left = isa->registers - 2 - taps_of(p) - x->vectors;
    x->kept = !x->looped && (left >= SOME_SUMS || left >= most * x->vectors);
    if (!x->kept) left = isa->registers - 2 - x->vectors;
    if (left > (many ? MOST_SUMS : SOME_SUMS)) left = many ? MOST_SUMS : SOME_SUMS;
    if (most > left / x->vectors) most = left / x->vectors;
    x->rows = most < 1 ? 1 : (int)most;
}

static LLVMValueRef weight_value(Tile *x, LLVMValueRef r, LLVMValueRef q)
{
    CpuFn *f = x->t->f;
    const CpuPlanes *p = x->t->p;
    LLVMValueRef v;

    cpu_turn_open(f);
    planes_at(f, p->form.row.tap, r);
    planes_at(f, p->form.column.tap, q);
    v = cpu_value(f, f->s->value[0], 0);
    cpu_turn_close(f);
    return v;
}

/* Weights of the task's plane: to registers, or a copy for each row of a tile. */
static void take_weights(Tile *x)
{
    CpuFn *f = x->t->f;
    const CpuPlanes *p = x->t->p;
    int64_t q = p->form.column.taps, taps = taps_of(p);

    if (x->looped) return;
    planes_stage(x->t, PLANES_WEIGHT);
    for (int64_t k = 0; k < taps; k++) {
        LLVMValueRef v = weight_value(x, cpu_i64(f->m, k / q), cpu_i64(f->m, k % q));
        cpu_at(f, f->level);
        x->weight[k] = v;
        for (int r = 0; r < x->rows && !x->kept; r++) {
            LLVMValueRef at = cpu_i64(f->m, weights_at(p) + r * taps + k);
            LLVMSetAlignment(LLVMBuildStore(f->b, v, planes_element(f, f->scratch, at)), 4);
        }
    }
}

static LLVMValueRef tap_weight(Tile *x, int row, int64_t r, int64_t q)
{
    CpuFn *f = x->t->f;
    const CpuPlanes *p = x->t->p;
    int64_t k = r * p->form.column.taps + q;
    LLVMValueRef v = x->weight[k], at;

    if (!x->kept) {
        at = cpu_i64(f->m, weights_at(p) + row * taps_of(p) + k);
        v = LLVMBuildLoad2(f->b, f->m->f32, planes_element(f, f->scratch, at), "");
        LLVMSetAlignment(v, 4);
    }
    return v;
}

/* The vectors of a line from `at` on, each times the weights of the rows [from, to). */
static void multiply(Tile *x, LLVMValueRef at, int from, int to, const LLVMValueRef *weight)
{
    CpuFn *f = x->t->f;
    LLVMTypeRef type = cpu_lanes_type(f->m->f32, x->lanes);

    for (int v = 0; v < x->n_vectors; v++) {
        LLVMValueRef e = planes_element(f, at, cpu_i64(f->m, (int64_t)v * x->lanes));
        e = LLVMBuildLoad2(f->b, type, e, "");
        LLVMSetAlignment(e, 4);
        for (int r = from; r < to; r++) {
            LLVMValueRef *acc = &x->acc[r * x->n_vectors + v];
            if (weight[r]) *acc = cpu_fma(f, DT_F32, e, weight[r], *acc);
        }
    }
}

/* Where tap q finds the tile's first column, from the start of a line. */
static int64_t tap_at(const CpuPlanes *p, int64_t q)
{
    const PlaneAxis *c = &p->form.column;

    return c->step > 1 ? q % c->step * p->pitch + q / c->step : q * c->dilation;
}

static void sums_written_out(Tile *x)
{
    CpuFn *f = x->t->f;
    const CpuPlanes *p = x->t->p;
    const PlaneAxis *a = &p->form.row;
    int64_t lines = (x->n_rows - 1) * a->step + (a->taps - 1) * a->dilation + 1;
    LLVMValueRef w[MOST_ROWS];

    for (int64_t i = 0; i < lines; i++)
        for (int64_t q = 0; q < p->form.column.taps; q++) {
            int64_t at = i * p->phases * p->pitch + tap_at(p, q);
            bool any = false;

            for (int r = 0; r < x->n_rows; r++) {
                int64_t k = i - r * a->step;
                w[r] = NULL;
                if (k < 0 || k % a->dilation || k / a->dilation >= a->taps) continue;
                w[r] = cpu_splat(f, tap_weight(x, r, k / a->dilation, q), x->lanes);
                any = true;
            }
            if (any) multiply(x, planes_element(f, x->base, cpu_i64(f->m, at)), 0, x->n_rows, w);
        }
}

/* Tap q of a line: for row r of the tile in [from, to) it is tap k - r of the window. */
static void one_tap(Tile *x, LLVMValueRef k, LLVMValueRef q, int from, int to)
{
    CpuFn *f = x->t->f;
    const CpuPlanes *p = x->t->p;
    const PlaneAxis *c = &p->form.column;
    LLVMValueRef at, along, w[MOST_ROWS], step = cpu_i64(f->m, c->step);

    for (int r = from; r < to; r++) {
        cpu_at(f, f->level);
        w[r] = weight_value(x, LLVMBuildSub(f->b, k, cpu_i64(f->m, r), ""), q);
    }
    cpu_at(f, f->level);
    for (int r = from; r < to; r++)
        w[r] = cpu_splat(f, w[r], x->lanes);
    at = LLVMBuildMul(f->b, k, cpu_i64(f->m, p->form.row.dilation * p->phases * p->pitch), "");
    along = LLVMBuildMul(f->b, q, cpu_i64(f->m, c->dilation), "");
    if (c->step > 1) {
        along = LLVMBuildMul(f->b, LLVMBuildURem(f->b, q, step, ""), cpu_i64(f->m, p->pitch), "");
        along = LLVMBuildAdd(f->b, along, LLVMBuildUDiv(f->b, q, step, ""), "");
    }
    multiply(x, planes_element(f, x->base, LLVMBuildAdd(f->b, at, along, "")), from, to, w);
}

static void taps_along(Tile *x, LLVMValueRef k, int from, int to)
{
    CpuFn *f = x->t->f;
    int64_t taps = x->t->p->form.column.taps;
    int n = x->n_rows * x->n_vectors;
    CpuLoop l;

    for (int64_t q = 0; taps <= FEW_TAPS && q < taps; q++)
        one_tap(x, k, cpu_i64(f->m, q), from, to);
    if (taps <= FEW_TAPS) return;
    l = cpu_loop_open(f, cpu_i64(f->m, 0), cpu_i64(f->m, taps), 1, n, x->acc);
    for (int i = 0; i < n; i++)
        x->acc[i] = l.carry[i];
    one_tap(x, k, l.index, from, to);
    cpu_loop_close(f, &l, x->acc);
    for (int i = 0; i < n; i++)
        x->acc[i] = l.carry[i];
    cpu_at(f, f->level);
}

/* Lines that all rows of the tile read are a loop; before and behind them some rows do not. */
static void sums_in_loops(Tile *x)
{
    CpuFn *f = x->t->f;
    int64_t taps = x->t->p->form.row.taps;
    int rows = x->n_rows, n = rows * x->n_vectors;
    CpuLoop l;

    planes_stage(x->t, PLANES_WEIGHT);
    for (int i = 0; i < rows - 1; i++)
        taps_along(x, cpu_i64(f->m, i), 0, i + 1);
    l = cpu_loop_open(f, cpu_i64(f->m, rows - 1), cpu_i64(f->m, taps), 1, n, x->acc);
    for (int i = 0; i < n; i++)
        x->acc[i] = l.carry[i];
    taps_along(x, l.index, 0, rows);
    cpu_loop_close(f, &l, x->acc);
    for (int i = 0; i < n; i++)
        x->acc[i] = l.carry[i];
    for (int i = 1; i < rows; i++)
        taps_along(x, cpu_i64(f->m, taps - 1 + i), i, rows);
}

static void store_rows(Tile *x)
{
    CpuFn *f = x->t->f;
    const CpuPlanes *p = x->t->p;
    LLVMValueRef at;

    planes_stage(x->t, PLANES_OUT);
    for (int r = 0; r < x->n_rows; r++) {
        cpu_turn_open(f);
        cpu_at(f, f->level);
        at = LLVMBuildAdd(f->b, x->t->row, x->row, "");
        planes_at(f, p->form.row.out, LLVMBuildAdd(f->b, at, cpu_i64(f->m, r), ""));
        planes_at(f, p->form.column.out, LLVMBuildAdd(f->b, x->t->column, x->column, ""));
        f->vec = x->lanes > 1 ? f->s->loop_of[p->form.column.out] : -1;
        f->lanes = x->lanes;
        f->unroll = f->active = x->n_vectors;
        f->mask[x->n_vectors - 1] = x->mask;
        for (int v = 0; v < x->n_vectors; v++)
            f->acc[v] = x->acc[r * x->n_vectors + v];
        f->acc_varies = x->lanes > 1;
        f->acc_level = f->level;
        cpu_restamp(f);
        cpu_store_point(f);
        f->mask[x->n_vectors - 1] = NULL;
        f->vec = -1;
        f->lanes = f->unroll = f->active = 1;
        cpu_turn_close(f);
    }
}

/* `left` columns there are, or NULL: all of the tile's. */
static void tile(Tile *x, LLVMValueRef column, int lanes, int vectors, LLVMValueRef left)
{
    CpuFn *f = x->t->f;
    const CpuPlanes *p = x->t->p;
    LLVMValueRef at;

    x->column = column;
    x->lanes = lanes;
    x->n_vectors = vectors;
    cpu_at(f, f->level);
    x->mask = NULL;
    if (left) {
        f->lanes = lanes;
        left = LLVMBuildSub(f->b, left, cpu_i64(f->m, (int64_t)(vectors - 1) * lanes), "");
        x->mask = cpu_lane_limit(f, left);
        f->lanes = 1;
    }
    at = cpu_i64(f->m, p->form.row.step * p->phases * p->pitch);
    at = LLVMBuildAdd(f->b, LLVMBuildMul(f->b, x->row, at, ""), column, "");
    x->base = planes_element(f, f->scratch, at);
    for (int i = 0; i < x->n_rows * vectors; i++)
        x->acc[i] = LLVMConstNull(cpu_lanes_type(f->m->f32, lanes));
    (x->looped ? sums_in_loops : sums_written_out)(x);
    cpu_at(f, f->level);
    store_rows(x);
    cpu_at(f, f->level);
}

/* Tiles from column `from` on, as long as they are whole; gives where they end. */
static LLVMValueRef tiles(Tile *x, LLVMValueRef from, LLVMValueRef to, int lanes, int vectors)
{
    CpuFn *f = x->t->f;
    int64_t step = (int64_t)lanes * vectors;
    LLVMValueRef next = from, last;
    CpuLoop l;

    cpu_at(f, f->level);
    last = LLVMBuildSub(f->b, to, cpu_i64(f->m, step - 1), "");
    l = cpu_loop_open(f, from, last, step, 1, &next);
    tile(x, l.index, lanes, vectors, NULL);
    next = LLVMBuildAdd(f->b, l.index, cpu_i64(f->m, step), "");
    cpu_loop_close(f, &l, &next);
    return l.carry[0];
}

/* What is less than a tile, of a number that is known or not. */
static void rest_of_row(Tile *x, LLVMValueRef from, LLVMValueRef to, int lanes)
{
    CpuFn *f = x->t->f;
    bool known = LLVMIsAConstantInt(to), masks;
    int64_t step = (int64_t)lanes * x->vectors, left = step - 1;
    CpuLoop l;

    f->s = &x->t->p->nest->stage[PLANES_OUT];
    masks = cpu_can_mask(f);
    if (known) left = LLVMConstIntGetSExtValue(to) % step;
    if (!left) return;
    if (known && (masks || left % lanes == 0)) {
        from = cpu_i64(f->m, LLVMConstIntGetSExtValue(to) - left);
        tile(x, from, lanes, (int)((left + lanes - 1) / lanes),
             left % lanes ? cpu_i64(f->m, left) : NULL);
        return;
    }
    if (left >= lanes) from = tiles(x, from, to, lanes, 1);
    if (!masks) {
        tiles(x, from, to, 1, 1);
        return;
    }
    l = cpu_loop_open(f, from, to, lanes, 0, NULL);
    cpu_at(f, f->level);
    tile(x, l.index, lanes, 1, LLVMBuildSub(f->b, to, l.index, ""));
    cpu_loop_close(f, &l, NULL);
}

static void row_of_tiles(Tile *x)
{
    CpuFn *f = x->t->f;
    LLVMValueRef to = x->t->columns, at = cpu_i64(f->m, 0);
    int lanes = x->t->lanes;

    if (!LLVMIsAConstantInt(to) || LLVMConstIntGetSExtValue(to) >= (int64_t)lanes * x->vectors)
        at = tiles(x, at, to, lanes, x->vectors);
    rest_of_row(x, at, to, lanes);
}

/* Rows from `from` on, n at a time. */
static LLVMValueRef rows_of_tiles(Tile *x, LLVMValueRef from, LLVMValueRef to, int n)
{
    CpuFn *f = x->t->f;
    LLVMValueRef next = from, last;
    CpuLoop l;

    cpu_at(f, f->level);
    last = LLVMBuildSub(f->b, to, cpu_i64(f->m, n - 1), "");
    l = cpu_loop_open(f, from, last, n, 1, &next);
    x->n_rows = n;
    x->row = l.index;
    row_of_tiles(x);
    cpu_at(f, f->level);
    next = LLVMBuildAdd(f->b, l.index, cpu_i64(f->m, n), "");
    cpu_loop_close(f, &l, &next);
    return l.carry[0];
}

/* Known rows in heights that differ by one at most. */
static void all_tiles(Tile *x)
{
    CpuFn *f = x->t->f;
    LLVMValueRef to = x->t->rows, at = cpu_i64(f->m, 0);
    int64_t n, parts, tall;

    if (!LLVMIsAConstantInt(to)) {
        at = rows_of_tiles(x, at, to, x->rows);
        if (x->rows > 2) at = rows_of_tiles(x, at, to, x->rows / 2);
        if (x->rows > 1) rows_of_tiles(x, at, to, 1);
        return;
    }
    n = LLVMConstIntGetSExtValue(to);
    parts = (n + x->rows - 1) / x->rows;
    tall = n % parts * (n / parts + 1);
    if (tall) at = rows_of_tiles(x, at, cpu_i64(f->m, tall), (int)(n / parts + 1));
    rows_of_tiles(x, at, to, (int)(n / parts));
}

/* The block's first point along an axis, and how many there are. */
static void take_block(PlanesTask *t, LLVMValueRef *number, Dim blocks, Dim all, int64_t block,
                       LLVMValueRef *first, LLVMValueRef *count)
{
    CpuFn *f = t->f;
    LLVMValueRef at = cpu_take(t->f, number, blocks), n = cpu_dim(f, all);

    cpu_at(f, f->level);
    *first = LLVMBuildMul(f->b, at, cpu_i64(f->m, block), "");
    *count = dim_is(blocks, 1) ? n
                               : cpu_call2(f, "llvm.smin", LLVMBuildSub(f->b, n, *first, ""),
                                           cpu_i64(f->m, block));
}

static void decode(PlanesTask *t, LLVMValueRef number)
{
    const CpuPlanes *p = t->p;
    const Stage *s = p->nest->stage[PLANES_OUT].stage;

    t->level = t->f->level;
    take_block(t, &number, p->blocks_columns, p->columns, p->block_columns, &t->column,
               &t->columns);
    take_block(t, &number, p->blocks_rows, p->rows, p->block_rows, &t->row, &t->rows);
    for (int i = p->rank - 1; i >= 0; i--)
        if (i != p->form.row.out && i != p->form.column.out)
            t->outer[i] = cpu_take(t->f, &number, s->extent[i]);
}

Status cpu_planes_emit(CpuModule *m, const CpuPlanes *p, const char *name)
{
    CpuFn *f = ARENA_NEW(m->arena, CpuFn);
    PlanesTask t = {.f = f, .p = p};
    Tile x = {.t = &t};
    LLVMBasicBlockRef leave;
    CpuLoop l;

    t.lanes = choose_lanes(p, m->isa);
    cpu_fn_open(f, m, p->nest, name);
    leave = cpu_block(f);
    f->s = &p->nest->stage[PLANES_OUT];
    f->acc = ARENA_ARRAY(f->arena, LLVMValueRef, CPU_UNROLL);
    cpu_fill_frames(f, f->s);
    cpu_leave_if_empty(f, f->s, f->s->n_domain, leave);
    choose_tile(&x);
    l = cpu_loop_open(f, f->begin, f->end, 1, 0, NULL);
    decode(&t, l.index);
    planes_lay(&t);
    take_weights(&x);
    all_tiles(&x);
    cpu_loop_close(f, &l, NULL);
    cpu_leave(f, leave);
    return cpu_fn_close(f);
}
