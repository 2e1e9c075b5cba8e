/* softmax.c: Softmax, LogSoftmax, Hardmax.
 *
 * Along the last axis Softmax is one kernel of several stages (rows.h); along another axis three
 * kernels, each in order of memory. */
#include "ir/mathd.h"
#include "ir/ops/axes.h"
#include "ir/ops/compose.h"
#include "ir/ops/derive.h"
#include "ir/ops/rows.h"

static Status infer_softmax(Infer *cx, Node *n)
{
    int axis;

    if (in_type(n, 0)->rank == RANK_UNKNOWN)
        return op_unsupported(n, cx->diag, "an operand of unknown rank");
    if (in_type(n, 0)->rank > 0)
        TRY(infer_axis(n, cx->diag, "axis", attr_int(n, "axis", -1), in_type(n, 0)->rank, &axis));
    infer_same(cx, n, 0, 0);
    return OK;
}

static bool is_log(const Node *n)
{
    return n->op->name[0] == 'L';
}

/* exp(d) of d = x - max, or 0 where that is less than 1e-34 of the largest: subnormal numbers would
 * come of it, which cost some processors a hundred times what others do. */
static const Sx *exp_of_rest(Build *b, const Sx *d)
{
    const Sx *far;

    if (d->dtype != DT_F32) return sx_exp(b->sx, d);
    far = sx_lt(b->sx, d, sx_const(b->sx, DT_F32, -80));
    return sx_select(b->sx, far, sx_const(b->sx, DT_F32, 0), sx_exp(b->sx, d));
}

/* Along the last axis: max; e = exp(x - max), kept; 1 / sum of e; their product. */
static Value *softmax_rows(Build *b, const Node *n, Value *x)
{
    Rows r;
    DType t = x->type.dtype;
    const Sx *y;
    Node *k;

    rows_start(b, x, x->type.rank - 1, &r);
    /* a NaN makes the whole row NaN by itself */
    int top = rows_reduce(&r, MONOID_MAX_NUMBER, rows_x(&r, AT_REDUCED), NULL, -1);
    if (is_log(n)) {
        const Sx *e = exp_of_rest(b, sx_sub(b->sx, rows_x(&r, AT_REDUCED), rows_stat(&r, top)));
        int sum = rows_reduce(&r, MONOID_SUM, e, sx_log(b->sx, rows_acc(&r)), -1);
        y = sx_sub(b->sx, sx_sub(b->sx, rows_x(&r, AT_POINT), rows_stat(&r, top)),
                   rows_stat(&r, sum));
    } else {
        int e = rows_map(
            &r, exp_of_rest(b, sx_sub(b->sx, rows_x(&r, AT_POINT), rows_stat(&r, top))), -1);
        const Sx *inverse = sx_div(b->sx, sx_const(b->sx, r.acc, 1), rows_acc(&r));
        int sum = rows_reduce(&r, MONOID_SUM, rows_load(&r, ~e, r.acc, AT_REDUCED), inverse, -1);
        y = sx_mul(b->sx, rows_load(&r, ~e, r.acc, AT_POINT), rows_stat(&r, sum));
    }
    rows_map(&r, sx_cast(b->sx, y, t), 0);
    k = rows_finish(&r, n->op->name, 1, &x, 1, &x->type);
    return k ? k->out[0] : NULL;
}

/* Along another axis: three kernels, each in order of memory. */
static Value *softmax_axis(Build *b, const Node *n, Value *x, int axis)
{
    int rank = x->type.rank;
    DType t = x->type.dtype, acc = compute_dtype(t);
    uint32_t mask = 1u << axis;
    Value *top, *sum, *in[3];
    Dim dims[MAX_RANK], reduce[MAX_RANK];
    const Sx *e, *y, *at = sx_cast(b->sx, axes_operand(b, 0, x, mask, true, rank), acc);

    top = axes_reduce(b, "max", x, mask, true, MONOID_MAX_NUMBER, at, acc, acc, NULL);
    if (!top) return NULL;
    axes_result(b->dims, &x->type, mask, true, dims);
    axes_reduced(&x->type, mask, reduce);
    in[0] = x;
    in[1] = top;
    e = exp_of_rest(b, sx_sub(b->sx, at, sx_operand(b, 1, top, rank, dims)));
    Acc a = {.monoid = MONOID_SUM, .dtype = acc, .body = e};
    sum = build_reduce(b, "sum_exp", 2, in, rank, dims, 1, reduce, order_of_reduce(rank, mask), a,
                       acc, is_log(n) ? sx_log(b->sx, sx_acc(b->sx, 0, acc)) : NULL);
    if (!sum) return NULL;
    in[2] = sum;
    y = sx_sub(b->sx, sx_compute(b, sx_operand(b, 0, x, rank, x->type.dim)),
               sx_operand(b, 1, top, rank, x->type.dim));
    e = sx_operand(b, 2, sum, rank, x->type.dim);
    y = is_log(n) ? sx_sub(b->sx, y, e) : sx_div(b->sx, exp_of_rest(b, y), e);
    return build_map(b, n->op->name, 3, in, t, rank, x->type.dim, sx_cast(b->sx, y, t));
}

