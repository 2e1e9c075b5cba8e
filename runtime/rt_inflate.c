/* rt_inflate.c: deflate (RFC 1951) undone, and the checksum of zip and PNG.
 *
 * Our own, because an executable then needs no other library and is 35 KB smaller than with zlib.
 * All of the input and room for all of the output lie in memory, so there is no window: a match is
 * copied from the output itself. Codes up to 9 bits are looked up, longer ones are decoded bit by
 * bit from the counts of each length (canonical codes). */
#include <string.h>

#include "runtime/rt_io.h"

enum { FAST_BITS = 9, MOST_BITS = 15, LITERALS = 288, DISTANCES = 30 };

typedef struct Bits {
    const uint8_t *at, *end;
    uint64_t hold; /* the next `count` bits, first in the lowest; zeros above */
    unsigned count;
    bool over; /* more was taken than there is */
} Bits;

typedef struct Huffman {
    uint16_t fast[1 << FAST_BITS]; /* length << 9 | symbol; 0: longer, or no code */
    uint16_t count[MOST_BITS + 1]; /* codes of each length */
    uint16_t symbol[LITERALS];     /* in the order of their codes */
} Huffman;

typedef struct Output {
    uint8_t *data;
    size_t n, size;
} Output;

static void refill(Bits *b)
{
    while (b->count <= 56 && b->at < b->end) {
        b->hold |= (uint64_t)*b->at++ << b->count;
        b->count += 8;
    }
}

static void drop(Bits *b, unsigned n)
{
    if (n > b->count) {
        b->over = true;
        n = b->count;
    }
    b->hold >>= n;
    b->count -= n;
}

/* The next n <= 16 bits. */
static unsigned take(Bits *b, unsigned n)
{
    unsigned v;

    refill(b);
    v = (unsigned)(b->hold & ((1u << n) - 1));
    drop(b, n);
    return v;
}

static unsigned reverse(unsigned code, unsigned n)
{
    unsigned r = 0;

    for (unsigned i = 0; i < n; i++)
        r |= (code >> i & 1) << (n - 1 - i);
    return r;
}

/* From the length of each symbol's code; false when there are more codes than fit. */
static bool make_huffman(Huffman *h, const uint8_t *length, unsigned n)
{
    uint16_t offset[MOST_BITS + 2] = {0}, next[MOST_BITS + 2] = {0};
    int32_t left = 1;

    memset(h, 0, sizeof *h);
    for (unsigned i = 0; i < n; i++)
        h->count[length[i]]++;
    h->count[0] = 0;
    for (unsigned k = 1; k <= MOST_BITS; k++) {
        left = left * 2 - h->count[k];
        if (left < 0) return false;
        offset[k + 1] = (uint16_t)(offset[k] + h->count[k]);
        next[k + 1] = (uint16_t)((next[k] + h->count[k]) << 1);
    }
    for (unsigned i = 0; i < n; i++) {
        unsigned k = length[i];
        if (!k) continue;
        h->symbol[offset[k]++] = (uint16_t)i;
        unsigned code = reverse(next[k]++, k);
        for (; k <= FAST_BITS && code < 1u << FAST_BITS; code += 1u << k)
            h->fast[code] = (uint16_t)(k << 9 | i);
    }
    return true;
}

/* The next symbol, or -1. */
static int decode(Bits *b, const Huffman *h)
{
    int32_t code = 0, first = 0, index = 0;
    unsigned entry;

    refill(b);
    entry = h->fast[b->hold & ((1u << FAST_BITS) - 1)];
    if (entry) {
        drop(b, entry >> 9);
        return (int)(entry & 511);
    }
    for (unsigned k = 1; k <= MOST_BITS; k++) {
        code |= (int32_t)(b->hold >> (k - 1) & 1);
        if (code - first < h->count[k]) {
            drop(b, k);
            return h->symbol[index + code - first];
        }
        index += h->count[k];
        first = (first + h->count[k]) << 1;
        code <<= 1;
    }
    return -1;
}

static bool stored_block(Bits *b, Output *o)
{
    unsigned length, check;

    take(b, b->count % 8);
    length = take(b, 16);
    check = take(b, 16);
    if (b->over || length != (~check & 0xffff)) return false;
    for (; length > 0 && o->n < o->size; length--)
        o->data[o->n++] = (uint8_t)take(b, 8);
    return !b->over;
}

