/* cpu_ceiling.h: the rate of multiply-adds that a processor reaches when nothing else is to be
 * done: what the speed of kernels is held against. */
#ifndef INGOT_CODEGEN_CPU_CEILING_H
#define INGOT_CODEGEN_CPU_CEILING_H

#include "codegen/codegen.h"

/* `float function(int64_t rounds, float a, float b)`: independent chains of f32 multiply-adds in
 * registers (a product and a sum where the target has no FMA). */
typedef float (*CpuCeiling)(int64_t rounds, float a, float b);

/* An object that defines `name` as such a function, visible from outside; *flops is what one round
 * does. */
Status cpu_ceiling_emit(const char *target, const char *name, Arena *arena, CodeObject *out,
                        double *flops, Diag *d) MUST_USE;

#endif
