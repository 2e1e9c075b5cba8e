/* cpu_gemm_bytes.c: contractions of 8-bit integers, summed exactly in i32, four k at a time.
 *
 *     C[m, n] = sum over k of (a[m, k] - z) * b[k, n],   a u8 or i8, b within i8 and known (else
 *                                                        cpu_gemm_open.c packs it and adds a term)
 *             = sum over k of u(a)[m, k] * b[k, n]  -  (z + s) * sum over k of b[k, n]
 *
 * u(a) is a as u8: itself, or a + 128 (s = 128) by flipping the sign bit. To the rest of the
 * generator an element is four bytes: of A where it lies, four neighbours along k, which must be
 * contiguous; of B as packed here, panels of nr columns
 *
 *     row 0        sums of the columns, i32; where z is known and a is u8, -z times those
 *     row 1 + i    four bytes of group i for each column
 *
 * A run of k that is no multiple of four ends with a group whose missing bytes are 0 in B and not
 * read from A. The product of four bytes is one instruction (VNNI), or two of pairs of 16 bits,
 * which neither saturate nor round: the sums are the same on every machine. */
#include "codegen/cpu/cpu_gemm_impl.h"

#include <string.h>

enum { GROUP = 4, FLIP = 128 };

static bool is_byte_load(const Sx *e)
{
    return e->op == SX_LOAD && !e->guarded && e->src >= 0 &&
           (e->dtype == DT_U8 || e->dtype == DT_I8);
}

/* i32(load), or i32(load) less an expression; less a constant is written as a sum. */
static const Sx *byte_load(SxTable *t, const Sx *e, const Sx **zero)
{
    *zero = NULL;
    if (e->op == SX_SUB) {
        *zero = e->arg[1];
        e = e->arg[0];
    } else if (e->op == SX_ADD && e->arg[1]->op == SX_CONST) {
        *zero = sx_const_int(t, DT_I32, -(int64_t)(int32_t)e->arg[1]->bits);
        e = e->arg[0];
    }
    return e->op == SX_CAST && is_byte_load(e->arg[0]) ? e->arg[0] : NULL;
}

/* ---- which contractions ---- */

static bool find_data(CpuGemm *g)
{
    const NestStage *s = &g->nest->stage[STAGE_A];

    g->a_load = byte_load(&g->nest->module->sx, s->value[0], &g->a_zero);
    if (!g->a_load) return false;
    for (int i = 0; g->a_zero && i < g->n_index; i++)
        if (sx_uses_index(&g->nest->module->sx, g->a_zero, i)) return false;
    return true;
}

/* Every element of the weights less their zero point is an i8. */
static bool find_weights(CpuGemm *g)
{
    const NestStage *s = &g->nest->stage[STAGE_B];
    const Sx *zero, *load = byte_load(&g->nest->module->sx, s->value[0], &zero);
    const Affine *x = load ? map_get(&s->address, load) : NULL;
    const Tensor *t;

    if (!x || x->n_term || !dim_is_const(x->base)) return false;
    if (zero && zero->op != SX_CONST) return false;
    for (int i = 0; i < g->n_index; i++)
        if (x->coef[i] && !dim_is_const(x->coef[i])) return false;
    g->b_load = load;
    g->b_zero = zero ? (int)(int32_t)zero->bits : 0;
    t = g->nest->node->in[load->src]->data;
    for (int64_t i = 0; i < t->count; i++) {
        int64_t v = tensor_int(t, i) - g->b_zero;
        if (v < INT8_MIN || v > INT8_MAX) return false;
    }
    return true;
}

/* The only loop of B along a set, or -1. */
static int only_loop(const CpuGemm *g, int set)
{
    const NestStage *s = &g->nest->stage[STAGE_B];
    int found = -1, n = 0;

    for (int l = 0; l < s->n_loop; l++)
        if (g->group[s->loop[l].last] == set && !dim_is(s->loop[l].extent, 1)) {
            found = l;
            n++;
        }
    return n == 1 ? found : -1;
}

static Dim step_along(CpuGemm *g, const Affine *x, int loop)
{
    Dim c = x->coef[g->nest->stage[STAGE_B].loop[loop].last];

    c = c ? c : dim_const(&g->nest->module->dims, 0);
    nest_need(g->nest, c);
    return c;
}

