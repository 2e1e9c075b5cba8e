/* sort.c: TopK, a call of the runtime, along the last axis. */
#include "ir/ops/ops_common.h"

static Status infer_topk(Infer *cx, Node *n)
{
    const Type *x = in_type(n, 0);
    Dim dims[MAX_RANK];
    const Dim *k;
    int axis, count;

    TRY(infer_ranked(cx, n, 0));
    if (x->rank == 0) return op_error(n, cx->diag, "X", "TopK: a scalar has no axis");
    TRY(infer_axis(n, cx->diag, "axis", attr_int(n, "axis", -1), x->rank, &axis));
    TRY(infer_elements(cx, n, 1, 0, DIM_TOP, &k, &count));
    if (count == 0 && n->in[1]->data == NULL && !k)
        return op_error(n, cx->diag, "K", "TopK: K is missing");
    if (count != 1) return op_error(n, cx->diag, "K", "TopK: K has %d elements", count);
    if (dim_lt(&cx->module->dims, x->dim[axis], k[0]))
        return op_error(n, cx->diag, "K", "TopK: the %lld first of an axis of %lld",
                        (long long)k[0]->lo, (long long)x->dim[axis]->hi);
    for (int i = 0; i < x->rank; i++)
        dims[i] = i == axis ? k[0] : x->dim[i];
    infer_out(cx, n, 0, x->dtype, x->rank, dims);
    infer_out(cx, n, 1, DT_I64, x->rank, dims);
    return OK;
}

/* -1, 0, 1; NaN is greatest. */
static int compare_at(const Tensor *x, int64_t i, int64_t j)
{
    if (dtype_is_float(x->dtype)) {
        double a = tensor_double(x, i), b = tensor_double(x, j);
        if (a != a || b != b) return (a != a) - (b != b);
        return (a > b) - (a < b);
    }
    int64_t a = tensor_int(x, i), b = tensor_int(x, j);
    if (x->dtype == DT_U64) return ((uint64_t)a > (uint64_t)b) - ((uint64_t)a < (uint64_t)b);
    return (a > b) - (a < b);
}

/* Selection, one after the other: the first of what is left. */
static Status eval_topk(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    const Tensor *x = in[0];
    int64_t outer = 1, inner = 1, dims[MAX_RANK], k, count;
    int axis, want = attr_int(n, "largest", 1) ? 1 : -1;
    Tensor *r[2];
    bool *taken;

    if (x->rank == 0 || in[1]->count != 1) return op_error(n, cx->diag, "K", "TopK: one K");
    TRY(infer_axis(n, cx->diag, "axis", attr_int(n, "axis", -1), x->rank, &axis));
    k = tensor_int(in[1], 0);
    count = x->dim[axis];
    if (k < 0 || k > count)
        return op_error(n, cx->diag, "K", "TopK: the %lld first of an axis of %lld", (long long)k,
                        (long long)count);
    for (int i = 0; i < x->rank; i++) {
        dims[i] = i == axis ? k : x->dim[i];
        if (i < axis) outer *= x->dim[i];
        if (i > axis) inner *= x->dim[i];
    }
    TRY(eval_out(cx, n, &r[0], x->dtype, x->rank, dims));
    TRY(eval_out(cx, n, &r[1], DT_I64, x->rank, dims));
    taken = arena_try(cx->arena, (size_t)count + 1, sizeof *taken);
    if (!taken) return diag(cx->diag, ERR_LIMIT, node_where(n), "TopK: no memory");
    for (int64_t o = 0; o < outer; o++)
        for (int64_t c = 0; c < inner; c++) {
            for (int64_t i = 0; i < count; i++)
                taken[i] = false;
            for (int64_t j = 0; j < k; j++) {
                int64_t best = -1;
                for (int64_t i = 0; i < count; i++)
                    if (!taken[i] &&
                        (best < 0 || compare_at(x, (o * count + i) * inner + c,
                                                (o * count + best) * inner + c) == want))
                        best = i;
                taken[best] = true;
                eval_copy_element(r[0], (o * k + j) * inner + c, x, (o * count + best) * inner + c);
                tensor_set_int(r[1], (o * k + j) * inner + c, best);
            }
        }
    for (int i = 0; i < n->n_out; i++)
        out[i] = r[i];
    return OK;
}

/* Axes with `axis` and the last one exchanged; false when it is the last. */
static bool exchange(int rank, int axis, int *perm)
{
    for (int i = 0; i < rank; i++)
        perm[i] = i == axis ? rank - 1 : i == rank - 1 ? axis : i;
    return axis != rank - 1;
}

static Status lower_topk(Build *b, const Node *n, Value **out)
{
    const Type *known = has_out(n, 0) ? &n->out[0]->type : &n->out[1]->type;
    Value *x = n->in[0];
    Dim dims[MAX_RANK];
    int axis, perm[MAX_RANK], rank = x->type.rank;
    bool turned;
    Node *call;

    TRY(infer_axis(n, b->diag, "axis", attr_int(n, "axis", -1), rank, &axis));
    turned = exchange(rank, axis, perm);
    for (int i = 0; i < rank; i++)
        dims[i] = known->dim[perm[i]];
    if (turned) x = build_transpose(b, x, perm);
    if (b->status != OK) return b->status;
    Type types[2] = {type_tensor(x->type.dtype, rank, dims), type_tensor(DT_I64, rank, dims)};
    call = build_call(b, "topk", 1, &x, 2, types, 1, (const int64_t[]){attr_int(n, "largest", 1)},
                      0, NULL);
    for (int k = 0; call && k < n->n_out; k++)
        out[k] = turned && has_out(n, k) ? build_transpose(b, call->out[k], perm) : call->out[k];
    return b->status;
}

const OpDef sort_ops[] = {
    {.name = "TopK",
     .since = 24,
     .calls = CALL_BIT(topk),
     .about = "the greatest or least elements along an axis, in order",
     ROW_IN({"X", T_NUMBER, "T"}, {"K", DT_BIT(DT_I64), .single = true}),
     ROW_OUT({"Values", T_NUMBER, "T", true}, {"Indices", DT_BIT(DT_I64), NULL, true}),
     ROW_ATTRS(ATTR_I("axis", -1), ATTR_I("largest", 1), ATTR_I("sorted", 1)),
     .traits = OP_PURE,
     .infer = infer_topk,
     .eval = eval_topk,
     .lower = lower_topk},
    {0},
};
