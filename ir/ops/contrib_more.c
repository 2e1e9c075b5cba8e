/* contrib_more.c: operators of com.microsoft that are short formulas: products with what stands
 * around them, Fourier transforms, complex products, states of linear attention. */
#include <string.h>

#include "ir/mathd.h"
#include "ir/ops/compose.h"
#include "ir/ops/ops_common.h"

#define MS       "com.microsoft"
#define T_GATES  (T_F32 | DT_BIT(DT_F16) | DT_BIT(DT_BF16))
#define T_16     (DT_BIT(DT_I16) | DT_BIT(DT_U16))
#define T_FLOAT8 (DT_BIT(DT_F8E4M3FN) | DT_BIT(DT_F8E5M2) | T_GATES)

/* ---- other names ---- */

static Status lower_embedding(Build *b, const Node *n, Value **out)
{
    out[0] = make_gather(b, n->in[0], n->in[1], 0);
    return b->status;
}

static Status lower_echo(Build *b, const Node *n, Value **out)
{
    out[0] = build_op1(b, "Identity", n->in[0]);
    return b->status;
}

/* Of x, with ratio and training mode from input `at` on. */
static Node *dropout(Build *b, const Node *n, Value *x, int at)
{
    Value *in[3] = {x, in_value(n, at), in_value(n, at + 1)};
    Attr seed = attr_of_int("seed", attr_int(n, "seed", 0));

    if (b->status != OK) return NULL;
    return build_op_node(b, NULL, "Dropout", 3, in, has_out(n, 1) ? 2 : 1,
                         attr_find(n, "seed") != NULL, &seed);
}

static Status lower_bias_dropout(Build *b, const Node *n, Value **out)
{
    Node *y = dropout(b, n, make_add(b, n->in[0], n->in[1]), 3);

    if (!y) return b->status;
    out[0] = make_plus(b, y->out[0], in_value(n, 2));
    if (has_out(n, 1)) out[1] = y->out[1];
    return b->status;
}

static Status lower_bitmask_dropout(Build *b, const Node *n, Value **out)
{
    Node *y;

    if (has_out(n, 1)) return op_unsupported(n, b->diag, "the mask as bits");
    y = dropout(b, n, n->in[0], 1);
    out[0] = y ? y->out[0] : NULL;
    return b->status;
}

static Status lower_bitmask_bias(Build *b, const Node *n, Value **out)
{
    if (has_out(n, 1)) return op_unsupported(n, b->diag, "the mask as bits");
    return lower_bias_dropout(b, n, out);
}

/* ---- IsAllFinite ---- */

static Value *all_finite(Build *b, const Node *n, Value *v)
{
    SxTable *t = b->sx;
    const Sx *idx[MAX_RANK], *x, *e;
    Acc acc = {.monoid = MONOID_AND, .dtype = DT_BOOL};

    for (int i = 0; i < v->type.rank; i++)
        idx[i] = sx_index(t, i);
    x = sx_compute(b, sx_at(b, 0, v, idx));
    e = sx_eq(t, x, x);
    if (attr_int(n, "isinf_only", 0)) /* x / x of an infinity is none of them */
        e = sx_or(t, sx_ne(t, x, x), sx_eq(t, sx_sub(t, x, x), sx_const(t, x->dtype, 0)));
    else if (!attr_int(n, "isnan_only", 0))
        e = sx_eq(t, sx_sub(t, x, x), sx_const(t, x->dtype, 0));
    acc.body = e;
    return build_reduce(b, "finite", 1, &v, 0, NULL, v->type.rank, v->type.dim, ORDER_CHAIN, acc,
                        DT_BOOL, NULL);
}

static Status lower_finite(Build *b, const Node *n, Value **out)
{
    Value *all = NULL;

    for (int k = 0; k < n->n_in && b->status == OK; k++) {
        Value *v = all_finite(b, n, n->in[k]);
        all = all ? build_op2(b, "And", all, v) : v;
    }
    out[0] = all;
    return b->status;
}

/* ---- complex numbers ---- */

static Value *part_of(Build *b, Value *v, int which)
{
    return v ? make_slice(b, v, v->type.rank - 1, which, which + 1, 1) : NULL;
}

static Status complex_product(Build *b, const Node *n, double sign, Value **out)
{
    Value *x[2], *y[2], *part[2];

    for (int k = 0; k < 2; k++)
        if (in_type(n, k)->rank < 1 || !dim_is(in_type(n, k)->dim[in_type(n, k)->rank - 1], 2))
            return op_error(n, b->diag, n->op->in[k].name,
                            "%s: the last axis is not that of real and imaginary part",
                            n->op->name);
    for (int i = 0; i < 2; i++) {
        x[i] = part_of(b, n->in[0], i);
        y[i] = part_of(b, n->in[1], i);
    }
    if (sign < 0) y[1] = make_unary(b, "Neg", y[1]);
    part[0] = make_sub(b, make_mul(b, x[0], y[0]), make_mul(b, x[1], y[1]));
    part[1] = make_add(b, make_mul(b, x[0], y[1]), make_mul(b, x[1], y[0]));
    *out = make_concat(b, 2, part, -1);
    return b->status;
}

