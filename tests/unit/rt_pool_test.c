/* The pool and the instance: every task runs exactly once whatever the counts, errors come out as
 * text, inputs are checked at the door, memory is lent, and the floating-point mode is the caller's
 * again afterwards. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "runtime/rt.h"
#include "tests/unit/check.h"

enum { MOST = 5000, UNITS_OF_SHARE = 32 };

/* ---- a model written by hand: y[n] = 2 x[n], with counters ---- */

typedef struct Probe {
    _Atomic int hits[MOST];
    _Atomic int calls;
    _Atomic int smallest; /* of the parts */
    _Atomic int bad_mode;
    int64_t count, grain, scratch;
} Probe;

static void probe_kernel(const ingot_kernel_args *a, int64_t begin, int64_t end, void *scratch)
{
    Probe *p = a->ptr[0];
    int least = atomic_load(&p->smallest);

    atomic_fetch_add(&p->calls, 1);
    while ((int)(end - begin) < least &&
           !atomic_compare_exchange_weak(&p->smallest, &least, (int)(end - begin))) {
    }
    if ((ingot_rt_fp_get() & ~0x3fu) != (ingot_rt_fp_mode(false) & ~0x3fu))
        atomic_fetch_add(&p->bad_mode, 1);
    if (p->scratch) memset(scratch, 1, (size_t)p->scratch);
    for (int64_t i = begin; i < end; i++)
        atomic_fetch_add(&p->hits[i], 1);
}

/* Input 0 holds the address of a Probe: how the test talks to its kernel without a global. */
static int32_t probe_run(ingot_call *c)
{
    Probe *p = *(Probe **)c->in[0].data;
    void *ptr[] = {p};
    ingot_kernel_args args = {.call = c, .ptr = ptr, .origin = 0, .kernel = 0};

    return ingot_rt_parallel(c, probe_kernel, &args, p->count, p->grain, p->scratch);
}

static void fail_kernel(const ingot_kernel_args *a, int64_t begin, int64_t end, void *scratch)
{
    (void)end;
    (void)scratch;
    ingot_rt_fail(a->call, INGOT_ERR_DATA, a->origin, "index %lld out of range for an axis of %lld",
                  begin * 0 + 9, 4);
}

static int32_t fail_run(ingot_call *c)
{
    ingot_kernel_args args = {.call = c, .origin = 1, .kernel = 0};

    return ingot_rt_parallel(c, fail_kernel, &args, 64, 1, 0);
}

static const char *const symbols_nk[] = {"N", NULL};
static const int64_t dims_n4[] = {-1, 4}, dims_8[] = {1};
static const char *const origins[] = {"first", "take"};
static const char *const kernels[] = {"k0"};

static const ingot_port probe_inputs[] = {{"probe", INGOT_U64, 1, dims_8, NULL, 0}};
static const ingot_model probe_model = {.abi_version = INGOT_ABI_VERSION,
                                        .n_inputs = 1,
                                        .inputs = probe_inputs,
                                        .name = "probe",
                                        .arena_size = -1,
                                        .n_origins = 2,
                                        .origins = origins,
                                        .run = probe_run,
                                        .n_kernels = 1,
                                        .kernel_names = kernels};
static const ingot_model fail_model = {.abi_version = INGOT_ABI_VERSION,
                                       .n_inputs = 1,
                                       .inputs = probe_inputs,
                                       .name = "fail",
                                       .arena_size = -1,
                                       .n_origins = 2,
                                       .origins = origins,
                                       .run = fail_run,
                                       .n_kernels = 1,
                                       .kernel_names = kernels};

static ingot_tensor probe_input(Probe **p)
{
    return (ingot_tensor){.data = p, .dtype = INGOT_U64, .rank = 1, .dims = {1}};
}

static void reset(Probe *p, int64_t count, int64_t grain)
{
    memset(p->hits, 0, sizeof p->hits);
    p->calls = 0;
    p->smallest = MOST + 1;
    p->bad_mode = 0;
    p->count = count;
    p->grain = grain;
    p->scratch = count % 3 ? 256 + count : 0;
}

