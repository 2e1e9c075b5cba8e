/* onnx_tensor.c: constants of every dtype, from raw bytes, typed fields, or files of their own.
 *
 * A tensor has its elements in exactly one place. Raw bytes are little-endian; types below a byte
 * stand packed there, and take one byte an element in memory. Large tensors are used where they
 * lie, in the model's file or in the file of external data, aligned or not; all others are copied.
 * A file of external data is read whole and once, through the one safe opener, so what a model can
 * make us read is bounded by the files that are there. */
#include "frontend/onnx/onnx_tensor.h"

#include <string.h>

#include "support/checked.h"
#include "support/vec.h"

enum { COPY_BELOW = 4096 }; /* bytes: small tensors are copied, big ones stay where they are */

/* Where typed elements of a dtype stand. */
typedef struct TypedField {
    uint32_t number; /* field of TensorProto */
    WireKind kind;
    DType part; /* each number in the field is one of these */
} TypedField;

void tensor_source_init(TensorSource *s, const OnnxWire *wire, Arena *arena, const char *file,
                        const FrontendOptions *o, Loaded *loaded, Diag *d)
{
    const size_t dense_default = (size_t)256 << 20;

    *s = (TensorSource){.wire = wire, .arena = arena, .diag = d, .file = file, .loaded = loaded};
    s->trusted = o->external_data != NULL;
    if (s->trusted)
        s->folder = o->external_data;
    else if (file && *file && strcmp(file, "-") != 0)
        s->folder = path_folder(arena, file);
    s->dense_limit = o->memory_limit > dense_default ? o->memory_limit : dense_default;
    map_init(&s->done, arena, false);
    map_init(&s->files, arena, true);
}

static TypedField typed_field(DType t)
{
    switch (t) {
    case DT_F32:
    case DT_C64:
        return (TypedField){4, WIRE_FIXED32, DT_F32};
    case DT_F64:
    case DT_C128:
        return (TypedField){10, WIRE_FIXED64, DT_F64};
    case DT_I64:
        return (TypedField){7, WIRE_VARINT, DT_I64};
    case DT_U32:
    case DT_U64:
        return (TypedField){11, WIRE_VARINT, t};
    case DT_STRING:
        return (TypedField){6, WIRE_BYTES, DT_STRING};
    case DT_BOOL:
    case DT_U2:
    case DT_U4:
    case DT_U8:
    case DT_U16:
    case DT_I2:
    case DT_I4:
    case DT_I8:
    case DT_I16:
    case DT_I32:
    case DT_F4E2M1:
    case DT_F6E2M3:
    case DT_F6E3M2:
    case DT_F8E4M3FN:
    case DT_F8E4M3FNUZ:
    case DT_F8E5M2:
    case DT_F8E5M2FNUZ:
    case DT_F8E8M0:
    case DT_F16:
    case DT_BF16:
    case DT_NONE:
    case DT_COUNT:
        break;
    }
    return (TypedField){5, WIRE_VARINT, t};
}

/* ---- one tensor being read ---- */

typedef struct Reading {
    TensorSource *s;
    const Onnx__TensorProto *proto;
    Where where;
    DType dtype;
    int rank;
    int64_t dim[MAX_RANK];
    int64_t count;
    size_t bytes;  /* in memory */
    size_t packed; /* as raw data */
} Reading;

static Status no_memory(const Reading *r)
{
    return diag(r->s->diag, ERR_LIMIT, r->where, "no memory for a tensor of %zu bytes", r->bytes);
}

static Status read_header(Reading *r)
{
    const Onnx__TensorProto *p = r->proto;
    Diag *d = r->s->diag;
    size_t bits;

    r->dtype = dtype_from_onnx(p->data_type);
    if (r->dtype == DT_NONE)
        return diag(d, p->data_type > 28 ? ERR_UNSUPPORTED : ERR_MODEL, r->where,
                    "a tensor of element type %d, which is not known", p->data_type);
    if (p->segment) return diag(d, ERR_UNSUPPORTED, r->where, "a tensor that is split in segments");
    if (p->n_dims > MAX_RANK)
        return diag(d, ERR_UNSUPPORTED, r->where, "a tensor of rank %zu, at most %d is supported",
                    p->n_dims, MAX_RANK);
    r->rank = (int)p->n_dims;
    for (int i = 0; i < r->rank; i++) {
        r->dim[i] = p->dims[i];
        if (r->dim[i] < 0)
            return diag(d, ERR_MODEL, r->where, "dim %d of a tensor is %lld", i,
                        (long long)r->dim[i]);
    }
    if (!tensor_size(r->dtype, r->rank, r->dim, &r->count, &r->bytes) ||
        !checked_mul((size_t)r->count, (size_t)dtype_bits(r->dtype), &bits))
        return diag(d, ERR_MODEL, r->where, "the dims of a tensor multiply to more than 2^63");
    r->packed = dtype_bits(r->dtype) < 8 ? bits / 8 + (bits % 8 != 0) : r->bytes;
    return OK;
}

