/* attention.c: Attention and RotaryEmbedding, as the formulas that their specification gives:
 *
 *     Y = softmax(softcap(sqrt(s) Q (sqrt(s) K)') + bias) V
 *
 * on [batch, heads, sequence, head]. Grouped heads: the queries of a group are folded into one
 * axis, so that keys and values are never repeated in memory. */
#include <math.h>

#include "ir/mathd.h"
#include "ir/ops/compose.h"
#include "ir/ops/ops_common.h"

typedef struct Heads {
    bool packed; /* rank 3: [batch, sequence, heads * size] */
    Dim batch, q_heads, kv_heads, q_len, kv_len, past, total, size, v_size;
} Heads;

static Status packed_heads(const Node *n, Diag *d, const char *attr, DimTable *t, Dim *heads)
{
    int64_t v = attr_int(n, attr, 0);

    if (v <= 0) return op_error(n, d, attr, "%s: inputs of rank 3 need %s", n->op->name, attr);
    *heads = dim_const(t, v);
    return OK;
}

static Status heads_read(const Node *n, Diag *d, DimTable *t, Heads *h)
{
    const Type *q = in_type(n, 0), *k = in_type(n, 1), *v = in_type(n, 2);

    if (q->rank != k->rank || q->rank != v->rank || (q->rank != 3 && q->rank != 4))
        return op_error(n, d, NULL, "%s: Q, K and V must all have rank 3 or 4, not %d, %d, %d",
                        n->op->name, q->rank, k->rank, v->rank);
    *h = (Heads){.packed = q->rank == 3, .batch = q->dim[0]};
    if (h->packed) {
        TRY(packed_heads(n, d, "q_num_heads", t, &h->q_heads));
        TRY(packed_heads(n, d, "kv_num_heads", t, &h->kv_heads));
        h->q_len = q->dim[1];
        h->kv_len = k->dim[1];
        h->size = dim_div(t, q->dim[2], h->q_heads);
        h->v_size = dim_div(t, v->dim[2], h->kv_heads);
    } else {
        h->q_heads = q->dim[1];
        h->kv_heads = k->dim[1];
        h->q_len = q->dim[2];
        h->kv_len = k->dim[2];
        h->size = q->dim[3];
        h->v_size = v->dim[3];
    }
    h->past = dim_const(t, 0);
    if (has_in(n, 4)) {
        if (in_type(n, 4)->rank != 4)
            return op_error(n, d, "past_key", "%s: past_key must have rank 4", n->op->name);
        h->past = in_type(n, 4)->dim[2];
    }
    h->total = dim_add(t, h->past, h->kv_len);
    if (dim_is_const(h->q_heads) && dim_is_const(h->kv_heads) &&
        (h->kv_heads->value <= 0 || h->q_heads->value % h->kv_heads->value != 0))
        return op_error(n, d, NULL, "%s: %lld query heads do not share %lld key heads", n->op->name,
                        (long long)h->q_heads->value, (long long)h->kv_heads->value);
    return OK;
}

static Status check_window(const Node *n, Diag *d, const char *attr)
{
    int64_t v = attr_int(n, attr, -1);

    if (v >= -1) return OK;
    return op_error(n, d, attr, "%s: found %lld, expected -1 (no bound) or more", n->op->name,
                    (long long)v);
}

static Status infer_attention(Infer *cx, Node *n)
{
    DimTable *t = &cx->module->dims;
    Heads h;

    TRY(check_window(n, cx->diag, "left_window_size"));
    TRY(check_window(n, cx->diag, "right_window_size"));
    for (int k = 0; k < n->n_in; k++)
        if (has_in(n, k)) TRY(infer_ranked(cx, n, k));
    TRY(heads_read(n, cx->diag, t, &h));
    if (h.packed)
        infer_out(cx, n, 0, in_type(n, 0)->dtype, 3,
                  (Dim[]){h.batch, h.q_len, dim_mul(t, h.q_heads, h.v_size)});
    else
        infer_out(cx, n, 0, in_type(n, 0)->dtype, 4,
                  (Dim[]){h.batch, h.q_heads, h.q_len, h.v_size});
    infer_out(cx, n, 1, in_type(n, 1)->dtype, 4, (Dim[]){h.batch, h.kv_heads, h.total, h.size});
    infer_out(cx, n, 2, in_type(n, 2)->dtype, 4, (Dim[]){h.batch, h.kv_heads, h.total, h.v_size});
    infer_out(cx, n, 3, in_type(n, 0)->dtype, 4, (Dim[]){h.batch, h.q_heads, h.q_len, h.total});
    return OK;
}

