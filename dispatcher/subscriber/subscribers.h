/* All subscribers of the partitions being read: made from their records, and run while their
 * partition is held. */
#ifndef ESS_DISPATCHER_SUBSCRIBERS_H
#define ESS_DISPATCHER_SUBSCRIBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/base/span.h"

struct dispatcher;
struct subscriber;
struct subscribers;
struct kafka_record;
struct feed_event;

struct subscribers *subscribers_new(struct dispatcher *d);
/* Stops all and writes nothing. */
void subscribers_free(struct subscribers *all);

/* A record of ess.subscribers or ess.tokens, except fences. Takes effect at once if the partition
 * is started. */
void subscribers_read(struct subscribers *all, const struct kafka_record *record);

/* Whether the keyring opens a sealed check record. Returns -1 with the mismatch. */
int subscribers_check_key(const struct dispatcher *d, struct span value, struct error *err);

/* Starts the subscribers of a partition after all records were read. Tokens void in the log are
 * written again. */
void subscribers_start(struct subscribers *all, int32_t partition);
/* The running subscribers of a partition continue after a suspension; `rewrite`: their tokens are
 * void. */
void subscribers_resume(struct subscribers *all, int32_t partition, bool rewrite);
/* Closes everything in flight. The lanes stay, and may be resumed. */
void subscribers_close(struct subscribers *all);
/* Writes the tokens that differ from the log. */
void subscribers_write(struct subscribers *all);
/* Stops all and writes nothing. Their records are kept. NULL is nothing. */
void subscribers_stop(struct subscribers *all);
/* Forgets the subscribers of a partition, all stopped. */
void subscribers_forget(struct subscribers *all, int32_t partition);

/* An event was appended: wakes the lanes waiting for the event. */
void subscribers_appended(struct dispatcher *d, const struct feed_event *event);

size_t subscribers_count(const struct subscribers *all);       /* running subscribers */
struct subscriber *subscribers_first(struct subscribers *all); /* then s->hh.next */

#endif
