/* The producer on librdkafka's mock broker: every record is reported once, whatever happens to the
 * broker and the handle. */
#include "common/kafka/producer.h"

#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "feed_world.h"

enum { MANY = 500, TIMEOUT_MS = 1500 };

struct sent {
    struct append append;
    unsigned reports;
    enum producer_fate fate;
    int64_t offset;
    enum producer_flaw flaw;
};

static struct world world;
static struct producer *producer;
static struct sent sent[MANY];
static size_t count, replaced, ups, downs;
static int64_t last_pause_ms;

static void on_report(struct append *append, const struct producer_report *report) {
    struct sent *s = (struct sent *)append;
    s->reports++;
    s->fate = report->fate;
    s->offset = report->offset;
    s->flaw = report->flaw;
    assert_true((report->fate == PRODUCER_WRITTEN) == (report->offset >= 0));
    assert_true((report->fate == PRODUCER_WRITTEN) == (report->reason == NULL));
}

static void on_link(void *arg, bool up) {
    (void)arg;
    ups += up;
    downs += !up;
}

static void on_replaced(void *arg, const char *reason, int64_t pause_ms) {
    (void)arg;
    assert_non_null(strstr(reason, "broken by a test"));
    replaced++;
    last_pause_ms = pause_ms;
}

static bool send_one(void) {
    struct error err;
    const struct producer_record record = {
        .topic = "ess.events", .partition = 0, .key = span_of("k"), .value = span_of("value")};
    assert_true(count < MANY);
    sent[count] = (struct sent){.append.reported = on_report, .offset = -1};
    if (producer_send(producer, &record, &sent[count].append, &err)) {
        assert_true(*err.message);
        return false;
    }
    count++;
    return true;
}

static bool all_reported(void *arg) {
    (void)arg;
    return producer_pending(producer) == 0;
}

static bool was_replaced(void *arg) { return replaced == *(const size_t *)arg; }
static bool is_up(void *arg) { return ups == *(const size_t *)arg; }
static bool is_down(void *arg) { return downs == *(const size_t *)arg; }

/* Returns how many of the first `n` records were written. Their offsets must rise. */
static size_t check_reports(size_t n) {
    size_t written = 0;
    int64_t last = -1;
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(sent[i].reports, 1);
        if (sent[i].fate != PRODUCER_WRITTEN)
            continue;
        assert_true(sent[i].offset > last);
        last = sent[i].offset;
        written++;
    }
    return written;
}

static int begin(void **state) {
    struct error err;
    (void)state;
    setup(&world);
    count = replaced = ups = downs = 0;
    const struct producer_options options = {.kafka = &world.config,
                                             .timeout_ms = TIMEOUT_MS,
                                             .queue_bytes = 1024 * 1024,
                                             .link = on_link,
                                             .replaced = on_replaced};
    producer = producer_new(world.loop, &options, &err);
    if (producer)
        producer_warm(producer, "ess.events");
    return producer ? 0 : -1;
}

static int end(void **state) {
    (void)state;
    producer_stop(producer, 1000);
    producer_free(producer);
    teardown(&world);
    return 0;
}

static void records_are_reported_in_their_order(void **state) {
    (void)state;
    for (int i = 0; i < 100; i++)
        assert_true(send_one());
    run_until(&world, all_reported, NULL);
    assert_int_equal(check_reports(count), 100);
    assert_int_equal(sent[99].offset, 99);
    assert_true(ups == 1 && downs == 0);
}

static void a_handle_that_goes_fatal_is_replaced_and_nothing_is_reported_twice_or_never(
    void **state) {
    (void)state;
    for (size_t round = 1; round <= 3; round++) {
        for (int i = 0; i < 50; i++)
            assert_true(send_one());
        producer_break(producer);
        run_until(&world, was_replaced, &round);
        run_until(&world, all_reported, NULL);
        size_t before = count;
        assert_true(send_one());
        run_until(&world, all_reported, NULL);
        assert_int_equal(sent[before].fate, PRODUCER_WRITTEN);
    }
    check_reports(count);
}

static void one_that_goes_fatal_while_idle_is_replaced_too(void **state) {
    size_t once = 1;
    (void)state;
    assert_true(send_one());
    run_until(&world, all_reported, NULL);
    producer_break(producer);
    run_until(&world, was_replaced, &once);
    assert_true(send_one());
    run_until(&world, all_reported, NULL);
    assert_int_equal(check_reports(count), 2);
}

/* Sends one more record after each report, until one is written. */
static bool wrote_again(void *arg) {
    (void)arg;
    if (producer_pending(producer))
        return false;
    if (count > 1 && sent[count - 1].fate == PRODUCER_WRITTEN)
        return true;
    send_one();
    return false;
}

/* Below the lowest free descriptor, all are taken. */
static void forbid_descriptors(struct rlimit limit) {
    int lowest = dup(STDIN_FILENO);
    close(lowest);
    limit.rlim_cur = (rlim_t)lowest;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* The old handle's threads may close a descriptor first, which the successor then takes: another
 * round. */
static void a_handle_that_gets_no_descriptor_is_made_again(void **state) {
    enum { ROUNDS_MAX = 10 };
    struct rlimit usual;
    size_t round = 0;
    bool replaced_without = false;
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &usual), 0);
    while (!replaced_without && round++ < ROUNDS_MAX) {
        assert_true(send_one());
        run_until(&world, all_reported, NULL);
        forbid_descriptors(usual);
        producer_break(producer);
        run_until(&world, was_replaced, &round);
        replaced_without = !send_one();
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &usual), 0);
        run_until(&world, wrote_again, NULL);
    }
    assert_true(replaced_without);
    assert_int_equal(check_reports(count), 2 * round);
}

