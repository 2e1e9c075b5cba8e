/* rt_call_unique.c: the different slices of a tensor along an axis.
 *
 * Slices are numbers outer x axis x inner; they compare element by element, the outer index first,
 * NaN greatest and equal to itself, -0 equal to 0. A stable sort of slice numbers brings equal ones
 * together with the first occurrence in front. All workspace is memory of the results:
 * the results of unknown size are placed at their upper bound first.
 *
 * ints: axis, or -1 for the flattened tensor; 1 when the result shall be sorted, 0 for the order of
 * first occurrence. in: x. out: the slices; their first places; for each slice of x the number of
 * its equal; the counts. */
#include <string.h>

#include "runtime/rt.h"
#include "runtime/rt_call.h"
#include "runtime/rt_key.h"
#include "runtime/rt_sort.h"

typedef struct Slices {
    const char *data;
    int64_t outer, count, inner;
    int64_t size; /* bytes of an element */
    int32_t dtype;
} Slices;

static int compare_strings(const char *p, const char *q)
{
    ingot_string a, b;
    int order;

    memcpy(&a, p, sizeof a);
    memcpy(&b, q, sizeof b);
    order = memcmp(a.n ? a.s : "", b.n ? b.s : "", (size_t)(a.n < b.n ? a.n : b.n));
    return order ? order : (a.n > b.n) - (a.n < b.n);
}

static int compare_slices(const Slices *x, int64_t i, int64_t j)
{
    for (int64_t o = 0; o < x->outer; o++) {
        const char *p = x->data + (o * x->count + i) * x->inner * x->size;
        const char *q = x->data + (o * x->count + j) * x->inner * x->size;
        for (int64_t c = 0; c < x->inner; c++, p += x->size, q += x->size) {
            if (x->dtype == INGOT_STRING) {
                int order = compare_strings(p, q);
                if (order) return order;
                continue;
            }
            int64_t a = rt_element_key(x->dtype, p, x->size),
                    b = rt_element_key(x->dtype, q, x->size);
            if (a != b) return a < b ? -1 : 1;
        }
    }
    return 0;
}

/* Two sorted runs [begin, middle) and [middle, end) of `from` into one of `to`. */
static void merge(const Slices *x, const int64_t *from, int64_t *to, int64_t begin, int64_t middle,
                  int64_t end)
{
    int64_t i = begin, j = middle;

    for (int64_t k = begin; k < end; k++) {
        bool left = i < middle && (j >= end || compare_slices(x, from[i], from[j]) <= 0);
        to[k] = left ? from[i++] : from[j++];
    }
}

/* Numbers themselves, by their keys. room: 4 lists of x->count; the result is none but the first.
 */
static int64_t *sort_numbers(const Slices *x, int64_t *room)
{
    RtPair *a = (RtPair *)room, *b = a + x->count, *sorted;
    int64_t *order;

    for (int64_t i = 0; i < x->count; i++) {
        int64_t key = rt_element_key(x->dtype, x->data + i * x->size, x->size);
        a[i] = (RtPair){(uint64_t)key ^ UINT64_C(1) << 63, i};
    }
    sorted = ingot_rt_sort(a, b, x->count);
    order = room + (sorted == a ? 2 : 1) * x->count;
    for (int64_t i = 0; i < x->count; i++)
        order[i] = sorted[i].index;
    return order;
}

/* Slice numbers in order, in a or b (both of x->count). */
static int64_t *sort_slices(const Slices *x, int64_t *a, int64_t *b)
{
    for (int64_t i = 0; i < x->count; i++)
        a[i] = i;
    for (int64_t width = 1; width < x->count; width *= 2) {
        int64_t *swap = a;
        for (int64_t i = 0; i < x->count; i += 2 * width) {
            int64_t middle = i + width < x->count ? i + width : x->count;
            int64_t end = middle + width < x->count ? middle + width : x->count;
            merge(x, a, b, i, middle, end);
        }
        a = b;
        b = swap;
    }
    return a;
}

