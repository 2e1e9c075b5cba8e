/* cse.c: equal nodes once. Two nodes are equal when kind, row, operands, attributes and result
 * types are; the later one's readers read the earlier one. Within a region, and from outer regions
 * into inner ones. */
#include <string.h>

#include "ir/op.h"
#include "passes/pass.h"

typedef struct Scope {
    const struct Scope *up;
    Node **bucket;
    size_t n_bucket;
} Scope;

typedef struct Cse {
    PassContext *cx;
    bool changed;
} Cse;

static bool shareable(const Node *n)
{
    if (n->n_region || n->n_define || n->n_out == 0) return false;
    switch (n->kind) {
    case NODE_OP:
        return (n->op->traits & OP_PURE) != 0;
    case NODE_KERNEL:
    case NODE_RESHAPE:
    case NODE_CONCAT:
        return true;
    case NODE_CALL:
    case NODE_BIND:
    case NODE_IF:
    case NODE_LOOP:
        return false;
    }
    return false;
}

static uint64_t hash_node(const Node *n)
{
    uint64_t h = hash_mix((uint64_t)n->kind, (uint64_t)(uintptr_t)n->op);

    for (int i = 0; i < n->n_in; i++)
        h = hash_mix(h, n->in[i] ? (uint64_t)n->in[i]->id + 1 : 0);
    if (n->kernel) h = hash_mix(h, (uint64_t)(uintptr_t)n->kernel->stage[0].out[0].value);
    return hash_mix(h, (uint64_t)n->axis);
}

static bool same_attr(const Attr *a, const Attr *b)
{
    if (a->kind != b->kind || strcmp(a->name, b->name) != 0 || a->n != b->n) return false;
    switch (a->kind) {
    case ATTR_INT:
        return a->i == b->i;
    case ATTR_FLOAT:
        return memcmp(&a->f, &b->f, sizeof a->f) == 0;
    case ATTR_STRING:
        return a->s.n == b->s.n && memcmp(a->s.s, b->s.s, (size_t)a->s.n) == 0;
    case ATTR_INTS:
        return a->n == 0 || memcmp(a->ints, b->ints, sizeof *a->ints * (size_t)a->n) == 0;
    case ATTR_FLOATS:
        return a->n == 0 || memcmp(a->floats, b->floats, sizeof *a->floats * (size_t)a->n) == 0;
    case ATTR_TENSOR:
        return a->tensor == b->tensor;
    case ATTR_NONE:
    case ATTR_STRINGS:
    case ATTR_TENSORS:
    case ATTR_REGION:
        return false;
    }
    return false;
}

static bool same_dims(int n, const Dim *a, const Dim *b)
{
    for (int i = 0; i < n; i++)
        if (a[i] != b[i]) return false;
    return true;
}

static bool same_acc(const Acc *a, const Acc *b)
{
    return a->monoid == b->monoid && a->dtype == b->dtype && a->body == b->body &&
           a->body2 == b->body2 && a->where == b->where;
}

static bool same_out(const StageOut *a, const StageOut *b)
{
    if (a->before || b->before) return false; /* frames are made behind the last cse */
    if (a->dtype != b->dtype || a->value != b->value || a->result != b->result) return false;
    if (a->n_dst != b->n_dst || a->dst_guard != b->dst_guard || a->combine != b->combine ||
        a->init != b->init)
        return false;
    for (int i = 0; i < a->n_dst; i++)
        if (a->dst[i] != b->dst[i]) return false;
    return true;
}

static bool same_stage(const Stage *a, const Stage *b)
{
    if (a->rank != b->rank || a->n_reduce != b->n_reduce || a->order != b->order ||
        a->n_acc != b->n_acc || a->n_out != b->n_out || a->scan_axis != b->scan_axis)
        return false;
    if (!same_dims(a->rank, a->extent, b->extent) || !same_dims(a->n_reduce, a->reduce, b->reduce))
        return false;
    for (int i = 0; i < a->n_acc; i++)
        if (!same_acc(&a->acc[i], &b->acc[i])) return false;
    for (int i = 0; i < a->n_out; i++)
        if (!same_out(&a->out[i], &b->out[i])) return false;
    return true;
}

static bool same_kernel(const Kernel *a, const Kernel *b)
{
    if (a == b) return true;
    if (!a || !b || a->n_stage != b->n_stage || a->n_outer != b->n_outer) return false;
    for (int i = 0; i < a->n_stage; i++)
        if (!same_stage(&a->stage[i], &b->stage[i])) return false;
    return true;
}

static bool same_node(const Node *a, const Node *b)
{
    if (a->kind != b->kind || a->op != b->op || a->n_in != b->n_in || a->n_out != b->n_out ||
        a->n_attr != b->n_attr || a->axis != b->axis)
        return false;
    for (int i = 0; i < a->n_in; i++)
        if (a->in[i] != b->in[i]) return false;
    for (int i = 0; i < a->n_attr; i++)
        if (!same_attr(&a->attr[i], &b->attr[i])) return false;
    for (int i = 0; i < a->n_out; i++) {
        if (!a->out[i] != !b->out[i]) return false;
        if (a->out[i] && !type_equal(&a->out[i]->type, &b->out[i]->type)) return false;
    }
    return same_kernel(a->kernel, b->kernel);
}

static Node *find(const Scope *s, const Node *n, uint64_t h)
{
    for (; s; s = s->up)
        for (size_t i = h & (s->n_bucket - 1); s->bucket[i]; i = (i + 1) & (s->n_bucket - 1))
            if (same_node(s->bucket[i], n)) return s->bucket[i];
    return NULL;
}

static void add(Scope *s, Node *n, uint64_t h)
{
    size_t i = h & (s->n_bucket - 1);

    while (s->bucket[i])
        i = (i + 1) & (s->n_bucket - 1);
    s->bucket[i] = n;
}

static Status cse_region(Cse *c, Region *r, const Scope *up)
{
    Scope s = {.up = up, .n_bucket = 16};
    size_t count = 0;

    for (Node *n = r->first; n; n = n->next)
        count++;
    while (s.n_bucket < 2 * count)
        s.n_bucket *= 2;
    s.bucket = arena_try(c->cx->scratch, s.n_bucket, sizeof(Node *));
    if (!s.bucket) return diag(c->cx->diag, ERR_LIMIT, (Where){0}, "out of memory");
    for (Node *n = r->first, *next; n; n = next) {
        next = n->next;
        for (int i = 0; i < n->n_in; i++)
            n->in[i] = value_resolve(n->in[i]);
        for (int i = 0; i < n->n_region; i++)
            TRY(cse_region(c, n->region[i], &s));
        if (!shareable(n)) continue;
        uint64_t h = hash_node(n);
        Node *same = find(&s, n, h);
        if (!same) {
            add(&s, n, h);
        } else if (pass_accept(c->cx)) {
            for (int i = 0; i < n->n_out; i++)
                if (n->out[i]) value_replace(n->out[i], same->out[i]);
            node_unlink(n);
            c->changed = true;
        }
    }
    return OK;
}

Status pass_cse(PassContext *cx, Module *m, bool *changed)
{
    Cse c = {.cx = cx};

    TRY(cse_region(&c, m->main, NULL));
    module_resolve(m);
    *changed = c.changed;
    return OK;
}
