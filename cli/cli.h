/* cli.h: the `ingot` command: options, commands, and what several commands do alike.
 *
 * A command is a row of the table in main.c and a function in cmd_NAME.c; an option is a row of
 * options.def. Errors go into the sink; main prints them and ends with the status. */
#ifndef INGOT_CLI_CLI_H
#define INGOT_CLI_CLI_H

#include "codegen/codegen.h"
#include "frontend/frontend.h"
#include "passes/pass.h"

enum {
    C_COMPILE = 1,
    C_RUN = 2,
    C_TEST = 4,
    C_CHECK = 8,
    C_BENCH = 16,
    C_PASS = 32,
    C_INSPECT = 64,
    C_QUIET = 1024, /* of an option: help only names it */
    C_CODE = C_COMPILE | C_RUN | C_TEST | C_CHECK | C_BENCH,
    C_GRAPH = C_CODE | C_PASS | C_INSPECT,
    C_ALL = C_GRAPH
};

typedef struct OptionList {
    const char **item;
    int n, cap;
} OptionList;

typedef bool OptionFLAG;
typedef const char *OptionTEXT;
typedef struct OptionINT {
    bool given;
    int64_t value;
} OptionINT;
typedef OptionList OptionLIST;

typedef struct Options {
#define OPTION(field, kind, ...) Option##kind field;
#include "cli/options.def"
#undef OPTION
    OptionList argument;      /* what is no option */
    Text *c_source;           /* CodegenOptions.c_source */
    const CodegenTune *tiles; /* CodegenOptions.tune */
    const void *model_bytes;  /* the model, when it is not read from a file */
    size_t model_size;
    Arena *arena;
} Options;

typedef struct Command {
    const char *name;
    int bit; /* C_... */
    const char *about;
    const char *usage;    /* behind the name */
    const char *examples; /* lines */
    int least, most;      /* arguments */
    Status (*run)(const Options *o, Diag *d);
} Command;

extern const Command commands[];               /* ends with a nameless one */
const Command *command_find(const char *name); /* NULL: there is none */

/* argv behind the command's name. */
Status options_parse(const Command *c, int argc, char **argv, Options *out, Diag *d) MUST_USE;
void options_help(const Command *c);
/* All options, with the commands that take them. */
void options_list(void);

/* ---- shared by commands (session.c) ---- */

typedef struct Fixes {
    DimFix *fix;
    int n;
} Fixes;

/* What the options say of the passes; `target` is kept. */
Status session_passes(const Options *o, TargetInfo *target, PassOptions *out, Diag *d) MUST_USE;
/* The head of the passes: pass_run_quantised. */
Status session_quantise(const Options *o, Module *m, bool *changed, Diag *d) MUST_USE;
/* Load the model and run all passes: a fused graph. frontend_close(&out) whatever the status. */
Status session_load(const Options *o, const char *model, Loaded *out, Diag *d) MUST_USE;
Status session_fuse(const Options *o, Module *m, Diag *d) MUST_USE;
Status session_codegen(const Options *o, Module *m, const char *symbol, Code *out,
                       Diag *d) MUST_USE;
/* The same with objects added: ELF relocatables. */
Status session_link_with(const Options *o, const Module *m, const Code *code, const char *symbol,
                         const char *form, const char *path, int n_more, const CodeObject *more,
                         Diag *d) MUST_USE;
/* Code and weights into the artifact `form` ("exe", "lib", "shared", "obj", "header") at `path`. */
Status session_link(const Options *o, const Module *m, const Code *code, const char *symbol,
                    const char *form, const char *path, Diag *d) MUST_USE;
/* user_ops.c: operators of --op, and their objects: out[o->op.n], each file once. */
Status user_ops_known(const Options *o, FrontendOptions *out, Diag *d) MUST_USE;
Status user_ops_objects(const Options *o, CodeObject *out, int *n, Diag *d) MUST_USE;
/* The file's name without folder and ending, as a C identifier. */
const char *session_symbol(Arena *a, const char *path);

/* tune.c: what --tune finds for the model, measured or remembered; in o->arena. */
Status tune(const Options *o, const char *model, const CodegenTune **out, Diag *d) MUST_USE;

Status cmd_compile(const Options *o, Diag *d) MUST_USE;
Status cmd_run(const Options *o, Diag *d) MUST_USE;
Status cmd_test(const Options *o, Diag *d) MUST_USE;
Status cmd_check(const Options *o, Diag *d) MUST_USE;
Status cmd_bench(const Options *o, Diag *d) MUST_USE;
Status cmd_inspect(const Options *o, Diag *d) MUST_USE;
void passes_list(void);
Status cmd_pass(const Options *o, Diag *d) MUST_USE;

#endif
