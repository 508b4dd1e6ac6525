/* Topics and patterns: their limits; matching and containment compared with regular expressions and
 * enumeration. */
#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/model/pattern.h"

static bool is_topic(const char *text) {
    struct error err;
    return topic_check(span_of(text), &err) == 0;
}

static bool is_pattern(const char *text) {
    struct error err;
    return pattern_check(span_of(text), &err) == 0;
}

static const char *reason_against(int (*check)(struct span, struct error *), const char *text) {
    static struct error err;
    assert_int_equal(check(span_of(text), &err), -1);
    assert_string_equal(err.field, "");
    return err.message;
}

/* --- what is a topic, what a pattern */

static void test_a_topic_has_one_to_eight_segments(void **state) {
    (void)state;
    assert_true(is_topic("a"));
    assert_true(is_topic("drug.copay"));
    assert_true(is_topic("a.b.c.d.e.f.g.h"));
    assert_non_null(
        strstr(reason_against(topic_check, "a.b.c.d.e.f.g.h.i"), "more than 8 segments"));
    assert_non_null(strstr(reason_against(topic_check, ""), "must not be empty"));
}

static void test_no_segment_is_empty(void **state) {
    static const char *const texts[] = {".", "..", ".a", "a.", "a..b", "a.b.", ".a.b", "a. .b"};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_false(is_topic(texts[i]));
        assert_false(is_pattern(texts[i]));
    }
}

static void test_a_segment_has_at_most_64_characters_and_a_topic_100(void **state) {
    char text[160];
    (void)state;
    for (int len = 1; len <= 66; len++) {
        snprintf(text, sizeof text, "%0*d", len, 0);
        assert_int_equal(is_topic(text), len <= 64);
        snprintf(text, sizeof text, "a.%0*d.b", len, 0);
        assert_int_equal(is_topic(text), len <= 64);
    }
    for (int len = 30; len <= 40; len++) {
        snprintf(text, sizeof text, "%064d.%0*d", 0, len, 0);
        assert_int_equal(is_topic(text), len <= 35);
        assert_int_equal(is_pattern(text), len <= 35);
    }
    snprintf(text, sizeof text, "%064d.%033d.*", 0, 0);
    assert_true(is_pattern(text));
}

static void test_of_all_bytes_only_letters_digits_underscore_and_hyphen_make_a_segment(
    void **state) {
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    struct error err;
    (void)state;
    for (int byte = 0; byte < 256; byte++) {
        const char alone[1] = {(char)byte}, within[] = {'a', (char)byte, 'b'};
        bool good = byte && strchr(allowed, byte);
        assert_int_equal(topic_check((struct span){alone, 1}, &err) == 0, good);
        assert_int_equal(pattern_check((struct span){alone, 1}, &err) == 0, good || byte == '*');
        assert_int_equal(topic_check((struct span){within, 3}, &err) == 0, good || byte == '.');
        assert_int_equal(pattern_check((struct span){within, 3}, &err) == 0, good || byte == '.');
    }
}

static void test_a_wildcard_is_a_whole_segment_at_any_place_of_a_pattern_only(void **state) {
    static const char *const good[] = {"*", "a.*", "*.a", "a.*.b", "*.*", "*.*.*.*.*.*.*.*"};
    static const char *const bad[] = {
        "a*",  "*a",  "a.b*", "a.*b.c",           "**", "a.**", "*.a*",
        "a.#", "a.>", "a.?",  "*.*.*.*.*.*.*.*.*"};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(is_pattern(good[i]));
        assert_non_null(strstr(reason_against(topic_check, good[i]), "must not have wildcards"));
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(is_pattern(bad[i]));
    assert_non_null(
        strstr(reason_against(pattern_check, "drug.co*"), "a wildcard must be a whole segment"));
}

/* --- what matches */

static bool matches(const char *pattern, const char *topic) {
    return pattern_matches(span_of(pattern), span_of(topic));
}

