/* artifact.c: compile, link as shared object, open: the one road of all commands that run code. */
#include "cli/artifact.h"

#include <errno.h>
#include <sys/stat.h>

#include "codegen/link/embedded.h"
#include "support/io.h"

static const Status of_runtime[] = {[INGOT_OK] = OK,
                                    [INGOT_ERR_USAGE] = ERR_USAGE,
                                    [INGOT_ERR_IO] = ERR_IO,
                                    [INGOT_ERR_LIMIT] = ERR_LIMIT,
                                    [INGOT_ERR_TARGET] = ERR_TARGET,
                                    [INGOT_ERR_DATA] = ERR_USAGE};

/* What the runtime says, as a status of the command: a value that an input may not have is a wrong
 * argument. */
static Status from_runtime(int32_t code)
{
    Status s;

    if (code < 0 || (size_t)code >= sizeof of_runtime / sizeof *of_runtime) return ERR_BUG;
    s = of_runtime[code];
    return code != INGOT_OK && s == OK ? ERR_BUG : s;
}

static Status open_library(Artifact *a, const char *path, const char *symbol, Arena *arena, Diag *d)
{
    const char *const names[] = {path, NULL};
    const DylibSymbol symbols[] = {
        {arena_printf(arena, "%s_model", symbol), (void **)&a->model, false},
        {"ingot_create_explained", (void **)&a->create, false},
        {"ingot_level", (void **)&a->level, false},
        {"ingot_run", (void **)&a->run, false},
        {"ingot_destroy", (void **)&a->destroy, false},
        {"ingot_error", (void **)&a->error, false},
        {"ingot_profile", (void **)&a->profile, false},
    };

    return dylib_open(names, symbols, sizeof symbols / sizeof *symbols, &a->library, d);
}

/* Printed kernels, without optimisation: nothing but what the text says. */
static Status compile_c(const Options *o, const char *folder, const char *name, CodeObject *out,
                        Diag *d)
{
    const char *source = arena_printf(o->arena, "%s/%s.c", folder, name);
    const char *object = arena_printf(o->arena, "%s/%s.o", folder, name);
    const char *include = arena_printf(o->arena, "-I%s", folder);
    const char *header = arena_printf(o->arena, "%s/ingot", folder);
    const char *const argv[] = {o->linker ? o->linker : "cc",
                                "-O0",
                                "-w",
                                "-fPIC",
                                "-fvisibility=hidden",
                                "-ffp-contract=off",
                                "-fno-math-errno",
                                include,
                                "-c",
                                source,
                                "-o",
                                object,
                                NULL};
    FileBytes bytes;
    char *said;
    int status;

    if (mkdir(header, 0700) != 0 && errno != EEXIST)
        return diag(d, ERR_IO, (Where){.file = header}, "cannot make this folder");
    TRY(file_write_all(path_join(o->arena, header, "ingot_rt.h"), 0600, ingot_embedded_header,
                       (size_t)ingot_embedded_header_size, d));
    TRY(file_write_all(source, 0600, o->c_source->s, o->c_source->n, d));
    TRY(process_run(argv, &status, &said, o->arena, d));
    if (status != 0)
        return diag(d, ERR_BUG, (Where){.node = name}, "printed C does not compile: %.600s", said);
    TRY(file_read(object, &bytes, d));
    *out = (CodeObject){name, arena_copy(o->arena, bytes.data, bytes.size), bytes.size};
    file_close(&bytes);
    return OK;
}

static Status link_and_open(const Options *o, Module *m, const char *folder, const char *name,
                            Artifact *out, Diag *d)
{
    const char *path = arena_printf(o->arena, "%s/%s.so", folder, name);
    const char *symbol = session_symbol(o->arena, path);
    CodeObject more;
    struct stat st;

    TRY(session_codegen(o, m, symbol, &out->code, d));
    if (o->c_source) TRY(compile_c(o, folder, name, &more, d));
    TRY(session_link_with(o, m, &out->code, symbol, "shared", path, o->c_source != NULL, &more, d));
    if (stat(path, &st) == 0) out->file_bytes = (int64_t)st.st_size;
    return open_library(out, path, symbol, o->arena, d);
}

Status artifact_open(const Options *o, Module *m, const char *folder, const char *name,
                     Artifact *out, Diag *d)
{
    TargetInfo target;

    *out = (Artifact){0};
    TRY(codegen_target(o->target, &target, d));
    if (!codegen_target_runs(&target))
        return diag(d, ERR_TARGET, (Where){0}, "this processor cannot run code for %s",
                    target.name);
    return link_and_open(o, m, folder, name, out, d);
}

void artifact_close(Artifact *a)
{
    dylib_close(a->library);
    *a = (Artifact){0};
}

Status artifact_create(const Artifact *a, int threads, ingot_instance **out, Diag *d)
{
    ingot_options options = {.threads = threads};
    char why[400];
    int32_t code = a->create(a->model, &options, out, why, sizeof why);

    if (code != INGOT_OK)
        return diag(d, from_runtime(code), (Where){0}, "the compiled model cannot start: %s", why);
    if (a->model->n_isa > 1)
        diag_note(d, (Where){0}, "runs the code for %s, one of: %s", a->level(*out),
                  a->model->target);
    return OK;
}

Status artifact_run(const Artifact *a, ingot_instance *i, const ingot_tensor *in, ingot_tensor *out,
                    Diag *d)
{
    int32_t code = a->run(i, in, out);

    if (code == INGOT_OK) return OK;
    return diag(d, from_runtime(code), (Where){0}, "%s", a->error(i));
}
