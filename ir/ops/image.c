/* image.c: the operators of this family. */
#include "ir/ops/family.h"

const OpDef image_ops[] = {{0}};
