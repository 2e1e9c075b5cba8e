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

/* Crout's decomposition in place, row by column (not the elimination of the runtime, which this
 * judges): U, and below the diagonal L with ones on its own. row[] says where each row came from.
 * The determinant. */
static double decompose(double *a, int64_t size, int64_t *row)
{
    double det = 1;

    for (int64_t i = 0; i < size; i++)
        row[i] = i;
    for (int64_t c = 0; c < size; c++) {
        int64_t pivot = c, swap;
        for (int64_t r = 0; r < size; r++)
            for (int64_t k = 0; k < r && k < c; k++)
                a[r * size + c] -= a[r * size + k] * a[k * size + c];
        for (int64_t r = c + 1; r < size; r++)
            if (fabs(a[r * size + c]) > fabs(a[pivot * size + c])) pivot = r;
        for (int64_t k = 0; k < size && pivot != c; k++) {
            double held = a[c * size + k];
            a[c * size + k] = a[pivot * size + k];
            a[pivot * size + k] = held;
        }
        swap = row[c], row[c] = row[pivot], row[pivot] = swap;
        det *= pivot == c ? a[c * size + c] : -a[c * size + c];
        for (int64_t r = c + 1; r < size && a[c * size + c] != 0; r++)
            a[r * size + c] /= a[c * size + c];
    }
    return det;
}

/* Column `column` of the inverse: L U x = its unit vector, rows in the order of row[]. */
static void solve(const double *a, int64_t size, const int64_t *row, int64_t column, double *x)
{
    for (int64_t r = 0; r < size; r++) {
        x[r] = row[r] == column;
        for (int64_t k = 0; k < r; k++)
            x[r] -= a[r * size + k] * x[k];
    }
    for (int64_t r = size - 1; r >= 0; r--) {
        for (int64_t k = r + 1; k < size; k++)
            x[r] -= a[r * size + k] * x[k];
        x[r] /= a[r * size + r];
    }
}

typedef struct Square {
    int64_t size, *row;
    double *a, *x; /* [size][size], [size] */
} Square;

static Status square_new(Eval *cx, const Node *n, int64_t size, Square *s)
{
    *s = (Square){.size = size,
                  .row = arena_try(cx->arena, (size_t)size + 1, sizeof *s->row),
                  .a = arena_try(cx->arena, (size_t)(size * size) + 1, sizeof *s->a),
                  .x = arena_try(cx->arena, (size_t)size + 1, sizeof *s->x)};
    if (s->row && s->a && s->x) return OK;
    return diag(cx->diag, ERR_LIMIT, node_where(n), "%s: no memory", n->op->name);
}

static Status eval_matrices(Eval *cx, const Node *n, const Tensor *x, int drop, Tensor **out)
{
    int64_t count = 1, size, all;
    Square s;

    if (x->rank < 2 || x->dim[x->rank - 1] != x->dim[x->rank - 2])
        return op_error(n, cx->diag, "X", "%s: the matrices are not square", n->op->name);
    size = x->dim[x->rank - 1];
    all = size * size;
    TRY(eval_out(cx, n, out, x->dtype, x->rank - drop, x->dim));
    for (int i = 0; i < x->rank - 2; i++)
        count *= x->dim[i];
    TRY(square_new(cx, n, size, &s));
    for (int64_t m = 0; m < count; m++) {
        for (int64_t i = 0; i < all; i++)
            s.a[i] = tensor_double(x, m * all + i);
        double det = decompose(s.a, size, s.row);
        if (drop) tensor_set_double(*out, m, det);
        for (int64_t c = 0; c < size && !drop; c++) {
            solve(s.a, size, s.row, c, s.x);
            for (int64_t r = 0; r < size; r++)
                tensor_set_double(*out, m * all + r * size + c, s.x[r]);
        }
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
     .calls = CALL_BIT(det),
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
     .calls = CALL_BIT(inverse),
     .about = "inverse matrices",
     ROW_IN({"X", T_FLOAT, "T"}),
     ROW_OUT({"Y", T_FLOAT, "T"}),
     .traits = OP_PURE,
     .infer = infer_inverse,
     .eval = eval_inverse,
     .lower = lower_inverse},
    {0},
};
