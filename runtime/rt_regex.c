/* rt_regex.c: steps through the programs of regular expressions. See rt_regex.h. */
#include "runtime/rt_regex.h"

#include <string.h>

enum { OP_MATCH, OP_IN, OP_SPLIT, OP_JUMP, OP_AT };
enum { TEXT_START, TEXT_END, LINE_START, LINE_END, WORD_EDGE, NO_WORD_EDGE };
enum { NOT_UTF8 = -1, NO_CHARACTER = -2 }; /* the latter before the first and behind the last */

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
static void add(RtRegex *m, int32_t at, int32_t before, int32_t after)
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

static bool in_set(const RtRegex *m, const int32_t *op, int32_t c)
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

static void new_round(RtRegex *m)
{
    int32_t *list = m->now;

    m->now = m->next;
    m->n_now = m->n_next;
    m->next = list;
    m->n_next = 0;
    m->matched = false;
    if (++m->round < INT32_MAX) return;
    memset(m->mark, 0, (size_t)m->most * sizeof *m->mark);
    m->round = 1;
}

/* The character that ends at byte `at`. */
static int32_t character_before(ingot_string s, int64_t at)
{
    int64_t n;

    if (at == 0) return NO_CHARACTER;
    for (int64_t k = 1; k <= 4 && k <= at; k++) {
        int32_t c = ingot_rt_utf8_decode(s.s + at - k, k, &n);
        if (c >= 0 && n == k) return c;
    }
    return NOT_UTF8;
}

RtRegex ingot_rt_regex(int64_t n, int32_t *work)
{
    memset(work + 2 * n, 0, (size_t)n * sizeof *work);
    return (RtRegex){.most = (int32_t)n,
                     .now = work,
                     .next = work + n,
                     .mark = work + 2 * n,
                     .stack = work + 3 * n};
}

int64_t ingot_rt_regex_longest(RtRegex *m, ingot_string s, int64_t at)
{
    int64_t i = at, n = 0, longest = -1;
    int32_t before = character_before(s, at), after = NO_CHARACTER;

    if (i < s.n) after = ingot_rt_utf8_decode(s.s + i, s.n - i, &n);
    m->n_next = 0;
    new_round(m);
    add(m, 0, before, after);
    for (;;) {
        int32_t c = after;
        if (m->matched) longest = i;
        if (i == s.n || m->n_next == 0) return longest;
        i += n;
        after = i < s.n ? ingot_rt_utf8_decode(s.s + i, s.n - i, &n) : NO_CHARACTER;
        new_round(m);
        for (int32_t k = 0; k < m->n_now; k++)
            if (in_set(m, m->code[m->now[k]], c)) add(m, m->now[k] + 1, c, after);
    }
}
