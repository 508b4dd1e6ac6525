/* One subscriber's lane in virtual time: what each outcome leads to, and what holds over thousands of random steps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/lane.h"

#define WALL_OFFSET 1700000000000
#define DAY_MS 86400000LL
#define UNUSED __attribute__((unused))

static const struct lane_policy usual = {
    .max_attempts = 15, .backoff_min_ms = 1000, .backoff_max_ms = 60000, .disable_after_ms = 5 * DAY_MS};

static struct lane lane; /* of the test under way: fresh, at position 0 */
static int64_t now_ms;
static uint64_t seed;

static int begin(UNUSED void **state) {
    now_ms = 1000000;
    seed = 0x1a9e;
    lane_init(&lane, &usual, 0);
    return 0;
}

static int end(UNUSED void **state) {
    lane_fini(&lane);
    return 0;
}

static uint64_t next_random(void) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static bool chance(unsigned percent) { return next_random() % 100 < percent; }

static void finish(int status) {
    const struct lane_outcome outcome = {.status = status, .error = status ? NULL : "connection refused", .duration_ms = 5};
    lane_finish(&lane, &outcome, now_ms, now_ms + WALL_OFFSET, next_random());
}

/* Waits until it may, and makes one attempt. Returns its number. */
static int64_t attempt(int64_t cursor, int status) {
    int64_t due = lane_due_ms(&lane), number;
    assert_true(due < INT64_MAX);
    now_ms = due > now_ms ? due : now_ms;
    number = lane_start(&lane, cursor, (uint64_t)cursor * 31 + 7);
    assert_int_equal(lane.state, LANE_IN_FLIGHT);
    finish(status);
    return number;
}

static void refuse_and_bury(int64_t cursor) {
    attempt(cursor, 422);
    assert_int_equal(lane.state, LANE_BURYING);
    assert_string_equal(lane.bury_reason, "refused");
    lane_buried(&lane);
}

/* Fails the event until its attempts are used up. */
static void fail_until_given_up(int64_t cursor) {
    for (int64_t i = 1; i < lane.policy.max_attempts; i++) {
        assert_int_equal(attempt(cursor, 503), i);
        assert_int_equal(lane.state, LANE_BACKOFF);
    }
    assert_int_equal(attempt(cursor, 503), lane.policy.max_attempts);
}

static void a_2xx_settles_the_event(UNUSED void **state) {
    lane_fini(&lane);
    lane_init(&lane, &usual, 41);
    assert_true(lane.state == LANE_READY && lane.position == 41 && lane.current == -1 && lane_due_ms(&lane) <= now_ms);
    assert_int_equal(lane_start(&lane, 50, 99), 1);
    assert_int_equal(lane.position, 41);
    assert_int_equal(lane.current, 50);
    assert_int_equal(lane.last, 41); /* the prev_cursor to send */
    assert_int_equal(lane_due_ms(&lane), INT64_MAX);
    finish(204);
    assert_int_equal(lane.state, LANE_READY);
    assert_int_equal(lane.position, 50);
    assert_true(lane.last == 50 && lane.last_id_hash == 99 && lane.current == -1);
    assert_true(lane.delivered == 1 && lane.dead_lettered == 0 && lane.failed_count == 0);
}

static void a_lane_waits_at_the_end_and_wakes_for_the_next_event(UNUSED void **state) {
    lane_pass(&lane, 10);
    attempt(12, 200);
    lane_pass(&lane, 20);
    assert_int_equal(lane.state, LANE_READY);
    assert_int_equal(lane.position, 20);
    lane_wait(&lane, 30);
    assert_int_equal(lane.state, LANE_WAITING);
    assert_int_equal(lane.position, 30);
    assert_int_equal(lane_due_ms(&lane), INT64_MAX);
    lane_wake(&lane, 36);
    assert_int_equal(lane.state, LANE_READY);
    assert_int_equal(lane.position, 36);
    assert_int_equal(lane.last, 12); /* nothing of what was passed was for it */
    assert_int_equal(attempt(37, 200), 1);
    assert_int_equal(lane.position, 37);
}

