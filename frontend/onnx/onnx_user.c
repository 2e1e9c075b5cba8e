/* onnx_user.c: operators that the user of the compiler brings along (include/ingot/ingot_op.h): a
 * call of a function that the linker finds in an object given with --op.
 *
 * The graph knows no meaning of it, only types of results: what the model declares, else the
 * element type and rank of the first input. Attributes travel as a constant, the call's last
 * operand, in the form that runtime/rt_call_user.c describes. */
#include <string.h>

#include "frontend/onnx/onnx_import.h"
#include "support/vec.h"

bool user_known(const Importer *im, const char *domain, const char *op)
{
    for (int i = 0; i < im->options->n_op; i++)
        if (strcmp(im->options->op[i].domain, domain) == 0 &&
            strcmp(im->options->op[i].name, op) == 0)
            return true;
    return false;
}

/* ---- attributes ---- */

typedef struct Words {
    Importer *im;
    int64_t *at;
    int n, cap;
} Words;

static void put_word(Words *w, int64_t v)
{
    VEC_PUSH(w->im->scratch, w->at, w->n, w->cap, v);
}

static void put_text(Words *w, const char *text, size_t n)
{
    for (size_t i = 0; i <= n / 8; i++) {
        int64_t word = 0;
        size_t left = n - i * 8;
        memcpy(&word, text + i * 8, left < 8 ? left : 8);
        put_word(w, word);
    }
}

static void put_head(Words *w, int kind, int64_t n, const char *name)
{
    put_word(w, kind);
    put_word(w, n);
    put_word(w, (int64_t)strlen(name) / 8 + 1);
    put_text(w, name, strlen(name));
}

static void put_ints(Words *w, const char *name, int n, const int64_t *v)
{
    put_head(w, 1, n, name);
    for (int i = 0; i < n; i++)
        put_word(w, v[i]);
}

static void put_floats(Words *w, const char *name, int n, const double *v)
{
    put_head(w, 2, n, name);
    for (int i = 0; i < n; i++) {
        int64_t bits;
        memcpy(&bits, &v[i], sizeof bits);
        put_word(w, bits);
    }
}

static Status put_attr(Words *w, const Draft *x, const Attr *a)
{
    switch (a->kind) {
    case ATTR_INT:
        put_ints(w, a->name, 1, &a->i);
        return OK;
    case ATTR_INTS:
        put_ints(w, a->name, a->n, a->ints);
        return OK;
    case ATTR_FLOAT:
        put_floats(w, a->name, 1, &a->f);
        return OK;
    case ATTR_FLOATS:
        put_floats(w, a->name, a->n, a->floats);
        return OK;
    case ATTR_STRING:
        put_head(w, 3, a->s.n, a->name);
        put_text(w, a->s.s, (size_t)a->s.n);
        return OK;
    case ATTR_NONE:
    case ATTR_STRINGS:
    case ATTR_TENSOR:
    case ATTR_TENSORS:
    case ATTR_REGION:
        break;
    }
    return diag(w->im->diag, ERR_UNSUPPORTED, origin_where(x->origin),
                "%s: the attribute '%s': numbers, lists of numbers and texts are passed on to an "
                "operator of yours, make it an input",
                x->op, a->name);
}

static Status attributes(Importer *im, const Draft *x, Value **out)
{
    Words w = {.im = im};
    int64_t dim;
    Tensor *t;

    for (int i = 0; i < x->n_attr; i++)
        TRY(put_attr(&w, x, &x->attr[i]));
    put_word(&w, 0);
    TRY(import_limits(im));
    dim = w.n;
    t = tensor_new(im->arena, DT_I64, 1, &dim);
    if (!t) return import_limits(im);
    memcpy(t->data, w.at, (size_t)w.n * sizeof *w.at);
    *out = module_constant(im->module, t, NULL);
    return OK;
}

/* ---- types ---- */

static const Onnx__TypeProto *declared(size_t n, Onnx__ValueInfoProto *const *v, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (v[i]->name && strcmp(v[i]->name, name) == 0) return v[i]->type;
    return NULL;
}

static bool of_inputs(const Importer *im, Dim d)
{
    const Region *r = im->module->main;

    for (int i = 0; i < r->n_arg; i++)
        for (int k = 0; r->arg[i]->type.kind == TYPE_TENSOR && k < r->arg[i]->type.rank; k++)
            if (r->arg[i]->type.dim[k] == d) return true;
    return false;
}

static Status result_type(Importer *im, const Draft *x, const char *name, Type *out)
{
    const Onnx__GraphProto *g = im->proto->graph;
    const Onnx__TypeProto *p = declared(g->n_value_info, g->value_info, name);
    Where where = origin_where(x->origin);

    if (!p) p = declared(g->n_output, g->output, name);
    if (p)
        TRY(import_type(im, p, where, out));
    else if (x->n_in > 0 && x->in[0])
        *out = x->in[0]->type;
    if ((!p && (x->n_in == 0 || !x->in[0])) || out->kind != TYPE_TENSOR ||
        out->rank == RANK_UNKNOWN || out->dtype == DT_STRING)
        return diag(im->diag, ERR_UNSUPPORTED, where,
                    "%s: the type of its result \"%s\" is not known: found no declaration, "
                    "expected a tensor of numbers with its rank in the model's value_info",
                    x->op, name);
    Dim *dim = ARENA_ARRAY(im->arena, Dim, out->rank);
    for (int i = 0; i < out->rank; i++) {
        bool known = p && (dim_is_const(out->dim[i]) || of_inputs(im, out->dim[i]));
        dim[i] = known ? out->dim[i] : dim_fresh(&im->module->dims, "u", 0, INT32_MAX);
    }
    out->dim = dim;
    return OK;
}

/* ---- the node ---- */

static const char *symbol_of(Importer *im, const char *op)
{
    return arena_printf(im->scratch, "user_%s", op);
}

Status import_user(Importer *im, const Onnx__NodeProto *p, Draft *x, Value **out)
{
    int n_out = (int)p->n_output;
    Type *type = arena_try(im->scratch, (size_t)n_out + 1, sizeof *type);
    Node *n;

    if (!type) return import_limits(im);
    for (int k = 0; k < n_out; k++)
        TRY(result_type(im, x, p->output[k], &type[k]));
    TRY(attributes(im, x, &x->in[x->n_in]));
    n = build_call(x->build, symbol_of(im, x->op), x->n_in + 1, x->in, n_out, type, 0, NULL, 0,
                   NULL);
    if (!n) return x->build->status;
    for (int k = 0; k < n_out; k++) {
        for (int i = 0; i < type[k].rank; i++)
            if (type[k].dim[i]->kind == DIM_SYM && !of_inputs(im, type[k].dim[i]))
                node_define(n, type[k].dim[i]);
        out[k] = n->out[k];
    }
    return OK;
}
