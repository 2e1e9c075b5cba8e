/* tile_choice.h: how register tiles and blocks of contractions may depart from what is chosen
 * without measuring. Bits never depend on it: only the order in which independent sums are computed
 * does.
 */
#ifndef INGOT_CODEGEN_TILE_CHOICE_H
#define INGOT_CODEGEN_TILE_CHOICE_H

#include "support/map.h"

typedef struct TileChoice {
    const char *name;
    int vectors; /* of a tile's row; 0: as chosen by shape */
    int block;   /* quarters of the usual width of a block of columns; 0: four */
} TileChoice;

/* The first one departs in nothing. */
extern const TileChoice tile_choices[];
extern const int n_tile_choices;

/* What a compilation is to take. */
typedef struct CodegenTune {
    const Map *known; /* key of a kernel (Code.kernel_key) -> number of its choice + 1; or NULL */
    int otherwise;    /* of all other kernels */
} CodegenTune;

const TileChoice *tile_choice_of(const CodegenTune *t, const char *key); /* t NULL: the first */

#endif
