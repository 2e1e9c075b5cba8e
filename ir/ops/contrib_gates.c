/* contrib_gates.c: operators of com.microsoft that optimisers of the newest language models write
 * between the big products: gates, normalisations of branches, hyper-connections, the router of a
 * mixture of experts. Each is its formula; where the description says so, in f32 whatever the
 * element type is. */
#include <string.h>

#include "ir/mathd.h"
#include "ir/ops/compose.h"
#include "ir/ops/ops_common.h"

static Value *as_f32(Build *b, Value *v)
{
    return v ? make_cast(b, v, DT_F32) : NULL;
}

static Value *silu(Build *b, Value *v)
{
    return make_mul(b, v, make_unary(b, "Sigmoid", v));
}

/* x / sqrt(mean of squares along the last axis + epsilon) */
static Value *rms(Build *b, const Node *n, Value *x)
{
    Value *v = make_reduce(b, "ReduceMean", make_mul(b, x, x), -1, true);

    v = make_add(b, v, make_scalar(b, v, attr_float(n, "epsilon", 0)));
    return make_div(b, x, make_unary(b, "Sqrt", v));
}

/* [..., C * H] -> [..., C, H], where H is known or C is. */
static Value *split_last(Build *b, const Node *n, Value *v, int64_t count, int64_t size)
{
    Dim dims[MAX_RANK], last;
    int rank = v ? v->type.rank : 0;
    int64_t by = count ? count : size;

    if (!v) return NULL;
    if (rank < 1 || rank >= MAX_RANK || by < 1 ||
        (dim_is_const(v->type.dim[rank - 1]) && v->type.dim[rank - 1]->value % by)) {
        build_fail(b, op_error(n, b->diag, n->op->in[0].name,
                               "%s: the last axis is not made of %lld parts", n->op->name,
                               (long long)by));
        return NULL;
    }
    for (int i = 0; i < rank; i++)
        dims[i] = v->type.dim[i];
    last = dim_const(b->dims, by);
    dims[rank - 1] = count ? last : dim_div(b->dims, dims[rank - 1], last);
    dims[rank] = count ? dim_div(b->dims, v->type.dim[rank - 1], last) : last;
    return make_reshape(b, v, rank + 1, dims);
}

/* As [..., C, H]: the node says whether the branches are one axis with the features. */
static Value *branched(Build *b, const Node *n, Value *v)
{
    int64_t count = attr_int(n, "num_branches", 0);

    return count ? split_last(b, n, v, count, 0) : v;
}

static Value *like_input(Build *b, const Node *n, Value *v)
{
    const Type *x = in_type(n, 0);

    return make_cast(b, make_reshape(b, v, x->rank, x->dim), x->dtype);
}

/* ---- activations ---- */

/* Rounded to the type of X after each step. */
static Status lower_scaled_silu(Build *b, const Node *n, Value **out)
{
    DType type = in_type(n, 0)->dtype;
    Value *x = as_f32(b, n->in[0]), *scale, *z;

    scale = has_in(n, 1) ? as_f32(b, n->in[1]) : make_scalar(b, x, attr_float(n, "alpha", 1));
    if (has_in(n, 1)) scale = make_reshape(b, scale, 0, NULL);
    z = make_cast(b, make_mul(b, x, scale), type);
    out[0] = silu(b, z);
    return b->status;
}

static Value *clamped(Build *b, Value *v, double limit, bool below)
{
    if (limit <= 0 || !v) return v;
    return build_op(
        b, "Clip", 3,
        (Value *[]){v, below ? make_scalar(b, v, -limit) : NULL, make_scalar(b, v, limit)}, 0,
        NULL);
}

/* G sigmoid(alpha G) (L + beta), of clamped halves G and L */
static Status lower_swiglu(Build *b, const Node *n, Value **out)
{
    const Type *x = in_type(n, 0);
    double limit = attr_float(n, "limit", 0), alpha = attr_float(n, "activation_alpha", 1);
    double beta = attr_float(n, "activation_beta", 0);
    Value *gate = n->in[0], *up = in_value(n, 1), *v;

    if (!up) {
        int last = x->rank - 1;
        if (x->rank < 1 || !dim_is_const(x->dim[last]) || x->dim[last]->value % 2)
            return op_error(n, b->diag, "gate", "%s: the last axis is not known to have two halves",
                            n->op->name);
        up = make_slice(b, gate, last, x->dim[last]->value / 2, INT64_MAX, 1);
        gate = make_slice(b, gate, last, 0, x->dim[last]->value / 2, 1);
    }
    gate = clamped(b, as_f32(b, gate), limit, false);
    up = clamped(b, as_f32(b, up), limit, true);
    v = make_mul(b, gate, make_unary(b, "Sigmoid", make_mul(b, gate, make_scalar(b, gate, alpha))));
    if (attr_int(n, "round_activation", 0)) v = as_f32(b, make_cast(b, v, x->dtype));
    if (beta != 0) up = make_add(b, up, make_scalar(b, up, beta));
    out[0] = make_cast(b, make_mul(b, v, up), x->dtype);
    return b->status;
}

