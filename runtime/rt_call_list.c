/* rt_call_list.c: making and reading lists: sequences and optionals (see ingot_rt.h).
 *
 * A list is immutable for the model; still, appending to it in a loop must not copy it each time.
 * So an array of elements has room behind its end, and a count of how much of that is taken:
 *
 *      used | e0 e1 e2 .  .  .          a, of 3 elements: a list is (where, how many)
 *      used | e0 e1 e2 e3 .  .          b = a with e3: the room was free, so both share the array
 *
 * Only who finds the end of its list to be the end of what is taken may take more; all others copy.
 * Elements are copied into the region when they come into a list, unless they are there: what is
 * read from a list may point to it. */
#include <string.h>

#include "runtime/rt.h"
#include "runtime/rt_call.h"

enum { HEAD = INGOT_RT_ALIGN, FEWEST = 4 };

/* How many elements of the array are taken; lies before it. */
static int64_t *used_of(const ingot_tensor *list)
{
    return (int64_t *)(void *)((char *)list->data - HEAD);
}

static const ingot_tensor *items(const ingot_tensor *list)
{
    return list->data;
}

/* list->capacity is the number of elements that there is room for. */
int32_t ingot_rt_new_list(ingot_call *c, int32_t origin, int64_t n, int64_t room, int32_t dtype,
                          ingot_tensor *list)
{
    int64_t bytes;
    char *p;

    if (room < n) room = n;
    if (__builtin_mul_overflow(room, (int64_t)sizeof(ingot_tensor), &bytes) ||
        bytes > INT64_MAX - HEAD)
        return ingot_rt_fail(c, INGOT_ERR_LIMIT, origin, "a list of %lld elements", n, 0);
    p = ingot_rt_bump(c, bytes + HEAD);
    if (!p) return INGOT_ERR_LIMIT;
    *list =
        (ingot_tensor){.data = p + HEAD, .capacity = room, .dtype = dtype, .rank = 1, .dims = {n}};
    *used_of(list) = n;
    return INGOT_OK;
}

static int32_t new_list(const ingot_call_args *a, int64_t n, int64_t room, int32_t dtype,
                        ingot_tensor *list)
{
    return ingot_rt_new_list(a->call, a->origin, n, room, dtype, list);
}

/* Whether the list may take the element behind its last one. */
static bool can_append(const ingot_call_args *a, const ingot_tensor *list)
{
    return ingot_rt_in_region(&a->call->instance->region, list->data) &&
           list->capacity > list->dims[0] && *used_of(list) == list->dims[0];
}

/* `position` in [-n, most], from the end when negative; absent: `absent`. */
static int32_t find_place(const ingot_call_args *a, int32_t input, int64_t n, int64_t most,
                          int64_t absent, int64_t *at)
{
    const ingot_tensor *t = input < a->n_in ? &a->in[input] : NULL;
    int32_t narrow;

    *at = absent;
    if (t && t->data && ingot_rt_elements(t->dtype, t->rank, t->dims) != 1)
        return ingot_rt_fail(a->call, INGOT_ERR_DATA, a->origin,
                             "input 'position' has %lld elements, expected 1",
                             ingot_rt_elements(t->dtype, t->rank, t->dims), 0);
    if (t && t->data && t->dtype == INGOT_I64) memcpy(at, t->data, sizeof *at);
    if (t && t->data && t->dtype == INGOT_I32) {
        memcpy(&narrow, t->data, sizeof narrow);
        *at = narrow;
    }
    if (*at < -n || *at > most || (absent < 0 && !(t && t->data)))
        return ingot_rt_fail(a->call, INGOT_ERR_DATA, a->origin,
                             "input 'position': %lld, but the sequence has %lld elements", *at, n);
    if (*at < 0) *at += n;
    return INGOT_OK;
}

/* in: the elements. ints: 1 for an optional. out: the list. */
int32_t ingot_call_list(const ingot_call_args *a)
{
    int32_t status =
        new_list(a, a->n_in, a->n_in, a->ints[0] ? INGOT_OPTIONAL : INGOT_SEQUENCE, &a->out[0]);

    for (int32_t i = 0; !status && i < a->n_in; i++) {
        ingot_tensor *to = (ingot_tensor *)a->out[0].data + i;
        *to = a->in[i];
        status = ingot_rt_keep(a->call, to);
    }
    return status;
}

