/* Puts a sender's batches together; see attempt.h. The events of a request are read one by one, at
 * every attempt again, so that a batch that waits for its next attempt has no body in memory. */
#include <stdlib.h>

#include "common/base/clock.h"
#include "dispatcher/channel/delivery.h"
#include "dispatcher/dispatcher.h"
#include "dispatcher/lane/lane_batch.h"
#include "dispatcher/subscriber/attempt.h"
#include "dispatcher/subscriber/dead_lettering.h"
#include "dispatcher/subscriber/redrive.h"
#include "dispatcher/subscriber/sender.h"
#include "dispatcher/subscriber/subscriber.h"

/* The most that all batches which wait for Kafka with a part of their events may hold. A batch that
 * would hold more is dropped, and read again. */
enum { DRAFT_BYTES_MAX = 64 * 1024 * 1024 };

enum draft_result {
    DRAFT_READ,  /* the event is in the body */
    DRAFT_GONE,  /* the event is in the log no more */
    DRAFT_WAITS, /* the sender is woken when it can be read */
};

static void sender_batch_hold(struct attempt *draft, int64_t bytes) {
    struct dispatcher *d = draft->sender->subscriber->dispatcher;
    d->draft_bytes += bytes - draft->held_bytes;
    draft->held_bytes = bytes;
}

void sender_batch_drop(struct sender *sender) {
    struct attempt *draft = sender->draft;
    sender->draft = NULL;
    if (!draft)
        return;
    sender_batch_hold(draft, 0);
    attempt_free(draft);
}

/* The draft of the request that begins with the entry. */
static struct attempt *sender_batch_draft(struct sender *sender, const struct window_entry *first) {
    if (sender->draft && sender->draft->lane_cursor != first->cursor)
        sender_batch_drop(sender);
    if (!sender->draft) {
        sender->draft = attempt_new(sender, first);
        sender->draft->delivery.batch = true;
        sender->draft->read_to = -1; /* 0 may be the offset of a dead letter */
    }
    sender_batch_hold(sender->draft, 0);
    return sender->draft;
}

/* --- reading an event */

static enum draft_result sender_batch_read_event(struct attempt *a, const struct window_entry *e) {
    struct sender *sender = a->sender;
    struct feed_event event;
    struct feed_passed passed;
    enum feed_result result = feed_next(sender->subscriber->dispatcher->service.feed,
                                        &sender->finder, e->cursor - 1, &event, &passed);
    if (result == FEED_LATER && passed.to < e->cursor)
        return DRAFT_WAITS;
    if (result == FEED_NEWER && event.cursor == e->cursor) {
        sender_wait_at_newer(sender, e->cursor);
        return DRAFT_WAITS;
    }
    if (result != FEED_EVENT || event.cursor != e->cursor) {
        sender_give_up_missing(sender, e->cursor, passed.compacted);
        return DRAFT_GONE;
    }
    delivery_begin_event(&a->delivery, event.cursor);
    event_splice(event.stored, event.topic.len, event.cursor, e->prev, e->compacted,
                 &a->delivery.body);
    delivery_end_event(&a->delivery);
    return DRAFT_READ;
}

/* A letter stays in memory until it is settled. */
static enum draft_result sender_batch_read_letter(struct attempt *a, const struct window_entry *e) {
    struct redrive_letter letter;
    int64_t passed;
    if (redrive_next(a->sender->redrive, e->cursor - 1, &letter, &passed) != REDRIVE_LETTER)
        return DRAFT_WAITS;
    delivery_begin_event(&a->delivery, letter.cursor);
    buf_append(&a->delivery.body, letter.body.data, letter.body.len);
    delivery_end_event(&a->delivery);
    return DRAFT_READ;
}

static enum draft_result sender_batch_read(struct attempt *a, const struct window_entry *e) {
    return a->sender->redrive ? sender_batch_read_letter(a, e) : sender_batch_read_event(a, e);
}

/* The event of the request that is to be read next; NULL: all are. */
static const struct window_entry *sender_batch_next(const struct lane *lane,
                                                    const struct attempt *a) {
    return a->read_to >= 0 ? lane_batch_next(lane_entry(lane, a->read_to))
                           : lane_entry(lane, a->lane_cursor);
}

/* --- sending */

static void sender_batch_start(struct sender *sender, struct attempt *a) {
    sender->draft = NULL;
    delivery_end(&a->delivery);
    a->delivery.number = lane_start(&sender->lane, a->lane_cursor)->attempts;
    a->held_bytes = (int64_t)a->delivery.body.len;
    slots_hold(&sender->subscriber->dispatcher->slots, a->held_bytes);
    attempt_send(a);
}

static bool sender_batch_wait(struct sender *sender, struct attempt *a) {
    sender_batch_hold(a, (int64_t)a->delivery.body.len);
    if (sender->subscriber->dispatcher->draft_bytes > DRAFT_BYTES_MAX)
        sender_batch_drop(sender);
    return false;
}

/* The first event has left the request before any was read: the next is the first now. Returns
 * false if there is none (-1). */
static bool sender_batch_first_is_gone(struct sender *sender, struct attempt *a, int64_t next) {
    a->lane_cursor = next;
    if (next >= 0)
        return true;
    sender_batch_drop(sender);
    return false;
}

bool sender_batch_send(struct sender *sender, int64_t cursor, int64_t now_ms) {
    struct lane *lane = &sender->lane;
    const struct window_entry *e;
    lane_fix(lane, cursor, now_ms);
    struct attempt *a = sender_batch_draft(sender, lane_entry(lane, cursor));
    while ((e = sender_batch_next(lane, a))) {
        const struct window_entry *after = lane_batch_next(e);
        const int64_t at = e->cursor, next = after ? after->cursor : -1;
        enum draft_result result = sender_batch_read(a, e);
        if (result == DRAFT_WAITS)
            return sender_batch_wait(sender, a);
        if (result == DRAFT_READ)
            a->read_to = at;
        else if (at == a->lane_cursor && !sender_batch_first_is_gone(sender, a, next))
            return true;
    }
    sender_batch_start(sender, a);
    return true;
}

/* --- events judged one by one */

void sender_batch_finish_each(struct attempt *a, const struct outcome *outcome) {
    struct sender *sender = a->sender;
    struct lane *lane = &sender->lane;
    const size_t count = delivery_count(&a->delivery);
    int64_t *cursors = mem_alloc(count * sizeof *cursors);
    const struct window_entry *e = lane_entry(lane, a->lane_cursor);
    for (size_t i = 0; i < count; i++, e = lane_batch_next(e))
        cursors[i] = e->cursor;
    lane_finish_each(lane, a->lane_cursor, outcome, clock_ms(), clock_wall_ms(),
                     dispatcher_random(sender->subscriber->dispatcher));
    if (outcome->error)
        sender_log_failure(a, outcome);
    for (size_t i = 0; i < count; i++)
        if ((e = lane_entry(lane, cursors[i])) && e->state == ENTRY_DEAD_LETTERING)
            dead_lettering_begin(sender, e, a->delivery.events[i].cursor,
                                 delivery_event_body(&a->delivery, i), outcome);
    free(cursors);
}
