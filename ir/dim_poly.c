/* dim_poly.c: addition, multiplication, division and bounds of polynomials; proofs of p >= 0.
 *
 * Sums merge sorted terms; products are sums of shifted copies, so the bound on terms also bounds
 * the time. Bounds are interval arithmetic, saturating, where INT64_MIN as a lower and INT64_MAX as
 * an upper bound mean none. A proof of p >= 0 tries the bounds, then replaces one floor division,
 * remainder, minimum or maximum by what bounds it, a few levels deep and within a budget; then it
 * moves every atom to start at 0, where coefficients that are all non-negative decide. */
#include "ir/dim_poly.h"

#include <string.h>

#include "support/checked.h"

#define PROOF_DEPTH  3
#define PROOF_BUDGET 48
#define DIVIDE_STEPS 512

Poly poly_of(Dim d, PolyView *view)
{
    if (d->kind == DIM_POLY) return (Poly){d->n_term, d->term};
    if (d->kind == DIM_CONST) {
        view->term = (DimTerm){.coef = d->value};
        return (Poly){d->value != 0, &view->term};
    }
    view->atom = d;
    view->term = (DimTerm){.coef = 1, .n = 1, .atom = &view->atom};
    return (Poly){1, &view->term};
}

/* < 0 when x comes before y. */
static int compare_atoms(const DimTerm *x, const DimTerm *y)
{
    int order = y->n - x->n;
    for (int i = 0; i < x->n && order == 0; i++)
        order = dim_compare(x->atom[i], y->atom[i]);
    return order;
}

static int compare_numbers(int64_t x, int64_t y)
{
    return (x > y) - (x < y);
}

static int compare_terms(Dim x, Dim y)
{
    int order = x->n_term - y->n_term;
    for (int i = 0; i < x->n_term && order == 0; i++) {
        order = compare_atoms(&x->term[i], &y->term[i]);
        if (order == 0) order = compare_numbers(x->term[i].coef, y->term[i].coef);
    }
    return order;
}

int dim_compare(Dim x, Dim y)
{
    if (x == y) return 0;
    if (x->kind != y->kind) return x->kind < y->kind ? -1 : 1;
    if (x->kind == DIM_CONST) return compare_numbers(x->value, y->value);
    if (x->kind == DIM_SYM) return compare_numbers(x->id, y->id);
    if (x->kind == DIM_POLY) return compare_terms(x, y);
    int order = dim_compare(x->a, y->a);
    return order ? order : dim_compare(x->b, y->b);
}

bool poly_term_equal(const DimTerm *x, const DimTerm *y)
{
    return x->coef == y->coef && compare_atoms(x, y) == 0;
}

int64_t poly_constant(Poly p)
{
    return p.n && p.term[p.n - 1].n == 0 ? p.term[p.n - 1].coef : 0;
}

bool poly_add(Arena *a, Poly x, int64_t k, Poly y, Poly *out)
{
    int i = 0, j = 0, n = 0;
    DimTerm *to = ARENA_ARRAY(a, DimTerm, x.n + y.n);
    while (i < x.n || j < y.n) {
        int order = i == x.n ? 1 : j == y.n ? -1 : compare_atoms(&x.term[i], &y.term[j]);
        int64_t scaled = 0;
        if (order >= 0 && !checked_mul_i64(k, y.term[j].coef, &scaled)) return false;
        DimTerm t = order <= 0 ? x.term[i] : y.term[j];
        if (order > 0)
            t.coef = scaled;
        else if (!checked_add_i64(t.coef, scaled, &t.coef))
            return false;
        i += order <= 0;
        j += order >= 0;
        if (t.coef != 0) to[n++] = t;
    }
    *out = (Poly){n, to};
    return n <= POLY_TERMS;
}

/* Is `flag` min(x, 1) with x >= 0, hence 1 wherever x is not 0? */
static bool is_flag(Dim flag)
{
    return flag->kind == DIM_MIN && flag->a->lo >= 0 && flag->b->kind == DIM_CONST &&
           flag->b->value == 1;
}

/* x * min(x, 1) is x, and min(x, 1) is its own square: broadcasting and reshaping of open dims make
 * such. Drops what changes nothing; whether there was any. */
static bool drop_flags(DimTerm *t)
{
    int n = 0;
    for (int i = 0; i < t->n; i++) {
        Dim flag = t->atom[i];
        bool drop = false;
        for (int k = 0; is_flag(flag) && k < t->n; k++)
            drop |= t->atom[k] == flag->a || (k < i && t->atom[k] == flag);
        if (!drop) t->atom[n++] = flag;
    }
    bool dropped = n < t->n;
    t->n = n;
    return dropped;
}

