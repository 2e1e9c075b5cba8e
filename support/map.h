/* map.h: a hash map in an arena; keys are strings or pointers, values are pointers. Never shrinks. */
#ifndef INGOT_SUPPORT_MAP_H
#define INGOT_SUPPORT_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "support/arena.h"

typedef struct MapSlot { const void *key; void *value; uint64_t hash; } MapSlot;
typedef struct Map {
    Arena   *arena;
    MapSlot *slot;
    size_t   capacity;   /* a power of two, or 0 */
    size_t   count;
    bool     strings;    /* keys are NUL-terminated text, compared by content; else by address */
} Map;

void  map_init(Map *m, Arena *arena, bool strings);
void *map_get(const Map *m, const void *key);             /* NULL when absent */
bool  map_has(const Map *m, const void *key);
void  map_set(Map *m, const void *key, void *value);      /* string keys must outlive the map */
/* Walk in no promised order: for (size_t i = 0; map_next(m, &i, &key, &value);) */
bool  map_next(const Map *m, size_t *i, const void **key, void **value);

uint64_t hash_bytes(const void *data, size_t size, uint64_t seed);   /* 64-bit, not cryptographic */
static inline uint64_t hash_mix(uint64_t h, uint64_t v)
{
    h ^= v + 0x9e3779b97f4a7c15u + (h << 6) + (h >> 2);
    h *= 0xff51afd7ed558ccdu;
    return h ^ (h >> 32);
}

/* Interned text: equal strings have one address. */
typedef struct Interner { Map map; } Interner;
void        intern_init(Interner *t, Arena *arena);
const char *intern(Interner *t, const char *s);
const char *intern_n(Interner *t, const char *s, size_t n);

#endif
