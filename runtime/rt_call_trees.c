/* rt_call_trees.c: the scores of an ensemble of decision trees.
 *
 * in: x f32 or f64 [rows, features], then the tables of TreeScores, see ir/ops/tree_scores.c.
 * ints: the number of targets; how leaves are joined: 0 mean, 1 sum, 2 least, 3 greatest.
 * out: f64 [rows, targets]; 0 where no leaf says anything.
 *
 * Rows are taken in blocks, whose features become keys: integers in the order of the numbers. All
 * rows of a block walk one tree before the next; CURSORS walks are under way at once, which hides
 * the latency of the loads that each step waits for, and a step has no branch to mispredict. */
#include <string.h>

#include "runtime/rt.h"
#include "runtime/rt_call.h"
#include "runtime/rt_key.h"

enum { CURSORS = 16 };
enum { COLUMN, THRESHOLD, BELOW, N_LINK = 4 };
enum { BLOCK_BYTES = 1 << 17, TASK_STEPS = 1 << 13 };

typedef struct Trees {
    const ingot_tensor *x;
    const int32_t *column, *leaf, *target, *root;
    const int32_t *link;      /* of leaf 0: branches are below 0 */
    const int64_t *threshold; /* the same; where `wide` */
    const double *weight;
    double *score;
    bool wide; /* x is of f64, and keys of 64 bits */
    int64_t n_tree, n_column, n_target, join, block;
} Trees;

/* What is constant in a call becomes constant in all of these. */
#define INLINE static inline __attribute__((always_inline))

/* `rows` rows from `row` on as keys [rows, columns]. */
INLINE void load_keys(const Trees *t, int64_t row, int64_t rows, void *keys, int wide)
{
    int64_t features = t->x->dims[1], size = wide ? 8 : 4, most = wide ? INT64_MAX : INT32_MAX;
    const char *x = (const char *)t->x->data + row * features * size;

    for (int64_t i = 0; i < rows; i++, x += features * size)
        for (int64_t c = 0; c < t->n_column; c++) {
            int32_t from = t->column[c];
            int64_t key =
                rt_element_key(wide ? INGOT_F64 : INGOT_F32, x + (from >> 1) * size, size);
            if (key == INT64_MAX) key = from & 1 ? -most : most;
            if (wide)
                ((int64_t *)keys)[i * t->n_column + c] = key;
            else
                ((int32_t *)keys)[i * t->n_column + c] = (int32_t)key;
        }
}

INLINE int32_t step(const Trees *t, const void *keys, int32_t node, int wide)
{
    const int32_t *link = t->link + (int64_t)node * N_LINK;
    int above = wide ? ((const int64_t *)keys)[link[COLUMN]] > t->threshold[node]
                     : ((const int32_t *)keys)[link[COLUMN]] > link[THRESHOLD];

    return link[BELOW + above];
}

/* `fresh`: nothing has been said about the target yet. */
static double joined(int64_t join, double have, double v, int fresh)
{
    if (fresh) return v;
    return (join == 2 ? v < have : v > have) ? v : have;
}

INLINE void add_leaf(const Trees *t, int32_t leaf, double *score)
{
    int32_t w = t->leaf[2 * (int64_t)leaf], end = t->leaf[2 * (int64_t)leaf + 1];

    if (t->join < 2) {
        for (; w < end; w++)
            score[t->target[w]] += t->weight[w];
        return;
    }
    for (; w < end; w++) {
        double *s = &score[t->target[w]];
        *s = joined(t->join, *s, t->weight[w], *s != *s);
    }
}

