/* bands.h: kernels that go through matrices together, a band of rows at a time.
 *
 *     scores = Q K^T              for each head: rows,
 *     p      = softmax(scores)    each of which becomes another,
 *     out    = p V                and is multiplied
 *
 * What stands between two of these kernels is read once, row by row. A worker does all of them for
 * some rows before it goes on to the next ones; its scratch has room for these rows alone, and they
 * are in its cache when they are read. The matrices of scores are never there as a whole. Each sum
 * has the terms and the order that it has otherwise, so no bit depends on it. What a kernel packs
 * of its other operand (K, V) it packs once for all bands of a task.
 *
 * A band is launched where its last kernel stands; the others and what they make have no place of
 * their own in the host program and in the plan. */
#ifndef INGOT_CODEGEN_BANDS_H
#define INGOT_CODEGEN_BANDS_H

#include "codegen/kernel_abi.h"
#include "ingot/ingot_rt.h"

typedef struct Band {
    int n; /* kernels */
    const Node *node[INGOT_BAND_KERNELS];
    int in[INGOT_BAND_KERNELS];  /* operand that is what the one before makes; -1 */
    int64_t rows;                /* of a band */
    int64_t in_task;             /* bands of a task */
    KernelRows shape;            /* of the matrices; columns: of the first */
    Dim row[INGOT_BAND_KERNELS]; /* bytes of a row of what each makes for the next one */
    Dim tasks, grain, scratch;   /* of the launch */
} Band;

/* What may be a band, by Node.id of all nodes in it, views between its kernels included; NULL:
 * runs on its own. Whether the kernels can be cut so is for the backend to say. */
Status bands_find(Module *m, Arena *arena, Band ***out, Diag *d) MUST_USE;
/* No band, after all. */
void bands_drop(Band **of, const Band *b);
/* Sizes, once all its kernels have their abi. False: it is none. */
bool bands_measure(Module *m, Band *b, const KernelAbi *const *abi, const KernelRows *made,
                   const KernelRows *read);

static inline const Band *band_of(Band *const *of, const Node *n)
{
    return of ? of[n->id] : NULL;
}

static inline bool band_ends(const Band *b, const Node *n)
{
    return b->node[b->n - 1] == n;
}

#endif
