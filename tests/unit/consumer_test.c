/* Assignments of a consumer on librdkafka's mock broker: a new assignment arrives before the
 * consumer has begun to read, or while it reads. */
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "common/kafka/consumer.h"
#include "feed_world.h"

enum {
    RECORDS = 20,
    TIMES = 3000,
    JUMPS = 20,
    TAKEN_AT_A_PLACE = 5,
    PLACES = 1000,
    FILL_US = 5000,
    STALL_MS = 1000
};

struct seen {
    struct world *world;
    struct consumer *consumer;
    int64_t first, count;
    bool ended;
};

static void on_record(void *arg, const struct kafka_record *record) {
    struct seen *seen = arg;
    if (seen->count++ == 0)
        seen->first = record->offset;
}

static void on_end(void *arg, const char *topic, int32_t partition, int64_t offset) {
    struct seen *seen = arg;
    (void)topic, (void)partition, (void)offset;
    seen->ended = true;
}

static void on_failed(void *arg, const char *topic, enum consumer_fault fault, const char *reason) {
    (void)topic;
    (void)arg, (void)fault;
    fail_msg("%s", reason);
}

static bool has_ended(void *arg) { return ((struct seen *)arg)->ended; }

static void open_consumer(struct seen *seen, struct world *w) {
    struct error err;
    const struct consumer_options options = {.kafka = &w->config,
                                             .fetch_wait_ms = 10,
                                             .queue_kib = 64,
                                             .record = on_record,
                                             .end = on_end,
                                             .failed = on_failed,
                                             .arg = seen};
    *seen = (struct seen){
        .world = w, .consumer = consumer_new(w->loop, &options, &err), .first = -1};
    assert_non_null(seen->consumer);
}

static void assign(struct seen *seen, int64_t offset) {
    struct error err;
    assert_int_equal(consumer_assign(seen->consumer, "ess.events", 0, offset, &err), 0);
}

static void assignments_at_once_leave_the_last_one_in_force(void **state) {
    struct world w;
    struct seen seen;
    (void)state;
    setup_log(&w, RECORDS, 10);
    open_consumer(&seen, &w);
    for (int i = 0; i < TIMES; i++) {
        assign(&seen, i % RECORDS);
        if (i % 7 == 0)
            consumer_unassign(seen.consumer);
    }
    assign(&seen, 5);
    run_until(&w, has_ended, &seen);
    assert_int_equal(seen.first, 5);
    assert_int_equal(seen.count, RECORDS - 5);
    assign(&seen, 0); /* freed while the assignment takes effect */
    assign(&seen, 1);
    consumer_free(seen.consumer);
    teardown(&w);
}

/* --- jumps back and forth */

struct jumper {
    struct seen seen;
    int jumps, taken;
    int64_t next;
};

static void jump(struct jumper *j) {
    j->next = j->jumps++ % 2 * PLACES;
    j->taken = 0;
    assign(&j->seen, j->next);
}

/* Takes a few records, then waits so that librdkafka fetches as much as it may before the next
 * jump. */
static void on_record_at_a_place(void *arg, const struct kafka_record *record) {
    struct jumper *j = arg;
    assert_int_equal(record->offset, j->next);
    j->next++;
    usleep(FILL_US);
    if (++j->taken == TAKEN_AT_A_PLACE)
        jump(j);
}

static bool has_jumped(void *arg) { return ((struct jumper *)arg)->jumps > JUMPS; }

static void a_jump_from_where_all_was_fetched_that_may_be_takes_no_second(void **state) {
    struct world w;
    struct jumper j = {.jumps = 0};
    struct error err;
    (void)state;
    setup_log(&w, 2 * PLACES, 1000);
    const struct consumer_options options = {.kafka = &w.config,
                                             .fetch_wait_ms = 10,
                                             .queue_kib = 64,
                                             .record = on_record_at_a_place,
                                             .end = on_end,
                                             .failed = on_failed,
                                             .arg = &j};
    j.seen.consumer = consumer_new(w.loop, &options, &err);
    assert_non_null(j.seen.consumer);
    jump(&j);
    int64_t began_ms = clock_ms();
    run_until(&w, has_jumped, &j);
    assert_in_range(clock_ms() - began_ms, 0, JUMPS * STALL_MS / 3);
    consumer_free(j.seen.consumer);
    teardown(&w);
}

/* --- lost connections */

static atomic_int failures_logged;

static void on_kafka_log(void *arg, int level, const char *text) {
    (void)arg, (void)level;
    if (strstr(text, "SASL"))
        atomic_fetch_add(&failures_logged, 1);
}

static bool has_failed(void *arg) { return atomic_load((atomic_int *)arg) > 0; }
static bool looked_often(void *arg) { return ++*(int *)arg > 100; }

static void a_connection_that_is_not_authenticated_is_not_a_log_that_cannot_be_read(void **state) {
    static char protocol[] = "security.protocol", mechanism[] = "sasl.mechanism",
                user[] = "sasl.username", password[] = "sasl.password", sasl[] = "sasl_plaintext",
                plain[] = "PLAIN", nobody[] = "nobody";
    int looks = 0;
    char *names[] = {protocol, mechanism, user, password},
         *values[] = {sasl, plain, nobody, nobody};
    struct world w;
    struct seen seen;
    (void)state;
    setup(&w);
    w.config.rdkafka = (struct option_map){.names = names, .values = values, .count = 4};
    w.config.log = on_kafka_log;
    open_consumer(&seen, &w); /* fails the test on a lasting fault */
    assign(&seen, 0);
    run_until(&w, has_failed, &failures_logged);
    run_until(&w, looked_often, &looks);
    consumer_free(seen.consumer);
    teardown(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(assignments_at_once_leave_the_last_one_in_force),
        cmocka_unit_test(a_jump_from_where_all_was_fetched_that_may_be_takes_no_second),
        cmocka_unit_test(a_connection_that_is_not_authenticated_is_not_a_log_that_cannot_be_read)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
