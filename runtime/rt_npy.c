/* rt_npy.c: numpy's .npy, formats 1 to 3.
 *
 * The header of a .npy is a Python dictionary as text; three keys are looked for, each with a small
 * scanner that knows only the forms that numpy writes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/rt_io.h"

/* ---- the header ---- */

typedef struct NpyHeader {
    char order;   /* '<' '>' '|' */
    char kind;    /* 'f' 'i' 'u' 'b' 'c' 'V' 'S' 'U' */
    int64_t item; /* bytes of an element in the file */
    bool fortran;
    int32_t rank;
    int64_t dims[INGOT_MAX_RANK];
    size_t data_at;
} NpyHeader;

/* What follows `'key':` in [s, end), or NULL. */
static const char *find_key(const char *s, const char *end, const char *key)
{
    size_t n = strlen(key);

    for (; s + n + 3 < end; s++) {
        if ((*s != '\'' && *s != '"') || memcmp(s + 1, key, n) != 0 || s[n + 1] != *s) continue;
        s += n + 2;
        while (s < end && (*s == ' ' || *s == ':'))
            s++;
        return s;
    }
    return NULL;
}

/* Digits at *s; -1 when there are none or too many. */
static int64_t scan_number(const char **s, const char *end)
{
    int64_t v = -1;

    while (*s < end && **s >= '0' && **s <= '9') {
        if (v < 0) v = 0;
        if (v > (INT64_MAX - 9) / 10) return -1;
        v = v * 10 + (*(*s)++ - '0');
    }
    return v;
}

static bool scan_shape(const char *s, const char *end, NpyHeader *h)
{
    if (!s || s >= end || *s++ != '(') return false;
    while (s < end && *s != ')') {
        if (*s == ' ' || *s == ',' || *s == 'L') {
            s++;
            continue;
        }
        int64_t v = scan_number(&s, end);
        if (v < 0 || h->rank == INGOT_MAX_RANK) return false;
        h->dims[h->rank++] = v;
    }
    return s < end;
}

static bool scan_descr(const char *s, const char *end, NpyHeader *h)
{
    if (!s || end - s < 4 || (*s != '\'' && *s != '"')) return false;
    s++;
    h->order = *s == '<' || *s == '>' || *s == '|' || *s == '=' ? *s++ : '<';
    h->kind = *s++;
    h->item = scan_number(&s, end);
    if (h->kind == 'U' && h->item > 0 && h->item < INT32_MAX) h->item *= 4; /* said in characters */
    return h->item >= 0 && h->item < (int64_t)INT32_MAX * 4 && s < end && (*s == '\'' || *s == '"');
}

static int32_t parse_header(const RtReader *r, NpyHeader *h)
{
    const uint8_t *d = r->data;
    size_t length, start;
    const char *s, *end, *at;

    *h = (NpyHeader){0};
    if (r->size < 10 || memcmp(d, "\x93NUMPY", 6) != 0)
        return ingot_rt_io_fail(r, INGOT_ERR_DATA, "is no .npy file");
    start = d[6] >= 2 ? 12 : 10;
    if (r->size < start) return ingot_rt_io_fail(r, INGOT_ERR_DATA, "is cut short");
    length = (size_t)d[8] | (size_t)d[9] << 8;
    if (d[6] >= 2) length |= (size_t)d[10] << 16 | (size_t)d[11] << 24;
    if (d[6] < 1 || d[6] > 3 || length > r->size - start) {
        return ingot_rt_io_fail(r, INGOT_ERR_DATA, "has a header of %zu bytes, of format %d",
                                length, d[6]);
    }
    s = (const char *)d + start;
    end = s + length;
    at = find_key(s, end, "fortran_order");
    h->fortran = at && at < end && *at == 'T';
    h->data_at = start + length;
    if (at && scan_descr(find_key(s, end, "descr"), end, h) &&
        scan_shape(find_key(s, end, "shape"), end, h)) {
        return INGOT_OK;
    }
    return ingot_rt_io_fail(r, INGOT_ERR_DATA,
                            "has a .npy header that is not understood (a structured or object "
                            "array, or more than %d dims)",
                            INGOT_MAX_RANK);
}

static const struct {
    char kind;
    int8_t item;
    int32_t dtype;
} npy_dtypes[] = {
    {'f', 2, INGOT_F16}, {'f', 4, INGOT_F32},   {'f', 8, INGOT_F64}, {'i', 1, INGOT_I8},
    {'i', 2, INGOT_I16}, {'i', 4, INGOT_I32},   {'i', 8, INGOT_I64}, {'u', 1, INGOT_U8},
    {'u', 2, INGOT_U16}, {'u', 4, INGOT_U32},   {'u', 8, INGOT_U64}, {'b', 1, INGOT_BOOL},
    {'c', 8, INGOT_C64}, {'c', 16, INGOT_C128},
};

