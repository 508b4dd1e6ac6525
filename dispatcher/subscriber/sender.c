/* Moves one lane; see sender.h. Every event that may move the lane leads to sender_step. */
#include "dispatcher/subscriber/sender.h"

#include <stdlib.h>
#include <utlist.h>

#include "common/base/clock.h"
#include "dispatcher/channel/delivery.h"
#include "dispatcher/dispatcher.h"
#include "dispatcher/ownership/partitions.h"
#include "dispatcher/subscriber/attempt.h"
#include "dispatcher/subscriber/dead_lettering.h"
#include "dispatcher/subscriber/message.h"
#include "dispatcher/subscriber/redrive.h"
#include "dispatcher/subscriber/subscriber.h"

enum {
    FAILURE_LOG_PERIOD_MS = 10000,
    STARTS_A_TURN = 64,
    JOB_LOOK_MS = 200,
    /* at most: what a delivered event has in addition to the stored one */
    SPLICE_BYTES = 80,
    CLOUDEVENT_BYTES = 400,
    NEWER_LOOK_MS = 60 * 1000
};

static void sender_on_turn(void *arg) { sender_step(arg); }

void sender_init(struct sender *sender, struct subscriber *subscriber,
                 const struct sender_owner *owner, void *owner_arg, int64_t job,
                 struct redrive *redrive) {
    *sender = (struct sender){.subscriber = subscriber,
                              .owner = owner,
                              .owner_arg = owner_arg,
                              .job = job,
                              .redrive = redrive};
    sender->user = (struct slots_user){
        .group = &subscriber->slots, .served = sender_on_turn, .arg = sender};
    feed_reader_init(&sender->scanner, &subscriber->record.spec.subscription, sender_on_turn,
                     sender);
    feed_reader_init(&sender->finder, &subscriber->record.spec.subscription, sender_on_turn,
                     sender);
    loop_timer_init(&sender->due, sender_on_turn, sender);
}

void sender_topics_changed(struct sender *sender) {
    feed_reader_changed(&sender->scanner);
    feed_reader_changed(&sender->finder);
    sender_batch_drop(sender); /* its events may go in other requests now */
}

/* The slot is free again, which wakes all senders waiting for a delivery slot or for the
 * attempt's slot in the throttle. */
static void attempt_end(struct attempt *a) {
    struct slots *slots = &a->sender->subscriber->dispatcher->slots;
    DL_DELETE(a->sender->attempts, a);
    slots_hold(slots, -a->held_bytes);
    slots_give(slots, &a->sender->user);
    attempt_free(a);
}

void attempt_free(struct attempt *a) {
    delivery_fini(&a->delivery);
    free(a);
}

void sender_cancel(struct sender *sender) {
    struct attempt *a, *next;
    struct dispatcher *d = sender->subscriber->dispatcher;
    slots_leave(&d->slots, &sender->user);
    sender_batch_drop(sender);
    DL_FOREACH_SAFE(sender->attempts, a, next) {
        channel_cancel(&a->delivery);
        lane_abort(&sender->lane, a->lane_cursor, clock_ms());
        attempt_end(a);
    }
    loop_timer_clear(d->service.loop, &sender->due);
}

void sender_fini(struct sender *sender) {
    sender_cancel(sender);
    dead_lettering_forget(sender);
    feed_reader_fini(&sender->scanner);
    feed_reader_fini(&sender->finder);
    redrive_free(sender->redrive);
    lane_fini(&sender->lane);
}

/* --- an attempt */

void sender_log_failure(const struct attempt *a, const struct outcome *outcome) {
    struct sender *sender = a->sender;
    struct subscriber *s = sender->subscriber;
    const struct window_entry *entry = lane_entry(&sender->lane, a->lane_cursor);
    int64_t held_back, now = clock_ms();
    bool waits = entry && entry->state == ENTRY_BACKOFF && !sender->lane.disabled;
    int64_t due = waits && entry->retry_at_ms > s->endpoint.until_ms ? entry->retry_at_ms
                                                                     : s->endpoint.until_ms;
    int64_t wait = waits ? due - now : 0;
    if (!log_limit_pass(&s->failures, now, FAILURE_LOG_PERIOD_MS, &held_back))
        return;
    log_warn("delivery_failed", LOG_S("subscriber", s->id), LOG_N("cursor", a->delivery.cursor),
             LOG_N("events", (int64_t)delivery_count(&a->delivery)),
             LOG_N("attempt", a->delivery.number), LOG_N("status", outcome->status),
             LOG_S("error", outcome->error), LOG_N("retry_in_ms", wait),
             LOG_N("held_back", held_back));
}

