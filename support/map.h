/* map.h: a hash map in an arena; keys are strings or pointers, values are pointers. Never shrinks.
 * A walk goes in the order in which keys were first set, so that nothing depends on hashes or
 * addresses. */
#ifndef INGOT_SUPPORT_MAP_H
#define INGOT_SUPPORT_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "support/arena.h"

typedef struct MapSlot {
    const void *key;
    void *value;
    uint64_t hash;
} MapSlot;
typedef struct Map {
    Arena *arena;
    MapSlot *slot;   /* [count], in order of insertion */
    uint32_t *index; /* [capacity], open addressing: number of the slot plus 1, 0 = empty */
    size_t capacity; /* a power of two, or 0 */
    size_t count;
    uint64_t seed; /* differs from run to run, against names chosen to collide */
    bool strings;  /* keys are NUL-terminated text, compared by content; else by address */
} Map;

void map_init(Map *m, Arena *arena, bool strings);
void *map_get(const Map *m, const void *key); /* NULL when absent */
bool map_has(const Map *m, const void *key);
/* The key must not be NULL, and string keys must outlive the map. When there is no memory the entry
 * is dropped and the arena is marked. */
void map_set(Map *m, const void *key, void *value);
/* Walk in order of insertion: for (size_t i = 0; map_next(m, &i, &key, &value);) */
bool map_next(const Map *m, size_t *i, const void **key, void **value);

uint64_t hash_bytes(const void *data, size_t size, uint64_t seed); /* 64-bit, not cryptographic */
static inline uint64_t hash_mix(uint64_t h, uint64_t v)
{
    h ^= v + 0x9e3779b97f4a7c15u + (h << 6) + (h >> 2);
    h *= 0xff51afd7ed558ccdu;
    return h ^ (h >> 32);
}

/* Interned text: equal strings have one address. */
typedef struct Interner {
    Map map;
} Interner;
void intern_init(Interner *t, Arena *arena);
const char *intern(Interner *t, const char *s);
const char *intern_n(Interner *t, const char *s, size_t n);

#endif
