/* rt_call_string_equal.c: Equal of strings, with broadcasting.
 *
 * in: two string tensors. out: bool, in the dims that they broadcast to. */
#include <string.h>

#include "runtime/rt.h"
#include "runtime/rt_call.h"

/* Number of the element of x that broadcasts to element `at` (row-major) of a result. */
static int64_t element_of(const ingot_tensor *x, const ingot_tensor *result, int64_t at)
{
    int64_t stride = 1, element = 0;

    for (int32_t i = x->rank - 1; i >= 0; i--) {
        int64_t extent = result->dims[i + result->rank - x->rank];
        if (x->dims[i] != 1) element += at % extent * stride;
        at /= extent;
        stride *= x->dims[i];
    }
    return element;
}

int32_t ingot_call_string_equal(const ingot_call_args *a)
{
    const ingot_tensor *x = &a->in[0], *y = &a->in[1], *result = &a->out[0];
    int64_t count = 1;

    for (int32_t i = 0; i < result->rank; i++)
        count *= result->dims[i];
    for (int64_t k = 0; k < count; k++) {
        ingot_string s = ((const ingot_string *)x->data)[element_of(x, result, k)];
        ingot_string r = ((const ingot_string *)y->data)[element_of(y, result, k)];
        ((uint8_t *)result->data)[k] =
            s.n == r.n && (s.n == 0 || memcmp(s.s, r.s, (size_t)s.n) == 0);
    }
    return INGOT_OK;
}
