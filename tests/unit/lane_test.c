/* One subscriber's lane, one event at a time: the effect of each outcome. lane_window_test.c
 * covers several events at a time, lane_walk_test.c thousands of random steps. */
#include "tests/unit/lane_fixture.h"

static void a_2xx_settles_the_event(UNUSED void **state) {
    start_new(50, 0);
    const struct window_entry *entry = lane_entry(&lane, 50);
    assert_true(entry->prev == 0 && entry->attempts == 1 && !entry->compacted);
    assert_int_equal(lane.position, 0);
    assert_int_equal(due_ms(), INT64_MAX);
    assert_int_equal(finish(50, 204), ENTRY_SETTLED);
    assert_true(lane.position == 50 && lane.last == 50 && lane.last_id_hash == 50 * 31);
    assert_true(lane.delivered == 1 && lane.dead_lettered == 0 && lane.failed_count == 0);
    start_new(60, 0);
    assert_int_equal(lane_entry(&lane, 60)->prev, 50);
}

static void what_is_passed_moves_the_position_but_not_prev_cursor(UNUSED void **state) {
    attempt(10, 200);
    lane_passed(&lane, 20, false);
    assert_true(lane.position == 20 && lane.last == 10);
    lane_passed(&lane, 30, true);
    start_new(31, 0);
    assert_true(lane_entry(&lane, 31)->prev == 10 && lane_entry(&lane, 31)->compacted);
    finish(31, 200);
    start_new(32, 0);
    assert_false(lane_entry(&lane, 32)->compacted);
}

static void a_lane_waits_at_the_end_and_wakes_for_the_next_event(UNUSED void **state) {
    int64_t cursor;
    lane_at_end(&lane, 30, false);
    assert_true(lane_idle(&lane) && lane.position == 30 && due_ms() == INT64_MAX);
    lane_wake(&lane, 36);
    assert_true(!lane_idle(&lane) && lane.position == 36);
    assert_int_equal(next(&cursor), LANE_SCAN);
    assert_int_equal(attempt(37, 200), 1);
    assert_int_equal(lane.position, 37);
}

static void a_failed_event_waits_between_half_and_all_of_the_delay(UNUSED void **state) {
    for (int event = 1; event < 200; event += 2) {
        for (int64_t number = 1, delay = 1000; number < 10;
             number++, delay = delay * 2 > 60000 ? 60000 : delay * 2) {
            assert_int_equal(attempt(event, number % 2 ? 503 : 0), number);
            assert_int_equal(lane_state(&lane), TOKEN_RETRYING);
            assert_in_range(due_ms() - now_ms, delay / 2, delay);
            assert_true(lane.position < event);
        }
        assert_int_equal(attempt(event, 200), 10);
        assert_true(lane.position == event && lane_state(&lane) == TOKEN_ACTIVE);
    }
}

static void an_event_that_is_gone_from_the_log_is_settled(UNUSED void **state) {
    int64_t cursor;
    attempt(5, 503);
    now_ms = due_ms();
    assert_int_equal(next(&cursor), LANE_SEND);
    lane_missing(&lane, cursor, false);
    assert_true(lane.position == 5 && lane.delivered + lane.dead_lettered == 0);
    assert_int_equal(attempt(7, 503), 1);
    assert_false(lane_entry(&lane, 7)->compacted);
}

static void an_event_that_is_not_wanted_any_more_is_no_ones_prev_cursor(UNUSED void **state) {
    assert_int_equal(attempt(3, 200), 1);
    attempt(5, 503);
    lane_missing(&lane, 5, false);
    assert_int_equal(attempt(7, 503), 1);
    assert_int_equal(lane_entry(&lane, 7)->prev, 3);
}

static void what_an_attempt_has_gone_out_with_stays_its_prev_cursor(UNUSED void **state) {
    concurrent(SPEC_NONE, 4);
    start_new(10, 0);
    start_new(11, 0);
    finish(10, 503);
    finish(11, 503);
    lane_missing(&lane, 10, false);
    assert_int_equal(lane_entry(&lane, 11)->prev, 10);
}

static void the_event_after_one_that_compaction_took_says_so(UNUSED void **state) {
    attempt(5, 503);
    lane_missing(&lane, 5, true);
    assert_int_equal(attempt(7, 200), 1);
    attempt(8, 503);
    assert_false(lane_entry(&lane, 8)->compacted);
    lane_missing(&lane, 8, true);
    start_new(9, 0);
    assert_true(lane_entry(&lane, 9)->compacted && lane_entry(&lane, 9)->prev == 8);
    finish(9, 200);
    concurrent(SPEC_NONE, 4);
    start_new(10, 0);
    start_new(11, 0);
    finish(10, 503);
    finish(11, 503);
    lane_missing(&lane, 10, true);
    assert_true(lane_entry(&lane, 11)->compacted);
}

