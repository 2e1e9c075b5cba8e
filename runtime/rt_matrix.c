/* rt_matrix.c: see rt_matrix.h. */
#include "runtime/rt_matrix.h"

#include <math.h>
#include <string.h>

typedef double Pair __attribute__((vector_size(16)));

static void swap_rows(double *a, double *b, int64_t width)
{
    for (int64_t k = 0; k < width; k++) {
        double t = a[k];
        a[k] = b[k];
        b[k] = t;
    }
}

/* a -= factor b, of n numbers. */
static void subtract(double *a, const double *b, double factor, int64_t n)
{
    int64_t k = 0;

    for (; k + 2 <= n; k += 2) {
        Pair x, y;
        memcpy(&x, a + k, sizeof x);
        memcpy(&y, b + k, sizeof y);
        x -= factor * y;
        memcpy(a + k, &x, sizeof x);
    }
    if (k < n) a[k] -= factor * b[k];
}

/* The row of the largest number in column c from row c on, the first of equals: what it is cannot
 * be foretold, so that there are no branches. */
static int64_t pivot_row(const double *a, int64_t size, int64_t width, int64_t c)
{
    double top = fabs(a[c * width + c]);
    int64_t best = c;

    for (int64_t r = c + 1; r < size; r++) {
        double v = fabs(a[r * width + c]);
        bool more = v > top;
        top = more ? v : top;
        best = more ? r : best;
    }
    return best;
}

double ingot_rt_eliminate(double *a, int64_t size, int64_t width, bool all)
{
    double det = 1;

    for (int64_t c = 0; c < size; c++) {
        int64_t best = pivot_row(a, size, width, c);
        double *row = a + c * width + c;
        if (best != c) swap_rows(row, a + best * width + c, width - c);
        double pivot = row[0];
        det *= best != c ? -pivot : pivot;
        if (pivot == 0 && !all) continue;
        for (int64_t r = all ? 0 : c + 1; r < size; r++) {
            double *to = a + r * width + c;
            if (r != c) subtract(to + 1, row + 1, to[0] / pivot, width - c - 1);
        }
        for (int64_t k = 1; k < width - c && all; k++)
            row[k] /= pivot;
    }
    return det;
}

void ingot_rt_load_matrix(const ingot_tensor *x, int64_t m, int64_t size, int64_t width, double *a)
{
    const float *f = (const float *)x->data + m * size * size;
    const double *d = (const double *)x->data + m * size * size;

    for (int64_t r = 0; r < size; r++)
        if (x->dtype == INGOT_F64)
            memcpy(a + r * width, d + r * size, (size_t)size * sizeof *d);
        else
            for (int64_t k = 0; k < size; k++)
                a[r * width + k] = (double)f[r * size + k];
}

int64_t ingot_rt_matrices(const ingot_tensor *x)
{
    int64_t count = 1;

    for (int32_t i = 0; i < x->rank - 2; i++)
        count *= x->dims[i];
    return count;
}
