/* fused_attention.c: Attention, MultiHeadAttention and RotaryEmbedding of com.microsoft:
 *
 *     softmax(scale Q K' + bias + mask) V
 *
 * on [batch, heads, sequence, head]. What a mask hides gets mask_filter_value added, as the
 * specification says, not -infinity. Left out: packed inputs of rank 5, buffers shared between past
 * and present, a mask of 3 batch + 2 elements, the cache indirection of beam search. */
#include <float.h>
#include <string.h>

#include "ir/mathd.h"
#include "ir/ops/compose.h"
#include "ir/ops/ops_common.h"

/* Queries, keys and values as [batch, heads, sequence, size]; past is how many keys came before the
 * first query. */
typedef struct Parts {
    Value *q, *k, *v;
    Value *mask, *bias;
    Dim past;
    bool causal;
} Parts;

/* [batch, sequence, heads * size] -> [batch, heads, sequence, size]. */
static Value *split_heads(Build *b, const Node *n, Value *v)
{
    int64_t heads = attr_int(n, "num_heads", 0);
    Dim count = dim_const(b->dims, heads), dims[4];

    if (!v) return NULL;
    if (v->type.rank == 4) return v;
    if (v->type.rank != 3 || heads < 1 ||
        (dim_is_const(v->type.dim[2]) && v->type.dim[2]->value % heads)) {
        build_fail(b, op_error(n, b->diag, "num_heads", "%s: %lld heads of an input of rank %d",
                               n->op->name, (long long)heads, v->type.rank));
        return NULL;
    }
    dims[0] = v->type.dim[0];
    dims[1] = v->type.dim[1];
    dims[2] = count;
    dims[3] = dim_div(b->dims, v->type.dim[2], count);
    v = make_reshape(b, v, 4, dims);
    return v ? build_transpose(b, v, (const int[]){0, 2, 1, 3}) : NULL;
}

static Value *join_heads(Build *b, Value *v)
{
    Dim dims[3];

    if (!v) return NULL;
    dims[0] = v->type.dim[0];
    dims[1] = v->type.dim[2];
    dims[2] = dim_mul(b->dims, v->type.dim[1], v->type.dim[3]);
    v = build_transpose(b, v, (const int[]){0, 2, 1, 3});
    return make_reshape(b, v, 3, dims);
}

/* Does the mask show key index 3 to query index 2 of batch index 0? NULL: an unknown form. */
static const Sx *shown_by(Build *b, const Value *mask, const Parts *p)
{
    SxTable *t = b->sx;
    Dim batch = p->q->type.dim[0];
    const Type *m = &mask->type;
    const Sx *i = sx_index(t, 0), *q = sx_index(t, 2), *k = sx_index(t, 3), *e, *start;

    if (m->rank == 2 || m->rank == 3) {
        const Sx *at[3] = {sx_index_or_one(b, m->dim[0], batch, i)};
        if (m->rank == 3) at[1] = sx_index_or_one(b, m->dim[1], p->q->type.dim[2], q);
        at[m->rank - 1] = sx_index_or_one(b, m->dim[m->rank - 1], p->k->type.dim[2], k);
        e = sx_at(b, 0, mask, at);
        return sx_gt(t, e, sx_const_int(t, m->dtype, 0));
    }
    if (m->rank != 1) return NULL;
    e = sx_lt(t, k, sx_cast(t, sx_at(b, 0, mask, &i), DT_I64));
    if (m->dim[0] != dim_mul(b->dims, batch, dim_const(b->dims, 2))) {
        build_require_equal(b, m->dim[0], batch);
        return e;
    }
    start = sx_add(t, i, sx_dim(t, batch));
    start = sx_cast(t, sx_at(b, 0, mask, &start), DT_I64);
    return sx_and(t, e, sx_le(t, start, k));
}

