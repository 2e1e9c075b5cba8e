/* sx_cast.c: conversions of f16, bf16, f8 and f4 as integer operations on bits.
 *
 * Everything goes by way of f32, which holds all values of these types: they are decoded into it
 * exactly, and encoded from it with one rounding. What is wider than f32 (f64, large integers) is
 * first rounded to odd: to f32, but with the last bit set where anything was lost, so that the
 * second rounding sees on which side of a tie the value lay. No step makes an f32 subnormal but
 * where the type has them (bf16, f8e8m0). */
#include "ir/sx_impl.h"
#include "ir/sx_math.h"

/* Bits: sign, exponent, mantissa. Codes are without the sign. */
typedef struct Format {
    uint32_t mantissa, bias, sign; /* bits of mantissa; position of the sign */
    uint32_t max, inf, nan;        /* inf, nan 0: there is none */
    bool uz;                       /* the code of -0 is the NaN, and there is no -0 */
    bool saturates;                /* heeds `saturate` */
} Format;

static const Format formats[DT_COUNT] = {
    [DT_F4E2M1] = {.mantissa = 1, .bias = 1, .sign = 3, .max = 0x7, .saturates = true},
    [DT_F6E2M3] = {.mantissa = 3, .bias = 1, .sign = 5, .max = 0x1f, .saturates = true},
    [DT_F6E3M2] = {.mantissa = 2, .bias = 3, .sign = 5, .max = 0x1f, .saturates = true},
    [DT_F8E4M3FN] =
        {.mantissa = 3, .bias = 7, .sign = 7, .max = 0x7e, .nan = 0x7f, .saturates = true},
    [DT_F8E4M3FNUZ] =
        {.mantissa = 3, .bias = 8, .sign = 7, .max = 0x7f, .uz = true, .saturates = true},
    [DT_F8E5M2] = {.mantissa = 2,
                   .bias = 15,
                   .sign = 7,
                   .max = 0x7b,
                   .inf = 0x7c,
                   .nan = 0x7e,
                   .saturates = true},
    [DT_F8E5M2FNUZ] =
        {.mantissa = 2, .bias = 16, .sign = 7, .max = 0x7f, .uz = true, .saturates = true},
    [DT_F16] =
        {.mantissa = 10, .bias = 15, .sign = 15, .max = 0x7bff, .inf = 0x7c00, .nan = 0x7e00},
};

static const Sx *k32(SxTable *t, uint32_t v)
{
    return sx_const_bits(t, DT_U32, v);
}

static const Sx *shl32(SxTable *t, const Sx *a, uint32_t n)
{
    return sx_shl(t, a, k32(t, n));
}

static const Sx *shr32(SxTable *t, const Sx *a, uint32_t n)
{
    return sx_shr(t, a, k32(t, n));
}

static const Sx *f32_of(SxTable *t, const Sx *bits)
{
    return sx_bitcast(t, bits, DT_F32);
}

/* The code of a narrow float as u32, and back. */
static const Sx *code_of(SxTable *t, const Sx *e)
{
    DType u = dtype_bytes(e->dtype) == 2 ? DT_U16 : DT_U8;

    return sx_cast(t, sx_bitcast(t, e, u), DT_U32);
}

static const Sx *of_code(SxTable *t, const Sx *code, DType d)
{
    DType u = dtype_bytes(d) == 2 ? DT_U16 : DT_U8;

    return sx_bitcast(t, sx_cast(t, code, u), d);
}

static const Sx *decode_e8m0(SxTable *t, const Sx *c)
{
    const Sx *r = sx_select(t, sx_eq(t, c, k32(t, 0)), k32(t, 0x00400000), shl32(t, c, 23));

    return f32_of(t, sx_select(t, sx_eq(t, c, k32(t, 255)), k32(t, 0x7fc00000), r));
}

/* A normal code moves up to f32's exponent. A subnormal one is put below a leading one that has its
 * quantum, and that one is taken away. */
