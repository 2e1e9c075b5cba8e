/* cpu_gemm_pairs.c: contractions of bf16, two k at a time.
 *
 *     C[m, n] = sum over k of f32(a[m, k]) * b[k, n],   a bf16 in place, b known
 *
 * To the rest of the generator an element is a pair: of A where it lies, two neighbours along k in
 * 32 bits; of B as packed, the same of each column. K and all steps are counted in pairs, and the
 * product of a pair is one instruction that adds two products to an f32. So tiles, blocks and
 * epilogues are those of f32, at half the K.
 *
 *     C[m, n] = sum over k of (f32(a[m, k]) + f32(a'[m, k])) * (b[k, n] + b'[k, n])
 *
 * is three sums of such products on the tiles of AMX, without a' * b', which is less than what the
 * sum's own rounding leaves; where tiles are not worth it, that is a sum of f32 like any other. For
 * tiles of AMX, a panel of B is
 *
 *     for each run of k, filled up with zeros, each 16 pairs:  16 rows of b, 16 rows of b'
 */
#include "codegen/cpu/cpu_gemm_impl.h"

#include <string.h>

enum { PAIR = 2 };

const Sx *gemm_widened_load(SxTable *t, const Sx *e)
{
    const Sx *load = e;

    while (load->op != SX_LOAD) {
        if (load->n < 1) return NULL;
        load = load->arg[0];
    }
    if (load->dtype != DT_BF16 || load->guarded || load->src < 0) return NULL;
    return sx_expand(t, sx_cast(t, load, DT_F32), (SxHas){.f16 = true, .scale = true}) == e ? load
                                                                                            : NULL;
}

int gemm_widened_loads(SxTable *t, const Sx *e, const Sx *load[AMX_PARTS])
{
    load[0] = gemm_widened_load(t, e);
    load[1] = NULL;
    if (load[0]) return 1;
    if (e->op != SX_ADD) return 0;
    load[0] = gemm_widened_load(t, e->arg[0]);
    load[1] = gemm_widened_load(t, e->arg[1]);
    return load[0] && load[1] ? AMX_PARTS : 0;
}

/* A load of constant strides. */
static bool is_known(const CpuGemm *g, const Sx *load)
{
    const Affine *x = map_get(&g->nest->stage[STAGE_B].address, load);

    if (!x || x->n_term || !dim_is_const(x->base)) return false;
    for (int i = 0; i < g->n_index; i++)
        if (x->coef[i] && !dim_is_const(x->coef[i])) return false;
    return true;
}

bool gemm_lie_alike(const CpuGemm *g, int side, const Sx *high, const Sx *low)
{
    const NestStage *s = &g->nest->stage[side];
    const Affine *x = map_get(&s->address, high), *y = map_get(&s->address, low);

    if (!x || !y || x->n_term || y->n_term || x->base != y->base) return false;
    for (int i = 0; i < g->n_index; i++)
        if (x->coef[i] != y->coef[i]) return false;
    return true;
}

bool gemm_pairs_fit(CpuGemm *g)
{
    SxTable *t = &g->nest->module->sx;
    const Sx *a[AMX_PARTS], *b[AMX_PARTS];
    int parts;

    if (!dim_is_const(g->size_k) || g->size_k->value % PAIR || !dim_is_const(g->size_n))
        return false;
    if (!gemm_constant(g, STAGE_B) || gemm_constant(g, STAGE_A)) return false;
    parts = gemm_widened_loads(t, g->nest->stage[STAGE_A].value[0], a);
    if (!parts || gemm_widened_loads(t, g->nest->stage[STAGE_B].value[0], b) != parts) return false;
    if (!is_known(g, b[0])) return false;
    if (parts > 1 &&
        !(gemm_lie_alike(g, STAGE_A, a[0], a[1]) && gemm_lie_alike(g, STAGE_B, b[0], b[1])))
        return false;
    g->parts = parts;
    g->a_load = a[0];
    g->a_low = a[1];
    g->b_load = b[0];
    g->b_low = b[1];
    return true;
}

static bool is_even(Dim d)
{
    return dim_is_const(d) && d->value % PAIR == 0;
}

