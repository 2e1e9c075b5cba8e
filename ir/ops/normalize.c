/* normalize.c: the normalisations by moments or norms of the input itself.
 *
 * What works along trailing axes is one kernel of several stages (rows.h). Softmax is in softmax.c,
 * BatchNormalization in batch_norm.c. */
#include <string.h>

#include "ir/mathd.h"
#include "ir/ops/axes.h"
#include "ir/ops/ops_common.h"
#include "ir/ops/rows.h"

/* ---- LayerNormalization, RMSNormalization, InstanceNormalization, GroupNormalization ---- */

/* mean, 1/sqrt(variance + epsilon); both kept local unless a result number is given. */
static void rows_moments(Rows *r, double epsilon, int mean_result, int inv_result)
{
    SxTable *t = r->b->sx;
    const Sx *d, *v;

    rows_reduce(r, MONOID_SUM, rows_x(r, AT_REDUCED), sx_div(t, rows_acc(r), rows_count(r)),
                mean_result);
    d = sx_sub(t, rows_x(r, AT_REDUCED), rows_stat(r, 0));
    v = sx_add(t, sx_div(t, rows_acc(r), rows_count(r)), sx_const(t, r->acc, epsilon));
    v = sx_div(t, sx_const(t, r->acc, 1), sx_sqrt(t, v));
    rows_reduce(r, MONOID_SUM, sx_mul(t, d, d), v, inv_result);
}

static const Sx *rows_centred(const Rows *r)
{
    SxTable *t = r->b->sx;

    return sx_mul(t, sx_sub(t, rows_x(r, AT_POINT), rows_stat(r, 0)), rows_stat(r, 1));
}

static const Sx *scale_shift(Build *b, const Sx *v, const Sx *scale, const Sx *shift)
{
    if (scale) v = sx_mul(b->sx, v, sx_cast(b->sx, scale, v->dtype));
    if (shift) v = sx_add(b->sx, v, sx_cast(b->sx, shift, v->dtype));
    return v;
}

static Status norm_axis(const Node *n, Diag *d, int *axis)
{
    if (in_type(n, 0)->rank == RANK_UNKNOWN)
        return op_unsupported(n, d, "an operand of unknown rank");
    return infer_axis(n, d, "axis", attr_int(n, "axis", -1), in_type(n, 0)->rank, axis);
}

static Status infer_layer_norm(Infer *cx, Node *n)
{
    const Type *x = in_type(n, 0);
    Dim stat[MAX_RANK];
    int axis;

    TRY(norm_axis(n, cx->diag, &axis));
    for (int i = 0; i < x->rank; i++)
        stat[i] = i < axis ? x->dim[i] : dim_const(&cx->module->dims, 1);
    for (int k = 1; k < 3; k++)
        TRY(infer_broadcasts_to(cx, n, k, x));
    infer_same(cx, n, 0, 0);
    DType s = compute_dtype(x->dtype);
    infer_out(cx, n, 1, s, x->rank, stat);
    infer_out(cx, n, 2, s, x->rank, stat);
    return OK;
}

static Status lower_layer_norm(Build *b, const Node *n, Value **out)
{
    Value *x = n->in[0];
    Rows r;
    int axis, n_result = 1, result[3] = {0, -1, -1};
    Type types[3] = {x->type};
    const Sx *scale, *shift = NULL;
    Node *k;

    TRY(norm_axis(n, b->diag, &axis));
    rows_start(b, x, axis, &r);
    for (int i = 1; i < 3; i++)
        if (has_out(n, i)) {
            types[n_result] = n->out[i]->type;
            result[i] = n_result++;
        }
    rows_moments(&r, attr_float(n, "epsilon", 1e-5), result[1], result[2]);
    scale = sx_operand(b, 1, n->in[1], r.rank, r.full);
    if (has_in(n, 2)) shift = sx_operand(b, 2, n->in[2], r.rank, r.full);
    const Sx *y = scale_shift(b, rows_centred(&r), scale, shift);
    rows_map(&r, sx_cast(b->sx, y, x->type.dtype), 0);
    k = rows_finish(&r, "layernorm", has_in(n, 2) ? 3 : 2, n->in, n_result, types);
    for (int i = 0; k && i < 3; i++)
        if (has_out(n, i)) out[i] = k->out[result[i]];
    return b->status;
}

