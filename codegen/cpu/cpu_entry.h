/* cpu_entry.h: the host program of a model: SYMBOL_model, and the function behind its `run`, which
 * binds run-time dims, asks for memory, and calls kernels and runtime functions in order. */
#ifndef INGOT_CODEGEN_CPU_ENTRY_H
#define INGOT_CODEGEN_CPU_ENTRY_H

#include "codegen/cpu/cpu_module.h"
#include "codegen/bands.h"

/* How one NODE_KERNEL is called. */
typedef struct EntryKernel {
    const KernelAbi *abi;
    const char *function; /* NULL: number `number` of the level that runs */
    int number;
    int name;              /* into EntryInput.kernel_name */
    const int64_t *packed; /* [abi->n_pack] offsets into the weights */
} EntryKernel;

typedef struct EntryInput {
    Module *graph;
    const Plan *plan;
    const EntryKernel *const *kernel; /* by Node.id */
    Band *const *band;                /* by Node.id, or NULL */
    const int64_t *constant;          /* by Value.id: offset into the weights, or -1 */
    int64_t weights_size;
    int n_kernel_names;
    const char *const *kernel_name;
    const char *symbol; /* prefix */
    bool flush_subnormals;
    const CpuIsas *levels;
    int n_function; /* of each level; 0: kernels are called by name */
    const char *(*function_name)(const void *context, int level, int number);
    const void *context; /* of function_name */
} EntryInput;

Status cpu_entry_emit(CpuModule *m, const EntryInput *in, Diag *d) MUST_USE;

#endif
