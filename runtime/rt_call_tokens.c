/* rt_call_tokens.c: tokens of strings. They point into the strings that they are parts of.
 *
 * ints: how (0 characters, 1 what matches, 2 what lies between matches); are there marks; the
 * fewest characters of a token; then for each pattern where its program begins, how many
 * instructions it has, where its ranges begin. in: strings; what stands behind the last token; the
 * programs, i32[n,3]; their ranges, i32[m,2]. out: tokens; i32 workspace for the longest program.
 *
 * With several patterns each divides what those before it have left. */
#include <string.h>

#include "runtime/rt_call.h"
#include "runtime/rt_regex.h"

enum { CHARACTERS, MATCHES, BETWEEN };
enum { HOW, MARKS, FEWEST, PATTERNS };

typedef struct Tokens {
    const ingot_call_args *a;
    RtRegex machine;
    int64_t n_pattern, count;
    ingot_string *out; /* NULL: counting */
} Tokens;

static void emit(Tokens *t, const char *s, int64_t n)
{
    if (t->out) t->out[t->count] = (ingot_string){s, n};
    t->count++;
}

static int64_t character(ingot_string s, int64_t at)
{
    int64_t n = 1;

    if (at < s.n) ingot_rt_utf8_decode(s.s + at, s.n - at, &n);
    return n;
}

static bool long_enough(const Tokens *t, ingot_string s)
{
    int64_t left = t->a->ints[FEWEST];

    for (int64_t i = 0; i < s.n && left > 0; i += character(s, i))
        left--;
    return left <= 0;
}

/* The first match at or behind `from`. */
static bool search(Tokens *t, int64_t pattern, ingot_string s, int64_t from, int64_t *begin,
                   int64_t *end)
{
    const int64_t *p = t->a->ints + PATTERNS + 3 * pattern;

    t->machine.code = (const int32_t(*)[3])t->a->in[2].data + p[0];
    t->machine.range = (const int32_t(*)[2])t->a->in[3].data + p[2];
    for (; from <= s.n; from += character(s, from)) {
        *begin = from;
        *end = ingot_rt_regex_longest(&t->machine, s, from);
        if (*end >= 0) return true;
    }
    return false;
}

static void matches(Tokens *t, ingot_string s)
{
    int64_t from = 0, begin, end;

    while (search(t, 0, s, from, &begin, &end)) {
        ingot_string found = {s.s + begin, end - begin};
        if (long_enough(t, found)) emit(t, found.s, found.n);
        from = end > begin ? end : begin + character(s, begin);
    }
}

/* As deep as there are patterns. An empty match takes the character behind it. */
static void between(Tokens *t, int64_t pattern, ingot_string s)
{
    int64_t from = 0, begin, end;

    if (!long_enough(t, s)) return;
    if (pattern == t->n_pattern) {
        emit(t, s.s, s.n);
        return;
    }
    while (from <= s.n && search(t, pattern, s, from, &begin, &end)) {
        between(t, pattern + 1, (ingot_string){s.s + from, begin - from});
        from = end > begin ? end : begin + character(s, begin);
    }
    if (from < s.n) between(t, pattern + 1, (ingot_string){s.s + from, s.n - from});
}

static void divide(Tokens *t, ingot_string s)
{
    if (t->a->ints[HOW] == MATCHES) {
        matches(t, s);
    } else if (t->a->ints[HOW] == BETWEEN) {
        between(t, 0, s);
    } else {
        for (int64_t i = 0; i < s.n; i += character(s, i))
            emit(t, s.s + i, character(s, i));
    }
}

/* How many, with the marks. */
static int64_t tokens_of(Tokens *t, ingot_string s, ingot_string *out)
{
    t->out = out;
    t->count = 0;
    if (t->a->ints[MARKS]) emit(t, "\x02", 1);
    divide(t, s);
    if (t->a->ints[MARKS]) emit(t, "\x03", 1);
    return t->count;
}

int32_t ingot_call_tokens(const ingot_call_args *a)
{
    const ingot_tensor *x = &a->in[0];
    ingot_tensor *y = &a->out[0];
    int64_t count = ingot_rt_count(x), least = a->ints[MARKS] ? 2 : 0, width = least, bytes;
    int64_t most = (a->out[1].dims[0] - 1) / 5;
    Tokens t = {.a = a, .n_pattern = (a->n_ints - PATTERNS) / 3};
    ingot_string *out;

    t.machine = ingot_rt_regex(most, a->out[1].data);
    for (int64_t i = 0; i < count; i++) {
        int64_t n = tokens_of(&t, ingot_rt_string(x, i), NULL);
        if (n > width) width = n;
    }
    if (width == least) width = 0; /* no tokens, no marks either */
    y->rank = x->rank + 1;
    memcpy(y->dims, x->dims, (size_t)x->rank * sizeof *x->dims);
    y->dims[x->rank] = width;
    if (__builtin_mul_overflow(count, width, &bytes) ||
        __builtin_mul_overflow(bytes, (int64_t)sizeof *out, &bytes))
        bytes = INT64_MAX;
    out = ingot_rt_place(a, 0, bytes);
    if (!out) return bytes ? INGOT_ERR_LIMIT : INGOT_OK;
    for (int64_t i = 0; i < count && width; i++)
        for (int64_t n = tokens_of(&t, ingot_rt_string(x, i), out + i * width); n < width; n++)
            out[i * width + n] = ingot_rt_string(&a->in[1], 0);
    return INGOT_OK;
}
