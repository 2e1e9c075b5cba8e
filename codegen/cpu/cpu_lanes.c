/* cpu_lanes.c: a reduction along its innermost index in 64 interleaved partial accumulators, which
 * live in as many vector registers as the ISA needs for them; then the fixed tree
 * acc[i] (+) acc[i + 32], 16, 8, 4, 2, 1.
 *
 * The rest of a row (its length modulo 64) is masked; where the ISA has no masks for it, the
 * accumulators go through a buffer of 64 and the rest is done one by one. Without vectors all of it
 * is done in the buffer.
 *
 * Where the stage before it makes the row that is summed up (the exponentials of a softmax), one
 * loop does both: the row is stored for later stages, and not read again here. */
#include "codegen/cpu/cpu_emit.h"

enum { LANES = 64 };

static LLVMValueRef buffer_at(CpuFn *f, DType d, LLVMValueRef buffer, LLVMValueRef lane)
{
    return cpu_element(f, d, buffer, lane);
}

static LLVMValueRef buffer_load(CpuFn *f, DType d, LLVMValueRef p, int lanes)
{
    LLVMTypeRef t = cpu_lanes_type(cpu_mem_type(f->m, d), lanes);
    LLVMValueRef v = LLVMBuildLoad2(f->b, t, p, "");

    LLVMSetAlignment(v, (unsigned)dtype_bytes(d));
    return cpu_from_mem(f, d, v);
}

static void buffer_store(CpuFn *f, DType d, LLVMValueRef v, LLVMValueRef p)
{
    LLVMValueRef s = LLVMBuildStore(f->b, cpu_to_mem(f, d, v), p);

    LLVMSetAlignment(s, (unsigned)dtype_bytes(d));
}

static void at_index(CpuFn *f, int l, LLVMValueRef index)
{
    f->loop_value[l] = index;
    f->loop_level[l] = f->level;
    if (f->s->loop[l].extent->lo < 1) f->load_floor = f->level;
    cpu_restamp(f);
}

/* ---- One by one, into the buffers */

static void buffer_add(CpuFn *f, LLVMValueRef *buffer, LLVMValueRef index)
{
    const Stage *s = f->s->stage;

    for (int a = 0; a < s->n_acc; a++) {
        const Acc *x = &s->acc[a];
        LLVMValueRef v = cpu_value(f, x->body, 0), w = x->body2 ? cpu_value(f, x->body2, 0) : NULL;
        LLVMValueRef lane, p, acc;

        cpu_at(f, f->level);
        lane = LLVMBuildAnd(f->b, index, cpu_i64(f->m, LANES - 1), "");
        p = buffer_at(f, x->dtype, buffer[a], lane);
        acc = buffer_load(f, x->dtype, p, 1);
        acc = x->monoid == MONOID_DOT ? cpu_fma(f, x->dtype, v, w, acc)
                                      : cpu_combine(f, x->monoid, x->dtype, acc, v);
        buffer_store(f, x->dtype, acc, p);
    }
}

static void buffer_loop(CpuFn *f, LLVMValueRef *buffer, LLVMValueRef from, LLVMValueRef to)
{
    int l = f->s->n_loop - 1, floor = f->load_floor, lanes = f->lanes, vec = f->vec;
    CpuLoop loop = cpu_loop_open(f, from, to, 1, 0, NULL);

    f->lanes = 1;
    f->vec = -1;
    at_index(f, l, loop.index);
    buffer_add(f, buffer, loop.index);
    cpu_loop_close(f, &loop, NULL);
    f->load_floor = floor;
    f->lanes = lanes;
    f->vec = vec;
    cpu_restamp(f);
}

static LLVMValueRef *buffers(CpuFn *f)
{
    const Stage *s = f->s->stage;
    LLVMValueRef *b = ARENA_ARRAY(f->arena, LLVMValueRef, s->n_acc);

    for (int a = 0; a < s->n_acc; a++)
        b[a] = cpu_stack(f, cpu_mem_type(f->m, s->acc[a].dtype), LANES);
    return b;
}

static LLVMValueRef lane_number(CpuFn *f, int u)
{
    return cpu_i64(f->m, (int64_t)u * f->lanes);
}

