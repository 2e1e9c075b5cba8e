/* weights.h: the constants of a model as pieces that are written one after the other and never
 * stand in memory together. A piece's bytes lie where the model was read, or are made when
 * somebody wants them. */
#ifndef INGOT_CODEGEN_WEIGHTS_H
#define INGOT_CODEGEN_WEIGHTS_H

#include <stddef.h>

#include "support/diag.h"

typedef struct WeightBytes {
    size_t size;
    const void *data; /* NULL: fill makes them, all `size` of them, at any time and the same ones;
                         one thread at a time */
    void (*fill)(const void *context, void *to);
    const void *context;
} WeightBytes;

typedef struct WeightPiece {
    size_t at; /* offset among the weights */
    WeightBytes bytes;
} WeightPiece;

/* Pieces in the order of their offsets; what lies between them is zero. */
typedef struct Weights {
    size_t size;
    const WeightPiece *piece;
    int n;
} Weights;

/* The bytes; made in `scratch` where they must be made, and NULL when it has no memory. */
const void *weights_bytes(const WeightBytes *b, Arena *scratch);
/* Gives all `size` bytes to `put`, in order. */
Status weights_write(const Weights *w, Status (*put)(void *context, const void *data, size_t size),
                     void *context, Diag *d) MUST_USE;

#endif