/* Bytes that each run packs: a matrix, less the same everywhere. */
static bool find_open(CpuGemm *g)
{
    const NestStage *s = &g->nest->stage[STAGE_B];
    SxTable *t = &g->nest->module->sx;
    const Sx *load = byte_load(t, s->value[0], &g->open_zero);
    const Affine *x = load ? map_get(&s->address, load) : NULL;
    int k = only_loop(g, SET_K), n = only_loop(g, SET_N);

    if (!x || x->n_term || k < 0 || n < 0) return false;
    for (int i = 0; g->open_zero && i < g->n_index; i++)
        if (sx_uses_index(t, g->open_zero, i)) return false;
    g->b_load = load;
    g->open = true;
    g->open_k = step_along(g, x, k);
    g->open_n = step_along(g, x, n);
    return true;
}

bool gemm_bytes_fit(CpuGemm *g)
{
    if (!dim_is_const(g->size_k) || g->size_k->value <= 1 || !find_data(g)) return false;
    if (gemm_constant(g, STAGE_B) && dim_is_const(g->size_n) && find_weights(g)) return true;
    return find_open(g);
}

bool gemm_bytes_rows(CpuGemm *g)
{
    int last = g->a.n_k - 1;
    int64_t outer;

    if (!g->a.in_place || last < 0 || !dim_is(g->a.k_step[last], 1)) return false;
    for (int i = 0; i <= last; i++)
        if (!dim_is_const(g->a.k_extent[i])) return false;
    if (g->open && last > 0) return false;
    g->k_run = g->a.k_extent[last]->value;
    g->parts = 1;
    outer = g->size_k->value / g->k_run;
    g->depth = outer * ((g->k_run + GROUP - 1) / GROUP) + 1;
    g->amx = !g->open && gemm_amx_fits(g);
    return true;
}

/* ---- packing while compiling ---- */

/* For every point of the indices of `set` (of those in mask), row-major. */
static int64_t *offsets(const CpuGemm *g, const Affine *x, int set, uint32_t mask, int64_t *n)
{
    int64_t *at;

    *n = 1;
    for (int i = 0; i < g->n_index; i++)
        if (g->group[i] == set && (mask >> i & 1)) *n *= g->extent[i]->value;
    at = ARENA_ARRAY(g->nest->arena, int64_t, *n);
    for (int64_t p = 0; p < *n; p++) {
        int64_t left = p;
        for (int i = g->n_index - 1; i >= 0; i--) {
            if (g->group[i] != set || !(mask >> i & 1)) continue;
            at[p] += left % g->extent[i]->value * (x->coef[i] ? x->coef[i]->value : 0);
            left /= g->extent[i]->value;
        }
    }
    return at;
}

static int value_at(const GroupPack *p, int64_t at)
{
    const Tensor *from = p->g->nest->node->in[p->g->b_load->src]->data;
    const unsigned char *data = from->data;

    return (from->dtype == DT_I8 ? (int8_t)data[at] : data[at]) - p->g->b_zero;
}

bool gemm_start_is_packed(const CpuGemm *g)
{
    return !g->open && g->a_load->dtype == DT_U8 && g->a_zero && g->a_zero->op == SX_CONST;
}

static void pack_column(const GroupPack *p, int64_t base, char *to, int64_t nr)
{
    const CpuGemm *g = p->g;
    int64_t run = g->k_run, n_run = g->size_k->value / run, groups = (run + GROUP - 1) / GROUP;
    uint32_t sum = 0;

    for (int64_t r = 0; r < n_run; r++)
        for (int64_t k = 0; k < run; k++) {
            int v = value_at(p, base + p->k[r * run + k]);
            int64_t row = 1 + r * groups + k / GROUP;
            to[row * nr * GROUP + k % GROUP] = (char)(int8_t)v;
            sum += (uint32_t)v;
        }
    if (gemm_start_is_packed(g)) sum *= -(uint32_t)g->a_zero->bits;
    memcpy(to, &sum, sizeof sum);
}

