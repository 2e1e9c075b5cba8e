/* rt_key.h: elements of any ordered dtype as integers of the same order: NaN greatest and equal to
 * itself, -0 equal to 0. */
#ifndef INGOT_RUNTIME_RT_KEY_H
#define INGOT_RUNTIME_RT_KEY_H

#include <string.h>

#include "ingot/ingot_rt.h"

/* Sign and magnitude as one ordered integer. `nan`: the least magnitude that is none. */
static inline int64_t rt_float_key(uint64_t bits, int sign, uint64_t nan)
{
    uint64_t magnitude = bits & ((UINT64_C(1) << sign) - 1);

    if (magnitude >= nan) return INT64_MAX;
    return bits >> sign & 1 ? -(int64_t)magnitude : (int64_t)magnitude;
}

static inline int64_t rt_element_key(int32_t dtype, const char *p, int64_t size)
{
    uint64_t bits = 0;
    int shift = (int)(64 - 8 * size);

    memcpy(&bits, p, (size_t)size);
    switch (dtype) {
    case INGOT_F64:
        return rt_float_key(bits, 63, (UINT64_C(0x7ff) << 52) + 1);
    case INGOT_F32:
        return rt_float_key(bits, 31, 0x7f800001);
    case INGOT_F16:
        return rt_float_key(bits, 15, 0x7c01);
    case INGOT_BF16:
        return rt_float_key(bits, 15, 0x7f81);
    case INGOT_I8:
    case INGOT_I16:
    case INGOT_I32:
    case INGOT_I64:
        return (int64_t)(bits << shift) >> shift;
    case INGOT_U64:
        return (int64_t)(bits ^ UINT64_C(1) << 63);
    default:
        return (int64_t)bits;
    }
}

#endif
