/* cpu_kernel.c: a Nest -> one LLVM function.
 *
 *     for each task: the indices that it counts
 *         for each stage: its domain loops, the vector loop last
 *             main part, `unroll` vectors a turn; then the rest, masked or one by one
 *                 reduction or scan, values, stores
 */
#include "codegen/cpu/cpu_kernel.h"

#include <string.h>

#include "codegen/cpu/cpu_depthwise.h"
#include "codegen/cpu/cpu_emit.h"
#include "codegen/cpu/cpu_gemm.h"
#include "codegen/cpu/cpu_planes.h"

struct CpuKernel {
    Nest *nest;
    const CpuIsa *isa;
    CpuGemm *gemm; /* NULL: another road */
    CpuPlanes *planes;
    CpuDepthwise *depthwise; /* all NULL: the generic loops */
};

static const Sx *expand(void *context, SxTable *t, const Sx *e)
{
    const CpuIsa *isa = context;

    return sx_expand(t, e, (SxHas){.f16 = isa->f16, .scale = isa->scale, .fma = isa->fma});
}

/* Whether callers see no difference. */
static bool same_abi(const KernelAbi *a, const KernelAbi *b)
{
    if (a->n_in != b->n_in || a->n_out != b->n_out || a->n_pack != b->n_pack ||
        a->n_dim != b->n_dim || a->tasks != b->tasks || a->grain != b->grain ||
        a->scratch != b->scratch || a->fails != b->fails || a->alternates != b->alternates ||
        !a->unread != !b->unread)
        return false;
    for (int i = 0; i < a->n_dim; i++)
        if (a->dim[i] != b->dim[i]) return false;
    for (int i = 0; a->unread && i < a->n_in; i++)
        if (a->unread[i] != b->unread[i]) return false;
    return true;
}

Status cpu_kernel_prepare(Arena *arena, Module *m, const Node *n, const CpuIsa *isa,
                          const TileChoice *tile, const CpuKernel *lead, Diag *d, CpuKernel **out)
{
    CpuKernel *k = ARENA_NEW(arena, CpuKernel);

    k->isa = isa;
    TRY(nest_build(arena, m, n, expand, (void *)(uintptr_t)isa, d, &k->nest));
    TRY(cpu_planes_prepare(arena, k->nest, isa, d, &k->planes));
    if (!k->planes)
        TRY(cpu_gemm_prepare(arena, k->nest, isa, tile, lead ? lead->gemm : NULL, 0, d, &k->gemm));
    if (!k->planes && !k->gemm) TRY(cpu_depthwise_prepare(arena, k->nest, isa, d, &k->depthwise));
    if (lead) {
        INVARIANT(d, !lead->gemm == !k->gemm && same_abi(&lead->nest->abi, &k->nest->abi));
    }
    *out = k;
    return OK;
}

/* One stage that multiplies is for the tiles, all others for the generic loops. */
Status cpu_kernel_prepare_band(Arena *arena, Module *m, const Node *n, int64_t band,
                               const CpuIsa *isa, const TileChoice *tile, const CpuKernel *lead,
                               Diag *d, CpuKernel **out)
{
    CpuKernel *k = ARENA_NEW(arena, CpuKernel);
    const Stage *last = &n->kernel->stage[n->kernel->n_stage - 1];
    void *context = (void *)(uintptr_t)isa;
    Contraction c;

    *out = NULL;
    k->isa = isa;
    if (n->kernel->n_stage == 1 && kernel_contraction(&m->sx, last, &c)) {
        TRY(nest_build(arena, m, n, expand, context, d, &k->nest));
        TRY(cpu_gemm_prepare(arena, k->nest, isa, tile, lead ? lead->gemm : NULL, band, d,
                             &k->gemm));
        if (!k->gemm) return OK;
    } else {
        TRY(nest_build_rows(arena, m, n, last->rank - 1, expand, context, d, &k->nest));
        if (!k->nest->n_row) return OK;
    }
    if (lead) INVARIANT(d, same_abi(&lead->nest->abi, &k->nest->abi));
    *out = k;
    return OK;
}