bool gemm_pairs_rows(CpuGemm *g)
{
    DimTable *t = &g->nest->module->dims;
    int last = g->a.n_k - 1;

    if (!g->a.in_place || last < 0 || !dim_is(g->a.k_step[last], 1)) return false;
    if (!is_even(g->a.k_extent[last]) || g->a.row % PAIR || g->run_step % PAIR) return false;
    for (int i = 0; i < last; i++)
        if (!is_even(g->a.k_step[i]) || !dim_is_const(g->a.k_extent[i])) return false;
    g->k_run = g->a.k_extent[last]->value;
    g->amx = gemm_amx_fits(g);
    if (g->parts > 1 && !g->amx) return false;
    g->depth =
        g->size_k->value / g->k_run * gemm_tile_rows((g->k_run + PAIR - 1) / PAIR) * g->parts;
    g->a.k_extent[last] = dim_const(t, g->a.k_extent[last]->value / PAIR);
    for (int i = 0; i < last; i++)
        g->a.k_step[i] = dim_const(t, g->a.k_step[i]->value / PAIR);
    g->a.row /= PAIR;
    g->run_step /= PAIR;
    g->size_k = dim_const(t, g->size_k->value / PAIR);
    return true;
}

void gemm_pack_pairs(const Tensor *t, int64_t base, int64_t n, const int64_t *k, int64_t lines,
                     const int64_t *line, int64_t width, float *to)
{
    const uint16_t *u = (const uint16_t *)t->data + base;

    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < lines; j++) {
            uint32_t even = u[k[PAIR * i] + line[j]], odd = u[k[PAIR * i + 1] + line[j]];
            ((uint32_t *)to)[i * width + j] = even | odd << 16;
        }
}

/* ---- for tiles of AMX ---- */

/* Columns [c0, c1) of one pair of k. */
static void pack_row(const GroupPack *p, const uint16_t *from, const int64_t *k, int64_t c0,
                     int64_t c1, uint32_t *to)
{
    for (int64_t c = c0; c < c1; c++) {
        uint32_t even = from[k[0] + p->column[c]], odd = from[k[1] + p->column[c]];
        to[c - c0] = even | odd << 16;
    }
}

static void pack_panel(const GroupPack *p, int64_t base, int64_t c0, int64_t c1, uint32_t *to)
{
    const CpuGemm *g = p->g;
    int64_t groups = g->k_run / PAIR, runs = g->size_k->value / groups; /* size_k: pairs */
    int64_t rows = gemm_tile_rows(groups) * g->parts;
    const Sx *load[AMX_PARTS] = {g->b_load, g->b_low};
    const uint16_t *part[AMX_PARTS];

    for (int q = 0; q < g->parts; q++)
        part[q] = g->nest->node->in[load[q]->src]->data->data;
    for (int64_t r = 0; r < runs; r++)
        for (int64_t i = 0; i < groups; i++)
            for (int q = 0; q < g->parts; q++) {
                int64_t row =
                    r * rows + (i / AMX_GROUPS * g->parts + q) * AMX_GROUPS + i % AMX_GROUPS;
                pack_row(p, part[q] + base, &p->k[r * g->k_run + i * PAIR], c0, c1,
                         to + row * g->nr);
            }
}

static void fill_pairs(const void *context, void *to)
{
    const GroupPack *p = context;
    const CpuGemm *g = p->g;
    int64_t nr = g->nr, n = g->size_n->value;

    memset(to, 0, p->size);
    for (int64_t o = 0; o < p->copies; o++)
        for (int64_t c = 0; c < n; c += nr)
            pack_panel(p, p->base + p->outer[o], c, n - c < nr ? n : c + nr,
                       (uint32_t *)to + (o * p->panels * nr + c) * g->depth);
}

Status gemm_pack_pair_tiles(CpuGemm *g, Diag *d)
{
    return gemm_pack_groups(g, fill_pairs, 0, d);
}

LLVMValueRef gemm_dot_pair(CpuFn *f, const CpuGemm *g, LLVMValueRef a, LLVMValueRef b,
                           LLVMValueRef acc)
{
    LLVMTypeRef one = LLVMBFloatTypeInContext(f->m->cx);
    LLVMTypeRef pairs = cpu_lanes_type(one, PAIR * g->lanes);
    LLVMValueRef args[] = {acc, LLVMBuildBitCast(f->b, a, pairs, ""),
                           LLVMBuildBitCast(f->b, b, pairs, "")};

    return cpu_intrinsic(f->m, "llvm.x86.avx512bf16.dpbf16ps.512", 0, NULL, 3, args);
}
