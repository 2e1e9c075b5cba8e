/* trees.c: ensembles of decision trees of ai.onnx.ml: TreeEnsemble, and the older classifier and
 * regressor. All forms are read into one (trees.h) while compiling; what follows its scores are
 * operators of ai.onnx. */
#include "ir/ops/trees.h"

#include <stdlib.h>
#include <string.h>

#include "ir/ops/ml.h"
#include "ir/ops/ops_common.h"

/* ---- lists ---- */

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

/* ---- the ensemble ---- */

/* Room for an ensemble whose counts are set, but for the trees: at most one a node. */
static Status make_room(const Node *n, Diag *d, Ensemble *e)
{
    Arena *a = n->parent->module->arena;

    e->node = arena_try(a, (size_t)e->n_node + 1, sizeof *e->node);
    e->root = arena_try(a, (size_t)e->n_node + 1, sizeof *e->root);
    e->set = arena_try(a, (size_t)e->n_set + 1, sizeof *e->set);
    e->target = arena_try(a, (size_t)e->n_weight + 1, sizeof *e->target);
    e->weight = arena_try(a, (size_t)e->n_weight + 1, sizeof *e->weight);
    if (e->node && e->root && e->set && e->target && e->weight) return OK;
    return diag(d, ERR_LIMIT, node_where(n), "%s: out of memory", n->op->name);
}

