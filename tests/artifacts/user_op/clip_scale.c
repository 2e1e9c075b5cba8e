/* clip_scale.c: operators of a user for user_op.py, and the example of docs/USER_OPERATORS.md.
 *
 *     my.domain:ClipScale   y = scale * min(max(x, low), high)
 *     my.domain:EveryNth    every n-th element of a vector, and how many there are */
#include <ingot/ingot_op.h>
#include <string.h>

static int64_t elements(const ingot_tensor *t)
{
    int64_t n = 1;

    for (int32_t i = 0; i < t->rank; i++)
        n *= t->dims[i];
    return n;
}

/* ---- ClipScale ---- */

static int32_t same_shape(const ingot_op *op)
{
    memcpy(op->out[0].dims, op->in[0].dims, sizeof op->in[0].dims);
    return INGOT_OK;
}

static int32_t clip_scale(const ingot_op *op)
{
    const float *x = op->in[0].data;
    float *y = op->out[0].data;
    float scale = (float)ingot_op_float(op, "scale", 1);
    int64_t n_range;
    const double *range = ingot_op_floats(op, "range", &n_range);

    if (op->in[0].dtype != INGOT_F32) return ingot_op_fail(op, "ClipScale: takes f32");
    if (n_range != 2) return ingot_op_fail(op, "ClipScale: range needs two numbers");
    for (int64_t i = 0; i < elements(&op->in[0]); i++) {
        float v = x[i] < (float)range[0] ? (float)range[0] : x[i];
        y[i] = scale * (v > (float)range[1] ? (float)range[1] : v);
    }
    return INGOT_OK;
}

INGOT_OPERATOR(ClipScale, same_shape, clip_scale)

/* ---- EveryNth: the number of elements comes from an input ---- */

static int32_t nth_shape(const ingot_op *op)
{
    int64_t n = *(const int64_t *)op->in[1].data;

    if (n < 1) return ingot_op_fail(op, "EveryNth: n must be at least 1");
    op->out[0].dims[0] = (op->in[0].dims[0] + n - 1) / n;
    return INGOT_OK;
}

static int32_t nth(const ingot_op *op)
{
    int64_t n = *(const int64_t *)op->in[1].data;
    const char *how = ingot_op_string(op, "from", "start");
    int64_t first = strcmp(how, "end") == 0 ? (op->in[0].dims[0] - 1) % n : 0;

    for (int64_t i = 0; i < op->out[0].dims[0]; i++)
        ((float *)op->out[0].data)[i] = ((const float *)op->in[0].data)[first + i * n];
    *(int64_t *)op->out[1].data = op->out[0].dims[0];
    return INGOT_OK;
}

INGOT_OPERATOR(EveryNth, nth_shape, nth)
