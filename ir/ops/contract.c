/* contract.c: the operators of this family. */
#include "ir/ops/family.h"

const OpDef contract_ops[] = {{0}};
