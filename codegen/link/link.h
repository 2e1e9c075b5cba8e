/* link.h: objects and weights in, artifacts out: executable, shared and static library, relocatable
 * object, header.
 *
 * The system's C compiler driver is spawned for what a linker must do (argv, no shell); the static
 * library, the weights and the header are written here, byte by byte. Artifacts hold no path, no
 * time and no build id: the same input gives the same bytes in any folder. Each appears under its
 * name when it is whole, or not at all.
 *
 * What the objects must define: NAME_model, a `const ingot_model` (global, default visibility).
 * What they may refer to: NAME_weights, and the functions of ingot_rt.h. All their other symbols
 * should be local or hidden. Code is position independent. Weights above LINK_LARGE bytes go into a
 * section of large data, out of reach of 32-bit offsets: take their address through a pointer or
 * the GOT, not by a 32-bit PC-relative relocation. In executables and shared libraries, weights of
 * LINK_LATE_MIN bytes or more stand behind all else, in a segment of their own. */
#ifndef INGOT_CODEGEN_LINK_H
#define INGOT_CODEGEN_LINK_H

#include "codegen/weights.h"
#include "ingot/ingot_rt.h"
#include "support/diag.h"
#include "support/str.h"

#define LINK_LARGE    ((size_t)1 << 30)
#define LINK_LATE_MIN ((size_t)4 << 20)

typedef struct LinkBytes {
    const void *data;
    size_t size;
} LinkBytes;

typedef struct LinkInput {
    const char *name;         /* prefix of symbols: a C identifier (link_identifier makes one) */
    const LinkBytes *objects; /* [n_objects] ELF relocatables, in this order in the artifact */
    int n_objects;
    Weights weights;                    /* size 0: none, and no symbol */
    const ingot_port *inputs, *outputs; /* for the header only */
    int n_inputs, n_outputs;
    const char *target; /* for the header's comment: "x86-64-v4" */
    int64_t arena_size; /* for the header; -1: not known before run time */
    bool codecs;        /* decoders of images, and their libraries, belong to it */
    const char *linker; /* compiler driver to spawn; NULL: "cc" */
    bool keep_symbols;  /* do not strip; for profilers and debuggers */
} LinkInput;

/* Each writes `path`. ERR_TARGET: no linker, or it failed (its words are in the message); ERR_IO:
 * files. */
Status link_exe(const LinkInput *in, const char *path, Diag *d) MUST_USE;
/* Exports NAME_model and the functions of ingot_rt.h that applications call, nothing else. */
Status link_shared(const LinkInput *in, const char *path, Diag *d) MUST_USE;
/* The model's objects, its weights and the runtime; needs -lm (and -pthread) where it is used. No
 * linker is spawned. */
Status link_static(const LinkInput *in, const char *path, Diag *d) MUST_USE;
/* One relocatable object with all that is in the static library; several of them can be linked
 * together. */
Status link_object(const LinkInput *in, const char *path, Diag *d) MUST_USE;
/* A C and C++ header that needs no other: ingot_rt.h, and typed structs and functions for this
 * model. */
Status link_header(const LinkInput *in, const char *path, Diag *d) MUST_USE;

/* `text` as C identifier: other characters become '_'; never empty, and begins neither with a digit
 * nor with `ingot`, whose names are the runtime's. */
const char *link_identifier(Arena *a, const char *text);

/* ---- between the files of this folder ---- */

/* A file in pieces; one without data is the weights, which are never gathered. */
typedef struct LinkFile {
    const char *name;
    LinkBytes piece[3];
    int n_pieces;
    const Weights *weights;
} LinkFile;

typedef Status (*LinkPut)(void *context, const void *data, size_t size);

/* Gives the file's bytes to `put`, in order. */
Status link_file_write(const LinkFile *f, LinkPut put, void *context, Diag *d) MUST_USE;

/* The ELF object that defines NAME_weights, read-only and hidden. late: only their size, for
 * link_late_write (link_impl.h). */
Status link_weights(const LinkInput *in, bool late, Arena *a, LinkFile *out, Diag *d) MUST_USE;
/* The header's text. */
void link_header_text(const LinkInput *in, Text *t);

#endif
