/* codegen.h: fused graphs in, objects out. */
#ifndef INGOT_CODEGEN_CODEGEN_H
#define INGOT_CODEGEN_CODEGEN_H

#include "codegen/plan.h"
#include "codegen/tile_choice.h"
#include "codegen/weights.h"
#include "ingot/ingot_rt.h"
#include "ir/graph.h"
#include "ir/target.h"

typedef struct CodegenOptions {
    const char *target; /* "native", "x86-64-v4" (AVX-512), "x86-64-v3" (AVX2), "x86-64-v2"
                           (SSE4.2), "scalar"; several, with commas: the artifact holds them all */
    int level;          /* -O0 .. -O3 */
    int jobs;           /* compile threads; 0: all cores */
    const char *symbol; /* prefix of exported symbols; the model descriptor is SYMBOL_model */
    bool flush_subnormals;
    bool keep_asm;           /* also give assembler text of kernels (--emit asm) */
    bool keep_llvm;          /* also give LLVM IR text (--emit llvm) */
    const CodegenTune *tune; /* NULL: nothing was measured */
    Text *c_source; /* not NULL: kernels go into it as plain C, and none is in the objects: what the
                       machine code of kernels is held against */
} CodegenOptions;

typedef struct CodeObject {
    const char *name;
    const void *data;
    size_t size;
} CodeObject;

/* What comes out, in the caller's arena. */
typedef struct Code {
    CodeObject *object; /* ELF relocatables */
    int n_object;
    Weights weights;  /* the constants that kernels read; symbol SYMBOL_weights. Pieces may read the
                         graph and its tensors when they are written */
    const char *text; /* keep_asm / keep_llvm */
    int n_kernels;    /* distinct functions */
    int n_calls_of_kernels;
    const char *const *kernel_key; /* [n_calls_of_kernels] in the order of launches: what tiles are
                                      known by in CodegenTune; NULL for other kernels */
    Plan plan;
    int64_t arena_size; /* bytes of intermediates; -1: not known before run time */
} Code;

/* What the target offers (of several levels the best; its name is then `name`); NULL name = native.
 * ERR_TARGET when unknown or not of this architecture. */
Status codegen_target(const char *name, TargetInfo *out, Diag *d) MUST_USE;
/* Whether this machine can run it, or one of its levels. */
bool codegen_target_runs(const TargetInfo *t);
/* The memory that codegen_compile would plan for. */
Status codegen_plan(Module *m, const char *target, Arena *arena, Plan *out, Diag *d) MUST_USE;
Status codegen_compile(Module *m, const CodegenOptions *o, Arena *arena, Code *out,
                       Diag *d) MUST_USE;
/* Whether artifacts of the (fused) model must be linked with the decoders of images. */
bool codegen_needs_codecs(const Module *m);
/* What the model says of its inputs and outputs. */
void codegen_ports(const Module *m, Arena *arena, const ingot_port **in, const ingot_port **out);
/* Every kernel as plain C (--emit c): one translation unit; functions have the signature of
 * ingot_kernel. */
Status codegen_print_c(Module *m, Arena *arena, Text *out, Diag *d) MUST_USE;
/* The same as CUDA C (--emit cuda); see codegen/cuda/cuda_print.c. n: number of functions, named
 * kernel_0, kernel_1, ... */
Status codegen_print_cuda(Module *m, Arena *arena, Text *out, int *n, Diag *d) MUST_USE;

#endif
