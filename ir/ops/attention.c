/* attention.c: the operators of this family. */
#include "ir/ops/family.h"

const OpDef attention_ops[] = {{0}};
