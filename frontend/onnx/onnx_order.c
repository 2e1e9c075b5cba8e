/* onnx_order.c: nodes may stand in any order in a file; here they get one in which every value is
 * defined before it is read. The file's own order is kept where it is good, which it nearly always
 * is; else a depth-first walk from the first node to the last, with a stack of its own, since
 * chains may be as long as the graph. What a node reads includes what the graphs within it capture.
 */
#include <string.h>

#include "frontend/onnx/onnx_import.h"
#include "support/vec.h"

/* The names that a graph within a node defines, and those around it. */
typedef struct Defined {
    const struct Defined *outer;
    Map names;
} Defined;

typedef struct Deps {
    Importer *im;
    const Code *code;
    Map producer;  /* name -> index of the node + 1 */
    size_t *start; /* [n + 1]: the deps of node i begin here */
    size_t *dep;   /* indices of nodes */
    size_t n_dep, cap_dep;
    size_t node; /* whose deps are being collected */
    bool sorted;
} Deps;

static void add_dep(Deps *x, const char *name)
{
    uintptr_t at = *name ? (uintptr_t)map_get(&x->producer, name) : 0;

    if (at == 0) return;
    if (at - 1 >= x->node) x->sorted = false;
    VEC_PUSH(x->im->scratch, x->dep, x->n_dep, x->cap_dep, (size_t)at - 1);
}

static bool defined_within(const Defined *d, const char *name)
{
    for (; d; d = d->outer)
        if (map_has(&d->names, name)) return true;
    return false;
}

static void define(Defined *d, const char *name)
{
    if (name && *name) map_set(&d->names, name, d);
}

static void define_all(Defined *d, const Onnx__GraphProto *g)
{
    for (size_t i = 0; i < g->n_input; i++)
        define(d, g->input[i]->name);
    for (size_t i = 0; i < g->n_initializer; i++)
        define(d, g->initializer[i]->name);
    for (size_t i = 0; i < g->n_sparse_initializer; i++)
        if (g->sparse_initializer[i]->values) define(d, g->sparse_initializer[i]->values->name);
    for (size_t i = 0; i < g->n_node; i++)
        for (size_t k = 0; k < g->node[i]->n_output; k++)
            define(d, g->node[i]->output[k]);
}

static void add_captures(Deps *x, const Onnx__NodeProto *p, const Defined *around);

static void add_graph(Deps *x, const Onnx__GraphProto *g, const Defined *around)
{
    Defined d = {.outer = around};

    map_init(&d.names, x->im->scratch, true);
    define_all(&d, g);
    for (size_t i = 0; i < g->n_node; i++) {
        const Onnx__NodeProto *p = g->node[i];
        for (size_t k = 0; k < p->n_input; k++)
            if (!defined_within(&d, p->input[k])) add_dep(x, p->input[k]);
        add_captures(x, p, &d);
    }
    for (size_t i = 0; i < g->n_output; i++) {
        const char *name = g->output[i]->name;
        if (name && !defined_within(&d, name)) add_dep(x, name);
    }
}

/* What the graphs in the attributes of p read from outside. */
static void add_captures(Deps *x, const Onnx__NodeProto *p, const Defined *around)
{
    for (size_t i = 0; i < p->n_attribute; i++)
        if (p->attribute[i]->g) add_graph(x, p->attribute[i]->g, around);
}

/* The value that a Gradient names without reading it. */
static void add_named(Deps *x, const Onnx__NodeProto *p)
{
    if (!p->op_type || !gradient_named(plain_domain_of(p->domain), p->op_type)) return;
    for (size_t i = 0; i < p->n_attribute; i++) {
        const Onnx__AttributeProto *a = p->attribute[i];
        if (a->name && strcmp(a->name, "y") == 0 && a->s.len > 0)
            add_dep(x, arena_strndup(x->im->scratch, (const char *)a->s.data, a->s.len));
    }
}

static void collect(Deps *x, size_t n, Onnx__NodeProto *const *nodes)
{
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < nodes[i]->n_output; k++)
            if (*nodes[i]->output[k])
                map_set(&x->producer, nodes[i]->output[k], (void *)(uintptr_t)(i + 1));
    for (x->node = 0; x->node < n; x->node++) {
        const Onnx__NodeProto *p = nodes[x->node];
        x->start[x->node] = x->n_dep;
        for (size_t k = 0; k < p->n_input; k++)
            add_dep(x, p->input[k]);
        add_captures(x, p, NULL);
        add_named(x, p);
    }
    x->start[n] = x->n_dep;
}

typedef struct Step {
    size_t node, next;
} Step;

/* Depth first from `root`; false when it comes back to a node that it has not finished. */
static bool walk(const Deps *x, size_t root, uint8_t *state, Step *stack, size_t *order,
                 size_t *done, size_t *culprit)
{
    enum { NEW, OPEN, DONE };
    size_t depth = 0;

    if (state[root] == DONE) return true;
    stack[depth++] = (Step){root, x->start[root]};
    state[root] = OPEN;
    while (depth > 0) {
        Step *top = &stack[depth - 1];
        if (top->next == x->start[top->node + 1]) {
            state[top->node] = DONE;
            order[(*done)++] = top->node;
            depth--;
            continue;
        }
        size_t to = x->dep[top->next++];
        if (state[to] == OPEN) {
            *culprit = to;
            return false;
        }
        if (state[to] == DONE) continue;
        state[to] = OPEN;
        stack[depth++] = (Step){to, x->start[to]};
    }
    return true;
}

static Status sort(Deps *x, size_t n, Onnx__NodeProto *const *nodes, size_t *order)
{
    uint8_t *state = arena_try(x->im->scratch, n, 1);
    Step *stack = arena_try(x->im->scratch, n, sizeof *stack);
    size_t done = 0, culprit = 0;

    if (!state || !stack) return import_limits(x->im);
    for (size_t i = 0; i < n; i++) {
        if (walk(x, i, state, stack, order, &done, &culprit)) continue;
        Where where = {.file = x->im->module->file,
                       .node = node_label(nodes[culprit]),
                       .index = (int64_t)culprit};
        return diag(x->im->diag, ERR_MODEL, where, "the node needs its own result (a cycle)");
    }
    return OK;
}

Status order_nodes(Importer *im, size_t n, Onnx__NodeProto *const *nodes, const Code *code,
                   size_t *order)
{
    Deps x = {.im = im, .code = code, .sorted = true};
    ArenaMark mark = arena_mark(im->scratch);
    Status status = OK;

    map_init(&x.producer, im->scratch, true);
    x.start = arena_try(im->scratch, n + 1, sizeof *x.start);
    if (!x.start) return import_limits(im);
    collect(&x, n, nodes);
    if (!arena_ok(im->scratch)) return import_limits(im);
    for (size_t i = 0; i < n; i++)
        order[i] = i;
    if (!x.sorted) status = sort(&x, n, nodes, order);
    arena_reset(im->scratch, mark);
    return status;
}
