/* Ranges of a partition on librdkafka's mock broker, and appending a single record. */
#include "common/kafka/range.h"

#include "common/kafka/producer.h"
#include "feed_world.h"

enum { RECORDS = 20 };

struct reading {
    int64_t first, next, stop_at;
    int count;
};

static bool on_record(void *arg, const struct kafka_record *record) {
    struct reading *r = arg;
    if (r->count++ == 0)
        r->first = r->next = record->offset;
    assert_int_equal(record->offset, r->next++);
    assert_string_equal(record->topic, "ess.events");
    assert_int_equal(record->partition, 0);
    if (record->offset > 0)
        assert_true(span_equal(kafka_record_header(record, "ess-topic"), span_of("t")));
    assert_null(kafka_record_header(record, "no-such").data);
    return record->offset != r->stop_at;
}

static struct range *open_range(struct world *w) {
    struct error err;
    setup_log(w, RECORDS, 10);
    struct range *range = range_new(&w->config, &err);
    assert_non_null(range);
    return range;
}

static struct reading read_from(struct range *range, int64_t from, int64_t to, int64_t stop_at) {
    struct reading reading = {.first = -1, .stop_at = stop_at};
    struct error err;
    const struct kafka_position position = {"ess.events", 0, from};
    assert_int_equal(range_read(range, &position, to, on_record, &reading, &err), 0);
    return reading;
}

static void a_range_is_read_to_its_end_and_no_further(void **state) {
    struct world w;
    (void)state;
    struct range *range = open_range(&w);
    struct reading reading = read_from(range, 5, 9, -1);
    assert_true(reading.first == 5 && reading.count == 4);
    reading = read_from(range, 0, 1, -1); /* backwards on the same handle */
    assert_true(reading.first == 0 && reading.count == 1);
    range_free(range);
    teardown(&w);
}

static void a_range_ends_where_the_partition_does(void **state) {
    struct world w;
    (void)state;
    struct range *range = open_range(&w);
    struct reading reading = read_from(range, KAFKA_BEGINNING, INT64_MAX, -1);
    assert_true(reading.first == 0 && reading.count == RECORDS);
    range_free(range);
    teardown(&w);
}

static void a_reader_that_wants_no_more_gets_no_more(void **state) {
    struct world w;
    (void)state;
    struct range *range = open_range(&w);
    for (int64_t at = 3; at < 8; at++) {
        struct reading reading = read_from(range, at, INT64_MAX, at);
        assert_true(reading.first == at && reading.count == 1);
    }
    range_free(range);
    teardown(&w);
}

static void what_was_appended_for_once_lies_within_the_bounds(void **state) {
    struct world w;
    struct error err;
    int64_t first, next;
    (void)state;
    struct range *range = open_range(&w);
    assert_int_equal(range_bounds(range, "ess.events", 0, &first, &next, &err), 0);
    assert_true(first == 0 && next == RECORDS);
    const struct kafka_header headers[] = {{"ess-topic", span_of("t")}};
    const struct producer_record record = {.topic = "ess.events",
                                           .key = span_of("k"),
                                           .value = span_of("v"),
                                           .headers = headers,
                                           .headers_count = 1};
    assert_int_equal(producer_append_once(&w.config, &record, &err), 0);
    assert_int_equal(range_bounds(range, "ess.events", 0, &first, &next, &err), 0);
    assert_true(first == 0 && next == RECORDS + 1);
    struct reading reading = read_from(range, RECORDS, next, -1);
    assert_true(reading.first == RECORDS && reading.count == 1);
    range_free(range);
    teardown(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_range_is_read_to_its_end_and_no_further),
        cmocka_unit_test(a_range_ends_where_the_partition_does),
        cmocka_unit_test(a_reader_that_wants_no_more_gets_no_more),
        cmocka_unit_test(what_was_appended_for_once_lies_within_the_bounds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
