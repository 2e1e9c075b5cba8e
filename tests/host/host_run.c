/* host_run.c: a graph as text, compiled, linked as a shared library, and run; held against the
 * reference evaluator.
 *
 *     host_run FILE...
 *
 * A FILE holds comments (;) and lines of what to run, a line of four dashes, and IR text of
 * operators:
 *
 *     run n=3 c=1           symbols, scalar inputs and lengths of lists by name; all else is
 *                           seeded; open dims of an element grow with its place in the list
 *     fail 8 n=3            the run must end with this status
 *     bands 2               at -O2 so many launches go by bands of rows (codegen/bands.h)
 *
 * Each line runs at -O0 and at -O2, with one and with three threads, twice in one instance: the
 * second run meets memory that the first has used. Integers and bools must be equal, floats to 1e-5
 * of one more than the larger (sums cancel). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "codegen/codegen.h"
#include "codegen/link/link.h"
#include "ir/eval.h"
#include "passes/pass.h"
#include "support/dylib.h"
#include "support/io.h"

enum { MOST_RUNS = 16, MOST_PORTS = 16, MOST_SYMBOLS = 32 };

typedef struct Symbol {
    char name[32];
    long long value;
} Symbol;

typedef struct Run {
    const char *line;
    int status; /* expected */
    int n;
    Symbol symbol[MOST_SYMBOLS];
} Run;

typedef struct Api {
    const ingot_model *model;
    int32_t (*create)(const ingot_model *, const ingot_options *, ingot_instance **);
    int32_t (*run)(ingot_instance *, const ingot_tensor *, ingot_tensor *);
    void (*destroy)(ingot_instance *);
    const char *(*error)(const ingot_instance *);
} Api;

typedef struct Case {
    const char *file, *text;
    Arena *arena;
    Diag diag;
    Run run[MOST_RUNS];
    int n_run, failures;
    int bands; /* expected, or -1 */
    Module *reference;
} Case;

static void complain(Case *c, const Run *r, int level, const char *what, const char *more)
{
    fprintf(stderr, "%s: %s at -O%d: %s %s\n", c->file, r ? r->line : "", level, what, more);
    c->failures++;
}

/* ---- reading a case ---- */

static bool read_run(Run *r, const char *line)
{
    const char *at = line;
    int used = 0;

    *r = (Run){.line = line};
    if (sscanf(line, "fail %d%n", &r->status, &used) == 1)
        at = line + used;
    else if (strncmp(line, "run", 3) == 0)
        at = line + 3;
    else
        return false;
    while (r->n < MOST_SYMBOLS && sscanf(at, " %31[^= ]=%lld%n", r->symbol[r->n].name,
                                         &r->symbol[r->n].value, &used) == 2) {
        at += used;
        r->n++;
    }
    return true;
}

static bool read_case(Case *c, char *text)
{
    char *body = strstr(text, "----\n");

    if (!body) return false;
    *body = 0;
    c->bands = -1;
    c->text = body + 5;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        if (line[0] != ';' && sscanf(line, "bands %d", &c->bands) != 1 &&
            (c->n_run == MOST_RUNS || !read_run(&c->run[c->n_run++], line)))
            return false;
    return c->n_run > 0;
}

/* ---- inputs ---- */

static bool named(const Run *r, const char *name, int64_t *value)
{
    for (int i = 0; i < r->n; i++)
        if (name && strcmp(r->symbol[i].name, name) == 0) {
            *value = r->symbol[i].value;
            return true;
        }
    return false;
}

static bool bind(void *context, Dim symbol, int64_t *value)
{
    return named(context, symbol->name, value);
}

static Tensor *fill(Tensor *t, const Run *r, const char *name, uint64_t *seed)
{
    static const StringRef words[] = {{"a", 1}, {"", 0}, {"seq", 3}, {"\xc3\xa9", 2}};
    int64_t value;

    for (int64_t i = 0; t && i < t->count; i++) {
        *seed = *seed * 6364136223846793005u + 1442695040888963407u;
        if (t->dtype == DT_STRING)
            ((StringRef *)t->data)[i] = words[*seed >> 62];
        else if (named(r, name, &value))
            tensor_set_int(t, i, value);
        else if (dtype_is_float(t->dtype))
            tensor_set_double(t, i, (double)(int64_t)(*seed >> 59) / 4 - 4);
        else
            tensor_set_int(t, i, (int64_t)(*seed >> 62));
    }
    return t;
}

