/* Bitmaps that need no library: each depth of BMP and kind of PNM, and damaged ones. */
#include <stdlib.h>
#include <string.h>

#include "runtime/rt_call.h"
#include "runtime/rt_codec.h"
#include "tests/unit/check.h"

typedef struct Got {
    int64_t width, height;
    uint8_t rgb[64];
} Got;

static uint8_t *take(RtPixels *p, int64_t width, int64_t height)
{
    Got *g = p->context;

    if (width * height * 3 > (int64_t)sizeof g->rgb) return NULL;
    g->width = width;
    g->height = height;
    return g->rgb;
}

static bool decode(RtCodec *codec, const void *data, size_t size, Got *g)
{
    RtPixels p = {take, g};
    uint8_t *copy = malloc(size ? size : 1); /* so that a sanitizer sees its end */
    bool good;

    memcpy(copy, data, size);
    memset(g, 0, sizeof *g);
    good = codec((RtBytes){copy, size}, &p);
    free(copy);
    return good;
}

static void put(uint8_t *p, uint32_t v, int bytes)
{
    for (int i = 0; i < bytes; i++, v >>= 8)
        p[i] = (uint8_t)v;
}

/* A BMP of 2 x 2 with a palette of black, red, green, blue; returns its size. */
static size_t make_bmp(uint8_t *f, int bits, int32_t height, uint32_t packing, const uint8_t *line0,
                       const uint8_t *line1)
{
    static const uint8_t palette[16] = {0, 0, 0, 0, 0, 0, 255, 0, 0, 255, 0, 0, 255, 0, 0, 0};
    size_t stride = (size_t)(2 * bits + 31) / 32 * 4, head = 54;

    memset(f, 0, 256);
    memcpy(f, "BM", 2);
    put(f + 14, 40, 4);
    put(f + 18, 2, 4);
    put(f + 22, (uint32_t)height, 4);
    put(f + 26, 1, 2);
    put(f + 28, (uint32_t)bits, 2);
    put(f + 30, packing, 4);
    if (packing == 3) {
        put(f + 54, 0xf800, 4);
        put(f + 58, 0x7e0, 4);
        put(f + 62, 0x1f, 4);
        head += 12;
    } else if (bits <= 8) {
        put(f + 46, bits == 1 ? 2 : 4, 4);
        memcpy(f + 54, palette, 16);
        head += 16;
    }
    put(f + 10, (uint32_t)head, 4);
    memcpy(f + head, line0, stride);
    memcpy(f + head + stride, line1, stride);
    return head + 2 * stride;
}

static void test_bmp(void)
{
    static const struct {
        int bits;
        uint32_t packing;
        uint8_t low[8], high[8]; /* black red / green blue, or what comes near */
        uint8_t want[12];
    } cases[] = {
        {1, 0, {0x40}, {0x80}, {0, 0, 0, 255, 0, 0, 255, 0, 0, 0, 0, 0}},
        {4, 0, {0x01}, {0x23}, {0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255}},
        {8, 0, {0, 1}, {2, 3}, {0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255}},
        {16, 0, {0, 0, 0, 0x7c}, {0xe0, 3, 0x1f}, {0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255}},
        {16, 3, {0, 0, 0, 0xf8}, {0xe0, 7, 0x1f}, {0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255}},
        {24, 0, {0, 0, 0, 0, 0, 255}, {0, 9, 0, 9, 0, 0}, {0, 0, 0, 255, 0, 0, 0, 9, 0, 0, 0, 9}},
        {32, 0, {1, 2, 3, 4, 5, 6, 7, 8}, {9}, {3, 2, 1, 7, 6, 5, 0, 0, 9, 0, 0, 0}},
    };
    uint8_t f[256];
    Got g;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t n = make_bmp(f, cases[i].bits, -2, cases[i].packing, cases[i].low, cases[i].high);
        CHECK(decode(ingot_rt_decode_bmp, f, n, &g) && g.width == 2 && g.height == 2);
        CHECK(memcmp(g.rgb, cases[i].want, 12) == 0);
        n = make_bmp(f, cases[i].bits, 2, cases[i].packing, cases[i].high, cases[i].low);
        CHECK(decode(ingot_rt_decode_bmp, f, n, &g));
        CHECK(memcmp(g.rgb, cases[i].want, 12) == 0);
        for (size_t cut = 0; cut < n; cut++)
            CHECK(!decode(ingot_rt_decode_bmp, f, cut, &g));
        for (size_t at = 0; at < 54; at++) { /* any byte of the header: no crash */
            uint8_t saved = f[at];
            f[at] = 0xff;
            decode(ingot_rt_decode_bmp, f, n, &g);
            f[at] = 0x80;
            decode(ingot_rt_decode_bmp, f, n, &g);
            f[at] = saved;
        }
    }
}

