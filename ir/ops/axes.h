/* axes.h: sets of axes, for operators that reduce over some of them. */
#ifndef INGOT_IR_OPS_AXES_H
#define INGOT_IR_OPS_AXES_H

#include "ir/ops/ops_common.h"

/* The axes of a reduction as a bit set, from input 1 (constant) or attribute `axes`; none given:
 * all, or no axis with noop_with_empty_axes. */
Status axes_read(const Node *n, Diag *d, int rank, uint32_t *mask) MUST_USE;
/* The axes input is there, not empty, and only the run knows it. */
bool axes_open(const Node *n);
/* As axes_read, for eval: from the tensor. */
Status axes_of_tensor(const Node *n, Diag *d, const Tensor *axes, int rank,
                      uint32_t *mask) MUST_USE;
/* Inference and lowering of a reduction whose axes are open. Every dim d of x is o * r, where o is
 * 1 on the reduced axes and r on the others: as [o0, r0, o1, r1, ...] it has known axes. */
Status axes_infer_open(Infer *cx, Node *n, DType t, bool keep) MUST_USE;
Status axes_lower_open(Build *b, const Node *n, Value **out) MUST_USE;
/* Dims of the result: reduced ones are 1 (keep) or left out. */
int axes_result(DimTable *t, const Type *x, uint32_t mask, bool keep, Dim *dims);
/* Reduction extents: the reduced dims in order; returns how many. */
int axes_reduced(const Type *x, uint32_t mask, Dim *reduce);
/* LOAD of x at (domain, reduction) point of a reduction whose domain is axes_result. */
const Sx *axes_operand(Build *b, int src, const Value *x, uint32_t mask, bool keep,
                       int result_rank);
/* monoid over `mask` of a map of x; the rest of the row shares this. value NULL: the accumulator.
 */
Value *axes_reduce(Build *b, const char *label, Value *x, uint32_t mask, bool keep, Monoid m,
                   const Sx *body, DType acc, DType out, const Sx *value);
/* Number of reduced elements. */
Dim axes_count(DimTable *t, const Type *x, uint32_t mask);

/* For eval: walks the reduced elements of each result element. */
typedef struct AxesEval {
    int rank;
    int64_t outer[MAX_RANK], inner[MAX_RANK]; /* extents: 1 where the other has them */
    int64_t stride[MAX_RANK];                 /* of the input */
    int64_t count;                            /* reduced elements */
} AxesEval;
void axes_eval_start(const Tensor *x, uint32_t mask, AxesEval *w);
int axes_eval_dims(const Tensor *x, uint32_t mask, bool keep, int64_t *dims);
int64_t axes_eval_at(const AxesEval *w, const int64_t *outer, const int64_t *inner);

#endif
