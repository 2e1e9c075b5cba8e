/* image_decoder.c: ImageDecoder: pixels out of the bytes of an image file. A call of the runtime
 * (rt_call_image_decode.c), with libraries behind it; the reference evaluator has none, so it
 * refuses. */
#include <string.h>

#include "ir/ops/ops_common.h"

static Status pixel_format(const Node *n, Diag *d, int64_t *out)
{
    static const char *const names[] = {"RGB", "BGR", "Grayscale"};
    const char *name = attr_string(n, "pixel_format", "RGB");

    for (*out = 0; *out < 3; ++*out)
        if (strcmp(name, names[*out]) == 0) return OK;
    return op_error(n, d, "pixel_format",
                    "ImageDecoder: found \"%s\", expected RGB, BGR or Grayscale", name);
}

static Status infer_decoder(Infer *cx, Node *n)
{
    DimTable *t = &cx->module->dims;
    int64_t format;

    TRY(infer_ranked(cx, n, 0));
    TRY(pixel_format(n, cx->diag, &format));
    if (in_type(n, 0)->rank != 1)
        return op_error(n, cx->diag, "encoded_stream", "ImageDecoder: rank %d, expected 1",
                        in_type(n, 0)->rank);
    infer_out(cx, n, 0, DT_U8, 3,
              (Dim[]){dim_fresh(t, "height", 0, INT32_MAX), dim_fresh(t, "width", 0, INT32_MAX),
                      dim_const(t, format == 2 ? 1 : 3)});
    return OK;
}

static Status eval_decoder(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    (void)in;
    (void)out;
    return op_unsupported(n, cx->diag, "the evaluator decodes no images");
}

static Status lower_decoder(Build *b, const Node *n, Value **out)
{
    const Type *to = &n->out[0]->type;
    Dim work = dim_fresh(b->dims, "bytes", 0, DIM_TOP);
    Type types[2] = {*to, type_tensor(DT_U8, 1, &work)};
    int64_t format;
    Node *call;

    TRY(pixel_format(n, b->diag, &format));
    call = build_call(b, "image_decode", 1, n->in, format == 2 ? 2 : 1, types, 1, &format, 0, NULL);
    if (!call) return b->status;
    node_define(call, to->dim[0]);
    node_define(call, to->dim[1]);
    if (format == 2) node_define(call, work);
    out[0] = call->out[0];
    return OK;
}

const OpDef image_decoder_ops[] = {
    {.name = "ImageDecoder",
     .since = 20,
     .calls = CALL_BIT(image_decode),
     .about = "pixels of an image file",
     ROW_IN({"encoded_stream", DT_BIT(DT_U8)}),
     ROW_OUT({"image", DT_BIT(DT_U8)}),
     ROW_ATTRS(ATTR_S("pixel_format", "RGB")),
     .traits = OP_PURE,
     .infer = infer_decoder,
     .eval = eval_decoder,
     .lower = lower_decoder},
    {0},
};
