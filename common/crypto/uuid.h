/* UUIDs (RFC 9562) as text. Any thread. */
#ifndef ESS_MODEL_UUID_H
#define ESS_MODEL_UUID_H

#include <stdbool.h>
#include <stdint.h>

/* A UUIDv7 of a wall clock and 10 random bytes: those of later milliseconds sort behind. */
void uuid_v7(int64_t wall_ms, const unsigned char random[10], char out[37]);
/* A new random UUIDv4 from the system's randomness; aborts when there is none. */
void uuid_v4(char out[37]);
/* Whether it is one as they are written here: 36 characters, lower-case hex digits and dashes. */
bool uuid_check(const char *text);

#endif
