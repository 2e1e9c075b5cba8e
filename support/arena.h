/* arena.h: memory by lifetime. An arena gives memory until it is reset or freed as a whole.
 *
 * Small requests never fail: when the system or the arena's limit says no, they are served from a
 * reserve and the arena is marked as spent; whoever runs long work asks arena_ok() between steps
 * and stops with ERR_LIMIT. Requests above ARENA_SMALL bytes (tensors, file-sized tables) go
 * through arena_try, which may return NULL. All memory is zeroed. Debug builds fill memory given
 * back with 0xAB. */
#ifndef INGOT_SUPPORT_ARENA_H
#define INGOT_SUPPORT_ARENA_H

#include <stdbool.h>
#include <stdarg.h>
#include <stddef.h>

#define ARENA_SMALL ((size_t)1 << 20)

typedef struct Arena Arena;

/* A place to return to: everything allocated after the mark is given back. */
typedef struct ArenaMark {
    void *block;
    size_t used;
    size_t total;
} ArenaMark;

/* `limit` in bytes, 0 = none. NULL when the system has no memory at all. */
Arena *arena_new(size_t limit);
void arena_free(Arena *a); /* NULL is fine */
/* Zeroed, aligned to 16. Never NULL for size <= ARENA_SMALL; above that use arena_try. */
void *arena_alloc(Arena *a, size_t size);
/* Zeroed, aligned to 64 when size > ARENA_SMALL; NULL over the limit or without memory, or on
 * count*size overflow. */
void *arena_try(Arena *a, size_t count, size_t size);
void *arena_copy(Arena *a, const void *data, size_t size);
char *arena_strdup(Arena *a, const char *s);
char *arena_strndup(Arena *a, const char *s, size_t n);
char *arena_printf(Arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
char *arena_vprintf(Arena *a, const char *format, va_list args);
ArenaMark arena_mark(const Arena *a);
void arena_reset(Arena *a, ArenaMark m);
bool arena_ok(const Arena *a);     /* false once a request was refused or served from the reserve */
size_t arena_used(const Arena *a); /* bytes handed out and not given back */

#define ARENA_NEW(a, T)      ((T *)arena_alloc((a), sizeof(T)))
#define ARENA_ARRAY(a, T, n) ((T *)arena_alloc((a), sizeof(T) * (size_t)((n) > 0 ? (n) : 1)))

#endif