static Status lower_complex_mul(Build *b, const Node *n, Value **out)
{
    return complex_product(b, n, 1, &out[0]);
}

static Status lower_complex_conj(Build *b, const Node *n, Value **out)
{
    return complex_product(b, n, -1, &out[0]);
}

static Status fft_check(const Node *n, Diag *d)
{
    if (attr_int(n, "signal_ndim", 1) != 1 || attr_int(n, "normalized", 0) ||
        !attr_int(n, "onesided", 1))
        return op_unsupported(n, d, "more than one dimension, normalized, or two sides");
    return OK;
}

static Value *dft(Build *b, Value *v, int64_t onesided, int64_t inverse)
{
    Attr attr[2] = {attr_of_int("onesided", onesided), attr_of_int("inverse", inverse)};

    return build_op(b, "DFT", 3, (Value *[]){v, NULL, build_scalar(b, DT_I64, -2)}, 2, attr);
}

static Status lower_rfft(Build *b, const Node *n, Value **out)
{
    TRY(fft_check(n, b->diag));
    out[0] = dft(b, make_unsqueeze(b, n->in[0], -1), 1, 0);
    return b->status;
}

/* The half that is missing is the conjugate of the one that is there. */
static Status lower_irfft(Build *b, const Node *n, Value **out)
{
    const Type *x = in_type(n, 0);
    Value *rest[2], *all;
    int64_t count;

    TRY(fft_check(n, b->diag));
    if (x->rank < 2 || !dim_is(x->dim[x->rank - 1], 2) || !dim_is_const(x->dim[x->rank - 2]) ||
        x->dim[x->rank - 2]->value < 2)
        return op_error(n, b->diag, "X", "Irfft: expected [..., a known number above 1, 2]");
    count = x->dim[x->rank - 2]->value;
    all = n->in[0];
    if (count > 2) {
        Value *turned = make_slice(b, n->in[0], x->rank - 2, count - 2, 0, -1);
        rest[0] = part_of(b, turned, 0);
        rest[1] = make_unary(b, "Neg", part_of(b, turned, 1));
        all = make_concat(b, 2, (Value *[]){n->in[0], make_concat(b, 2, rest, -1)}, -2);
    }
    all = part_of(b, dft(b, all, 0, 1), 0);
    out[0] = all ? make_reshape(b, all, all->type.rank - 1, all->type.dim) : NULL;
    return b->status;
}

/* ---- products ---- */

static Status lower_integer16(Build *b, const Node *n, Value **out)
{
    bool positive = in_type(n, 0)->dtype == DT_U16 && in_type(n, 1)->dtype == DT_U16;
    DType type = positive ? DT_U32 : DT_I32;

    out[0] = build_op2(b, "MatMul", make_cast(b, n->in[0], type), make_cast(b, n->in[1], type));
    return b->status;
}

static Value *scaled(Build *b, Value *v, Value *scale)
{
    v = make_cast(b, v, DT_F32);
    return scale ? make_mul(b, v, make_reshape(b, scale, 0, NULL)) : v;
}

static Status lower_gemm8(Build *b, const Node *n, Value **out)
{
    static const char *const attrs[] = {"transA", "transB", "alpha", "beta", NULL};
    const char *act = attr_string(n, "activation", "NONE");
    DType type = dtype_from_onnx((int)attr_int(n, "dtype", 1));
    Value *in[3] = {scaled(b, n->in[0], in_value(n, 3)), scaled(b, n->in[1], in_value(n, 4)), NULL};
    Value *v;

    if (type == DT_NONE || !(DT_BIT(type) & T_FLOAT8))
        return op_error(n, b->diag, "dtype", "GemmFloat8: found %lld, expected a float",
                        (long long)attr_int(n, "dtype", 1));
    if (has_in(n, 2) && attr_float(n, "beta", 0) != 0) in[2] = make_cast(b, n->in[2], DT_F32);
    v = make_like(b, n, "Gemm", 3, in, attrs);
    if (strcmp(act, "RELU") == 0)
        v = make_unary(b, "Relu", v);
    else if (strcmp(act, "GELU") == 0)
        v = make_unary(b, "Gelu", v);
    else if (strcmp(act, "NONE") != 0 && *act)
        return op_error(n, b->diag, "activation",
                        "GemmFloat8: found \"%s\", expected RELU, GELU or NONE", act);
    out[0] = make_cast(b, scaled(b, v, in_value(n, 5)), type);
    return b->status;
}

/* Weights [N, K] with a scale for each block of K, both as f32; the scales may end in a part. */
static Value *block_weights(Build *b, const Node *n, Value *w, Value *scale)
{
    SxTable *t = b->sx;
    int64_t size = attr_int(n, "block_size", 128);
    const Sx *row = sx_index(t, 0), *at = sx_index(t, 1), *block, *e;

    if (!w || !scale) return NULL;
    if (w->type.rank != 2 || scale->type.rank != 2 || size < 1) {
        build_fail(b, op_error(n, b->diag, "block_size",
                               "%s: weights and scales of ranks %d and %d in blocks of %lld",
                               n->op->name, w->type.rank, scale->type.rank, (long long)size));
        return NULL;
    }
    block = sx_floor_div(t, at, sx_i64(b, size));
    e = sx_mul(t, sx_load(t, DT_F32, 0, 2, (const Sx *[]){row, at}, NULL),
               sx_load(t, DT_F32, 1, 2, (const Sx *[]){row, block}, NULL));
    build_require_equal(b, scale->type.dim[0], w->type.dim[0]);
    build_require_equal(b, scale->type.dim[1],
                        dim_ceil_div(b->dims, w->type.dim[1], dim_const(b->dims, size)));
    return build_map(b, "weights", 2, (Value *[]){w, scale}, DT_F32, 2, w->type.dim, e);
}

