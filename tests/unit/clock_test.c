/* Date-times by RFC 3339 and its sections 5.6 to 5.8, and durations, both ways. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "common/base/clock.h"

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR };

static void assert_time(const char *text, int64_t expected) {
    int64_t ms = -1;
    if (clock_parse(text, strlen(text), &ms) || ms != expected)
        fail_msg("%s: %lld, not %lld", text, (long long)ms, (long long)expected);
}

static void assert_not_a_time(const char *text) {
    int64_t ms = 4711;
    if (clock_parse(text, strlen(text), &ms) == 0)
        fail_msg("'%s' was taken", text);
    assert_int_equal(ms, 4711);
}

static void the_examples_of_rfc_3339_are_read(void **state) {
    (void)state;
    assert_time("1985-04-12T23:20:50.52Z", 482196050520);
    assert_time("1996-12-19T16:39:57-08:00", 851042397000);
    assert_time("1996-12-20T00:39:57Z", 851042397000);
    assert_time("1990-12-31T23:59:60Z", 662688000000);
    assert_time("1990-12-31T15:59:60-08:00", 662688000000);
    assert_time("1937-01-01T12:00:27.87+00:20", -1041337172130);
}

static void t_and_z_may_be_small(void **state) {
    (void)state;
    assert_time("1970-01-01t00:00:01z", 1000);
    assert_time("1970-01-01T00:00:01z", 1000);
    assert_not_a_time("1970-01-01 00:00:01Z");
    assert_not_a_time("1970-01-01\x14"
                      "00:00:01Z");
    assert_not_a_time("1970-01-01T00:00:01:");
}

static void only_leap_years_have_a_29th_of_february(void **state) {
    (void)state;
    assert_time("2024-02-29T00:00:00Z", 1709164800000);
    assert_time("2000-02-29T00:00:00Z", 951782400000);
    assert_not_a_time("2023-02-29T00:00:00Z");
    assert_not_a_time("1900-02-29T00:00:00Z");
    assert_not_a_time("2100-02-29T00:00:00Z");
    assert_not_a_time("2024-02-30T00:00:00Z");
}

static void a_month_has_its_own_days_only(void **state) {
    (void)state;
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    for (int month = 1; month <= 12; month++) {
        char text[40];
        snprintf(text, sizeof text, "2023-%02d-%02dT00:00:00Z", month, days[month - 1]);
        assert_int_equal(clock_parse(text, strlen(text), NULL), 0);
        snprintf(text, sizeof text, "2023-%02d-%02dT00:00:00Z", month, days[month - 1] + 1);
        assert_not_a_time(text);
    }
    assert_not_a_time("2023-00-01T00:00:00Z");
    assert_not_a_time("2023-13-01T00:00:00Z");
    assert_not_a_time("2023-01-00T00:00:00Z");
}

static void offsets_go_both_ways_to_the_minute(void **state) {
    (void)state;
    assert_time("1970-01-01T05:30:00+05:30", 0);
    assert_time("1969-12-31T18:15:00-05:45", 0);
    assert_time("1970-01-01T00:00:00-00:00", 0);
    assert_time("1970-01-01T23:59:00+23:59", 0);
    assert_not_a_time("1970-01-01T00:00:00+24:00");
    assert_not_a_time("1970-01-01T00:00:00+00:60");
    assert_not_a_time("1970-01-01T00:00:00+0530");
    assert_not_a_time("1970-01-01T00:00:00+05");
    assert_not_a_time("1970-01-01T00:00:00+5:30");
    assert_not_a_time("1970-01-01T00:00:00 05:30");
    assert_not_a_time("1970-01-01T00:00:00");
    assert_not_a_time("1970-01-01T00:00:00+");
}

static void a_fraction_of_any_length_counts_to_the_millisecond(void **state) {
    (void)state;
    assert_time("1970-01-01T00:00:00.5Z", 500);
    assert_time("1970-01-01T00:00:00.05Z", 50);
    assert_time("1970-01-01T00:00:00.123Z", 123);
    assert_time("1970-01-01T00:00:00.9999Z", 999);
    assert_time("1970-01-01T00:00:00.000000000000000000000000000000000000000000000001Z", 0);
    assert_time("1970-01-01T00:00:00.1234567890123456789012345678901234567890+00:00", 123);
    assert_not_a_time("1970-01-01T00:00:00.Z");
    assert_not_a_time("1970-01-01T00:00:00,5Z");
    assert_not_a_time("1970-01-01T00:00:00.-5Z");
    assert_not_a_time("1970-01-01T00:00:00.5");
}

static void a_leap_second_is_the_last_of_a_month_in_utc(void **state) {
    (void)state;
    assert_time("2016-12-31T23:59:60Z", 1483228800000);
    assert_time("2015-06-30T23:59:60.5Z", 1435708800500);
    assert_time("2017-01-01T08:59:60+09:00", 1483228800000);
    assert_not_a_time("2016-12-31T23:58:60Z");
    assert_not_a_time("2016-12-31T22:59:60Z");
    assert_not_a_time("2016-12-30T23:59:60Z");
    assert_not_a_time("2016-12-31T23:59:60+01:00");
    assert_not_a_time("2016-12-31T23:59:61Z");
}

static void hours_minutes_and_seconds_stay_in_their_ranges(void **state) {
    (void)state;
    assert_time("1970-01-01T23:59:59Z", DAY - SECOND);
    assert_not_a_time("1970-01-01T24:00:00Z");
    assert_not_a_time("1970-01-01T23:60:00Z");
    assert_not_a_time("1970-01-01T00:00:99Z");
}

static void years_have_four_digits(void **state) {
    (void)state;
    assert_time("0000-01-01T00:00:00Z", -62167219200000);
    assert_time("9999-12-31T23:59:59.999Z", 253402300799999);
    assert_not_a_time("999-01-01T00:00:00Z");
    assert_not_a_time("10000-01-01T00:00:00Z");
    assert_not_a_time("-001-01-01T00:00:00Z");
    assert_not_a_time("+2024-01-01T00:00:00Z");
}

static void every_part_of_a_time_is_needed(void **state) {
    (void)state;
    static const char whole[] = "2024-05-07T14:03:11.123+02:00";
    for (size_t len = 0; len < sizeof whole - 1; len++)
        assert_int_equal(clock_parse(whole, len, NULL), -1);
    assert_int_equal(clock_parse(whole, sizeof whole - 1, NULL), 0);
    assert_int_equal(clock_parse(NULL, 0, NULL), -1);
}

static void a_character_too_many_or_another_one_is_refused(void **state) {
    (void)state;
    static const char whole[] = "2024-05-07T14:03:11Z";
    char text[sizeof whole];
    assert_not_a_time("2024-05-07T14:03:11Z ");
    assert_not_a_time(" 2024-05-07T14:03:11Z");
    assert_not_a_time("2024-05-07T14:03:11Z\n");
    for (size_t i = 0; i < sizeof whole - 1; i++) {
        memcpy(text, whole, sizeof whole);
        text[i] = '/';
        assert_not_a_time(text);
    }
    assert_int_equal(clock_parse("2024-05-07T14:03:11Z\0", sizeof whole, NULL), -1);
}

static void a_time_is_written_in_utc_with_milliseconds(void **state) {
    (void)state;
    char text[CLOCK_TEXT_BYTES];
    clock_format(0, text);
    assert_string_equal(text, "1970-01-01T00:00:00.000Z");
    clock_format(1715090591123, text);
    assert_string_equal(text, "2024-05-07T14:03:11.123Z");
    clock_format(-1, text);
    assert_string_equal(text, "1969-12-31T23:59:59.999Z");
}

static void every_time_that_is_written_is_read_as_itself(void **state) {
    (void)state;
    for (int64_t ms = -62167219200000; ms <= 253402300799999; ms += 3155760000123 / 7) {
        char text[CLOCK_TEXT_BYTES];
        clock_format(ms, text);
        assert_int_equal(strlen(text), 24);
        assert_time(text, ms);
    }
    char text[CLOCK_TEXT_BYTES];
    clock_format(253402300799999, text);
    assert_string_equal(text, "9999-12-31T23:59:59.999Z");
    clock_format(-62167219200000, text);
    assert_string_equal(text, "0000-01-01T00:00:00.000Z");
}

static void a_time_outside_of_rfc_3339_is_written_as_the_nearest_within(void **state) {
    (void)state;
    char text[CLOCK_TEXT_BYTES];
    clock_format(INT64_MAX, text);
    assert_string_equal(text, "9999-12-31T23:59:59.999Z");
    clock_format(INT64_MIN, text);
    assert_string_equal(text, "0000-01-01T00:00:00.000Z");
}

static void the_clocks_agree_on_their_units(void **state) {
    (void)state;
    int64_t ms = clock_ms(), us = clock_us(), later = clock_ms();
    assert_true(ms > 0);
    assert_true(us / 1000 >= ms && us / 1000 <= later);
    int64_t wall = clock_wall_ms() / 1000, now = (int64_t)time(NULL);
    assert_true(now - wall <= 60 && wall - now <= 60);
}

/* --- durations */

