/* rt_png.c: PNG images (ISO/IEC 15948), every colour type and depth, interlaced or not; zlib
 * inflates.
 *
 * Two walks over the chunks: the first checks them, finds header and palette and adds up the
 * compressed bytes, so that an image which claims more pixels than its bytes can expand to
 * (deflate: 1032 times) is refused before memory is taken; the second gathers the data, which is
 * one zlib stream. Then every scan line is unfiltered in place, and its pixels are spread over the
 * image. Gray of 1, 2 or 4 bits is stretched to 0..255; transparency beside an alpha channel (tRNS)
 * is ignored. */
#include <stdlib.h>
#include <string.h>

#include "runtime/rt_io.h"

typedef struct Png {
    const RtReader *r;
    int64_t width, height;
    int depth, colour; /* bits a sample; 0 gray 2 RGB 3 palette 4 gray+alpha 6 RGB+alpha */
    bool interlaced;
    int samples; /* a pixel, in the file */
    const uint8_t *palette;
    size_t palette_size; /* entries */
    uint64_t packed;     /* bytes of all IDAT chunks */
    uint8_t *lines;      /* inflated: each line a filter byte and its pixels */
    uint64_t lines_size;
} Png;

typedef struct Chunk {
    const uint8_t *data;
    size_t size;
    char name[5];
} Chunk;

/* One of the passes of an interlaced image: pixels (x0 + i dx, y0 + j dy). */
typedef struct Pass {
    int64_t x0, y0, dx, dy;
} Pass;

static const Pass adam7[] = {
    {0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4},
    {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2},
};
static const Pass whole[] = {{0, 0, 1, 1}};

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The chunk at *at; false at a damaged one or the end of the file. */
static bool next_chunk(const RtReader *r, size_t *at, Chunk *c)
{
    const uint8_t *p = r->data + *at;
    size_t left = r->size - *at;

    if (left < 12) return false;
    c->size = be32(p);
    if (c->size > left - 12) return false;
    c->data = p + 8;
    memcpy(c->name, p + 4, 4);
    c->name[4] = 0;
    *at += 12 + c->size;
    return ingot_rt_crc32(0, p + 4, c->size + 4) == be32(p + 8 + c->size);
}

static bool read_header(Png *g, const Chunk *c)
{
    static const uint8_t samples_of[] = {1, 0, 3, 1, 2, 0, 4};
    static const uint8_t depths_of[] = {
        1 | 2 | 4 | 8 | 16, 0, 8 | 16, 1 | 2 | 4 | 8, 8 | 16, 0, 8 | 16};

    if (c->size != 13 || strcmp(c->name, "IHDR") != 0) return false;
    g->width = be32(c->data);
    g->height = be32(c->data + 4);
    g->depth = c->data[8];
    g->colour = c->data[9];
    g->interlaced = c->data[12] == 1;
    if (g->colour > 6 || (g->depth & (g->depth - 1)) || !(g->depth & depths_of[g->colour]))
        return false;
    g->samples = samples_of[g->colour];
    return g->width > 0 && g->height > 0 && g->width < INT64_C(1) << 31 &&
           g->height < INT64_C(1) << 31 && g->width * g->height < INT64_C(1) << 40 &&
           c->data[10] == 0 && c->data[11] == 0 && c->data[12] <= 1;
}

static int32_t walk_chunks(Png *g)
{
    size_t at = 8;
    Chunk c;
    bool end = false;

    if (g->r->size < 8 || memcmp(g->r->data, "\x89PNG\r\n\x1a\n", 8) != 0 ||
        !next_chunk(g->r, &at, &c) || !read_header(g, &c)) {
        return ingot_rt_io_fail(g->r, INGOT_ERR_DATA, "is no PNG image, or its header is damaged");
    }
    while (!end && next_chunk(g->r, &at, &c)) {
        end = strcmp(c.name, "IEND") == 0;
        if (strcmp(c.name, "IDAT") == 0) g->packed += c.size;
        if (strcmp(c.name, "PLTE") == 0) {
            g->palette = c.data;
            g->palette_size = c.size / 3;
        }
    }
    if (!end) return ingot_rt_io_fail(g->r, INGOT_ERR_DATA, "is damaged or cut short");
    if (g->colour == 3 && !g->palette_size)
        return ingot_rt_io_fail(g->r, INGOT_ERR_DATA, "lacks its palette");
    return INGOT_OK;
}

static const Pass *passes_of(const Png *g, int *count)
{
    *count = g->interlaced ? 7 : 1;
    return g->interlaced ? adam7 : whole;
}

/* Pixels of a pass along one axis. */
static int64_t pass_extent(int64_t size, int64_t start, int64_t step)
{
    return size > start ? (size - start + step - 1) / step : 0;
}

/* Bytes of a line of `width` pixels, without its filter byte. */
static int64_t line_bytes(const Png *g, int64_t width)
{
    return (width * g->samples * g->depth + 7) / 8;
}

static uint64_t all_lines(const Png *g)
{
    int count;
    const Pass *p = passes_of(g, &count);
    uint64_t sum = 0;

    for (int i = 0; i < count; i++) {
        int64_t w = pass_extent(g->width, p[i].x0, p[i].dx),
                h = pass_extent(g->height, p[i].y0, p[i].dy);
        if (w > 0) sum += (uint64_t)h * (uint64_t)(line_bytes(g, w) + 1);
    }
    return sum;
}

