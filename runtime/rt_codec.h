/* rt_codec.h: decoders of compressed images, each a file of runtime/codec/ around a library that
 * was found when ingot was built. Only artifacts that decode images are linked with them;
 * elsewhere, and where a library was not found, the functions are not there (NULL: they are weak).
 */
#ifndef INGOT_RUNTIME_RT_CODEC_H
#define INGOT_RUNTIME_RT_CODEC_H

#include "runtime/rt.h"

/* Asks for memory for an image of 8-bit RGB, row by row; NULL: too large, or too much. */
typedef struct RtPixels RtPixels;
struct RtPixels {
    uint8_t *(*take)(RtPixels *p, int64_t width, int64_t height);
    void *context;
};

typedef struct RtBytes {
    const uint8_t *data;
    size_t size;
} RtBytes;

/* Decodes into memory that it takes; false when that cannot be done. */
typedef bool RtCodec(RtBytes file, RtPixels *p);

INGOT_RT_HIDDEN RtCodec ingot_codec_jpeg __attribute__((weak));
INGOT_RT_HIDDEN RtCodec ingot_codec_png __attribute__((weak));
INGOT_RT_HIDDEN RtCodec ingot_codec_tiff __attribute__((weak));
INGOT_RT_HIDDEN RtCodec ingot_codec_webp __attribute__((weak));
INGOT_RT_HIDDEN RtCodec ingot_codec_jp2 __attribute__((weak));

/* rt_bitmap.c: formats that need no library. */
INGOT_RT_HIDDEN RtCodec ingot_rt_decode_bmp;
INGOT_RT_HIDDEN RtCodec ingot_rt_decode_pnm;

#endif
