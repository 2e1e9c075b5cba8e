/* codec_png.c: PNG by libpng: every depth to 8 bits, gray and palettes to RGB, transparency
 * dropped. */
#include <setjmp.h>
#include <string.h>

#include <png.h>

#include "runtime/rt_codec.h"

typedef struct Source {
    RtBytes file;
    size_t at;
} Source;

static void read_bytes(png_structp png, png_bytep to, size_t n)
{
    Source *s = png_get_io_ptr(png);

    if (n > s->file.size - s->at) png_error(png, "cut short");
    memcpy(to, s->file.data + s->at, n);
    s->at += n;
}

static void on_error(png_structp png, png_const_charp text)
{
    (void)text;
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp text)
{
    (void)png;
    (void)text;
}

static bool decode(png_structp png, png_infop info, RtPixels *p)
{
    int64_t width, height;
    uint8_t *to;

    png_read_info(png, info);
    width = png_get_image_width(png, info);
    height = png_get_image_height(png, info);
    png_set_expand(png);
    png_set_scale_16(png);
    png_set_strip_alpha(png);
    png_set_gray_to_rgb(png);
    int passes = png_set_interlace_handling(png);
    png_read_update_info(png, info);
    if ((int64_t)png_get_rowbytes(png, info) != width * 3) return false;
    to = p->take(p, width, height);
    for (int pass = 0; to && pass < passes; pass++)
        for (int64_t y = 0; y < height; y++)
            png_read_row(png, to + y * width * 3, NULL);
    if (to) png_read_end(png, NULL);
    return to != NULL;
}

bool ingot_codec_png(RtBytes file, RtPixels *p)
{
    Source source = {file, 0};
    png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, NULL, on_error, on_warning);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    bool good = false;

    if (!info) {
        png_destroy_read_struct(&png, NULL, NULL);
        return false;
    }
    if (setjmp(png_jmpbuf(png))) {
        png_destroy_read_struct(&png, &info, NULL);
        return false;
    }
    png_set_read_fn(png, &source, read_bytes);
    good = decode(png, info, p);
    png_destroy_read_struct(&png, &info, NULL);
    return good;
}