/* X + Y gate, the product rounded */
static Status lower_gated_add(Build *b, const Node *n, Value **out)
{
    if (has_in(n, 3)) return op_unsupported(n, b->diag, "the input \"gate_weight\"");
    out[0] = make_add(b, n->in[0], make_mul(b, n->in[1], n->in[2]));
    return b->status;
}

/* ---- normalisations ---- */

static Status lower_branch_norm(Build *b, const Node *n, Value **out)
{
    Value *x = branched(b, n, as_f32(b, n->in[0])), *scale = as_f32(b, in_value(n, 1));
    int last = x ? x->type.rank - 1 : 0;

    if (x && scale && last > 0 && scale->type.rank == 1 && dim_is_const(x->type.dim[last - 1]) &&
        scale->type.dim[0] != x->type.dim[last])
        scale = split_last(b, n, scale, x->type.dim[last - 1]->value, 0);
    x = rms(b, n, x);
    out[0] = like_input(b, n, scale ? make_mul(b, x, scale) : x);
    return b->status;
}

static Status lower_gated_norm(Build *b, const Node *n, Value **out)
{
    const char *act = attr_string(n, "activation", "silu");
    const Type *scale = in_type(n, 1);
    bool sigmoid = strcmp(act, "sigmoid") == 0;
    Value *gate = as_f32(b, n->in[2]), *x;

    if (!sigmoid && strcmp(act, "silu") != 0 && strcmp(act, "swish") != 0)
        return op_error(n, b->diag, "activation",
                        "GatedRMSNorm: found \"%s\", expected silu, swish or sigmoid", act);
    if (!dim_is_const(scale->dim[0])) return op_unsupported(n, b->diag, "a scale of an open size");
    x = split_last(b, n, as_f32(b, n->in[0]), 0, scale->dim[0]->value);
    x = make_mul(b, rms(b, n, x), as_f32(b, n->in[1]));
    gate = sigmoid ? make_unary(b, "Sigmoid", gate) : silu(b, gate);
    x = make_reshape(b, x, in_type(n, 0)->rank, in_type(n, 0)->dim);
    out[0] = make_cast(b, make_mul(b, x, gate), in_type(n, 0)->dtype);
    return b->status;
}

/* ---- linear attention, n-grams ---- */

static Status lower_attention_gate(Build *b, const Node *n, Value **out)
{
    Value *v = make_unary(b, "Softplus", make_add(b, as_f32(b, n->in[0]), n->in[1]));

    out[0] = make_cast(b, make_mul(b, v, n->in[2]), in_type(n, 0)->dtype);
    if (!has_out(n, 1)) return b->status;
    if (!has_in(n, 3))
        return op_error(n, b->diag, "b", "LinearAttentionGate: needed for the output \"beta\"");
    v = make_unary(b, "Sigmoid", as_f32(b, n->in[3]));
    out[1] = make_cast(b, v, in_type(n, 0)->dtype);
    return b->status;
}

static Status lower_engram(Build *b, const Node *n, Value **out)
{
    const Type *x = in_type(n, 0);
    Value *v = NULL, *size, *gate;

    for (int k = 0; k < 2; k++) {
        Value *part = make_mul(b, rms(b, n, as_f32(b, n->in[k])), as_f32(b, n->in[3 + k]));
        v = v ? make_mul(b, v, part) : part;
    }
    v = make_reduce(b, "ReduceSum", v, -1, true);
    size = make_cast(b, build_dims(b, -1, &x->dim[3]), DT_F32);
    v = make_div(b, v, make_unary(b, "Sqrt", size));
    gate = build_op2(b, "Max", make_unary(b, "Abs", v), make_scalar(b, v, (double)1e-6f));
    gate = make_mul(b, make_unary(b, "Sign", v), make_unary(b, "Sqrt", gate));
    gate = make_unary(b, "Sigmoid", gate);
    v = make_mul(b, gate, make_unsqueeze(b, as_f32(b, n->in[2]), 2));
    out[0] = make_cast(b, v, x->dtype);
    if (!has_out(n, 1)) return b->status;
    if (!has_in(n, 5))
        return op_error(n, b->diag, "conv_norm_scale", "EngramGate: needed for the second output");
    v = make_mul(b, rms(b, n, v), as_f32(b, n->in[5]));
    out[1] = make_cast(b, v, x->dtype);
    return b->status;
}

