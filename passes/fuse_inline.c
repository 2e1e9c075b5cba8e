/* fuse_inline.c: the mechanics of fusion. See fuse_inline.h. */
#include "passes/fuse_inline.h"

#include <string.h>

#include "support/vec.h"

void operands_start(Operands *o, Module *m)
{
    *o = (Operands){.module = m};
}

int operand_of(Operands *o, Value *v)
{
    for (int i = 0; i < o->n; i++)
        if (o->value[i] == v) return i;
    VEC_PUSH(o->module->arena, o->value, o->n, o->cap, v);
    return o->n - 1;
}

/* Fresh arrays: kernels may share expressions and stages after lowering, never change them in
 * place. */
void kernel_map_exprs(Arena *a, Kernel *k, ExprMap map, void *context)
{
    k->stage = arena_copy(a, k->stage, sizeof(Stage) * (size_t)k->n_stage);
    for (int i = 0; i < k->n_stage; i++) {
        Stage *s = &k->stage[i];

        s->acc = arena_copy(a, s->acc, sizeof(Acc) * (size_t)s->n_acc);
        s->out = arena_copy(a, s->out, sizeof(StageOut) * (size_t)s->n_out);
        for (int j = 0; j < s->n_acc; j++) {
            s->acc[j].body = map(context, s->acc[j].body);
            if (s->acc[j].body2) s->acc[j].body2 = map(context, s->acc[j].body2);
            if (s->acc[j].where) s->acc[j].where = map(context, s->acc[j].where);
        }
        for (int j = 0; j < s->n_out; j++) {
            StageOut *o = &s->out[j];
            o->value = map(context, o->value);
            if (o->n_dst) o->dst = arena_copy(a, o->dst, sizeof(Sx *) * (size_t)o->n_dst);
            for (int q = 0; q < o->n_dst; q++)
                o->dst[q] = map(context, o->dst[q]);
            if (o->dst_guard) o->dst_guard = map(context, o->dst_guard);
        }
    }
}

void stage_visit_exprs(SxTable *t, const Stage *s, SxVisit visit, void *context)
{
    for (int j = 0; j < s->n_acc; j++) {
        sx_visit(t, s->acc[j].body, visit, context);
        if (s->acc[j].body2) sx_visit(t, s->acc[j].body2, visit, context);
    }
    for (int j = 0; j < s->n_out; j++) {
        sx_visit(t, s->out[j].value, visit, context);
        if (s->out[j].dst_guard) sx_visit(t, s->out[j].dst_guard, visit, context);
        for (int q = 0; q < s->out[j].n_dst; q++)
            sx_visit(t, s->out[j].dst[q], visit, context);
    }
}

/* A LOAD or CHECK again, of another operand. */
static const Sx *with_src(SxTable *t, const Sx *e, int src)
{
    int n = e->n - (e->guarded ? 1 : 0);
    const Sx *guard = e->guarded ? e->arg[n] : NULL;

    if (e->op == SX_CHECK) return sx_check(t, src, e->arg[0], e->arg[1]);
    if (e->flat) return sx_load_flat(t, e->dtype, src, e->arg[0], guard);
    return sx_load(t, e->dtype, src, n, e->arg, guard);
}

/* ---- operands that are read, renumbered ---- */

typedef struct Renumber {
    SxTable *t;
    int *first;  /* the first operand with the same value */
    int *number; /* new number + 1, 0: not yet read */
    int next;
} Renumber;

static const Sx *renumber_leaf(void *context, const Sx *e)
{
    Renumber *r = context;

    if ((e->op != SX_LOAD && e->op != SX_CHECK) || e->src < 0) return NULL;
    int src = r->first[e->src];
    if (!r->number[src]) r->number[src] = ++r->next;
    return with_src(r->t, e, r->number[src] - 1);
}

static const Sx *renumber_expr(void *context, const Sx *e)
{
    Renumber *r = context;
    return sx_rewrite(r->t, e, renumber_leaf, r);
}

static void mark_scatter_inits(Renumber *r, Kernel *k)
{
    for (int i = 0; i < k->n_stage; i++)
        for (int j = 0; j < k->stage[i].n_out; j++) {
            StageOut *o = &k->stage[i].out[j];
            if (!o->dst || o->combine == COMBINE_PLACE) continue;
            int src = r->first[o->init];
            if (!r->number[src]) r->number[src] = ++r->next;
            o->init = r->number[src] - 1;
        }
}

