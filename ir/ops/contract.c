/* contract.c: MatMul, Gemm, Einsum: sums of products. Convolution is in conv.c. */
#include <string.h>

#include "ir/ops/derive.h"
#include "ir/ops/dot.h"
#include "ir/ops/family.h"
#include "ir/ops/ops_common.h"

DType dot_dtype(DType t)
{
    switch (dtype_kind(t)) {
    case KIND_FLOAT:
        return compute_dtype(t);
    case KIND_INT:
    case KIND_UINT:
        return dtype_bits(t) < 32 ? DT_I32 : t;
    case KIND_BOOL:
        return DT_I32;
    case KIND_COMPLEX:
    case KIND_STRING:
        break;
    }
    return t;
}

Value *build_dot(Build *b, const Dot *x)
{
    DType acc = x->acc != DT_NONE ? x->acc : dot_dtype(x->a->dtype);
    Acc dot = {.monoid = MONOID_DOT,
               .dtype = acc,
               .body = sx_cast(b->sx, x->a, acc),
               .body2 = sx_cast(b->sx, x->b, acc)};
    SumOrder order = x->lanes && dtype_is_float(acc) ? ORDER_LANES64 : ORDER_CHAIN;

    return build_reduce(b, x->label, x->n_in, x->in, x->rank, x->dims, x->n_reduce, x->reduce,
                        order, dot, x->out, x->value);
}

/* ---- MatMul ---- */

/* numpy.matmul: 1-d operands get a dim of 1 that the result drops. */
typedef struct MatMul {
    int batch; /* rank of the broadcast batch */
    Dim batch_dim[MAX_RANK];
    bool vector_a, vector_b;
    Dim m, n, k;
    Dim ka, kb; /* k as each operand has it */
} MatMul;

static Type batch_type(const Type *t)
{
    return type_tensor(t->dtype, t->rank > 2 ? t->rank - 2 : 0, t->dim);
}

static Status matmul_read(Infer *cx, Node *n, MatMul *x)
{
    const Type *a = in_type(n, 0), *b = in_type(n, 1);
    Type ba = batch_type(a), bb = batch_type(b);
    Dim kb;

    if (a->rank == RANK_UNKNOWN || b->rank == RANK_UNKNOWN)
        return op_unsupported(n, cx->diag, "an operand of unknown rank");
    if (a->rank == 0 || b->rank == 0)
        return op_error(n, cx->diag, NULL, "%s: operands must not be scalars", node_op_name(n));
    x->vector_a = a->rank == 1;
    x->vector_b = b->rank == 1;
    x->m = x->vector_a ? NULL : a->dim[a->rank - 2];
    x->n = x->vector_b ? NULL : b->dim[b->rank - 1];
    x->k = x->ka = a->dim[a->rank - 1];
    kb = x->vector_b ? b->dim[0] : b->dim[b->rank - 2];
    if (dim_distinct(&cx->module->dims, x->k, kb))
        return op_error(n, cx->diag, NULL, "%s: inner dims %lld and %lld differ", node_op_name(n),
                        (long long)x->k->lo, (long long)kb->lo);
    x->kb = kb;
    if (dim_is_const(kb)) x->k = kb;
    return infer_broadcast_dims(cx, n, 2, (const Type *[]){&ba, &bb}, &x->batch, x->batch_dim);
}

static int matmul_dims(const MatMul *x, Dim *dims)
{
    int rank = x->batch;

    memcpy(dims, x->batch_dim, sizeof(Dim) * (size_t)x->batch);
    if (!x->vector_a) dims[rank++] = x->m;
    if (!x->vector_b) dims[rank++] = x->n;
    return rank;
}

static Status infer_matmul(Infer *cx, Node *n)
{
    MatMul x;
    Dim dims[MAX_RANK + 2];

    TRY(matmul_read(cx, n, &x));
    infer_out(cx, n, 0, n->op->result != DT_NONE ? n->op->result : in_type(n, 0)->dtype,
              matmul_dims(&x, dims), dims);
    return OK;
}

