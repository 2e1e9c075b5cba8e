/* sx_math_f32.c: mathematics on f32, at most 2 ulp. */
#include "ir/sx_impl.h"
#include "ir/sx_math.h"

const Sx *sx_fmod_f32(SxTable *t, const Sx *a, const Sx *b)
{
    return sx_cast(t, sx_fmod_f64(t, sx_cast(t, a, DT_F64), sx_cast(t, b, DT_F64)), DT_F32);
}

const Sx *sx_math_f32(SxTable *t, SxOp op, const Sx *a, const Sx *b)
{
    const Sx *wide_b = b ? sx_cast(t, b, DT_F64) : NULL;

    return sx_cast(t, sx_math_f64(t, op, sx_cast(t, a, DT_F64), wide_b), DT_F32);
}
