/* sx.h: scalar expressions: what a kernel does at one point of its iteration space.
 *
 * An Sx is immutable and interned in its SxTable: equal expressions have one address, so a DAG
 * shares what is equal and == compares. The operations, and what they mean for every value, are the
 * rows of sx.def. Constructors simplify what is exact for every input (x*1, index arithmetic,
 * constant operands) and nothing else. */
#ifndef INGOT_IR_SX_H
#define INGOT_IR_SX_H

#include "ir/dim.h"
#include "ir/dtype.h"

typedef enum SxOp {
#define SX(NAME, text, args) SX_##NAME,
#include "ir/sx.def"
#undef SX
    SX_COUNT
} SxOp;

typedef struct Sx Sx;
struct Sx {
    SxOp op;
    DType dtype;   /* of the result */
    uint32_t id;   /* order of creation within the table: arguments come before their users */
    int n;         /* arguments */
    int src;       /* LOAD, CHECK: operand; >= 0 input of the node, < 0: result of stage ~src */
    int index;     /* INDEX, ACC: number; CAST: saturate; SELECT: arg0 is nearly always true */
    bool flat;     /* LOAD: one index, counting elements of the whole operand in row-major order */
    bool guarded;  /* LOAD: the last argument is a bool; where it is false the load gives 0 */
    uint64_t bits; /* CONST: the value in dtype (bool: 0, 1; signed: sign-extended, unsigned:
                      zero-extended) */
    Dim dim;       /* DIM */
    const Sx *arg[];
};

typedef struct SxTable {
    Arena *arena;
    DimTable *dims;
    Sx **bucket;
    size_t n_bucket, count;
    bool no_fma; /* fold FMA of constants as mul, add */
} SxTable;

void sx_init(SxTable *t, Arena *arena, DimTable *dims);

/* Leaves */
const Sx *sx_const_bits(SxTable *t, DType d, uint64_t bits);
const Sx *sx_const(SxTable *t, DType d, double v); /* rounded to d; exact for small integers */
const Sx *sx_const_int(SxTable *t, DType d, int64_t v);
const Sx *sx_index(SxTable *t, int k);
const Sx *sx_dim(SxTable *t, Dim d); /* a CONST when d is constant */
const Sx *sx_acc(SxTable *t, int k, DType d);
/* Load of dtype d. idx[n] are i64; guard may be NULL. */
const Sx *sx_load(SxTable *t, DType d, int src, int n, const Sx *const *idx, const Sx *guard);
const Sx *sx_load_flat(SxTable *t, DType d, int src, const Sx *element, const Sx *guard);
const Sx *sx_check(SxTable *t, int src, const Sx *index, const Sx *extent);

/* d e / d by, where `by` is a node of e; NULL when e has an operation without a derivative. What is
 * piecewise takes the side of a comparison's truth. */
const Sx *sx_derive(SxTable *t, const Sx *e, const Sx *by);

/* Any operation by number. The dtype of the result follows from op and arguments, but for CAST and
 * BITCAST, which have their own constructors. Arguments of one operation have one dtype (but
 * SELECT's first). */
const Sx *sx_op1(SxTable *t, SxOp op, const Sx *a);
const Sx *sx_op2(SxTable *t, SxOp op, const Sx *a, const Sx *b);
const Sx *sx_op3(SxTable *t, SxOp op, const Sx *a, const Sx *b, const Sx *c);
const Sx *sx_cast(SxTable *t, const Sx *a,
                  DType d); /* saturating for f8/f4; a itself when it has dtype d */
const Sx *sx_cast_to(SxTable *t, const Sx *a, DType d, bool saturate);
const Sx *sx_bitcast(SxTable *t, const Sx *a, DType d);

