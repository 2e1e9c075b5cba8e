/* sx.c: the table of scalar expressions, and their constructors.
 *
 * The table is open addressing over the nodes themselves. When it cannot grow, nodes are made
 * without being interned: the arena is marked by then, and whoever builds stops at the next
 * arena_ok(). */
#include "ir/sx.h"

#include <assert.h>

#include "ir/sx_impl.h"
#include "support/map.h"

static const struct {
    const char *text;
    int args;
} op_row[SX_COUNT] = {
#define SX(NAME, text, args) [SX_##NAME] = {text, args},
#include "ir/sx.def"
#undef SX
};

const char *sx_op_text(SxOp op)
{
    return op_row[op].text;
}

int sx_op_args(SxOp op)
{
    return op_row[op].args;
}

void sx_init(SxTable *t, Arena *arena, DimTable *dims)
{
    *t = (SxTable){.arena = arena, .dims = dims};
}

/* Ids, not addresses: nothing may depend on where memory lies. */
static uint64_t hash_node(const Sx *e, const Sx *const *arg)
{
    uint64_t h = hash_mix((uint64_t)e->op << 8 | (uint64_t)e->dtype, e->bits);

    h = hash_mix(h, (uint64_t)(uint32_t)e->src << 32 | (uint32_t)e->index);
    h = hash_mix(h, (uint64_t)e->flat << 1 | (uint64_t)e->guarded);
    if (e->dim) h = hash_mix(h, e->dim->id);
    for (int i = 0; i < e->n; i++) {
        h = hash_mix(h, arg[i]->id);
    }
    return h;
}

static bool same_node(const Sx *a, const Sx *b, const Sx *const *arg)
{
    if (a->op != b->op || a->dtype != b->dtype || a->bits != b->bits || a->n != b->n ||
        a->src != b->src || a->index != b->index || a->flat != b->flat ||
        a->guarded != b->guarded || a->dim != b->dim) {
        return false;
    }
    for (int i = 0; i < a->n; i++) {
        if (a->arg[i] != arg[i]) return false;
    }
    return true;
}

static void insert(SxTable *t, Sx *e)
{
    size_t at = (size_t)hash_node(e, e->arg) & (t->n_bucket - 1);

    while (t->bucket[at]) {
        at = (at + 1) & (t->n_bucket - 1);
    }
    t->bucket[at] = e;
}

static bool grow(SxTable *t)
{
    SxTable old = *t;
    size_t n = old.n_bucket ? old.n_bucket * 2 : 64;
    Sx **bucket = arena_try(t->arena, n, sizeof *bucket);

    if (!bucket) return false;
    t->bucket = bucket;
    t->n_bucket = n;
    for (size_t i = 0; i < old.n_bucket; i++) {
        if (old.bucket[i]) insert(t, old.bucket[i]);
    }
    return true;
}

static const Sx *find(const SxTable *t, const Sx *like, const Sx *const *arg)
{
    if (!t->n_bucket) return NULL;
    size_t at = (size_t)hash_node(like, arg) & (t->n_bucket - 1);
    for (; t->bucket[at]; at = (at + 1) & (t->n_bucket - 1)) {
        if (same_node(t->bucket[at], like, arg)) return t->bucket[at];
    }
    return NULL;
}

const Sx *sx_intern(SxTable *t, const Sx *like, const Sx *const *arg)
{
    const Sx *known = find(t, like, arg);

    if (known) return known;
    assert(like->n <= SX_MAX_ARGS);
    Sx *e = arena_alloc(t->arena, sizeof *e + sizeof(Sx *) * (size_t)like->n);
    *e = *like;
    for (int i = 0; i < like->n; i++) {
        e->arg[i] = arg[i];
    }
    e->id = (uint32_t)t->count++;
    if (t->count * 2 > t->n_bucket && !grow(t)) return e;
    insert(t, e);
    return e;
}

/* Leaves. */

const Sx *sx_const_bits(SxTable *t, DType d, uint64_t bits)
{
    return sx_intern(t, &(Sx){.op = SX_CONST, .dtype = d, .bits = sx_normal_bits(d, bits)}, NULL);
}

const Sx *sx_const(SxTable *t, DType d, double v)
{
    uint64_t bits;
    SxShape cast = {.op = SX_CAST, .dtype = d, .from = DT_F64, .saturate = true};

    memcpy(&bits, &v, sizeof bits);
    return sx_const_bits(t, d, sx_apply(&cast, &bits));
}

const Sx *sx_const_int(SxTable *t, DType d, int64_t v)
{
    SxShape cast = {.op = SX_CAST, .dtype = d, .from = DT_I64, .saturate = true};
    uint64_t bits = (uint64_t)v;

    return sx_const_bits(t, d, sx_apply(&cast, &bits));
}

const Sx *sx_index(SxTable *t, int k)
{
    return sx_intern(t, &(Sx){.op = SX_INDEX, .dtype = DT_I64, .index = k}, NULL);
}

