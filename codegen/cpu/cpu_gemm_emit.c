/* cpu_gemm_emit.c: the code of a contraction around its panels: tasks, and packing of columns. The
 * layout is drawn in cpu_gemm_impl.h. */
#include "codegen/cpu/cpu_gemm_impl.h"

LLVMValueRef gemm_mul(CpuFn *f, LLVMValueRef a, LLVMValueRef b)
{
    return LLVMBuildMul(f->b, a, b, "");
}

LLVMValueRef gemm_add(CpuFn *f, LLVMValueRef a, LLVMValueRef b)
{
    return LLVMBuildAdd(f->b, a, b, "");
}

LLVMValueRef gemm_float_at(CpuFn *f, LLVMValueRef base, LLVMValueRef offset)
{
    return LLVMBuildGEP2(f->b, f->element, base, &offset, 1, "");
}

void gemm_stage(CpuFn *f, const CpuGemm *g, int s)
{
    f->s = &g->nest->stage[s];
    f->stage_level = f->level;
    f->vec = -1;
    f->lanes = f->unroll = f->active = 1;
    cpu_forget(f);
}

LLVMValueRef gemm_index(CpuFn *f, const CpuGemm *g, int set, int index, LLVMValueRef flat)
{
    LLVMValueRef v = flat;
    bool outermost = true;

    for (int i = g->n_index - 1; i > index; i--) {
        if (g->group[i] != set || dim_is(g->extent[i], 1)) continue;
        LLVMValueRef extent = cpu_dim(f, g->extent[i]);
        cpu_at(f, f->level);
        v = LLVMBuildUDiv(f->b, v, extent, "");
    }
    for (int i = 0; i < index; i++)
        if (g->group[i] == set && !dim_is(g->extent[i], 1)) outermost = false;
    if (outermost) return v;
    LLVMValueRef extent = cpu_dim(f, g->extent[index]);
    cpu_at(f, f->level);
    return LLVMBuildURem(f->b, v, extent, "");
}

void gemm_place(CpuFn *f, const CpuGemm *g, int stage, int set, LLVMValueRef flat)
{
    const NestStage *s = &g->nest->stage[stage];

    for (int l = 0; l < s->n_loop; l++) {
        LLVMValueRef v = NULL;

        if (g->group[s->loop[l].last] != set) continue;
        for (int i = s->loop[l].first; i <= s->loop[l].last; i++) {
            LLVMValueRef x, extent;
            if (g->group[i] != set || dim_is(g->extent[i], 1)) continue;
            x = gemm_index(f, g, set, i, flat);
            extent = cpu_dim(f, g->extent[i]);
            cpu_at(f, f->level);
            v = v ? gemm_add(f, gemm_mul(f, v, extent), x) : x;
        }
        f->loop_value[l] = v ? v : cpu_i64(f->m, 0);
        f->loop_level[l] = f->level;
    }
    cpu_restamp(f);
}

LLVMValueRef gemm_smin(CpuFn *f, LLVMValueRef a, LLVMValueRef b)
{
    return cpu_call2(f, "llvm.smin", a, b);
}

/* Row-major number within the outer indices that a side uses. */
static LLVMValueRef outer_number(GemmTask *t, uint32_t uses)
{
    CpuFn *f = t->f;
    LLVMValueRef v = cpu_i64(f->m, 0);

    for (int i = 0; i < t->g->n_index; i++) {
        LLVMValueRef x, extent;
        if (!(uses >> i & 1)) continue;
        x = gemm_index(f, t->g, SET_O, i, t->o);
        extent = cpu_dim(f, t->g->extent[i]);
        cpu_at(f, f->level);
        v = gemm_add(f, gemm_mul(f, v, extent), x);
    }
    return v;
}

