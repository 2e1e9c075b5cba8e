/* cmd_check.h: what `ingot check` holds against each other.
 *
 *   check_values.c   generated code against the reference evaluator, or against printed C
 *   check_bits.c     generated code against itself: threads, targets, batch, static dims
 *   check_cuda.c     kernels printed as CUDA C, for NVRTC to accept
 *   cmd_check.c      the command */
#ifndef INGOT_CLI_CMD_CHECK_H
#define INGOT_CLI_CMD_CHECK_H

#include "cli/tensors.h"
#include "cli/variant.h"

typedef struct Check {
    const Options *o; /* target, level, folding of what is checked */
    const char *model, *folder;
    const char *what; /* "x86-64-v3 -O2": in messages */
    int count[3];     /* passed, failed, skipped */
    Diag *d;
} Check;

/* Prints a line for a test: OK, FAIL with why, or skip with why. */
void check_passed(Check *c, const char *format, ...) PRINTF(2, 3);
void check_failed(Check *c, const char *format, ...) PRINTF(2, 3);
void check_skipped(Check *c, const char *format, ...) PRINTF(2, 3);

/* The first of a's tensors that differs from b's, in the order in which they are computed: its
 * number, or -1. Results of both modules are numbered alike. */
int check_first_difference(const Comparison *how, const Module *m, const ingot_tensor *a,
                           const ingot_tensor *b, int n_first, Arena *arena, const char **why);

Status check_evaluator(Check *c) MUST_USE;
Status check_plain_c(Check *c) MUST_USE;
Status check_cuda(Check *c) MUST_USE;
Status check_bits(Check *c) MUST_USE;

#endif
