/* dtype.h: element types, one row each in dtype.def; and conversion of one element, with every
 * rounding and saturation stated. Used by the evaluator and the folder; generated code does the
 * same by scalar expressions. */
#ifndef INGOT_IR_DTYPE_H
#define INGOT_IR_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum DType {
    DT_NONE,
#define DTYPE(NAME, text, onnx, kind, bits, bytes, c) DT_##NAME,
#include "ir/dtype.def"
#undef DTYPE
    DT_COUNT
} DType;

typedef enum DTypeKind {
    KIND_BOOL,
    KIND_UINT,
    KIND_INT,
    KIND_FLOAT,
    KIND_COMPLEX,
    KIND_STRING
} DTypeKind;

/* Sets of dtypes, one bit each: DT_BIT(DT_F32) | DT_BIT(DT_F16). */
#define DT_BIT(t) (1u << (unsigned)(t))
#define T_FLOAT_NARROW                                                                             \
    (DT_BIT(DT_F4E2M1) | DT_BIT(DT_F6E2M3) | DT_BIT(DT_F6E3M2) | DT_BIT(DT_F8E4M3FN) |             \
     DT_BIT(DT_F8E4M3FNUZ) | DT_BIT(DT_F8E5M2) | DT_BIT(DT_F8E5M2FNUZ) | DT_BIT(DT_F8E8M0))
#define T_FLOAT      (DT_BIT(DT_F16) | DT_BIT(DT_BF16) | DT_BIT(DT_F32) | DT_BIT(DT_F64))
#define T_F32        DT_BIT(DT_F32)
#define T_I32        DT_BIT(DT_I32)
#define T_BYTE       (DT_BIT(DT_U8) | DT_BIT(DT_I8))
#define T_IDS        (DT_BIT(DT_I32) | DT_BIT(DT_I64)) /* sizes and indices */
#define T_UINT       (DT_BIT(DT_U8) | DT_BIT(DT_U16) | DT_BIT(DT_U32) | DT_BIT(DT_U64))
#define T_SINT       (DT_BIT(DT_I8) | DT_BIT(DT_I16) | DT_BIT(DT_I32) | DT_BIT(DT_I64))
#define T_INT_NARROW (DT_BIT(DT_U2) | DT_BIT(DT_U4) | DT_BIT(DT_I2) | DT_BIT(DT_I4))
#define T_INT        (T_UINT | T_SINT)
#define T_NUMBER     (T_FLOAT | T_INT)
#define T_BOOL       DT_BIT(DT_BOOL)
#define T_STRING     DT_BIT(DT_STRING)
#define T_ANY        (~0u)

const char *dtype_text(DType t);     /* "f32" */
DType dtype_parse(const char *text); /* DT_NONE when unknown */
DType dtype_from_onnx(int code);     /* DT_NONE when unknown */
int dtype_onnx(DType t);
DTypeKind dtype_kind(DType t);
int dtype_bits(DType t);
int dtype_bytes(DType t); /* in memory */
const char *dtype_c(DType t);
bool dtype_is_float(DType t); /* KIND_FLOAT, the narrow ones included */
bool dtype_is_int(DType t);   /* KIND_INT or KIND_UINT */
bool dtype_is_signed(DType t);

/* One element. Loading a float gives its exact value; storing rounds to nearest, ties to even.
 * Storing a double into an integer truncates toward zero, saturates out of range, and makes NaN 0.
 * For the f8, f6 and f4 types `saturate` chooses the largest finite value over NaN/infinity when
 * out of range (ONNX Cast). */
double dtype_load_double(DType t, const void *element);
void dtype_store_double(DType t, void *element, double v, bool saturate);
/* Integers and bool: u64 values travel as their bits. Storing keeps the low bits (wraps); bool is v
 * != 0. */
int64_t dtype_load_int(DType t, const void *element);
void dtype_store_int(DType t, void *element, int64_t v);
/* Bits of an element in the low bits of a uint64_t, and back. Types up to 64 bits. */
uint64_t dtype_load_bits(DType t, const void *element);
void dtype_store_bits(DType t, void *element, uint64_t bits);

#endif
