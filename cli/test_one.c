/* test_one.c: one model on its recorded inputs: through generated code, or through the evaluator.
 */
#include <string.h>
#include <sys/stat.h>

#include "cli/artifact.h"
#include "cli/draws.h"
#include "cli/fate.h"
#include "cli/tensors.h"
#include "cli/test.h"
#include "support/io.h"

typedef struct Trial {
    const Options *o;
    const Test *test;
    Module *module;
    Comparison how;
    bool draws;   /* some operator may draw random numbers */
    bool *random; /* [outputs] it does, in the first test set */
    Artifact artifact;
    ingot_instance *instance; /* NULL: the evaluator */
    Diag *d;
} Trial;

/* " of Conv" for the operator that the model names for a value; "" for an input. */
static const char *made_by(const Value *v, Arena *a)
{
    const Origin *o = v->def ? v->def->origin : NULL;

    return o && o->op ? arena_printf(a, " of %s", o->op) : "";
}

/* With the inputs of that set. */
static Status find_random(const Trial *t, const TestSet *set, bool **out)
{
    *out = ARENA_ARRAY(t->o->arena, bool, t->module->main->n_result);
    return t->draws ? draws_outputs(t->o, t->test->model, set->in, *out, t->d) : OK;
}

static Status compare_outputs(const Trial *t, const TestSet *set, const ingot_tensor *got)
{
    const char *why;
    bool *random;

    TRY(find_random(t, set, &random));
    for (int k = 0; k < set->n_want; k++) {
        Comparison how = t->how;
        how.types_only = random[k];
        if (!tensors_agree(&how, &got[k], &set->want[k], t->o->arena, &why))
            return diag(t->d, ERR_MISMATCH, (Where){0}, "%s: output '%s'%s: %s",
                        path_name(set->folder), t->module->output_name[k],
                        made_by(t->module->main->result[k], t->o->arena), why);
    }
    if (set->n_want == 0)
        return diag(t->d, ERR_IO, (Where){.file = set->folder}, "there is no output_0.pb");
    return OK;
}

static Status run_inputs(const Trial *t, const ingot_tensor *in, ingot_tensor *out)
{
    if (!t->instance) return evaluate(t->module, in, out, t->o->arena, t->d);
    return artifact_run(&t->artifact, t->instance, in, out, t->d);
}

static Status run_set(const Trial *t, TestSet *set, const char *folder)
{
    ingot_tensor *got = ARENA_ARRAY(t->o->arena, ingot_tensor, t->module->main->n_result);

    TRY(test_set_read(t->module, folder, t->o->arena, set, t->d));
    TRY(run_inputs(t, set->in, got));
    if (t->o->update) return test_set_write(folder, t->module, set->in, got, t->o->arena, t->d);
    return compare_outputs(t, set, got);
}

static Status run_sets(const Trial *t)
{
    const char **names;
    int n;

    TRY(test_sets(t->test->folder, t->o->arena, &names, &n, t->d));
    for (int i = 0; i < n; i++) {
        TestSet set;
        Status s = run_set(t, &set, path_join(t->o->arena, t->test->folder, names[i]));
        test_set_free(&set);
        TRY(s);
    }
    return OK;
}

/* Inputs and outputs first: what cannot be fed need not be compiled. */
static Status check_sets(Trial *t)
{
    const char **names;
    TestSet set;
    Status s;
    int n;

    TRY(test_sets(t->test->folder, t->o->arena, &names, &n, t->d));
    s = n ? test_set_read(t->module, path_join(t->o->arena, t->test->folder, names[0]), t->o->arena,
                          &set, t->d)
          : OK;
    if (n && s == OK) s = find_random(t, &set, &t->random);
    if (n) test_set_free(&set);
    return s;
}

static Status generate(Trial *t, const char *folder)
{
    if (mkdir(folder, 0700) != 0)
        return diag(t->d, ERR_IO, (Where){.file = folder}, "cannot make this folder");
    TRY(artifact_open(t->o, t->module, folder, "model", &t->artifact, t->d));
    return artifact_create(&t->artifact, t->o->threads.given ? (int)t->o->threads.value : 1,
                           &t->instance, t->d);
}

/* Names of the outputs that are random numbers, separated by commas. */
static const char *random_names(const Trial *t)
{
    Text names;

    text_init(&names, t->o->arena);
    for (int k = 0; t->random && k < t->module->main->n_result; k++)
        if (t->random[k]) text_f(&names, "%s%s", names.n ? ", " : "", t->module->output_name[k]);
    return names.n ? names.s : NULL;
}

static Status transform(Trial *t, Text *details)
{
    Fate fate;
    Json j;

    TRY(fate_begin(&fate, t->module, t->o->arena));
    TRY(session_fuse(t->o, t->module, t->d));
    if (!details) return OK;
    json_init(&j, details);
    json_object(&j);
    json_key(&j, "random"); /* outputs of which dtype and dims are compared, not values */
    json_array(&j);
    for (int k = 0; t->random && k < t->module->main->n_result; k++)
        if (t->random[k]) json_string(&j, t->module->output_name[k]);
    json_end_array(&j);
    TRY(fate_json(&fate, t->module, &j));
    json_end_object(&j);
    return OK;
}

static Status on_model(Trial *t, const char *folder, Text *details)
{
    TRY(comparison_read(t->test->folder, t->o->arena, &t->how, t->d));
    t->draws = draws_possible(t->module);
    TRY(check_sets(t));
    if (!t->o->eval) TRY(transform(t, details));
    if (!t->o->eval && !t->o->interpret) TRY(generate(t, folder));
    return run_sets(t);
}

Status test_run(const Options *o, const Test *test, const char *folder, Text *details,
                const char **random, Diag *d)
{
    Trial t = {.o = o, .test = test, .d = d};
    Loaded loaded;
    Status s = session_load(o, test->model, &loaded, d);

    t.module = loaded.module;
    if (s == OK) s = on_model(&t, folder, details);
    *random = s == OK ? random_names(&t) : NULL;
    if (t.instance) t.artifact.destroy(t.instance);
    artifact_close(&t.artifact);
    frontend_close(&loaded);
    return s;
}
