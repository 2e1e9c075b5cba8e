/* rt_bitmap.c: BMP without compression, and PBM, PGM and PPM. */
#include "runtime/rt_codec.h"

static uint32_t le(const uint8_t *p, int bytes)
{
    uint32_t v = 0;

    for (int i = bytes - 1; i >= 0; i--)
        v = v << 8 | p[i];
    return v;
}

/* ---- BMP ---- */

typedef struct Bmp {
    int64_t width, height;
    bool from_top;
    int bits;
    uint32_t mask[3]; /* red, green, blue of 16 and 32 bits */
    const uint8_t *palette;
    int64_t colours, entry; /* bytes of an entry */
    size_t pixels;          /* where they begin */
} Bmp;

enum { FILE_HEADER = 14, BMP_RGB = 0, BMP_MASKS = 3, BMP_ALPHA_MASKS = 6 };

static bool read_masks(RtBytes f, Bmp *b, size_t header, uint32_t packing)
{
    static const uint32_t masks16[3] = {0x7c00, 0x3e0, 0x1f}, masks32[3] = {0xff0000, 0xff00, 0xff};

    if (packing != BMP_RGB && packing != BMP_MASKS && packing != BMP_ALPHA_MASKS) return false;
    for (int i = 0; i < 3; i++)
        b->mask[i] = b->bits == 16 ? masks16[i] : masks32[i];
    if (packing == BMP_RGB) return true;
    if ((b->bits != 16 && b->bits != 32) || f.size < FILE_HEADER + 40 + 12) return false;
    for (int i = 0; i < 3; i++)
        b->mask[i] = le(f.data + FILE_HEADER + 40 + 4 * i, 4);
    b->palette += header == 40 ? 12 : 0;
    return true;
}

static bool read_bmp_header(RtBytes f, Bmp *b)
{
    size_t header;
    uint32_t used = 0;

    if (f.size < FILE_HEADER + 12) return false;
    b->pixels = le(f.data + 10, 4);
    header = le(f.data + FILE_HEADER, 4);
    if ((header != 12 && header < 40) || header > f.size - FILE_HEADER) return false;
    b->palette = f.data + FILE_HEADER + header;
    b->entry = header == 12 ? 3 : 4;
    if (header == 12) {
        b->width = le(f.data + 18, 2);
        b->height = le(f.data + 20, 2);
        b->bits = (int)le(f.data + 24, 2);
    } else {
        b->width = (int32_t)le(f.data + 18, 4);
        b->height = (int32_t)le(f.data + 22, 4);
        b->bits = (int)le(f.data + 28, 2);
        used = le(f.data + 46, 4);
        if (!read_masks(f, b, header, le(f.data + 30, 4))) return false;
    }
    b->from_top = b->height < 0;
    if (b->from_top) b->height = -b->height;
    b->colours = b->bits > 8 ? 0 : used && used < 256 ? (int64_t)used : INT64_C(1) << b->bits;
    if (b->bits != 1 && b->bits != 4 && b->bits != 8 && b->bits != 16 && b->bits != 24 &&
        b->bits != 32)
        return false;
    return b->width > 0 && b->height > 0 && b->palette + b->colours * b->entry <= f.data + f.size;
}

/* The bits under the mask, stretched to 0..255. */
static uint8_t masked(uint32_t v, uint32_t mask)
{
    uint64_t most;

    if (!mask) return 0;
    most = mask >> __builtin_ctz(mask);
    return (uint8_t)(((v & mask) >> __builtin_ctz(mask)) * UINT64_C(255) / most);
}

static bool put_bmp_pixel(const Bmp *b, const uint8_t *line, int64_t x, uint8_t *to)
{
    const uint8_t *p = line + x * b->bits / 8;

    if (b->bits <= 8) {
        int shift = 8 - b->bits - (int)(x * b->bits % 8);
        int64_t i = p[0] >> shift & ((1 << b->bits) - 1);
        if (i >= b->colours) return false;
        p = b->palette + i * b->entry;
    }
    for (int c = 0; c < 3; c++)
        to[c] = b->bits == 16 || b->bits == 32 ? masked(le(p, b->bits / 8), b->mask[c]) : p[2 - c];
    return true;
}

