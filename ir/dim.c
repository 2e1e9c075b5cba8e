/* dim.c: the table of dims, and the operations on them.
 *
 * Sums and products are polynomials (dim_poly.c), interned term by term. Quotients and remainders
 * by a constant first give up the multiples of it, then the common divisor; by a polynomial they
 * are cancelled and divided; what is left becomes an atom unless its bounds decide it. Everything
 * is exact for every binding within the bounds, the definition x/0 = x%0 = 0 included: a divisor
 * that may be 0 is left alone. The weight of an expression (its size as a tree) is bounded, so that
 * walks without memory stay short. */
#include "ir/dim.h"

#include <string.h>

#include "ir/dim_poly.h"
#include "support/checked.h"

#define DIM_WEIGHT 16384

static uint64_t expr_hash(const struct DimExpr *e)
{
    uint64_t h = (uint64_t)e->kind;
    if (e->kind == DIM_CONST) return hash_mix(h, (uint64_t)e->value);
    if (e->kind != DIM_POLY) return hash_mix(hash_mix(h, e->a->id), e->b->id);
    for (int i = 0; i < e->n_term; i++) {
        h = hash_mix(h, (uint64_t)e->term[i].coef);
        for (int k = 0; k < e->term[i].n; k++)
            h = hash_mix(h, e->term[i].atom[k]->id);
    }
    return h;
}

static bool expr_equal(const struct DimExpr *x, const struct DimExpr *y)
{
    if (x->kind != y->kind) return false;
    if (x->kind == DIM_CONST) return x->value == y->value;
    if (x->kind != DIM_POLY) return x->a == y->a && x->b == y->b;
    if (x->n_term != y->n_term) return false;
    for (int i = 0; i < x->n_term; i++)
        if (!poly_term_equal(&x->term[i], &y->term[i])) return false;
    return true;
}

static struct DimExpr **table_slot(const DimTable *t, const struct DimExpr *e)
{
    size_t i = expr_hash(e) & (t->n_bucket - 1);
    while (t->bucket[i] && !expr_equal(t->bucket[i], e))
        i = (i + 1) & (t->n_bucket - 1);
    return &t->bucket[i];
}

static void table_grow(DimTable *t)
{
    DimTable wider = *t;
    wider.n_bucket = t->n_bucket * 2;
    wider.bucket = arena_try(t->arena, wider.n_bucket, sizeof *wider.bucket);
    if (!wider.bucket) return;
    for (size_t i = 0; i < t->n_bucket; i++)
        if (t->bucket[i]) *table_slot(&wider, t->bucket[i]) = t->bucket[i];
    *t = wider;
}

static Dim overflowed(DimTable *t)
{
    t->overflow = true;
    return dim_const(t, 0);
}

static uint32_t expr_weight(const struct DimExpr *e)
{
    uint64_t weight = 1;
    if (e->kind == DIM_POLY) {
        for (int i = 0; i < e->n_term; i++)
            for (int k = -1; k < e->term[i].n; k++)
                weight += k < 0 ? 1 : e->term[i].atom[k]->weight;
    } else if (e->kind != DIM_CONST) {
        weight += (uint64_t)e->a->weight + e->b->weight;
    }
    return weight > DIM_WEIGHT ? DIM_WEIGHT + 1 : (uint32_t)weight;
}

/* The one expression equal to e, copied into the arena when new. */
static Dim intern_expr(DimTable *t, const struct DimExpr *e)
{
    struct DimExpr **slot = table_slot(t, e);
    if (*slot) return *slot;
    uint32_t weight = expr_weight(e);
    /* One place stays free, or a search would not end; 0 is there since dims_init. */
    if (weight > DIM_WEIGHT || t->count + 2 >= t->n_bucket) return overflowed(t);
    struct DimExpr *new = arena_copy(t->arena, e, sizeof *e);
    new->id = ++t->next_id;
    new->weight = weight;
    if (e->n_term) new->term = arena_copy(t->arena, e->term, (size_t)e->n_term * sizeof *e->term);
    for (int i = 0; i < e->n_term; i++) {
        DimTerm *term = &new->term[i];
        term->atom = arena_copy(t->arena, term->atom, (size_t)term->n * sizeof(Dim));
    }
    *slot = new;
    if (++t->count * 4 > t->n_bucket * 3) table_grow(t);
    return new;
}

