/* cast.c: Cast, CastLike, BitCast. What each conversion gives is said in ir/dtype.h and sx.def, and
 * is the same here; but a float becomes a 4- or 2-bit integer by way of i32, of which the low bits
 * are kept. Strings: cast_text.h. */
#include <string.h>

#include "ir/ops/cast_text.h"
#include "ir/ops/ops_common.h"

typedef enum Round { ROUND_UP, ROUND_DOWN, ROUND_NEAREST } Round;

static Status cast_round(const Node *n, Diag *d, Round *out)
{
    const char *s = attr_string(n, "round_mode", "up");

    *out = s[0] == 'd' ? ROUND_DOWN : s[0] == 'n' ? ROUND_NEAREST : ROUND_UP;
    if (strcmp(s, "up") == 0 || strcmp(s, "down") == 0 || strcmp(s, "nearest") == 0) return OK;
    return op_error(n, d, "round_mode", "%s: found \"%s\", expected up, down or nearest",
                    n->op->name, s);
}

/* The dtype that the node converts to: an attribute, or the dtype of the second input. */
static DType cast_target(const Node *n)
{
    if (attr_find(n, "to")) return dtype_from_onnx((int)attr_int(n, "to", 0));
    return has_in(n, 1) ? in_type(n, 1)->dtype : DT_NONE;
}

/* A cast among integers keeps contents; the values of the sizes that occur fit i32. */
static void cast_contents(Infer *cx, Node *n, DType to)
{
    int count;
    const Dim *x = contents_of(cx, n->in[0], &count);

    if (!x || (to != DT_I64 && to != DT_I32 && to != DT_BOOL)) return;
    for (int i = 0; i < count; i++) {
        if (to == DT_I32 && (x[i]->lo < INT32_MIN || (x[i]->hi > INT32_MAX && dim_is_const(x[i]))))
            return;
        if (to == DT_BOOL && (x[i]->lo < 0 || x[i]->hi > 1)) return;
    }
    infer_contents(cx, n, 0, count, x);
}

static Status infer_cast(Infer *cx, Node *n)
{
    DType to = cast_target(n);
    Round mode;

    TRY(cast_round(n, cx->diag, &mode));
    if (to == DT_NONE || to == DT_C64 || to == DT_C128)
        return op_error(n, cx->diag, "to", "%s: %lld is no dtype to convert to", n->op->name,
                        (long long)attr_int(n, "to", 0));
    TRY(infer_ranked(cx, n, 0));
    infer_out(cx, n, 0, to, in_type(n, 0)->rank, in_type(n, 0)->dim);
    cast_contents(cx, n, to);
    return OK;
}

/* v as a power of two, for f8e8m0, which is only an exponent. What is out of its range is left. */
static double to_power(double v, Round mode)
{
    double p = 0x1p-127;

    if (mode == ROUND_NEAREST || !(v > 0x1p-127) || v > 0x1p127) return v;
    while (p * 2 <= v)
        p *= 2;
    return mode == ROUND_UP && p < v ? p * 2 : p;
}

/* 64 unsigned bits as a double; rounded to odd, unless to f64, so that a second rounding is right.
 */
static double double_of_u64(uint64_t v, DType to)
{
    if (to == DT_F64 || v >> 63 == 0) return (double)v;
    return (double)(int64_t)((v >> 1 & ~UINT64_C(1023)) | (uint64_t)((v & 2047) != 0) << 10) * 2;
}

static void cast_element(Tensor *out, const Tensor *in, int64_t i, bool saturate, Round mode)
{
    DType from = in->dtype, to = out->dtype;
    void *at = tensor_at(out, i);

    if (dtype_is_float(from) && (T_INT_NARROW & DT_BIT(to))) {
        int32_t wide;
        dtype_store_double(DT_I32, &wide, tensor_double(in, i), true);
        dtype_store_int(to, at, wide);
    } else if (dtype_is_float(from) || (to == DT_F8E8M0 && from != DT_U64)) {
        double v = tensor_double(in, i);
        dtype_store_double(to, at, to == DT_F8E8M0 ? to_power(v, mode) : v, saturate);
    } else if (from == DT_U64 && dtype_is_float(to)) {
        dtype_store_double(to, at, double_of_u64((uint64_t)tensor_int(in, i), to), saturate);
    } else if (!saturate && dtype_is_float(to)) {
        dtype_store_double(to, at, tensor_double(in, i), false);
    } else {
        dtype_store_int(to, at, tensor_int(in, i));
    }
}

