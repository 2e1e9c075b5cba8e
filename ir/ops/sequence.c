/* sequence.c: the operators of this family. */
#include "ir/ops/family.h"

const OpDef sequence_ops[] = {{0}};
