/* cpu_depthwise.h: depthwise convolutions: lanes are channels, several positions share the weights
 * in registers. Tried before the generic loops, which do every kernel that it declines. */
#ifndef INGOT_CODEGEN_CPU_DEPTHWISE_H
#define INGOT_CODEGEN_CPU_DEPTHWISE_H

#include "codegen/cpu/cpu_module.h"
#include "codegen/nest.h"

typedef struct CpuDepthwise CpuDepthwise;

/* *out is NULL when this kernel is not for it. Else n->abi has its tasks and grain. */
Status cpu_depthwise_prepare(Arena *arena, Nest *n, const CpuIsa *isa, Diag *d,
                             CpuDepthwise **out) MUST_USE;
Status cpu_depthwise_emit(CpuModule *m, const CpuDepthwise *w, const char *name) MUST_USE;

#endif