static void resume_gives_a_lane_that_gives_nothing_up_clean_counts(UNUSED void **state) {
    int cursor = 1;
    for (; cursor <= 20; cursor++) {
        attempt(cursor, 422);
        dead_letter(cursor);
    }
    attempt(cursor, 422);
    assert_int_equal(state_of(cursor), ENTRY_BACKOFF);
    lane_resume(&lane);
    attempt(cursor, 422);
    dead_letter(cursor++);
    fail_until_given_up(cursor);
    dead_letter(cursor++);
    lane_resume(&lane);
    fail_until_given_up(cursor);
    dead_letter(cursor);
    assert_int_equal(lane.position, cursor);
}

static void resume_gives_clean_counts_to_what_is_under_way_too(UNUSED void **state) {
    for (int i = 1; i < usual.max_attempts; i++)
        attempt(1, 500);
    lane_start(&lane, 1);
    lane_resume(&lane);
    finish(1, 500);
    assert_true(state_of(1) == ENTRY_BACKOFF && lane_entry(&lane, 1)->attempts == 1);
}

static void with_exhausted_dead_letter_every_event_is_given_up_after_its_attempts(
    UNUSED void **state) {
    struct lane_policy policy = usual;
    policy.dead_letters_all = true;
    lane_set_policy(&lane, &policy);
    for (int cursor = 1; cursor <= 100; cursor++) {
        if (cursor % 10 == 0)
            fail_until_given_up(cursor);
        else
            attempt(cursor, 422);
        dead_letter(cursor);
    }
    assert_true(lane.position == 100 && lane.dead_lettered == 100);
}

static void a_refused_event_is_settled_when_its_dead_letter_is(UNUSED void **state) {
    static const int refusals[] = {400, 409, 413, 415, 422};
    for (int i = 0; i < 5; i++) {
        assert_int_equal(attempt(10 + i, refusals[i]), 1);
        assert_true(state_of(10 + i) == ENTRY_DEAD_LETTERING &&
                    lane_entry(&lane, 10 + i)->reason == DEAD_LETTER_REFUSED);
        assert_true(lane.position < 10 + i && due_ms() == INT64_MAX);
        dead_letter(10 + i);
        assert_true(lane.position == 10 + i && lane.last == 10 + i && lane.dead_lettered == i + 1 &&
                    lane.delivered == 0);
    }
}

static void after_twenty_refused_in_a_row_the_lane_waits(UNUSED void **state) {
    for (int round = 0, cursor = 1; round < 3; round++) {
        for (int i = 0; i < 20; i++, cursor++) {
            attempt(cursor, 422);
            dead_letter(cursor);
        }
        for (int i = 0; i < 40; i++) {
            attempt(cursor, i > 20 ? 503 : 422); /* nor is the event given up for its attempts */
            assert_int_equal(state_of(cursor), ENTRY_BACKOFF);
        }
        assert_int_equal(attempt(cursor++, 200), 41);
    }
    assert_true(lane.dead_lettered == 60 && lane.delivered == 3);
}

static void a_redrive_passes_every_letter_that_is_refused_again(UNUSED void **state) {
    lane.policy.redrive = true;
    for (int cursor = 1; cursor <= 50; cursor++) {
        attempt(cursor, 422);
        dead_letter(cursor);
    }
    fail_until_given_up(51);
    dead_letter(51);
    attempt(52, 400); /* also after an event was given up */
    dead_letter(52);
    assert_true(lane.position == 52 && lane.dead_lettered == 52);
}

static void an_outage_gives_up_one_event_and_no_other_before_a_2xx(UNUSED void **state) {
    for (int cursor = 10, round = 1; round <= 2; round++) {
        fail_until_given_up(cursor);
        dead_letter(cursor);
        assert_int_equal(lane.position, cursor++);
        for (int i = 0; i < 100; i++) { /* whatever the failure */
            assert_int_equal(attempt(cursor, i % 3 == 2 ? 400 : i % 3 ? 0 : 503), i + 1);
            assert_int_equal(state_of(cursor), ENTRY_BACKOFF);
        }
        attempt(cursor++, 200);
        assert_true(!lane.given_up && lane.dead_lettered == round && lane.delivered == round);
    }
}