const Sx *sx_dim(SxTable *t, Dim d)
{
    if (dim_is_const(d)) return sx_const_int(t, DT_I64, d->value);
    return sx_intern(t, &(Sx){.op = SX_DIM, .dtype = DT_I64, .dim = d}, NULL);
}

const Sx *sx_acc(SxTable *t, int k, DType d)
{
    return sx_intern(t, &(Sx){.op = SX_ACC, .dtype = d, .index = k}, NULL);
}

/* A guard that is always true is none. */
static const Sx *load(SxTable *t, Sx *like, const Sx *const *idx, const Sx *guard)
{
    const Sx *arg[SX_MAX_ARGS];

    assert(like->n < SX_MAX_ARGS);
    for (int i = 0; i < like->n; i++) {
        assert(idx[i]->dtype == DT_I64);
        arg[i] = idx[i];
    }
    if (guard && guard->op == SX_CONST) {
        if (!guard->bits) return sx_const_bits(t, like->dtype, 0);
        guard = NULL;
    }
    if (guard) {
        assert(guard->dtype == DT_BOOL);
        arg[like->n++] = guard;
        like->guarded = true;
    }
    return sx_intern(t, like, arg);
}

const Sx *sx_load(SxTable *t, DType d, int src, int n, const Sx *const *idx, const Sx *guard)
{
    return load(t, &(Sx){.op = SX_LOAD, .dtype = d, .src = src, .n = n}, idx, guard);
}

const Sx *sx_load_flat(SxTable *t, DType d, int src, const Sx *element, const Sx *guard)
{
    Sx like = {.op = SX_LOAD, .dtype = d, .src = src, .n = 1, .flat = true};

    return load(t, &like, &element, guard);
}

const Sx *sx_check(SxTable *t, int src, const Sx *index, const Sx *extent)
{
    const Sx *arg[] = {index, extent};
    int64_t i, n;

    assert(index->dtype == DT_I64 && extent->dtype == DT_I64);
    if (sx_is_int_const(index, &i) && sx_is_int_const(extent, &n)) {
        int64_t from_end = i < 0 ? (int64_t)((uint64_t)i + (uint64_t)n) : i;
        if (from_end >= 0 && from_end < n) return sx_const_int(t, DT_I64, from_end);
    }
    return sx_intern(t, &(Sx){.op = SX_CHECK, .dtype = DT_I64, .src = src, .n = 2}, arg);
}

/* Operations. */

static const Sx *operation(SxTable *t, SxOp op, DType from, int n, const Sx *const *arg)
{
    Sx like = {.op = op, .dtype = sx_op_result(op, from), .n = n};
    SxShape shape = {.op = op, .dtype = like.dtype, .from = from, .no_fma = t->no_fma};
    uint64_t x[3];

    assert(sx_op_takes(op, from) && op_row[op].args == n);
    for (int i = 0; i < n; i++) {
        if (arg[i]->op != SX_CONST) return sx_intern(t, &like, arg);
        x[i] = arg[i]->bits;
    }
    bool math = op >= SX_EXP;
    return sx_const_bits(
        t, like.dtype, math ? sx_math_bits(t->arena, op, from, x, t->no_fma) : sx_apply(&shape, x));
}

const Sx *sx_op1(SxTable *t, SxOp op, const Sx *a)
{
    const Sx *same = a->op == SX_CONST ? NULL : sx_simplify1(t, op, a);

    return same ? same : operation(t, op, a->dtype, 1, &a);
}

const Sx *sx_op2(SxTable *t, SxOp op, const Sx *a, const Sx *b)
{
    const Sx *arg[] = {a, b};
    bool folds = a->op == SX_CONST && b->op == SX_CONST;
    const Sx *same;

    assert(a->dtype == b->dtype);
    same = folds ? NULL : sx_simplify2(t, op, a, b);
    return same ? same : operation(t, op, a->dtype, 2, arg);
}

const Sx *sx_op3(SxTable *t, SxOp op, const Sx *a, const Sx *b, const Sx *c)
{
    const Sx *arg[] = {a, b, c};
    const Sx *same = sx_simplify3(t, op, a, b, c);

    assert(b->dtype == c->dtype && a->dtype == (op == SX_SELECT ? DT_BOOL : b->dtype));
    return same ? same : operation(t, op, b->dtype, 3, arg);
}

const Sx *sx_mostly(SxTable *t, const Sx *c, const Sx *a, const Sx *b)
{
    const Sx *arg[] = {c, a, b};

    assert(c->dtype == DT_BOOL && a->dtype == b->dtype);
    if (c->op == SX_CONST) return c->bits ? a : b;
    return sx_intern(t, &(Sx){.op = SX_SELECT, .dtype = a->dtype, .n = 3, .index = 1}, arg);
}

const Sx *sx_cast(SxTable *t, const Sx *a, DType d)
{
    return sx_cast_to(t, a, d, true);
}

/* The types that a value out of range may either saturate or leave. */
static bool may_saturate(DType d)
{
    return (DT_BIT(d) & T_FLOAT_NARROW) != 0;
}

