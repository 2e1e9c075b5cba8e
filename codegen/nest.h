/* nest.h: a kernel as loops: what every backend that prints or emits loops needs to know, worked
 * out once and independent of any target.
 *
 *   address   the element offset of every LOAD and every result as
 *                 base + sum of coef[k] * index k + sum of term.coef * term.e
 *             with Dims as coefficients; a term is an expression that is not linear (an index that
 *             comes from data). From it follow strides, contiguity and what may be hoisted.
 *   loops     adjacent indices are one loop where all addresses agree (a contiguous tensor becomes
 *             one dimension); indices of extent 1 have no loop and are 0
 *   vec       the loop whose points become lanes
 *   tasks     the outermost loops [0, n_task), and blocks of `block` points of loop n_task
 *
 * A merged loop's value is that of its last index; the others are never asked for, since no
 * expression names them. */
#ifndef INGOT_CODEGEN_NEST_H
#define INGOT_CODEGEN_NEST_H

#include "codegen/kernel_abi.h"

enum {
    NEST_INDICES = 2 * MAX_RANK, /* domain and reduction indices of a stage */
    NEST_OLD = 1000              /* ACC of this number: what stood at a scatter's place before */
};

typedef struct AffineTerm {
    const Sx *e;
    Dim coef;
} AffineTerm;

typedef struct Affine {
    Dim base;
    Dim coef[NEST_INDICES]; /* NULL: 0 */
    int n_term, cap_term;
    AffineTerm *term;
} Affine;

typedef struct NestLoop {
    int first, last; /* indices that it covers */
    Dim extent;
} NestLoop;

/* A part of a framed result that no point writes: `count` runs of `size` elements, `pitch` apart,
 * from element `at` on; all `border`. */
typedef struct NestEdge {
    int out;
    Dim count, pitch, at, size;
} NestEdge;

typedef enum LocalKind {
    LOCAL_NONE,     /* out[0] is a result of the node */
    LOCAL_REGISTER, /* one element a row */
    LOCAL_SCRATCH
} LocalKind;

typedef struct NestStage {
    const Stage *stage;
    int n_index;
    int loop_of[NEST_INDICES]; /* of each index; -1: it is always 0, or merged into the next */
    int n_domain, n_loop;      /* loops: the domain's in the order of nesting, then reductions */
    NestLoop loop[NEST_INDICES];
    int vec;        /* loop, or -1 */
    int scan;       /* loop of the scan axis, or -1; the last of the domain */
    int tile;       /* loop next to vec along which some loads are contiguous, or -1 */
    Map address;    /* const Sx * -> Affine *: LOADs; nest_compares: arg0 - arg1 */
    Affine **store; /* [n_out] elements from the result's (or local's) start */
    const Sx *
        *value;  /* [n_out] what is stored: StageOut.value, for scatters combined with NEST_OLD */
    Dim *copied; /* [n_out] scatters: elements of the result */
    NestEdge *edge;
    int n_edge;
    int widest; /* bytes of the widest element that is computed with, indices aside */
    int n_node; /* expressions outside addresses */
    bool lanes; /* ORDER_LANES64, and there is more than one lane */
    LocalKind local;
    Dim local_at; /* bytes from the worker's scratch; REGISTER: where Nest.rows is above 1 */
    int64_t local_step;
} NestStage;

typedef struct Nest {
    Arena *arena;
    Module *module;
    const Node *node;
    const Kernel *kernel; /* expressions as rewritten by the backend */
    int n_outer;          /* loops that all stages share */
    NestStage *stage;
    int n_task;    /* loops of stage 0 that a task number counts */
    int64_t block; /* points of loop n_task in a task; 0: all */
    int rows;      /* points of the last outer loop that may go through each stage in turn: locals
                      have room for so many, local_step bytes apart */
    Dim blocks;    /* of loop n_task; NULL when block is 0 */
    bool serial;   /* one task, in row-major order */
    int n_row;     /* 0, or, in a band: indices [0, n_row) are the rows, each of them a task */
    const uint8_t *group; /* NULL, or by index: indices of different groups are never merged */
    KernelAbi abi;
} Nest;