/* Every node, target and root within bounds. */
static Status check_bounds(const Node *n, Diag *d, const Ensemble *e)
{
    for (int64_t i = 0; i < e->n_node; i++) {
        const TreeNode *node = &e->node[i];
        if (node->mode != TREE_LEAF && (node->yes < 0 || node->yes >= e->n_node || node->no < 0 ||
                                        node->no >= e->n_node || node->feature < 0))
            return op_error(n, d, "nodes_truenodeids", "%s: node %lld leads nowhere", n->op->name,
                            (long long)i);
    }
    for (int64_t i = 0; i < e->n_weight; i++)
        if (e->target[i] < 0 || e->target[i] >= e->n_target)
            return op_error(n, d, NULL, "%s: target %lld of %lld", n->op->name,
                            (long long)e->target[i], (long long)e->n_target);
    for (int64_t i = 0; i < e->n_tree; i++)
        if (e->root[i] < 0 || e->root[i] >= e->n_node)
            return op_error(n, d, "tree_roots", "%s: root %lld of %lld nodes", n->op->name,
                            (long long)e->root[i], (long long)e->n_node);
    return OK;
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

    for (int i = 0; i <= TREE_LEAF; i++)
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

static Status read_weights(const Node *n, Diag *d, const Leaves *l, const Key *node_key,
                           Ensemble *e)
{
    Key *key = keys_of(n, &l->tree, &l->node);

    if (!key) return diag(d, ERR_LIMIT, node_where(n), "%s: out of memory", n->op->name);
    for (int64_t i = 0; i < e->n_weight; i++) {
        int64_t at = key_find(node_key, e->n_node, key[i].tree, key[i].node);
        TreeNode *node;
        if (at == e->n_node)
            return op_error(n, d, NULL, "%s: a weight for node %lld of tree %lld, which is none",
                            n->op->name, (long long)key[i].node, (long long)key[i].tree);
        node = &e->node[node_key[at].at];
        if (node->end == 0) node->begin = i;
        node->end = i + 1;
        e->target[i] = list_int(&l->id, key[i].at);
        e->weight[i] = list_double(&l->weight, key[i].at);
    }
    return OK;
}

static Status read_nodes(const Node *n, Diag *d, const Key *key, Ensemble *e)
{
    List tree = list_of(n, "nodes_treeids"), feature = list_of(n, "nodes_featureids");
    List yes = list_of(n, "nodes_truenodeids"), no = list_of(n, "nodes_falsenodeids");
    List missing = list_of(n, "nodes_missing_value_tracks_true");
    List value = list_of(n, "nodes_values"), exact = list_of(n, "nodes_values_as_tensor");
    const Attr *modes = attr_find(n, "nodes_modes");
    bool *child = arena_try(n->parent->module->arena, (size_t)e->n_node + 1, sizeof *child);

    if (!child) return diag(d, ERR_LIMIT, node_where(n), "%s: out of memory", n->op->name);
    for (int64_t i = 0; i < e->n_node; i++) {
        int64_t where = list_int(&tree, i), mode = mode_of(&modes->strings[i]), a, z;
        TreeNode *node = &e->node[i];
        if (mode < 0)
            return op_error(n, d, "nodes_modes", "%s: found \"%s\"", n->op->name,
                            modes->strings[i].s);
        node->mode = (TreeMode)mode;
        if (mode == TREE_LEAF) continue;
        node->feature = list_int(&feature, i);
        node->missing = list_int(&missing, i) != 0;
        node->threshold = list_double(exact.n ? &exact : &value, i);
        a = key_find(key, e->n_node, where, list_int(&yes, i));
        z = key_find(key, e->n_node, where, list_int(&no, i));
        if (a == e->n_node || z == e->n_node)
            return op_error(n, d, "nodes_truenodeids", "%s: node %lld leads nowhere", n->op->name,
                            (long long)i);
        node->yes = key[a].at;
        node->no = key[z].at;
        child[node->yes] = child[node->no] = true;
    }
    for (int64_t i = 0; i < e->n_node; i++)
        if (!child[i]) e->root[e->n_tree++] = i;
    return OK;
}

static Status read_older(const Node *n, Diag *d, bool classes, Ensemble *e)
{
    List tree = list_of(n, "nodes_treeids"), number = list_of(n, "nodes_nodeids");
    const Attr *mode = attr_find(n, "nodes_modes");
    Leaves l = leaves_of(n, classes);
    Key *key;

    e->n_node = tree.n;
    e->n_weight = l.id.n;
    if (!mode || mode->n != tree.n || number.n != tree.n || l.node.n != l.id.n ||
        l.tree.n != l.id.n || l.weight.n != l.id.n)
        return op_error(n, d, "nodes_treeids", "%s: lists of different lengths", n->op->name);
    TRY(make_room(n, d, e));
    key = keys_of(n, &tree, &number);
    if (!key) return diag(d, ERR_LIMIT, node_where(n), "%s: out of memory", n->op->name);
    TRY(read_nodes(n, d, key, e));
    TRY(read_weights(n, d, &l, key, e));
    return check_bounds(n, d, e);
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
    Ensemble e = {.n_target = attr_int(n, "n_targets", 1)};
    int64_t kind = 0, count;
    Value *v, *base;

    TRY(check_matrix(n, b->diag));
    while (kind < 4 && strcmp(joins[kind], join) != 0)
        kind++;
    if (kind == 4 || e.n_target < 1 || e.n_target > INT32_MAX)
        return op_error(n, b->diag, "aggregate_function", "TreeEnsembleRegressor: \"%s\" of %lld",
                        join, (long long)e.n_target);
    TRY(read_older(n, b->diag, false, &e));
    v = tree_scores(b, n, &e, (TreeJoin)kind);
    base = base_values(b, n, &count);
    if (count && count != 1 && count != e.n_target)
        return op_error(n, b->diag, "base_values", "TreeEnsembleRegressor: %lld values",
                        (long long)count);
    if (base) v = make_add(b, v, base);
    v = make_cast(b, v, DT_F32);
    out[0] = ml_transform(b, n, v, attr_string(n, "post_transform", "NONE"));
    return b->status;
}

/* Are there two classes and weights for one of them only? */
static bool one_sided(const Ensemble *e)
{
    for (int64_t i = 1; i < e->n_weight; i++)
        if (e->target[i] != e->target[0]) return false;
    return e->n_target == 2 && e->n_weight > 0;
}

static bool all_positive(const Ensemble *e)
{
    for (int64_t i = 0; i < e->n_weight; i++)
        if (e->weight[i] < 0) return false;
    return true;
}

/* Weights for one class of two: *scores becomes both columns before the transform, `direct` says
 * that they are final; the result numbers the label. */
static Value *two_classes(Build *b, const Node *n, const Ensemble *e, Value **scores, bool *direct)
{
    bool positive = all_positive(e);
    int64_t count, column = e->target[0];
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
    Ensemble e = {.n_target = classes};

    if (b->status != OK) return b->status;
    TRY(check_matrix(n, b->diag));
    if (classes < 2) return op_unsupported(n, b->diag, "one class label");
    TRY(read_older(n, b->diag, true, &e));
    v = tree_scores(b, n, &e, TREE_SUM);
    if (one_sided(&e)) {
        label = two_classes(b, n, &e, &v, &direct);
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

/* The number of a child among branches and, behind them, leaves; -1: of none. */
static int64_t child_of(const List *number, const List *is_leaf, int64_t i, int64_t branches)
{
    int64_t child = list_int(number, i);

    if (!list_int(is_leaf, i)) return child < branches ? child : -1;
    return child < 0 || child > INT64_MAX - branches ? -1 : child + branches;
}

/* Members of the sets stand in one list, a NaN behind each set. */
static Status read_sets(const Node *n, Diag *d, const List *value, int64_t branches, Ensemble *e)
{
    int64_t at = 0;

    for (int64_t i = 0; i < e->n_set; i++)
        e->set[i] = list_double(value, i);
    for (int64_t i = 0; i < branches; i++) {
        TreeNode *node = &e->node[i];
        if (node->mode != TREE_MEMBER) continue;
        node->begin = at;
        while (at < e->n_set && e->set[at] == e->set[at])
            at++;
        node->end = at++;
        if (node->end > e->n_set || node->begin > e->n_set)
            return op_error(n, d, "membership_values", "TreeEnsemble: too few sets");
    }
    return OK;
}

static Status read_newer(const Node *n, Diag *d, Ensemble *e)
{
    List split = list_of(n, "nodes_splits"), mode = list_of(n, "nodes_modes");
    List feature = list_of(n, "nodes_featureids"), root = list_of(n, "tree_roots");
    List yes = list_of(n, "nodes_truenodeids"), no = list_of(n, "nodes_falsenodeids");
    List yes_leaf = list_of(n, "nodes_trueleafs"), no_leaf = list_of(n, "nodes_falseleafs");
    List missing = list_of(n, "nodes_missing_value_tracks_true");
    List set = list_of(n, "membership_values");
    List target = list_of(n, "leaf_targetids"), weight = list_of(n, "leaf_weights");
    int64_t branches = feature.n;

    e->n_node = branches + target.n;
    e->n_weight = target.n;
    e->n_set = set.n;
    if (split.n != branches || mode.n != branches || yes.n != branches || no.n != branches ||
        yes_leaf.n != branches || no_leaf.n != branches || weight.n != target.n ||
        root.n > e->n_node)
        return op_error(n, d, "nodes_featureids", "TreeEnsemble: lists of different lengths");
    TRY(make_room(n, d, e));
    for (int64_t i = 0; i < branches; i++) {
        int64_t asked = list_int(&mode, i);
        if (asked < TREE_LEQ || asked > TREE_MEMBER)
            return op_error(n, d, "nodes_modes", "TreeEnsemble: found %lld", (long long)asked);
        e->node[i] = (TreeNode){.mode = (TreeMode)asked,
                                .feature = list_int(&feature, i),
                                .yes = child_of(&yes, &yes_leaf, i, branches),
                                .no = child_of(&no, &no_leaf, i, branches),
                                .missing = list_int(&missing, i) != 0,
                                .threshold = list_double(&split, i)};
    }
    for (int64_t i = 0; i < target.n; i++) {
        e->node[branches + i] = (TreeNode){.mode = TREE_LEAF, .begin = i, .end = i + 1};
        e->target[i] = list_int(&target, i);
        e->weight[i] = list_double(&weight, i);
    }
    for (e->n_tree = 0; e->n_tree < root.n; e->n_tree++)
        e->root[e->n_tree] = list_int(&root, e->n_tree);
    TRY(read_sets(n, d, &set, branches, e));
    return check_bounds(n, d, e);
}

static Status lower_ensemble(Build *b, const Node *n, Value **out)
{
    static const char *const kinds[] = {"NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"};
    int64_t kind = attr_int(n, "post_transform", 0), join = attr_int(n, "aggregate_function", 1);
    Ensemble e = {.n_target = attr_int(n, "n_targets", 1)};
    Value *v;

    TRY(check_matrix(n, b->diag));
    if (kind < 0 || kind > 4 || join < TREE_MEAN || join > TREE_GREATEST || e.n_target < 1 ||
        e.n_target > INT32_MAX)
        return op_error(n, b->diag, "post_transform", "TreeEnsemble: %lld, aggregate_function %lld",
                        (long long)kind, (long long)join);
    TRY(read_newer(n, b->diag, &e));
    v = make_cast(b, tree_scores(b, n, &e, (TreeJoin)join), in_type(n, 0)->dtype);
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