static void check_once(const Probe *p, int threads)
{
    int wrong = 0;

    for (int i = 0; i < MOST; i++)
        wrong += p->hits[i] != (i < p->count);
    CHECK_EQ(wrong, 0);
    CHECK_EQ(p->bad_mode, 0);
    if (p->count > 0) CHECK(p->calls >= 1 && p->calls <= threads * UNITS_OF_SHARE);
    if (p->calls > 1) CHECK(p->smallest >= p->grain);
    if (threads == 1 || p->count <= p->grain) CHECK(p->calls <= 1);
}

static void test_every_task_once(void)
{
    static const int64_t counts[] = {0, 1, 2, 3, 7, 8, 9, 63, 64, 65, 1000, 4999, 5000};
    static const int64_t grains[] = {1, 2, 8, 64, 10000};
    Probe *p = malloc(sizeof *p);

    for (int threads = 1; threads <= 9; threads += threads < 4 ? 1 : 5) {
        ingot_options o = {.threads = threads};
        ingot_instance *m;
        ingot_tensor in = probe_input(&p);

        CHECK_EQ(ingot_create(&probe_model, &o, &m), 0);
        for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
            for (size_t g = 0; g < sizeof grains / sizeof *grains; g++) {
                reset(p, counts[c], grains[g]);
                CHECK_EQ(ingot_run(m, &in, NULL), 0);
                check_once(p, threads);
            }
        }
        ingot_destroy(m);
    }
    free(p);
}

/* Every part waits until all have begun: this ends soon only if the parts run at the same time. */
static void meet_kernel(const ingot_kernel_args *a, int64_t begin, int64_t end, void *scratch)
{
    Probe *p = a->ptr[0];
    int64_t give_up = ingot_rt_now() + INT64_C(20000000000);

    (void)scratch;
    (void)end;
    atomic_fetch_add(&p->calls, 1);
    while (atomic_load(&p->calls) < (int)p->count && ingot_rt_now() < give_up)
        sched_yield();
    atomic_fetch_add(&p->hits[begin], atomic_load(&p->calls) == (int)p->count);
}

static int32_t meet_run(ingot_call *c)
{
    Probe *p = *(Probe **)c->in[0].data;
    void *ptr[] = {p};
    ingot_kernel_args args = {.call = c, .ptr = ptr};

    return ingot_rt_parallel(c, meet_kernel, &args, p->count, 1, 0);
}

static void test_threads_work_together(void)
{
    ingot_model model = probe_model;
    ingot_options o = {.threads = 4};
    ingot_instance *m;
    Probe *p = malloc(sizeof *p);
    ingot_tensor in = probe_input(&p);

    model.run = meet_run;
    reset(p, 4, 1);
    CHECK_EQ(ingot_create(&model, &o, &m), 0);
    CHECK_EQ(ingot_run(m, &in, NULL), 0);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(p->hits[i], 1);
    ingot_destroy(m);
    free(p);
}

/* The first task waits until nothing is left but what was taken together with it. */
static void slow_kernel(const ingot_kernel_args *a, int64_t begin, int64_t end, void *scratch)
{
    Probe *p = a->ptr[0];
    int64_t give_up = ingot_rt_now() + INT64_C(20000000000);

    (void)scratch;
    if (begin == 0) {
        while (atomic_load(&p->calls) < (int)(p->count - end) && ingot_rt_now() < give_up)
            sched_yield();
        p->smallest = (int)end;
    }
    for (int64_t i = begin; i < end; i++) {
        atomic_fetch_add(&p->hits[i], 1);
        atomic_fetch_add(&p->calls, 1);
    }
}

