/* graph_parse.c: a module from text (graph_text.h states the form). Data lines are read first,
 * wherever they stand; then the statements in their order, in which every value must be defined
 * before it is used. */
#include <string.h>

#include "ir/graph_text.h"
#include "ir/op.h"
#include "support/vec.h"

#define REGION_DEPTH 64
#define MAX_LIST     (1 << 20)

/* ---- values ---- */

/* The text behind %: quoted names keep their opening quote in `key`, so that %"1" is not %1. */
static bool read_value_name(Reader *r, const char **key, const char **name)
{
    if (!reader_need(r, "%")) return false;
    bool quoted = *r->s == '"';
    if (!reader_name(r, name)) return false;
    *key = quoted ? arena_printf(r->m->arena, "\"%s", *name) : *name;
    if (!quoted && !name_is_plain(*name)) *name = NULL;
    return true;
}

static bool define(Reader *r, const char *key, const char *name, Value *v)
{
    if (map_has(&r->values, key)) return reader_fail(r, "%%%s is defined twice", key);
    map_set(&r->values, key, v);
    v->name = name;
    return true;
}

static bool read_use(Reader *r, Value **out)
{
    const char *key, *name;
    *out = NULL;
    if (reader_eat(r, "_")) return true;
    if (!read_value_name(r, &key, &name)) return false;
    *out = map_get(&r->values, key);
    return *out || reader_fail(r, "%%%s is used before it is defined", key);
}

/* Up to the closing token; separated by commas. */
static bool read_uses(Reader *r, const char *close, Value ***v, int *n)
{
    int cap = 0;
    *v = NULL;
    *n = 0;
    while (!reader_at(r, close)) {
        Value *one;
        if (*n && !reader_need(r, ",")) return false;
        if (!read_use(r, &one)) return false;
        if (*n == MAX_LIST) return reader_fail(r, "too many values");
        VEC_PUSH(r->m->arena, *v, *n, cap, one);
    }
    return reader_need(r, close);
}

/* <a,b>: as many dims as the type has elements. */
static bool read_contents(Reader *r, const Type *type, const Dim **out)
{
    Dim *d = NULL, one;
    int n = 0, cap = 0;
    while (!reader_at(r, ">")) {
        if ((n && !reader_need(r, ",")) || !reader_dim(r, &one)) return false;
        if (n == MAX_LIST) return reader_fail(r, "too many contents");
        VEC_PUSH(r->m->arena, d, n, cap, one);
    }
    if (!type_is_static(type) || !dim_is(type_count(&r->m->dims, type), n))
        return reader_fail(r, "%d contents do not fit the type", n);
    *out = d ? d : ARENA_ARRAY(r->m->arena, Dim, 1);
    return reader_need(r, ">");
}

/* A value being defined, before it exists: its text, type and contents. */
typedef struct Definition {
    const char *key, *name; /* key NULL: nobody wants it */
    Type type;
    bool typed;
    const Dim *contents;
} Definition;

static bool read_definition(Reader *r, Definition *d)
{
    *d = (Definition){0};
    if (reader_eat(r, "_")) return true;
    if (!read_value_name(r, &d->key, &d->name)) return false;
    d->typed = reader_eat(r, ":");
    if (d->typed && !reader_type(r, &d->type)) return false;
    return !reader_eat(r, "<") || read_contents(r, &d->type, &d->contents);
}

static bool apply_definition(Reader *r, const Definition *d, Value *v)
{
    v->type = d->type;
    v->contents = d->contents;
    return define(r, d->key, d->name, v);
}

static bool read_argument(Reader *r, Region *to)
{
    Definition d;
    if (!read_definition(r, &d)) return false;
    if (!d.key || !d.typed) return reader_fail(r, "an argument has a name and a type");
    return apply_definition(r, &d, region_add_arg(to, d.name, d.type));
}

/* ---- attributes ---- */

