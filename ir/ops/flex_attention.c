/* flex_attention.c: FlexAttention: attention whose scores and probabilities graphs may change:
 *
 *     Y = prob_mod(softmax(score_mod(scale Q K'))) V
 *
 * The graphs see one tensor [batch, heads, queries, keys]; their nodes are put where they are used,
 * so that all fuses as if it were written out. */
#include <math.h>

#include "ir/mathd.h"
#include "ir/ops/compose.h"
#include "ir/ops/ops_common.h"

typedef struct Flex {
    DType wide; /* of scores and probabilities */
    Dim batch, q_heads, kv_heads, q_len, kv_len, size, v_size;
} Flex;

static Status flex_read(const Node *n, Diag *d, Flex *f)
{
    const Type *q = in_type(n, 0), *k = in_type(n, 1), *v = in_type(n, 2);
    int64_t precision = attr_int(n, "softmax_precision", 0);

    f->wide = q->dtype == DT_F64 ? DT_F64 : DT_F32;
    if (precision) f->wide = dtype_from_onnx((int)precision);
    if (!(T_FLOAT & DT_BIT(f->wide)))
        return op_error(n, d, "softmax_precision", "FlexAttention: found %lld",
                        (long long)precision);
    f->batch = q->dim[0];
    f->q_heads = q->dim[1];
    f->q_len = q->dim[2];
    f->size = q->dim[3];
    f->kv_heads = k->dim[1];
    f->kv_len = k->dim[2];
    f->v_size = v->dim[3];
    if (dim_is_const(f->q_heads) && dim_is_const(f->kv_heads) &&
        (f->kv_heads->value < 1 || f->q_heads->value % f->kv_heads->value))
        return op_error(n, d, "K", "FlexAttention: %lld query heads do not share %lld key heads",
                        (long long)f->q_heads->value, (long long)f->kv_heads->value);
    return OK;
}

/* A graph takes the scores and gives as many. */
static Status check_graph(const Node *n, Diag *d, const char *name, const Flex *f)
{
    const Region *r = attr_region(n, name);
    const Dim want[4] = {f->batch, f->q_heads, f->q_len, f->kv_len};
    const Type *t;

    if (!r) return OK;
    if (r->n_arg != 1 || r->n_result != 1)
        return op_error(n, d, name, "FlexAttention: a graph of %d inputs and %d outputs", r->n_arg,
                        r->n_result);
    t = &r->result[0]->type;
    if (t->kind != TYPE_TENSOR || t->dtype != f->wide || t->rank != 4)
        return op_error(n, d, name, "FlexAttention: the graph gives %s of rank %d, expected %s[4]",
                        dtype_text(t->dtype), t->rank, dtype_text(f->wide));
    for (int i = 0; i < 4; i++)
        if (dim_is_const(t->dim[i]) && dim_is_const(want[i]) && t->dim[i] != want[i])
            return op_error(n, d, name, "FlexAttention: the graph gives %lld at axis %d, not %lld",
                            (long long)t->dim[i]->value, i, (long long)want[i]->value);
    return OK;
}

static Status infer_flex(Infer *cx, Node *n)
{
    Flex f;

    for (int k = 0; k < 3; k++)
        TRY(infer_ranked(cx, n, k));
    TRY(flex_read(n, cx->diag, &f));
    TRY(check_graph(n, cx->diag, "score_mod", &f));
    TRY(check_graph(n, cx->diag, "prob_mod", &f));
    infer_out(cx, n, 0, in_type(n, 0)->dtype, 4, (Dim[]){f.batch, f.q_heads, f.q_len, f.v_size});
    return OK;
}

