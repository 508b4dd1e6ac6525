/* How many replays, polls and streams each access token has under way: beyond
 * ingest.max_reads_per_token another is refused, so that one leaked token does not take every
 * reader's place. Loop thread only. */
#ifndef ESS_INGEST_TOKEN_READS_H
#define ESS_INGEST_TOKEN_READS_H

struct grant;
struct ingest;
struct token_reads;

/* One more. NULL: the token has all that it may have. The last token_reads_end of a token frees. */
struct token_reads *token_reads_begin(struct ingest *ingest, const struct grant *grant);
/* NULL is allowed. */
void token_reads_end(struct ingest *ingest, struct token_reads *reads);

#endif
