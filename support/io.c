/* io.c: reading and writing files.
 *
 * Reading copies. A mapping of a file that somebody shortens ends in SIGBUS at the next access, and
 * no check beforehand can prevent that; a file that somebody rewrites changes under the parser's
 * eyes. So bytes are read once into anonymous memory, and nobody else can touch them. The cost is
 * what a mapping would show as resident too. Files so large that memory may not hold them
 * (COPY_MAX, or a quarter of the machine's) are copied to an unnamed file instead, which nobody can
 * open, and that is mapped.
 *
 * Writing goes to a temporary name in the same folder, which appears under its own name when all of
 * it is on the disk. */
#include "support/io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/checked.h"

#define SMALL_MAX ((size_t)64 << 10) /* malloc'ed, not mapped */
#ifdef INGOT_HOSTILE
#define COPY_MAX ((size_t)1 << 20)
#else
#define COPY_MAX ((size_t)8 << 30)
#endif
#define STREAM_MAX ((size_t)16 << 30) /* standard input */
#define READ_MAX   ((size_t)1 << 30)  /* one call of read or write */

static Status io_error(Diag *d, const char *path, const char *what)
{
    return diag(d, ERR_IO, (Where){.file = path}, "%s: %s", what, strerror(errno));
}

/* ---- reading ---- */

static size_t copy_bound(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    size_t bytes;

    if (pages <= 0 || page <= 0 || !checked_mul((size_t)pages, (size_t)page, &bytes))
        return COPY_MAX;
    return bytes / 4 < COPY_MAX ? bytes / 4 : COPY_MAX;
}

/* Memory for `size` bytes as FileBytes; f->data is NULL without memory. */
static uint8_t *bytes_alloc(FileBytes *f, size_t size)
{
    *f = (FileBytes){.size = size, .mapped = size > SMALL_MAX};
    uint8_t *p;
    if (f->mapped) {
        p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED) p = NULL;
    } else {
        p = malloc(size ? size : 1);
    }
    f->data = p;
    return p;
}

/* Read exactly `size` bytes from `offset`; 1 = done, 0 = the file ends before, -1 = errno. */
static int read_exactly(int fd, uint8_t *to, size_t size, off_t offset)
{
    while (size > 0) {
        ssize_t n = pread(fd, to, size < READ_MAX ? size : READ_MAX, offset);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return (int)n;
        to += n;
        size -= (size_t)n;
        offset += n;
    }
    return 1;
}

static Status shrank(Diag *d, const char *path)
{
    return diag(d, ERR_IO, (Where){.file = path}, "the file became shorter while it was read");
}

static Status read_to_memory(int fd, const char *path, off_t offset, size_t size, FileBytes *out,
                             Diag *d)
{
    uint8_t *p = bytes_alloc(out, size);

    if (!p) {
        return diag(d, ERR_LIMIT, (Where){.file = path}, "no memory for its %zu bytes", size);
    }
    int got = read_exactly(fd, p, size, offset);
    if (got == 1) {
        if (out->mapped) mprotect(p, size, PROT_READ);
        return OK;
    }
    Status status = got == 0 ? shrank(d, path) : io_error(d, path, "cannot read");
    file_close(out);
    return status;
}

