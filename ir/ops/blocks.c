/* blocks.c: DepthToSpace and SpaceToDepth: channels and blocks of pixels change places. */
#include <string.h>

#include "ir/ops/ops_common.h"
#include "support/checked.h"

/* ---- DepthToSpace, SpaceToDepth: [N,C,H,W] and blocks of size x size ---- */

static Status block_size(const Node *n, Diag *d, int64_t *size)
{
    *size = attr_int(n, "blocksize", 0);
    if (*size < 1 || *size > 65536)
        return op_error(n, d, "blocksize", "%s: found %lld, expected a positive number",
                        n->op->name, (long long)*size);
    return OK;
}

/* Channels count blocks first (depth, column, row), or are counted first. */
static bool depth_first(const Node *n)
{
    return attr_string(n, "mode", "DCR")[0] == 'D';
}

static Status block_input(Infer *cx, Node *n, int64_t *size)
{
    const char *mode = attr_string(n, "mode", "DCR");

    if (strcmp(mode, "DCR") != 0 && strcmp(mode, "CRD") != 0)
        return op_error(n, cx->diag, "mode", "%s: found \"%s\", expected DCR or CRD", n->op->name,
                        mode);
    TRY(infer_ranked(cx, n, 0));
    if (in_type(n, 0)->rank != 4)
        return op_error(n, cx->diag, NULL, "%s: rank %d, expected 4", n->op->name,
                        in_type(n, 0)->rank);
    return block_size(n, cx->diag, size);
}

static Status infer_depth_to_space(Infer *cx, Node *n)
{
    DimTable *t = &cx->module->dims;
    const Dim *x;
    int64_t s;

    TRY(block_input(cx, n, &s));
    x = in_type(n, 0)->dim;
    if (dim_is_const(x[1]) && x[1]->value % (s * s) != 0)
        return op_error(n, cx->diag, "blocksize",
                        "DepthToSpace: %lld channels are no multiple of "
                        "%lld",
                        (long long)x[1]->value, (long long)(s * s));
    infer_out(cx, n, 0, in_type(n, 0)->dtype, 4,
              (const Dim[]){x[0], dim_div(t, x[1], dim_const(t, s * s)), dim_mul_c(t, x[2], s),
                            dim_mul_c(t, x[3], s)});
    return OK;
}

static Status infer_space_to_depth(Infer *cx, Node *n)
{
    DimTable *t = &cx->module->dims;
    const Dim *x;
    int64_t s;

    TRY(block_input(cx, n, &s));
    x = in_type(n, 0)->dim;
    for (int i = 2; i < 4; i++)
        if (dim_is_const(x[i]) && x[i]->value % s != 0)
            return op_error(n, cx->diag, "blocksize", "SpaceToDepth: dim %d is no multiple of %lld",
                            i, (long long)s);
    infer_out(cx, n, 0, in_type(n, 0)->dtype, 4,
              (const Dim[]){x[0], dim_mul_c(t, x[1], s * s), dim_div(t, x[2], dim_const(t, s)),
                            dim_div(t, x[3], dim_const(t, s))});
    return OK;
}

static Status eval_depth_to_space(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    const Tensor *x = in[0];
    const int64_t *d = x->dim;
    int64_t s, index[4] = {0}, dims[4], depth;
    bool dcr = depth_first(n);

    TRY(block_size(n, cx->diag, &s));
    depth = d[1] / (s * s);
    memcpy(dims, (int64_t[]){d[0], depth, d[2] * s, d[3] * s}, sizeof dims);
    TRY(eval_out(cx, n, &out[0], x->dtype, 4, dims));
    for (int64_t o = 0; o < out[0]->count; o++, eval_next(4, dims, index)) {
        int64_t block = index[2] % s * s + index[3] % s;
        int64_t c = dcr ? block * depth + index[1] : index[1] * s * s + block;
        eval_copy_element(out[0], o, x,
                          ((index[0] * d[1] + c) * d[2] + index[2] / s) * d[3] + index[3] / s);
    }
    return OK;
}