static Status infer_rms_norm(Infer *cx, Node *n)
{
    int axis;

    TRY(norm_axis(n, cx->diag, &axis));
    TRY(infer_broadcasts_to(cx, n, 1, in_type(n, 0)));
    infer_same(cx, n, 0, 0);
    return OK;
}

static Status lower_rms_norm(Build *b, const Node *n, Value **out)
{
    Value *x = n->in[0];
    SxTable *t = b->sx;
    Rows r;
    int axis;
    const Sx *v, *y;
    Node *k;

    TRY(norm_axis(n, b->diag, &axis));
    rows_start(b, x, axis, &r);
    v = sx_add(t, sx_div(t, rows_acc(&r), rows_count(&r)),
               sx_const(t, r.acc, attr_float(n, "epsilon", 1e-5)));
    v = sx_div(t, sx_const(t, r.acc, 1), sx_sqrt(t, v));
    rows_reduce(&r, MONOID_SUM, sx_mul(t, rows_x(&r, AT_REDUCED), rows_x(&r, AT_REDUCED)), v, -1);
    y = sx_mul(t, rows_x(&r, AT_POINT), rows_stat(&r, 0));
    y = scale_shift(b, y, sx_operand(b, 1, n->in[1], r.rank, r.full), NULL);
    rows_map(&r, sx_cast(t, y, x->type.dtype), 0);
    k = rows_finish(&r, "rmsnorm", 2, n->in, 1, &x->type);
    if (k) out[0] = k->out[0];
    return b->status;
}

static Status infer_channel_norm(Infer *cx, Node *n)
{
    if (in_type(n, 0)->rank == RANK_UNKNOWN || in_type(n, 0)->rank < 2)
        return op_error(n, cx->diag, NULL, "%s: the input needs a batch and channels",
                        node_op_name(n));
    for (int k = 1; k < 3; k++)
        TRY(infer_vector(cx, n, k, in_type(n, 0)->dim[1]));
    infer_same(cx, n, 0, 0);
    return OK;
}

static Status lower_instance_norm(Build *b, const Node *n, Value **out)
{
    Value *x = n->in[0];
    Rows r;
    const Sx *c = sx_index(b->sx, 1), *y;
    Node *k;

    rows_start(b, x, 2, &r);
    rows_moments(&r, attr_float(n, "epsilon", 1e-5), -1, -1);
    y = scale_shift(b, rows_centred(&r), sx_at(b, 1, n->in[1], &c), sx_at(b, 2, n->in[2], &c));
    rows_map(&r, sx_cast(b->sx, y, x->type.dtype), 0);
    k = rows_finish(&r, "instancenorm", 3, n->in, 1, &x->type);
    if (k) out[0] = k->out[0];
    return b->status;
}

/* [N, C, ...] as [N, G, C/G, ...]: one row for each group. */
static Status lower_group_norm(Build *b, const Node *n, Value **out)
{
    Value *x = n->in[0], *in[3];
    int64_t groups = attr_int(n, "num_groups", 1);
    Dim dims[MAX_RANK];
    Rows r;
    const Sx *c, *y;
    Node *k;

    if (groups < 1 || x->type.rank >= MAX_RANK ||
        (dim_is_const(x->type.dim[1]) && x->type.dim[1]->value % groups))
        return op_error(n, b->diag, "num_groups",
                        "GroupNormalization: %lld does not divide channels", (long long)groups);
    dims[0] = x->type.dim[0];
    dims[1] = dim_const(b->dims, groups);
    dims[2] = dim_div(b->dims, x->type.dim[1], dims[1]);
    memcpy(dims + 3, x->type.dim + 2, sizeof(Dim) * (size_t)(x->type.rank - 2));
    in[0] = build_reshape(b, x, x->type.rank + 1, dims);
    in[1] = n->in[1];
    in[2] = n->in[2];
    if (!in[0]) return b->status;
    rows_start(b, in[0], 2, &r);
    rows_moments(&r, attr_float(n, "epsilon", 1e-5), -1, -1);
    c = sx_add(b->sx, sx_mul(b->sx, sx_index(b->sx, 1), sx_dim(b->sx, dims[2])),
               sx_index(b->sx, 2));
    y = scale_shift(b, rows_centred(&r), sx_at(b, 1, in[1], &c), sx_at(b, 2, in[2], &c));
    rows_map(&r, sx_cast(b->sx, y, x->type.dtype), 0);
    k = rows_finish(&r, "groupnorm", 3, in, 1, &in[0]->type);
    if (k) out[0] = build_reshape(b, k->out[0], x->type.rank, x->type.dim);
    return b->status;
}

