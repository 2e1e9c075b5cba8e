/* io_test.c: reading what may be read and nothing else, writing all or nothing, folders, processes.
 */
#include "support/io.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/check.h"

typedef struct Fixture {
    Arena *a;
    const char *folder;
} Fixture;

static const char *in(const Fixture *x, const char *name)
{
    return path_join(x->a, x->folder, name);
}

static void put(const Fixture *x, const char *name, const void *data, size_t size)
{
    CHECK_EQ(file_write_all(in(x, name), 0644, data, size, NULL), OK);
}

static int entries(const Fixture *x)
{
    const char **names;
    int n = -1;
    CHECK_EQ(folder_list(x->a, x->folder, &names, &n, NULL), OK);
    return n;
}

static void test_read(const Fixture *x)
{
    static const size_t sizes[] = {0, 1, 65535, 65536, 65537, 3000001};
    unsigned char *data = arena_try(x->a, 3000001, 1);
    FileBytes f;

    for (size_t i = 0; i < 3000001; i++) {
        data[i] = (unsigned char)(i * 31 >> 3);
    }
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        put(x, "data", data, sizes[i]);
        CHECK_EQ(file_read(in(x, "data"), &f, NULL), OK);
        CHECK_EQ(f.size, sizes[i]);
        /* Shorter now: a mapping would end in SIGBUS. */
        CHECK_EQ(truncate(in(x, "data"), 0), 0);
        CHECK(memcmp(f.data, data, f.size) == 0);
        file_close(&f);
        CHECK(!f.data && f.size == 0);
    }
    CHECK_EQ(file_read(in(x, "absent"), &f, NULL), ERR_IO);
    CHECK_EQ(file_read(x->folder, &f, NULL), ERR_IO);
    CHECK_EQ(file_read("/dev/null", &f, NULL), ERR_IO);
    CHECK_EQ(mkfifo(in(x, "fifo"), 0600), 0);
    CHECK_EQ(file_read(in(x, "fifo"), &f, NULL), ERR_IO); /* and does not wait for a writer */
    CHECK_EQ(symlink("data", in(x, "link")), 0);
    CHECK_EQ(file_read(in(x, "link"), &f, NULL), OK);
    file_close(&f);
}

static void test_beneath(const Fixture *x)
{
    static const struct {
        const char *path;
        int64_t offset, length;
        Status plain, trusted;
        const char *want; /* the bytes where plain or trusted is OK */
    } cases[] = {
        {"w.bin", 0, -1, OK, OK, "0123456789"},
        {"w.bin", 3, 4, OK, OK, "3456"},
        {"w.bin", 10, 0, OK, OK, ""},
        {"w.bin", 10, -1, OK, OK, ""},
        {"./sub//deep/v.bin", 1, -1, OK, OK, "bc"},
        {"w.bin", 11, -1, ERR_MODEL, ERR_MODEL, NULL},
        {"w.bin", 0, 11, ERR_MODEL, ERR_MODEL, NULL},
        {"w.bin", 5, 6, ERR_MODEL, ERR_MODEL, NULL},
        {"w.bin", -1, 2, ERR_MODEL, ERR_MODEL, NULL},
        {"w.bin", INT64_MAX, INT64_MAX, ERR_MODEL, ERR_MODEL, NULL},
        {"w.bin", 1, INT64_MAX, ERR_MODEL, ERR_MODEL, NULL},
        {"", 0, -1, ERR_MODEL, ERR_MODEL, NULL},
        {"/etc/passwd", 0, -1, ERR_MODEL, ERR_MODEL, NULL},
        {"..", 0, -1, ERR_MODEL, ERR_MODEL, NULL},
        {"../model/w.bin", 0, -1, ERR_MODEL, ERR_MODEL, NULL},
        {"sub/../w.bin", 0, -1, ERR_MODEL, ERR_MODEL, NULL},
        {"sub/../../outside", 0, -1, ERR_MODEL, ERR_MODEL, NULL},
        {"to_w", 0, -1, ERR_IO, OK, "0123456789"},
        {"out_link", 0, -1, ERR_IO, OK, "secret"},
        {"sub_link/v.bin", 0, -1, ERR_IO, OK, "abc"},
        {"up/outside", 0, -1, ERR_IO, OK, "secret"},
        {"sub", 0, -1, ERR_IO, ERR_IO, NULL},
        {"pipe", 0, -1, ERR_IO, ERR_IO, NULL},
        {"null", 0, -1, ERR_IO, ERR_IO, NULL},
        {"absent", 0, -1, ERR_IO, ERR_IO, NULL},
        {"w.bin/x", 0, -1, ERR_IO, ERR_IO, NULL},
    };
    const char *model = in(x, "model");

    CHECK_EQ(mkdir(model, 0700), 0);
    CHECK_EQ(mkdir(in(x, "model/sub"), 0700), 0);
    CHECK_EQ(mkdir(in(x, "model/sub/deep"), 0700), 0);
    put(x, "outside", "secret", 6);
    put(x, "model/w.bin", "0123456789", 10);
    put(x, "model/sub/deep/v.bin", "abc", 3);
    CHECK_EQ(symlink("w.bin", in(x, "model/to_w")), 0);
    CHECK_EQ(symlink("../outside", in(x, "model/out_link")), 0);
    CHECK_EQ(symlink("sub/deep", in(x, "model/sub_link")), 0);
    CHECK_EQ(symlink("..", in(x, "model/up")), 0);
    CHECK_EQ(symlink("/dev/null", in(x, "model/null")), 0);
    CHECK_EQ(mkfifo(in(x, "model/pipe"), 0600), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int trusted = 0; trusted < 2; trusted++) {
            FileBytes f;
            Status want = trusted ? cases[i].trusted : cases[i].plain;
            Status got = file_read_beneath(model, cases[i].path, cases[i].offset, cases[i].length,
                                           trusted, &f, NULL);
            if (got != want) {
                fprintf(stderr, "\"%s\", trusted %d:\n", cases[i].path, trusted);
                CHECK_EQ(got, want);
            }
            if (got != OK) continue;
            CHECK(f.size == strlen(cases[i].want) && !memcmp(f.data, cases[i].want, f.size));
            file_close(&f);
        }
    }
}

