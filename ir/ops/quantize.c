/* quantize.c: QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear.
 *
 * Scales are one for the tensor, one for each index of an axis, or one for each block of an axis
 * (scale of the input's rank). Arithmetic is in f32; a division of half precision is rounded to it
 * first, because the specification divides in the dtype of the scale. */
#include <math.h>
#include <string.h>

#include "ir/mathd.h"
#include "ir/ops/ops_common.h"

typedef enum Grain { PER_TENSOR, PER_AXIS, PER_BLOCK } Grain;

typedef struct Scaling {
    Grain grain;
    int axis;
    int64_t block;
} Scaling;

/* Which scale an element has, from ranks and attributes. one: the scale has one element. */
static Status scaling_of(const Node *n, Diag *d, int rank, int scale_rank, bool one, Scaling *s)
{
    int64_t axis = attr_int(n, "axis", 1);

    *s = (Scaling){.block = attr_int(n, "block_size", 0)};
    if (scale_rank == 0 || (one && s->block == 0 && scale_rank == 1)) return OK;
    if (s->block < 0)
        return op_error(n, d, "block_size", "%s: found %lld, expected 0 or more", n->op->name,
                        (long long)s->block);
    if (rank == 1 && s->block == 0) axis = 0;
    TRY(infer_axis(n, d, "axis", axis, rank, &s->axis));
    s->grain = s->block ? PER_BLOCK : PER_AXIS;
    if (scale_rank == (s->block ? rank : 1)) return OK;
    return op_error(n, d, "scale", "%s: a scale of rank %d for an input of rank %d", n->op->name,
                    scale_rank, rank);
}

static bool is_one(const Type *t)
{
    return t->rank == 0 || (t->rank == 1 && dim_is(t->dim[0], 1));
}

static Status check_scale_dim(Infer *cx, const Node *n, const Scaling *s, const Type *x,
                              const Type *scale)
{
    DimTable *t = &cx->module->dims;

    for (int i = 0; i < scale->rank && s->grain != PER_TENSOR; i++) {
        Dim want = s->grain == PER_AXIS ? x->dim[s->axis] : x->dim[i];
        if (s->grain == PER_BLOCK && i == s->axis)
            want = dim_ceil_div(t, want, dim_const(t, s->block));
        if (dim_distinct(t, scale->dim[i], want))
            return op_error(n, cx->diag, "scale", "%s: dim %d of the scale does not fit",
                            n->op->name, i);
    }
    return OK;
}

static Status infer_scaling(Infer *cx, Node *n, Scaling *s)
{
    const Type *x = in_type(n, 0), *scale = in_type(n, 1);

    TRY(infer_ranked(cx, n, 0));
    TRY(infer_ranked(cx, n, 1));
    TRY(scaling_of(n, cx->diag, x->rank, scale->rank, is_one(scale), s));
    TRY(check_scale_dim(cx, n, s, x, scale));
    if (!has_in(n, 2)) return OK;
    TRY(infer_ranked(cx, n, 2));
    if (in_type(n, 2)->rank != scale->rank && !(is_one(scale) && is_one(in_type(n, 2))))
        return op_error(n, cx->diag, "zero_point", "%s: not of the scale's rank", n->op->name);
    for (int i = 0; i < scale->rank && i < in_type(n, 2)->rank; i++)
        if (dim_distinct(&cx->module->dims, scale->dim[i], in_type(n, 2)->dim[i]))
            return op_error(n, cx->diag, "zero_point", "%s: not of the scale's dims", n->op->name);
    return OK;
}

/* Flat place of the scale of an element. */
static int64_t scale_place(const Scaling *s, const Tensor *scale, const int64_t *index)
{
    int64_t at = 0;

    if (s->grain == PER_TENSOR) return 0;
    if (s->grain == PER_AXIS) return index[s->axis];
    for (int i = 0; i < scale->rank; i++)
        at = at * scale->dim[i] + (i == s->axis ? index[i] / s->block : index[i]);
    return at;
}

