/* rt_pb.c: ONNX TensorProto (lists: rt_pb_list.c), by a reader of our own for the wire format.
 *
 * The message is flat, so nothing recurs. One walk finds the dims, the dtype, the name and counts
 * the values of each typed field; after the tensor has its memory a second walk fills it. Values of
 * a repeated field may come packed, unpacked, or both, in any order of fields. Which typed field a
 * dtype uses, and how its bits lie there, is a table. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/rt_io.h"

enum { /* TensorProto's fields */
       F_DIMS = 1,
       F_DTYPE = 2,
       F_SEGMENT = 3,
       F_FLOAT = 4,
       F_INT32 = 5,
       F_STRING = 6,
       F_INT64 = 7,
       F_NAME = 8,
       F_RAW = 9,
       F_DOUBLE = 10,
       F_UINT64 = 11,
       F_EXTERNAL = 13,
       F_LOCATION = 14,
       F_MOST = 16
};

enum { VARINT = INGOT_RT_VARINT, FIXED64 = 1, BYTES = INGOT_RT_BYTES, FIXED32 = 5 };

typedef RtField Field;

bool ingot_rt_pb_varint(const uint8_t **at, const uint8_t *end, uint64_t *v)
{
    *v = 0;
    for (int shift = 0; *at < end && shift < 64; shift += 7) {
        uint8_t b = *(*at)++;
        *v |= (uint64_t)(b & 0x7f) << shift;
        if (!(b & 0x80)) return true;
    }
    return false;
}

static bool get_fixed(const uint8_t **at, const uint8_t *end, size_t n, uint64_t *v)
{
    if ((size_t)(end - *at) < n) return false;
    *v = 0;
    memcpy(v, *at, n);
    *at += n;
    return true;
}

/* The field at *at; false when it is malformed. */
bool ingot_rt_pb_field(const uint8_t **at, const uint8_t *end, RtField *f)
{
    uint64_t key, n;

    if (!ingot_rt_pb_varint(at, end, &key) || key >> 3 == 0 || key >> 3 > 0x1fffffff) return false;
    *f = (Field){.number = (uint32_t)(key >> 3), .wire = (uint32_t)(key & 7)};
    switch (f->wire) {
    case VARINT:
        return ingot_rt_pb_varint(at, end, &f->value);
    case FIXED64:
        return get_fixed(at, end, 8, &f->value);
    case FIXED32:
        return get_fixed(at, end, 4, &f->value);
    case BYTES:
        if (!ingot_rt_pb_varint(at, end, &n) || n > (uint64_t)(end - *at)) return false;
        f->data = *at;
        f->size = (size_t)n;
        *at += n;
        return true;
    default:
        return false; /* groups are not in this message */
    }
}

/* How a value of a typed field is coded. */
static uint32_t wire_of(uint32_t field)
{
    return field == F_FLOAT ? FIXED32 : field == F_DOUBLE ? FIXED64 : VARINT;
}

static bool get_value(uint32_t wire, const uint8_t **at, const uint8_t *end, uint64_t *v)
{
    if (wire == VARINT) return ingot_rt_pb_varint(at, end, v);
    return get_fixed(at, end, wire == FIXED32 ? 4 : 8, v);
}

/* What the first walk learns. */
typedef struct TensorProto {
    int32_t dtype, rank;
    int64_t dims[INGOT_MAX_RANK];
    int64_t count[F_MOST]; /* values of each typed field; strings */
    size_t string_bytes;
    const uint8_t *raw;
    size_t raw_size;
    bool has_raw, external, segment, bad;
} TensorProto;

static void add_dim(TensorProto *p, uint64_t v)
{
    if (p->rank == INGOT_MAX_RANK || v > INT64_MAX) {
        p->bad = true;
    } else {
        p->dims[p->rank++] = (int64_t)v;
    }
}

/* A repeated number, one value or packed ones: each is handed to `put`. */
static bool walk_values(const Field *f, void (*put)(void *context, uint64_t v), void *context)
{
    uint32_t wire = f->number == F_DIMS ? VARINT : wire_of(f->number);
    const uint8_t *at = f->data, *end;
    uint64_t v;

    if (f->wire == wire) {
        put(context, f->value);
        return true;
    }
    if (f->wire != BYTES) return false;
    end = at + f->size;
    while (at < end) {
        if (!get_value(wire, &at, end, &v)) return false;
        put(context, v);
    }
    return true;
}

