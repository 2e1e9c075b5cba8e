/* Errors of exponentials on f32. */
#include "ulp.h"

int main(void)
{
    static const UlpRow row[] = {
        {SX_EXP, mathd_exp, 2, 2},
        {SX_EXPM1, mathd_expm1, 2, 2},
        {SX_SIGMOID, mathd_sigmoid, 2, 2, .zero_below = 0x1.6a1p-126}, /* 2^-125.5 */
        {SX_TANH, mathd_tanh, 2, 2},
        {SX_ERF, mathd_erf, 2, 2},
    };

    return ulp_main(row, (int)(sizeof row / sizeof *row));
}
