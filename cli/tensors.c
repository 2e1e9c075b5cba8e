/* tensors.c: test sets in the ONNX layout, and the two forms of a tensor. */
#include "cli/tensors.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "codegen/codegen.h"
#include "ir/eval.h"
#include "support/io.h"

#define EVALUATOR_BYTES ((size_t)8 << 30) /* of one node's results */

static TypeKind kind_of_list(int32_t dtype)
{
    return dtype == INGOT_SEQUENCE ? TYPE_SEQUENCE : dtype == INGOT_MAP ? TYPE_MAP : TYPE_OPTIONAL;
}

static Tensor *list_of_runtime(Arena *a, const ingot_tensor *t)
{
    const ingot_tensor *item = t->data;
    Tensor *list = tensor_list(a, kind_of_list(t->dtype), 0, NULL);
    Tensor **to = ARENA_ARRAY(a, Tensor *, t->dims[0]);

    for (int64_t i = 0; i < t->dims[0]; i++)
        if (!(to[i] = tensor_of_runtime(a, &item[i]))) return NULL;
    list->count = list->dim[0] = t->dims[0];
    list->bytes = sizeof *to * (size_t)t->dims[0];
    list->data = to;
    return list;
}

Tensor *tensor_of_runtime(Arena *a, const ingot_tensor *t)
{
    DType dtype = dtype_from_onnx(t->dtype);

    if (ingot_tensor_is_list(t)) return list_of_runtime(a, t);
    if (dtype == DT_NONE || !t->data) return NULL;
    return tensor_wrap(a, dtype, t->rank, t->dims, t->data);
}

static ingot_tensor list_to_runtime(Arena *a, const Tensor *t)
{
    ingot_tensor *item = ARENA_ARRAY(a, ingot_tensor, t->count + 1);

    for (int64_t i = 0; i < t->count; i++)
        item[i] = tensor_to_runtime(a, tensor_items(t)[i]);
    return (ingot_tensor){.data = item,
                          .dtype = t->kind == TYPE_SEQUENCE ? INGOT_SEQUENCE
                                   : t->kind == TYPE_MAP    ? INGOT_MAP
                                                            : INGOT_OPTIONAL,
                          .rank = 1,
                          .dims = {t->count}};
}

ingot_tensor tensor_to_runtime(Arena *a, const Tensor *t)
{
    if (tensor_is_list(t)) return list_to_runtime(a, t);
    ingot_tensor r = {.data = t->data,
                      .capacity = (int64_t)t->bytes,
                      .dtype = dtype_onnx(t->dtype),
                      .rank = t->rank};

    for (int i = 0; i < t->rank; i++)
        r.dims[i] = t->dim[i];
    return r;
}

Status evaluate(const Module *m, const ingot_tensor *in, ingot_tensor *out, Arena *arena, Diag *d)
{
    EvalOptions options = {.memory_limit = EVALUATOR_BYTES};
    const Tensor **from = ARENA_ARRAY(arena, const Tensor *, m->main->n_arg);
    Tensor **to = ARENA_ARRAY(arena, Tensor *, m->main->n_result);

    for (int i = 0; i < m->main->n_arg; i++)
        from[i] = in[i].data ? tensor_of_runtime(arena, &in[i]) : NULL;
    TRY(eval_module(m, arena, &options, from, to, d));
    for (int i = 0; i < m->main->n_result; i++)
        out[i] = tensor_to_runtime(arena, to[i]);
    return OK;
}

/* ---- test sets ---- */

/* As it is recorded; what a list is made of only the port tells. */
static Status read_one(const char *path, const ingot_port *port, ingot_tensor *out, Diag *d)
{
    char why[512];
    ingot_tensor_want want = {.port = port->elem ? port : NULL};
    int32_t code = ingot_tensor_read(path, &want, out, why, sizeof why);

    if (code == INGOT_OK) return OK;
    return diag(d, code == INGOT_ERR_LIMIT ? ERR_LIMIT : ERR_IO, (Where){0}, "%s", why);
}

static const char *set_file(Arena *a, const char *folder, const char *kind, int k)
{
    return arena_printf(a, "%s/%s_%d.pb", folder, kind, k);
}

Status test_set_read(const Module *m, const char *folder, Arena *arena, TestSet *out, Diag *d)
{
    const Region *r = m->main;
    const ingot_port *in, *want;

    *out = (TestSet){.folder = folder};
    out->in = ARENA_ARRAY(arena, ingot_tensor, r->n_arg);
    out->want = ARENA_ARRAY(arena, ingot_tensor, r->n_result);
    codegen_ports(m, arena, &in, &want);
    for (out->n_in = 0; out->n_in < r->n_arg; out->n_in++) {
        const char *path = set_file(arena, folder, "input", out->n_in);
        if (path_exists(path)) TRY(read_one(path, &in[out->n_in], &out->in[out->n_in], d));
    }
    for (int k = 0; k < r->n_result; k++) {
        const char *path = set_file(arena, folder, "output", k);
        if (!path_exists(path)) break;
        TRY(read_one(path, &want[k], &out->want[k], d));
        out->n_want = k + 1;
    }
    return OK;
}

void test_set_free(TestSet *t)
{
    for (int i = 0; i < t->n_in; i++)
        ingot_tensor_free(&t->in[i]);
    for (int i = 0; i < t->n_want; i++)
        ingot_tensor_free(&t->want[i]);
    t->n_in = t->n_want = 0;
}

static Status write_one(const char *path, const ingot_tensor *t, const char *name, Diag *d)
{
    char why[512];

    if (ingot_tensor_write(path, t, name, why, sizeof why) == INGOT_OK) return OK;
    return diag(d, ERR_IO, (Where){0}, "%s", why);
}

Status test_set_write(const char *folder, const Module *m, const ingot_tensor *in,
                      const ingot_tensor *out, Arena *arena, Diag *d)
{
    const Region *r = m->main;

    if (mkdir(folder, 0777) != 0 && errno != EEXIST)
        return diag(d, ERR_IO, (Where){.file = folder}, "cannot make the folder: %s",
                    strerror(errno));
    for (int k = 0; k < r->n_arg; k++)
        if (in[k].data)
            TRY(write_one(set_file(arena, folder, "input", k), &in[k], r->arg[k]->name, d));
    for (int k = 0; k < r->n_result; k++)
        TRY(write_one(set_file(arena, folder, "output", k), &out[k], m->output_name[k], d));
    return OK;
}

#define SET_PREFIX "test_data_set_"

static int by_number(const void *a, const void *b)
{
    const char *x = *(const char *const *)a, *y = *(const char *const *)b;
    size_t m = strlen(x), n = strlen(y);

    if (m != n) return m < n ? -1 : 1;
    return strcmp(x, y);
}

Status test_sets(const char *folder, Arena *arena, const char ***names, int *count, Diag *d)
{
    int n;

    *count = 0;
    TRY(folder_list(arena, folder, names, &n, d));
    for (int i = 0; i < n; i++)
        if (str_starts((*names)[i], SET_PREFIX) &&
            path_is_folder(path_join(arena, folder, (*names)[i])))
            (*names)[(*count)++] = (*names)[i];
    if (*count) qsort(*names, (size_t)*count, sizeof **names, by_number);
    return OK;
}
