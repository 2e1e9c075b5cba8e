/* rt_call_regex.c: does the whole of a string match a pattern?
 *
 * in: strings; the program, i32[n,3] (see ir/regex.h: REGEX_MATCH ...); ranges of code points,
 * i32[m,2]. out: bool; i32 workspace of 5 n + 1. */
#include "runtime/rt_call.h"
#include "runtime/rt_regex.h"

int32_t ingot_call_regex(const ingot_call_args *a)
{
    const ingot_tensor *x = &a->in[0];
    int64_t count = ingot_rt_count(x);
    RtRegex m = ingot_rt_regex(a->in[1].dims[0], a->out[1].data);

    m.code = a->in[1].data;
    m.range = a->in[2].data;
    for (int64_t i = 0; i < count; i++) {
        ingot_string s = ingot_rt_string(x, i);
        ((uint8_t *)a->out[0].data)[i] = ingot_rt_regex_longest(&m, s, 0) == s.n;
    }
    return INGOT_OK;
}
