/* link_impl.h: what the files of codegen/link share: a job for the spawned linker, and ar archives.
 */
#ifndef INGOT_CODEGEN_LINK_IMPL_H
#define INGOT_CODEGEN_LINK_IMPL_H

#include <stdbool.h>

#include "codegen/link/link.h"

/* One call of the linker: a temporary folder, and the argument list as it grows. */
typedef struct LinkJob {
    const LinkInput *in;
    Arena *arena;
    Diag *d;
    const char *folder;
    const char **argv;
    int n, cap;
} LinkJob;

/* Opens the folder, begins argv with the linker. link_job_close afterwards, whatever the status. */
Status link_job_open(LinkJob *j, const LinkInput *in, Diag *d) MUST_USE;
void link_job_close(LinkJob *j);
void link_job_arg(LinkJob *j, const char *argument);
/* Writes the file into the folder and names it in argv. */
Status link_job_file(LinkJob *j, const LinkFile *f) MUST_USE;
/* The decoders of images and their libraries, where the model needs them. */
Status link_job_codecs(LinkJob *j) MUST_USE;
/* The decoders that there are, and the libraries behind them as arguments of the linker; NULL at
 * the end of each. */
extern const char *const link_codecs[], *const link_codec_libraries[];
/* The model's objects and its weights. */
Status link_job_model(LinkJob *j) MUST_USE;
/* Runs the linker and moves what it made to `path`. */
Status link_job_run(LinkJob *j, const char *path, int mode) MUST_USE;

/* Functions that applications call; NULL at the end. A test looks for each in a shared library. */
extern const char *const link_api[];

/* Members of an archive in memory: start with *at = 0. False at the end, or when it is malformed.
 */
bool link_ar_next(LinkBytes archive, size_t *at, const char **name, LinkBytes *member, Arena *a);
/* A copy of the ELF object in which all global symbols that it defines are weak: of several that
 * are linked together, the first counts. */
LinkBytes link_weaken(LinkBytes object, Arena *a);
/* Write an archive with a symbol table; no times, owners or modes. */
Status link_ar_write(const char *path, const LinkFile *files, int count, Arena *a,
                     Diag *d) MUST_USE;

#endif
