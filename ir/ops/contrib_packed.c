/* contrib_packed.c: attention of com.microsoft over batches without their padding, with a local
 * window, in blocks, and for one step of a decoder.
 *
 * Packed tokens [tokens, hidden] are put into [batch, sequence, hidden] where attention needs them,
 * and taken out again: cumulative lengths tell where a sequence starts, token_offset where a token
 * goes. */

#include <math.h>
#include <string.h>

#include "ir/mathd.h"
#include "ir/ops/compose.h"
#include "ir/ops/ops_common.h"

#define MS "com.microsoft"

static Status check_rank(const Node *n, Diag *d, int k, int rank)
{
    if (!has_in(n, k) || in_type(n, k)->rank == rank) return OK;
    return op_error(n, d, n->op->in[k].name, "%s: rank %d, expected %d", n->op->name,
                    in_type(n, k)->rank, rank);
}

static const Sx *integer_at(Build *b, int src, const Value *v, const Sx *at)
{
    return sx_cast(b->sx, sx_at(b, src, v, &at), DT_I64);
}

/* ---- packing ---- */

/* [tokens, width] -> [batch, sequence, width], zeros behind the end of each sequence */
static Value *unpacked(Build *b, Value *v, Value *starts, Dim batch, Dim length)
{
    SxTable *t = b->sx;
    const Sx *i = sx_index(t, 0), *s = sx_index(t, 1), *from, *to, *at, *there;

    if (!v || !starts) return NULL;
    from = integer_at(b, 1, starts, i);
    to = integer_at(b, 1, starts, sx_add(t, i, sx_i64(b, 1)));
    at = sx_add(t, from, s);
    there = sx_and(t, sx_le(t, sx_i64(b, 0), at),
                   sx_lt(t, at, sx_min(t, to, sx_dim(t, v->type.dim[0]))));
    return build_map(b, "unpack", 2, (Value *[]){v, starts}, v->type.dtype, 3,
                     (Dim[]){batch, length, v->type.dim[1]},
                     sx_at_guarded(b, 0, v, (const Sx *[]){at, sx_index(t, 2)}, there));
}

/* [batch, sequence, width] -> [tokens, width]; offset [batch, sequence]: those of tokens first */
static Value *packed(Build *b, Value *v, Value *offset, Dim tokens)
{
    SxTable *t = b->sx;
    const Sx *at, *guard;
    Dim dims[2];

    if (!v || !offset) return NULL;
    dims[0] = dim_mul(b->dims, v->type.dim[0], v->type.dim[1]);
    dims[1] = v->type.dim[2];
    v = make_reshape(b, v, 2, dims);
    build_require_equal(b, type_count(b->dims, &offset->type), dims[0]);
    at = sx_lt(t, sx_index(t, 0), sx_dim(t, dims[0])); /* no more tokens than there are places */
    at = sx_load_flat(t, offset->type.dtype, 1, sx_index(t, 0), at);
    at = sx_data_index(b, 1, at, dims[0], &guard);
    return build_map(b, "pack", 2, (Value *[]){v, offset}, v->type.dtype, 2,
                     (Dim[]){tokens, dims[1]},
                     sx_at_guarded(b, 0, v, (const Sx *[]){at, sx_index(t, 1)}, guard));
}

/* i32[batch + 1]: 0, and the sums of counts up to each sequence */
static Value *cumulated(Build *b, Value *counts)
{
    SxTable *t = b->sx;
    Value *sums =
        build_op(b, "CumSum", 2, (Value *[]){counts, build_scalar(b, DT_I64, 0)}, 0, NULL);
    const Sx *i = sx_index(t, 0), *some, *e;

    if (!sums) return NULL;
    some = sx_lt(t, sx_i64(b, 0), i);
    e = sx_at_guarded(b, 0, sums, (const Sx *[]){sx_sub(t, i, sx_i64(b, 1))}, some);
    return build_map(b, "starts", 1, &sums, DT_I32, 1,
                     (Dim[]){dim_add_c(b->dims, sums->type.dim[0], 1)}, e);
}

