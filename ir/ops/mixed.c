/* mixed.c: elementwise operators whose operands differ in role or dtype: Where, Clip, Pow. */
#include "ir/mathd.h"
#include "ir/ops/derive.h"
#include "ir/ops/ops_common.h"

/* ---- Where ---- */

static Dim fold_where(DimTable *t, const Node *n, const Dim *x)
{
    (void)t;
    (void)n;
    if (x[1] == x[2] || dim_is(x[0], 1)) return x[1];
    return dim_is(x[0], 0) ? x[2] : NULL;
}

static Status infer_where(Infer *cx, Node *n)
{
    return infer_fold(cx, n, in_type(n, 1)->dtype, fold_where);
}

static Status eval_where(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    int64_t index[MAX_RANK] = {0};
    Tensor *r;

    TRY(eval_broadcast(cx, n, 3, in, in[1]->dtype, &r));
    for (int64_t o = 0; o < r->count; o++, eval_next(r->rank, r->dim, index)) {
        const Tensor *from = in[tensor_int(in[0], eval_offset(in[0], r->rank, index)) ? 1 : 2];
        eval_copy_element(r, o, from, eval_offset(from, r->rank, index));
    }
    out[0] = r;
    return OK;
}

/* Number of the element of v that broadcasts to the domain point. */
static const Sx *flat_operand(Build *b, const Value *v, int rank)
{
    const Sx *at = sx_i64(b, 0);

    for (int i = 0; i < v->type.rank; i++) {
        const Sx *d = sx_dim(b->sx, v->type.dim[i]), *k = sx_index(b->sx, i + rank - v->type.rank);
        k = sx_select(b->sx, sx_eq(b->sx, d, sx_i64(b, 1)), sx_i64(b, 0), k);
        at = sx_add(b->sx, sx_mul(b->sx, at, d), k);
    }
    return at;
}

/* Strings and complex numbers can only be moved: one load from both, one after the other. */
static Status lower_where_moved(Build *b, const Node *n, Value **out)
{
    const Type *type = &n->out[0]->type;
    SxTable *t = b->sx;
    Dim count[2] = {type_count(b->dims, in_type(n, 1)), type_count(b->dims, in_type(n, 2))};
    Value *flat[2] = {build_reshape(b, n->in[1], 1, &count[0]),
                      build_reshape(b, n->in[2], 1, &count[1])};
    Value *in[2] = {n->in[0], build_concat(b, 2, flat, 0)};
    const Sx *at;

    if (b->status != OK) return b->status;
    at = sx_select(t, sx_operand(b, 0, in[0], type->rank, type->dim),
                   flat_operand(b, n->in[1], type->rank),
                   sx_add(t, flat_operand(b, n->in[2], type->rank), sx_dim(t, count[0])));
    out[0] = build_map(b, "where", 2, in, type->dtype, type->rank, type->dim,
                       sx_load_flat(t, type->dtype, 1, at, NULL));
    return b->status;
}

static Status lower_where(Build *b, const Node *n, Value **out)
{
    const Type *type = &n->out[0]->type;
    const Sx *x[3];

    TRY(lower_movable(b, n, type->dtype));
    if (!(T_PLAIN & DT_BIT(type->dtype))) return lower_where_moved(b, n, out);
    for (int k = 0; k < 3; k++)
        x[k] = sx_operand(b, k, n->in[k], type->rank, type->dim);
    out[0] = build_map(b, "where", 3, n->in, type->dtype, type->rank, type->dim,
                       sx_select(b->sx, x[0], x[1], x[2]));
    return b->status;
}

/* ---- Clip: min(max(x, low), high), the bounds scalars or left out ---- */

static Status infer_clip(Infer *cx, Node *n)
{
    int low_count = 1, high_count = 1, count;
    const Dim *x, *low = NULL, *high = NULL;

    infer_same(cx, n, 0, 0);
    for (int k = 1; k < n->n_in; k++) {
        if (!n->in[k]) continue;
        TRY(infer_ranked(cx, n, k));
        Dim d = type_count(&cx->module->dims, in_type(n, k));
        if (dim_is_const(d) && d->value != 1)
            return op_error(n, cx->diag, NULL, "Clip: bound %d must be a scalar, has %lld elements",
                            k, (long long)d->value);
    }
    x = contents_of(cx, n->in[0], &count);
    if (has_in(n, 1)) low = contents_of(cx, n->in[1], &low_count);
    if (has_in(n, 2)) high = contents_of(cx, n->in[2], &high_count);
    if (!x || (has_in(n, 1) && !low) || (has_in(n, 2) && !high)) return OK;
    Dim *result = ARENA_ARRAY(cx->module->arena, Dim, count);
    for (int i = 0; i < count; i++) {
        result[i] = low ? dim_max(&cx->module->dims, x[i], low[0]) : x[i];
        if (high) result[i] = dim_min(&cx->module->dims, result[i], high[0]);
    }
    infer_contents(cx, n, 0, count, result);
    return OK;
}

