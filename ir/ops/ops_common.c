/* ops_common.c: see ops_common.h.
 *
 * Contents are computed only where the answer is exact: an element that would overflow, divide by
 * zero or depend on an undecided comparison gives the whole list up, and the run computes it. */
#include "ir/ops/ops_common.h"

#include <string.h>

#include "support/checked.h"

enum { CONTENTS_MAX = 1024 };

Status infer_ranked(Infer *cx, const Node *n, int input)
{
    const Type *t = in_type(n, input);

    if (t->kind != TYPE_TENSOR)
        return op_error(n, cx->diag, NULL, "%s: input %d must be a tensor", n->op->name, input);
    if (t->rank == RANK_UNKNOWN)
        return op_unsupported(n, cx->diag, "input %d has no known rank", input);
    return OK;
}

Status lower_movable(Build *b, const Node *n, DType t)
{
    if (T_MOVABLE & DT_BIT(t)) return OK;
    return op_unsupported(n, b->diag, "no code is generated for %s", dtype_text(t));
}

/* ---- contents ---- */

static bool has_contents(DType t)
{
    return t == DT_I64 || t == DT_I32 || t == DT_BOOL;
}

static const Dim *contents_of_data(Infer *cx, const Tensor *t, int *count)
{
    Dim *dims;

    if (!has_contents(t->dtype) || t->rank > 1) return NULL;
    if (t->count > CONTENTS_MAX) return NULL;
    dims = ARENA_ARRAY(cx->module->arena, Dim, t->count);
    for (int64_t i = 0; i < t->count; i++)
        dims[i] = dim_const(&cx->module->dims, tensor_int(t, i));
    *count = (int)t->count;
    return dims;
}

const Dim *contents_of(Infer *cx, const Value *v, int *count)
{
    const Type *t;

    *count = 0;
    if (!v || v->type.kind != TYPE_TENSOR || !has_contents(v->type.dtype)) return NULL;
    t = &v->type;
    if (t->rank != 0 && (t->rank != 1 || !dim_is_const(t->dim[0]))) return NULL;
    if (!v->contents) return v->data ? contents_of_data(cx, v->data, count) : NULL;
    *count = t->rank == 0 ? 1 : (int)t->dim[0]->value;
    return v->contents;
}

/* Contents of an elementwise node of rank 0 or 1, or NULL. */
static const Dim *fold_contents(Infer *cx, const Node *n, int count, DimFold fold)
{
    DimTable *t = &cx->module->dims;
    Dim *result = ARENA_ARRAY(cx->module->arena, Dim, count);
    const Dim **from = ARENA_ARRAY(cx->module->arena, const Dim *, n->n_in);
    int *size = ARENA_ARRAY(cx->module->arena, int, n->n_in);
    Dim *x = ARENA_ARRAY(cx->module->arena, Dim, n->n_in);

    for (int k = 0; k < n->n_in; k++) {
        from[k] = contents_of(cx, n->in[k], &size[k]);
        if (!from[k] || (size[k] != count && size[k] != 1)) return NULL;
    }
    for (int i = 0; i < count; i++) {
        bool before = t->overflow;

        for (int k = 0; k < n->n_in; k++)
            x[k] = from[k][size[k] == 1 ? 0 : i];
        result[i] = fold(t, n, x);
        if (t->overflow && !before) {
            t->overflow = false;
            return NULL;
        }
        if (!result[i]) return NULL;
        if (in_type(n, n->n_in - 1)->dtype == DT_I32 && dim_is_const(result[i]) &&
            (result[i]->value < INT32_MIN || result[i]->value > INT32_MAX))
            return NULL; /* it wraps */
    }
    return result;
}

