/* layout_rows.c: a kernel of several stages over rows, where what is innermost in memory is no part
 * of a row, or a small one: normalisations of planes, or of groups of channels, in channels last.
 *
 *     x [n,h,w,g,c], rows of (c,h,w)       one kernel, outer (n,g): each row lies in many pieces
 *
 *     lines of each (n,h,g,c): sum over w, and sum of squares about the line's mean
 *     mean, deviation of each (n,g):       from those of its lines, over h, then over c
 *     the result at (n,h,w,g,c):           a map, which joins what reads it
 *
 * Memory is read once for the statistics, line after line, and once for the map. A variance is
 * found by its form, the sum of squares of what is left of the mean; other statistics read memory
 * once each. Sums are chains along w, along h, and along c in 64 lanes; which axes these are
 * follows from the order of the axes alone.
 *
 * The statistics of a group stand once for each of its innermost elements (c above): the map then
 * reads them in vectors. */
#include "passes/layout_rows.h"

#include <string.h>

enum { MOST_STATS = 4 };

/* The axes of x and of the operand as the kernel sees it, as products of finer ones; these in the
 * order of memory. */
typedef struct Fine {
    Dim dim;
    int of_x, of_row;  /* logical axis of x, axis of the operand */
    bool outer;        /* else within a row: */
    bool inner, along; /* the innermost; along a line; else from line to line */
} Fine;

typedef struct Rows {
    LayoutRows *to;
    Node *n;
    const Kernel *k;
    Build b;
    SxTable *t;
    int rank, n_x; /* axes of the operand, of x */
    int n_fine;
    Fine fine[MAX_RANK];
    int lines; /* axes from line to line: one or none */
    int n_along;
    bool inner; /* the innermost axis belongs to rows */
    Value *x;   /* with fine dims */
    Value *stat[MOST_STATS];
    int n_stat;
    Value *line_sum, *line_square; /* of stage mean */
    int mean;                      /* stage that is a mean of x, or -1 */
} Rows;

/* ---- axes ---- */

void layout_logical(const Value *v, const Order *order, Dim *dims)
{
    for (int i = 0; i < v->type.rank; i++)
        dims[order ? order->axis[i] : i] = v->type.dim[i];
}

static void add_fine(Rows *r, Fine *f, Dim dim, int of_x, int of_row)
{
    if (r->n_fine < MAX_RANK) f[r->n_fine] = (Fine){.dim = dim, .of_x = of_x, .of_row = of_row};
    r->n_fine++;
}

/* Whether a and the dims behind it make `whole`: how many of them. 0: they do not. */
static int dims_behind(DimTable *t, Dim a, int n, const Dim *dim, Dim whole)
{
    for (int k = 0; k < n; k++) {
        a = dim_mul(t, a, dim[k]);
        if (dim_equal(a, whole)) return k + 1;
    }
    return 0;
}

static bool divides(Dim a, Dim b)
{
    return dim_is_const(a) && dim_is_const(b) && a->value > 0 && b->value % a->value == 0;
}

/* The coarsest dims of which both x's and the operand's are products, in logical order. */
static bool refine(Rows *r, const Dim *x, const Dim *row, Fine *f)
{
    DimTable *t = r->b.dims;
    int i = 0, j = 0, k;
    Dim a = r->n_x ? x[0] : NULL, b = r->rank ? row[0] : NULL;

    while (i < r->n_x && j < r->rank) {
        if (dim_equal(a, b)) {
            add_fine(r, f, a, i++, j++);
            a = i < r->n_x ? x[i] : NULL;
            b = j < r->rank ? row[j] : NULL;
        } else if ((k = dims_behind(t, a, r->n_x - i - 1, x + i + 1, b))) {
            add_fine(r, f, a, i++, j);
            for (; k > 0; k--, i++)
                add_fine(r, f, x[i], i, j);
            a = i < r->n_x ? x[i] : NULL;
            b = ++j < r->rank ? row[j] : NULL;
        } else if (divides(b, a)) {
            add_fine(r, f, b, i, j++);
            a = dim_const(t, a->value / b->value);
            b = j < r->rank ? row[j] : NULL;
        } else {
            return false;
        }
    }
    return i == r->n_x && j == r->rank && r->n_fine <= MAX_RANK;
}

