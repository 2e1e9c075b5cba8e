/* rt_pb_list.c: lists as ONNX has them: SequenceProto, OptionalProto and MapProto.
 *
 * SequenceProto and OptionalProto number the fields of their elements alike, by the kind of
 * element; a MapProto has its keys in a list of their own, and a SequenceProto of its values. Which
 * message the bytes are is not said in them: the port says it. Its nesting bounds the recursion. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/rt_io.h"

enum { /* fields of SequenceProto and OptionalProto */
       F_NAME = 1,
       F_ELEM_TYPE = 2,
       F_TENSOR = 3,
       F_SEQUENCE = 5,
       F_MAP = 6,
       F_OPTIONAL = 7,
       /* of MapProto */
       F_KEY_TYPE = 2,
       F_KEYS = 3,
       F_STRING_KEYS = 4,
       F_VALUES = 5
};

static uint32_t field_of(int32_t dtype)
{
    return dtype == INGOT_SEQUENCE   ? F_SEQUENCE
           : dtype == INGOT_MAP      ? F_MAP
           : dtype == INGOT_OPTIONAL ? F_OPTIONAL
                                     : F_TENSOR;
}

/* SequenceProto.DataType and OptionalProto.DataType */
static uint64_t type_of(int32_t dtype)
{
    return dtype == INGOT_SEQUENCE ? 3 : dtype == INGOT_MAP ? 4 : dtype == INGOT_OPTIONAL ? 5 : 1;
}

static int32_t malformed(const RtReader *r)
{
    return ingot_rt_io_fail(r, INGOT_ERR_DATA, "is no ONNX %s as '%s' wants it",
                            r->want->port->dtype == INGOT_SEQUENCE ? "SequenceProto"
                            : r->want->port->dtype == INGOT_MAP    ? "MapProto"
                                                                   : "OptionalProto",
                            r->want->port->name);
}

/* ---- reading ---- */

static int32_t read_element(const RtReader *r, const ingot_port *p, const RtField *f,
                            ingot_tensor *to)
{
    ingot_port port = *p;
    ingot_tensor_want want = *r->want;
    RtReader inner = *r;
    int32_t status;

    port.name = r->want->port->name;
    want.port = &port;
    want.dims = NULL;
    inner.want = &want;
    inner.data = f->data;
    inner.size = f->size;
    inner.out = to;
    status = ingot_rt_read_pb(&inner);
    if (status) ingot_tensor_free(to);
    return status;
}

/* The elements of kind `elem`; fields of other kinds are a fault. */
static int64_t count_elements(const RtReader *r, const ingot_port *elem)
{
    const uint8_t *at = r->data, *end = r->data + r->size;
    int64_t n = 0;
    RtField f;

    while (at < end) {
        if (!ingot_rt_pb_field(&at, end, &f)) return -1;
        if (f.number == field_of(elem->dtype) && f.wire == INGOT_RT_BYTES)
            n++;
        else if (f.number >= F_TENSOR && f.number <= F_OPTIONAL)
            return -1;
    }
    return n;
}

static int32_t read_elements(const RtReader *r)
{
    const ingot_port *p = r->want->port;
    const uint8_t *at = r->data, *end = r->data + r->size;
    int64_t n = count_elements(r, p->elem), i = 0;
    int32_t status = INGOT_OK;
    RtField f;

    if (n < 0 || (p->dtype == INGOT_OPTIONAL && n > 1)) return malformed(r);
    status = ingot_rt_io_take(r, p->dtype, 1, &n, 0);
    while (!status && at < end && ingot_rt_pb_field(&at, end, &f))
        if (f.number == field_of(p->elem->dtype))
            status = read_element(r, p->elem, &f, (ingot_tensor *)r->out->data + i++);
    return status;
}

/* ---- maps ---- */

typedef struct Keys {
    int64_t n, strings;
    size_t bytes;
    RtField values;
} Keys;

static bool scan_map(const RtReader *r, Keys *k)
{
    const uint8_t *at = r->data, *end = r->data + r->size;
    uint64_t v;
    RtField f;

    *k = (Keys){0};
    while (at < end) {
        if (!ingot_rt_pb_field(&at, end, &f)) return false;
        if (f.number == F_VALUES) k->values = f;
        if (f.number == F_STRING_KEYS) {
            k->strings++;
            k->bytes += f.size;
        }
        if (f.number != F_KEYS) continue;
        if (f.wire == INGOT_RT_VARINT) k->n++;
        for (const uint8_t *p = f.data; f.wire == INGOT_RT_BYTES && p < f.data + f.size; k->n++)
            if (!ingot_rt_pb_varint(&p, f.data + f.size, &v)) return false;
    }
    return true;
}

