/* main.c: from the command line to a command; messages to standard error; the exit status. */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "support/io.h"

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

static void say(const Diag *d)
{
    Status s = diag_status(d);

    for (const DiagItem *i = d->first; i; i = i->next)
        fprintf(stderr, "ingot: %s%s\n", diag_severity(i), diag_format(i, d->arena));
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
        c = argc > 2 ? command_find(argv[2]) : NULL;
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
    c = command_find(argv[1]);
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