static bool rows_of_nest(const CpuKernel *k, int operand, KernelRows *out)
{
    const Nest *n = k->nest;
    int last = n->kernel->n_stage - 1, n_loop = n->n_task + 1, loop[NEST_INDICES];
    const Stage *s = &n->kernel->stage[last];
    DimTable *t = &n->module->dims;

    *out = (KernelRows){NULL, dim_product(t, s->rank - 1, s->extent), s->extent[s->rank - 1]};
    for (int l = 0; l < n_loop; l++)
        loop[l] = l;
    if (operand < 0)
        return s->n_out == 1 &&
               nest_goes_by_rows(k->nest, &n->stage[last], -1, n_loop, loop, out->columns);
    for (int i = 0; i <= last; i++)
        if (!nest_goes_by_rows(k->nest, &n->stage[i], operand, n_loop, loop, out->columns))
            return false;
    return true;
}

bool cpu_kernel_rows(const CpuKernel *k, int operand, KernelRows *out)
{
    return k->gemm ? cpu_gemm_rows(k->gemm, operand, out) : rows_of_nest(k, operand, out);
}

const KernelAbi *cpu_kernel_abi(const CpuKernel *k)
{
    return &k->nest->abi;
}

bool cpu_kernel_is_tiled(const CpuKernel *k)
{
    return k->gemm != NULL;
}

CpuGemmForm cpu_kernel_form(const CpuKernel *k)
{
    return k->gemm ? cpu_gemm_form(k->gemm) : CPU_GEMM_NONE;
}

/* ---- Points: values and stores */

int cpu_native_lanes(const CpuFn *f)
{
    int bytes = f->m->isa->vector_bytes, lanes;

    if (!bytes) return 1;
    lanes = bytes / (f->s->widest > 0 ? f->s->widest : 1);
    return lanes < 4 ? 4 : lanes > 64 ? 64 : lanes;
}

static LLVMValueRef point_value(CpuFn *f, int j, int u)
{
    const Sx *e = f->s->value[j];

    return f->lanes > 1 ? cpu_vector(f, e, u) : cpu_value(f, e, u);
}

static void scatter_point(CpuFn *f, int j, int u)
{
    const StageOut *o = &f->s->stage->out[j];
    const Sx *g = o->dst_guard;
    LLVMValueRef guard = NULL, mask = f->mask[u], v;
    bool lanes = f->lanes > 1 && g && cpu_varies(f, g);
    CpuIf branch = {0};

    if (g) guard = lanes ? cpu_vector(f, g, u) : cpu_value(f, g, u);
    cpu_at(f, f->level);
    if (lanes) mask = mask ? LLVMBuildAnd(f->b, mask, guard, "") : guard;
    if (guard && !lanes) branch = cpu_if_open(f, guard);
    f->old_level = f->level;
    cpu_restamp(f);
    if (o->combine != COMBINE_SET) f->old[u] = cpu_load_old(f, j, u, mask);
    v = point_value(f, j, u);
    cpu_store_masked(f, j, v, u, mask);
    if (guard && !lanes) cpu_if_close(f, &branch);
    cpu_drop(f, f->level); /* the next point reads what this one wrote */
    cpu_restamp(f);
}

static void place_point(CpuFn *f, int j, int u)
{
    const Sx *g = f->s->stage->out[j].dst_guard;
    LLVMValueRef guard, v;
    CpuIf branch;

    if (g && f->lanes > 1 && cpu_varies(f, g)) {
        guard = cpu_vector(f, g, u);
        v = cpu_vector(f, f->s->value[j], u);
        cpu_at(f, f->level);
        if (f->mask[u]) guard = LLVMBuildAnd(f->b, f->mask[u], guard, "");
        cpu_store_masked(f, j, v, u, guard);
        return;
    }
    if (!g) {
        cpu_store(f, j, point_value(f, j, u), u);
        return;
    }
    guard = cpu_value(f, g, u);
    branch = cpu_if_open(f, guard);
    cpu_restamp(f);
    cpu_store(f, j, point_value(f, j, u), u);
    cpu_if_close(f, &branch);
    cpu_restamp(f);
}

/* A part that reads what those before it have written, or is behind a branch of its own. */
static void alone(CpuFn *f, int j, int u, void (*store)(CpuFn *f, int j, int u))
{
    int active = f->active;

    f->active = u + 1;
    store(f, j, u);
    f->active = active;
}

/* All values are known before the first is stored: a result may have an operand's memory. */
void cpu_store_point(CpuFn *f)
{
    const Stage *s = f->s->stage;
    LLVMValueRef *v = ARENA_ARRAY(f->arena, LLVMValueRef, s->n_out * CPU_UNROLL);

    for (int u = 0; u < f->unroll; u++)
        for (int j = 0; j < s->n_out; j++)
            if (!s->out[j].dst) v[j * CPU_UNROLL + u] = point_value(f, j, u);
    for (int u = 0; u < f->unroll; u++)
        for (int j = 0; j < s->n_out; j++) {
            if (s->out[j].dst)
                alone(f, j, u, nest_scatters(&s->out[j]) ? scatter_point : place_point);
            else if (j == 0 && cpu_in_register(f, f->s))
                f->local[f->s - f->nest->stage] = v[0];
            else
                cpu_store(f, j, v[j * CPU_UNROLL + u], u);
        }
}