static void test_a_wildcard_is_one_segment_but_as_the_last_one_or_more(void **state) {
    static const struct {
        const char *pattern, *topic;
        bool expected;
    } cases[] = {
        {"*", "drug", true},
        {"*", "drug.copay.us.md", true},
        {"appointment.*", "appointment.cancelled", true},
        {"appointment.*", "appointment.cancelled.snow", true},
        {"appointment.*", "appointment", false},
        {"appointment.*", "appointments.cancelled", false},
        {"*.cancelled", "appointment.cancelled", true},
        {"*.cancelled", "cancelled", false},
        {"*.cancelled", "a.b.cancelled", false},
        {"a.*.c", "a.b.c", true},
        {"a.*.c", "a.b.b.c", false},
        {"*.*", "a", false},
        {"*.*", "a.b.c", true},
        {"drug.copay", "drug.copay", true},
        {"drug.copay", "drug.copay.us", false},
        {"drug.copay", "drug", false},
        {"drug.copay", "Drug.copay", false},
        {"drug.copay", "drug.copays", false},
        {"drug.copays", "drug.copay", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (matches(cases[i].pattern, cases[i].topic) != cases[i].expected)
            fail_msg("%s and %s", cases[i].pattern, cases[i].topic);
}

/* All texts of 1 to `segments_max` segments out of three one-letter ones. */
enum {
    PATTERN_SEGMENTS = 4,
    TOPIC_SEGMENTS = 5,
    PATTERNS = 3 + 9 + 27 + 81,
    TOPICS = PATTERNS + 243
};
static char patterns[PATTERNS][2 * PATTERN_SEGMENTS], topics[TOPICS][2 * TOPIC_SEGMENTS];

static void fill(char *texts, size_t width, int segments_max, const char letters[3]) {
    int combinations = 1;
    for (int segments = 1; segments <= segments_max; segments++) {
        combinations *= 3;
        for (int n = 0; n < combinations; n++, texts += width)
            for (int i = 0, rest = n; i < segments; i++, rest /= 3)
                snprintf(texts + 2 * i, 3, i + 1 < segments ? "%c." : "%c", letters[rest % 3]);
    }
}

static int fill_all(void **state) {
    (void)state;
    fill(patterns[0], sizeof patterns[0], PATTERN_SEGMENTS, "ab*");
    fill(topics[0], sizeof topics[0], TOPIC_SEGMENTS, "abc");
    return 0;
}

/* A pattern as an extended regular expression. */
static regex_t expression_of(const char *pattern) {
    char text[256] = "^";
    regex_t expression;
    for (const char *p = pattern; *p; p++) {
        size_t len = strlen(text);
        const char *part = *p == '.' ? "[.]" : p[0] == '*' && !p[1] ? "[^.]+([.][^.]+)*" : "[^.]+";
        if (*p == '.' || *p == '*')
            snprintf(text + len, sizeof text - len, "%s", part);
        else
            snprintf(text + len, sizeof text - len, "%c", *p);
    }
    size_t len = strlen(text);
    snprintf(text + len, sizeof text - len, "$");
    assert_int_equal(regcomp(&expression, text, REG_EXTENDED | REG_NOSUB), 0);
    return expression;
}

static void test_matching_agrees_with_regular_expressions_on_all_short_patterns_and_topics(
    void **state) {
    (void)state;
    for (size_t p = 0; p < PATTERNS; p++) {
        regex_t expression = expression_of(patterns[p]);
        for (size_t t = 0; t < TOPICS; t++) {
            bool matched = matches(patterns[p], topics[t]);
            if (matched != (regexec(&expression, topics[t], 0, NULL, 0) == 0))
                fail_msg("%s and %s", patterns[p], topics[t]);
        }
        regfree(&expression);
    }
}

/* A topic longer than any pattern, and a letter that no pattern has, stand for all others. */
static void test_one_pattern_is_within_another_if_the_other_matches_all_that_it_matches(
    void **state) {
    size_t within = 0;
    (void)state;
    for (size_t i = 0; i < PATTERNS; i++) {
        for (size_t o = 0; o < PATTERNS; o++) {
            bool all = true;
            for (size_t t = 0; t < TOPICS && all; t++)
                all = !matches(patterns[i], topics[t]) || matches(patterns[o], topics[t]);
            if (pattern_within(span_of(patterns[i]), span_of(patterns[o])) != all)
                fail_msg("%s within %s", patterns[i], patterns[o]);
            within += all;
        }
    }
    assert_in_range(within, PATTERNS + 1, PATTERNS * PATTERNS - 1);
}

static void test_a_topic_is_within_a_pattern_exactly_when_it_matches(void **state) {
    (void)state;
    for (size_t p = 0; p < PATTERNS; p++)
        for (size_t t = 0; t < TOPICS; t++)
            assert_int_equal(pattern_within(span_of(topics[t]), span_of(patterns[p])),
                             matches(patterns[p], topics[t]));
}

static void test_texts_need_no_nul_behind_them(void **state) {
    static const char text[] = "drug.copay.us";
    struct error err;
    (void)state;
    assert_int_equal(topic_check((struct span){text, 10}, &err), 0);
    assert_true(pattern_matches((struct span){text, 10}, span_of("drug.copay")));
    assert_true(pattern_matches(span_of("drug.*"), (struct span){text, 6}));
    assert_false(pattern_matches(span_of("drug.copay.us"), (struct span){text, 10}));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_topic_has_one_to_eight_segments),
        cmocka_unit_test(test_no_segment_is_empty),
        cmocka_unit_test(test_a_segment_has_at_most_64_characters_and_a_topic_100),
        cmocka_unit_test(
            test_of_all_bytes_only_letters_digits_underscore_and_hyphen_make_a_segment),
        cmocka_unit_test(test_a_wildcard_is_a_whole_segment_at_any_place_of_a_pattern_only),
        cmocka_unit_test(test_a_wildcard_is_one_segment_but_as_the_last_one_or_more),
        cmocka_unit_test(
            test_matching_agrees_with_regular_expressions_on_all_short_patterns_and_topics),
        cmocka_unit_test(
            test_one_pattern_is_within_another_if_the_other_matches_all_that_it_matches),
        cmocka_unit_test(test_a_topic_is_within_a_pattern_exactly_when_it_matches),
        cmocka_unit_test(test_texts_need_no_nul_behind_them),
    };
    return cmocka_run_group_tests(tests, fill_all, NULL);
}
