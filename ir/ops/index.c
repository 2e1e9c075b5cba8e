/* index.c: the operators of this family. */
#include "ir/ops/family.h"

const OpDef index_ops[] = {{0}};
