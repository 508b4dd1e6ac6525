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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_is_wanted_when_one_pattern_matches_its_topic),
        cmocka_unit_test(one_without_patterns_wants_nothing),
        cmocka_unit_test(none_at_all_wants_everything),
        cmocka_unit_test(an_event_of_a_later_version_is_judged_by_its_topic),
        cmocka_unit_test(a_pattern_is_copied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
