/* Ownership, case by case: fences of others, which tokens count, what is done before a partition is
 * let go, and what is known of throttles' windows over assignments. */
#include "tests/unit/ownership_test.h"

/* --- fences of others */

static void test_anothers_fence_before_the_own_one_is_history(void **state) {
    (void)state;
    assign_and_fence(1);
    ownership_specs_read(&o, 0);
    ownership_fence_read(&o, 0, 3, OTHER, 40, now);
    expect_nothing();
    read_own_fence(0, 4);
    assert_true(expect_of(OWNERSHIP_START, 0).window_full);
}

static void test_anothers_newer_fence_holds_up_its_partition_until_it_is_fenced_again(
    void **state) {
    (void)state;
    hold(2, 5);
    ownership_fence_read(&o, 1, 8, OTHER, 40, now);
    assert_false(ownership_may_start(&o, 1, now));
    assert_false(ownership_may_write(&o, 1, now));
    assert_true(ownership_may_start(&o, 0, now));
    renew(); /* the group is asked at once */
    expect_of(OWNERSHIP_FENCE, 1);
    expect_nothing();
    read_own_fence(1, 9);
    struct ownership_step step = expect_of(OWNERSHIP_RESUME, 1);
    assert_true(step.rewrite && step.window_full);
    assert_int_equal(ownership_epoch(&o, 1), 9);
    assert_true(ownership_may_start(&o, 1, now));
    expect_nothing();
}

static void test_disputes_in_a_row_do_not_ask_as_fast_as_they_can(void **state) {
    (void)state;
    hold(1, 5);
    ownership_fence_read(&o, 0, 8, OTHER, 40, now);
    renew();
    expect_of(OWNERSHIP_FENCE, 0);
    read_own_fence(0, 9);
    expect_of(OWNERSHIP_RESUME, 0);
    ownership_fence_read(&o, 0, 10, OTHER, 40, now);
    expect_nothing();
    now += SESSION_MS / 4;
    renew();
    expect_of(OWNERSHIP_FENCE, 0);
}

static void test_an_answer_to_an_earlier_ask_does_not_settle_a_dispute(void **state) {
    (void)state;
    hold(1, 5);
    now += SESSION_MS / 4;
    struct ownership_step before = expect(OWNERSHIP_ASK);
    ownership_fence_read(&o, 0, 8, OTHER, 40, now);
    struct ownership_step after = expect(OWNERSHIP_ASK);
    answer(&before, true);
    expect_nothing();
    answer(&after, true);
    expect_of(OWNERSHIP_FENCE, 0);
}

static void test_a_dispute_while_specs_load_is_settled_too(void **state) {
    (void)state;
    assign_and_fence(1);
    read_own_fence(0, 5);
    ownership_fence_read(&o, 0, 6, OTHER, 40, now);
    ownership_specs_read(&o, 0);
    expect(OWNERSHIP_ASK);
    expect_nothing();
    assert_false(ownership_may_start(&o, 0, now));
}

static void test_a_second_own_fence_only_moves_the_epoch(void **state) {
    (void)state;
    hold(1, 5);
    read_own_fence(0, 6);
    assert_int_equal(ownership_epoch(&o, 0), 6);
    assert_true(ownership_may_start(&o, 0, now));
    ownership_fence_read(&o, 0, 7, ME, o.assignment - 1, now);
    assert_int_equal(ownership_epoch(&o, 0), 7);
    expect_nothing();
}

static void test_a_fence_that_is_read_again_is_not_counted_twice(void **state) {
    (void)state;
    assign_and_fence(1);
    ownership_specs_read(&o, 0);
    ownership_fence_read(&o, 0, 3, OTHER, 40, now);
    read_own_fence(0, 4);
    expect_of(OWNERSHIP_START, 0);
    ownership_fence_read(&o, 0, 3, OTHER, 40, now);
    assert_true(ownership_may_start(&o, 0, now));
    expect_nothing();
}

/* --- tokens */

static void test_the_newest_token_without_a_newer_fence_before_it_counts(void **state) {
    struct token_choice choice = {0};
    (void)state;
    assert_true(ownership_token_read(&o, 0, -1, 0, &choice)); /* before any fence */
    ownership_fence_read(&o, 0, 10, OTHER, 1, now);
    assert_true(ownership_token_read(&o, 0, 10, 0, &choice));
    assert_true(ownership_token_read(&o, 0, 10, 0, &choice));
    ownership_fence_read(&o, 0, 20, OTHER, 2, now);
    assert_false(ownership_token_read(&o, 0, 10, 0, &choice)); /* of one who was deposed */
    assert_true(choice.rewrite);
    assert_int_equal(choice.kept, CHOICE_VALID);
    assert_true(ownership_token_read(&o, 0, 20, 0, &choice));
    assert_false(choice.rewrite);
}

