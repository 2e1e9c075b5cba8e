/* contrib_bits.c: MatMulNBits of com.microsoft, the product with weights of 2, 4 or 8 bits.
 *
 *     B [N][blocks of K][bytes]     as the model has it: a column after the other
 *     packed [K / per byte][N]      known weights: neighbours in a row are neighbours in memory
 *     scales, zero points           [blocks of K][N], then
 *     in panels [N / 64][K / per byte][64], [N / 64][blocks of K][64]      where blocks are whole:
 *                                   what 64 columns want is one stream of memory
 *
 * Known weights are put in order while compiling and stay packed in the artifact: they are unpacked
 * where the product wants them. Weights and sums are f32, whatever A is. */
#include <string.h>

#include "ir/ops/compose.h"
#include "ir/ops/dot.h"
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

/* [N][blocks][bytes] as [N / width][K / per][width]; behind the last row stand zeros. */
static Value *packed_rows(Build *b, const Node *n, const Blocks *x, int64_t width)
{
    int64_t per = 8 / x->bits, dims[] = {x->n / width, (x->k + per - 1) / per, width};
    const uint8_t *from = n->in[1]->data->data;
    Tensor *t = tensor_new(n->parent->module->arena, DT_U8, 3, dims);

    for (int64_t j = 0; t && j < x->n; j++)
        for (int64_t k = 0; k < x->k; k++) {
            const uint8_t *block = from + (j * x->count + k / x->size) * x->bytes;
            int64_t row = j / width * dims[1] + k / per;
            uint8_t *to = (uint8_t *)t->data + row * width + j % width;
            unsigned code = code_at(block, k % x->size, x->bits) << (k % per * x->bits);
            *to = (uint8_t)(k % per ? *to | code : code);
        }
    return keep(b, n, t, "packed weights");
}