static void while_the_broker_is_away_records_fail_in_time_and_then_it_goes_on(void **state) {
    size_t once = 1, twice = 2;
    (void)state;
    run_until(&world, is_up, &once);
    rd_kafka_mock_broker_set_down(world.mock, 1);
    run_until(&world, is_down, &once);
    int64_t began_ms = clock_ms();
    assert_true(send_one());
    run_until(&world, all_reported, NULL);
    assert_int_equal(sent[0].fate, PRODUCER_REJECTED); /* never sent */
    assert_true(clock_ms() - began_ms >= TIMEOUT_MS - 100);
    rd_kafka_mock_broker_set_up(world.mock, 1);
    run_until(&world, is_up, &twice);
    assert_true(send_one());
    run_until(&world, all_reported, NULL);
    assert_int_equal(sent[1].fate, PRODUCER_WRITTEN);
}

static void what_waits_is_bounded(void **state) {
    (void)state;
    size_t fit = 0;
    char large[100 * 1024];
    struct error err;
    memset(large, 'x', sizeof large);
    const struct producer_record record = {
        .topic = "ess.events", .partition = 0, .key = span_of("k"), .value = {large, sizeof large}};
    rd_kafka_mock_broker_set_down(world.mock, 1);
    sent[0] = (struct sent){.append.reported = on_report};
    while (producer_send(producer, &record, &sent[0].append, &err) == 0)
        fit++;
    assert_in_range(fit, 8, 10); /* of a MiB */
    assert_int_equal(producer_pending(producer), fit);
    run_until(&world, all_reported, NULL);
    assert_int_equal(sent[0].reports, fit);
    assert_int_equal(producer_send(producer, &record, &sent[0].append, &err), 0);
}

static bool may_write_again(void *arg) {
    (void)arg;
    return !producer_fault(producer);
}

/* producer_break does nothing during a pause. */
static bool broke_again(void *arg) {
    if (replaced < *(const size_t *)arg)
        producer_break(producer);
    return replaced >= *(const size_t *)arg;
}

/* Fails like a user without the right to make a producer id. */
static void one_that_goes_fatal_again_and_again_pauses_longer_and_longer_and_says_why(
    void **state) {
    (void)state;
    struct error err;
    const struct producer_record record = {
        .topic = "ess.events", .partition = 0, .key = span_of("k"), .value = span_of("v")};
    int64_t began_ms = clock_ms();
    for (size_t i = 1; i <= 3; i++) {
        run_until(&world, broke_again, &i);
        assert_int_equal(last_pause_ms, i == 1 ? 0 : i == 2 ? 500 : 1000);
        assert_true((producer_fault(producer) != NULL) == (i > 1));
    }
    assert_int_equal(producer_send(producer, &record, &sent[0].append, &err), -1);
    assert_non_null(strstr(err.message, "broken by a test"));
    assert_true(clock_ms() - began_ms >= 500);
    run_until(&world, may_write_again, NULL);
    assert_true(send_one());
    run_until(&world, all_reported, NULL);
    assert_int_equal(sent[0].fate, PRODUCER_WRITTEN);
}

static void a_record_that_kafka_never_takes_is_known_by_its_flaw(void **state) {
    (void)state;
    static const struct {
        rd_kafka_resp_err_t code;
        enum producer_flaw flaw;
    } answers[] = {
        {RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, PRODUCER_FLAW_SIZE},
        {RD_KAFKA_RESP_ERR_INVALID_RECORD, PRODUCER_FLAW_OTHER},
        {RD_KAFKA_RESP_ERR_POLICY_VIOLATION, PRODUCER_FLAW_OTHER},
        {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, PRODUCER_FLAW_NONE},
    };
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        rd_kafka_mock_push_request_errors(world.mock, 0 /* Produce */, 1, answers[i].code);
        assert_true(send_one());
        run_until(&world, all_reported, NULL);
        assert_int_equal(sent[i].fate, PRODUCER_REJECTED);
        assert_int_equal(sent[i].flaw, answers[i].flaw);
    }
}

static void the_end_reports_what_is_left(void **state) {
    (void)state;
    rd_kafka_mock_broker_set_down(world.mock, 1);
    assert_true(send_one());
    producer_stop(producer, 0);
    producer_free(producer);
    producer = NULL;
    assert_int_equal(sent[0].reports, 1);
    assert_int_not_equal(sent[0].fate, PRODUCER_WRITTEN);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(records_are_reported_in_their_order, begin, end),
        cmocka_unit_test_setup_teardown(
            a_handle_that_goes_fatal_is_replaced_and_nothing_is_reported_twice_or_never, begin,
            end),
        cmocka_unit_test_setup_teardown(one_that_goes_fatal_while_idle_is_replaced_too, begin, end),
        cmocka_unit_test_setup_teardown(a_handle_that_gets_no_descriptor_is_made_again, begin, end),
        cmocka_unit_test_setup_teardown(
            while_the_broker_is_away_records_fail_in_time_and_then_it_goes_on, begin, end),
        cmocka_unit_test_setup_teardown(what_waits_is_bounded, begin, end),
        cmocka_unit_test_setup_teardown(
            one_that_goes_fatal_again_and_again_pauses_longer_and_longer_and_says_why, begin, end),
        cmocka_unit_test_setup_teardown(a_record_that_kafka_never_takes_is_known_by_its_flaw, begin,
                                        end),
        cmocka_unit_test_setup_teardown(the_end_reports_what_is_left, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
