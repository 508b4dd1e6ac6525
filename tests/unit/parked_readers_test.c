/* Readers parked at the log's end: which event wakes which reader. */
#include "loop_fixture.h"

#include "common/model/subscription.h"
#include "ingest/read/parked_readers.h"

static struct parked_readers *parked_readers;

static int make_parked_readers(void **state) {
    make_loop(state);
    parked_readers = parked_readers_new(loop);
    return 0;
}

static int free_parked_readers(void **state) {
    parked_readers_free(parked_readers);
    return free_loop(state);
}

struct reader {
    struct parked_reader reader;
    struct subscription wants;
    int64_t woken_at; /* -1: not woken */
    struct reader *removes;
};

static void reader_remove(struct reader *r) {
    parked_readers_remove(parked_readers, &r->reader);
    subscription_fini(&r->wants);
}

static void reader_on_wake(void *arg, int64_t cursor) {
    struct reader *r = arg;
    assert_int_equal(r->woken_at, -1);
    r->woken_at = cursor;
    if (r->removes)
        reader_remove(r->removes);
}

/* Adds a reader of this pattern. */
static void reader_add(struct reader *r, const char *pattern) {
    *r = (struct reader){.woken_at = -1};
    subscription_add(&r->wants, pattern);
    r->reader = (struct parked_reader){.wake = reader_on_wake, .arg = r};
    parked_readers_add(parked_readers, &r->reader, &r->wants);
    parked_readers_park(&r->reader);
}

static void append(int64_t cursor, const char *topic) {
    const struct feed_event event = {.cursor = cursor, .topic = span_of(topic)};
    parked_readers_appended(parked_readers, &event);
}

static void test_content_that_its_filter_excludes_wakes_nobody(void **state) {
    struct reader maryland;
    struct error err;
    (void)state;
    reader_add(&maryland, "*");
    assert_int_equal(
        subscription_set_filter(&maryland.wants, span_of("{\"data\":{\"state\":[\"MD\"]}}"), &err),
        0);
    for (int64_t cursor = 7; cursor <= 8; cursor++) {
        const struct feed_event event = {
            .cursor = cursor,
            .topic = span_of("a"),
            .stored = span_of(cursor == 7 ? "{\"topic\":\"a\",\"data\":{\"state\":\"VA\"}}"
                                          : "{\"topic\":\"a\",\"data\":{\"state\":\"MD\"}}")};
        parked_readers_appended(parked_readers, &event);
    }
    turn_once();
    assert_int_equal(maryland.woken_at, 8);
    reader_remove(&maryland);
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
    assert_true(others.reader.parked);
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
    append(8, "drug.copay"); /* not parked: reading on finds the event */
    turn_once();
    assert_int_equal(r.woken_at, -1);
    parked_readers_park(&r.reader);
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
    third.removes = &first; /* whichever is woken first */
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

#define parked_readers_test(f)                                                                     \
    cmocka_unit_test_setup_teardown(f, make_parked_readers, free_parked_readers)

int main(void) {
    const struct CMUnitTest tests[] = {
        parked_readers_test(test_an_event_wakes_those_who_want_it),
        parked_readers_test(test_content_that_its_filter_excludes_wakes_nobody),
        parked_readers_test(test_the_first_event_is_the_one_it_is_woken_for),
        parked_readers_test(test_who_does_not_wait_is_not_woken),
        parked_readers_test(test_one_who_is_removed_by_another_that_wakes_is_not_woken),
        parked_readers_test(test_one_who_removes_itself_leaves_the_others),
        parked_readers_test(test_one_removed_before_its_turn_is_not_woken),
        parked_readers_test(test_of_thousands_each_turn_wakes_a_few_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
