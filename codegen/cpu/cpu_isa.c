/* cpu_isa.c: the table of levels, what passes may know of them, and what this machine offers. */
#include "codegen/cpu/cpu_isa.h"

#include <stddef.h>
#include <string.h>

#include "codegen/codegen.h"
#include "ingot/ingot_rt.h"

static const CpuIsa rows[] = {
#define ISA(NAME, text, cpu, more, bytes, regs, fma, f16, scale, mask32, mask_any, vnni, features) \
    {text, cpu, more, bytes, regs, fma, f16, scale, mask32, mask_any, vnni, features},
#include "codegen/cpu/cpu_isa.def"
#undef ISA
};
enum { N_ROWS = sizeof rows / sizeof rows[0] };

uint64_t cpu_isa_here(void)
{
    uint64_t have = 0;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("ssse3") &&
        __builtin_cpu_supports("popcnt"))
        have |= INGOT_CPU_SSE42;
    if (have && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
        __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2"))
        have |= INGOT_CPU_AVX2;
    if ((have & INGOT_CPU_AVX2) && __builtin_cpu_supports("avx512f") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        have |= INGOT_CPU_AVX512;
    if ((have & INGOT_CPU_AVX512) && __builtin_cpu_supports("avx512vnni")) have |= INGOT_CPU_VNNI;
#endif
    return have;
}

const CpuIsa *cpu_isa_find(const char *name)
{
    uint64_t here = cpu_isa_here();
    bool native = !name || !strcmp(name, "native");

    for (int i = 0; i < N_ROWS; i++) {
        if (native ? (rows[i].features & ~here) == 0 : !strcmp(rows[i].name, name)) return &rows[i];
    }
    return NULL;
}

Status codegen_target(const char *name, TargetInfo *out, Diag *d)
{
    const CpuIsa *isa = cpu_isa_find(name);

    if (!isa)
        return diag(d, ERR_TARGET, (Where){0},
                    "unknown target '%s'; there are native, x86-64-v4-vnni, x86-64-v4, x86-64-v3, "
                    "x86-64-v2, scalar",
                    name);
    *out = (TargetInfo){.name = isa->name,
                        .vector_bytes = isa->vector_bytes,
                        .registers = isa->registers,
                        .has_fma = isa->fma,
                        .has_f16 = isa->f16,
                        .l1 = 32 << 10,
                        .l2 = 1 << 20};
    return OK;
}

bool codegen_target_runs(const TargetInfo *t)
{
    const CpuIsa *isa = cpu_isa_find(t->name);

    return isa && (isa->features & ~cpu_isa_here()) == 0;
}
