/* rt_bands.c: kernels one after the other on a band of rows: see ingot_bands. */
#include "rt.h"

typedef struct Bands {
    const ingot_kernel_args *args;
    const ingot_bands *x;
    char *between[INGOT_BAND_KERNELS]; /* a band of what each kernel makes for the next */
    char *own[INGOT_BAND_KERNELS];     /* the scratch of each */
} Bands;

static char *aligned(char *p, int64_t bytes)
{
    return p + (bytes + 63) / 64 * 64;
}

static void share_scratch(Bands *s, char *at)
{
    const ingot_bands *x = s->x;

    for (int i = 0; i + 1 < x->n_kernels; i++) {
        s->between[i] = at;
        at = aligned(at, x->band * x->kernel[i].row);
    }
    for (int i = 0; i < x->n_kernels; i++) {
        s->own[i] = at;
        at = aligned(at, x->kernel[i].scratch);
    }
}

/* Where a matrix would begin whose row `first` stands at p. Kernels only reach the rows of the band
 * through it. */
static void *whole(char *p, int64_t first, int64_t row)
{
    return (void *)((uintptr_t)p - (uintptr_t)first * (uintptr_t)row);
}

static void run_kernel(const Bands *s, int i, int64_t first, const int64_t *rows,
                       const int64_t *bands, int32_t packs)
{
    const ingot_band_kernel *k = &s->x->kernel[i];
    const int64_t *range = k->tasks < 0 ? rows : bands;
    int64_t unit = k->tasks < 0 ? 1 : k->tasks;
    void *ptr[INGOT_BAND_POINTERS];
    ingot_kernel_args own = {.call = s->args->call,
                             .ptr = ptr,
                             .dim = k->dim,
                             .origin = k->origin,
                             .kernel = k->name,
                             .packs = packs};

    for (int j = 0; j < k->n_ptr; j++)
        ptr[j] = k->ptr[j];
    if (k->in >= 0) ptr[k->in] = whole(s->between[i - 1], first, s->x->kernel[i - 1].row);
    if (k->out >= 0) ptr[k->out] = whole(s->between[i], first, k->row);
    k->kernel(&own, range[0] * unit, range[1] * unit, s->own[i]);
}

/* The time of one kernel among several workers: the share of each in it. */
static void note_time(const Bands *s, int i, int64_t ns)
{
    ingot_instance *m = s->args->call->instance;

    __atomic_fetch_add(&m->profile[s->x->kernel[i].name], ns / ingot_rt_pool_threads(m->pool),
                       __ATOMIC_RELAXED);
}

/* All kernels on rows [rows[0], rows[1]) of all matrices together, which are bands [bands[0],
 * bands[1]) of all bands together. */
static void run_bands(const Bands *s, const int64_t *rows, const int64_t *bands, int32_t packs)
{
    bool profiled = s->args->call->instance->profile != NULL;

    for (int i = 0; i < s->x->n_kernels; i++) {
        int64_t start = profiled ? ingot_rt_now() : 0;
        run_kernel(s, i, rows[0], rows, bands, packs);
        if (profiled) note_time(s, i, ingot_rt_now() - start);
    }
}

/* Matrices [begin, end) of one band each. */
static void small_matrices(const Bands *s, int64_t begin, int64_t end)
{
    int64_t rows = s->x->rows, step = rows > 0 ? s->x->band / rows : end - begin;

    for (int64_t o = begin; o < end; o += step) {
        int64_t to = end - o < step ? end : o + step;
        run_bands(s, (int64_t[]){o * rows, to * rows}, (int64_t[]){o, to}, INGOT_PACK_PASS);
    }
}

/* Bands [from, to) of matrix o. */
static void part_of_matrix(const Bands *s, int64_t o, int64_t of_matrix, int64_t from, int64_t to)
{
    const ingot_bands *x = s->x;

    for (int64_t b = from; b < to; b++) {
        int64_t row = o * x->rows + b * x->band, end = row + x->band, at = o * of_matrix + b;
        if (end > (o + 1) * x->rows) end = (o + 1) * x->rows;
        run_bands(s, (int64_t[]){row, end}, (int64_t[]){at, at + 1},
                  b > from ? INGOT_PACK_KEPT : INGOT_PACK_KEEP);
    }
}

void ingot_rt_bands(const ingot_kernel_args *args, int64_t begin, int64_t end, void *scratch)
{
    const ingot_bands *x = (const ingot_bands *)(const void *)args->ptr;
    int64_t bands = (x->rows + x->band - 1) / x->band;
    int64_t tasks = (bands + x->in_task - 1) / x->in_task;
    Bands s = {.args = args, .x = x};

    share_scratch(&s, scratch);
    if (bands <= 1) {
        small_matrices(&s, begin, end);
        return;
    }
    for (int64_t t = begin; t < end; t++) {
        int64_t from = t % tasks * x->in_task, to = from + x->in_task;
        part_of_matrix(&s, t / tasks, bands, from, to < bands ? to : bands);
    }
}
