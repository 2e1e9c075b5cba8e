/* main.c: the table of commands; messages to standard error; the exit status. */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "support/io.h"

#ifndef INGOT_VERSION
#define INGOT_VERSION "0.1.0"
#endif

const Command commands[] = {
    {"compile", C_COMPILE, "a model into native code", "MODEL -o OUT [options]",
     "  ingot compile model.onnx -o model              an executable; model --help says how to run "
     "it\n"
     "  ingot compile model.onnx -o libmodel.a --emit lib       a library, and model.h\n"
     "  ingot compile model.onnx -o libmodel.so --emit shared --target x86-64-v3\n"
     "  ingot compile model.onnx -o m --dim batch=8    with an open dim fixed\n"
     "  ingot compile model.onnx --emit kernels        what is computed, as text\n",
     1, 1, cmd_compile},
    {"run", C_RUN, "compile a model and run it at once", "MODEL --input NAME=FILE... [options]",
     "  ingot run model.onnx --input image=cat.png --top 5\n"
     "  ingot run model.onnx --input x=x.npy --output y=y.npy\n"
     "  ingot run model.onnx --input random --dim batch=4\n"
     "  ingot run model.onnx --input x=x.npy --record tests/cat     a test for ingot test\n",
     1, 1, cmd_run},
    {"test", C_TEST, "models against their recorded outputs, through generated code",
     "DIR... [options]",
     "  ingot test models/digits                       a folder with a model and test_data_set_0\n"
     "  ingot test conformance/node -j 8 --json r.json        a tree of them\n"
     "  ingot test node --filter 'test_conv*' --verbose       some of them\n"
     "  ingot test corpus --target x86-64-v2 -O0\n",
     1, 1 << 20, cmd_test},
    {"check", C_CHECK, "generated code against the reference evaluator, tensor by tensor",
     "MODEL... [options]",
     "  ingot check model.onnx                     inputs: test_data_set_0 beside it, or random\n"
     "  ingot check model.onnx --tensors -O0 --target x86-64-v2\n"
     "  ingot check model.onnx --matrix            all levels, targets, folding on and off\n"
     "  ingot check model.onnx --bits              the same bits everywhere\n"
     "  ingot check model.onnx --c                 the bits of the kernels printed as C\n",
     1, 1 << 20, cmd_check},
    {"bench", C_BENCH, "latency, GFLOP/s against this machine's ceiling, time per kernel",
     "MODEL [options]",
     "  ingot bench model.onnx --threads 1\n"
     "  ingot bench model.onnx --threads 1 --json\n"
     "  ingot bench model.onnx --dim batch=8 --target x86-64-v3\n"
     "  ingot bench model.onnx --input x=x.npy     else test_data_set_0 beside it, else random\n",
     1, 1, cmd_bench},
    {"inspect", C_INSPECT, "inputs, outputs, operators, parameters, work and memory of a model",
     "MODEL [options]",
     "  ingot inspect model.onnx\n"
     "  ingot inspect model.onnx --json --dim batch=1\n"
     "  ingot inspect --ops                            the operators that ingot knows\n",
     0, 1, cmd_inspect},
    {"pass", C_PASS, "one pass alone, on IR text", "NAME [FILE] [options]",
     "  ingot pass fuse < x.ir                         text in, text out\n"
     "  ingot pass all x.ir --dump all                 the whole pipeline\n"
     "  ingot pass none x.ir                           read and print again\n"
     "  ingot pass --list\n",
     0, 2, cmd_pass},
    {0},
};

static void overview(FILE *f)
{
    fprintf(f, "ingot: ONNX models into native code, ahead of time\n\n");
    for (const Command *c = commands; c->name; c++)
        fprintf(f, "  ingot %-9s %s\n", c->name, c->about);
    fprintf(f, "\n  ingot COMMAND --help    options and examples\n"
               "  ingot help options     all options\n"
               "  ingot help passes      what the compiler does to a graph\n"
               "  ingot --version\n\n"
               "exit status: 0 ok, 1 a test failed, 2 usage, 3 unsupported, 4 invalid model,\n"
               "  5 input/output, 6 limit, 7 target unavailable, 70 internal error\n");
}

