/* rt_call_user.c: between a compiled model and operators of its user (ingot_op.h).
 *
 * Attributes come as the last input, a constant of 64-bit words that the frontend writes
 * (onnx_user.c): for each attribute its kind, how many elements, how many words of name, the name,
 * the elements; kind 0 at the end. Text is filled up with NULs, one at least. */
#include <string.h>

#include "ingot/ingot_op.h"
#include "runtime/rt.h"
#include "runtime/rt_call.h"

enum { HEAD = 3, INTS = 1, FLOATS = 2, STRING = 3 };

/* ---- attributes ---- */

static int64_t words_of(const int64_t *record)
{
    return record[0] == STRING ? record[1] / 8 + 1 : record[1];
}

/* The elements of an attribute of one of two kinds, or NULL. */
static const int64_t *find(const ingot_op *op, const char *name, int64_t kind, int64_t *n)
{
    const int64_t *at = op->in[op->n_in].data;

    for (; at && at[0]; at += HEAD + at[2] + words_of(at))
        if (at[0] == kind && strcmp((const char *)(at + HEAD), name) == 0) {
            *n = at[1];
            return at + HEAD + at[2];
        }
    *n = 0;
    return NULL;
}

const int64_t *ingot_op_ints(const ingot_op *op, const char *name, int64_t *n)
{
    return find(op, name, INTS, n);
}

const double *ingot_op_floats(const ingot_op *op, const char *name, int64_t *n)
{
    return (const double *)(const void *)find(op, name, FLOATS, n);
}

int64_t ingot_op_int(const ingot_op *op, const char *name, int64_t absent)
{
    int64_t n;
    const int64_t *v = ingot_op_ints(op, name, &n);

    return n > 0 ? v[0] : absent;
}

double ingot_op_float(const ingot_op *op, const char *name, double absent)
{
    int64_t n;
    const double *v = ingot_op_floats(op, name, &n);

    return n > 0 ? v[0] : absent;
}

const char *ingot_op_string(const ingot_op *op, const char *name, const char *absent)
{
    int64_t n;
    const int64_t *v = find(op, name, STRING, &n);

    return v ? (const char *)v : absent;
}

/* ---- the call ---- */

void *ingot_op_scratch(const ingot_op *op, int64_t bytes)
{
    return ingot_rt_bump(op->args->call, bytes);
}

int32_t ingot_op_fail(const ingot_op *op, const char *message)
{
    return ingot_rt_fail(op->args->call, INGOT_ERR_DATA, op->args->origin, message, 0, 0);
}

static int32_t result_of(const ingot_op *op, int32_t code)
{
    if (code == INGOT_OK || op->args->call->error) return code;
    return ingot_rt_fail(op->args->call, INGOT_ERR_DATA, op->args->origin,
                         "the operator failed with status %lld", code, 0);
}

/* Dims as the shape function left them, where the compiler knew them already. */
static int32_t compare(const ingot_call_args *a, const ingot_tensor *got, const ingot_tensor *known)
{
    for (int32_t i = 0; i < known->rank; i++)
        if (got->dims[i] != known->dims[i])
            return ingot_rt_fail(a->call, INGOT_ERR_DATA, a->origin,
                                 "the operator's shape function gave a dim of %lld, expected %lld",
                                 got->dims[i], known->dims[i]);
    return INGOT_OK;
}

static int32_t place(const ingot_call_args *a, int32_t k, const ingot_tensor *shape)
{
    ingot_tensor *y = &a->out[k];
    int64_t n = ingot_rt_elements(y->dtype, shape->rank, shape->dims), bytes;

    if (shape->rank != y->rank)
        return ingot_rt_fail(a->call, INGOT_ERR_DATA, a->origin,
                             "the operator's shape function gave rank %lld, expected %lld",
                             shape->rank, y->rank);
    if (y->data) return compare(a, shape, y);
    if (n < 0 || __builtin_mul_overflow(n, ingot_rt_dtype_size(y->dtype), &bytes))
        return ingot_rt_fail(a->call, INGOT_ERR_DATA, a->origin,
                             "the operator's shape function gave impossible dims", 0, 0);
    memcpy(y->dims, shape->dims, sizeof y->dims);
    y->data = ingot_rt_place(a, k, bytes);
    return y->data || bytes == 0 ? INGOT_OK : INGOT_ERR_LIMIT;
}

int32_t ingot_rt_user_operator(const ingot_call_args *a, ingot_op_fn shape, ingot_op_fn compute)
{
    size_t size = sizeof(ingot_tensor) * (size_t)a->n_out;
    ingot_op op = {.in = a->in, .n_in = a->n_in - 1, .n_out = a->n_out, .args = a};
    int32_t code;

    op.out = ingot_rt_bump(a->call, (int64_t)size);
    if (!op.out) return INGOT_ERR_LIMIT;
    memcpy(op.out, a->out, size);
    for (int32_t k = 0; k < a->n_out; k++)
        op.out[k].data = NULL;
    code = result_of(&op, shape(&op));
    for (int32_t k = 0; k < a->n_out && code == INGOT_OK; k++)
        code = place(a, k, &op.out[k]);
    if (code != INGOT_OK) return code;
    op.out = a->out;
    return result_of(&op, compute(&op));
}
