/* op.h: the op table: one row and one small group of functions per operator, next to its family
 * (ir/ops/FAMILY.c).
 *
 * To add an operator: write its row in the family's table and tests/ops/NAME.test. Nothing else. A
 * new family adds a line to families.def. Identity of an operator is the address of its row; nobody
 * outside asks for its name. */
#ifndef INGOT_IR_OP_H
#define INGOT_IR_OP_H

#include "ir/build.h"
#include "ir/graph.h"

/* How 8-bit integers pass through, so that quantisation needs no list of operators. */
typedef enum Quant {
    QUANT_FLOAT,   /* dequantise before, quantise after */
    QUANT_MOVE,    /* bytes move, scale and zero point follow: Reshape, Gather, MaxPool */
    QUANT_TABLE,   /* one 8-bit input: 256 entries, made by eval1 while compiling: Sigmoid */
    QUANT_RESCALE, /* i32 fixed point on rescaled inputs: Add, Mul, Concat */
    QUANT_CONTRACT /* i8 x i8 -> i32, requantised in the epilogue: Conv, MatMul, Gemm */
} Quant;

/* What passes may ask of the two operators between floats and quantised integers: inputs are value,
 * scale, zero point (or NULL), with the attributes axis and block_size. */
typedef enum QuantRole { QUANT_NONE, QUANT_QUANTISE, QUANT_DEQUANTISE } QuantRole;

typedef enum Trait {
    OP_PURE = 1 << 0, /* no state, no randomness: may be folded, shared, dropped */
    OP_COMMUTES = 1 << 1,
    OP_IDEMPOTENT = 1 << 2, /* f(f(x)) = f(x) */
    OP_MONOTONE = 1 << 3,   /* x <= y implies f(x) <= f(y) */
    OP_IN_PLACE = 1 << 4,   /* out[0] may share the memory of in[0] */
    OP_VIEW = 1 << 5,       /* moves or repeats elements of in[0], changes none */
    OP_ANY_RANK = 1 << 6,   /* also takes and gives tensors of unknown rank */
    OP_FILLS = 1 << 7       /* puts zeros, or an operand, beside elements of in[0] */
} Trait;

/* The functions of the runtime that lowering may call (ir/call.def), and sets of them. */
typedef enum Call {
#define CALL(name, about) CALL_##name,
#include "ir/call.def"
#undef CALL
    N_CALLS
} Call;
#define CALL_BIT(name) (1u << CALL_##name)

typedef struct AttrDef {
    const char *name;
    AttrKind kind;
    bool required;
    /* default, by kind; none given (all zero, has_default false): the attribute stays absent */
    bool has_default;
    int64_t i;
    double f;
    const char *s;
} AttrDef;
#define ATTR_I(n, v)                                                                               \
    {                                                                                              \
        .name = n, .kind = ATTR_INT, .has_default = true, .i = v                                   \
    }
#define ATTR_F(n, v)                                                                               \
    {                                                                                              \
        .name = n, .kind = ATTR_FLOAT, .has_default = true, .f = v                                 \
    }
#define ATTR_S(n, v)                                                                               \
    {                                                                                              \
        .name = n, .kind = ATTR_STRING, .has_default = true, .s = v                                \
    }
#define ATTR_OPT(n, k)                                                                             \
    {                                                                                              \
        .name = n, .kind = k                                                                       \
    }
#define ATTR_REQ(n, k)                                                                             \
    {                                                                                              \
        .name = n, .kind = k, .required = true                                                     \
    }

/* One input or output. `types` is the set accepted; inputs (and outputs) with the same `var` have
 * one dtype. */
typedef struct PortDef {
    const char *name;
    unsigned types;  /* DT_BIT set; 0: not a tensor (sequence, optional): infer checks it itself */
    const char *var; /* type variable "T", or NULL */
    bool optional;
    bool variadic;  /* the last one only: any number, at least one unless optional */
    unsigned ranks; /* RANK set accepted, 0: any; an unknown rank passes */
    bool single;    /* one number: a scalar, or one element in any shape; at run time, too */
} PortDef;

