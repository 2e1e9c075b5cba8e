/* cpu_gemm_late.c: the epilogue of a tile of AMX, while the next tile is multiplied.
 *
 * Products of tiles are few instructions that take long: an epilogue of vectors among them costs
 * little, while behind them it would cost all its time. It is a function of its own, which each
 * step of K calls some times:
 *
 *     tile 1: products                   tile 2: products   call   products   call   products ...
 *             sums to memory                               row 1             row 2
 *
 * Rows are spread evenly: a call earns as many points as there are rows, a row costs as many as the
 * tile has calls. The sums are stored where they were, which is free again then. The function keeps
 * the registers of its caller, all but those of vectors, of which tiles need none. */
#include "codegen/cpu/cpu_gemm_impl.h"

/* What the function is passed, by number of 64-bit words. */
enum {
    LATE_ARGS,
    LATE_ROWS, /* of the tile */
    LATE_TILE, /* the sums of the row that comes next, and where it is */
    LATE_O,
    LATE_M,
    LATE_N,
    LATE_POINTS, /* earned and not spent; 0 between tiles */
    LATE_CALLS,
    LATE_WORDS
};

enum { LEAST_PRODUCTS = 24 }; /* of tiles, for a tile of sums */

struct GemmLate {
    LLVMTypeRef type;
    LLVMValueRef fn, words;
};

static LLVMValueRef word_at(CpuFn *f, LLVMValueRef words, int i)
{
    LLVMValueRef at = cpu_i64(f->m, i);

    cpu_at(f, f->level);
    return LLVMBuildGEP2(f->b, f->m->i64, words, &at, 1, "");
}

static LLVMValueRef get(CpuFn *f, LLVMValueRef words, int i)
{
    LLVMValueRef p = word_at(f, words, i);

    return LLVMBuildLoad2(f->b, i == LATE_ARGS || i == LATE_TILE ? f->m->ptr : f->m->i64, p, "");
}

static void set(CpuFn *f, LLVMValueRef words, int i, LLVMValueRef v)
{
    LLVMValueRef p = word_at(f, words, i);

    LLVMBuildStore(f->b, v, p);
}

/* ---- the function ---- */

/* How many rows the points earned so far buy, with this call's; to `leave` if that is none. */
static LLVMValueRef rows_bought(CpuFn *f, LLVMValueRef words, LLVMBasicBlockRef leave)
{
    LLVMValueRef points = get(f, words, LATE_POINTS), calls = get(f, words, LATE_CALLS), count, few;
    LLVMBasicBlockRef on = cpu_block(f);

    points = gemm_add(f, points, get(f, words, LATE_ROWS));
    set(f, words, LATE_POINTS, points);
    few = LLVMBuildICmp(f->b, LLVMIntSLT, points, calls, "");
    LLVMBuildCondBr(f->b, few, leave, on);
    cpu_move(f, 0, on);
    cpu_at(f, 0);
    count = LLVMBuildUDiv(f->b, points, calls, "");
    set(f, words, LATE_POINTS, LLVMBuildSub(f->b, points, gemm_mul(f, count, calls), ""));
    return count;
}

static void body(CpuFn *f, const CpuGemm *g, bool whole)
{
    LLVMValueRef words = LLVMGetParam(f->fn, 0), rows, m, n, next;
    LLVMBasicBlockRef leave = cpu_block(f);
    GemmTask t = {.f = f, .g = g};

    rows = rows_bought(f, words, leave);
    f->args = get(f, words, LATE_ARGS);
    t.N = cpu_dim(f, g->size_n);
    t.o = dim_is(g->size_o, 1) ? cpu_i64(f->m, 0) : get(f, words, LATE_O);
    t.tile = get(f, words, LATE_TILE);
    m = get(f, words, LATE_M);
    n = get(f, words, LATE_N);
    set(f, words, LATE_M, gemm_add(f, m, rows));
    next = gemm_float_at(f, t.tile, gemm_mul(f, rows, cpu_i64(f->m, g->width)));
    set(f, words, LATE_TILE, next);
    gemm_rows_loop(&t, m, rows, n, whole ? GEMM_FULL : GEMM_MASKED);
    cpu_leave(f, leave);
}

static LLVMValueRef late_function(GemmTask *t, LLVMTypeRef type, bool whole)
{
    CpuFn *f = ARENA_NEW(t->f->arena, CpuFn);
    LLVMValueRef fn = cpu_function(t->f->m, "", type, false);
    Status s;

    LLVMSetLinkage(fn, LLVMPrivateLinkage);
    LLVMSetFunctionCallConv(fn, LLVMPreserveMostCallConv);
    cpu_part_open(f, t->f, fn);
    f->s = &t->g->nest->stage[STAGE_OUT];
    body(f, t->g, whole);
    s = cpu_fn_close(f);
    if (t->f->failed == OK) t->f->failed = s;
    return fn;
}

/* ---- its callers ---- */

/* Of few products, calls cost what they hide; of no whole step, there would be none. */
static bool is_worth_it(const CpuGemm *g)
{
    int64_t steps = gemm_run_bytes(g) / AMX_BYTES;

    if (!g->amx) return false;
    for (int i = 0; i < g->a.n_k - 1; i++)
        steps *= g->a.k_extent[i]->value;
    return steps * gemm_amx_products(g) >= LEAST_PRODUCTS;
}

void gemm_late_open(GemmTask *t)
{
    CpuFn *f = t->f;
    const CpuGemm *g = t->g;
    bool whole = dim_is_const(g->size_n) && g->size_n->value % g->nr == 0;
    GemmLate *x;

    f->s = &g->nest->stage[STAGE_OUT];
    if (!is_worth_it(g) || !(whole || cpu_can_mask(f))) return;
    x = ARENA_NEW(f->arena, GemmLate);
    x->type = LLVMFunctionType(f->m->void_type, &f->m->ptr, 1, 0);
    x->fn = late_function(t, x->type, whole);
    x->words = cpu_stack(f, f->m->i64, LATE_WORDS);
    for (int i = 0; i < LATE_WORDS; i++)
        set(f, x->words, i, i == LATE_ARGS ? f->args : cpu_i64(f->m, i == LATE_CALLS));
    t->late = x;
}

void gemm_late_calls(CpuFn *f, const GemmLate *x, LLVMValueRef calls)
{
    set(f, x->words, LATE_CALLS, calls);
}

void gemm_late_rows(CpuFn *f, const GemmLate *x)
{
    LLVMValueRef args[] = {x->words}, call;

    call = LLVMBuildCall2(f->b, x->type, x->fn, args, 1, "");
    LLVMSetInstructionCallConv(call, LLVMPreserveMostCallConv);
}

void gemm_late_tile(GemmTask *t, LLVMValueRef rows, LLVMValueRef m, LLVMValueRef n)
{
    CpuFn *f = t->f;
    LLVMValueRef words = t->late->words;

    set(f, words, LATE_ROWS, rows);
    set(f, words, LATE_TILE, t->tile);
    if (!dim_is(t->g->size_o, 1)) set(f, words, LATE_O, t->o);
    set(f, words, LATE_M, m);
    set(f, words, LATE_N, n);
}

void gemm_late_close(GemmTask *t)
{
    CpuFn *f = t->f;

    if (!t->late) return;
    gemm_late_calls(f, t->late, cpu_i64(f->m, 1));
    cpu_at(f, f->level);
    gemm_late_rows(f, t->late);
}
