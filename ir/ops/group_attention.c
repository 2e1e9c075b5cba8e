/* group_attention.c: GroupQueryAttention of com.microsoft: causal attention of groups of query
 * heads to one head of keys and values, which grow a cache.
 *
 * seqlens_k[b] (or [b, 0]) + 1 is how many keys sequence b has with the new ones; what a cache
 * holds behind them is not read. The first prompt (as many queries as keys in all) begins at 0. A
 * sink is one more score of each head, of a key without a value: it only takes weight from the
 * others; a smooth softmax has sinks of 0. A quantised cache holds round(x / scale), in i8, in f8,
 * or in 4 bits, 8 higher, two to a byte, the first in the lower half; new keys are read from there
 * too. Scores (qk_output 1: before the softmax; 2: its weights) are 0 where a key is not seen. Of a
 * chunk, the first query_seqlens[b] queries and keys of sequence b count; what is given for others
 * is 0. Left out: caches shared between past and present by memory. */
#include <math.h>
#include <string.h>

#include "ir/mathd.h"
#include "ir/ops/compose.h"
#include "ir/ops/ops_common.h"

enum {
    IN_LENGTHS = 5,
    IN_SINK = 11,
    IN_K_SCALE = 12,
    IN_V_SCALE = 13,
    IN_Q_NORM = 14,
    IN_K_NORM = 15,
    IN_QUERY_LENGTHS = 16
};

#define T_CACHE (T_FLOAT | DT_BIT(DT_I8) | DT_BIT(DT_U8) | DT_BIT(DT_F8E4M3FN))

typedef struct Group {
    int64_t heads, kv_heads, size; /* size: of a head */
    bool packed;                   /* keys and values stand behind the queries in input 0 */
    int64_t window;                /* of a cache of a sliding window, else 0 */
    int64_t bits;                  /* of an element of a quantised cache, else 0 */
    DType cache;                   /* of caches */
    Dim batch, length, past, total, present;
} Group;

static Status group_sizes(const Node *n, Diag *d, Group *g)
{
    const Type *q = in_type(n, 0);
    int64_t width;

    *g = (Group){.heads = attr_int(n, "num_heads", 0),
                 .kv_heads = attr_int(n, "kv_num_heads", 0),
                 .packed = !has_in(n, 1)};
    if (q->rank != 3 || (!g->packed && (in_type(n, 1)->rank != 3 || !has_in(n, 2))))
        return op_error(n, d, "query", "%s: rank %d, expected 3", n->op->name, q->rank);
    if (g->heads < 1 || g->kv_heads < 1 || g->heads % g->kv_heads)
        return op_error(n, d, "kv_num_heads", "%s: %lld heads do not share %lld", n->op->name,
                        (long long)g->heads, (long long)g->kv_heads);
    if (!dim_is_const(q->dim[2])) return op_unsupported(n, d, "queries of an open width");
    width = g->heads + (g->packed ? 2 * g->kv_heads : 0);
    g->size = q->dim[2]->value / width;
    if (g->size < 1 || q->dim[2]->value % width)
        return op_error(n, d, "num_heads", "%s: %lld heads of a width of %lld", n->op->name,
                        (long long)width, (long long)q->dim[2]->value);
    g->batch = q->dim[0];
    g->length = q->dim[1];
    return OK;
}

static Status group_supported(const Node *n, Diag *d)
{
    int64_t how = attr_int(n, "qk_output", 0);

    if (has_out(n, 3) && attr_int(n, "sliding_window_cache", 0))
        return op_unsupported(n, d, "scores of a sliding window as an output");
    if (how < (has_out(n, 3) ? 1 : 0) || how > 2)
        return op_error(n, d, "qk_output", "%s: %lld, expected 1 or 2", n->op->name,
                        (long long)how);
    return OK;
}

/* One scale for all, or one for each channel of each head. */
static Status scale_fits(const Node *n, Diag *d, const Group *g, int k)
{
    const Type *type = has_in(n, k) ? in_type(n, k) : NULL;
    const int64_t most[4] = {1, g->kv_heads, 1, g->size};
    const char *name = n->op->in[k].name;

    if (!type) return op_error(n, d, name, "%s: needed by a quantised cache", n->op->name);
    if (type->rank > 4)
        return op_error(n, d, name, "%s: rank %d, expected 4 at most", n->op->name, type->rank);
    for (int i = 0; i < type->rank; i++)
        if (!dim_is(type->dim[i], 1) && !dim_is(type->dim[i], most[4 - type->rank + i]))
            return op_error(n, d, name, "%s: scales are one, or [1, %lld, 1, %lld]", n->op->name,
                            (long long)g->kv_heads, (long long)g->size);
    return OK;
}

