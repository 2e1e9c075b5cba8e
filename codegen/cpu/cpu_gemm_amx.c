/* cpu_gemm_amx.c: contractions of bytes on the tiles of AMX.
 *
 *     tile registers     0 1     C: up to 16 rows by 16 columns of i32 each; 2 3 lie below
 *                        2 3
 *                        4 7     A: 16 rows of 64 bytes along k, for the upper and lower rows
 *                        5 6     B: 16 groups of four k by 16 columns, as cpu_gemm_bytes.c packs
 *
 *     for each 64 bytes of a run of k:  load A, load B, four products
 *
 * A is loaded where it lies, if its rows are evenly apart; else, and where less than 64 bytes of a
 * run are left, it is copied beside, filled with zeros. B then is read beyond the run: what stands
 * there is multiplied by those zeros (behind the last panel there is room). The sums go to memory,
 * from where the epilogue takes them. A level that `calls` tiles does all this by functions, which
 * is how it is tested on machines without AMX. */
#include "codegen/cpu/cpu_gemm_impl.h"

enum { ROWS = 16, BYTES = 64, GROUP = 4, LEAST_K = 64, LEAST_RUN = 32, LEAST_ROWS = 8 };
enum { TILE_A = 4, TILE_B = 5, TILE_A_LOW = 7 };

bool gemm_amx_fits(const CpuGemm *g)
{
    return g->size_k->value >= LEAST_K && g->k_run >= LEAST_RUN &&
           nest_guess(g->size_m) >= LEAST_ROWS;
}

/* ---- operations ---- */

/* A tile instruction; the first `n_tile` arguments are numbers of tiles. */
static void operate(CpuFn *f, const char *name, int n_tile, const int *tile, LLVMValueRef p,
                    LLVMValueRef stride)
{
    bool calls = f->m->isa->tiles == CPU_TILES_CALLED;
    LLVMValueRef args[5], fn;
    LLVMTypeRef types[5];
    int n = 0;

    for (int i = 0; i < n_tile; i++)
        args[n++] = LLVMConstInt(f->m->i8, (unsigned long long)tile[i], 0);
    if (p) args[n++] = p;
    if (stride) args[n++] = stride;
    if (!calls) {
        cpu_intrinsic(f->m, arena_printf(f->arena, "llvm.x86.%s", name), 0, NULL, n, args);
        return;
    }
    for (int i = 0; i < n; i++)
        types[i] = LLVMTypeOf(args[i]);
    LLVMTypeRef type = LLVMFunctionType(f->m->void_type, types, (unsigned)n, 0);
    fn = LLVMGetNamedFunction(f->m->module, name);
    if (!fn) fn = LLVMAddFunction(f->m->module, name, type);
    LLVMBuildCall2(f->b, type, fn, args, (unsigned)n, "");
}

static void load(CpuFn *f, int tile, LLVMValueRef p, int64_t stride)
{
    operate(f, "tileloadd64", 1, &tile, p, cpu_i64(f->m, stride));
}

/* ---- shapes ---- */

static int tile_rows(int rows, int low)
{
    return low ? rows - ROWS : rows < ROWS ? rows : ROWS;
}

/* What LDTILECFG takes: palette 1; bytes in a row of each tile, from 16 on; rows, from 48 on. */
static LLVMValueRef shapes(CpuFn *f, int rows)
{
    enum { CONFIG = 64, COLUMNS_AT = 16, ROWS_AT = 48, TILES = 8 };
    const int low[TILES] = {0, 0, 1, 1, 0, -1, -1, 1}; /* -1: B, all rows */
    LLVMTypeRef type = LLVMArrayType2(f->m->i8, CONFIG);
    LLVMValueRef v[CONFIG], g;

    for (int i = 0; i < CONFIG; i++)
        v[i] = LLVMConstInt(f->m->i8, i == 0, 0);
    for (int i = 0; i < TILES; i++) {
        int n = low[i] < 0 ? ROWS : tile_rows(rows, low[i]);
        if (n <= 0) continue;
        v[COLUMNS_AT + 2 * i] = LLVMConstInt(f->m->i8, BYTES, 0);
        v[ROWS_AT + i] = LLVMConstInt(f->m->i8, (unsigned long long)n, 0);
    }
    g = LLVMAddGlobal(f->m->module, type, "");
    LLVMSetInitializer(g, LLVMConstArray2(f->m->i8, v, CONFIG));
    LLVMSetGlobalConstant(g, 1);
    LLVMSetLinkage(g, LLVMPrivateLinkage);
    LLVMSetAlignment(g, 64);
    return g;
}

