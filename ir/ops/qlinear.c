/* qlinear.c: operators on quantised tensors that bring their scales along: QLinearConv,
 * QLinearMatMul, and the elementwise and pooling ones of com.microsoft.
 *
 * Contractions and means of planes sum in i32 and are requantised by
 * rint(f32(sum) * (sx * sw / sy)) + zero point, saturating, in f32. Sums, products and pools add
 * the zero point before they round: what lies halfway goes where ONNX Runtime on x86 puts it, which
 * is the only definition that com.microsoft has. The others are their float operator between
 * DequantizeLinear and QuantizeLinear. */
#include <string.h>

#include "ir/ops/compose.h"
#include "ir/ops/ops_common.h"

#define T_SCALE (DT_BIT(DT_F32) | DT_BIT(DT_F16) | DT_BIT(DT_BF16))

static const char *const window_attrs[] = {"auto_pad", "dilations", "group", "kernel_shape",
                                           "pads",     "strides",   NULL};

static const Sx *f32(Build *b, const Sx *v)
{
    return sx_cast(b->sx, v, DT_F32);
}

/* The level of a sum of products, by the scales of x, w and y. */
static const Sx *requantise(Build *b, const Sx *sum, const Sx *sx, const Sx *sw, const Sx *sy,
                            const Sx *zero, DType type)
{
    const Sx *factor = sx_div(b->sx, sx_mul(b->sx, sx, sw), sy);

    return sx_level(b, sx_mul(b->sx, f32(b, sum), factor), zero, type);
}

/* A scale of one element, or one for each index along axis `at`; as f32. */
static const Sx *scale_along(Build *b, int src, const Value *v, int at)
{
    const Sx *i = sx_index(b->sx, at);
    bool one = v->type.rank == 0 || dim_is(type_count(b->dims, &v->type), 1);

    return sx_cast(b->sx, one ? sx_scalar(b, src, v) : sx_at(b, src, v, &i), DT_F32);
}

static const Sx *scale_one(Build *b, int src, const Value *v)
{
    return sx_cast(b->sx, sx_scalar(b, src, v), DT_F32);
}

/* ---- QLinearConv ---- */

static Status check_vector(const Node *n, Diag *d, int k)
{
    if (!has_in(n, k) || in_type(n, k)->rank <= 1) return OK;
    return op_error(n, d, n->op->in[k].name, "%s: rank %d, expected a scalar or a vector",
                    n->op->name, in_type(n, k)->rank);
}

static Status lower_conv(Build *b, const Node *n, Value **out)
{
    Value *conv[4] = {n->in[0], n->in[3], in_value(n, 2), in_value(n, 5)}, *in[6], *sum;
    DType type = in_type(n, 7)->dtype;
    const Sx *acc;
    int rank, count = 5;

    for (int k = 1; k < 9; k++)
        if (k != 3) TRY(check_vector(n, b->diag, k));
    sum = make_like(b, n, "ConvInteger", 4, conv, window_attrs);
    if (!sum) return b->status;
    rank = sum->type.rank;
    in[0] = sum;
    in[1] = n->in[1];
    in[2] = n->in[4];
    in[3] = n->in[6];
    in[4] = n->in[7];
    acc = sx_operand(b, 0, sum, rank, sum->type.dim);
    if (has_in(n, 8)) {
        const Sx *channel = sx_index(b->sx, 1);
        in[count] = n->in[8];
        if (in_type(n, 8)->rank != 1)
            return op_error(n, b->diag, "B", "QLinearConv: rank %d, expected 1",
                            in_type(n, 8)->rank);
        build_require_equal(b, in_type(n, 8)->dim[0], sum->type.dim[1]);
        acc = sx_add(b->sx, acc, sx_at(b, count++, n->in[8], &channel));
    }
    acc = requantise(b, acc, scale_one(b, 1, in[1]), scale_along(b, 2, in[2], 1),
                     scale_one(b, 3, in[3]), sx_scalar(b, 4, in[4]), type);
    out[0] = build_map(b, "requantise", count, in, type, rank, sum->type.dim, acc);
    return b->status;
}

/* ---- QLinearMatMul ---- */

