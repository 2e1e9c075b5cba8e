/* artifact.c: compile, link as shared object, open: the one road of all commands that run code. */
#include "cli/artifact.h"

#include <sys/stat.h>

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
        {"ingot_create", (void **)&a->create, false},
        {"ingot_run", (void **)&a->run, false},
        {"ingot_destroy", (void **)&a->destroy, false},
        {"ingot_error", (void **)&a->error, false},
        {"ingot_profile", (void **)&a->profile, false},
    };

    return dylib_open(names, symbols, sizeof symbols / sizeof *symbols, &a->library, d);
}

Status artifact_open(const Options *o, Module *m, const char *folder, const char *name,
                     Artifact *out, Diag *d)
{
    const char *path = arena_printf(o->arena, "%s/%s.so", folder, name);
    const char *symbol = session_symbol(o->arena, path);
    TargetInfo target;
    struct stat st;

    *out = (Artifact){0};
    TRY(codegen_target(o->target, &target, d));
    if (!codegen_target_runs(&target))
        return diag(d, ERR_TARGET, (Where){0}, "this processor cannot run code for %s",
                    target.name);
    TRY(session_codegen(o, m, symbol, &out->code, d));
    TRY(session_link(o, m, &out->code, symbol, "shared", path, d));
    if (stat(path, &st) == 0) out->file_bytes = (int64_t)st.st_size;
    return open_library(out, path, symbol, o->arena, d);
}

void artifact_close(Artifact *a)
{
    dylib_close(a->library);
    *a = (Artifact){0};
}

Status artifact_create(const Artifact *a, int threads, ingot_instance **out, Diag *d)
{
    ingot_options options = {.threads = threads};
    int32_t code = a->create(a->model, &options, out);

    if (code == INGOT_OK) return OK;
    return diag(d, from_runtime(code), (Where){0}, "the compiled model cannot start: %s",
                code == INGOT_ERR_LIMIT ? "out of memory" : "it does not fit this processor");
}

Status artifact_run(const Artifact *a, ingot_instance *i, const ingot_tensor *in, ingot_tensor *out,
                    Diag *d)
{
    int32_t code = a->run(i, in, out);

    if (code == INGOT_OK) return OK;
    return diag(d, from_runtime(code), (Where){0}, "%s", a->error(i));
}
