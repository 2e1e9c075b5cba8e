/* filter.c: NonZero and Compress: what is kept, and where it was. Both are a running count, which
 * says where each kept element goes, and a scatter of places; how many there are is a symbol. */
#include <string.h>

#include "ir/ops/ops_common.h"

/* ---- NonZero, Compress: a running count of what is kept, then a scatter of places ---- */

/* 1 where element p (flat) of operand 0 is kept, as an i64 expression. */
static const Sx *kept_sx(Build *b, const Value *v, const Sx *p)
{
    SxTable *t = b->sx;
    const Sx *x = sx_compute(b, sx_load_flat(t, v->type.dtype, 0, p, NULL));

    if (x->dtype != DT_BOOL) x = sx_ne(t, x, sx_const(t, x->dtype, 0));
    return sx_cast(t, x, DT_I64);
}

/* How many of the first `limit` elements of v are kept, as a symbol. */
static Dim kept_count(Build *b, Value *v, Dim limit)
{
    Acc acc = {.monoid = MONOID_SUM, .dtype = DT_I64, .body = kept_sx(b, v, sx_index(b->sx, 0))};
    Value *sum =
        build_reduce(b, "count", 1, &v, 0, NULL, 1, &limit, ORDER_CHAIN, acc, DT_I64, NULL);

    return build_bind(b, sum, 0, "kept", 0, limit->hi);
}

static bool kept_element(const Tensor *t, int64_t i)
{
    const StringRef *s;

    if (t->dtype == DT_STRING) {
        s = tensor_at(t, i);
        return s->n != 0;
    }
    if (dtype_kind(t->dtype) == KIND_COMPLEX) {
        DType part = t->dtype == DT_C64 ? DT_F32 : DT_F64;
        const char *at = tensor_at(t, i);
        return dtype_load_double(part, at) != 0 ||
               dtype_load_double(part, at + dtype_bytes(part)) != 0;
    }
    return dtype_is_float(t->dtype) ? tensor_double(t, i) != 0 : tensor_int(t, i) != 0;
}

static Dim kept_of_data(Infer *cx, const Tensor *t, int64_t limit)
{
    int64_t count = 0;

    for (int64_t i = 0; i < limit && i < t->count; i++)
        count += kept_element(t, i);
    return dim_const(&cx->module->dims, count);
}

/* Flat places of the kept elements among the first `limit` of v: i64[count]. */
static Value *kept_places(Build *b, Value *v, Dim limit, Dim count)
{
    SxTable *t = b->sx;
    const Sx *p = sx_index(t, 0), *place, *zero = sx_i64(b, 0);
    Acc acc = {.monoid = MONOID_SUM, .dtype = DT_I64, .body = kept_sx(b, v, p)};
    StageOut running = {.dtype = DT_I64, .value = sx_acc(t, 0, DT_I64)};
    Stage scan = {.rank = 1,
                  .extent = &limit,
                  .order = ORDER_CHAIN,
                  .n_acc = 1,
                  .acc = &acc,
                  .scan_axis = 0,
                  .n_out = 1,
                  .out = &running};
    Node *sums = build_stage(b, "running count", 1, &v, &scan, 1, NULL);
    Value *blank = build_map(b, "fill", 0, NULL, DT_I64, 1, &count, zero), *in[3];
    Type type = type_tensor(DT_I64, 1, &count);

    if (!sums || !blank) return NULL;
    in[0] = v;
    in[1] = sums->out[0];
    in[2] = blank;
    place = sx_sub(t, sx_load(t, DT_I64, 1, 1, &p, NULL), sx_i64(b, 1));
    StageOut o = {.dtype = DT_I64,
                  .value = p,
                  .n_dst = 1,
                  .dst = &place,
                  .init = 2,
                  .dst_guard = sx_and(t, sx_ne(t, kept_sx(b, v, p), zero),
                                      sx_lt(t, place, sx_dim(t, count)))};
    Stage s = {.rank = 1, .extent = &limit, .scan_axis = -1, .n_out = 1, .out = &o};
    Node *places = build_stage(b, "places", 3, in, &s, 1, &type);
    return places ? places->out[0] : NULL;
}

