/* rt_call_string_concat.c: strings one behind the other, with broadcasting.
 *
 * in: two string tensors. out: strings, in the dims that they broadcast to. */
#include <string.h>

#include "runtime/rt_call.h"
#include "runtime/rt_text.h"

int32_t ingot_call_string_concat(const ingot_call_args *a)
{
    const ingot_tensor *x = &a->in[0], *y = &a->in[1], *result = &a->out[0];
    ingot_string *out = result->data;
    int64_t count = ingot_rt_count(result), bytes = 0;

    for (int64_t k = 0; k < count; k++)
        if (__builtin_add_overflow(
                bytes, ingot_rt_string(x, ingot_rt_broadcast_element(x, result, k)).n, &bytes) ||
            __builtin_add_overflow(
                bytes, ingot_rt_string(y, ingot_rt_broadcast_element(y, result, k)).n, &bytes))
            bytes = INT64_MAX / 2;
    char *p = ingot_rt_text(a, bytes);
    if (!p) return INGOT_ERR_LIMIT;
    for (int64_t k = 0; k < count; k++) {
        ingot_string s = ingot_rt_string(x, ingot_rt_broadcast_element(x, result, k));
        ingot_string r = ingot_rt_string(y, ingot_rt_broadcast_element(y, result, k));
        if (s.n) memcpy(p, s.s, (size_t)s.n);
        if (r.n) memcpy(p + s.n, r.s, (size_t)r.n);
        out[k] = (ingot_string){p, s.n + r.n};
        p += s.n + r.n;
    }
    return INGOT_OK;
}
