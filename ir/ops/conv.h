/* conv.h: what convolutions and their transposes share: windows over groups of channels. */
#ifndef INGOT_IR_OPS_CONV_H
#define INGOT_IR_OPS_CONV_H

#include "ir/build.h"
#include "ir/ops/window.h"

typedef struct Conv {
    Window w;
    int64_t group;
    Dim batch, channels; /* of the input */
    Dim features, depth; /* output channels; input channels of one group */
    Dim each;            /* output channels of one group */
} Conv;

/* Index layout of the contraction's domain. */
typedef struct ConvLayout {
    bool split; /* the group is an index of its own */
    int rank;   /* of the domain */
    Dim dims[MAX_RANK + 1];
    Dim reduce[MAX_RANK];
    const Sx *group, *feature, *out_channel, *in_channel; /* expressions */
    const Sx *o[MAX_RANK], *r[MAX_RANK];
    Dim extents[2 * MAX_RANK]; /* of all indices, for bounds */
} ConvLayout;

/* The window of weights whose rank must be `spatial` + 2: their dims, checked against kernel_shape,
 * which stands for the open ones. */
Status conv_kernel(Module *m, const Node *n, int input, int spatial, Diag *d, Dim *kernel) MUST_USE;
/* A convolution of input number x_in and weights number w_in. */
Status conv_read(Module *m, const Node *n, int x_in, int w_in, Diag *d, Conv *c) MUST_USE;
/* What of the extents only the run can tell. */
void conv_require(Build *b, const Conv *c, const Value *weights);
void conv_layout(Build *b, const Conv *c, ConvLayout *y);
/* v, whose groups are an index of their own, as the node's result. */
Value *conv_join_groups(Build *b, const Node *n, const ConvLayout *y, Value *v);

#endif
