/* cpu_depthwise.c: depthwise convolutions.
 *
 *     task = one point of the outer indices (image, row)
 *     for each group of channels, for each task
 *         for each block of positions along the row, for each vector of channels
 *             for each tap: w = weights[tap][channels]
 *                 for each position of the block: acc = fma(x[position, tap][channels], w, acc)
 *             epilogue and store of each position
 *
 * Taps and positions are written out, so that what neighbouring positions read in common is loaded
 * once, and sums stay in registers from the first tap to the store. Of large windows the last row
 * of taps is written out, or a part of it, and what lies outside of that is loops. A zero point
 * that is known is taken from sums of integers, times the sum of the weights, not from each
 * element. The rows that a window spans stay in L1 for the next row, for as many channels as that
 * holds. Each sum is one chain over the taps in row-major order, as everywhere. */
#include "codegen/cpu/cpu_depthwise.h"

#include "codegen/cpu/cpu_emit.h"
#include "support/checked.h"

#include <string.h>

enum {
    MOST_TAPS = 64,    /* written out */
    TAPS_OF_TURN = 32, /* of a row that is longer */
    FEW_TAPS = 9,
    MOST_POSITIONS = 8, /* written out, with 32 registers: so many sums hide each other's latency */
    FEW_POSITIONS = 6,  /* with 16, and few taps */
    LEAST_POSITIONS = 4,   /* and more taps */
    MOST_NODES = 8,        /* of a side: a load, conversions of bytes */
    ROWS_BYTES = 24 << 10, /* of L1, for the rows that a window spans */
    FEW_CHANNELS = 64,     /* a group has no fewer: what lies next to each other */
    WORK_OF_GRAIN = 60000  /* multiply-adds that are worth a thread */
};
enum { GROUP_OUTER, GROUP_ROW, GROUP_CHANNEL, GROUP_TAP /* and one more for each reduction */ };

struct CpuDepthwise {
    Nest *nest;
    int row, channel; /* loops; row may be -1 */
    int outer[NEST_INDICES], n_outer;
    int tap[NEST_INDICES], n_tap; /* loops of the reduction: the first n_loop run, others are */
    int n_loop;                   /* written out; where all run, the last goes in turns */
    int64_t taps;
    int64_t block[2], n_block[2]; /* positions of a block and how many such blocks: known rows */
    int64_t group;                /* channels of a group; 0: all are one */
    const Sx *x;    /* of the products: the body, or its arg[0] where that is x + more */
    const Sx *more; /* a constant; or NULL */
};

/* ---- which kernels ---- */

static Dim extent_of(const Stage *s, int i)
{
    return i < s->rank ? s->extent[i] : s->reduce[i - s->rank];
}

static int last_above(const Stage *s, int below)
{
    int i = below - 1;

    while (i >= 0 && dim_is(s->extent[i], 1))
        i--;
    return i;
}

typedef struct Reads {
    const Nest *n;
    int channel;
    bool yes;
} Reads;

static void count_node(void *context, const Sx *e)
{
    if (e->dtype != DT_I64 && e->dtype != DT_BOOL) ++*(int *)context;
}

/* As they are before a level writes out what it has no instructions for: all levels take the same
 * kernels. */
static bool sides_are_short(SxTable *t, const Stage *s)
{
    int body = 0, body2 = 0;

    sx_visit(t, s->acc[0].body, count_node, &body);
    sx_visit(t, s->acc[0].body2, count_node, &body2);
    return body <= MOST_NODES && body2 <= MOST_NODES;
}

/* Elements next to each other along `channel`, each for one channel or for several in a row; or the
 * same for all. No guard asks for the channel. */
static void reads_channels(void *context, const Sx *e)
{
    Reads *r = context;
    const NestStage *s = &r->n->stage[0];
    const Affine *x = e->op == SX_LOAD && e->src >= 0 ? map_get(&s->address, e) : NULL;

    if (e->op == SX_CHECK) r->yes = false;
    if (e->op != SX_LOAD) return;
    if (e->guarded && sx_uses_index(&r->n->module->sx, e->arg[e->n - 1], r->channel))
        r->yes = false;
    if (!x ||
        (!nest_period(r->n, s, r->channel, e, x).by &&
         (x->n_term || !(affine_is_coef(x, r->channel, 1) || affine_is_coef(x, r->channel, 0)))))
        r->yes = false;
}

