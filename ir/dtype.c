/* dtype.c: the properties of element types, and the conversion of one element.
 *
 * Small floats are described by one FloatFormat row each and share one decoder and one encoder,
 * which work on the bits of a double: every value of every format here is exact in double, so
 * loading is exact and storing rounds once. f8e8m0 (an exponent alone, without sign or zero) has
 * its own pair. Where ONNX leaves a case open we give: f4e2m1, f6e2m3 and f6e3m2 of NaN are -0, and
 * they always saturate; f8e8m0 of a negative number is NaN. */
#include "ir/dtype.h"

#include <string.h>

#define BITS(n) ((UINT64_C(1) << (n)) - 1)

typedef struct DTypeInfo {
    const char *text, *c;
    DTypeKind kind;
    int onnx, bits, bytes;
} DTypeInfo;

static const DTypeInfo info[DT_COUNT] = {
    [DT_NONE] = {.text = "none", .c = "", .kind = KIND_BOOL},
#define DTYPE(NAME, text_, onnx_, kind_, bits_, bytes_, c_)                                        \
    [DT_##NAME] = {.text = text_,                                                                  \
                   .c = c_,                                                                        \
                   .kind = KIND_##kind_,                                                           \
                   .onnx = onnx_,                                                                  \
                   .bits = bits_,                                                                  \
                   .bytes = bytes_},
#include "ir/dtype.def"
#undef DTYPE
};
_Static_assert(DT_COUNT <= 32, "DT_BIT is a bit of an unsigned");

const char *dtype_text(DType t)
{
    return info[t].text;
}
int dtype_onnx(DType t)
{
    return info[t].onnx;
}
DTypeKind dtype_kind(DType t)
{
    return info[t].kind;
}
int dtype_bits(DType t)
{
    return info[t].bits;
}
int dtype_bytes(DType t)
{
    return info[t].bytes;
}
const char *dtype_c(DType t)
{
    return info[t].c;
}
bool dtype_is_float(DType t)
{
    return info[t].kind == KIND_FLOAT;
}

bool dtype_is_int(DType t)
{
    return info[t].kind == KIND_INT || info[t].kind == KIND_UINT;
}

bool dtype_is_signed(DType t)
{
    if (t == DT_F8E8M0) return false;
    return info[t].kind == KIND_INT || info[t].kind == KIND_FLOAT || info[t].kind == KIND_COMPLEX;
}

DType dtype_parse(const char *text)
{
    for (int t = 1; t < DT_COUNT; t++)
        if (strcmp(info[t].text, text) == 0) return (DType)t;
    return DT_NONE;
}

DType dtype_from_onnx(int code)
{
    for (int t = 1; t < DT_COUNT; t++)
        if (info[t].onnx == code) return (DType)t;
    return DT_NONE;
}

/* Bits: sign, exponent, mantissa. Codes are without the sign. `inf` is 0 when there is none; `nan`
 * is the full code with sign when there is only one (uz), else without. */
typedef struct FloatFormat {
    int mantissa, bias, sign; /* sign: position of its bit */
    uint32_t max, inf, nan;
    bool uz;        /* no negative zero: its code is the NaN */
    bool saturates; /* heeds `saturate` */
} FloatFormat;

static const FloatFormat formats[DT_COUNT] = {
    [DT_F4E2M1] = {.mantissa = 1, .bias = 1, .sign = 3, .max = 0x7, .saturates = true},
    [DT_F6E2M3] = {.mantissa = 3, .bias = 1, .sign = 5, .max = 0x1f, .saturates = true},
    [DT_F6E3M2] = {.mantissa = 2, .bias = 3, .sign = 5, .max = 0x1f, .saturates = true},
    [DT_F8E4M3FN] =
        {.mantissa = 3, .bias = 7, .sign = 7, .max = 0x7e, .nan = 0x7f, .saturates = true},
    [DT_F8E4M3FNUZ] = {.mantissa = 3,
                       .bias = 8,
                       .sign = 7,
                       .max = 0x7f,
                       .nan = 0x80,
                       .uz = true,
                       .saturates = true},
    [DT_F8E5M2] = {.mantissa = 2,
                   .bias = 15,
                   .sign = 7,
                   .max = 0x7b,
                   .inf = 0x7c,
                   .nan = 0x7e,
                   .saturates = true},
    [DT_F8E5M2FNUZ] = {.mantissa = 2,
                       .bias = 16,
                       .sign = 7,
                       .max = 0x7f,
                       .nan = 0x80,
                       .uz = true,
                       .saturates = true},
    [DT_F16] =
        {.mantissa = 10, .bias = 15, .sign = 15, .max = 0x7bff, .inf = 0x7c00, .nan = 0x7e00},
    [DT_BF16] =
        {.mantissa = 7, .bias = 127, .sign = 15, .max = 0x7f7f, .inf = 0x7f80, .nan = 0x7fc0},
};

