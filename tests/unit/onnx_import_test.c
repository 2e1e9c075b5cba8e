/* onnx_import_test.c: graphs as they come in files: any order, names, functions, faults. */
#include "frontend/frontend.h"

#include <stdio.h>

#include "ir/op.h"
#include "tests/unit/check.h"
#include "tests/unit/onnx_bytes.h"

typedef struct Loading {
    Arena *arena;
    Loaded loaded;
    Diag diag;
    Status status;
} Loading;

static Loading load(Pb model)
{
    Loading l = {.arena = arena_new(0)};

    diag_init(&l.diag, l.arena);
    l.status = frontend_load_bytes(model.b, model.n, "m.onnx", NULL, l.arena, &l.loaded, &l.diag);
    return l;
}

static void unload(Loading *l)
{
    if (l->status == OK) frontend_close(&l->loaded);
    arena_free(l->arena);
}

/* Does the model fail so, with a message that has `text` in it? */
static void check_fails(Pb model, Status want, const char *text)
{
    Loading l = load(model);
    bool found = false;

    CHECK_EQ(l.status, want);
    for (const DiagItem *i = l.diag.first; i; i = i->next)
        found |= strstr(diag_format(i, l.arena), text) != NULL;
    if (!found) fprintf(stderr, "no message with: %s\n", text);
    CHECK(found);
    unload(&l);
}

/* The operators of the main region in order, separated by blanks. */
static const char *ops_of(const Loading *l)
{
    Text t;

    text_init(&t, l->arena);
    if (l->status != OK) return status_text(l->status);
    for (const Node *n = l->loaded.module->main->first; n; n = n->next)
        text_f(&t, "%s%s", t.n ? " " : "", node_op_name(n));
    return t.s;
}

static void check_ops(Pb model, const char *want)
{
    Loading l = load(model);

    CHECK_STR(ops_of(&l), want);
    for (const DiagItem *i = l.diag.first; i; i = i->next)
        fprintf(stderr, "%s\n", diag_format(i, l.arena));
    unload(&l);
}

static Pb graph_xy(Arena *a)
{
    Pb g = {.arena = a};
    pb_port(&g, 11, "x", 1, "2,n");
    pb_port(&g, 12, "y", 1, NULL);
    return g;
}

static void add(Pb *g, const char *op, const char *names)
{
    pb_message(g, 1, pb_node(g->arena, op, names));
}

static void test_order(Arena *a)
{
    Pb g = graph_xy(a), cycle = graph_xy(a), self = graph_xy(a);

    add(&g, "Neg", "c -> y");
    add(&g, "Abs", "b -> c");
    add(&g, "Relu", "x -> b");
    check_ops(pb_model(g, 20), "Relu Abs Neg");
    add(&cycle, "Add", "x c -> b");
    add(&cycle, "Abs", "b -> c");
    add(&cycle, "Neg", "c -> y");
    check_fails(pb_model(cycle, 20), ERR_MODEL, "a cycle");
    add(&self, "Add", "x y -> y");
    check_fails(pb_model(self, 20), ERR_MODEL, "a cycle");
}

/* A chain as long as one likes, backwards: nothing recurses along it. */
static void test_long_chain(Arena *a)
{
    enum { LENGTH = 20000 };
    Pb g = graph_xy(a);
    char names[64];

    for (int i = LENGTH - 1; i >= 0; i--) {
        char in[16], out[16];
        snprintf(in, sizeof in, "v%d", i - 1);
        snprintf(out, sizeof out, "v%d", i);
        snprintf(names, sizeof names, "%s -> %s", i ? in : "x", i == LENGTH - 1 ? "y" : out);
        add(&g, "Neg", names);
    }
    Loading l = load(pb_model(g, 20));
    CHECK_EQ(l.status, OK);
    unload(&l);
}

static void test_names(Arena *a)
{
    Pb twice = graph_xy(a), unknown = graph_xy(a), output = graph_xy(a), untyped = {.arena = a};
    Pb port = {.arena = a};

    add(&twice, "Neg", "x -> y");
    add(&twice, "Abs", "x -> y");
    check_fails(pb_model(twice, 20), ERR_MODEL, "defined twice");
    add(&unknown, "Add", "x q -> y");
    check_fails(pb_model(unknown, 20), ERR_MODEL, "\"q\", is not defined");
    check_fails(pb_model(output, 20), ERR_MODEL, "output \"y\"");
    pb_text(&port, 1, "x");
    pb_message(&untyped, 11, port);
    check_fails(pb_model(untyped, 20), ERR_MODEL, "without a type");
}

