/* rt_text.h: what the calls on strings share: memory for their bytes, UTF-8, places. */
#ifndef INGOT_RUNTIME_RT_TEXT_H
#define INGOT_RUNTIME_RT_TEXT_H

#include "runtime/rt.h"

/* Memory for bytes of strings, which lasts until the next run begins. NULL without memory, and then
 * the error is noted. */
INGOT_RT_HIDDEN char *ingot_rt_text(const ingot_call_args *a, int64_t bytes);
/* Gives all of it back but one block, or all. */
INGOT_RT_HIDDEN void ingot_rt_text_reset(ingot_instance *m, bool all);

/* The code point at s and its length; -1 and 1 where the bytes are not UTF-8. left > 0. */
INGOT_RT_HIDDEN int32_t ingot_rt_utf8_decode(const char *s, int64_t left, int64_t *n);
INGOT_RT_HIDDEN int64_t ingot_rt_utf8_encode(int32_t c, char *out);

/* Number of the element of x that broadcasts to element `at` (row-major) of a result. */
INGOT_RT_HIDDEN int64_t ingot_rt_broadcast_element(const ingot_tensor *x,
                                                   const ingot_tensor *result, int64_t at);
static inline int64_t ingot_rt_count(const ingot_tensor *x)
{
    int64_t count = 1;

    for (int32_t i = 0; i < x->rank; i++)
        count *= x->dims[i];
    return count;
}
static inline ingot_string ingot_rt_string(const ingot_tensor *x, int64_t i)
{
    return ((const ingot_string *)x->data)[i];
}

#endif
