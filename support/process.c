/* process.c: process_run of io.h. No shell: the arguments reach the program as they are. Of
 * standard error the first ERROR_MAX bytes are kept; the rest is read and dropped, so that the
 * program never blocks on it. */
#include "support/io.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/str.h"

enum { ERROR_MAX = 64 << 10 };

extern char **environ;

static Status fail(Diag *d, const char *program, int code)
{
    Status status = code == ENOENT || code == EACCES ? ERR_TARGET : ERR_IO;
    return diag(d, status, (Where){.file = program}, "cannot run this program: %s", strerror(code));
}

/* Start argv with standard error going to `error_fd` (-1: left as it is). Returns 0 or an errno. */
static int start(const char *const *argv, int error_fd, pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    int code = posix_spawn_file_actions_init(&actions);

    if (code != 0) return code;
    code = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (code == 0 && error_fd >= 0) {
        code = posix_spawn_file_actions_adddup2(&actions, error_fd, STDERR_FILENO);
    }
    if (code == 0) code = posix_spawnp(pid, argv[0], &actions, NULL, (char *const *)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    return code;
}

static void drain(int fd, Text *to)
{
    char buffer[4096];

    for (;;) {
        ssize_t n = read(fd, buffer, sizeof buffer);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return;
        size_t room = ERROR_MAX - to->n;
        text_put_n(to, buffer, (size_t)n < room ? (size_t)n : room);
    }
}

static Status await(pid_t pid, const char *program, int *exit_status, Diag *d)
{
    int state = 0;

    while (waitpid(pid, &state, 0) < 0) {
        if (errno != EINTR) return fail(d, program, errno);
    }
    *exit_status = WIFEXITED(state) ? WEXITSTATUS(state) : 128 + WTERMSIG(state);
    return OK;
}

Status process_run(const char *const *argv, int *exit_status, char **err, Arena *a, Diag *d)
{
    int ends[2] = {-1, -1};
    pid_t pid;

    *exit_status = -1;
    if (err && pipe2(ends, O_CLOEXEC) != 0) return fail(d, argv[0], errno);
    int code = start(argv, ends[1], &pid);
    if (err) close(ends[1]);
    if (code == 0 && err) {
        Text text;
        text_init(&text, a);
        drain(ends[0], &text);
        *err = text.s;
    }
    if (err) close(ends[0]);
    return code == 0 ? await(pid, argv[0], exit_status, d) : fail(d, argv[0], code);
}
