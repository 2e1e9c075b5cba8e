/* onnx_bytes.h: ONNX files made by hand, for tests: messages of the wire format in an arena. */
#ifndef INGOT_TESTS_ONNX_BYTES_H
#define INGOT_TESTS_ONNX_BYTES_H

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "support/vec.h"

typedef struct Pb {
    Arena *arena;
    uint8_t *b;
    size_t n, cap;
} Pb;

static inline void pb_raw(Pb *p, const void *data, size_t n)
{
    if (p->cap - p->n < n) {
        size_t cap = p->n * 2 + n + 64;
        uint8_t *more = arena_try(p->arena, cap, 1);
        if (!more) return;
        if (p->n) memcpy(more, p->b, p->n);
        p->b = more;
        p->cap = cap;
    }
    if (n) memcpy(p->b + p->n, data, n);
    p->n += n;
}

static inline void pb_number(Pb *p, uint64_t v)
{
    do {
        uint8_t byte = (uint8_t)((v & 0x7f) | (v > 0x7f ? 0x80 : 0));
        pb_raw(p, &byte, 1);
        v >>= 7;
    } while (v);
}

static inline void pb_int(Pb *p, unsigned field, int64_t v)
{
    pb_number(p, field << 3);
    pb_number(p, (uint64_t)v);
}

static inline void pb_float(Pb *p, unsigned field, float v)
{
    pb_number(p, field << 3 | 5);
    pb_raw(p, &v, sizeof v);
}

static inline void pb_bytes(Pb *p, unsigned field, const void *data, size_t n)
{
    pb_number(p, field << 3 | 2);
    pb_number(p, n);
    pb_raw(p, data, n);
}

static inline void pb_text(Pb *p, unsigned field, const char *s)
{
    pb_bytes(p, field, s, strlen(s));
}

static inline void pb_message(Pb *p, unsigned field, Pb inner)
{
    pb_bytes(p, field, inner.b, inner.n);
}

/* The same bytes again, to go on with in another way. */
static inline Pb pb_copy(Pb p)
{
    return (Pb){p.arena, arena_copy(p.arena, p.b, p.n), p.n, p.n};
}

/* A node of operator `op`: names of inputs and outputs in one text, "a b -> c"; "-" is left out. */
static inline Pb pb_node(Arena *a, const char *op, const char *names)
{
    Pb node = {.arena = a};
    char word[64];
    unsigned field = 1;

    for (int used = 0; sscanf(names, "%63s%n", word, &used) == 1; names += used) {
        if (strcmp(word, "->") == 0)
            field = 2;
        else
            pb_text(&node, field, strcmp(word, "-") == 0 ? "" : word);
    }
    pb_text(&node, 4, op);
    return node;
}

static inline void pb_attr_int(Pb *node, const char *name, int64_t v)
{
    Pb a = {.arena = node->arena};
    pb_text(&a, 1, name);
    pb_int(&a, 3, v);
    pb_int(&a, 20, 2);
    pb_message(node, 5, a);
}

static inline void pb_attr_float(Pb *node, const char *name, float v)
{
    Pb a = {.arena = node->arena};
    pb_text(&a, 1, name);
    pb_float(&a, 2, v);
    pb_int(&a, 20, 1);
    pb_message(node, 5, a);
}

static inline void pb_attr_text(Pb *node, const char *name, const char *v)
{
    Pb a = {.arena = node->arena};
    pb_text(&a, 1, name);
    pb_text(&a, 4, v);
    pb_int(&a, 20, 3);
    pb_message(node, 5, a);
}

static inline void pb_attr_ints(Pb *node, const char *name, int n, const int64_t *v)
{
    Pb a = {.arena = node->arena};
    pb_text(&a, 1, name);
    for (int i = 0; i < n; i++)
        pb_int(&a, 8, v[i]);
    pb_int(&a, 20, 7);
    pb_message(node, 5, a);
}

static inline void pb_attr_graph(Pb *node, const char *name, Pb graph)
{
    Pb a = {.arena = node->arena};
    pb_text(&a, 1, name);
    pb_message(&a, 6, graph);
    pb_int(&a, 20, 5);
    pb_message(node, 5, a);
}

static inline void pb_attr_tensor(Pb *node, const char *name, Pb tensor)
{
    Pb a = {.arena = node->arena};
    pb_text(&a, 1, name);
    pb_message(&a, 5, tensor);
    pb_int(&a, 20, 4);
    pb_message(node, 5, a);
}

static inline void pb_attr_ref(Pb *node, const char *name, const char *ref, int type)
{
    Pb a = {.arena = node->arena};
    pb_text(&a, 1, name);
    pb_text(&a, 21, ref);
    pb_int(&a, 20, type);
    pb_message(node, 5, a);
}

/* A tensor without elements yet. */
static inline Pb pb_tensor(Arena *a, const char *name, int dtype, int rank, const int64_t *dims)
{
    Pb t = {.arena = a};
    for (int i = 0; i < rank; i++)
        pb_int(&t, 1, dims[i]);
    pb_int(&t, 2, dtype);
    if (name) pb_text(&t, 8, name);
    return t;
}

/* An input or output of a graph: `dims` as text, "2,n,?"; NULL: unknown rank. */
static inline void pb_port(Pb *graph, unsigned field, const char *name, int dtype, const char *dims)
{
    Pb port = {.arena = graph->arena}, type = port, tensor = port, shape = port;
    char word[64];

    pb_text(&port, 1, name);
    pb_int(&tensor, 1, dtype);
    for (int used = 0; dims && sscanf(dims, "%63[^,]%n", word, &used) == 1;) {
        Pb dim = {.arena = graph->arena};
        if (word[0] >= '0' && word[0] <= '9')
            pb_int(&dim, 1, word[0] - '0');
        else if (word[0] != '?')
            pb_text(&dim, 2, word);
        pb_message(&shape, 1, dim);
        dims += used;
        if (*dims == ',') dims++;
    }
    if (dims) pb_message(&tensor, 2, shape);
    pb_message(&type, 1, tensor);
    pb_message(&port, 2, type);
    pb_message(graph, field, port);
}

static inline void pb_opset(Pb *model, unsigned field, const char *domain, int64_t version)
{
    Pb o = {.arena = model->arena};
    pb_text(&o, 1, domain);
    pb_int(&o, 2, version);
    pb_message(model, field, o);
}

static inline Pb pb_model(Pb graph, int64_t opset)
{
    Pb m = {.arena = graph.arena};
    pb_int(&m, 1, 10);
    pb_message(&m, 7, graph);
    pb_opset(&m, 8, "", opset);
    return m;
}

#endif