static const uint16_t length_base[] = {3,  4,  5,  6,   7,   8,   9,   10,  11, 13,
                                       15, 17, 19, 23,  27,  31,  35,  43,  51, 59,
                                       67, 83, 99, 115, 131, 163, 195, 227, 258};
static const uint8_t length_more[] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2,
                                      2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};
static const uint16_t distance_base[] = {
    1,   2,   3,   4,   5,   7,    9,    13,   17,   25,   33,   49,   65,    97,    129,
    193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577};

static bool coded_block(Bits *b, Output *o, const Huffman *literals, const Huffman *distances)
{
    while (o->n < o->size) {
        int s = decode(b, literals), d;

        if (s < 0 || b->over || s > 285) return false;
        if (s == 256) return true;
        if (s < 256) {
            o->data[o->n++] = (uint8_t)s;
            continue;
        }
        size_t length = length_base[s - 257] + (size_t)take(b, length_more[s - 257]);
        d = decode(b, distances);
        if (d < 0 || d >= DISTANCES) return false;
        size_t distance = distance_base[d] + (size_t)take(b, d < 2 ? 0 : (unsigned)(d / 2 - 1));
        if (b->over || distance > o->n) return false;
        if (length > o->size - o->n) length = o->size - o->n;
        for (; length > 0; length--, o->n++) /* bytes may overlap: one by one */
            o->data[o->n] = o->data[o->n - distance];
    }
    return true;
}

static bool fixed_block(Bits *b, Output *o)
{
    Huffman literals, distances;
    uint8_t length[LITERALS];

    for (unsigned i = 0; i < LITERALS; i++)
        length[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8;
    make_huffman(&literals, length, LITERALS);
    memset(length, 5, DISTANCES);
    make_huffman(&distances, length, DISTANCES);
    return coded_block(b, o, &literals, &distances);
}

/* The lengths of both codes, themselves coded, with runs. */
static bool read_lengths(Bits *b, const Huffman *h, uint8_t *length, unsigned n)
{
    for (unsigned i = 0; i < n;) {
        int s = decode(b, h);
        unsigned run = 1, v = 0;

        if (s < 0 || b->over) return false;
        if (s < 16) {
            v = (unsigned)s;
        } else if (s == 16) {
            if (i == 0) return false;
            v = length[i - 1];
            run = 3 + take(b, 2);
        } else {
            run = s == 17 ? 3 + take(b, 3) : 11 + take(b, 7);
        }
        if (run > n - i) return false;
        while (run-- > 0)
            length[i++] = (uint8_t)v;
    }
    return true;
}

static bool dynamic_block(Bits *b, Output *o)
{
    static const uint8_t order[] = {16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
                                    11, 4,  12, 3, 13, 2, 14, 1, 15};
    Huffman literals, distances;
    uint8_t length[LITERALS + 32] = {0};
    unsigned n_literals = 257 + take(b, 5), n_distances = 1 + take(b, 5), n_order = 4 + take(b, 4);

    if (n_literals > 286) return false;
    for (unsigned i = 0; i < n_order; i++)
        length[order[i]] = (uint8_t)take(b, 3);
    if (b->over || !make_huffman(&literals, length, 19)) return false;
    if (!read_lengths(b, &literals, length, n_literals + n_distances)) return false;
    return make_huffman(&distances, length + n_literals, n_distances) &&
           make_huffman(&literals, length, n_literals) && coded_block(b, o, &literals, &distances);
}

bool ingot_rt_inflate(const uint8_t *from, size_t packed, uint8_t *to, size_t size)
{
    Bits b = {.at = from, .end = from + packed};
    Output o = {.data = to, .size = size};
    bool last = false, good = true;

    while (!last && good && o.n < o.size) {
        last = take(&b, 1);
        switch (take(&b, 2)) {
        case 0:
            good = stored_block(&b, &o);
            break;
        case 1:
            good = fixed_block(&b, &o);
            break;
        case 2:
            good = dynamic_block(&b, &o);
            break;
        default:
            good = false;
        }
    }
    return good && o.n == o.size;
}

uint32_t ingot_rt_crc32(uint32_t crc, const void *data, size_t size)
{
    static const uint32_t table[16] = {/* of four bits */
                                       0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac,
                                       0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
                                       0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
                                       0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
    const uint8_t *p = data;

    crc = ~crc;
    for (size_t i = 0; i < size; i++) {
        crc = table[(crc ^ p[i]) & 15] ^ crc >> 4;
        crc = table[(crc ^ (unsigned)p[i] >> 4) & 15] ^ crc >> 4;
    }
    return ~crc;
}
