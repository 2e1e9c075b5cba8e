/* nest_plan.c: which loop becomes lanes, in which order loops nest, and what a task is.
 *
 * Lanes: of all loops that may be, the one with the fewest memory operations an element, where a
 * contiguous or broadcast access is one operation a vector, and any other one a lane. Tasks are as
 * many outer loops as leave enough work inside; one more loop is cut into blocks when that gives
 * too few. Nothing here depends on the ISA: any two levels have the same tasks. */
#include "codegen/nest_impl.h"

enum {
    VECTOR_MOST = 64, /* lanes of any vector, and bytes of it, at most */
    ROWS_MOST = 8,
    ROWS_BYTES = 16384, /* of locals and of a row itself */
    LANES_GUESS = 16,
    TASK_POINTS = 4096,   /* a task shall have about this many points of the iteration space */
    TASKS_ENOUGH = 32,    /* with so many tasks, a loop need not be cut */
    BLOCK_UNIT = 512,     /* blocks of the vector loop are multiples of it */
    BLOCK_UNIT_SUM = 256, /* where each is a sum of up to SUM_LONG points */
    SUM_LONG = 1024,
    BLOCK_UNIT_LONG = 64,  /* where each point is long work, and blocks of a tile loop */
    TILE_LEAST = 3,        /* loops shorter than this are not tiled */
    LACE_COST = 32,        /* of rows of which each has an element in turn, as in access_cost */
    TILE_COST = 48,        /* of a load of a tile, as in access_cost */
    TILE_SHORT = 64,       /* tiled loops that a task does in one go */
    TILE_NODES = 400,      /* expressions at most in a tiled body */
    WORTH_A_THREAD = 60000 /* operations of lanes; about 5 microseconds */
};

/* ---- Tiles: a load that is contiguous along another loop is read in that direction and transposed
 * in registers, instead of element by element. */

static bool term_varies(const Nest *n, const Affine *x, int index)
{
    for (int i = 0; i < x->n_term; i++)
        if (sx_uses_index(&n->module->sx, x->term[i].e, index)) return true;
    return false;
}

static bool terms_use(const Nest *n, const Affine *x, const NestLoop *l)
{
    for (int k = l->first; k <= l->last; k++)
        if (term_varies(n, x, k)) return true;
    return false;
}

bool nest_transposes(const Nest *n, const NestStage *s, const Sx *load, int v, int w)
{
    const Affine *x = map_get(&s->address, load);

    if (!x || load->op != SX_LOAD || load->guarded) return false;
    if (dtype_bits(load->dtype) > 64) return false;
    if (terms_use(n, x, &s->loop[w]) || !affine_is_coef(x, s->loop[w].last, 1)) return false;
    return terms_use(n, x, &s->loop[v]) ||
           (!affine_is_coef(x, s->loop[v].last, 0) && !affine_is_coef(x, s->loop[v].last, 1));
}

static bool allows_tiles(const Nest *n, const NestStage *s, int v)
{
    if (v < n->n_outer || v >= s->n_domain || s->stage->n_acc || n->serial) return false;
    return nest_guess(s->loop[v].extent) >= TILE_LEAST && s->n_node <= TILE_NODES;
}

/* The loop along which tiles with lanes along loop v read this load, or -1. */
static int tile_of_load(const Nest *n, const NestStage *s, const Sx *load, int v)
{
    if (!allows_tiles(n, s, v)) return -1;
    for (int l = s->n_domain - 1; l >= n->n_outer; l--) {
        if (l != v && nest_guess(s->loop[l].extent) >= TILE_LEAST &&
            nest_transposes(n, s, load, v, l))
            return l;
    }
    return -1;
}

static int tile_loop(const Nest *n, const NestStage *s)
{
    int last = -1;
    size_t i = 0;
    const void *key;
    void *x;

    while (map_next(&s->address, &i, &key, &x)) {
        int l = tile_of_load(n, s, key, s->vec);
        if (l > last) last = l;
    }
    return last;
}

/* ---- Lanes ---- */

