/* signal.c: the operators of this family. */
#include "ir/ops/family.h"

const OpDef signal_ops[] = {{0}};