/* Of rank 0 and 1: for row (a) or column (b); of higher rank: broadcast. */
static const Sx *matmul_scale(Build *b, int src, const Value *v, const Type *y, int axis)
{
    if (v->type.rank <= 1 && axis >= 0) return scale_along(b, src, v, axis);
    if (dim_is(type_count(b->dims, &v->type), 1)) return scale_one(b, src, v);
    return sx_cast(b->sx, sx_operand(b, src, v, y->rank, y->dim), DT_F32);
}

static Status lower_matmul(Build *b, const Node *n, Value **out)
{
    Value *product[4] = {n->in[0], n->in[3], n->in[2], n->in[5]}, *in[5];
    DType type = in_type(n, 7)->dtype;
    bool vector = in_type(n, 3)->rank == 1;
    const Sx *acc, *sa, *sb;
    const Type *y;

    in[0] = build_op(b, "MatMulInteger", 4, product, 0, NULL);
    if (!in[0]) return b->status;
    in[1] = n->in[1];
    in[2] = n->in[4];
    in[3] = n->in[6];
    in[4] = n->in[7];
    y = &in[0]->type;
    for (int k = 1; k < 3; k++)
        if (in[k]->type.rank > y->rank)
            return op_error(n, b->diag, n->op->in[3 * k - 2].name,
                            "QLinearMatMul: rank %d, more than the result's", in[k]->type.rank);
    acc = sx_operand(b, 0, in[0], y->rank, y->dim);
    sa = matmul_scale(b, 1, in[1], y, vector ? y->rank - 1 : y->rank - 2);
    sb = matmul_scale(b, 2, in[2], y, vector ? -1 : y->rank - 1);
    acc = requantise(b, acc, sa, sb, scale_one(b, 3, in[3]), sx_scalar(b, 4, in[4]), type);
    out[0] = build_map(b, "requantise", 5, in, type, y->rank, y->dim, acc);
    return b->status;
}

/* ---- the others: a float operator between the two conversions ---- */

/* Inputs at, at+1, at+2: tensor, scale, zero point. */
static Value *dequantised(Build *b, const Node *n, int at)
{
    return build_op(b, "DequantizeLinear", 3,
                    (Value *[]){n->in[at], n->in[at + 1], in_value(n, at + 2)}, 0, NULL);
}

/* Without a zero point: 0 of the dtype of the first operand. */
static Value *quantised(Build *b, const Node *n, Value *v, int scale)
{
    Value *zero = in_value(n, scale + 1);

    if (!zero && v) zero = build_scalar(b, in_type(n, 0)->dtype, 0);
    return build_op(b, "QuantizeLinear", 3, (Value *[]){v, n->in[scale], zero}, 0, NULL);
}

/* ---- sums and products: a kernel of their own ---- */

static Status infer_binary(Infer *cx, Node *n)
{
    const Type *types[2] = {in_type(n, 0), in_type(n, 3)};
    Dim dims[MAX_RANK];
    int rank;

    TRY(infer_broadcast_dims(cx, n, 2, types, &rank, dims));
    infer_out(cx, n, 0, types[0]->dtype, rank, dims);
    return OK;
}

/* Inputs a, sa, za, b, sb, zb, sc, zc of the point, as f32; a zero point that is left out is 0. */
typedef struct Terms {
    const Sx *at[8];
    Value *in[8];
    int count;
} Terms;

static Terms terms_of(Build *b, const Node *n)
{
    const Type *y = &n->out[0]->type;
    Terms t = {0};

    for (int k = 0; k < 8; k++) {
        Value *v = in_value(n, k);
        bool tensor = k == 0 || k == 3;
        t.at[k] = !v       ? sx_const(b->sx, DT_F32, 0)
                  : tensor ? f32(b, sx_operand(b, t.count, v, y->rank, y->dim))
                           : scale_one(b, t.count, v);
        if (v) t.in[t.count++] = v;
    }
    return t;
}

static Status map_of(Build *b, const Node *n, const char *label, const Terms *terms, const Sx *v,
                     Value **out)
{
    const Type *y = &n->out[0]->type;

    out[0] = build_map(b, label, terms->count, terms->in, y->dtype, y->rank, y->dim,
                       sx_level(b, v, NULL, y->dtype));
    return b->status;
}

/* a * ra + (b * rb + (zc - (za * ra + zb * rb))), r being the scales over that of C; fused as
 * there, to the same bytes. */
