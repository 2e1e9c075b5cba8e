/* rt_call_topk.c: the k greatest or least elements along an axis, in order; of equals the lower
 * index first.
 *
 * A heap of k indices with the worst kept one at its root, sorted in the end: n log k, and no
 * memory but the result's. ints: axis, 1 for the greatest. in: x. out: values, indices (i64); k is
 * their extent. */
#include <string.h>

#include "runtime/rt.h"
#include "runtime/rt_call.h"
#include "runtime/rt_key.h"

typedef struct Row {
    const char *x; /* element 0; the next is `step` elements on */
    int64_t *index;
    int64_t step, size;
    int32_t dtype;
    int greatest;
} Row;

/* What is constant in a Row becomes constant in all of these: see select_row. */
#define INLINE static inline __attribute__((always_inline))

INLINE int64_t key_of(const Row *r, int64_t i)
{
    return rt_element_key(r->dtype, r->x + i * r->step * r->size, r->size);
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
    int64_t moved = r->index[at * r->step];

    for (int64_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && before(r, r->index[child * r->step], r->index[(child + 1) * r->step]))
            child++;
        if (!before(r, moved, r->index[child * r->step])) break;
        r->index[at * r->step] = r->index[child * r->step];
    }
    r->index[at * r->step] = moved;
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

/* The next element from i on that may come before the root, or n. */
INLINE int64_t next_element(const Row *r, int64_t i, int64_t n, int64_t root)
{
    const float *x = (const float *)(const void *)r->x;

    if (r->dtype != INGOT_F32 || r->step != 1) return i;
    while (i + BLOCK <= n && !may_enter(x + i, x[root], r->greatest))
        i += BLOCK;
    return i;
}

INLINE void select_any(const Row *r, int64_t n, int64_t k)
{
    for (int64_t i = 0; i < k; i++)
        r->index[i * r->step] = i;
    for (int64_t i = k / 2 - 1; i >= 0; i--)
        sink(r, i, k);
    for (int64_t i = k; i < n && k > 0;) {
        int64_t end;
        i = next_element(r, i, n, r->index[0]);
        end = i + BLOCK < n ? i + BLOCK : n;
        for (; i < end; i++)
            if (before(r, i, r->index[0])) {
                r->index[0] = i;
                sink(r, 0, k);
            }
    }
    for (int64_t last = k - 1; last > 0; last--) { /* the root comes last */
        int64_t root = r->index[0];
        r->index[0] = r->index[last * r->step];
        r->index[last * r->step] = root;
        sink(r, 0, last);
    }
}

static void select_floats(Row r, int64_t n, int64_t k)
{
    r.size = sizeof(float);
    r.dtype = INGOT_F32;
    r.step = 1;
    if (r.greatest) {
        r.greatest = 1;
        select_any(&r, n, k);
    } else {
        r.greatest = 0;
        select_any(&r, n, k);
    }
}

static void select_row(const Row *r, int64_t n, int64_t k)
{
    if (r->dtype == INGOT_F32 && r->step == 1)
        select_floats(*r, n, k);
    else
        select_any(r, n, k);
}

int32_t ingot_call_topk(const ingot_call_args *a)
{
    const ingot_tensor *x = &a->in[0];
    int32_t axis = (int32_t)a->ints[0];
    int64_t n = x->dims[axis], k = a->out[1].dims[axis], outer = 1, inner = 1;
    int64_t size = ingot_rt_dtype_size(x->dtype);
    char *values = a->out[0].data;
    int64_t *indices = a->out[1].data;

    if (k > n)
        return ingot_rt_fail(a->call, INGOT_ERR_DATA, a->origin,
                             "the %lld first of an axis of %lld", k, n);
    for (int32_t i = 0; i < x->rank; i++) {
        if (i < axis) outer *= x->dims[i];
        if (i > axis) inner *= x->dims[i];
    }
    for (int64_t o = 0; o < outer; o++)
        for (int64_t c = 0; c < inner; c++) {
            Row r = {.x = (const char *)x->data + (o * n * inner + c) * size,
                     .index = indices + o * k * inner + c,
                     .step = inner,
                     .size = size,
                     .dtype = x->dtype,
                     .greatest = a->ints[1] != 0};
            char *y = values + (o * k * inner + c) * size;
            select_row(&r, n, k);
            for (int64_t i = 0; i < k; i++)
                memcpy(y + i * inner * size, r.x + r.index[i * inner] * inner * size, (size_t)size);
        }
    return INGOT_OK;
}
