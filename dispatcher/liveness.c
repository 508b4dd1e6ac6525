/* Lanes without a next step; see liveness.h. */
#include "dispatcher/liveness.h"

#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "dispatcher/dispatcher.h"
#include "dispatcher/subscriber/commands.h"
#include "dispatcher/subscriber/message.h"
#include "dispatcher/subscriber/redrive.h"
#include "dispatcher/subscriber/subscriber.h"
#include "dispatcher/subscriber/subscribers.h"

enum { EVERY_MS = 1000 };

const char *liveness_waits_for(const struct sender *sender) {
    const struct subscriber *s = sender->subscriber;
    if (s->slots.in_flight > 0)
        return "attempt"; /* any attempt of the subscriber: its end wakes all senders */
    if (sender->due.slot)
        return "timer";
    if (sender->user.queued)
        return "place";
    if (feed_reader_waits(&sender->scanner) || feed_reader_waits(&sender->finder))
        return "log";
    if (sender->dead_letterings)
        return "dead_letter";
    if (sender->redrive && redrive_waits(sender->redrive))
        return "dead_letters";
    return NULL;
}

static bool liveness_is_at_rest(const struct sender *sender) {
    const struct lane *lane = &sender->lane;
    if (message_next(sender))
        return false;
    if (lane->pending)
        return standing_waits(&sender->subscriber->standing);
    if (lane->paused || lane->disabled || (lane->policy.pulled && lane->window.count))
        return true;
    return sender->job < 0 ? lane_idle(lane) : lane_done(lane) && sender->subscriber->jobs.due.slot;
}

bool liveness_is_stuck(const struct sender *sender) {
    return !liveness_is_at_rest(sender) && !liveness_waits_for(sender);
}

static bool liveness_may_not_be(const struct sender *sender) {
    return subscriber_may_send(sender->subscriber, sender) && liveness_is_stuck(sender);
}

static size_t liveness_stuck_of(const struct subscriber *s) {
    return s->running ? liveness_may_not_be(&s->live) +
                            (s->jobs.sender && liveness_may_not_be(s->jobs.sender)) +
                            jobs_stuck(&s->jobs) + commands_stuck(&s->commands)
                      : 0;
}

size_t liveness_stuck(const struct dispatcher *d) {
    size_t count = 0;
    for (const struct subscriber *s = subscribers_first(d->subscribers); s; s = s->hh.next)
        count += liveness_stuck_of(s);
    return count;
}

static void liveness_report(const struct subscriber *s) {
    const struct sender *sender = liveness_may_not_be(&s->live) || !s->jobs.sender ? &s->live
                                                                                   : s->jobs.sender;
    const struct lane *lane = &sender->lane;
    log_error("lane_without_wakeup", LOG_S("subscriber", s->id), LOG_N("job", sender->job),
              LOG_N("jobs", s->jobs.count), LOG_N("commands_stuck", commands_stuck(&s->commands)),
              LOG_N("position", lane->position), LOG_N("scanned", lane->scanned),
              LOG_N("at_end", lane->at_end), LOG_N("window", lane->window.count));
}

static void liveness_on_due(void *arg) {
    struct dispatcher *d = arg;
    bool found = false;
    for (const struct subscriber *s = subscribers_first(d->subscribers); s; s = s->hh.next) {
        if (liveness_stuck_of(s)) {
            liveness_report(s);
            found = true;
        }
    }
    if (found)
        abort();
    loop_timer_set(d->service.loop, &d->liveness_due, clock_ms() + EVERY_MS);
}

void liveness_begin(struct dispatcher *d) {
    if (!d->service.settings.dispatcher.check_liveness)
        return;
    loop_timer_init(&d->liveness_due, liveness_on_due, d);
    loop_timer_set(d->service.loop, &d->liveness_due, clock_ms() + EVERY_MS);
}
