/* tree_scores.c: the tables that a compiled model walks for an ensemble of decision trees, and
 * TreeScores, an operator of ours that reads them (runtime/rt_call_trees.c).
 *
 * Whatever a node asks becomes `key <= threshold` of integers in the order of the numbers: v < t is
 * key <= threshold - 1, v >= t that with its ways exchanged, v == t two nodes, a member of a set a
 * search tree of those. A feature that may be NaN has up to two columns, with NaN as the greatest
 * key and as the least, and a node reads the one whose way it wants. So a step is one comparison
 * without branches.
 *
 * Branches stand before their descendants and leaves behind all of them, which point to themselves:
 * no walk is longer than the table. Nodes are numbered from the first leaf on: what is negative is
 * a branch. The same is demanded of tables in a model that names TreeScores itself. */
#include "ir/ops/trees.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ir/ops/ops_common.h"

/* Inputs of TreeScores. */
enum {
    IN_X,         /* f32 or f64 [rows, features] */
    IN_COLUMNS,   /* i32 [columns]: twice the feature, and 1 where NaN is the least key */
    IN_NODES,     /* i32 [nodes, 4]: column, threshold (of f32), next at or below it, next above */
    IN_THRESHOLD, /* i64 [branches] for x of f64, else [0] */
    IN_LEAVES,    /* i32 [leaves, 2]: range of what they say */
    IN_TARGETS,   /* i32 */
    IN_WEIGHTS,   /* f64 */
    IN_ROOTS,     /* i32 [trees] */
    N_IN
};
enum { COLUMN, THRESHOLD, BELOW, ABOVE, N_LINK };

/* ---- keys ---- */

/* Of 64 bits when `wide`, else of 32: v is an f32 then. -0 is 0, a NaN the greatest. */
static int64_t key_of(double v, bool wide)
{
    double size = fabs(v);
    int64_t key;

    if (v != v) return wide ? INT64_MAX : INT32_MAX;
    if (wide) {
        memcpy(&key, &size, sizeof key);
    } else {
        float narrow = (float)size;
        int32_t bits;
        memcpy(&bits, &narrow, sizeof bits);
        key = bits;
    }
    return v < 0 ? -key : key;
}

/* The greatest key of what is `<= t`, or `< t`. */
static int64_t greatest_key(double t, bool strict, bool wide)
{
    double held = t;

    if (!wide) {
        float f = (float)t;
        if (f > t) f = nextafterf(f, -INFINITY);
        held = f;
    }
    return key_of(held, wide) - (strict && held == t);
}

/* ---- TreeScores ---- */

static bool in_range(int64_t begin, int64_t end, int64_t count)
{
    return begin >= 0 && begin <= end && end <= count;
}

static bool numbers_within(const Tensor *t, int64_t least, int64_t end)
{
    const int32_t *v = t->data;

    for (int64_t i = 0; i < t->count; i++)
        if (v[i] < least || v[i] >= end) return false;
    return true;
}

static bool has_columns(const Tensor *t, int64_t columns)
{
    return columns == 1 ? t->rank == 1 : t->rank == 2 && t->dim[1] == columns;
}

static bool shapes_hold(const Tensor *const *in)
{
    for (int k = IN_COLUMNS; k < N_IN; k++)
        if (!has_columns(in[k], k == IN_NODES ? N_LINK : k == IN_LEAVES ? 2 : 1)) return false;
    return in[IN_TARGETS]->count == in[IN_WEIGHTS]->count;
}

