/* cpu_emit.h: the state of emitting one kernel, shared by the cpu_*.c files that do it.
 *
 * Levels. Code is written into a stack of levels: level 0 is the function's entry, each open loop
 * is one more. A level's `tail` is the block at whose end its next instruction goes; blocks are
 * closed when the loop inside them is closed. So anything can be put at the end of any level at any
 * time, and every expression is put at the shallowest level where all that it needs is known:
 * invariant work is hoisted by construction.
 *
 * Lanes. Within a variant of the vector loop, an expression either varies along the lanes (then it
 * is a vector of f->lanes elements) or is a scalar. With lanes == 1 the same code emits scalars.
 *
 * Parts. f->unroll points or vectors are computed side by side, each operation for all of them
 * before the next one: then none waits for the one before. They follow each other along the vector
 * loop, or, where f->across is a loop, along that one. What differs between them has parts. */
#ifndef INGOT_CODEGEN_CPU_EMIT_H
#define INGOT_CODEGEN_CPU_EMIT_H

#include "codegen/cpu/cpu_llvm.h"
#include "codegen/nest.h"
#include "ingot/ingot_rt.h"

enum { CPU_UNROLL = 16, CPU_LEVELS = NEST_INDICES + 5 };

/* What is known of an expression, and its values. */
typedef struct CpuVal {
    unsigned stamp; /* `depth` and `varies` hold while it equals CpuFn.stamp */
    int depth;
    bool varies, parts;
    int level;                  /* of the values */
    LLVMValueRef v[CPU_UNROLL]; /* one when it has no parts */
    LLVMValueRef splat;
} CpuVal;

typedef struct CpuFn {
    CpuModule *m;
    LLVMBuilderRef b;
    Arena *arena;
    const Nest *nest;
    LLVMValueRef fn, args, begin, end, scratch;
    LLVMTypeRef element;     /* of a contraction: f32, or f64 */
    LLVMValueRef *ptr, *dim; /* loaded in the entry when first asked for */
    int level;
    LLVMBasicBlockRef tail[CPU_LEVELS];
    LLVMBasicBlockRef entry; /* holds nothing but stack memory */
    LLVMBasicBlockRef start; /* behind it */
    Status failed;

    const NestStage *s;
    LLVMValueRef row; /* of Nest.rows; NULL: one row at a time */
    int row_level;
    const NestStage *maker; /* of what the stage reduces, made on the way; or NULL */
    int stage_level;        /* where the stage begins: locals of earlier stages are ready */
    LLVMValueRef loop_value[NEST_INDICES];
    int loop_level[NEST_INDICES];
    LLVMValueRef from[NEST_INDICES], to[NEST_INDICES]; /* bounds of loops that tasks have cut */
    int load_floor; /* loads must not be hoisted above this level: an empty loop lies there */
    int vec;        /* loop whose points are lanes now, or -1 */
    int across;     /* loop whose points are the parts now, or -1: the vector loop's are */
    int lanes, unroll;
    int active;                    /* parts that have any lane to do */
    LLVMValueRef mask[CPU_UNROLL]; /* active lanes; NULL: all */
    LLVMValueRef *acc;             /* [n_acc * CPU_UNROLL] */
    bool acc_varies;
    int acc_level;
    LLVMValueRef old[CPU_UNROLL]; /* NEST_OLD */
    int old_level;
    LLVMValueRef *local; /* [n_stage] LOCAL_REGISTER */
    unsigned stamp;
    Map vals;
    Map slow; /* functions of slow arms, by what they compute and lanes (cpu_seldom.c) */
} CpuFn;

/* ---- cpu_value.c: expressions */
CpuVal *cpu_info(CpuFn *f, const Sx *e); /* depth and varies, up to date */
bool cpu_varies(CpuFn *f, const Sx *e);
LLVMValueRef cpu_value(CpuFn *f, const Sx *e, int u);  /* scalar, or vector when it varies */
LLVMValueRef cpu_vector(CpuFn *f, const Sx *e, int u); /* of f->lanes in any case */
void cpu_forget(CpuFn *f);                             /* all values; another stage begins */
void cpu_drop(CpuFn *f, int level);                    /* values of a level that is closed */
void cpu_restamp(CpuFn *f); /* loops, lanes or accumulators have changed */
void cpu_at(CpuFn *f, int level);
LLVMValueRef cpu_dim(CpuFn *f, Dim d);
LLVMValueRef cpu_ptr(CpuFn *f, int k);
void cpu_bug(CpuFn *f, const char *what);

