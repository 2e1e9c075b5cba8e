/* contrib_varlen.c: operators of com.microsoft on several sequences one behind the other: sequence
 * i has the tokens from cumulative_sequence_length[i] to before [i + 1]. */
#include <string.h>

#include "ir/ops/compose.h"
#include "ir/ops/ops_common.h"

/* i64[tokens]: the sequence of each token. */
static Value *sequence_of(Build *b, Value *starts, Dim tokens)
{
    SxTable *t = b->sx;
    Dim count = dim_add_c(b->dims, starts->type.dim[0], -1);
    const Sx *next = sx_add(t, sx_index(t, 1), sx_i64(b, 1)), *over;
    Acc acc = {.monoid = MONOID_SUM, .dtype = DT_I64};

    build_require_least(b, count, 1);
    over = sx_le(t, sx_cast(t, sx_load(t, starts->type.dtype, 0, 1, &next, NULL), DT_I64),
                 sx_index(t, 0));
    acc.body = sx_cast(t, over, DT_I64);
    return build_reduce(b, "sequence", 1, &starts, 1, &tokens, 1, &count, ORDER_CHAIN, acc, DT_I64,
                        sx_min(t, sx_acc(t, 0, DT_I64), sx_sub(t, sx_dim(t, count), sx_i64(b, 1))));
}

static Status varlen_check(const Node *n, Diag *d, int starts, int rank)
{
    if (in_type(n, 0)->rank != rank || in_type(n, starts)->rank != 1)
        return op_error(n, d, n->op->in[0].name, "%s: ranks %d and %d, expected %d and 1",
                        n->op->name, in_type(n, 0)->rank, in_type(n, starts)->rank, rank);
    if (attr_int(n, "state_update_capacity", 0))
        return op_unsupported(n, d, "state_update_capacity");
    return OK;
}

static const Sx *start_at(Build *b, int src, const Value *starts, const Sx *i)
{
    return sx_cast(b->sx, sx_load(b->sx, starts->type.dtype, src, 1, &i, NULL), DT_I64);
}

/* ---- VarlenCausalConvWithState ---- */

/* Sample of channel c of a sequence, `place` tokens behind its start; those before it are the end
 * of the state. Operands: tokens 0, state 1. */
static const Sx *sample(Build *b, const Node *n, const Sx *sequence, const Sx *start,
                        const Sx *place, const Sx *c)
{
    SxTable *t = b->sx;
    DType type = in_type(n, 0)->dtype;
    const Sx *at = sx_add(t, start, place), *inside = sx_le(t, sx_i64(b, 0), place), *now, *old,
             *old_at;
    const Sx *valid =
        sx_and(t, sx_le(t, sx_i64(b, 0), at), sx_lt(t, at, sx_dim(t, in_type(n, 0)->dim[0])));

    now = sx_load(t, type, 0, 2, (const Sx *[]){at, c}, sx_and(t, inside, valid));
    old_at = sx_add(t, place, sx_dim(t, in_type(n, 4)->dim[2]));
    old = sx_load(t, type, 1, 3, (const Sx *[]){sequence, c, old_at},
                  sx_and(t, sx_not(t, inside), sx_le(t, sx_i64(b, 0), old_at)));
    return sx_compute(b, sx_select(t, inside, now, old));
}

