/* cpu_tile.c: loads that are contiguous along another loop than the lanes.
 *
 *     operand, contiguous along w      tile of rows x columns       for each w of the tile: one
 * vector v0   r0: w0 w1 w2 w3              log2(columns) rounds         along v, as if it had been
 *       v1   r1: w0 w1 w2 w3              of shuffles                  loaded so
 *       ...
 *
 * Rows are lanes. Of c columns, rows i, i + c, i + 2c, ... lie side by side in one vector, and
 * round h exchanges blocks of h lanes between vectors i and i + h, which ends in the transpose.
 * What tiles leave over of a loop is one too, of fewer rows or columns, under a mask; without masks
 * it is done a vector at a time. What is done with the vectors is written out for each; or, when
 * that is long, a loop over the tile in memory. */
#include "codegen/cpu/cpu_emit.h"

enum {
    TILE_MOST = 16,
    TILE_LEAST = 4,
    NODES_WRITTEN_OUT = 40 /* expressions, as often as a tile has columns */
};

/* Vectors along v and what is read along w: powers of two. Of these, rows and columns are there;
 * where only the run knows how many, they are those in front of an end. */
typedef struct Tile {
    int lanes, width;
    int rows, columns;
    LLVMValueRef v_end, w_end;
} Tile;

static int at_most(int n, int64_t extent)
{
    while (n > extent)
        n /= 2;
    return n;
}

static int at_least(int n, int64_t extent)
{
    while (n / 2 >= extent && n > TILE_LEAST)
        n /= 2;
    return n;
}

/* Points of a loop that tiles of n leave over; -1: only the run knows. */
static int left_over(const CpuFn *f, int l, bool cut, int n)
{
    Dim e = f->s->loop[l].extent;

    return dim_is_const(e) && !cut ? (int)(e->value % n) : -1;
}

/* Tiles as large as vectors allow, and no larger than the loops. */
static Tile whole_tile(const CpuFn *f, const CpuTileLoops *x)
{
    const NestLoop *v = &f->s->loop[x->v], *w = &f->s->loop[x->w];
    int (*fit)(int, int64_t) = cpu_can_mask(f) ? at_least : at_most;
    int lanes = cpu_native_lanes(f), width;

    lanes = lanes > TILE_MOST ? TILE_MOST : lanes;
    lanes = dim_is_const(v->extent) ? fit(lanes, v->extent->value) : lanes;
    width = dim_is_const(w->extent) ? fit(lanes, w->extent->value) : lanes;
    return (Tile){lanes, width, lanes, width, NULL, NULL};
}

bool cpu_tiles_fit(const CpuFn *f, const CpuTileLoops *x)
{
    const NestLoop *v = &f->s->loop[x->v], *w = &f->s->loop[x->w];
    Tile t = whole_tile(f, x);

    if (t.lanes < TILE_LEAST || t.width < TILE_LEAST) return false;
    return (dim_is_const(v->extent) || nest_guess(v->extent) >= t.lanes) &&
           (dim_is_const(w->extent) || nest_guess(w->extent) >= t.width);
}

bool cpu_tiles_are_square(const CpuFn *f, const CpuTileLoops *x)
{
    Tile t = whole_tile(f, x);

    return t.lanes == t.width && t.lanes == cpu_native_lanes(f);
}

/* ---- One tile ---- */

static LLVMValueRef exchange(CpuFn *f, LLVMValueRef a, LLVMValueRef b, int lanes, int h, bool high)
{
    LLVMValueRef pick[TILE_MOST];

    for (int l = 0; l < lanes; l++) {
        if (high)
            pick[l] = cpu_i32(f->m, l & h ? lanes + l : l + h);
        else
            pick[l] = cpu_i32(f->m, l & h ? lanes + l - h : l);
    }
    return LLVMBuildShuffleVector(f->b, a, b, LLVMConstVector(pick, (unsigned)lanes), "");
}

