/* rt_region.c: memory that lasts until the next run of an instance: see RtRegion.
 *
 * Also deep copies into it: what a list holds must outlive the places that the plan gave it. */
#include <string.h>

#include "runtime/rt.h"

#define FIRST_BLOCK ((size_t)64 << 10)

void ingot_rt_region_reset(RtRegion *r)
{
    r->at = 0;
    r->used = 0;
    r->total = 0;
}

void ingot_rt_region_release(const RtMemory *m, RtRegion *r)
{
    for (int32_t i = 0; i < r->n; i++)
        ingot_rt_release(m, &r->block[i]);
    *r = (RtRegion){0};
}

bool ingot_rt_in_region(const RtRegion *r, const void *p)
{
    for (int32_t i = 0; p && i < r->n; i++)
        if ((uintptr_t)p - (uintptr_t)r->block[i].data < r->block[i].size) return true;
    return false;
}

/* One more block, at least twice the last one. */
static bool add_block(ingot_call *c, size_t bytes)
{
    ingot_instance *m = c->instance;
    RtRegion *r = &m->region;
    size_t size = r->n ? 2 * r->block[r->n - 1].size : FIRST_BLOCK;

    if (size < bytes) size = bytes;
    if (m->memory_limit > 0 && (int64_t)size > m->memory_limit - m->memory_used)
        size = bytes; /* what is needed may still fit */
    if (m->memory_limit > 0 && (int64_t)size > m->memory_limit - m->memory_used) {
        ingot_rt_fail(c, INGOT_ERR_LIMIT, -1,
                      "%lld bytes more of sequences would be over the memory limit of %lld",
                      (int64_t)bytes, m->memory_limit);
        return false;
    }
    if (r->n == INGOT_RT_BLOCKS || !ingot_rt_grow(&m->memory, &r->block[r->n], size)) {
        ingot_rt_fail(c, INGOT_ERR_LIMIT, -1, "no memory for %lld bytes of sequences",
                      (int64_t)bytes, 0);
        return false;
    }
    m->memory_used += (int64_t)size;
    r->at = r->n++;
    r->used = 0;
    return true;
}

void *ingot_rt_bump(ingot_call *c, int64_t bytes)
{
    RtRegion *r = &c->instance->region;
    size_t size;
    char *p;

    if (bytes < 0 || bytes > INT64_MAX / 4) {
        ingot_rt_fail(c, INGOT_ERR_LIMIT, -1, "a sequence of %lld bytes", bytes, 0);
        return NULL;
    }
    size = ((size_t)bytes + INGOT_RT_ALIGN - (bytes != 0)) & ~(size_t)(INGOT_RT_ALIGN - 1);
    while (r->at < r->n && size > r->block[r->at].size - r->used) {
        r->at++;
        r->used = 0;
    }
    if (r->at >= r->n && !add_block(c, size)) return NULL;
    p = (char *)r->block[r->at].data + r->used;
    r->used += size;
    r->total += (int64_t)size;
    return p;
}

/* ---- deep copies ---- */

int32_t ingot_rt_keep_strings(ingot_call *c, ingot_string *s, int64_t n)
{
    int64_t sum = 0;
    char *to;

    for (int64_t i = 0; i < n; i++)
        sum += s[i].n;
    to = ingot_rt_bump(c, sum);
    if (!to) return INGOT_ERR_LIMIT;
    for (int64_t i = 0; i < n; i++) {
        if (s[i].n) memcpy(to, s[i].s, (size_t)s[i].n);
        s[i].s = to;
        to += s[i].n;
    }
    return INGOT_OK;
}

int32_t ingot_rt_keep(ingot_call *c, ingot_tensor *t)
{
    int64_t n = ingot_rt_elements(t->dtype, t->rank, t->dims), bytes;
    void *to;

    if (n < 0) return ingot_rt_fail(c, INGOT_ERR_BUG, -1, "an impossible element", 0, 0);
    if (n == 0 || ingot_rt_in_region(&c->instance->region, t->data)) return INGOT_OK;
    bytes = n * ingot_rt_dtype_size(t->dtype);
    to = ingot_rt_bump(c, bytes);
    if (!to) return INGOT_ERR_LIMIT;
    memcpy(to, t->data, (size_t)bytes);
    t->data = to;
    t->capacity = 0;
    if (t->dtype == INGOT_STRING) return ingot_rt_keep_strings(c, to, n);
    for (int64_t i = 0; ingot_rt_is_list(t->dtype) && i < n; i++) {
        int32_t status = ingot_rt_keep(c, (ingot_tensor *)to + i);
        if (status) return status;
    }
    return INGOT_OK;
}

/* A list that lies in the region may hold what does not: an input's elements, a weight. */
static int32_t keep_all(ingot_call *c, ingot_tensor *t)
{
    int32_t status = ingot_rt_keep(c, t);

    for (int64_t i = 0; !status && ingot_rt_is_list(t->dtype) && i < t->dims[0]; i++)
        status = keep_all(c, (ingot_tensor *)t->data + i);
    return status;
}

int32_t ingot_rt_output_boxed(ingot_call *c, int32_t k, const ingot_tensor *t)
{
    ingot_tensor *out = &c->out[k], given = *out;
    int64_t bytes;
    void *to;

    if (ingot_rt_is_list(c->instance->model->outputs[k].dtype)) {
        *out = *t;
        out->dtype = c->instance->model->outputs[k].dtype;
        out->rank = 1;
        return keep_all(c, out);
    }
    bytes = ingot_rt_elements(t->dtype, t->rank, t->dims) * ingot_rt_dtype_size(t->dtype);
    *out = *t;
    out->data = given.data;
    out->capacity = given.capacity;
    to = ingot_rt_output(c, k, bytes);
    if (!to) return c->error ? c->error : INGOT_ERR_LIMIT;
    if (bytes > 0) memcpy(to, t->data, (size_t)bytes);
    return INGOT_OK;
}