static int32_t slow_run(ingot_call *c)
{
    Probe *p = *(Probe **)c->in[0].data;
    void *ptr[] = {p};
    ingot_kernel_args args = {.call = c, .ptr = ptr};
    int64_t begin = ingot_rt_now();
    int32_t error = ingot_rt_parallel(c, slow_kernel, &args, p->count, 1, 0);

    CHECK(ingot_rt_now() - begin < INT64_C(10000000000));
    return error;
}

static void test_shares_of_the_slow_are_done_by_others(void)
{
    ingot_model model = probe_model;
    Probe *p = malloc(sizeof *p);
    ingot_tensor in = probe_input(&p);

    model.run = slow_run;
    for (int threads = 2; threads < 6; threads++) {
        ingot_options o = {.threads = threads};
        ingot_instance *m;
        int wrong = 0;

        reset(p, 1000, 1);
        CHECK_EQ(ingot_create(&model, &o, &m), 0);
        CHECK_EQ(ingot_run(m, &in, NULL), 0);
        for (int i = 0; i < 1000; i++)
            wrong += p->hits[i] != 1;
        CHECK_EQ(wrong, 0);
        CHECK(p->smallest < 1000 / threads); /* the slow one did not take all of its share */
        ingot_destroy(m);
    }
    free(p);
}

/* Many short forks in one run, hot; and the sum is right each time. */
static int32_t many_run(ingot_call *c)
{
    Probe *p = *(Probe **)c->in[0].data;
    void *ptr[] = {p};
    ingot_kernel_args args = {.call = c, .ptr = ptr};

    for (int i = 0; i < 3000; i++)
        ingot_rt_parallel(c, probe_kernel, &args, p->count, 1, 0);
    return 0;
}

static void test_hot_forks(void)
{
    ingot_model model = probe_model;
    ingot_options o = {.threads = 3};
    ingot_instance *m;
    Probe *p = malloc(sizeof *p);
    ingot_tensor in = probe_input(&p);
    int wrong = 0;

    model.run = many_run;
    reset(p, 7, 1);
    p->scratch = 0;
    CHECK_EQ(ingot_create(&model, &o, &m), 0);
    CHECK_EQ(ingot_run(m, &in, NULL), 0);
    for (int i = 0; i < 7; i++)
        wrong += p->hits[i] != 3000;
    CHECK_EQ(wrong, 0);
    ingot_destroy(m);
    free(p);
}

static int64_t cpu_nanoseconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Workers may wait awake for the next of many runs, but not for long. */
static void test_idle_workers_sleep(void)
{
    ingot_options o = {.threads = 3};
    ingot_instance *m;
    Probe *p = malloc(sizeof *p);
    ingot_tensor in = probe_input(&p);
    int64_t before;

    reset(p, 7, 1);
    CHECK_EQ(ingot_create(&probe_model, &o, &m), 0);
    for (int i = 0; i < 1000; i++)
        CHECK_EQ(ingot_run(m, &in, NULL), 0);
    before = cpu_nanoseconds();
    usleep(50000);
    CHECK(cpu_nanoseconds() - before < 10000000);
    ingot_destroy(m);
    free(p);
}

/* Four threads, four instances, one pool. */
static void *shared_main(void *argument)
{
    ingot_options o = {.pool = argument};
    ingot_instance *m;
    Probe *p = malloc(sizeof *p);
    ingot_tensor in = probe_input(&p);

    CHECK_EQ(ingot_create(&probe_model, &o, &m), 0);
    for (int i = 0; i < 200; i++) {
        reset(p, 50 + i, 1);
        CHECK_EQ(ingot_run(m, &in, NULL), 0);
        check_once(p, 4);
    }
    ingot_destroy(m);
    free(p);
    return NULL;
}