static double double_of(uint64_t bits)
{
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static uint64_t bits_of(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

static double power_of_two(int e)
{
    return double_of((uint64_t)(e + 1023) << 52);
}

static double float_decode(const FloatFormat *f, uint32_t code)
{
    uint64_t sign = (uint64_t)(code >> f->sign & 1) << 63;
    uint32_t magnitude = code & (uint32_t)BITS(f->sign);
    if (f->uz && code == f->nan) return double_of(UINT64_C(0x7ff8) << 48);
    if (magnitude > f->max) {
        if (f->inf && magnitude == f->inf) return double_of(sign | UINT64_C(0x7ff) << 52);
        return double_of(sign | UINT64_C(0x7ff8) << 48);
    }
    uint64_t exponent = magnitude >> f->mantissa, fraction = magnitude & BITS(f->mantissa);
    if (exponent == 0) {
        double v = (double)fraction * power_of_two(1 - f->bias - f->mantissa);
        return double_of(sign | bits_of(v));
    }
    exponent += (uint64_t)(1023 - f->bias);
    return double_of(sign | exponent << 52 | fraction << (52 - f->mantissa));
}

/* The magnitude of a finite double in units of the format, rounded to nearest even; may exceed
 * f->max. */
static uint64_t float_round(const FloatFormat *f, uint64_t bits)
{
    int exponent = (int)(bits >> 52 & 0x7ff) - 1023, least = 1 - f->bias;
    uint64_t fraction = bits & BITS(52);
    if (exponent < -1022)
        return 0; /* zero or subnormal in double: below half of any format's least */
    fraction |= UINT64_C(1) << 52;
    int shift = 52 - f->mantissa + (exponent < least ? least - exponent : 0);
    if (shift > 54) return 0;
    uint64_t kept = fraction >> shift, rest = fraction & BITS(shift),
             half = UINT64_C(1) << (shift - 1);
    if (rest > half || (rest == half && (kept & 1))) kept++;
    /* A normal's leading one adds 1 to the exponent field; so does a carry out of the mantissa. */
    return exponent < least ? kept : ((uint64_t)(exponent - least) << f->mantissa) + kept;
}

static uint32_t float_encode(const FloatFormat *f, double v, bool saturate)
{
    uint64_t bits = bits_of(v), magnitude = bits & BITS(63);
    uint32_t sign = (uint32_t)(bits >> 63) << f->sign, code;
    if (magnitude > UINT64_C(0x7ff) << 52) {
        if (!f->nan) return UINT32_C(1) << f->sign; /* f4, f6 have no NaN */
        return f->uz ? f->nan : sign | f->nan;
    }
    bool infinite = magnitude == UINT64_C(0x7ff) << 52;
    uint64_t rounded = infinite ? UINT64_MAX : float_round(f, magnitude);
    if (rounded <= f->max)
        code = (uint32_t)rounded;
    else if ((f->saturates && saturate) || !(f->inf || f->nan))
        code = f->max;
    else if (f->inf)
        code = f->inf;
    else
        return f->uz ? f->nan : sign | f->nan;
    return f->uz && code == 0 ? 0 : sign | code;
}

/* f8e8m0: 2^(code-127); 255 is NaN. Ties go up. Without `saturate`, what is out of range is NaN. */
static double e8m0_decode(uint32_t code)
{
    return code == 255 ? double_of(UINT64_C(0x7ff8) << 48) : power_of_two((int)code - 127);
}

static uint32_t e8m0_encode(double v, bool saturate)
{
    if (v != v || v < 0) return 255;
    if (v < power_of_two(-127)) return saturate || v >= power_of_two(-127) * 0.75 ? 0 : 255;
    uint64_t bits = bits_of(v);
    int code = (int)(bits >> 52) - 1023 + 127 + (int)(bits >> 51 & 1);
    if (code <= 254 && bits >> 52 < 0x7ff) return (uint32_t)code;
    return saturate ? 254 : 255;
}

uint64_t dtype_load_bits(DType t, const void *element)
{
    uint64_t bits = 0;
    int n = info[t].bits;
    memcpy(&bits, element, (size_t)(info[t].bytes > 8 ? 8 : info[t].bytes));
    return n < 8 ? bits & BITS(n) : bits;
}

/* Extends the low n bits of v by their sign. */
static int64_t sign_extend(uint64_t v, int n)
{
    int shift = 64 - n;
    return (int64_t)(v << shift) >> shift;
}

void dtype_store_bits(DType t, void *element, uint64_t bits)
{
    int n = info[t].bits;
    if (n < 8) bits = info[t].kind == KIND_INT ? (uint64_t)sign_extend(bits, n) : bits & BITS(n);
    memcpy(element, &bits, (size_t)(info[t].bytes > 8 ? 8 : info[t].bytes));
}

static double load_float(DType t, const void *element)
{
    if (t == DT_F64) return double_of(dtype_load_bits(t, element));
    if (t == DT_F32) {
        float v;
        memcpy(&v, element, sizeof v);
        return (double)v;
    }
    if (t == DT_F8E8M0) return e8m0_decode(*(const uint8_t *)element);
    return float_decode(&formats[t], (uint32_t)dtype_load_bits(t, element));
}

static void store_float(DType t, void *element, double v, bool saturate)
{
    if (t == DT_F64) {
        memcpy(element, &v, sizeof v);
    } else if (t == DT_F32) {
        float narrow = (float)v;
        memcpy(element, &narrow, sizeof narrow);
    } else if (t == DT_F8E8M0) {
        *(uint8_t *)element = (uint8_t)e8m0_encode(v, saturate);
    } else {
        dtype_store_bits(t, element, float_encode(&formats[t], v, saturate));
    }
}

double dtype_load_double(DType t, const void *element)
{
    switch (info[t].kind) {
    case KIND_FLOAT:
        return load_float(t, element);
    case KIND_BOOL:
    case KIND_INT:
        return (double)dtype_load_int(t, element);
    case KIND_UINT:
        return (double)dtype_load_bits(t, element);
    case KIND_COMPLEX: /* the real part */
        return load_float(t == DT_C64 ? DT_F32 : DT_F64, element);
    case KIND_STRING:
        return 0;
    }
    return 0;
}

/* Truncated toward zero and clamped to n bits; NaN is 0. The bounds are powers of two, so exact in
 * double. */
static uint64_t double_to_int(double v, int n, bool is_signed)
{
    if (v != v) return 0;
    if (is_signed) {
        double limit = power_of_two(n - 1);
        if (v >= limit) return BITS(n - 1);
        if (v <= -limit) return (uint64_t)sign_extend(UINT64_C(1) << (n - 1), n);
        return (uint64_t)(int64_t)v;
    }
    if (v <= 0) return 0;
    if (v >= power_of_two(n)) return n == 64 ? UINT64_MAX : BITS(n);
    return (uint64_t)v;
}

void dtype_store_double(DType t, void *element, double v, bool saturate)
{
    switch (info[t].kind) {
    case KIND_FLOAT:
        store_float(t, element, v, saturate);
        return;
    case KIND_BOOL:
        if (t != DT_NONE) *(uint8_t *)element = v != 0;
        return;
    case KIND_INT:
    case KIND_UINT:
        dtype_store_bits(t, element, double_to_int(v, info[t].bits, info[t].kind == KIND_INT));
        return;
    case KIND_COMPLEX:
        memset(element, 0, (size_t)info[t].bytes);
        store_float(t == DT_C64 ? DT_F32 : DT_F64, element, v, saturate);
        return;
    case KIND_STRING:
        return;
    }
}

int64_t dtype_load_int(DType t, const void *element)
{
    switch (info[t].kind) {
    case KIND_BOOL:
        return t != DT_NONE && *(const uint8_t *)element != 0;
    case KIND_INT:
        return sign_extend(dtype_load_bits(t, element), info[t].bits);
    case KIND_UINT:
        return (int64_t)dtype_load_bits(t, element);
    case KIND_FLOAT:
    case KIND_COMPLEX:
        return (int64_t)double_to_int(dtype_load_double(t, element), 64, true);
    case KIND_STRING:
        return 0;
    }
    return 0;
}

/* v as a double, rounded to odd where it has more than 53 bits: a second rounding to any narrower
 * format then gives what one rounding would. */
static double int_to_double_odd(int64_t v)
{
    uint64_t m = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    if (m >> 53 && (m & BITS(11))) m = (m & ~BITS(11)) | UINT64_C(1) << 11;
    return v < 0 ? -(double)m : (double)m;
}

void dtype_store_int(DType t, void *element, int64_t v)
{
    switch (info[t].kind) {
    case KIND_BOOL:
        if (t != DT_NONE) *(uint8_t *)element = v != 0;
        return;
    case KIND_INT:
    case KIND_UINT:
        dtype_store_bits(t, element, (uint64_t)v);
        return;
    case KIND_FLOAT:
    case KIND_COMPLEX:
        dtype_store_double(t, element,
                           t == DT_F64 || t == DT_C128 ? (double)v : int_to_double_odd(v), true);
        return;
    case KIND_STRING:
        return;
    }
}
