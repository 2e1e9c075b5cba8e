/* normalize.c: softmax and the normalisations.
 *
 * What works along trailing axes is one kernel of several stages (kernel.h): a row is read, its
 * statistics stay local, and the result is written, so that a row is touched while it is in cache.
 * Statistics are f32 for f16 and bf16. */
#include <string.h>

#include "ir/mathd.h"
#include "ir/ops/axes.h"
#include "ir/ops/family.h"

/* ---- rows: stages over x whose first `axis` dims are outer ---- */

typedef struct Rows {
    Build *b;
    Value *x;
    int axis, rank, n_reduce;
    DType acc;
    Dim stat[MAX_RANK]; /* domain of a statistic: outer dims, then ones */
    Dim full[MAX_RANK];
    Dim reduce[MAX_RANK]; /* the row */
    Dim count;
    Acc acc_of[4];
    StageOut out[4];
    Stage stage[4];
    int n;
} Rows;

static void rows_start(Build *b, Value *x, int axis, Rows *r)
{
    memset(r, 0, sizeof *r);
    r->b = b;
    r->x = x;
    r->axis = axis;
    r->rank = x->type.rank;
    r->acc = compute_dtype(x->type.dtype);
    r->count = dim_const(b->dims, 1);
    for (int i = 0; i < r->rank; i++) {
        r->full[i] = x->type.dim[i];
        r->stat[i] = i < axis ? x->type.dim[i] : dim_const(b->dims, 1);
        if (i < axis) continue;
        r->reduce[r->n_reduce++] = x->type.dim[i];
        r->count = dim_mul(b->dims, r->count, x->type.dim[i]);
    }
}

/* Operand or local at the row's reduction point (reduced), at the domain point, or at the row's
 * statistic. */
typedef enum At { AT_POINT, AT_REDUCED, AT_STAT } At;

static const Sx *rows_load(const Rows *r, int src, DType d, At at)
{
    const Sx *idx[MAX_RANK];

    for (int i = 0; i < r->rank; i++)
        idx[i] = i >= r->axis && at == AT_STAT      ? sx_i64(r->b, 0)
                 : i >= r->axis && at == AT_REDUCED ? sx_index(r->b->sx, r->rank + i - r->axis)
                                                    : sx_index(r->b->sx, i);
    return sx_load(r->b->sx, d, src, r->rank, idx, NULL);
}

static const Sx *rows_x(const Rows *r, At at)
{
    return sx_cast(r->b->sx, rows_load(r, 0, r->x->type.dtype, at), r->acc);
}

static const Sx *rows_stat(const Rows *r, int stage)
{
    return rows_load(r, ~stage, r->acc, AT_STAT);
}

/* A statistic of each row: the accumulation of body, then value of ACC 0. */
static int rows_reduce(Rows *r, Monoid m, const Sx *body, const Sx *value, int result)
{
    int k = r->n++;

    r->acc_of[k] = (Acc){.monoid = m, .dtype = r->acc, .body = body};
    r->out[k] = (StageOut){.dtype = value ? value->dtype : r->acc,
                           .value = value ? value : sx_acc(r->b->sx, 0, r->acc),
                           .result = result};
    r->stage[k] = (Stage){.rank = r->rank,
                          .extent = r->stat,
                          .n_reduce = r->n_reduce,
                          .reduce = r->reduce,
                          .order = ORDER_LANES64,
                          .n_acc = 1,
                          .acc = &r->acc_of[k],
                          .scan_axis = -1,
                          .n_out = 1,
                          .out = &r->out[k]};
    return k;
}

static int rows_map(Rows *r, const Sx *value, int result)
{
    int k = r->n++;

    r->out[k] = (StageOut){.dtype = value->dtype, .value = value, .result = result};
    r->stage[k] =
        (Stage){.rank = r->rank, .extent = r->full, .scan_axis = -1, .n_out = 1, .out = &r->out[k]};
    return k;
}

static const Sx *rows_acc(const Rows *r)
{
    return sx_acc(r->b->sx, 0, r->acc);
}

static const Sx *rows_count(const Rows *r)
{
    return sx_cast(r->b->sx, sx_dim(r->b->sx, r->count), r->acc);
}

static Node *rows_finish(Rows *r, const char *label, int n_in, Value *const *in, int n_result,
                         const Type *types)
{
    if (r->b->status != OK) return NULL;
    return build_rows(r->b, label, n_in, in, r->axis, r->n, r->stage, n_result, types);
}

/* ---- Softmax, LogSoftmax, Hardmax ---- */

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

