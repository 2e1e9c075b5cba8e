/* batch_norm.c: BatchNormalization, with the moments given or the batch's own; behind a convolution
 * of constant weights it goes into them. */
#include <string.h>

#include "ir/ops/axes.h"
#include "ir/ops/family.h"
#include "ir/ops/ops_common.h"

static Status infer_batch_norm(Infer *cx, Node *n)
{
    const Type *x = in_type(n, 0);

    if (x->rank == RANK_UNKNOWN) return op_unsupported(n, cx->diag, "an operand of unknown rank");
    if (x->rank < 1) return op_error(n, cx->diag, NULL, "BatchNormalization: a scalar input");
    for (int k = 1; k < 5; k++)
        TRY(infer_vector(cx, n, k, x->rank > 1 ? x->dim[1] : dim_const(&cx->module->dims, 1)));
    infer_same(cx, n, 0, 0);
    for (int k = 1; k < 3; k++)
        if (has_out(n, k)) infer_same(cx, n, k, k + 2);
    return OK;
}

static uint32_t all_but_channels(int rank)
{
    return ((1u << rank) - 1) & ~2u;
}

/* Mean or variance over all axes but the channels, dims [C]. */
static Value *batch_moment(Build *b, Value *x, Value *mean)
{
    uint32_t mask = all_but_channels(x->type.rank);
    DType acc = compute_dtype(x->type.dtype);
    Dim count = axes_count(b->dims, &x->type, mask), dims[1], reduce[MAX_RANK];
    Value *in[2] = {x, mean};
    const Sx *v, *e = sx_compute(b, axes_operand(b, 0, x, mask, false, 1)), *c = sx_index(b->sx, 0);

    if (mean) {
        e = sx_sub(b->sx, e, sx_at(b, 1, mean, &c));
        e = sx_mul(b->sx, e, e);
    }
    v = sx_div(b->sx, sx_acc(b->sx, 0, acc), sx_cast(b->sx, sx_dim(b->sx, count), acc));
    if (x->type.rank == 1)
        dims[0] = dim_const(b->dims, 1); /* one channel that has no axis */
    else
        axes_result(b->dims, &x->type, mask, false, dims);
    int n = axes_reduced(&x->type, mask, reduce);
    Acc a = {.monoid = MONOID_SUM, .dtype = acc, .body = e};
    return build_reduce(b, mean ? "variance" : "mean", mean ? 2 : 1, in, 1, dims, n, reduce,
                        order_of_reduce(x->type.rank, mask), a, acc, v);
}

/* running * momentum + now * (1 - momentum) */
static Value *running(Build *b, const Node *n, Value *old, Value *now)
{
    double m = attr_float(n, "momentum", 0.9);
    Value *in[2] = {old, now};
    const Sx *c = sx_index(b->sx, 0), *x = sx_compute(b, sx_at(b, 0, old, &c));
    const Sx *y = sx_cast(b->sx, sx_at(b, 1, now, &c), x->dtype);

    y = sx_add(b->sx, sx_mul(b->sx, x, sx_const(b->sx, x->dtype, m)),
               sx_mul(b->sx, y, sx_const(b->sx, x->dtype, 1 - m)));
    return build_map(b, "running", 2, in, old->type.dtype, 1, old->type.dim,
                     sx_cast(b->sx, y, old->type.dtype));
}

/* y = x * k + shift, with k = scale / sqrt(var + epsilon) and shift = bias - mean * k for each
 * channel. */
