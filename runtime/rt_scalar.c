/* rt_scalar.c: single elements of every dtype to and from double and text, and the text format of
 * tensors. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/rt_io.h"

/* Floats below 32 bits. What the codes at the top mean differs: */
typedef enum SmallKind {
    SMALL_NONE, /* not such a float */
    SMALL_IEEE, /* infinities and NaNs in the last exponent */
    SMALL_FN,   /* no infinity; NaN is all ones */
    SMALL_FNUZ, /* no infinity, no -0; NaN is where -0 would be */
    SMALL_ALL,  /* neither infinity nor NaN */
} SmallKind;

typedef struct SmallFloat {
    SmallKind kind;
    int exponent, mantissa, bias; /* bits, bits, offset */
} SmallFloat;

static const SmallFloat small_floats[INGOT_F6E3M2 + 1] = {
    [INGOT_F16] = {SMALL_IEEE, 5, 10, 15},   [INGOT_BF16] = {SMALL_IEEE, 8, 7, 127},
    [INGOT_F8E4M3FN] = {SMALL_FN, 4, 3, 7},  [INGOT_F8E4M3FNUZ] = {SMALL_FNUZ, 4, 3, 8},
    [INGOT_F8E5M2] = {SMALL_IEEE, 5, 2, 15}, [INGOT_F8E5M2FNUZ] = {SMALL_FNUZ, 5, 2, 16},
    [INGOT_F4E2M1] = {SMALL_ALL, 2, 1, 1},   [INGOT_F6E2M3] = {SMALL_ALL, 2, 3, 1},
    [INGOT_F6E3M2] = {SMALL_ALL, 3, 2, 3},
};

static double decode_small(const SmallFloat *f, unsigned bits)
{
    unsigned top = (1u << f->exponent) - 1, mask = (1u << f->mantissa) - 1;
    unsigned e = bits >> f->mantissa & top, m = bits & mask;
    bool minus = bits >> (f->exponent + f->mantissa) & 1;
    double v;

    if (f->kind == SMALL_IEEE && e == top) return m ? NAN : minus ? -INFINITY : INFINITY;
    if (f->kind == SMALL_FN && e == top && m == mask) return NAN;
    if (f->kind == SMALL_FNUZ && minus && e == 0 && m == 0) return NAN;
    v = e ? ldexp((double)(m + mask + 1), (int)e - f->bias - f->mantissa)
          : ldexp((double)m, 1 - f->bias - f->mantissa);
    return minus ? -v : v;
}

/* Nearest, ties to even; too large becomes infinity where there is one, else the largest. */
static unsigned encode_small(const SmallFloat *f, double v)
{
    unsigned top = (1u << f->exponent) - 1, one = 1u << f->mantissa,
             sign = 1u << (f->exponent + f->mantissa);
    unsigned most = f->kind == SMALL_IEEE ? top << f->mantissa
                    : f->kind == SMALL_FN ? sign - 2
                                          : sign - 1;
    unsigned bits;
    int e = 0;
    double q;

    if (isnan(v))
        return f->kind == SMALL_IEEE ? most | one >> 1 : f->kind == SMALL_FNUZ ? sign : sign - 1;
    if (isinf(v) || v == 0) {
        bits = v == 0 ? 0 : most;
    } else {
        frexp(v, &e);
        e = e - 1 < 1 - f->bias ? 1 - f->bias : e - 1;
        if (e > f->bias + 2) return (v < 0 ? sign : 0) | most;
        q = rint(ldexp(fabs(v), f->mantissa - e));
        bits = (unsigned)((double)((e + f->bias - 1) * (int)one) + q);
        if (bits > most) bits = most;
    }
    if (bits == 0 && f->kind == SMALL_FNUZ) return 0;
    return signbit(v) ? bits | sign : bits;
}

/* Sign-extended value of a 4- or 2-bit integer that lies in a byte. */
static int64_t low_bits(unsigned byte, int bits, bool is_signed)
{
    int v = (int)(byte & ((1u << bits) - 1));

    return is_signed && v >= 1 << (bits - 1) ? v - (1 << bits) : v;
}

