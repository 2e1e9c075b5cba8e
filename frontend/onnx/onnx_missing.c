/* onnx_missing.c: which operators of a model cannot be imported: all of them, before anything else
 * is done, each with its domain, version, and the first node that needs it. */
#include <string.h>

#include "frontend/onnx/onnx_import.h"

const char *plain_domain_of(const char *domain)
{
    return !domain || strcmp(domain, "ai.onnx") == 0 ? "" : domain;
}

int64_t opset_version(const Code *code, const char *domain)
{
    for (size_t i = 0; i < code->n_opset; i++)
        if (strcmp(plain_domain_of(code->opset[i]->domain), domain) == 0)
            return code->opset[i]->version;
    if (code->model) return opset_version(code->model, domain);
    return !*domain && code->n_opset > 0 ? -1 : 1;
}

typedef struct Missing {
    const char *op, *domain, *node;
    int64_t version, count, index;
} Missing;

typedef struct Search {
    Importer *im;
    Map missing;   /* text of operator, domain, version -> Missing */
    Map functions; /* looked into already, by address */
    Status status;
} Search;

static void note_missing(Search *s, const Onnx__NodeProto *p, size_t index, const char *domain,
                         int64_t version)
{
    const char *op = p->op_type ? p->op_type : "";
    const char *key = arena_printf(s->im->scratch, "%s\n%s\n%lld", op, domain, (long long)version);
    Missing *m = map_get(&s->missing, key);

    if (!m) {
        m = ARENA_NEW(s->im->scratch, Missing);
        *m = (Missing){.op = op,
                       .domain = domain,
                       .version = version,
                       .node = node_label(p),
                       .index = (int64_t)index};
        map_set(&s->missing, key, m);
    }
    m->count++;
}

static void search_nodes(Search *s, size_t n, Onnx__NodeProto *const *nodes, const Code *code);

static void search_function(Search *s, const Onnx__FunctionProto *f, const Code *code)
{
    Code body = {.n_opset = f->n_opset_import,
                 .opset = f->opset_import,
                 .model = code->model ? code->model : code,
                 .depth = code->depth + 1};

    if (map_has(&s->functions, f) || body.depth > s->im->options->max_depth) return;
    map_set(&s->functions, f, s);
    search_nodes(s, f->n_node, f->node, &body);
}

static void search_node(Search *s, const Onnx__NodeProto *p, size_t index, const Code *code)
{
    const char *domain = plain_domain_of(p->domain);
    const char *op = p->op_type ? p->op_type : "";
    const Onnx__FunctionProto *f = function_find(s->im, domain, op, p->overload);

    if (f) {
        search_function(s, f, code);
    } else if (!user_known(s->im, domain, op) && !gradient_named(domain, op)) {
        int64_t version = opset_version(code, domain);
        if (!upgrade_known(domain, op, version)) note_missing(s, p, index, domain, version);
    }
    for (size_t i = 0; i < p->n_attribute; i++)
        if (p->attribute[i]->g)
            search_nodes(s, p->attribute[i]->g->n_node, p->attribute[i]->g->node, code);
}

static Status check_versions(Importer *im, const Code *code, const char *who)
{
    int64_t version = opset_version(code, "");
    Where where = {.file = im->module->file, .node = who};

    if (version > ONNX_NEWEST)
        return diag(im->diag, ERR_UNSUPPORTED, where,
                    "opset %lld of ai.onnx is newer than %d, the newest that is known",
                    (long long)version, ONNX_NEWEST);
    if (version < 1 && version != -1)
        return diag(im->diag, ERR_MODEL, where, "opset %lld of ai.onnx does not exist",
                    (long long)version);
    return OK;
}

static void search_nodes(Search *s, size_t n, Onnx__NodeProto *const *nodes, const Code *code)
{
    for (size_t i = 0; i < n; i++)
        search_node(s, nodes[i], i, code);
}

/* What is known of it, and that an operator may be the user's own. */
static const char *own_hint(Importer *im, const Missing *m)
{
    const char *why = absent_why(m->domain, m->op);

    if (!*m->domain) return "";
    return arena_printf(im->scratch,
                        "%s%s; --op %s:%s=OBJECT.o compiles it in from a C function of yours "
                        "(docs/USER_OPERATORS.md)",
                        why ? ": " : "", why ? why : "", m->domain, m->op);
}

static Status tell_missing(Search *s)
{
    const void *key;
    void *value;
    Status status = OK;

    for (size_t i = 0; map_next(&s->missing, &i, &key, &value);) {
        const Missing *m = value;
        Where where = {.file = s->im->module->file, .node = m->node, .index = m->index};
        status = diag(s->im->diag, ERR_UNSUPPORTED, where,
                      "the operator %s of %s, version %lld, is not supported (%lld node%s)%s",
                      m->op, *m->domain ? m->domain : "ai.onnx", (long long)m->version,
                      (long long)m->count, m->count == 1 ? "" : "s", own_hint(s->im, m));
    }
    return status;
}

Status check_missing(Importer *im, const Code *code)
{
    Search s = {.im = im};
    const Onnx__ModelProto *m = im->proto;

    map_init(&s.missing, im->scratch, true);
    map_init(&s.functions, im->scratch, false);
    TRY(check_versions(im, code, NULL));
    for (size_t i = 0; i < m->n_functions; i++) {
        Code body = {.n_opset = m->functions[i]->n_opset_import,
                     .opset = m->functions[i]->opset_import,
                     .model = code};
        TRY(check_versions(im, &body, m->functions[i]->name));
    }
    search_nodes(&s, m->graph->n_node, m->graph->node, code);
    TRY(import_limits(im));
    return tell_missing(&s);
}
