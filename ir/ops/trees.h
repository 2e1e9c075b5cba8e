/* trees.h: an ensemble of decision trees, as the operators of ai.onnx.ml state it. trees.c reads
 * them into this form; tree_scores.c makes of it the tables that a compiled model walks. */
#ifndef INGOT_IR_OPS_TREES_H
#define INGOT_IR_OPS_TREES_H

#include "ir/ops/compose.h"

/* What a node asks of its feature v; the numbers are those of TreeEnsemble's nodes_modes. */
typedef enum TreeMode {
    TREE_LEQ, /* v <= threshold */
    TREE_LT,
    TREE_GTE,
    TREE_GT,
    TREE_EQ,
    TREE_NEQ,
    TREE_MEMBER, /* v is one of the set */
    TREE_LEAF
} TreeMode;

/* How what the leaves of all trees say of one target becomes its score. */
typedef enum TreeJoin { TREE_MEAN, TREE_SUM, TREE_LEAST, TREE_GREATEST } TreeJoin;

typedef struct TreeNode {
    TreeMode mode;
    bool missing; /* a NaN goes to `yes` whatever is asked */
    int64_t feature, yes, no;
    double threshold;
    int64_t begin, end; /* of a leaf: its range of `target` and `weight`; of MEMBER: of `set` */
} TreeNode;

typedef struct Ensemble {
    int64_t n_node, n_tree, n_set, n_weight, n_target;
    TreeNode *node;
    int64_t *root, *target;
    double *set, *weight;
} Ensemble;

/* The scores of the rows of in[0] as f64 [rows, targets], 0 where no leaf says anything; sums are
 * in the order of the trees. Nodes, targets and roots must be within their tables; a node that is
 * its own descendant is an error of the model. NULL after a failure. */
Value *tree_scores(Build *b, const Node *n, const Ensemble *e, TreeJoin join);

#endif