/* A bound that is NaN makes all NaN. */
static double clip_double(double x, const double *low, const double *high)
{
    if (low && (x < *low || *low != *low)) x = *low;
    if (high && (x > *high || *high != *high)) x = *high;
    return x;
}

static int64_t clip_int(int64_t x, const int64_t *low, const int64_t *high, DType t)
{
    bool wide = t == DT_U64;

    if (low && (wide ? (uint64_t)x < (uint64_t)*low : x < *low)) x = *low;
    if (high && (wide ? (uint64_t)x > (uint64_t)*high : x > *high)) x = *high;
    return x;
}

static Status eval_clip(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    double bound[2];
    int64_t ibound[2];
    const Tensor *t[2] = {n->n_in > 1 ? in[1] : NULL, n->n_in > 2 ? in[2] : NULL};
    DType d = in[0]->dtype;

    for (int k = 0; k < 2; k++) {
        if (!t[k]) continue;
        if (t[k]->count != 1)
            return op_error(n, cx->diag, NULL, "Clip: bound %d must be a scalar", k + 1);
        bound[k] = tensor_double(t[k], 0);
        ibound[k] = tensor_int(t[k], 0);
    }
    TRY(eval_out(cx, n, &out[0], d, in[0]->rank, in[0]->dim));
    for (int64_t i = 0; i < in[0]->count; i++)
        if (dtype_is_float(d))
            tensor_set_double(out[0], i,
                              clip_double(tensor_double(in[0], i), t[0] ? &bound[0] : NULL,
                                          t[1] ? &bound[1] : NULL));
        else
            tensor_set_int(out[0], i,
                           clip_int(tensor_int(in[0], i), t[0] ? &ibound[0] : NULL,
                                    t[1] ? &ibound[1] : NULL, d));
    return OK;
}

static Status lower_clip(Build *b, const Node *n, Value **out)
{
    const Type *type = &n->out[0]->type;
    Value *in[3] = {n->in[0]};
    int count = 1;
    const Sx *e = sx_compute(b, sx_operand(b, 0, n->in[0], type->rank, type->dim));

    for (int k = 1; k < n->n_in; k++) {
        const Sx *bound;
        if (!n->in[k]) continue;
        in[count] = n->in[k];
        build_require_one(b, n->in[k]);
        bound = sx_compute(b, sx_scalar(b, count++, n->in[k]));
        e = k == 1 ? sx_max(b->sx, e, bound) : sx_min(b->sx, e, bound);
    }
    out[0] = build_map(b, "clip", count, in, type->dtype, type->rank, type->dim,
                       sx_cast(b->sx, e, type->dtype));
    return b->status;
}

/* ---- Pow: the result has the dtype of the base ---- */

/* An integer base is raised in f64. What lies within rounding of an integer is that integer, the
 * rest is truncated: exact up to 2^53, as the common runtimes do. */
#define POW_NEAR  1e-9
#define F32_WHOLE 16777216.0 /* to where f32 holds every integer */

static Status infer_pow(Infer *cx, Node *n)
{
    return infer_fold(cx, n, DT_NONE, NULL);
}

static double pow_int(double x, double y)
{
    double p = mathd_pow(x, y), k = mathd_rint(p), away = p - k, size = k < 0 ? -k : k;

    return (away < 0 ? -away : away) <= POW_NEAR * size ? k : mathd_trunc(p);
}

static Status eval_pow(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    int64_t index[MAX_RANK] = {0};
    Tensor *r;
    bool ints = !dtype_is_float(in[0]->dtype), whole = !ints && dtype_is_int(in[1]->dtype);

    TRY(eval_broadcast(cx, n, 2, in, in[0]->dtype, &r));
    for (int64_t o = 0; o < r->count; o++, eval_next(r->rank, r->dim, index)) {
        int64_t at = eval_offset(in[1], r->rank, index);
        double x = tensor_double(in[0], eval_offset(in[0], r->rank, index));
        double y = tensor_double(in[1], at);
        if (whole) { /* the sign goes by the integer, which a double need not hold */
            double p = mathd_pow(__builtin_fabs(x), y);
            tensor_set_double(r, o, tensor_int(in[1], at) & 1 ? __builtin_copysign(p, x) : p);
        } else {
            tensor_set_double(r, o, ints ? pow_int(x, y) : mathd_pow(x, y));
        }
    }
    out[0] = r;
    return OK;
}

