/* rt_call_topk.c: the k greatest or least elements of each row, in order; of equals the lower index
 * first.
 *
 * A few: a heap of k indices with the worst kept one at its root, sorted in the end; most elements
 * of a long row are turned away by one comparison. Many: the 2048 equal parts of the range of keys
 * are counted, all elements in the first parts that hold k of them are sorted, k are taken.
 *
 * ints: 1 for the greatest. in: x [..., n]. out: values [..., k]; indices (i64); workspace of 5 n
 * i64, or none where a heap will do. */
#include <string.h>

#include "runtime/rt.h"
#include "runtime/rt_call.h"
#include "runtime/rt_key.h"
#include "runtime/rt_sort.h"

typedef struct Row {
    const char *x;
    int64_t *index;
    int64_t n, k, size;
    int32_t dtype;
    int greatest;
} Row;

/* What is constant in a Row becomes constant in all of these: see select_few. */
#define INLINE static inline __attribute__((always_inline))

INLINE int64_t key_of(const Row *r, int64_t i)
{
    return rt_element_key(r->dtype, r->x + i * r->size, r->size);
}

/* Does element i come before element j in the result? */
INLINE int before(const Row *r, int64_t i, int64_t j)
{
    int64_t a = key_of(r, i), b = key_of(r, j);

    if (a != b) return r->greatest ? a > b : a < b;
    return i < j;
}

/* index[at] moves down in a heap of n whose root comes last. */
INLINE void sink(const Row *r, int64_t at, int64_t n)
{
    int64_t moved = r->index[at];

    for (int64_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && before(r, r->index[child], r->index[child + 1])) child++;
        if (!before(r, moved, r->index[child])) break;
        r->index[at] = r->index[child];
    }
    r->index[at] = moved;
}

/* Whether any of the BLOCK elements from x on may come before the root: never a wrong no. */
enum { BLOCK = 16 };

static int may_enter(const float *x, float root, int greatest)
{
    int below = 0, above = 0;

    for (int i = 0; i < BLOCK; i++) {
        below += x[i] <= root;
        above += x[i] >= root;
    }
    return (greatest ? below : above) < BLOCK;
}

/* The next element from i on that comes before all that are kept, whose last has the key `root`; or
 * n. */
INLINE int64_t next_element(const Row *r, int64_t i, int64_t root)
{
    const float *x = (const float *)(const void *)r->x;

    while (i < r->n) {
        int64_t end = i + BLOCK < r->n ? i + BLOCK : r->n;
        if (r->dtype == INGOT_F32 && end == i + BLOCK &&
            !may_enter(x + i, x[r->index[0]], r->greatest)) {
            i = end;
            continue;
        }
        for (; i < end; i++)
            if (r->greatest ? key_of(r, i) > root : key_of(r, i) < root) return i;
    }
    return i;
}

INLINE void select_by_heap(const Row *r)
{
    int64_t k = r->k;

    for (int64_t i = 0; i < k; i++)
        r->index[i] = i;
    for (int64_t i = k / 2 - 1; i >= 0; i--)
        sink(r, i, k);
    for (int64_t i = k; k && (i = next_element(r, i, key_of(r, r->index[0]))) < r->n; i++) {
        r->index[0] = i;
        sink(r, 0, k);
    }
    for (int64_t last = k - 1; last > 0; last--) { /* the root comes last */
        int64_t root = r->index[0];
        r->index[0] = r->index[last];
        r->index[last] = root;
        sink(r, 0, last);
    }
}

INLINE void select_constant(Row r, int32_t dtype, int64_t size)
{
    r.size = size;
    r.dtype = dtype;
    if (r.greatest) {
        r.greatest = 1;
        select_by_heap(&r);
    } else {
        r.greatest = 0;
        select_by_heap(&r);
    }
}

static void select_few(const Row *r)
{
    switch (r->dtype) {
    case INGOT_F32:
        select_constant(*r, INGOT_F32, 4);
        return;
    case INGOT_I32:
        select_constant(*r, INGOT_I32, 4);
        return;
    case INGOT_I64:
        select_constant(*r, INGOT_I64, 8);
        return;
    default:
        select_by_heap(r);
    }
}

/* Keys of which the least comes first, from 0 on; returns the greatest. */
static uint64_t write_keys(const Row *r, uint64_t *key)
{
    uint64_t least = UINT64_MAX, most = 0;

    for (int64_t i = 0; i < r->n; i++) {
        uint64_t u = (uint64_t)key_of(r, i) ^ UINT64_C(1) << 63;
        key[i] = u = r->greatest ? ~u : u;
        least = u < least ? u : least;
        most = u > most ? u : most;
    }
    for (int64_t i = 0; i < r->n; i++)
        key[i] -= least;
    return most - least;
}

/* A heap of so small a share of a row is faster. */
enum { PARTS = 2048, HEAP_SHARE = 32 };

static void select_many(const Row *r, int64_t *workspace)
{
    uint64_t *key = (uint64_t *)workspace, most = write_keys(r, key);
    RtPair *pair = (RtPair *)(workspace + r->n), *sorted;
    int64_t count[PARTS] = {0}, sum = 0, n = 0;
    uint64_t last = 0;
    int shift = 0;

    while (most >> shift >= PARTS)
        shift++;
    for (int64_t i = 0; i < r->n; i++)
        count[key[i] >> shift]++;
    while ((sum += count[last]) < r->k)
        last++;
    for (int64_t i = 0; i < r->n; i++)
        if (key[i] >> shift <= last) pair[n++] = (RtPair){key[i], i};
    sorted = ingot_rt_sort(pair, pair + n, n);
    for (int64_t i = 0; i < r->k; i++)
        r->index[i] = sorted[i].index;
}

int32_t ingot_call_topk(const ingot_call_args *a)
{
    const ingot_tensor *x = &a->in[0];
    int64_t n = x->dims[x->rank - 1], k = a->out[1].dims[x->rank - 1], rows = 1;
    int64_t size = ingot_rt_dtype_size(x->dtype);
    char *values = a->out[0].data;

    if (k > n)
        return ingot_rt_fail(a->call, INGOT_ERR_DATA, a->origin,
                             "the %lld first of an axis of %lld", k, n);
    for (int32_t i = 0; i < x->rank - 1; i++)
        rows *= x->dims[i];
    for (int64_t o = 0; o < rows; o++) {
        Row r = {.x = (const char *)x->data + o * n * size,
                 .index = (int64_t *)a->out[1].data + o * k,
                 .n = n,
                 .k = k,
                 .size = size,
                 .dtype = x->dtype,
                 .greatest = a->ints[0] != 0};
        if (k > n / HEAP_SHARE && a->out[2].dims[0] >= 5 * n)
            select_many(&r, a->out[2].data);
        else
            select_few(&r);
        for (int64_t i = 0; i < k; i++)
            memcpy(values + (o * k + i) * size, r.x + r.index[i] * size, (size_t)size);
    }
    return INGOT_OK;
}
