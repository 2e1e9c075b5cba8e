/* rt_call_string_normalize.c: strings without stop words, in upper or lower case.
 *
 * ints: 1 when the case shall change; 1 when stop words are those of the same case only. in: the
 * strings; the stop words; i32[rows,4], the mapping of the change: every step-th code point from
 * first to last goes to itself plus delta; the mapping to lower case. out: what is left, or one
 * empty string. */
#include <string.h>

#include "runtime/rt_call.h"
#include "runtime/rt_text.h"

static int32_t mapped(const ingot_tensor *table, int32_t c)
{
    const int32_t(*row)[4] = table->data;
    int64_t low = 0, high = table->dims[0];

    while (low < high) { /* the last row that begins at or before c */
        int64_t middle = (low + high) / 2;
        if (row[middle][0] <= c)
            low = middle + 1;
        else
            high = middle;
    }
    low--;
    if (low >= 0 && c <= row[low][1] && (c - row[low][0]) % row[low][2] == 0)
        return c + row[low][3];
    return c;
}

/* The next code point of s in lower case, or its next byte plus 2^21. */
static int32_t next_lower(const ingot_tensor *table, const char **s, const char *end)
{
    int64_t n;
    int32_t c = ingot_rt_utf8_decode(*s, end - *s, &n);
    int32_t result = c < 0 ? (1 << 21) + (unsigned char)**s : table ? mapped(table, c) : c;

    *s += n;
    return result;
}

static bool same(const ingot_tensor *table, ingot_string a, ingot_string b)
{
    const char *p = a.s, *q = b.s;

    while (p < a.s + a.n && q < b.s + b.n)
        if (next_lower(table, &p, a.s + a.n) != next_lower(table, &q, b.s + b.n)) return false;
    return p == a.s + a.n && q == b.s + b.n;
}

static bool is_stop_word(const ingot_call_args *a, ingot_string s)
{
    int64_t count = ingot_rt_count(&a->in[1]);

    for (int64_t i = 0; i < count; i++)
        if (same(a->ints[1] ? NULL : &a->in[3], s, ingot_rt_string(&a->in[1], i))) return true;
    return false;
}

/* Into out, where it is not NULL; how many bytes. */
static int64_t change(const ingot_tensor *table, ingot_string s, char *out)
{
    char one[4];
    int64_t at = 0, n;

    for (int64_t i = 0; i < s.n; i += n) {
        int32_t c = ingot_rt_utf8_decode(s.s + i, s.n - i, &n);
        int64_t length = 1;
        one[0] = s.s[i];
        if (c >= 0) length = ingot_rt_utf8_encode(mapped(table, c), one);
        if (out) memcpy(out + at, one, (size_t)length);
        at += length;
    }
    return at;
}

int32_t ingot_call_string_normalize(const ingot_call_args *a)
{
    const ingot_tensor *x = &a->in[0];
    ingot_tensor *y = &a->out[0];
    int64_t count = ingot_rt_count(x), kept = 0;
    ingot_string *out;

    for (int64_t i = 0; i < count; i++)
        kept += !is_stop_word(a, ingot_rt_string(x, i));
    y->rank = x->rank;
    y->dims[0] = 1;
    y->dims[x->rank - 1] = kept ? kept : 1;
    out = ingot_rt_place(a, 0, y->dims[x->rank - 1] * (int64_t)sizeof *out);
    if (!out) return INGOT_ERR_LIMIT;
    out[0] = (ingot_string){"", 0};
    kept = 0;
    for (int64_t i = 0; i < count; i++) {
        ingot_string s = ingot_rt_string(x, i);
        if (is_stop_word(a, s)) continue;
        if (a->ints[0]) {
            int64_t bytes = change(&a->in[2], s, NULL);
            char *text = ingot_rt_text(a, bytes);
            if (!text) return INGOT_ERR_LIMIT;
            change(&a->in[2], s, text);
            s = (ingot_string){text, bytes};
        }
        out[kept++] = s;
    }
    return INGOT_OK;
}