void gemm_amx_shape(CpuFn *f, int rows)
{
    LLVMValueRef p = shapes(f, rows);

    cpu_at(f, f->level);
    operate(f, "ldtilecfg", 0, NULL, p, NULL);
}

void gemm_amx_release(CpuFn *f)
{
    cpu_at(f, f->level);
    operate(f, "tilerelease", 0, NULL, NULL, NULL);
}

/* ---- the tile ---- */

typedef struct Amx {
    CpuFn *f;
    const CpuGemm *g;
    const GemmTile *t;
    LLVMValueRef beside; /* [rows][BYTES] */
    bool even;           /* rows of A are evenly apart */
} Amx;

static LLVMValueRef byte_at(CpuFn *f, LLVMValueRef base, LLVMValueRef offset)
{
    return LLVMBuildGEP2(f->b, f->m->i8, base, &offset, 1, "");
}

static LLVMValueRef row_of(const Amx *x, LLVMValueRef a, int row)
{
    return byte_at(x->f, a, cpu_i64(x->f->m, x->t->row_at[row]));
}

static bool rows_even(const GemmTile *t)
{
    for (int r = 2; r < t->rows; r++)
        if (t->row_at[r] - t->row_at[r - 1] != t->row_at[1] - t->row_at[0]) return false;
    return true;
}

/* `bytes` of a row, then zeros. */
static LLVMValueRef load_row(const Amx *x, LLVMValueRef p, int64_t bytes)
{
    CpuFn *f = x->f;
    LLVMTypeRef type = cpu_lanes_type(f->m->i8, BYTES), types[] = {type, f->m->ptr};
    LLVMValueRef bit[BYTES], args[4], v;

    if (bytes == BYTES) {
        v = LLVMBuildLoad2(f->b, type, p, "");
        LLVMSetAlignment(v, 1);
        return v;
    }
    for (int i = 0; i < BYTES; i++)
        bit[i] = LLVMConstInt(f->m->i1, i < bytes, 0);
    args[0] = p;
    args[1] = cpu_i32(f->m, 1);
    args[2] = LLVMConstVector(bit, BYTES);
    args[3] = LLVMConstNull(type);
    return cpu_intrinsic(f->m, "llvm.masked.load", 2, types, 4, args);
}

static void copy_rows(const Amx *x, LLVMValueRef a, int64_t bytes)
{
    CpuFn *f = x->f;

    for (int r = 0; r < x->t->rows; r++) {
        LLVMValueRef v = load_row(x, row_of(x, a, r), bytes);
        v = LLVMBuildStore(f->b, v, byte_at(f, x->beside, cpu_i64(f->m, (int64_t)r * BYTES)));
        LLVMSetAlignment(v, 64);
    }
}

/* `bytes` of k, at most 64. */
static void one_step(const Amx *x, LLVMValueRef a, LLVMValueRef b, int64_t bytes)
{
    CpuFn *f = x->f;
    const CpuGemm *g = x->g;
    bool copied = bytes < BYTES || !x->even;
    int64_t stride = copied ? BYTES : x->t->rows > 1 ? x->t->row_at[1] - x->t->row_at[0] : 0;
    const char *product = g->a_load->dtype == DT_I8 ? "tdpbssd" : "tdpbusd";

    if (copied) {
        copy_rows(x, a, bytes);
        a = x->beside;
    } else {
        a = row_of(x, a, 0);
    }
    for (int j = 0; j < g->vectors; j++)
        load(f, TILE_B + j, gemm_float_at(f, b, cpu_i64(f->m, (int64_t)j * g->lanes)), 4 * g->nr);
    for (int low = 0; low < 2 && tile_rows(x->t->rows, low) > 0; low++) {
        int tile = low ? TILE_A_LOW : TILE_A;
        load(f, tile, byte_at(f, a, cpu_i64(f->m, low * ROWS * stride)), stride);
        for (int j = 0; j < g->vectors; j++)
            operate(f, product, 3, (int[]){2 * low + j, tile, TILE_B + j}, NULL, NULL);
    }
}

