/* contrib.c: operators of com.microsoft that optimisers make from several of ai.onnx: convolution,
 * Gemm and MatMul with what stood around them, normalisations with their sums, GELUs, and products
 * with quantised weights. Each is lowered to the operators that it stands for. Attention is in
 * fused_attention.c, quantised elementwise operators are in qlinear.c. */
#include <string.h>

#include "ir/ops/compose.h"
#include "ir/ops/ops_common.h"

/* ---- activations at the end of Conv and Gemm ---- */

typedef struct Activation {
    const char *name;
    const char *first, *second; /* attributes that the parameters are, or NULL */
} Activation;

static const Activation activations[] = {
    {"", NULL, NULL},         {"Relu", NULL, NULL},         {"Tanh", NULL, NULL},
    {"Sigmoid", NULL, NULL},  {"LeakyRelu", "alpha", NULL}, {"HardSigmoid", "alpha", "beta"},
    {"Clip", NULL, NULL},     {"Elu", "alpha", NULL},       {"ThresholdedRelu", "alpha", NULL},
    {"Softplus", NULL, NULL}, {"Softsign", NULL, NULL},     {"HardSwish", NULL, NULL},
    {NULL, NULL, NULL},
};

static Value *activate(Build *b, const Node *n, Value *v, int count, const double *param)
{
    const char *name = attr_string(n, "activation", "");
    const Activation *a = activations;
    Attr attr[2];
    int used = 0;

    while (a->name && strcmp(a->name, name) != 0)
        a++;
    if (!a->name) {
        build_fail(b, op_unsupported(n, b->diag, "the activation \"%s\"", name));
        return NULL;
    }
    if (!*name || !v) return v;
    if (strcmp(name, "Clip") == 0 && count >= 2)
        return build_op(b, "Clip", 3,
                        (Value *[]){v, make_scalar(b, v, param[0]), make_scalar(b, v, param[1])}, 0,
                        NULL);
    if (a->first && count > 0) attr[used++] = attr_of_float(a->first, param[0]);
    if (a->second && count > 1) attr[used++] = attr_of_float(a->second, param[1]);
    return build_op(b, name, 1, &v, used, attr);
}

/* With parameters as attributes of their own. */
static Value *activate_fused(Build *b, const Node *n, Value *v)
{
    static const char *const names[] = {"activation_alpha", "activation_beta"};
    double param[2];
    int count = 0;

    for (; count < 2 && attr_find(n, names[count]); count++)
        param[count] = attr_float(n, names[count], 0);
    return activate(b, n, v, count, param);
}

static Status lower_fused_conv(Build *b, const Node *n, Value **out)
{
    static const char *const attrs[] = {"auto_pad", "dilations", "group", "kernel_shape",
                                        "pads",     "strides",   NULL};
    const Attr *param = attr_find(n, "activation_params");
    Value *v = make_like(b, n, "Conv", 3, (Value *[]){n->in[0], n->in[1], in_value(n, 2)}, attrs);

    v = make_plus(b, v, in_value(n, 3));
    out[0] = activate(b, n, v, param ? param->n : 0, param ? param->floats : NULL);
    return b->status;
}

static Status lower_nhwc_conv(Build *b, const Node *n, Value **out)
{
    static const char *const attrs[] = {"auto_pad", "dilations", "group", "kernel_shape",
                                        "pads",     "strides",   NULL};
    Value *in[3] = {make_moved_channels(b, n->in[0], false), n->in[1], in_value(n, 2)};

    out[0] = make_moved_channels(b, make_like(b, n, "Conv", 3, in, attrs), true);
    return b->status;
}

static Status lower_fused_gemm(Build *b, const Node *n, Value **out)
{
    static const char *const attrs[] = {"alpha", "beta", "transA", "transB", NULL};
    Value *v = make_like(b, n, "Gemm", 3, (Value *[]){n->in[0], n->in[1], in_value(n, 2)}, attrs);

    out[0] = activate_fused(b, n, v);
    return b->status;
}

/* ---- FusedMatMul: alpha op(A) op(B) ---- */

