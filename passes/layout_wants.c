/* layout_wants.c: whose readers want channels last.
 *
 * A convolution alone among operators that have no order of their own, whose operand has channels
 * outside and whose result nobody reads as rows of channels, would be transposed twice for its own
 * sake. Where planes are as good to it (depthwise, or few channels), it stays as it is unless one
 * of its results' readers gains: a product over channels, a transposition that puts them innermost,
 * an operation together with what has them there. Reachable through whatever follows its operands.
 */
#include "passes/layout.h"

typedef struct Wants {
    Map *wanted, *windows; /* Value * -> itself */
    Map last;              /* values that will have channels last */
    SxTable *t;
} Wants;

static bool is_in(Map *m, const Value *v)
{
    return v && map_get(m, v) != NULL;
}

static void add(Map *m, Value *v)
{
    if (v && !v->data && v->type.rank >= 3) map_set(m, v, v);
}

static bool any_in(Map *m, Value *const *v, int n)
{
    for (int i = 0; i < n; i++)
        if (is_in(m, v[i])) return true;
    return false;
}

static void add_all(Map *m, Value *const *v, int n)
{
    for (int i = 0; i < n; i++)
        add(m, v[i]);
}

static bool follows(const Node *n)
{
    return n->kind == NODE_KERNEL || n->kind == NODE_CONCAT || n->kind == NODE_RESHAPE;
}

static Status note_last(void *context, Node *n)
{
    Wants *w = context;
    ConvOrder c;
    SampleOrder at;

    if (!follows(n)) return OK;
    if (n->kind == NODE_KERNEL && layout_samples(n, NULL, NULL, &at))
        add_all(&w->last, n->out, n->n_out);
    if (n->kind == NODE_KERNEL && layout_convolution(n, &c) && !c.depthwise) {
        if (!c.thin) add_all(&w->last, n->out, n->n_out);
    } else if (any_in(&w->last, n->in, n->n_in)) {
        add_all(&w->last, n->out, n->n_out);
    }
    return OK;
}

/* ---- transpositions ---- */

typedef struct Innermost {
    Wants *w;
    const Node *n;
    int index; /* of the domain */
} Innermost;

static void note_turned(void *context, const Sx *e)
{
    Innermost *x = context;
    int n = e->n - (e->guarded ? 1 : 0);

    if (e->op != SX_LOAD || e->src < 0 || e->flat || n < 3) return;
    if (sx_uses_index(x->w->t, e->arg[n - 1], x->index)) return;
    for (int i = 0; i < n - 1; i++)
        if (sx_uses_index(x->w->t, e->arg[i], x->index)) add(x->w->wanted, x->n->in[e->src]);
}

static void note_transposition(Wants *w, const Node *n)
{
    const Stage *s = &n->kernel->stage[0];
    Innermost x = {w, n, s->rank - 1};

    if (n->kernel->n_stage != 1) return;
    while (x.index >= 0 && dim_is(s->extent[x.index], 1))
        x.index--;
    if (x.index >= 0) stage_visit_exprs(w->t, s, note_turned, &x);
}

/* ---- from the last reader to the first ---- */

/* Elements are what they were, or each is made of few. */
static bool is_map(const Node *n)
{
    return n->kind != NODE_KERNEL || (n->kernel->n_stage == 1 && !n->kernel->stage[0].n_acc);
}

static void note_wanted(Wants *w, const Node *n)
{
    ConvOrder c;
    SampleOrder at;

    if (!follows(n)) return;
    if (n->kind == NODE_KERNEL && layout_convolution(n, &c)) {
        bool planes = c.depthwise ? c.planes && !is_in(w->wanted, n->out[0]) : c.few || c.thin;
        if (planes) return;
        add(w->wanted, n->in[c.src]);
        add(w->windows, n->in[c.src]);
        return;
    }
    if (n->kind == NODE_KERNEL && layout_samples(n, NULL, NULL, &at)) {
        add(w->wanted, n->in[at.src]);
        add(w->windows, n->in[at.src]);
    }
    if (n->kind == NODE_KERNEL) note_transposition(w, n);
    if (is_map(n) && any_in(w->windows, n->out, n->n_out)) add_all(w->windows, n->in, n->n_in);
    if (any_in(w->wanted, n->out, n->n_out)) add_all(w->wanted, n->in, n->n_in);
    for (int i = 0; i < n->n_in; i++)
        for (int k = 0; k < n->n_in && is_in(&w->last, n->in[i]); k++)
            if (n->in[k] != n->in[i]) add(w->wanted, n->in[k]);
}

static void walk(Wants *w, const Region *r)
{
    for (const Node *n = r->last; n; n = n->prev) {
        for (int i = 0; i < n->n_region; i++)
            walk(w, n->region[i]);
        note_wanted(w, n);
    }
}

Status layout_wants(PassContext *cx, Module *m, Map *wanted, Map *windows)
{
    Wants w = {.wanted = wanted, .windows = windows, .t = &m->sx};

    map_init(wanted, cx->scratch, false);
    map_init(windows, cx->scratch, false);
    map_init(&w.last, cx->scratch, false);
    TRY(module_visit(m, note_last, &w));
    walk(&w, m->main);
    return OK;
}