static void fill_bytes(const void *context, void *to)
{
    const GroupPack *p = context;
    const CpuGemm *g = p->g;
    int64_t nr = g->nr, n = g->size_n->value, panel = g->depth * nr * GROUP;

    memset(to, 0, p->size);
    for (int64_t o = 0; o < p->copies; o++)
        for (int64_t c = 0; c < n; c++) {
            char *at = (char *)to + (o * p->panels + c / nr) * panel + c % nr * GROUP;
            pack_column(p, p->base + p->outer[o] + p->column[c], at, nr);
        }
}

Status gemm_pack_groups(CpuGemm *g, void (*fill)(const void *context, void *to), size_t beyond,
                        Diag *d)
{
    Arena *a = g->nest->arena;
    const Affine *x = map_get(&g->nest->stage[STAGE_B].address, g->b_load);
    GroupPack *p = ARENA_NEW(a, GroupPack);
    WeightBytes *pack = ARENA_NEW(a, WeightBytes);
    int64_t n, k, size;

    *p = (GroupPack){
        .g = g, .base = x->base->value, .panels = (g->size_n->value + g->nr - 1) / g->nr};
    p->outer = offsets(g, x, SET_O, g->b.uses, &p->copies);
    p->column = offsets(g, x, SET_N, UINT32_MAX, &n);
    p->k = offsets(g, x, SET_K, UINT32_MAX, &k);
    if (!arena_ok(a) || __builtin_mul_overflow(p->panels * g->nr, g->depth, &size) ||
        __builtin_mul_overflow((size_t)size * GROUP, (size_t)p->copies, &pack->size))
        return diag(d, ERR_LIMIT, node_where(g->nest->node), "no memory for packed weights");
    pack->size += beyond;
    p->size = pack->size;
    g->b.size = dim_const(&g->nest->module->dims, size);
    pack->fill = fill;
    pack->context = p;
    g->b.pack = g->nest->abi.n_pack++;
    g->nest->abi.pack = pack;
    return OK;
}

Status gemm_pack_bytes(CpuGemm *g, Diag *d)
{
    /* tiles read whole ones, beyond the last group */
    return gemm_pack_groups(g, fill_bytes, g->amx ? (size_t)(GROUP * AMX_GROUPS * g->nr) : 0, d);
}

/* ---- the tile ---- */

typedef struct Bytes {
    CpuFn *f;
    const CpuGemm *g;
    const GemmTile *t;
    LLVMValueRef *acc;
} Bytes;

static LLVMValueRef byte_at(CpuFn *f, LLVMValueRef base, LLVMValueRef offset)
{
    return LLVMBuildGEP2(f->b, f->m->i8, base, &offset, 1, "");
}

static LLVMValueRef splat_int(const Bytes *y, uint32_t v)
{
    return cpu_splat_const(LLVMConstInt(y->f->m->i32, v, 0), y->g->lanes);
}

static LLVMValueRef load_group(Bytes *y, LLVMValueRef p)
{
    LLVMValueRef v = LLVMBuildLoad2(y->f->b, cpu_lanes_type(y->f->m->i32, y->g->lanes), p, "");

    LLVMSetAlignment(v, 4);
    return v;
}

LLVMValueRef gemm_some_bytes(CpuFn *f, LLVMValueRef p, LLVMValueRef step, int n)
{
    LLVMValueRef v = NULL;

    if (n == GROUP && LLVMIsAConstantInt(step) && LLVMConstIntGetZExtValue(step) == 1) {
        v = LLVMBuildLoad2(f->b, f->m->i32, p, "");
        LLVMSetAlignment(v, 1);
        return v;
    }
    for (int i = 0; i < n; i++) {
        LLVMValueRef at = gemm_mul(f, step, cpu_i64(f->m, i));
        LLVMValueRef x = LLVMBuildLoad2(f->b, f->m->i8, byte_at(f, p, at), "");
        x = LLVMBuildZExt(f->b, x, f->m->i32, "");
        if (i) x = LLVMBuildShl(f->b, x, cpu_i32(f->m, 8 * i), "");
        v = v ? LLVMBuildOr(f->b, v, x, "") : x;
    }
    return v;
}