static Status eval_space_to_depth(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    const Tensor *x = in[0];
    const int64_t *d = x->dim;
    int64_t s, index[4] = {0}, dims[4];
    bool dcr = depth_first(n);

    TRY(block_size(n, cx->diag, &s));
    memcpy(dims, (int64_t[]){d[0], d[1] * s * s, d[2] / s, d[3] / s}, sizeof dims);
    TRY(eval_out(cx, n, &out[0], x->dtype, 4, dims));
    for (int64_t o = 0; o < out[0]->count; o++, eval_next(4, dims, index)) {
        int64_t c = dcr ? index[1] % d[1] : index[1] / (s * s);
        int64_t block = dcr ? index[1] / d[1] : index[1] % (s * s);
        int64_t h = index[2] * s + block / s, w = index[3] * s + block % s;
        eval_copy_element(out[0], o, x, ((index[0] * d[1] + c) * d[2] + h) * d[3] + w);
    }
    return OK;
}

/* Split into six dims, permute, join. */
static Status lower_blocks(Build *b, const Node *n, const Dim *six, const int *perm, Value **out)
{
    const Type *to = &n->out[0]->type;
    Value *v = n->in[0];

    TRY(lower_movable(b, n, to->dtype));
    build_require_equal(b, type_count(b->dims, in_type(n, 0)), dim_product(b->dims, 6, six));
    v = build_reshape(b, v, 6, six);
    v = v ? build_transpose(b, v, perm) : NULL;
    out[0] = v ? build_reshape(b, v, 4, to->dim) : NULL;
    return b->status;
}

static Status lower_depth_to_space(Build *b, const Node *n, Value **out)
{
    const Dim *x = in_type(n, 0)->dim, depth = n->out[0]->type.dim[1];
    Dim s = dim_const(b->dims, attr_int(n, "blocksize", 1));

    if (depth_first(n))
        return lower_blocks(b, n, (const Dim[]){x[0], s, s, depth, x[2], x[3]},
                            (const int[]){0, 3, 4, 1, 5, 2}, out);
    return lower_blocks(b, n, (const Dim[]){x[0], depth, s, s, x[2], x[3]},
                        (const int[]){0, 1, 4, 2, 5, 3}, out);
}

static Status lower_space_to_depth(Build *b, const Node *n, Value **out)
{
    const Dim *x = in_type(n, 0)->dim, *y = n->out[0]->type.dim;
    Dim s = dim_const(b->dims, attr_int(n, "blocksize", 1));

    return lower_blocks(
        b, n, (const Dim[]){x[0], x[1], y[2], s, y[3], s},
        depth_first(n) ? (const int[]){0, 3, 5, 1, 2, 4} : (const int[]){0, 1, 3, 5, 2, 4}, out);
}

/* ---- the table ---- */

#define T_INDEX (DT_BIT(DT_I32) | DT_BIT(DT_I64))
#define PORT(n)                                                                                    \
    {                                                                                              \
        .name = n, .types = T_ANY, .var = "T"                                                      \
    }
#define PORT_I64(n)                                                                                \
    {                                                                                              \
        .name = n, .types = DT_BIT(DT_I64)                                                         \
    }
#define IN(...)                                                                                    \
    .in = (const PortDef[])                                                                        \
    {                                                                                              \
        __VA_ARGS__,                                                                               \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }
#define ATTRS(...)                                                                                 \
    .attr = (const AttrDef[])                                                                      \
    {                                                                                              \
        __VA_ARGS__,                                                                               \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }
#define ROW(f) .infer = infer_##f, .eval = eval_##f, .lower = lower_##f, .quant = QUANT_MOVE
#define VIEW   OP_PURE | OP_VIEW

const OpDef blocks_ops[] = {
    {.name = "DepthToSpace",
     .since = 28,
     .about = "channels into blocks of pixels",
     IN(PORT("input")),
     .out = OUT_T("output"),
     ATTRS(ATTR_REQ("blocksize", ATTR_INT), ATTR_S("mode", "DCR")),
     ROW(depth_to_space),
     .traits = VIEW},
    {.name = "SpaceToDepth",
     .since = 28,
     .about = "blocks of pixels into channels",
     IN(PORT("input")),
     .out = OUT_T("output"),
     ATTRS(ATTR_REQ("blocksize", ATTR_INT), ATTR_S("mode", "DCR")),
     ROW(space_to_depth),
     .traits = VIEW},
    {0},
};