static void sender_count(struct dispatcher *d, const struct attempt *a,
                         const struct outcome *outcome) {
    for (size_t i = 0; i < delivery_count(&a->delivery); i++)
        d->deliveries[outcome->each ? outcome->each[i] : outcome->verdict]++;
    histogram_observe_us(&d->delivery_seconds, outcome->duration_ms * 1000);
}

/* The events of the attempt that were delivered, before the lane forgets them. */
static void sender_note_delivered(struct sender *sender, const struct attempt *a,
                                  const enum verdict *each) {
    struct dispatcher *d = sender->subscriber->dispatcher;
    const struct window_entry *e = lane_entry(&sender->lane, a->lane_cursor);
    const int64_t wall_ms = clock_wall_ms();
    for (size_t i = 0; e; e = lane_batch_next(e), i++) {
        if (each && each[i] != VERDICT_DELIVERED)
            continue;
        if (sender->job >= 0)
            sender->owner->delivered(sender->owner_arg, e->cursor);
        else if (e->appended_ms)
            histogram_observe_us(&d->end_to_end_seconds, (wall_ms - e->appended_ms) * 1000);
    }
}

bool sender_learnt_nothing(const struct sender *sender, uint64_t endpoint_number,
                           const struct outcome *outcome) {
    return outcome->verdict == VERDICT_CALLED_OFF ||
           (outcome->verdict != VERDICT_DELIVERED &&
            endpoint_moved_since(sender->lane.endpoint, endpoint_number));
}

static void sender_log_hold(const struct sender *sender, const struct outcome *outcome) {
    struct subscriber *s = sender->subscriber;
    int64_t held_back;
    if (outcome->alone &&
        log_limit_pass(&s->failures, clock_ms(), FAILURE_LOG_PERIOD_MS, &held_back))
        log_warn("delivery_held_up", LOG_S("subscriber", s->id),
                 LOG_S("reason", fault_reason_of(outcome->fault)), LOG_S("error", outcome->error),
                 LOG_N("held_back", held_back));
}

void sender_hold(struct sender *sender, const struct outcome *outcome) {
    sender->fault = outcome->fault;
    if (!outcome->fault)
        return;
    sender->held_until_ms = clock_ms() + fault_hold_ms(outcome->fault, sender->faults++);
    sender_log_hold(sender, outcome);
    sender->owner->soon(sender->owner_arg); /* the token names the fault */
}

void sender_release(struct sender *sender) {
    sender->faults = 0;
    sender->fault = FAULT_NONE;
}

enum fault_kind sender_fault(const struct sender *sender) {
    const struct lane *lane = &sender->lane;
    if (lane->paused || lane->disabled || lane_idle(lane))
        return FAULT_NONE;
    return sender->fault ? sender->fault : sender->subscriber->dispatcher->fault.kind;
}

static void attempt_call_off(struct attempt *a, const struct outcome *outcome) {
    struct sender *sender = a->sender;
    lane_abort(&sender->lane, a->lane_cursor, clock_ms());
    if (outcome->stale)
        lane_wants_fresh(&sender->lane, a->lane_cursor);
    sender_hold(sender, outcome);
    attempt_end(a);
    sender_step(sender);
}

static void sender_finish_all(struct attempt *a, const struct outcome *outcome) {
    struct sender *sender = a->sender;
    struct dispatcher *d = sender->subscriber->dispatcher;
    enum entry_state now = lane_finish(&sender->lane, a->lane_cursor, outcome, clock_ms(),
                                       clock_wall_ms(), dispatcher_random(d));
    if (now != ENTRY_SETTLED)
        sender_log_failure(a, outcome);
    if (now == ENTRY_DEAD_LETTERING)
        dead_lettering_begin(sender, lane_entry(&sender->lane, a->lane_cursor), a->delivery.cursor,
                             delivery_event_body(&a->delivery, 0), outcome);
}

static void sender_finish(struct attempt *a, const struct outcome *outcome) {
    if (outcome->each)
        sender_batch_finish_each(a, outcome);
    else
        sender_finish_all(a, outcome);
}

static void attempt_finish(struct attempt *a, const struct outcome *outcome) {
    struct sender *sender = a->sender;
    struct dispatcher *d = sender->subscriber->dispatcher;
    bool was_disabled = sender->lane.disabled;
    sender_release(sender);
    sender_count(d, a, outcome);
    if (outcome->verdict == VERDICT_DELIVERED)
        sender_note_delivered(sender, a, outcome->each);
    sender_finish(a, outcome);
    sender->owner->answered(sender->owner_arg, outcome);
    attempt_end(a);
    if (sender->lane.disabled && !was_disabled)
        sender->owner->disabled(sender->owner_arg, sender->lane.reason);
    sender->owner->moved(sender->owner_arg);
    sender_step(sender);
}

