/* resize_taps.h: what Resize reads along one axis: places and weights, as the specification says,
 * in numbers. */
#ifndef INGOT_IR_OPS_RESIZE_TAPS_H
#define INGOT_IR_OPS_RESIZE_TAPS_H

#include "ir/op.h"

typedef enum Mode { MODE_NEAREST, MODE_LINEAR, MODE_CUBIC } Mode;
/* LOW: prefer floor. FIRST: what the first Resize means (opset 10): floor, and ceil where a scale
 * is below 1. */
typedef enum Round { ROUND_FLOOR, ROUND_CEIL, ROUND_LOW, ROUND_HIGH, ROUND_FIRST } Round;
typedef enum Coordinate {
    AT_HALF_PIXEL,
    AT_HALF_PIXEL_SYMMETRIC,
    AT_PYTORCH,
    AT_CORNERS,
    AT_ASYMMETRIC,
    AT_CROP
} Coordinate;

typedef struct Resize {
    Mode mode;
    Round round;
    Coordinate at;
    bool antialias, exclude;
    double cubic_a, extrapolation;
    int n_axis;
    int axis[MAX_RANK];
    bool by_size;
    char policy; /* s: stretch, l: not_larger, m: not_smaller */
} Resize;

/* One axis in numbers. */
typedef struct AxisPlan {
    int64_t in, out;
    double scale, roi[2];
} AxisPlan;

Status resize_read(const Node *n, Diag *d, int rank, Resize *r) MUST_USE;
enum { RESIZE_REACH = 1 << 20 }; /* places to one side of a position, at most */
/* How many places around a position are read: 1, or an even number, up to 2 * RESIZE_REACH. */
int64_t resize_tap_count(const Resize *r, double scale);
/* Is position o of the result beyond the region that is cut out? */
bool resize_outside(const Resize *r, const AxisPlan *p, int64_t o);
/* Places (within the input) and weights of position o of the result: [resize_tap_count]. */
void resize_taps(const Resize *r, const AxisPlan *p, int64_t o, int64_t *place, double *weight);

#endif
