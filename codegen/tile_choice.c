/* tile_choice.c: see tile_choice.h. */
#include "codegen/tile_choice.h"

const TileChoice tile_choices[] = {
    {"by shape", 0, 0},  {"1 vector", 1, 0},      {"2 vectors", 2, 0},   {"3 vectors", 3, 0},
    {"4 vectors", 4, 0}, {"narrow blocks", 0, 2}, {"wide blocks", 0, 8},
};
const int n_tile_choices = sizeof tile_choices / sizeof *tile_choices;

const TileChoice *tile_choice_of(const CodegenTune *t, const char *key)
{
    uintptr_t known = t && t->known ? (uintptr_t)map_get(t->known, key) : 0;

    if (!t) return tile_choices;
    return &tile_choices[known ? (int)known - 1 : t->otherwise];
}
