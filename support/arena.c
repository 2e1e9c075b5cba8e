/* arena.c: bump allocation in blocks.
 *
 * Small requests are cut from the newest block; large ones (above LARGE) have a block each in a
 * list of their own, so that they neither waste the rest of the current block nor are zeroed by
 * hand. A mark remembers the newest block, how far it was used, and the sum of all bytes handed
 * out. That sum only grows between resets, so it also orders the large blocks: those whose number
 * lies above the mark's sum came later and go.
 *
 *     block <- block <- block(current) [used....|free      ]      large <- large <- large
 *
 * When the limit is passed, small requests are still served by the system, and when the system
 * refuses, by the reserve; either way the arena counts as spent and its owner stops at the next
 * arena_ok(). The reserve serves RESERVE bytes; a caller that never asks arena_ok() while the
 * system refuses everything gets the reserve again from its start: within bounds, but shared. */
#include "support/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/checked.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define ARENA_ASAN 1
#endif
#ifdef ARENA_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n)   ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

#ifdef INGOT_HOSTILE
enum { BLOCK_MIN = 64, BLOCK_MAX = 64, LARGE = 4096 };
#else
enum { BLOCK_MIN = 4096, BLOCK_MAX = 256 * 1024, LARGE = 16 * 1024 };
#endif
#define RESERVE ((size_t)2 * ARENA_SMALL)

#if defined(INGOT_HOSTILE) || !defined(NDEBUG)
#define ARENA_FILL 1
#else
#define ARENA_FILL 0
#endif

typedef struct Block {
    struct Block *next;
    size_t size, used; /* of the bytes after this header */
    size_t number;     /* large blocks: the arena's total after this request */
    _Alignas(16) unsigned char bytes[];
} Block;

struct Arena {
    Block *block;
    Block *large;
    Block *spare; /* one block kept back by arena_reset, against thrashing */
    size_t limit, total, next_size;
    size_t reserve_used;
    bool spent;
    unsigned char *reserve;
};

Arena *arena_new(size_t limit)
{
    Arena *a = calloc(1, sizeof *a);

    if (!a) return NULL;
    a->reserve = malloc(RESERVE); /* untouched pages cost nothing */
    if (!a->reserve) {
        free(a);
        return NULL;
    }
    a->limit = limit;
    a->next_size = BLOCK_MIN;
    return a;
}

static void block_free(Block *b)
{
    ASAN_UNPOISON_MEMORY_REGION(b->bytes, b->size);
    if (ARENA_FILL) memset(b->bytes, 0xAB, b->used);
    free(b);
}

static void list_free(Block *b)
{
    while (b) {
        Block *next = b->next;
        block_free(b);
        b = next;
    }
}

void arena_free(Arena *a)
{
    if (!a) return;
    list_free(a->block);
    list_free(a->large);
    list_free(a->spare);
    free(a->reserve);
    free(a);
}

/* A block with room for `size` bytes as the new current one; false when the system refuses. */
static bool block_add(Arena *a, size_t size)
{
    Block *b = a->spare;

    if (b && b->size >= size) {
        a->spare = NULL;
    } else {
        size_t room = size > a->next_size ? size : a->next_size;
        b = malloc(sizeof *b + room);
        if (!b) return false;
        b->size = room;
        ASAN_POISON_MEMORY_REGION(b->bytes, b->size);
        if (a->next_size < BLOCK_MAX) a->next_size *= 2;
    }
    b->used = 0;
    b->number = 0;
    b->next = a->block;
    a->block = b;
    return true;
}

/* A block of its own: calloc, because fresh pages need no zeroing. */
static void *large_alloc(Arena *a, size_t size, size_t align)
{
    size_t room;

    if (!checked_add(size, sizeof(Block) + align, &room)) return NULL;
    Block *b = calloc(1, room);
    if (!b) return NULL;
    uintptr_t at = ((uintptr_t)b->bytes + align - 1) & ~(uintptr_t)(align - 1);
    b->size = room - sizeof *b;
    b->used = b->size;
    a->total += size;
    b->number = a->total;
    b->next = a->large;
    a->large = b;
    return (void *)at;
}

