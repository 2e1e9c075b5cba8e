/* dim_text.c: dims as text, and back.
 *
 *     sum     = ["-"] product { ("+" | "-") product }
 *     product = factor { ("*" | "/" | "%") factor }           from left to right
 *     factor  = number | symbol | quoted symbol | ("min" | "max") "(" sum "," sum ")" | "(" sum ")"
 *
 * A sign belongs to the whole product, but for the least integer, which has no positive form. A
 * symbol that is read before anybody made it is a size: its bounds are [0, none]. */
#include <ctype.h>
#include <string.h>

#include "ir/dim.h"
#include "support/checked.h"

#define PARSE_DEPTH 200

static bool plain_name(const char *s)
{
    if (!isalpha((unsigned char)*s) && *s != '_') return false;
    while (isalnum((unsigned char)*s) || *s == '_' || *s == '.')
        s++;
    return *s == 0;
}

static void print_operand(Text *out, Dim d)
{
    bool bare = d->kind == DIM_SYM || d->kind == DIM_MIN || d->kind == DIM_MAX ||
                (d->kind == DIM_CONST && d->value >= 0);
    if (!bare) text_char(out, '(');
    dim_print(out, d);
    if (!bare) text_char(out, ')');
}

static void print_term(Text *out, const DimTerm *t, bool first)
{
    bool unit = t->n > 0 && (t->coef == 1 || t->coef == -1);
    if (t->coef >= 0 && !first) text_char(out, '+');
    if (unit && t->coef < 0) text_char(out, '-');
    if (!unit) text_f(out, "%lld", (long long)t->coef);
    for (int i = 0; i < t->n; i++) {
        if (i > 0 || !unit) text_char(out, '*');
        if (t->n == 1 && unit)
            dim_print(out, t->atom[i]);
        else
            print_operand(out, t->atom[i]);
    }
}

void dim_print(Text *out, Dim d)
{
    switch (d->kind) {
    case DIM_CONST:
        text_f(out, "%lld", (long long)d->value);
        break;
    case DIM_SYM:
        if (plain_name(d->name))
            text_put(out, d->name);
        else
            text_quote(out, d->name, strlen(d->name));
        break;
    case DIM_POLY:
        for (int i = 0; i < d->n_term; i++)
            print_term(out, &d->term[i], i == 0);
        break;
    case DIM_DIV:
    case DIM_MOD:
        print_operand(out, d->a);
        text_char(out, d->kind == DIM_DIV ? '/' : '%');
        print_operand(out, d->b);
        break;
    case DIM_MIN:
    case DIM_MAX:
        text_put(out, d->kind == DIM_MIN ? "min(" : "max(");
        dim_print(out, d->a);
        text_char(out, ',');
        dim_print(out, d->b);
        text_char(out, ')');
        break;
    }
}

typedef struct Parser {
    DimTable *t;
    int depth;
} Parser;

static const char *parse_sum(Parser *p, const char *s, Dim *out);

/* The least integer is read only where a sign stands before it; that sign is then used up. */
static const char *parse_number(Parser *p, const char *s, bool *negative, Dim *out)
{
    int64_t v = 0;
    for (; isdigit((unsigned char)*s); s++) {
        if (!checked_mul_i64(v, 10, &v) || !checked_sub_i64(v, *s - '0', &v)) return NULL;
    }
    bool lowest = v == INT64_MIN;
    if (lowest && !*negative) return NULL;
    *out = dim_const(p->t, lowest ? v : -v);
    if (lowest) *negative = false;
    return s;
}

static const char *parse_name(Parser *p, const char *s, Dim *out)
{
    Text name;
    text_init(&name, p->t->arena);
    if (*s == '"') {
        s = text_unquote(&name, s);
    } else {
        const char *end = s;
        while (isalnum((unsigned char)*end) || *end == '_' || *end == '.')
            end++;
        if (end == s) return NULL;
        text_put_n(&name, s, (size_t)(end - s));
        s = end;
    }
    if (s)
        *out = dim_symbol(p->t, name.s, map_has(&p->t->symbols, name.s) ? INT64_MIN : 0, INT64_MAX);
    return s;
}

static const char *parse_pair(Parser *p, const char *s, Dim *out)
{
    Dim a, b;
    bool smaller = s[1] == 'i';
    s = parse_sum(p, s + 4, &a);
    if (!s || *s != ',') return NULL;
    s = parse_sum(p, s + 1, &b);
    if (!s || *s != ')') return NULL;
    *out = smaller ? dim_min(p->t, a, b) : dim_max(p->t, a, b);
    return s + 1;
}

static const char *parse_factor(Parser *p, const char *s, bool *negative, Dim *out)
{
    if (isdigit((unsigned char)*s)) return parse_number(p, s, negative, out);
    if (strncmp(s, "min(", 4) == 0 || strncmp(s, "max(", 4) == 0) return parse_pair(p, s, out);
    if (*s != '(') return parse_name(p, s, out);
    s = parse_sum(p, s + 1, out);
    return s && *s == ')' ? s + 1 : NULL;
}

static const char *parse_product(Parser *p, const char *s, bool negative, Dim *out)
{
    Dim b;
    bool none = false;
    s = parse_factor(p, s, &negative, out);
    while (s && *s && strchr("*/%", *s)) {
        char op = *s;
        s = parse_factor(p, s + 1, &none, &b);
        if (!s) return NULL;
        *out = op == '*'   ? dim_mul(p->t, *out, b)
               : op == '/' ? dim_div(p->t, *out, b)
                           : dim_mod(p->t, *out, b);
    }
    if (s && negative) *out = dim_mul_c(p->t, *out, -1);
    return s;
}

static const char *parse_sum(Parser *p, const char *s, Dim *out)
{
    Dim b;
    if (p->depth >= PARSE_DEPTH) return NULL;
    p->depth++;
    s = parse_product(p, s + (*s == '-'), *s == '-', out);
    while (s && (*s == '+' || *s == '-')) {
        s = parse_product(p, s + 1, *s == '-', &b);
        if (s) *out = dim_add(p->t, *out, b);
    }
    p->depth--;
    return s;
}

const char *dim_parse(DimTable *t, const char *s, Dim *out)
{
    Parser p = {.t = t};
    return parse_sum(&p, s, out);
}