Status infer_fold(Infer *cx, Node *n, DType result, DimFold fold)
{
    const Type **types = ARENA_ARRAY(cx->module->arena, const Type *, n->n_in);
    Dim dims[MAX_RANK];
    int rank;
    const Dim *contents;

    for (int k = 0; k < n->n_in; k++)
        types[k] = in_type(n, k);
    TRY(infer_broadcast_dims(cx, n, n->n_in, types, &rank, dims));
    if (result == DT_NONE) result = types[0]->dtype;
    infer_out(cx, n, 0, result, rank, dims);
    if (!fold || rank > 1 || !has_contents(result)) return OK;
    if (rank == 1 && (!dim_is_const(dims[0]) || dims[0]->value > CONTENTS_MAX)) return OK;
    int count = rank == 0 ? 1 : (int)dims[0]->value;
    contents = fold_contents(cx, n, count, fold);
    if (contents) infer_contents(cx, n, 0, count, contents);
    return OK;
}

Status infer_axes(Infer *cx, Node *n, int input, int rank, int absent, AxisList *out)
{
    const int64_t *ints;
    unsigned seen = 0;

    *out = (AxisList){.n = absent, .known = true};
    for (int i = 0; i < absent; i++)
        out->axis[i] = i;
    if (!has_in(n, input)) return OK;
    out->known = const_ints(n->in[input], cx->module->arena, &ints, &out->n);
    if (!out->known) TRY(infer_elements(cx, n, input, -rank, rank - 1, &out->dim, &out->n));
    if (out->n > rank)
        return op_error(n, cx->diag, "axes", "%s: %d axes for rank %d", n->op->name, out->n, rank);
    for (int i = 0; i < out->n && out->known; i++) {
        TRY(infer_axis(n, cx->diag, "axes", ints[i], rank, &out->axis[i]));
        if (seen >> out->axis[i] & 1)
            return op_error(n, cx->diag, "axes", "%s: axis %d stands twice", n->op->name,
                            out->axis[i]);
        seen |= 1u << out->axis[i];
    }
    return OK;
}

/* ---- dims that the run tells ---- */

Dim dim_of_sx(Build *b, int n_in, Value *const *in, const Sx *e, int64_t lo, int64_t hi)
{
    Value *v = build_map(b, "dim", n_in, in, DT_I64, 0, NULL, e);

    return build_bind(b, v, 0, "d", lo, hi);
}

Dim dim_from_end(Build *b, Dim i, Dim extent)
{
    const Sx *e, *d;

    if (i->lo >= 0) return i;
    if (i->hi < 0) return dim_add(b->dims, i, extent);
    d = sx_dim(b->sx, i);
    e = sx_select(b->sx, sx_lt(b->sx, d, sx_i64(b, 0)), sx_add(b->sx, d, sx_dim(b->sx, extent)), d);
    return dim_of_sx(b, 0, NULL, e, INT64_MIN / 2, INT64_MAX / 2);
}

const Sx *sx_names_axis(Build *b, Dim axis, int i, int rank)
{
    const Sx *e = sx_dim(b->sx, axis);

    return sx_or(b->sx, sx_eq(b->sx, e, sx_i64(b, i)), sx_eq(b->sx, e, sx_i64(b, i - rank)));
}

const Sx *sx_listed(Build *b, const AxisList *axes, int i, int rank)
{
    const Sx *any = sx_const_int(b->sx, DT_BOOL, 0);

    for (int k = 0; k < axes->n; k++)
        any = sx_or(b->sx, any, sx_names_axis(b, axes->dim[k], i, rank));
    return sx_cast(b->sx, any, DT_I64);
}

void dims_without(Build *b, const Type *x, const AxisList *axes, Dim *dims)
{
    SxTable *t = b->sx;
    const Sx *place = sx_i64(b, 0), *out[MAX_RANK];
    int rank = x->rank - axes->n;

    for (int k = 0; k < rank; k++)
        out[k] = sx_i64(b, -1); /* an axis stands twice: out of the symbol's bounds */
    for (int i = 0; i < x->rank; i++) {
        const Sx *gone = sx_listed(b, axes, i, x->rank);
        const Sx *stays = sx_eq(t, gone, sx_i64(b, 0));
        for (int k = 0; k < rank; k++)
            out[k] = sx_select(t, sx_and(t, stays, sx_eq(t, place, sx_i64(b, k))),
                               sx_dim(t, x->dim[i]), out[k]);
        place = sx_add(t, place, sx_sub(t, sx_i64(b, 1), gone));
    }
    for (int k = 0; k < rank; k++)
        dims[k] = dim_of_sx(b, 0, NULL, out[k], 0, DIM_TOP);
}

