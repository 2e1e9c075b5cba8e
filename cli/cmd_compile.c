/* cmd_compile.c: `ingot compile`: a model into an artifact, or into the text of a stage. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "cli/accuracy.h"
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
    {"c", FORM_TEXT, false},          {"ir", FORM_TEXT, false},
    {"cuda", FORM_TEXT, false},
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

enum { STEPS = 4 }; /* load, passes, code, link */

typedef struct Compilation {
    const Options *o;
    const Form *form;
    const char *model, *path, *symbol; /* path: NULL for text on standard output */
    Loaded loaded;
    Code code;
    Accuracy accuracy;      /* math NULL: not measured */
    double time[STEPS + 1]; /* at their borders */
    Diag *d;
} Compilation;

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static Status emit_text(Compilation *c)
{
    Text t;
    int n;

    text_init(&t, c->o->arena);
    if (!strcmp(c->form->name, "kernels")) {
        TRY(module_visit(c->loaded.module, print_kernel, &t));
    } else if (!strcmp(c->form->name, "ir")) {
        graph_print_data(c->loaded.module, &t);
        graph_print(c->loaded.module, &t);
    } else if (!strcmp(c->form->name, "c")) {
        TRY(codegen_print_c(c->loaded.module, c->o->arena, &t, c->d));
    } else if (!strcmp(c->form->name, "cuda")) {
        TRY(codegen_print_cuda(c->loaded.module, c->o->arena, &t, &n, c->d));
    } else {
        TRY(session_codegen(c->o, c->loaded.module, c->symbol, &c->code, c->d));
        text_put(&t, c->code.text);
    }
    return write_text(c->path, &t, c->d);
}

static Status put_kernel(void *context, Node *n)
{
    Json *j = context;

    if (n->kind != NODE_KERNEL) return OK;
    json_object(j);
    json_key(j, "name");
    json_string(j, n->kernel->label ? n->kernel->label : "kernel");
    json_key(j, "nodes");
    json_array(j);
    for (const Origin *o = n->origin; o; o = o->next)
        json_string(j, o->node && *o->node ? o->node : o->op);
    json_end_array(j);
    if (n->kernel->why) {
        json_key(j, "why");
        json_string(j, n->kernel->why);
    }
    json_end_object(j);
    return OK;
}

static void put_numbers(const Compilation *c, Json *j)
{
    const Plan *p = &c->code.plan;
    struct stat st;
    const struct {
        const char *key;
        int64_t value;
    } row[] = {{"bytes", stat(c->path, &st) == 0 ? (int64_t)st.st_size : -1},
               {"kernels", c->code.n_kernels},
               {"launches", c->code.n_calls_of_kernels},
               {"weights_bytes", (int64_t)c->code.weights.size},
               {"arena_bytes", c->code.arena_size},
               {"plan_bytes", p->peak},
               {"plan_lower_bound", p->lower_bound},
               {"plan_unpadded", p->unpadded},
               {"segments", p->n_segment},
               {"open_segments", p->n_open},
               {"in_place", p->n_in_place},
               {"bands", p->n_bands}};

    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        json_key(j, row[i].key);
        json_int(j, row[i].value);
    }
}

static void put_times(const Compilation *c, Json *j)
{
    static const char *const step[] = {"load", "passes", "code", "link"};

    json_key(j, "seconds");
    json_object(j);
    for (int i = 0; i < STEPS; i++) {
        json_key(j, step[i]);
        json_double(j, c->time[i + 1] - c->time[i]);
    }
    json_end_object(j);
}

static void put_text(Json *j, const char *key, const char *value)
{
    json_key(j, key);
    json_string(j, value);
}

static void put_double(Json *j, const char *key, double value)
{
    json_key(j, key);
    json_double(j, value);
}

static void put_accuracy(const Accuracy *a, Json *j)
{
    if (!a->math) return;
    json_key(j, "math");
    json_object(j);
    put_text(j, "used", a->math);
    put_double(j, "largest_error", a->largest);
    put_double(j, "rms_error", a->rms);
    put_text(j, "against", a->against);
    put_text(j, "inputs", a->inputs);
    json_end_object(j);
}

