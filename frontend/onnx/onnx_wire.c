/* onnx_wire.c: the bounded scan of the wire format.
 *
 * The grammar is the schema's own descriptors. Messages within messages stand on a work stack of
 * fixed size, whose top is what the bytes at hand are fields of:
 *
 *     file      [ModelProto  graph [GraphProto  node [NodeProto  attribute [... ]]]]
 *     stack      model ------------ graph ---------- node ------------ attribute
 *     skeleton  the same nesting; each length takes five bytes and is filled in when its message
 * ends
 *
 * Limits: the stack holds 3 messages for each level of graphs, so that protobuf-c, which recurses,
 * needs about 1 KiB of stack for each. What the skeleton will decode to is charged before it is
 * decoded. A message that stands several times where the schema has one is merged by the decoder;
 * as merging copies, MERGES_MAX of them are accepted. Groups do not occur in ONNX and are refused.
 */
#include "frontend/onnx/onnx_wire.h"

#include <stdlib.h>
#include <string.h>

#include "support/checked.h"
#include "support/str.h"
#include "support/vec.h"

enum {
    MERGES_MAX = 256,
    LENGTH_BYTES = 5,  /* of a length that is filled in later */
    MEMBER_COST = 64,  /* of one field while and after protobuf-c decodes it */
    PART_FIELD = 1000, /* onnx.proto: part */
    TAIL_MESSAGES = 8  /* below the innermost graph: node, attribute, sparse tensor, tensor, ... */
};

typedef const ProtobufCMessageDescriptor *Descriptor;
typedef const ProtobufCFieldDescriptor *Field;

typedef struct Frame {
    Descriptor type;
    size_t begin, end; /* of the message's fields, in the file */
    size_t length_at;  /* where its length stands in the skeleton */
    uint32_t seen;     /* single messages met so far, one bit a field */
    bool has_payload;
} Frame;

typedef struct Scan {
    const uint8_t *bytes;
    size_t at;
    const char *file;
    const WireLimits *limits;
    Diag *diag;
    Arena *arena;
    Frame *stack;
    int depth, depth_max, graphs;
    int merges;
    int64_t nodes;
    uint8_t *out; /* the skeleton */
    size_t out_n, out_cap;
    WireSpan *part;
    size_t n_part, cap_part;
    size_t charged, payload;
} Scan;

typedef struct Tag {
    uint32_t field;
    unsigned wire;
} Tag;

static Status scan_error(Scan *s, const char *what)
{
    return diag(s->diag, ERR_MODEL, (Where){.file = s->file}, "byte %zu: %s", s->at, what);
}

static Status charge(Scan *s, size_t n)
{
    if (!checked_add(s->charged, n, &s->charged) || s->charged > s->limits->memory) {
        return diag(s->diag, ERR_LIMIT, (Where){.file = s->file},
                    "byte %zu: the model decodes to more than the limit of %zu bytes", s->at,
                    s->limits->memory);
    }
    return OK;
}

/* ---- reading ---- */

/* A varint within [p, end); NULL when it is cut off or longer than 64 bits. */
static const uint8_t *read_varint(const uint8_t *p, const uint8_t *end, uint64_t *out)
{
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 70 && p < end; shift += 7) {
        uint8_t byte = *p++;
        if (shift == 63 && byte > 1) return NULL;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out = v;
            return p;
        }
    }
    return NULL;
}

static uint64_t load_fixed(const uint8_t *p, unsigned bytes)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < bytes; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

static Status next_varint(Scan *s, uint64_t *out)
{
    const uint8_t *end = s->bytes + s->stack[s->depth - 1].end;
    const uint8_t *p = read_varint(s->bytes + s->at, end, out);

    if (!p) return scan_error(s, "a variable-length number is cut off or too long");
    s->at = (size_t)(p - s->bytes);
    return OK;
}

static Status next_tag(Scan *s, Tag *t)
{
    uint64_t v = 0;

    TRY(next_varint(s, &v));
    if (v > UINT32_MAX || v >> 3 == 0) return scan_error(s, "not a field number");
    *t = (Tag){(uint32_t)(v >> 3), (unsigned)(v & 7)};
    if (t->wire > 5 || t->wire == 3 || t->wire == 4)
        return scan_error(s, "a field of a wire type that ONNX does not use");
    return OK;
}

/* The bytes of the field's value: what stands behind the length, or the number itself. */
static Status next_value(Scan *s, unsigned wire, WireSpan *value, uint64_t *number)
{
    size_t left, n = wire == 5 ? 4 : 8;

    *number = 0;
    if (wire == WIRE_VARINT) {
        size_t from = s->at;
        TRY(next_varint(s, number));
        *value = (WireSpan){s->bytes + from, s->at - from};
        return OK;
    }
    if (wire == WIRE_BYTES) {
        uint64_t length = 0;
        TRY(next_varint(s, &length));
        n = length > SIZE_MAX ? SIZE_MAX : (size_t)length;
    }
    left = s->stack[s->depth - 1].end - s->at;
    if (n > left) return scan_error(s, "a field is longer than what is left of its message");
    *value = (WireSpan){s->bytes + s->at, n};
    if (wire != WIRE_BYTES) *number = load_fixed(value->p, (unsigned)n);
    s->at += n;
    return OK;
}

