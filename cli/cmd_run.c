/* cmd_run.c: `ingot run`: compile and run at once; outputs into files, a test set, or shown. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/artifact.h"
#include "cli/inputs.h"
#include "cli/tensors.h"
#include "runtime/rt_driver.h"
#include "support/io.h"

typedef struct Run {
    const Options *o;
    const char *model;
    Loaded loaded;
    Artifact artifact;
    ingot_instance *instance;
    ingot_tensor *in, *out;
    Diag *d;
} Run;

/* Which output "NAME=FILE" is for; -1 when there is none. *file is set. */
static int output_of(const Run *r, const char *s, const char **file)
{
    const ingot_model *m = r->artifact.model;

    for (int i = 0; i < m->n_outputs; i++) {
        size_t n = strlen(m->outputs[i].name);
        if (strncmp(s, m->outputs[i].name, n) == 0 && s[n] == '=') {
            *file = s + n + 1;
            return i;
        }
    }
    *file = s;
    return m->n_outputs == 1 && !strchr(s, '=') ? 0 : -1;
}

static Status write_outputs(const Run *r)
{
    char why[600];

    for (int k = 0; k < r->o->output.n; k++) {
        const char *file;
        int i = output_of(r, r->o->output.item[k], &file);
        if (i < 0)
            return diag(r->d, ERR_USAGE, (Where){0},
                        "--output %s: expected NAME=FILE with the name of an output; ingot inspect "
                        "lists them",
                        r->o->output.item[k]);
        if (ingot_tensor_write(file, &r->out[i], r->artifact.model->outputs[i].name, why,
                               sizeof why) != INGOT_OK)
            return diag(r->d, ERR_IO, (Where){0}, "%s", why);
    }
    return OK;
}

/* DIR/model.onnx and the next free DIR/test_data_set_N. */
static Status record(const Run *r)
{
    const char *folder = r->o->record, *copy = path_join(r->o->arena, folder, "model.onnx"), *set;
    int n = 0;

    if (mkdir(folder, 0777) != 0 && errno != EEXIST)
        return diag(r->d, ERR_IO, (Where){.file = folder}, "cannot make the folder: %s",
                    strerror(errno));
    if (!path_exists(copy))
        TRY(file_write_all(copy, 0644, r->loaded.bytes.data, r->loaded.bytes.size, r->d));
    do
        set = arena_printf(r->o->arena, "%s/test_data_set_%d", folder, n++);
    while (path_exists(set));
    return test_set_write(set, r->loaded.module, r->in, r->out, r->o->arena, r->d);
}

static Status show(const Run *r)
{
    RtDriver driver = {.model = r->artifact.model, .out = r->out, .top = r->o->top.value};

    if (r->o->top.given) return ingot_rt_print_top(&driver) == INGOT_OK ? OK : ERR_IO;
    for (int k = 0; k < driver.model->n_outputs && !r->o->output.n && !r->o->record; k++)
        ingot_rt_print_summary(&driver, k);
    return OK;
}

static Status run(Run *r, const char *folder)
{
    const Options *o = r->o;
    Module *m;

    TRY(session_load(o, r->model, &r->loaded, r->d));
    m = r->loaded.module;
    TRY(session_fuse(o, m, r->d));
    TRY(inputs_read(o, m, r->model, INPUT_FILES, &r->in, r->d));
    TRY(artifact_open(o, m, folder, "model", &r->artifact, r->d));
    TRY(artifact_create(&r->artifact, (int)o->threads.value, &r->instance, r->d));
    r->out = ARENA_ARRAY(o->arena, ingot_tensor, m->main->n_result);
    TRY(artifact_run(&r->artifact, r->instance, r->in, r->out, r->d));
    TRY(write_outputs(r));
    if (o->record) TRY(record(r));
    return show(r);
}

Status cmd_run(const Options *o, Diag *d)
{
    Run r = {.o = o, .model = o->argument.item[0], .d = d};
    const char *folder;
    Status s;

    if (o->top.given && o->top.value < 1)
        return diag(d, ERR_USAGE, (Where){0}, "--top takes a number of at least 1");
    TRY(folder_temporary(o->arena, &folder, d));
    s = run(&r, folder);
    if (r.instance) r.artifact.destroy(r.instance);
    artifact_close(&r.artifact);
    if (r.in) inputs_free(r.loaded.module, r.in);
    frontend_close(&r.loaded);
    folder_remove(folder);
    return s;
}