static void test_pnm(void)
{
    static const struct {
        const char *text;
        size_t n;
        uint8_t want[6]; /* two pixels */
    } cases[] = {
        {"P1 2 1 10", 9, {0, 0, 0, 255, 255, 255}},
        {"P2 # gray\n2 1 10 0 5", 20, {0, 0, 0, 128, 128, 128}},
        {"P3 2 1 255 1 2 3 4 5 6", 22, {1, 2, 3, 4, 5, 6}},
        {"P4 2 1\n\x40", 8, {255, 255, 255, 0, 0, 0}},
        {"P5 2 1 255\n\x01\x02", 13, {1, 1, 1, 2, 2, 2}},
        {"P6 2 1 65535\n\xff\xff\0\0\xff\xff\0\0\xff\xff\0\0", 25, {255, 0, 255, 0, 255, 0}},
    };
    Got g;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CHECK(decode(ingot_rt_decode_pnm, cases[i].text, cases[i].n, &g));
        CHECK(g.width == 2 && g.height == 1 && memcmp(g.rgb, cases[i].want, 6) == 0);
        for (size_t cut = 0; cut + 1 < cases[i].n; cut++)
            CHECK(!decode(ingot_rt_decode_pnm, cases[i].text, cut, &g));
    }
    CHECK(!decode(ingot_rt_decode_pnm, "P5 9999999 9999999 255\n", 23, &g));
    CHECK(!decode(ingot_rt_decode_pnm, "P2 1 1 5 9", 10, &g));
    CHECK(!decode(ingot_rt_decode_pnm, "P7 1 1 5 9", 10, &g));
}

static int32_t call(ingot_call *c, const char *bytes, size_t n, int64_t format, ingot_tensor *out)
{
    ingot_tensor in = {.data = (void *)(uintptr_t)bytes, .rank = 1, .dims = {(int64_t)n}};
    ingot_call_args a = {.call = c,
                         .in = &in,
                         .out = out,
                         .n_in = 1,
                         .n_out = format == 2 ? 2 : 1,
                         .ints = &format,
                         .origin = -1};

    return ingot_call_image_decode(&a);
}

/* Without segments, results lie where they are given. */
static void test_call(void)
{
    static const char pixels[] = "P6 1 1 255\n\x64\xc8\x32";
    ingot_model model = {.n_origins = 0};
    ingot_instance instance = {.model = &model};
    ingot_call c = {.instance = &instance};
    uint8_t a[16], b[16];
    ingot_tensor out[2] = {{.data = a}, {.data = b}};

    CHECK(call(&c, pixels, 14, 0, out) == INGOT_OK && memcmp(a, "\x64\xc8\x32", 3) == 0);
    CHECK(out[0].dims[0] == 1 && out[0].dims[1] == 1 && out[0].dims[2] == 3);
    CHECK(call(&c, pixels, 14, 1, out) == INGOT_OK && memcmp(a, "\x32\xc8\x64", 3) == 0);
    CHECK(call(&c, pixels, 14, 2, out) == INGOT_OK && a[0] == 153 && out[0].dims[2] == 1);
    CHECK(call(&c, pixels, 13, 2, out) == INGOT_OK && out[0].dims[0] == 0 && out[0].dims[2] == 1);
    CHECK(call(&c, "", 0, 0, out) == INGOT_OK && out[0].dims[0] == 0 && out[0].dims[1] == 0);
    /* no decoder is linked with this test */
    CHECK(call(&c, "\x89PNG\r\n\x1a\n", 8, 0, out) == INGOT_ERR_TARGET);
    CHECK_STR(instance.error, "a PNG image, and ingot was built without libpng");
}

int main(void)
{
    test_bmp();
    test_pnm();
    test_call();
    return check_result();
}
