/* Errors of circular functions on f32, up to the largest arguments. */
#include "ulp.h"

int main(void)
{
    static const UlpRow row[] = {
        {SX_SIN, mathd_sin, 1, 1},
        {SX_COS, mathd_cos, 1, 1},
        {SX_TAN, mathd_tan, 1, 1},
    };

    return ulp_main(row, (int)(sizeof row / sizeof *row));
}
