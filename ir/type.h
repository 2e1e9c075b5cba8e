/* type.h: what a value is: a tensor of dtype and dims, a sequence, an optional or a map; and
 * constant tensors. */
#ifndef INGOT_IR_TYPE_H
#define INGOT_IR_TYPE_H

#include "ir/dim.h"
#include "ir/dtype.h"
#include "support/diag.h"

#define MAX_RANK     12 /* INGOT_MAX_RANK */
#define RANK_UNKNOWN (-1)
#define RANK_NONE    (-2) /* of the elements of a sequence that has had none yet */

typedef enum TypeKind {
    TYPE_UNKNOWN,
    TYPE_TENSOR,
    TYPE_SEQUENCE,
    TYPE_OPTIONAL,
    TYPE_MAP
} TypeKind;

typedef struct Type {
    TypeKind kind;
    DType dtype;             /* TENSOR; DT_NONE while unknown. MAP: of the keys */
    int rank;                /* TENSOR; RANK_UNKNOWN when only the run can tell */
    const Dim *dim;          /* [rank] */
    const struct Type *elem; /* SEQUENCE, OPTIONAL, MAP */
} Type;

Type type_tensor(DType dtype, int rank, const Dim *dim); /* keeps the pointer */
bool type_equal(const Type *a, const Type *b);
bool type_is_static(const Type *t);            /* a tensor whose dims are all constants */
Dim type_count(DimTable *t, const Type *type); /* number of elements */
/* What holds for elements of type a and of type b in one sequence. Only constant dims of an
 * element's type are promises: any other stands for what each element may have for itself, so dims
 * that differ become a symbol that nobody binds, ranks that differ are unknown. False where the
 * kinds or dtypes differ. */
bool type_join(DimTable *t, Arena *arena, const Type *a, const Type *b, Type *out);
/* A boxed value: at run time a descriptor of its own tells its dims: sequences, optionals, maps,
 * tensors of unknown rank. */
static inline bool type_is_boxed(const Type *t)
{
    return t->kind != TYPE_TENSOR || t->rank < 0;
}
void type_print(Text *out, const Type *t); /* f32[2,n+1], f32[*], seq(f32[n]), ... */
const char *type_parse(DimTable *t, Arena *a, const char *s, Type *out); /* NULL when malformed */

/* A constant or evaluated tensor: dense, row-major. Immutable once it is part of a graph. */
typedef struct Tensor {
    DType dtype;
    int rank;
    int64_t *dim;  /* [rank] */
    int64_t count; /* elements */
    size_t bytes;  /* at data; strings: count * sizeof(StringRef) */
    void *data;
    TypeKind kind; /* SEQUENCE, OPTIONAL, MAP: a list; any other: a tensor */
} Tensor;

typedef struct StringRef { /* same layout as ingot_string */
    const char *s;
    int64_t n;
} StringRef;

/* The one computation of a tensor's size: false on negative dims, rank > MAX_RANK, or overflow. */
bool tensor_size(DType t, int rank, const int64_t *dim, int64_t *count, size_t *bytes);
/* New, zeroed. NULL when too large for the arena. tensor_wrap keeps the pointer to data (a mapped
 * file). */
Tensor *tensor_new(Arena *a, DType t, int rank, const int64_t *dim);
Tensor *tensor_wrap(Arena *a, DType t, int rank, const int64_t *dim, const void *data);
Tensor *tensor_scalar_double(Arena *a, DType t, double v);
Tensor *tensor_scalar_int(Arena *a, DType t, int64_t v);
Tensor *tensor_i64s(Arena *a, int n, const int64_t *v); /* rank 1 */
/* Same elements, other dims (the count must agree, else NULL). */
Tensor *tensor_reshape(Arena *a, const Tensor *t, int rank, const int64_t *dim);

/* A sequence, an optional (of 0 or 1 elements) or a map (keys, values) for the evaluator: a list
 * whose elements are tensors and lists: rank 1, dtype DT_NONE, data a `Tensor *` for each. The
 * elements are not copied. NULL when too large for the arena. */
Tensor *tensor_list(Arena *a, TypeKind kind, int64_t n, Tensor *const *item);
static inline bool tensor_is_list(const Tensor *t)
{
    return t->kind > TYPE_TENSOR;
}
static inline Tensor **tensor_items(const Tensor *t)
{
    return t->data;
}

static inline void *tensor_at(const Tensor *t, int64_t i)
{
    return (char *)t->data + (size_t)i * (size_t)dtype_bytes(t->dtype);
}
static inline double tensor_double(const Tensor *t, int64_t i)
{
    return dtype_load_double(t->dtype, tensor_at(t, i));
}
static inline int64_t tensor_int(const Tensor *t, int64_t i)
{
    return dtype_load_int(t->dtype, tensor_at(t, i));
}
static inline void tensor_set_double(Tensor *t, int64_t i, double v)
{
    dtype_store_double(t->dtype, tensor_at(t, i), v, true);
}
static inline void tensor_set_int(Tensor *t, int64_t i, int64_t v)
{
    dtype_store_int(t->dtype, tensor_at(t, i), v);
}

#endif
