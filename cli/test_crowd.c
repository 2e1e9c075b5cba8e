/* test_crowd.c: each test in a child process; what it says comes through a pipe:
 *
 *     verdict byte, message, NUL, details (JSON, may be empty)
 *
 * The message of a passed test names its random outputs, if any.
 *
 * A child that ends without a verdict crashed; one that takes too long is killed with all that it
 * started. Its standard error goes to a file, whose last line explains a crash. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/test.h"
#include "support/io.h"

enum { MOST_CHILDREN = 256, DEFAULT_TIMEOUT = 120 };

typedef struct Child {
    pid_t pid; /* 0: a free place */
    int fd;
    Test *test;
    const char *folder; /* its own */
    double began;
    bool late;
    Text said;
} Child;

typedef struct Crowd {
    const Options *o;
    TestList *tests;
    const char *folder; /* temporary, of all */
    Child *child;
    int places, running;
    int next, told; /* tests started; tests handed to done */
    double timeout;
    TestDone done;
    void *context;
    Arena *arena;
    Diag *d;
} Crowd;

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- in the child ---- */

static void put_all(int fd, const char *s, size_t n)
{
    while (n) {
        ssize_t w = write(fd, s, n);
        if (w < 0 && errno == EINTR) continue;
        if (w <= 0) return;
        s += w;
        n -= (size_t)w;
    }
}

/* The first error, without the model's path: the line begins with the test's name. */
static const char *first_error(const Diag *d, Arena *a)
{
    for (const DiagItem *i = d->first; i; i = i->next) {
        DiagItem item = *i;
        if (i->severity != DIAG_ERROR) continue;
        item.where.file = NULL;
        return diag_format(&item, a);
    }
    return "failed without a message";
}

static void child_prepare(const char *errors)
{
    const struct rlimit none = {0, 0};
    int fd = open(errors, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setrlimit(RLIMIT_CORE, &none);
    if (fd >= 0) dup2(fd, STDERR_FILENO);
}

static void child_run(const Crowd *c, const Test *t, const char *folder, int fd)
{
    Options o = *c->o;
    Text details;
    Status s;
    const char *random;
    Diag d;

    o.arena = arena_new(0);
    if (!o.arena) return;
    diag_init(&d, o.arena);
    text_init(&details, o.arena);
    s = test_run(&o, t, folder, c->o->json_file ? &details : NULL, &random, &d);
    const char *why = s != OK ? first_error(&d, o.arena) : random ? random : "";
    put_all(fd, s == OK ? "p" : "f", 1);
    put_all(fd, why, strlen(why) + 1);
    put_all(fd, details.s, details.n);
}

/* ---- in the parent ---- */

static Status start(Crowd *c, Child *child, Test *t)
{
    const char *name = arena_printf(c->arena, "%d", (int)(t - c->tests->item));
    const char *folder = path_join(c->arena, c->folder, name);
    const char *errors = arena_printf(c->arena, "%s.err", folder);
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) != 0)
        return diag(c->d, ERR_LIMIT, (Where){0}, "no pipe: %s", strerror(errno));
    *child = (Child){.pid = fork(), .fd = ends[0], .test = t, .folder = folder, .began = now()};
    if (child->pid == 0) {
        close(ends[0]);
        child_prepare(errors);
        child_run(c, t, folder, ends[1]);
        _exit(0);
    }
    close(ends[1]);
    if (child->pid < 0) {
        close(ends[0]);
        child->pid = 0;
        return diag(c->d, ERR_LIMIT, (Where){0}, "no process: %s", strerror(errno));
    }
    setpgid(child->pid, child->pid);
    text_init(&child->said, c->arena);
    c->running++;
    return OK;
}

static const char *last_line(Crowd *c, const char *path)
{
    char *text, *line = NULL, *save = NULL;
    FileBytes bytes;
    Diag quiet;

    diag_init(&quiet, c->arena);
    if (file_read(path, &bytes, &quiet) != OK) return "";
    text = arena_strndup(c->arena, (const char *)bytes.data, bytes.size);
    file_close(&bytes);
    for (char *s = strtok_r(text, "\n", &save); s; s = strtok_r(NULL, "\n", &save))
        if (!line || strstr(s, "rror")) line = s;
    return line ? arena_printf(c->arena, " (%.300s)", line) : "";
}