/* in: list, tensor, position. */
int32_t ingot_call_list_insert(const ingot_call_args *a)
{
    const ingot_tensor *list = &a->in[0];
    int64_t n = list->dims[0], at;
    int32_t status = find_place(a, 2, n, n, n, &at);
    ingot_tensor *out = &a->out[0], *to;

    if (status) return status;
    if (at == n && can_append(a, list)) {
        *out = *list;
        out->dims[0] = ++*used_of(list);
    } else {
        status = new_list(a, n + 1, n < FEWEST ? FEWEST : 2 * n, INGOT_SEQUENCE, out);
        if (status) return status;
        to = out->data;
        if (at) memcpy(to, items(list), (size_t)at * sizeof *to);
        if (at < n) memcpy(to + at + 1, items(list) + at, (size_t)(n - at) * sizeof *to);
    }
    to = (ingot_tensor *)out->data + at;
    *to = a->in[1];
    return ingot_rt_keep(a->call, to);
}

/* in: list, position. */
int32_t ingot_call_list_erase(const ingot_call_args *a)
{
    const ingot_tensor *list = &a->in[0];
    int64_t n = list->dims[0], at;
    int32_t status = find_place(a, 1, n, n - 1, n - 1, &at);
    ingot_tensor *out = &a->out[0], *to;

    if (status) return status;
    if (at == 0 || at == n - 1) { /* a part of the same array, to which none is appended */
        *out = *list;
        out->data = n > 1 && at == 0 ? (ingot_tensor *)list->data + 1 : list->data;
        out->capacity = 0;
        out->dims[0] = n - 1;
        return INGOT_OK;
    }
    status = new_list(a, n - 1, n - 1, INGOT_SEQUENCE, out);
    if (status) return status;
    to = out->data;
    memcpy(to, items(list), (size_t)at * sizeof *to);
    memcpy(to + at, items(list) + at + 1, (size_t)(n - 1 - at) * sizeof *to);
    return INGOT_OK;
}

/* Result k is this element: copied where the plan has given it memory. */
static int32_t give(const ingot_call_args *a, const ingot_tensor *t)
{
    ingot_tensor *out = &a->out[0];
    int64_t bytes = ingot_rt_elements(t->dtype, t->rank, t->dims) * ingot_rt_dtype_size(t->dtype);
    void *placed = out->data;

    if (placed && (out->rank != t->rank ||
                   memcmp(out->dims, t->dims, (size_t)t->rank * sizeof t->dims[0]) != 0))
        return ingot_rt_fail(a->call, INGOT_ERR_DATA, a->origin,
                             "an element of rank %lld has dims that it should not have", t->rank,
                             0);
    if (!placed && out->dtype && !ingot_rt_is_list(out->dtype) && out->rank != t->rank)
        return ingot_rt_fail(a->call, INGOT_ERR_DATA, a->origin,
                             "an element of rank %lld, expected %lld", t->rank, out->rank);
    *out = *t;
    if (!placed) return INGOT_OK;
    out->data = placed;
    if (bytes > 0) memcpy(placed, t->data, (size_t)bytes);
    return INGOT_OK;
}

/* in: list, position. out: the element. */
int32_t ingot_call_list_at(const ingot_call_args *a)
{
    int64_t n = a->in[0].dims[0], at;
    int32_t status = find_place(a, 1, n, n - 1, 0, &at);

    return status ? status : give(a, items(&a->in[0]) + at);
}

/* in: an optional. out: its element. */
int32_t ingot_call_list_element(const ingot_call_args *a)
{
    if (a->in[0].dims[0] != 1)
        return ingot_rt_fail(a->call, INGOT_ERR_DATA, a->origin,
                             "input 'input' is an optional without an element", 0, 0);
    return give(a, items(&a->in[0]));
}

int32_t ingot_call_list_length(const ingot_call_args *a)
{
    memcpy(a->out[0].data, &a->in[0].dims[0], sizeof(int64_t));
    return INGOT_OK;
}
