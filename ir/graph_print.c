/* graph_print.c: a module as text (graph_text.h states the form), so that it can be read, compared
 * and parsed back. Values are numbered in the order of printing; only names that are unique are
 * shown, with the model's inputs and outputs first in choice. Symbols are declared in the order
 * they were made: that keeps the order of terms in dims. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "ir/graph_text.h"
#include "ir/op.h"
#include "support/vec.h"

typedef struct Printer {
    const Module *m;
    Text *out;
    Arena *arena;
    Map shown;   /* text of a value, by address */
    Map taken;   /* by that text */
    Map visited; /* constants and symbols */
    const Value **constant;
    Dim *symbol;
    int n_constant, cap_constant, n_symbol, cap_symbol;
    int number;
} Printer;

bool name_is_plain(const char *s)
{
    bool digits = true;
    for (const char *c = s; *c; c++) {
        if (!isalnum((unsigned char)*c) && *c != '_' && *c != '.') return false;
        digits &= isdigit((unsigned char)*c) != 0;
    }
    return *s && !digits && strcmp(s, "_") != 0;
}

void name_print(Text *out, const char *s)
{
    if (name_is_plain(s))
        text_put(out, s);
    else
        text_quote(out, s, strlen(s));
}

void float_print(Text *out, double v)
{
    size_t from = out->n;
    text_double(out, v);
    if (!strpbrk(out->s + from, ".einfa")) text_put(out, ".0");
}

/* ---- what has to be declared first ---- */

static bool first_visit(Printer *p, const void *x)
{
    if (map_has(&p->visited, x)) return false;
    map_set(&p->visited, x, p);
    return true;
}

static void note_symbol(void *context, Dim symbol)
{
    Printer *p = context;
    if (first_visit(p, symbol)) VEC_PUSH(p->arena, p->symbol, p->n_symbol, p->cap_symbol, symbol);
}

static void note_dims(Printer *p, int n, const Dim *d)
{
    for (int i = 0; i < n; i++)
        dim_symbols(d[i], note_symbol, p);
}

static void note_type(Printer *p, const Type *t)
{
    for (; t; t = t->elem)
        if (t->kind == TYPE_TENSOR) note_dims(p, t->rank, t->dim);
}

/* How many elements have contents; types with contents have constant dims. */
static int64_t contents_count(const Value *v)
{
    int64_t n = 1;
    if (!v->contents || !type_is_static(&v->type)) return -1;
    for (int i = 0; i < v->type.rank; i++)
        n *= v->type.dim[i]->value;
    return n;
}

static void note_value(Printer *p, const Value *v)
{
    if (!v) return;
    if (v->data && first_visit(p, v))
        VEC_PUSH(p->arena, p->constant, p->n_constant, p->cap_constant, v);
    if (v->data) return;
    note_type(p, &v->type);
    for (int64_t i = contents_count(v) - 1; i >= 0; i--)
        dim_symbols(v->contents[i], note_symbol, p);
}

static void note_sx(void *context, const Sx *e)
{
    if (e->op == SX_DIM) dim_symbols(e->dim, note_symbol, context);
}

static void note_expr(Printer *p, const Sx *e)
{
    if (e) sx_visit((SxTable *)(uintptr_t)&p->m->sx, e, note_sx, p);
}

static void note_kernel(Printer *p, const Kernel *k)
{
    for (const Stage *s = k->stage; s < k->stage + k->n_stage; s++) {
        note_dims(p, s->rank, s->extent);
        note_dims(p, s->n_reduce, s->reduce);
        for (int i = 0; i < s->n_acc; i++) {
            note_expr(p, s->acc[i].body);
            note_expr(p, s->acc[i].body2);
            note_expr(p, s->acc[i].where);
        }
        for (int i = 0; i < s->n_out; i++) {
            note_expr(p, s->out[i].value);
            for (int j = 0; j < s->out[i].n_dst; j++)
                note_expr(p, s->out[i].dst[j]);
            note_expr(p, s->out[i].dst_guard);
        }
    }
}

