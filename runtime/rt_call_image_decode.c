/* rt_call_image_decode.c: an image out of the bytes of its file. What cannot be decoded gives an
 * image of no pixels, as ONNX says; a format whose library is not there is an error.
 *
 * ints: 0 RGB, 1 BGR, 2 gray. in: u8[n]. out: u8[height, width, channels]; for gray, u8 workspace
 * of the size that is needed. */
#include <string.h>

#include "runtime/rt_call.h"
#include "runtime/rt_codec.h"

enum { RGB, BGR, GRAY };

typedef struct Format {
    const char *missing, *magic; /* what to say without the library; bytes that tell the format */
    size_t at, length;           /* of the latter */
    RtCodec *codec;
} Format;

typedef struct Decode {
    const ingot_call_args *a;
    int64_t width, height;
    uint8_t *rgb;
} Decode;

/* RGB and BGR are decoded in place, gray beside it. */
static uint8_t *take(RtPixels *p, int64_t width, int64_t height)
{
    Decode *d = p->context;
    int64_t bytes;

    if (width < 1 || height < 1 || __builtin_mul_overflow(width, height, &bytes) ||
        __builtin_mul_overflow(bytes, (int64_t)3, &bytes))
        return NULL;
    d->width = width;
    d->height = height;
    d->rgb = ingot_rt_place(d->a, d->a->ints[0] == GRAY, bytes);
    return d->rgb;
}

static void swap_ends(uint8_t *rgb, int64_t pixels)
{
    for (; pixels > 0; pixels--, rgb += 3) {
        uint8_t red = rgb[0];
        rgb[0] = rgb[2];
        rgb[2] = red;
    }
}

/* Luma of ITU-R 601, rounded as common image libraries do. */
static void to_gray(const uint8_t *rgb, int64_t pixels, uint8_t *gray)
{
    for (int64_t i = 0; i < pixels; i++, rgb += 3)
        gray[i] = (uint8_t)((rgb[0] * 19595 + rgb[1] * 38470 + rgb[2] * 7471 + 0x8000) >> 16);
}

/* Colours as asked for; d->rgb NULL: an empty image. */
static int32_t finish(const ingot_call_args *a, const Decode *d)
{
    ingot_tensor *y = &a->out[0];
    bool gray = a->ints[0] == GRAY;

    y->rank = 3;
    y->dims[0] = d->rgb ? d->height : 0;
    y->dims[1] = d->rgb ? d->width : 0;
    y->dims[2] = gray ? 1 : 3;
    if (a->n_out > 1) {
        a->out[1].rank = 1;
        a->out[1].dims[0] = gray && d->rgb ? d->height * d->width * 3 : 0;
    }
    if (!d->rgb) {
        ingot_rt_place(a, 0, 0);
        if (a->n_out > 1) ingot_rt_place(a, 1, 0);
        return INGOT_OK;
    }
    if (a->ints[0] == BGR) swap_ends(d->rgb, d->height * d->width);
    if (!gray) return INGOT_OK;
    if (!ingot_rt_place(a, 0, d->height * d->width)) return INGOT_ERR_LIMIT;
    to_gray(d->rgb, d->height * d->width, y->data);
    return INGOT_OK;
}

#define MISSING(format, library) "a " format " image, and ingot was built without " library

static const Format *format_of(const Format *list, RtBytes f)
{
    for (; list->missing; list++)
        if (f.size >= list->at + list->length &&
            memcmp(f.data + list->at, list->magic, list->length) == 0)
            return list;
    return NULL;
}

static bool is_pnm(RtBytes f)
{
    return f.size > 2 && f.data[0] == 'P' && f.data[1] >= '1' && f.data[1] <= '6';
}

int32_t ingot_call_image_decode(const ingot_call_args *a)
{
    const Format formats[] = {
        {MISSING("JPEG", "libjpeg"), "\xff\xd8\xff", 0, 3, ingot_codec_jpeg},
        {MISSING("PNG", "libpng"), "\x89PNG\r\n\x1a\n", 0, 8, ingot_codec_png},
        {MISSING("TIFF", "libtiff"), "II*\0", 0, 4, ingot_codec_tiff},
        {MISSING("TIFF", "libtiff"), "MM\0*", 0, 4, ingot_codec_tiff},
        {MISSING("WebP", "libwebp"), "WEBP", 8, 4, ingot_codec_webp},
        {MISSING("JPEG 2000", "libopenjp2"), "\0\0\0\x0cjP  ", 0, 8, ingot_codec_jp2},
        {MISSING("JPEG 2000", "libopenjp2"), "\xff\x4f\xff\x51", 0, 4, ingot_codec_jp2},
        {"BMP", "BM", 0, 2, ingot_rt_decode_bmp},
        {0},
    };
    RtBytes file = {a->in[0].data, (size_t)a->in[0].dims[0]};
    Decode d = {.a = a};
    RtPixels pixels = {take, &d};
    const Format *f = format_of(formats, file);
    RtCodec *codec = f ? f->codec : is_pnm(file) ? ingot_rt_decode_pnm : NULL;

    if (f && !codec) return ingot_rt_fail(a->call, INGOT_ERR_TARGET, a->origin, f->missing, 0, 0);
    if (!codec || !codec(file, &pixels)) d.rgb = NULL;
    if (a->call->error) return a->call->error; /* no memory */
    return finish(a, &d);
}