/* [batch, q_heads, q_len, _] <-> [batch, kv_heads, group * q_len, _] */
static Value *fold_heads(Build *b, const Flex *f, Value *v, bool unfold)
{
    DimTable *t = b->dims;
    Dim rows = dim_mul(t, dim_div(t, f->q_heads, f->kv_heads), f->q_len);
    Dim heads = unfold ? f->q_heads : f->kv_heads;

    if (!v || f->q_heads == f->kv_heads) return v;
    return make_reshape(b, v, 4,
                        (Dim[]){f->batch, heads, unfold ? f->q_len : rows, v->type.dim[3]});
}

/* The attribute, or 1 / sqrt(size). */
static Value *scale_of(Build *b, const Node *n, const Flex *f, DType type)
{
    SxTable *t = b->sx;
    const Sx *root;

    if (attr_find(n, "scale")) return build_scalar(b, type, attr_float(n, "scale", 1));
    root = sx_sqrt(t, sx_cast(t, sx_dim(t, f->size), DT_F64));
    root = sx_cast(t, sx_div(t, sx_const(t, DT_F64, 1), root), type);
    return build_map(b, "scale", 0, NULL, type, 0, NULL, root);
}

/* v through the graph, whose nodes move to where b stands. */
static Value *apply_graph(Build *b, const Node *n, const Flex *f, const char *name, Value *v)
{
    Region *r = attr_region(n, name);
    const Dim want[4] = {f->batch, f->q_heads, f->q_len, f->kv_len};
    const Type *t;

    if (!r || !v) return v;
    value_replace(r->arg[0], v);
    region_move_nodes(r, b->region, b->before);
    v = value_resolve(r->result[0]);
    t = &v->type;
    for (int i = 0; i < 4; i++)
        if (t->dim[i] != want[i]) build_require_equal(b, t->dim[i], want[i]);
    return make_reshape(b, v, 4, want);
}

static Status lower_flex(Build *b, const Node *n, Value **out)
{
    DType type = in_type(n, 0)->dtype;
    Value *s, *y;
    Flex f;

    TRY(flex_read(n, b->diag, &f));
    s = build_op2(b, "MatMul", fold_heads(b, &f, n->in[0], false),
                  build_transpose(b, n->in[1], (const int[]){0, 1, 3, 2}));
    s = make_mul(b, fold_heads(b, &f, s, true), scale_of(b, n, &f, type));
    s = apply_graph(b, n, &f, "score_mod", make_cast(b, s, f.wide));
    s = apply_graph(b, n, &f, "prob_mod", make_axis(b, "Softmax", s, -1));
    s = fold_heads(b, &f, make_cast(b, s, type), false);
    y = build_op2(b, "MatMul", s, n->in[2]);
    out[0] = fold_heads(b, &f, y, true);
    return b->status;
}

/* ---- evaluation ---- */

typedef struct FlexRun {
    const Tensor *q, *k, *v;
    int64_t rows, keys; /* batch * heads * queries; keys */
} FlexRun;

/* First element of the keys or values that row r of the queries sees. */
static int64_t head_of(const FlexRun *x, const Tensor *t, int64_t r)
{
    int64_t head = r / x->q->dim[2] % x->q->dim[1], batch = r / x->q->dim[2] / x->q->dim[1];
    int64_t group = x->q->dim[1] / t->dim[1];

    return (batch * t->dim[1] + head / group) * t->dim[2] * t->dim[3];
}

static void eval_scores(const FlexRun *x, double scale, Tensor *s)
{
    int64_t size = x->q->dim[3];

    for (int64_t r = 0; r < x->rows; r++)
        for (int64_t j = 0; j < x->keys; j++) {
            double sum = 0;
            for (int64_t c = 0; c < size; c++)
                sum += tensor_double(x->q, r * size + c) *
                       tensor_double(x->k, head_of(x, x->k, r) + j * size + c);
            tensor_set_double(s, r * x->keys + j, sum * scale);
        }
}

