/* kernel.h: kernels: loop nests over scalar expressions, independent of any target.
 *
 * A kernel is the payload of a NODE_KERNEL. It has one or more stages; a stage is one loop nest
 *
 *     for each point of the domain [extent[0] x ... x extent[rank-1]]          (index 0 .. rank-1)
 *         for each point of the reduction [reduce[0] x ...]                    (index rank ..
 * rank+n_reduce-1) acc[k] = acc[k] (+) body[k] out[j][domain point] = value[j]       (value may
 * read ACC; without accumulators it is a plain map)
 *
 * That one form is elementwise work, views (transpose, slice, pad, gather: a LOAD at computed
 * indices), reductions, windows (pooling), contractions (a DOT accumulator: matmul, convolution),
 * scans (scan_axis) and scatters (dst). kernel_class names which. Backends implement the form, and
 * special-case classes for speed only.
 *
 * Operands: LOAD src >= 0 is node->in[src]; src < 0 is the first result of the earlier stage ~src
 * ("local", never seen outside). All stages share their first `n_outer` domain dims: a point of
 * those is what one task computes, so locals need space for one outer point only (the row of a
 * softmax). A one-stage kernel has n_outer == 0 by convention: all of its domain may be split.
 *
 * The order of every sum is an attribute, chosen before any target is known (DESIGN section 3):
 *   ORDER_CHAIN    reduction points in row-major order, one chain per output: acc = acc + body,
 * DOT: acc = fma(a, b, acc) ORDER_LANES64  p = row-major number of the reduction point; 64 partial
 * accumulators, point p goes to p % 64 (of the innermost reduction dim: lane = last reduction index
 * % 64, outer ones continue the lanes); then halves are combined: acc[i] (+) acc[i+32], 16, 8, 4,
 * 2, 1. All start at the identity of the monoid (SUM: +0).
 *   ORDER_PAIRS    a chain; of a DOT of values that bf16 holds, a target that adds several products
 * at once, in its own way, may do so (--math bf16 alone); of sums of two such values, it may leave
 * out the products of the second ones (--math bf16x3) */
#ifndef INGOT_IR_KERNEL_H
#define INGOT_IR_KERNEL_H

#include "ir/sx.h"
#include "ir/type.h"

typedef enum Monoid {
    MONOID_SUM,
    MONOID_DOT, /* sum of body * body2, fused */
    MONOID_PROD,
    MONOID_MIN, /* SX_MIN, SX_MAX: NaN wins */
    MONOID_MAX,
    MONOID_MAX_NUMBER, /* floats: acc < x ? x : acc, so NaN is passed over */
    MONOID_AND,        /* bool */
    MONOID_OR,
    /* i64: row-major number of the reduction point with the extreme body; the first or the last of
     * equals. Always in chain order; NaN is taken as the extreme. */
    MONOID_ARGMIN_FIRST,
    MONOID_ARGMIN_LAST,
    MONOID_ARGMAX_FIRST,
    MONOID_ARGMAX_LAST
} Monoid;

typedef enum SumOrder { ORDER_CHAIN, ORDER_LANES64, ORDER_PAIRS } SumOrder;

typedef struct Acc {
    Monoid monoid;
    DType dtype;     /* of the accumulator: f32, f64, i32, i64, u32, u64, bool; i64 for ARG */
    const Sx *body;  /* of dtype (ARG: of any number) */
    const Sx *body2; /* DOT only */
    /* DOT only, or NULL: which products count. Where it is false, a body is a zero of a frame or of
     * a padding, and the product may be left out. Of indices alone. */
    const Sx *where;
} Acc;

/* How a result is written. Normal: dst == NULL, at the domain point. Scatter: the operand `init` is
 * copied to the result first (the result's dims are its own), then for each domain point in
 * row-major order result[dst...] = combine(result[dst...], value), skipped where dst_guard is
 * false. Place: result[dst...] = value, skipped likewise; no element is written twice, each one
 * outside of a frame once, so that the order of points is free and nothing is copied first.
 * Several results of a stage may be placed into one value. */
