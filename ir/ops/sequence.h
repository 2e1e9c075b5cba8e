/* sequence.h: sequences and optionals, as the files of that family share them.
 *
 * A list is a sequence, or an optional (a list of at most one element). Where its elements are
 * known while compiling, its readers take them from the nodes that made it, and nothing is left of
 * it; else it exists at run time (a boxed value, see type_is_boxed), and is made and read by calls
 * `list...` of the runtime (rt_call_list.c).
 *
 * The type of an element promises its constant dims only: what is read from a list has a symbol of
 * its own for each other dim. */
#ifndef INGOT_IR_OPS_SEQUENCE_H
#define INGOT_IR_OPS_SEQUENCE_H

#include "ir/ops/compose.h"
#include "ir/ops/ops_common.h"

typedef struct Parts {
    int n;
    Value **v;
} Parts;

/* The elements of a list where they are known while compiling: before and while it is lowered. The
 * nodes that this takes (slices of a tensor that is split) are built at b. */
bool parts_known(Build *b, Value *list, Parts *p);
/* The same for a node that makes a list. */
bool parts_made(Build *b, const Node *n, Parts *p);
/* A build in a region that nobody keeps, to learn types from. */
Build build_aside(Infer *cx, const Node *n);

/* A list of these elements at run time. */
Value *make_list(Build *b, const Type *type, int n, Value *const *v);
/* Output k, read from a list whose elements are of type `elem`. */
void infer_element(Infer *cx, Node *n, int k, const Type *elem);
/* A call with one result of this type; its symbols are defined by the call. */
Value *call_list(Build *b, const char *name, int n_in, Value *const *in, const Type *out,
                 int n_ints, const int64_t *ints);
Value *list_length(Build *b, Value *list); /* i64, scalar */

/* ---- evaluation ---- */
Status eval_list(Eval *cx, const Node *n, TypeKind kind, int64_t count, Tensor *const *item,
                 Tensor **out) MUST_USE;

#endif
