/* diag.c: the sink of messages.
 *
 * Messages quote what a file says, so everything here is bounded: a text is cut at TEXT_MAX bytes,
 * a sink keeps `limit` errors and as many warnings and notes, and diag_format shows control
 * characters as \xNN, lest a node's name drive the terminal. */
#include "support/diag.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "support/str.h"

enum { TEXT_MAX = 4096, LIMIT_DEFAULT = 100 };

typedef struct StatusRow {
    Status status;
    const char *text, *remedy;
} StatusRow;

static const StatusRow status_rows[] = {
#define STATUS(name, value, text, remedy) {name, text, remedy},
#include "support/status.def"
#undef STATUS
};

static const StatusRow *status_row(Status s)
{
    for (size_t i = 0; i < sizeof status_rows / sizeof *status_rows; i++) {
        if (status_rows[i].status == s) return &status_rows[i];
    }
    return NULL;
}

const char *status_text(Status s)
{
    const StatusRow *row = status_row(s);
    return row ? row->text : "unknown status";
}

const char *status_remedy(Status s)
{
    const StatusRow *row = status_row(s);
    return row ? row->remedy : "report this";
}

const char *diag_severity(const DiagItem *i)
{
    static const char *const text[] = {"error: ", "warning: ", "note: "};

    return text[i->severity];
}

void diag_init(Diag *d, Arena *arena)
{
    *d = (Diag){.arena = arena};
}

static const char *keep(Arena *a, const char *s)
{
    return s ? arena_strndup(a, s, strnlen(s, TEXT_MAX)) : NULL;
}

static void append(Diag *d, Severity severity, Status status, const Where *w, const char *text)
{
    DiagItem *item = ARENA_NEW(d->arena, DiagItem);

    *item = (DiagItem){.severity = severity, .status = status, .where = *w};
    item->where.file = keep(d->arena, w->file);
    item->where.node = keep(d->arena, w->node);
    item->where.attr = keep(d->arena, w->attr);
    item->text = keep(d->arena, text);
    if (d->last)
        d->last->next = item;
    else
        d->first = item;
    d->last = item;
}

/* Count one more of its kind; true when there is still room for it. */
static bool admit(Diag *d, Severity severity, Status status)
{
    int limit = d->limit > 0 ? d->limit : LIMIT_DEFAULT;
    int *count = severity == DIAG_ERROR ? &d->errors : &d->others;

    if (severity == DIAG_NOTE && !d->verbose) return false;
    if (*count < INT32_MAX) (*count)++;
    return *count <= limit || (status == ERR_BUG && diag_status(d) != ERR_BUG);
}

static void say(Diag *d, Severity severity, Status status, const Where *w, const char *format,
                va_list args)
{
    char text[TEXT_MAX];

    if (!d || !admit(d, severity, status)) return;
    int n = vsnprintf(text, sizeof text, format, args);
    if (n < 0)
        snprintf(text, sizeof text, "%s", format);
    else if ((size_t)n >= sizeof text)
        memcpy(text + sizeof text - 4, "...", 4);
    append(d, severity, status, w, text);
}

Status diag_v(Diag *d, Status status, Where where, const char *format, va_list args)
{
    say(d, DIAG_ERROR, status, &where, format, args);
    return status;
}

Status diag(Diag *d, Status status, Where where, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say(d, DIAG_ERROR, status, &where, format, args);
    va_end(args);
    return status;
}

void diag_warn(Diag *d, Where where, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say(d, DIAG_WARNING, OK, &where, format, args);
    va_end(args);
}

void diag_note(Diag *d, Where where, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say(d, DIAG_NOTE, OK, &where, format, args);
    va_end(args);
}

void diag_merge(Diag *to, const Diag *from)
{
    int kept = 0;

    if (!to || !from) return;
    for (const DiagItem *i = from->first; i; i = i->next) {
        kept += i->severity == DIAG_ERROR;
        if (admit(to, i->severity, i->status)) {
            append(to, i->severity, i->status, &i->where, i->text);
        }
    }
    to->errors += from->errors - kept; /* those that were counted, not kept */
}

Status diag_status(const Diag *d)
{
    Status found = OK;

    for (const DiagItem *i = d->first; i; i = i->next) {
        if (i->severity != DIAG_ERROR) continue;
        if (i->status == ERR_BUG) return ERR_BUG;
        if (found == OK) found = i->status;
    }
    return found;
}

/* `s` with control characters, and all bytes that are no UTF-8, as \xNN. */
static void put_visible(Text *t, const char *s)
{
    bool utf8 = utf8_valid(s, strlen(s));

    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        /* U+0080 to U+009F are control characters too: 0xC2 and a second byte below 0xA0. */
        bool c1 = utf8 && c == 0xC2 && (unsigned char)s[1] < 0xA0;
        if (c1)
            text_f(t, "\\x%02x", (unsigned char)*++s);
        else if ((c < 0x20 && c != '\n') || c == 0x7F || (c >= 0x80 && !utf8))
            text_f(t, "\\x%02x", c);
        else
            text_char(t, *s);
    }
}

const char *diag_format(const DiagItem *item, Arena *arena)
{
    const Where *w = &item->where;
    Text t;

    text_init(&t, arena);
    if (w->file) {
        put_visible(&t, w->file);
        if (w->line > 0) text_f(&t, ":%d", w->line);
        if (w->line > 0 && w->column > 0) text_f(&t, ":%d", w->column);
        text_put(&t, ": ");
    }
    if (w->node) {
        text_put(&t, "node '");
        put_visible(&t, w->node);
        text_f(&t, "' (%lld): ", (long long)w->index);
    }
    if (w->attr) {
        text_put(&t, "attribute '");
        put_visible(&t, w->attr);
        text_put(&t, "': ");
    }
    put_visible(&t, item->text);
    return t.s;
}
