/* rt_call_string_split.c: parts of strings. They point into the strings that they are parts of.
 *
 * ints: the most splits, or a negative number. in: strings; the delimiter, which may be empty: then
 * at white space, of which there is none around and between the parts. out: parts, with empty
 * strings behind them up to the most that any has; how many each has. */
#include <string.h>

#include "runtime/rt_call.h"
#include "runtime/rt_text.h"

static bool is_space(int32_t c)
{
    return (c >= 9 && c <= 13) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 ||
           c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 ||
           c == 0x202f || c == 0x205f || c == 0x3000;
}

/* The first place at or behind i where there is space, or none. */
static int64_t scan(ingot_string s, int64_t i, bool space)
{
    int64_t n;

    while (i < s.n && is_space(ingot_rt_utf8_decode(s.s + i, s.n - i, &n)) != space)
        i += n;
    return i;
}

static int64_t find(ingot_string s, int64_t i, ingot_string by)
{
    for (; i + by.n <= s.n; i++)
        if (memcmp(s.s + i, by.s, (size_t)by.n) == 0) return i;
    return s.n;
}

/* Parts into out, where it is not NULL. */
static int64_t split(ingot_string s, ingot_string by, int64_t most, ingot_string *out)
{
    int64_t count = 0, i = by.n ? 0 : scan(s, 0, false);

    if (!by.n && i == s.n) return 0;
    for (;;) {
        bool last = most >= 0 && count >= most;
        int64_t end = last ? s.n : by.n ? find(s, i, by) : scan(s, i, true);
        if (out) out[count] = (ingot_string){s.s + i, end - i};
        count++;
        if (by.n) {
            if (last || end == s.n) return count;
            i = end + by.n;
            continue;
        }
        i = scan(s, end, false);
        if (i == s.n) return count;
    }
}

int32_t ingot_call_string_split(const ingot_call_args *a)
{
    const ingot_tensor *x = &a->in[0];
    ingot_tensor *y = &a->out[0];
    ingot_string by = ingot_rt_string(&a->in[1], 0), *parts;
    int64_t *counts = a->out[1].data, count = ingot_rt_count(x), width = 0, bytes;

    for (int64_t i = 0; i < count; i++) {
        int64_t n = split(ingot_rt_string(x, i), by, a->ints[0], NULL);
        if (counts) counts[i] = n;
        if (n > width) width = n;
    }
    y->rank = x->rank + 1;
    memcpy(y->dims, x->dims, (size_t)x->rank * sizeof *x->dims);
    y->dims[x->rank] = width;
    if (__builtin_mul_overflow(count, width, &bytes) ||
        __builtin_mul_overflow(bytes, (int64_t)sizeof *parts, &bytes))
        bytes = INT64_MAX;
    parts = ingot_rt_place(a, 0, bytes);
    if (!parts) return bytes ? INGOT_ERR_LIMIT : INGOT_OK;
    for (int64_t i = 0; i < count; i++) {
        int64_t n = split(ingot_rt_string(x, i), by, a->ints[0], parts + i * width);
        for (; n < width; n++)
            parts[i * width + n] = (ingot_string){"", 0};
    }
    return INGOT_OK;
}