static void a_lane_in_backoff_waits_between_half_and_all_of_the_delay(UNUSED void **state) {
    for (int event = 1; event < 400; event += 2) {
        for (int64_t number = 1, delay = 1000; number < 10; number++, delay = delay * 2 > 60000 ? 60000 : delay * 2) {
            assert_int_equal(attempt(event, number % 2 ? 503 : 0), number);
            assert_int_equal(lane.state, LANE_BACKOFF);
            assert_int_equal(lane_token_state(&lane), TOKEN_RETRYING);
            assert_in_range(lane_due_ms(&lane) - now_ms, delay / 2, delay);
            assert_true(lane.position < event && lane.current == event);
        }
        assert_int_equal(attempt(event, 200), 10);
        assert_int_equal(lane.position, event);
        assert_int_equal(lane_token_state(&lane), TOKEN_ACTIVE);
        assert_int_equal(attempt(event + 1, 503), 1);
        assert_in_range(lane_due_ms(&lane) - now_ms, 500, 1000);
        attempt(event + 1, 200);
    }
}

static void a_backoff_ends_when_its_event_is_gone(UNUSED void **state) {
    for (int i = 0; i < 5; i++)
        attempt(5, 503);
    lane_pass(&lane, 3);
    assert_int_equal(lane.state, LANE_BACKOFF); /* the event may still be there */
    assert_int_equal(lane.position, 3);
    lane_pass(&lane, 8);
    assert_int_equal(lane.state, LANE_READY);
    assert_int_equal(lane.position, 8);
    assert_int_equal(lane.last, 0);
    assert_true(lane_due_ms(&lane) <= now_ms);
    assert_int_equal(lane.delivered + lane.dead_lettered, 0);
    assert_int_equal(attempt(9, 503), 1);
    lane_wait(&lane, 9);
    assert_int_equal(lane.state, LANE_WAITING);
    assert_int_equal(lane.position, 9);
    lane_wake(&lane, 10);
    assert_true(lane_due_ms(&lane) <= now_ms);
}

static void another_event_than_the_failed_one_counts_anew(UNUSED void **state) {
    attempt(5, 503);
    assert_int_equal(attempt(5, 503), 2);
    assert_int_equal(attempt(7, 503), 1); /* 5 was compacted away */
    assert_int_equal(lane.current, 7);
    assert_int_equal(attempt(7, 200), 2);
    assert_int_equal(lane.position, 7);
}

static void a_refused_event_is_settled_when_its_dead_letter_is(UNUSED void **state) {
    static const int refusals[] = {400, 409, 413, 415, 422};
    for (int i = 0; i < 5; i++) {
        assert_int_equal(attempt(10 + i, refusals[i]), 1);
        assert_int_equal(lane.state, LANE_BURYING);
        assert_string_equal(lane.bury_reason, "refused");
        assert_int_equal(lane.position, i ? 9 + i : 0);
        assert_int_equal(lane_due_ms(&lane), INT64_MAX);
        lane_buried(&lane);
        assert_true(lane.state == LANE_READY && lane.position == 10 + i && lane.last == 10 + i && lane.current == -1);
        assert_true(lane.dead_lettered == i + 1 && lane.delivered == 0);
    }
}

static void after_twenty_refused_in_a_row_the_lane_waits(UNUSED void **state) {
    for (int round = 0, cursor = 1; round < 3; round++) {
        for (int i = 0; i < 20; i++, cursor++)
            refuse_and_bury(cursor);
        for (int i = 0; i < 40; i++) {
            attempt(cursor, i > 20 ? 503 : 422); /* nor is it given up for its attempts */
            assert_int_equal(lane.state, LANE_BACKOFF);
            assert_true(lane_due_ms(&lane) > now_ms);
        }
        assert_int_equal(attempt(cursor++, 200), 41);
        assert_int_equal(lane.refused_in_row, 0);
    }
    assert_int_equal(lane.dead_lettered, 60);
    assert_int_equal(lane.delivered, 3);
}

