/* cpu_reduce.c: reductions and scans in chain order: accumulators are carried through the loops in
 * registers, one for each sub-vector of domain points.
 *
 *     carry = for each accumulator: its values; a position's best value behind them; last of all
 * the number of the reduction point, when a position is asked for
 *
 * A reduction of a few points is written out instead of looped over, and so are the last loops of a
 * longer one where they have very few, of products: what its turns share is then found once. (The
 * windows of maxima lose by it.) Points that add
 * nothing, as the form of the bodies tells, are left out:
 *
 *     select(i < e, x, identity)        the loop of i ends at e */
#include "codegen/cpu/cpu_emit.h"

enum { UNROLL_POINTS = 16, UNROLL_LAST = 4, UNROLL_NODES = 600 };

static bool any_arg(const CpuFn *f)
{
    const Stage *s = f->s->stage;

    for (int a = 0; a < s->n_acc; a++) {
        if (nest_is_arg(s->acc[a].monoid)) return true;
    }
    return false;
}

static int parts(const CpuFn *f)
{
    return f->acc_varies ? f->unroll : 1;
}

int cpu_carry_count(const CpuFn *f)
{
    int n = 0;

    for (int a = 0; a < f->s->stage->n_acc; a++)
        n += parts(f) * (nest_is_arg(f->s->stage->acc[a].monoid) ? 2 : 1);
    return n + any_arg(f);
}

static int acc_lanes(const CpuFn *f)
{
    return f->acc_varies ? f->lanes : 1;
}

void cpu_carry_start(CpuFn *f, LLVMValueRef *carry)
{
    const Stage *s = f->s->stage;
    int n = 0;

    for (int a = 0; a < s->n_acc; a++) {
        const Acc *x = &s->acc[a];
        LLVMValueRef id = nest_is_arg(x->monoid)
                              ? cpu_i64(f->m, 0)
                              : cpu_const(f->m, x->dtype, monoid_identity(x->monoid, x->dtype));
        for (int u = 0; u < parts(f); u++)
            carry[n++] = cpu_splat_const(id, acc_lanes(f));
        if (!nest_is_arg(x->monoid)) continue;
        id = cpu_const(f->m, x->body->dtype, 0);
        for (int u = 0; u < parts(f); u++)
            carry[n++] = cpu_splat_const(id, acc_lanes(f));
    }
    if (any_arg(f)) carry[n] = cpu_i64(f->m, 0);
}

static LLVMValueRef body_value(CpuFn *f, const Sx *e, int u)
{
    return f->acc_varies ? cpu_vector(f, e, u) : cpu_value(f, e, 0);
}

/* Whether v takes the place of best; see beats() in the reference. */
static LLVMValueRef beats(CpuFn *f, const Acc *x, LLVMValueRef best, LLVMValueRef v)
{
    DType d = x->body->dtype;
    bool last = x->monoid == MONOID_ARGMIN_LAST || x->monoid == MONOID_ARGMAX_LAST;
    bool least = x->monoid == MONOID_ARGMIN_FIRST || x->monoid == MONOID_ARGMIN_LAST;
    SxOp op = last ? SX_LE : SX_LT;
    LLVMValueRef better = least ? cpu_compare(f, op, d, v, best) : cpu_compare(f, op, d, best, v);
    LLVMValueRef nan, number;

    if (d != DT_F32 && d != DT_F64) return better;
    nan = cpu_compare(f, SX_NE, d, v, v);
    if (!last) {
        number = cpu_compare(f, SX_EQ, d, best, best);
        nan = LLVMBuildAnd(f->b, nan, number, "");
    }
    return LLVMBuildOr(f->b, better, nan, "");
}

static void add_arg(CpuFn *f, const Acc *x, LLVMValueRef *index, LLVMValueRef *best,
                    LLVMValueRef point, int u)
{
    LLVMValueRef v = body_value(f, x->body, u), take, first;

    cpu_at(f, f->level);
    first = LLVMBuildICmp(f->b, LLVMIntEQ, point, cpu_i64(f->m, 0), "");
    take = beats(f, x, *best, v);
    take = LLVMBuildOr(f->b, take, cpu_splat(f, first, acc_lanes(f)), "");
    *index = LLVMBuildSelect(f->b, take, cpu_splat(f, point, acc_lanes(f)), *index, "");
    *best = LLVMBuildSelect(f->b, take, v, *best, "");
}

static LLVMValueRef add_value(CpuFn *f, const Acc *x, LLVMValueRef acc, int u)
{
    LLVMValueRef v = body_value(f, x->body, u), r;
    bool lanes = f->vec >= f->s->n_domain; /* lanes that are off must keep their sum */

    if (x->monoid == MONOID_DOT) {
        LLVMValueRef w = body_value(f, x->body2, u);
        cpu_at(f, f->level);
        r = cpu_fma(f, x->dtype, v, w, acc);
    } else {
        cpu_at(f, f->level);
        r = cpu_combine(f, x->monoid, x->dtype, acc, v);
    }
    return lanes && f->mask[u] ? LLVMBuildSelect(f->b, f->mask[u], r, acc, "") : r;
}

void cpu_carry_add(CpuFn *f, LLVMValueRef *carry)
{
    const Stage *s = f->s->stage;
    int n = 0, own = parts(f), active = f->acc_varies ? f->active : 1;
    int count = cpu_carry_count(f);

    for (int a = 0; a < s->n_acc; a++) {
        bool arg = nest_is_arg(s->acc[a].monoid);
        for (int u = 0; u < active; u++) {
            if (arg)
                add_arg(f, &s->acc[a], &carry[n + u], &carry[n + own + u], carry[count - 1], u);
            else
                carry[n + u] = add_value(f, &s->acc[a], carry[n + u], u);
        }
        n += own * (arg ? 2 : 1);
    }
    if (!any_arg(f)) return;
    cpu_at(f, f->level);
    carry[n] = LLVMBuildAdd(f->b, carry[n], cpu_i64(f->m, 1), "");
}