/* [batch, sequence, heads * size] -> [batch, heads, sequence, size]. */
static Value *unpack(Build *b, Value *v, bool packed, Dim heads, Dim size)
{
    Dim dims[4];

    if (!packed || !v) return v;
    dims[0] = v->type.dim[0];
    dims[1] = v->type.dim[1];
    dims[2] = heads;
    dims[3] = size;
    v = make_reshape(b, v, 4, dims);
    return v ? build_transpose(b, v, (const int[]){0, 2, 1, 3}) : NULL;
}

static Value *scaled(Build *b, Value *v, double factor)
{
    return factor == 1 ? v : make_mul(b, v, make_scalar(b, v, factor));
}

/* By the root of the attribute scale, or of 1 / sqrt(size). */
static Value *scaled_root(Build *b, const Node *n, Dim size, Value *v)
{
    SxTable *t = b->sx;
    DType type;
    const Sx *root;

    if (!v) return NULL;
    if (attr_find(n, "scale")) return scaled(b, v, mathd_sqrt(attr_float(n, "scale", 1)));
    if (dim_is_const(size)) return scaled(b, v, mathd_sqrt(1 / mathd_sqrt((double)size->value)));
    type = v->type.dtype;
    root = sx_sqrt(t, sx_cast(t, sx_dim(t, size), DT_F64));
    root = sx_sqrt(t, sx_div(t, sx_const(t, DT_F64, 1), root));
    return make_mul(b, v, build_map(b, "scale", 0, NULL, type, 0, NULL, sx_cast(t, root, type)));
}

/* The mask as a bias that is added, at least of rank 2, of f32 or the type of Q. A bias that ends
 * before the last key: -infinity from there. */
static Value *mask_bias(Build *b, const Node *n, const Heads *h, DType type)
{
    Value *m = n->in[3];
    SxTable *t = b->sx;
    int rank = m->type.rank;
    Dim dims[MAX_RANK], own;
    const Sx *idx[MAX_RANK], *guard = NULL, *e, *low = sx_const(t, type, -INFINITY);

    for (int i = 0; i < rank; i++) {
        dims[i] = m->type.dim[i];
        idx[i] = sx_index(t, i);
    }
    if (rank > 0) {
        own = dims[rank - 1];
        dims[rank - 1] = h->total; /* of one key, too: no broadcast */
        guard = sx_inside(b, idx[rank - 1], own, rank, dims);
    }
    e = sx_at_guarded(b, 0, m, idx, guard);
    e = m->type.dtype == DT_BOOL ? sx_select(t, e, sx_const(t, type, 0), low) : sx_cast(t, e, type);
    if (guard) e = sx_select(t, guard, e, low);
    return build_map(b, "mask", 1, &m, type, rank, dims, e);
}

/* Which keys a query may see by their places: no later ones, and no more than so many before and
 * after its own, -1: all. */
typedef struct Sight {
    bool causal;
    int64_t left, right;
} Sight;

static Sight sight_of(const Node *n)
{
    const int64_t far = (int64_t)1 << 40; /* beyond all keys; sums do not wrap */
    Sight s = {attr_int(n, "is_causal", 0) != 0, attr_int(n, "left_window_size", -1),
               attr_int(n, "right_window_size", -1)};

    if (s.left > far) s.left = far;
    if (s.right > far) s.right = far;
    return s;
}

static bool is_window(const Sight *s)
{
    return s->left >= 0 || s->right >= 0;
}

/* 0 or -infinity: what is in sight, and keys behind the padding. [batch or 1, 1, q_len or 1,
 * total]. With padding the last query stands at the last key that is none, else the first one right
 * behind the past. */
