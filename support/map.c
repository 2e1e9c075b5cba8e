/* map.c: entries in order of insertion, found through an index with open addressing.
 *
 *     slot:  [a][b][c]            in order of insertion; walked by map_next
 *     index: [ 2 . . 3 . 1 . . ]  hash -> number of the slot plus 1, linear probing, at most 3/4
 * full
 *
 * Names come from untrusted files: text is hashed with SipHash-1-3 (Aumasson and Bernstein, 2012)
 * under a seed that the file's author cannot know, which keeps chains short. */
#include "support/map.h"

#include <string.h>

#ifdef INGOT_HOSTILE
enum { CAPACITY_FIRST = 2 };
#else
enum { CAPACITY_FIRST = 16 };
#endif

static uint64_t rotate(uint64_t x, int n)
{
    return x << n | x >> (64 - n);
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] = rotate(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] = rotate(v[2], 32);
}

static void sip_word(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
}

uint64_t hash_bytes(const void *data, size_t size, uint64_t seed)
{
    const unsigned char *p = data;
    uint64_t k1 = seed * 0x9e3779b97f4a7c15u + 1;
    uint64_t v[4] = {seed ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du,
                     seed ^ 0x6c7967656e657261u, k1 ^ 0x7465646279746573u};
    uint64_t word, last = (uint64_t)size << 56;
    size_t whole = size / 8 * 8;

    for (size_t i = 0; i < whole; i += 8) {
        memcpy(&word, p + i, 8);
        sip_word(v, word);
    }
    for (size_t i = whole; i < size; i++) {
        last |= (uint64_t)p[i] << (8 * (i - whole));
    }
    sip_word(v, last);
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++) {
        sip_round(v);
    }
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void map_init(Map *m, Arena *arena, bool strings)
{
    uint64_t seed = hash_mix((uint64_t)(uintptr_t)arena, (uint64_t)(uintptr_t)m);

    *m = (Map){.arena = arena, .strings = strings, .seed = seed};
}

static uint64_t hash_key(const Map *m, const void *key)
{
    if (m->strings) return hash_bytes(key, strlen(key), m->seed);
    return hash_mix(m->seed, (uint64_t)(uintptr_t)key);
}

static bool same_key(const Map *m, const MapSlot *slot, const void *key, uint64_t hash)
{
    if (slot->hash != hash) return false;
    return slot->key == key || (m->strings && strcmp(slot->key, key) == 0);
}

/* The place in the index where `key` is, or where it would go. Needs capacity > count. */
static size_t place(const Map *m, const void *key, uint64_t hash)
{
    size_t i = hash & (m->capacity - 1);

    while (m->index[i] && !same_key(m, &m->slot[m->index[i] - 1], key, hash)) {
        i = (i + 1) & (m->capacity - 1);
    }
    return i;
}

static MapSlot *find(const Map *m, const void *key)
{
    if (m->count == 0 || !key) return NULL;
    uint32_t at = m->index[place(m, key, hash_key(m, key))];
    return at ? &m->slot[at - 1] : NULL;
}

void *map_get(const Map *m, const void *key)
{
    const MapSlot *slot = find(m, key);
    return slot ? slot->value : NULL;
}

bool map_has(const Map *m, const void *key)
{
    return find(m, key) != NULL;
}

/* Twice the capacity; false without memory, and the map is as before. Old tables stay in the arena.
 */
static bool grow(Map *m)
{
    size_t capacity = m->capacity ? m->capacity * 2 : CAPACITY_FIRST;
    uint32_t *index = capacity <= UINT32_MAX ? arena_try(m->arena, capacity, sizeof *index) : NULL;
    MapSlot *slot = index ? arena_try(m->arena, capacity, sizeof *slot) : NULL;

    if (!slot) return false;
    if (m->count) memcpy(slot, m->slot, m->count * sizeof *slot);
    for (size_t n = 0; n < m->count; n++) {
        size_t i = slot[n].hash & (capacity - 1);
        while (index[i]) {
            i = (i + 1) & (capacity - 1);
        }
        index[i] = (uint32_t)(n + 1);
    }
    m->slot = slot;
    m->index = index;
    m->capacity = capacity;
    return true;
}

void map_set(Map *m, const void *key, void *value)
{
    MapSlot *slot = find(m, key);

    if (slot || !key) {
        if (slot) slot->value = value;
        return;
    }
    if (m->count + 1 > m->capacity / 4 * 3 && !grow(m) && m->count + 1 >= m->capacity) return;
    uint64_t hash = hash_key(m, key);
    size_t i = place(m, key, hash);
    m->slot[m->count++] = (MapSlot){key, value, hash};
    m->index[i] = (uint32_t)m->count;
}

bool map_next(const Map *m, size_t *i, const void **key, void **value)
{
    if (*i >= m->count) return false;
    if (key) *key = m->slot[*i].key;
    if (value) *value = m->slot[*i].value;
    (*i)++;
    return true;
}

void intern_init(Interner *t, Arena *arena)
{
    map_init(&t->map, arena, true);
}

const char *intern(Interner *t, const char *s)
{
    const char *known = map_get(&t->map, s);

    if (known) return known;
    char *copy = arena_strdup(t->map.arena, s);
    if (copy) map_set(&t->map, copy, copy);
    return copy;
}

const char *intern_n(Interner *t, const char *s, size_t n)
{
    char short_text[256];

    if (n >= sizeof short_text) {
        char *copy = arena_strndup(t->map.arena, s, n);
        return copy ? intern(t, copy) : NULL;
    }
    if (n) memcpy(short_text, s, n);
    short_text[n] = '\0';
    return intern(t, short_text);
}