/* A statistic of a row has either all of an axis of x, or nothing of it. */
static bool whole_axes(const Rows *r)
{
    for (int i = 0; i < r->n_fine; i++)
        for (int j = 0; j < i; j++)
            if (r->fine[i].of_x == r->fine[j].of_x &&
                (r->fine[i].outer || r->fine[i].inner) != (r->fine[j].outer || r->fine[j].inner))
                return false;
    return true;
}

/* In the order of memory; and what each axis is to a row. */
static bool find_axes(Rows *r, const Value *operand)
{
    const Order *o = r->to->order;
    Dim x[MAX_RANK], row[MAX_RANK];
    Fine f[MAX_RANK];
    int n = 0, last, line = -1;

    layout_logical(r->to->x, o, x);
    layout_logical(operand, operand == r->to->x ? o : r->to->row_order, row);
    if (!refine(r, x, row, f)) return false;
    for (int p = 0; p < o->n; p++)
        for (int i = 0; i < r->n_fine; i++)
            if (f[i].of_x == o->axis[p]) r->fine[n++] = f[i];
    last = n - 1;
    for (int p = 0; p < n; p++) {
        r->fine[p].outer = r->fine[p].of_row < r->k->n_outer;
        if (r->fine[p].outer) continue;
        if (p == last)
            r->fine[p].inner = r->inner = true;
        else if (line < 0)
            line = p;
        else
            r->fine[p].along = true, r->n_along++;
    }
    if (line < 0 || !whole_axes(r)) return false;
    if (r->n_along)
        r->lines = 1;
    else
        r->fine[line].along = true, r->n_along = 1;
    return true;
}

/* ---- the form of the kernel ---- */

typedef struct Form {
    const Rows *r;
    bool map; /* else a statistic */
    bool yes;
} Form;

static bool is_index(const Sx *e, int k)
{
    return e->op == SX_INDEX && e->index == k;
}

static bool is_zero(const Sx *e)
{
    return e->op == SX_CONST && e->bits == 0;
}

/* The operand at the point of the stage, or a statistic of its row; no more in a statistic. */
static void check_load(void *context, const Sx *e)
{
    Form *f = context;
    const Rows *r = f->r;

    if (e->op == SX_CHECK) f->yes = false;
    if (e->op != SX_LOAD || (e->src >= 0 && e->src != r->to->src && f->map)) return;
    if (e->guarded || e->flat || e->n != r->rank || (e->src >= 0 && e->src != r->to->src)) {
        f->yes = false;
        return;
    }
    for (int i = 0; i < r->rank; i++) {
        bool outer = i < r->k->n_outer;
        int at = outer || f->map ? i : r->rank + i - r->k->n_outer;
        f->yes = f->yes && (e->src < 0 && !outer ? is_zero(e->arg[i]) : is_index(e->arg[i], at));
    }
}

static void check_value(void *context, const Sx *e)
{
    Form *f = context;

    if (e->op == SX_LOAD && e->src >= 0) f->yes = false;
    check_load(context, e);
}

static bool is_statistic(const Rows *r, const Stage *s, const Dim *row)
{
    Form f = {r, false, true};
    int outer = r->k->n_outer;

    if (s->rank != r->rank || s->n_reduce != r->rank - outer || s->n_acc != 1 || s->n_out != 1)
        return false;
    if (s->scan_axis >= 0 || s->out[0].result >= 0 || s->out[0].dst || s->out[0].before)
        return false;
    if (s->acc[0].monoid >= MONOID_ARGMIN_FIRST || s->acc[0].where) return false;
    for (int i = 0; i < r->rank; i++) {
        if (i < outer ? s->extent[i] != row[i] : !dim_is(s->extent[i], 1)) return false;
        if (i >= outer && s->reduce[i - outer] != row[i]) return false;
    }
    sx_visit(r->t, s->acc[0].body, check_load, &f);
    if (s->acc[0].body2) sx_visit(r->t, s->acc[0].body2, check_load, &f);
    sx_visit(r->t, s->out[0].value, check_value, &f);
    return f.yes;
}