void operands_finish(Operands *o, Node *n)
{
    Arena *a = o->module->arena;
    Renumber r = {.t = &o->module->sx,
                  .first = ARENA_ARRAY(a, int, o->n),
                  .number = ARENA_ARRAY(a, int, o->n)};
    Value **in;

    for (int i = 0; i < o->n; i++)
        for (r.first[i] = 0; o->value[r.first[i]] != o->value[i];)
            r.first[i]++;

    kernel_map_exprs(a, n->kernel, renumber_expr, &r);
    mark_scatter_inits(&r, n->kernel);
    in = ARENA_ARRAY(a, Value *, r.next);
    for (int i = 0; i < o->n; i++)
        if (r.number[i]) in[r.number[i] - 1] = o->value[i];
    for (int i = 0; i < n->n_in; i++)
        n->in[i]->uses--;
    n->in = in;
    n->n_in = r.next;
    for (int i = 0; i < n->n_in; i++)
        n->in[i]->uses++;
}

/* ---- a producer's value at given indices ---- */

typedef struct At {
    SxTable *t;
    const Sx *const *idx; /* of the producer's domain */
    const Sx *flat;       /* or one element number */
    const Sx *guard;      /* NULL: always */
    const int *number;    /* producer's operand -> consumer's */
    bool failed;
} At;

static const Sx *both(SxTable *t, const Sx *a, const Sx *b)
{
    return a && b ? sx_and(t, a, b) : a ? a : b;
}

static const Sx *place_leaf(void *context, const Sx *e)
{
    At *p = context;
    int n = e->n - (e->guarded ? 1 : 0);
    const Sx *guard;

    switch (e->op) {
    case SX_INDEX:
        return p->flat ? NULL : p->idx[e->index];
    case SX_LOAD:
        guard = both(p->t, e->guarded ? e->arg[n] : NULL, p->guard);
        if (p->flat && !e->flat)
            return sx_load_flat(p->t, e->dtype, p->number[e->src], p->flat, guard);
        if (e->flat) return sx_load_flat(p->t, e->dtype, p->number[e->src], e->arg[0], guard);
        return sx_load(p->t, e->dtype, p->number[e->src], n, e->arg, guard);
    case SX_CHECK:
        return with_src(p->t, e, p->number[e->src]);
    default:
        return NULL;
    }
}

bool load_at_point(const Sx *load, int rank)
{
    if (load->op != SX_LOAD || load->flat || load->guarded || load->n != rank) return false;
    for (int i = 0; i < rank; i++)
        if (load->arg[i]->op != SX_INDEX || load->arg[i]->index != i) return false;
    return true;
}

typedef struct PointOnly {
    const Node *p;
    bool yes;
} PointOnly;

static bool same_dims(const Type *t, const Stage *s)
{
    if (t->rank != s->rank) return false;
    for (int i = 0; i < s->rank; i++)
        if (t->dim[i] != s->extent[i]) return false;
    return true;
}

static void point_only(void *context, const Sx *e)
{
    PointOnly *x = context;
    const Stage *s = &x->p->kernel->stage[0];

    if (e->op == SX_CHECK) x->yes = false;
    if (e->op != SX_LOAD) return;
    if (!load_at_point(e, s->rank) || !same_dims(&x->p->in[e->src]->type, s)) x->yes = false;
}

static const Sx *without_loads(void *context, const Sx *e)
{
    return e->op == SX_LOAD ? sx_const_bits(context, e->dtype, 0) : NULL;
}

/* Element by element over operands of its own shape: then a flat load of it is one of them. */
static bool element_by_element(SxTable *t, const Node *p)
{
    PointOnly x = {.p = p, .yes = true};
    int rank = p->kernel->stage[0].rank;

    sx_visit(t, p->kernel->stage[0].out[0].value, point_only, &x);
    /* an index outside of a load's arguments would need the point itself */
    const Sx *rest = sx_rewrite(t, p->kernel->stage[0].out[0].value, without_loads, t);
    for (int i = 0; x.yes && i < rank; i++)
        if (sx_uses_index(t, rest, i)) x.yes = false;
    return x.yes;
}

/* Rewrites the index arguments of point loads away first, so that a remaining INDEX shows a use of
 * the point. */
static const Sx *value_at_flat(At *p, const Node *producer)
{
    if (!element_by_element(p->t, producer)) return NULL;
    return sx_rewrite(p->t, producer->kernel->stage[0].out[0].value, place_leaf, p);
}

