/* simplify.c: what equals a value that is there: each operator is asked for a simpler equal
 * (OpDef.simplify), until nothing changes. An If whose condition is a constant becomes its branch.
 *
 * Ends because rows only give values that are strictly simpler; a bound on rounds guards against a
 * mistake there. */
#include "ir/op.h"
#include "passes/pass.h"

typedef struct Simplify {
    PassContext *cx;
    bool changed, round;
    Map symbols; /* to be replaced when the walk is done: symbol -> Dim */
} Simplify;

/* Symbols that the If defined for dims on which its branches disagree are now the taken branch's
 * dims. */
static void note_symbols(Simplify *s, const Node *n, const Type *was, const Type *is)
{
    if (was->kind != TYPE_TENSOR || is->kind != TYPE_TENSOR || was->rank != is->rank) return;
    for (int i = 0; i < was->rank; i++)
        for (int k = 0; k < n->n_define; k++)
            if (was->dim[i] == n->define[k] && is->dim[i] != was->dim[i])
                map_set(&s->symbols, was->dim[i], (void *)(uintptr_t)is->dim[i]);
}

/* Move the taken branch in front of the If. */
static void take_branch(Simplify *s, Node *n)
{
    Region *branch = n->region[tensor_int(n->in[0]->data, 0) ? 0 : 1];
    Region *r = n->parent;

    for (Node *b = branch->first, *next; b; b = next) {
        next = b->next;
        node_unlink(b);
        b->parent = r;
        b->next = n;
        b->prev = n->prev;
        if (n->prev)
            n->prev->next = b;
        else
            r->first = b;
        n->prev = b;
    }
    for (int k = 0; k < n->n_out; k++) {
        if (!n->out[k]) continue;
        note_symbols(s, n, &n->out[k]->type, &value_resolve(branch->result[k])->type);
        value_replace(n->out[k], branch->result[k]);
    }
    node_unlink(n);
    s->round = true;
}

static bool is_if(const Node *n)
{
    return n->kind == NODE_IF || (n->kind == NODE_OP && n->op->holder == NODE_IF);
}

/* After operands changed, types may be better known: infer again. */
static Status refresh(Simplify *s, Node *n)
{
    Build b = build_at(n->parent, n, n->origin, s->cx->diag);
    Infer cx = {.module = n->parent->module, .build = &b, .diag = s->cx->diag};

    if (n->kind != NODE_OP || n->op->holder) return OK;
    for (int k = 0; k < n->n_out; k++)
        if (n->out[k] && n->out[k]->type.kind == TYPE_UNKNOWN) return op_infer(&cx, n);
    return OK;
}

static bool any(Value *const *v, int count)
{
    for (int k = 0; k < count; k++)
        if (v[k]) return true;
    return false;
}

static bool read_by_someone(const Node *n)
{
    for (int k = 0; k < n->n_out; k++)
        if (n->out[k] && n->out[k]->uses) return true;
    return false;
}

static void replace_out(Simplify *s, Value *out, Value *v)
{
    if (!v->name) v->name = out->name;
    v->uses += out->uses;
    out->uses = 0;
    value_replace(out, v);
    s->round = true;
}

static Status ask_row(Simplify *s, Node *n)
{
    Build b = build_at(n->parent, n, n->origin, s->cx->diag);
    Value **v = ARENA_ARRAY(s->cx->scratch, Value *, n->n_out);

    n->op->simplify(&b, n, v);
    TRY(b.status);
    for (int k = 0; k < n->n_out; k++)
        if (v[k] == n->out[k] || (n->out[k] && !n->out[k]->uses)) v[k] = NULL;
    if (!any(v, n->n_out) || !pass_accept(s->cx)) return OK;
    for (int k = 0; k < n->n_out; k++)
        if (v[k] && n->out[k]) replace_out(s, n->out[k], v[k]);
    return OK;
}

static Status simplify_node(void *context, Node *n)
{
    Simplify *s = context;

    for (int i = 0; i < n->n_in; i++)
        n->in[i] = value_resolve(n->in[i]);
    TRY(refresh(s, n));
    TRY(fold_one(s->cx, n, &s->round));
    if (is_if(n) && n->in[0]->data && pass_accept(s->cx)) {
        take_branch(s, n);
        return OK;
    }
    if (n->kind != NODE_OP || !n->op->simplify || !read_by_someone(n)) return OK;
    return ask_row(s, n);
}

enum { ROUNDS = 16 };

Status pass_simplify(PassContext *cx, Module *m, bool *changed)
{
    Simplify s = {.cx = cx};

    for (int i = 0; i < ROUNDS; i++) {
        s.round = false;
        map_init(&s.symbols, cx->scratch, false);
        analysis_uses(m);
        TRY(module_visit(m, simplify_node, &s));
        module_resolve(m);
        if (s.symbols.count) module_substitute(m, &s.symbols);
        s.changed |= s.round;
        if (!s.round) break;
    }
    *changed = s.changed;
    return OK;
}