static Tensor *make_list(Case *c, Run *r, const Type *type, const char *name, uint64_t *seed)
{
    int64_t dims[MAX_RANK], n = type->kind == TYPE_OPTIONAL;
    Tensor *item[MOST_RUNS];
    const Type *t = type->elem;

    named(r, name, &n);
    for (int64_t k = 0; k < n && k < MOST_RUNS; k++) {
        for (int i = 0; i < t->rank; i++)
            dims[i] = dim_is_const(t->dim[i]) ? t->dim[i]->value : k + 1;
        dims[0] = t->rank < 0 ? k : dims[0];
        item[k] = t->kind == TYPE_TENSOR
                      ? fill(tensor_new(c->arena, t->dtype, t->rank < 0 ? 1 : t->rank, dims), r,
                             NULL, seed)
                      : make_list(c, r, t, "inner", seed);
    }
    return tensor_list(c->arena, type->kind, n, item);
}

static Tensor *make_input(Case *c, Run *r, const Value *v, uint64_t *seed)
{
    int64_t dims[MAX_RANK];

    if (v->type.kind != TYPE_TENSOR) return make_list(c, r, &v->type, v->name, seed);
    for (int i = 0; i < v->type.rank; i++)
        if (!dim_eval(v->type.dim[i], bind, r, &dims[i])) return NULL;
    return fill(tensor_new(c->arena, v->type.dtype, v->type.rank, dims), r, v->name, seed);
}

static ingot_tensor to_runtime(Case *c, const Tensor *t)
{
    ingot_tensor r = {.data = t->data, .dtype = dtype_onnx(t->dtype), .rank = t->rank}, *item;

    memcpy(r.dims, t->dim, sizeof *t->dim * (size_t)t->rank);
    if (!tensor_is_list(t)) return r;
    r.dtype = t->kind == TYPE_SEQUENCE ? INGOT_SEQUENCE : INGOT_OPTIONAL;
    r.data = item = ARENA_ARRAY(c->arena, ingot_tensor, t->count + 1);
    for (int64_t i = 0; i < t->count; i++)
        item[i] = to_runtime(c, tensor_items(t)[i]);
    return r;
}

static bool make_inputs(Case *c, Run *r, Tensor **in)
{
    const Region *main_region = c->reference->main;
    uint64_t seed = 1;

    for (int i = 0; i < main_region->n_arg; i++) {
        in[i] = make_input(c, r, main_region->arg[i], &seed);
        if (!in[i]) {
            complain(c, r, 0, "no value for a dim of input", main_region->arg[i]->name);
            return false;
        }
    }
    return true;
}

/* ---- comparing ---- */

static bool close_enough(DType d, double a, double b)
{
    if (!dtype_is_float(d)) return a == b;
    if (isnan(a) || isnan(b)) return isnan(a) && isnan(b);
    return a == b || fabs(a - b) <= 1e-5 * (1 + fmax(fabs(a), fabs(b)));
}

static bool same_string(const Tensor *want, const ingot_tensor *got, int64_t i)
{
    StringRef a = ((const StringRef *)want->data)[i];
    ingot_string b = ((const ingot_string *)got->data)[i];

    return a.n == b.n && (a.n == 0 || memcmp(a.s, b.s, (size_t)a.n) == 0);
}

static void compare(Case *c, const Run *r, int level, int k, const Tensor *want,
                    const ingot_tensor *got)
{
    if (tensor_is_list(want)) {
        int32_t dtype = want->kind == TYPE_SEQUENCE ? INGOT_SEQUENCE
                        : want->kind == TYPE_MAP    ? INGOT_MAP
                                                    : INGOT_OPTIONAL;
        if (got->dtype != dtype || got->rank != 1 || got->dims[0] != want->count)
            complain(c, r, level, "another list as output", c->reference->output_name[k]);
        else
            for (int64_t i = 0; i < want->count; i++)
                compare(c, r, level, k, tensor_items(want)[i], (ingot_tensor *)got->data + i);
        return;
    }
    if (got->dtype != dtype_onnx(want->dtype) || got->rank != want->rank) {
        complain(c, r, level, "another type of output", c->reference->output_name[k]);
        return;
    }
    for (int i = 0; i < want->rank; i++)
        if (got->dims[i] != want->dim[i]) {
            complain(c, r, level, "other dims of output", c->reference->output_name[k]);
            return;
        }
    for (int64_t i = 0; i < want->count; i++) {
        size_t at = (size_t)i * (size_t)dtype_bytes(want->dtype);
        if (want->dtype == DT_STRING) {
            if (!same_string(want, got, i))
                complain(c, r, level, "another string in output", c->reference->output_name[k]);
            continue;
        }
        double a = tensor_double(want, i);
        double b = dtype_load_double(want->dtype, (const char *)got->data + at);
        if (!close_enough(want->dtype, a, b)) {
            fprintf(stderr, "[%lld] is %g, want %g\n", (long long)i, b, a);
            complain(c, r, level, "other values in output", c->reference->output_name[k]);
            return;
        }
    }
}

