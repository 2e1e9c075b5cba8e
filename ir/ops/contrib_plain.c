/* contrib_plain.c: operators of com.microsoft that are short formulas of ai.onnx: distances,
 * quantised Gemm, Where and Gather, pooling and convolution of channels last. */
#include <string.h>

#include "ir/ops/compose.h"
#include "ir/ops/ops_common.h"

/* ---- CDist: distances of the rows of A to the rows of B ---- */

static Status lower_cdist(Build *b, const Node *n, Value **out)
{
    const char *metric = attr_string(n, "metric", "sqeuclidean");
    bool squared = strcmp(metric, "sqeuclidean") == 0;
    Value *d;

    if (!squared && strcmp(metric, "euclidean") != 0)
        return op_error(n, b->diag, "metric",
                        "CDist: found \"%s\", expected euclidean or sqeuclidean", metric);
    d = make_sub(b, make_unsqueeze(b, n->in[0], 1), make_unsqueeze(b, n->in[1], 0));
    out[0] = make_reduce(b, squared ? "ReduceSumSquare" : "ReduceL2", d, 2, false);
    return b->status;
}

/* ---- channels last ---- */

static Status lower_nhwc_max_pool(Build *b, const Node *n, Value **out)
{
    static const char *const attrs[] = {"auto_pad", "ceil_mode", "dilations", "kernel_shape",
                                        "pads",     "strides",   NULL};
    Value *x = make_moved_channels(b, n->in[0], false);

    out[0] = make_moved_channels(b, make_like(b, n, "MaxPool", 1, &x, attrs), true);
    return b->status;
}

/* FusedConv does the rest. */
static Status lower_nhwc_fused_conv(Build *b, const Node *n, Value **out)
{
    Value *in[4] = {make_moved_channels(b, n->in[0], false), n->in[1], in_value(n, 2),
                    make_moved_channels(b, in_value(n, 3), false)};
    Node *y;

    if (b->status != OK) return b->status;
    y = build_op_node(b, "com.microsoft", "FusedConv", 4, in, 1, n->n_attr, n->attr);
    out[0] = make_moved_channels(b, y ? y->out[0] : NULL, true);
    return b->status;
}

/* ---- quantised ---- */

static Value *dequantised(Build *b, Value *x, Value *scale, Value *zero)
{
    return build_op(b, "DequantizeLinear", 3, (Value *[]){x, scale, zero}, 0, NULL);
}

static Status lower_qwhere(Build *b, const Node *n, Value **out)
{
    Value *x = dequantised(b, n->in[1], n->in[2], n->in[3]);
    Value *y = dequantised(b, n->in[4], n->in[5], n->in[6]);

    out[0] = build_op(b, "QuantizeLinear", 3,
                      (Value *[]){make_where(b, n->in[0], x, y), n->in[7], n->in[8]}, 0, NULL);
    return b->status;
}

static Value *transposed(Build *b, const Node *n, int k, const char *attr)
{
    if (!attr_int(n, attr, 0)) return n->in[k];
    if (in_type(n, k)->rank == 2) return build_transpose(b, n->in[k], (const int[]){1, 0});
    build_fail(b, op_error(n, b->diag, n->op->in[k].name, "QGemm: rank %d, expected 2",
                           in_type(n, k)->rank));
    return NULL;
}

/* C counts in steps of alpha a_scale b_scale, as the sums do. */
static Status lower_qgemm(Build *b, const Node *n, Value **out)
{
    Value *x = transposed(b, n, 0, "transA"), *w = transposed(b, n, 3, "transB"), *scale, *v;
    double alpha = attr_float(n, "alpha", 1);

    if (b->status != OK) return b->status;
    v = build_op(b, "MatMulInteger", 4, (Value *[]){x, w, n->in[2], n->in[5]}, 0, NULL);
    if (has_in(n, 6)) v = make_add(b, v, n->in[6]);
    scale = make_mul(b, n->in[1], n->in[4]);
    if (alpha != 1) scale = make_mul(b, scale, make_scalar(b, scale, alpha));
    v = make_mul(b, make_cast(b, v, DT_F32), scale);
    if (has_in(n, 7))
        v = build_op(b, "QuantizeLinear", 3, (Value *[]){v, n->in[7], in_value(n, 8)}, 0, NULL);
    out[0] = v;
    return b->status;
}

