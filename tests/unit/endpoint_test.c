/* One endpoint, several lanes: what holds up all lanes, and what frees them. */
#include "tests/unit/lane_fixture.h"

static struct lane job;

static int begin_both(void **state) {
    begin(state);
    lane_init(&job, &usual, &throttle, &endpoint, 0);
    return 0;
}

static int end_both(void **state) {
    lane_fini(&job);
    return end(state);
}

static void job_attempt(int64_t cursor, int status, int64_t retry_after_ms) {
    const struct outcome outcome = answer(status, retry_after_ms);
    if (!lane_entry(&job, cursor))
        lane_found(&job, cursor, 1, 0, false);
    lane_start(&job, cursor);
    lane_finish(&job, cursor, &outcome, now_ms, now_ms + WALL_OFFSET, next_random());
}

static int64_t job_due_ms(void) {
    int64_t cursor, due;
    return lane_next(&job, now_ms, &cursor, &due) == LANE_NOTHING ? due : now_ms;
}

static void finish_after(int64_t cursor, int status, int64_t retry_after_ms) {
    const struct outcome outcome = answer(status, retry_after_ms);
    lane_finish(&lane, cursor, &outcome, now_ms, now_ms + WALL_OFFSET, next_random());
}

static void a_503_with_retry_after_lets_nothing_start_before_it(UNUSED void **state) {
    static const int statuses[] = {429, 502, 503, 504};
    for (int i = 0; i < 4; i++) {
        lane_rewind(&lane, 0);
        endpoint_forget(&endpoint);
        concurrent(i % 2 ? SPEC_KEY : SPEC_NONE, 16);
        for (int64_t c = 1; c <= 16; c++)
            start_new(c, (uint64_t)c);
        for (int64_t c = 1; c <= 16; c++)
            finish_after(c, statuses[i], 30000);
        assert_int_equal(due_ms() - now_ms, 30000);
        lane_resume(&lane);
    }
}

static void another_failure_is_the_events_own(UNUSED void **state) {
    int64_t cursor;
    concurrent(SPEC_NONE, 16);
    start_new(1, 0);
    finish_after(1, 503, 0);
    assert_int_equal(next(&cursor), LANE_SCAN);
    start_new(2, 0);
    finish_after(2, 500, 30000);
    assert_int_equal(next(&cursor), LANE_SCAN);
}

static void a_2xx_that_was_on_its_way_does_not_end_the_wait(UNUSED void **state) {
    concurrent(SPEC_NONE, 16);
    start_new(1, 0);
    start_new(2, 0);
    finish_after(1, 429, 30000);
    finish(2, 200);
    assert_int_equal(due_ms() - now_ms, 30000);
    assert_int_equal(endpoint.failing_since_ms, 0);
}

static void a_jobs_failure_holds_up_the_live_lane_and_the_other_way_round(UNUSED void **state) {
    int64_t cursor;
    start_new(1, 0);
    finish(1, 200);
    job_attempt(1, 503, 20000);
    assert_int_equal(due_ms() - now_ms, 20000);
    now_ms += 20000;
    start_new(2, 0);
    assert_int_equal(job_due_ms(), INT64_MAX); /* a single probe */
    finish_after(2, 503, 25000);
    assert_true(job_due_ms() - now_ms >= 25000);
    now_ms = job_due_ms();
    job_attempt(1, 200, 0); /* the first 2xx of either frees both */
    assert_int_equal(endpoint.until_ms, 0);
    now_ms = due_ms();
    assert_int_equal(next(&cursor), LANE_SEND);
    lane_start(&lane, cursor);
    assert_int_equal(job_due_ms(), now_ms); /* not probed any more */
    lane_abort(&lane, cursor, now_ms);
    assert_int_equal(endpoint.in_flight, 0);
}

static void a_test_frees_the_endpoint_and_can_hold_it_up(UNUSED void **state) {
    const struct outcome bad = answer(0, 0), good = answer(200, 0);
    for (int round = 0; round < 2; round++) {
        uint64_t number = endpoint_start(&endpoint);
        endpoint_end(&endpoint);
        lane_tested(&lane, number, round ? &good : &bad, now_ms, now_ms, 0);
        assert_true(round ? due_ms() == now_ms : due_ms() > now_ms);
    }
    assert_true(lane.failed_count == 1 && lane.failed[0].cursor == 0);
}

static void a_2xx_from_the_url_before_does_not_free_the_new_one(UNUSED void **state) {
    concurrent(SPEC_NONE, 16);
    start_new(1, 0);
    endpoint_move(&endpoint);
    start_new(2, 0);
    finish_after(2, 429, 30000);
    now_ms += 30000;
    finish(1, 200);
    assert_true(endpoint.probing && endpoint.failing_since_ms != 0);
}

#define TEST_BOTH(name) cmocka_unit_test_setup_teardown(name, begin_both, end_both)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST_BOTH(a_503_with_retry_after_lets_nothing_start_before_it),
        TEST_BOTH(another_failure_is_the_events_own),
        TEST_BOTH(a_2xx_that_was_on_its_way_does_not_end_the_wait),
        TEST_BOTH(a_jobs_failure_holds_up_the_live_lane_and_the_other_way_round),
        TEST_BOTH(a_2xx_from_the_url_before_does_not_free_the_new_one),
        TEST_BOTH(a_test_frees_the_endpoint_and_can_hold_it_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