static void attempt_on_done(struct delivery *delivery, const struct outcome *outcome) {
    struct attempt *a = (struct attempt *)delivery;
    const struct window_entry *entry = lane_entry(&a->sender->lane, a->lane_cursor);
    fault_note(a->sender->subscriber->dispatcher, outcome);
    if (sender_learnt_nothing(a->sender, entry->endpoint_number, outcome))
        attempt_call_off(a, outcome);
    else
        attempt_finish(a, outcome);
}

static enum delivery_kind sender_kind_of(const struct sender *sender) {
    if (sender->job < 0)
        return DELIVERY_LIVE;
    return sender->redrive ? DELIVERY_REDRIVE : DELIVERY_REPLAY;
}

struct attempt *attempt_new(struct sender *sender, const struct window_entry *entry) {
    struct attempt *a = mem_zero(sizeof *a);
    a->sender = sender;
    a->lane_cursor = entry->cursor;
    a->delivery = (struct delivery){.kind = sender_kind_of(sender),
                                    .job = sender->job,
                                    .number = entry->attempts,
                                    .fresh = entry->fresh,
                                    .done = attempt_on_done};
    return a;
}

void attempt_send(struct attempt *a) {
    struct subscriber *s = a->sender->subscriber;
    slots_take(&s->dispatcher->slots, &a->sender->user);
    DL_APPEND(a->sender->attempts, a);
    channel_send(channels_choose(&s->channels), &a->delivery);
}

static void sender_send_event(struct sender *sender, const struct feed_event *event) {
    const struct window_entry *entry = lane_start(&sender->lane, event->cursor);
    struct attempt *a = attempt_new(sender, entry);
    a->delivery.cursor = event->cursor;
    a->delivery.topic = event->topic;
    a->delivery.id = event->id;
    a->delivery.traceparent = event->traceparent;
    event_splice(event->stored, event->topic.len, event->cursor, entry->prev, entry->compacted,
                 &a->delivery.body);
    attempt_send(a);
}

static void sender_send_dead_letter(struct sender *sender, const struct redrive_letter *letter) {
    const struct window_entry *entry = lane_start(&sender->lane, letter->offset);
    struct attempt *a = attempt_new(sender, entry);
    a->delivery.cursor = letter->cursor;
    a->delivery.topic = letter->topic;
    a->delivery.id = letter->id;
    buf_append(&a->delivery.body, letter->body.data, letter->body.len);
    attempt_send(a);
}

/* --- what to send. Each function returns false if the sender must wait; the sender is woken
 * later. */

static uint64_t sender_key_hash(const struct feed_event *event) {
    return token_id_hash(event->topic) ^ (event->key.len ? token_id_hash(event->key) * 31 : 0);
}

/* The most bytes that the event's body may have, for the bounds of a batch. */
static int64_t sender_bytes_of(const struct sender *sender, const struct feed_event *event) {
    bool cloudevent = sender->subscriber->record.spec.form.format == EVENT_FORMAT_CLOUDEVENTS;
    return (int64_t)event->stored.len + (cloudevent ? CLOUDEVENT_BYTES : SPLICE_BYTES);
}

static void sender_note_found(struct sender *sender, const struct feed_event *event,
                              bool compacted) {
    struct lane *lane = &sender->lane;
    lane_expect(lane, sender_bytes_of(sender, event));
    bool may_start = lane_found(lane, event->cursor, token_id_hash(event->id),
                                sender_key_hash(event), compacted);
    lane_note_appended(lane, event->cursor, event->appended_ms);
    sender->owner->soon(sender->owner_arg); /* the lane is behind: the attempt may hang */
    if (may_start)
        sender_send_event(sender, event);
}

/* Only an upgrade helps, or a rewind. */
bool sender_wait_at_newer(struct sender *sender, int64_t cursor) {
    struct dispatcher *d = sender->subscriber->dispatcher;
    int64_t held_back, now_ms = clock_ms();
    loop_timer_set(d->service.loop, &sender->due, now_ms + NEWER_LOOK_MS);
    if (sender->newer == cursor)
        return false;
    sender->newer = cursor;
    sender->owner->soon(sender->owner_arg);
    if (log_limit_pass(&d->newer_warning, now_ms, NEWER_LOOK_MS, &held_back))
        log_warn("newer_event", LOG_S("subscriber", sender->subscriber->id),
                 LOG_N("cursor", cursor),
                 LOG_S("reason", "written by a later version of ESS: upgrade the dispatchers"),
                 LOG_N("held_back", held_back));
    return false;
}

