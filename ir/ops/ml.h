/* ml.h: what the operators of ai.onnx.ml share. */
#ifndef INGOT_IR_OPS_ML_H
#define INGOT_IR_OPS_ML_H

#include "ir/ops/compose.h"

/* Scores [rows, columns] after the post_transform of that name; NULL after a failure. */
Value *ml_transform(Build *b, const Node *n, Value *v, const char *kind);
/* Constants. `ints`, `floats`: of the attribute, NULL when it is absent or empty. */
Value *ml_strings(Build *b, int n, const StringRef *v);
Value *ml_floats(Build *b, DType t, int rank, const Dim *dims, int n, const double *v);
/* The class labels as a vector, of i64 or strings; *count of them. NULL after a failure. */
Value *ml_labels(Build *b, const Node *n, const char *ints, const char *strings, int *count);
/* [-v, v] or [1 - v, v] of a column. */
Value *ml_two_columns(Build *b, Value *v, bool complement);

#endif
