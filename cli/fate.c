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

/* An importer may build several nodes for one of the file: what any of them may call. */
static void allow_calls(Fate *f, const Node *n)
{
    const char *key = origin_key(f->arena, n->origin);

    map_set(&f->calls, key, (void *)((uintptr_t)map_get(&f->calls, key) | n->op->calls));
}

static Status remember(void *context, Node *n)
{
    Fate *f = context;

    if (n->kind != NODE_OP && n->kind != NODE_IF && n->kind != NODE_LOOP) return OK;
    for (const Origin *o = n->origin; o; o = o->next)
        map_set(&f->node, origin_key(f->arena, o), (void *)(uintptr_t)o);
    if (n->op) {
        map_set(&f->used, n->op, (void *)(uintptr_t)n->op);
        if (n->origin) allow_calls(f, n);
    }
    f->n_node++;
    return OK;
}

Status fate_begin(Fate *f, Module *m, Arena *arena)
{
    *f = (Fate){.arena = arena};
    map_init(&f->node, arena, true);
    map_init(&f->calls, arena, true);
    map_init(&f->used, arena, false);
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

/* Calls that no row allows of the operators where they come from. Those of users are their own. */
static Status tell_undeclared(void *context, Node *n)
{
    const Count *c = context;
    Call call = n->kind == NODE_CALL ? call_find(n->call->name) : N_CALLS;

    if (n->kind != NODE_CALL || str_starts(n->call->name, "user_")) return OK;
    for (const Origin *o = n->origin; o && call < N_CALLS; o = o->next)
        if ((uintptr_t)map_get(&c->fate->calls, origin_key(c->fate->arena, o)) >> call & 1)
            return OK;
    json_string(c->j, arena_printf(c->fate->arena, "%s of %s", n->call->name,
                                   n->origin && n->origin->op ? n->origin->op : "?"));
    return OK;
}

static void tell_used(const Fate *f, Json *j)
{
    const void *key;
    void *value;

    json_key(j, "used");
    json_array(j);
    for (size_t i = 0; map_next(&f->used, &i, &key, &value);) {
        const OpDef *op = value;
        json_string(j,
                    arena_printf(f->arena, "%s/%s", op->domain ? op->domain : "ai.onnx", op->name));
    }
    json_end_array(j);
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
    tell_used(f, j);
    TRY(list(&c, fused, "kernels", NODE_KERNEL));
    TRY(list(&c, fused, "calls", NODE_CALL));
    json_key(j, "undeclared_calls");
    json_array(j);
    TRY(module_visit(fused, tell_undeclared, &c));
    json_end_array(j);
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