/* Batch indices of an operand of rank `rank`: aligned at the right of the result's batch. */
static void batch_index(Build *b, const Value *v, const MatMul *x, const Sx **idx)
{
    int own = v->type.rank - 2;

    for (int i = 0; i < own; i++) {
        int at = i + x->batch - own;
        Dim d = v->type.dim[i];
        const Sx *e = sx_index(b->sx, at);

        if (dim_is(d, 1))
            e = sx_i64(b, 0);
        else if (d != x->batch_dim[at] && d->lo <= 1)
            e = sx_select(b->sx, sx_eq(b->sx, sx_dim(b->sx, d), sx_i64(b, 1)), sx_i64(b, 0), e);
        idx[i] = e;
    }
}

/* Rows hide the latency of short sums: 1.6 to 10 times as fast as lanes that are not full. */
static bool few_constant_columns(const Value *w, Dim n, Dim k)
{
    if (!w->data || !dim_is_const(n) || n->value > 4) return false;
    return !dim_is_const(k) || k->value > (n->value > 2 ? 64 : 15);
}

/* The product of in[0] and in[1], as expressions in `d`, whose other fields the caller may change.
 */
static Status matmul_dot(Build *b, const Node *n, Dot *d, MatMul *x, Dim *dims, const Sx **ia,
                         const Sx **ib)
{
    Infer cx = {.module = b->module, .build = b, .diag = b->diag};
    Value *va = n->in[0], *vb = n->in[1];
    int ra = va->type.rank, rb = vb->type.rank, rank;

    TRY(matmul_read(&cx, (Node *)(uintptr_t)n, x));
    build_require_equal(b, x->ka, x->kb);
    rank = matmul_dims(x, dims);
    batch_index(b, va, x, ia);
    batch_index(b, vb, x, ib);
    ia[ra - 1] = sx_index(b->sx, rank);
    if (!x->vector_a) ia[ra - 2] = sx_index(b->sx, x->batch);
    ib[x->vector_b ? 0 : rb - 2] = sx_index(b->sx, rank);
    if (!x->vector_b) ib[rb - 1] = sx_index(b->sx, rank - 1);
    *d = (Dot){.label = "matmul",
               .n_in = 2,
               .in = n->in,
               .rank = rank,
               .n_reduce = 1,
               .dims = dims,
               .reduce = &x->k,
               .a = sx_at(b, 0, va, ia),
               .b = sx_at(b, 1, vb, ib),
               .out = n->out[0]->type.dtype,
               .lanes = x->vector_b || few_constant_columns(vb, x->n, x->k)};
    return OK;
}

static Status lower_matmul(Build *b, const Node *n, Value **out)
{
    MatMul x;
    Dot d;
    Dim dims[MAX_RANK + 2];
    const Sx *ia[MAX_RANK], *ib[MAX_RANK];

    TRY(matmul_dot(b, n, &d, &x, dims, ia, ib));
    out[0] = build_dot(b, &d);
    return b->status;
}

/* ---- evaluation shared by MatMul and its integer form: element (i, j) of batch `at` ---- */

typedef struct Zero { /* zero points, by row of a and column of b */
    const Tensor *a, *b;
} Zero;

enum { ROWS_OF_A = 2, COLUMNS_OF_B = 1 }; /* which dim from the end zero points go along */

/* Line `i` of a matrix of x, the `matrix`-th: a zero point for all, one a line, or lines of each
 * matrix. */
static int64_t zero_at(const Tensor *z, const Tensor *x, int64_t matrix, int64_t i, int along)
{
    int64_t at = 0, step = 1;

    if (!z) return 0;
    if (z->rank <= 1 || z->count == 1) return tensor_int(z, z->count == 1 ? 0 : i);
    for (int k = 1; k <= z->rank; k++) {
        int64_t own = k <= 2 ? (k == along ? i : 0) : matrix % x->dim[x->rank - k];
        if (k > 2) matrix /= x->dim[x->rank - k];
        if (z->dim[z->rank - k] > 1) at += own * step;
        step *= z->dim[z->rank - k];
    }
    return tensor_int(z, at);
}