/* All faults are told, each once: what reads the result of a faulty node is not a fault. */
static void test_faults_together(Arena *a)
{
    Pb g = graph_xy(a), missing = graph_xy(a);

    add(&g, "Add", "x q -> a");
    add(&g, "Relu", "a -> b");
    add(&g, "Mul", "x r -> c");
    add(&g, "Add", "b c -> y");
    Loading l = load(pb_model(g, 20));
    CHECK_EQ(l.status, ERR_MODEL);
    CHECK_EQ(l.diag.errors, 2);
    unload(&l);
    add(&missing, "NoSuchOp", "x -> a");
    add(&missing, "NoSuchOp", "a -> b");
    add(&missing, "NorThis", "b -> y");
    Loading m = load(pb_model(missing, 20));
    CHECK_EQ(m.status, ERR_UNSUPPORTED);
    CHECK_EQ(m.diag.errors, 2);
    unload(&m);
    check_fails(pb_model(missing, 20), ERR_UNSUPPORTED, "version 20, is not supported (2 nodes)");
    check_fails(pb_model(missing, 999), ERR_UNSUPPORTED, "newer than");
}

/* An attribute that the operator does not have is no attribute to ignore; but older forms have some
 * that say nothing. */
static void test_unknown_attribute(Arena *a)
{
    static const char *const names[] = {"mode", "consumed_inputs"};

    for (int k = 0; k < 2; k++) {
        Pb g = graph_xy(a), n = pb_node(a, "Relu", "x -> y");
        pb_attr_int(&n, names[k], 1);
        pb_message(&g, 1, n);
        check_fails(pb_model(g, 20), ERR_UNSUPPORTED, "no attribute of this name");
        Loading l = load(pb_model(g, 1));
        CHECK_EQ(l.status, k ? OK : ERR_UNSUPPORTED);
        unload(&l);
    }
}

/* What is known of an operator that is not there is said with its refusal. */
static void test_known_absent(Arena *a)
{
    Pb g = graph_xy(a), n = pb_node(a, "GreedySearch", "x -> y");
    const char *op, *why;

    pb_text(&n, 7, "com.microsoft");
    pb_message(&g, 1, n);
    check_fails(pb_model(g, 20), ERR_UNSUPPORTED, "export the decoder as a model of its own");
    for (int k = 0; frontend_absent(k, &op, &why); k++)
        CHECK(!op_find("com.microsoft", op) && *why);
}

static void test_dims(Arena *a)
{
    Pb g = {.arena = a};

    pb_port(&g, 11, "x", 1, "n,?,4");
    pb_port(&g, 11, "z", 1, "n,?,4");
    pb_port(&g, 11, "r", 7, NULL);
    pb_port(&g, 12, "x", 1, NULL); /* an output that is an input */
    Loading l = load(pb_model(g, 20));
    CHECK_EQ(l.status, OK);
    const Region *main = l.loaded.module->main;
    const Type *x = &main->arg[0]->type, *z = &main->arg[1]->type;
    CHECK(x->rank == 3 && x->dim[0] == z->dim[0] && x->dim[1] != z->dim[1]);
    CHECK(dim_is(x->dim[2], 4));
    CHECK_EQ(main->arg[2]->type.rank, RANK_UNKNOWN);
    CHECK_EQ(main->arg[2]->type.dtype, DT_I64);
    CHECK(main->result[0] == main->arg[0]);
    CHECK_STR(l.loaded.module->output_name[0], "x");
    unload(&l);
}

/* Below version 13 a softmax is one of a matrix: a dim of 0 is given back to it, and not copied. */
static void test_empty_softmax(Arena *a)
{
    Pb g = {.arena = a};

    pb_port(&g, 11, "x", 1, "1,5,1,0");
    pb_port(&g, 12, "y", 1, NULL);
    add(&g, "LogSoftmax", "x -> y");
    check_ops(pb_model(g, 6), "Flatten LogSoftmax Shape Reshape");
}