static void an_outage_gives_up_one_event_and_no_other_before_a_2xx(UNUSED void **state) {
    for (int cursor = 10, round = 1; round <= 2; round++) {
        fail_until_given_up(cursor);
        assert_int_equal(lane.state, LANE_BURYING);
        assert_string_equal(lane.bury_reason, "attempts");
        lane_buried(&lane);
        assert_true(lane.given_up);
        assert_int_equal(lane.position, cursor++);
        for (int i = 0; i < 100; i++) { /* by whatever it fails */
            assert_int_equal(attempt(cursor, i % 3 == 2 ? 400 : i % 3 ? 0 : 503), i + 1);
            assert_int_equal(lane.state, LANE_BACKOFF);
            assert_true(lane_due_ms(&lane) >= now_ms + 500);
        }
        attempt(cursor++, 200);
        assert_false(lane.given_up);
        assert_int_equal(lane.dead_lettered, round);
        assert_int_equal(lane.delivered, round);
    }
}

/* The next event of the made-up log: every tenth cursor. */
static int64_t next_event(void) { return (lane.position / 10 + 1) * 10; }

static void an_hour_of_503_makes_at_most_one_dead_letter(UNUSED void **state) {
    int64_t up_at = now_ms + 3600000;
    while (now_ms < up_at) {
        attempt(next_event(), 503);
        now_ms += 50;
        assert_int_not_equal(lane.state, LANE_DISABLED);
        if (lane.state == LANE_BURYING)
            lane_buried(&lane);
    }
    assert_int_equal(lane.dead_lettered, 1); /* the attempts of one did run out */
    assert_int_equal(lane.position, 10);
    for (int i = 0; i < 100; i++)
        attempt(next_event(), 200);
    assert_int_equal(lane.dead_lettered, 1);
    assert_int_equal(lane.delivered, 100);
    assert_int_equal(lane.position, 1010);
}

static void a_410_disables_the_lane(UNUSED void **state) {
    attempt(5, 410);
    assert_int_equal(lane.state, LANE_DISABLED);
    assert_string_equal(lane.reason, "gone (410)");
    assert_int_equal(lane_token_state(&lane), TOKEN_DISABLED);
    assert_int_equal(lane_due_ms(&lane), INT64_MAX);
    assert_true(lane.position == 0 && lane.delivered == 0 && lane.dead_lettered == 0);
    lane_resume(&lane);
    assert_int_equal(attempt(5, 200), 1);
}

/* Finishes one attempt that fails at `wall`, whatever the monotonic clock says. */
static void fail_at(int64_t cursor, int64_t wall) {
    const struct lane_outcome outcome = {.status = 503};
    lane_start(&lane, cursor, 1);
    lane_finish(&lane, &outcome, now_ms, wall, next_random());
}

static void nothing_but_failure_disables_by_the_wall_clock(UNUSED void **state) {
    struct lane_policy policy = usual;
    policy.max_attempts = 1000;
    lane_set_policy(&lane, &policy);
    fail_at(5, WALL_OFFSET);
    assert_int_equal(lane.failing_since_ms, WALL_OFFSET);
    fail_at(5, WALL_OFFSET + 5 * DAY_MS - 1000);
    assert_int_equal(lane.state, LANE_BACKOFF);
    assert_int_equal(lane.failing_since_ms, WALL_OFFSET);
    now_ms += 1;
    attempt(5, 200);
    assert_int_equal(lane.failing_since_ms, 0);
    fail_at(6, WALL_OFFSET + 6 * DAY_MS); /* that one 2xx began it anew */
    fail_at(6, WALL_OFFSET + 11 * DAY_MS - 1000);
    assert_int_equal(lane.state, LANE_BACKOFF);
    fail_at(6, WALL_OFFSET + 11 * DAY_MS + 1000);
    assert_int_equal(lane.state, LANE_DISABLED);
    assert_true(lane.reason[0] != '\0');
    assert_int_equal(lane.position, 5);
    assert_int_equal(lane.dead_lettered, 0);
}

static void an_attempt_that_was_called_off_counts_for_the_throttle_only(UNUSED void **state) {
    struct lane_policy policy = usual;
    policy.throttle_per_sec = 1;
    lane_set_policy(&lane, &policy);
    assert_int_equal(lane_start(&lane, 5, 1), 1);
    lane_abort(&lane, now_ms);
    assert_int_equal(lane.state, LANE_READY);
    assert_true(lane.position == 0 && lane.failed_count == 0 && lane.failing_since_ms == 0);
    assert_int_equal(lane_token_state(&lane), TOKEN_ACTIVE);
    assert_in_range(lane_due_ms(&lane) - now_ms, 1000, 1001);
    assert_int_equal(attempt(5, 503), 1);
    for (int i = 0; i < 30; i++) { /* more than max_attempts: it is not given up for them */
        now_ms = lane_due_ms(&lane);
        assert_true(lane_start(&lane, 5, 1) <= 2);
        lane_abort(&lane, now_ms);
    }
    attempt(5, 503);
    assert_int_equal(lane.state, LANE_BACKOFF);
}