#define RANK(k) (1u << (k))

/* What infer may use. Types and contents of inputs are set before infer runs (a NULL input has
 * none). */
typedef struct Infer {
    Module *module;
    Build *build; /* to define symbols bound from data (build_bind); inserts before the node */
    Diag *diag;
} Infer;

/* What eval may use. Inputs are checked against the row's ports before; eval checks shapes and
 * values. */
typedef struct Eval Eval;
struct Eval {
    Arena *arena;
    Diag *diag;
    bool bounded; /* ERR_LIMIT for a formula that makes far more than it is given and gives */
    /* evaluate a region on arguments: for If, Loop, Scan */
    Status (*region)(Eval *cx, const Region *r, Tensor *const *arg, Tensor **result);
    void *context;
};

struct OpDef {
    const char *name;        /* ONNX name */
    const char *domain;      /* NULL: ai.onnx; "com.microsoft", "ai.onnx.ml" */
    int since;               /* opset of the meaning here; older forms are upgraded on import */
    const char *about;       /* one line for `ingot inspect --ops` */
    const PortDef *in, *out; /* end with a nameless one */
    unsigned calls;          /* CALL_BIT set: what its lowering may call; no others are let pass */
    const AttrDef *attr;     /* ends with a nameless one; NULL when there are none */
    unsigned traits;
    Quant quant;
    QuantRole role;
    /* QUANT_CONTRACT: the same product, without a third operand, of 8-bit integers less their zero
     * points (NULL: 0), in i32. Scales of in[1] stand along its axis `w_axis`; *axis is the axis of
     * the result that they belong to. NULL without a failure: n has no such form. */
    Value *(*integer)(Build *b, const Node *n, Value *const *in, Value *const *zero, int w_axis,
                      int *axis);

    /* Sets n->out[k]->type (and contents) of every output that is not NULL; checks attributes and
     * shapes. Must work with open dims; with unknown rank where it can. */
    Status (*infer)(Infer *cx, Node *n);
    /* The reference: any inputs that pass the checks; out[k] made with tensor_new in cx->arena.
     * Written from the specification, plainly, not from lower. Integers exact. */
    Status (*eval)(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out);
    /* v[k] (all NULL before) gets a value that equals out[k], where there is one. Only exact
     * rewrites. New nodes go through b. */
    void (*simplify)(Build *b, Node *n, Value **v);
    /* Meaning in primitives: out[k] gets a value for every n->out[k] that is not NULL. May also
     * build other operators (build_op), which are lowered in their turn. */
    Status (*lower)(Build *b, const Node *n, Value **out);

    /* The gradients of the inputs that are floats (NULL: none) from those of the outputs (NULL
     * where there is none), built at b. Element by element operators need none: see gradient.h. */
    Status (*derive)(Build *b, const Node *n, Value *const *dy, Value **dx);

    /* Element by element operators (all inputs broadcast together) give these instead of infer,
     * eval and lower: */
    double (*eval1)(const Node *n, const double *x); /* floats */
    int64_t (*evali)(const Node *n, const int64_t *x,
                     DType t); /* integers and bool: t is the dtype of in[0] (bits of u64 as i64) */
    const Sx *(*map)(Build *b, const Node *n,
                     const Sx *const *x); /* x[k] has in[k]'s dtype, but f16/bf16 come as f32 */
    DType result; /* dtype of the result when it is not that of in[0] (comparisons: DT_BOOL) */
    /* Structural operators that are never lowered through `lower`. */
    NodeKind holder; /* NODE_IF or NODE_LOOP; else 0 (NODE_OP) */
};

typedef struct OpFamily {
    const char *name;
    const OpDef *ops; /* ends with a nameless row */
} OpFamily;
extern const OpFamily op_families[]; /* ends with a nameless one */