static Status eval_scaling(const Node *n, Diag *d, const Tensor *const *in, Scaling *s)
{
    const Tensor *x = in[0], *scale = in[1];

    TRY(scaling_of(n, d, x->rank, scale->rank, scale->count == 1, s));
    for (int i = 0; i < scale->rank && s->grain != PER_TENSOR; i++) {
        int64_t want = s->grain == PER_AXIS ? x->dim[s->axis] : x->dim[i];
        if (s->grain == PER_BLOCK && i == s->axis) want = (want + s->block - 1) / s->block;
        if (scale->dim[i] != want)
            return op_error(n, d, "scale", "%s: dim %d is %lld, expected %lld", n->op->name, i,
                            (long long)scale->dim[i], (long long)want);
    }
    if (n->n_in > 2 && in[2] && in[2]->count != scale->count)
        return op_error(n, d, "zero_point", "%s: not of the scale's dims", n->op->name);
    return OK;
}

/* The scale or zero point of the domain's point. */
static const Sx *scale_sx(Build *b, int src, const Value *v, const Scaling *s)
{
    const Sx *idx[MAX_RANK];

    if (s->grain == PER_TENSOR) return sx_scalar(b, src, v);
    if (s->grain == PER_AXIS) return sx_at(b, src, v, (const Sx *[]){sx_index(b->sx, s->axis)});
    for (int i = 0; i < v->type.rank; i++)
        idx[i] = i == s->axis ? sx_div(b->sx, sx_index(b->sx, i), sx_i64(b, s->block))
                              : sx_index(b->sx, i);
    return sx_at(b, src, v, idx);
}

/* Equal dims where inference could not prove them. */
static void require_scale(Build *b, const Node *n, const Scaling *s, int input)
{
    const Type *x = in_type(n, 0), *t = in_type(n, input);

    if (s->grain == PER_TENSOR) build_require_one(b, n->in[input]);

    for (int i = 0; i < t->rank && s->grain != PER_TENSOR; i++) {
        Dim want = s->grain == PER_AXIS ? x->dim[s->axis] : x->dim[i];
        if (s->grain == PER_BLOCK && i == s->axis)
            want = dim_ceil_div(b->dims, want, dim_const(b->dims, s->block));
        build_require_equal(b, t->dim[i], want);
    }
}

/* ---- QuantizeLinear: saturate(round(x / scale) + zero point) ----
 *
 * NaN, as -infinity by a scale of infinity is (masks have it), becomes the least level, as in ONNX
 * Runtime on x86: the specification leaves it open. */

static const double below_all = -0x1p30; /* levels, wherever their zero point is */

#define T_QUANT                                                                                    \
    (DT_BIT(DT_I8) | DT_BIT(DT_U8) | DT_BIT(DT_I16) | DT_BIT(DT_U16) | T_INT_NARROW |              \
     (T_FLOAT_NARROW & ~DT_BIT(DT_F8E8M0)))

static DType quantize_dtype(const Node *n)
{
    if (has_in(n, 2)) return in_type(n, 2)->dtype;
    if (attr_int(n, "output_dtype", 0)) return dtype_from_onnx((int)attr_int(n, "output_dtype", 0));
    return DT_U8;
}

/* The dtype that the quotient is rounded to before anything else. */
static DType quotient_dtype(const Node *n)
{
    DType t = in_type(n, 1)->dtype;

    if (attr_int(n, "precision", 0)) t = dtype_from_onnx((int)attr_int(n, "precision", 0));
    return t == DT_F16 || t == DT_BF16 ? t : DT_F32;
}

static Status infer_quantize(Infer *cx, Node *n)
{
    DType t = quantize_dtype(n);
    Scaling s;

    TRY(infer_scaling(cx, n, &s));
    if (!(T_QUANT & DT_BIT(t)))
        return op_error(n, cx->diag, "output_dtype", "QuantizeLinear: %s is no quantised dtype",
                        dtype_text(t));
    if (has_in(n, 2) && attr_int(n, "output_dtype", 0) &&
        dtype_from_onnx((int)attr_int(n, "output_dtype", 0)) != t)
        return op_error(n, cx->diag, "output_dtype", "QuantizeLinear: the zero point is %s",
                        dtype_text(t));
    infer_out(cx, n, 0, t, in_type(n, 0)->rank, in_type(n, 0)->dim);
    return OK;
}