static void spill(CpuFn *f, LLVMValueRef *buffer, LLVMValueRef *carry)
{
    const Stage *s = f->s->stage;

    cpu_at(f, f->level);
    for (int a = 0; a < s->n_acc; a++)
        for (int u = 0; u < f->unroll; u++)
            buffer_store(f, s->acc[a].dtype, carry[a * f->unroll + u],
                         buffer_at(f, s->acc[a].dtype, buffer[a], lane_number(f, u)));
}

static void reload(CpuFn *f, LLVMValueRef *buffer, LLVMValueRef *carry)
{
    const Stage *s = f->s->stage;

    cpu_at(f, f->level);
    for (int a = 0; a < s->n_acc; a++)
        for (int u = 0; u < f->unroll; u++)
            carry[a * f->unroll + u] =
                buffer_load(f, s->acc[a].dtype,
                            buffer_at(f, s->acc[a].dtype, buffer[a], lane_number(f, u)), f->lanes);
}

/* ---- Of what another stage makes */

static bool is_rows(const Nest *n, const NestStage *s)
{
    return s->n_loop == n->n_outer + 1 && s->vec == n->n_outer && s->tile < 0 && s->scan < 0;
}

/* Whether `load` of the stage behind is the row along the reduction. */
static bool is_row(const CpuFn *f, const NestStage *s, const Affine *x)
{
    for (int l = 0; l < s->n_loop; l++)
        if (l >= f->nest->n_outer && !affine_is_coef(x, s->loop[l].last, 1)) return false;
    return !x->n_term && dim_is(x->base, 0);
}

bool cpu_makes_sums(const CpuFn *f, int i)
{
    const Nest *n = f->nest;
    const NestStage *s = &n->stage[i], *sum = s + 1;
    CpuFn own = {.m = f->m, .s = s}, next = {.m = f->m, .s = sum};
    bool found = false;
    size_t at = 0;
    const void *key;
    void *x;

    if (i + 1 >= n->kernel->n_stage || n->rows > 1 || !is_rows(n, s) || !is_rows(n, sum))
        return false;
    if (s->n_domain != n->n_outer + 1 || s->stage->n_acc || s->stage->n_out != 1) return false;
    if (!sum->lanes || sum->n_domain != n->n_outer || s->local == LOCAL_REGISTER) return false;
    if (s->loop[n->n_outer].extent != sum->loop[n->n_outer].extent) return false;
    if (!cpu_can_mask(&own) || !cpu_can_mask(&next)) return false;
    if (cpu_native_lanes(&own) != cpu_native_lanes(&next) || cpu_native_lanes(&own) < 2)
        return false;
    while (map_next(&sum->address, &at, &key, &x)) {
        const Sx *e = key;
        if (e->op != SX_LOAD || e->src != ~i) continue;
        if (found || e->guarded || !is_row(f, sum, x)) return false;
        found = true;
    }
    return found;
}

/* The points of the maker under all sub-vectors, stored, and as what the sum loads. Its values are
 * its own: indices of the two stages have other meanings. */
static void make_row(CpuFn *f)
{
    const NestStage *sum = f->s, *maker = f->maker;
    Map vals = f->vals, own;
    LLVMValueRef v[CPU_UNROLL];
    size_t at = 0;
    const void *key;
    void *x;

    if (!maker) return;
    map_init(&own, f->arena, false);
    f->vals = own;
    f->s = maker;
    cpu_restamp(f);
    for (int u = 0; u < f->active; u++)
        v[u] = cpu_vector(f, maker->value[0], u);
    for (int u = 0; u < f->active; u++)
        cpu_store(f, 0, v[u], u);
    f->s = sum;
    f->vals = vals;
    cpu_restamp(f);
    while (map_next(&sum->address, &at, &key, &x)) {
        const Sx *e = key;
        CpuVal *info;

        if (e->op != SX_LOAD || e->src != ~(int)(maker - f->nest->stage)) continue;
        info = cpu_info(f, e);
        for (int u = 0; u < f->active; u++)
            info->v[u] = v[u];
        info->level = info->depth;
    }
}

/* ---- In registers */

static void whole(CpuFn *f, LLVMValueRef to, LLVMValueRef *carry)
{
    int n = cpu_carry_count(f), floor = f->load_floor;
    CpuLoop loop = cpu_loop_open(f, cpu_i64(f->m, 0), to, LANES, n, carry);

    at_index(f, f->s->n_loop - 1, loop.index);
    for (int i = 0; i < n; i++)
        carry[i] = loop.carry[i];
    make_row(f);
    cpu_carry_add(f, carry);
    cpu_loop_close(f, &loop, carry);
    for (int i = 0; i < n; i++)
        carry[i] = loop.carry[i];
    f->load_floor = floor;
    cpu_restamp(f);
}