static Status eval_cast(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    bool saturate = attr_int(n, "saturate", 1) != 0;
    DType to = cast_target(n);
    Round mode;

    TRY(cast_round(n, cx->diag, &mode));
    TRY(eval_out(cx, n, &out[0], to, in[0]->rank, in[0]->dim));
    if (in[0]->dtype == to) {
        if (in[0]->bytes) memcpy(out[0]->data, in[0]->data, in[0]->bytes);
        return OK;
    }
    if (cast_is_text(in[0]->dtype, to)) return eval_cast_text(cx, n, in[0], out[0], false);
    if (!(T_PLAIN & DT_BIT(to)) || !(T_PLAIN & DT_BIT(in[0]->dtype)))
        return op_unsupported(n, cx->diag, "a conversion from %s to %s", dtype_text(in[0]->dtype),
                              dtype_text(to));
    for (int64_t i = 0; i < in[0]->count; i++)
        cast_element(out[0], in[0], i, saturate, mode);
    return OK;
}

/* As to_power, on the bits of an f32: those of a power of two end in 23 zeros. */
static const Sx *to_power_sx(SxTable *t, const Sx *x, Round mode)
{
    const Sx *bits, *even, *least;

    x = sx_cast(t, x, DT_F32);
    if (mode == ROUND_NEAREST) return x;
    least = sx_const(t, DT_F32, 0x1p-127);
    bits = sx_bitcast(t, x, DT_U32);
    if (mode == ROUND_UP) bits = sx_add(t, bits, sx_const_int(t, DT_U32, 0x7fffff));
    even = sx_bitcast(t, sx_and(t, bits, sx_const_int(t, DT_U32, 0xff800000)), DT_F32);
    if (mode == ROUND_DOWN) even = sx_max(t, even, least); /* within (2^-127, 2^-126) */
    return sx_select(t, sx_and(t, sx_lt(t, least, x), sx_le(t, x, sx_const(t, DT_F32, 0x1p127))),
                     even, x);
}

/* The type by way of which x becomes `to`: f32 or f64 holds the integers that small floats round.
 */
static const Sx *cast_between(SxTable *t, const Sx *x, DType to)
{
    if (dtype_is_float(x->dtype)) return T_INT_NARROW & DT_BIT(to) ? sx_cast(t, x, DT_I32) : x;
    if (!dtype_is_float(to) || to == DT_F32 || to == DT_F64) return x;
    return sx_cast(t, x, to == DT_BF16 && dtype_bits(x->dtype) >= 32 ? DT_F64 : DT_F32);
}

static Status lower_cast(Build *b, const Node *n, Value **out)
{
    const Type *type = &n->out[0]->type;
    const Sx *x;
    Round mode;

    if (in_type(n, 0)->dtype == type->dtype) {
        out[0] = n->in[0];
        return OK;
    }
    if (cast_is_text(in_type(n, 0)->dtype, type->dtype))
        return lower_cast_text(b, n, type->dtype, out);
    if (!(T_PLAIN & DT_BIT(type->dtype)) || !(T_PLAIN & DT_BIT(in_type(n, 0)->dtype)))
        return op_unsupported(n, b->diag, "a conversion from %s to %s",
                              dtype_text(in_type(n, 0)->dtype), dtype_text(type->dtype));
    TRY(cast_round(n, b->diag, &mode));
    x = sx_operand(b, 0, n->in[0], type->rank, type->dim);
    if (type->dtype == DT_F8E8M0) x = to_power_sx(b->sx, x, mode);
    x = cast_between(b->sx, x, type->dtype);
    x = sx_cast_to(b->sx, x, type->dtype, attr_int(n, "saturate", 1) != 0);
    out[0] = build_map(b, "cast", 1, n->in, type->dtype, type->rank, type->dim, x);
    return b->status;
}

/* To the same type: the input. Wider and back (without loss) is left to lowering. */
static void simplify_cast(Build *b, Node *n, Value **v)
{
    (void)b;
    if (in_type(n, 0)->dtype == cast_target(n)) v[0] = n->in[0];
}

/* ---- BitCast ---- */

static Status infer_bitcast(Infer *cx, Node *n)
{
    DType from = in_type(n, 0)->dtype, to = cast_target(n);

    if (to == DT_NONE || to == DT_STRING || from == DT_STRING || dtype_bits(to) != dtype_bits(from))
        return op_error(n, cx->diag, "to", "BitCast: %s has not the width of %s", dtype_text(to),
                        dtype_text(from));
    TRY(infer_ranked(cx, n, 0));
    infer_out(cx, n, 0, to, in_type(n, 0)->rank, in_type(n, 0)->dim);
    return OK;
}