/* ---- hyper-connections ---- */

/* Gates [..., C], [..., C, 1], [..., C, H] or [..., C * H] beside streams [..., C, H]. */
static Value *mix_beside(Build *b, const Node *n, const Value *streams, Value *mix)
{
    int rank = streams ? streams->type.rank : 0;
    Dim count = rank < 2 ? NULL : streams->type.dim[rank - 2];

    mix = as_f32(b, mix);
    if (!mix || mix->type.rank == rank) return mix;
    if (rank < 2 || mix->type.rank != rank - 1) {
        build_fail(b, op_error(n, b->diag, "mix", "%s: gates of rank %d for streams of rank %d",
                               n->op->name, mix->type.rank, rank));
        return NULL;
    }
    if (mix->type.dim[rank - 2] != count && attr_int(n, "num_branches", 0))
        return branched(b, n, mix);
    return make_unsqueeze(b, mix, -1);
}

static Status lower_pre_mix(Build *b, const Node *n, Value **out)
{
    Value *x = branched(b, n, as_f32(b, n->in[0])), *v;

    v = make_reduce(b, "ReduceSum", make_mul(b, x, mix_beside(b, n, x, n->in[1])), -2, false);
    v = make_mul(b, v, make_scalar(b, v, attr_float(n, "reduction_scale", 1)));
    out[0] = make_cast(b, v, in_type(n, 0)->dtype);
    return b->status;
}

static Status lower_post_mix(Build *b, const Node *n, Value **out)
{
    Value *x = branched(b, n, as_f32(b, n->in[0])), *v, *mix = as_f32(b, in_value(n, 3));
    int perm[MAX_RANK], rank = mix ? mix->type.rank : 0;

    v = make_mul(b, mix_beside(b, n, x, n->in[2]), make_unsqueeze(b, as_f32(b, n->in[1]), -2));
    if (mix && rank >= 2) {
        for (int i = 0; i < rank; i++)
            perm[i] = i < rank - 2 ? i : 2 * rank - 3 - i;
        x = build_op2(b, "MatMul", build_transpose(b, mix, perm), x);
    }
    out[0] = like_input(b, n, make_add(b, x, v));
    return b->status;
}

/* v rounded to the type of the input, as f32 again */
static Value *rounded(Build *b, const Node *n, Value *v)
{
    return as_f32(b, make_cast(b, v, in_type(n, 0)->dtype));
}

static Value *product(Build *b, const Node *n, Value *x, Value *w)
{
    return rounded(b, n, build_op2(b, "MatMul", x, as_f32(b, w)));
}

/* hn g summed over the branches, g = sigmoid(silu(hn down) up) */
static Value *low_rank_mix(Build *b, const Node *n, Value *hn)
{
    Value *z = product(b, n, hn, n->in[2]), *g;

    z = rounded(b, n, make_mul(b, z, make_scalar(b, z, attr_float(n, "silu_alpha", 1))));
    z = rounded(b, n, make_mul(b, z, rounded(b, n, make_unary(b, "Sigmoid", z))));
    g = rounded(b, n, make_unary(b, "Sigmoid", product(b, n, z, n->in[3])));
    g = make_mul(b, branched(b, n, hn), branched(b, n, g));
    g = make_reduce(b, "ReduceSum", g, -2, false);
    return make_mul(b, g, make_scalar(b, g, attr_float(n, "reduction_scale", 1)));
}

/* The gates of the next call, from the normalised streams. */
static Value *next_gate(Build *b, const Node *n, Value *hn)
{
    Value *v = product(b, n, hn, n->in[4]);

    v = rounded(b, n, make_div(b, v, make_scalar(b, v, attr_float(n, "gate_div", 1))));
    v = rounded(b, n, make_unary(b, "Sigmoid", v));
    return make_mul(b, v, make_scalar(b, v, attr_float(n, "gate_mul", 1)));
}