/* The slices in order -> places, inverse, counts; all sorted. Returns how many differ. */
static int64_t number_sorted(const Slices *x, const int64_t *order, int64_t *place,
                             int64_t *inverse, int64_t *counts)
{
    int64_t groups = 0, representative = 0;

    for (int64_t i = 0; i < x->count; i++) {
        int64_t slice = order[i];
        bool fresh = i == 0 || compare_slices(x, representative, slice) != 0;
        if (fresh) representative = slice;
        inverse[slice] = fresh ? groups : groups - 1;
        groups += fresh;
    }
    memset(counts, 0, (size_t)x->count * sizeof *counts);
    for (int64_t j = x->count - 1; j >= 0; j--) { /* backward: the first occurrence stays */
        counts[inverse[j]]++;
        place[inverse[j]] = j;
    }
    return groups;
}

/* Numbers of sorted groups -> numbers by first occurrence. `fresh` is workspace of x->count. */
static void number_by_place(int64_t count, int64_t groups, int64_t *place, int64_t *inverse,
                            int64_t *counts, int64_t *fresh)
{
    int64_t next = 0;

    memset(fresh, -1, (size_t)groups * sizeof *fresh);
    for (int64_t j = 0; j < count; j++) {
        if (fresh[inverse[j]] < 0) {
            fresh[inverse[j]] = next;
            place[next++] = j;
        }
        inverse[j] = fresh[inverse[j]];
    }
    memset(counts, 0, (size_t)groups * sizeof *counts);
    for (int64_t j = 0; j < count; j++)
        counts[inverse[j]]++;
}

static void copy_slices(const Slices *x, const int64_t *place, int64_t groups, char *to)
{
    size_t bytes = (size_t)(x->inner * x->size);

    for (int64_t o = 0; o < x->outer; o++)
        for (int64_t g = 0; g < groups; g++, to += bytes)
            memcpy(to, x->data + (o * x->count + place[g]) * (int64_t)bytes, bytes);
}

static Slices slices_of(const ingot_tensor *x, int64_t axis)
{
    Slices s = {.data = x->data,
                .outer = 1,
                .count = 1,
                .inner = 1,
                .size = ingot_rt_dtype_size(x->dtype),
                .dtype = x->dtype};

    for (int32_t i = 0; i < x->rank; i++) {
        if (axis < 0 || i == axis)
            s.count *= x->dims[i];
        else if (i < axis)
            s.outer *= x->dims[i];
        else
            s.inner *= x->dims[i];
    }
    return s;
}

int32_t ingot_call_unique(const ingot_call_args *a)
{
    int64_t axis = a->ints[0], words, groups;
    Slices x = slices_of(&a->in[0], axis);
    int64_t *place, *counts, *order, *inverse;
    ingot_tensor *y = &a->out[0];

    /* Lists of x.count: sorting needs two or four, and the order outlives the numbering. */
    words = x.count > 0 ? x.count : 1;
    place = ingot_rt_place(a, 1, 8 * words);
    counts = ingot_rt_place(a, 3, 4 * 8 * words);
    inverse = a->out[2].data;
    if (!inverse) inverse = x.count > 0 ? ingot_rt_place(a, 2, 8 * words) : place; /* none of it */
    if (!place || !counts || !inverse) return INGOT_ERR_LIMIT;
    if (x.outer * x.inner == 1 && x.dtype != INGOT_STRING)
        order = sort_numbers(&x, counts);
    else
        order = sort_slices(&x, counts, counts + words);
    if (order == counts) { /* counts is written while the order is read */
        memcpy(counts + words, counts, (size_t)words * sizeof *counts);
        order = counts + words;
    }
    groups = number_sorted(&x, order, place, inverse, counts);
    if (!a->ints[1]) number_by_place(x.count, groups, place, inverse, counts, counts + words);
    y->dtype = x.dtype;
    y->rank = axis < 0 ? 1 : a->in[0].rank;
    for (int32_t i = 0; i < y->rank; i++)
        y->dims[i] = axis < 0 || i == axis ? groups : a->in[0].dims[i];
    a->out[1].dims[0] = a->out[3].dims[0] = groups;
    a->out[2].dims[0] = x.count;
    a->out[1].rank = a->out[2].rank = a->out[3].rank = 1;
    y->data = ingot_rt_place(a, 0, x.outer * groups * x.inner * x.size);
    if (!y->data) return x.outer * groups * x.inner > 0 ? INGOT_ERR_LIMIT : INGOT_OK;
    copy_slices(&x, place, groups, y->data);
    return INGOT_OK;
}