/* Along the last axis: max; e = exp(x - max), kept; sum of e; e / sum. */
static Value *softmax_rows(Build *b, const Node *n, Value *x)
{
    Rows r;
    DType t = x->type.dtype;
    const Sx *y;
    Node *k;

    rows_start(b, x, x->type.rank - 1, &r);
    int top = rows_reduce(&r, MONOID_MAX, rows_x(&r, AT_REDUCED), NULL, -1);
    if (is_log(n)) {
        const Sx *e = sx_exp(b->sx, sx_sub(b->sx, rows_x(&r, AT_REDUCED), rows_stat(&r, top)));
        int sum = rows_reduce(&r, MONOID_SUM, e, sx_log(b->sx, rows_acc(&r)), -1);
        y = sx_sub(b->sx, sx_sub(b->sx, rows_x(&r, AT_POINT), rows_stat(&r, top)),
                   rows_stat(&r, sum));
    } else {
        int e = rows_map(&r, sx_exp(b->sx, sx_sub(b->sx, rows_x(&r, AT_POINT), rows_stat(&r, top))),
                         -1);
        int sum = rows_reduce(&r, MONOID_SUM, rows_load(&r, ~e, r.acc, AT_REDUCED), NULL, -1);
        y = sx_div(b->sx, rows_load(&r, ~e, r.acc, AT_POINT), rows_stat(&r, sum));
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

    top = axes_reduce(b, "max", x, mask, true, MONOID_MAX, at, acc, acc, NULL);
    if (!top) return NULL;
    axes_result(b->dims, &x->type, mask, true, dims);
    axes_reduced(&x->type, mask, reduce);
    in[0] = x;
    in[1] = top;
    e = sx_exp(b->sx, sx_sub(b->sx, at, sx_operand(b, 1, top, rank, dims)));
    Acc a = {.monoid = MONOID_SUM, .dtype = acc, .body = e};
    sum = build_reduce(b, "sum_exp", 2, in, rank, dims, 1, reduce, order_of_reduce(rank, mask), a,
                       acc, is_log(n) ? sx_log(b->sx, sx_acc(b->sx, 0, acc)) : NULL);
    if (!sum) return NULL;
    in[2] = sum;
    y = sx_sub(b->sx, sx_compute(b, sx_operand(b, 0, x, rank, x->type.dim)),
               sx_operand(b, 1, top, rank, x->type.dim));
    e = sx_operand(b, 2, sum, rank, x->type.dim);
    y = is_log(n) ? sx_sub(b->sx, y, e) : sx_div(b->sx, sx_exp(b->sx, y), e);
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
    top = axes_reduce(b, "argmax", x, 1u << axis, true, MONOID_ARGMAX_FIRST,
                      sx_compute(b, axes_operand(b, 0, x, 1u << axis, true, rank)), DT_I64, DT_I64,
                      NULL);
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

    for (int64_t i = 1; i < count; i++)
        if (tensor_double(x, base + i * step) > top) {
            top = tensor_double(x, base + i * step);
            best = i;
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

/* ---- BatchNormalization ---- */

static Status infer_batch_norm(Infer *cx, Node *n)
{
    const Type *x = in_type(n, 0);

    if (x->rank == RANK_UNKNOWN) return op_unsupported(n, cx->diag, "an operand of unknown rank");
    if (x->rank < 1) return op_error(n, cx->diag, NULL, "BatchNormalization: a scalar input");
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
static Value *simplify_batch_norm(Build *b, Node *n)
{
    Node *conv = n->in[0]->def;
    const Tensor *w, *bias;
    Tensor *new_w, *new_b;
    int64_t per;

    if (!conv || conv->kind != NODE_OP || conv->op != op_find(NULL, "Conv")) return NULL;
    if (n->in[0]->uses != 1 || attr_int(n, "training_mode", 0) || !conv->in[1]->data) return NULL;
    for (int k = 1; k < 5; k++)
        if (!n->in[k]->data) return NULL;
    w = conv->in[1]->data;
    bias = has_in(conv, 2) ? conv->in[2]->data : NULL;
    if (has_in(conv, 2) && !bias) return NULL;
    new_w = tensor_new(b->module->arena, w->dtype, w->rank, w->dim);
    new_b = tensor_new(b->module->arena, w->dtype, 1, w->dim);
    if (!new_w || !new_b || !w->dim[0] || n->in[1]->data->count != w->dim[0]) return NULL;
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
    return build_op(b, "Conv", 3, in, conv->n_attr, conv->attr);
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
    v = sx_pow(s, v, sx_const(s, acc, attr_float(n, "beta", 0.75)));
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
        int64_t c = e / plane % channels;
        double sum = 0;
        for (int64_t r = 0; r < size; r++) {
            int64_t q = c + r - (size - 1) / 2;
            if (q < 0 || q >= channels) continue;
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
#define SOFTMAX_ROW(op, lower_)                                                                    \
    {                                                                                              \
        .name = op, .since = 13, .about = "along an axis", X_TO_Y, ROW_ATTRS(ATTR_I("axis", -1)),  \
        .traits = OP_PURE, .infer = infer_softmax, .eval = eval_softmax, .lower = lower_           \
    }

const OpDef normalize_ops[] = {
    SOFTMAX_ROW("Softmax", lower_softmax),
    SOFTMAX_ROW("LogSoftmax", lower_softmax),
    SOFTMAX_ROW("Hardmax", lower_hardmax),
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
