/* jobs.h: independent compile jobs on threads. */
#ifndef INGOT_SUPPORT_JOBS_H
#define INGOT_SUPPORT_JOBS_H

#include "support/diag.h"

/* Run body(context, i, thread) for i in [0, count) on up to `threads` threads (0 = number of
 * cores), the caller's included. Jobs are taken in index order. Returns the status of the lowest
 * failing index; all jobs taken are finished first. `thread` is in [0, threads). */
typedef Status (*JobBody)(void *context, int64_t i, int thread);
Status jobs_run(int threads, int64_t count, JobBody body, void *context) MUST_USE;
int jobs_cores(void); /* usable cores, at least 1 */

#endif
