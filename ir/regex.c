/* regex.c: trees of regular expressions, walked or made into programs. See regex.h. */
#include "ir/regex.h"

#include <string.h>

#include "ir/unicode.h"

/* ---- matching on the tree: sets of places between characters ---- */

typedef struct Match {
    Arena *arena;
    const int32_t *c; /* [n] code points, -1: not UTF-8 */
    int64_t n;
    bool failed; /* no memory */
} Match;

static bool is_word(int32_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
}

static bool holds(const Match *m, RegexPlace place, int64_t i)
{
    int32_t before = i > 0 ? m->c[i - 1] : -1, after = i < m->n ? m->c[i] : -1;

    switch (place) {
    case PLACE_TEXT_START:
        return i == 0;
    case PLACE_TEXT_END:
        return i == m->n;
    case PLACE_LINE_START:
        return i == 0 || before == '\n';
    case PLACE_LINE_END:
        return i == m->n || after == '\n';
    case PLACE_WORD_EDGE:
        return is_word(before) != is_word(after);
    case PLACE_NO_WORD_EDGE:
        return is_word(before) == is_word(after);
    }
    return false;
}

static bool in_set(const RegexNode *n, int32_t c)
{
    for (int i = 0; i < n->n_range; i++)
        if (c >= n->range[i].low && c <= n->range[i].high) return true;
    return false;
}

static bool *new_places(Match *m)
{
    bool *p = arena_try(m->arena, (size_t)m->n + 1, sizeof *p);

    if (!p) m->failed = true;
    return p;
}

static void walk(Match *m, const RegexNode *n, const bool *from, bool *to);

static void walk_repeat(Match *m, const RegexNode *n, const bool *from, bool *to)
{
    size_t size = (size_t)m->n + 1;
    bool *now = new_places(m), *next = new_places(m);

    if (m->failed) return;
    memcpy(now, from, size);
    for (int round = 0;; round++) {
        bool more = false;
        for (size_t i = 0; i < size && round >= n->min; i++) {
            more |= now[i] && !to[i];
            to[i] |= now[i];
        }
        if ((round >= n->min && !more) || round == n->max || m->failed) return;
        memset(next, 0, size);
        walk(m, n->kid, now, next);
        if (round < n->min && memcmp(now, next, size) == 0) round = n->min - 1; /* as all to come */
        memcpy(now, next, size);
    }
}

/* Adds to `to` the places where a match that begins at one of `from` may end. */
static void walk(Match *m, const RegexNode *n, const bool *from, bool *to)
{
    size_t size = (size_t)m->n + 1;
    bool *a, *b;

    switch (n->kind) {
    case REGEX_EMPTY:
        for (size_t i = 0; i < size; i++)
            to[i] |= from[i];
        return;
    case REGEX_SET:
        for (int64_t i = 0; i < m->n; i++)
            to[i + 1] |= from[i] && in_set(n, m->c[i]);
        return;
    case REGEX_PLACE:
        for (int64_t i = 0; i <= m->n; i++)
            to[i] |= from[i] && holds(m, n->place, i);
        return;
    case REGEX_ALT:
        for (const RegexNode *k = n->kid; k; k = k->next)
            walk(m, k, from, to);
        return;
    case REGEX_REPEAT:
        walk_repeat(m, n, from, to);
        return;
    case REGEX_CAT:
        break;
    }
    a = new_places(m);
    b = new_places(m);
    if (m->failed) return;
    memcpy(a, from, size);
    for (const RegexNode *k = n->kid; k && !m->failed; k = k->next) {
        memset(b, 0, size);
        walk(m, k, a, b);
        memcpy(a, b, size);
    }
    for (size_t i = 0; i < size; i++)
        to[i] |= a[i];
}

int64_t regex_longest(const RegexNode *tree, StringRef s, int64_t at)
{
    Match m = {.arena = arena_new(0)};
    int32_t *c = m.arena ? arena_try(m.arena, (size_t)s.n + 1, sizeof *c) : NULL;
    int64_t *place = c ? arena_try(m.arena, (size_t)s.n + 1, sizeof *place) : NULL, longest = -1;
    bool *from, *to;

    for (size_t i = 0, n; place && i < (size_t)s.n; i += n) {
        place[m.n] = (int64_t)i;
        c[m.n++] = utf8_decode(s.s + i, (size_t)s.n - i, &n);
    }
    m.c = c;
    from = place ? new_places(&m) : NULL;
    to = place ? new_places(&m) : NULL;
    if (from && to) {
        place[m.n] = s.n;
        for (int64_t i = 0; i <= m.n; i++)
            from[i] = place[i] == at;
        walk(&m, tree, from, to);
        for (int64_t i = 0; i <= m.n && !m.failed; i++)
            if (to[i]) longest = place[i];
    }
    if (m.arena) arena_free(m.arena);
    return longest;
}

