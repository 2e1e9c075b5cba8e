/* winograd.h: the bases of Winograd's minimal filtering, F(m, 3): m results of a filter of 3 taps
 * from m + 2 inputs with m + 2 products (Lavin and Gray 2015, arXiv 1509.09308).
 *
 *     y = AT [ (G g) * (BT d) ]        in each direction
 *
 * The points are 0, 1, -1 (and 2, -2 for m = 4) and infinity. */
#ifndef INGOT_PASSES_WINOGRAD_H
#define INGOT_PASSES_WINOGRAD_H

#include "ir/sx.h"

enum { WINOGRAD_MOST = 6 }; /* inputs along one direction: m + 2 */

/* All by value; m is 2 or 4. d and y may not be one array. */
void winograd_data(SxTable *t, int m, const Sx *const *d, const Sx **out); /* BT: m + 2 of m + 2 */
void winograd_result(SxTable *t, int m, const Sx *const *x, const Sx **out); /* AT: m of m + 2 */
/* G: m + 2 of 3, in double; `step` elements between the inputs, and between the results. */
void winograd_weights(int m, const double *g, int step, double *out, int out_step);

#endif
