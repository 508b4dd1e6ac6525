/* Ownership, case by case: from an assignment to running lanes, and the lease. Fences of others,
 * tokens and the end are in ownership_fences_test.c, whole schedules of several processes in
 * ownership_schedules_test.c. */
#include "tests/unit/ownership_test.h"

/* --- from the assignment to the start */

static void test_nothing_is_fenced_before_the_group_has_confirmed_the_assignment(void **state) {
    (void)state;
    assign(0, 1);
    expect(OWNERSHIP_READ);
    struct ownership_step ask = expect(OWNERSHIP_ASK);
    expect_nothing();
    answer(&ask, false);
    expect_nothing();
    now += SESSION_MS / 4;
    ask = expect(OWNERSHIP_ASK);
    answer(&ask, true);
    expect_of(OWNERSHIP_FENCE, 0);
    expect_nothing();
}

static void test_lanes_start_once_the_own_fence_and_all_specs_were_read_in_either_order(
    void **state) {
    (void)state;
    assign_and_fence(2);
    ownership_specs_read(&o, 0);
    expect_nothing();
    read_own_fence(0, 5);
    expect_of(OWNERSHIP_START, 0);
    read_own_fence(1, 9);
    expect_nothing();
    ownership_specs_read(&o, 1);
    expect_of(OWNERSHIP_START, 1);
    assert_int_equal(ownership_epoch(&o, 0), 5);
    assert_int_equal(ownership_epoch(&o, 1), 9);
}

static void test_a_partition_that_still_loads_holds_up_no_other(void **state) {
    (void)state;
    assign_and_fence(3);
    ownership_specs_read(&o, 2);
    read_own_fence(2, 0);
    expect_of(OWNERSHIP_START, 2);
    assert_true(ownership_may_start(&o, 2, now));
    assert_false(ownership_may_start(&o, 0, now));
    assert_false(ownership_settled(&o, now));
}

static void test_a_fence_of_an_earlier_assignment_does_not_count_as_this_ones(void **state) {
    (void)state;
    assign_and_fence(1);
    ownership_specs_read(&o, 0);
    ownership_fence_read(&o, 0, 3, ME, o.assignment - 1, now);
    expect_nothing();
    read_own_fence(0, 4);
    expect_of(OWNERSHIP_START, 0);
}

static void test_a_fence_that_failed_is_tried_again_after_the_next_confirmation(void **state) {
    (void)state;
    assign_and_fence(1);
    ownership_fence_failed(&o, 0, o.assignment);
    expect_nothing();
    now += SESSION_MS / 4;
    renew();
    expect_of(OWNERSHIP_FENCE, 0);
}

static void test_a_fence_that_was_written_after_all_counts(void **state) {
    (void)state;
    assign_and_fence(1);
    ownership_specs_read(&o, 0);
    ownership_fence_failed(&o, 0, o.assignment);
    read_own_fence(0, 12);
    expect_of(OWNERSHIP_START, 0);
    expect_nothing();
}

static void test_a_late_failure_of_a_fence_read_or_of_an_earlier_assignment_changes_nothing(
    void **state) {
    (void)state;
    hold(1, 5);
    ownership_fence_failed(&o, 0, o.assignment);
    assert_true(ownership_may_start(&o, 0, now));
    ownership_revoked(&o, true, now);
    expect(OWNERSHIP_LET_GO);
    assign_and_fence(1);
    ownership_fence_failed(&o, 0, o.assignment - 1);
    read_own_fence(0, 6);
    ownership_specs_read(&o, 0);
    expect_of(OWNERSHIP_START, 0);
}

static void test_an_assignment_of_nothing_asks_nothing_and_is_settled(void **state) {
    (void)state;
    assign(0, 0);
    expect(OWNERSHIP_READ);
    expect_nothing();
    assert_true(ownership_settled(&o, now));
    assert_int_equal(ownership_due_ms(&o), INT64_MAX);
    hold(2, 1);
    assert_true(ownership_settled(&o, now));
}

/* --- the lease */

static void test_the_lease_counts_from_the_moment_of_sending(void **state) {
    (void)state;
    hold(1, 5);
    int64_t first = now;
    now += SESSION_MS / 4;
    struct ownership_step ask = expect(OWNERSHIP_ASK);
    now += 2000;
    answer(&ask, true);
    assert_true(ownership_leased(&o, first + SESSION_MS / 4 + SESSION_MS - 1));
    assert_false(ownership_leased(&o, first + SESSION_MS / 4 + SESSION_MS));
}

