/* link_lib.c: the model as shared library, static library, or one relocatable object.
 *
 * A shared library exports the model and the API, and binds its own calls to itself, so that two
 * models in one process, each with its runtime, do not meet. In a static library or an object, the
 * runtime's names are global but weak and begin with ingot_: several models can be linked into one
 * program, which then has one runtime. */
#include "codegen/link/embedded.h"
#include "codegen/link/link_impl.h"
#include "support/io.h"
#include "support/vec.h"

const char *const link_api[] = {
    "ingot_create",
    "ingot_run",
    "ingot_destroy",
    "ingot_error",
    "ingot_pool_create",
    "ingot_pool_destroy",
    "ingot_version",
    "ingot_profile",
    "ingot_level",
    "ingot_create_explained",
    NULL,
};

static LinkFile core_archive(void)
{
    return (LinkFile){.name = "core.a",
                      .piece = {{ingot_embedded_core, (size_t)ingot_embedded_core_size}},
                      .n_pieces = 1};
}

/* Archives give only what is asked for: ask for the API. */
static void ask_for_api(LinkJob *j)
{
    for (int i = 0; link_api[i]; i++)
        link_job_arg(j, arena_printf(j->arena, "-Wl,-u,%s", link_api[i]));
}

/* ---- shared ---- */

static Status write_exports(LinkJob *j)
{
    const char *path = path_join(j->arena, j->folder, "exports");
    Text t;

    text_init(&t, j->arena);
    text_f(&t, "{ global: %s_model;", j->in->name);
    for (int i = 0; link_api[i]; i++)
        text_f(&t, " %s;", link_api[i]);
    text_put(&t, " local: *; };\n");
    link_job_arg(j, arena_printf(j->arena, "-Wl,--version-script=%s", path));
    return file_write_all(path, 0600, t.s, t.n, j->d);
}

static Status shared_body(LinkJob *j, const char *path)
{
    LinkFile core = core_archive();

    link_job_arg(j, "-shared");
    link_job_arg(j, arena_printf(j->arena, "-Wl,-soname,%s", path_name(path)));
    TRY(write_exports(j));
    ask_for_api(j);
    TRY(link_job_model(j));
    TRY(link_job_file(j, &core));
    link_job_arg(j, "-Wl,-Bsymbolic,--gc-sections,--as-needed");
    link_job_arg(j, "-Wl,-z,defs,-z,noexecstack,-z,relro,-z,now");
    if (!j->in->keep_symbols) link_job_arg(j, "-s");
    TRY(link_job_codecs(j));
    link_job_arg(j, "-pthread");
    link_job_arg(j, "-lm");
    return link_job_run(j, path, 0755);
}

Status link_shared(const LinkInput *in, const char *path, Diag *d)
{
    return link_job_do(in, path, true, shared_body, d);
}

/* ---- one object ---- */

static LinkFile *weak_members(Arena *a, LinkBytes archive, int *n, int *cap, LinkFile *files)
{
    LinkFile f = {.n_pieces = 1};

    for (size_t at = 0; link_ar_next(archive, &at, &f.name, &f.piece[0], a);) {
        f.piece[0] = link_weaken(f.piece[0], a);
        VEC_PUSH(a, files, *n, *cap, f);
    }
    return files;
}

/* The members of the core, weak, and those of the decoders where they are needed. */
static LinkFile *weak_core(const LinkInput *in, Arena *a, int *n, int *cap, LinkFile *files)
{
    LinkBytes core = {ingot_embedded_core, (size_t)ingot_embedded_core_size};
    LinkBytes codecs = {ingot_embedded_codecs, (size_t)ingot_embedded_codecs_size};

    files = weak_members(a, core, n, cap, files);
    return in->codecs ? weak_members(a, codecs, n, cap, files) : files;
}

static Status object_body(LinkJob *j, const char *path)
{
    const char *core = path_join(j->arena, j->folder, "core.a");
    int n = 0, cap = 0;
    LinkFile *files = weak_core(j->in, j->arena, &n, &cap, NULL);

    TRY(link_ar_write(core, files, n, j->arena, j->d));
    link_job_arg(j, "-r");
    link_job_arg(j, "-nostdlib");
    for (int i = 0; j->in->codecs && link_codecs[i]; i++)
        link_job_arg(j, arena_printf(j->arena, "-Wl,-u,%s", link_codecs[i]));
    ask_for_api(j);
    TRY(link_job_model(j));
    link_job_arg(j, core);
    return link_job_run(j, path, 0644);
}

Status link_object(const LinkInput *in, const char *path, Diag *d)
{
    return link_job_do(in, path, false, object_body, d);
}

/* ---- static ---- */

static Status static_body(const LinkInput *in, const char *path, Arena *a, Diag *d)
{
    LinkFile *files = NULL;
    LinkFile f;
    int n = 0, cap = 0;

    for (int i = 0; i < in->n_objects; i++) {
        f = (LinkFile){.name = arena_printf(a, "%s_%d.o", in->name, i),
                       .piece = {in->objects[i]},
                       .n_pieces = 1};
        VEC_PUSH(a, files, n, cap, f);
    }
    files = weak_core(in, a, &n, &cap, files);
    if (in->weights.size) { /* last: what stands before it keeps small offsets */
        TRY(link_weights(in, false, a, &f, d));
        f.name = arena_printf(a, "%s_weights.o", in->name);
        VEC_PUSH(a, files, n, cap, f);
    }
    return link_ar_write(path, files, n, a, d);
}

Status link_static(const LinkInput *in, const char *path, Diag *d)
{
    Arena *a = arena_new(0);
    Status status =
        a ? static_body(in, path, a, d) : diag(d, ERR_LIMIT, (Where){0}, "no memory to link");

    arena_free(a);
    return status;
}
