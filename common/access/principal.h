/* A principal: what the bearer of an access token may do. Operators list tokens in auth.file, each
 * by its SHA-256:
 *
 *   tokens:
 *     - name: rules-engine
 *       sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
 *       scopes: ["publish:drug.*", "read:*"]
 *       expires: 2027-01-01T00:00:00Z
 *
 * Tokens are random and long, so a plain hash is enough. One thread: references are counted. */
#ifndef ESS_ACCESS_PRINCIPAL_H
#define ESS_ACCESS_PRINCIPAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/access/scope.h"
#include "common/base/error.h"
#include "common/base/span.h"

enum {
    PRINCIPAL_DIGEST_BYTES = 32,
    PRINCIPAL_NAME_BYTES = 65,
    PRINCIPAL_SCOPES_MAX = 100,
    PRINCIPALS_MAX = 1000,
    PRINCIPALS_FILE_BYTES_MAX = 1024 * 1024,
};

struct principal {
    unsigned references;
    char name[PRINCIPAL_NAME_BYTES];
    unsigned char digest[PRINCIPAL_DIGEST_BYTES]; /* SHA-256 of the token */
    int64_t expires_ms;                           /* wall; -1: never */
    /* Id of the subscriber whose own token this is; "" for an operator's token. */
    char subscriber[PRINCIPAL_NAME_BYTES];
    /* The subscriber's registration id: a later registration under the same id is another
     * subscriber. */
    char registration_id[37];
    size_t scopes_count;
    struct scope scopes[];
};

/* Makes a principal with one reference and room for the scopes; all zero, but never expiring. */
struct principal *principal_new(size_t scopes_count);
struct principal *principal_keep(struct principal *principal);
void principal_release(struct principal *principal); /* NULL is allowed */

/* Whether both allow the same actions under the same name. */
bool principal_equal(const struct principal *a, const struct principal *b);

/* Hashes a token with SHA-256. */
void principal_digest(struct span token, unsigned char digest[PRINCIPAL_DIGEST_BYTES]);
/* Compares in constant time. */
bool principal_digest_equal(const unsigned char a[PRINCIPAL_DIGEST_BYTES],
                            const unsigned char b[PRINCIPAL_DIGEST_BYTES]);
/* Reads 64 hex digits. Returns 0 or -1. */
int principal_digest_parse(struct span hex, unsigned char digest[PRINCIPAL_DIGEST_BYTES]);

/* The principals of a file. */
struct principals {
    struct principal **items;
    size_t count;
};

/* Reads the text of auth.file. Names and tokens must be unique. Returns 0, or -1 with "<line>:
 * <field>: <reason>" and nothing to free. */
int principals_from_yaml(struct principals *principals, struct span text, struct error *err);
/* Compares all, in constant time. Returns NULL for an unknown token. */
struct principal *principals_find(const struct principals *principals,
                                  const unsigned char digest[PRINCIPAL_DIGEST_BYTES]);
/* Takes over unchanged principals of `old`, so that a holder sees by the pointer whether a
 * principal is still listed. */
void principals_keep_same(struct principals *principals, const struct principals *old);
void principals_fini(struct principals *principals);

#endif
