/* svm_coupling.c: class probabilities from those of the pairs, by Wu, Lin and Weng, "Probability
 * Estimates for Multi-class Classification by Pairwise Coupling" (2004), their second method.
 *
 *     r[i,j]   probability of i against j;  Q[i,i] = sum of r[j,i]^2;  Q[i,j] = -r[j,i] r[i,j]
 *     p = 1 / classes; until |Q p - p Q p| < 0.005 / classes, 100 times at most:
 *         for each class: p[i] += (p Q p - (Q p)[i]) / Q[i,i]; p /= sum(p)
 *
 * Rows go together; one that is done stays as it is. The bound is that of libsvm and ONNX Runtime:
 * it is loose, so that a better solution would be another one. */
#include "ir/ops/svm_coupling.h"

#include "ir/ops/compose.h"

enum { ROUNDS = 100 };

static Value *identity(Build *b, int classes)
{
    SxTable *t = b->sx;
    Dim k = dim_const(b->dims, classes);
    const Sx *same = sx_eq(t, sx_index(t, 0), sx_index(t, 1));

    return build_map(b, "identity", 0, NULL, DT_F32, 2, (Dim[]){k, k},
                     sx_select(t, same, sx_const(t, DT_F32, 1), sx_const(t, DT_F32, 0)));
}

Value *svm_both_ways(Build *b, Value *pairs, int classes)
{
    SxTable *t = b->sx;
    Dim k = dim_const(b->dims, classes), dims[3];
    const Sx *i = sx_index(t, 1), *j = sx_index(t, 2), *low, *high, *at[2], *p, *less;

    if (!pairs) return NULL;
    dims[0] = pairs->type.dim[0];
    dims[1] = dims[2] = k;
    less = sx_lt(t, i, j);
    low = sx_select(t, less, i, j);
    high = sx_select(t, less, j, i);
    /* of pair (0,1), (0,2), ..., (1,2), ...: low (2 k - 1 - low) / 2 + high - low - 1 */
    at[0] = sx_index(t, 0);
    at[1] = sx_mul(t, low, sx_sub(t, sx_i64(b, 2 * (int64_t)classes - 1), low));
    at[1] = sx_add(t, sx_floor_div(t, at[1], sx_i64(b, 2)), sx_sub(t, high, low));
    at[1] = sx_sub(t, at[1], sx_i64(b, 1));
    p = sx_at_guarded(b, 0, pairs, at, sx_op1(t, SX_NOT, sx_eq(t, i, j)));
    p = sx_select(t, less, p, sx_sub(t, sx_const(t, DT_F32, 1), p));
    p = sx_select(t, sx_eq(t, i, j), sx_const(t, DT_F32, 0), p);
    return build_map(b, "pairs", 1, &pairs, DT_F32, 3, dims, p);
}

static Value *coupling_matrix(Build *b, Value *r, Value *one)
{
    Value *other = r ? build_transpose(b, r, (const int[]){0, 2, 1}) : NULL;
    Value *own = make_unsqueeze(b, make_reduce(b, "ReduceSumSquare", r, 1, false), 2);

    return make_sub(b, make_mul(b, own, one), make_mul(b, other, r));
}

static Value *column(Build *b, Value *v, Value *i)
{
    return make_unsqueeze(b, make_gather(b, v, i, 1), 1);
}

/* p after one step for each class; `qp` = Q p, `pqp` = p Q p. */
static Value *all_classes(Build *b, Value *q, Value *one, int classes, Value *p, Value *qp,
                          Value *pqp)
{
    Node *loop = make_loop(b, dim_const(b->dims, classes), 3, (Value *[]){p, qp, pqp}, 0);
    Region *r = loop ? loop->region[0] : NULL;
    Build in;
    Value *i, *row, *self, *own, *step, *sum;

    if (!loop) return NULL;
    in = build_at(r, NULL, b->origin, b->diag);
    i = r->arg[0];
    p = r->arg[2], qp = r->arg[3], pqp = r->arg[4];
    row = make_gather(&in, q, i, 1);
    self = column(&in, row, i);
    own = column(&in, qp, i);
    step = make_div(&in, make_sub(&in, pqp, own), self);
    sum = make_add(&in, step, make_scalar(&in, step, 1));
    p = make_add(&in, p, make_mul(&in, step, make_gather(&in, one, i, 0)));
    own = make_add(&in, make_mul(&in, step, self), make_mul(&in, own, make_scalar(&in, own, 2)));
    pqp = make_add(&in, pqp, make_mul(&in, step, own));
    region_add_result(r, r->arg[1]);
    region_add_result(r, make_div(&in, p, sum));
    region_add_result(r, make_div(&in, make_add(&in, qp, make_mul(&in, step, row)), sum));
    region_add_result(r, make_div(&in, make_div(&in, pqp, sum), sum));
    return build_fail(b, in.status) == OK ? loop->out[0] : NULL;
}

/* Are any rows at work? */
static Value *any(Build *b, Value *active)
{
    Value *most = make_reduce_all(b, "ReduceMax", make_cast(b, active, DT_I32));

    return build_op2(b, "Greater", most, make_scalar(b, most, 0));
}

Value *svm_coupled(Build *b, Value *pairs, int classes)
{
    Dim dims[2] = {pairs ? pairs->type.dim[0] : NULL, dim_const(b->dims, classes)};
    Value *one = identity(b, classes), *q, *p, *qp, *pqp, *error, *active;
    Node *loop;
    Region *r;
    Build in;

    if (b->status != OK) return NULL;
    q = coupling_matrix(b, svm_both_ways(b, pairs, classes), one);
    p = build_map(b, "start", 0, NULL, DT_F32, 2, dims, sx_const(b->sx, DT_F32, 1.0 / classes));
    loop = make_loop(b, dim_const(b->dims, ROUNDS), 1, &p, 0);
    if (!loop) return NULL;
    r = loop->region[0];
    in = build_at(r, NULL, b->origin, b->diag);
    p = r->arg[2];
    qp = make_reduce(&in, "ReduceSum", make_mul(&in, q, make_unsqueeze(&in, p, 1)), 2, false);
    pqp = make_reduce(&in, "ReduceSum", make_mul(&in, p, qp), 1, true);
    error = make_reduce(&in, "ReduceMax", make_unary(&in, "Abs", make_sub(&in, qp, pqp)), 1, true);
    active = build_op2(&in, "Less", error, make_scalar(&in, error, 0.005 / classes));
    active = make_unary(&in, "Not", active);
    region_add_result(r, any(&in, active));
    region_add_result(r, make_where(&in, active, all_classes(&in, q, one, classes, p, qp, pqp), p));
    return build_fail(b, in.status) == OK ? loop->out[0] : NULL;
}