typedef struct Inline {
    SxTable *t;
    int src;
    const Node *p;
    int *number;
    bool failed;
} Inline;

static const Sx *inline_leaf(void *context, const Sx *e)
{
    Inline *x = context;
    int n = e->n - (e->guarded ? 1 : 0);
    const Sx *v, *guard = e->guarded ? e->arg[n] : NULL;
    At at = {.t = x->t, .number = x->number, .guard = guard};

    if (e->op == SX_CHECK && e->src == x->src) {
        x->failed = true;
        return NULL;
    }
    if (e->op != SX_LOAD || e->src != x->src) return NULL;
    if (e->flat) {
        at.flat = e->arg[0];
        v = value_at_flat(&at, x->p);
        if (!v) x->failed = true;
    } else {
        at.idx = e->arg;
        v = sx_rewrite(x->t, x->p->kernel->stage[0].out[0].value, place_leaf, &at);
    }
    if (!v || x->failed) return NULL;
    if (guard && v->op != SX_LOAD) v = sx_select(x->t, guard, v, sx_const_bits(x->t, v->dtype, 0));
    return v;
}

static const Sx *inline_expr(void *context, const Sx *e)
{
    Inline *x = context;
    return sx_rewrite(x->t, e, inline_leaf, x);
}

bool fuse_inline(Node *n, int src, const Node *p)
{
    Module *m = n->parent->module;
    Operands o;
    Kernel *k = arena_copy(m->arena, n->kernel, sizeof *k);
    Inline x = {.t = &m->sx, .src = src, .p = p};

    operands_start(&o, m);
    for (int i = 0; i < n->n_in; i++) /* keeps numbers: repeated operands stay apart until finish */
        VEC_PUSH(m->arena, o.value, o.n, o.cap, n->in[i]);
    x.number = ARENA_ARRAY(m->arena, int, p->n_in);
    for (int i = 0; i < p->n_in; i++)
        x.number[i] = operand_of(&o, p->in[i]);
    kernel_map_exprs(m->arena, k, inline_expr, &x);
    if (x.failed) return false;
    n->kernel = k;
    node_add_origin(n, p->origin);
    operands_finish(&o, n);
    return true;
}

/* ---- epilogues ---- */

typedef struct Epilogue {
    SxTable *t;
    int src;
    const Sx *value; /* of the producer's result */
    int *number;     /* n's operand -> p's */
} Epilogue;

static const Sx *epilogue_leaf(void *context, const Sx *e)
{
    Epilogue *x = context;

    if (e->op != SX_LOAD && e->op != SX_CHECK) return NULL;
    if (e->op == SX_LOAD && e->src == x->src) return x->value;
    return with_src(x->t, e, x->number[e->src]);
}

bool fuse_epilogue(Node *p, Node *n, int src)
{
    Module *m = n->parent->module;
    Arena *a = m->arena;
    Kernel *k = arena_copy(a, p->kernel, sizeof *k);
    Stage *from = &n->kernel->stage[0], *s;
    Epilogue x = {.t = &m->sx, .src = src};
    Operands o;

    operands_start(&o, m);
    for (int i = 0; i < p->n_in; i++)
        VEC_PUSH(a, o.value, o.n, o.cap, p->in[i]);
    x.number = ARENA_ARRAY(a, int, n->n_in);
    for (int i = 0; i < n->n_in; i++)
        if (i != src) x.number[i] = operand_of(&o, n->in[i]);
    k->stage = arena_copy(a, k->stage, sizeof(Stage) * (size_t)k->n_stage);
    s = &k->stage[k->n_stage - 1];
    x.value = s->out[0].value;
    s->out = arena_copy(a, from->out, sizeof(StageOut) * (size_t)from->n_out);
    s->n_out = from->n_out;
    for (int i = 0; i < s->n_out; i++)
        s->out[i].value = sx_rewrite(&m->sx, from->out[i].value, epilogue_leaf, &x);
    k->label = intern(&m->names, arena_printf(a, "%.60s+%.30s", k->label, n->kernel->label));
    /* n becomes the whole: it stands where all operands are defined */
    for (int i = 0; i < p->n_in; i++)
        p->in[i]->uses--;
    n->kernel = k;
    node_add_origin(n, p->origin);
    operands_finish(&o, n);
    return true;
}

/* ---- tidying ---- */

typedef struct Tidy {
    SxTable *t;
    Node *n;
    Operands o;
    bool changed;
} Tidy;