static Status by_weights(Build *b, const Node *n, Value *x, Value *w, Value *bias, Value **out)
{
    DType type = in_type(n, 0)->dtype;
    Value *v;

    if (!w) return b->status;
    v = build_op2(b, "MatMul", x, build_transpose(b, w, (const int[]){1, 0}));
    if (bias) v = make_add(b, v, make_cast(b, bias, DT_F32));
    *out = make_cast(b, v, type);
    return b->status;
}

static Status lower_fp8_weight(Build *b, const Node *n, Value **out)
{
    Value *x = make_cast(b, n->in[0], DT_F32), *scale, *w;

    if (has_in(n, 3)) { /* rounded as the weights are */
        scale = make_reshape(b, n->in[3], 0, NULL);
        x = make_cast(b, make_div(b, x, scale), in_type(n, 1)->dtype);
        x = make_mul(b, make_cast(b, x, DT_F32), scale);
    }
    w = block_weights(b, n, make_cast(b, n->in[1], DT_F32), n->in[2]);
    return by_weights(b, n, x, w, in_value(n, 4), &out[0]);
}

/* 4-bit floats of two exponent bits and one of fraction, two in a byte, the low one first. */
static Value *four_bit_floats(Build *b, Value *v)
{
    SxTable *t = b->sx;
    const Sx *row = sx_index(t, 0), *at = sx_index(t, 1), *two = sx_i64(b, 2), *byte, *code, *e;
    const Sx *half = sx_const(t, DT_F32, 0.5), *one = sx_const_int(t, DT_I32, 1), *power, *part;
    Dim dims[2];

    if (!v || v->type.rank != 2) return v;
    dims[0] = v->type.dim[0];
    dims[1] = dim_mul_c(b->dims, v->type.dim[1], 2);
    byte = sx_load(t, DT_U8, 0, 2, (const Sx *[]){row, sx_floor_div(t, at, two)}, NULL);
    code = sx_mul(t, sx_cast(t, sx_floor_mod(t, at, two), DT_I32), sx_const_int(t, DT_I32, 4));
    code = sx_shr(t, sx_cast(t, byte, DT_I32), code);
    power = sx_and(t, sx_shr(t, code, one), sx_const_int(t, DT_I32, 3));
    part = sx_mul(t, sx_cast(t, sx_and(t, code, one), DT_F32), half);
    e = sx_cast(t, sx_shl(t, one, power), DT_F32); /* twice the power of two */
    e = sx_mul(t, sx_mul(t, e, half), sx_add(t, part, sx_const(t, DT_F32, 1)));
    e = sx_select(t, sx_eq(t, power, sx_const_int(t, DT_I32, 0)), part, e);
    code = sx_and(t, sx_shr(t, code, sx_const_int(t, DT_I32, 3)), one);
    e = sx_select(t, sx_eq(t, code, one), sx_neg(t, e), e);
    return build_map(b, "floats", 1, &v, DT_F32, 2, dims, e);
}

/* Bytes that are 8-bit floats. */
static Value *eight_bit_floats(Build *b, Value *v)
{
    SxTable *t = b->sx;
    const Sx *idx[MAX_RANK], *e;

    if (!v) return NULL;
    for (int i = 0; i < v->type.rank; i++)
        idx[i] = sx_index(t, i);
    e = sx_cast(t, sx_bitcast(t, sx_at(b, 0, v, idx), DT_F8E4M3FN), DT_F32);
    return build_map(b, "floats", 1, &v, DT_F32, v->type.rank, v->type.dim, e);
}

static Status lower_fp4_weight(Build *b, const Node *n, Value **out)
{
    Value *scale = eight_bit_floats(b, n->in[2]), *w;

    scale = make_mul(b, scale, make_reshape(b, n->in[3], 0, NULL));
    w = block_weights(b, n, four_bit_floats(b, n->in[1]), scale);
    return by_weights(b, n, make_cast(b, n->in[0], DT_F32), w, in_value(n, 5), &out[0]);
}

/* ---- MatMulNBits with what stands around ---- */

static Value *nbits(Build *b, const Node *n, Value *x, int at, const char *columns)
{
    Attr attr[4] = {attr_of_int("K", attr_int(n, "K", 0)),
                    attr_of_int("N", attr_int(n, columns, 0)),
                    attr_of_int("bits", attr_int(n, "bits", 4)),
                    attr_of_int("block_size", attr_int(n, "block_size", 0))};
    Value *in[6] = {x, n->in[at], n->in[at + 1], NULL, NULL, in_value(n, at + 2)};
    Node *y = b->status == OK ? build_op_node(b, MS, "MatMulNBits", 6, in, 1, 4, attr) : NULL;

    return y ? y->out[0] : NULL;
}

