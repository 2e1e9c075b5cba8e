/* halo.c: windows of convolutions without guards.
 *
 *     dot(x[n, h+r-1, w+s-1, c] if inside, ...)   ->   p = pad(x); dot(p[n, h+r, w+s, c], ...)
 *
 * Behind `fuse`, which would put the padding back where it is read. A contraction reads each
 * element of a padded operand many times, so one copy with its border of zeros costs little, and
 * the inner loop then reads rows where they lie, without a question. Only guards that ask exactly
 * for the operand's bounds are taken; the padded dims are what the window reaches, also where
 * extents are open.
 *
 * Ends: each change removes a guard. Runs after layout: the channels are the last axis. */
#include "passes/fuse_inline.h"

#include <string.h>

#include "ir/build.h"
#include "support/vec.h"

typedef struct Padded {
    Value *of, *v;
    Dim before[MAX_RANK], dims[MAX_RANK];
} Padded;

typedef struct Halo {
    PassContext *cx;
    Module *m;
    Padded *padded;
    int n_padded, cap_padded;
    bool changed;
} Halo;

/* The least (or greatest) value of an affine index, as a dim; NULL when it has another form. */
static Dim reach(DimTable *t, const Stage *s, const Sx *e, bool greatest)
{
    Dim a, b;

    switch (e->op) {
    case SX_CONST:
        return dim_const(t, (int64_t)e->bits);
    case SX_DIM:
        return e->dim;
    case SX_INDEX:
        a = e->index < s->rank ? s->extent[e->index] : s->reduce[e->index - s->rank];
        return greatest ? dim_add_c(t, a, -1) : dim_const(t, 0);
    case SX_ADD:
        a = reach(t, s, e->arg[0], greatest);
        b = reach(t, s, e->arg[1], greatest);
        return a && b ? dim_add(t, a, b) : NULL;
    case SX_SUB:
        a = reach(t, s, e->arg[0], greatest);
        b = reach(t, s, e->arg[1], !greatest);
        return a && b ? dim_sub(t, a, b) : NULL;
    case SX_MUL:
        if (e->arg[1]->op != SX_CONST || (int64_t)e->arg[1]->bits < 0) return NULL;
        a = reach(t, s, e->arg[0], greatest);
        return a ? dim_mul_c(t, a, (int64_t)e->arg[1]->bits) : NULL;
    default:
        return NULL;
    }
}

/* A guard that says no more than 0 <= arg[i] and arg[i] < dim[i], for some axes. */
static bool asks_for_bounds(SxTable *t, const Sx *guard, const Sx *load, const Type *type)
{
    int n = load->n - 1;

    if (guard->op == SX_AND)
        return asks_for_bounds(t, guard->arg[0], load, type) &&
               asks_for_bounds(t, guard->arg[1], load, type);
    for (int i = 0; i < n; i++) {
        if (guard->op == SX_LE && guard->arg[1] == load->arg[i] && guard->arg[0]->op == SX_CONST &&
            guard->arg[0]->bits == 0)
            return true;
        if (guard->op == SX_LT && guard->arg[0] == load->arg[i] &&
            guard->arg[1] == sx_dim(t, type->dim[i]))
            return true;
    }
    return false;
}

/* Where the window begins before the operand, and the dims that it reaches. */
static bool frame_of(Halo *h, const Stage *s, const Sx *load, const Type *type, Padded *p)
{
    DimTable *t = &h->m->dims;

    for (int i = 0; i < load->n - 1; i++) {
        Dim lo = reach(t, s, load->arg[i], false), hi = reach(t, s, load->arg[i], true);

        if (!lo || !hi || !dim_is_const(lo)) return false;
        p->before[i] = dim_const(t, lo->value < 0 ? -lo->value : 0);
        hi = dim_add_c(t, dim_add(t, hi, p->before[i]), 1);
        p->dims[i] = dim_max(t, hi, dim_add(t, type->dim[i], p->before[i]));
    }
    return true;
}

static bool same_frame(const Padded *a, const Padded *b, int rank)
{
    return a->of == b->of && memcmp(a->dims, b->dims, sizeof(Dim) * (size_t)rank) == 0 &&
           memcmp(a->before, b->before, sizeof(Dim) * (size_t)rank) == 0;
}

/* What only moves elements (a transposition) is done by the copy itself. */
static bool is_view(const Value *v)
{
    const Kernel *k = v->def && v->def->kind == NODE_KERNEL ? v->def->kernel : NULL;

    return k && k->n_stage == 1 && k->stage[0].n_acc == 0 && k->stage[0].n_out == 1 &&
           !k->stage[0].out[0].dst && k->stage[0].out[0].value->op == SX_LOAD;
}