static bool list_ends(Reader *r, int n)
{
    if (reader_eat(r, "]")) return true;
    if (n == MAX_LIST) reader_fail(r, "the list is too long");
    if (n) reader_need(r, ",");
    return r->status != OK;
}

static bool read_ints(Reader *r, int *n, const int64_t **out)
{
    int64_t *v = NULL, one;
    int cap = 0;
    *n = 0;
    if (!reader_need(r, "[")) return false;
    while (!list_ends(r, *n)) {
        if (!reader_int(r, &one)) return false;
        VEC_PUSH(r->m->arena, v, *n, cap, one);
    }
    *out = v;
    return r->status == OK;
}

static bool read_floats(Reader *r, int *n, const double **out)
{
    double *v = NULL, one;
    int cap = 0;
    *n = 0;
    if (!reader_need(r, "[")) return false;
    while (!list_ends(r, *n)) {
        if (!reader_double(r, &one)) return false;
        VEC_PUSH(r->m->arena, v, *n, cap, one);
    }
    *out = v;
    return r->status == OK;
}

static bool read_strings(Reader *r, int *n, const StringRef **out)
{
    StringRef *v = NULL, one;
    int cap = 0;
    *n = 0;
    if (!reader_need(r, "[")) return false;
    while (!list_ends(r, *n)) {
        if (!reader_string(r, &one)) return false;
        VEC_PUSH(r->m->arena, v, *n, cap, one);
    }
    *out = v;
    return r->status == OK;
}

static bool read_tensors(Reader *r, int *n, const Tensor *const **out)
{
    const Tensor **v = NULL, *one;
    int cap = 0;
    *n = 0;
    if (!reader_need(r, "[")) return false;
    while (!list_ends(r, *n)) {
        if (!reader_tensor(r, &one)) return false;
        VEC_PUSH(r->m->arena, v, *n, cap, one);
    }
    *out = v;
    return r->status == OK;
}