/* v rounded to t and back. */
static double rounded_to(DType t, double v)
{
    unsigned char bytes[8] = {0};

    dtype_store_double(t, bytes, v, false);
    return dtype_load_double(t, bytes);
}

static Status eval_quantize(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    const Tensor *x = in[0], *zero = n->n_in > 2 ? in[2] : NULL;
    DType t = quantize_dtype(n), q = quotient_dtype(n);
    bool saturate = attr_int(n, "saturate", 1) != 0;
    int64_t index[MAX_RANK] = {0};
    Scaling s;

    TRY(eval_scaling(n, cx->diag, in, &s));
    TRY(eval_out(cx, n, &out[0], t, x->rank, x->dim));
    for (int64_t i = 0; i < x->count; i++, eval_next(x->rank, x->dim, index)) {
        int64_t k = scale_place(&s, in[1], index);
        double v = (double)(float)((float)tensor_double(x, i) / (float)tensor_double(in[1], k));
        v = rounded_to(q, v);
        if (!dtype_is_float(t)) v = mathd_rint(isnan(v) ? below_all : v);
        if (zero) v += tensor_double(zero, k);
        dtype_store_double(t, tensor_at(out[0], i), v, saturate);
    }
    return OK;
}

const Sx *sx_level(Build *b, const Sx *v, const Sx *zero, DType t)
{
    if (dtype_is_signed(t)) { /* else it is 0, as NaN becomes */
        const Sx *least = sx_const(b->sx, DT_F32, below_all);
        v = sx_select(b->sx, sx_lt(b->sx, least, v), v, least);
    }
    v = sx_rint(b->sx, v);
    if (zero) v = sx_add(b->sx, v, sx_cast(b->sx, zero, DT_F32));
    return sx_cast(b->sx, v, t); /* saturating, NaN to 0 */
}

/* The level, or the float of a narrow dtype. */
static const Sx *quantize_sx(Build *b, const Sx *v, const Sx *zero, DType t, bool saturate)
{
    if (!dtype_is_float(t)) return sx_level(b, v, zero, t);
    if (zero) v = sx_add(b->sx, v, sx_cast(b->sx, zero, DT_F32));
    return sx_cast_to(b->sx, v, t, saturate);
}

static Status lower_quantize(Build *b, const Node *n, Value **out)
{
    const Type *to = &n->out[0]->type;
    SxTable *t = b->sx;
    const Sx *v, *zero = NULL;
    Value *in[3] = {n->in[0], n->in[1], has_in(n, 2) ? n->in[2] : NULL};
    Scaling s;

    TRY(scaling_of(n, b->diag, to->rank, in_type(n, 1)->rank, is_one(in_type(n, 1)), &s));
    require_scale(b, n, &s, 1);
    if (in[2]) require_scale(b, n, &s, 2);
    v = sx_cast(t, sx_operand(b, 0, in[0], to->rank, to->dim), DT_F32);
    v = sx_div(t, v, sx_cast(t, scale_sx(b, 1, in[1], &s), DT_F32));
    v = sx_cast(t, sx_cast(t, v, quotient_dtype(n)), DT_F32);
    if (in[2]) zero = scale_sx(b, 2, in[2], &s);
    out[0] = build_map(b, "quantize", in[2] ? 3 : 2, in, to->dtype, to->rank, to->dim,
                       quantize_sx(b, v, zero, to->dtype, attr_int(n, "saturate", 1) != 0));
    return b->status;
}

/* ---- DequantizeLinear: (x - zero point) * scale ---- */

static DType dequantize_dtype(const Node *n)
{
    DType t = in_type(n, 1)->dtype;

    if (attr_int(n, "output_dtype", 0)) return dtype_from_onnx((int)attr_int(n, "output_dtype", 0));
    return t == DT_F8E8M0 ? DT_F32 : t;
}

