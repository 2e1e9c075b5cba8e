/* family.h: declares the tables of families.def. */
#ifndef INGOT_IR_OPS_FAMILY_H
#define INGOT_IR_OPS_FAMILY_H

#include "ir/op.h"

#define FAMILY(x) extern const OpDef x##_ops[];
#include "ir/ops/families.def"
#undef FAMILY

#endif
