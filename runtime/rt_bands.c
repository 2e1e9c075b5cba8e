/* rt_bands.c: kernels one after the other on a band of rows: see ingot_bands. */
#include "rt.h"

static char *aligned(char *p, int64_t bytes)
{
    return p + (bytes + 63) / 64 * 64;
}

/* Where a matrix would begin whose row `first` stands at p. Kernels only reach the rows of the band
 * through it. */
static void *whole(char *p, int64_t first, int64_t row)
{
    return (void *)((uintptr_t)p - (uintptr_t)first * (uintptr_t)row);
}

/* Kernel i on the rows [first, first + n) of all matrices together; these are band number b of all
 * bands together. */
static void run_kernel(const ingot_kernel_args *args, const ingot_bands *x, int i, int64_t first,
                       int64_t n, int64_t b, char *const *between, char *scratch)
{
    const ingot_band_kernel *k = &x->kernel[i];
    void *ptr[INGOT_BAND_POINTERS];
    ingot_kernel_args own = *args;

    for (int j = 0; j < k->n_ptr; j++)
        ptr[j] = k->ptr[j];
    if (k->in >= 0) ptr[k->in] = whole(between[i - 1], first, x->kernel[i - 1].row);
    if (k->out >= 0) ptr[k->out] = whole(between[i], first, k->row);
    own.ptr = ptr;
    own.dim = k->dim;
    own.kernel = k->name;
    if (k->tasks)
        k->kernel(&own, b * k->tasks, (b + 1) * k->tasks, scratch);
    else
        k->kernel(&own, first, first + n, scratch);
}

/* The time of one kernel among several workers: the share of each in it. */
static void note_time(const ingot_kernel_args *args, int32_t kernel, int64_t ns)
{
    ingot_instance *m = args->call->instance;

    __atomic_fetch_add(&m->profile[kernel], ns / ingot_rt_pool_threads(m->pool), __ATOMIC_RELAXED);
}

void ingot_rt_bands(const ingot_kernel_args *args, int64_t begin, int64_t end, void *scratch)
{
    const ingot_bands *x = (const ingot_bands *)(const void *)args->ptr;
    int64_t bands = (x->rows + x->band - 1) / x->band;
    int64_t tasks = (bands + x->in_task - 1) / x->in_task;
    char *between[INGOT_BAND_KERNELS], *own[INGOT_BAND_KERNELS], *at = scratch;
    ingot_kernel_args now = *args;
    bool profiled = args->call->instance->profile != NULL;

    for (int i = 0; i < x->n_kernels; i++) {
        between[i] = at;
        if (i + 1 < x->n_kernels) at = aligned(at, x->band * x->kernel[i].row);
    }
    for (int i = 0; i < x->n_kernels; i++) {
        own[i] = at;
        at = aligned(at, x->kernel[i].scratch);
    }
    for (int64_t t = begin; t < end; t++) {
        int64_t o = t / tasks, from = t % tasks * x->in_task, to = from + x->in_task;
        if (to > bands) to = bands;
        for (int64_t b = from; b < to; b++) {
            int64_t row = b * x->band, n = x->rows - row < x->band ? x->rows - row : x->band;
            now.kept = b > from;
            for (int i = 0; i < x->n_kernels; i++) {
                int64_t start = profiled ? ingot_rt_now() : 0;
                run_kernel(&now, x, i, o * x->rows + row, n, o * bands + b, between, own[i]);
                if (profiled) note_time(args, x->kernel[i].name, ingot_rt_now() - start);
            }
        }
    }
}