static const Sx *decode(SxTable *t, const Sx *e)
{
    const Format *f = &formats[e->dtype];
    const Sx *c = code_of(t, e);

    if (e->dtype == DT_F8E8M0) return decode_e8m0(t, c);
    if (e->dtype == DT_BF16) return f32_of(t, shl32(t, c, 16));
    uint32_t up = 23 - f->mantissa;
    const Sx *mag = sx_and(t, c, k32(t, (1u << f->sign) - 1));
    const Sx *sign = shl32(t, shr32(t, sx_and(t, c, k32(t, 1u << f->sign)), f->sign), 31);
    const Sx *moved = shl32(t, mag, up), *least = k32(t, (128 - f->bias) << 23);
    const Sx *normal = sx_add(t, moved, k32(t, (127 - f->bias) << 23));
    const Sx *low = sx_sub(t, f32_of(t, sx_add(t, moved, least)), f32_of(t, least));
    const Sx *r =
        sx_select(t, sx_lt(t, mag, k32(t, 1u << f->mantissa)), sx_bitcast(t, low, DT_U32), normal);
    if (f->inf || f->nan) {
        const Sx *is_inf = f->inf ? sx_eq(t, mag, k32(t, f->inf)) : sx_const_bits(t, DT_BOOL, 0);
        const Sx *special = sx_select(t, is_inf, k32(t, 0x7f800000), k32(t, 0x7fc00000));
        r = sx_select(t, sx_lt(t, k32(t, f->max), mag), special, r);
    }
    if (f->uz) r = sx_select(t, sx_eq(t, c, k32(t, 1u << f->sign)), k32(t, 0x7fc00000), r);
    return f32_of(t, sx_or(t, r, sign));
}

static const Sx *encode_e8m0(SxTable *t, const Sx *v, bool saturate)
{
    const Sx *a = sx_bitcast(t, v, DT_U32), *code, *out;

    code = sx_add(t, shr32(t, a, 23), sx_and(t, shr32(t, a, 22), k32(t, 1)));
    /* Below 2^-127, which is code 0: with bit 22, subnormals of at least 2^-127 have counted 1 too
     * much. */
    code = sx_select(t, sx_lt(t, a, k32(t, 0x00800000)), k32(t, 0), code);
    code = sx_select(t, sx_and(t, sx_le(t, k32(t, 0x00600000), a), sx_lt(t, a, k32(t, 0x00800000))),
                     k32(t, 1), code);
    out = k32(t, saturate ? 254 : 255);
    code = sx_select(t, sx_lt(t, k32(t, 254), code), out, code);
    if (!saturate) code = sx_select(t, sx_lt(t, a, k32(t, 0x00300000)), k32(t, 255), code);
    const Sx *zero = sx_const(t, DT_F32, 0.0);
    code = sx_select(t, sx_eq(t, v, zero), k32(t, saturate ? 0 : 255), code);
    const Sx *valid = sx_le(t, zero, v); /* neither negative nor NaN */
    return of_code(t, sx_select(t, valid, code, k32(t, 255)), DT_F8E8M0);
}

/* The upper half of f32: rounded up, a mantissa that is full counts into the exponent, up to
 * infinity. */
static const Sx *encode_bf16(SxTable *t, const Sx *v)
{
    const Sx *bits = sx_bitcast(t, v, DT_U32), *half = shr32(t, bits, 16);
    const Sx *odd = sx_and(t, half, k32(t, 1));
    const Sx *r = shr32(t, sx_add(t, bits, sx_add(t, odd, k32(t, 0x7fff))), 16);
    const Sx *nan = sx_or(t, sx_and(t, half, k32(t, 0x8000)), k32(t, 0x7fc0));

    return of_code(t, sx_select(t, sx_ne(t, v, v), nan, r), DT_BF16);
}

/* The magnitude bits of a finite |v|, rounded to nearest even in units of the format. */
static const Sx *rounded_code(SxTable *t, const Format *f, const Sx *mag)
{
    uint32_t down = 23 - f->mantissa;
    const Sx *odd = sx_and(t, shr32(t, mag, down), k32(t, 1));
    const Sx *r =
        sx_add(t, mag, sx_add(t, odd, k32(t, (1u << (down - 1)) - 1 - ((127 - f->bias) << 23))));
    const Sx *normal = shr32(t, r, down);

    /* Adding a power of two whose last bit is the subnormals' unit makes the hardware round to it.
     */
    const Sx *unit = k32(t, (127 + 24 - f->bias - f->mantissa) << 23);
    const Sx *sum = sx_add(t, f32_of(t, mag), f32_of(t, unit));
    const Sx *low = sx_sub(t, sx_bitcast(t, sum, DT_U32), unit);
    return sx_select(t, sx_lt(t, mag, k32(t, (128 - f->bias) << 23)), low, normal);
}