static Status zero_fits(Eval *cx, const Node *n, const Tensor *z, const Tensor *x, int along)
{
    bool fits = true;

    if (!z || z->count == 1) return OK;
    if (z->rank <= 1) {
        fits = z->count == (x->rank > 1 ? x->dim[x->rank - along] : 1);
    } else {
        fits = z->rank <= x->rank;
        for (int k = 1; fits && k <= z->rank; k++) {
            int64_t d = z->dim[z->rank - k];
            fits = d == 1 || (d == x->dim[x->rank - k] && k != ROWS_OF_A + COLUMNS_OF_B - along);
        }
    }
    if (fits) return OK;
    return op_error(n, cx->diag, NULL, "%s: zero points do not fit their matrix", node_op_name(n));
}

static Status eval_product(Eval *cx, const Node *n, const Tensor *a, const Tensor *b, Zero zero,
                           DType type, Tensor **out)
{
    int64_t m = a->rank == 1 ? 1 : a->dim[a->rank - 2], k = a->dim[a->rank - 1];
    int64_t c = b->rank == 1 ? 1 : b->dim[b->rank - 1];
    int64_t kb = b->rank == 1 ? b->dim[0] : b->dim[b->rank - 2];
    int64_t dims[MAX_RANK], index[MAX_RANK] = {0}, sa[MAX_RANK], sb[MAX_RANK];
    Tensor ba = {.rank = a->rank > 2 ? a->rank - 2 : 0, .dim = a->dim};
    Tensor bb = {.rank = b->rank > 2 ? b->rank - 2 : 0, .dim = b->dim};
    int batch = ba.rank > bb.rank ? ba.rank : bb.rank, rank = batch;
    int64_t e = 0;

    if (k != kb)
        return op_error(n, cx->diag, NULL, "%s: inner dims %lld and %lld differ", node_op_name(n),
                        (long long)k, (long long)kb);
    eval_broadcast_strides(&ba, batch, sa);
    eval_broadcast_strides(&bb, batch, sb);
    for (int i = 0; i < batch; i++) {
        int64_t da = i < batch - ba.rank ? 1 : ba.dim[i - (batch - ba.rank)];
        int64_t db = i < batch - bb.rank ? 1 : bb.dim[i - (batch - bb.rank)];
        if (da != db && da != 1 && db != 1)
            return op_error(n, cx->diag, NULL, "%s: batch dims %lld and %lld do not broadcast",
                            node_op_name(n), (long long)da, (long long)db);
        dims[i] = da == 1 ? db : da;
    }
    if (a->rank > 1) dims[rank++] = m;
    if (b->rank > 1) dims[rank++] = c;
    TRY(eval_out(cx, n, out, type, rank, dims));
    if (!(*out)->count) return OK;
    do {
        int64_t pa = 0, pb = 0;
        for (int i = 0; i < batch; i++) {
            pa += index[i] * sa[i];
            pb += index[i] * sb[i];
        }
        for (int64_t i = 0; i < m; i++)
            for (int64_t j = 0; j < c; j++, e++) {
                double sum = 0;
                int64_t isum = 0, za = zero_at(zero.a, a, pa, i, ROWS_OF_A);
                int64_t zb = zero_at(zero.b, b, pb, j, COLUMNS_OF_B);
                bool floats = dtype_is_float(a->dtype);
                for (int64_t p = 0; p < k; p++) {
                    int64_t qa = pa * m * k + i * k + p, qb = pb * k * c + p * c + j;
                    if (floats)
                        sum += tensor_double(a, qa) * tensor_double(b, qb);
                    else
                        isum = (int64_t)((uint64_t)isum + (uint64_t)(tensor_int(a, qa) - za) *
                                                              (uint64_t)(tensor_int(b, qb) - zb));
                }
                if (floats)
                    tensor_set_double(*out, e, sum);
                else
                    tensor_set_int(*out, e, isum);
            }
    } while (eval_next(batch, dims, index));
    return OK;
}

static Status eval_matmul(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    return eval_product(cx, n, in[0], in[1], (Zero){0}, in[0]->dtype, &out[0]);
}

