/* regex_parse.c: patterns to trees, by recursive descent. See regex.h. */
#include <string.h>

#include "ir/regex.h"
#include "ir/unicode.h"
#include "support/str.h"
#include "support/vec.h"

enum { DEPTH_MOST = 200, REPEAT_MOST = 1000 };

typedef struct Flags {
    bool fold, lines, dot_all; /* (?i) (?m) (?s) */
} Flags;

typedef struct Parser {
    Arena *arena;
    const char *s, *end;
    Flags flags;
    int depth;
    const char *why;
} Parser;

static RegexNode *fail(Parser *p, const char *what, const char *at, size_t n)
{
    if (!p->why) {
        Text t;
        text_init(&t, p->arena);
        text_f(&t, "%s", what);
        if (n) text_f(&t, " '%.*s'", (int)n, at);
        p->why = t.s;
    }
    return NULL;
}

static RegexNode *new_node(Parser *p, RegexKind kind)
{
    RegexNode *n = ARENA_NEW(p->arena, RegexNode);

    n->kind = kind;
    return n;
}

static void add_kid(RegexNode *n, RegexNode *kid)
{
    if (n->last_kid)
        n->last_kid->next = kid;
    else
        n->kid = kid;
    n->last_kid = kid;
}

/* ---- sets of characters ---- */

typedef struct Set {
    RegexRange *range;
    size_t n, cap;
} Set;

static void set_add(Parser *p, Set *s, int32_t low, int32_t high)
{
    if (low <= high) VEC_PUSH(p->arena, s->range, s->n, s->cap, ((RegexRange){low, high}));
}

static bool set_has(const Set *s, size_t n, int32_t c)
{
    for (size_t i = 0; i < n; i++)
        if (c >= s->range[i].low && c <= s->range[i].high) return true;
    return false;
}

/* With what differs in case alone. */
static void set_fold(Parser *p, Set *s)
{
    size_t n = s->n;
    int32_t orbit[UNICODE_ORBIT];

    for (int way = CASE_LOWER; way <= CASE_UPPER; way++) {
        int count;
        const CaseRow *row = unicode_case_rows((CaseWay)way, &count);
        for (int i = 0; i < count; i++)
            for (int32_t c = row[i].first; c <= row[i].last; c += row[i].step) {
                if (!set_has(s, n, c) && !set_has(s, n, c + row[i].delta)) continue;
                int found = unicode_orbit(c, orbit);
                for (int k = 0; k < found; k++)
                    if (!set_has(s, s->n, orbit[k])) set_add(p, s, orbit[k], orbit[k]);
            }
    }
}

/* Sorted, and what touches joined. */
static void set_tidy(Set *s)
{
    size_t kept = 0;

    for (size_t i = 1; i < s->n; i++) { /* insertion: sets are short, or nearly sorted */
        RegexRange r = s->range[i];
        size_t k = i;
        for (; k > 0 && s->range[k - 1].low > r.low; k--)
            s->range[k] = s->range[k - 1];
        s->range[k] = r;
    }
    for (size_t i = 0; i < s->n; i++) {
        RegexRange *last = kept ? &s->range[kept - 1] : NULL;
        if (last && s->range[i].low <= last->high + 1) {
            if (s->range[i].high > last->high) last->high = s->range[i].high;
        } else {
            s->range[kept++] = s->range[i];
        }
    }
    s->n = kept;
}

static void set_negate(Parser *p, Set *s)
{
    Set other = {0};
    int32_t next = 0;

    set_tidy(s);
    for (size_t i = 0; i < s->n; i++) {
        set_add(p, &other, next, s->range[i].low - 1);
        next = s->range[i].high + 1;
    }
    set_add(p, &other, next, UNICODE_TOP);
    *s = other;
}

static void set_join(Parser *p, Set *to, const Set *from)
{
    for (size_t i = 0; i < from->n; i++)
        set_add(p, to, from->range[i].low, from->range[i].high);
}

static RegexNode *set_node(Parser *p, Set *s)
{
    RegexNode *n = new_node(p, REGEX_SET);

    set_tidy(s);
    n->range = s->range;
    n->n_range = (int)s->n;
    return n;
}

typedef struct NamedSet {
    const char *name, *ranges; /* pairs of characters */
} NamedSet;

