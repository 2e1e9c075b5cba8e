/* contrib_fusions.c: operators of com.microsoft that optimisers of diffusion models, of quantised
 * transformers and of T5 and WavLM write: sums with a bias in front of what follows, group
 * normalisation with its activation, quantised forms of Attention and EmbedLayerNormalization, and
 * products with weights of 4-bit floats. Each is lowered to the operators that it stands for. */
#include "ir/ops/compose.h"
#include "ir/ops/ops_common.h"

static Value *dequantised(Build *b, Value *q, Value *scale, Value *zero, int64_t axis)
{
    Attr a = attr_of_int("axis", axis);

    return build_op(b, "DequantizeLinear", 3, (Value *[]){q, scale, zero}, 1, &a);
}

/* ---- sums with a bias ---- */

static Status lower_bias_add(Build *b, const Node *n, Value **out)
{
    out[0] = make_add(b, make_add(b, n->in[0], n->in[1]), n->in[2]);
    return b->status;
}

/* Over all axes from `axis` on, as one. */
static Status lower_bias_softmax(Build *b, const Node *n, Value **out)
{
    const Type *x = in_type(n, 0);
    Dim flat[2] = {dim_const(b->dims, 1), dim_const(b->dims, 1)};
    int at;

    TRY(infer_axis(n, b->diag, "axis", attr_int(n, "axis", 1), x->rank, &at));
    for (int i = 0; i < x->rank; i++)
        flat[i >= at] = dim_mul(b->dims, flat[i >= at], x->dim[i]);
    Value *v = make_reshape(b, make_add(b, n->in[0], n->in[1]), 2, flat);
    out[0] = make_reshape(b, make_axis(b, "Softmax", v, 1), x->rank, x->dim);
    return b->status;
}

/* left * gelu(right), of the halves of the last axis */
static Status lower_bias_split_gelu(Build *b, const Node *n, Value **out)
{
    const Type *x = in_type(n, 0);
    int last = x->rank - 1;
    Value *v = make_add(b, n->in[0], n->in[1]), *right;

    if (x->rank < 1 || !dim_is_const(x->dim[last]) || x->dim[last]->value % 2)
        return op_error(n, b->diag, "X",
                        "BiasSplitGelu: the last axis needs a known, even number of elements");
    int64_t half = x->dim[last]->value / 2;
    right = make_slice(b, v, last, half, INT64_MAX, 1);
    out[0] = make_mul(b, make_slice(b, v, last, 0, half, 1), make_unary(b, "Gelu", right));
    return b->status;
}

static Status lower_gemm_fast_gelu(Build *b, const Node *n, Value **out)
{
    Attr tanh_form = attr_of_string("approximate", "tanh");
    Value *v = make_plus(b, build_op2(b, "MatMul", n->in[0], n->in[1]), in_value(n, 2));

    out[0] = build_op(b, "Gelu", 1, &v, 1, &tanh_form);
    return b->status;
}

/* ---- group normalisation ---- */

static Status group_norm(Build *b, const Node *n, Value *x, Value **out)
{
    bool last = attr_int(n, "channels_last", 1);
    int64_t activation = attr_int(n, "activation", 0);
    Attr attr[2] = {attr_of_int("num_groups", attr_int(n, "groups", 1)),
                    attr_of_float("epsilon", attr_float(n, "epsilon", 0))};
    DType type = in_type(n, 0)->dtype;
    Value *in[3];

    if (activation != 0 && activation != 1)
        return op_error(n, b->diag, "activation", "%s: found %lld, expected 0 or 1 (SiLU)",
                        n->op->name, (long long)activation);
    in[0] = last ? make_moved_channels(b, x, false) : x;
    in[1] = make_cast(b, n->in[1], type);
    in[2] = make_cast(b, n->in[2], type);
    Value *v = build_op(b, "GroupNormalization", 3, in, 2, attr);
    if (activation) v = make_mul(b, v, make_unary(b, "Sigmoid", v));
    *out = last ? make_moved_channels(b, v, true) : v;
    return b->status;
}

static Status lower_group_norm(Build *b, const Node *n, Value **out)
{
    return group_norm(b, n, n->in[0], &out[0]);
}