static void note_region(Printer *p, const Region *r)
{
    for (int i = 0; i < r->n_arg; i++)
        note_value(p, r->arg[i]);
    for (const Node *n = r->first; n; n = n->next) {
        for (int i = 0; i < n->n_in; i++)
            note_value(p, n->in[i]);
        for (int i = 0; i < n->n_out; i++)
            note_value(p, n->out[i]);
        if (n->kernel) note_kernel(p, n->kernel);
        if (n->bind) note_dims(p, n->bind->n, n->bind->symbol);
        note_dims(p, n->n_define, n->define);
        for (int i = 0; i < n->n_region; i++)
            note_region(p, n->region[i]);
    }
    for (int i = 0; i < r->n_result; i++)
        note_value(p, r->result[i]);
}

/* ---- values ---- */

static const char *value_text(Printer *p, const Value *v)
{
    const char *text = map_get(&p->shown, v);
    if (text) return text;
    if (v->name && v->name[0]) {
        Text t;
        text_init(&t, p->arena);
        name_print(&t, v->name);
        if (!map_has(&p->taken, t.s)) text = t.s;
    }
    if (!text) text = arena_printf(p->arena, "%d", p->number++);
    map_set(&p->taken, text, p);
    map_set(&p->shown, v, (void *)(uintptr_t)text);
    return text;
}

static void print_value(Printer *p, const Value *v)
{
    if (v)
        text_f(p->out, "%%%s", value_text(p, v));
    else
        text_char(p->out, '_');
}

static void print_values(Printer *p, int n, Value *const *v)
{
    for (int i = 0; i < n; i++) {
        if (i) text_put(p->out, ", ");
        print_value(p, v[i]);
    }
}

static void print_typed(Printer *p, const Value *v)
{
    print_value(p, v);
    if (!v) return;
    text_put(p->out, " : ");
    type_print(p->out, &v->type);
    int64_t n = contents_count(v);
    if (n < 0) return;
    text_put(p->out, " <");
    for (int64_t i = 0; i < n; i++) {
        if (i) text_char(p->out, ',');
        dim_print(p->out, v->contents[i]);
    }
    text_char(p->out, '>');
}

/* ---- attributes ---- */

static void print_ints(Text *out, int n, const int64_t *v)
{
    text_put(out, "ints [");
    for (int i = 0; i < n; i++)
        text_f(out, "%s%lld", i ? "," : "", (long long)v[i]);
    text_char(out, ']');
}

static void print_floats(Text *out, int n, const double *v)
{
    text_put(out, "floats [");
    for (int i = 0; i < n; i++) {
        if (i) text_char(out, ',');
        float_print(out, v[i]);
    }
    text_char(out, ']');
}

static void print_strings(Text *out, int n, const StringRef *v)
{
    text_put(out, "strings [");
    for (int i = 0; i < n; i++) {
        if (i) text_char(out, ',');
        text_quote(out, v[i].s, (size_t)v[i].n);
    }
    text_char(out, ']');
}

static void print_tensors(Text *out, int n, const Tensor *const *v)
{
    text_put(out, "tensors [");
    for (int i = 0; i < n; i++) {
        if (i) text_put(out, ", ");
        tensor_print(out, v[i], false);
    }
    text_char(out, ']');
}

static void print_attr(Text *out, const Attr *a)
{
    name_print(out, a->name);
    text_char(out, '=');
    switch (a->kind) {
    case ATTR_NONE:
        text_put(out, "none");
        break;
    case ATTR_INT:
        text_f(out, "%lld", (long long)a->i);
        break;
    case ATTR_FLOAT:
        float_print(out, a->f);
        break;
    case ATTR_STRING:
        text_quote(out, a->s.s, (size_t)a->s.n);
        break;
    case ATTR_INTS:
        print_ints(out, a->n, a->ints);
        break;
    case ATTR_FLOATS:
        print_floats(out, a->n, a->floats);
        break;
    case ATTR_STRINGS:
        print_strings(out, a->n, a->strings);
        break;
    case ATTR_TENSOR:
        text_put(out, "tensor ");
        tensor_print(out, a->tensor, false);
        break;
    case ATTR_TENSORS:
        print_tensors(out, a->n, a->tensors);
        break;
    case ATTR_REGION:
        text_f(out, "region %lld", (long long)a->i);
        break;
    }
}