/* Whoever writes this operator into a model cannot make the walk leave its tables. */
static bool tables_hold(const Tensor *const *in, bool wide, int64_t targets)
{
    const int32_t *node = in[IN_NODES]->data, *leaf = in[IN_LEAVES]->data;
    int64_t leaves = in[IN_LEAVES]->dim[0], branches = in[IN_NODES]->dim[0] - leaves;
    int64_t columns = in[IN_COLUMNS]->count;

    if (branches < 0 || (wide && in[IN_THRESHOLD]->count != branches)) return false;
    for (int64_t i = -branches; i < leaves; i++, node += N_LINK) {
        bool held = i < 0 ? in_range(node[COLUMN], node[COLUMN] + 1, columns) && node[BELOW] > i &&
                                node[BELOW] < leaves && node[ABOVE] > i && node[ABOVE] < leaves
                          : node[COLUMN] == 0 && node[BELOW] == i && node[ABOVE] == i;
        if (!held) return false;
    }
    for (int64_t i = 0; i < leaves; i++)
        if (!in_range(leaf[2 * i], leaf[2 * i + 1], in[IN_WEIGHTS]->count)) return false;
    return numbers_within(in[IN_COLUMNS], 0, INT32_MAX) &&
           numbers_within(in[IN_TARGETS], 0, targets) &&
           numbers_within(in[IN_ROOTS], -branches, leaves);
}

/* Rows have the features that the trees ask for? */
static Status check_features(const Node *n, Diag *d, const Tensor *columns, int64_t features)
{
    const int32_t *v = columns->data;

    for (int64_t i = 0; i < columns->count; i++)
        if (v[i] / 2 >= features)
            return op_error(n, d, NULL, "trees that ask for %d features of rows of %lld",
                            v[i] / 2 + 1, (long long)features);
    return OK;
}

static Status infer_scores(Infer *cx, Node *n)
{
    int64_t targets = attr_int(n, "n_targets", 1);
    const Tensor *in[N_IN] = {NULL};

    for (int k = 1; k < N_IN; k++) {
        in[k] = n->in[k]->data;
        if (!in[k]) return op_unsupported(n, cx->diag, "tables that are not constant");
    }
    if (targets < 1 || in_type(n, 0)->rank != 2 || !shapes_hold(in) ||
        !tables_hold(in, in_type(n, 0)->dtype == DT_F64, targets))
        return op_error(n, cx->diag, "nodes", "TreeScores: no tables of trees");
    if (dim_is_const(in_type(n, 0)->dim[1]))
        TRY(check_features(n, cx->diag, in[IN_COLUMNS], in_type(n, 0)->dim[1]->value));
    infer_out(cx, n, 0, DT_F64, 2,
              (Dim[]){in_type(n, 0)->dim[0], dim_const(&cx->module->dims, targets)});
    return OK;
}

/* The leaf that row i reaches from `node`. */
static int64_t find_leaf(const Tensor *const *in, int64_t i, int64_t node)
{
    const int32_t *link = in[IN_NODES]->data, *column = in[IN_COLUMNS]->data;
    const int64_t *threshold = in[IN_THRESHOLD]->data;
    int64_t branches = in[IN_NODES]->dim[0] - in[IN_LEAVES]->dim[0];
    bool wide = in[0]->dtype == DT_F64;

    while (node < 0) {
        const int32_t *at = link + (branches + node) * N_LINK;
        int32_t from = column[at[COLUMN]];
        double v = tensor_double(in[0], i * in[0]->dim[1] + from / 2);
        int64_t most = wide ? threshold[branches + node] : at[THRESHOLD];
        bool below = v != v && from % 2 ? true : key_of(v, wide) <= most;
        node = below ? at[BELOW] : at[ABOVE];
    }
    return node;
}

static void add_score(TreeJoin join, Tensor *y, int64_t at, double v, bool fresh)
{
    double have = tensor_double(y, at);

    if (join == TREE_MEAN || join == TREE_SUM)
        v += have;
    else if (!fresh && (join == TREE_LEAST ? have < v : have > v))
        v = have;
    tensor_set_double(y, at, v);
}

