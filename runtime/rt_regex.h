/* rt_regex.h: programs of regular expressions, as ir/regex.h makes them, stepped through strings.
 */
#ifndef INGOT_RUNTIME_RT_REGEX_H
#define INGOT_RUNTIME_RT_REGEX_H

#include "runtime/rt_text.h"

/* All ways to match are followed at once, one character at a time, so that the time is linear in
 * the length of what is looked at (https://swtch.com/~rsc/regexp/regexp2.html). */
typedef struct RtRegex {
    const int32_t (*code)[3], (*range)[2];
    int32_t most;                       /* instructions */
    int32_t *now, *next, *mark, *stack; /* [most] [most] [most] [2 most + 1] */
    int32_t n_now, n_next, round;
    bool matched;
} RtRegex;

/* A machine for programs of up to n instructions; `work` is 5 n + 1 numbers. */
INGOT_RT_HIDDEN RtRegex ingot_rt_regex(int64_t n, int32_t *work);
/* The end of the longest match that begins at byte `at`, -1 when there is none. */
INGOT_RT_HIDDEN int64_t ingot_rt_regex_longest(RtRegex *m, ingot_string s, int64_t at);

#endif