/* Unsigned integers of `bits` bits out of the last axis of bytes, the low ones first. */
static Value *unpacked(Build *b, Value *v, int64_t bits)
{
    SxTable *t = b->sx;
    const Sx *idx[MAX_RANK], *each = sx_i64(b, 8 / bits), *e, *shift;
    int rank = v->type.rank;
    Dim dims[MAX_RANK];

    for (int i = 0; i < rank; i++) {
        dims[i] = v->type.dim[i];
        idx[i] = sx_index(t, i);
    }
    dims[rank - 1] = dim_mul(b->dims, dims[rank - 1], dim_const(b->dims, 8 / bits));
    shift = sx_mul(t, sx_floor_mod(t, idx[rank - 1], each), sx_i64(b, bits));
    idx[rank - 1] = sx_floor_div(t, idx[rank - 1], each);
    e = sx_shr(t, sx_cast(t, sx_at(b, 0, v, idx), DT_I32), sx_cast(t, shift, DT_I32));
    e = sx_and(t, e, sx_const_int(t, DT_I32, ((int64_t)1 << bits) - 1));
    return build_map(b, "unpack", 1, &v, DT_U8, rank, dims, sx_cast(t, e, DT_U8));
}

static Status gather_axes(const Node *n, Diag *d, int *gather, int *quantize)
{
    int rank = in_type(n, 0)->rank;
    int64_t bits = attr_int(n, "bits", 4), size = attr_int(n, "block_size", 128);

    TRY(infer_axis(n, d, "gather_axis", attr_int(n, "gather_axis", 0), rank, gather));
    TRY(infer_axis(n, d, "quantize_axis", attr_int(n, "quantize_axis", 1), rank, quantize));
    if (*gather == *quantize)
        return op_error(n, d, "quantize_axis", "%s: %d is the axis of the gather too", n->op->name,
                        *quantize);
    if (size < 16 || size > 1 << 20)
        return op_error(n, d, "block_size", "%s: found %lld, expected 16 or more", n->op->name,
                        (long long)size);
    if (bits != 4 && bits != 8)
        return op_error(n, d, "bits", "%s: found %lld, expected 4 or 8", n->op->name,
                        (long long)bits);
    return OK;
}

/* Gathered first, so that only what is wanted is dequantised. */
static Status lower_gather_blocks(Build *b, const Node *n, Value **out)
{
    int64_t bits = attr_int(n, "bits", 4);
    bool bytes = in_type(n, 0)->dtype == DT_U8;
    Value *x, *scale, *zero = in_value(n, 3);
    Attr attr[2];
    int gather, quantize;

    TRY(gather_axes(n, b->diag, &gather, &quantize));
    for (int k = 2; k < 4; k++)
        if (has_in(n, k) && in_type(n, k)->rank != in_type(n, 0)->rank)
            return op_error(n, b->diag, n->op->in[k].name, "GatherBlockQuantized: rank %d, not %d",
                            in_type(n, k)->rank, in_type(n, 0)->rank);
    if (bytes && bits == 4 && (gather == in_type(n, 0)->rank - 1))
        return op_unsupported(n, b->diag, "a gather along the axis of packed elements");
    x = make_gather(b, n->in[0], n->in[1], gather);
    scale = make_gather(b, n->in[2], n->in[1], gather);
    if (zero) zero = make_gather(b, zero, n->in[1], gather);
    if (b->status != OK) return b->status;
    if (bytes && bits == 4) x = unpacked(b, x, bits);
    if (bytes && bits == 4 && zero) zero = unpacked(b, zero, bits);
    if (bytes && bits == 4 && zero) { /* an odd number of blocks leaves half a byte */
        int last = zero->type.rank - 1;
        Dim want = scale->type.dim[last];
        if (dim_is_const(want)) zero = make_slice(b, zero, last, 0, want->value, 1);
    }
    if (bytes && !zero)
        zero = build_map(b, "zero", 0, NULL, DT_U8, scale->type.rank, scale->type.dim,
                         sx_const_int(b->sx, DT_U8, (int64_t)1 << (bits - 1)));
    if (quantize > gather) quantize += in_type(n, 1)->rank - 1;
    attr[0] = attr_of_int("axis", quantize);
    attr[1] = attr_of_int("block_size", attr_int(n, "block_size", 128));
    out[0] = build_op(b, "DequantizeLinear", 3, (Value *[]){x, scale, zero}, 2, attr);
    return b->status;
}