void dims_init(DimTable *t, Arena *arena)
{
    *t = (DimTable){.arena = arena, .n_bucket = 64};
    map_init(&t->symbols, arena, true);
    t->bucket = ARENA_ARRAY(arena, struct DimExpr *, t->n_bucket);
    dim_const(t, 0);
}

bool dims_ok(const DimTable *t)
{
    return !t->overflow;
}

Dim dim_const(DimTable *t, int64_t v)
{
    struct DimExpr e = {.kind = DIM_CONST, .lo = v, .hi = v, .value = v};
    return intern_expr(t, &e);
}

Dim dim_symbol(DimTable *t, const char *name, int64_t lo, int64_t hi)
{
    struct DimExpr *s = map_get(&t->symbols, name);
    if (s) {
        if (lo < s->lo) lo = s->lo;
        if (hi > s->hi) hi = s->hi;
    } else {
        s = ARENA_NEW(t->arena, struct DimExpr);
        *s = (struct DimExpr){.kind = DIM_SYM, .id = ++t->next_id, .weight = 1};
        s->name = arena_strdup(t->arena, name);
        map_set(&t->symbols, s->name, s);
    }
    if (lo <= hi) { /* facts that contradict each other add nothing */
        s->lo = lo;
        s->hi = hi;
    }
    return s;
}

Dim dim_fresh(DimTable *t, const char *prefix, int64_t lo, int64_t hi)
{
    for (;;) {
        const char *name = arena_printf(t->arena, "%s%u", prefix, t->next_fresh++);
        if (!map_has(&t->symbols, name)) return dim_symbol(t, name, lo, hi);
    }
}

static Dim intern_poly(DimTable *t, Poly p)
{
    struct DimExpr e = {.kind = DIM_POLY, .n_term = p.n, .term = p.term};
    if (p.n == 0 || p.term[0].n == 0) return dim_const(t, p.n ? p.term[0].coef : 0);
    if (p.n == 1 && p.term[0].n == 1 && p.term[0].coef == 1) return p.term[0].atom[0];
    poly_bounds(p, &e.lo, &e.hi);
    return e.lo == e.hi ? dim_const(t, e.lo) : intern_expr(t, &e);
}

/* x + k*y, or x*y when k is 0; scratch is given back unless the result is new. */
static Dim combine(DimTable *t, Dim x, int64_t k, Dim y)
{
    PolyView vx, vy;
    Poly p;
    ArenaMark mark = arena_mark(t->arena);
    size_t count = t->count;
    Poly px = poly_of(x, &vx), py = poly_of(y, &vy);
    bool fits = k ? poly_add(t->arena, px, k, py, &p) : poly_mul(t->arena, px, py, &p);
    Dim d = fits ? intern_poly(t, p) : overflowed(t);
    if (t->count == count) arena_reset(t->arena, mark);
    return d;
}

Dim dim_add(DimTable *t, Dim a, Dim b)
{
    if (dim_is(a, 0)) return b;
    return dim_is(b, 0) ? a : combine(t, a, 1, b);
}

Dim dim_sub(DimTable *t, Dim a, Dim b)
{
    return dim_is(b, 0) ? a : combine(t, a, -1, b);
}

Dim dim_mul(DimTable *t, Dim a, Dim b)
{
    if (dim_is(a, 1)) return b;
    return dim_is(b, 1) ? a : combine(t, a, 0, b);
}

Dim dim_product(DimTable *t, int n, const Dim *d)
{
    Dim product = dim_const(t, 1);
    for (int i = 0; i < n; i++)
        product = dim_mul(t, product, d[i]);
    return product;
}

/* Provably a <= b. */
bool dim_le(DimTable *t, Dim a, Dim b)
{
    PolyView va, vb;
    Poly p;
    ArenaMark mark = arena_mark(t->arena);
    if (a == b || a->hi <= b->lo) return true;
    bool yes =
        poly_add(t->arena, poly_of(b, &vb), -1, poly_of(a, &va), &p) && poly_nonneg(t->arena, p);
    arena_reset(t->arena, mark);
    return yes;
}