static void test_shared_pool(void)
{
    ingot_pool *pool;
    pthread_t thread[4];

    CHECK_EQ(ingot_pool_create(4, &pool), 0);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(pthread_create(&thread[i], NULL, shared_main, pool), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(thread[i], NULL);
    ingot_pool_destroy(pool);
    ingot_pool_destroy(NULL);
}

static void test_error_text(void)
{
    ingot_options o = {.threads = 4};
    ingot_instance *m;
    Probe *p = NULL;
    ingot_tensor in = probe_input(&p);

    CHECK_EQ(ingot_create(&fail_model, &o, &m), 0);
    CHECK_STR(ingot_error(m), "");
    CHECK_EQ(ingot_run(m, &in, NULL), INGOT_ERR_DATA);
    CHECK_STR(ingot_error(m), "node 'take': index 9 out of range for an axis of 4");
    ingot_destroy(m);
    ingot_destroy(NULL);
}

/* A forked child has no workers: the forker does all the work, and destroy does not wait for
 * anybody. */
static void test_forked_child(void)
{
    ingot_options o = {.threads = 3};
    ingot_instance *m;
    Probe *p = malloc(sizeof *p);
    ingot_tensor in = probe_input(&p);
    int status = -1;
    pid_t child;

    CHECK_EQ(ingot_create(&probe_model, &o, &m), 0);
    reset(p, 100, 1);
    CHECK_EQ(ingot_run(m, &in, NULL), 0);
    child = fork();
    if (child == 0) {
        reset(p, 300, 1);
        int failed = ingot_run(m, &in, NULL) != 0 || p->hits[299] != 1 || p->hits[0] != 1;
        ingot_destroy(m);
        _exit(failed);
    }
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    ingot_destroy(m);
    free(p);
}

/* ---- inputs, outputs, segments ---- */

static void double_kernel(const ingot_kernel_args *a, int64_t begin, int64_t end, void *scratch)
{
    const float *x = a->ptr[0];
    float *y = a->ptr[1];

    (void)scratch;
    for (int64_t i = begin; i < end; i++)
        y[i] = 2 * x[i];
}

static int32_t double_run(ingot_call *c)
{
    int64_t n = c->in[0].dims[0];
    void *ptr[2] = {c->in[0].data, NULL};
    char *s0, *s1;

    c->out[0].rank = 2;
    c->out[0].dims[0] = n;
    c->out[0].dims[1] = 4;
    ptr[1] = ingot_rt_output(c, 0, n * 16);
    s0 = ingot_rt_segment(c, 0, n * 100 + 1);
    s1 = ingot_rt_segment(c, 1, 64);
    if (!ptr[1] || !s0 || !s1) return c->error;
    memset(s0, 1, (size_t)n * 100 + 1);
    memset(s1, 2, 64);
    if (s0[n * 100] != 1 || (uintptr_t)s0 % 64 || (uintptr_t)s1 % 64) return INGOT_ERR_BUG;
    ingot_kernel_args args = {.call = c, .ptr = ptr, .origin = -1, .kernel = 0};
    return ingot_rt_parallel(c, double_kernel, &args, n * 4, 1, 0);
}

static const ingot_port double_inputs[] = {{"x", INGOT_F32, 2, dims_n4, symbols_nk, 0},
                                           {"z", INGOT_F32, 2, dims_n4, symbols_nk, 1}};
static const ingot_port double_outputs[] = {{"y", INGOT_F32, 2, dims_n4, symbols_nk, 0}};
static const ingot_model double_model = {.abi_version = INGOT_ABI_VERSION,
                                         .n_inputs = 2,
                                         .n_outputs = 1,
                                         .inputs = double_inputs,
                                         .outputs = double_outputs,
                                         .name = "double",
                                         .arena_size = 200,
                                         .n_segments = 2,
                                         .run = double_run,
                                         .n_kernels = 1,
                                         .kernel_names = kernels};

static ingot_tensor f32(const float *x, int64_t n, int64_t c)
{
    return (ingot_tensor){
        .data = (void *)(uintptr_t)x, .dtype = INGOT_F32, .rank = 2, .dims = {n, c}};
}

static void test_inputs_are_checked(void)
{
    static const float x[64];
    ingot_instance *m;
    ingot_tensor out = {0}, in[2] = {f32(x, 2, 4), {0}};

    CHECK_EQ(ingot_create(&double_model, NULL, &m), 0);
    CHECK_EQ(ingot_run(m, in, &out), 0);
    in[0].dims[1] = 5;
    CHECK_EQ(ingot_run(m, in, &out), INGOT_ERR_USAGE);
    CHECK_STR(ingot_error(m), "input 'x': wrong size: found f32[2,5], expected f32[N,4]");
    in[0] = f32(x, 2, 4);
    in[0].dtype = INGOT_F64;
    CHECK_EQ(ingot_run(m, in, &out), INGOT_ERR_USAGE);
    CHECK_STR(ingot_error(m), "input 'x': wrong dtype: found f64[2,4], expected f32[N,4]");
    in[0] = f32(x, 2, 4);
    in[0].rank = 77;
    CHECK_EQ(ingot_run(m, in, &out), INGOT_ERR_USAGE);
    in[0] = f32(x, INT64_MAX / 2, 4);
    CHECK_EQ(ingot_run(m, in, &out), INGOT_ERR_USAGE);
    in[0] = f32(x, -1, 4);
    CHECK_EQ(ingot_run(m, in, &out), INGOT_ERR_USAGE);
    in[0] = f32((const float *)(const void *)((const char *)x + 1), 2, 4);
    CHECK_EQ(ingot_run(m, in, &out), INGOT_ERR_USAGE);
    in[0] = f32(NULL, 2, 4);
    CHECK_EQ(ingot_run(m, in, &out), INGOT_ERR_USAGE);
    in[0] = f32(x, 2, 4);
    in[1] = f32(x, 3, 4);
    CHECK_EQ(ingot_run(m, in, &out), INGOT_ERR_USAGE);
    CHECK_STR(ingot_error(m), "input 'z': dim 0 ('N') is 3, but an earlier dim of that name is 2");
    CHECK_EQ(ingot_run(m, NULL, &out), INGOT_ERR_USAGE);
    in[1] = f32(x, 2, 4);
    CHECK_EQ(ingot_run(m, in, &out), 0);
    CHECK_STR(ingot_error(m), "");
    ingot_destroy(m);
}

static void test_outputs(void)
{
    float x[64], mine[64] = {0};
    ingot_instance *m;
    ingot_tensor out = {0}, in[2] = {f32(x, 1, 4), {0}};

    for (int i = 0; i < 64; i++)
        x[i] = (float)i;
    CHECK_EQ(ingot_create(&double_model, NULL, &m), 0);
    for (int n = 1; n <= 16;
         n *= 2) { /* the tensor of the last run is handed back: lent again, and grown */
        in[0] = f32(x, n, 4);
        CHECK_EQ(ingot_run(m, in, &out), 0);
        CHECK_EQ(out.dims[0], n);
        CHECK_EQ(out.dtype, INGOT_F32);
        CHECK(((float *)out.data)[n * 4 - 1] == 2 * x[n * 4 - 1]);
    }
    out = (ingot_tensor){.data = mine, .capacity = sizeof mine};
    CHECK_EQ(ingot_run(m, in, &out), 0);
    CHECK(out.data == mine && mine[63] == 126);
    out.capacity = 255;
    CHECK_EQ(ingot_run(m, in, &out), INGOT_ERR_USAGE);
    CHECK_STR(ingot_error(m), "an output needs 256 bytes, the buffer given for it has 255");
    ingot_destroy(m);
}

static void test_limits(void)
{
    static const float x[4000];
    ingot_options o = {.threads = 1, .memory_limit = 1000};
    ingot_instance *m;
    ingot_tensor out = {0}, in[2] = {f32(x, 2, 4), {0}};

    CHECK_EQ(ingot_create(&double_model, &o, &m), 0);
    CHECK_EQ(ingot_run(m, in, &out), 0);
    in[0] = f32(x, 1000, 4);
    CHECK_EQ(ingot_run(m, in, &out), INGOT_ERR_LIMIT);
    CHECK(strstr(ingot_error(m), "memory limit of 1000") != NULL);
    ingot_destroy(m);
    o.memory_limit = 100;
    CHECK_EQ(ingot_create(&double_model, &o, &m), INGOT_ERR_LIMIT);
    CHECK(m == NULL);
}

typedef struct Budget {
    int left, live, total;
} Budget;

static void *budget_allocate(void *context, size_t size, size_t align)
{
    Budget *b = context;
    void *p = NULL;

    if (b->left-- <= 0 || posix_memalign(&p, align, size) != 0) return NULL;
    b->live++;
    b->total++;
    return p;
}

static void budget_release(void *context, void *p, size_t size)
{
    (void)size;
    ((Budget *)context)->live--;
    free(p);
}

/* Failure at each allocation in turn; and none between create and destroy once the shapes are
 * known. */
static void test_allocation_failures(void)
{
    static const float x[64];
    int fine = 0;

    for (int left = 0; left < 40 && !fine; left++) {
        Budget b = {left, 0, 0};
        ingot_options o = {
            .threads = 2, .allocate = budget_allocate, .release = budget_release, .context = &b};
        ingot_instance *m;
        ingot_tensor out = {0}, in[2] = {f32(x, 1, 4), {0}};
        int32_t status = ingot_create(&double_model, &o, &m);

        CHECK(status == INGOT_OK || status == INGOT_ERR_LIMIT);
        CHECK((status == INGOT_OK) == (m != NULL));
        if (m) status = ingot_run(m, in, &out);
        CHECK(status == INGOT_OK || status == INGOT_ERR_LIMIT);
        fine = status == INGOT_OK;
        if (fine) {
            int before = b.total;
            CHECK_EQ(ingot_run(m, in, &out), 0);
            CHECK_EQ(b.total, before);
        }
        ingot_destroy(m);
        CHECK_EQ(b.live, 0);
    }
    CHECK(fine);
}

static void test_profile_and_mode(void)
{
    static const float x[64];
    ingot_instance *m;
    ingot_tensor out = {0}, in[2] = {f32(x, 2, 4), {0}};
    int64_t ns[1] = {-1};
    uint32_t before = ingot_rt_fp_get();

    CHECK_EQ(ingot_create(&double_model, NULL, &m), 0);
    ingot_profile(m, ns);
    CHECK_EQ(ns[0], 0);
    ingot_rt_fp_set(before | 0x6000); /* the caller rounds toward zero */
    CHECK_EQ(ingot_run(m, in, &out), 0);
    CHECK_EQ(ingot_rt_fp_get() & 0x6000, (before | 0x6000) & 0x6000);
    ingot_rt_fp_set(before);
    ingot_profile(m, ns);
    CHECK(ns[0] > 0);
    ingot_destroy(m);
}

static void test_wrong_versions(void)
{
    ingot_model model = double_model;
    ingot_instance *m;
    char text[256];

    model.abi_version = 99;
    CHECK_EQ(ingot_create(&model, NULL, &m), INGOT_ERR_TARGET);
    CHECK_EQ(ingot_create(NULL, NULL, &m), INGOT_ERR_USAGE);
    CHECK_EQ(ingot_create_explained(&model, NULL, &m, text, sizeof text), INGOT_ERR_TARGET);
    CHECK(strstr(text, "version 99") != NULL);
    CHECK_STR(ingot_error(NULL), "there is no instance");
}

int main(void)
{
    test_every_task_once();
    test_threads_work_together();
    test_shares_of_the_slow_are_done_by_others();
    test_hot_forks();
    test_idle_workers_sleep();
    test_shared_pool();
    test_error_text();
    test_forked_child();
    test_inputs_are_checked();
    test_outputs();
    test_limits();
    test_allocation_failures();
    test_profile_and_mode();
    test_wrong_versions();
    return check_result();
}