/* How keys and values are kept: what `past` has, else what the attributes say. */
static Status cache_read(const Node *n, Diag *d, Group *g)
{
    static const char *const attr[] = {"k_quant_type", "v_quant_type"};
    int64_t width = attr_int(n, "kv_cache_bit_width", 8);
    bool quantised[2];

    for (int i = 0; i < 2; i++) {
        const char *how = attr_string(n, attr[i], "NONE");
        quantised[i] = strcmp(how, "NONE") != 0;
        if (quantised[i] && strcmp(how, "PER_TENSOR") != 0 && strcmp(how, "PER_CHANNEL") != 0)
            return op_error(n, d, attr[i], "%s: \"%s\", expected NONE, PER_TENSOR or PER_CHANNEL",
                            n->op->name, how);
    }
    if (quantised[0] != quantised[1])
        return op_unsupported(n, d, "keys and values of which some are quantised");
    g->cache = has_in(n, 3) ? in_type(n, 3)->dtype : in_type(n, 0)->dtype;
    if (!quantised[0]) {
        if (g->cache == in_type(n, 0)->dtype) return OK;
        return op_error(n, d, "past_key", "%s: %s, expected %s where no cache is quantised",
                        n->op->name, dtype_text(g->cache), dtype_text(in_type(n, 0)->dtype));
    }
    if (width != 4 && width != 8)
        return op_error(n, d, "kv_cache_bit_width", "%s: %lld, expected 4 or 8", n->op->name,
                        (long long)width);
    if (!has_in(n, 3)) g->cache = width == 4 ? DT_U8 : DT_I8;
    if (width == 4 ? g->cache != DT_U8 : g->cache != DT_I8 && g->cache != DT_F8E4M3FN)
        return op_error(n, d, "past_key", "%s: %s in %lld bits", n->op->name, dtype_text(g->cache),
                        (long long)width);
    g->bits = width;
    for (int i = 0; i < 2; i++)
        TRY(scale_fits(n, d, g, IN_K_SCALE + i));
    return OK;
}

/* Elements of a cache that the `size` of a head take. */
static int64_t cached_size(const Group *g)
{
    return g->bits == 4 ? (g->size + 1) / 2 : g->size;
}

static Status group_read(Infer *cx, Node *n, Group *g)
{
    DimTable *t = &cx->module->dims;
    const Dim *total;
    int count;

    TRY(group_sizes(n, cx->diag, g));
    TRY(group_supported(n, cx->diag));
    TRY(cache_read(n, cx->diag, g));
    if (has_in(n, 3) != has_in(n, 4) || (has_in(n, 3) && in_type(n, 3)->rank != 4))
        return op_error(n, cx->diag, "past_key", "%s: a past of this shape", n->op->name);
    g->past = has_in(n, 3) ? in_type(n, 3)->dim[2] : dim_const(t, 0);
    Dim fresh[3] = {g->batch, g->length, dim_const(t, g->kv_heads * g->size)};
    Dim past[4] = {g->batch, dim_const(t, g->kv_heads), g->past, dim_const(t, cached_size(g))};
    for (int k = 1; k < 3; k++) {
        TRY(infer_extents(cx, n, k, 3, fresh));
        TRY(infer_extents(cx, n, k + 2, 4, past));
        if (has_in(n, k + 6) && in_type(n, k + 6)->rank != 2)
            return op_error(n, cx->diag, "cos_cache", "%s: rank %d, expected 2", n->op->name,
                            in_type(n, k + 6)->rank);
    }
    if (in_type(n, IN_LENGTHS)->rank == 2) /* as exporters write it */
        TRY(infer_extents(cx, n, IN_LENGTHS, 2, (Dim[]){g->batch, dim_const(t, 1)}));
    else
        TRY(infer_vector(cx, n, IN_LENGTHS, g->batch));
    TRY(infer_vector(cx, n, IN_QUERY_LENGTHS, g->batch));
    TRY(infer_vector(cx, n, IN_SINK, dim_const(t, g->heads)));
    for (int k = IN_Q_NORM; k <= IN_K_NORM; k++)
        TRY(infer_vector(cx, n, k, dim_const(t, g->size)));
    TRY(infer_elements(cx, n, 6, 0, INT32_MAX, &total, &count));
    if (!total || count != 1)
        return op_error(n, cx->diag, "total_sequence_length", "%s: %d values, expected 1",
                        n->op->name, count);
    g->total = total[0];
    g->present = dim_max(t, g->past, g->total);
    if (!attr_int(n, "sliding_window_cache", 0)) return OK;
    g->window = attr_int(n, "local_window_size", -1);
    g->present = g->past;
    if (g->window < 1 || !has_in(n, 3) || (g->past->hi < g->window))
        return op_error(n, cx->diag, "sliding_window_cache",
                        "%s: a window of %lld and a cache of %lld, expected no less", n->op->name,
                        (long long)g->window, (long long)g->past->hi);
    return OK;
}

