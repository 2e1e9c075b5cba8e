/* compare.c: comparisons and tests of numbers: bool, element by element. Equal also compares
 * strings, by a call. */
#include <string.h>

#include "ir/ops/ops_common.h"

/* One order in three forms: doubles, integers (t), expressions. */
#define COMPARE(f, floats, ints, sx)                                                               \
    static double e_##f(const Node *n, const double *x)                                            \
    {                                                                                              \
        (void)n;                                                                                   \
        return floats;                                                                             \
    }                                                                                              \
    static int64_t i_##f(const Node *n, const int64_t *x, DType t)                                 \
    {                                                                                              \
        bool less = t == DT_U64 ? (uint64_t)x[0] < (uint64_t)x[1] : x[0] < x[1];                   \
        (void)n;                                                                                   \
        (void)less;                                                                                \
        return ints;                                                                               \
    }                                                                                              \
    static const Sx *m_##f(Build *b, const Node *n, const Sx *const *x)                            \
    {                                                                                              \
        (void)n;                                                                                   \
        return sx;                                                                                 \
    }
COMPARE(equal, x[0] == x[1], x[0] == x[1], sx_eq(b->sx, x[0], x[1]))
COMPARE(less, x[0] < x[1], less, sx_lt(b->sx, x[0], x[1]))
COMPARE(less_equal, x[0] <= x[1], less || x[0] == x[1], sx_le(b->sx, x[0], x[1]))
COMPARE(greater, x[0] > x[1], !less && x[0] != x[1], sx_lt(b->sx, x[1], x[0]))
COMPARE(greater_equal, x[0] >= x[1], !less, sx_le(b->sx, x[1], x[0]))

/* ---- contents: what bounds decide ---- */

