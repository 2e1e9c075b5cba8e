/* onnx_import.c: graphs to regions.
 *
 * A graph's names become values in a scope: constants, arguments, then node by node what they
 * define. Declared types are believed for the model's inputs alone; all others follow from the
 * operators' own inference, and value_info was not even decoded. A fault of one node poisons its
 * results and the import goes on, so that all faults are told at once. */
#include "frontend/onnx/onnx_import.h"

#include <string.h>

#include "support/vec.h"

Scope *scope_new(Importer *im, const Scope *outer)
{
    Scope *s = ARENA_NEW(im->scratch, Scope);

    s->outer = outer;
    map_init(&s->values, im->scratch, true);
    return s;
}

Value *scope_find(const Scope *s, const char *name)
{
    for (; s; s = s->outer) {
        Value *v = map_get(&s->values, name);
        if (v) return v;
    }
    return NULL;
}

const char *import_name(Importer *im, const char *name)
{
    return intern(&im->module->names, name);
}

Status import_limits(Importer *im)
{
    size_t used = arena_used(im->arena) - im->arena_start + arena_used(im->scratch);
    Where where = {.file = im->module->file};

    if (im->nodes > im->max_nodes)
        return diag(im->diag, ERR_LIMIT, where, "more than %lld nodes", (long long)im->max_nodes);
    if (used > im->memory_limit + im->tensors.own_bytes || !arena_ok(im->arena) ||
        !arena_ok(im->scratch))
        return diag(im->diag, ERR_LIMIT, where, "the graph needs more than %zu bytes of memory",
                    im->memory_limit);
    return OK;
}

Status import_fault(Importer *im, Status s)
{
    if (s == OK || im->tentative > 0) return s;
    if (s != ERR_MODEL && s != ERR_UNSUPPORTED) return s;
    if (im->failed == OK) im->failed = s;
    return OK;
}

Status import_define(Importer *im, Scope *scope, const char *name, Value *v, Where where)
{
    if (map_has(&scope->values, name))
        return diag(im->diag, ERR_MODEL, where, "the value \"%s\" is defined twice", name);
    map_set(&scope->values, name, v);
    return OK;
}

bool region_poisoned(const Importer *im, const Region *r)
{
    for (int i = 0; i < r->n_result; i++)
        if (r->result[i] == im->poison) return true;
    return false;
}

/* ---- constants ---- */

static Status define_constant(Importer *im, Scope *scope, const char *name, Status read,
                              const Tensor *t)
{
    Where where = {.file = im->module->file, .attr = name};
    Value *v = im->poison;

    TRY(import_fault(im, read));
    if (!name || !*name) return diag(im->diag, ERR_MODEL, where, "an initializer without a name");
    if (t) v = module_constant(im->module, t, import_name(im, name));
    return import_define(im, scope, name, v, where);
}

static Status import_constants(Importer *im, const Onnx__GraphProto *g, Scope *scope)
{
    Where where = {.file = im->module->file};

    for (size_t i = 0; i < g->n_initializer; i++) {
        const Tensor *t = NULL;
        Status s = tensor_read(&im->tensors, g->initializer[i], where, &t);
        TRY(define_constant(im, scope, g->initializer[i]->name, s, t));
        TRY(import_limits(im));
    }
    for (size_t i = 0; i < g->n_sparse_initializer; i++) {
        const Onnx__SparseTensorProto *p = g->sparse_initializer[i];
        const Tensor *t = NULL;
        where.attr = p->values ? p->values->name : NULL;
        Status s = tensor_read_sparse(&im->tensors, p, where, &t);
        TRY(define_constant(im, scope, where.attr, s, t));
        TRY(import_limits(im));
    }
    return OK;
}

/* ---- arguments ---- */

/* The type of argument `k`: what is known, else what the graph declares. */
static Status argument_type(Importer *im, const Onnx__ValueInfoProto *p, int k, int n_types,
                            const Type *types, const Region *r, Type *out)
{
    Where where = {.file = im->module->file, .attr = p->name};

    if (k < n_types && types[k].kind != TYPE_UNKNOWN) {
        *out = types[k];
        return OK;
    }
    *out = (Type){0};
    if (!p->type && r->holder) return OK;
    return import_type(im, p->type, where, out);
}

