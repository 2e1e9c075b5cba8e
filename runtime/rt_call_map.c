/* rt_call_map.c: maps: ZipMap makes one for each row, DictVectorizer and CastMap read one. */
#include <stdlib.h>
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

/* A key and its place. */
typedef struct Entry {
    int64_t key, at;
} Entry;

static int by_key(const void *a, const void *b)
{
    const Entry *x = a, *y = b;

    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

static int32_t check_map(const ingot_call_args *a, int64_t columns)
{
    const ingot_tensor *keys = a->in[0].data, *values = keys + 1, *item = values->data;

    if (keys->rank != 1 || keys->dtype != INGOT_I64 || keys->dims[0] != values->dims[0])
        return ingot_rt_fail(a->call, INGOT_ERR_DATA, a->origin,
                             "input 'X' has %lld keys and %lld values", keys->dims[0],
                             values->dims[0]);
    for (int64_t k = 0; k < keys->dims[0]; k++) {
        int64_t key = ((const int64_t *)keys->data)[k];
        if (item[k].dtype != a->out[0].dtype ||
            ingot_rt_elements(item[k].dtype, item[k].rank, item[k].dims) != 1)
            return ingot_rt_fail(a->call, INGOT_ERR_DATA, a->origin,
                                 "input 'X': value %lld is not one element", k, 0);
        if (columns >= 0 && (key < 0 || key >= columns))
            return ingot_rt_fail(a->call, INGOT_ERR_DATA, a->origin,
                                 "input 'X': key %lld of %lld columns", key, columns);
    }
    return INGOT_OK;
}

/* Where keys are columns; what no key names is 0, or "0". */
static void put_sparse(const ingot_tensor *map, char *to, int64_t columns, int64_t size)
{
    const ingot_tensor *keys = map->data, *item = keys[1].data;

    memset(to, 0, (size_t)(columns * size));
    for (int64_t i = 0; i < columns && size == (int64_t)sizeof(ingot_string); i++)
        ((ingot_string *)(void *)to)[i] = (ingot_string){"0", 1};
    for (int64_t k = 0; k < keys->dims[0]; k++)
        memcpy(to + ((const int64_t *)keys->data)[k] * size, item[k].data, (size_t)size);
}

/* in: a map from i64. out: [1, columns] of the dtype of its values. ints: columns, of keys 0 to
 * columns - 1; or -1: as many as keys that differ, in their order. */
int32_t ingot_call_map_cast(const ingot_call_args *a)
{
    const ingot_tensor *keys = a->in[0].data, *item = keys[1].data;
    int64_t columns = a->ints[0], count = keys->dims[0], size, n = 0;
    int32_t status = check_map(a, columns);
    Entry *entry;
    char *to;

    if (status) return status;
    size = ingot_rt_dtype_size(a->out[0].dtype);
    if (columns >= 0) {
        put_sparse(&a->in[0], a->out[0].data, columns, size);
        return INGOT_OK;
    }
    a->out[0].rank = 2;
    a->out[0].dims[0] = 1;
    a->out[0].dims[1] = 0;
    if (count == 0) return INGOT_OK;
    entry = ingot_rt_bump(a->call, count * (int64_t)sizeof *entry);
    to = ingot_rt_place(a, 0, count * size);
    if (!entry || !to) return INGOT_ERR_LIMIT;
    for (int64_t k = 0; k < count; k++)
        entry[k] = (Entry){((const int64_t *)keys->data)[k], k};
    qsort(entry, (size_t)count, sizeof *entry, by_key);
    for (int64_t k = 0; k < count; k++) {
        if (k + 1 < count && entry[k + 1].key == entry[k].key) continue;
        memcpy(to + n++ * size, item[entry[k].at].data, (size_t)size);
    }
    a->out[0].dims[1] = n;
    return INGOT_OK;
}
