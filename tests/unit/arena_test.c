/* arena_test.c: alignment, zeroing, marks, limits, and an arena whose system has no memory left. */
#include "support/arena.h"

#include <stdint.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/vec.h"
#include "tests/unit/check.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif

static int all_zero(const unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i]) return 0;
    }
    return 1;
}

static void test_every_size(void)
{
    static const size_t sizes[] = {0,
                                   1,
                                   15,
                                   16,
                                   17,
                                   63,
                                   64,
                                   65,
                                   4095,
                                   4096,
                                   4097,
                                   16384,
                                   16385,
                                   262144,
                                   300000,
                                   ARENA_SMALL,
                                   ARENA_SMALL + 1,
                                   5000000};
    enum { COUNT = sizeof sizes / sizeof *sizes };
    unsigned char *p[COUNT];
    Arena *a = arena_new(0);

    for (int i = 0; i < COUNT; i++) {
        p[i] = arena_try(a, 1, sizes[i]);
        CHECK(p[i] && all_zero(p[i], sizes[i]));
        CHECK_EQ((uintptr_t)p[i] % (sizes[i] > ARENA_SMALL ? 64 : 16), 0);
        memset(p[i], i + 1, sizes[i]);
    }
    for (int i = 0; i < COUNT; i++) {
        for (size_t k = 0; k < sizes[i]; k++) {
            if (p[i][k] != i + 1) {
                CHECK_EQ(p[i][k], i + 1);
                break;
            }
        }
    }
    CHECK(arena_ok(a));
    CHECK(arena_used(a) >= 5000000 + ARENA_SMALL * 2);
    arena_free(a);
    arena_free(NULL);
}

static void test_marks(void)
{
    Arena *a = arena_new(0);
    char *kept = arena_strdup(a, "kept");

    for (int round = 0; round < 50; round++) {
        ArenaMark m = arena_mark(a);
        size_t used = arena_used(a);
        for (int i = 0; i < 100; i++) {
            size_t size = (size_t)(i * 37 % 500) + (i % 25 == 0 ? 20000 : 0);
            unsigned char *p = arena_alloc(a, size);
            CHECK(all_zero(p, size)); /* also where the last round has written */
            memset(p, 0xEE, size);
            if (i == 50) {
                ArenaMark inner = arena_mark(a);
                CHECK(arena_alloc(a, 30000) && arena_alloc(a, 3));
                arena_reset(a, inner);
                CHECK(all_zero(arena_alloc(a, 3), 3));
            }
        }
        arena_reset(a, m);
        CHECK_EQ(arena_used(a), used);
    }
    CHECK_STR(kept, "kept");
    unsigned char *large = arena_try(a, 1, 3000000); /* just before the mark: it stays */
    memset(large, 7, 3000000);
    arena_reset(a, arena_mark(a));
    CHECK(arena_try(a, 1, 3000000) && large[0] == 7 && large[2999999] == 7);
    arena_free(a);

    a = arena_new(0); /* a mark of an empty arena gives everything back */
    ArenaMark start = arena_mark(a);
    arena_alloc(a, 100000);
    arena_alloc(a, 10);
    arena_reset(a, start);
    CHECK_EQ(arena_used(a), 0);
    arena_free(a);
}

static void test_limit(void)
{
    Arena *a = arena_new(10000);

    CHECK(arena_try(a, 10, 100) && arena_ok(a));
    CHECK(!arena_try(a, 1, 9500));
    CHECK(!arena_ok(a));
    for (int i = 0; i < 1000; i++) {
        unsigned char *p = arena_alloc(a, 1000); /* beyond the limit, but never NULL */
        CHECK(p && all_zero(p, 1000));
        memset(p, 1, 1000);
    }
    arena_free(a);

    a = arena_new(0);
    CHECK(!arena_try(a, SIZE_MAX / 2, 3));
    CHECK(!arena_ok(a));
    CHECK(!arena_try(a, 1, SIZE_MAX));
    CHECK(!arena_try(a, 1, SIZE_MAX - 70));
    CHECK(!arena_alloc(a, SIZE_MAX - 5));
    arena_free(a);
}

static void test_text_and_vec(void)
{
    Arena *a = arena_new(0);
    int *item = NULL, n = 0, cap = 0;

    CHECK_STR(arena_printf(a, "%d-%s", 42, "x"), "42-x");
    CHECK_STR(arena_strndup(a, "abcdef", 3), "abc");
    CHECK_STR(arena_strndup(a, "", 0), "");
    CHECK(memcmp(arena_copy(a, "\0\1\2", 3), "\0\1\2", 3) == 0);
    for (int i = 0; i < 10000; i++) {
        VEC_PUSH(a, item, n, cap, i * 3);
    }
    CHECK_EQ(n, 10000);
    for (int i = 0; i < n; i++) {
        if (item[i] != i * 3) CHECK_EQ(item[i], i * 3);
    }
    arena_free(a);
}

/* In a child whose address space is used up: small requests still get memory, and the arena says
 * so. */
static void test_no_memory(void)
{
#ifndef SANITIZED
    pid_t child = fork();

    if (child == 0) {
        Arena *a = arena_new(0);
        struct rlimit none = {1 << 20, 1 << 20};
        int bad = setrlimit(RLIMIT_AS, &none) != 0;
        for (int i = 0; i < 400 && !bad; i++) {
            unsigned char *p = arena_alloc(a, 60000);
            bad = !p || !all_zero(p, 60000);
            if (p) memset(p, 1, 60000);
        }
        bad = bad || arena_ok(a) || arena_try(a, 1, ARENA_SMALL * 4);
        arena_free(a);
        _exit(bad);
    }
    int state = -1;
    CHECK(child > 0 && waitpid(child, &state, 0) == child);
    CHECK(WIFEXITED(state) && WEXITSTATUS(state) == 0);
#endif
}

int main(void)
{
    test_every_size();
    test_marks();
    test_limit();
    test_text_and_vec();
    test_no_memory();
    return check_result();
}
