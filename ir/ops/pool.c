/* pool.c: the extreme, mean or norm of a sliding window or of the whole plane. */
#include <string.h>

#include "ir/mathd.h"
#include "ir/ops/axes.h"
#include "ir/ops/family.h"
#include "ir/ops/window.h"

/* ---- shapes ---- */

static Status pool_window(Module *m, const Node *n, Diag *d, Window *w)
{
    const Type *x = in_type(n, 0);

    if (x->rank == RANK_UNKNOWN) return op_unsupported(n, d, "an operand of unknown rank");
    if (x->rank < 3)
        return op_error(n, d, NULL, "%s: the input has rank %d, at least 3 is needed",
                        node_op_name(n), x->rank);
    return window_read(m, n, x->rank - 2, x->dim + 2, NULL, d, w);
}

static Status infer_pool(Infer *cx, Node *n)
{
    const Type *x = in_type(n, 0);
    Dim dims[MAX_RANK];
    Window w;

    TRY(pool_window(cx->module, n, cx->diag, &w));
    dims[0] = x->dim[0];
    dims[1] = x->dim[1];
    memcpy(dims + 2, w.out, sizeof(Dim) * (size_t)w.n);
    infer_out(cx, n, 0, x->dtype, x->rank, dims);
    infer_out(cx, n, 1, DT_I64, x->rank, dims);
    return OK;
}

/* ---- lowering: one window reduction ---- */

typedef struct PoolLoop {
    Window w;
    int rank;
    Dim dims[MAX_RANK], reduce[MAX_RANK];
    const Sx *position[MAX_RANK]; /* in the input, may lie outside */
    const Sx *guard;              /* NULL: always inside */
    const Sx *x;                  /* the load */
} PoolLoop;

static Status pool_loop(Build *b, const Node *n, PoolLoop *p)
{
    const Value *x = n->in[0];
    const Sx *idx[MAX_RANK];
    Dim extents[2 * MAX_RANK];

    TRY(pool_window(b->module, n, b->diag, &p->w));
    p->rank = x->type.rank;
    memcpy(p->dims, n->out[0] ? n->out[0]->type.dim : n->out[1]->type.dim,
           sizeof(Dim) * (size_t)p->rank);
    for (int i = 0; i < p->w.n; i++)
        p->reduce[i] = p->w.kernel[i];
    memcpy(extents, p->dims, sizeof(Dim) * (size_t)p->rank);
    memcpy(extents + p->rank, p->reduce, sizeof(Dim) * (size_t)p->w.n);
    idx[0] = sx_index(b->sx, 0);
    idx[1] = sx_index(b->sx, 1);
    p->guard = NULL;
    for (int i = 0; i < p->w.n; i++) {
        const Sx *at =
            window_position(b, &p->w, i, sx_index(b->sx, 2 + i), sx_index(b->sx, p->rank + i));
        const Sx *g = sx_inside(b, at, p->w.in[i], p->rank + p->w.n, extents);
        idx[2 + i] = p->position[i] = at;
        p->guard = p->guard && g ? sx_and(b->sx, p->guard, g) : g ? g : p->guard;
    }
    p->x = sx_compute(b, sx_at_guarded(b, 0, x, idx, p->guard));
    return b->status;
}

static Value *pool_reduce(Build *b, const Node *n, const PoolLoop *p, Monoid m, DType acc,
                          const Sx *body, DType out, const Sx *value)
{
    Acc a = {.monoid = m, .dtype = acc, .body = body};

    return build_reduce(b, n->op->name, 1, n->in, p->rank, p->dims, p->w.n, p->reduce, ORDER_CHAIN,
                        a, out, value);
}

static DType pool_acc(DType t)
{
    return dtype_is_int(t) && dtype_bits(t) < 32 ? DT_I32 : compute_dtype(t);
}

/* The first window element along axis i that is not padding. */
static const Sx *first_inside(Build *b, const Window *w, int i)
{
    SxTable *t = b->sx;
    const Sx *start = window_position(b, w, i, sx_index(t, 2 + i), sx_i64(b, 0));
    const Sx *up = sx_i64(b, w->dilation[i] - 1), *zero = sx_i64(b, 0);

    start = sx_sub(t, zero, sx_min(t, start, zero));
    return sx_div(t, sx_add(t, start, up), sx_i64(b, w->dilation[i]));
}

