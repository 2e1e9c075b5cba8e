/* dot.h: building contractions: one DOT accumulator, with the summation order of DESIGN section 3.
 */
#ifndef INGOT_IR_OPS_DOT_H
#define INGOT_IR_OPS_DOT_H

#include "ir/op.h"

/* A contraction over operands in[]: out[dims] = value(sum over reduce of a * b). a and b are
 * expressions over the domain and reduction indices, converted to the accumulator's dtype here (f32
 * for f16/bf16, i32 for narrow integers). value NULL: the accumulator cast to `out`; else an
 * expression with ACC 0. `lanes`: the sum may not be one chain, because nothing but the summed
 * index is contiguous (a dot product, few columns of constant weights). */
typedef struct Dot {
    const char *label;
    int n_in;
    Value *const *in;
    int rank, n_reduce;
    const Dim *dims, *reduce;
    const Sx *a, *b;
    DType acc; /* DT_NONE: dot_dtype(a->dtype) */
    DType out;
    const Sx *value;
    bool lanes;
} Dot;

DType dot_dtype(DType t);
Value *build_dot(Build *b, const Dot *x);

#endif
