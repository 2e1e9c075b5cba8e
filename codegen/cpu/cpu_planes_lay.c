/* cpu_planes_lay.c: a block of a plane into scratch, zeros where the window reaches beyond it.
 *
 * The stage PLANES_X gives x without its guard: which lines and which columns of the block are
 * there is worked out once for a task. Places along a line are those of the window, column * step +
 * tap, counted from the block's first column; vectors of `step` times as many places are loaded and
 * taken apart into phases. */
#include "codegen/cpu/cpu_planes_impl.h"

typedef struct Lay {
    PlanesTask *t;
    int lanes, step;
    int along;             /* the index that places are points of */
    LLVMValueRef from, to; /* places that are there */
    LLVMValueRef line;     /* where it goes */
    LLVMValueRef whole_from,
        whole_to; /* columns of whole vectors; less than one is before and behind */
    LLVMValueRef begins[PLANES_STEPS], ends[PLANES_STEPS]; /* masks of these */
    bool has_ends;
} Lay;

static bool known(LLVMValueRef v, int64_t *n)
{
    if (!LLVMIsAConstantInt(v)) return false;
    *n = LLVMConstIntGetSExtValue(v);
    return true;
}

static LLVMValueRef most(CpuFn *f, LLVMValueRef a, LLVMValueRef b)
{
    int64_t x, y;

    if (known(a, &x) && known(b, &y)) return x > y ? a : b;
    return cpu_call2(f, "llvm.smax", a, b);
}

static LLVMValueRef least(CpuFn *f, LLVMValueRef a, LLVMValueRef b)
{
    int64_t x, y;

    if (known(a, &x) && known(b, &y)) return x < y ? a : b;
    return cpu_call2(f, "llvm.smin", a, b);
}

static LLVMValueRef times(CpuFn *f, LLVMValueRef v, int64_t by)
{
    return LLVMBuildMul(f->b, v, cpu_i64(f->m, by), "");
}

/* Which of n places from first * step on are there: [*from, *to). */
static void bounds(Lay *y, const PlaneAxis *a, LLVMValueRef first, LLVMValueRef n,
                   LLVMValueRef *from, LLVMValueRef *to)
{
    CpuFn *f = y->t->f;
    LLVMValueRef zero = cpu_i64(f->m, 0), end = a->end ? cpu_dim(f, a->end) : NULL;
    LLVMValueRef before = cpu_i64(f->m, a->before);

    cpu_at(f, f->level);
    first = times(f, first, a->step);
    *from = zero;
    *to = n;
    if (a->low) {
        *from = most(f, LLVMBuildSub(f->b, before, first, ""), zero);
        *from = least(f, *from, n);
    }
    if (end) {
        end = LLVMBuildSub(f->b, LLVMBuildAdd(f->b, end, before, ""), first, "");
        *to = most(f, least(f, end, n), *from);
    }
}

/* Columns that tiles read, of each phase. */
static int64_t columns_read(const PlanesTask *t)
{
    int64_t whole = (t->p->block_columns + t->lanes - 1) / t->lanes * t->lanes;

    return whole + planes_beyond(&t->p->form.column);
}

static void store(Lay *y, int phase, LLVMValueRef column, LLVMValueRef v)
{
    CpuFn *f = y->t->f;
    LLVMValueRef at = LLVMBuildAdd(f->b, column, cpu_i64(f->m, phase * y->t->p->pitch), "");

    LLVMSetAlignment(LLVMBuildStore(f->b, v, planes_element(f, y->line, at)), 4);
}

/* Columns of all phases; may go on behind `to`, for less than a vector. */
static void zeros(Lay *y, LLVMValueRef from, LLVMValueRef to)
{
    CpuFn *f = y->t->f;
    int64_t a, b;
    CpuLoop l;

    if (known(from, &a) && known(to, &b) && a >= b) return;
    l = cpu_loop_open(f, from, to, y->lanes, 0, NULL);
    cpu_at(f, f->level);
    for (int i = 0; i < y->t->p->phases; i++)
        store(y, i, l.index, LLVMConstNull(cpu_lanes_type(f->m->f32, y->lanes)));
    cpu_loop_close(f, &l, NULL);
}

