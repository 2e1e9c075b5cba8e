/* str.h: text that is built up in an arena, and number parsing that knows no locale. */
#ifndef INGOT_SUPPORT_STR_H
#define INGOT_SUPPORT_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "support/arena.h"

/* A growing buffer of text; `s` is always NUL-terminated (also when n == 0, after text_init). */
typedef struct Text {
    Arena *arena;
    char *s;
    size_t n, cap;
} Text;

void text_init(Text *t, Arena *arena);
void text_put(Text *t, const char *s);
void text_put_n(Text *t, const char *s, size_t n);
void text_char(Text *t, char c);
void text_f(Text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* `s` in double quotes, with \" \\ \n \t and \xNN escaped. text_unquote reads it back, from the
 * opening to the closing quote; returns the position after it, or NULL when malformed. */
void text_quote(Text *t, const char *s, size_t n);
const char *text_unquote(Text *t, const char *s);
/* Shortest decimal text that reads back as the same double (inf, -inf, nan spelled so), '.'
 * whatever the locale. */
void text_double(Text *t, double v);
void text_float(Text *t, float v);

/* Parse the whole of `s`; false when it is not exactly a number, or out of range. */
bool parse_i64(const char *s, int64_t *out);
bool parse_double(const char *s, double *out);

bool str_starts(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);
bool utf8_valid(const char *s, size_t n);
/* Bytes of the UTF-8 sequence that `s` starts with, n > 0 bytes being there; 0 when it is none. */
size_t utf8_length(const char *s, size_t n);

#endif