/* Integers (and bool) as int64; false for others. u64 keeps its bits. */
static bool load_integer(int32_t dtype, const void *p, int64_t *v)
{
    union {
        uint8_t u8;
        int8_t i8;
        uint16_t u16;
        int16_t i16;
        int32_t i32;
        uint32_t u32;
        int64_t i64;
    } x;
    int64_t size = ingot_rt_dtype_size(dtype);

    memcpy(&x, p, size <= 8 ? (size_t)size : 8);
    switch (dtype) {
    case INGOT_U8:
    case INGOT_BOOL:
        *v = x.u8;
        return true;
    case INGOT_I8:
        *v = x.i8;
        return true;
    case INGOT_U16:
        *v = x.u16;
        return true;
    case INGOT_I16:
        *v = x.i16;
        return true;
    case INGOT_U32:
        *v = x.u32;
        return true;
    case INGOT_I32:
        *v = x.i32;
        return true;
    case INGOT_I64:
    case INGOT_U64:
        *v = x.i64;
        return true;
    case INGOT_U4:
        *v = low_bits(x.u8, 4, false);
        return true;
    case INGOT_I4:
        *v = low_bits(x.u8, 4, true);
        return true;
    case INGOT_U2:
        *v = low_bits(x.u8, 2, false);
        return true;
    case INGOT_I2:
        *v = low_bits(x.u8, 2, true);
        return true;
    default:
        return false;
    }
}

static double load_double(int32_t dtype, const void *p)
{
    float f;
    double d;
    uint16_t bits = 0;
    int64_t v;

    switch (dtype) {
    case INGOT_F32:
    case INGOT_C64:
        memcpy(&f, p, 4);
        return (double)f;
    case INGOT_F64:
    case INGOT_C128:
        memcpy(&d, p, 8);
        return d;
    case INGOT_F8E8M0:
        memcpy(&bits, p, 1);
        return bits == 255 ? NAN : ldexp(1, (int)bits - 127);
    default:
        break;
    }
    if (load_integer(dtype, p, &v)) return dtype == INGOT_U64 ? (double)(uint64_t)v : (double)v;
    if (dtype < 0 || dtype > INGOT_F6E3M2 || small_floats[dtype].kind == SMALL_NONE) return 0;
    memcpy(&bits, p, (size_t)ingot_rt_dtype_size(dtype));
    return decode_small(&small_floats[dtype], bits);
}

/* The same bits serve signed and unsigned of one width. */
static void store_integer(int32_t dtype, void *to, int64_t v)
{
    int64_t size = ingot_rt_dtype_size(dtype);

    if (dtype == INGOT_BOOL) v = v != 0;
    memcpy(to, &v, size <= 8 ? (size_t)size : 8); /* little-endian hosts only, as everywhere here */
}

typedef struct Range {
    double low, high;
} Range;

static const Range ranges[INGOT_I2 + 1] = {
    [INGOT_U8] = {0, 255},
    [INGOT_I8] = {-128, 127},
    [INGOT_U16] = {0, 65535},
    [INGOT_I16] = {-32768, 32767},
    [INGOT_I32] = {-2147483648.0, 2147483647.0},
    [INGOT_U32] = {0, 4294967295.0},
    [INGOT_I64] = {-0x1p63, 0x1.fffffffffffffp62},
    [INGOT_U64] = {0, 0x1.fffffffffffffp63},
    [INGOT_BOOL] = {0, 1},
    [INGOT_U4] = {0, 15},
    [INGOT_I4] = {-8, 7},
    [INGOT_U2] = {0, 3},
    [INGOT_I2] = {-2, 1},
};

void ingot_rt_store(int32_t dtype, void *to, double v)
{
    float f = (float)v;
    unsigned bits;

    if (dtype == INGOT_F32) {
        memcpy(to, &f, 4);
    } else if (dtype == INGOT_F64) {
        memcpy(to, &v, 8);
    } else if (dtype == INGOT_F8E8M0) {
        bits = isnan(v) ? 255u : v <= 0 ? 0u : (unsigned)fmin(fmax(rint(log2(v)) + 127, 0), 254);
        memcpy(to, &bits, 1);
    } else if (small_floats[dtype].kind != SMALL_NONE) {
        bits = encode_small(&small_floats[dtype], v);
        memcpy(to, &bits, (size_t)ingot_rt_dtype_size(dtype));
    } else {
        v = isnan(v) ? 0 : fmin(fmax(rint(v), ranges[dtype].low), ranges[dtype].high);
        store_integer(dtype, to, dtype == INGOT_U64 ? (int64_t)(uint64_t)v : (int64_t)v);
    }
}

