/* test.h: `ingot test`: which models there are, one of them, and many in parallel.
 *
 *   test_find.c    folders -> tests
 *   test_one.c     one test: in a process of its own, so that a crash or a hang is its failure
 * alone test_crowd.c   starts those processes, a few at a time, and gathers what they say
 *   cmd_test.c     the command */
#ifndef INGOT_CLI_TEST_H
#define INGOT_CLI_TEST_H

#include "cli/cli.h"

typedef enum Verdict { PASSED, FAILED, SKIPPED } Verdict;

/* A model with test sets beside it. */
typedef struct Test {
    const char *name;   /* as printed: the folder as found from what was given */
    const char *folder; /* holds test_data_set_* and compare.txt */
    const char *model;
    Verdict verdict;
    const char *why;     /* of FAILED and SKIPPED: one line */
    const char *random;  /* of PASSED: outputs whose values were not compared, or NULL */
    const char *details; /* JSON of what became of the nodes; NULL: not known */
    double seconds;
    bool done;
} Test;

typedef struct TestList {
    Test *item;
    int n, cap;
} TestList;

/* All tests in `path` and below it, sorted. ERR_USAGE when there is none. */
Status test_find(const char *path, const char *filter, Arena *arena, TestList *out,
                 Diag *d) MUST_USE;
/* Runs it here. Messages go to `d`; details, if not NULL, gets a JSON object. *random: names of the
 * outputs that are random numbers, so that dtype and dims alone were compared; else NULL. */
Status test_run(const Options *o, const Test *t, const char *folder, Text *details,
                const char **random, Diag *d) MUST_USE;
/* Runs them all, `jobs` at a time; `done` is called in the order of the list. */
typedef void (*TestDone)(void *context, const Test *t, int running);
Status test_crowd(const Options *o, TestList *tests, int jobs, TestDone done, void *context,
                  Diag *d) MUST_USE;

#endif
