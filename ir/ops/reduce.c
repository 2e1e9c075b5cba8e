/* reduce.c: sums, means, norms, extremes over axes; positions of extremes. One table says what each
 * is. */
#include <string.h>

#include "ir/mathd.h"
#include "ir/ops/axes.h"
#include "ir/ops/compose.h"
#include "ir/ops/family.h"
#include "ir/ops/rows.h"

/* What is accumulated, and what is done at the end. */
typedef enum Before { BEFORE_NONE, BEFORE_ABS, BEFORE_SQUARE } Before;
typedef enum After { AFTER_NONE, AFTER_SQRT, AFTER_LOG, AFTER_MEAN } After;

typedef struct Kind {
    const char *name;
    Monoid monoid;
    Before before;
    After after;
} Kind;

static const Kind kinds[] = {
    {"ReduceSum", MONOID_SUM, BEFORE_NONE, AFTER_NONE},
    {"ReduceMean", MONOID_SUM, BEFORE_NONE, AFTER_MEAN},
    {"ReduceMax", MONOID_MAX, BEFORE_NONE, AFTER_NONE},
    {"ReduceMin", MONOID_MIN, BEFORE_NONE, AFTER_NONE},
    {"ReduceProd", MONOID_PROD, BEFORE_NONE, AFTER_NONE},
    {"ReduceL1", MONOID_SUM, BEFORE_ABS, AFTER_NONE},
    {"ReduceL2", MONOID_SUM, BEFORE_SQUARE, AFTER_SQRT},
    {"ReduceLogSum", MONOID_SUM, BEFORE_NONE, AFTER_LOG},
    {"ReduceSumSquare", MONOID_SUM, BEFORE_SQUARE, AFTER_NONE},
};

static const Kind *kind_of(const Node *n)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].name, n->op->name) == 0) return &kinds[i];
    return NULL;
}

static bool keep_dims(const Node *n)
{
    return attr_int(n, "keepdims", 1) != 0;
}

static Status infer_reduce(Infer *cx, Node *n)
{
    const Type *x = in_type(n, 0);
    Dim dims[MAX_RANK];
    uint32_t mask;

    if (x->rank == RANK_UNKNOWN) return op_unsupported(n, cx->diag, "an operand of unknown rank");
    if (axes_open(n)) return axes_infer_open(cx, n, x->dtype, keep_dims(n));
    TRY(axes_read(n, cx->diag, x->rank, &mask));
    infer_out(cx, n, 0, x->dtype, axes_result(&cx->module->dims, x, mask, keep_dims(n), dims),
              dims);
    return OK;
}

/* ---- lowering ---- */

/* Accumulate small integers in their own dtype (they wrap alike), floats in f32 or f64. */
static DType acc_dtype(DType t)
{
    return dtype_is_int(t) && dtype_bits(t) < 32 ? (dtype_is_signed(t) ? DT_I32 : DT_U32)
                                                 : compute_dtype(t);
}

static const Sx *before(Build *b, Before what, const Sx *x)
{
    switch (what) {
    case BEFORE_NONE:
        return x;
    case BEFORE_ABS:
        return sx_abs(b->sx, x);
    case BEFORE_SQUARE:
        return sx_mul(b->sx, x, x);
    }
    return x;
}

static bool needs_float(After what)
{
    return what == AFTER_SQRT || what == AFTER_LOG;
}

static const Sx *after(Build *b, After what, const Sx *acc, Dim count, DType out)
{
    const Sx *x = acc;

    if (needs_float(what) && !dtype_is_float(x->dtype)) x = sx_cast(b->sx, x, DT_F64);
    switch (what) {
    case AFTER_NONE:
        break;
    case AFTER_SQRT:
        x = sx_sqrt(b->sx, x);
        break;
    case AFTER_LOG:
        x = sx_log(b->sx, x);
        break;
    case AFTER_MEAN:
        x = sx_div(b->sx, x, sx_cast(b->sx, sx_dim(b->sx, count), x->dtype));
        break;
    }
    return sx_cast(b->sx, x, out);
}