/* acc + the four products of each lane. Without VNNI: pairs of 16 bits; the bytes of odd place are
 * the upper halves of those. */
static LLVMValueRef dot_vnni(Bytes *y, LLVMValueRef acc, LLVMValueRef a, LLVMValueRef b)
{
    LLVMValueRef args[] = {acc, a, b};
    const char *name = y->g->lanes == 16  ? "llvm.x86.avx512.vpdpbusd.512"
                       : y->g->lanes == 8 ? "llvm.x86.avx512.vpdpbusd.256"
                                          : "llvm.x86.avx512.vpdpbusd.128";

    return cpu_intrinsic(y->f->m, name, 0, NULL, 3, args);
}

static LLVMValueRef halves(Bytes *y, LLVMValueRef v, bool odd, bool is_signed)
{
    CpuFn *f = y->f;
    LLVMTypeRef t = cpu_lanes_type(f->m->i16, 2 * y->g->lanes);
    LLVMValueRef by = cpu_splat_const(LLVMConstInt(f->m->i16, 8, 0), 2 * y->g->lanes);

    v = LLVMBuildBitCast(f->b, v, t, "");
    if (!odd) v = LLVMBuildShl(f->b, v, by, "");
    return is_signed ? LLVMBuildAShr(f->b, v, by, "") : LLVMBuildLShr(f->b, v, by, "");
}

static LLVMValueRef dot_pairs(Bytes *y, LLVMValueRef acc, LLVMValueRef a, LLVMValueRef b)
{
    const char *name = y->g->lanes == 16  ? "llvm.x86.avx512.pmaddw.d.512"
                       : y->g->lanes == 8 ? "llvm.x86.avx2.pmadd.wd"
                                          : "llvm.x86.sse2.pmadd.wd";

    return LLVMBuildAdd(y->f->b, acc,
                        cpu_intrinsic(y->f->m, name, 0, NULL, 2, (LLVMValueRef[]){a, b}), "");
}

LLVMValueRef gemm_dot_bytes(CpuFn *f, const CpuGemm *g, LLVMValueRef acc, LLVMValueRef a,
                            LLVMValueRef b)
{
    Bytes y = {.f = f, .g = g};

    if (f->m->isa->vnni) return dot_vnni(&y, acc, a, b);
    acc = dot_pairs(&y, acc, halves(&y, a, false, false), halves(&y, b, false, true));
    return dot_pairs(&y, acc, halves(&y, a, true, false), halves(&y, b, true, true));
}

static void one_row(Bytes *y, int r, LLVMValueRef a, const LLVMValueRef *even,
                    const LLVMValueRef *odd)
{
    int vectors = y->t->vectors;
    bool vnni = y->f->m->isa->vnni;
    LLVMValueRef low = vnni ? a : halves(y, a, false, false);
    LLVMValueRef high = vnni ? NULL : halves(y, a, true, false);

    for (int j = 0; j < vectors; j++) {
        LLVMValueRef *c = &y->acc[r * vectors + j];
        if (vnni) {
            *c = dot_vnni(y, *c, a, even[j]);
            continue;
        }
        *c = dot_pairs(y, *c, low, even[j]);
        *c = dot_pairs(y, *c, high, odd[j]);
    }
}

/* One group: `n` bytes of each row at a. */
static void one_group(Bytes *y, LLVMValueRef a, LLVMValueRef b, int n)
{
    CpuFn *f = y->f;
    const CpuGemm *g = y->g;
    LLVMValueRef even[GEMM_VECTORS], odd[GEMM_VECTORS];

    for (int j = 0; j < y->t->vectors; j++) {
        LLVMValueRef v = load_group(y, gemm_float_at(f, b, cpu_i64(f->m, (int64_t)j * g->lanes)));
        even[j] = f->m->isa->vnni ? v : halves(y, v, false, true);
        odd[j] = f->m->isa->vnni ? NULL : halves(y, v, true, true);
    }
    for (int r = 0; r < y->t->rows; r++) {
        LLVMValueRef x =
            gemm_some_bytes(f, byte_at(f, a, cpu_i64(f->m, y->t->row_at[r])), cpu_i64(f->m, 1), n);
        x = cpu_splat(f, x, g->lanes);
        if (g->a_load->dtype == DT_I8) x = LLVMBuildXor(f->b, x, splat_int(y, 0x80808080), "");
        one_row(y, r, x, even, odd);
    }
}

