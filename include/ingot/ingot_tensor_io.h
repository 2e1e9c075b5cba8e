/* ingot_tensor_io.h: tensors to and from files. Used by the driver of compiled executables and by
 * the `ingot` command.
 *
 *     char why[256];
 *     ingot_tensor x;
 *     ingot_tensor_want want = { .port = &model->inputs[0] };
 *     if (ingot_tensor_read("cat.png", &want, &x, why, sizeof why) != 0) puts(why);
 *     ...
 *     ingot_tensor_free(&x);
 *
 * Reads   .npy  all dtypes that numpy has, either byte order, either element order; strings (S and
 * U) .npz  one member, stored or deflated .pb   ONNX TensorProto, raw or typed data, all dtypes (4-
 * and 2-bit ones come out one byte an element) .png  1 to 16 bits, gray, RGB, palette, alpha
 * (dropped), interlaced or not .pgm .ppm (also .pnm)  binary or text, 8 or 16 bits .txt .csv
 * numbers, or lines for a string tensor; # starts a comment; needs a port .raw .bin   elements as
 * they lie in memory; needs a port random      not a file: seeded values; needs a port, and values
 * for its open dims The first bytes of a file tell its format where they can, else its name does.
 * Every file is untrusted: what it says of its sizes is checked against its length and against the
 * port before memory is taken.
 *
 * Writes  lists as .pb only; tensors as .npy .npz (one member, stored) .pb .txt .pgm .ppm .raw .bin
 *
 * bf16, f8 and the 4- and 2-bit types, which numpy lacks, are void elements (V2, V1) in .npy, as
 * ml_dtypes has them.
 *
 * An image goes into the port's layout: N = 1; C is the dim of size 1 or 3 that stands second
 * (NCHW) or last (NHWC); gray is repeated for C = 3, RGB becomes its luma for C = 1. Ports of
 * floats get (v - mean) * scale where v is the pixel in 0..1; u8 ports get the byte; other integers
 * the pixel's number. Nothing is resized. */
#ifndef INGOT_TENSOR_IO_H
#define INGOT_TENSOR_IO_H

#include "ingot/ingot_rt.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a tensor is read for. Zero everywhere takes the file as it is. */
typedef struct ingot_tensor_want {
    const ingot_port *port; /* NULL: no expectation. A file of lower rank gets leading dims of 1 */
    const int64_t
        *dims; /* [port->rank] values of open dims for random, .raw and .txt; -1: not known */
    const char *member; /* of an .npz; NULL: the port's name, else the only one */
    double scale[3];    /* images, per channel; 0: 1 */
    double mean[3];     /* images, per channel */
    uint64_t seed;      /* random */
    int64_t max_bytes;  /* of the tensor; 0: 64 GiB */
} ingot_tensor_want;

static inline int ingot_tensor_is_list(const ingot_tensor *t)
{
    return t->dtype >= INGOT_SEQUENCE && t->dtype <= INGOT_MAP;
}

/* Read `path`. On success `out` is the tensor, its data aligned to 64 and `capacity` its bytes;
 * strings lie behind the elements in the same block. Otherwise INGOT_ERR_IO, _USAGE (does not fit
 * the port), _DATA (malformed) or _LIMIT, and one line in `error`: file, what was found, what was
 * expected. `want` may be NULL. Lists need a port that says what they hold, and are read from .pb
 * (SequenceProto, OptionalProto, MapProto) alone, or random; each element has a block of its own.
 */
int32_t ingot_tensor_read(const char *path, const ingot_tensor_want *want, ingot_tensor *out,
                          char *error, size_t error_size);
/* As above for bytes in memory; `path` is for messages and the extension. */
int32_t ingot_tensor_read_bytes(const char *path, const void *data, size_t size,
                                const ingot_tensor_want *want, ingot_tensor *out, char *error,
                                size_t error_size);
void ingot_tensor_free(ingot_tensor *t);

/* Write `t` under `name` (for .npz, .pb and .txt; may be NULL) in the format that the extension of
 * `path` says. */
int32_t ingot_tensor_write(const char *path, const ingot_tensor *t, const char *name, char *error,
                           size_t error_size);

/* Element `i` as double (complex: its real part; strings: 0), and as text into `out` (always
 * terminated). */
double ingot_tensor_element(const ingot_tensor *t, int64_t i);
void ingot_tensor_element_text(const ingot_tensor *t, int64_t i, char *out, size_t size);
/* Number of elements; -1 when dims or dtype are impossible. */
int64_t ingot_tensor_elements(const ingot_tensor *t);
const char *ingot_dtype_name(int32_t dtype); /* "f32"; "?" when there is none */
/* "f32[1,3,224,224]" into `out`; open dims by their symbol or "?". */
void ingot_tensor_type_text(int32_t dtype, int32_t rank, const int64_t *dims,
                            const char *const *symbols, char *out, size_t size);

#ifdef __cplusplus
}
#endif

#endif