static Status infer_group(Infer *cx, Node *n)
{
    DimTable *t = &cx->module->dims;
    DType type = in_type(n, 0)->dtype;
    Dim dims[4];
    Group g;

    for (int k = 0; k < n->n_in; k++)
        if (n->in[k]) TRY(infer_ranked(cx, n, k));
    TRY(group_read(cx, n, &g));
    infer_out(cx, n, 0, type, 3, (Dim[]){g.batch, g.length, dim_const(t, g.heads * g.size)});
    dims[0] = g.batch;
    dims[1] = dim_const(t, g.kv_heads);
    dims[2] = g.present;
    dims[3] = dim_const(t, cached_size(&g));
    infer_out(cx, n, 1, g.cache, 4, dims);
    infer_out(cx, n, 2, g.cache, 4, dims);
    dims[1] = dim_const(t, g.heads);
    dims[2] = g.length;
    dims[3] = g.total;
    infer_out(cx, n, 3, type, 4, dims);
    return OK;
}

/* [batch, length, heads * size] from column `at` on -> [batch, heads, length, size] */
static Value *heads_of(Build *b, const Group *g, Value *v, int64_t at, int64_t heads)
{
    DimTable *t = b->dims;

    if (v && !dim_is(v->type.dim[2], heads * g->size))
        v = make_slice(b, v, 2, at * g->size, (at + heads) * g->size, 1);
    v = make_reshape(b, v, 4,
                     (Dim[]){g->batch, g->length, dim_const(t, heads), dim_const(t, g->size)});
    return v ? build_transpose(b, v, (const int[]){0, 2, 1, 3}) : NULL;
}

/* Each head divided by its root mean square, where there are weights for that. */
static Value *normalised(Build *b, const Node *n, Value *v, int weights, const char *epsilon)
{
    Attr a[2] = {attr_of_int("axis", -1), {.name = "epsilon", .kind = ATTR_FLOAT}};

    if (!v || !has_in(n, weights)) return v;
    a[1].f = attr_float(n, epsilon, attr_float(n, "qk_norm_epsilon", 1e-6));
    return build_op(b, "RMSNormalization", 2, (Value *[]){v, n->in[weights]}, 2, a);
}

/* Queries of sequence i0 that count, as operand `src`; the caller puts the lengths there. */
static const Sx *queries_of(Build *b, const Node *n, const Group *g, int src)
{
    const Sx *i = sx_index(b->sx, 0), *many;

    if (!has_in(n, IN_QUERY_LENGTHS)) return sx_dim(b->sx, g->length);
    many = sx_load(b->sx, n->in[IN_QUERY_LENGTHS]->type.dtype, src, 1, &i, NULL);
    return sx_cast(b->sx, many, DT_I64);
}

/* i64[batch]: keys in front of the first query. */
static Value *starts(Build *b, const Node *n, const Group *g)
{
    SxTable *t = b->sx;
    Value *lengths = n->in[IN_LENGTHS], *in[2] = {lengths, in_value(n, IN_QUERY_LENGTHS)};
    const Sx *length = queries_of(b, n, g, 1), *count;
    const Sx *at[] = {sx_index(t, 0), sx_i64(b, 0)};

    count = sx_load(t, lengths->type.dtype, 0, lengths->type.rank, at, NULL);
    count = sx_add(t, sx_cast(t, count, DT_I64), sx_i64(b, 1));
    count = sx_max(t, sx_i64(b, 0), sx_sub(t, count, length));
    if (!in[1]) count = sx_select(t, sx_eq(t, length, sx_dim(t, g->total)), sx_i64(b, 0), count);
    return build_map(b, "starts", in[1] ? 2 : 1, in, DT_I64, 1, &g->batch, count);
}

