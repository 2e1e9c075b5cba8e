/* rt_image.c: .pgm and .ppm, and how pixels go into the layout of a port. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/rt_io.h"

/* ---- .pgm .ppm ---- */

/* The next number of the header or of a text body; comments run to the end of their line. -1: none.
 */
static int64_t pnm_number(const RtReader *r, size_t *at)
{
    const uint8_t *d = r->data;
    int64_t v = -1;

    while (*at < r->size &&
           (d[*at] == ' ' || (d[*at] >= '\t' && d[*at] <= '\r') || d[*at] == '#')) {
        if (d[(*at)++] != '#') continue;
        while (*at < r->size && d[*at] != '\n')
            ++*at;
    }
    while (*at < r->size && d[*at] >= '0' && d[*at] <= '9' && v < (1 << 26))
        v = (v < 0 ? 0 : v) * 10 + (d[(*at)++] - '0');
    return v;
}

static int32_t fill_pnm(const RtReader *r, RtImage *m, size_t at, bool binary)
{
    int64_t n = m->width * m->height * m->channels;

    for (int64_t i = 0; i < n; i++) {
        int64_t v;
        if (binary) {
            v = m->wide ? r->data[at] << 8 | r->data[at + 1] : r->data[at];
            at += m->wide ? 2 : 1;
        } else {
            v = pnm_number(r, &at);
        }
        if (v < 0 || v > m->most) {
            return ingot_rt_io_fail(r, INGOT_ERR_DATA, "sample %lld is missing or over %d",
                                    (long long)i, (int)m->most);
        }
        if (m->wide) {
            ((uint16_t *)m->samples)[i] = (uint16_t)v;
        } else {
            ((uint8_t *)m->samples)[i] = (uint8_t)v;
        }
    }
    return INGOT_OK;
}

int32_t ingot_rt_read_pnm(const RtReader *r)
{
    RtImage m = {0};
    size_t at = 2;
    char kind = r->size > 2 ? (char)r->data[1] : 0;
    bool binary = kind == '5' || kind == '6';
    int64_t most, need;
    int32_t status;

    if (r->size < 3 || r->data[0] != 'P' || !(binary || kind == '2' || kind == '3')) {
        return ingot_rt_io_fail(r, INGOT_ERR_DATA, "is no .pgm or .ppm");
    }
    m.channels = kind == '2' || kind == '5' ? 1 : 3;
    m.width = pnm_number(r, &at);
    m.height = pnm_number(r, &at);
    most = pnm_number(r, &at);
    if (m.width <= 0 || m.height <= 0 || most <= 0 || most > 65535) {
        return ingot_rt_io_fail(r, INGOT_ERR_DATA, "has a header that is not understood");
    }
    at++; /* one white space ends the header */
    m.most = (int32_t)most;
    m.wide = most > 255;
    need = m.width * m.height * m.channels * (binary && m.wide ? 2 : 1); /* below 2^56 */
    if (at > r->size || (uint64_t)need > r->size - at + (binary ? 0 : 1)) {
        return ingot_rt_io_fail(r, INGOT_ERR_DATA, "is cut short for %lld x %lld pixels",
                                (long long)m.width, (long long)m.height);
    }
    status = ingot_rt_image_allowed(r, m.width, m.height, m.channels);
    if (status) return status;
    m.samples = malloc((size_t)need * 2);
    if (!m.samples)
        return ingot_rt_io_fail(r, INGOT_ERR_LIMIT, "no memory for %lld samples", (long long)need);
    status = fill_pnm(r, &m, at, binary);
    if (status) {
        free(m.samples);
        return status;
    }
    return ingot_rt_image_place(r, &m);
}

/* ---- the port's layout ---- */

/* Element (c, y, x) is at c * at_c + y * at_y + x * at_x. */
typedef struct Layout {
    int32_t rank, dtype;
    int64_t dims[INGOT_MAX_RANK];
    int64_t channels, at_c, at_y, at_x;
} Layout;

static bool is_open_or(int64_t dim, int64_t v)
{
    return dim < 0 || dim == v;
}

/* Channels that a dim can stand for: 1 or 3, or, when open, what the image has. 0: none. */
static int64_t channels_of(int64_t dim, const RtImage *m)
{
    if (dim < 0) return m->channels >= 3 ? 3 : 1;
    return dim == 1 || dim == 3 ? dim : 0;
}