#define N_NPY_DTYPES (sizeof npy_dtypes / sizeof *npy_dtypes)

/* 0 when there is none. Void elements, and plain bytes, stand for what the port wants where numpy
 * has no name for it. */
static int32_t dtype_of(const RtReader *r, const NpyHeader *h)
{
    const ingot_port *p = r->want ? r->want->port : NULL;

    if (h->kind == 'S' || h->kind == 'U') return INGOT_STRING;
    if (p && ingot_rt_dtype_is_void(p->dtype) &&
        (h->kind == 'V' || h->kind == 'u' || h->kind == 'i') &&
        h->item == ingot_rt_dtype_size(p->dtype)) {
        return p->dtype;
    }
    if (h->kind == 'V' && h->item == 2) return INGOT_BF16;
    for (size_t i = 0; i < N_NPY_DTYPES; i++) {
        if (npy_dtypes[i].kind == h->kind && npy_dtypes[i].item == h->item)
            return npy_dtypes[i].dtype;
    }
    return 0;
}

/* ---- the elements ---- */

/* Where element i of row-major order lies in a file of column-major order. */
static int64_t fortran_index(const NpyHeader *h, int64_t i)
{
    int64_t at = 0, stride[INGOT_MAX_RANK], s = 1;

    for (int32_t k = 0; k < h->rank; k++) {
        stride[k] = s;
        s *= h->dims[k];
    }
    for (int32_t k = h->rank; k-- > 0;) {
        at += i % h->dims[k] * stride[k];
        i /= h->dims[k];
    }
    return at;
}

static void swap_bytes(uint8_t *p, int64_t size)
{
    for (int64_t i = 0; i < size / 2; i++) {
        uint8_t t = p[i];
        p[i] = p[size - 1 - i];
        p[size - 1 - i] = t;
    }
}

static size_t put_utf8(char *to, uint32_t c)
{
    if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) c = 0xfffd;
    if (c < 0x80) {
        to[0] = (char)c;
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t k = n; k-- > 1; c >>= 6)
        to[k] = (char)(0x80 | (c & 0x3f));
    to[0] = (char)((0xf00 >> n & 0xf0) | c);
    return n;
}

/* One element of kind S or U as UTF-8 at `to`; trailing NULs are padding. Returns its bytes. */
static size_t convert_string(const NpyHeader *h, const uint8_t *from, char *to)
{
    size_t n = 0, kept = 0;

    for (int64_t k = 0; k < h->item; k += h->kind == 'U' ? 4 : 1) {
        uint32_t c = from[k];
        if (h->kind == 'U') {
            memcpy(&c, from + k, 4);
            if (h->order == '>') c = __builtin_bswap32(c);
            n += put_utf8(to + n, c);
        } else {
            to[n++] = (char)c;
        }
        if (c) kept = n;
    }
    return kept;
}

static void fill_strings(const RtReader *r, const NpyHeader *h, int64_t n)
{
    ingot_string *s = r->out->data;
    char *to = (char *)(s + n);
    const uint8_t *from = r->data + h->data_at;

    for (int64_t i = 0; i < n; i++) {
        s[i].s = to;
        s[i].n =
            (int64_t)convert_string(h, from + (h->fortran ? fortran_index(h, i) : i) * h->item, to);
        to += h->item; /* UTF-8 never needs more than the four bytes of UCS-4 */
    }
}

static void fill_elements(const RtReader *r, const NpyHeader *h, int64_t n)
{
    uint8_t *to = r->out->data;
    const uint8_t *from = r->data + h->data_at;
    int64_t part = h->kind == 'c' ? h->item / 2 : h->item;

    if (!h->fortran) {
        if (n) memcpy(to, from, (size_t)(n * h->item));
    } else {
        for (int64_t i = 0; i < n; i++)
            memcpy(to + i * h->item, from + fortran_index(h, i) * h->item, (size_t)h->item);
    }
    if (h->order == '>' && part > 1) {
        for (int64_t i = 0; i < n * h->item; i += part)
            swap_bytes(to + i, part);
    }
    if (r->out->dtype == INGOT_BOOL) {
        for (int64_t i = 0; i < n; i++)
            to[i] = to[i] != 0;
    }
}

