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
 * it is done a vector at a time. */
#include "codegen/cpu/cpu_emit.h"

enum { TILE_MOST = 16, TILE_LEAST = 4 };

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

/* Points of loop l that tiles of n leave over; -1: only the run knows. */
static int left_over(const CpuFn *f, int l, int n)
{
    Dim e = f->s->loop[l].extent;

    return dim_is_const(e) ? (int)(e->value % n) : -1;
}

/* Tiles as large as vectors allow, and no larger than the loops. */
static Tile whole_tile(const CpuFn *f)
{
    const NestLoop *v = &f->s->loop[f->s->vec], *w = &f->s->loop[f->s->tile];
    int (*fit)(int, int64_t) = cpu_can_mask(f) ? at_least : at_most;
    int lanes = cpu_native_lanes(f), width;

    lanes = lanes > TILE_MOST ? TILE_MOST : lanes;
    lanes = dim_is_const(v->extent) ? fit(lanes, v->extent->value) : lanes;
    width = dim_is_const(w->extent) ? fit(lanes, w->extent->value) : lanes;
    return (Tile){lanes, width, lanes, width, NULL, NULL};
}

static bool tile_fits(const CpuFn *f)
{
    const NestLoop *v = &f->s->loop[f->s->vec], *w = &f->s->loop[f->s->tile];
    Tile t = whole_tile(f);

    if (t.lanes < TILE_LEAST || t.width < TILE_LEAST) return false;
    return (dim_is_const(v->extent) || nest_guess(v->extent) >= t.lanes) &&
           (dim_is_const(w->extent) || nest_guess(w->extent) >= t.width);
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

/* Offset of row i of a load, in elements from the first; behind the last one it is the last's. */
static LLVMValueRef row_offset(CpuFn *f, const Tile *t, LLVMValueRef stride, int i)
{
    LLVMValueRef row = cpu_i64(f->m, i), last;

    if (t->v_end && i) {
        last = LLVMBuildSub(f->b, t->v_end, f->loop_value[f->s->vec], "");
        last = LLVMBuildSub(f->b, last, cpu_i64(f->m, 1), "");
        row = cpu_call2(f, "llvm.smin", row, last);
    }
    return LLVMBuildMul(f->b, stride, row, "");
}

/* The columns of a load's tile, one vector each; elements as in memory. */
static void load_tile(CpuFn *f, const Sx *e, const Tile *t, LLVMValueRef mask, LLVMValueRef *r)
{
    const Affine *x = map_get(&f->s->address, e);
    LLVMTypeRef element = cpu_mem_type(f->m, e->dtype), type = cpu_lanes_type(element, t->width);
    LLVMValueRef offset = cpu_offset(f, x, 0), base = cpu_operand(f, e->src), stride, at;
    LLVMValueRef row[TILE_MOST];
    int side = t->lanes / t->width;

    stride = cpu_dim(f, x->coef[f->s->loop[f->vec].last]);
    cpu_at(f, f->level);
    for (int i = 0; i < t->lanes; i++) {
        int to = i % t->width * side + i / t->width; /* by vectors */
        if (i >= t->rows) {
            row[to] = LLVMGetPoison(type);
            continue;
        }
        at = LLVMBuildAdd(f->b, offset, row_offset(f, t, stride, i), "");
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

/* Column `turn`: the point of w it is for, with all lanes of v. load[k] has the value column[k]. */
static void column_point(CpuFn *f, LLVMValueRef origin, int turn, int n, const Sx **load,
                         LLVMValueRef (*column)[TILE_MOST])
{
    cpu_at(f, f->level);
    cpu_loop_at(f, f->s->tile, LLVMBuildAdd(f->b, origin, cpu_i64(f->m, turn), ""));
    for (int k = 0; k < n; k++) {
        CpuVal *v = cpu_info(f, load[k]);
        v->v[0] = cpu_from_mem(f, load[k]->dtype, column[k][turn]);
        v->level = v->depth;
    }
    cpu_store_point(f);
}

/* The points of the tile at f->loop_value of both loops. */
static void tile_points(CpuFn *f, const Tile *t)
{
    int w = f->s->tile, n = 0, level = f->loop_level[w];
    LLVMValueRef origin = f->loop_value[w], (*column)[TILE_MOST], mask, more;
    const Sx **load = ARENA_ARRAY(f->arena, const Sx *, f->s->address.count);
    size_t i = 0;
    const void *key;
    void *x;

    while (map_next(&f->s->address, &i, &key, &x)) {
        if (nest_is_transposed(f->s, key)) load[n++] = key;
    }
    column = arena_alloc(f->arena, sizeof *column * (size_t)n);
    mask = edge_mask(f, w, t->w_end, t->columns, t->width);
    for (int k = 0; k < n; k++)
        load_tile(f, load[k], t, mask, column[k]);
    f->mask[0] = edge_mask(f, f->vec, t->v_end, t->rows, t->lanes);
    for (int turn = 0; turn < t->columns; turn++) {
        if (t->w_end && turn) {
            cpu_at(f, f->level);
            more = LLVMBuildAdd(f->b, origin, cpu_i64(f->m, turn), "");
            CpuIf there = cpu_if_open(f, LLVMBuildICmp(f->b, LLVMIntSLT, more, t->w_end, ""));
            column_point(f, origin, turn, n, load, column);
            cpu_if_close(f, &there);
        } else {
            cpu_turn_open(f);
            column_point(f, origin, turn, n, load, column);
            cpu_turn_close(f);
        }
    }
    f->loop_value[w] = origin;
    f->loop_level[w] = level;
    cpu_restamp(f);
    f->mask[0] = NULL;
}

/* ---- All tiles, one loop inside the other ---- */

/* What this task does of a loop: whole tiles from `from` to `end`, the rest up to `to`. */
typedef struct Range {
    LLVMValueRef from, end, to;
} Range;

static Range range_of(CpuFn *f, int l, int step)
{
    Range r = {f->from[l], NULL, f->to[l]};

    if (!r.from) r.from = cpu_i64(f->m, 0);
    if (!r.to) r.to = cpu_dim(f, f->s->loop[l].extent);
    r.end = cpu_whole_steps(f, r.from, r.to, step);
    return r;
}

static void tiles_along(CpuFn *f, const Tile *t, LLVMValueRef from, LLVMValueRef to)
{
    CpuLoop loop;

    f->vec = f->s->vec;
    f->lanes = t->lanes;
    f->unroll = f->active = 1;
    loop = cpu_loop_open(f, from, to, t->lanes, 0, NULL);
    cpu_loop_at(f, f->vec, loop.index);
    tile_points(f, t);
    cpu_loop_close(f, &loop, NULL);
    f->vec = -1;
    f->lanes = 1;
}

/* Tiles of so many columns along all of v; without masks along whole tiles. */
static void row_of_tiles(CpuFn *f, Tile t, LLVMValueRef from, LLVMValueRef to, const Range *v)
{
    int left = left_over(f, f->s->vec, t.lanes);
    CpuLoop loop = cpu_loop_open(f, from, to, t.width, 0, NULL);

    cpu_loop_at(f, f->s->tile, loop.index);
    tiles_along(f, &t, v->from, v->end);
    if (cpu_can_mask(f) && left) {
        t.rows = left > 0 ? left : t.lanes;
        t.v_end = left > 0 ? NULL : v->to;
        tiles_along(f, &t, v->end, v->to);
    }
    cpu_loop_close(f, &loop, NULL);
}

static void without_tiles(CpuFn *f, LLVMValueRef from, LLVMValueRef to, LLVMValueRef v_from,
                          LLVMValueRef v_to)
{
    CpuLoop loop = cpu_loop_open(f, from, to, 1, 0, NULL);

    cpu_loop_at(f, f->s->tile, loop.index);
    cpu_vector_loop(f, f->s->vec, v_from, v_to);
    cpu_loop_close(f, &loop, NULL);
}

void cpu_tile_loops(CpuFn *f)
{
    int v = f->s->vec, w = f->s->tile, left;
    Tile t = tile_fits(f) ? whole_tile(f) : (Tile){.lanes = 1, .width = 1};
    Range rv = range_of(f, v, t.lanes), rw = range_of(f, w, t.width);
    bool masks = cpu_can_mask(f);

    if (t.lanes == 1) {
        without_tiles(f, rw.from, rw.to, rv.from, rv.to);
        return;
    }
    row_of_tiles(f, t, rw.from, rw.end, &rv);
    if (!masks && !cpu_divides(f, v, t.lanes)) without_tiles(f, rw.from, rw.end, rv.end, rv.to);
    if (cpu_divides(f, w, t.width)) return;
    if (!masks) {
        without_tiles(f, rw.end, rw.to, rv.from, rv.to);
        return;
    }
    left = left_over(f, w, t.width);
    t.columns = left > 0 ? left : t.width;
    t.w_end = left > 0 ? NULL : rw.to;
    row_of_tiles(f, t, rw.end, rw.to, &rv);
}