static void put_dim(void *context, uint64_t v)
{
    add_dim(context, v);
}
static void put_count(void *context, uint64_t v)
{
    (void)v;
    ++*(int64_t *)context;
}

static bool scan_field(TensorProto *p, const Field *f)
{
    switch (f->number) {
    case F_DIMS:
        return walk_values(f, put_dim, p) && !p->bad;
    case F_DTYPE:
        p->dtype = f->value <= INGOT_F6E3M2 ? (int32_t)f->value : 0;
        return f->wire == VARINT;
    case F_SEGMENT:
        p->segment = true;
        return true;
    case F_LOCATION:
        p->external = f->value == 1;
        return f->wire == VARINT;
    case F_FLOAT:
    case F_INT32:
    case F_INT64:
    case F_DOUBLE:
    case F_UINT64:
        return walk_values(f, put_count, &p->count[f->number]);
    case F_STRING:
        p->count[F_STRING]++;
        p->string_bytes += f->size; /* parts of the file: no overflow */
        return f->wire == BYTES;
    case F_RAW:
        p->raw = f->data;
        p->raw_size = f->size;
        p->has_raw = true;
        return f->wire == BYTES;
    default:
        return true; /* name, documentation, fields of later versions */
    }
}

static bool scan(const RtReader *r, TensorProto *p)
{
    const uint8_t *at = r->data, *end = r->data + r->size;
    Field f;

    while (at < end) {
        if (!ingot_rt_pb_field(&at, end, &f) || !scan_field(p, &f)) return false;
    }
    return true;
}

/* The typed field of a dtype, and how many values make an element (complex: 2). */
static const struct {
    uint8_t field, parts;
} typed[INGOT_F6E3M2 + 1] = {
    [INGOT_F32] = {F_FLOAT, 1},        [INGOT_C64] = {F_FLOAT, 2},
    [INGOT_F64] = {F_DOUBLE, 1},       [INGOT_C128] = {F_DOUBLE, 2},
    [INGOT_I64] = {F_INT64, 1},        [INGOT_U64] = {F_UINT64, 1},
    [INGOT_U32] = {F_UINT64, 1},       [INGOT_I32] = {F_INT32, 1},
    [INGOT_I16] = {F_INT32, 1},        [INGOT_I8] = {F_INT32, 1},
    [INGOT_U16] = {F_INT32, 1},        [INGOT_U8] = {F_INT32, 1},
    [INGOT_BOOL] = {F_INT32, 1},       [INGOT_F16] = {F_INT32, 1},
    [INGOT_BF16] = {F_INT32, 1},       [INGOT_F8E4M3FN] = {F_INT32, 1},
    [INGOT_F8E4M3FNUZ] = {F_INT32, 1}, [INGOT_F8E5M2] = {F_INT32, 1},
    [INGOT_F8E5M2FNUZ] = {F_INT32, 1}, [INGOT_F8E8M0] = {F_INT32, 1},
    [INGOT_F4E2M1] = {F_INT32, 1},     [INGOT_U4] = {F_INT32, 1},
    [INGOT_I4] = {F_INT32, 1},         [INGOT_U2] = {F_INT32, 1},
    [INGOT_I2] = {F_INT32, 1},         [INGOT_F6E2M3] = {F_INT32, 1},
    [INGOT_F6E3M2] = {F_INT32, 1},
};

static int64_t packed_bytes(int64_t n, int32_t bits)
{
    return n / 8 * bits + (n % 8 * bits + 7) / 8;
}

/* Element i of packed ones of 2, 4 or 6 bits, the first in the low bits; integers sign-extended
 * over their byte. */
static uint8_t unpack(const uint8_t *packed, int64_t i, int32_t bits, int32_t dtype)
{
    int64_t at = i / 8 * bits + i % 8 * bits / 8;
    unsigned shift = (unsigned)(i % 8 * bits % 8), v = (unsigned)packed[at] >> shift;

    if (shift + (unsigned)bits > 8) v |= (unsigned)packed[at + 1] << (8 - shift);
    v &= (1u << bits) - 1;
    if ((dtype == INGOT_I4 || dtype == INGOT_I2) && v >> (bits - 1)) v |= 0xffu << bits;
    return (uint8_t)v;
}