double ingot_tensor_element(const ingot_tensor *t, int64_t i)
{
    return load_double(t->dtype, (const char *)t->data + i * ingot_rt_dtype_size(t->dtype));
}

/* ---- text ---- */

/* The shortest digits that read back as the same number. */
static void double_text(double v, bool single, char *out, size_t size)
{
    int most = single ? 9 : 17;

    if (isnan(v) || isinf(v)) {
        snprintf(out, size, "%s", isnan(v) ? "nan" : v < 0 ? "-inf" : "inf");
        return;
    }
    for (int digits = single ? 6 : 15; digits <= most; digits++) {
        snprintf(out, size, "%.*g", digits, v);
        if (single ? strtof(out, NULL) == (float)v : strtod(out, NULL) == v) return;
    }
}

/* A line break would be taken for the next element. */
static void string_text(const ingot_string *s, char *out, size_t size)
{
    size_t n = 0;

    for (int64_t i = 0; i < s->n && n + 3 < size; i++) {
        char c = s->s[i];
        if (c == '\n' || c == '\\') out[n++] = '\\';
        out[n++] = c == '\n' ? 'n' : c;
    }
    if (size) out[n] = 0;
}

void ingot_tensor_element_text(const ingot_tensor *t, int64_t i, char *out, size_t size)
{
    const char *p = (const char *)t->data + i * ingot_rt_dtype_size(t->dtype);
    int64_t v;
    size_t n;

    if (t->dtype == INGOT_STRING) {
        string_text((const ingot_string *)(const void *)p, out, size);
    } else if (t->dtype == INGOT_U64) {
        memcpy(&v, p, 8);
        snprintf(out, size, "%" PRIu64, (uint64_t)v);
    } else if (load_integer(t->dtype, p, &v)) {
        snprintf(out, size, "%" PRId64, v);
    } else if (t->dtype == INGOT_C64 || t->dtype == INGOT_C128) {
        bool single = t->dtype == INGOT_C64;
        double_text(load_double(t->dtype, p), single, out, size);
        n = strlen(out);
        if (n + 1 < size) out[n++] = ',';
        double_text(load_double(t->dtype, p + (single ? 4 : 8)), single, out + n, size - n);
    } else {
        double_text(load_double(t->dtype, p), t->dtype != INGOT_F64, out, size);
    }
}

bool ingot_rt_write_text(RtSink *s, const ingot_tensor *t, const char *name, const char **why)
{
    int64_t n = ingot_tensor_elements(t);
    int64_t row = t->rank > 0 ? t->dims[t->rank - 1] : 1;
    char text[400];

    (void)why;
    ingot_tensor_type_text(t->dtype, t->rank, t->dims, NULL, text, sizeof text);
    ingot_rt_sink_text(s, "# %s %s\n", name, text);
    for (int64_t i = 0; i < n; i++) {
        bool last = t->dtype == INGOT_STRING || (i + 1) % row == 0;
        if (t->dtype == INGOT_STRING) {
            const ingot_string *e = (const ingot_string *)t->data + i;
            size_t room = (size_t)e->n * 2 + 8;
            char *line = malloc(room);
            if (line) string_text(e, line, room);
            ingot_rt_sink_put(s, line ? line : "", line ? strlen(line) : 0);
            if (!line) s->failed = true;
            free(line);
        } else {
            ingot_tensor_element_text(t, i, text, sizeof text);
            ingot_rt_sink_put(s, text, strlen(text));
        }
        ingot_rt_sink_put(s, last ? "\n" : " ", 1);
    }
    return true;
}

static bool is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r') || c == ',' || c == ';';
}

/* The next token of [*at, end); 0 at the end. Comments run from # to the end of the line. */
static size_t next_token(const uint8_t **at, const uint8_t *end)
{
    const uint8_t *p = *at, *start;

    while (p < end && (is_space(*p) || *p == '#')) {
        if (*p++ != '#') continue;
        while (p < end && *p != '\n')
            p++;
    }
    start = p;
    while (p < end && !is_space(*p) && *p != '#')
        p++;
    *at = start;
    return (size_t)(p - start);
}