/* A skip or a bias for each channel, [N, C] or [C], stands beside the channels of x. */
static Value *beside_channels(Build *b, const Node *n, Value *v)
{
    int rank = in_type(n, 0)->rank;
    bool last = attr_int(n, "channels_last", 1);
    Dim dims[MAX_RANK];

    if (!v || v->type.rank >= rank || v->type.rank < 1) return v;
    for (int i = 0; i < rank; i++)
        dims[i] = dim_const(b->dims, 1);
    dims[last ? rank - 1 : 1] = v->type.dim[v->type.rank - 1];
    if (v->type.rank > 1) dims[0] = v->type.dim[0];
    return make_reshape(b, v, rank, dims);
}

static Status lower_skip_group_norm(Build *b, const Node *n, Value **out)
{
    Value *sum = make_add(b, n->in[0], beside_channels(b, n, n->in[3]));

    sum = make_plus(b, sum, beside_channels(b, n, in_value(n, 4)));
    if (has_out(n, 1)) out[1] = sum;
    return group_norm(b, n, sum, &out[0]);
}

/* ---- quantised transformers ---- */

static Status lower_qattention(Build *b, const Node *n, Value **out)
{
    static const char *const attrs[] = {"num_heads",         "unidirectional", "scale",
                                        "mask_filter_value", "do_rotary",      NULL};
    Value *in[5] = {dequantised(b, n->in[0], n->in[3], in_value(n, 6), 0),
                    dequantised(b, n->in[1], n->in[4], in_value(n, 7), 1), n->in[2], in_value(n, 5),
                    in_value(n, 8)};
    Attr attr[5];
    int count = 0;
    Node *y;

    for (int i = 0; attrs[i]; i++)
        if (attr_find(n, attrs[i])) attr[count++] = *attr_find(n, attrs[i]);
    y = build_op_node(b, "com.microsoft", "Attention", 5, in, n->n_out < 2 ? 1 : 2, count, attr);
    for (int k = 0; y && k < n->n_out && k < 2; k++)
        out[k] = y->out[k];
    return b->status;
}

static Status lower_qembed(Build *b, const Node *n, Value **out)
{
    Attr epsilon = attr_of_float("epsilon", attr_float(n, "epsilon", 0));
    Value *in[8] = {n->in[0], in_value(n, 1)};
    Node *y;

    for (int k = 2; k < 7; k++)
        if (has_in(n, k)) in[k] = dequantised(b, n->in[k], n->in[k + 6], n->in[k + 11], 0);
    in[7] = in_value(n, 7);
    y = build_op_node(b, "com.microsoft", "EmbedLayerNormalization", 8, in, n->n_out < 2 ? 1 : 2, 1,
                      &epsilon);
    for (int k = 0; y && k < n->n_out && k < 2; k++)
        out[k] = y->out[k];
    return b->status;
}

static Value *reduced(Build *b, const Node *n, const char *op, Value *v)
{
    const Attr *axes = attr_find(n, "axes");
    Attr keep = attr_of_int("keepdims", attr_int(n, "keepdims", 1));
    Value *in[2] = {v, axes ? build_i64(b, axes->n, axes->ints) : NULL};

    return build_op(b, op, 2, in, 1, &keep);
}

static Status lower_qreduce_mean(Build *b, const Node *n, Value **out)
{
    Value *v = dequantised(b, n->in[0], n->in[1], in_value(n, 2), 0);

    v = reduced(b, n, "ReduceMean", v);
    out[0] = build_op(b, "QuantizeLinear", 3, (Value *[]){v, n->in[3], in_value(n, 4)}, 0, NULL);
    if (out[0]) out[0] = make_cast(b, out[0], in_type(n, 0)->dtype);
    return b->status;
}

static Status lower_reduce_sum_integer(Build *b, const Node *n, Value **out)
{
    DType type = in_type(n, 0)->dtype == DT_U8 ? DT_U32 : DT_I32;

    out[0] = reduced(b, n, "ReduceSum", make_cast(b, n->in[0], type));
    return b->status;
}

static Value *centred(Build *b, Value *v, Value *zero)
{
    v = make_cast(b, v, DT_I32);
    return zero ? make_sub(b, v, make_cast(b, zero, DT_I32)) : v;
}

static Status lower_mul_integer(Build *b, const Node *n, Value **out)
{
    out[0] =
        make_mul(b, centred(b, n->in[0], in_value(n, 1)), centred(b, n->in[2], in_value(n, 3)));
    return b->status;
}

/* ---- GatedRelativePositionBias (WavLM) ---- */