/* The next event of the made-up log: every tenth cursor. */
static int64_t next_event(void) { return (lane.position / 10 + 1) * 10; }

static void an_hour_of_503_makes_at_most_one_dead_letter(UNUSED void **state) {
    int64_t up_at = now_ms + 3600000;
    while (now_ms < up_at) {
        int64_t cursor = next_event();
        attempt(cursor, 503);
        now_ms += 50;
        assert_false(lane.disabled);
        if (state_of(cursor) == ENTRY_DEAD_LETTERING)
            lane_dead_lettered(&lane, cursor);
    }
    assert_true(lane.dead_lettered == 1 &&
                lane.position == 10); /* the attempts of one event did run out */
    for (int i = 0; i < 100; i++)
        attempt(next_event(), 200);
    assert_true(lane.dead_lettered == 1 && lane.delivered == 100 && lane.position == 1010);
}

static void a_410_disables_the_lane(UNUSED void **state) {
    attempt(5, 410);
    assert_true(lane.disabled && lane_state(&lane) == TOKEN_DISABLED);
    assert_string_equal(lane.reason, "gone (410)");
    assert_true(due_ms() == INT64_MAX && lane.position == 0 &&
                lane.delivered + lane.dead_lettered == 0);
    lane_resume(&lane);
    assert_string_equal(lane.reason, "");
    assert_int_equal(attempt(5, 200), 1);
}

/* Fails one attempt at that time, whatever the lane would wait for. */
static void fail_at(int64_t cursor, int64_t at_ms) {
    now_ms = at_ms;
    if (!lane_entry(&lane, cursor))
        lane_found(&lane, cursor, 1, 0, false);
    lane_start(&lane, cursor);
    finish(cursor, 503);
}

/* Fails one attempt a minute. */
static void fail_for(int64_t cursor, int64_t ms) {
    for (int64_t end = now_ms + ms; now_ms < end;)
        fail_at(cursor, now_ms + 60000);
}

static void be_patient(void) {
    struct lane_policy policy = usual;
    policy.max_attempts = INT64_MAX;
    lane_set_policy(&lane, &policy);
}

static void nothing_but_failure_disables(UNUSED void **state) {
    be_patient();
    fail_at(5, now_ms);
    fail_for(5, 5 * DAY_MS - 60000);
    assert_false(lane.disabled);
    fail_at(5, now_ms + 60000);
    assert_true(lane.disabled && lane.reason[0] && lane.position == 0 && lane.dead_lettered == 0);
    lane_resume(&lane);
    assert_true(endpoint.failing_ms == 0 && lane_state(&lane) == TOKEN_ACTIVE);
}

static void silence_is_no_failure(UNUSED void **state) {
    fail_until_given_up(5); /* on Monday */
    dead_letter(5);
    lane_at_end(&lane, 10, false);
    assert_int_equal(lane_state(&lane), TOKEN_ACTIVE);
    lane_wake(&lane, 10);
    for (int day = 0; day < 20; day++) {
        fail_at(11, now_ms + DAY_MS);
        assert_false(lane.disabled);
        assert_int_equal(lane_state(&lane), TOKEN_RETRYING);
    }
    assert_true(endpoint.failing_ms < 30 * 60000);
}

static void a_clock_that_was_set_forward_is_no_failure(UNUSED void **state) {
    const struct outcome outcome = answer(503, 0);
    be_patient();
    fail_at(5, now_ms);
    lane_start(&lane, 5);
    lane_finish(&lane, 5, &outcome, now_ms + 1000, now_ms + WALL_OFFSET + 365 * DAY_MS, 0);
    assert_true(!lane.disabled && endpoint.failing_ms == 1000);
}

static void a_dispatcher_that_was_off_is_no_failure_but_what_failed_before_it_counts(
    UNUSED void **state) {
    struct token token;
    be_patient();
    fail_at(5, now_ms);
    fail_for(5, 5 * DAY_MS - 120000);
    hand_over(&token);
    token_fini(&token);
    fail_at(5, now_ms + 30 * DAY_MS);
    assert_false(lane.disabled);
    fail_for(5, 60000);
    assert_false(lane.disabled);
    fail_for(5, 60000);
    assert_true(lane.disabled);
}

