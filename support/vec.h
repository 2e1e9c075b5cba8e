/* vec.h: arrays that grow in an arena. The array is three plain fields; the old storage stays in
 * the arena. */
#ifndef INGOT_SUPPORT_VEC_H
#define INGOT_SUPPORT_VEC_H

#include <stdint.h>
#include <string.h>

#include "support/arena.h"

/* VEC_PUSH(arena, v->item, v->n, v->cap, value): append, growing by half. Item may be any type; n
 * and cap any integer type. */
#define VEC_PUSH(arena, item, n, cap, ...)                                                         \
    do {                                                                                           \
        if ((n) == (cap)) {                                                                        \
            size_t vec_new_ = (size_t)(cap) + (size_t)(cap) / 2 + 4;                               \
            if ((__typeof__(cap))vec_new_ < (cap)) vec_new_ = SIZE_MAX; /* cap's type is full */   \
            void *vec_to_ = arena_try((arena), vec_new_, sizeof *(item));                          \
            if (!vec_to_) break; /* the arena is marked; its owner will stop */                    \
            if (n) memcpy(vec_to_, (item), (size_t)(n) * sizeof *(item));                          \
            (item) = vec_to_;                                                                      \
            (cap) = (__typeof__(cap))vec_new_;                                                     \
        }                                                                                          \
        (item)[(n)++] = (__VA_ARGS__);                                                             \
    } while (0)

#endif
