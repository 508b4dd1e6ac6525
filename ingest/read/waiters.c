/* Those who wait at the log's end; see waiters.h. An event marks whom it matches; they are woken a
 * few a turn of the loop, so that one that thousands wait for holds nobody up. */
#include "ingest/read/waiters.h"

#include <stdlib.h>
#include <utlist.h>

#include "common/base/buf.h"
#include "common/base/clock.h"

enum { WAKES_A_TURN = 64 };

struct waiters {
    struct loop *loop;
    struct match *match;
    struct waiter *woken; /* in order */
    struct loop_timer turn;
};

static void waiters_wake_some(void *arg) {
    struct waiters *w = arg;
    for (int i = 0; i < WAKES_A_TURN && w->woken; i++) {
        struct waiter *waiter = w->woken;
        DL_DELETE(w->woken, waiter);
        waiter->woken = false;
        waiter->wake(waiter->arg, waiter->cursor);
    }
    if (w->woken)
        loop_timer_set(w->loop, &w->turn, clock_ms());
}

struct waiters *waiters_new(struct loop *loop) {
    struct waiters *w = mem_zero(sizeof *w);
    w->loop = loop;
    w->match = match_new();
    loop_timer_init(&w->turn, waiters_wake_some, w);
    return w;
}

void waiters_free(struct waiters *w) {
    if (!w)
        return;
    loop_timer_clear(w->loop, &w->turn);
    match_free(w->match);
    free(w);
}

void waiters_add(struct waiters *w, struct waiter *waiter,
                 const struct subscription *subscription) {
    match_add_all(w->match, subscription, &waiter->member);
}

void waiters_remove(struct waiters *w, struct waiter *waiter,
                    const struct subscription *subscription) {
    match_remove_all(w->match, subscription, &waiter->member);
    if (waiter->woken)
        DL_DELETE(w->woken, waiter);
    waiter->waiting = waiter->woken = false;
}

void waiters_wait(struct waiter *waiter) { waiter->waiting = true; }

struct arrival {
    struct waiters *waiters;
    int64_t cursor;
};

static void waiters_mark(void *arg, struct match_member *member) {
    struct arrival *arrival = arg;
    struct waiter *waiter = (struct waiter *)(void *)((char *)member -
                                                      offsetof(struct waiter, member));
    if (!waiter->waiting)
        return; /* it will come to the event by reading on */
    waiter->waiting = false;
    waiter->woken = true;
    waiter->cursor = arrival->cursor;
    DL_APPEND(arrival->waiters->woken, waiter);
}

void waiters_appended(struct waiters *w, const struct feed_event *event) {
    struct arrival arrival = {w, event->cursor};
    match_each(w->match, event->topic, waiters_mark, &arrival);
    if (w->woken && w->turn.slot == 0)
        loop_timer_set(w->loop, &w->turn, clock_ms());
}
