/* rt_call_string_equal.c: Equal of strings, with broadcasting.
 *
 * in: two string tensors. out: bool, in the dims that they broadcast to. */
#include <string.h>

#include "runtime/rt_call.h"
#include "runtime/rt_text.h"

int32_t ingot_call_string_equal(const ingot_call_args *a)
{
    const ingot_tensor *x = &a->in[0], *y = &a->in[1], *result = &a->out[0];
    int64_t count = ingot_rt_count(result);

    for (int64_t k = 0; k < count; k++) {
        ingot_string s = ingot_rt_string(x, ingot_rt_broadcast_element(x, result, k));
        ingot_string r = ingot_rt_string(y, ingot_rt_broadcast_element(y, result, k));
        ((uint8_t *)result->data)[k] =
            s.n == r.n && (s.n == 0 || memcmp(s.s, r.s, (size_t)s.n) == 0);
    }
    return INGOT_OK;
}
