/* linear_attention.c: LinearAttention, a loop over the sequence that carries a matrix for each
 * head; CausalConvWithState. */
#include <string.h>

#include "ir/mathd.h"
#include "ir/ops/compose.h"
#include "ir/ops/ops_common.h"

/* ---- LinearAttention ---- */

typedef struct Rule {
    const char *name;
    bool gated, delta;
} Rule;

static const Rule rules[] = {{"linear", false, false},
                             {"gated", true, false},
                             {"delta", false, true},
                             {"gated_delta", true, true},
                             {NULL, false, false}};

typedef struct Linear {
    const Node *n;
    const Rule *rule;
    Dim batch, length, heads, group, key, size; /* heads of keys; queries of a head */
    Value *q, *k, *v, *decay, *beta;            /* [length, batch, heads, ...], of f32 */
    double scale;
} Linear;

/* [batch, length, heads * rest] -> [length, batch, heads, rows, rest / rows] of f32 */
static Value *by_step(Build *b, const Linear *l, Value *v, Dim heads, Dim rows)
{
    Dim dims[5] = {l->batch, l->length, heads, rows, NULL};

    if (!v) return NULL;
    dims[4] = dim_div(b->dims, v->type.dim[2], dim_mul(b->dims, heads, rows));
    v = make_reshape(b, make_cast(b, v, DT_F32), 5, dims);
    return v ? build_transpose(b, v, (const int[]){1, 0, 2, 3, 4}) : NULL;
}

static Status linear_read(Build *b, const Node *n, Linear *l)
{
    const char *rule = attr_string(n, "update_rule", "gated_delta");
    int64_t q = attr_int(n, "q_num_heads", 0), kv = attr_int(n, "kv_num_heads", 0);
    Dim one = dim_const(b->dims, 1), last;

    *l = (Linear){.n = n, .rule = rules};
    while (l->rule->name && strcmp(l->rule->name, rule) != 0)
        l->rule++;
    if (!l->rule->name)
        return op_error(n, b->diag, "update_rule", "LinearAttention: found \"%s\"", rule);
    if (kv < 1 || q < kv || q % kv)
        return op_error(n, b->diag, "q_num_heads", "LinearAttention: %lld heads for %lld",
                        (long long)q, (long long)kv);
    for (int k = 0; k < n->n_in; k++)
        if (has_in(n, k) && in_type(n, k)->rank != (k == 3 ? 4 : 3))
            return op_error(n, b->diag, n->op->in[k].name, "LinearAttention: rank %d",
                            in_type(n, k)->rank);
    if ((l->rule->gated && !has_in(n, 4)) || (l->rule->delta && !has_in(n, 5)))
        return op_error(n, b->diag, "decay", "LinearAttention: the rule %s needs more inputs",
                        rule);
    if (!dim_is_const(in_type(n, 1)->dim[2]) || !dim_is_const(in_type(n, 2)->dim[2]))
        return op_unsupported(n, b->diag, "open head sizes");
    if (in_type(n, 1)->dim[2]->value % kv || in_type(n, 2)->dim[2]->value % kv)
        return op_error(n, b->diag, "kv_num_heads", "LinearAttention: %lld heads do not fit",
                        (long long)kv);
    l->batch = in_type(n, 0)->dim[0];
    l->length = in_type(n, 0)->dim[1];
    l->heads = dim_const(b->dims, kv);
    l->group = dim_const(b->dims, q / kv);
    l->key = dim_const(b->dims, in_type(n, 1)->dim[2]->value / kv);
    l->size = dim_const(b->dims, in_type(n, 2)->dim[2]->value / kv);
    l->scale = attr_float(n, "scale", 0);
    if (l->scale == 0) l->scale = 1 / mathd_sqrt((double)l->key->value);
    l->q = by_step(b, l, n->in[0], l->heads, l->group);
    l->k = by_step(b, l, n->in[1], l->heads, one);
    l->v = by_step(b, l, n->in[2], l->heads, one);
    l->decay = l->rule->gated ? by_step(b, l, n->in[4], l->heads, one) : NULL;
    last = has_in(n, 5) ? in_type(n, 5)->dim[2] : one;
    l->beta =
        l->rule->delta ? by_step(b, l, n->in[5], dim_is(last, 1) ? one : l->heads, one) : NULL;
    return b->status;
}

static Value *turned(Build *b, Value *v)
{
    return v ? build_transpose(b, v, (const int[]){0, 1, 3, 2}) : NULL;
}

/* One step: the next state [batch, heads, key, size]; *y: [batch, heads, group, size]. */
static Value *linear_step(Build *b, const Linear *l, Value *round, Value *state, Value **y)
{
    Value *q = make_gather(b, l->q, round, 0), *k = make_gather(b, l->k, round, 0);
    Value *v = make_gather(b, l->v, round, 0), *column = turned(b, k);

    if (l->decay) {
        Value *g = make_unary(b, "Exp", make_gather(b, l->decay, round, 0));
        state = make_mul(b, state, turned(b, g));
    }
    if (l->rule->delta) {
        v = make_sub(b, v, build_op2(b, "MatMul", k, state));
        v = make_mul(b, v, make_gather(b, l->beta, round, 0));
    }
    state = make_add(b, state, make_mul(b, column, v));
    *y = build_op2(b, "MatMul", q, state);
    *y = make_mul(b, *y, make_scalar(b, *y, l->scale));
    return state;
}

