/* rt_call_topk.c: the k greatest or least elements of each row, in order; of equals the lower index
 * first.
 *
 * A few: the k best so far, of which the worst turns most elements of a long row away by one
 * comparison. Up to 24 stand in order, more are a heap with the worst at its root, sorted in the
 * end. Elements of up to 32 bits are kept as entries, their key above their index, of which the
 * least comes first; others as indices.
 * Many: the 2048 equal parts of the range of keys are counted, all elements in the first parts that
 * hold k of them are sorted, k are taken.
 *
 * ints: 1 for the greatest. in: x [..., n]. out: values [..., k]; indices (i64). */
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

/* The next element from i on that comes before all that are kept, of which element `worst` is the
 * last; or n. */
INLINE int64_t next_element(const Row *r, int64_t i, int64_t worst)
{
    const float *x = (const float *)(const void *)r->x;
    int64_t last = key_of(r, worst);

    while (i < r->n) {
        int64_t end = i + BLOCK < r->n ? i + BLOCK : r->n;
        if (r->dtype == INGOT_F32 && end == i + BLOCK && !may_enter(x + i, x[worst], r->greatest)) {
            i = end;
            continue;
        }
        for (; i < end; i++)
            if (r->greatest ? key_of(r, i) > last : key_of(r, i) < last) return i;
    }
    return i;
}

/* ---- a few of 32 bits ---- */

/* The key of element i, from 0 on, and below it i: entries are in the order of the result. */
INLINE uint64_t entry_of(const Row *r, int64_t i)
{
    int64_t key = key_of(r, i);
    bool unsigned_key = r->dtype == INGOT_U32 || r->dtype == INGOT_U16 || r->dtype == INGOT_U8;
    uint32_t place;

    if (!unsigned_key && key > INT32_MAX) key = INT32_MAX; /* a NaN */
    place = (uint32_t)(unsigned_key ? key : key - INT32_MIN);
    return (uint64_t)(r->greatest ? ~place : place) << 32 | (uint64_t)i;
}

enum { IN_ORDER = 24 };

/* Entry e comes among n that are in order, the last of which may be overwritten. */
INLINE void insert_entry(uint64_t *entry, int64_t n, uint64_t e)
{
    int64_t at = n - 1;

    for (; at > 0 && entry[at - 1] > e; at--)
        entry[at] = entry[at - 1];
    entry[at] = e;
}

/* entry[at] moves down in a heap of n whose root is the greatest. */
INLINE void sink_entry(uint64_t *entry, int64_t at, int64_t n)
{
    uint64_t moved = entry[at];

    for (int64_t child; (child = 2 * at + 1) < n; at = child) {
        child += child + 1 < n && entry[child + 1] > entry[child];
        if (entry[child] <= moved) break;
        entry[at] = entry[child];
    }
    entry[at] = moved;
}

/* The entries stand where the indices will. */
INLINE void select_entries(const Row *r)
{
    uint64_t *entry = (uint64_t *)r->index;
    int64_t k = r->k;
    bool in_order = k <= IN_ORDER;
    const uint64_t *worst = in_order && k > 0 ? &entry[k - 1] : entry;

    for (int64_t i = 0; i < k; i++) {
        entry[i] = entry_of(r, i);
        if (in_order) insert_entry(entry, i + 1, entry[i]);
    }
    for (int64_t i = k / 2 - 1; i >= 0 && !in_order; i--)
        sink_entry(entry, i, k);
    for (int64_t i = k; k > 0 && (i = next_element(r, i, (uint32_t)*worst)) < r->n; i++) {
        if (in_order) {
            insert_entry(entry, k, entry_of(r, i));
        } else {
            entry[0] = entry_of(r, i);
            sink_entry(entry, 0, k);
        }
    }
    for (int64_t last = k - 1; last > 0 && !in_order; last--) {
        uint64_t root = entry[0];
        entry[0] = entry[last];
        entry[last] = root;
        sink_entry(entry, 0, last);
    }
    for (int64_t i = 0; i < k; i++)
        entry[i] = (uint32_t)entry[i];
}

/* ---- a few of 64 bits ---- */

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