/* What is added to the scores: [batch, 1, queries or 1, keys]. NULL: nothing, or a failure. */
static Value *mask_value(Build *b, const Node *n, const Parts *p, DType type)
{
    SxTable *t = b->sx;
    Dim one = dim_const(b->dims, 1), batch = p->q->type.dim[0];
    Dim dims[4] = {p->mask ? batch : one, one,
                   p->causal || (p->mask && p->mask->type.rank == 3) ? p->q->type.dim[2] : one,
                   p->k->type.dim[2]};
    const Sx *e = sx_const(t, type, 0), *shown;

    if (p->mask) {
        shown = shown_by(b, p->mask, p);
        if (!shown) {
            build_fail(b, op_unsupported(n, b->diag, "a mask of this shape"));
            return NULL;
        }
        e = sx_select(t, shown, e, sx_const(t, type, attr_float(n, "mask_filter_value", -10000)));
    }
    if (p->causal) { /* what follows is out of reach even where the mask hides all else */
        shown = sx_le(t, sx_index(t, 3), sx_add(t, sx_index(t, 2), sx_dim(t, p->past)));
        e = sx_select(t, shown, e, sx_const(t, type, type == DT_F16 ? -65504 : -FLT_MAX));
    }
    return build_map(b, "mask", p->mask != NULL, &p->mask, type, 4, dims, e);
}

static Value *attend(Build *b, const Node *n, const Parts *p, Value **scores)
{
    double scale = attr_float(n, "scale", 0);
    DType type = in_type(n, 0)->dtype;
    Value *s;

    if (b->status != OK || !p->q || !p->k || !p->v) return NULL;
    if (scale == 0 && !dim_is_const(p->q->type.dim[3])) {
        build_fail(b, op_unsupported(n, b->diag, "an open head size without the attribute scale"));
        return NULL;
    }
    if (scale == 0) scale = 1 / mathd_sqrt((double)p->q->type.dim[3]->value);
    s = build_op2(b, "MatMul", p->q, build_transpose(b, p->k, (const int[]){0, 1, 3, 2}));
    s = make_mul(b, s, make_scalar(b, s, scale));
    if (p->bias) s = make_add(b, s, p->bias);
    if (p->mask || p->causal) s = make_add(b, s, mask_value(b, n, p, type));
    if (scores) *scores = s;
    return join_heads(b, build_op2(b, "MatMul", make_axis(b, "Softmax", s, -1), p->v));
}

/* ---- Attention: with the projection of the input ---- */

static Status hidden_sizes(const Node *n, Diag *d, int64_t *size)
{
    const Type *w = in_type(n, 1);
    int count;
    const int64_t *v = attr_ints(n, "qkv_hidden_sizes", &count);

    if (w->rank != 2 || !dim_is_const(w->dim[1]) || in_type(n, 0)->rank != 3)
        return op_unsupported(n, d, "an input or weights of this shape");
    if (v && count != 3)
        return op_error(n, d, "qkv_hidden_sizes", "Attention: %d values, expected 3", count);
    for (int i = 0; i < 3; i++) {
        size[i] = v ? v[i] : w->dim[1]->value / 3;
        if (size[i] < 1 || size[i] > w->dim[1]->value)
            return op_error(n, d, "qkv_hidden_sizes", "Attention: found %lld", (long long)size[i]);
    }
    if (size[0] + size[1] + size[2] == w->dim[1]->value && size[0] == size[1]) return OK;
    return op_error(n, d, "qkv_hidden_sizes", "Attention: %lld columns of weights, not the sum",
                    (long long)w->dim[1]->value);
}

static Value *past_part(Build *b, Value *past, int64_t which, Value *v)
{
    Value *part;

    if (!past) return v;
    part = make_gather(b, past, build_scalar(b, DT_I64, (double)which), 0);
    return make_concat(b, 2, (Value *[]){part, v}, 2);
}

static Status lower_attention(Build *b, const Node *n, Value **out)
{
    int64_t size[3], at = 0;
    Value *x, *part[3];
    Parts p = {.mask = in_value(n, 3), .bias = in_value(n, 5)};

    if (attr_int(n, "do_rotary", 0) || attr_int(n, "past_present_share_buffer", 0))
        return op_unsupported(n, b->diag, "do_rotary or past_present_share_buffer");
    TRY(hidden_sizes(n, b->diag, size));
    x = build_op2(b, "MatMul", n->in[0], n->in[1]);
    if (has_in(n, 2)) x = make_add(b, x, n->in[2]);
    for (int i = 0; i < 3; at += size[i++])
        part[i] = split_heads(b, n, make_slice(b, x, 2, at, at + size[i], 1));
    p.causal = attr_int(n, "unidirectional", 0) != 0;
    p.past =
        has_in(n, 4) && in_type(n, 4)->rank == 5 ? in_type(n, 4)->dim[3] : dim_const(b->dims, 0);
    p.q = part[0];
    p.k = past_part(b, in_value(n, 4), 0, part[1]);
    p.v = past_part(b, in_value(n, 4), 1, part[2]);
    out[0] = attend(b, n, &p, NULL);
    if (has_out(n, 1))
        out[1] =
            make_concat(b, 2, (Value *[]){make_unsqueeze(b, p.k, 0), make_unsqueeze(b, p.v, 0)}, 0);
    return b->status;
}

