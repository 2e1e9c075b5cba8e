/* contrib_bits.c: MatMulNBits of com.microsoft, the product with weights of 2, 4 or 8 bits.
 *
 *     B [N][blocks of K][bytes]     as the model has it: a column after the other
 *     packed [K / per byte][N]      known weights: neighbours in a row are neighbours in memory
 *     scales, zero points           [blocks of K][N], then
 *
 * Known weights are put in order while compiling and stay packed in the artifact: they are unpacked
 * where the product wants them. Weights and sums are f32, whatever A is. */
#include <string.h>

#include "ir/ops/compose.h"
#include "ir/ops/ops_common.h"

#define T_HALVES (T_F32 | DT_BIT(DT_F16))

/* The element at `at` of packed unsigned integers of `bits` bits, the low ones first; a row starts
 * at flat byte `row`; guard as of a load. As i32. */
static const Sx *unpacked(Build *b, int src, const Sx *row, const Sx *at, const Sx *guard,
                          int64_t bits)
{
    SxTable *t = b->sx;
    const Sx *each = sx_i64(b, 8 / bits), *byte, *shift;

    byte = sx_load_flat(t, DT_U8, src, sx_add(t, row, sx_floor_div(t, at, each)), guard);
    shift = sx_mul(t, sx_floor_mod(t, at, each), sx_i64(b, bits));
    byte = sx_shr(t, sx_cast(t, byte, DT_I32), sx_cast(t, shift, DT_I32));
    return sx_and(t, byte, sx_const_int(t, DT_I32, ((int64_t)1 << bits) - 1));
}

enum { IN_BLOCK = 4 };

typedef struct Blocks {
    int64_t n, k, bits, size, count; /* columns, rows, bits, block size, blocks of a column */
    int64_t bytes;                   /* of a block */
} Blocks;

static Status blocks_read(const Node *n, Diag *d, Blocks *x)
{
    *x = (Blocks){.n = attr_int(n, "N", 0),
                  .k = attr_int(n, "K", 0),
                  .bits = attr_int(n, "bits", 4),
                  .size = attr_int(n, "block_size", 0)};
    if (x->bits != 2 && x->bits != 4 && x->bits != 8)
        return op_unsupported(n, d, "%lld bits", (long long)x->bits);
    if (x->n < 1 || x->k < 1 || x->n > INT32_MAX || x->k > INT32_MAX)
        return op_error(n, d, "N", "MatMulNBits: N %lld, K %lld", (long long)x->n, (long long)x->k);
    if (x->size < 8 || x->size > 1 << 20)
        return op_error(n, d, "block_size", "MatMulNBits: found %lld, expected 16 or more",
                        (long long)x->size);
    x->count = (x->k + x->size - 1) / x->size;
    x->bytes = x->size * x->bits / 8;
    return OK;
}

/* An input of a constant number of elements, as the attributes say. */
static Status check_count(Build *b, const Node *n, int k, int64_t want)
{
    Dim count = type_count(b->dims, in_type(n, k));

    if (dim_is(count, want)) return OK;
    return op_error(n, b->diag, n->op->in[k].name, "MatMulNBits: %lld elements, expected %lld",
                    (long long)count->lo, (long long)want);
}

static Status check_counts(Build *b, const Node *n, const Blocks *x)
{
    const Value *zero = in_value(n, 3);
    int64_t per = 8 / x->bits, row = (x->count + per - 1) / per;

    TRY(check_count(b, n, 1, x->n * x->count * x->bytes));
    TRY(check_count(b, n, 2, x->n * x->count));
    if (has_in(n, IN_BLOCK) && !dim_is(type_count(b->dims, in_type(n, IN_BLOCK)), x->k))
        TRY(check_count(b, n, IN_BLOCK, x->count * x->size)); /* filled up */
    if (!zero) return OK;
    return check_count(b, n, 3, x->n * (zero->type.dtype == DT_U8 ? row : x->count));
}

/* The block whose scale row k has, and whether there is such a one (NULL: there is): the one it
 * lies in, or what g_idx says, which operand *n_in then is. */
