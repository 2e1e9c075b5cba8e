/* cpu_gemm_amx.c: contractions of bytes and of bf16 on the tiles of AMX.
 *
 *     tile registers     0 1     C: up to 16 rows by 16 columns of i32 or f32 each; 2 3 lie below
 *                        2 3     (of less than 32 rows, the same ones in part: with one shape)
 *                        4 7     A: 16 rows of 64 bytes along k, for the upper and lower rows
 *                        5 6     B: 16 groups along k, four bytes or two bf16, by 16 columns, as
 *                                cpu_gemm_bytes.c and cpu_gemm_pairs.c pack
 *
 *     for each 16 groups of a run of k:  load A, load B, four products
 *
 * Where numbers are sums of two bf16, A and B have a high and a low part each, and there are twelve
 * products: high with high, high with low, low with high.
 *
 * A is loaded where it lies, if its rows are evenly apart; else, and where less than 16 groups of a
 * run are left, it is copied beside, filled with zeros. B of bytes then is read beyond the run:
 * what stands there is multiplied by those zeros (behind the last panel there is room); B of bf16,
 * where that might be no number, has zeros there. The sums go to memory, from where the epilogue
 * takes them. A level that `calls` tiles does all this by functions, which is how it is tested on
 * machines without AMX. */
#include "codegen/cpu/cpu_gemm_impl.h"

enum { ROWS = 16, BYTES = AMX_BYTES, GROUP = 4, LEAST_K = 16, LEAST_RUN = 8, LEAST_ROWS = 8 };
enum { TILE_A = 4, TILE_B = 5, TILE_A_LOW = 7, LINE = 64 };

/* Elements of a group: LEAST_K and LEAST_RUN count those. */
static int group_of(const CpuGemm *g)
{
    return g->bytes ? GROUP : GROUP / 2;
}

bool gemm_amx_fits(const CpuGemm *g)
{
    int group = group_of(g);

    return g->tiles && g->size_k->value >= LEAST_K * group && g->k_run >= LEAST_RUN * group &&
           nest_guess(g->size_m) >= LEAST_ROWS;
}

