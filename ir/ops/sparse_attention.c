/* sparse_attention.c: SparseAttention of com.microsoft: GroupQueryAttention in which blocks of keys
 * are shown to blocks of queries by a table, in rows of compressed columns:
 *
 *     block row r of layout l sees the blocks col[l, row[l, r]] ... col[l, row[l, r + 1] - 1]
 *
 * Head h has layout h modulo their number. The table is spread out once, to 0 and -infinity. */
#include <math.h>

#include "ir/ops/compose.h"
#include "ir/ops/ops_common.h"

static Status sparse_check(const Node *n, Diag *d)
{
    const Type *past = in_type(n, 3);
    int64_t heads = attr_int(n, "num_heads", 0), kv = attr_int(n, "kv_num_heads", 0);
    int64_t size = attr_int(n, "sparse_block_size", 0);

    if (heads < 1 || kv < 1 || heads % kv)
        return op_error(n, d, "kv_num_heads", "%s: %lld heads do not share %lld", n->op->name,
                        (long long)heads, (long long)kv);
    if (size < 1 || size > INT32_MAX)
        return op_error(n, d, "sparse_block_size", "%s: found %lld, expected 16, 32, 64 or 128",
                        n->op->name, (long long)size);
    if (!dim_is_const(past->dim[3])) return op_unsupported(n, d, "an open head size");
    return OK;
}

static Status infer_sparse(Infer *cx, Node *n)
{
    DimTable *t = &cx->module->dims;

    for (int k = 0; k < n->n_in; k++)
        if (n->in[k]) TRY(infer_ranked(cx, n, k));
    TRY(sparse_check(n, cx->diag));
    infer_out(
        cx, n, 0, in_type(n, 0)->dtype, 3,
        (Dim[]){in_type(n, 0)->dim[0], in_type(n, 0)->dim[1],
                dim_mul(t, dim_const(t, attr_int(n, "num_heads", 0)), in_type(n, 3)->dim[3])});
    infer_same(cx, n, 1, 3);
    infer_same(cx, n, 2, 4);
    return OK;
}

/* bool[layouts, blocks, blocks] */
static Value *block_mask(Build *b, const Node *n)
{
    SxTable *t = b->sx;
    const Type *row = in_type(n, 5), *col = in_type(n, 6);
    Dim blocks = dim_add_c(b->dims, row->dim[1], -1);
    const Sx *l = sx_index(t, 0), *r = sx_index(t, 1), *e = sx_index(t, 3), *from, *to, *in;
    Acc acc = {.monoid = MONOID_OR, .dtype = DT_BOOL};

    from = sx_at(b, 0, n->in[5], (const Sx *[]){l, r});
    to = sx_at(b, 0, n->in[5], (const Sx *[]){l, sx_add(t, r, sx_i64(b, 1))});
    in = sx_and(t, sx_le(t, sx_cast(t, from, DT_I64), e), sx_lt(t, e, sx_cast(t, to, DT_I64)));
    acc.body = sx_and(
        t, in,
        sx_eq(t, sx_cast(t, sx_at(b, 1, n->in[6], (const Sx *[]){l, e}), DT_I64), sx_index(t, 2)));
    return build_reduce(b, "blocks", 2, (Value *[]){n->in[5], n->in[6]}, 3,
                        (Dim[]){row->dim[0], blocks, blocks}, 1, &col->dim[1], ORDER_CHAIN, acc,
                        DT_BOOL, NULL);
}

/* 0 or -infinity, [batch, heads, queries, keys of the cache]; total: a symbol or a constant */
static Value *shown(Build *b, const Node *n, Value *mask)
{
    SxTable *t = b->sx;
    const Type *q = in_type(n, 0), *past = in_type(n, 3), *layouts = in_type(n, 5);
    const Sx *size = sx_i64(b, attr_int(n, "sparse_block_size", 1)), *i = sx_index(t, 0);
    const Sx *length = sx_dim(t, q->dim[1]), *total, *start, *idx[3], *e, *there;
    Dim heads = dim_const(b->dims, attr_int(n, "num_heads", 0));

    if (!mask) return NULL;
    total = sx_cast(t, sx_scalar(b, 1, n->in[7]), DT_I64);
    start = sx_sub(t, sx_cast(t, sx_at(b, 2, n->in[8], &i), DT_I64), length);
    start = sx_select(t, sx_eq(t, total, length), sx_i64(b, 0), start); /* a prompt starts at 0 */
    idx[0] = sx_floor_mod(t, sx_index(t, 1), sx_dim(t, layouts->dim[0]));
    idx[1] = sx_floor_div(t, sx_add(t, start, sx_index(t, 2)), size);
    idx[2] = sx_floor_div(t, sx_index(t, 3), size);
    there =
        sx_and(t, sx_le(t, sx_i64(b, 0), idx[1]), sx_lt(t, idx[1], sx_dim(t, mask->type.dim[1])));
    there = sx_and(t, there, sx_lt(t, idx[2], sx_dim(t, mask->type.dim[2])));
    e = sx_at_guarded(b, 0, mask, idx, there);
    e = sx_select(t, e, sx_const(t, q->dtype, 0), sx_const(t, q->dtype, -INFINITY));
    return build_map(b, "mask", 3, (Value *[]){mask, n->in[7], n->in[8]}, q->dtype, 4,
                     (Dim[]){q->dim[0], heads, q->dim[1], past->dim[2]}, e);
}

