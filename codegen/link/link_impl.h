/* link_impl.h: what the files of codegen/link share: a job for the spawned linker, and ar archives.
 */
#ifndef INGOT_CODEGEN_LINK_IMPL_H
#define INGOT_CODEGEN_LINK_IMPL_H

#include <stdbool.h>

#include "codegen/link/link.h"
#include "support/io.h"

/* One call of the linker: a temporary folder, and the argument list as it grows. */
typedef struct LinkJob {
    const LinkInput *in;
    Arena *arena;
    Diag *d;
    const char *folder;
    const char **argv;
    int n, cap;
    bool late; /* the weights are not for the linker: link_late.c */
} LinkJob;

/* Makes the artifact at `path`: `body` names what belongs to it and calls link_job_run. `late`
 * allows it to be called with j->late first, and again without when that does not succeed. */
Status link_job_do(const LinkInput *in, const char *path, bool late,
                   Status (*body)(LinkJob *j, const char *path), Diag *d) MUST_USE;
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

/* ---- weights that the linker leaves room for (link_late.c) ---- */

#define LINK_LATE ".ingot_weights" /* their section */

/* A linker script beside the linker's own. */
LinkFile link_late_script(void);
/* Writes to `to` the file that the linker made at file_temporary(to), with the weights in it. */
Status link_late_write(const LinkJob *j, FileWriter *to) MUST_USE;

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