/* `size` is rounded to 16 and not 0. */
static void *raw_alloc(Arena *a, size_t size, size_t wanted)
{
    if (size > LARGE) return large_alloc(a, size, wanted > ARENA_SMALL ? 64 : 16);
    if ((!a->block || a->block->size - a->block->used < size) && !block_add(a, size)) return NULL;
    unsigned char *p = a->block->bytes + a->block->used;
    a->block->used += size;
    a->total += size;
    ASAN_UNPOISON_MEMORY_REGION(p, wanted);
    memset(p, 0, wanted);
    return p;
}

static void *reserve_alloc(Arena *a, size_t size)
{
    if (RESERVE - a->reserve_used < size) a->reserve_used = 0;
    unsigned char *p = a->reserve + a->reserve_used;
    a->reserve_used += size;
    memset(p, 0, size);
    return p;
}

static bool over_limit(const Arena *a, size_t size)
{
    return a->limit && (a->total > a->limit || size > a->limit - a->total);
}

static void *refuse(Arena *a)
{
    a->spent = true;
    return NULL;
}

void *arena_try(Arena *a, size_t count, size_t size)
{
    size_t wanted, rounded;

    if (!checked_mul(count, size, &wanted)) return refuse(a);
    if (wanted == 0) wanted = 1;
    if (!checked_align(wanted, 16, &rounded) || over_limit(a, rounded)) return refuse(a);
    void *p = raw_alloc(a, rounded, wanted);
    return p ? p : refuse(a);
}

void *arena_alloc(Arena *a, size_t size)
{
    if (size > ARENA_SMALL) return arena_try(a, 1, size);
    size_t wanted = size ? size : 1, rounded = (wanted + 15) & ~(size_t)15;
    if (over_limit(a, rounded)) a->spent = true;
    void *p = raw_alloc(a, rounded, wanted);
    if (p) return p;
    a->spent = true;
    return reserve_alloc(a, rounded);
}

void *arena_copy(Arena *a, const void *data, size_t size)
{
    void *p = arena_alloc(a, size);
    if (p && size) memcpy(p, data, size);
    return p;
}

char *arena_strndup(Arena *a, const char *s, size_t n)
{
    size_t size;

    if (!checked_add(n, 1, &size)) return refuse(a);
    char *p = arena_alloc(a, size);
    if (p && n) memcpy(p, s, n);
    return p;
}

char *arena_strdup(Arena *a, const char *s)
{
    return arena_strndup(a, s, strlen(s));
}

char *arena_vprintf(Arena *a, const char *format, va_list args)
{
    va_list again;

    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (n < 0) return arena_strdup(a, "");
    char *p = arena_alloc(a, (size_t)n + 1);
    if (p) vsnprintf(p, (size_t)n + 1, format, args);
    return p;
}

char *arena_printf(Arena *a, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    char *p = arena_vprintf(a, format, args);
    va_end(args);
    return p;
}

ArenaMark arena_mark(const Arena *a)
{
    return (ArenaMark){a->block, a->block ? a->block->used : 0, a->total};
}

/* Keep the larger of `b` and the spare, free the other. */
static void block_retire(Arena *a, Block *b)
{
    if (a->spare && a->spare->size >= b->size) {
        block_free(b);
        return;
    }
    if (a->spare) block_free(a->spare);
    ASAN_UNPOISON_MEMORY_REGION(b->bytes, b->size);
    if (ARENA_FILL) memset(b->bytes, 0xAB, b->used);
    ASAN_POISON_MEMORY_REGION(b->bytes, b->size);
    b->next = NULL;
    a->spare = b;
}

void arena_reset(Arena *a, ArenaMark m)
{
    while (a->block && a->block != m.block) {
        Block *b = a->block;
        a->block = b->next;
        block_retire(a, b);
    }
    if (a->block) {
        unsigned char *from = a->block->bytes + m.used;
        size_t n = a->block->used - m.used;
        ASAN_UNPOISON_MEMORY_REGION(from, n);
        if (ARENA_FILL) memset(from, 0xAB, n);
        ASAN_POISON_MEMORY_REGION(from, n);
        a->block->used = m.used;
    }
    while (a->large && a->large->number > m.total) {
        Block *b = a->large;
        a->large = b->next;
        block_free(b);
    }
    a->total = m.total;
}

bool arena_ok(const Arena *a)
{
    return !a->spent;
}

size_t arena_used(const Arena *a)
{
    return a->total;
}
