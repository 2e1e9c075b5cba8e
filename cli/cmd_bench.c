/* cmd_bench.c: `ingot bench`: latency, GFLOP/s against what this machine can do, time per kernel.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "cli/artifact.h"
#include "cli/ceiling.h"
#include "cli/cost.h"
#include "cli/inputs.h"
#include "support/io.h"
#include "support/jobs.h"
#include "support/json.h"

enum { WARM_UPS = 3, LEAST_RUNS = 10, MOST_RUNS = 20000, PROFILE_RUNS = 1000, CEILINGS = 4 };
#define RUN_SECONDS     1.0
#define PROFILE_SECONDS 0.5

typedef struct KernelTime {
    const char *name;
    double seconds; /* a run */
    double flops;
    int count; /* launches of this name */
} KernelTime;

typedef struct Bench {
    const Options *o;
    const char *model;
    Loaded loaded;
    Artifact artifact;
    ingot_instance *instance;
    ingot_tensor *in, *out;
    int threads;
    Ceiling *ceiling;
    double *seconds; /* of runs, sorted */
    int runs;
    Cost cost;
    KernelTime *kernel;
    int n_kernel;
    double kernel_seconds; /* their sum */
    Diag *d;
} Bench;

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static Status once(Bench *b)
{
    for (int k = 0; k < b->loaded.module->main->n_result; k++)
        b->out[k] = (ingot_tensor){0};
    return artifact_run(&b->artifact, b->instance, b->in, b->out, b->d);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static Status time_runs(Bench *b)
{
    double end;

    b->seconds = arena_try(b->o->arena, MOST_RUNS, sizeof *b->seconds);
    if (!b->seconds) return diag(b->d, ERR_LIMIT, (Where){0}, "out of memory");
    for (int i = 0; i < WARM_UPS; i++)
        TRY(once(b));
    end = now() + RUN_SECONDS;
    while (b->runs < MOST_RUNS && (b->runs < LEAST_RUNS || now() < end)) {
        double start = now();
        TRY(once(b));
        b->seconds[b->runs++] = now() - start;
    }
    qsort(b->seconds, (size_t)b->runs, sizeof *b->seconds, by_value);
    return OK;
}

static Status profile(Bench *b)
{
    int n = b->artifact.model->n_kernels, runs = 0;
    int64_t *ns = ARENA_ARRAY(b->o->arena, int64_t, n);
    double end;

    b->n_kernel = n;
    b->kernel = ARENA_ARRAY(b->o->arena, KernelTime, n);
    b->artifact.profile(b->instance, ns); /* from here on */
    end = now() + PROFILE_SECONDS;
    while (runs < PROFILE_RUNS && (runs < 3 || now() < end)) {
        TRY(once(b));
        runs++;
    }
    b->artifact.profile(b->instance, ns);
    for (int i = 0; i < n; i++) {
        b->kernel[i].name = b->artifact.model->kernel_names[i];
        b->kernel[i].seconds = 1e-9 * (double)ns[i] / runs;
        b->kernel_seconds += b->kernel[i].seconds;
    }
    return OK;
}

/* Launches are numbered in the order of their nodes. */
typedef struct Costs {
    Bench *b;
    InputDims dims;
    int at;
} Costs;

static Status cost_one(void *context, Node *n)
{
    Costs *c = context;

    if (n->kind != NODE_KERNEL) return OK;
    if (c->at < c->b->n_kernel)
        c->b->kernel[c->at].flops =
            cost_of_kernel(c->b->loaded.module, n, input_dim, &c->dims).flops;
    c->at++;
    return OK;
}

static Status count_work(Bench *b)
{
    Costs c = {.b = b, .dims = {b->loaded.module, b->in}};

    b->cost = cost_of_module(b->loaded.module, input_dim, &c.dims);
    return module_visit(b->loaded.module, cost_one, &c);
}

static int by_time(const void *a, const void *b)
{
    const KernelTime *x = a, *y = b;

    return (x->seconds < y->seconds) - (x->seconds > y->seconds);
}

static Status measure(Bench *b)
{
    for (int i = 0; i < CEILINGS; i++)
        TRY(ceiling_measure(b->ceiling, b->d));
    TRY(time_runs(b));
    for (int i = 0; i < CEILINGS; i++)
        TRY(ceiling_measure(b->ceiling, b->d));
    TRY(profile(b));
    TRY(count_work(b));
    if (b->n_kernel) qsort(b->kernel, (size_t)b->n_kernel, sizeof *b->kernel, by_time);
    return OK;
}

/* ---- telling ---- */

static double milliseconds(const Bench *b, double quantile)
{
    return 1e3 * b->seconds[(int)(quantile * (b->runs - 1))];
}

static double gflops(double flops, double seconds)
{
    return seconds > 0 ? flops / seconds / 1e9 : 0;
}

static void put_double(Json *j, const char *key, double v)
{
    json_key(j, key);
    json_double(j, v);
}

static void put_int(Json *j, const char *key, int64_t v)
{
    json_key(j, key);
    json_int(j, v);
}

static void put_kernels(const Bench *b, Json *j)
{
    json_key(j, "kernels");
    json_array(j);
    for (int i = 0; i < b->n_kernel; i++) {
        const KernelTime *k = &b->kernel[i];
        json_object(j);
        json_key(j, "name");
        json_string(j, k->name);
        put_double(j, "ms", 1e3 * k->seconds);
        put_double(j, "share", b->kernel_seconds > 0 ? k->seconds / b->kernel_seconds : 0);
        put_double(j, "gflops", gflops(k->flops, k->seconds));
        json_end_object(j);
    }
    json_end_array(j);
}

static void tell_json(const Bench *b)
{
    double rate = gflops(b->cost.flops, 1e-3 * milliseconds(b, 0.5));
    double ceiling = ceiling_gflops(b->ceiling);
    Text t;
    Json j;

    text_init(&t, b->o->arena);
    json_init(&j, &t);
    json_object(&j);
    json_key(&j, "model");
    json_string(&j, b->model);
    json_key(&j, "target");
    json_string(&j, b->artifact.level(b->instance));
    put_int(&j, "threads", b->threads);
    put_int(&j, "runs", b->runs);
    json_key(&j, "latency_ms");
    json_object(&j);
    put_double(&j, "min", milliseconds(b, 0));
    put_double(&j, "median", milliseconds(b, 0.5));
    put_double(&j, "p90", milliseconds(b, 0.9));
    json_end_object(&j);
    put_double(&j, "flops", b->cost.flops);
    json_key(&j, "flops_exact");
    json_bool(&j, b->cost.exact);
    put_double(&j, "bytes", b->cost.bytes);
    put_double(&j, "gflops", rate);
    put_double(&j, "ceiling_gflops", ceiling);
    put_double(&j, "fraction_of_ceiling", ceiling > 0 ? rate / ceiling : 0);
    put_kernels(b, &j);
    json_end_object(&j);
    printf("%s\n", t.s);
}

static void tell_text(const Bench *b)
{
    double rate = gflops(b->cost.flops, 1e-3 * milliseconds(b, 0.5));
    double ceiling = ceiling_gflops(b->ceiling);

    printf("%d runs, %d thread%s, %s: min %.4g ms, median %.4g ms, p90 %.4g ms\n", b->runs,
           b->threads, b->threads == 1 ? "" : "s", b->artifact.level(b->instance),
           milliseconds(b, 0), milliseconds(b, 0.5), milliseconds(b, 0.9));
    printf("%.4g MFLOP%s: %.4g GFLOP/s, %.1f %% of %.4g GFLOP/s, this machine's ceiling now\n",
           b->cost.flops / 1e6, b->cost.exact ? "" : " at least", rate,
           ceiling > 0 ? 100 * rate / ceiling : 0, ceiling);
    if (b->kernel_seconds > 0) printf("\n   us/run      %%   GFLOP/s  kernel\n");
    for (int i = 0; i < b->n_kernel && b->kernel[i].seconds > 0; i++) {
        const KernelTime *k = &b->kernel[i];
        printf("%9.1f  %5.1f  %8.2f  %s\n", 1e6 * k->seconds, 100 * k->seconds / b->kernel_seconds,
               gflops(k->flops, k->seconds), k->name);
    }
}

static Status bench(Bench *b, const char *folder)
{
    const Options *o = b->o;
    Options level;
    Module *m;

    b->threads = o->threads.value ? (int)o->threads.value : jobs_cores();
    TRY(session_load(o, b->model, &b->loaded, b->d));
    m = b->loaded.module;
    TRY(session_fuse(o, m, b->d));
    TRY(inputs_read(o, m, b->model, INPUT_TESTS, &b->in, b->d));
    TRY(artifact_open(o, m, folder, "model", &b->artifact, b->d));
    TRY(artifact_create(&b->artifact, b->threads, &b->instance, b->d));
    level = *o;
    level.target = b->artifact.level(b->instance);
    TRY(ceiling_open(&level, folder, b->threads, &b->ceiling, b->d));
    b->out = ARENA_ARRAY(o->arena, ingot_tensor, m->main->n_result);
    return measure(b);
}

Status cmd_bench(const Options *o, Diag *d)
{
    Bench b = {.o = o, .model = o->argument.item[0], .d = d};
    const char *folder;
    Status s;

    if (o->threads.value < 0 || o->threads.value > 1024)
        return diag(d, ERR_USAGE, (Where){0}, "--threads takes 0 to 1024");
    TRY(folder_temporary(o->arena, &folder, d));
    s = bench(&b, folder);
    if (s == OK && o->json) tell_json(&b);
    if (s == OK && !o->json) tell_text(&b);
    if (b.instance) b.artifact.destroy(b.instance);
    artifact_close(&b.artifact);
    ceiling_close(b.ceiling);
    if (b.in) inputs_free(b.loaded.module, b.in);
    frontend_close(&b.loaded);
    folder_remove(folder);
    return s;
}