typedef enum Combine {
    COMBINE_SET,
    COMBINE_ADD,
    COMBINE_MUL,
    COMBINE_MIN,
    COMBINE_MAX,
    COMBINE_PLACE
} Combine;

typedef struct StageOut {
    DType dtype;
    const Sx *value;
    int result; /* index of the node's output, or -1: local to the kernel */
    int n_dst;  /* with dst: rank of the result; 0 with dst == NULL otherwise */
    const Sx **dst;
    const Sx *dst_guard; /* NULL: always */
    Combine combine;
    int init; /* scatter: operand copied first; place: -1 */
    /* NULL, or [rank]: a frame of `border` around the result. Domain point p is element p + before;
     * the result's dims are its own. Only in kernels of one stage, and not of scatters. Where
     * results are placed, element dst + before is meant, and `within` [rank] are the dims of what
     * they fill. */
    const int64_t *before;
    const Dim *within;
    int64_t border; /* with `before`: 0, but around bytes */
    /* with `before`: bit i: along axis i what is around the result belongs to others, who share its
     * memory, and is left alone */
    uint32_t open;
} StageOut;

typedef struct Stage {
    int rank;
    Dim *extent; /* [rank] */
    int n_reduce;
    Dim *reduce; /* [n_reduce] */
    SumOrder order;
    int n_acc;
    Acc *acc;
    int scan_axis; /* -1; else ACC is a running value along this domain axis, which the body sees as
                    * its index; n_reduce is 0, order is CHAIN */
    int n_out;     /* >= 1; out[0] is what later stages load */
    StageOut *out;
} Stage;

typedef struct Kernel {
    const char *label; /* "conv+relu": for people */
    int n_outer;
    int n_stage;
    Stage *stage;
    const char *why; /* reasons of fusion decisions, for --report; may be NULL */
} Kernel;

typedef enum KernelClass {
    KERNEL_MAP,    /* no accumulator, loads at the domain point (broadcasts included) */
    KERNEL_VIEW,   /* value is one LOAD at computed indices: data movement */
    KERNEL_GATHER, /* a map with loads at other places, or at indices that come from data */
    KERNEL_REDUCE,
    KERNEL_WINDOW,   /* a reduction whose loads mix domain and reduction indices additively */
    KERNEL_CONTRACT, /* one DOT accumulator */
    KERNEL_SCAN,
    KERNEL_SCATTER,
    KERNEL_ROW /* several stages */
} KernelClass;

KernelClass kernel_class(SxTable *t, const Kernel *k);
const char *kernel_class_text(KernelClass c);
const char *monoid_text(Monoid m);
/* Bits of the identity of a monoid in dtype. */
uint64_t monoid_identity(Monoid m, DType d);
/* One combination step, as SX expression: acc (+) x. Not for DOT and ARG. */
const Sx *monoid_combine(SxTable *t, Monoid m, const Sx *acc, const Sx *x);

/* The contraction inside a stage with one DOT accumulator, as a matrix product over sets of
 * indices: C[batch, m, n] = sum over k of A[batch, m, k] * B[batch, n, k]. A is `body`, B is
 * `body2`, or the other way round when `swapped`. n is the set that holds the innermost domain dim
 * that only one operand uses. */
typedef struct Contraction {
    bool swapped;
    uint32_t batch, m, n; /* bit i: domain index i. Each domain index is in exactly one */
    Dim size_batch, size_m, size_n, size_k;
} Contraction;
bool kernel_contraction(SxTable *t, const Stage *s, Contraction *out);

/* Reference execution of a kernel, point by point, straight from this page: the oracle of backends.
 * in and out are dense tensors (out allocated by the caller); dim binds the symbols. */
struct Node;
Status kernel_interpret(SxTable *t, const Kernel *k, const Tensor *const *in, Tensor *const *out,
                        DimBinding dim, void *context, Diag *d) MUST_USE;

#endif
