/* Tensor files: every dtype through every format and back, images into layouts, and hostile bytes:
 * each file cut at every length and with every byte changed must give a tensor or an error, never
 * more. */
#include <math.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

#include "runtime/rt_io.h"
#include "tests/unit/check.h"

static char why[300];

/* ---- round trips ---- */

static const char *const scalars[] = {"ab", "", "\xc3\xa9t\xc3\xa9", "line\nbreak \\n", "x"};

/* Six elements [2,3] with telling values. */
static ingot_tensor sample_tensor(int32_t dtype, void *data)
{
    ingot_tensor t = {.data = data, .dtype = dtype, .rank = 2, .dims = {2, 3}};
    int64_t size = ingot_rt_dtype_size(dtype);

    for (int i = 0; i < 6; i++) {
        char *at = (char *)data + i * size;
        if (dtype == INGOT_STRING) {
            const char *s = scalars[i % 5];
            *(ingot_string *)(void *)at = (ingot_string){s, (int64_t)strlen(s)};
        } else if (dtype == INGOT_C64 || dtype == INGOT_C128) {
            int32_t part = dtype == INGOT_C64 ? INGOT_F32 : INGOT_F64;
            ingot_rt_store(part, at, i + 0.5);
            ingot_rt_store(part, at + size / 2, -i);
        } else {
            ingot_rt_store(dtype, at, (i - 2) * 1.5);
        }
    }
    return t;
}

static bool same(const ingot_tensor *a, const ingot_tensor *b)
{
    if (a->dtype != b->dtype || a->rank != b->rank ||
        memcmp(a->dims, b->dims, 8 * (size_t)a->rank) != 0)
        return false;
    for (int64_t i = 0; i < ingot_tensor_elements(a); i++) {
        const ingot_string *x = (ingot_string *)a->data + i, *y = (ingot_string *)b->data + i;
        if (a->dtype == INGOT_STRING && (x->n != y->n || memcmp(x->s, y->s, (size_t)x->n) != 0))
            return false;
    }
    size_t bytes = (size_t)(ingot_tensor_elements(a) * ingot_rt_dtype_size(a->dtype));
    return a->dtype == INGOT_STRING || memcmp(a->data, b->data, bytes) == 0;
}

static void test_round_trips(void)
{
    static const char *const extensions[] = {".npy", ".npz", ".pb", ".txt", ".raw"};
    char folder[] = P_tmpdir "/rt_tensor_test_XXXXXX", path[100];

    CHECK(mkdtemp(folder) != NULL);
    for (int32_t dtype = 1; dtype <= INGOT_F6E3M2; dtype++) {
        char data[6 * 16];
        ingot_tensor t = sample_tensor(dtype, data), back;
        ingot_port port = {"x", dtype, 2, t.dims, NULL, 0};
        for (int e = 0; e < 5; e++) {
            ingot_tensor_want want = {.port = &port};
            bool complex_text = e == 3 && (dtype == INGOT_C64 || dtype == INGOT_C128);
            bool string_raw = e == 4 && dtype == INGOT_STRING;
            snprintf(path, sizeof path, "%s/x%s", folder, extensions[e]);
            int32_t wrote = ingot_tensor_write(path, &t, "x", why, sizeof why);
            CHECK_EQ(wrote, string_raw ? INGOT_ERR_USAGE : INGOT_OK);
            if (string_raw) continue;
            int32_t status = ingot_tensor_read(path, &want, &back, why, sizeof why);
            CHECK_EQ(status, complex_text ? INGOT_ERR_USAGE : INGOT_OK);
            if (status && !complex_text) fprintf(stderr, "%s\n", why);
            if (status == INGOT_OK && !same(&t, &back)) {
                fprintf(stderr, "%s%s differs\n", ingot_dtype_name(dtype), extensions[e]);
                check_failures++;
            }
            ingot_tensor_free(&back);
            unlink(path);
        }
    }
    CHECK_EQ(rmdir(folder), 0); /* and no temporary was left */
}

/* Numbers that are exact in a format come back from their bits, and rounding is to the nearest
 * even. */
