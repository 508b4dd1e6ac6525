/* SipHash-2-4 with 128 bits: a keyed hash. Without the key, nobody can find two texts with equal
 * hashes. Pure. */
#ifndef ESS_BASE_SIPHASH_H
#define ESS_BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

enum { SIPHASH_KEY_BYTES = 16 };

/* Writes the 16 bytes of the hash to out[0], then out[1], each little-endian. */
void siphash128(const unsigned char key[SIPHASH_KEY_BYTES], const void *data, size_t len,
                uint64_t out[2]);

#endif
