/* variant.h: one model compiled in one way, loaded, linked and ready to run: what `ingot check`
 * holds against each other. */
#ifndef INGOT_CLI_VARIANT_H
#define INGOT_CLI_VARIANT_H

#include "cli/artifact.h"
#include "ingot/ingot_tensor_io.h"

typedef struct Variant {
    Options o; /* with an arena of its own */
    const char *model;
    Loaded loaded;
    Artifact artifact;
    bool tensors; /* all intermediates are outputs too, behind the model's own */
    Diag *d;
} Variant;

/* The model as loaded, operators not touched. variant_close whatever the status. */
Status variant_load(const Options *base, const char *model, bool tensors, Variant *out,
                    Diag *d) MUST_USE;
/* Passes, code, link in `folder` under `name`. */
Status variant_make(Variant *v, const char *folder, const char *name) MUST_USE;
/* Runs it; out[n_result] are copies in `arena`. */
Status variant_run(const Variant *v, int threads, const ingot_tensor *in, ingot_tensor *out,
                   Arena *arena) MUST_USE;
void variant_close(Variant *v);
/* Tensors that copies in `arena` can hold. */
Status tensor_copy(const ingot_tensor *t, Arena *arena, ingot_tensor *out, Diag *d) MUST_USE;

#endif
