/* scan.c: CumSum and CumProd: one running accumulator along an axis. */
#include "ir/ops/ops_common.h"

static Status infer_scan(Infer *cx, Node *n)
{
    const int64_t *axis;
    int count, a;

    TRY(infer_ranked(cx, n, 0));
    if (in_type(n, 0)->rank == 0)
        return op_error(n, cx->diag, "x", "%s: a scalar has no axis", n->op->name);
    if (const_ints(n->in[1], cx->module->arena, &axis, &count)) {
        if (count != 1)
            return op_error(n, cx->diag, "axis", "%s: %d axes, expected 1", n->op->name, count);
        TRY(infer_axis(n, cx->diag, "axis", axis[0], in_type(n, 0)->rank, &a));
    }
    infer_same(cx, n, 0, 0);
    return OK;
}

static bool is_product(const Node *n)
{
    return n->op->name[3] == 'P';
}

static Status eval_scan(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    const Tensor *x = in[0];
    bool exclusive = attr_int(n, "exclusive", 0) != 0, reverse = attr_int(n, "reverse", 0) != 0;
    bool product = is_product(n), floats = dtype_is_float(x->dtype);
    int64_t outer = 1, inner = 1, count;
    int axis;

    TRY(infer_axis(n, cx->diag, "axis", tensor_int(in[1], 0), x->rank, &axis));
    for (int i = 0; i < x->rank; i++) {
        if (i < axis) outer *= x->dim[i];
        if (i > axis) inner *= x->dim[i];
    }
    count = x->dim[axis];
    TRY(eval_out(cx, n, &out[0], x->dtype, x->rank, x->dim));
    for (int64_t o = 0; o < outer && x->count; o++)
        for (int64_t c = 0; c < inner; c++) {
            double sum = product;
            uint64_t isum = product;
            for (int64_t k = 0; k < count; k++) {
                int64_t e = (o * count + (reverse ? count - 1 - k : k)) * inner + c;
                double v = floats ? tensor_double(x, e) : 0;
                uint64_t i = floats ? 0 : (uint64_t)tensor_int(x, e);
                double next = product ? sum * v : sum + v;
                uint64_t inext = product ? isum * i : isum + i;
                if (floats)
                    tensor_set_double(out[0], e, exclusive ? sum : next);
                else
                    tensor_set_int(out[0], e, (int64_t)(exclusive ? isum : inext));
                sum = next;
                isum = inext;
            }
        }
    return OK;
}

static DType scan_dtype(DType t)
{
    if (dtype_is_float(t)) return compute_dtype(t);
    return dtype_bits(t) < 32 ? DT_I32 : t;
}

/* A scan runs forward; backward ones count the axis from its end, in and out. */
static Value *scan_along(Build *b, const Node *n, int axis)
{
    SxTable *t = b->sx;
    Value *x = n->in[0], *y;
    const Type *type = &x->type;
    DType acc = scan_dtype(type->dtype);
    bool exclusive = attr_int(n, "exclusive", 0) != 0, reverse = attr_int(n, "reverse", 0) != 0;
    Monoid m = is_product(n) ? MONOID_PROD : MONOID_SUM;
    const Sx *idx[MAX_RANK], *at, *e;
    const Sx *last = sx_sub(t, sx_dim(t, type->dim[axis]), sx_i64(b, 1));

    for (int i = 0; i < type->rank; i++)
        idx[i] = sx_index(t, i);
    at = idx[axis];
    if (exclusive) at = sx_sub(t, at, sx_i64(b, 1));
    const Sx *inside = exclusive ? sx_le(t, sx_i64(b, 0), at) : NULL;
    idx[axis] = reverse ? sx_sub(t, last, at) : at;
    e = sx_cast(t, sx_at_guarded(b, 0, x, idx, inside), acc);
    if (inside && m == MONOID_PROD) e = sx_select(t, inside, e, sx_const(t, acc, 1));
    Acc a = {.monoid = m, .dtype = acc, .body = e};
    StageOut o = {.dtype = type->dtype, .value = sx_cast(t, sx_acc(t, 0, acc), type->dtype)};
    Stage s = {.rank = type->rank,
               .extent = (Dim *)(uintptr_t)type->dim,
               .order = ORDER_CHAIN,
               .n_acc = 1,
               .acc = &a,
               .scan_axis = axis,
               .n_out = 1,
               .out = &o};
    Node *k = build_stage(b, n->op->name, 1, &x, &s, 1, NULL);
    if (!k || !reverse) return k ? k->out[0] : NULL;
    y = k->out[0];
    for (int i = 0; i < type->rank; i++)
        idx[i] = i == axis ? sx_sub(t, last, sx_index(t, i)) : sx_index(t, i);
    return build_map(b, "reverse", 1, &y, type->dtype, type->rank, type->dim, sx_at(b, 0, y, idx));
}

/* An axis that only the run knows: a scan along each, and a choice. */
static Value *scan_any(Build *b, const Node *n)
{
    SxTable *t = b->sx;
    const Type *type = in_type(n, 0);
    int rank = type->rank;
    Dim axis = build_bind(b, n->in[1], 0, "axis", -rank, rank - 1);
    Value *y = NULL;

    for (int i = 0; i < rank; i++) {
        Value *in[2] = {scan_along(b, n, i), y};
        const Sx *e;

        if (!in[0]) return NULL;
        if (!y) {
            y = in[0];
            continue;
        }
        e = sx_select(t, sx_names_axis(b, axis, i, rank), sx_operand(b, 0, in[0], rank, type->dim),
                      sx_operand(b, 1, y, rank, type->dim));
        y = build_map(b, "choose", 2, in, type->dtype, rank, type->dim, e);
    }
    return y;
}

static Status lower_scan(Build *b, const Node *n, Value **out)
{
    const int64_t *axis;
    int count, a;

    if (!const_ints(n->in[1], b->module->arena, &axis, &count)) {
        out[0] = scan_any(b, n);
        return b->status;
    }
    TRY(infer_axis(n, b->diag, "axis", axis[0], in_type(n, 0)->rank, &a));
    out[0] = scan_along(b, n, a);
    return b->status;
}

#define SCAN_ROW(NAME, SINCE, ABOUT)                                                               \
    {                                                                                              \
        .name = NAME, .since = SINCE, .about = ABOUT,                                              \
        ROW_IN({"x", T_NUMBER, "T"}, {"axis", DT_BIT(DT_I32) | DT_BIT(DT_I64), .single = true}),   \
        ROW_OUT({"y", T_NUMBER, "T"}), ROW_ATTRS(ATTR_I("exclusive", 0), ATTR_I("reverse", 0)),    \
        .traits = OP_PURE, .infer = infer_scan, .eval = eval_scan, .lower = lower_scan             \
    }

const OpDef scan_ops[] = {
    SCAN_ROW("CumSum", 14, "running sum along an axis"),
    SCAN_ROW("CumProd", 26, "running product along an axis"),
    {0},
};
