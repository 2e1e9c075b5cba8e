/* col2im.c: Col2Im: columns of blocks summed back into an image, [N, C * block, L] -> [N, C,
 * image].
 *
 * Lowered as the gather that it is: a pixel sums, over the places in a block, the column whose
 * window puts that place on the pixel, where there is one. */
#include "ir/ops/ops_common.h"
#include "support/checked.h"

#define MAX_SPACE (MAX_RANK - 2)

typedef struct Window {
    int n; /* spatial axes */
    int64_t stride[MAX_SPACE], dilation[MAX_SPACE], begin[MAX_SPACE], end[MAX_SPACE];
} Window;

static Status window_ints(const Node *n, Diag *d, const char *name, int want, int64_t least,
                          int64_t absent, int64_t *out)
{
    int count;
    const int64_t *v = attr_ints(n, name, &count);

    if (v && count != want)
        return op_error(n, d, name, "Col2Im: %d entries, expected %d", count, want);
    for (int i = 0; i < want; i++) {
        out[i] = v ? v[i] : absent;
        if (out[i] < least || out[i] > INT32_MAX)
            return op_error(n, d, name, "Col2Im: entry %d is %lld", i, (long long)out[i]);
    }
    return OK;
}

static Status window_of(const Node *n, Diag *d, int spatial, Window *w)
{
    int64_t pads[2 * MAX_SPACE];

    if (spatial < 1 || spatial > MAX_SPACE)
        return op_error(n, d, "image_shape", "Col2Im: %d spatial axes", spatial);
    w->n = spatial;
    TRY(window_ints(n, d, "strides", spatial, 1, 1, w->stride));
    TRY(window_ints(n, d, "dilations", spatial, 1, 1, w->dilation));
    TRY(window_ints(n, d, "pads", 2 * spatial, 0, 0, pads));
    for (int i = 0; i < spatial; i++) {
        w->begin[i] = pads[i];
        w->end[i] = pads[spatial + i];
    }
    return OK;
}

/* Columns along spatial axis i. */
static Dim columns_of(DimTable *t, const Window *w, int i, Dim image, Dim block)
{
    Dim reach = dim_mul_c(t, dim_add_c(t, block, -1), w->dilation[i]);
    Dim room = dim_sub(t, dim_add_c(t, image, w->begin[i] + w->end[i] - 1), reach);

    return dim_add_c(t, dim_div(t, room, dim_const(t, w->stride[i])), 1);
}

static Status col2im_dims(Infer *cx, Node *n, Window *w, const Dim **image, const Dim **block)
{
    int spatial, count;

    TRY(infer_ranked(cx, n, 0));
    TRY(infer_elements(cx, n, 1, 0, DIM_TOP, image, &spatial));
    TRY(infer_elements(cx, n, 2, 1, DIM_TOP, block, &count));
    TRY(window_of(n, cx->diag, spatial, w));
    if (count != spatial || in_type(n, 0)->rank != 3)
        return op_error(n, cx->diag, "block_shape",
                        "Col2Im: %d entries for an image of %d; rank "
                        "%d, expected 3",
                        count, spatial, in_type(n, 0)->rank);
    return OK;
}

static Status infer_col2im(Infer *cx, Node *n)
{
    DimTable *t = &cx->module->dims;
    const Type *x = in_type(n, 0);
    const Dim *image, *block;
    Dim dims[MAX_RANK];
    Window w;

    TRY(col2im_dims(cx, n, &w, &image, &block));
    dims[0] = x->dim[0];
    dims[1] = dim_ratio(t, 1, &x->dim[1], w.n, block);
    for (int i = 0; i < w.n; i++)
        dims[2 + i] = image[i];
    infer_out(cx, n, 0, x->dtype, 2 + w.n, dims);
    return OK;
}

