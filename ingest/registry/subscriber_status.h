/* The status of subscribers: the newest valid replay token of each, from ess.tokens, chosen by the
 * dispatchers' own rule. Loop thread only. */
#ifndef ESS_INGEST_SUBSCRIBER_STATUS_H
#define ESS_INGEST_SUBSCRIBER_STATUS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/model/token.h"

struct ingest;
struct registry_entry;
struct subscriber_statuses;
struct kafka_record;

struct subscriber_statuses *subscriber_status_new(int32_t partitions);
void subscriber_status_free(struct subscriber_statuses *statuses); /* NULL is allowed */

/* Takes a record of ess.tokens, in the order of its partition. */
void subscriber_status_read(struct ingest *ingest, const struct kafka_record *record);

/* The replay token of the subscriber's present registration; free with token_fini. False: no token
 * yet. */
bool subscriber_status_token(const struct ingest *ingest, const struct registry_entry *entry,
                             struct token *token);

/* Everything up to here is settled: the token's position, or what the consumer of a pulled
 * subscriber has acknowledged since. `token` may be NULL. */
int64_t subscriber_status_position(const struct registry_entry *entry, const struct token *token);

/* The subscriber's state and the reason for it. The reason lives as long as `token` and the entry;
 * NULL: no reason. `token` may be NULL. */
enum token_state subscriber_status_state(const struct ingest *ingest,
                                         const struct registry_entry *entry,
                                         const struct token *token, const char **reason);

/* Appends the status as a JSON object. */
void subscriber_status_to_json(const struct ingest *ingest, const struct registry_entry *entry,
                               struct buf *out);
/* Appends the last failed attempts as a JSON list, newest first. */
void subscriber_status_attempts(const struct ingest *ingest, const struct registry_entry *entry,
                                struct buf *out);

#endif