static bool is_map(const Rows *r, const Stage *s, const Dim *row)
{
    Form f = {r, true, true};

    if (s->rank != r->rank || s->n_acc || s->n_out != 1 || s->scan_axis >= 0) return false;
    if (s->out[0].result != 0 || s->out[0].dst || s->out[0].before) return false;
    for (int i = 0; i < r->rank; i++)
        if (s->extent[i] != row[i]) return false;
    sx_visit(r->t, s->out[0].value, check_load, &f);
    return f.yes;
}

static bool is_rows(const Rows *r, const Value *operand)
{
    const Kernel *k = r->k;
    Dim row[MAX_RANK];

    layout_logical(operand, operand == r->to->x ? r->to->order : r->to->row_order, row);
    if (k->n_stage < 2 || k->n_stage > MOST_STATS + 1 || r->n->n_out != 1) return false;
    for (int i = 0; i < k->n_stage - 1; i++)
        if (!is_statistic(r, &k->stage[i], row)) return false;
    return is_map(r, &k->stage[k->n_stage - 1], row);
}

/* ---- statistics: kernels over the fine axes, in the order of memory ---- */

/* What an axis is in a kernel: an index of the domain, of the reduction, or of extent 1. */
typedef struct Step {
    int n_reduce;
    Dim extent[MAX_RANK], reduce[MAX_RANK];
    const Sx *at[MAX_RANK]; /* index of each axis */
} Step;

static const Sx *zero(const Rows *r)
{
    return sx_const_int(r->t, DT_I64, 0);
}

/* Axes of `reduced` are summed, those of `gone` are not there any more. */
static Step step_of(Rows *r, bool (*reduced)(const Fine *), bool (*gone)(const Fine *))
{
    Step s = {0};

    for (int i = 0; i < r->n_fine; i++) {
        const Fine *f = &r->fine[i];
        bool sum = reduced(f), none = sum || gone(f);
        s.extent[i] = none ? dim_const(r->b.dims, 1) : f->dim;
        s.at[i] = sum ? sx_index(r->t, r->n_fine + s.n_reduce) : none ? zero(r) : sx_index(r->t, i);
        if (sum) s.reduce[s.n_reduce++] = f->dim;
    }
    return s;
}

static bool is_along(const Fine *f)
{
    return f->along;
}

static bool is_line(const Fine *f)
{
    return !f->outer && !f->along && !f->inner;
}

static bool is_lines(const Fine *f)
{
    return !f->outer && !f->inner;
}

static bool is_inner(const Fine *f)
{
    return f->inner;
}

static bool is_none(const Fine *f)
{
    (void)f;
    return false;
}

/* Expressions of a statistic, at a step: operand 0 is x, or whatever is summed there; 1 + j the
 * statistic j. */
typedef struct Placed {
    const Rows *r;
    const Step *s;
} Placed;

static const Sx *load_stat(const Rows *r, const Step *s, int src, DType d)
{
    const Sx *at[MAX_RANK];

    for (int i = 0; i < r->n_fine; i++)
        at[i] = is_lines(&r->fine[i]) ? zero(r) : s->at[i];
    return sx_load(r->t, d, src, r->n_fine, at, NULL);
}

static const Sx *place_leaf(void *context, const Sx *e)
{
    const Placed *p = context;

    if (e->op != SX_LOAD) return NULL;
    if (e->src < 0) return load_stat(p->r, p->s, 1 + ~e->src, e->dtype);
    return sx_load(p->r->t, e->dtype, 0, p->r->n_fine, p->s->at, NULL);
}

