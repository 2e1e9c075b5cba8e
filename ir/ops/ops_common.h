/* ops_common.h: what the families of plain operators share: shapes being computed (contents), dims
 * that only the run can tell, and copying in evaluation. */
#ifndef INGOT_IR_OPS_COMMON_H
#define INGOT_IR_OPS_COMMON_H

#include "ir/ops/family.h"

#define DIM_TOP ((int64_t)1 << 40) /* the largest extent that data may ask for */

/* Kernels move all dtypes, and compute with all but strings and complex numbers. */
#define T_MOVABLE T_ANY
#define T_PLAIN   (T_MOVABLE & ~(T_STRING | DT_BIT(DT_C64) | DT_BIT(DT_C128)))

#define OUT_T(n)                                                                                   \
    (const PortDef[])                                                                              \
    {                                                                                              \
        {.name = n, .types = T_ANY, .var = "T"},                                                   \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }

/* Refuses an input without a rank. */
Status infer_ranked(Infer *cx, const Node *n, int input) MUST_USE;
/* Refuses in lowering what no kernel can move. */
Status lower_movable(Build *b, const Node *n, DType t) MUST_USE;

/* The elements of an integer or bool tensor of rank 0 or 1 as dims; NULL when they are not known.
 */
const Dim *contents_of(Infer *cx, const Value *v, int *count);
/* Is v made of one known integer, whatever its extents are? */
bool filled_with(const Value *v, int64_t *each);
/* One element of the contents of an elementwise result from those of its operands; NULL: undecided.
 */
typedef Dim (*DimFold)(DimTable *t, const Node *n, const Dim *x);
/* Types by broadcasting; contents by `fold` where all operands have them. result DT_NONE: of in[0].
 */
Status infer_fold(Infer *cx, Node *n, DType result, DimFold fold) MUST_USE;
/* Axes that an input lists: known now, or symbols in [-rank, rank - 1]. Without the input: 0 .. n-1
 * for the n that the caller says. Known ones are positive and without repetition. */
typedef struct AxisList {
    int n;
    bool known;
    int axis[MAX_RANK];
    const Dim *dim; /* [n] when not known */
} AxisList;
Status infer_axes(Infer *cx, Node *n, int input, int rank, int absent, AxisList *out) MUST_USE;
/* Does symbol `axis` (of an unknown list) name axis i of `rank`? */
const Sx *sx_names_axis(Build *b, Dim axis, int i, int rank);
/* 1 where axis i is among axes that are not known, as an i64 expression. */
const Sx *sx_listed(Build *b, const AxisList *axes, int i, int rank);
/* The dims of x without those at axes that are not known: dim k goes to place k less the number of
 * dims gone before it. [x->rank - axes->n] symbols. */
void dims_without(Build *b, const Type *x, const AxisList *axes, Dim *dims);
/* The value of `value` that belongs to axis i: `absent` where the list does not name it. */
Dim axis_value(Build *b, const AxisList *axes, const Dim *value, int i, int rank, int64_t absent,
               int64_t lo, int64_t hi);

/* A symbol for the i64 expression e (over dims and single elements of `in`), read at run time. */
Dim dim_of_sx(Build *b, int n_in, Value *const *in, const Sx *e, int64_t lo, int64_t hi);
/* i < 0 ? i + extent : i, where i may be of any sign. */
Dim dim_from_end(Build *b, Dim i, Dim extent);
/* LOAD of the single element of operand `src`, v; that it has just one is checked. */
const Sx *sx_scalar(Build *b, int src, const Value *v);
/* rint(v) + zero (NULL: 0), in f32, saturated to the integer dtype t; NaN is its least level. */
const Sx *sx_level(Build *b, const Sx *v, const Sx *zero, DType t);
/* An input, where it is there, has these extents: checked when run, where open. */
Status infer_extents(Infer *cx, Node *n, int input, int rank, const Dim *want) MUST_USE;
/* The same, of a vector. */
Status infer_vector(Infer *cx, Node *n, int input, Dim want) MUST_USE;
/* An input, where it is there, broadcasts to `to`, which it does not make larger. */
Status infer_broadcasts_to(Infer *cx, Node *n, int input, const Type *to) MUST_USE;
/* At run time a >= least, or a data error. */
void build_require_least(Build *b, Dim a, int64_t least);
/* At run time v has one element, or a data error. */
void build_require_one(Build *b, const Value *v);
/* `at`, or 0 where `own` is 1: an index of a load, of which the extent is `extent` (build_rows has
 * the run check that `own` is one of both). */
const Sx *sx_index_or_one(Build *b, Dim own, Dim extent, const Sx *at);
/* The quotient of two products, with common factors cancelled even where they may be zero. */
Dim dim_ratio(DimTable *t, int n_over, const Dim *over, int n_under, const Dim *under);

static inline const Sx *sx_const_like(Build *b, const Sx *like, double v)
{
    return sx_const(b->sx, like->dtype, v);
}
/* index * stride + offset */
const Sx *sx_affine(Build *b, const Sx *index, Dim stride, Dim offset);
/* The index that operand `src`, element e of any integer dtype, names on an axis; *guard: in range.
 */
const Sx *sx_data_index(Build *b, int src, const Sx *e, Dim extent, const Sx **guard);
/* Conjunction where either may be NULL (true). */
const Sx *sx_both(Build *b, const Sx *x, const Sx *y);

/* out[i...] = in[offset + sum of i_k * stride_k] for all of out. */
void eval_copy_strided(Tensor *out, const Tensor *in, int64_t offset, const int64_t *stride);
static inline void eval_copy_element(Tensor *out, int64_t o, const Tensor *in, int64_t i)
{
    __builtin_memcpy(tensor_at(out, o), tensor_at(in, i), (size_t)dtype_bytes(in->dtype));
}
/* The result of broadcasting `count` tensors together; absent ones may be NULL. */
Status eval_broadcast(Eval *cx, const Node *n, int count, const Tensor *const *in, DType t,
                      Tensor **out) MUST_USE;
/* Offset of the element of t that broadcasts to `index` of a result of that rank. */
int64_t eval_offset(const Tensor *t, int rank, const int64_t *index);
/* An index that counts from the end when negative; an error when out of range. */
Status eval_index(Eval *cx, const Node *n, int64_t extent, int64_t *index) MUST_USE;

#endif
