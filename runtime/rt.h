/* rt.h: what the files of the runtime share. The runtime is the small library that generated code
 * links to: the thread pool, the memory of an instance, the checks at its door, tensor files, and
 * the driver of executables.
 *
 * It ends up inside other people's programs, hence three rules:
 *   1. every global name begins with `ingot_`, also the internal ones (two static libraries must
 * not collide with each other or with the application); internal ones are hidden;
 *   2. no variable that changes outside an instance or a pool;
 *   3. rt_instance.c, rt_pool.c and rt_call_*.c need libc, libm and pthread only, and are all that
 * a library gets; the other files (tensor files, driver) go into executables and into the compiler.
 */
#ifndef INGOT_RUNTIME_RT_H
#define INGOT_RUNTIME_RT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ingot/ingot_rt.h"

#define INGOT_RT_HIDDEN __attribute__((visibility("hidden")))
#define INGOT_RT_ALIGN  64 /* of segments, outputs and scratch */

/* Where memory comes from: the caller's functions, or the C library's. */
typedef struct RtMemory {
    void *(*allocate)(void *context, size_t size, size_t align);
    void (*release)(void *context, void *p, size_t size);
    void *context;
} RtMemory;

/* Memory that only grows; `data` NULL when size is 0. */
typedef struct RtBlock {
    void *data;
    size_t size;
} RtBlock;

typedef struct RtTextBlock RtTextBlock; /* rt_text.c */

/* The bump region: sequences, and strings that a run makes. Blocks double, are kept from run to
 * run, and each run begins in the first one. Nothing is
 * freed in it during a run but what the turns of a loop leave behind (rt_trim.c). */
#define INGOT_RT_BLOCKS 48
typedef struct RtRegion {
    RtBlock block[INGOT_RT_BLOCKS];
    int32_t n, at; /* blocks there are; the one that is being filled */
    size_t used;   /* of block[at] */
    int64_t total; /* bytes given out in this run, less those given up */
} RtRegion;

struct ingot_instance {
    const ingot_model *model;
    const ingot_isa *isa; /* that runs; NULL: the model has none */
    RtMemory memory;
    int64_t memory_limit;
    int64_t memory_used; /* bytes of the reserve, of the region and of all segments */
    ingot_pool *pool;
    bool owns_pool;
    RtBlock reserve; /* model->arena_size bytes, from which segments are cut first */
    size_t reserve_used;
    RtRegion region;
    RtBlock *segments;     /* [n_segments] */
    bool *segment_cut;     /* [n_segments] lies in the reserve: not released alone */
    RtBlock *lent;         /* [n_outputs] */
    bool *lending;         /* [n_outputs] in this run */
    RtBlock scratch;       /* of the calling thread */
    RtTextBlock *text;     /* bytes of the strings that this run has made; the newest block */
    int32_t *symbol_of;    /* per input and dim, in order: number of its symbol or -1 */
    int64_t *symbol_value; /* [n_symbols]; -1 before it is met */
    const char **symbol_name;
    int32_t n_symbols;
    int64_t *profile; /* [n_kernels] once it was asked for */
    RtBlock self;     /* the block in which this struct and its arrays lie */
    uint32_t fp_mode; /* floating-point control word while running */
    char error[480];
};

/* ---- memory (rt_instance.c) ---- */

/* Aligned to 64; NULL when there is none, or size is 0. */
INGOT_RT_HIDDEN void *ingot_rt_allocate(const RtMemory *m, size_t size);
INGOT_RT_HIDDEN void ingot_rt_release(const RtMemory *m, RtBlock *b);
/* At least `size` bytes; the contents are lost when it grows. False (and the block is as before)
 * without memory. */
INGOT_RT_HIDDEN bool ingot_rt_grow(const RtMemory *m, RtBlock *b, size_t size);

/* ---- the bump region (rt_region.c) ---- */

INGOT_RT_HIDDEN void ingot_rt_region_reset(RtRegion *r);
INGOT_RT_HIDDEN void ingot_rt_region_release(const RtMemory *m, RtRegion *r);
INGOT_RT_HIDDEN bool ingot_rt_in_region(const RtRegion *r, const void *p);
/* A list of n elements (not yet there) with room for more: rt_call_list.c. */
INGOT_RT_HIDDEN int32_t ingot_rt_new_list(ingot_call *c, int32_t origin, int64_t n, int64_t room,
                                          int32_t dtype, ingot_tensor *list);
