/* rt_sort.c: see rt_sort.h. Radix sort, the least byte first; a few pairs by insertion. */
#include "runtime/rt_sort.h"

enum { FEW = 32, DIGITS = 256 };

static void insert_all(RtPair *a, int64_t n)
{
    for (int64_t i = 1; i < n; i++) {
        RtPair moved = a[i];
        int64_t j = i;
        for (; j > 0 && a[j - 1].key > moved.key; j--)
            a[j] = a[j - 1];
        a[j] = moved;
    }
}

static void sort_by_byte(const RtPair *from, RtPair *to, int64_t n, int shift)
{
    int64_t place[DIGITS] = {0}, sum = 0;

    for (int64_t i = 0; i < n; i++)
        place[from[i].key >> shift & (DIGITS - 1)]++;
    for (int d = 0; d < DIGITS; d++) {
        int64_t count = place[d];
        place[d] = sum;
        sum += count;
    }
    for (int64_t i = 0; i < n; i++)
        to[place[from[i].key >> shift & (DIGITS - 1)]++] = from[i];
}

RtPair *ingot_rt_sort(RtPair *a, RtPair *b, int64_t n)
{
    uint64_t differ = 0;

    if (n <= FEW) {
        insert_all(a, n);
        return a;
    }
    for (int64_t i = 1; i < n; i++)
        differ |= a[i].key ^ a[0].key;
    for (int shift = 0; shift < 64; shift += 8) {
        RtPair *swap = a;
        if (!(differ >> shift & (DIGITS - 1))) continue;
        sort_by_byte(a, b, n, shift);
        a = b;
        b = swap;
    }
    return a;
}
