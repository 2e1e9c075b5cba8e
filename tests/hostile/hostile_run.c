/* hostile_run.c: hostile models, one after the other in one process, through import, inference and
 * all passes.
 *
 *     hostile_run FOLDER [--every N] [--from LINE]
 *
 * FOLDER/campaign.txt (written by make_hostile.py, which says what its lines mean) lists the cases;
 * --every N takes every Nth of those that change a base model. What is asked of every case: it ends
 * within 10 seconds; its status is one that the frontend documents, and not ERR_BUG; an error says
 * something; the process needs no more than 256 MiB + 3 x the file. A signal or a hang names the
 * case before the process ends. The bytes of each case stand in a block of exactly their size, so
 * that the sanitizers see every step past the end.
 *
 * Ends with `N passed, N failed, 0 skipped`. */
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "codegen/codegen.h"
#include "frontend/frontend.h"
#include "passes/pass.h"
#include "support/arena.h"
#include "support/io.h"

#define SECONDS 10
#define MEMORY  ((int64_t)256 << 20)

#if defined(__SANITIZE_ADDRESS__)
#define MEASURE_MEMORY 0 /* shadow and quarantine are not ours */
#else
#define MEASURE_MEMORY 1
#endif

/* What a signal handler may print: set before each case. */
static char current[4352];
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

typedef struct Run {
    const char *folder;
    const TargetInfo *target;
    char base_name[512];
    FileBytes base;
    int64_t start_memory; /* bytes resident before the first case */
    int64_t largest_file;
    int64_t passed, failed, accepted;
} Run;

static void say_current(void)
{
    ssize_t ignored = write(STDOUT_FILENO, current, strlen(current));
    (void)ignored;
}

static void on_signal(int number)
{
    static const char text[] = " ended by a signal, or not within 10 seconds\n";

    say_current();
    ssize_t ignored = write(STDOUT_FILENO, text, sizeof text - 1);
    (void)ignored;
    signal(number, SIG_DFL);
    raise(number);
}

/* Sanitizers report crashes themselves; then only the alarm is ours. */
static void catch_signals(void)
{
    static const int crashes[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};

    signal(SIGALRM, on_signal);
    if (__sanitizer_set_death_callback) {
        __sanitizer_set_death_callback(say_current);
        return;
    }
    static char stack[65536]; /* a stack that overflowed cannot carry its own handler */
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    sigaltstack(&alternate, NULL);
    for (size_t i = 0; i < sizeof crashes / sizeof *crashes; i++) {
        struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
        sigaction(crashes[i], &action, NULL);
    }
}

static int64_t resident_peak(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (int64_t)usage.ru_maxrss * 1024;
}

static Status import_and_lower(const Run *run, const uint8_t *bytes, size_t size, Arena *arena,
                               Diag *d)
{
    PassOptions passes = {.level = 2, .bisect = -1, .target = run->target};
    Loaded loaded = {0};
    Status status = frontend_load_bytes(bytes, size, run->folder, NULL, arena, &loaded, d);

    if (status == OK) {
        status = pass_run_all(loaded.module, &passes, d);
        frontend_close(&loaded);
    }
    return status;
}

static void fail(Run *run, const char *why)
{
    run->failed++;
    printf("%s: %s\n", current, why);
    fflush(stdout);
}

/* One case; `must_fail`: a model that may not be accepted. */
static void run_case(Run *run, const uint8_t *bytes, size_t size, bool must_fail)
{
    Arena *arena = arena_new(0);
    Diag d;

    diag_init(&d, arena);
    alarm(SECONDS);
    Status status = import_and_lower(run, bytes, size, arena, &d);
    alarm(0);

    run->accepted += status == OK;
    if ((int64_t)size > run->largest_file) run->largest_file = (int64_t)size;
    int64_t used = resident_peak() - run->start_memory;
    const char *said = d.first ? diag_format(d.first, arena) : "";
    if (status == ERR_BUG) {
        fail(run, *said ? said : "our bug, without a word");
    } else if (status != OK && strstr(said, "kernel ") && strstr(said, ", stage ")) {
        fail(run, said); /* what a kernel does is for us to know, before one is made */
    } else if (status == ERR_MISMATCH || status == ERR_USAGE || status == ERR_TARGET) {
        fail(run, status_text(status));
    } else if (status != OK && d.errors == 0) {
        fail(run, "an error without a word");
    } else if (status == OK && must_fail) {
        fail(run, "accepted");
    } else if (MEASURE_MEMORY && used > MEMORY + 3 * run->largest_file) {
        printf("memory: %lld MiB\n", (long long)(used >> 20));
        fail(run, "takes too much memory");
        run->start_memory += used; /* the peak only rises: count from here on */
    } else {
        run->passed++;
    }
    arena_free(arena);
}

