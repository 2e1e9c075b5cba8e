/* unicode.h: UTF-8 and the simple case mappings, without any locale. */
#ifndef INGOT_IR_UNICODE_H
#define INGOT_IR_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { UNICODE_TOP = 0x10ffff, UTF8_LONGEST = 4 };

/* The code point at s, and its length in *n; -1 and length 1 where the bytes are not UTF-8. */
int32_t utf8_decode(const char *s, size_t left, size_t *n);
/* Bytes written to out. */
size_t utf8_encode(int32_t c, char out[UTF8_LONGEST]);

typedef enum CaseWay { CASE_LOWER, CASE_UPPER } CaseWay;

/* Every step-th code point from first to last goes to itself plus delta. */
typedef struct CaseRow {
    CaseWay way;
    int32_t first, last, step, delta;
} CaseRow;

/* Rows of one way, in order of `first`. */
const CaseRow *unicode_case_rows(CaseWay way, int *count);
int32_t unicode_case(CaseWay way, int32_t c);
/* All code points that differ from c in case alone, c among them; returns how many. */
enum { UNICODE_ORBIT = 8 };
int unicode_orbit(int32_t c, int32_t out[UNICODE_ORBIT]);

#endif
