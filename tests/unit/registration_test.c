/* Registrations: an id is given once, even to simultaneous requests, and a failed registration
 * leaves nothing behind. */
#include "ingest_world.h"

#include "ingest/registry/registration.h"
#include "ingest/registry/reservations.h"

struct told {
    int count;
    enum registration_outcome outcome;
    char reason[100];
};

static void on_registered(void *arg, enum registration_outcome outcome, const char *reason) {
    struct told *told = arg;
    told->count++;
    told->outcome = outcome;
    snprintf(told->reason, sizeof told->reason, "%s", reason ? reason : "");
}

static struct registration *begin(struct told *told) {
    struct spec spec;
    *told = (struct told){0};
    world_spec(&spec, "a", "drug.*");
    struct registration *r = registration_begin(&world.ingest, &spec, "api", "vendor", "", 42,
                                                on_registered, told);
    spec_fini(&spec);
    assert_int_equal(told->count, 0);
    return r;
}

static const struct registry_entry *entry(void) { return world_entry("a"); }

/* The number of reservations of the id left in the log. */
static int claims_left(void) {
    int left = 0;
    for (const struct world_record *r = world.log; r; r = r->next)
        if (strncmp(r->key, "a/claim/", 8) == 0)
            left += r->tombstone ? -1 : 1;
    return left;
}

static void test_a_registration_comes_into_force_keys_before_spec(void **state) {
    struct told told;
    (void)state;
    begin(&told);
    world_settle();
    assert_int_equal(told.count, 1);
    assert_int_equal(told.outcome, REGISTRATION_IN_FORCE);
    assert_true(registry_in_force(entry()));
    assert_int_equal(entry()->start, 42);
    assert_string_equal(entry()->by, "vendor");
    assert_string_equal(registry_keys(entry())->secret, "abcdefghijklmnop");
    assert_int_equal(entry()->keys_offset, entry()->generation - 1);
    assert_int_equal(claims_left(), 0);
}

static void test_an_id_in_force_is_taken(void **state) {
    struct told told;
    (void)state;
    world_register("a", BORN_B);
    begin(&told);
    world_settle();
    assert_int_equal(told.outcome, REGISTRATION_TAKEN);
    assert_string_equal(entry()->registration_id, BORN_B);
    assert_int_equal(claims_left(), 0);
}

static void test_a_reservation_that_comes_second_loses(void **state) {
    struct told told;
    (void)state;
    world.held = true;
    begin(&told);
    world_write("a", "/claim/" BORN_B, "{\"v\":1}");
    world.held = false;
    world_settle();
    assert_int_equal(told.outcome, REGISTRATION_TAKEN);
    assert_null(world_value("a", "")); /* neither its spec nor its keys were written */
    assert_null(world_value("a", "/keys"));
    assert_int_equal(claims_left(), 1); /* the other's */
}

static void test_of_two_at_once_in_one_ingest_one_gets_the_id(void **state) {
    struct told first, second;
    (void)state;
    begin(&first);
    begin(&second);
    world_settle();
    assert_int_equal(first.outcome, REGISTRATION_IN_FORCE);
    assert_int_equal(second.outcome, REGISTRATION_TAKEN);
    assert_int_equal(world_records("a", ""), 1);
    assert_int_equal(claims_left(), 0);
}

static void test_one_whose_reservation_is_lost_has_failed(void **state) {
    struct told told;
    (void)state;
    world.held = true;
    begin(&told);
    world_report(PRODUCER_REJECTED, false);
    assert_int_equal(told.outcome, REGISTRATION_FAILED);
    assert_string_equal(told.reason, "the broker has gone");
    assert_null(entry());
    assert_null(world.sent);
}

static void test_one_whose_reservation_is_slow_gives_up_and_takes_the_reservation_back(
    void **state) {
    struct told told;
    (void)state;
    world.held = true;
    begin(&told);
    world_pass(RESERVATIONS_USE_MS + 100);
    assert_int_equal(told.outcome, REGISTRATION_FAILED);
    world.held = false;
    world_settle();
    assert_int_equal(told.count, 1);
    assert_null(world_value("a", ""));
    assert_int_equal(claims_left(), 0);
}