/* ---- MultiHeadAttention ---- */

/* Adds elements [begin, end) of the bias of the projections; `end` constant. */
static Value *with_bias(Build *b, const Node *n, Value *v, Dim *begin)
{
    Value *bias = in_value(n, 3);

    if (!bias || !v) return v;
    if (v->type.rank != 3 || !dim_is_const(v->type.dim[2]) || !dim_is_const(*begin)) {
        build_fail(b, op_unsupported(n, b->diag, "a bias for inputs of this shape"));
        return NULL;
    }
    Dim end = dim_add(b->dims, *begin, v->type.dim[2]);
    bias = make_slice(b, bias, 0, (*begin)->value, end->value, 1);
    *begin = end;
    return make_add(b, v, bias);
}

static Status lower_multi_head(Build *b, const Node *n, Value **out)
{
    Parts p = {.mask = in_value(n, 4), .bias = in_value(n, 5), .past = dim_const(b->dims, 0)};
    Dim at = dim_const(b->dims, 0);

    if (!has_in(n, 1) || !has_in(n, 2) || in_type(n, 0)->rank != 3)
        return op_unsupported(n, b->diag, "packed queries, keys and values");
    if (has_in(n, 8) || has_in(n, 9))
        return op_unsupported(n, b->diag, "past_sequence_length and cache_indirection");
    p.q = split_heads(b, n, with_bias(b, n, n->in[0], &at));
    p.k = split_heads(b, n, with_bias(b, n, n->in[1], &at));
    p.v = split_heads(b, n, with_bias(b, n, n->in[2], &at));
    p.causal = attr_int(n, "unidirectional", 0) != 0;
    if (has_in(n, 6) && has_in(n, 7) && in_type(n, 6)->rank == 4) {
        p.past = in_type(n, 6)->dim[2];
        p.k = make_concat(b, 2, (Value *[]){n->in[6], p.k}, 2);
        p.v = make_concat(b, 2, (Value *[]){n->in[7], p.v}, 2);
    }
    out[0] = attend(b, n, &p, has_out(n, 3) ? &out[3] : NULL);
    if (has_out(n, 1)) out[1] = p.k;
    if (has_out(n, 2)) out[2] = p.v;
    return b->status;
}

/* ---- RotaryEmbedding ---- */

static Status lower_rotary(Build *b, const Node *n, Value **out)
{
    SxTable *t = b->sx;
    const Type *x = in_type(n, 0), *place = in_type(n, 1), *cache = in_type(n, 2);
    int64_t heads = attr_int(n, "num_heads", 0), turn = attr_int(n, "rotary_embedding_dim", 0);
    Value *ids = n->in[1], *in[4];
    Attr attr[3];

    if ((x->rank != 3 && x->rank != 4) || cache->rank != 2)
        return op_error(n, b->diag, "input", "RotaryEmbedding: ranks %d and %d", x->rank,
                        cache->rank);
    if (attr_int(n, "is_packed_batching", 0) || attr_float(n, "scale", 1) != 1)
        return op_unsupported(n, b->diag, "is_packed_batching or scale");
    if (x->rank == 3 && heads == 0) {
        if (!dim_is_const(x->dim[2]) || !dim_is_const(cache->dim[1]) || turn ||
            cache->dim[1]->value < 1)
            return op_unsupported(n, b->diag, "an open number of heads");
        heads = x->dim[2]->value / (2 * cache->dim[1]->value);
    }
    if (place->rank < 2) { /* the position of the first element */
        Dim dims[2] = {x->dim[0], x->dim[x->rank - 2]};
        const Sx *first = sx_cast(t, sx_scalar(b, 0, ids), DT_I64);
        ids = build_map(b, "positions", 1, &ids, DT_I64, 2, dims, sx_add(t, first, sx_index(t, 1)));
    }
    in[0] = n->in[0];
    in[1] = n->in[2];
    in[2] = n->in[3];
    in[3] = ids;
    attr[0] = attr_of_int("interleaved", attr_int(n, "interleaved", 0));
    attr[1] = attr_of_int("num_heads", heads);
    attr[2] = attr_of_int("rotary_embedding_dim", turn);
    out[0] = build_op(b, "RotaryEmbedding", 4, in, 3, attr);
    return b->status;
}

