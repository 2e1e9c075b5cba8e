/* rt_matrix.c: see rt_matrix.h. */
#include "runtime/rt_matrix.h"

#include <math.h>

static void swap_rows(double *a, double *b, int64_t width)
{
    for (int64_t k = 0; k < width; k++) {
        double t = a[k];
        a[k] = b[k];
        b[k] = t;
    }
}

double ingot_rt_eliminate(double *a, int64_t size, int64_t width, bool all)
{
    double det = 1;

    for (int64_t c = 0; c < size; c++) {
        int64_t best = c;
        for (int64_t r = c + 1; r < size; r++)
            if (fabs(a[r * width + c]) > fabs(a[best * width + c])) best = r;
        if (best != c) swap_rows(a + c * width, a + best * width, width);
        double pivot = a[c * width + c];
        det *= best != c ? -pivot : pivot;
        if (pivot == 0 && !all) continue;
        for (int64_t r = all ? 0 : c + 1; r < size; r++) {
            double factor = a[r * width + c] / pivot;
            if (r == c) continue;
            for (int64_t k = c; k < width; k++)
                a[r * width + k] -= factor * a[c * width + k];
        }
        for (int64_t k = 0; k < width && all; k++)
            a[c * width + k] /= pivot;
    }
    return det;
}

void ingot_rt_load_matrix(const ingot_tensor *x, int64_t m, int64_t size, int64_t width, double *a)
{
    const float *f = (const float *)x->data + m * size * size;
    const double *d = (const double *)x->data + m * size * size;

    for (int64_t r = 0; r < size; r++)
        for (int64_t k = 0; k < size; k++)
            a[r * width + k] = x->dtype == INGOT_F64 ? d[r * size + k] : (double)f[r * size + k];
}

int64_t ingot_rt_matrices(const ingot_tensor *x)
{
    int64_t count = 1;

    for (int32_t i = 0; i < x->rank - 2; i++)
        count *= x->dims[i];
    return count;
}
