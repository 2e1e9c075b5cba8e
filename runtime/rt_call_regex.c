/* rt_call_regex.c: does the whole of a string match a pattern? All ways to match are followed at
 * once, one character at a time, so that time is linear in the length of the string
 * (https://swtch.com/~rsc/regexp/regexp2.html).
 *
 * in: strings; the program, i32[n,3] (see ir/regex.h: REGEX_MATCH ...); ranges of code points,
 * i32[m,2]. out: bool; i32 workspace of 5 n + 1. */
#include <string.h>

#include "runtime/rt_call.h"
#include "runtime/rt_text.h"

enum { OP_MATCH, OP_IN, OP_SPLIT, OP_JUMP, OP_AT };
enum { TEXT_START, TEXT_END, LINE_START, LINE_END, WORD_EDGE, NO_WORD_EDGE };
enum { NOT_UTF8 = -1, NO_CHARACTER = -2 }; /* the latter before the first and behind the last */

typedef struct Machine {
    const int32_t (*code)[3], (*range)[2];
    int32_t n;
    int32_t *now, *next, *mark, *stack; /* [n] [n] [n] [2 n + 1] */
    int32_t n_now, n_next, round;
    bool matched;
} Machine;

static bool is_word(int32_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
}

static bool holds(int32_t place, int32_t before, int32_t after)
{
    switch (place) {
    case TEXT_START:
        return before == NO_CHARACTER;
    case TEXT_END:
        return after == NO_CHARACTER;
    case LINE_START:
        return before == NO_CHARACTER || before == '\n';
    case LINE_END:
        return after == NO_CHARACTER || after == '\n';
    case WORD_EDGE:
        return is_word(before) != is_word(after);
    case NO_WORD_EDGE:
        return is_word(before) == is_word(after);
    default:
        return false;
    }
}

/* Follows all that takes no character from instruction `at`; what does goes into the next list. */
static void add(Machine *m, int32_t at, int32_t before, int32_t after)
{
    int32_t depth = 0;

    m->stack[depth++] = at;
    while (depth > 0) {
        int32_t i = m->stack[--depth];
        const int32_t *op = m->code[i];
        if (m->mark[i] == m->round) continue;
        m->mark[i] = m->round;
        switch (op[0]) {
        case OP_MATCH:
            m->matched = true;
            break;
        case OP_IN:
            m->next[m->n_next++] = i;
            break;
        case OP_SPLIT:
            m->stack[depth++] = op[2];
            m->stack[depth++] = op[1];
            break;
        case OP_JUMP:
            m->stack[depth++] = op[1];
            break;
        case OP_AT:
            if (holds(op[1], before, after)) m->stack[depth++] = i + 1;
            break;
        }
    }
}

static bool in_set(const Machine *m, const int32_t *op, int32_t c)
{
    int32_t low = op[1], high = op[1] + op[2];

    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        if (c < m->range[middle][0])
            high = middle;
        else if (c > m->range[middle][1])
            low = middle + 1;
        else
            return true;
    }
    return false;
}

static void new_round(Machine *m)
{
    int32_t *list = m->now;

    m->now = m->next;
    m->n_now = m->n_next;
    m->next = list;
    m->n_next = 0;
    m->matched = false;
    if (++m->round < INT32_MAX) return;
    memset(m->mark, 0, (size_t)m->n * sizeof *m->mark);
    m->round = 1;
}

static bool matches(Machine *m, ingot_string s)
{
    int64_t i = 0, n = 0;
    int32_t before = NO_CHARACTER, after = NO_CHARACTER;

    if (s.n) after = ingot_rt_utf8_decode(s.s, s.n, &n);
    m->n_next = 0;
    new_round(m);
    add(m, 0, before, after);
    while (i < s.n) {
        int32_t c = after;
        i += n;
        after = i < s.n ? ingot_rt_utf8_decode(s.s + i, s.n - i, &n) : NO_CHARACTER;
        new_round(m);
        for (int32_t k = 0; k < m->n_now; k++)
            if (in_set(m, m->code[m->now[k]], c)) add(m, m->now[k] + 1, c, after);
        if (m->n_next == 0 && i < s.n) return false;
    }
    return m->matched;
}

int32_t ingot_call_regex(const ingot_call_args *a)
{
    const ingot_tensor *x = &a->in[0];
    int64_t count = ingot_rt_count(x), n = a->in[1].dims[0];
    int32_t *work = a->out[1].data;
    Machine m = {.code = a->in[1].data,
                 .range = a->in[2].data,
                 .n = (int32_t)n,
                 .now = work,
                 .next = work + n,
                 .mark = work + 2 * n,
                 .stack = work + 3 * n};

    memset(m.mark, 0, (size_t)n * sizeof *m.mark);
    for (int64_t i = 0; i < count; i++)
        ((uint8_t *)a->out[0].data)[i] = matches(&m, ingot_rt_string(x, i));
    return INGOT_OK;
}
