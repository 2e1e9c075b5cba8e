/* rt_pool.c: fork and join.
 *
 * The thread that forks works too: it is worker 0. Every other worker has a mailbox, one word in a
 * cache line of its own, that tells what it does:
 *
 *     IDLE ---(fork)---> READY ---(worker)---> TAKEN ---(worker, done)---> IDLE
 *      |                   ^ |                   |
 *      v (nothing to do)   | v (the forker)      v (the forker waits long)
 *     ASLEEP ----(fork)----+ IDLE              WAITED ---(worker, done)---> IDLE and wake the
 * forker
 *
 * [0, count) is cut into equal shares, one a thread, and a share into units that are still worth a
 * call. A thread takes half of what is left of its own share, from the front, until that is empty;
 * then half of what is left of another's, from the back. So a share whose thread is slow, or has
 * not come yet (it may be asleep, or not exist in a forked child), is done by the others: nobody
 * waits for a thread to wake up, and all end within a unit of each other. Who does what depends on
 * the moment, and no bit of a result on that. A cold pool costs one futex call a worker, and a hot
 * one an exchange of two cache lines.
 *
 * Inside a run, an idle worker spins for 50 us before it sleeps. Between runs it sleeps at once,
 * unless the run before had begun within 50 us of its predecessor's end: who runs a model back to
 * back finds its workers awake, everybody else pays for no spinning.
 * Threads are started by the first fork that has work for them. A pool that is shared by instances
 * serves one fork at a time; whoever finds it busy does its work alone, which changes no bit of the
 * result. Kernels must not fork. */
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "runtime/rt.h"

#define SPIN_NANOSECONDS 50000
#define WORKER_STACK     ((size_t)4 << 20)
#define MOST_THREADS     1024
#define UNITS_OF_SHARE   32 /* at most */

enum { IDLE, READY, TAKEN, WAITED, ASLEEP, QUIT };

/* What is left of a share: the units [high half, low half). */
typedef _Atomic uint64_t PoolShare;

typedef struct PoolWorker {
    _Alignas(64) _Atomic uint32_t state;
    int32_t index; /* of its share; from 1 */
    PoolShare share;
    ingot_pool *pool;
    RtBlock scratch;
    pthread_t thread;
} PoolWorker;

struct ingot_pool {
    /* The job: written by the forker while all workers are IDLE or ASLEEP, read by those that have
     * TAKEN. */
    ingot_kernel kernel;
    const ingot_kernel_args *args;
    int64_t count;
    int32_t units;  /* of about count / units tasks */
    int32_t shares; /* of threads that take part */
    uint32_t fp_mode;

    int32_t threads; /* the forker included */
    int32_t started; /* workers that exist; no more are tried once one could not be started */
    bool start_failed;
    pid_t owner;         /* the process in which the workers live: a forked child has none */
    PoolWorker *workers; /* [threads - 1] */
    RtMemory memory;
    RtBlock self;
    _Alignas(64) PoolShare share;        /* the forker's */
    _Alignas(64) _Atomic uint32_t busy;  /* somebody forks */
    _Alignas(64) _Atomic int32_t active; /* runs under way */
    _Atomic int32_t brisk;               /* the last run began soon after the one before it */
    _Atomic int64_t left;                /* when the last run ended */
};

int64_t ingot_rt_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void futex_wait(_Atomic uint32_t *word, uint32_t expected)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, NULL, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static inline void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* The first task of a unit. Nobody has 2^47 tasks. */
static int64_t unit_begin(const ingot_pool *p, uint32_t unit)
{
    return p->count * unit / p->units;
}

static PoolShare *share_at(ingot_pool *p, int32_t index)
{
    return index ? &p->workers[index - 1].share : &p->share;
}

static uint64_t share_make(uint32_t begin, uint32_t end)
{
    return (uint64_t)begin << 32 | end;
}

/* Half of what is left, and its run; false when nothing is. */
static bool run_half(const ingot_pool *p, PoolShare *share, void *scratch)
{
    uint64_t left = atomic_load_explicit(share, memory_order_relaxed);
    uint32_t begin, end, half;

    do {
        begin = (uint32_t)(left >> 32);
        end = (uint32_t)left;
        if (begin >= end) return false;
        half = begin + (end - begin + 1) / 2;
    } while (!atomic_compare_exchange_weak_explicit(share, &left, share_make(half, end),
                                                    memory_order_relaxed, memory_order_relaxed));
    p->kernel(p->args, unit_begin(p, begin), unit_begin(p, half), scratch);
    return true;
}

/* The own share, then what others have left. */
static void run_shares(ingot_pool *p, int32_t own, void *scratch)
{
    for (int32_t i = 0; i < p->shares; i++) {
        PoolShare *share = share_at(p, (own + i) % p->shares);
        while (run_half(p, share, scratch)) {
        }
    }
}

/* There may be work within microseconds. */
static bool is_expected(const ingot_pool *p)
{
    return atomic_load_explicit(&p->active, memory_order_relaxed) ||
           atomic_load_explicit(&p->brisk, memory_order_relaxed);
}

