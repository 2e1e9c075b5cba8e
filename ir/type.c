/* type.c: types of values as text and in comparison, and constant tensors. */
#include "ir/type.h"

#include <ctype.h>
#include <string.h>

#include "support/checked.h"

#define TYPE_DEPTH 32 /* nesting that type_parse accepts */

_Static_assert(sizeof(StringRef) == 16, "dtype.def says so");

Type type_tensor(DType dtype, int rank, const Dim *dim)
{
    return (Type){.kind = TYPE_TENSOR, .dtype = dtype, .rank = rank, .dim = dim};
}

bool type_equal(const Type *a, const Type *b)
{
    for (;; a = a->elem, b = b->elem) {
        if (a == b) return true;
        if (a->kind != b->kind) return false;
        switch (a->kind) {
        case TYPE_UNKNOWN:
            return true;
        case TYPE_TENSOR:
            if (a->dtype != b->dtype || a->rank != b->rank) return false;
            for (int i = 0; i < a->rank; i++)
                if (!dim_equal(a->dim[i], b->dim[i])) return false;
            return true;
        case TYPE_MAP:
            if (a->dtype != b->dtype) return false;
            break;
        case TYPE_SEQUENCE:
        case TYPE_OPTIONAL:
            break;
        }
        if (!a->elem || !b->elem) return a->elem == b->elem;
    }
}

bool type_is_static(const Type *t)
{
    if (t->kind != TYPE_TENSOR || t->rank < 0) return false;
    for (int i = 0; i < t->rank; i++)
        if (!dim_is_const(t->dim[i])) return false;
    return true;
}

Dim type_count(DimTable *t, const Type *type)
{
    return dim_product(t, type->rank, type->dim);
}

static bool join_dims(DimTable *t, Arena *arena, const Type *a, const Type *b, Type *out)
{
    Dim *dim = ARENA_ARRAY(arena, Dim, a->rank);

    for (int i = 0; i < a->rank; i++)
        dim[i] = !dim_is_const(a->dim[i]) || dim_equal(a->dim[i], b->dim[i]) ? a->dim[i]
                 : !dim_is_const(b->dim[i])                                  ? b->dim[i]
                                            : dim_fresh(t, "any", 0, INT32_MAX);
    out->dim = dim;
    return true;
}

bool type_join(DimTable *t, Arena *arena, const Type *a, const Type *b, Type *out)
{
    Type *elem;

    *out = *a;
    if (a->kind != b->kind || a->dtype != b->dtype) return false;
    if (a->kind == TYPE_TENSOR) {
        if (a->rank == RANK_NONE) *out = *b;
        if (a->rank == RANK_NONE || b->rank == RANK_NONE) return true;
        if (a->rank == b->rank) return join_dims(t, arena, a, b, out);
        *out = type_tensor(a->dtype, RANK_UNKNOWN, NULL);
        return true;
    }
    if (!a->elem || !b->elem) return a->elem == b->elem;
    elem = ARENA_NEW(arena, Type);
    out->elem = elem;
    return type_join(t, arena, a->elem, b->elem, elem);
}

static const char *const wrapper[] = {
    [TYPE_SEQUENCE] = "seq", [TYPE_OPTIONAL] = "optional", [TYPE_MAP] = "map"};

void type_print(Text *out, const Type *t)
{
    if (t->kind == TYPE_UNKNOWN) {
        text_put(out, "?");
        return;
    }
    if (t->kind != TYPE_TENSOR) {
        text_f(out, "%s(", wrapper[t->kind]);
        if (t->kind == TYPE_MAP) text_f(out, "%s,", dtype_text(t->dtype));
        if (t->elem)
            type_print(out, t->elem);
        else
            text_put(out, "?");
        text_char(out, ')');
        return;
    }
    text_f(out, "%s[", t->dtype == DT_NONE ? "?" : dtype_text(t->dtype));
    if (t->rank == RANK_UNKNOWN) text_char(out, '*');
    if (t->rank == RANK_NONE) text_char(out, '-');
    for (int i = 0; i < t->rank; i++) {
        if (i) text_char(out, ',');
        dim_print(out, t->dim[i]);
    }
    text_char(out, ']');
}

/* A word of letters and digits into word[16], or "?". */
static const char *parse_word(const char *s, char word[16])
{
    size_t n = 0;
    if (*s == '?') {
        word[n++] = *s++;
    } else {
        while (n < 15 && isalnum((unsigned char)*s))
            word[n++] = *s++;
    }
    word[n] = 0;
    return n ? s : NULL;
}

static const char *parse_dims(DimTable *t, Arena *a, const char *s, Type *out)
{
    Dim dim[MAX_RANK];
    int rank = 0;
    if (s[0] == '*' && s[1] == ']') {
        out->rank = RANK_UNKNOWN;
        return s + 2;
    }
    if (s[0] == '-' && s[1] == ']') {
        out->rank = RANK_NONE;
        return s + 2;
    }
    while (*s != ']') {
        if (rank == MAX_RANK || (rank > 0 && *s++ != ',')) return NULL;
        s = dim_parse(t, s, &dim[rank++]);
        if (!s) return NULL;
    }
    out->rank = rank;
    out->dim = arena_copy(a, dim, (size_t)rank * sizeof *dim);
    return s + 1;
}