static void test_small_floats(void)
{
    static const struct {
        int32_t dtype;
        double v;
        unsigned bits;
    } cases[] = {
        {INGOT_F16, 1, 0x3c00},
        {INGOT_F16, 65504, 0x7bff},
        {INGOT_F16, 65520, 0x7c00},
        {INGOT_F16, 0x1p-24, 1},
        {INGOT_F16, 0x1p-25, 0},
        {INGOT_F16, -2, 0xc000},
        {INGOT_F16, 2049, 0x6800},
        {INGOT_F16, 2051, 0x6802},
        {INGOT_BF16, 1, 0x3f80},
        {INGOT_BF16, 3.140625, 0x4049},
        {INGOT_F8E4M3FN, 448, 0x7e},
        {INGOT_F8E4M3FN, 1000, 0x7e},
        {INGOT_F8E4M3FN, 1, 0x38},
        {INGOT_F8E4M3FNUZ, 240, 0x7f},
        {INGOT_F8E4M3FNUZ, -0.0, 0},
        {INGOT_F8E5M2, 57344, 0x7b},
        {INGOT_F8E5M2FNUZ, 57344, 0x7f},
        {INGOT_F4E2M1, 6, 7},
        {INGOT_F4E2M1, -0.5, 9},
        {INGOT_F6E2M3, 7.5, 0x1f},
        {INGOT_F6E2M3, -0.125, 0x21},
        {INGOT_F6E3M2, 28, 0x1f},
        {INGOT_F6E3M2, -0.0625, 0x21},
        {INGOT_F8E8M0, 4, 129},
        {INGOT_I4, -3, 0xfd},
        {INGOT_U2, 9, 3},
        {INGOT_I8, -200, 0x80},
        {INGOT_BOOL, 7, 1},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        unsigned bits = 0;
        ingot_tensor t = {.data = &bits, .dtype = cases[i].dtype};
        ingot_rt_store(cases[i].dtype, &bits, cases[i].v);
        CHECK_EQ(bits, cases[i].bits);
        double back = ingot_tensor_element(&t, 0);
        ingot_rt_store(cases[i].dtype, &bits, back);
        CHECK_EQ(bits, cases[i].bits);
    }
    for (int32_t dtype = INGOT_F8E4M3FN; dtype <= INGOT_F8E5M2FNUZ; dtype++) {
        for (unsigned b = 0; b < 256; b++) { /* every code goes to its number and back */
            unsigned bits = b, again = 0;
            ingot_tensor t = {.data = &bits, .dtype = dtype};
            double v = ingot_tensor_element(&t, 0);
            ingot_rt_store(dtype, &again, v);
            if (!isnan(v)) CHECK_EQ(again, b);
        }
    }
}

/* ---- images ---- */

static void put_be32(RtSink *s, uint32_t v)
{
    for (int i = 3; i >= 0; i--)
        ingot_rt_sink_le(s, v >> 8 * i, 1);
}

static void put_chunk(RtSink *s, const char *name, const void *data, size_t size)
{
    put_be32(s, (uint32_t)size);
    size_t at = s->size;
    ingot_rt_sink_put(s, name, 4);
    ingot_rt_sink_put(s, data, size);
    put_be32(s, (uint32_t)crc32(0, s->data + at, (uInt)(s->size - at)));
}

/* A PNG of given lines (filter bytes included). */
static RtSink make_png(int width, int height, int depth, int colour, int interlace,
                       const uint8_t *lines, size_t size)
{
    RtSink s = {0};
    uint8_t header[13] = {0,
                          0,
                          0,
                          (uint8_t)width,
                          0,
                          0,
                          0,
                          (uint8_t)height,
                          (uint8_t)depth,
                          (uint8_t)colour,
                          0,
                          0,
                          (uint8_t)interlace};
    uint8_t packed[2000];
    uLongf n = sizeof packed;

    compress(packed, &n, lines, size);
    ingot_rt_sink_put(&s, "\x89PNG\r\n\x1a\n", 8);
    put_chunk(&s, "IHDR", header, 13);
    if (colour == 3) put_chunk(&s, "PLTE", "\x01\x02\x03\x0a\x14\x1e\xff\x80\x40", 9);
    put_chunk(&s, "IDAT", packed, n / 2); /* in two pieces */
    put_chunk(&s, "IDAT", packed + n / 2, n - n / 2);
    put_chunk(&s, "IEND", NULL, 0);
    return s;
}