/* ---- evaluation of one normalised run of elements ---- */

typedef struct Moments {
    double mean, inv;
} Moments;

static Moments moments_of(const Tensor *x, int64_t at, int64_t count, double epsilon, bool centre)
{
    double mean = 0, var = 0;

    for (int64_t i = 0; i < count && centre; i++)
        mean += tensor_double(x, at + i);
    if (centre) mean /= (double)count;
    for (int64_t i = 0; i < count; i++) {
        double v = tensor_double(x, at + i) - mean;
        var += v * v;
    }
    return (Moments){mean, 1 / __builtin_sqrt(var / (double)count + epsilon)};
}

static Status eval_last_axes_norm(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out,
                                  bool centre)
{
    const Tensor *x = in[0];
    int64_t stride[2][MAX_RANK], outer = 1, count = 1, dims[MAX_RANK], index[MAX_RANK] = {0};
    int axis;

    TRY(infer_axis(n, cx->diag, "axis", attr_int(n, "axis", -1), x->rank, &axis));
    for (int i = 0; i < x->rank; i++) {
        dims[i] = i < axis ? x->dim[i] : 1;
        if (i < axis)
            outer *= x->dim[i];
        else
            count *= x->dim[i];
    }
    TRY(eval_out(cx, n, &out[0], x->dtype, x->rank, x->dim));
    for (int k = 1; k < 3; k++)
        if (has_out(n, k)) TRY(eval_out(cx, n, &out[k], n->out[k]->type.dtype, x->rank, dims));
    for (int k = 0; k < 2; k++)
        if (n->n_in > k + 1 && in[k + 1]) eval_broadcast_strides(in[k + 1], x->rank, stride[k]);
    for (int64_t o = 0; o < outer; o++) {
        Moments m = moments_of(x, o * count, count, attr_float(n, "epsilon", 1e-5), centre);
        if (has_out(n, 1)) tensor_set_double(out[1], o, m.mean);
        if (has_out(n, 2)) tensor_set_double(out[2], o, m.inv);
        for (int64_t i = 0; i < count; i++, eval_next(x->rank, x->dim, index)) {
            double v = (tensor_double(x, o * count + i) - m.mean) * m.inv;
            int64_t at[2] = {0};
            for (int k = 0; k < 2; k++)
                for (int q = 0; q < x->rank && n->n_in > k + 1 && in[k + 1]; q++)
                    at[k] += index[q] * stride[k][q];
            v *= tensor_double(in[1], at[0]);
            if (n->n_in > 2 && in[2]) v += tensor_double(in[2], at[1]);
            tensor_set_double(out[0], o * count + i, v);
        }
    }
    return OK;
}

static Status eval_layer_norm(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    return eval_last_axes_norm(cx, n, in, out, true);
}

static Status eval_rms_norm(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    return eval_last_axes_norm(cx, n, in, out, false);
}

