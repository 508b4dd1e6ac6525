/* Webhooks under way, all together bounded: who may start another, and who waits for a turn.
 *
 * Every attempt holds a place, whether a live lane, a job or a test delivery makes it. Users that
 * find no place queue up and are served in that order, one webhook a turn. Two rules keep endpoints
 * that hang from the places of the others:
 *   - A group (a subscriber) that holds a quarter of all places gets another one only while more
 * than a quarter is free.
 *   - Groups that are silent (their last attempt had no answer) share a quarter of all places.
 *
 * Whoever gives a place back need not serve those who wait: `serve_soon` is called, and the loop
 * then calls slots_serve. So nothing is served from within a callback that frees something. Pure
 * but for the calls that are named here. */
#ifndef ESS_DISPATCHER_SLOTS_H
#define ESS_DISPATCHER_SLOTS_H

#include <stdbool.h>
#include <stdint.h>

/* The users of one subscriber, to whom the shares apply together. All zero but for `ended` and
 * `arg` at first. */
struct slots_group {
    int64_t in_flight;
    bool silent;
    void (*ended)(void *arg); /* an attempt of it has ended, in whatever way; must not serve, start
                                 or free anything */
    void *arg;
    struct slots_user *queued;
};

struct slots_user {
    struct slots_group *group;
    bool queued;
    bool turn; /* it is being served */
    void (*served)(void *arg);
    void *arg;
    struct slots_user *prev, *next;             /* in the queue */
    struct slots_user *group_prev, *group_next; /* among the group's that are queued */
};

struct slots {
    int64_t max, in_flight;
    int64_t silent_in_flight; /* of the silent groups */
    struct slots_user *queue, *silent_queue;
    int64_t waiting; /* in both queues */
    bool closed;
    bool serve_due; /* slots_serve is to be called, or runs: until then nobody overtakes the
                       queue */
    void (*serve_soon)(void *arg); /* to call slots_serve from the loop */
    void *arg;
};

void slots_init(struct slots *slots, int64_t max, void (*serve_soon)(void *arg), void *arg);

/* Whether it may start one now; when it may not, it is queued, and `served` is called when it may.
 */
bool slots_ask(struct slots *slots, struct slots_user *user);
/* It has started one. */
void slots_take(struct slots *slots, struct slots_user *user);
/* One of its own has ended. */
void slots_give(struct slots *slots, struct slots_user *user);
/* While closed nobody may start; who asks is queued. */
void slots_close(struct slots *slots, bool closed);
/* Gives one that waits its turn although places are closed. */
void slots_probe(struct slots *slots);
/* It does not wait any more. */
void slots_leave(struct slots *slots, struct slots_user *user);
/* Whether the group's last attempt had no answer. */
void slots_set_silent(struct slots *slots, struct slots_group *group, bool silent);

/* Gives those that wait their turns, as far as there are places. */
void slots_serve(struct slots *slots);

#endif