static void point(CpuFn *f)
{
    const NestStage *s = f->s;

    f->active = f->unroll;
    if (s->scan >= 0) {
        cpu_scan(f);
        return;
    }
    if (s->stage->n_acc && (s->lanes || (s->vec >= s->n_domain && cpu_native_lanes(f) > 1)))
        cpu_reduce_lanes(f);
    else if (s->stage->n_acc)
        cpu_reduce(f);
    cpu_store_point(f);
}

/* ---- The vector loop */

void cpu_loop_at(CpuFn *f, int l, LLVMValueRef index)
{
    f->loop_value[l] = index;
    f->loop_level[l] = f->level;
    cpu_restamp(f);
}

typedef struct Variant {
    int lanes, unroll;
    bool masked;
} Variant;

/* One part [from, to) of the vector loop. */
static void part(CpuFn *f, int l, LLVMValueRef from, LLVMValueRef to, Variant v)
{
    CpuLoop loop = cpu_loop_open(f, from, to, (int64_t)v.lanes * v.unroll, 0, NULL);

    f->vec = v.lanes > 1 ? l : -1;
    f->lanes = v.lanes;
    f->unroll = v.unroll;
    cpu_loop_at(f, l, loop.index);
    if (v.masked) {
        cpu_at(f, f->level);
        f->mask[0] = cpu_lane_limit(f, LLVMBuildSub(f->b, to, loop.index, ""));
    }
    point(f);
    f->mask[0] = NULL;
    cpu_loop_close(f, &loop, NULL);
    f->vec = -1;
    f->lanes = f->unroll = 1;
}

LLVMValueRef cpu_whole_steps(CpuFn *f, LLVMValueRef from, LLVMValueRef to, int64_t step)
{
    LLVMValueRef n, rest;

    cpu_at(f, f->level);
    n = LLVMBuildSub(f->b, to, from, "");
    rest = LLVMBuildAnd(f->b, n, cpu_i64(f->m, step - 1), "");
    return LLVMBuildSub(f->b, to, rest, "");
}

bool cpu_divides(const CpuFn *f, int l, int64_t n)
{
    Dim e = f->s->loop[l].extent;

    if (!dim_is_const(e) || e->value % n) return false;
    return !f->from[l] || f->nest->block % n == 0;
}

/* Sums along other loops than the lanes': of many vectors side by side, so that each row that they
 * go through is read in long pieces. */
static bool is_contiguous(const CpuFn *f)
{
    int along = f->s->loop[f->s->vec].last;
    size_t i = 0;
    const void *key;
    void *x;

    while (map_next(&f->s->address, &i, &key, &x)) {
        if (!affine_is_coef(x, along, 1)) return false;
    }
    for (int j = 0; j < f->s->stage->n_out; j++) {
        if (!affine_is_coef(f->s->store[j], along, 1)) return false;
    }
    return true;
}

typedef struct Varying {
    SxTable *t;
    int index, n;
} Varying;

static void count_varying(void *context, const Sx *e)
{
    Varying *x = context;

    x->n += sx_uses_index(x->t, e, x->index);
}

/* Expressions that are computed once a vector; the others are there once, however many there are.
 */
static int varying_nodes(const CpuFn *f)
{
    const Stage *s = f->s->stage;
    Varying x = {&f->nest->module->sx, f->s->loop[f->s->vec].last, 0};

    for (int a = 0; a < s->n_acc; a++)
        sx_visit(x.t, s->acc[a].body, count_varying, &x);
    for (int j = 0; j < s->n_out; j++)
        sx_visit(x.t, f->s->value[j], count_varying, &x);
    return x.n;
}

static int vectors_a_turn(const CpuFn *f)
{
    const NestStage *s = f->s;
    int n = s->n_node;

    if (n > 40 && s->vec < s->n_domain) n = varying_nodes(f);

    if (s->stage->n_acc && s->vec < s->n_domain && n <= 4 && is_contiguous(f)) return 16;
    if (s->scan >= 0) return 1;
    if (s->stage->n_acc) return n <= 40 ? 4 : n <= 120 ? 2 : 1;
    return n <= 10 ? 4 : n <= 80 ? 2 : 1;
}