static Status new_tensor(const Reading *r, Tensor **out)
{
    *out = tensor_new(r->s->arena, r->dtype, r->rank, r->dim);
    r->s->own_bytes += r->bytes;
    return *out ? OK : no_memory(r);
}

/* Element k of a run of elements of `bits` bits, the first in the low bits of the first byte. */
static uint64_t packed_bits(const uint8_t *p, int64_t k, int bits)
{
    int64_t at = k / 8 * bits + k % 8 * bits / 8;
    unsigned shift = (unsigned)(k % 8 * bits % 8), v = (unsigned)p[at] >> shift;

    if (shift + (unsigned)bits > 8) v |= (unsigned)p[at + 1] << (8 - shift);
    return v & ((1u << bits) - 1);
}

static void unpack(Tensor *t, const uint8_t *p)
{
    for (int64_t i = 0; i < t->count; i++)
        dtype_store_bits(t->dtype, tensor_at(t, i), packed_bits(p, i, dtype_bits(t->dtype)));
}

/* From exactly r->packed raw bytes. `stays`: they may be used where they are. */
static Status from_raw(const Reading *r, const uint8_t *p, bool stays, Tensor **out)
{
    bool as_is = dtype_bits(r->dtype) >= 8 && r->dtype != DT_BOOL;

    if (as_is && stays && r->bytes >= COPY_BELOW) {
        Loaded *l = r->s->loaded;
        *out = tensor_wrap(r->s->arena, r->dtype, r->rank, r->dim, p);
        VEC_PUSH(r->s->arena, l->span, l->n_span, l->cap_span, (FrontendSpan){p, r->bytes});
        return *out ? OK : no_memory(r);
    }
    TRY(new_tensor(r, out));
    Tensor *t = *out;
    if (as_is) {
        if (t->bytes) memcpy(t->data, p, t->bytes);
    } else if (r->dtype == DT_BOOL) {
        for (int64_t i = 0; i < t->count; i++)
            tensor_set_int(t, i, p[i] != 0);
    } else {
        unpack(t, p);
    }
    return OK;
}

static Status from_raw_field(const Reading *r, WireSpan raw, Tensor **out)
{
    if (r->dtype == DT_STRING)
        return diag(r->s->diag, ERR_MODEL, r->where, "strings may not stand in raw_data");
    if (raw.n != r->packed)
        return diag(r->s->diag, ERR_MODEL, r->where, "raw_data of %zu bytes, its %s dims need %zu",
                    raw.n, dtype_text(r->dtype), r->packed);
    return from_raw(r, raw.p, true, out);
}

/* ---- external data ---- */

typedef struct External {
    const char *location;
    int64_t offset, length; /* length -1: as much as is needed */
} External;

static Status external_number(const Reading *r, const char *key, const char *text, int64_t *out)
{
    if (parse_i64(text, out) && *out >= 0) return OK;
    return diag(r->s->diag, ERR_MODEL, r->where, "external data: %s is \"%.40s\"", key, text);
}

static Status external_keys(const Reading *r, External *e)
{
    *e = (External){.length = -1};
    for (size_t i = 0; i < r->proto->n_external_data; i++) {
        const char *key = r->proto->external_data[i]->key;
        const char *value = r->proto->external_data[i]->value;
        if (!key || !value)
            return diag(r->s->diag, ERR_MODEL, r->where, "external data: an entry is incomplete");
        if (strcmp(key, "location") == 0)
            e->location = value;
        else if (strcmp(key, "offset") == 0)
            TRY(external_number(r, key, value, &e->offset));
        else if (strcmp(key, "length") == 0)
            TRY(external_number(r, key, value, &e->length));
        else if (strcmp(key, "checksum") != 0)
            return diag(r->s->diag, ERR_MODEL, r->where, "external data: unknown key \"%.40s\"",
                        key);
    }
    if (e->location) return OK;
    return diag(r->s->diag, ERR_MODEL, r->where, "external data without a location");
}

