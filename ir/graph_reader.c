/* graph_reader.c: tokens of IR text. The reader skips white space and comments before each token
 * and counts lines there: no token spans lines. */
#include <ctype.h>
#include <string.h>

#include "ir/graph_text.h"
#include "support/vec.h"

#define LIST_LENGTH 4096 /* dims in one list */

void reader_init(Reader *r, Module *m, const char *file, const char *text, Diag *d)
{
    *r = (Reader){.m = m, .s = text, .line_start = text, .file = file, .line = 1, .diag = d};
    map_init(&r->values, m->arena, true);
    map_init(&r->data, m->arena, true);
}

bool reader_fail(Reader *r, const char *format, ...)
{
    if (r->status != OK) return false;
    va_list args;
    Where where = {.file = r->file, .line = r->line, .column = (int)(r->s - r->line_start) + 1};
    va_start(args, format);
    r->status = diag_v(r->diag, ERR_MODEL, where, format, args);
    va_end(args);
    r->s = "";
    return false;
}

void reader_space(Reader *r)
{
    for (;;) {
        if (*r->s == '\n') {
            r->line++;
            r->line_start = r->s + 1;
        } else if (*r->s == ';') {
            r->s += strcspn(r->s, "\n");
            continue;
        } else if (*r->s != ' ' && *r->s != '\t' && *r->s != '\r') {
            return;
        }
        r->s++;
    }
}

static bool word_char(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '.';
}

bool reader_at(Reader *r, const char *token)
{
    size_t n = strlen(token);
    reader_space(r);
    /* a word is not the beginning of a longer one */
    return strncmp(r->s, token, n) == 0 &&
           !(word_char(token[n - 1]) && token[n - 1] != '.' && word_char(r->s[n]));
}

bool reader_eat(Reader *r, const char *token)
{
    if (!reader_at(r, token)) return false;
    r->s += strlen(token);
    return true;
}

bool reader_need(Reader *r, const char *token)
{
    return reader_eat(r, token) || reader_fail(r, "expected '%s' before '%.20s'", token, r->s);
}

bool reader_word(Reader *r, const char **word)
{
    size_t n = 0;
    reader_space(r);
    while (word_char(r->s[n]))
        n++;
    if (n == 0) return reader_fail(r, "expected a word before '%.20s'", r->s);
    *word = intern_n(&r->m->names, r->s, n);
    r->s += n;
    return true;
}

bool reader_string(Reader *r, StringRef *out)
{
    Text t;
    const char *end;
    reader_space(r);
    text_init(&t, r->m->arena);
    end = *r->s == '"' ? text_unquote(&t, r->s) : NULL;
    if (!end) return reader_fail(r, "expected a quoted string before '%.20s'", r->s);
    r->s = end;
    *out = (StringRef){t.s, (int64_t)t.n};
    return true;
}

bool reader_name(Reader *r, const char **name)
{
    StringRef s;
    reader_space(r);
    if (*r->s != '"') return reader_word(r, name);
    if (!reader_string(r, &s)) return false;
    *name = intern(&r->m->names, s.s);
    return true;
}

bool reader_number(Reader *r, bool *is_float, int64_t *i, double *f)
{
    char token[64];
    size_t n;
    reader_space(r);
    n = strspn(r->s, "0123456789+-.einfaE");
    if (n == 0 || n >= sizeof token)
        return reader_fail(r, "expected a number before '%.20s'", r->s);
    memcpy(token, r->s, n);
    token[n] = 0;
    *is_float = strpbrk(token, ".einfaE") != NULL;
    if (*is_float ? !parse_double(token, f) : !parse_i64(token, i))
        return reader_fail(r, "'%s' is not a number", token);
    if (!*is_float) *f = (double)*i;
    r->s += n;
    return true;
}

bool reader_int(Reader *r, int64_t *out)
{
    size_t n;
    char token[32];
    reader_space(r);
    n = strspn(r->s, "-0123456789");
    if (n == 0 || n >= sizeof token)
        return reader_fail(r, "expected an integer before '%.20s'", r->s);
    memcpy(token, r->s, n);
    token[n] = 0;
    if (!parse_i64(token, out)) return reader_fail(r, "'%s' is not an integer", token);
    r->s += n;
    return true;
}

bool reader_small(Reader *r, int least, int most, int *out)
{
    int64_t v;
    if (!reader_int(r, &v)) return false;
    if (v < least || v > most)
        return reader_fail(r, "found %lld, expected a number from %d to %d", (long long)v, least,
                           most);
    *out = (int)v;
    return true;
}

bool reader_double(Reader *r, double *out)
{
    bool is_float;
    int64_t i;
    return reader_number(r, &is_float, &i, out);
}

bool reader_dim(Reader *r, Dim *out)
{
    reader_space(r);
    const char *end = dim_parse(&r->m->dims, r->s, out);
    if (!end) return reader_fail(r, "malformed dim '%.20s'", r->s);
    r->s = end;
    return true;
}

bool reader_dims(Reader *r, Dim **out, int *n)
{
    int cap = 0;
    *out = NULL;
    *n = 0;
    if (!reader_need(r, "[")) return false;
    while (!reader_at(r, "]")) {
        Dim d;
        if (*n && !reader_need(r, ",")) return false;
        if (!reader_dim(r, &d)) return false;
        if (*n == LIST_LENGTH) return reader_fail(r, "more than %d dims", LIST_LENGTH);
        VEC_PUSH(r->m->arena, *out, *n, cap, d);
    }
    return reader_need(r, "]");
}

bool reader_type(Reader *r, Type *out)
{
    reader_space(r);
    const char *end = type_parse(&r->m->dims, r->m->arena, r->s, out);
    if (!end) return reader_fail(r, "malformed type '%.20s'", r->s);
    r->s = end;
    return true;
}

bool reader_sx(Reader *r, const Sx **out)
{
    reader_space(r);
    const char *end = sx_parse(&r->m->sx, r->s, out);
    if (!end) return reader_fail(r, "malformed scalar expression '%.30s'", r->s);
    r->s = end;
    return true;
}