static const Command *find(const char *name)
{
    for (const Command *c = commands; c->name; c++)
        if (strcmp(c->name, name) == 0) return c;
    return NULL;
}

static void say(const Diag *d)
{
    static const char *const kind[] = {"error: ", "warning: ", "note: "};
    Status s = diag_status(d);

    for (const DiagItem *i = d->first; i; i = i->next)
        fprintf(stderr, "ingot: %s%s\n", kind[i->severity], diag_format(i, d->arena));
    if (s == ERR_LIMIT || s == ERR_TARGET || s == ERR_BUG)
        fprintf(stderr, "ingot: %s\n", status_remedy(s));
}

/* A word for a shell. */
static void put_word(Text *t, const char *s)
{
    text_char(t, '\'');
    for (; *s; s++)
        if (*s == '\'')
            text_put(t, "'\\''");
        else
            text_char(t, *s);
    text_char(t, '\'');
}

/* What led to a bug of ours, as a script; models are named, not copied: they may be large or
 * private. */
static void write_reproducer(int argc, char **argv, Arena *arena)
{
    const char *folder, *path;
    char here[PATH_MAX];
    Diag quiet;
    Text t;

    diag_init(&quiet, arena);
    text_init(&t, arena);
    text_f(&t, "#!/bin/sh\n# ingot %s ended with an internal error.\n", INGOT_VERSION);
    if (getcwd(here, sizeof here)) {
        text_put(&t, "cd ");
        put_word(&t, here);
        text_put(&t, " || exit\n");
    }
    for (int i = 0; i < argc; i++) {
        if (i) text_char(&t, ' ');
        put_word(&t, argv[i]);
    }
    text_char(&t, '\n');
    if (folder_temporary(arena, &folder, &quiet) != OK) return;
    path = path_join(arena, folder, "reproduce.sh");
    if (file_write_all(path, 0755, t.s, t.n, &quiet) != OK) return;
    fprintf(stderr, "ingot: reproducer: sh %s\n", path);
}

static Status run(const Command *c, int argc, char **argv, Arena *arena, Diag *d)
{
    Options o = {.arena = arena};

    TRY(options_parse(c, argc, argv, &o, d));
    if (o.help) {
        options_help(c);
        return OK;
    }
    d->verbose = o.verbose;
    return c->run(&o, d);
}

/* Words in front of the commands: help and version. NULL when it is a command. */
static const int *meta(int argc, char **argv)
{
    static const int ok = OK, usage = ERR_USAGE;
    const Command *c;

    if (argc < 2) {
        overview(stderr);
        return &usage;
    }
    if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "version")) {
        printf("ingot %s\n", INGOT_VERSION);
        return &ok;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        c = argc > 2 ? find(argv[2]) : NULL;
        if (c)
            options_help(c);
        else if (argc > 2 && !strcmp(argv[2], "options"))
            options_list();
        else if (argc > 2 && !strcmp(argv[2], "passes"))
            passes_list();
        else
            overview(stdout);
        return &ok;
    }
    return NULL;
}

int main(int argc, char **argv)
{
    const int *done = meta(argc, argv);
    const Command *c;
    Arena *arena;
    Diag d;
    Status s;

    if (done) return *done;
    c = find(argv[1]);
    if (!c) {
        fprintf(stderr, "ingot: error: there is no command '%s'; see ingot --help\n", argv[1]);
        return ERR_USAGE;
    }
    arena = arena_new(0);
    if (!arena) {
        fprintf(stderr, "ingot: error: out of memory\n");
        return ERR_LIMIT;
    }
    diag_init(&d, arena);
    s = run(c, argc - 2, argv + 2, arena, &d);
    if (s == OK && fflush(stdout) != 0)
        s = diag(&d, ERR_IO, (Where){0}, "standard output could not be written");
    say(&d);
    if (s == ERR_BUG) write_reproducer(argc, argv, arena);
    arena_free(arena);
    return (int)s;
}