/* The symbol of how many tokens there are, before n. */
static Status infer_remove(Infer *cx, Node *n)
{
    DimTable *t = &cx->module->dims;
    const Type *x = in_type(n, 0);
    Dim tokens, one = dim_const(t, 1), most;

    TRY(infer_ranked(cx, n, 0));
    TRY(infer_ranked(cx, n, 1));
    TRY(check_rank(n, cx->diag, 0, 3));
    TRY(check_rank(n, cx->diag, 1, 1));
    most = dim_mul(t, x->dim[0], x->dim[1]);
    tokens = dim_fresh(t, "tokens", 0, most->hi);
    if (cx->build)
        tokens = build_bind(cx->build, make_reduce_all(cx->build, "ReduceSum", n->in[1]), 0,
                            "tokens", 0, most->hi);
    TRY(cx->build ? cx->build->status : OK);
    infer_out(cx, n, 0, x->dtype, 2, (Dim[]){tokens, x->dim[2]});
    infer_out(cx, n, 1, DT_I32, 2, x->dim);
    infer_out(cx, n, 2, DT_I32, 1, (Dim[]){dim_add_c(t, x->dim[0], 1)});
    infer_out(cx, n, 3, DT_I32, 1, &one);
    return OK;
}

static Status lower_remove(Build *b, const Node *n, Value **out)
{
    SxTable *t = b->sx;
    const Type *x = in_type(n, 0);
    Value *starts = cumulated(b, n->in[1]), *place, *number, *offset, *in[3];
    const Sx *i = sx_index(t, 0), *s = sx_index(t, 1), *from, *count, *row, *e;
    Dim flat = dim_mul(b->dims, x->dim[0], x->dim[1]);

    if (!starts) return b->status;
    build_require_equal(b, in_type(n, 1)->dim[0], x->dim[0]);
    row = sx_mul(t, i, sx_dim(t, x->dim[1]));
    from = integer_at(b, 0, starts, i);
    count = integer_at(b, 1, n->in[1], i);
    e = integer_at(b, 0, starts, sx_dim(t, x->dim[0])); /* all; then come those of the padding */
    e = sx_add(t, e, sx_sub(t, sx_sub(t, sx_add(t, row, s), from), count));
    e = sx_select(t, sx_lt(t, s, count), sx_add(t, from, s), e);
    place = build_map(b, "place", 2, (Value *[]){starts, n->in[1]}, DT_I64, 2, x->dim, e);
    place = make_reshape(b, place, 1, &flat);
    number = build_map(b, "number", 0, NULL, DT_I32, 1, &flat, sx_cast(t, i, DT_I32));
    in[0] = number;
    in[1] = place;
    in[2] = number;
    offset = build_op(b, "ScatterElements", 3, in, 0, NULL);
    out[1] = make_reshape(b, offset, 2, x->dim);
    if (has_out(n, 0)) out[0] = packed(b, n->in[0], out[1], n->out[0]->type.dim[0]);
    out[2] = starts;
    if (has_out(n, 3))
        out[3] = make_reshape(b, make_reduce_all(b, "ReduceMax", n->in[1]), 1,
                              (Dim[]){dim_const(b->dims, 1)});
    return b->status;
}

