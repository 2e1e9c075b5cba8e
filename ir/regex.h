/* regex.h: regular expressions in the syntax of RE2 (github.com/google/re2/wiki/Syntax), matched
 * against strings of UTF-8 in time linear in the length of what is looked at.
 *
 * A pattern becomes a tree, and the tree a program of a nondeterministic machine, which the runtime
 * steps through each string (runtime/rt_regex.c). The evaluator walks the tree instead. Left
 * out, and refused by name: Unicode classes (\p, \P), single bytes (\C); what RE2 itself refuses
 * (back references, looking ahead or behind) is refused too. */
#ifndef INGOT_IR_REGEX_H
#define INGOT_IR_REGEX_H

#include "ir/type.h"

/* What must hold between two characters. */
typedef enum RegexPlace {
    PLACE_TEXT_START,
    PLACE_TEXT_END,
    PLACE_LINE_START,
    PLACE_LINE_END,
    PLACE_WORD_EDGE,
    PLACE_NO_WORD_EDGE
} RegexPlace;

typedef struct RegexRange {
    int32_t low, high; /* code points, both included */
} RegexRange;

typedef enum RegexKind {
    REGEX_EMPTY,
    REGEX_SET, /* one character out of ranges; without any: none */
    REGEX_PLACE,
    REGEX_CAT,
    REGEX_ALT,
    REGEX_REPEAT
} RegexKind;

typedef struct RegexNode RegexNode;
struct RegexNode {
    RegexKind kind;
    int n_range;
    const RegexRange *range; /* SET: sorted, apart */
    RegexPlace place;
    int min, max;               /* REPEAT; max -1: any number */
    RegexNode *kid;             /* CAT, ALT, REPEAT: the first */
    RegexNode *next, *last_kid; /* the next of its siblings */
};

/* NULL when the pattern is not understood; then *why says what, in words of the arena. */
const RegexNode *regex_parse(Arena *a, StringRef pattern, const char **why);
/* The end of the longest match that begins at byte `at`; -1: none, or no memory. */
int64_t regex_longest(const RegexNode *tree, StringRef s, int64_t at);
/* Does the whole of s match? False without memory. */
bool regex_match(const RegexNode *tree, StringRef s);

/* One instruction is three numbers. */
typedef enum RegexOp {
    REGEX_MATCH,
    REGEX_IN,    /* a character of ranges [x, x + y), then the next instruction */
    REGEX_SPLIT, /* instruction x, or y */
    REGEX_JUMP,  /* instruction x */
    REGEX_AT     /* place x, then the next instruction */
} RegexOp;
enum { REGEX_MOST = 1 << 16 }; /* instructions */

/* program: i32[n,3]; ranges: i32[m,2], m >= 1. False when it has more than REGEX_MOST instructions
 * or there is no memory. */
bool regex_compile(Arena *a, const RegexNode *tree, Tensor **program, Tensor **ranges);

#endif
