/* How many replays, polls and streams each access token has under way: beyond
 * ingest.max_reads_per_token another is refused, so that one leaked token does not take every
 * reader's place. Loop thread only. */
#ifndef ESS_INGEST_TOKEN_READS_H
#define ESS_INGEST_TOKEN_READS_H

#include <stdint.h>

struct principal;
struct token_reads;
struct token_reads_of; /* those of one token */

/* Each token may have `max` reads under way; 0: no limit. */
struct token_reads *token_reads_new(int64_t max);
/* When all reads have ended. NULL is allowed. */
void token_reads_free(struct token_reads *reads);

/* One more. NULL: the token has all that it may have. */
struct token_reads_of *token_reads_begin(struct token_reads *reads,
                                         const struct principal *principal);
/* `of`: what token_reads_begin gave; NULL is allowed. */
void token_reads_end(struct token_reads *reads, struct token_reads_of *of);

#endif
