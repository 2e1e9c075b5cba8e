/* str.c: text in an arena, and numbers to and from text without a locale.
 *
 * Shortest digits: a decimal of up to DBL_DIG digits survives the way to double and back, so if any
 * short text reads back as v, then it is v printed with DBL_DIG digits, less trailing zeros;
 * otherwise one or two digits more are needed. Subnormals have fewer bits, so there every length is
 * tried. The C library rounds correctly in both directions; its decimal point is skipped, and our
 * own is set. */
#include "support/str.h"

#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/checked.h"

void text_init(Text *t, Arena *arena)
{
    *t = (Text){.arena = arena, .cap = 32};
    t->s = arena_alloc(arena, t->cap);
}

/* Room for `more` bytes and the NUL; false without memory (the arena is marked, the text is cut
 * short). */
static bool reserve(Text *t, size_t more)
{
    size_t need, cap;

    if (!checked_add(t->n, more, &need) || !checked_add(need, 1, &need)) return false;
    if (need <= t->cap) return true;
    cap = t->cap * 2 > need ? t->cap * 2 : need;
    char *s = arena_alloc(t->arena, cap);
    if (!s) return false;
    memcpy(s, t->s, t->n);
    t->s = s;
    t->cap = cap;
    return true;
}

void text_put_n(Text *t, const char *s, size_t n)
{
    if (!n || !reserve(t, n)) return;
    memcpy(t->s + t->n, s, n);
    t->n += n;
    t->s[t->n] = '\0';
}

void text_put(Text *t, const char *s)
{
    text_put_n(t, s, strlen(s));
}

void text_char(Text *t, char c)
{
    text_put_n(t, &c, 1);
}

void text_f(Text *t, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n <= 0 || !reserve(t, (size_t)n)) return;
    va_start(args, format);
    vsnprintf(t->s + t->n, (size_t)n + 1, format, args);
    va_end(args);
    t->n += (size_t)n;
}

void text_quote(Text *t, const char *s, size_t n)
{
    bool utf8 = utf8_valid(s, n);

    text_char(t, '"');
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c == '"' || c == '\\')
            text_f(t, "\\%c", c);
        else if (c == '\n')
            text_put(t, "\\n");
        else if (c == '\t')
            text_put(t, "\\t");
        else if (c < 0x20 || c == 0x7F || (c >= 0x80 && !utf8))
            text_f(t, "\\x%02x", c);
        else
            text_char(t, s[i]);
    }
    text_char(t, '"');
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* What follows a backslash; returns the position after it, or NULL. */
static const char *unescape(Text *t, const char *s)
{
    static const char from[] = "\"\\nt", to[] = "\"\\\n\t";
    const char *known = *s ? strchr(from, *s) : NULL;

    if (known) {
        text_char(t, to[known - from]);
        return s + 1;
    }
    if (*s != 'x') return NULL;
    int high = hex_digit(s[1]);
    int low = high < 0 ? -1 : hex_digit(s[2]);
    if (low < 0) return NULL;
    text_char(t, (char)(high << 4 | low));
    return s + 3;
}

const char *text_unquote(Text *t, const char *s)
{
    if (*s++ != '"') return NULL;
    while (*s != '"') {
        size_t plain = strcspn(s, "\"\\\n");
        text_put_n(t, s, plain);
        s += plain;
        if (*s == '\\')
            s = unescape(t, s + 1);
        else if (*s != '"')
            return NULL; /* the text or the line ends within the quotes */
        if (!s) return NULL;
    }
    return s + 1;
}

/* A number's digits without point and trailing zeros: 0.digits * 10^point. */
typedef struct Digits {
    char d[24];
    int n, point;
} Digits;

/* Print |v| with `precision` significant digits; true when that reads back as v. */
static bool try_digits(Digits *out, double v, int precision, bool single)
{
    char buffer[64];

    snprintf(buffer, sizeof buffer, "%.*e", precision - 1, v);
    double back = strtod(buffer, NULL);
    /* A float must survive both ways of reading: directly, and by way of double. */
    bool same = single ? (float)back == (float)v && strtof(buffer, NULL) == (float)v : back == v;
    const char *p = buffer;
    out->n = 0;
    for (; *p && *p != 'e'; p++) {
        if (*p >= '0' && *p <= '9' && out->n < precision) out->d[out->n++] = *p;
    }
    out->point = *p == 'e' ? atoi(p + 1) + 1 : 1;
    while (out->n > 1 && out->d[out->n - 1] == '0') {
        out->n--;
    }
    return same;
}

