/* time_warping.c: DynamicTimeWarping of com.microsoft: the cheapest path through a matrix of costs,
 * from the first corner to the last, by steps down, right, or both.
 *
 * The cost of a cell needs those above and to the left, so that all cells of a diagonal i + j = d
 * are made at once, in one round of a loop. A second loop walks the path back; it stays in the
 * first corner once it is there, and what it found is turned round. */
#include <math.h>

#include "ir/ops/compose.h"
#include "ir/ops/ops_common.h"

typedef struct Warp {
    Dim rows, columns, rounds;
} Warp;

static Status warp_read(Infer *cx, const Node *n, Warp *w)
{
    DimTable *t = &cx->module->dims;
    const Type *x = in_type(n, 0);

    TRY(infer_ranked(cx, n, 0));
    if (x->rank != 2 && x->rank != 3)
        return op_error(n, cx->diag, "input", "DynamicTimeWarping: rank %d, expected 2 or 3",
                        x->rank);
    w->rows = x->dim[x->rank - 2];
    w->columns = x->dim[x->rank - 1];
    if (w->rows->hi < 1 || w->columns->hi < 1 ||
        (x->rank == 3 && dim_is_const(x->dim[0]) && !dim_is(x->dim[0], 1)))
        return op_error(n, cx->diag, "input",
                        "DynamicTimeWarping: expected one matrix that is not empty");
    w->rounds = dim_add_c(t, dim_add(t, w->rows, w->columns), -1);
    return OK;
}

static Status infer_warp(Infer *cx, Node *n)
{
    Warp w = {0};
    Dim steps;

    TRY(warp_read(cx, n, &w));
    steps = dim_fresh(&cx->module->dims, "steps", 0, w.rounds->hi < 0 ? 0 : w.rounds->hi);
    node_define(n, steps);
    infer_out(cx, n, 0, DT_I32, 2, (Dim[]){dim_const(&cx->module->dims, 2), steps});
    return OK;
}

static Value *loop_end(Build *b, Node *loop, Build *inner, Dim rounds, int n_state,
                       Value *const *next, Value *each)
{
    Region *r = loop->region[0];
    Dim *dims = ARENA_ARRAY(b->module->arena, Dim, 2);

    if (build_fail(b, inner->status) != OK) return NULL;
    region_add_result(r, r->arg[1]);
    for (int i = 0; i < n_state; i++)
        region_add_result(r, next[i]);
    region_add_result(r, each);
    dims[0] = rounds;
    dims[1] = each->type.dim[0];
    loop->out[n_state]->type = type_tensor(each->type.dtype, 2, dims);
    return loop->out[n_state];
}

/* ---- the costs, diagonal by diagonal ---- */

typedef struct Cell {
    const Sx *cost, *from; /* from: 0 both, 1 above, 2 left */
} Cell;

/* Operands: the costs, the last diagonal and the one before it by row, the round. */
static Cell cell_of(Build *b, const Warp *w, const Value *x, const Value *round)
{
    SxTable *t = b->sx;
    const Sx *i = sx_index(t, 0), *d = sx_scalar(b, 3, round), *j = sx_sub(t, d, i),
             *zero = sx_i64(b, 0);
    const Sx *up = sx_sub(t, i, sx_i64(b, 1)), *far = sx_const(t, DT_F32, INFINITY);
    const Sx *below = sx_lt(t, zero, i), *right = sx_lt(t, zero, j),
             *both = sx_and(t, below, right);
    const Sx *c[3], *there, *first, *second, *least;
    Cell cell;

    c[0] = sx_select(t, both, sx_load(t, DT_F32, 2, 1, &up, both), far);
    c[0] = sx_select(t, sx_eq(t, d, zero), sx_const(t, DT_F32, 0), c[0]);
    c[1] = sx_select(t, below, sx_load(t, DT_F32, 1, 1, &up, below), far);
    c[2] = sx_select(t, right, sx_load(t, DT_F32, 1, 1, &i, right), far);
    first = sx_and(t, sx_lt(t, c[0], c[1]), sx_lt(t, c[0], c[2]));
    second = sx_and(t, sx_lt(t, c[1], c[0]), sx_lt(t, c[1], c[2]));
    least = sx_select(t, first, c[0], sx_select(t, second, c[1], c[2]));
    there = sx_and(t, sx_le(t, zero, j), sx_lt(t, j, sx_dim(t, w->columns)));
    cell.cost = sx_add(t, least, sx_at_guarded(b, 0, x, (const Sx *[]){i, j}, there));
    cell.cost = sx_select(t, there, cell.cost, far);
    cell.from = sx_select(t, first, sx_i64(b, 0), sx_select(t, second, sx_i64(b, 1), sx_i64(b, 2)));
    return cell;
}

/* Where the cheapest way into each cell comes from: [rounds, rows], by diagonal and row. */
static Value *ways(Build *b, const Warp *w, Value *x)
{
    Value *far =
        build_map(b, "far", 0, NULL, DT_F32, 1, &w->rows, sx_const(b->sx, DT_F32, INFINITY));
    Node *loop = make_loop(b, w->rounds, 2, (Value *[]){far, far}, 1);
    Value *in[4] = {x}, *next[2], *from;
    Build inner;
    Cell cell;

    if (!loop) return NULL;
    inner = build_at(loop->region[0], NULL, b->origin, b->diag);
    in[1] = loop->region[0]->arg[2];
    in[2] = loop->region[0]->arg[3];
    in[3] = loop->region[0]->arg[0];
    cell = cell_of(&inner, w, x, in[3]);
    next[0] = build_map(&inner, "costs", 4, in, DT_F32, 1, &w->rows, cell.cost);
    next[1] = in[1];
    from = build_map(&inner, "ways", 4, in, DT_I64, 1, &w->rows, cell.from);
    return loop_end(b, loop, &inner, w->rounds, 2, next, from);
}

