/* Webhooks under way; see capacity.h. While no serving is due, nobody in the queues may start: so a
 * newcomer that finds a place overtakes nobody. The silent have a queue of their own, which costs
 * nothing while their quarter is full. */
#include "dispatcher/lane/capacity.h"

#include <stddef.h>
#include <utlist.h>

enum { TURNS_MAX = 64 }; /* of one serving: other callbacks have their turn too */

void capacity_init(struct capacity *c, int64_t max, void (*serve_soon)(void *arg), void *arg) {
    *c = (struct capacity){.max = max, .serve_soon = serve_soon, .arg = arg};
}

static int64_t quarter_of(const struct capacity *c) { return c->max / 4 > 0 ? c->max / 4 : 1; }

static bool has_place(const struct capacity *c, const struct capacity_group *group) {
    int64_t quarter = quarter_of(c), free = c->max - c->in_flight;
    if (c->closed || free <= 0 || (group->silent && c->silent_in_flight >= quarter))
        return false;
    return group->in_flight < quarter || free > quarter;
}

static struct capacity_user **queue_of(struct capacity *c, const struct capacity_group *group) {
    return group->silent ? &c->silent_queue : &c->queue;
}

static void enqueue(struct capacity *c, struct capacity_user *user) {
    if (user->queued)
        return;
    DL_APPEND(*queue_of(c, user->group), user);
    DL_APPEND2(user->group->queued, user, group_prev, group_next);
    user->queued = true;
    c->waiting++;
}

static void dequeue(struct capacity *c, struct capacity_user *user) {
    DL_DELETE(*queue_of(c, user->group), user);
    DL_DELETE2(user->group->queued, user, group_prev, group_next);
    user->queued = false;
    c->waiting--;
}

static void serve_soon(struct capacity *c) {
    if (c->waiting == 0 || c->serve_due)
        return;
    c->serve_due = true;
    c->serve_soon(c->arg);
}

void capacity_leave(struct capacity *c, struct capacity_user *user) {
    if (user->queued)
        dequeue(c, user);
}

bool capacity_ask(struct capacity *c, struct capacity_user *user) {
    if (has_place(c, user->group) && (user->turn || !c->serve_due)) {
        capacity_leave(c, user);
        return true;
    }
    enqueue(c, user);
    return false;
}

static void count(struct capacity *c, struct capacity_group *group, int64_t more) {
    c->in_flight += more;
    group->in_flight += more;
    c->silent_in_flight += group->silent ? more : 0;
}

void capacity_take(struct capacity *c, struct capacity_user *user) {
    count(c, user->group, 1);
    user->turn = false;
}

void capacity_give(struct capacity *c, struct capacity_user *user) {
    count(c, user->group, -1);
    user->group->ended(user->group->arg);
    serve_soon(c);
}

void capacity_set_silent(struct capacity *c, struct capacity_group *group, bool silent) {
    struct capacity_user *user;
    if (group->silent == silent)
        return;
    c->silent_in_flight += silent ? group->in_flight : -group->in_flight;
    DL_FOREACH2(group->queued, user, group_next) { DL_DELETE(*queue_of(c, group), user); }
    group->silent = silent;
    DL_FOREACH2(group->queued, user, group_next) { DL_APPEND(*queue_of(c, group), user); }
    if (!silent)
        serve_soon(c);
}

static bool serve_first(struct capacity *c, struct capacity_user *queue) {
    struct capacity_user *user = queue;
    while (user && !has_place(c, user->group))
        user = user->next;
    if (!user)
        return false;
    dequeue(c, user);
    user->turn = true;
    user->served(user->arg);
    user->turn = false;
    return true;
}

void capacity_serve(struct capacity *c) {
    bool served = true;
    c->serve_due = true;
    for (int turns = 0; served && turns < TURNS_MAX; turns++) {
        served = c->in_flight < c->max && serve_first(c, c->queue);
        if (c->in_flight < c->max && c->silent_in_flight < quarter_of(c))
            served |= serve_first(c, c->silent_queue);
    }
    c->serve_due = false;
    if (served)
        serve_soon(c);
}

void capacity_close(struct capacity *c, bool closed) {
    c->closed = closed;
    if (!closed)
        serve_soon(c);
}

void capacity_probe(struct capacity *c) {
    int64_t before = c->in_flight;
    c->closed = false;
    c->serve_due = true;
    for (int turns = 0; turns < TURNS_MAX && c->in_flight == before;
         turns++) /* who has nothing to send passes its turn on */
        if (!serve_first(c, c->queue) && !serve_first(c, c->silent_queue))
            break;
    c->serve_due = false;
    c->closed = true;
}
