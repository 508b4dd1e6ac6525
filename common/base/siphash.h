/* SipHash-2-4 with 128 bits: a keyed hash of bytes. Who does not know the key cannot prepare two
 * texts of one hash. Pure. */
#ifndef ESS_BASE_SIPHASH_H
#define ESS_BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

enum { SIPHASH_KEY_BYTES = 16 };

/* The 16 bytes of the hash are out[0] and then out[1], each little-endian. */
void siphash128(const unsigned char key[SIPHASH_KEY_BYTES], const void *data, size_t len,
                uint64_t out[2]);

#endif