static int32_t fill_raw(const RtReader *r, const TensorProto *p, int64_t n)
{
    int32_t bits = ingot_rt_dtype_bits(p->dtype);
    int64_t need = bits < 8 ? packed_bytes(n, bits) : n * ingot_rt_dtype_size(p->dtype);
    uint8_t *to = r->out->data;

    if ((uint64_t)need != p->raw_size) {
        return ingot_rt_io_fail(r, INGOT_ERR_DATA, "has %zu bytes of raw data, its dims say %lld",
                                p->raw_size, (long long)need);
    }
    if (bits < 8) {
        for (int64_t i = 0; i < n; i++)
            to[i] = unpack(p->raw, i, bits, p->dtype);
    } else if (need) {
        memcpy(to, p->raw, (size_t)need);
    }
    for (int64_t i = 0; p->dtype == INGOT_BOOL && i < n; i++)
        to[i] = to[i] != 0;
    return INGOT_OK;
}

/* Where the second walk puts values. */
typedef struct Fill {
    uint8_t *to;
    int64_t at, n;             /* values */
    int32_t dtype, bits, each; /* `each` elements in one value */
    size_t size;               /* bytes of a value in memory */
} Fill;

static void put_value(void *context, uint64_t v)
{
    Fill *f = context;
    uint8_t byte = (uint8_t)v;

    if (f->each > 1) {
        for (int32_t k = 0; k < f->each && f->at < f->n; k++)
            f->to[f->at++] = unpack(&byte, k, f->bits, f->dtype);
        return;
    }
    if (f->at >= f->n) return;
    if (f->dtype == INGOT_BOOL) v = v != 0;
    if (f->bits == 6) v &= 0x3f;
    memcpy(f->to + (size_t)f->at++ * f->size, &v, f->size);
}

static int32_t fill_typed(const RtReader *r, const TensorProto *p, int64_t n)
{
    uint32_t field = typed[p->dtype].field;
    int32_t parts = typed[p->dtype].parts, bits = ingot_rt_dtype_bits(p->dtype);
    int64_t count = p->count[field];
    int32_t each =
        bits < 8 && count != n ? 8 / bits : 1; /* old writers gave a value to each small element */
    Fill fill = {r->out->data,
                 0,
                 n * parts,
                 p->dtype,
                 bits,
                 each,
                 (size_t)(ingot_rt_dtype_size(p->dtype) / parts)};
    const uint8_t *at = r->data, *end = r->data + r->size;
    Field f;

    if (count != (each > 1 ? n / each + (n % each != 0) : n * parts)) {
        return ingot_rt_io_fail(r, INGOT_ERR_DATA, "has %lld values for %lld elements",
                                (long long)count, (long long)n);
    }
    while (at < end && ingot_rt_pb_field(&at, end, &f)) {
        if (f.number == field) walk_values(&f, put_value, &fill);
    }
    return INGOT_OK;
}

static int32_t fill_strings(const RtReader *r, const TensorProto *p, int64_t n)
{
    const uint8_t *at = r->data, *end = r->data + r->size;
    ingot_string *s = r->out->data;
    char *to = (char *)(s + n);
    Field f;

    if (p->count[F_STRING] != n) {
        return ingot_rt_io_fail(r, INGOT_ERR_DATA, "has %lld strings for %lld elements",
                                (long long)p->count[F_STRING], (long long)n);
    }
    while (at < end && ingot_rt_pb_field(&at, end, &f)) {
        if (f.number != F_STRING) continue;
        if (f.size) memcpy(to, f.data, f.size);
        *s++ = (ingot_string){to, (int64_t)f.size};
        to += f.size;
    }
    return INGOT_OK;
}

/* Before memory is taken: do the values of the file suffice for the dims that it states? */
static bool values_fit(const TensorProto *p, int64_t n)
{
    int64_t most = p->dtype == INGOT_STRING ? p->count[F_STRING]
                   : p->has_raw             ? (int64_t)p->raw_size
                                            : p->count[typed[p->dtype].field];

    return n <= most || (ingot_rt_dtype_bits(p->dtype) < 8 && n / 4 <= most);
}