static Status lower_batch_norm(Build *b, const Node *n, Value **out)
{
    Value *x = n->in[0], *mean = n->in[3], *var = n->in[4], *k, *shift, *in[4];
    DType t = x->type.dtype, acc = compute_dtype(t);
    SxTable *s = b->sx;
    const Sx *c = sx_index(s, 0), *e;

    if (attr_int(n, "training_mode", 0)) {
        mean = batch_moment(b, x, NULL);
        if (mean) var = batch_moment(b, x, mean);
        if (b->status != OK) return b->status;
        if (has_out(n, 1)) out[1] = running(b, n, n->in[3], mean);
        if (has_out(n, 2)) out[2] = running(b, n, n->in[4], var);
    }
    in[0] = n->in[1];
    in[1] = var;
    e = sx_add(s, sx_cast(s, sx_at(b, 1, var, &c), acc),
               sx_const(s, acc, attr_float(n, "epsilon", 1e-5)));
    e = sx_div(s, sx_cast(s, sx_at(b, 0, in[0], &c), acc), sx_sqrt(s, e));
    k = build_map(b, "bn_scale", 2, in, acc, 1, n->in[1]->type.dim, e);
    if (!k) return b->status;
    in[0] = n->in[2];
    in[1] = mean;
    in[2] = k;
    e = sx_sub(s, sx_cast(s, sx_at(b, 0, in[0], &c), acc),
               sx_mul(s, sx_cast(s, sx_at(b, 1, mean, &c), acc), sx_at(b, 2, k, &c)));
    shift = build_map(b, "bn_shift", 3, in, acc, 1, n->in[1]->type.dim, e);
    if (!shift) return b->status;
    in[0] = x;
    in[1] = k;
    in[2] = shift;
    c = x->type.rank > 1 ? sx_index(s, 1) : sx_i64(b, 0);
    e = sx_compute(b, sx_operand(b, 0, x, x->type.rank, x->type.dim));
    e = sx_add(s, sx_mul(s, e, sx_at(b, 1, k, &c)), sx_at(b, 2, shift, &c));
    out[0] = build_map(b, "batchnorm", 3, in, t, x->type.rank, x->type.dim, sx_cast(s, e, t));
    return b->status;
}

static void batch_moments(const Tensor *x, int64_t c, int64_t channels, int64_t plane, double *mean,
                          double *var)
{
    int64_t batch = x->rank ? x->dim[0] : 1, count = batch * plane;
    double sum = 0;

    for (int64_t o = 0; o < batch; o++)
        for (int64_t i = 0; i < plane; i++)
            sum += tensor_double(x, (o * channels + c) * plane + i);
    *mean = sum / (double)count;
    sum = 0;
    for (int64_t o = 0; o < batch; o++)
        for (int64_t i = 0; i < plane; i++) {
            double d = tensor_double(x, (o * channels + c) * plane + i) - *mean;
            sum += d * d;
        }
    *var = sum / (double)count;
}

static Status eval_batch_norm(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    const Tensor *x = in[0];
    int64_t channels = x->rank > 1 ? x->dim[1] : 1, plane = 1;
    bool training = attr_int(n, "training_mode", 0) != 0;
    double momentum = attr_float(n, "momentum", 0.9);

    for (int k = 1; k < 5; k++)
        if (in[k]->count != channels)
            return op_error(n, cx->diag, NULL,
                            "BatchNormalization: input %d has %lld elements, "
                            "expected %lld",
                            k, (long long)in[k]->count, (long long)channels);
    for (int i = 2; i < x->rank; i++)
        plane *= x->dim[i];
    TRY(eval_out(cx, n, &out[0], x->dtype, x->rank, x->dim));
    for (int k = 1; k < 3; k++)
        if (has_out(n, k))
            TRY(eval_out(cx, n, &out[k], in[k + 2]->dtype, in[k + 2]->rank, in[k + 2]->dim));
    for (int64_t c = 0; c < channels && x->count; c++) {
        double mean = tensor_double(in[3], c), var = tensor_double(in[4], c);
        if (training) {
            double old_mean = mean, old_var = var;
            batch_moments(x, c, channels, plane, &mean, &var);
            if (has_out(n, 1))
                tensor_set_double(out[1], c, old_mean * momentum + mean * (1 - momentum));
            if (has_out(n, 2))
                tensor_set_double(out[2], c, old_var * momentum + var * (1 - momentum));
        }
        double k = tensor_double(in[1], c) / __builtin_sqrt(var + attr_float(n, "epsilon", 1e-5));
        for (int64_t o = 0; o < x->count / (channels * plane); o++)
            for (int64_t i = 0; i < plane; i++) {
                int64_t at = (o * channels + c) * plane + i;
                tensor_set_double(out[0], at,
                                  (tensor_double(x, at) - mean) * k + tensor_double(in[2], c));
            }
    }
    return OK;
}