static Monoid monoid_for(const Kind *k, DType t)
{
    if (t != DT_BOOL) return k->monoid;
    return k->monoid == MONOID_MIN ? MONOID_AND : MONOID_OR;
}

/* The greatest and least of nothing are those of t, not of the wider type they are found in. */
static const Sx *within_type(Build *b, const Kind *k, const Sx *x, Dim count, DType t)
{
    const Sx *end;

    if (!dtype_is_int(t) || x->dtype == t || count->lo > 0) return x;
    if (k->monoid != MONOID_MAX && k->monoid != MONOID_MIN) return x;
    end = sx_cast(b->sx, sx_const_int(b->sx, t, (int64_t)monoid_identity(k->monoid, t)), x->dtype);
    return k->monoid == MONOID_MAX ? sx_max(b->sx, x, end) : sx_min(b->sx, x, end);
}

static Status lower_reduce(Build *b, const Node *n, Value **out)
{
    const Kind *k = kind_of(n);
    Value *x = n->in[0];
    DType t = x->type.dtype, acc = acc_dtype(t);
    Dim count;
    uint32_t mask;
    const Sx *body;
    bool keep = keep_dims(n);

    if (axes_open(n)) return axes_lower_open(b, n, out);
    TRY(axes_read(n, b->diag, x->type.rank, &mask));
    body = axes_operand(b, 0, x, mask, keep, n->out[0]->type.rank);
    body = before(b, k->before, sx_cast(b->sx, body, acc));
    if (mask == 0) { /* no axis: the operator still maps each element */
        const Sx *v = after(b, k->after, body, dim_const(b->dims, 1), t);
        out[0] = build_map(b, n->op->name, 1, &x, t, x->type.rank, x->type.dim, v);
        return b->status;
    }
    count = axes_count(b->dims, &x->type, mask);
    out[0] = axes_reduce(
        b, n->op->name, x, mask, keep, monoid_for(k, t), body, acc, t,
        after(b, k->after, within_type(b, k, sx_acc(b->sx, 0, acc), count, t), count, t));
    return b->status;
}

/* log(sum(exp(x))) = m + log(sum(exp(x - m))), m the largest x, or 0 where that is not finite. */
static Status lower_log_sum_exp(Build *b, const Node *n, Value **out)
{
    Value *x = n->in[0], *top, *in[2];
    DType t = x->type.dtype, acc = dtype_is_float(t) ? compute_dtype(t) : DT_F64;
    uint32_t mask;
    const Sx *e, *m, *body, *finite;
    Dim dims[MAX_RANK], reduce[MAX_RANK];
    int rank, n_reduce;

    if (axes_open(n)) return axes_lower_open(b, n, out);
    TRY(axes_read(n, b->diag, x->type.rank, &mask));
    rank = axes_result(b->dims, &x->type, mask, true, dims);
    n_reduce = axes_reduced(&x->type, mask, reduce);
    e = sx_cast(b->sx, axes_operand(b, 0, x, mask, true, rank), acc);
    finite =
        sx_lt(b->sx, sx_abs(b->sx, sx_acc(b->sx, 0, acc)), sx_const(b->sx, acc, __builtin_inf()));
    m = sx_select(b->sx, finite, sx_acc(b->sx, 0, acc), sx_const(b->sx, acc, 0));
    top = axes_reduce(b, "max", x, mask, true, MONOID_MAX, e, acc, acc, m);
    if (!top) return b->status;
    in[0] = x;
    in[1] = top;
    m = sx_operand(b, 1, top, rank, dims);
    body = sx_exp(b->sx, sx_sub(b->sx, e, m));
    Acc a = {.monoid = MONOID_SUM, .dtype = acc, .body = body};
    out[0] = build_reduce(
        b, "logsumexp", 2, in, rank, dims, n_reduce, reduce, order_of_reduce(x->type.rank, mask), a,
        t, sx_cast(b->sx, sx_add(b->sx, sx_log(b->sx, sx_acc(b->sx, 0, acc)), m), t));
    if (out[0]) out[0] = build_reshape(b, out[0], n->out[0]->type.rank, n->out[0]->type.dim);
    return b->status;
}

