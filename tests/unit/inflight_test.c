/* Records without a known outcome: waits for a record, and when an unresolved record counts as
 * lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "ingest/publish/inflight.h"

static struct dedupe_print print_of(uint64_t id) {
    return (struct dedupe_print){.id = {id, ~id}, .content = 1};
}

static void add(struct inflight *f, struct inflight_record *r, uint64_t id, int64_t now_ms) {
    *r = (struct inflight_record){.print = print_of(id)};
    inflight_add(f, r, now_ms);
}

static void test_a_record_is_found_by_its_id_until_it_is_settled(void **state) {
    struct inflight f = {0};
    struct inflight_record a, b;
    struct dedupe_print id_a = print_of(1), id_b = print_of(2), other = print_of(3);
    (void)state;
    add(&f, &a, 1, 0);
    add(&f, &b, 2, 0);
    assert_ptr_equal(inflight_find(&f, &id_a), &a);
    assert_ptr_equal(inflight_find(&f, &id_b), &b);
    assert_null(inflight_find(&f, &other));
    inflight_unresolve(&f, &a, 1);
    assert_ptr_equal(inflight_find(&f, &id_a), &a);
    assert_int_equal(f.unresolved_count, 1);
    inflight_settle(&f, &a);
    inflight_settle(&f, &b);
    assert_null(inflight_find(&f, &id_a));
    assert_null(inflight_find(&f, &id_b));
    assert_int_equal(f.unresolved_count, 0);
    assert_null(f.unresolved);
    HASH_CLEAR(hh, f.by_id);
}

/* --- waits */

struct waiter {
    struct inflight_wait wait;
    int called;
    struct waiter *leaves;            /* removed by the call */
    struct inflight_record *waits_on; /* record to wait for next */
};

static void on_settled(void *arg) {
    struct waiter *w = arg;
    w->called++;
    if (w->leaves)
        inflight_leave(&w->leaves->wait);
    if (w->waits_on)
        inflight_wait(w->waits_on, &w->wait);
}

static void begin_wait(struct waiter *w, struct inflight_record *r) {
    *w = (struct waiter){.wait = {.settled = on_settled, .arg = w}};
    inflight_wait(r, &w->wait);
}

static void test_every_wait_is_called_once(void **state) {
    struct inflight f = {0};
    struct inflight_record r;
    struct waiter w[3];
    (void)state;
    add(&f, &r, 1, 0);
    for (int i = 0; i < 3; i++)
        begin_wait(&w[i], &r);
    inflight_leave(&w[1].wait);
    inflight_leave(&w[1].wait);
    inflight_settle(&f, &r);
    inflight_wake(&r);
    inflight_wake(&r);
    assert_int_equal(w[0].called, 1);
    assert_int_equal(w[1].called, 0);
    assert_int_equal(w[2].called, 1);
    HASH_CLEAR(hh, f.by_id);
}

static void test_a_called_wait_may_wait_again_and_remove_others(void **state) {
    struct inflight f = {0};
    struct inflight_record r, second;
    struct waiter w[3];
    (void)state;
    add(&f, &r, 1, 0);
    add(&f, &second, 2, 0);
    for (int i = 0; i < 3; i++)
        begin_wait(&w[i], &r);
    w[0].leaves = &w[1];
    w[0].waits_on = &second;
    w[2].waits_on = &r; /* repeated: called once only */
    inflight_wake(&r);
    assert_int_equal(w[0].called, 1);
    assert_int_equal(w[1].called, 0);
    assert_int_equal(w[2].called, 1);
    w[0].waits_on = w[2].waits_on = NULL;
    inflight_wake(&second);
    inflight_wake(&r);
    assert_int_equal(w[0].called, 2);
    assert_int_equal(w[2].called, 2);
    HASH_CLEAR(hh, f.by_id);
}

/* --- outcomes that only the log shows */

enum { SENT = 10000, REPORTED = 15000 };

/* One unresolved record, sent at SENT. */
static void unresolved(struct inflight *f, struct inflight_record *r) {
    *f = (struct inflight){0};
    add(f, r, 1, SENT);
    inflight_unresolve(f, r, REPORTED);
}

static void test_it_is_lost_once_the_broker_answers_as_long_after_the_silence_as_that_lasted(
    void **state) {
    struct inflight f;
    struct inflight_record r;
    (void)state;
    unresolved(&f, &r);
    assert_null(inflight_look(&f, REPORTED + 100, REPORTED + 1000, 50,
                              50)); /* heard at 16000, 6000 after it was sent */
    assert_null(inflight_look(&f, REPORTED + 6999, REPORTED + 7100, 50, 50));
    assert_ptr_equal(inflight_look(&f, REPORTED + 7000, REPORTED + 7100, 50, 50), &r);
    HASH_CLEAR(hh, f.by_id);
}

