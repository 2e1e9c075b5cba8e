/* rt_call_trees.c: the scores of an ensemble of decision trees.
 *
 * in: x f64 [rows, features]; thresholds f64 [nodes]; links i64 [nodes, 9], see ir/ops/trees.c;
 * sets f64; targets i64 and weights f64, what leaves give; roots i64 [trees].
 * ints: the number of targets; how leaves are joined: 0 mean, 1 sum, 2 least, 3 greatest.
 * out: f64 [rows, targets]; 0 where no leaf says anything. */
#include <stddef.h>

#include "runtime/rt.h"
#include "runtime/rt_call.h"

enum { MODE, FEATURE, YES, NO, MISSING, WEIGHT_BEGIN, WEIGHT_END, SET_BEGIN, SET_END, N_LINK };
enum { LEQ, LT, GTE, GT, EQ, NEQ, MEMBER, LEAF };

typedef struct Trees {
    const double *threshold, *set, *weight;
    const int64_t *link, *target, *root;
    int64_t n_node, n_root, n_feature, n_target, join;
} Trees;

static int member(const Trees *t, const int64_t *link, double v)
{
    for (int64_t i = link[SET_BEGIN]; i < link[SET_END]; i++)
        if (t->set[i] == v) return 1;
    return 0;
}

static int decide(const Trees *t, int64_t node, double v)
{
    const int64_t *link = t->link + node * N_LINK;
    double at = t->threshold[node];

    if (v != v && link[MISSING]) return 1;
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
        return member(t, link, v);
    }
}

/* The leaf that a row reaches; -1 when a feature is missing or the links go in circles. */
static int64_t leaf_of(const Trees *t, int64_t node, const double *row)
{
    for (int64_t steps = 0; steps <= t->n_node; steps++) {
        const int64_t *link = t->link + node * N_LINK;
        if (link[MODE] == LEAF) return node;
        if (link[FEATURE] >= t->n_feature) return -1;
        node = decide(t, node, row[link[FEATURE]]) ? link[YES] : link[NO];
    }
    return -1;
}

/* `fresh`: nothing has been said about the target yet. */
static double joined(int64_t join, double have, double v, int fresh)
{
    if (join < 2) return have + v;
    if (fresh) return v;
    return (join == 2 ? v < have : v > have) ? v : have;
}

static int row_scores(const Trees *t, const double *row, double *score)
{
    for (int64_t c = 0; c < t->n_target; c++)
        score[c] = t->join < 2 ? 0 : __builtin_nan("");
    for (int64_t r = 0; r < t->n_root; r++) {
        int64_t leaf = leaf_of(t, t->root[r], row);
        const int64_t *link = t->link + leaf * N_LINK;
        if (leaf < 0) return 0;
        for (int64_t w = link[WEIGHT_BEGIN]; w < link[WEIGHT_END]; w++) {
            double *s = &score[t->target[w]];
            *s = joined(t->join, *s, t->weight[w], *s != *s);
        }
    }
    for (int64_t c = 0; c < t->n_target; c++) {
        if (t->join == 0 && t->n_root) score[c] /= (double)t->n_root;
        if (t->join >= 2 && score[c] != score[c]) score[c] = 0;
    }
    return 1;
}

int32_t ingot_call_trees(const ingot_call_args *a)
{
    Trees t = {.threshold = a->in[1].data,
               .link = a->in[2].data,
               .set = a->in[3].data,
               .target = a->in[4].data,
               .weight = a->in[5].data,
               .root = a->in[6].data,
               .n_node = a->in[1].dims[0],
               .n_root = a->in[6].dims[0],
               .n_feature = a->in[0].dims[1],
               .n_target = a->ints[0],
               .join = a->ints[1]};
    const double *x = a->in[0].data;
    double *score = a->out[0].data;

    for (int64_t i = 0; i < a->in[0].dims[0]; i++)
        if (!row_scores(&t, x + i * t.n_feature, score + i * t.n_target)) return INGOT_ERR_DATA;
    return INGOT_OK;
}