bool regex_match(const RegexNode *tree, StringRef s)
{
    return regex_longest(tree, s, 0) == s.n;
}

/* ---- programs ---- */

typedef struct Program {
    int32_t *code;  /* [n][3]; NULL: counting */
    int32_t *range; /* [n_range][2] */
    int64_t n, n_range;
} Program;

static int64_t emit(Program *p, RegexOp op, int64_t x, int64_t y)
{
    if (p->code) {
        p->code[p->n * 3] = (int32_t)op;
        p->code[p->n * 3 + 1] = (int32_t)x;
        p->code[p->n * 3 + 2] = (int32_t)y;
    }
    return p->n < REGEX_MOST ? p->n++ : p->n;
}

static void patch(Program *p, int64_t at, int k, int64_t value)
{
    if (p->code) p->code[at * 3 + k] = (int32_t)value;
}

static void compile(Program *p, const RegexNode *n);

/* a{2,3}: a a (a | nothing); a{1,}: a, then split between a and what follows. */
static void compile_repeat(Program *p, const RegexNode *n)
{
    for (int i = 0; i < n->min && p->n < REGEX_MOST; i++) {
        int64_t before = p->n;
        compile(p, n->kid);
        if (p->n == before) return; /* nothing, any number of times */
    }
    if (n->max < 0) {
        int64_t split = emit(p, REGEX_SPLIT, p->n + 1, 0);
        compile(p, n->kid);
        emit(p, REGEX_JUMP, split, 0);
        patch(p, split, 2, p->n);
        return;
    }
    for (int i = n->min; i < n->max && p->n < REGEX_MOST; i++) {
        int64_t split = emit(p, REGEX_SPLIT, p->n + 1, 0);
        compile(p, n->kid);
        patch(p, split, 2, p->n);
    }
}

/* split a, (split b, c): each alternative jumps to the end. */
static void compile_choice(Program *p, const RegexNode *n)
{
    int64_t jump[2] = {-1, -1}; /* the last jump, and through its argument all before it */

    for (const RegexNode *k = n->kid; k && p->n < REGEX_MOST; k = k->next) {
        int64_t split = k->next ? emit(p, REGEX_SPLIT, p->n + 1, 0) : -1;
        compile(p, k);
        if (split < 0) break;
        jump[1] = emit(p, REGEX_JUMP, jump[0], 0);
        jump[0] = jump[1];
        patch(p, split, 2, p->n);
    }
    for (int64_t at = jump[0], next; at >= 0 && p->code; at = next) {
        next = p->code[at * 3 + 1];
        patch(p, at, 1, p->n);
    }
}

static void compile(Program *p, const RegexNode *n)
{
    switch (n->kind) {
    case REGEX_EMPTY:
        return;
    case REGEX_SET:
        emit(p, REGEX_IN, p->n_range, n->n_range);
        for (int i = 0; i < n->n_range; i++, p->n_range++) {
            if (!p->range) continue;
            p->range[p->n_range * 2] = n->range[i].low;
            p->range[p->n_range * 2 + 1] = n->range[i].high;
        }
        return;
    case REGEX_PLACE:
        emit(p, REGEX_AT, n->place, 0);
        return;
    case REGEX_CAT:
        for (const RegexNode *k = n->kid; k && p->n < REGEX_MOST; k = k->next)
            compile(p, k);
        return;
    case REGEX_ALT:
        compile_choice(p, n);
        return;
    case REGEX_REPEAT:
        compile_repeat(p, n);
        return;
    }
}

bool regex_compile(Arena *a, const RegexNode *tree, Tensor **program, Tensor **ranges)
{
    Program p = {0};
    int64_t dims[2] = {0, 3};

    compile(&p, tree);
    if (emit(&p, REGEX_MATCH, 0, 0) == REGEX_MOST || p.n >= REGEX_MOST) return false;
    dims[0] = p.n;
    *program = tensor_new(a, DT_I32, 2, dims);
    dims[0] = p.n_range ? p.n_range : 1;
    dims[1] = 2;
    *ranges = tensor_new(a, DT_I32, 2, dims);
    if (!*program || !*ranges) return false;
    p = (Program){.code = (*program)->data, .range = (*ranges)->data};
    compile(&p, tree);
    emit(&p, REGEX_MATCH, 0, 0);
    return true;
}