static Status import_argument(Importer *im, const Onnx__ValueInfoProto *p, Region *r, Scope *scope,
                              int n_types, const Type *types)
{
    Where where = {.file = im->module->file, .attr = p->name};
    Value *v = im->poison;
    Type type;

    if (!p->name || !*p->name)
        return diag(im->diag, ERR_MODEL, where, "an input of a graph without a name");
    Status s = argument_type(im, p, r->n_arg, n_types, types, r, &type);
    TRY(import_fault(im, s));
    if (s == OK) v = region_add_arg(r, import_name(im, p->name), type);
    return import_define(im, scope, p->name, v, where);
}

/* An input that has an initializer of its name is that constant. */
static Status import_arguments(Importer *im, const Onnx__GraphProto *g, Region *r, Scope *scope,
                               int n_types, const Type *types)
{
    size_t n_constants = scope->values.count;
    Map constants = scope->values; /* as it is before arguments come in */

    for (size_t i = 0; i < g->n_input; i++) {
        const char *name = g->input[i]->name;
        Value *v = name && n_constants ? map_get(&constants, name) : NULL;
        if (v && (v->data || v == im->poison)) continue;
        TRY(import_argument(im, g->input[i], r, scope, n_types, types));
        constants = scope->values;
    }
    return OK;
}

/* ---- graphs ---- */

Status import_rest(Importer *im, Region *r, const Rest *rest, Scope *scope)
{
    for (size_t i = 0; i < rest->n; i++) {
        const Onnx__NodeProto *p = rest->nodes[rest->order[i]];
        Node *before = r->last;
        bool done = false;
        im->nodes++;
        TRY(import_limits(im));
        TRY(import_node(im, r, p, (int64_t)rest->order[i], scope, rest->code));
        if (r->last == before || !r->last) continue;
        bool again = squeeze_asked(im, r->last); /* the node itself, with the answer */
        if (!again && !split_needed(r->last)) continue;
        Rest behind = *rest;
        behind.split = p;
        behind.n = rest->n - i - !again;
        behind.order = rest->order + i + !again;
        TRY(import_split(im, r->last, &behind, scope, &done));
        if (done) return OK;
    }
    return OK;
}

Status import_nodes(Importer *im, Region *r, size_t n, Onnx__NodeProto *const *nodes, Scope *scope,
                    const Code *code, size_t n_want, const char *const *want)
{
    size_t *order = arena_try(im->scratch, n, sizeof *order);
    Rest all = {
        .n = n, .nodes = nodes, .order = order, .code = code, .n_want = n_want, .want = want};

    if (!order) return import_limits(im);
    TRY(order_nodes(im, n, nodes, code, order));
    TRY(squeeze_last(im, n, nodes, order));
    return import_rest(im, r, &all, scope);
}

/* The nodes of a graph; what its outputs are called is wanted. */
static Status import_graph_nodes(Importer *im, const GraphArg *g, Region *r, Scope *scope)
{
    const Onnx__GraphProto *p = g->graph;
    const char **want = arena_try(im->scratch, p->n_output, sizeof *want);

    if (!want) return import_limits(im);
    for (size_t i = 0; i < p->n_output; i++)
        want[i] = p->output[i]->name ? p->output[i]->name : "";
    return import_nodes(im, r, p->n_node, p->node, scope, g->code, p->n_output, want);
}

/* The model's own output that it declares to be no optional is what the optional holds. */
static Status unwrap_output(Importer *im, const Onnx__ValueInfoProto *p, Region *r, Value **v)
{
    static const Origin origin = {.op = "OptionalGetElement", .node = ""};
    Build b =
        build_at(r, NULL, (*v)->def && (*v)->def->origin ? (*v)->def->origin : &origin, im->diag);

    if (r->holder || *v == im->poison || (*v)->type.kind != TYPE_OPTIONAL || !p->type) return OK;
    if (p->type->value_case == ONNX__TYPE_PROTO__VALUE_OPTIONAL_TYPE) return OK;
    if (p->type->value_case == ONNX__TYPE_PROTO__VALUE__NOT_SET) return OK;
    *v = build_op1(&b, "OptionalGetElement", *v);
    return b.status;
}

