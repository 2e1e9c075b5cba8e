/* cpu_gemm_tile.c: the register tile: rows x vectors accumulators, carried through the loop over k.
 *
 *     for each k:  b[j] = vector j of B;  for each row: a = A(row, k);  acc[row][j] = fma(a, b[j],
 * acc[row][j])
 *
 * The accumulators, the vectors of B and one broadcast fit the registers (cpu_gemm.c chooses so),
 * hence the loop touches no memory but A and B. Where A is read in place, k may be several loops
 * (the rows of a window, and what is contiguous within one); their order is that of the sum. What
 * is known not to count, beyond the edges of an image, is left out (cpu_gemm_skip.c). */
#include <stdio.h>

#include "codegen/cpu/cpu_gemm_impl.h"

enum { LINES_AHEAD = 4 };

/* Lanes that mask has; NULL: all. */
static LLVMValueRef load_vector(CpuFn *f, const CpuGemm *g, LLVMValueRef p, LLVMValueRef mask)
{
    LLVMTypeRef type = cpu_lanes_type(f->element, g->lanes), types[] = {type, f->m->ptr};
    LLVMValueRef v, args[] = {p, cpu_i32(f->m, 4), mask, LLVMConstNull(type)};

    if (mask) return cpu_intrinsic(f->m, "llvm.masked.load", 2, types, 4, args);
    v = LLVMBuildLoad2(f->b, type, p, "");
    LLVMSetAlignment(v, 4);
    return v;
}

/* Weights into the second level of cache: the first one is for the panels at hand. */
static void fetch(CpuFn *f, LLVMValueRef p, int level)
{
    enum { READ = 0, DATA = 1 };
    LLVMValueRef args[] = {p, cpu_i32(f->m, READ), cpu_i32(f->m, 4 - level), cpu_i32(f->m, DATA)};

    cpu_intrinsic(f->m, "llvm.prefetch", 1, &f->m->ptr, 4, args);
}

/* Where a tile stands within its operands. */
typedef struct Stand {
    LLVMValueRef a, b, ahead;
    LLVMValueRef *mask; /* [vectors] of B, or NULL */
} Stand;

/* Where vector j of B is at one k. */
static LLVMValueRef columns_at(CpuFn *f, const CpuGemm *g, const GemmTile *t, LLVMValueRef b, int j)
{
    int panel = t->in_panel ? j / t->in_panel : 0;

    if (panel) b = gemm_float_at(f, b, gemm_mul(f, t->b_panel, cpu_i64(f->m, panel)));
    j -= panel * t->in_panel;
    return gemm_float_at(f, b, cpu_i64(f->m, (int64_t)j * g->lanes));
}

static void one_k(CpuFn *f, const CpuGemm *g, const GemmTile *t, Stand at, uint32_t on,
                  LLVMValueRef *acc)
{
    LLVMValueRef vb[GEMM_VECTORS], a = at.a, b = at.b;

    if (at.ahead) fetch(f, at.ahead, 2);

    for (int j = 0; j < t->vectors; j++)
        vb[j] = load_vector(f, g, columns_at(f, g, t, b, j), at.mask ? at.mask[j] : NULL);
    for (int r = 0; r < t->rows; r++) {
        LLVMValueRef p, x;

        if (!(on >> r & 1)) continue;
        p = gemm_float_at(f, a, cpu_i64(f->m, t->row_at[r]));
        x = LLVMBuildLoad2(f->b, f->element, p, "");
        LLVMSetAlignment(x, 4);
        x = cpu_splat(f, x, g->lanes);
        for (int j = 0; j < t->vectors; j++) {
            LLVMValueRef *c = &acc[r * t->vectors + j];
            *c = g->pairs ? gemm_dot_pair(f, g, x, vb[j], *c)
                          : cpu_fma(f, g->unit == 8 ? DT_F64 : DT_F32, x, vb[j], *c);
        }
    }
}