int64_t sender_waits_for_newer(const struct sender *sender) {
    const struct lane *lane = &sender->lane;
    return lane->position < sender->newer && lane->scanned >= sender->newer - 1 ? sender->newer : 0;
}

static void sender_note_end(struct sender *sender, const struct feed_passed *passed) {
    lane_at_end(&sender->lane, passed->to, passed->compacted);
    sender->owner->at_end(sender->owner_arg);
}

static bool sender_scan(struct sender *sender) {
    struct lane *lane = &sender->lane;
    struct dispatcher *d = sender->subscriber->dispatcher;
    struct feed_event event;
    struct feed_passed passed;
    switch (feed_next(d->service.feed, &sender->scanner, lane->scanned, &event, &passed)) {
    case FEED_EVENT:
        if (event.cursor > lane->until)
            lane_passed(lane, lane->until, passed.compacted);
        else
            sender_note_found(sender, &event, passed.compacted);
        return true;
    case FEED_END:
        if (sender->job < 0)
            sender_note_end(sender, &passed);
        else
            lane_passed(lane, passed.to, passed.compacted);
        sender->owner->moved(sender->owner_arg);
        if (sender->job >= 0 &&
            passed.to < lane->until) { /* another process has seen more of the log */
            loop_timer_set(d->service.loop, &sender->due, clock_ms() + JOB_LOOK_MS);
            return false;
        }
        return true;
    case FEED_NEWER:
        lane_passed(lane, passed.to < lane->until ? passed.to : lane->until, passed.compacted);
        return event.cursor > lane->until || sender_wait_at_newer(sender, event.cursor);
    case FEED_MORE: /* others get a turn */
        lane_passed(lane, passed.to, passed.compacted);
        sender->owner->moved(sender->owner_arg);
        loop_timer_set(d->service.loop, &sender->due, clock_ms());
        return false;
    case FEED_LATER:
        lane_passed(lane, passed.to, passed.compacted);
        return false;
    }
    return false;
}

/* Dead-letters a skipped event. */
static void sender_dead_letter(struct sender *sender, const struct feed_event *event) {
    const struct window_entry *entry = lane_dead_letter(&sender->lane, event->cursor);
    struct buf body = {0};
    event_splice(event->stored, event->topic.len, event->cursor, entry->prev, entry->compacted,
                 &body);
    dead_lettering_begin(sender, entry, event->cursor, (struct span){body.data, body.len}, NULL);
    buf_fini(&body);
}

/* While the event waited for another attempt, compaction took it, or the subscriber stopped
 * wanting it. */
void sender_give_up_missing(struct sender *sender, int64_t cursor, bool compacted) {
    struct subscriber *s = sender->subscriber;
    int64_t held_back;
    lane_missing(&sender->lane, cursor, compacted);
    s->dispatcher->compacted += compacted;
    if (compacted && log_limit_pass(&s->compacted, clock_ms(), FAILURE_LOG_PERIOD_MS, &held_back))
        log_warn("event_compacted", LOG_S("subscriber", s->id), LOG_N("cursor", cursor),
                 LOG_N("held_back", held_back));
    sender->owner->moved(sender->owner_arg);
}

static bool sender_fetch_again(struct sender *sender, enum lane_todo todo, int64_t cursor) {
    struct feed_event event;
    struct feed_passed passed;
    enum feed_result result = feed_next(sender->subscriber->dispatcher->service.feed,
                                        &sender->finder, cursor - 1, &event, &passed);
    if (result == FEED_LATER && passed.to < cursor)
        return false;
    if (result == FEED_NEWER && event.cursor == cursor) /* begun by a later version of ESS */
        return sender_wait_at_newer(sender, cursor);
    if (result != FEED_EVENT || event.cursor != cursor)
        sender_give_up_missing(sender, cursor, passed.compacted);
    else if (todo == LANE_DEAD_LETTER)
        sender_dead_letter(sender, &event);
    else
        sender_send_event(sender, &event);
    return true;
}

