/* contrib_moe.c: mixtures of experts of com.microsoft.
 *
 *     token t takes its k experts with the largest router logits; their weights are the softmax of
 *     the logits of all experts or (normalize_routing_weights) of those k
 *     y[t] = sum over j of weight[t, j] * fc2(activation(fc1(x[t])) [* fc3(x[t])]) of expert[t, j]
 *
 * The products read the rows of the chosen experts where they lie, at places that come from data:
 * nobody copies weights, and no expert works for tokens that are not its own. QMoE unpacks integers
 * of 4 or 8 bits there. */
#include <math.h>
#include <string.h>

#include "ir/ops/compose.h"
#include "ir/ops/ops_common.h"

#define T_GATES (T_F32 | DT_BIT(DT_F16) | DT_BIT(DT_BF16))

/* Weights [experts, rows, columns] of one product; with scales they are packed integers. */
typedef struct Layer {
    Value *w, *scale, *bias, *zero;
    int64_t bits; /* 0: floats */
} Layer;

typedef struct Moe {
    const Node *n;
    Dim tokens, hidden, chosen;
    int64_t block;         /* columns that share a scale; 0: a row */
    Value *x;              /* f32 [tokens, hidden] */
    Value *expert, *share; /* i64, f32 [tokens, k] */
    Layer fc1, fc2, fc3;
} Moe;

static const Sx *loaded(Build *b, int src, const Value *v, int n, const Sx *const *idx)
{
    return sx_cast(b->sx, sx_load(b->sx, v->type.dtype, src, n, idx, NULL), DT_F32);
}

/* Unsigned integer number `at` of `bits` bits along the last of n axes; idx: the others. */
static const Sx *code_at(Build *b, int src, int n, const Sx **idx, const Sx *at, int64_t bits)
{
    SxTable *t = b->sx;
    const Sx *each = sx_i64(b, 8 / bits), *e, *shift;

    idx[n - 1] = sx_floor_div(t, at, each);
    e = sx_load(t, DT_U8, src, n, idx, NULL);
    shift = sx_mul(t, sx_floor_mod(t, at, each), sx_i64(b, bits));
    e = sx_shr(t, sx_cast(t, e, DT_I32), sx_cast(t, shift, DT_I32));
    e = sx_and(t, e, sx_const_int(t, DT_I32, ((int64_t)1 << bits) - 1));
    return sx_cast(t, e, DT_F32);
}

/* Weight (row, column) of an expert, as f32. Operands from 2 on: weights, scales, zero points. */
static const Sx *weight_at(Build *b, const Moe *m, const Layer *l, const Sx *expert, const Sx *row,
                           const Sx *column)
{
    SxTable *t = b->sx;
    const Sx *w, *zero, *scale, *block;

    if (!l->bits) return loaded(b, 2, l->w, 3, (const Sx *[]){expert, row, column});
    block = m->block ? sx_floor_div(t, column, sx_i64(b, m->block)) : sx_i64(b, 0);
    w = code_at(b, 2, 3, (const Sx *[]){expert, row, NULL}, column, l->bits);
    scale = loaded(b, 3, l->scale, l->scale->type.rank, (const Sx *[]){expert, row, block});
    zero = sx_const(t, DT_F32, (double)((int64_t)1 << (l->bits - 1)));
    if (l->zero && l->zero->type.rank == 2) /* packed along the rows */
        zero = code_at(b, 4, 2, (const Sx *[]){expert, NULL}, row, l->bits);
    else if (l->zero)
        zero = code_at(b, 4, 3, (const Sx *[]){expert, row, NULL}, block, l->bits);
    return sx_mul(t, sx_sub(t, w, zero), scale);
}