static Status lower_add(Build *b, const Node *n, Value **out)
{
    SxTable *t = b->sx;
    Terms terms = terms_of(b, n);
    const Sx *const *x = terms.at;
    const Sx *ra = sx_div(t, x[1], x[6]), *rb = sx_div(t, x[4], x[6]);
    const Sx *zeros = sx_fma(t, ra, x[2], sx_mul(t, rb, x[5]));

    return map_of(b, n, "qlinear_add", &terms,
                  sx_fma(t, x[0], ra, sx_fma(t, x[3], rb, sx_sub(t, x[7], zeros))), out);
}

/* (a - za) * (b - zb) * (sa * sb / sc) + zc, of which the first product is exact. */
static Status lower_mul(Build *b, const Node *n, Value **out)
{
    SxTable *t = b->sx;
    Terms terms = terms_of(b, n);
    const Sx *const *x = terms.at;
    const Sx *product = sx_mul(t, sx_sub(t, x[0], x[2]), sx_sub(t, x[3], x[5]));
    const Sx *scale = sx_div(t, sx_mul(t, x[1], x[4]), x[6]);

    return map_of(b, n, "qlinear_mul", &terms, sx_add(t, sx_mul(t, product, scale), x[7]), out);
}

/* ---- pools ---- */

/* v / scale + zero point, then rounded. */
static Status lower_average(Build *b, const Node *n, Value **out)
{
    static const char *const attrs[] = {
        "auto_pad", "ceil_mode", "count_include_pad", "pads", "kernel_shape", "strides", NULL};
    bool last = attr_int(n, "channels_last", 0) != 0;
    Value *x = dequantised(b, n, 0), *in[3];
    const Sx *v;

    if (last) x = make_moved_channels(b, x, false);
    x = make_like(b, n, "AveragePool", 1, &x, attrs);
    if (last) x = make_moved_channels(b, x, true);
    if (!x) return b->status;
    in[0] = x;
    in[1] = n->in[3];
    in[2] = in_value(n, 4);
    v = sx_div(b->sx, sx_operand(b, 0, x, x->type.rank, x->type.dim), scale_one(b, 1, in[1]));
    if (in[2]) v = sx_add(b->sx, v, scale_one(b, 2, in[2]));
    out[0] = build_map(b, "requantise", in[2] ? 3 : 2, in, in_type(n, 0)->dtype, x->type.rank,
                       x->type.dim, sx_level(b, v, NULL, in_type(n, 0)->dtype));
    return b->status;
}

/* The sum over a plane of x - zx, times sx / (sy * elements). */
static Status lower_global_average(Build *b, const Node *n, Value **out)
{
    const Type *x = in_type(n, 0);
    int first = attr_int(n, "channels_last", 0) != 0 ? 1 : 2, planes = x->rank - 2;
    int64_t axis[MAX_RANK];
    Dim elements = dim_const(b->dims, 1);
    Value *v = make_cast(b, n->in[0], DT_I32), *in[4];
    const Sx *count, *sum;

    if (planes < 0) return op_error(n, b->diag, "X", "%s: rank %d", n->op->name, x->rank);
    for (int i = 0; i < planes; i++) {
        axis[i] = first + i;
        elements = dim_mul(b->dims, elements, x->dim[first + i]);
    }
    if (has_in(n, 2)) v = make_sub(b, v, make_cast(b, n->in[2], DT_I32));
    if (planes)
        v = build_op(b, "ReduceSum", 2, (Value *[]){v, build_i64(b, planes, axis)}, 0, NULL);
    if (!v) return b->status;
    in[0] = v;
    in[1] = n->in[1];
    in[2] = n->in[3];
    in[3] = in_value(n, 4);
    count = f32(b, sx_dim(b->sx, elements));
    sum = sx_operand(b, 0, v, v->type.rank, v->type.dim);
    sum = requantise(b, sum, scale_one(b, 1, in[1]), sx_const(b->sx, DT_F32, 1),
                     sx_mul(b->sx, scale_one(b, 2, in[2]), count),
                     in[3] ? sx_scalar(b, 3, in[3]) : NULL, x->dtype);
    out[0] = build_map(b, "requantise", in[3] ? 4 : 3, in, x->dtype, x->rank, v->type.dim, sum);
    return b->status;
}

static Status lower_unary(Build *b, const Node *n, Value **out)
{
    Value *x = dequantised(b, n, 0);
    static const char *const attrs[] = {"alpha", NULL};

    out[0] = quantised(b, n, make_like(b, n, n->op->name + strlen("QLinear"), 1, &x, attrs), 3);
    return b->status;
}

