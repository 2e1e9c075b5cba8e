/* layout_rows.h: normalisations whose rows lie apart in memory; between the files of the pass
 * `layout`. */
#ifndef INGOT_PASSES_LAYOUT_ROWS_H
#define INGOT_PASSES_LAYOUT_ROWS_H

#include "ir/build.h"
#include "passes/layout.h"

/* A kernel over rows, whose operand `src` is x or a reshape of it; x lies in `order`. */
typedef struct LayoutRows {
    Value *x;
    const Order *order;
    int src;
    const Order *row_order; /* of the reshape; NULL: plain */
    /* What was made of it, in front of the kernel: statistics, which lie in `order` too, and a map
     * over the dims of x. The kernel itself is the map, or what gives its result other dims. */
    int n_stat;
    Value *stat[4];
    Node *map;
} LayoutRows;

/* False, and nothing is done, when n is no such kernel. Elements of a row are summed line by line:
 * the lines of the last axis but the innermost, then those sums. */
bool layout_rows(PassContext *cx, Node *n, LayoutRows *r, Status *s);
/* v's dims in logical order; order NULL: as they stand. */
void layout_logical(const Value *v, const Order *order, Dim *dims);

#endif
