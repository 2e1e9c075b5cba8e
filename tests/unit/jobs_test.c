/* jobs_test.c: every job runs once, and the result does not depend on timing. */
#include "support/jobs.h"

#include <stdatomic.h>

#include "tests/unit/check.h"

enum { COUNT = 5000 };

typedef struct Seen {
    atomic_int times[COUNT];
    atomic_int bad_thread;
    int threads;
    int64_t fail_from; /* jobs from here on fail, each with its own status */
} Seen;

static Status body(void *context, int64_t i, int thread)
{
    Seen *s = context;

    atomic_fetch_add(&s->times[i], 1);
    if (thread < 0 || thread >= s->threads) atomic_fetch_add(&s->bad_thread, 1);
    if (i < s->fail_from) return OK;
    return i == s->fail_from ? ERR_MODEL : ERR_LIMIT;
}

static void test_all(int threads, int64_t count)
{
    static Seen s;

    memset(&s, 0, sizeof s);
    s.threads = threads > 0 ? threads : jobs_cores();
    s.fail_from = INT64_MAX;
    CHECK_EQ(jobs_run(threads, count, body, &s), OK);
    int wrong = 0;
    for (int i = 0; i < COUNT; i++) {
        wrong += atomic_load(&s.times[i]) != (i < count);
    }
    CHECK_EQ(wrong, 0);
    CHECK_EQ(atomic_load(&s.bad_thread), 0);
}

static void test_failure(int threads, int64_t fail_from)
{
    static Seen s;

    memset(&s, 0, sizeof s);
    s.threads = threads;
    s.fail_from = fail_from;
    CHECK_EQ(jobs_run(threads, COUNT, body, &s), ERR_MODEL);
    int wrong = 0;
    for (int i = 0; i <= fail_from; i++) { /* all below the failure are done */
        wrong += atomic_load(&s.times[i]) != 1;
    }
    CHECK_EQ(wrong, 0);
}

int main(void)
{
    static const int threads[] = {0, 1, 2, 8};

    CHECK(jobs_cores() >= 1);
    for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
        test_all(threads[i], COUNT);
        test_all(threads[i], 3);
        test_all(threads[i], 0);
        for (int round = 0; round < 20 && threads[i] > 0; round++) {
            test_failure(threads[i], round * 200);
        }
    }
    return check_result();
}
