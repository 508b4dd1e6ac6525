/* UUIDs (RFC 9562) as text. Any thread. */
#ifndef ESS_CRYPTO_UUID_H
#define ESS_CRYPTO_UUID_H

#include <stdbool.h>
#include <stdint.h>

/* Writes a UUIDv7 of a wall clock and 10 random bytes. UUIDs sort by millisecond. */
void uuid_v7(int64_t wall_ms, const unsigned char random[10], char out[37]);
/* Writes a random UUIDv4 from the system's randomness; aborts without randomness. */
void uuid_v4(char out[37]);
/* Whether `text` is a UUID as written here: 36 characters, lower-case hex digits and dashes. */
bool uuid_check(const char *text);

#endif