static bool side_taken(SxTable *t, const Nest *n, const Sx *e, int channel)
{
    Reads r = {n, channel, true};

    sx_visit(t, e, reads_channels, &r);
    return r.yes;
}

static bool form_taken(SxTable *t, const Nest *n, int channel)
{
    const NestStage *ns = &n->stage[0];
    const Stage *s = ns->stage;
    const Acc *a = &s->acc[0];
    int64_t taps = 1;

    for (int j = 0; j < s->n_out; j++)
        if (s->out[j].dst || !affine_is_coef(ns->store[j], channel, 1)) return false;
    for (int i = 0; i < s->n_reduce; i++) {
        if (!dim_is_const(s->reduce[i]) || s->reduce[i]->value < 1) return false;
        if (!checked_mul_i64(taps, s->reduce[i]->value, &taps)) return false;
    }
    return side_taken(t, n, a->body, channel) && side_taken(t, n, a->body2, channel);
}

static bool stage_taken(const Nest *n)
{
    const Stage *s = &n->kernel->stage[0];

    return n->kernel->n_stage == 1 && s->n_acc == 1 && s->acc[0].monoid == MONOID_DOT &&
           (s->acc[0].dtype == DT_F32 || s->acc[0].dtype == DT_I32) && s->order == ORDER_CHAIN &&
           s->scan_axis < 0;
}

/* ---- plan ---- */

static void find_loops(CpuDepthwise *w, const uint8_t *group)
{
    const NestStage *s = &w->nest->stage[0];

    w->row = w->channel = -1;
    for (int l = 0; l < s->n_loop; l++) {
        int g = group[s->loop[l].last];
        if (g == GROUP_ROW)
            w->row = l;
        else if (g == GROUP_CHANNEL)
            w->channel = l;
        else if (g == GROUP_OUTER)
            w->outer[w->n_outer++] = l;
        else
            w->tap[w->n_tap++] = l;
    }
}

static int64_t taps_along(const CpuDepthwise *w, int i)
{
    return w->nest->stage[0].loop[w->tap[i]].extent->value;
}

static void choose_loops(CpuDepthwise *w)
{
    int64_t written = 1;

    w->n_loop = w->n_tap;
    while (w->n_loop > 0 && written * taps_along(w, w->n_loop - 1) <= MOST_TAPS)
        written *= taps_along(w, --w->n_loop);
}

/* Blocks that differ by one position at most. */
static void choose_blocks(CpuDepthwise *w, const CpuIsa *isa)
{
    int64_t most = w->taps <= FEW_TAPS ? FEW_POSITIONS : LEAST_POSITIONS, n, blocks;
    Dim row = w->row >= 0 ? w->nest->stage[0].loop[w->row].extent : NULL;

    if (isa->registers >= 32) most = MOST_POSITIONS;
    w->block[0] = most;
    w->block[1] = 1;
    if (!row || !dim_is_const(row) || row->value < 1) return;
    n = row->value;
    blocks = (n + most - 1) / most;
    w->block[1] = n / blocks;
    w->block[0] = w->block[1] + 1;
    w->n_block[0] = n % blocks;
    w->n_block[1] = blocks - w->n_block[0];
}

typedef struct RowReads {
    const CpuDepthwise *w;
    int64_t bytes; /* of one row that a row of results reads, a channel */
    bool shared;   /* at least half of its rows are those of the next row of results, too */
} RowReads;

static int64_t known_coef(const CpuDepthwise *w, const Affine *x, int l)
{
    Dim c = x->coef[w->nest->stage[0].loop[l].last];

    return c && dim_is_const(c) ? c->value : 0;
}