static void no_masks(CpuFn *f)
{
    for (int u = 0; u < CPU_UNROLL; u++)
        f->mask[u] = NULL;
    f->active = f->unroll;
}

/* The rest [from, K), K known: as many sub-vectors as it takes, the last one masked. */
static void rest_known(CpuFn *f, int64_t from, int64_t to, LLVMValueRef *carry)
{
    int64_t rest = to - from;
    int floor = f->load_floor;

    cpu_turn_open(f);
    at_index(f, f->s->n_loop - 1, cpu_i64(f->m, from));
    f->active = (int)((rest + f->lanes - 1) / f->lanes);
    cpu_at(f, f->level);
    if (rest % f->lanes) f->mask[f->active - 1] = cpu_lane_limit(f, cpu_i64(f->m, rest % f->lanes));
    make_row(f);
    cpu_carry_add(f, carry);
    no_masks(f);
    cpu_turn_close(f);
    f->load_floor = floor;
    cpu_restamp(f);
}

static void rest_open(CpuFn *f, LLVMValueRef from, LLVMValueRef to, LLVMValueRef *carry)
{
    int n = cpu_carry_count(f), floor = f->load_floor;
    CpuLoop loop = cpu_loop_open(f, from, to, LANES, n, carry);

    at_index(f, f->s->n_loop - 1, loop.index);
    cpu_at(f, f->level);
    for (int u = 0; u < f->unroll; u++) {
        LLVMValueRef at = LLVMBuildAdd(f->b, loop.index, lane_number(f, u), "");
        f->mask[u] = cpu_lane_limit(f, LLVMBuildSub(f->b, to, at, ""));
    }
    for (int i = 0; i < n; i++)
        carry[i] = loop.carry[i];
    make_row(f);
    cpu_carry_add(f, carry);
    no_masks(f);
    cpu_loop_close(f, &loop, carry);
    for (int i = 0; i < n; i++)
        carry[i] = loop.carry[i];
    f->load_floor = floor;
    cpu_restamp(f);
}

static void innermost(CpuFn *f, LLVMValueRef *carry)
{
    Dim extent = f->s->loop[f->s->n_loop - 1].extent;
    LLVMValueRef to = cpu_dim(f, extent), main_end;

    cpu_at(f, f->level);
    main_end = LLVMBuildAnd(f->b, to, cpu_i64(f->m, -(int64_t)LANES), "");
    if (!dim_is_const(extent) || extent->value >= LANES) whole(f, main_end, carry);
    if (dim_is_const(extent) && extent->value % LANES == 0) return;
    if (!cpu_can_mask(f)) {
        LLVMValueRef *b = buffers(f);
        spill(f, b, carry);
        buffer_loop(f, b, main_end, to);
        reload(f, b, carry);
    } else if (dim_is_const(extent)) {
        rest_known(f, extent->value / LANES * LANES, extent->value, carry);
    } else {
        rest_open(f, main_end, to, carry);
    }
}

/* Loops outside the innermost; `inner` does that one. */
static void outer_loops(CpuFn *f, int l, LLVMValueRef *carry, LLVMValueRef *buffer)
{
    int n = buffer ? 0 : cpu_carry_count(f), floor = f->load_floor;

    if (l == f->s->n_loop - 1) {
        if (buffer)
            buffer_loop(f, buffer, cpu_i64(f->m, 0), cpu_dim(f, f->s->loop[l].extent));
        else
            innermost(f, carry);
        return;
    }
    LLVMValueRef hi = cpu_dim(f, f->s->loop[l].extent);
    CpuLoop loop = cpu_loop_open(f, cpu_i64(f->m, 0), hi, 1, n, carry);
    at_index(f, l, loop.index);
    for (int i = 0; i < n; i++)
        carry[i] = loop.carry[i];
    outer_loops(f, l + 1, carry, buffer);
    cpu_loop_close(f, &loop, carry);
    for (int i = 0; i < n; i++)
        carry[i] = loop.carry[i];
    f->load_floor = floor;
    cpu_restamp(f);
}

/* ---- The tree */

