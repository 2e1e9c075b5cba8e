/* graph text: print and parse are one pair; what is wrong is refused at its line; random damage
 * does no harm. */
#include "ir/graph.h"
#include "tests/unit/check.h"

/* Everything that text can say, in the form in which it is printed. */
static const char whole[] =
    "model \"every form\"\n"
    "dim n 1..64\n"
    "dim \"batch size\" 0..\n"
    "dim k 0..9\n"
    "dim e ..9\n"
    "state 0 -> 1 axis -1\n"
    "const %w : f32[3] {1 -0.5 inf}\n"
    "const %idx : i64[2] {3 -1}\n"
    "const %\"a b\" : string[2] {\"x\\\"y\" \"\"}\n"
    "const %odd : f32[2] {0x7fc00001 nan}\n"
    "const %1 : c64[1] {1:-0}\n"
    "const %u : u64[] {18446744073709551615}\n"
    "const %2 : f16[40] {0.0999755859375 ...}\n"
    "input %x : f32[n,3]\n"
    "input %\"12\" : i64[4]\n"
    "input %0 : bool[]\n"
    "input %s : seq(f32[*])\n"
    "%3 : f32[n,3] = Add(%x, %w)\n"
    "%4 : i64[2] <n,3> = Shape(%3) {end=2, start=0}\n"
    "%5 : i64[1,k] = Abs(%x) @ NonZero \"nz\"\n"
    "%6 : ? = Concat(%x, %idx, _, %\"a b\", %odd, %1, %u, %2) {mode=\"constant\", alpha=1.0, "
    "beta=1e-8, "
    "l=ints [1,-2], f=floats [0.5,nan,2.0], e=ints [], s=strings [\"a\",\"\\n\"], "
    "t=tensor i8[2] {1 2}, ts=tensors [f32[0] {}, bool[1] {1}], none=none}\n"
    "bind(%\"12\") [1]=e define e\n"
    "%7 : f32[3*n] = reshape(%3)\n"
    "%8 : f32[2*n,3] = concat(%x, %3) axis 0\n"
    "%9 : f32[\"batch size\"], _ = call(%x, _) \"topk\" ints [1,2] floats [0.5] define \"batch "
    "size\" @ "
    "TopK \"top\" + Add \"\"\n"
    "%10 : f32[n], %11 : f32[n] = kernel(%x, %w) \"label\" outer 1 {\n"
    "  stage [n] reduce [3] lanes64 {\n"
    "    acc dot f32 load:f32(0,[i0,i1]) , load:f32(1,[i1])\n"
    "    acc max f32 load:f32(0,[i0,i1])\n"
    "    out local f32 add(acc:f32(0),acc:f32(1))\n"
    "    out 0 f32 acc:f32(0)\n"
    "  }\n"
    "  stage [n] {\n"
    "    out 1 f32 load:f32(s0,[i0])\n"
    "  }\n"
    "} @ Softmax \"\"\n"
    "%12 : f32[n] = kernel(%10) {\n"
    "  stage [n] scan 0 {\n"
    "    acc sum f32 load:f32(0,[i0])\n"
    "    out 0 f32 acc:f32(0)\n"
    "  }\n"
    "}\n"
    "%13 : f32[n,3] = kernel(%x, %\"12\") {\n"
    "  stage [4] {\n"
    "    out 0 f32 f32:1 scatter add init 0 [i0 , i64:2] guard lt(i0,dim(n))\n"
    "  }\n"
    "}\n"
    "%14 : f32[n] = if(%0)\n"
    "  region () {\n"
    "    %15 : f32[n] = Relu(%12)\n"
    "    yield %15\n"
    "  }\n"
    "  region () {\n"
    "    yield %10\n"
    "  }\n"
    "%16 : f32[n], %17 : f32[k,n] = loop(_, %0, %10)\n"
    "  region (%18 : i64[], %19 : bool[], %20 : f32[n]) {\n"
    "    yield %0, %20, %20\n"
    "  }\n"
    "%21 : f32[n] = Shape(%0) {else_branch=region 1, then_branch=region 0}\n"
    "  region () {\n"
    "    yield %10\n"
    "  }\n"
    "  region () {\n"
    "    yield %12\n"
    "  }\n"
    "output %8 \"y\"\n"
    "output %x \"again\"\n"
    "output %16\n";

