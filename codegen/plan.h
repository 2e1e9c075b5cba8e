/* plan.h: where every intermediate value lives.
 *
 * Values share buffers (a branch's result and what it joins, a piece of a concat and the whole, an
 * operand and the result that overwrites it); buffers live in segments, or in the memory of an
 * output. Segment 0 holds all buffers whose size is a constant, packed by lifetime; it is asked for
 * at entry. A buffer whose size only the run knows takes a segment that is asked for when the value
 * is made, and that later buffers take over once it is dead: a segment grows to the largest of its
 * tenants. */
#ifndef INGOT_CODEGEN_PLAN_H
#define INGOT_CODEGEN_PLAN_H

#include "codegen/bands.h"

typedef enum PlaceKind {
    PLACE_POINTER, /* no memory of its own: a constant, an argument, a view, a joined or carried
                      value, a result that its call places: a pointer known when run; also
                      boxed values, which have a descriptor and memory of the run's own */
    PLACE_SEGMENT,
    PLACE_OUTPUT,
    PLACE_CARRY /* one of two segments, by turns of the loop */
} PlaceKind;

typedef struct Place {
    PlaceKind kind;
    int index;        /* SEGMENT, CARRY (the first of two): number; OUTPUT: port */
    int64_t offset;   /* bytes, in what was asked for at entry */
    bool open;        /* asked for with the value's own size when it is made */
    const Node *loop; /* CARRY */
} Place;

/* What the plan says of one node. */
typedef struct NodePlan {
    /* CONCAT: direct[0][i], input i is made in its place. IF: direct[r][k], result k of region r is
     * made where output k lies. LOOP: direct[0][i], the body makes carried value i in its segment.
     * What is not made in place is copied. */
    bool *direct[2];
    bool *pass;   /* LOOP: [carried] the next value of carried i is a pointer to what stays */
    int *segment; /* LOOP: [carried] first of a pair or -1, then [scan outputs];
                     CALL: [n_out] where a result of unknown size goes, or -1 */
} NodePlan;

typedef struct Plan {
    int n_segment;
    int64_t *size;   /* [n_segment] bytes; -1 when only the run knows */
    Place *place;    /* by Value.id */
    NodePlan **node; /* by Node.id; NULL where there is nothing to say */
    bool *direct;    /* [main->n_result]: the output is made in its place; else copied */
    /* bytes, of segment 0: what it has; the largest sum of live bytes, rounded up to 64 each, and
     * not rounded */
    int64_t peak, lower_bound, unpadded;
    int n_open; /* segments whose size only the run knows */
    int n_in_place;
    int n_bands; /* kernels that go by bands of rows together: launches of them */
} Plan;

/* bands: by Node.id, or NULL: there are none. */
Status plan_memory(Module *m, Band *const *bands, Arena *arena, Plan *out, Diag *d) MUST_USE;
/* Bytes of all segments; -1 when only the run knows. */
int64_t plan_size(const Plan *p);
/* Bytes of a value; -1 when only the run knows. */
int64_t plan_bytes(const Value *v);
/* The value whose memory v is a view of; v itself otherwise. */
const Value *plan_root(const Value *v);

#endif