bool ingot_rt_decode_bmp(RtBytes f, RtPixels *pixels)
{
    Bmp b = {0};
    uint8_t *to;
    int64_t stride;

    if (!read_bmp_header(f, &b)) return false;
    stride = (b.width * b.bits + 31) / 32 * 4; /* below 2^37 */
    if (b.pixels > f.size || (uint64_t)stride * (uint64_t)b.height > f.size - b.pixels)
        return false;
    to = pixels->take(pixels, b.width, b.height);
    for (int64_t y = 0; to && y < b.height; y++) {
        const uint8_t *line = f.data + b.pixels + (b.from_top ? y : b.height - 1 - y) * stride;
        for (int64_t x = 0; x < b.width; x++, to += 3)
            if (!put_bmp_pixel(&b, line, x, to)) return false;
    }
    return to != NULL;
}

/* ---- PNM ---- */

/* The next number; comments run to the end of their line. -1: none. A text bitmap has digits
 * without space between them: `one`. */
static int64_t next_number(RtBytes f, size_t *at, bool one)
{
    const uint8_t *d = f.data;
    int64_t v = -1;

    while (*at < f.size && (d[*at] == ' ' || (d[*at] >= '\t' && d[*at] <= '\r') || d[*at] == '#')) {
        if (d[(*at)++] != '#') continue;
        while (*at < f.size && d[*at] != '\n')
            ++*at;
    }
    while (*at < f.size && d[*at] >= '0' && d[*at] <= '9' && v < (1 << 24) && !(one && v >= 0))
        v = (v < 0 ? 0 : v) * 10 + (d[(*at)++] - '0');
    return v;
}

typedef struct Pnm {
    int64_t width, height, most;
    int channels;
    bool binary, bits;
    size_t at;
} Pnm;

static bool read_pnm_header(RtBytes f, Pnm *p)
{
    int kind = f.size > 2 ? f.data[1] - '0' : 0;

    if (kind < 1 || kind > 6) return false;
    p->at = 2;
    p->binary = kind > 3;
    p->bits = kind == 1 || kind == 4;
    p->channels = kind == 3 || kind == 6 ? 3 : 1;
    p->width = next_number(f, &p->at, false);
    p->height = next_number(f, &p->at, false);
    p->most = p->bits ? 1 : next_number(f, &p->at, false);
    if (p->width < 1 || p->height < 1 || p->most < 1 || p->most > 65535) return false;
    p->at++; /* one white space ends the header */
    return p->at <= f.size;
}

/* Sample i, in 0..most; -1: missing. A binary bitmap fills each row to whole bytes. */
static int64_t pnm_sample(RtBytes f, Pnm *p, int64_t i)
{
    size_t step = p->most > 255 ? 2 : 1, at = p->at + (size_t)i * step;
    int64_t v;

    if (!p->binary) {
        v = next_number(f, &p->at, p->bits);
        return p->bits && v >= 0 ? !v : v;
    }
    if (p->bits) {
        int64_t row = i / p->width, x = i % p->width;
        at = p->at + (size_t)(row * ((p->width + 7) / 8) + x / 8);
        return at < f.size ? !(f.data[at] >> (7 - x % 8) & 1) : -1;
    }
    if (at + step > f.size) return -1;
    return step == 2 ? f.data[at] << 8 | f.data[at + 1] : f.data[at];
}

bool ingot_rt_decode_pnm(RtBytes f, RtPixels *pixels)
{
    Pnm p = {0};
    uint8_t *to;

    /* a sample takes a bit at least */
    if (!read_pnm_header(f, &p) ||
        (uint64_t)(p.width * p.height) / 8 > (uint64_t)(f.size - p.at + 1))
        return false;
    to = pixels->take(pixels, p.width, p.height);
    for (int64_t i = 0; to && i < p.width * p.height; i++, to += 3)
        for (int c = 0; c < 3; c++) {
            int64_t v;
            if (c >= p.channels) {
                to[c] = to[0];
                continue;
            }
            v = pnm_sample(f, &p, i * p.channels + c);
            if (v < 0 || v > p.most) return false;
            to[c] = (uint8_t)(p.most == 255 ? v : (v * 255 + p.most / 2) / p.most);
        }
    return to != NULL;
}
