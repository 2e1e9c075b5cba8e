/* cpu_isa.h: the levels of the x86-64 architecture that code is made for, one row each in
 * cpu_isa.def. */
#ifndef INGOT_CODEGEN_CPU_ISA_H
#define INGOT_CODEGEN_CPU_ISA_H

#include <stdbool.h>
#include <stdint.h>

#include "ir/target.h"
#include "support/diag.h"

enum { CPU_MOST_ISAS = 8 }; /* at most so many in one artifact */

typedef enum CpuTiles {
    CPU_TILES_NONE,
    CPU_TILES,
    CPU_TILES_CALLED /* by functions of the names of the instructions: for tests without AMX */
} CpuTiles;

typedef struct CpuIsa {
    const char *name;
    const char *llvm_cpu, *llvm_features;
    int vector_bytes;
    int registers;
    bool fma, f16, scale, mask32, mask_any, vnni, bf16;
    CpuTiles tiles;
    uint64_t features; /* INGOT_CPU_... of ingot_rt.h */
    int64_t l2;        /* bytes of L2 for operands, of a test; 0: as processors have it */
} CpuIsa;

/* Several, the best first. */
typedef struct CpuIsas {
    int n;
    const CpuIsa *isa[CPU_MOST_ISAS];
} CpuIsas;

/* By name; NULL or "native": the best that this machine runs. NULL when there is no such row. */
const CpuIsa *cpu_isa_find(const char *name);
/* A target: a name, or several with commas between them. */
Status cpu_isa_parse(const char *target, CpuIsas *out, Diag *d) MUST_USE;
/* What runs on each machine that runs any of these. */
const CpuIsa *cpu_isa_common(const CpuIsas *levels);
/* "x86-64-v4", without the family's "x86-64-". */
const char *cpu_isa_short(const CpuIsa *isa);
/* INGOT_CPU_ bits of this machine. */
uint64_t cpu_isa_here(void);

#endif