/* to[i] = from[i] * k for n elements from `at` on, in double, rounded once. */
static void scale_run(Tensor *to, const Tensor *from, int64_t at, int64_t n, double k)
{
    const char *f = tensor_at(from, at);
    char *t = tensor_at(to, at);
    float v;

    if (from->dtype == DT_F32) {
        for (int64_t i = 0; i < n; i++) {
            memcpy(&v, f + i * 4, sizeof v);
            v = (float)(v * k);
            memcpy(t + i * 4, &v, sizeof v);
        }
        return;
    }
    for (int64_t i = at; i < at + n; i++)
        tensor_set_double(to, i, tensor_double(from, i) * k);
}

/* Behind a convolution with constant weights that nobody else reads: into the weights and bias, in
 * double. */
static void simplify_batch_norm(Build *b, Node *n, Value **v)
{
    Node *conv = n->in[0]->def;
    const Tensor *w, *bias;
    Tensor *new_w, *new_b;
    int64_t per;

    if (!conv || conv->kind != NODE_OP || conv->op != op_find(NULL, "Conv")) return;
    if (n->in[0]->uses != 1 || attr_int(n, "training_mode", 0) || !conv->in[1]->data) return;
    for (int k = 1; k < 5; k++)
        if (!n->in[k]->data) return;
    w = conv->in[1]->data;
    bias = has_in(conv, 2) ? conv->in[2]->data : NULL;
    if (has_in(conv, 2) && !bias) return;
    new_w = tensor_new(b->module->arena, w->dtype, w->rank, w->dim);
    new_b = tensor_new(b->module->arena, w->dtype, 1, w->dim);
    if (!new_w || !new_b || !w->dim[0] || n->in[1]->data->count != w->dim[0]) return;
    per = w->count / w->dim[0];
    for (int64_t c = 0; c < w->dim[0]; c++) {
        double k =
            tensor_double(n->in[1]->data, c) /
            __builtin_sqrt(tensor_double(n->in[4]->data, c) + attr_float(n, "epsilon", 1e-5));
        double old = bias ? tensor_double(bias, c) : 0;
        scale_run(new_w, w, c * per, per, k);
        tensor_set_double(new_b, c,
                          (old - tensor_double(n->in[3]->data, c)) * k +
                              tensor_double(n->in[2]->data, c));
    }
    Value *in[3] = {conv->in[0], build_tensor(b, new_w), build_tensor(b, new_b)};
    v[0] = build_op(b, "Conv", 3, in, conv->n_attr, conv->attr);
    if (v[0]) node_add_origin(v[0]->def, conv->origin);
}

const OpDef batch_norm_ops[] = {
    {.name = "BatchNormalization",
     .since = 15,
     .about = "each channel by given, or the batch's, mean and variance",
     ROW_IN({"X", T_FLOAT, "T"}, {"scale", T_FLOAT, "T1"}, {"B", T_FLOAT, "T1"},
            {"input_mean", T_FLOAT, "T2"}, {"input_var", T_FLOAT, "T2"}),
     ROW_OUT({"Y", T_FLOAT, "T"}, {"running_mean", T_FLOAT, "T2", true},
             {"running_var", T_FLOAT, "T2", true}),
     ROW_ATTRS(ATTR_F("epsilon", 1e-5f), ATTR_F("momentum", 0.9f), ATTR_I("training_mode", 0)),
     .traits = OP_PURE,
     .infer = infer_batch_norm,
     .eval = eval_batch_norm,
     .simplify = simplify_batch_norm,
     .lower = lower_batch_norm},
    {0},
};