static void every_state_can_be_disabled_and_resumed_with_clean_counts(UNUSED void **state) {
    for (int from = LANE_WAITING; from <= LANE_BURYING; from++) {
        lane_pass(&lane, lane.position + 10);
        if (from == LANE_WAITING)
            lane_wait(&lane, lane.position);
        else if (from == LANE_IN_FLIGHT)
            lane_start(&lane, lane.position + 1, 1);
        else if (from != LANE_READY)
            attempt(lane.position + 1, from == LANE_BACKOFF ? 503 : 400);
        assert_int_equal(lane.state, from);
        int64_t position = lane.position;
        lane_disable(&lane, "log went back");
        assert_int_equal(lane.state, LANE_DISABLED);
        assert_string_equal(lane.reason, "log went back");
        assert_int_equal(lane_due_ms(&lane), INT64_MAX);
        lane_resume(&lane);
        assert_int_equal(lane.state, LANE_READY);
        assert_int_equal(lane.position, position);
        assert_string_equal(lane.reason, "");
        assert_true(lane.failing_since_ms == 0 && lane.refused_in_row == 0 && !lane.given_up);
        assert_true(lane_due_ms(&lane) <= now_ms);
    }
}

static void resume_ends_a_backoff_and_changes_no_other_state(UNUSED void **state) {
    lane_wait(&lane, 5);
    lane_resume(&lane);
    assert_int_equal(lane.state, LANE_WAITING);
    lane_wake(&lane, 5);
    lane_start(&lane, 6, 1);
    lane_resume(&lane);
    assert_int_equal(lane.state, LANE_IN_FLIGHT);
    finish(503);
    lane_resume(&lane);
    assert_int_equal(lane.state, LANE_READY);
    assert_true(lane_due_ms(&lane) <= now_ms);
    assert_int_equal(lane.position, 5);
    attempt(6, 400);
    lane_resume(&lane);
    assert_int_equal(lane.state, LANE_BURYING);
}

static void a_new_policy_keeps_the_throttle_and_a_backoff(UNUSED void **state) {
    struct lane_policy policy = usual;
    policy.throttle_per_sec = 0.5;
    lane_set_policy(&lane, &policy);
    attempt(1, 200);
    assert_in_range(lane_due_ms(&lane) - now_ms, 2000, 2001);
    policy.max_attempts = 3;
    lane_set_policy(&lane, &policy);
    assert_in_range(lane_due_ms(&lane) - now_ms, 2000, 2001);
    now_ms += 100000;
    struct lane_outcome outcome = {.status = 503, .retry_after_ms = 30000};
    lane_start(&lane, 2, 1);
    lane_set_policy(&lane, &usual); /* unlimited, with one in flight */
    lane_finish(&lane, &outcome, now_ms, now_ms + WALL_OFFSET, 0);
    policy.backoff_max_ms = 1000;
    lane_set_policy(&lane, &policy);
    assert_int_equal(lane.state, LANE_BACKOFF);
    assert_int_equal(lane_due_ms(&lane) - now_ms, 30000);
}

/* The lane goes through a token into another lane, as it does through Kafka. Returns the token. */
static struct token hand_over(void) {
    struct token token = {0};
    struct lane_policy policy = lane.policy;
    lane_to_token(&lane, now_ms, now_ms + WALL_OFFSET, &token);
    lane_fini(&lane);
    lane_init_from_token(&lane, &policy, &token);
    return token;
}