const Sx *sx_cast_to(SxTable *t, const Sx *a, DType d, bool saturate)
{
    Sx like = {.op = SX_CAST, .dtype = d, .n = 1, .index = saturate && may_saturate(d)};

    if (a->dtype == d) return a;
    if (a->op == SX_CONST) {
        SxShape shape = {.op = SX_CAST, .dtype = d, .from = a->dtype, .saturate = saturate};
        return sx_const_bits(t, d, sx_apply(&shape, &a->bits));
    }
    const Sx *same = sx_simplify_cast(t, a, d, saturate);
    return same ? same : sx_intern(t, &like, &a);
}

bool sx_can_bitcast(DType from, DType to)
{
    bool simple = from != DT_BOOL && to != DT_BOOL && from != DT_NONE && to != DT_NONE;

    return simple && dtype_bytes(from) == dtype_bytes(to) && dtype_bytes(from) <= 8 &&
           dtype_kind(from) <= KIND_COMPLEX && dtype_kind(to) <= KIND_COMPLEX;
}

const Sx *sx_bitcast(SxTable *t, const Sx *a, DType d)
{
    Sx like = {.op = SX_BITCAST, .dtype = d, .n = 1};

    assert(sx_can_bitcast(a->dtype, d));
    if (a->dtype == d) return a;
    if (a->op == SX_CONST) return sx_const_bits(t, d, a->bits);
    if (a->op == SX_BITCAST) return sx_bitcast(t, a->arg[0], d);
    return sx_intern(t, &like, &a);
}

const Sx *sx_rebuild(SxTable *t, const Sx *e, const Sx *const *arg)
{
    int n = e->n - e->guarded;

    switch (e->op) {
    case SX_CONST:
    case SX_INDEX:
    case SX_DIM:
    case SX_ACC:
        return e;
    case SX_LOAD: {
        const Sx *guard = e->guarded ? arg[n] : NULL;
        if (e->flat) return sx_load_flat(t, e->dtype, e->src, arg[0], guard);
        return sx_load(t, e->dtype, e->src, n, arg, guard);
    }
    case SX_CHECK:
        return sx_check(t, e->src, arg[0], arg[1]);
    case SX_CAST:
        return sx_cast_to(t, arg[0], e->dtype, e->index != 0);
    case SX_BITCAST:
        return sx_bitcast(t, arg[0], e->dtype);
    case SX_SELECT:
        if (e->index) return sx_mostly(t, arg[0], arg[1], arg[2]);
        break;
    default:
        break; /* the plain operations, by their number of arguments */
    }
    if (n == 1) return sx_op1(t, e->op, arg[0]);
    if (n == 2) return sx_op2(t, e->op, arg[0], arg[1]);
    return sx_op3(t, e->op, arg[0], arg[1], arg[2]);
}

const Sx *sx_floor_div(SxTable *t, const Sx *a, const Sx *b)
{
    const Sx *zero = sx_const_int(t, a->dtype, 0), *q = sx_div(t, a, b), *r, *down;
    int64_t lo_a, hi, lo_b;

    if (a->dtype == DT_I64) { /* both at least 0: rounding down is rounding toward zero */
        sx_range(t, a, 0, NULL, &lo_a, &hi);
        sx_range(t, b, 0, NULL, &lo_b, &hi);
        if (lo_a >= 0 && lo_b >= 0) return q;
    }
    if (!dtype_is_signed(a->dtype)) return q;
    r = sx_rem(t, a, b);
    down = sx_and(t, sx_ne(t, r, zero), sx_ne(t, sx_lt(t, r, zero), sx_lt(t, b, zero)));
    return sx_sub(t, q, sx_cast(t, down, a->dtype));
}

const Sx *sx_floor_mod(SxTable *t, const Sx *a, const Sx *b)
{
    const Sx *zero = sx_const_int(t, a->dtype, 0), *r = sx_rem(t, a, b), *down;
    int64_t lo_a, hi, lo_b;

    if (a->dtype == DT_I64) {
        sx_range(t, a, 0, NULL, &lo_a, &hi);
        sx_range(t, b, 0, NULL, &lo_b, &hi);
        if (lo_a >= 0 && lo_b >= 0) return r;
    }
    if (!dtype_is_signed(a->dtype)) return r;
    down = sx_and(t, sx_ne(t, r, zero), sx_ne(t, sx_lt(t, r, zero), sx_lt(t, b, zero)));
    return sx_select(t, down, sx_add(t, r, b), r);
}

bool sx_is_const(const Sx *e, double *value)
{
    SxShape to_double = {.op = SX_CAST, .dtype = DT_F64, .from = e->dtype};

    if (e->op != SX_CONST) return false;
    uint64_t bits = e->dtype == DT_F64 ? e->bits : sx_apply(&to_double, &e->bits);
    memcpy(value, &bits, sizeof bits);
    return true;
}

bool sx_is_scalar(const Sx *load)
{
    for (int i = 0; i < load->n; i++)
        if (load->arg[i]->op != SX_CONST) return false;
    return true;
}
