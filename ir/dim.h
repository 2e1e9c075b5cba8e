/* dim.h: dims are expressions over integers.
 *
 * A Dim is an immutable, interned expression: equal expressions have one address within their
 * DimTable, so
 * == is equality of canonical forms. The canonical form of sums and products is a polynomial with
 * integer coefficients over atoms (symbols, floor divisions, remainders, minima, maxima), so that
 * (n+2)-n is 2 and (n*m)/m is n where m >= 1. Every Dim has bounds [lo, hi]; a comparison that the
 * bounds decide is decided.
 *
 * A symbol is bound once at run time: at entry from an input's dims, or by the node that defines it
 * (NonZero, a Reshape whose target is data). Overflow (of a coefficient, or of the bounds on terms
 * and weight) while simplifying sets table->overflow and gives a dim of 0: whoever builds from
 * untrusted numbers asks dims_ok(). */
#ifndef INGOT_IR_DIM_H
#define INGOT_IR_DIM_H

#include <stdbool.h>
#include <stdint.h>

#include "support/arena.h"
#include "support/map.h"
#include "support/str.h"

typedef enum DimKind { DIM_CONST, DIM_SYM, DIM_POLY, DIM_DIV, DIM_MOD, DIM_MIN, DIM_MAX } DimKind;

struct DimExpr;
typedef const struct DimExpr *Dim;

typedef struct DimTerm {
    int64_t coef;
    int n; /* atoms multiplied, with repetition, sorted; 0: the constant term */
    Dim *atom;
} DimTerm;

struct DimExpr {
    DimKind kind;
    uint32_t id;      /* order of creation; sorts symbols */
    uint32_t weight;  /* parts when written out in full; bounded, so walks may recurse */
    int64_t lo, hi;   /* bounds, both inclusive; INT64_MIN and INT64_MAX: none */
    int64_t value;    /* CONST */
    const char *name; /* SYM */
    Dim a, b;         /* DIV, MOD (floor), MIN, MAX */
    int n_term;       /* POLY */
    DimTerm *term;
};

typedef struct DimTable {
    Arena *arena;
    Map symbols; /* by name */
    struct DimExpr **bucket;
    size_t n_bucket, count;
    uint32_t next_id, next_fresh;
    bool overflow;
} DimTable;

void dims_init(DimTable *t, Arena *arena);
bool dims_ok(const DimTable *t);

Dim dim_const(DimTable *t, int64_t v);
/* The symbol of that name; the first mention fixes its bounds, later ones intersect them. */
Dim dim_symbol(DimTable *t, const char *name, int64_t lo, int64_t hi);
/* A new symbol named prefix + number, distinct from all others. */
Dim dim_fresh(DimTable *t, const char *prefix, int64_t lo, int64_t hi);
Dim dim_add(DimTable *t, Dim a, Dim b);
Dim dim_sub(DimTable *t, Dim a, Dim b);
Dim dim_mul(DimTable *t, Dim a, Dim b);
Dim dim_div(DimTable *t, Dim a, Dim b);      /* floor; b == 0 gives 0 */
Dim dim_ceil_div(DimTable *t, Dim a, Dim b); /* b > 0 */
Dim dim_mod(DimTable *t, Dim a, Dim b);      /* a - b*floor(a/b); b == 0 gives 0 */
Dim dim_min(DimTable *t, Dim a, Dim b);
Dim dim_max(DimTable *t, Dim a, Dim b);
static inline Dim dim_add_c(DimTable *t, Dim a, int64_t c)
{
    return dim_add(t, a, dim_const(t, c));
}
static inline Dim dim_mul_c(DimTable *t, Dim a, int64_t c)
{
    return dim_mul(t, a, dim_const(t, c));
}
Dim dim_product(DimTable *t, int n, const Dim *d); /* 1 for n == 0 */

static inline bool dim_is(Dim d, int64_t v)
{
    return d->kind == DIM_CONST && d->value == v;
}
static inline bool dim_is_const(Dim d)
{
    return d->kind == DIM_CONST;
}
/* What is provable from canonical form and bounds; false means "not provable". */
static inline bool dim_equal(Dim a, Dim b)
{
    return a == b;
}
bool dim_distinct(DimTable *t, Dim a, Dim b); /* a != b for all bindings */
bool dim_le(DimTable *t, Dim a, Dim b);
bool dim_lt(DimTable *t, Dim a, Dim b);

/* Replace symbols: map[symbol] (by address) is the new Dim; others stay. */
Dim dim_substitute(DimTable *t, Dim d, const Map *map);
/* Value under a binding of symbols; false when a symbol is unbound or the arithmetic overflows. */
typedef bool (*DimBinding)(void *context, Dim symbol, int64_t *value);
bool dim_eval(Dim d, DimBinding binding, void *context, int64_t *out);
/* Calls visit for each symbol occurrence in d (repeats possible). */
void dim_symbols(Dim d, void (*visit)(void *context, Dim symbol), void *context);

/* Text without spaces: `2*n+m/3+1`, `min(n,4)`, `(n+1)%2`; symbols that are not plain identifiers
 * are quoted. dim_parse reads it back; returns the position behind it, or NULL. */
void dim_print(Text *out, Dim d);
const char *dim_parse(DimTable *t, const char *s, Dim *out);

#endif
