/* conv.c: the operators of this family. */
#include "ir/ops/family.h"

const OpDef conv_ops[] = {{0}};
