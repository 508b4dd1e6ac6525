/* Acknowledgements on their way to Kafka: shared records, their pace, and what other ingests write
 * meanwhile. */
#include "ingest_world.h"

#include "ingest/registry/acknowledging.h"
#include "ingest/registry/subscriber_status.h"

#define FEED "0190b6a0-0000-4000-8000-00000000000f"

struct told {
    int count, refused;
};

static void on_done(void *arg, const char *refused) {
    struct told *told = arg;
    told->count++;
    told->refused += refused != NULL;
}

static int begin(void **state) {
    world_open(state);
    snprintf(world.ingest.service.genesis.feed, sizeof world.ingest.service.genesis.feed, FEED);
    world_register("a", BORN_A);
    return 0;
}

static int end(void **state) {
    acknowledging_end(&world.ingest);
    world_close(state);
    assert_null(world.ingest.acknowledging);
    return 0;
}

static bool acknowledge(int64_t cursor, struct told *told) {
    return acknowledging_add(&world.ingest, world_entry("a"), cursor, on_done, told);
}

/* Kafka confirms nothing until world.held is false again: the record is under way. */
static void acknowledge_unconfirmed(int64_t cursor, struct told *told) {
    world.held = true;
    acknowledge(cursor, told);
    world_settle();
}

static int64_t position(void) { return subscriber_status_position(world_entry("a"), NULL); }

/* Another ingest's record. */
static void another_writes(int64_t cursor, int64_t rewinds) {
    struct acknowledgement a = {.cursor = cursor, .rewinds = rewinds};
    struct buf value = {0};
    snprintf(a.registration_id, sizeof a.registration_id, BORN_A);
    snprintf(a.feed, sizeof a.feed, FEED);
    acknowledgement_to_json(&a, &value);
    world_write("a", "/ack", buf_string(&value));
    buf_fini(&value);
}

static void an_acknowledgement_is_answered_once_its_record_was_read(void **state) {
    struct told told = {0};
    (void)state;
    world.held = true;
    assert_int_equal(position(), 5);
    assert_true(acknowledge(9, &told));
    world_settle();
    assert_int_equal(told.count, 0);
    assert_int_equal(position(), 5);
    world.held = false;
    world_settle();
    assert_int_equal(told.count, 1);
    assert_int_equal(told.refused, 0);
    assert_int_equal(position(), 9);
    assert_null(world.ingest.acknowledging);
}

static void those_that_come_while_one_is_written_share_the_next_record(void **state) {
    struct told first = {0}, others = {0};
    (void)state;
    acknowledge_unconfirmed(6, &first);
    for (int64_t cursor = 30; cursor > 10; cursor--)
        acknowledge(cursor, &others);
    world.held = false;
    world_settle();
    assert_int_equal(first.count, 1);
    assert_int_equal(others.count, 20);
    assert_int_equal(world_records("a", "/ack"), 2);
    assert_int_equal(position(), 30);
}

static void in_the_long_run_twenty_records_a_second_are_written(void **state) {
    struct told told = {0};
    int64_t cursor = 5;
    (void)state;
    for (int ms = 0; ms < 10000; ms += 5) {
        if (told.count == cursor - 5) /* as soon as the one before is answered */
            acknowledge(++cursor, &told);
        world_ms += 5;
        world_settle();
    }
    assert_in_range(world_records("a", "/ack"), 200, 225);
    world_pass(1000); /* what still waits is answered while `told` is there */
    assert_int_equal(told.count, cursor - 5);
}

static void a_record_that_hides_a_higher_one_is_followed_by_the_higher_one(void **state) {
    struct told told = {0};
    (void)state;
    acknowledge_unconfirmed(9, &told);
    another_writes(40, 0);
    world.held = false;
    world_settle();
    assert_int_equal(told.count, 1);
    assert_int_equal(position(), 40);
    assert_non_null(strstr(world_value("a", "/ack"), "\"cursor\":40"));
    world_settle();
    assert_int_equal(world_records("a", "/ack"), 3);
}

static void one_from_before_a_rewind_hides_none_from_after_it(void **state) {
    struct told told = {0};
    (void)state;
    another_writes(7, 1); /* the rewind is not known here yet */
    acknowledge(60, &told);
    world_settle();
    assert_int_equal(told.count, 1);
    assert_non_null(strstr(world_value("a", "/ack"), "\"rewinds\":1,\"cursor\":7"));
}

static void a_refusal_by_kafka_is_told_to_all_that_wait(void **state) {
    struct told told = {0};
    (void)state;
    acknowledge_unconfirmed(9, &told);
    acknowledge(10, &told);
    world_report(PRODUCER_REJECTED, false);
    world.held = false;
    world_settle();
    assert_int_equal(told.refused, 2);
    assert_int_equal(position(), 5);
    assert_null(world.ingest.acknowledging);
}

static void nobody_waits_longer_than_five_seconds_for_kafka(void **state) {
    struct told told = {0};
    (void)state;
    acknowledge_unconfirmed(9, &told);
    acknowledge(10, &told);
    world_pass(5100);
    assert_int_equal(told.refused, 2);
    assert_false(acknowledge(11, &told));
    world.held = false;
    world_settle();
    assert_int_equal(told.count, 2);
    assert_int_equal(position(), 9); /* it came into force after all */
    assert_true(acknowledge(11, &told));
    world_settle();
    assert_int_equal(position(), 11);
}

static void a_record_behind_the_subscribers_deletion_is_erased(void **state) {
    struct told told = {0};
    (void)state;
    acknowledge_unconfirmed(9, &told);
    world_write("a", "", NULL);
    world.held = false;
    world_settle();
    assert_int_equal(told.count, 1);
    assert_null(world_value("a", "/ack"));
}

static void one_of_a_deleted_subscriber_is_not_written(void **state) {
    struct told told = {0};
    (void)state;
    acknowledge(9, &told);
    world_write("a", "", NULL);
    world_settle();
    assert_int_equal(told.count, 1);
    assert_int_equal(world_records("a", "/ack"), 0);
}

static void a_later_registration_does_not_inherit(void **state) {
    struct told told = {0};
    (void)state;
    acknowledge(9, &told);
    world_settle();
    world_write("a", "", NULL);
    another_writes(50, 0);
    world_register("a", BORN_B);
    assert_int_equal(position(), 5);
}

#define ack_test(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        ack_test(an_acknowledgement_is_answered_once_its_record_was_read),
        ack_test(those_that_come_while_one_is_written_share_the_next_record),
        ack_test(in_the_long_run_twenty_records_a_second_are_written),
        ack_test(a_record_that_hides_a_higher_one_is_followed_by_the_higher_one),
        ack_test(one_from_before_a_rewind_hides_none_from_after_it),
        ack_test(a_refusal_by_kafka_is_told_to_all_that_wait),
        ack_test(nobody_waits_longer_than_five_seconds_for_kafka),
        ack_test(a_record_behind_the_subscribers_deletion_is_erased),
        ack_test(one_of_a_deleted_subscriber_is_not_written),
        ack_test(a_later_registration_does_not_inherit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
