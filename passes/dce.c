/* dce.c: what nobody reads: nodes without a reader are unlinked, last first, so that one walk
 * suffices.
 *
 * A node that defines symbols stays as long as a dim anywhere mentions one of them. Unread outputs
 * of If and Loop stay: their places are positions. */
#include "passes/pass.h"
#include "support/map.h"

typedef struct Dce {
    Map symbols; /* every symbol that some live dim mentions */
    bool changed;
    PassContext *cx;
} Dce;

static void mention(void *context, Dim symbol)
{
    map_set(context, symbol, (void *)(uintptr_t)1);
}

static void mention_type(Dce *d, const Value *v)
{
    if (!v || v->type.kind != TYPE_TENSOR) return;
    for (int i = 0; i < v->type.rank; i++)
        if (!dim_is_const(v->type.dim[i])) dim_symbols(v->type.dim[i], mention, &d->symbols);
}

static void mention_expr(void *context, const Sx *e)
{
    if (e->op == SX_DIM) dim_symbols(e->dim, mention, context);
}

static void mention_kernel(Dce *d, SxTable *t, const Kernel *k)
{
    for (int i = 0; i < k->n_stage; i++) {
        const Stage *s = &k->stage[i];

        for (int j = 0; j < s->rank; j++)
            dim_symbols(s->extent[j], mention, &d->symbols);
        for (int j = 0; j < s->n_reduce; j++)
            dim_symbols(s->reduce[j], mention, &d->symbols);
        for (int j = 0; j < s->n_acc; j++) {
            sx_visit(t, s->acc[j].body, mention_expr, &d->symbols);
            if (s->acc[j].body2) sx_visit(t, s->acc[j].body2, mention_expr, &d->symbols);
            if (s->acc[j].where) sx_visit(t, s->acc[j].where, mention_expr, &d->symbols);
        }
        for (int j = 0; j < s->n_out; j++) {
            const StageOut *o = &s->out[j];
            sx_visit(t, o->value, mention_expr, &d->symbols);
            for (int q = 0; q < o->n_dst; q++)
                sx_visit(t, o->dst[q], mention_expr, &d->symbols);
            if (o->dst_guard) sx_visit(t, o->dst_guard, mention_expr, &d->symbols);
        }
    }
}

/* Operators read contents instead of the tensor. */
static void mention_contents(Dce *d, const Value *v)
{
    int64_t count;

    if (!v || !v->contents || v->type.rank > 1) return;
    count = v->type.rank == 0 ? 1 : v->type.dim[0]->value;
    for (int64_t j = 0; j < count; j++)
        dim_symbols(v->contents[j], mention, &d->symbols);
}

static void mention_node(Dce *d, Node *n)
{
    for (int i = 0; i < n->n_in; i++) {
        mention_type(d, n->in[i]);
        if (n->kind == NODE_OP) mention_contents(d, n->in[i]);
    }
    for (int i = 0; i < n->n_out; i++) {
        const Value *v = n->out[i];
        if (v && v->uses) mention_type(d, v);
        if (n->kind == NODE_OP) mention_contents(d, v);
    }
    if (n->kernel) mention_kernel(d, &n->parent->module->sx, n->kernel);
}

/* A symbol that has one value is there to be checked, not to be read. */
static bool asserts(const Node *n)
{
    if (n->kind != NODE_BIND) return false;
    for (int i = 0; i < n->bind->n; i++)
        if (n->bind->symbol[i]->lo == n->bind->symbol[i]->hi) return true;
    return false;
}

static bool removable(const Dce *d, const Node *n)
{
    if (asserts(n)) return false;
    for (int i = 0; i < n->n_out; i++)
        if (n->out[i] && n->out[i]->uses) return false;
    for (int i = 0; i < n->n_define; i++)
        if (map_has(&d->symbols, n->define[i])) return false;
    return true;
}

static void drop_uses(Region *r);

static void drop_node(Node *n)
{
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i]) n->in[i]->uses--;
    for (int i = 0; i < n->n_region; i++)
        drop_uses(n->region[i]);
}

static void drop_uses(Region *r)
{
    for (Node *n = r->first; n; n = n->next)
        drop_node(n);
    for (int i = 0; i < r->n_result; i++)
        if (r->result[i]) r->result[i]->uses--;
}

static void sweep(Dce *d, Region *r)
{
    for (int i = 0; i < r->n_result; i++)
        mention_type(d, r->result[i]);
    for (Node *n = r->last, *prev; n; n = prev) {
        prev = n->prev;
        if (removable(d, n) && pass_accept(d->cx)) {
            drop_node(n);
            node_unlink(n);
            d->changed = true;
            continue;
        }
        for (int i = n->n_region - 1; i >= 0; i--)
            sweep(d, n->region[i]);
        mention_node(d, n);
    }
}

Status pass_dce(PassContext *cx, Module *m, bool *changed)
{
    Dce d = {.cx = cx};

    map_init(&d.symbols, cx->scratch, false);
    sweep(&d, m->main);
    *changed = d.changed;
    return OK;
}