/* Provably a + c <= b, c constant. */
static bool offset_le(DimTable *t, Dim a, int64_t c, Dim b)
{
    PolyView va, vb;
    Poly p;
    ArenaMark mark = arena_mark(t->arena);
    DimTerm term = {.coef = c};
    Poly one = {c != 0, &term};
    bool yes = poly_add(t->arena, poly_of(b, &vb), -1, poly_of(a, &va), &p) &&
               poly_add(t->arena, p, -1, one, &p) && poly_nonneg(t->arena, p);
    arena_reset(t->arena, mark);
    return yes;
}

bool dim_lt(DimTable *t, Dim a, Dim b)
{
    return offset_le(t, a, 1, b);
}

bool dim_distinct(DimTable *t, Dim a, Dim b)
{
    PolyView va, vb;
    Poly p;
    ArenaMark mark = arena_mark(t->arena);
    if (a == b) return false;
    if (dim_lt(t, a, b) || dim_lt(t, b, a)) return true;
    bool yes = false;
    if (poly_add(t->arena, poly_of(b, &vb), -1, poly_of(a, &va), &p)) { /* 2n is never 2m+1 */
        uint64_t g = poly_content(p, 0, false);
        int64_t c = poly_constant(p);
        yes = g > 1 && (c < 0 ? 0 - (uint64_t)c : (uint64_t)c) % g != 0;
    }
    arena_reset(t->arena, mark);
    return yes;
}

/* Bounds of quotients; INT64_MIN and INT64_MAX stand for infinities. y != 0. */
static int64_t quotient_bound(int64_t x, int64_t y)
{
    bool negative = (x < 0) != (y < 0);
    if (x == INT64_MIN || x == INT64_MAX) return negative ? INT64_MIN : INT64_MAX;
    if (y == INT64_MIN || y == INT64_MAX) return x != 0 && negative ? -1 : 0;
    return dim_floor_div(x, y);
}

static void widen(struct DimExpr *e, int64_t v)
{
    if (v < e->lo) e->lo = v;
    if (v > e->hi) e->hi = v;
}

static void widen_quotients(struct DimExpr *e, int64_t lo, int64_t hi)
{
    if (lo > hi) return;
    widen(e, quotient_bound(e->a->lo, lo));
    widen(e, quotient_bound(e->a->lo, hi));
    widen(e, quotient_bound(e->a->hi, lo));
    widen(e, quotient_bound(e->a->hi, hi));
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}
static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static Dim atom(DimTable *t, DimKind kind, Dim a, Dim b)
{
    struct DimExpr e = {.kind = kind, .a = a, .b = b, .lo = INT64_MAX, .hi = INT64_MIN};
    if (kind == DIM_DIV) {
        if (b->lo <= 0 && b->hi >= 0) widen(&e, 0);
        widen_quotients(&e, most(b->lo, 1), b->hi);
        widen_quotients(&e, b->lo, least(b->hi, -1));
    } else if (kind == DIM_MOD) {
        e.lo = b->lo < 0 ? least(sat_add(b->lo, 1), 0) : 0;
        e.hi = b->hi > 0 ? b->hi - (b->hi != INT64_MAX) : 0;
        if (a->lo >= 0 && b->lo >= 0) e.hi = least(e.hi, a->hi);
        if (b->lo == INT64_MIN) e.lo = INT64_MIN;
    } else if (kind == DIM_MIN) {
        e.lo = least(a->lo, b->lo);
        e.hi = least(a->hi, b->hi);
    } else {
        e.lo = most(a->lo, b->lo);
        e.hi = most(a->hi, b->hi);
    }
    return e.lo == e.hi ? dim_const(t, e.lo) : intern_expr(t, &e);
}

/* a = c*q + r for c > 1: the constant of r in [0, c), its coefficients nearer to 0 than c; with
 * `floored` in [0, c), too. */
static void split(DimTable *t, Dim a, int64_t c, bool floored, Dim *q, Dim *r)
{
    PolyView view;
    Poly p = poly_of(a, &view);
    Poly pq = {0, ARENA_ARRAY(t->arena, DimTerm, p.n)},
         pr = {0, ARENA_ARRAY(t->arena, DimTerm, p.n)};
    for (int i = 0; i < p.n; i++) {
        DimTerm to = p.term[i];
        bool down = floored || to.n == 0;
        to.coef = down ? dim_floor_div(p.term[i].coef, c) : p.term[i].coef / c;
        if (to.coef) pq.term[pq.n++] = to;
        to.coef = down ? dim_floor_mod(p.term[i].coef, c) : p.term[i].coef % c;
        if (to.coef) pr.term[pr.n++] = to;
    }
    *q = intern_poly(t, pq);
    *r = intern_poly(t, pr);
}