/* The loops of k from i on; `b` goes on by whole groups. */
static void group_loops(Bytes *y, int i, LLVMValueRef a, LLVMValueRef b)
{
    CpuFn *f = y->f;
    const CpuGemm *g = y->g;
    int n = y->t->rows * y->t->vectors;
    int64_t inner = (g->k_run + GROUP - 1) / GROUP, steps;
    bool last = i == y->t->n_k - 1;
    LLVMValueRef a_at, b_at;
    CpuLoop l;

    for (int j = i + 1; j < g->a.n_k - 1; j++)
        inner *= g->a.k_extent[j]->value;
    steps = last ? g->k_run / GROUP : g->a.k_extent[i]->value;
    if (steps) {
        cpu_at(f, f->level);
        l = cpu_loop_open(f, cpu_i64(f->m, 0), cpu_i64(f->m, steps), 1, n, y->acc);
        memcpy(y->acc, l.carry, sizeof *l.carry * (size_t)n);
        cpu_at(f, f->level);
        a_at = last ? cpu_i64(f->m, GROUP) : y->t->k_step[i];
        a_at = byte_at(f, a, gemm_mul(f, l.index, a_at));
        b_at = cpu_i64(f->m, (last ? 1 : inner) * g->nr);
        b_at = gemm_float_at(f, b, gemm_mul(f, l.index, b_at));
        if (last)
            one_group(y, a_at, b_at, GROUP);
        else
            group_loops(y, i + 1, a_at, b_at);
        cpu_loop_close(f, &l, y->acc);
        memcpy(y->acc, l.carry, sizeof *l.carry * (size_t)n);
    }
    cpu_at(f, f->level);
    if (!last || g->k_run % GROUP == 0) return;
    one_group(y, byte_at(f, a, cpu_i64(f->m, steps * GROUP)),
              gemm_float_at(f, b, cpu_i64(f->m, steps * g->nr)), (int)(g->k_run % GROUP));
}

/* What every row of column vector j starts with. */
static LLVMValueRef first_sum(Bytes *y, int j)
{
    CpuFn *f = y->f;
    bool flips = y->g->a_load->dtype == DT_I8;
    LLVMValueRef z = y->t->zero, sums;

    if (!z && !flips) return splat_int(y, 0);
    if (!z) z = cpu_i32(f->m, 0);
    if (flips) z = LLVMBuildAdd(f->b, z, cpu_i32(f->m, FLIP), "");
    z = LLVMBuildNeg(f->b, z, "");
    if (LLVMIsAConstantInt(z) && LLVMConstIntGetZExtValue(z) == 0) return splat_int(y, 0);
    sums = load_group(y, gemm_float_at(f, y->t->b, cpu_i64(f->m, (int64_t)j * y->g->lanes)));
    if (gemm_start_is_packed(y->g)) return sums;
    return LLVMBuildMul(f->b, sums, cpu_splat(f, z, y->g->lanes), "");
}

void gemm_emit_bytes(CpuFn *f, const CpuGemm *g, const GemmTile *t, LLVMValueRef *acc)
{
    Bytes y = {f, g, t, acc};
    LLVMValueRef term[GEMM_ROWS];

    cpu_at(f, f->level);
    for (int r = 0; t->terms && r < t->rows; r++) {
        term[r] = gemm_float_at(f, t->terms, cpu_i64(f->m, r));
        term[r] = cpu_splat(f, LLVMBuildLoad2(f->b, f->m->i32, term[r], ""), g->lanes);
    }
    for (int j = 0; j < t->vectors; j++) {
        LLVMValueRef v = first_sum(&y, j);
        for (int r = 0; r < t->rows; r++)
            acc[r * t->vectors + j] = t->terms ? LLVMBuildAdd(f->b, v, term[r], "") : v;
    }
    group_loops(&y, 0, t->a, gemm_float_at(f, t->b, cpu_i64(f->m, g->nr)));
    cpu_at(f, f->level);
}