/* Groups of channels of [N, C, ...]; instance normalisation has one channel a group. */
static Status eval_groups(Eval *cx, const Node *n, const Tensor *const *in, int64_t groups,
                          Tensor **out)
{
    const Tensor *x = in[0];
    int64_t plane = 1, channels = x->dim[1], count;

    if (groups < 1 || channels % groups)
        return op_error(n, cx->diag, "num_groups", "%s: %lld does not divide %lld channels",
                        node_op_name(n), (long long)groups, (long long)channels);
    if (in[1]->count != channels || in[2]->count != channels)
        return op_error(n, cx->diag, "scale", "%s: scale and bias need %lld elements",
                        node_op_name(n), (long long)channels);
    for (int i = 2; i < x->rank; i++)
        plane *= x->dim[i];
    count = channels / groups * plane;
    TRY(eval_out(cx, n, &out[0], x->dtype, x->rank, x->dim));
    for (int64_t o = 0; o < x->dim[0] * groups; o++) {
        Moments m = moments_of(x, o * count, count, attr_float(n, "epsilon", 1e-5), true);
        for (int64_t i = 0; i < count; i++) {
            int64_t c = (o % groups * count + i) / plane;
            double v = (tensor_double(x, o * count + i) - m.mean) * m.inv;
            tensor_set_double(out[0], o * count + i,
                              v * tensor_double(in[1], c) + tensor_double(in[2], c));
        }
    }
    return OK;
}

static Status eval_instance_norm(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    return eval_groups(cx, n, in, in[0]->dim[1], out);
}

static Status eval_group_norm(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    return eval_groups(cx, n, in, attr_int(n, "num_groups", 1), out);
}

/* ---- MeanVarianceNormalization, LpNormalization, LRN ---- */

static Status mvn_mask(const Node *n, Diag *d, int rank, uint32_t *mask)
{
    int count, axis;
    const int64_t *axes = attr_ints(n, "axes", &count);
    static const int64_t usual[] = {0, 2, 3};

    if (!axes) {
        axes = usual;
        count = 3;
    }
    *mask = 0;
    for (int i = 0; i < count; i++) {
        TRY(infer_axis(n, d, "axes", axes[i], rank, &axis));
        *mask |= 1u << axis;
    }
    return OK;
}

static Status infer_mvn(Infer *cx, Node *n)
{
    uint32_t mask;

    if (in_type(n, 0)->rank == RANK_UNKNOWN)
        return op_unsupported(n, cx->diag, "an operand of unknown rank");
    TRY(mvn_mask(n, cx->diag, in_type(n, 0)->rank, &mask));
    infer_same(cx, n, 0, 0);
    return OK;
}

/* (x - mean) / (sqrt(E[(x - mean)^2]) + 1e-9) */
static Status lower_mvn(Build *b, const Node *n, Value **out)
{
    Value *x = n->in[0], *in[3];
    int rank = x->type.rank;
    DType acc = compute_dtype(x->type.dtype);
    SxTable *s = b->sx;
    uint32_t mask;
    Dim dims[MAX_RANK], reduce[MAX_RANK];
    const Sx *e, *v, *count;

    TRY(mvn_mask(n, b->diag, rank, &mask));
    count = sx_cast(s, sx_dim(s, axes_count(b->dims, &x->type, mask)), acc);
    e = sx_cast(s, axes_operand(b, 0, x, mask, true, rank), acc);
    v = sx_div(s, sx_acc(s, 0, acc), count);
    in[0] = x;
    in[1] = axes_reduce(b, "mean", x, mask, true, MONOID_SUM, e, acc, acc, v);
    if (!in[1]) return b->status;
    axes_result(b->dims, &x->type, mask, true, dims);
    int k = axes_reduced(&x->type, mask, reduce);
    e = sx_sub(s, e, sx_operand(b, 1, in[1], rank, dims));
    Acc a = {.monoid = MONOID_SUM, .dtype = acc, .body = sx_mul(s, e, e)};
    v = sx_add(s, sx_sqrt(s, v), sx_const(s, acc, 1e-9));
    in[2] = build_reduce(b, "deviation", 2, in, rank, dims, k, reduce, order_of_reduce(rank, mask),
                         a, acc, v);
    if (!in[2]) return b->status;
    e = sx_sub(s, sx_compute(b, sx_operand(b, 0, x, rank, x->type.dim)),
               sx_operand(b, 1, in[1], rank, x->type.dim));
    e = sx_div(s, e, sx_operand(b, 2, in[2], rank, x->type.dim));
    out[0] =
        build_map(b, "mvn", 3, in, x->type.dtype, rank, x->type.dim, sx_cast(s, e, x->type.dtype));
    return b->status;
}

