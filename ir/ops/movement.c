/* movement.c: the operators of this family. */
#include "ir/ops/family.h"

const OpDef movement_ops[] = {{0}};
