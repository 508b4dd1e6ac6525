/* Lanes against a made-up log and endpoint, in virtual time, with hand-overs: thousands of random
 * steps for each ordering, with all promises checked after each step. A failure names its seed:
 * WALK_SEED=n runs that seed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/channel/webhook.h"
#include "dispatcher/lane/lane.h"

enum { EVENTS = 300, KEYS = 5, SEEDS = 150, STEPS_MAX = 200000, FLIGHTS_MAX = 16 };

static struct {
    uint64_t seed;
    int64_t now_ms;
    struct lane lane;
    struct throttle throttle;
    struct endpoint endpoint;
    double throttle_per_sec; /* 0: unlimited */
    struct lane_policy policy;
    int64_t cursors[EVENTS];
    unsigned keys[EVENTS];
    bool settled[EVENTS];
    int64_t appended; /* events in the log so far */
    struct {
        int event; /* -1: free */
        int64_t ends_ms;
    } entries[FLIGHTS_MAX];
    int in_flight;
    int64_t finished[1 << 16]; /* when attempts ended, in order of their start */
    size_t started;
    size_t attempt_of[FLIGHTS_MAX];
    int bad_percent;
} w;

static uint64_t next_random(void) {
    w.seed ^= w.seed << 13;
    w.seed ^= w.seed >> 7;
    w.seed ^= w.seed << 17;
    return w.seed;
}

static int64_t below(int64_t n) { return (int64_t)(next_random() % (uint64_t)n); }
static bool chance(int percent) { return below(100) < percent; }

static int event_at(int64_t cursor) {
    for (int i = 0; i < EVENTS; i++)
        if (w.cursors[i] == cursor)
            return i;
    return -1;
}

static void check_order(int event) {
    assert_false(w.settled[event]); /* a settled event is never sent again */
    for (int i = 0; i < event; i++) {
        bool before = w.policy.ordering == SPEC_STRICT ||
                      (w.policy.ordering == SPEC_KEY && w.keys[i] == w.keys[event]);
        assert_true(!before || w.settled[i]);
    }
}

/* The attempt `burst` earlier was finished a whole window ago. */
static void check_throttle(void) {
    if (w.throttle_per_sec <= 0 || w.started < w.throttle.burst)
        return;
    int64_t finished = w.finished[w.started - w.throttle.burst];
    assert_true(finished >= 0 && finished + w.throttle.window_ms <= w.now_ms);
}

static void start(int64_t cursor) {
    int event = event_at(cursor), slot = 0;
    const struct window_entry *entry = lane_start(&w.lane, cursor);
    check_order(event);
    check_throttle();
    assert_int_equal(entry->prev, event ? w.cursors[event - 1] : 0);
    while (w.entries[slot].event >= 0)
        slot++;
    w.entries[slot].event = event;
    w.entries[slot].ends_ms = w.now_ms + below(200);
    w.attempt_of[slot] = w.started;
    w.finished[w.started++] = -1;
    w.in_flight++;
    assert_true(w.in_flight <= (w.policy.ordering == SPEC_STRICT ? 1 : w.policy.max_in_flight));
}

static void end(int slot) {
    w.finished[w.attempt_of[slot]] = w.now_ms;
    w.entries[slot].event = -1;
    w.in_flight--;
}

static void finish(int slot) {
    static const int failures[] = {503, 0, 500, 404, 422, 400, 429};
    int event = w.entries[slot].event;
    int64_t cursor = w.cursors[event];
    int status = chance(w.bad_percent) ? failures[below(7)] : 200;
    int64_t retry_after_ms = chance(20) ? below(500) : 0;
    const struct outcome outcome = {.verdict = webhook_judge(status, retry_after_ms),
                                    .status = status,
                                    .retry_after_ms = retry_after_ms};
    end(slot);
    enum entry_state now = lane_finish(&w.lane, cursor, &outcome, w.now_ms, w.now_ms,
                                       next_random());
    if (now == ENTRY_DEAD_LETTERING) {
        lane_dead_lettered(&w.lane, cursor);
        now = ENTRY_SETTLED;
    }
    w.settled[event] = now == ENTRY_SETTLED;
}

static void scan(void) {
    for (int i = 0; i < w.appended; i++) {
        if (w.cursors[i] <= w.lane.scanned)
            continue;
        if (lane_found(&w.lane, w.cursors[i], (uint64_t)i + 1, w.keys[i], false))
            start(w.cursors[i]);
        return;
    }
    lane_at_end(&w.lane, w.appended ? w.cursors[w.appended - 1] : 0, false);
}

static void append(void) {
    w.appended++;
    if (w.lane.at_end)
        lane_wake(&w.lane, w.cursors[w.appended - 1] - 1);
}