/* ---- cpu_sx.c: operations on values */
LLVMTypeRef cpu_type(const CpuModule *m, DType d);     /* of a value */
LLVMTypeRef cpu_mem_type(const CpuModule *m, DType d); /* of an element in memory */
LLVMTypeRef cpu_lanes_type(LLVMTypeRef t, int lanes);  /* t itself for 1 */
LLVMValueRef cpu_const(const CpuModule *m, DType d, uint64_t bits);
LLVMValueRef cpu_splat(CpuFn *f, LLVMValueRef v, int lanes);
LLVMValueRef cpu_splat_const(LLVMValueRef v, int lanes);
LLVMValueRef cpu_iota(CpuFn *f, LLVMTypeRef t, int lanes);
/* One operation; `like` gives op, dtypes and constant arguments; a[] are its arguments. */
LLVMValueRef cpu_apply(CpuFn *f, const Sx *like, LLVMValueRef *a);
/* acc (+) x. */
LLVMValueRef cpu_combine(CpuFn *f, Monoid m, DType d, LLVMValueRef acc, LLVMValueRef x);
LLVMValueRef cpu_fma(CpuFn *f, DType d, LLVMValueRef a, LLVMValueRef b, LLVMValueRef c);
LLVMValueRef cpu_compare(CpuFn *f, SxOp op, DType d, LLVMValueRef a, LLVMValueRef b);
LLVMValueRef cpu_call1(CpuFn *f, const char *intrinsic, LLVMValueRef a);
LLVMValueRef cpu_call2(CpuFn *f, const char *intrinsic, LLVMValueRef a, LLVMValueRef b);

/* ---- cpu_divide.c: DIV and REM of integers */
LLVMValueRef cpu_divide(CpuFn *f, const Sx *e, LLVMValueRef a, LLVMValueRef b);
/* ---- cpu_seldom.c: branches around what is seldom needed */
typedef struct CpuSeldom {
    LLVMBasicBlockRef from, join;
} CpuSeldom;
/* Where the builder stands, the code goes on with the slow arm if any lane (i1, or lanes of it) is
 * true; close leads back, and gives `slow` or `usual`. */
CpuSeldom cpu_seldom_open(CpuFn *f, LLVMValueRef lanes);
LLVMValueRef cpu_seldom_close(CpuFn *f, const CpuSeldom *s, LLVMValueRef slow, LLVMValueRef usual);
/* SELECT whose first argument is nearly always true; NULL: no branch is worth it. */
LLVMValueRef cpu_mostly(CpuFn *f, const Sx *e, int u);

/* ---- cpu_memory.c: loads, stores, addresses */
LLVMValueRef cpu_load(CpuFn *f, const Sx *e, int u);
/* The elements from the start of an operand to lane 0 of part u, terms that vary left out. */
LLVMValueRef cpu_offset(CpuFn *f, const Affine *x, int u);
void cpu_store(CpuFn *f, int out, LLVMValueRef v, int u);
LLVMValueRef cpu_load_old(CpuFn *f, int out, int u, LLVMValueRef mask);
void cpu_store_masked(CpuFn *f, int out, LLVMValueRef v, int u, LLVMValueRef mask);
LLVMValueRef cpu_check(CpuFn *f, const Sx *e, int u);
LLVMValueRef cpu_first_lanes(CpuFn *f, LLVMValueRef limit, int lanes); /* i1: lane < limit (i64) */
LLVMValueRef cpu_lane_limit(CpuFn *f, LLVMValueRef limit);             /* of f->lanes */
LLVMValueRef cpu_masked_load(CpuFn *f, DType d, LLVMValueRef p, LLVMValueRef mask);
/* Of elements as in memory; mask NULL: all. */
void cpu_store_vector(CpuFn *f, DType d, LLVMValueRef v, LLVMValueRef p, LLVMValueRef mask);
LLVMValueRef cpu_stack(CpuFn *f, LLVMTypeRef t, int n); /* aligned stack memory of n elements */
LLVMValueRef cpu_element(CpuFn *f, DType d, LLVMValueRef base, LLVMValueRef offset);
LLVMValueRef cpu_from_mem(CpuFn *f, DType d, LLVMValueRef v);
LLVMValueRef cpu_to_mem(CpuFn *f, DType d, LLVMValueRef v);
LLVMValueRef cpu_operand(CpuFn *f, int src); /* where a LOAD of src starts */
/* Whether a stage's result is a value, in no memory. */
bool cpu_in_register(const CpuFn *f, const NestStage *s);
bool cpu_can_mask(const CpuFn *f); /* every access of the stage along the lanes */

/* ---- cpu_loop.c: loops */
typedef struct CpuLoop {
    LLVMBasicBlockRef header, exit;
    LLVMValueRef index, step;
    int n;
    LLVMValueRef *carry; /* [n] within the loop; behind it: the last values */
    LLVMValueRef *init;
} CpuLoop;
/* for (index = lo; index < hi; index += step); opens a level. */
CpuLoop cpu_loop_open(CpuFn *f, LLVMValueRef lo, LLVMValueRef hi, int64_t step, int n_carry,
                      LLVMValueRef *init);
void cpu_loop_close(CpuFn *f, CpuLoop *l, LLVMValueRef *next);
typedef struct CpuIf {
    LLVMBasicBlockRef test, join;
} CpuIf;
/* if (condition) { ... }; opens a level. */
CpuIf cpu_if_open(CpuFn *f, LLVMValueRef condition);
void cpu_if_close(CpuFn *f, CpuIf *c);
/* A level without code of its own: one turn of a loop that is written out. */
void cpu_turn_open(CpuFn *f);
void cpu_turn_close(CpuFn *f);
/* A task's number into places: *number % count, taken off. */
LLVMValueRef cpu_take(CpuFn *f, LLVMValueRef *number, Dim count);
LLVMBasicBlockRef cpu_block(CpuFn *f);
/* Code of a level goes on in another block. */
void cpu_move(CpuFn *f, int level, LLVMBasicBlockRef to);
/* Code of all levels that stand at the end of `from` does. */
void cpu_move_from(CpuFn *f, LLVMBasicBlockRef from, LLVMBasicBlockRef to);