static Status lower_low_rank(Build *b, const Node *n, Value **out)
{
    const Type *x = in_type(n, 0);
    Value *s = as_f32(b, n->in[0]), *hn;

    if (has_in(n, 5) != has_in(n, 6))
        return op_error(n, b->diag, "prev_post_gate",
                        "%s: prev_block_output and prev_post_gate "
                        "are given together",
                        n->op->name);
    if (has_in(n, 5)) {
        hn = make_mul(b, make_unsqueeze(b, as_f32(b, n->in[6]), -1),
                      make_unsqueeze(b, as_f32(b, n->in[5]), -2));
        s = rounded(b, n, like_input(b, n, make_add(b, branched(b, n, s), hn)));
    }
    hn = make_reshape(b, rms(b, n, branched(b, n, s)), x->rank, x->dim);
    hn = rounded(b, n, make_mul(b, hn, as_f32(b, n->in[1])));
    out[0] = make_cast(b, low_rank_mix(b, n, hn), x->dtype);
    out[1] = make_cast(b, next_gate(b, n, hn), x->dtype);
    if (has_out(n, 2)) out[2] = make_cast(b, s, x->dtype);
    return b->status;
}

/* ---- the first product of a mixture of experts with a shared one ---- */

static Status lower_router_gate_up(Build *b, const Node *n, Value **out)
{
    static const char *const names[] = {"limit", "activation_alpha", "activation_beta"};
    const Type *w = in_type(n, 1);
    int64_t logits = attr_int(n, "router_size", 0), width;
    const char *act = attr_string(n, "activation", "swiglu");
    Value *y = build_op2(b, "MatMul", n->in[0], n->in[1]), *half[2];
    Attr attr[3];
    int last, count = 0;
    Node *g;

    if (!y) return b->status;
    last = y->type.rank - 1;
    if (strcmp(act, "swiglu") != 0)
        return op_error(n, b->diag, "activation", "%s: found \"%s\", expected swiglu", n->op->name,
                        act);
    if (!dim_is_const(w->dim[1])) return op_unsupported(n, b->diag, "weights of an open width");
    width = w->dim[1]->value;
    if (logits < 0 || logits > width || (width - logits) % 2)
        return op_error(n, b->diag, "router_size", "%s: %lld of %lld columns", n->op->name,
                        (long long)logits, (long long)width);
    out[0] = make_slice(b, y, last, 0, logits, 1);
    half[0] = make_slice(b, y, last, logits, logits + (width - logits) / 2, 1);
    half[1] = make_slice(b, y, last, logits + (width - logits) / 2, width, 1);
    for (int i = 0; i < 3; i++)
        if (attr_find(n, names[i])) attr[count++] = *attr_find(n, names[i]);
    g = build_op_node(b, "com.microsoft", "SwiGLU", 2, half, 1, count, attr);
    out[1] = g ? g->out[0] : NULL;
    return b->status;
}

/* ---- the table ---- */

#define T_GATES (T_F32 | DT_BIT(DT_F16) | DT_BIT(DT_BF16))

