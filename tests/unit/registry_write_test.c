/* Registry writes: when a write is done, which records overtake the write, and the end when Kafka
 * is slow, away, or silent about a record. */
#include "ingest_world.h"

#include "ingest/registry/registry_writer.h"

/* The callbacks of one write. */
struct told {
    int late, done;
    enum registry_write_fate fate;
    int64_t generation;
    bool keys_overtaken, spec_overtaken;
    char reason[100];
};

static void on_late(void *arg) { ((struct told *)arg)->late++; }

static void on_done(void *arg, const struct registry_write_result *result) {
    struct told *told = arg;
    told->done++;
    told->fate = result->fate;
    told->generation = result->generation;
    told->keys_overtaken = result->keys_overtaken;
    told->spec_overtaken = result->spec_overtaken;
    snprintf(told->reason, sizeof told->reason, "%s", result->reason ? result->reason : "");
}

static void send_off(struct registry_write *write, struct told *told) {
    *told = (struct told){0};
    registry_write_send(write, on_late, on_done, told);
    assert_int_equal(told->done, 0); /* never from within the call */
}

/* Its records, and all that are sent later, stay on their way until world_report. */
static void send_held(struct registry_write *write, struct told *told) {
    world.held = true;
    send_off(write, told);
}

static struct registry_write *new_write(void) {
    return registry_write_new(&world.ingest, "a", "", -1);
}

static struct registry_write *command(const char *key) {
    struct registry_write *write = new_write();
    registry_write_add(write, key, span_of("{\"v\":1}"));
    return write;
}

/* A write of new keys for the subscriber `a`, based on the entry's present keys. */
static struct registry_write *keys_change(const char *secret) {
    const struct registry_entry *entry = world_entry("a");
    struct registry_write *write = registry_write_new(&world.ingest, "a", entry->registration_id,
                                                      entry->keys_offset);
    struct subscriber_keys keys = {.secret = (char *)(uintptr_t)secret};
    memcpy(keys.registration_id, entry->registration_id, sizeof keys.registration_id);
    registry_writer_add_keys(&world.ingest, write, "a", &keys);
    return write;
}

static struct registry_write *spec_write(const char *topic) {
    const struct registry_entry *entry = world_entry("a");
    struct registry_write *write = registry_write_new(&world.ingest, "a", entry->registration_id,
                                                      entry->keys_offset);
    struct spec spec;
    world_spec(&spec, "a", topic);
    struct subscriber_record record = registry_writer_record(entry, &spec);
    registry_writer_add_spec(&world.ingest, write, &record);
    spec_fini(&spec);
    return write;
}

static void test_a_write_is_done_when_its_last_record_was_read_back(void **state) {
    struct told told;
    struct registry_write *write = command("a/cmd/1");
    (void)state;
    registry_write_add(write, "a/cmd/2", span_of("{\"v\":1}"));
    send_held(write, &told);
    assert_true(registry_write_pending(world.ingest.registry_writes, "a"));
    assert_false(registry_write_pending(world.ingest.registry_writes, "b"));
    world_report(PRODUCER_WRITTEN, true);
    assert_int_equal(told.done, 0);
    world_report(PRODUCER_WRITTEN, true);
    assert_int_equal(told.done, 1);
    assert_int_equal(told.fate, REGISTRY_WRITE_DONE);
    assert_int_equal(told.generation, 101);
    assert_false(told.keys_overtaken || told.spec_overtaken);
    assert_false(registry_write_pending(world.ingest.registry_writes, "a"));
}

static void test_what_is_written_and_not_read_yet_is_not_done(void **state) {
    struct told told;
    (void)state;
    world.table_open = false; /* reports arrive, but nothing is read back */
    send_off(command("a/cmd/1"), &told);
    world_settle();
    assert_int_equal(told.done, 0);
    world.table_open = true;
    world_read(world.log);
    assert_int_equal(told.fate, REGISTRY_WRITE_DONE);
}

static void test_a_record_that_kafka_took_without_a_report_is_found_by_reading(void **state) {
    struct told told;
    (void)state;
    send_held(command("a/cmd/1"), &told);
    world_report(PRODUCER_UNRESOLVED, false);
    world_pass(6000);
    assert_int_equal(told.late, 1);
    assert_int_equal(told.done, 0);
    world_write("a", "/cmd/1", "{\"v\":1}"); /* the record is read back */
    assert_int_equal(told.done, 1);
    assert_int_equal(told.fate, REGISTRY_WRITE_DONE);
}

