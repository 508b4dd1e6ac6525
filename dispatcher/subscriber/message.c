/* Messages; see message.h. */
#include "dispatcher/subscriber/message.h"

#include <utlist.h>

#include "common/base/clock.h"
#include "dispatcher/dispatcher.h"
#include "dispatcher/subscriber/sender.h"
#include "dispatcher/subscriber/subscriber.h"

static bool message_is_heartbeat(const struct message *m) {
    return m->delivery.kind == DELIVERY_HEARTBEAT;
}

static bool message_may_go(const struct message *m) {
    return !m->under_way && (!m->sender->lane.pending || m->delivery.kind == DELIVERY_HANDSHAKE);
}

struct message *message_next(const struct sender *sender) {
    struct message *m = sender->messages;
    while (m && !message_may_go(m))
        m = m->next;
    return m;
}

int64_t message_due_ms(const struct sender *sender, int64_t now_ms) {
    return message_next(sender) ? lane_paced_ms(&sender->lane, now_ms) : INT64_MAX;
}

/* --- an attempt */

/* A heartbeat leaves the endpoint's health alone: whatever becomes of it holds up nothing. */
static void message_begin(struct message *m) {
    const struct lane *lane = &m->sender->lane;
    m->under_way = true;
    m->throttle_slot = throttle_start(lane->throttle);
    if (message_is_heartbeat(m))
        adaptive_start(&lane->endpoint->adaptive, 1);
    else
        m->endpoint_number = endpoint_start(lane->endpoint);
}

static void message_end(struct message *m) {
    const struct lane *lane = &m->sender->lane;
    throttle_finish(lane->throttle, m->throttle_slot, clock_ms());
    if (!message_is_heartbeat(m))
        endpoint_end(lane->endpoint);
    m->under_way = false;
    slots_give(&m->sender->subscriber->dispatcher->slots, &m->sender->user);
}

static void message_count(const struct message *m, int64_t more) {
    m->sender->subscriber->dispatcher->heartbeats += message_is_heartbeat(m) ? more : 0;
}

static void message_unlist(struct message *m) {
    message_count(m, -1);
    DL_DELETE(m->sender->messages, m);
    m->sender = NULL;
}

/* Whether the same message is to go once more. */
static bool message_goes_again(const struct message *m, const struct outcome *outcome) {
    if (message_is_heartbeat(m))
        return outcome->stale;
    return sender_learnt_nothing(m->sender, m->endpoint_number, outcome);
}

static void message_on_done(struct delivery *delivery, const struct outcome *outcome) {
    struct message *m = (struct message *)delivery;
    struct sender *sender = m->sender;
    bool called_off = outcome->verdict == VERDICT_CALLED_OFF;
    message_end(m);
    fault_note(sender->subscriber->dispatcher, outcome);
    if (message_goes_again(m, outcome)) {
        m->delivery.fresh |= outcome->stale;
        sender_hold(sender, outcome);
        sender_step(sender);
        return;
    }
    message_unlist(m);
    if (!called_off) {
        sender_release(sender);
        sender->owner->answered(sender->owner_arg, outcome);
    }
    m->done(m, outcome);
}

void message_send_next(struct sender *sender) {
    struct subscriber *s = sender->subscriber;
    struct message *m = message_next(sender);
    message_begin(m);
    slots_take(&s->dispatcher->slots, &sender->user);
    channel_send(channels_choose(&s->channels), &m->delivery);
}

/* --- posting */

void message_post(struct sender *sender, struct message *m) {
    m->sender = sender;
    m->delivery.done = message_on_done;
    DL_APPEND(sender->messages, m);
    message_count(m, 1);
    sender_wake(sender);
}

void message_recall(struct message *m) {
    if (!m->sender || !m->under_way)
        return;
    channel_cancel(&m->delivery);
    message_end(m);
}

void message_withdraw(struct message *m) {
    message_recall(m);
    if (m->sender)
        message_unlist(m);
}

/* --- room for events */

static struct message *message_find_heartbeat(const struct sender *sender) {
    struct message *m = sender->messages;
    while (m && !(message_is_heartbeat(m) && m->under_way))
        m = m->next;
    return m;
}

void message_yield(struct sender *sender) {
    static const struct outcome called_off = {.verdict = VERDICT_CALLED_OFF};
    struct message *m = message_find_heartbeat(sender);
    if (!m || throttle_next_ms(sender->lane.throttle) != INT64_MAX)
        return;
    message_withdraw(m);
    m->done(m, &called_off);
}
