/* ceiling.c: the multiply-add loop of cpu_ceiling.h, linked and opened like a model, on threads.
 * Measured before and after the model's own runs, and the best kept: whatever else the machine does
 * only takes away from it. */
#include "cli/ceiling.h"

#include <pthread.h>
#include <time.h>

#include "codegen/cpu/cpu_ceiling.h"
#include "codegen/link/link.h"
#include "support/dylib.h"

#define MEASURE_SECONDS 0.02
#define FIRST_ROUNDS    20000
#define MOST_THREADS    1024

struct Ceiling {
    Dylib *library;
    CpuCeiling run;
    double flops; /* of a round */
    int threads;
    int64_t rounds; /* that take MEASURE_SECONDS */
    double best;    /* GFLOP/s */
    Arena *arena;
};

typedef struct Share {
    const Ceiling *c;
    pthread_barrier_t *start;
    double seconds;
    float sum; /* so that the work is not dropped */
} Share;

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void *work(void *context)
{
    Share *s = context;
    double start;

    pthread_barrier_wait(s->start);
    start = now();
    s->sum = s->c->run(s->c->rounds, 0.9999f, 1e-4f);
    s->seconds = now() - start;
    return NULL;
}

static Status open_loop(Ceiling *c, const Options *o, const char *folder, Diag *d)
{
    static const char symbol[] = "ceiling_model"; /* what link_shared exports of NAME "ceiling" */
    const char *path = arena_printf(o->arena, "%s/ceiling.so", folder);
    const char *const names[] = {path, NULL};
    const DylibSymbol symbols[] = {{symbol, (void **)&c->run, false}};
    CodeObject object;
    LinkBytes bytes;

    TRY(cpu_ceiling_emit(o->target, symbol, o->arena, &object, &c->flops, d));
    bytes = (LinkBytes){object.data, object.size};
    TRY(link_shared(
        &(LinkInput){.name = "ceiling", .objects = &bytes, .n_objects = 1, .linker = o->linker},
        path, d));
    return dylib_open(names, symbols, 1, &c->library, d);
}

static void calibrate(Ceiling *c)
{
    double seconds = 0;

    c->rounds = FIRST_ROUNDS;
    while (c->run) {
        double start = now();
        float sum = c->run(c->rounds, 0.9999f, 1e-4f);
        seconds = now() - start;
        if (seconds > MEASURE_SECONDS / 4 || sum != sum || c->rounds > INT64_MAX / 8) break;
        c->rounds *= 2;
    }
    if (seconds > 0) c->rounds = (int64_t)((double)c->rounds * MEASURE_SECONDS / seconds) + 1;
}

Status ceiling_open(const Options *o, const char *folder, int threads, Ceiling **out, Diag *d)
{
    Ceiling *c = ARENA_NEW(o->arena, Ceiling);

    c->arena = o->arena;
    c->threads = threads > MOST_THREADS ? MOST_THREADS : threads;
    *out = c;
    TRY(open_loop(c, o, folder, d));
    calibrate(c);
    return OK;
}

Status ceiling_measure(Ceiling *c, Diag *d)
{
    pthread_t *thread = ARENA_ARRAY(c->arena, pthread_t, c->threads);
    Share *share = ARENA_ARRAY(c->arena, Share, c->threads);
    pthread_barrier_t start;
    double longest = 0, rate;
    int began = 0;

    if (pthread_barrier_init(&start, NULL, (unsigned)c->threads) != 0)
        return diag(d, ERR_LIMIT, (Where){0}, "no barrier for %d threads", c->threads);
    for (int i = 0; i < c->threads; i++)
        share[i] = (Share){.c = c, .start = &start};
    for (; began + 1 < c->threads; began++)
        if (pthread_create(&thread[began], NULL, work, &share[began]) != 0)
            /* those that wait for the barrier cannot be called off */
            return diag(d, ERR_LIMIT, (Where){0}, "only %d threads could be started", began);
    work(&share[began]);
    for (int i = 0; i < began; i++)
        pthread_join(thread[i], NULL);
    pthread_barrier_destroy(&start);
    for (int i = 0; i < c->threads; i++)
        if (share[i].seconds > longest) longest = share[i].seconds;
    rate = longest > 0 ? c->flops * (double)c->rounds * c->threads / longest / 1e9 : 0;
    if (rate > c->best) c->best = rate;
    return OK;
}

double ceiling_gflops(const Ceiling *c)
{
    return c->best;
}

void ceiling_close(Ceiling *c)
{
    if (c) dylib_close(c->library);
}
