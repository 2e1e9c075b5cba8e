/* diag.h: errors are values, messages travel in a sink that the caller owns.
 *
 * A function that can fail returns a Status. Whoever notices the failure says it once, with diag(),
 * which records the message and hands the status back; everybody above only passes it on with TRY.
 * Two kinds, two doors: the input is wrong -> diag(d, ERR_..., where, "what was found, expected,
 * can be done"); we are wrong -> INVARIANT(...), which is an assert in debug builds and ERR_BUG in
 * release. The library never exits. */
#ifndef INGOT_SUPPORT_DIAG_H
#define INGOT_SUPPORT_DIAG_H

#include <assert.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "support/arena.h"

#define MUST_USE     __attribute__((warn_unused_result))
#define PRINTF(a, b) __attribute__((format(printf, a, b)))

typedef enum Status {
#define STATUS(name, value, text, remedy) name = value,
#include "support/status.def"
#undef STATUS
} Status;

/* Where something is wrong. Unused fields stay NULL or 0. */
typedef struct Where {
    const char *file; /* path as the user gave it */
    const char *node; /* node name, or its operator when it has no name */
    const char *attr; /* attribute, input or field */
    int line;         /* text formats: from 1; 0 = none */
    int column;
    int64_t index; /* position of the node in its graph; only used with node */
} Where;

typedef enum Severity { DIAG_ERROR, DIAG_WARNING, DIAG_NOTE } Severity;

typedef struct DiagItem {
    Severity severity;
    Status status;
    Where where;
    const char *text; /* owned by the sink's arena */
    struct DiagItem *next;
} DiagItem;

/* The sink. Not shared between threads: a parallel job has its own and the owner merges it. */
typedef struct Diag {
    Arena *arena;
    DiagItem *first, *last;
    int errors;  /* number of errors said */
    int limit;   /* further errors are counted, not kept; 0 = 100 */
    int verbose; /* keep notes too */
    int others;  /* number of warnings and notes said; as many as `limit` are kept */
} Diag;

const char *diag_severity(const DiagItem *i); /* "error: " */
/* A sink whose messages live in `arena`. */
void diag_init(Diag *d, Arena *arena);
/* Record an error; returns `status`, so that `return diag(...)` reads well. `d` may be NULL. */
Status diag(Diag *d, Status status, Where where, const char *format, ...) PRINTF(4, 5);
Status diag_v(Diag *d, Status status, Where where, const char *format, va_list args);
/* Record a warning or a note; never fails. */
void diag_warn(Diag *d, Where where, const char *format, ...) PRINTF(3, 4);
void diag_note(Diag *d, Where where, const char *format, ...) PRINTF(3, 4);
/* Append what `from` holds to `to`; the texts are copied. */
void diag_merge(Diag *to, const Diag *from);
/* The worst status recorded: ERR_BUG over all others, else the first error; OK when none. */
Status diag_status(const Diag *d);
/* One line of text: "file: node 'n' (3): attribute 'a': message"; in `arena`. */
const char *diag_format(const DiagItem *item, Arena *arena);
const char *status_text(Status s);
const char *status_remedy(Status s);

/* The only macros that return. */
#define TRY(expression)                                                                            \
    do {                                                                                           \
        Status try_status_ = (expression);                                                         \
        if (try_status_ != OK) return try_status_;                                                 \
    } while (0)

#define INVARIANT(d, condition)                                                                    \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            assert(condition);                                                                     \
            return diag((d), ERR_BUG, (Where){0}, "invariant broken at %s:%d: %s", __FILE__,       \
                        __LINE__, #condition);                                                     \
        }                                                                                          \
    } while (0)

#endif