/* `batch`: the first axis stands for the rows, and goes behind the batch. */
static Value *turned(Build *b, Value *v, bool batch, bool swap)
{
    int perm[MAX_RANK], rank = v->type.rank, keep;

    if (rank < 2 || !(batch || swap)) return v;
    for (int i = 0; i < rank; i++)
        perm[i] = i;
    if (batch) {
        for (int i = 0; i < rank - 2; i++)
            perm[i] = i + 1;
        perm[rank - 2] = 0;
    }
    keep = perm[rank - 1];
    if (swap) {
        perm[rank - 1] = perm[rank - 2];
        perm[rank - 2] = keep;
    }
    return build_transpose(b, v, perm);
}

static Status lower_fused_matmul(Build *b, const Node *n, Value **out)
{
    Value *x = turned(b, n->in[0], attr_int(n, "transBatchA", 0), attr_int(n, "transA", 0));
    Value *y = turned(b, n->in[1], attr_int(n, "transBatchB", 0), attr_int(n, "transB", 0));
    Value *v = build_op2(b, "MatMul", x, y);
    double alpha = attr_float(n, "alpha", 1);

    if (alpha != 1) v = make_mul(b, v, make_scalar(b, v, alpha));
    out[0] = activate_fused(b, n, v);
    return b->status;
}

/* ---- GELUs ---- */

static Value *gelu(Build *b, Value *v, const char *form)
{
    Attr a = attr_of_string("approximate", form);

    return build_op(b, "Gelu", 1, &v, 1, &a);
}

static Status lower_gelu(Build *b, const Node *n, Value **out)
{
    out[0] = gelu(b, make_plus(b, n->in[0], in_value(n, 1)), "none");
    return b->status;
}

static Status lower_fast_gelu(Build *b, const Node *n, Value **out)
{
    out[0] = gelu(b, make_plus(b, n->in[0], in_value(n, 1)), "tanh");
    return b->status;
}

static Status lower_quick_gelu(Build *b, const Node *n, Value **out)
{
    Value *x = n->in[0], *alpha = make_scalar(b, x, attr_float(n, "alpha", 1.702));

    out[0] = make_mul(b, x, make_unary(b, "Sigmoid", make_mul(b, x, alpha)));
    return b->status;
}

/* ---- normalisations ---- */

/* Results 0, 1, 2 of LayerNormalization, as far as the node wants them. */
static void layer_norm(Build *b, const Node *n, Value *x, Value *gamma, Value *beta, Value **out)
{
    Attr attr[2] = {attr_of_int("axis", -1), attr_of_float("epsilon", attr_float(n, "epsilon", 0))};
    int wanted = n->n_out < 3 ? n->n_out : 3;
    Node *y = build_op_node(b, NULL, "LayerNormalization", 3, (Value *[]){x, gamma, beta}, wanted,
                            2, attr);

    for (int k = 0; y && k < wanted; k++)
        out[k] = y->out[k];
}

/* x + skip + bias: narrow floats are summed, and what is wanted of the sum is computed, in f32. */
static Value *skip_sum(Build *b, const Node *n, int bias)
{
    DType wide = compute_dtype(in_type(n, 0)->dtype);
    Value *sum = make_add(b, make_cast(b, n->in[0], wide), make_cast(b, n->in[1], wide));

    return has_in(n, bias) ? make_add(b, sum, make_cast(b, n->in[bias], wide)) : sum;
}

static Status lower_skip_norm(Build *b, const Node *n, Value **out)
{
    DType type = in_type(n, 0)->dtype, wide = compute_dtype(type);
    Value *sum = skip_sum(b, n, 4), *gamma = make_cast(b, n->in[2], wide), *beta = NULL;

    if (has_in(n, 3)) beta = make_cast(b, n->in[3], wide);
    layer_norm(b, n, sum, gamma, beta, out);
    out[0] = make_cast(b, out[0], type);
    if (has_out(n, 3)) out[3] = make_cast(b, sum, type);
    return b->status;
}

/* 1 / sqrt(mean of squares + epsilon) over the axes from `axis` on. */
static Value *inverse_rms(Build *b, const Node *n, Value *x, int64_t axis)
{
    int64_t axes[MAX_RANK];
    int count = 0, rank = x ? x->type.rank : 0;
    Value *v = build_op2(b, "Mul", x, x);

    for (int64_t i = axis < 0 ? axis + rank : axis; i < rank; i++)
        axes[count++] = i;
    v = build_op2(b, "ReduceMean", v, build_i64(b, count, axes));
    v = make_unary(b, "Sqrt", make_add(b, v, make_scalar(b, v, attr_float(n, "epsilon", 0))));
    return make_unary(b, "Reciprocal", v);
}