/* A, normalised where there is a scale, after a sum with skip where there is one: that is *sum. */
static Value *normalised(Build *b, const Node *n, Value **sum)
{
    Attr epsilon = attr_of_float("epsilon", attr_float(n, "epsilon", 0));
    Value *x = n->in[0], *scale = in_value(n, 2);

    if (has_in(n, 1)) *sum = x = make_add(b, x, n->in[1]);
    return scale ? build_op(b, "RMSNormalization", 2, (Value *[]){x, scale}, 1, &epsilon) : x;
}

static Status lower_nbits_qkv(Build *b, const Node *n, Value **out)
{
    Value *sum = NULL, *x = normalised(b, n, &sum);

    for (int k = 0; k < 3; k++)
        out[k] = nbits(b, n, x, 3 + 3 * k, k ? "Nkv" : "Nq");
    if (has_out(n, 3)) out[3] = sum;
    return b->status;
}

static Status lower_nbits_mlp(Build *b, const Node *n, Value **out)
{
    const char *act = attr_string(n, "activation", "");
    Value *sum = NULL, *x = normalised(b, n, &sum), *gate, *up;

    if (strcmp(act, "silu") != 0)
        return op_error(n, b->diag, "activation", "MatMulNBitsMlp: found \"%s\", expected silu",
                        act);
    gate = nbits(b, n, x, 3, "N");
    up = nbits(b, n, x, 6, "N");
    out[0] = make_mul(b, make_mul(b, gate, make_unary(b, "Sigmoid", gate)), up);
    if (has_out(n, 1)) out[1] = sum;
    return b->status;
}

/* X W + (X A) B, of packed weights each; an adapter of no rows is none. */
static Status lower_nbits_lora(Build *b, const Node *n, Value **out)
{
    static const char *const bits[] = {"bits", "lora_bits"};
    static const char *const size[] = {"block_size", "lora_block_size"};
    const Type *down = in_type(n, 3);
    Value *v = n->in[0], *base = NULL;

    if (down->rank != 3 || !dim_is_const(down->dim[0]))
        return op_error(n, b->diag, "lora_A", "%s: rank %d, expected 3 and a known number of rows",
                        n->op->name, down->rank);
    for (int k = 0; k < (down->dim[0]->value ? 3 : 1); k++) {
        int64_t rank = down->dim[0]->value, full = attr_int(n, "N", 0);
        Attr attr[4] = {attr_of_int("K", k == 2 ? rank : attr_int(n, "K", 0)),
                        attr_of_int("N", k == 1 ? rank : full),
                        attr_of_int("bits", attr_int(n, bits[k > 0], k ? 8 : 4)),
                        attr_of_int("block_size", attr_int(n, size[k > 0], 32))};
        Value *in[3] = {v, n->in[1 + 2 * k], n->in[2 + 2 * k]};
        Node *y = b->status == OK ? build_op_node(b, MS, "MatMulNBits", 3, in, 1, 4, attr) : NULL;
        if (!y) return b->status;
        if (k == 0)
            base = y->out[0];
        else
            v = y->out[0];
    }
    out[0] = down->dim[0]->value ? make_add(b, base, v) : base;
    return b->status;
}

/* ---- linear attention ---- */

/* Queries [B, T, few * size], each head as often as there are heads of keys for it. */
static Value *repeated(Build *b, Value *q, int64_t few, int64_t many)
{
    SxTable *t = b->sx;
    int64_t size = q->type.dim[2]->value / few;
    const Sx *at = sx_index(t, 2), *by = sx_i64(b, size), *head;
    Dim dims[3] = {q->type.dim[0], q->type.dim[1], dim_const(b->dims, many * size)};

    head = sx_floor_div(t, sx_floor_div(t, at, by), sx_i64(b, many / few));
    at = sx_add(t, sx_mul(t, head, by), sx_floor_mod(t, at, by));
    return build_map(b, "heads", 1, &q, q->type.dtype, 3, dims,
                     sx_at(b, 0, q, (const Sx *[]){sx_index(t, 0), sx_index(t, 1), at}));
}

static Status lower_linear_attention(Build *b, const Node *n, Value **out)
{
    const Type *q = in_type(n, 0);
    int64_t heads = attr_int(n, "q_num_heads", 0), kv = attr_int(n, "kv_num_heads", 0);
    double scale = attr_float(n, "scale", 0);
    Value *in[6];
    Attr attr[4];
    Node *y;

    if (attr_int(n, "state_window", 0)) return op_unsupported(n, b->diag, "state_window");
    for (int k = 0; k < 6; k++)
        in[k] = in_value(n, k);
    if (heads < 1 || kv < 1 || q->rank != 3 || !dim_is_const(q->dim[2]) || q->dim[2]->value % heads)
        return op_error(n, b->diag, "q_num_heads",
                        "LinearAttention: %lld heads of queries of rank %d", (long long)heads,
                        q->rank);
    if (kv > heads && kv % heads == 0) {
        in[0] = repeated(b, in[0], heads, kv);
        heads = kv;
    }
    attr[0] = attr_of_int("q_num_heads", heads);
    attr[1] = attr_of_int("kv_num_heads", kv);
    attr[2] = attr_of_float("scale", scale);
    attr[3] = attr_of_string("update_rule", attr_string(n, "update_rule", "gated_delta"));
    if (b->status != OK) return b->status;
    y = build_op_node(b, NULL, "LinearAttention", 6, in, n->n_out < 2 ? 1 : 2, 4, attr);
    for (int k = 0; y && k < n->n_out && k < 2; k++)
        out[k] = y->out[k];
    return b->status;
}