LLVMValueRef gemm_packed(GemmTask *t, const GemmSide *s)
{
    CpuFn *f = t->f;
    const KernelAbi *abi = &t->g->nest->abi;
    LLVMValueRef p, at;

    if (s->pack < 0) return NULL;
    p = cpu_ptr(f, abi->n_in + abi->n_out + s->pack);
    at = outer_number(t, s->uses);
    cpu_at(f, f->level);
    return gemm_float_at(f, p, gemm_mul(f, at, cpu_i64(f->m, s->size->value)));
}

/* The row at which panel p of a static M begins. */
static LLVMValueRef panel_start(CpuFn *f, const CpuGemm *g, LLVMValueRef p)
{
    int64_t low = g->rows[g->n_rows - 1], more = g->rows[0] - low;
    LLVMValueRef at = gemm_mul(f, p, cpu_i64(f->m, low));

    if (!g->tall || !more) return at;
    return gemm_add(f, at,
                    gemm_mul(f, gemm_smin(f, p, cpu_i64(f->m, g->tall)), cpu_i64(f->m, more)));
}

void gemm_rows_of_block(GemmTask *t, LLVMValueRef block)
{
    CpuFn *f = t->f;
    const CpuGemm *g = t->g;
    LLVMValueRef M = dim_is(g->lines, 1) ? t->M : cpu_dim(f, g->lines);

    cpu_at(f, f->level);
    t->m0 = cpu_i64(f->m, 0);
    t->m1 = M;
    if (!g->block_m) return;
    t->m0 = gemm_mul(f, block, cpu_i64(f->m, g->block_m));
    t->m1 = gemm_add(f, t->m0, cpu_i64(f->m, g->block_m));
    if (dim_is(g->lines, 1) && g->tall >= 0) {
        t->m0 = panel_start(f, g, t->m0);
        t->m1 = panel_start(f, g, t->m1);
    }
    t->m1 = gemm_smin(f, t->m1, M);
}

static void decode(GemmTask *t, LLVMValueRef number)
{
    CpuFn *f = t->f;
    const CpuGemm *g = t->g;
    LLVMValueRef rows = NULL, columns;

    if (!g->rows_first) rows = cpu_take(f, &number, g->blocks_m);
    columns = cpu_take(f, &number, g->blocks_n);
    if (g->rows_first) rows = cpu_take(f, &number, g->blocks_m);
    t->o = number;
    gemm_rows_of_block(t, rows);
    cpu_at(f, f->level);
    t->n0 = gemm_mul(f, columns, cpu_i64(f->m, g->block_n));
    t->n1 = gemm_smin(f, gemm_add(f, t->n0, cpu_i64(f->m, g->block_n)), t->N);
}

static void pack_columns(GemmTask *t)
{
    CpuFn *f = t->f;
    const CpuGemm *g = t->g;

    gemm_stage(f, g, STAGE_B);
    gemm_place(f, g, STAGE_B, SET_O, t->o);
    gemm_place(f, g, STAGE_B, SET_M, cpu_i64(f->m, 0));
    (g->open ? gemm_emit_pack_open : gemm_emit_pack_b)(f, g, t->scratch_b, t->n0, t->n1);
}

/* An i32 of the arguments. */
static LLVMValueRef argument(CpuFn *f, size_t offset)
{
    LLVMValueRef at = cpu_i64(f->m, (int64_t)offset);

    cpu_at(f, 0);
    return LLVMBuildLoad2(f->b, f->m->i32, LLVMBuildGEP2(f->b, f->m->i8, f->args, &at, 1, ""), "");
}

/* Each block of columns has a place of its own, which the first band of a matrix fills; unless
 * there is one band alone. */