/* u (r a - 1) + 2 of the gates u and r, which are sigmoids of halves of a linear map of the query,
 * times the bias of the positions. */
static Status lower_gated_bias(Build *b, const Node *n, Value **out)
{
    const Type *q = in_type(n, 0), *w = in_type(n, 3);
    int64_t heads = attr_int(n, "num_heads", 0);

    if (q->rank != 3 || w->rank != 2 || heads < 1 || !dim_is_const(w->dim[0]) ||
        !dim_is_const(w->dim[1]) || w->dim[1]->value % 2)
        return op_error(n, b->diag, "query_layer",
                        "GatedRelativePositionBias: expected [batch, length, heads * size] and a "
                        "weight [size, even] of known dims");
    Dim split[4] = {q->dim[0], q->dim[1], dim_const(b->dims, heads), w->dim[0]};
    Dim gates[5] = {q->dim[0], split[2], q->dim[1], dim_const(b->dims, 2),
                    dim_const(b->dims, w->dim[1]->value / 2)};
    Value *v = make_reshape(b, make_add(b, n->in[0], n->in[1]), 4, split), *u, *r, *one;

    if (!v) return b->status;
    v = build_op2(b, "MatMul", build_transpose(b, v, (const int[]){0, 2, 1, 3}), n->in[3]);
    v = make_reshape(b, make_add(b, v, n->in[4]), 5, gates);
    v = make_unary(b, "Sigmoid", make_reduce(b, "ReduceSum", v, -1, false));
    if (!v) return b->status;
    u = make_slice(b, v, 3, 0, 1, 1);
    r = make_slice(b, v, 3, 1, 2, 1);
    one = make_scalar(b, r, 1);
    v = make_mul(b, u, make_sub(b, make_mul(b, r, n->in[5]), one));
    out[0] = make_mul(b, make_add(b, v, make_scalar(b, v, 2)), n->in[2]);
    return b->status;
}

/* ---- MatMulBnb4: weights of 4-bit floats, scaled by blocks ---- */

/* What the codes stand for (bitsandbytes): FP4, with the sign in the highest bit; NF4, quantiles of
 * the normal distribution (arXiv 2305.14314, appendix E). */
static const float code_values[2][16] = {
    {0, 0.00520833333F, 0.66666667F, 1, 0.33333333F, 0.5F, 0.16666667F, 0.25F, -0.0F,
     -0.00520833333F, -0.66666667F, -1, -0.33333333F, -0.5F, -0.16666667F, -0.25F},
    {-1, -0.6961928009986877F, -0.5250730514526367F, -0.39491748809814453F, -0.28444138169288635F,
     -0.18477343022823334F, -0.09105003625154495F, 0, 0.07958029955625534F, 0.16093020141124725F,
     0.24611230194568634F, 0.33791524171829224F, 0.44070982933044434F, 0.5626170039176941F,
     0.7229568362236023F, 1},
};

static Value *code_table(Build *b, int64_t kind)
{
    int64_t dim = 16;
    Tensor *t = tensor_new(b->module->arena, DT_F32, 1, &dim);

    for (int i = 0; t && i < 16; i++)
        tensor_set_double(t, i, (double)code_values[kind][i]);
    return t ? module_constant(b->module, t, NULL) : NULL;
}

