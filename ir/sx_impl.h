/* sx_impl.h: what the files of scalar expressions share among themselves. */
#ifndef INGOT_IR_SX_IMPL_H
#define INGOT_IR_SX_IMPL_H

#include <stdlib.h>
#include <string.h>

#include "ir/sx.h"

enum { SX_MAX_ARGS = 16 };

/* The interned node equal to `like` with arguments arg[0..like->n): no simplification. */
const Sx *sx_intern(SxTable *t, const Sx *like, const Sx *const *arg);
/* The same operation as e over other arguments, through the constructors. */
const Sx *sx_rebuild(SxTable *t, const Sx *e, const Sx *const *arg);

/* A value that equals `op` of these arguments for every input, or NULL: sx_simplify.c. */
const Sx *sx_simplify1(SxTable *t, SxOp op, const Sx *a);
const Sx *sx_simplify2(SxTable *t, SxOp op, const Sx *a, const Sx *b);
const Sx *sx_simplify3(SxTable *t, SxOp op, const Sx *a, const Sx *b, const Sx *c);
/* CAST of CAST. */
const Sx *sx_simplify_cast(SxTable *t, const Sx *a, DType d, bool saturate);

/* What an operation is called with. */
typedef struct SxShape {
    SxOp op;
    DType dtype; /* of the result */
    DType from;  /* of the arguments (SELECT: of arg1) */
    bool saturate, no_fma;
} SxShape;
/* One operation on bits: everything but leaves, LOAD, CHECK and mathematics. */
uint64_t sx_apply(const SxShape *s, const uint64_t *x);
/* EXP ... SIGMOID: the value of what sx_expand writes out, so that reference and generated code
 * agree to the bit where both fuse. Leaves nothing in the arena. */
uint64_t sx_math_bits(Arena *arena, SxOp op, DType d, const uint64_t *x, bool no_fma);
uint64_t sx_normal_bits(DType d, uint64_t bits); /* as CONST keeps them */
/* Whether op may be applied to arguments of dtype d (SELECT: arg1 and arg2). */
bool sx_op_takes(SxOp op, DType d);
DType sx_op_result(SxOp op, DType d);
int sx_op_args(SxOp op);
bool sx_can_bitcast(DType from, DType to);

/* The distinct nodes of an expression, arguments before users, without recursion. */
typedef struct SxWalk {
    const Sx **node; /* [n] */
    size_t n, cap;
    uint32_t *slot; /* position + 1 by hashed id */
    size_t n_slot;  /* a power of two */
} SxWalk;

/* False without memory; then the arena of t (if any) is marked as spent and the walk is empty. */
bool sx_walk(SxTable *t, const Sx *e, SxWalk *w);
size_t sx_walk_at(const SxWalk *w, const Sx *e); /* its position; e must be in the walk */
void sx_walk_free(SxWalk *w);
/* Scratch of n items of `size` bytes, zeroed, to be freed; NULL marks the arena. */
void *sx_scratch(SxTable *t, size_t n, size_t size);

static inline bool sx_is_int_const(const Sx *e, int64_t *v)
{
    if (e->op != SX_CONST || !dtype_is_int(e->dtype)) return false;
    *v = (int64_t)e->bits;
    return true;
}

#endif
