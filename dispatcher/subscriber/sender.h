/* Moves one lane: finds the next event, sends the event, reports the outcome to the lane, and
 * repeats as far as possible at once. A subscriber has a sender for the live lane, and one for
 * the running job. Loop thread only. */
#ifndef ESS_DISPATCHER_SENDER_H
#define ESS_DISPATCHER_SENDER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/loop.h"
#include "common/feed/feed.h"
#include "dispatcher/lane/lane.h"
#include "dispatcher/lane/slots.h"

struct subscriber;
struct attempt;
struct message;
struct dead_lettering;
struct redrive;

struct sender;

/* Callbacks from a sender to its owner; `arg` is the sender's owner_arg. The sender may be in the
 * middle of a step, so a callback must not step any sender. */
struct sender_owner {
    bool (*may_send)(void *arg, const struct sender *sender);   /* a webhook may start now */
    void (*answered)(void *arg, const struct outcome *outcome); /* an attempt has ended */
    void (*disabled)(void *arg, const char *reason);            /* by the endpoint's answer */
    void (*moved)(void *arg); /* the lane has moved or changed state */
    void (*soon)(void *arg);  /* the token is to say something new within a second */
    /* live lane only: the lane is at the end of the log */
    void (*at_end)(void *arg);
    /* jobs only: an event was delivered, or the dead letter at this offset; the job is done */
    void (*delivered)(void *arg, int64_t lane_cursor);
    void (*done)(void *arg);
};

struct sender {
    struct subscriber *subscriber;
    const struct sender_owner *owner;
    void *owner_arg;
    struct lane lane;
    int64_t job; /* the job's number; -1: the live lane */
    /* the source of dead letters, by offset; NULL: the events of the feed, by cursor */
    struct redrive *redrive;
    struct feed_reader scanner; /* looks for new events */
    struct feed_reader finder;  /* fetches failed events again */
    struct attempt *attempts;   /* under way, at events of the lane */
    struct attempt *draft;      /* a batch whose events are not all read yet; NULL: none */
    struct message *messages;   /* waiting, and under way */
    struct dead_lettering *dead_letterings; /* being written */
    struct slots_user user;
    int64_t faults;        /* attempts in a row that met a fault of ours */
    enum fault_kind fault; /* of the last attempt */
    int64_t held_until_ms; /* no attempt before */
    struct loop_timer due; /* when something may be done */
    /* cursor of an event written by a later version of ESS; see sender_waits_for_newer */
    int64_t newer;
    int64_t throttled_until_ms; /* waits for the throttle were counted up to then */
};

/* A sender for a lane that the caller then begins (lane_init… on sender->lane). The sender takes
 * over `redrive`; the caller keeps `owner`. */
void sender_init(struct sender *sender, struct subscriber *subscriber,
                 const struct sender_owner *owner, void *owner_arg, int64_t job,
                 struct redrive *redrive);
/* Cancels, and frees the lane too. */
void sender_fini(struct sender *sender);

/* Does everything possible now, or arranges to be called later. */
void sender_step(struct sender *sender);
/* Steps from the loop: for callers that must not start anything. */
void sender_wake(struct sender *sender);

/* Closes attempts under way, and drops dead letters not yet written, which will be made again.
 * The lane stays. */
void sender_cancel(struct sender *sender);

/* The cursor of the event that blocks the lane because a later version of ESS wrote the event; 0:
 * none. */
int64_t sender_waits_for_newer(const struct sender *sender);

/* The fault of ours that the lane's events wait for. */
enum fault_kind sender_fault(const struct sender *sender);

/* The subscriber's topics have changed. */
void sender_topics_changed(struct sender *sender);

/* Whether an attempt's outcome says nothing about the present endpoint. A failure at an earlier URL
 * is tried again at the new URL. */
bool sender_learnt_nothing(const struct sender *sender, uint64_t endpoint_number,
                           const struct outcome *outcome);
/* After a fault of this machine: holds back the sender's next attempts for a while. */
void sender_hold(struct sender *sender, const struct outcome *outcome);
/* An attempt met no fault. */
void sender_release(struct sender *sender);

/* Kafka has the dead letter of the event. */
void sender_dead_lettered(struct sender *sender, int64_t lane_cursor);

#endif
