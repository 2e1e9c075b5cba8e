/* Errors of logarithms and inverse hyperbolic functions on f32. */
#include "ulp.h"

int main(void)
{
    static const UlpRow row[] = {
        {SX_LOG, mathd_log, 2, 2},     {SX_LOG1P, mathd_log1p, 2, 2}, {SX_ASINH, mathd_asinh, 2, 2},
        {SX_ACOSH, mathd_acosh, 2, 2}, {SX_ATANH, mathd_atanh, 2, 2},
    };

    return ulp_main(row, (int)(sizeof row / sizeof *row));
}
