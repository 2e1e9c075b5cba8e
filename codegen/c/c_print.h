/* c_print.h: kernels as plain C, by the same Nest and KernelAbi as machine code; compiled without
 * contraction it gives the same bits. */
#ifndef INGOT_CODEGEN_C_PRINT_H
#define INGOT_CODEGEN_C_PRINT_H

#include "codegen/c/c_sx.h"

/* What a translation unit needs before its first kernel. */
void c_print_prelude(Text *out);
/* One function `void name(const ingot_kernel_args *, int64_t, int64_t, void *)`. The abi is that of
 * the generic loops; it may be NULL. */
Status c_print_kernel(Arena *arena, Module *m, const Node *n, const char *name, Text *out, Diag *d,
                      const KernelAbi **abi) MUST_USE;

/* The same in any language of the family. n: functions; equal kernels are printed once. */
void c_print_helpers(const CDialect *dialect, Text *out);
Status c_print_function(const CDialect *dialect, Arena *arena, Module *m, const Node *n,
                        const char *name, Text *out, Diag *d, const KernelAbi **abi) MUST_USE;
Status c_print_module(const CDialect *dialect, Module *m, Arena *arena, Text *out, int *n,
                      Diag *d) MUST_USE;

#endif
