/* rt_io.h: what the readers and writers of tensor files share. A reader gets the whole file as
 * bytes, and fills a tensor that it obtained from ingot_rt_io_take, which is where the port, the
 * limit and overflow are checked. */
#ifndef INGOT_RUNTIME_RT_IO_H
#define INGOT_RUNTIME_RT_IO_H

#include "ingot/ingot_tensor_io.h"
#include "runtime/rt.h"

typedef struct RtReader {
    const char *path;
    const uint8_t *data;
    size_t size;
    const ingot_tensor_want *want;
    ingot_tensor *out;
    char *error;
    size_t error_size;
} RtReader;

/* Bytes that a writer collects. `failed` once memory ran out. */
typedef struct RtSink {
    uint8_t *data;
    size_t size, capacity;
    bool failed;
} RtSink;

/* Says "path: ..." and returns `code`. */
INGOT_RT_HIDDEN int32_t ingot_rt_io_fail(const RtReader *r, int32_t code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Checks dtype and dims against the port and the limit, and gives r->out its memory, zeroed, plus
 * `extra` bytes. */
INGOT_RT_HIDDEN int32_t ingot_rt_io_take(const RtReader *r, int32_t dtype, int32_t rank,
                                         const int64_t *dims, size_t extra);
/* Most bytes that the tensor may have: the port's where its dims are known, else the limit. */
INGOT_RT_HIDDEN int64_t ingot_rt_io_most(const RtReader *r);
/* The port's dims with the open ones filled in: from want->dims, or one from `total` elements (-1:
 * not known). */
INGOT_RT_HIDDEN int32_t ingot_rt_io_settle(const RtReader *r, int64_t total, int64_t *dims);
/* Dtype without a name in numpy (bf16, f8, 4- and 2-bit). */
INGOT_RT_HIDDEN bool ingot_rt_dtype_is_void(int32_t dtype);
/* Bits of one element in packed files: 4, 2, or 8 * size. */
INGOT_RT_HIDDEN int32_t ingot_rt_dtype_bits(int32_t dtype);

/* The first `size` bytes that a deflate stream gives; false when it is malformed or gives fewer. No
 * more than INGOT_RT_DEFLATE_MOST bytes come out of one byte. */
INGOT_RT_HIDDEN bool ingot_rt_inflate(const uint8_t *from, size_t packed, uint8_t *to, size_t size);
#define INGOT_RT_DEFLATE_MOST 1032
/* CRC-32 of zip and PNG; `crc` is 0 or that of what came before. */
INGOT_RT_HIDDEN uint32_t ingot_rt_crc32(uint32_t crc, const void *data, size_t size);

/* The wire format of protocol buffers: a field of a message. */
enum { INGOT_RT_VARINT = 0, INGOT_RT_BYTES = 2 };
typedef struct RtField {
    uint32_t number, wire;
    uint64_t value;      /* numbers */
    const uint8_t *data; /* bytes */
    size_t size;
} RtField;
/* The field at *at; false when it is malformed. */
INGOT_RT_HIDDEN bool ingot_rt_pb_field(const uint8_t **at, const uint8_t *end, RtField *f);
INGOT_RT_HIDDEN bool ingot_rt_pb_varint(const uint8_t **at, const uint8_t *end, uint64_t *v);
INGOT_RT_HIDDEN void ingot_rt_pb_put_varint(RtSink *s, uint64_t v);
INGOT_RT_HIDDEN void ingot_rt_pb_put_bytes(RtSink *s, uint32_t field, const void *data,
                                           size_t size);
INGOT_RT_HIDDEN int32_t ingot_rt_read_pb_list(const RtReader *r);
INGOT_RT_HIDDEN bool ingot_rt_write_pb_list(RtSink *s, const ingot_tensor *t, const char *name,
                                            const char **why);

INGOT_RT_HIDDEN int32_t ingot_rt_read_npy(const RtReader *r);
INGOT_RT_HIDDEN int32_t ingot_rt_read_npz(const RtReader *r);
INGOT_RT_HIDDEN int32_t ingot_rt_read_pb(const RtReader *r);
INGOT_RT_HIDDEN int32_t ingot_rt_read_png(const RtReader *r);
INGOT_RT_HIDDEN int32_t ingot_rt_read_pnm(const RtReader *r);
INGOT_RT_HIDDEN int32_t ingot_rt_read_text(const RtReader *r);

INGOT_RT_HIDDEN void ingot_rt_sink_put(RtSink *s, const void *data, size_t size);
INGOT_RT_HIDDEN void ingot_rt_sink_text(RtSink *s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
INGOT_RT_HIDDEN void ingot_rt_sink_le(RtSink *s, uint64_t value, int bytes);

/* Each appends the file's bytes; false when the format cannot hold such a tensor (*why says so). */
INGOT_RT_HIDDEN bool ingot_rt_write_npy(RtSink *s, const ingot_tensor *t, const char *name,
                                        const char **why);
INGOT_RT_HIDDEN bool ingot_rt_write_npz(RtSink *s, const ingot_tensor *t, const char *name,
                                        const char **why);
INGOT_RT_HIDDEN bool ingot_rt_write_pb(RtSink *s, const ingot_tensor *t, const char *name,
                                       const char **why);
INGOT_RT_HIDDEN bool ingot_rt_write_pnm(RtSink *s, const ingot_tensor *t, const char *name,
                                        const char **why);
INGOT_RT_HIDDEN bool ingot_rt_write_text(RtSink *s, const ingot_tensor *t, const char *name,
                                         const char **why);

/* Pixels as decoded, before they go into the port's layout. 8 bits: one byte a sample; 16: a
 * uint16_t. */
typedef struct RtImage {
    int64_t width, height;
    int32_t channels; /* 1 gray, 2 gray+alpha, 3 RGB, 4 RGB+alpha */
    int32_t most;     /* largest sample: 255, 65535, or what a .pgm says */
    void *samples;    /* [height][width][channels]; malloc'ed */
    bool wide;        /* 16 bits */
} RtImage;

/* rt_image.c: into r->out. Frees the samples. */
INGOT_RT_HIDDEN int32_t ingot_rt_image_place(const RtReader *r, RtImage *image);
/* May an image of w x h samples be expected at all? Says so if not. */
INGOT_RT_HIDDEN int32_t ingot_rt_image_allowed(const RtReader *r, int64_t width, int64_t height,
                                               int64_t channels);
/* Bits of `v` as element of `dtype` (integers: rounded and clamped), at `to`. */
INGOT_RT_HIDDEN void ingot_rt_store(int32_t dtype, void *to, double v);

#endif
