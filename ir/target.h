/* target.h: what passes may know of a target: plain data, filled by codegen. Passes up to and
 * including fusion use only what is the same for all levels of one architecture, so that graphs and
 * sums do not depend on the ISA. */
#ifndef INGOT_IR_TARGET_H
#define INGOT_IR_TARGET_H

#include <stdint.h>

typedef struct TargetInfo {
    const char *name; /* "x86-64-v4" */
    int vector_bytes; /* 64, 32, 16; 0: scalar */
    int registers;    /* of vectors */
    int has_fma, has_f16;
    int has_bf16;   /* products of pairs, at twice the rate of f32 */
    int has_tiles;  /* of AMX: products of bf16 at many times that rate */
    int64_t l1, l2; /* bytes */
    int threads;    /* 0: decided at run time */
} TargetInfo;

#endif
