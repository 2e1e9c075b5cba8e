/* normalize.c: the operators of this family. */
#include "ir/ops/family.h"

const OpDef normalize_ops[] = {{0}};
