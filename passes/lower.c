/* lower.c: operators to primitives.
 *
 *     %y = Softmax %x {axis=-1}      ->   kernels: max over the row, exp(x - max), sum, quotient
 *
 * Each operator node is replaced by what its row's `lower` builds in its place. A row may build
 * other operators; they stand before the next node and are met by the same walk. Ends because rows
 * lower to strictly simpler operators (a bound on steps turns a mistake there into ERR_BUG). All
 * that cannot be lowered is reported before giving up. */
#include "ir/op.h"
#include "passes/pass.h"

typedef struct Lower {
    PassContext *cx;
    int64_t steps, limit;
    Status failed;
    bool changed;
} Lower;

static Status lower_region(Lower *l, Region *r);

static Status lower_node(Lower *l, Node *n, Node **next)
{
    Module *m = n->parent->module;
    Build b = build_at(n->parent, n, n->origin, l->cx->diag);
    Value **out = ARENA_ARRAY(m->arena, Value *, n->n_out);
    Node *before = n->prev;
    Region *r = n->parent;
    Status s;

    if (++l->steps > l->limit)
        return diag(l->cx->diag, ERR_BUG, node_where(n), "lowering does not end");
    s = op_lower(&b, n, out);
    if (s == ERR_UNSUPPORTED) { /* report the others too */
        l->failed = s;
        *next = n->next;
        return OK;
    }
    TRY(s);
    for (int k = 0; k < n->n_out; k++) {
        if (!n->out[k]) continue;
        if (!out[k]->name) out[k]->name = n->out[k]->name;
        if (!out[k]->contents) out[k]->contents = n->out[k]->contents;
        value_replace(n->out[k], out[k]);
    }
    node_unlink(n);
    *next = before ? before->next : r->first;
    l->changed = true;
    return OK;
}

static void resolve_inputs(Node *n)
{
    for (int i = 0; i < n->n_in; i++)
        n->in[i] = value_resolve(n->in[i]);
}

/* If and Loop stay, with their regions lowered. */
static Status lower_holder(Lower *l, Node *n)
{
    if (n->kind == NODE_OP && n->op->holder) n->kind = n->op->holder;
    for (int i = 0; i < n->n_region; i++)
        TRY(lower_region(l, n->region[i]));
    return OK;
}

static Status lower_region(Lower *l, Region *r)
{
    for (Node *n = r->first, *next; n; n = next) {
        resolve_inputs(n);
        next = n->next;
        if (n->kind == NODE_OP && !n->op->holder)
            TRY(lower_node(l, n, &next));
        else
            TRY(lower_holder(l, n));
    }
    for (int i = 0; i < r->n_result; i++)
        r->result[i] = value_resolve(r->result[i]);
    return OK;
}

static Status count_node(void *context, Node *n)
{
    (void)n;
    ++*(int64_t *)context;
    return OK;
}

Status pass_lower(PassContext *cx, Module *m, bool *changed)
{
    Lower l = {.cx = cx};
    int64_t nodes = 0;

    TRY(module_visit(m, count_node, &nodes));
    l.limit = nodes * 100 + 10000;
    TRY(lower_region(&l, m->main));
    module_resolve(m);
    *changed = l.changed;
    return l.failed;
}