static void put_digits(Text *t, const Digits *g)
{
    if (g->point > -5 && g->point <= 0) { /* 0.000123 */
        text_put(t, "0.");
        text_put_n(t, "00000", (size_t)-g->point);
        text_put_n(t, g->d, (size_t)g->n);
    } else if (g->point > 0 && g->point <= 17) { /* 123, 1200, 1.23 */
        int whole = g->point < g->n ? g->point : g->n;
        text_put_n(t, g->d, (size_t)whole);
        for (int i = whole; i < g->point; i++) {
            text_char(t, '0');
        }
        if (g->n > whole) text_char(t, '.');
        text_put_n(t, g->d + whole, (size_t)(g->n - whole));
    } else { /* 1.23e-30 */
        text_put_n(t, g->d, 1);
        if (g->n > 1) text_char(t, '.');
        text_put_n(t, g->d + 1, (size_t)(g->n - 1));
        text_f(t, "e%d", g->point - 1);
    }
}

static void put_number(Text *t, double v, bool single)
{
    double smallest = single ? (double)FLT_MIN : DBL_MIN;
    int last = single ? FLT_DECIMAL_DIG : DBL_DECIMAL_DIG;
    Digits g;

    if (isnan(v)) {
        text_put(t, "nan");
        return;
    }
    if (signbit(v)) text_char(t, '-');
    v = fabs(v);
    if (isinf(v)) {
        text_put(t, "inf");
        return;
    }
    int precision = v < smallest ? 1 : single ? FLT_DIG : DBL_DIG;
    while (!try_digits(&g, v, precision, single) && precision < last) {
        precision++;
    }
    put_digits(t, &g);
}

void text_double(Text *t, double v)
{
    put_number(t, v, false);
}

void text_float(Text *t, float v)
{
    put_number(t, (double)v, true);
}

bool parse_i64(const char *s, int64_t *out)
{
    bool negative = *s == '-';
    int64_t v = 0;

    if (*s == '-' || *s == '+') s++;
    if (!*s) return false;
    for (; *s; s++) {
        int digit = *s - '0';
        if (digit < 0 || digit > 9) return false;
        if (!checked_mul_i64(v, 10, &v)) return false;
        if (!checked_add_i64(v, negative ? -digit : digit, &v)) return false;
    }
    *out = v;
    return true;
}

static const char *skip_digits(const char *s)
{
    while (*s >= '0' && *s <= '9') {
        s++;
    }
    return s;
}

/* digits [. digits] [e [sign] digits], with a digit on at least one side of the point */
static bool is_decimal(const char *s)
{
    const char *p = skip_digits(s);
    bool some = p > s;

    if (*p == '.') {
        const char *fraction = p + 1;
        p = skip_digits(fraction);
        some = some || p > fraction;
    }
    if (!some) return false;
    if (*p == 'e' || *p == 'E') {
        p++;
        if (*p == '-' || *p == '+') p++;
        const char *exponent = p;
        p = skip_digits(p);
        if (p == exponent) return false;
    }
    return !*p;
}

bool parse_double(const char *s, double *out)
{
    const char *unsigned_part = *s == '-' || *s == '+' ? s + 1 : s;
    bool finite = is_decimal(unsigned_part);

    if (!finite && strcmp(unsigned_part, "inf") != 0 && strcmp(unsigned_part, "nan") != 0) {
        return false;
    }
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!c) return false;
    double v = strtod_l(s, NULL, c);
    freelocale(c);
    if (finite && isinf(v)) return false;
    *out = v;
    return true;
}

bool str_starts(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_ends(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);
    return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

/* Unicode 15, table 3-7 */
size_t utf8_length(const char *s, size_t n)
{
    const unsigned char *p = (const unsigned char *)s;
    unsigned char c = p[0];
    size_t length = c < 0x80 ? 1 : c < 0xC2 ? 0 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : c < 0xF5 ? 4 : 0;

    if (length > n) return 0;
    for (size_t i = 1; i < length; i++) {
        if ((p[i] & 0xC0) != 0x80) return 0;
    }
    if (c == 0xE0 && p[1] < 0xA0) return 0; /* overlong */
    if (c == 0xED && p[1] > 0x9F) return 0; /* surrogates */
    if (c == 0xF0 && p[1] < 0x90) return 0; /* overlong */
    if (c == 0xF4 && p[1] > 0x8F) return 0; /* above U+10FFFF */
    return length;
}

bool utf8_valid(const char *s, size_t n)
{
    while (n > 0) {
        size_t step = utf8_length(s, n);
        if (step == 0) return false;
        s += step;
        n -= step;
    }
    return true;
}
