/* cpu_gemm.h: the fast road of contractions: register tiles over packed panels. Tried before the
 * generic loops, which do every contraction that it declines. */
#ifndef INGOT_CODEGEN_CPU_GEMM_H
#define INGOT_CODEGEN_CPU_GEMM_H

#include "codegen/cpu/cpu_module.h"
#include "codegen/nest.h"
#include "codegen/tile_choice.h"

typedef struct CpuGemm CpuGemm;

/* *out is NULL when this kernel is not for it. Else n->abi is its own (tasks, grain, packed
 * weights, scratch; dims that it needs are added). `lead` NULL, or the same contraction for a level
 * with vectors at least as wide, whose tasks and packed weights it shares. `band` 0, or the rows of
 * a band that it is part of (codegen/bands.h). One thread at a time per Module. */
Status cpu_gemm_prepare(Arena *arena, Nest *n, const CpuIsa *isa, const TileChoice *tile,
                        const CpuGemm *lead, int64_t band, Diag *d, CpuGemm **out) MUST_USE;
/* In a band: how its rows go through operand `operand`, or through its result where that is -1. */
bool cpu_gemm_rows(const CpuGemm *g, int operand, KernelRows *out);
/* How a contraction goes through its operands. */
typedef enum CpuGemmForm {
    CPU_GEMM_NONE,
    CPU_GEMM_TILES,      /* of registers; */
    CPU_GEMM_CUTS_K,     /* one block of K after the other (cpu_gemm_cut.c) */
    CPU_GEMM_AMX,        /* tiles of AMX; */
    CPU_GEMM_AMX_STREAM, /* weights come from memory (cpu_gemm_stream.c), */
    CPU_GEMM_AMX_CUTS_K, /* past blocks of K of the rows, */
    CPU_GEMM_AMX_COPY,   /* which are copied as tiles */
    CPU_GEMM_FORMS
} CpuGemmForm;
CpuGemmForm cpu_gemm_form(const CpuGemm *g);
Status cpu_gemm_emit(CpuModule *m, const CpuGemm *g, const char *name) MUST_USE;

#endif
