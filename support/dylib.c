/* dylib.c: dlopen and a table of symbols. A slot is written only when the whole table can be
 * filled. */
#include "support/dylib.h"

#include <dlfcn.h>
#include <stdlib.h>

struct Dylib {
    void *handle;
};

static void *open_first(const char *const *names)
{
    for (; *names; names++) {
        void *handle = dlopen(*names, RTLD_NOW | RTLD_LOCAL);
        if (handle) return handle;
    }
    return NULL;
}

static Status check_symbols(void *handle, const char *name, const DylibSymbol *symbols, int count,
                            Diag *d)
{
    for (int i = 0; i < count; i++) {
        if (symbols[i].optional || dlsym(handle, symbols[i].name)) continue;
        return diag(d, ERR_TARGET, (Where){.file = name},
                    "the library has no symbol '%s': another version of it is needed",
                    symbols[i].name);
    }
    return OK;
}

Status dylib_open(const char *const *names, const DylibSymbol *symbols, int count, Dylib **out,
                  Diag *d)
{
    *out = NULL;
    void *handle = open_first(names);
    if (!handle) {
        return diag(d, ERR_TARGET, (Where){.file = names[0]},
                    "the library is not installed, or not where the loader looks");
    }
    Status status = check_symbols(handle, names[0], symbols, count, d);
    Dylib *l = status == OK ? malloc(sizeof *l) : NULL;
    if (!l) {
        dlclose(handle);
        return status != OK ? status : diag(d, ERR_LIMIT, (Where){0}, "out of memory");
    }
    l->handle = handle;
    for (int i = 0; i < count; i++) {
        *symbols[i].slot = dlsym(handle, symbols[i].name);
    }
    *out = l;
    return OK;
}

void dylib_close(Dylib *l)
{
    if (!l) return;
    dlclose(l->handle);
    free(l);
}