static Status infer_non_zero(Infer *cx, Node *n)
{
    Value *v = n->in[0];
    Dim dims[2], total;

    TRY(infer_ranked(cx, n, 0));
    total = type_count(&cx->module->dims, &v->type);
    dims[0] = dim_const(&cx->module->dims, v->type.rank);
    if (v->data)
        dims[1] = kept_of_data(cx, v->data, v->data->count);
    else if (T_PLAIN & DT_BIT(v->type.dtype))
        dims[1] = kept_count(cx->build, v, total);
    else
        return op_unsupported(n, cx->diag, "NonZero of %s", dtype_text(v->type.dtype));
    infer_out(cx, n, 0, DT_I64, 2, dims);
    return cx->build->status;
}

static Status eval_non_zero(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    const Tensor *x = in[0];
    int64_t dims[2] = {x->rank, 0}, index[MAX_RANK] = {0}, k = 0;

    for (int64_t i = 0; i < x->count; i++)
        dims[1] += kept_element(x, i);
    TRY(eval_out(cx, n, &out[0], DT_I64, 2, dims));
    for (int64_t i = 0; i < x->count; i++, eval_next(x->rank, x->dim, index)) {
        if (!kept_element(x, i)) continue;
        for (int r = 0; r < x->rank; r++)
            tensor_set_int(out[0], r * dims[1] + k, index[r]);
        k++;
    }
    return OK;
}

static Status lower_non_zero(Build *b, const Node *n, Value **out)
{
    const Type *x = in_type(n, 0), *to = &n->out[0]->type;
    SxTable *t = b->sx;
    Dim total = type_count(b->dims, x), stride = dim_const(b->dims, 1);
    const Sx *flat, *e = sx_i64(b, 0);
    Value *places;

    if (x->rank == 0) { /* [0, count]: nothing in it */
        out[0] = build_map(b, "fill", 0, NULL, DT_I64, 2, to->dim, sx_i64(b, 0));
        return b->status;
    }
    places = kept_places(b, n->in[0], total, to->dim[1]);
    if (!places) return b->status;
    flat = sx_load(t, DT_I64, 0, 1, (const Sx *[]){sx_index(t, 1)}, NULL);
    for (int r = x->rank - 1; r >= 0; r--) {
        const Sx *own = sx_div(t, flat, sx_dim(t, stride));
        if (r > 0) own = sx_rem(t, own, sx_dim(t, x->dim[r]));
        e = r == x->rank - 1 ? own : sx_select(t, sx_eq(t, sx_index(t, 0), sx_i64(b, r)), own, e);
        stride = dim_mul(b->dims, stride, x->dim[r]);
    }
    out[0] = build_map(b, "nonzero", 1, &places, DT_I64, 2, to->dim, e);
    return b->status;
}

/* Without an axis: of the flattened input. */
static Status compress_axis(const Node *n, Diag *d, int rank, int *axis)
{
    *axis = -1;
    if (!attr_find(n, "axis")) return OK;
    return infer_axis(n, d, "axis", attr_int(n, "axis", 0), rank, axis);
}

/* How many elements of the condition count: it may be shorter than the axis. */
static Dim compress_limit(DimTable *t, const Node *n, int axis)
{
    Dim extent = axis < 0 ? type_count(t, in_type(n, 0)) : in_type(n, 0)->dim[axis];

    return dim_min(t, extent, in_type(n, 1)->dim[0]);
}

static Status infer_compress(Infer *cx, Node *n)
{
    const Type *x = in_type(n, 0);
    Dim dims[MAX_RANK], count, limit;
    int axis;

    TRY(infer_ranked(cx, n, 0));
    TRY(infer_ranked(cx, n, 1));
    if (in_type(n, 1)->rank != 1)
        return op_error(n, cx->diag, "condition", "Compress: rank %d, expected 1",
                        in_type(n, 1)->rank);
    TRY(compress_axis(n, cx->diag, x->rank, &axis));
    limit = compress_limit(&cx->module->dims, n, axis);
    count = n->in[1]->data && dim_is_const(limit) ? kept_of_data(cx, n->in[1]->data, limit->value)
                                                  : kept_count(cx->build, n->in[1], limit);
    for (int i = 0; i < x->rank; i++)
        dims[i] = i == axis ? count : x->dim[i];
    if (axis < 0) dims[0] = count;
    infer_out(cx, n, 0, x->dtype, axis < 0 ? 1 : x->rank, dims);
    return cx->build->status;
}