/* Operations in units of 1/16 of a vector's, an element. */
static int64_t access_cost(Nest *n, const Affine *x, int index, bool store)
{
    if (term_varies(n, x, index)) return store ? 400 : 240;
    if (affine_is_coef(x, index, 0)) return store ? 400 : 4;
    if (affine_is_coef(x, index, 1)) return 16;
    if (!store && dim_is_const(x->coef[index]) && x->coef[index]->value > 0 &&
        x->coef[index]->value <= 4)
        return 24 * x->coef[index]->value;
    return store ? 400 : 240;
}

static int64_t lanes_cost(Nest *n, const NestStage *s, int index)
{
    int64_t cost = 16;
    size_t i = 0;
    const void *key;
    void *x;

    while (map_next(&s->address, &i, &key, &x)) {
        NestPeriod p = nest_period(n, s, index, key, x);
        NestLace lace = nest_lace(n, index, key, x);
        if (lace.by && LANES_GUESS % lace.by == 0)
            cost += LACE_COST;
        else if (p.by && (p.by % LANES_GUESS == 0 || LANES_GUESS % p.by == 0))
            cost += 24;
        else if (tile_of_load(n, s, key, s->loop_of[index]) >= 0)
            cost += TILE_COST;
        else if (((const Sx *)key)->op == SX_LOAD)
            cost += access_cost(n, x, index, false);
    }
    if (index < s->stage->rank) {
        for (int j = 0; j < s->stage->n_out; j++)
            cost += access_cost(n, s->store[j], index, true) / (s->stage->n_reduce ? 8 : 1);
    }
    return cost;
}

/* Whether lanes may run along the innermost reduction index. */
static bool reduction_has_lanes(const NestStage *n)
{
    const Stage *s = n->stage;
    bool integers = true;

    if (!s->n_acc) return false;
    for (int i = 0; i < s->n_acc; i++) {
        if (nest_is_arg(s->acc[i].monoid)) return false;
        integers = integers && !dtype_is_float(s->acc[i].dtype);
    }
    return integers || n->lanes;
}

/* Positions of extremes are always found in chain order. */
static bool only_positions(const Stage *s)
{
    for (int i = 0; i < s->n_acc; i++) {
        if (!nest_is_arg(s->acc[i].monoid)) return false;
    }
    return true;
}

static bool too_wide(DType d)
{
    return dtype_bits(d) > 64;
}

static bool stage_is_wide(const NestStage *s)
{
    size_t i = 0;
    const void *key;
    void *x;

    while (map_next(&s->address, &i, &key, &x)) {
        if (too_wide(((const Sx *)key)->dtype)) return true;
    }
    return false;
}

/* A scatter keeps its order, but for a row of places next to each other. */
static bool scatter_allows(Nest *n, const NestStage *s, int loop)
{
    int index = s->loop[loop].last;

    for (int j = 0; j < s->stage->n_out; j++) {
        if (!nest_scatters(&s->stage->out[j])) continue;
        if (loop != s->n_domain - 1 || !affine_is_coef(s->store[j], index, 1)) return false;
        if (term_varies(n, s->store[j], index)) return false;
    }
    return true;
}

static int best_lanes(Nest *n, const NestStage *s)
{
    int best = -1;
    int64_t least = INT64_MAX;

    for (int l = s->n_loop - 1; l >= n->n_outer; l--) {
        int64_t extent = nest_guess(s->loop[l].extent), lanes, cost;
        bool reduction = l >= s->n_domain;

        if (extent < 2 || s->loop[l].last == s->stage->scan_axis) continue;
        if (reduction ? l != s->n_loop - 1 || !reduction_has_lanes(s) : s->lanes) continue;
        if (!reduction && !scatter_allows(n, s, l)) continue;
        lanes = extent < LANES_GUESS ? extent : LANES_GUESS;
        cost = lanes_cost(n, s, s->loop[l].last) * LANES_GUESS / lanes;
        if (cost < least) {
            least = cost;
            best = l;
        }
    }
    return best;
}

/* ---- Order: outer loops, other domain loops, the vector loop, the scan; then reductions ---- */

static void move_loop(NestStage *s, int from, int to)
{
    NestLoop l = s->loop[from];

    for (int i = from; i < to; i++)
        s->loop[i] = s->loop[i + 1];
    s->loop[to] = l;
    for (int i = 0; i < s->n_loop; i++)
        s->loop_of[s->loop[i].last] = i;
}