static void assert_duration(const char *text, int64_t expected) {
    int64_t ms = -1;
    if (clock_parse_duration(text, strlen(text), &ms) || ms != expected)
        fail_msg("%s: %lld, not %lld", text, (long long)ms, (long long)expected);
}

static void assert_not_a_duration(const char *text) {
    int64_t ms = 4711;
    if (clock_parse_duration(text, strlen(text), &ms) == 0)
        fail_msg("'%s' was taken", text);
    assert_int_equal(ms, 4711);
}

static void a_duration_is_numbers_with_falling_units(void **state) {
    (void)state;
    assert_duration("250ms", 250);
    assert_duration("15s", 15 * SECOND);
    assert_duration("90m", 90 * MINUTE);
    assert_duration("1h30m", 90 * MINUTE);
    assert_duration("7d", 7 * DAY);
    assert_duration("1d2h3m4s5ms", DAY + 2 * HOUR + 3 * MINUTE + 4 * SECOND + 5);
    assert_duration("1m5ms", MINUTE + 5);
    assert_duration("0s", 0);
    assert_duration("007s", 7 * SECOND);
    assert_not_a_duration("30m1h");
    assert_not_a_duration("1s1s");
    assert_not_a_duration("1ms1s");
}

static void only_zero_goes_without_a_unit(void **state) {
    (void)state;
    assert_duration("0", 0);
    assert_not_a_duration("15");
    assert_not_a_duration("00");
    assert_not_a_duration("1h30");
    assert_not_a_duration("");
}

