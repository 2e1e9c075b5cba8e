/* elementwise.c: the operators of this family. */
#include "ir/ops/family.h"

const OpDef elementwise_ops[] = {{0}};