static AttrKind attr_kind_at(Reader *r)
{
    static const struct {
        const char *text;
        AttrKind kind;
    } kinds[] = {{"ints", ATTR_INTS},     {"floats", ATTR_FLOATS},   {"strings", ATTR_STRINGS},
                 {"tensor", ATTR_TENSOR}, {"tensors", ATTR_TENSORS}, {"region", ATTR_REGION},
                 {"none", ATTR_NONE}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (reader_eat(r, kinds[i].text)) return kinds[i].kind;
    return reader_at(r, "\"") ? ATTR_STRING : ATTR_FLOAT;
}

static bool read_attr(Reader *r, Attr *a)
{
    bool is_float;
    int region;
    if (!reader_name(r, &a->name) || !reader_need(r, "=")) return false;
    a->kind = attr_kind_at(r);
    switch (a->kind) {
    case ATTR_NONE:
        return true;
    case ATTR_INT:
    case ATTR_FLOAT: /* which of both, the number tells */
        if (!reader_number(r, &is_float, &a->i, &a->f)) return false;
        a->kind = is_float ? ATTR_FLOAT : ATTR_INT;
        if (!is_float) a->f = 0;
        return true;
    case ATTR_STRING:
        return reader_string(r, &a->s);
    case ATTR_INTS:
        return read_ints(r, &a->n, &a->ints);
    case ATTR_FLOATS:
        return read_floats(r, &a->n, &a->floats);
    case ATTR_STRINGS:
        return read_strings(r, &a->n, &a->strings);
    case ATTR_TENSOR:
        return reader_tensor(r, &a->tensor);
    case ATTR_TENSORS:
        return read_tensors(r, &a->n, &a->tensors);
    case ATTR_REGION:
        if (!reader_small(r, 0, 255, &region)) return false;
        a->i = region;
        return true;
    }
    return false;
}

static bool read_attrs(Reader *r, Node *n)
{
    int cap = 0;
    if (!reader_eat(r, "{")) return true;
    while (!reader_eat(r, "}")) {
        Attr a = {0};
        if ((n->n_attr && !reader_need(r, ",")) || !read_attr(r, &a)) return false;
        VEC_PUSH(r->m->arena, n->attr, n->n_attr, cap, a);
    }
    return true;
}

/* ---- nodes ---- */

static const char *const kind_words[] = {
    [NODE_KERNEL] = "kernel", [NODE_RESHAPE] = "reshape", [NODE_CONCAT] = "concat",
    [NODE_CALL] = "call",     [NODE_BIND] = "bind",       [NODE_IF] = "if",
    [NODE_LOOP] = "loop"};

static bool read_kind(Reader *r, NodeKind *kind, const OpDef **op)
{
    const char *word, *domain = NULL;
    if (!reader_word(r, &word)) return false;
    if (reader_eat(r, "::")) {
        domain = word;
        if (!reader_word(r, &word)) return false;
    }
    for (int k = NODE_KERNEL; k <= NODE_LOOP && !domain; k++) {
        *kind = (NodeKind)k;
        if (strcmp(word, kind_words[k]) == 0) return true;
    }
    *kind = NODE_OP;
    *op = op_find(domain, word);
    return *op || reader_fail(r, "there is no operator '%s'", word);
}

static bool read_call(Reader *r, Node *n)
{
    StringRef name;
    n->call = ARENA_NEW(r->m->arena, CallInfo);
    if (!reader_string(r, &name)) return false;
    n->call->name = name.s;
    if (reader_eat(r, "ints") && !read_ints(r, &n->call->n_ints, &n->call->ints)) return false;
    return !reader_eat(r, "floats") || read_floats(r, &n->call->n_floats, &n->call->floats);
}

static bool read_bind(Reader *r, Node *n)
{
    BindInfo *b = ARENA_NEW(r->m->arena, BindInfo);
    Dim symbol;
    int element, cap_symbol = 0, cap_element = 0, count = 0;
    n->bind = b;
    while (reader_eat(r, "[")) {
        if (!reader_small(r, 0, INT32_MAX, &element) || !reader_need(r, "]") ||
            !reader_need(r, "="))
            return false;
        if (!reader_dim(r, &symbol)) return false;
        if (symbol->kind != DIM_SYM) return reader_fail(r, "bind defines a symbol");
        VEC_PUSH(r->m->arena, b->symbol, b->n, cap_symbol, symbol);
        VEC_PUSH(r->m->arena, b->element, count, cap_element, element);
    }
    return r->status == OK;
}

static bool read_payload(Reader *r, Node *n)
{
    switch (n->kind) {
    case NODE_KERNEL:
        return reader_kernel(r, &n->kernel);
    case NODE_CONCAT:
        if (!reader_need(r, "axis") || !reader_small(r, 0, MAX_RANK - 1, &n->axis)) return false;
        n->whole = reader_eat(r, "whole");
        return true;
    case NODE_CALL:
        return read_call(r, n);
    case NODE_BIND:
        return read_bind(r, n);
    case NODE_OP:
    case NODE_RESHAPE:
    case NODE_IF:
    case NODE_LOOP:
        return true;
    }
    return false;
}

static bool read_defines(Reader *r, Node *n)
{
    Dim symbol;
    if (!reader_eat(r, "define")) return true;
    do {
        if (!reader_dim(r, &symbol)) return false;
        if (symbol->kind != DIM_SYM) return reader_fail(r, "only a symbol can be defined");
        node_define(n, symbol);
    } while (reader_eat(r, ","));
    return r->status == OK;
}

static bool read_origins(Reader *r, Node *n, Origin *o)
{
    StringRef name;
    n->origin = o;
    if (!reader_eat(r, "@")) return true;
    for (;;) {
        if (!reader_name(r, &o->op) || !reader_string(r, &name)) return false;
        o->node = name.s;
        if (!reader_eat(r, "+")) return true;
        Origin *next = ARENA_NEW(r->m->arena, Origin);
        *next = (Origin){.file = o->file, .node = "", .index = o->index};
        o->next = next;
        o = next;
    }
}

static bool read_node(Reader *r, Region *to);

static bool read_region(Reader *r, Region *to)
{
    if (r->depth == REGION_DEPTH)
        return reader_fail(r, "more than %d nested regions", REGION_DEPTH);
    r->depth++;
    if (!reader_need(r, "(")) return false;
    while (!reader_eat(r, ")")) {
        if (to->n_arg && !reader_need(r, ",")) return false;
        if (!read_argument(r, to)) return false;
    }
    if (!reader_need(r, "{")) return false;
    while (!reader_eat(r, "yield"))
        if (!read_node(r, to)) return false;
    Value **v;
    int n;
    if (!read_uses(r, "}", &v, &n)) return false;
    for (int i = 0; i < n; i++)
        region_add_result(to, v[i]);
    r->depth--;
    return true;
}

/* Types that the text left out, as the importer would get them. */
static bool infer_missing(Reader *r, Node *n, const Definition *d)
{
    bool missing = false;
    for (int i = 0; i < n->n_out; i++)
        missing |= d[i].key && !d[i].typed;
    if (!missing) return true;
    if (n->kind != NODE_OP)
        return reader_fail(r, "only an operator's results may go without a type");
    Build b = build_at(n->parent, n, n->origin, r->diag);
    Infer cx = {.module = r->m, .build = &b, .diag = r->diag};
    Status s = op_infer(&cx, n);
    if (s == OK) return true;
    r->status = s;
    r->s = "";
    return false;
}

/* Everything of a node behind its results and operands. */
static bool read_rest(Reader *r, Node *n, Origin *o, const Definition *d)
{
    if (!read_payload(r, n) || !read_attrs(r, n) || !read_defines(r, n) || !read_origins(r, n, o))
        return false;
    while (reader_eat(r, "region"))
        if (!read_region(r, node_add_region(n))) return false;
    for (int i = 0; i < n->n_attr; i++)
        if (n->attr[i].kind == ATTR_REGION && n->attr[i].i >= n->n_region)
            return reader_fail(r, "attribute '%s' names a region that is not there",
                               n->attr[i].name);
    for (int i = 0; i < n->n_out; i++) {
        if (!d[i].key)
            n->out[i] = NULL;
        else if (!apply_definition(r, &d[i], n->out[i]))
            return false;
    }
    return infer_missing(r, n, d);
}

static bool read_results(Reader *r, Definition **d, int *n)
{
    int cap = 0;
    *d = NULL;
    *n = 0;
    if (!reader_at(r, "%") && !reader_at(r, "_")) return true;
    do {
        Definition one;
        if (!read_definition(r, &one)) return false;
        if (*n == MAX_LIST) return reader_fail(r, "too many results");
        VEC_PUSH(r->m->arena, *d, *n, cap, one);
    } while (reader_eat(r, ","));
    return reader_need(r, "=");
}

static bool read_node(Reader *r, Region *to)
{
    Definition *d;
    Value **in;
    const OpDef *op = NULL;
    NodeKind kind;
    int n_out, n_in;
    if (!read_results(r, &d, &n_out)) return false;
    int line = r->line;
    if (!read_kind(r, &kind, &op) || !reader_need(r, "(") || !read_uses(r, ")", &in, &n_in))
        return false;
    Origin *o = ARENA_NEW(r->m->arena, Origin);
    Node *n = node_new(to, NULL, kind, n_in, in, n_out, o);
    n->op = op;
    *o = (Origin){.file = r->file, .node = "", .op = node_op_name(n), .index = line};
    return read_rest(r, n, o, d);
}

/* ---- statements ---- */

static bool read_symbol(Reader *r)
{
    const char *name;
    int64_t lo = INT64_MIN, hi = INT64_MAX;
    if (!reader_name(r, &name)) return false;
    if (!reader_at(r, "..") && !reader_int(r, &lo)) return false;
    if (!reader_need(r, "..")) return false;
    if ((*r->s == '-' || (*r->s >= '0' && *r->s <= '9')) && !reader_int(r, &hi)) return false;
    if (lo > hi) return reader_fail(r, "the bounds of %s exclude each other", name);
    dim_symbol(&r->m->dims, name, lo, hi);
    return true;
}

static bool read_state(Reader *r, int *cap)
{
    StatePair s;
    if (!reader_small(r, 0, MAX_LIST, &s.input) || !reader_need(r, "->")) return false;
    if (!reader_small(r, 0, MAX_LIST, &s.output) || !reader_need(r, "axis")) return false;
    if (!reader_small(r, -1, MAX_RANK - 1, &s.axis)) return false;
    VEC_PUSH(r->m->arena, r->m->state, r->m->n_state, *cap, s);
    return true;
}

static bool read_const(Reader *r)
{
    const char *key, *name;
    const Tensor *t;
    if (!read_value_name(r, &key, &name) || !reader_need(r, ":") || !reader_tensor(r, &t))
        return false;
    return define(r, key, name, module_constant(r->m, t, name));
}

static bool read_output(Reader *r, int *cap)
{
    Value *v;
    StringRef name = {NULL, 0};
    if (!read_use(r, &v)) return false;
    if (reader_at(r, "\"") && !reader_string(r, &name)) return false;
    int n = r->m->main->n_result;
    VEC_PUSH(r->m->arena, r->m->output_name, n, *cap, name.s);
    region_add_result(r->m->main, v);
    return true;
}

static void skip_line(Reader *r)
{
    r->s += strcspn(r->s, "\n");
}

static bool read_statements(Reader *r)
{
    int cap_state = 0, cap_output = 0;
    StringRef name;
    bool ok = true;
    for (reader_space(r); ok && *r->s; reader_space(r)) {
        if (reader_eat(r, "model")) {
            ok = reader_string(r, &name);
            if (ok) r->m->name = name.s;
        } else if (reader_eat(r, "dim")) {
            ok = read_symbol(r);
        } else if (reader_eat(r, "data")) {
            skip_line(r);
        } else if (reader_eat(r, "state")) {
            ok = read_state(r, &cap_state);
        } else if (reader_eat(r, "const")) {
            ok = read_const(r);
        } else if (reader_eat(r, "input")) {
            ok = read_argument(r, r->m->main);
        } else if (reader_eat(r, "output")) {
            ok = read_output(r, &cap_output);
        } else {
            ok = read_node(r, r->m->main);
        }
    }
    return ok;
}

/* Only the lines that begin with "data #". */
static bool read_data(Reader *r)
{
    for (;; r->s++, r->line++, r->line_start = r->s) {
        if (strncmp(r->s, "data #", 6) == 0) {
            const char *digest;
            const Tensor *t;
            r->s += 6;
            if (!reader_word(r, &digest) || !reader_tensor(r, &t)) return false;
            map_set(&r->data, digest, (void *)(uintptr_t)t);
        }
        skip_line(r);
        if (!*r->s) return true;
    }
}

Status graph_parse(Arena *arena, const char *text, const char *file, Module **out, Diag *d)
{
    Module *m = module_new(arena, file);
    Reader r, data;
    *out = NULL;
    reader_init(&r, m, m->file, text, d);
    reader_init(&data, m, m->file, text, d);
    if (!read_data(&data)) return data.status;
    r.data = data.data;
    if (!read_statements(&r)) return r.status;
    if (!dims_ok(&m->dims))
        return diag(d, ERR_LIMIT, (Where){.file = m->file},
                    "a dim is too large or too complicated");
    if (!arena_ok(arena)) return diag(d, ERR_LIMIT, (Where){.file = m->file}, "out of memory");
    *out = m;
    return OK;
}
