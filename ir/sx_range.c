/* sx_range.c: bounds of integer expressions, by intervals.
 *
 * An operation that might wrap has the whole range of its dtype; so has everything that is not an
 * integer or bool. Values of u64 above INT64_MAX do not fit the bounds: u64 is [INT64_MIN,
 * INT64_MAX] where it may hold them, which every rule treats as "anything". */
#include "ir/sx_impl.h"

#include "support/checked.h"

/* No loop runs longer than this: the index of a loop of unknown extent is below it, so that sums
 * and small multiples of indices are known not to wrap. */
#define LONGEST_LOOP ((int64_t)1 << 47)

typedef struct Range {
    int64_t lo, hi;
} Range;

static const Range anything = {INT64_MIN, INT64_MAX};

static Range dtype_range(DType d)
{
    int bits = dtype_bits(d);

    if (d == DT_BOOL) return (Range){0, 1};
    if (!dtype_is_int(d) || bits >= 64) return anything;
    if (dtype_is_signed(d))
        return (Range){-((int64_t)1 << (bits - 1)), ((int64_t)1 << (bits - 1)) - 1};
    return (Range){0, ((int64_t)1 << bits) - 1};
}

static bool within(Range a, Range b)
{
    return a.lo >= b.lo && a.hi <= b.hi;
}

static Range hull(Range a, Range b)
{
    return (Range){a.lo < b.lo ? a.lo : b.lo, a.hi > b.hi ? a.hi : b.hi};
}

/* The hull of four corners, each of which may have overflowed. */
static Range corners(bool ok, const int64_t *c, DType d)
{
    Range r = {c[0], c[0]};

    if (!ok) return dtype_range(d);
    for (int i = 1; i < 4; i++) {
        r = hull(r, (Range){c[i], c[i]});
    }
    return within(r, dtype_range(d)) ? r : dtype_range(d);
}

static Range range_mul(Range a, Range b, DType d)
{
    int64_t c[4];
    bool ok = checked_mul_i64(a.lo, b.lo, &c[0]) && checked_mul_i64(a.lo, b.hi, &c[1]) &&
              checked_mul_i64(a.hi, b.lo, &c[2]) && checked_mul_i64(a.hi, b.hi, &c[3]);

    return corners(ok, c, d);
}

static Range range_add(Range a, Range b, bool subtract, DType d)
{
    Range r;
    bool ok = subtract ? checked_sub_i64(a.lo, b.hi, &r.lo) && checked_sub_i64(a.hi, b.lo, &r.hi)
                       : checked_add_i64(a.lo, b.lo, &r.lo) && checked_add_i64(a.hi, b.hi, &r.hi);

    return ok && within(r, dtype_range(d)) ? r : dtype_range(d);
}

static Range range_div(Range a, Range b, DType d)
{
    if (b.lo <= 0) { /* by zero or by -1: no rule but for a divisor's magnitude of at least 0 */
        if (a.lo >= 0 && b.lo == 0) return (Range){0, a.hi};
        return dtype_range(d);
    }
    int64_t c[4] = {a.lo / b.lo, a.lo / b.hi, a.hi / b.lo, a.hi / b.hi};
    return corners(true, c, d);
}

static Range range_rem(Range a, Range b)
{
    int64_t most = b.lo == INT64_MIN ? INT64_MAX : b.lo < 0 && -b.lo > b.hi ? -b.lo - 1 : b.hi - 1;

    if (most < 0) most = 0;
    Range r = {a.lo < 0 ? -most : 0, a.hi > 0 ? most : 0};
    if (r.lo < a.lo && a.lo < 0) r.lo = a.lo; /* the remainder is no larger than arg0 */
    if (r.hi > a.hi && a.hi > 0) r.hi = a.hi;
    return r;
}

static Range range_bits(SxOp op, Range a, Range b, DType d)
{
    if (op == SX_AND && (a.lo >= 0 || b.lo >= 0)) {
        int64_t hi = a.lo < 0 ? b.hi : b.lo < 0 ? a.hi : a.hi < b.hi ? a.hi : b.hi;
        return (Range){0, hi};
    }
    if (op == SX_AND || a.lo < 0 || b.lo < 0) return dtype_range(d);
    int64_t top = a.hi | b.hi; /* OR, XOR: below the next power of two */
    for (int s = 1; s < 64; s *= 2) {
        top |= top >> s;
    }
    return (Range){0, top};
}

static Range range_shift(SxOp op, Range a, Range b, DType d)
{
    bool constant = b.lo == b.hi && b.lo >= 0 && b.lo < 63;

    if (op == SX_SHL)
        return constant ? range_mul(a, (Range){(int64_t)1 << b.lo, (int64_t)1 << b.lo}, d)
                        : dtype_range(d);
    if (constant && (a.lo >= 0 || dtype_is_signed(d))) return (Range){a.lo >> b.lo, a.hi >> b.lo};
    return a.lo >= 0 ? (Range){0, a.hi} : dtype_range(d);
}

