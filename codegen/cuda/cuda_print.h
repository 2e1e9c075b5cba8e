/* cuda_print.h: kernels as CUDA C; see cuda_print.c for how they are called. */
#ifndef INGOT_CODEGEN_CUDA_PRINT_H
#define INGOT_CODEGEN_CUDA_PRINT_H

#include "codegen/nest.h"

/* What a translation unit needs before its first kernel. */
void cuda_print_prelude(Text *out);
/* One __global__ function. abi.tasks: points, each of which is one thread's work. */
Status cuda_print_kernel(Arena *arena, Module *m, const Node *n, const char *name, Text *out,
                         Diag *d, const KernelAbi **abi) MUST_USE;

#endif