/* One number, or a vector of one number: zero points of channels, biases of zeros. */
static bool is_uniform(const Tensor *t)
{
    size_t size = (size_t)dtype_bytes(t->dtype);

    if (t->dtype == DT_STRING || dtype_kind(t->dtype) == KIND_COMPLEX) return false;
    if (t->count == 1) return true;
    return t->rank == 1 && t->count > 1 &&
           memcmp(t->data, (const char *)t->data + size, size * (size_t)(t->count - 1)) == 0;
}

static uint64_t element_bits(const Tensor *t)
{
    return dtype_is_int(t->dtype) ? (uint64_t)dtype_load_int(t->dtype, t->data)
                                  : dtype_load_bits(t->dtype, t->data);
}

/* A reshape that only adds or drops dims of 1: which index of the source each index of the result
 * is, else false. */
static bool ones_only(const Value *from, const Value *to, int *of_source)
{
    int i = 0, j = 0;

    while (i < from->type.rank || j < to->type.rank) {
        if (i < from->type.rank && j < to->type.rank && from->type.dim[i] == to->type.dim[j])
            of_source[i++] = j++;
        else if (i < from->type.rank && dim_is(from->type.dim[i], 1))
            of_source[i++] = -1;
        else if (j < to->type.rank && dim_is(to->type.dim[j], 1))
            j++;
        else
            return false;
    }
    return true;
}

static const Sx *load_source(Tidy *x, const Sx *e, Node *reshape)
{
    const Sx *idx[MAX_RANK];
    int of[MAX_RANK], n = e->n - (e->guarded ? 1 : 0);
    Value *from = reshape->in[0];

    if (e->flat)
        return sx_load_flat(x->t, e->dtype, operand_of(&x->o, from), e->arg[0],
                            e->guarded ? e->arg[n] : NULL);
    if (!ones_only(from, reshape->out[0], of)) return NULL;
    for (int i = 0; i < from->type.rank; i++)
        idx[i] = of[i] < 0 ? sx_const_int(x->t, DT_I64, 0) : e->arg[of[i]];
    return sx_load(x->t, e->dtype, operand_of(&x->o, from), from->type.rank, idx,
                   e->guarded ? e->arg[n] : NULL);
}

static const Sx *tidy_leaf(void *context, const Sx *e)
{
    Tidy *x = context;
    Value *v;
    const Sx *r = NULL;

    if (e->op != SX_LOAD || e->src < 0) return NULL;
    v = x->n->in[e->src];
    if (v->data && !e->guarded && is_uniform(v->data))
        r = sx_const_bits(x->t, e->dtype, element_bits(v->data));
    else if (v->def && v->def->kind == NODE_RESHAPE)
        r = load_source(x, e, v->def);
    if (r) x->changed = true;
    return r;
}

static const Sx *tidy_expr(void *context, const Sx *e)
{
    Tidy *x = context;
    return sx_rewrite(x->t, e, tidy_leaf, x);
}

bool fuse_tidy(Node *n)
{
    Module *m = n->parent->module;
    Kernel *k = arena_copy(m->arena, n->kernel, sizeof *k);
    Tidy x = {.t = &m->sx, .n = n};

    operands_start(&x.o, m);
    for (int i = 0; i < n->n_in; i++)
        VEC_PUSH(m->arena, x.o.value, x.o.n, x.o.cap, n->in[i]);
    kernel_map_exprs(m->arena, k, tidy_expr, &x);
    n->kernel = k;
    operands_finish(&x.o, n); /* also joins operands that are one value */
    return x.changed;
}

/* ---- cost ---- */

typedef struct Cost {
    int total;
} Cost;

static void cost_of(void *context, const Sx *e)
{
    Cost *c = context;

    if (e->dtype == DT_I64 && e->op != SX_LOAD) return; /* index arithmetic, mostly */
    switch (e->op) {
    case SX_CONST:
    case SX_INDEX:
    case SX_DIM:
    case SX_ACC:
    case SX_LOAD:
    case SX_CHECK:
    case SX_BITCAST:
        break;
    case SX_DIV:
    case SX_REM:
    case SX_SQRT:
        c->total += 4;
        break;
    default:
        c->total += e->op >= SX_EXP ? 16 : 1;
        break;
    }
}

int expression_cost(SxTable *t, const Sx *e)
{
    Cost c = {0};

    sx_visit(t, e, cost_of, &c);
    return c.total;
}
