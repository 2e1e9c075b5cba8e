/* rt_sort.h: numbers in order. */
#ifndef INGOT_RUNTIME_RT_SORT_H
#define INGOT_RUNTIME_RT_SORT_H

#include "runtime/rt.h"

typedef struct RtPair {
    uint64_t key;
    int64_t index;
} RtPair;

/* The n pairs of a, the least key first, equal ones as they stood; b is workspace of n. Returns
 * where they are: a or b. Linear in n: a pass for each byte in which keys differ. */
INGOT_RT_HIDDEN RtPair *ingot_rt_sort(RtPair *a, RtPair *b, int64_t n);

#endif
