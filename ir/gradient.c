/* gradient.c: see gradient.h. */
#include "ir/gradient.h"

typedef struct Gradient {
    Build *b;
    Map depends; /* values that depend on an x */
    Map of;      /* value -> its gradient so far */
} Gradient;

/* ---- element by element ---- */

Value *gradient_unbroadcast(Build *b, Value *dy, const Value *v)
{
    int64_t axes[MAX_RANK];
    int n = 0, extra;
    Attr keep = attr_of_int("keepdims", 1);

    if (!dy || b->status != OK) return NULL;
    extra = dy->type.rank - v->type.rank;
    for (int i = 0; i < dy->type.rank; i++)
        if (i < extra || (dim_is(v->type.dim[i - extra], 1) && !dim_is(dy->type.dim[i], 1)))
            axes[n++] = i;
    if (n) dy = build_op(b, "ReduceSum", 2, (Value *[]){dy, build_i64(b, n, axes)}, 1, &keep);
    return dy && extra ? build_reshape(b, dy, v->type.rank, v->type.dim) : dy;
}

/* dy times the derivative of the operator's expression by input k. */
static Status derive_map(Build *b, const Node *n, int k, Value *dy, Value **out)
{
    const Type *type = &n->out[0]->type;
    Arena *a = b->module->arena;
    const Sx **x = ARENA_ARRAY(a, const Sx *, n->n_in), *e, *d;
    Value **in = ARENA_ARRAY(a, Value *, n->n_in + 1);
    int count = 0;

    for (int i = 0; i < n->n_in; i++) {
        if (!n->in[i]) continue;
        in[count] = n->in[i];
        x[i] = sx_compute(b, sx_operand(b, count++, n->in[i], type->rank, type->dim));
    }
    e = n->op->map(b, n, x);
    if (b->status != OK || !e) return build_fail(b, b->status != OK ? b->status : ERR_BUG);
    d = sx_derive(b->sx, e, x[k]);
    if (!d || d->dtype != x[k]->dtype)
        return op_unsupported(n, b->diag, "a derivative of this operator");
    in[count] = dy;
    d = sx_mul(b->sx, sx_compute(b, sx_operand(b, count, dy, type->rank, type->dim)), d);
    *out = build_map(b, "derivative", count + 1, in, n->in[k]->type.dtype, type->rank, type->dim,
                     sx_cast(b->sx, d, n->in[k]->type.dtype));
    *out = gradient_unbroadcast(b, *out, n->in[k]);
    return b->status;
}

/* ---- the walk ---- */

static bool moves(const Gradient *g, const Value *v)
{
    return v && dtype_is_float(v->type.dtype) && map_has(&g->depends, v);
}

static void mark_dependent(Gradient *g, const Node *n)
{
    bool any = false;

    for (int k = 0; k < n->n_in; k++)
        any |= n->in[k] && map_has(&g->depends, n->in[k]);
    for (int k = 0; k < n->n_out && any; k++)
        if (n->out[k]) map_set(&g->depends, n->out[k], n->out[k]);
}

static void add_to(Gradient *g, Value *v, Value *d)
{
    Value *had = map_get(&g->of, v);

    if (d) map_set(&g->of, v, had ? build_op2(g->b, "Add", had, d) : d);
}

static Status through(Gradient *g, const Node *n)
{
    Arena *a = g->b->module->arena;
    Value **dy = ARENA_ARRAY(a, Value *, n->n_out), **dx = ARENA_ARRAY(a, Value *, n->n_in);
    bool any = false, any_in = false;

    for (int k = 0; k < n->n_out; k++) {
        dy[k] = n->out[k] ? map_get(&g->of, n->out[k]) : NULL;
        any |= dy[k] != NULL;
    }
    for (int k = 0; k < n->n_in; k++)
        any_in |= moves(g, n->in[k]);
    if (!any || !any_in) return OK;
    if (n->kind != NODE_OP || (!n->op->derive && !n->op->map))
        return op_unsupported(n, g->b->diag, "a derivative of this operator");
    if (n->op->derive) TRY(n->op->derive(g->b, n, dy, dx));
    for (int k = 0; k < n->n_in; k++) {
        if (!moves(g, n->in[k])) continue;
        if (!n->op->derive) TRY(derive_map(g->b, n, k, dy[0], &dx[k]));
        add_to(g, n->in[k], dx[k]);
    }
    return g->b->status;
}

static Value *filled(Build *b, const Value *like, double v)
{
    const Type *t = &like->type;

    return build_map(b, "filled", 0, NULL, t->dtype, t->rank, t->dim, sx_const(b->sx, t->dtype, v));
}

Status gradient_build(Build *b, Value *y, int n, Value *const *x, Value **out)
{
    Gradient g = {.b = b};
    Node *last = b->before ? b->before->prev : b->region->last;

    map_init(&g.depends, b->module->arena, false);
    map_init(&g.of, b->module->arena, false);
    for (int i = 0; i < n; i++)
        map_set(&g.depends, x[i], x[i]);
    for (const Node *p = b->region->first; p && p != b->before; p = p->next)
        mark_dependent(&g, p);
    if (moves(&g, y)) map_set(&g.of, y, filled(b, y, 1));
    for (const Node *p = last; p; p = p->prev)
        TRY(through(&g, p));
    for (int i = 0; i < n; i++) {
        out[i] = map_get(&g.of, x[i]);
        if (!out[i]) out[i] = filled(b, x[i], 0);
    }
    return b->status;
}