static Module *parse(Arena *a, const char *text, Diag *d)
{
    Module *m = NULL;
    diag_init(d, a);
    Status s = graph_parse(a, text, "test.ir", &m, d);
    CHECK((s == OK) == (m != NULL) && (s == OK) == (d->errors == 0));
    return m;
}

static void test_round_trip(Arena *a)
{
    Diag d;
    Text once, twice;
    Module *m = parse(a, whole, &d);
    if (d.first) fprintf(stderr, "%s\n", diag_format(d.first, a));
    CHECK(m);
    if (!m) return;
    text_init(&once, a);
    graph_print(m, &once);
    CHECK_STR(once.s, whole);
    CHECK_EQ(graph_verify(m, STAGE_IMPORTED, &d), OK);
    if (d.first) fprintf(stderr, "%s\n", diag_format(d.first, a));
    m = parse(a, once.s, &d);
    text_init(&twice, a);
    graph_print(m, &twice);
    CHECK_STR(twice.s, once.s);
    CHECK(m->main->arg[0]->type.dim[0]->hi == 64);
    CHECK(m->main->n_result == 3 && strcmp(m->output_name[1], "again") == 0);
    CHECK(m->main->first->origin->index == 18); /* its line */
}

static void test_inference(Arena *a)
{
    Diag d;
    Text out;
    Module *m =
        parse(a, "input %x : f32[n,1]\nconst %c : f32[4] {0 ...}\n%y = Add(%x, %c)\noutput %y", &d);
    CHECK(m);
    if (!m) return;
    text_init(&out, a);
    type_print(&out, &m->main->result[0]->type);
    CHECK_STR(out.s, "f32[n,4]");
    CHECK_EQ(graph_verify(m, STAGE_INFERRED, &d), OK);
    CHECK(graph_verify(m, STAGE_LOWERED, &d) != OK);
}

/* Large constants: by digest, whole with their data, refused without. */
static void test_data(Arena *a)
{
    Diag d;
    Text in, graph, data, again;
    text_init(&in, a);
    text_put(&in, "const %c : f32[20] {");
    for (int i = 0; i < 20; i++)
        text_f(&in, "%s%d.25", i ? " " : "", i);
    text_put(&in, "}\noutput %c\n");
    Module *m = parse(a, in.s, &d);
    CHECK(m);
    if (!m) return;
    text_init(&graph, a);
    text_init(&data, a);
    text_init(&again, a);
    graph_print(m, &graph);
    graph_print_data(m, &data);
    CHECK(strchr(graph.s, '#') && !strstr(graph.s, "19.25") && strstr(data.s, "19.25"));
    CHECK(!parse(a, graph.s, &d));
    m = parse(a, arena_printf(a, "%s%s", graph.s, data.s), &d);
    CHECK(m);
    if (!m) return;
    CHECK(tensor_double(m->main->result[0]->data, 19) == 19.25);
    graph_print(m, &again);
    CHECK_STR(again.s, graph.s);
}

typedef struct BadText {
    int line;
    const char *text;
} BadText;

static const BadText bad_texts[] = {
    {2, "input %x : f32[n]\n%y : f32[n] = Relu(%z)"},
    {2, "input %x : f32[n]\ninput %x : f32[n]"},
    {1, "input %x : f99[n]"},
    {1, "input %x"},
    {1, "const %c : f32[2] {1}"},
    {1, "const %c : i8[1] {200}"},
    {1, "const %c : f32[99999999999] {0 ...}"},
    {1, "const %c : f32[n] {0 ...}"},
    {1, "const %c : f32[20] #00112233445566778899aabbccddeeff"},
    {1, "dim n 5..4"},
    {3, "input %x : f32[n]\n\n%y : f32[n] = Relux(%x)"},
    {2, "input %x : f32[n]\n%y : f32[n] = Relu(%x"},
    {2, "input %x : f32[n]\n%y : f32[n] = Relu(%x) {a=region 0}"},
    {2, "input %x : i64[2]\n%y : i64[2] <1,2,3> = Relu(%x)"},
    {2, "input %x : f32[n]\n%y = reshape(%x)"},
    {2, "input %x : f32[n]\nbind(%x) [0]=2*n"},
    {3,
     "input %x : f32[n]\n%y : f32[n] = kernel(%x) {\n  stage [n] { out 0 f32 load:f32(0,[i0) }\n}"},
    {2, "input %x : f32[n]\n%y : f32[n] = kernel(%x) { }"},
    {1, "output %x"},
};

