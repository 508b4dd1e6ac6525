/* Reads by access token; see token_reads.h. */
#include "ingest/access/token_reads.h"

#include <stdlib.h>
#include <uthash.h>

#include "common/access/grant.h"
#include "ingest/ingest.h"

struct token_reads {
    UT_hash_handle hh;
    unsigned char digest[GRANT_DIGEST_BYTES];
    int64_t count;
};

struct token_reads *token_reads_begin(struct ingest *ingest, const struct grant *grant) {
    struct token_reads *reads;
    int64_t max = ingest->settings.ingest.max_reads_per_token;
    HASH_FIND(hh, ingest->token_reads, grant->digest, sizeof grant->digest, reads);
    if (reads && max && reads->count >= max)
        return NULL;
    if (!reads) {
        reads = mem_zero(sizeof *reads);
        memcpy(reads->digest, grant->digest, sizeof reads->digest);
        HASH_ADD(hh, ingest->token_reads, digest, sizeof reads->digest, reads);
    }
    reads->count++;
    return reads;
}

void token_reads_end(struct ingest *ingest, struct token_reads *reads) {
    if (!reads || --reads->count)
        return;
    HASH_DEL(ingest->token_reads, reads);
    free(reads);
}
