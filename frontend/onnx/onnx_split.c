/* onnx_split.c: an If whose branches give one value different ranks.
 *
 * Everything else here knows ranks while compiling. Where it is only known at run time which of two
 * ranks a value has, what comes behind the If is imported twice, once for each branch, and each
 * time with the rank of that branch:
 *
 *     v = If(c) { a : f32[n]  |  b : f32[n,1] }          w = If(c) { a; w' = rest(a)  |
 *     w = rest(v)                                 ->                b; w' = rest(b) }
 *
 * Often the rest has no meaning for one of the ranks (the model has an LSTM behind it). Then the
 * model can only run when the condition goes the other way: that is checked at run time, and the
 * other branch with its rest stands in the graph without any If. */
#include <string.h>

#include "frontend/onnx/onnx_import.h"

typedef struct Way {
    Region *rest; /* what comes behind, with this branch's values */
    Scope *scope;
    Status status;
} Way;

bool split_needed(const Node *n)
{
    if (n->kind != NODE_OP || n->op->holder != NODE_IF || n->n_region != 2) return false;
    for (int k = 0; k < n->n_out; k++) {
        const Value *v = n->out[k];
        if (!v || v->type.kind != TYPE_TENSOR || v->type.rank != RANK_UNKNOWN) continue;
        const Type *a = &n->region[0]->result[k]->type, *b = &n->region[1]->result[k]->type;
        if (a->kind == TYPE_TENSOR && b->kind == TYPE_TENSOR && a->rank != b->rank &&
            a->rank >= 0 && b->rank >= 0)
            return true;
    }
    return false;
}

static void append_nodes(Region *to, Region *from)
{
    for (Node *n = from->first; n; n = n->next)
        n->parent = to;
    if (!from->first) return;
    from->first->prev = to->last;
    if (to->last)
        to->last->next = from->first;
    else
        to->first = from->first;
    to->last = from->last;
    from->first = from->last = NULL;
}

/* What is called by the results of `n` in `scope` are those of branch b in `into`. The node of the
 * file may be the call of a function, which gives other values too. */
static void name_results(const Node *n, int b, const Rest *rest, const Scope *scope, Scope *into)
{
    for (size_t k = 0; k < rest->split->n_output; k++) {
        const char *name = rest->split->output[k];
        const Value *v = *name ? scope_find(scope, name) : NULL;
        for (int i = 0; v && i < n->n_out; i++)
            if (n->out[i] == v) map_set(&into->values, name, n->region[b]->result[i]);
    }
}

/* The rest, where the results of `n` are those of branch b. Faults are not told. */
static Way try_way(Importer *im, const Node *n, int b, const Rest *rest, const Scope *scope)
{
    Way w = {.rest = region_new(im->module, n->parent->holder), .scope = scope_new(im, scope)};
    Diag *told = im->diag, quiet;
    void *before = squeeze_answer(im, n, b);

    name_results(n, b, rest, scope, w.scope);
    diag_init(&quiet, im->scratch);
    im->diag = im->tensors.diag = &quiet;
    im->tentative++;
    im->depth++;
    w.status = im->depth > im->options->max_depth
                   ? diag(im->diag, ERR_LIMIT, node_where(n), "too many values of unknown rank")
                   : import_rest(im, w.rest, rest, w.scope);
    im->depth--;
    im->tentative--;
    im->diag = im->tensors.diag = told;
    squeeze_forget(im, n, before);
    for (size_t i = 0; i < rest->n_want && w.status == OK; i++) {
        Value *v = scope_find(w.scope, rest->want[i]);
        if (!v || v == im->poison || v == im->absent) w.status = ERR_MODEL;
    }
    if (w.status != OK && w.status != ERR_MODEL && w.status != ERR_UNSUPPORTED)
        diag_merge(told, &quiet);
    return w;
}

/* At run time the condition must be the one of branch b. */
static Status require_way(Importer *im, Node *n, int b)
{
    Build build = build_at(n->parent, n, n->origin, im->diag);
    Attr to = attr_of_int("to", dtype_onnx(DT_I64));
    Value *taken = build_op(&build, "Cast", 1, n->in, 1, &to);

    build_bind(&build, taken, 0, "if", b == 0, b == 0);
    return build.status;
}

