/* A bearer token: made at random, shown once, kept as a SHA-256 hash. Any thread. */
#ifndef ESS_ACCESS_ACCESS_TOKEN_H
#define ESS_ACCESS_ACCESS_TOKEN_H

#include "common/base/span.h"

enum { ACCESS_TOKEN_BYTES = 4 + 64 + 1, ACCESS_TOKEN_HASH_BYTES = 65 };

/* "ess_" and 64 hex digits. */
void access_token_make(char out[ACCESS_TOKEN_BYTES]);

/* Lower-case hex of the SHA-256. */
void access_token_hash(struct span token, char out[ACCESS_TOKEN_HASH_BYTES]);

#endif