static Status lower_bnb4(Build *b, const Node *n, Value **out)
{
    int64_t size = attr_int(n, "block_size", 0), kind = attr_int(n, "quant_type", 0);
    int64_t rows = attr_int(n, "N", 0), k = attr_int(n, "K", 0);
    DType type = in_type(n, 0)->dtype;
    SxTable *t = b->sx;
    Value *in[3] = {n->in[1], n->in[2], NULL}, *w;

    if (rows < 1 || k < 1 || rows > INT32_MAX || k > INT32_MAX || size < 1 || size > 1 << 20 ||
        kind < 0 || kind > 1 || !attr_int(n, "transB", 1))
        return op_unsupported(n, b->diag, "N %lld, K %lld, block_size %lld, quant_type %lld",
                              (long long)rows, (long long)k, (long long)size, (long long)kind);
    if (!dim_is(type_count(b->dims, in_type(n, 1)), (rows * k + 1) / 2) ||
        !dim_is(type_count(b->dims, in_type(n, 2)), (rows * k + size - 1) / size))
        return op_error(n, b->diag, "B",
                        "MatMulBnb4: found other counts of elements, expected %lld"
                        " bytes and %lld scales",
                        (long long)((rows * k + 1) / 2), (long long)((rows * k + size - 1) / size));
    in[2] = code_table(b, kind);
    if (!in[2]) return build_fail(b, diag(b->diag, ERR_LIMIT, node_where(n), "out of memory"));
    const Sx *at = sx_add(t, sx_mul(t, sx_index(t, 0), sx_i64(b, k)), sx_index(t, 1));
    const Sx *byte =
        sx_cast(t, sx_load_flat(t, DT_U8, 0, sx_floor_div(t, at, sx_i64(b, 2)), NULL), DT_I64);
    const Sx *odd = sx_eq(t, sx_floor_mod(t, at, sx_i64(b, 2)), sx_i64(b, 1));
    const Sx *code =
        sx_and(t, sx_select(t, odd, byte, sx_shr(t, byte, sx_i64(b, 4))), sx_i64(b, 15));
    const Sx *v = sx_load_flat(t, DT_F32, 2, code, NULL), *scale;
    scale = sx_load_flat(t, in[1]->type.dtype, 1, sx_floor_div(t, at, sx_i64(b, size)), NULL);
    v = sx_cast(t, sx_mul(t, v, sx_cast(t, scale, DT_F32)), type);
    w = build_map(b, "dequantize", 3, in, type, 2,
                  (Dim[]){dim_const(b->dims, rows), dim_const(b->dims, k)}, v);
    if (!w) return b->status;
    out[0] = build_op2(b, "MatMul", n->in[0], build_transpose(b, w, (const int[]){1, 0}));
    return b->status;
}

/* ---- MurmurHash3 ---- */

static const Sx *rotated(SxTable *t, const Sx *v, int64_t by)
{
    return sx_or(t, sx_shl(t, v, sx_const_int(t, DT_U32, by)),
                 sx_shr(t, v, sx_const_int(t, DT_U32, 32 - by)));
}

static const Sx *times(SxTable *t, const Sx *v, int64_t factor)
{
    return sx_mul(t, v, sx_const_int(t, DT_U32, factor));
}

static const Sx *spread(SxTable *t, const Sx *h, int64_t by)
{
    return sx_xor(t, h, sx_shr(t, h, sx_const_int(t, DT_U32, by)));
}

/* MurmurHash3_x86_32 (A. Appleby) over the 4 or 8 bytes of each element. */
static Status lower_murmur(Build *b, const Node *n, Value **out)
{
    const Type *x = in_type(n, 0);
    SxTable *t = b->sx;
    bool wide = dtype_bytes(x->dtype) == 8;
    const Sx *v =
        sx_bitcast(t, sx_operand(b, 0, n->in[0], x->rank, x->dim), wide ? DT_U64 : DT_U32);
    const Sx *h = sx_const_int(t, DT_U32, attr_int(n, "seed", 0) & 0xffffffff), *k;

    for (int i = 0; i <= wide; i++) {
        k = wide ? sx_shr(t, v, sx_const_int(t, DT_U64, 32 * i)) : v;
        k = times(t, sx_cast(t, k, DT_U32), 0xcc9e2d51);
        h = rotated(t, sx_xor(t, h, times(t, rotated(t, k, 15), 0x1b873593)), 13);
        h = sx_add(t, times(t, h, 5), sx_const_int(t, DT_U32, 0xe6546b64));
    }
    h = sx_xor(t, h, sx_const_int(t, DT_U32, wide ? 8 : 4));
    h = spread(t, times(t, spread(t, h, 16), 0x85ebca6b), 13);
    h = spread(t, times(t, h, 0xc2b2ae35), 16);
    if (!attr_int(n, "positive", 1)) h = sx_bitcast(t, h, DT_I32);
    out[0] = build_map(b, "murmur", 1, n->in, h->dtype, x->rank, x->dim, h);
    return b->status;
}

/* ---- the table ---- */

#define GROUP_ATTRS                                                                                \
    ATTR_I("activation", 0), ATTR_I("channels_last", 1), ATTR_F("epsilon", (double)1e-5f),         \
        ATTR_REQ("groups", ATTR_INT)