/* [C,H,W] or [H,W,C] at the end of the dims, where `first` is the first of the three. */
static bool place_three(Layout *l, const int64_t *d, int32_t first, const RtImage *m)
{
    int64_t chw = channels_of(d[first], m), hwc = channels_of(d[first + 2], m);
    bool chw_fits =
        chw && is_open_or(d[first + 1], m->height) && is_open_or(d[first + 2], m->width);
    bool hwc_fits = hwc && is_open_or(d[first], m->height) && is_open_or(d[first + 1], m->width);
    /* Where both would do, a fixed channel dim tells more than an open one. */
    bool last = hwc_fits && (!chw_fits || (d[first] < 0 && d[first + 2] >= 0));

    if (!chw_fits && !hwc_fits) return false;
    l->channels = last ? hwc : chw;
    l->dims[first] = last ? m->height : l->channels;
    l->dims[first + 1] = last ? m->width : m->height;
    l->dims[first + 2] = last ? l->channels : m->width;
    l->at_c = last ? 1 : m->height * m->width;
    l->at_x = last ? l->channels : 1;
    l->at_y = l->at_x * m->width;
    return true;
}

static bool place_gray(Layout *l, int32_t first, const RtImage *m)
{
    l->channels = 1;
    l->dims[first] = m->height;
    l->dims[first + 1] = m->width;
    l->at_y = m->width;
    l->at_x = 1;
    return true;
}

/* One row of all pixels: [H*W], [N,H*W]. */
static bool place_flat(Layout *l, const int64_t *d, int32_t at, const RtImage *m)
{
    int64_t n = m->height * m->width;

    l->channels = is_open_or(d[at], n) ? 1 : d[at] == 3 * n ? 3 : 0;
    l->dims[at] = n * l->channels;
    l->at_x = l->channels;
    l->at_y = l->channels * m->width;
    l->at_c = 1;
    return l->channels != 0;
}

/* Which layout the port can be for this image; false when none. */
static bool find_layout(const ingot_port *p, const RtImage *m, Layout *l)
{
    const int64_t *d = p->dims;

    *l = (Layout){.rank = p->rank, .dtype = p->dtype};
    if (p->rank < 1 || p->rank > 4) return false;
    l->dims[0] = 1;
    switch (p->rank) {
    case 4:
        return is_open_or(d[0], 1) && place_three(l, d, 1, m);
    case 3:
        if (place_three(l, d, 0, m)) return true;
        l->dims[0] = 1;
        return is_open_or(d[0], 1) && is_open_or(d[1], m->height) && is_open_or(d[2], m->width) &&
               place_gray(l, 1, m);
    case 2:
        if (is_open_or(d[0], m->height) && is_open_or(d[1], m->width)) return place_gray(l, 0, m);
        return is_open_or(d[0], 1) && place_flat(l, d, 1, m);
    default:
        return place_flat(l, d, 0, m);
    }
}

/* Without a port: [H,W] or [H,W,3], bytes or 16-bit numbers. */
static void own_layout(const RtImage *m, Layout *l)
{
    int64_t c = m->channels >= 3 ? 3 : 1;

    *l = (Layout){.rank = c == 3 ? 3 : 2,
                  .dtype = m->wide ? INGOT_U16 : INGOT_U8,
                  .dims = {m->height, m->width, c},
                  .channels = c,
                  .at_c = 1,
                  .at_y = m->width * c,
                  .at_x = c};
}

int32_t ingot_rt_image_allowed(const RtReader *r, int64_t width, int64_t height, int64_t channels)
{
    const ingot_port *p = r->want ? r->want->port : NULL;
    RtImage m = {.width = width, .height = height, .channels = (int32_t)channels};
    Layout l;
    char expected[160];

    if (p && p->dtype == INGOT_STRING) {
        return ingot_rt_io_fail(r, INGOT_ERR_USAGE, "is an image, '%s' wants strings", p->name);
    }
    if (!p || p->rank < 0 || find_layout(p, &m, &l)) return INGOT_OK;
    ingot_tensor_type_text(p->dtype, p->rank, p->dims, p->symbols, expected, sizeof expected);
    return ingot_rt_io_fail(r, INGOT_ERR_USAGE,
                            "is an image of %lld x %lld pixels (width x height), '%s' expects %s",
                            (long long)width, (long long)height, p->name, expected);
}