/* ---- nodes ---- */

static void print_kind(Text *out, const Node *n)
{
    switch (n->kind) {
    case NODE_OP:
        if (n->op->domain) text_f(out, "%s::", n->op->domain);
        text_put(out, n->op->name);
        break;
    case NODE_KERNEL:
        text_put(out, "kernel");
        break;
    case NODE_RESHAPE:
        text_put(out, "reshape");
        break;
    case NODE_CONCAT:
        text_put(out, "concat");
        break;
    case NODE_CALL:
        text_put(out, "call");
        break;
    case NODE_BIND:
        text_put(out, "bind");
        break;
    case NODE_IF:
        text_put(out, "if");
        break;
    case NODE_LOOP:
        text_put(out, "loop");
        break;
    }
}

static void print_call(Text *out, const CallInfo *c)
{
    text_char(out, ' ');
    text_quote(out, c->name, strlen(c->name));
    if (c->n_ints) {
        text_char(out, ' ');
        print_ints(out, c->n_ints, c->ints);
    }
    if (c->n_floats) {
        text_char(out, ' ');
        print_floats(out, c->n_floats, c->floats);
    }
}

static void print_payload(Text *out, const Node *n, int indent)
{
    if (n->kind == NODE_CONCAT) text_f(out, " axis %d%s", n->axis, n->whole ? " whole" : "");
    if (n->call) print_call(out, n->call);
    for (int i = 0; n->bind && i < n->bind->n; i++) {
        text_f(out, " [%d]=", n->bind->element[i]);
        dim_print(out, n->bind->symbol[i]);
    }
    if (n->kernel) {
        if (n->kernel->label) {
            text_char(out, ' ');
            text_quote(out, n->kernel->label, strlen(n->kernel->label));
        }
        kernel_body_print(n->kernel, out, indent);
    }
    if (!n->n_attr) return;
    text_put(out, " {");
    for (int i = 0; i < n->n_attr; i++) {
        if (i) text_put(out, ", ");
        print_attr(out, &n->attr[i]);
    }
    text_char(out, '}');
}

/* A single origin that says no more than the node itself is left out. */
static void print_origin(Text *out, const Node *n)
{
    const Origin *o = n->origin;
    if (!o) return;
    bool nameless = !o->node || !o->node[0];
    if (!o->next && nameless && (!o->op || strcmp(o->op, node_op_name(n)) == 0)) return;
    for (const char *mark = " @ "; o; o = o->next, mark = " + ") {
        text_put(out, mark);
        name_print(out, o->op && o->op[0] ? o->op : "?");
        text_char(out, ' ');
        text_quote(out, o->node ? o->node : "", o->node ? strlen(o->node) : 0);
    }
}

static void print_region(Printer *p, const Region *r, int indent);

static void print_node(Printer *p, const Node *n, int indent)
{
    text_f(p->out, "%*s", indent, "");
    for (int i = 0; i < n->n_out; i++) {
        if (i) text_put(p->out, ", ");
        print_typed(p, n->out[i]);
    }
    if (n->n_out) text_put(p->out, " = ");
    print_kind(p->out, n);
    text_char(p->out, '(');
    print_values(p, n->n_in, n->in);
    text_char(p->out, ')');
    print_payload(p->out, n, indent);
    for (int i = 0; i < n->n_define; i++) {
        text_put(p->out, i ? "," : " define ");
        dim_print(p->out, n->define[i]);
    }
    print_origin(p->out, n);
    for (int i = 0; i < n->n_region; i++)
        print_region(p, n->region[i], indent + 2);
    text_char(p->out, '\n');
}

static void print_region(Printer *p, const Region *r, int indent)
{
    text_f(p->out, "\n%*sregion (", indent, "");
    for (int i = 0; i < r->n_arg; i++) {
        if (i) text_put(p->out, ", ");
        print_typed(p, r->arg[i]);
    }
    text_put(p->out, ") {\n");
    for (const Node *n = r->first; n; n = n->next)
        print_node(p, n, indent + 2);
    text_f(p->out, "%*syield%s", indent + 2, "", r->n_result ? " " : "");
    print_values(p, r->n_result, r->result);
    text_f(p->out, "\n%*s}", indent, "");
}