static void test_two_writes_with_the_same_bytes_need_a_record_each(void **state) {
    struct told first, second;
    (void)state;
    send_held(command("a/cmd/1"), &first);
    send_off(command("a/cmd/1"), &second);
    world_report(PRODUCER_WRITTEN, true);
    assert_int_equal(first.done + second.done, 1);
    world_report(PRODUCER_WRITTEN, true);
    assert_int_equal(first.done + second.done, 2);
}

static void test_what_kafka_rejects_has_failed(void **state) {
    struct told told;
    (void)state;
    send_held(command("a/cmd/1"), &told);
    world_report(PRODUCER_REJECTED, false);
    assert_int_equal(told.fate, REGISTRY_WRITE_FAILED);
    assert_int_equal(told.generation, -1);
    assert_string_equal(told.reason, "the broker has gone");
}

static void test_a_write_of_which_a_part_was_taken_has_failed_once_that_was_read(void **state) {
    struct told told;
    struct registry_write *write = command("a/cmd/1");
    (void)state;
    registry_write_add(write, "a/cmd/2", span_of("{\"v\":1}"));
    send_held(write, &told);
    world_report(PRODUCER_UNRESOLVED, false);
    world_report(PRODUCER_REJECTED, false);
    assert_int_equal(told.done, 0); /* the first record may still arrive */
    world_write("a", "/cmd/1", "{\"v\":1}");
    assert_int_equal(told.done, 1);
    assert_int_equal(told.fate, REGISTRY_WRITE_FAILED);
}

static void test_a_full_queue_fails_at_once_but_not_from_within_the_call(void **state) {
    struct told told;
    (void)state;
    world.refuses = true;
    send_off(command("a/cmd/1"), &told);
    world_settle();
    assert_int_equal(told.fate, REGISTRY_WRITE_FAILED);
    assert_string_equal(told.reason, "the queue is full");
}

static void test_a_silent_kafka_is_told_of_after_5_s_and_given_up_after_35(void **state) {
    struct told told;
    (void)state;
    send_held(command("a/cmd/1"), &told);
    world_pass(4900);
    assert_int_equal(told.late, 0);
    world_pass(200);
    assert_int_equal(told.late, 1);
    world_pass(29800);
    assert_int_equal(told.done, 0);
    world_pass(300);
    assert_int_equal(told.late, 1);
    assert_int_equal(told.fate, REGISTRY_WRITE_UNKNOWN);
    world_report(PRODUCER_WRITTEN, true); /* a late report finds no write */
    assert_int_equal(told.done, 1);
}

static void test_keys_between_a_write_and_what_it_was_made_from_are_overtaken(void **state) {
    struct told told;
    (void)state;
    world_register("a", BORN_A);
    send_held(keys_change("ours-ours-ours-1"), &told);
    world_write_keys("a", BORN_A, "theirs-theirs-1");
    world_report(PRODUCER_WRITTEN, true);
    assert_int_equal(told.fate, REGISTRY_WRITE_DONE);
    assert_true(told.keys_overtaken);
    const struct registry_entry *entry = world_entry("a");
    assert_string_equal(registry_keys(entry)->secret, "theirs-theirs-1"); /* stays in force */
    assert_int_equal(entry->keys_offset, told.generation); /* although our record is the newest */
}

static void test_keys_made_from_the_newest_are_not_overtaken(void **state) {
    struct told told;
    (void)state;
    world_register("a", BORN_A);
    send_off(keys_change("ours-ours-ours-1"), &told);
    world_settle();
    assert_false(told.keys_overtaken);
    assert_string_equal(registry_keys(world_entry("a"))->secret, "ours-ours-ours-1");
}

static void test_keys_of_another_registration_hide_those_a_write_was_made_from(void **state) {
    struct told told;
    (void)state;
    world_register("a", BORN_A);
    send_held(keys_change("ours-ours-ours-1"), &told);
    world_write_keys("a", BORN_B, "another's-keys-1");
    world_report(PRODUCER_WRITTEN, true);
    assert_true(told.keys_overtaken);
    assert_string_equal(registry_keys(world_entry("a"))->secret, "abcdefghijklmnop");
}