static Value *rms_norm(Build *b, const Node *n, Value *x, Value *gamma, int64_t axis)
{
    Attr attr[2] = {attr_of_int("axis", axis),
                    attr_of_float("epsilon", attr_float(n, "epsilon", 0))};

    return build_op(b, "RMSNormalization", 2, (Value *[]){x, gamma}, 2, attr);
}

static Status lower_skip_simple(Build *b, const Node *n, Value **out)
{
    DType type = in_type(n, 0)->dtype, wide = compute_dtype(type);
    Value *sum = skip_sum(b, n, 3);

    out[0] = make_cast(b, rms_norm(b, n, sum, make_cast(b, n->in[2], wide), -1), type);
    if (has_out(n, 1)) return op_unsupported(n, b->diag, "the output \"mean\"");
    if (has_out(n, 2)) out[2] = inverse_rms(b, n, sum, -1);
    if (has_out(n, 3)) out[3] = make_cast(b, sum, type);
    return b->status;
}

static Status lower_simple_norm(Build *b, const Node *n, Value **out)
{
    int64_t axis = attr_int(n, "axis", -1);
    int at;

    TRY(infer_axis(n, b->diag, "axis", axis, in_type(n, 0)->rank, &at));
    out[0] = rms_norm(b, n, n->in[0], n->in[1], at);
    if (has_out(n, 1)) out[1] = inverse_rms(b, n, n->in[0], at);
    return b->status;
}

/* ---- EmbedLayerNormalization ---- */

/* 0, 1, ... as indices of the positions of a sequence. */
static Value *positions(Build *b, Dim length)
{
    return build_map(b, "positions", 0, NULL, DT_I64, 1, &length, sx_index(b->sx, 0));
}

static Status lower_embed(Build *b, const Node *n, Value **out)
{
    const Type *ids = in_type(n, 0);
    Value *sum, *place, *norm[3] = {NULL}, *zero;
    int64_t kind = attr_int(n, "mask_index_type", 1);

    place = has_in(n, 8) ? n->in[8] : positions(b, ids->dim[1]);
    sum = make_gather(b, n->in[2], n->in[0], 0);
    sum = make_add(b, sum, make_gather(b, n->in[3], place, 0));
    if (has_in(n, 1) && has_in(n, 4)) sum = make_add(b, sum, make_gather(b, n->in[4], n->in[1], 0));
    layer_norm(b, n, sum, n->in[5], n->in[6], norm);
    out[0] = norm[0];
    if (has_out(n, 1) && has_in(n, 7) && kind == 1) {
        out[1] = make_reduce(b, "ReduceSum", n->in[7], 1, false);
    } else if (has_out(n, 1) && has_in(n, 7)) {
        return op_unsupported(n, b->diag, "mask_index_type %lld", (long long)kind);
    } else if (has_out(n, 1)) {
        zero = build_scalar(b, DT_I32, 0);
        if (zero)
            out[1] = build_map(b, "mask_index", 0, NULL, DT_I32, 1, ids->dim,
                               sx_const_int(b->sx, DT_I32, 0));
    }
    if (has_out(n, 2)) out[2] = sum;
    return b->status;
}

/* ---- products with quantised weights ---- */

static Value *scaled_product(Build *b, Value *const *product, Value *sa, Value *sb, Value *bias)
{
    Value *v = build_op(b, "MatMulInteger", 4, product, 0, NULL);

    v = make_cast(b, v, DT_F32);
    return make_plus(b, make_mul(b, v, make_mul(b, sa, sb)), bias);
}

static Status lower_dynamic_matmul(Build *b, const Node *n, Value **out)
{
    Node *q = build_op_node(b, NULL, "DynamicQuantizeLinear", 1, n->in, 3, 0, NULL);
    Value *product[4];

    if (!q) return b->status;
    product[0] = q->out[0];
    product[1] = n->in[1];
    product[2] = q->out[2];
    product[3] = in_value(n, 3);
    out[0] = scaled_product(b, product, q->out[1], n->in[2], in_value(n, 4));
    return b->status;
}

