/* Counts the replays, polls and streams under way for each access token. Beyond
 * ingest.max_reads_per_token a read is refused, so one leaked token cannot exhaust the readers.
 * Loop thread only. */
#ifndef ESS_INGEST_TOKEN_READS_H
#define ESS_INGEST_TOKEN_READS_H

#include <stdint.h>

struct principal;
struct token_reads;
struct token_reads_of; /* the reads of one access token */

/* Each token may have `max` reads under way; 0: no limit. */
struct token_reads *token_reads_new(int64_t max);
/* Every read must have ended. NULL is allowed. */
void token_reads_free(struct token_reads *reads);

/* Counts another read. NULL: the access token is at its limit. */
struct token_reads_of *token_reads_begin(struct token_reads *reads,
                                         const struct principal *principal);
/* Counts the end of a read. `of` is the result of token_reads_begin; NULL is allowed. */
void token_reads_end(struct token_reads *reads, struct token_reads_of *of);

#endif
