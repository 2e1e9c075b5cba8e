/* cpu_kernel.h: a kernel -> one function `void NAME(const ingot_kernel_args *args, int64_t begin,
 * int64_t end, void *scratch)` in an LLVM module.
 *
 * Two steps, so that modules can be filled by several threads: cpu_kernel_prepare interns
 * expressions and dims (one thread at a time per Module), cpu_kernel_emit only reads them. */
#ifndef INGOT_CODEGEN_CPU_KERNEL_H
#define INGOT_CODEGEN_CPU_KERNEL_H

#include "codegen/cpu/cpu_gemm.h"
#include "codegen/cpu/cpu_module.h"
#include "codegen/kernel_abi.h"
#include "codegen/tile_choice.h"

typedef struct CpuKernel CpuKernel;

/* `n` is a NODE_KERNEL. Everything is in `arena`; `tile` lives as long. `lead` NULL: for this level
 * alone. Else the same kernel for a better level of the same artifact: tasks, packed weights and
 * all that a caller sees are those of the lead. */
Status cpu_kernel_prepare(Arena *arena, Module *m, const Node *n, const CpuIsa *isa,
                          const TileChoice *tile, const CpuKernel *lead, Diag *d,
                          CpuKernel **out) MUST_USE;
/* The same in bands of `band` rows (codegen/bands.h). *out is NULL where it cannot be cut so. */
Status cpu_kernel_prepare_band(Arena *arena, Module *m, const Node *n, int64_t band,
                               const CpuIsa *isa, const TileChoice *tile, const CpuKernel *lead,
                               Diag *d, CpuKernel **out) MUST_USE;
/* Of such a kernel: how it goes through operand `operand`, or its result where that is -1; false:
 * not by rows. `outer` is NULL where only the product with `rows` is known. */
bool cpu_kernel_rows(const CpuKernel *k, int operand, KernelRows *out);
/* Complete after prepare; does not change with emit. */
const KernelAbi *cpu_kernel_abi(const CpuKernel *k);
/* A contraction on register tiles (cpu_gemm.h), not the generic loops. */
bool cpu_kernel_is_tiled(const CpuKernel *k);
/* How such a one goes, or none. */
CpuGemmForm cpu_kernel_form(const CpuKernel *k);
Status cpu_kernel_emit(CpuModule *m, const CpuKernel *k, const char *name) MUST_USE;

#endif