static int32_t read_image(const RtSink *s, int32_t dtype, int32_t rank, const int64_t *dims,
                          ingot_tensor *t)
{
    ingot_port port = {"x", dtype, rank, dims, NULL, 0};
    ingot_tensor_want want = {.port = dtype ? &port : NULL};

    return ingot_tensor_read_bytes("a.png", s->data, s->size, &want, t, why, sizeof why);
}

static void check_pixels(const RtSink *s, int32_t dtype, int32_t rank, const int64_t *dims, int n,
                         const double *want)
{
    ingot_tensor t;
    int32_t status = read_image(s, dtype, rank, dims, &t);

    CHECK_EQ(status, 0);
    if (status) {
        fprintf(stderr, "%s\n", why);
        return;
    }
    CHECK_EQ(ingot_tensor_elements(&t), n);
    for (int i = 0; i < n; i++)
        CHECK(ingot_tensor_element(&t, i) == want[i]);
    ingot_tensor_free(&t);
}

static void test_png(void)
{
    static const uint8_t gray[] = {0, 0, 51, 255,
                                   2, 1, 1,  1}; /* 3 x 2, second line relative to the first */
    static const uint8_t rgb[] = {1, 10, 20, 30,
                                  1, 2,  3}; /* 2 x 1, second pixel relative to the first */
    static const uint8_t pal[] = {0, 0x98};  /* 3 x 1, 2 bits: 2 1 2 */
    static const uint8_t deep[] = {4, 1, 0, 0, 1,
                                   3, 1, 0, 0, 0};        /* 2 x 2, 16 bits, paeth and average */
    static const uint8_t laced[] = {0, 1, 0, 2, 0, 3, 4}; /* 2 x 2: passes 1, 6, 7 */
    static const double gray_u8[] = {0, 51, 255, 1, 52, 0},
                        gray_3[] = {0, 51, 255, 1, 52, 0,   0, 51, 255,
                                    1, 52, 0,   0, 51, 255, 1, 52, 0};
    static const double rgb_chw[] = {10, 11, 20, 22, 30, 33}, rgb_hwc[] = {10, 20, 30, 11, 22, 33};
    static const double rgb_luma[] = {18, 20}, pal_hwc[] = {255, 128, 64, 10, 20, 30, 255, 128, 64};
    static const double deep_u16[] = {256, 257, 256, 256}, laced_u8[] = {1, 2, 3, 4};
    static const int64_t nchw1[] = {1, 1, 2, 3}, nchw3[] = {1, 3, 2, 3}, open[] = {-1, 3, -1, -1},
                         hwc[] = {1, 2, 3}, chw[] = {3, 1, 2}, hw[] = {1, 2}, flat[] = {1, 6},
                         wrong[] = {1, 1, 28, 28};
    RtSink s = make_png(3, 2, 8, 0, 0, gray, sizeof gray);
    ingot_tensor t;

    check_pixels(&s, 0, 0, NULL, 6, gray_u8);
    check_pixels(&s, INGOT_U8, 4, nchw1, 6, gray_u8);
    check_pixels(&s, INGOT_I32, 2, flat, 6, gray_u8);
    check_pixels(&s, INGOT_U8, 4, nchw3, 18, gray_3);
    CHECK_EQ(read_image(&s, INGOT_F32, 4, nchw1, &t), 0);
    CHECK(((float *)t.data)[1] == 51.0f / 255 && ((float *)t.data)[2] == 1.0f);
    ingot_tensor_free(&t);
    CHECK_EQ(read_image(&s, INGOT_F32, 4, wrong, &t), INGOT_ERR_USAGE);
    CHECK_STR(why,
              "a.png: is an image of 3 x 2 pixels (width x height), 'x' expects f32[1,1,28,28]");
    free(s.data);
    s = make_png(2, 1, 8, 2, 0, rgb, sizeof rgb);
    check_pixels(&s, INGOT_U8, 3, chw, 6, rgb_chw);
    check_pixels(&s, INGOT_U8, 3, hwc, 6, rgb_hwc);
    check_pixels(&s, INGOT_U8, 4, open, 6, rgb_chw);
    check_pixels(&s, INGOT_U8, 2, hw, 2, rgb_luma);
    free(s.data);
    s = make_png(3, 1, 2, 3, 0, pal, sizeof pal);
    check_pixels(&s, 0, 0, NULL, 9, pal_hwc);
    free(s.data);
    s = make_png(2, 2, 16, 0, 0, deep, sizeof deep);
    check_pixels(&s, 0, 0, NULL, 4, deep_u16);
    free(s.data);
    s = make_png(2, 2, 8, 0, 1, laced, sizeof laced);
    check_pixels(&s, 0, 0, NULL, 4, laced_u8);
    free(s.data);
}

