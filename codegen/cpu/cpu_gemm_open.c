/* cpu_gemm_open.c: 8-bit integers of which only the run knows both operands.
 *
 *     sum over k of (a - z) * (b - y), b u8 or i8, y what it is less, the same for all k and n
 *         = sum of u(a) * s(b)  -  (z + s) * sum of s(b)  +  (t - y) * sum of (a - z)
 *
 * s(b) is b as i8: itself, or b - 128 (t = 128) by flipping the sign bit. The first two terms are
 * those of cpu_gemm_bytes.c, with B packed here into the layout that is drawn there, sums of
 * columns included. The third one is a number for each row, found once for each panel of rows. All
 * of it is exact modulo 2^32, as the sum itself is. */
#include "codegen/cpu/cpu_gemm_impl.h"

enum { GROUP = 4, FLIP = 128, MOST_VECTORS = 32 };
#define SIGNS UINT32_C(0x80808080)

typedef struct Open {
    CpuFn *f;
    const CpuGemm *g;
    LLVMValueRef from, k_step, n_step, to; /* B in bytes; the block, packed */
    bool in_lines;                         /* columns are next to each other in memory */
} Open;

static LLVMValueRef at_byte(CpuFn *f, LLVMValueRef base, LLVMValueRef offset)
{
    return LLVMBuildGEP2(f->b, f->m->i8, base, &offset, 1, "");
}

static LLVMValueRef splat(const Open *x, uint32_t v)
{
    return cpu_splat_const(LLVMConstInt(x->f->m->i32, v, 0), x->g->lanes);
}

/* ---- columns ---- */

/* One byte of each of `lanes` columns, those beyond `left` 0. */
static LLVMValueRef line_of_bytes(const Open *x, LLVMValueRef p, LLVMValueRef left)
{
    CpuFn *f = x->f;
    LLVMTypeRef type = cpu_lanes_type(f->m->i8, x->g->lanes);
    LLVMValueRef v;

    if (left) {
        LLVMTypeRef types[] = {type, f->m->ptr};
        LLVMValueRef mask = cpu_first_lanes(f, left, x->g->lanes);
        LLVMValueRef args[] = {p, cpu_i32(f->m, 1), mask, LLVMConstNull(type)};
        return cpu_intrinsic(f->m, "llvm.masked.load", 2, types, 4, args);
    }
    v = LLVMBuildLoad2(f->b, type, p, "");
    LLVMSetAlignment(v, 1);
    return v;
}

/* Lane i: element i of a, then of b, as `unit` neighbours each. */
static LLVMValueRef zip(const Open *x, LLVMValueRef a, LLVMValueRef b, int unit)
{
    CpuFn *f = x->f;
    int n = x->g->lanes, half = n * unit;
    LLVMValueRef at[2 * 2 * 16];

    for (int i = 0; i < n; i++)
        for (int j = 0; j < unit; j++) {
            at[2 * i * unit + j] = cpu_i32(f->m, i * unit + j);
            at[(2 * i + 1) * unit + j] = cpu_i32(f->m, half + i * unit + j);
        }
    return LLVMBuildShuffleVector(f->b, a, b, LLVMConstVector(at, (unsigned)(2 * half)), "");
}

/* `n` bytes along k of each column, where columns are next to each other. */
static LLVMValueRef group_of_lines(const Open *x, LLVMValueRef p, LLVMValueRef left, int n)
{
    CpuFn *f = x->f;
    LLVMValueRef v[GROUP];

    for (int i = 0; i < GROUP; i++) {
        LLVMValueRef at = gemm_mul(f, x->k_step, cpu_i64(f->m, i));
        v[i] = i < n ? line_of_bytes(x, at_byte(f, p, at), left)
                     : LLVMConstNull(cpu_lanes_type(f->m->i8, x->g->lanes));
    }
    v[0] = zip(x, zip(x, v[0], v[1], 1), zip(x, v[2], v[3], 1), 2);
    return LLVMBuildBitCast(f->b, v[0], cpu_lanes_type(f->m->i32, x->g->lanes), "");
}

/* The same, column by column; beyond `left` the last one again. */
static LLVMValueRef group_of_columns(const Open *x, LLVMValueRef p, LLVMValueRef left, int n)
{
    CpuFn *f = x->f;
    LLVMValueRef v = LLVMGetPoison(cpu_lanes_type(f->m->i32, x->g->lanes));

    for (int i = 0; i < x->g->lanes; i++) {
        LLVMValueRef column = cpu_i64(f->m, i);
        if (left && i)
            column =
                cpu_call2(f, "llvm.smin", column, LLVMBuildSub(f->b, left, cpu_i64(f->m, 1), ""));
        column = at_byte(f, p, gemm_mul(f, x->n_step, column));
        v = LLVMBuildInsertElement(f->b, v, gemm_some_bytes(f, column, x->k_step, n),
                                   cpu_i32(f->m, i), "");
    }
    return v;
}

