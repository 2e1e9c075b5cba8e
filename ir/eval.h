/* eval.h: the reference evaluator: runs any graph on tensors, operator by operator, from the rows'
 * eval functions; kernels (after lowering) by kernel_interpret. It folds constants, and generated
 * code is held against it. */
#ifndef INGOT_IR_EVAL_H
#define INGOT_IR_EVAL_H

#include "ir/op.h"

typedef struct EvalOptions {
    size_t memory_limit; /* bytes of tensors; 0: none */
    /* Called with every value computed (main region only), for comparing tensor by tensor; may be
     * NULL. */
    void (*seen)(void *context, const Value *v, const Tensor *t);
    void *context;
} EvalOptions;

/* in[module->main->n_arg] (NULL for an absent optional input), out[n_result]; results live in
 * arena. Symbols are bound from the inputs' dims and checked for equality. */
Status eval_module(const Module *m, Arena *arena, const EvalOptions *options,
                   const Tensor *const *in, Tensor **out, Diag *d) MUST_USE;
/* One node whose inputs are constants. */
Status eval_node(const Node *n, Arena *arena, const Tensor *const *in, Tensor **out,
                 Diag *d) MUST_USE;

#endif
