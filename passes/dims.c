/* dims.c: --dim NAME=VALUE: the symbol is replaced wherever a type, contents or a kernel (inference
 * makes some: checks of what only the run can tell) mentions it. */
#include "ir/kernel.h"
#include "ir/op.h"
#include "passes/pass.h"

static void fix_type(const Map *map, Module *m, Value *v)
{
    Dim *dims;

    if (!v || v->type.kind != TYPE_TENSOR || v->type.rank <= 0) return;
    dims = ARENA_ARRAY(m->arena, Dim, v->type.rank);
    for (int i = 0; i < v->type.rank; i++)
        dims[i] = dim_substitute(&m->dims, v->type.dim[i], map);
    v->type.dim = dims;
}

static void fix_contents(const Map *map, Module *m, Value *v)
{
    int64_t n;
    Dim *dims;

    if (!v || !v->contents || v->type.rank > 1) return;
    n = v->type.rank == 1 ? v->type.dim[0]->value : 1;
    dims = ARENA_ARRAY(m->arena, Dim, n);
    for (int64_t i = 0; i < n; i++)
        dims[i] = dim_substitute(&m->dims, v->contents[i], map);
    v->contents = dims;
}

static void fix_list(const Map *map, Module *m, int n, Dim *d)
{
    for (int i = 0; i < n; i++)
        d[i] = dim_substitute(&m->dims, d[i], map);
}

typedef struct FixSx {
    Module *m;
    const Map *map;
} FixSx;

static const Sx *fix_leaf(void *context, const Sx *leaf)
{
    FixSx *x = context;

    if (leaf->op != SX_DIM) return NULL;
    return sx_dim(&x->m->sx, dim_substitute(&x->m->dims, leaf->dim, x->map));
}

static void fix_sx(FixSx *x, const Sx **e)
{
    if (*e) *e = sx_rewrite(&x->m->sx, *e, fix_leaf, x);
}

static void fix_kernel(const Map *map, Module *m, Kernel *k)
{
    FixSx x = {m, map};

    for (Stage *s = k->stage; s < k->stage + k->n_stage; s++) {
        fix_list(map, m, s->rank, s->extent);
        fix_list(map, m, s->n_reduce, s->reduce);
        for (int i = 0; i < s->n_acc; i++) {
            fix_sx(&x, &s->acc[i].body);
            fix_sx(&x, &s->acc[i].body2);
            fix_sx(&x, &s->acc[i].where);
        }
        for (int i = 0; i < s->n_out; i++) {
            fix_sx(&x, &s->out[i].value);
            fix_sx(&x, &s->out[i].dst_guard);
            for (int j = 0; j < s->out[i].n_dst; j++)
                fix_sx(&x, &s->out[i].dst[j]);
        }
    }
}

static void fix_region(const Map *map, Region *r)
{
    Module *m = r->module;

    for (int i = 0; i < r->n_arg; i++)
        fix_type(map, m, r->arg[i]);
    for (Node *n = r->first; n; n = n->next) {
        for (int i = 0; i < n->n_region; i++)
            fix_region(map, n->region[i]);
        if (n->kind == NODE_KERNEL) fix_kernel(map, m, n->kernel);
        for (int k = 0; k < n->n_out; k++) {
            fix_type(map, m, n->out[k]);
            fix_contents(map, m, n->out[k]);
        }
    }
}

void module_substitute(Module *m, const Map *map)
{
    fix_region(map, m->main);
}

static void is_mentioned(void *context, Dim symbol)
{
    Dim *wanted = context;
    if (*wanted == symbol) *wanted = NULL;
}

/* Only what callers choose can be fixed: a size that data tells is bound at run time. */
static bool is_of_inputs(const Module *m, Dim symbol)
{
    for (int i = 0; i < m->main->n_arg; i++) {
        const Type *t = &m->main->arg[i]->type;
        for (int k = 0; t->kind == TYPE_TENSOR && k < t->rank; k++)
            dim_symbols(t->dim[k], is_mentioned, &symbol);
    }
    return !symbol;
}

Status pass_dims(PassContext *cx, Module *m, bool *changed)
{
    Map fixed;

    if (!cx->options->n_fix) return OK;
    map_init(&fixed, cx->scratch, false);
    for (int i = 0; i < cx->options->n_fix; i++) {
        const DimFix *f = &cx->options->fix[i];
        Dim symbol = map_get(&m->dims.symbols, f->name);

        if (!symbol || symbol->kind != DIM_SYM || !is_of_inputs(m, symbol))
            return diag(cx->diag, ERR_USAGE, (Where){.file = m->file},
                        "--dim %s=%lld: the model has no open dim of that name", f->name,
                        (long long)f->value);
        if (f->value < symbol->lo || f->value > symbol->hi)
            return diag(cx->diag, ERR_USAGE, (Where){.file = m->file},
                        "--dim %s=%lld: the value must be within [%lld, %lld]", f->name,
                        (long long)f->value, (long long)symbol->lo, (long long)symbol->hi);
        map_set(&fixed, symbol, (void *)(uintptr_t)dim_const(&m->dims, f->value));
        *changed = true;
    }
    module_substitute(m, &fixed);
    return OK;
}
