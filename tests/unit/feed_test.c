/* The feed on librdkafka's mock broker: the tail, readers, and the bound of memory. */
#include "common/feed/feed_internal.h"
#include "feed_world.h"

enum { MIB = 1024 * 1024, EVENTS = 3000, EVENT_BYTES = 1000 };

static void write_log(struct world *w) {
    write_genesis(w, FEED_A);
    for (int i = 0; i < EVENTS; i++)
        write_event(w, FEED_A, i % 10 == 3 ? "rare" : "often", EVENT_BYTES);
}

/* A world whose feed stands at the log's end and is sure of it. */
static void setup_tail(struct world *w) {
    setup(w);
    write_log(w);
    open_feed(w, FEED_A, MIB);
    run_until(w, world_sure, w);
}

static void a_reader_from_the_beginning_gets_every_event_in_order_and_then_the_end(void **state) {
    struct world w;
    struct party p;
    (void)state;
    setup(&w);
    write_log(&w);
    open_feed(&w, FEED_A, 64 * MIB);
    party_init(&p, &w, 0, NULL);
    party_step(&p);
    run_until(&w, party_ended, &p);
    assert_int_equal(p.events, EVENTS);
    assert_int_equal(p.position, EVENTS);
    assert_int_equal(feed_end(w.feed), EVENTS);
    assert_false(p.compacted);
    assert_int_equal(w.broken, 0);
    feed_reader_fini(&p.reader);
    teardown(&w);
}

static void a_reader_of_one_topic_gets_its_events_and_passes_all_others(void **state) {
    struct world w;
    struct party rare, none;
    (void)state;
    setup(&w);
    write_log(&w);
    open_feed(&w, FEED_A, 64 * MIB);
    party_init(&rare, &w, 0, "rare");
    party_init(&none, &w, 0, "nothing");
    party_step(&rare);
    party_step(&none);
    run_until(&w, party_ended, &rare);
    run_until(&w, party_ended, &none);
    assert_int_equal(rare.events, EVENTS / 10);
    assert_int_equal(none.events, 0);
    assert_int_equal(none.position, EVENTS);
    feed_reader_fini(&rare.reader);
    feed_reader_fini(&none.reader);
    teardown(&w);
}

static void readers_at_one_place_share_its_chunks_and_the_second_waits_for_none(void **state) {
    struct world w;
    struct party first, second;
    (void)state;
    setup(&w);
    write_log(&w);
    open_feed(&w, FEED_A, 64 * MIB);
    party_init(&first, &w, 0, NULL);
    party_step(&first);
    run_until(&w, party_ended, &first);
    size_t bytes = feed_bytes(w.feed);
    party_init(&second, &w, 1234, NULL);
    party_step(&second);
    assert_true(second.ended);
    assert_int_equal(second.waits, 0);
    assert_int_equal(second.events, EVENTS - 1234);
    assert_int_equal(feed_bytes(w.feed), bytes);
    feed_reader_fini(&first.reader);
    feed_reader_fini(&second.reader);
    teardown(&w);
}

struct bound {
    struct party *parties;
    size_t count, most;
    struct world *world;
};

static bool all_ended_within_the_bound(void *arg) {
    struct bound *b = arg;
    bool ended = true;
    size_t bytes = feed_bytes(b->world->feed);
    b->most = bytes > b->most ? bytes : b->most;
    for (size_t i = 0; i < b->count; i++)
        ended &= b->parties[i].ended;
    return ended || b->world->broken;
}

static void many_readers_at_many_places_stay_within_one_bound_of_memory(void **state) {
    enum { PARTIES = 40 };
    struct world w;
    struct party parties[PARTIES];
    struct bound bound = {.parties = parties, .count = PARTIES, .world = &w};
    (void)state;
    setup(&w);
    write_log(&w);
    open_feed(&w, FEED_A, MIB);
    for (int i = 0; i < PARTIES; i++) {
        party_init(&parties[i], &w, (i * 7919) % EVENTS, NULL);
        party_step(&parties[i]);
    }
    run_until(&w, all_ended_within_the_bound, &bound);
    for (int i = 0; i < PARTIES; i++) {
        assert_int_equal(parties[i].events, EVENTS - (i * 7919) % EVENTS);
        feed_reader_fini(&parties[i].reader);
    }
    assert_true(bound.most > MIB / 4);
    assert_true(bound.most <= MIB);
    teardown(&w);
}

