/* loss.c: the operators of this family. */
#include "ir/ops/family.h"

const OpDef loss_ops[] = {{0}};
