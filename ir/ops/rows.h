/* rows.h: kernels of several stages over the rows of one operand, whose first `axis` dims are
 * outer.
 *
 * A row is read, its statistics stay local, and the result is written, so that a row is touched
 * while it is in cache. Statistics are f32 for f16 and bf16. At most four stages. */
#ifndef INGOT_IR_OPS_ROWS_H
#define INGOT_IR_OPS_ROWS_H

#include "ir/ops/family.h"

typedef struct Rows {
    Build *b;
    Value *x;
    int axis, rank, n_reduce;
    DType acc;
    Dim stat[MAX_RANK]; /* domain of a statistic: outer dims, then ones */
    Dim full[MAX_RANK];
    Dim reduce[MAX_RANK]; /* the row */
    Dim count;
    Acc acc_of[4];
    StageOut out[4];
    Stage stage[4];
    int n;
} Rows;

/* Operand or local at the row's reduction point (reduced), at the domain point, or at the row's
 * statistic. */
typedef enum At { AT_POINT, AT_REDUCED, AT_STAT } At;

/* Rows of x from `axis` on. */
void rows_start(Build *b, Value *x, int axis, Rows *r);
const Sx *rows_load(const Rows *r, int src, DType d, At at);
/* x in the dtype of the statistics. */
const Sx *rows_x(const Rows *r, At at);
/* What a stage of rows_reduce gave. */
const Sx *rows_stat(const Rows *r, int stage);
/* A statistic of each row: the accumulation of body, then value of ACC 0. A result number, or -1:
 * kept local. Gives the number of the stage. */
int rows_reduce(Rows *r, Monoid m, const Sx *body, const Sx *value, int result);
/* Another stage over the whole domain. */
int rows_map(Rows *r, const Sx *value, int result);
/* The accumulator of a stage; elements in a row. */
const Sx *rows_acc(const Rows *r);
const Sx *rows_count(const Rows *r);
/* One kernel of all stages. */
Node *rows_finish(Rows *r, const char *label, int n_in, Value *const *in, int n_result,
                  const Type *types);

#endif
