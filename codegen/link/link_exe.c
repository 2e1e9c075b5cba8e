/* link_exe.c: a program of its own: the model, the driver (main, tensor files) and the runtime;
 * libc and libm remain shared. What the model does not need is dropped (--gc-sections). */
#include "codegen/link/embedded.h"
#include "codegen/link/link_impl.h"

static Status link_with(LinkJob *j, const char *path)
{
    LinkFile driver = {.name = "driver.a",
                       .piece = {{ingot_embedded_driver, (size_t)ingot_embedded_driver_size}},
                       .n_pieces = 1};
    LinkFile core = {.name = "core.a",
                     .piece = {{ingot_embedded_core, (size_t)ingot_embedded_core_size}},
                     .n_pieces = 1};

    link_job_arg(j, "-pie");
    TRY(link_job_model(j));
    TRY(link_job_file(j, &driver));
    TRY(link_job_file(j, &core));
    link_job_arg(j, arena_printf(j->arena, "-Wl,--defsym=ingot_main_model=%s_model", j->in->name));
    link_job_arg(j, "-Wl,--gc-sections");
    link_job_arg(j, "-Wl,--as-needed");
    link_job_arg(j, "-Wl,-z,noexecstack,-z,relro,-z,now,-z,noseparate-code");
    if (!j->in->keep_symbols) link_job_arg(j, "-s");
    TRY(link_job_codecs(j));
    link_job_arg(j, "-pthread");
    link_job_arg(j, "-lm");
    return link_job_run(j, path, 0755);
}

Status link_exe(const LinkInput *in, const char *path, Diag *d)
{
    return link_job_do(in, path, true, link_with, d);
}
