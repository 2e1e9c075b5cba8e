/* trees.c: ensembles of decision trees of ai.onnx.ml: TreeEnsemble, and the older classifier and
 * regressor.
 *
 * All forms are read into one table of nodes while compiling: constant tensors that TreeScores, an
 * operator of ours, walks for each row (runtime/rt_call_trees.c). What follows the scores are
 * operators of ai.onnx. A row of `links` is: mode, feature, node if true, node if false, whether a
 * NaN counts as true, range of `targets`/`weights` of a leaf, range of `sets`. The table is checked
 * when it is made: nodes and targets are within it; circles end the walk with a data error. */
#include <stdlib.h>
#include <string.h>

#include "ir/ops/ml.h"
#include "ir/ops/ops_common.h"

enum { MODE, FEATURE, YES, NO, MISSING, WEIGHT_BEGIN, WEIGHT_END, SET_BEGIN, SET_END, N_LINK };
enum { LEQ, LT, GTE, GT, EQ, NEQ, MEMBER, LEAF };
enum { MEAN, SUM, LEAST, GREATEST };

/* ---- TreeScores ---- */

static bool in_range(int64_t begin, int64_t end, int64_t count)
{
    return begin >= 0 && begin <= end && end <= count;
}

/* Whoever writes this operator into a model cannot make the walk leave its tables. */
static bool tables_hold(const Tensor *const *in, int64_t targets)
{
    int64_t nodes = in[1]->count;
    const int64_t *link = in[2]->data;

    if (in[2]->count != nodes * N_LINK || in[4]->count != in[5]->count) return false;
    for (int64_t i = 0; i < nodes; i++, link += N_LINK)
        if (link[MODE] < LEQ || link[MODE] > LEAF || link[FEATURE] < 0 || link[YES] < 0 ||
            link[YES] >= nodes || link[NO] < 0 || link[NO] >= nodes ||
            !in_range(link[WEIGHT_BEGIN], link[WEIGHT_END], in[4]->count) ||
            !in_range(link[SET_BEGIN], link[SET_END], in[3]->count))
            return false;
    for (int64_t i = 0; i < in[4]->count; i++)
        if (tensor_int(in[4], i) < 0 || tensor_int(in[4], i) >= targets) return false;
    for (int64_t i = 0; i < in[6]->count; i++)
        if (tensor_int(in[6], i) < 0 || tensor_int(in[6], i) >= nodes) return false;
    return true;
}

static Status infer_scores(Infer *cx, Node *n)
{
    int64_t targets = attr_int(n, "n_targets", 1);
    const Tensor *in[7] = {NULL};

    for (int k = 1; k < 7; k++) {
        in[k] = n->in[k]->data;
        if (!in[k]) return op_unsupported(n, cx->diag, "tables that are not constant");
    }
    if (targets < 1 || in_type(n, 0)->rank != 2 || !tables_hold(in, targets))
        return op_error(n, cx->diag, "links", "TreeScores: no tables of trees");
    infer_out(cx, n, 0, DT_F64, 2,
              (Dim[]){in_type(n, 0)->dim[0], dim_const(&cx->module->dims, targets)});
    return OK;
}

static bool is_member(const Tensor *sets, const int64_t *link, double v)
{
    for (int64_t i = link[SET_BEGIN]; i < link[SET_END]; i++)
        if (tensor_double(sets, i) == v) return true;
    return false;
}

static bool goes_true(const Tensor *const *in, int64_t node, const int64_t *link, double v)
{
    double at = tensor_double(in[1], node);

    if (v != v && link[MISSING]) return true;
    switch (link[MODE]) {
    case LEQ:
        return v <= at;
    case LT:
        return v < at;
    case GTE:
        return v >= at;
    case GT:
        return v > at;
    case EQ:
        return v == at;
    case NEQ:
        return v != at;
    default:
        return is_member(in[3], link, v);
    }
}