/* x at the lanes from `place` on. */
static LLVMValueRef places(Lay *y, LLVMValueRef place, int lanes, LLVMValueRef mask)
{
    CpuFn *f = y->t->f;
    LLVMValueRef v;

    cpu_turn_open(f);
    f->vec = lanes > 1 ? f->s->loop_of[y->along] : -1;
    f->lanes = lanes;
    f->mask[0] = mask;
    cpu_at(f, f->level);
    if (y->step == 1) place = LLVMBuildAdd(f->b, y->t->column, place, "");
    planes_at(f, y->along, place);
    v = lanes > 1 ? cpu_vector(f, f->s->value[0], 0) : cpu_value(f, f->s->value[0], 0);
    f->mask[0] = NULL;
    f->vec = -1;
    f->lanes = 1;
    cpu_turn_close(f);
    cpu_at(f, f->level);
    return v;
}

/* Every step-th lane of the vectors, from `phase` on. */
static LLVMValueRef taken_apart(Lay *y, const LLVMValueRef *v, int phase)
{
    CpuFn *f = y->t->f;
    LLVMValueRef r = v[0], pick[64];

    if (y->step == 1) return r;
    for (int k = 0; k < y->step; k++) {
        for (int i = 0; i < y->lanes; i++) {
            int e = i * y->step + phase - k * y->lanes;
            bool here = e >= 0 && e < y->lanes;
            pick[i] = cpu_i32(f->m, k == 0 ? (here ? e : 0) : here ? y->lanes + e : i);
        }
        r = LLVMBuildShuffleVector(f->b, r, v[k], LLVMConstVector(pick, (unsigned)y->lanes), "");
    }
    return r;
}

/* A vector of columns, of all phases. */
static void some(Lay *y, LLVMValueRef column, const LLVMValueRef *mask)
{
    CpuFn *f = y->t->f;
    LLVMValueRef v[PLANES_STEPS], place;

    for (int k = 0; k < y->step; k++) {
        cpu_at(f, f->level);
        place = LLVMBuildAdd(f->b, times(f, column, y->step), cpu_i64(f->m, k * y->lanes), "");
        v[k] = places(y, place, y->lanes, mask ? mask[k] : NULL);
    }
    for (int i = 0; i < y->t->p->phases; i++)
        store(y, i, column, taken_apart(y, v, i));
}

static void whole_vectors(Lay *y, LLVMValueRef from, LLVMValueRef to)
{
    enum { FEW = 8 };
    CpuFn *f = y->t->f;
    int64_t a, b;
    CpuLoop l;

    if (known(from, &a) && known(to, &b) && (b - a) / y->lanes <= FEW) {
        for (; a < b; a += y->lanes)
            some(y, cpu_i64(f->m, a), NULL);
        return;
    }
    l = cpu_loop_open(f, from, to, y->lanes, 0, NULL);
    some(y, l.index, NULL);
    cpu_loop_close(f, &l, NULL);
}

/* One place after the other, where there are no masks. */
static void plain_line(Lay *y)
{
    CpuFn *f = y->t->f;
    LLVMValueRef step = cpu_i64(f->m, y->step), v, at;
    CpuLoop l;

    zeros(y, cpu_i64(f->m, 0), cpu_i64(f->m, columns_read(y->t)));
    l = cpu_loop_open(f, y->from, y->to, 1, 0, NULL);
    v = places(y, l.index, 1, NULL);
    at = times(f, LLVMBuildURem(f->b, l.index, step, ""), y->t->p->pitch);
    at = LLVMBuildAdd(f->b, at, LLVMBuildUDiv(f->b, l.index, step, ""), "");
    store(y, 0, at, v);
    cpu_loop_close(f, &l, NULL);
}

/* The places of vector k of a group of columns that are there. */
static LLVMValueRef places_mask(Lay *y, LLVMValueRef column, int k)
{
    CpuFn *f = y->t->f;
    LLVMValueRef mask, before, at = times(f, column, y->step);
    int64_t from;

    at = LLVMBuildAdd(f->b, at, cpu_i64(f->m, k * y->lanes), "");
    f->lanes = y->lanes;
    mask = cpu_lane_limit(f, LLVMBuildSub(f->b, y->to, at, ""));
    if (!known(y->from, &from) || from > 0) {
        before = cpu_lane_limit(f, LLVMBuildSub(f->b, y->from, at, ""));
        mask = LLVMBuildAnd(f->b, mask, LLVMBuildNot(f->b, before, ""), "");
    }
    f->lanes = 1;
    return mask;
}

/* The column, a multiple of the lanes, whose vectors hold place v. */
static LLVMValueRef group_of(Lay *y, LLVMValueRef v)
{
    CpuFn *f = y->t->f;

    v = LLVMBuildUDiv(f->b, v, cpu_i64(f->m, y->step * y->lanes), "");
    return times(f, v, y->lanes);
}

