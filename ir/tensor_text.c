/* tensor_text.c: constant tensors as text, and back.
 *
 *     f32[2,2] {1 -0.5 inf nan}      row-major; 0x7fc00001 gives the bits of an element
 *     f32[64] {0 ...}                all elements alike
 *     string[2] {"a" "b"}
 *     f32[64] #0123...               128 bits over type and elements; the elements stand in a data
 * line */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "ir/graph_text.h"
#include "support/digest.h"

#define TEXT_BYTES ((size_t)1 << 30) /* the largest constant that text may ask for */

static void print_float(Text *out, DType t, const void *element)
{
    double v = dtype_load_double(t, element);
    uint64_t bits = dtype_load_bits(t, element), plain = 0;
    dtype_store_double(t, &plain, v != v ? (double)__builtin_nanf("") : v, true);
    if (v != v && plain != bits)
        text_f(out, "0x%llx", (unsigned long long)bits);
    else if (t == DT_F32)
        text_float(out, (float)v);
    else
        text_double(out, v);
}

static void print_element(Text *out, const Tensor *t, int64_t i)
{
    const char *element = tensor_at(t, i);
    switch (dtype_kind(t->dtype)) {
    case KIND_STRING:
        text_quote(out, ((const StringRef *)t->data)[i].s,
                   (size_t)((const StringRef *)t->data)[i].n);
        break;
    case KIND_FLOAT:
        print_float(out, t->dtype, element);
        break;
    case KIND_COMPLEX: {
        DType part = t->dtype == DT_C64 ? DT_F32 : DT_F64;
        print_float(out, part, element);
        text_char(out, ':');
        print_float(out, part, element + dtype_bytes(part));
        break;
    }
    case KIND_UINT:
        text_f(out, "%llu", (unsigned long long)dtype_load_bits(t->dtype, element));
        break;
    case KIND_BOOL:
    case KIND_INT:
        text_f(out, "%lld", (long long)tensor_int(t, i));
        break;
    }
}

static bool all_alike(const Tensor *t)
{
    size_t size = (size_t)dtype_bytes(t->dtype);
    if (t->count < 2 || t->dtype == DT_STRING) return false;
    return memcmp(t->data, (const char *)t->data + size, t->bytes - size) == 0;
}

bool tensor_has_data_line(const Tensor *t)
{
    return t->count > INLINE_ELEMENTS && !all_alike(t);
}

void tensor_digest(const Tensor *t, char out[33])
{
    int code = dtype_onnx(t->dtype); /* which new dtypes do not change */
    Digest d = digest_bytes(&code, sizeof code);
    d = digest_mix(d, t->dim, (size_t)t->rank * sizeof *t->dim);
    if (t->dtype != DT_STRING) {
        d = digest_mix(d, t->data, t->bytes);
    } else {
        const StringRef *s = t->data;
        for (int64_t i = 0; i < t->count; i++) {
            d = digest_mix(d, &s[i].n, sizeof s[i].n);
            d = digest_mix(d, s[i].s, (size_t)s[i].n);
        }
    }
    digest_text(d, out);
}

void tensor_print(Text *out, const Tensor *t, bool whole)
{
    bool alike = all_alike(t);
    text_f(out, "%s[", dtype_text(t->dtype));
    for (int i = 0; i < t->rank; i++)
        text_f(out, "%s%lld", i ? "," : "", (long long)t->dim[i]);
    text_put(out, "] ");
    if (!whole && tensor_has_data_line(t)) {
        char digest[33];
        tensor_digest(t, digest);
        text_f(out, "#%s", digest);
        return;
    }
    text_char(out, '{');
    for (int64_t i = 0; i < (alike ? 1 : t->count); i++) {
        if (i) text_char(out, ' ');
        print_element(out, t, i);
    }
    text_put(out, alike ? " ...}" : "}");
}