static void store_vector(const Open *x, LLVMValueRef v, LLVMValueRef to, int j)
{
    to = gemm_float_at(x->f, to, cpu_i64(x->f->m, (int64_t)j * x->g->lanes));
    LLVMSetAlignment(LLVMBuildStore(x->f->b, v, to), 4);
}

/* A group of `n` bytes of k of so many vectors of columns to `to`; sums of columns go on. */
static void pack_row(const Open *x, LLVMValueRef p, int vectors, const LLVMValueRef *left, int n,
                     LLVMValueRef to, const LLVMValueRef *sum, LLVMValueRef *next)
{
    CpuFn *f = x->f;
    uint32_t signs = SIGNS >> 8 * (GROUP - n);

    for (int j = 0; j < vectors; j++) {
        LLVMValueRef at = gemm_mul(f, x->n_step, cpu_i64(f->m, (int64_t)j * x->g->lanes));
        LLVMValueRef v =
            (x->in_lines ? group_of_lines : group_of_columns)(x, at_byte(f, p, at), left[j], n);
        if (x->g->b_load->dtype == DT_U8) v = LLVMBuildXor(f->b, v, splat(x, signs), "");
        store_vector(x, v, to, j);
        next[j] = gemm_dot_bytes(f, x->g, sum[j], splat(x, 0x01010101), v);
    }
}

/* So many vectors of columns from `column` of the block on; left: columns that there are, NULL:
 * all of these. */
static void pack_strip(const Open *x, LLVMValueRef column, int vectors, LLVMValueRef left)
{
    CpuFn *f = x->f;
    const CpuGemm *g = x->g;
    LLVMValueRef sum[MOST_VECTORS], rest[MOST_VECTORS], nr = cpu_i64(f->m, g->nr), to, p, k;
    int64_t groups = g->k_run / GROUP;
    int last = (int)(g->k_run % GROUP);
    CpuLoop l;

    cpu_at(f, f->level);
    to = gemm_mul(f, LLVMBuildUDiv(f->b, column, nr, ""), cpu_i64(f->m, g->nr * g->depth));
    to = gemm_float_at(f, x->to, gemm_add(f, to, LLVMBuildURem(f->b, column, nr, "")));
    p = at_byte(f, x->from, gemm_mul(f, column, x->n_step));
    for (int j = 0; j < vectors; j++) {
        sum[j] = splat(x, 0);
        rest[j] = left ? LLVMBuildSub(f->b, left, cpu_i64(f->m, (int64_t)j * g->lanes), "") : NULL;
    }
    l = cpu_loop_open(f, cpu_i64(f->m, 0), cpu_i64(f->m, groups), 1, vectors, sum);
    cpu_at(f, f->level);
    k = gemm_mul(f, l.index, gemm_mul(f, x->k_step, cpu_i64(f->m, GROUP)));
    pack_row(x, at_byte(f, p, k), vectors, rest, GROUP,
             gemm_float_at(f, to, gemm_mul(f, gemm_add(f, l.index, cpu_i64(f->m, 1)), nr)), l.carry,
             sum);
    cpu_loop_close(f, &l, sum);
    cpu_at(f, f->level);
    k = gemm_mul(f, x->k_step, cpu_i64(f->m, groups * GROUP));
    if (last)
        pack_row(x, at_byte(f, p, k), vectors, rest, last,
                 gemm_float_at(f, to, cpu_i64(f->m, (groups + 1) * g->nr)), l.carry, l.carry);
    for (int j = 0; j < vectors; j++)
        store_vector(x, l.carry[j], to, j);
}

void gemm_emit_pack_open(CpuFn *f, const CpuGemm *g, LLVMValueRef to, LLVMValueRef n0,
                         LLVMValueRef n1)
{
    const Affine *a = map_get(&g->nest->stage[STAGE_B].address, g->b_load);
    Open x = {.f = f, .g = g, .to = to, .in_lines = dim_is(g->open_n, 1)};
    int vectors = x.in_lines ? g->nr / g->lanes : 1;
    int64_t width = (int64_t)vectors * g->lanes;
    LLVMValueRef n, whole, at;
    CpuLoop l;

    gemm_place(f, g, STAGE_B, SET_K, cpu_i64(f->m, 0));
    gemm_place(f, g, STAGE_B, SET_N, n0);
    x.from = cpu_ptr(f, g->b_load->src);
    at = cpu_offset(f, a, 0);
    x.k_step = cpu_dim(f, g->open_k);
    x.n_step = cpu_dim(f, g->open_n);
    cpu_at(f, f->level);
    x.from = at_byte(f, x.from, at);
    n = LLVMBuildSub(f->b, n1, n0, "");
    whole = LLVMBuildUDiv(f->b, n, cpu_i64(f->m, width), "");
    whole = gemm_mul(f, whole, cpu_i64(f->m, width));
    l = cpu_loop_open(f, cpu_i64(f->m, 0), whole, width, 0, NULL);
    pack_strip(&x, l.index, vectors, NULL);
    cpu_loop_close(f, &l, NULL);
    if (dim_is_const(g->size_n) && g->size_n->value % width == 0) return;
    l = cpu_loop_open(f, whole, n, width, 0, NULL); /* one turn or none */
    cpu_at(f, f->level);
    pack_strip(&x, l.index, vectors, LLVMBuildSub(f->b, n, l.index, ""));
    cpu_loop_close(f, &l, NULL);
}

