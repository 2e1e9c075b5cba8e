/* derive.c: see derive.h. */
#include "ir/ops/derive.h"

#include "ir/gradient.h"
#include "ir/ops/compose.h"
#include "ir/ops/ops_common.h"

Status derive_reshaped(Build *b, const Node *n, Value *const *dy, Value **dx)
{
    const Type *x = in_type(n, 0);

    dx[0] = make_reshape(b, dy[0], x->rank, x->dim);
    return b->status;
}

Status derive_transpose(Build *b, const Node *n, Value *const *dy, Value **dx)
{
    const Attr *perm = attr_find(n, "perm");
    int back[MAX_RANK], rank = in_type(n, 0)->rank;

    for (int i = 0; i < rank; i++)
        back[perm ? (int)perm->ints[i] : rank - 1 - i] = i;
    dx[0] = build_transpose(b, dy[0], back);
    return b->status;
}

static Value *turned(Build *b, Value *v)
{
    int perm[MAX_RANK], rank = v->type.rank;

    for (int i = 0; i < rank; i++)
        perm[i] = i < rank - 2 ? i : 2 * rank - 3 - i;
    return build_transpose(b, v, perm);
}

/* dA = dY B', dB = A' dY; batches that were broadcast are summed. */
Status derive_matmul(Build *b, const Node *n, Value *const *dy, Value **dx)
{
    if (in_type(n, 0)->rank < 2 || in_type(n, 1)->rank < 2)
        return op_unsupported(n, b->diag, "a derivative by a vector");
    dx[0] = build_op2(b, "MatMul", dy[0], turned(b, n->in[1]));
    dx[1] = build_op2(b, "MatMul", turned(b, n->in[0]), dy[0]);
    for (int k = 0; k < 2; k++)
        dx[k] = gradient_unbroadcast(b, dx[k], n->in[k]);
    return b->status;
}

/* As of alpha A B + beta C with A and B turned; then turned back. */
Status derive_gemm(Build *b, const Node *n, Value *const *dy, Value **dx)
{
    Value *y = make_mul(b, dy[0], make_scalar(b, dy[0], attr_float(n, "alpha", 1)));
    bool turn_a = attr_int(n, "transA", 0), turn_b = attr_int(n, "transB", 0);

    if (!y) return b->status;
    dx[0] = build_op2(b, "MatMul", y, turn_b ? n->in[1] : turned(b, n->in[1]));
    dx[1] = build_op2(b, "MatMul", turn_a ? n->in[0] : turned(b, n->in[0]), y);
    if (b->status != OK) return b->status;
    if (turn_a) dx[0] = turned(b, dx[0]);
    if (turn_b) dx[1] = turned(b, dx[1]);
    if (has_in(n, 2))
        dx[2] = gradient_unbroadcast(
            b, make_mul(b, dy[0], make_scalar(b, dy[0], attr_float(n, "beta", 1))), n->in[2]);
    return b->status;
}

/* y (dy - sum(y dy)) */
Status derive_softmax(Build *b, const Node *n, Value *const *dy, Value **dx)
{
    Value *y = n->out[0], *sum;
    int64_t axis = attr_int(n, "axis", -1);

    sum = make_reduce(b, "ReduceSum", make_mul(b, y, dy[0]), axis, true);
    dx[0] = make_mul(b, y, make_sub(b, dy[0], sum));
    return b->status;
}

/* y x^(y-1), and x^y log(x) */
Status derive_pow(Build *b, const Node *n, Value *const *dy, Value **dx)
{
    Value *x = n->in[0], *y = make_cast(b, n->in[1], in_type(n, 0)->dtype);

    dx[0] = build_op2(b, "Pow", x, make_sub(b, y, make_scalar(b, y, 1)));
    dx[0] = gradient_unbroadcast(b, make_mul(b, dy[0], make_mul(b, y, dx[0])), x);
    if (!dtype_is_float(in_type(n, 1)->dtype)) return b->status;
    dx[1] = make_mul(b, dy[0], make_mul(b, n->out[0], make_unary(b, "Log", x)));
    dx[1] = gradient_unbroadcast(b, make_cast(b, dx[1], in_type(n, 1)->dtype), n->in[1]);
    return b->status;
}

/* To x where it lies within the bounds. */
Status derive_clip(Build *b, const Node *n, Value *const *dy, Value **dx)
{
    Value *none = make_scalar(b, dy[0], 0), *d = dy[0];

    if (has_in(n, 1)) d = make_where(b, build_op2(b, "Less", n->in[0], n->in[1]), none, d);
    if (has_in(n, 2)) d = make_where(b, build_op2(b, "Less", n->in[2], n->in[0]), none, d);
    dx[0] = d;
    return b->status;
}

Status derive_where(Build *b, const Node *n, Value *const *dy, Value **dx)
{
    Value *none = make_scalar(b, dy[0], 0);

    dx[1] = gradient_unbroadcast(b, make_where(b, n->in[0], dy[0], none), n->in[1]);
    dx[2] = gradient_unbroadcast(b, make_where(b, n->in[0], none, dy[0]), n->in[2]);
    return b->status;
}
