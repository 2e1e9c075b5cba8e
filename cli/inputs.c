/* inputs.c: inputs of a model. Files first: what they say of open dims holds for the random ones.
 */
#include "cli/inputs.h"

#include <string.h>

#include "cli/tensors.h"
#include "support/io.h"

typedef struct Gather {
    const Options *o;
    const Module *module;
    const ingot_port *port;
    InputSource source;
    ingot_tensor *in;
    Diag *d;
} Gather;

static bool is_port(const Gather *g, const char *name, size_t n)
{
    for (int i = 0; i < g->module->main->n_arg; i++)
        if (strlen(g->port[i].name) == n && memcmp(g->port[i].name, name, n) == 0) return true;
    return false;
}

/* The name in front of "NAME=FILE", where NAME may hold '=' itself; 0 when there is none. */
static size_t name_size(const Gather *g, const char *s)
{
    for (const char *at = strchr(s, '='); at; at = strchr(at + 1, '='))
        if (is_port(g, s, (size_t)(at - s))) return (size_t)(at - s);
    return 0;
}

/* The file for port i: named for it, else one without a name. The last one wins. */
static const char *file_of(const Gather *g, int i)
{
    const char *anonymous = NULL;

    for (int k = g->o->input.n; k-- > 0;) {
        const char *s = g->o->input.item[k];
        size_t n = name_size(g, s);
        if (n && n == strlen(g->port[i].name) && memcmp(s, g->port[i].name, n) == 0)
            return s + n + 1;
        if (!n && !anonymous) anonymous = s;
    }
    return anonymous;
}

static bool serves_all(const char *file)
{
    return strcmp(file, "random") == 0 || str_ends(file, ".npz");
}

/* A file without a name can serve one input. */
static Status check_files(const Gather *g)
{
    for (int k = 0; k < g->o->input.n; k++) {
        const char *s = g->o->input.item[k];
        if (name_size(g, s) || serves_all(s)) continue;
        if (strchr(s, '=') && !path_exists(s))
            return diag(g->d, ERR_USAGE, (Where){0},
                        "--input %s: the model has no input of this name; ingot inspect lists them",
                        s);
        if (g->module->main->n_arg > 1)
            return diag(g->d, ERR_USAGE, (Where){0},
                        "which input is '%s' for? Say --input NAME=%s; ingot inspect lists them", s,
                        s);
    }
    return OK;
}

bool input_dim(void *context, Dim symbol, int64_t *value)
{
    const InputDims *x = context;
    const Region *r = x->module->main;

    for (int i = 0; i < r->n_arg; i++) {
        const Type *t = &r->arg[i]->type;
        if (!x->in[i].data || t->kind != TYPE_TENSOR || t->rank != x->in[i].rank) continue;
        for (int k = 0; k < t->rank; k++)
            if (t->dim[k] == symbol) {
                *value = x->in[i].dims[k];
                return true;
            }
    }
    return false;
}

static void want_dims(const Gather *g, int i, int64_t *dims)
{
    InputDims known = {g->module, g->in};
    const Type *t = &g->module->main->arg[i]->type;

    for (int k = 0; t->kind == TYPE_TENSOR && k < t->rank; k++) {
        dims[k] = g->source == INPUT_FILES ? -1 : 1;
        dim_eval(t->dim[k], input_dim, &known, &dims[k]);
    }
}

static Status read_file(const Gather *g, int i, const char *file)
{
    int64_t dims[INGOT_MAX_RANK];
    ingot_tensor_want want = {
        .port = &g->port[i], .dims = dims, .seed = (uint64_t)g->o->seed.value + (uint64_t)i};
    char why[600];
    int32_t code;

    want_dims(g, i, dims);
    code = ingot_tensor_read(file, &want, &g->in[i], why, sizeof why);
    if (code == INGOT_OK) return OK;
    return diag(g->d,
                code == INGOT_ERR_USAGE   ? ERR_USAGE
                : code == INGOT_ERR_LIMIT ? ERR_LIMIT
                                          : ERR_IO,
                (Where){0}, "%s", why);
}

/* The inputs' own folder of recorded data; NULL when there is none. */
static const char *recorded(const Gather *g, const char *model, int i)
{
    const char *folder = path_folder(g->o->arena, model);
    const char *path = arena_printf(g->o->arena, "%s/test_data_set_0/input_%d.pb", folder, i);

    return g->source == INPUT_TESTS && path_exists(path) ? path : NULL;
}

static Status gather(const Gather *g, const char *model)
{
    const int n = g->module->main->n_arg;

    TRY(check_files(g));
    for (int i = 0; i < n; i++) {
        const char *file = file_of(g, i);
        if (!file) file = recorded(g, model, i);
        if (file && strcmp(file, "random") != 0) TRY(read_file(g, i, file));
    }
    for (int i = 0; i < n; i++) {
        const char *file = file_of(g, i);
        if (g->in[i].data || g->port[i].optional) continue;
        if (!file && g->source == INPUT_FILES)
            return diag(
                g->d, ERR_USAGE, (Where){0},
                "input '%s' is missing: --input %s=FILE (.npy .npz .pb .png .pgm .txt .raw, "
                "or random)",
                g->port[i].name, g->port[i].name);
        TRY(read_file(g, i, "random"));
    }
    return OK;
}

Status inputs_read(const Options *o, const Module *m, const char *model, InputSource source,
                   ingot_tensor **in, Diag *d)
{
    Gather g = {.o = o, .module = m, .source = source, .d = d};
    const ingot_port *out;

    codegen_ports(m, o->arena, &g.port, &out);
    *in = g.in = ARENA_ARRAY(o->arena, ingot_tensor, m->main->n_arg);
    return gather(&g, model);
}

void inputs_free(const Module *m, ingot_tensor *in)
{
    for (int i = 0; in && i < m->main->n_arg; i++)
        ingot_tensor_free(&in[i]);
}
