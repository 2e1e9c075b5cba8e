/* onnx_wire_test.c: the bounded scan: what it takes, drops, refuses, and what it costs. */
#include "frontend/onnx/onnx_wire.h"

#include <pthread.h>
#include <stdlib.h>

#include "tests/unit/check.h"
#include "tests/unit/onnx_bytes.h"

static const WireLimits usual = {.memory = (size_t)64 << 20, .depth = 64, .nodes = 100000};

static Status decode_n(const uint8_t *b, size_t n, Arena *a, OnnxWire *w, Diag *d)
{
    /* a copy of exactly n bytes, so that reading beyond is seen by a sanitizer */
    uint8_t *exact = malloc(n ? n : 1);
    if (n) memcpy(exact, b, n);
    diag_init(d, a);
    Status s = wire_decode(exact, n, "m.onnx", &usual, a, w, d);
    free(exact);
    return s;
}

static Status status_of(Pb m)
{
    Arena *a = arena_new(usual.memory);
    OnnxWire w;
    Diag d;
    Status s = decode_n(m.b, m.n, a, &w, &d);
    arena_free(a);
    return s;
}

/* Graphs within graphs, `depth` of them, through node and attribute. */
static Pb nested(Arena *a, int depth)
{
    Pb graph = {.arena = a};

    pb_text(&graph, 2, "innermost");
    for (int i = 1; i < depth; i++) {
        Pb node = {.arena = a}, outer = {.arena = a};
        pb_attr_graph(&node, "g", graph);
        pb_message(&outer, 1, node);
        graph = outer;
    }
    return pb_model(graph, 20);
}

static void *decode_nested(void *context)
{
    Status *s = context;
    Arena *a = arena_new(0);

    s[0] = status_of(nested(a, 64));
    s[1] = status_of(nested(a, 65));
    s[2] = status_of(nested(a, 2000));
    arena_free(a);
    return NULL;
}

/* On a thread of 256 KiB of stack: the decoder recurses, and must not run out of it. */
static void test_depth(void)
{
    Status s[3] = {ERR_BUG, ERR_BUG, ERR_BUG};
    pthread_attr_t attr;
    pthread_t thread;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 256 * 1024);
    CHECK_EQ(pthread_create(&thread, &attr, decode_nested, s), 0);
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attr);
    CHECK_EQ(s[0], OK);
    CHECK_EQ(s[1], ERR_MODEL);
    CHECK_EQ(s[2], ERR_MODEL);
}

static void test_types_nested(void)
{
    Arena *a = arena_new(0);
    Pb type = {.arena = a};

    for (int i = 0; i < 500; i++) {
        Pb inner = {.arena = a}, outer = {.arena = a};
        pb_message(&inner, 1, type);
        pb_message(&outer, 4, inner);
        type = outer;
    }
    Pb port = {.arena = a}, graph = {.arena = a};
    pb_message(&port, 2, type);
    pb_message(&graph, 11, port);
    CHECK_EQ(status_of(pb_model(graph, 20)), ERR_MODEL);
    arena_free(a);
}

/* Two bytes each that would decode to hundreds. */
static void test_amplification(void)
{
    static const unsigned fields[] = {1, 5, 11, 15};
    for (size_t k = 0; k < sizeof fields / sizeof *fields; k++) {
        Arena *a = arena_new(0);
        Pb graph = {.arena = a};
        for (int i = 0; i < 1000000; i++)
            pb_bytes(&graph, fields[k], "", 0);
        CHECK_EQ(status_of(pb_model(graph, 20)), ERR_LIMIT);
        arena_free(a);
    }
}

static Pb small_model(Arena *a)
{
    static const int64_t dims[] = {2, 3};
    static const float values[6] = {1, 2, 3, 4, 5, 6};
    Pb graph = {.arena = a}, node = pb_node(a, "Add", "x w -> y");
    Pb t = pb_tensor(a, "w", 1, 2, dims);

    pb_bytes(&t, 9, values, sizeof values);
    pb_attr_ints(&node, "axes", 2, dims);
    pb_message(&graph, 1, node);
    pb_message(&graph, 5, t);
    pb_port(&graph, 11, "x", 1, "2,n");
    pb_port(&graph, 12, "y", 1, "2,n");
    return pb_model(graph, 20);
}

static void test_truncated(void)
{
    Arena *a = arena_new(0);
    Pb m = small_model(a);

    CHECK_EQ(status_of(m), OK);
    for (size_t n = 0; n < m.n; n++) {
        Pb cut = {.b = m.b, .n = n};
        Status s = status_of(cut);
        CHECK(s == OK || s == ERR_MODEL);
    }
    for (size_t at = 0; at < m.n; at++) {
        for (int bit = 0; bit < 8; bit++) {
            m.b[at] ^= (uint8_t)(1 << bit);
            Status s = status_of(m);
            CHECK(s == OK || s == ERR_MODEL);
            m.b[at] ^= (uint8_t)(1 << bit);
        }
    }
    arena_free(a);
}

typedef struct Refused {
    const char *what;
    uint8_t bytes[24];
    size_t n;
} Refused;

