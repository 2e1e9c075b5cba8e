/* derive.h: derivatives of operators that are not element by element: OpDef.derive. */
#ifndef INGOT_IR_OPS_DERIVE_H
#define INGOT_IR_OPS_DERIVE_H

#include "ir/op.h"

Status derive_reshaped(Build *b, const Node *n, Value *const *dy,
                       Value **dx); /* the same elements */
Status derive_transpose(Build *b, const Node *n, Value *const *dy, Value **dx);
Status derive_matmul(Build *b, const Node *n, Value *const *dy, Value **dx);
Status derive_gemm(Build *b, const Node *n, Value *const *dy, Value **dx);
Status derive_pow(Build *b, const Node *n, Value *const *dy, Value **dx);
Status derive_clip(Build *b, const Node *n, Value *const *dy, Value **dx);
Status derive_where(Build *b, const Node *n, Value *const *dy, Value **dx);
Status derive_softmax(Build *b, const Node *n, Value *const *dy, Value **dx);

#endif