static void test_bad_texts(Arena *a)
{
    for (size_t i = 0; i < sizeof bad_texts / sizeof *bad_texts; i++) {
        Diag d;
        CHECK(!parse(a, bad_texts[i].text, &d));
        if (d.first) CHECK_EQ(d.first->where.line, bad_texts[i].line);
        if (check_failures) {
            fprintf(stderr, "at: %s\n", bad_texts[i].text);
            return;
        }
    }
}

typedef struct BadGraph {
    GraphStage stage;
    const char *message; /* part of it; NULL: the graph is right */
    const char *text;
} BadGraph;

#define KERNEL(BODY) "input %x : f32[n,3]\n%y : f32[n,3] = kernel(%x) {\n" BODY "\n}\noutput %y\n"

static const BadGraph bad_graphs[] = {
    {STAGE_LOWERED, NULL, KERNEL("stage [n,3] { out 0 f32 load:f32(0,[i0,i1]) }")},
    {STAGE_LOWERED, "no type", "input %x : f32[n]\n%y : ? = call(%x) \"user_f\"\noutput %y"},
    {STAGE_LOWERED, "ir/call.def", "input %x : f32[n]\n%y : f32[n] = call(%x) \"f\"\noutput %y"},
    {STAGE_LOWERED, "not lowered", "input %x : f32[n]\n%y : f32[n] = Relu(%x)\noutput %y"},
    {STAGE_LOWERED, "no input and no node", "input %x : f32[2*n]\noutput %x"},
    {STAGE_LOWERED, "no input and no node",
     "input %x : f32[n]\n%y : f32[m] = reshape(%x)\noutput %y"},
    {STAGE_INFERRED, "not defined",
     "input %c : bool[]\ninput %x : f32[2]\n%y : f32[2] = if(%c) region () { %z : f32[2] = "
     "Relu(%x) yield "
     "%z } region () { yield %z }\noutput %y"},
    {STAGE_LOWERED, "number of elements",
     "input %x : f32[4]\n%y : f32[5] = reshape(%x)\noutput %y"},
    {STAGE_LOWERED, "do not add up",
     "input %x : f32[4]\n%y : f32[9] = concat(%x, %x) axis 0\noutput %y"},
    {STAGE_LOWERED, "does not define", "input %x : i64[4]\nbind(%x) [1]=k\noutput %x"},
    {STAGE_LOWERED, "defined twice", "input %x : i64[n]\nbind(%x) [1]=n define n\noutput %x"},
    {STAGE_LOWERED, "no dim of its results",
     "input %x : i64[n]\n%y : i64[2] = call(%x) \"user_f\" define m\noutput %y"},
    {STAGE_LOWERED, "takes one bool",
     "input %x : f32[]\n%y : f32[] = if(%x) region () { yield %x } region () { yield %x }\noutput "
     "%y"},
    {STAGE_LOWERED, "arguments",
     "input %c : bool[]\n%y : bool[] = loop(_, %c, %c) region () { yield %c, %c }\n"
     "output %y"},
    {STAGE_LOWERED, "not there", "input %x : f32[]\nstate 0 -> 1 axis 0\noutput %x"},
    {STAGE_LOWERED, "reads index 2", KERNEL("stage [n,3] { out 0 f32 load:f32(0,[i0,i2]) }")},
    {STAGE_LOWERED, "its rank is 2", KERNEL("stage [n,3] { out 0 f32 load:f32(0,[i0]) }")},
    {STAGE_LOWERED, "loads f64", KERNEL("stage [n,3] { out 0 f32 cast:f32(load:f64(0,[i0,i1])) }")},
    {STAGE_LOWERED, "operand 1", KERNEL("stage [n,3] { out 0 f32 load:f32(1,[i0,i1]) }")},
    {STAGE_LOWERED, "not before it", KERNEL("stage [n,3] { out 0 f32 load:f32(s0,[i0,i1]) }")},
    {STAGE_LOWERED, "out of bounds",
     "input %x : f32[4,3]\n%y : f32[4,3] = kernel(%x) { stage [4,3] { out 0 f32 "
     "load:f32(0,[i0,i64:3]) } "
     "}\noutput %y"},
    {STAGE_LOWERED, "accumulator 0", KERNEL("stage [n,3] { out 0 f32 acc:f32(0) }")},
    {STAGE_LOWERED, "reduces nothing", KERNEL("stage [n,3] reduce [4] { out 0 f32 f32:1 }")},
    {STAGE_LOWERED, "written twice", KERNEL("stage [n,3] { out 0 f32 f32:1 out 0 f32 f32:2 }")},
    {STAGE_LOWERED, "nothing writes", KERNEL("stage [n,3] { out local f32 f32:1 }")},
    {STAGE_LOWERED, "dims of the stage", KERNEL("stage [n,4] { out 0 f32 f32:1 }")},
    {STAGE_LOWERED, "outer extents",
     "input %x : f32[n]\n%y : f32[n] = kernel(%x) outer 1 { stage [n] { out 0 f32 f32:1 } "
     "}\noutput %y"},
    {STAGE_LOWERED, "which it cannot", KERNEL("stage [n,3] scan 1 { out 0 f32 f32:1 }")},
    {STAGE_LOWERED, "accumulates", KERNEL("stage [n,3] { acc sum f16 f16:1 out 0 f32 f32:1 }")},
    {STAGE_LOWERED, "must be i64",
     KERNEL("stage [n,3] { out 0 f32 f32:1 scatter set init 0 [i0 , f32:1] }")},
    {STAGE_LOWERED, "gives nothing", KERNEL("stage [n,3] { }")},
};

