/* unicode.c: see unicode.h. */
#include "ir/unicode.h"

int32_t utf8_decode(const char *s, size_t left, size_t *n)
{
    static const int32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *p = (const unsigned char *)s;
    size_t length = p[0] < 0x80 ? 1 : p[0] < 0xc0 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    int32_t c = p[0];

    *n = 1;
    if (length == 1) return c;
    if (length == 0 || length > left || p[0] > 0xf4) return -1;
    c &= 0x7f >> length;
    for (size_t i = 1; i < length; i++) {
        if ((p[i] & 0xc0) != 0x80) return -1;
        c = c << 6 | (p[i] & 0x3f);
    }
    if (c < least[length] || c > UNICODE_TOP || (c >= 0xd800 && c < 0xe000)) return -1;
    *n = length;
    return c;
}

size_t utf8_encode(int32_t c, char out[UTF8_LONGEST])
{
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const int lead[] = {0, 0, 0xc0, 0xe0, 0xf0};

    for (size_t i = n; i-- > 1; c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)(lead[n] | c);
    return n;
}

#define CASE(way, first, last, step, delta) {CASE_##way, first, last, step, delta},
static const CaseRow rows[] = {
#include "ir/case.def"
};
#undef CASE

enum { N_ROWS = sizeof rows / sizeof *rows };

const CaseRow *unicode_case_rows(CaseWay way, int *count)
{
    int first = 0, n = 0;

    while (first < N_ROWS && rows[first].way != way)
        first++;
    while (first + n < N_ROWS && rows[first + n].way == way)
        n++;
    *count = n;
    return rows + first;
}

int32_t unicode_case(CaseWay way, int32_t c)
{
    int n;
    const CaseRow *r = unicode_case_rows(way, &n);

    for (int i = 0; i < n && r[i].first <= c; i++)
        if (c <= r[i].last && (c - r[i].first) % r[i].step == 0) return c + r[i].delta;
    return c;
}

static int add_point(int32_t *out, int n, int32_t c)
{
    for (int i = 0; i < n; i++)
        if (out[i] == c) return n;
    /* the dotted and the dotless I stand alone: they fold in Turkish only */
    if (n >= UNICODE_ORBIT || c == 0x130 || c == 0x131) return n;
    out[n] = c;
    return n + 1;
}

int unicode_orbit(int32_t c, int32_t out[UNICODE_ORBIT])
{
    int n = 1;

    out[0] = c;
    if (c == 0x130 || c == 0x131) return 1;
    for (int i = 0; i < n; i++)
        for (int k = 0; k < N_ROWS; k++) {
            const CaseRow *r = &rows[k];
            int32_t from = out[i] - r->delta;
            if (out[i] >= r->first && out[i] <= r->last && (out[i] - r->first) % r->step == 0)
                n = add_point(out, n, out[i] + r->delta);
            if (from >= r->first && from <= r->last && (from - r->first) % r->step == 0)
                n = add_point(out, n, from);
        }
    return n;
}
