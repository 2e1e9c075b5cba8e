/* cast_text.h: Cast between strings and numbers: calls of the runtime.
 *
 * A float becomes what "%.8g" prints in the C locale, as ONNX Runtime has it, NaN, INF and -INF; a
 * bool 1 or 0. A string must be a number from its first character to its last, but for white space
 * around it; integers wrap to their width. */
#ifndef INGOT_IR_OPS_CAST_TEXT_H
#define INGOT_IR_OPS_CAST_TEXT_H

#include "ir/ops/ops_common.h"

/* One of the two is a string, the other a plain number. */
static inline bool cast_is_text(DType from, DType to)
{
    DType other = from == DT_STRING ? to : from;
    return (from == DT_STRING) != (to == DT_STRING) && (T_PLAIN & DT_BIT(other)) != 0;
}
/* fixed: floats as "%f" has them */
Status eval_cast_text(Eval *cx, const Node *n, const Tensor *x, Tensor *out, bool fixed) MUST_USE;
Status lower_cast_text(Build *b, const Node *n, DType to, Value **out) MUST_USE;
Value *make_fixed_text(Build *b, Value *v); /* floats as "%f" has them */

#endif