static void order_loops(Nest *n, NestStage *s)
{
    int end = s->n_domain - 1;

    s->lanes = s->stage->order == ORDER_LANES64 && !only_positions(s->stage) &&
               s->stage->n_reduce && s->n_loop > s->n_domain &&
               s->loop[s->n_loop - 1].last == s->n_index - 1;
    s->vec = stage_is_wide(s) ? -1 : best_lanes(n, s);
    for (int l = 0; l < s->n_domain; l++) {
        if (s->loop[l].last == s->stage->scan_axis) {
            move_loop(s, l, end);
            if (s->vec > l && s->vec <= end) s->vec--;
            s->scan = end--;
            break;
        }
    }
    if (s->vec >= 0 && s->vec < end && s->vec >= n->n_outer) {
        move_loop(s, s->vec, end);
        s->vec = end;
    }
    s->tile = tile_loop(n, s);
    if (s->tile < 0) return;
    if (s->tile < s->vec - 1) {
        move_loop(s, s->tile, s->vec - 1);
        s->tile = s->vec - 1;
    }
    if (nest_guess(s->loop[s->tile].extent) <= TILE_SHORT) { /* tasks divide the vector loop */
        move_loop(s, s->tile, s->vec);
        s->tile = s->vec--;
    }
}

/* ---- Tasks ---- */

static int64_t sat(int64_t a, int64_t b)
{
    int64_t r;
    return __builtin_mul_overflow(a, b, &r) ? INT64_MAX : r;
}

/* Points below loop `from` of all stages together. */
static int64_t points_inside(const Nest *n, int from)
{
    int64_t sum = 0, p;

    for (int i = 0; i < n->kernel->n_stage; i++) {
        const NestStage *s = &n->stage[i];
        p = 1;
        for (int l = from; l < s->n_loop; l++)
            p = sat(p, nest_guess(s->loop[l].extent));
        sum = sum > INT64_MAX - p ? INT64_MAX : sum + p;
    }
    return sum;
}

static int64_t tasks_of(const Nest *n, int loops)
{
    int64_t p = 1;

    for (int l = 0; l < loops; l++)
        p = sat(p, nest_guess(n->stage[0].loop[l].extent));
    return p;
}

/* Loops that may be counted by tasks: all that are not lanes or scans. */
static int task_loops(const Nest *n)
{
    const NestStage *s = &n->stage[0];

    if (n->serial) return 0;
    if (n->kernel->n_stage > 1) return n->n_outer;
    if (s->tile >= 0) return s->tile < s->vec ? s->tile : s->vec;
    return s->n_domain - (s->scan >= 0) - (s->vec >= 0 && s->vec < s->n_domain);
}

static void cut_block(Nest *n)
{
    const NestStage *s = &n->stage[0];
    bool is_vec = s->vec == n->n_task;
    int64_t extent, inside, block, unit;

    if (n->kernel->n_stage > 1 && n->n_task >= n->n_outer) return;
    if (n->serial || n->n_task >= s->n_domain || n->n_task == s->scan) return;
    extent = nest_guess(s->loop[n->n_task].extent);
    inside = points_inside(n, n->n_task + 1);
    block = TASK_POINTS / (inside ? inside : 1);
    unit = n->n_task == s->tile          ? BLOCK_UNIT_LONG
           : is_vec && inside > SUM_LONG ? BLOCK_UNIT_LONG
           : is_vec && inside > 8        ? BLOCK_UNIT_SUM
           : is_vec                      ? BLOCK_UNIT
                                         : 1;
    block = (block + unit - 1) / unit * unit;
    if (block < unit) block = unit;
    if (dim_is_const(s->loop[n->n_task].extent) && block >= extent) return;
    n->block = block;
}

/* Loops that are rows; -1 where stages do not all go through them first. */
static int row_loops(const Nest *n)
{
    int rows = 0;

    while (rows < n->stage[0].n_domain && n->stage[0].loop[rows].last < n->n_row)
        rows++;
    if (n->serial || (n->kernel->n_stage > 1 && rows > n->n_outer)) return -1;
    for (int i = 0; i < n->kernel->n_stage; i++) {
        const NestStage *s = &n->stage[i];
        for (int l = 0; l < s->n_loop; l++)
            if ((s->loop[l].last < n->n_row) != (l < rows)) return -1;
        if ((s->vec >= 0 && s->vec < rows) || (s->scan >= 0 && s->scan < rows)) return -1;
        if (s->tile >= 0 && s->tile < rows) return -1;
    }
    return rows;
}