static Value *turned(Build *b, const Node *n, const Group *g, Value *v, Value *start)
{
    SxTable *t = b->sx;
    const Sx *i = sx_index(t, 0), *at;
    Value *place = has_in(n, 9) ? n->in[9] : NULL;
    Attr a = attr_of_int("interleaved", attr_int(n, "rotary_interleaved", 0));
    Attr width = attr_of_int("rotary_embedding_dim", 0);
    Dim half;

    if (!attr_int(n, "do_rotary", 0) || !v) return v;
    if (!has_in(n, 7) || !has_in(n, 8)) {
        build_fail(b, op_error(n, b->diag, "cos_cache", "%s: needed by do_rotary", n->op->name));
        return NULL;
    }
    half = in_type(n, 7)->dim[1];
    if (dim_is_const(half)) width.i = 2 * half->value;
    if (!place) {
        at = sx_add(t, sx_load(t, DT_I64, 0, 1, &i, NULL), sx_index(t, 1));
        place = build_map(b, "positions", 1, &start, DT_I64, 2, (Dim[]){g->batch, g->length}, at);
    }
    return build_op(b, "RotaryEmbedding", 4, (Value *[]){v, n->in[7], n->in[8], place}, 2,
                    (Attr[]){a, width});
}

/* Two codes of 4 bits to a byte. */
static Value *packed_codes(Build *b, Value *v)
{
    SxTable *t = b->sx;
    Dim dims[4], size = v->type.dim[3];
    const Sx *at[4], *first, *low, *high, *there;

    for (int k = 0; k < 4; k++) {
        dims[k] = k == 3 ? dim_div(b->dims, dim_add_c(b->dims, size, 1), dim_const(b->dims, 2))
                         : v->type.dim[k];
        at[k] = sx_index(t, k);
    }
    at[3] = first = sx_mul(t, sx_index(t, 3), sx_i64(b, 2));
    low = sx_at(b, 0, v, at);
    at[3] = sx_add(t, first, sx_i64(b, 1));
    there = sx_lt(t, at[3], sx_dim(t, size));
    high = sx_shl(t, sx_at_guarded(b, 0, v, at, there), sx_const_int(t, DT_U8, 4));
    return build_map(b, "pack", 1, &v, DT_U8, 4, dims, sx_or(t, low, high));
}

/* New keys (or values) as a cache holds them: [batch, kv_heads, length, cached_size]. */
static Value *quantised(Build *b, const Node *n, const Group *g, Value *v, int scale)
{
    SxTable *t = b->sx;
    Value *in[2] = {v, g->bits ? n->in[scale] : NULL};
    const Sx *e;

    if (!v || !g->bits) return v;
    e = sx_div(t, sx_compute(b, sx_operand(b, 0, v, 4, v->type.dim)),
               sx_compute(b, sx_operand(b, 1, in[1], 4, v->type.dim)));
    if (g->cache != DT_F8E4M3FN) e = sx_rint(t, e);
    if (g->bits == 4) {
        e = sx_min(t, sx_max(t, e, sx_const(t, DT_F32, -8)), sx_const(t, DT_F32, 7));
        e = sx_add(t, e, sx_const(t, DT_F32, 8));
    }
    v = build_map(b, "quantize", 2, in, g->cache, 4, v->type.dim, sx_cast_to(t, e, g->cache, true));
    return v && g->bits == 4 ? packed_codes(b, v) : v;
}

/* What a quantised cache holds, as floats: [batch, kv_heads, present, size]. */
static Value *dequantised(Build *b, const Node *n, const Group *g, Value *v, int scale)
{
    SxTable *t = b->sx;
    DType type = in_type(n, 0)->dtype;
    Value *in[2] = {v, g->bits ? n->in[scale] : NULL};
    const Sx *at[4], *e, *half;
    Dim dims[4];

    if (!v || !g->bits) return v;
    for (int k = 0; k < 4; k++) {
        dims[k] = k == 3 ? dim_const(b->dims, g->size) : v->type.dim[k];
        at[k] = sx_index(t, k);
    }
    if (g->bits == 4) {
        half = sx_and(t, at[3], sx_i64(b, 1));
        at[3] = sx_div(t, at[3], sx_i64(b, 2));
        e = sx_cast(t, sx_at(b, 0, v, at), DT_U32);
        e = sx_shr(t, e, sx_cast(t, sx_mul(t, half, sx_i64(b, 4)), DT_U32));
        e = sx_cast(t, sx_and(t, e, sx_const_int(t, DT_U32, 15)), DT_F32);
        e = sx_sub(t, e, sx_const(t, DT_F32, 8));
    } else {
        e = sx_cast_to(t, sx_at(b, 0, v, at), DT_F32, false);
    }
    e = sx_mul(t, e, sx_compute(b, sx_operand(b, 1, in[1], 4, dims)));
    return build_map(b, "dequantize", 2, in, type, 4, dims, sx_cast_to(t, e, type, false));
}