/* \d \s \w, and the names between [: and :]. */
static const NamedSet named_sets[] = {
    {"d", "09"},           {"s", "\t\n\f\r  "},
    {"w", "09AZaz__"},     {"alnum", "09AZaz"},
    {"alpha", "AZaz"},     {"ascii", NULL},               /* 0 to 0x7f */
    {"blank", "\t\t  "},   {"cntrl", "\x01\x1f\x7f\x7f"}, /* and 0 */
    {"digit", "09"},       {"graph", "!~"},
    {"lower", "az"},       {"print", " ~"},
    {"punct", "!/:@[`{~"}, {"space", "\t\r  "},
    {"upper", "AZ"},       {"word", "09AZaz__"},
    {"xdigit", "09AFaf"},
};

static bool add_named(Parser *p, Set *s, const char *name, size_t length, bool negate)
{
    for (size_t i = 0; i < sizeof named_sets / sizeof *named_sets; i++) {
        const NamedSet *row = &named_sets[i];
        Set own = {0};
        if (strlen(row->name) != length || memcmp(row->name, name, length) != 0) continue;
        for (const char *r = row->ranges; r && *r; r += 2)
            set_add(p, &own, r[0], r[1]);
        if (!row->ranges) set_add(p, &own, 0, 0x7f);
        if (strcmp(row->name, "cntrl") == 0) set_add(p, &own, 0, 0);
        if (negate) set_negate(p, &own);
        set_join(p, s, &own);
        return true;
    }
    return false;
}

/* ---- single characters ---- */

static int32_t next_char(Parser *p)
{
    size_t n;
    int32_t c = utf8_decode(p->s, (size_t)(p->end - p->s), &n);

    if (c < 0) fail(p, "the pattern is not UTF-8", NULL, 0);
    p->s += n;
    return c;
}

static bool looking_at(const Parser *p, const char *text)
{
    size_t n = strlen(text);
    return (size_t)(p->end - p->s) >= n && memcmp(p->s, text, n) == 0;
}

static bool accept(Parser *p, const char *text)
{
    if (!looking_at(p, text)) return false;
    p->s += strlen(text);
    return true;
}