static void test_pnm(void)
{
    static const double values[] = {0, 128, 255, 7}, scaled[] = {0, 128, 255, 255};
    static const int64_t dims[] = {2, 2};
    RtSink s = {0};

    ingot_rt_sink_put(&s, "P5\n# made by hand\n2 2\n255\n\x00\x80\xff\x07", 33 - 1 - 1);
    s.size = (size_t)(strlen("P5\n# made by hand\n2 2\n255\n") + 4);
    check_pixels(&s, INGOT_U8, 2, dims, 4, values);
    s.size--;
    ingot_tensor t;
    CHECK_EQ(read_image(&s, INGOT_U8, 2, dims, &t), INGOT_ERR_DATA);
    s.size = 0;
    ingot_rt_sink_text(&s, "P2 2 2 16\n0 8\n16 16\n");
    check_pixels(&s, INGOT_U8, 2, dims, 4, scaled);
    free(s.data);
}

/* ---- what numpy and onnx write, byte for byte ---- */

#define BYTES(s) (s), sizeof(s) - 1

static void test_foreign(void)
{
    static const char fortran[] =
        "\x93NUMPY\x01\x00\x49\x00{'descr': '>i2', 'fortran_order': True, 'shape': (2, 2), "
        "}              \n\x00\x01\x00\x02\x00\x03\x00\x04";
    static const char ints[] =
        "\x08\x03\x10\x16\x2a\x02\x21\x0f"; /* dims 3, INT4, int32_data packed: 0x21 0x0f */
    static const char floats[] =
        "\x08\x02\x10\x01\x25\x00\x00\x80\x3f\x22\x04\x00\x00\x00\x40"; /* one bare, one packed */
    ingot_tensor t;

    CHECK_EQ(ingot_tensor_read_bytes("a.npy", BYTES(fortran), NULL, &t, why, sizeof why), 0);
    CHECK_EQ(t.dtype, INGOT_I16);
    CHECK(((int16_t *)t.data)[1] == 3 && ((int16_t *)t.data)[2] == 2);
    ingot_tensor_free(&t);
    CHECK_EQ(ingot_tensor_read_bytes("a.pb", BYTES(ints), NULL, &t, why, sizeof why), 0);
    CHECK(((int8_t *)t.data)[0] == 1 && ((int8_t *)t.data)[1] == 2 && ((int8_t *)t.data)[2] == -1);
    ingot_tensor_free(&t);
    CHECK_EQ(ingot_tensor_read_bytes("a.pb", BYTES(floats), NULL, &t, why, sizeof why), 0);
    CHECK(((float *)t.data)[0] == 1 && ((float *)t.data)[1] == 2);
    ingot_tensor_free(&t);
}