void cpu_carry_publish(CpuFn *f, LLVMValueRef *carry)
{
    const Stage *s = f->s->stage;
    int n = 0;

    for (int a = 0; a < s->n_acc; a++) {
        for (int u = 0; u < parts(f); u++)
            f->acc[a * CPU_UNROLL + u] = carry[n + u];
        n += parts(f) * (nest_is_arg(s->acc[a].monoid) ? 2 : 1);
    }
    f->acc_level = f->level;
    cpu_restamp(f);
}

/* ---- Reduction loops */

/* The loops from l on are written out. */
static bool write_out(const CpuFn *f, int l)
{
    bool dot = f->s->stage->n_acc == 1 && f->s->stage->acc[0].monoid == MONOID_DOT;
    int64_t points = 1, most = l == f->s->n_domain ? UNROLL_POINTS : dot ? UNROLL_LAST : 0;

    for (; l < f->s->n_loop; l++) {
        Dim e = f->s->loop[l].extent;
        if (!dim_is_const(e) || e->value < 1 || e->value > most) return false;
        points *= e->value;
        if (points > most) return false;
    }
    return points * f->s->n_node * f->unroll <= UNROLL_NODES;
}

static void at_point(CpuFn *f, int l, LLVMValueRef index)
{
    f->loop_value[l] = index;
    f->loop_level[l] = f->level;
    if (f->s->loop[l].extent->lo < 1) f->load_floor = f->level;
    cpu_restamp(f);
}

/* What `condition` says is above index k, of all conjunctions the first; NULL: it says nothing. */
static const Sx *bound_of(const Sx *condition, int k)
{
    const Sx *e;

    if (condition->op == SX_AND) {
        e = bound_of(condition->arg[0], k);
        return e ? e : bound_of(condition->arg[1], k);
    }
    if (condition->op != SX_LT || condition->arg[0]->op != SX_INDEX) return NULL;
    return condition->arg[0]->index == k ? condition->arg[1] : NULL;
}

/* Known before loop l begins, and one for all lanes. */
static bool is_known_at(CpuFn *f, const Sx *e, int l)
{
    for (; l < f->s->n_loop; l++)
        if (sx_uses_index(&f->nest->module->sx, e, f->s->loop[l].last)) return false;
    return !cpu_varies(f, e);
}

/* From this point of loop l on all bodies are identities; NULL: there is no such point. A sum that
 * starts from +0 is never -0, so that adding +0 changes nothing. */
static const Sx *end_of(CpuFn *f, int l)
{
    const Stage *s = f->s->stage;
    const Sx *end = NULL;

    for (int a = 0; a < s->n_acc; a++) {
        const Sx *x = s->acc[a].body, *e;
        Monoid m = s->acc[a].monoid;

        if (m == MONOID_DOT || nest_is_arg(m) || x->op != SX_SELECT) return NULL;
        if (x->arg[2]->op != SX_CONST || x->arg[2]->bits != monoid_identity(m, x->dtype))
            return NULL;
        e = bound_of(x->arg[0], f->s->loop[l].last);
        if (!e || (end && e != end) || !is_known_at(f, e, l)) return NULL;
        end = e;
    }
    return end;
}

static LLVMValueRef loop_end(CpuFn *f, int l)
{
    LLVMValueRef extent = cpu_dim(f, f->s->loop[l].extent), end;
    const Sx *e = end_of(f, l);

    if (!e) return extent;
    end = cpu_value(f, e, 0);
    cpu_at(f, f->level);
    return cpu_call2(f, "llvm.smin", extent, end);
}

static void reduce_from(CpuFn *f, int l, LLVMValueRef *carry, bool out)
{
    int n = cpu_carry_count(f), floor = f->load_floor;

    if (l == f->s->n_loop) {
        cpu_carry_add(f, carry);
        return;
    }
    if (out || write_out(f, l)) {
        for (int64_t i = 0; i < f->s->loop[l].extent->value; i++) {
            cpu_turn_open(f);
            at_point(f, l, cpu_i64(f->m, i));
            reduce_from(f, l + 1, carry, true);
            cpu_turn_close(f);
        }
    } else {
        CpuLoop loop = cpu_loop_open(f, cpu_i64(f->m, 0), loop_end(f, l), 1, n, carry);
        at_point(f, l, loop.index);
        for (int i = 0; i < n; i++)
            carry[i] = loop.carry[i];
        reduce_from(f, l + 1, carry, false);
        cpu_loop_close(f, &loop, carry);
        for (int i = 0; i < n; i++)
            carry[i] = loop.carry[i];
    }
    f->load_floor = floor;
}

static bool bodies_vary(CpuFn *f)
{
    bool varies = false;

    for (int l = f->s->n_domain; l < f->s->n_loop; l++)
        f->loop_level[l] = f->level;
    cpu_restamp(f);
    for (int a = 0; a < f->s->stage->n_acc; a++) {
        const Acc *x = &f->s->stage->acc[a];
        varies = varies || cpu_varies(f, x->body) || (x->body2 && cpu_varies(f, x->body2));
    }
    return varies;
}

void cpu_reduce(CpuFn *f)
{
    LLVMValueRef *carry;

    f->acc_varies = bodies_vary(f);
    carry = ARENA_ARRAY(f->arena, LLVMValueRef, cpu_carry_count(f));
    cpu_carry_start(f, carry);
    reduce_from(f, f->s->n_domain, carry, false);
    cpu_carry_publish(f, carry);
}