/* ---- MatMulInteger: zero points per tensor, per row of A or column of B ---- */

static Status eval_matmul_integer(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    Zero z = {n->n_in > 2 ? in[2] : NULL, n->n_in > 3 ? in[3] : NULL};

    TRY(zero_fits(cx, n, z.a, in[0], ROWS_OF_A));
    TRY(zero_fits(cx, n, z.b, in[1], COLUMNS_OF_B));
    return eval_product(cx, n, in[0], in[1], z, DT_I32, &out[0]);
}

/* Zero points are [], [1], [M] or [..., M, 1] of A; [], [1], [N] or [..., 1, N] of B, with the dims
 * of matrices of their operand or 1. */
static Status zero_shape(const Node *n, Infer *cx, int input, int along)
{
    const Type *z, *x = in_type(n, input - 2);
    bool fits;

    if (!has_in(n, input)) return OK;
    z = in_type(n, input);
    if (z->rank <= 1) return OK;
    fits = z->rank <= x->rank;
    for (int k = 1; fits && k <= z->rank; k++) {
        Dim d = z->dim[z->rank - k], one = dim_const(&cx->module->dims, 1);
        fits = !dim_distinct(&cx->module->dims, d, one) ||
               (k != ROWS_OF_A + COLUMNS_OF_B - along &&
                !dim_distinct(&cx->module->dims, d, x->dim[x->rank - k]));
    }
    if (fits) return OK;
    return op_error(n, cx->diag, NULL, "%s: zero points of input %d do not fit their matrix",
                    node_op_name(n), input);
}

static Status infer_matmul_integer(Infer *cx, Node *n)
{
    TRY(infer_matmul(cx, n));
    TRY(zero_shape(n, cx, 2, ROWS_OF_A));
    return zero_shape(n, cx, 3, COLUMNS_OF_B);
}

/* i32(x) - i32(zero). The zero point of `of` is read where that is, whose indices are `own`, but
 * for the index that the sum runs over. */
static const Sx *less_zero(Build *b, const Sx *x, int src, const Value *zero, const Value *of,
                           const Sx *const *own, int along)
{
    const Sx *z, *idx[MAX_RANK], *wide = sx_cast(b->sx, x, DT_I32);
    int rank = of->type.rank;

    if (!zero) return wide;
    for (int k = 1; k <= zero->type.rank; k++) {
        int line = zero->type.rank == 1 ? along : k; /* a list goes along the lines */
        bool summed = rank == 1 || line == ROWS_OF_A + COLUMNS_OF_B - along;
        idx[zero->type.rank - k] =
            summed ? sx_i64(b, 0)
                   : sx_index_or_one(b, zero->type.dim[zero->type.rank - k],
                                     of->type.dim[rank - line], own[rank - line]);
    }
    z = sx_at(b, src, zero, idx);
    return sx_sub(b->sx, wide, sx_cast(b->sx, z, DT_I32));
}

static Status lower_matmul_integer(Build *b, const Node *n, Value **out)
{
    MatMul x;
    Dot d;
    Dim dims[MAX_RANK + 2];
    const Sx *ia[MAX_RANK], *ib[MAX_RANK];
    Value *in[4] = {n->in[0], n->in[1]};
    Value *za = has_in(n, 2) ? n->in[2] : NULL, *zb = has_in(n, 3) ? n->in[3] : NULL;

    TRY(matmul_dot(b, n, &d, &x, dims, ia, ib));
    d.in = in;
    if (za) in[d.n_in++] = za;
    d.a = less_zero(b, d.a, 2, za, n->in[0], ia, ROWS_OF_A);
    if (zb) in[d.n_in++] = zb;
    d.b = less_zero(b, d.b, d.n_in - 1, zb, n->in[1], ib, COLUMNS_OF_B);
    d.acc = DT_I32;
    d.out = DT_I32;
    d.lanes = false;
    out[0] = build_dot(b, &d);
    return b->status;
}

