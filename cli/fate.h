/* fate.h: what became of a model's nodes: kernels, calls, or nothing, because they were folded. */
#ifndef INGOT_CLI_FATE_H
#define INGOT_CLI_FATE_H

#include "cli/cli.h"
#include "support/json.h"

typedef struct Fate {
    Arena *arena;
    Map node;  /* Origin of an operator node -> its name; the model's nodes */
    Map calls; /* the same -> set of CALL_BIT: what its lowering may call */
    Map used;  /* OpDef -> itself: of all nodes */
    int n_node;
} Fate;

/* Before the passes: remember the operators. */
Status fate_begin(Fate *f, Module *m, Arena *arena) MUST_USE;
/* After them: members of the JSON object that is open. */
Status fate_json(const Fate *f, Module *fused, Json *j) MUST_USE;

#endif