static const Sx *encode(SxTable *t, const Sx *v, DType d, bool saturate)
{
    const Format *f = &formats[d];

    if (d == DT_F8E8M0) return encode_e8m0(t, v, saturate);
    if (d == DT_BF16) return encode_bf16(t, v);
    const Sx *bits = sx_bitcast(t, v, DT_U32), *mag = sx_and(t, bits, k32(t, 0x7fffffff));
    const Sx *sign = shl32(t, shr32(t, bits, 31), f->sign), *r = rounded_code(t, f, mag);
    const Sx *large = sx_lt(t, k32(t, f->max), r), *max = k32(t, f->max);
    bool clamps = (f->saturates && saturate) || !(f->inf || f->nan || f->uz);
    uint32_t nan = f->uz || !f->nan ? 1u << f->sign : f->nan; /* f4 has none: -0 */
    const Sx *out = clamps ? max : k32(t, f->inf ? f->inf : nan);
    /* Infinity and beyond would run over the code's end: the largest is as good as any. */
    r = sx_select(t, sx_le(t, k32(t, 0x7f800000), mag), out, sx_select(t, large, out, r));
    const Sx *is_nan = sx_ne(t, v, v);
    if (f->nan) return of_code(t, sx_or(t, sx_select(t, is_nan, k32(t, nan), r), sign), d);
    r = sx_select(t, sx_and(t, sx_eq(t, r, k32(t, 0)), sx_const_bits(t, DT_BOOL, f->uz)), r,
                  sx_or(t, r, sign));
    return of_code(t, sx_select(t, is_nan, k32(t, nan), r), d);
}

/* Rounded to odd from f64. */
static const Sx *odd_f32(SxTable *t, const Sx *v)
{
    const Sx *f = sx_cast(t, v, DT_F32), *back = sx_cast(t, f, DT_F64),
             *bits = sx_bitcast(t, f, DT_U32);
    const Sx *one = k32(t, 1), *none = k32(t, 0);
    const Sx *above = sx_lt(t, sx_abs(t, v), sx_abs(t, back));
    /* Not at NaN, which is not equal to itself. */
    const Sx *lost = sx_or(t, above, sx_lt(t, sx_abs(t, back), sx_abs(t, v)));

    bits = sx_sub(t, bits, sx_select(t, above, one, none));
    return f32_of(t, sx_or(t, bits, sx_select(t, lost, one, none)));
}

/* A 64-bit integer of which f64 holds enough bits: those below bit 11 become one where there are 54
 * or more. */
static const Sx *jammed(SxTable *t, const Sx *v)
{
    DType d = v->dtype;
    const Sx *low = sx_and(t, v, sx_const_int(t, d, 0x7ff)), *zero = sx_const_int(t, d, 0);
    const Sx *kept = sx_sub(t, v, low), *sticky = sx_const_int(t, d, 0x800);
    const Sx *r = sx_select(t, sx_ne(t, low, zero), sx_or(t, kept, sticky), kept);
    const Sx *most = sx_const_int(t, d, (int64_t)1 << 53), *large = sx_lt(t, most, v);

    if (d == DT_I64) large = sx_or(t, large, sx_lt(t, v, sx_neg(t, most)));
    return sx_cast(t, sx_select(t, large, r, v), DT_F64);
}

/* e, of any dtype that is not narrow, as f32: exactly, or rounded to odd. */
static const Sx *wide_to_f32(SxTable *t, const Sx *e)
{
    bool integer = dtype_is_int(e->dtype);

    if (e->dtype == DT_F64) return odd_f32(t, e);
    if (!integer || dtype_bits(e->dtype) <= 16) return sx_cast(t, e, DT_F32);
    return odd_f32(t, dtype_bits(e->dtype) == 32 ? sx_cast(t, e, DT_F64) : jammed(t, e));
}

static bool is_narrow(DType d)
{
    return (DT_BIT(d) & (T_FLOAT_NARROW | DT_BIT(DT_F16) | DT_BIT(DT_BF16))) != 0;
}

const Sx *sx_cast_plain(SxTable *t, const Sx *e, DType d, bool saturate, bool has_f16)
{
    bool from = is_narrow(e->dtype), to = is_narrow(d);

    if (!from && !to) return NULL;
    if (e->dtype == d) return e;
    const Sx *v;
    if (!from)
        v = wide_to_f32(t, e);
    else if (e->dtype == DT_F16 && has_f16)
        v = sx_cast(t, e, DT_F32);
    else
        v = decode(t, e);
    if (!to) return sx_cast(t, v, d);
    return d == DT_F16 && has_f16 ? sx_cast(t, v, d) : encode(t, v, d, saturate);
}