/* v: f32 [tokens, columns] (of the token) or [tokens, k, columns]; gives [tokens, k, rows]. */
static Value *product(Build *b, const Moe *m, const Layer *l, Value *v, int64_t columns)
{
    SxTable *t = b->sx;
    Value *in[5], *y;
    const Sx *row = sx_index(t, 0), *token = sx_index(t, 1), *j = sx_index(t, 2), *expert, *x, *at;
    Dim dims[3] = {NULL, m->tokens, m->chosen}, reduce = dim_const(b->dims, columns);
    int count = 0;

    if (b->status != OK || !v || !l->w) return NULL;
    dims[0] = l->w->type.dim[1]; /* outermost: weights are read once, not for each token */
    in[count++] = v;
    in[count++] = m->expert;
    in[count++] = l->w;
    if (l->bits) in[count++] = l->scale;
    if (l->bits && l->zero) in[count++] = l->zero;
    at = sx_index(t, 3);
    x = v->type.rank == 2 ? sx_load(t, DT_F32, 0, 2, (const Sx *[]){token, at}, NULL)
                          : sx_load(t, DT_F32, 0, 3, (const Sx *[]){token, j, at}, NULL);
    expert = sx_load(t, DT_I64, 1, 2, (const Sx *[]){token, j}, NULL);
    Acc acc = {.monoid = MONOID_DOT,
               .dtype = DT_F32,
               .body = x,
               .body2 = weight_at(b, m, l, expert, row, at)};
    y = build_reduce(b, "experts", count, in, 3, dims, 1, &reduce, ORDER_LANES64, acc, DT_F32,
                     NULL);
    y = y ? build_transpose(b, y, (const int[]){1, 2, 0}) : NULL;
    return l->bias ? make_add(b, y, make_gather(b, make_cast(b, l->bias, DT_F32), m->expert, 0))
                   : y;
}

/* ---- activations ---- */

static Value *halves(Build *b, Value *v, bool interleaved, int which)
{
    int64_t half;

    if (!v || !dim_is_const(v->type.dim[2]) || v->type.dim[2]->value % 2) {
        if (v) build_fail(b, diag(b->diag, ERR_MODEL, (Where){0}, "an odd number of rows in fc1"));
        return NULL;
    }
    half = v->type.dim[2]->value / 2;
    if (interleaved) return make_slice(b, v, 2, which, INT64_MAX, 2);
    return make_slice(b, v, 2, which * half, which ? INT64_MAX : half, 1);
}

static Value *swiglu(Build *b, const Node *n, Value *gate, Value *up)
{
    double limit = attr_float(n, "swiglu_limit", INFINITY);
    Value *alpha, *top;

    if (!gate || !up) return NULL;
    if (limit < INFINITY) {
        top = make_scalar(b, gate, limit);
        gate = build_op2(b, "Min", gate, top);
        up = build_op(b, "Clip", 3, (Value *[]){up, make_scalar(b, up, -limit), top}, 0, NULL);
    }
    alpha = make_scalar(b, gate, attr_float(n, "activation_alpha", 1));
    gate = make_mul(b, gate, make_unary(b, "Sigmoid", make_mul(b, gate, alpha)));
    return make_mul(b, gate,
                    make_add(b, up, make_scalar(b, up, attr_float(n, "activation_beta", 0))));
}

static Value *activated(Build *b, const Moe *m, Value *v, Value *third)
{
    static const char *const plain[][2] = {
        {"relu", "Relu"}, {"gelu", "Gelu"}, {"identity", NULL}, {"silu", "Sigmoid"}, {NULL, NULL}};
    const char *name = attr_string(m->n, "activation_type", "relu");
    int64_t fused = attr_int(m->n, "swiglu_fusion", 0);
    Attr form = attr_of_string("approximate", "tanh");
    int k = 0;

    if (strcmp(name, "swiglu") == 0 && fused)
        return swiglu(b, m->n, halves(b, v, fused == 1, 0), halves(b, v, fused == 1, 1));
    if (strcmp(name, "swiglu") == 0) return swiglu(b, m->n, v, third);
    while (plain[k][0] && strcmp(plain[k][0], name) != 0)
        k++;
    if (!plain[k][0]) {
        build_fail(b, op_unsupported(m->n, b->diag, "the activation \"%s\"", name));
        return NULL;
    }
    if (k == 3)
        v = make_mul(b, v, make_unary(b, "Sigmoid", v));
    else if (plain[k][1])
        v = build_op(b, plain[k][1], 1, &v, k == 1, &form);
    return third ? make_mul(b, v, third) : v;
}

/* ---- which experts ---- */

