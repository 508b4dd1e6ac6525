/* Webhooks under way; see capacity.h. */
#include "dispatcher/capacity.h"

#include <stddef.h>
#include <utlist.h>

static int64_t share_of(const struct capacity *c) { return c->max / 4 > 0 ? c->max / 4 : 1; }

static void enqueue(struct capacity *c, struct capacity_user *user) {
    if (user->queued)
        return;
    DL_APPEND(c->queue, user);
    user->queued = true;
    c->waiting++;
}

void capacity_leave(struct capacity *c, struct capacity_user *user) {
    if (!user->queued)
        return;
    DL_DELETE(c->queue, user);
    user->queued = false;
    c->waiting--;
}

bool capacity_ask(struct capacity *c, struct capacity_user *user) {
    bool others_wait = c->waiting > (user->queued ? 1 : 0);
    if (c->in_flight < c->max && (user->turn || !others_wait)) {
        capacity_leave(c, user);
        return true;
    }
    enqueue(c, user);
    return false;
}

void capacity_take(struct capacity *c, struct capacity_user *user) {
    c->in_flight++;
    user->in_flight++;
    user->turn = false;
}

void capacity_give(struct capacity *c, struct capacity_user *user) {
    c->in_flight--;
    user->in_flight--;
}

/* The first that has less than its share, else the first. */
static struct capacity_user *choose(const struct capacity *c) {
    struct capacity_user *user;
    DL_FOREACH(c->queue, user) {
        if (user->in_flight < share_of(c))
            return user;
    }
    return c->queue;
}

void capacity_serve(struct capacity *c) {
    for (int64_t turns = c->waiting; turns > 0 && c->queue && c->in_flight < c->max; turns--) {
        struct capacity_user *user = choose(c);
        capacity_leave(c, user);
        user->turn = true;
        user->served(user->arg);
        user->turn = false;
    }
}
