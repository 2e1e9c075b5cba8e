/* cmd_pass.c: `ingot pass`: IR text in, one pass, IR text out. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "support/io.h"

void passes_list(void)
{
    for (const Pass *p = pass_pipeline; p->name; p++) {
        bool before = false;
        for (const Pass *q = pass_pipeline; q != p; q++)
            before = before || strcmp(q->name, p->name) == 0;
        if (!before)
            printf("%-10s %s%s\n", p->name, p->about, p->required ? " (cannot be skipped)" : "");
    }
}

static Status apply(const Options *o, Module *m, const char *name, Diag *d)
{
    TargetInfo target;
    PassOptions p;
    bool changed;

    TRY(session_passes(o, &target, &p, d));
    if (strcmp(name, "none") == 0) return OK;
    if (strcmp(name, "all") == 0) return pass_run_all(m, &p, d);
    TRY(pass_run_one(m, name, &p, &changed, d));
    if (!changed) diag_note(d, (Where){.node = name}, "nothing was changed");
    return OK;
}

static Status with_text(const Options *o, const char *name, const FileBytes *bytes,
                        const char *file, Diag *d)
{
    const char *text = arena_strndup(o->arena, (const char *)bytes->data, bytes->size);
    Module *m;
    Text out;

    if (strlen(text) != bytes->size)
        return diag(d, ERR_MODEL, (Where){.file = file}, "IR text holds no NUL bytes");
    TRY(graph_parse(o->arena, text, file, &m, d));
    TRY(apply(o, m, name, d));
    text_init(&out, o->arena);
    graph_print_data(m, &out);
    graph_print(m, &out);
    if (fwrite(out.s, 1, out.n, stdout) != out.n)
        return diag(d, ERR_IO, (Where){0}, "standard output could not be written");
    return OK;
}

Status cmd_pass(const Options *o, Diag *d)
{
    const char *file = o->argument.n > 1 ? o->argument.item[1] : "-";
    FileBytes bytes;
    Status s;

    if (o->list) {
        passes_list();
        return OK;
    }
    if (o->argument.n < 1)
        return diag(d, ERR_USAGE, (Where){0},
                    "usage: ingot pass NAME [FILE]; ingot pass --list names them");
    TRY(file_read(file, &bytes, d));
    s = with_text(o, o->argument.item[0], &bytes, file, d);
    file_close(&bytes);
    return s;
}