/* ---- writing the skeleton ---- */

static Status put(Scan *s, const void *data, size_t n)
{
    size_t need;

    TRY(charge(s, n));
    if (!checked_add(s->out_n, n, &need)) return ERR_LIMIT;
    if (need > s->out_cap) {
        size_t cap = need + need / 2 + 4096;
        uint8_t *more = realloc(s->out, cap);
        if (!more) return diag(s->diag, ERR_LIMIT, (Where){.file = s->file}, "no memory left");
        s->out = more;
        s->out_cap = cap;
    }
    if (n) memcpy(s->out + s->out_n, data, n);
    s->out_n = need;
    return OK;
}

static Status put_varint(Scan *s, uint64_t v)
{
    uint8_t byte[10];
    size_t n = 0;

    do {
        byte[n++] = (uint8_t)((v & 0x7f) | (v > 0x7f ? 0x80 : 0));
        v >>= 7;
    } while (v);
    return put(s, byte, n);
}

static Status put_tag(Scan *s, uint32_t field, unsigned wire)
{
    return put_varint(s, (uint64_t)field << 3 | wire);
}

static Status put_number(Scan *s, Field f, unsigned wire, WireSpan value, uint64_t number)
{
    TRY(charge(s, MEMBER_COST));
    TRY(put_tag(s, f->id, wire));
    return wire == WIRE_VARINT ? put_varint(s, number) : put(s, value.p, value.n);
}

/* A length, in the five bytes that were left for it. */
static void fill_length(Scan *s, size_t at, size_t length)
{
    for (int i = 0; i < LENGTH_BYTES; i++, length >>= 7)
        s->out[at + (size_t)i] = (uint8_t)((length & 0x7f) | (i < LENGTH_BYTES - 1 ? 0x80 : 0));
}

/* ---- payloads ---- */

static bool is_payload(Descriptor type, uint32_t field)
{
    const uint32_t tensor = 1u << 4 | 1u << 5 | 1u << 6 | 1u << 7 | 1u << 9 | 1u << 10 | 1u << 11;
    const uint32_t attribute = 1u << 7 | 1u << 8 | 1u << 9;

    if (field > 11) return false;
    if (type == &onnx__tensor_proto__descriptor) return tensor >> field & 1;
    return type == &onnx__attribute_proto__descriptor && attribute >> field & 1;
}

static WireKind kind_of(Field f)
{
    switch (f->type) {
    case PROTOBUF_C_TYPE_FLOAT:
        return WIRE_FIXED32;
    case PROTOBUF_C_TYPE_DOUBLE:
        return WIRE_FIXED64;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        return WIRE_BYTES;
    default: /* the schema has no other fixed types */
        return WIRE_VARINT;
    }
}

/* Number of varints in a packed run; false when the last is cut off or one is too long. */
static bool count_varints(WireSpan run, size_t *count)
{
    const uint8_t *p = run.p, *end = run.p + run.n;
    uint64_t v;

    for (*count = 0; p < end; ++*count) {
        if (*p < 0x80) {
            p++;
            continue;
        }
        p = read_varint(p, end, &v);
        if (!p) return false;
    }
    return true;
}

/* Check a payload field and charge what it grows by when it is read. */
static Status take_payload(Scan *s, Frame *f, Field field, unsigned wire, WireSpan value)
{
    WireKind kind = kind_of(field);
    size_t count = 1, size = 8;

    if (kind == WIRE_BYTES) {
        bool raw = field->label != PROTOBUF_C_LABEL_REPEATED;
        size = raw ? value.n : value.n + 1 + 16;
    } else if (kind == WIRE_VARINT) {
        if (wire == WIRE_BYTES && !count_varints(value, &count))
            return scan_error(s, "a packed list of numbers ends within a number");
    } else {
        size_t element = kind == WIRE_FIXED32 ? 4 : 8;
        if (wire == WIRE_BYTES && value.n % element)
            return scan_error(s, "a packed list ends within an element");
        count = wire == WIRE_BYTES ? value.n / element : 1;
        if (f->type == &onnx__tensor_proto__descriptor) size = element;
    }
    f->has_payload = true;
    s->payload += count * size;
    return count * size > value.n ? charge(s, count * size - value.n) : OK;
}