static void read_of_row(void *context, const Sx *e)
{
    RowReads *r = context;
    const NestStage *s = &r->w->nest->stage[0];
    const Affine *x = e->op == SX_LOAD && e->src >= 0 ? map_get(&s->address, e) : NULL;
    int64_t row = s->loop[r->w->row].extent->value, all = s->loop[r->w->channel].extent->value;
    int next = r->w->outer[r->w->n_outer - 1], tap = r->w->tap[0];

    if (!x) return;
    r->shared = r->shared || known_coef(r->w, x, next) * 2 <=
                                 known_coef(r->w, x, tap) * s->loop[tap].extent->value;
    r->bytes += known_coef(r->w, x, r->w->row) * row / all * (int64_t)dtype_bytes(e->dtype);
}

/* Groups of equal size, of whole vectors; one where all channels fit, or few rows are read again.
 */
static void choose_group(CpuDepthwise *w, int lanes)
{
    const NestStage *s = &w->nest->stage[0];
    Dim row = w->row >= 0 ? s->loop[w->row].extent : NULL, all = s->loop[w->channel].extent;
    RowReads reads = {w, 0, false};
    int64_t most, groups;

    if (!row || !dim_is_const(row) || !dim_is_const(all) || w->n_tap < 2 || all->value < 1) return;
    if (!w->n_outer) return;
    sx_visit(&w->nest->module->sx, s->stage->acc[0].body, read_of_row, &reads);
    for (int i = 0; i < w->n_tap - 1; i++)
        reads.bytes *= s->loop[w->tap[i]].extent->value;
    if (reads.bytes <= 0 || !reads.shared) return;
    most = ROWS_BYTES / reads.bytes;
    if (most < FEW_CHANNELS) most = FEW_CHANNELS;
    if (most >= all->value) return;
    groups = (all->value + most - 1) / most;
    w->group = (all->value + groups * lanes - 1) / (groups * lanes) * lanes;
}

/* i32: the sum over taps of (x + more) * weight is that of x * weight and more times that of the
 * weights, also where it wraps. */
static void choose_sums(CpuDepthwise *w)
{
    const Acc *a = &w->nest->stage[0].stage->acc[0];

    w->x = a->body;
    if (a->dtype != DT_I32 || w->n_loop || a->body->op != SX_ADD) return;
    if (a->body->arg[1]->op != SX_CONST) return;
    w->x = a->body->arg[0];
    w->more = a->body->arg[1];
}

static void set_abi(CpuDepthwise *w)
{
    const NestStage *s = &w->nest->stage[0];
    DimTable *t = &w->nest->module->dims;
    KernelAbi *abi = &w->nest->abi;
    int64_t work = w->taps * nest_guess(s->loop[w->channel].extent);

    abi->tasks = dim_const(t, 1);
    for (int i = 0; i < w->n_outer; i++)
        abi->tasks = dim_mul(t, abi->tasks, s->loop[w->outer[i]].extent);
    abi->tasks = nest_tasks(w->nest, s, abi->tasks);
    if (w->row >= 0) work *= nest_guess(s->loop[w->row].extent);
    abi->grain = dim_const(t, work > WORK_OF_GRAIN ? 1 : WORK_OF_GRAIN / (work + 1) + 1);
    abi->scratch = dim_const(t, 0);
    for (int l = 0; l < s->n_loop; l++)
        nest_need(w->nest, s->loop[l].extent);
}

Status cpu_depthwise_prepare(Arena *arena, Nest *n, const CpuIsa *isa, Diag *d, CpuDepthwise **out)
{
    const Stage *s = &n->kernel->stage[0];
    SxTable *t = &n->module->sx;
    uint8_t group[NEST_INDICES] = {GROUP_OUTER};
    int channel, row;
    CpuDepthwise *w;
    Node *node;

    *out = NULL;
    if (!isa->vector_bytes || !stage_taken(n)) return OK;
    if (!sides_are_short(t, &n->node->kernel->stage[0])) return OK;
    channel = last_above(s, s->rank);
    if (channel < 0 || !sx_uses_index(t, s->acc[0].body, channel) ||
        !sx_uses_index(t, s->acc[0].body2, channel))
        return OK;
    row = last_above(s, channel);
    while (row >= 0 && sx_uses_index(t, s->acc[0].body2, row)) /* a phase, or images of weights */
        row = last_above(s, row);
    group[channel] = GROUP_CHANNEL;
    if (row >= 0) group[row] = GROUP_ROW;
    for (int i = 0; i < s->n_reduce; i++)
        group[s->rank + i] = (uint8_t)(GROUP_TAP + i);
    w = ARENA_NEW(arena, CpuDepthwise);
    node = arena_copy(arena, n->node, sizeof *node);
    node->kernel = arena_copy(arena, n->kernel, sizeof *n->kernel); /* as rewritten */
    TRY(nest_build_grouped(arena, n->module, node, arena_copy(arena, group, sizeof group), NULL,
                           NULL, d, &w->nest));
    if (!form_taken(t, w->nest, channel)) return OK;
    w->taps = 1;
    for (int i = 0; i < s->n_reduce; i++)
        w->taps *= extent_of(s, s->rank + i)->value;
    find_loops(w, group);
    if (w->channel < 0) return OK;
    choose_loops(w);
    choose_sums(w);
    choose_blocks(w, isa);
    choose_group(w, isa->vector_bytes / 4);
    set_abi(w);
    n->abi = w->nest->abi;
    *out = w;
    return OK;
}

