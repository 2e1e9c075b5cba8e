/* contrib_nchwc.c: what ONNX Runtime makes of convolutions at its highest level of optimisation:
 * com.microsoft.nchwc, where activations lie in blocks of 8 or 16 channels.
 *
 * Here they are [N, C, H, W], with C filled up to whole blocks: how activations lie is no business
 * of the graph, and `layout` finds the order again that is best for the target. Weights are
 * constants in the order of the machine that wrote the model, of which only `block` tells:
 *
 *     O/b, I/b, H, W, i, o     blocks of both channels
 *     O/b, I, H, W, o          few input channels, then the input is in no blocks; or depthwise
 *
 * They are put back in order. The frontend finds out the block size (onnx_nchwc.c). */
#include <string.h>

#include "ir/ops/compose.h"
#include "ir/ops/ops_common.h"

static Status block_of(const Node *n, Diag *d, int64_t *block)
{
    *block = attr_int(n, "block", 16);
    if (*block > 1 && *block <= 64) return OK;
    return op_error(n, d, "block", "%s: found %lld, expected 2 to 64", n->op->name,
                    (long long)*block);
}

/* ---- in and out ---- */

static Status lower_reorder_in(Build *b, const Node *n, Value **out)
{
    const Type *x = in_type(n, 0);
    int64_t block, pads[8] = {0};
    bool last = attr_int(n, "channels_last", 0) != 0;
    Value *v = n->in[0];

    TRY(block_of(n, b->diag, &block));
    if (x->rank != 4 || !dim_is_const(x->dim[last ? 3 : 1]))
        return op_error(n, b->diag, "X", "%s: rank %d, expected 4 and a known number of channels",
                        n->op->name, x->rank);
    if (last) v = make_moved_channels(b, v, false);
    pads[5] = (block - x->dim[last ? 3 : 1]->value % block) % block;
    out[0] = pads[5] ? build_op2(b, "Pad", v, build_i64(b, 8, pads)) : v;
    return b->status;
}

static Status lower_reorder_out(Build *b, const Node *n, Value **out)
{
    const Type *x = in_type(n, 0);
    int64_t channels = attr_int(n, "channels", 0);
    Value *v = n->in[0];

    if (x->rank != 4 || channels < 1 || channels > x->dim[1]->hi)
        return op_error(n, b->diag, "channels", "%s: %lld channels of an input of rank %d",
                        n->op->name, (long long)channels, x->rank);
    if (!dim_is(x->dim[1], channels)) v = make_slice(b, v, 1, 0, channels, 1);
    out[0] = attr_int(n, "channels_last", 0) ? make_moved_channels(b, v, true) : v;
    return b->status;
}

/* ---- Conv ---- */

/* Weights [O, I, H, W] from where they lie. */
static Value *weights_in_order(Build *b, const Node *n, int64_t block, bool both)
{
    SxTable *t = b->sx;
    const Type *w = in_type(n, 1);
    const Sx *by = sx_i64(b, block), *o = sx_index(t, 0), *i = sx_index(t, 1), *at;

    at = sx_floor_div(t, o, by);
    at = sx_mul(
        t, at,
        sx_dim(t, both ? dim_div(b->dims, w->dim[1], dim_const(b->dims, block)) : w->dim[1]));
    at = sx_add(t, at, both ? sx_floor_div(t, i, by) : i);
    for (int k = 2; k < 4; k++)
        at = sx_add(t, sx_mul(t, at, sx_dim(t, w->dim[k])), sx_index(t, k));
    if (both) at = sx_add(t, sx_mul(t, at, by), sx_floor_mod(t, i, by));
    at = sx_add(t, sx_mul(t, at, by), sx_floor_mod(t, o, by));
    return build_map(b, "weights", 1, &n->in[1], w->dtype, 4, w->dim,
                     sx_load_flat(t, w->dtype, 0, at, NULL));
}

static Status lower_block_conv(Build *b, const Node *n, Value **out)
{
    const Type *w = in_type(n, 1), *x = in_type(n, 0);
    int64_t block, group = attr_int(n, "group", 1), outs, ins;
    bool both;
    Value *in[4];
    Node *y;

    TRY(block_of(n, b->diag, &block));
    if (w->rank != 4 || x->rank != 4)
        return op_error(n, b->diag, "W", "%s: ranks %d and %d, expected 4", n->op->name, x->rank,
                        w->rank);
    for (int k = 0; k < 4; k++)
        if (!dim_is_const(w->dim[k])) return op_unsupported(n, b->diag, "weights of an open size");
    outs = w->dim[0]->value;
    ins = w->dim[1]->value;
    both = group > 1 ? ins > 1 : ins >= block;
    if (outs % block || (both && ins % block))
        return op_error(n, b->diag, "W", "%s: %lld and %lld channels in blocks of %lld",
                        n->op->name, (long long)outs, (long long)ins, (long long)block);
    in[0] = n->in[0];
    in[1] = weights_in_order(b, n, block, both);
    in[2] = in_value(n, 2);
    in[3] = in_value(n, 3);
    if (b->status != OK) return b->status;
    y = build_op_node(b, "com.microsoft", "FusedConv", 4, in, 1, n->n_attr, n->attr);
    out[0] = y ? y->out[0] : NULL;
    return b->status;
}

/* ---- what is the same in any layout ---- */

