/* onnx_node.c: one NodeProto to a node: names to values, attributes, the newest form, inference. */
#include <string.h>

#include "frontend/onnx/onnx_import.h"

const char *node_label(const Onnx__NodeProto *p)
{
    if (p->name && *p->name) return p->name;
    for (size_t i = 0; i < p->n_output; i++)
        if (*p->output[i]) return p->output[i];
    return "";
}

static const char *op_type(const Onnx__NodeProto *p)
{
    return p->op_type ? p->op_type : "";
}

static const Origin *make_origin(Importer *im, const Onnx__NodeProto *p, int64_t index,
                                 const Code *code)
{
    Origin *o = ARENA_NEW(im->arena, Origin);
    const char *label = node_label(p);

    if (*code->prefix) label = arena_printf(im->arena, "%s%s", code->prefix, label);
    *o = (Origin){.file = im->module->file,
                  .node = *code->prefix ? label : import_name(im, label),
                  .op = import_name(im, op_type(p)),
                  .index = index};
    return o;
}

Where origin_where(const Origin *o)
{
    return (Where){.file = o->file, .node = *o->node ? o->node : o->op, .index = o->index};
}

/* ---- inputs and outputs ---- */

static Status find_inputs(Importer *im, const Onnx__NodeProto *p, const Scope *scope, Where where,
                          int *n_in, Value **in)
{
    size_t n = p->n_input;

    while (n > 0 && !*p->input[n - 1])
        n--; /* left out at the end */
    *n_in = (int)n;
    for (size_t i = 0; i < n; i++) {
        in[i] = NULL;
        if (!*p->input[i]) continue;
        in[i] = scope_find(scope, p->input[i]);
        if (!in[i])
            return diag(im->diag, ERR_MODEL, where,
                        "%s: input %zu, \"%s\", is not defined anywhere", op_type(p), i,
                        p->input[i]);
        if (in[i] == im->absent) in[i] = NULL;
    }
    return OK;
}

static bool any_poison(const Importer *im, int n, Value *const *in)
{
    for (int i = 0; i < n; i++)
        if (in[i] == im->poison) return true;
    return false;
}

/* Give the node's output names their values; out NULL: poison. */
static Status define_outputs(Importer *im, const Onnx__NodeProto *p, Scope *scope, Where where,
                             Value *const *out)
{
    for (size_t i = 0; i < p->n_output; i++) {
        if (!*p->output[i]) continue;
        Value *v = out && out[i] ? out[i] : im->poison;
        if ((v->def || v->data) && !v->name) v->name = import_name(im, p->output[i]);
        TRY(import_define(im, scope, p->output[i], v, where));
    }
    return OK;
}

/* ---- the operator Constant ---- */

static Tensor *float_list(Arena *a, int n, const double *v)
{
    int64_t dim = n;
    Tensor *t = tensor_new(a, DT_F32, 1, &dim);

    for (int i = 0; t && i < n; i++)
        tensor_set_double(t, i, v[i]);
    return t;
}

static Tensor *string_list(Arena *a, int rank, int n, const StringRef *v)
{
    int64_t dim = n;
    Tensor *t = tensor_new(a, DT_STRING, rank, &dim);

    if (t && n > 0) memcpy(t->data, v, (size_t)n * sizeof *v);
    return t;
}

static const Tensor *constant_tensor(Arena *a, const Attr *v)
{
    switch (v->kind) {
    case ATTR_TENSOR:
        return v->tensor;
    case ATTR_INT:
        return tensor_scalar_int(a, DT_I64, v->i);
    case ATTR_INTS:
        return tensor_i64s(a, v->n, v->ints);
    case ATTR_FLOAT:
        return tensor_scalar_double(a, DT_F32, v->f);
    case ATTR_FLOATS:
        return float_list(a, v->n, v->floats);
    case ATTR_STRING:
        return string_list(a, 0, 1, &v->s);
    case ATTR_STRINGS:
        return string_list(a, 1, v->n, v->strings);
    case ATTR_NONE:
    case ATTR_TENSORS:
    case ATTR_REGION:
        break;
    }
    return NULL;
}

