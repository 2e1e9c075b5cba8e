/* reduce.c: the operators of this family. */
#include "ir/ops/family.h"

const OpDef reduce_ops[] = {{0}};
