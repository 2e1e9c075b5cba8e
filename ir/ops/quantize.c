/* quantize.c: the operators of this family. */
#include "ir/ops/family.h"

const OpDef quantize_ops[] = {{0}};
