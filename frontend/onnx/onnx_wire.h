/* onnx_wire.h: the bytes of an ONNX file, made safe to decode.
 *
 * A bounded scan walks the wire format with a work stack of its own and writes a skeleton of the
 * model: unknown fields dropped, names checked, and every payload (the elements of tensors and of
 * list attributes) taken out. protobuf-c decodes the skeleton. What was taken out stands in `part`:
 * the bytes of the message that it was part of, in the file's own memory, read with a cursor. The
 * decoded messages refer to it by the numbers in their field `part`. */
#ifndef INGOT_FRONTEND_ONNX_WIRE_H
#define INGOT_FRONTEND_ONNX_WIRE_H

#include "onnx_schema/onnx.pb-c.h"

#include "support/diag.h"

typedef struct WireSpan {
    const uint8_t *p;
    size_t n;
} WireSpan;

typedef struct WireLimits {
    size_t memory; /* bytes that the skeleton may decode to, side table and growth of payloads
                      included */
    int depth;     /* of graphs within graphs */
    int64_t nodes;
} WireLimits;

typedef struct OnnxWire {
    Onnx__ModelProto *model; /* in the scratch arena; never freed by protobuf-c */
    const WireSpan *part;    /* [n_part] */
    size_t n_part;
    size_t payload; /* bytes of all payloads once they are read into memory */
} OnnxWire;

/* Scan and decode. `bytes` must outlive `out`. ERR_MODEL for malformed bytes, ERR_LIMIT. */
Status wire_decode(const void *bytes, size_t size, const char *file, const WireLimits *limits,
                   Arena *scratch, OnnxWire *out, Diag *d) MUST_USE;

/* The elements of one payload field over the parts of a message, in order, packed or not. */
typedef enum WireKind { WIRE_VARINT, WIRE_FIXED64, WIRE_BYTES, WIRE_FIXED32 = 5 } WireKind;

typedef struct WireCursor {
    const OnnxWire *wire;
    const uint32_t *parts;
    size_t n_parts, next_part;
    uint32_t field;
    WireKind kind;
    const uint8_t *at, *end;            /* in the current part */
    const uint8_t *packed, *packed_end; /* in a packed run of it */
} WireCursor;

WireCursor wire_cursor(const OnnxWire *w, size_t n_parts, const uint32_t *parts, uint32_t field,
                       WireKind kind);
bool wire_next(WireCursor *c, uint64_t *bits);       /* numbers: the raw bits or the varint */
bool wire_next_bytes(WireCursor *c, WireSpan *span); /* WIRE_BYTES */
size_t wire_count(WireCursor c);                     /* elements ahead of the cursor */

#endif
