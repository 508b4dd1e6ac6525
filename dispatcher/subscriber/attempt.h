/* An attempt of a sender: between sender.c, which decides on attempts, and sender_batch.c, which
 * puts those at several events together. Loop thread only. */
#ifndef ESS_DISPATCHER_ATTEMPT_H
#define ESS_DISPATCHER_ATTEMPT_H

#include "dispatcher/channel/channel.h"
#include "dispatcher/lane/window.h"

struct sender;

struct attempt {
    struct delivery delivery; /* first */
    struct sender *sender;
    int64_t lane_cursor; /* the lane's name for the event; of a batch the first's */
    /* of a batch: the lane's cursor of the newest event in the body; -1: none yet */
    int64_t read_to;
    int64_t held_bytes; /* for slots_hold, or of a draft that waits for dispatcher->draft_bytes */
    struct attempt *prev, *next;
};

/* An attempt at an event of the lane. */
struct attempt *attempt_new(struct sender *sender, const struct window_entry *entry);
/* Frees an attempt that was not sent. */
void attempt_free(struct attempt *attempt);
/* The lane has started the attempt: sends it. */
void attempt_send(struct attempt *attempt);

/* The event at `cursor` of the lane is not there any more. */
void sender_give_up_missing(struct sender *sender, int64_t cursor, bool compacted);
/* A later version of ESS wrote the event. Returns false. */
bool sender_wait_at_newer(struct sender *sender, int64_t cursor);

/* Sends the request that begins with the event, or reads its events as far as they are in memory.
 * Returns false if the sender must wait; it is woken later. */
bool sender_batch_send(struct sender *sender, int64_t cursor, int64_t now_ms);
/* The events of an attempt were judged one by one. */
void sender_batch_finish_each(struct attempt *attempt, const struct outcome *outcome);
void sender_log_failure(const struct attempt *attempt, const struct outcome *outcome);
/* Drops what was read of a batch. */
void sender_batch_drop(struct sender *sender);

#endif
