/* op_util.c: what operator families share: inference of dims, elements known as dims, and
 * evaluation helpers. */
#include "ir/op.h"

#include <string.h>

enum {
    LONG_DIM = 64,   /* parts of two dims, from where their maximum becomes a symbol */
    BINDS_SEEN = 256 /* nodes before an operator, among which a binding is looked for */
};

void infer_out(Infer *cx, Node *n, int k, DType t, int rank, const Dim *dims)
{
    Dim *copy;

    if (!has_out(n, k)) return;
    copy = ARENA_ARRAY(cx->module->arena, Dim, rank);
    for (int i = 0; i < rank; i++)
        copy[i] = dims[i];
    n->out[k]->type = type_tensor(t, rank, copy);
}

void infer_same(Infer *cx, Node *n, int k, int input)
{
    (void)cx;
    if (has_out(n, k)) n->out[k]->type = *in_type(n, input);
}

void infer_contents(Infer *cx, Node *n, int k, int count, const Dim *dims)
{
    const Type *t;
    Dim *copy;

    if (!has_out(n, k)) return;
    t = &n->out[k]->type;
    if (t->rank > 1 || (t->rank == 1 && !dim_is(t->dim[0], count))) return;
    copy = ARENA_ARRAY(cx->module->arena, Dim, count);
    if (count) memcpy(copy, dims, sizeof *dims * (size_t)count);
    n->out[k]->contents = copy;
}

/* At run time a equals b, or one of them is 1: else a data error. */
static void require_broadcast(Infer *cx, Dim a, Dim b)
{
    SxTable *t = &cx->module->sx;
    const Sx *x, *y, *one, *bad;

    if (!cx->build || cx->build->status != OK) return;
    x = sx_dim(t, a);
    y = sx_dim(t, b);
    one = sx_const_int(t, DT_I64, 1);
    bad = sx_and(t, sx_ne(t, x, y), sx_and(t, sx_ne(t, x, one), sx_ne(t, y, one)));
    build_bind(cx->build,
               build_map(cx->build, "broadcast", 0, NULL, DT_I64, 0, NULL, sx_cast(t, bad, DT_I64)),
               0, "zero", 0, 0);
}

Dim infer_larger_or_none(DimTable *t, Dim a, Dim b)
{
    Dim one = dim_const(t, 1), most = dim_max(t, a, b);

    if (a->lo < 1) most = dim_mul(t, most, dim_min(t, a, one));
    if (b->lo < 1) most = dim_mul(t, most, dim_min(t, b, one));
    return most;
}

/* The same as a symbol that the run computes, for dims that are long expressions already. */
static Dim larger_at_run(Build *b, Dim x, Dim y)
{
    SxTable *t = b->sx;
    const Sx *one = sx_const_int(t, DT_I64, 1), *e = sx_dim(t, x);
    Value *v;

    e = sx_select(t, sx_eq(t, e, one), sx_dim(t, y), e);
    v = build_map(b, "broadcast", 0, NULL, DT_I64, 0, NULL, e);
    return build_bind(b, v, 0, "d", 0, x->hi > y->hi ? x->hi : y->hi);
}

/* One dim of the result from two: equal; or one is 1; or, where only the run can tell, the larger,
 * with a check that they fit. */
static Status join_dims(Infer *cx, Node *n, Dim a, Dim b, Dim *out)
{
    DimTable *t = &cx->module->dims;

    if (a == b || dim_is(b, 1))
        *out = a;
    else if (dim_is(a, 1))
        *out = b;
    else if (dim_is_const(a) && dim_is_const(b))
        return op_error(n, cx->diag, NULL, "%s: dims %lld and %lld do not broadcast",
                        node_op_name(n), (long long)a->value, (long long)b->value);
    else if (a->lo > 1 || dim_is(a, 0)) /* the other must be 1 or this */
        *out = a;
    else if (b->lo > 1 || dim_is(b, 0))
        *out = b;
    else if (a->weight + b->weight > LONG_DIM && cx->build && cx->build->status == OK)
        *out = larger_at_run(cx->build, a, b);
    else
        *out = infer_larger_or_none(t, a, b);
    if (a != b && !dim_is(a, 1) && !dim_is(b, 1)) require_broadcast(cx, a, b);
    return OK;
}

Status infer_broadcast_dims(Infer *cx, Node *n, int n_types, const Type *const *types, int *rank,
                            Dim *dims)
{
    *rank = 0;
    for (int k = 0; k < n_types; k++) {
        if (types[k]->rank == RANK_UNKNOWN)
            return op_unsupported(n, cx->diag, "an operand of unknown rank");
        if (types[k]->rank > *rank) *rank = types[k]->rank;
    }
    for (int i = 0; i < *rank; i++) {
        Dim d = dim_const(&cx->module->dims, 1);
        for (int k = 0; k < n_types; k++) {
            int j = i - (*rank - types[k]->rank);
            if (j >= 0) TRY(join_dims(cx, n, d, types[k]->dim[j], &d));
        }
        dims[i] = d;
    }
    return OK;
}

Status infer_axis(const Node *n, Diag *d, const char *attr, int64_t axis, int rank, int *out)
{
    if (axis < -rank || axis >= rank)
        return op_error(n, d, attr, "%s: axis %lld is out of range for rank %d", node_op_name(n),
                        (long long)axis, rank);
    *out = (int)(axis < 0 ? axis + rank : axis);
    return OK;
}

/* The symbol of element k of v, which stands outside of the region that is built: bound among the
 * last nodes of this region, or now. Another region's binding may not have run. */
