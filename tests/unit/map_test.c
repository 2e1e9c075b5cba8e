/* map_test.c: both kinds of keys, growth, order of a walk, interning. */
#include "support/map.h"

#include "tests/unit/check.h"

enum { COUNT = 20000 };

static void test_strings(Arena *a)
{
    Map m;
    const char *keys[COUNT];

    map_init(&m, a, true);
    CHECK(!map_get(&m, "x") && !map_has(&m, "x"));
    for (int i = 0; i < COUNT; i++) {
        keys[i] = arena_printf(a, "name/%d", i);
        map_set(&m, keys[i], (void *)keys[i]);
    }
    CHECK_EQ(m.count, COUNT);
    for (int i = 0; i < COUNT; i++) {
        char again[32];
        snprintf(again, sizeof again, "name/%d", i);
        if (map_get(&m, again) != keys[i]) CHECK_STR(map_get(&m, again), again);
    }
    CHECK(!map_has(&m, "name/-1") && !map_has(&m, ""));
    map_set(&m, "name/7", NULL); /* there, with the value NULL */
    CHECK(map_has(&m, "name/7") && !map_get(&m, "name/7"));
    CHECK_EQ(m.count, COUNT);

    const void *key;
    int n = 0;
    for (size_t i = 0; map_next(&m, &i, &key, NULL);) {
        if (key != keys[n]) CHECK_STR(key, keys[n]);
        n++;
    }
    CHECK_EQ(n, COUNT);
}

static void test_pointers(Arena *a)
{
    static int thing[COUNT];
    Map m;

    map_init(&m, a, false);
    map_set(&m, NULL, thing);
    CHECK(m.count == 0 && !map_has(&m, NULL));
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < COUNT; i++) {
            map_set(&m, &thing[i], &thing[COUNT - 1 - i]);
        }
    }
    CHECK_EQ(m.count, COUNT);
    for (int i = 0; i < COUNT; i++) {
        if (map_get(&m, &thing[i]) != &thing[COUNT - 1 - i]) CHECK_EQ(i, -1);
    }
}

static void test_no_memory(void)
{
    Arena *a = arena_new(20000);
    int thing[4000];
    Map m;

    map_init(&m, a, false);
    for (int i = 0; i < 4000; i++) {
        map_set(&m, &thing[i], &thing[i]); /* must end, whatever is refused */
    }
    CHECK(!arena_ok(a) && m.count < 4000);
    for (int i = 0; i < (int)m.count; i++) {
        CHECK(map_get(&m, &thing[i]) == &thing[i]);
    }
    CHECK(!map_has(&m, &thing[3999]));
    arena_free(a);
}

static void test_intern(Arena *a)
{
    Interner t;
    char text[] = "weight", long_text[1000];

    intern_init(&t, a);
    const char *one = intern(&t, text);
    CHECK(one != text && one == intern(&t, "weight") && one == intern_n(&t, "weights", 6));
    CHECK(one != intern(&t, "weights"));
    CHECK_STR(intern_n(&t, "x", 0), "");
    memset(long_text, 'y', sizeof long_text);
    const char *long_one = intern_n(&t, long_text, sizeof long_text);
    CHECK_EQ(strlen(long_one), sizeof long_text);
    CHECK(long_one == intern_n(&t, long_text, sizeof long_text));
}

static void test_hash(void)
{
    unsigned char bytes[64] = {0};
    uint64_t before = hash_bytes(bytes, 64, 1);

    for (int bit = 0; bit < 512; bit++) {
        bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
        CHECK(hash_bytes(bytes, 64, 1) != before);
        bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
    }
    CHECK(hash_bytes(bytes, 64, 1) == before && hash_bytes(bytes, 64, 2) != before);
    for (size_t n = 0; n < 64; n++) { /* zeros of different lengths differ */
        CHECK(hash_bytes(bytes, n, 1) != hash_bytes(bytes, n + 1, 1));
    }
}

int main(void)
{
    Arena *a = arena_new(0);

    test_strings(a);
    test_pointers(a);
    test_no_memory();
    test_intern(a);
    test_hash();
    arena_free(a);
    return check_result();
}
