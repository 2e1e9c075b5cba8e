/* contrib.c: the operators of this family. */
#include "ir/ops/family.h"

const OpDef contrib_ops[] = {{0}};