/* Row-major (or column-major) number, in the whole input, of the window element that ARGMAX found.
 * Where all are the least there is, it found the first, which may be padding. */
static const Sx *found_at(Build *b, const Node *n, const PoolLoop *p)
{
    SxTable *t = b->sx;
    const Sx *left = sx_acc(t, 0, DT_I64), *at[MAX_RANK], *r, *sum;
    bool columns = attr_int(n, "storage_order", 0) != 0;

    for (int i = p->w.n - 1; i >= 0; i--) {
        r = sx_max(t, sx_rem(t, left, sx_dim(t, p->w.kernel[i])), first_inside(b, &p->w, i));
        left = sx_div(t, left, sx_dim(t, p->w.kernel[i]));
        at[i] = window_position(b, &p->w, i, sx_index(t, 2 + i), r);
    }
    sum = sx_add(t, sx_mul(t, sx_index(t, 0), sx_dim(t, n->in[0]->type.dim[1])), sx_index(t, 1));
    Dim plane = dim_product(b->dims, p->w.n, p->w.in);
    sum = sx_mul(t, sum, sx_dim(t, plane));
    Dim stride = dim_const(b->dims, 1);
    for (int k = 0; k < p->w.n; k++) {
        int i = columns ? k : p->w.n - 1 - k;
        sum = sx_add(t, sum, sx_mul(t, at[i], sx_dim(t, stride)));
        stride = dim_mul(b->dims, stride, p->w.in[i]);
    }
    return sum;
}

static Status lower_max_window(Build *b, const Node *n, Value **out)
{
    PoolLoop p;
    DType type = n->in[0]->type.dtype, acc = pool_acc(type);
    const Sx *body, *least;

    TRY(pool_loop(b, n, &p));
    least = sx_const_bits(b->sx, acc, monoid_identity(MONOID_MAX, acc));
    body = sx_cast(b->sx, p.x, acc);
    if (p.guard) body = sx_select(b->sx, p.guard, body, least);
    if (has_out(n, 0)) out[0] = pool_reduce(b, n, &p, MONOID_MAX, acc, body, type, NULL);
    if (has_out(n, 1))
        out[1] =
            pool_reduce(b, n, &p, MONOID_ARGMAX_FIRST, DT_I64, body, DT_I64, found_at(b, n, &p));
    return b->status;
}

/* The largest, or the sum, along one axis of v, which is 2 + axis. */
static Value *pool_along(Build *b, const Node *n, Value *v, const Window *w, int axis, Monoid m,
                         DType out, const Sx *value)
{
    DType acc = pool_acc(v->type.dtype);
    int rank = v->type.rank, at = 2 + axis;
    Dim dims[MAX_RANK + 1];
    const Sx *idx[MAX_RANK], *guard, *body;

    memcpy(dims, v->type.dim, sizeof(Dim) * (size_t)rank);
    dims[at] = w->out[axis];
    dims[rank] = w->kernel[axis];
    for (int i = 0; i < rank; i++)
        idx[i] = sx_index(b->sx, i);
    idx[at] = window_position(b, w, axis, idx[at], sx_index(b->sx, rank));
    guard = sx_inside(b, idx[at], w->in[axis], rank + 1, dims);
    body = sx_cast(b->sx, sx_at_guarded(b, 0, v, idx, guard), acc);
    if (guard && m != MONOID_SUM) /* outside lie zeros */
        body = sx_select(b->sx, guard, body, sx_const_bits(b->sx, acc, monoid_identity(m, acc)));
    Acc a = {.monoid = m, .dtype = acc, .body = body};
    return build_reduce(b, n->op->name, 1, &v, rank, dims, 1, &dims[rank], ORDER_CHAIN, a, out,
                        value);
}

enum { LARGE_WINDOW = 16 };

/* The largest of a large window is the largest of its rows' largest: k + k steps for k * k. Rows
 * first, while lanes are contiguous. */
static Status lower_max_pool(Build *b, const Node *n, Value **out)
{
    Window w;
    Value *v = n->in[0];
    int64_t points = 1;

    TRY(pool_window(b->module, n, b->diag, &w));
    for (int i = 0; i < w.n; i++)
        points *= w.kernel[i]->value;
    if (has_out(n, 1) || w.n < 2 || points < LARGE_WINDOW) return lower_max_window(b, n, out);
    for (int i = 0; i < w.n && v; i++)
        v = pool_along(b, n, v, &w, i, MONOID_MAX, v->type.dtype, NULL);
    out[0] = v;
    return b->status;
}