static Status eval_mvn(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    uint32_t mask;
    AxesEval w;
    int64_t o[MAX_RANK] = {0};

    TRY(mvn_mask(n, cx->diag, in[0]->rank, &mask));
    axes_eval_start(in[0], mask, &w);
    TRY(eval_out(cx, n, &out[0], in[0]->dtype, in[0]->rank, in[0]->dim));
    if (!out[0]->count) return OK;
    do {
        int64_t i[MAX_RANK] = {0};
        double mean = 0, var = 0;
        do
            mean += tensor_double(in[0], axes_eval_at(&w, o, i));
        while (eval_next(w.rank, w.inner, i));
        mean /= (double)w.count;
        do {
            double d = tensor_double(in[0], axes_eval_at(&w, o, i)) - mean;
            var += d * d;
        } while (eval_next(w.rank, w.inner, i));
        do {
            int64_t at = axes_eval_at(&w, o, i);
            tensor_set_double(out[0], at,
                              (tensor_double(in[0], at) - mean) /
                                  (__builtin_sqrt(var / (double)w.count) + 1e-9));
        } while (eval_next(w.rank, w.inner, i));
    } while (eval_next(w.rank, w.outer, o));
    return OK;
}

static Status infer_lp_norm(Infer *cx, Node *n)
{
    int axis;

    TRY(norm_axis(n, cx->diag, &axis));
    infer_same(cx, n, 0, 0);
    return OK;
}

static Status lower_lp_norm(Build *b, const Node *n, Value **out)
{
    Value *x = n->in[0], *in[2];
    int axis, rank = x->type.rank;
    bool one = attr_int(n, "p", 2) == 1;
    DType acc = compute_dtype(x->type.dtype);
    SxTable *s = b->sx;
    const Sx *e, *v = sx_acc(s, 0, acc), *zero = sx_const(s, acc, 0);

    TRY(norm_axis(n, b->diag, &axis));
    e = sx_cast(s, axes_operand(b, 0, x, 1u << axis, true, rank), acc);
    in[0] = x;
    in[1] = axes_reduce(b, "norm", x, 1u << axis, true, MONOID_SUM,
                        one ? sx_abs(s, e) : sx_mul(s, e, e), acc, acc, one ? v : sx_sqrt(s, v));
    if (!in[1]) return b->status;
    v = sx_operand(b, 1, in[1], rank, x->type.dim);
    e = sx_div(s, sx_compute(b, sx_operand(b, 0, x, rank, x->type.dim)), v);
    e = sx_select(s, sx_eq(s, v, zero), zero, e);
    out[0] = build_map(b, "lpnorm", 2, in, x->type.dtype, rank, x->type.dim,
                       sx_cast(s, e, x->type.dtype));
    return b->status;
}

static Status eval_lp_norm(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    int axis;
    bool one = attr_int(n, "p", 2) == 1;
    AxesEval w;
    int64_t o[MAX_RANK] = {0};

    TRY(infer_axis(n, cx->diag, "axis", attr_int(n, "axis", -1), in[0]->rank, &axis));
    axes_eval_start(in[0], 1u << axis, &w);
    TRY(eval_out(cx, n, &out[0], in[0]->dtype, in[0]->rank, in[0]->dim));
    if (!out[0]->count) return OK;
    do {
        int64_t i[MAX_RANK] = {0};
        double sum = 0;
        do {
            double v = tensor_double(in[0], axes_eval_at(&w, o, i));
            sum += one ? (v < 0 ? -v : v) : v * v;
        } while (eval_next(w.rank, w.inner, i));
        if (!one) sum = __builtin_sqrt(sum);
        do {
            int64_t at = axes_eval_at(&w, o, i);
            tensor_set_double(out[0], at, sum == 0 ? 0 : tensor_double(in[0], at) / sum);
        } while (eval_next(w.rank, w.inner, i));
    } while (eval_next(w.rank, w.outer, o));
    return OK;
}

