/* cmd_inspect.c: `ingot inspect`: what a model is, before and after it is compiled. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/cost.h"
#include "ir/op.h"
#include "support/json.h"
#include "support/vec.h"

typedef struct OpCount {
    const char *domain, *name;
    int64_t n;
} OpCount;

typedef struct Facts {
    const Options *o;
    Module *module;
    OpCount *op;
    int n_op, cap_op;
    Map seen; /* constants that are counted */
    int64_t nodes, parameters, parameter_bytes;
    const char **in, **out; /* types as the model states them */
    int kernels, calls;     /* after the passes */
    Cost cost;
    Plan plan;
    bool planned;
} Facts;

/* ---- gathering ---- */

static void count_op(Facts *f, const Node *n)
{
    const char *domain = n->op->domain ? n->op->domain : "";

    for (int i = 0; i < f->n_op; i++)
        if (strcmp(f->op[i].name, n->op->name) == 0 && strcmp(f->op[i].domain, domain) == 0) {
            f->op[i].n++;
            return;
        }
    VEC_PUSH(f->o->arena, f->op, f->n_op, f->cap_op, (OpCount){domain, n->op->name, 1});
}

static Status look(void *context, Node *n)
{
    Facts *f = context;

    f->nodes++;
    if (n->op) count_op(f, n);
    for (int k = 0; k < n->n_in; k++) {
        const Value *v = n->in[k];
        if (!v || !v->data || map_has(&f->seen, v)) continue;
        map_set(&f->seen, v, (void *)(uintptr_t)v);
        f->parameters += v->data->count;
        f->parameter_bytes += (int64_t)v->data->bytes;
    }
    return OK;
}

static const char *type_text(Arena *a, const Value *v)
{
    Text t;

    text_init(&t, a);
    type_print(&t, &v->type);
    return t.s;
}

static int by_count(const void *a, const void *b)
{
    const OpCount *x = a, *y = b;

    if (x->n != y->n) return x->n > y->n ? -1 : 1;
    return strcmp(x->name, y->name);
}

static Status before(Facts *f)
{
    const Region *r = f->module->main;

    map_init(&f->seen, f->o->arena, false);
    f->in = ARENA_ARRAY(f->o->arena, const char *, r->n_arg);
    f->out = ARENA_ARRAY(f->o->arena, const char *, r->n_result);
    for (int i = 0; i < r->n_arg; i++)
        f->in[i] = type_text(f->o->arena, r->arg[i]);
    for (int i = 0; i < r->n_result; i++)
        f->out[i] = type_text(f->o->arena, r->result[i]);
    TRY(module_visit(f->module, look, f));
    if (f->n_op) qsort(f->op, (size_t)f->n_op, sizeof *f->op, by_count);
    return OK;
}

static bool nothing_known(void *context, Dim symbol, int64_t *value)
{
    (void)context;
    (void)symbol;
    (void)value;
    return false;
}

static Status count_kernels(void *context, Node *n)
{
    Facts *f = context;

    f->kernels += n->kind == NODE_KERNEL;
    f->calls += n->kind == NODE_CALL;
    return OK;
}

static Status after(Facts *f, Diag *d)
{
    TRY(session_fuse(f->o, f->module, d));
    TRY(module_visit(f->module, count_kernels, f));
    f->cost = cost_of_module(f->module, nothing_known, NULL);
    TRY(codegen_plan(f->module, f->o->target, f->o->arena, &f->plan, d));
    f->planned = true;
    return OK;
}

/* ---- telling ---- */

static const char *input_name(const Facts *f, int i)
{
    const char *name = f->module->main->arg[i]->name;

    return name ? name : "";
}

static const char *full_name(const Facts *f, const OpCount *c)
{
    return *c->domain ? arena_printf(f->o->arena, "%s.%s", c->domain, c->name) : c->name;
}

static void tell_text(const Facts *f)
{
    const Region *r = f->module->main;

    for (int i = 0; i < r->n_arg; i++)
        printf("input   %-24s %s\n", input_name(f, i), f->in[i]);
    for (int i = 0; i < r->n_result; i++)
        printf("output  %-24s %s\n", f->module->output_name[i], f->out[i]);
    printf("%lld nodes:", (long long)f->nodes);
    for (int i = 0; i < f->n_op; i++)
        printf(" %s %lld%s", full_name(f, &f->op[i]), (long long)f->op[i].n,
               i + 1 < f->n_op ? "," : "\n");
    printf("%lld parameters, %lld bytes\n", (long long)f->parameters,
           (long long)f->parameter_bytes);
    if (!f->planned) return;
    printf("compiled: %d kernels, %d calls of the runtime\n", f->kernels, f->calls);
    printf("work:     %.4g MFLOP a run%s\n", f->cost.flops / 1e6,
           f->cost.exact ? "" : " (open dims counted as 1, loops once)");
    if (f->plan.n_open)
        printf("memory:   %lld bytes, and %d segments whose size only the run knows\n",
               (long long)f->plan.peak, f->plan.n_open);
    else
        printf("memory:   %lld bytes of intermediates, %lld are live at once\n",
               (long long)f->plan.peak, (long long)f->plan.lower_bound);
}