/* An input with an initializer is a constant; one of the same name twice is an error. */
static void test_initializers(Arena *a)
{
    Pb g = graph_xy(a), t = pb_tensor(a, "w", 1, 0, NULL), nameless = pb_tensor(a, "", 1, 0, NULL);

    pb_float(&t, 4, 3);
    pb_float(&nameless, 4, 3);
    pb_message(&g, 5, t);
    pb_port(&g, 11, "w", 1, "");
    add(&g, "Add", "x w -> y");
    Loading l = load(pb_model(g, 20));
    CHECK_EQ(l.status, OK);
    CHECK_EQ(l.loaded.module->main->n_arg, 1);
    CHECK(l.status == OK && l.loaded.module->main->first->in[1]->data);
    unload(&l);
    pb_message(&g, 5, t);
    check_fails(pb_model(g, 20), ERR_MODEL, "defined twice");
    Pb h = graph_xy(a);
    pb_message(&h, 5, nameless);
    check_fails(pb_model(h, 20), ERR_MODEL, "without a name");
}

/* ---- functions ---- */

static Pb function(Arena *a, const char *name, const char *in, const char *out)
{
    Pb f = {.arena = a};

    pb_text(&f, 1, name);
    pb_text(&f, 4, in);
    pb_text(&f, 5, out);
    pb_text(&f, 10, "my");
    pb_opset(&f, 9, "", 20);
    return f;
}

static void call(Pb *g, const char *op, const char *names, const char *overload, float alpha)
{
    Pb n = pb_node(g->arena, op, names);

    pb_text(&n, 7, "my");
    if (overload) pb_text(&n, 8, overload);
    if (alpha != 0) pb_attr_float(&n, "slope", alpha);
    pb_message(g, 1, n);
}

/* A function within a function, with an attribute passed on, and one with a default. */
static void test_functions(Arena *a)
{
    Pb g = graph_xy(a), inner = function(a, "inner", "a", "b"),
       outer = function(a, "outer", "a", "b");
    Pb leaky = pb_node(a, "LeakyRelu", "a -> t"), pass = pb_node(a, "inner", "a -> t");
    Pb other = function(a, "inner", "a", "b"), dflt = {.arena = a};

    pb_attr_ref(&leaky, "alpha", "slope", 1);
    pb_message(&inner, 7, leaky);
    pb_message(&inner, 7, pb_node(a, "Neg", "t -> b"));
    pb_text(&dflt, 1, "slope");
    pb_float(&dflt, 2, 0.5f);
    pb_int(&dflt, 20, 1);
    pb_message(&inner, 11, dflt);
    pb_text(&pass, 7, "my");
    pb_attr_ref(&pass, "slope", "slope", 1);
    pb_message(&outer, 7, pass);
    pb_message(&outer, 7, pb_node(a, "Abs", "t -> b"));
    pb_text(&outer, 6, "slope");
    pb_text(&other, 13, "second");
    pb_message(&other, 7, pb_node(a, "Relu", "a -> b"));
    call(&g, "outer", "x -> p", NULL, 0.25f);
    call(&g, "inner", "p -> q", NULL, 0);
    call(&g, "inner", "q -> y", "second", 0);
    Pb m = pb_model(g, 20);
    pb_opset(&m, 8, "my", 1);
    pb_message(&m, 25, inner);
    pb_message(&m, 25, outer);
    pb_message(&m, 25, other);
    Loading l = load(m);
    CHECK_STR(ops_of(&l), "LeakyRelu Neg Abs LeakyRelu Neg Relu");
    if (l.status == OK) {
        const Node *first = l.loaded.module->main->first;
        CHECK(attr_float(first, "alpha", 0) == 0.25);
        CHECK(attr_float(first->next->next->next, "alpha", 0) == 0.5);
        CHECK_STR(first->origin->node, "p/t/t");
    }
    unload(&l);
}

static void test_function_faults(Arena *a)
{
    Pb g = graph_xy(a), f = function(a, "f", "a", "b"), h = function(a, "h", "a", "b");
    Pb to_h = pb_node(a, "h", "a -> b"), to_f = pb_node(a, "f", "a -> b");

    pb_text(&to_h, 7, "my");
    pb_text(&to_f, 7, "my");
    pb_message(&f, 7, to_h);
    pb_message(&h, 7, to_f);
    call(&g, "f", "x -> y", NULL, 0);
    Pb m = pb_model(g, 20);
    pb_message(&m, 25, f);
    pb_message(&m, 25, h);
    check_fails(m, ERR_MODEL, "calls itself");
    pb_message(&m, 25, h);
    check_fails(m, ERR_MODEL, "defined twice");
}

