/* fuse_inline.h: the mechanics of fusion: one kernel's expression into another's. No decisions
 * here. */
#ifndef INGOT_PASSES_FUSE_INLINE_H
#define INGOT_PASSES_FUSE_INLINE_H

#include "passes/pass.h"

/* A kernel being rewritten: its operands as a growing list, without repetition. */
typedef struct Operands {
    Module *module;
    int n, cap;
    Value **value;
} Operands;

void operands_start(Operands *o, Module *m);
int operand_of(Operands *o, Value *v); /* its number; added when new */

/* Give node n the operands of o, dropping those that no LOAD reads, and renumber. Value.uses are
 * kept right. */
void operands_finish(Operands *o, Node *n);

/* Replace in n every LOAD of operand `src` by the value of the one-stage map `p` at the indices
 * loaded. False, with n unchanged, when some load cannot be rewritten (a flat load of a kernel that
 * is not element by element). */
bool fuse_inline(Node *n, int src, const Node *p);
/* p's single result, read by n at its own domain point only, becomes an intermediate of p: n's work
 * is done where p stores. n must be a map over p's domain; p then has n's results, and n's readers
 * read them. */
bool fuse_epilogue(Node *p, Node *n, int src);
/* Loads of operands with one element that is known become constants; loads of a reshape that only
 * adds or drops dims of 1 become loads of its source. */
bool fuse_tidy(Node *n);

/* What a load looks like, for decisions. */
bool load_at_point(const Sx *load, int rank); /* indices are exactly the domain point, unguarded */
int expression_cost(SxTable *t, const Sx *e); /* rough: operations, mathematics weighs more */
/* Every expression of a kernel, once; `e` may be replaced by the callback's result. */
typedef const Sx *(*ExprMap)(void *context, const Sx *e);
void kernel_map_exprs(Arena *a, Kernel *k, ExprMap map, void *context);
/* Every distinct expression node of a stage, of each of its expressions. */
void stage_visit_exprs(SxTable *t, const Stage *s, SxVisit visit, void *context);

#endif
