/* Which events are wanted. */
#include "common/model/subscription.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static const char stored[] = "{\"topic\":\"drug.copay\",\"id\":\"1\",\"data\":{}}";

static bool wants(const struct subscription *s, const char *topic) {
    return subscription_wants(s, span_of(topic), span_of(stored));
}

static void an_event_is_wanted_when_one_pattern_matches_its_topic(void **state) {
    struct subscription s = {0};
    (void)state;
    subscription_add(&s, "appointment.*");
    subscription_add(&s, "drug.copay");
    assert_true(wants(&s, "drug.copay"));
    assert_true(wants(&s, "appointment.made.late"));
    assert_false(wants(&s, "drug"));
    assert_false(wants(&s, "drug.copay.us"));
    assert_true(subscription_wants_topic(&s, span_of("appointment.made")));
    assert_false(subscription_wants_topic(&s, span_of("appointment")));
    subscription_fini(&s);
}

static void one_without_patterns_wants_nothing(void **state) {
    struct subscription s = {0};
    (void)state;
    assert_false(wants(&s, "drug.copay"));
    subscription_add(&s, "*");
    assert_true(wants(&s, "drug.copay"));
    subscription_fini(&s);
    assert_false(wants(&s, "drug.copay"));
}

static void none_at_all_wants_everything(void **state) {
    (void)state;
    assert_true(wants(NULL, "drug.copay"));
    assert_true(subscription_wants_topic(NULL, span_of("a")));
}

static void an_event_of_a_later_version_is_judged_by_its_topic(void **state) {
    struct subscription s = {0};
    (void)state;
    subscription_add(&s, "drug.*");
    assert_true(subscription_wants(&s, span_of("drug.copay"), (struct span){NULL, 0}));
    assert_false(subscription_wants(&s, span_of("claim.paid"), (struct span){NULL, 0}));
    subscription_fini(&s);
}

static void a_pattern_is_copied(void **state) {
    struct subscription s = {0};
    char pattern[] = "drug.*";
    (void)state;
    subscription_add(&s, pattern);
    snprintf(pattern, sizeof pattern, "x");
    assert_true(wants(&s, "drug.copay"));
    subscription_fini(&s);
}

static void set_filter(struct subscription *s, const char *filter) {
    struct error err;
    if (subscription_set_filter(s, span_of(filter), &err))
        fail_msg("%s", err.message);
}

static void a_filter_decides_among_the_events_of_wanted_topics(void **state) {
    struct subscription s = {0};
    const struct span topic = span_of("drug.copay");
    (void)state;
    subscription_add(&s, "drug.*");
    set_filter(&s, "{\"data\":{\"state\":[\"MD\"]}}");
    assert_true(subscription_wants_topic(&s, topic));
    assert_true(subscription_wants(
        &s, topic, span_of("{\"topic\":\"drug.copay\",\"data\":{\"state\":\"MD\"}}")));
    assert_false(subscription_wants(
        &s, topic, span_of("{\"topic\":\"drug.copay\",\"data\":{\"state\":\"VA\"}}")));
    assert_false(subscription_wants(&s, span_of("claim"),
                                    span_of("{\"topic\":\"claim\",\"data\":{\"state\":\"MD\"}}")));
    assert_true(subscription_wants(&s, topic, (struct span){NULL, 0}));
    assert_true(subscription_wants(&s, topic, (struct span){"", 0})); /* as a chunk gives it */
    subscription_fini(&s);
}

static void a_topic_that_the_filter_excludes_is_not_wanted(void **state) {
    struct subscription s = {0};
    (void)state;
    subscription_add(&s, "drug.*");
    set_filter(&s, "{\"topic\":[{\"suffix\":\".copay\"}]}");
    assert_true(subscription_wants_topic(&s, span_of("drug.copay")));
    assert_false(subscription_wants_topic(&s, span_of("drug.price")));
    assert_false(subscription_wants(&s, span_of("drug.price"), (struct span){NULL, 0}));
    subscription_fini(&s);
}

static void a_bad_filter_is_refused_with_its_place(void **state) {
    static const struct {
        const char *filter, *field, *message;
    } cases[] = {
        {"{\"data\":{\"a\":[{\"numerik\":[\"<\",1]}]}}", "filter.data.a[0]",
         "filter.data.a[0]: unknown operator 'numerik': known are "},
        {"[]", "filter", "filter: must be an object"},
        {"{\"data\":", "filter", "filter: not valid JSON at line 1"},
        {"{\"data\":{\"a\":[1],\"a\":[2]}}", "filter", "is there twice"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct subscription s = {0};
        struct error err;
        assert_int_equal(subscription_set_filter(&s, span_of(cases[i].filter), &err), -1);
        assert_string_equal(err.field, cases[i].field);
        if (strncmp(err.message, "filter", 6) != 0 || !strstr(err.message, cases[i].message))
            fail_msg("%s", err.message);
        subscription_fini(&s);
    }
}

static void a_filter_that_contradicts_the_topics_is_found(void **state) {
    static const struct {
        const char *topics[2], *filter;
        bool hopeless;
    } cases[] = {
        {{"drug.copay", "drug.price"}, "{\"topic\":[\"drug.copay\"]}", false},
        {{"drug.copay", "drug.price"}, "{\"topic\":[\"drug.rule\"]}", true},
        {{"drug.copay", "drug.*"}, "{\"topic\":[\"claim\"]}", false}, /* a pattern: not examined */
        {{"drug.copay", "*"}, "{\"topic\":[5]}", true},
        {{"drug.copay", "drug.price"}, "{\"data\":{\"topic\":[\"x\"]}}", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct subscription s = {0};
        assert_null(subscription_hopeless(&s));
        for (int t = 0; t < 2; t++)
            subscription_add(&s, cases[i].topics[t]);
        set_filter(&s, cases[i].filter);
        if (!!subscription_hopeless(&s) != cases[i].hopeless)
            fail_msg("%s", cases[i].filter);
        subscription_fini(&s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_is_wanted_when_one_pattern_matches_its_topic),
        cmocka_unit_test(one_without_patterns_wants_nothing),
        cmocka_unit_test(none_at_all_wants_everything),
        cmocka_unit_test(an_event_of_a_later_version_is_judged_by_its_topic),
        cmocka_unit_test(a_pattern_is_copied),
        cmocka_unit_test(a_filter_decides_among_the_events_of_wanted_topics),
        cmocka_unit_test(a_topic_that_the_filter_excludes_is_not_wanted),
        cmocka_unit_test(a_bad_filter_is_refused_with_its_place),
        cmocka_unit_test(a_filter_that_contradicts_the_topics_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