int64_t gemm_run_bytes(const CpuGemm *g)
{
    return g->k_run * GROUP / group_of(g);
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

static void load(CpuFn *f, int tile, LLVMValueRef p, LLVMValueRef stride)
{
    operate(f, "tileloadd64", 1, &tile, p, stride);
}

/* ---- shapes ---- */

/* Rows of a tile; the lower one has the last rows, of which the upper one may have some as well. */
static int tile_rows(int rows, int low)
{
    return low ? (rows > ROWS ? ROWS : 0) : rows < ROWS ? rows : ROWS;
}

static int first_row(int rows, int low)
{
    return low ? rows - ROWS : 0;
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
        int n = low[i] < 0 ? ROWS : tile_rows(rows, rows >= ROWS ? 0 : low[i]);
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

bool gemm_amx_same_shape(int a, int b)
{
    return tile_rows(a, 0) == tile_rows(b, 0);
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
    const char *product;
    LLVMValueRef row; /* of B, from the first one of its block of K: at the step at hand */
    int fetched;      /* lines, in this step */
    int products, made;
    const GemmLate *late;
    bool calls; /* in this step */
} Amx;

/* Where a tile stands within its operands. */
typedef struct Stand {
    LLVMValueRef a[AMX_PARTS], b, row; /* row of B within its panel */
} Stand;

static LLVMValueRef byte_at(CpuFn *f, LLVMValueRef base, LLVMValueRef offset)
{
    return LLVMBuildGEP2(f->b, f->m->i8, base, &offset, 1, "");
}

/* Bytes of what A's steps count: bytes, or pairs. */
static int unit_of(const CpuGemm *g)
{
    return g->bytes ? 1 : GROUP;
}

static LLVMValueRef row_of(const Amx *x, LLVMValueRef a, int row)
{
    return byte_at(x->f, a, cpu_i64(x->f->m, x->t->row_at[row] * unit_of(x->g)));
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

static void copy_rows(const Amx *x, LLVMValueRef a, int64_t bytes, LLVMValueRef to)
{
    CpuFn *f = x->f;

    for (int r = 0; r < x->t->rows; r++) {
        LLVMValueRef v = load_row(x, row_of(x, a, r), bytes);
        v = LLVMBuildStore(f->b, v, byte_at(f, to, cpu_i64(f->m, (int64_t)r * BYTES)));
        LLVMSetAlignment(v, 64);
    }
}

/* The upper or lower rows of A at p into their tile. */
static int load_a(const Amx *x, LLVMValueRef p, int low, LLVMValueRef stride)
{
    int tile = low ? TILE_A_LOW : TILE_A;
    LLVMValueRef row = cpu_i64(x->f->m, first_row(x->t->rows, low));

    load(x->f, tile, byte_at(x->f, p, gemm_mul(x->f, row, stride)), stride);
    return tile;
}

/* 16 groups of B's columns, of one part. */
static void load_b(const Amx *x, LLVMValueRef b, int j, int part)
{
    const CpuGemm *g = x->g;
    int64_t at = (int64_t)part * AMX_GROUPS * g->nr + (int64_t)j * g->lanes;

    load(x->f, TILE_B + j, gemm_float_at(x->f, b, cpu_i64(x->f->m, at)),
         cpu_i64(x->f->m, 4 * g->nr));
}

/* Into L2. */
static void fetch_line(CpuFn *f, LLVMValueRef p)
{
    enum { READ = 0, SECOND_LEVEL = 2, DATA = 1 };
    LLVMValueRef args[] = {p, cpu_i32(f->m, READ), cpu_i32(f->m, SECOND_LEVEL),
                           cpu_i32(f->m, DATA)};

    cpu_intrinsic(f->m, "llvm.prefetch", 1, &f->m->ptr, 4, args);
}

static int products_of_step(const Amx *x)
{
    return x->g->vectors * (tile_rows(x->t->rows, 1) > 0 ? 2 : 1) * gemm_amx_products(x->g);
}

/* Products between calls for rows of the tile before. */
static int products_of_call(const Amx *x)
{
    int products = products_of_step(x), few = x->g->parts > 1 ? 3 : 2;

    return products < few ? products : few;
}

/* Lines of the panel that comes next, an equal share of a step's before each product. */
static void fetch_share(Amx *x)
{
    CpuFn *f = x->f;
    int to;

    if (!x->t->fetch_row) return;
    to = x->g->fetch_lines * (x->made + 1) / x->products;
    for (; x->fetched < to; x->fetched++) {
        LLVMValueRef p = x->t->fetch[x->fetched % FETCH_STREAMS];
        p = byte_at(f, p, gemm_mul(f, x->row, x->t->fetch_row));
        fetch_line(f, byte_at(f, p, cpu_i64(f->m, x->fetched / FETCH_STREAMS * LINE)));
    }
}

static void multiply(Amx *x, int low, int j, int tile)
{
    fetch_share(x);
    operate(x->f, x->product, 3, (int[]){2 * low + j, tile, TILE_B + j}, NULL, NULL);
    x->made++;
    if (x->calls && x->made % products_of_call(x) == 0) gemm_late_rows(x->f, x->late);
}

/* All products of what is in the tiles of B with one part of A. */
static void multiply_rows(Amx *x, LLVMValueRef a, LLVMValueRef stride)
{
    for (int low = 0; low < 2 && tile_rows(x->t->rows, low) > 0; low++) {
        int tile = load_a(x, a, low, stride);
        for (int j = 0; j < x->g->vectors; j++)
            multiply(x, low, j, tile);
    }
}

/* The weights of the block that comes next, as many lines as fall to 16 rows of B. */
static void fetch_ahead(const Amx *x, LLVMValueRef row, int parts)
{
    enum { MOST = 16 };
    CpuFn *f = x->f;
    int64_t share, lines;

    if (!x->t->ahead || !LLVMIsAConstantInt(x->t->ahead_step)) return;
    share = LLVMConstIntGetSExtValue(x->t->ahead_step);
    lines = (share * AMX_GROUPS * parts + LINE - 1) / LINE;
    for (int64_t i = 0; i < lines && i < MOST; i++) {
        LLVMValueRef at = gemm_mul(f, row, x->t->ahead_step);
        at = gemm_add(f, at, cpu_i64(f->m, i * LINE));
        fetch_line(f, byte_at(f, x->t->ahead, at));
    }
}

/* `bytes` of k, at most 64. */
static void one_step(Amx *x, const Stand *at, int64_t bytes)
{
    CpuFn *f = x->f;
    const CpuGemm *g = x->g;
    bool copied = bytes < BYTES || (!x->even && !x->t->a_row);
    int64_t apart = x->t->rows > 1 ? x->t->row_at[1] - x->t->row_at[0] : 0;
    LLVMValueRef stride = cpu_i64(f->m, copied ? BYTES : apart * unit_of(g)), a[AMX_PARTS];

    if (x->t->a_row && !copied) stride = x->t->a_row;
    for (int p = 0; p < g->parts; p++) {
        a[p] = row_of(x, at->a[p], 0);
        if (!copied) continue;
        a[p] = byte_at(f, x->beside, cpu_i64(f->m, (int64_t)p * AMX_ROWS * BYTES));
        copy_rows(x, at->a[p], bytes, a[p]);
    }
    fetch_ahead(x, at->row, g->parts);
    x->row = at->row;
    x->fetched = x->made = 0;
    x->products = products_of_step(x);
    x->calls = x->late && bytes == BYTES;
    for (int j = 0; j < g->vectors; j++)
        load_b(x, at->b, j, 0);
    for (int p = g->parts - 1; p >= 0; p--) /* the high part is left in the tiles */
        multiply_rows(x, a[p], stride);
    for (int j = 0; g->parts > 1 && j < g->vectors; j++) {
        load_b(x, at->b, j, 1);
        for (int low = 0; low < 2 && tile_rows(x->t->rows, low) > 0; low++)
            multiply(x, low, j, low ? TILE_A_LOW : TILE_A);
    }
}

/* Groups of one run, and the rows of B that they are: bf16 has whole tiles. */
static int64_t rows_of_run(const CpuGemm *g)
{
    int64_t groups = (g->k_run + group_of(g) - 1) / group_of(g);

    return g->bytes ? groups : gemm_tile_rows(groups) * g->parts;
}

static Stand further(const Amx *x, const Stand *at, LLVMValueRef a, LLVMValueRef rows)
{
    CpuFn *f = x->f;
    Stand y;

    for (int p = 0; p < x->g->parts; p++)
        y.a[p] = byte_at(f, at->a[p], a);
    y.b = gemm_float_at(f, at->b, gemm_mul(f, rows, cpu_i64(f->m, x->g->nr)));
    y.row = gemm_add(f, at->row, rows);
    return y;
}

/* The whole steps of a run, as far as they are of the block of K at hand. */
static void steps_of_run(const Amx *x, LLVMValueRef *from, LLVMValueRef *to)
{
    CpuFn *f = x->f;
    LLVMValueRef at_once = cpu_i64(f->m, x->g->k_steps);

    *from = cpu_i64(f->m, 0);
    *to = cpu_i64(f->m, gemm_run_bytes(x->g) / BYTES);
    if (!x->t->k_block) return;
    *from = gemm_mul(f, x->t->k_block, at_once);
    *to = gemm_smin(f, gemm_add(f, *from, at_once), *to);
}

/* Calls are made in whole steps. */
static void count_calls(const Amx *x)
{
    CpuFn *f = x->f;
    LLVMValueRef from, calls;

    if (!x->late) return;
    cpu_at(f, f->level);
    steps_of_run(x, &from, &calls);
    calls = LLVMBuildSub(f->b, calls, from, "");
    for (int i = 0; i < x->t->n_k - 1; i++)
        calls = gemm_mul(f, calls, cpu_i64(f->m, x->g->a.k_extent[i]->value));
    calls = gemm_mul(f, calls, cpu_i64(f->m, products_of_step(x) / products_of_call(x)));
    gemm_late_calls(f, x->late, calls);
}

/* The loops of k from i on; `b` goes on by whole groups. */
static void loops(Amx *x, int i, const Stand *at)
{
    CpuFn *f = x->f;
    const CpuGemm *g = x->g;
    int64_t inner = rows_of_run(g), steps, bytes = gemm_run_bytes(g);
    bool last = i == x->t->n_k - 1;
    LLVMValueRef a_step, from = cpu_i64(f->m, 0), to;
    Stand next;
    CpuLoop l;

    for (int j = i + 1; j < g->a.n_k - 1; j++)
        inner *= g->a.k_extent[j]->value;
    if (last) inner = AMX_GROUPS * g->parts;
    steps = last ? bytes / BYTES : g->a.k_extent[i]->value;
    if (steps) {
        cpu_at(f, f->level);
        to = cpu_i64(f->m, steps);
        if (last) steps_of_run(x, &from, &to);
        l = cpu_loop_open(f, from, to, 1, 0, NULL);
        cpu_at(f, f->level);
        if (last)
            a_step = x->t->a_step ? x->t->a_step : cpu_i64(f->m, BYTES);
        else
            a_step = gemm_mul(f, x->t->k_step[i], cpu_i64(f->m, unit_of(g)));
        next = further(x, at, gemm_mul(f, l.index, a_step),
                       gemm_mul(f, l.index, cpu_i64(f->m, inner)));
        if (last)
            one_step(x, &next, BYTES);
        else
            loops(x, i + 1, &next);
        cpu_loop_close(f, &l, NULL);
    }
    cpu_at(f, f->level);
    if (!last || bytes % BYTES == 0) return;
    next = further(x, at, cpu_i64(f->m, bytes / BYTES * BYTES), cpu_i64(f->m, steps * inner));
    one_step(x, &next, bytes % BYTES);
}

/* Sums go on where the block of K before this one left them. */
static void kept_sums(const Amx *x, LLVMValueRef from)
{
    for (int low = 0; low < 2 && tile_rows(x->t->rows, low) > 0; low++)
        for (int j = 0; j < x->g->vectors; j++) {
            int64_t at = first_row(x->t->rows, low) * x->g->width + j * x->g->lanes;
            load(x->f, 2 * low + j, gemm_float_at(x->f, from, cpu_i64(x->f->m, at)),
                 cpu_i64(x->f->m, 4 * x->g->width));
        }
}

/* Every row starts with -zero times the sums of the columns, which are row 0 of the panel. */
static void first_sums(const Amx *x)
{
    CpuFn *f = x->f;
    const CpuGemm *g = x->g;
    LLVMTypeRef type = cpu_lanes_type(f->m->i32, g->lanes);

    for (int j = 0; j < g->vectors; j++) {
        LLVMValueRef at = cpu_i64(f->m, (int64_t)j * g->lanes), v, p = NULL;
        if (x->t->zero) p = gemm_float_at(f, x->t->b, at);
        if (p && !gemm_start_is_packed(g)) {
            v = LLVMBuildLoad2(f->b, type, p, "");
            LLVMSetAlignment(v, 4);
            v = LLVMBuildMul(f->b, v, cpu_splat(f, LLVMBuildNeg(f->b, x->t->zero, ""), g->lanes),
                             "");
            p = byte_at(f, x->beside, cpu_i64(f->m, (int64_t)j * BYTES));
            LLVMBuildStore(f->b, v, p);
        }
        for (int low = 0; low < 2 && tile_rows(x->t->rows, low) > 0; low++) {
            int tile = 2 * low + j;
            if (p)
                load(f, tile, p, cpu_i64(f->m, 0));
            else
                operate(f, "tilezero", 1, &tile, NULL, NULL);
        }
    }
}

static void start(const Amx *x, LLVMValueRef to)
{
    CpuFn *f = x->f;
    LLVMValueRef first;
    CpuIf c;

    if (!x->t->k_block) {
        first_sums(x);
        return;
    }
    first = LLVMBuildICmp(f->b, LLVMIntEQ, x->t->k_block, cpu_i64(f->m, 0), "");
    c = cpu_if_open(f, first);
    cpu_at(f, f->level);
    first_sums(x);
    cpu_if_close(f, &c);
    cpu_at(f, f->level);
    c = cpu_if_open(f, LLVMBuildNot(f->b, first, ""));
    cpu_at(f, f->level);
    kept_sums(x, to);
    cpu_if_close(f, &c);
    cpu_at(f, f->level);
}

int64_t gemm_amx_pitch(const CpuGemm *g)
{
    return g->a.row * unit_of(g);
}

void gemm_amx_copy_steps(CpuFn *f, const CpuGemm *g, const GemmTile *t, LLVMValueRef from,
                         LLVMValueRef end, LLVMValueRef to)
{
    Amx x = {.f = f, .g = g, .t = t};
    LLVMValueRef a[AMX_PARTS] = {t->a, t->a_low}, at;
    int64_t tile = (int64_t)t->rows * BYTES;
    CpuLoop l = cpu_loop_open(f, from, end, 1, 0, NULL);

    cpu_at(f, f->level);
    at = gemm_mul(f, LLVMBuildSub(f->b, l.index, from, ""), cpu_i64(f->m, tile * g->parts));
    to = byte_at(f, to, at);
    at = gemm_mul(f, l.index, cpu_i64(f->m, BYTES));
    for (int p = 0; p < g->parts; p++)
        copy_rows(&x, byte_at(f, a[p], at), BYTES, byte_at(f, to, cpu_i64(f->m, p * tile)));
    cpu_loop_close(f, &l, NULL);
}

void gemm_emit_amx(CpuFn *f, const CpuGemm *g, const GemmTile *t, const GemmLate *late,
                   LLVMValueRef beside, LLVMValueRef to)
{
    Amx x = {.f = f,
             .g = g,
             .t = t,
             .late = late,
             .beside = beside,
             .even = rows_even(t),
             .product = "tdpbf16ps"};
    Stand at = {{t->a, t->a_low}, t->b, cpu_i64(f->m, 0)};

    if (g->bytes) x.product = g->a_load->dtype == DT_I8 ? "tdpbssd" : "tdpbusd";
    cpu_at(f, f->level);
    start(&x, to);
    if (g->bytes) at.b = gemm_float_at(f, t->b, cpu_i64(f->m, g->nr));
    if (t->k_block) {
        int64_t rows = g->k_steps * AMX_GROUPS * g->parts;
        at.row = LLVMBuildNeg(f->b, gemm_mul(f, t->k_block, cpu_i64(f->m, rows)), "");
    }
    count_calls(&x);
    cpu_at(f, f->level);
    loops(&x, 0, &at);
    cpu_at(f, f->level);
    for (int low = 0; low < 2 && tile_rows(t->rows, low) > 0; low++)
        for (int j = 0; j < g->vectors; j++) {
            int tile = 2 * low + j;
            int64_t row = (int64_t)first_row(t->rows, low) * g->width + (int64_t)j * g->lanes;
            operate(f, "tilestored64", 1, &tile, gemm_float_at(f, to, cpu_i64(f->m, row)),
                    cpu_i64(f->m, 4 * g->width));
        }
}