static Status infer_lrn(Infer *cx, Node *n)
{
    if (in_type(n, 0)->rank == RANK_UNKNOWN || in_type(n, 0)->rank < 2)
        return op_error(n, cx->diag, NULL, "LRN: the input needs a batch and channels");
    if (attr_int(n, "size", 0) < 1) return op_error(n, cx->diag, "size", "LRN: must be positive");
    infer_same(cx, n, 0, 0);
    return OK;
}

/* v^beta, for positive v: by roots where nets ask for those. */
static const Sx *lrn_power(SxTable *s, const Sx *v, double beta)
{
    if (beta == 1) return v;
    if (beta == 0.5) return sx_sqrt(s, v);
    if (beta == 0.75) return sx_mul(s, sx_sqrt(s, v), sx_sqrt(s, sx_sqrt(s, v)));
    return sx_pow(s, v, sx_const(s, v->dtype, beta));
}

/* x / (bias + alpha/size * sum of squares over size channels around)^beta */
static Status lower_lrn(Build *b, const Node *n, Value **out)
{
    Value *x = n->in[0];
    int rank = x->type.rank;
    int64_t size = attr_int(n, "size", 1);
    DType t = x->type.dtype, acc = compute_dtype(t);
    SxTable *s = b->sx;
    Dim reduce = dim_const(b->dims, size), extents[MAX_RANK + 1];
    const Sx *idx[MAX_RANK], *e, *v;

    memcpy(extents, x->type.dim, sizeof(Dim) * (size_t)rank);
    extents[rank] = reduce;
    for (int i = 0; i < rank; i++)
        idx[i] = sx_index(s, i);
    idx[1] = sx_sub(s, sx_add(s, idx[1], sx_index(s, rank)), sx_i64(b, (size - 1) / 2));
    e = sx_compute(
        b, sx_at_guarded(b, 0, x, idx, sx_inside(b, idx[1], x->type.dim[1], rank + 1, extents)));
    Acc a = {.monoid = MONOID_SUM, .dtype = acc, .body = sx_mul(s, e, e)};
    v = sx_mul(s, sx_acc(s, 0, acc), sx_const(s, acc, attr_float(n, "alpha", 1e-4) / (double)size));
    v = sx_add(s, v, sx_const(s, acc, attr_float(n, "bias", 1)));
    v = lrn_power(s, v, attr_float(n, "beta", 0.75));
    v = sx_div(s, sx_compute(b, sx_operand(b, 0, x, rank, x->type.dim)), v);
    out[0] = build_reduce(b, "lrn", 1, &x, rank, x->type.dim, 1, &reduce, ORDER_CHAIN, a, t,
                          sx_cast(s, v, t));
    return b->status;
}

static Status eval_lrn(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    const Tensor *x = in[0];
    int64_t size = attr_int(n, "size", 1), plane = 1, channels = x->dim[1];

    TRY(eval_out(cx, n, &out[0], x->dtype, x->rank, x->dim));
    for (int i = 2; i < x->rank; i++)
        plane *= x->dim[i];
    for (int64_t e = 0; e < x->count; e++) {
        int64_t c = e / plane % channels, before = (size - 1) / 2, after = size - 1 - before;
        double sum = 0;
        for (int64_t q = c > before ? c - before : 0; q < channels && q - c <= after; q++) {
            double v = tensor_double(x, e + (q - c) * plane);
            sum += v * v;
        }
        sum = attr_float(n, "bias", 1) + attr_float(n, "alpha", 1e-4) / (double)size * sum;
        tensor_set_double(out[0], e,
                          tensor_double(x, e) / mathd_pow(sum, attr_float(n, "beta", 0.75)));
    }
    return OK;
}