/* a with every coefficient divided by g, which divides all but the constant; that is floored. */
static Dim shrink(DimTable *t, Dim a, int64_t g)
{
    PolyView view;
    Poly p = poly_of(a, &view), to = {0, ARENA_ARRAY(t->arena, DimTerm, p.n)};
    for (int i = 0; i < p.n; i++) {
        DimTerm term = p.term[i];
        term.coef = dim_floor_div(term.coef, g);
        if (term.coef) to.term[to.n++] = term;
    }
    return intern_poly(t, to);
}

static int64_t common_divisor(Dim a, int64_t c, bool constant)
{
    PolyView view;
    return (int64_t)poly_content(poly_of(a, &view), (uint64_t)c, constant);
}

/* floor(d/c) for all values of d, if that is one number. */
static bool decided(Dim d, int64_t c, int64_t *quotient)
{
    if (d->lo == INT64_MIN || d->hi == INT64_MAX) return false;
    *quotient = dim_floor_div(d->lo, c);
    return *quotient == dim_floor_div(d->hi, c);
}

/* d = x/y + k with y >= 1: then d/b is (x + k*y)/(y*b) for b >= 1. */
static bool nested_div(DimTable *t, Dim d, Dim *top, Dim *bottom)
{
    PolyView view;
    Poly p = poly_of(d, &view);
    if (p.n == 0 || p.n > 2 || p.term[0].n != 1 || p.term[0].coef != 1) return false;
    Dim inner = p.term[0].atom[0];
    if (inner->kind != DIM_DIV || inner->b->lo < 1 || (p.n == 2 && p.term[1].n != 0)) return false;
    *top = dim_add(t, inner->a, dim_mul_c(t, inner->b, poly_constant(p)));
    *bottom = inner->b;
    return true;
}

static Dim div_const(DimTable *t, Dim a, int64_t c)
{
    Dim q, r, top, bottom;
    int64_t whole;
    split(t, a, c, false, &q, &r);
    if (decided(r, c, &whole)) return dim_add_c(t, q, whole);
    int64_t g = common_divisor(r, c, false);
    if (g > 1) {
        r = shrink(t, r, g);
        c /= g;
    }
    if (nested_div(t, r, &top, &bottom))
        return dim_add(t, q, dim_div(t, top, dim_mul_c(t, bottom, c)));
    return dim_add(t, q, atom(t, DIM_DIV, r, dim_const(t, c)));
}

/* Divides a and b by an atom >= 1 that is in all their terms; false when there is none. */
static bool cancel_atom(DimTable *t, Dim *a, Dim *b)
{
    PolyView va, vb;
    Poly pa = poly_of(*a, &va), pb = poly_of(*b, &vb), q[2], r[2];
    if (!pa.n) return false;
    for (int k = 0; k < pb.term[0].n; k++) {
        DimTerm term = {.coef = 1, .n = 1, .atom = &pb.term[0].atom[k]};
        Poly one = {1, &term};
        if (term.atom[0]->lo < 1) continue;
        if (!poly_divide(t->arena, pb, one, &q[1], &r[1]) || r[1].n) continue;
        if (!poly_divide(t->arena, pa, one, &q[0], &r[0]) || r[0].n) continue;
        *a = intern_poly(t, q[0]);
        *b = intern_poly(t, q[1]);
        return true;
    }
    return false;
}

/* Whole multiples of b in a, as polynomials: a = q*b + r. False when there are none. */
static bool whole_multiples(DimTable *t, Dim a, Dim b, Dim *q, Dim *r)
{
    PolyView va, vb;
    Poly pq, pr;
    if (!poly_divide(t->arena, poly_of(a, &va), poly_of(b, &vb), &pq, &pr) || !pq.n) return false;
    *q = intern_poly(t, pq);
    *r = intern_poly(t, pr);
    return true;
}

/* Both by the divisor of all their coefficients; returns it. b >= 1. */
static int64_t cancel_content(DimTable *t, Dim *a, Dim *b)
{
    PolyView view;
    uint64_t g = poly_content(poly_of(*b, &view), 0, true);
    g = poly_content(poly_of(*a, &view), g, true);
    if (g <= 1 || g > INT64_MAX) return 1;
    *a = shrink(t, *a, (int64_t)g);
    *b = shrink(t, *b, (int64_t)g);
    return (int64_t)g;
}