/* Points of the loops from i on, when each is run through once. */
static LLVMValueRef points_within(CpuFn *f, const GemmTile *t, int i)
{
    LLVMValueRef n = cpu_i64(f->m, 1);

    for (; i < t->n_k; i++)
        n = gemm_mul(f, n, t->k_extent[i]);
    return n;
}

static void k_loops(CpuFn *f, const CpuGemm *g, const GemmTile *t, int i, Stand at, uint32_t on,
                    LLVMValueRef *acc);

/* Points [from, to) of loop i, for the rows that are on. */
static void k_part(CpuFn *f, const CpuGemm *g, const GemmTile *t, int i, Stand at, uint32_t on,
                   LLVMValueRef from, LLVMValueRef to, LLVMValueRef *acc)
{
    int n = t->rows * t->vectors;
    LLVMValueRef within, b_step, ahead_step = NULL;
    CpuLoop l;

    cpu_at(f, f->level);
    within = points_within(f, t, i + 1);
    if (t->b_steps) {
        b_step = cpu_dim(f, t->b_steps[i]);
        cpu_at(f, f->level);
    } else {
        b_step = gemm_mul(f, within, t->b_step);
    }
    if (at.ahead) ahead_step = gemm_mul(f, within, t->ahead_step);
    l = cpu_loop_open(f, from, to, 1, n, acc);
    for (int j = 0; j < n; j++)
        acc[j] = l.carry[j];
    cpu_at(f, f->level);
    at.a = gemm_float_at(f, at.a, gemm_mul(f, l.index, t->k_step[i]));
    at.b = gemm_float_at(f, at.b, gemm_mul(f, l.index, b_step));
    if (at.ahead) {
        ahead_step = gemm_mul(f, l.index, ahead_step);
        at.ahead = LLVMBuildGEP2(f->b, f->m->i8, at.ahead, &ahead_step, 1, "");
    }
    k_loops(f, g, t, i + 1, at, on, acc);
    cpu_loop_close(f, &l, acc);
    for (int j = 0; j < n; j++)
        acc[j] = l.carry[j];
}

/* The loop over columns of the window, in parts for which the same rows count. */
static void parts_along(CpuFn *f, const CpuGemm *g, const GemmTile *t, int i, Stand at,
                        LLVMValueRef *acc)
{
    int64_t unit = g->along.unit, n = g->a.k_extent[i]->value / unit;

    for (int64_t k = 0, end; k < n; k = end) {
        uint32_t on = gemm_rows_counted(g, t, k);
        for (end = k + 1; end < n && gemm_rows_counted(g, t, end) == on;)
            end++;
        k_part(f, g, t, i, at, on, cpu_i64(f->m, k * unit), cpu_i64(f->m, end * unit), acc);
    }
}

/* Lines of an image in place, a few points of the outermost loop ahead: they are too short, and too
 * far apart, to be foreseen. */
static void fetch_lines(CpuFn *f, const CpuGemm *g, const GemmTile *t, LLVMValueRef b)
{
    LLVMValueRef step = cpu_dim(f, t->b_steps[0]);

    cpu_at(f, f->level);
    step = gemm_mul(f, step, cpu_i64(f->m, LINES_AHEAD));
    b = gemm_float_at(f, b, step);
    for (int j = 0; j <= t->vectors; j++) /* lines of memory are one more than vectors */
        fetch(f, columns_at(f, g, t, b, j), 1);
}

static void k_loops(CpuFn *f, const CpuGemm *g, const GemmTile *t, int i, Stand at, uint32_t on,
                    LLVMValueRef *acc)
{
    if (t->b_steps && t->n_k > 1 && i == t->n_k - 1) fetch_lines(f, g, t, at.b);
    if (i == t->n_k)
        one_k(f, g, t, at, on, acc);
    else if (t->in_line >= 0 && i == g->along.loop)
        parts_along(f, g, t, i, at, acc);
    else
        k_part(f, g, t, i, at, on, i == 0 && t->k_from ? t->k_from : cpu_i64(f->m, 0),
               t->k_extent[i], acc);
}