/* ---- the path, from its end ---- */

/* Cells [rounds, 2]; behind the first corner it is repeated. */
static Value *walk(Build *b, const Warp *w, Value *way)
{
    SxTable *t = b->sx;
    Dim two = dim_const(b->dims, 2);
    const Sx *k = sx_index(t, 0), *place[2], *from, *step, *at[2];
    Value *last = build_map(
        b, "corner", 0, NULL, DT_I64, 1, &two,
        sx_sub(t,
               sx_select(t, sx_eq(t, k, sx_i64(b, 0)), sx_dim(t, w->rows), sx_dim(t, w->columns)),
               sx_i64(b, 1)));
    Node *loop = make_loop(b, w->rounds, 1, &last, 1);
    Value *here, *next;
    Build inner;

    if (!loop || !way) return NULL;
    inner = build_at(loop->region[0], NULL, b->origin, b->diag);
    here = loop->region[0]->arg[2];
    for (int i = 0; i < 2; i++) {
        const Sx *which = sx_i64(b, i);
        place[i] = sx_load(t, DT_I64, 1, 1, &which, NULL);
    }
    at[0] = sx_add(t, place[0], place[1]);
    at[1] = place[0];
    from = sx_load(t, DT_I64, 0, 2, at, NULL);
    step = sx_ne(t, from, sx_sub(t, sx_i64(b, 2), k)); /* 1 leaves the column, 2 the row */
    step = sx_sub(t, sx_load(t, DT_I64, 1, 1, &k, NULL), sx_cast(t, step, DT_I64));
    next = build_map(&inner, "step", 2, (Value *[]){way, here}, DT_I64, 1, &two,
                     sx_max(t, step, sx_i64(b, 0)));
    return loop_end(b, loop, &inner, w->rounds, 1, &next, here);
}

/* n's symbol: the number of cells until the first corner. */
static void count_steps(Build *b, const Warp *w, Value *path, Dim steps)
{
    SxTable *t = b->sx;
    const Sx *r = sx_index(t, 0), *i, *j, *away;
    Acc acc = {.monoid = MONOID_SUM, .dtype = DT_I64};
    Value *count;
    Node *bind;

    i = sx_load(t, DT_I64, 0, 2, (const Sx *[]){r, sx_i64(b, 0)}, NULL);
    j = sx_load(t, DT_I64, 0, 2, (const Sx *[]){r, sx_i64(b, 1)}, NULL);
    away = sx_lt(t, sx_i64(b, 0), sx_add(t, i, j));
    acc.body = sx_cast(t, away, DT_I64);
    count = build_reduce(b, "steps", 1, &path, 0, NULL, 1, &w->rounds, ORDER_CHAIN, acc, DT_I64,
                         sx_add(t, sx_acc(t, 0, DT_I64), sx_i64(b, 1)));
    if (!count) return;
    bind = node_new(b->region, b->before, NODE_BIND, 1, &count, 0, b->origin);
    bind->bind = ARENA_NEW(b->module->arena, BindInfo);
    bind->bind->n = 1;
    bind->bind->symbol = arena_copy(b->module->arena, &steps, sizeof steps);
    bind->bind->element = ARENA_ARRAY(b->module->arena, int, 1);
    node_define(bind, steps);
}

static Status lower_warp(Build *b, const Node *n, Value **out)
{
    SxTable *t = b->sx;
    Infer cx = {.module = b->module, .diag = b->diag};
    const Sx *at;
    Warp w = {0};
    Value *x, *path;
    Dim steps = n->out[0]->type.dim[1];

    TRY(warp_read(&cx, n, &w));
    if (in_type(n, 0)->rank == 3)
        build_require_equal(b, in_type(n, 0)->dim[0], dim_const(b->dims, 1));
    build_require_least(b, w.rows, 1);
    build_require_least(b, w.columns, 1);
    x = make_reshape(b, n->in[0], 2, (Dim[]){w.rows, w.columns});
    path = walk(b, &w, ways(b, &w, x));
    if (!path) return b->status;
    count_steps(b, &w, path, steps);
    at = sx_sub(t, sx_sub(t, sx_dim(t, steps), sx_i64(b, 1)), sx_index(t, 1));
    at = sx_load(t, DT_I64, 0, 2, (const Sx *[]){at, sx_index(t, 0)}, NULL);
    out[0] = build_map(b, "path", 1, &path, DT_I32, 2, n->out[0]->type.dim, sx_cast(t, at, DT_I32));
    return b->status;
}

const OpDef time_warping_ops[] = {
    {.name = "DynamicTimeWarping",
     .domain = "com.microsoft",
     .since = 1,
     .about = "the cheapest path through a matrix of costs",
     ROW_IN({"input", T_F32}),
     ROW_OUT({"output", T_I32}),
     .traits = OP_PURE,
     .infer = infer_warp,
     .eval = compose_eval,
     .lower = lower_warp},
    {0},
};
