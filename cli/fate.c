/* fate.c: origins tell where a node comes from; whose origin is in no node of the fused graph was
 * folded into a constant, or found to be equal to another or unread. Origins are copied when nodes
 * fuse, so they are known by what they say. */
#include "cli/fate.h"

#include "ir/op.h"

static const char *origin_key(Arena *a, const Origin *o)
{
    return arena_printf(a, "%s\x01%s\x01%lld", o->op ? o->op : "", o->node ? o->node : "",
                        (long long)o->index);
}

static Status remember(void *context, Node *n)
{
    Fate *f = context;

    if (n->kind != NODE_OP && n->kind != NODE_IF && n->kind != NODE_LOOP) return OK;
    for (const Origin *o = n->origin; o; o = o->next)
        map_set(&f->node, origin_key(f->arena, o), (void *)(uintptr_t)o);
    f->n_node++;
    return OK;
}

Status fate_begin(Fate *f, Module *m, Arena *arena)
{
    *f = (Fate){.arena = arena};
    map_init(&f->node, arena, true);
    return module_visit(m, remember, f);
}

typedef struct Count {
    const Fate *fate;
    Json *j;
    Map left; /* Origin -> itself: still there */
    int kernels, calls;
    NodeKind kind;
} Count;

static void name_origins(Json *j, const Origin *first)
{
    json_key(j, "nodes");
    json_array(j);
    for (const Origin *o = first; o; o = o->next) {
        Text name;
        text_init(&name, j->text->arena);
        text_f(&name, "%s %s", o->op ? o->op : "?", o->node ? o->node : "");
        json_string(j, name.s);
    }
    json_end_array(j);
}

static Status tell(void *context, Node *n)
{
    Count *c = context;

    for (const Origin *o = n->origin; o; o = o->next)
        map_set(&c->left, origin_key(c->fate->arena, o), (void *)(uintptr_t)o);
    if (n->kind != c->kind) return OK;
    json_object(c->j);
    json_key(c->j, "name");
    json_string(c->j, n->kind == NODE_CALL ? n->call->name
                      : n->kernel->label   ? n->kernel->label
                                           : "kernel");
    name_origins(c->j, n->origin);
    json_end_object(c->j);
    return OK;
}

static Status list(Count *c, Module *m, const char *key, NodeKind kind)
{
    c->kind = kind;
    json_key(c->j, key);
    json_array(c->j);
    TRY(module_visit(m, tell, c));
    json_end_array(c->j);
    return OK;
}

Status fate_json(const Fate *f, Module *fused, Json *j)
{
    Count c = {.fate = f, .j = j};
    const void *key;
    void *value;

    map_init(&c.left, f->arena, true);
    json_key(j, "operators");
    json_int(j, f->n_node);
    TRY(list(&c, fused, "kernels", NODE_KERNEL));
    TRY(list(&c, fused, "calls", NODE_CALL));
    json_key(j, "folded");
    json_array(j);
    for (size_t i = 0; map_next(&f->node, &i, &key, &value);) {
        const Origin *o = value;
        if (!map_has(&c.left, key))
            json_string(
                j, arena_printf(f->arena, "%s %s", o->op ? o->op : "?", o->node ? o->node : ""));
    }
    json_end_array(j);
    return OK;
}

/* ---- random numbers ---- */

typedef struct Draws {
    Arena *arena;
    Map origin; /* of operators that may draw random numbers */
    bool found; /* one of them is still there */
} Draws;

/* Operators that hold regions are judged by what is in them. */
static Status note_impure(void *context, Node *n)
{
    Draws *x = context;

    if (n->kind != NODE_OP || n->n_region || n->op->traits & OP_PURE) return OK;
    for (const Origin *o = n->origin; o; o = o->next)
        map_set(&x->origin, origin_key(x->arena, o), (void *)(uintptr_t)o);
    return OK;
}

static Status find_impure(void *context, Node *n)
{
    Draws *x = context;

    for (const Origin *o = n->origin; o; o = o->next)
        if (map_has(&x->origin, origin_key(x->arena, o))) x->found = true;
    return OK;
}

static Status look_behind_passes(Draws *x, const Options *o, const char *model, Diag *d)
{
    Options own = *o;
    Loaded loaded;
    Status s;

    own.arena = x->arena;
    own.level = (OptionINT){true, 2};
    own.skip_pass = own.dump = NULL;
    own.no_fold = own.time_passes = false;
    own.bisect_pass.given = false;
    s = session_load(&own, model, &loaded, d);
    if (s == OK) s = session_fuse(&own, loaded.module, d);
    if (s == OK) s = module_visit(loaded.module, find_impure, x);
    frontend_close(&loaded);
    return s;
}

bool model_is_random(const Options *o, const char *model, Module *m)
{
    Draws x = {.arena = arena_new(0)};
    bool random = false;
    Diag quiet;

    if (!x.arena) return false;
    diag_init(&quiet, x.arena);
    map_init(&x.origin, x.arena, true);
    /* Dropout draws only while training: whether it does is known when it is simplified */
    if (module_visit(m, note_impure, &x) == OK && x.origin.count)
        random = look_behind_passes(&x, o, model, &quiet) != OK || x.found;
    arena_free(x.arena);
    return random;
}