static bool sender_find_dead_letter(struct sender *sender, bool again, int64_t offset) {
    struct lane *lane = &sender->lane;
    struct redrive_letter letter;
    int64_t passed;
    redrive_release(sender->redrive, lane->position);
    switch (redrive_next(sender->redrive, again ? offset - 1 : lane->scanned, &letter, &passed)) {
    case REDRIVE_LETTER:
        if (!again)
            lane_expect(lane, (int64_t)letter.body.len);
        if (again || lane_found(lane, letter.offset, token_id_hash(letter.id), 0, false))
            sender_send_dead_letter(sender, &letter);
        return true;
    case REDRIVE_FULL:
        lane_close_batch(lane);
        return true;
    case REDRIVE_END:
        lane_passed(lane, passed, false);
        return true;
    case REDRIVE_LATER:
        return false;
    }
    return false;
}

static bool sender_go_on(struct sender *sender, enum lane_todo todo, int64_t cursor,
                         int64_t now_ms) {
    if (todo == LANE_SEND && lane_makes_batches(&sender->lane))
        return sender_batch_send(sender, cursor, now_ms);
    if (sender->redrive)
        return sender_find_dead_letter(sender, todo == LANE_SEND, cursor);
    return todo == LANE_SCAN ? sender_scan(sender) : sender_fetch_again(sender, todo, cursor);
}

/* Nothing can be done before `due_ms`. */
static void sender_wait_until(struct sender *sender, int64_t due_ms, int64_t now_ms) {
    struct dispatcher *d = sender->subscriber->dispatcher;
    if (due_ms == INT64_MAX)
        return;
    if (due_ms == lane_paced_ms(&sender->lane, now_ms) && due_ms > sender->throttled_until_ms) {
        d->throttle_wait_ms +=
            due_ms - (now_ms > sender->throttled_until_ms ? now_ms : sender->throttled_until_ms);
        sender->throttled_until_ms = due_ms;
    }
    loop_timer_set(d->service.loop, &sender->due, due_ms);
}

/* Whether the step may start an attempt. A scan starts the event that it finds, unless the event
 * waits for a batch. */
static bool sender_may_start_with(const struct sender *sender, enum lane_todo todo) {
    if (todo == LANE_DEAD_LETTER || sender->lane.policy.pulled)
        return false;
    return todo == LANE_SEND || !lane_makes_batches(&sender->lane);
}

/* Makes one step. Returns whether another step may follow at once. */
static bool sender_make_step(struct sender *sender, int64_t now_ms, bool may_start) {
    struct dispatcher *d = sender->subscriber->dispatcher;
    int64_t cursor = 0, due_ms = INT64_MAX, message_ms = message_due_ms(sender, now_ms);
    bool message = message_ms <= now_ms;
    enum lane_todo todo = message ? LANE_SEND : lane_next(&sender->lane, now_ms, &cursor, &due_ms);
    if (todo == LANE_NOTHING) {
        sender_wait_until(sender, due_ms < message_ms ? due_ms : message_ms, now_ms);
        if (!lane_idle(&sender->lane) || message_next(sender))
            message_yield(&sender->subscriber->live);
        return false;
    }
    if (!may_start) { /* others get a turn */
        loop_timer_set(d->service.loop, &sender->due, now_ms);
        return false;
    }
    if (sender_may_start_with(sender, todo) && !slots_ask(&d->slots, &sender->user))
        return false;
    if (message)
        message_send_next(sender);
    else if (!sender_go_on(sender, todo, cursor, now_ms)) {
        if (todo == LANE_SCAN && (sender->due.slot == 0 || due_ms < sender->due.at_ms))
            sender_wait_until(sender, due_ms,
                              now_ms); /* a due event does not wait for an event not yet found */
        return false;
    }
    return true;
}

void sender_step(struct sender *sender) {
    struct dispatcher *d = sender->subscriber->dispatcher;
    if (sender->due.slot && sender->due.at_ms <= clock_ms())
        loop_timer_clear(d->service.loop, &sender->due);
    for (int starts = 0; sender->owner->may_send(sender->owner_arg, sender); starts++) {
        int64_t now_ms = clock_ms();
        if (now_ms < sender->held_until_ms) {
            loop_timer_set(d->service.loop, &sender->due, sender->held_until_ms);
            break;
        }
        if (!sender_make_step(sender, now_ms, starts < STARTS_A_TURN))
            break;
    }
    if (sender->job >= 0 && lane_done(&sender->lane))
        sender->owner->done(sender->owner_arg);
}

void sender_wake(struct sender *sender) {
    loop_timer_set(sender->subscriber->dispatcher->service.loop, &sender->due, clock_ms());
}

void sender_dead_lettered(struct sender *sender, int64_t lane_cursor) {
    lane_dead_lettered(&sender->lane, lane_cursor);
    sender->owner->moved(sender->owner_arg);
    sender_step(sender);
}