static Status eval_scores(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    int64_t targets = attr_int(n, "n_targets", 1), rows = in[0]->dim[0];
    int64_t trees = in[IN_ROOTS]->count;
    TreeJoin join = (TreeJoin)attr_int(n, "join", TREE_SUM);
    bool *seen = arena_try(cx->arena, (size_t)targets, sizeof *seen);

    if (!seen) return diag(cx->diag, ERR_LIMIT, node_where(n), "out of memory");
    TRY(check_features(n, cx->diag, in[IN_COLUMNS], in[0]->dim[1]));
    TRY(eval_out(cx, n, &out[0], DT_F64, 2, (int64_t[]){rows, targets}));
    for (int64_t i = 0; i < rows; i++) {
        memset(seen, 0, sizeof *seen * (size_t)targets);
        for (int64_t r = 0; r < trees; r++) {
            int64_t leaf = find_leaf(in, i, tensor_int(in[IN_ROOTS], r));
            int64_t end = tensor_int(in[IN_LEAVES], 2 * leaf + 1);
            for (int64_t w = tensor_int(in[IN_LEAVES], 2 * leaf); w < end; w++) {
                int64_t target = tensor_int(in[IN_TARGETS], w);
                add_score(join, out[0], i * targets + target, tensor_double(in[IN_WEIGHTS], w),
                          !seen[target]);
                seen[target] = true;
            }
        }
        for (int64_t c = 0; c < targets && join == TREE_MEAN && trees; c++)
            tensor_set_double(out[0], i * targets + c,
                              tensor_double(out[0], i * targets + c) / (double)trees);
    }
    return OK;
}

static Status lower_scores(Build *b, const Node *n, Value **out)
{
    const int64_t ints[2] = {attr_int(n, "n_targets", 1), attr_int(n, "join", TREE_SUM)};
    Node *call = build_call(b, "trees", n->n_in, n->in, 1, &n->out[0]->type, 2, ints, 0, NULL);

    if (call) out[0] = call->out[0];
    return b->status;
}

/* ---- the order of the nodes ---- */

/* Tables in the making. Leaves are numbered as they are met; until all branches are known they
 * stand in the links as -1 - number. */
typedef struct Tables {
    Arena *arena;
    const Ensemble *e;
    bool wide;
    int64_t n_branch, n_leaf, n_column;
    int64_t *order, n_order; /* the nodes that ask, each before its descendants */
    int64_t *place;          /* [e->n_node]: of a node's first branch, or -1 - number of the leaf */
    int32_t *link, *column, *leaf;
    int64_t *threshold;
} Tables;

typedef struct Visit {
    int64_t node;
    int step;
} Visit;

enum { NEW, OPEN, CLOSED };

/* Places from `at` down are given to a node when all behind it have theirs, `yes` last: it comes
 * next to its parent. -1: a node is its own descendant. */
static int64_t visit_from(const Ensemble *e, int64_t root, unsigned char *state, Visit *stack,
                          int64_t *order, int64_t at)
{
    int64_t depth = 0;

    if (state[root] != NEW || e->node[root].mode == TREE_LEAF) return at;
    stack[depth++] = (Visit){root, 0};
    state[root] = OPEN;
    while (depth > 0) {
        Visit *top = &stack[depth - 1];
        const TreeNode *node = &e->node[top->node];
        if (top->step == 2) {
            state[top->node] = CLOSED;
            order[--at] = top->node;
            depth--;
            continue;
        }
        int64_t child = top->step++ == 0 ? node->no : node->yes;
        if (state[child] == OPEN) return -1;
        if (state[child] == CLOSED || e->node[child].mode == TREE_LEAF) continue;
        stack[depth++] = (Visit){child, 0};
        state[child] = OPEN;
    }
    return at;
}

/* The first tree's nodes come first. */
static Status order_nodes(const Node *n, Diag *d, Tables *t)
{
    const Ensemble *e = t->e;
    unsigned char *state = arena_try(t->arena, (size_t)e->n_node + 1, 1);
    Visit *stack = arena_try(t->arena, (size_t)e->n_node + 1, sizeof *stack);
    int64_t at = e->n_node;

    t->order = arena_try(t->arena, (size_t)e->n_node + 1, sizeof *t->order);
    if (!state || !stack || !t->order)
        return diag(d, ERR_LIMIT, node_where(n), "%s: out of memory", n->op->name);
    for (int64_t k = e->n_tree - 1; k >= 0 && at >= 0; k--)
        at = visit_from(e, e->root[k], state, stack, t->order, at);
    if (at < 0)
        return op_error(n, d, "nodes_truenodeids", "%s: a node is its own descendant", n->op->name);
    t->order += at;
    t->n_order = e->n_node - at;
    return OK;
}

