/* checked.h: arithmetic that cannot overflow unnoticed. All sizes that come from a file go through
 * here. */
#ifndef INGOT_SUPPORT_CHECKED_H
#define INGOT_SUPPORT_CHECKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Each returns true and stores the result, or false on overflow (then *out is not to be used). */
static inline bool checked_add(size_t a, size_t b, size_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}
static inline bool checked_mul(size_t a, size_t b, size_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}
static inline bool checked_add_i64(int64_t a, int64_t b, int64_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}
static inline bool checked_sub_i64(int64_t a, int64_t b, int64_t *out)
{
    return !__builtin_sub_overflow(a, b, out);
}
static inline bool checked_mul_i64(int64_t a, int64_t b, int64_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

/* Round up to a multiple of `align`, a power of two. */
static inline bool checked_align(size_t a, size_t align, size_t *out)
{
    size_t sum;
    if (!checked_add(a, align - 1, &sum)) return false;
    *out = sum & ~(align - 1);
    return true;
}

/* a + b clamped to the range of int64_t: for bounds, where saturation is the right answer. */
static inline int64_t sat_add(int64_t a, int64_t b)
{
    int64_t r;
    return checked_add_i64(a, b, &r) ? r : (b > 0 ? INT64_MAX : INT64_MIN);
}
static inline int64_t sat_mul(int64_t a, int64_t b)
{
    int64_t r;
    return checked_mul_i64(a, b, &r) ? r : ((a < 0) == (b < 0) ? INT64_MAX : INT64_MIN);
}

#endif