/* The message on top ends with payloads taken out of it: its bytes become a part. */
static Status put_part(Scan *s, const Frame *f)
{
    size_t before = s->n_part;

    TRY(charge(s, sizeof(WireSpan) + MEMBER_COST));
    VEC_PUSH(s->arena, s->part, s->n_part, s->cap_part,
             (WireSpan){s->bytes + f->begin, f->end - f->begin});
    if (s->n_part == before || s->n_part > UINT32_MAX)
        return diag(s->diag, ERR_LIMIT, (Where){.file = s->file}, "no memory left");
    TRY(put_tag(s, PART_FIELD, WIRE_VARINT));
    return put_varint(s, before);
}

/* ---- messages ---- */

static Status open_message(Scan *s, Descriptor type, size_t begin, size_t end)
{
    if (s->depth == s->depth_max) return scan_error(s, "messages are nested deeper than the limit");
    if (type == &onnx__graph_proto__descriptor && ++s->graphs > s->limits->depth)
        return scan_error(s, "graphs are nested deeper than the limit");
    if (type == &onnx__node_proto__descriptor && ++s->nodes > s->limits->nodes)
        return diag(s->diag, ERR_LIMIT, (Where){.file = s->file}, "more than %lld nodes",
                    (long long)s->limits->nodes);
    TRY(charge(s, type->sizeof_message + MEMBER_COST));
    s->stack[s->depth++] = (Frame){.type = type, .begin = begin, .end = end};
    s->at = begin;
    return OK;
}

/* A field that holds a message: its fields come next. */
static Status enter(Scan *s, Field f, WireSpan value)
{
    static const uint8_t room[LENGTH_BYTES];
    Frame *outer = &s->stack[s->depth - 1];
    uint32_t bit = 1u << (f - outer->type->fields);

    if (f->label != PROTOBUF_C_LABEL_REPEATED) {
        if (outer->seen & bit && ++s->merges > MERGES_MAX)
            return scan_error(s, "too many fields that stand twice");
        outer->seen |= bit;
    }
    TRY(put_tag(s, f->id, WIRE_BYTES));
    size_t length_at = s->out_n, begin = (size_t)(value.p - s->bytes);
    TRY(put(s, room, sizeof room));
    TRY(open_message(s, f->descriptor, begin, begin + value.n));
    s->stack[s->depth - 1].length_at = length_at;
    return OK;
}

static Status leave(Scan *s)
{
    Frame *f = &s->stack[s->depth - 1];

    if (f->has_payload) TRY(put_part(s, f));
    if (f->type == &onnx__graph_proto__descriptor) s->graphs--;
    if (s->depth > 1) {
        size_t length = s->out_n - f->length_at - LENGTH_BYTES;
        if (length > INT32_MAX)
            return diag(s->diag, ERR_LIMIT, (Where){.file = s->file},
                        "more than 2 GB without the weights");
        fill_length(s, f->length_at, length);
    }
    s->at = f->end;
    s->depth--;
    return OK;
}

static Status put_text(Scan *s, Field f, WireSpan value)
{
    if (f->type == PROTOBUF_C_TYPE_STRING) {
        if (value.n && memchr(value.p, 0, value.n)) return scan_error(s, "a name with a NUL byte");
        if (!utf8_valid((const char *)value.p, value.n))
            return scan_error(s, "a name that is not UTF-8");
    }
    TRY(charge(s, value.n + 1 + MEMBER_COST));
    TRY(put_tag(s, f->id, WIRE_BYTES));
    TRY(put_varint(s, value.n));
    return put(s, value.p, value.n);
}

/* A packed list of numbers that is no payload (dims): written one by one. */
static Status put_packed(Scan *s, Field f, WireSpan run)
{
    const uint8_t *p = run.p, *end = run.p + run.n;

    while (p < end) {
        uint64_t v = 0;
        p = read_varint(p, end, &v);
        if (!p) return scan_error(s, "a packed list of numbers ends within a number");
        TRY(put_number(s, f, WIRE_VARINT, run, v));
    }
    return OK;
}

static Status scan_field(Scan *s)
{
    Frame *top = &s->stack[s->depth - 1];
    Tag tag = {0};
    WireSpan value = {0};
    uint64_t number;

    TRY(next_tag(s, &tag));
    TRY(next_value(s, tag.wire, &value, &number));
    if (tag.field >= PART_FIELD) return OK;
    Field f = protobuf_c_message_descriptor_get_field(top->type, tag.field);
    if (!f) return OK;
    WireKind kind = kind_of(f);
    bool packed =
        tag.wire == WIRE_BYTES && kind != WIRE_BYTES && f->label == PROTOBUF_C_LABEL_REPEATED;
    if (tag.wire != kind && !packed) return OK; /* as other readers do: an unknown field */
    if (is_payload(top->type, tag.field)) return take_payload(s, top, f, tag.wire, value);
    if (packed) return put_packed(s, f, value);
    if (f->type == PROTOBUF_C_TYPE_MESSAGE) return enter(s, f, value);
    if (kind == WIRE_BYTES) return put_text(s, f, value);
    return put_number(s, f, tag.wire, value, number);
}