Dim axis_value(Build *b, const AxisList *axes, const Dim *value, int i, int rank, int64_t absent,
               int64_t lo, int64_t hi)
{
    const Sx *e = sx_i64(b, absent);

    for (int k = 0; k < axes->n && axes->known; k++)
        if (axes->axis[k] == i) return value[k];
    if (axes->known) return dim_const(b->dims, absent);
    for (int k = 0; k < axes->n; k++)
        e = sx_select(b->sx, sx_names_axis(b, axes->dim[k], i, rank), sx_dim(b->sx, value[k]), e);
    return dim_of_sx(b, 0, NULL, e, lo, hi);
}

const Sx *sx_scalar(Build *b, int src, const Value *v)
{
    const Sx *idx[MAX_RANK];

    build_require_equal(b, type_count(b->dims, &v->type), dim_const(b->dims, 1));
    for (int i = 0; i < v->type.rank; i++)
        idx[i] = sx_i64(b, 0);
    return sx_at(b, src, v, idx);
}

Status infer_extents(Infer *cx, Node *n, int input, int rank, const Dim *want)
{
    const Type *t;

    if (!has_in(n, input)) return OK;
    t = in_type(n, input);
    if (t->rank != rank)
        return op_error(n, cx->diag, NULL, "%s: input %d has rank %d, expected %d", node_op_name(n),
                        input, t->rank, rank);
    for (int i = 0; i < rank; i++) {
        if (dim_distinct(&cx->module->dims, t->dim[i], want[i]))
            return op_error(n, cx->diag, NULL,
                            "%s: input %d has %lld elements on axis %d, "
                            "expected %lld",
                            node_op_name(n), input, (long long)t->dim[i]->hi, i,
                            (long long)want[i]->hi);
        if (cx->build) build_require_equal(cx->build, t->dim[i], want[i]);
    }
    return cx->build ? cx->build->status : OK;
}

Status infer_vector(Infer *cx, Node *n, int input, Dim want)
{
    return infer_extents(cx, n, input, 1, &want);
}

Status infer_broadcasts_to(Infer *cx, Node *n, int input, const Type *to)
{
    Dim dims[MAX_RANK];
    int rank;

    if (!has_in(n, input)) return OK;
    TRY(infer_broadcast_dims(cx, n, 2, (const Type *const[]){to, in_type(n, input)}, &rank, dims));
    for (int i = 0; i < to->rank && rank == to->rank; i++) {
        if (dim_distinct(&cx->module->dims, dims[i], to->dim[i])) rank = -1;
        if (rank >= 0 && cx->build) build_require_equal(cx->build, dims[i], to->dim[i]);
    }
    if (rank != to->rank)
        return op_error(n, cx->diag, NULL, "%s: input %d does not broadcast to the result",
                        node_op_name(n), input);
    return cx->build ? cx->build->status : OK;
}

const Sx *sx_index_or_one(Build *b, Dim own, Dim extent, const Sx *at)
{
    const Sx *zero = sx_i64(b, 0);

    if (dim_is(own, 1)) return zero;
    if (own == extent) return at;
    if (own->lo > 1) {
        build_require_equal(b, own, extent);
        return at;
    }
    return sx_select(b->sx, sx_eq(b->sx, sx_dim(b->sx, own), sx_i64(b, 1)), zero, at);
}

void build_require_least(Build *b, Dim a, int64_t least)
{
    Dim floor = dim_const(b->dims, least);

    if (a->lo < least) build_require_equal(b, dim_min(b->dims, a, floor), floor);
}

void build_require_one(Build *b, const Value *v)
{
    build_require_equal(b, type_count(b->dims, &v->type), dim_const(b->dims, 1));
}

typedef struct Factors {
    int64_t coef;
    int n;
    Dim atom[64];
} Factors;

