/* random.c: the operators of this family. */
#include "ir/ops/family.h"

const OpDef random_ops[] = {{0}};