static void eval_softmax_rows(int64_t rows, int64_t keys, const Tensor *s, Tensor *p)
{
    for (int64_t r = 0; r < rows; r++) {
        double top = -INFINITY, sum = 0;
        for (int64_t j = 0; j < keys; j++) {
            double v = tensor_double(s, r * keys + j);
            if (v > top || v != v) top = v;
        }
        for (int64_t j = 0; j < keys; j++)
            sum += mathd_exp(tensor_double(s, r * keys + j) - top);
        for (int64_t j = 0; j < keys; j++)
            tensor_set_double(p, r * keys + j,
                              mathd_exp(tensor_double(s, r * keys + j) - top) / sum);
    }
}

static Status eval_graph(Eval *cx, const Node *n, const char *name, Tensor **t)
{
    const Region *r = attr_region(n, name);
    Tensor *result;

    if (!r) return OK;
    TRY(cx->region(cx, r, t, &result));
    if (result->count != (*t)->count || result->rank != 4)
        return op_error(n, cx->diag, name, "FlexAttention: the graph gives %lld elements, not %lld",
                        (long long)result->count, (long long)(*t)->count);
    *t = result;
    return OK;
}

static Status eval_flex(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    FlexRun x = {in[0], in[1], in[2], 0, in[1]->dim[2]};
    int64_t dims[4] = {x.q->dim[0], x.q->dim[1], x.q->dim[2], x.keys}, size = x.v->dim[3];
    Tensor *s, *p;
    double scale;
    Flex f;

    TRY(flex_read(n, cx->diag, &f));
    if (x.k->dim[1] < 1 || x.q->dim[1] % x.k->dim[1] || x.v->dim[1] != x.k->dim[1] ||
        x.v->dim[2] != x.keys || x.k->dim[3] != x.q->dim[3] || x.k->dim[0] != dims[0] ||
        x.v->dim[0] != dims[0])
        return op_error(n, cx->diag, "K", "FlexAttention: Q, K and V do not fit together");
    x.rows = dims[0] * dims[1] * dims[2];
    scale = attr_find(n, "scale") ? attr_float(n, "scale", 1) : 1 / mathd_sqrt((double)x.q->dim[3]);
    TRY(eval_out(cx, n, &s, f.wide, 4, dims));
    eval_scores(&x, scale, s);
    TRY(eval_graph(cx, n, "score_mod", &s));
    TRY(eval_out(cx, n, &p, f.wide, 4, dims));
    eval_softmax_rows(x.rows, x.keys, s, p);
    TRY(eval_graph(cx, n, "prob_mod", &p));
    dims[3] = size;
    TRY(eval_out(cx, n, &out[0], x.q->dtype, 4, dims));
    for (int64_t r = 0; r < x.rows; r++)
        for (int64_t c = 0; c < size; c++) {
            double sum = 0;
            for (int64_t j = 0; j < x.keys; j++)
                sum += tensor_double(p, r * x.keys + j) *
                       tensor_double(x.v, head_of(&x, x.v, r) + j * size + c);
            tensor_set_double(out[0], r * size + c, sum);
        }
    return OK;
}

const OpDef flex_attention_ops[] = {
    {.name = "FlexAttention",
     .domain = "ai.onnx.preview",
     .since = 1,
     .about = "scaled dot product attention with graphs that change its scores",
     ROW_IN({"Q", T_FLOAT, "T", .ranks = RANK(4)}, {"K", T_FLOAT, "T", .ranks = RANK(4)},
            {"V", T_FLOAT, "T", .ranks = RANK(4)}),
     ROW_OUT({"Y", T_FLOAT, "T"}),
     ROW_ATTRS(ATTR_OPT("scale", ATTR_FLOAT), ATTR_OPT("softmax_precision", ATTR_INT),
               ATTR_OPT("score_mod", ATTR_REGION), ATTR_OPT("prob_mod", ATTR_REGION)),
     .traits = OP_PURE,
     .infer = infer_flex,
     .eval = eval_flex,
     .lower = lower_flex},
    {0},
};
