/* A lane's token, a successor's use of the token, and a skip, which the token carries. */
#include <stdio.h>

#include "tests/unit/lane_fixture.h"

static const char *reason(void) {
    static char text[TOKEN_REASON_BYTES];
    struct token token = {0};
    lane_to_token(&lane, now_ms, now_ms + WALL_OFFSET, &token);
    memcpy(text, token.reason, sizeof text);
    token_fini(&token);
    return text;
}

static void the_reason_says_what_a_lane_waits_for(UNUSED void **state) {
    attempt(5, 200);
    assert_string_equal(reason(), "");
    attempt(6, 503);
    assert_string_equal(reason(), "event 6 failed at attempt 1 and waits for the next: resume "
                                  "retries at once, skip dead-letters the event");
    lane_pause(&lane, true);
    assert_string_equal(reason(), "");
    lane_pause(&lane, false);
    attempt(6, 200);
    for (int cursor = 7; cursor < 27; cursor++) {
        attempt(cursor, 422);
        dead_letter(cursor);
    }
    attempt(27, 422);
    assert_non_null(
        strstr(reason(),
               "; 20 earlier events were refused, and no other is given up before a 2xx: resume"));
    attempt(27, 200);
    fail_until_given_up(28);
    dead_letter(28);
    attempt(29, 503);
    assert_non_null(strstr(
        reason(),
        "event 29 failed at attempt 1 and waits for the next; an earlier event was given up"));
}

static void a_skip_outlives_its_dispatcher(UNUSED void **state) {
    struct token token;
    struct buf text = {0};
    struct error err;
    bool newer;
    int64_t cursor;
    attempt(5, 503);
    lane_skip(&lane);
    hand_over(&token);
    snprintf(token.registration_id, sizeof token.registration_id,
             "0190b6a0-0000-4000-8000-000000000001");
    snprintf(token.feed, sizeof token.feed, "0190b6a0-0000-4000-8000-000000000002");
    token_to_json(&token, &text);
    token_fini(&token);
    assert_int_equal(token_from_json(&token, (struct span){text.data, text.len}, &newer, &err), 0);
    assert_int_equal(token.skipping, 5);
    token_fini(&token);
    buf_fini(&text);
    assert_int_equal(next(&cursor), LANE_SCAN);
    assert_true(lane_found(&lane, 5, 1, 0, false));
    assert_int_equal(next(&cursor), LANE_DEAD_LETTER);
    lane_dead_letter(&lane, 5);
    dead_letter(5);
    hand_over(&token);
    assert_int_equal(token.skipping, 0);
    token_fini(&token);
}

static void skip_dead_letters_the_event_that_the_lane_waits_for(UNUSED void **state) {
    int64_t cursor;
    assert_int_equal(lane_skip(&lane), 0);
    start_new(5, 0);
    assert_int_equal(lane_skip(&lane), 0); /* nothing has failed yet */
    finish(5, 503);
    assert_int_equal(lane_skip(&lane), 5);
    assert_int_equal(lane_skip(&lane), 0); /* no second skip while one waits */
    lane_pause(&lane, true);
    assert_int_equal(next(&cursor), LANE_DEAD_LETTER);
    assert_true(cursor == 5 && lane_dead_letter(&lane, 5)->reason == DEAD_LETTER_SKIPPED);
    assert_int_equal(next(&cursor), LANE_NOTHING);
    dead_letter(5);
    assert_true(lane.position == 5 && lane.dead_lettered == 1 && lane.skipping == 0 &&
                !lane.given_up);
    lane_pause(&lane, false);
    assert_int_equal(attempt(6, 200), 1);
}

static void a_skip_waits_for_the_attempt_that_is_under_way_and_a_2xx_wins(UNUSED void **state) {
    int64_t cursor;
    attempt(5, 503);
    now_ms = due_ms();
    lane_start(&lane, 5);
    assert_int_equal(lane_skip(&lane), 5);
    assert_int_equal(next(&cursor), LANE_NOTHING);
    finish(5, 200);
    assert_true(lane.position == 5 && lane.skipping == 0 && lane.dead_lettered == 0);
}

static void a_token_carries_the_lane_over(UNUSED void **state) {
    struct token token;
    attempt(5, 200);
    attempt(6, 400);
    dead_letter(6);
    fail_until_given_up(7);
    dead_letter(7);
    lane_passed(&lane, 8, true);
    attempt(9, 503);
    int64_t due = due_ms();
    hand_over(&token);
    assert_true(token.state == TOKEN_RETRYING && token.next_attempt_ms == due + WALL_OFFSET &&
                !token.waiting && token.compacted);
    assert_true(lane.position == 8 && lane.last == 7 && lane.last_id_hash == 7 * 31 &&
                lane.given_up && endpoint.failing_since_ms > 0);
    assert_true(lane.refused_in_row == 1 && lane.delivered == 1 && lane.dead_lettered == 2 &&
                lane.failed_count == TOKEN_ATTEMPTS_MAX);
    token_fini(&token);
    assert_int_equal(attempt(9, 503), 1); /* attempts count from zero */
    assert_true(lane_entry(&lane, 9)->prev == 7 && lane_entry(&lane, 9)->compacted);
    attempt(9, 410);
    hand_over(&token);
    assert_true(token.state == TOKEN_DISABLED && token.next_attempt_ms == 0 && lane.disabled);
    assert_string_equal(lane.reason, "gone (410)");
    token_fini(&token);
    lane_resume(&lane);
    lane_at_end(&lane, 20, false);
    hand_over(&token);
    assert_true(token.waiting && token.state == TOKEN_ACTIVE && lane.position == 20);
    token_fini(&token);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(the_reason_says_what_a_lane_waits_for),
        TEST(a_skip_outlives_its_dispatcher),
        TEST(skip_dead_letters_the_event_that_the_lane_waits_for),
        TEST(a_skip_waits_for_the_attempt_that_is_under_way_and_a_2xx_wins),
        TEST(a_token_carries_the_lane_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
