/* rt_call_map.c: maps: ZipMap makes one for each row, DictVectorizer reads one. */
#include <string.h>

#include "runtime/rt.h"
#include "runtime/rt_call.h"

/* in: x f32 [columns] or [rows, columns]; labels. out: a sequence of maps. The values of all maps
 * are one copy of x, and they share the labels. */
int32_t ingot_call_map_zip(const ingot_call_args *a)
{
    const ingot_tensor *x = &a->in[0];
    ingot_tensor labels = a->in[1], rows_of = *x, *map, *pair, *value;
    int64_t columns = x->dims[x->rank - 1], rows = x->rank == 2 ? x->dims[0] : 1, count, bytes;
    int32_t status;

    if (columns != labels.dims[0])
        return ingot_rt_fail(a->call, INGOT_ERR_DATA, a->origin,
                             "input 'X' has %lld columns, there are %lld labels", columns,
                             labels.dims[0]);
    if (__builtin_mul_overflow(rows, columns + 3, &count) ||
        __builtin_mul_overflow(count, (int64_t)sizeof *map, &bytes))
        return ingot_rt_fail(a->call, INGOT_ERR_LIMIT, a->origin, "%lld maps of %lld values", rows,
                             columns);
    map = ingot_rt_bump(a->call, bytes);
    status = map ? ingot_rt_keep(a->call, &labels) : INGOT_ERR_LIMIT;
    if (!status) status = ingot_rt_keep(a->call, &rows_of);
    if (status) return status;
    pair = map + rows;
    value = pair + 2 * rows;
    for (int64_t i = 0; i < rows * columns; i++)
        value[i] = (ingot_tensor){.data = (float *)rows_of.data + i, .dtype = INGOT_F32};
    for (int64_t r = 0; r < rows; r++) {
        pair[2 * r] = labels;
        pair[2 * r + 1] = (ingot_tensor){
            .data = value + r * columns, .dtype = INGOT_SEQUENCE, .rank = 1, .dims = {columns}};
        map[r] = (ingot_tensor){.data = pair + 2 * r, .dtype = INGOT_MAP, .rank = 1, .dims = {2}};
    }
    a->out[0] = (ingot_tensor){.data = map, .dtype = INGOT_SEQUENCE, .rank = 1, .dims = {rows}};
    return INGOT_OK;
}

static bool same_key(const ingot_tensor *a, int64_t i, const ingot_tensor *b, int64_t k)
{
    const ingot_string *s = a->data, *r = b->data;

    if (a->dtype == INGOT_STRING)
        return s[i].n == r[k].n && (s[i].n == 0 || memcmp(s[i].s, r[k].s, (size_t)s[i].n) == 0);
    return memcmp((const char *)a->data + 8 * i, (const char *)b->data + 8 * k, 8) == 0;
}

/* in: a map; the vocabulary. out: [1, words]: the value of each word, or 0 (an empty string). Of a
 * key that is there twice the last value counts. */
int32_t ingot_call_map_dict(const ingot_call_args *a)
{
    const ingot_tensor *keys = a->in[0].data, *values = keys + 1, *words = &a->in[1];
    const ingot_tensor *item = values->data;
    int64_t size = ingot_rt_dtype_size(a->out[0].dtype);
    char *to = a->out[0].data;

    if (keys->rank != 1 || keys->dtype != words->dtype || keys->dims[0] != values->dims[0])
        return ingot_rt_fail(a->call, INGOT_ERR_DATA, a->origin,
                             "input 'X' has %lld keys and %lld values", keys->dims[0],
                             values->dims[0]);
    memset(to, 0, (size_t)(words->dims[0] * size));
    for (int64_t k = 0; k < keys->dims[0]; k++) {
        if (ingot_rt_elements(item[k].dtype, item[k].rank, item[k].dims) != 1)
            return ingot_rt_fail(a->call, INGOT_ERR_DATA, a->origin,
                                 "input 'X': value %lld is not one element", k, 0);
        for (int64_t i = 0; i < words->dims[0]; i++)
            if (same_key(words, i, keys, k)) memcpy(to + i * size, item[k].data, (size_t)size);
    }
    return INGOT_OK;
}
