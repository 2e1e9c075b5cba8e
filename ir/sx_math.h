/* sx_math.h: mathematics written out as plain operations, for sx_expand. */
#ifndef INGOT_IR_SX_MATH_H
#define INGOT_IR_SX_MATH_H

#include "ir/sx.h"

/* EXP ... SIGMOID and REM of f64 or f32 arguments; b is NULL but for POW and REM. */
const Sx *sx_math_f64(SxTable *t, SxOp op, const Sx *a, const Sx *b);
const Sx *sx_math_f32(SxTable *t, SxOp op, const Sx *a, const Sx *b, SxHas has);
const Sx *sx_fmod_f64(SxTable *t, const Sx *a, const Sx *b);
const Sx *sx_scale_f32(SxTable *t, const Sx *a, const Sx *b);
/* f32 functions that are computed in f64: sx_math_f64.c. */
const Sx *sx_circle_f32(SxTable *t, SxOp op, const Sx *a);
const Sx *sx_pow_f32(SxTable *t, const Sx *a, const Sx *b);
/* e cast to d, where one of the two is f16, bf16, f8 or f4: integer operations on the bits. NULL
 * when the cast is plain. */
const Sx *sx_cast_plain(SxTable *t, const Sx *e, DType d, bool saturate, bool has_f16);

/* The seven limbs of a table of 32-bit numbers from `at` on, by selection: for reducing angles. */
void sx_limbs(SxTable *t, const uint32_t *limb, int n_limb, const Sx *at, int bits, int n,
              const Sx **w);

#endif
