/* rt_isa.c: the level of a model's code that this processor runs. Asked when an instance is made;
 * nothing of it is kept but the choice. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "runtime/rt.h"

/* ---- what the processor has ---- */

#if defined(__x86_64__)
/* Registers of CPUID: leaf 1 ecx, leaf 7 ebx, ecx, edx, its subleaf 1 eax; and of XCR0. */
enum { ECX1, EBX7, ECX7, EDX7, EAX71, WORDS };

typedef struct Cpu {
    unsigned word[WORDS];
    uint64_t xcr0;
} Cpu;

static const struct {
    uint64_t feature;
    const char *name;
    Cpu needs;
} cpu_needs[] = {
    {INGOT_CPU_SSE42, "SSE4.2", {{[ECX1] = 1u << 9 | 1u << 20 | 1u << 23}, 0}},
    {INGOT_CPU_AVX2,
     "AVX2, FMA, F16C and BMI2",
     {{[ECX1] = 1u << 28 | 1u << 12 | 1u << 29, [EBX7] = 1u << 3 | 1u << 5 | 1u << 8}, 0x6}},
    {INGOT_CPU_AVX512,
     "AVX-512 F, BW, CD, DQ and VL",
     {{[EBX7] = 1u << 16 | 1u << 30 | 1u << 28 | 1u << 17 | 1u << 31}, 0xe6}},
    {INGOT_CPU_VNNI, "AVX-512 VNNI", {{[ECX7] = 1u << 11}, 0xe6}},
    {INGOT_CPU_BF16, "AVX-512 BF16", {{[EAX71] = 1u << 5}, 0xe6}},
    {INGOT_CPU_AVX_VNNI, "AVX-VNNI", {{[EAX71] = 1u << 4}, 0x6}},
    {INGOT_CPU_AMX, "AMX", {{[EDX7] = 1u << 22 | 1u << 24 | 1u << 25}, 0x60000}},
};

static Cpu read_cpu(void)
{
    unsigned a = 0, b, c, d, lo = 0, hi = 0;
    Cpu cpu = {0};

    __get_cpuid(1, &a, &b, &cpu.word[ECX1], &d);
    if (__get_cpuid_count(7, 0, &a, &cpu.word[EBX7], &cpu.word[ECX7], &cpu.word[EDX7]) && a >= 1)
        __get_cpuid_count(7, 1, &cpu.word[EAX71], &b, &c, &d);
    if (cpu.word[ECX1] & 1u << 27) __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    cpu.xcr0 = (uint64_t)hi << 32 | lo;
    return cpu;
}

/* The system gives the state of AMX only to those who ask; what it says afterwards counts. */
static bool may_use_amx(void)
{
    enum { ARCH_GET_XCOMP_PERM = 0x1022, ARCH_REQ_XCOMP_PERM = 0x1023, TILE_DATA = 18 };
    uint64_t given = 0;

    if (syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, TILE_DATA) != 0) return false;
    if (syscall(SYS_arch_prctl, ARCH_GET_XCOMP_PERM, &given) != 0) return false;
    return given >> TILE_DATA & 1;
}

/* Name of the first feature that is missing, or NULL. */
static const char *missing_feature(uint64_t features)
{
    Cpu cpu = read_cpu();
    uint64_t known = 0;

    for (size_t i = 0; i < sizeof cpu_needs / sizeof *cpu_needs; i++) {
        const Cpu *needs = &cpu_needs[i].needs;
        known |= cpu_needs[i].feature;
        if (!(features & cpu_needs[i].feature)) continue;
        for (int w = 0; w < WORDS; w++) {
            if (needs->word[w] & ~cpu.word[w]) return cpu_needs[i].name;
        }
        if (needs->xcr0 & ~cpu.xcr0) return cpu_needs[i].name;
    }
    if (features & ~known) return "what this runtime does not know";
    return features & INGOT_CPU_AMX && !may_use_amx() ? "permission to use AMX" : NULL;
}
#else
static const char *missing_feature(uint64_t features)
{
    return features ? "an x86-64 processor" : NULL;
}
#endif

/* ---- the choice ---- */

/* "v3" is short for "x86-64-v3". */
static bool is_name(const char *name, const char *s)
{
    static const char family[] = "x86-64-";
    size_t n = sizeof family - 1;

    return strcmp(name, s) == 0 || (strncmp(name, family, n) == 0 && strcmp(name + n, s) == 0);
}

static int32_t forced(const ingot_model *model, const char *wanted, const ingot_isa **out,
                      char *text, size_t size)
{
    for (int32_t i = 0; i < model->n_isa; i++) {
        const ingot_isa *isa = &model->isa[i];
        const char *missing;
        if (!is_name(isa->name, wanted)) continue;
        missing = missing_feature(isa->cpu_features);
        *out = isa;
        if (!missing) return INGOT_OK;
        snprintf(text, size, "%s was asked for: this processor (or system) lacks %s", isa->name,
                 missing);
        return INGOT_ERR_TARGET;
    }
    snprintf(text, size, "'%s' was asked for (by INGOT_ISA?): the model has code for %s", wanted,
             model->target);
    return INGOT_ERR_USAGE;
}

int32_t ingot_rt_choose_isa(const ingot_model *model, const char *wanted, const ingot_isa **out,
                            char *text, size_t size)
{
    const char *missing = NULL;

    *out = NULL;
    if (!wanted) wanted = getenv("INGOT_ISA");
    if (model->n_isa == 0) return INGOT_OK;
    if (wanted && *wanted) return forced(model, wanted, out, text, size);
    for (int32_t i = 0; i < model->n_isa; i++) {
        *out = &model->isa[i];
        missing = missing_feature(model->isa[i].cpu_features);
        if (!missing) return INGOT_OK;
    }
    snprintf(text, size,
             "the model was compiled for %s: this processor (or system) lacks %s; compile it with "
             "--target native on this machine, or with an older --target",
             model->target, missing);
    return INGOT_ERR_TARGET;
}