static Status lower_restore(Build *b, const Node *n, Value **out)
{
    SxTable *t = b->sx;
    const Type *x = in_type(n, 0), *offset = in_type(n, 1);
    Dim flat[2], dims[3];
    Value *zeros, *at, *v;
    const Sx *e;

    TRY(check_rank(n, b->diag, 0, 2));
    TRY(check_rank(n, b->diag, 1, 2));
    flat[0] = dim_mul(b->dims, offset->dim[0], offset->dim[1]);
    flat[1] = x->dim[1];
    e = sx_lt(t, sx_index(t, 0), sx_dim(t, flat[0]));
    e = sx_load_flat(t, offset->dtype, 0, sx_index(t, 0), e);
    zeros = build_map(b, "zeros", 0, NULL, x->dtype, 2, flat, sx_const(t, x->dtype, 0));
    at = build_map(b, "rows", 1, &n->in[1], DT_I64, 2, (Dim[]){x->dim[0], dim_const(b->dims, 1)},
                   sx_cast(t, e, DT_I64));
    v = build_op(b, "ScatterND", 3, (Value *[]){zeros, at, n->in[0]}, 0, NULL);
    dims[0] = offset->dim[0];
    dims[1] = offset->dim[1];
    dims[2] = x->dim[1];
    out[0] = make_reshape(b, v, 3, dims);
    return b->status;
}

/* ---- PackedAttention, PackedMultiHeadAttention ---- */

/* part: queries, keys, values [tokens, width] */
static Status attend_packed(Build *b, const Node *n, Value *const *part, Value *bias, Value *offset,
                            Value *starts, Value *more, Value **out)
{
    SxTable *t = b->sx;
    const Sx *i = sx_index(t, 0), *e;
    Dim batch, length, tokens;
    Value *in[6];
    Attr attr[3];
    int count = 0;
    Node *y;

    if (b->status != OK) return b->status;
    if (offset->type.rank != 2 || starts->type.rank != 1)
        return op_error(n, b->diag, "token_offset", "%s: ranks %d and %d, expected 2 and 1",
                        n->op->name, offset->type.rank, starts->type.rank);
    batch = offset->type.dim[0];
    length = offset->type.dim[1];
    tokens = part[0]->type.dim[0];
    build_require_equal(b, starts->type.dim[0], dim_add_c(b->dims, batch, 1));
    for (int k = 0; k < 3; k++)
        in[k] = unpacked(b, part[k], starts, batch, length);
    e = sx_sub(t, integer_at(b, 0, starts, sx_add(t, i, sx_i64(b, 1))),
               integer_at(b, 0, starts, i));
    in[3] = bias;
    in[4] = build_map(b, "lengths", 1, &starts, DT_I32, 1, &batch, sx_cast(t, e, DT_I32));
    in[5] = more;
    attr[count++] = attr_of_int("num_heads", attr_int(n, "num_heads", 0));
    if (attr_find(n, "scale")) attr[count++] = *attr_find(n, "scale");
    attr[count++] = attr_of_float("mask_filter_value", attr_float(n, "mask_filter_value", -10000));
    if (b->status != OK) return b->status;
    y = build_op_node(b, MS, "MultiHeadAttention", 6, in, 1, count, attr);
    *out = packed(b, y ? y->out[0] : NULL, offset, tokens);
    return b->status;
}

static Status lower_packed_attention(Build *b, const Node *n, Value **out)
{
    const Type *w = in_type(n, 1);
    int count;
    const int64_t *sizes = attr_ints(n, "qkv_hidden_sizes", &count);
    int64_t size[3], at = 0;
    Value *x, *part[3];

    TRY(check_rank(n, b->diag, 0, 2));
    if (w->rank != 2 || !dim_is_const(w->dim[1]) || (sizes && count != 3))
        return op_error(n, b->diag, "weights", "%s: rank %d, expected 2 and a known width",
                        n->op->name, w->rank);
    x = make_add(b, build_op2(b, "MatMul", n->in[0], n->in[1]), n->in[2]);
    for (int k = 0; k < 3; at += size[k++]) {
        size[k] = sizes ? sizes[k] : w->dim[1]->value / 3;
        if (size[k] < 1 || size[k] > w->dim[1]->value - at)
            return op_error(n, b->diag, "qkv_hidden_sizes", "%s: found %lld", n->op->name,
                            (long long)size[k]);
        part[k] = make_slice(b, x, 1, at, at + size[k], 1);
    }
    return attend_packed(b, n, part, NULL, n->in[3], n->in[4], in_value(n, 5), &out[0]);
}