static void choose_tasks(Nest *n)
{
    int most = task_loops(n), rows = n->n_row ? row_loops(n) : 0;

    if (rows < 1) n->n_row = 0;
    if (n->n_row) {
        n->n_task = rows - 1;
        n->block = 1;
        return;
    }
    while (n->n_task < most && points_inside(n, n->n_task + 1) >= TASK_POINTS)
        n->n_task++;
    if (tasks_of(n, n->n_task) < TASKS_ENOUGH) cut_block(n);
}

/* ---- Locals ---- */

/* Of whole vectors of any element: the last one of a row is stored and read without a mask. */
static Dim local_bytes(Nest *n, const NestStage *s)
{
    DimTable *t = &n->module->dims;
    Dim whole = dim_ceil_div(t, nest_inner_size(n, s->stage), dim_const(t, VECTOR_MOST));

    return dim_mul_c(t, whole, VECTOR_MOST * dtype_bytes(s->stage->out[0].dtype));
}

/* Rows whose locals stay in L1 together: what is left of one row's sums is added up while the next
 * row is read. */
static int rows_at_once(Nest *n)
{
    int64_t bytes = 0, points = points_inside(n, n->n_outer), fit;

    if (n->kernel->n_stage == 1 || n->n_task >= n->n_outer || n->serial) return 1;
    for (int i = 0; i < n->kernel->n_stage; i++) {
        Dim own = local_bytes(n, &n->stage[i]);
        if (n->stage[i].local == LOCAL_NONE) continue;
        if (!dim_is_const(own) || own->value > ROWS_BYTES) return 1;
        bytes += own->value;
    }
    if (points > ROWS_BYTES) return 1;
    fit = ROWS_BYTES / (bytes + points * 4 / n->kernel->n_stage + 1);
    return fit > ROWS_MOST ? ROWS_MOST : fit < 1 ? 1 : (int)fit;
}

static void place_locals(Nest *n)
{
    DimTable *t = &n->module->dims;
    Dim at = dim_const(t, 0);

    n->rows = rows_at_once(n);
    for (int i = 0; i < n->kernel->n_stage; i++) {
        NestStage *s = &n->stage[i];
        if (s->local == LOCAL_NONE || (s->local == LOCAL_REGISTER && n->rows == 1)) continue;
        Dim bytes = local_bytes(n, s);
        s->local_at = at;
        s->local_step = dim_is_const(bytes) ? bytes->value : 0;
        nest_need(n, at);
        at = dim_add(t, at, dim_mul_c(t, bytes, n->rows));
    }
    n->abi.scratch = at;
}

static int64_t weight(Nest *n)
{
    int64_t nodes = 0;

    for (int i = 0; i < n->kernel->n_stage; i++) {
        const NestStage *s = &n->stage[i];
        nodes += (int64_t)s->address.count + 2;
    }
    return nodes / n->kernel->n_stage;
}

bool nest_is_framed(const NestStage *s)
{
    for (int j = 0; j < s->stage->n_out; j++)
        if (s->stage->out[j].before) return true;
    return false;
}

Dim nest_tasks(Nest *n, const NestStage *s, Dim tasks)
{
    DimTable *t = &n->module->dims;

    return nest_is_framed(s) ? dim_max(t, tasks, dim_const(t, 1)) : tasks;
}

static void count_tasks(Nest *n)
{
    DimTable *t = &n->module->dims;
    const NestStage *s = &n->stage[0];
    int64_t points = points_inside(n, n->n_task);

    n->abi.tasks = dim_const(t, 1);
    for (int l = 0; l < n->n_task; l++)
        n->abi.tasks = dim_mul(t, n->abi.tasks, s->loop[l].extent);
    if (n->block) {
        n->blocks = dim_ceil_div(t, s->loop[n->n_task].extent, dim_const(t, n->block));
        n->abi.tasks = dim_mul(t, n->abi.tasks, n->blocks);
        points = sat(points_inside(n, n->n_task + 1), n->block);
    }
    n->abi.tasks = nest_tasks(n, s, n->abi.tasks);
    points = sat(points, weight(n));
    n->abi.grain =
        dim_const(t, points >= WORTH_A_THREAD ? 1 : WORTH_A_THREAD / (points ? points : 1));
}