static void transpose(CpuFn *f, LLVMValueRef *r, const Tile *t)
{
    for (int h = t->width / 2; h; h /= 2)
        for (int i = 0; i < t->width; i++) {
            LLVMValueRef a = r[i], b;
            if (i & h) continue;
            b = r[i + h];
            r[i] = exchange(f, a, b, t->lanes, h, false);
            r[i + h] = exchange(f, a, b, t->lanes, h, true);
        }
}

/* n vectors of `width` lanes, a power of two of them, as one. */
static LLVMValueRef side_by_side(CpuFn *f, LLVMValueRef *v, int n, int width)
{
    LLVMValueRef pick[TILE_MOST];

    for (; n > 1; n /= 2, width *= 2) {
        for (int l = 0; l < 2 * width; l++)
            pick[l] = cpu_i32(f->m, l);
        for (int i = 0; i < n / 2; i++)
            v[i] = LLVMBuildShuffleVector(f->b, v[2 * i], v[2 * i + 1],
                                          LLVMConstVector(pick, (unsigned)width * 2), "");
    }
    return v[0];
}

/* i1 of n lanes: those in front of `end`, where that is not NULL, else the first `known`; NULL when
 * that is all. */
static LLVMValueRef edge_mask(CpuFn *f, int l, LLVMValueRef end, int known, int n)
{
    if (!end && known == n) return NULL;
    cpu_at(f, f->level);
    if (!end) return cpu_first_lanes(f, cpu_i64(f->m, known), n);
    return cpu_first_lanes(f, LLVMBuildSub(f->b, end, f->loop_value[l], ""), n);
}

/* Number of row i within the tile; behind the last one it is the last's. */
static LLVMValueRef row_number(CpuFn *f, const Tile *t, int i)
{
    LLVMValueRef row = cpu_i64(f->m, i), last;

    if (!t->v_end || !i) return row;
    last = LLVMBuildSub(f->b, t->v_end, f->loop_value[f->vec], "");
    last = LLVMBuildSub(f->b, last, cpu_i64(f->m, 1), "");
    return cpu_call2(f, "llvm.smin", row, last);
}

/* Where row i of an operand begins, of which the first is at `first`. */
static LLVMValueRef row_place(CpuFn *f, const Tile *t, const Affine *x, LLVMValueRef first, int i)
{
    LLVMValueRef stride = cpu_dim(f, x->coef[f->s->loop[f->vec].last]), row;

    cpu_at(f, f->level);
    row = row_number(f, t, i);
    return LLVMBuildAdd(f->b, first, LLVMBuildMul(f->b, stride, row, ""), "");
}

/* The same where terms say it: as at a point, without lanes. */
static LLVMValueRef row_of_terms(CpuFn *f, const Tile *t, const Affine *x, int i)
{
    int v = f->vec, lanes = f->lanes, level = f->loop_level[v];
    LLVMValueRef from = f->loop_value[v], at;

    cpu_turn_open(f);
    cpu_at(f, f->level);
    at = LLVMBuildAdd(f->b, from, row_number(f, t, i), "");
    f->vec = -1;
    f->lanes = 1;
    cpu_loop_at(f, v, at);
    at = cpu_offset(f, x, 0);
    cpu_turn_close(f);
    f->vec = v;
    f->lanes = lanes;
    f->loop_value[v] = from;
    f->loop_level[v] = level;
    cpu_restamp(f);
    return at;
}

