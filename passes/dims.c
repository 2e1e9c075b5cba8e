/* dims.c: --dim NAME=VALUE into types: the symbol is replaced wherever a dim mentions it, and every
 * operator is inferred again, so that what follows from the value is known. */
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

static void fix_region(const Map *map, Region *r)
{
    Module *m = r->module;

    for (int i = 0; i < r->n_arg; i++)
        fix_type(map, m, r->arg[i]);
    for (Node *n = r->first; n; n = n->next) {
        for (int i = 0; i < n->n_region; i++)
            fix_region(map, n->region[i]);
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

Status pass_dims(PassContext *cx, Module *m, bool *changed)
{
    Map fixed;

    if (!cx->options->n_fix) return OK;
    map_init(&fixed, cx->scratch, false);
    for (int i = 0; i < cx->options->n_fix; i++) {
        const DimFix *f = &cx->options->fix[i];
        Dim symbol = map_get(&m->dims.symbols, f->name);

        if (!symbol || symbol->kind != DIM_SYM)
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
