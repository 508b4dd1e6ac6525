/* Reservations of ids: the winner, and for how long a reservation blocks others. */
#include "ingest_world.h"

#include "ingest/registry/reservations.h"

#define RESERVATION_A "/claim/" BORN_A
#define RESERVATION_B "/claim/" BORN_B

static void reserve(const char *kind) { world_write("a", kind, "{\"v\":1}"); }

static bool is_first(const char *registration_id) {
    return reservations_first(world.ingest.reservations, "a", registration_id);
}

static void test_of_two_reservations_the_first_in_the_log_counts(void **state) {
    (void)state;
    reserve(RESERVATION_B);
    reserve(RESERVATION_A);
    assert_true(is_first(BORN_B));
    assert_false(is_first(BORN_A));
}

static void test_a_reservation_that_was_not_read_is_not_first(void **state) {
    (void)state;
    assert_false(is_first(BORN_A));
    reserve(RESERVATION_B);
    assert_false(is_first(BORN_A));
}

static void test_reservations_to_other_ids_do_not_stand_in_the_way(void **state) {
    (void)state;
    world_write("b", RESERVATION_B, "{\"v\":1}");
    reserve(RESERVATION_A);
    assert_true(is_first(BORN_A));
}

static void test_a_reservation_that_was_taken_back_makes_way(void **state) {
    (void)state;
    reserve(RESERVATION_B);
    reserve(RESERVATION_A);
    world_write("a", RESERVATION_B, NULL);
    assert_true(is_first(BORN_A));
    assert_false(is_first(BORN_B));
}

static void test_a_reservation_keeps_its_place_when_it_is_read_twice(void **state) {
    (void)state;
    reserve(RESERVATION_A);
    reserve(RESERVATION_B);
    reserve(RESERVATION_A);
    assert_true(is_first(BORN_A));
    world_write("a", RESERVATION_A, NULL);
    assert_true(is_first(BORN_B));
}

static void test_a_reservation_makes_way_after_15_s(void **state) {
    (void)state;
    reserve(RESERVATION_B);
    reserve(RESERVATION_A);
    world_ms += RESERVATIONS_LIVE_MS - 1;
    assert_false(is_first(BORN_A));
    world_ms += 1;
    assert_true(is_first(BORN_A));
    /* B's reservation is too old to be used: RESERVATIONS_USE_MS have passed */
    assert_true(is_first(BORN_B));
}

static void test_a_reservation_that_is_dropped_leaves_the_log(void **state) {
    (void)state;
    reserve(RESERVATION_A);
    reservations_drop(&world.ingest, "a", BORN_A);
    world_settle();
    assert_null(world_value("a", RESERVATION_A));
    assert_int_equal(world_records("a", RESERVATION_A), 2);
    assert_false(is_first(BORN_A));
}

static void read_old(const char *kind, bool past) {
    char key[RESERVATIONS_KEY_BYTES];
    snprintf(key, sizeof key, "a%s", kind);
    const struct kafka_record record = {.key = span_of(key),
                                        .value = span_of("{\"v\":1}"),
                                        .appended_ms = clock_wall_ms() - RESERVATIONS_STALE_MS - 1};
    reservations_read(world.ingest.reservations, "a", &record, past);
}

static void test_a_reservation_that_a_dead_ingest_left_behind_is_tidied_away(void **state) {
    (void)state;
    read_old(RESERVATION_B, true);
    reserve(RESERVATION_A);
    assert_true(is_first(BORN_A));
    reservations_tidy(&world.ingest);
    world_settle();
    assert_int_equal(world_records("a", RESERVATION_B), 1);
    assert_null(world_value("a", RESERVATION_B));
    assert_non_null(world_value("a", RESERVATION_A)); /* still live */
}

static void test_an_old_reservation_that_only_came_late_still_counts(void **state) {
    (void)state;
    read_old(RESERVATION_B, false); /* reading stood still for a minute */
    reserve(RESERVATION_A);
    assert_false(is_first(BORN_A));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        world_test(test_of_two_reservations_the_first_in_the_log_counts),
        world_test(test_a_reservation_that_was_not_read_is_not_first),
        world_test(test_reservations_to_other_ids_do_not_stand_in_the_way),
        world_test(test_a_reservation_that_was_taken_back_makes_way),
        world_test(test_a_reservation_keeps_its_place_when_it_is_read_twice),
        world_test(test_a_reservation_makes_way_after_15_s),
        world_test(test_a_reservation_that_is_dropped_leaves_the_log),
        world_test(test_a_reservation_that_a_dead_ingest_left_behind_is_tidied_away),
        world_test(test_an_old_reservation_that_only_came_late_still_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
