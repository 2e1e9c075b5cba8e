/* gradient.h: derivatives of a value by others, as nodes: reverse mode, operator by operator.
 *
 * An element-by-element operator needs no rule: the derivative of its scalar expression is taken
 * (sx_derive). Others have `derive` in their row. */
#ifndef INGOT_IR_GRADIENT_H
#define INGOT_IR_GRADIENT_H

#include "ir/op.h"

/* d sum(y) / d x[i] in out[i], of the dims of x[i], for values of floats of one region; built at b,
 * which stands behind all that y comes from. ERR_UNSUPPORTED names an operator on the way that has
 * no derivative here. */
Status gradient_build(Build *b, Value *y, int n, Value *const *x, Value **out) MUST_USE;

/* dy, of the dims of a result that v was broadcast to, summed to the dims of v. */
Value *gradient_unbroadcast(Build *b, Value *dy, const Value *v);

#endif