static Value *along_experts(Build *b, Value *v, Value *expert)
{
    Attr axis = attr_of_int("axis", 1);

    return build_op(b, "GatherElements", 2, (Value *[]){v, expert}, 1, &axis);
}

static Status route(Build *b, Moe *m, Value *weights, bool among)
{
    const Node *n = m->n;
    int64_t k = attr_int(n, "k", 1);
    Value *logits = make_cast(b, n->in[1], DT_F32), *v;
    Node *top;

    m->chosen = dim_const(b->dims, k);
    top = build_op_node(b, NULL, "TopK", 2, (Value *[]){logits, build_i64(b, 1, &k)}, 2, 0, NULL);
    if (!top) return b->status;
    m->expert = top->out[1];
    if (weights) {
        v = along_experts(b, make_cast(b, weights, DT_F32), m->expert);
        if (among) v = make_div(b, v, make_reduce(b, "ReduceSum", v, 1, true));
    } else {
        v = make_axis(b, "Softmax", among ? top->out[0] : logits, -1);
        if (!among) v = along_experts(b, v, m->expert);
    }
    m->share = v;
    return b->status;
}

static Status moe_read(Build *b, const Node *n, Moe *m)
{
    const Type *x = in_type(n, 0);
    int64_t k = attr_int(n, "k", 1);
    Dim dims[2];

    *m = (Moe){.n = n};
    if (attr_int(n, "use_sparse_mixer", 0)) return op_unsupported(n, b->diag, "use_sparse_mixer");
    if (attr_int(n, "swiglu_limit_after_activation", 0))
        return op_unsupported(n, b->diag, "swiglu_limit_after_activation");
    if (k < 1 || k > INT32_MAX)
        return op_error(n, b->diag, "k", "%s: found %lld, expected 1 or more", n->op->name,
                        (long long)k);
    m->hidden = x->dim[x->rank - 1];
    m->tokens = x->rank == 2 ? x->dim[0] : dim_mul(b->dims, x->dim[0], x->dim[1]);
    if (!dim_is_const(m->hidden)) return op_unsupported(n, b->diag, "an open hidden size");
    dims[0] = m->tokens;
    dims[1] = m->hidden;
    m->x = make_reshape(b, make_cast(b, n->in[0], DT_F32), 2, dims);
    return b->status;
}

/* Scales and zero points have the extents that `weight_at` reads. */
static void require_scales(Build *b, const Moe *m, const Layer *l, int64_t columns)
{
    const Type *w = &l->w->type, *s = &l->scale->type, *z = l->zero ? &l->zero->type : NULL;
    Dim per = dim_const(b->dims, 8 / l->bits), last = s->dim[s->rank - 1];

    build_require_equal(b, s->dim[0], w->dim[0]);
    build_require_equal(b, s->dim[1], w->dim[1]);
    if (s->rank == 3)
        build_require_equal(b, last, dim_const(b->dims, columns / (m->block ? m->block : columns)));
    if (!z) return;
    build_require_equal(b, z->dim[0], w->dim[0]);
    if (z->rank == 3) build_require_equal(b, z->dim[1], w->dim[1]);
    build_require_equal(b, z->dim[z->rank - 1], dim_ceil_div(b->dims, last, per));
}

/* The columns of a layer: of a packed one too. */
static Status layer_columns(Build *b, const Moe *m, const Layer *l, const char *what, int64_t want,
                            int64_t *rows)
{
    int64_t each = l->bits ? 8 / l->bits : 1;

    if (l->w->type.rank != 3 || !dim_is_const(l->w->type.dim[1]) ||
        !dim_is(l->w->type.dim[2], want / each) || want % each)
        return op_error(m->n, b->diag, what, "%s: %s of rank %d, expected [experts, rows, %lld]",
                        m->n->op->name, what, l->w->type.rank, (long long)(want / each));
    if (l->bits && m->block && want % m->block)
        return op_error(m->n, b->diag, "block_size", "%s: %lld columns in blocks of %lld",
                        m->n->op->name, (long long)want, (long long)m->block);
    *rows = l->w->type.dim[1]->value;
    build_require_equal(b, l->w->type.dim[0], in_type(m->n, 1)->dim[1]);
    if (l->bits) require_scales(b, m, l, want);
    return OK;
}

