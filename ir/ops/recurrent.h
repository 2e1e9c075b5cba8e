/* recurrent.h: a recurrent node as its attributes say, for lowering and for evaluation. */
#ifndef INGOT_IR_OPS_RECURRENT_H
#define INGOT_IR_OPS_RECURRENT_H

#include "ir/ops/family.h"

typedef struct Activation {
    const char *name;
    double alpha, beta; /* defaults */
    const Sx *(*sx)(Build *b, const Sx *x, double alpha, double beta);
    double (*eval)(double x, double alpha, double beta);
} Activation;

typedef struct Act {
    const Activation *a;
    double alpha, beta;
} Act;

typedef enum Cell { CELL_RNN, CELL_GRU, CELL_LSTM } Cell;

typedef struct Recurrent {
    Cell cell;
    int gates, directions;
    bool backward[2], batch_first, linear_before_reset, input_forget;
    int64_t hidden;
    double clip;   /* 0: none */
    Act act[2][3]; /* by direction */
} Recurrent;

/* Checks the node on the way. */
Status recurrent_read(const Node *n, Diag *d, Recurrent *r) MUST_USE;
Status eval_recurrent(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out) MUST_USE;

#endif
