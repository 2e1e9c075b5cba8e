/* rt_trim.c: what the turns of a loop leave behind in the bump region.
 *
 * A loop that carries lists makes new ones each turn; of those of the turns before, what is carried
 * is all that can still be read. Once more than twice that has been made, it is copied out of the
 * region, the region goes back to where the loop began, and it is copied in again: so a loop of any
 * number of turns needs a few times what it carries, and each byte is copied a bounded number of
 * times.
 *
 *      before loop | made since the mark: some of it read, most of it not |
 *      before loop | what is read | */
#include <string.h>

#include "runtime/rt.h"

enum { LEAST = 1 << 20 }; /* bytes since the mark below which nothing is done */

/* Memory outside of the region for the time between. */
typedef struct Aside {
    ingot_call *c;
    const ingot_mark *mark;
    RtBlock block;
    size_t used;
} Aside;

void ingot_rt_mark(ingot_call *c, ingot_mark *mark)
{
    const RtRegion *r = &c->instance->region;

    *mark = (ingot_mark){r->at, (int64_t)r->used, r->total, LEAST};
}

/* Whether p lies in what was made since the mark. */
static bool is_new(const Aside *x, const void *p)
{
    const RtRegion *r = &x->c->instance->region;

    for (int32_t i = (int32_t)x->mark->block; p && i < r->n; i++) {
        size_t at = (size_t)((uintptr_t)p - (uintptr_t)r->block[i].data);
        if (at < r->block[i].size) return i > x->mark->block || at >= (size_t)x->mark->used;
    }
    return false;
}

static size_t rounded(size_t n)
{
    return (n + INGOT_RT_ALIGN - 1) & ~(size_t)(INGOT_RT_ALIGN - 1);
}

static size_t bytes_of(const ingot_tensor *t)
{
    int64_t n = ingot_rt_elements(t->dtype, t->rank, t->dims);

    return n > 0 ? (size_t)(n * ingot_rt_dtype_size(t->dtype)) : 0;
}

/* Bytes that the tensor needs aside: its own, and those of what it points to. */
static size_t measure(const Aside *x, const ingot_tensor *t)
{
    size_t bytes = bytes_of(t), sum = is_new(x, t->data) ? rounded(bytes) : 0;
    int64_t n = bytes ? (int64_t)bytes / ingot_rt_dtype_size(t->dtype) : 0;

    for (int64_t i = 0; ingot_rt_is_list(t->dtype) && i < n; i++)
        sum += measure(x, (const ingot_tensor *)t->data + i);
    for (int64_t i = 0; t->dtype == INGOT_STRING && i < n; i++) {
        const ingot_string *s = (const ingot_string *)t->data + i;
        if (is_new(x, s->s)) sum += (size_t)s->n;
    }
    return t->dtype == INGOT_STRING ? sum + INGOT_RT_ALIGN : sum;
}

static void *aside(Aside *x, const void *from, size_t bytes)
{
    char *to = (char *)x->block.data + x->used;

    memcpy(to, from, bytes);
    x->used += bytes;
    return to;
}

/* An old array may hold what is new, in what was room behind its end: then all that see the element
 * see it move. */
static void move_out(Aside *x, ingot_tensor *t)
{
    size_t bytes = bytes_of(t);
    int64_t n = bytes ? (int64_t)bytes / ingot_rt_dtype_size(t->dtype) : 0;

    if (bytes && is_new(x, t->data)) {
        x->used = rounded(x->used);
        t->data = aside(x, t->data, bytes);
        t->capacity = 0;
    }
    for (int64_t i = 0; ingot_rt_is_list(t->dtype) && i < n; i++)
        move_out(x, (ingot_tensor *)t->data + i);
    for (int64_t i = 0; t->dtype == INGOT_STRING && i < n; i++) {
        ingot_string *s = (ingot_string *)t->data + i;
        if (is_new(x, s->s)) s->s = aside(x, s->s, (size_t)s->n);
    }
}

static bool is_aside(const Aside *x, const void *p)
{
    return (uintptr_t)p - (uintptr_t)x->block.data < x->block.size;
}

static int32_t move_in(Aside *x, ingot_tensor *t)
{
    ingot_tensor list;
    int32_t status = INGOT_OK;

    if (!ingot_rt_is_list(t->dtype))
        return is_aside(x, t->data) ? ingot_rt_keep(x->c, t) : INGOT_OK;
    if (bytes_of(t) && is_aside(x, t->data)) {
        status =
            ingot_rt_new_list(x->c, -1, t->dims[0], t->dims[0] + t->dims[0] / 2, t->dtype, &list);
        if (status) return status;
        memcpy(list.data, t->data, bytes_of(t));
        *t = list;
    }
    for (int64_t i = 0; !status && i < t->dims[0]; i++)
        status = move_in(x, (ingot_tensor *)t->data + i);
    return status;
}

int32_t ingot_rt_trim(ingot_call *c, ingot_mark *mark, ingot_tensor *const *list, int32_t n)
{
    RtRegion *r = &c->instance->region;
    Aside x = {.c = c, .mark = mark};
    size_t live = 0;
    int32_t status = INGOT_OK;

    if (r->total - mark->total < mark->most) return INGOT_OK;
    for (int32_t i = 0; i < n; i++)
        live += measure(&x, list[i]);
    mark->most = (int64_t)live > LEAST ? 3 * (int64_t)live : LEAST;
    if ((int64_t)live > (r->total - mark->total) / 2) return INGOT_OK;
    if (c->instance->memory_limit > 0 &&
        (int64_t)live > c->instance->memory_limit - c->instance->memory_used)
        return INGOT_OK; /* as without memory: the turns go on with what there is */
    if (!ingot_rt_grow(&c->instance->memory, &x.block, live + INGOT_RT_ALIGN)) return INGOT_OK;
    for (int32_t i = 0; i < n; i++)
        move_out(&x, list[i]);
    r->at = (int32_t)mark->block;
    r->used = (size_t)mark->used;
    r->total = mark->total;
    for (int32_t i = 0; i < n && !status; i++)
        status = move_in(&x, list[i]);
    ingot_rt_release(&c->instance->memory, &x.block);
    return status;
}