static Status report(const Compilation *c)
{
    TargetInfo target;
    Text t;
    Json j;

    TRY(codegen_target(c->o->target, &target, c->d));
    text_init(&t, c->o->arena);
    json_init(&j, &t);
    json_object(&j);
    put_text(&j, "model", c->model);
    put_text(&j, "output", c->path);
    put_text(&j, "emit", c->form->name);
    put_text(&j, "target", target.name);
    put_numbers(c, &j);
    put_times(c, &j);
    put_accuracy(&c->accuracy, &j);
    json_key(&j, "fused");
    json_array(&j);
    TRY(module_visit(c->loaded.module, put_kernel, &j));
    json_end_array(&j);
    json_end_object(&j);
    text_char(&t, '\n');
    if (c->o->json) fwrite(t.s, 1, t.n, stdout);
    return c->o->report ? file_write_all(c->o->report, 0644, t.s, t.n, c->d) : OK;
}

/* Faster arithmetic says how far it is off, where anybody asks. */
static Status measure(Compilation *c)
{
    Accuracy *a = &c->accuracy;
    bool asked = accuracy_is_asked(c->o) && (c->o->json || c->o->report || c->o->verbose);
    TargetInfo target;

    TRY(codegen_target(c->o->target, &target, c->d));
    if (!a->math && asked && codegen_target_runs(&target))
        TRY(accuracy_measure(c->o, c->model, a, c->d));
    else if (!a->math && asked)
        diag_note(c->d, (Where){.file = c->model},
                  "the error of --math %s is not measured: this processor cannot run %s",
                  c->o->math, target.name);
    if (a->math)
        diag_note(c->d, (Where){.file = c->model},
                  "--math %s: off by at most %.3g of the largest value of an output, %.3g rms "
                  "(against %s, inputs: %s)",
                  a->math, a->largest, a->rms, a->against, a->inputs);
    return OK;
}

static Status emit_artifact(Compilation *c)
{
    TRY(session_codegen(c->o, c->loaded.module, c->symbol, &c->code, c->d));
    c->time[3] = now();
    TRY(session_link(c->o, c->loaded.module, &c->code, c->symbol, c->form->name, c->path, c->d));
    if (c->form->header)
        TRY(session_link(c->o, c->loaded.module, &c->code, c->symbol, "header",
                         header_path(c->o->arena, c->path), c->d));
    c->time[4] = now();
    TRY(measure(c));
    return c->o->json || c->o->report ? report(c) : OK;
}

static Status prepare(Compilation *c)
{
    const Options *o = c->o;
    const char *emit = o->emit ? o->emit : "exe";

    c->form = form_of(emit);
    if (!c->form)
        return diag(c->d, ERR_USAGE, (Where){0},
                    "--emit %s is not there; exe, lib, shared, obj, header, llvm, asm, kernels, c, "
                    "ir, cuda are",
                    emit);
    if (o->report && c->form->kind == FORM_TEXT)
        return diag(c->d, ERR_USAGE, (Where){0}, "--report is about artifacts, not --emit %s",
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
    if (own.math && strcmp(own.math, "auto") == 0) {
        TRY(accuracy_choose(&own, c.model, &c.accuracy, d));
        own.math = c.accuracy.math;
    } else if (own.tolerance) {
        return diag(d, ERR_USAGE, (Where){0}, "--tolerance is for --math auto");
    }
    if (own.tune && c.form->kind == FORM_ARTIFACT) TRY(tune(&own, c.model, &own.tiles, d));
    c.time[0] = now();
    s = session_load(&own, c.model, &c.loaded, d);
    c.time[1] = now();
    if (s == OK) s = session_fuse(&own, c.loaded.module, d);
    if (s == OK) frontend_release(&c.loaded);
    c.time[2] = now();
    if (s == OK) s = c.form->kind == FORM_TEXT ? emit_text(&c) : emit_artifact(&c);
    frontend_close(&c.loaded);
    return s;
}
