/* dylib.h: a shared library opened at run time, with a table of the symbols wanted. */
#ifndef INGOT_SUPPORT_DYLIB_H
#define INGOT_SUPPORT_DYLIB_H

#include <stdbool.h>

#include "support/diag.h"

typedef struct Dylib Dylib;
typedef struct DylibSymbol {
    const char *name;
    void **slot;
    bool optional;
} DylibSymbol;

/* Open the first of `names` (NULL-terminated) that exists and fill all slots. ERR_TARGET when there
 * is none, or a needed symbol is missing. */
Status dylib_open(const char *const *names, const DylibSymbol *symbols, int count, Dylib **out,
                  Diag *d) MUST_USE;
void dylib_close(Dylib *l);

#endif
