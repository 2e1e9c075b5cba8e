/* matrix.c: determinant and inverse of square matrices, by elimination with the largest pivot of
 * each column. Every step depends on data: a call of the runtime (rt_call_det.c,
 * rt_call_inverse.c). */
#include <math.h>

#include "ir/ops/compose.h"
#include "ir/ops/ops_common.h"

static Status infer_square(Infer *cx, Node *n, int drop)
{
    const Type *x = in_type(n, 0);

    TRY(infer_ranked(cx, n, 0));
    if (x->rank < 2)
        return op_error(n, cx->diag, "X", "%s: rank %d, expected at least 2", n->op->name, x->rank);
    Dim rows = x->dim[x->rank - 2], columns = x->dim[x->rank - 1];
    if (dim_is_const(rows) && dim_is_const(columns) && rows != columns)
        return op_error(n, cx->diag, "X", "%s: matrices of %lld by %lld, expected square ones",
                        n->op->name, (long long)rows->value, (long long)columns->value);
    infer_out(cx, n, 0, x->dtype, x->rank - drop, x->dim);
    return OK;
}

static Status infer_det(Infer *cx, Node *n)
{
    return infer_square(cx, n, 2);
}

static Status infer_inverse(Infer *cx, Node *n)
{
    return infer_square(cx, n, 0);
}

/* ---- evaluation ---- */

/* a[size][width] to an upper triangle in its first `size` columns, by Householder's reflections:
 * not the elimination of the runtime, which this judges. The determinant; v[size] is workspace. */
static double reflect(double *a, int64_t size, int64_t width, double *v)
{
    double det = 1;

    for (int64_t c = 0; c < size; c++) {
        double norm = 0, corner = a[c * width + c], length;
        for (int64_t r = c; r < size; r++)
            norm = hypot(norm, v[r] = a[r * width + c]);
        length = corner > 0 ? -norm : norm;
        det *= -length;
        if (norm == 0) continue;
        v[c] -= length;
        for (int64_t k = c; k < width; k++) {
            double along = 0;
            for (int64_t r = c; r < size; r++)
                along += v[r] * a[r * width + k];
            along /= -length * v[c]; /* v v / 2 */
            for (int64_t r = c; r < size; r++)
                a[r * width + k] -= along * v[r];
        }
        a[c * width + c] = length;
    }
    return det;
}

/* The columns behind the triangle divided by it. */
static void substitute(double *a, int64_t size, int64_t width)
{
    for (int64_t k = size; k < width; k++)
        for (int64_t r = size - 1; r >= 0; r--) {
            double sum = a[r * width + k];
            for (int64_t c = r + 1; c < size; c++)
                sum -= a[r * width + c] * a[c * width + k];
            a[r * width + k] = sum / a[r * width + r];
        }
}

static Status eval_matrices(Eval *cx, const Node *n, const Tensor *x, int drop, Tensor **out)
{
    int64_t size, width, count = 1;
    double *a;

    if (x->rank < 2 || x->dim[x->rank - 1] != x->dim[x->rank - 2])
        return op_error(n, cx->diag, "X", "%s: the matrices are not square", n->op->name);
    size = x->dim[x->rank - 1];
    width = drop ? size : 2 * size;
    TRY(eval_out(cx, n, out, x->dtype, x->rank - drop, x->dim));
    for (int i = 0; i < x->rank - 2; i++)
        count *= x->dim[i];
    a = arena_try(cx->arena, (size_t)(size * (width + 1)) + 1, sizeof *a);
    if (!a) return diag(cx->diag, ERR_LIMIT, node_where(n), "%s: no memory", n->op->name);
    for (int64_t m = 0; m < count; m++) {
        for (int64_t r = 0; r < size; r++)
            for (int64_t k = 0; k < width; k++)
                a[r * width + k] =
                    k < size ? tensor_double(x, (m * size + r) * size + k) : k - size == r;
        double det = reflect(a, size, width, a + size * width);
        substitute(a, size, width);
        if (drop) tensor_set_double(*out, m, det);
        for (int64_t r = 0; r < size && !drop; r++)
            for (int64_t k = 0; k < size; k++)
                tensor_set_double(*out, (m * size + r) * size + k, a[r * width + size + k]);
    }
    return OK;
}

static Status eval_det(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    return eval_matrices(cx, n, in[0], 2, &out[0]);
}

static Status eval_inverse(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    return eval_matrices(cx, n, in[0], 0, &out[0]);
}

/* ---- lowering ---- */

/* The second result is workspace: one matrix of f64, for the inverse with the unit matrix beside
 * it. */
static Status lower_matrices(Build *b, const Node *n, const char *call, int64_t wide, Value **out)
{
    const Type *x = in_type(n, 0), *y = &n->out[0]->type;
    Dim size = x->dim[x->rank - 1];
    Dim work[2] = {size, dim_mul(b->dims, size, dim_const(b->dims, wide))};
    DType type = compute_dtype(x->dtype);
    Type types[2] = {type_tensor(type, y->rank, y->dim), type_tensor(DT_F64, 2, work)};
    Value *in = make_cast(b, n->in[0], type);
    Node *node;

    build_require_equal(b, x->dim[x->rank - 2], size);
    node = in ? build_call(b, call, 1, &in, 2, types, 0, NULL, 0, NULL) : NULL;
    if (!node) return b->status;
    out[0] = make_cast(b, node->out[0], x->dtype);
    return b->status;
}

static Status lower_det(Build *b, const Node *n, Value **out)
{
    return lower_matrices(b, n, "det", 1, out);
}

static Status lower_inverse(Build *b, const Node *n, Value **out)
{
    return lower_matrices(b, n, "inverse", 2, out);
}

const OpDef matrix_ops[] = {
    {.name = "Det",
     .since = 22,
     .about = "determinants",
     ROW_IN({"X", T_FLOAT, "T"}),
     ROW_OUT({"Y", T_FLOAT, "T"}),
     .traits = OP_PURE,
     .infer = infer_det,
     .eval = eval_det,
     .lower = lower_det},
    {.name = "Inverse",
     .domain = "com.microsoft",
     .since = 1,
     .about = "inverse matrices",
     ROW_IN({"X", T_FLOAT, "T"}),
     ROW_OUT({"Y", T_FLOAT, "T"}),
     .traits = OP_PURE,
     .infer = infer_inverse,
     .eval = eval_inverse,
     .lower = lower_inverse},
    {0},
};
