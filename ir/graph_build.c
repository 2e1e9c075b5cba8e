/* graph_build.c: modules, regions, nodes, values: making them and changing them. */
#include "ir/graph.h"

#include <string.h>

#include "ir/op.h"
#include "support/vec.h"

Module *module_new(Arena *arena, const char *file)
{
    Module *m = ARENA_NEW(arena, Module);

    m->arena = arena;
    m->file = file ? arena_strdup(arena, file) : "";
    m->name = "model";
    dims_init(&m->dims, arena);
    sx_init(&m->sx, arena, &m->dims);
    intern_init(&m->names, arena);
    m->main = region_new(m, NULL);
    return m;
}

Region *region_new(Module *m, Node *holder)
{
    Region *r = ARENA_NEW(m->arena, Region);

    r->module = m;
    r->holder = holder;
    return r;
}

static Value *value_new(Module *m, Type type)
{
    Value *v = ARENA_NEW(m->arena, Value);

    v->type = type;
    v->id = m->next_id++;
    return v;
}

Value *region_add_arg(Region *r, const char *name, Type type)
{
    Value *v = value_new(r->module, type);

    v->name = name;
    v->region = r;
    v->index = r->n_arg;
    VEC_PUSH(r->module->arena, r->arg, r->n_arg, r->cap_arg, v);
    return v;
}

void region_add_result(Region *r, Value *v)
{
    VEC_PUSH(r->module->arena, r->result, r->n_result, r->cap_result, v);
}

/* Small integer constants carry their elements as dims, so that shape arithmetic needs one path. */
enum { CONTENTS_LIMIT = 1024 };

static const Dim *constant_contents(Module *m, const Tensor *t)
{
    if (t->dtype != DT_I64 && t->dtype != DT_I32) return NULL;
    if (t->rank > 1 || t->count > CONTENTS_LIMIT) return NULL;
    Dim *dims = ARENA_ARRAY(m->arena, Dim, t->count);
    for (int64_t i = 0; i < t->count; i++)
        dims[i] = dim_const(&m->dims, tensor_int(t, i));
    return dims;
}

Value *module_constant(Module *m, const Tensor *t, const char *name)
{
    Dim *dims = ARENA_ARRAY(m->arena, Dim, t->rank);
    Value *v;

    for (int i = 0; i < t->rank; i++)
        dims[i] = dim_const(&m->dims, t->dim[i]);
    v = value_new(m, type_tensor(t->dtype, t->rank, dims));
    v->name = name;
    v->data = t;
    v->contents = constant_contents(m, t);
    return v;
}

static void link_before(Region *r, Node *n, Node *before)
{
    n->parent = r;
    n->next = before;
    n->prev = before ? before->prev : r->last;
    if (n->prev)
        n->prev->next = n;
    else
        r->first = n;
    if (before)
        before->prev = n;
    else
        r->last = n;
}

Node *node_new(Region *r, Node *before, NodeKind kind, int n_in, Value *const *in, int n_out,
               const Origin *origin)
{
    Module *m = r->module;
    Node *n = ARENA_NEW(m->arena, Node);

    n->kind = kind;
    n->id = m->next_id++;
    n->n_in = n_in;
    n->in = ARENA_ARRAY(m->arena, Value *, n_in);
    if (n_in) memcpy(n->in, in, sizeof *in * (size_t)n_in);
    n->n_out = n_out;
    n->out = ARENA_ARRAY(m->arena, Value *, n_out);
    for (int i = 0; i < n_out; i++) {
        n->out[i] = value_new(m, (Type){0});
        n->out[i]->def = n;
        n->out[i]->index = i;
    }
    n->origin = origin;
    link_before(r, n, before);
    return n;
}

Value *node_add_result(Node *n, Type type)
{
    Module *m = n->parent->module;
    Value **out = ARENA_ARRAY(m->arena, Value *, n->n_out + 1), *v = value_new(m, type);

    if (n->n_out) memcpy(out, n->out, sizeof *out * (size_t)n->n_out);
    v->def = n;
    v->index = n->n_out;
    out[n->n_out++] = v;
    n->out = out;
    return v;
}

Region *node_add_region(Node *n)
{
    Module *m = n->parent->module;
    Region **regions = ARENA_ARRAY(m->arena, Region *, n->n_region + 1);

    if (n->n_region) memcpy(regions, n->region, sizeof *regions * (size_t)n->n_region);
    regions[n->n_region] = region_new(m, n);
    n->region = regions;
    return regions[n->n_region++];
}

void node_unlink(Node *n)
{
    Region *r = n->parent;

    if (n->prev)
        n->prev->next = n->next;
    else
        r->first = n->next;
    if (n->next)
        n->next->prev = n->prev;
    else
        r->last = n->prev;
    n->prev = n->next = NULL;
    n->parent = NULL;
}

void region_move_nodes(Region *from, Region *to, Node *before)
{
    for (Node *n = from->first, *next; n; n = next) {
        next = n->next;
        node_unlink(n);
        link_before(to, n, before);
    }
}

static bool same_origin(const Origin *a, const Origin *b)
{
    return a == b ||
           (a->node == b->node && a->op == b->op && a->index == b->index && a->file == b->file);
}

