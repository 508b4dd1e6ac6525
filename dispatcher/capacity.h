/* Webhooks under way, all together bounded: who may start another, and who waits for a turn.
 *
 * Senders that find no room queue up, and are served in that order, one webhook a turn; one that has a quarter of all under
 * way has its turn after those that have less. Pure but for the call of a sender's turn. */
#ifndef ESS_DISPATCHER_CAPACITY_H
#define ESS_DISPATCHER_CAPACITY_H

#include <stdbool.h>
#include <stdint.h>

struct capacity_user {
    int64_t in_flight;
    bool queued;
    bool turn; /* it is being served */
    void (*served)(void *arg);
    void *arg;
    struct capacity_user *prev, *next;
};

struct capacity {
    int64_t max, in_flight;
    struct capacity_user *queue;
    int64_t waiting;
};

/* Whether it may start one now; when it may not, it is queued, and `served` is called when it may. */
bool capacity_ask(struct capacity *capacity, struct capacity_user *user);
/* It has started one. */
void capacity_take(struct capacity *capacity, struct capacity_user *user);
/* One of its own has ended; capacity_serve follows when the caller is done with that. */
void capacity_give(struct capacity *capacity, struct capacity_user *user);
/* Gives those that wait their turns, as far as there is room. */
void capacity_serve(struct capacity *capacity);
/* It does not wait any more. */
void capacity_leave(struct capacity *capacity, struct capacity_user *user);

#endif
