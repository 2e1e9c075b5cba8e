/* folder.c: folders and paths of io.h. Removal goes by descriptors and follows no link. */
#include "support/io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/vec.h"

enum { DEPTH_MAX = 64 }; /* of a folder to remove: ours are flat */

Status folder_temporary(Arena *a, const char **out, Diag *d)
{
    const char *base = getenv("TMPDIR");
    char *path = arena_printf(a, "%s/ingot-XXXXXX", base && *base ? base : "/tmp");

    *out = NULL;
    if (!mkdtemp(path)) {
        return diag(d, ERR_IO, (Where){.file = path}, "cannot make a temporary folder: %s",
                    strerror(errno));
    }
    *out = path;
    return OK;
}

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Remove everything in the folder that `fd` is; closes fd. */
static void empty_folder(int fd, int depth)
{
    DIR *dir = fdopendir(fd);

    if (!dir) {
        close(fd);
        return;
    }
    for (struct dirent *e; (e = readdir(dir));) {
        if (is_dots(e->d_name) || unlinkat(fd, e->d_name, 0) == 0) continue;
        int inner = openat(fd, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (inner < 0) continue;
        if (depth < DEPTH_MAX)
            empty_folder(inner, depth + 1);
        else
            close(inner);
        unlinkat(fd, e->d_name, AT_REMOVEDIR);
    }
    closedir(dir);
}

void folder_remove(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0) return;
    empty_folder(fd, 0);
    rmdir(path);
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

Status folder_list(Arena *a, const char *path, const char ***names, int *count, Diag *d)
{
    const char **list = NULL;
    int n = 0, room = 0;
    DIR *dir = opendir(path);

    *names = NULL;
    *count = 0;
    if (!dir) {
        return diag(d, ERR_IO, (Where){.file = path}, "cannot list the folder: %s",
                    strerror(errno));
    }
    errno = 0;
    for (struct dirent *e; (e = readdir(dir)); errno = 0) {
        if (!is_dots(e->d_name)) VEC_PUSH(a, list, n, room, arena_strdup(a, e->d_name));
    }
    int failed = errno;
    closedir(dir);
    if (failed) {
        return diag(d, ERR_IO, (Where){.file = path}, "cannot list the folder: %s",
                    strerror(failed));
    }
    if (!arena_ok(a)) return diag(d, ERR_LIMIT, (Where){.file = path}, "no memory for its list");
    if (n > 0) qsort(list, (size_t)n, sizeof *list, by_bytes);
    *names = list;
    *count = n;
    return OK;
}

bool path_is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool path_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

const char *path_join(Arena *a, const char *folder, const char *name)
{
    size_t n = strlen(folder);

    if (n == 0) return arena_strdup(a, name);
    return arena_printf(a, folder[n - 1] == '/' ? "%s%s" : "%s/%s", folder, name);
}

const char *path_folder(Arena *a, const char *path)
{
    size_t n = (size_t)(path_name(path) - path);

    if (n == 0) return ".";
    while (n > 1 && path[n - 1] == '/') {
        n--;
    }
    return arena_strndup(a, path, n);
}

const char *path_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}
