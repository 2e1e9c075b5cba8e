/* library.c: ingot.h: `ingot compile` as a function. Options are parsed as the command parses them,
 * so that what one learns the other knows. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "ingot/ingot.h"

static Status parse(int32_t n, const char *const *options, const char *model, Options *o, Diag *d)
{
    char **argv;

    if (n < 0 || n > INT16_MAX || (n && !options) || !model)
        return diag(d, ERR_USAGE, (Where){0}, "no model, or a wrong number of options");
    argv = ARENA_ARRAY(o->arena, char *, n + 2);
    for (int32_t i = 0; i < n; i++) {
        if (!options[i]) return diag(d, ERR_USAGE, (Where){0}, "option %d is NULL", (int)i);
        argv[i] = arena_strndup(o->arena, options[i], strlen(options[i]));
    }
    argv[n] = arena_strndup(o->arena, "--", 2);
    argv[n + 1] = arena_strndup(o->arena, model, strlen(model));
    return options_parse(command_find("compile"), n + 2, argv, o, d);
}

/* Standard output is the caller's. */
static Status refuse_talk(const Options *o, Diag *d)
{
    if (o->help) return diag(d, ERR_USAGE, (Where){0}, "--help is the command's alone");
    if (o->json)
        return diag(d, ERR_USAGE, (Where){0},
                    "--json is the command's alone; --report FILE is not");
    if (!o->output.n)
        return diag(d, ERR_USAGE, (Where){0}, "say where the artifact goes: --output=FILE");
    return OK;
}

static Status compile(Options *o, const char *model, int32_t n, const char *const *options, Diag *d)
{
    TRY(parse(n, options, model, o, d));
    TRY(refuse_talk(o, d));
    d->verbose = o->verbose;
    return cmd_compile(o, d);
}

static char *messages_of(const Diag *d, Arena *arena)
{
    Status s = diag_status(d);
    char *copy;
    Text t;

    text_init(&t, arena);
    for (const DiagItem *i = d->first; i; i = i->next)
        text_f(&t, "%s%s\n", diag_severity(i), diag_format(i, arena));
    if (s == ERR_LIMIT || s == ERR_TARGET || s == ERR_BUG) text_f(&t, "%s\n", status_remedy(s));
    copy = t.n ? malloc(t.n + 1) : NULL;
    if (copy) memcpy(copy, t.s, t.n + 1);
    return copy;
}

static int32_t run(Options o, const char *model, int32_t n, const char *const *options,
                   char **messages)
{
    Status s;
    Diag d;

    if (messages) *messages = NULL;
    o.arena = arena_new(0);
    if (!o.arena) return ERR_LIMIT;
    diag_init(&d, o.arena);
    s = compile(&o, model, n, options, &d);
    if (messages) *messages = messages_of(&d, o.arena);
    arena_free(o.arena);
    return (int32_t)s;
}

int32_t ingot_compile(const char *model, int32_t n_options, const char *const *options,
                      char **messages)
{
    return run((Options){0}, model, n_options, options, messages);
}

int32_t ingot_compile_bytes(const void *bytes, size_t size, const char *name, int32_t n_options,
                            const char *const *options, char **messages)
{
    Options o = {.model_bytes = bytes ? bytes : "", .model_size = bytes ? size : 0};

    return run(o, name ? name : "model.onnx", n_options, options, messages);
}

void ingot_free(char *messages)
{
    free(messages);
}

const char *ingot_compiler_version(void)
{
    return INGOT_VERSION;
}
