/* pool.c: the operators of this family. */
#include "ir/ops/family.h"

const OpDef pool_ops[] = {{0}};