/* ---- code ---- */

static void loop_at(CpuFn *f, int l, LLVMValueRef v)
{
    f->loop_value[l] = v;
    f->loop_level[l] = f->level;
}

/* A block of positions, and its sums so far. */
typedef struct Block {
    LLVMValueRef first;
    int64_t n;
    LLVMValueRef acc[MOST_POSITIONS + 1];
    LLVMValueRef weights; /* their sum so far, where `more` is added to every x */
} Block;

/* The reduction stands at tap number `k` of those that are written out. */
static void place_tap(CpuFn *f, const CpuDepthwise *w, int64_t k)
{
    for (int i = w->n_tap - 1; i >= w->n_loop; i--) {
        loop_at(f, w->tap[i], cpu_i64(f->m, k % taps_along(w, i)));
        k /= taps_along(w, i);
    }
    cpu_restamp(f);
}

static void place_position(CpuFn *f, const CpuDepthwise *w, LLVMValueRef first, int64_t r)
{
    if (w->row < 0) return;
    cpu_at(f, f->level);
    loop_at(f, w->row, LLVMBuildAdd(f->b, first, cpu_i64(f->m, r), ""));
    cpu_restamp(f);
}

/* Adds the tap that the reduction stands at. */
static void add_tap(CpuFn *f, const CpuDepthwise *w, Block *b)
{
    const Acc *a = &f->s->stage->acc[0];
    LLVMValueRef weight = cpu_vector(f, a->body2, 0), x;

    for (int64_t r = 0; r < b->n; r++) {
        cpu_turn_open(f);
        place_position(f, w, b->first, r);
        x = cpu_vector(f, w->x, 0);
        cpu_at(f, f->level);
        b->acc[r] = cpu_fma(f, a->dtype, x, weight, b->acc[r]);
        cpu_turn_close(f);
    }
    cpu_at(f, f->level);
    if (w->more) b->weights = LLVMBuildAdd(f->b, b->weights, weight, "");
}

static void add_more(CpuFn *f, const CpuDepthwise *w, Block *b)
{
    LLVMValueRef more = cpu_vector(f, w->more, 0);

    cpu_at(f, f->level);
    more = LLVMBuildMul(f->b, b->weights, more, "");
    for (int64_t r = 0; r < b->n; r++)
        b->acc[r] = LLVMBuildAdd(f->b, b->acc[r], more, "");
}

static void add_written(CpuFn *f, const CpuDepthwise *w, Block *b)
{
    int64_t taps = 1;

    for (int i = w->n_loop; i < w->n_tap; i++)
        taps *= taps_along(w, i);
    for (int64_t k = 0; k < taps; k++) {
        cpu_turn_open(f);
        place_tap(f, w, k);
        add_tap(f, w, b);
        cpu_turn_close(f);
    }
}

static void take_carried(Block *b, const CpuLoop *l)
{
    memcpy(b->acc, l->carry, (size_t)b->n * sizeof *b->acc);
}

/* n taps from `first` along the last loop. */
static void add_turn(CpuFn *f, const CpuDepthwise *w, LLVMValueRef first, int64_t n, Block *b)
{
    for (int64_t k = 0; k < n; k++) {
        cpu_turn_open(f);
        cpu_at(f, f->level);
        loop_at(f, w->tap[w->n_tap - 1], LLVMBuildAdd(f->b, first, cpu_i64(f->m, k), ""));
        cpu_restamp(f);
        add_tap(f, w, b);
        cpu_turn_close(f);
    }
}