static void find_parts(Lay *y)
{
    CpuFn *f = y->t->f;
    LLVMValueRef first;
    int64_t last, to;

    cpu_at(f, f->level);
    first = group_of(y, y->from);
    y->whole_from = LLVMBuildAdd(f->b, first, cpu_i64(f->m, y->lanes), "");
    y->whole_to = most(f, group_of(y, y->to), y->whole_from);
    y->has_ends = !known(y->whole_to, &last) || !known(y->to, &to) || last * y->step < to;
    for (int k = 0; k < y->step; k++) {
        y->begins[k] = places_mask(y, first, k);
        if (y->has_ends) y->ends[k] = places_mask(y, y->whole_to, k);
    }
}

static void line(Lay *y)
{
    CpuFn *f = y->t->f;
    LLVMValueRef unit = cpu_i64(f->m, y->lanes), first, end = y->whole_to;

    cpu_at(f, f->level);
    first = LLVMBuildSub(f->b, y->whole_from, unit, "");
    zeros(y, cpu_i64(f->m, 0), first);
    some(y, first, y->begins);
    whole_vectors(y, y->whole_from, y->whole_to);
    if (y->has_ends) {
        some(y, y->whole_to, y->ends);
        cpu_at(f, f->level);
        end = LLVMBuildAdd(f->b, y->whole_to, unit, "");
    }
    zeros(y, end, cpu_i64(f->m, columns_read(y->t)));
}

/* x stands at line `k` of the block. */
static void place_line(Lay *y, LLVMValueRef k)
{
    CpuFn *f = y->t->f;
    const PlaneAxis *a = &y->t->p->form.row;
    LLVMValueRef step = cpu_i64(f->m, a->step), row = k;

    if (a->out < 0) return;
    cpu_at(f, f->level);
    if (a->step > 1) {
        planes_at(f, a->tap, LLVMBuildURem(f->b, k, step, ""));
        cpu_at(f, f->level);
        row = LLVMBuildUDiv(f->b, k, step, "");
    }
    planes_at(f, a->out, LLVMBuildAdd(f->b, y->t->row, row, ""));
}

static void lines(Lay *y, LLVMValueRef from, LLVMValueRef to, bool there, bool masks)
{
    CpuFn *f = y->t->f;
    const CpuPlanes *p = y->t->p;
    int64_t a, b;
    CpuLoop l;

    if (known(from, &a) && known(to, &b) && a >= b) return;
    l = cpu_loop_open(f, from, to, 1, 0, NULL);
    place_line(y, l.index);
    cpu_at(f, f->level);
    y->line = planes_element(f, f->scratch, times(f, l.index, p->phases * p->pitch));
    if (!there)
        zeros(y, cpu_i64(f->m, 0), cpu_i64(f->m, columns_read(y->t)));
    else
        (masks ? line : plain_line)(y);
    cpu_loop_close(f, &l, NULL);
}

/* Lines that the task's rows read. */
static LLVMValueRef line_count(PlanesTask *t)
{
    CpuFn *f = t->f;
    const PlaneAxis *a = &t->p->form.row;
    LLVMValueRef n = times(f, LLVMBuildSub(f->b, t->rows, cpu_i64(f->m, 1), ""), a->step);

    return LLVMBuildAdd(f->b, n, cpu_i64(f->m, (a->taps - 1) * a->dilation + 1), "");
}

void planes_lay(PlanesTask *t)
{
    CpuFn *f = t->f;
    const CpuPlanes *p = t->p;
    const PlaneAxis *c = &p->form.column;
    Lay y = {.t = t, .lanes = f->m->isa->vector_bytes / 4, .step = (int)c->step};
    LLVMValueRef n, from, to, wide = cpu_i64(f->m, columns_read(t) * c->step);
    bool masks;

    planes_stage(t, PLANES_X);
    masks = cpu_can_mask(f) && y.lanes > 1;
    y.along = c->step > 1 ? c->tap : c->out;
    cpu_at(f, f->level);
    n = times(f, LLVMBuildSub(f->b, t->columns, cpu_i64(f->m, 1), ""), c->step);
    n = LLVMBuildAdd(f->b, n, cpu_i64(f->m, (c->taps - 1) * c->dilation + 1), "");
    bounds(&y, c, t->column, least(f, n, wide), &y.from, &y.to);
    if (c->step > 1) planes_at(f, c->out, t->column);
    if (masks) find_parts(&y);
    cpu_at(f, f->level);
    n = line_count(t);
    bounds(&y, &p->form.row, t->row, n, &from, &to);
    lines(&y, cpu_i64(f->m, 0), from, false, masks);
    lines(&y, from, to, true, masks);
    lines(&y, to, n, false, masks);
}
