/* The partitions of subscribers that are this process's: carries out what ownership.h decides, with
 * the consumer group, the records of ess.subscribers and ess.tokens, and the producer. Loop thread
 * only; nothing blocks but partitions_close and partitions_free. */
#ifndef ESS_DISPATCHER_PARTITIONS_H
#define ESS_DISPATCHER_PARTITIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/error.h"
#include "dispatcher/ownership/ownership.h"

struct dispatcher;
struct partitions;

/* Joins the group. Nothing is read or claimed before partitions_open. */
struct partitions *partitions_new(struct dispatcher *d, struct error *err);
/* d->feed and d->subscribers are there: takes what is, and will be, assigned. */
int partitions_open(struct partitions *p, struct error *err);
/* Stops all lanes, writes nothing and reads nothing more. This process stays a member, and may open
 * again. */
void partitions_close(struct partitions *p);
/* The program is to end: what is in flight may do so until `deadline_ms`, then all is let go and
 * the group is left; at the end of that the loop is stopped. */
void partitions_stop(struct partitions *p, int64_t deadline_ms);
void partitions_free(struct partitions *p);

/* Why the subscribers of these partitions cannot be read; NULL: they can. */
const char *partitions_trouble(const struct partitions *p);
/* Why the newest claim was not written; NULL: it was. */
const char *partitions_claim_trouble(const struct partitions *p);
/* All that is assigned is held, and its lanes run. */
bool partitions_settled(const struct partitions *p);
/* Its lanes run, or are only held up. */
bool partitions_started(const struct partitions *p, int32_t partition);
/* A lane may start something now. */
bool partitions_may_start(const struct partitions *p, int32_t partition);
/* A token may be written now, under partitions_epoch. */
bool partitions_may_write(const struct partitions *p, int32_t partition);
int64_t partitions_epoch(const struct partitions *p, int32_t partition);
/* The number of the next token: above all that were written here or read. */
int64_t partitions_next_number(struct partitions *p);
int64_t partitions_newest_number(const struct partitions *p);
/* A token was read; see ownership_token_read. */
bool partitions_token_read(struct partitions *p, int32_t partition, const struct token *token,
                           struct token_choice *choice);
/* Since when throttles' windows count as full: another may have used them up before. INT64_MIN:
 * since never. */
int64_t partitions_window_ms(const struct partitions *p, int32_t partition);

#endif