#define SX_1(f, OP)                                                                                \
    static inline const Sx *sx_##f(SxTable *t, const Sx *a)                                        \
    {                                                                                              \
        return sx_op1(t, SX_##OP, a);                                                              \
    }
#define SX_2(f, OP)                                                                                \
    static inline const Sx *sx_##f(SxTable *t, const Sx *a, const Sx *b)                           \
    {                                                                                              \
        return sx_op2(t, SX_##OP, a, b);                                                           \
    }
SX_1(neg, NEG)
SX_1(abs, ABS)
SX_1(sqrt, SQRT)
SX_1(floor, FLOOR)
SX_1(ceil, CEIL)
SX_1(trunc, TRUNC)
SX_1(rint, RINT)
SX_1(not, NOT)
SX_1(exp, EXP)
SX_1(log, LOG)
SX_1(tanh, TANH)
SX_1(erf, ERF)
SX_1(sigmoid, SIGMOID)
SX_2(add, ADD)
SX_2(sub, SUB)
SX_2(mul, MUL)
SX_2(div, DIV)
SX_2(rem, REM)
SX_2(min, MIN)
SX_2(max, MAX)
SX_2(and, AND)
SX_2(or, OR)
SX_2(xor, XOR)
SX_2(shl, SHL)
SX_2(shr, SHR)
SX_2(eq, EQ)
SX_2(ne, NE)
SX_2(lt, LT)
SX_2(le, LE)
SX_2(copysign, COPYSIGN)
SX_2(pow, POW)
SX_2(scale, SCALE)
#undef SX_1
#undef SX_2
static inline const Sx *sx_gt(SxTable *t, const Sx *a, const Sx *b)
{
    return sx_lt(t, b, a);
}
static inline const Sx *sx_ge(SxTable *t, const Sx *a, const Sx *b)
{
    return sx_le(t, b, a);
}
static inline const Sx *sx_fma(SxTable *t, const Sx *a, const Sx *b, const Sx *c)
{
    return sx_op3(t, SX_FMA, a, b, c);
}
static inline const Sx *sx_select(SxTable *t, const Sx *c, const Sx *a, const Sx *b)
{
    return sx_op3(t, SX_SELECT, c, a, b);
}
/* The same, where c is nearly always true: a target may go around b, which is long. */
const Sx *sx_mostly(SxTable *t, const Sx *c, const Sx *a, const Sx *b);
/* Integers: quotient toward minus infinity and its remainder (sign of b); by zero: 0. */
const Sx *sx_floor_div(SxTable *t, const Sx *a, const Sx *b);
const Sx *sx_floor_mod(SxTable *t, const Sx *a, const Sx *b);

/* Rewriting. `map` is asked for every leaf (CONST, INDEX, DIM, ACC) and every LOAD and CHECK (with
 * its arguments already rewritten); NULL keeps it. Shared subexpressions are visited once. */
typedef const Sx *(*SxMap)(void *context, const Sx *leaf);
const Sx *sx_rewrite(SxTable *t, const Sx *e, SxMap map, void *context);
/* Visit every distinct node below and including e once, arguments first. */
typedef void (*SxVisit)(void *context, const Sx *e);
void sx_visit(SxTable *t, const Sx *e, SxVisit visit, void *context);
bool sx_uses_index(SxTable *t, const Sx *e, int k);
bool sx_is_const(const Sx *e, double *value);
/* Is a LOAD of one element, the same in all turns of the loops? */
bool sx_is_scalar(const Sx *load);
/* select(c < x, x, c), c a constant: never NaN. */
static inline bool sx_is_held_above(const Sx *e)
{
    return e->op == SX_SELECT && e->arg[0]->op == SX_LT && e->arg[2]->op == SX_CONST &&
           e->arg[0]->arg[0] == e->arg[2] && e->arg[0]->arg[1] == e->arg[1];
}
/* Bounds of an i64 expression, given extents of the loop indices (index k in [0, extent[k]-1]). */
void sx_range(SxTable *t, const Sx *e, int n_extent, const Dim *extent, int64_t *lo, int64_t *hi);
/* e as linear in index k: e = stride * index_k + rest, both free of index k. False when it is not.
 */
bool sx_linear(SxTable *t, const Sx *e, int k, const Sx **stride, const Sx **rest);

/* What a target has of its own. Bits are the same with and without. */
typedef struct SxHas {
    bool f16;   /* the casts f16 -> f32 and f32 -> f16 */
    bool scale; /* SCALE */
    bool fma;   /* FMA as one operation, that costs far less than a division */
} SxHas;
/* Write mathematics (EXP ... SIGMOID, SCALE, float REM) and conversions of f16/bf16/f8/f4 as plain
 * operations, but for those that the target has; with FMA also quotients by constants that are
 * rounded to whole numbers, without the division. What comes out relies on IEEE arithmetic: a
 * backend must not reassociate, contract or flush subnormals. FMA may be one operation or two. */
const Sx *sx_expand(SxTable *t, const Sx *e, SxHas has);

/* One value: bits as in CONST. The reference for all backends. `load` serves LOAD, and is not
 * called where the guard is false. */
typedef struct SxEnv {
    const int64_t *index; /* values of the loop indices */
    const uint64_t *acc;  /* bits of the accumulators */
    bool (*dim)(void *context, Dim symbol, int64_t *value);
    uint64_t (*load)(void *context, const Sx *load, const int64_t *idx);
    void (*fail)(void *context, const Sx *check, int64_t index, int64_t extent);
    void *context;
    bool no_fma; /* FMA as mul, add */
} SxEnv;
uint64_t sx_eval(SxTable *t, const Sx *e, const SxEnv *env);

const char *sx_op_text(SxOp op);
/* Text: `add(load:f32(0,[i0,i1]),f32:1.5)`; i0, i1 are indices; dims in their own syntax in
 * dim(...). An operation that is used again is named where it stands first:
 * `add($0=exp(acc:f32(0)),$0)`. Constants are numbers, or their bits: `f32:0x7fc00001`. See
 * sx_text.c for loads and casts. */
void sx_print(Text *out, const Sx *e);
/* The position behind the text, or NULL when it is malformed or mixes dtypes. */
const char *sx_parse(SxTable *t, const char *s, const Sx **out);

#endif
