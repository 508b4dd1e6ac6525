/* Warnings; see lag_monitor.h. A single reader looks at one lane after the other, for the first
 * record above the lane's position, of any topic. So a lane costs one chunk at most, and nothing
 * until its position changes. A lane at the tail, or with a known oldest event, costs nothing. */
#include "dispatcher/subscriber/lag_monitor.h"

#include <assert.h>
#include <stdlib.h>
#include <utlist.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/loop.h"
#include "common/feed/feed.h"
#include "dispatcher/lane/lane.h"

enum {
    EVERY_MS = 1000,
    FAILING_MS = 60 * 60 * 1000,
    SAY_AGAIN_MS = 60 * 60 * 1000,
    LOOKS_A_TURN = 100
};

struct lag_monitor {
    struct loop *loop;
    struct feed *feed;
    int64_t replay_window_ms;
    struct feed_reader reader;
    const struct lag_watch *read_for; /* whom the reader looked at last; NULL: nobody */
    struct loop_timer timer;
    struct lag_watch *watched;
    struct lag_watch *at; /* where the round is; NULL: between two rounds */
    bool waited;          /* for this watch's chunk */
};

/* --- one lane */

bool lag_watch_nears_window(const struct lag_watch *w, int64_t replay_window_ms, int64_t wall_ms) {
    return w->oldest_ms && wall_ms - w->oldest_ms >= replay_window_ms / 5 * 4;
}

bool lag_watch_fails_long(const struct lag_watch *w) {
    return w->endpoint->failing_ms >= FAILING_MS;
}

static void lag_watch_say(struct lag_watch *w) {
    int64_t held_back, wall_ms = clock_wall_ms(), window_ms = w->monitor->replay_window_ms;
    if (lag_watch_nears_window(w, window_ms, wall_ms) &&
        log_limit_pass(&w->lag_warning, clock_ms(), SAY_AGAIN_MS, &held_back))
        log_warn("lag_nears_replay_window", LOG_S("subscriber", w->subscriber),
                 LOG_N("lag_seconds", (wall_ms - w->oldest_ms) / 1000),
                 LOG_N("window_seconds", window_ms / 1000));
    if (lag_watch_fails_long(w) &&
        log_limit_pass(&w->failing_warning, clock_ms(), SAY_AGAIN_MS, &held_back))
        log_warn("subscriber_fails_long", LOG_S("subscriber", w->subscriber),
                 LOG_N("seconds", w->endpoint->failing_ms / 1000));
}

static void lag_watch_note(struct lag_watch *w, int64_t position, int64_t oldest_ms) {
    bool changed = w->oldest_ms != oldest_ms;
    w->oldest_at = position;
    w->oldest_ms = oldest_ms;
    if (changed)
        w->changed(w->arg);
}

void lag_watch_init(struct lag_watch *w, const char *subscriber, const struct lane *lane,
                    const struct endpoint *endpoint, void (*changed)(void *arg), void *arg) {
    *w = (struct lag_watch){.subscriber = subscriber,
                            .lane = lane,
                            .endpoint = endpoint,
                            .changed = changed,
                            .arg = arg};
}

void lag_watch_begin(struct lag_watch *w, struct lag_monitor *m) {
    w->monitor = m;
    DL_APPEND(m->watched, w);
}

/* The round continues behind the watch. */
void lag_watch_end(struct lag_watch *w) {
    struct lag_monitor *m = w->monitor;
    if (!m)
        return;
    if (m->read_for == w)
        m->read_for = NULL;
    if (m->at == w) {
        m->at = w->next;
        m->waited = false;
    }
    DL_DELETE(m->watched, w);
    w->monitor = NULL;
}

/* --- the round */

/* Returns whether the watch is done. A lane that moves while its chunk is read will soon know its
 * oldest event. */
static bool lag_monitor_look_at(struct lag_monitor *m, struct lag_watch *w) {
    const struct lane *lane = w->lane;
    struct feed_event event;
    struct feed_passed passed;
    if (m->read_for != w)
        feed_reader_changed(&m->reader);
    m->read_for = w;
    if (lane_idle(lane)) {
        lag_watch_note(w, -1, 0);
    } else if (lane_oldest_ms(lane)) { /* the token has it from the lane */
        w->oldest_at = -1;
        w->oldest_ms = lane_oldest_ms(lane);
    } else if (w->oldest_at != lane->position || !w->oldest_ms) {
        enum feed_result result = feed_next(m->feed, &m->reader, lane->position, &event, &passed);
        if (result == FEED_LATER && !m->waited)
            return !(m->waited = true);
        if (result != FEED_LATER)
            lag_watch_note(w, lane->position, result == FEED_END ? 0 : event.appended_ms);
    }
    lag_watch_say(w);
    return true;
}

static void lag_monitor_go_on(void *arg) {
    struct lag_monitor *m = arg;
    for (int looks = 0; m->at && looks < LOOKS_A_TURN; looks++) {
        if (!lag_monitor_look_at(m, m->at))
            return; /* the reader will call */
        m->waited = false;
        m->at = m->at->next;
    }
    loop_timer_set(m->loop, &m->timer, clock_ms() + (m->at ? 0 : EVERY_MS));
}

static void lag_monitor_on_due(void *arg) {
    struct lag_monitor *m = arg;
    if (!m->at)
        m->at = m->watched;
    lag_monitor_go_on(m);
}

/* --- life */

struct lag_monitor *lag_monitor_new(struct loop *loop, struct feed *feed,
                                    int64_t replay_window_ms) {
    struct lag_monitor *m = mem_zero(sizeof *m);
    m->loop = loop;
    m->feed = feed;
    m->replay_window_ms = replay_window_ms;
    feed_reader_init(&m->reader, NULL, lag_monitor_go_on, m);
    m->reader.peeks = true;
    loop_timer_init(&m->timer, lag_monitor_on_due, m);
    loop_timer_set(loop, &m->timer, clock_ms() + EVERY_MS);
    return m;
}

void lag_monitor_free(struct lag_monitor *m) {
    if (!m)
        return;
    assert(!m->watched);
    feed_reader_fini(&m->reader);
    loop_timer_clear(m->loop, &m->timer);
    free(m);
}