static void what_only_looks_like_a_duration_is_refused(void **state) {
    (void)state;
    static const char *const texts[] = {"s",   "1.5s", "-1s",  "+1s",    "1 s",  " 1s",
                                        "1s ", "1S",   "1w",   "1y",     "1sec", "1us",
                                        "1hm", "1e3s", "0x1s", "1h 30m", "ms",   "١s"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_not_a_duration(texts[i]);
    assert_int_equal(clock_parse_duration("1s\0", 3, &(int64_t){0}), -1);
    assert_int_equal(clock_parse_duration(NULL, 0, &(int64_t){0}), -1);
}

static void a_duration_never_overflows(void **state) {
    (void)state;
    assert_duration("100000000000d", 100000000000 * (int64_t)DAY);
    assert_not_a_duration("106751991168d");
    assert_not_a_duration("99999999999999999999999999ms");
    assert_not_a_duration("9223372036854775808ms");
    assert_not_a_duration("18446744073709551617s");
    assert_not_a_duration("106751991167d7h12m55s808ms");
    assert_duration("106751991167d7h12m55s807ms", INT64_MAX);
    assert_duration("9223372036854775807ms", INT64_MAX);
}

static void a_duration_is_written_with_the_units_it_needs(void **state) {
    (void)state;
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {
        {0, "0"},          {250, "250ms"},         {1000, "1s"},
        {1500, "1s500ms"}, {15 * SECOND, "15s"},   {90 * MINUTE, "1h30m"},
        {DAY, "1d"},       {7 * DAY + 1, "7d1ms"}, {INT64_MAX, "106751991167d7h12m55s807ms"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[CLOCK_TEXT_BYTES];
        clock_format_duration(cases[i].ms, text);
        assert_string_equal(text, cases[i].text);
    }
}

static void every_duration_that_is_written_is_read_as_itself(void **state) {
    (void)state;
    for (int64_t ms = 1; ms < INT64_MAX / 3; ms += ms / 2 + 1) {
        char text[CLOCK_TEXT_BYTES];
        clock_format_duration(ms, text);
        assert_duration(text, ms);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_examples_of_rfc_3339_are_read),
        cmocka_unit_test(t_and_z_may_be_small),
        cmocka_unit_test(only_leap_years_have_a_29th_of_february),
        cmocka_unit_test(a_month_has_its_own_days_only),
        cmocka_unit_test(offsets_go_both_ways_to_the_minute),
        cmocka_unit_test(a_fraction_of_any_length_counts_to_the_millisecond),
        cmocka_unit_test(a_leap_second_is_the_last_of_a_month_in_utc),
        cmocka_unit_test(hours_minutes_and_seconds_stay_in_their_ranges),
        cmocka_unit_test(years_have_four_digits),
        cmocka_unit_test(every_part_of_a_time_is_needed),
        cmocka_unit_test(a_character_too_many_or_another_one_is_refused),
        cmocka_unit_test(a_time_is_written_in_utc_with_milliseconds),
        cmocka_unit_test(every_time_that_is_written_is_read_as_itself),
        cmocka_unit_test(a_time_outside_of_rfc_3339_is_written_as_the_nearest_within),
        cmocka_unit_test(the_clocks_agree_on_their_units),
        cmocka_unit_test(a_duration_is_numbers_with_falling_units),
        cmocka_unit_test(only_zero_goes_without_a_unit),
        cmocka_unit_test(what_only_looks_like_a_duration_is_refused),
        cmocka_unit_test(a_duration_never_overflows),
        cmocka_unit_test(a_duration_is_written_with_the_units_it_needs),
        cmocka_unit_test(every_duration_that_is_written_is_read_as_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
