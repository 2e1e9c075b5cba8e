/* cmd_compile.c: `ingot compile`: a model into an artifact, or into the text of a stage. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "codegen/link/link.h"
#include "support/json.h"

typedef enum FormKind { FORM_ARTIFACT, FORM_TEXT } FormKind;

typedef struct Form {
    const char *name;
    FormKind kind;
    bool header; /* written beside the artifact */
} Form;

static const Form forms[] = {
    {"exe", FORM_ARTIFACT, false},    {"lib", FORM_ARTIFACT, true},
    {"shared", FORM_ARTIFACT, true},  {"obj", FORM_ARTIFACT, true},
    {"header", FORM_ARTIFACT, false}, {"llvm", FORM_TEXT, false},
    {"asm", FORM_TEXT, false},        {"kernels", FORM_TEXT, false},
    {"c", FORM_TEXT, false},
};

static const Form *form_of(const char *name)
{
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (strcmp(forms[i].name, name) == 0) return &forms[i];
    return NULL;
}

/* OUT with its ending replaced by .h, without a leading lib. */
static const char *header_path(Arena *a, const char *path)
{
    const char *name = path_name(path), *dot = strrchr(name, '.');
    size_t n = dot && dot != name ? (size_t)(dot - name) : strlen(name);
    bool lib = dot && n > 3 && strncmp(name, "lib", 3) == 0;
    const char *stem = arena_strndup(a, name + (lib ? 3 : 0), n - (lib ? 3 : 0));

    return path_join(a, path_folder(a, path), arena_printf(a, "%s.h", stem));
}

static Status print_kernel(void *context, Node *n)
{
    Text *t = context;

    if (n->kind != NODE_KERNEL) return OK;
    text_f(t, "; %s\n", n->kernel->label ? n->kernel->label : "kernel");
    if (n->kernel->why) text_f(t, "; %s\n", n->kernel->why);
    kernel_print(n, t);
    if (t->n && t->s[t->n - 1] != '\n') text_char(t, '\n');
    text_char(t, '\n');
    return OK;
}

static Status write_text(const char *path, const Text *t, Diag *d)
{
    if (path) return file_write_all(path, 0644, t->s, t->n, d);
    if (fwrite(t->s, 1, t->n, stdout) != t->n)
        return diag(d, ERR_IO, (Where){0}, "standard output could not be written");
    return OK;
}

typedef struct Compilation {
    const Options *o;
    const Form *form;
    const char *model, *path, *symbol; /* path: NULL for text on standard output */
    Loaded loaded;
    Code code;
    Diag *d;
} Compilation;

static Status emit_text(Compilation *c)
{
    Text t;

    text_init(&t, c->o->arena);
    if (!strcmp(c->form->name, "kernels")) {
        TRY(module_visit(c->loaded.module, print_kernel, &t));
    } else if (!strcmp(c->form->name, "c")) {
        TRY(codegen_print_c(c->loaded.module, c->o->arena, &t, c->d));
    } else {
        TRY(session_codegen(c->o, c->loaded.module, c->symbol, &c->code, c->d));
        text_put(&t, c->code.text);
    }
    return write_text(c->path, &t, c->d);
}

static void report(const Compilation *c)
{
    const Plan *p = &c->code.plan;
    Text t;
    Json j;

    text_init(&t, c->o->arena);
    json_init(&j, &t);
    json_object(&j);
    json_key(&j, "model");
    json_string(&j, c->model);
    json_key(&j, "output");
    json_string(&j, c->path);
    json_key(&j, "emit");
    json_string(&j, c->form->name);
    const struct {
        const char *key;
        int64_t value;
    } row[] = {{"kernels", c->code.n_kernels},
               {"launches", c->code.n_calls_of_kernels},
               {"weights_bytes", (int64_t)c->code.weights_size},
               {"arena_bytes", c->code.arena_size},
               {"plan_bytes", p->peak},
               {"plan_lower_bound", p->lower_bound},
               {"plan_unpadded", p->unpadded},
               {"segments", p->n_segment},
               {"open_segments", p->n_open},
               {"in_place", p->n_in_place}};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        json_key(&j, row[i].key);
        json_int(&j, row[i].value);
    }
    json_end_object(&j);
    printf("%s\n", t.s);
}

static Status emit_artifact(Compilation *c)
{
    TRY(session_codegen(c->o, c->loaded.module, c->symbol, &c->code, c->d));
    TRY(session_link(c->o, c->loaded.module, &c->code, c->symbol, c->form->name, c->path, c->d));
    if (c->form->header)
        TRY(session_link(c->o, c->loaded.module, &c->code, c->symbol, "header",
                         header_path(c->o->arena, c->path), c->d));
    if (c->o->json) report(c);
    return OK;
}

static Status prepare(Compilation *c)
{
    const Options *o = c->o;
    const char *emit = o->emit ? o->emit : "exe";

    c->form = form_of(emit);
    if (!c->form)
        return diag(c->d, ERR_USAGE, (Where){0},
                    "--emit %s is not there; exe, lib, shared, obj, header, llvm, asm, kernels, c "
                    "are",
                    emit);
    if (o->output.n > 1) return diag(c->d, ERR_USAGE, (Where){0}, "there are two -o");
    c->path = o->output.n ? o->output.item[0] : NULL;
    if (!c->path && c->form->kind == FORM_ARTIFACT)
        return diag(c->d, ERR_USAGE, (Where){0}, "say where the artifact goes: -o OUT");
    c->symbol = o->name ? link_identifier(o->arena, o->name)
                        : session_symbol(o->arena, c->path ? c->path : c->model);
    return OK;
}

Status cmd_compile(const Options *o, Diag *d)
{
    Options own = *o;
    Compilation c = {.o = &own, .d = d, .model = o->argument.item[0]};
    Status s;

    if (!own.jobs.given) own.jobs = own.threads;
    TRY(prepare(&c));
    s = session_load(o, c.model, &c.loaded, d);
    if (s == OK) s = session_fuse(o, c.loaded.module, d);
    if (s == OK) s = c.form->kind == FORM_TEXT ? emit_text(&c) : emit_artifact(&c);
    frontend_close(&c.loaded);
    return s;
}
