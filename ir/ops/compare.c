/* compare.c: the operators of this family. */
#include "ir/ops/family.h"

const OpDef compare_ops[] = {{0}};