static const Sx *placed(const Rows *r, const Step *s, const Sx *e)
{
    Placed p = {r, s};

    return e ? sx_rewrite(r->t, e, place_leaf, &p) : NULL;
}

/* `from` and all statistics so far; `more` behind them. */
static int operands(const Rows *r, Value *from, Value *more, Value **in)
{
    int n = 0;

    in[n++] = from;
    for (int i = 0; i < r->n_stat; i++)
        in[n++] = r->stat[i];
    if (more) in[n++] = more;
    return n;
}

static Value *reduce(Rows *r, const Step *s, SumOrder order, Value *from, Value *more, Acc a,
                     const Sx *value)
{
    Value *in[MOST_STATS + 2];
    int n = operands(r, from, more, in);

    return build_reduce(&r->b, r->k->label, n, in, r->n_fine, s->extent, s->n_reduce, s->reduce,
                        order, a, value ? value->dtype : a.dtype, value);
}

/* The sum of what is summed along lines, from line to line and over the innermost; then the
 * statistic's own value. `a` sums along what is left, from line to line, at first. */
static Value *sum_lines(Rows *r, Value *lines, Value *more, Acc a, const Sx *value)
{
    Step s;

    if (r->lines) {
        s = step_of(r, is_line, is_along);
        lines = reduce(r, &s, ORDER_CHAIN, lines, more, a, r->inner ? NULL : placed(r, &s, value));
        if (!lines) return NULL;
    }
    if (!r->inner) return lines;
    /* once for each of the innermost: that is an index of the domain, too, which nothing reads */
    s = step_of(r, is_inner, is_lines);
    a.body = sx_load(r->t, a.dtype, 0, r->n_fine, s.at, NULL);
    for (int i = 0; i < r->n_fine; i++) {
        if (!r->fine[i].inner) continue;
        s.extent[i] = r->fine[i].dim;
        s.at[i] = sx_index(r->t, i);
    }
    return reduce(r, &s, ORDER_LANES64, lines, NULL, a, placed(r, &s, value));
}

static Monoid monoid_of_parts(Monoid m)
{
    return m == MONOID_DOT ? MONOID_SUM : m;
}

/* Any statistic: along lines, then from line to line. */
static Value *statistic(Rows *r, const Stage *stage)
{
    Step s = step_of(r, is_along, is_none);
    Acc a = stage->acc[0];
    const Sx *value = stage->out[0].value;
    bool whole = !r->lines && !r->inner;
    Value *lines;

    a.body = placed(r, &s, a.body);
    a.body2 = placed(r, &s, a.body2);
    lines = reduce(r, &s, ORDER_CHAIN, r->x, NULL, a, whole ? placed(r, &s, value) : NULL);
    if (!lines || whole) return lines;
    s = step_of(r, is_line, is_along);
    a = (Acc){.monoid = monoid_of_parts(a.monoid),
              .dtype = a.dtype,
              .body = sx_load(r->t, a.dtype, 0, r->n_fine, s.at, NULL)};
    return sum_lines(r, lines, NULL, a, value);
}

/* ---- mean and variance, of one walk over memory ---- */

/* Elements that axes make, as a number. */
static const Sx *number_of(const Rows *r, bool (*has)(const Fine *), DType d)
{
    Dim count = dim_const(r->b.dims, 1);

    for (int i = 0; i < r->n_fine; i++)
        if (has(&r->fine[i])) count = dim_mul(r->b.dims, count, r->fine[i].dim);
    return sx_cast(r->t, sx_dim(r->t, count), d);
}

static bool is_of_row(const Fine *f)
{
    return !f->outer;
}

static void note_local(void *context, const Sx *e)
{
    if (e->op == SX_LOAD && e->src < 0) *(bool *)context = true;
}

