/* digest.h: 128-bit content digests (kernel cache, duplicate kernels, constants named in IR text).
 * No two texts that somebody is able to find have the same one; not meant for signatures. */
#ifndef INGOT_SUPPORT_DIGEST_H
#define INGOT_SUPPORT_DIGEST_H

#include <stddef.h>
#include <stdint.h>

typedef struct Digest {
    uint64_t hi, lo;
} Digest;

Digest digest_bytes(const void *data, size_t size);
Digest digest_mix(Digest d, const void *data, size_t size); /* order matters */
void digest_text(Digest d, char out[33]);                   /* 32 hex digits and NUL */

#endif