/* The row of `links` of the leaf that row `i` reaches from `node`; NULL: none. */
static const int64_t *find_leaf(const Tensor *const *in, int64_t i, int64_t node)
{
    const int64_t *links = in[2]->data;
    int64_t features = in[0]->dim[1];

    for (int64_t steps = 0; steps <= in[1]->count; steps++) {
        const int64_t *link = links + node * N_LINK;
        if (link[MODE] == LEAF) return link;
        if (link[FEATURE] >= features) return NULL;
        double v = tensor_double(in[0], i * features + link[FEATURE]);
        node = goes_true(in, node, link, v) ? link[YES] : link[NO];
    }
    return NULL;
}

static void add_score(int64_t join, Tensor *y, int64_t at, double v, bool fresh)
{
    double have = tensor_double(y, at);

    if (join == MEAN || join == SUM)
        v += have;
    else if (!fresh && (join == LEAST ? have < v : have > v))
        v = have;
    tensor_set_double(y, at, v);
}

static Status eval_scores(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    int64_t targets = attr_int(n, "n_targets", 1), join = attr_int(n, "join", SUM);
    int64_t rows = in[0]->dim[0], trees = in[6]->count;
    bool *seen = arena_try(cx->arena, (size_t)targets, sizeof *seen);

    if (!seen) return diag(cx->diag, ERR_LIMIT, node_where(n), "out of memory");
    TRY(eval_out(cx, n, &out[0], DT_F64, 2, (int64_t[]){rows, targets}));
    for (int64_t i = 0; i < rows; i++) {
        memset(seen, 0, sizeof *seen * (size_t)targets);
        for (int64_t r = 0; r < trees; r++) {
            const int64_t *leaf = find_leaf(in, i, tensor_int(in[6], r));
            if (!leaf)
                return op_error(n, cx->diag, NULL, "a tree without an end for row %lld",
                                (long long)i);
            for (int64_t w = leaf[WEIGHT_BEGIN]; w < leaf[WEIGHT_END]; w++) {
                int64_t target = tensor_int(in[4], w);
                add_score(join, out[0], i * targets + target, tensor_double(in[5], w),
                          !seen[target]);
                seen[target] = true;
            }
        }
        for (int64_t c = 0; c < targets && join == MEAN && trees; c++)
            tensor_set_double(out[0], i * targets + c,
                              tensor_double(out[0], i * targets + c) / (double)trees);
    }
    return OK;
}

static Status lower_scores(Build *b, const Node *n, Value **out)
{
    const int64_t ints[2] = {attr_int(n, "n_targets", 1), attr_int(n, "join", SUM)};
    Node *call = build_call(b, "trees", n->n_in, n->in, 1, &n->out[0]->type, 2, ints, 0, NULL);

    if (call) out[0] = call->out[0];
    return b->status;
}

/* ---- the table ---- */

typedef struct Table {
    int64_t nodes, trees, n_set, n_weight, targets;
    int64_t *link, *target, *root;
    double *threshold, *set, *weight;
} Table;

/* A list of numbers: of ints, floats, or a tensor. */
typedef struct List {
    int64_t n;
    const Attr *attr;
    const Tensor *tensor;
} List;

static List list_of(const Node *n, const char *name)
{
    const Attr *a = attr_find(n, name);

    if (!a) return (List){0};
    if (a->kind == ATTR_TENSOR) return (List){a->tensor->count, a, a->tensor};
    return (List){a->n, a, NULL};
}

static double list_double(const List *l, int64_t i)
{
    if (i >= l->n) return 0;
    if (l->tensor) return tensor_double(l->tensor, i);
    return l->attr->kind == ATTR_INTS ? (double)l->attr->ints[i] : l->attr->floats[i];
}

static int64_t list_int(const List *l, int64_t i)
{
    if (i >= l->n) return 0;
    return l->tensor ? tensor_int(l->tensor, i) : l->attr->ints[i];
}

