/* unpool.c: MaxUnpool: values scattered to the places that MaxPool took them from. */
#include "ir/ops/compose.h"
#include "ir/ops/ops_common.h"
#include "ir/ops/window.h"

/* Extents that the pooled image had, going by the attributes: places count in these. */
static Status unpool_dims(Module *m, const Node *n, Diag *d, Dim *dims)
{
    const Type *x = in_type(n, 0);
    int space = x->rank - 2;
    int64_t kernel[MAX_RANK], stride[MAX_RANK], pads[2 * MAX_RANK];
    int count;

    if (space < 1) return op_error(n, d, "X", "MaxUnpool: rank %d", x->rank);
    attr_ints(n, "kernel_shape", &count);
    if (count != space)
        return op_error(n, d, "kernel_shape", "MaxUnpool: %d numbers, expected %d", count, space);
    TRY(window_ints(n, d, "kernel_shape", space, 1, 1, kernel));
    TRY(window_ints(n, d, "strides", space, 1, 1, stride));
    TRY(window_ints(n, d, "pads", 2 * space, 0, 0, pads));
    dims[0] = x->dim[0];
    dims[1] = x->dim[1];
    for (int i = 0; i < space; i++) {
        Dim e = dim_mul_c(&m->dims, dim_add_c(&m->dims, x->dim[2 + i], -1), stride[i]);
        dims[2 + i] = dim_add_c(&m->dims, e, kernel[i] - pads[i] - pads[i + space]);
    }
    return OK;
}

static Status infer_unpool(Infer *cx, Node *n)
{
    const Type *x = in_type(n, 0);
    Dim dims[MAX_RANK];
    const Dim *shape;
    int count;

    TRY(infer_ranked(cx, n, 0));
    TRY(unpool_dims(cx->module, n, cx->diag, dims));
    TRY(infer_elements(cx, n, 2, 0, DIM_TOP, &shape, &count));
    if (shape && count != x->rank)
        return op_error(n, cx->diag, "output_shape", "MaxUnpool: %d numbers for rank %d", count,
                        x->rank);
    infer_out(cx, n, 0, x->dtype, x->rank, shape ? shape : dims);
    return OK;
}

static Status lower_unpool(Build *b, const Node *n, Value **out)
{
    const Type *x = in_type(n, 0), *to = &n->out[0]->type;
    SxTable *t = b->sx;
    DType d = x->dtype;
    Dim own[MAX_RANK], total, elements = type_count(b->dims, x);
    const Sx *idx[MAX_RANK], *guard = NULL, *e;
    Value *flat[3], *y;
    Attr axis = attr_of_int("axis", 0);

    TRY(unpool_dims(b->module, n, b->diag, own));
    total = dim_product(b->dims, x->rank, own);
    flat[0] = build_map(b, "fill", 0, NULL, d, 1, &total, sx_const(t, d, 0));
    flat[1] = build_reshape(b, n->in[1], 1, &elements);
    flat[2] = build_reshape(b, n->in[0], 1, &elements);
    y = build_op(b, "ScatterElements", 3, flat, 1, &axis);
    y = y ? build_reshape(b, y, x->rank, own) : NULL;
    if (!y) return b->status;
    for (int i = 0; i < x->rank; i++) { /* within an image of another size: at its start */
        idx[i] = sx_index(t, i);
        guard = sx_both(b, guard, sx_inside(b, idx[i], own[i], x->rank, to->dim));
    }
    e = sx_at_guarded(b, 0, y, idx, guard);
    out[0] = build_map(b, "unpool", 1, &y, d, x->rank, to->dim, e);
    return b->status;
}

const OpDef unpool_ops[] = {
    {.name = "MaxUnpool",
     .since = 22,
     .about = "values back at the places that MaxPool took them from",
     ROW_IN({"X", T_FLOAT, "T1"}, {"I", DT_BIT(DT_I64)},
            {"output_shape", DT_BIT(DT_I64), NULL, true}),
     ROW_OUT({"output", T_FLOAT, "T1"}),
     ROW_ATTRS(ATTR_REQ("kernel_shape", ATTR_INTS), ATTR_OPT("pads", ATTR_INTS),
               ATTR_OPT("strides", ATTR_INTS)),
     .traits = OP_PURE,
     .infer = infer_unpool,
     .eval = compose_eval,
     .lower = lower_unpool},
    {0},
};