/* How many window elements lie within [lo, hi) along axis i, starting at o*stride - before. */
static const Sx *count_inside(Build *b, const Window *w, int i, const Sx *lo, const Sx *hi)
{
    SxTable *t = b->sx;
    const Sx *start = window_position(b, w, i, sx_index(t, 2 + i), sx_i64(b, 0));
    const Sx *dil = sx_i64(b, w->dilation[i]), *zero = sx_i64(b, 0);
    const Sx *first, *last;

    first = sx_sub(t, lo, start); /* ceil((lo - start) / dilation), at least 0 */
    first = sx_max(t, sx_div(t, sx_add(t, first, sx_i64(b, w->dilation[i] - 1)), dil), zero);
    last = sx_sub(t, sx_sub(t, hi, sx_i64(b, 1)), start);
    last = sx_min(t, sx_floor_div(t, last, dil), sx_i64(b, w->kernel[i]->value - 1));
    return sx_max(t, sx_add(t, sx_sub(t, last, first), sx_i64(b, 1)), zero);
}

static bool never_clipped(const Node *n, const PoolLoop *p, bool pad)
{
    if (!p->guard) return true;
    return pad && !attr_int(n, "ceil_mode", 0);
}

/* Whether sums along one axis after the other are at most half of the work: windows that are large,
 * and overlap. */
static bool sums_apart(const Window *w)
{
    double share = 0;

    for (int i = 0; i < w->n; i++) {
        double part = 1;
        for (int j = 0; j < w->n; j++)
            if (j != i) part *= (j < i ? 1.0 : (double)w->stride[j]) / (double)w->kernel[j]->value;
        share += part;
    }
    return w->n > 1 && share <= 0.5;
}

static Status lower_average_pool(Build *b, const Node *n, Value **out)
{
    PoolLoop p;
    SxTable *t = b->sx;
    DType type = n->in[0]->type.dtype, acc = compute_dtype(type);
    bool pad = attr_int(n, "count_include_pad", 0) != 0;
    const Sx *count = sx_i64(b, 1), *value;

    TRY(pool_loop(b, n, &p));
    for (int i = 0; i < p.w.n; i++) {
        const Sx *lo = sx_i64(b, 0), *hi = sx_dim(t, p.w.in[i]), *c = sx_dim(t, p.w.kernel[i]);
        if (pad) {
            lo = sx_sub(t, lo, sx_dim(t, p.w.before[i]));
            hi = sx_add(t, hi, sx_dim(t, p.w.after[i]));
        }
        if (!never_clipped(n, &p, pad)) c = count_inside(b, &p.w, i, lo, hi);
        count = sx_mul(t, count, c);
    }
    value = sx_div(t, sx_acc(t, 0, acc), sx_cast(t, count, acc));
    value = sx_cast(t, value, type);
    if (!sums_apart(&p.w)) {
        out[0] = pool_reduce(b, n, &p, MONOID_SUM, acc, p.x, type, value);
        return b->status;
    }
    out[0] = n->in[0];
    for (int i = 0, last = p.w.n - 1; i <= last && out[0]; i++)
        out[0] = pool_along(b, n, out[0], &p.w, i, MONOID_SUM, i < last ? acc : type,
                            i < last ? NULL : value);
    return b->status;
}

/* ---- Lp ---- */

static const Sx *power(Build *b, const Sx *x, double p)
{
    const Sx *a = sx_abs(b->sx, x);

    if (p == 1) return a;
    if (p == 2) return sx_mul(b->sx, x, x);
    return sx_pow(b->sx, a, sx_const(b->sx, x->dtype, p));
}

static const Sx *root(Build *b, const Sx *x, double p)
{
    if (p == 1) return x;
    if (p == 2) return sx_sqrt(b->sx, x);
    return sx_pow(b->sx, x, sx_const(b->sx, x->dtype, 1 / p));
}

static Status lower_lp_pool(Build *b, const Node *n, Value **out)
{
    PoolLoop p;
    DType type = n->in[0]->type.dtype, acc = compute_dtype(type);
    double e = (double)attr_int(n, "p", 2);

    TRY(pool_loop(b, n, &p));
    out[0] = pool_reduce(b, n, &p, MONOID_SUM, acc, power(b, p.x, e), type,
                         sx_cast(b->sx, root(b, sx_acc(b->sx, 0, acc), e), type));
    return b->status;
}

