/* plan.h: where every intermediate value lives.
 *
 * A plan is a list of segments; a segment's size is a Dim, known when its symbols are. Within a
 * segment values that are live at the same time do not overlap; offsets are Dims too (constants
 * when all sizes are). */
#ifndef INGOT_CODEGEN_PLAN_H
#define INGOT_CODEGEN_PLAN_H

#include "ir/graph.h"

typedef enum PlaceKind {
    PLACE_NONE,
    PLACE_INPUT,
    PLACE_OUTPUT,
    PLACE_CONSTANT,
    PLACE_SEGMENT,
    PLACE_ALIAS
} PlaceKind;

typedef struct Place {
    PlaceKind kind;
    int index;       /* INPUT, OUTPUT: port; SEGMENT: number */
    Dim offset;      /* SEGMENT: bytes; ALIAS: bytes into `of` */
    const Value *of; /* ALIAS: same memory (reshape, in-place) */
} Place;

typedef struct Plan {
    int n_segment;
    Dim *segment; /* [n_segment] bytes */
    Place *place; /* by Value.id */
    int n_place;
    int64_t peak, lower_bound, unpadded; /* bytes, when static; else -1 */
} Plan;

Status plan_memory(Module *m, Arena *arena, Plan *out, Diag *d) MUST_USE;

#endif
