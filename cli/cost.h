/* cost.h: how much work a kernel is: operations and bytes, from its kernel IR. */
#ifndef INGOT_CLI_COST_H
#define INGOT_CLI_COST_H

#include "ir/graph.h"

typedef struct Cost {
    double flops; /* 2*M*N*K of contractions, and the arithmetic of all other values and sums */
    double bytes; /* of operands and results, each once */
    bool exact;   /* false: some extent is not known, or the kernel stands in a loop */
} Cost;

/* `binding` gives the symbols that are known. */
Cost cost_of_kernel(const Module *m, const Node *kernel, DimBinding binding, void *context);
/* The sum over the module, regions included (a loop's body counts once). */
Cost cost_of_module(Module *m, DimBinding binding, void *context);

#endif