static bool has_read_ahead(void *arg) {
    return feed_bytes(((struct world *)arg)->feed) > 1700 * 1024;
}
static bool looked_again(void *arg) { return --*(int *)arg <= 0; }

static void a_few_chunks_are_read_ahead_of_one_who_reads_on_and_no_more(void **state) {
    struct world w;
    struct party p;
    int looks = 300;
    (void)state;
    setup(&w);
    write_log(&w);
    open_feed(&w, FEED_A, 4 * MIB); /* chunks of 256 KiB */
    party_init(&p, &w, 0, NULL);
    p.pause_after = 600; /* in the third */
    party_step(&p);
    run_until(&w, has_read_ahead, &w);
    run_until(&w, looked_again, &looks);
    assert_int_equal(p.events, 600);
    assert_true(feed_bytes(w.feed) < 2600 * 1024); /* of 3,300 */
    p.paused = false;
    party_step(&p);
    run_until(&w, party_ended, &p);
    assert_int_equal(p.events, EVENTS);
    feed_reader_fini(&p.reader);
    teardown(&w);
}

struct both {
    struct party *party;
    struct world *world;
};

static bool reader_ended_and_tail_caught_up(void *arg) {
    struct both *b = arg;
    return party_ended(b->party) && world_caught_up(b->world);
}

static void the_tail_goes_on_while_a_reader_comes_from_far_behind(void **state) {
    struct world w;
    struct party p;
    (void)state;
    setup_tail(&w);
    party_init(&p, &w, 0, NULL);
    party_step(&p);
    for (int i = 0; i < 100; i++)
        write_event(&w, FEED_A, "new", 10);
    flush(&w);
    run_until(&w, reader_ended_and_tail_caught_up, &(struct both){&p, &w});
    assert_int_equal(w.appended, 100);
    assert_int_equal(w.last_appended, EVENTS + 100);
    p.ended = false;
    party_step(&p);
    assert_true(p.ended);
    assert_int_equal(p.events, EVENTS + 100);
    feed_reader_fini(&p.reader);
    teardown(&w);
}

static bool party_paused(void *arg) { return ((struct party *)arg)->paused; }

/* Like lanes with slow endpoints: each reads one event, then the others get a turn. */
static void more_readers_than_large_chunks_in_the_cache_read_little_more_than_they_take(
    void **state) {
    enum { PARTIES = 40, APART = EVENTS / PARTIES, EACH = 30 };
    struct world w;
    struct party parties[PARTIES];
    (void)state;
    setup_tail(&w);
    for (int i = 0; i < PARTIES; i++)
        party_init(&parties[i], &w, i * APART, NULL);
    for (int round = 1; round <= EACH; round++) {
        for (int i = 0; i < PARTIES; i++) {
            parties[i].paused = false;
            parties[i].pause_after = round;
            party_step(&parties[i]);
            run_until(&w, party_paused, &parties[i]);
        }
    }
    assert_in_range(feed_counts(w.feed).bytes, PARTIES * EACH * EVENT_BYTES / 2,
                    PARTIES * EACH * EVENT_BYTES * 4);
    assert_int_equal(w.crowded, 0);
    for (int i = 0; i < PARTIES; i++)
        feed_reader_fini(&parties[i].reader);
    teardown(&w);
}

static void an_event_of_another_feed_at_the_tail_breaks_it(void **state) {
    struct world w;
    (void)state;
    setup(&w);
    write_genesis(&w, FEED_A);
    write_event(&w, FEED_A, "t", 10);
    open_feed(&w, FEED_A, MIB);
    run_until(&w, world_sure, &w);
    write_event(&w, FEED_B, "t", 10);
    run_until(&w, world_broken, &w);
    assert_int_equal(w.appended, 0);
    assert_non_null(strstr(w.reason, "cursor 2"));
    teardown(&w);
}

