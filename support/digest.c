/* digest.c: BLAKE2b (RFC 7693) cut to 128 bits; a mix is the keyed form, with the digest so far as
 * the key.
 *
 * The users need speed more than secrecy, but a cache of machine code is keyed by this: somebody
 * who writes a model must not be able to make a kernel that takes the place of another's. 128 bits
 * keep chance and such plans out; it is not meant for signatures. */
#include "support/digest.h"

#include <stdio.h>
#include <string.h>

enum { BLOCK = 128, ROUNDS = 12 };

static const uint64_t iv[8] = {
    0x6a09e667f3bcc908u, 0xbb67ae8584caa73bu, 0x3c6ef372fe94f82bu, 0xa54ff53a5f1d36f1u,
    0x510e527fade682d1u, 0x9b05688c2b3e6c1fu, 0x1f83d9abfb41bd6bu, 0x5be0cd19137e2179u,
};

/* RFC 7693, 2.7; rounds 10 and 11 use rows 0 and 1 again. */
static const uint8_t sigma[10][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
    {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
    {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
    {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
    {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
    {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
    {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
    {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
    {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
    {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
};

typedef struct Blake {
    uint64_t h[8];
    uint64_t length; /* bytes taken so far, the key's block included */
} Blake;

static uint64_t rotate_right(uint64_t x, int n)
{
    return x >> n | x << (64 - n);
}

static uint64_t load(const uint8_t *p)
{
    uint64_t w;
    memcpy(&w, p, sizeof w);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    w = __builtin_bswap64(w);
#endif
    return w;
}

static inline void quarter(uint64_t *a, uint64_t *b, uint64_t *c, uint64_t *d, uint64_t x,
                           uint64_t y)
{
    *a += *b + x;
    *d = rotate_right(*d ^ *a, 32);
    *c += *d;
    *b = rotate_right(*b ^ *c, 24);
    *a += *b + y;
    *d = rotate_right(*d ^ *a, 16);
    *c += *d;
    *b = rotate_right(*b ^ *c, 63);
}

/* Take one block; `used` of its bytes are the message's, the rest is zero. */
static void take_block(Blake *s, const uint8_t *block, size_t used, int last)
{
    uint64_t v[16], m[16];

    s->length += used;
    for (int i = 0; i < 16; i++) {
        m[i] = load(block + 8 * i);
    }
    memcpy(v, s->h, sizeof s->h);
    memcpy(v + 8, iv, sizeof iv);
    v[12] ^= s->length;
    if (last) v[14] = ~v[14];
    for (int r = 0; r < ROUNDS; r++) {
        const uint8_t *o = sigma[r % 10];
        for (int i = 0; i < 4; i++) {
            quarter(v + i, v + 4 + i, v + 8 + i, v + 12 + i, m[o[2 * i]], m[o[2 * i + 1]]);
        }
        for (int i = 0; i < 4; i++) {
            quarter(v + i, v + 4 + (i + 1) % 4, v + 8 + (i + 2) % 4, v + 12 + (i + 3) % 4,
                    m[o[8 + 2 * i]], m[o[9 + 2 * i]]);
        }
    }
    for (int i = 0; i < 8; i++) {
        s->h[i] ^= v[i] ^ v[i + 8];
    }
}

static Digest blake(const uint8_t *key, size_t key_size, const uint8_t *data, size_t size)
{
    Blake s = {.length = 0};
    uint8_t block[BLOCK] = {0};

    memcpy(s.h, iv, sizeof iv);
    s.h[0] ^= 0x01010000u ^ (uint64_t)key_size << 8 ^ sizeof(Digest);
    if (key_size) {
        memcpy(block, key, key_size);
        take_block(&s, block, BLOCK, size == 0);
        memset(block, 0, sizeof block);
    }
    for (; size > BLOCK; data += BLOCK, size -= BLOCK) {
        take_block(&s, data, BLOCK, 0);
    }
    if (size || !key_size) {
        if (size) memcpy(block, data, size);
        take_block(&s, block, size, 1);
    }
    return (Digest){__builtin_bswap64(s.h[0]), __builtin_bswap64(s.h[1])};
}

Digest digest_bytes(const void *data, size_t size)
{
    return blake(NULL, 0, data, size);
}

static void put_bytes(uint8_t *to, uint64_t v)
{
    for (int i = 0; i < 8; i++) {
        to[i] = (uint8_t)(v >> (56 - 8 * i));
    }
}

Digest digest_mix(Digest d, const void *data, size_t size)
{
    uint8_t key[sizeof(Digest)];

    put_bytes(key, d.hi);
    put_bytes(key + 8, d.lo);
    return blake(key, sizeof key, data, size);
}

void digest_text(Digest d, char out[33])
{
    snprintf(out, 33, "%016llx%016llx", (unsigned long long)d.hi, (unsigned long long)d.lo);
}
