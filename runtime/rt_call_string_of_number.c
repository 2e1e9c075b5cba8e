/* rt_call_string_of_number.c: numbers as text, in the C locale whatever that of the program is.
 *
 * in: f64, i64 or u64. ints: none (floats as %.8g; NaN, INF, -INF), or 1 (as %f). out: strings. */
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/rt_call.h"
#include "runtime/rt_text.h"

enum { LONGEST = 320 }; /* the largest double before the point, six digits behind, and an end */

static void write_number(const ingot_tensor *x, int64_t i, bool fixed, char *text)
{
    double v = x->dtype == INGOT_F64 ? ((const double *)x->data)[i] : 0;

    if (x->dtype == INGOT_U64)
        snprintf(text, LONGEST, "%llu", (unsigned long long)((const uint64_t *)x->data)[i]);
    else if (x->dtype == INGOT_I64)
        snprintf(text, LONGEST, "%lld", (long long)((const int64_t *)x->data)[i]);
    else if (fixed)
        snprintf(text, LONGEST, "%f", v);
    else if (isnan(v) || isinf(v))
        snprintf(text, LONGEST, "%s", isnan(v) ? "NaN" : v > 0 ? "INF" : "-INF");
    else
        snprintf(text, LONGEST, "%.8g", v);
}

int32_t ingot_call_string_of_number(const ingot_call_args *a)
{
    const ingot_tensor *x = &a->in[0];
    ingot_string *out = a->out[0].data;
    int64_t count = ingot_rt_count(x);
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0), before;

    if (!c) return INGOT_ERR_LIMIT;
    before = uselocale(c);
    for (int64_t i = 0; i < count; i++) {
        char text[LONGEST], *kept;
        size_t n;
        write_number(x, i, a->n_ints > 0 && a->ints[0], text);
        n = strlen(text);
        kept = ingot_rt_text(a, (int64_t)n);
        if (!kept) break;
        memcpy(kept, text, n);
        out[i] = (ingot_string){kept, (int64_t)n};
    }
    uselocale(before);
    freelocale(c);
    return a->call->error;
}
