/* rt_matrix.h: elimination, for determinants and inverses. */
#ifndef INGOT_RUNTIME_RT_MATRIX_H
#define INGOT_RUNTIME_RT_MATRIX_H

#include <stdbool.h>

#include "runtime/rt.h"

/* a[size][width], width >= size: rows are combined until the first `size` columns would be an upper
 * triangle, or, with `all`, the unit matrix; numbers that are known then are not written. Each
 * column takes its largest pivot; where that is 0, `all` divides by it (infinities and NaN come
 * out), else the column is left. The determinant of the first `size` columns. */
INGOT_RT_HIDDEN double ingot_rt_eliminate(double *a, int64_t size, int64_t width, bool all);
/* Row-major matrix number m of a tensor of f32 or f64 into rows of `width` doubles. */
INGOT_RT_HIDDEN void ingot_rt_load_matrix(const ingot_tensor *x, int64_t m, int64_t size,
                                          int64_t width, double *a);
/* Matrices in x, which has rank >= 2. */
INGOT_RT_HIDDEN int64_t ingot_rt_matrices(const ingot_tensor *x);

#endif