/* Room for a table; its counts are set. */
static Status table_room(const Node *n, Diag *d, Table *t)
{
    Arena *a = n->parent->module->arena;

    t->link = arena_try(a, (size_t)t->nodes + 1, sizeof *t->link * N_LINK);
    t->threshold = arena_try(a, (size_t)t->nodes + 1, sizeof *t->threshold);
    t->root = arena_try(a, (size_t)t->nodes + 1, sizeof *t->root);
    t->set = arena_try(a, (size_t)t->n_set + 1, sizeof *t->set);
    t->target = arena_try(a, (size_t)t->n_weight + 1, sizeof *t->target);
    t->weight = arena_try(a, (size_t)t->n_weight + 1, sizeof *t->weight);
    if (t->link && t->threshold && t->root && t->set && t->target && t->weight) {
        memset(t->link, 0, sizeof *t->link * N_LINK * (size_t)t->nodes);
        return OK;
    }
    return diag(d, ERR_LIMIT, node_where(n), "%s: out of memory", n->op->name);
}

/* Every node, target and feature number within bounds. */
static Status table_check(const Node *n, Diag *d, const Table *t)
{
    for (int64_t i = 0; i < t->nodes; i++) {
        const int64_t *l = t->link + i * N_LINK;
        bool inside = l[YES] >= 0 && l[YES] < t->nodes && l[NO] >= 0 && l[NO] < t->nodes;
        if (l[MODE] != LEAF && (!inside || l[FEATURE] < 0))
            return op_error(n, d, "nodes_truenodeids", "%s: node %lld leads nowhere", n->op->name,
                            (long long)i);
    }
    for (int64_t i = 0; i < t->n_weight; i++)
        if (t->target[i] < 0 || t->target[i] >= t->targets)
            return op_error(n, d, NULL, "%s: target %lld of %lld", n->op->name,
                            (long long)t->target[i], (long long)t->targets);
    for (int64_t i = 0; i < t->trees; i++)
        if (t->root[i] < 0 || t->root[i] >= t->nodes)
            return op_error(n, d, "tree_roots", "%s: root %lld of %lld nodes", n->op->name,
                            (long long)t->root[i], (long long)t->nodes);
    return OK;
}

static Value *constant(Build *b, DType type, int rank, const int64_t *dims, const void *data)
{
    return build_tensor(b, tensor_wrap(b->module->arena, type, rank, dims, data));
}

/* Scores of in[0] as f64 [rows, targets]. */
static Value *table_scores(Build *b, const Node *n, const Table *t, int64_t join)
{
    int64_t link[2] = {t->nodes, N_LINK};
    Value *in[7] = {make_cast(b, n->in[0], DT_F64),
                    constant(b, DT_F64, 1, link, t->threshold),
                    constant(b, DT_I64, 2, link, t->link),
                    constant(b, DT_F64, 1, &t->n_set, t->set),
                    constant(b, DT_I64, 1, &t->n_weight, t->target),
                    constant(b, DT_F64, 1, &t->n_weight, t->weight),
                    constant(b, DT_I64, 1, &t->trees, t->root)};
    Attr attr[2] = {attr_of_int("n_targets", t->targets), attr_of_int("join", join)};
    Node *node;

    if (b->status != OK) return NULL;
    node = build_op_node(b, "ingot", "TreeScores", 7, in, 1, 2, attr);
    return node ? node->out[0] : NULL;
}

/* ---- the older forms: nodes named by tree and number, leaves by the same ---- */

typedef struct Key {
    int64_t tree, node, at;
} Key;

static int key_order(const void *x, const void *y)
{
    const Key *a = x, *b = y;

    if (a->tree != b->tree) return a->tree < b->tree ? -1 : 1;
    if (a->node != b->node) return a->node < b->node ? -1 : 1;
    return (a->at > b->at) - (a->at < b->at);
}