static Status lower_varlen_conv(Build *b, const Node *n, Value **out)
{
    SxTable *t = b->sx;
    const char *act = attr_string(n, "activation", "none");
    const Type *x = in_type(n, 0), *w = in_type(n, 1), *state = in_type(n, 4);
    int64_t step = attr_int(n, "dilation", 1), taps;
    const Sx *p = sx_index(t, 0), *c = sx_index(t, 1), *i, *start, *place, *end;
    Acc acc = {.monoid = MONOID_DOT, .dtype = DT_F32};
    Value *in[5] = {n->in[0], n->in[4], n->in[2]}, *y;

    TRY(varlen_check(n, b->diag, 2, 2));
    if (has_in(n, 5) || has_in(n, 6) || has_in(n, 7))
        return op_unsupported(n, b->diag, "captures and deltas");
    if (strcmp(act, "silu") != 0 && strcmp(act, "swish") != 0 && strcmp(act, "none") != 0)
        return op_error(n, b->diag, "activation", "%s: found \"%s\", expected silu, swish or none",
                        n->op->name, act);
    if (step < 1 || w->rank != 3 || state->rank != 3 || !dim_is_const(w->dim[2]) ||
        w->dim[2]->value < 1)
        return op_error(n, b->diag, "weight", "%s: ranks %d and %d, expected 3; dilation %lld",
                        n->op->name, w->rank, state->rank, (long long)step);
    taps = w->dim[2]->value;
    build_require_equal(b, state->dim[2], dim_const(b->dims, (taps - 1) * step));
    build_require_equal(b, state->dim[1], x->dim[1]);
    build_require_equal(b, state->dim[0], dim_add_c(b->dims, in_type(n, 2)->dim[0], -1));
    build_require_equal(b, w->dim[0], x->dim[1]);
    in[3] = sequence_of(b, n->in[2], x->dim[0]);
    in[4] = n->in[1];
    i = sx_load(t, DT_I64, 3, 1, &p, NULL);
    start = start_at(b, 2, n->in[2], i);
    place = sx_sub(t, sx_i64(b, taps - 1), sx_index(t, 2));
    place = sx_sub(t, sx_sub(t, p, start), sx_mul(t, place, sx_i64(b, step)));
    acc.body = sx_cast(t, sample(b, n, i, start, place, c), DT_F32);
    acc.body2 = sx_cast(
        t, sx_load(t, w->dtype, 4, 3, (const Sx *[]){c, sx_i64(b, 0), sx_index(t, 2)}, NULL),
        DT_F32);
    y = build_reduce(b, "conv", 5, in, 2, x->dim, 1, &w->dim[2], ORDER_CHAIN, acc, DT_F32, NULL);
    if (has_in(n, 3)) y = make_add(b, y, make_cast(b, n->in[3], DT_F32));
    if (strcmp(act, "none") != 0) y = make_mul(b, y, make_unary(b, "Sigmoid", y));
    out[0] = make_cast(b, y, x->dtype);
    i = sx_index(t, 0);
    start = start_at(b, 2, n->in[2], i);
    end = start_at(b, 2, n->in[2], sx_add(t, i, sx_i64(b, 1)));
    place = sx_sub(t, sx_sub(t, end, start), sx_sub(t, sx_dim(t, state->dim[2]), sx_index(t, 2)));
    if (has_out(n, 1))
        out[1] = build_map(b, "state", 3, in, state->dtype, 3, state->dim,
                           sx_cast(t, sample(b, n, i, start, place, c), state->dtype));
    return b->status;
}

/* ---- VarlenNGramHashMapping ---- */

/* The id `place` tokens behind the start of a sequence. Operands: ids 0, starts 1, past 2. */
static const Sx *id_at(Build *b, const Node *n, const Sx *sequence, const Sx *start,
                       const Sx *place)
{
    SxTable *t = b->sx;
    DType type = in_type(n, 0)->dtype;
    const Sx *at = sx_add(t, start, place), *inside = sx_le(t, sx_i64(b, 0), place), *now, *old;
    const Sx *valid =
        sx_and(t, sx_le(t, sx_i64(b, 0), at), sx_lt(t, at, sx_dim(t, in_type(n, 0)->dim[0])));

    now = sx_load(t, type, 0, 1, &at, sx_and(t, inside, valid));
    old = sx_const_int(t, type, attr_int(n, "pad_id", 0));
    if (has_in(n, 4)) {
        const Sx *old_at = sx_add(t, place, sx_i64(b, attr_int(n, "max_ngram_size", 2) - 1));
        old = sx_load(t, type, 2, 2, (const Sx *[]){sequence, old_at},
                      sx_and(t, sx_not(t, inside), sx_le(t, sx_i64(b, 0), old_at)));
    }
    return sx_select(t, inside, now, old);
}

static const Sx *vector_at(Build *b, int src, DType type, const Sx *at)
{
    return sx_load(b->sx, type, src, 1, &at, NULL);
}

