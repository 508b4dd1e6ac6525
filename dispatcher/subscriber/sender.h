/* Moves one lane: finds its next event, sends it, tells the lane what came of it, and again, as
 * much as may be done at once. A subscriber has one for its live lane, and one for the job that
 * runs. Loop thread only. */
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
struct dead_lettering;
struct redrive;

struct sender;

/* What a sender asks of its owner and reports to it; `arg` is the sender's owner_arg. It may be in
 * the middle of a step, so none of these steps a sender. */
struct sender_owner {
    bool (*may_send)(void *arg, const struct sender *sender);   /* a webhook may start now */
    void (*answered)(void *arg, const struct outcome *outcome); /* an attempt has ended */
    void (*disabled)(void *arg, const char *reason);            /* by the endpoint's answer */
    void (*moved)(void *arg); /* the lane has moved, or its state has changed */
    void (*soon)(void *arg);  /* the token is to say something new within a second */
    /* the live lane's: it stands at the end of the log */
    void (*at_end)(void *arg);
    /* a job's: it has delivered an event, or the dead letter at this offset; it has done all */
    void (*delivered)(void *arg, int64_t lane_cursor);
    void (*done)(void *arg);
};

/* A test delivery: one attempt at an event that is not in the log. Its maker's, who sets `done`,
 * and of the delivery topic, id and body, all of which stay. */
struct sender_test {
    struct delivery delivery;                                              /* first */
    void (*done)(struct sender_test *test, const struct outcome *outcome); /* may free it */
    /* the sender's */
    struct sender *sender;
    bool under_way;
    uint64_t throttle_slot, endpoint_number;
};

struct sender {
    struct subscriber *subscriber;
    const struct sender_owner *owner;
    void *owner_arg;
    struct lane lane;
    int64_t job;             /* what it does for a job carries its number; -1: the live lane */
    struct redrive *redrive; /* its events are dead letters, by their offsets; NULL: the feed's, by
                                their cursors */
    struct feed_reader scanner;             /* looks for new events */
    struct feed_reader finder;              /* fetches again what failed */
    struct attempt *attempts;               /* under way, at events of the lane */
    struct sender_test *test;               /* waits, or is under way; NULL: none */
    struct dead_lettering *dead_letterings; /* being written */
    struct slots_user user;
    int64_t faults,
        held_until_ms;     /* attempts in a row that met a fault of ours; none is made before */
    struct loop_timer due; /* when something may be done */
    int64_t newer;         /* cursor of an event that a later version of ESS wrote; see
                              sender_waits_for_newer */
    int64_t throttled_until_ms; /* waits for the throttle were counted up to then */
};

/* A sender for a lane that the caller then begins (lane_init… on sender->lane). `redrive` is taken
 * over; `owner` stays the caller's. */
void sender_init(struct sender *sender, struct subscriber *subscriber,
                 const struct sender_owner *owner, void *owner_arg, int64_t job,
                 struct redrive *redrive);
/* Cancels, and frees the lane too. */
void sender_fini(struct sender *sender);

/* Does whatever can be done now, or arranges to be called when something can. */
void sender_step(struct sender *sender);
/* The same, from the loop: for callers in which it must not start anything. */
void sender_wake(struct sender *sender);

/* Closes what is under way, and leaves dead letters that are not yet written to be made anew. The
 * lane stays. */
void sender_cancel(struct sender *sender);

/* Makes a test, one at a time, before any event: as soon as the throttle and a place allow,
 * whatever the lane's state and the endpoint's back-off, since a person asked for it. */
void sender_test(struct sender *sender, struct sender_test *test);
/* Calls off the test that waits or is under way; its `done` is not called. */
void sender_test_cancel(struct sender *sender);

/* The cursor of the event that the lane cannot pass, because a later version of ESS wrote it; 0:
 * none. */
int64_t sender_waits_for_newer(const struct sender *sender);

/* What the subscriber wants has changed. */
void sender_topics_changed(struct sender *sender);

/* The dead letter of an event is in Kafka. */
void sender_dead_lettered(struct sender *sender, int64_t lane_cursor);

#endif
