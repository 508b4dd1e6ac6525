/* Positions resolved to cursors: at once, by the broker, and the client's answer while the broker
 * is silent. */
#include "ingest_world.h"

#include <inttypes.h>

#include "common/json/json_scan.h"

struct told {
    int count;
    int64_t cursors[POSITIONS_MAX];
    bool refused;
    char field[96], message[416];
};

static void on_resolved(void *arg, const struct position *positions, const struct error *refused) {
    struct told *told = arg;
    told->count++;
    told->refused = refused;
    snprintf(told->field, sizeof told->field, "%s", refused ? refused->field : "");
    snprintf(told->message, sizeof told->message, "%s", refused ? refused->message : "");
    for (int i = 0; i < POSITIONS_MAX && !refused; i++)
        told->cursors[i] = positions[i].value;
}

static void ask(struct told *told, struct position first) {
    const struct position positions[POSITIONS_MAX] = {first};
    *told = (struct told){0};
    positions_resolve(&world.ingest, positions, 1, on_resolved, told);
}

static void ask_two(struct told *told, struct position first, struct position second) {
    const struct position positions[POSITIONS_MAX] = {first, second};
    *told = (struct told){0};
    positions_resolve(&world.ingest, positions, 2, on_resolved, told);
}

static struct position cursor(int64_t value) {
    return (struct position){.field = "from", .value = value};
}

static struct position at(int64_t wall_ms) {
    return (struct position){.field = "to", .value = wall_ms, .is_time = true};
}

static bool is_told(void *arg) { return ((struct told *)arg)->count; }

/* Sets the ends of the log that this ingest and the broker know. */
static void read_to(int64_t end, int64_t broker_end) {
    while (fake_feed.end < end)
        fake_event("drug.copay", 1);
    world.log_end = broker_end + 1;
}

static void test_a_cursor_that_was_read_is_known_at_once(void **state) {
    struct told told;
    (void)state;
    read_to(10, 10);
    ask(&told, cursor(10));
    assert_int_equal(told.count, 1);
    assert_int_equal(told.cursors[0], 10);
    assert_int_equal(world.asked, 0);
}

static void test_a_cursor_that_only_the_broker_has_is_asked_for(void **state) {
    struct told told;
    (void)state;
    read_to(10, 12);
    ask(&told, cursor(12));
    assert_int_equal(told.count, 0);
    world_until(is_told, &told);
    assert_false(told.refused);
    assert_int_equal(told.cursors[0], 12);
}

static void test_a_cursor_beyond_the_brokers_end_is_refused(void **state) {
    struct told told;
    (void)state;
    read_to(10, 12);
    ask(&told, cursor(13));
    world_until(is_told, &told);
    assert_string_equal(told.field, "from");
    assert_string_equal(told.message, "from: 13 is beyond the end of the log, 12");
}

static void test_a_time_is_the_position_before_the_first_event_from_then_on(void **state) {
    struct told told;
    (void)state;
    read_to(10, 10);
    ask_two(&told, at(3000), at(3001));
    world_until(is_told, &told);
    assert_int_equal(told.cursors[0], 2); /* the event of 3000 follows */
    assert_int_equal(told.cursors[1], 3);
}

static void test_a_time_after_all_events_is_the_end(void **state) {
    struct told told;
    (void)state;
    read_to(10, 12);
    ask(&told, at(clock_wall_ms()));
    world_until(is_told, &told);
    assert_int_equal(told.cursors[0], 12);
}

static void test_the_end_is_never_below_what_was_read(void **state) {
    struct told told;
    (void)state;
    read_to(10, 10);
    struct position end = position_end(&world.ingest, "from");
    world.log_end = 8; /* the answer of a broker whose clock is slow */
    ask(&told, end);
    world_until(is_told, &told);
    assert_int_equal(told.cursors[0], 10);
}

static void test_a_time_in_the_future_is_refused_beyond_what_clocks_differ(void **state) {
    struct told told;
    (void)state;
    ask(&told, at(clock_wall_ms() + 59000));
    world_until(is_told, &told);
    assert_false(told.refused);
    ask(&told, at(clock_wall_ms() + 61000));
    world_until(is_told, &told);
    assert_string_equal(told.field, "to");
    assert_string_equal(told.message, "to: is in the future");
}