static void put_key(ingot_tensor *t, int64_t i, uint64_t v)
{
    size_t size = (size_t)ingot_rt_dtype_size(t->dtype);

    memcpy((char *)t->data + (size_t)i * size, &v, size);
}

static void fill_keys(const RtReader *r, ingot_tensor *t, char *bytes)
{
    const uint8_t *at = r->data, *end = r->data + r->size;
    int64_t i = 0;
    uint64_t v;
    RtField f;

    while (at < end && ingot_rt_pb_field(&at, end, &f)) {
        if (f.number == F_STRING_KEYS && t->dtype == INGOT_STRING) {
            if (f.size) memcpy(bytes, f.data, f.size);
            ((ingot_string *)t->data)[i++] = (ingot_string){bytes, (int64_t)f.size};
            bytes += f.size;
        }
        if (f.number != F_KEYS || t->dtype == INGOT_STRING) continue;
        if (f.wire == INGOT_RT_VARINT) put_key(t, i++, f.value);
        for (const uint8_t *p = f.data; f.wire == INGOT_RT_BYTES && p < f.data + f.size;)
            if (ingot_rt_pb_varint(&p, f.data + f.size, &v)) put_key(t, i++, v);
    }
}

static int32_t read_map(const RtReader *r)
{
    const ingot_port *p = r->want->port;
    ingot_tensor_want want = {.port = &p->elem[0]};
    RtReader keys = *r;
    int64_t two = 2, n;
    int32_t status;
    Keys k;

    if (!scan_map(r, &k)) return malformed(r);
    status = ingot_rt_io_take(r, INGOT_MAP, 1, &two, 0);
    if (status) return status;
    n = p->elem[0].dtype == INGOT_STRING ? k.strings : k.n;
    keys.want = &want;
    keys.out = r->out->data;
    status = ingot_rt_io_take(&keys, p->elem[0].dtype, 1, &n, k.bytes);
    if (status) return status;
    fill_keys(r, keys.out, (char *)keys.out->data + keys.out->capacity);
    status = read_element(r, &p->elem[1], &k.values, keys.out + 1);
    if (!status && keys.out[1].dims[0] != n) return malformed(r);
    return status;
}

int32_t ingot_rt_read_pb_list(const RtReader *r)
{
    return r->want->port->dtype == INGOT_MAP ? read_map(r) : read_elements(r);
}

/* ---- writing ---- */

static void put_number(RtSink *s, uint32_t field, uint64_t v)
{
    ingot_rt_pb_put_varint(s, field << 3 | INGOT_RT_VARINT);
    ingot_rt_pb_put_varint(s, v);
}

static bool put_element(RtSink *s, uint32_t field, const ingot_tensor *t, const char **why)
{
    RtSink inner = {0};
    bool ok = ingot_rt_write_pb(&inner, t, "", why);

    s->failed |= inner.failed;
    if (ok) ingot_rt_pb_put_bytes(s, field, inner.data, inner.size);
    free(inner.data);
    return ok;
}

static bool put_map(RtSink *s, const ingot_tensor *t, const char **why)
{
    const ingot_tensor *keys = t->data;
    size_t size = (size_t)ingot_rt_dtype_size(keys->dtype);

    put_number(s, F_KEY_TYPE, (uint64_t)keys->dtype);
    for (int64_t i = 0; i < keys->dims[0]; i++) {
        uint64_t v = 0;
        if (keys->dtype == INGOT_STRING) {
            const ingot_string *e = (const ingot_string *)keys->data + i;
            ingot_rt_pb_put_bytes(s, F_STRING_KEYS, e->s, (size_t)e->n);
            continue;
        }
        memcpy(&v, (const char *)keys->data + (size_t)i * size, size);
        put_number(s, F_KEYS, v);
    }
    return put_element(s, F_VALUES, &keys[1], why);
}

bool ingot_rt_write_pb_list(RtSink *s, const ingot_tensor *t, const char *name, const char **why)
{
    const ingot_tensor *item = t->data;
    int64_t n = t->dims[0];

    ingot_rt_pb_put_bytes(s, F_NAME, name, strlen(name));
    if (t->dtype == INGOT_MAP) return put_map(s, t, why);
    put_number(s, F_ELEM_TYPE, n ? type_of(item[0].dtype) : t->dtype == INGOT_SEQUENCE);
    for (int64_t i = 0; i < n; i++)
        if (!put_element(s, field_of(item[i].dtype), &item[i], why)) return false;
    return true;
}