static int hex_digit(int c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Behind \x: two digits, or any number in braces. */
static int32_t parse_hex(Parser *p)
{
    const char *from = p->s;
    bool braces = accept(p, "{");
    int32_t c = 0;
    int digits = 0;

    while (p->s < p->end && hex_digit(*p->s) >= 0 && (braces || digits < 2) && c <= UNICODE_TOP) {
        c = c * 16 + hex_digit(*p->s++);
        digits++;
    }
    if (digits == 0 || c > UNICODE_TOP || (braces ? !accept(p, "}") : digits != 2)) {
        fail(p, "not a code point: \\x", from, (size_t)(p->s - from));
        return -1;
    }
    return c;
}

/* The character that an escape stands for; p is behind the backslash. -1: none, and the failure is
 * told. */
static int32_t parse_escape(Parser *p)
{
    static const char letters[] = "a\af\fn\nr\rt\tv\v";
    const char *at = p->s - 1;

    if (p->s == p->end) {
        fail(p, "a backslash at the end", NULL, 0);
        return -1;
    }
    int32_t c = next_char(p);
    if (c < 0) return -1;
    if (c == 'x') return parse_hex(p);
    if (c == '0' || (c >= '1' && c <= '7' && p->s < p->end && *p->s >= '0' && *p->s <= '7')) {
        int32_t v = c - '0'; /* octal: up to three digits; one alone would be a back reference */
        for (int i = 0; i < 2 && p->s < p->end && *p->s >= '0' && *p->s <= '7'; i++)
            v = v * 8 + (*p->s++ - '0');
        return v;
    }
    for (size_t i = 0; letters[i]; i += 2)
        if (c == letters[i]) return letters[i + 1];
    if (c < 0x80 && (c < '0' || (c > '9' && c < 'A') || (c > 'Z' && c < 'a') || c > 'z'))
        return c; /* punctuation stands for itself */
    fail(p, "this escape is not supported:", at, (size_t)(p->s - at));
    return -1;
}

/* \d, \D and the like at p, which is at the backslash. */
static bool class_escape(Parser *p, Set *s)
{
    char c = p->end - p->s > 1 ? p->s[1] : 0, small = (char)(c | 0x20);

    if (*p->s != '\\' || (small != 'd' && small != 's' && small != 'w')) return false;
    add_named(p, s, &small, 1, c != small);
    p->s += 2;
    return true;
}

/* ---- classes ---- */

static bool named_class(Parser *p, Set *s)
{
    const char *from = p->s + 2, *to = from;
    bool negate;

    if (!looking_at(p, "[:")) return false;
    while (to + 1 < p->end && !(to[0] == ':' && to[1] == ']'))
        to++;
    if (to + 1 >= p->end) return false;
    negate = *from == '^';
    if (!add_named(p, s, from + negate, (size_t)(to - from - negate), negate))
        fail(p, "there is no class", p->s, (size_t)(to + 2 - p->s));
    p->s = to + 2;
    return true;
}

static int32_t class_char(Parser *p)
{
    if (p->s == p->end) {
        fail(p, "a class without its ]", NULL, 0);
        return -1;
    }
    return accept(p, "\\") ? parse_escape(p) : next_char(p);
}

/* Behind the [. */
static RegexNode *parse_class(Parser *p)
{
    bool negate = accept(p, "^"), first = true;
    Set s = {0};

    while (!p->why && (first || !looking_at(p, "]"))) {
        first = false;
        if (p->s < p->end && (named_class(p, &s) || class_escape(p, &s))) continue;
        const char *from = p->s;
        int32_t low = class_char(p), high = low;
        if (low >= 0 && p->end - p->s > 1 && *p->s == '-' && p->s[1] != ']') {
            p->s++;
            high = class_char(p);
            if (high >= 0 && high < low)
                fail(p, "a range that runs backward:", from, (size_t)(p->s - from));
        }
        if (!p->why) set_add(p, &s, low, high);
    }
    if (p->why) return NULL;
    p->s++;
    if (p->flags.fold) set_fold(p, &s);
    if (negate) set_negate(p, &s);
    return set_node(p, &s);
}

/* ---- expressions ---- */

static RegexNode *parse_choice(Parser *p);

static RegexNode *literal(Parser *p, int32_t c)
{
    int32_t orbit[UNICODE_ORBIT];
    Set s = {0};
    int n = 1;

    if (c < 0) return NULL;
    orbit[0] = c;
    if (p->flags.fold) n = unicode_orbit(c, orbit);
    for (int i = 0; i < n; i++)
        set_add(p, &s, orbit[i], orbit[i]);
    return set_node(p, &s);
}

static RegexNode *place(Parser *p, RegexPlace where)
{
    RegexNode *n = new_node(p, REGEX_PLACE);

    n->place = where;
    return n;
}

static RegexNode *any_char(Parser *p)
{
    Set s = {0};

    if (!p->flags.dot_all) set_add(p, &s, '\n', '\n');
    set_negate(p, &s);
    return set_node(p, &s);
}

/* Characters up to \E, each for itself. */
static RegexNode *quoted(Parser *p)
{
    RegexNode *n = new_node(p, REGEX_CAT);

    while (p->s < p->end && !accept(p, "\\E")) {
        RegexNode *c = literal(p, next_char(p));
        if (!c) return NULL;
        add_kid(n, c);
    }
    return n;
}

/* Flags behind "(?", up to : or ). */
static bool parse_flags(Parser *p)
{
    const char *from = p->s - 2;
    bool on = true;

    for (; p->s < p->end && *p->s != ':' && *p->s != ')'; p->s++) {
        switch (*p->s) {
        case 'i':
            p->flags.fold = on;
            continue;
        case 'm':
            p->flags.lines = on;
            continue;
        case 's':
            p->flags.dot_all = on;
            continue;
        case 'U':
            continue; /* which match is preferred: a whole string has one */
        case '-':
            if (on) {
                on = false;
                continue;
            }
        }
        fail(p, "this group is not supported:", from, (size_t)(p->s + 1 - from));
        return false;
    }
    if (p->s < p->end) return true;
    fail(p, "a group without its )", NULL, 0);
    return false;
}

static bool group_name(Parser *p)
{
    const char *from = p->s;

    while (p->s < p->end && *p->s != '>')
        p->s++;
    if (p->s > from && accept(p, ">")) return true;
    fail(p, "a group without a name", NULL, 0);
    return false;
}

/* Behind the (. */
static RegexNode *parse_group(Parser *p)
{
    Flags outer = p->flags;
    RegexNode *n;

    if (looking_at(p, "?<=") || looking_at(p, "?<!"))
        return fail(p, "looking behind is not supported:", p->s - 1, 4);
    if (accept(p, "?P<") || accept(p, "?<")) {
        if (!group_name(p)) return NULL;
    } else if (accept(p, "?")) {
        if (!parse_flags(p)) return NULL;
        if (accept(p, ")")) return new_node(p, REGEX_EMPTY); /* for the rest of the outer group */
        p->s++;
    }
    if (++p->depth > DEPTH_MOST) return fail(p, "groups are nested too deeply", NULL, 0);
    n = parse_choice(p);
    p->depth--;
    p->flags = outer;
    if (n && !accept(p, ")")) return fail(p, "a group without its )", NULL, 0);
    return n;
}

static RegexNode *parse_backslash(Parser *p)
{
    Set s = {0};

    if (accept(p, "\\A")) return place(p, PLACE_TEXT_START);
    if (accept(p, "\\z")) return place(p, PLACE_TEXT_END);
    if (accept(p, "\\b")) return place(p, PLACE_WORD_EDGE);
    if (accept(p, "\\B")) return place(p, PLACE_NO_WORD_EDGE);
    if (accept(p, "\\Q")) return quoted(p);
    if (class_escape(p, &s)) return set_node(p, &s);
    p->s++;
    return literal(p, parse_escape(p));
}

static RegexNode *parse_atom(Parser *p)
{
    if (*p->s == '*' || *p->s == '+' || *p->s == '?')
        return fail(p, "nothing to repeat before", p->s, 1);
    if (*p->s == '\\') return parse_backslash(p);
    if (accept(p, "(")) return parse_group(p);
    if (accept(p, "[")) return parse_class(p);
    if (accept(p, ".")) return any_char(p);
    if (accept(p, "^")) return place(p, p->flags.lines ? PLACE_LINE_START : PLACE_TEXT_START);
    if (accept(p, "$")) return place(p, p->flags.lines ? PLACE_LINE_END : PLACE_TEXT_END);
    return literal(p, next_char(p));
}

static bool parse_count(const char **s, const char *end, int *out)
{
    const char *from = *s;

    *out = 0;
    while (*s < end && **s >= '0' && **s <= '9' && *out <= REPEAT_MOST)
        *out = *out * 10 + (*(*s)++ - '0');
    return *s > from;
}

/* * + ? {n} {n,} {n,m}; what is no such thing in braces is text. */
static bool parse_repeat(Parser *p, int *min, int *max)
{
    const char *s = p->s;

    *min = *s == '+';
    *max = *s == '?' ? 1 : -1;
    if (*s == '*' || *s == '+' || *s == '?') {
        p->s++;
        return true;
    }
    if (*s++ != '{' || !parse_count(&s, p->end, min)) return false;
    *max = *min;
    if (s < p->end && *s == ',') {
        s++;
        if (!parse_count(&s, p->end, max)) *max = -1;
    }
    if (s == p->end || *s != '}') return false;
    p->s = s + 1;
    return true;
}

static RegexNode *parse_piece(Parser *p)
{
    RegexNode *n = parse_atom(p), *r;
    const char *from = p->s;
    int min, max;

    if (!n || p->s == p->end || !parse_repeat(p, &min, &max)) return n;
    if (min > REPEAT_MOST || max > REPEAT_MOST || (max >= 0 && max < min))
        return fail(p, "not a possible repetition:", from, (size_t)(p->s - from));
    accept(p, "?"); /* the shortest first: of no matter to whole strings */
    r = new_node(p, REGEX_REPEAT);
    r->min = min;
    r->max = max;
    add_kid(r, n);
    from = p->s;
    if (p->s < p->end && parse_repeat(p, &min, &max))
        return fail(p, "a repetition of a repetition:", from, (size_t)(p->s - from));
    return r;
}

static RegexNode *parse_sequence(Parser *p)
{
    RegexNode *n = new_node(p, REGEX_CAT);

    while (p->s < p->end && *p->s != '|' && *p->s != ')') {
        RegexNode *piece = parse_piece(p);
        if (!piece) return NULL;
        add_kid(n, piece);
    }
    return n;
}

static RegexNode *parse_choice(Parser *p)
{
    RegexNode *n = new_node(p, REGEX_ALT), *part = parse_sequence(p);

    while (part) {
        add_kid(n, part);
        if (!accept(p, "|")) return n;
        part = parse_sequence(p);
    }
    return NULL;
}

const RegexNode *regex_parse(Arena *a, StringRef pattern, const char **why)
{
    Parser p = {.arena = a, .s = pattern.s, .end = pattern.s + pattern.n};
    RegexNode *n = pattern.n ? parse_choice(&p) : new_node(&p, REGEX_EMPTY);

    if (n && p.s < p.end) n = fail(&p, "a ) without its (", NULL, 0);
    *why = p.why ? p.why : "no memory";
    return n;
}