static void factors_add(Factors *f, Dim d)
{
    int64_t coef = 1;

    if (d->kind == DIM_CONST && checked_mul_i64(f->coef, d->value, &coef)) {
        f->coef = coef;
    } else if (d->kind == DIM_POLY && d->n_term == 1 && f->n + d->term[0].n < 64 &&
               checked_mul_i64(f->coef, d->term[0].coef, &coef)) {
        f->coef = coef;
        for (int i = 0; i < d->term[0].n; i++)
            f->atom[f->n++] = d->term[0].atom[i];
    } else if (f->n < 64) {
        f->atom[f->n++] = d;
    }
}

static Dim factors_product(DimTable *t, const Factors *f)
{
    return dim_mul_c(t, dim_product(t, f->n, f->atom), f->coef);
}

Dim dim_ratio(DimTable *t, int n_over, const Dim *over, int n_under, const Dim *under)
{
    Factors f = {.coef = 1}, g = {.coef = 1};

    for (int i = 0; i < n_over; i++)
        factors_add(&f, over[i]);
    for (int i = 0; i < n_under; i++)
        factors_add(&g, under[i]);
    for (int i = 0; i < g.n; i++)
        for (int k = 0; k < f.n; k++)
            if (f.atom[k] == g.atom[i]) {
                f.atom[k] = f.atom[--f.n];
                g.atom[i--] = g.atom[--g.n];
                break;
            }
    return dim_div(t, factors_product(t, &f), factors_product(t, &g));
}

/* ---- scalar expressions ---- */

const Sx *sx_affine(Build *b, const Sx *index, Dim stride, Dim offset)
{
    return sx_add(b->sx, sx_mul(b->sx, index, sx_dim(b->sx, stride)), sx_dim(b->sx, offset));
}

const Sx *sx_data_index(Build *b, int src, const Sx *e, Dim extent, const Sx **guard)
{
    const Sx *i = sx_check(b->sx, src, sx_cast(b->sx, e, DT_I64), sx_dim(b->sx, extent));

    *guard = sx_le(b->sx, sx_i64(b, 0), i);
    return i;
}

const Sx *sx_both(Build *b, const Sx *x, const Sx *y)
{
    if (!x || !y) return x ? x : y;
    return sx_and(b->sx, x, y);
}

/* ---- evaluation ---- */

void eval_copy_strided(Tensor *out, const Tensor *in, int64_t offset, const int64_t *stride)
{
    int64_t index[MAX_RANK] = {0};

    for (int64_t o = 0; o < out->count; o++, eval_next(out->rank, out->dim, index)) {
        int64_t i = offset;
        for (int k = 0; k < out->rank; k++)
            i += index[k] * stride[k];
        eval_copy_element(out, o, in, i);
    }
}

Status eval_broadcast(Eval *cx, const Node *n, int count, const Tensor *const *in, DType t,
                      Tensor **out)
{
    int rank = 0;
    int64_t dims[MAX_RANK];

    for (int k = 0; k < count; k++)
        if (in[k] && in[k]->rank > rank) rank = in[k]->rank;
    for (int i = 0; i < rank; i++)
        dims[i] = 1;
    for (int k = 0; k < count; k++) {
        int shift = in[k] ? rank - in[k]->rank : rank;
        for (int i = shift; i < rank; i++) {
            int64_t v = in[k]->dim[i - shift];
            if (v == 1 || v == dims[i]) continue;
            if (dims[i] != 1)
                return op_error(n, cx->diag, NULL, "%s: dims %lld and %lld do not broadcast",
                                n->op->name, (long long)dims[i], (long long)v);
            dims[i] = v;
        }
    }
    return eval_out(cx, n, out, t, rank, dims);
}

int64_t eval_offset(const Tensor *t, int rank, const int64_t *index)
{
    int64_t at = 0;

    for (int i = 0; i < t->rank; i++)
        at = at * t->dim[i] + (t->dim[i] == 1 ? 0 : index[i + rank - t->rank]);
    return at;
}

Status eval_index(Eval *cx, const Node *n, int64_t extent, int64_t *index)
{
    if (*index < -extent || *index >= extent)
        return diag(cx->diag, ERR_MODEL, node_where(n),
                    "%s: index %lld is out of range for an axis of %lld", n->op->name,
                    (long long)*index, (long long)extent);
    if (*index < 0) *index += extent;
    return OK;
}