/* ---- evaluation ---- */

typedef struct Sum {
    double f;
    int64_t i;
} Sum;

static void accumulate(const Kind *k, const Tensor *x, int64_t at, int64_t point, Sum *s)
{
    bool first = point == 0;

    if (dtype_is_float(x->dtype)) {
        double v = tensor_double(x, at);
        if (k->before == BEFORE_ABS) v = v < 0 ? -v : v;
        if (k->before == BEFORE_SQUARE) v *= v;
        if (k->monoid == MONOID_SUM) s->f += v;
        if (k->monoid == MONOID_PROD) s->f = first ? v : s->f * v;
        if (k->monoid == MONOID_MAX && (first || v > s->f || v != v)) s->f = v;
        if (k->monoid == MONOID_MIN && (first || v < s->f || v != v)) s->f = v;
    } else {
        int64_t v = tensor_int(x, at);
        bool is_unsigned = x->dtype == DT_U64;
        if (k->before == BEFORE_ABS) v = v < 0 && !is_unsigned ? (int64_t)(0 - (uint64_t)v) : v;
        if (k->before == BEFORE_SQUARE) v = (int64_t)((uint64_t)v * (uint64_t)v);
        if (k->monoid == MONOID_SUM) s->i = (int64_t)((uint64_t)s->i + (uint64_t)v);
        if (k->monoid == MONOID_PROD) s->i = first ? v : (int64_t)((uint64_t)s->i * (uint64_t)v);
        bool more = is_unsigned ? (uint64_t)v > (uint64_t)s->i : v > s->i;
        bool less = is_unsigned ? (uint64_t)v < (uint64_t)s->i : v < s->i;
        if (k->monoid == MONOID_MAX && (first || more)) s->i = v;
        if (k->monoid == MONOID_MIN && (first || less)) s->i = v;
    }
}

static void finish(const Kind *k, Tensor *out, int64_t e, Sum s, int64_t count)
{
    if (!dtype_is_float(out->dtype)) {
        double f = (double)s.i;
        if (k->after == AFTER_MEAN) s.i = count ? s.i / count : 0;
        if (needs_float(k->after))
            tensor_set_double(out, e, k->after == AFTER_SQRT ? __builtin_sqrt(f) : mathd_log(f));
        else
            tensor_set_int(out, e, s.i);
        return;
    }
    if (k->after == AFTER_MEAN) s.f /= (double)count;
    if (k->after == AFTER_SQRT) s.f = __builtin_sqrt(s.f);
    if (k->after == AFTER_LOG) s.f = mathd_log(s.f);
    tensor_set_double(out, e, s.f);
}

/* The value of an empty reduction. */
static Sum empty_sum(const Kind *k, DType t)
{
    Sum s = {0};
    uint64_t bits;

    if (k->monoid == MONOID_SUM) return s;
    if (dtype_is_float(t)) {
        bits = monoid_identity(k->monoid, DT_F64);
        memcpy(&s.f, &bits, sizeof bits);
    } else {
        s.i = (int64_t)monoid_identity(monoid_for(k, t), t);
    }
    return s;
}

static Status eval_reduce(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    const Kind *k = kind_of(n);
    uint32_t mask;
    AxesEval w;
    int64_t dims[MAX_RANK], o[MAX_RANK] = {0}, e = 0;

    TRY(axes_of_tensor(n, cx->diag, n->n_in > 1 ? in[1] : NULL, in[0]->rank, &mask));
    axes_eval_start(in[0], mask, &w);
    int rank = axes_eval_dims(in[0], mask, keep_dims(n), dims);
    TRY(eval_out(cx, n, &out[0], in[0]->dtype, rank, dims));
    if (!out[0]->count) return OK;
    do {
        int64_t i[MAX_RANK] = {0}, point = 0;
        Sum s = empty_sum(k, in[0]->dtype);
        if (w.count) do
                accumulate(k, in[0], axes_eval_at(&w, o, i), point++, &s);
            while (eval_next(w.rank, w.inner, i));
        finish(k, out[0], e++, s, w.count);
    } while (eval_next(w.rank, w.outer, o));
    return OK;
}