static Status mixture(Build *b, Moe *m, Value **out)
{
    const Node *n = m->n;
    int64_t rows, inner, third = 0;
    Value *v, *gate = NULL;

    TRY(b->status);
    TRY(layer_columns(b, m, &m->fc1, "fc1_experts_weights", m->hidden->value, &rows));
    inner = strcmp(attr_string(n, "activation_type", "relu"), "swiglu") == 0 &&
                    attr_int(n, "swiglu_fusion", 0)
                ? rows / 2
                : rows;
    if (m->fc3.w)
        TRY(layer_columns(b, m, &m->fc3, "fc3_experts_weights", m->hidden->value, &third));
    if (m->fc3.w && third != inner)
        return op_error(n, b->diag, "fc3_experts_weights", "%s: %lld rows, expected %lld",
                        n->op->name, (long long)third, (long long)inner);
    TRY(layer_columns(b, m, &m->fc2, "fc2_experts_weights", inner, &rows));
    v = product(b, m, &m->fc1, m->x, m->hidden->value);
    if (m->fc3.w) gate = product(b, m, &m->fc3, m->x, m->hidden->value);
    v = product(b, m, &m->fc2, activated(b, m, v, gate), inner);
    v = make_mul(b, v, make_unsqueeze(b, m->share, 2));
    v = make_reduce(b, "ReduceSum", v, 1, false);
    v = make_reshape(b, v, in_type(n, 0)->rank, in_type(n, 0)->dim);
    out[0] = make_cast(b, v, in_type(n, 0)->dtype);
    return b->status;
}

static Status lower_moe(Build *b, const Node *n, Value **out)
{
    Moe m;

    TRY(moe_read(b, n, &m));
    m.fc1 = (Layer){.w = n->in[2], .bias = in_value(n, 3)};
    m.fc2 = (Layer){.w = n->in[4], .bias = in_value(n, 5)};
    m.fc3 = (Layer){.w = in_value(n, 6), .bias = in_value(n, 7)};
    TRY(route(b, &m, NULL, attr_int(n, "normalize_routing_weights", 0)));
    return mixture(b, &m, out);
}

/* ---- QMoE ---- */

static Layer packed_layer(Build *b, const Node *n, int at, int zero, int which)
{
    static const char *const bits[] = {"fc1_expert_weight_bits", "fc2_expert_weight_bits",
                                       "fc3_expert_weight_bits"};
    Layer l = {.w = in_value(n, at), .bias = in_value(n, at + 2)};

    l.scale = in_value(n, at + 1);
    l.zero = in_value(n, zero);
    l.bits = attr_int(n, bits[which], attr_int(n, "expert_weight_bits", 4));
    if (!l.w) return l;
    if (l.bits != 2 && l.bits != 4 && l.bits != 8)
        build_fail(b, op_error(n, b->diag, bits[which], "QMoE: found %lld, expected 2, 4 or 8",
                               (long long)l.bits));
    else if (!l.scale || (l.zero && l.zero->type.rank != l.scale->type.rank) ||
             l.scale->type.rank != (attr_int(n, "block_size", 0) ? 3 : 2))
        build_fail(b, op_error(n, b->diag, n->op->in[at + 1].name,
                               "QMoE: scales or zero points are not [experts, rows] or, with a "
                               "block size, [experts, rows, blocks]"));
    return l;
}

static Status lower_qmoe(Build *b, const Node *n, Value **out)
{
    const char *kind = attr_string(n, "quant_type", "int");
    Moe m;

    if (strcmp(kind, "int") != 0)
        return op_unsupported(n, b->diag, "the quantisation \"%s\"", kind);
    if (attr_int(n, "weights_prepacked", -1) > 0)
        return op_unsupported(n, b->diag, "weights that are packed for an execution provider");
    TRY(moe_read(b, n, &m));
    m.block = attr_int(n, "block_size", 0);
    if (m.block < 0 || m.block > INT32_MAX)
        return op_error(n, b->diag, "block_size", "QMoE: found %lld", (long long)m.block);
    m.fc1 = packed_layer(b, n, 2, 11, 0);
    m.fc2 = packed_layer(b, n, 5, 12, 1);
    m.fc3 = packed_layer(b, n, 8, 13, 2);
    TRY(b->status);
    TRY(route(b, &m, in_value(n, 14), true));
    return mixture(b, &m, out);
}

