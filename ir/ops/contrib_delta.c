/* contrib_delta.c: operators of com.microsoft for layers that carry a state along the sequence, and
 * for words and weights of older exports: GatedDeltaNet (LinearAttention of packed tokens, with its
 * gates in it), WordConvEmbedding, MatMulFpQ4. */
#include <string.h>

#include "ir/ops/compose.h"
#include "ir/ops/ops_common.h"

#define T_GATES (T_F32 | DT_BIT(DT_F16) | DT_BIT(DT_BF16))

static Value *as_f32(Build *b, Value *v)
{
    return v ? make_cast(b, v, DT_F32) : NULL;
}

/* ---- GatedDeltaNet ---- */

/* Tokens lie one behind the other, as many of each sequence: [tokens, ...] or [batch, length, ...]
 */
typedef struct Delta {
    const Node *n;
    int lead;                      /* axes of tokens: 1 or 2 */
    Dim batch, length;             /* length of each sequence */
    int64_t heads, key, own, size; /* of queries and keys; of values */
    Value *q, *k, *v;              /* f32 [batch, length, heads * size] */
} Delta;

static Status delta_refusals(const Node *n, Diag *d)
{
    if (has_in(n, 3)) return op_unsupported(n, d, "sequences of several lengths (cu_seqlens)");
    if (attr_int(n, "state_update_capacity", 0) || has_out(n, 2))
        return op_unsupported(n, d, "compact state updates");
    if (has_in(n, 1) != has_in(n, 2))
        return op_error(n, d, "key", "GatedDeltaNet: key and value are given both, or none");
    if (in_type(n, 0)->rank < 2 || in_type(n, 0)->rank > 4)
        return op_error(n, d, "query", "GatedDeltaNet: rank %d", in_type(n, 0)->rank);
    return OK;
}

static bool known_extents(const Type *t, int from)
{
    for (int i = from; i < t->rank; i++)
        if (!dim_is_const(t->dim[i])) return false;
    return true;
}

/* [tokens, rest] or [batch, length, rest] -> f32 [batch, length, elements of a token] */
static Value *by_sequence(Build *b, const Delta *l, Value *v, int64_t elements)
{
    Dim dims[3] = {l->batch, l->length, dim_const(b->dims, elements)};

    return v ? make_reshape(b, as_f32(b, v), 3, dims) : NULL;
}

/* NULL: it is left out. */
static const Type *type_of(const Node *n, int k)
{
    return has_in(n, k) ? in_type(n, k) : NULL;
}

static Status delta_heads(Build *b, Delta *l)
{
    const Node *n = l->n;
    const Type *x = in_type(n, 0), *k = type_of(n, 1), *v = type_of(n, 2), *s = type_of(n, 6);
    int64_t width;

    if (k) {
        if (!v || x->rank != l->lead + 2 || k->rank != x->rank || v->rank != x->rank ||
            !known_extents(k, l->lead) || !known_extents(v, l->lead))
            return op_unsupported(n, b->diag, "heads of queries, keys and values of these shapes");
        l->heads = k->dim[l->lead]->value;
        l->key = k->dim[l->lead + 1]->value;
        l->own = v->dim[l->lead]->value;
        l->size = v->dim[l->lead + 1]->value;
        build_require_equal(b, x->dim[l->lead], k->dim[l->lead]);
        build_require_equal(b, x->dim[l->lead + 1], k->dim[l->lead + 1]);
    } else {
        if (!s || s->rank != 4 || !known_extents(s, 1) || !known_extents(x, l->lead))
            return op_error(n, b->diag, "initial_state",
                            "GatedDeltaNet: packed queries, keys and values need a state");
        l->own = s->dim[1]->value;
        l->size = s->dim[2]->value;
        l->key = s->dim[3]->value;
        width = x->dim[l->lead]->value - l->own * l->size;
        l->heads = l->key > 0 ? width / (2 * l->key) : 0;
        if (width < 0 || l->heads * 2 * l->key != width) l->heads = 0;
    }
    if (l->heads < 1 || l->key < 1 || l->size < 1 || l->own < 1 || l->own % l->heads)
        return op_error(n, b->diag, "query", "GatedDeltaNet: %lld heads of values for %lld",
                        (long long)l->own, (long long)l->heads);
    return OK;
}