static Status lower_packed_heads(Build *b, const Node *n, Value **out)
{
    const Type *q = in_type(n, 0);
    Value *part[3] = {n->in[0], in_value(n, 1), in_value(n, 2)};

    if (!part[1] && q->rank == 4) { /* [tokens, heads, 3, size] */
        Dim dims[2] = {q->dim[0], dim_mul(b->dims, q->dim[1], q->dim[3])};
        for (int k = 0; k < 3; k++)
            part[k] = make_reshape(b, make_slice(b, n->in[0], 2, k, k + 1, 1), 2, dims);
    } else if (!part[1] || !part[2] || q->rank != 2) {
        return op_error(n, b->diag, "query", "%s: rank %d without keys or values", n->op->name,
                        q->rank);
    }
    return attend_packed(b, n, part, in_value(n, 3), n->in[4], n->in[5], in_value(n, 6), &out[0]);
}

/* ---- LongformerAttention ---- */

/* Projections [batch, heads, sequence, size] number `which` of three. */
static Value *projected(Build *b, const Node *n, Value *x, int which, int64_t heads, int64_t width)
{
    Dim dims[4];

    x = make_slice(b, x, 2, which * width, (which + 1) * width, 1);
    if (!x) return NULL;
    dims[0] = x->type.dim[0];
    dims[1] = x->type.dim[1];
    dims[2] = dim_const(b->dims, heads);
    dims[3] = dim_const(b->dims, width / heads);
    (void)n;
    x = make_reshape(b, x, 4, dims);
    return x ? build_transpose(b, x, (const int[]){0, 2, 1, 3}) : NULL;
}

/* Scores of the three projections of x, with what `shown` adds, as weights of the values. */
static Value *attended(Build *b, const Node *n, Value *x, Value *shown, int64_t heads,
                       int64_t width)
{
    Value *q = projected(b, n, x, 0, heads, width), *k = projected(b, n, x, 1, heads, width), *s;

    if (!q || !k) return NULL;
    s = build_op2(b, "MatMul", q, build_transpose(b, k, (const int[]){0, 1, 3, 2}));
    s = make_mul(b, s, make_scalar(b, s, 1 / mathd_sqrt((double)width / (double)heads)));
    s = make_axis(b, "Softmax", make_add(b, s, shown), -1);
    return build_op2(b, "MatMul", s, projected(b, n, x, 2, heads, width));
}

/* The mask, and -infinity for keys out of the window that are not global: [batch, 1, S, S]; `all`:
 * without a window. */
static Value *window_mask(Build *b, const Node *n, bool all)
{
    SxTable *t = b->sx;
    const Type *mask = in_type(n, 3);
    int64_t window = attr_int(n, "window", 0);
    const Sx *i = sx_index(t, 0), *q = sx_index(t, 2), *k = sx_index(t, 3), *apart, *near, *e;

    e = sx_compute(b, sx_at(b, 0, n->in[3], (const Sx *[]){i, k}));
    if (!all) {
        const Sx *global = sx_at(b, 1, n->in[6], (const Sx *[]){i, k});
        apart = sx_sub(t, q, k);
        near = sx_le(t, sx_max(t, apart, sx_neg(t, apart)), sx_i64(b, window));
        near = sx_or(t, near, sx_lt(t, sx_const_int(t, DT_I32, 0), global));
        e = sx_select(t, near, e, sx_const(t, e->dtype, -INFINITY));
    }
    return build_map(b, "mask", all ? 1 : 2, (Value *[]){n->in[3], n->in[6]}, mask->dtype, 4,
                     (Dim[]){mask->dim[0], dim_const(b->dims, 1),
                             all ? dim_const(b->dims, 1) : mask->dim[1], mask->dim[1]},
                     sx_cast(t, e, mask->dtype));
}

/* Queries of global tokens have projections of their own and see all; others see their window and
 * the global tokens. */
