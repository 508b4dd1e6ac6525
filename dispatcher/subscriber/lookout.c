/* Warnings; see lookout.h. One reader looks at one lane after the other, for the first record above
 * its position, whatever that is: so a lane costs a chunk at most, and nothing until its position
 * changes. A lane at the tail, and one that knows its oldest event, costs nothing at all. */
#include "dispatcher/subscriber/lookout.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "dispatcher/dispatcher.h"
#include "dispatcher/subscriber/progress.h"
#include "dispatcher/subscriber/subscriber.h"
#include "dispatcher/subscriber/subscribers.h"

enum {
    EVERY_MS = 1000,
    FAILING_MS = 60 * 60 * 1000,
    SAY_AGAIN_MS = 60 * 60 * 1000,
    LOOKS_A_TURN = 100
};

struct lookout {
    struct dispatcher *dispatcher;
    struct feed_reader reader;
    struct loop_timer timer;
    char id[SPEC_ID_BYTES_MAX + 1]; /* whom it looks at; "": nobody */
    bool waited;                    /* for a chunk, for this one */
};

bool lookout_lag_nears_window(const struct subscriber *s, int64_t wall_ms) {
    return s->oldest_ms &&
           wall_ms - s->oldest_ms >= s->dispatcher->settings.kafka.replay_window_ms / 5 * 4;
}

bool lookout_fails_long(const struct subscriber *s) { return s->endpoint.failing_ms >= FAILING_MS; }

static void say(struct subscriber *s) {
    int64_t held_back, wall_ms = clock_wall_ms();
    if (lookout_lag_nears_window(s, wall_ms) &&
        log_limit_pass(&s->lag_warning, clock_ms(), SAY_AGAIN_MS, &held_back))
        log_warn("lag_nears_replay_window", LOG_S("subscriber", s->id),
                 LOG_N("lag_seconds", (wall_ms - s->oldest_ms) / 1000),
                 LOG_N("window_seconds", s->dispatcher->settings.kafka.replay_window_ms / 1000));
    if (lookout_fails_long(s) &&
        log_limit_pass(&s->failing_warning, clock_ms(), SAY_AGAIN_MS, &held_back))
        log_warn("subscriber_fails_long", LOG_S("subscriber", s->id),
                 LOG_N("seconds", s->endpoint.failing_ms / 1000));
}

static void note(struct subscriber *s, int64_t position, int64_t oldest_ms) {
    if (s->oldest_ms != oldest_ms)
        progress_soon(s);
    s->oldest_at = position;
    s->oldest_ms = oldest_ms;
}

/* Returns whether it is done with this one. One that moves while its chunk is read will know its
 * oldest event soon. */
static bool look_at(struct lookout *l, struct subscriber *s) {
    const struct lane *lane = &s->live.lane;
    struct feed_event event;
    struct feed_passed passed;
    if (lane_idle(lane) || lane_oldest_ms(lane)) {
        note(s, -1, 0);
    } else if (s->oldest_at != lane->position || !s->oldest_ms) {
        enum feed_result result = feed_next(l->dispatcher->feed, &l->reader, lane->position, &event,
                                            &passed);
        if (result == FEED_LATER && !l->waited)
            return !(l->waited = true);
        if (result != FEED_LATER)
            note(s, lane->position, result == FEED_END ? 0 : event.appended_ms);
    }
    say(s);
    return true;
}

static struct subscriber *next_running(struct subscriber *s) {
    while (s && !s->running)
        s = s->hh.next;
    return s;
}

/* Goes on with the one that it stopped at. One that has gone meanwhile ends the round: the next one
 * is soon enough. */
static void go_on(void *arg) {
    struct lookout *l = arg;
    struct subscriber *s = next_running(subscribers_find(l->dispatcher->subscribers, l->id));
    for (int looks = 0; s && looks < LOOKS_A_TURN; looks++) {
        if (strcmp(l->id, s->id) != 0)
            feed_reader_changed(&l->reader);
        memcpy(l->id, s->id, sizeof l->id);
        if (!look_at(l, s))
            return; /* the reader will call */
        l->waited = false;
        s = next_running(s->hh.next);
    }
    if (s)
        memcpy(l->id, s->id, sizeof l->id);
    loop_timer_set(l->dispatcher->loop, &l->timer, clock_ms() + (s ? 0 : EVERY_MS));
    if (!s)
        l->id[0] = 0;
}

static void on_due(void *arg) {
    struct lookout *l = arg;
    struct subscriber *first = next_running(subscribers_first(l->dispatcher->subscribers));
    if (!l->id[0] && first)
        memcpy(l->id, first->id, sizeof l->id);
    go_on(l);
}

struct lookout *lookout_new(struct dispatcher *d) {
    struct lookout *l = mem_zero(sizeof *l);
    l->dispatcher = d;
    feed_reader_init(&l->reader, NULL, go_on, l);
    l->reader.peeks = true;
    loop_timer_init(&l->timer, on_due, l);
    loop_timer_set(d->loop, &l->timer, clock_ms() + EVERY_MS);
    return l;
}

void lookout_free(struct lookout *l) {
    if (!l)
        return;
    feed_reader_fini(&l->reader);
    loop_timer_clear(l->dispatcher->loop, &l->timer);
    free(l);
}