static Dim decided(DimTable *t, bool yes, bool no)
{
    return yes ? dim_const(t, 1) : no ? dim_const(t, 0) : NULL;
}
static Dim fold_equal(DimTable *t, const Node *n, const Dim *x)
{
    (void)n;
    return decided(t, x[0] == x[1], dim_distinct(t, x[0], x[1]));
}
static Dim fold_less(DimTable *t, const Node *n, const Dim *x)
{
    (void)n;
    return decided(t, dim_lt(t, x[0], x[1]), dim_le(t, x[1], x[0]));
}
static Dim fold_less_equal(DimTable *t, const Node *n, const Dim *x)
{
    (void)n;
    return decided(t, dim_le(t, x[0], x[1]), dim_lt(t, x[1], x[0]));
}
static Dim fold_greater(DimTable *t, const Node *n, const Dim *x)
{
    return fold_less(t, n, (const Dim[]){x[1], x[0]});
}
static Dim fold_greater_equal(DimTable *t, const Node *n, const Dim *x)
{
    return fold_less_equal(t, n, (const Dim[]){x[1], x[0]});
}
#define INFER(f)                                                                                   \
    static Status infer_##f(Infer *cx, Node *n)                                                    \
    {                                                                                              \
        return infer_fold(cx, n, DT_BOOL, fold_##f);                                               \
    }
INFER(equal)
INFER(less)
INFER(less_equal)
INFER(greater)
INFER(greater_equal)

/* Equal also compares strings, which are no numbers. */
static bool same_element(const Tensor *a, int64_t i, const Tensor *b, int64_t j)
{
    const StringRef *s, *r;

    if (dtype_is_float(a->dtype)) return tensor_double(a, i) == tensor_double(b, j);
    if (a->dtype != DT_STRING) return tensor_int(a, i) == tensor_int(b, j);
    s = tensor_at(a, i);
    r = tensor_at(b, j);
    return s->n == r->n && (s->n == 0 || memcmp(s->s, r->s, (size_t)s->n) == 0);
}
static Status eval_equal(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    int64_t index[MAX_RANK] = {0};
    Tensor *r;

    TRY(eval_broadcast(cx, n, 2, in, DT_BOOL, &r));
    for (int64_t o = 0; o < r->count; o++, eval_next(r->rank, r->dim, index))
        tensor_set_int(r, o,
                       same_element(in[0], eval_offset(in[0], r->rank, index), in[1],
                                    eval_offset(in[1], r->rank, index)));
    out[0] = r;
    return OK;
}

static Status lower_equal(Build *b, const Node *n, Value **out)
{
    const Type *to = &n->out[0]->type;
    const Sx *x[2];

    if (in_type(n, 0)->dtype == DT_STRING) {
        Node *call = build_call(b, "string_equal", 2, n->in, 1, to, 0, NULL, 0, NULL);
        out[0] = call ? call->out[0] : NULL;
        return b->status;
    }
    for (int k = 0; k < 2; k++)
        x[k] = sx_compute(b, sx_operand(b, k, n->in[k], to->rank, to->dim));
    out[0] = build_map(b, "equal", 2, n->in, DT_BOOL, to->rank, to->dim, sx_eq(b->sx, x[0], x[1]));
    return b->status;
}

/* ---- NaN and infinity ---- */

static double e_isnan(const Node *n, const double *x)
{
    (void)n;
    return x[0] != x[0];
}
static const Sx *m_isnan(Build *b, const Node *n, const Sx *const *x)
{
    (void)n;
    return sx_ne(b->sx, x[0], x[0]);
}

static double e_isinf(const Node *n, const double *x)
{
    return (x[0] == __builtin_inf() && attr_int(n, "detect_positive", 1)) ||
           (x[0] == -__builtin_inf() && attr_int(n, "detect_negative", 1));
}
static const Sx *m_isinf(Build *b, const Node *n, const Sx *const *x)
{
    SxTable *t = b->sx;
    const Sx *high = sx_const_int(t, DT_BOOL, 0), *low = high;

    if (attr_int(n, "detect_positive", 1))
        high = sx_eq(t, x[0], sx_const_like(b, x[0], __builtin_inf()));
    if (attr_int(n, "detect_negative", 1))
        low = sx_eq(t, x[0], sx_const_like(b, x[0], -__builtin_inf()));
    return sx_or(t, high, low);
}

/* ---- the table ---- */

#define IN2(set)                                                                                   \
    .in = (const PortDef[])                                                                        \
    {                                                                                              \
        {.name = "A", .types = set, .var = "T"}, {.name = "B", .types = set, .var = "T"},          \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }
#define IN1(set)                                                                                   \
    .in = (const PortDef[])                                                                        \
    {                                                                                              \
        {.name = "X", .types = set, .var = "T"},                                                   \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }
#define OUT(n)                                                                                     \
    .out = (const PortDef[])                                                                       \
    {                                                                                              \
        {.name = n, .types = T_BOOL},                                                              \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }
#define ROW(f)                                                                                     \
    .eval1 = e_##f, .evali = i_##f, .map = m_##f, .infer = infer_##f, .result = DT_BOOL,           \
    .traits = OP_PURE

const OpDef compare_ops[] = {
    {.name = "Equal",
     .since = 19,
     .calls = CALL_BIT(string_equal),
     .about = "x = y",
     IN2(T_NUMBER | T_BOOL | T_STRING),
     OUT("C"),
     ROW(equal) | OP_COMMUTES,
     .eval = eval_equal,
     .lower = lower_equal},
    {.name = "Less", .since = 13, .about = "x < y", IN2(T_NUMBER), OUT("C"), ROW(less)},
    {.name = "LessOrEqual",
     .since = 16,
     .about = "x <= y",
     IN2(T_NUMBER),
     OUT("C"),
     ROW(less_equal)},
    {.name = "Greater", .since = 13, .about = "x > y", IN2(T_NUMBER), OUT("C"), ROW(greater)},
    {.name = "GreaterOrEqual",
     .since = 16,
     .about = "x >= y",
     IN2(T_NUMBER),
     OUT("C"),
     ROW(greater_equal)},
    {.name = "IsNaN",
     .since = 20,
     .about = "is it no number",
     IN1(T_FLOAT | T_FLOAT_NARROW),
     OUT("Y"),
     .eval1 = e_isnan,
     .map = m_isnan,
     .result = DT_BOOL,
     .traits = OP_PURE},
    {.name = "IsInf",
     .since = 20,
     .about = "is it infinite",
     IN1(T_FLOAT | T_FLOAT_NARROW),
     OUT("Y"),
     .eval1 = e_isinf,
     .map = m_isinf,
     .result = DT_BOOL,
     .traits = OP_PURE,
     .attr = (const AttrDef[]){ATTR_I("detect_negative", 1), ATTR_I("detect_positive", 1), {0}}},
    {0},
};
