/* axes.c: sets of axes. See axes.h. */
#include "ir/ops/axes.h"

#include <string.h>

static bool axes_empty(const Node *n)
{
    const Type *t = in_type(n, 1);
    return t->kind == TYPE_TENSOR && t->rank == 1 && dim_is(t->dim[0], 0);
}

bool axes_open(const Node *n)
{
    const int64_t *axes;
    int count;

    return has_in(n, 1) && !axes_empty(n) &&
           !const_ints(n->in[1], n->parent->module->arena, &axes, &count);
}

static Status axes_mask(const Node *n, Diag *d, int count, const int64_t *axes, int rank,
                        uint32_t *mask)
{
    int axis;

    *mask = 0;
    if (count == 0) {
        if (!attr_int(n, "noop_with_empty_axes", 0)) *mask = (1u << rank) - 1;
        return OK;
    }
    for (int i = 0; i < count; i++) {
        TRY(infer_axis(n, d, "axes", axes[i], rank, &axis));
        *mask |= 1u << axis;
    }
    return OK;
}

Status axes_read(const Node *n, Diag *d, int rank, uint32_t *mask)
{
    Arena *a = n->parent->module->arena;
    const int64_t *axes = NULL;
    int count = 0;

    if (!has_in(n, 1))
        axes = attr_ints(n, "axes", &count);
    else if (!axes_empty(n) && !const_ints(n->in[1], a, &axes, &count))
        return op_unsupported(n, d, "axes that are only known at run time");
    return axes_mask(n, d, count, axes, rank, mask);
}

Status axes_of_tensor(const Node *n, Diag *d, const Tensor *axes, int rank, uint32_t *mask)
{
    int64_t list[MAX_RANK];

    if (!axes) return axes_read(n, d, rank, mask);
    if (axes->count > MAX_RANK)
        return op_error(n, d, "axes", "%s: %lld axes", n->op->name, (long long)axes->count);
    for (int64_t i = 0; i < axes->count; i++)
        list[i] = tensor_int(axes, i);
    return axes_mask(n, d, (int)axes->count, list, rank, mask);
}

/* ---- axes that only the run knows ---- */

static Status open_list(Infer *cx, const Node *n, AxisList *axes)
{
    return infer_axes(cx, (Node *)(uintptr_t)n, 1, in_type(n, 0)->rank, 0, axes);
}

/* d on the axes that are not listed, 1 on the others; the other way round with `listed`. */
static Dim open_part(Build *b, const AxisList *axes, const Type *x, int i, bool listed)
{
    const Sx *in = sx_listed(b, axes, i, x->rank), *d = sx_dim(b->sx, x->dim[i]);
    const Sx *one = sx_i64(b, 1);

    in = sx_ne(b->sx, in, sx_i64(b, 0));
    return dim_of_sx(b, 0, NULL,
                     listed ? sx_select(b->sx, in, d, one) : sx_select(b->sx, in, one, d), 0,
                     x->dim[i]->hi > 1 ? x->dim[i]->hi : 1);
}

Status axes_infer_open(Infer *cx, Node *n, DType t, bool keep)
{
    const Type *x = in_type(n, 0);
    AxisList axes;
    Dim dims[MAX_RANK];

    TRY(open_list(cx, n, &axes));
    if (2 * x->rank > MAX_RANK)
        return op_unsupported(n, cx->diag, "open axes of a tensor of rank %d", x->rank);
    for (int i = 0; i < x->rank && keep; i++)
        dims[i] = open_part(cx->build, &axes, x, i, false);
    if (!keep) dims_without(cx->build, x, &axes, dims);
    infer_out(cx, n, 0, t, keep ? x->rank : x->rank - axes.n, dims);
    return cx->build->status;
}

