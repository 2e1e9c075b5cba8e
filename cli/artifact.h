/* artifact.h: a model as the shared object that is shipped, opened in this process: what run, test,
 * check and bench look at. */
#ifndef INGOT_CLI_ARTIFACT_H
#define INGOT_CLI_ARTIFACT_H

#include "cli/cli.h"
#include "support/dylib.h"

typedef struct Artifact {
    const ingot_model *model;
    Code code;          /* what it was made of */
    int64_t file_bytes; /* of the shared object */
    int32_t (*create)(const ingot_model *model, const ingot_options *options, ingot_instance **out,
                      char *text, size_t size);
    const char *(*level)(const ingot_instance *m);
    int32_t (*run)(ingot_instance *m, const ingot_tensor *inputs, ingot_tensor *outputs);
    void (*destroy)(ingot_instance *m);
    const char *(*error)(const ingot_instance *m);
    void (*profile)(ingot_instance *m, int64_t *nanoseconds);
    Dylib *library;
} Artifact;

/* Code of the fused graph `m`, linked as a shared object into `folder` under a name of its own, and
 * opened. ERR_TARGET also when this machine cannot run it. artifact_close whatever the status. */
Status artifact_open(const Options *o, Module *m, const char *folder, const char *name,
                     Artifact *out, Diag *d) MUST_USE;
void artifact_close(Artifact *a);

/* One user of it. `threads`: 0 all cores. Notes which level runs, where there are several. */
Status artifact_create(const Artifact *a, int threads, ingot_instance **out, Diag *d) MUST_USE;
/* Outputs whose data is NULL are lent until the next run. */
Status artifact_run(const Artifact *a, ingot_instance *i, const ingot_tensor *in, ingot_tensor *out,
                    Diag *d) MUST_USE;

#endif