/* A file without a name that only this process can reach. */
static int open_unnamed(void)
{
    const char *folder = getenv("TMPDIR");
    return open(folder && *folder ? folder : "/tmp", O_TMPFILE | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
}

/* Copy to `to`, whose blocks are allocated first: a hole that the disk cannot fill would be a
 * SIGBUS again. */
static int copy_range(int from, off_t offset, int to, size_t size)
{
    enum { STEP = 1 << 20 };
    size_t done = 0;
    int got = posix_fallocate(to, 0, (off_t)size);
    uint8_t *step = got == 0 ? malloc(STEP) : NULL;

    if (got != 0) errno = got;
    if (!step) return -1;
    for (got = 1; got == 1 && done < size;) {
        size_t n = size - done < STEP ? size - done : STEP;
        ssize_t put = 0;
        got = read_exactly(from, step, n, offset + (off_t)done);
        if (got == 1) put = pwrite(to, step, n, (off_t)done);
        if (put < 0 && errno != EINTR) got = -1;
        if (put > 0) done += (size_t)put;
    }
    free(step);
    return got;
}

static Status read_to_unnamed(int fd, const char *path, off_t offset, size_t size, FileBytes *out,
                              Diag *d)
{
    Status status = OK;
    int copy = open_unnamed();

    if (copy < 0) return io_error(d, path, "cannot make a temporary copy of this large file");
    int got = copy_range(fd, offset, copy, size);
    if (got == 1) {
        void *p = mmap(NULL, size, PROT_READ, MAP_PRIVATE, copy, 0);
        if (p == MAP_FAILED)
            status = io_error(d, path, "cannot map a temporary copy");
        else
            *out = (FileBytes){p, size, 1};
    } else {
        status = got == 0 ? shrank(d, path) : io_error(d, path, "cannot make a temporary copy");
    }
    close(copy);
    return status;
}

static Status read_part(int fd, const char *path, off_t offset, size_t size, FileBytes *out,
                        Diag *d)
{
    if (size > copy_bound()) return read_to_unnamed(fd, path, offset, size, out, d);
    return read_to_memory(fd, path, offset, size, out, d);
}

/* The size of a regular file; anything else is an error. */
static Status regular_size(int fd, const char *path, size_t *size, Diag *d)
{
    struct stat st;

    if (fstat(fd, &st) != 0) return io_error(d, path, "cannot stat");
    if (!S_ISREG(st.st_mode)) {
        return diag(d, ERR_IO, (Where){.file = path}, "is a %s, must be a regular file",
                    S_ISDIR(st.st_mode) ? "folder" : "device, pipe or socket");
    }
    *size = (size_t)st.st_size;
    return OK;
}

/* Standard input, to its end. */
static Status read_stream(FileBytes *out, Diag *d)
{
    size_t size = 0, room = SMALL_MAX;
    uint8_t *p = malloc(room);
    ssize_t n = p ? 1 : -1;

    while (p && n != 0) {
        if (size == room) {
            uint8_t *more = room < STREAM_MAX ? realloc(p, room * 2) : NULL;
            if (!more) break;
            p = more;
            room *= 2;
        }
        n = read(STDIN_FILENO, p + size, room - size < READ_MAX ? room - size : READ_MAX);
        if (n < 0 && errno != EINTR) break;
        if (n > 0) size += (size_t)n;
    }
    if (p && n == 0) {
        *out = (FileBytes){p, size, 0};
        return OK;
    }
    Status status = p && n < 0 ? io_error(d, "-", "cannot read standard input")
                               : diag(d, ERR_LIMIT, (Where){.file = "-"}, "too large for memory");
    free(p);
    return status;
}

Status file_read(const char *path, FileBytes *out, Diag *d)
{
    size_t size;

    *out = (FileBytes){0};
    if (strcmp(path, "-") == 0) return read_stream(out, d);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); /* a FIFO must not block */
    if (fd < 0) return io_error(d, path, "cannot open");
    Status status = regular_size(fd, path, &size, d);
    if (status == OK) status = read_part(fd, path, 0, size, out, d);
    close(fd);
    return status;
}

/* The length of the first component of `p`, slashes before it skipped. */
static size_t component(const char **p)
{
    *p += strspn(*p, "/");
    return strcspn(*p, "/");
}

/* Is `relative` a path that by its text alone stays below its folder? */
static bool stays_below(const char *relative)
{
    const char *p = relative;

    if (*p == '/' || !*p || strlen(relative) >= PATH_MAX) return false;
    for (size_t n = component(&p); n > 0; p += n, n = component(&p)) {
        if (n == 2 && memcmp(p, "..", 2) == 0) return false;
    }
    return true;
}

enum { OPEN_FLAGS = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY };

/* For kernels without openat2: one component after the other, following no link. Takes `folder`. */
static int open_by_steps(int folder, const char *relative)
{
    const char *p = relative;
    char name[NAME_MAX + 1];

    for (;;) {
        size_t n = component(&p);
        if (n > NAME_MAX) errno = ENAMETOOLONG;
        if (n == 0) errno = EISDIR;
        if (n == 0 || n > NAME_MAX) break;
        memcpy(name, p, n);
        name[n] = '\0';
        p += n;
        const char *rest = p;
        bool last = component(&rest) == 0;
        int flags = last ? OPEN_FLAGS | O_NOFOLLOW : O_PATH | O_CLOEXEC | O_DIRECTORY | O_NOFOLLOW;
        int next = openat(folder, name, flags);
        if (next < 0 || last) {
            int saved = errno;
            close(folder);
            errno = saved;
            return next;
        }
        close(folder);
        folder = next;
    }
    int saved = errno;
    close(folder);
    errno = saved;
    return -1;
}