Status axes_lower_open(Build *b, const Node *n, Value **out)
{
    const Type *x = in_type(n, 0), *to = &n->out[0]->type;
    Infer cx = {.module = b->module, .build = b, .diag = b->diag};
    AxisList axes;
    Dim dims[MAX_RANK];
    int64_t odd[MAX_RANK];
    Value *in[2], *v;
    Attr keep = attr_of_int("keepdims", 0);

    TRY(open_list(&cx, n, &axes));
    for (int i = 0; i < x->rank; i++) {
        dims[2 * i] = open_part(b, &axes, x, i, false);
        dims[2 * i + 1] = open_part(b, &axes, x, i, true);
        odd[i] = 2 * i + 1;
    }
    in[0] = build_reshape(b, n->in[0], 2 * x->rank, dims);
    in[1] = build_i64(b, x->rank, odd);
    v = build_op(b, n->op->name, 2, in, 1, &keep);
    out[0] = v ? build_reshape(b, v, to->rank, to->dim) : NULL;
    return b->status;
}

/* ---- axes that are known ---- */

int axes_result(DimTable *t, const Type *x, uint32_t mask, bool keep, Dim *dims)
{
    int rank = 0;

    for (int i = 0; i < x->rank; i++)
        if (!(mask >> i & 1))
            dims[rank++] = x->dim[i];
        else if (keep)
            dims[rank++] = dim_const(t, 1);
    return rank;
}

int axes_reduced(const Type *x, uint32_t mask, Dim *reduce)
{
    int n = 0;

    for (int i = 0; i < x->rank; i++)
        if (mask >> i & 1) reduce[n++] = x->dim[i];
    return n;
}

Dim axes_count(DimTable *t, const Type *x, uint32_t mask)
{
    Dim reduce[MAX_RANK];
    int n = axes_reduced(x, mask, reduce);

    return dim_product(t, n, reduce);
}

const Sx *axes_operand(Build *b, int src, const Value *x, uint32_t mask, bool keep, int result_rank)
{
    const Sx *idx[MAX_RANK];
    int domain = 0, reduced = result_rank;

    for (int i = 0; i < x->type.rank; i++) {
        bool in = mask >> i & 1;
        idx[i] = sx_index(b->sx, in ? reduced++ : domain);
        if (!in || keep) domain++;
    }
    return sx_at(b, src, x, idx);
}

Value *axes_reduce(Build *b, const char *label, Value *x, uint32_t mask, bool keep, Monoid m,
                   const Sx *body, DType acc, DType out, const Sx *value)
{
    Dim dims[MAX_RANK], reduce[MAX_RANK];
    Acc a = {.monoid = m, .dtype = acc, .body = body};
    int rank, n;

    if (b->status != OK) return NULL;
    rank = axes_result(b->dims, &x->type, mask, keep, dims);
    n = axes_reduced(&x->type, mask, reduce);
    return build_reduce(b, label, 1, &x, rank, dims, n, reduce, order_of_reduce(x->type.rank, mask),
                        a, out, value);
}

void axes_eval_start(const Tensor *x, uint32_t mask, AxesEval *w)
{
    w->rank = x->rank;
    w->count = 1;
    eval_strides(x->rank, x->dim, w->stride);
    for (int i = 0; i < x->rank; i++) {
        bool in = mask >> i & 1;
        w->outer[i] = in ? 1 : x->dim[i];
        w->inner[i] = in ? x->dim[i] : 1;
        w->count *= w->inner[i];
    }
}

int axes_eval_dims(const Tensor *x, uint32_t mask, bool keep, int64_t *dims)
{
    int rank = 0;

    for (int i = 0; i < x->rank; i++)
        if (!(mask >> i & 1))
            dims[rank++] = x->dim[i];
        else if (keep)
            dims[rank++] = 1;
    return rank;
}

int64_t axes_eval_at(const AxesEval *w, const int64_t *outer, const int64_t *inner)
{
    int64_t at = 0;

    for (int i = 0; i < w->rank; i++)
        at += (outer[i] + inner[i]) * w->stride[i];
    return at;
}