/* Of so many keys, those that a cache of a sliding window holds. */
static const Sx *resident(Build *b, const Group *g, const Sx *count)
{
    SxTable *t = b->sx;
    const Sx *room = sx_dim(t, g->past), *many = sx_sub(t, room, sx_i64(b, g->window - 1));
    const Sx *over = sx_sub(t, count, room), *given_up;

    given_up = sx_floor_div(t, sx_add(t, over, sx_sub(t, many, sx_i64(b, 1))), many);
    return sx_select(t, sx_le(t, count, room), count, sx_sub(t, count, sx_mul(t, many, given_up)));
}

/* i64[batch]: rows of the cache in front of the first query. */
static Value *rows_before(Build *b, const Group *g, Value *start)
{
    const Sx *i = sx_index(b->sx, 0);

    if (!start || !g->window) return start;
    return build_map(b, "rows", 1, &start, DT_I64, 1, &g->batch,
                     resident(b, g, sx_load(b->sx, DT_I64, 0, 1, &i, NULL)));
}

/* What a cache of a sliding window keeps of the keys (or values) of a step; zeros behind them. */
static Value *kept(Build *b, const Node *n, const Group *g, Value *v, Value *start)
{
    SxTable *t = b->sx;
    Value *lengths = n->in[IN_LENGTHS], *in[3] = {v, start, lengths};
    const Sx *i = sx_index(t, 0), *at = sx_index(t, 2), *place[] = {i, sx_i64(b, 0)};
    const Sx *before, *count, *held, *from, *there;
    Dim dims[4];

    if (!v || !start || !g->window) return v;
    for (int k = 0; k < 4; k++)
        dims[k] = k == 2 ? g->past : v->type.dim[k];
    count = sx_load(t, lengths->type.dtype, 2, lengths->type.rank, place, NULL);
    count = sx_add(t, sx_cast(t, count, DT_I64), sx_i64(b, 1));
    before = sx_load(t, DT_I64, 1, 1, &i, NULL);
    held = resident(b, g, count);
    from = sx_sub(t, sx_sub(t, count, held), sx_sub(t, before, resident(b, g, before)));
    from = sx_add(t, from, at);
    there = sx_and(t, sx_le(t, sx_i64(b, 0), from), sx_lt(t, from, sx_dim(t, v->type.dim[2])));
    there = sx_and(t, there, sx_lt(t, at, held));
    return build_map(
        b, "window", 3, in, v->type.dtype, 4, dims,
        sx_at_guarded(b, 0, v, (const Sx *[]){i, sx_index(t, 1), from, sx_index(t, 3)}, there));
}

/* The bias, whose columns are all keys so far, of the rows of a cache of a sliding window. */
static Value *bias_of(Build *b, const Node *n, const Group *g, Value *start)
{
    SxTable *t = b->sx;
    Value *bias = n->in[10], *in[2] = {bias, start};
    const Sx *i = sx_index(t, 0), *before = sx_load(t, DT_I64, 1, 1, &i, NULL), *at, *there;
    const Sx *place[4];
    Dim dims[4];

    if (!g->window) return bias;
    if (!dim_is(bias->type.dim[0], 1)) build_require_equal(b, bias->type.dim[0], g->batch);
    at = sx_add(t, sx_sub(t, before, resident(b, g, before)), sx_index(t, 3));
    there = sx_lt(t, at, sx_dim(t, bias->type.dim[3]));
    for (int k = 0; k < 4; k++) {
        dims[k] = k == 0 ? g->batch : k == 3 ? g->present : bias->type.dim[k];
        place[k] = k == 3 ? at : dim_is(bias->type.dim[k], 1) ? sx_i64(b, 0) : sx_index(t, k);
    }
    return build_map(b, "bias", 2, in, bias->type.dtype, 4, dims,
                     sx_at_guarded(b, 0, bias, place, there));
}