/* v quantised by inputs 3 and 4; NaN, which the softmax of an infinite scale is (masks of -infinity
 * have it), is the byte 0, as in ONNX Runtime. */
static Value *number_or_0(Build *b, const Node *n, Value *v)
{
    SxTable *t = b->sx;
    Value *in[3] = {v, n->in[3], in_value(n, 4)};
    DType type = in_type(n, 0)->dtype;
    const Sx *x, *level;

    if (!v) return NULL;
    x = sx_operand(b, 0, v, v->type.rank, v->type.dim);
    level = sx_level(b, sx_div(t, x, scale_one(b, 1, in[1])), in[2] ? sx_scalar(b, 2, in[2]) : NULL,
                     type);
    level = sx_select(t, sx_le(t, sx_const(t, DT_F32, 0), x), level, sx_const(t, type, 0));
    return build_map(b, "quantize", in[2] ? 3 : 2, in, type, v->type.rank, v->type.dim, level);
}

/* Before opset 13 a softmax is over all axes from `axis` on. */
static Status lower_softmax(Build *b, const Node *n, Value **out)
{
    const Type *x = in_type(n, 0);
    Value *v = dequantised(b, n, 0);
    int64_t axis = attr_int(n, "axis", -1);
    int at;

    TRY(infer_axis(n, b->diag, "axis", axis, x->rank, &at));
    if (attr_int(n, "opset", 13) < 13 && at < x->rank - 1) {
        Dim rest = dim_const(b->dims, 1), dims[MAX_RANK];
        for (int i = at; i < x->rank; i++)
            rest = dim_mul(b->dims, rest, x->dim[i]);
        memcpy(dims, x->dim, sizeof *dims * (size_t)at);
        dims[at] = rest;
        v = make_axis(b, "Softmax", make_reshape(b, v, at + 1, dims), -1);
        v = make_reshape(b, v, x->rank, x->dim);
    } else {
        v = make_axis(b, "Softmax", v, at);
    }
    out[0] = number_or_0(b, n, v);
    return b->status;
}

static Status lower_concat(Build *b, const Node *n, Value **out)
{
    int count = (n->n_in - 2) / 3;
    Value **v = ARENA_ARRAY(b->module->arena, Value *, count + 1);

    if (n->n_in < 5 || n->n_in % 3 != 2)
        return op_error(n, b->diag, "inputs", "QLinearConcat: %d inputs, expected 2 + 3k", n->n_in);
    for (int i = 0; i < count; i++) {
        if (!n->in[2 + 3 * i] || !n->in[3 + 3 * i])
            return op_error(n, b->diag, "inputs", "QLinearConcat: input %d is left out", i);
        v[i] = dequantised(b, n, 2 + 3 * i);
    }
    v[0] = make_concat(b, count, v, attr_int(n, "axis", 0));
    out[0] = build_op(b, "QuantizeLinear", 3, (Value *[]){v[0], n->in[0], n->in[1]}, 0, NULL);
    return b->status;
}

/* ---- the table ---- */

#define X_Y(scale_y, zero_y)                                                                       \
    ROW_IN({"X", T_BYTE, "T"}, {"X_scale", DT_BIT(DT_F32)}, {"X_zero_point", T_BYTE, "T", true},   \
           {scale_y, DT_BIT(DT_F32)}, {zero_y, T_BYTE, "T", true}),                                \
        ROW_OUT({"Y", T_BYTE, "T"})
#define A_B                                                                                        \
    ROW_IN({"A", T_BYTE, "T"}, {"A_scale", DT_BIT(DT_F32)}, {"A_zero_point", T_BYTE, "T", true},   \
           {"B", T_BYTE, "T"}, {"B_scale", DT_BIT(DT_F32)}, {"B_zero_point", T_BYTE, "T", true},   \
           {"C_scale", DT_BIT(DT_F32)}, {"C_zero_point", T_BYTE, "T", true}),                      \
        ROW_OUT({"C", T_BYTE, "T"})

#define BINARY_ROW(low)                                                                            \
    .domain = "com.microsoft", .since = 1, .traits = OP_PURE, .infer = infer_binary,               \
    .eval = compose_eval, .lower = low

