/* planes.h: convolutions of each plane by itself: depthwise, as a kernel's form shows them.
 *
 *     out[.., h, w] = sum over taps (r, q) of x[.., h*step + r*dilation - before, the same of w, q]
 *                                             * weight[.., r, q]
 *
 * w is the innermost axis of x and of the domain; the weights know neither h nor w. */
#ifndef INGOT_IR_PLANES_H
#define INGOT_IR_PLANES_H

#include "ir/kernel.h"

typedef struct PlaneAxis {
    int out, tap; /* indices of the stage; -1: none */
    int64_t step, dilation, before, taps;
    bool low; /* positions below 0 are asked for, and give 0 */
    Dim end;  /* so are those from here on; NULL: there are none */
} PlaneAxis;

typedef struct Planes {
    PlaneAxis row, column;   /* row.out -1: there are no rows */
    const Sx *load, *weight; /* the load is of x, in f32 */
} Planes;

/* Whether the stage is one. Where an axis has steps, it has several taps, next to each other; those
 * of columns are 4 at most. */
bool kernel_planes(SxTable *t, const Stage *s, Planes *out);

#endif