/* *dropped is set where the product has fewer factors than both have together. */
static bool term_mul(Arena *a, const DimTerm *x, const DimTerm *y, DimTerm *out, bool *dropped)
{
    if (!checked_mul_i64(x->coef, y->coef, &out->coef) || x->n + y->n > POLY_DEGREE) return false;
    out->n = x->n + y->n;
    if (x->n == 0 || y->n == 0) {
        out->atom = x->n ? x->atom : y->atom;
        return true;
    }
    out->atom = ARENA_ARRAY(a, Dim, out->n);
    for (int i = 0, j = 0; i + j < out->n;) {
        bool first = j == y->n || (i < x->n && dim_compare(x->atom[i], y->atom[j]) <= 0);
        out->atom[i + j] = first ? x->atom[i] : y->atom[j];
        i += first;
        j += !first;
    }
    *dropped |= drop_flags(out);
    return true;
}

static bool sort_terms(Arena *a, Poly p, Poly *out)
{
    *out = (Poly){0, NULL};
    for (int i = 0; i < p.n; i++)
        if (!poly_add(a, *out, 1, (Poly){1, &p.term[i]}, out)) return false;
    return true;
}

/* Multiplying by a term keeps the order of terms, unless factors are dropped. */
static bool poly_mul_term(Arena *a, Poly x, const DimTerm *y, Poly *out)
{
    bool dropped = false;
    out->n = x.n;
    out->term = ARENA_ARRAY(a, DimTerm, x.n);
    for (int i = 0; i < x.n; i++)
        if (!term_mul(a, &x.term[i], y, &out->term[i], &dropped)) return false;
    return !dropped || sort_terms(a, *out, out);
}

bool poly_mul(Arena *a, Poly x, Poly y, Poly *out)
{
    Poly sum = {0, NULL}, shifted;
    for (int i = 0; i < y.n; i++) {
        if (!poly_mul_term(a, x, &y.term[i], &shifted)) return false;
        if (i == 0)
            sum = shifted;
        else if (!poly_add(a, sum, 1, shifted, &sum))
            return false;
    }
    *out = sum;
    return true;
}

/* out * y == x; false when y does not divide x. */
static bool term_divide(Arena *a, const DimTerm *x, const DimTerm *y, DimTerm *out)
{
    if (y->n > x->n || (y->coef == -1 && x->coef == INT64_MIN) || x->coef % y->coef) return false;
    int j = 0, n = 0;
    out->coef = x->coef / y->coef;
    out->atom = ARENA_ARRAY(a, Dim, x->n - y->n);
    for (int i = 0; i < x->n; i++) {
        if (j < y->n && x->atom[i] == y->atom[j])
            j++;
        else if (n < x->n - y->n)
            out->atom[n++] = x->atom[i];
        else
            return false;
    }
    out->n = n;
    return j == y->n;
}

bool poly_divide(Arena *a, Poly x, Poly y, Poly *q, Poly *r)
{
    *q = *r = (Poly){0, NULL};
    for (int step = 0; x.n; step++) {
        DimTerm t;
        Poly one = {1, &t}, product;
        if (step == DIVIDE_STEPS) return false;
        if (term_divide(a, &x.term[0], &y.term[0], &t)) {
            if (!poly_add(a, *q, 1, one, q)) return false;
            if (!poly_mul_term(a, y, &t, &product) || !poly_add(a, x, -1, product, &x))
                return false;
        } else {
            t = x.term[0];
            if (!poly_add(a, *r, 1, one, r)) return false;
            x = (Poly){x.n - 1, x.term + 1};
        }
    }
    return true;
}

int64_t dim_floor_div(int64_t x, int64_t y)
{
    int64_t q = x / y;
    return x % y != 0 && (x < 0) != (y < 0) ? q - 1 : q;
}

int64_t dim_floor_mod(int64_t x, int64_t y)
{
    int64_t r = x % y;
    return r != 0 && (r < 0) != (y < 0) ? r + y : r;
}

/* Corners of a product of intervals. */
static void interval_mul(int64_t *lo, int64_t *hi, int64_t lo2, int64_t hi2)
{
    int64_t v[4] = {sat_mul(*lo, lo2), sat_mul(*lo, hi2), sat_mul(*hi, lo2), sat_mul(*hi, hi2)};
    *lo = *hi = v[0];
    for (int i = 1; i < 4; i++) {
        if (v[i] < *lo) *lo = v[i];
        if (v[i] > *hi) *hi = v[i];
    }
}

void poly_bounds(Poly p, int64_t *lo, int64_t *hi)
{
    int64_t sum_lo = 0, sum_hi = 0;
    for (int i = 0; i < p.n; i++) {
        int64_t l = p.term[i].coef, h = l;
        for (int k = 0; k < p.term[i].n; k++)
            interval_mul(&l, &h, p.term[i].atom[k]->lo, p.term[i].atom[k]->hi);
        sum_lo = l == INT64_MIN || sum_lo == INT64_MIN ? INT64_MIN : sat_add(sum_lo, l);
        sum_hi = h == INT64_MAX || sum_hi == INT64_MAX ? INT64_MAX : sat_add(sum_hi, h);
    }
    *lo = sum_lo;
    *hi = sum_hi;
}