static bool has_local(SxTable *t, const Sx *e)
{
    bool local = false;

    sx_visit(t, e, note_local, &local);
    return local;
}

static bool is_mean(const Rows *r, const Stage *s)
{
    DType d = s->acc[0].dtype;
    const Sx *mean = sx_div(r->t, sx_acc(r->t, 0, d), number_of(r, is_of_row, d));

    return s->acc[0].monoid == MONOID_SUM && dtype_is_float(d) && s->out[0].value == mean &&
           !has_local(r->t, s->acc[0].body);
}

/* The sum of squares of x less the mean that stage `mean` is. */
static bool is_variance(const Rows *r, const Stage *s, int mean)
{
    const Acc *a = &s->acc[0], *m = &r->k->stage[mean].acc[0];
    const Sx *left;

    if (a->monoid != MONOID_SUM || a->body->op != SX_MUL || a->body->arg[0] != a->body->arg[1])
        return false;
    left = a->body->arg[0];
    return left->op == SX_SUB && left->arg[0] == m->body && left->arg[1]->op == SX_LOAD &&
           left->arg[1]->src == ~mean;
}

static void find_mean(Rows *r)
{
    r->mean = -1;
    for (int i = 0; r->lines && r->mean < 0 && i < r->k->n_stage - 2; i++) {
        if (!is_mean(r, &r->k->stage[i])) continue;
        for (int j = i + 1; j < r->k->n_stage - 1; j++)
            if (is_variance(r, &r->k->stage[j], i)) r->mean = i;
    }
}

/* Of each line the sum, and the sum of squares about its mean. */
static bool sum_lines_once(Rows *r)
{
    const Acc *m = &r->k->stage[r->mean].acc[0];
    Step s = step_of(r, is_along, is_none);
    const Sx *e = placed(r, &s, m->body), *at[MAX_RANK], *left;
    Acc acc[2] = {{.monoid = MONOID_SUM, .dtype = m->dtype, .body = e}};
    StageOut out[2];
    Stage stage[2];
    Type types[2];
    int outer = 0;
    Node *lines;

    while (!is_line(&r->fine[outer]))
        outer++;
    for (int i = 0; i < r->n_fine; i++)
        at[i] = r->fine[i].along ? zero(r) : s.at[i];
    left = sx_div(r->t, sx_load(r->t, m->dtype, ~0, r->n_fine, at, NULL),
                  number_of(r, is_along, m->dtype));
    left = sx_sub(r->t, e, left);
    acc[1] = acc[0];
    acc[1].body = sx_mul(r->t, left, left);
    for (int i = 0; i < 2; i++) {
        out[i] = (StageOut){.dtype = m->dtype, .value = sx_acc(r->t, 0, m->dtype), .result = i};
        stage[i] = (Stage){.rank = r->n_fine,
                           .extent = s.extent,
                           .n_reduce = s.n_reduce,
                           .reduce = s.reduce,
                           .order = ORDER_CHAIN,
                           .n_acc = 1,
                           .acc = &acc[i],
                           .scan_axis = -1,
                           .n_out = 1,
                           .out = &out[i]};
        types[i] = type_tensor(m->dtype, r->n_fine, s.extent);
    }
    lines = build_rows(&r->b, "moments", 1, &r->x, outer + 1, 2, stage, 2, types);
    if (!lines) return false;
    r->line_sum = lines->out[0];
    r->line_square = lines->out[1];
    return true;
}

/* The squares about the mean of the row: those about the line's own, and what that is off. */
static Value *variance(Rows *r, const Stage *stage)
{
    Step s = step_of(r, is_line, is_along);
    DType d = stage->acc[0].dtype;
    const Sx *count = number_of(r, is_along, d), *sum, *off;
    Acc a = {.monoid = MONOID_SUM, .dtype = d};

    sum = sx_load(r->t, d, 1 + r->n_stat, r->n_fine, s.at, NULL);
    off = sx_sub(r->t, sx_div(r->t, sum, count), load_stat(r, &s, 1 + r->mean, d));
    a.body = sx_add(r->t, sx_load(r->t, d, 0, r->n_fine, s.at, NULL),
                    sx_mul(r->t, count, sx_mul(r->t, off, off)));
    return sum_lines(r, r->line_square, r->line_sum, a, stage->out[0].value);
}