void node_add_origin(Node *n, const Origin *more)
{
    Arena *arena = n->parent->module->arena;

    for (; more; more = more->next) {
        const Origin *o = n->origin;
        Origin *first = NULL, *copy = NULL;
        while (o && !same_origin(o, more))
            o = o->next;
        if (o) continue;
        /* cells are shared with other nodes: the list is copied, the new one at its end */
        for (o = n->origin; o; o = o->next) {
            Origin *next = arena_copy(arena, o, sizeof *o);
            if (copy) copy->next = next;
            if (!copy) first = next;
            copy = next;
        }
        Origin *last = arena_copy(arena, more, sizeof *more);
        last->next = NULL;
        if (copy) copy->next = last;
        n->origin = first ? first : last;
    }
}

void node_define(Node *n, Dim symbol)
{
    Module *m = n->parent->module;
    Dim *define;

    for (int i = 0; i < n->n_define; i++)
        if (n->define[i] == symbol) return;
    define = ARENA_ARRAY(m->arena, Dim, n->n_define + 1);
    if (n->n_define) memcpy(define, n->define, sizeof *define * (size_t)n->n_define);
    define[n->n_define++] = symbol;
    n->define = define;
}

void value_replace(Value *old, Value *with)
{
    with = value_resolve(with);
    if (old != with) old->forward = with;
}

Value *value_resolve(Value *v)
{
    while (v && v->forward)
        v = v->forward;
    return v;
}

static void resolve_region(Region *r)
{
    for (Node *n = r->first; n; n = n->next) {
        for (int i = 0; i < n->n_in; i++)
            n->in[i] = value_resolve(n->in[i]);
        for (int i = 0; i < n->n_region; i++)
            resolve_region(n->region[i]);
    }
    for (int i = 0; i < r->n_result; i++)
        r->result[i] = value_resolve(r->result[i]);
}

void module_resolve(Module *m)
{
    resolve_region(m->main);
}

static void clear_uses(Value **v, int n)
{
    for (int i = 0; i < n; i++)
        if (v[i]) v[i]->uses = 0;
}

static void clear_region(Region *r)
{
    clear_uses(r->arg, r->n_arg);
    clear_uses(r->result, r->n_result);
    for (Node *n = r->first; n; n = n->next) {
        clear_uses(n->in, n->n_in);
        clear_uses(n->out, n->n_out);
        for (int i = 0; i < n->n_region; i++)
            clear_region(n->region[i]);
    }
}

static void count_region(Region *r)
{
    for (Node *n = r->first; n; n = n->next) {
        for (int i = 0; i < n->n_in; i++)
            if (n->in[i]) n->in[i]->uses++;
        for (int i = 0; i < n->n_region; i++)
            count_region(n->region[i]);
    }
    for (int i = 0; i < r->n_result; i++)
        if (r->result[i]) r->result[i]->uses++;
}

void analysis_uses(Module *m)
{
    clear_region(m->main);
    count_region(m->main);
}

Status region_visit(Region *r, NodeVisit visit, void *context)
{
    for (Node *n = r->first, *next; n; n = next) {
        next = n->next;
        for (int i = 0; i < n->n_region; i++)
            TRY(region_visit(n->region[i], visit, context));
        TRY(visit(context, n));
    }
    return OK;
}

Status module_visit(Module *m, NodeVisit visit, void *context)
{
    return region_visit(m->main, visit, context);
}

const Attr *attr_find(const Node *n, const char *name)
{
    for (int i = 0; i < n->n_attr; i++)
        if (strcmp(n->attr[i].name, name) == 0) return &n->attr[i];
    return NULL;
}

int64_t attr_int(const Node *n, const char *name, int64_t absent)
{
    const Attr *a = attr_find(n, name);
    return a && a->kind == ATTR_INT ? a->i : absent;
}

double attr_float(const Node *n, const char *name, double absent)
{
    const Attr *a = attr_find(n, name);
    return a && a->kind == ATTR_FLOAT ? a->f : absent;
}

const char *attr_string(const Node *n, const char *name, const char *absent)
{
    const Attr *a = attr_find(n, name);
    return a && a->kind == ATTR_STRING ? a->s.s : absent;
}

const int64_t *attr_ints(const Node *n, const char *name, int *count)
{
    const Attr *a = attr_find(n, name);

    *count = 0;
    if (!a || a->kind != ATTR_INTS) return NULL;
    *count = a->n;
    return a->ints;
}

const Tensor *attr_tensor(const Node *n, const char *name)
{
    const Attr *a = attr_find(n, name);
    return a && a->kind == ATTR_TENSOR ? a->tensor : NULL;
}

Region *attr_region(const Node *n, const char *name)
{
    const Attr *a = attr_find(n, name);
    return a && a->kind == ATTR_REGION && a->i < n->n_region ? n->region[a->i] : NULL;
}

const char *node_op_name(const Node *n)
{
    static const char *const kind[] = {"op",   "kernel", "reshape", "concat",
                                       "call", "bind",   "if",      "loop"};

    if (n->op) return n->op->name;
    return kind[n->kind];
}

Where node_where(const Node *n)
{
    return node_where_attr(n, NULL);
}

Where node_where_attr(const Node *n, const char *attr)
{
    const Origin *o = n->origin;
    Where w = {.attr = attr};

    if (o) {
        w.file = o->file;
        w.node = o->node && o->node[0] ? o->node : o->op;
        w.index = o->index;
    }
    if (!w.node) w.node = node_op_name(n);
    return w;
}