static void test_the_group_is_asked_every_quarter_of_the_session(void **state) {
    (void)state;
    hold(1, 5);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(ownership_due_ms(&o), now + SESSION_MS / 4);
        now += SESSION_MS / 4 - 1;
        expect_nothing();
        now++;
        renew();
        expect_nothing();
    }
}

static void test_at_most_two_asks_are_without_an_answer(void **state) {
    (void)state;
    hold(1, 5);
    now += SESSION_MS / 4;
    struct ownership_step ask = expect(OWNERSHIP_ASK);
    now += SESSION_MS / 4;
    expect(OWNERSHIP_ASK);
    now += SESSION_MS / 4;
    expect_nothing();
    answer(&ask, false);
    expect(OWNERSHIP_ASK);
}

static void test_an_error_and_an_answer_of_an_earlier_assignment_renew_nothing(void **state) {
    (void)state;
    hold(1, 5);
    int64_t until = now + SESSION_MS;
    now += SESSION_MS / 4;
    struct ownership_step ask = expect(OWNERSHIP_ASK);
    answer(&ask, false);
    assert_false(ownership_leased(&o, until));
    now += SESSION_MS / 4;
    ask = expect(OWNERSHIP_ASK);
    ownership_revoked(&o, true, now);
    expect(OWNERSHIP_LET_GO);
    assign(0, 1);
    answer(&ask, true);
    assert_false(ownership_leased(&o, now));
    expect(OWNERSHIP_READ);
    expect(OWNERSHIP_ASK);
    expect_nothing();
}

static void test_an_answer_that_comes_after_a_session_confirms_nothing(void **state) {
    (void)state;
    assign(0, 1);
    expect(OWNERSHIP_READ);
    struct ownership_step ask = expect(OWNERSHIP_ASK);
    now += SESSION_MS;
    answer(&ask, true);
    assert_false(ownership_leased(&o, now));
    expect(OWNERSHIP_ASK);
    expect_nothing();
}

static void test_without_a_lease_all_is_suspended_and_goes_on_when_it_is_renewed(void **state) {
    (void)state;
    hold(2, 5);
    now += SESSION_MS - 1;
    expect(OWNERSHIP_ASK);
    expect_nothing();
    assert_int_equal(ownership_due_ms(&o), now + 1);
    now++;
    assert_false(ownership_may_start(&o, 0, now));
    assert_false(ownership_may_write(&o, 0, now));
    expect(OWNERSHIP_SUSPEND);
    expect_nothing();
    now += SESSION_MS / 4;
    renew();
    assert_false(ownership_may_start(&o, 0, now));
    for (int32_t i = 0; i < 2; i++) {
        struct ownership_step step = expect_of(OWNERSHIP_RESUME, i);
        assert_false(step.window_full || step.rewrite);
        assert_true(ownership_may_start(&o, i, now));
    }
    expect_nothing();
}

static void test_lanes_that_are_ready_without_a_lease_start_when_it_is_renewed(void **state) {
    (void)state;
    assign_and_fence(1);
    now += SESSION_MS;
    ownership_specs_read(&o, 0);
    read_own_fence(0, 5);
    struct ownership_step ask = expect(OWNERSHIP_ASK);
    expect_nothing();
    answer(&ask, true);
    expect_of(OWNERSHIP_START, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(test_nothing_is_fenced_before_the_group_has_confirmed_the_assignment),
        CASE(test_lanes_start_once_the_own_fence_and_all_specs_were_read_in_either_order),
        CASE(test_a_partition_that_still_loads_holds_up_no_other),
        CASE(test_a_fence_of_an_earlier_assignment_does_not_count_as_this_ones),
        CASE(test_a_fence_that_failed_is_tried_again_after_the_next_confirmation),
        CASE(test_a_fence_that_was_written_after_all_counts),
        CASE(test_a_late_failure_of_a_fence_read_or_of_an_earlier_assignment_changes_nothing),
        CASE(test_an_assignment_of_nothing_asks_nothing_and_is_settled),
        CASE(test_the_lease_counts_from_the_moment_of_sending),
        CASE(test_the_group_is_asked_every_quarter_of_the_session),
        CASE(test_at_most_two_asks_are_without_an_answer),
        CASE(test_an_error_and_an_answer_of_an_earlier_assignment_renew_nothing),
        CASE(test_an_answer_that_comes_after_a_session_confirms_nothing),
        CASE(test_without_a_lease_all_is_suspended_and_goes_on_when_it_is_renewed),
        CASE(test_lanes_that_are_ready_without_a_lease_start_when_it_is_renewed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