static Status lower_longformer(Build *b, const Node *n, Value **out)
{
    const Type *x = in_type(n, 0);
    int64_t heads = attr_int(n, "num_heads", 0), width;
    Value *way[2], *global, *v;

    TRY(check_rank(n, b->diag, 0, 3));
    TRY(check_rank(n, b->diag, 3, 2));
    TRY(check_rank(n, b->diag, 6, 2));
    if (heads < 1 || !dim_is_const(x->dim[2]) || x->dim[2]->value % heads)
        return op_error(n, b->diag, "num_heads", "%s: %lld heads do not fit", n->op->name,
                        (long long)heads);
    width = x->dim[2]->value;
    if (attr_int(n, "window", 0) < 1)
        return op_error(n, b->diag, "window", "%s: found %lld, expected 1 or more", n->op->name,
                        (long long)attr_int(n, "window", 0));
    for (int i = 0; i < 2; i++) {
        build_require_equal(b, in_type(n, 3)->dim[i], x->dim[i]);
        build_require_equal(b, in_type(n, 6)->dim[i], x->dim[i]);
    }
    for (int k = 0; k < 2; k++) {
        v = make_add(b, build_op2(b, "MatMul", n->in[0], n->in[k ? 4 : 1]), n->in[k ? 5 : 2]);
        v = attended(b, n, v, window_mask(b, n, k == 1), heads, width);
        if (v) v = build_transpose(b, v, (const int[]){0, 2, 1, 3});
        way[k] = v ? make_reshape(b, v, 3, x->dim) : NULL;
    }
    global = build_op2(b, "Greater", n->in[6], build_scalar(b, DT_I32, 0));
    out[0] = make_where(b, make_unsqueeze(b, global, 2), way[1], way[0]);
    return b->status;
}

/* ---- one step of a decoder ---- */

/* The cache [batch, heads, most, size] with the new key or value at its place. */
static Value *put_at(Build *b, Value *past, Value *fresh, Value *at)
{
    SxTable *t = b->sx;
    const Sx *here = sx_eq(t, sx_index(t, 2), sx_cast(t, sx_scalar(b, 2, at), DT_I64)), *e;
    const Sx *idx[4] = {sx_index(t, 0), sx_index(t, 1), sx_i64(b, 0), sx_index(t, 3)};

    if (!past || !fresh) return NULL;
    for (int i = 0; i < 4; i++)
        if (i != 2) build_require_equal(b, past->type.dim[i], fresh->type.dim[i]);
    e = sx_at(b, 1, fresh, idx);
    idx[2] = sx_index(t, 2);
    e = sx_select(t, here, e, sx_at(b, 0, past, idx));
    return build_map(b, "cache", 3, (Value *[]){past, fresh, at}, past->type.dtype, 4,
                     past->type.dim, e);
}

/* 0, or what hides keys behind the last: [1, 1, 1, most] */
static Value *shown_up_to(Build *b, const Value *past, Value *at)
{
    SxTable *t = b->sx;
    Dim one = dim_const(b->dims, 1);
    DType type = past->type.dtype;
    const Sx *e = sx_le(t, sx_index(t, 3), sx_cast(t, sx_scalar(b, 0, at), DT_I64));

    e = sx_select(t, e, sx_const(t, type, 0), sx_const(t, type, -INFINITY));
    return build_map(b, "shown", 1, &at, type, 4, (Dim[]){one, one, one, past->type.dim[2]}, e);
}

static Value *one_step(Build *b, const Node *n, Value *v)
{
    int64_t heads = attr_int(n, "num_heads", 0);
    Dim count = dim_const(b->dims, heads), dims[4];

    if (!v) return NULL;
    if (v->type.rank != 3 || !dim_is(v->type.dim[1], 1)) {
        build_fail(b, op_unsupported(n, b->diag, "more than one new token"));
        return NULL;
    }
    dims[0] = v->type.dim[0];
    dims[1] = count;
    dims[2] = dim_const(b->dims, 1);
    dims[3] = dim_div(b->dims, v->type.dim[2], count);
    return make_reshape(b, v, 4, dims);
}