static const Sx *block_of(Build *b, const Node *n, const Blocks *x, Value **in, int *n_in,
                          const Sx *k, const Sx **guard)
{
    Value *given = in_value(n, IN_BLOCK);

    *guard = NULL;
    if (!given) return sx_floor_div(b->sx, k, sx_i64(b, x->size));
    in[*n_in] = given;
    k = sx_load_flat(b->sx, given->type.dtype, *n_in, k, NULL);
    return sx_data_index(b, (*n_in)++, k, dim_const(b->dims, x->count), guard);
}

/* The weights as [N, K]. */
static Status dequantised_blocks(Build *b, const Node *n, const Blocks *x, Value **out)
{
    SxTable *t = b->sx;
    DType type = in_type(n, 2)->dtype;
    int64_t per = 8 / x->bits, row = (x->count + per - 1) / per;
    const Sx *j = sx_index(t, 0), *k = sx_index(t, 1), *size = sx_i64(b, x->size);
    const Sx *at, *v, *zero, *scale, *block, *guard;
    Value *z = in_value(n, 3), *in[4] = {n->in[1], n->in[2], z};
    int n_in = z ? 3 : 2;

    TRY(check_counts(b, n, x));
    at = sx_add(t, sx_mul(t, j, sx_i64(b, x->count)), sx_floor_div(t, k, size));
    v = unpacked(b, 0, sx_mul(t, at, sx_i64(b, x->bytes)), sx_floor_mod(t, k, size), NULL, x->bits);
    v = sx_cast(t, v, DT_F32);
    block = block_of(b, n, x, in, &n_in, k, &guard);
    at = sx_add(t, sx_mul(t, j, sx_i64(b, x->count)), block);
    scale = sx_cast(t, sx_load_flat(t, type, 1, at, guard), DT_F32);
    zero = sx_const(t, DT_F32, (double)((int64_t)1 << (x->bits - 1)));
    if (z && z->type.dtype == DT_U8)
        zero = unpacked(b, 2, sx_mul(t, j, sx_i64(b, row)), block, guard, x->bits);
    else if (z)
        zero = sx_load_flat(t, z->type.dtype, 2, at, guard);
    v = sx_mul(t, sx_sub(t, v, sx_cast(t, zero, DT_F32)), scale);
    *out = build_map(b, "dequantize", n_in, in, DT_F32, 2,
                     (Dim[]){dim_const(b->dims, x->n), dim_const(b->dims, x->k)}, v);
    return b->status;
}

/* ---- known weights ---- */

static unsigned code_at(const uint8_t *row, int64_t at, int64_t bits)
{
    int64_t per = 8 / bits;

    return (unsigned)row[at / per] >> (at % per * bits) & ((1u << bits) - 1);
}

static Value *keep(Build *b, const Node *n, Tensor *t, const char *what)
{
    if (t) return module_constant(n->parent->module, t, n->in[1]->name);
    b->status = diag(b->diag, ERR_LIMIT, node_where(n), "no memory for %s", what);
    return NULL;
}

/* [N][blocks][bytes] as [K / per][N]; behind the last row stand zeros. */
static Value *packed_rows(Build *b, const Node *n, const Blocks *x)
{
    int64_t per = 8 / x->bits, dims[] = {(x->k + per - 1) / per, x->n};
    const uint8_t *from = n->in[1]->data->data;
    Tensor *t = tensor_new(n->parent->module->arena, DT_U8, 2, dims);

    for (int64_t j = 0; t && j < x->n; j++)
        for (int64_t k = 0; k < x->k; k++) {
            const uint8_t *block = from + (j * x->count + k / x->size) * x->bytes;
            uint8_t *to = (uint8_t *)t->data + k / per * x->n + j;
            unsigned code = code_at(block, k % x->size, x->bits) << (k % per * x->bits);
            *to = (uint8_t)(k % per ? *to | code : code);
        }
    return keep(b, n, t, "packed weights");
}

/* [N][blocks] as [blocks][N], an element or a row of codes each. */
static Value *turned(Build *b, const Node *n, const Blocks *x, const Tensor *from, bool codes)
{
    int64_t dims[] = {x->count, x->n}, per = 8 / x->bits, row = (x->count + per - 1) / per;
    size_t size = (size_t)dtype_bytes(from->dtype);
    Tensor *t = tensor_new(n->parent->module->arena, from->dtype, 2, dims);

    for (int64_t i = 0; t && i < x->count; i++)
        for (int64_t j = 0; j < x->n; j++) {
            uint8_t *to = (uint8_t *)t->data + (size_t)(i * x->n + j) * size;
            const uint8_t *f = from->data;
            if (codes)
                *to = (uint8_t)code_at(f + j * row, i, x->bits);
            else
                memcpy(to, f + (size_t)(j * x->count + i) * size, size);
        }
    return keep(b, n, t, "scales");
}

