/* inputs.h: what run, check and bench feed a model with: files that the user names, the test set
 * beside the model, or seeded random values. */
#ifndef INGOT_CLI_INPUTS_H
#define INGOT_CLI_INPUTS_H

#include "cli/cli.h"
#include "ingot/ingot_tensor_io.h"

typedef enum InputSource {
    INPUT_FILES,  /* --input for each one that is needed */
    INPUT_RANDOM, /* what --input does not name is random; open dims are 1 */
    INPUT_TESTS   /* the same, but with test_data_set_0 of the model's folder where there is one */
} InputSource;

/* in[main->n_arg], data NULL where an optional one is left out. Free with inputs_free, whatever
 * the status. */
Status inputs_read(const Options *o, const Module *m, const char *model, InputSource source,
                   ingot_tensor **in, Diag *d) MUST_USE;
void inputs_free(const Module *m, ingot_tensor *in);

/* Values of symbols that dims of inputs give; for dim_eval. */
typedef struct InputDims {
    const Module *module;
    const ingot_tensor *in;
} InputDims;
bool input_dim(void *context, Dim symbol, int64_t *value);

#endif