/* NULL when there is none. domain "" and NULL and "ai.onnx" are one. */
const OpDef *op_find(const char *domain, const char *name);
/* By name: a number of ir/call.def, or N_CALLS. */
Call call_find(const char *name);
const char *call_name(Call c);
const char *call_about(Call c);
/* Walks all rows: complete, unique, defaults well typed. Used by a unit test. */
bool op_table_ok(Diag *d);
/* Fill defaults, check attributes and ports against the row. */
Status op_check(Node *n, Diag *d) MUST_USE;
/* op_check, then infer: every output gets type and, where known, contents. */
Status op_infer(Infer *cx, Node *n) MUST_USE;
/* Results of a node and of its row, the larger of both: a row's functions may write them all, of a
 * node that names fewer too. */
int op_slots(const Node *n);
/* Lower one operator node at b: fills out[0..n->n_out). */
Status op_lower(Build *b, const Node *n, Value **out) MUST_USE;
/* Evaluate one operator node on tensors. */
Status op_eval(Eval *cx, const Node *n, const Tensor *const *in, Tensor **out) MUST_USE;

/* Message about an operator: diag() with the node's origin. */
Status op_error(const Node *n, Diag *d, const char *attr_or_input, const char *format, ...)
    PRINTF(4, 5);
Status op_unsupported(const Node *n, Diag *d, const char *format, ...) PRINTF(3, 4);

/* Helpers shared by families (ir/infer_util.c) */
static inline const Type *in_type(const Node *n, int k)
{
    return &n->in[k]->type;
}
static inline bool has_in(const Node *n, int k)
{
    return k < n->n_in && n->in[k];
}
static inline Value *in_value(const Node *n, int k) /* NULL: left out */
{
    return has_in(n, k) ? n->in[k] : NULL;
}
static inline bool has_out(const Node *n, int k)
{
    return k < n->n_out && n->out[k];
}
/* Whether n is the one or the other operator between floats and quantised integers. */
static inline bool plays(const Node *n, QuantRole role)
{
    return n && n->kind == NODE_OP && n->op->role == role;
}
/* Set type of output k (nothing when it is NULL). dims are copied. */
void infer_out(Infer *cx, Node *n, int k, DType t, int rank, const Dim *dims);
void infer_same(Infer *cx, Node *n, int k, int input); /* same type as an input */
/* Numpy broadcasting of two dim lists; where it cannot be decided the run-time max(a, b) if one
 * is 1. */
Status infer_broadcast_dims(Infer *cx, Node *n, int n_types, const Type *const *types, int *rank,
                            Dim *dims) MUST_USE;
/* Of two dims that broadcast: the larger, unless one is 0 (numpy broadcasts 1 to 0). */
Dim infer_larger_or_none(DimTable *t, Dim a, Dim b);
/* Axis attribute into [0, rank); negative counts from the end. */
Status infer_axis(const Node *n, Diag *d, const char *attr, int64_t axis, int rank,
                  int *out) MUST_USE;
/* The elements of an integer tensor input as dims: its constant data or contents; else, with build:
 * fresh symbols in [lo, hi] that a NODE_BIND before the node reads from the tensor at run time. The
 * element count must be constant. NULL in *dims when the input is absent. */
Status infer_elements(Infer *cx, Node *n, int input, int64_t lo, int64_t hi, const Dim **dims,
                      int *count) MUST_USE;
/* Constant elements only: false when not known at compile time. */
bool const_ints(const Value *v, Arena *a, const int64_t **out, int *count);
bool const_doubles(const Value *v, Arena *a, const double **out, int *count);
/* Give an integer output its contents (copied), where its type says that they are as many: a count
 * that only the run knows leaves them unknown. */
void infer_contents(Infer *cx, Node *n, int k, int count, const Dim *dims);

/* Helpers for eval */
Status eval_out(Eval *cx, const Node *n, Tensor **out, DType t, int rank,
                const int64_t *dims) MUST_USE; /* ERR_LIMIT when too large */
/* Row-major strides in elements; broadcast: 0 where in_dim is 1 and out_dim is not (aligned at the
 * right). */
void eval_strides(int rank, const int64_t *dim, int64_t *stride);
void eval_broadcast_strides(const Tensor *t, int out_rank, int64_t *stride);
bool eval_next(int rank, const int64_t *dim, int64_t *index); /* odometer: false after the last */

#endif
