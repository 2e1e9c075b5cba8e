/* rt_call_number_of_string.c: text as numbers, in the C locale whatever that of the program is.
 * What is no number, from its first character to its last but for white space, is a data error.
 *
 * in: strings. out: f64, i64 or u64; integers beyond 64 bits are the nearest there is. */
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/rt_call.h"
#include "runtime/rt_text.h"

enum { LONGEST = 1100 }; /* characters of a number: no double needs more */

static const char *skip_spaces(const char *s)
{
    return s + strspn(s, " \t\n\v\f\r");
}

static bool read_number(ingot_string s, const ingot_tensor *out, int64_t i)
{
    char text[LONGEST + 1], *end;
    const char *from;

    if (s.n > LONGEST || (s.n && memchr(s.s, 0, (size_t)s.n))) return false;
    if (s.n) memcpy(text, s.s, (size_t)s.n);
    text[s.n] = 0;
    from = skip_spaces(text);
    if (out->dtype == INGOT_F64)
        ((double *)out->data)[i] = strtod(from, &end);
    else if (*from == '-')
        ((int64_t *)out->data)[i] = strtoll(from, &end, 10);
    else
        ((uint64_t *)out->data)[i] = strtoull(from, &end, 10);
    return end != from && !*skip_spaces(end);
}

int32_t ingot_call_number_of_string(const ingot_call_args *a)
{
    int64_t count = ingot_rt_count(&a->in[0]), i = 0;
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0), before;

    if (!c) return INGOT_ERR_LIMIT;
    before = uselocale(c);
    while (i < count && read_number(ingot_rt_string(&a->in[0], i), &a->out[0], i))
        i++;
    uselocale(before);
    freelocale(c);
    if (i == count) return INGOT_OK;
    return ingot_rt_fail(a->call, INGOT_ERR_DATA, a->origin,
                         "string %lld, of %lld bytes, is no number", i,
                         ingot_rt_string(&a->in[0], i).n);
}