/* ---- what nodes become ---- */

static int double_order(const void *x, const void *y)
{
    double a = *(const double *)x, b = *(const double *)y;

    return (a > b) - (a < b);
}

/* The members of each set in order, once each; `end` of the node moves. */
static int64_t sort_set(double *set, int64_t count)
{
    int64_t kept = 0;

    qsort(set, (size_t)count, sizeof *set, double_order);
    for (int64_t i = 0; i < count; i++)
        if (kept == 0 || set[kept - 1] != set[i]) set[kept++] = set[i];
    return kept;
}

/* Branches that tell `count` values from all others: `count` pairs and what chooses among them. */
static int64_t equal_branches(int64_t count)
{
    return count > 0 ? 3 * count - 1 : 1;
}

static int64_t branches_of(const TreeNode *node)
{
    if (node->mode == TREE_MEMBER) return equal_branches(node->end - node->begin);
    if (node->mode != TREE_EQ && node->mode != TREE_NEQ) return 1;
    return equal_branches(node->threshold == node->threshold);
}

static void put(Tables *t, int64_t at, int64_t feature, bool nan_below, int64_t threshold,
                int64_t below, int64_t above)
{
    int32_t *link = t->link + at * N_LINK;

    link[COLUMN] = (int32_t)(2 * feature + nan_below);
    link[THRESHOLD] = t->wide ? 0 : (int32_t)threshold;
    link[BELOW] = (int32_t)below;
    link[ABOVE] = (int32_t)above;
    if (t->wide) t->threshold[at] = threshold;
}

/* All but NaN go to `other`, NaN to `nan`. */
static void put_nan(Tables *t, int64_t at, int64_t feature, int64_t nan, int64_t other)
{
    put(t, at, feature, false, (t->wide ? INT64_MAX : INT32_MAX) - 1, other, nan);
}

/* Values of value[0, count), in order, go to `yes`, NaN to `nan`, which is either, others to
 * `no`. */
static void put_equal(Tables *t, int64_t at, int64_t feature, const double *value, int64_t count,
                      int64_t yes, int64_t no, int64_t nan)
{
    if (count == 0) {
        put_nan(t, at, feature, nan, no);
    } else if (count == 1) { /* a NaN that comes to the second node goes to `yes` */
        put(t, at, feature, nan == yes, greatest_key(*value, false, t->wide), at + 1, no);
        put(t, at + 1, feature, false, greatest_key(*value, true, t->wide), no, yes);
    } else { /* a NaN goes to the right */
        int64_t half = count / 2, right = at + 1 + equal_branches(half);
        put(t, at, feature, false, greatest_key(value[half - 1], false, t->wide), at + 1, right);
        put_equal(t, at + 1, feature, value, half, yes, no, no);
        put_equal(t, right, feature, value + half, count - half, yes, no, nan);
    }
}

static void put_node(Tables *t, int64_t i)
{
    const TreeNode *node = &t->e->node[i];
    int64_t at = t->place[i], yes = t->place[node->yes], no = t->place[node->no];
    int64_t feature = node->feature, nan = node->missing ? yes : no;
    double v = node->threshold;
    bool strict = node->mode == TREE_LT || node->mode == TREE_GTE;

    switch (node->mode) {
    case TREE_MEMBER:
        put_equal(t, at, feature, t->e->set + node->begin, node->end - node->begin, yes, no, nan);
        break;
    case TREE_EQ:
        put_equal(t, at, feature, &v, v == v, yes, no, nan);
        break;
    case TREE_NEQ: /* a NaN differs from all */
        put_equal(t, at, feature, &v, v == v, no, yes, yes);
        break;
    case TREE_LEQ:
    case TREE_LT:
        if (v != v)
            put_nan(t, at, feature, nan, no);
        else
            put(t, at, feature, node->missing, greatest_key(v, strict, t->wide), yes, no);
        break;
    default:
        if (v != v)
            put_nan(t, at, feature, nan, no);
        else
            put(t, at, feature, !node->missing, greatest_key(v, strict, t->wide), no, yes);
    }
}

