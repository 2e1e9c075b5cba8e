/* Errors of inverse circular and of hyperbolic functions on f32. */
#include "ulp.h"

int main(void)
{
    static const UlpRow row[] = {
        {SX_ASIN, mathd_asin, 2, 2}, {SX_ACOS, mathd_acos, 2, 2}, {SX_ATAN, mathd_atan, 2, 2},
        {SX_SINH, mathd_sinh, 2, 2}, {SX_COSH, mathd_cosh, 2, 2},
    };

    return ulp_main(row, (int)(sizeof row / sizeof *row));
}