/* The loop over the sequence: out[0] is the state behind it, out[1] what the steps gave. */
static Node *linear_loop(Build *b, const Linear *l, Value *state)
{
    Value *in[3] = {build_dims(b, -1, &l->length), NULL, state}, *round, *yes, *y = NULL;
    Dim *dims = ARENA_ARRAY(b->module->arena, Dim, 5);
    Build inner;
    Node *loop;
    Region *r;

    if (b->status != OK) return NULL;
    loop = node_new(b->region, b->before, NODE_LOOP, 3, in, 2, b->origin);
    loop->op = op_find(NULL, "Loop");
    r = node_add_region(loop);
    round = region_add_arg(r, NULL, type_tensor(DT_I64, 0, NULL));
    yes = region_add_arg(r, NULL, type_tensor(DT_BOOL, 0, NULL));
    loop->out[0]->type = state->type;
    state = region_add_arg(r, NULL, state->type);
    inner = build_at(r, NULL, b->origin, b->diag);
    state = linear_step(&inner, l, round, state, &y);
    if (build_fail(b, inner.status) != OK) return NULL;
    region_add_result(r, yes);
    region_add_result(r, state);
    region_add_result(r, y);
    dims[0] = l->length;
    dims[1] = l->batch;
    dims[2] = l->heads;
    dims[3] = l->group;
    dims[4] = l->size;
    loop->out[1]->type = type_tensor(DT_F32, 5, dims);
    return loop;
}

static Status lower_linear(Build *b, const Node *n, Value **out)
{
    DType type = in_type(n, 0)->dtype;
    Value *state, *y;
    Linear l;
    Node *loop;
    Dim dims[4];

    TRY(linear_read(b, n, &l));
    dims[0] = l.batch;
    dims[1] = l.heads;
    dims[2] = l.key;
    dims[3] = l.size;
    state = has_in(n, 3)
                ? make_cast(b, n->in[3], DT_F32)
                : build_map(b, "state", 0, NULL, DT_F32, 4, dims, sx_const(b->sx, DT_F32, 0));
    loop = state ? linear_loop(b, &l, state) : NULL;
    if (!loop) return b->status;
    y = build_transpose(b, loop->out[1], (const int[]){1, 0, 2, 3, 4});
    dims[1] = l.length;
    dims[2] = dim_mul(b->dims, dim_mul(b->dims, l.heads, l.group), l.size);
    out[0] = make_cast(b, make_reshape(b, y, 3, dims), type);
    if (has_out(n, 1))
        out[1] = make_cast(b, loop->out[0], has_in(n, 3) ? in_type(n, 3)->dtype : type);
    return b->status;
}

/* ---- CausalConvWithState ---- */

static Status lower_causal(Build *b, const Node *n, Value **out)
{
    const char *act = attr_string(n, "activation", "none");
    const Type *x = in_type(n, 0), *w = in_type(n, 1);
    bool silu = strcmp(act, "silu") == 0 || strcmp(act, "swish") == 0;
    Dim dims[3];
    Value *before = in_value(n, 3), *v, *y;
    Attr group;

    if (!silu && strcmp(act, "none") != 0)
        return op_error(n, b->diag, "activation", "CausalConvWithState: found \"%s\"", act);
    if (x->rank != 3 || w->rank != 3 || !dim_is_const(w->dim[0]) || !dim_is_const(w->dim[2]) ||
        w->dim[2]->value < 1)
        return op_unsupported(n, b->diag, "an input or weights of this shape");
    dims[0] = x->dim[0];
    dims[1] = x->dim[1];
    dims[2] = dim_const(b->dims, w->dim[2]->value - 1);
    if (!before)
        before = build_map(b, "state", 0, NULL, x->dtype, 3, dims, sx_const(b->sx, x->dtype, 0));
    v = make_concat(b, 2, (Value *[]){before, n->in[0]}, 2);
    group = attr_of_int("group", w->dim[0]->value);
    y = build_op(b, "Conv", 3, (Value *[]){v, n->in[1], in_value(n, 2)}, 1, &group);
    out[0] = silu ? make_mul(b, y, make_unary(b, "Sigmoid", y)) : y;
    if (has_out(n, 1) && w->dim[2]->value == 1)
        out[1] = before;
    else if (has_out(n, 1))
        out[1] = make_slice(b, v, 2, 1 - w->dim[2]->value, INT64_MAX, 1);
    return b->status;
}

#define COMPOSED(low) .traits = OP_PURE, .infer = compose_infer, .eval = compose_eval, .lower = low

const OpDef linear_attention_ops[] = {
    {.name = "LinearAttention",
     .since = 27,
     .about = "attention by a state that the sequence updates",
     ROW_IN({"query", T_FLOAT, "T"}, {"key", T_FLOAT, "T"}, {"value", T_FLOAT, "T"},
            {"past_state", T_FLOAT, "S", true}, {"decay", T_FLOAT, "T", true},
            {"beta", T_FLOAT, "T", true}),
     ROW_OUT({"output", T_FLOAT, "T"}, {"present_state", T_FLOAT, "S"}),
     ROW_ATTRS(ATTR_I("chunk_size", 64), ATTR_REQ("kv_num_heads", ATTR_INT),
               ATTR_REQ("q_num_heads", ATTR_INT), ATTR_F("scale", 0),
               ATTR_S("update_rule", "gated_delta")),
     COMPOSED(lower_linear)},
    {.name = "CausalConvWithState",
     .since = 27,
     .about = "depthwise convolution that sees the past only",
     ROW_IN({"input", T_FLOAT, "T", .ranks = RANK(3)}, {"weight", T_FLOAT, "T", .ranks = RANK(3)},
            {"bias", T_FLOAT, "T", true, .ranks = RANK(1)},
            {"past_state", T_FLOAT, "T", true, .ranks = RANK(3)}),
     ROW_OUT({"output", T_FLOAT, "T"}, {"present_state", T_FLOAT, "T"}),
     ROW_ATTRS(ATTR_S("activation", "none")),
     COMPOSED(lower_causal)},
    {0},
};