static void put_int(Json *j, const char *key, int64_t v)
{
    json_key(j, key);
    json_int(j, v);
}

static void put_string(Json *j, const char *key, const char *s)
{
    json_key(j, key);
    json_string(j, s);
}

static void put_port(Json *j, const char *name, const char *type)
{
    json_object(j);
    put_string(j, "name", name);
    put_string(j, "type", type);
    json_end_object(j);
}

static void put_model(const Facts *f, Json *j)
{
    const Region *r = f->module->main;

    json_key(j, "inputs");
    json_array(j);
    for (int i = 0; i < r->n_arg; i++)
        put_port(j, input_name(f, i), f->in[i]);
    json_end_array(j);
    json_key(j, "outputs");
    json_array(j);
    for (int i = 0; i < r->n_result; i++)
        put_port(j, f->module->output_name[i], f->out[i]);
    json_end_array(j);
    put_int(j, "nodes", f->nodes);
    json_key(j, "operators");
    json_object(j);
    for (int i = 0; i < f->n_op; i++)
        put_int(j, full_name(f, &f->op[i]), f->op[i].n);
    json_end_object(j);
    put_int(j, "parameters", f->parameters);
    put_int(j, "parameter_bytes", f->parameter_bytes);
}

static void put_compiled(const Facts *f, Json *j)
{
    put_int(j, "kernels", f->kernels);
    put_int(j, "calls", f->calls);
    json_key(j, "flops");
    json_double(j, f->cost.flops);
    json_key(j, "flops_exact");
    json_bool(j, f->cost.exact);
    json_key(j, "memory");
    json_object(j);
    put_int(j, "plan", f->plan.peak);
    put_int(j, "lower_bound", f->plan.lower_bound);
    put_int(j, "unpadded", f->plan.unpadded);
    put_int(j, "open_segments", f->plan.n_open);
    put_int(j, "in_place", f->plan.n_in_place);
    put_int(j, "bands", f->plan.n_bands);
    json_end_object(j);
}

static void tell_json(const Facts *f)
{
    Text t;
    Json j;

    text_init(&t, f->o->arena);
    json_init(&j, &t);
    json_object(&j);
    put_string(&j, "model", f->module->file);
    put_model(f, &j);
    if (f->planned) put_compiled(f, &j);
    json_end_object(&j);
    printf("%s\n", t.s);
}

/* ---- the table of operators ---- */

static void put_op(Json *j, const OpDef *op)
{
    json_object(j);
    put_string(j, "domain", op->domain ? op->domain : "ai.onnx");
    put_string(j, "name", op->name);
    put_int(j, "since", op->since);
    json_key(j, "attributes");
    json_array(j);
    for (const AttrDef *a = op->attr; a && a->name; a++)
        json_string(j, a->name);
    json_end_array(j);
    json_end_object(j);
}

static void list_ops_json(Arena *arena)
{
    Text t;
    Json j;

    text_init(&t, arena);
    json_init(&j, &t);
    json_array(&j);
    for (const OpFamily *family = op_families; family->name; family++)
        for (const OpDef *op = family->ops; op->name; op++)
            put_op(&j, op);
    json_end_array(&j);
    printf("%s\n", t.s);
}

static void list_ops(void)
{
    for (const OpFamily *family = op_families; family->name; family++)
        for (const OpDef *op = family->ops; op->name; op++)
            printf("%-14s %-28s %2d  %-14s %s\n", op->domain ? op->domain : "ai.onnx", op->name,
                   op->since, family->name, op->about ? op->about : "");
}

static Status inspect(Facts *f, Diag *d)
{
    Diag quiet;
    Status s;

    TRY(before(f));
    /* what cannot be compiled can still be looked at */
    diag_init(&quiet, f->o->arena);
    s = after(f, &quiet);
    if (s != OK && quiet.first)
        diag_warn(d, (Where){0}, "it cannot be compiled: %s",
                  diag_format(quiet.first, f->o->arena));
    return OK;
}

Status cmd_inspect(const Options *o, Diag *d)
{
    Facts f = {.o = o};
    Loaded loaded;
    Status s;

    if (o->ops) {
        if (o->json)
            list_ops_json(o->arena);
        else
            list_ops();
        return OK;
    }
    if (o->argument.n != 1)
        return diag(d, ERR_USAGE, (Where){0}, "usage: ingot inspect MODEL, or ingot inspect --ops");
    s = session_load(o, o->argument.item[0], &loaded, d);
    f.module = loaded.module;
    if (s == OK) s = inspect(&f, d);
    if (s == OK && o->json) tell_json(&f);
    if (s == OK && !o->json) tell_text(&f);
    frontend_close(&loaded);
    return s;
}