/* Adds elements [*at, *at + width) of the bias of the projections. */
static Value *plus_bias(Build *b, const Node *n, Value *v, int64_t *at)
{
    if (!has_in(n, 10) || !v || v->type.rank != 3 || !dim_is_const(v->type.dim[2])) return v;
    *at += v->type.dim[2]->value;
    return make_add(b, v, make_slice(b, n->in[10], 0, *at - v->type.dim[2]->value, *at, 1));
}

/* Keys and values that the caller keeps in buffers of the longest length. */
static Status step_with_buffer(Build *b, const Node *n, Value **in, Value **out)
{
    Value *at = in_value(n, 7), *shown;
    int64_t bias = 0;

    if (!at || !in[6] || !in[7] || !in[1])
        return op_error(n, b->diag, "past_sequence_length",
                        "%s: needed with past_present_share_buffer, and past keys and values",
                        n->op->name);
    for (int k = 0; k < 3; k++)
        in[k] = plus_bias(b, n, in[k], &bias);
    in[3] = NULL;
    for (int k = 1; k < 3; k++) {
        in[k] = put_at(b, in[5 + k], one_step(b, n, in[k]), at);
        if (has_out(n, k)) out[k] = in[k];
    }
    if (b->status != OK) return b->status;
    shown = shown_up_to(b, in[1], at);
    in[5] = in[5] ? make_add(b, in[5], shown) : shown;
    in[6] = in[7] = NULL;
    return b->status;
}

static Status lower_decoder_heads(Build *b, const Node *n, Value **out)
{
    static const char *const names[] = {"num_heads", "scale", "mask_filter_value"};
    static const int from[8] = {0, 1, 2, 10, 3, 4, 5, 6}; /* the order of MultiHeadAttention */
    bool share = attr_int(n, "past_present_share_buffer", 0) != 0;
    int wanted = share ? 1 : n->n_out < 3 ? n->n_out : 3, count = 0;
    Value *in[8];
    Attr attr[3];
    Node *y;

    if (has_in(n, 9)) return op_unsupported(n, b->diag, "cache_indirection");
    if (has_out(n, 3)) return op_unsupported(n, b->diag, "the output \"qk\"");
    for (int k = 0; k < 8; k++)
        in[k] = in_value(n, from[k]);
    if (share && in[1] && in[1]->type.rank == 3) TRY(step_with_buffer(b, n, in, out));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (attr_find(n, names[i])) attr[count++] = *attr_find(n, names[i]);
    if (b->status != OK) return b->status;
    y = build_op_node(b, MS, "MultiHeadAttention", 8, in, wanted, count, attr);
    for (int k = 0; y && k < wanted; k++)
        out[k] = y->out[k];
    return b->status;
}

/* ---- the table ---- */

#define T_HALVES (T_F32 | DT_BIT(DT_F16))