static Status causal_check(const Node *n, Diag *d)
{
    static const char *const zero[] = {"state_update_capacity", "state_window", "state_length",
                                       "input_channel_offset", "input_channels"};

    for (size_t i = 0; i < sizeof zero / sizeof *zero; i++)
        if (attr_int(n, zero[i], 0)) return op_unsupported(n, d, "%s", zero[i]);
    if (attr_int(n, "ndim", 1) != 1 || in_type(n, 0)->rank != 3)
        return op_unsupported(n, d, "more than one dimension");
    if (attr_int(n, "state_channels_last", -1) >= 0)
        return op_unsupported(n, d, "state_channels_last");
    return OK;
}

static Status lower_causal_conv(Build *b, const Node *n, Value **out)
{
    static const int turn[3] = {0, 2, 1};
    const char *act = attr_string(n, "activation", "none");
    bool last = attr_int(n, "channels_last", 0), silu = strcmp(act, "silu") == 0;
    int64_t step = attr_int(n, "dilation", 1), length;
    const Type *w = in_type(n, 1);
    Value *x = n->in[0], *state = in_value(n, 3), *v, *y;
    Attr attr[2];
    Dim dims[3];

    TRY(causal_check(n, b->diag));
    if (!silu && strcmp(act, "swish") != 0 && strcmp(act, "none") != 0)
        return op_error(n, b->diag, "activation",
                        "CausalConvWithState: found \"%s\", expected silu, swish or none", act);
    if (step < 1 || step > INT32_MAX || w->rank != 3 || !dim_is_const(w->dim[0]) ||
        !dim_is_const(w->dim[2]) || w->dim[2]->value < 1)
        return op_error(n, b->diag, "weight", "%s: rank %d, dilation %lld", n->op->name, w->rank,
                        (long long)step);
    length = (w->dim[2]->value - 1) * step;
    if (last) x = build_transpose(b, x, turn);
    if (last && state) state = build_transpose(b, state, turn);
    if (!x) return b->status;
    dims[0] = x->type.dim[0];
    dims[1] = x->type.dim[1];
    dims[2] = dim_const(b->dims, length);
    if (!state)
        state = build_map(b, "state", 0, NULL, x->type.dtype, 3, dims,
                          sx_const(b->sx, x->type.dtype, 0));
    v = make_concat(b, 2, (Value *[]){state, x}, 2);
    attr[0] = attr_of_int("group", w->dim[0]->value);
    attr[1] = attr_of_ints("dilations", 1, &step);
    y = build_op(b, "Conv", 3, (Value *[]){v, n->in[1], in_value(n, 2)}, 2, attr);
    if (strcmp(act, "none") != 0) y = make_mul(b, y, make_unary(b, "Sigmoid", y));
    out[0] = last && y ? build_transpose(b, y, turn) : y;
    if (!has_out(n, 1)) return b->status;
    state = length ? make_slice(b, v, 2, -length, INT64_MAX, 1) : state;
    out[1] = last && state ? build_transpose(b, state, turn) : state;
    return b->status;
}

/* ---- NGramHashMapping ---- */

/* The id `back` before position index 1: of the past, where that lies before the first. */
static const Sx *id_before(Build *b, const Node *n, int64_t back, int past)
{
    SxTable *t = b->sx;
    const Type *ids = in_type(n, 0);
    const Sx *row = sx_index(t, 0), *at, *now, *e;

    at = sx_sub(t, sx_index(t, 1), sx_i64(b, back));
    now = sx_le(t, sx_i64(b, 0), at);
    e = sx_const_int(t, ids->dtype, attr_int(n, "pad_id", 0));
    if (past >= 0) {
        const Sx *there[2] = {row, sx_add(t, at, sx_i64(b, attr_int(n, "max_ngram_size", 2) - 1))};
        e = sx_at_guarded(b, past, n->in[3], there, sx_lt(t, at, sx_i64(b, 0)));
    }
    return sx_select(t, now, sx_at_guarded(b, 0, n->in[0], (const Sx *[]){row, at}, now), e);
}

/* The hashes of n-grams of 2, 3, ... ids, `heads` of each. */
static Value *hashes(Build *b, const Node *n, int64_t most, int64_t heads)
{
    SxTable *t = b->sx;
    const Type *ids = in_type(n, 0);
    Value *in[5] = {n->in[0], n->in[1], n->in[2]};
    const Sx *head = sx_index(t, 2), *mix = NULL, *e, *size;
    int count = 3, past = -1;

    if (has_in(n, 3)) in[past = count++] = n->in[3];
    for (int64_t k = 0; k < most; k++) {
        const Sx *at = sx_i64(b, k), *used;
        e = sx_mul(t, id_before(b, n, k, past), sx_load(t, ids->dtype, 1, 1, &at, NULL));
        used = sx_lt(t, sx_i64(b, k),
                     sx_add(t, sx_floor_div(t, head, sx_i64(b, heads)), sx_i64(b, 2)));
        e = k < 2 ? e : sx_select(t, used, e, sx_const_int(t, ids->dtype, 0));
        mix = mix ? sx_xor(t, mix, e) : e;
    }
    size = sx_load(t, ids->dtype, 2, 1, &head, NULL);
    e = sx_floor_mod(t, mix, size);
    if (has_in(n, 4)) {
        in[count] = n->in[4];
        e = sx_add(t, e, sx_load(t, ids->dtype, count++, 1, &head, NULL));
    }
    return build_map(b, "hash", count, in, ids->dtype, 3,
                     (Dim[]){ids->dim[0], ids->dim[1], dim_const(b->dims, (most - 1) * heads)}, e);
}

