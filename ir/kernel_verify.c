/* kernel_verify.c: whether a kernel says something: numbers in range, dtypes that fit, results each
 * written once. What can be shown to be out of bounds is refused, too; that nothing is, only the
 * interpreter and the backends' own guards can tell. */
#include <string.h>

#include "ir/graph.h"

typedef struct Check {
    const Node *n;
    const Kernel *k;
    SxTable *t;
    DimTable *dims;
    Diag *d;
    Status status;
    int stage; /* number of the stage being looked at */
    const Stage *s;
    int n_index;   /* indices that the expression may read */
    bool in_body;  /* of an accumulator */
    bool occupied; /* the stage surely runs at least once */
    Dim extent[2 * MAX_RANK];
} Check;

static bool fail(Check *c, const char *format, ...) PRINTF(2, 3);

static bool fail(Check *c, const char *format, ...)
{
    va_list args;
    if (c->status != OK) return false;
    Text t;
    text_init(&t, c->d ? c->d->arena : c->t->arena);
    va_start(args, format);
    text_put(&t, arena_vprintf(t.arena, format, args));
    va_end(args);
    c->status = diag(c->d, ERR_MODEL, node_where(c->n), "kernel %s, stage %d: %s",
                     c->k->label ? c->k->label : "", c->stage, t.s);
    return false;
}

/* What a load reads from: dtype, rank and dims of an operand or of an earlier stage. */
static bool find_source(Check *c, int src, Type *type)
{
    if (src < 0) {
        if (~src >= c->stage) return fail(c, "reads stage %d, which is not before it", ~src);
        const Stage *from = &c->k->stage[~src];
        *type = type_tensor(from->out[0].dtype, from->rank, from->extent);
        return !from->out[0].dst || fail(c, "reads stage %d, which scatters", ~src);
    }
    if (src >= c->n->n_in || !c->n->in[src])
        return fail(c, "reads operand %d, which is not there", src);
    *type = c->n->in[src]->type;
    return type->kind == TYPE_TENSOR || fail(c, "reads operand %d, which is no tensor", src);
}

/* An index that is out of bounds for every point; or, where it is an index of the domain itself,
 * for the last. */
static bool index_outside(Check *c, const Sx *index, Dim extent)
{
    int64_t lo, hi;
    if (index->op == SX_INDEX && dim_is_const(extent) && dim_is_const(c->extent[index->index]) &&
        c->extent[index->index]->value > extent->value)
        return true;
    sx_range(c->t, index, c->s->rank + c->s->n_reduce, c->extent, &lo, &hi);
    return hi < 0 || lo > extent->hi - 1;
}

static void check_load(Check *c, const Sx *e)
{
    Type type;
    int n = e->n - e->guarded;
    if (!find_source(c, e->src, &type)) return;
    if (type.dtype != e->dtype)
        fail(c, "loads %s from operand %d, which is %s", dtype_text(e->dtype), e->src,
             dtype_text(type.dtype));
    if (type.rank == RANK_UNKNOWN) fail(c, "loads from operand %d of unknown rank", e->src);
    if (n != (e->flat ? 1 : type.rank))
        fail(c, "loads operand %d at %d indices; its rank is %d", e->src, n, type.rank);
    for (int i = 0; i < n && c->status == OK; i++) {
        if (e->arg[i]->dtype != DT_I64)
            fail(c, "an index of operand %d is no i64", e->src);
        else if (!e->flat && !e->guarded && c->occupied && index_outside(c, e->arg[i], type.dim[i]))
            fail(c, "index %d of operand %d is out of bounds", i, e->src);
    }
    if (e->guarded && e->arg[e->n - 1]->dtype != DT_BOOL) fail(c, "a guard is not bool");
}

static void check_node(void *context, const Sx *e)
{
    Check *c = context;
    Type type;
    if (c->status != OK) return;
    if (e->op == SX_INDEX && e->index >= c->n_index)
        fail(c, "reads index %d; there are %d here", e->index, c->n_index);
    if (e->op == SX_ACC) {
        if (c->in_body || e->index >= c->s->n_acc)
            fail(c, "reads accumulator %d where there is none", e->index);
        else if (e->dtype != c->s->acc[e->index].dtype)
            fail(c, "reads accumulator %d as %s", e->index, dtype_text(e->dtype));
    }
    if (e->op == SX_LOAD) check_load(c, e);
    if (e->op == SX_CHECK) (void)find_source(c, e->src, &type);
}

static bool check_expr(Check *c, const Sx *e, DType d, const char *what, bool in_body)
{
    if (!e) return fail(c, "%s is missing", what);
    if (e->dtype != d)
        return fail(c, "%s is %s, must be %s", what, dtype_text(e->dtype), dtype_text(d));
    c->in_body = in_body;
    c->n_index = c->s->rank + (in_body ? c->s->n_reduce : 0);
    sx_visit(c->t, e, check_node, c);
    return c->status == OK;
}