/* Weights of rank 2, scales along their columns. */
static Value *integer_matmul(Build *b, const Node *n, Value *const *in, Value *const *zero,
                             int w_axis, int *axis)
{
    if (in[1]->type.rank != 2 || w_axis != 1 || in[0]->type.rank < 2) return NULL;
    *axis = n->out[0]->type.rank - 1;
    return build_op(b, "MatMulInteger", 4, (Value *[]){in[0], in[1], zero[0], zero[1]}, 0, NULL);
}

static Value *integer_gemm(Build *b, const Node *n, Value *const *in, Value *const *zero,
                           int w_axis, int *axis)
{
    bool tb = attr_int(n, "transB", 0) != 0;
    Value *w = in[1];

    if (attr_int(n, "transA", 0) || attr_float(n, "alpha", 1) != 1 ||
        (has_in(n, 2) && attr_float(n, "beta", 1) != 1) || w_axis != !tb)
        return NULL;
    *axis = 1;
    if (tb)
        w = build_op(b, "Transpose", 1, &w, 1,
                     (Attr[]){attr_of_ints("perm", 2, (int64_t[]){1, 0})});
    return build_op(b, "MatMulInteger", 4, (Value *[]){in[0], w, zero[0], zero[1]}, 0, NULL);
}

/* ---- Gemm: alpha A' B' + beta C ---- */

static Status infer_gemm(Infer *cx, Node *n)
{
    const Type *a = in_type(n, 0), *b = in_type(n, 1);
    int ta = attr_int(n, "transA", 0) != 0, tb = attr_int(n, "transB", 0) != 0;

    if (a->rank != 2 || b->rank != 2)
        return op_error(n, cx->diag, NULL, "Gemm: A and B must have rank 2");
    if (dim_distinct(&cx->module->dims, a->dim[!ta], b->dim[tb]))
        return op_error(n, cx->diag, NULL, "Gemm: inner dims differ");
    Type product = type_tensor(a->dtype, 2, (Dim[]){a->dim[ta], b->dim[!tb]});
    infer_out(cx, n, 0, a->dtype, 2, product.dim);
    return infer_broadcasts_to(cx, n, 2, &product);
}

/* alpha or beta of a product of integers, whose type it takes. */
static uint64_t integer_factor(DType t, double factor)
{
    char bits[8];

    dtype_store_double(t, bits, factor, false);
    return (uint64_t)dtype_load_int(t, bits);
}

static Status eval_gemm(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    int ta = attr_int(n, "transA", 0) != 0, tb = attr_int(n, "transB", 0) != 0;
    int64_t m = in[0]->dim[ta], k = in[0]->dim[!ta], c = in[1]->dim[!tb], sc[2] = {0};
    double alpha = attr_float(n, "alpha", 1), beta = attr_float(n, "beta", 1);
    bool bias = n->n_in > 2 && in[2], floats = dtype_is_float(in[0]->dtype);

    if (k != in[1]->dim[tb]) return op_error(n, cx->diag, NULL, "Gemm: inner dims differ");
    TRY(eval_out(cx, n, &out[0], in[0]->dtype, 2, (int64_t[]){m, c}));
    if (bias && in[2]->rank > 2) return op_error(n, cx->diag, "C", "Gemm: C has rank above 2");
    if (bias) eval_broadcast_strides(in[2], 2, sc);
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < c; j++) {
            double sum = 0;
            int64_t isum = 0;
            for (int64_t p = 0; p < k; p++) {
                int64_t qa = ta ? p * m + i : i * k + p, qb = tb ? j * k + p : p * c + j;
                if (floats)
                    sum += tensor_double(in[0], qa) * tensor_double(in[1], qb);
                else
                    isum = (int64_t)((uint64_t)isum + (uint64_t)tensor_int(in[0], qa) *
                                                          (uint64_t)tensor_int(in[1], qb));
            }
            if (floats) {
                sum *= alpha;
                if (bias) sum += beta * tensor_double(in[2], i * sc[0] + j * sc[1]);
                tensor_set_double(out[0], i * c + j, sum);
            } else {
                uint64_t v = (uint64_t)isum * integer_factor(in[0]->dtype, alpha);
                if (bias)
                    v += integer_factor(in[0]->dtype, beta) *
                         (uint64_t)tensor_int(in[2], i * sc[0] + j * sc[1]);
                tensor_set_int(out[0], i * c + j, (int64_t)v);
            }
        }
    return OK;
}