/* The columns of a load's tile, one vector each; elements as in memory. */
static void load_tile(CpuFn *f, const Sx *e, const Tile *t, LLVMValueRef mask, LLVMValueRef *r)
{
    const Affine *x = map_get(&f->s->address, e);
    LLVMTypeRef element = cpu_mem_type(f->m, e->dtype), type = cpu_lanes_type(element, t->width);
    LLVMValueRef base = cpu_operand(f, e->src), first = NULL, at, row[TILE_MOST];
    int side = t->lanes / t->width;
    bool by_terms = false;

    for (int i = 0; i < x->n_term; i++)
        by_terms = by_terms || cpu_varies(f, x->term[i].e);
    if (!by_terms) first = cpu_offset(f, x, 0);
    for (int i = 0; i < t->lanes; i++) {
        int to = i % t->width * side + i / t->width; /* by vectors */
        if (i >= t->rows) {
            row[to] = LLVMGetPoison(type);
            continue;
        }
        at = by_terms ? row_of_terms(f, t, x, i) : row_place(f, t, x, first, i);
        cpu_at(f, f->level);
        at = cpu_element(f, e->dtype, base, at);
        if (mask) {
            row[to] = cpu_masked_load(f, e->dtype, at, mask);
            continue;
        }
        row[to] = LLVMBuildLoad2(f->b, type, at, "");
        LLVMSetAlignment(row[to], (unsigned)dtype_bytes(e->dtype));
    }
    for (int i = 0; i < t->width; i++)
        r[i] = side_by_side(f, row + i * side, side, t->width);
    transpose(f, r, t);
}

/* The loads of tiles, and what they are at each column. */
typedef struct Columns {
    const Sx **load;
    LLVMValueRef (*value)[TILE_MOST];
    int n;
} Columns;

static Columns load_columns(CpuFn *f, const CpuTileLoops *x, const Tile *t)
{
    Columns c = {ARENA_ARRAY(f->arena, const Sx *, f->s->address.count), NULL, 0};
    LLVMValueRef mask = edge_mask(f, x->w, t->w_end, t->columns, t->width);
    size_t i = 0;
    const void *key;
    void *affine;

    while (map_next(&f->s->address, &i, &key, &affine)) {
        if (nest_transposes(f->nest, f->s, key, x->v, x->w)) c.load[c.n++] = key;
    }
    c.value = arena_alloc(f->arena, sizeof *c.value * (size_t)c.n);
    for (int k = 0; k < c.n; k++)
        load_tile(f, c.load[k], t, mask, c.value[k]);
    return c;
}

/* Columns of a square tile to the rows of result j. Rows that are not there have the place of the
 * last one, which is stored behind them. */
static void store_tile(CpuFn *f, int j, const Tile *t, LLVMValueRef mask, LLVMValueRef turned)
{
    const Affine *x = f->s->store[j];
    DType d = f->s->stage->out[j].dtype;
    LLVMTypeRef type = cpu_lanes_type(cpu_mem_type(f->m, d), t->lanes);
    LLVMValueRef base = cpu_result(f, j), first = cpu_offset(f, x, 0), r[TILE_MOST], at;

    cpu_at(f, f->level);
    for (int i = 0; i < t->width; i++) {
        at = cpu_i64(f->m, i);
        r[i] = LLVMBuildLoad2(f->b, type, LLVMBuildGEP2(f->b, type, turned, &at, 1, ""), "");
    }
    transpose(f, r, t);
    for (int i = t->rows - 1; i >= 0; i--) {
        at = row_place(f, t, x, first, i);
        cpu_store_vector(f, d, r[i], cpu_element(f, d, base, at), mask);
    }
}

/* The point of w that a column is for, with all lanes of v. */
static void column_point(CpuFn *f, const CpuTileLoops *x, LLVMValueRef w, LLVMValueRef column,
                         const Columns *c, LLVMValueRef *value)
{
    cpu_loop_at(f, x->w, w);
    for (int k = 0; k < c->n; k++) {
        CpuVal *v = cpu_info(f, c->load[k]);
        v->v[0] = cpu_from_mem(f, c->load[k]->dtype, value[k]);
        v->level = v->depth;
    }
    x->point(f, x->context, column);
}