static bool is_known(const Node *n)
{
    const Value *zero = in_value(n, 3);

    return n->in[1]->data && n->in[2]->data && (!zero || zero->data);
}

/* Known weights as [K, N]. */
static Status known_blocks(Build *b, const Node *n, const Blocks *x, Value **out)
{
    SxTable *t = b->sx;
    DType type = in_type(n, 2)->dtype;
    int64_t per = 8 / x->bits;
    const Sx *k = sx_index(t, 0), *j = sx_index(t, 1), *v, *shift, *zero;
    const Sx *row[] = {sx_floor_div(t, k, sx_i64(b, per)), j};
    const Sx *block[2] = {NULL, j}, *guard;
    Value *z = in_value(n, 3), *in[4];
    bool codes = z && z->type.dtype == DT_U8;
    int n_in = z ? 3 : 2;

    TRY(check_counts(b, n, x));
    in[0] = packed_rows(b, n, x);
    in[1] = turned(b, n, x, n->in[2]->data, false);
    in[2] = z ? turned(b, n, x, z->data, codes) : NULL;
    TRY(b->status);
    block[0] = block_of(b, n, x, in, &n_in, k, &guard);
    shift = sx_mul(t, sx_floor_mod(t, k, sx_i64(b, per)), sx_i64(b, x->bits));
    v = sx_cast(t, sx_load(t, DT_U8, 0, 2, row, NULL), DT_I32);
    v = sx_and(t, sx_shr(t, v, sx_cast(t, shift, DT_I32)),
               sx_const_int(t, DT_I32, ((int64_t)1 << x->bits) - 1));
    zero = z ? sx_cast(t, sx_load(t, z->type.dtype, 2, 2, block, guard), DT_F32)
             : sx_const(t, DT_F32, (double)((int64_t)1 << (x->bits - 1)));
    v = sx_mul(t, sx_sub(t, sx_cast(t, v, DT_F32), zero),
               sx_cast(t, sx_load(t, type, 1, 2, block, guard), DT_F32));
    *out = build_map(b, "dequantize", n_in, in, DT_F32, 2,
                     (Dim[]){dim_const(b->dims, x->k), dim_const(b->dims, x->n)}, v);
    return b->status;
}

/* ---- the operator ---- */

static Status lower_nbits(Build *b, const Node *n, Value **out)
{
    Blocks x;
    Value *w, *v;

    TRY(blocks_read(n, b->diag, &x));
    if (is_known(n)) {
        TRY(known_blocks(b, n, &x, &w));
    } else {
        TRY(dequantised_blocks(b, n, &x, &w));
        w = build_transpose(b, w, (const int[]){1, 0});
    }
    v = build_op2(b, "MatMul", make_cast(b, n->in[0], DT_F32), w);
    out[0] = make_plus(b, make_cast(b, v, in_type(n, 0)->dtype), in_value(n, 5));
    return b->status;
}

const OpDef contrib_bits_ops[] = {
    {.name = "MatMulNBits",
     .about = "A times weights of 2, 4 or 8 bits, quantised by blocks",
     ROW_IN({"A", T_HALVES, "T1"}, {"B", DT_BIT(DT_U8)}, {"scales", T_HALVES, "T1"},
            {"zero_points", T_HALVES | DT_BIT(DT_U8), NULL, true}, {"g_idx", T_IDS, NULL, true},
            {"bias", T_HALVES, "T1", true}),
     ROW_OUT({"Y", T_HALVES, "T1"}),
     ROW_ATTRS(ATTR_REQ("K", ATTR_INT), ATTR_REQ("N", ATTR_INT), ATTR_I("accuracy_level", 0),
               ATTR_I("bits", 4), ATTR_REQ("block_size", ATTR_INT),
               ATTR_OPT("weight_prepacked", ATTR_INT)),
     MICROSOFT_ROW(lower_nbits)},
    {0},
};
