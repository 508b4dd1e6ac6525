/* Delivery slots: the limit on all webhooks under way, and the queue of users waiting for a slot.
 *
 * Every attempt holds a slot: of a live lane, a job or a test delivery. A user without a slot
 * queues up. The queue is served first come, first served, one webhook a turn. Two rules keep
 * hanging endpoints from taking the slots of all others:
 * - A group (one subscriber) holding a quarter of all slots gets another slot only while more
 *   than a quarter is free.
 * - Silent groups (no answer to the last attempt) share a quarter of all slots.
 *
 * Freeing a slot never starts a webhook from within the callback: `serve_soon` is called, and the
 * loop then calls slots_serve. Pure except for the callbacks named here. */
#ifndef ESS_DISPATCHER_SLOTS_H
#define ESS_DISPATCHER_SLOTS_H

#include <stdbool.h>
#include <stdint.h>

/* The users of one subscriber, sharing the group limits. All zero at first except `ended` and
 * `arg`. */
struct slots_group {
    int64_t in_flight;
    bool silent;
    /* an attempt of the group has ended; must not serve, start or free anything */
    void (*ended)(void *arg);
    void *arg;
    struct slots_user *queued;
};

struct slots_user {
    struct slots_group *group;
    bool queued;
    bool turn; /* is being served */
    void (*served)(void *arg);
    void *arg;
    struct slots_user *prev, *next;             /* in the queue */
    struct slots_user *group_prev, *group_next; /* in the group's own queue */
};

struct slots {
    int64_t max, in_flight;
    int64_t silent_in_flight; /* of the silent groups */
    int64_t batch_bytes;      /* of the batches under way */
    struct slots_user *queue, *silent_queue;
    int64_t waiting; /* in both queues */
    bool closed;
    bool serve_due; /* slots_serve is due or running: no newcomer overtakes the queue */
    void (*serve_soon)(void *arg); /* to call slots_serve from the loop */
    void *arg;
};

void slots_init(struct slots *slots, int64_t max, void (*serve_soon)(void *arg), void *arg);

/* Whether the user may start a webhook now. If not, the user is queued, and `served` is called
 * later. */
bool slots_ask(struct slots *slots, struct slots_user *user);
/* The user has started a webhook. */
void slots_take(struct slots *slots, struct slots_user *user);
/* A webhook of the user has ended. */
void slots_give(struct slots *slots, struct slots_user *user);
/* While closed, no webhook may start, and users that ask are queued. */
void slots_close(struct slots *slots, bool closed);
/* Gives one queued user a turn although the slots are closed. */
void slots_probe(struct slots *slots);
/* Takes the user out of the queue. */
void slots_leave(struct slots *slots, struct slots_user *user);
/* Whether the group's last attempt had no answer. */
void slots_set_silent(struct slots *slots, struct slots_group *group, bool silent);

/* The body of a batch under way, which begins (`bytes` above 0) or has ended (below 0; before
 * slots_give). While all of them have SLOTS_BATCH_BYTES or more, no webhook may start. */
enum { SLOTS_BATCH_BYTES = 256 * 1024 * 1024 };
void slots_hold(struct slots *slots, int64_t bytes);

/* Gives queued users their turns while slots are free. */
void slots_serve(struct slots *slots);

#endif
