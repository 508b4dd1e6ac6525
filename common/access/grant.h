/* A grant: what the bearer of one access token may do. The operator's stand in auth.file, each with
 * the SHA-256 of its token:
 *
 *   tokens:
 *     - name: rules-engine
 *       sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
 *       scopes: ["publish:drug.*", "read:*"]
 *       expires: 2027-01-01T00:00:00Z
 *
 * Tokens are random and long, so a plain hash is enough to keep. One thread: grants are counted
 * references. */
#ifndef ESS_MODEL_GRANT_H
#define ESS_MODEL_GRANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/access/scope.h"
#include "common/base/error.h"
#include "common/base/span.h"

enum {
    GRANT_DIGEST_BYTES = 32,
    GRANT_NAME_BYTES = 65,
    GRANT_SCOPES_MAX = 100,
    GRANTS_MAX = 1000,
    GRANTS_FILE_BYTES_MAX = 1024 * 1024,
};

struct grant {
    unsigned references;
    char name[GRANT_NAME_BYTES];
    unsigned char digest[GRANT_DIGEST_BYTES]; /* SHA-256 of the token */
    int64_t expires_ms;                       /* wall; -1: never */
    char subscriber[GRANT_NAME_BYTES];        /* its id, when it is a subscriber's own; "" for the
                                                 operator's */
    char registration_id[37]; /* and its registration: of another under the same id it says nothing
                               */
    size_t scopes_count;
    struct scope scopes[];
};

/* A new one with one reference and room for the scopes, the rest all zero but `expires_ms`. */
struct grant *grant_new(size_t scopes_count);
struct grant *grant_keep(struct grant *grant);
void grant_release(struct grant *grant); /* NULL is allowed */

/* Whether both allow the same to the same. */
bool grant_equal(const struct grant *a, const struct grant *b);

/* SHA-256 of a token. */
void grant_digest(struct span token, unsigned char digest[GRANT_DIGEST_BYTES]);
/* Compares in constant time. */
bool grant_digest_equal(const unsigned char a[GRANT_DIGEST_BYTES],
                        const unsigned char b[GRANT_DIGEST_BYTES]);
void grant_digest_format(const unsigned char digest[GRANT_DIGEST_BYTES],
                         char hex[2 * GRANT_DIGEST_BYTES + 1]);
/* 64 hex digits to a digest. Returns 0 or -1. */
int grant_digest_parse(struct span hex, unsigned char digest[GRANT_DIGEST_BYTES]);

/* Those of a file. */
struct grants {
    struct grant **items;
    size_t count;
};

/* Reads auth.file's text. Names and tokens are unique. Returns 0, or -1 with "<line>: <field>:
 * <reason>" and nothing to free. */
int grants_from_yaml(struct grants *grants, struct span text, struct error *err);
/* Looks at all of them, whichever it is. NULL when there is none. */
struct grant *grants_find(const struct grants *grants,
                          const unsigned char digest[GRANT_DIGEST_BYTES]);
/* Takes over the grants of `old` that are the same, so that those who hold one see whether it is
 * still there. */
void grants_keep_same(struct grants *grants, const struct grants *old);
void grants_fini(struct grants *grants);

#endif
