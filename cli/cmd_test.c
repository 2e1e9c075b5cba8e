/* cmd_test.c: `ingot test`: models on their recorded inputs, against their recorded outputs. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/test.h"
#include "support/io.h"
#include "support/jobs.h"
#include "support/json.h"

typedef struct Tally {
    const Options *o;
    int count[3]; /* by Verdict */
    int random;   /* of those passed: not all values could be compared */
    int told, total;
    bool terminal;
} Tally;

static void clear_progress(const Tally *t)
{
    if (t->terminal) fprintf(stderr, "\r\033[K");
}

static void told(void *context, const Test *test, int running)
{
    static const char *const word[] = {"PASS", "FAIL", "skip"};
    Tally *t = context;

    t->count[test->verdict]++;
    t->random += test->random != NULL;
    t->told++;
    if (test->verdict != PASSED || t->o->verbose) {
        clear_progress(t);
        if (t->o->list_failures && test->verdict == FAILED)
            printf("%s\n", test->name);
        else if (!t->o->list_failures && test->verdict == PASSED)
            printf("PASS %s (%.2f s)%s%s\n", test->name, test->seconds,
                   test->random ? "; random, dtype and dims alone compared: " : "",
                   test->random ? test->random : "");
        else if (!t->o->list_failures)
            printf("%s %s: %s\n", word[test->verdict], test->name, test->why);
        fflush(stdout);
    }
    if (t->terminal)
        fprintf(stderr, "\r\033[K%d of %d, %d failed, %d running", t->told, t->total,
                t->count[FAILED], running);
}

static Status write_json(const Options *o, const TestList *tests, const Tally *tally, Diag *d)
{
    static const char *const word[] = {"passed", "failed", "skipped"};
    Text t;

    text_init(&t, o->arena);
    text_put(&t, "{\"tests\": [");
    for (int i = 0; i < tests->n; i++) {
        const Test *test = &tests->item[i];
        text_put(&t, i ? ",\n{\"name\": " : "\n{\"name\": ");
        Json j;
        json_init(&j, &t);
        json_string(&j, test->name);
        text_f(&t, ", \"result\": \"%s\", \"seconds\": %.4f", word[test->verdict], test->seconds);
        if (test->why && *test->why) {
            text_put(&t, ", \"why\": ");
            json_init(&j, &t);
            json_string(&j, test->why);
        }
        if (test->details) text_f(&t, ", \"nodes\": %s", test->details);
        text_char(&t, '}');
    }
    text_f(&t, "],\n\"passed\": %d, \"failed\": %d, \"skipped\": %d}\n", tally->count[PASSED],
           tally->count[FAILED], tally->count[SKIPPED]);
    if (strcmp(o->json_file, "-") == 0) {
        fwrite(t.s, 1, t.n, stdout);
        return OK;
    }
    return file_write_all(o->json_file, 0644, t.s, t.n, d);
}

/* The number in FILE, behind comments of '#'. */
static Status read_floor(const Options *o, int64_t *out, Diag *d)
{
    char *text, *save = NULL;
    FileBytes bytes;

    TRY(file_read(o->floor, &bytes, d));
    text = arena_strndup(o->arena, (const char *)bytes.data, bytes.size);
    file_close(&bytes);
    for (char *s = strtok_r(text, "\r\n", &save); s; s = strtok_r(NULL, "\r\n", &save))
        if (*s != '#' && parse_i64(s, out)) return OK;
    return diag(d, ERR_USAGE, (Where){.file = o->floor}, "expected a line with a number");
}

static Status conclude(const Options *o, const Tally *t, Diag *d)
{
    int64_t floor;

    if (!o->floor) return t->count[FAILED] ? ERR_MISMATCH : OK;
    TRY(read_floor(o, &floor, d));
    if (t->count[PASSED] >= floor) return OK;
    return diag(d, ERR_MISMATCH, (Where){0}, "%d passed, the floor is %lld", t->count[PASSED],
                (long long)floor);
}

static Status prepare(const Options *o, TestList *tests, Options *each, int *jobs, Diag *d)
{
    if (o->jobs.given && o->jobs.value < 1)
        return diag(d, ERR_USAGE, (Where){0}, "-j takes a number of at least 1");
    if (o->timeout.given && o->timeout.value < 1)
        return diag(d, ERR_USAGE, (Where){0}, "--timeout takes seconds, at least 1");
    if (o->update && (o->eval || o->interpret))
        return diag(d, ERR_USAGE, (Where){0}, "--update records generated code alone");
    for (int i = 0; i < o->argument.n; i++)
        TRY(test_find(o->argument.item[i], o->filter, o->arena, tests, d));
    *jobs = o->jobs.given ? (int)(o->jobs.value > 256 ? 256 : o->jobs.value) : jobs_cores();
    *each = *o;
    each->jobs = (OptionINT){true, tests->n > 1 ? 1 : 0};
    return OK;
}

Status cmd_test(const Options *o, Diag *d)
{
    TestList tests = {0};
    Tally tally = {.o = o, .terminal = isatty(STDERR_FILENO) != 0};
    Options each;
    int jobs = 1;

    TRY(prepare(o, &tests, &each, &jobs, d));
    tally.total = tests.n;
    TRY(test_crowd(&each, &tests, jobs, told, &tally, d));
    clear_progress(&tally);
    if (o->json_file) TRY(write_json(o, &tests, &tally, d));
    if (!o->json_file || strcmp(o->json_file, "-") != 0) {
        if (tally.random)
            printf("random numbers: %d of those passed have outputs of which dtype and dims alone "
                   "were compared\n",
                   tally.random);
        printf("%d passed, %d failed, %d skipped\n", tally.count[PASSED], tally.count[FAILED],
               tally.count[SKIPPED]);
    }
    return conclude(o, &tally, d);
}
