/* rt_bands_test.c: which tasks of which kernel a band runs, on what memory, and what is kept. */
#include "check.h"
#include "ingot/ingot_rt.h"
#include "runtime/rt.h"

enum { OUTER = 2, ROWS = 10, BAND = 4, IN_TASK = 2, COLUMNS = 3 };

/* matrix[o][row][column] of the second kernel's result, and how often each band packed. */
typedef struct Seen {
    int packs[OUTER * 3], made[OUTER * ROWS], changed[OUTER * ROWS];
    double sum[OUTER * ROWS];
    int bad;
} Seen;

static Seen *seen_of(const ingot_kernel_args *a)
{
    return (Seen *)a->ptr[0];
}

/* Two tasks for each band, each half of the columns or so; its memory is ptr[1]. */
static void make(const ingot_kernel_args *a, int64_t begin, int64_t end, void *scratch)
{
    Seen *s = seen_of(a);
    float *out = a->ptr[1];

    if (end - begin != 2 || begin % 2 || !scratch || a->dim[0] != 77) s->bad++;
    for (int64_t t = begin; t < end; t++) {
        int64_t band = t / 2 % 3, o = t / 2 / 3, first = band * BAND;
        int64_t last = first + BAND > ROWS ? ROWS : first + BAND;
        s->packs[t / 2] += a->packs == INGOT_PACK_KEEP;
        for (int64_t r = o * ROWS + first; r < o * ROWS + last; r++) {
            s->made[r]++;
            for (int64_t c = t % 2; c < COLUMNS; c += 2)
                out[r * COLUMNS + c] = (float)(100 * r + c);
        }
    }
}

/* A row a task. */
static void change(const ingot_kernel_args *a, int64_t begin, int64_t end, void *scratch)
{
    Seen *s = seen_of(a);
    const float *in = a->ptr[2];
    double *out = a->ptr[1];

    (void)scratch;
    for (int64_t r = begin; r < end; r++) {
        s->changed[r]++;
        for (int64_t c = 0; c < COLUMNS; c++)
            out[r * COLUMNS + c] = in[r * COLUMNS + c] + 0.5;
    }
}

static void add(const ingot_kernel_args *a, int64_t begin, int64_t end, void *scratch)
{
    Seen *s = seen_of(a);
    const double *in = a->ptr[1];
    int64_t o = begin / 3, first = begin % 3 * BAND;
    int64_t last = first + BAND > ROWS ? ROWS : first + BAND;

    (void)scratch;
    if (end != begin + 1) s->bad++;
    for (int64_t r = o * ROWS + first; r < o * ROWS + last; r++)
        for (int64_t c = 0; c < COLUMNS; c++)
            s->sum[r] += in[r * COLUMNS + c];
}

int main(void)
{
    static ingot_instance instance; /* not profiled */
    static Seen seen;
    _Alignas(64) static char scratch[4096];
    ingot_call call = {.instance = &instance};
    void *ptr0[] = {&seen, NULL}, *ptr1[] = {&seen, NULL, NULL}, *ptr2[] = {&seen, NULL};
    int64_t dim = 77;
    ingot_bands b = {
        .outer = OUTER, .rows = ROWS, .band = BAND, .in_task = IN_TASK, .n_kernels = 3};
    ingot_kernel_args args = {.call = &call, .ptr = (void *const *)(const void *)&b};

    b.kernel[0] = (ingot_band_kernel){.kernel = make,
                                      .ptr = ptr0,
                                      .dim = &dim,
                                      .n_ptr = 2,
                                      .in = -1,
                                      .out = 1,
                                      .tasks = 2,
                                      .row = COLUMNS * sizeof(float),
                                      .scratch = 8};
    b.kernel[1] = (ingot_band_kernel){.kernel = change,
                                      .ptr = ptr1,
                                      .n_ptr = 3,
                                      .tasks = -1,
                                      .in = 2,
                                      .out = 1,
                                      .row = COLUMNS * sizeof(double)};
    b.kernel[2] =
        (ingot_band_kernel){.kernel = add, .ptr = ptr2, .n_ptr = 2, .in = 1, .out = -1, .tasks = 1};
    /* three bands a matrix, in two tasks each: the second one first */
    ingot_rt_bands(&args, 1, 4, scratch);
    ingot_rt_bands(&args, 0, 1, scratch);
    CHECK_EQ(seen.bad, 0);
    for (int r = 0; r < OUTER * ROWS; r++) {
        CHECK_EQ(seen.made[r], 2);
        CHECK_EQ(seen.changed[r], 1);
        CHECK_EQ(seen.sum[r] * 2, 2 * (3 * 100 * r + 3) + 3);
    }
    for (int i = 0; i < OUTER * 3; i++)
        CHECK_EQ(seen.packs[i], i % 3 == 1 ? 0 : 2);
    return check_result();
}