/* The whole file, read once. */
static Status external_file(const Reading *r, const char *location, FileBytes *out)
{
    TensorSource *s = r->s;
    FileBytes *known = map_get(&s->files, location);

    if (known) {
        *out = *known;
        return OK;
    }
    if (!s->folder)
        return diag(s->diag, ERR_IO, r->where, "external data, but the model has no folder");
    TRY(file_read_beneath(s->folder, location, 0, -1, s->trusted, out, s->diag));
    FileBytes *all = ARENA_ARRAY(s->arena, FileBytes, s->loaded->n_external + 1);
    if (s->loaded->n_external)
        memcpy(all, s->loaded->external, sizeof *all * (size_t)s->loaded->n_external);
    all[s->loaded->n_external++] = *out;
    s->loaded->external = all;
    known = ARENA_NEW(s->arena, FileBytes);
    *known = *out;
    map_set(&s->files, arena_strdup(s->arena, location), known);
    return OK;
}

static Status from_external(const Reading *r, Tensor **out)
{
    External e;
    FileBytes file = {0};
    size_t end;

    if (r->dtype == DT_STRING)
        return diag(r->s->diag, ERR_MODEL, r->where, "strings may not be external data");
    TRY(external_keys(r, &e));
    if (e.length >= 0 && (uint64_t)e.length != r->packed)
        return diag(r->s->diag, ERR_MODEL, r->where,
                    "external data of %lld bytes, its %s dims need %zu", (long long)e.length,
                    dtype_text(r->dtype), r->packed);
    TRY(external_file(r, e.location, &file));
    if (!checked_add((size_t)e.offset, r->packed, &end) || end > file.size)
        return diag(r->s->diag, ERR_MODEL, r->where,
                    "external data: offset %lld and %zu bytes lie outside the %zu bytes of %s",
                    (long long)e.offset, r->packed, file.size, e.location);
    return from_raw(r, file.data + e.offset, true, out);
}

/* ---- typed fields ---- */

static Status count_error(const Reading *r, size_t found, size_t wanted)
{
    return diag(r->s->diag, ERR_MODEL, r->where, "%zu %s elements, the dims need %zu", found,
                dtype_text(r->dtype), wanted);
}

static Status from_strings(const Reading *r, WireCursor c, Tensor **out)
{
    WireSpan v;

    TRY(new_tensor(r, out));
    StringRef *to = (*out)->data;
    while (wire_next_bytes(&c, &v))
        *to++ = (StringRef){(const char *)v.p, (int64_t)v.n};
    return OK;
}

static void store_numbers(Tensor *t, WireCursor c, DType part)
{
    char *to = t->data;
    uint64_t bits;

    while (wire_next(&c, &bits)) {
        if (t->dtype == DT_BOOL) bits = bits != 0;
        dtype_store_bits(part, to, bits);
        to += dtype_bytes(part);
    }
}

/* Types below a byte: each number is a byte of packed elements; of six bits, it is one element. */
static void store_packed(Tensor *t, WireCursor c)
{
    int bits = dtype_bits(t->dtype);
    uint64_t number = 0;
    int64_t per_byte = 8 / bits;

    for (int64_t i = 0; i < t->count; i++) {
        if (i % per_byte == 0 && !wire_next(&c, &number)) return;
        uint8_t byte = (uint8_t)number;
        dtype_store_bits(t->dtype, tensor_at(t, i), packed_bits(&byte, i % per_byte, bits));
    }
}

static Status from_typed(const Reading *r, Tensor **out)
{
    TypedField f = typed_field(r->dtype);
    WireCursor c = wire_cursor(r->s->wire, r->proto->n_part, r->proto->part, f.number, f.kind);
    size_t found = wire_count(c);

    if (dtype_bits(r->dtype) < 8) {
        size_t want = 8 / dtype_bits(r->dtype) > 1 ? r->packed : (size_t)r->count;
        if (found != want) return count_error(r, found, want);
        TRY(new_tensor(r, out));
        store_packed(*out, c);
        return OK;
    }
    size_t each = (size_t)dtype_bytes(r->dtype) / (size_t)dtype_bytes(f.part);
    if (found / each != (size_t)r->count || found % each)
        return count_error(r, found, (size_t)r->count * each);
    if (r->dtype == DT_STRING) return from_strings(r, c, out);
    TRY(new_tensor(r, out));
    store_numbers(*out, c, f.part);
    return OK;
}