static void add_turns(CpuFn *f, const CpuDepthwise *w, Block *b)
{
    int64_t n = taps_along(w, w->n_tap - 1), whole = n / TAPS_OF_TURN * TAPS_OF_TURN;
    CpuLoop l =
        cpu_loop_open(f, cpu_i64(f->m, 0), cpu_i64(f->m, whole), TAPS_OF_TURN, (int)b->n, b->acc);

    take_carried(b, &l);
    add_turn(f, w, l.index, TAPS_OF_TURN, b);
    cpu_loop_close(f, &l, b->acc);
    take_carried(b, &l);
    add_turn(f, w, cpu_i64(f->m, whole), n - whole, b);
}

/* The taps of the loops from number `i` on. */
static void add_taps(CpuFn *f, const CpuDepthwise *w, int i, Block *b)
{
    CpuLoop l;

    if (i == w->n_loop) {
        add_written(f, w, b);
        return;
    }
    if (i == w->n_tap - 1) {
        add_turns(f, w, b);
        return;
    }
    l = cpu_loop_open(f, cpu_i64(f->m, 0), cpu_i64(f->m, taps_along(w, i)), 1, (int)b->n, b->acc);
    take_carried(b, &l);
    loop_at(f, w->tap[i], l.index);
    cpu_restamp(f);
    add_taps(f, w, i + 1, b);
    cpu_loop_close(f, &l, b->acc);
    take_carried(b, &l);
}

static void store_positions(CpuFn *f, const CpuDepthwise *w, const Block *b)
{
    cpu_turn_open(f);
    place_position(f, w, b->first, 0);
    for (int64_t r = 0; r < b->n; r++) {
        f->acc[r] = b->acc[r];
        f->mask[r] = f->mask[0];
    }
    f->across = w->row;
    f->unroll = f->active = (int)b->n;
    f->acc_varies = f->lanes > 1;
    f->acc_level = f->level;
    cpu_restamp(f);
    cpu_store_point(f);
    f->across = -1;
    f->unroll = f->active = 1;
    for (int64_t r = 1; r < b->n; r++)
        f->mask[r] = NULL;
    cpu_turn_close(f);
}

/* All channels of n positions, `lanes` at a time within [from, to). */
static void channels(CpuFn *f, const CpuDepthwise *w, LLVMValueRef first, int64_t n,
                     LLVMValueRef from, LLVMValueRef to, int lanes, bool masked)
{
    CpuLoop l = cpu_loop_open(f, from, to, lanes, 0, NULL);
    LLVMTypeRef type;
    Block b = {.first = first, .n = n};

    f->vec = lanes > 1 ? w->channel : -1;
    f->lanes = lanes;
    f->unroll = f->active = 1;
    loop_at(f, w->channel, l.index);
    cpu_restamp(f);
    if (masked) {
        cpu_at(f, f->level);
        f->mask[0] = cpu_lane_limit(f, LLVMBuildSub(f->b, to, l.index, ""));
    }
    type = cpu_lanes_type(cpu_mem_type(f->m, f->s->stage->acc[0].dtype), lanes);
    for (int64_t r = 0; r < n; r++)
        b.acc[r] = LLVMConstNull(type);
    b.weights = LLVMConstNull(type);
    add_taps(f, w, 0, &b);
    if (w->more) add_more(f, w, &b);
    store_positions(f, w, &b);
    f->mask[0] = NULL;
    cpu_loop_close(f, &l, NULL);
    f->vec = -1;
    f->lanes = 1;
}

/* The channels of a group. */
typedef struct Span {
    LLVMValueRef from, to; /* from: a multiple of the lanes */
} Span;