/* Branch b is the only one that can be: its nodes and its rest, behind a check of the condition.
 * Not of a Squeeze: that checks the dims it takes away, and one that is 1 may stay where nothing
 * else has a meaning. */
static Status take_way(Importer *im, Node *n, int b, Way *w, const Rest *rest, Scope *scope)
{
    Region *r = n->parent;

    if (!squeeze_asked(im, n)) TRY(require_way(im, n, b));
    name_results(n, b, rest, scope, scope);
    for (size_t i = 0; i < rest->n_want; i++)
        map_set(&scope->values, rest->want[i], scope_find(w->scope, rest->want[i]));
    node_unlink(n);
    append_nodes(r, n->region[b]);
    append_nodes(r, w->rest);
    return OK;
}

/* Both can be: an If of both branches, each with its rest. Its outputs are the values wanted. */
static Status take_both(Importer *im, Node *n, Way *w, const Rest *rest, Scope *scope)
{
    size_t *place = arena_try(im->scratch, rest->n_want, sizeof *place);
    int n_out = 0;

    if (!place) return import_limits(im);
    for (size_t i = 0; i < rest->n_want; i++)
        if (scope_find(w[0].scope, rest->want[i]) != scope_find(w[1].scope, rest->want[i]))
            place[n_out++] = i;
    Node *both = node_new(n->parent, n, NODE_OP, n->n_in, n->in, n_out, n->origin);
    both->op = n->op;
    both->attr = n->attr;
    both->n_attr = n->n_attr;
    for (int b = 0; b < 2; b++) {
        Region *r = node_add_region(both);
        append_nodes(r, n->region[b]);
        append_nodes(r, w[b].rest);
        for (int k = 0; k < n_out; k++)
            region_add_result(r, scope_find(w[b].scope, rest->want[place[k]]));
    }
    for (size_t i = 0; i < rest->n_want; i++)
        map_set(&scope->values, rest->want[i], scope_find(w[0].scope, rest->want[i]));
    for (int k = 0; k < n_out; k++) {
        both->out[k]->name = import_name(im, rest->want[place[k]]);
        map_set(&scope->values, rest->want[place[k]], both->out[k]);
    }
    node_unlink(n);
    Infer cx = {.module = im->module, .diag = im->diag};
    Build before = build_at(both->parent, both, both->origin, im->diag);
    cx.build = &before;
    return op_infer(&cx, both);
}

static bool is_fatal(Status s)
{
    return s != OK && s != ERR_MODEL && s != ERR_UNSUPPORTED;
}

/* Neither can be: the rest with a dim that is more than 1, for what is wrong with it. */
static Status tell_faults(Importer *im, Node *n, const Rest *rest, Scope *scope)
{
    Scope *inner = scope_new(im, scope);
    void *before = squeeze_answer(im, n, 1);
    Status s = import_rest(im, n->parent, rest, inner);

    squeeze_forget(im, n, before);
    node_unlink(n);
    for (size_t i = 0; i < rest->n_want && s == OK; i++)
        if (scope_find(inner, rest->want[i]))
            map_set(&scope->values, rest->want[i], scope_find(inner, rest->want[i]));
    return s;
}

Status import_split(Importer *im, Node *n, const Rest *rest, Scope *scope, bool *done)
{
    Way w[2];

    *done = true;
    for (int b = 0; b < 2; b++) {
        w[b] = try_way(im, n, b, rest, scope);
        if (is_fatal(w[b].status)) return w[b].status;
    }
    if (w[0].status == OK && w[1].status == OK) return take_both(im, n, w, rest, scope);
    for (int b = 0; b < 2; b++)
        if (w[b].status == OK) return take_way(im, n, b, &w[b], rest, scope);
    if (squeeze_asked(im, n)) return tell_faults(im, n, rest, scope);
    *done = false; /* go on with a value of unknown rank, and tell what is wrong with that */
    return OK;
}
