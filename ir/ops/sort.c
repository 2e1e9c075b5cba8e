/* sort.c: the operators of this family. */
#include "ir/ops/family.h"

const OpDef sort_ops[] = {{0}};