static const Sx *scaled(Build *b, const Sx *x, double factor)
{
    return factor == 1 ? x : sx_mul(b->sx, x, sx_const(b->sx, x->dtype, factor));
}

static Status lower_gemm(Build *b, const Node *n, Value **out)
{
    const Type *t = &n->out[0]->type;
    int ta = attr_int(n, "transA", 0) != 0, tb = attr_int(n, "transB", 0) != 0;
    const Sx *i = sx_index(b->sx, 0), *j = sx_index(b->sx, 1), *k = sx_index(b->sx, 2), *value;
    DType acc = dot_dtype(t->dtype);
    Dot d = {.label = "gemm",
             .n_in = has_in(n, 2) ? 3 : 2,
             .in = n->in,
             .rank = 2,
             .n_reduce = 1,
             .dims = t->dim,
             .out = t->dtype};

    d.reduce = &n->in[1]->type.dim[tb];
    d.a = sx_at(b, 0, n->in[0], ta ? (const Sx *[]){k, i} : (const Sx *[]){i, k});
    d.b = sx_at(b, 1, n->in[1], tb ? (const Sx *[]){j, k} : (const Sx *[]){k, j});
    d.lanes = !ta && few_constant_columns(n->in[1], t->dim[1], *d.reduce);
    value = scaled(b, sx_acc(b->sx, 0, acc), attr_float(n, "alpha", 1));
    if (has_in(n, 2) && attr_float(n, "beta", 1) != 0) {
        const Sx *c = sx_cast(b->sx, sx_operand(b, 2, n->in[2], 2, t->dim), acc);
        value = sx_add(b->sx, value, scaled(b, c, attr_float(n, "beta", 1)));
    }
    d.value = sx_cast(b->sx, value, t->dtype);
    out[0] = build_dot(b, &d);
    return b->status;
}

#define T_PRODUCT (T_FLOAT | T_INT)

const OpDef contract_ops[] = {
    {.name = "MatMul",
     .since = 13,
     .about = "numpy.matmul",
     ROW_IN({"A", T_PRODUCT, "T"}, {"B", T_PRODUCT, "T"}),
     ROW_OUT({"Y", T_PRODUCT, "T"}),
     .traits = OP_PURE,
     .quant = QUANT_CONTRACT,
     .integer = integer_matmul,
     .infer = infer_matmul,
     .eval = eval_matmul,
     .derive = derive_matmul,
     .lower = lower_matmul},
    {.name = "MatMulInteger",
     .since = 10,
     .about = "product of 8-bit integers less their zero points, in i32",
     ROW_IN({"A", T_BYTE, "T1"}, {"B", T_BYTE, "T2"}, {"a_zero_point", T_BYTE, "T1", true},
            {"b_zero_point", T_BYTE, "T2", true}),
     ROW_OUT({"Y", DT_BIT(DT_I32), "T3"}),
     .traits = OP_PURE,
     .quant = QUANT_FLOAT,
     .result = DT_I32,
     .infer = infer_matmul_integer,
     .eval = eval_matmul_integer,
     .lower = lower_matmul_integer},
    {.name = "Gemm",
     .since = 13,
     .about = "alpha A' B' + beta C",
     ROW_IN({"A", T_PRODUCT, "T"}, {"B", T_PRODUCT, "T"}, {"C", T_PRODUCT, "T", true}),
     ROW_OUT({"Y", T_PRODUCT, "T"}),
     ROW_ATTRS(ATTR_F("alpha", 1), ATTR_F("beta", 1), ATTR_I("transA", 0), ATTR_I("transB", 0)),
     .traits = OP_PURE,
     .quant = QUANT_CONTRACT,
     .integer = integer_gemm,
     .infer = infer_gemm,
     .eval = eval_gemm,
     .derive = derive_gemm,
     .lower = lower_gemm},
    {0},
};