/* ---- cpu_reduce.c: accumulators. They travel through loops as `carry`, an array of values. */
int cpu_carry_count(const CpuFn *f);
void cpu_carry_start(CpuFn *f, LLVMValueRef *carry);   /* identities */
void cpu_carry_add(CpuFn *f, LLVMValueRef *carry);     /* the bodies at the current point */
void cpu_carry_publish(CpuFn *f, LLVMValueRef *carry); /* ACC is this from now on */
/* Accumulators of the current domain point(s), from the whole reduction. */
void cpu_reduce(CpuFn *f);
/* ---- cpu_lanes.c: a reduction along its innermost index in 64 lanes */
void cpu_reduce_lanes(CpuFn *f);
/* Whether stage i has only what stage i + 1 sums up along its rows. */
bool cpu_makes_sums(const CpuFn *f, int i);
/* ---- cpu_tile.c: two loops together, for loads that are contiguous along w where lanes run along
 * v (nest_transposes). */
typedef struct CpuTileLoops {
    int v, w; /* loops of f->s */
    LLVMValueRef v_from, v_to, w_from, w_to;
    bool v_cut;      /* [v_from, v_to) is any part of the loop */
    bool rows_first; /* the outer loop is v: reads go through memory in order, else writes do */
    /* What is done at a point of w, which is so far from the tile's first, with lanes along v,
     * masked where f->mask[0] is. */
    void (*point)(CpuFn *f, void *context, LLVMValueRef column);
    void (*rows)(CpuFn *f,
                 void *context); /* where rows begin, if they are the outer loop; or NULL */
    void *context;
    /* NULL, or by result of the stage: what `point` has put here, a vector a column, is stored
     * along w, behind the tile. Of square tiles. */
    LLVMValueRef *turned;
} CpuTileLoops;
bool cpu_tiles_are_square(const CpuFn *f, const CpuTileLoops *x);
bool cpu_tiles_fit(const CpuFn *f, const CpuTileLoops *x);
/* All points; without masks (cpu_can_mask) those of whole tiles. */
void cpu_tiles(CpuFn *f, const CpuTileLoops *x);
/* The loops s->tile and s->vec, which are neighbours, and all in them. */
void cpu_tile_loops(CpuFn *f);
/* ---- cpu_lace.c: the same of few channels, with lanes along w: whole vectors. What is left begins
 * at x->w_from then. False: nothing is done. */
bool cpu_lace_loops(CpuFn *f, CpuTileLoops *x);
int cpu_lace_lanes(const CpuFn *f);
/* ---- cpu_scan.c: scans */
void cpu_scan(CpuFn *f);
/* The stage's vector loop l, rows of scans along memory, by tiles; false: they are no such. */
bool cpu_scan_tiles(CpuFn *f, int l, LLVMValueRef from, LLVMValueRef to);
/* ---- cpu_frame.c: the borders of results, by the first task. In front of all loops. */
void cpu_fill_frames(CpuFn *f, const NestStage *s);
/* To `leave` when one of the first n loops is empty: behind this, loads of operands are safe
 * anywhere in front of the loops. cpu_leave ends the code before the way out. */
void cpu_leave_if_empty(CpuFn *f, const NestStage *s, int n, LLVMBasicBlockRef leave);
void cpu_leave(CpuFn *f, LLVMBasicBlockRef leave);
/* ---- cpu_kernel.c */
void cpu_store_point(CpuFn *f);
int cpu_native_lanes(const CpuFn *f);
LLVMValueRef cpu_result(CpuFn *f, int out);            /* where a result of the stage starts */
void cpu_loop_at(CpuFn *f, int l, LLVMValueRef index); /* loop l is there, at this level */
/* The largest multiple of step (a power of two) within [from, to), as an end. */
LLVMValueRef cpu_whole_steps(CpuFn *f, LLVMValueRef from, LLVMValueRef to, int64_t step);
/* Whether every [from, to) of loop l is a multiple of n. */
bool cpu_divides(const CpuFn *f, int l, int64_t n);
/* Loop l, the stage's vector loop, and all in it. */
void cpu_vector_loop(CpuFn *f, int l, LLVMValueRef from, LLVMValueRef to);
/* A kernel's function, at level 0; close writes the return. */
void cpu_fn_open(CpuFn *f, CpuModule *m, const Nest *n, const char *name);
/* Function fn, which does a part of f's work; its arguments are the caller's to set, and close is
 * as for a kernel. */
void cpu_part_open(CpuFn *part, const CpuFn *f, LLVMValueRef fn);
Status cpu_fn_close(CpuFn *f);

#endif