static void columns_written_out(CpuFn *f, const CpuTileLoops *x, const Tile *t, const Columns *c,
                                LLVMValueRef origin)
{
    LLVMValueRef w, *value = ARENA_ARRAY(f->arena, LLVMValueRef, c->n);

    for (int turn = 0; turn < t->columns; turn++) {
        for (int k = 0; k < c->n; k++)
            value[k] = c->value[k][turn];
        cpu_at(f, f->level);
        w = LLVMBuildAdd(f->b, origin, cpu_i64(f->m, turn), "");
        if (t->w_end && turn) {
            CpuIf there = cpu_if_open(f, LLVMBuildICmp(f->b, LLVMIntSLT, w, t->w_end, ""));
            cpu_at(f, f->level);
            column_point(f, x, w, cpu_i64(f->m, turn), c, value);
            cpu_if_close(f, &there);
        } else {
            cpu_turn_open(f);
            column_point(f, x, w, cpu_i64(f->m, turn), c, value);
            cpu_turn_close(f);
        }
    }
}

static LLVMValueRef column_at(CpuFn *f, LLVMTypeRef type, LLVMValueRef tile, LLVMValueRef turn)
{
    return LLVMBuildGEP2(f->b, type, tile, &turn, 1, "");
}

static void loop_over_columns(CpuFn *f, const CpuTileLoops *x, const Tile *t, const Columns *c,
                              LLVMValueRef origin)
{
    LLVMValueRef *tile = ARENA_ARRAY(f->arena, LLVMValueRef, c->n), end, w;
    LLVMValueRef *value = ARENA_ARRAY(f->arena, LLVMValueRef, c->n);
    CpuLoop loop;

    for (int k = 0; k < c->n; k++) {
        LLVMTypeRef type = LLVMTypeOf(c->value[k][0]);

        tile[k] = cpu_stack(f, type, t->width);
        cpu_at(f, f->level);
        for (int i = 0; i < t->columns; i++)
            LLVMBuildStore(f->b, c->value[k][i], column_at(f, type, tile[k], cpu_i64(f->m, i)));
    }
    cpu_at(f, f->level);
    end = cpu_i64(f->m, t->columns);
    if (t->w_end) end = cpu_call2(f, "llvm.smin", LLVMBuildSub(f->b, t->w_end, origin, ""), end);
    loop = cpu_loop_open(f, cpu_i64(f->m, 0), end, 1, 0, NULL);
    cpu_at(f, f->level);
    for (int k = 0; k < c->n; k++) {
        LLVMTypeRef type = LLVMTypeOf(c->value[k][0]);
        value[k] = LLVMBuildLoad2(f->b, type, column_at(f, type, tile[k], loop.index), "");
    }
    w = LLVMBuildAdd(f->b, origin, loop.index, "");
    column_point(f, x, w, loop.index, c, value);
    cpu_loop_close(f, &loop, NULL);
}

/* The points of the tile at f->loop_value of both loops. */
static void tile_points(CpuFn *f, const CpuTileLoops *x, const Tile *t)
{
    LLVMValueRef origin = f->loop_value[x->w];
    int level = f->loop_level[x->w];
    Columns c = load_columns(f, x, t);

    if (f->s->n_node > NODES_WRITTEN_OUT)
        loop_over_columns(f, x, t, &c, origin);
    else
        columns_written_out(f, x, t, &c, origin);
    f->loop_value[x->w] = origin;
    f->loop_level[x->w] = level;
    cpu_restamp(f);
    for (int j = 0; x->turned && j < f->s->stage->n_out; j++)
        store_tile(f, j, t, edge_mask(f, x->w, t->w_end, t->columns, t->width), x->turned[j]);
}

/* ---- All tiles, one loop inside the other ---- */

/* One of the two loops: whole tiles up to `end`, and what they leave over (-1: the run knows). */
typedef struct Axis {
    bool rows; /* v; else w */
    int loop, step, left;
    LLVMValueRef from, end, to;
} Axis;

static Axis axis_of(CpuFn *f, const CpuTileLoops *x, const Tile *t, bool rows)
{
    Axis a = {.rows = rows, .loop = rows ? x->v : x->w, .step = rows ? t->lanes : t->width};

    a.from = rows ? x->v_from : x->w_from;
    a.to = rows ? x->v_to : x->w_to;
    a.left = left_over(f, a.loop, rows && x->v_cut, a.step);
    a.end = cpu_whole_steps(f, a.from, a.to, a.step);
    return a;
}