static void test_refused(void)
{
    static const Refused cases[] = {
        {"a length beyond the end", {0x3a, 0x05, 0x0a}, 3},
        {"a huge length", {0x3a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}, 11},
        {"a varint of eleven bytes",
         {0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01},
         12},
        {"a varint beyond 64 bits",
         {0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02},
         11},
        {"a varint cut off", {0x08, 0x80}, 2},
        {"field number 0", {0x00, 0x01}, 2},
        {"a group", {0x0b, 0x0c}, 2},
        {"the end of a group", {0x0c}, 1},
        {"wire type 7", {0x0f}, 1},
        {"fixed 64 cut off", {0x19, 1, 2, 3}, 4},
        {"NUL in a name", {0x12, 0x03, 'a', 0, 'b'}, 5},
        {"not UTF-8", {0x12, 0x02, 0xc0, 0x80}, 4},
        {"a surrogate", {0x12, 0x03, 0xed, 0xa0, 0x80}, 5},
        {"packed floats and a half", {0x3a, 0x09, 0x2a, 0x07, 0x22, 0x05, 1, 2, 3, 4, 5}, 11},
        {"packed varints cut off", {0x3a, 0x05, 0x2a, 0x03, 0x2a, 0x01, 0x80}, 7},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Pb m = {.b = (uint8_t *)(uintptr_t)cases[i].bytes, .n = cases[i].n};
        Status s = status_of(m);
        if (s != ERR_MODEL) fprintf(stderr, "%s\n", cases[i].what);
        CHECK_EQ(s, ERR_MODEL);
    }
}

/* Unknown fields, fields of another wire type, and fields that pose as ours go. */
static void test_dropped(void)
{
    Arena *a = arena_new(0);
    Pb m = small_model(a), spoof = pb_tensor(a, "s", 1, 0, NULL), graph = {.arena = a};
    OnnxWire w;
    Diag d;

    pb_text(&m, 999, "unknown");
    pb_int(&m, 2, 5); /* producer_name as a number */
    pb_float(&m, 1, 1);
    pb_text(&m, 6, "documentation\xff");
    pb_int(&spoof, 1000, 0);
    pb_int(&spoof, 1000, 77);
    pb_message(&graph, 5, spoof);
    pb_message(&m, 7, graph);
    CHECK_EQ(decode_n(m.b, m.n, a, &w, &d), OK);
    CHECK(w.model->producer_name == NULL);
    CHECK_EQ(w.model->ir_version, 10);
    CHECK_EQ(w.model->graph->n_initializer, 2);
    CHECK_EQ(w.model->graph->initializer[1]->n_part, 0);
    arena_free(a);
}

/* A single message that stands twice is both merged; of a single number the last one counts. */
static void test_merged(void)
{
    Arena *a = arena_new(0);
    Pb m = small_model(a), graph = {.arena = a};
    OnnxWire w;
    Diag d;

    pb_message(&graph, 1, pb_node(a, "Relu", "y -> z"));
    pb_text(&graph, 2, "named");
    pb_message(&m, 7, graph);
    pb_int(&m, 1, 11);
    CHECK_EQ(decode_n(m.b, m.n, a, &w, &d), OK);
    CHECK_EQ(w.model->ir_version, 11);
    CHECK_EQ(w.model->graph->n_node, 2);
    CHECK_STR(w.model->graph->node[1]->op_type, "Relu");
    CHECK_EQ(w.model->graph->n_initializer, 1);
    CHECK_STR(w.model->graph->name, "named");
    Pb many = {.arena = a};
    for (int i = 0; i < 1000; i++)
        pb_message(&many, 7, graph);
    CHECK_EQ(status_of(many), ERR_MODEL);
    arena_free(a);
}

/* Numbers packed and unpacked, in two parts of one tensor. */
static void test_payload(void)
{
    Arena *a = arena_new(0);
    Pb t = {.arena = a}, again = {.arena = a}, packed = {.arena = a}, attr = {.arena = a};
    Pb node = {.arena = a}, graph = {.arena = a};
    static const uint64_t want[] = {1, 300, UINT64_MAX, 7, 8};
    uint64_t v;
    size_t n = 0;

    pb_int(&t, 7, 1);
    pb_number(&packed, 300);
    pb_number(&packed, UINT64_MAX);
    pb_message(&t, 7, packed);
    pb_int(&t, 7, 7);
    pb_int(&again, 7, 8);
    pb_message(&attr, 5, t);
    pb_message(&attr, 5, again);
    pb_message(&node, 5, attr);
    pb_message(&graph, 1, node);
    Pb m = pb_model(graph, 20);
    OnnxWire w;
    Diag d;
    diag_init(&d, a);
    CHECK_EQ(wire_decode(m.b, m.n, "m.onnx", &usual, a, &w, &d), OK);
    const Onnx__TensorProto *p = w.model->graph->node[0]->attribute[0]->t;
    CHECK_EQ(p->n_part, 2);
    CHECK_EQ(p->n_int64_data, 0);
    WireCursor c = wire_cursor(&w, p->n_part, p->part, 7, WIRE_VARINT);
    CHECK_EQ(wire_count(c), 5);
    while (wire_next(&c, &v)) {
        CHECK(n < 5 && v == want[n]);
        n++;
    }
    CHECK_EQ(n, 5);
    arena_free(a);
}

int main(void)
{
    test_depth();
    test_types_nested();
    test_amplification();
    test_truncated();
    test_refused();
    test_dropped();
    test_merged();
    test_payload();
    return check_result();
}
