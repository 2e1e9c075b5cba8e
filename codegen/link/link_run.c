/* link_run.c: a call of the system's linker: files into a private folder, argv, and the result out
 * of it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "codegen/link/link_impl.h"
#include "support/io.h"
#include "support/vec.h"

const char *link_identifier(Arena *a, const char *text)
{
    bool digit = *text >= '0' && *text <= '9';
    char *s =
        arena_printf(a, "%s%s", digit || !*text || str_starts(text, "ingot") ? "m_" : "", text);

    for (char *p = s; *p; p++) {
        bool good = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
                    (*p >= '0' && *p <= '9') || *p == '_';
        if (!good) *p = '_';
    }
    return s;
}

static Status attempt(const LinkInput *in, const char *path, bool late,
                      Status (*body)(LinkJob *j, const char *path), Diag *d)
{
    LinkJob j = {.in = in, .d = d, .arena = arena_new(0), .late = late};
    Status status;

    if (!j.arena) return diag(d, ERR_LIMIT, (Where){0}, "no memory to link");
    link_job_arg(&j, in->linker ? in->linker : "cc");
    status = folder_temporary(j.arena, &j.folder, d);
    if (status == OK) status = body(&j, path);
    if (j.folder) folder_remove(j.folder);
    arena_free(j.arena);
    return status;
}

Status link_job_do(const LinkInput *in, const char *path, bool late,
                   Status (*body)(LinkJob *j, const char *path), Diag *d)
{
    Diag quiet; /* what is wrong is said by the attempt that counts */
    Arena *a = late && in->weights.size >= LINK_LATE_MIN ? arena_new(0) : NULL;
    Status status = ERR_TARGET;

    if (a) {
        diag_init(&quiet, a);
        status = attempt(in, path, true, body, &quiet);
        arena_free(a);
    }
    return status == OK ? OK : attempt(in, path, false, body, d);
}

void link_job_arg(LinkJob *j, const char *argument)
{
    VEC_PUSH(j->arena, j->argv, j->n, j->cap, argument);
}

typedef struct Output {
    FILE *file;
    const char *path;
    Diag *d;
} Output;

static Status cannot_write(const char *path, Diag *d)
{
    return diag(d, ERR_IO, (Where){.file = path}, "cannot be written: %s", strerror(errno));
}

static Status put_output(void *context, const void *data, size_t size)
{
    const Output *o = context;

    return fwrite(data, 1, size, o->file) == size ? OK : cannot_write(o->path, o->d);
}

/* Neither synced nor renamed, unlike what users see: the folder is gone in a moment. */
static Status write_pieces(const char *path, const LinkFile *f, Diag *d)
{
    Output o = {fopen(path, "wbe"), path, d};
    Status s;

    if (!o.file) return cannot_write(path, d);
    s = link_file_write(f, put_output, &o, d);
    if (fclose(o.file) != 0 && s == OK) s = cannot_write(path, d);
    return s;
}

Status link_job_file(LinkJob *j, const LinkFile *f)
{
    const char *path = path_join(j->arena, j->folder, f->name);

    TRY(write_pieces(path, f, j->d));
    link_job_arg(j, path);
    return OK;
}

Status link_job_model(LinkJob *j)
{
    LinkFile weights;

    for (int i = 0; i < j->in->n_objects; i++) {
        LinkFile f = {.name = arena_printf(j->arena, "model%d.o", i),
                      .piece = {j->in->objects[i]},
                      .n_pieces = 1};
        TRY(link_job_file(j, &f));
    }
    if (!j->in->weights.size) return OK;
    TRY(link_weights(j->in, j->late, j->arena, &weights, j->d));
    return link_job_file(j, &weights);
}

/* What the linker said, without the rest of a long list. */
static Status linker_failed(LinkJob *j, int exit_status, char *said)
{
    size_t n = said ? strlen(said) : 0;

    if (n > 2000) said[2000] = 0;
    while (n > 0 && n <= 2000 && said[n - 1] == '\n')
        said[--n] = 0;
    return diag(j->d, ERR_TARGET, (Where){.file = j->argv[0]}, "linking failed with status %d:\n%s",
                exit_status, n ? said : "(it said nothing)");
}

static Status late_script(LinkJob *j)
{
    LinkFile script = link_late_script();
    const char *path = path_join(j->arena, j->folder, script.name);

    link_job_arg(j, arena_printf(j->arena, "-Wl,-T,%s", path));
    return write_pieces(path, &script, j->d);
}

/* Runs the linker, which writes the artifact where it is to stand, under its temporary name: it
 * holds the weights, and is not to be copied. */
static Status run_linker(LinkJob *j, FileWriter *to)
{
    char *said = NULL;
    int exit_status;

    if (j->late) TRY(late_script(j));
    link_job_arg(j, "-Wl,--build-id=none");
    link_job_arg(j, "-o");
    link_job_arg(j, file_temporary(to));
    link_job_arg(j, NULL);
    if (!arena_ok(j->arena)) return diag(j->d, ERR_LIMIT, (Where){0}, "no memory to link");
    TRY(process_run(j->argv, &exit_status, &said, j->arena, j->d));
    if (exit_status != 0) return linker_failed(j, exit_status, said);
    return j->late ? link_late_write(j, to) : file_reopen(to);
}

Status link_job_run(LinkJob *j, const char *path, int mode)
{
    FileWriter *to = NULL;
    Status status;

    TRY(file_create(path, mode, &to, j->d));
    status = run_linker(j, to);
    if (status == OK) return file_commit(to);
    file_abandon(to);
    return status;
}