static Status eval_log_sum_exp(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    uint32_t mask;
    AxesEval w;
    int64_t dims[MAX_RANK], o[MAX_RANK] = {0}, e = 0;

    TRY(axes_of_tensor(n, cx->diag, n->n_in > 1 ? in[1] : NULL, in[0]->rank, &mask));
    axes_eval_start(in[0], mask, &w);
    int rank = axes_eval_dims(in[0], mask, keep_dims(n), dims);
    TRY(eval_out(cx, n, &out[0], in[0]->dtype, rank, dims));
    if (!out[0]->count) return OK;
    do {
        int64_t i[MAX_RANK] = {0};
        double top = -__builtin_inf(), sum = 0;
        if (w.count) do {
                int64_t at = axes_eval_at(&w, o, i);
                double v = dtype_is_float(in[0]->dtype) ? tensor_double(in[0], at)
                                                        : (double)tensor_int(in[0], at);
                if (v > top) top = v;
            } while (eval_next(w.rank, w.inner, i));
        if (top - top != 0) top = 0;
        if (w.count) do {
                int64_t at = axes_eval_at(&w, o, i);
                double v = dtype_is_float(in[0]->dtype) ? tensor_double(in[0], at)
                                                        : (double)tensor_int(in[0], at);
                sum += mathd_exp(v - top);
            } while (eval_next(w.rank, w.inner, i));
        tensor_set_double(out[0], e++, mathd_log(sum) + top);
    } while (eval_next(w.rank, w.outer, o));
    return OK;
}

/* ---- ArgMax, ArgMin ---- */

static Status arg_axis(const Node *n, Diag *d, int rank, uint32_t *mask)
{
    int axis;

    TRY(infer_axis(n, d, "axis", attr_int(n, "axis", 0), rank, &axis));
    *mask = 1u << axis;
    return OK;
}

static Status infer_arg(Infer *cx, Node *n)
{
    const Type *x = in_type(n, 0);
    Dim dims[MAX_RANK];
    uint32_t mask;

    if (x->rank == RANK_UNKNOWN) return op_unsupported(n, cx->diag, "an operand of unknown rank");
    TRY(arg_axis(n, cx->diag, x->rank, &mask));
    infer_out(cx, n, 0, DT_I64, axes_result(&cx->module->dims, x, mask, keep_dims(n), dims), dims);
    return OK;
}

static bool is_max(const Node *n)
{
    return n->op->name[3] == 'M' && n->op->name[4] == 'a';
}

/* Along the last axis: the extreme of each row, and the first or last place where it stands. Two
 * short loops of many lanes, where the search for a position would be one long chain. A NaN wins,
 * so that where there is one, any NaN is the extreme. */
static Value *arg_rows(Build *b, const Node *n, Value *x, bool last)
{
    Rows r;
    SxTable *t = b->sx;
    const Sx *v, *hit, *at, *never;
    Type type = {.kind = n->out[0]->type.kind, .dtype = DT_I64, .rank = x->type.rank};
    Node *k;

    rows_start(b, x, x->type.rank - 1, &r);
    v = rows_x(&r, AT_REDUCED);
    int top = rows_reduce(&r, is_max(n) ? MONOID_MAX : MONOID_MIN, v, NULL, -1);
    hit = sx_eq(t, v, rows_stat(&r, top));
    if (dtype_is_float(v->dtype)) hit = sx_or(t, hit, sx_op2(t, SX_NE, v, v));
    at = sx_cast(t, sx_index(t, r.rank), DT_I32);
    never = sx_const_int(t, DT_I32, last ? -1 : INT32_MAX);
    r.acc = DT_I32;
    rows_reduce(&r, last ? MONOID_MAX : MONOID_MIN, sx_select(t, hit, at, never),
                sx_cast(t, sx_acc(t, 0, DT_I32), DT_I64), 0);
    type.dim = r.stat;
    k = rows_finish(&r, n->op->name, 1, &x, 1, &type);
    if (!k || keep_dims(n)) return k ? k->out[0] : NULL;
    return build_reshape(b, k->out[0], n->out[0]->type.rank, n->out[0]->type.dim);
}