/* Small constant exponents without a logarithm; NULL for others. x of a float dtype. */
static const Sx *pow_constant(Build *b, const Node *n, const Sx *x)
{
    SxTable *t = b->sx;
    const Tensor *y = n->in[1]->data;
    double v;

    if (!y || y->count != 1) return NULL;
    v = tensor_double(y, 0);
    if (v == 1) return x;
    if (v == 2) return sx_mul(t, x, x);
    if (v == 3) return sx_mul(t, sx_mul(t, x, x), x);
    if (v == -1) return sx_div(t, sx_const_like(b, x, 1), x);
    if (v != 0.5) return NULL;
    /* Unlike the root, pow(-0, 1/2) is +0 and pow(-inf, 1/2) is inf. */
    return sx_select(t, sx_eq(t, x, sx_const_like(b, x, -__builtin_inf())),
                     sx_const_like(b, x, __builtin_inf()),
                     sx_add(t, sx_sqrt(t, x), sx_const_like(b, x, 0)));
}

/* Does f32 hold every exponent, so that it tells odd ones from even ones? */
static bool exponents_fit(const Value *y)
{
    if (dtype_is_float(y->type.dtype) || dtype_bits(y->type.dtype) < 32) return true;
    for (int64_t i = 0; y->data && i < y->data->count; i++) {
        double v = tensor_double(y->data, i);
        if (v > F32_WHOLE || v < -F32_WHOLE) return false;
    }
    return y->data != NULL;
}

/* Exponents beyond 2^24: the sign comes from the integer. */
static const Sx *pow_far(SxTable *t, const Sx *x, const Sx *y)
{
    const Sx *one = sx_const_int(t, y->dtype, 1), *p;

    p = sx_pow(t, sx_abs(t, x), sx_cast(t, y, x->dtype));
    return sx_select(t, sx_eq(t, sx_and(t, y, one), one), sx_copysign(t, p, x), p);
}

static const Sx *pow_int_sx(SxTable *t, const Sx *x, const Sx *y)
{
    const Sx *p = sx_pow(t, x, y), *k = sx_rint(t, p);
    const Sx *near = sx_le(t, sx_abs(t, sx_sub(t, p, k)),
                           sx_mul(t, sx_abs(t, k), sx_const(t, DT_F64, POW_NEAR)));
    return sx_select(t, near, k, p);
}

static Status lower_pow(Build *b, const Node *n, Value **out)
{
    const Type *type = &n->out[0]->type;
    SxTable *t = b->sx;
    const Sx *x = sx_compute(b, sx_operand(b, 0, n->in[0], type->rank, type->dim));
    const Sx *y = sx_operand(b, 1, n->in[1], type->rank, type->dim);
    const Sx *e = dtype_is_float(x->dtype) ? pow_constant(b, n, x) : NULL;
    int count = e ? 1 : 2;

    if (!e && dtype_is_float(x->dtype) && !exponents_fit(n->in[1]))
        e = pow_far(t, x, y);
    else if (!e && dtype_is_float(x->dtype))
        e = sx_pow(t, x, sx_cast(t, y, x->dtype));
    else if (!e)
        e = pow_int_sx(t, sx_cast(t, x, DT_F64), sx_cast(t, y, DT_F64));
    out[0] = build_map(b, "pow", count, n->in, type->dtype, type->rank, type->dim,
                       sx_cast(t, e, type->dtype));
    return b->status;
}

/* ---- the table ---- */

const OpDef mixed_ops[] = {
    {.name = "Where",
     .since = 16,
     .about = "x where the condition holds, else y",
     .in = (const PortDef[]){{.name = "condition", .types = T_BOOL},
                             {.name = "X", .types = T_ANY, .var = "T"},
                             {.name = "Y", .types = T_ANY, .var = "T"},
                             {0}},
     .out = OUT_T("output"),
     .infer = infer_where,
     .eval = eval_where,
     .derive = derive_where,
     .lower = lower_where,
     .traits = OP_PURE},
    {.name = "Clip",
     .since = 13,
     .about = "min(max(x, low), high)",
     .in = (const PortDef[]){{.name = "input", .types = T_NUMBER, .var = "T"},
                             {.name = "min", .types = T_NUMBER, .var = "T", .optional = true},
                             {.name = "max", .types = T_NUMBER, .var = "T", .optional = true},
                             {0}},
     .out = OUT_T("output"),
     .infer = infer_clip,
     .eval = eval_clip,
     .derive = derive_clip,
     .lower = lower_clip,
     .traits = OP_PURE | OP_IN_PLACE | OP_MONOTONE | OP_IDEMPOTENT},
    {.name = "Pow",
     .since = 15,
     .about = "x to the power of y",
     .in = (const PortDef[]){{.name = "X", .types = T_FLOAT | T_INT, .var = "T"},
                             {.name = "Y", .types = T_NUMBER},
                             {0}},
     .out = OUT_T("Z"),
     .infer = infer_pow,
     .eval = eval_pow,
     .derive = derive_pow,
     .lower = lower_pow,
     .traits = OP_PURE | OP_IN_PLACE},
    {0},
};