/* ---- the module ---- */

static int by_id(const void *a, const void *b)
{
    uint32_t x = (*(const Dim *)a)->id, y = (*(const Dim *)b)->id;
    return (x > y) - (x < y);
}

static void print_symbols(Printer *p)
{
    if (p->n_symbol) qsort(p->symbol, (size_t)p->n_symbol, sizeof *p->symbol, by_id);
    for (int i = 0; i < p->n_symbol; i++) {
        Dim s = p->symbol[i];
        text_put(p->out, "dim ");
        dim_print(p->out, s);
        text_char(p->out, ' ');
        if (s->lo != INT64_MIN) text_f(p->out, "%lld", (long long)s->lo);
        text_put(p->out, "..");
        if (s->hi != INT64_MAX) text_f(p->out, "%lld", (long long)s->hi);
        text_char(p->out, '\n');
    }
}

static void print_head(Printer *p)
{
    if (p->m->name && p->m->name[0]) {
        text_put(p->out, "model ");
        text_quote(p->out, p->m->name, strlen(p->m->name));
        text_char(p->out, '\n');
    }
    print_symbols(p);
    for (int i = 0; i < p->m->n_state; i++) {
        const StatePair *s = &p->m->state[i];
        text_f(p->out, "state %d -> %d axis %d\n", s->input, s->output, s->axis);
    }
}

static void printer_init(Printer *p, const Module *m, Text *out)
{
    *p = (Printer){.m = m, .out = out, .arena = out->arena};
    map_init(&p->shown, p->arena, false);
    map_init(&p->taken, p->arena, true);
    map_init(&p->visited, p->arena, false);
    note_region(p, m->main);
}

void graph_print(const Module *m, Text *out)
{
    Printer p;
    const Region *r = m->main;
    printer_init(&p, m, out);
    print_head(&p);
    for (int i = 0; i < r->n_arg; i++)
        value_text(&p, r->arg[i]);
    for (int i = 0; i < p.n_constant; i++) {
        text_put(out, "const ");
        print_value(&p, p.constant[i]);
        text_put(out, " : ");
        tensor_print(out, p.constant[i]->data, false);
        text_char(out, '\n');
    }
    for (int i = 0; i < r->n_arg; i++) {
        text_put(out, "input ");
        print_typed(&p, r->arg[i]);
        text_char(out, '\n');
    }
    for (const Node *n = r->first; n; n = n->next)
        print_node(&p, n, 0);
    for (int i = 0; i < r->n_result; i++) {
        const char *name = m->output_name ? m->output_name[i] : NULL;
        text_put(out, "output ");
        print_value(&p, r->result[i]);
        if (name) {
            text_char(out, ' ');
            text_quote(out, name, strlen(name));
        }
        text_char(out, '\n');
    }
}

static void print_data(Printer *p, const Tensor *t)
{
    char digest[33];
    if (!tensor_has_data_line(t)) return;
    tensor_digest(t, digest);
    const char *key = arena_strdup(p->arena, digest);
    if (map_has(&p->taken, key)) return;
    map_set(&p->taken, key, p);
    text_f(p->out, "data #%s ", digest);
    tensor_print(p->out, t, true);
    text_char(p->out, '\n');
}

static void print_attr_data(Printer *p, const Region *r)
{
    for (const Node *n = r->first; n; n = n->next) {
        for (int i = 0; i < n->n_attr; i++) {
            if (n->attr[i].kind == ATTR_TENSOR) print_data(p, n->attr[i].tensor);
            for (int k = 0; n->attr[i].kind == ATTR_TENSORS && k < n->attr[i].n; k++)
                print_data(p, n->attr[i].tensors[k]);
        }
        for (int i = 0; i < n->n_region; i++)
            print_attr_data(p, n->region[i]);
    }
}

void graph_print_data(const Module *m, Text *out)
{
    Printer p;
    printer_init(&p, m, out);
    for (int i = 0; i < p.n_constant; i++)
        print_data(&p, p.constant[i]->data);
    print_attr_data(&p, m->main);
}
