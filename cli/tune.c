/* tune.c: --tune: which tiles the contractions of a model run fastest with, on this machine.
 *
 * The model is compiled once for each choice of codegen/tile_choice.h, all its contractions alike,
 * and run on random inputs; the profile tells how long each kernel took. So the time is bounded by
 * the number of choices, not of kernels. A choice other than the usual one has to win by more than
 * what measurements differ. What was found is remembered in a file, a line a kernel:
 *
 *     DIGEST CHOICE          digest of kernel, target, processor, threads, version of ingot
 *
 * and taken from there the next time, so that an artifact comes out the same again. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "cli/artifact.h"
#include "cli/inputs.h"
#include "support/digest.h"
#include "support/io.h"

enum { PASSES = 3, LEAST_RUNS = 3, MOST_TILES = 16, USUAL_SECONDS = 20 };
#define MARGIN 0.95 /* of the usual time, at most, for another choice */

typedef struct Tiled {
    const char *key, *remembered; /* digest of the file's line */
    double seconds[MOST_TILES];   /* a run, all launches; the least of the passes */
} Tiled;

typedef struct Tuning {
    const Options *o;
    const char *model, *path;
    Text lines;   /* of the file */
    Map kernels;  /* key -> Tiled */
    Map *choices; /* key -> choice + 1 */
    Diag *d;
} Tuning;

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- the file ---- */

static Status make_folder(const char *path, Diag *d)
{
    if (mkdir(path, 0777) == 0 || errno == EEXIST) return OK;
    return diag(d, ERR_IO, (Where){.file = path}, "cannot make this folder: %s", strerror(errno));
}

static Status find_file(Tuning *t)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME"), *folder;
    Arena *a = t->o->arena;

    t->path = t->o->tune_file;
    if (t->path) return OK;
    if ((!cache || *cache != '/') && (!home || *home != '/'))
        return diag(t->d, ERR_USAGE, (Where){0},
                    "--tune: neither XDG_CACHE_HOME nor HOME is a folder; say --tune-file FILE");
    if (!cache || *cache != '/') cache = path_join(a, home, ".cache");
    TRY(make_folder(cache, t->d));
    folder = path_join(a, cache, "ingot");
    TRY(make_folder(folder, t->d));
    t->path = path_join(a, folder, "tiles");
    return OK;
}

static Status read_file(Tuning *t)
{
    FileBytes bytes;

    text_init(&t->lines, t->o->arena);
    if (!path_exists(t->path)) return OK;
    TRY(file_read(t->path, &bytes, t->d));
    text_put_n(&t->lines, (const char *)bytes.data, bytes.size);
    file_close(&bytes);
    return OK;
}

/* What the file says of a kernel: the number of a choice, or -1. Other lines are passed over. */
static int remembered(const Tuning *t, const char *digest)
{
    const char *line = t->lines.s;

    for (; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
        if (strncmp(line, digest, 32) == 0 && line[32] == ' ') {
            char *end = NULL;
            long choice = strtol(line + 33, &end, 10);
            bool whole = end > line + 33 && (*end == '\n' || *end == 0);
            return whole && choice >= 0 && choice < n_tile_choices ? (int)choice : -1;
        }
    return -1;
}

static const char *processor(Arena *a)
{
    char line[512], *name = "";
    FILE *f = fopen("/proc/cpuinfo", "re");

    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, "model name", 10) == 0 || strncmp(line, "stepping", 8) == 0)
            name = arena_printf(a, "%s%s", name, line);
    if (f) fclose(f);
    return name;
}

static const char *digest_of(const Tuning *t, const char *key, const char *target)
{
    Arena *a = t->o->arena;
    char *out = arena_alloc(a, 33);
    const char *all = arena_printf(a, "%s\n%s\n%s\n%lld\n%s", key, target, processor(a),
                                   (long long)t->o->threads.value, INGOT_VERSION);

    digest_text(digest_bytes(all, strlen(all)), out);
    return out;
}

/* ---- measuring ---- */

static Tiled *kernel_of(Tuning *t, const char *key, const char *target)
{
    Tiled *k = map_get(&t->kernels, key);

    if (k) return k;
    k = ARENA_NEW(t->o->arena, Tiled);
    k->key = arena_strdup(t->o->arena, key);
    k->remembered = digest_of(t, key, target);
    map_set(&t->kernels, k->key, k);
    return k;
}

typedef struct Trial {
    Options o; /* with an arena of its own */
    CodegenTune tune;
    Loaded loaded;
    Artifact artifact;
    ingot_instance *instance;
    ingot_tensor *in, *out;
    const char *folder;
} Trial;

static Status trial_open(Tuning *t, int choice, Trial *x)
{
    *x = (Trial){.o = *t->o, .tune = {t->choices, choice}};
    x->o.arena = arena_new(0);
    if (!x->o.arena) return diag(t->d, ERR_LIMIT, (Where){0}, "out of memory");
    x->o.tiles = &x->tune;
    TRY(folder_temporary(x->o.arena, &x->folder, t->d));
    TRY(session_load(&x->o, t->model, &x->loaded, t->d));
    TRY(session_fuse(&x->o, x->loaded.module, t->d));
    TRY(artifact_open(&x->o, x->loaded.module, x->folder, "model", &x->artifact, t->d));
    TRY(artifact_create(&x->artifact, (int)t->o->threads.value, &x->instance, t->d));
    x->out = ARENA_ARRAY(x->o.arena, ingot_tensor, x->loaded.module->main->n_result);
    return inputs_read(&x->o, x->loaded.module, t->model, INPUT_RANDOM, &x->in, t->d);
}

