/* link_codecs.c: the decoders of images. Each is a function of the runtime around a library; which
 * were found is said by cmake/codecs.cmake. References to them are weak, so that they must be asked
 * for by name. */
#include "codegen/link/embedded.h"
#include "codegen/link/link_impl.h"

const char *const link_codecs[] = {INGOT_CODECS NULL};
const char *const link_codec_libraries[] = {INGOT_CODEC_LIBRARIES NULL};

Status link_job_codecs(LinkJob *j)
{
    LinkFile codecs = {.name = "codecs.a",
                       .piece = {{ingot_embedded_codecs, (size_t)ingot_embedded_codecs_size}},
                       .n_pieces = 1};

    if (!j->in->codecs) return OK;
    for (int i = 0; link_codecs[i]; i++)
        link_job_arg(j, arena_printf(j->arena, "-Wl,-u,%s", link_codecs[i]));
    TRY(link_job_file(j, &codecs));
    for (int i = 0; link_codec_libraries[i]; i++)
        link_job_arg(j, link_codec_libraries[i]);
    return OK;
}