static Status delta_read(Build *b, const Node *n, Delta *l)
{
    const Type *x = in_type(n, 0), *s = type_of(n, 6);
    Dim state[4];
    Infer cx = {.module = b->module, .build = b, .diag = b->diag};

    TRY(delta_refusals(n, b->diag));
    *l = (Delta){.n = n, .lead = x->rank - (has_in(n, 1) ? 2 : 1)};
    if (l->lead < 1 || l->lead > 2 || (l->lead == 1 && (!s || s->rank != 4)))
        return op_error(n, b->diag, "initial_state",
                        "GatedDeltaNet: tokens in one row need a state of rank 4");
    TRY(delta_heads(b, l));
    l->batch = l->lead == 2 ? x->dim[0] : s->dim[0];
    l->length = l->lead == 2 ? x->dim[1] : dim_div(b->dims, x->dim[0], s->dim[0]);
    if (l->lead == 1) build_require_equal(b, dim_mul(b->dims, l->batch, l->length), x->dim[0]);
    state[0] = l->batch;
    state[1] = dim_const(b->dims, l->own);
    state[2] = dim_const(b->dims, l->size);
    state[3] = dim_const(b->dims, l->key);
    TRY(infer_extents(&cx, (Node *)(uintptr_t)n, 6, 4, state));
    if (has_in(n, 1)) {
        l->q = by_sequence(b, l, n->in[0], l->heads * l->key);
        l->k = by_sequence(b, l, n->in[1], l->heads * l->key);
        l->v = by_sequence(b, l, n->in[2], l->own * l->size);
    } else {
        int64_t one = l->heads * l->key;
        Value *all = by_sequence(b, l, n->in[0], 2 * one + l->own * l->size);
        l->q = make_slice(b, all, 2, 0, one, 1);
        l->k = make_slice(b, all, 2, one, 2 * one, 1);
        l->v = make_slice(b, all, 2, 2 * one, INT64_MAX, 1);
    }
    return b->status;
}

/* Each head of length 1. */
static Value *unit_heads(Build *b, const Delta *l, Value *v)
{
    Dim flat[3] = {l->batch, l->length, dim_const(b->dims, l->heads * l->key)};
    Dim dims[4] = {l->batch, l->length, dim_const(b->dims, l->heads), dim_const(b->dims, l->key)};
    Value *sum;

    v = make_reshape(b, v, 4, dims);
    sum = make_reduce(b, "ReduceSumSquare", v, -1, true);
    sum = make_unary(b, "Sqrt", make_add(b, sum, make_scalar(b, sum, 1e-12)));
    return make_reshape(b, make_div(b, v, sum), 3, flat);
}

/* Heads of queries or keys as often as there are heads of values that share them. */
static Value *for_values(Build *b, const Delta *l, Value *v)
{
    SxTable *t = b->sx;
    Dim dims[3] = {l->batch, l->length, dim_const(b->dims, l->own * l->key)};
    const Sx *at = sx_index(t, 2), *key = sx_i64(b, l->key), *head;

    if (!v || l->own == l->heads) return v;
    head = sx_floor_div(t, at, sx_i64(b, l->key * (l->own / l->heads)));
    at = sx_add(t, sx_mul(t, head, key), sx_floor_mod(t, at, key));
    at = sx_at(b, 0, v, (const Sx *[]){sx_index(t, 0), sx_index(t, 1), at});
    return build_map(b, "heads", 1, &v, DT_F32, 3, dims, at);
}

/* A vector of the heads, repeated for the `each` elements that a head has. */
static Value *for_elements(Build *b, const Delta *l, Value *v, int64_t each)
{
    Dim own = dim_const(b->dims, l->own), e = dim_const(b->dims, each), count;
    Value *x = as_f32(b, v);

    if (!x) return NULL;
    count = type_count(b->dims, &x->type);
    if (dim_is(count, l->own * each)) return make_reshape(b, x, 2, (Dim[]){own, e});
    return make_reshape(b, x, 2, (Dim[]){own, dim_const(b->dims, 1)});
}

