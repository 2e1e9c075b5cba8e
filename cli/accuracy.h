/* accuracy.h: how far faster arithmetic (--math) is from exact results, and the choice of --math
 * auto. Inputs are those of --input, else the test set beside the model, else seeded random ones.
 */
#ifndef INGOT_CLI_ACCURACY_H
#define INGOT_CLI_ACCURACY_H

#include "cli/cli.h"

typedef struct Accuracy {
    const char *math;    /* what was measured */
    const char *against; /* "evaluator", "exact code" */
    const char *inputs;  /* "given", "seed 0" */
    double largest;      /* difference, over the largest magnitude of the same output; the worst
                          * output. Infinity: something that is no float, or NaN, differs */
    double rms;          /* likewise, of root mean squares */
    int outputs;
} Accuracy;

/* Whether --math asks for anything else than exact. */
bool accuracy_is_asked(const Options *o);
/* Of o->math, against code with exact arithmetic. */
Status accuracy_measure(const Options *o, const char *model, Accuracy *out, Diag *d) MUST_USE;
/* --math auto: the fastest arithmetic that keeps --tolerance against the evaluator (against exact
 * code where the evaluator would take minutes); out->math says which. Which one counts as faster is
 * fixed, not measured: the same input and options give the same artifact. */
Status accuracy_choose(const Options *o, const char *model, Accuracy *out, Diag *d) MUST_USE;

#endif