/* Functions that each call the next one twice: 2^40 nodes in a few hundred bytes. */
static void test_function_bomb(Arena *a)
{
    Pb g = graph_xy(a);
    char name[16], next[16];

    call(&g, "f0", "x -> y", NULL, 0);
    Pb m = pb_model(g, 20);
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof name, "f%d", i);
        snprintf(next, sizeof next, "f%d", i + 1);
        Pb body = function(a, name, "a", "b"), one = pb_node(a, next, "a -> t"),
           two = pb_node(a, next, "t -> b");
        pb_text(&one, 7, "my");
        pb_text(&two, 7, "my");
        pb_message(&body, 7, one);
        pb_message(&body, 7, two);
        pb_message(&m, 25, body);
    }
    Pb last = function(a, "f40", "a", "b");
    pb_message(&last, 7, pb_node(a, "Neg", "a -> b"));
    pb_message(&m, 25, last);
    check_fails(m, ERR_LIMIT, "memory");
}

/* ---- constants ---- */

static void test_constants(Arena *a)
{
    static const int64_t ints[] = {2, -1};
    Pb g = {.arena = a}, n = pb_node(a, "Constant", "-> a"), k = pb_node(a, "Constant", "-> b");

    pb_attr_ints(&n, "value_ints", 2, ints);
    pb_attr_text(&k, "value_string", "hello");
    pb_message(&g, 1, n);
    pb_message(&g, 1, k);
    pb_port(&g, 12, "a", 7, NULL);
    pb_port(&g, 12, "b", 8, NULL);
    Loading l = load(pb_model(g, 20));
    CHECK_EQ(l.status, OK);
    if (l.status == OK) {
        const Region *main = l.loaded.module->main;
        const Tensor *t = main->result[0]->data, *s = main->result[1]->data;
        CHECK(!main->first && t && s);
        CHECK(t->dtype == DT_I64 && t->rank == 1 && tensor_int(t, 1) == -1);
        CHECK(s->dtype == DT_STRING && s->rank == 0);
        CHECK(memcmp(((const StringRef *)s->data)->s, "hello", 5) == 0);
    }
    unload(&l);
    Pb h = {.arena = a};
    pb_message(&h, 1, pb_node(a, "Constant", "-> a"));
    check_fails(pb_model(h, 20), ERR_MODEL, "needs one value");
}

/* Outputs in the middle that nobody wants, and inputs left out. */
static void test_left_out(Arena *a)
{
    Pb g = graph_xy(a);

    add(&g, "Clip", "x - hi -> y");
    Pb t = pb_tensor(a, "hi", 1, 0, NULL);
    pb_float(&t, 4, 3);
    pb_message(&g, 5, t);
    Loading l = load(pb_model(g, 20));
    CHECK_EQ(l.status, OK);
    const Node *n = l.status == OK ? l.loaded.module->main->first : NULL;
    CHECK(n && n->n_in == 3 && !n->in[1] && n->in[2]->data);
    unload(&l);
}

/* ---- graphs within nodes ---- */

static Pb branch(Arena *a, const char *op, const char *names)
{
    Pb g = {.arena = a};

    add(&g, op, names);
    pb_port(&g, 12, "r", 1, NULL);
    return g;
}

/* Branches in the order of the alphabet, that read a value which stands behind the If. */
static void test_if(Arena *a)
{
    Pb g = graph_xy(a), n = pb_node(a, "If", "c -> y");

    pb_port(&g, 11, "c", 9, "");
    pb_attr_graph(&n, "else_branch", branch(a, "Neg", "t -> r"));
    pb_attr_graph(&n, "then_branch", branch(a, "Abs", "t -> r"));
    pb_message(&g, 1, n);
    add(&g, "Relu", "x -> t");
    Loading l = load(pb_model(g, 20));
    CHECK_STR(ops_of(&l), "Relu If");
    const Node *at = l.status == OK ? l.loaded.module->main->last : NULL;
    CHECK(at && at->n_region == 2);
    if (at && at->n_region == 2) {
        CHECK_STR(node_op_name(at->region[0]->first), "Abs");
        CHECK_STR(node_op_name(at->region[1]->first), "Neg");
        CHECK(attr_region(at, "then_branch") == at->region[0]);
        CHECK(at->region[0]->first->in[0] == at->prev->out[0]);
    }
    unload(&l);
}