/* The logarithm of what is left of the state: as it is given, or from gate, a_log and dt_bias. */
static Value *delta_decay(Build *b, const Delta *l)
{
    const Node *n = l->n;
    const char *how = attr_string(n, "gate_activation", "none");
    bool soft = strcmp(how, "softplus") == 0 || strcmp(how, "qwen") == 0;
    const Type *t = in_type(n, 4);
    int64_t each = t->rank == l->lead + 2 ? l->key : 1;
    Dim dims[4] = {l->batch, l->length, dim_const(b->dims, l->own), dim_const(b->dims, each)};
    Dim flat[3] = {l->batch, l->length, dim_const(b->dims, l->own * each)};
    Value *g = make_reshape(b, as_f32(b, n->in[4]), 4, dims), *a;

    if (strcmp(how, "none") == 0) return make_reshape(b, g, 3, flat);
    if (!soft && strcmp(how, "sigmoid") != 0 && strcmp(how, "kda") != 0) {
        build_fail(b, op_error(n, b->diag, "gate_activation", "GatedDeltaNet: found \"%s\"", how));
        return NULL;
    }
    if (!has_in(n, 7) || !has_in(n, 8)) {
        build_fail(b,
                   op_error(n, b->diag, "a_log", "GatedDeltaNet: %s needs a_log and dt_bias", how));
        return NULL;
    }
    a = make_unary(b, "Exp", for_elements(b, l, n->in[7], 1));
    g = make_add(b, g, for_elements(b, l, n->in[8], each));
    if (soft)
        g = make_unary(b, "Neg", make_mul(b, make_unary(b, "Softplus", g), a));
    else
        g = make_unary(b, "Sigmoid", make_mul(b, g, a));
    if (!soft) g = make_mul(b, g, make_scalar(b, g, attr_float(n, "gate_lower_bound", -5)));
    return make_reshape(b, g, 3, flat);
}

static Value *delta_beta(Build *b, const Delta *l)
{
    const char *how = attr_string(l->n, "beta_activation", "none");
    Value *v = by_sequence(b, l, l->n->in[5], l->own);

    if (strcmp(how, "sigmoid") == 0) return make_unary(b, "Sigmoid", v);
    if (strcmp(how, "none") == 0) return v;
    build_fail(b, op_error(l->n, b->diag, "beta_activation", "GatedDeltaNet: found \"%s\"", how));
    return NULL;
}

static Status lower_delta(Build *b, const Node *n, Value **out)
{
    static const int turn[] = {0, 1, 3, 2};
    const char *rule = attr_string(n, "update_rule", "gated_delta");
    bool gated = strncmp(rule, "gated", 5) == 0, delta = strstr(rule, "delta") != NULL;
    Value *in[6] = {NULL};
    Attr attr[4];
    Delta l;
    Node *y;
    Dim dims[4];

    TRY(delta_read(b, n, &l));
    if ((gated && !has_in(n, 4)) || (delta && !has_in(n, 5)))
        return op_error(n, b->diag, "decay", "GatedDeltaNet: the rule %s needs more inputs", rule);
    in[0] = for_values(b, &l, attr_int(n, "qk_l2_norm", 0) ? unit_heads(b, &l, l.q) : l.q);
    in[1] = for_values(b, &l, attr_int(n, "qk_l2_norm", 0) ? unit_heads(b, &l, l.k) : l.k);
    in[2] = l.v;
    if (has_in(n, 6)) in[3] = build_transpose(b, n->in[6], turn);
    if (gated) in[4] = delta_decay(b, &l);
    if (delta) in[5] = delta_beta(b, &l);
    attr[0] = attr_of_int("q_num_heads", l.own);
    attr[1] = attr_of_int("kv_num_heads", l.own);
    attr[2] = attr_of_float("scale", attr_float(n, "scale", 0));
    attr[3] = attr_of_string("update_rule", rule);
    if (b->status != OK) return b->status;
    y = build_op_node(b, NULL, "LinearAttention", 6, in, 2, 4, attr);
    if (!y) return b->status;
    for (int i = 0; i < l.lead; i++)
        dims[i] = in_type(n, 0)->dim[i];
    dims[l.lead] = dim_const(b->dims, l.own);
    dims[l.lead + 1] = dim_const(b->dims, l.size);
    out[0] = make_cast(b, make_reshape(b, y->out[0], l.lead + 2, dims), in_type(n, 0)->dtype);
    if (has_out(n, 1)) out[1] = build_transpose(b, y->out[1], turn);
    return b->status;
}

/* ---- WordConvEmbedding ---- */

/* Letters of words (numbers above 0; others are none) become vectors; the largest tanh of a
 * convolution over so many letters as the word has, at least a window's. A word that begins with
 * none has no letters, and gives zeros. */