/* ---- evaluation over windows ---- */

typedef struct PoolPoint {
    double sum, top;
    int64_t top_at, inside,
        padded; /* where the top is, in the plane; elements inside; counting padding */
} PoolPoint;

/* The elements of the window at o that lie in the image (count[i] of them along an axis, from
 * first[i] on), and how many do with its padding. False: none lies in the image. */
static bool pool_inside(const WindowEval *w, const int64_t *o, int64_t *first, int64_t *count,
                        int64_t *padded)
{
    bool some = true;

    *padded = 1;
    for (int i = 0; i < w->n; i++) {
        int64_t start = o[i] * w->stride[i] - w->before[i], step = w->dilation[i];
        int64_t end = start >= w->in[i] ? 0 : (w->in[i] - 1 - start) / step + 1;
        int64_t room = w->in[i] + w->after[i] - start;
        int64_t all = room <= 0 ? 0 : (room - 1) / step + 1;
        if (end > w->kernel[i]) end = w->kernel[i];
        first[i] = start < 0 ? (step - 1 - start) / step : 0;
        count[i] = end - first[i];
        some &= count[i] > 0;
        *padded *= all < w->kernel[i] ? all : w->kernel[i];
    }
    return some;
}

static void eval_pool_point(const WindowEval *w, const Tensor *x, int64_t plane_at,
                            const int64_t *o, double p, PoolPoint *q)
{
    int64_t r[MAX_RANK] = {0}, first[MAX_RANK], count[MAX_RANK];

    *q = (PoolPoint){.top_at = -1};
    if (!pool_inside(w, o, first, count, &q->padded)) return;
    do {
        int64_t at = 0;
        for (int i = 0; i < w->n; i++)
            at = at * w->in[i] + o[i] * w->stride[i] + (first[i] + r[i]) * w->dilation[i] -
                 w->before[i];
        double v = dtype_is_float(x->dtype) ? tensor_double(x, plane_at + at)
                                            : (double)tensor_int(x, plane_at + at);
        if (q->inside++ == 0 || v > q->top || (v != v && q->top == q->top)) {
            q->top = v;
            q->top_at = at;
        }
        double a = v < 0 ? -v : v;
        q->sum += p == 0 ? v : p == 1 ? a : p == 2 ? v * v : mathd_pow(a, p);
    } while (eval_next(w->n, count, r));
}

typedef enum PoolKind { POOL_MAX, POOL_AVERAGE, POOL_LP } PoolKind;

static double pool_value(const Node *n, PoolKind kind, const PoolPoint *q, double p)
{
    switch (kind) {
    case POOL_MAX:
        return q->top_at < 0 ? -__builtin_inf() : q->top;
    case POOL_AVERAGE:
        return q->sum / (double)(attr_int(n, "count_include_pad", 0) ? q->padded : q->inside);
    case POOL_LP:
        return p == 1 ? q->sum : p == 2 ? __builtin_sqrt(q->sum) : mathd_pow(q->sum, 1 / p);
    }
    return 0;
}

static int64_t column_major(const WindowEval *w, int64_t at)
{
    int64_t index[MAX_RANK], sum = 0, stride = 1;

    for (int i = w->n - 1; i >= 0; i--) {
        index[i] = at % w->in[i];
        at /= w->in[i];
    }
    for (int i = 0; i < w->n; i++) {
        sum += index[i] * stride;
        stride *= w->in[i];
    }
    return sum;
}