static void test_a_question_from_before_the_report_proves_nothing(void **state) {
    struct inflight f;
    struct inflight_record r;
    (void)state;
    unresolved(&f, &r);
    assert_null(inflight_look(&f, REPORTED, REPORTED + 100000, 50, 50));
    assert_int_equal(r.heard_ms, 0);
    HASH_CLEAR(hh, f.by_id);
}

static void test_after_a_short_silence_it_is_waited_for_2_seconds_all_the_same(void **state) {
    struct inflight f = {0};
    struct inflight_record r;
    (void)state;
    add(&f, &r, 1, 0);
    inflight_unresolve(&f, &r, 10);
    assert_null(inflight_look(&f, 20, 30, 50, 50));
    assert_null(inflight_look(&f, 2029, 2030, 50, 50));
    assert_ptr_equal(inflight_look(&f, 2030, 2040, 50, 50), &r);
    HASH_CLEAR(hh, f.by_id);
}

static void test_after_an_hour_of_silence_it_is_waited_for_2_minutes(void **state) {
    enum { HOUR = 3600 * 1000 };
    struct inflight f = {0};
    struct inflight_record r;
    (void)state;
    add(&f, &r, 1, 0);
    inflight_unresolve(&f, &r, 10);
    assert_null(inflight_look(&f, HOUR, HOUR, 50, 50));
    assert_null(inflight_look(&f, HOUR + 119999, HOUR + 120000, 50, 50));
    assert_ptr_equal(inflight_look(&f, HOUR + 120000, HOUR + 120001, 50, 50), &r);
    HASH_CLEAR(hh, f.by_id);
}

static void test_the_tail_must_have_read_what_was_there_at_the_second_answer(void **state) {
    struct inflight f;
    struct inflight_record r;
    (void)state;
    unresolved(&f, &r);
    assert_null(inflight_look(&f, REPORTED + 100, REPORTED + 100, 70, 60));
    assert_null(inflight_look(&f, REPORTED + 9000, REPORTED + 9000, 80, 79));
    assert_null(inflight_look(&f, REPORTED + 9500, REPORTED + 9500, 95,
                              79)); /* later appends do not matter */
    assert_ptr_equal(inflight_look(&f, REPORTED + 9900, REPORTED + 9900, 99, 80), &r);
    HASH_CLEAR(hh, f.by_id);
}

static void test_in_an_empty_log_it_is_lost_too(void **state) {
    struct inflight f;
    struct inflight_record r;
    (void)state;
    unresolved(&f, &r);
    assert_null(inflight_look(&f, REPORTED + 100, REPORTED + 100, 0, 0));
    assert_ptr_equal(inflight_look(&f, REPORTED + 9000, REPORTED + 9000, 0, 0), &r);
    HASH_CLEAR(hh, f.by_id);
}

static void test_a_log_that_is_read_again_restarts_the_proof(void **state) {
    struct inflight f;
    struct inflight_record r;
    (void)state;
    unresolved(&f, &r);
    assert_null(inflight_look(&f, REPORTED + 100, REPORTED + 100, 70, 60));
    assert_null(inflight_look(&f, REPORTED + 9000, REPORTED + 9000, 80, 60));
    inflight_start_over(&f);
    assert_null(inflight_look(&f, REPORTED + 9900, REPORTED + 9900, 5, 100));
    assert_int_equal(r.heard_ms, REPORTED + 9900);
    HASH_CLEAR(hh, f.by_id);
}

static void test_each_of_several_is_told(void **state) {
    struct inflight f = {0};
    struct inflight_record r[5], *lost;
    int told = 0;
    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        add(&f, &r[i], i, 0);
        inflight_unresolve(&f, &r[i], 10);
    }
    assert_null(inflight_look(&f, 20, 30, 50, 50));
    while ((lost = inflight_look(&f, 9000, 9000, 50, 50))) {
        inflight_settle(&f, lost);
        told++;
    }
    assert_int_equal(told, 5);
    assert_int_equal(f.unresolved_count, 0);
    HASH_CLEAR(hh, f.by_id);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_record_is_found_by_its_id_until_it_is_settled),
        cmocka_unit_test(test_every_wait_is_called_once),
        cmocka_unit_test(test_a_called_wait_may_wait_again_and_remove_others),
        cmocka_unit_test(
            test_it_is_lost_once_the_broker_answers_as_long_after_the_silence_as_that_lasted),
        cmocka_unit_test(test_a_question_from_before_the_report_proves_nothing),
        cmocka_unit_test(test_after_a_short_silence_it_is_waited_for_2_seconds_all_the_same),
        cmocka_unit_test(test_after_an_hour_of_silence_it_is_waited_for_2_minutes),
        cmocka_unit_test(test_the_tail_must_have_read_what_was_there_at_the_second_answer),
        cmocka_unit_test(test_in_an_empty_log_it_is_lost_too),
        cmocka_unit_test(test_a_log_that_is_read_again_restarts_the_proof),
        cmocka_unit_test(test_each_of_several_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