/* [N][blocks] as [N / width][blocks][width], an element or a row of codes each. */
static Value *turned(Build *b, const Node *n, const Blocks *x, const Tensor *from, bool codes,
                     int64_t width)
{
    int64_t dims[] = {x->n / width, x->count, width}, per = 8 / x->bits;
    int64_t row = (x->count + per - 1) / per;
    size_t size = (size_t)dtype_bytes(from->dtype);
    Tensor *t = tensor_new(n->parent->module->arena, from->dtype, 3, dims);

    for (int64_t i = 0; t && i < x->count; i++)
        for (int64_t j = 0; j < x->n; j++) {
            int64_t at = (j / width * x->count + i) * width + j % width;
            uint8_t *to = (uint8_t *)t->data + (size_t)at * size;
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

/* Operands of a product with known weights: packed codes, scales, zero points. */
static Status known_operands(Build *b, const Node *n, const Blocks *x, int64_t width, Value **in)
{
    Value *z = in_value(n, 3);

    TRY(check_counts(b, n, x));
    in[0] = packed_rows(b, n, x, width);
    in[1] = turned(b, n, x, n->in[2]->data, false, width);
    if (z) in[2] = turned(b, n, x, z->data, z->type.dtype == DT_U8, width);
    return b->status;
}

/* A weight: code `sub` of the byte at row[3], scaled as block[3] says; operands from `src` on. */
static const Sx *known_weight(Build *b, const Node *n, const Blocks *x, int src,
                              const Sx *const *row, const Sx *sub, const Sx *const *block,
                              const Sx *guard)
{
    SxTable *t = b->sx;
    const Value *z = in_value(n, 3);
    const Sx *v = sx_cast(t, sx_load(t, DT_U8, src, 3, row, NULL), DT_I32), *zero;
    const Sx *shift = sx_mul(t, sub, sx_i64(b, x->bits));

    v = sx_and(t, sx_shr(t, v, sx_cast(t, shift, DT_I32)),
               sx_const_int(t, DT_I32, ((int64_t)1 << x->bits) - 1));
    zero = z ? sx_cast(t, sx_load(t, z->type.dtype, src + 2, 3, block, guard), DT_F32)
             : sx_const(t, DT_F32, (double)((int64_t)1 << (x->bits - 1)));
    return sx_mul(t, sx_sub(t, sx_cast(t, v, DT_F32), zero),
                  sx_cast(t, sx_load(t, in_type(n, 2)->dtype, src + 1, 3, block, guard), DT_F32));
}

/* Known weights as [K, N]. */
static Status known_blocks(Build *b, const Node *n, const Blocks *x, Value **out)
{
    SxTable *t = b->sx;
    const Sx *each = sx_i64(b, 8 / x->bits), *k = sx_index(t, 0), *j = sx_index(t, 1), *guard;
    const Sx *row[] = {sx_i64(b, 0), sx_floor_div(t, k, each), j};
    const Sx *block[] = {sx_i64(b, 0), NULL, j};
    Value *in[4];
    int n_in = in_value(n, 3) ? 3 : 2;

    TRY(known_operands(b, n, x, x->n, in));
    block[1] = block_of(b, n, x, in, &n_in, k, &guard);
    *out = build_map(b, "dequantize", n_in, in, DT_F32, 2,
                     (Dim[]){dim_const(b->dims, x->k), dim_const(b->dims, x->n)},
                     known_weight(b, n, x, 0, row, sx_floor_mod(t, k, each), block, guard));
    return b->status;
}

/* ---- panels ---- */

enum { PANEL = 64, PANEL_MOST_RANK = 4 };

static bool in_panels(const Node *n, const Blocks *x)
{
    int rank = in_type(n, 0)->rank;

    return x->n % PANEL == 0 && x->k % x->size == 0 && !has_in(n, IN_BLOCK) && rank >= 1 &&
           rank <= PANEL_MOST_RANK && dim_is(in_type(n, 0)->dim[rank - 1], x->k);
}

/* The product as f32. k is three loops, of blocks, of the bytes of one, of the codes of a byte:
 * what they share is read once. */
static Status panel_product(Build *b, const Node *n, const Blocks *x, Value **out)
{
    SxTable *t = b->sx;
    DimTable *d = b->dims;
    int64_t per = 8 / x->bits, bytes = x->size / per;
    int lead = in_type(n, 0)->rank - 1, rank = lead + 2;
    const Sx *p = sx_index(t, lead), *q = sx_index(t, lead + 1), *block = sx_index(t, rank);
    const Sx *byte = sx_add(t, sx_mul(t, block, sx_i64(b, bytes)), sx_index(t, rank + 1));
    const Sx *code = sx_index(t, rank + 2), *at[PANEL_MOST_RANK];
    Dim dims[PANEL_MOST_RANK + 1], result[PANEL_MOST_RANK];
    Value *in[4] = {make_cast(b, n->in[0], DT_F32)};
    Dot dot = {.label = "matmul",
               .n_in = in_value(n, 3) ? 4 : 3,
               .in = in,
               .rank = rank,
               .n_reduce = 3,
               .dims = dims,
               .reduce = (Dim[]){dim_const(d, x->count), dim_const(d, bytes), dim_const(d, per)},
               .out = DT_F32};

    TRY(known_operands(b, n, x, PANEL, in + 1));
    for (int i = 0; i < lead; i++) {
        dims[i] = result[i] = in_type(n, 0)->dim[i];
        at[i] = sx_index(t, i);
    }
    dims[lead] = dim_const(d, x->n / PANEL);
    dims[lead + 1] = dim_const(d, PANEL);
    result[lead] = dim_const(d, x->n);
    at[lead] = sx_add(t, sx_mul(t, byte, sx_i64(b, per)), code);
    dot.a = sx_load(t, DT_F32, 0, lead + 1, at, NULL);
    dot.b = known_weight(b, n, x, 1, (const Sx *[]){p, byte, q}, code, (const Sx *[]){p, block, q},
                         NULL);
    *out = build_reshape(b, build_dot(b, &dot), lead + 1, result);
    return b->status;
}

/* ---- the operator ---- */

static Status lower_nbits(Build *b, const Node *n, Value **out)
{
    Blocks x;
    Value *w, *v;

    TRY(blocks_read(n, b->diag, &x));
    if (is_known(n) && in_panels(n, &x)) {
        TRY(panel_product(b, n, &x, &v));
    } else {
        if (is_known(n)) {
            TRY(known_blocks(b, n, &x, &w));
        } else {
            TRY(dequantised_blocks(b, n, &x, &w));
            w = build_transpose(b, w, (const int[]){1, 0});
        }
        v = build_op2(b, "MatMul", make_cast(b, n->in[0], DT_F32), w);
    }
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