/* A name within a graph hides the same name outside. */
static void test_shadowing(Arena *a)
{
    Pb g = graph_xy(a), n = pb_node(a, "If", "c -> y"), then = {.arena = a};

    pb_port(&g, 11, "c", 9, "");
    add(&then, "Abs", "x -> t");
    add(&then, "Neg", "t -> r");
    pb_port(&then, 12, "r", 1, NULL);
    pb_attr_graph(&n, "then_branch", then);
    pb_attr_graph(&n, "else_branch", branch(a, "Relu", "t -> r"));
    pb_message(&g, 1, n);
    add(&g, "Exp", "x -> t");
    Loading l = load(pb_model(g, 20));
    CHECK_STR(ops_of(&l), "Exp If");
    const Node *at = l.status == OK ? l.loaded.module->main->last : NULL;
    if (at && at->n_region == 2) {
        CHECK(at->region[0]->last->in[0]->def == at->region[0]->first);
        CHECK(at->region[1]->first->in[0] == at->prev->out[0]);
    }
    unload(&l);
}

/* A loop that doubles its first value along dim 0 and leaves the second as it is. */
static void test_loop_grows(Arena *a)
{
    Pb g = graph_xy(a), n = pb_node(a, "Loop", "m - x x -> y z"), body = {.arena = a};
    Pb cat = pb_node(a, "Concat", "v v -> w");

    pb_port(&g, 11, "m", 7, "");
    pb_port(&body, 11, "i", 7, "");
    pb_port(&body, 11, "go", 9, "");
    pb_port(&body, 11, "v", 1, NULL);
    pb_port(&body, 11, "u", 1, NULL);
    pb_attr_int(&cat, "axis", 0);
    pb_message(&body, 1, cat);
    add(&body, "Neg", "u -> s");
    pb_port(&body, 12, "go", 9, NULL);
    pb_port(&body, 12, "w", 1, NULL);
    pb_port(&body, 12, "s", 1, NULL);
    pb_attr_graph(&n, "body", body);
    pb_message(&g, 1, n);
    Loading l = load(pb_model(g, 20));
    CHECK_STR(ops_of(&l), "Loop");
    const Node *at = l.status == OK ? l.loaded.module->main->last : NULL;
    if (at && at->n_region == 1 && at->region[0]->n_arg == 4) {
        const Type *x = &l.loaded.module->main->arg[0]->type;
        const Type *v = &at->region[0]->arg[2]->type, *u = &at->region[0]->arg[3]->type;
        CHECK(v->rank == 2 && v->dim[0] != x->dim[0] && v->dim[1] == x->dim[1]);
        CHECK(u->rank == 2 && u->dim[0] == x->dim[0] && u->dim[1] == x->dim[1]);
        CHECK(at->out[0]->type.dim[0] != x->dim[0]);
        CHECK(at->out[1]->type.dim[0] == x->dim[0]);
    }
    unload(&l);
}

/* A loop whose value gets another rank each round, and one whose body is wrong. */
static void test_loop_ranks(Arena *a)
{
    Pb g = graph_xy(a), n = pb_node(a, "Loop", "m - x -> y"), body = {.arena = a};
    Pb axes = pb_tensor(a, "axes", 7, 1, (const int64_t[]){1}), wrong;

    pb_int(&axes, 7, 0);
    pb_port(&g, 11, "m", 7, "");
    pb_port(&body, 11, "i", 7, "");
    pb_port(&body, 11, "go", 9, "");
    pb_port(&body, 11, "v", 1, NULL);
    pb_port(&body, 12, "go", 9, NULL);
    pb_port(&body, 12, "w", 1, NULL);
    wrong = pb_copy(body);
    add(&wrong, "Add", "v q -> w");
    add(&body, "Unsqueeze", "v axes -> w");
    pb_message(&body, 5, axes);
    Pb bad = pb_copy(n), h = pb_copy(g);
    pb_attr_graph(&n, "body", body);
    pb_message(&g, 1, n);
    Loading l = load(pb_model(g, 20));
    const Node *at = l.status == OK ? l.loaded.module->main->last : NULL;
    if (at && at->n_region == 1) CHECK_EQ(at->region[0]->arg[2]->type.rank, RANK_UNKNOWN);
    CHECK(l.status == OK || l.status == ERR_UNSUPPORTED); /* Unsqueeze of any rank */
    unload(&l);
    pb_attr_graph(&bad, "body", wrong);
    pb_message(&h, 1, bad);
    check_fails(pb_model(h, 20), ERR_MODEL, "\"q\", is not defined");
}