static Value *build_padded(Halo *h, const Padded *p, Status *s)
{
    Value *v = p->of;
    Region *r = v->def ? v->def->parent : v->region;
    Build b =
        build_at(r, v->def ? v->def->next : r->first, v->def ? v->def->origin : NULL, h->cx->diag);
    const Sx *idx[MAX_RANK], *guard = NULL;
    Value *y;

    for (int i = 0; i < v->type.rank; i++) {
        const Sx *g;
        idx[i] = sx_sub(b.sx, sx_index(b.sx, i), sx_dim(b.sx, p->before[i]));
        g = sx_inside(&b, idx[i], v->type.dim[i], v->type.rank, p->dims);
        guard = guard && g ? sx_and(b.sx, guard, g) : g ? g : guard;
    }
    y = build_map(&b, "pad", 1, &v, v->type.dtype, v->type.rank, p->dims,
                  sx_at_guarded(&b, 0, v, idx, guard));
    *s = b.status;
    if (y && is_view(v)) fuse_inline(y->def, 0, v->def);
    return y;
}

static Value *padded(Halo *h, const Padded *want, Status *s)
{
    Padded p = *want;

    for (int i = 0; i < h->n_padded; i++)
        if (same_frame(&h->padded[i], want, want->of->type.rank)) return h->padded[i].v;
    p.v = build_padded(h, &p, s);
    if (p.v) VEC_PUSH(h->cx->scratch, h->padded, h->n_padded, h->cap_padded, p);
    return p.v;
}

/* ---- the kernel ---- */

typedef struct Swap {
    SxTable *t;
    const Sx *load;
    const Padded *p;
    int src;
} Swap;

static const Sx *swap_leaf(void *context, const Sx *e)
{
    Swap *w = context;
    const Sx *idx[MAX_RANK];

    if (e != w->load) return NULL;
    for (int i = 0; i < e->n - 1; i++)
        idx[i] = sx_add(w->t, e->arg[i], sx_dim(w->t, w->p->before[i]));
    return sx_load(w->t, e->dtype, w->src, e->n - 1, idx, NULL);
}

static const Sx *swap_expr(void *context, const Sx *e)
{
    Swap *w = context;
    return sx_rewrite(w->t, e, swap_leaf, w);
}

/* The guarded load of a contraction, when that is the whole of its side. */
static const Sx *guarded_side(const Node *n)
{
    const Acc *acc = &n->kernel->stage[0].acc[0];
    const Sx *side[] = {acc->body, acc->body2};

    for (int i = 0; i < 2; i++) {
        const Sx *e = side[i];
        if (e->op == SX_LOAD && e->guarded && !e->flat && e->src >= 0 && !n->in[e->src]->data)
            return e;
    }
    return NULL;
}

/* Weights of their own for every output channel: else an element is read too seldom for a copy. */
static bool reads_often(SxTable *t, const Stage *s, const Sx *load)
{
    const Sx *other = s->acc[0].body == load ? s->acc[0].body2 : s->acc[0].body;

    if (s->order != ORDER_CHAIN || s->acc[0].dtype != DT_F32) return false;
    for (int i = 0; i < s->rank; i++)
        if (sx_uses_index(t, other, i) && !sx_uses_index(t, load, i)) return true;
    return false;
}

static Status halo_node(void *context, Node *n)
{
    Halo *h = context;
    SxTable *t = &h->m->sx;
    Status s = OK;
    const Sx *load;
    Padded p = {0};
    Operands o;

    if (n->kind != NODE_KERNEL || n->kernel->n_stage != 1) return OK;
    const Stage *stage = &n->kernel->stage[0];
    if (stage->n_acc != 1 || stage->acc[0].monoid != MONOID_DOT) return OK;
    load = guarded_side(n);
    if (!load || !reads_often(t, stage, load)) return OK;
    p.of = n->in[load->src];
    if (!asks_for_bounds(t, load->arg[load->n - 1], load, &p.of->type)) return OK;
    if (!frame_of(h, stage, load, &p.of->type, &p) || !pass_accept(h->cx)) return OK;
    Value *v = padded(h, &p, &s);
    if (!v) return s;
    operands_start(&o, h->m);
    for (int i = 0; i < n->n_in; i++)
        VEC_PUSH(h->m->arena, o.value, o.n, o.cap, n->in[i]);
    Swap w = {t, load, &p, operand_of(&o, v)};
    Kernel *k = arena_copy(h->m->arena, n->kernel, sizeof *k);
    kernel_map_exprs(h->m->arena, k, swap_expr, &w);
    n->kernel = k;
    operands_finish(&o, n);
    h->changed = true;
    return OK;
}

Status pass_halo(PassContext *cx, Module *m, bool *changed)
{
    Halo h = {.cx = cx, .m = m};

    TRY(module_visit(m, halo_node, &h));
    *changed = h.changed;
    return OK;
}
