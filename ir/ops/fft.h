/* fft.h: transforms of lengths that fall into small factors. */
#ifndef INGOT_IR_OPS_FFT_H
#define INGOT_IR_OPS_FFT_H

#include "ir/build.h"

/* Whether a transform of n points falls into factors of at most 13, and costs less so than as the
 * product with a matrix, of so many elements; inner: numbers that lie side by side for each point.
 */
bool fft_suits(int64_t n, int64_t matrix, Dim inner);

/* Fourier transforms, not scaled, of x [outer, have, inner, parts] along axis 1, parts 1 (real) or
 * 2: have is filled up with zeros to n points, or cut. re and im of out are [outer, n, inner] in
 * dtype d. NULL after a failure (see build.h). */
void build_fft(Build *b, Value *x, int64_t n, bool inverse, DType d, Value *out[2]);

/* cos and sin of 2 pi k / n, exact at whole quarters of a turn. */
void fft_turn(int64_t k, int64_t n, double *c, double *s);

#endif