/* All pairs of a tree and a row, tree by tree. */
INLINE void walk(const Trees *t, const char *keys, int64_t rows, double *scores, int wide)
{
    int64_t size = t->n_column * (wide ? 8 : 4), left = t->n_tree * rows;
    const int32_t *root = t->root;
    const char *row = keys;
    double *score = scores, *end = scores + rows * t->n_target;

    while (left > 0) {
        int32_t node[CURSORS], moving = 0;
        const char *at[CURSORS];
        double *to[CURSORS];
        int n = left < CURSORS ? (int)left : CURSORS;
        for (int k = 0; k < n; k++) {
            at[k] = row;
            to[k] = score;
            moving |= node[k] = *root;
            row += size;
            score += t->n_target;
            if (score == end) {
                row = keys;
                score = scores;
                root++;
            }
        }
        for (int k = n; k < CURSORS; k++) {
            at[k] = keys;
            node[k] = 0;
        }
        while (moving < 0) {
            moving = 0;
            for (int k = 0; k < CURSORS; k++)
                moving |= node[k] = step(t, at[k], node[k], wide);
        }
        for (int k = 0; k < n; k++)
            add_leaf(t, node[k], to[k]);
        left -= n;
    }
}

static void score_block(const Trees *t, int64_t row, int64_t rows, void *keys)
{
    double *score = t->score + row * t->n_target;
    int64_t n = rows * t->n_target;

    for (int64_t i = 0; i < n; i++)
        score[i] = t->join < 2 ? 0 : __builtin_nan("");
    if (t->wide) {
        load_keys(t, row, rows, keys, 1);
        walk(t, keys, rows, score, 1);
    } else {
        load_keys(t, row, rows, keys, 0);
        walk(t, keys, rows, score, 0);
    }
    for (int64_t i = 0; i < n; i++) {
        if (t->join == 0 && t->n_tree) score[i] /= (double)t->n_tree;
        if (t->join >= 2 && score[i] != score[i]) score[i] = 0;
    }
}

static void score_rows(const ingot_kernel_args *args, int64_t begin, int64_t end, void *scratch)
{
    const Trees *t = args->ptr[0];

    for (int64_t row = begin; row < end; row += t->block)
        score_block(t, row, end - row < t->block ? end - row : t->block, scratch);
}

/* Features that are asked for, from the first on. */
static int64_t features_needed(const Trees *t)
{
    int64_t most = 0;

    for (int64_t c = 0; c < t->n_column; c++)
        if (t->column[c] / 2 >= most) most = t->column[c] / 2 + 1;
    return most;
}

int32_t ingot_call_trees(const ingot_call_args *a)
{
    bool wide = a->in[0].dtype == INGOT_F64;
    int64_t branches = a->in[2].dims[0] - a->in[4].dims[0];
    Trees t = {.wide = wide,
               .x = &a->in[0],
               .column = a->in[1].data,
               .link = (const int32_t *)a->in[2].data + branches * N_LINK,
               .threshold = wide ? (const int64_t *)a->in[3].data + branches : NULL,
               .leaf = a->in[4].data,
               .target = a->in[5].data,
               .weight = a->in[6].data,
               .root = a->in[7].data,
               .score = a->out[0].data,
               .n_column = a->in[1].dims[0],
               .n_tree = a->in[7].dims[0],
               .n_target = a->ints[0],
               .join = a->ints[1]};
    void *const ptr[1] = {&t};
    ingot_kernel_args args = {.call = a->call, .ptr = ptr, .origin = a->origin, .kernel = -1};
    int64_t rows = t.x->dims[0], width = t.n_column * 8 + t.n_target * 8;

    if (features_needed(&t) > t.x->dims[1])
        return ingot_rt_fail(a->call, INGOT_ERR_DATA, a->origin,
                             "trees that ask for %lld features of rows of %lld",
                             features_needed(&t), t.x->dims[1]);
    t.block = BLOCK_BYTES / (width + 1);
    if (t.block < CURSORS) t.block = CURSORS;
    if (t.block > rows) t.block = rows;
    return ingot_rt_parallel(a->call, score_rows, &args, rows,
                             TASK_STEPS / (t.n_tree + 1) + CURSORS, t.block * t.n_column * 8 + 64);
}
