/* rt_call_inverse.c: inverses of square matrices. A singular one gives infinities and NaN.
 *
 * in: matrices of f32 or f64. out: their inverses; f64 workspace of two matrices side by side. */
#include "runtime/rt_call.h"
#include "runtime/rt_matrix.h"

static void store(const ingot_tensor *y, int64_t at, double v)
{
    if (y->dtype == INGOT_F64)
        ((double *)y->data)[at] = v;
    else
        ((float *)y->data)[at] = (float)v;
}

int32_t ingot_call_inverse(const ingot_call_args *a)
{
    const ingot_tensor *x = &a->in[0], *y = &a->out[0];
    int64_t size = x->dims[x->rank - 1], width = 2 * size, count = ingot_rt_matrices(x);
    double *work = a->out[1].data;

    for (int64_t m = 0; m < count; m++) {
        ingot_rt_load_matrix(x, m, size, width, work);
        for (int64_t r = 0; r < size; r++)
            for (int64_t k = 0; k < size; k++)
                work[r * width + size + k] = k == r;
        ingot_rt_eliminate(work, size, width, true);
        for (int64_t r = 0; r < size; r++)
            for (int64_t k = 0; k < size; k++)
                store(y, (m * size + r) * size + k, work[r * width + size + k]);
    }
    return INGOT_OK;
}
