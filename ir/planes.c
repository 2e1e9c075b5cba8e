/* planes.c: see planes.h. */
#include "ir/planes.h"

enum { MOST_STEP = 4 }; /* along columns */

static Dim extent_of(const Stage *s, int i)
{
    return i < s->rank ? s->extent[i] : s->reduce[i - s->rank];
}

static uint32_t indices_of(SxTable *t, const Stage *s, const Sx *e)
{
    uint32_t mask = 0;

    for (int i = 0; i < s->rank + s->n_reduce; i++)
        mask |= (uint32_t)(sx_uses_index(t, e, i) && !dim_is(extent_of(s, i), 1)) << i;
    return mask;
}

/* e = coef * index i + *rest with a constant coef. */
static bool take_index(SxTable *t, const Sx *e, int i, int64_t *coef, const Sx **rest)
{
    const Sx *stride;

    if (!sx_linear(t, e, i, &stride, rest) || stride->op != SX_CONST) return false;
    *coef = (int64_t)stride->bits;
    return *coef > 0;
}

/* position = out * step + tap * dilation - before, of one index each. */
static bool axis_of(SxTable *t, const Stage *s, const Sx *position, int out, PlaneAxis *a)
{
    const Sx *rest = position;

    *a = (PlaneAxis){.out = out, .tap = -1, .step = 1, .dilation = 1, .taps = 1};
    for (int i = s->rank; i < s->rank + s->n_reduce; i++) {
        if (dim_is(extent_of(s, i), 1) || !sx_uses_index(t, rest, i)) continue;
        if (a->tap >= 0 || !dim_is_const(extent_of(s, i))) return false;
        if (!take_index(t, rest, i, &a->dilation, &rest)) return false;
        a->tap = i;
        a->taps = extent_of(s, i)->value;
    }
    if (!take_index(t, rest, out, &a->step, &rest)) return false;
    for (int i = s->rank; i < s->rank + s->n_reduce; i++) { /* those of one point are 0 */
        int64_t coef;
        if (sx_uses_index(t, rest, i) && !take_index(t, rest, i, &coef, &rest)) return false;
    }
    if (rest->op != SX_CONST || a->taps < 1) return false;
    a->before = -(int64_t)rest->bits;
    return a->step == 1 || (a->dilation == 1 && a->tap >= 0);
}

/* The axis's operand index, in data->arg. */
static bool find_rows(SxTable *t, const Stage *s, const Planes *p, int n, PlaneAxis *rows, int *at)
{
    uint32_t weights = indices_of(t, s, p->weight);
    int h = -1;

    for (int i = 0; i < n - 1; i++) {
        uint32_t uses = indices_of(t, s, p->load->arg[i]);
        if (!(uses >> s->rank)) continue;
        if (*at >= 0) return false; /* taps of three axes */
        *at = i;
    }
    for (int i = s->rank - 2; i >= 0 && h < 0; i--) {
        if (*at >= 0 ? !sx_uses_index(t, p->load->arg[*at], i)
                     : dim_is(s->extent[i], 1) || weights >> i & 1)
            continue;
        h = i;
    }
    if (*at < 0 && h < 0) return true; /* none */
    for (int i = 0; i < n && *at < 0; i++)
        if (sx_uses_index(t, p->load->arg[i], h)) *at = i;
    if (h < 0 || *at < 0 || *at == n - 1 || weights >> h & 1) return false;
    for (int i = 0; i < n; i++)
        if (i != *at && sx_uses_index(t, p->load->arg[i], h)) return false;
    return axis_of(t, s, p->load->arg[*at], h, rows);
}

static Dim bound_of(SxTable *t, const Sx *e)
{
    return e->op == SX_DIM     ? e->dim
           : e->op == SX_CONST ? dim_const(t->dims, (int64_t)e->bits)
                               : NULL;
}

/* 0 <= position and position < end, of these two axes and no more. */
static bool note_guard(SxTable *t, const Sx *g, const Sx *const position[2],
                       PlaneAxis *const axis[2])
{
    if (g->op == SX_AND)
        return note_guard(t, g->arg[0], position, axis) && note_guard(t, g->arg[1], position, axis);
    for (int i = 0; i < 2; i++) {
        if (!position[i]) continue;
        if (g->op == SX_LE && g->arg[1] == position[i] && g->arg[0]->op == SX_CONST &&
            g->arg[0]->bits == 0) {
            axis[i]->low = true;
            return true;
        }
        if (g->op == SX_LT && g->arg[0] == position[i] && !axis[i]->end) {
            axis[i]->end = bound_of(t, g->arg[1]);
            return axis[i]->end != NULL;
        }
    }
    return false;
}

static bool stage_taken(const Stage *s)
{
    if (s->n_acc != 1 || s->acc[0].monoid != MONOID_DOT || s->acc[0].dtype != DT_F32) return false;
    if (s->order != ORDER_CHAIN || s->scan_axis >= 0 || s->rank < 2) return false;
    if (dim_is(s->extent[s->rank - 1], 1)) return false;
    for (int j = 0; j < s->n_out; j++)
        if (s->out[j].dst) return false;
    return true;
}

bool kernel_planes(SxTable *t, const Stage *s, Planes *p)
{
    int w = s->rank - 1, n, row_at = -1;
    uint32_t data, weight, taps;

    *p = (Planes){.row = {.out = -1, .tap = -1, .step = 1, .dilation = 1, .taps = 1}};
    if (!stage_taken(s)) return false;
    p->load = s->acc[0].body;
    p->weight = s->acc[0].body2;
    if (sx_uses_index(t, p->weight, w)) {
        p->load = s->acc[0].body2;
        p->weight = s->acc[0].body;
    }
    if (sx_uses_index(t, p->weight, w) || !sx_uses_index(t, p->load, w)) return false;
    if (p->load->op != SX_LOAD || p->load->src < 0 || p->load->flat) return false;
    data = indices_of(t, s, p->load);
    weight = indices_of(t, s, p->weight);
    n = p->load->n - (p->load->guarded ? 1 : 0);
    if (n < 2 || (weight & ~data)) return false; /* features of its own: a product */
    for (int i = 0; i < n - 1; i++)
        if (sx_uses_index(t, p->load->arg[i], w)) return false;
    if (!axis_of(t, s, p->load->arg[n - 1], w, &p->column)) return false;
    if (p->column.step > MOST_STEP) return false;
    if (!find_rows(t, s, p, n, &p->row, &row_at)) return false;
    taps = (data | weight) >> s->rank;
    if (p->row.tap >= 0) taps &= ~(1u << (p->row.tap - s->rank));
    if (p->column.tap >= 0) taps &= ~(1u << (p->column.tap - s->rank));
    if (taps) return false;
    for (int i = 0; i < s->n_reduce; i++)
        if (dim_is(s->reduce[i], 0)) return false;
    const Sx *position[] = {row_at >= 0 ? p->load->arg[row_at] : NULL, p->load->arg[n - 1]};
    PlaneAxis *const axis[] = {&p->row, &p->column};
    return !p->load->guarded || note_guard(t, p->load->arg[n], position, axis);
}