static Value *mean(Rows *r, const Stage *stage)
{
    Step s = step_of(r, is_line, is_along);
    DType d = stage->acc[0].dtype;
    Acc a = {.monoid = MONOID_SUM, .dtype = d, .body = sx_load(r->t, d, 0, r->n_fine, s.at, NULL)};

    return sum_lines(r, r->line_sum, NULL, a, stage->out[0].value);
}

static bool make_statistics(Rows *r)
{
    find_mean(r);
    if (r->mean >= 0 && !sum_lines_once(r)) return false;
    for (int i = 0; i < r->k->n_stage - 1; i++) {
        const Stage *s = &r->k->stage[i];
        Value *v = r->mean < 0                  ? statistic(r, s)
                   : i == r->mean               ? mean(r, s)
                   : is_variance(r, s, r->mean) ? variance(r, s)
                                                : statistic(r, s);
        if (!v) return false;
        r->stat[r->n_stat++] = v;
    }
    return true;
}

/* ---- the map, over the axes of x ---- */

/* Where a fine axis stands, from the indices of x. */
static const Sx *fine_index(const Rows *r, int k)
{
    const Sx *e = sx_index(r->t, r->fine[k].of_x);
    Dim behind = dim_const(r->b.dims, 1);
    bool first = true;

    for (int i = 0; i < r->n_fine; i++) {
        if (r->fine[i].of_x != r->fine[k].of_x) continue;
        first = first && i >= k;
        if (i > k) behind = dim_mul(r->b.dims, behind, r->fine[i].dim);
    }
    if (!dim_is(behind, 1)) e = sx_div(r->t, e, sx_dim(r->t, behind));
    return first ? e : sx_rem(r->t, e, sx_dim(r->t, r->fine[k].dim));
}

/* The index that the fine axes with `has` make: of the operand's axis, or of x's. */
static const Sx *joined(const Rows *r, int axis, bool of_x)
{
    const Sx *e = NULL, *f;

    for (int c = 0; c < r->n_x; c++)
        for (int i = 0; i < r->n_fine; i++) {
            if (r->fine[i].of_x != c || (of_x ? c : r->fine[i].of_row) != axis) continue;
            f = fine_index(r, i);
            e = e ? sx_add(r->t, sx_mul(r->t, e, sx_dim(r->t, r->fine[i].dim)), f) : f;
        }
    return e ? e : zero(r);
}

static bool stands_in_lines(const Rows *r, int axis)
{
    for (int i = 0; i < r->n_fine; i++)
        if (r->fine[i].of_x == axis) return is_lines(&r->fine[i]);
    return false;
}

/* An index that takes axis apart and puts it together again is the axis. */
static const Sx *rejoined(const Rows *r, const Sx *e)
{
    for (int c = 0; c < r->n_x; c++)
        if (e == joined(r, c, true)) return sx_index(r->t, c);
    return e;
}

static const Sx *map_leaf(void *context, const Sx *e)
{
    const Rows *r = context;
    const Sx *at[MAX_RANK];
    int n = e->n - (e->guarded ? 1 : 0);

    if (e->op == SX_INDEX) return joined(r, e->index, false);
    if (e->op != SX_LOAD || e->flat) return NULL;
    if (e->src >= 0 && e->src != r->to->src) {
        for (int i = 0; i < n; i++)
            at[i] = rejoined(r, e->arg[i]);
        return sx_load(r->t, e->dtype, e->src, n, at, e->guarded ? e->arg[n] : NULL);
    }
    for (int c = 0; c < r->n_x; c++)
        at[c] = e->src < 0 && stands_in_lines(r, c) ? zero(r) : sx_index(r->t, c);
    return sx_load(r->t, e->dtype, e->src < 0 ? r->n->n_in + ~e->src : e->src, r->n_x, at, NULL);
}

