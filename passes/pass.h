/* pass.h: what a pass is, and the pipeline that runs them.
 *
 * A pass takes a verified graph and leaves a verified graph. It never prints, times, checks its own
 * switch, or verifies itself: the runner does, alike for all. It says truthfully whether it changed
 * anything, running it twice changes nothing the second time, and it asks for traits and
 * primitives, never for an operator's name. */
#ifndef INGOT_PASSES_PASS_H
#define INGOT_PASSES_PASS_H

#include <stdio.h>

#include "ir/graph.h"
#include "ir/target.h"

typedef struct DimFix {
    const char *name;
    int64_t value;
} DimFix;

/* Arithmetic that is asked for by name, faster than exact. */
typedef enum MathKind {
    MATH_EXACT,
    MATH_WINOGRAD, /* fewer products: convolutions of 3 x 3 in another basis */
    MATH_BF16,     /* products of numbers rounded to bf16, sums in f32 */
    MATH_BF16X3,   /* of sums of two bf16, by three products of those */
    MATH_KINDS
} MathKind;

/* For kernels whose label, or a node that they come from, fits the pattern (*, ? as in file names);
 * NULL: all. The last rule that fits holds. */
typedef struct MathRule {
    const char *pattern;
    MathKind how;
} MathRule;

typedef struct PassOptions {
    int level;         /* -O0 .. -O3; default 2 is the caller's to set */
    const DimFix *fix; /* --dim NAME=VALUE */
    int n_fix;
    const char *skip;     /* "fuse,cse" or NULL */
    const char *dump;     /* names, comma-separated, or "all"; NULL: none */
    const char *dump_dir; /* one file a dump; NULL: to dump_to */
    FILE *dump_to;        /* NULL: standard error */
    bool verify_each;
    bool time;         /* --time-passes: into dump_to */
    int64_t bisect;    /* stop after N accepted changes; < 0: never */
    size_t fold_limit; /* bytes of one folded constant; 0: 64 MiB */
    bool no_fold;
    const TargetInfo *target; /* neutral passes see only what it says */
    const MathRule *math;
    int n_math; /* 0: exact */
} PassOptions;

typedef struct PassContext {
    const PassOptions *options;
    Arena *scratch; /* reset after each pass */
    Diag *diag;
    int64_t accepted; /* changes so far */
} PassContext;

typedef struct Pass {
    const char *name;  /* for --dump, --skip-pass, reports and golden tests */
    const char *about; /* one line for `ingot help passes` */
    int level;         /* the lowest -O at which it runs */
    bool required;     /* cannot be skipped: what follows relies on it */
    bool uses;         /* needs Value.uses brought up to date */
    GraphStage after;  /* what holds after it, for the verifier */
    Status (*run)(PassContext *cx, Module *m, bool *changed);
} Pass;

extern const Pass pass_pipeline[]; /* ends with a nameless one; read top to bottom */

/* fold, of one node: for passes that open new constants as they go. */
Status fold_one(PassContext *cx, Node *n, bool *changed) MUST_USE;
/* Symbols become other dims wherever a type, contents or a kernel mentions them: map[symbol] is a
 * Dim. */
void module_substitute(Module *m, const Map *map);

/* `winograd`, or `conv*=winograd,conv1=exact`. */
Status math_parse(const char *text, Arena *a, PassOptions *out, Diag *d) MUST_USE;
MathKind math_of(const PassOptions *o, const Node *n);
const char *math_text(MathKind k);

/* One change about to be made: false when bisecting says no more. */
bool pass_accept(PassContext *cx);
/* The whole pipeline: operators in, fused kernels out. */
Status pass_run_all(Module *m, const PassOptions *o, Diag *d) MUST_USE;
/* Its head, to the pass that may change results by a step of a quantised type: what the evaluator
 * makes of the graph then is what generated code has to give. changed: whether that pass did. */
Status pass_run_quantised(Module *m, const PassOptions *o, bool *changed, Diag *d) MUST_USE;
/* One pass by name, on a graph in the state that it expects. */
Status pass_run_one(Module *m, const char *name, const PassOptions *o, bool *changed,
                    Diag *d) MUST_USE;

Status pass_dims(PassContext *cx, Module *m, bool *changed);     /* --dim into types */
Status pass_unsigned(PassContext *cx, Module *m, bool *changed); /* i8 activations as u8 */
Status pass_qdq(PassContext *cx, Module *m, bool *changed);      /* floats between 8-bit integers */
Status pass_fold(PassContext *cx, Module *m, bool *changed);     /* constants, by the evaluator */
Status pass_simplify(PassContext *cx, Module *m,
                     bool *changed);                        /* what equals a value that is there */
Status pass_cse(PassContext *cx, Module *m, bool *changed); /* equal nodes once */
Status pass_dce(PassContext *cx, Module *m, bool *changed); /* what nobody reads */
Status pass_lower(PassContext *cx, Module *m, bool *changed);  /* operators -> primitives */
Status pass_layout(PassContext *cx, Module *m, bool *changed); /* order of axes in memory */
Status pass_widen(PassContext *cx, Module *m, bool *changed);  /* 16-bit floats read often as f32 */
Status pass_concat(PassContext *cx, Module *m, bool *changed); /* pieces made in their place */
Status pass_halo(PassContext *cx, Module *m, bool *changed);   /* windows without guards */
Status pass_fuse(PassContext *cx, Module *m, bool *changed);   /* which primitives share a kernel */
Status pass_winograd(PassContext *cx, Module *m, bool *changed); /* 3 x 3 in another basis */
Status pass_bf16(PassContext *cx, Module *m, bool *changed);     /* products of rounded numbers */

#endif