/* Of the vectors of B, of which t->columns columns are there; NULL for whole ones. */
static void column_masks(CpuFn *f, const CpuGemm *g, const GemmTile *t, LLVMValueRef *mask)
{
    for (int j = 0; j < t->vectors; j++) {
        LLVMValueRef first = cpu_i64(f->m, (int64_t)j * g->lanes), left;

        left = LLVMBuildSub(f->b, t->columns, first, "");
        mask[j] = LLVMIsConstant(left) && LLVMConstIntGetSExtValue(left) >= g->lanes
                      ? NULL
                      : cpu_lane_limit(f, left);
    }
}

/* No value stays in a vector register from before to behind this. Without it LLVM moves the
 * constants of what follows (a SiLU has nine) out of the loops around, and the sums of the tile
 * onto the stack to make room; so it loads them anew. */
static void leave_registers(CpuFn *f, const CpuIsa *isa)
{
    LLVMTypeRef type = LLVMFunctionType(LLVMVoidTypeInContext(f->m->cx), NULL, 0, 0);
    char clobbers[32 * sizeof "~{zmm00},"];
    size_t n = 0;

    if (isa->vector_bytes == 0) return;
    for (int i = 0; i < isa->registers; i++) {
        n += (size_t)snprintf(clobbers + n, sizeof clobbers - n, "%s~{%cmm%d}", i ? "," : "",
                              isa->vector_bytes == 64   ? 'z'
                              : isa->vector_bytes == 32 ? 'y'
                                                        : 'x',
                              i);
    }
    LLVMBuildCall2(
        f->b, type,
        LLVMGetInlineAsm(type, "", 0, clobbers, n, true, false, LLVMInlineAsmDialectATT, false),
        NULL, 0, "");
}

/* Where vector i of a tile is in memory. */
static LLVMValueRef vector_at(CpuFn *f, const CpuGemm *g, const GemmTile *t, LLVMValueRef base,
                              int i)
{
    int64_t at = (int64_t)(i / t->vectors) * g->width + (int64_t)(i % t->vectors) * g->lanes;

    return gemm_float_at(f, base, cpu_i64(f->m, at));
}

static LLVMValueRef kept_sum(CpuFn *f, const CpuGemm *g, const GemmTile *t, int i)
{
    return load_vector(f, g, vector_at(f, g, t, t->sums, i), NULL);
}

void gemm_emit_tile(CpuFn *f, const CpuGemm *g, const GemmTile *t, LLVMValueRef *acc)
{
    LLVMTypeRef type = cpu_lanes_type(f->element, g->lanes);
    LLVMValueRef mask[GEMM_VECTORS];
    Stand at = {t->a, t->b, t->ahead, t->columns ? mask : NULL};

    if (g->bytes) {
        gemm_emit_bytes(f, g, t, acc);
        return;
    }
    cpu_at(f, f->level);
    leave_registers(f, f->m->isa);
    for (int i = 0; i < t->rows * t->vectors; i++)
        acc[i] = t->sums ? kept_sum(f, g, t, i) : LLVMConstNull(type);
    if (t->columns) {
        int lanes = f->lanes;
        f->lanes = g->lanes;
        column_masks(f, g, t, mask);
        f->lanes = lanes;
    }
    k_loops(f, g, t, 0, at, UINT32_MAX, acc);
    cpu_at(f, f->level);
}

void gemm_spill_tile(CpuFn *f, const CpuGemm *g, const GemmTile *t, const LLVMValueRef *acc,
                     LLVMValueRef to)
{
    for (int i = 0; i < t->rows * t->vectors; i++)
        LLVMSetAlignment(LLVMBuildStore(f->b, acc[i], vector_at(f, g, t, to, i)), 4);
    leave_registers(f, f->m->isa);
}