static void test_write(const Fixture *x)
{
    FileWriter *w;
    FileBytes f;
    char step[1000];
    int before = entries(x);
    struct stat st;

    memset(step, 's', sizeof step);
    put(x, "target", "old", 3);
    CHECK_EQ(entries(x), before + 1);
    CHECK_EQ(file_create(in(x, "target"), 0755, &w, NULL), OK);
    for (int i = 0; i < 500; i++) {
        CHECK_EQ(file_write(w, step, sizeof step), OK);
    }
    CHECK_EQ(file_read(in(x, "target"), &f, NULL), OK); /* nothing is visible yet */
    CHECK(f.size == 3 && memcmp(f.data, "old", 3) == 0);
    file_close(&f);
    CHECK_EQ(file_commit(w), OK);
    CHECK_EQ(file_read(in(x, "target"), &f, NULL), OK);
    CHECK_EQ(f.size, 500000);
    file_close(&f);
    CHECK(stat(in(x, "target"), &st) == 0 && (st.st_mode & 0100));

    CHECK_EQ(file_create(in(x, "target"), 0644, &w, NULL), OK);
    CHECK_EQ(file_write(w, "new", 3), OK);
    file_abandon(w);
    file_abandon(NULL);
    CHECK_EQ(entries(x), before + 1); /* no temporary stays */
    CHECK(stat(in(x, "target"), &st) == 0 && st.st_size == 500000);

    /* what another program makes of the temporary */
    CHECK_EQ(file_create(in(x, "target"), 0755, &w, NULL), OK);
    CHECK(unlink(file_temporary(w)) == 0 && symlink("target", file_temporary(w)) == 0);
    CHECK_EQ(file_reopen(w), ERR_IO); /* no link is followed */
    file_abandon(w);
    CHECK_EQ(file_create(in(x, "target"), 0755, &w, NULL), OK);
    CHECK_EQ(unlink(file_temporary(w)), 0);
    put(x, path_name(file_temporary(w)), "other", 5);
    CHECK_EQ(file_reopen(w), OK);
    CHECK_EQ(file_commit(w), OK);
    CHECK(stat(in(x, "target"), &st) == 0 && st.st_size == 5 && (st.st_mode & 0100));
    CHECK_EQ(entries(x), before + 1);

    CHECK_EQ(file_create(x->folder, 0644, &w, NULL), ERR_IO);
    CHECK_EQ(file_create(in(x, "no/such/folder"), 0644, &w, NULL), ERR_IO);
    CHECK_EQ(file_create(in(x, "ends-in/"), 0644, &w, NULL), ERR_IO);
    CHECK_EQ(file_create("/dev/null", 0644, &w, NULL), ERR_IO);
}