/* Calls off everything under way; another process continues from the token. */
static void hand_over(void) {
    struct token token = {.epoch = -1};
    for (int slot = 0; slot < FLIGHTS_MAX; slot++) {
        if (w.entries[slot].event < 0)
            continue;
        lane_abort(&w.lane, w.cursors[w.entries[slot].event], w.now_ms);
        end(slot);
    }
    lane_to_token(&w.lane, w.now_ms, w.now_ms, &token);
    lane_fini(&w.lane);
    lane_init_from_token(&w.lane, &w.policy, &w.throttle, &w.endpoint, &token);
    assert_int_equal(w.endpoint.in_flight, 0);
    token_fini(&token);
}

static int due_slot(void) {
    for (int slot = 0; slot < FLIGHTS_MAX; slot++)
        if (w.entries[slot].event >= 0 && w.entries[slot].ends_ms <= w.now_ms)
            return slot;
    return -1;
}

static void check_position(void) {
    for (int i = 0; i < w.appended; i++)
        assert_true(w.cursors[i] > w.lane.position || w.settled[i]);
    assert_true(w.lane.last <= w.lane.position && w.lane.position <= w.lane.scanned);
    assert_int_equal(w.lane.window.in_flight, w.in_flight);
}

static void step(void) {
    int64_t cursor, due_ms;
    int slot = due_slot();
    if (slot >= 0)
        finish(slot);
    else if (w.appended < EVENTS && chance(20))
        append();
    else if (chance(1))
        hand_over();
    else if (w.lane.disabled)
        lane_resume(&w.lane);
    else if (chance(1))
        lane_skip(&w.lane);
    else if (chance(1))
        lane_pause(&w.lane, !w.lane.paused);
    else
        switch (lane_next(&w.lane, w.now_ms, &cursor, &due_ms)) {
        case LANE_SEND:
            start(cursor);
            break;
        case LANE_DEAD_LETTER:
            lane_dead_letter(&w.lane, cursor);
            lane_dead_lettered(&w.lane, cursor);
            w.settled[event_at(cursor)] = true;
            break;
        case LANE_SCAN:
            scan();
            break;
        case LANE_NOTHING:
            w.now_ms += 1 + below(chance(10) ? 2000 : 40);
            break;
        }
    check_position();
}

static void begin(uint64_t seed, enum spec_ordering ordering) {
    memset(&w, 0, sizeof w);
    w.seed = seed * 0x9e3779b97f4a7c15 + 1;
    w.now_ms = 1000000;
    w.bad_percent = (int)below(60);
    w.throttle_per_sec = chance(50) ? 0 : 0.5 + (double)below(400) / 10;
    w.policy = (struct lane_policy){
        .ordering = ordering,
        .max_in_flight = ordering == SPEC_STRICT ? 1 : 1 + below(FLIGHTS_MAX),
        .max_attempts = 1 + below(5),
        .backoff_min_ms = 10,
        .backoff_max_ms = 1000,
        .disable_after_ms = 5000};
    for (int64_t i = 0, cursor = 0; i < EVENTS; i++) {
        w.cursors[i] = cursor += 1 + below(4);
        w.keys[i] = (unsigned)below(KEYS);
    }
    for (int slot = 0; slot < FLIGHTS_MAX; slot++)
        w.entries[slot].event = -1;
    throttle_init(&w.throttle, w.throttle_per_sec);
    lane_init(&w.lane, &w.policy, &w.throttle, &w.endpoint, 0);
}

static void walk(uint64_t seed, enum spec_ordering ordering) {
    int steps = 0;
    begin(seed, ordering);
    print_message("WALK_SEED=%llu ordering %d\n", (unsigned long long)seed, (int)ordering);
    while ((w.appended < EVENTS || !lane_idle(&w.lane)) && steps++ < STEPS_MAX &&
           w.started < (1 << 16) - 1) {
        if (steps > STEPS_MAX / 4)
            w.bad_percent = 0; /* waiting events get their 2xx */
        step();
    }
    assert_true(lane_idle(&w.lane));
    for (int i = 0; i < EVENTS; i++)
        assert_true(w.settled[i]);
    assert_int_equal(w.lane.position, w.cursors[EVENTS - 1]);
    assert_int_equal(w.lane.last, w.cursors[EVENTS - 1]);
    lane_fini(&w.lane);
    throttle_fini(&w.throttle);
}

static void walk_all(enum spec_ordering ordering) {
    const char *one = getenv("WALK_SEED");
    if (one)
        walk(strtoull(one, NULL, 10), ordering);
    for (uint64_t seed = 1; !one && seed <= SEEDS; seed++)
        walk(seed, ordering);
}

static void strict_lanes_keep_their_promises(void **state) {
    (void)state;
    walk_all(SPEC_STRICT);
}

static void lanes_by_key_keep_their_promises(void **state) {
    (void)state;
    walk_all(SPEC_KEY);
}

static void lanes_without_order_keep_their_promises(void **state) {
    (void)state;
    walk_all(SPEC_NONE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strict_lanes_keep_their_promises),
        cmocka_unit_test(lanes_by_key_keep_their_promises),
        cmocka_unit_test(lanes_without_order_keep_their_promises),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