static Status lower_ngrams(Build *b, const Node *n, Value **out)
{
    const Type *ids = in_type(n, 0);
    int64_t most = attr_int(n, "max_ngram_size", 0), heads = attr_int(n, "n_head_per_ngram", 0);
    Value *past = in_value(n, 3);

    if (has_in(n, 5) || has_in(n, 6))
        return op_unsupported(n, b->diag, "the inputs eos_token_id and segment_ids");
    if (most < 2 || most > 64 || heads < 1 || heads > 4096)
        return op_error(n, b->diag, "max_ngram_size", "%s: %lld heads for n-grams up to %lld",
                        n->op->name, (long long)heads, (long long)most);
    build_require_equal(b, in_type(n, 2)->dim[0], dim_const(b->dims, (most - 1) * heads));
    build_require_least(b, in_type(n, 1)->dim[0], most);
    if (past) build_require_equal(b, past->type.dim[1], dim_const(b->dims, most - 1));
    if (past) build_require_equal(b, past->type.dim[0], ids->dim[0]);
    if (has_in(n, 4)) build_require_equal(b, in_type(n, 4)->dim[0], in_type(n, 2)->dim[0]);
    out[0] = hashes(b, n, most, heads);
    if (!has_out(n, 1)) return b->status;
    if (!past)
        past = build_map(b, "past", 0, NULL, ids->dtype, 2,
                         (Dim[]){ids->dim[0], dim_const(b->dims, most - 1)},
                         sx_const_int(b->sx, ids->dtype, attr_int(n, "pad_id", 0)));
    past = make_concat(b, 2, (Value *[]){past, n->in[0]}, 1);
    out[1] = make_slice(b, past, 1, 1 - most, INT64_MAX, 1);
    return b->status;
}

/* ---- the table ---- */

#define NBITS ATTR_REQ("K", ATTR_INT), ATTR_REQ("block_size", ATTR_INT), ATTR_I("bits", 4)