/* The cache is as long as it was, and behind the new keys it is as it was. */
static Value *kept(Build *b, const Node *n, Value *v, Value *past)
{
    SxTable *t = b->sx;
    const Sx *idx[4], *fresh;

    v = make_reshape(b, v, 4, past->type.dim);
    if (!v) return NULL;
    for (int i = 0; i < 4; i++)
        idx[i] = sx_index(t, i);
    fresh = sx_lt(t, idx[2], sx_cast(t, sx_at(b, 2, n->in[8], &idx[0]), DT_I64));
    fresh = sx_select(t, fresh, sx_at(b, 0, v, idx), sx_at(b, 1, past, idx));
    return build_map(b, "cache", 3, (Value *[]){v, past, n->in[8]}, past->type.dtype, 4,
                     past->type.dim, fresh);
}

static Status lower_sparse(Build *b, const Node *n, Value **out)
{
    static const char *const names[] = {"num_heads", "kv_num_heads", "do_rotary",
                                        "rotary_interleaved", "scale"};
    Value *in[11] = {n->in[0], in_value(n, 1), in_value(n, 2), n->in[3], n->in[4]};
    Attr attr[5];
    int count = 0;
    Node *y;

    TRY(sparse_check(n, b->diag));
    build_require_equal(b, in_type(n, 6)->dim[0], in_type(n, 5)->dim[0]);
    build_require_equal(b, in_type(n, 8)->dim[0], in_type(n, 0)->dim[0]);
    build_require_least(b, in_type(n, 5)->dim[0], 1);
    build_require_least(b, in_type(n, 5)->dim[1], 1);
    in[5] = make_sub(b, n->in[8], build_scalar(b, DT_I32, 1));
    in[6] = n->in[7];
    in[7] = in_value(n, 9);
    in[8] = in_value(n, 10);
    in[9] = NULL;
    in[10] = shown(b, n, block_mask(b, n));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (attr_find(n, names[i])) attr[count++] = *attr_find(n, names[i]);
    if (b->status != OK) return b->status;
    y = build_op_node(b, "com.microsoft", "GroupQueryAttention", 11, in, 3, count, attr);
    if (!y) return b->status;
    out[0] = y->out[0];
    for (int k = 1; k < 3; k++) {
        build_require_equal(b, y->out[k]->type.dim[2], in_type(n, 2 + k)->dim[2]);
        if (has_out(n, k)) out[k] = kept(b, n, y->out[k], n->in[2 + k]);
    }
    return b->status;
}

const OpDef sparse_attention_ops[] = {
    {.name = "SparseAttention",
     .domain = "com.microsoft",
     .since = 1,
     .about = "GroupQueryAttention to the blocks of keys that a table shows",
     ROW_IN({"query", T_FLOAT, "T", .ranks = RANK(3)},
            {"key", T_FLOAT, "T", true, .ranks = RANK(3)},
            {"value", T_FLOAT, "T", true, .ranks = RANK(3)},
            {"past_key", T_FLOAT, "T", .ranks = RANK(4)},
            {"past_value", T_FLOAT, "T", .ranks = RANK(4)},
            {"block_row_indices", T_I32, "M", .ranks = RANK(2)},
            {"block_col_indices", T_I32, "M", .ranks = RANK(2)},
            {"total_sequence_length", T_I32, "M", .ranks = RANK(0) | RANK(1)},
            {"key_total_sequence_lengths", T_I32, "M", .ranks = RANK(1)},
            {"cos_cache", T_FLOAT, "T", true, .ranks = RANK(2)},
            {"sin_cache", T_FLOAT, "T", true, .ranks = RANK(2)}),
     ROW_OUT({"output", T_FLOAT, "T"}, {"present_key", T_FLOAT, "T"},
             {"present_value", T_FLOAT, "T"}),
     ROW_ATTRS(ATTR_REQ("num_heads", ATTR_INT), ATTR_REQ("kv_num_heads", ATTR_INT),
               ATTR_REQ("sparse_block_size", ATTR_INT), ATTR_I("do_rotary", 0),
               ATTR_I("rotary_interleaved", 0), ATTR_OPT("scale", ATTR_FLOAT)),
     .traits = OP_PURE,
     .infer = infer_sparse,
     .eval = compose_eval,
     .lower = lower_sparse},
    {0},
};