int32_t ingot_rt_read_npy(const RtReader *r)
{
    NpyHeader h;
    int32_t status = parse_header(r, &h), dtype;
    int64_t n, bytes;

    if (status) return status;
    dtype = dtype_of(r, &h);
    n = dtype ? ingot_rt_elements(dtype, h.rank, h.dims) : -1;
    if (n < 0 || __builtin_mul_overflow(n, h.item, &bytes) || (h.kind == 'U' && h.item % 4)) {
        return ingot_rt_io_fail(r, INGOT_ERR_DATA,
                                "has elements '%c%lld' or dims that are not supported",
                                h.kind >= ' ' && h.kind <= '~' ? h.kind : '?', (long long)h.item);
    }
    if ((uint64_t)bytes > r->size - h.data_at) {
        return ingot_rt_io_fail(r, INGOT_ERR_DATA,
                                "is cut short: %zu bytes of data, its header says %lld",
                                r->size - h.data_at, (long long)bytes);
    }
    if (dtype == INGOT_STRING && h.item == 0 && n > (1 << 20)) {
        return ingot_rt_io_fail(r, INGOT_ERR_LIMIT, "has %lld empty strings", (long long)n);
    }
    status = ingot_rt_io_take(r, dtype, h.rank, h.dims, dtype == INGOT_STRING ? (size_t)bytes : 0);
    if (status) return status;
    if (dtype == INGOT_STRING) {
        fill_strings(r, &h, n);
    } else {
        fill_elements(r, &h, n);
    }
    return INGOT_OK;
}

/* ---- writing ---- */

/* Characters of a UTF-8 string, each NUL-padded to `width` UCS-4; malformed bytes stand for
 * themselves (Latin-1). */
static int64_t ucs4(const ingot_string *s, RtSink *sink, int64_t width)
{
    int64_t n = 0;

    for (int64_t i = 0; i < s->n; n++) {
        uint8_t c = (uint8_t)s->s[i];
        int more = c < 0xc2 ? 0 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : c < 0xf5 ? 3 : 0;
        uint32_t v = more ? c & (0x3fu >> more) : c;

        for (int k = 1; k <= more; k++) {
            if (i + k >= s->n || ((uint8_t)s->s[i + k] & 0xc0) != 0x80) {
                more = 0;
                v = c;
                break;
            }
            v = v << 6 | ((uint8_t)s->s[i + k] & 0x3f);
        }
        if (sink) ingot_rt_sink_le(sink, v, 4);
        i += more + 1;
    }
    for (int64_t k = n; sink && k < width; k++)
        ingot_rt_sink_le(sink, 0, 4);
    return n;
}

static void write_header(RtSink *s, const ingot_tensor *t, const char *descr)
{
    char text[512];
    size_t n, padded;

    n = (size_t)snprintf(text, sizeof text, "{'descr': '%s', 'fortran_order': False, 'shape': (",
                         descr);
    for (int32_t k = 0; k < t->rank; k++) {
        n += (size_t)snprintf(text + n, sizeof text - n, k + 1 == t->rank && k ? "%lld" : "%lld, ",
                              (long long)t->dims[k]);
    }
    n += (size_t)snprintf(text + n, sizeof text - n, "), }");
    padded = (10 + n + 1 + 63) / 64 * 64 - 10;
    memset(text + n, ' ', padded - n);
    text[padded - 1] = '\n';
    ingot_rt_sink_put(s, "\x93NUMPY\x01\x00", 8);
    ingot_rt_sink_le(s, padded, 2);
    ingot_rt_sink_put(s, text, padded);
}

bool ingot_rt_write_npy(RtSink *s, const ingot_tensor *t, const char *name, const char **why)
{
    int64_t n = ingot_tensor_elements(t), size = ingot_rt_dtype_size(t->dtype), width = 1;
    char descr[32];

    (void)name;
    (void)why;
    if (t->dtype == INGOT_STRING) {
        const ingot_string *e = t->data;
        for (int64_t i = 0; i < n; i++) {
            int64_t w = ucs4(&e[i], NULL, 0);
            if (w > width) width = w;
        }
        snprintf(descr, sizeof descr, "<U%lld", (long long)width);
        write_header(s, t, descr);
        for (int64_t i = 0; i < n; i++)
            ucs4(&e[i], s, width);
        return true;
    }
    snprintf(descr, sizeof descr, "%sV%lld", size > 1 ? "<" : "|", (long long)size);
    for (size_t i = 0; i < N_NPY_DTYPES; i++) {
        if (npy_dtypes[i].dtype != t->dtype) continue;
        snprintf(descr, sizeof descr, "%s%c%d", size > 1 ? "<" : "|", npy_dtypes[i].kind,
                 npy_dtypes[i].item);
    }
    write_header(s, t, descr);
    ingot_rt_sink_put(s, t->data, (size_t)(n * size));
    return true;
}