static Status read_elements(const Reading *r, Tensor **out)
{
    enum { RAW_DATA = 9 };
    const Onnx__TensorProto *p = r->proto;
    WireSpan raw = {0}, next;
    bool has_raw = false;

    if (p->data_location == 1) return from_external(r, out);
    WireCursor c = wire_cursor(r->s->wire, p->n_part, p->part, RAW_DATA, WIRE_BYTES);
    while (wire_next_bytes(&c, &next)) { /* the last one counts */
        raw = next;
        has_raw = true;
    }
    if (!has_raw) return from_typed(r, out);
    TypedField f = typed_field(r->dtype);
    bool typed = wire_count(wire_cursor(r->s->wire, p->n_part, p->part, f.number, f.kind)) > 0;
    if (typed && raw.n == 0) return from_typed(r, out);
    if (typed)
        return diag(r->s->diag, ERR_MODEL, r->where,
                    "a tensor with both raw_data and typed elements");
    return from_raw_field(r, raw, out);
}

Status tensor_read(TensorSource *s, const Onnx__TensorProto *p, Where where, const Tensor **out)
{
    Reading r = {.s = s, .proto = p, .where = where};
    Tensor *t = NULL;

    if (!r.where.attr) r.where.attr = p->name;
    *out = map_get(&s->done, p);
    if (*out) return OK;
    TRY(read_header(&r));
    TRY(read_elements(&r, &t));
    map_set(&s->done, p, t);
    *out = t;
    return OK;
}

/* ---- sparse ---- */

/* Place in the dense tensor of the k-th value; false when out of range. */
static bool sparse_place(const Tensor *indices, int64_t k, int rank, const int64_t *dim,
                         int64_t count, int64_t *at)
{
    if (indices->rank == 1) {
        *at = tensor_int(indices, k);
        return *at >= 0 && *at < count;
    }
    *at = 0;
    for (int i = 0; i < rank; i++) {
        int64_t v = tensor_int(indices, k * rank + i);
        if (v < 0 || v >= dim[i]) return false;
        *at = *at * dim[i] + v;
    }
    return true;
}

static Status scatter(TensorSource *s, Where where, const Tensor *values, const Tensor *indices,
                      Tensor *dense)
{
    size_t size = (size_t)dtype_bytes(values->dtype);
    int64_t before = -1, at;

    for (int64_t k = 0; k < values->count; k++) {
        if (!sparse_place(indices, k, dense->rank, dense->dim, dense->count, &at))
            return diag(s->diag, ERR_MODEL, where,
                        "sparse tensor: index number %lld lies outside the dims", (long long)k);
        if (at <= before)
            return diag(s->diag, ERR_MODEL, where,
                        "sparse tensor: index number %lld is not in ascending order", (long long)k);
        before = at;
        memcpy(tensor_at(dense, at), tensor_at(values, k), size);
    }
    return OK;
}

static Status check_sparse(TensorSource *s, const Onnx__SparseTensorProto *p, Where where,
                           const Tensor *values, const Tensor *indices)
{
    bool flat = indices->rank == 1 && indices->dim[0] == values->count;
    bool full = indices->rank == 2 && indices->dim[0] == values->count &&
                (size_t)indices->dim[1] == p->n_dims;

    if (values->rank != 1) return diag(s->diag, ERR_MODEL, where, "sparse values must have rank 1");
    if (indices->dtype != DT_I64 || (!flat && !full))
        return diag(s->diag, ERR_MODEL, where, "sparse indices must be i64[n] or i64[n, rank]");
    return OK;
}

Status tensor_read_sparse(TensorSource *s, const Onnx__SparseTensorProto *p, Where where,
                          const Tensor **out)
{
    const Tensor *values = NULL, *indices = NULL;
    int64_t count;
    size_t bytes;

    *out = map_get(&s->done, p);
    if (*out) return OK;
    if (!p->values || !p->indices || p->n_dims > MAX_RANK)
        return diag(s->diag, ERR_MODEL, where, "sparse tensor without values, indices or dims");
    TRY(tensor_read(s, p->values, where, &values));
    TRY(tensor_read(s, p->indices, where, &indices));
    TRY(check_sparse(s, p, where, values, indices));
    if (!tensor_size(values->dtype, (int)p->n_dims, p->dims, &count, &bytes))
        return diag(s->diag, ERR_MODEL, where, "sparse tensor: the dims are negative or too large");
    if (bytes > s->dense_limit)
        return diag(s->diag, ERR_LIMIT, where,
                    "sparse tensor: made dense it has %zu bytes, the limit is %zu", bytes,
                    s->dense_limit);
    Tensor *dense = tensor_new(s->arena, values->dtype, (int)p->n_dims, p->dims);
    if (!dense) return diag(s->diag, ERR_LIMIT, where, "no memory for a sparse tensor");
    s->own_bytes += bytes;
    s->dense_limit -= bytes;
    TRY(scatter(s, where, values, indices, dense));
    map_set(&s->done, p, dense);
    *out = dense;
    return OK;
}