uint64_t poly_content(Poly p, uint64_t m, bool constant)
{
    for (int i = 0; i < p.n; i++) {
        if (p.term[i].n == 0 && !constant) continue;
        uint64_t c = p.term[i].coef < 0 ? 0 - (uint64_t)p.term[i].coef : (uint64_t)p.term[i].coef;
        while (c) {
            uint64_t rest = m % c;
            m = c;
            c = rest;
        }
    }
    return m;
}

typedef struct Proof {
    Arena *arena;
    int budget;
} Proof;

static bool prove(Proof *f, Poly p, int depth);

/* scale*(p - its term i) + coef*d + constant >= 0? */
static bool prove_replaced(Proof *f, Poly p, int i, int64_t scale, Dim d, int64_t constant,
                           int depth)
{
    PolyView view;
    DimTerm t = p.term[i], c = {.coef = constant};
    Poly one = {1, &t}, fixed = {constant != 0, &c}, rest, sum = {0, NULL};
    return poly_add(f->arena, p, -1, one, &rest) && poly_add(f->arena, fixed, scale, rest, &sum) &&
           poly_add(f->arena, sum, t.coef, poly_of(d, &view), &sum) && prove(f, sum, depth - 1);
}

/* Put something smaller, or both alternatives, for term i: coef * atom. */
static bool prove_term(Proof *f, Poly p, int i, int depth)
{
    Dim e = p.term[i].atom[0];
    int64_t coef = p.term[i].coef, c, slack;
    switch (e->kind) {
    case DIM_MIN:
    case DIM_MAX: {
        bool a = prove_replaced(f, p, i, 1, e->a, 0, depth);
        bool either =
            (e->kind == DIM_MIN) == (coef < 0); /* the bound holds for each argument alone */
        if (a == either) return a;
        return prove_replaced(f, p, i, 1, e->b, 0, depth);
    }
    case DIM_DIV: /* (a-c+1)/c <= floor(a/c) <= a/c, times c */
        if (e->b->kind != DIM_CONST || e->b->value < 1)
            return coef < 0 && e->a->lo >= 0 && e->b->lo >= 0 &&
                   prove_replaced(f, p, i, 1, e->a, 0, depth);
        c = e->b->value;
        if (!checked_mul_i64(coef > 0 ? -coef : 0, c - 1, &slack)) return false;
        return prove_replaced(f, p, i, c, e->a, slack, depth);
    case DIM_MOD: /* at most a, and below b */
        if (coef >= 0 || e->b->lo < 1 || coef == INT64_MIN) return false;
        if (e->a->lo >= 0 && prove_replaced(f, p, i, 1, e->a, 0, depth)) return true;
        return e->b->kind != DIM_CONST && prove_replaced(f, p, i, 1, e->b, -coef, depth);
    case DIM_CONST:
    case DIM_SYM:
    case DIM_POLY:
        return false;
    }
    return false;
}

/* With every atom x written as x' + its lower bound: are all coefficients >= 0? */
static bool prove_shifted(Proof *f, Poly p)
{
    Poly sum = {0, NULL};
    for (int i = 0; i < p.n; i++) {
        DimTerm c = {.coef = p.term[i].coef};
        Poly product = {1, &c};
        for (int k = 0; k < p.term[i].n; k++) {
            Dim *atom = &p.term[i].atom[k];
            int64_t least = (*atom)->lo;
            DimTerm two[2] = {{.coef = 1, .n = 1, .atom = atom}, {.coef = least}};
            Poly shifted = {least != 0 ? 2 : 1, two};
            if (least == INT64_MIN || !poly_mul(f->arena, product, shifted, &product)) return false;
        }
        if (!poly_add(f->arena, product, 1, sum, &sum)) return false;
    }
    for (int i = 0; i < sum.n; i++)
        if (sum.term[i].coef < 0) return false;
    return true;
}

static bool prove(Proof *f, Poly p, int depth)
{
    int64_t lo, hi;
    bool product = false;
    poly_bounds(p, &lo, &hi);
    if (lo >= 0) return true;
    if (hi < 0 || depth == 0 || f->budget-- <= 0) return false;
    for (int i = 0; i < p.n; i++) {
        product |= p.term[i].n > 1;
        if (p.term[i].n == 1 && prove_term(f, p, i, depth)) return true;
    }
    return product && prove_shifted(f, p);
}

bool poly_nonneg(Arena *a, Poly p)
{
    Proof f = {.arena = a, .budget = PROOF_BUDGET};
    return prove(&f, p, PROOF_DEPTH);
}