/* The loops of k from i on; `b` goes on by whole groups. */
static void loops(const Amx *x, int i, LLVMValueRef a, LLVMValueRef b)
{
    CpuFn *f = x->f;
    const CpuGemm *g = x->g;
    int64_t inner = (g->k_run + GROUP - 1) / GROUP, steps;
    bool last = i == x->t->n_k - 1;
    LLVMValueRef a_at, b_at;
    CpuLoop l;

    for (int j = i + 1; j < g->a.n_k - 1; j++)
        inner *= g->a.k_extent[j]->value;
    if (last) inner = BYTES / GROUP;
    steps = last ? g->k_run / BYTES : g->a.k_extent[i]->value;
    if (steps) {
        cpu_at(f, f->level);
        l = cpu_loop_open(f, cpu_i64(f->m, 0), cpu_i64(f->m, steps), 1, 0, NULL);
        cpu_at(f, f->level);
        a_at = last ? cpu_i64(f->m, BYTES) : x->t->k_step[i];
        a_at = byte_at(f, a, gemm_mul(f, l.index, a_at));
        b_at = gemm_float_at(f, b, gemm_mul(f, l.index, cpu_i64(f->m, inner * g->nr)));
        if (last)
            one_step(x, a_at, b_at, BYTES);
        else
            loops(x, i + 1, a_at, b_at);
        cpu_loop_close(f, &l, NULL);
    }
    cpu_at(f, f->level);
    if (!last || g->k_run % BYTES == 0) return;
    one_step(x, byte_at(f, a, cpu_i64(f->m, steps * BYTES)),
             gemm_float_at(f, b, cpu_i64(f->m, steps * inner * g->nr)), g->k_run % BYTES);
}

/* Every row starts with -zero times the sums of the columns, which are row 0 of the panel. */
static void first_sums(const Amx *x)
{
    CpuFn *f = x->f;
    const CpuGemm *g = x->g;
    LLVMTypeRef type = cpu_lanes_type(f->m->i32, g->lanes);

    for (int j = 0; j < g->vectors; j++) {
        LLVMValueRef at = cpu_i64(f->m, (int64_t)j * g->lanes), v, p = NULL;
        if (x->t->zero) {
            v = LLVMBuildLoad2(f->b, type, gemm_float_at(f, x->t->b, at), "");
            LLVMSetAlignment(v, 4);
            v = LLVMBuildMul(f->b, v, cpu_splat(f, LLVMBuildNeg(f->b, x->t->zero, ""), g->lanes),
                             "");
            p = byte_at(f, x->beside, cpu_i64(f->m, (int64_t)j * BYTES));
            LLVMBuildStore(f->b, v, p);
        }
        for (int low = 0; low < 2 && tile_rows(x->t->rows, low) > 0; low++) {
            int tile = 2 * low + j;
            if (p)
                load(f, tile, p, 0);
            else
                operate(f, "tilezero", 1, &tile, NULL, NULL);
        }
    }
}

void gemm_emit_amx(CpuFn *f, const CpuGemm *g, const GemmTile *t, LLVMValueRef beside,
                   LLVMValueRef to)
{
    Amx x = {f, g, t, beside, rows_even(t)};

    cpu_at(f, f->level);
    first_sums(&x);
    loops(&x, 0, t->a, gemm_float_at(f, t->b, cpu_i64(f->m, g->nr)));
    cpu_at(f, f->level);
    for (int low = 0; low < 2 && tile_rows(t->rows, low) > 0; low++)
        for (int j = 0; j < g->vectors; j++) {
            int tile = 2 * low + j;
            int64_t at = (int64_t)low * ROWS * g->width + (int64_t)j * g->lanes;
            operate(f, "tilestored64", 1, &tile, gemm_float_at(f, to, cpu_i64(f->m, at)),
                    cpu_i64(f->m, 4 * g->width));
        }
}