static Status lower_arg(Build *b, const Node *n, Value **out)
{
    Value *x = n->in[0];
    bool last = attr_int(n, "select_last_index", 0) != 0, keep = keep_dims(n);
    Monoid m = is_max(n) ? (last ? MONOID_ARGMAX_LAST : MONOID_ARGMAX_FIRST)
                         : (last ? MONOID_ARGMIN_LAST : MONOID_ARGMIN_FIRST);
    uint32_t mask;
    const Sx *body;

    TRY(arg_axis(n, b->diag, x->type.rank, &mask));
    if (mask == 1u << (x->type.rank - 1) && x->type.dim[x->type.rank - 1]->hi < INT32_MAX) {
        out[0] = arg_rows(b, n, x, last);
        return b->status;
    }
    body = sx_compute(b, axes_operand(b, 0, x, mask, keep, n->out[0]->type.rank));
    out[0] = axes_reduce(b, n->op->name, x, mask, keep, m, body, DT_I64, DT_I64, NULL);
    return b->status;
}

static bool arg_better(const Tensor *x, int64_t a, int64_t best, bool max, bool last)
{
    if (dtype_is_float(x->dtype)) {
        double u = tensor_double(x, a), v = tensor_double(x, best);
        if (v != v) return last && u != u;
        if (u != u) return true;
        return (max ? u > v : u < v) || (last && u == v);
    }
    int64_t u = tensor_int(x, a), v = tensor_int(x, best);
    bool more = x->dtype == DT_U64 ? (uint64_t)u > (uint64_t)v : u > v;
    return (max ? more : !more && u != v) || (last && u == v);
}

static Status eval_arg(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    bool last = attr_int(n, "select_last_index", 0) != 0;
    uint32_t mask;
    AxesEval w;
    int64_t dims[MAX_RANK], o[MAX_RANK] = {0}, e = 0;

    TRY(arg_axis(n, cx->diag, in[0]->rank, &mask));
    axes_eval_start(in[0], mask, &w);
    int rank = axes_eval_dims(in[0], mask, keep_dims(n), dims);
    TRY(eval_out(cx, n, &out[0], DT_I64, rank, dims));
    if (!out[0]->count) return OK;
    do {
        int64_t i[MAX_RANK] = {0}, best = -1, where = 0, point = 0;
        if (w.count) do {
                int64_t at = axes_eval_at(&w, o, i);
                if (best < 0 || arg_better(in[0], at, best, is_max(n), last)) {
                    best = at;
                    where = point;
                }
                point++;
            } while (eval_next(w.rank, w.inner, i));
        tensor_set_int(out[0], e++, where);
    } while (eval_next(w.rank, w.outer, o));
    return OK;
}

/* ---- derivatives ---- */