static const char *parse_type(DimTable *t, Arena *a, const char *s, int depth, Type *out)
{
    char word[16];
    *out = (Type){0};
    s = depth < TYPE_DEPTH ? parse_word(s, word) : NULL;
    if (!s) return NULL;
    for (TypeKind k = TYPE_SEQUENCE; k <= TYPE_MAP; k++) {
        if (*s != '(' || strcmp(word, wrapper[k]) != 0) continue;
        Type elem;
        out->kind = k;
        s++;
        if (k == TYPE_MAP) {
            s = parse_word(s, word);
            if (!s || *s++ != ',') return NULL;
            out->dtype = dtype_parse(word);
            if (out->dtype == DT_NONE) return NULL;
        }
        s = parse_type(t, a, s, depth + 1, &elem);
        if (!s || *s != ')') return NULL;
        out->elem = arena_copy(a, &elem, sizeof elem);
        return s + 1;
    }
    bool unknown = strcmp(word, "?") == 0;
    if (*s != '[') return unknown ? s : NULL;
    out->kind = TYPE_TENSOR;
    out->dtype = unknown ? DT_NONE : dtype_parse(word);
    if (!unknown && out->dtype == DT_NONE) return NULL;
    return parse_dims(t, a, s + 1, out);
}

const char *type_parse(DimTable *t, Arena *a, const char *s, Type *out)
{
    return parse_type(t, a, s, 0, out);
}

bool tensor_size(DType t, int rank, const int64_t *dim, int64_t *count, size_t *bytes)
{
    int64_t n = 1;
    if (rank < 0 || rank > MAX_RANK) return false;
    for (int i = 0; i < rank; i++)
        if (dim[i] < 0) return false;
    /* A zero among the dims makes the size zero, but the others must still multiply: strides are
     * computed. */
    bool empty = false;
    for (int i = 0; i < rank; i++) {
        if (dim[i] == 0)
            empty = true;
        else if (!checked_mul_i64(n, dim[i], &n))
            return false;
    }
    if (!checked_mul((size_t)n, (size_t)dtype_bytes(t), bytes) || *bytes > INT64_MAX) return false;
    *count = empty ? 0 : n;
    if (empty) *bytes = 0;
    return true;
}

static Tensor *tensor_header(Arena *a, DType t, int rank, const int64_t *dim)
{
    int64_t count;
    size_t bytes;
    if (!tensor_size(t, rank, dim, &count, &bytes)) return NULL;
    Tensor *r = ARENA_NEW(a, Tensor);
    r->dtype = t;
    r->rank = rank;
    r->dim = ARENA_ARRAY(a, int64_t, rank);
    r->count = count;
    r->bytes = bytes;
    if (rank) memcpy(r->dim, dim, (size_t)rank * sizeof *dim);
    return r;
}

Tensor *tensor_new(Arena *a, DType t, int rank, const int64_t *dim)
{
    Tensor *r = tensor_header(a, t, rank, dim);
    if (!r) return NULL;
    r->data = r->bytes > ARENA_SMALL ? arena_try(a, r->bytes, 1)
                                     : arena_alloc(a, r->bytes ? r->bytes : 1);
    return r->data ? r : NULL;
}

Tensor *tensor_list(Arena *a, TypeKind kind, int64_t n, Tensor *const *item)
{
    Tensor *r = ARENA_NEW(a, Tensor);
    size_t bytes;

    if (n < 0 || !checked_mul((size_t)n, sizeof *item, &bytes)) return NULL;
    *r = (Tensor){.dtype = DT_NONE, .rank = 1, .count = n, .bytes = bytes, .kind = kind};
    r->dim = ARENA_ARRAY(a, int64_t, 1);
    r->dim[0] = n;
    r->data = arena_try(a, bytes + 1, 1);
    if (r->data && bytes) memcpy(r->data, item, bytes);
    return r->data ? r : NULL;
}

Tensor *tensor_wrap(Arena *a, DType t, int rank, const int64_t *dim, const void *data)
{
    Tensor *r = tensor_header(a, t, rank, dim);
    if (r) r->data = (void *)(uintptr_t)data; /* immutable by agreement */
    return r;
}

Tensor *tensor_scalar_double(Arena *a, DType t, double v)
{
    Tensor *r = tensor_new(a, t, 0, NULL);
    if (r) tensor_set_double(r, 0, v);
    return r;
}

Tensor *tensor_scalar_int(Arena *a, DType t, int64_t v)
{
    Tensor *r = tensor_new(a, t, 0, NULL);
    if (r) tensor_set_int(r, 0, v);
    return r;
}

Tensor *tensor_i64s(Arena *a, int n, const int64_t *v)
{
    int64_t dim[1] = {n};
    Tensor *r = tensor_new(a, DT_I64, 1, dim);
    if (r && n > 0) memcpy(r->data, v, (size_t)n * sizeof *v);
    return r;
}

Tensor *tensor_reshape(Arena *a, const Tensor *t, int rank, const int64_t *dim)
{
    Tensor *r = tensor_header(a, t->dtype, rank, dim);
    if (!r || r->count != t->count) return NULL;
    r->data = t->data;
    return r;
}
