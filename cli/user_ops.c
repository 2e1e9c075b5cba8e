/* user_ops.c: --op DOMAIN:NAME=OBJECT: operators that the user brings along, for the frontend to
 * know and the linker to take in. */
#include <elf.h>
#include <string.h>

#include "cli/cli.h"

static bool is_identifier(const char *s)
{
    if (!*s || (*s >= '0' && *s <= '9')) return false;
    for (; *s; s++)
        if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9') ||
              *s == '_'))
            return false;
    return true;
}

static Status split(const Options *o, const char *s, FrontendOp *op, const char **file, Diag *d)
{
    const char *equal = strchr(s, '='), *colon = NULL;

    for (const char *c = s; equal && c < equal; c++)
        if (*c == ':') colon = c;
    if (colon && colon != s && equal[1]) {
        op->domain = arena_strndup(o->arena, s, (size_t)(colon - s));
        op->name = arena_strndup(o->arena, colon + 1, (size_t)(equal - colon - 1));
        *file = equal + 1;
        if (is_identifier(op->name)) return OK;
    }
    return diag(d, ERR_USAGE, (Where){0},
                "--op takes DOMAIN:NAME=OBJECT.o, with a NAME of letters, digits and _, not '%s'",
                s);
}

Status user_ops_known(const Options *o, FrontendOptions *out, Diag *d)
{
    FrontendOp *op = ARENA_ARRAY(o->arena, FrontendOp, o->op.n);
    const char *file;

    for (int i = 0; i < o->op.n; i++)
        TRY(split(o, o->op.item[i], &op[i], &file, d));
    out->op = op;
    out->n_op = o->op.n;
    return OK;
}

static bool is_object(const FileBytes *b)
{
    Elf64_Ehdr h;

    if (b->size < sizeof h) return false;
    memcpy(&h, b->data, sizeof h);
    return memcmp(h.e_ident, ELFMAG, SELFMAG) == 0 && h.e_ident[EI_CLASS] == ELFCLASS64 &&
           h.e_type == ET_REL && h.e_machine == EM_X86_64;
}

static Status read_object(const Options *o, const char *file, CodeObject *out, Diag *d)
{
    FileBytes bytes;
    void *copy;

    TRY(file_read(file, &bytes, d));
    if (!is_object(&bytes)) {
        file_close(&bytes);
        return diag(d, ERR_USAGE, (Where){.file = file},
                    "--op: found no relocatable object for x86-64, expected one as `cc -O2 -fPIC "
                    "-c` writes it");
    }
    copy = arena_try(o->arena, bytes.size, 1);
    if (copy) memcpy(copy, bytes.data, bytes.size);
    *out = (CodeObject){file, copy, bytes.size};
    file_close(&bytes);
    return copy ? OK : diag(d, ERR_LIMIT, (Where){.file = file}, "out of memory");
}

Status user_ops_objects(const Options *o, CodeObject *out, int *n, Diag *d)
{
    *n = 0;
    for (int i = 0; i < o->op.n; i++) {
        FrontendOp op;
        const char *file;
        bool there = false;
        TRY(split(o, o->op.item[i], &op, &file, d));
        for (int k = 0; k < *n; k++)
            there |= strcmp(out[k].name, file) == 0;
        if (there) continue;
        TRY(read_object(o, file, &out[*n], d));
        (*n)++;
    }
    return OK;
}