/* ---- the tables ---- */

static void meet_leaf(Tables *t, int64_t i)
{
    if (t->e->node[i].mode == TREE_LEAF && t->place[i] == 0) t->place[i] = -1 - t->n_leaf++;
}

/* Places of the nodes; leaves in the order in which the trees meet them. */
static void place_nodes(Tables *t)
{
    const Ensemble *e = t->e;

    for (int64_t k = 0; k < t->n_order; k++) {
        TreeNode *node = &e->node[t->order[k]];
        if (node->mode == TREE_MEMBER)
            node->end = node->begin + sort_set(e->set + node->begin, node->end - node->begin);
        t->place[t->order[k]] = t->n_branch;
        t->n_branch += branches_of(node);
        meet_leaf(t, node->yes);
        meet_leaf(t, node->no);
    }
    for (int64_t k = 0; k < e->n_tree; k++)
        meet_leaf(t, e->root[k]);
}

static int64_t final_place(const Tables *t, int64_t place)
{
    return place < 0 ? -1 - place : place - t->n_branch;
}

static int int_order(const void *x, const void *y)
{
    int32_t a = *(const int32_t *)x, b = *(const int32_t *)y;

    return (a > b) - (a < b);
}

/* The columns that are read, once each, and their numbers in the links. */
static void number_columns(Tables *t)
{
    int64_t kept = 0;

    for (int64_t i = 0; i < t->n_branch; i++)
        t->column[i] = t->link[i * N_LINK + COLUMN];
    qsort(t->column, (size_t)t->n_branch, sizeof *t->column, int_order);
    for (int64_t i = 0; i < t->n_branch; i++)
        if (kept == 0 || t->column[kept - 1] != t->column[i]) t->column[kept++] = t->column[i];
    t->n_column = kept;
    for (int64_t i = 0; i < t->n_branch; i++) {
        int32_t *link = t->link + i * N_LINK;
        const int32_t *found =
            bsearch(&link[COLUMN], t->column, (size_t)kept, sizeof *found, int_order);
        link[COLUMN] = (int32_t)(found - t->column);
    }
}

static void fill_tables(Tables *t)
{
    const Ensemble *e = t->e;

    for (int64_t k = 0; k < t->n_order; k++)
        put_node(t, t->order[k]);
    number_columns(t);
    for (int64_t i = 0; i < t->n_branch; i++)
        for (int k = BELOW; k <= ABOVE; k++) {
            int32_t *next = &t->link[i * N_LINK + k];
            *next = (int32_t)final_place(t, *next);
        }
    for (int64_t i = 0; i < e->n_node; i++) {
        int64_t leaf = -1 - t->place[i];
        int32_t *link = t->link + (t->n_branch + leaf) * N_LINK;
        if (leaf < 0) continue;
        link[BELOW] = link[ABOVE] = (int32_t)leaf;
        t->leaf[2 * leaf] = (int32_t)e->node[i].begin;
        t->leaf[2 * leaf + 1] = (int32_t)e->node[i].end;
    }
}

static Status make_tables(const Node *n, Diag *d, Tables *t)
{
    int64_t n_node = t->e->n_node, nodes;

    TRY(order_nodes(n, d, t));
    t->place = arena_try(t->arena, (size_t)n_node + 1, sizeof *t->place);
    if (!t->place) return diag(d, ERR_LIMIT, node_where(n), "%s: out of memory", n->op->name);
    place_nodes(t);
    nodes = t->n_branch + t->n_leaf;
    if (nodes > INT32_MAX / N_LINK || t->e->n_weight > INT32_MAX)
        return diag(d, ERR_LIMIT, node_where(n), "%s: %lld nodes of trees, the limit is %d",
                    n->op->name, (long long)nodes, INT32_MAX / N_LINK);
    for (int64_t k = 0; k < t->n_order; k++)
        if (t->e->node[t->order[k]].feature >= INT32_MAX / 2)
            return op_error(n, d, "nodes_featureids", "%s: feature %lld", n->op->name,
                            (long long)t->e->node[t->order[k]].feature);
    t->link = arena_try(t->arena, (size_t)nodes + 1, sizeof *t->link * N_LINK);
    t->column = arena_try(t->arena, (size_t)t->n_branch + 1, sizeof *t->column);
    t->leaf = arena_try(t->arena, (size_t)t->n_leaf + 1, sizeof *t->leaf * 2);
    t->threshold = arena_try(t->arena, (size_t)t->n_branch + 1, sizeof *t->threshold);
    if (!t->link || !t->column || !t->leaf || !t->threshold)
        return diag(d, ERR_LIMIT, node_where(n), "%s: out of memory", n->op->name);
    fill_tables(t);
    return OK;
}