static Status import_constant(Importer *im, const Onnx__NodeProto *p, const Scope *scope,
                              const Code *code, Where where, Value **out)
{
    const Attr *a = NULL;
    GraphArg graph;

    for (size_t i = 0; i < p->n_attribute; i++) {
        const char *name = p->attribute[i]->name;
        if (!name || (strncmp(name, "value", 5) != 0 && strcmp(name, "sparse_value") != 0))
            continue;
        if (a) return diag(im->diag, ERR_MODEL, where, "Constant: more than one value");
        TRY(import_attr(im, code, scope, p->attribute[i], where, &a, &graph));
    }
    if (!a || p->n_output != 1)
        return diag(im->diag, ERR_MODEL, where, "Constant: needs one value and one output");
    const Tensor *t = constant_tensor(im->arena, a);
    if (!t) return diag(im->diag, ERR_LIMIT, where, "Constant: no memory for its value");
    *out = module_constant(im->module, t, import_name(im, p->output[0]));
    return OK;
}

/* ---- all other operators ---- */

static Status draft_attrs(Importer *im, const Onnx__NodeProto *p, const Scope *scope,
                          const Code *code, Where where, Draft *x)
{
    x->attr = arena_try(im->arena, p->n_attribute + DRAFT_ATTRS, sizeof *x->attr);
    x->graph = arena_try(im->scratch, p->n_attribute, sizeof *x->graph);
    if (!x->attr || !x->graph) return import_limits(im);
    for (size_t i = 0; i < p->n_attribute; i++) {
        const Attr *a = NULL;
        GraphArg graph;
        TRY(import_attr(im, code, scope, p->attribute[i], where, &a, &graph));
        if (!a) continue;
        x->attr[x->n_attr] = *a;
        if (graph.graph) {
            x->attr[x->n_attr].i = x->n_graph;
            x->graph[x->n_graph++] = graph;
        }
        x->n_attr++;
    }
    return OK;
}

static bool *wanted_outputs(Importer *im, const Onnx__NodeProto *p, int *n_out)
{
    bool *wanted = arena_try(im->scratch, p->n_output, 1);

    *n_out = (int)p->n_output;
    for (size_t i = 0; wanted && i < p->n_output; i++)
        wanted[i] = *p->output[i] != 0;
    return wanted;
}

static bool has_attr(const OpDef *op, const char *name)
{
    for (const AttrDef *a = op->attr; a && a->name; a++)
        if (strcmp(a->name, name) == 0) return true;
    return false;
}

/* Of older forms, and without a meaning in the newest one. */
static bool says_nothing(const OpDef *op, const Draft *x, const char *name)
{
    static const char *const names[] = {"consumed_inputs", "is_test", "spatial",
                                        "broadcast",       "axis",    "output_sequence"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], name) == 0) return x->version < op->since;
    return false;
}

/* An attribute that nobody looks at would be computed without, silently. */
static Status check_attr_names(Importer *im, const OpDef *op, const Draft *x)
{
    for (int i = 0; i < x->n_attr; i++) {
        Where where = origin_where(x->origin);
        const char *name = x->attr[i].name;
        if (has_attr(op, name) || says_nothing(op, x, name)) continue;
        where.attr = name;
        return diag(im->diag, ERR_UNSUPPORTED, where, "%s has no attribute of this name", op->name);
    }
    return OK;
}

Status import_draft(Importer *im, Region *r, Draft *x, Value **out)
{
    const OpDef *row = op_find(x->domain, x->op);
    Where where = origin_where(x->origin);

    if (!row)
        return diag(im->diag, ERR_UNSUPPORTED, where, "the operator %s is not supported", x->op);
    TRY(check_attr_names(im, row, x));
    Node *n = node_new(r, NULL, NODE_OP, x->n_in, x->in, x->n_out, x->origin);
    n->op = row;
    n->attr = x->attr;
    n->n_attr = x->n_attr;
    for (int i = 0; i < x->n_out; i++)
        if (!x->wanted[i]) n->out[i] = NULL;
    bool poisoned = false;
    Status s = import_held(im, x, n);
    if (x->peel && s == OK) {
        node_unlink(n);
        return import_peeled(im, r, x, out);
    }
    for (int i = 0; i < n->n_region; i++)
        poisoned |= region_poisoned(im, n->region[i]);
    for (int i = 0; i < n->n_out; i++)
        out[i] = poisoned ? im->poison : n->out[i];
    Value *known = s == OK ? known_result(im, n) : NULL;
    if (known) out[0] = known;
    if (s != OK || poisoned || known) node_unlink(n);
    return s;
}

