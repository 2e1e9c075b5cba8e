/* io.h: files. Reading copies, so that nobody can change or shorten what was read; writing goes to
 * a temporary name in the same folder, is synced, and renamed. */
#ifndef INGOT_SUPPORT_IO_H
#define INGOT_SUPPORT_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "support/diag.h"

/* A file's bytes, read-only, and this process's own: a file that shrinks or changes later does no
 * harm. */
typedef struct FileBytes {
    const uint8_t *data;
    size_t size;
    int mapped; /* anonymous pages or an unnamed copy, to be unmapped; else malloc'ed */
} FileBytes;

/* Follows symbolic links: for paths that the user typed. A directory, FIFO or device is an error;
 * "-" is standard input. */
Status file_read(const char *path, FileBytes *out, Diag *d) MUST_USE;
/* Read [offset, offset+length) of a regular file that lies below `folder`: no absolute path, no
 * "..", no symbolic link anywhere on the way, no device, offset and length within the file (length
 * < 0: to its end). The one opener of external data. `trusted`: links may be followed (the folder
 * was named by the user as --external-data). */
Status file_read_beneath(const char *folder, const char *relative, int64_t offset, int64_t length,
                         bool trusted, FileBytes *out, Diag *d) MUST_USE;
/* The memory of whole pages of [at, at + size) goes back to the system; they must not be read any
 * more. No effect where a file lies in memory that cannot be divided. */
void file_release(const FileBytes *f, size_t at, size_t size);
void file_close(FileBytes *f);

/* A file being written. Nothing is visible under `path` before file_commit succeeds. */
typedef struct FileWriter FileWriter;
Status file_create(const char *path, int mode, FileWriter **out, Diag *d) MUST_USE;
/* Errors go into the d of file_create; after one, all later calls fail too. */
Status file_write(FileWriter *w, const void *data, size_t size) MUST_USE;
/* Where the bytes stand until file_commit: another program may write that file, or a new one of
 * that name, instead of file_write. file_reopen afterwards takes what is there for what is to be
 * committed, with the mode of file_create. */
const char *file_temporary(const FileWriter *w);
Status file_reopen(FileWriter *w) MUST_USE;
/* fsync, rename, fsync the folder; frees w, also when it fails. */
Status file_commit(FileWriter *w) MUST_USE;
/* Removes the temporary and frees w; NULL is fine. */
void file_abandon(FileWriter *w);
Status file_write_all(const char *path, int mode, const void *data, size_t size, Diag *d) MUST_USE;

/* A private folder below $TMPDIR (or /tmp), removed with everything in it by folder_remove. */
Status folder_temporary(Arena *a, const char **out, Diag *d) MUST_USE;
void folder_remove(const char *path);
/* Names in a folder, sorted bytewise, without "." and "..". */
Status folder_list(Arena *a, const char *path, const char ***names, int *count, Diag *d) MUST_USE;
bool path_is_folder(const char *path);
bool path_exists(const char *path);
const char *path_join(Arena *a, const char *folder, const char *name);
const char *path_folder(Arena *a, const char *path); /* "." when it has none */
const char *path_name(const char *path);             /* after the last '/' */

/* Run argv[0] (searched in PATH) without a shell, with empty standard input. The first 64 KiB of
 * standard error are captured into *err, in `a`; with err NULL it is left as it is. *exit_status is
 * the program's, or 128 + the signal that ended it. ERR_TARGET when there is no such program. */
Status process_run(const char *const *argv, int *exit_status, char **err, Arena *a,
                   Diag *d) MUST_USE;

#endif