static Status import_results(Importer *im, const Onnx__GraphProto *g, Region *r, const Scope *scope)
{
    for (size_t i = 0; i < g->n_output; i++) {
        const char *name = g->output[i]->name ? g->output[i]->name : "";
        Value *v = scope_find(scope, name);
        Where where = {.file = im->module->file, .attr = name};
        if (!v)
            return diag(im->diag, ERR_MODEL, where,
                        "the output \"%s\" of a graph is not defined in it", name);
        if (v == im->absent) v = im->poison;
        TRY(unwrap_output(im, g->output[i], r, &v));
        region_add_result(r, v);
    }
    return OK;
}

/* Argument 0 is the number of the round, of those that are left. */
static Status count_from(Importer *im, const GraphArg *g, Region *r, Scope *scope)
{
    static const Origin origin = {.op = "Loop", .node = ""};
    Build b = build_at(r, NULL, r->holder ? r->holder->origin : &origin, im->diag);
    const Tensor *first = tensor_scalar_int(im->arena, DT_I64, g->first);

    map_set(&scope->values, g->graph->input[0]->name,
            build_op2(&b, "Add", r->arg[0], module_constant(im->module, first, NULL)));
    return b.status;
}

Status import_region(Importer *im, const GraphArg *g, Region *r, int n_types, const Type *types)
{
    Scope *scope = scope_new(im, g->scope);
    int max = im->options->max_depth;

    if (im->depth >= max)
        return diag(im->diag, ERR_LIMIT, (Where){.file = im->module->file},
                    "graphs and functions are nested deeper than %d", max);
    im->depth++;
    Status s = import_constants(im, g->graph, scope);
    if (s == OK) s = import_arguments(im, g->graph, r, scope, n_types, types);
    if (s == OK && g->first) s = count_from(im, g, r, scope);
    if (s == OK) s = import_graph_nodes(im, g, r, scope);
    if (s == OK) s = import_results(im, g->graph, r, scope);
    im->depth--;
    return s;
}

Status import_inline(Importer *im, const GraphArg *g, Region *r, int n_in, Value *const *in,
                     int n_out, Value **out)
{
    Scope *scope = scope_new(im, g->scope);
    Where where = {.file = im->module->file};

    if (im->depth >= im->options->max_depth)
        return diag(im->diag, ERR_LIMIT, where, "graphs and functions are nested deeper than %d",
                    im->options->max_depth);
    if ((size_t)n_out > g->graph->n_output)
        return diag(im->diag, ERR_MODEL, where, "a branch has %zu results, %d are wanted",
                    g->graph->n_output, n_out);
    im->depth++;
    Status s = import_constants(im, g->graph, scope);
    for (int i = 0; s == OK && i < n_in; i++)
        if (!map_has(&scope->values, g->graph->input[i]->name)) /* else it is that constant */
            s = import_define(im, scope, g->graph->input[i]->name, in[i], where);
    if (s == OK) s = import_graph_nodes(im, g, r, scope);
    im->depth--;
    TRY(s);
    for (int i = 0; i < n_out; i++) {
        const char *name = g->graph->output[i]->name ? g->graph->output[i]->name : "";
        out[i] = scope_find(scope, name);
        if (!out[i])
            return diag(im->diag, ERR_MODEL, where,
                        "the output \"%s\" of a graph is not defined in it", name);
        if (out[i] == im->absent) out[i] = im->poison;
    }
    return OK;
}

Status import_model(Importer *im)
{
    const Onnx__ModelProto *p = im->proto;
    Code code = {.n_opset = p->n_opset_import, .opset = p->opset_import, .prefix = ""};
    Where where = {.file = im->module->file};
    Module *m = im->module;

    if (!p->graph) return diag(im->diag, ERR_MODEL, where, "no graph: not an ONNX model");
    TRY(functions_init(im));
    TRY(check_missing(im, &code));
    if (p->graph->name && *p->graph->name) m->name = import_name(im, p->graph->name);
    GraphArg main = {p->graph, &code, NULL};
    TRY(import_region(im, &main, m->main, 0, NULL));
    m->output_name = ARENA_ARRAY(im->arena, const char *, m->main->n_result);
    for (int i = 0; i < m->main->n_result; i++)
        m->output_name[i] = import_name(im, p->graph->output[i]->name);
    TRY(import_limits(im));
    if (im->failed == OK && region_poisoned(im, m->main))
        return diag(im->diag, ERR_MODEL, where, "an output of the graph has no value");
    return im->failed;
}