static Status import_operator(Importer *im, Region *r, const Onnx__NodeProto *p, Draft *x,
                              const Scope *scope, const Code *code, Value **out)
{
    Where where = origin_where(x->origin);
    Build b = build_at(r, NULL, x->origin, im->diag);

    x->version = opset_version(code, x->domain);
    if (x->version < 1)
        return diag(im->diag, ERR_MODEL, where, "%s: the model states no version of ai.onnx",
                    x->op);
    x->wanted = wanted_outputs(im, p, &x->n_out);
    if (!x->wanted) return import_limits(im);
    x->build = &b;
    TRY(draft_attrs(im, p, scope, code, where, x));
    if (gradient_named(x->domain, x->op)) return import_gradient(im, x, scope, out);
    TRY(upgrade(im, x));
    TRY(b.status);
    int branch = known_branch(im, x);
    if (branch >= 0) return import_inline(im, &x->graph[branch], r, 0, NULL, x->n_out, out);
    if (squeeze_asks(im, x)) return import_squeeze(im, r, x, out);
    if (!x->result) return import_draft(im, r, x, out);
    for (int i = 0; i < x->n_out; i++)
        out[i] = x->result[i];
    return OK;
}

/* An operator of the user's. */
static Status import_own(Importer *im, Region *r, const Onnx__NodeProto *p, Draft *x,
                         const Scope *scope, const Code *code, Value **out)
{
    Build b = build_at(r, NULL, x->origin, im->diag);

    x->build = &b;
    TRY(draft_attrs(im, p, scope, code, origin_where(x->origin), x));
    return import_user(im, p, x, out);
}

static Status import_results_of(Importer *im, Region *r, const Onnx__NodeProto *p,
                                const Origin *origin, const Scope *scope, const Code *code,
                                Value **out, bool *poisoned)
{
    Where where = origin_where(origin);
    Draft x = {.domain = plain_domain_of(p->domain), .op = op_type(p), .origin = origin};
    const Onnx__FunctionProto *f = function_find(im, x.domain, x.op, p->overload);

    if (p->n_input > INT32_MAX || p->n_output > INT32_MAX || p->n_attribute > INT32_MAX)
        return diag(im->diag, ERR_LIMIT, where, "a node of more than 2^31 values");
    x.in = arena_try(im->scratch, p->n_input + DRAFT_INPUTS, sizeof *x.in);
    if (!x.in) return import_limits(im);
    TRY(find_inputs(im, p, scope, where, &x.n_in, x.in));
    *poisoned = any_poison(im, x.n_in, x.in);
    if (*poisoned) return OK;
    if (f) return import_call(im, r, f, p, origin, x.n_in, x.in, scope, code, out);
    if (user_known(im, x.domain, x.op)) return import_own(im, r, p, &x, scope, code, out);
    if (!*x.domain && strcmp(x.op, "Constant") == 0)
        return import_constant(im, p, scope, code, where, out);
    return import_operator(im, r, p, &x, scope, code, out);
}

Status import_node(Importer *im, Region *r, const Onnx__NodeProto *p, int64_t index, Scope *scope,
                   const Code *code)
{
    const Origin *origin = make_origin(im, p, index, code);
    Value **out = arena_try(im->scratch, p->n_output, sizeof *out);
    bool poisoned = false;

    if (!out) return import_limits(im);
    Status s = import_results_of(im, r, p, origin, scope, code, out, &poisoned);
    TRY(import_fault(im, s));
    return define_outputs(im, p, scope, origin_where(origin), s == OK && !poisoned ? out : NULL);
}