static int open_beneath(int folder, const char *relative)
{
#if defined(SYS_openat2) && !defined(INGOT_HOSTILE)
    struct open_how how = {.flags = OPEN_FLAGS, .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
    int fd;
    do {
        fd = (int)syscall(SYS_openat2, folder, relative, &how, sizeof how);
    } while (fd < 0 && (errno == EINTR || errno == EAGAIN));
    if (fd >= 0 || (errno != ENOSYS && errno != EPERM)) return fd;
#endif
    int start = fcntl(folder, F_DUPFD_CLOEXEC, 0);
    return start < 0 ? -1 : open_by_steps(start, relative);
}

static Status open_external(const char *folder, const char *relative, bool trusted, int *out,
                            Diag *d)
{
    Where where = {.file = relative};

    if (!stays_below(relative)) {
        return diag(d, ERR_MODEL, where,
                    "external data must be a relative path without '..', below the model's folder");
    }
    int at = open(*folder ? folder : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (at < 0) return io_error(d, folder, "cannot open the folder of external data");
    *out = trusted ? openat(at, relative, OPEN_FLAGS) : open_beneath(at, relative);
    int saved = errno;
    close(at);
    if (*out >= 0) return OK;
    errno = saved;
    if (!trusted && (saved == ELOOP || saved == EXDEV || saved == ENOTDIR)) {
        return diag(d, ERR_IO, where,
                    "a part of this path is a symbolic link or no folder; where links are wanted "
                    "(caches), name the folder with --external-data=DIR");
    }
    return io_error(d, relative, "cannot open external data");
}

Status file_read_beneath(const char *folder, const char *relative, int64_t offset, int64_t length,
                         bool trusted, FileBytes *out, Diag *d)
{
    size_t size;
    int fd = -1;

    *out = (FileBytes){0};
    TRY(open_external(folder, relative, trusted, &fd, d));
    Status status = regular_size(fd, relative, &size, d);
    if (status == OK && (offset < 0 || (uint64_t)offset > size ||
                         (length >= 0 && (uint64_t)length > size - (size_t)offset))) {
        status = diag(d, ERR_MODEL, (Where){.file = relative},
                      "offset %lld and length %lld lie outside the file's %zu bytes",
                      (long long)offset, (long long)length, size);
    }
    if (status == OK) {
        size_t wanted = length < 0 ? size - (size_t)offset : (size_t)length;
        status = read_part(fd, relative, (off_t)offset, wanted, out, d);
    }
    close(fd);
    return status;
}

void file_release(const FileBytes *f, size_t at, size_t size)
{
    long page = sysconf(_SC_PAGESIZE);
    size_t mask = page > 0 ? (size_t)page - 1 : 0, from, to;

    if (!f->mapped || !mask || at > f->size || size > f->size - at) return;
    from = (at + mask) & ~mask; /* mappings begin at a page */
    to = (at + size) & ~mask;
    if (from >= to) return;
    (void)madvise((void *)(uintptr_t)(f->data + from), to - from, MADV_DONTNEED);
    (void)mprotect((void *)(uintptr_t)(f->data + from), to - from, PROT_NONE);
}

void file_close(FileBytes *f)
{
    if (f->mapped)
        munmap((void *)f->data, f->size);
    else
        free((void *)f->data);
    *f = (FileBytes){0};
}

/* ---- writing ---- */

enum { BUFFER = 1 << 16 };

struct FileWriter {
    Diag *d;
    char *path, *temporary;
    int fd;
    Status status; /* the first failure; nothing is written after it */
    size_t n;      /* bytes waiting in the buffer */
    uint8_t buffer[BUFFER];
};

/* "folder/.ingot-0123456789abcdef.tmp": short whatever the length of the final name, and not to be
 * guessed. */
static char *temporary_name(const char *path)
{
    const char *name = path_name(path);
    uint64_t random = 0;
    char *s = NULL;

    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random) return NULL;
    int folder = (int)(name - path);
    if (asprintf(&s, "%.*s.ingot-%016llx.tmp", folder, path, (unsigned long long)random) < 0)
        return NULL;
    return s;
}

static void writer_free(FileWriter *w)
{
    if (!w) return;
    if (w->fd >= 0) close(w->fd);
    free(w->path);
    free(w->temporary);
    free(w);
}

/* What is there already may be replaced when it is a file or a link; a folder or /dev/null may not.
 */
static Status check_target(const char *path, Diag *d)
{
    struct stat st;

    if (!*path_name(path)) return diag(d, ERR_IO, (Where){.file = path}, "names no file");
    if (lstat(path, &st) != 0 || S_ISREG(st.st_mode) || S_ISLNK(st.st_mode)) return OK;
    return diag(d, ERR_IO, (Where){.file = path}, "exists and is a %s, will not be replaced",
                S_ISDIR(st.st_mode) ? "folder" : "device, pipe or socket");
}

Status file_create(const char *path, int mode, FileWriter **out, Diag *d)
{
    *out = NULL;
    TRY(check_target(path, d));
    FileWriter *w = malloc(sizeof *w);
    if (!w) return diag(d, ERR_LIMIT, (Where){.file = path}, "no memory to write it");
    w->d = d;
    w->fd = -1;
    w->n = 0;
    w->status = OK;
    w->path = strdup(path);
    w->temporary = temporary_name(path);
    if (w->path && w->temporary) {
        int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
        w->fd = open(w->temporary, flags, (mode_t)mode);
    }
    if (w->fd < 0) {
        Status status = io_error(d, path, "cannot create a temporary file in its folder");
        writer_free(w);
        return status;
    }
    *out = w;
    return OK;
}

static Status write_out(FileWriter *w, const uint8_t *p, size_t size)
{
    while (size > 0 && w->status == OK) {
        ssize_t n = write(w->fd, p, size < READ_MAX ? size : READ_MAX);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return w->status = io_error(w->d, w->path, "cannot write");
        p += n;
        size -= (size_t)n;
    }
    return w->status;
}

static Status flush(FileWriter *w)
{
    size_t n = w->n;
    w->n = 0;
    return write_out(w, w->buffer, n);
}

Status file_write(FileWriter *w, const void *data, size_t size)
{
    if (size > BUFFER - w->n) TRY(flush(w));
    if (size >= BUFFER) return write_out(w, data, size);
    if (size) memcpy(w->buffer + w->n, data, size);
    w->n += size;
    return w->status;
}

const char *file_temporary(const FileWriter *w)
{
    return w->temporary;
}

Status file_reopen(FileWriter *w)
{
    struct stat made, found;
    int fd = open(w->temporary, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);

    TRY(w->status);
    if (fd < 0 || fstat(fd, &found) != 0 || fstat(w->fd, &made) != 0 || !S_ISREG(found.st_mode) ||
        fchmod(fd, made.st_mode & 07777) != 0) {
        w->status = io_error(w->d, w->path, "cannot open what was written");
        if (fd >= 0) close(fd);
        return w->status;
    }
    close(w->fd);
    w->fd = fd;
    return OK;
}

/* Some file systems cannot sync folders; the file itself is safe by then. */
static void sync_folder(const char *path)
{
    const char *name = path_name(path);
    char *folder = name == path ? strdup(".") : strndup(path, (size_t)(name - path));
    int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
    free(folder);
}

static Status put_on_disk(FileWriter *w)
{
    TRY(flush(w));
    if (fsync(w->fd) != 0) return io_error(w->d, w->path, "cannot write to disk");
    int fd = w->fd;
    w->fd = -1;
    if (close(fd) != 0) return io_error(w->d, w->path, "cannot write to disk");
    if (rename(w->temporary, w->path) != 0) return io_error(w->d, w->path, "cannot rename to this");
    sync_folder(w->path);
    return OK;
}

Status file_commit(FileWriter *w)
{
    Status status = put_on_disk(w);

    if (status != OK)
        file_abandon(w);
    else
        writer_free(w);
    return status;
}

void file_abandon(FileWriter *w)
{
    if (!w) return;
    unlink(w->temporary);
    writer_free(w);
}

Status file_write_all(const char *path, int mode, const void *data, size_t size, Diag *d)
{
    FileWriter *w;

    TRY(file_create(path, mode, &w, d));
    Status status = file_write(w, data, size);
    if (status == OK) return file_commit(w);
    file_abandon(w);
    return status;
}