/* Until the mailbox holds READY or QUIT: spin while a run is under way, then sleep. */
static uint32_t await_job(PoolWorker *me)
{
    int64_t end = 0;

    for (unsigned turn = 0;; turn++) {
        uint32_t state = atomic_load_explicit(&me->state, memory_order_acquire);
        if (state == READY || state == QUIT) return state;
        if (state == ASLEEP) {
            futex_wait(&me->state, ASLEEP);
            end = 0;
            continue;
        }
        if (turn % 32 == 0) {
            int64_t now = ingot_rt_now();
            if (!end) end = now + SPIN_NANOSECONDS;
            if (now >= end || !is_expected(me->pool)) {
                uint32_t expected = IDLE;
                atomic_compare_exchange_strong(&me->state, &expected, ASLEEP);
                continue;
            }
        }
        relax();
    }
}

static void *worker_main(void *argument)
{
    PoolWorker *me = argument;

    while (await_job(me) == READY) {
        uint32_t expected = READY;
        if (!atomic_compare_exchange_strong(&me->state, &expected, TAKEN)) continue;
        ingot_rt_fp_set(me->pool->fp_mode);
        run_shares(me->pool, me->index, me->scratch.data);
        if (atomic_exchange(&me->state, IDLE) == WAITED) futex_wake(&me->state);
    }
    return NULL;
}

/* Usable cores, at least 1. */
static int32_t count_cores(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;

    return n > 0 ? n : 1;
}

ingot_pool *ingot_rt_pool_make(int32_t threads, const RtMemory *memory)
{
    RtBlock self = {0};
    ingot_pool *p;
    size_t n;

    if (threads <= 0) threads = count_cores();
    if (threads > MOST_THREADS) threads = MOST_THREADS;
    n = (size_t)threads - 1;
    if (!ingot_rt_grow(memory, &self, sizeof *p + n * sizeof *p->workers)) return NULL;
    p = memset(self.data, 0, self.size);
    p->self = self;
    p->memory = *memory;
    p->threads = threads;
    p->workers = (PoolWorker *)(void *)(p + 1);
    for (size_t i = 0; i < n; i++) {
        p->workers[i].pool = p;
        p->workers[i].index = (int32_t)i + 1;
    }
    return p;
}

int32_t ingot_pool_create(int32_t threads, ingot_pool **out)
{
    RtMemory memory = {0};

    if (!out) return INGOT_ERR_USAGE;
    *out = ingot_rt_pool_make(threads, &memory);
    return *out ? INGOT_OK : INGOT_ERR_LIMIT;
}

void ingot_pool_destroy(ingot_pool *p)
{
    if (!p) return;
    if (p->started && p->owner != getpid()) p->started = 0;
    for (int32_t i = 0; i < p->started; i++) {
        atomic_exchange(&p->workers[i].state, QUIT);
        futex_wake(&p->workers[i].state);
    }
    for (int32_t i = 0; i < p->started; i++)
        pthread_join(p->workers[i].thread, NULL);
    for (int32_t i = 0; i < p->threads - 1; i++)
        ingot_rt_release(&p->memory, &p->workers[i].scratch);
    RtMemory memory = p->memory;
    RtBlock self = p->self;
    ingot_rt_release(&memory, &self);
}

void ingot_rt_pool_enter(ingot_pool *p)
{
    if (p->threads > 1) {
        int64_t gap = ingot_rt_now() - atomic_load_explicit(&p->left, memory_order_relaxed);
        atomic_store_explicit(&p->brisk, gap < SPIN_NANOSECONDS, memory_order_relaxed);
    }
    atomic_fetch_add_explicit(&p->active, 1, memory_order_relaxed);
}

void ingot_rt_pool_leave(ingot_pool *p)
{
    if (p->threads > 1) atomic_store_explicit(&p->left, ingot_rt_now(), memory_order_relaxed);
    atomic_fetch_sub_explicit(&p->active, 1, memory_order_relaxed);
}

int32_t ingot_rt_pool_threads(const ingot_pool *p)
{
    return p->threads;
}

static bool pool_lock(ingot_pool *p)
{
    return atomic_exchange_explicit(&p->busy, 1, memory_order_acquire) == 0;
}

static void pool_unlock(ingot_pool *p)
{
    atomic_store_explicit(&p->busy, 0, memory_order_release);
}

/* Only while the pool is locked: then no worker uses its scratch. */
static bool grow_scratch(ingot_pool *p, int32_t workers, int64_t size)
{
    for (int32_t i = 0; i < workers; i++) {
        if (!ingot_rt_grow(&p->memory, &p->workers[i].scratch, (size_t)size)) return false;
    }
    return true;
}

bool ingot_rt_pool_reserve(ingot_pool *p, int64_t size)
{
    bool ok;

    if (!pool_lock(p)) return false;
    ok = grow_scratch(p, p->threads - 1, size);
    pool_unlock(p);
    return ok;
}