static void test_a_broker_that_fails_blames_no_field(void **state) {
    struct told told;
    (void)state;
    world.fails = true;
    ask(&told, at(1000));
    world_until(is_told, &told);
    assert_true(told.refused);
    assert_string_equal(told.field, "");
    assert_string_equal(told.message, "no broker answers");
}

static void test_a_silent_broker_is_waited_for_no_longer_than_5_s(void **state) {
    struct told told, other;
    (void)state;
    world.silent = true;
    ask(&told, at(1000));
    world_pass(3000);
    ask(&other, at(1000)); /* while the first query is open */
    world_pass(1900);
    assert_int_equal(told.count, 0);
    world_pass(200);
    assert_int_equal(told.count, 1);
    assert_true(told.refused);
    assert_string_equal(told.field, "");
    assert_int_equal(other.count, 0); /* every query has a deadline of its own */
    world_pass(3000);
    assert_true(other.count == 1 && other.refused);
}

static void test_an_answer_that_comes_too_late_finds_nobody_and_the_next_is_asked_for(
    void **state) {
    struct told late, told;
    (void)state;
    read_to(10, 10);
    world.silent = true;
    ask(&late, at(3000));
    world_pass(5100);
    ask(&told, at(4000));
    world.silent = false;
    world_until(is_told, &told);
    assert_int_equal(late.count, 1);
    assert_int_equal(told.cursors[0], 3);
}

static void test_a_new_subscriber_begins_where_its_spec_says(void **state) {
    (void)state;
    read_to(10, 10);
    struct position position = position_of_spec(&world.ingest,
                                                &(struct spec){.from = SPEC_FROM_END});
    assert_true(position.is_time && position.least == 10 && position.value == clock_wall_ms() + 1);
    position = position_of_spec(&world.ingest, &(struct spec){.from = SPEC_FROM_BEGINNING});
    assert_true(!position.is_time && position.value == 0);
    position = position_of_spec(&world.ingest,
                                &(struct spec){.from = SPEC_FROM_CURSOR, .from_value = 7});
    assert_true(!position.is_time && position.value == 7);
    position = position_of_spec(&world.ingest,
                                &(struct spec){.from = SPEC_FROM_TIME, .from_value = 1234});
    assert_true(position.is_time && position.value == 1234 && position.least == 0);
}

static int parse(const char *text, bool string, unsigned kinds, struct position *position) {
    const struct json_member member = {.kind = string ? JSON_IS_STRING : JSON_IS_NUMBER,
                                       .value = span_of(text)};
    struct error err;
    return position_parse(position, "from", &member, kinds, &err);
}

static void test_a_position_is_a_cursor_or_a_time_where_both_are_allowed(void **state) {
    const unsigned both = POSITION_CURSOR | POSITION_TIME;
    struct position position;
    (void)state;
    assert_int_equal(parse("42", false, both, &position), 0);
    assert_true(!position.is_time && position.value == 42);
    assert_int_equal(parse("\"1970-01-01T00:00:01Z\"", true, both, &position), 0);
    assert_true(position.is_time && position.value == 1000);
    assert_int_equal(parse("42", false, POSITION_TIME, &position), -1);
    assert_int_equal(parse("\"1970-01-01T00:00:01Z\"", true, POSITION_CURSOR, &position), -1);
    assert_int_equal(parse("-1", false, both, &position), -1);
    assert_int_equal(parse("1.5", false, both, &position), -1);
    assert_int_equal(parse("\"yesterday\"", true, both, &position), -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        world_test(test_a_cursor_that_was_read_is_known_at_once),
        world_test(test_a_cursor_that_only_the_broker_has_is_asked_for),
        world_test(test_a_cursor_beyond_the_brokers_end_is_refused),
        world_test(test_a_time_is_the_position_before_the_first_event_from_then_on),
        world_test(test_a_time_after_all_events_is_the_end),
        world_test(test_the_end_is_never_below_what_was_read),
        world_test(test_a_time_in_the_future_is_refused_beyond_what_clocks_differ),
        world_test(test_a_broker_that_fails_blames_no_field),
        world_test(test_a_silent_broker_is_waited_for_no_longer_than_5_s),
        world_test(test_an_answer_that_comes_too_late_finds_nobody_and_the_next_is_asked_for),
        world_test(test_a_new_subscriber_begins_where_its_spec_says),
        world_test(test_a_position_is_a_cursor_or_a_time_where_both_are_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
