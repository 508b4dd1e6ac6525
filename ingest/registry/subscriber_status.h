/* How subscribers fare, as their owners last wrote it: the replay tokens of ess.tokens, judged as
 * dispatchers judge them, kept as they came. Loop thread only. */
#ifndef ESS_INGEST_SUBSCRIBER_STATUS_H
#define ESS_INGEST_SUBSCRIBER_STATUS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/model/token.h"

struct ingest;
struct registry_entry;
struct subscriber_statuses;
struct table_record;

struct subscriber_statuses *subscriber_status_new(int32_t partitions);
void subscriber_status_free(struct subscriber_statuses *statuses); /* NULL is allowed */

/* A record of ess.tokens, in the order of its partition. */
void subscriber_status_read(struct ingest *ingest, const struct table_record *record);

/* The subscriber's token of its present registration; the caller's: token_fini. False: there is
 * none so far. */
bool subscriber_status_token(const struct ingest *ingest, const struct registry_entry *entry,
                             struct token *token);

/* Its state as status shows it, and why (a text that lives as long as `token` and the entry; NULL:
 * nothing to say). `token` may be NULL. */
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
