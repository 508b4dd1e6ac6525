/* Those who wait at the log's end: who is woken by which event, and who is not. */
#include "loop_fixture.h"

#include "common/model/subscription.h"
#include "ingest/read/waiters.h"

static struct waiters *waiters;

static int make_waiters(void **state) {
    make_loop(state);
    waiters = waiters_new(loop);
    return 0;
}

static int free_waiters(void **state) {
    waiters_free(waiters);
    return free_loop(state);
}

struct reader {
    struct waiter waiter;
    struct subscription wants;
    int64_t woken_at; /* -1: not woken */
    struct reader *removes;
};

static void reader_remove(struct reader *r) {
    waiters_remove(waiters, &r->waiter, &r->wants);
    subscription_fini(&r->wants);
}

static void reader_on_wake(void *arg, int64_t cursor) {
    struct reader *r = arg;
    assert_int_equal(r->woken_at, -1);
    r->woken_at = cursor;
    if (r->removes)
        reader_remove(r->removes);
}

/* It wants what matches the pattern. */
static void reader_add(struct reader *r, const char *pattern) {
    *r = (struct reader){.woken_at = -1};
    subscription_add(&r->wants, pattern);
    r->waiter = (struct waiter){.wake = reader_on_wake, .arg = r};
    waiters_add(waiters, &r->waiter, &r->wants);
    waiters_wait(&r->waiter);
}

static void append(int64_t cursor, const char *topic) {
    const struct feed_event event = {.cursor = cursor, .topic = span_of(topic)};
    waiters_appended(waiters, &event);
}

static void test_an_event_wakes_those_who_want_it(void **state) {
    struct reader drugs, others, everything;
    (void)state;
    reader_add(&drugs, "drug.*");
    reader_add(&others, "plan.*");
    reader_add(&everything, "*");
    append(7, "drug.copay");
    assert_int_equal(drugs.woken_at, -1); /* never from within the append */
    turn_once();
    assert_int_equal(drugs.woken_at, 7);
    assert_int_equal(everything.woken_at, 7);
    assert_int_equal(others.woken_at, -1);
    assert_true(others.waiter.waiting);
    reader_remove(&drugs);
    reader_remove(&others);
    reader_remove(&everything);
}

static void test_the_first_event_is_the_one_it_is_woken_for(void **state) {
    struct reader r;
    (void)state;
    reader_add(&r, "drug.*");
    append(7, "drug.copay");
    append(8, "drug.price");
    turn_once();
    assert_int_equal(r.woken_at, 7);
    turn_once();
    reader_remove(&r);
}

static void test_who_does_not_wait_is_not_woken(void **state) {
    struct reader r;
    (void)state;
    reader_add(&r, "drug.*");
    append(7, "drug.copay");
    turn_once();
    r.woken_at = -1;
    append(8, "drug.copay"); /* it reads on, and comes to this by itself */
    turn_once();
    assert_int_equal(r.woken_at, -1);
    waiters_wait(&r.waiter);
    append(9, "drug.copay");
    turn_once();
    assert_int_equal(r.woken_at, 9);
    reader_remove(&r);
}

static void test_one_who_is_removed_by_another_that_wakes_is_not_woken(void **state) {
    struct reader first, second, third;
    (void)state;
    reader_add(&first, "drug.*");
    reader_add(&second, "drug.*");
    reader_add(&third, "drug.*");
    first.removes = &third;
    third.removes = &first; /* whichever of the two comes first */
    append(7, "drug.copay");
    turn_once();
    assert_int_equal(second.woken_at, 7);
    assert_true((first.woken_at == 7) != (third.woken_at == 7));
    reader_remove(first.woken_at == 7 ? &first : &third);
    reader_remove(&second);
}

static void test_one_who_removes_itself_leaves_the_others(void **state) {
    struct reader first, second;
    (void)state;
    reader_add(&first, "*");
    reader_add(&second, "*");
    first.removes = &first;
    second.removes = &second;
    append(7, "drug.copay");
    turn_once();
    assert_true(first.woken_at == 7 && second.woken_at == 7);
}

static void test_one_removed_before_its_turn_is_not_woken(void **state) {
    struct reader r;
    (void)state;
    reader_add(&r, "drug.*");
    append(7, "drug.copay");
    reader_remove(&r);
    turn_once();
    assert_int_equal(r.woken_at, -1);
}

static void test_of_thousands_each_turn_wakes_a_few_in_order(void **state) {
    enum { READERS = 1000 };
    struct reader *readers = mem_zero(READERS * sizeof *readers);
    int woken = 0, turns = 0;
    (void)state;
    for (int i = 0; i < READERS; i++)
        reader_add(&readers[i], "drug.*");
    append(7, "drug.copay");
    for (int before = -1; woken != before; turns++) {
        before = woken;
        turn_once();
        for (woken = 0; woken < READERS && readers[woken].woken_at == 7;)
            woken++;
        assert_true(woken - (before < 0 ? 0 : before) <= 64);
    }
    assert_int_equal(woken, READERS);
    assert_true(turns > READERS / 64);
    for (int i = 0; i < READERS; i++)
        reader_remove(&readers[i]);
    free(readers);
}

#define waiters_test(f) cmocka_unit_test_setup_teardown(f, make_waiters, free_waiters)

int main(void) {
    const struct CMUnitTest tests[] = {
        waiters_test(test_an_event_wakes_those_who_want_it),
        waiters_test(test_the_first_event_is_the_one_it_is_woken_for),
        waiters_test(test_who_does_not_wait_is_not_woken),
        waiters_test(test_one_who_is_removed_by_another_that_wakes_is_not_woken),
        waiters_test(test_one_who_removes_itself_leaves_the_others),
        waiters_test(test_one_removed_before_its_turn_is_not_woken),
        waiters_test(test_of_thousands_each_turn_wakes_a_few_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
