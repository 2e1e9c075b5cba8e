/* trees.c: the operators of this family. */
#include "ir/ops/family.h"

const OpDef trees_ops[] = {{0}};
