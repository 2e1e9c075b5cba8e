/* codec_tiff.c: the first image of a TIFF by libtiff, as its RGBA interface gives it. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tiffio.h>

#include "runtime/rt_codec.h"

typedef struct Source {
    RtBytes file;
    uint64_t at;
} Source;

static tmsize_t read_bytes(thandle_t handle, void *to, tmsize_t n)
{
    Source *s = handle;
    uint64_t left = s->at < s->file.size ? s->file.size - s->at : 0;

    if (n < 0) return -1;
    if ((uint64_t)n > left) n = (tmsize_t)left;
    memcpy(to, s->file.data + s->at, (size_t)n);
    s->at += (uint64_t)n;
    return n;
}

static tmsize_t write_bytes(thandle_t handle, void *from, tmsize_t n)
{
    (void)handle;
    (void)from;
    (void)n;
    return -1;
}

static toff_t seek(thandle_t handle, toff_t to, int whence)
{
    Source *s = handle;

    s->at = whence == SEEK_CUR ? s->at + to : whence == SEEK_END ? s->file.size + to : to;
    return s->at;
}

static int no_close(thandle_t handle)
{
    (void)handle;
    return 0;
}

static toff_t size_of(thandle_t handle)
{
    return ((Source *)handle)->file.size;
}

#if TIFFLIB_VERSION >= 20221213 /* handlers of one file, not of the process */

/* 1: told, the handlers of the process are not asked. */
static int quiet(TIFF *t, void *context, const char *where, const char *format, va_list args)
{
    (void)t;
    (void)context;
    (void)where;
    (void)format;
    (void)args;
    return 1;
}

static TIFF *open_quietly(Source *s)
{
    TIFFOpenOptions *o = TIFFOpenOptionsAlloc();
    TIFF *t;

    if (!o) return NULL;
    TIFFOpenOptionsSetErrorHandlerExtR(o, quiet, NULL);
    TIFFOpenOptionsSetWarningHandlerExtR(o, quiet, NULL);
    t = TIFFClientOpenExt("image", "r", s, read_bytes, write_bytes, seek, no_close, size_of, NULL,
                          NULL, o);
    TIFFOpenOptionsFree(o);
    return t;
}

#else

static TIFF *open_quietly(Source *s)
{
    return TIFFClientOpen("image", "r", s, read_bytes, write_bytes, seek, no_close, size_of, NULL,
                          NULL);
}

#endif

static bool decode(TIFF *t, RtPixels *p)
{
    uint32_t width = 0, height = 0, *raster;
    uint8_t *to;
    bool good;

    if (!TIFFGetField(t, TIFFTAG_IMAGEWIDTH, &width) ||
        !TIFFGetField(t, TIFFTAG_IMAGELENGTH, &height))
        return false;
    to = p->take(p, width, height);
    if (!to) return false;
    raster = calloc((size_t)width * height, sizeof *raster);
    good = raster && TIFFReadRGBAImageOriented(t, width, height, raster, ORIENTATION_TOPLEFT, 1);
    for (size_t i = 0; good && i < (size_t)width * height; i++) {
        to[3 * i] = (uint8_t)TIFFGetR(raster[i]);
        to[3 * i + 1] = (uint8_t)TIFFGetG(raster[i]);
        to[3 * i + 2] = (uint8_t)TIFFGetB(raster[i]);
    }
    free(raster);
    return good;
}

bool ingot_codec_tiff(RtBytes file, RtPixels *p)
{
    Source s = {file, 0};
    TIFF *t = open_quietly(&s);
    bool good = t && decode(t, p);

    if (t) TIFFClose(t);
    return good;
}