static void test_fitting(void)
{
    static const int64_t dims[] = {-1, 2, 2};
    static const char *const symbols[] = {"N", NULL, NULL};
    ingot_port port = {"x", INGOT_I8, 3, dims, symbols, 0};
    ingot_tensor_want want = {.port = &port};
    ingot_tensor t;
    int64_t n[] = {5, -1, -1};

    CHECK_EQ(ingot_tensor_read_bytes("a.raw", BYTES("12345678"), &want, &t, why, sizeof why), 0);
    CHECK_EQ(t.dims[0], 2); /* follows from the size */
    ingot_tensor_free(&t);
    CHECK_EQ(ingot_tensor_read_bytes("a.raw", BYTES("1234567"), &want, &t, why, sizeof why),
             INGOT_ERR_USAGE);
    CHECK_EQ(ingot_tensor_read_bytes("a.txt", BYTES("1 2\n3,-4"), &want, &t, why, sizeof why), 0);
    CHECK(t.dims[0] == 1 && ((int8_t *)t.data)[3] == -4);
    ingot_tensor_free(&t);
    CHECK_EQ(ingot_tensor_read_bytes("a.txt", BYTES("1 2 3 x"), &want, &t, why, sizeof why),
             INGOT_ERR_DATA);
    CHECK_EQ(ingot_tensor_read_bytes("a.jpg", BYTES("JFIF"), &want, &t, why, sizeof why),
             INGOT_ERR_USAGE);
    CHECK_EQ(ingot_tensor_read("random", &want, &t, why, sizeof why), INGOT_ERR_USAGE);
    CHECK_STR(why, "random: dim 0 ('N') of 'x' is open: say its size with --dim N=N");
    want.dims = n;
    CHECK_EQ(ingot_tensor_read("random", &want, &t, why, sizeof why), 0);
    CHECK_EQ(ingot_tensor_elements(&t), 20);
    ingot_tensor_free(&t);
    want.max_bytes = 19;
    CHECK_EQ(ingot_tensor_read("random", &want, &t, why, sizeof why), INGOT_ERR_LIMIT);
    CHECK_EQ(ingot_tensor_read("/nowhere/at/all.npy", &want, &t, why, sizeof why), INGOT_ERR_IO);
    CHECK_EQ(ingot_tensor_read("/", &want, &t, why, sizeof why), INGOT_ERR_IO);
}

/* ---- hostile bytes ---- */

static void try_bytes(const char *path, const uint8_t *data, size_t size, const ingot_port *port)
{
    ingot_tensor_want want = {.port = port, .max_bytes = 1 << 20};
    ingot_tensor t;
    uint8_t *copy = malloc(size + (size == 0)); /* its own block: overruns show under a sanitizer */
    int32_t status;

    if (size) memcpy(copy, data, size);
    status = ingot_tensor_read_bytes(path, copy, size, port ? &want : NULL, &t, why, sizeof why);
    CHECK(status == INGOT_OK || status == INGOT_ERR_USAGE || status == INGOT_ERR_DATA ||
          status == INGOT_ERR_LIMIT);
    CHECK((status == INGOT_OK) == (t.data != NULL));
    if (status == INGOT_OK) {
        char text[64];
        int64_t n = ingot_tensor_elements(&t);
        for (int64_t i = 0; i < n && i < 50; i++)
            ingot_tensor_element_text(&t, i, text, sizeof text);
    }
    ingot_tensor_free(&t);
    free(copy);
}

static void attack(const char *path, const uint8_t *data, size_t size, const ingot_port *port)
{
    static const uint8_t changes[] = {0x01, 0x80, 0xff, 0x7f, 0x10};
    uint8_t *copy = malloc(size + 1);

    for (size_t n = 0; n <= size; n++)
        try_bytes(path, data, n, port);
    for (size_t i = 0; i < size; i++) {
        memcpy(copy, data, size);
        for (size_t k = 0; k < sizeof changes; k++) {
            copy[i] = (uint8_t)(data[i] ^ changes[k]);
            try_bytes(path, copy, size, port);
            try_bytes(path, copy, size, NULL);
        }
        if (i + 4 <= size) { /* a size field of ones */
            memcpy(copy, data, size);
            memset(copy + i, 0xff, 4);
            try_bytes(path, copy, size, port);
        }
    }
    free(copy);
}

