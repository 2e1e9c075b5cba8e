/* cpu_llvm.h: the inside of a CpuModule, for the files that emit LLVM IR. */
#ifndef INGOT_CODEGEN_CPU_LLVM_H
#define INGOT_CODEGEN_CPU_LLVM_H

#include <llvm-c/Core.h>
#include <llvm-c/TargetMachine.h>

#include "codegen/cpu/cpu_module.h"

struct CpuModule {
    Arena *arena;
    const CpuIsa *isa;
    int level;
    Diag *diag;
    LLVMContextRef cx;
    LLVMModuleRef module;
    LLVMBuilderRef b;
    LLVMTargetMachineRef machine;
    LLVMTargetDataRef layout;
    LLVMTypeRef void_type, ptr, i1, i8, i16, i32, i64, i128, f16, f32, f64;
    LLVMValueRef zeros;    /* constant of 1 KiB of zeros, made by cpu_zeros */
    LLVMValueRef masks;    /* CPU_MASK_LANES times -1, as often 0; made by cpu_mask_table */
    LLVMValueRef rt_fail;  /* ingot_rt_fail, made by the first CHECK */
    LLVMValueRef check_fn; /* the out-of-line half of CHECK */
};

/* A function of this module with the attributes that every function of ours has: nounwind,
 * prefer-vector-width, no x87. */
LLVMValueRef cpu_function(CpuModule *m, const char *name, LLVMTypeRef type, bool exported);
/* Call of an intrinsic with its overloaded types. */
LLVMValueRef cpu_intrinsic(CpuModule *m, const char *name, int n_types, LLVMTypeRef *types,
                           int n_args, LLVMValueRef *args);
LLVMValueRef cpu_zeros(CpuModule *m);
LLVMValueRef cpu_mask_table(CpuModule *m);
enum { CPU_ZEROS = 1024, CPU_MASK_LANES = 8 };

static inline LLVMValueRef cpu_i64(const CpuModule *m, int64_t v)
{
    return LLVMConstInt(m->i64, (unsigned long long)v, 1);
}
static inline LLVMValueRef cpu_i32(const CpuModule *m, int v)
{
    return LLVMConstInt(m->i32, (unsigned long long)(int64_t)v, 1);
}

#endif