/* Workers [started, wanted); signals are the application's business, so workers take none. */
static void start_workers(ingot_pool *p, int32_t wanted)
{
    pthread_attr_t attr;
    sigset_t all, old;

    if (pthread_attr_init(&attr) != 0) {
        p->start_failed = true;
        return;
    }
    pthread_attr_setstacksize(&attr, WORKER_STACK);
    p->owner = getpid();
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    while (p->started < wanted && !p->start_failed) {
        PoolWorker *w = &p->workers[p->started];
        if (pthread_create(&w->thread, &attr, worker_main, w) == 0) {
            p->started++;
        } else {
            p->start_failed = true;
        }
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
}

/* Wait until the worker that has taken the job is done. */
static void await_done(PoolWorker *w)
{
    int64_t end = 0;

    for (unsigned turn = 1;; turn++) {
        uint32_t state = atomic_load_explicit(&w->state, memory_order_acquire);
        if (state == IDLE || state == ASLEEP) return;
        if (state == WAITED) {
            futex_wait(&w->state, WAITED);
            continue;
        }
        if (turn % 32 == 0) {
            int64_t now = ingot_rt_now();
            if (!end) end = now + SPIN_NANOSECONDS;
            if (now >= end) {
                uint32_t expected = TAKEN;
                atomic_compare_exchange_strong(&w->state, &expected, WAITED);
                continue;
            }
        }
        relax();
    }
}

/* Equal shares, in units. */
static void cut_shares(ingot_pool *p, int64_t count, int64_t grain, int32_t shares)
{
    int64_t most = (int64_t)shares * UNITS_OF_SHARE, unit = (count + most - 1) / most;
    uint32_t begin = 0;

    p->count = count;
    p->shares = shares;
    p->units = (int32_t)(count / (unit > grain ? unit : grain));
    for (int32_t i = 0; i < shares; i++) {
        uint32_t end = (uint32_t)((int64_t)p->units * (i + 1) / shares);
        atomic_store_explicit(share_at(p, i), share_make(begin, end), memory_order_relaxed);
        begin = end;
    }
}

/* The pool is locked, its job is set and has at least two shares. */
static void fork_and_join(ingot_pool *p, void *scratch)
{
    int32_t helpers = p->shares - 1;

    for (int32_t i = 0; i < helpers; i++) {
        if (atomic_exchange(&p->workers[i].state, READY) == ASLEEP)
            futex_wake(&p->workers[i].state);
    }
    run_shares(p, 0, scratch);
    for (int32_t i = 0; i < helpers; i++) {
        uint32_t expected = READY; /* who has not come finds nothing left */
        atomic_compare_exchange_strong(&p->workers[i].state, &expected, IDLE);
        await_done(&p->workers[i]);
    }
}

/* How many threads [0, count) is worth. */
static int32_t count_shares(const ingot_pool *p, int64_t count, int64_t grain)
{
    int64_t most = count / grain;

    if (most < p->threads) return (int32_t)(most > 0 ? most : 1);
    return p->threads;
}

static int32_t run_parallel(ingot_call *c, ingot_kernel kernel, const ingot_kernel_args *args,
                            int64_t count, int64_t grain, int64_t scratch)
{
    ingot_instance *m = c->instance;
    ingot_pool *p = m->pool;
    int32_t shares = count_shares(p, count, grain);

    if (scratch > 0 && !ingot_rt_grow(&m->memory, &m->scratch, (size_t)scratch)) {
        return ingot_rt_fail(c, INGOT_ERR_LIMIT, args->origin,
                             "no memory for %lld bytes of workspace", scratch, 0);
    }
    if (shares > 1 && pool_lock(p)) {
        if (p->started < shares - 1 && !p->start_failed) start_workers(p, shares - 1);
        if (scratch > 0 && !grow_scratch(p, shares - 1, scratch)) {
            shares = 1; /* without memory for more than one, one does it all */
        } else if (p->started < shares - 1) {
            shares = p->started + 1;
        }
        if (shares > 1) {
            p->kernel = kernel;
            p->args = args;
            p->fp_mode = m->fp_mode;
            cut_shares(p, count, grain, shares);
            fork_and_join(p, m->scratch.data);
        }
        pool_unlock(p);
    } else {
        shares = 1;
    }
    if (shares == 1) kernel(args, 0, count, m->scratch.data);
    return __atomic_load_n(&c->error, __ATOMIC_RELAXED);
}

int32_t ingot_rt_parallel(ingot_call *c, ingot_kernel kernel, const ingot_kernel_args *args,
                          int64_t count, int64_t grain, int64_t scratch)
{
    int64_t *profile = c->instance->profile, start;
    int32_t error;

    if (count <= 0) return __atomic_load_n(&c->error, __ATOMIC_RELAXED);
    if (!profile || args->kernel < 0 || args->kernel >= c->instance->model->n_kernels) {
        return run_parallel(c, kernel, args, count, grain, scratch);
    }
    start = ingot_rt_now();
    error = run_parallel(c, kernel, args, count, grain, scratch);
    profile[args->kernel] += ingot_rt_now() - start;
    return error;
}