enum { SHORT_ROW = 1024 };

void cpu_vector_loop(CpuFn *f, int l, LLVMValueRef from, LLVMValueRef to)
{
    int64_t extent = nest_guess(f->s->loop[l].extent);
    bool known = dim_is_const(f->s->loop[l].extent), masks = cpu_can_mask(f);
    int lanes = cpu_native_lanes(f), unroll = vectors_a_turn(f);

    if (cpu_scan_tiles(f, l, from, to)) return;
    while (known && lanes > 1 && (masks ? lanes / 2 >= extent : lanes > extent))
        lanes /= 2;
    if (f->from[l] && f->nest->block < extent) extent = f->nest->block;
    while (unroll > 1 && (int64_t)lanes * unroll > extent)
        unroll /= 2;
    if (lanes > 1 && (!known || extent >= lanes)) {
        LLVMValueRef end = cpu_whole_steps(f, from, to, (int64_t)lanes * unroll);
        part(f, l, from, end, (Variant){lanes, unroll, false});
        if (cpu_divides(f, l, (int64_t)lanes * unroll)) return;
        from = end;
    }
    /* In short rows the rest counts: as much of it as can be without masks. */
    if (lanes > 1 && unroll > 1 &&
        (!masks || (known && extent < SHORT_ROW && extent % ((int64_t)lanes * unroll) >= lanes))) {
        LLVMValueRef end = cpu_whole_steps(f, from, to, lanes);
        part(f, l, from, end, (Variant){lanes, 1, false});
        if (cpu_divides(f, l, lanes)) return;
        from = end;
    }
    part(f, l, from, to, lanes > 1 && masks ? (Variant){lanes, 1, true} : (Variant){1, 1, false});
}

static void domain_loop(CpuFn *f, int l)
{
    const NestStage *s = f->s;
    LLVMValueRef from, to;
    int floor = f->load_floor;

    if (l == s->n_domain || l == s->scan) {
        f->vec = -1;
        f->lanes = f->unroll = 1;
        point(f);
        return;
    }
    if (s->tile >= 0 && (l == s->tile || l == s->vec)) {
        cpu_tile_loops(f);
        return;
    }
    from = f->from[l] ? f->from[l] : cpu_i64(f->m, 0);
    to = f->to[l] ? f->to[l] : cpu_dim(f, s->loop[l].extent);
    if (l == s->vec) {
        cpu_vector_loop(f, l, from, to);
        return;
    }
    CpuLoop loop = cpu_loop_open(f, from, to, 1, 0, NULL);
    cpu_loop_at(f, l, loop.index);
    if (f->nest->kernel->n_stage > 1 && s->loop[l].extent->lo < 1) f->load_floor = f->level;
    domain_loop(f, l + 1);
    cpu_loop_close(f, &loop, NULL);
    f->load_floor = floor;
}

/* ---- Stages and tasks */

static CpuLoop rows_open(CpuFn *f, LLVMValueRef first, LLVMValueRef rows)
{
    CpuLoop loop = cpu_loop_open(f, cpu_i64(f->m, 0), rows, 1, 0, NULL);

    cpu_at(f, f->level);
    f->row = loop.index;
    f->row_level = f->level;
    cpu_loop_at(f, f->nest->n_outer - 1, LLVMBuildAdd(f->b, first, loop.index, ""));
    return loop;
}

/* All stages for one point of the outer loops; or for `rows` points of the last of them, from
 * `first` on, each stage for all of them before the next. */
static void stages(CpuFn *f, int first_loop, LLVMValueRef first, LLVMValueRef rows)
{
    for (int i = 0; i < f->nest->kernel->n_stage && f->failed == OK; i++) {
        const NestStage *s = &f->nest->stage[i];
        CpuLoop loop;

        if (cpu_makes_sums(f, i)) { /* with the next one */
            f->maker = s;
            continue;
        }
        f->s = s;
        if (rows) loop = rows_open(f, first, rows);
        f->stage_level = f->level;
        f->acc = ARENA_ARRAY(f->arena, LLVMValueRef, s->stage->n_acc * CPU_UNROLL);
        for (int l = first_loop; l < NEST_INDICES; l++)
            f->loop_level[l] = f->level;
        cpu_forget(f);
        domain_loop(f, first_loop);
        if (rows) cpu_loop_close(f, &loop, NULL);
        f->row = NULL;
        f->maker = NULL;
    }
}