/* b >= 1 and not constant. */
static Dim div_positive(DimTable *t, Dim a, Dim b)
{
    Dim q, r, top, bottom;
    if (cancel_content(t, &a, &b) > 1 || cancel_atom(t, &a, &b)) return dim_div(t, a, b);
    if (whole_multiples(t, a, b, &q, &r)) return dim_add(t, q, dim_div(t, r, b));
    if (a->lo >= 0 && dim_lt(t, a, b)) return dim_const(t, 0);
    if (a->hi < 0 && dim_le(t, dim_sub(t, dim_const(t, 0), a), b)) return dim_const(t, -1);
    if (nested_div(t, a, &top, &bottom)) return dim_div(t, top, dim_mul(t, bottom, b));
    return atom(t, DIM_DIV, a, b);
}

static Dim negate(DimTable *t, Dim d)
{
    return dim_sub(t, dim_const(t, 0), d);
}

Dim dim_div(DimTable *t, Dim a, Dim b)
{
    if (dim_is(b, 0) || dim_is(a, 0)) return dim_const(t, 0);
    if (dim_is(b, 1)) return a;
    if (b->hi < 0) return dim_div(t, negate(t, a), negate(t, b));
    if (dim_is_const(a) && dim_is_const(b)) return dim_const(t, dim_floor_div(a->value, b->value));
    if (dim_is_const(b)) return div_const(t, a, b->value);
    if (b->lo < 1) return atom(t, DIM_DIV, a, b);
    return a == b ? dim_const(t, 1) : div_positive(t, a, b);
}

Dim dim_ceil_div(DimTable *t, Dim a, Dim b)
{
    return dim_div(t, dim_add_c(t, dim_add(t, a, b), -1), b);
}

static Dim mod_const(DimTable *t, Dim a, int64_t c)
{
    Dim q, r;
    int64_t whole;
    split(t, a, c, true, &q, &r);
    if (decided(r, c, &whole)) return dim_add(t, r, dim_mul_c(t, dim_const(t, -whole), c));
    int64_t g = common_divisor(r, c, false);
    if (g > 1) { /* (g*s + k) % (g*c') = g * ((s + k/g) % c') + k%g */
        PolyView view;
        int64_t rest = poly_constant(poly_of(r, &view)) % g;
        Dim inner = dim_mod(t, shrink(t, r, g), dim_const(t, c / g));
        return dim_add_c(t, dim_mul_c(t, inner, g), rest);
    }
    if (r->kind == DIM_MOD && dim_is_const(r->b) && r->b->value % c == 0)
        return dim_mod(t, r->a, dim_const(t, c));
    return atom(t, DIM_MOD, r, dim_const(t, c));
}

static Dim mod_positive(DimTable *t, Dim a, Dim b)
{
    Dim q, r, wide = b;
    int64_t g = cancel_content(t, &a, &b);
    if (g > 1) return dim_mul_c(t, dim_mod(t, a, b), g);
    if (whole_multiples(t, a, b, &q, &r)) return dim_mod(t, r, b);
    if (a->lo >= 0 && dim_lt(t, a, b)) return a;
    if (a->hi < 0 && dim_le(t, negate(t, a), b)) return dim_add(t, a, b);
    if (cancel_atom(t, &a, &b)) {
        Dim factor = dim_div(t, wide, b);
        return dim_mul(t, factor, dim_mod(t, a, b));
    }
    return atom(t, DIM_MOD, a, b);
}

Dim dim_mod(DimTable *t, Dim a, Dim b)
{
    if (dim_is(b, 0) || dim_is(a, 0) || dim_is(b, 1) || a == b) return dim_const(t, 0);
    if (b->hi < 0) return negate(t, dim_mod(t, negate(t, a), negate(t, b)));
    if (dim_is_const(a) && dim_is_const(b)) return dim_const(t, dim_floor_mod(a->value, b->value));
    if (dim_is_const(b)) return mod_const(t, a, b->value);
    return b->lo < 1 ? atom(t, DIM_MOD, a, b) : mod_positive(t, a, b);
}

