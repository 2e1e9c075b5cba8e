/* rearrange.c: the operators of this family. */
#include "ir/ops/family.h"

const OpDef rearrange_ops[] = {{0}};