static Value *place_bias(Build *b, const Node *n, const Heads *h, DType type, const Sight *sight)
{
    SxTable *t = b->sx;
    bool padded = has_in(n, 6), by_query = sight->causal || is_window(sight);
    Dim one = dim_const(b->dims, 1);
    Dim dims[4] = {padded ? h->batch : one, one, by_query ? h->q_len : one, h->total};
    const Sx *key = sx_index(t, 3), *shown = NULL, *offset = sx_dim(t, h->past), *own;

    if (padded) {
        const Sx *at = sx_index(t, 0);
        const Sx *count = sx_cast(t, sx_load(t, n->in[6]->type.dtype, 0, 1, &at, NULL), DT_I64);
        shown = sx_lt(t, key, count);
        offset = sx_sub(t, count, sx_dim(t, h->q_len));
    }
    own = sx_add(t, sx_index(t, 2), offset);
    if (sight->causal) shown = sx_both(b, shown, sx_le(t, key, own));
    if (sight->left >= 0)
        shown = sx_both(b, shown, sx_le(t, sx_sub(t, own, sx_i64(b, sight->left)), key));
    if (sight->right >= 0)
        shown = sx_both(b, shown, sx_le(t, key, sx_add(t, own, sx_i64(b, sight->right))));
    return build_map(b, "mask", padded, padded ? &n->in[6] : NULL, type, 4, dims,
                     sx_select(t, shown, sx_const(t, type, 0), sx_const(t, type, -INFINITY)));
}

/* [batch, q_heads, q_len, size] <-> [batch, kv_heads, group * q_len, size] */
static Value *fold_groups(Build *b, const Heads *h, Value *v, bool unfold)
{
    DimTable *t = b->dims;
    Dim group = dim_div(t, h->q_heads, h->kv_heads);

    if (!v || h->q_heads == h->kv_heads) return v;
    if (unfold)
        return make_reshape(b, v, 4, (Dim[]){h->batch, h->q_heads, h->q_len, v->type.dim[3]});
    return make_reshape(
        b, v, 4, (Dim[]){h->batch, h->kv_heads, dim_mul(t, group, h->q_len), v->type.dim[3]});
}

static Value *with_past(Build *b, const Node *n, int past, Value *v)
{
    if (!has_in(n, past)) return v;
    return make_concat(b, 2, (Value *[]){n->in[past], v}, 2);
}

/* Softmax of the scores; rows where the bias hides every key are 0, not NaN. */
static Value *weights(Build *b, Value *s, Value *bias, DType type)
{
    Value *y = make_cast(b, make_axis(b, "Softmax", s, -1), type), *hidden;

    if (!bias || !y) return y;
    if (bias->type.rank > 0) bias = make_reduce(b, "ReduceMax", bias, -1, true);
    if (!bias) return NULL;
    hidden = build_op2(b, "Equal", bias, make_scalar(b, bias, -INFINITY));
    return make_where(b, hidden, make_scalar(b, y, 0), y);
}

static Status lower_attention(Build *b, const Node *n, Value **out)
{
    Heads h;
    DType type = in_type(n, 0)->dtype;
    int64_t mode = attr_int(n, "qk_matmul_output_mode", 0);
    int64_t precision = attr_int(n, "softmax_precision", 0);
    double cap = attr_float(n, "softcap", 0);
    Sight sight = sight_of(n);
    Value *q, *k, *v, *s, *y, *bias = NULL, *place = NULL;

    TRY(heads_read(n, b->diag, b->dims, &h));
    q = unpack(b, n->in[0], h.packed, h.q_heads, h.size);
    k = with_past(b, n, 4, unpack(b, n->in[1], h.packed, h.kv_heads, h.size));
    v = with_past(b, n, 5, unpack(b, n->in[2], h.packed, h.kv_heads, h.v_size));
    if (b->status != OK) return b->status;
    if (has_out(n, 1)) out[1] = k;
    if (has_out(n, 2)) out[2] = v;
    q = scaled_root(b, n, h.size, fold_groups(b, &h, q, false));
    k = scaled_root(b, n, h.size, k);
    if (b->status != OK) return b->status;
    s = build_op2(b, "MatMul", q, build_transpose(b, k, (const int[]){0, 1, 3, 2}));
    s = fold_groups(b, &h, s, true);
    if (has_out(n, 3)) out[3] = s;
    if (cap > 0 && s) s = scaled(b, make_unary(b, "Tanh", scaled(b, s, 1 / cap)), cap);
    if (has_out(n, 3) && mode == 1) out[3] = s;
    if (has_in(n, 3)) bias = mask_bias(b, n, &h, type);
    if (sight.causal || is_window(&sight) || has_in(n, 6))
        place = place_bias(b, n, &h, type, &sight);
    if (bias && place) bias = make_add(b, bias, place);
    if (bias || place) s = make_add(b, s, bias ? bias : place);
    if (has_out(n, 3) && mode == 2) out[3] = s;
    if (precision > 0 && dtype_from_onnx((int)precision) != DT_NONE)
        s = make_cast(b, s, dtype_from_onnx((int)precision));
    /* causal alone shows each query a key */
    if (!bias && (has_in(n, 6) || is_window(&sight))) bias = place;
    s = weights(b, s, bias, type);
    if (has_out(n, 3) && mode == 3) out[3] = s;
    y = build_op2(b, "MatMul", fold_groups(b, &h, s, false), make_cast(b, v, type));
    y = fold_groups(b, &h, y, true);
    if (h.packed && y) {
        y = build_transpose(b, y, (const int[]){0, 2, 1, 3});
        y = make_reshape(b, y, 3, n->out[0]->type.dim);
    }
    out[0] = y;
    return b->status;
}

