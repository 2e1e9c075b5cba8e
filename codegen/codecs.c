/* codecs.c: does a model call what is not in the core of the runtime? */
#include <string.h>

#include "codegen/codegen.h"

static Status look(void *context, Node *n)
{
    bool *found = context;

    *found |= n->kind == NODE_CALL && strcmp(n->call->name, "image_decode") == 0;
    return OK;
}

bool codegen_needs_codecs(const Module *m)
{
    bool found = false;

    return module_visit((Module *)(uintptr_t)m, look, &found) == OK && found;
}
