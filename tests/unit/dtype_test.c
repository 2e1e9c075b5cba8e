/* dtype: the table, and conversions at the edges of every narrow format. */
#include "ir/dtype.h"

#include <math.h>

#include "tests/unit/check.h"

typedef struct StoreCase {
    DType dtype;
    double v;
    bool saturate;
    uint64_t bits;
} StoreCase;

/* Codes as the ONNX definition of Cast and the formats' papers give them. */
static const StoreCase store_cases[] = {
    {DT_F8E4M3FN, 448, true, 0x7e},
    {DT_F8E4M3FN, 464, false, 0x7e},
    {DT_F8E4M3FN, 465, true, 0x7e},
    {DT_F8E4M3FN, 465, false, 0x7f},
    {DT_F8E4M3FN, -INFINITY, true, 0xfe},
    {DT_F8E4M3FN, -INFINITY, false, 0xff},
    {DT_F8E4M3FN, 0x1p-9, true, 0x01},
    {DT_F8E4M3FN, 0x1p-10, true, 0x00},
    {DT_F8E4M3FN, 0x1.8p-10, true, 0x01},
    {DT_F8E4M3FN, -0.0, true, 0x80},
    {DT_F8E4M3FN, -NAN, true, 0xff},
    {DT_F8E4M3FNUZ, -0.0, true, 0x00},
    {DT_F8E4M3FNUZ, NAN, true, 0x80},
    {DT_F8E4M3FNUZ, 1e6, true, 0x7f},
    {DT_F8E4M3FNUZ, 1e6, false, 0x80},
    {DT_F8E4M3FNUZ, -0x1p-20, true, 0x00},
    {DT_F8E5M2, 57344, true, 0x7b},
    {DT_F8E5M2, INFINITY, true, 0x7b},
    {DT_F8E5M2, INFINITY, false, 0x7c},
    {DT_F8E5M2, 61440, false, 0x7c},
    {DT_F8E5M2, 61439, false, 0x7b},
    {DT_F8E5M2, 0x1p-16, true, 0x01},
    {DT_F8E5M2FNUZ, -1e9, true, 0xff},
    {DT_F8E5M2FNUZ, -1e9, false, 0x80},
    {DT_F4E2M1, 0.25, true, 0x0},
    {DT_F4E2M1, 0.75, true, 0x2},
    {DT_F4E2M1, 5, true, 0x6},
    {DT_F4E2M1, -100, false, 0xf},
    {DT_F4E2M1, NAN, true, 0x8},
    {DT_F6E2M3, 0.0625, true, 0x0},
    {DT_F6E2M3, 0.1875, false, 0x2},
    {DT_F6E2M3, 7.75, true, 0x1f},
    {DT_F6E2M3, -INFINITY, false, 0x3f},
    {DT_F6E2M3, NAN, true, 0x20},
    {DT_F6E3M2, 0.03125, true, 0x0},
    {DT_F6E3M2, 0.09375, true, 0x2},
    {DT_F6E3M2, 7.4, true, 0x17},
    {DT_F6E3M2, -100, false, 0x3f},
    {DT_F6E3M2, NAN, false, 0x20},
    {DT_F8E8M0, 1, true, 127},
    {DT_F8E8M0, 1.5, true, 128},
    {DT_F8E8M0, 0, true, 0},
    {DT_F8E8M0, 0, false, 255},
    {DT_F8E8M0, INFINITY, true, 254},
    {DT_F8E8M0, NAN, true, 255},
    {DT_F16, 65519, true, 0x7bff},
    {DT_F16, 65520, true, 0x7c00},
    {DT_F16, 0x1p-24, true, 0x0001},
    {DT_F16, 0x1p-25, true, 0x0000},
    {DT_F16, 0x1.000001p-25, true, 0x0001},
    {DT_F16, 2049, true, 0x6800},
    {DT_F16, 0x1.ff8p-15, true, 0x03ff},
    {DT_F16, 0x1.ffcp-15, true, 0x0400},
    {DT_BF16, 1.00390625, true, 0x3f80},
    {DT_BF16, 1.01171875, true, 0x3f82},
    {DT_BF16, 0x1p-133, true, 0x0001},
    {DT_BF16, 0x1.fffffep127, true, 0x7f80},
    {DT_F32, 16777217, true, 0x4b800000},
    {DT_I8, 300, true, 127},
    {DT_I8, -300, true, 0x80},
    {DT_I8, -1.9, true, 0xff},
    {DT_U8, -1, true, 0},
    {DT_U8, NAN, true, 0},
    {DT_U64, 1e30, true, UINT64_MAX},
    {DT_I64, 0x1p63, true, INT64_MAX},
    {DT_I64, -0x1p63, true, UINT64_C(1) << 63},
    {DT_I4, 100, true, 7},
    {DT_I4, -100, true, 8},
    {DT_U2, 2.9, true, 2},
    {DT_U2, 9, true, 3},
    {DT_BOOL, 0.1, true, 1},
    {DT_BOOL, -0.0, true, 0},
};

