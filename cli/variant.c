/* variant.c: a model compiled in one way. */
#include "cli/variant.h"

#include <string.h>

#include "support/checked.h"

/* ---- intermediates as outputs ---- */

typedef struct Adder {
    Module *m;
    Map there; /* values that are results */
} Adder;

/* Bodies of branches and loops stay what they are: their values are not there at the end. */
static bool can_be_output(const Adder *a, const Node *n, const Value *v)
{
    return v && n->parent == a->m->main && v->type.kind == TYPE_TENSOR && v->type.rank >= 0 &&
           v->type.dtype != DT_NONE && !map_has(&a->there, v);
}

static Status add_outputs_of(void *context, Node *n)
{
    Adder *a = context;

    for (int k = 0; k < n->n_out; k++) {
        if (!can_be_output(a, n, n->out[k])) continue;
        map_set(&a->there, n->out[k], n->out[k]);
        region_add_result(a->m->main, n->out[k]);
    }
    return OK;
}

static Status add_outputs(Module *m)
{
    Adder a = {.m = m};
    int before = m->main->n_result;
    const char **names;

    map_init(&a.there, m->arena, false);
    for (int i = 0; i < before; i++)
        map_set(&a.there, m->main->result[i], m->main->result[i]);
    TRY(module_visit(m, add_outputs_of, &a));
    names = ARENA_ARRAY(m->arena, const char *, m->main->n_result);
    for (int i = 0; i < m->main->n_result; i++) {
        const Value *v = m->main->result[i];
        names[i] = i < before ? m->output_name[i]
                   : v->name  ? v->name
                              : arena_printf(m->arena, "%%%d", v->id);
    }
    m->output_name = names;
    return OK;
}

/* ---- variants ---- */

Status variant_load(const Options *base, const char *model, bool tensors, Variant *out, Diag *d)
{
    *out = (Variant){.o = *base, .model = model, .tensors = tensors, .d = d};
    out->o.arena = arena_new(0);
    if (!out->o.arena) return diag(d, ERR_LIMIT, (Where){0}, "out of memory");
    TRY(session_load(&out->o, model, &out->loaded, d));
    return tensors ? add_outputs(out->loaded.module) : OK;
}

Status variant_make(Variant *v, const char *folder, const char *name)
{
    TRY(session_fuse(&v->o, v->loaded.module, v->d));
    return artifact_open(&v->o, v->loaded.module, folder, name, &v->artifact, v->d);
}

static Status copy_strings(ingot_string *s, int64_t n, Arena *arena, Diag *d)
{
    for (int64_t i = 0; i < n; i++) {
        char *bytes;
        if (s[i].n == 0) continue;
        bytes = s[i].n > 0 ? arena_try(arena, (size_t)s[i].n, 1) : NULL;
        if (!bytes) return diag(d, ERR_LIMIT, (Where){0}, "out of memory");
        memcpy(bytes, s[i].s, (size_t)s[i].n);
        s[i].s = bytes;
    }
    return OK;
}

static Status list_copy(const ingot_tensor *t, Arena *arena, ingot_tensor *out, Diag *d)
{
    const ingot_tensor *from = t->data;
    ingot_tensor *to = arena_try(arena, (size_t)t->dims[0] + 1, sizeof *to);

    if (!to) return diag(d, ERR_LIMIT, (Where){0}, "out of memory");
    for (int64_t i = 0; i < t->dims[0]; i++)
        TRY(tensor_copy(&from[i], arena, &to[i], d));
    *out = *t;
    out->data = to;
    return OK;
}

Status tensor_copy(const ingot_tensor *t, Arena *arena, ingot_tensor *out, Diag *d)
{
    int64_t n = ingot_tensor_elements(t);
    size_t bytes;
    DType dtype = dtype_from_onnx(t->dtype);

    if (ingot_tensor_is_list(t)) return list_copy(t, arena, out, d);
    *out = *t;
    if (n < 0 || dtype == DT_NONE || !checked_mul((size_t)n, (size_t)dtype_bytes(dtype), &bytes))
        return diag(d, ERR_BUG, (Where){0}, "an output has an impossible size");
    out->data = arena_try(arena, bytes ? bytes : 1, 1);
    if (!out->data) return diag(d, ERR_LIMIT, (Where){0}, "out of memory");
    if (bytes) memcpy(out->data, t->data, bytes);
    return dtype == DT_STRING ? copy_strings(out->data, n, arena, d) : OK;
}

Status variant_run(const Variant *v, int threads, const ingot_tensor *in, ingot_tensor *out,
                   Arena *arena)
{
    int n = v->loaded.module->main->n_result;
    ingot_tensor *lent = ARENA_ARRAY(arena, ingot_tensor, n);
    ingot_instance *instance;
    Status s;

    TRY(artifact_create(&v->artifact, threads, &instance, v->d));
    s = artifact_run(&v->artifact, instance, in, lent, v->d);
    for (int i = 0; i < n && s == OK; i++)
        s = tensor_copy(&lent[i], arena, &out[i], v->d);
    v->artifact.destroy(instance);
    return s;
}

void variant_close(Variant *v)
{
    artifact_close(&v->artifact);
    frontend_close(&v->loaded);
    arena_free(v->o.arena);
    v->o.arena = NULL;
}
