/* axes.c: sets of axes. See axes.h. */
#include "ir/ops/axes.h"

#include <string.h>

Status axes_read(const Node *n, Diag *d, int rank, uint32_t *mask)
{
    Arena *a = n->parent->module->arena;
    const int64_t *axes;
    int count = 0, axis;

    if (has_in(n, 1)) {
        if (!const_ints(n->in[1], a, &axes, &count))
            return op_unsupported(n, d, "axes that are only known at run time");
    } else {
        axes = attr_ints(n, "axes", &count);
    }
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
