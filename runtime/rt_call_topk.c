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

static int64_t key_of(const Row *r, int64_t i)
{
    return rt_element_key(r->dtype, r->x + i * r->step * r->size, r->size);
}

/* Does element i come before element j in the result? */
static int before(const Row *r, int64_t i, int64_t j)
{
    int64_t a = key_of(r, i), b = key_of(r, j);

    if (a != b) return r->greatest ? a > b : a < b;
    return i < j;
}

/* index[at] moves down in a heap of n whose root comes last. */
static void sink(const Row *r, int64_t at, int64_t n)
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

static void select_row(const Row *r, int64_t n, int64_t k)
{
    for (int64_t i = 0; i < k; i++)
        r->index[i * r->step] = i;
    for (int64_t i = k / 2 - 1; i >= 0; i--)
        sink(r, i, k);
    for (int64_t i = k; i < n && k > 0; i++)
        if (before(r, i, r->index[0])) {
            r->index[0] = i;
            sink(r, 0, k);
        }
    for (int64_t last = k - 1; last > 0; last--) { /* the root comes last */
        int64_t root = r->index[0];
        r->index[0] = r->index[last * r->step];
        r->index[last * r->step] = root;
        sink(r, 0, last);
    }
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