static Status infer_dequantize(Infer *cx, Node *n)
{
    Scaling s;

    TRY(infer_scaling(cx, n, &s));
    if (!(T_FLOAT & DT_BIT(dequantize_dtype(n))))
        return op_error(n, cx->diag, "output_dtype", "DequantizeLinear: %s is no float dtype",
                        dtype_text(dequantize_dtype(n)));
    infer_out(cx, n, 0, dequantize_dtype(n), in_type(n, 0)->rank, in_type(n, 0)->dim);
    return OK;
}

static Status eval_dequantize(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    const Tensor *x = in[0], *zero = n->n_in > 2 ? in[2] : NULL;
    int64_t index[MAX_RANK] = {0};
    Scaling s;

    TRY(eval_scaling(n, cx->diag, in, &s));
    TRY(eval_out(cx, n, &out[0], dequantize_dtype(n), x->rank, x->dim));
    for (int64_t i = 0; i < x->count; i++, eval_next(x->rank, x->dim, index)) {
        int64_t k = scale_place(&s, in[1], index);
        double v = tensor_double(x, i) - (zero ? tensor_double(zero, k) : 0);
        tensor_set_double(out[0], i, (double)(float)v * tensor_double(in[1], k));
    }
    return OK;
}

static Status lower_dequantize(Build *b, const Node *n, Value **out)
{
    const Type *to = &n->out[0]->type;
    DType from = in_type(n, 0)->dtype, wide = dtype_is_float(from) ? DT_F32 : DT_I32;
    SxTable *t = b->sx;
    const Sx *v;
    Value *in[3] = {n->in[0], n->in[1], has_in(n, 2) ? n->in[2] : NULL};
    Scaling s;

    TRY(scaling_of(n, b->diag, to->rank, in_type(n, 1)->rank, is_one(in_type(n, 1)), &s));
    require_scale(b, n, &s, 1);
    if (in[2]) require_scale(b, n, &s, 2);
    v = sx_cast(t, sx_operand(b, 0, in[0], to->rank, to->dim), wide);
    if (in[2]) v = sx_sub(t, v, sx_cast(t, scale_sx(b, 2, in[2], &s), wide));
    v = sx_mul(t, sx_cast(t, v, DT_F32), sx_cast(t, scale_sx(b, 1, in[1], &s), DT_F32));
    out[0] = build_map(b, "dequantize", in[2] ? 3 : 2, in, to->dtype, to->rank, to->dim,
                       sx_cast(t, v, to->dtype));
    return b->status;
}

/* ---- Requantize: what passes make of DequantizeLinear (from i32) and QuantizeLinear ---- */

static Status infer_requantize(Infer *cx, Node *n)
{
    Scaling s;

    TRY(infer_ranked(cx, n, 0));
    TRY(infer_ranked(cx, n, 1));
    TRY(scaling_of(n, cx->diag, in_type(n, 0)->rank, in_type(n, 1)->rank, is_one(in_type(n, 1)),
                   &s));
    TRY(check_scale_dim(cx, n, &s, in_type(n, 0), in_type(n, 1)));
    infer_out(cx, n, 0, in_type(n, 2)->dtype, in_type(n, 0)->rank, in_type(n, 0)->dim);
    return OK;
}

static Status eval_requantize(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    int64_t index[MAX_RANK] = {0};
    Scaling s;

    TRY(scaling_of(n, cx->diag, in[0]->rank, in[1]->rank, in[1]->count == 1, &s));
    if (s.grain == PER_AXIS && in[1]->count != in[0]->dim[s.axis])
        return op_error(n, cx->diag, "factor", "Requantize: %lld factors for %lld indices",
                        (long long)in[1]->count, (long long)in[0]->dim[s.axis]);
    TRY(eval_out(cx, n, &out[0], in[2]->dtype, in[0]->rank, in[0]->dim));
    for (int64_t i = 0; i < in[0]->count; i++, eval_next(in[0]->rank, in[0]->dim, index)) {
        float factor = (float)tensor_double(in[1], scale_place(&s, in[1], index));
        double v = (double)((float)tensor_int(in[0], i) * factor);
        v = mathd_rint(isnan(v) ? below_all : v);
        tensor_set_double(out[0], i, v + tensor_double(in[2], 0));
    }
    return OK;
}