/* The bytes of n strings are copied into the region. */
INGOT_RT_HIDDEN int32_t ingot_rt_keep_strings(ingot_call *c, ingot_string *s, int64_t n);

/* ---- types (rt_instance.c) ---- */

static inline bool ingot_rt_is_list(int32_t dtype)
{
    return dtype >= INGOT_SEQUENCE && dtype <= INGOT_MAP;
}

/* Bytes of one element as it lies in memory; 0 for a number that is no dtype. */
INGOT_RT_HIDDEN int64_t ingot_rt_dtype_size(int32_t dtype);
/* "f32"; "?" for a number that is no dtype. */
INGOT_RT_HIDDEN const char *ingot_rt_dtype_name(int32_t dtype);
/* Number of elements, or -1: a negative dim, a bad rank, or more bytes than INT64_MAX. */
INGOT_RT_HIDDEN int64_t ingot_rt_elements(int32_t dtype, int32_t rank, const int64_t *dims);
/* "[1,3,224,224]" with symbols or "?" where a dim is -1; always terminated. */
INGOT_RT_HIDDEN void ingot_rt_dims_text(int32_t rank, const int64_t *dims,
                                        const char *const *symbols, char *out, size_t size);

/* ---- levels (rt_isa.c) ---- */

/* The level to run: `wanted`, or what INGOT_ISA says, or the best that this processor and system
 * have. *out is NULL for a model without levels. A failure is explained in text[size]. */
INGOT_RT_HIDDEN int32_t ingot_rt_choose_isa(const ingot_model *model, const char *wanted,
                                            const ingot_isa **out, char *text, size_t size);

/* ---- pool (rt_pool.c) ---- */

/* `memory` is copied. threads <= 0: all usable cores. NULL without memory. Starts no thread. */
INGOT_RT_HIDDEN ingot_pool *ingot_rt_pool_make(int32_t threads, const RtMemory *memory);
/* Around a run: between them idle workers may spin. */
INGOT_RT_HIDDEN void ingot_rt_pool_enter(ingot_pool *p);
INGOT_RT_HIDDEN void ingot_rt_pool_leave(ingot_pool *p);
/* Have `size` bytes of scratch for each worker; false without memory, or when the pool is at work.
 */
INGOT_RT_HIDDEN bool ingot_rt_pool_reserve(ingot_pool *p, int64_t size);
INGOT_RT_HIDDEN int32_t ingot_rt_pool_threads(const ingot_pool *p);
INGOT_RT_HIDDEN int64_t ingot_rt_now(void); /* nanoseconds, monotonic */

/* ---- floating-point control word ---- */

#if defined(__x86_64__)
static inline uint32_t ingot_rt_fp_get(void)
{
    return __builtin_ia32_stmxcsr();
}
static inline void ingot_rt_fp_set(uint32_t mode)
{
    __builtin_ia32_ldmxcsr(mode);
}
/* All exceptions masked, round to nearest; flush: subnormal results and operands count as zero. */
static inline uint32_t ingot_rt_fp_mode(bool flush)
{
    return flush ? 0x9fc0u : 0x1f80u;
}
#elif defined(__aarch64__)
static inline uint32_t ingot_rt_fp_get(void)
{
    uint64_t v;
    __asm__ volatile("mrs %0, fpcr" : "=r"(v));
    return (uint32_t)v;
}
static inline void ingot_rt_fp_set(uint32_t mode)
{
    __asm__ volatile("msr fpcr, %0" ::"r"((uint64_t)mode));
}
static inline uint32_t ingot_rt_fp_mode(bool flush)
{
    return flush ? 1u << 24 : 0;
}
#else
static inline uint32_t ingot_rt_fp_get(void)
{
    return 0;
}
static inline void ingot_rt_fp_set(uint32_t mode)
{
    (void)mode;
}
static inline uint32_t ingot_rt_fp_mode(bool flush)
{
    (void)flush;
    return 0;
}
#endif

#endif