#define WINDOW_ATTRS                                                                               \
    ATTR_S("auto_pad", "NOTSET"), ATTR_OPT("dilations", ATTR_INTS),                                \
        ATTR_OPT("kernel_shape", ATTR_INTS), ATTR_OPT("pads", ATTR_INTS),                          \
        ATTR_OPT("strides", ATTR_INTS)

const OpDef contrib_plain_ops[] = {
    {.name = "CDist",
     .about = "distances of the rows of A to the rows of B",
     ROW_IN({"A", T_FLOAT, "T", .ranks = RANK(2)}, {"B", T_FLOAT, "T", .ranks = RANK(2)}),
     ROW_OUT({"C", T_FLOAT, "T"}),
     ROW_ATTRS(ATTR_S("metric", "sqeuclidean")),
     MICROSOFT_ROW(lower_cdist)},
    {.name = "NhwcMaxPool",
     .about = "MaxPool of channels last",
     ROW_IN({"x", T_BYTE, "T"}),
     ROW_OUT({"y", T_BYTE, "T"}),
     ROW_ATTRS(WINDOW_ATTRS, ATTR_I("ceil_mode", 0)),
     MICROSOFT_ROW(lower_nhwc_max_pool)},
    {.name = "NhwcFusedConv",
     .about = "activation(Conv + Z) of channels last",
     ROW_IN({"X", T_FLOAT, "T"}, {"W", T_FLOAT, "T"}, {"B", T_FLOAT, "T", true},
            {"Z", T_FLOAT, "T", true}),
     ROW_OUT({"Y", T_FLOAT, "T"}),
     ROW_ATTRS(WINDOW_ATTRS, ATTR_I("group", 1), ATTR_S("activation", ""),
               ATTR_OPT("activation_params", ATTR_FLOATS)),
     MICROSOFT_ROW(lower_nhwc_fused_conv)},
    {.name = "QLinearWhere",
     .about = "Where of quantised X and Y",
     ROW_IN({"condition", T_BOOL}, {"X", T_BYTE, "T"}, {"x_scale", T_F32},
            {"x_zero_point", T_BYTE, "T"}, {"Y", T_BYTE, "T"}, {"y_scale", T_F32},
            {"y_zero_point", T_BYTE, "T"}, {"z_scale", T_F32}, {"z_zero_point", T_BYTE, "T"}),
     ROW_OUT({"Z", T_BYTE, "T"}),
     MICROSOFT_ROW(lower_qwhere)},
    {.name = "QGemm",
     .about = "Gemm of quantised A and B, quantised or as floats",
     ROW_IN({"A", T_BYTE, "TA", .ranks = RANK(2)}, {"a_scale", T_F32},
            {"a_zero_point", T_BYTE, "TA"}, {"B", T_BYTE, "TB", .ranks = RANK(2)},
            {"b_scale", T_F32}, {"b_zero_point", T_BYTE, "TB"}, {"C", DT_BIT(DT_I32), NULL, true},
            {"y_scale", T_F32, NULL, true}, {"y_zero_point", T_BYTE, NULL, true}),
     ROW_OUT({"Y", T_BYTE | T_F32}),
     ROW_ATTRS(ATTR_F("alpha", 1), ATTR_I("transA", 0), ATTR_I("transB", 0)),
     MICROSOFT_ROW(lower_qgemm)},
    {.name = "GatherBlockQuantized",
     .about = "Gather of data that is quantised by blocks, as floats",
     ROW_IN({"data", DT_BIT(DT_U8) | DT_BIT(DT_U4) | DT_BIT(DT_I4), "T1"}, {"indices", T_IDS},
            {"scales", T_FLOAT, "T2"},
            {"zero_points", DT_BIT(DT_U8) | DT_BIT(DT_U4) | DT_BIT(DT_I4), "T1", true}),
     ROW_OUT({"output", T_FLOAT, "T2"}),
     ROW_ATTRS(ATTR_I("bits", 4), ATTR_I("block_size", 128), ATTR_I("gather_axis", 0),
               ATTR_I("quantize_axis", 1)),
     MICROSOFT_ROW(lower_gather_blocks)},
    {0},
};
