/* cast.c: the operators of this family. */
#include "ir/ops/family.h"

const OpDef cast_ops[] = {{0}};