static void pack_for_band(GemmTask *t)
{
    CpuFn *f = t->f;
    LLVMValueRef packs = argument(f, offsetof(ingot_kernel_args, packs)), at, size, pass;
    CpuIf c;

    size = cpu_dim(f, t->g->block_size);
    cpu_at(f, f->level);
    at = LLVMBuildUDiv(f->b, t->n0, cpu_i64(f->m, t->g->block_n), "");
    at = gemm_mul(f, at, size);
    pass = LLVMBuildICmp(f->b, LLVMIntEQ, packs, cpu_i32(f->m, INGOT_PACK_PASS), "");
    at = LLVMBuildSelect(f->b, pass, cpu_i64(f->m, 0), at, "");
    t->scratch_b = LLVMBuildGEP2(f->b, f->m->i8, f->scratch, &at, 1, "");
    c = cpu_if_open(f, LLVMBuildICmp(f->b, LLVMIntNE, packs, cpu_i32(f->m, INGOT_PACK_KEPT), ""));
    pack_columns(t);
    cpu_if_close(f, &c);
}

static void one_task(GemmTask *t, LLVMValueRef number)
{
    const CpuGemm *g = t->g;

    decode(t, number);
    t->pack_a = gemm_packed(t, &g->a);
    t->pack_b = gemm_packed(t, &g->b);
    if (g->b.pack < 0 && !g->b.in_place) (g->band ? pack_for_band : pack_columns)(t);
    (g->k_cut ? gemm_emit_cut : gemm_all_panels)(t);
}

/* Task `number`, or the one as far from the end. */
static LLVMValueRef turned(GemmTask *t, LLVMValueRef number)
{
    CpuFn *f = t->f;
    LLVMValueRef flag, other;

    if (!t->g->alternates) return number;
    flag = argument(f, offsetof(ingot_kernel_args, backward));
    flag = LLVMBuildICmp(f->b, LLVMIntNE, flag, cpu_i32(f->m, 0), "");
    cpu_at(f, f->level);
    other = LLVMBuildSub(f->b, gemm_add(f, f->begin, f->end), number, "");
    other = LLVMBuildSub(f->b, other, cpu_i64(f->m, 1), "");
    return LLVMBuildSelect(f->b, flag, other, number, "");
}

static void each_task(GemmTask *t)
{
    CpuLoop l = cpu_loop_open(t->f, t->f->begin, t->f->end, 1, 0, NULL);

    one_task(t, turned(t, l.index));
    cpu_loop_close(t->f, &l, NULL);
}

Status cpu_gemm_emit(CpuModule *m, const CpuGemm *g, const char *name)
{
    CpuFn *f = ARENA_NEW(m->arena, CpuFn);
    GemmTask t = {.f = f, .g = g};
    LLVMBasicBlockRef leave;

    cpu_fn_open(f, m, g->nest, name);
    f->element = g->unit == 8 ? m->f64 : m->f32;
    leave = cpu_block(f);
    f->s = &g->nest->stage[STAGE_OUT];
    f->acc = ARENA_ARRAY(f->arena, LLVMValueRef, CPU_UNROLL);
    t.k = g->bytes || g->amx ? cpu_i64(m, g->depth) : cpu_dim(f, g->size_k);
    t.M = cpu_dim(f, g->size_m);
    t.N = cpu_dim(f, g->size_n);
    t.tile = cpu_stack(f, f->element,
                       (g->tile_rows < g->rows[0] ? g->tile_rows : g->rows[0]) * g->width);
    if (g->open && gemm_has_row_terms(g)) t.terms = cpu_stack(f, m->i32, g->rows[0]);
    if (g->amx) t.beside = cpu_stack(f, m->i8, AMX_PARTS * AMX_ROWS * 64);
    t.scratch_b = f->scratch;
    LLVMValueRef at = cpu_dim(f, g->a_at);
    cpu_at(f, 0);
    t.scratch_a = LLVMBuildGEP2(f->b, m->i8, f->scratch, &at, 1, "");
    cpu_fill_frames(f, f->s);
    cpu_leave_if_empty(f, f->s, f->s->n_domain, leave);
    gemm_late_open(&t);
    if (g->amx) gemm_amx_shape(f, g->rows[0]);
    if (g->streams)
        gemm_emit_stream(&t);
    else
        each_task(&t);
    gemm_late_close(&t);
    if (g->amx) gemm_amx_release(f);
    cpu_leave(f, leave);
    return cpu_fn_close(f);
}