static Status scan_all(Scan *s, size_t size)
{
    TRY(open_message(s, &onnx__model_proto__descriptor, 0, size));
    while (s->depth > 0) {
        if (s->at == s->stack[s->depth - 1].end)
            TRY(leave(s));
        else
            TRY(scan_field(s));
    }
    return OK;
}

/* ---- decoding ---- */

static void *arena_decode_alloc(void *arena, size_t size)
{
    return arena_try(arena, 1, size);
}

static void arena_decode_free(void *arena, void *p)
{
    (void)arena;
    (void)p;
}

static Status decode(Scan *s, OnnxWire *out)
{
    ProtobufCAllocator in_arena = {arena_decode_alloc, arena_decode_free, s->arena};

    out->model = onnx__model_proto__unpack(&in_arena, s->out_n, s->out);
    out->part = s->part;
    out->n_part = s->n_part;
    out->payload = s->payload;
    if (out->model) return OK;
    if (!arena_ok(s->arena))
        return diag(s->diag, ERR_LIMIT, (Where){.file = s->file},
                    "the model decodes to more than the limit of %zu bytes", s->limits->memory);
    return diag(s->diag, ERR_MODEL, (Where){.file = s->file}, "not an ONNX model");
}

Status wire_decode(const void *bytes, size_t size, const char *file, const WireLimits *limits,
                   Arena *scratch, OnnxWire *out, Diag *d)
{
    Scan s = {.bytes = bytes, .file = file, .limits = limits, .diag = d, .arena = scratch};

    *out = (OnnxWire){0};
    s.depth_max = 3 * limits->depth + TAIL_MESSAGES;
    s.stack = ARENA_ARRAY(scratch, Frame, s.depth_max);
    Status status = scan_all(&s, size);
    if (status == OK) status = decode(&s, out);
    free(s.out);
    return status;
}

/* ---- cursors: over bytes that the scan has checked ---- */

WireCursor wire_cursor(const OnnxWire *w, size_t n_parts, const uint32_t *parts, uint32_t field,
                       WireKind kind)
{
    return (WireCursor){
        .wire = w, .parts = parts, .n_parts = n_parts, .field = field, .kind = kind};
}

/* To the next field that the cursor is after; false at the end of the last part. */
static bool cursor_field(WireCursor *c, WireSpan *value, unsigned *wire)
{
    for (;;) {
        uint64_t tag = 0, n = 0;
        while (c->at == c->end) {
            if (c->next_part == c->n_parts) return false;
            uint32_t part = c->parts[c->next_part++];
            if (part >= c->wire->n_part) continue;
            c->at = c->wire->part[part].p;
            c->end = c->at + c->wire->part[part].n;
        }
        c->at = read_varint(c->at, c->end, &tag);
        *wire = (unsigned)(tag & 7);
        const uint8_t *from = c->at;
        if (*wire == WIRE_VARINT)
            c->at = read_varint(from, c->end, &n);
        else if (*wire == WIRE_BYTES)
            from = read_varint(from, c->end, &n), c->at = from + n;
        else
            c->at = from + (*wire == WIRE_FIXED32 ? 4 : 8);
        *value = (WireSpan){from, (size_t)(c->at - from)};
        bool packed = *wire == WIRE_BYTES && c->kind != WIRE_BYTES;
        if (tag >> 3 == c->field && (*wire == c->kind || packed)) return true;
    }
}

bool wire_next(WireCursor *c, uint64_t *bits)
{
    while (c->packed == c->packed_end) {
        WireSpan value;
        unsigned wire;
        if (!cursor_field(c, &value, &wire)) return false;
        c->packed = value.p;
        c->packed_end = value.p + value.n;
    }
    if (c->kind == WIRE_VARINT) {
        c->packed = read_varint(c->packed, c->packed_end, bits);
    } else {
        unsigned n = c->kind == WIRE_FIXED32 ? 4 : 8;
        *bits = load_fixed(c->packed, n);
        c->packed += n;
    }
    return true;
}

bool wire_next_bytes(WireCursor *c, WireSpan *span)
{
    unsigned wire;

    return cursor_field(c, span, &wire);
}

size_t wire_count(WireCursor c)
{
    size_t n = 0, in_run;
    WireSpan value;
    unsigned wire;

    while (cursor_field(&c, &value, &wire)) {
        if (wire != WIRE_BYTES || c.kind == WIRE_BYTES) {
            n++;
        } else if (c.kind == WIRE_VARINT) {
            n += count_varints(value, &in_run) ? in_run : 0;
        } else {
            n += value.n / (c.kind == WIRE_FIXED32 ? 4 : 8);
        }
    }
    return n;
}
