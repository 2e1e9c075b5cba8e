/* scan.c: the operators of this family. */
#include "ir/ops/family.h"

const OpDef scan_ops[] = {{0}};
