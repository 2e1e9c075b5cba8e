/* fold.c: constants, by the evaluator.
 *
 *     %c = Add 1 2   ->   3
 *
 * A pure operator whose inputs are constants is replaced by its results, if none is larger than the
 * limit and the result is not much larger than what went in (a ConstantOfShape of a gigabyte stays
 * code). An integer result whose contents are all constant dims is replaced too: that is how shape
 * arithmetic disappears. The evaluator gives the same bits on every host. Ends: every change
 * removes the readers of one operator node. */
#include "ir/eval.h"
#include "passes/pass.h"

typedef struct Fold {
    PassContext *cx;
    size_t limit;
    bool changed;
} Fold;

enum { SMALL_RESULT = 1 << 16, GROWTH = 2 };

static bool inputs_constant(const Node *n, size_t *bytes)
{
    *bytes = 0;
    for (int i = 0; i < n->n_in; i++) {
        if (!n->in[i]) continue;
        if (!n->in[i]->data) return false;
        *bytes += n->in[i]->data->bytes;
    }
    return true;
}

static bool read_by_someone(const Node *n)
{
    for (int k = 0; k < n->n_out; k++)
        if (n->out[k] && n->out[k]->uses) return true;
    return false;
}

/* Size of the results when their dims are constant: so that nothing huge is computed only to be
 * thrown away. */
static bool results_small(const Fold *f, const Node *n, size_t inputs)
{
    for (int k = 0; k < n->n_out; k++) {
        const Value *v = n->out[k];
        int64_t dims[MAX_RANK], count;
        size_t bytes;

        if (!v || v->type.kind != TYPE_TENSOR || v->type.rank == RANK_UNKNOWN) continue;
        for (int i = 0; i < v->type.rank; i++) {
            if (!dim_is_const(v->type.dim[i])) goto open;
            dims[i] = v->type.dim[i]->value;
        }
        if (!tensor_size(v->type.dtype, v->type.rank, dims, &count, &bytes)) return false;
        if (bytes > f->limit || bytes > SMALL_RESULT + GROWTH * inputs) return false;
    open:;
    }
    return true;
}

static void replace_out(Fold *f, Node *n, int k, const Tensor *t)
{
    Value *c = module_constant(n->parent->module, t, n->out[k]->name);

    value_replace(n->out[k], c);
    n->out[k]->uses = 0;
    f->changed = true;
}

static Status fold_by_value(Fold *f, Node *n, size_t inputs)
{
    Arena *a = n->parent->module->arena;
    const Tensor **in = ARENA_ARRAY(f->cx->scratch, const Tensor *, n->n_in);
    Tensor **out = ARENA_ARRAY(f->cx->scratch, Tensor *, n->n_out);
    Diag quiet;
    Status s;

    if (!results_small(f, n, inputs)) return OK;
    for (int i = 0; i < n->n_in; i++)
        in[i] = n->in[i] ? n->in[i]->data : NULL;
    diag_init(&quiet, f->cx->scratch);
    s = eval_node(n, a, in, out, &quiet);
    if (s == ERR_UNSUPPORTED || s == ERR_LIMIT) return OK; /* stays as code */
    if (s != OK) {
        /* Nodes of a branch that is never taken may be wrong; if this one runs, it fails then. */
        diag_note(f->cx->diag, node_where(n), "%s: constant operands that the operator refuses",
                  n->op->name);
        return OK;
    }
    for (int k = 0; k < n->n_out; k++)
        if (n->out[k] && out[k] && n->out[k]->type.kind == TYPE_TENSOR)
            replace_out(f, n, k, out[k]);
    return OK;
}

static void fold_by_contents(Fold *f, Node *n)
{
    for (int k = 0; k < n->n_out; k++) {
        Value *v = n->out[k];
        int64_t count = 1;
        Tensor *t;

        if (!v || !v->contents || !v->uses || v->type.rank > 1) continue;
        if (v->type.rank == 1) count = v->type.dim[0]->value;
        for (int64_t i = 0; i < count; i++)
            if (!dim_is_const(v->contents[i])) goto open;
        t = tensor_new(n->parent->module->arena, v->type.dtype, v->type.rank, &count);
        for (int64_t i = 0; t && i < count; i++)
            tensor_set_int(t, i, v->contents[i]->value);
        if (t && pass_accept(f->cx)) replace_out(f, n, k, t);
    open:;
    }
}

static size_t fold_limit(const PassOptions *o)
{
    return o->fold_limit ? o->fold_limit : 64u << 20;
}

static Status fold_node(void *context, Node *n)
{
    Fold *f = context;
    size_t inputs;

    for (int i = 0; i < n->n_in; i++)
        n->in[i] = value_resolve(n->in[i]);
    if (n->kind != NODE_OP || n->n_region || !(n->op->traits & OP_PURE) || !read_by_someone(n))
        return OK;
    fold_by_contents(f, n);
    if (read_by_someone(n) && inputs_constant(n, &inputs) && pass_accept(f->cx))
        return fold_by_value(f, n, inputs);
    return OK;
}

Status fold_one(PassContext *cx, Node *n, bool *changed)
{
    Fold f = {.cx = cx, .limit = fold_limit(cx->options)};

    if (cx->options->no_fold) return OK;
    TRY(fold_node(&f, n));
    *changed |= f.changed;
    return OK;
}

Status pass_fold(PassContext *cx, Module *m, bool *changed)
{
    Fold f = {.cx = cx, .limit = fold_limit(cx->options)};

    if (cx->options->no_fold) return OK;
    TRY(module_visit(m, fold_node, &f));
    module_resolve(m);
    *changed = f.changed;
    return OK;
}
