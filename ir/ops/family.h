/* family.h: declares the tables of families.def. */
#ifndef INGOT_IR_OPS_FAMILY_H
#define INGOT_IR_OPS_FAMILY_H

#include "ir/op.h"

/* Parts of a row: IN({"X", T_FLOAT, "T"}), OUT(...), ATTRS(ATTR_I("axis", 0)). */
#define IN(...) .in = (const PortDef[]){__VA_ARGS__, {0}}
#define OUT(...) .out = (const PortDef[]){__VA_ARGS__, {0}}
#define ATTRS(...) .attr = (const AttrDef[]){__VA_ARGS__, {0}}

#define FAMILY(x) extern const OpDef x##_ops[];
#include "ir/ops/families.def"
#undef FAMILY

#endif
