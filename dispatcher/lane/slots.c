/* Delivery slots; see slots.h. While serve_due is set, no newcomer may start, so nobody overtakes
 * the queue. Silent groups have a queue of their own, which costs nothing while their quarter is
 * full. */
#include "dispatcher/lane/slots.h"

#include <stddef.h>
#include <utlist.h>

enum { TURNS_MAX = 64 }; /* per call of slots_serve: other callbacks get a turn too */

void slots_init(struct slots *c, int64_t max, void (*serve_soon)(void *arg), void *arg) {
    *c = (struct slots){.max = max, .serve_soon = serve_soon, .arg = arg};
}

static int64_t slots_quarter_of(const struct slots *c) { return c->max / 4 > 0 ? c->max / 4 : 1; }

static bool slots_has_free(const struct slots *c, const struct slots_group *group) {
    int64_t quarter = slots_quarter_of(c), free = c->max - c->in_flight;
    if (c->closed || free <= 0 || c->batch_bytes >= SLOTS_BATCH_BYTES ||
        (group->silent && c->silent_in_flight >= quarter))
        return false;
    return group->in_flight < quarter || free > quarter;
}

static struct slots_user **slots_queue_of(struct slots *c, const struct slots_group *group) {
    return group->silent ? &c->silent_queue : &c->queue;
}

static void slots_enqueue(struct slots *c, struct slots_user *user) {
    if (user->queued)
        return;
    DL_APPEND(*slots_queue_of(c, user->group), user);
    DL_APPEND2(user->group->queued, user, group_prev, group_next);
    user->queued = true;
    c->waiting++;
}

static void slots_dequeue(struct slots *c, struct slots_user *user) {
    DL_DELETE(*slots_queue_of(c, user->group), user);
    DL_DELETE2(user->group->queued, user, group_prev, group_next);
    user->queued = false;
    c->waiting--;
}

static void slots_serve_soon(struct slots *c) {
    if (c->waiting == 0 || c->serve_due)
        return;
    c->serve_due = true;
    c->serve_soon(c->arg);
}

void slots_leave(struct slots *c, struct slots_user *user) {
    if (user->queued)
        slots_dequeue(c, user);
}

bool slots_ask(struct slots *c, struct slots_user *user) {
    if (slots_has_free(c, user->group) && (user->turn || !c->serve_due)) {
        slots_leave(c, user);
        return true;
    }
    slots_enqueue(c, user);
    return false;
}

static void slots_count(struct slots *c, struct slots_group *group, int64_t more) {
    c->in_flight += more;
    group->in_flight += more;
    c->silent_in_flight += group->silent ? more : 0;
}

void slots_take(struct slots *c, struct slots_user *user) {
    slots_count(c, user->group, 1);
    user->turn = false;
}

void slots_give(struct slots *c, struct slots_user *user) {
    slots_count(c, user->group, -1);
    user->group->ended(user->group->arg);
    slots_serve_soon(c);
}

void slots_hold(struct slots *c, int64_t bytes) { c->batch_bytes += bytes; }

void slots_set_silent(struct slots *c, struct slots_group *group, bool silent) {
    struct slots_user *user;
    if (group->silent == silent)
        return;
    c->silent_in_flight += silent ? group->in_flight : -group->in_flight;
    DL_FOREACH2(group->queued, user, group_next) { DL_DELETE(*slots_queue_of(c, group), user); }
    group->silent = silent;
    DL_FOREACH2(group->queued, user, group_next) { DL_APPEND(*slots_queue_of(c, group), user); }
    if (!silent)
        slots_serve_soon(c);
}

static bool slots_serve_first(struct slots *c, struct slots_user *queue) {
    struct slots_user *user = queue;
    while (user && !slots_has_free(c, user->group))
        user = user->next;
    if (!user)
        return false;
    slots_dequeue(c, user);
    user->turn = true;
    user->served(user->arg);
    user->turn = false;
    return true;
}

void slots_serve(struct slots *c) {
    bool served = true;
    c->serve_due = true;
    for (int turns = 0; served && turns < TURNS_MAX; turns++) {
        served = c->in_flight < c->max && slots_serve_first(c, c->queue);
        if (c->in_flight < c->max && c->silent_in_flight < slots_quarter_of(c))
            served |= slots_serve_first(c, c->silent_queue);
    }
    c->serve_due = false;
    if (served)
        slots_serve_soon(c);
}

void slots_close(struct slots *c, bool closed) {
    c->closed = closed;
    if (!closed)
        slots_serve_soon(c);
}

void slots_probe(struct slots *c) {
    int64_t before = c->in_flight;
    c->closed = false;
    c->serve_due = true;
    for (int turns = 0; turns < TURNS_MAX && c->in_flight == before;
         turns++) /* a user with nothing to send passes the turn on */
        if (!slots_serve_first(c, c->queue) && !slots_serve_first(c, c->silent_queue))
            break;
    c->serve_due = false;
    c->closed = true;
}