static void test_one_that_is_late_is_undone_when_it_comes_into_force(void **state) {
    struct told told;
    (void)state;
    world.held = true;
    begin(&told);
    world_report(PRODUCER_WRITTEN, true); /* the reservation; then keys and spec are on their way */
    world_pass(5100);
    assert_int_equal(told.count, 1);
    assert_int_equal(told.outcome, REGISTRATION_FAILED);
    for (int i = 0; i < 3; i++)
        world_report(PRODUCER_WRITTEN, true);
    world.held = false;
    world_settle();
    assert_false(registry_in_force(entry()));
    assert_null(world_value("a", ""));
    assert_null(world_value("a", "/keys"));
    assert_int_equal(told.count, 1);
}

static void test_one_whose_client_has_gone_is_undone(void **state) {
    struct told told;
    (void)state;
    world.held = true;
    struct registration *r = begin(&told);
    world_report(PRODUCER_WRITTEN, true);
    registration_disown(r);
    world.held = false;
    world_settle();
    assert_int_equal(told.count, 0);
    assert_null(world_value("a", ""));
}

static void test_one_whose_client_has_gone_before_its_reservation_writes_no_spec(void **state) {
    struct told told;
    (void)state;
    registration_disown(begin(&told));
    world_settle();
    assert_int_equal(told.count, 0);
    assert_int_equal(world_records("a", ""), 0);
    assert_int_equal(claims_left(), 0);
}

static void test_one_whose_keys_are_lost_leaves_no_spec(void **state) {
    struct told told;
    (void)state;
    world.held = true;
    begin(&told);
    world_report(PRODUCER_WRITTEN, true);
    world_report(PRODUCER_REJECTED, false); /* the keys */
    world.held = false;
    world_settle();
    assert_int_equal(told.outcome, REGISTRATION_FAILED);
    assert_null(world_value("a", ""));
}

static void test_one_whose_spec_was_deleted_at_once_says_so(void **state) {
    struct told told;
    (void)state;
    world.held = true;
    begin(&told);
    /* reservation, keys, spec */
    for (int i = 0; i < 3; i++)
        world_report(PRODUCER_WRITTEN, true);
    world_write("a", "", NULL);
    world_report(PRODUCER_WRITTEN, true);
    assert_int_equal(told.outcome, REGISTRATION_TAKEN);
    assert_string_equal(told.reason, "the subscriber was deleted again at once");
}

static void test_a_subscriber_whose_file_is_gone_is_replaced_with_nothing_left_of_it(void **state) {
    struct told told;
    (void)state;
    world_write_keys("a", BORN_B, "another's-secret");
    world_write_spec("a", BORN_B, "subscribers/a.yml", "plan.*", true);
    begin(&told);
    world_settle();
    assert_int_equal(told.outcome, REGISTRATION_IN_FORCE);
    assert_string_not_equal(entry()->registration_id, BORN_B);
    assert_string_equal(registry_keys(entry())->secret, "abcdefghijklmnop");
    assert_int_equal(world_records("a", ""), 3); /* the old spec, its tombstone, the new spec */
}

static void test_when_the_log_is_read_anew_it_has_failed(void **state) {
    struct told told;
    (void)state;
    world.held = true;
    begin(&told);
    registry_writes_end(world.ingest.registry_writes);
    assert_int_equal(told.outcome, REGISTRATION_FAILED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        world_test(test_a_registration_comes_into_force_keys_before_spec),
        world_test(test_an_id_in_force_is_taken),
        world_test(test_a_reservation_that_comes_second_loses),
        world_test(test_of_two_at_once_in_one_ingest_one_gets_the_id),
        world_test(test_one_whose_reservation_is_lost_has_failed),
        world_test(test_one_whose_reservation_is_slow_gives_up_and_takes_the_reservation_back),
        world_test(test_one_that_is_late_is_undone_when_it_comes_into_force),
        world_test(test_one_whose_client_has_gone_is_undone),
        world_test(test_one_whose_client_has_gone_before_its_reservation_writes_no_spec),
        world_test(test_one_whose_keys_are_lost_leaves_no_spec),
        world_test(test_one_whose_spec_was_deleted_at_once_says_so),
        world_test(test_a_subscriber_whose_file_is_gone_is_replaced_with_nothing_left_of_it),
        world_test(test_when_the_log_is_read_anew_it_has_failed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
