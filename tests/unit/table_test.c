/* Tables on librdkafka's mock broker: all or chosen partitions are read once, then followed. */
#include "common/kafka/table.h"

#include <string.h>

#include "feed_world.h"

enum { PARTITIONS = 4, RECORDS = 20, MORE = 5 };

static const char *const topics[] = {"ess.subscribers", "ess.tokens", NULL};

struct seen {
    struct table *table;
    int64_t next[2][PARTITIONS]; /* of each partition, as its records came */
    int ended[2][PARTITIONS];
    int loaded;
};

static struct world world;
static struct seen seen;

static void on_record(void *arg, const struct kafka_record *record) {
    struct seen *s = arg;
    int topic = record->topic == topics[1];
    assert_int_equal(record->offset, s->next[topic][record->partition]++);
    assert_true(span_equal(record->key, span_of("k")));
}

static void on_ended(void *arg, const char *topic, int32_t partition) {
    struct seen *s = arg;
    s->ended[topic == topics[1]][partition]++;
}

static void on_loaded(void *arg) { ((struct seen *)arg)->loaded++; }

static void on_failed(void *arg, const char *reason) {
    (void)arg;
    fail_msg("%s", reason);
}

static void write_one(const char *topic, int32_t partition) {
    assert_int_equal(rd_kafka_producev(world.writer, RD_KAFKA_V_TOPIC(topic),
                                       RD_KAFKA_V_PARTITION(partition), RD_KAFKA_V_KEY("k", 1),
                                       RD_KAFKA_V_VALUE((void *)(uintptr_t)"v", 1), RD_KAFKA_V_END),
                     0);
}

static void write_records(int count) {
    for (int i = 0; i < count; i++)
        for (int32_t p = 0; p < PARTITIONS; p++)
            for (int t = 0; t < 2; t++)
                write_one(topics[t], p);
    flush(&world);
}

static int begin(void **state) {
    (void)state;
    setup(&world);
    seen = (struct seen){.loaded = 0};
    rd_kafka_mock_topic_create(world.mock, topics[0], PARTITIONS, 1);
    rd_kafka_mock_topic_create(world.mock, topics[1], PARTITIONS, 1);
    write_records(RECORDS);
    return 0;
}

static int end(void **state) {
    (void)state;
    table_free(seen.table);
    teardown(&world);
    return 0;
}

static void open_table(bool chosen) {
    struct error err;
    const struct table_options options = {.kafka = &world.config,
                                          .topics = topics,
                                          .partitions = PARTITIONS,
                                          .chosen = chosen,
                                          .fetch_wait_ms = 10,
                                          .record = on_record,
                                          .loaded = on_loaded,
                                          .ended = on_ended,
                                          .failed = on_failed,
                                          .arg = &seen};
    seen.table = table_new(world.loop, &options, &err);
    assert_non_null(seen.table);
}

static void choose(bool a, bool b, bool c, bool d) {
    const bool chosen[PARTITIONS] = {a, b, c, d};
    struct error err;
    assert_int_equal(table_choose(seen.table, chosen, &err), 0);
}

static bool is_loaded(void *arg) { return seen.loaded == *(const int *)arg; }

static void run_until_loaded(int times) { run_until(&world, is_loaded, &times); }

/* What was read of partition `p` of both topics. */
static void expect(int32_t p, int64_t records, int ended) {
    for (int t = 0; t < 2; t++) {
        assert_int_equal(seen.next[t][p], records);
        assert_int_equal(seen.ended[t][p], ended);
    }
}

static bool all_followed(void *arg) {
    for (int32_t p = 0; p < PARTITIONS; p++)
        if (seen.next[0][p] < *(const int64_t *)arg || seen.next[1][p] < *(const int64_t *)arg)
            return false;
    return true;
}

static void test_all_is_read_to_its_end_and_then_followed(void **state) {
    int64_t all = RECORDS + MORE;
    (void)state;
    open_table(false);
    assert_false(table_loaded(seen.table));
    run_until_loaded(1);
    assert_true(table_loaded(seen.table));
    for (int32_t p = 0; p < PARTITIONS; p++)
        expect(p, RECORDS, 1);
    write_records(MORE);
    run_until(&world, all_followed, &all);
    assert_int_equal(seen.loaded, 1);
}

static void test_only_what_is_chosen_is_read(void **state) {
    (void)state;
    open_table(true);
    choose(false, true, true, false);
    run_until_loaded(1);
    expect(0, 0, 0);
    expect(1, RECORDS, 1);
    expect(2, RECORDS, 1);
    expect(3, 0, 0);
}

static void test_what_stays_chosen_goes_on_where_it_stands_and_its_end_is_told_again(void **state) {
    (void)state;
    open_table(true);
    choose(true, true, false, false);
    run_until_loaded(1);
    write_records(MORE);
    choose(false, true, true, false);
    run_until_loaded(2);
    assert_true(seen.next[0][0] <= RECORDS + MORE);
    expect(1, RECORDS + MORE, 2); /* on_record has seen each offset once */
    expect(2, RECORDS + MORE, 1);
    expect(3, 0, 0);
}

static void test_what_is_chosen_again_after_it_was_not_begins_at_its_beginning(void **state) {
    (void)state;
    open_table(true);
    choose(true, true, false, false);
    run_until_loaded(1);
    choose(false, true, false, false);
    run_until_loaded(2);
    memset(seen.next, 0, sizeof seen.next);
    seen.next[0][1] = seen.next[1][1] = RECORDS;
    choose(true, true, false, false);
    run_until_loaded(3);
    expect(0, RECORDS, 2);
    expect(1, RECORDS, 3);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(test_all_is_read_to_its_end_and_then_followed),
        CASE(test_only_what_is_chosen_is_read),
        CASE(test_what_stays_chosen_goes_on_where_it_stands_and_its_end_is_told_again),
        CASE(test_what_is_chosen_again_after_it_was_not_begins_at_its_beginning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