static Status lower_varlen_ngrams(Build *b, const Node *n, Value **out)
{
    SxTable *t = b->sx;
    DType type = in_type(n, 0)->dtype;
    int64_t most = attr_int(n, "max_ngram_size", 0), heads = attr_int(n, "n_head_per_ngram", 0);
    const Sx *p = sx_index(t, 0), *head = sx_index(t, 1), *i, *start, *mix = NULL, *end, *order, *e;
    Value *in[7] = {n->in[0], n->in[3], has_in(n, 4) ? n->in[4] : n->in[0]};
    Dim dims[2] = {in_type(n, 0)->dim[0], NULL};
    int count = 6;

    TRY(varlen_check(n, b->diag, 3, 1));
    for (int k = 6; k < 10; k++)
        if (has_in(n, k)) return op_unsupported(n, b->diag, "the input \"%s\"", n->op->in[k].name);
    if (has_out(n, 2) || has_out(n, 3)) return op_unsupported(n, b->diag, "more than two outputs");
    if (most < 2 || most > 64 || heads < 1 || heads > 4096 ||
        (has_in(n, 4) && in_type(n, 4)->rank != 2))
        return op_error(n, b->diag, "max_ngram_size", "%s: %lld heads for n-grams up to %lld",
                        n->op->name, (long long)heads, (long long)most);
    build_require_equal(b, in_type(n, 2)->dim[0], dim_const(b->dims, (most - 1) * heads));
    build_require_least(b, in_type(n, 1)->dim[0], most);
    if (has_in(n, 4)) {
        build_require_equal(b, in_type(n, 4)->dim[1], dim_const(b->dims, most - 1));
        build_require_equal(b, in_type(n, 4)->dim[0],
                            dim_add_c(b->dims, in_type(n, 3)->dim[0], -1));
    }
    if (has_in(n, 5)) build_require_equal(b, in_type(n, 5)->dim[0], in_type(n, 2)->dim[0]);
    in[3] = sequence_of(b, n->in[3], dims[0]);
    in[4] = n->in[1];
    in[5] = n->in[2];
    i = vector_at(b, 3, DT_I64, p);
    start = start_at(b, 1, n->in[3], i);
    order = sx_add(t, sx_floor_div(t, head, sx_i64(b, heads)), sx_i64(b, 2));
    for (int64_t k = 0; k < most; k++) {
        e = id_at(b, n, i, start, sx_sub(t, sx_sub(t, p, start), sx_i64(b, k)));
        e = sx_mul(t, e, vector_at(b, 4, type, sx_i64(b, k)));
        if (k >= 2) e = sx_select(t, sx_lt(t, sx_i64(b, k), order), e, sx_const_int(t, type, 0));
        mix = mix ? sx_xor(t, mix, e) : e;
    }
    e = sx_floor_mod(t, mix, vector_at(b, 5, type, head));
    if (has_in(n, 5)) {
        in[count] = n->in[5];
        e = sx_add(t, e, vector_at(b, count++, type, head));
    }
    dims[1] = dim_const(b->dims, (most - 1) * heads);
    out[0] = build_map(b, "hash", count, in, type, 2, dims, e);
    if (!has_out(n, 1)) return b->status;
    dims[0] = dim_add_c(b->dims, in_type(n, 3)->dim[0], -1);
    dims[1] = dim_const(b->dims, most - 1);
    start = start_at(b, 1, n->in[3], p);
    end = start_at(b, 1, n->in[3], sx_add(t, p, sx_i64(b, 1)));
    e = sx_add(t, sx_sub(t, sx_sub(t, end, start), sx_i64(b, most - 1)), head);
    out[1] = build_map(b, "present", 3, in, type, 2, dims, id_at(b, n, p, start, e));
    return b->status;
}

/* ---- the table ---- */

#define T_GATES (T_F32 | DT_BIT(DT_F16) | DT_BIT(DT_BF16))

const OpDef contrib_varlen_ops[] = {
    {.name = "VarlenCausalConvWithState",
     .about = "CausalConvWithState of sequences one behind the other",
     ROW_IN({"input", T_GATES, "T", .ranks = RANK(2)}, {"weight", T_GATES, "T", .ranks = RANK(3)},
            {"cumulative_sequence_length", T_I32, .ranks = RANK(1)},
            {"bias", T_GATES, "T", true, .ranks = RANK(1)},
            {"initial_state", T_GATES, "T", .ranks = RANK(3)}, {"capture_count", T_I32, NULL, true},
            {"kernel_delta", T_GATES, "T", true}, {"previous_mask", T_GATES, "T", true}),
     ROW_OUT({"output", T_GATES, "T"}, {"final_state", T_GATES, "T"},
             {"state_update", T_GATES, "T", true}),
     ROW_ATTRS(ATTR_S("activation", "none"), ATTR_I("dilation", 1),
               ATTR_I("state_update_capacity", 0), ATTR_I("group_size", 1),
               ATTR_I("delta_offset", 0)),
     MICROSOFT_ROW(lower_varlen_conv)},
    {.name = "VarlenNGramHashMapping",
     .about = "NGramHashMapping of sequences one behind the other",
     ROW_IN({"input_ids", T_IDS, "M", .ranks = RANK(1)},
            {"multipliers", T_IDS, "M", .ranks = RANK(1)},
            {"vocab_sizes", T_IDS, "M", .ranks = RANK(1)},
            {"cumulative_sequence_length", T_I32, .ranks = RANK(1)},
            {"past_ids", T_IDS, "M", true, .ranks = RANK(2)},
            {"head_offsets", T_IDS, "M", true, .ranks = RANK(1)},
            {"eos_token_id", T_IDS, "M", true}, {"segment_ids", T_I32, NULL, true},
            {"past_segment_ids", T_I32, NULL, true}, {"capture_count", T_I32, NULL, true}),
     ROW_OUT({"hash_ids", T_IDS, "M"}, {"present_ids", T_IDS, "M", true},
             {"present_segment_ids", T_I32, NULL, true}, {"state_update", T_IDS, "M", true}),
     ROW_ATTRS(ATTR_REQ("max_ngram_size", ATTR_INT), ATTR_REQ("n_head_per_ngram", ATTR_INT),
               ATTR_REQ("pad_id", ATTR_INT), ATTR_I("reset_on_eos", 0),
               ATTR_I("state_update_capacity", 0)),
     MICROSOFT_ROW(lower_varlen_ngrams)},
    {0},
};