static const Sx *map_expr(void *context, const Sx *e)
{
    return sx_rewrite(((const Rows *)context)->t, e, map_leaf, context);
}

/* Statistics in the dims of x. */
static bool reshape_statistics(Rows *r)
{
    const Order *o = r->to->order;
    Dim dims[MAX_RANK];

    for (int p = 0; p < o->n; p++) {
        dims[p] = dim_const(r->b.dims, 1);
        for (int i = 0; i < r->n_fine; i++)
            if (r->fine[i].of_x == o->axis[p] && !is_lines(&r->fine[i]))
                dims[p] = dim_mul(r->b.dims, dims[p], r->fine[i].dim);
    }
    for (int i = 0; i < r->n_stat; i++) {
        r->to->stat[i] = build_reshape(&r->b, r->stat[i], o->n, dims);
        if (!r->to->stat[i]) return false;
    }
    r->to->n_stat = r->n_stat;
    return true;
}

/* The last stage alone. Where the operand is a reshape of x, the map has the dims of x, and the
 * kernel gives its result those of before. */
static void make_map(Rows *r, const Value *operand)
{
    Module *m = r->n->parent->module;
    Node *n = r->n, *to = n;
    int n_in = n->n_in + r->n_stat;
    Value **in = ARENA_ARRAY(m->arena, Value *, n_in);
    Kernel *k = arena_copy(m->arena, r->k, sizeof *k);
    Dim dims[MAX_RANK];

    memcpy(in, n->in, sizeof *in * (size_t)n->n_in);
    memcpy(in + n->n_in, r->to->stat, sizeof *in * (size_t)r->n_stat);
    in[r->to->src] = r->to->x;
    k->stage = &k->stage[k->n_stage - 1];
    k->n_stage = 1;
    k->n_outer = 0;
    kernel_map_exprs(m->arena, k, map_expr, r);
    layout_logical(r->to->x, r->to->order, dims);
    k->stage[0].rank = r->n_x;
    k->stage[0].extent = arena_copy(m->arena, dims, sizeof *dims * (size_t)r->n_x);
    if (operand != r->to->x) {
        to = node_new(n->parent, n, NODE_KERNEL, n_in, in, 1, n->origin);
        to->out[0]->type = type_tensor(n->out[0]->type.dtype, r->n_x, k->stage[0].extent);
        n->kind = NODE_RESHAPE;
        n->kernel = NULL;
        n->in = arena_copy(m->arena, &to->out[0], sizeof *in);
        n->n_in = 1;
    } else {
        n->in = in;
        n->n_in = n_in;
    }
    to->kernel = k;
    r->to->map = to;
}

/* x with its fine dims: the same elements in the same places. */
static bool split_operand(Rows *r)
{
    Dim dims[MAX_RANK];

    for (int i = 0; i < r->n_fine; i++)
        dims[i] = r->fine[i].dim;
    r->x = build_reshape(&r->b, r->to->x, r->n_fine, dims);
    return r->x != NULL;
}

bool layout_rows(PassContext *cx, Node *n, LayoutRows *to, Status *s)
{
    const Value *operand = n->in[to->src];
    Rows r = {.to = to,
              .n = n,
              .k = n->kernel,
              .b = build_at(n->parent, n, n->origin, cx->diag),
              .t = &n->parent->module->sx,
              .rank = operand->type.rank,
              .n_x = to->x->type.rank};

    if (!is_rows(&r, operand) || !find_axes(&r, operand) || !pass_accept(cx)) return false;
    if (split_operand(&r) && make_statistics(&r) && reshape_statistics(&r)) make_map(&r, operand);
    *s = r.b.status;
    return true;
}
