/* winograd_basis.c: one direction of the transforms, as scalar expressions. What two rows share is
 * written once: the table of expressions would find equal ones, but not equal halves of sums. */
#include "passes/winograd.h"

static const Sx *c(SxTable *t, double v)
{
    return sx_const(t, DT_F32, v);
}

/* v * a + b */
static const Sx *scaled(SxTable *t, double v, const Sx *a, const Sx *b)
{
    return sx_fma(t, c(t, v), a, b);
}

/*     1  0 -1  0          BT of F(2,3)
 *     0  1  1  0
 *     0 -1  1  0
 *     0  1  0 -1 */
static void data2(SxTable *t, const Sx *const *d, const Sx **out)
{
    out[0] = sx_sub(t, d[0], d[2]);
    out[1] = sx_add(t, d[1], d[2]);
    out[2] = sx_sub(t, d[2], d[1]);
    out[3] = sx_sub(t, d[1], d[3]);
}

/*     4  0 -5  0  1  0    BT of F(4,3)
 *     0 -4 -4  1  1  0
 *     0  4 -4 -1  1  0
 *     0 -2 -1  2  1  0
 *     0  2 -1 -2  1  0
 *     0  4  0 -5  0  1 */
static void data4(SxTable *t, const Sx *const *d, const Sx **out)
{
    const Sx *even = scaled(t, -4, d[2], d[4]), *odd = scaled(t, -4, d[1], d[3]);
    const Sx *near = sx_sub(t, d[4], d[2]), *far = sx_sub(t, d[3], d[1]);

    out[0] = scaled(t, 4, d[0], scaled(t, -5, d[2], d[4]));
    out[1] = sx_add(t, even, odd);
    out[2] = sx_sub(t, even, odd);
    out[3] = scaled(t, 2, far, near);
    out[4] = scaled(t, -2, far, near);
    out[5] = scaled(t, 4, d[1], scaled(t, -5, d[3], d[5]));
}

void winograd_data(SxTable *t, int m, const Sx *const *d, const Sx **out)
{
    (m == 2 ? data2 : data4)(t, d, out);
}

/*     1  1  1  0          AT of F(2,3)
 *     0  1 -1 -1 */
static void result2(SxTable *t, const Sx *const *x, const Sx **out)
{
    out[0] = sx_add(t, x[0], sx_add(t, x[1], x[2]));
    out[1] = sx_sub(t, sx_sub(t, x[1], x[2]), x[3]);
}

/*     1  1  1  1  1  0    AT of F(4,3)
 *     0  1 -1  2 -2  0
 *     0  1  1  4  4  0
 *     0  1 -1  8 -8  1 */
static void result4(SxTable *t, const Sx *const *x, const Sx **out)
{
    const Sx *even = sx_add(t, x[1], x[2]), *odd = sx_sub(t, x[1], x[2]);
    const Sx *even2 = sx_add(t, x[3], x[4]), *odd2 = sx_sub(t, x[3], x[4]);

    out[0] = sx_add(t, sx_add(t, x[0], even), even2);
    out[1] = scaled(t, 2, odd2, odd);
    out[2] = scaled(t, 4, even2, even);
    out[3] = sx_add(t, scaled(t, 8, odd2, odd), x[5]);
}

void winograd_result(SxTable *t, int m, const Sx *const *x, const Sx **out)
{
    (m == 2 ? result2 : result4)(t, x, out);
}

void winograd_weights(int m, const double *g, int step, double *out, int out_step)
{
    double a = g[0], b = g[step], z = g[2 * step];

    if (m == 2) {
        out[0] = a;
        out[out_step] = (a + b + z) / 2;
        out[2 * out_step] = (a - b + z) / 2;
        out[3 * out_step] = z;
        return;
    }
    out[0] = a / 4;
    out[out_step] = -(a + b + z) / 6;
    out[2 * out_step] = -(a - b + z) / 6;
    out[3 * out_step] = (a + 2 * b + 4 * z) / 24;
    out[4 * out_step] = (a - 2 * b + 4 * z) / 24;
    out[5 * out_step] = z;
}
