/* draws.h: which outputs of a model are random numbers. A recording says nothing of their values:
 * `ingot test` compares dtype and dims of these alone, and tells so. */
#ifndef INGOT_CLI_DRAWS_H
#define INGOT_CLI_DRAWS_H

#include "cli/cli.h"
#include "ingot/ingot_rt.h"

/* `m` (as loaded, before any pass) has an operator that may draw. */
bool draws_possible(Module *m);
/* out[k]: output k of the model in the file `model` depends on a draw, with inputs `in` (NULL: any
 * inputs). What a scalar input decides, such as a Dropout's training_mode, is taken from `in`. */
Status draws_outputs(const Options *o, const char *model, const ingot_tensor *in, bool *out,
                     Diag *d) MUST_USE;

#endif
