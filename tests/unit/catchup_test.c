/* Jumps behind the tail, on librdkafka's mock broker: which records are skipped, and which must not
 * be. */
#include "feed_world.h"

enum { MIB = 1024 * 1024 };

static void a_stray_of_another_feed_is_skipped_where_the_genesis_record_is_the_feeds(void **state) {
    struct world w;
    struct party p;
    (void)state;
    setup(&w);
    write_genesis(&w, FEED_A);
    for (int i = 1; i <= 50; i++)
        write_event(&w, i % 10 == 0 ? FEED_B : FEED_A, "t", 100);
    open_feed(&w, FEED_A, MIB);
    party_init(&p, &w, 0, NULL);
    party_step(&p);
    run_until(&w, party_ended, &p);
    assert_int_equal(w.broken, 0);
    assert_int_equal(p.events, 45);
    assert_int_equal(w.foreign, 5); /* the tail does not report the record at which it begins */
    assert_false(p.compacted);
    feed_reader_fini(&p.reader);
    teardown(&w);
}

static void a_log_that_another_feed_began_is_noticed_by_its_first_reader(void **state) {
    struct world w;
    struct party p;
    (void)state;
    setup(&w);
    write_genesis(&w, FEED_B);
    for (int i = 0; i < 50; i++)
        write_event(&w, FEED_B, "t", 100);
    open_feed(&w, FEED_A, MIB);
    party_init(&p, &w, 20, NULL);
    party_step(&p);
    run_until(&w, world_broken, &w);
    assert_int_equal(p.events, 0);
    assert_non_null(strstr(w.reason, "cursor 21"));
    feed_reader_fini(&p.reader);
    teardown(&w);
}

static void what_ess_did_not_write_is_skipped_and_is_no_hole(void **state) {
    struct world w;
    struct party p;
    (void)state;
    setup(&w);
    write_genesis(&w, FEED_A);
    write_genesis(&w, FEED_B);
    write_event(&w, FEED_A, "t", 100);
    for (int i = 0; i < 10; i++)
        write_record(&w, span_of("key"), "hello", 5, rd_kafka_headers_new(1));
    write_event(&w, FEED_A, "t", 100);
    write_event(&w, FEED_A, "t", 100);
    open_feed(&w, FEED_A, MIB);
    party_init(&p, &w, 0, NULL);
    party_step(&p);
    run_until(&w, party_ended, &p);
    assert_int_equal(p.events, 3);
    assert_int_equal(w.foreign, 10);
    assert_false(p.compacted);
    feed_reader_fini(&p.reader);
    teardown(&w);
}

static void readers_who_go_away_while_they_wait_leave_the_others_be(void **state) {
    struct world w;
    struct party parties[20];
    (void)state;
    setup(&w);
    write_genesis(&w, FEED_A);
    for (int i = 0; i < 2000; i++)
        write_event(&w, FEED_A, "t", 500);
    open_feed(&w, FEED_A, MIB);
    for (int i = 0; i < 20; i++) {
        party_init(&parties[i], &w, i * 100, NULL);
        party_step(&parties[i]);
    }
    for (int i = 0; i < 20; i += 2)
        feed_reader_fini(&parties[i].reader);
    for (int i = 1; i < 20; i += 2) {
        run_until(&w, party_ended, &parties[i]);
        assert_int_equal(parties[i].events, 2000 - i * 100);
        feed_reader_fini(&parties[i].reader);
    }
    teardown(&w);
}

static bool some_read(void *arg) { return ((struct party *)arg)->events > 0; }

/* The reader pauses after its first chunk, for longer than chunks read ahead are kept. */
static bool a_second_has_passed(void *arg) { return clock_ms() > *(int64_t *)arg; }

static void a_reader_that_pauses_goes_on_where_it_stood(void **state) {
    struct world w;
    struct party p;
    (void)state;
    setup(&w);
    write_genesis(&w, FEED_A);
    for (int i = 0; i < 3000; i++)
        write_event(&w, FEED_A, "t", 500);
    open_feed(&w, FEED_A, MIB);
    for (int64_t pause_ms = 0; pause_ms <= 1000; pause_ms += 500) {
        party_init(&p, &w, 0, NULL);
        party_step(&p);
        run_until(&w, some_read, &p);
        p.paused = true;
        int64_t until = clock_ms() + pause_ms;
        run_until(&w, a_second_has_passed, &until);
        p.paused = false;
        party_step(&p);
        run_until(&w, party_ended, &p);
        assert_int_equal(p.events, 3000);
        assert_false(p.compacted);
        feed_reader_fini(&p.reader);
    }
    teardown(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stray_of_another_feed_is_skipped_where_the_genesis_record_is_the_feeds),
        cmocka_unit_test(a_log_that_another_feed_began_is_noticed_by_its_first_reader),
        cmocka_unit_test(what_ess_did_not_write_is_skipped_and_is_no_hole),
        cmocka_unit_test(readers_who_go_away_while_they_wait_leave_the_others_be),
        cmocka_unit_test(a_reader_that_pauses_goes_on_where_it_stood),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