static Status lower_requantize(Build *b, const Node *n, Value **out)
{
    const Type *to = &n->out[0]->type;
    SxTable *t = b->sx;
    const Sx *v;
    Scaling s;

    TRY(scaling_of(n, b->diag, to->rank, in_type(n, 1)->rank, is_one(in_type(n, 1)), &s));
    require_scale(b, n, &s, 1);
    build_require_one(b, n->in[2]);
    v = sx_cast(t, sx_operand(b, 0, n->in[0], to->rank, to->dim), DT_F32);
    v = sx_mul(t, v, scale_sx(b, 1, n->in[1], &s));
    out[0] = build_map(b, "requantise", 3, n->in, to->dtype, to->rank, to->dim,
                       quantize_sx(b, v, sx_scalar(b, 2, n->in[2]), to->dtype, true));
    return b->status;
}

/* ---- DynamicQuantizeLinear: to u8, with the range of the data and 0 ---- */

static Status infer_dynamic(Infer *cx, Node *n)
{
    TRY(infer_ranked(cx, n, 0));
    infer_out(cx, n, 0, DT_U8, in_type(n, 0)->rank, in_type(n, 0)->dim);
    infer_out(cx, n, 1, DT_F32, 0, NULL);
    infer_out(cx, n, 2, DT_U8, 0, NULL);
    return OK;
}

static float f32_clamp(float v, float low, float high)
{
    return v < low ? low : v > high ? high : v;
}

static Status eval_dynamic(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    const Tensor *x = in[0];
    float low = 0, high = 0, scale, zero;

    for (int64_t i = 0; i < x->count; i++) {
        float v = (float)tensor_double(x, i);
        if (v < low) low = v;
        if (v > high) high = v;
    }
    scale = (high - low) / 255;
    if (!(scale > 0)) scale = 1; /* nothing but zeros, and their like */
    zero = (float)mathd_rint((double)f32_clamp(0 - low / scale, 0, 255));
    TRY(eval_out(cx, n, &out[0], DT_U8, x->rank, x->dim));
    TRY(eval_out(cx, n, &out[1], DT_F32, 0, NULL));
    TRY(eval_out(cx, n, &out[2], DT_U8, 0, NULL));
    tensor_set_double(out[1], 0, (double)scale);
    tensor_set_double(out[2], 0, (double)zero);
    for (int64_t i = 0; i < x->count; i++)
        tensor_set_double(out[0], i,
                          mathd_rint((double)((float)tensor_double(x, i) / scale)) + (double)zero);
    return OK;
}

/* Scale and zero point, from the least and greatest of all of x and 0: one pass over x. Of nothing
 * but zeros the formula makes a scale of 0, by which nobody can divide: 1 instead, as runtimes do.
 */
static Node *dynamic_range(Build *b, Value *x)
{
    SxTable *t = b->sx;
    Dim count = type_count(b->dims, &x->type);
    const Sx *body = sx_load_flat(t, DT_F32, 0, sx_index(t, 0), NULL);
    const Sx *none = sx_const(t, DT_F32, 0), *top = sx_const(t, DT_F32, 255);
    const Sx *low = sx_min(t, sx_acc(t, 0, DT_F32), none);
    const Sx *high = sx_max(t, sx_acc(t, 1, DT_F32), none);
    const Sx *range = sx_div(t, sx_sub(t, high, low), top);
    const Sx *scale = sx_select(t, sx_lt(t, none, range), range, sx_const(t, DT_F32, 1));
    const Sx *zero = sx_sub(t, none, sx_div(t, low, scale));
    Acc acc[] = {{.monoid = MONOID_MIN, .dtype = DT_F32, .body = body},
                 {.monoid = MONOID_MAX, .dtype = DT_F32, .body = body}};
    StageOut out[] = {{.dtype = DT_F32, .value = scale, .result = 0},
                      {.dtype = DT_U8, .result = 1}};
    Stage s = {.n_reduce = 1,
               .reduce = &count,
               .order = ORDER_LANES64,
               .n_acc = 2,
               .acc = acc,
               .scan_axis = -1,
               .n_out = 2,
               .out = out};

    out[1].value = sx_cast(t, sx_rint(t, sx_min(t, sx_max(t, zero, none), top)), DT_U8);
    return build_stage(b, "range", 1, &x, &s, 2, NULL);
}