/* A loop of `rounds` (< 0: the input m) whose value, s at first, is of rank 2 after a round. */
static Pb peeled_model(Arena *a, int rounds)
{
    Pb g = graph_xy(a), n = pb_node(a, "Loop", rounds < 0 ? "m - s -> t" : "k - s -> y");
    Pb k = pb_tensor(a, "k", 7, 0, NULL), body = {.arena = a};

    pb_port(&g, 11, "m", 7, "");
    pb_port(&g, 11, "s", 1, "");
    pb_int(&k, 7, rounds);
    if (rounds >= 0) pb_message(&g, 5, k);
    pb_port(&body, 11, "i", 7, "");
    pb_port(&body, 11, "go", 9, "");
    pb_port(&body, 11, "v", 1, NULL);
    pb_port(&body, 12, "go", 9, NULL);
    pb_port(&body, 12, "w", 1, NULL);
    add(&body, "Add", "v x -> w");
    pb_attr_graph(&n, "body", body);
    pb_message(&g, 1, n);
    if (rounds < 0) add(&g, "ReduceSum", "t -> y");
    return pb_model(g, 20);
}

static void test_peel(Arena *a)
{
    Loading l = load(peeled_model(a, 5));
    CHECK_STR(ops_of(&l), "Add Loop");
    const Node *at = l.status == OK ? l.loaded.module->main->last : NULL;
    if (at && at->n_region == 1) {
        CHECK_EQ(tensor_int(at->in[0]->data, 0), 4);
        CHECK_EQ(at->region[0]->arg[2]->type.rank, 2);
        CHECK_EQ(at->out[0]->type.rank, 2);
    }
    unload(&l);
    Loading none = load(peeled_model(a, 0));
    CHECK_STR(ops_of(&none), "");
    unload(&none);
    Loading maybe = load(peeled_model(a, -1)); /* the rest stands in both branches */
    CHECK_STR(ops_of(&maybe), "Greater If");
    const Node *either = maybe.status == OK ? maybe.loaded.module->main->last : NULL;
    if (either && either->n_region == 2) {
        CHECK_STR(node_op_name(either->region[0]->last), "ReduceSum");
        CHECK_STR(node_op_name(either->region[1]->first), "ReduceSum");
    }
    unload(&maybe);
}

/* Whether n is 1 decides what rank is left; where that must be 2, it is not. */
static void test_squeeze(Arena *a)
{
    Pb g = graph_xy(a), both = graph_xy(a), one = graph_xy(a);

    add(&g, "Squeeze", "x -> t");
    add(&g, "Neg", "t -> y");
    add(&g, "Abs", "x -> u"); /* reads nothing of it: in no branch */
    Loading l = load(pb_model(g, 20));
    const Node *n = l.status == OK ? l.loaded.module->main->last : NULL;
    CHECK(n && n->n_region == 2);
    if (n) CHECK_STR(node_op_name(l.loaded.module->main->first), "Abs");
    if (n && n->n_region == 2) {
        CHECK_EQ(n->region[0]->result[0]->type.rank, 1);
        CHECK_EQ(n->region[1]->result[0]->type.rank, 2);
        CHECK_STR(node_op_name(n->region[0]->last), "Neg");
    }
    unload(&l);
    add(&both, "Squeeze", "x -> t"); /* the same dim: asked for once */
    add(&both, "Squeeze", "x -> u");
    add(&both, "Add", "t u -> y");
    l = load(pb_model(both, 20));
    n = l.status == OK ? l.loaded.module->main->last : NULL;
    if (n && n->n_region == 2) CHECK_EQ(n->region[0]->first->n_region, 0);
    CHECK(n && n->n_region == 2);
    unload(&l);
    add(&one, "Squeeze", "x -> t");
    add(&one, "Gemm", "t t -> y");
    l = load(pb_model(one, 20));
    CHECK(l.status == OK && l.loaded.module->main->last->n_region == 0);
    if (l.status == OK) CHECK_STR(node_op_name(l.loaded.module->main->last), "Gemm");
    unload(&l);
}