static void judge(Crowd *c, Child *child, int state)
{
    Test *t = child->test;
    const char *said = child->said.s;
    size_t n = child->said.n, message;

    t->seconds = now() - child->began;
    t->done = true;
    t->verdict = FAILED;
    message = n ? strnlen(said + 1, n - 1) : 0;
    if (child->late) {
        t->why = arena_printf(c->arena, "not done after %g s", c->timeout);
    } else if (WIFSIGNALED(state)) {
        t->why = arena_printf(c->arena, "crashed: signal %d, %s%s", WTERMSIG(state),
                              strsignal(WTERMSIG(state)),
                              last_line(c, arena_printf(c->arena, "%s.err", child->folder)));
    } else if (n < 2 || message + 2 > n) {
        t->why = arena_printf(c->arena, "crashed: it ended with status %d%s", WEXITSTATUS(state),
                              last_line(c, arena_printf(c->arena, "%s.err", child->folder)));
    } else {
        t->verdict = said[0] == 'p' ? PASSED : FAILED;
        *(t->verdict == PASSED ? &t->random : &t->why) = message ? said + 1 : NULL;
        if (message + 2 < n) t->details = said + message + 2;
    }
}

static void finish(Crowd *c, Child *child)
{
    int state = 0;

    close(child->fd);
    while (waitpid(child->pid, &state, 0) < 0 && errno == EINTR)
        continue;
    kill(-child->pid, SIGKILL); /* what it may have left behind */
    judge(c, child, state);
    folder_remove(child->folder);
    unlink(arena_printf(c->arena, "%s.err", child->folder));
    child->pid = 0;
    c->running--;
}

/* More from this child; false at its end. */
static bool listen_to(Child *child)
{
    char buffer[4096];
    ssize_t n = read(child->fd, buffer, sizeof buffer);

    if (n < 0 && (errno == EINTR || errno == EAGAIN)) return true;
    if (n <= 0) return false;
    text_put_n(&child->said, buffer, (size_t)n);
    return true;
}

static void stop_late(Crowd *c)
{
    for (int i = 0; i < c->places; i++) {
        Child *child = &c->child[i];
        if (!child->pid || child->late || now() - child->began < c->timeout) continue;
        child->late = true;
        kill(-child->pid, SIGKILL);
    }
}

static void listen_all(Crowd *c)
{
    struct pollfd fds[MOST_CHILDREN];
    Child *of[MOST_CHILDREN];
    int n = 0;

    for (int i = 0; i < c->places; i++) {
        if (!c->child[i].pid) continue;
        of[n] = &c->child[i];
        fds[n++] = (struct pollfd){.fd = c->child[i].fd, .events = POLLIN};
    }
    poll(fds, (nfds_t)n, 200);
    for (int i = 0; i < n; i++)
        if (fds[i].revents && !listen_to(of[i])) finish(c, of[i]);
    stop_late(c);
}

static void tell(Crowd *c)
{
    while (c->told < c->tests->n && c->tests->item[c->told].done)
        c->done(c->context, &c->tests->item[c->told++], c->running);
}

static Status fill(Crowd *c)
{
    for (int i = 0; i < c->places; i++) {
        while (c->next < c->tests->n && c->tests->item[c->next].done)
            c->next++;
        if (c->next == c->tests->n) return OK;
        if (!c->child[i].pid) TRY(start(c, &c->child[i], &c->tests->item[c->next++]));
    }
    return OK;
}

static Status run(Crowd *c)
{
    Status s = OK;

    fflush(NULL);
    do {
        if (s == OK) s = fill(c);
        if (c->running) listen_all(c);
        tell(c);
    } while (c->running || (s == OK && c->next < c->tests->n));
    return s;
}

Status test_crowd(const Options *o, TestList *tests, int jobs, TestDone done, void *context,
                  Diag *d)
{
    Crowd c = {.o = o,
               .tests = tests,
               .places = jobs > MOST_CHILDREN ? MOST_CHILDREN : jobs,
               .timeout = o->timeout.given ? (double)o->timeout.value : DEFAULT_TIMEOUT,
               .done = done,
               .context = context,
               .arena = o->arena,
               .d = d};
    Status s;

    c.child = ARENA_ARRAY(o->arena, Child, c.places);
    TRY(folder_temporary(o->arena, &c.folder, d));
    s = run(&c);
    folder_remove(c.folder);
    return s;
}