static bool parse_float(DType t, const char *text, void *element)
{
    double v;
    if (strncmp(text, "0x", 2) == 0) {
        char *end;
        uint64_t bits = strtoull(text + 2, &end, 16);
        if (*end || end == text + 2) return false;
        dtype_store_bits(t, element, bits);
        return true;
    }
    if (!parse_double(text, &v)) return false;
    dtype_store_double(t, element, v, true);
    return true;
}

/* An integer within the range of its dtype. */
static bool parse_integer(DType t, const char *text, void *element)
{
    int64_t v;
    if (t == DT_U64) {
        char *end;
        uint64_t u = strtoull(text, &end, 10);
        if (!isdigit((unsigned char)*text) || *end) return false;
        dtype_store_bits(t, element, u);
        return true;
    }
    if (!parse_i64(text, &v)) return false;
    dtype_store_int(t, element, v);
    return dtype_load_int(t, element) == v;
}

static bool read_element(Reader *r, Tensor *t, int64_t i)
{
    char token[80], *colon;
    size_t n = strcspn(r->s, " \t\r\n}");
    if (t->dtype == DT_STRING) return reader_string(r, &((StringRef *)t->data)[i]);
    if (n == 0 || n >= sizeof token) return false;
    memcpy(token, r->s, n);
    token[n] = 0;
    r->s += n;
    if (dtype_is_float(t->dtype)) return parse_float(t->dtype, token, tensor_at(t, i));
    if (dtype_kind(t->dtype) != KIND_COMPLEX)
        return parse_integer(t->dtype, token, tensor_at(t, i));
    DType part = t->dtype == DT_C64 ? DT_F32 : DT_F64;
    colon = strchr(token, ':');
    if (!colon) return false;
    *colon = 0;
    return parse_float(part, token, tensor_at(t, i)) &&
           parse_float(part, colon + 1, (char *)tensor_at(t, i) + dtype_bytes(part));
}

static bool read_elements(Reader *r, Tensor *t)
{
    size_t size = (size_t)dtype_bytes(t->dtype);
    for (int64_t i = 0; i < t->count; i++) {
        reader_space(r);
        if (i == 1 && t->dtype != DT_STRING && reader_eat(r, "...")) {
            for (int64_t k = 1; k < t->count; k++)
                memcpy(tensor_at(t, k), t->data, size);
            break;
        }
        if (!read_element(r, t, i))
            return reader_fail(r, "element %lld of the constant is not a %s", (long long)i,
                               dtype_text(t->dtype));
    }
    return reader_need(r, "}");
}

static bool read_digest(Reader *r, const Type *type, const Tensor **out)
{
    const char *digest;
    if (!reader_word(r, &digest)) return false;
    *out = map_get(&r->data, digest);
    if (!*out) return reader_fail(r, "the elements of constant #%s are not in the text", digest);
    bool same = (*out)->dtype == type->dtype && (*out)->rank == type->rank;
    for (int i = 0; same && i < type->rank; i++)
        same = (*out)->dim[i] == type->dim[i]->value;
    return same || reader_fail(r, "constant #%s has another type", digest);
}

bool reader_tensor(Reader *r, const Tensor **out)
{
    Type type;
    Tensor *t;
    int64_t dim[MAX_RANK], count;
    size_t bytes;
    if (!reader_type(r, &type)) return false;
    if (!type_is_static(&type) || type.dtype == DT_NONE)
        return reader_fail(r, "a constant has a dtype and constant dims");
    for (int i = 0; i < type.rank; i++)
        dim[i] = type.dim[i]->value;
    if (!tensor_size(type.dtype, type.rank, dim, &count, &bytes) || bytes > TEXT_BYTES)
        return reader_fail(r, "the constant is too large, or has a negative dim");
    if (reader_eat(r, "#")) return read_digest(r, &type, out);
    if (!reader_need(r, "{")) return false;
    *out = t = tensor_new(r->m->arena, type.dtype, type.rank, dim);
    if (!t) return reader_fail(r, "there is no memory for the constant");
    return read_elements(r, t);
}