static Status eval_pool(Eval *cx, const Node *n, const Tensor *x, PoolKind kind, Tensor **out)
{
    double p = kind == POOL_LP ? (double)attr_int(n, "p", 2) : 0;
    bool columns = attr_int(n, "storage_order", 0) != 0;
    int64_t kernel[MAX_RANK], dims[MAX_RANK], index[MAX_RANK] = {0}, plane = 1, e = 0;
    WindowEval w;
    Tensor *scratch;

    if (x->rank < 3) return op_error(n, cx->diag, NULL, "%s: rank %d", node_op_name(n), x->rank);
    TRY(window_ints(n, cx->diag, "kernel_shape", x->rank - 2, 1, 1, kernel));
    TRY(window_eval(cx, n, x->rank - 2, x->dim + 2, kernel, &w));
    dims[0] = x->dim[0];
    dims[1] = x->dim[1];
    memcpy(dims + 2, w.out, sizeof(int64_t) * (size_t)w.n);
    for (int i = 0; i < w.n; i++)
        plane *= w.in[i];
    TRY(eval_out(cx, n, has_out(n, 0) ? &out[0] : &scratch, x->dtype, x->rank, dims));
    if (has_out(n, 1)) TRY(eval_out(cx, n, &out[1], DT_I64, x->rank, dims));
    Tensor *values = has_out(n, 0) ? out[0] : scratch;
    if (!values->count) return OK;
    do {
        int64_t base = (index[0] * dims[1] + index[1]) * plane;
        PoolPoint q;
        eval_pool_point(&w, x, base, index + 2, p, &q);
        double v = pool_value(n, kind, &q, p);
        tensor_set_double(values, e, v);
        if (has_out(n, 1))
            tensor_set_int(out[1], e, base + (columns ? column_major(&w, q.top_at) : q.top_at));
        e++;
    } while (eval_next(x->rank, dims, index));
    return OK;
}

static Status eval_max_pool(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    return eval_pool(cx, n, in[0], POOL_MAX, out);
}

static Status eval_average_pool(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    return eval_pool(cx, n, in[0], POOL_AVERAGE, out);
}

static Status eval_lp_pool(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    return eval_pool(cx, n, in[0], POOL_LP, out);
}

/* ---- the whole plane ---- */

static uint32_t plane_mask(int rank)
{
    return ((1u << rank) - 1) & ~3u;
}

static Status infer_global(Infer *cx, Node *n)
{
    const Type *x = in_type(n, 0);
    Dim dims[MAX_RANK];

    if (x->rank == RANK_UNKNOWN) return op_unsupported(n, cx->diag, "an operand of unknown rank");
    if (x->rank < 2)
        return op_error(n, cx->diag, NULL, "%s: the input has rank %d, at least 2 is needed",
                        node_op_name(n), x->rank);
    int rank = axes_result(&cx->module->dims, x, plane_mask(x->rank), true, dims);
    infer_out(cx, n, 0, x->dtype, rank, dims);
    return OK;
}

static Value *global_reduce(Build *b, const Node *n, Monoid m, const Sx *body, const Sx *value)
{
    Value *x = n->in[0];
    DType acc = compute_dtype(x->type.dtype);

    return axes_reduce(b, n->op->name, x, plane_mask(x->type.rank), true, m, body, acc,
                       x->type.dtype, value);
}

static const Sx *global_operand(Build *b, const Node *n)
{
    const Value *x = n->in[0];
    return sx_compute(b, axes_operand(b, 0, x, plane_mask(x->type.rank), true, x->type.rank));
}

static Status lower_global_average(Build *b, const Node *n, Value **out)
{
    const Type *x = in_type(n, 0);
    DType acc = compute_dtype(x->dtype);
    Dim count = axes_count(b->dims, x, plane_mask(x->rank));
    const Sx *mean =
        sx_div(b->sx, sx_acc(b->sx, 0, acc), sx_cast(b->sx, sx_dim(b->sx, count), acc));

    out[0] = global_reduce(b, n, MONOID_SUM, global_operand(b, n), sx_cast(b->sx, mean, x->dtype));
    return b->status;
}

static Status lower_global_max(Build *b, const Node *n, Value **out)
{
    out[0] = global_reduce(b, n, MONOID_MAX, global_operand(b, n), NULL);
    return b->status;
}

static Status lower_global_lp(Build *b, const Node *n, Value **out)
{
    double p = (double)attr_int(n, "p", 2);
    DType type = in_type(n, 0)->dtype;
    const Sx *v = root(b, sx_acc(b->sx, 0, compute_dtype(type)), p);

    out[0] =
        global_reduce(b, n, MONOID_SUM, power(b, global_operand(b, n), p), sx_cast(b->sx, v, type));
    return b->status;
}