static void test_a_quiet_lanes_token_stays_good_when_its_fence_is_compacted_away(void **state) {
    struct token_choice choice = {0};
    (void)state;
    assert_true(ownership_token_read(&o, 0, 10, 0, &choice)); /* the fence at 10 is gone */
    ownership_fence_read(&o, 0, 30, OTHER, 3, now);
    assert_int_equal(choice.kept, CHOICE_VALID);
    assert_false(choice.rewrite);
}

static void test_of_nothing_but_void_tokens_the_newest_counts_and_is_rewritten(void **state) {
    struct token_choice choice = {0};
    (void)state;
    ownership_fence_read(&o, 0, 30, OTHER, 3, now);
    assert_true(ownership_token_read(&o, 0, 10, 0, &choice));
    assert_true(ownership_token_read(&o, 0, 20, 0, &choice));
    assert_int_equal(choice.kept, CHOICE_VOID);
    assert_true(choice.rewrite);
    assert_true(ownership_token_read(&o, 0, 30, 0, &choice));
    assert_int_equal(choice.kept, CHOICE_VALID);
}

static void test_of_two_tokens_of_one_epoch_the_higher_number_counts_wherever_it_stands(
    void **state) {
    struct token_choice choice = {0};
    (void)state;
    ownership_fence_read(&o, 0, 10, OTHER, 1, now);
    assert_true(ownership_token_read(&o, 0, 10, 7, &choice));
    assert_true(ownership_token_read(&o, 0, 10, 9, &choice));
    assert_false(ownership_token_read(&o, 0, 10, 8, &choice)); /* of a producer that was replaced */
    assert_true(choice.rewrite); /* before compaction takes the better one */
    assert_true(ownership_token_read(&o, 0, 10, 10, &choice));
    assert_false(choice.rewrite);
    ownership_fence_read(&o, 0, 20, OTHER, 2, now);
    assert_true(ownership_token_read(&o, 0, 20, 3, &choice)); /* each owner numbers its own */
}

static void test_tokens_without_a_number_count_by_their_place(void **state) {
    struct token_choice choice = {0};
    (void)state;
    assert_true(ownership_token_read(&o, 0, 10, 0, &choice));
    assert_true(ownership_token_read(&o, 0, 10, 0, &choice));
    assert_true(ownership_token_read(&o, 0, 10, 5, &choice));
    assert_true(ownership_token_read(&o, 0, 10, 0, &choice));
}

/* --- leaving */

static void test_at_a_revocation_those_in_flight_have_a_grace_then_tokens_are_written(
    void **state) {
    (void)state;
    hold(2, 5);
    in_flight = 3;
    ownership_revoked(&o, false, now);
    assert_false(ownership_may_start(&o, 0, now));
    assert_true(ownership_may_write(&o, 0, now));
    expect_nothing();
    int64_t deadline = now + OWNERSHIP_GRACE_MS;
    while (now + SESSION_MS / 4 < deadline) {
        now += SESSION_MS / 4;
        renew(); /* the lease is kept meanwhile */
        expect_nothing();
    }
    now = deadline;
    expect(OWNERSHIP_ASK);
    expect(OWNERSHIP_WRITE);
    in_flight = 0;
    unwritten = 2;
    expect_nothing();
    unwritten = 0;
    expect(OWNERSHIP_LET_GO);
    assert_false(ownership_may_write(&o, 0, now));
    expect_nothing();
}

static void test_tokens_that_are_not_written_in_time_are_not_waited_for(void **state) {
    (void)state;
    hold(1, 5);
    ownership_revoked(&o, false, now);
    expect(OWNERSHIP_WRITE);
    unwritten = 1;
    assert_int_equal(ownership_due_ms(&o), now + OWNERSHIP_WRITE_MS);
    now += OWNERSHIP_WRITE_MS;
    expect(OWNERSHIP_LET_GO);
}

static void test_what_is_lost_is_let_go_at_once_and_nothing_is_written(void **state) {
    (void)state;
    hold(1, 5);
    in_flight = unwritten = 1;
    ownership_revoked(&o, true, now);
    assert_false(ownership_may_start(&o, 0, now));
    assert_false(ownership_may_write(&o, 0, now));
    expect(OWNERSHIP_LET_GO);
    expect_nothing();
}

static void test_a_lease_that_ends_while_leaving_lets_go_at_once_and_writes_nothing(void **state) {
    (void)state;
    hold(1, 5);
    in_flight = 1;
    now += SESSION_MS - 1;
    expect(OWNERSHIP_ASK);
    ownership_revoked(&o, false, now);
    expect_nothing();
    now++;
    expect(OWNERSHIP_SUSPEND);
    expect(OWNERSHIP_LET_GO);
}