/* A disk that is full after 100000 bytes. */
static void test_no_space(const Fixture *x)
{
    struct rlimit old, small;
    FileWriter *w;
    char step[30000] = {0};
    int before = entries(x);
    Diag d;

    diag_init(&d, x->a);
    CHECK_EQ(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    small.rlim_cur = 100000;
    signal(SIGXFSZ, SIG_IGN);
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
    CHECK_EQ(file_create(in(x, "big"), 0644, &w, &d), OK);
    Status status = OK;
    for (int i = 0; i < 10 && status == OK; i++) {
        status = file_write(w, step, sizeof step);
    }
    CHECK_EQ(status, ERR_IO);
    CHECK_EQ(file_write(w, step, 1), ERR_IO);
    CHECK_EQ(file_commit(w), ERR_IO);
    CHECK_EQ(file_write_all(in(x, "big"), 0644, step, sizeof step, &d), OK);
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &old), 0);
    CHECK_EQ(d.errors, 1);
    CHECK_EQ(entries(x), before + 1);
}

static void test_folders(const Fixture *x)
{
    static const char *const names[] = {"b", "a", "\xc3\xa9", "B", "a.txt"};
    static const char *const sorted[] = {"B", "a", "a.txt", "b", "\xc3\xa9"};
    const char *folder, **list;
    int n;

    CHECK_EQ(folder_temporary(x->a, &folder, NULL), OK);
    CHECK(path_is_folder(folder) && path_exists(folder));
    CHECK_EQ(folder_list(x->a, folder, &list, &n, NULL), OK);
    CHECK_EQ(n, 0);
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(file_write_all(path_join(x->a, folder, names[i]), 0644, "", 0, NULL), OK);
    }
    CHECK_EQ(folder_list(x->a, folder, &list, &n, NULL), OK);
    CHECK_EQ(n, 5);
    for (int i = 0; i < 5 && n == 5; i++) {
        CHECK_STR(list[i], sorted[i]);
    }
    const char *inner = path_join(x->a, folder, "inner");
    CHECK_EQ(mkdir(inner, 0700), 0);
    put(x, "survives", "x", 1);
    CHECK_EQ(symlink(x->folder, path_join(x->a, inner, "link")), 0);
    folder_remove(folder);
    CHECK(!path_exists(folder));
    CHECK(path_exists(in(x, "survives"))); /* the link was removed, not what it names */
    CHECK_EQ(folder_list(x->a, folder, &list, &n, NULL), ERR_IO);
}

static void test_paths(Arena *a)
{
    CHECK_STR(path_join(a, "a", "b"), "a/b");
    CHECK_STR(path_join(a, "a/", "b"), "a/b");
    CHECK_STR(path_join(a, "", "b"), "b");
    CHECK_STR(path_folder(a, "a/b/c"), "a/b");
    CHECK_STR(path_folder(a, "c"), ".");
    CHECK_STR(path_folder(a, "/c"), "/");
    CHECK_STR(path_name("a/b.c"), "b.c");
    CHECK_STR(path_name("b.c"), "b.c");
}

static void test_process(Arena *a)
{
    int status;
    char *err;

    const char *echo[] = {"sh", "-c", "printf 'a b' >&2; exit 7", NULL};
    CHECK_EQ(process_run(echo, &status, &err, a, NULL), OK);
    CHECK_EQ(status, 7);
    CHECK_STR(err, "a b");
    const char *plain[] = {"test", "$HOME;x", "=", "$HOME;x", NULL}; /* no shell sees it */
    CHECK_EQ(process_run(plain, &status, NULL, a, NULL), OK);
    CHECK_EQ(status, 0);
    const char *loud[] = {"sh", "-c", "head -c 300000 /dev/zero | tr '\\0' x >&2", NULL};
    CHECK_EQ(process_run(loud, &status, &err, a, NULL), OK);
    CHECK_EQ(status, 0);
    CHECK_EQ(strlen(err), 65536);
    const char *killed[] = {"sh", "-c", "kill -9 $$", NULL};
    CHECK_EQ(process_run(killed, &status, &err, a, NULL), OK);
    CHECK_EQ(status, 128 + 9);
    const char *silent[] = {"cat", NULL}; /* standard input is empty */
    CHECK_EQ(process_run(silent, &status, &err, a, NULL), OK);
    CHECK_EQ(status, 0);
    const char *absent[] = {"no-such-program-here", NULL};
    CHECK_EQ(process_run(absent, &status, &err, a, NULL), ERR_TARGET);
}

int main(void)
{
    Fixture x = {.a = arena_new(0)};

    if (folder_temporary(x.a, &x.folder, NULL) != OK) return 1;
    test_read(&x);
    test_beneath(&x);
    test_write(&x);
    test_no_space(&x);
    test_folders(&x);
    test_paths(x.a);
    test_process(x.a);
    folder_remove(x.folder);
    CHECK(!path_exists(x.folder));
    arena_free(x.a);
    return check_result();
}