const OpDef fused_attention_ops[] = {
    {.name = "Attention",
     .about = "self attention with its projections",
     ROW_IN({"input", T_FLOAT, "T", .ranks = RANK(3)}, {"weights", T_FLOAT, "T", .ranks = RANK(2)},
            {"bias", T_FLOAT, "T", true, .ranks = RANK(1)}, {"mask_index", T_I32, NULL, true},
            {"past", T_FLOAT, "T", true, .ranks = RANK(5)},
            {"attention_bias", T_FLOAT, "T", true, .ranks = RANK(4)},
            {"past_sequence_length", T_I32, NULL, true}),
     ROW_OUT({"output", T_FLOAT, "T"}, {"present", T_FLOAT, "T", true}),
     ROW_ATTRS(ATTR_REQ("num_heads", ATTR_INT), ATTR_I("do_rotary", 0),
               ATTR_F("mask_filter_value", -10000), ATTR_I("past_present_share_buffer", 0),
               ATTR_OPT("qkv_hidden_sizes", ATTR_INTS), ATTR_I("rotary_embedding_dim", 0),
               ATTR_OPT("scale", ATTR_FLOAT), ATTR_I("unidirectional", 0)),
     MICROSOFT_ROW(lower_attention)},
    {.name = "MultiHeadAttention",
     .about = "attention of queries to keys and values",
     ROW_IN({"query", T_FLOAT, "T", .ranks = RANK(3) | RANK(5)},
            {"key", T_FLOAT, "T", true, .ranks = RANK(3) | RANK(4) | RANK(5)},
            {"value", T_FLOAT, "T", true, .ranks = RANK(3) | RANK(4)},
            {"bias", T_FLOAT, "T", true, .ranks = RANK(1)}, {"key_padding_mask", T_I32, NULL, true},
            {"attention_bias", T_FLOAT, "T", true, .ranks = RANK(4)},
            {"past_key", T_FLOAT, "T", true, .ranks = RANK(4)},
            {"past_value", T_FLOAT, "T", true, .ranks = RANK(4)},
            {"past_sequence_length", T_I32, NULL, true}, {"cache_indirection", T_I32, NULL, true}),
     ROW_OUT({"output", T_FLOAT, "T"}, {"present_key", T_FLOAT, "T", true},
             {"present_value", T_FLOAT, "T", true}, {"qk", T_FLOAT, "QK", true}),
     ROW_ATTRS(ATTR_REQ("num_heads", ATTR_INT), ATTR_F("mask_filter_value", -10000),
               ATTR_OPT("scale", ATTR_FLOAT), ATTR_I("unidirectional", 0)),
     MICROSOFT_ROW(lower_multi_head)},
    {.name = "RotaryEmbedding",
     .about = "pairs of elements turned by the angle of their position",
     ROW_IN({"input", T_FLOAT, "T", .ranks = RANK(3) | RANK(4)},
            {"position_ids", DT_BIT(DT_I64), .ranks = RANK(0) | RANK(1) | RANK(2)},
            {"cos_cache", T_FLOAT, "T", .ranks = RANK(2)},
            {"sin_cache", T_FLOAT, "T", .ranks = RANK(2)}),
     ROW_OUT({"output", T_FLOAT, "T"}),
     ROW_ATTRS(ATTR_I("interleaved", 0), ATTR_I("is_packed_batching", 0), ATTR_I("num_heads", 0),
               ATTR_I("rotary_embedding_dim", 0), ATTR_F("scale", 1)),
     MICROSOFT_ROW(lower_rotary)},
    {0},
};