/* ---- running ---- */

static void run_once(Case *c, const Api *api, ingot_instance *m, const Run *r, int level,
                     Tensor **in, Tensor **want)
{
    ingot_tensor from[MOST_PORTS] = {0}, to[MOST_PORTS] = {0};
    int32_t status;

    for (int i = 0; i < c->reference->main->n_arg; i++)
        from[i] = to_runtime(c, in[i]);
    status = api->run(m, from, to);
    if (status != r->status) {
        fprintf(stderr, "status %d, want %d: ", (int)status, r->status);
        complain(c, r, level, "the run ended with", api->error(m));
        return;
    }
    for (int k = 0; status == 0 && k < c->reference->main->n_result; k++)
        compare(c, r, level, k, want[k], &to[k]);
}

static void run_line(Case *c, const Api *api, Run *r, int level)
{
    Tensor *in[MOST_PORTS], *want[MOST_PORTS] = {0};

    if (!make_inputs(c, r, in)) return;
    if (r->status == 0 && eval_module(c->reference, c->arena, NULL, (const Tensor *const *)in, want,
                                      &c->diag) != OK) {
        complain(c, r, level, "the evaluator failed", "");
        return;
    }
    for (int threads = 1; threads <= 3; threads += 2) {
        ingot_options o = {.threads = threads};
        ingot_instance *m;
        if (api->create(api->model, &o, &m) != 0) {
            complain(c, r, level, "no instance", "");
            return;
        }
        for (int again = 0; again < 2; again++)
            run_once(c, api, m, r, level, in, want);
        api->destroy(m);
    }
}

static Status build(Case *c, int level, const char *path)
{
    PassOptions p = {.level = level, .bisect = -1, .verify_each = true};
    CodegenOptions o = {.level = level, .symbol = "case", .jobs = 1};
    LinkBytes objects[64];
    LinkInput in = {.name = "case", .objects = objects};
    Module *m;
    Code code;

    TRY(graph_parse(c->arena, c->text, c->file, &m, &c->diag));
    TRY(pass_run_all(m, &p, &c->diag));
    TRY(codegen_compile(m, &o, c->arena, &code, &c->diag));
    if (level && c->bands >= 0 && code.plan.n_bands != c->bands)
        complain(c, NULL, level,
                 "launches by bands:", arena_printf(c->arena, "%d", code.plan.n_bands));
    in.n_objects = code.n_object;
    in.weights = code.weights;
    for (int i = 0; i < code.n_object; i++)
        objects[i] = (LinkBytes){code.object[i].data, code.object[i].size};
    return link_shared(&in, path, &c->diag);
}

static Status run_level(Case *c, int level, const char *folder)
{
    const char *path = path_join(c->arena, folder, arena_printf(c->arena, "case%d.so", level));
    Api api;
    const DylibSymbol symbols[] = {{"case_model", (void **)(uintptr_t)&api.model, false},
                                   {"ingot_create", (void **)&api.create, false},
                                   {"ingot_run", (void **)&api.run, false},
                                   {"ingot_destroy", (void **)&api.destroy, false},
                                   {"ingot_error", (void **)&api.error, false}};
    Dylib *lib;

    TRY(build(c, level, path));
    TRY(dylib_open((const char *[]){path, NULL}, symbols, 5, &lib, &c->diag));
    for (int i = 0; i < c->n_run; i++)
        run_line(c, &api, &c->run[i], level);
    dylib_close(lib);
    return OK;
}

static Status run_case(Case *c)
{
    const char *folder;
    Status s;

    TRY(graph_parse(c->arena, c->text, c->file, &c->reference, &c->diag));
    TRY(folder_temporary(c->arena, &folder, &c->diag));
    s = run_level(c, 0, folder);
    if (s == OK) s = run_level(c, 2, folder);
    folder_remove(folder);
    return s;
}

static int run_file(const char *file)
{
    Case c = {.file = file, .arena = arena_new(0)};
    FileBytes bytes = {0};
    Status s;

    diag_init(&c.diag, c.arena);
    s = file_read(file, &bytes, &c.diag);
    if (s == OK && !read_case(&c, arena_strndup(c.arena, (const char *)bytes.data, bytes.size)))
        s = diag(&c.diag, ERR_USAGE, (Where){.file = file}, "not a case");
    if (s == OK) s = run_case(&c);
    for (const DiagItem *i = c.diag.first; i; i = i->next)
        fprintf(stderr, "%s\n", diag_format(i, c.arena));
    file_close(&bytes);
    arena_free(c.arena);
    return s != OK || c.failures;
}

int main(int argc, char **argv)
{
    int failed = argc < 2;

    for (int i = 1; i < argc; i++)
        failed |= run_file(argv[i]);
    return failed;
}