/* Branches whose results have ranks 1 and 2, and what reads them. */
static Pb ranks_model(Arena *a, bool only_rank_2)
{
    Pb g = graph_xy(a), n = pb_node(a, "If", "c -> t"), axes = pb_tensor(a, "axes", 7, 0, NULL);
    Pb cat = pb_node(a, "Concat", "u x -> y");

    pb_int(&axes, 7, 0);
    pb_message(&g, 5, axes);
    pb_port(&g, 11, "c", 9, "");
    pb_attr_graph(&n, "then_branch", branch(a, "Gather", "x axes -> r"));
    pb_attr_graph(&n, "else_branch", branch(a, "Neg", "x -> r"));
    pb_message(&g, 1, n);
    pb_attr_int(&cat, "axis", 0);
    add(&g, "Abs", only_rank_2 ? "t -> u" : "t -> y");
    if (only_rank_2) pb_message(&g, 1, cat);
    return pb_model(g, 20);
}

/* A function whose first result is none of its If, which stands last in it. */
static void test_split_call(Arena *a)
{
    Pb g = graph_xy(a), f = function(a, "f", "a", "b"), n = pb_node(a, "If", "w -> v");
    Pb axes = pb_tensor(a, "axes", 7, 0, NULL), zero = pb_node(a, "Constant", "- -> axes");
    Pb call_f = pb_node(a, "f", "x c -> p q");

    pb_int(&axes, 7, 0);
    pb_attr_tensor(&zero, "value", axes);
    pb_text(&f, 4, "w");
    pb_text(&f, 5, "v");
    pb_message(&f, 7, zero);
    pb_message(&f, 7, pb_node(a, "Neg", "a -> b"));
    pb_attr_graph(&n, "then_branch", branch(a, "Gather", "a axes -> r"));
    pb_attr_graph(&n, "else_branch", branch(a, "Abs", "a -> r"));
    pb_message(&f, 7, n);
    pb_text(&call_f, 7, "my");
    pb_port(&g, 11, "c", 9, "");
    pb_message(&g, 1, call_f);
    add(&g, "Relu", "p -> t");
    add(&g, "Add", "t q -> y");
    Pb m = pb_model(g, 20);
    pb_opset(&m, 8, "my", 1);
    pb_message(&m, 25, f);
    Loading l = load(m);
    CHECK_STR(ops_of(&l), "Neg If");
    const Node *at = l.status == OK ? l.loaded.module->main->last : NULL;
    for (int i = 0; at && i < at->n_region; i++)
        CHECK_STR(node_op_name(at->region[i]->first->next->in[0]->def), "Neg");
    unload(&l);
}

/* The rest goes into both branches; or, where it fits only one, the other is ruled out. */
static void test_split(Arena *a)
{
    Loading l = load(ranks_model(a, false));
    CHECK_STR(ops_of(&l), "If");
    const Node *n = l.status == OK ? l.loaded.module->main->last : NULL;
    if (n && n->n_region == 2) {
        CHECK_EQ(n->region[0]->result[0]->type.rank, 1);
        CHECK_EQ(n->region[1]->result[0]->type.rank, 2);
        CHECK_STR(node_op_name(n->region[0]->last), "Abs");
        CHECK_STR(node_op_name(n->region[1]->last), "Abs");
    }
    unload(&l);
    Loading m = load(ranks_model(a, true));
    CHECK_STR(ops_of(&m), "Cast bind Neg Abs Concat");
    if (m.status == OK) CHECK_EQ(m.loaded.module->main->result[0]->type.rank, 2);
    unload(&m);
}

int main(void)
{
    Arena *a = arena_new(0);

    test_split(a);
    test_split_call(a);

    test_if(a);
    test_shadowing(a);
    test_loop_grows(a);
    test_loop_ranks(a);
    test_peel(a);
    test_squeeze(a);

    test_order(a);
    test_long_chain(a);
    test_names(a);
    test_unknown_attribute(a);
    test_known_absent(a);
    test_faults_together(a);
    test_dims(a);
    test_empty_softmax(a);
    test_initializers(a);
    test_functions(a);
    test_function_faults(a);
    test_function_bomb(a);
    test_constants(a);
    test_left_out(a);
    arena_free(a);
    return check_result();
}