static void test_store(void)
{
    for (size_t i = 0; i < sizeof store_cases / sizeof *store_cases; i++) {
        const StoreCase *c = &store_cases[i];
        uint64_t element[2] = {0};
        dtype_store_double(c->dtype, element, c->v, c->saturate);
        uint64_t bits = dtype_load_bits(c->dtype, element);
        if (bits != c->bits)
            fprintf(stderr, "%s of %g: %#" PRIx64 ", want %#" PRIx64 "\n", dtype_text(c->dtype),
                    c->v, bits, c->bits);
        CHECK(bits == c->bits);
    }
}

/* Storing what was loaded gives the same code, for every code but other spellings of NaN. */
static void test_round_trip(void)
{
    for (int k = 1; k < DT_COUNT; k++) {
        DType t = (DType)k;
        if (dtype_bits(t) > 16 || t == DT_BOOL) continue;
        double last = -INFINITY;
        for (uint64_t code = 0; code < UINT64_C(1) << dtype_bits(t); code++) {
            uint64_t from = 0, to = 0;
            dtype_store_bits(t, &from, code);
            CHECK(dtype_load_bits(t, &from) == code);
            double v = dtype_load_double(t, &from);
            dtype_store_double(t, &to, v, false);
            if (v == v) CHECK(dtype_load_bits(t, &to) == code);
            if (code < UINT64_C(1) << (dtype_bits(t) - 1) && v == v) CHECK(v > last);
            if (v == v) last = v;
        }
    }
}

static void test_integers(void)
{
    uint64_t e = 0;
    dtype_store_int(DT_I4, &e, -3);
    CHECK_EQ(*(int8_t *)&e, -3);
    CHECK_EQ(dtype_load_int(DT_I4, &e), -3);
    dtype_store_int(DT_I8, &e, 200);
    CHECK_EQ(dtype_load_int(DT_I8, &e), -56);
    dtype_store_int(DT_U64, &e, -1);
    CHECK(dtype_load_double(DT_U64, &e) == 0x1p64);
    dtype_store_int(DT_BOOL, &e, 256);
    CHECK_EQ(dtype_load_int(DT_BOOL, &e), 1);
    /* One rounding, not two: 2^62 + 2^38 + 1 is above the tie of two floats. */
    dtype_store_int(DT_F32, &e, (INT64_C(1) << 62) + (INT64_C(1) << 38) + 1);
    CHECK(dtype_load_double(DT_F32, &e) == 0x1p62 + 0x1p39);
}

static void test_table(void)
{
    for (int t = 1; t < DT_COUNT; t++) {
        CHECK_EQ(dtype_parse(dtype_text((DType)t)), t);
        CHECK_EQ(dtype_from_onnx(dtype_onnx((DType)t)), t);
        CHECK(dtype_bits((DType)t) <= 8 * dtype_bytes((DType)t));
    }
    CHECK_EQ(dtype_parse("f33"), DT_NONE);
    CHECK_EQ(dtype_from_onnx(0), DT_NONE);
    CHECK(dtype_is_float(DT_F4E2M1) && !dtype_is_int(DT_BOOL) && dtype_is_int(DT_U2));
    CHECK(dtype_is_signed(DT_I2) && !dtype_is_signed(DT_U8) && dtype_is_signed(DT_BF16));
}

int main(void)
{
    test_table();
    test_store();
    test_round_trip();
    test_integers();
    return check_result();
}
