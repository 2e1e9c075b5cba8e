/* window.h: the geometry that convolution and pooling share: a window sliding over the spatial axes
 * (2, 3, ...) of [N, C, ...], with strides, dilations and padding. ONNX: Conv, attributes auto_pad,
 * dilations, kernel_shape, pads, strides; AveragePool, attribute ceil_mode. */
#ifndef INGOT_IR_OPS_WINDOW_H
#define INGOT_IR_OPS_WINDOW_H

#include "ir/op.h"

typedef struct Window {
    int n;                /* spatial axes */
    Dim in[MAX_RANK];     /* extents of the input */
    Dim out[MAX_RANK];    /* of the output */
    Dim kernel[MAX_RANK]; /* constant where it is an attribute */
    int64_t stride[MAX_RANK];
    int64_t dilation[MAX_RANK];
    Dim before[MAX_RANK]; /* padding */
    Dim after[MAX_RANK];
} Window;

/* Reads and checks the attributes of n against n_spatial axes of extents `in`. `kernel` NULL: from
 * the attribute. */
Status window_read(Module *m, const Node *n, int n_spatial, const Dim *in, const Dim *kernel,
                   Diag *d, Window *w) MUST_USE;
/* Input position of window element r at output o, along axis i: o*stride + r*dilation - before. */
const Sx *window_position(Build *b, const Window *w, int i, const Sx *o, const Sx *r);

/* For eval: the same geometry in numbers. */
typedef struct WindowEval {
    int n;
    int64_t in[MAX_RANK], out[MAX_RANK], kernel[MAX_RANK], stride[MAX_RANK], dilation[MAX_RANK],
        before[MAX_RANK], after[MAX_RANK];
} WindowEval;
Status window_eval(Eval *cx, const Node *n, int n_spatial, const int64_t *in, const int64_t *kernel,
                   WindowEval *w) MUST_USE;

/* The attribute as n integers, all `absent` when it is missing; an error when the count differs or
 * one is < least. */
Status window_ints(const Node *n, Diag *d, const char *attr, int count, int64_t absent,
                   int64_t least, int64_t *out) MUST_USE;

#endif