static void test_stopping_gives_those_in_flight_until_the_deadline_and_keeps_the_lease(
    void **state) {
    (void)state;
    hold(1, 5);
    in_flight = 1;
    ownership_stop(&o, now + 20000);
    int64_t deadline = now + 20000;
    while (now + SESSION_MS / 4 < deadline) {
        now += SESSION_MS / 4;
        renew();
        expect_nothing();
        assert_false(ownership_ended(&o));
    }
    now = deadline;
    expect(OWNERSHIP_ASK);
    expect(OWNERSHIP_WRITE);
    in_flight = 0;
    expect(OWNERSHIP_LET_GO);
    assert_true(ownership_ended(&o));
}

static void test_a_revocation_while_stopping_leaves_those_in_flight_a_grace(void **state) {
    (void)state;
    hold(1, 5);
    in_flight = 1;
    ownership_stop(&o, now + 8000);
    ownership_revoked(&o, false, now);
    assert_int_equal(o.deadline_ms, now + OWNERSHIP_GRACE_MS);
}

static void test_what_is_assigned_while_stopping_is_not_taken(void **state) {
    (void)state;
    ownership_stop(&o, now + 8000);
    assert_true(ownership_ended(&o));
    assign(0, 2);
    expect_nothing();
    assert_true(ownership_ended(&o));
}

/* --- throttles over assignments */

static void reassign(int32_t first, int32_t count) {
    ownership_revoked(&o, false, now);
    expect(OWNERSHIP_WRITE);
    expect(OWNERSHIP_LET_GO);
    assign(first, count);
    expect(OWNERSHIP_READ);
    renew();
    for (int32_t i = 0; i < count; i++)
        expect_of(OWNERSHIP_FENCE, first + i);
}

static void test_a_window_is_known_only_where_nobody_else_can_have_sent(void **state) {
    (void)state;
    hold(3, 5);
    reassign(0, 3);
    ownership_fence_read(&o, 1, 6, OTHER, 40, now);
    for (int32_t i = 0; i < 3; i++) {
        ownership_specs_read(&o, i);
        read_own_fence(i, 7);
    }
    assert_false(expect_of(OWNERSHIP_START, 0).window_full);
    assert_true(expect_of(OWNERSHIP_START, 1).window_full);
    assert_false(expect_of(OWNERSHIP_START, 2).window_full);
    reassign(1, 2);
    reassign(0, 3);
    for (int32_t i = 0; i < 3; i++) {
        ownership_specs_read(&o, i);
        read_own_fence(i, 20);
    }
    assert_true(expect_of(OWNERSHIP_START, 0).window_full); /* it was not ours in between */
    assert_false(expect_of(OWNERSHIP_START, 1).window_full);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(test_anothers_fence_before_the_own_one_is_history),
        CASE(test_anothers_newer_fence_holds_up_its_partition_until_it_is_fenced_again),
        CASE(test_disputes_in_a_row_do_not_ask_as_fast_as_they_can),
        CASE(test_an_answer_to_an_earlier_ask_does_not_settle_a_dispute),
        CASE(test_a_dispute_while_specs_load_is_settled_too),
        CASE(test_a_second_own_fence_only_moves_the_epoch),
        CASE(test_a_fence_that_is_read_again_is_not_counted_twice),
        CASE(test_the_newest_token_without_a_newer_fence_before_it_counts),
        CASE(test_a_quiet_lanes_token_stays_good_when_its_fence_is_compacted_away),
        CASE(test_of_two_tokens_of_one_epoch_the_higher_number_counts_wherever_it_stands),
        CASE(test_tokens_without_a_number_count_by_their_place),
        CASE(test_of_nothing_but_void_tokens_the_newest_counts_and_is_rewritten),
        CASE(test_at_a_revocation_those_in_flight_have_a_grace_then_tokens_are_written),
        CASE(test_tokens_that_are_not_written_in_time_are_not_waited_for),
        CASE(test_what_is_lost_is_let_go_at_once_and_nothing_is_written),
        CASE(test_a_lease_that_ends_while_leaving_lets_go_at_once_and_writes_nothing),
        CASE(test_stopping_gives_those_in_flight_until_the_deadline_and_keeps_the_lease),
        CASE(test_a_revocation_while_stopping_leaves_those_in_flight_a_grace),
        CASE(test_what_is_assigned_while_stopping_is_not_taken),
        CASE(test_a_window_is_known_only_where_nobody_else_can_have_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