/* ---- MoEGroupRouter: the best experts of the best groups ---- */

static Node *largest(Build *b, Value *v, int64_t k)
{
    return build_op_node(b, NULL, "TopK", 2, (Value *[]){v, build_i64(b, 1, &k)}, 2, 0, NULL);
}

/* 'other', but `v` at the chosen indices of the last axis of a matrix. */
static Value *scattered(Build *b, Value *other, Value *index, Value *v)
{
    Attr axis = attr_of_int("axis", 1);

    return build_op(b, "ScatterElements", 3, (Value *[]){other, index, v}, 1, &axis);
}

static Value *filled(Build *b, const Value *like, double v)
{
    if (!like) return NULL;
    return build_map(b, "fill", 0, NULL, DT_F32, like->type.rank, like->type.dim,
                     sx_const(b->sx, DT_F32, v));
}

/* Scores [tokens, experts], -infinity outside of the best groups. */
static Value *within_groups(Build *b, const Node *n, Value *score, int64_t experts)
{
    int64_t groups = attr_int(n, "n_group", 1), size = experts / groups;
    int64_t top = attr_int(n, "group_topk", 2), keep = attr_int(n, "topk_group", 1);
    Dim dims[3] = {score->type.dim[0], dim_const(b->dims, groups), dim_const(b->dims, size)};
    Value *parts = make_reshape(b, score, 3, dims), *v, *shown;
    Node *best = largest(b, parts, top < size ? top : size);

    v = make_reduce(b, "ReduceSum", best ? best->out[0] : NULL, 2, false);
    best = largest(b, v, keep);
    if (!best) return NULL;
    shown = scattered(b, filled(b, v, -INFINITY), best->out[1], filled(b, best->out[0], 0));
    v = make_add(b, parts, make_unsqueeze(b, shown, 2));
    return make_reshape(b, v, 2, score->type.dim);
}

static Status lower_group_router(Build *b, const Node *n, Value **out)
{
    const Type *x = in_type(n, 0);
    int64_t groups = attr_int(n, "n_group", 1), keep = attr_int(n, "topk_group", 1), experts;
    int64_t top = attr_int(n, "top_k", 1);
    Dim dims[2] = {dim_const(b->dims, 1), NULL};
    Value *share, *v, *least;
    Node *best;

    if (has_in(n, 2) || has_out(n, 1) || has_out(n, 2))
        return op_unsupported(n, b->diag, "projections and full scores");
    if (x->rank < 1 || !dim_is_const(x->dim[x->rank - 1]))
        return op_unsupported(n, b->diag, "an open number of experts");
    experts = x->dim[x->rank - 1]->value;
    if (groups < 1 || experts % groups || keep < 1 || keep > groups || top < 1 ||
        top > experts / groups * keep || attr_int(n, "group_topk", 2) < 1)
        return op_error(n, b->diag, "n_group",
                        "MoEGroupRouter: %lld of %lld experts, from %lld of "
                        "%lld groups",
                        (long long)top, (long long)experts, (long long)keep, (long long)groups);
    for (int i = 0; i + 1 < x->rank; i++)
        dims[0] = dim_mul(b->dims, dims[0], x->dim[i]);
    dims[1] = x->dim[x->rank - 1];
    share = make_unary(b, "Sigmoid", make_cast(b, make_reshape(b, n->in[0], 2, dims), DT_F32));
    v = make_add(b, share, n->in[1]);
    if (b->status != OK) return b->status;
    best = largest(b, within_groups(b, n, v, experts), top);
    if (!best) return b->status;
    least = make_scalar(b, share, 1e-20);
    v = make_unary(b, "Log", build_op2(b, "Max", along_experts(b, share, best->out[1]), least));
    v = scattered(b, filled(b, share, attr_float(n, "router_sentinel", -10000)), best->out[1], v);
    out[0] = make_cast(b, v, x->dtype);
    return b->status;
}

/* ---- the table ---- */

