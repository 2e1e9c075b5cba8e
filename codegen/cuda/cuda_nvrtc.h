/* cuda_nvrtc.h: CUDA C to code for a GPU, by NVRTC where it is installed. It is opened at run time:
 * ingot is built and runs without it. */
#ifndef INGOT_CODEGEN_CUDA_NVRTC_H
#define INGOT_CODEGEN_CUDA_NVRTC_H

#include "support/diag.h"

typedef struct Nvrtc Nvrtc;

/* In the arena that it was compiled into. */
typedef struct NvrtcCode {
    const char *ptx;
    size_t ptx_size;
    const void *cubin;
    size_t cubin_size;
} NvrtcCode;

/* ERR_TARGET, without a message, when there is no NVRTC: the caller knows whether it is needed. */
Status cuda_nvrtc_open(Arena *arena, Nvrtc **out, Diag *d) MUST_USE;
void cuda_nvrtc_close(Nvrtc *n); /* NULL is fine */
const char *cuda_nvrtc_version(const Nvrtc *n);
/* The architecture nearest to `wanted` (90 is sm_90) that it knows: the greatest that is not above,
 * else the least. */
int cuda_nvrtc_arch(const Nvrtc *n, int wanted);
/* Without contraction of products and sums, and with IEEE division and roots. ERR_BUG with NVRTC's
 * own words when it refuses the text: texts are printed by us. */
Status cuda_nvrtc_compile(const Nvrtc *n, const char *source, const char *name, int arch,
                          Arena *arena, NvrtcCode *out, Diag *d) MUST_USE;

#endif