static void outer_loop(CpuFn *f, int l)
{
    int floor = f->load_floor;
    int64_t step = 1;
    LLVMValueRef from, to;

    if (f->nest->kernel->n_stage == 1 || l == f->nest->n_outer) {
        stages(f, l, NULL, NULL);
        return;
    }
    from = f->from[l] ? f->from[l] : cpu_i64(f->m, 0);
    to = f->to[l] ? f->to[l] : cpu_dim(f, f->nest->stage[0].loop[l].extent);
    if (l == f->nest->n_outer - 1) step = f->nest->rows;
    CpuLoop loop = cpu_loop_open(f, from, to, step, 0, NULL);
    cpu_loop_at(f, l, loop.index);
    if (f->nest->stage[0].loop[l].extent->lo < 1) f->load_floor = f->level;
    if (step > 1) {
        LLVMValueRef left;
        cpu_at(f, f->level);
        left = LLVMBuildSub(f->b, to, loop.index, "");
        stages(f, l + 1, loop.index, cpu_call2(f, "llvm.smin", left, cpu_i64(f->m, step)));
    } else {
        outer_loop(f, l + 1);
    }
    cpu_loop_close(f, &loop, NULL);
    f->load_floor = floor;
}

static void cut(CpuFn *f, int l, LLVMValueRef first, LLVMValueRef last)
{
    LLVMValueRef extent = cpu_dim(f, f->nest->stage[0].loop[l].extent);
    LLVMValueRef block = cpu_i64(f->m, f->nest->block);

    cpu_at(f, f->level);
    f->from[l] = LLVMBuildMul(f->b, first, block, "");
    f->to[l] = cpu_call2(f, "llvm.smin", LLVMBuildMul(f->b, last, block, ""), extent);
}

static void task(CpuFn *f, LLVMValueRef t)
{
    const Nest *n = f->nest;
    LLVMValueRef extent, at;

    if (n->block) {
        extent = cpu_dim(f, n->blocks);
        cpu_at(f, f->level);
        at = LLVMBuildURem(f->b, t, extent, "");
        t = LLVMBuildUDiv(f->b, t, extent, "");
        cut(f, n->n_task, at, LLVMBuildAdd(f->b, at, cpu_i64(f->m, 1), ""));
    }
    for (int l = n->n_task - 1; l >= 0; l--) {
        at = t;
        if (l > 0) {
            extent = cpu_dim(f, n->stage[0].loop[l].extent);
            cpu_at(f, f->level);
            at = LLVMBuildURem(f->b, t, extent, "");
            t = LLVMBuildUDiv(f->b, t, extent, "");
        }
        cpu_loop_at(f, l, at);
    }
    outer_loop(f, n->n_task);
}

/* All tasks of a call, rows of one band: points of the last loop, for one or several of the loops
 * around it. */
static void rows_of_band(CpuFn *f)
{
    const Nest *n = f->nest;
    LLVMValueRef extent = cpu_dim(f, n->stage[0].loop[n->n_task].extent), from, to, first, t;
    CpuLoop loop;

    cpu_at(f, f->level);
    from = LLVMBuildUDiv(f->b, f->begin, extent, "");
    to = LLVMBuildUDiv(f->b, LLVMBuildSub(f->b, f->end, cpu_i64(f->m, 1), ""), extent, "");
    to = LLVMBuildAdd(f->b, to, cpu_i64(f->m, 1), "");
    loop = cpu_loop_open(f, from, to, 1, 0, NULL);
    cpu_at(f, f->level);
    first = LLVMBuildMul(f->b, loop.index, extent, "");
    f->from[n->n_task] =
        cpu_call2(f, "llvm.smax", LLVMBuildSub(f->b, f->begin, first, ""), cpu_i64(f->m, 0));
    f->to[n->n_task] = cpu_call2(f, "llvm.smin", LLVMBuildSub(f->b, f->end, first, ""), extent);
    t = loop.index;
    for (int l = n->n_task - 1; l >= 0; l--)
        cpu_loop_at(f, l, l > 0 ? cpu_take(f, &t, n->stage[0].loop[l].extent) : t);
    outer_loop(f, n->n_task);
    cpu_loop_close(f, &loop, NULL);
}

static void tasks(CpuFn *f)
{
    CpuLoop loop;

    f->s = &f->nest->stage[0];
    if (f->nest->n_row && f->nest->n_task > 0) {
        rows_of_band(f);
        return;
    }
    if (f->nest->n_task == 0) {
        if (f->nest->block) cut(f, 0, f->begin, f->end);
        outer_loop(f, 0);
        return;
    }
    loop = cpu_loop_open(f, f->begin, f->end, 1, 0, NULL);
    task(f, loop.index);
    cpu_loop_close(f, &loop, NULL);
}

