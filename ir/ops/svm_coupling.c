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

#include <string.h>

#include "ir/ops/compose.h"

enum { ROUNDS = 100 };

static Value *constant(Build *b, int rank, const int64_t *dims, const double *v)
{
    Tensor *t = tensor_new(b->module->arena, DT_F32, rank, dims);

    if (!t) {
        build_fail(b, diag(b->diag, ERR_LIMIT, (Where){0}, "too many numbers"));
        return NULL;
    }
    for (int64_t i = 0; i < t->count; i++)
        tensor_set_double(t, i, v[i]);
    return build_tensor(b, t);
}

static Value *identity(Build *b, int classes)
{
    double *v = ARENA_ARRAY(b->module->arena, double, classes *classes);

    memset(v, 0, sizeof *v * (size_t)(classes * classes));
    for (int i = 0; i < classes; i++)
        v[i * classes + i] = 1;
    return constant(b, 2, (int64_t[]){classes, classes}, v);
}

/* r: [rows, classes, classes], 0 on the diagonal. */
static Value *both_ways(Build *b, Value *pairs, int classes)
{
    Dim k = dim_const(b->dims, classes), dims[3] = {pairs->type.dim[0], k, k};
    int n = classes * (classes - 1) / 2, square = classes * classes, at = 0;
    double *w = ARENA_ARRAY(b->module->arena, double, n *square);
    double *base = ARENA_ARRAY(b->module->arena, double, square);
    Value *r;

    memset(w, 0, sizeof *w * (size_t)(n * square));
    memset(base, 0, sizeof *base * (size_t)square);
    for (int i = 0; i < classes; i++) {
        for (int j = i + 1; j < classes; j++, at++) {
            w[at * square + i * classes + j] = 1;
            w[at * square + j * classes + i] = -1;
            base[j * classes + i] = 1;
        }
    }
    r = build_op2(b, "MatMul", pairs, constant(b, 2, (int64_t[]){n, square}, w));
    r = make_add(b, r, constant(b, 1, (int64_t[]){square}, base));
    return make_reshape(b, r, 3, dims);
}

static Value *coupling_matrix(Build *b, Value *r, Value *one)
{
    Value *other = r ? build_transpose(b, r, (const int[]){0, 2, 1}) : NULL;
    Value *own = make_unsqueeze(b, make_reduce(b, "ReduceSumSquare", r, 1, false), 2);

    return make_sub(b, make_mul(b, own, one), make_mul(b, other, r));
}

/* A loop of `rounds` with these states; its body is filled by the caller, who adds the results. */
static Node *loop_of(Build *b, int rounds, int n_state, Value *const *state)
{
    Dim count = dim_const(b->dims, rounds);
    Value *in[8] = {build_dims(b, -1, &count), NULL};
    Node *loop;
    Region *r;

    memcpy(in + 2, state, sizeof *state * (size_t)n_state);
    if (b->status != OK) return NULL;
    loop = node_new(b->region, b->before, NODE_LOOP, n_state + 2, in, n_state, b->origin);
    loop->op = op_find(NULL, "Loop");
    r = node_add_region(loop);
    region_add_arg(r, NULL, type_tensor(DT_I64, 0, NULL));
    region_add_arg(r, NULL, type_tensor(DT_BOOL, 0, NULL));
    for (int i = 0; i < n_state; i++) {
        loop->out[i]->type = state[i]->type;
        region_add_arg(r, NULL, state[i]->type);
    }
    return loop;
}

static Value *column(Build *b, Value *v, Value *i)
{
    return make_unsqueeze(b, make_gather(b, v, i, 1), 1);
}

/* p after one step for each class; `qp` = Q p, `pqp` = p Q p. */
static Value *all_classes(Build *b, Value *q, Value *one, int classes, Value *p, Value *qp,
                          Value *pqp)
{
    Node *loop = loop_of(b, classes, 3, (Value *[]){p, qp, pqp});
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
    q = coupling_matrix(b, both_ways(b, pairs, classes), one);
    p = build_map(b, "start", 0, NULL, DT_F32, 2, dims, sx_const(b->sx, DT_F32, 1.0 / classes));
    loop = loop_of(b, ROUNDS, 1, &p);
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