int32_t ingot_rt_read_pb(const RtReader *r)
{
    TensorProto p = {0};
    int64_t n;
    int32_t status;

    if (r->want && r->want->port && r->want->port->elem) return ingot_rt_read_pb_list(r);
    if (!scan(r, &p)) return ingot_rt_io_fail(r, INGOT_ERR_DATA, "is no ONNX TensorProto");
    if (p.external || p.segment) {
        return ingot_rt_io_fail(r, INGOT_ERR_USAGE,
                                "keeps its data in another file or in segments");
    }
    n = ingot_rt_elements(p.dtype, p.rank, p.dims);
    if (n < 0) {
        return ingot_rt_io_fail(r, INGOT_ERR_DATA,
                                "is no ONNX TensorProto, or has dtype %d and impossible dims",
                                (int)p.dtype);
    }
    if (!values_fit(&p, n)) {
        return ingot_rt_io_fail(r, INGOT_ERR_DATA,
                                "has fewer values than the %lld that its dims say", (long long)n);
    }
    status =
        ingot_rt_io_take(r, p.dtype, p.rank, p.dims, p.dtype == INGOT_STRING ? p.string_bytes : 0);
    if (status) return status;
    if (p.dtype == INGOT_STRING) return fill_strings(r, &p, n);
    return p.has_raw ? fill_raw(r, &p, n) : fill_typed(r, &p, n);
}

/* ---- writing ---- */

void ingot_rt_pb_put_varint(RtSink *s, uint64_t v)
{
    for (; v > 0x7f; v >>= 7)
        ingot_rt_sink_le(s, (v & 0x7f) | 0x80, 1);
    ingot_rt_sink_le(s, v, 1);
}

void ingot_rt_pb_put_bytes(RtSink *s, uint32_t field, const void *data, size_t size)
{
    ingot_rt_pb_put_varint(s, field << 3 | BYTES);
    ingot_rt_pb_put_varint(s, size);
    ingot_rt_sink_put(s, data, size);
}

static void put_packed(RtSink *s, const ingot_tensor *t, int64_t n, int32_t bits)
{
    const uint8_t *from = t->data;
    unsigned waiting = 0;
    int32_t have = 0;

    ingot_rt_pb_put_varint(s, F_RAW << 3 | BYTES);
    ingot_rt_pb_put_varint(s, (uint64_t)packed_bytes(n, bits));
    for (int64_t i = 0; i < n; i++) {
        waiting |= (from[i] & ((1u << bits) - 1)) << have;
        have += bits;
        if (have < 8 && i + 1 < n) continue;
        ingot_rt_sink_le(s, waiting & 0xff, 1);
        waiting >>= 8;
        have -= 8;
    }
    if (have > 0) ingot_rt_sink_le(s, waiting, 1);
}

bool ingot_rt_write_pb(RtSink *s, const ingot_tensor *t, const char *name, const char **why)
{
    int64_t n = ingot_tensor_elements(t);
    int32_t bits = ingot_rt_dtype_bits(t->dtype);

    if (ingot_tensor_is_list(t)) return ingot_rt_write_pb_list(s, t, name, why);
    for (int32_t k = 0; k < t->rank; k++) {
        ingot_rt_pb_put_varint(s, F_DIMS << 3 | VARINT);
        ingot_rt_pb_put_varint(s, (uint64_t)t->dims[k]);
    }
    ingot_rt_pb_put_varint(s, F_DTYPE << 3 | VARINT);
    ingot_rt_pb_put_varint(s, (uint64_t)t->dtype);
    if (t->dtype == INGOT_STRING) {
        const ingot_string *e = t->data;
        for (int64_t i = 0; i < n; i++)
            ingot_rt_pb_put_bytes(s, F_STRING, e[i].s, (size_t)e[i].n);
    }
    ingot_rt_pb_put_bytes(s, F_NAME, name, strlen(name));
    if (t->dtype == INGOT_STRING) return true;
    if (bits < 8) {
        put_packed(s, t, n, bits);
    } else {
        ingot_rt_pb_put_bytes(s, F_RAW, t->data, (size_t)(n * ingot_rt_dtype_size(t->dtype)));
    }
    return true;
}
