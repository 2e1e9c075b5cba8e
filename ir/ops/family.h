/* family.h: declares the tables of families.def. */
#ifndef INGOT_IR_OPS_FAMILY_H
#define INGOT_IR_OPS_FAMILY_H

#include "ir/op.h"

/* Parts of a row: ROW_IN({"X", T_FLOAT, "T"}), ROW_OUT(...), ROW_ATTRS(ATTR_I("axis", 0)). */
#define ROW_IN(...)                                                                                \
    .in = (const PortDef[])                                                                        \
    {                                                                                              \
        __VA_ARGS__,                                                                               \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }
#define ROW_OUT(...)                                                                               \
    .out = (const PortDef[])                                                                       \
    {                                                                                              \
        __VA_ARGS__,                                                                               \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }
#define ROW_ATTRS(...)                                                                             \
    .attr = (const AttrDef[])                                                                      \
    {                                                                                              \
        __VA_ARGS__,                                                                               \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }

#define FAMILY(x) extern const OpDef x##_ops[];
#include "ir/ops/families.def"
#undef FAMILY

#endif
