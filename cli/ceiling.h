/* ceiling.h: GFLOP/s of multiply-adds that this machine reaches now, on so many threads. */
#ifndef INGOT_CLI_CEILING_H
#define INGOT_CLI_CEILING_H

#include "cli/cli.h"

/* Measured by a loop made for the target of the options. Threads: at least 1. */
typedef struct Ceiling Ceiling;
Status ceiling_open(const Options *o, const char *folder, int threads, Ceiling **out,
                    Diag *d) MUST_USE;
/* About 20 ms; the best so far is kept. */
Status ceiling_measure(Ceiling *c, Diag *d) MUST_USE;
double ceiling_gflops(const Ceiling *c);
void ceiling_close(Ceiling *c); /* NULL is fine */

#endif