const OpDef qlinear_ops[] = {
    {.name = "QLinearConv",
     .since = 10,
     .about = "convolution of quantised tensors",
     ROW_IN({"x", T_BYTE, "T1"}, {"x_scale", DT_BIT(DT_F32)}, {"x_zero_point", T_BYTE, "T1"},
            {"w", T_BYTE, "T2"}, {"w_scale", DT_BIT(DT_F32)}, {"w_zero_point", T_BYTE, "T2"},
            {"y_scale", DT_BIT(DT_F32)}, {"y_zero_point", T_BYTE, "T3"},
            {"B", DT_BIT(DT_I32), NULL, true}),
     ROW_OUT({"y", T_BYTE, "T3"}),
     ROW_ATTRS(ATTR_S("auto_pad", "NOTSET"), ATTR_OPT("dilations", ATTR_INTS), ATTR_I("group", 1),
               ATTR_OPT("kernel_shape", ATTR_INTS), ATTR_OPT("pads", ATTR_INTS),
               ATTR_OPT("strides", ATTR_INTS)),
     .traits = OP_PURE,
     .infer = compose_infer,
     .eval = compose_eval,
     .lower = lower_conv},
    {.name = "QLinearMatMul",
     .since = 21,
     .about = "numpy.matmul of quantised tensors",
     ROW_IN({"a", T_BYTE, "T1"}, {"a_scale", T_SCALE, "TS"}, {"a_zero_point", T_BYTE, "T1"},
            {"b", T_BYTE, "T2"}, {"b_scale", T_SCALE, "TS"}, {"b_zero_point", T_BYTE, "T2"},
            {"y_scale", T_SCALE, "TS"}, {"y_zero_point", T_BYTE, "T3"}),
     ROW_OUT({"y", T_BYTE, "T3"}),
     .traits = OP_PURE,
     .infer = compose_infer,
     .eval = compose_eval,
     .lower = lower_matmul},
    {.name = "QLinearAdd", .about = "sum of quantised tensors", A_B, BINARY_ROW(lower_add)},
    {.name = "QLinearMul", .about = "product of quantised tensors", A_B, BINARY_ROW(lower_mul)},
    {.name = "QLinearSigmoid",
     .about = "sigmoid of a quantised tensor",
     X_Y("Y_scale", "Y_zero_point"),
     MICROSOFT_ROW(lower_unary)},
    {.name = "QLinearLeakyRelu",
     .about = "leaky relu of a quantised tensor",
     X_Y("Y_scale", "Y_zero_point"),
     ROW_ATTRS(ATTR_F("alpha", (double)0.01f)),
     MICROSOFT_ROW(lower_unary)},
    {.name = "QLinearSoftmax",
     .about = "softmax of a quantised tensor",
     X_Y("y_scale", "y_zero_point"),
     ROW_ATTRS(ATTR_I("axis", -1), ATTR_REQ("opset", ATTR_INT)),
     MICROSOFT_ROW(lower_softmax)},
    {.name = "QLinearAveragePool",
     .about = "average pool of a quantised tensor",
     X_Y("y_scale", "y_zero_point"),
     ROW_ATTRS(ATTR_S("auto_pad", "NOTSET"), ATTR_I("ceil_mode", 0), ATTR_I("channels_last", 0),
               ATTR_I("count_include_pad", 0), ATTR_REQ("kernel_shape", ATTR_INTS),
               ATTR_OPT("pads", ATTR_INTS), ATTR_OPT("strides", ATTR_INTS)),
     MICROSOFT_ROW(lower_average)},
    {.name = "QLinearGlobalAveragePool",
     .about = "mean over the spatial axes of a quantised tensor",
     X_Y("y_scale", "y_zero_point"),
     ROW_ATTRS(ATTR_I("channels_last", 0)),
     MICROSOFT_ROW(lower_global_average)},
    {.name = "QLinearConcat",
     .about = "concatenation of quantised tensors of their own scales",
     ROW_IN({"Y_scale", DT_BIT(DT_F32)}, {"Y_zero_point", T_BYTE, "T"},
            {"inputs", T_BYTE | DT_BIT(DT_F32), NULL, false, true}),
     ROW_OUT({"Y", T_BYTE, "T"}),
     ROW_ATTRS(ATTR_REQ("axis", ATTR_INT)),
     MICROSOFT_ROW(lower_concat)},
    {0},
};