/* ---- RotaryEmbedding: pairs of elements turned by the angle of their position ---- */

static Status infer_rotary(Infer *cx, Node *n)
{
    const Type *x = in_type(n, 0);

    for (int k = 0; k < 3; k++)
        TRY(infer_ranked(cx, n, k));
    if (x->rank != 3 && x->rank != 4)
        return op_error(n, cx->diag, "X", "RotaryEmbedding: rank %d, expected 3 or 4", x->rank);
    if (in_type(n, 1)->rank != (has_in(n, 3) ? 2 : 3) || in_type(n, 2)->rank != in_type(n, 1)->rank)
        return op_error(n, cx->diag, "cos_cache", "RotaryEmbedding: the caches must have rank %d",
                        has_in(n, 3) ? 2 : 3);
    if (x->rank == 3 && attr_int(n, "num_heads", 0) <= 0)
        return op_error(n, cx->diag, "num_heads", "RotaryEmbedding: needed with rank 3");
    infer_same(cx, n, 0, 0);
    return OK;
}

typedef struct Rotary {
    Dim dims[4]; /* batch, heads, sequence, head size, whatever the layout */
    const Sx *at[4];
    bool packed;
} Rotary;

static Rotary rotary_place(Build *b, const Node *n)
{
    const Type *x = in_type(n, 0);
    Rotary r = {.packed = x->rank == 3};

    if (r.packed) {
        Dim heads = dim_const(b->dims, attr_int(n, "num_heads", 1));
        Dim size = dim_div(b->dims, x->dim[2], heads);
        r = (Rotary){{x->dim[0], heads, x->dim[1], size}, {NULL}, true};
        r.at[0] = sx_index(b->sx, 0);
        r.at[2] = sx_index(b->sx, 1);
        r.at[1] = sx_index(b->sx, 2);
        r.at[3] = sx_index(b->sx, 3);
        return r;
    }
    for (int i = 0; i < 4; i++) {
        r.dims[i] = x->dim[i];
        r.at[i] = sx_index(b->sx, i);
    }
    return r;
}

/* Element `pair` of a cache at the position of the domain point. */
static const Sx *rotary_angle(Build *b, const Node *n, const Rotary *r, int src, const Sx *pair,
                              const Sx *turned)
{
    SxTable *t = b->sx;
    const Sx *position, *guard = turned, *inside;

    if (!has_in(n, 3))
        return sx_load(t, n->in[src]->type.dtype, src, 3, (const Sx *[]){r->at[0], r->at[2], pair},
                       turned);
    position = sx_load(t, n->in[3]->type.dtype, 3, 2, (const Sx *[]){r->at[0], r->at[2]}, NULL);
    position = sx_data_index(b, 3, position, n->in[src]->type.dim[0], &inside);
    guard = sx_both(b, guard, inside);
    return sx_load(t, n->in[src]->type.dtype, src, 2, (const Sx *[]){position, pair}, guard);
}