static void test_hostile(void)
{
    static const uint8_t lines[] = {0, 0, 51, 255, 2, 1, 1, 1};
    static const int32_t dtypes[] = {INGOT_F32, INGOT_STRING, INGOT_I4};
    static const int64_t hw[] = {2, 3};
    const char *ignore = "";

    for (int d = 0; d < 3; d++) {
        char data[6 * 16];
        ingot_tensor t = sample_tensor(dtypes[d], data);
        ingot_port port = {"x", dtypes[d], 2, t.dims, NULL, 0};
        RtSink npy = {0}, npz = {0}, pb = {0}, text = {0};
        ingot_rt_write_npy(&npy, &t, "x", &ignore);
        ingot_rt_write_npz(&npz, &t, "x", &ignore);
        ingot_rt_write_pb(&pb, &t, "x", &ignore);
        ingot_rt_write_text(&text, &t, "x", &ignore);
        attack("a.npy", npy.data, npy.size, &port);
        attack("a.npz", npz.data, npz.size, &port);
        attack("a.pb", pb.data, pb.size, &port);
        attack("a.txt", text.data, text.size, &port);
        free(npy.data);
        free(npz.data);
        free(pb.data);
        free(text.data);
    }
    ingot_port port = {"x", INGOT_U8, 2, hw, NULL, 0};
    for (int interlace = 0; interlace < 2; interlace++) {
        RtSink png = make_png(3, 2, 8, 0, interlace, lines, sizeof lines);
        attack("a.png", png.data, png.size, &port);
        free(png.data);
    }
    attack("a.pgm", (const uint8_t *)"P5\n3 2\n255\nabcdef", 17, &port);
    attack("a.pgm", (const uint8_t *)"P2\n3 2\n9\n1 2 3\n4 5 6", 21, &port);
}

/* What zlib packs at every level, of random, constant and repeating bytes, comes out the same; cut,
 * it does not. */
static void test_inflate(void)
{
    enum { N = 70000 };
    uint8_t *plain = malloc(N), *packed = malloc(2 * N), *back = malloc(N);

    for (int kind = 0; kind < 4; kind++) {
        for (uint32_t i = 0, x = 1; i < N; i++) {
            x = x * 1664525 + 1013904223;
            plain[i] = (uint8_t)(kind == 0   ? x >> 24
                                 : kind == 1 ? 7
                                 : kind == 2 ? i % 251
                                             : (x >> 24) % 5 * (i % 3));
        }
        for (int level = 0; level <= 9; level++) {
            for (int strategy = 0; strategy <= Z_FIXED; strategy++) {
                z_stream z = {0};
                deflateInit2(&z, level, Z_DEFLATED, -15, 9, strategy);
                z.next_in = plain;
                z.avail_in = N;
                z.next_out = packed;
                z.avail_out = 2 * N;
                CHECK_EQ(deflate(&z, Z_FINISH), Z_STREAM_END);
                CHECK(ingot_rt_inflate(packed, z.total_out, back, N) &&
                      memcmp(plain, back, N) == 0);
                CHECK(!ingot_rt_inflate(packed, z.total_out / 2, back, N));
                CHECK(N / INGOT_RT_DEFLATE_MOST <= z.total_out);
                deflateEnd(&z);
            }
        }
        CHECK_EQ(ingot_rt_crc32(ingot_rt_crc32(0, plain, 100), plain + 100, N - 100),
                 crc32(0, plain, N));
    }
    free(plain);
    free(packed);
    free(back);
}

/* Sizes that a few bytes cannot hold are refused before memory is taken. */
static void test_bombs(void)
{
    static const uint8_t lines[] = {0};
    static const char empty_pb[] =
        "\x08\xff\xff\xff\xff\x7f\x10\x02\x4a\x01\x00"; /* dims 2^35, one byte */
    RtSink s = make_png(255, 255, 16, 6, 0, lines, 1);
    ingot_tensor t;
    size_t chunk = 8 + 25;

    CHECK_EQ(ingot_tensor_read_bytes("a.png", s.data, s.size, NULL, &t, why, sizeof why),
             INGOT_ERR_DATA);
    s.data[16] = s.data[20] =
        0x7f; /* two thousand million pixels each way; the checksum is made right */
    uint32_t crc = (uint32_t)crc32(0, s.data + 12, 17);
    for (int i = 0; i < 4; i++)
        s.data[chunk - 4 + (size_t)i] = (uint8_t)(crc >> (24 - 8 * i));
    CHECK_EQ(ingot_tensor_read_bytes("a.png", s.data, s.size, NULL, &t, why, sizeof why),
             INGOT_ERR_DATA);
    free(s.data);
    CHECK_EQ(ingot_tensor_read_bytes("a.pb", BYTES(empty_pb), NULL, &t, why, sizeof why),
             INGOT_ERR_DATA);
}

int main(void)
{
    test_round_trips();
    test_small_floats();
    test_png();
    test_pnm();
    test_foreign();
    test_fitting();
    test_inflate();
    test_hostile();
    test_bombs();
    return check_result();
}
