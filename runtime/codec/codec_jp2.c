/* codec_jp2.c: JPEG 2000 by OpenJPEG: one or three components, each in its own depth and spacing;
 * sYCC becomes RGB. */
#include <string.h>

#include <openjpeg.h>

#include "runtime/rt_codec.h"

typedef struct Source {
    RtBytes file;
    size_t at;
} Source;

static OPJ_SIZE_T read_bytes(void *to, OPJ_SIZE_T n, void *context)
{
    Source *s = context;
    size_t left = s->file.size - s->at;

    if (left == 0) return (OPJ_SIZE_T)-1;
    if (n > left) n = left;
    memcpy(to, s->file.data + s->at, n);
    s->at += n;
    return n;
}

static OPJ_BOOL seek(OPJ_OFF_T to, void *context)
{
    Source *s = context;

    if (to < 0 || (uint64_t)to > s->file.size) return OPJ_FALSE;
    s->at = (size_t)to;
    return OPJ_TRUE;
}

static OPJ_OFF_T skip(OPJ_OFF_T n, void *context)
{
    Source *s = context;

    return n >= 0 && (uint64_t)n <= s->file.size - s->at && seek((OPJ_OFF_T)s->at + n, s) ? n : -1;
}

/* Component c at pixel (x, y) of the image, in 0..255. */
static int component(const opj_image_t *m, unsigned c, int64_t x, int64_t y)
{
    const opj_image_comp_t *k = &m->comps[c];
    int64_t i = x / k->dx < k->w ? x / k->dx : k->w - 1,
            j = y / k->dy < k->h ? y / k->dy : k->h - 1;
    int64_t v = k->data[j * k->w + i], most = (INT64_C(1) << k->prec) - 1;

    if (k->sgnd) v += INT64_C(1) << (k->prec - 1);
    v = v < 0 ? 0 : v > most ? most : v;
    return (int)((v * 255 + most / 2) / most);
}

static uint8_t clamp(double v)
{
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v + 0.5);
}

static void put_pixel(const opj_image_t *m, int64_t x, int64_t y, uint8_t *to)
{
    int v[3];

    for (unsigned c = 0; c < 3; c++)
        v[c] = component(m, m->numcomps < 3 ? 0 : c, x, y);
    if (m->color_space == OPJ_CLRSPC_SYCC && m->numcomps >= 3) {
        double cb = v[1] - 128, cr = v[2] - 128;
        to[0] = clamp(v[0] + 1.402 * cr);
        to[1] = clamp(v[0] - 0.344136 * cb - 0.714136 * cr);
        to[2] = clamp(v[0] + 1.772 * cb);
        return;
    }
    for (int c = 0; c < 3; c++)
        to[c] = (uint8_t)v[c];
}

static bool spread(const opj_image_t *m, RtPixels *p)
{
    int64_t width = (int64_t)m->x1 - m->x0, height = (int64_t)m->y1 - m->y0;
    uint8_t *to;

    if (m->numcomps < 1) return false;
    for (unsigned c = 0; c < m->numcomps && c < 3; c++) {
        const opj_image_comp_t *k = &m->comps[c];
        if (!k->data || k->w < 1 || k->h < 1 || k->dx < 1 || k->dy < 1 || k->prec < 1 ||
            k->prec > 31)
            return false;
    }
    to = p->take(p, width, height);
    for (int64_t y = 0; to && y < height; y++)
        for (int64_t x = 0; x < width; x++)
            put_pixel(m, x, y, to + (y * width + x) * 3);
    return to != NULL;
}

static bool decode(opj_codec_t *codec, opj_stream_t *stream, RtPixels *p)
{
    opj_dparameters_t parameters;
    opj_image_t *image = NULL;
    bool good;

    opj_set_default_decoder_parameters(&parameters);
    good = opj_setup_decoder(codec, &parameters) && opj_read_header(stream, codec, &image) &&
           opj_decode(codec, stream, image) && opj_end_decompress(codec, stream) &&
           spread(image, p);
    if (image) opj_image_destroy(image);
    return good;
}

bool ingot_codec_jp2(RtBytes file, RtPixels *p)
{
    Source s = {file, 0};
    opj_codec_t *codec =
        opj_create_decompress(file.data[0] == 0xff ? OPJ_CODEC_J2K : OPJ_CODEC_JP2);
    opj_stream_t *stream = opj_stream_create(1 << 16, OPJ_TRUE);
    bool good = false;

    if (codec && stream) {
        opj_stream_set_read_function(stream, read_bytes);
        opj_stream_set_skip_function(stream, skip);
        opj_stream_set_seek_function(stream, seek);
        opj_stream_set_user_data(stream, &s, NULL);
        opj_stream_set_user_data_length(stream, file.size);
        good = decode(codec, stream, p);
    }
    if (stream) opj_stream_destroy(stream);
    if (codec) opj_destroy_codec(codec);
    return good;
}