static Range range_cast(const Sx *e, Range a)
{
    Range full = dtype_range(e->dtype);
    DTypeKind from = dtype_kind(e->arg[0]->dtype);

    if (e->dtype == DT_BOOL || from == KIND_FLOAT) return full;
    if (e->dtype == DT_U64) return a.lo >= 0 ? a : full;
    return within(a, full) && !(e->arg[0]->dtype == DT_U64 && a.lo < 0) ? a : full;
}

static Range range_leaf(const Sx *e, int n_extent, const Dim *extent)
{
    int64_t v;

    if (sx_is_int_const(e, &v)) return e->dtype == DT_U64 && v < 0 ? anything : (Range){v, v};
    if (e->op == SX_CONST && e->dtype == DT_BOOL)
        return (Range){(int64_t)e->bits, (int64_t)e->bits};
    if (e->op == SX_DIM) return (Range){e->dim->lo, e->dim->hi};
    if (e->op != SX_INDEX) return dtype_range(e->dtype);
    int64_t hi = e->index < n_extent && extent[e->index] ? extent[e->index]->hi : LONGEST_LOOP;
    return (Range){0, hi > LONGEST_LOOP ? LONGEST_LOOP - 1 : hi > 0 ? hi - 1 : 0};
}

static Range range_of(const Sx *e, const Range *a, int n_extent, const Dim *extent)
{
    Range full = dtype_range(e->dtype);
    bool integer = dtype_is_int(e->dtype) || e->dtype == DT_BOOL;

    if (e->n == 0) return range_leaf(e, n_extent, extent);
    if (!integer) return anything;
    switch ((int)e->op) {
    case SX_CHECK:
        return (Range){-1, a[1].hi > 0 ? a[1].hi - 1 : -1};
    case SX_NEG:
        return range_add((Range){0, 0}, a[0], true, e->dtype);
    case SX_ABS:
        if (a[0].lo >= 0) return a[0];
        if (a[0].lo == INT64_MIN || -a[0].lo > full.hi) return full;
        return (Range){0, -a[0].lo > a[0].hi ? -a[0].lo : a[0].hi};
    case SX_ADD:
        return range_add(a[0], a[1], false, e->dtype);
    case SX_SUB:
        return range_add(a[0], a[1], true, e->dtype);
    case SX_MUL:
        return range_mul(a[0], a[1], e->dtype);
    case SX_DIV:
        return range_div(a[0], a[1], e->dtype);
    case SX_REM:
        return range_rem(a[0], a[1]);
    case SX_MIN:
        return (Range){a[0].lo < a[1].lo ? a[0].lo : a[1].lo,
                       a[0].hi < a[1].hi ? a[0].hi : a[1].hi};
    case SX_MAX:
        return (Range){a[0].lo > a[1].lo ? a[0].lo : a[1].lo,
                       a[0].hi > a[1].hi ? a[0].hi : a[1].hi};
    case SX_AND:
    case SX_OR:
    case SX_XOR:
        return range_bits(e->op, a[0], a[1], e->dtype);
    case SX_SHL:
    case SX_SHR:
        return range_shift(e->op, a[0], a[1], e->dtype);
    case SX_CTLZ:
    case SX_POPCNT:
        return (Range){0, dtype_bits(e->dtype)};
    case SX_SELECT:
        return hull(a[1], a[2]);
    case SX_CAST:
        return range_cast(e, a[0]);
    default:
        return full; /* loads, comparisons, bits of floats */
    }
}

/* u64 that may lie above INT64_MAX is known by its lower bound: no rule may reason from it. */
static bool has_unknown(const Sx *e, const Range *a)
{
    for (int i = 0; i < e->n; i++) {
        if (e->arg[i]->dtype == DT_U64 && a[i].lo < 0) return true;
    }
    return false;
}

void sx_range(SxTable *t, const Sx *e, int n_extent, const Dim *extent, int64_t *lo, int64_t *hi)
{
    SxWalk w;
    Range arg[SX_MAX_ARGS], *range = NULL, r = dtype_range(e->dtype);

    if (sx_walk(t, e, &w)) range = sx_scratch(t, w.n, sizeof *range);
    for (size_t i = 0; range && i < w.n; i++) {
        for (int k = 0; k < w.node[i]->n; k++) {
            arg[k] = range[sx_walk_at(&w, w.node[i]->arg[k])];
        }
        bool unknown = w.node[i]->dtype == DT_U64 && has_unknown(w.node[i], arg);
        r = range[i] = unknown ? anything : range_of(w.node[i], arg, n_extent, extent);
        if (w.node[i]->dtype == DT_U64 && r.lo < 0) r = range[i] = anything;
    }
    *lo = r.lo;
    *hi = r.hi;
    free(range);
    sx_walk_free(&w);
}
