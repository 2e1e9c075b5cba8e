/* shape.c: the operators of this family. */
#include "ir/ops/family.h"

const OpDef shape_ops[] = {{0}};