static void positions(CpuFn *f, const CpuDepthwise *w, Span c, LLVMValueRef first, int64_t n)
{
    Dim extent = f->s->loop[w->channel].extent;
    int lanes = cpu_native_lanes(f);
    bool masks = cpu_can_mask(f);
    LLVMValueRef whole;

    cpu_at(f, f->level);
    whole = LLVMBuildAnd(f->b, c.to, cpu_i64(f->m, -(int64_t)lanes), "");
    if (!dim_is_const(extent) || extent->value >= lanes)
        channels(f, w, first, n, c.from, whole, lanes, false);
    if (!dim_is_const(extent) || extent->value % lanes)
        channels(f, w, first, n, whole, c.to, masks ? lanes : 1, masks);
}

/* Blocks of n positions from `first`, as long as they end within `to`; gives the next position. */
static LLVMValueRef blocks(CpuFn *f, const CpuDepthwise *w, Span c, LLVMValueRef first,
                           LLVMValueRef to, int64_t n)
{
    LLVMValueRef next = first, last;
    CpuLoop l;

    cpu_at(f, f->level);
    last = LLVMBuildSub(f->b, to, cpu_i64(f->m, n - 1), "");
    l = cpu_loop_open(f, first, last, n, 1, &next);
    positions(f, w, c, l.index, n);
    cpu_at(f, f->level);
    next = LLVMBuildAdd(f->b, l.index, cpu_i64(f->m, n), "");
    cpu_loop_close(f, &l, &next);
    return l.carry[0];
}

static void row(CpuFn *f, const CpuDepthwise *w, Span c)
{
    LLVMValueRef at = cpu_i64(f->m, 0), to;

    if (w->row < 0) {
        positions(f, w, c, at, 1);
        return;
    }
    if (w->n_block[1]) {
        to = cpu_i64(f->m, w->n_block[0] * w->block[0]);
        if (w->n_block[0]) at = blocks(f, w, c, at, to, w->block[0]);
        blocks(f, w, c, at, cpu_dim(f, f->s->loop[w->row].extent), w->block[1]);
        return;
    }
    to = cpu_dim(f, f->s->loop[w->row].extent);
    at = blocks(f, w, c, at, to, w->block[0]);
    blocks(f, w, c, at, to, 1);
}

static void place_task(CpuFn *f, const CpuDepthwise *w, LLVMValueRef number)
{
    for (int i = w->n_outer - 1; i >= 0; i--) {
        LLVMValueRef at = number, extent;
        if (i > 0) {
            extent = cpu_dim(f, f->s->loop[w->outer[i]].extent);
            cpu_at(f, f->level);
            at = LLVMBuildURem(f->b, number, extent, "");
            number = LLVMBuildUDiv(f->b, number, extent, "");
        }
        loop_at(f, w->outer[i], at);
    }
    cpu_restamp(f);
}

static void tasks(CpuFn *f, const CpuDepthwise *w, Span c)
{
    CpuLoop l = cpu_loop_open(f, f->begin, f->end, 1, 0, NULL);

    f->stage_level = f->level;
    place_task(f, w, l.index);
    row(f, w, c);
    cpu_loop_close(f, &l, NULL);
}

Status cpu_depthwise_emit(CpuModule *m, const CpuDepthwise *w, const char *name)
{
    CpuFn *f = ARENA_NEW(m->arena, CpuFn);
    LLVMBasicBlockRef leave;
    Span all;

    cpu_fn_open(f, m, w->nest, name);
    leave = cpu_block(f);
    f->s = &w->nest->stage[0];
    f->acc = ARENA_ARRAY(f->arena, LLVMValueRef, CPU_UNROLL);
    cpu_fill_frames(f, f->s);
    cpu_leave_if_empty(f, f->s, f->s->n_domain, leave);
    all = (Span){cpu_i64(m, 0), cpu_dim(f, f->s->loop[w->channel].extent)};
    if (w->group) {
        CpuLoop l = cpu_loop_open(f, all.from, all.to, w->group, 0, NULL);
        LLVMValueRef end;
        cpu_at(f, f->level);
        end = LLVMBuildAdd(f->b, l.index, cpu_i64(m, w->group), "");
        tasks(f, w, (Span){l.index, cpu_call2(f, "llvm.umin", end, all.to)});
        cpu_loop_close(f, &l, NULL);
    } else {
        tasks(f, w, all);
    }
    cpu_leave(f, leave);
    return cpu_fn_close(f);
}