static Status lower_softmax(Build *b, const Node *n, Value **out)
{
    Value *x = n->in[0];
    int axis = 0, rank = x->type.rank;

    if (rank == 0) {
        out[0] = build_scalar(b, x->type.dtype, is_log(n) ? 0 : 1);
        return b->status;
    }
    TRY(infer_axis(n, b->diag, "axis", attr_int(n, "axis", -1), rank, &axis));
    out[0] = axis == rank - 1 ? softmax_rows(b, n, x) : softmax_axis(b, n, x, axis);
    return b->status;
}

static Status lower_hardmax(Build *b, const Node *n, Value **out)
{
    Value *x = n->in[0], *top, *in[1];
    int axis, rank = x->type.rank;

    if (rank == 0) {
        out[0] = build_scalar(b, x->type.dtype, 1);
        return b->status;
    }
    TRY(infer_axis(n, b->diag, "axis", attr_int(n, "axis", -1), rank, &axis));
    top = make_axis(b, "ArgMax", x, axis);
    if (!top) return b->status;
    in[0] = top;
    const Sx *hit = sx_eq(b->sx, sx_index(b->sx, axis), sx_operand(b, 0, top, rank, x->type.dim));
    out[0] = build_map(b, "hardmax", 1, in, x->type.dtype, rank, x->type.dim,
                       sx_select(b->sx, hit, sx_const(b->sx, x->type.dtype, 1),
                                 sx_const(b->sx, x->type.dtype, 0)));
    return b->status;
}

static void eval_softmax_row(const Node *n, const Tensor *x, Tensor *y, int64_t base, int64_t step,
                             int64_t count)
{
    double top = tensor_double(x, base), sum = 0;
    int64_t best = 0;
    char kind = n->op->name[0]; /* S, L, H */

    for (int64_t i = 1; i < count; i++) {
        double v = tensor_double(x, base + i * step);
        if (v > top || (v != v && top == top)) { /* the first NaN is the greatest, as of ArgMax */
            top = v;
            best = i;
        }
    }
    for (int64_t i = 0; i < count; i++)
        sum += mathd_exp(tensor_double(x, base + i * step) - top);
    for (int64_t i = 0; i < count; i++) {
        double v = tensor_double(x, base + i * step) - top;
        v = kind == 'H' ? i == best : kind == 'L' ? v - mathd_log(sum) : mathd_exp(v) / sum;
        tensor_set_double(y, base + i * step, v);
    }
}

static Status eval_softmax(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    const Tensor *x = in[0];
    int axis = 0;
    int64_t outer = 1, inner = 1, count = 1;

    TRY(eval_out(cx, n, &out[0], x->dtype, x->rank, x->dim));
    if (x->rank) TRY(infer_axis(n, cx->diag, "axis", attr_int(n, "axis", -1), x->rank, &axis));
    for (int i = 0; i < x->rank; i++) {
        if (i < axis) outer *= x->dim[i];
        if (i == axis) count = x->dim[i];
        if (i > axis) inner *= x->dim[i];
    }
    for (int64_t o = 0; o < outer && x->count; o++)
        for (int64_t i = 0; i < inner; i++)
            eval_softmax_row(n, x, out[0], o * count * inner + i, inner, count);
    return OK;
}

#define SOFTMAX_ROW(op, lower_, derive_)                                                           \
    {                                                                                              \
        .name = op, .since = 13, .about = "along an axis", ROW_IN({"X", T_FLOAT, "T"}),            \
        ROW_OUT({"Y", T_FLOAT, "T"}), ROW_ATTRS(ATTR_I("axis", -1)), .traits = OP_PURE,            \
        .infer = infer_softmax, .eval = eval_softmax, .derive = derive_, .lower = lower_           \
    }

const OpDef softmax_ops[] = {
    SOFTMAX_ROW("Softmax", lower_softmax, derive_softmax),
    SOFTMAX_ROW("LogSoftmax", lower_softmax, NULL),
    SOFTMAX_ROW("Hardmax", lower_hardmax, NULL),
    {0},
};