const OpDef contrib_more_ops[] = {
    {.name = "TorchEmbedding",
     .about = "rows of a table",
     ROW_IN({"weight", T_NUMBER, "T"}, {"indices", DT_BIT(DT_I64)},
            {"padding_idx", DT_BIT(DT_I64), NULL, true},
            {"scale_grad_by_freq", T_BOOL, NULL, true}),
     ROW_OUT({"Y", T_NUMBER, "T"}),
     MICROSOFT_ROW(lower_embedding)},
    {.name = "SampleOp",
     .about = "Identity",
     ROW_IN({"X", T_NUMBER, "T"}),
     ROW_OUT({"Y", T_NUMBER, "T"}),
     MICROSOFT_ROW(lower_echo)},
    {.name = "BiasDropout",
     .about = "Dropout(data + bias) + residual",
     ROW_IN({"data", T_FLOAT, "T"}, {"bias", T_FLOAT, "T"}, {"residual", T_FLOAT, "T", true},
            {"ratio", T_FLOAT, NULL, true}, {"training_mode", T_BOOL, NULL, true}),
     ROW_OUT({"output", T_FLOAT, "T"}, {"mask", T_BOOL, NULL, true}),
     ROW_ATTRS(ATTR_OPT("seed", ATTR_INT)),
     MICROSOFT_ROW(lower_bias_dropout)},
    {.name = "BitmaskDropout",
     .about = "Dropout, without its mask",
     ROW_IN({"data", T_FLOAT, "T"}, {"ratio", T_FLOAT, NULL, true},
            {"training_mode", T_BOOL, NULL, true}),
     ROW_OUT({"output", T_FLOAT, "T"}, {"mask", DT_BIT(DT_U32), NULL, true}),
     ROW_ATTRS(ATTR_OPT("seed", ATTR_INT)),
     MICROSOFT_ROW(lower_bitmask_dropout)},
    {.name = "BitmaskBiasDropout",
     .about = "BiasDropout, without its mask",
     ROW_IN({"data", T_FLOAT, "T"}, {"bias", T_FLOAT, "T"}, {"residual", T_FLOAT, "T", true},
            {"ratio", T_FLOAT, NULL, true}, {"training_mode", T_BOOL, NULL, true}),
     ROW_OUT({"output", T_FLOAT, "T"}, {"mask", DT_BIT(DT_U32), NULL, true}),
     ROW_ATTRS(ATTR_OPT("seed", ATTR_INT)),
     MICROSOFT_ROW(lower_bitmask_bias)},
    {.name = "IsAllFinite",
     .about = "whether all elements of all inputs are finite",
     ROW_IN({"input", T_FLOAT, "V", false, true}),
     ROW_OUT({"output", T_BOOL}),
     ROW_ATTRS(ATTR_I("isinf_only", 0), ATTR_I("isnan_only", 0)),
     MICROSOFT_ROW(lower_finite)},
    {.name = "ComplexMul",
     .about = "A B, as pairs of real and imaginary part",
     ROW_IN({"A", T_FLOAT, "T"}, {"B", T_FLOAT, "T"}),
     ROW_OUT({"C", T_FLOAT, "T"}),
     MICROSOFT_ROW(lower_complex_mul)},
    {.name = "ComplexMulConj",
     .about = "A times the conjugate of B",
     ROW_IN({"A", T_FLOAT, "T"}, {"B", T_FLOAT, "T"}),
     ROW_OUT({"C", T_FLOAT, "T"}),
     MICROSOFT_ROW(lower_complex_conj)},
    {.name = "Rfft",
     .about = "DFT of real numbers, one half of it",
     ROW_IN({"X", T_FLOAT, "T"}),
     ROW_OUT({"Y", T_FLOAT, "T"}),
     ROW_ATTRS(ATTR_I("onesided", 1), ATTR_I("normalized", 0), ATTR_I("signal_ndim", 1)),
     MICROSOFT_ROW(lower_rfft)},
    {.name = "Irfft",
     .about = "the inverse of Rfft",
     ROW_IN({"X", T_FLOAT, "T"}),
     ROW_OUT({"Y", T_FLOAT, "T"}),
     ROW_ATTRS(ATTR_I("onesided", 1), ATTR_I("normalized", 0), ATTR_I("signal_ndim", 1)),
     MICROSOFT_ROW(lower_irfft)},
    {.name = "MatMulInteger16",
     .about = "product of 16-bit integers",
     ROW_IN({"A", T_16, "T1"}, {"B", T_16, "T2"}),
     ROW_OUT({"Y", DT_BIT(DT_I32) | DT_BIT(DT_U32)}),
     MICROSOFT_ROW(lower_integer16)},
    {.name = "GemmFloat8",
     .about = "activation(alpha A B + beta C), each with its scale",
     ROW_IN({"A", T_FLOAT8}, {"B", T_FLOAT8}, {"C", T_GATES, NULL, true},
            {"scaleA", T_F32, NULL, true}, {"scaleB", T_F32, NULL, true},
            {"scaleY", T_F32, NULL, true}),
     ROW_OUT({"Y", T_FLOAT8}),
     ROW_ATTRS(ATTR_S("activation", "NONE"), ATTR_F("alpha", 1), ATTR_F("beta", 0),
               ATTR_I("dtype", 1), ATTR_I("transA", 0), ATTR_I("transB", 0)),
     MICROSOFT_ROW(lower_gemm8)},
    {.name = "MatMulBlockQuantizedFp8Weight",
     .about = "product with weights of 8-bit floats, a scale for each block",
     ROW_IN({"A", T_GATES, "T"}, {"B", DT_BIT(DT_F8E4M3FN), .ranks = RANK(2)},
            {"b_scale", T_F32, .ranks = RANK(2)}, {"a_scale", T_F32, NULL, true},
            {"bias", T_GATES, "T", true, .ranks = RANK(1)}),
     ROW_OUT({"Y", T_GATES, "T"}),
     ROW_ATTRS(ATTR_I("block_size", 128)),
     MICROSOFT_ROW(lower_fp8_weight)},
    {.name = "MatMulBlockQuantizedFp4Weight",
     .about = "product with weights of 4-bit floats, a scale for each block",
     ROW_IN({"A", T_GATES, "T"}, {"B", DT_BIT(DT_U8)}, {"weight_scale", DT_BIT(DT_U8)},
            {"weight_scale_2", T_F32}, {"input_scale", T_F32, NULL, true},
            {"bias", T_GATES, "T", true}),
     ROW_OUT({"Y", T_GATES, "T"}),
     ROW_ATTRS(ATTR_I("block_size", 16)),
     MICROSOFT_ROW(lower_fp4_weight)},
    {.name = "MatMulNBitsQLoRA",
     .about = "MatMulNBits and an adapter of two",
     ROW_IN({"X", T_GATES, "T"}, {"W", DT_BIT(DT_U8)}, {"scales", T_GATES, "T"},
            {"lora_A", DT_BIT(DT_U8)}, {"lora_A_scales", T_GATES, "T"}, {"lora_B", DT_BIT(DT_U8)},
            {"lora_B_scales", T_GATES, "T"}),
     ROW_OUT({"Y", T_GATES, "T"}),
     ROW_ATTRS(NBITS, ATTR_REQ("N", ATTR_INT), ATTR_I("lora_bits", 8),
               ATTR_I("lora_block_size", 32), ATTR_I("accuracy_level", 0)),
     MICROSOFT_ROW(lower_nbits_lora)},
    {.name = "MatMulNBitsQkv",
     .about = "normalisation, then three MatMulNBits",
     ROW_IN({"A", T_GATES, "T"}, {"skip", T_GATES, "T", true}, {"norm_scale", T_GATES, "T"},
            {"q_B", DT_BIT(DT_U8)}, {"q_scales", T_GATES, "T"}, {"q_bias", T_GATES, "T", true},
            {"k_B", DT_BIT(DT_U8)}, {"k_scales", T_GATES, "T"}, {"k_bias", T_GATES, "T", true},
            {"v_B", DT_BIT(DT_U8)}, {"v_scales", T_GATES, "T"}, {"v_bias", T_GATES, "T", true}),
     ROW_OUT({"Q", T_GATES, "T"}, {"K", T_GATES, "T"}, {"V", T_GATES, "T"},
             {"input_skip_bias_sum", T_GATES, "T", true}),
     ROW_ATTRS(NBITS, ATTR_REQ("Nq", ATTR_INT), ATTR_REQ("Nkv", ATTR_INT),
               ATTR_I("accuracy_level", 0), ATTR_F("epsilon", (double)1e-6f)),
     MICROSOFT_ROW(lower_nbits_qkv)},
    {.name = "MatMulNBitsMlp",
     .about = "silu(MatMulNBits) MatMulNBits, of a normalised input",
     ROW_IN({"A", T_GATES, "T"}, {"skip", T_GATES, "T", true}, {"norm_scale", T_GATES, "T", true},
            {"gate_B", DT_BIT(DT_U8)}, {"gate_scales", T_GATES, "T"},
            {"gate_bias", T_GATES, "T", true}, {"up_B", DT_BIT(DT_U8)}, {"up_scales", T_GATES, "T"},
            {"up_bias", T_GATES, "T", true}),
     ROW_OUT({"Y", T_GATES, "T"}, {"input_skip_bias_sum", T_GATES, "T", true}),
     ROW_ATTRS(NBITS, ATTR_REQ("N", ATTR_INT), ATTR_REQ("activation", ATTR_STRING),
               ATTR_I("accuracy_level", 0), ATTR_F("epsilon", (double)1e-5f)),
     MICROSOFT_ROW(lower_nbits_mlp)},
    {.name = "LinearAttention",
     .about = "attention by a state that the sequence updates",
     ROW_IN({"query", T_GATES, "T", .ranks = RANK(3)}, {"key", T_GATES, "T", .ranks = RANK(3)},
            {"value", T_GATES, "T", .ranks = RANK(3)},
            {"past_state", T_GATES, "S", true, .ranks = RANK(4)},
            {"decay", T_GATES, "T", true, .ranks = RANK(3)},
            {"beta", T_GATES, "T", true, .ranks = RANK(3)}),
     ROW_OUT({"output", T_GATES, "T"}, {"present_state", T_GATES, "S"}),
     ROW_ATTRS(ATTR_I("chunk_size", 64), ATTR_REQ("kv_num_heads", ATTR_INT),
               ATTR_REQ("q_num_heads", ATTR_INT), ATTR_F("scale", 0), ATTR_I("state_window", 0),
               ATTR_S("update_rule", "gated_delta")),
     MICROSOFT_ROW(lower_linear_attention)},
    {.name = "CausalConvWithState",
     .about = "depthwise convolution that sees the past only",
     ROW_IN({"input", T_GATES, "T", .ranks = RANK(3) | RANK(4) | RANK(5)},
            {"weight", T_GATES, "T", .ranks = RANK(3) | RANK(4) | RANK(5)},
            {"bias", T_GATES, "T", true, .ranks = RANK(1)},
            {"past_state", T_GATES, "T", true, .ranks = RANK(3) | RANK(4) | RANK(5)}),
     ROW_OUT({"output", T_GATES, "T"}, {"present_state", T_GATES, "T"},
             {"state_update", T_GATES, "T", true}),
     ROW_ATTRS(ATTR_S("activation", "none"), ATTR_I("ndim", 1), ATTR_I("dilation", 1),
               ATTR_I("channels_last", 0), ATTR_I("state_window", 0),
               ATTR_I("state_update_capacity", 0), ATTR_I("state_length", 0),
               ATTR_I("state_channels_last", -1), ATTR_I("input_channel_offset", 0),
               ATTR_I("input_channels", 0)),
     MICROSOFT_ROW(lower_causal_conv)},
    {.name = "NGramHashMapping",
     .about = "hashes of the n-grams that end at each position",
     ROW_IN({"input_ids", T_IDS, "M", .ranks = RANK(2)},
            {"multipliers", T_IDS, "M", .ranks = RANK(1)},
            {"vocab_sizes", T_IDS, "M", .ranks = RANK(1)},
            {"past_ids", T_IDS, "M", true, .ranks = RANK(2)},
            {"head_offsets", T_IDS, "M", true, .ranks = RANK(1)},
            {"eos_token_id", T_IDS, "M", true}, {"segment_ids", T_I32, NULL, true}),
     ROW_OUT({"hash_ids", T_IDS, "M"}, {"present_ids", T_IDS, "M", true}),
     ROW_ATTRS(ATTR_REQ("max_ngram_size", ATTR_INT), ATTR_REQ("n_head_per_ngram", ATTR_INT),
               ATTR_REQ("pad_id", ATTR_INT), ATTR_I("reset_on_eos", 0)),
     MICROSOFT_ROW(lower_ngrams)},
    {0},
};