static bool check_dims(Check *c, int n, const Dim *d, const char *what)
{
    if (n < 0 || n > MAX_RANK) return fail(c, "%d %s; at most %d are allowed", n, what, MAX_RANK);
    for (int i = 0; i < n; i++) {
        if (!d[i] || d[i]->hi < 0) return fail(c, "one of its %s is negative", what);
        c->occupied &= d[i]->lo >= 1;
    }
    return true;
}

static bool same_dims(Check *c, int n, const Dim *a, const Dim *b)
{
    for (int i = 0; i < n; i++)
        if (dim_distinct(c->dims, a[i], b[i])) return false;
    return true;
}

static void any_load(void *context, const Sx *e)
{
    if (e->op == SX_LOAD || e->op == SX_CHECK || e->op == SX_ACC) *(bool *)context = true;
}

static bool check_where(Check *c, const Acc *a)
{
    bool loads = false;

    if (!a->where) return true;
    if (a->monoid != MONOID_DOT) return fail(c, "only dot has products that do not count");
    sx_visit(c->t, a->where, any_load, &loads);
    if (loads) return fail(c, "which products count depends on data");
    return check_expr(c, a->where, DT_BOOL, "which products count", true);
}

static bool check_acc(Check *c, const Acc *a)
{
    static const unsigned sums = DT_BIT(DT_F32) | DT_BIT(DT_F64) | DT_BIT(DT_I32) | DT_BIT(DT_I64) |
                                 DT_BIT(DT_U32) | DT_BIT(DT_U64);
    bool arg = a->monoid >= MONOID_ARGMIN_FIRST;
    bool logical = a->monoid == MONOID_AND || a->monoid == MONOID_OR;
    unsigned allowed = arg ? DT_BIT(DT_I64) : logical ? T_BOOL : sums;
    if (a->monoid == MONOID_MAX_NUMBER) allowed = DT_BIT(DT_F32) | DT_BIT(DT_F64);
    if (a->monoid == MONOID_MIN || a->monoid == MONOID_MAX) allowed |= T_INT | T_BOOL;
    if (!(allowed & DT_BIT(a->dtype)))
        return fail(c, "accumulates a %s in %s", monoid_text(a->monoid), dtype_text(a->dtype));
    if (!a->body) return fail(c, "an accumulator has no body");
    DType body = arg ? a->body->dtype : a->dtype;
    if (!check_expr(c, a->body, body, "the body of an accumulator", true)) return false;
    if ((a->monoid == MONOID_DOT) != (a->body2 != NULL)) return fail(c, "only dot has two bodies");
    if (a->body2 && !check_expr(c, a->body2, a->dtype, "the second body", true)) return false;
    return check_where(c, a);
}

static bool check_scatter(Check *c, const StageOut *o, const Type *type)
{
    if (c->k->n_stage != 1 || c->s->n_acc)
        return fail(c, "a scatter stands alone and reduces nothing");
    if (o->n_dst != type->rank)
        return fail(c, "scatters at %d indices; the rank is %d", o->n_dst, type->rank);
    for (int i = 0; i < o->n_dst; i++)
        if (!check_expr(c, o->dst[i], DT_I64, "a scatter's index", false)) return false;
    if (o->dst_guard && !check_expr(c, o->dst_guard, DT_BOOL, "a scatter's guard", false))
        return false;
    if (o->init < 0 || o->init >= c->n->n_in || !c->n->in[o->init])
        return fail(c, "a scatter starts from operand %d, which is not there", o->init);
    const Type *init = &c->n->in[o->init]->type;
    if (init->kind != TYPE_TENSOR || init->dtype != type->dtype || init->rank != type->rank ||
        !same_dims(c, type->rank, init->dim, type->dim))
        return fail(c, "a scatter starts from operand %d, which has another type", o->init);
    return true;
}

/* Results placed in `type`: indices and guard; that each element is written once, nobody can tell.
 */
static bool check_place(Check *c, const StageOut *o, const Type *type)
{
    if (o->n_dst != type->rank)
        return fail(c, "places at %d indices; the rank is %d", o->n_dst, type->rank);
    if (o->init != -1) return fail(c, "what is placed starts from no operand");
    for (int i = 0; i < o->n_dst; i++)
        if (!check_expr(c, o->dst[i], DT_I64, "a place's index", false)) return false;
    return !o->dst_guard || check_expr(c, o->dst_guard, DT_BOOL, "a place's guard", false);
}