static void check_bad_graph(Arena *a, const BadGraph *b)
{
    Diag d;
    Module *m = parse(a, b->text, &d);
    if (m && graph_verify(m, b->stage, &d) == OK) CHECK(d.errors == 0);
    const char *said = d.first ? d.first->text : NULL;
    bool right = b->message ? said && strstr(said, b->message) : !said;
    if (!right)
        fprintf(stderr, "%s\n  said: %s, want: %s\n", b->text, said ? said : "-", b->message);
    CHECK(right);
}

static void test_kernel_text(Arena *a)
{
    Diag d;
    Text out, again;
    Module *m = parse(a, bad_graphs[0].text, &d);
    CHECK(m);
    if (!m) return;
    Node *n = m->main->first;
    text_init(&out, a);
    text_init(&again, a);
    kernel_print(n, &out);
    CHECK_STR(out.s, "kernel(in0 : f32[n,3]) -> (out0 : f32[n,3]) {\n"
                     "  stage [n,3] {\n"
                     "    out 0 f32 load:f32(0,[i0,i1])\n"
                     "  }\n"
                     "}\n");
    n->kernel = NULL;
    const char *end = kernel_parse(m, out.s, n, &d);
    CHECK(end && strcmp(end, "\n") == 0 && n->kernel);
    kernel_print(n, &again);
    CHECK_STR(again.s, out.s);
    CHECK(!kernel_parse(m, "kernel(in0 : f32[n,4]) -> (out0 : f32[n,3]) { }", n, &d));
}

/* Text with a few bytes changed, removed or doubled: any answer, but an answer. */
static void test_damage(void)
{
    uint64_t state = 7;
    static char text[2 * sizeof whole];
    for (int turn = 0; turn < 1500; turn++) {
        Arena *a = arena_new((size_t)64 << 20);
        size_t n = sizeof whole - 1;
        memcpy(text, whole, n);
        for (int k = 0; k <= turn % 3; k++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            size_t at = (size_t)(state >> 33) % n;
            size_t length = 1 + (size_t)(state >> 20) % 12;
            if (length > n - at) length = n - at;
            if (state >> 60 < 6) {
                memmove(text + at, text + at + length, n - at - length);
                n -= length;
            } else if (state >> 60 < 11) {
                text[at] = "0123456789%[]{}(),\"_:<>-="[(state >> 50) % 25];
            } else if (n + length < sizeof text) {
                memmove(text + at + length, text + at, n - at);
                n += length;
            }
        }
        text[n] = 0;
        Diag d;
        Module *m = parse(a, text, &d);
        if (m) {
            Text out;
            text_init(&out, a);
            graph_print(m, &out);
            Status verdict = graph_verify(m, (GraphStage)(turn % 4), &d);
            CHECK((verdict == OK) == (d.errors == 0));
        }
        arena_free(a);
    }
}

int main(void)
{
    Arena *a = arena_new(0);
    test_round_trip(a);
    test_inference(a);
    test_data(a);
    test_bad_texts(a);
    for (size_t i = 0; i < sizeof bad_graphs / sizeof *bad_graphs; i++)
        check_bad_graph(a, &bad_graphs[i]);
    test_kernel_text(a);
    test_damage();
    arena_free(a);
    return check_result();
}
