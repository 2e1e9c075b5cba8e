/* nest_impl.h: between the files that build a Nest. */
#ifndef INGOT_CODEGEN_NEST_IMPL_H
#define INGOT_CODEGEN_NEST_IMPL_H

#include "codegen/nest.h"

/* Addresses of everything in the stage, and which indices are named outside addresses. */
void nest_addresses(Nest *n, int stage, bool *bare);
/* Order of nesting, vectors and tasks, once loops are merged. */
void nest_plan(Nest *n);
Dim nest_inner_size(Nest *n, const Stage *s); /* elements of a local */

#endif