static bool check_frame(Check *c, const StageOut *o, const Type *type)
{
    DimTable *t = &c->n->parent->module->dims;
    const Dim *inner = o->dst ? o->within : c->s->extent;
    int64_t least = o->dtype == DT_I8 ? INT8_MIN : 0, most = least + UINT8_MAX;

    if (o->border && ((o->dtype != DT_I8 && o->dtype != DT_U8) || o->border < least ||
                      o->border > most || o->dst))
        return fail(c, "a frame of %lld around %s", (long long)o->border, dtype_text(o->dtype));
    if ((!o->dst && c->n->kernel->n_stage != 1) || c->s->scan_axis >= 0)
        return fail(c, "a framed result of more than one stage, or of a scan");
    if (!inner || type->rank != (o->dst ? o->n_dst : c->s->rank))
        return fail(c, "a framed result of another rank");
    for (int i = 0; i < type->rank; i++)
        if (o->before[i] < 0 || !dim_le(t, dim_add_c(t, inner[i], o->before[i]), type->dim[i]))
            return fail(c, "dim %d of a framed result does not hold the stage's", i);
    return true;
}

static bool check_out(Check *c, const StageOut *o, bool *written)
{
    if (!check_expr(c, o->value, o->dtype, "a result", false)) return false;
    if (!o->dst && o->n_dst) return fail(c, "a scatter has no indices");
    bool place = o->dst && o->combine == COMBINE_PLACE;
    if (o->result < 0) return !o->dst || fail(c, "a scatter goes to no result");
    if (o->result >= c->n->n_out || !c->n->out[o->result])
        return fail(c, "writes result %d, which is not there", o->result);
    if (written[o->result] &&
        !(place && o > c->s->out && o[-1].result == o->result && o[-1].combine == COMBINE_PLACE))
        return fail(c, "result %d is written twice", o->result);
    written[o->result] = true;
    const Type *type = &c->n->out[o->result]->type;
    if (type->kind != TYPE_TENSOR || type->dtype != o->dtype)
        return fail(c, "writes %s to result %d, which is not", dtype_text(o->dtype), o->result);
    if (place && !check_place(c, o, type)) return false;
    if (place) return !o->before || check_frame(c, o, type);
    if (o->dst) return check_scatter(c, o, type);
    if (o->before) return check_frame(c, o, type);
    if (type->rank != c->s->rank || !same_dims(c, type->rank, type->dim, c->s->extent))
        return fail(c, "result %d does not have the dims of the stage", o->result);
    return true;
}

static bool check_stage(Check *c, bool *written)
{
    const Stage *s = c->s;
    c->occupied = true;
    if (!check_dims(c, s->rank, s->extent, "extents") ||
        !check_dims(c, s->n_reduce, s->reduce, "reduced extents"))
        return false;
    for (int i = 0; i < s->rank + s->n_reduce; i++)
        c->extent[i] = i < s->rank ? s->extent[i] : s->reduce[i - s->rank];
    if (c->k->n_outer > s->rank || !same_dims(c, c->k->n_outer, s->extent, c->k->stage[0].extent))
        return fail(c, "does not have the %d outer extents of all stages", c->k->n_outer);
    if (s->scan_axis >= s->rank ||
        (s->scan_axis >= 0 && (s->n_reduce || s->order != ORDER_CHAIN || !s->n_acc)))
        return fail(c, "runs along axis %d, which it cannot", s->scan_axis);
    if (s->n_reduce && !s->n_acc) return fail(c, "reduces nothing");
    if (s->n_out < 1) return fail(c, "gives nothing");
    for (int i = 0; i < s->n_acc; i++)
        if (!check_acc(c, &s->acc[i])) return false;
    for (int i = 0; i < s->n_out; i++)
        if (!check_out(c, &s->out[i], written)) return false;
    return true;
}

static Status check_results(Check *c, const bool *written)
{
    for (int i = 0; i < c->n->n_out; i++)
        if (c->n->out[i] && !written[i]) fail(c, "nothing writes result %d", i);
    return c->status;
}

Status kernel_verify(const Node *n, Diag *d)
{
    Module *m = n->parent->module;
    Check c = {.n = n, .k = n->kernel, .t = &m->sx, .dims = &m->dims, .d = d};
    if (!n->kernel || n->kernel->n_stage < 1)
        return diag(d, ERR_MODEL, node_where(n), "a kernel has no stages");
    if (n->kernel->n_outer && n->kernel->n_stage == 1) fail(&c, "one stage has no outer extents");
    bool *written = ARENA_ARRAY(m->arena, bool, n->n_out);
    for (; c.status == OK && c.stage < c.k->n_stage; c.stage++) {
        c.s = &c.k->stage[c.stage];
        check_stage(&c, written);
    }
    return c.status == OK ? check_results(&c, written) : c.status;
}