/* ---- rows ---- */

/* u(a) of `n` bytes at p, four in the first lane or GROUP * lanes in all. */
static LLVMValueRef row_bytes(const Open *x, LLVMValueRef p, int n)
{
    CpuFn *f = x->f;
    LLVMValueRef v = LLVMConstNull(cpu_lanes_type(f->m->i32, x->g->lanes)), one;

    if (n <= GROUP) {
        one = gemm_some_bytes(f, p, cpu_i64(f->m, 1), n);
        if (x->g->a_load->dtype == DT_I8)
            one = LLVMBuildXor(f->b, one, cpu_i32(f->m, (int)(SIGNS >> 8 * (GROUP - n))), "");
        return LLVMBuildInsertElement(f->b, v, one, cpu_i32(f->m, 0), "");
    }
    v = LLVMBuildLoad2(f->b, LLVMTypeOf(v), p, "");
    LLVMSetAlignment(v, 1);
    if (x->g->a_load->dtype == DT_I8) v = LLVMBuildXor(f->b, v, splat(x, SIGNS), "");
    return v;
}

/* Adds u(a) of `n` bytes from k on to the sums of all rows. */
static void add_rows(const Open *x, const GemmTile *t, LLVMValueRef k, int n,
                     const LLVMValueRef *sum, LLVMValueRef *next)
{
    CpuFn *f = x->f;

    for (int r = 0; r < t->rows; r++) {
        LLVMValueRef p = at_byte(f, t->a, gemm_add(f, k, cpu_i64(f->m, t->row_at[r])));
        next[r] = gemm_dot_bytes(f, x->g, sum[r], row_bytes(x, p, n), splat(x, 0x01010101));
    }
}

/* The same for all of [from, to), `step` bytes a turn. */
static void rows_loop(const Open *x, const GemmTile *t, int64_t from, int64_t to, int step,
                      LLVMValueRef *sum)
{
    CpuFn *f = x->f;
    CpuLoop l;

    if (from >= to) return;
    l = cpu_loop_open(f, cpu_i64(f->m, from), cpu_i64(f->m, to), step, t->rows, sum);
    cpu_at(f, f->level);
    add_rows(x, t, l.index, step, l.carry, sum);
    cpu_loop_close(f, &l, sum);
    for (int r = 0; r < t->rows; r++)
        sum[r] = l.carry[r];
    cpu_at(f, f->level);
}

bool gemm_has_row_terms(const CpuGemm *g)
{
    int64_t flip = g->b_load->dtype == DT_U8 ? FLIP : 0;

    if (!g->open_zero) return flip != 0;
    return g->open_zero->op != SX_CONST || (int32_t)g->open_zero->bits != flip;
}

void gemm_row_terms(CpuFn *f, const CpuGemm *g, GemmTile *t, LLVMValueRef to)
{
    Open x = {.f = f, .g = g};
    LLVMValueRef sum[GEMM_ROWS], less, z = t->zero ? t->zero : cpu_i32(f->m, 0);
    int64_t step = (int64_t)GROUP * g->lanes, k = g->k_run, whole = k / step * step;

    gemm_stage(f, g, STAGE_B);
    less = g->open_zero ? cpu_value(f, g->open_zero, 0) : cpu_i32(f->m, 0);
    cpu_at(f, f->level);
    less = LLVMBuildSub(f->b, cpu_i32(f->m, g->b_load->dtype == DT_U8 ? FLIP : 0), less, "");
    if (g->a_load->dtype == DT_I8) z = LLVMBuildAdd(f->b, z, cpu_i32(f->m, FLIP), "");
    z = LLVMBuildMul(f->b, z, LLVMConstInt(f->m->i32, (uint64_t)k, 0), "");
    for (int r = 0; r < t->rows; r++)
        sum[r] = splat(&x, 0);
    rows_loop(&x, t, 0, whole, (int)step, sum);
    rows_loop(&x, t, whole, k / GROUP * GROUP, GROUP, sum);
    cpu_at(f, f->level);
    if (k % GROUP) add_rows(&x, t, cpu_i64(f->m, k / GROUP * GROUP), (int)(k % GROUP), sum, sum);
    for (int r = 0; r < t->rows; r++) {
        LLVMTypeRef type = LLVMTypeOf(sum[r]);
        LLVMValueRef v = cpu_intrinsic(f->m, "llvm.vector.reduce.add", 1, &type, 1, &sum[r]);
        v = LLVMBuildMul(f->b, less, LLVMBuildSub(f->b, v, z, ""), "");
        LLVMBuildStore(f->b, v, gemm_float_at(f, to, cpu_i64(f->m, r)));
    }
    t->terms = to;
}
