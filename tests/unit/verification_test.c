/* A handshake is pending until its own id was answered. */
#include "tests/unit/lane_fixture.h"

#include "dispatcher/lane/verification.h"

static const char registration[] = "0d8b4b44-7b7e-4b8e-9a34-0d6a3b1f2c11";
static const char other_registration[] = "1d8b4b44-7b7e-4b8e-9a34-0d6a3b1f2c11";
static const char url[] = "https://a.example/hook", other_url[] = "https://b.example/hook";

static void the_answer_to_it_ends_the_wait(UNUSED void **state) {
    struct verification h = {0};
    verification_set(&h, true, registration, url);
    assert_true(verification_is_pending(&h));
    assert_int_equal(strlen(h.id), TOKEN_HANDSHAKE_BYTES - 1);
    verification_answer(&h, h.id);
    assert_false(verification_is_pending(&h));
}

static void what_wants_none_waits_for_none(UNUSED void **state) {
    struct verification h = {0};
    verification_set(&h, false, registration, url);
    assert_false(verification_is_pending(&h));
    verification_set(&h, true, registration, NULL);
    assert_true(verification_is_pending(&h));
}

static void another_url_or_registration_needs_another(UNUSED void **state) {
    struct verification h = {0};
    verification_set(&h, true, registration, url);
    verification_answer(&h, h.id);
    verification_set(&h, true, registration, other_url);
    assert_true(verification_is_pending(&h));
    verification_set(&h, true, other_registration, url);
    assert_true(verification_is_pending(&h));
    verification_set(&h, true, registration, url); /* never left, as nothing else was answered */
    assert_false(verification_is_pending(&h));
}

static void an_answer_from_a_token_counts_for_its_url_alone(UNUSED void **state) {
    struct verification before = {0}, after = {0};
    verification_set(&before, true, registration, url);
    verification_answer(&after, before.id);
    verification_set(&after, true, registration, url);
    assert_false(verification_is_pending(&after));
    verification_set(&after, true, registration, other_url);
    assert_true(verification_is_pending(&after));
}

static void attempts_count_from_one_for_each_id_and_after_a_resume(UNUSED void **state) {
    struct verification h = {0};
    verification_set(&h, true, registration, url);
    assert_int_equal(verification_start(&h), 1);
    verification_fail(&h, 5000);
    assert_int_equal(verification_start(&h), 2);
    verification_abort(&h);
    assert_int_equal(verification_start(&h), 2);
    verification_set(&h, true, registration, url);
    assert_true(h.attempts == 2 && h.due_ms == 5000);
    verification_hurry(&h);
    assert_true(verification_start(&h) == 1 && h.due_ms == 0);
    verification_set(&h, true, registration, other_url);
    assert_true(verification_start(&h) == 1 && h.due_ms == 0);
}

static void the_body_names_it_and_the_subscriber(UNUSED void **state) {
    struct verification h = {.id = "0011"};
    struct buf body = {0};
    verification_put_body(&h, "md-mm1", &body);
    assert_string_equal(buf_string(&body), "{\"handshake\":\"0011\",\"subscriber\":\"md-mm1\"}");
    buf_fini(&body);
}

/* --- of the lane */

static int64_t shake(int64_t number, int status, int64_t retry_after_ms) {
    struct outcome outcome = answer(status, retry_after_ms);
    uint64_t attempt = endpoint_start(&endpoint);
    endpoint_end(&endpoint);
    return lane_handshaken(&lane, attempt, number, &outcome, now_ms, now_ms + WALL_OFFSET,
                           next_random());
}

static void a_pending_lane_starts_nothing(UNUSED void **state) {
    int64_t cursor;
    lane_await_handshake(&lane, true);
    assert_int_equal(next(&cursor), LANE_NOTHING);
    assert_true(due_ms() == INT64_MAX && lane_state(&lane) == TOKEN_PENDING);
    lane_pause(&lane, true);
    assert_int_equal(lane_state(&lane), TOKEN_PAUSED);
    lane_pause(&lane, false);
    lane_await_handshake(&lane, false);
    assert_int_equal(next(&cursor), LANE_SCAN);
}

static void every_answer_but_a_2xx_is_tried_again_with_longer_waits(UNUSED void **state) {
    static const int statuses[] = {500, 422, 404, 302, 400};
    for (int64_t number = 1, wait = 1000; number <= 5; number++, wait *= 2) {
        int64_t due = shake(number, statuses[number - 1], 0);
        assert_in_range(due - now_ms, wait / 2, wait);
        now_ms = due;
    }
    assert_true(lane.failed_count == 5 && !lane.disabled && lane.failed[0].cursor == 0);
    assert_int_equal(shake(1, 503, 30000) - now_ms, 30000);
    assert_int_equal(shake(6, 204, 0), now_ms);
    assert_int_equal(endpoint.failing_since_ms, 0);
}

static void gone_disables_and_so_does_failing_for_too_long(UNUSED void **state) {
    shake(1, 410, 0);
    assert_true(lane.disabled);
    assert_string_equal(lane.reason, "gone (410)");
    lane_resume(&lane);
    for (int64_t number = 1; !lane.disabled; number++) {
        assert_true(number < 20000);
        now_ms = shake(number, 422, 0);
    }
    assert_non_null(strstr(lane.reason, "disable_after"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_answer_to_it_ends_the_wait),
        cmocka_unit_test(what_wants_none_waits_for_none),
        cmocka_unit_test(another_url_or_registration_needs_another),
        cmocka_unit_test(an_answer_from_a_token_counts_for_its_url_alone),
        cmocka_unit_test(attempts_count_from_one_for_each_id_and_after_a_resume),
        cmocka_unit_test(the_body_names_it_and_the_subscriber),
        cmocka_unit_test_setup_teardown(a_pending_lane_starts_nothing, begin, end),
        cmocka_unit_test_setup_teardown(every_answer_but_a_2xx_is_tried_again_with_longer_waits,
                                        begin, end),
        cmocka_unit_test_setup_teardown(gone_disables_and_so_does_failing_for_too_long, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