static Dim bind_here(Build *b, Value *v, int k, int64_t lo, int64_t hi)
{
    const Node *n = b->before ? b->before->prev : b->region->last;

    for (int look = 0; n && look < BINDS_SEEN; look++, n = n->prev)
        if (n->kind == NODE_BIND && n->in[0] == v && n->bind->element[0] == k &&
            n->bind->symbol[0]->lo >= lo && n->bind->symbol[0]->hi <= hi)
            return n->bind->symbol[0];
    return build_bind(b, v, k, "d", lo, hi);
}

Status infer_elements(Infer *cx, Node *n, int input, int64_t lo, int64_t hi, const Dim **dims,
                      int *count)
{
    Value *v = has_in(n, input) ? n->in[input] : NULL;
    Dim *fresh, total;

    *dims = NULL;
    *count = 0;
    if (!v) return OK;
    if (v->type.kind != TYPE_TENSOR || v->type.rank == RANK_UNKNOWN || v->type.rank > 1)
        return op_error(n, cx->diag, NULL, "%s: input %d must be a scalar or a list of integers",
                        node_op_name(n), input);
    if (v->type.dtype != DT_I64 && v->type.dtype != DT_I32)
        return op_error(n, cx->diag, NULL, "%s: input %d must be i64 or i32, not %s",
                        node_op_name(n), input, dtype_text(v->type.dtype));
    total = type_count(&cx->module->dims, &v->type);
    if (!dim_is_const(total))
        return op_unsupported(n, cx->diag, "input %d has an open number of elements", input);
    if (total->value > 4096)
        return op_error(n, cx->diag, NULL, "%s: input %d has %lld elements", node_op_name(n), input,
                        (long long)total->value);
    *count = (int)total->value;
    for (int i = 0; v->contents && i < *count; i++)
        if (dim_is_const(v->contents[i]) &&
            (v->contents[i]->value < lo || v->contents[i]->value > hi))
            return op_error(n, cx->diag, NULL, "%s: input %d holds %lld, which is out of range",
                            node_op_name(n), input, (long long)v->contents[i]->value);
    if (v->contents) {
        *dims = v->contents;
        return OK;
    }
    fresh = ARENA_ARRAY(cx->module->arena, Dim, *count);
    for (int i = 0; i < *count; i++)
        fresh[i] = bind_here(cx->build, v, i, lo, hi);
    if ((v->def ? v->def->parent : v->region) == cx->build->region)
        v->contents = fresh; /* the next reader of the same tensor sees the same symbols */
    *dims = fresh;
    return cx->build->status;
}

static const Tensor *constant_of(const Value *v)
{
    return v ? v->data : NULL;
}

bool const_ints(const Value *v, Arena *a, const int64_t **out, int *count)
{
    const Tensor *t = constant_of(v);
    int64_t *ints;

    if (v && !t && v->contents && v->type.kind == TYPE_TENSOR && v->type.rank <= 1) {
        int64_t n = v->type.rank == 0              ? 1
                    : dim_is_const(v->type.dim[0]) ? v->type.dim[0]->value
                                                   : -1;
        if (n < 0) return false;
        ints = ARENA_ARRAY(a, int64_t, n);
        for (int64_t i = 0; i < n; i++) {
            if (!dim_is_const(v->contents[i])) return false;
            ints[i] = v->contents[i]->value;
        }
        *count = (int)n;
        *out = ints;
        return true;
    }
    if (!t || !(dtype_is_int(t->dtype) || t->dtype == DT_BOOL) || t->count > (1 << 16))
        return false;
    ints = ARENA_ARRAY(a, int64_t, t->count);
    for (int64_t i = 0; i < t->count; i++)
        ints[i] = tensor_int(t, i);
    *out = ints;
    *count = (int)t->count;
    return true;
}

bool const_doubles(const Value *v, Arena *a, const double **out, int *count)
{
    const Tensor *t = constant_of(v);
    double *x;

    if (!t || !dtype_is_float(t->dtype) || t->count > (1 << 16)) return false;
    x = ARENA_ARRAY(a, double, t->count);
    for (int64_t i = 0; i < t->count; i++)
        x[i] = tensor_double(t, i);
    *out = x;
    *count = (int)t->count;
    return true;
}

/* ---- evaluation ---- */

Status eval_out(Eval *cx, const Node *n, Tensor **out, DType t, int rank, const int64_t *dims)
{
    int64_t count;
    size_t bytes;

    if (!tensor_size(t, rank, dims, &count, &bytes))
        return diag(cx->diag, ERR_LIMIT, node_where(n), "%s: the result has an impossible size",
                    node_op_name(n));
    *out = tensor_new(cx->arena, t, rank, dims);
    if (!*out)
        return diag(cx->diag, ERR_LIMIT, node_where(n), "%s: no memory for a result of %zu bytes",
                    node_op_name(n), bytes);
    return OK;
}

void eval_strides(int rank, const int64_t *dim, int64_t *stride)
{
    int64_t s = 1;

    for (int i = rank - 1; i >= 0; i--) {
        stride[i] = s;
        s *= dim[i];
    }
}

void eval_broadcast_strides(const Tensor *t, int out_rank, int64_t *stride)
{
    int64_t own[MAX_RANK];
    int shift = out_rank - t->rank;

    eval_strides(t->rank, t->dim, own);
    for (int i = 0; i < out_rank; i++)
        stride[i] = i < shift || t->dim[i - shift] == 1 ? 0 : own[i - shift];
}

bool eval_next(int rank, const int64_t *dim, int64_t *index)
{
    for (int i = rank - 1; i >= 0; i--) {
        if (++index[i] < dim[i]) return true;
        index[i] = 0;
    }
    return false;
}
