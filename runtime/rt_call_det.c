/* rt_call_det.c: determinants of square matrices.
 *
 * in: matrices of f32 or f64. out: their determinants; f64 workspace of one matrix. */
#include "runtime/rt_call.h"
#include "runtime/rt_matrix.h"

int32_t ingot_call_det(const ingot_call_args *a)
{
    const ingot_tensor *x = &a->in[0], *y = &a->out[0];
    int64_t size = x->dims[x->rank - 1], count = ingot_rt_matrices(x);
    double *work = a->out[1].data;

    for (int64_t m = 0; m < count; m++) {
        ingot_rt_load_matrix(x, m, size, size, work);
        double det = ingot_rt_eliminate(work, size, size, false);
        if (y->dtype == INGOT_F64)
            ((double *)y->data)[m] = det;
        else
            ((float *)y->data)[m] = (float)det;
    }
    return INGOT_OK;
}