/* dy with its axes kept, times what each element of x adds to the sum. */
static Status derive_reduce(Build *b, const Node *n, Value *const *dy, Value **dx)
{
    const Type *x = in_type(n, 0);
    const Kind *k = kind_of(n);
    Value *v = n->in[0], *y = n->out[0], *each;
    Dim dims[MAX_RANK], count = dim_const(b->dims, 1);
    uint32_t mask;

    if (axes_open(n) || k->monoid != MONOID_SUM)
        return op_unsupported(n, b->diag, "a derivative of this reduction");
    TRY(axes_read(n, b->diag, x->rank, &mask));
    for (int i = 0; i < x->rank; i++) {
        dims[i] = mask >> i & 1 ? dim_const(b->dims, 1) : x->dim[i];
        if (mask >> i & 1) count = dim_mul(b->dims, count, x->dim[i]);
    }
    Value *d = make_reshape(b, dy[0], x->rank, dims);
    y = make_reshape(b, y, x->rank, dims);
    each = build_map(b, "ones", 0, NULL, x->dtype, x->rank, x->dim, sx_const(b->sx, x->dtype, 1));
    if (k->before == BEFORE_ABS) each = make_unary(b, "Sign", v);
    if (k->before == BEFORE_SQUARE) each = make_mul(b, v, make_scalar(b, v, 2));
    if (k->after == AFTER_SQRT) each = make_div(b, v, y);
    if (k->after == AFTER_LOG) each = make_div(b, each, make_unary(b, "Exp", y));
    if (k->after == AFTER_MEAN)
        each = build_map(b, "share", 0, NULL, x->dtype, x->rank, x->dim,
                         sx_cast(b->sx,
                                 sx_div(b->sx, sx_const(b->sx, DT_F64, 1),
                                        sx_cast(b->sx, sx_dim(b->sx, count), DT_F64)),
                                 x->dtype));
    dx[0] = make_mul(b, d, each);
    return b->status;
}

#define T_EXTREME (T_NUMBER | T_BOOL)
#define REDUCE_ROW(op, since_, types, quant_)                                                      \
    {                                                                                              \
        .name = op, .since = since_, .about = "reduction over axes",                               \
        ROW_IN({"data", types, "T"}, {"axes", DT_BIT(DT_I64), NULL, true}),                        \
        ROW_OUT({"reduced", types, "T"}),                                                          \
        ROW_ATTRS(ATTR_I("keepdims", 1), ATTR_I("noop_with_empty_axes", 0)), .traits = OP_PURE,    \
        .quant = quant_, .infer = infer_reduce, .eval = eval_reduce, .derive = derive_reduce,      \
        .lower = lower_reduce                                                                      \
    }
#define ARG_ROW(op)                                                                                \
    {                                                                                              \
        .name = op, .since = 13, .about = "position of the extreme along an axis",                 \
        ROW_IN({"data", T_NUMBER, "T"}), ROW_OUT({"reduced", DT_BIT(DT_I64)}),                     \
        ROW_ATTRS(ATTR_I("axis", 0), ATTR_I("keepdims", 1), ATTR_I("select_last_index", 0)),       \
        .traits = OP_PURE, .infer = infer_arg, .eval = eval_arg, .lower = lower_arg                \
    }

const OpDef reduce_ops[] = {
    REDUCE_ROW("ReduceSum", 13, T_NUMBER, QUANT_FLOAT),
    REDUCE_ROW("ReduceMean", 18, T_NUMBER, QUANT_FLOAT),
    REDUCE_ROW("ReduceMax", 20, T_EXTREME, QUANT_MOVE),
    REDUCE_ROW("ReduceMin", 20, T_EXTREME, QUANT_MOVE),
    REDUCE_ROW("ReduceProd", 18, T_NUMBER, QUANT_FLOAT),
    REDUCE_ROW("ReduceL1", 18, T_NUMBER, QUANT_FLOAT),
    REDUCE_ROW("ReduceL2", 18, T_NUMBER, QUANT_FLOAT),
    REDUCE_ROW("ReduceLogSum", 28, T_NUMBER, QUANT_FLOAT),
    REDUCE_ROW("ReduceSumSquare", 18, T_NUMBER, QUANT_FLOAT),
    {.name = "ReduceLogSumExp",
     .since = 28,
     .about = "log of the sum of exponentials over axes",
     ROW_IN({"data", T_NUMBER, "T"}, {"axes", DT_BIT(DT_I64), NULL, true}),
     ROW_OUT({"reduced", T_NUMBER, "T"}),
     ROW_ATTRS(ATTR_I("keepdims", 1), ATTR_I("noop_with_empty_axes", 0)),
     .traits = OP_PURE,
     .infer = infer_reduce,
     .eval = eval_log_sum_exp,
     .lower = lower_log_sum_exp},
    ARG_ROW("ArgMax"),
    ARG_ROW("ArgMin"),
    {0},
};