static void trial_close(Trial *x)
{
    if (x->in) inputs_free(x->loaded.module, x->in);
    if (x->instance) x->artifact.destroy(x->instance);
    artifact_close(&x->artifact);
    frontend_close(&x->loaded);
    if (x->folder) folder_remove(x->folder);
    arena_free(x->o.arena);
}

static Status run_once(Tuning *t, Trial *x)
{
    for (int k = 0; k < x->loaded.module->main->n_result; k++)
        x->out[k] = (ingot_tensor){0};
    return artifact_run(&x->artifact, x->instance, x->in, x->out, t->d);
}

static void note_times(Tuning *t, const Trial *x, int choice, const int64_t *ns, int runs)
{
    int n = x->artifact.model->n_kernels;
    double *sum = ARENA_ARRAY(x->o.arena, double, n);
    Tiled **of = ARENA_ARRAY(x->o.arena, Tiled *, n);

    for (int i = 0; i < n; i++) { /* launches of one kernel together, at the first of them */
        const char *key = x->artifact.code.kernel_key[i];
        int first = 0;
        if (!key || map_has(t->choices, key)) continue;
        of[i] = kernel_of(t, key, x->artifact.model->target);
        while (of[first] != of[i])
            first++;
        sum[first] += 1e-9 * (double)ns[i] / runs;
    }
    for (int i = 0; i < n; i++)
        if (sum[i] > 0 && (of[i]->seconds[choice] == 0 || sum[i] < of[i]->seconds[choice]))
            of[i]->seconds[choice] = sum[i];
}

static Status trial_run(Tuning *t, Trial *x, int choice, double seconds)
{
    int64_t *ns = ARENA_ARRAY(x->o.arena, int64_t, x->artifact.model->n_kernels);
    double end;
    int runs = 0;

    TRY(run_once(t, x));
    x->artifact.profile(x->instance, ns); /* from here on */
    for (end = now() + seconds; runs < LEAST_RUNS || now() < end; runs++)
        TRY(run_once(t, x));
    x->artifact.profile(x->instance, ns);
    note_times(t, x, choice, ns, runs);
    return OK;
}

static Status measure(Tuning *t, int choice, double seconds)
{
    Trial x;
    Status s = trial_open(t, choice, &x);

    if (s == OK) s = trial_run(t, &x, choice, seconds);
    trial_close(&x);
    return s;
}

/* ---- choosing ---- */

/* Known kernels become choices; the number of those that are not. */
static Status look_up(Tuning *t, int *unknown)
{
    Trial x;
    Status s = trial_open(t, 0, &x);

    *unknown = 0;
    for (int i = 0; s == OK && i < x.artifact.model->n_kernels; i++) {
        const char *key = x.artifact.code.kernel_key[i];
        int choice;
        if (!key || map_has(t->choices, key) || map_has(&t->kernels, key)) continue;
        choice = remembered(t, digest_of(t, key, x.artifact.model->target));
        if (choice >= 0)
            map_set(t->choices, arena_strdup(t->o->arena, key), (void *)(uintptr_t)(choice + 1));
        else
            ++*unknown;
    }
    trial_close(&x);
    return s;
}

static int best_of(const Tiled *k)
{
    int best = 0;

    for (int c = 1; c < n_tile_choices; c++)
        if (k->seconds[c] < (best ? k->seconds[best] : MARGIN * k->seconds[0])) best = c;
    return best;
}

static void choose(Tuning *t)
{
    const void *key;
    void *value;
    double usual = 0, tuned = 0;
    int changed = 0;

    for (size_t i = 0; map_next(&t->kernels, &i, &key, &value);) {
        const Tiled *k = value;
        int best = best_of(k);
        usual += k->seconds[0];
        tuned += k->seconds[best];
        changed += best != 0;
        text_f(&t->lines, "%s %d\n", k->remembered, best);
        map_set(t->choices, k->key, (void *)(uintptr_t)(best + 1));
        diag_note(t->d, (Where){.node = "tune"}, "%s: %s, %.1f us (%.1f as usual)", k->key,
                  tile_choices[best].name, k->seconds[best] * 1e6, k->seconds[0] * 1e6);
    }
    diag_note(t->d, (Where){.node = "tune"},
              "%zu contractions measured, %d take other tiles: %.3f ms of them became %.3f ms",
              t->kernels.count, changed, usual * 1e3, tuned * 1e3);
}

static Status measure_all(Tuning *t)
{
    double seconds = t->o->tune_seconds.given ? (double)t->o->tune_seconds.value : USUAL_SECONDS;

    for (int pass = 0; pass < PASSES; pass++)
        for (int c = 0; c < n_tile_choices; c++)
            TRY(measure(t, c, seconds / (PASSES * n_tile_choices)));
    choose(t);
    return file_write_all(t->path, 0644, t->lines.s, t->lines.n, t->d);
}

Status tune(const Options *o, const char *model, const CodegenTune **out, Diag *d)
{
    Tuning t = {.o = o, .model = model, .choices = ARENA_NEW(o->arena, Map), .d = d};
    CodegenTune *found = ARENA_NEW(o->arena, CodegenTune);
    int unknown;

    if (o->tune_seconds.given && (o->tune_seconds.value < 1 || o->tune_seconds.value > 86400))
        return diag(d, ERR_USAGE, (Where){0}, "--tune-seconds takes 1 to 86400");
    map_init(&t.kernels, o->arena, true);
    map_init(t.choices, o->arena, true);
    TRY(find_file(&t));
    TRY(read_file(&t));
    TRY(look_up(&t, &unknown));
    if (unknown) TRY(measure_all(&t));
    *found = (CodegenTune){.known = t.choices};
    *out = found;
    return OK;
}