const OpDef contrib_fusions_ops[] = {
    {.name = "BiasAdd",
     .about = "X + bias + skip",
     ROW_IN({"X", T_FLOAT, "T"}, {"bias", T_FLOAT, "T"}, {"skip", T_FLOAT, "T"}),
     ROW_OUT({"Y", T_FLOAT, "T"}),
     MICROSOFT_ROW(lower_bias_add)},
    {.name = "BiasSoftmax",
     .about = "Softmax(data + bias)",
     ROW_IN({"data", T_FLOAT, "T"}, {"bias", T_FLOAT, "T"}),
     ROW_OUT({"output", T_FLOAT, "T"}),
     ROW_ATTRS(ATTR_I("axis", 1), ATTR_I("is_inner_broadcast", 0)),
     MICROSOFT_ROW(lower_bias_softmax)},
    {.name = "BiasSplitGelu",
     .about = "half of X + bias times the Gelu of the other half",
     ROW_IN({"X", T_FLOAT, "T"}, {"bias", T_FLOAT, "T"}),
     ROW_OUT({"Y", T_FLOAT, "T"}),
     MICROSOFT_ROW(lower_bias_split_gelu)},
    {.name = "GemmFastGelu",
     .about = "FastGelu(X W + bias)",
     ROW_IN({"X", T_FLOAT, "T"}, {"W", T_FLOAT, "T"}, {"bias", T_FLOAT, "T", true}),
     ROW_OUT({"Y", T_FLOAT, "T"}),
     MICROSOFT_ROW(lower_gemm_fast_gelu)},
    {.name = "GroupNorm",
     .about = "GroupNormalization, with SiLU",
     ROW_IN({"X", T_FLOAT, "T"}, {"gamma", T_FLOAT, "M"}, {"beta", T_FLOAT, "M"}),
     ROW_OUT({"Y", T_FLOAT, "T"}),
     ROW_ATTRS(GROUP_ATTRS),
     MICROSOFT_ROW(lower_group_norm)},
    {.name = "SkipGroupNorm",
     .about = "GroupNorm of X + skip + bias",
     ROW_IN({"X", T_FLOAT, "T"}, {"gamma", T_FLOAT, "M"}, {"beta", T_FLOAT, "M"},
            {"skip", T_FLOAT, "T"}, {"bias", T_FLOAT, "T", true}),
     ROW_OUT({"Y", T_FLOAT, "T"}, {"S", T_FLOAT, "T", true}),
     ROW_ATTRS(GROUP_ATTRS),
     MICROSOFT_ROW(lower_skip_group_norm)},
    {.name = "QAttention",
     .about = "Attention of quantised input and weights",
     ROW_IN({"input", T_BYTE, "T1", .ranks = RANK(3)}, {"weight", T_BYTE, "T2", .ranks = RANK(2)},
            {"bias", T_FLOAT, "T3", .ranks = RANK(1)}, {"input_scale", T_FLOAT, "T3"},
            {"weight_scale", T_FLOAT, "T3"}, {"mask_index", T_I32, NULL, true},
            {"input_zero_point", T_BYTE, "T1", true}, {"weight_zero_point", T_BYTE, "T2", true},
            {"past", T_FLOAT, "T3", true}),
     ROW_OUT({"output", T_FLOAT, "T3"}, {"present", T_FLOAT, "T3", true}),
     ROW_ATTRS(ATTR_REQ("num_heads", ATTR_INT), ATTR_I("do_rotary", 0),
               ATTR_F("mask_filter_value", -10000), ATTR_I("past_present_share_buffer", 0),
               ATTR_OPT("scale", ATTR_FLOAT), ATTR_I("unidirectional", 0)),
     MICROSOFT_ROW(lower_qattention)},
    {.name = "QEmbedLayerNormalization",
     .about = "EmbedLayerNormalization of quantised tables",
     ROW_IN({"input_ids", T_I32, "T1", .ranks = RANK(2)},
            {"segment_ids", T_I32, "T1", true, .ranks = RANK(2)},
            {"word_embedding_quant", T_BYTE, "T2", .ranks = RANK(2)},
            {"position_embedding_quant", T_BYTE, "T2", .ranks = RANK(2)},
            {"segment_embedding", T_BYTE, "T2", true, .ranks = RANK(2)},
            {"gamma_quant", T_BYTE, "T2", .ranks = RANK(1)},
            {"beta_quant", T_BYTE, "T2", .ranks = RANK(1)},
            {"mask", T_I32, "T1", true, .ranks = RANK(2)}, {"word_embedding_scale", T_F32},
            {"position_embedding_scale", T_F32}, {"segment_embedding_scale", T_F32, NULL, true},
            {"gamma_scale", T_F32}, {"beta_scale", T_F32},
            {"word_embedding_zero_point", T_BYTE, "T2"},
            {"position_embedding_zero_point", T_BYTE, "T2"},
            {"segment_embedding_zero_point", T_BYTE, "T2", true},
            {"gamma_zero_point", T_BYTE, "T2"}, {"beta_zero_point", T_BYTE, "T2"}),
     ROW_OUT({"layernorm_out", T_F32}, {"mask_index_out", T_I32, NULL, true}),
     ROW_ATTRS(ATTR_F("epsilon", (double)1e-12f)),
     MICROSOFT_ROW(lower_qembed)},
    {.name = "QLinearReduceMean",
     .about = "ReduceMean of quantised data",
     ROW_IN({"data", T_BYTE, "T"}, {"data_scale", T_F32}, {"data_zero_point", T_BYTE, "T", true},
            {"reduced_scale", T_F32}, {"reduced_zero_point", T_BYTE, "T", true}),
     ROW_OUT({"reduced", T_BYTE, "T"}),
     ROW_ATTRS(ATTR_OPT("axes", ATTR_INTS), ATTR_I("keepdims", 1)),
     MICROSOFT_ROW(lower_qreduce_mean)},
    {.name = "ReduceSumInteger",
     .about = "sums of bytes in 32 bits",
     ROW_IN({"data", T_BYTE, "T1"}),
     ROW_OUT({"reduced", T_I32 | DT_BIT(DT_U32), "T2"}),
     ROW_ATTRS(ATTR_OPT("axes", ATTR_INTS), ATTR_I("keepdims", 1)),
     MICROSOFT_ROW(lower_reduce_sum_integer)},
    {.name = "MulInteger",
     .about = "(A - zero) (B - zero) in 32 bits",
     ROW_IN({"A", T_BYTE, "T"}, {"A_zero_point", T_BYTE, "T", true}, {"B", T_BYTE, "T"},
            {"B_zero_point", T_BYTE, "T", true}),
     ROW_OUT({"C", T_I32}),
     MICROSOFT_ROW(lower_mul_integer)},
    {.name = "GatedRelativePositionBias",
     .about = "bias of relative positions, gated by the query",
     ROW_IN({"query_layer", T_FLOAT, "T", .ranks = RANK(3)},
            {"query_bias", T_FLOAT, "T", .ranks = RANK(1)},
            {"rel_pos", T_FLOAT, "T", .ranks = RANK(4)}, {"weight", T_FLOAT, "T", .ranks = RANK(2)},
            {"bias", T_FLOAT, "T", .ranks = RANK(1)}, {"eco_a", T_FLOAT, "T", .ranks = RANK(4)}),
     ROW_OUT({"output", T_FLOAT, "T"}),
     ROW_ATTRS(ATTR_REQ("num_heads", ATTR_INT)),
     MICROSOFT_ROW(lower_gated_bias)},
    {.name = "MatMulBnb4",
     .about = "product with weights of 4-bit floats",
     ROW_IN({"A", T_FLOAT, "T1"}, {"B", DT_BIT(DT_U8)}, {"absmax", T_FLOAT, "T1"}),
     ROW_OUT({"Y", T_FLOAT, "T1"}),
     ROW_ATTRS(ATTR_REQ("K", ATTR_INT), ATTR_REQ("N", ATTR_INT), ATTR_REQ("block_size", ATTR_INT),
               ATTR_REQ("quant_type", ATTR_INT), ATTR_I("training_mode", 0), ATTR_I("transB", 1)),
     MICROSOFT_ROW(lower_bnb4)},
    {.name = "MurmurHash3",
     .about = "32-bit hash of each element",
     ROW_IN({"X",
             DT_BIT(DT_I32) | DT_BIT(DT_U32) | DT_BIT(DT_I64) | DT_BIT(DT_U64) | DT_BIT(DT_F32) |
                 DT_BIT(DT_F64),
             "T1"}),
     ROW_OUT({"Y", T_I32 | DT_BIT(DT_U32), "T2"}),
     ROW_ATTRS(ATTR_I("positive", 1), ATTR_I("seed", 0)),
     MICROSOFT_ROW(lower_murmur)},
    {0},
};