static void any_2xx_a_pause_and_a_resume_end_failing(UNUSED void **state) {
    const struct outcome good = answer(204, 0), bad = answer(503, 0);
    struct lane job;
    be_patient();
    lane_init(&job, &usual, &throttle, &endpoint, 0);
    for (int way = 0; way < 4; way++) {
        fail_at(5, now_ms);
        fail_for(5, DAY_MS);
        assert_true(endpoint.failing_ms >= DAY_MS);
        if (way == 0) {
            lane_found(&job, 2, 1, 0, false);
            lane_start(&job, 2);
            lane_finish(&job, 2, &good, now_ms, now_ms, 0);
        } else if (way == 1) {
            uint64_t number = endpoint_start(&endpoint);
            endpoint_end(&endpoint);
            lane_tested(&lane, number, &bad, now_ms, now_ms, 0);
            assert_true(endpoint.failing_ms >= DAY_MS);
            lane_tested(&lane, number, &good, now_ms, now_ms, 0);
        } else if (way == 2) {
            lane_pause(&lane, true);
            lane_pause(&lane, false);
        } else {
            lane_resume(&lane);
        }
        assert_true(endpoint.failing_ms == 0 && lane_state(&lane) == TOKEN_ACTIVE);
    }
    lane_fini(&job);
}

static void an_attempt_that_was_called_off_counts_for_the_throttle_only(UNUSED void **state) {
    throttle_set_rate(&throttle, 1);
    /* more than max_attempts: the event is not given up for its attempts */
    for (int i = 0; i < 30; i++) {
        now_ms = due_ms() > now_ms ? due_ms() : now_ms;
        if (!i)
            lane_found(&lane, 5, 1, 0, false);
        assert_int_equal(lane_start(&lane, 5)->attempts, 1);
        lane_abort(&lane, 5, now_ms);
        assert_in_range(due_ms() - now_ms, 1000, 1001);
    }
    assert_true(lane.position == 0 && lane.failed_count == 0 && endpoint.failing_since_ms == 0);
    assert_int_equal(attempt(5, 503), 1);
}

static void an_event_that_met_a_dead_connection_is_due_at_once_and_wants_a_new_one(
    UNUSED void **state) {
    start_new(5, 0);
    lane_abort(&lane, 5, now_ms);
    lane_wants_fresh(&lane, 5);
    assert_int_equal(due_ms(), now_ms);
    assert_true(lane_start(&lane, 5)->fresh);
    assert_int_equal(lane_entry(&lane, 5)->attempts, 1);
    finish(5, 200);
    start_new(6, 0);
    assert_false(lane_entry(&lane, 6)->fresh);
}

static enum entry_state finish_unsent(int64_t cursor) {
    const struct outcome unsent = {
        .verdict = VERDICT_UNSENT, .error = "token server: status 503", .duration_ms = 5};
    return lane_finish(&lane, cursor, &unsent, now_ms, now_ms + WALL_OFFSET, next_random());
}

/* Not even where every event is given up after its first attempt. */
static void what_was_not_sent_is_never_given_up_but_backs_off_and_disables(UNUSED void **state) {
    lane.policy.max_attempts = 1;
    lane.policy.dead_letters_all = true;
    int64_t began_ms = now_ms, attempts = 0;
    start_new(2, 0);
    for (; finish_unsent(2) == ENTRY_BACKOFF && !lane.disabled; attempts++) {
        assert_true(due_ms() >= now_ms + 500);
        now_ms = due_ms();
        assert_int_equal(lane_start(&lane, 2)->attempts, 1);
        assert_int_equal(lane_state(&lane), TOKEN_RETRYING);
    }
    assert_true(lane.disabled && attempts > 10);
    assert_true(now_ms - began_ms >= lane.policy.disable_after_ms);
    assert_string_equal(lane.failed[9].error, "token server: status 503");
    assert_int_equal(lane.dead_lettered, 0);
    lane_resume(&lane);
    assert_int_equal(attempt(2, 200), 1);
    assert_int_equal(state_of(2), ENTRY_SETTLED);
    assert_int_equal(lane_state(&lane), TOKEN_ACTIVE);
}

static void a_paused_lane_starts_nothing_and_settles_what_is_under_way(UNUSED void **state) {
    start_new(5, 0);
    lane_pause(&lane, true);
    assert_int_equal(lane_state(&lane), TOKEN_PAUSED);
    finish(5, 200);
    assert_true(lane.position == 5 && due_ms() == INT64_MAX);
    lane_pause(&lane, false);
    assert_int_equal(attempt(6, 200), 1);
}