/* What follows from x being a minimum or maximum itself; NULL when nothing does. */
static Dim absorb(DimTable *t, DimKind kind, Dim x, Dim y)
{
    if (x->kind != DIM_MIN && x->kind != DIM_MAX) return NULL;
    if (y == x->a || y == x->b) return x->kind == kind ? x : y;
    if (x->kind != kind || !dim_is_const(y) || !dim_is_const(x->b)) return NULL;
    bool inner = (kind == DIM_MIN) == (x->b->value < y->value);
    return inner ? x : atom(t, kind, x->a, y);
}

static Dim choose(DimTable *t, DimKind kind, Dim a, Dim b)
{
    if (dim_le(t, a, b)) return kind == DIM_MIN ? a : b;
    if (dim_le(t, b, a)) return kind == DIM_MIN ? b : a;
    Dim known = absorb(t, kind, a, b);
    if (!known) known = absorb(t, kind, b, a);
    if (known) return known;
    bool swap =
        dim_is_const(a) || (!dim_is_const(b) && dim_compare(b, a) < 0); /* constants stand last */
    return swap ? atom(t, kind, b, a) : atom(t, kind, a, b);
}

Dim dim_min(DimTable *t, Dim a, Dim b)
{
    return choose(t, DIM_MIN, a, b);
}
Dim dim_max(DimTable *t, Dim a, Dim b)
{
    return choose(t, DIM_MAX, a, b);
}

static Dim substitute_poly(DimTable *t, Dim d, const Map *map)
{
    Dim sum = dim_const(t, 0);
    for (int i = 0; i < d->n_term; i++) {
        Dim product = dim_const(t, d->term[i].coef);
        for (int k = 0; k < d->term[i].n; k++)
            product = dim_mul(t, product, dim_substitute(t, d->term[i].atom[k], map));
        sum = dim_add(t, sum, product);
    }
    return sum;
}

Dim dim_substitute(DimTable *t, Dim d, const Map *map)
{
    Dim a, b;
    if (d->kind == DIM_CONST) return d;
    if (d->kind == DIM_SYM) return map_has(map, d) ? map_get(map, d) : d;
    if (d->kind == DIM_POLY) return substitute_poly(t, d, map);
    a = dim_substitute(t, d->a, map);
    b = dim_substitute(t, d->b, map);
    if (a == d->a && b == d->b) return d;
    if (d->kind == DIM_DIV) return dim_div(t, a, b);
    if (d->kind == DIM_MOD) return dim_mod(t, a, b);
    return choose(t, d->kind, a, b);
}

static bool eval_poly(Dim d, DimBinding binding, void *context, int64_t *out)
{
    int64_t sum = 0, v;
    for (int i = 0; i < d->n_term; i++) {
        int64_t product = d->term[i].coef;
        for (int k = 0; k < d->term[i].n; k++) {
            if (!dim_eval(d->term[i].atom[k], binding, context, &v)) return false;
            if (!checked_mul_i64(product, v, &product)) return false;
        }
        if (!checked_add_i64(sum, product, &sum)) return false;
    }
    *out = sum;
    return true;
}

bool dim_eval(Dim d, DimBinding binding, void *context, int64_t *out)
{
    int64_t a, b;
    if (d->kind == DIM_CONST) {
        *out = d->value;
        return true;
    }
    if (d->kind == DIM_SYM) return binding(context, d, out);
    if (d->kind == DIM_POLY) return eval_poly(d, binding, context, out);
    if (!dim_eval(d->a, binding, context, &a) || !dim_eval(d->b, binding, context, &b))
        return false;
    bool division = d->kind == DIM_DIV || d->kind == DIM_MOD;
    if (division && b == -1 && a == INT64_MIN) return false;
    if (division && b == 0)
        *out = 0;
    else if (d->kind == DIM_DIV)
        *out = dim_floor_div(a, b);
    else if (d->kind == DIM_MOD)
        *out = dim_floor_mod(a, b);
    else
        *out = d->kind == DIM_MIN ? least(a, b) : most(a, b);
    return true;
}

void dim_symbols(Dim d, void (*visit)(void *context, Dim symbol), void *context)
{
    if (d->kind == DIM_SYM) visit(context, d);
    for (int i = 0; i < d->n_term; i++)
        for (int k = 0; k < d->term[i].n; k++)
            dim_symbols(d->term[i].atom[k], visit, context);
    if (d->a) dim_symbols(d->a, visit, context);
    if (d->b) dim_symbols(d->b, visit, context);
}
