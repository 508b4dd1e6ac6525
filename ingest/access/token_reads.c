/* Reads by access token; see token_reads.h. */
#include "ingest/access/token_reads.h"

#include <stdlib.h>
#include <uthash.h>

#include "common/access/principal.h"
#include "common/base/buf.h"

struct token_reads_of {
    UT_hash_handle hh;
    unsigned char digest[PRINCIPAL_DIGEST_BYTES];
    int64_t count;
};

struct token_reads {
    struct token_reads_of *by_digest;
    int64_t max;
};

struct token_reads *token_reads_new(int64_t max) {
    struct token_reads *reads = mem_zero(sizeof *reads);
    reads->max = max;
    return reads;
}

void token_reads_free(struct token_reads *reads) { free(reads); }

struct token_reads_of *token_reads_begin(struct token_reads *reads,
                                         const struct principal *principal) {
    struct token_reads_of *of;
    HASH_FIND(hh, reads->by_digest, principal->digest, sizeof principal->digest, of);
    if (of && reads->max && of->count >= reads->max)
        return NULL;
    if (!of) {
        of = mem_zero(sizeof *of);
        memcpy(of->digest, principal->digest, sizeof of->digest);
        HASH_ADD(hh, reads->by_digest, digest, sizeof of->digest, of);
    }
    of->count++;
    return of;
}

void token_reads_end(struct token_reads *reads, struct token_reads_of *of) {
    if (!of || --of->count)
        return;
    HASH_DEL(reads->by_digest, of);
    free(of);
}
