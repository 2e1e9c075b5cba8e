/* json.c: JSON text (RFC 8259), two spaces a level. What is no UTF-8 becomes U+FFFD, so that the
 * result always parses. */
#include "support/json.h"

#include <math.h>
#include <string.h>

void json_init(Json *j, Text *t)
{
    *j = (Json){.text = t, .first = true};
}

static void new_line(Json *j)
{
    text_char(j->text, '\n');
    for (int i = 0; i < j->depth; i++) {
        text_put(j->text, "  ");
    }
}

/* The comma and line before a key or a value; a value after its key stays on the line. */
static void before(Json *j)
{
    if (!j->after_key) {
        if (!j->first) text_char(j->text, ',');
        if (j->depth > 0) new_line(j);
    }
    j->first = false;
    j->after_key = false;
}

static void open_with(Json *j, char c)
{
    before(j);
    text_char(j->text, c);
    j->depth++;
    j->first = true;
}

static void close_with(Json *j, char c)
{
    j->depth--;
    if (!j->first) new_line(j);
    text_char(j->text, c);
    j->first = false;
    j->after_key = false;
}

void json_object(Json *j)
{
    open_with(j, '{');
}

void json_end_object(Json *j)
{
    close_with(j, '}');
}

void json_array(Json *j)
{
    open_with(j, '[');
}

void json_end_array(Json *j)
{
    close_with(j, ']');
}

static void put_quoted(Text *t, const char *s)
{
    size_t n = strlen(s);

    text_char(t, '"');
    for (size_t i = 0; i < n;) {
        unsigned char c = (unsigned char)s[i];
        size_t length = utf8_length(s + i, n - i);
        if (c == '"' || c == '\\')
            text_f(t, "\\%c", c);
        else if (c == '\n')
            text_put(t, "\\n");
        else if (c == '\t')
            text_put(t, "\\t");
        else if (c < 0x20 || c == 0x7F)
            text_f(t, "\\u%04x", c);
        else if (length == 0)
            text_put(t, "\xEF\xBF\xBD");
        else
            text_put_n(t, s + i, length);
        i += length ? length : 1;
    }
    text_char(t, '"');
}

void json_key(Json *j, const char *key)
{
    before(j);
    put_quoted(j->text, key);
    text_put(j->text, ": ");
    j->after_key = true;
}

void json_string(Json *j, const char *s)
{
    before(j);
    if (s)
        put_quoted(j->text, s);
    else
        text_put(j->text, "null");
}

void json_int(Json *j, int64_t v)
{
    before(j);
    text_f(j->text, "%lld", (long long)v);
}

void json_double(Json *j, double v)
{
    before(j);
    if (isfinite(v))
        text_double(j->text, v);
    else
        text_put(j->text, "null");
}

void json_bool(Json *j, bool v)
{
    before(j);
    text_put(j->text, v ? "true" : "false");
}
