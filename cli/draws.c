/* draws.c: the model is loaded once more and simplified with its scalar inputs as constants: a
 * Dropout that does not train, or has nothing to drop, is gone then. Whatever an operator computes
 * from a draw counts as drawn. */
#include "cli/draws.h"
#include "cli/tensors.h"
#include "ir/op.h"
#include "passes/pass.h"

/* Operators that hold regions are judged by what is in them. */
static bool may_draw(const Node *n)
{
    return n->kind == NODE_OP && !n->op->holder && !n->n_region && !(n->op->traits & OP_PURE);
}

static Status note_draw(void *context, Node *n)
{
    if (may_draw(n)) *(bool *)context = true;
    return OK;
}

bool draws_possible(Module *m)
{
    bool found = false;

    return module_visit(m, note_draw, &found) != OK || found;
}

/* ---- what depends on a draw: Value.mark ---- */

static Status clear(void *context, Node *n)
{
    (void)context;
    for (int k = 0; k < n->n_out; k++)
        if (n->out[k]) n->out[k]->mark = 0;
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i]) n->in[i]->mark = 0;
    return OK;
}

static bool reads_draw(const Node *n)
{
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i] && n->in[i]->mark) return true;
    return false;
}

static Status note_inner(void *context, Node *n)
{
    if (may_draw(n) || reads_draw(n)) *(bool *)context = true;
    return OK;
}

/* A region reads its holder's inputs by its arguments, and others directly. */
static Status mark_drawn(Region *r)
{
    for (Node *n = r->first; n; n = n->next) {
        bool drawn = may_draw(n) || reads_draw(n);
        for (int i = 0; i < n->n_region && !drawn; i++) {
            TRY(region_visit(n->region[i], note_inner, &drawn));
            for (int k = 0; k < n->region[i]->n_result; k++)
                drawn |= n->region[i]->result[k]->mark != 0;
        }
        for (int k = 0; k < n->n_out; k++)
            if (n->out[k]) n->out[k]->mark = drawn;
    }
    return OK;
}

/* ---- scalar inputs become constants ---- */

static void bind_scalars(Module *m, const ingot_tensor *in)
{
    for (int i = 0; i < m->main->n_arg; i++) {
        Value *v = m->main->arg[i];
        Tensor *t = in[i].data && ingot_tensor_elements(&in[i]) == 1
                        ? tensor_of_runtime(m->arena, &in[i])
                        : NULL;
        if (t && v->type.kind == TYPE_TENSOR && t->dtype == v->type.dtype &&
            t->rank == v->type.rank)
            value_replace(v, module_constant(m, t, v->name));
    }
    module_resolve(m);
}

static Status simplify(const Options *o, Module *m, Diag *d)
{
    static const char *const names[] = {"dims", "fold", "simplify"};
    TargetInfo target;
    PassOptions p;
    bool changed;

    TRY(session_passes(o, &target, &p, d));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        TRY(pass_run_one(m, names[i], &p, &changed, d));
    return OK;
}

static Status look(const Options *o, const char *model, const ingot_tensor *in, bool *out, Diag *d)
{
    Loaded loaded;
    Status s = session_load(o, model, &loaded, d);

    if (s == OK && in) bind_scalars(loaded.module, in);
    if (s == OK) s = simplify(o, loaded.module, d);
    if (s == OK) s = module_visit(loaded.module, clear, NULL);
    for (int k = 0; s == OK && k < loaded.module->main->n_result; k++)
        loaded.module->main->result[k]->mark = 0;
    if (s == OK) s = mark_drawn(loaded.module->main);
    for (int k = 0; s == OK && k < loaded.module->main->n_result; k++)
        out[k] = loaded.module->main->result[k]->mark != 0;
    frontend_close(&loaded);
    return s;
}

Status draws_outputs(const Options *o, const char *model, const ingot_tensor *in, bool *out,
                     Diag *d)
{
    Options own = *o;
    Status s;
    Diag quiet; /* the model was loaded before: its warnings are known */

    own.arena = arena_new(0);
    if (!own.arena) return diag(d, ERR_LIMIT, (Where){0}, "out of memory");
    own.level = (OptionINT){true, 2};
    own.skip_pass = own.dump = NULL;
    own.no_fold = own.time_passes = false;
    own.bisect_pass.given = false;
    diag_init(&quiet, own.arena);
    s = look(&own, model, in, out, &quiet);
    if (s != OK) s = diag(d, s, (Where){.file = model}, "cannot be simplified to find its draws");
    arena_free(own.arena);
    return s;
}