/* Place of the first key of (tree, node); `n` when there is none. */
static int64_t key_find(const Key *key, int64_t n, int64_t tree, int64_t node)
{
    Key want = {tree, node, -1};
    int64_t low = 0, high = n;

    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (key_order(&key[middle], &want) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < n && key[low].tree == tree && key[low].node == node ? low : n;
}

static Key *keys_of(const Node *n, const List *trees, const List *nodes)
{
    Key *key = arena_try(n->parent->module->arena, (size_t)trees->n + 1, sizeof *key);

    for (int64_t i = 0; key && i < trees->n; i++)
        key[i] = (Key){list_int(trees, i), list_int(nodes, i), i};
    if (key) qsort(key, (size_t)trees->n, sizeof *key, key_order);
    return key;
}

static int64_t mode_of(const StringRef *s)
{
    static const char *const names[] = {"BRANCH_LEQ", "BRANCH_LT",  "BRANCH_GTE", "BRANCH_GT",
                                        "BRANCH_EQ",  "BRANCH_NEQ", "",           "LEAF"};

    for (int i = 0; i <= LEAF; i++)
        if ((int64_t)strlen(names[i]) == s->n && s->n && memcmp(names[i], s->s, (size_t)s->n) == 0)
            return i;
    return -1;
}

/* What the names of an older form's attributes begin with: "class" or "target". */
typedef struct Leaves {
    List id, node, tree, weight;
} Leaves;

static Leaves leaves_of(const Node *n, bool classes)
{
    Leaves l = {list_of(n, classes ? "class_ids" : "target_ids"),
                list_of(n, classes ? "class_nodeids" : "target_nodeids"),
                list_of(n, classes ? "class_treeids" : "target_treeids"),
                list_of(n, classes ? "class_weights" : "target_weights")};
    List t = list_of(n, classes ? "class_weights_as_tensor" : "target_weights_as_tensor");

    if (t.n) l.weight = t;
    return l;
}

static Status read_weights(const Node *n, Diag *d, const Leaves *l, const Key *node_key, Table *t)
{
    Key *key = keys_of(n, &l->tree, &l->node);

    if (!key) return diag(d, ERR_LIMIT, node_where(n), "%s: out of memory", n->op->name);
    for (int64_t i = 0; i < t->n_weight; i++) {
        int64_t at = key_find(node_key, t->nodes, key[i].tree, key[i].node), *link;
        if (at == t->nodes)
            return op_error(n, d, NULL, "%s: a weight for node %lld of tree %lld, which is none",
                            n->op->name, (long long)key[i].node, (long long)key[i].tree);
        link = t->link + node_key[at].at * N_LINK;
        if (link[WEIGHT_END] == 0) link[WEIGHT_BEGIN] = i;
        link[WEIGHT_END] = i + 1;
        t->target[i] = list_int(&l->id, key[i].at);
        t->weight[i] = list_double(&l->weight, key[i].at);
    }
    return OK;
}

static Status read_nodes(const Node *n, Diag *d, const Key *key, Table *t)
{
    List tree = list_of(n, "nodes_treeids"), feature = list_of(n, "nodes_featureids");
    List yes = list_of(n, "nodes_truenodeids"), no = list_of(n, "nodes_falsenodeids");
    List missing = list_of(n, "nodes_missing_value_tracks_true");
    List value = list_of(n, "nodes_values"), exact = list_of(n, "nodes_values_as_tensor");
    const Attr *mode = attr_find(n, "nodes_modes");
    bool *child = arena_try(n->parent->module->arena, (size_t)t->nodes + 1, sizeof *child);

    if (!child) return diag(d, ERR_LIMIT, node_where(n), "%s: out of memory", n->op->name);
    memset(child, 0, sizeof *child * (size_t)t->nodes);
    for (int64_t i = 0; i < t->nodes; i++) {
        int64_t *link = t->link + i * N_LINK, where = list_int(&tree, i), a, z;
        link[MODE] = mode_of(&mode->strings[i]);
        link[FEATURE] = list_int(&feature, i);
        link[MISSING] = list_int(&missing, i);
        t->threshold[i] = list_double(exact.n ? &exact : &value, i);
        if (link[MODE] < 0)
            return op_error(n, d, "nodes_modes", "%s: found \"%s\"", n->op->name,
                            mode->strings[i].s);
        if (link[MODE] == LEAF) {
            link[FEATURE] = 0;
            continue;
        }
        a = key_find(key, t->nodes, where, list_int(&yes, i));
        z = key_find(key, t->nodes, where, list_int(&no, i));
        if (a == t->nodes || z == t->nodes)
            return op_error(n, d, "nodes_truenodeids", "%s: node %lld leads nowhere", n->op->name,
                            (long long)i);
        link[YES] = key[a].at;
        link[NO] = key[z].at;
        child[link[YES]] = child[link[NO]] = true;
    }
    for (int64_t i = 0; i < t->nodes; i++)
        if (!child[i]) t->root[t->trees++] = i;
    return OK;
}

static Status read_older(const Node *n, Diag *d, bool classes, Table *t)
{
    List tree = list_of(n, "nodes_treeids"), number = list_of(n, "nodes_nodeids");
    const Attr *mode = attr_find(n, "nodes_modes");
    Leaves l = leaves_of(n, classes);
    Key *key;

    t->nodes = tree.n;
    t->n_weight = l.id.n;
    if (!mode || mode->n != tree.n || number.n != tree.n || l.node.n != l.id.n ||
        l.tree.n != l.id.n || l.weight.n != l.id.n)
        return op_error(n, d, "nodes_treeids", "%s: lists of different lengths", n->op->name);
    TRY(table_room(n, d, t));
    key = keys_of(n, &tree, &number);
    if (!key) return diag(d, ERR_LIMIT, node_where(n), "%s: out of memory", n->op->name);
    TRY(read_nodes(n, d, key, t));
    TRY(read_weights(n, d, &l, key, t));
    return table_check(n, d, t);
}

static Value *base_values(Build *b, const Node *n, int64_t *count)
{
    List l = list_of(n, "base_values"), exact = list_of(n, "base_values_as_tensor");
    Tensor *t;

    if (exact.n) l = exact;
    *count = l.n;
    t = l.n ? tensor_new(b->module->arena, DT_F64, 1, &l.n) : NULL;
    for (int64_t i = 0; t && i < l.n; i++)
        tensor_set_double(t, i, list_double(&l, i));
    return t ? build_tensor(b, t) : NULL;
}

static Status check_matrix(const Node *n, Diag *d)
{
    if (in_type(n, 0)->rank == 2) return OK;
    return op_error(n, d, "X", "%s: rank %d, expected 2", n->op->name, in_type(n, 0)->rank);
}

static Status lower_regressor(Build *b, const Node *n, Value **out)
{
    static const char *const joins[] = {"AVERAGE", "SUM", "MIN", "MAX"};
    const char *join = attr_string(n, "aggregate_function", "SUM");
    Table t = {.targets = attr_int(n, "n_targets", 1)};
    int64_t kind = 0, count;
    Value *v, *base;

    TRY(check_matrix(n, b->diag));
    while (kind < 4 && strcmp(joins[kind], join) != 0)
        kind++;
    if (kind == 4 || t.targets < 1 || t.targets > INT32_MAX)
        return op_error(n, b->diag, "aggregate_function", "TreeEnsembleRegressor: \"%s\" of %lld",
                        join, (long long)t.targets);
    TRY(read_older(n, b->diag, false, &t));
    v = table_scores(b, n, &t, kind);
    base = base_values(b, n, &count);
    if (count && count != 1 && count != t.targets)
        return op_error(n, b->diag, "base_values", "TreeEnsembleRegressor: %lld values",
                        (long long)count);
    if (base) v = make_add(b, v, base);
    v = make_cast(b, v, DT_F32);
    out[0] = ml_transform(b, n, v, attr_string(n, "post_transform", "NONE"));
    return b->status;
}

/* Are there two classes and weights for one of them only? */
static bool one_sided(const Table *t)
{
    for (int64_t i = 1; i < t->n_weight; i++)
        if (t->target[i] != t->target[0]) return false;
    return t->targets == 2 && t->n_weight > 0;
}

static bool all_positive(const Table *t)
{
    for (int64_t i = 0; i < t->n_weight; i++)
        if (t->weight[i] < 0) return false;
    return true;
}

/* Weights for one class of two: *scores becomes both columns before the transform, `direct` says
 * that they are final; the result numbers the label. */
static Value *two_classes(Build *b, const Node *n, const Table *t, Value **scores, bool *direct)
{
    bool positive = all_positive(t);
    int64_t count, column = t->target[0];
    Value *base = base_values(b, n, &count), *v, *above;

    v = make_slice(b, *scores, 1, column, column + 1, 1);
    if (count == 2) base = make_slice(b, base, 0, column, column + 1, 1);
    if (base) v = make_add(b, v, base);
    v = make_cast(b, v, DT_F32);
    above = build_op2(b, "Greater", v, make_scalar(b, v, positive ? 0.5 : 0));
    *direct = positive && strcmp(attr_string(n, "post_transform", "NONE"), "LOGISTIC") != 0;
    *scores = ml_two_columns(b, v, *direct);
    return make_cast(b, build_op2(b, "Squeeze", above, build_i64(b, 1, (int64_t[]){1})), DT_I64);
}

static Status lower_classifier(Build *b, const Node *n, Value **out)
{
    const char *kind = attr_string(n, "post_transform", "NONE");
    Attr attr[2] = {attr_of_int("axis", 1), attr_of_int("keepdims", 0)};
    int classes = 0;
    int64_t count;
    bool direct = false;
    Value *labels = ml_labels(b, n, "classlabels_int64s", "classlabels_strings", &classes);
    Value *v, *label, *base;
    Table t = {.targets = classes};

    if (b->status != OK) return b->status;
    TRY(check_matrix(n, b->diag));
    if (classes < 2) return op_unsupported(n, b->diag, "one class label");
    TRY(read_older(n, b->diag, true, &t));
    v = table_scores(b, n, &t, SUM);
    if (one_sided(&t)) {
        label = two_classes(b, n, &t, &v, &direct);
    } else {
        base = base_values(b, n, &count);
        if (count && count != classes)
            return op_error(n, b->diag, "base_values", "TreeEnsembleClassifier: %lld values",
                            (long long)count);
        if (base) v = make_add(b, v, base);
        v = make_cast(b, v, DT_F32);
        label = build_op(b, "ArgMax", 1, &v, 2, attr);
    }
    if (has_out(n, 0)) out[0] = make_gather(b, labels, label, 0);
    if (has_out(n, 1)) out[1] = direct ? v : ml_transform(b, n, v, kind);
    return b->status;
}

/* ---- TreeEnsemble: branches and leaves in tables of their own ---- */

/* Members of the sets stand in one list, a NaN behind each set. */
static Status read_sets(const Node *n, Diag *d, const List *value, int64_t branches, Table *t)
{
    int64_t at = 0;

    for (int64_t i = 0; i < t->n_set; i++)
        t->set[i] = list_double(value, i);
    for (int64_t i = 0; i < branches; i++) {
        int64_t *link = t->link + i * N_LINK;
        if (link[MODE] != MEMBER) continue;
        link[SET_BEGIN] = at;
        while (at < t->n_set && t->set[at] == t->set[at])
            at++;
        link[SET_END] = at++;
        if (link[SET_END] > t->n_set || link[SET_BEGIN] > t->n_set)
            return op_error(n, d, "membership_values", "TreeEnsemble: too few sets");
    }
    return OK;
}

static Status read_newer(const Node *n, Diag *d, Table *t)
{
    List split = list_of(n, "nodes_splits"), mode = list_of(n, "nodes_modes");
    List feature = list_of(n, "nodes_featureids"), root = list_of(n, "tree_roots");
    List yes = list_of(n, "nodes_truenodeids"), no = list_of(n, "nodes_falsenodeids");
    List yes_leaf = list_of(n, "nodes_trueleafs"), no_leaf = list_of(n, "nodes_falseleafs");
    List missing = list_of(n, "nodes_missing_value_tracks_true");
    List set = list_of(n, "membership_values");
    List target = list_of(n, "leaf_targetids"), weight = list_of(n, "leaf_weights");
    int64_t branches = feature.n;

    t->nodes = branches + target.n;
    t->n_weight = target.n;
    t->n_set = set.n;
    if (split.n != branches || mode.n != branches || yes.n != branches || no.n != branches ||
        yes_leaf.n != branches || no_leaf.n != branches || weight.n != target.n ||
        root.n > t->nodes)
        return op_error(n, d, "nodes_featureids", "TreeEnsemble: lists of different lengths");
    TRY(table_room(n, d, t));
    for (int64_t i = 0; i < branches; i++) {
        int64_t *link = t->link + i * N_LINK;
        link[MODE] = list_int(&mode, i);
        link[FEATURE] = list_int(&feature, i);
        link[YES] = list_int(&yes, i) + (list_int(&yes_leaf, i) ? branches : 0);
        link[NO] = list_int(&no, i) + (list_int(&no_leaf, i) ? branches : 0);
        link[MISSING] = list_int(&missing, i);
        t->threshold[i] = list_double(&split, i);
        if (link[MODE] < 0 || link[MODE] > MEMBER)
            return op_error(n, d, "nodes_modes", "TreeEnsemble: found %lld", (long long)link[MODE]);
    }
    for (int64_t i = 0; i < target.n; i++) {
        int64_t *link = t->link + (branches + i) * N_LINK;
        link[MODE] = LEAF;
        link[WEIGHT_BEGIN] = i;
        link[WEIGHT_END] = i + 1;
        t->threshold[branches + i] = 0;
        t->target[i] = list_int(&target, i);
        t->weight[i] = list_double(&weight, i);
    }
    for (t->trees = 0; t->trees < root.n; t->trees++)
        t->root[t->trees] = list_int(&root, t->trees);
    TRY(read_sets(n, d, &set, branches, t));
    return table_check(n, d, t);
}

static Status lower_ensemble(Build *b, const Node *n, Value **out)
{
    static const char *const kinds[] = {"NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"};
    int64_t kind = attr_int(n, "post_transform", 0), join = attr_int(n, "aggregate_function", 1);
    Table t = {.targets = attr_int(n, "n_targets", 1)};
    Value *v;

    TRY(check_matrix(n, b->diag));
    if (kind < 0 || kind > 4 || join < MEAN || join > GREATEST || t.targets < 1 ||
        t.targets > INT32_MAX)
        return op_error(n, b->diag, "post_transform", "TreeEnsemble: %lld, aggregate_function %lld",
                        (long long)kind, (long long)join);
    TRY(read_newer(n, b->diag, &t));
    v = make_cast(b, table_scores(b, n, &t, join), in_type(n, 0)->dtype);
    out[0] = ml_transform(b, n, v, kinds[kind]);
    return b->status;
}

/* ---- the table of operators ---- */

#define ML(version, low)                                                                           \
    .domain = "ai.onnx.ml", .since = version, .traits = OP_PURE, .infer = compose_infer,           \
    .eval = compose_eval, .lower = low
#define T_ML (DT_BIT(DT_F32) | DT_BIT(DT_F64) | DT_BIT(DT_I32) | DT_BIT(DT_I64))
#define NODE_ATTRS                                                                                 \
    ATTR_OPT("nodes_falsenodeids", ATTR_INTS), ATTR_OPT("nodes_featureids", ATTR_INTS),            \
        ATTR_OPT("nodes_hitrates", ATTR_FLOATS),                                                   \
        ATTR_OPT("nodes_hitrates_as_tensor", ATTR_TENSOR),                                         \
        ATTR_OPT("nodes_missing_value_tracks_true", ATTR_INTS),                                    \
        ATTR_OPT("nodes_modes", ATTR_STRINGS), ATTR_OPT("nodes_nodeids", ATTR_INTS),               \
        ATTR_OPT("nodes_treeids", ATTR_INTS), ATTR_OPT("nodes_truenodeids", ATTR_INTS),            \
        ATTR_OPT("nodes_values", ATTR_FLOATS), ATTR_OPT("nodes_values_as_tensor", ATTR_TENSOR),    \
        ATTR_OPT("base_values", ATTR_FLOATS), ATTR_OPT("base_values_as_tensor", ATTR_TENSOR),      \
        ATTR_S("post_transform", "NONE")
#define LEAF_ATTRS(x)                                                                              \
    ATTR_OPT(x "_ids", ATTR_INTS), ATTR_OPT(x "_nodeids", ATTR_INTS),                              \
        ATTR_OPT(x "_treeids", ATTR_INTS), ATTR_OPT(x "_weights", ATTR_FLOATS),                    \
        ATTR_OPT(x "_weights_as_tensor", ATTR_TENSOR)

const OpDef trees_ops[] = {
    {.name = "TreeScores",
     .domain = "ingot",
     .calls = CALL_BIT(trees),
     .since = 1,
     .about = "sums of the leaves that the rows reach",
     ROW_IN({"X", DT_BIT(DT_F64)}, {"thresholds", DT_BIT(DT_F64)}, {"links", DT_BIT(DT_I64)},
            {"sets", DT_BIT(DT_F64)}, {"targets", DT_BIT(DT_I64)}, {"weights", DT_BIT(DT_F64)},
            {"roots", DT_BIT(DT_I64)}),
     ROW_OUT({"Y", DT_BIT(DT_F64)}),
     ROW_ATTRS(ATTR_REQ("n_targets", ATTR_INT), ATTR_REQ("join", ATTR_INT)),
     .traits = OP_PURE,
     .infer = infer_scores,
     .eval = eval_scores,
     .lower = lower_scores},
    {.name = "TreeEnsembleClassifier",
     .calls = CALL_BIT(trees),
     .about = "label and scores of an ensemble of trees",
     ROW_IN({"X", T_ML}),
     ROW_OUT({"Y", T_STRING | DT_BIT(DT_I64)}, {"Z", DT_BIT(DT_F32)}),
     ROW_ATTRS(NODE_ATTRS, LEAF_ATTRS("class"), ATTR_OPT("classlabels_int64s", ATTR_INTS),
               ATTR_OPT("classlabels_strings", ATTR_STRINGS)),
     ML(3, lower_classifier)},
    {.name = "TreeEnsembleRegressor",
     .calls = CALL_BIT(trees),
     .about = "values of an ensemble of trees",
     ROW_IN({"X", T_ML}),
     ROW_OUT({"Y", DT_BIT(DT_F32)}),
     ROW_ATTRS(NODE_ATTRS, LEAF_ATTRS("target"), ATTR_S("aggregate_function", "SUM"),
               ATTR_OPT("n_targets", ATTR_INT)),
     ML(3, lower_regressor)},
    {.name = "TreeEnsemble",
     .calls = CALL_BIT(trees),
     .about = "values of an ensemble of trees",
     ROW_IN({"X", T_FLOAT, "T"}),
     ROW_OUT({"Y", T_FLOAT, "T"}),
     ROW_ATTRS(ATTR_I("aggregate_function", 1), ATTR_REQ("leaf_targetids", ATTR_INTS),
               ATTR_REQ("leaf_weights", ATTR_TENSOR), ATTR_OPT("membership_values", ATTR_TENSOR),
               ATTR_OPT("n_targets", ATTR_INT), ATTR_REQ("nodes_falseleafs", ATTR_INTS),
               ATTR_REQ("nodes_falsenodeids", ATTR_INTS), ATTR_REQ("nodes_featureids", ATTR_INTS),
               ATTR_OPT("nodes_hitrates", ATTR_TENSOR),
               ATTR_OPT("nodes_missing_value_tracks_true", ATTR_INTS),
               ATTR_REQ("nodes_modes", ATTR_TENSOR), ATTR_REQ("nodes_splits", ATTR_TENSOR),
               ATTR_REQ("nodes_trueleafs", ATTR_INTS), ATTR_REQ("nodes_truenodeids", ATTR_INTS),
               ATTR_I("post_transform", 0), ATTR_REQ("tree_roots", ATTR_INTS)),
     ML(5, lower_ensemble)},
    {0},
};
