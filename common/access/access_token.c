/* Access tokens; see access_token.h. 32 random bytes cannot be guessed, so a plain hash is
 * enough. */
#include "common/access/access_token.h"

#include <openssl/rand.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/hex.h"

void access_token_make(char out[ACCESS_TOKEN_BYTES]) {
    unsigned char random[32];
    if (RAND_bytes(random, sizeof random) != 1)
        abort();
    snprintf(out, ACCESS_TOKEN_BYTES, "ess_");
    hex_put(random, sizeof random, out + 4);
}

void access_token_hash(struct span token, char out[ACCESS_TOKEN_HASH_BYTES]) {
    unsigned char digest[SHA256_DIGEST_LENGTH];
    SHA256((const unsigned char *)token.data, token.len, digest);
    hex_put(digest, sizeof digest, out);
}