static Status lower_words(Build *b, const Node *n, Value **out)
{
    const Type *x = in_type(n, 0), *w = in_type(n, 1);
    Value *positive, *count, *first, *letters, *place, *v, *zero;
    Dim length;
    int64_t window;
    Infer cx = {.module = b->module, .build = b, .diag = b->diag};

    if (!dim_is_const(w->dim[2]) || !dim_is(w->dim[1], 1) || w->dim[2]->value < 1)
        return op_unsupported(n, b->diag, "weights of this shape");
    TRY(infer_vector(&cx, (Node *)(uintptr_t)n, 2, w->dim[0]));
    build_require_equal(b, in_type(n, 3)->dim[1], w->dim[3]);
    window = w->dim[2]->value;
    length = x->dim[1];
    build_require_least(b, length, window);
    zero = make_scalar(b, n->in[0], 0);
    positive = build_op2(b, "Greater", n->in[0], zero);
    first = make_slice(b, positive, 1, 0, 1, 1);
    count = make_reduce(b, "ReduceSum", make_cast(b, positive, DT_I64), 1, true);
    letters = build_op2(b, "Max", count, make_scalar(b, count, (double)window));
    place = make_unsqueeze(
        b, build_map(b, "place", 0, NULL, DT_I64, 1, &length, sx_index(b->sx, 0)), 0);
    v = make_gather(b, n->in[3], n->in[0], 0);
    v = make_where(b, make_unsqueeze(b, build_op2(b, "Less", place, letters), 2), v,
                   make_scalar(b, v, 0));
    v = build_op(b, "Conv", 3, (Value *[]){make_unsqueeze(b, v, 1), n->in[1], n->in[2]}, 0, NULL);
    v = make_unary(b, "Tanh", v); /* [words, features, places, 1] */
    place = make_add(b, place, make_scalar(b, place, (double)window - 1));
    positive = make_unsqueeze(b, make_unsqueeze(b, build_op2(b, "Less", place, letters), 1), 3);
    if (b->status != OK) return b->status;
    if (v->type.dim[2] != positive->type.dim[2])
        positive = make_slice(b, positive, 2, 0,
                              dim_is_const(v->type.dim[2]) ? v->type.dim[2]->value : 1 - window, 1);
    v = make_where(b, positive, v, make_scalar(b, v, -2));
    v = make_reduce(b, "ReduceMax", make_reduce(b, "ReduceMax", v, 3, false), 2, false);
    out[0] = make_where(b, first, v, make_scalar(b, v, 0));
    return b->status;
}

/* ---- MatMulFpQ4 ---- */

/* A block of 32 rows of a column: its scale (f32), with type 1 its zero point (a byte), and 4-bit
 * codes, of which a byte holds two that are 16 rows apart. */
static const Sx *blob_weight(Build *b, const Value *blob, int64_t kind, int64_t blocks,
                             const Sx *row, const Sx *column)
{
    SxTable *t = b->sx;
    int64_t head = kind == 1 ? 5 : 4;
    const Sx *of = sx_floor_div(t, row, sx_i64(b, 32)), *in = sx_floor_mod(t, row, sx_i64(b, 32));
    const Sx *block = sx_add(t, sx_mul(t, column, sx_i64(b, blocks)), of);
    const Sx *at = sx_mul(t, block, sx_i64(b, head + 16)), *place, *bits, *e, *code, *zero;

    bits = sx_const_int(t, DT_U32, 0);
    for (int i = 0; i < 4; i++) {
        place = sx_add(t, at, sx_i64(b, i));
        e = sx_cast(t, sx_at(b, 0, blob, &place), DT_U32);
        bits = sx_or(t, bits, sx_shl(t, e, sx_const_int(t, DT_U32, 8 * i)));
    }
    place = sx_add(t, sx_add(t, at, sx_i64(b, head)), sx_floor_mod(t, in, sx_i64(b, 16)));
    code = sx_cast(t, sx_at(b, 0, blob, &place), DT_I32);
    code = sx_shr(t, code,
                  sx_cast(t, sx_mul(t, sx_floor_div(t, in, sx_i64(b, 16)), sx_i64(b, 4)), DT_I32));
    code = sx_and(t, code, sx_const_int(t, DT_I32, 15));
    place = sx_add(t, at, sx_i64(b, 4));
    zero = kind == 1 ? sx_cast(t, sx_at(b, 0, blob, &place), DT_I32) : sx_const_int(t, DT_I32, 8);
    code = sx_cast(t, sx_sub(t, code, zero), DT_F32);
    return sx_mul(t, code, sx_bitcast(t, bits, DT_F32));
}

