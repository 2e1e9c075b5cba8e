/* dim_poly.h: polynomials over atoms, as DimExpr holds them, before they are interned. Private to
 * ir/dim*.c.
 *
 * Terms are sorted by falling degree, then by atoms (graded lexicographic order, which
 * multiplication keeps: division needs that), have no zero coefficients and differ in their atoms;
 * the constant is last. Functions that build return false on overflow or when the result would have
 * too many terms. Everything lives in the arena; atom lists are shared. */
#ifndef INGOT_IR_DIM_POLY_H
#define INGOT_IR_DIM_POLY_H

#include "ir/dim.h"

#define POLY_TERMS  256
#define POLY_DEGREE 32

typedef struct Poly {
    int n;
    DimTerm *term;
} Poly;

/* Room for the view of an atom or a constant. */
typedef struct PolyView {
    DimTerm term;
    Dim atom;
} PolyView;

Poly poly_of(Dim d, PolyView *view);
bool poly_add(Arena *a, Poly x, int64_t k, Poly y, Poly *out); /* x + k*y */
bool poly_mul(Arena *a, Poly x, Poly y, Poly *out);
/* x = q*y + r, where no term of r is a multiple of y's first term. y has at least one term. */
bool poly_divide(Arena *a, Poly x, Poly y, Poly *q, Poly *r);
int64_t poly_constant(Poly p);
/* An order of dims that depends on their structure and the ids of symbols only, so that it survives
 * printing and parsing: < 0 when x comes first, 0 when x == y. */
int dim_compare(Dim x, Dim y);
bool poly_term_equal(const DimTerm *x, const DimTerm *y); /* coefficient and atoms */
void poly_bounds(Poly p, int64_t *lo, int64_t *hi);
/* Greatest common divisor of m and all coefficients, the constant's too if `constant`. */
uint64_t poly_content(Poly p, uint64_t m, bool constant);
/* Provably p >= 0. Leaves scratch in the arena. */
bool poly_nonneg(Arena *a, Poly p);

int64_t dim_floor_div(int64_t x, int64_t y); /* y != 0, no overflow */
int64_t dim_floor_mod(int64_t x, int64_t y); /* the same; sign of y */

#endif
