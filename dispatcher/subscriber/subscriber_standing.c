/* What a subscriber does for its standing; see standing.h. */
#include "common/base/clock.h"
#include "common/feed/feed.h"
#include "dispatcher/dispatcher.h"
#include "dispatcher/subscriber/subscriber.h"

/* Heartbeats leave three quarters of the slots to events, and half of the rest to heartbeats of
 * endpoints that answer. */
static bool subscriber_may_beat(const struct subscriber *s) {
    const struct dispatcher *d = s->dispatcher;
    return d->heartbeats <= d->slots.max / (s->slots.silent ? 8 : 4) &&
           subscriber_may_send(s, &s->live);
}

static int64_t subscriber_on_log_end(void *arg) {
    const struct subscriber *s = arg;
    const struct feed *feed = s->dispatcher->service.feed;
    return subscriber_may_beat(s) && !feed_trouble(feed) ? feed_end(feed) : -1;
}

static uint64_t subscriber_on_random(void *arg) {
    const struct subscriber *s = arg;
    return dispatcher_random(s->dispatcher);
}

static void subscriber_on_time_over(void *arg, const char *reason) {
    subscriber_disable(arg, reason);
    subscriber_moved(arg);
}

static void subscriber_on_answer_disabled(void *arg, const char *reason) {
    subscriber_disable(arg, reason);
}

static void subscriber_on_renewed(void *arg) {
    subscriber_resume(arg);
    subscriber_moved(arg);
}

static void subscriber_on_standing_changed(void *arg) {
    subscriber_moved(arg);
    subscriber_step_all(arg);
}

static const struct standing_owner standing_owner = {.log_end = subscriber_on_log_end,
                                                     .random = subscriber_on_random,
                                                     .disable = subscriber_on_time_over,
                                                     .disabled = subscriber_on_answer_disabled,
                                                     .resume = subscriber_on_renewed,
                                                     .changed = subscriber_on_standing_changed};

void subscriber_init_standing(struct subscriber *s) {
    const struct standing_options options = {.loop = s->dispatcher->service.loop,
                                             .subscriber = s->id,
                                             .registration_id = s->record.registration_id,
                                             .spec = &s->record.spec,
                                             .sender = &s->live,
                                             .owner = &standing_owner,
                                             .arg = s};
    standing_init(&s->standing, &options);
}