/* Scatters start from a copy, unless the planner has given both the same memory. */
static void copy_inits(CpuFn *f)
{
    for (int i = 0; i < f->nest->kernel->n_stage; i++) {
        const NestStage *s = &f->nest->stage[i];
        for (int j = 0; j < s->stage->n_out; j++) {
            const StageOut *o = &s->stage->out[j];
            LLVMValueRef from, to, bytes, is_same;

            if (!nest_scatters(o)) continue;
            from = cpu_ptr(f, o->init);
            to = cpu_ptr(f, f->nest->abi.n_in + o->result);
            bytes = cpu_dim(f, s->copied[j]);
            cpu_at(f, 0);
            bytes = LLVMBuildMul(f->b, bytes, cpu_i64(f->m, dtype_bytes(o->dtype)), "");
            is_same = LLVMBuildICmp(f->b, LLVMIntEQ, from, to, "");
            bytes = LLVMBuildSelect(f->b, is_same, cpu_i64(f->m, 0), bytes, "");
            LLVMBuildMemCpy(f->b, to, 1, from, 1, bytes);
        }
    }
}

static LLVMValueRef kernel_function(CpuModule *m, const char *name)
{
    LLVMTypeRef params[] = {m->ptr, m->i64, m->i64, m->ptr};

    return cpu_function(m, name, LLVMFunctionType(m->void_type, params, 4, 0), true);
}

static void open_function(CpuFn *f, CpuModule *m, const Nest *n, LLVMValueRef fn)
{
    *f = (CpuFn){.m = m,
                 .b = m->b,
                 .arena = m->arena,
                 .nest = n,
                 .fn = fn,
                 .vec = -1,
                 .across = -1,
                 .lanes = 1};
    f->unroll = f->active = 1;
    f->ptr = ARENA_ARRAY(f->arena, LLVMValueRef, n->abi.n_in + n->abi.n_out + n->abi.n_pack);
    f->dim = ARENA_ARRAY(f->arena, LLVMValueRef, n->abi.n_dim);
    f->local = ARENA_ARRAY(f->arena, LLVMValueRef, n->kernel->n_stage);
    f->stamp = 1;
    map_init(&f->vals, f->arena, false);
    map_init(&f->slow, f->arena, true);
    f->entry = cpu_block(f);
    f->start = f->tail[0] = cpu_block(f);
}

void cpu_fn_open(CpuFn *f, CpuModule *m, const Nest *n, const char *name)
{
    open_function(f, m, n, kernel_function(m, name));
    f->args = LLVMGetParam(f->fn, 0);
    f->begin = LLVMGetParam(f->fn, 1);
    f->end = LLVMGetParam(f->fn, 2);
    f->scratch = LLVMGetParam(f->fn, 3);
}

void cpu_part_open(CpuFn *part, const CpuFn *f, LLVMValueRef fn)
{
    open_function(part, f->m, f->nest, fn);
    part->element = f->element;
    part->acc = ARENA_ARRAY(f->arena, LLVMValueRef, CPU_UNROLL);
}

Status cpu_fn_close(CpuFn *f)
{
    cpu_at(f, 0);
    LLVMBuildRetVoid(f->b);
    LLVMPositionBuilderAtEnd(f->b, f->entry);
    LLVMBuildBr(f->b, f->start);
    return f->failed;
}

Status cpu_kernel_emit(CpuModule *m, const CpuKernel *k, const char *name)
{
    CpuFn *f = ARENA_NEW(m->arena, CpuFn);
    LLVMBasicBlockRef leave;
    const NestStage *s;

    if (k->planes) return cpu_planes_emit(m, k->planes, name);
    if (k->gemm) return cpu_gemm_emit(m, k->gemm, name);
    if (k->depthwise) return cpu_depthwise_emit(m, k->depthwise, name);
    cpu_fn_open(f, m, k->nest, name);
    leave = cpu_block(f);
    copy_inits(f);
    s = &k->nest->stage[0];
    cpu_fill_frames(f, s);
    cpu_leave_if_empty(f, s, k->nest->kernel->n_stage > 1 ? k->nest->n_outer : s->n_domain, leave);
    tasks(f);
    cpu_leave(f, leave);
    return cpu_fn_close(f);
}
