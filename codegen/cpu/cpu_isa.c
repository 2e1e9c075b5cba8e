/* cpu_isa.c: the table of levels, what passes may know of them, and what this machine offers. */
#include "codegen/cpu/cpu_isa.h"

#include <stddef.h>
#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "codegen/codegen.h"
#include "ingot/ingot_rt.h"

static const CpuIsa rows[] = {
#define ISA(NAME, text, cpu, more, bytes, regs, fma, f16, scale, mask32, mask_any, vnni, bf16,     \
            tiles, features)                                                                       \
    {text,   cpu,      more, bytes, regs,  fma,      f16, scale,                                   \
     mask32, mask_any, vnni, bf16,  tiles, features, 0},
#include "codegen/cpu/cpu_isa.def"
#undef ISA
};
enum { N_ROWS = sizeof rows / sizeof rows[0] };
_Static_assert((int)N_ROWS <= (int)CPU_MOST_ISAS, "an artifact may hold all levels");

#if defined(__x86_64__)
/* The processor, the system, and its permission: this asks for it, as a model does that is run. */
static bool has_amx(void)
{
    enum { ARCH_GET_XCOMP_PERM = 0x1022, ARCH_REQ_XCOMP_PERM = 0x1023, TILE_DATA = 18 };
    unsigned a, b, c, d = 0, tile_int8_bf16 = 1u << 22 | 1u << 24 | 1u << 25;
    uint64_t given = 0;

    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || tile_int8_bf16 & ~d) return false;
    if (syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, TILE_DATA) != 0) return false;
    if (syscall(SYS_arch_prctl, ARCH_GET_XCOMP_PERM, &given) != 0) return false;
    return given >> TILE_DATA & 1;
}

static bool has_avx_vnni(void)
{
    unsigned a = 0, b, c, d;

    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || a < 1) return false;
    return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 4 & 1);
}
#endif

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
    if ((have & INGOT_CPU_VNNI) && has_amx()) have |= INGOT_CPU_AMX;
    if ((have & INGOT_CPU_AVX2) && has_avx_vnni()) have |= INGOT_CPU_AVX_VNNI;
    if ((have & INGOT_CPU_VNNI) && __builtin_cpu_supports("avx512bf16")) have |= INGOT_CPU_BF16;
#endif
    return have;
}

static const char family[] = "x86-64-";

const char *cpu_isa_short(const CpuIsa *isa)
{
    size_t n = sizeof family - 1;

    return strncmp(isa->name, family, n) == 0 ? isa->name + n : isa->name;
}

/* The row of the first `n` bytes of `name`; -1: none. */
static int row_of(const char *name, size_t n)
{
    uint64_t here = cpu_isa_here();
    bool native = n == 6 && strncmp(name, "native", n) == 0;

    for (int i = 0; i < N_ROWS; i++) {
        const char *is[] = {rows[i].name, cpu_isa_short(&rows[i])};
        if (native && (rows[i].features & ~here) == 0) return i;
        for (int k = 0; k < 2; k++)
            if (strlen(is[k]) == n && strncmp(is[k], name, n) == 0) return i;
    }
    return -1;
}

const CpuIsa *cpu_isa_find(const char *name)
{
    int i;

    if (!name) name = "native";
    i = row_of(name, strlen(name));
    return i < 0 ? NULL : &rows[i];
}

static Status unknown(const char *name, size_t n, Diag *d)
{
    return diag(d, ERR_TARGET, (Where){0},
                "unknown target '%.*s'; there are native, x86-64-amx, x86-64-v4-vnni, x86-64-v4, "
                "x86-64-v3-vnni, x86-64-v3, x86-64-v2, scalar",
                (int)n, name);
}

Status cpu_isa_parse(const char *target, CpuIsas *out, Diag *d)
{
    bool wanted[N_ROWS] = {false};
    int i;

    for (const char *s = target ? target : "native", *end; s; s = *end ? end + 1 : NULL) {
        end = s + strcspn(s, ",");
        i = row_of(s, (size_t)(end - s));
        if (i < 0) return unknown(s, (size_t)(end - s), d);
        wanted[i] = true;
    }
    *out = (CpuIsas){0};
    for (i = 0; i < N_ROWS; i++)
        if (wanted[i]) out->isa[out->n++] = &rows[i];
    if (out->n > 1 && !out->isa[out->n - 1]->vector_bytes)
        return diag(d, ERR_USAGE, (Where){0},
                    "--target %s: %s shares no artifact with other levels: it packs no weights",
                    target, out->isa[out->n - 1]->name);
    return OK;
}

const CpuIsa *cpu_isa_common(const CpuIsas *levels)
{
    uint64_t all = ~UINT64_C(0);
    int i = 0;

    for (int k = 0; k < levels->n; k++)
        all &= levels->isa[k]->features;
    while (rows[i].features & ~all)
        i++;
    return &rows[i];
}

Status codegen_target(const char *name, TargetInfo *out, Diag *d)
{
    const CpuIsa *isa;
    CpuIsas levels;

    TRY(cpu_isa_parse(name, &levels, d));
    isa = levels.isa[0];
    *out = (TargetInfo){.name = levels.n > 1 ? name : isa->name,
                        .vector_bytes = isa->vector_bytes,
                        .registers = isa->registers,
                        .has_fma = isa->fma,
                        .has_f16 = isa->f16,
                        .has_bf16 = levels.n == 1 && isa->bf16,
                        .has_tiles = levels.n == 1 && isa->tiles != CPU_TILES_NONE,
                        .l1 = 32 << 10,
                        .l2 = 1 << 20};
    return OK;
}

bool codegen_target_runs(const TargetInfo *t)
{
    uint64_t here = cpu_isa_here();
    CpuIsas levels;

    if (cpu_isa_parse(t->name, &levels, NULL) != OK) return false;
    for (int i = 0; i < levels.n; i++)
        if ((levels.isa[i]->features & ~here) == 0) return true;
    return false;
}
