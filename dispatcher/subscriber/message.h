/* A message: a delivery that is not an event of the log (a test, a handshake, a heartbeat). It goes
 * the way of an event and counts for the throttle, but is never in a window. A sender's messages go
 * before its events, as soon as throttle and slots allow. Loop thread only. */
#ifndef ESS_DISPATCHER_MESSAGE_H
#define ESS_DISPATCHER_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "dispatcher/channel/channel.h"

struct sender;

/* The maker owns the struct, all zero at first; sets `done`, and kind, topic, id, body and number
 * of the delivery, which must stay. */
struct message {
    struct delivery delivery; /* first */
    /* Called once for a posted message, which then belongs to no sender; may free the message. */
    void (*done)(struct message *message, const struct outcome *outcome);
    /* the sender's */
    struct sender *sender; /* NULL: not posted */
    bool under_way;
    uint64_t throttle_slot, endpoint_number;
    struct message *prev, *next;
};

/* Sends the message from the loop. It waits for throttle and slot alone, whatever the lane's state
 * and the endpoint's back-off; but before the endpoint's handshake only the handshake goes. An
 * attempt that was called off is made again, except a heartbeat's after a fault. */
void message_post(struct sender *sender, struct message *message);
/* Calls off the message, posted or not; `done` is not called. */
void message_withdraw(struct message *message);
/* Calls off an attempt under way; the message stays posted, and goes with a later step. */
void message_recall(struct message *message);

/* --- for the sender */

/* The message that goes next; NULL: none may go, or all are under way. */
struct message *message_next(const struct sender *sender);
/* When it may go; INT64_MAX: there is none, or an attempt under way decides. */
int64_t message_due_ms(const struct sender *sender, int64_t now_ms);
/* Sends it. */
void message_send_next(struct sender *sender);
/* Another delivery waits. If the throttle waits for a heartbeat under way, the heartbeat is called
 * off: its endpoint may let it hang. */
void message_yield(struct sender *sender);

#endif
