/* build.h: the one builder of graphs, for frontends, lowering and passes.
 *
 * A Build stands at a place in a region and carries origin, sink and a sticky status: after a
 * failure every call gives NULL and does nothing, so that formulas can be written without a check
 * at each step; look at b->status at the end. Operators built are checked and inferred at once. */
#ifndef INGOT_IR_BUILD_H
#define INGOT_IR_BUILD_H

#include "ir/graph.h"

typedef struct Build {
    Module *module;
    SxTable *sx;    /* &module->sx */
    DimTable *dims; /* &module->dims */
    Region *region;
    Node *before; /* NULL: append */
    const Origin *origin;
    Diag *diag;
    Status status;
    unsigned calls; /* CALL_BIT set: of those built since op_lower began */
} Build;

Build build_at(Region *r, Node *before, const Origin *origin, Diag *d);
Status build_fail(Build *b, Status s); /* sticks the first; returns it */

/* Constants */
Value *build_tensor(Build *b, const Tensor *t);
Value *build_scalar(Build *b, DType t, double v);
Value *build_i64(Build *b, int n, const int64_t *v); /* rank 1 */
/* A rank-1 (or scalar, with n == -1) i64 value whose elements are dims: a constant when all are
 * constant, else a kernel. */
Value *build_dims(Build *b, int n, const Dim *d);

/* Operators. attrs: n_attr of them; the result is out[0] (NULL after failure). */
Node *build_op_node(Build *b, const char *domain, const char *name, int n_in, Value *const *in,
                    int n_out, int n_attr, const Attr *attr);
Value *build_op(Build *b, const char *name, int n_in, Value *const *in, int n_attr,
                const Attr *attr);
Value *build_op1(Build *b, const char *name, Value *x);
Value *build_op2(Build *b, const char *name, Value *x, Value *y);
Attr attr_of_int(const char *name, int64_t v);
Attr attr_of_float(const char *name, double v);
Attr attr_of_ints(const char *name, int n, const int64_t *v);
Attr attr_of_string(const char *name, const char *s);

/* Kernels of one stage. Fill a Stage (arrays may be on the stack: all are copied), and get its
 * results. build_map      out[dims] = value build_reduce   acc over the reduction, then value
 * (NULL: the accumulator, cast to out) build_stage    anything */
Value *build_map(Build *b, const char *label, int n_in, Value *const *in, DType out, int rank,
                 const Dim *dims, const Sx *value);
Value *build_reduce(Build *b, const char *label, int n_in, Value *const *in, int rank,
                    const Dim *dims, int n_reduce, const Dim *reduce, SumOrder order, Acc acc,
                    DType out, const Sx *value);
/* types[k] of result k: NULL takes dtype of the StageOut and the stage's domain. */
Node *build_stage(Build *b, const char *label, int n_in, Value *const *in, const Stage *stage,
                  int n_result, const Type *types);
/* Several stages (copied) that share their first n_outer domain dims: the row kernels of kernel.h.
 * Stage i loads the first result of stage j as operand ~j. types[k] is the type of result k. */
Node *build_rows(Build *b, const char *label, int n_in, Value *const *in, int n_outer, int n_stage,
                 const Stage *stage, int n_result, const Type *types);
Value *build_reshape(Build *b, Value *v, int rank,
                     const Dim *dims); /* v itself when nothing changes */
Value *build_concat(Build *b, int n, Value *const *in, int axis);
/* Casts f16/bf16/... and all others; v itself when it has that dtype. */
Value *build_cast(Build *b, Value *v, DType t);
/* out[i...] = v[i[perm^-1]]: numpy transpose; axis k of the result is axis perm[k] of v. */
Value *build_transpose(Build *b, Value *v, const int *perm);
/* Runtime call, of ir/call.def or `user_...`; out types given. Fresh symbols among their dims are
 * the call's to define: node_define each. */
Node *build_call(Build *b, const char *name, int n_in, Value *const *in, int n_out, const Type *out,
                 int n_ints, const int64_t *ints, int n_floats, const double *floats);
/* Symbol bound to element `k` of the integer tensor v at run time, within [lo, hi]. */
Dim build_bind(Build *b, Value *v, int k, const char *prefix, int64_t lo, int64_t hi);
/* At run time x == y, or a data error; nothing when it is provable. */
void build_require_equal(Build *b, Dim x, Dim y);

/* Scalar expressions of operands */
/* LOAD of operand `src` (value v) at the domain point of a result of rank out_rank, broadcast as
 * numpy does (dims aligned at the right; a dim of 1 is read at 0; a dim that may or may not be 1 by
 * a run-time choice). */
const Sx *sx_operand(Build *b, int src, const Value *v, int out_rank, const Dim *out_dims);
/* LOAD at given indices. */
const Sx *sx_at(Build *b, int src, const Value *v, const Sx *const *idx);
const Sx *sx_at_guarded(Build *b, int src, const Value *v, const Sx *const *idx, const Sx *guard);
/* f16/bf16/f8/f4 -> f32; others unchanged: the dtype in which arithmetic is done, and a value in
 * it. */
DType compute_dtype(DType t);
const Sx *sx_compute(Build *b, const Sx *x);
const Sx *sx_i64(Build *b, int64_t v);
/* 0 <= e < extent as a guard; NULL when provable from the bounds of the stage's extents. */
const Sx *sx_inside(Build *b, const Sx *e, Dim extent, int n_extent, const Dim *extents);

/* The rule of DESIGN section 3 for plain reductions: lanes64 where the innermost reduced dim is the
 * contiguous one. */
SumOrder order_of_reduce(int rank, uint32_t reduced_axes);

#endif
