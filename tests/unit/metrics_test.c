/* Metrics as Prometheus reads them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/http/metrics.h"

static struct buf out;

static int clear(void **state) {
    (void)state;
    buf_clear(&out);
    return 0;
}

static int drop(void **state) {
    (void)state;
    buf_fini(&out);
    return 0;
}

static void test_a_family_has_its_help_and_type_and_a_value_its_labels(void **state) {
    (void)state;
    metrics_family(&out, "ess_kafka_up", "gauge", "1 while a broker answers.");
    metrics_value(&out, "ess_kafka_up", "", 1);
    metrics_value(&out, "ess_x", "a=\"b\"", 0.5);
    assert_string_equal(buf_string(&out),
                        "# HELP ess_kafka_up 1 while a broker answers.\n# TYPE ess_kafka_up gauge\n"
                        "ess_kafka_up 1\ness_x{a=\"b\"} 0.5\n");
}

static void test_large_values_keep_their_digits(void **state) {
    (void)state;
    metrics_value(&out, "c", "", 123456789012345);
    metrics_value(&out, "c", "", 1e18);
    metrics_value(&out, "c", "", 0.000001);
    assert_string_equal(buf_string(&out), "c 123456789012345\nc 1e+18\nc 1e-06\n");
}

static void test_labels_are_escaped_and_joined(void **state) {
    (void)state;
    metrics_label(&out, "subscriber", "md-mm1");
    metrics_label(&out, "reason", "a \"b\"\\c\nd");
    assert_string_equal(buf_string(&out), "subscriber=\"md-mm1\",reason=\"a \\\"b\\\"\\\\c\\nd\"");
}

/* The value of the line that begins with `name`. */
static double value_of(const char *name) {
    const char *at = strstr(buf_string(&out), name);
    assert_non_null(at);
    return at ? strtod(at + strlen(name), NULL) : 0;
}

static void test_a_histogram_counts_what_is_at_or_below_each_bound(void **state) {
    struct histogram h = {.sum = 0};
    (void)state;
    histogram_observe_us(&h, 0);
    histogram_observe_us(&h, 100);
    histogram_observe_us(&h, 101);
    histogram_observe_us(&h, 60000000);
    histogram_observe_us(&h, 60000001);
    histogram_observe_us(&h, -5); /* a clock that was set back */
    metrics_histogram(&out, "t", "", &h);
    assert_true(value_of("t_bucket{le=\"0.0001\"} ") == 3);
    assert_true(value_of("t_bucket{le=\"0.0002\"} ") == 4);
    assert_true(value_of("t_bucket{le=\"30\"} ") == 4);
    assert_true(value_of("t_bucket{le=\"60\"} ") == 5);
    assert_true(value_of("t_bucket{le=\"+Inf\"} ") == 6);
    assert_true(value_of("t_count ") == 6);
    assert_true(value_of("t_sum ") > 120 && value_of("t_sum ") < 120.001);
}

static void test_a_histogram_has_its_labels_on_every_line(void **state) {
    const struct histogram h = {.sum = 0};
    size_t lines = 0, labelled = 0;
    (void)state;
    metrics_histogram(&out, "t", "a=\"b\"", &h);
    for (char *line = out.data; *line; line = strchr(line, '\n') + 1) {
        lines++;
        labelled += strncmp(line, "t_bucket{a=\"b\",le=\"", 19) == 0 ||
                    strncmp(line, "t_sum{a=\"b\"} ", 13) == 0 ||
                    strncmp(line, "t_count{a=\"b\"} ", 15) == 0;
    }
    assert_int_equal(lines, HISTOGRAM_BUCKETS + 3);
    assert_int_equal(labelled, lines);
}

static void test_the_process_is_described(void **state) {
    (void)state;
    metrics_process(&out);
    assert_true(value_of("\nprocess_cpu_seconds_total ") >= 0);
    assert_true(value_of("\nprocess_resident_memory_bytes ") > 100000);
    assert_true(value_of("\nprocess_open_fds ") >= 3);
    assert_true(value_of("\nprocess_start_time_seconds ") > 1.7e9);
    assert_non_null(strstr(buf_string(&out), "\ness_build_info{version=\""));
}

#define metrics_test(f) cmocka_unit_test_setup_teardown(f, clear, drop)

int main(void) {
    const struct CMUnitTest tests[] = {
        metrics_test(test_a_family_has_its_help_and_type_and_a_value_its_labels),
        metrics_test(test_large_values_keep_their_digits),
        metrics_test(test_labels_are_escaped_and_joined),
        metrics_test(test_a_histogram_counts_what_is_at_or_below_each_bound),
        metrics_test(test_a_histogram_has_its_labels_on_every_line),
        metrics_test(test_the_process_is_described)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
