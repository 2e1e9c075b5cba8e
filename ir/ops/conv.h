/* conv.h: what convolutions and their transposes share: windows over groups of channels. */
#ifndef INGOT_IR_OPS_CONV_H
#define INGOT_IR_OPS_CONV_H

#include "ir/build.h"
#include "ir/ops/window.h"

typedef struct Conv {
    Window w;
    int64_t group;
    Dim batch, channels;     /* of the input */
    int64_t features, depth; /* output channels; input channels of one group */
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

/* The constant dims of the weights, of the rank of the input. */
Status conv_weight_dims(const Node *n, int input, int rank, Diag *d, int64_t *out) MUST_USE;
/* kernel_shape, where it is given, against the weights. */
Status conv_check_kernel(const Node *n, Diag *d, int spatial, const int64_t *kernel) MUST_USE;
void conv_layout(Build *b, const Conv *c, ConvLayout *y);
/* v, whose groups are an index of their own, as the node's result. */
Value *conv_join_groups(Build *b, const Node *n, const ConvLayout *y, Value *v);

#endif