static LLVMValueRef half_of(CpuFn *f, LLVMValueRef v, int lanes, bool high)
{
    LLVMValueRef pick[LANES];
    int half = lanes / 2;

    for (int i = 0; i < half; i++)
        pick[i] = cpu_i32(f->m, high ? half + i : i);
    if (half == 1) return LLVMBuildExtractElement(f->b, v, pick[0], "");
    return LLVMBuildShuffleVector(f->b, v, LLVMGetPoison(LLVMTypeOf(v)),
                                  LLVMConstVector(pick, (unsigned)half), "");
}

static LLVMValueRef fold(CpuFn *f, const Acc *x, LLVMValueRef *v)
{
    for (int half = f->unroll / 2; half; half /= 2)
        for (int i = 0; i < half; i++)
            v[i] = cpu_combine(f, x->monoid, x->dtype, v[i], v[i + half]);
    for (int lanes = f->lanes; lanes > 1; lanes /= 2)
        v[0] = cpu_combine(f, x->monoid, x->dtype, half_of(f, v[0], lanes, false),
                           half_of(f, v[0], lanes, true));
    return v[0];
}

static LLVMValueRef fold_buffer(CpuFn *f, const Acc *x, LLVMValueRef buffer)
{
    for (int half = LANES / 2; half; half /= 2) {
        CpuLoop loop = cpu_loop_open(f, cpu_i64(f->m, 0), cpu_i64(f->m, half), 1, 0, NULL);
        LLVMValueRef p, q, v;

        cpu_at(f, f->level);
        p = buffer_at(f, x->dtype, buffer, loop.index);
        q = buffer_at(f, x->dtype, buffer, LLVMBuildAdd(f->b, loop.index, cpu_i64(f->m, half), ""));
        v = cpu_combine(f, x->monoid, x->dtype, buffer_load(f, x->dtype, p, 1),
                        buffer_load(f, x->dtype, q, 1));
        buffer_store(f, x->dtype, v, p);
        cpu_loop_close(f, &loop, NULL);
    }
    cpu_at(f, f->level);
    return buffer_load(f, x->dtype, buffer_at(f, x->dtype, buffer, cpu_i64(f->m, 0)), 1);
}

static void fill_buffer(CpuFn *f, const Acc *x, LLVMValueRef buffer)
{
    CpuLoop loop = cpu_loop_open(f, cpu_i64(f->m, 0), cpu_i64(f->m, LANES), 1, 0, NULL);
    LLVMValueRef id = cpu_const(f->m, x->dtype, monoid_identity(x->monoid, x->dtype));

    cpu_at(f, f->level);
    buffer_store(f, x->dtype, id, buffer_at(f, x->dtype, buffer, loop.index));
    cpu_loop_close(f, &loop, NULL);
}

static void in_buffers(CpuFn *f, LLVMValueRef *result)
{
    const Stage *s = f->s->stage;
    LLVMValueRef *b = buffers(f);

    f->vec = -1;
    f->lanes = f->unroll = f->active = 1;
    for (int a = 0; a < s->n_acc; a++)
        fill_buffer(f, &s->acc[a], b[a]);
    outer_loops(f, f->s->n_domain, NULL, b);
    for (int a = 0; a < s->n_acc; a++)
        result[a] = fold_buffer(f, &s->acc[a], b[a]);
}

static void in_registers(CpuFn *f, LLVMValueRef *result)
{
    const Stage *s = f->s->stage;
    LLVMValueRef *carry;

    f->vec = f->s->n_loop - 1;
    f->lanes = cpu_native_lanes(f);
    f->unroll = f->active = LANES / f->lanes;
    f->acc_varies = true;
    carry = ARENA_ARRAY(f->arena, LLVMValueRef, cpu_carry_count(f));
    no_masks(f);
    cpu_carry_start(f, carry);
    outer_loops(f, f->s->n_domain, carry, NULL);
    cpu_at(f, f->level);
    for (int a = 0; a < s->n_acc; a++)
        result[a] = fold(f, &s->acc[a], carry + a * f->unroll);
}

void cpu_reduce_lanes(CpuFn *f)
{
    LLVMValueRef *result = ARENA_ARRAY(f->arena, LLVMValueRef, f->s->stage->n_acc);

    if (cpu_native_lanes(f) > 1)
        in_registers(f, result);
    else
        in_buffers(f, result);
    f->vec = -1;
    f->lanes = f->unroll = f->active = 1;
    f->acc_varies = false;
    cpu_carry_publish(f, result);
}