/* ---- What the emitted code asks for ---- */

static void need_affine(Nest *n, const NestStage *s, const Affine *x)
{
    nest_need(n, x->base);
    for (int l = 0; l < s->n_loop; l++)
        nest_need(n, x->coef[s->loop[l].last]);
    for (int i = 0; i < x->n_term; i++)
        nest_need(n, x->term[i].coef);
}

static void add_edge(Nest *n, NestStage *s, NestEdge e)
{
    if (dim_is(e.size, 0)) return;
    s->edge[s->n_edge++] = e;
    nest_need(n, e.count);
    nest_need(n, e.pitch);
    nest_need(n, e.at);
    nest_need(n, e.size);
}

/* For each axis what lies before and behind the points, over all of the axes outside of it. */
static void frame_edges(Nest *n, NestStage *s, int out)
{
    const StageOut *o = &s->stage->out[out];
    const Dim *dim = n->node->out[o->result]->type.dim;
    DimTable *t = &n->module->dims;
    const Dim *within = o->dst ? o->within : s->stage->extent;
    int rank = o->dst ? o->n_dst : s->stage->rank;

    for (int i = 0; i < rank; i++) {
        if (o->open >> i & 1) continue; /* others write there */
        Dim inner = dim_product(t, rank - i - 1, dim + i + 1);
        NestEdge e = {.out = out, .count = dim_product(t, i, dim), .at = dim_const(t, 0)};
        Dim begin = dim_const(t, o->before[i]), end = dim_add(t, begin, within[i]);

        e.pitch = dim_mul(t, inner, dim[i]);
        e.size = dim_mul(t, inner, begin);
        add_edge(n, s, e);
        e.at = dim_mul(t, inner, end);
        e.size = dim_mul(t, inner, dim_sub(t, dim[i], end));
        add_edge(n, s, e);
    }
}

/* Results placed into one value have one frame. */
static bool same_frame(const Stage *s, int j)
{
    return j > 0 && s->out[j - 1].result == s->out[j].result;
}

static void need_stage(Nest *n, NestStage *s)
{
    s->edge = ARENA_ARRAY(n->arena, NestEdge, s->stage->n_out * MAX_RANK * 2);
    for (int j = 0; j < s->stage->n_out; j++)
        if (s->stage->out[j].before && !same_frame(s->stage, j)) frame_edges(n, s, j);
    size_t i = 0;
    const void *key;
    void *x;

    s->copied = ARENA_ARRAY(n->arena, Dim, s->stage->n_out);
    for (int l = 0; l < s->n_loop; l++)
        nest_need(n, s->loop[l].extent);
    while (map_next(&s->address, &i, &key, &x))
        need_affine(n, s, x);
    for (int j = 0; j < s->stage->n_out; j++) {
        const StageOut *o = &s->stage->out[j];
        need_affine(n, s, s->store[j]);
        if (!nest_scatters(o)) continue;
        s->copied[j] = type_count(&n->module->dims, &n->node->out[o->result]->type);
        nest_need(n, s->copied[j]);
    }
}

static bool has_scatter(const Nest *n)
{
    for (int i = 0; i < n->kernel->n_stage; i++) {
        for (int j = 0; j < n->stage[i].stage->n_out; j++) {
            if (nest_scatters(&n->stage[i].stage->out[j])) return true;
        }
    }
    return false;
}

void nest_plan(Nest *n)
{
    n->serial = has_scatter(n);
    for (int i = 0; i < n->kernel->n_stage; i++)
        order_loops(n, &n->stage[i]);
    choose_tasks(n);
    place_locals(n);
    count_tasks(n);
    nest_need(n, n->blocks);
    for (int i = 0; i < n->kernel->n_stage; i++)
        need_stage(n, &n->stage[i]);
}