static bool parse_element(int32_t dtype, const char *text, void *to)
{
    char *end;

    if (dtype == INGOT_I64 || dtype == INGOT_U64) {
        long long v =
            dtype == INGOT_I64 ? strtoll(text, &end, 10) : (long long)strtoull(text, &end, 10);
        if (*end == 0 && end != text) {
            store_integer(dtype, to, v);
            return true;
        }
    }
    double v = strtod(text, &end);
    ingot_rt_store(dtype, to, v);
    return *end == 0 && end != text;
}

static int32_t read_numbers(const RtReader *r)
{
    const uint8_t *end = r->data + r->size, *at;
    int32_t dtype = r->want->port->dtype;
    int64_t count = 0, dims[INGOT_MAX_RANK] = {0}, size = ingot_rt_dtype_size(dtype);
    int32_t status;
    size_t n;
    char token[64];

    for (at = r->data; (n = next_token(&at, end)) > 0; at += n)
        count++;
    status = ingot_rt_io_settle(r, count, dims);
    if (!status) status = ingot_rt_io_take(r, dtype, r->want->port->rank, dims, 0);
    if (status) return status;
    if (count != ingot_tensor_elements(r->out)) {
        return ingot_rt_io_fail(r, INGOT_ERR_USAGE, "holds %lld numbers, '%s' needs %lld",
                                (long long)count, r->want->port->name,
                                (long long)ingot_tensor_elements(r->out));
    }
    at = r->data;
    for (int64_t i = 0; i < count; i++, at += n) {
        n = next_token(&at, end);
        size_t kept = n < sizeof token ? n : sizeof token - 1;
        memcpy(token, at, kept);
        token[kept] = 0;
        if (n != kept || !parse_element(dtype, token, (char *)r->out->data + i * size)) {
            return ingot_rt_io_fail(r, INGOT_ERR_DATA, "element %lld is no number: '%s'",
                                    (long long)i, token);
        }
    }
    return INGOT_OK;
}

/* Lines; a first line that starts with # is a comment. */
static int32_t read_lines(const RtReader *r)
{
    const uint8_t *end = r->data + r->size, *at = r->data;
    int64_t count = 0, dims[INGOT_MAX_RANK] = {0};
    int32_t status;

    if (at < end && *at == '#') {
        while (at < end && *at++ != '\n') {
        }
    }
    for (const uint8_t *p = at; p < end; p++)
        count += *p == '\n' || p + 1 == end;
    status = ingot_rt_io_settle(r, count, dims);
    if (!status)
        status = ingot_rt_io_take(r, INGOT_STRING, r->want->port->rank, dims, (size_t)(end - at));
    if (status) return status;
    if (count != ingot_tensor_elements(r->out)) {
        return ingot_rt_io_fail(r, INGOT_ERR_USAGE, "holds %lld lines, '%s' needs %lld",
                                (long long)count, r->want->port->name,
                                (long long)ingot_tensor_elements(r->out));
    }
    ingot_string *s = r->out->data;
    char *to = (char *)(s + count);
    for (int64_t i = 0; i < count; i++) {
        s[i].s = to;
        for (; at < end && *at != '\n'; at++) {
            bool escaped = *at == '\\' && at + 1 < end && (at[1] == 'n' || at[1] == '\\');
            at += escaped;
            *to++ = escaped && *at == 'n' ? '\n' : (char)*at;
        }
        at++;
        s[i].n = to - s[i].s;
    }
    return INGOT_OK;
}

int32_t ingot_rt_read_text(const RtReader *r)
{
    const ingot_port *p = r->want ? r->want->port : NULL;

    if (!p)
        return ingot_rt_io_fail(r, INGOT_ERR_USAGE,
                                "text says neither dtype nor dims, and none are known here");
    if (p->dtype == INGOT_C64 || p->dtype == INGOT_C128) {
        return ingot_rt_io_fail(r, INGOT_ERR_USAGE, "complex numbers cannot be read from text");
    }
    return p->dtype == INGOT_STRING ? read_lines(r) : read_numbers(r);
}