/* The cache with the new keys (or values) at their place, and zeros behind them. */
static Value *extended(Build *b, const Node *n, const Group *g, Value *past, Value *fresh,
                       Value *start)
{
    SxTable *t = b->sx;
    const Sx *i = sx_index(t, 0), *at = sx_index(t, 2), *new_at, *is_new, *old, *e;
    Value *in[4] = {fresh, start, past}, *many = in_value(n, IN_QUERY_LENGTHS);
    int n_in = past ? 3 : 2;
    Dim dims[4];

    if (!fresh || !start) return NULL;
    for (int k = 0; k < 4; k++)
        dims[k] = k == 2 ? g->present : fresh->type.dim[k];
    new_at = sx_sub(t, at, sx_load(t, DT_I64, 1, 1, &i, NULL));
    is_new = sx_and(t, sx_le(t, sx_i64(b, 0), new_at), sx_lt(t, new_at, sx_dim(t, g->length)));
    if (many) {
        is_new = sx_and(t, is_new, sx_lt(t, new_at, queries_of(b, n, g, n_in)));
        in[n_in++] = many;
    }
    e = sx_at_guarded(b, 0, fresh, (const Sx *[]){i, sx_index(t, 1), new_at, sx_index(t, 3)},
                      is_new);
    if (past) {
        const Sx *there =
            sx_and(t, sx_lt(t, new_at, sx_i64(b, 0)), sx_lt(t, at, sx_dim(t, g->past)));
        old =
            sx_at_guarded(b, 2, past, (const Sx *[]){i, sx_index(t, 1), at, sx_index(t, 3)}, there);
        e = sx_select(t, is_new, e, old);
    }
    return build_map(b, "cache", n_in, in, fresh->type.dtype, 4, dims, e);
}

/* 0 or -infinity: [batch, 1, length, present] */
static Value *shown(Build *b, const Node *n, const Group *g, Value *start, DType type)
{
    SxTable *t = b->sx;
    int64_t window = attr_int(n, "local_window_size", -1);
    bool causal = attr_int(n, "causal", 1) != 0;
    Value *in[2] = {start, in_value(n, IN_QUERY_LENGTHS)};
    const Sx *i = sx_index(t, 0), *key = sx_index(t, 3), *query, *e;

    query = sx_add(t, sx_load(t, DT_I64, 0, 1, &i, NULL), sx_index(t, 2));
    e = causal
            ? sx_le(t, key, query)
            : sx_lt(t, key, sx_add(t, sx_load(t, DT_I64, 0, 1, &i, NULL), queries_of(b, n, g, 1)));
    if (window > 0) e = sx_and(t, e, sx_lt(t, sx_sub(t, query, sx_i64(b, window)), key));
    e = sx_select(t, e, sx_const(t, type, 0), sx_const(t, type, -INFINITY));
    return build_map(b, "mask", in[1] && !causal ? 2 : 1, in, type, 4,
                     (Dim[]){g->batch, dim_const(b->dims, 1), g->length, g->present}, e);
}

/* [batch, heads, length, _] <-> [batch, kv_heads, group * length, _] */
static Value *fold(Build *b, const Group *g, Value *v, bool unfold)
{
    DimTable *t = b->dims;
    Dim rows = dim_mul(t, dim_const(t, g->heads / g->kv_heads), g->length);

    if (!v) return NULL;
    return make_reshape(b, v, 4,
                        (Dim[]){g->batch, dim_const(t, unfold ? g->heads : g->kv_heads),
                                unfold ? g->length : rows, v->type.dim[3]});
}

/* Softmax of scores s [batch, heads, length, present], with the sinks. */
static Value *weights_of(Build *b, const Node *n, Value *s)
{
    SxTable *t = b->sx;
    Value *in[2] = {has_in(n, IN_SINK) ? n->in[IN_SINK] : NULL}, *sinks;
    bool smooth = attr_int(n, "smooth_softmax", 0) > 0;
    const Sx *head = sx_index(t, 1), *e;
    Dim dims[4];

    if (!s || (!smooth && !in[0])) return make_axis(b, "Softmax", s, -1);
    memcpy(dims, s->type.dim, sizeof dims);
    dims[3] = dim_const(b->dims, 1);
    e = in[0] ? sx_at(b, 0, in[0], &head) : sx_const(t, s->type.dtype, 0);
    sinks = build_map(b, "sinks", in[0] ? 1 : 0, in, s->type.dtype, 4, dims, e);
    return make_slice(b, make_axis(b, "Softmax", make_concat(b, 2, (Value *[]){s, sinks}, -1), -1),
                      3, 0, -1, 1);
}