static Status eval_compress(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    const Tensor *x = in[0];
    int64_t dims[MAX_RANK], outer = 1, inner = 1, extent, count = 0, o = 0;
    int axis;

    TRY(compress_axis(n, cx->diag, x->rank, &axis));
    extent = axis < 0 ? x->count : x->dim[axis];
    if (extent > in[1]->count) extent = in[1]->count;
    for (int64_t i = 0; i < extent; i++)
        count += tensor_int(in[1], i);
    for (int i = 0; i < x->rank && axis >= 0; i++) {
        dims[i] = i == axis ? count : x->dim[i];
        if (i < axis) outer *= x->dim[i];
        if (i > axis) inner *= x->dim[i];
    }
    if (axis < 0) dims[0] = count;
    TRY(eval_out(cx, n, &out[0], x->dtype, axis < 0 ? 1 : x->rank, dims));
    for (int64_t a = 0; a < outer; a++)
        for (int64_t i = 0; i < extent; i++)
            for (int64_t c = 0; c < inner && tensor_int(in[1], i); c++)
                eval_copy_element(out[0], o++, x,
                                  (a * (axis < 0 ? 0 : x->dim[axis]) + i) * inner + c);
    return OK;
}

static Status lower_compress(Build *b, const Node *n, Value **out)
{
    const Type *to = &n->out[0]->type;
    Value *x = n->in[0], *places;
    Dim total = type_count(b->dims, in_type(n, 0)), limit;
    int axis;
    Attr along;

    TRY(lower_movable(b, n, to->dtype));
    TRY(compress_axis(n, b->diag, in_type(n, 0)->rank, &axis));
    limit = compress_limit(b->dims, n, axis);
    places = kept_places(b, n->in[1], limit, to->dim[axis < 0 ? 0 : axis]);
    if (axis < 0) x = build_reshape(b, x, 1, &total);
    along = attr_of_int("axis", axis < 0 ? 0 : axis);
    out[0] = build_op(b, "Gather", 2, (Value *[]){x, places}, 1, &along);
    return b->status;
}

/* ---- the table ---- */

#define T_INDEX (DT_BIT(DT_I32) | DT_BIT(DT_I64))
#define PORT(n, set)                                                                               \
    {                                                                                              \
        .name = n, .types = set                                                                    \
    }
#define PORT_T(n, set)                                                                             \
    {                                                                                              \
        .name = n, .types = set, .var = "T"                                                        \
    }
#define IN(...)                                                                                    \
    .in = (const PortDef[])                                                                        \
    {                                                                                              \
        __VA_ARGS__,                                                                               \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }
#define OUT(...)                                                                                   \
    .out = (const PortDef[])                                                                       \
    {                                                                                              \
        __VA_ARGS__,                                                                               \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }
#define ATTRS(...)                                                                                 \
    .attr = (const AttrDef[])                                                                      \
    {                                                                                              \
        __VA_ARGS__,                                                                               \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }
#define ROW(f) .infer = infer_##f, .eval = eval_##f, .lower = lower_##f, .traits = OP_PURE

const OpDef filter_ops[] = {
    {.name = "NonZero",
     .since = 13,
     .about = "indices of what is not zero",
     IN(PORT("X", T_ANY)),
     OUT(PORT("Y", DT_BIT(DT_I64))),
     ROW(non_zero)},
    {.name = "Compress",
     .since = 28,
     .about = "slices where a condition holds",
     IN(PORT_T("input", T_ANY), PORT("condition", T_BOOL)),
     .out = OUT_T("output"),
     ATTRS(ATTR_OPT("axis", ATTR_INT)),
     ROW(compress)},
    {0},
};
