/* kernel_abi.h: how a kernel's function is called: what stands in ingot_kernel_args, how many tasks
 * there are, what memory it wants.
 *
 *   ptr[0 .. n_in)               operands, node->in in order (NULL for one left out)
 *   ptr[n_in .. n_in + n_out)    results, node->out in order (NULL for one nobody wants)
 *   ptr[n_in + n_out ..)         packed weights: pack[k]
 *   dim[k]                       the value of KernelAbi.dim[k]; constants are never passed
 *
 * Every task is done exactly once; tasks write disjoint memory. The result of a kernel of one stage
 * that has one result may lie where an operand lies that it reads at the domain point alone, behind
 * all sums: the loads of a point come before its store. */
#ifndef INGOT_CODEGEN_KERNEL_ABI_H
#define INGOT_CODEGEN_KERNEL_ABI_H

#include "codegen/weights.h"
#include "ir/graph.h"

typedef struct KernelAbi {
    int n_in, n_out, n_pack;
    WeightBytes *pack;  /* they join the weights, aligned to 64 */
    const bool *unread; /* [n_in] operands read from their pack alone: NULL is passed; NULL: none */
    int n_dim;
    Dim *dim;
    Dim tasks;       /* 0 when there is nothing to do */
    Dim grain;       /* tasks that are worth a thread, 1 or more */
    Dim scratch;     /* bytes for each worker, aligned to 64 */
    Dim of_band;     /* in a band (codegen/bands.h): tasks of each; NULL: each row is one */
    bool alternates; /* has a use for ingot_kernel_args.backward */
    bool fails;      /* may report a data error: look at call->error behind it */
} KernelAbi;

/* How a kernel in a band goes through what stands before or behind it: `outer` matrices of `rows`
 * rows of `columns` elements, one after the other, each row's elements reached from that row's
 * points alone. */
typedef struct KernelRows {
    Dim outer, rows, columns;
} KernelRows;

#endif