/* What the output of scores gets of s [batch, heads, length, present]: the first of each row. */
static Value *told(Build *b, const Node *n, Value *s, Value *mask)
{
    SxTable *t = b->sx;
    bool before = attr_int(n, "qk_output", 0) == 1;
    Value *in[2] = {s, mask};
    const Sx *e;

    if (!s || !mask) return NULL;
    const Sx *at[4] = {sx_index(t, 0), sx_index(t, 1), sx_index(t, 2), sx_index(t, 3)}, *seen;
    e = sx_at(b, 0, s, at);
    if (before) {
        at[1] = sx_i64(b, 0);
        seen = sx_eq(t, sx_at(b, 1, mask, at), sx_const(t, mask->type.dtype, 0));
        e = sx_select(t, seen, e, sx_const(t, s->type.dtype, 0));
    }
    return build_map(b, "scores", before ? 2 : 1, in, s->type.dtype, 4, n->out[3]->type.dim, e);
}

static Value *attend(Build *b, const Node *n, const Group *g, Value *q, Value *k, Value *v,
                     Value *start, Value *row, Value **scores)
{
    double scale = attr_float(n, "scale", 0), cap = attr_float(n, "softcap", 0);
    Value *s, *mask;

    if (!k || !v || !q) return NULL;
    if (scale == 0) scale = 1 / mathd_sqrt((double)g->size);
    s = build_op2(b, "MatMul", fold(b, g, q, false),
                  build_transpose(b, k, (const int[]){0, 1, 3, 2}));
    s = make_mul(b, s, make_scalar(b, s, scale));
    if (cap > 0 && s)
        s = make_mul(b, make_unary(b, "Tanh", make_mul(b, s, make_scalar(b, s, 1 / cap))),
                     make_scalar(b, s, cap));
    s = fold(b, g, s, true);
    if (has_in(n, 10)) s = make_add(b, s, bias_of(b, n, g, start));
    if (!s) return NULL;
    mask = shown(b, n, g, row, s->type.dtype);
    if (has_out(n, 3) && attr_int(n, "qk_output", 0) == 1) *scores = told(b, n, s, mask);
    s = weights_of(b, n, make_add(b, s, mask));
    if (has_out(n, 3) && attr_int(n, "qk_output", 0) == 2) *scores = told(b, n, s, mask);
    s = fold(b, g, s, false);
    s = fold(b, g, build_op2(b, "MatMul", s, v), true);
    if (!s) return NULL;
    s = build_transpose(b, s, (const int[]){0, 2, 1, 3});
    return make_reshape(b, s, 3,
                        (Dim[]){g->batch, g->length, dim_const(b->dims, g->heads * g->size)});
}

/* 0 for queries that do not count. */
static Value *counted(Build *b, const Node *n, const Group *g, Value *y)
{
    SxTable *t = b->sx;
    Value *in[2] = {y, in_value(n, IN_QUERY_LENGTHS)};
    const Sx *at[3] = {sx_index(t, 0), sx_index(t, 1), sx_index(t, 2)}, *e;

    if (!y || !in[1]) return y;
    e = sx_select(t, sx_lt(t, at[1], queries_of(b, n, g, 1)), sx_at(b, 0, y, at),
                  sx_const(t, y->type.dtype, 0));
    return build_map(b, "counted", 2, in, y->type.dtype, 3, y->type.dim, e);
}

