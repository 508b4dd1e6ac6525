/* The index of ids: repeats and conflicts, what is forgotten when, and the memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "ingest/publish/dedupe.h"

enum { HOUR_MS = 3600 * 1000 };

static const unsigned char secret[SIPHASH_KEY_BYTES] = "a key of 16 byte";
static const struct span no_key = {NULL, 0};

static struct dedupe_print print_of(const struct dedupe *d, const char *id, const char *topic,
                                    struct span key, const char *data) {
    struct dedupe_print print;
    dedupe_print_id(d, span_of(id), &print);
    dedupe_print_content(d, span_of(topic), key, span_of(data), 0, &print);
    return print;
}

/* An id with matching content. */
static struct dedupe_print numbered(const struct dedupe *d, unsigned number) {
    char id[24];
    snprintf(id, sizeof id, "id-%u", number);
    return print_of(d, id, "t", no_key, "1");
}

static void assert_found(struct dedupe *d, const struct dedupe_print *print, int64_t now_ms,
                         enum dedupe_found expected, int64_t expected_cursor) {
    int64_t cursor = -1;
    assert_int_equal(dedupe_find(d, print, now_ms, &cursor), expected);
    assert_int_equal(cursor, expected_cursor);
}

static void test_a_repeat_has_the_first_ones_cursor_and_other_content_is_a_conflict(void **state) {
    struct dedupe *d = dedupe_new(10, HOUR_MS, secret);
    (void)state;
    struct dedupe_print first = print_of(d, "x", "drug.copay", span_of("k"), "{\"a\":1}");
    assert_found(d, &first, 0, DEDUPE_NEW, -1);
    dedupe_add(d, &first, 7, 0);
    assert_found(d, &first, 0, DEDUPE_REPEAT, 7);
    static const struct {
        const char *topic, *key, *data;
    } others[] = {{"drug.copaz", "k", "{\"a\":1}"},
                  {"drug.copay", "l", "{\"a\":1}"},
                  {"drug.copay", NULL, "{\"a\":1}"},
                  {"drug.copay", "k", "{\"a\":2}"},
                  {"drug.copa", "yk", "{\"a\":1}"},
                  {"drug.copay", "k{", "\"a\":1}"},
                  {"drug.copay", "k", ""}};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct dedupe_print other = print_of(d, "x", others[i].topic, span_of(others[i].key),
                                             others[i].data);
        assert_found(d, &other, 0, DEDUPE_CONFLICT, 7);
    }
    struct dedupe_print unknown = print_of(d, "y", "drug.copay", span_of("k"), "{\"a\":1}");
    assert_found(d, &unknown, 0, DEDUPE_NEW, -1);
    dedupe_free(d);
}

static void test_of_several_records_of_one_id_the_lowest_cursor_counts(void **state) {
    struct dedupe *d = dedupe_new(10, HOUR_MS, secret);
    (void)state;
    struct dedupe_print mine = print_of(d, "x", "t", no_key, "1"),
                        theirs = print_of(d, "x", "t", no_key, "2");
    assert_false(dedupe_add(d, &mine, 9, 0));
    assert_true(dedupe_add(d, &mine, 12, 0)); /* twice in the log */
    assert_true(dedupe_holds(d, &mine, 9));
    assert_false(dedupe_holds(d, &mine, 12));
    assert_false(dedupe_add(d, &theirs, 8, 0)); /* like 9, which the tail still has to read: */
    assert_true(dedupe_add(d, &mine, 9, 0));
    assert_found(d, &theirs, 0, DEDUPE_REPEAT, 8);
    assert_found(d, &mine, 0, DEDUPE_CONFLICT, 8);
    assert_int_equal(dedupe_count(d, 0), 1);
    dedupe_free(d);
}

static void test_what_two_versions_of_the_pii_rules_have_left_is_not_compared(void **state) {
    struct dedupe *d = dedupe_new(10, HOUR_MS, secret);
    struct dedupe_print first = print_of(d, "x", "t", no_key, "1"), again = first;
    (void)state;
    dedupe_print_content(d, span_of("t"), no_key, span_of("1"), 7, &first);
    dedupe_add(d, &first, 9, 0);
    dedupe_print_content(d, span_of("t"), no_key, span_of("2"), 7, &again);
    assert_found(d, &again, 0, DEDUPE_CONFLICT, 9);
    dedupe_print_content(d, span_of("t"), no_key, span_of("2"), 8, &again);
    assert_found(d, &again, 0, DEDUPE_REPEAT, 9);
    dedupe_print_content(d, span_of("t"), no_key, span_of("1"), 0, &again);
    assert_found(d, &again, 0, DEDUPE_REPEAT, 9);
    dedupe_free(d);
}