static void the_last_ten_failed_attempts_are_kept_and_long_texts_cut(UNUSED void **state) {
    char error[301] = "", excerpt[302] = "x";
    for (int i = 0; i < 150; i++) {
        memcpy(error + 2 * i, "no", 3);
        memcpy(excerpt + 1 + 2 * i, "\xc3\xa9", 3); /* an e with an accent, which a cut must not halve */
    }
    for (int i = 1; i <= 13; i++) {
        const struct lane_outcome outcome = {i % 2 ? 503 : 0, i % 2 ? NULL : error, 0, i, excerpt};
        lane_start(&lane, 5, 1);
        lane_finish(&lane, &outcome, now_ms, WALL_OFFSET + i, 0);
    }
    assert_int_equal(lane.failed_count, 10);
    for (int i = 0; i < 10; i++) {
        const struct token_attempt *failed = &lane.failed[i];
        assert_true(failed->at_ms == WALL_OFFSET + i + 4 && failed->attempt == i + 4);
        assert_true(failed->cursor == 5 && failed->duration_ms == i + 4);
        assert_int_equal(failed->status, i % 2 ? 503 : 0);
        assert_int_equal(strncmp(failed->error, error, 100), i % 2 ? strncmp("", error, 100) : 0);
        assert_true(strlen(failed->excerpt) > 100 && strlen(failed->excerpt) % 2 == 1);
    }
}

static void a_token_carries_the_lane_over(UNUSED void **state) {
    attempt(5, 200);
    refuse_and_bury(6);
    fail_until_given_up(7);
    lane_buried(&lane);
    attempt(9, 503);
    lane_pass(&lane, 8);
    struct lane old = lane; /* its failed attempts are freed below */
    struct token token = hand_over();
    assert_int_equal(token.state, TOKEN_RETRYING);
    assert_int_equal(token.next_attempt_ms, lane_due_ms(&old) + WALL_OFFSET);
    assert_false(token.waiting);
    assert_true(lane.state == LANE_READY && lane.position == 8 && lane.last == 7);
    assert_true(lane.last_id_hash == 7 * 31 + 7 && lane.given_up && lane.failing_since_ms > 0);
    assert_int_equal(lane.failing_since_ms, old.failing_since_ms);
    assert_int_equal(lane.refused_in_row, old.refused_in_row);
    assert_true(lane.delivered == 1 && lane.dead_lettered == 2);
    assert_int_equal(lane.failed_count, TOKEN_ATTEMPTS_MAX);
    assert_int_equal(lane.failed[9].cursor, 9);
    assert_int_equal(attempt(9, 503), 1); /* attempts count anew */
    attempt(9, 410);
    token = hand_over();
    assert_int_equal(token.state, TOKEN_DISABLED);
    assert_int_equal(token.next_attempt_ms, 0);
    assert_int_equal(lane.state, LANE_DISABLED);
    assert_string_equal(lane.reason, "gone (410)");
    lane_resume(&lane);
    lane_wait(&lane, 20);
    token = hand_over();
    assert_true(token.waiting && token.state == TOKEN_ACTIVE && token.next_attempt_ms == 0);
    assert_int_equal(lane.position, 20);
}

/* Table of lane.h. A lane in backoff waits by way of READY. */
static const char *const legal[LANE_STATES] = {
    [LANE_WAITING] = "R",   [LANE_READY] = "WI",  [LANE_IN_FLIGHT] = "RBU",
    [LANE_BACKOFF] = "WRI", [LANE_BURYING] = "R", [LANE_DISABLED] = "R"};

static struct {
    bool outage, given_up;
    int refused;
} walk;

static void walk_finish(void) {
    static const int failures[] = {503, 0, 500, 404, 422, 400};
    bool succeeds = chance(walk.outage ? 1 : 70);
    now_ms += (int64_t)(next_random() % 200);
    finish(succeeds ? 200 : chance(1) ? 410 : failures[next_random() % 6]);
    if (lane.state == LANE_BURYING) {
        assert_true(!walk.given_up && walk.refused < 20);
        walk.given_up = strcmp(lane.bury_reason, "attempts") == 0;
        walk.refused += !walk.given_up;
    } else if (succeeds || lane.state == LANE_DISABLED) {
        walk.given_up = false;
        walk.refused = 0;
    }
}