static Status eval_global(Eval *cx, const Node *n, const Tensor *x, PoolKind kind, Tensor **out)
{
    int64_t dims[MAX_RANK], plane = 1;
    double p = kind == POOL_LP ? (double)attr_int(n, "p", 2) : 0;

    if (x->rank < 2) return op_error(n, cx->diag, NULL, "%s: rank %d", node_op_name(n), x->rank);
    for (int i = 0; i < x->rank; i++) {
        dims[i] = i < 2 ? x->dim[i] : 1;
        plane *= i < 2 ? 1 : x->dim[i];
    }
    TRY(eval_out(cx, n, &out[0], x->dtype, x->rank, dims));
    for (int64_t e = 0; e < out[0]->count; e++) {
        PoolPoint q = {.top_at = -1};
        for (int64_t i = 0; i < plane; i++) {
            double v = tensor_double(x, e * plane + i), a = v < 0 ? -v : v;
            if (q.inside++ == 0 || v > q.top || v != v) q.top = v;
            q.top_at = 0;
            q.sum += p == 0 ? v : p == 1 ? a : p == 2 ? v * v : mathd_pow(a, p);
        }
        tensor_set_double(out[0], e, pool_value(n, kind, &q, p));
    }
    return OK;
}

static Status eval_global_average(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    return eval_global(cx, n, in[0], POOL_AVERAGE, out);
}

static Status eval_global_max(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    return eval_global(cx, n, in[0], POOL_MAX, out);
}

static Status eval_global_lp(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    return eval_global(cx, n, in[0], POOL_LP, out);
}

#define T_MAX (T_FLOAT | DT_BIT(DT_I8) | DT_BIT(DT_U8))
#define POOL_ATTRS                                                                                 \
    ATTR_S("auto_pad", "NOTSET"), ATTR_I("ceil_mode", 0), ATTR_OPT("dilations", ATTR_INTS),        \
        ATTR_REQ("kernel_shape", ATTR_INTS), ATTR_OPT("pads", ATTR_INTS),                          \
        ATTR_OPT("strides", ATTR_INTS)

const OpDef pool_ops[] = {
    {.name = "MaxPool",
     .since = 22,
     .about = "the largest of a window, and where it is",
     ROW_IN({"X", T_MAX, "T"}),
     ROW_OUT({"Y", T_MAX, "T"}, {"Indices", DT_BIT(DT_I64), NULL, true}),
     ROW_ATTRS(POOL_ATTRS, ATTR_I("storage_order", 0)),
     .traits = OP_PURE,
     .quant = QUANT_MOVE,
     .infer = infer_pool,
     .eval = eval_max_pool,
     .lower = lower_max_pool},
    {.name = "AveragePool",
     .since = 22,
     .about = "the mean of a window",
     ROW_IN({"X", T_FLOAT, "T"}),
     ROW_OUT({"Y", T_FLOAT, "T"}),
     ROW_ATTRS(POOL_ATTRS, ATTR_I("count_include_pad", 0)),
     .traits = OP_PURE,
     .infer = infer_pool,
     .eval = eval_average_pool,
     .lower = lower_average_pool},
    {.name = "LpPool",
     .since = 22,
     .about = "the p-norm of a window",
     ROW_IN({"X", T_FLOAT, "T"}),
     ROW_OUT({"Y", T_FLOAT, "T"}),
     ROW_ATTRS(POOL_ATTRS, ATTR_I("p", 2)),
     .traits = OP_PURE,
     .infer = infer_pool,
     .eval = eval_lp_pool,
     .lower = lower_lp_pool},
    {.name = "GlobalAveragePool",
     .since = 22,
     .about = "the mean of each plane",
     ROW_IN({"X", T_FLOAT, "T"}),
     ROW_OUT({"Y", T_FLOAT, "T"}),
     .traits = OP_PURE,
     .infer = infer_global,
     .eval = eval_global_average,
     .lower = lower_global_average},
    {.name = "GlobalMaxPool",
     .since = 22,
     .about = "the largest of each plane",
     ROW_IN({"X", T_FLOAT, "T"}),
     ROW_OUT({"Y", T_FLOAT, "T"}),
     .traits = OP_PURE,
     .infer = infer_global,
     .eval = eval_global_max,
     .lower = lower_global_max},
    {.name = "GlobalLpPool",
     .since = 22,
     .about = "the p-norm of each plane",
     ROW_IN({"X", T_FLOAT, "T"}),
     ROW_OUT({"Y", T_FLOAT, "T"}),
     ROW_ATTRS(ATTR_I("p", 2)),
     .traits = OP_PURE,
     .infer = infer_global,
     .eval = eval_global_lp,
     .lower = lower_global_lp},
    {0},
};
