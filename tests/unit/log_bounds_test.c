/* How far a log is unchanged: every cut is found, in few reads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dispatcher/ownership/log_bounds.h"

enum { PLACES = 200 };

/* Reads until nothing more can be learned; the log differs from `cut` upwards. Returns the number
 * of reads. */
static int look(struct log_bounds *bounds, struct log_place *places, size_t count, int64_t cut) {
    int looks = 0;
    for (size_t next; (next = log_bounds_next(bounds, places, count)) < count; looks++) {
        assert_true(looks <= (int)count);
        log_bounds_found(bounds, &places[next], places[next].cursor < cut);
    }
    return looks;
}

static void fill(struct log_place *places, size_t count, int64_t step) {
    for (size_t i = 0; i < count; i++)
        places[i] = (struct log_place){.cursor = (int64_t)(i + 1) * step, .id_hash = i + 1};
}

static void one_look_at_the_highest_is_enough_where_all_is_well(void **state) {
    struct log_place places[PLACES];
    struct log_bounds bounds;
    (void)state;
    fill(places, PLACES, 3);
    log_bounds_init(&bounds);
    assert_int_equal(look(&bounds, places, PLACES, INT64_MAX), 1);
    assert_int_equal(bounds.same, 3 * PLACES);
    assert_int_equal(bounds.same_id_hash, PLACES);
    assert_true(log_bounds_hold(&bounds, 3 * PLACES));
    assert_true(log_bounds_hold(&bounds, 10 * PLACES)); /* no evidence against the log */
}

static void every_cut_is_found_by_bisecting(void **state) {
    struct log_place places[PLACES];
    struct log_bounds bounds;
    (void)state;
    for (int64_t cut = 1; cut <= 3 * PLACES; cut++) {
        fill(places, PLACES, 3);
        log_bounds_init(&bounds);
        assert_in_range(look(&bounds, places, PLACES, cut), 2, 10);
        assert_int_equal(bounds.same, (cut - 1) / 3 * 3);
        for (int64_t position = 1; position < 4 * PLACES; position++)
            assert_int_equal(log_bounds_hold(&bounds, position), position <= bounds.same);
    }
}

static void a_record_that_is_gone_is_passed_over(void **state) {
    struct log_place places[] = {{10, 1, false}, {20, 2, false}, {30, 3, true}};
    struct log_bounds bounds;
    (void)state;
    log_bounds_init(&bounds);
    assert_int_equal(log_bounds_next(&bounds, places, 3), 1);
    places[1].gone = true;
    assert_int_equal(log_bounds_next(&bounds, places, 3), 0);
    places[0].gone = true;
    assert_int_equal(log_bounds_next(&bounds, places, 3), 3);
    assert_true(log_bounds_hold(&bounds, 30));
}

static void a_token_that_names_no_event_is_not_looked_at_but_judged(void **state) {
    const struct log_place places[] = {{10, 1, false}, {50, 0, false}};
    struct log_bounds bounds;
    (void)state;
    log_bounds_init(&bounds);
    assert_int_equal(log_bounds_next(&bounds, places, 2), 0);
    log_bounds_found(&bounds, &places[0], false);
    assert_int_equal(log_bounds_next(&bounds, places, 2), 2);
    assert_false(log_bounds_hold(&bounds, 50));
    assert_false(log_bounds_hold(&bounds, 5));
    assert_true(log_bounds_hold(&bounds, 0));
}

static void a_log_that_ends_early_is_looked_at_below_its_end(void **state) {
    struct log_place places[PLACES];
    struct log_bounds bounds;
    (void)state;
    fill(places, PLACES, 1);
    log_bounds_init(&bounds);
    log_bounds_ends(&bounds, 101); /* 101 is not there */
    look(&bounds, places, PLACES, 101);
    assert_int_equal(bounds.same, 100);
    assert_true(log_bounds_hold(&bounds, 100));
    assert_false(log_bounds_hold(&bounds, 101));
}

static void what_is_known_serves_those_who_ask_later(void **state) {
    struct log_place first[] = {{40, 4, false}},
                     later[] = {{30, 3, false}, {40, 4, false}, {80, 8, false}};
    struct log_bounds bounds;
    (void)state;
    log_bounds_init(&bounds);
    assert_int_equal(look(&bounds, first, 1, 60), 1);
    assert_int_equal(look(&bounds, later, 3, 60), 1);
    assert_int_equal(bounds.same, 40);
    assert_int_equal(bounds.other, 80);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_look_at_the_highest_is_enough_where_all_is_well),
        cmocka_unit_test(every_cut_is_found_by_bisecting),
        cmocka_unit_test(a_record_that_is_gone_is_passed_over),
        cmocka_unit_test(a_token_that_names_no_event_is_not_looked_at_but_judged),
        cmocka_unit_test(a_log_that_ends_early_is_looked_at_below_its_end),
        cmocka_unit_test(what_is_known_serves_those_who_ask_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
