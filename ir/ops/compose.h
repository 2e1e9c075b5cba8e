/* compose.h: operators whose meaning is a formula of other operators.
 *
 * Their `lower` builds the formula; `eval` evaluates that formula, operator by operator, on
 * tensors, so that what such a row says is said once. Only for formulas that the specification
 * itself gives (a function body, a list of steps). */
#ifndef INGOT_IR_OPS_COMPOSE_H
#define INGOT_IR_OPS_COMPOSE_H

#include "ir/op.h"

/* OpDef.eval of a row whose `lower` is the formula. */
Status compose_eval(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out) MUST_USE;

/* What such a row of com.microsoft is beside name, ports and attributes. */
#define MICROSOFT_ROW(low)                                                                         \
    .domain = "com.microsoft", .since = 1, .traits = OP_PURE, .infer = compose_infer,              \
    .eval = compose_eval, .lower = low

/* OpDef.infer of such a row: the types that the formula gives. Every input needs a rank; `lower`
 * must not read the types of the outputs. */
Status compose_infer(Infer *cx, Node *n) MUST_USE;
/* An operator with the attributes of n that are named in `attrs` (ends with NULL). */
Value *make_like(Build *b, const Node *n, const char *op, int n_in, Value *const *in,
                 const char *const *attrs);

/* A loop of so many rounds, with n_state states and n_each results a round; its body, still empty,
 * has them as arguments 0 (the round) and 2, 3, ... NULL after a failure. */
Node *make_loop(Build *b, Dim rounds, int n_state, Value *const *state, int n_each);

/* Shorthands; all give NULL after a failure (see build.h). */
Value *make_scalar(Build *b, const Value *like, double v); /* of the dtype of `like` */
Value *make_matrix(Build *b, int64_t rows, int64_t columns, const double *v); /* f32 */
Value *make_add(Build *b, Value *x, Value *y);
Value *make_plus(Build *b, Value *x, Value *y); /* x where y is NULL */
Value *make_sub(Build *b, Value *x, Value *y);
Value *make_mul(Build *b, Value *x, Value *y);
Value *make_div(Build *b, Value *x, Value *y);
Value *make_where(Build *b, Value *c, Value *x, Value *y);
Value *make_cast(Build *b, Value *v, DType t);
Value *make_unary(Build *b, const char *op, Value *x);
Value *make_reshape(Build *b, Value *v, int rank, const Dim *dims);
/* axis may be negative */
Value *make_axis(Build *b, const char *op, Value *x, int64_t axis); /* attribute `axis` */
Value *make_reduce(Build *b, const char *op, Value *x, int64_t axis, bool keep);
Value *make_reduce_all(Build *b, const char *op, Value *x); /* to a scalar */
Value *make_concat(Build *b, int n, Value *const *in, int64_t axis);
Value *make_gather(Build *b, Value *x, Value *index, int64_t axis);
Value *make_unsqueeze(Build *b, Value *x, int64_t axis);
/* x[..., begin:end:step, ...] on one axis; end INT64_MAX: all of the rest */
Value *make_slice(Build *b, Value *x, int axis, int64_t begin, int64_t end, int64_t step);
/* [N, C, ...] -> [N, ..., C] with `last`, else back; v itself below rank 3. */
Value *make_moved_channels(Build *b, Value *v, bool last);

#endif