/* One legal call. */
static void walk_step(void) {
    struct lane_policy policy = lane.policy;
    int64_t some = (int64_t)(next_random() % 3);
    if (lane.state == LANE_READY || lane.state == LANE_BACKOFF) {
        int64_t next = lane.state == LANE_BACKOFF && !chance(10) ? lane.current : lane.position + 1 + some;
        now_ms = lane_due_ms(&lane) > now_ms ? lane_due_ms(&lane) : now_ms;
        if (chance(80))
            lane_start(&lane, next, (uint64_t)next);
        else if (chance(50))
            lane_pass(&lane, lane.position + some);
        else
            lane_wait(&lane, (next > lane.current ? next : lane.current) + some);
    } else if (lane.state == LANE_IN_FLIGHT) {
        chance(5) ? lane_abort(&lane, now_ms) : walk_finish();
    } else if (lane.state == LANE_BURYING) {
        lane_buried(&lane);
    } else if (lane.state == LANE_WAITING) {
        lane_wake(&lane, lane.position + some);
    } else {
        lane_resume(&lane);
    }
    policy.throttle_per_sec = (double)(next_random() % 4) * 1.7;
    if (chance(1))
        lane_set_policy(&lane, &policy);
    if (chance(1) && lane.state != LANE_IN_FLIGHT && lane.state != LANE_BURYING)
        hand_over();
    walk.outage = walk.outage != chance(1);
}

static void ten_thousand_random_steps_break_no_invariant(UNUSED void **state) {
    static const struct lane_policy policy = {2.5, 4, 10, 1000, 100000};
    bool seen[LANE_STATES][LANE_STATES] = {0};
    lane_set_policy(&lane, &policy);
    for (int i = 0; i < 10000; i++) {
        struct lane old = lane;
        walk_step();
        seen[old.state][lane.state] = true;
        bool active = lane.state == LANE_IN_FLIGHT || lane.state == LANE_BACKOFF || lane.state == LANE_BURYING;
        int64_t settled = lane.delivered + lane.dead_lettered - old.delivered - old.dead_lettered;
        assert_true(lane.position >= old.position && lane.last <= lane.position && lane.failed_count <= TOKEN_ATTEMPTS_MAX);
        assert_true(active ? lane.current > lane.position : lane.current == -1 || lane.current > lane.position);
        assert_true(lane.state == old.state || lane.state == LANE_DISABLED || strchr(legal[old.state], "WRIBUD"[lane.state]));
        assert_true((lane_due_ms(&lane) == INT64_MAX) == (lane.state != LANE_READY && lane.state != LANE_BACKOFF));
        assert_true(settled == 0 || (settled == 1 && lane.position == old.current));
        assert_true(settled == 0 || old.state == LANE_IN_FLIGHT || old.state == LANE_BURYING);
        assert_int_equal(lane.last, settled ? old.current : old.last);
        assert_true(lane.delivered == old.delivered || old.state == LANE_IN_FLIGHT);
    }
    for (int from = 0; from < LANE_STATES; from++) /* the walk went everywhere */
        for (int to = 0; to < LANE_STATES; to++)
            assert_true(!strchr(legal[from], "WRIBUD"[to]) || seen[from][to]);
    assert_true(seen[LANE_IN_FLIGHT][LANE_DISABLED]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_2xx_settles_the_event), TEST(a_lane_waits_at_the_end_and_wakes_for_the_next_event),
        TEST(a_lane_in_backoff_waits_between_half_and_all_of_the_delay), TEST(a_backoff_ends_when_its_event_is_gone),
        TEST(another_event_than_the_failed_one_counts_anew), TEST(a_refused_event_is_settled_when_its_dead_letter_is),
        TEST(after_twenty_refused_in_a_row_the_lane_waits), TEST(an_outage_gives_up_one_event_and_no_other_before_a_2xx),
        TEST(an_hour_of_503_makes_at_most_one_dead_letter), TEST(a_410_disables_the_lane),
        TEST(nothing_but_failure_disables_by_the_wall_clock), TEST(an_attempt_that_was_called_off_counts_for_the_throttle_only),
        TEST(every_state_can_be_disabled_and_resumed_with_clean_counts), TEST(resume_ends_a_backoff_and_changes_no_other_state),
        TEST(a_new_policy_keeps_the_throttle_and_a_backoff), TEST(the_last_ten_failed_attempts_are_kept_and_long_texts_cut),
        TEST(a_token_carries_the_lane_over), TEST(ten_thousand_random_steps_break_no_invariant),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
