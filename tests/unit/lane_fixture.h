/* One lane in virtual time, and the steps used by the lane tests. */
#ifndef ESS_TESTS_LANE_FIXTURE_H
#define ESS_TESTS_LANE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/channel/webhook.h"
#include "dispatcher/lane/lane.h"

#define WALL_OFFSET 1700000000000
#define DAY_MS 86400000LL
#define UNUSED __attribute__((unused))

static const struct lane_policy usual = {.ordering = SPEC_STRICT,
                                         .max_in_flight = 1,
                                         .max_attempts = 15,
                                         .backoff_min_ms = 1000,
                                         .backoff_max_ms = 60000,
                                         .disable_after_ms = 5 * DAY_MS};

static struct lane lane; /* of the test under way: fresh, at position 0 */
static struct throttle throttle;
static struct endpoint endpoint;
static int64_t now_ms;
static uint64_t seed;

UNUSED static uint64_t next_random(void) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

UNUSED static int begin(UNUSED void **state) {
    now_ms = 1000000;
    seed = 0x1a9e;
    throttle_init(&throttle, 0);
    endpoint = (struct endpoint){0};
    lane_init(&lane, &usual, &throttle, &endpoint, 0);
    return 0;
}

UNUSED static int end(UNUSED void **state) {
    lane_fini(&lane);
    throttle_fini(&throttle);
    return 0;
}

UNUSED static void concurrent(enum spec_ordering ordering, int64_t max_in_flight) {
    struct lane_policy policy = usual;
    policy.ordering = ordering;
    policy.max_in_flight = max_in_flight;
    lane_set_policy(&lane, &policy);
}

UNUSED static enum lane_todo next(int64_t *cursor) {
    int64_t due_ms;
    return lane_next(&lane, now_ms, cursor, &due_ms);
}

UNUSED static int64_t due_ms(void) {
    int64_t cursor, due;
    return lane_next(&lane, now_ms, &cursor, &due) == LANE_NOTHING ? due : now_ms;
}

/* The next event, of a key, is found and may start now. */
UNUSED static void start_new(int64_t cursor, uint64_t key) {
    int64_t ignored;
    assert_int_equal(next(&ignored), LANE_SCAN);
    assert_true(lane_found(&lane, cursor, (uint64_t)cursor * 31, key, false));
    lane_start(&lane, cursor);
}

/* Judges a status as the webhook channel does. */
UNUSED static struct outcome answer(int status, int64_t retry_after_ms) {
    return (struct outcome){.verdict = webhook_judge(status, retry_after_ms),
                            .status = status,
                            .error = status ? NULL : "connection refused",
                            .retry_after_ms = retry_after_ms};
}

UNUSED static enum entry_state finish(int64_t cursor, int status) {
    struct outcome outcome = answer(status, 0);
    outcome.duration_ms = 5;
    return lane_finish(&lane, cursor, &outcome, now_ms, now_ms + WALL_OFFSET, next_random());
}

/* Waits until an attempt is allowed, makes one attempt, and returns the attempt's number. */
UNUSED static int64_t attempt(int64_t cursor, int status) {
    int64_t known, due = due_ms();
    const struct window_entry *entry = lane_entry(&lane, cursor);
    assert_true(due < INT64_MAX);
    due = entry && entry->state == ENTRY_BACKOFF && entry->retry_at_ms > due ? entry->retry_at_ms
                                                                             : due;
    now_ms = due > now_ms ? due : now_ms;
    if (next(&known) == LANE_SCAN)
        assert_true(lane_found(&lane, cursor, (uint64_t)cursor * 31, 0, false));
    else
        assert_int_equal(known, cursor);
    int64_t number = lane_start(&lane, cursor)->attempts;
    finish(cursor, status);
    return number;
}

UNUSED static enum entry_state state_of(int64_t cursor) {
    return lane_entry(&lane, cursor) ? lane_entry(&lane, cursor)->state : ENTRY_SETTLED;
}

UNUSED static void dead_letter(int64_t cursor) {
    assert_int_equal(state_of(cursor), ENTRY_DEAD_LETTERING);
    lane_dead_lettered(&lane, cursor);
}

UNUSED static void fail_until_given_up(int64_t cursor) {
    for (int64_t i = 1; i < lane.policy.max_attempts; i++) {
        assert_int_equal(attempt(cursor, 503), i);
        assert_int_equal(state_of(cursor), ENTRY_BACKOFF);
    }
    assert_int_equal(attempt(cursor, 503), lane.policy.max_attempts);
    assert_true(lane_entry(&lane, cursor)->reason == DEAD_LETTER_ATTEMPTS);
}

/* Hands the lane over to another lane through a token, as Kafka would. */
UNUSED static void hand_over(struct token *token) {
    struct lane_policy policy = lane.policy;
    *token = (struct token){.epoch = -1};
    lane_to_token(&lane, now_ms, now_ms + WALL_OFFSET, token);
    lane_fini(&lane);
    endpoint = (struct endpoint){0};
    lane_init_from_token(&lane, &policy, &throttle, &endpoint, token);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

#endif
