/* jobs.c: a counter that threads draw from.
 *
 * After a failure no further job is taken. Jobs are taken in order, so every index below a failing
 * one has been taken and is finished: the lowest failing index, and so the result, does not depend
 * on timing. */
#include "support/jobs.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

enum { THREADS_MAX = 1024, STACK_SIZE = 16 << 20 /* LLVM recurses */ };

typedef struct Jobs {
    _Atomic int64_t next;
    atomic_bool stop;
    int64_t count;
    JobBody body;
    void *context;
} Jobs;

typedef struct Worker {
    Jobs *jobs;
    pthread_t thread;
    bool started;
    int number;
    int64_t failed; /* lowest failing index, or count */
    Status status;
} Worker;

static void *work(void *argument)
{
    Worker *w = argument;
    Jobs *j = w->jobs;

    while (!atomic_load(&j->stop)) {
        int64_t i = atomic_fetch_add(&j->next, 1);
        if (i >= j->count) break;
        Status status = j->body(j->context, i, w->number);
        if (status == OK) continue;
        w->failed = i; /* the worker stops here, so this is its lowest */
        w->status = status;
        atomic_store(&j->stop, true);
    }
    return NULL;
}

static Status run_alone(int64_t count, JobBody body, void *context)
{
    for (int64_t i = 0; i < count; i++) {
        TRY(body(context, i, 0));
    }
    return OK;
}

static void start(Worker *w, int threads)
{
    pthread_attr_t attributes;

    if (pthread_attr_init(&attributes) != 0) return;
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    /* A thread that cannot be had is no error: the others do its work. */
    for (int t = 1; t < threads; t++) {
        w[t].started = pthread_create(&w[t].thread, &attributes, work, &w[t]) == 0;
        if (!w[t].started) break;
    }
    pthread_attr_destroy(&attributes);
}

Status jobs_run(int threads, int64_t count, JobBody body, void *context)
{
    Jobs jobs = {.count = count, .body = body, .context = context};
    int64_t failed = count;
    Status status = OK;

    if (threads <= 0) threads = jobs_cores();
    if (threads > THREADS_MAX) threads = THREADS_MAX;
    if (threads > count) threads = (int)count;
    Worker *w = threads > 1 ? calloc((size_t)threads, sizeof *w) : NULL;
    if (!w) return run_alone(count, body, context);
    for (int t = 0; t < threads; t++) {
        w[t] = (Worker){.jobs = &jobs, .number = t, .failed = count};
    }
    start(w, threads);
    work(&w[0]);
    for (int t = 0; t < threads; t++) {
        if (w[t].started) pthread_join(w[t].thread, NULL);
        if (w[t].failed < failed) {
            failed = w[t].failed;
            status = w[t].status;
        }
    }
    free(w);
    return status;
}

int jobs_cores(void)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0) return CPU_COUNT(&set);
    long n = sysconf(_SC_NPROCESSORS_ONLN); /* more cores than a cpu_set_t holds */
    return n > 0 && n < THREADS_MAX ? (int)n : 1;
}