static void a_tail_that_begins_in_the_past_skips_strays_but_none_that_come_later(void **state) {
    struct world w;
    (void)state;
    setup(&w);
    write_genesis(&w, FEED_A);
    for (int i = 1; i <= 20; i++)
        write_event(&w, i % 5 == 0 ? FEED_B : FEED_A, "t", 10);
    open_feed_from(&w, FEED_A, MIB, 3);
    run_until(&w, world_caught_up, &w);
    assert_int_equal(w.appended, 13);
    assert_int_equal(w.foreign, 4);
    assert_int_equal(w.broken, 0);
    write_event(&w, FEED_B, "t", 10);
    run_until(&w, world_broken, &w);
    teardown(&w);
}

static void an_empty_log_that_another_genesis_began_breaks_it(void **state) {
    struct world w;
    (void)state;
    setup(&w);
    write_genesis(&w, FEED_B);
    open_feed(&w, FEED_A, MIB);
    run_until(&w, world_broken, &w);
    teardown(&w);
}

static void what_ess_did_not_write_and_a_second_genesis_are_skipped_at_the_tail(void **state) {
    struct world w;
    (void)state;
    setup(&w);
    write_genesis(&w, FEED_A);
    open_feed(&w, FEED_A, MIB);
    run_until(&w, world_sure, &w);
    write_genesis(&w, FEED_B);
    write_record(&w, span_of("key"), "hello", 5, rd_kafka_headers_new(1));
    write_event(&w, FEED_A, "t", 10);
    flush(&w);
    run_until(&w, world_caught_up, &w);
    assert_int_equal(w.appended, 1);
    assert_int_equal(w.last_appended, 3);
    assert_int_equal(w.foreign, 1);
    assert_int_equal(w.broken, 0);
    teardown(&w);
}

static void a_lost_broker_makes_the_feed_unsure_until_it_has_read_its_newest_record_again(
    void **state) {
    struct world w;
    struct party p;
    (void)state;
    setup_tail(&w);
    rd_kafka_mock_broker_set_down(w.mock, 1);
    run_until(&w, world_unsure, &w);
    party_init(&p, &w, 0, NULL); /* nothing may be read before the feed is sure */
    party_step(&p);
    assert_int_equal(p.events, 0);
    rd_kafka_mock_broker_set_up(w.mock, 1);
    run_until(&w, world_sure, &w);
    write_event(&w, FEED_A, "t", 10);
    flush(&w);
    run_until(&w, reader_ended_and_tail_caught_up, &(struct both){&p, &w});
    assert_int_equal(w.appended, 1);
    assert_int_equal(w.broken, 0);
    feed_reader_fini(&p.reader);
    teardown(&w);
}

/* A reader that asks once, for the first event. */
struct first_reader {
    struct world *world;
    struct feed_reader reader;
    enum feed_result result;
};

static void first_step(void *arg) {
    struct first_reader *f = arg;
    struct feed_event event;
    struct feed_passed passed;
    f->result = feed_next(f->world->feed, &f->reader, 0, &event, &passed);
}

static bool first_is_read(void *arg) { return ((struct first_reader *)arg)->result != FEED_LATER; }

static void an_event_of_a_later_version_stops_a_reader_with_a_filter_too(void **state) {
    struct world w;
    struct first_reader f = {.world = &w};
    struct subscription s = {0};
    struct error err;
    rd_kafka_headers_t *headers = rd_kafka_headers_new(4);
    (void)state;
    setup(&w);
    write_genesis(&w, FEED_A);
    rd_kafka_header_add(headers, "ess-v", -1, "2", -1);
    rd_kafka_header_add(headers, "ess-feed", -1, FEED_A, -1);
    rd_kafka_header_add(headers, "ess-topic", -1, "t", -1);
    rd_kafka_header_add(headers, "ess-id", -1, "x", -1);
    write_record(&w, span_of("t"), "?", 1, headers);
    write_event(&w, FEED_A, "t", 10);
    open_feed(&w, FEED_A, MIB);
    subscription_add(&s, "t");
    assert_int_equal(subscription_set_filter(&s, span_of("{\"data\":[\"y\"]}"), &err), 0);
    feed_reader_init(&f.reader, &s, first_step, &f);
    first_step(&f);
    run_until(&w, first_is_read, &f);
    assert_int_equal(f.result, FEED_NEWER);
    feed_reader_fini(&f.reader);
    subscription_fini(&s);
    teardown(&w);
}