/* Rewrites one expression for a backend; NULL stands for the identity. */
typedef const Sx *(*NestRewrite)(void *context, SxTable *t, const Sx *e);

Status nest_build(Arena *arena, Module *m, const Node *n, NestRewrite rewrite, void *context,
                  Diag *d, Nest **out) MUST_USE;
/* The same for a band, of which each row is a task; n_row comes out 0 where this cannot be. */
Status nest_build_rows(Arena *arena, Module *m, const Node *n, int n_row, NestRewrite rewrite,
                       void *context, Diag *d, Nest **out) MUST_USE;
/* The same, keeping indices of different groups apart; see Nest.group. */
Status nest_build_grouped(Arena *arena, Module *m, const Node *n, const uint8_t *group,
                          NestRewrite rewrite, void *context, Diag *d, Nest **out) MUST_USE;
/* A contraction's stage s taken apart, with its indices: one that stores `value`, a side of the
 * product, at each point of domain and reduction; and one that stores the results of a finished
 * sum. */
Stage nest_side_stage(Arena *a, const Stage *s, const Sx *value);
Stage nest_result_stage(Arena *a, SxTable *t, const Stage *s);
/* Whether some result has a frame around it; which is written even where there is no point: then
 * there is at least one task. */
bool nest_is_framed(const NestStage *s);
Dim nest_tasks(Nest *n, const NestStage *s, Dim tasks);
/* The emitted code will ask for d: it joins abi.dim unless it is constant. */
void nest_need(Nest *n, Dim d);
/* Of i64: EQ, NE, LT, LE. */
static inline bool nest_compares(const Sx *e)
{
    return e->op >= SX_EQ && e->op <= SX_LE && e->arg[0]->dtype == DT_I64;
}
/* What is placed has no order. */
static inline bool nest_scatters(const StageOut *o)
{
    return o->dst && o->combine != COMBINE_PLACE;
}
/* The loop whose value INDEX k is, or -1 for 0. */
static inline int nest_loop_of(const NestStage *s, int k)
{
    return k < s->n_index ? s->loop_of[k] : -1;
}
/* Number of `d` in abi.dim, or -1 (constants). */
int nest_dim(const Nest *n, Dim d);
static inline bool nest_is_arg(Monoid m)
{
    return m >= MONOID_ARGMIN_FIRST;
}
/* For planning: the value of a constant, a guess for the others. */
int64_t nest_guess(Dim d);
static inline bool affine_is_coef(const Affine *a, int k, int64_t v)
{
    return a->coef[k] ? dim_is(a->coef[k], v) : v == 0;
}
/* A load that is at i % by or i / by along index i, and nowhere else depends on it; `by` 0: it is
 * none. */
typedef struct NestPeriod {
    int64_t by;
    bool rem;
} NestPeriod;
NestPeriod nest_period(const Nest *n, const NestStage *s, int index, const Sx *load,
                       const Affine *x);
/* A load at (i + shift) / by, `apart` further for each (i + shift) % by, along index i, and nowhere
 * else dependent on it: `by` rows, an element of each in turn; `by` 0: it is none. */
typedef struct NestLace {
    int64_t by, shift;
    Dim apart;
} NestLace;
NestLace nest_lace(const Nest *n, int index, const Sx *load, const Affine *x);
/* Whether stage s reads operand `operand` (-1: writes its only result) as rows of `columns`
 * elements, one after the other: loop[0 .. n_loop) count the rows, and no other loop leaves one. */
bool nest_goes_by_rows(Nest *n, const NestStage *s, int operand, int n_loop, const int *loop,
                       Dim columns);
bool nest_reads(const NestStage *s, int operand);
/* Whether a load can be read along loop w and transposed in tiles, where lanes run along loop v. It
 * may have terms, of which none depends on w. */
bool nest_transposes(const Nest *n, const NestStage *s, const Sx *load, int v, int w);

#endif