/* Sample of channel c of `channels` wanted, 0..most. */
static double sample(const RtImage *m, int64_t pixel, int64_t c, int64_t channels)
{
    const uint8_t *narrow = m->samples;
    const uint16_t *wide = m->samples;
    int64_t at = pixel * m->channels;
    int64_t rgb[3];

    if (m->channels < 3) return m->wide ? wide[at] : narrow[at];
    for (int k = 0; k < 3; k++)
        rgb[k] = m->wide ? wide[at + k] : narrow[at + k];
    if (channels == 3) return (double)rgb[c];
    /* luma of ITU-R 601, rounded as common image libraries do */
    return (double)((rgb[0] * 19595 + rgb[1] * 38470 + rgb[2] * 7471 + 0x8000) >> 16);
}

static double convert(const RtReader *r, const RtImage *m, const Layout *l, double v, int64_t c)
{
    double scale = r->want && r->want->scale[c] != 0 ? r->want->scale[c] : 1;
    double mean = r->want ? r->want->mean[c] : 0;

    switch (l->dtype) {
    case INGOT_F32:
    case INGOT_F64:
    case INGOT_F16:
    case INGOT_BF16:
    case INGOT_C64:
    case INGOT_C128:
    case INGOT_F8E4M3FN:
    case INGOT_F8E4M3FNUZ:
    case INGOT_F8E5M2:
    case INGOT_F8E5M2FNUZ:
    case INGOT_F8E8M0:
    case INGOT_F4E2M1:
    case INGOT_F6E2M3:
    case INGOT_F6E3M2:
        return (v / m->most - mean) * scale;
    case INGOT_U8:
        return v * 255 / m->most;
    default:
        return v;
    }
}

static void fill_layout(const RtReader *r, const RtImage *m, const Layout *l)
{
    int64_t size = ingot_rt_dtype_size(l->dtype);
    int32_t part = l->dtype == INGOT_C64    ? INGOT_F32
                   : l->dtype == INGOT_C128 ? INGOT_F64
                                            : l->dtype;
    char *to = r->out->data;

    for (int64_t y = 0; y < m->height; y++) {
        for (int64_t x = 0; x < m->width; x++) {
            for (int64_t c = 0; c < l->channels; c++) {
                double v = convert(r, m, l, sample(m, y * m->width + x, c, l->channels), c);
                ingot_rt_store(part, to + (c * l->at_c + y * l->at_y + x * l->at_x) * size, v);
            }
        }
    }
}

int32_t ingot_rt_image_place(const RtReader *r, RtImage *m)
{
    const ingot_port *p = r->want ? r->want->port : NULL;
    Layout l;
    int32_t status = ingot_rt_image_allowed(r, m->width, m->height, m->channels);

    if (!status) {
        if (!p || p->rank < 0 || !find_layout(p, m, &l)) own_layout(m, &l);
        if (p) l.dtype = p->dtype;
        status = ingot_rt_io_take(r, l.dtype, l.rank, l.dims, 0);
    }
    if (!status) fill_layout(r, m, &l);
    free(m->samples);
    m->samples = NULL;
    return status;
}

/* ---- writing ---- */

/* u8 as it is; other numbers are taken as 0..1. */
bool ingot_rt_write_pnm(RtSink *s, const ingot_tensor *t, const char *name, const char **why)
{
    int64_t d[INGOT_MAX_RANK], n = 0, channels = 1, height, width;
    int32_t first = 0;
    bool last = false;

    (void)name;
    *why = "only [H,W], [1,H,W], [3,H,W] or [H,W,3], with leading 1s, can be written as an image";
    if (t->dtype == INGOT_STRING) return false;
    while (first + 2 < t->rank && t->dims[first] == 1)
        first++;
    for (int32_t k = first; k < t->rank; k++)
        d[n++] = t->dims[k];
    if (n == 3) {
        last = d[0] != 3;
        channels = last ? d[2] : d[0];
    }
    if (n < 2 || n > 3 || (channels != 3 && channels != 1)) return false;
    height = d[n == 3 && !last ? 1 : 0];
    width = d[n == 3 && !last ? 2 : 1];
    ingot_rt_sink_text(s, "P%d\n%lld %lld\n255\n", channels == 3 ? 6 : 5, (long long)width,
                       (long long)height);
    for (int64_t i = 0; i < height * width; i++) {
        for (int64_t c = 0; c < channels; c++) {
            double v = ingot_tensor_element(t, last || channels == 1 ? i * channels + c
                                                                     : c * height * width + i);
            uint8_t byte;
            ingot_rt_store(INGOT_U8, &byte, t->dtype == INGOT_U8 ? v : v * 255);
            ingot_rt_sink_put(s, &byte, 1);
        }
    }
    return true;
}