static Status lower_blob(Build *b, const Node *n, Value **out)
{
    const Type *x = in_type(n, 0), *blob = in_type(n, 1);
    int64_t kind = attr_int(n, "blk_quant_type", 1), blocks;
    const int64_t *shape;
    Dim dims[2];
    Value *w;
    int count;

    if (kind != 0 && kind != 1) /* described with blocks of 64, read by its runtime as type 1 */
        return op_unsupported(n, b->diag, "blk_quant_type %lld", (long long)kind);
    if (!const_ints(n->in[2], b->module->arena, &shape, &count))
        return op_unsupported(n, b->diag, "a shape of B that only the run knows");
    if (count != 2 || shape[0] < 1 || shape[1] < 1 || shape[0] > INT32_MAX ||
        shape[1] > INT32_MAX || x->rank < 1)
        return op_error(n, b->diag, "B_shape", "MatMulFpQ4: %d numbers, expected rows and columns",
                        count);
    blocks = (shape[0] + 31) / 32;
    build_require_equal(b, blob->dim[0],
                        dim_mul(b->dims, dim_const(b->dims, blocks * shape[1]),
                                dim_const(b->dims, (kind == 1 ? 5 : 4) + 16)));
    dims[0] = dim_const(b->dims, shape[0]);
    dims[1] = dim_const(b->dims, shape[1]);
    w = build_map(b, "unpack", 1, &n->in[1], DT_F32, 2, dims,
                  blob_weight(b, n->in[1], kind, blocks, sx_index(b->sx, 0), sx_index(b->sx, 1)));
    out[0] = build_op2(b, "MatMul", n->in[0], w);
    return b->status;
}

const OpDef contrib_delta_ops[] = {
    {.name = "GatedDeltaNet",
     .about = "linear attention with gates, of tokens one behind the other",
     ROW_IN({"query", T_GATES, "T"}, {"key", T_GATES, "T", true}, {"value", T_GATES, "T", true},
            {"cu_seqlens", DT_BIT(DT_I32), NULL, true}, {"decay", T_GATES, "TG", true},
            {"beta", T_GATES, "TG", true}, {"initial_state", T_F32, NULL, true},
            {"a_log", T_F32, NULL, true}, {"dt_bias", T_F32, NULL, true},
            {"capture_count", DT_BIT(DT_I32), NULL, true},
            {"state_update_active", DT_BIT(DT_I32), NULL, true}),
     ROW_OUT({"output", T_GATES, "T"}, {"final_state", T_F32, NULL, true},
             {"state_update", T_F32, NULL, true}),
     ROW_ATTRS(ATTR_I("state_update_capacity", 0), ATTR_I("chunk_size", 64),
               ATTR_S("beta_activation", "none"), ATTR_S("gate_activation", "none"),
               ATTR_F("scale", 0), ATTR_I("qk_l2_norm", 0), ATTR_F("gate_lower_bound", -5),
               ATTR_S("update_rule", "gated_delta")),
     MICROSOFT_ROW(lower_delta)},
    {.name = "WordConvEmbedding",
     .about = "words as the largest features of their letters",
     ROW_IN({"Sequence", DT_BIT(DT_I32), "T", .ranks = RANK(2)},
            {"W", T_F32, "T1", .ranks = RANK(4)}, {"B", T_F32, "T1", .ranks = RANK(1)},
            {"C", T_F32, "T1", .ranks = RANK(2)}),
     ROW_OUT({"Y", T_F32, "T1"}),
     ROW_ATTRS(ATTR_OPT("char_embedding_size", ATTR_INT), ATTR_OPT("conv_window_size", ATTR_INT),
               ATTR_OPT("embedding_size", ATTR_INT)),
     MICROSOFT_ROW(lower_words)},
    {.name = "MatMulFpQ4",
     .about = "product with a blob of 4-bit weights",
     ROW_IN({"A", T_F32, "T1"}, {"B", DT_BIT(DT_U8), "T2", .ranks = RANK(1)},
            {"B_shape", DT_BIT(DT_I64), "T3", .ranks = RANK(1)}),
     ROW_OUT({"Y", T_F32, "T1"}),
     ROW_ATTRS(ATTR_I("blk_quant_type", 1)),
     MICROSOFT_ROW(lower_blob)},
    {0},
};