/* Where masks allow it, whole tiles and then a part of one; else whole ones. The mask of the rows
 * is made in their own loop: what varies along them alone is loaded there. */
static void tiles_along(CpuFn *f, const CpuTileLoops *x, Tile t, const Axis *a, const Axis *inner)
{
    int parts = cpu_can_mask(f) && a->left ? 2 : 1;

    for (int part = 0; part < parts; part++) {
        CpuLoop loop =
            cpu_loop_open(f, part ? a->end : a->from, part ? a->to : a->end, a->step, 0, NULL);
        cpu_loop_at(f, a->loop, loop.index);
        if (part && a->left > 0) *(a->rows ? &t.rows : &t.columns) = a->left;
        if (part && a->left < 0) *(a->rows ? &t.v_end : &t.w_end) = a->to;
        if (a->rows) f->mask[0] = edge_mask(f, x->v, t.v_end, t.rows, t.lanes);
        if (a->rows && inner && x->rows) x->rows(f, x->context);
        if (inner)
            tiles_along(f, x, t, inner, NULL);
        else
            tile_points(f, x, &t);
        if (a->rows) f->mask[0] = NULL;
        cpu_loop_close(f, &loop, NULL);
    }
}

void cpu_tiles(CpuFn *f, const CpuTileLoops *x)
{
    Tile t = whole_tile(f, x);
    Axis outer = axis_of(f, x, &t, x->rows_first), inner = axis_of(f, x, &t, !x->rows_first);

    f->vec = x->v;
    f->lanes = t.lanes;
    f->unroll = f->active = 1;
    tiles_along(f, x, t, &outer, &inner);
    f->vec = -1;
    f->lanes = 1;
}

/* ---- The two loops of a stage ---- */

static void store_point(CpuFn *f, void *context, LLVMValueRef column)
{
    (void)context;
    (void)column;
    cpu_store_point(f);
}

static void without_tiles(CpuFn *f, const CpuTileLoops *x, LLVMValueRef w_from, LLVMValueRef w_to,
                          LLVMValueRef v_from)
{
    CpuLoop loop = cpu_loop_open(f, w_from, w_to, 1, 0, NULL);

    cpu_loop_at(f, x->w, loop.index);
    cpu_vector_loop(f, x->v, v_from, x->v_to);
    cpu_loop_close(f, &loop, NULL);
}

static void range_of(CpuFn *f, int l, LLVMValueRef *from, LLVMValueRef *to)
{
    *from = f->from[l] ? f->from[l] : cpu_i64(f->m, 0);
    *to = f->to[l] ? f->to[l] : cpu_dim(f, f->s->loop[l].extent);
}

void cpu_tile_loops(CpuFn *f)
{
    CpuTileLoops x = {.v = f->s->vec, .w = f->s->tile, .point = store_point};
    LLVMValueRef v_end, w_end;
    Tile t;

    range_of(f, x.v, &x.v_from, &x.v_to);
    range_of(f, x.w, &x.w_from, &x.w_to);
    if (cpu_lace_loops(f, &x)) {
        if (!cpu_divides(f, x.w, cpu_lace_lanes(f)))
            without_tiles(f, &x, x.w_from, x.w_to, x.v_from);
        return;
    }
    if (!cpu_tiles_fit(f, &x)) {
        without_tiles(f, &x, x.w_from, x.w_to, x.v_from);
        return;
    }
    cpu_tiles(f, &x);
    if (cpu_can_mask(f)) return;
    t = whole_tile(f, &x);
    v_end = cpu_whole_steps(f, x.v_from, x.v_to, t.lanes);
    w_end = cpu_whole_steps(f, x.w_from, x.w_to, t.width);
    if (!cpu_divides(f, x.v, t.lanes)) without_tiles(f, &x, x.w_from, w_end, v_end);
    if (!cpu_divides(f, x.w, t.width)) without_tiles(f, &x, w_end, x.w_to, x.v_from);
}