static Status eval_bitcast(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out)
{
    TRY(eval_out(cx, n, &out[0], cast_target(n), in[0]->rank, in[0]->dim));
    if (out[0]->bytes && dtype_bits(in[0]->dtype) >= 8)
        memcpy(out[0]->data, in[0]->data, out[0]->bytes);
    for (int64_t i = 0; dtype_bits(in[0]->dtype) < 8 && i < in[0]->count; i++)
        dtype_store_bits(out[0]->dtype, tensor_at(out[0], i),
                         dtype_load_bits(in[0]->dtype, tensor_at(in[0], i)));
    return OK;
}

/* The unsigned integer that holds the bits of t. */
static DType bits_dtype(DType t)
{
    int bytes = dtype_bytes(t);
    return bytes == 1 ? DT_U8 : bytes == 2 ? DT_U16 : bytes == 4 ? DT_U32 : DT_U64;
}

#define T_BITS (T_PLAIN | DT_BIT(DT_C64))

/* Integers are cast to others of their width, which keeps the bits; the rest are read as such. */
static const Sx *same_bits(Build *b, const Sx *x, DType to)
{
    bool integers = dtype_kind(x->dtype) <= KIND_INT && dtype_kind(to) <= KIND_INT;

    return integers ? sx_cast(b->sx, x, to) : sx_bitcast(b->sx, x, to);
}

static Status lower_bitcast(Build *b, const Node *n, Value **out)
{
    const Type *type = &n->out[0]->type;
    DType from = in_type(n, 0)->dtype, to = type->dtype;
    const Sx *x;

    if (from == to) { /* also the widest, which no integer holds */
        out[0] = n->in[0];
        return OK;
    }
    if (!(T_BITS & DT_BIT(to)) || !(T_BITS & DT_BIT(from)))
        return op_unsupported(n, b->diag, "from %s to %s", dtype_text(from), dtype_text(to));
    x = sx_operand(b, 0, n->in[0], type->rank, type->dim);
    x = same_bits(b, x, bits_dtype(from));
    if (dtype_bits(from) < 8) /* without its sign's copies */
        x = sx_and(b->sx, x, sx_const_int(b->sx, x->dtype, (1 << dtype_bits(from)) - 1));
    x = same_bits(b, x, to);
    out[0] = build_map(b, "bitcast", 1, n->in, to, type->rank, type->dim, x);
    return b->status;
}

/* ---- the table ---- */

#define T_CAST (T_ANY & ~(DT_BIT(DT_C64) | DT_BIT(DT_C128)))
#define HOW    ATTR_I("saturate", 1), ATTR_S("round_mode", "up")

const OpDef cast_ops[] = {
    {.name = "Cast",
     .since = 28,
     .calls = CALL_BIT(string_of_number) | CALL_BIT(number_of_string),
     .about = "to another dtype",
     .in = (const PortDef[]){{.name = "input", .types = T_CAST}, {0}},
     .out = (const PortDef[]){{.name = "output", .types = T_CAST}, {0}},
     .attr = (const AttrDef[]){ATTR_REQ("to", ATTR_INT), HOW, {0}},
     .infer = infer_cast,
     .eval = eval_cast,
     .lower = lower_cast,
     .simplify = simplify_cast,
     .traits = OP_PURE},
    {.name = "CastLike",
     .since = 25,
     .calls = CALL_BIT(string_of_number) | CALL_BIT(number_of_string),
     .about = "to the dtype of another tensor",
     .in = (const PortDef[]){{.name = "input", .types = T_CAST},
                             {.name = "target_type", .types = T_CAST},
                             {0}},
     .out = (const PortDef[]){{.name = "output", .types = T_CAST}, {0}},
     .attr = (const AttrDef[]){HOW, {0}},
     .infer = infer_cast,
     .eval = eval_cast,
     .lower = lower_cast,
     .simplify = simplify_cast,
     .traits = OP_PURE},
    {.name = "BitCast",
     .since = 26,
     .about = "the same bits as another dtype",
     .in = (const PortDef[]){{.name = "input", .types = T_ANY & ~T_STRING}, {0}},
     .out = (const PortDef[]){{.name = "output", .types = T_ANY & ~T_STRING}, {0}},
     .attr = (const AttrDef[]){ATTR_REQ("to", ATTR_INT), {0}},
     .infer = infer_bitcast,
     .eval = eval_bitcast,
     .lower = lower_bitcast,
     .traits = OP_PURE},
    {0},
};