static Status lower_integer_to_float(Build *b, const Node *n, Value **out)
{
    Value *product[4] = {n->in[0], n->in[1], in_value(n, 4), in_value(n, 5)};

    out[0] = scaled_product(b, product, n->in[2], n->in[3], in_value(n, 6));
    return b->status;
}

/* ---- the conversions, as com.microsoft has them ---- */

static Status lower_conversion(Build *b, const Node *n, Value **out)
{
    static const char *const attrs[] = {"axis", "block_size", NULL};

    out[0] =
        make_like(b, n, n->op->name, 3, (Value *[]){n->in[0], n->in[1], in_value(n, 2)}, attrs);
    return b->status;
}

/* ---- the table ---- */

#define CONV_ATTRS                                                                                 \
    ATTR_S("auto_pad", "NOTSET"), ATTR_OPT("dilations", ATTR_INTS), ATTR_I("group", 1),            \
        ATTR_OPT("kernel_shape", ATTR_INTS), ATTR_OPT("pads", ATTR_INTS),                          \
        ATTR_OPT("strides", ATTR_INTS)
#define T_CODES  (T_BYTE | DT_BIT(DT_U16) | DT_BIT(DT_I16) | DT_BIT(DT_U4) | DT_BIT(DT_I4))
#define T_HALVES (T_F32 | DT_BIT(DT_F16))