static void a_disabled_lane_settles_what_is_under_way(UNUSED void **state) {
    start_new(5, 0);
    lane_disable(&lane, "log went back");
    finish(5, 200);
    assert_true(lane.position == 5 && due_ms() == INT64_MAX && lane_state(&lane) == TOKEN_DISABLED);
}

static void resume_ends_a_backoff(UNUSED void **state) {
    attempt(6, 503);
    assert_true(due_ms() > now_ms);
    lane_resume(&lane);
    assert_true(due_ms() == now_ms);
    assert_int_equal(attempt(6, 200), 1);
}

static void a_rewind_forgets_what_was_settled_above_it(UNUSED void **state) {
    int64_t cursor;
    attempt(5, 200);
    attempt(7, 503);
    lane_rewind(&lane, 3);
    assert_true(lane.position == 3 && lane.last == 3 && lane.last_id_hash == 0);
    assert_int_equal(next(&cursor), LANE_SCAN);
    start_new(5, 0);
    assert_int_equal(lane_entry(&lane, 5)->prev, 3);
}

static void a_retry_after_is_obeyed_up_to_the_longest_backoff(UNUSED void **state) {
    struct outcome outcome = answer(429, 30000);
    start_new(2, 0);
    lane_finish(&lane, 2, &outcome, now_ms, now_ms, 0);
    assert_int_equal(due_ms() - now_ms, 30000);
    now_ms = due_ms();
    outcome.retry_after_ms = 3600000;
    lane_start(&lane, 2);
    lane_finish(&lane, 2, &outcome, now_ms, now_ms, 0);
    assert_int_equal(due_ms() - now_ms, 60000);
}

static void the_last_ten_failed_attempts_are_kept(UNUSED void **state) {
    for (int i = 1; i <= 13; i++)
        attempt(5, i % 2 ? 503 : 0);
    assert_int_equal(lane.failed_count, 10);
    for (int i = 0; i < 10; i++) {
        const struct token_attempt *failed = &lane.failed[i];
        assert_true(failed->attempt == i + 4 && failed->cursor == 5 && failed->duration_ms == 5);
        assert_int_equal(failed->status, i % 2 ? 503 : 0);
        assert_string_equal(failed->error, i % 2 ? "" : "connection refused");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_2xx_settles_the_event),
        TEST(what_is_passed_moves_the_position_but_not_prev_cursor),
        TEST(a_lane_waits_at_the_end_and_wakes_for_the_next_event),
        TEST(a_failed_event_waits_between_half_and_all_of_the_delay),
        TEST(an_event_that_is_gone_from_the_log_is_settled),
        TEST(an_event_that_is_not_wanted_any_more_is_no_ones_prev_cursor),
        TEST(what_an_attempt_has_gone_out_with_stays_its_prev_cursor),
        TEST(the_event_after_one_that_compaction_took_says_so),
        TEST(resume_gives_a_lane_that_gives_nothing_up_clean_counts),
        TEST(resume_gives_clean_counts_to_what_is_under_way_too),
        TEST(with_exhausted_dead_letter_every_event_is_given_up_after_its_attempts),
        TEST(a_refused_event_is_settled_when_its_dead_letter_is),
        TEST(after_twenty_refused_in_a_row_the_lane_waits),
        TEST(a_redrive_passes_every_letter_that_is_refused_again),
        TEST(an_outage_gives_up_one_event_and_no_other_before_a_2xx),
        TEST(an_hour_of_503_makes_at_most_one_dead_letter),
        TEST(a_410_disables_the_lane),
        TEST(nothing_but_failure_disables),
        TEST(silence_is_no_failure),
        TEST(a_clock_that_was_set_forward_is_no_failure),
        TEST(a_dispatcher_that_was_off_is_no_failure_but_what_failed_before_it_counts),
        TEST(any_2xx_a_pause_and_a_resume_end_failing),
        TEST(an_attempt_that_was_called_off_counts_for_the_throttle_only),
        TEST(an_event_that_met_a_dead_connection_is_due_at_once_and_wants_a_new_one),
        TEST(what_was_not_sent_is_never_given_up_but_backs_off_and_disables),
        TEST(a_paused_lane_starts_nothing_and_settles_what_is_under_way),
        TEST(a_disabled_lane_settles_what_is_under_way),
        TEST(resume_ends_a_backoff),
        TEST(a_rewind_forgets_what_was_settled_above_it),
        TEST(a_retry_after_is_obeyed_up_to_the_longest_backoff),
        TEST(the_last_ten_failed_attempts_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