static Status lower_dynamic(Build *b, const Node *n, Value **out)
{
    const Type *x = in_type(n, 0);
    SxTable *t = b->sx;
    Node *range = dynamic_range(b, n->in[0]);
    Value *in[3];
    const Sx *e;

    if (!range) return b->status;
    in[0] = n->in[0];
    in[1] = range->out[0];
    in[2] = range->out[1];
    e = sx_div(t, sx_operand(b, 0, in[0], x->rank, x->dim), sx_scalar(b, 1, in[1]));
    out[0] = build_map(b, "quantize", 3, in, DT_U8, x->rank, x->dim,
                       quantize_sx(b, e, sx_scalar(b, 2, in[2]), DT_U8, true));
    if (has_out(n, 1)) out[1] = in[1];
    if (has_out(n, 2)) out[2] = in[2];
    return b->status;
}

/* ---- the table ---- */

#define T_SCALE                                                                                    \
    (DT_BIT(DT_F32) | DT_BIT(DT_F16) | DT_BIT(DT_BF16) | DT_BIT(DT_I32) | DT_BIT(DT_F8E8M0))
#define PORT(n, set)                                                                               \
    {                                                                                              \
        .name = n, .types = set                                                                    \
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

const OpDef quantize_ops[] = {
    {.name = "QuantizeLinear",
     .since = 28,
     .about = "saturate(round(x / scale) + zero point)",
     IN(PORT("x", T_SCALE & ~DT_BIT(DT_F8E8M0)), PORT("y_scale", T_SCALE),
        {.name = "y_zero_point", .types = T_QUANT, .optional = true}),
     OUT(PORT("y", T_QUANT)),
     ATTRS(ATTR_I("axis", 1), ATTR_I("saturate", 1), ATTR_I("block_size", 0),
           ATTR_I("output_dtype", 0), ATTR_I("precision", 0)),
     .role = QUANT_QUANTISE,
     ROW(quantize)},
    {.name = "DequantizeLinear",
     .since = 28,
     .about = "(x - zero point) * scale",
     IN({.name = "x", .types = T_QUANT | DT_BIT(DT_I32), .var = "T1"},
        PORT("x_scale", T_SCALE & ~DT_BIT(DT_I32)),
        {.name = "x_zero_point", .types = T_QUANT | DT_BIT(DT_I32), .var = "T1", .optional = true}),
     OUT(PORT("y", T_FLOAT)),
     ATTRS(ATTR_I("axis", 1), ATTR_I("block_size", 0), ATTR_I("output_dtype", 0)),
     .role = QUANT_DEQUANTISE,
     ROW(dequantize)},
    {.name = "Requantize",
     .domain = "ingot",
     .since = 1,
     .about = "saturate(round(f32(x) * factor) + zero point): a sum of products to 8 bits",
     IN(PORT("x", DT_BIT(DT_I32)), PORT("factor", DT_BIT(DT_F32)),
        PORT("zero_point", DT_BIT(DT_U8) | DT_BIT(DT_I8))),
     OUT(PORT("y", DT_BIT(DT_U8) | DT_BIT(DT_I8))),
     ATTRS(ATTR_I("axis", 1)),
     ROW(requantize)},
    {.name = "DynamicQuantizeLinear",
     .since = 11,
     .about = "to u8, by the range of the data",
     IN(PORT("x", DT_BIT(DT_F32))),
     OUT(PORT("y", DT_BIT(DT_U8)), PORT("y_scale", DT_BIT(DT_F32)),
         PORT("y_zero_point", DT_BIT(DT_U8))),
     ROW(dynamic)},
    {0},
};