static const Sx *rotary_value(Build *b, const Node *n, const Rotary *r, const Sx *where)
{
    const Sx *idx[4] = {r->at[0], r->packed ? r->at[2] : r->at[1], r->packed ? r->at[1] : r->at[2],
                        where};

    return sx_compute(b, sx_load(b->sx, in_type(n, 0)->dtype, 0, 4, idx, NULL));
}

static Status lower_rotary(Build *b, const Node *n, Value **out)
{
    SxTable *t = b->sx;
    const Type *x = in_type(n, 0);
    Rotary r = rotary_place(b, n);
    int64_t turn = attr_int(n, "rotary_embedding_dim", 0);
    bool interleaved = attr_int(n, "interleaved", 0) != 0;
    const Sx *d, *pair, *second, *turned = NULL, *real, *c, *s, *e, *self, *other;
    Value *in[4] = {n->in[0], n->in[1], n->in[2], has_in(n, 3) ? n->in[3] : NULL};
    Dim dims[4], size = r.dims[3];

    if (turn == 0 && !dim_is_const(size)) return op_unsupported(n, b->diag, "an open head size");
    if (turn == 0) turn = size->value;
    if (turn % 2 || turn < 0 || (dim_is_const(size) && turn > size->value))
        return op_error(n, b->diag, "rotary_embedding_dim", "RotaryEmbedding: %lld of %lld",
                        (long long)turn, (long long)size->lo);
    build_require_equal(b, in_type(n, 1)->dim[in_type(n, 1)->rank - 1],
                        dim_const(b->dims, turn / 2));
    build_require_equal(b, in_type(n, 2)->dim[in_type(n, 2)->rank - 1],
                        dim_const(b->dims, turn / 2));
    dims[0] = r.dims[0];
    dims[1] = r.packed ? r.dims[2] : r.dims[1];
    dims[2] = r.packed ? r.dims[1] : r.dims[2];
    dims[3] = size;
    in[0] = make_reshape(b, n->in[0], 4, dims);
    d = r.at[3];
    if (!dim_is(size, turn)) turned = sx_lt(t, d, sx_i64(b, turn));
    if (interleaved) {
        pair = sx_floor_div(t, d, sx_i64(b, 2));
        second = sx_eq(t, sx_floor_mod(t, d, sx_i64(b, 2)), sx_i64(b, 1));
        other = sx_select(t, second, sx_sub(t, d, sx_i64(b, 1)), sx_add(t, d, sx_i64(b, 1)));
    } else {
        second = sx_le(t, sx_i64(b, turn / 2), d);
        pair = sx_select(t, second, sx_sub(t, d, sx_i64(b, turn / 2)), d);
        other = sx_select(t, second, sx_sub(t, d, sx_i64(b, turn / 2)),
                          sx_add(t, d, sx_i64(b, turn / 2)));
    }
    if (turned) other = sx_select(t, turned, other, d);
    if (turned) pair = sx_select(t, turned, pair, sx_i64(b, 0));
    self = rotary_value(b, n, &r, d);
    real = rotary_value(b, n, &r, other);
    c = sx_compute(b, rotary_angle(b, n, &r, 1, pair, turned));
    s = sx_compute(b, rotary_angle(b, n, &r, 2, pair, turned));
    /* the first of a pair: c x1 - s x2; the second: s x1 + c x2 */
    c = sx_mul(t, c, self);
    s = sx_mul(t, s, real);
    e = sx_select(t, second, sx_add(t, s, c), sx_sub(t, c, s));
    if (turned) e = sx_select(t, turned, e, self);
    Value *y = build_map(b, "rotary", has_in(n, 3) ? 4 : 3, in, x->dtype, 4, dims,
                         sx_cast(t, e, x->dtype));
    out[0] = make_reshape(b, y, x->rank, x->dim);
    return b->status;
}

