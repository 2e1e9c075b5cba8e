/* cpu_planes.h: convolutions of each plane by itself (ir/planes.h), lanes along its rows. Tried
 * before contractions, for which they are many products of one row. */
#ifndef INGOT_CODEGEN_CPU_PLANES_H
#define INGOT_CODEGEN_CPU_PLANES_H

#include "codegen/cpu/cpu_module.h"
#include "codegen/nest.h"

typedef struct CpuPlanes CpuPlanes;

/* *out is NULL when this kernel is not for it. Else n->abi has its tasks, grain and scratch, which
 * are the same for all levels. */
Status cpu_planes_prepare(Arena *arena, Nest *n, const CpuIsa *isa, Diag *d,
                          CpuPlanes **out) MUST_USE;
Status cpu_planes_emit(CpuModule *m, const CpuPlanes *p, const char *name) MUST_USE;

#endif