static Status eval_col2im(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    const Tensor *x = in[0];
    int spatial = (int)in[1]->count;
    int64_t dims[MAX_RANK], grid[MAX_SPACE], block[MAX_SPACE];
    int64_t per_block = 1, columns = 1;
    Window w;

    TRY(window_of(n, cx->diag, spatial, &w));
    if (in[2]->count != spatial || x->rank != 3)
        return op_error(n, cx->diag, NULL, "Col2Im: the shapes do not fit");
    for (int i = 0; i < spatial; i++) {
        block[i] = tensor_int(in[2], i);
        dims[2 + i] = tensor_int(in[1], i);
        if (block[i] < 1 || block[i] > INT32_MAX || dims[2 + i] < 0 || dims[2 + i] > INT32_MAX)
            return op_error(n, cx->diag, NULL, "Col2Im: impossible extents");
        int64_t room = dims[2 + i] + w.begin[i] + w.end[i] - w.dilation[i] * (block[i] - 1) - 1;
        grid[i] = room < 0 ? 0 : room / w.stride[i] + 1;
        if (!checked_mul_i64(per_block, block[i], &per_block) ||
            !checked_mul_i64(columns, grid[i], &columns))
            return op_error(n, cx->diag, NULL, "Col2Im: impossible extents");
    }
    if (columns != x->dim[2] || x->dim[1] % per_block != 0)
        return op_error(n, cx->diag, NULL, "Col2Im: the input has %lld columns, expected %lld",
                        (long long)x->dim[2], (long long)columns);
    dims[0] = x->dim[0];
    dims[1] = x->dim[1] / per_block;
    TRY(eval_out(cx, n, &out[0], x->dtype, 2 + spatial, dims));
    double *sum = arena_try(cx->arena, (size_t)out[0]->count, sizeof *sum); /* rounded once */
    if (!sum) return op_error(n, cx->diag, NULL, "Col2Im: no memory for the sums");
    int64_t all[3 + 2 * MAX_SPACE], where[3 + 2 * MAX_SPACE] = {0};
    int rank = 1 + 2 * spatial;
    all[0] = dims[0] * dims[1];
    for (int i = 0; i < spatial; i++) {
        all[1 + i] = block[i];
        all[1 + spatial + i] = grid[i];
    }
    for (int64_t e = 0; e < x->count; e++, eval_next(rank, all, where)) {
        int64_t at = where[0];
        bool inside = true;
        for (int i = 0; i < spatial; i++) {
            int64_t p =
                where[1 + spatial + i] * w.stride[i] + where[1 + i] * w.dilation[i] - w.begin[i];
            inside &= p >= 0 && p < dims[2 + i];
            at = at * dims[2 + i] + p;
        }
        if (!inside) continue;
        if (dtype_is_float(x->dtype))
            sum[at] += tensor_double(x, e);
        else
            tensor_set_int(
                out[0], at,
                (int64_t)((uint64_t)tensor_int(out[0], at) + (uint64_t)tensor_int(x, e)));
    }
    for (int64_t e = 0; dtype_is_float(x->dtype) && e < out[0]->count; e++)
        tensor_set_double(out[0], e, sum[e]);
    return OK;
}

static DType sum_dtype(DType t)
{
    if (dtype_is_float(t)) return compute_dtype(t);
    if (t == DT_U32 || t == DT_U64 || t == DT_I64) return t;
    return DT_I32;
}

static Status lower_col2im(Build *b, const Node *n, Value **out)
{
    const Type *x = in_type(n, 0), *to = &n->out[0]->type;
    SxTable *t = b->sx;
    Infer cx = {.module = b->module, .build = b, .diag = b->diag};
    const Dim *image, *block;
    const Sx *guard = NULL, *place = sx_index(t, 1), *column = sx_i64(b, 0), *idx[3];
    Dim columns = dim_const(b->dims, 1);
    Acc acc = {.monoid = MONOID_SUM, .dtype = sum_dtype(to->dtype)};
    Window w;

    if (!(T_NUMBER & DT_BIT(to->dtype)))
        return op_unsupported(n, b->diag, "sums of %s", dtype_text(to->dtype));
    TRY(col2im_dims(&cx, (Node *)(uintptr_t)n, &w, &image, &block));
    for (int i = 0; i < w.n; i++) {
        const Sx *k = sx_index(t, 2 + w.n + i), *stride = sx_i64(b, w.stride[i]), *p;
        Dim grid = columns_of(b->dims, &w, i, image[i], block[i]);
        p = sx_sub(t, sx_add(t, sx_index(t, 2 + i), sx_i64(b, w.begin[i])),
                   sx_mul(t, k, sx_i64(b, w.dilation[i])));
        const Sx *c = sx_floor_div(t, p, stride);
        if (w.stride[i] != 1)
            guard = sx_both(b, guard, sx_eq(t, sx_floor_mod(t, p, stride), sx_i64(b, 0)));
        guard = sx_both(b, guard, sx_le(t, sx_i64(b, 0), c));
        guard = sx_both(b, guard, sx_lt(t, c, sx_dim(t, grid)));
        place = sx_add(t, sx_mul(t, place, sx_dim(t, block[i])), k);
        column = sx_add(t, sx_mul(t, column, sx_dim(t, grid)), c);
        columns = dim_mul(b->dims, columns, grid);
    }
    build_require_equal(b, columns, x->dim[2]);
    build_require_equal(b, dim_mul(b->dims, to->dim[1], dim_product(b->dims, w.n, block)),
                        x->dim[1]);
    idx[0] = sx_index(t, 0);
    idx[1] = place;
    idx[2] = column;
    acc.body = sx_cast(t, sx_at_guarded(b, 0, n->in[0], idx, guard), acc.dtype);
    out[0] = build_reduce(b, "col2im", 1, n->in, to->rank, to->dim, w.n, block, ORDER_CHAIN, acc,
                          to->dtype, NULL);
    return b->status;
}

const OpDef col2im_ops[] = {
    {.name = "Col2Im",
     .since = 18,
     .about = "columns of blocks summed into an image",
     .in = (const PortDef[]){{.name = "input", .types = T_ANY, .var = "T"},
                             {.name = "image_shape", .types = DT_BIT(DT_I64)},
                             {.name = "block_shape", .types = DT_BIT(DT_I64)},
                             {0}},
     .out = OUT_T("output"),
     .attr = (const AttrDef[]){ATTR_OPT("strides", ATTR_INTS),
                               ATTR_OPT("pads", ATTR_INTS),
                               ATTR_OPT("dilations", ATTR_INTS),
                               {0}},
     .infer = infer_col2im,
     .eval = eval_col2im,
     .lower = lower_col2im,
     .traits = OP_PURE},
    {0},
};