#define MOE_ATTRS                                                                                  \
    ATTR_I("k", 1), ATTR_S("activation_type", "relu"), ATTR_F("activation_alpha", 1),              \
        ATTR_F("activation_beta", 0), ATTR_I("normalize_routing_weights", 0),                      \
        ATTR_I("swiglu_fusion", 0), ATTR_OPT("swiglu_limit", ATTR_FLOAT),                          \
        ATTR_I("swiglu_limit_after_activation", 0), ATTR_I("use_sparse_mixer", 0)

const OpDef contrib_moe_ops[] = {
    {.name = "MoE",
     .about = "mixture of experts: each token goes through the k best",
     ROW_IN({"input", T_GATES, "T", .ranks = RANK(2) | RANK(3)},
            {"router_probs", T_GATES, "T", .ranks = RANK(2)},
            {"fc1_experts_weights", T_GATES, "T", .ranks = RANK(3)},
            {"fc1_experts_bias", T_GATES, "T", true, .ranks = RANK(2)},
            {"fc2_experts_weights", T_GATES, "T", .ranks = RANK(3)},
            {"fc2_experts_bias", T_GATES, "T", true, .ranks = RANK(2)},
            {"fc3_experts_weights", T_GATES, "T", true, .ranks = RANK(3)},
            {"fc3_experts_bias", T_GATES, "T", true, .ranks = RANK(2)}),
     ROW_OUT({"output", T_GATES, "T"}),
     ROW_ATTRS(MOE_ATTRS),
     MICROSOFT_ROW(lower_moe)},
    {.name = "QMoE",
     .about = "mixture of experts with weights of 2, 4 or 8 bits",
     ROW_IN(
         {"input", T_GATES, "T", .ranks = RANK(2) | RANK(3)},
         {"router_probs", T_GATES, "T", .ranks = RANK(2)},
         {"fc1_experts_weights", DT_BIT(DT_U8), "T1", .ranks = RANK(3)},
         {"fc1_scales", T_GATES, "T2"}, {"fc1_experts_bias", T_GATES, "T", true, .ranks = RANK(2)},
         {"fc2_experts_weights", DT_BIT(DT_U8), "T1", .ranks = RANK(3)},
         {"fc2_scales", T_GATES, "T2"}, {"fc2_experts_bias", T_GATES, "T", true, .ranks = RANK(2)},
         {"fc3_experts_weights", DT_BIT(DT_U8), "T1", true, .ranks = RANK(3)},
         {"fc3_scales", T_GATES, "T2", true},
         {"fc3_experts_bias", T_GATES, "T", true, .ranks = RANK(2)},
         {"fc1_zero_points", DT_BIT(DT_U8), "T1", true},
         {"fc2_zero_points", DT_BIT(DT_U8), "T1", true},
         {"fc3_zero_points", DT_BIT(DT_U8), "T1", true}, {"router_weights", T_GATES, "T", true}),
     ROW_OUT({"output", T_GATES, "T"}),
     ROW_ATTRS(MOE_ATTRS, ATTR_S("quant_type", "int"), ATTR_I("expert_weight_bits", 4),
               ATTR_OPT("fc1_expert_weight_bits", ATTR_INT),
               ATTR_OPT("fc2_expert_weight_bits", ATTR_INT),
               ATTR_OPT("fc3_expert_weight_bits", ATTR_INT), ATTR_I("block_size", 0),
               ATTR_I("accuracy_level", 0), ATTR_I("weights_prepacked", -1)),
     MICROSOFT_ROW(lower_qmoe)},
    {.name = "MoEGroupRouter",
     .about = "log shares of the best experts of the best groups",
     ROW_IN({"logits", T_GATES, "T"}, {"expert_bias", T_F32},
            {"projection_weight", T_GATES, "T", true}),
     ROW_OUT({"router_probs", T_GATES, "T", true}, {"selection_scores", T_F32, NULL, true},
             {"router_weights", T_F32, NULL, true}),
     ROW_ATTRS(ATTR_REQ("top_k", ATTR_INT), ATTR_I("n_group", 1), ATTR_I("topk_group", 1),
               ATTR_I("group_topk", 2), ATTR_F("router_sentinel", -10000)),
     MICROSOFT_ROW(lower_group_router)},
    {0},
};
