/* onnx_dump.c: what the scan and the decoder make of an ONNX file, as text for onnx_compare.py:
 * each field that is set, nested messages indented, payloads as number of elements and CRC-32. */
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "frontend/onnx/onnx_wire.h"
#include "support/io.h"

typedef const ProtobufCFieldDescriptor *Field;

static void print_message(const OnnxWire *w, const ProtobufCMessage *m, int indent);

static const void *member(const ProtobufCMessage *m, unsigned offset)
{
    return (const char *)m + offset;
}

static void print_bytes(const void *p, size_t n)
{
    printf("%zu %08lx\n", n, n ? crc32_z(0, p, n) : 0);
}

static void print_value(const OnnxWire *w, Field f, const void *at, int indent)
{
    const ProtobufCBinaryData *b = at;

    printf("%*s%s ", indent, "", f->name);
    switch (f->type) {
    case PROTOBUF_C_TYPE_INT32:
        printf("%d\n", *(const int32_t *)at);
        break;
    case PROTOBUF_C_TYPE_INT64:
        printf("%lld\n", (long long)*(const int64_t *)at);
        break;
    case PROTOBUF_C_TYPE_FLOAT:
        print_bytes(at, sizeof(float));
        break;
    case PROTOBUF_C_TYPE_STRING:
        print_bytes(*(char *const *)at, strlen(*(char *const *)at));
        break;
    case PROTOBUF_C_TYPE_BYTES:
        print_bytes(b->data, b->len);
        break;
    case PROTOBUF_C_TYPE_MESSAGE:
        printf("\n");
        print_message(w, *(ProtobufCMessage *const *)at, indent + 1);
        break;
    default:
        printf("?\n");
    }
}

static size_t element_size(Field f)
{
    switch (f->type) {
    case PROTOBUF_C_TYPE_INT64:
        return sizeof(int64_t);
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    default:
        return 4;
    }
}

static bool is_set(const ProtobufCMessage *m, Field f)
{
    if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
        return *(const uint32_t *)member(m, f->quantifier_offset) == f->id;
    if (f->type == PROTOBUF_C_TYPE_MESSAGE || f->type == PROTOBUF_C_TYPE_STRING)
        return *(void *const *)member(m, f->offset) != NULL;
    return *(const protobuf_c_boolean *)member(m, f->quantifier_offset) != 0;
}

static void print_field(const OnnxWire *w, const ProtobufCMessage *m, Field f, int indent)
{
    if (f->label != PROTOBUF_C_LABEL_REPEATED) {
        if (is_set(m, f)) print_value(w, f, member(m, f->offset), indent);
        return;
    }
    size_t n = *(const size_t *)member(m, f->quantifier_offset);
    const char *list = *(const char *const *)member(m, f->offset);
    for (size_t i = 0; i < n; i++)
        print_value(w, f, list + i * element_size(f), indent);
}

/* All elements of one payload field: numbers as 4 or 8 bytes each, strings one by one. */
static void print_payload(const OnnxWire *w, size_t n, const uint32_t *parts, Field f, int indent)
{
    bool fixed32 = f->type == PROTOBUF_C_TYPE_FLOAT;
    WireKind kind = fixed32                             ? WIRE_FIXED32
                    : f->type == PROTOBUF_C_TYPE_DOUBLE ? WIRE_FIXED64
                    : f->type == PROTOBUF_C_TYPE_BYTES  ? WIRE_BYTES
                                                        : WIRE_VARINT;
    WireCursor c = wire_cursor(w, n, parts, f->id, kind);
    size_t count = wire_count(c);
    unsigned long crc = 0;
    uint64_t bits;
    WireSpan span = {0};

    if (count == 0) return;
    if (kind == WIRE_BYTES) {
        while (wire_next_bytes(&c, &span)) {
            if (f->label != PROTOBUF_C_LABEL_REPEATED) continue; /* the last one counts */
            printf("%*s%s ", indent, "", f->name);
            print_bytes(span.p, span.n);
        }
        if (f->label == PROTOBUF_C_LABEL_REPEATED) return;
        printf("%*s%s ", indent, "", f->name);
        print_bytes(span.p, span.n);
        return;
    }
    while (wire_next(&c, &bits))
        crc = crc32_z(crc, (const unsigned char *)&bits, fixed32 ? 4 : 8);
    printf("%*s%s %zu %08lx\n", indent, "", f->name, count, crc);
}

static void print_message(const OnnxWire *w, const ProtobufCMessage *m, int indent)
{
    const ProtobufCMessageDescriptor *d = m->descriptor;
    Field part = protobuf_c_message_descriptor_get_field_by_name(d, "part");
    size_t n_part = part ? *(const size_t *)member(m, part->quantifier_offset) : 0;

    for (unsigned i = 0; i < d->n_fields; i++) {
        Field f = &d->fields[i];
        if (f == part) continue;
        print_field(w, m, f, indent);
        bool payload = part && f->id <= 11 && f->type != PROTOBUF_C_TYPE_STRING &&
                       f->type != PROTOBUF_C_TYPE_MESSAGE;
        bool tensor = d == &onnx__tensor_proto__descriptor;
        payload = payload && (tensor ? f->id >= 4 : f->id >= 7 && f->id <= 9);
        if (payload && n_part)
            print_payload(w, n_part, *(uint32_t *const *)member(m, part->offset), f, indent);
    }
}

int main(int argc, char **argv)
{
    Arena *arena = arena_new(0);
    WireLimits limits = {.memory = (size_t)1 << 32, .depth = 64, .nodes = 4000000};
    FileBytes file;
    OnnxWire w;
    Diag d;

    if (!arena || argc != 2) return 2;
    diag_init(&d, arena);
    Status s = file_read(argv[1], &file, &d);
    if (s == OK) s = wire_decode(file.data, file.size, argv[1], &limits, arena, &w, &d);
    if (s == OK) print_message(&w, &w.model->base, 0);
    for (const DiagItem *i = d.first; i; i = i->next)
        fprintf(stderr, "%s\n", diag_format(i, arena));
    arena_free(arena);
    return s;
}