static Status lower_group(Build *b, const Node *n, Value **out)
{
    Infer cx = {.module = b->module, .build = b, .diag = b->diag};
    Value *q, *k, *v, *start, *row, *past[2];
    Group g;

    TRY(group_read(&cx, (Node *)(uintptr_t)n, &g));
    if (has_out(n, 1)) g.present = n->out[1]->type.dim[2]; /* the symbol that inference made */
    q = heads_of(b, &g, n->in[0], 0, g.heads);
    k = heads_of(b, &g, n->in[g.packed ? 0 : 1], g.packed ? g.heads : 0, g.kv_heads);
    v = heads_of(b, &g, n->in[g.packed ? 0 : 2], g.packed ? g.heads + g.kv_heads : 0, g.kv_heads);
    q = normalised(b, n, q, IN_Q_NORM, "q_norm_epsilon");
    k = normalised(b, n, k, IN_K_NORM, "k_norm_epsilon");
    for (int i = 0; i < 2; i++)
        past[i] = has_in(n, 3) ? n->in[3 + i] : NULL;
    start = starts(b, n, &g);
    if (b->status != OK) return b->status;
    if (g.window) {
        build_require_least(b, g.past, g.window);
        g.present = dim_add(b->dims, g.past, g.length);
    }
    row = rows_before(b, &g, start);
    k = quantised(b, n, &g, turned(b, n, &g, k, start), IN_K_SCALE);
    v = quantised(b, n, &g, v, IN_V_SCALE);
    k = extended(b, n, &g, past[0], k, row);
    v = extended(b, n, &g, past[1], v, row);
    out[0] = attend(b, n, &g, turned(b, n, &g, q, start), dequantised(b, n, &g, k, IN_K_SCALE),
                    dequantised(b, n, &g, v, IN_V_SCALE), start, row, &out[3]);
    out[0] = counted(b, n, &g, out[0]);
    if (has_out(n, 1)) out[1] = kept(b, n, &g, k, start);
    if (has_out(n, 2)) out[2] = kept(b, n, &g, v, start);
    return b->status;
}

const OpDef group_attention_ops[] = {
    {.name = "GroupQueryAttention",
     .domain = "com.microsoft",
     .since = 1,
     .about = "causal attention with a cache; groups of heads share keys and values",
     ROW_IN(
         {"query", T_FLOAT, "T", .ranks = RANK(3)}, {"key", T_FLOAT, "T", true, .ranks = RANK(3)},
         {"value", T_FLOAT, "T", true, .ranks = RANK(3)},
         {"past_key", T_CACHE, "C", true, .ranks = RANK(4)},
         {"past_value", T_CACHE, "C", true, .ranks = RANK(4)},
         {"seqlens_k", T_I32, .ranks = RANK(1) | RANK(2)},
         {"total_sequence_length", T_I32, .ranks = RANK(0) | RANK(1)},
         {"cos_cache", T_FLOAT, "T", true, .ranks = RANK(2)},
         {"sin_cache", T_FLOAT, "T", true, .ranks = RANK(2)},
         {"position_ids", DT_BIT(DT_I64), NULL, true, .ranks = RANK(2)},
         {"attention_bias", T_FLOAT, "T", true, .ranks = RANK(4)},
         {"head_sink", T_FLOAT, "T", true, .ranks = RANK(1)}, {"k_scale", T_FLOAT, NULL, true},
         {"v_scale", T_FLOAT, NULL, true}, {"q_norm_weight", T_FLOAT, "T", true, .ranks = RANK(1)},
         {"k_norm_weight", T_FLOAT, "T", true, .ranks = RANK(1)},
         {"query_seqlens", T_I32, NULL, true}),
     ROW_OUT({"output", T_FLOAT, "T"}, {"present_key", T_CACHE, "C", true},
             {"present_value", T_CACHE, "C", true}, {"output_qk", T_FLOAT, "T", true}),
     ROW_ATTRS(ATTR_REQ("num_heads", ATTR_INT), ATTR_REQ("kv_num_heads", ATTR_INT),
               ATTR_I("causal", 1), ATTR_I("do_rotary", 0), ATTR_OPT("k_norm_epsilon", ATTR_FLOAT),
               ATTR_S("k_quant_type", "NONE"), ATTR_OPT("q_norm_epsilon", ATTR_FLOAT),
               ATTR_F("qk_norm_epsilon", 1e-6), ATTR_I("sliding_window_cache", 0),
               ATTR_S("v_quant_type", "NONE"), ATTR_I("kv_cache_bit_width", 8),
               ATTR_I("local_window_size", -1), ATTR_I("qk_output", 0),
               ATTR_I("rotary_interleaved", 0), ATTR_OPT("scale", ATTR_FLOAT),
               ATTR_I("smooth_softmax", 0), ATTR_F("softcap", 0)),
     .traits = OP_PURE,
     .infer = infer_group,
     .eval = compose_eval,
     .lower = lower_group},
    {0},
};