/* All IDAT chunks together are one zlib stream: two bytes, then deflate. */
static bool inflate_lines(Png *g)
{
    uint8_t *packed = malloc((size_t)g->packed + 2);
    size_t at = 8, n = 0;
    Chunk c;
    bool good;

    if (!packed) return false;
    while (next_chunk(g->r, &at, &c)) {
        if (strcmp(c.name, "IDAT") != 0 || c.size > g->packed - n) continue;
        memcpy(packed + n, c.data, c.size);
        n += c.size;
    }
    good = n > 2 && (packed[0] & 15) == 8 && !(packed[1] & 32) &&
           (packed[0] << 8 | packed[1]) % 31 == 0 &&
           ingot_rt_inflate(packed + 2, n - 2, g->lines, (size_t)g->lines_size);
    free(packed);
    return good;
}

static uint8_t paeth(int a, int b, int c)
{
    int p = a + b - c, pa = abs(p - a), pb = abs(p - b), pc = abs(p - c);

    return (uint8_t)(pa <= pb && pa <= pc ? a : pb <= pc ? b : c);
}

/* `line` is the filter byte and n bytes; `above` the same of the line before, or NULL. `step`:
 * bytes of a pixel. */
static bool unfilter(uint8_t *line, const uint8_t *above, int64_t n, int64_t step)
{
    uint8_t *x = line + 1;

    if (line[0] > 4) return false;
    for (int64_t i = 0; i < n; i++) {
        int a = i >= step ? x[i - step] : 0, b = above ? above[1 + i] : 0;
        int c = above && i >= step ? above[1 + i - step] : 0;
        switch (line[0]) {
        case 1:
            x[i] = (uint8_t)(x[i] + a);
            break;
        case 2:
            x[i] = (uint8_t)(x[i] + b);
            break;
        case 3:
            x[i] = (uint8_t)(x[i] + (a + b) / 2);
            break;
        case 4:
            x[i] = (uint8_t)(x[i] + paeth(a, b, c));
            break;
        default:
            break;
        }
    }
    return true;
}

/* Sample k of a line, as it stands there. */
static unsigned raw_sample(const Png *g, const uint8_t *x, int64_t k)
{
    if (g->depth == 16) return (unsigned)x[2 * k] << 8 | x[2 * k + 1];
    if (g->depth == 8) return x[k];
    int64_t bit = k * g->depth;
    return (unsigned)x[bit / 8] >> (8 - g->depth - bit % 8) & ((1u << g->depth) - 1);
}

static bool put_pixel(const Png *g, RtImage *m, const uint8_t *x, int64_t i, int64_t pixel)
{
    uint8_t *to = (uint8_t *)m->samples + pixel * m->channels;
    uint16_t *wide = (uint16_t *)m->samples + pixel * m->channels;

    if (g->colour == 3) {
        unsigned v = raw_sample(g, x, i);
        if (v >= g->palette_size) return false;
        memcpy(to, g->palette + (size_t)3 * v, 3);
        return true;
    }
    for (int k = 0; k < g->samples; k++) {
        unsigned v = raw_sample(g, x, i * g->samples + k);
        if (m->wide) {
            wide[k] = (uint16_t)v;
        } else {
            to[k] = (uint8_t)(g->depth < 8 ? v * 255 / ((1u << g->depth) - 1) : v);
        }
    }
    return true;
}

/* Unfilters the lines and spreads their pixels. */
static bool fill_image(Png *g, RtImage *m)
{
    int count;
    const Pass *p = passes_of(g, &count);
    int64_t step = (int64_t)g->samples * g->depth / 8;
    uint8_t *line = g->lines;

    for (int i = 0; i < count; i++) {
        int64_t w = pass_extent(g->width, p[i].x0, p[i].dx),
                h = pass_extent(g->height, p[i].y0, p[i].dy);
        int64_t n = line_bytes(g, w);
        uint8_t *above = NULL;

        for (int64_t y = 0; w > 0 && y < h; y++) {
            if (!unfilter(line, above, n, step > 0 ? step : 1)) return false;
            for (int64_t x = 0; x < w; x++) {
                int64_t pixel = (p[i].y0 + y * p[i].dy) * g->width + p[i].x0 + x * p[i].dx;
                if (!put_pixel(g, m, line + 1, x, pixel)) return false;
            }
            above = line;
            line += n + 1;
        }
    }
    return true;
}

static int32_t decode(Png *g, RtImage *m)
{
    uint64_t samples = (uint64_t)(g->width * g->height) * (uint64_t)m->channels;

    g->lines_size = all_lines(g);
    if (g->lines_size / INGOT_RT_DEFLATE_MOST > g->packed) {
        return ingot_rt_io_fail(
            g->r, INGOT_ERR_DATA, "is cut short: %llu bytes cannot hold %lld x %lld pixels",
            (unsigned long long)g->packed, (long long)g->width, (long long)g->height);
    }
    g->lines = malloc((size_t)g->lines_size);
    m->samples = malloc((size_t)samples * (m->wide ? 2 : 1));
    if (!g->lines || !m->samples)
        return ingot_rt_io_fail(g->r, INGOT_ERR_LIMIT, "no memory for the image");
    if (!inflate_lines(g) || !fill_image(g, m)) {
        return ingot_rt_io_fail(g->r, INGOT_ERR_DATA, "holds damaged image data");
    }
    return INGOT_OK;
}

int32_t ingot_rt_read_png(const RtReader *r)
{
    Png g = {.r = r};
    RtImage m = {0};
    int32_t status = walk_chunks(&g);

    if (status) return status;
    m.width = g.width;
    m.height = g.height;
    m.channels = g.colour == 3 ? 3 : g.samples;
    m.wide = g.depth == 16;
    m.most = m.wide ? 65535 : 255;
    status = ingot_rt_image_allowed(r, m.width, m.height, m.channels);
    if (!status) status = decode(&g, &m);
    free(g.lines);
    if (status) {
        free(m.samples);
        return status;
    }
    return ingot_rt_image_place(r, &m);
}