const OpDef contrib_ops[] = {
    {.name = "FusedConv",
     .about = "activation(Conv + Z)",
     ROW_IN({"X", T_FLOAT, "T"}, {"W", T_FLOAT, "T"}, {"B", T_FLOAT, "T", true},
            {"Z", T_FLOAT, "T", true}),
     ROW_OUT({"Y", T_FLOAT, "T"}),
     ROW_ATTRS(CONV_ATTRS, ATTR_S("activation", ""), ATTR_OPT("activation_params", ATTR_FLOATS)),
     MICROSOFT_ROW(lower_fused_conv)},
    {.name = "NhwcConv",
     .about = "Conv of channels last",
     ROW_IN({"X", T_FLOAT, "T"}, {"W", T_FLOAT, "T"}, {"B", T_FLOAT, "T", true}),
     ROW_OUT({"Y", T_FLOAT, "T"}),
     ROW_ATTRS(CONV_ATTRS),
     MICROSOFT_ROW(lower_nhwc_conv)},
    {.name = "FusedGemm",
     .about = "activation(Gemm)",
     ROW_IN({"A", T_FLOAT, "T"}, {"B", T_FLOAT, "T"}, {"C", T_FLOAT, "T", true}),
     ROW_OUT({"Y", T_FLOAT, "T"}),
     ROW_ATTRS(ATTR_S("activation", ""), ATTR_OPT("activation_alpha", ATTR_FLOAT),
               ATTR_OPT("activation_beta", ATTR_FLOAT), ATTR_OPT("activation_gamma", ATTR_FLOAT),
               ATTR_F("alpha", 1), ATTR_F("beta", 1), ATTR_I("transA", 0), ATTR_I("transB", 0)),
     MICROSOFT_ROW(lower_fused_gemm)},
    {.name = "FusedMatMul",
     .about = "alpha times the product of A and B or their transposes",
     ROW_IN({"A", T_FLOAT, "T"}, {"B", T_FLOAT, "T"}),
     ROW_OUT({"Y", T_FLOAT, "T"}),
     ROW_ATTRS(ATTR_F("alpha", 1), ATTR_I("transA", 0), ATTR_I("transB", 0),
               ATTR_I("transBatchA", 0), ATTR_I("transBatchB", 0)),
     MICROSOFT_ROW(lower_fused_matmul)},
    {.name = "FusedMatMulActivation",
     .about = "activation(FusedMatMul)",
     ROW_IN({"A", T_FLOAT, "T"}, {"B", T_FLOAT, "T"}),
     ROW_OUT({"Y", T_FLOAT, "T"}),
     ROW_ATTRS(ATTR_F("alpha", 1), ATTR_I("transA", 0), ATTR_I("transB", 0),
               ATTR_I("transBatchA", 0), ATTR_I("transBatchB", 0),
               ATTR_REQ("activation", ATTR_STRING), ATTR_OPT("activation_alpha", ATTR_FLOAT),
               ATTR_OPT("activation_beta", ATTR_FLOAT), ATTR_OPT("activation_gamma", ATTR_FLOAT),
               ATTR_OPT("activation_axis", ATTR_INT)),
     MICROSOFT_ROW(lower_fused_matmul)},
    {.name = "SparseToDenseMatMul",
     .about = "alpha A B; A a constant that the model holds in sparse form",
     ROW_IN({"A", T_FLOAT, "T", .ranks = RANK(2)}, {"B", T_FLOAT, "T"}),
     ROW_OUT({"Y", T_FLOAT, "T"}),
     ROW_ATTRS(ATTR_F("alpha", 1), ATTR_I("transA", 0), ATTR_I("transB", 0)),
     MICROSOFT_ROW(lower_fused_matmul)},
    {.name = "Gelu",
     .about = "x/2 (1 + erf(x/sqrt 2))",
     ROW_IN({"X", T_FLOAT, "T"}),
     ROW_OUT({"Y", T_FLOAT, "T"}),
     MICROSOFT_ROW(lower_gelu)},
    {.name = "BiasGelu",
     .about = "Gelu(A + B)",
     ROW_IN({"A", T_FLOAT, "T"}, {"B", T_FLOAT, "T"}),
     ROW_OUT({"C", T_FLOAT, "T"}),
     MICROSOFT_ROW(lower_gelu)},
    {.name = "FastGelu",
     .about = "Gelu(X + bias), approximated by tanh",
     ROW_IN({"X", T_FLOAT, "T"}, {"bias", T_FLOAT, "T", true}),
     ROW_OUT({"Y", T_FLOAT, "T"}),
     MICROSOFT_ROW(lower_fast_gelu)},
    {.name = "QuickGelu",
     .about = "x sigmoid(alpha x)",
     ROW_IN({"X", T_FLOAT, "T"}),
     ROW_OUT({"Y", T_FLOAT, "T"}),
     ROW_ATTRS(ATTR_F("alpha", (double)1.702f)),
     MICROSOFT_ROW(lower_quick_gelu)},
    {.name = "SkipLayerNormalization",
     .about = "LayerNormalization(input + skip + bias)",
     ROW_IN({"input", T_FLOAT, "T", .ranks = RANK(2) | RANK(3)}, {"skip", T_FLOAT, "T"},
            {"gamma", T_FLOAT, "T", .ranks = RANK(1)},
            {"beta", T_FLOAT, "T", true, .ranks = RANK(1)},
            {"bias", T_FLOAT, "T", true, .ranks = RANK(1)}),
     ROW_OUT({"output", T_FLOAT, "T"}, {"mean", T_FLOAT, "U", true},
             {"inv_std_var", T_FLOAT, "U", true}, {"input_skip_bias_sum", T_FLOAT, "T", true}),
     ROW_ATTRS(ATTR_F("epsilon", (double)1e-12f)),
     MICROSOFT_ROW(lower_skip_norm)},
    {.name = "SkipSimplifiedLayerNormalization",
     .about = "RMSNormalization(input + skip + bias)",
     ROW_IN({"input", T_FLOAT, "T", .ranks = RANK(2) | RANK(3)}, {"skip", T_FLOAT, "T"},
            {"gamma", T_FLOAT, "T", .ranks = RANK(1)},
            {"bias", T_FLOAT, "T", true, .ranks = RANK(1)}),
     ROW_OUT({"output", T_FLOAT, "T"}, {"mean", T_FLOAT, "U", true},
             {"inv_std_var", T_FLOAT, "U", true}, {"input_skip_bias_sum", T_FLOAT, "T", true}),
     ROW_ATTRS(ATTR_F("epsilon", (double)1e-12f)),
     MICROSOFT_ROW(lower_skip_simple)},
    {.name = "SimplifiedLayerNormalization",
     .about = "RMSNormalization",
     ROW_IN({"X", T_FLOAT, "T"}, {"scale", T_FLOAT, "V"}),
     ROW_OUT({"Y", T_FLOAT, "V"}, {"inv_std_var", T_FLOAT, "U", true}),
     ROW_ATTRS(ATTR_I("axis", -1), ATTR_F("epsilon", (double)1e-5f), ATTR_I("stash_type", 1)),
     MICROSOFT_ROW(lower_simple_norm)},
    {.name = "SimplifiedLayerNormalization", /* exporters write it without a domain, too */
     .since = 1,
     .about = "RMSNormalization",
     ROW_IN({"X", T_FLOAT, "T"}, {"scale", T_FLOAT, "V"}),
     ROW_OUT({"Y", T_FLOAT, "V"}, {"inv_std_var", T_FLOAT, "U", true}),
     ROW_ATTRS(ATTR_I("axis", -1), ATTR_F("epsilon", (double)1e-5f), ATTR_I("stash_type", 1)),
     .traits = OP_PURE,
     .infer = compose_infer,
     .eval = compose_eval,
     .lower = lower_simple_norm},
    {.name = "EmbedLayerNormalization",
     .about = "LayerNormalization of the sum of word, position and segment embeddings",
     ROW_IN({"input_ids", T_IDS, "T1", .ranks = RANK(2)},
            {"segment_ids", T_IDS, "T1", true, .ranks = RANK(2)},
            {"word_embedding", T_FLOAT, "T", .ranks = RANK(2)},
            {"position_embedding", T_FLOAT, "T", .ranks = RANK(2)},
            {"segment_embedding", T_FLOAT, "T", true, .ranks = RANK(2)},
            {"gamma", T_FLOAT, "T", .ranks = RANK(1)}, {"beta", T_FLOAT, "T", .ranks = RANK(1)},
            {"mask", DT_BIT(DT_I32), NULL, true, .ranks = RANK(2)},
            {"position_ids", T_IDS, NULL, true, .ranks = RANK(2)}),
     ROW_OUT({"output", T_FLOAT, "T"}, {"mask_index", DT_BIT(DT_I32), NULL, true},
             {"embedding_sum", T_FLOAT, "T", true}),
     ROW_ATTRS(ATTR_F("epsilon", (double)1e-12f), ATTR_I("mask_index_type", 1)),
     MICROSOFT_ROW(lower_embed)},
    {.name = "DynamicQuantizeMatMul",
     .about = "A, quantised by its range, times quantised B",
     ROW_IN({"A", T_F32}, {"B", T_BYTE, "T2"}, {"b_scale", T_F32},
            {"b_zero_point", T_BYTE, "T2", true}, {"bias", T_F32, NULL, true}),
     ROW_OUT({"Y", T_F32}),
     MICROSOFT_ROW(lower_dynamic_matmul)},
    {.name = "MatMulIntegerToFloat",
     .about = "product of quantised A and B, as floats",
     ROW_IN({"A", T_BYTE, "T1"}, {"B", T_BYTE, "T2"}, {"a_scale", T_F32}, {"b_scale", T_F32},
            {"a_zero_point", T_BYTE, "T1", true}, {"b_zero_point", T_BYTE, "T2", true},
            {"bias", T_F32, NULL, true}),
     ROW_OUT({"Y", T_F32}),
     MICROSOFT_ROW(lower_integer_to_float)},
    {.name = "QuantizeLinear",
     .about = "saturate(round(x / scale) + zero point)",
     ROW_IN({"x", T_HALVES, "T1"}, {"y_scale", T_HALVES, "T1"},
            {"y_zero_point", T_CODES, "T2", true}),
     ROW_OUT({"y", T_CODES, "T2"}),
     ROW_ATTRS(ATTR_I("axis", 1), ATTR_I("block_size", 0)),
     MICROSOFT_ROW(lower_conversion)},
    {.name = "DequantizeLinear",
     .about = "(x - zero point) * scale",
     ROW_IN({"x", T_CODES | DT_BIT(DT_I32), "T1"}, {"x_scale", T_HALVES, "T2"},
            {"x_zero_point", T_CODES | DT_BIT(DT_I32), "T1", true}),
     ROW_OUT({"y", T_HALVES, "T2"}),
     ROW_ATTRS(ATTR_I("axis", 1), ATTR_I("block_size", 0)),
     MICROSOFT_ROW(lower_conversion)},
    {0},
};