static Status eval_rotary(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    const Tensor *x = in[0], *c = in[1], *position = n->n_in > 3 ? in[3] : NULL;
    bool packed = x->rank == 3, interleaved = attr_int(n, "interleaved", 0) != 0;
    int64_t heads = packed ? attr_int(n, "num_heads", 1) : x->dim[1];
    int64_t length = x->dim[packed ? 1 : 2], batch = x->dim[0];
    int64_t size = packed ? x->dim[2] / heads : x->dim[3];
    int64_t turn = attr_int(n, "rotary_embedding_dim", 0), half;

    if (turn == 0) turn = size;
    half = turn / 2;
    if (turn > size || c->dim[c->rank - 1] != half || in[2]->count != c->count)
        return op_error(n, cx->diag, "cos_cache", "RotaryEmbedding: the cache has the wrong size");
    if (!position && c->count != batch * length * half)
        return op_error(n, cx->diag, "cos_cache", "RotaryEmbedding: the cache has the wrong size");
    if (position && position->count != batch * length)
        return op_error(n, cx->diag, "position_ids", "RotaryEmbedding: not one for each position");
    TRY(eval_out(cx, n, &out[0], x->dtype, x->rank, x->dim));
    for (int64_t a = 0; a < batch; a++)
        for (int64_t h = 0; h < heads; h++)
            for (int64_t i = 0; i < length; i++) {
                int64_t row = a * length + i, angle = row;
                int64_t at =
                    packed ? (row * heads + h) * size : ((a * heads + h) * length + i) * size;
                if (position) {
                    angle = tensor_int(position, row);
                    TRY(eval_index(cx, n, c->dim[0], &angle));
                }
                for (int64_t k = 0; k < half; k++) {
                    int64_t p = at + (interleaved ? 2 * k : k);
                    int64_t q = at + (interleaved ? 2 * k + 1 : k + half);
                    double u = tensor_double(x, p), v = tensor_double(x, q);
                    double cos = tensor_double(c, angle * half + k);
                    double sin = tensor_double(in[2], angle * half + k);
                    tensor_set_double(out[0], p, cos * u - sin * v);
                    tensor_set_double(out[0], q, sin * u + cos * v);
                }
                for (int64_t k = turn; k < size; k++)
                    eval_copy_element(out[0], at + k, x, at + k);
            }
    return OK;
}

const OpDef attention_ops[] = {
    {.name = "Attention",
     .since = 25,
     .about = "scaled dot product attention",
     ROW_IN({"Q", T_FLOAT, "T1", .ranks = RANK(3) | RANK(4)},
            {"K", T_FLOAT, "T1", .ranks = RANK(3) | RANK(4)},
            {"V", T_FLOAT, "T2", .ranks = RANK(3) | RANK(4)},
            {"attn_mask", T_NUMBER | T_BOOL, "U", true},
            {"past_key", T_FLOAT, "T1", true, .ranks = RANK(4)},
            {"past_value", T_FLOAT, "T2", true, .ranks = RANK(4)},
            {"nonpad_kv_seqlen", DT_BIT(DT_I64), NULL, true, .ranks = RANK(1)}),
     ROW_OUT({"Y", T_FLOAT, "T1"}, {"present_key", T_FLOAT, "T1", true},
             {"present_value", T_FLOAT, "T2", true}, {"qk_matmul_output", T_FLOAT, "T1", true}),
     ROW_ATTRS(ATTR_I("is_causal", 0), ATTR_OPT("kv_num_heads", ATTR_INT),
               ATTR_I("left_window_size", -1), ATTR_OPT("q_num_heads", ATTR_INT),
               ATTR_I("qk_matmul_output_mode", 0), ATTR_I("right_window_size", -1),
               ATTR_OPT("scale", ATTR_FLOAT), ATTR_F("softcap", 0),
               ATTR_OPT("softmax_precision", ATTR_INT)),
     .traits = OP_PURE,
     .infer = infer_attention,
     .eval = compose_eval,
     .lower = lower_attention},
    {.name = "RotaryEmbedding",
     .since = 23,
     .about = "pairs of elements turned by the angle of their position",
     ROW_IN({"X", T_FLOAT, "T", .ranks = RANK(3) | RANK(4)},
            {"cos_cache", T_FLOAT, "T", .ranks = RANK(2) | RANK(3)},
            {"sin_cache", T_FLOAT, "T", .ranks = RANK(2) | RANK(3)},
            {"position_ids", DT_BIT(DT_I64), NULL, true, .ranks = RANK(2)}),
     ROW_OUT({"Y", T_FLOAT, "T"}),
     ROW_ATTRS(ATTR_I("interleaved", 0), ATTR_I("num_heads", 0), ATTR_I("rotary_embedding_dim", 0)),
     .traits = OP_PURE,
     .infer = infer_rotary,
     .eval = eval_rotary,
     .lower = lower_rotary},
    {0},
};
