/* recurrent.c: the operators of this family. */
#include "ir/ops/family.h"

const OpDef recurrent_ops[] = {{0}};