static bool read_into(Run *run, const char *name, FileBytes *out)
{
    char path[1024];

    snprintf(path, sizeof path, "%s/%s", run->folder, name);
    return file_read(path, out, NULL) == OK;
}

/* The bytes of one change of the base, in a block of exactly their size; NULL when the line says no
 * such thing. */
static uint8_t *changed_base(const Run *run, const char *line, size_t *size)
{
    unsigned long long at;
    unsigned bits = 0;
    bool cut = sscanf(line, "cut %llu", &at) == 1;

    if (!cut && sscanf(line, "flip %llu %u", &at, &bits) != 2) return NULL;
    if (!run->base.data || at > run->base.size || (!cut && at == run->base.size)) return NULL;
    *size = cut ? (size_t)at : run->base.size;
    uint8_t *bytes = malloc(*size ? *size : 1);
    if (!bytes) return NULL;
    memcpy(bytes, run->base.data, *size);
    if (!cut) bytes[at] = (uint8_t)(bytes[at] ^ bits);
    return bytes;
}

static void run_file(Run *run, const char *name, bool must_fail)
{
    FileBytes file;

    snprintf(current, sizeof current, "FAIL %s", name);
    if (!read_into(run, name, &file)) {
        fail(run, "cannot be read");
        return;
    }
    uint8_t *bytes = malloc(file.size ? file.size : 1);
    if (bytes) {
        memcpy(bytes, file.data, file.size);
        run_case(run, bytes, file.size, must_fail);
    }
    free(bytes);
    file_close(&file);
}

/* One line of the campaign. */
static void run_line(Run *run, const char *line)
{
    char name[512];
    size_t size;

    if (sscanf(line, "file %511s", name) == 1) {
        run_file(run, name, false);
    } else if (sscanf(line, "reject %511s", name) == 1) {
        run_file(run, name, true);
    } else if (sscanf(line, "base %511s", name) == 1) {
        if (run->base.data) file_close(&run->base);
        run->base = (FileBytes){0};
        snprintf(current, sizeof current, "FAIL %s", name);
        snprintf(run->base_name, sizeof run->base_name, "%s", name);
        if (!read_into(run, name, &run->base)) fail(run, "cannot be read");
    } else {
        snprintf(current, sizeof current, "FAIL %s of %s", line, run->base_name);
        uint8_t *bytes = changed_base(run, line, &size);
        if (bytes) {
            run_case(run, bytes, size, false);
        } else {
            fail(run, "no such change");
        }
        free(bytes);
    }
}

static void run_campaign(Run *run, FILE *campaign, int64_t every, int64_t from)
{
    char line[1024];
    int64_t number = 0;

    while (fgets(line, sizeof line, campaign)) {
        bool change = line[0] == 'c' || strncmp(line, "flip", 4) == 0;

        line[strcspn(line, "\n")] = 0;
        number++;
        if (strncmp(line, "base", 4) != 0 && (number < from || (change && number % every != 0)))
            continue;
        run_line(run, line);
    }
}

int main(int argc, char **argv)
{
    int64_t every = 1, from = 1;
    char path[1024];
    TargetInfo target;
    Run run = {.target = &target};

    for (int i = 1; i < argc; i++) {
        if (i + 1 < argc && strcmp(argv[i], "--every") == 0) {
            every = strtoll(argv[++i], NULL, 10);
        } else if (i + 1 < argc && strcmp(argv[i], "--from") == 0) {
            from = strtoll(argv[++i], NULL, 10);
        } else {
            run.folder = argv[i];
        }
    }
    if (!run.folder || every < 1) {
        fprintf(stderr, "usage: hostile_run FOLDER [--every N] [--from LINE]\n");
        return 2;
    }
    snprintf(path, sizeof path, "%s/campaign.txt", run.folder);
    FILE *campaign = fopen(path, "r");
    if (!campaign || codegen_target("x86-64-v3", &target, NULL) != OK) {
        fprintf(stderr, "%s cannot be read, or there is no target x86-64-v3\n", path);
        return 2;
    }
    catch_signals();
    run.start_memory = resident_peak();
    run_campaign(&run, campaign, every, from);
    fclose(campaign);
    if (run.base.data) file_close(&run.base);
    printf("%lld of them were accepted\n", (long long)run.accepted);
    printf("%lld passed, %lld failed, 0 skipped\n", (long long)run.passed, (long long)run.failed);
    return run.failed != 0;
}