static Status lower_same(Build *b, const Node *n, Value **out)
{
    static const char *const attrs[] = {
        "auto_pad",     "ceil_mode", "count_include_pad", "dilations",
        "kernel_shape", "pads",      "strides",           NULL};

    out[0] = make_like(b, n, n->op->name, 1, n->in, attrs);
    return b->status;
}

static Status lower_block_upsample(Build *b, const Node *n, Value **out)
{
    int count;
    const int64_t *scales = attr_ints(n, "scales", &count);
    double by[4];
    Attr attr[3] = {attr_of_string("nearest_mode", "floor")};
    static const char *const names[] = {"mode", "coordinate_transformation_mode"};
    Value *in[3] = {n->in[0], NULL, NULL};
    int n_attr = 1;

    if (!scales || count != 4 || in_type(n, 0)->rank != 4)
        return op_error(n, b->diag, "scales", "%s: %d scales, expected 4", n->op->name,
                        scales ? count : 0);
    for (int i = 0; i < 4; i++)
        by[i] = (double)scales[i];
    for (int i = 0; i < 2; i++)
        if (attr_find(n, names[i])) attr[n_attr++] = *attr_find(n, names[i]);
    in[2] = make_reshape(b, make_matrix(b, 1, 4, by), 1, (Dim[]){dim_const(b->dims, 4)});
    out[0] = build_op(b, "Resize", 3, in, n_attr, attr);
    return b->status;
}

/* ---- the table ---- */

#define NCHWC_ROW(low)                                                                             \
    .domain = "com.microsoft.nchwc", .since = 1, .traits = OP_PURE, .infer = compose_infer,        \
    .eval = compose_eval, .lower = low
#define WINDOW_ATTRS                                                                               \
    ATTR_S("auto_pad", "NOTSET"), ATTR_OPT("dilations", ATTR_INTS), ATTR_OPT("pads", ATTR_INTS),   \
        ATTR_OPT("strides", ATTR_INTS)

const OpDef contrib_nchwc_ops[] = {
    {.name = "ReorderInput",
     .about = "channels in blocks",
     ROW_IN({"X", T_F32, "T", .ranks = RANK(4)}),
     ROW_OUT({"Y", T_F32, "T"}),
     ROW_ATTRS(ATTR_I("channels_last", 0), ATTR_I("block", 16)),
     NCHWC_ROW(lower_reorder_in)},
    {.name = "ReorderOutput",
     .about = "channels out of blocks",
     ROW_IN({"X", T_F32, "T", .ranks = RANK(4)}),
     ROW_OUT({"Y", T_F32, "T"}),
     ROW_ATTRS(ATTR_I("channels_last", 0), ATTR_I("channels", 0)),
     NCHWC_ROW(lower_reorder_out)},
    {.name = "Conv",
     .about = "activation(Conv + Sum), weights in blocks",
     ROW_IN({"X", T_F32, "T", .ranks = RANK(4)}, {"W", T_F32, "T", .ranks = RANK(4)},
            {"B", T_F32, "T", true, .ranks = RANK(1)}, {"Sum", T_F32, "T", true}),
     ROW_OUT({"Y", T_F32, "T"}),
     ROW_ATTRS(WINDOW_ATTRS, ATTR_I("group", 1), ATTR_OPT("kernel_shape", ATTR_INTS),
               ATTR_S("activation", ""), ATTR_OPT("activation_params", ATTR_FLOATS),
               ATTR_I("block", 16)),
     NCHWC_ROW(lower_block_conv)},
    {.name = "MaxPool",
     .about = "MaxPool",
     ROW_IN({"X", T_F32, "T", .ranks = RANK(4)}),
     ROW_OUT({"Y", T_F32, "T"}),
     ROW_ATTRS(WINDOW_ATTRS, ATTR_REQ("kernel_shape", ATTR_INTS), ATTR_I("ceil_mode", 0),
               ATTR_I("storage_order", 0)),
     NCHWC_ROW(lower_same)},
    {.name = "AveragePool",
     .about = "AveragePool",
     ROW_IN({"X", T_F32, "T", .ranks = RANK(4)}),
     ROW_OUT({"Y", T_F32, "T"}),
     ROW_ATTRS(WINDOW_ATTRS, ATTR_REQ("kernel_shape", ATTR_INTS), ATTR_I("ceil_mode", 0),
               ATTR_I("count_include_pad", 0)),
     NCHWC_ROW(lower_same)},
    {.name = "GlobalMaxPool",
     .about = "GlobalMaxPool",
     ROW_IN({"X", T_F32, "T", .ranks = RANK(4)}),
     ROW_OUT({"Y", T_F32, "T"}),
     NCHWC_ROW(lower_same)},
    {.name = "GlobalAveragePool",
     .about = "GlobalAveragePool",
     ROW_IN({"X", T_F32, "T", .ranks = RANK(4)}),
     ROW_OUT({"Y", T_F32, "T"}),
     NCHWC_ROW(lower_same)},
    {.name = "Upsample",
     .about = "Resize by whole numbers",
     ROW_IN({"X", T_F32, "T", .ranks = RANK(4)}),
     ROW_OUT({"Y", T_F32, "T"}),
     ROW_ATTRS(ATTR_REQ("scales", ATTR_INTS), ATTR_S("mode", "nearest"),
               ATTR_S("coordinate_transformation_mode", "asymmetric")),
     NCHWC_ROW(lower_block_upsample)},
    {0},
};