static Value *constant(Build *b, DType type, int64_t rows, int64_t columns, const void *data)
{
    const int64_t dims[2] = {rows, columns};

    return build_tensor(b, tensor_wrap(b->module->arena, type, columns > 1 ? 2 : 1, dims, data));
}

static int32_t *narrowed(Build *b, const int64_t *v, int64_t count)
{
    int32_t *to = arena_try(b->module->arena, (size_t)count + 1, sizeof *to);

    for (int64_t i = 0; to && i < count; i++)
        to[i] = (int32_t)v[i];
    return to;
}

Value *tree_scores(Build *b, const Node *n, const Ensemble *e, TreeJoin join)
{
    DType given = in_type(n, 0)->dtype;
    bool wide = given == DT_F64 || given == DT_I32 || given == DT_I64;
    Tables t = {.arena = b->module->arena, .e = e, .wide = wide};
    Attr attr[2] = {attr_of_int("n_targets", e->n_target), attr_of_int("join", join)};
    int32_t *target, *root;
    Node *node;

    if (b->status != OK || (b->status = make_tables(n, b->diag, &t)) != OK) return NULL;
    target = narrowed(b, e->target, e->n_weight);
    root = narrowed(b, e->root, e->n_tree);
    if (!target || !root) {
        b->status = diag(b->diag, ERR_LIMIT, node_where(n), "%s: out of memory", n->op->name);
        return NULL;
    }
    for (int64_t k = 0; k < e->n_tree; k++)
        root[k] = (int32_t)final_place(&t, t.place[root[k]]);
    Value *in[N_IN] = {make_cast(b, n->in[0], wide ? DT_F64 : DT_F32),
                       constant(b, DT_I32, t.n_column, 1, t.column),
                       constant(b, DT_I32, t.n_branch + t.n_leaf, N_LINK, t.link),
                       constant(b, DT_I64, wide ? t.n_branch : 0, 1, t.threshold),
                       constant(b, DT_I32, t.n_leaf, 2, t.leaf),
                       constant(b, DT_I32, e->n_weight, 1, target),
                       constant(b, DT_F64, e->n_weight, 1, e->weight),
                       constant(b, DT_I32, e->n_tree, 1, root)};
    if (b->status != OK) return NULL;
    node = build_op_node(b, "ingot", "TreeScores", N_IN, in, 1, 2, attr);
    return node ? node->out[0] : NULL;
}

const OpDef tree_scores_ops[] = {
    {.name = "TreeScores",
     .domain = "ingot",
     .calls = CALL_BIT(trees),
     .since = 1,
     .about = "what the leaves that the rows reach say together",
     ROW_IN({"X", DT_BIT(DT_F32) | DT_BIT(DT_F64)}, {"columns", DT_BIT(DT_I32)},
            {"nodes", DT_BIT(DT_I32)}, {"thresholds", DT_BIT(DT_I64)}, {"leaves", DT_BIT(DT_I32)},
            {"targets", DT_BIT(DT_I32)}, {"weights", DT_BIT(DT_F64)}, {"roots", DT_BIT(DT_I32)}),
     ROW_OUT({"Y", DT_BIT(DT_F64)}),
     ROW_ATTRS(ATTR_REQ("n_targets", ATTR_INT), ATTR_REQ("join", ATTR_INT)),
     .traits = OP_PURE,
     .infer = infer_scores,
     .eval = eval_scores,
     .lower = lower_scores},
    {0},
};