static void test_a_spec_whose_subscriber_was_deleted_meets_nothing(void **state) {
    struct told told;
    (void)state;
    world_register("a", BORN_A);
    send_held(spec_write("plan.*"), &told);
    world_write("a", "", NULL);
    world_report(PRODUCER_WRITTEN, true);
    assert_int_equal(told.fate, REGISTRY_WRITE_DONE);
    assert_true(told.spec_overtaken);
    assert_false(registry_in_force(world_entry("a")));
}

static void test_a_spec_whose_id_is_anothers_by_now_is_not_taken(void **state) {
    struct told told;
    (void)state;
    world_register("a", BORN_A);
    send_held(spec_write("plan.*"), &told);
    world_write("a", "", NULL);
    const struct registry_entry *other = world_register("a", BORN_B);
    world_report(PRODUCER_WRITTEN, true);
    assert_true(told.spec_overtaken);
    assert_string_equal(other->registration_id, BORN_B);
    assert_int_equal(other->generation, told.generation);
}

static void test_a_tombstone_does_not_delete_another_registration(void **state) {
    struct told told;
    (void)state;
    world_register("a", BORN_A);
    struct registry_write *write = registry_write_new(&world.ingest, "a", BORN_A, -1);
    registry_writer_add_tombstones(write, "a");
    send_held(write, &told);
    world_write("a", "", NULL);
    world_register("a", BORN_B);
    while (world.sent)
        world_report(PRODUCER_WRITTEN, true);
    assert_true(told.spec_overtaken);
    const struct registry_entry *entry = world_entry("a");
    assert_true(registry_in_force(entry));
    assert_non_null(registry_keys(entry));
}

static void test_with_if_match_a_spec_that_came_between_overtakes(void **state) {
    struct told expecting, careless;
    (void)state;
    const struct registry_entry *entry = world_register("a", BORN_A);
    struct registry_write *write = spec_write("plan.*");
    registry_write_expect_spec(write, entry->generation);
    send_held(write, &expecting);
    send_off(spec_write("claim.*"), &careless);
    world_write_spec("a", BORN_A, "api", "price.*", false);
    world_report(PRODUCER_WRITTEN, true);
    assert_true(expecting.spec_overtaken);
    world_report(PRODUCER_WRITTEN, true);
    assert_false(careless.spec_overtaken); /* without an expected spec the last write wins */
}

static void test_when_the_log_is_read_anew_all_end_as_unknown(void **state) {
    struct told first, second;
    (void)state;
    send_held(command("a/cmd/1"), &first);
    send_off(registry_write_new(&world.ingest, "b", "", -1), &second);
    registry_writes_end(world.ingest.registry_writes);
    assert_int_equal(first.fate, REGISTRY_WRITE_UNKNOWN);
    assert_int_equal(second.fate, REGISTRY_WRITE_UNKNOWN);
    assert_string_equal(first.reason, "the log is being read again");
}

static void test_a_write_that_is_dropped_sends_nothing(void **state) {
    (void)state;
    registry_write_drop(command("a/cmd/1"));
    registry_write_drop(NULL);
    assert_null(world.sent);
    assert_false(registry_write_pending(world.ingest.registry_writes, "a"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        world_test(test_a_write_is_done_when_its_last_record_was_read_back),
        world_test(test_what_is_written_and_not_read_yet_is_not_done),
        world_test(test_a_record_that_kafka_took_without_a_report_is_found_by_reading),
        world_test(test_two_writes_with_the_same_bytes_need_a_record_each),
        world_test(test_what_kafka_rejects_has_failed),
        world_test(test_a_write_of_which_a_part_was_taken_has_failed_once_that_was_read),
        world_test(test_a_full_queue_fails_at_once_but_not_from_within_the_call),
        world_test(test_a_silent_kafka_is_told_of_after_5_s_and_given_up_after_35),
        world_test(test_keys_between_a_write_and_what_it_was_made_from_are_overtaken),
        world_test(test_keys_made_from_the_newest_are_not_overtaken),
        world_test(test_keys_of_another_registration_hide_those_a_write_was_made_from),
        world_test(test_a_spec_whose_subscriber_was_deleted_meets_nothing),
        world_test(test_a_spec_whose_id_is_anothers_by_now_is_not_taken),
        world_test(test_a_tombstone_does_not_delete_another_registration),
        world_test(test_with_if_match_a_spec_that_came_between_overtakes),
        world_test(test_when_the_log_is_read_anew_all_end_as_unknown),
        world_test(test_a_write_that_is_dropped_sends_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