const OpDef contrib_packed_ops[] = {
    {.name = "RemovePadding",
     .domain = MS,
     .since = 1,
     .about = "the tokens of a batch without their padding",
     ROW_IN({"input", T_HALVES, "T"}, {"sequence_token_count", T_I32}),
     ROW_OUT({"output", T_HALVES, "T"}, {"token_offset", T_I32}, {"cumulated_seq_len", T_I32},
             {"max_seq_len", T_I32}),
     .traits = OP_PURE,
     .infer = infer_remove,
     .eval = compose_eval,
     .lower = lower_remove},
    {.name = "RestorePadding",
     .about = "tokens where RemovePadding found them",
     ROW_IN({"input", T_HALVES, "T", .ranks = RANK(2)}, {"token_offset", T_I32, .ranks = RANK(2)}),
     ROW_OUT({"output", T_HALVES, "T"}),
     MICROSOFT_ROW(lower_restore)},
    {.name = "PackedAttention",
     .about = "Attention of tokens without padding",
     ROW_IN({"input", T_HALVES, "T", .ranks = RANK(2)},
            {"weights", T_HALVES, "T", .ranks = RANK(2)}, {"bias", T_HALVES, "T", .ranks = RANK(1)},
            {"token_offset", T_I32, .ranks = RANK(2)},
            {"cumulative_sequence_length", T_I32, .ranks = RANK(1)},
            {"attention_bias", T_HALVES, "T", true}),
     ROW_OUT({"output", T_HALVES, "T"}),
     ROW_ATTRS(ATTR_REQ("num_heads", ATTR_INT), ATTR_OPT("scale", ATTR_FLOAT),
               ATTR_OPT("qkv_hidden_sizes", ATTR_INTS)),
     MICROSOFT_ROW(lower_packed_attention)},
    {.name = "PackedMultiHeadAttention",
     .about = "MultiHeadAttention of tokens without padding",
     ROW_IN({"query", T_HALVES, "T", .ranks = RANK(2) | RANK(4)}, {"key", T_HALVES, "T", true},
            {"value", T_HALVES, "T", true}, {"bias", T_HALVES, "T", true, .ranks = RANK(1)},
            {"token_offset", T_I32, .ranks = RANK(2)},
            {"cumulative_sequence_length", T_I32, .ranks = RANK(1)},
            {"attention_bias", T_HALVES, "T", true}),
     ROW_OUT({"output", T_HALVES, "T"}),
     ROW_ATTRS(ATTR_REQ("num_heads", ATTR_INT), ATTR_OPT("scale", ATTR_FLOAT),
               ATTR_F("mask_filter_value", -10000)),
     MICROSOFT_ROW(lower_packed_heads)},
    {.name = "LongformerAttention",
     .about = "self attention in a window, and to and from global tokens",
     ROW_IN({"input", T_HALVES, "T", .ranks = RANK(3)}, {"weight", T_HALVES, "T", .ranks = RANK(2)},
            {"bias", T_HALVES, "T", .ranks = RANK(1)}, {"mask", T_HALVES, "T", .ranks = RANK(2)},
            {"global_weight", T_HALVES, "T", .ranks = RANK(2)},
            {"global_bias", T_HALVES, "T", .ranks = RANK(1)}, {"global", T_I32, .ranks = RANK(2)}),
     ROW_OUT({"output", T_HALVES, "T"}),
     ROW_ATTRS(ATTR_REQ("num_heads", ATTR_INT), ATTR_REQ("window", ATTR_INT)),
     MICROSOFT_ROW(lower_longformer)},
    {.name = "DecoderMaskedMultiHeadAttention",
     .about = "MultiHeadAttention of one new token",
     ROW_IN({"query", T_HALVES, "T", .ranks = RANK(3)},
            {"key", T_HALVES, "T", true, .ranks = RANK(3) | RANK(4)},
            {"value", T_HALVES, "T", true, .ranks = RANK(3) | RANK(4)},
            {"mask_index", T_I32, NULL, true}, {"attention_bias", T_HALVES, "T", true},
            {"past_key", T_HALVES, "T", true, .ranks = RANK(4)},
            {"past_value", T_HALVES, "T", true, .ranks = RANK(4)},
            {"past_sequence_length", T_I32, NULL, true}, {"beam_width", T_I32, NULL, true},
            {"cache_indirection", T_I32, NULL, true, .ranks = RANK(3)},
            {"bias", T_HALVES, "T", true, .ranks = RANK(1)}),
     ROW_OUT({"output", T_HALVES, "T"}, {"present_key", T_HALVES, "T", true},
             {"present_value", T_HALVES, "T", true}, {"qk", T_HALVES, "QK", true}),
     ROW_ATTRS(ATTR_REQ("num_heads", ATTR_INT), ATTR_OPT("scale", ATTR_FLOAT),
               ATTR_F("mask_filter_value", -10000), ATTR_I("past_present_share_buffer", 0),
               ATTR_I("output_qk", 0)),
     MICROSOFT_ROW(lower_decoder_heads)},
    {0},
};