const OpDef contrib_gates_ops[] = {
    {.name = "ScaledSiLU",
     .about = "z sigmoid(z), z = scale X",
     ROW_IN({"X", T_GATES, "T"}, {"scale", T_GATES, NULL, true}),
     ROW_OUT({"Y", T_GATES, "T"}),
     ROW_ATTRS(ATTR_F("alpha", 1)),
     MICROSOFT_ROW(lower_scaled_silu)},
    {.name = "SwiGLU",
     .about = "G sigmoid(alpha G) (L + beta), of clamped gate G and linear part L",
     ROW_IN({"gate", T_GATES, "T"}, {"up", T_GATES, "T", true}),
     ROW_OUT({"output", T_GATES, "T"}),
     ROW_ATTRS(ATTR_F("activation_alpha", 1), ATTR_F("activation_beta", 0), ATTR_F("limit", 0),
               ATTR_I("round_activation", 0)),
     MICROSOFT_ROW(lower_swiglu)},
    {.name = "GatedAdd",
     .about = "X + Y gate",
     ROW_IN({"X", T_GATES, "T"}, {"Y", T_GATES, "T"}, {"gate", T_GATES, "T"},
            {"gate_weight", T_GATES, "T", true}),
     ROW_OUT({"output", T_GATES, "T"}),
     MICROSOFT_ROW(lower_gated_add)},
    {.name = "BranchwiseRMSNorm",
     .about = "RMS normalisation of each branch",
     ROW_IN({"X", T_GATES, "T"}, {"scale", T_GATES, NULL, true}),
     ROW_OUT({"Y", T_GATES, "T"}),
     ROW_ATTRS(ATTR_I("num_branches", 0), ATTR_F("epsilon", (double)1e-5f)),
     MICROSOFT_ROW(lower_branch_norm)},
    {.name = "GatedRMSNorm",
     .about = "RMS normalisation of groups, times the activation of a gate",
     ROW_IN({"X", T_GATES, "T"}, {"scale", T_GATES, "T", .ranks = RANK(1)}, {"gate", T_GATES, "T"}),
     ROW_OUT({"Y", T_GATES, "T"}),
     ROW_ATTRS(ATTR_S("activation", "silu"), ATTR_F("epsilon", (double)1e-5f)),
     MICROSOFT_ROW(lower_gated_norm)},
    {.name = "LinearAttentionGate",
     .about = "decay and update rate of LinearAttention",
     ROW_IN({"a", T_GATES, "T"}, {"dt_bias", T_F32}, {"decay_scale", T_F32},
            {"b", T_GATES, "T", true}),
     ROW_OUT({"decay", T_GATES, "T"}, {"beta", T_GATES, "T", true}),
     MICROSOFT_ROW(lower_attention_gate)},
    {.name = "EngramGate",
     .about = "value, as much as key and query agree",
     ROW_IN({"key", T_GATES, "T", .ranks = RANK(4)}, {"query", T_GATES, "T", .ranks = RANK(4)},
            {"value", T_GATES, "T", .ranks = RANK(3)}, {"key_norm_scale", T_GATES, "T"},
            {"query_norm_scale", T_GATES, "T"}, {"conv_norm_scale", T_GATES, "T", true}),
     ROW_OUT({"output", T_GATES, "T"}, {"gated_value_normed", T_GATES, "T", true}),
     ROW_ATTRS(ATTR_F("epsilon", (double)1e-5f)),
     MICROSOFT_ROW(lower_engram)},
    {.name = "HyperConnectionPreMix",
     .about = "the sum of streams, each by its gate",
     ROW_IN({"streams", T_GATES, "T"}, {"pre_mix", T_GATES, "M"}),
     ROW_OUT({"output", T_GATES, "T"}),
     ROW_ATTRS(ATTR_I("num_branches", 0), ATTR_F("reduction_scale", 1)),
     MICROSOFT_ROW(lower_pre_mix)},
    {.name = "HyperConnectionPostMix",
     .about = "mixed streams, with the output of a block in each",
     ROW_IN({"streams", T_GATES, "T"}, {"block_output", T_GATES, "T"}, {"post_mix", T_GATES, "M"},
            {"stream_mix", T_GATES, "M", true}),
     ROW_OUT({"output", T_GATES, "T"}),
     ROW_ATTRS(ATTR_I("num_branches", 0)),
     MICROSOFT_ROW(lower_post_mix)},
    {.name = "HyperConnectionLowRankMix",
     .about = "a block between branches: normalised, gated by a product of low rank, summed",
     ROW_IN({"streams", T_GATES, "T"}, {"norm_scale", T_GATES, "T", .ranks = RANK(1)},
            {"down_weight", T_GATES, "T", .ranks = RANK(2)},
            {"up_weight", T_GATES, "T", .ranks = RANK(2)},
            {"inject_weight", T_GATES, "T", .ranks = RANK(2)},
            {"prev_block_output", T_GATES, "T", true}, {"prev_post_gate", T_GATES, "T", true}),
     ROW_OUT({"pre_output", T_GATES, "T"}, {"post_gate", T_GATES, "T"},
             {"streams_out", T_GATES, "T", true}),
     ROW_ATTRS(ATTR_F("epsilon", (double)1e-5f), ATTR_F("gate_div", 1), ATTR_F("gate_mul", 1),
               ATTR_REQ("num_branches", ATTR_INT), ATTR_F("reduction_scale", 1),
               ATTR_F("silu_alpha", 1)),
     MICROSOFT_ROW(lower_low_rank)},
    {.name = "RouterGateUpProj",
     .about = "one product: logits of a router, and SwiGLU of a shared expert's halves",
     ROW_IN({"X", T_GATES, "T"}, {"W", T_GATES, "T", .ranks = RANK(2)}),
     ROW_OUT({"router", T_GATES, "T"}, {"activated", T_GATES, "T"}),
     ROW_ATTRS(ATTR_S("activation", "swiglu"), ATTR_F("activation_alpha", 1),
               ATTR_F("activation_beta", 0), ATTR_F("limit", 0), ATTR_REQ("router_size", ATTR_INT)),
     MICROSOFT_ROW(lower_router_gate_up)},
    {0},
};