#define X_TO_Y ROW_IN({"X", T_FLOAT, "T"}), ROW_OUT({"Y", T_FLOAT, "T"})

const OpDef normalize_ops[] = {
    {.name = "LayerNormalization",
     .since = 17,
     .about = "mean 0, variance 1 over the last axes",
     ROW_IN({"X", T_FLOAT, "T"}, {"Scale", T_FLOAT, "T"}, {"B", T_FLOAT, "T", true}),
     ROW_OUT({"Y", T_FLOAT, "T"}, {"Mean", T_FLOAT, "U", true}, {"InvStdDev", T_FLOAT, "U", true}),
     ROW_ATTRS(ATTR_I("axis", -1), ATTR_F("epsilon", 1e-5f), ATTR_I("stash_type", 1)),
     .traits = OP_PURE,
     .infer = infer_layer_norm,
     .eval = eval_layer_norm,
     .lower = lower_layer_norm},
    {.name = "RMSNormalization",
     .since = 23,
     .about = "root mean square 1 over the last axes",
     ROW_IN({"X", T_FLOAT, "T"}, {"scale", T_FLOAT, "V"}),
     ROW_OUT({"Y", T_FLOAT, "V"}),
     ROW_ATTRS(ATTR_I("axis", -1), ATTR_F("epsilon", 1e-5f), ATTR_I("stash_type", 1)),
     .traits = OP_PURE,
     .infer = infer_rms_norm,
     .eval = eval_rms_norm,
     .lower = lower_rms_norm},
    {.name = "InstanceNormalization",
     .since = 22,
     .about = "mean 0, variance 1 over each plane",
     ROW_IN({"input", T_FLOAT, "T"}, {"scale", T_FLOAT, "T"}, {"B", T_FLOAT, "T"}),
     ROW_OUT({"output", T_FLOAT, "T"}),
     ROW_ATTRS(ATTR_F("epsilon", 1e-5f)),
     .traits = OP_PURE,
     .infer = infer_channel_norm,
     .eval = eval_instance_norm,
     .lower = lower_instance_norm},
    {.name = "GroupNormalization",
     .since = 21,
     .about = "mean 0, variance 1 over each group of channels",
     ROW_IN({"X", T_FLOAT, "T"}, {"scale", T_FLOAT, "T"}, {"bias", T_FLOAT, "T"}),
     ROW_OUT({"Y", T_FLOAT, "T"}),
     ROW_ATTRS(ATTR_F("epsilon", 1e-5f), ATTR_REQ("num_groups", ATTR_INT), ATTR_I("stash_type", 1)),
     .traits = OP_PURE,
     .infer = infer_channel_norm,
     .eval = eval_group_norm,
     .lower = lower_group_norm},
    {.name = "MeanVarianceNormalization",
     .since = 13,
     .about = "mean 0, deviation 1 over given axes",
     X_TO_Y,
     ROW_ATTRS(ATTR_OPT("axes", ATTR_INTS)),
     .traits = OP_PURE,
     .infer = infer_mvn,
     .eval = eval_mvn,
     .lower = lower_mvn},
    {.name = "LpNormalization",
     .since = 22,
     .about = "norm 1 along an axis",
     X_TO_Y,
     ROW_ATTRS(ATTR_I("axis", -1), ATTR_I("p", 2)),
     .traits = OP_PURE,
     .infer = infer_lp_norm,
     .eval = eval_lp_norm,
     .lower = lower_lp_norm},
    {.name = "LRN",
     .since = 13,
     .about = "local response normalisation across channels",
     X_TO_Y,
     ROW_ATTRS(ATTR_F("alpha", 1e-4f), ATTR_F("beta", 0.75f), ATTR_F("bias", 1),
               ATTR_REQ("size", ATTR_INT)),
     .traits = OP_PURE,
     .infer = infer_lrn,
     .eval = eval_lrn,
     .lower = lower_lrn},
    {0},
};
