/* control.c: the operators of this family. */
#include "ir/ops/family.h"

const OpDef control_ops[] = {{0}};