static bool world_believes(void *arg) {
    struct world *w = arg;
    return !w->feed->health.suspected;
}

static bool world_silence_noted(void *arg) {
    struct world *w = arg;
    return w->feed->health.silence[0];
}

static bool world_believes_or_broken(void *arg) { return world_believes(arg) || world_broken(arg); }

/* A leader that has just been elected reports an end below its real end to fetches, for a
 * moment. */
static void an_end_below_what_was_read_is_believed_only_when_the_leader_confirms_it(void **state) {
    struct world w;
    (void)state;
    setup_tail(&w);
    feed_health_suspect(&w.feed->health);
    assert_int_equal(w.broken, 0);
    run_until(&w, world_believes, &w);
    write_event(&w, FEED_A, "t", 10);
    flush(&w);
    run_until(&w, world_caught_up, &w);
    assert_int_equal(w.broken, 0);
    teardown(&w);
}

/* Nothing else asks again: until an answer is here the tail must not stay suspected. */
static void a_leader_that_does_not_answer_is_asked_again(void **state) {
    enum { LIST_OFFSETS = 2 };
    struct world w;
    (void)state;
    setup_tail(&w);
    rd_kafka_mock_push_request_errors(w.mock, LIST_OFFSETS, 2,
                                      RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
                                      RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    feed_health_suspect(&w.feed->health);
    run_until(&w, world_silence_noted, &w);
    assert_true(w.feed->health.suspected);
    run_until(&w, world_believes_or_broken, &w);
    assert_int_equal(w.broken, 0);
    teardown(&w);
}

/* The leader's answer is late, and the tail reads on before the answer is here. */
static void what_is_read_after_the_leader_was_asked_does_not_break_the_feed(void **state) {
    enum { LIST_OFFSETS = 2, LATE_MS = 300 };
    struct world w;
    (void)state;
    setup_tail(&w);
    rd_kafka_mock_broker_push_request_error_rtts(w.mock, 1, LIST_OFFSETS, 1,
                                                 RD_KAFKA_RESP_ERR_NO_ERROR, LATE_MS);
    feed_health_suspect(&w.feed->health);
    write_event(&w, FEED_A, "t", 10);
    flush(&w);
    run_until(&w, world_caught_up, &w);
    run_until(&w, world_believes_or_broken, &w);
    assert_int_equal(w.broken, 0);
    teardown(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reader_from_the_beginning_gets_every_event_in_order_and_then_the_end),
        cmocka_unit_test(a_reader_of_one_topic_gets_its_events_and_passes_all_others),
        cmocka_unit_test(readers_at_one_place_share_its_chunks_and_the_second_waits_for_none),
        cmocka_unit_test(many_readers_at_many_places_stay_within_one_bound_of_memory),
        cmocka_unit_test(a_few_chunks_are_read_ahead_of_one_who_reads_on_and_no_more),
        cmocka_unit_test(the_tail_goes_on_while_a_reader_comes_from_far_behind),
        cmocka_unit_test(
            more_readers_than_large_chunks_in_the_cache_read_little_more_than_they_take),
        cmocka_unit_test(an_event_of_another_feed_at_the_tail_breaks_it),
        cmocka_unit_test(a_tail_that_begins_in_the_past_skips_strays_but_none_that_come_later),
        cmocka_unit_test(an_empty_log_that_another_genesis_began_breaks_it),
        cmocka_unit_test(what_ess_did_not_write_and_a_second_genesis_are_skipped_at_the_tail),
        cmocka_unit_test(
            a_lost_broker_makes_the_feed_unsure_until_it_has_read_its_newest_record_again),
        cmocka_unit_test(an_event_of_a_later_version_stops_a_reader_with_a_filter_too),
        cmocka_unit_test(an_end_below_what_was_read_is_believed_only_when_the_leader_confirms_it),
        cmocka_unit_test(a_leader_that_does_not_answer_is_asked_again),
        cmocka_unit_test(what_is_read_after_the_leader_was_asked_does_not_break_the_feed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