static void test_an_id_is_forgotten_when_the_window_has_passed_and_not_before(void **state) {
    struct dedupe *d = dedupe_new(10, HOUR_MS, secret);
    (void)state;
    struct dedupe_print early = numbered(d, 1), late = numbered(d, 2);
    dedupe_add(d, &early, 1, 1000);
    dedupe_add(d, &late, 2, 2000);
    assert_found(d, &early, 1000 + HOUR_MS, DEDUPE_REPEAT, 1);
    assert_found(d, &early, 1001 + HOUR_MS, DEDUPE_NEW, -1);
    assert_found(d, &late, 1001 + HOUR_MS, DEDUPE_REPEAT, 2);
    dedupe_add(d, &early, 3, 1001 + HOUR_MS);
    assert_found(d, &early, 2001 + HOUR_MS, DEDUPE_REPEAT, 3);
    assert_int_equal(dedupe_count(d, 2001 + HOUR_MS), 1);
    dedupe_free(d);
}

static void test_what_is_read_an_hour_later_is_no_repeat_of_what_was_forgotten(void **state) {
    struct dedupe *d = dedupe_new(10, HOUR_MS, secret);
    (void)state;
    struct dedupe_print print = numbered(d, 1);
    dedupe_add(d, &print, 1, 0);
    dedupe_add(d, &print, 2, HOUR_MS + 1); /* as when the log is read: no lookup in between */
    assert_found(d, &print, HOUR_MS + 2, DEDUPE_REPEAT, 2);
    dedupe_free(d);
}

static void test_the_newest_ids_stay_when_there_are_too_many(void **state) {
    enum { MAX = 300, ADDED = 1000 };
    struct dedupe *d = dedupe_new(MAX, HOUR_MS, secret);
    (void)state;
    for (unsigned i = 0; i < ADDED; i++) {
        struct dedupe_print print = numbered(d, i);
        dedupe_add(d, &print, i, 0);
    }
    assert_int_equal(dedupe_count(d, 0), MAX);
    for (unsigned i = 0; i < ADDED; i++) {
        struct dedupe_print print = numbered(d, i);
        assert_found(d, &print, 0, i < ADDED - MAX ? DEDUPE_NEW : DEDUPE_REPEAT,
                     i < ADDED - MAX ? -1 : (int64_t)i);
    }
    dedupe_free(d);
}

/* Random additions of few ids at advancing times; every id is looked up and compared with a plain
 * array. */
static void test_it_finds_what_a_plain_list_finds(void **state) {
    enum { IDS = 120, MAX = 37, STEPS = 20000, WINDOW_MS = 500 };
    struct dedupe *d = dedupe_new(MAX, WINDOW_MS, secret);
    static struct {
        unsigned id;
        int64_t cursor, at;
    } list[STEPS];
    size_t oldest = 0, count = 0;
    unsigned seed = 7;
    int64_t now = 0;
    (void)state;
    for (int64_t step = 0; step < STEPS; step++) {
        unsigned id = (unsigned)rand_r(&seed) % IDS;
        now += rand_r(&seed) % 30;
        while (oldest < count && (list[oldest].at < now - WINDOW_MS))
            oldest++;
        struct dedupe_print print = numbered(d, id);
        size_t i = oldest;
        while (i < count && list[i].id != id)
            i++;
        assert_found(d, &print, now, i < count ? DEDUPE_REPEAT : DEDUPE_NEW,
                     i < count ? list[i].cursor : -1);
        dedupe_add(d, &print, step, now);
        if (i < count)
            continue;
        oldest += count - oldest == MAX;
        list[count].id = id;
        list[count].cursor = step;
        list[count++].at = now;
        assert_int_equal(dedupe_count(d, now), count - oldest);
    }
    dedupe_free(d);
}

static void test_a_million_ids_take_49_megabytes_and_a_few_take_little(void **state) {
    struct dedupe *d = dedupe_new(DEDUPE_IDS_MAX, HOUR_MS, secret);
    (void)state;
    assert_true(dedupe_bytes(d) < 20000);
    for (unsigned i = 0; i < DEDUPE_IDS_MAX + 10; i++) {
        struct dedupe_print print = {.id = {i * 0x9e3779b97f4a7c15, i}};
        dedupe_add(d, &print, i, 0);
    }
    assert_int_equal(dedupe_count(d, 0), DEDUPE_IDS_MAX);
    assert_true(dedupe_bytes(d) < 49 * 1000 * 1000);
    dedupe_free(d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_repeat_has_the_first_ones_cursor_and_other_content_is_a_conflict),
        cmocka_unit_test(test_of_several_records_of_one_id_the_lowest_cursor_counts),
        cmocka_unit_test(test_what_two_versions_of_the_pii_rules_have_left_is_not_compared),
        cmocka_unit_test(test_an_id_is_forgotten_when_the_window_has_passed_and_not_before),
        cmocka_unit_test(test_what_is_read_an_hour_later_is_no_repeat_of_what_was_forgotten),
        cmocka_unit_test(test_the_newest_ids_stay_when_there_are_too_many),
        cmocka_unit_test(test_it_finds_what_a_plain_list_finds),
        cmocka_unit_test(test_a_million_ids_take_49_megabytes_and_a_few_take_little),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