INLINE void select_by_heap(const Row *r)
{
    int64_t k = r->k;

    for (int64_t i = 0; i < k; i++)
        r->index[i] = i;
    for (int64_t i = k / 2 - 1; i >= 0; i--)
        sink(r, i, k);
    for (int64_t i = k; k > 0 && (i = next_element(r, i, r->index[0])) < r->n; i++) {
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

/* ---- many ---- */

/* Keys of which the least comes first, from 0 on; returns the greatest. */
INLINE uint64_t write_keys(const Row *r, uint64_t *key)
{
    uint64_t least = UINT64_MAX, most = 0;

    for (int64_t i = 0; i < r->n; i++) {
        int64_t k = key_of(r, i);
        if (r->dtype == INGOT_F32 && k > INT32_MAX) k = INT32_MAX; /* a NaN, near the others */
        uint64_t u = (uint64_t)k ^ UINT64_C(1) << 63;
        key[i] = u = r->greatest ? ~u : u;
        least = u < least ? u : least;
        most = u > most ? u : most;
    }
    for (int64_t i = 0; i < r->n; i++)
        key[i] -= least;
    return most - least;
}

/* The `workspace` has WORDS n words. */
enum { PARTS = 2048, WORDS = 5 };

INLINE void select_by_parts(const Row *r, uint64_t *workspace)
{
    uint64_t *key = workspace, most = write_keys(r, key), last = 0;
    RtPair *pair = (RtPair *)(void *)(workspace + r->n), *sorted;
    int64_t count[PARTS] = {0}, sum = 0, n = 0;
    int shift = 0;

    while (most >> shift >= PARTS)
        shift++;
    for (int64_t i = 0; i < r->n; i++)
        count[key[i] >> shift]++;
    while ((sum += count[last]) < r->k)
        last++;
    for (int64_t i = 0; i < r->n; i++) {
        pair[n] = (RtPair){key[i], i};
        n += key[i] >> shift <= last;
    }
    sorted = ingot_rt_sort(pair, pair + n, n);
    for (int64_t i = 0; i < r->k; i++)
        r->index[i] = sorted[i].index;
}

/* ---- a row ---- */

INLINE void select_some(const Row *r, uint64_t *workspace)
{
    if (workspace)
        select_by_parts(r, workspace);
    else if (r->size <= 4 && r->n <= UINT32_MAX)
        select_entries(r);
    else
        select_by_heap(r);
}

INLINE void select_constant(Row r, int32_t dtype, int64_t size, uint64_t *workspace)
{
    r.size = size;
    r.dtype = dtype;
    if (r.greatest) {
        r.greatest = 1;
        select_some(&r, workspace);
    } else {
        r.greatest = 0;
        select_some(&r, workspace);
    }
}

static void select_row(const Row *r, uint64_t *workspace)
{
    switch (r->dtype) {
    case INGOT_F32:
        select_constant(*r, INGOT_F32, 4, workspace);
        return;
    case INGOT_I32:
        select_constant(*r, INGOT_I32, 4, workspace);
        return;
    case INGOT_I64:
        select_constant(*r, INGOT_I64, 8, workspace);
        return;
    default:
        select_some(r, workspace);
    }
}

static void take(const Row *r, char *value)
{
    for (int64_t i = 0; i < r->k; i++) {
        const char *from = r->x + r->index[i] * r->size;
        if (r->size == 4)
            memcpy(value + i * 4, from, 4);
        else
            memcpy(value + i * r->size, from, (size_t)r->size);
    }
}

/* A heap of so few, or so small a share of a row, is faster than its parts. */
enum { HEAP_FEW = 32, HEAP_SHARE = 32, TASK_ELEMENTS = 4096 };

typedef struct Rows {
    Row first;
    char *value;
    bool few;
} Rows;

static void select_rows(const ingot_kernel_args *args, int64_t begin, int64_t end, void *scratch)
{
    const Rows *rows = args->ptr[0];

    for (int64_t i = begin; i < end; i++) {
        Row r = rows->first;
        r.x += i * r.n * r.size;
        r.index += i * r.k;
        select_row(&r, rows->few ? NULL : scratch);
        take(&r, rows->value + i * r.k * r.size);
    }
}

int32_t ingot_call_topk(const ingot_call_args *a)
{
    const ingot_tensor *x = &a->in[0];
    int64_t n = x->dims[x->rank - 1], k = a->out[1].dims[x->rank - 1], count = 1;
    Rows rows = {{.x = x->data,
                  .index = a->out[1].data,
                  .n = n,
                  .k = k,
                  .size = ingot_rt_dtype_size(x->dtype),
                  .dtype = x->dtype,
                  .greatest = a->ints[0] != 0},
                 .value = a->out[0].data,
                 .few = k <= HEAP_FEW || k <= n / HEAP_SHARE};
    void *const ptr[1] = {&rows};
    ingot_kernel_args args = {.call = a->call, .ptr = ptr, .origin = a->origin, .kernel = -1};

    if (k > n)
        return ingot_rt_fail(a->call, INGOT_ERR_DATA, a->origin,
                             "the %lld first of an axis of %lld", k, n);
    for (int32_t i = 0; i < x->rank - 1; i++)
        count *= x->dims[i];
    return ingot_rt_parallel(a->call, select_rows, &args, count, TASK_ELEMENTS / (n + 1) + 1,
                             rows.few ? 0 : n * WORDS * 8);
}
