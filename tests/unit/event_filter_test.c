/* Event filters: the examples of Amazon EventBridge's documentation and of aws/event-ruler with the
 * documented answers, event-ruler's own answers, arrays, absence, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/buf.h"
#include "common/filter/event_filter.h"

static bool event_matches(const char *pattern, const char *event) {
    struct error err = {0};
    struct event_filter *filter = event_filter_new(span_of(pattern), &err);
    if (!filter)
        fail_msg("%s: %s", pattern, err.message);
    bool answer = event_filter_matches(filter, span_of(event));
    event_filter_free(filter);
    return answer;
}

/* Whether `{"data": pattern}` matches an event with this data. */
static bool matches(const char *pattern, const char *data) {
    struct buf filter = {0}, event = {0};
    buf_printf(&filter, "{\"data\":%s}", pattern);
    buf_printf(&event, "{\"topic\":\"drug.copay\",\"id\":\"a-1\",\"ts\":\"now\",\"data\":%s}",
               data);
    bool answer = event_matches(buf_string(&filter), buf_string(&event));
    buf_fini(&filter);
    buf_fini(&event);
    return answer;
}

static void assert_refused(const char *pattern, const char *reason) {
    struct error err = {0};
    struct event_filter *filter = event_filter_new(span_of(pattern), &err);
    if (filter)
        fail_msg("taken: %s", pattern);
    if (!strstr(err.message, reason))
        fail_msg("%s: '%s' has not '%s'", pattern, err.message, reason);
}

/* The event of event-ruler's README. */
static const char ruler_event[] =
    "{\"version\":\"0\",\"id\":\"ddddd4-aaaa-7777-4444-345dd43cc333\","
    "\"detail-type\":\"EC2 Instance State-change Notification\",\"source\":\"aws.ec2\","
    "\"account\":\"012345679012\",\"time\":\"2017-10-02T16:24:49Z\",\"region\":\"us-east-1\","
    "\"resources\":[\"arn:aws:ec2:us-east-1:123456789012:instance/i-000000aaaaaa00000\"],"
    "\"detail\":{\"c-count\":5,\"d-count\":3,\"x-limit\":301.8,\"source-ip\":\"10.0.0.33\","
    "\"instance-id\":\"i-000000aaaaaa00000\",\"state\":\"running\"}}";

static void test_the_examples_of_event_ruler_give_the_documented_answers(void **state) {
    static const struct {
        bool answer;
        const char *pattern;
    } examples[] = {
        {true, "{\"detail-type\":[\"EC2 Instance State-change Notification\"],\"resources\":[\"arn:"
               "aws:ec2:us-east-1:123456789012:instance/i-000000aaaaaa00000\"],\"detail\":{"
               "\"state\":[\"initializing\",\"running\"]}}"},
        {true, "{\"time\":[{\"prefix\":\"2017-10-02\"}]}"},
        {false, "{\"time\":[{\"prefix\":\"2018\"}]}"},
        {true, "{\"source\":[{\"prefix\":{\"equals-ignore-case\":\"AWS.\"}}]}"},
        {false, "{\"source\":[{\"prefix\":{\"equals-ignore-case\":\"EC2\"}}]}"},
        {true, "{\"source\":[{\"suffix\":\"ec2\"}]}"},
        {true, "{\"source\":[{\"suffix\":{\"equals-ignore-case\":\"EC2\"}}]}"},
        {true, "{\"source\":[{\"equals-ignore-case\":\"AWS.EC2\"}]}"},
        {false, "{\"source\":[{\"equals-ignore-case\":\"EC2\"}]}"},
        {true, "{\"source\":[{\"wildcard\":\"aws.*2\"}]}"},
        {true, "{\"detail\":{\"state\":[{\"anything-but\":\"initializing\"}]}}"},
        {false, "{\"detail\":{\"state\":[{\"anything-but\":\"running\"}]}}"},
        {true, "{\"detail\":{\"x-limit\":[{\"anything-but\":123}]}}"},
        {true, "{\"detail\":{\"state\":[{\"anything-but\":[\"stopped\",\"overloaded\"]}]}}"},
        {false, "{\"detail\":{\"state\":[{\"anything-but\":[\"stopped\",\"running\"]}]}}"},
        {true, "{\"detail\":{\"x-limit\":[{\"anything-but\":[100,200,300]}]}}"},
        {false, "{\"detail\":{\"x-limit\":[{\"anything-but\":[100,301.80]}]}}"},
        {true, "{\"detail\":{\"state\":[{\"anything-but\":{\"prefix\":\"init\"}}]}}"},
        {false, "{\"detail\":{\"state\":[{\"anything-but\":{\"prefix\":[\"init\",\"run\"]}}]}}"},
        {true, "{\"detail\":{\"instance-id\":[{\"anything-but\":{\"suffix\":\"1234\"}}]}}"},
        {false, "{\"detail\":{\"state\":[{\"anything-but\":{\"equals-ignore-case\":[\"Stopped\","
                "\"RUNNING\"]}}]}}"},
        {false, "{\"detail\":{\"state\":[{\"anything-but\":{\"wildcard\":\"r*g\"}}]}}"},
        {true, "{\"detail\":{\"state\":[{\"anything-but\":{\"wildcard\":[\"*/bin/*.jar\","
               "\"*/bin/*.class\"]}}]}}"},
        {true, "{\"detail\":{\"c-count\":[{\"numeric\":[\">\",0,\"<=\",5]}],\"d-count\":[{"
               "\"numeric\":[\"<\",10]}],\"x-limit\":[{\"numeric\":[\"=\",3.018e2]}]}}"},
        {false, "{\"detail\":{\"c-count\":[{\"numeric\":[\">\",0,\"<\",5]}]}}"},
        {true, "{\"detail\":{\"source-ip\":[{\"cidr\":\"10.0.0.0/24\"}]}}"},
        {false, "{\"detail\":{\"source-ip\":[{\"cidr\":\"10.0.1.0/24\"}]}}"},
        {true, "{\"detail\":{\"c-count\":[{\"exists\":true}]}}"},
        {false, "{\"detail\":{\"c-count\":[{\"exists\":false}]}}"},
        {true, "{\"detail\":{\"e-count\":[{\"exists\":false}]}}"},
        {true, "{\"detail\":[{\"exists\":false}]}"}, /* no scalar is at that place */
        {true, "{\"time\":[{\"prefix\":\"2017-10-02\"}],\"detail\":{\"state\":[{\"anything-but\":"
               "\"initializing\"}],\"c-count\":[{\"numeric\":[\">\",0,\"<=\",5]}],\"d-count\":[{"
               "\"numeric\":[\"<\",10]}],\"x-limit\":[{\"anything-but\":[100,200,300]}],"
               "\"source-ip\":[{\"cidr\":\"10.0.0.0/8\"}]}}"},
        {true, "{\"source\":[\"aws.ec2\"],\"$or\":[{\"account\":[\"1\"]},{\"region\":[\"us-east-1\""
               "]}]}"},
        {false, "{\"source\":[\"aws.ec2\"],\"$or\":[{\"account\":[\"1\"]},{\"region\":[\"x\"]}]}"},
        {true, "{\"$or\":[{\"account\":[\"1\"]},{\"region\":[\"us-east-1\"]}],\"detail\":{\"$or\":["
               "{\"state\":[\"running\"]},{\"c-count\":[9]}]}}"},
        {true, "{\"$or\":[{\"account\":[\"1\"]},{\"region\":[\"us-east-1\"],\"$or\":[{\"time\":["
               "\"x\"]},{\"detail\":{\"d-count\":[3]}}]}]}"},
        {false, "{\"$or\":[{\"account\":[\"1\"]},{\"region\":[\"us-east-1\"],\"$or\":[{\"time\":["
                "\"x\"]},{\"detail\":{\"d-count\":[4]}}]}]}"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++)
        if (matches(examples[i].pattern, ruler_event) != examples[i].answer)
            fail_msg("must be %d: %s", examples[i].answer, examples[i].pattern);
}

/* Checks each example of a file in tests/unit/filter: a line with a pattern, and under it lines
 * with "yes " or "no " and an event. */
static void check_examples(const char *path) {
    char line[4096], pattern[4096] = "";
    FILE *file = fopen(path, "r");
    size_t count = 0;
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        bool yes = strncmp(line, "yes ", 4) == 0;
        if (*line == '{')
            snprintf(pattern, sizeof pattern, "%s", line);
        else if (yes || strncmp(line, "no ", 3) == 0) {
            count++;
            if (matches(pattern, strchr(line, ' ') + 1) != yes)
                fail_msg("%s: %s\n%s", path, pattern, line);
        } else
            assert_true(!*line || *line == '#');
    }
    fclose(file);
    assert_true(count > 100);
}

static void test_the_examples_of_eventbridge_give_the_documented_answers(void **state) {
    (void)state;
    check_examples("tests/unit/filter/eventbridge.txt");
}

static void test_generated_patterns_give_the_answers_of_event_ruler(void **state) {
    (void)state;
    check_examples("tests/unit/filter/ruler.txt");
}

static void test_the_pattern_is_copied(void **state) {
    char pattern[] = "{\"data\":{\"a\":[7,{\"numeric\":[\">\",100]},\"x\",{\"prefix\":\"y\"}]}}";
    struct error err;
    (void)state;
    struct event_filter *filter = event_filter_new(span_of(pattern), &err);
    memset(pattern, '9', sizeof pattern - 1);
    assert_true(event_filter_matches(filter, span_of("{\"topic\":\"a\",\"data\":{\"a\":7.0}}")));
    assert_true(event_filter_matches(filter, span_of("{\"topic\":\"a\",\"data\":{\"a\":101}}")));
    assert_true(event_filter_matches(filter, span_of("{\"topic\":\"a\",\"data\":{\"a\":\"yx\"}}")));
    assert_false(event_filter_matches(filter, span_of("{\"topic\":\"a\",\"data\":{\"a\":99}}")));
    event_filter_free(filter);
}

static void test_members_of_the_event_itself_can_be_asked_for(void **state) {
    static const char event[] =
        "{\"topic\":\"drug.copay\",\"id\":\"a-1\",\"key\":\"k\",\"ts\":\"now\","
        "\"source_cursor\":17,\"data\":{\"state\":\"MD\"}}";
    (void)state;
    assert_true(event_matches("{\"topic\":[{\"prefix\":\"drug.\"}]}", event));
    assert_false(event_matches("{\"topic\":[\"drug\"]}", event));
    assert_true(event_matches("{\"id\":[\"a-1\"],\"key\":[\"k\"],\"source_cursor\":[17]}", event));
    assert_true(event_matches("{\"source_cursor\":[{\"numeric\":[\">=\",17]}]}", event));
    assert_false(event_matches("{\"key\":[{\"exists\":false}]}", event));
    assert_true(
        event_matches("{\"$or\":[{\"topic\":[\"x\"]},{\"data\":{\"state\":[\"MD\"]}}]}", event));
}

static void test_of_an_array_one_element_suffices_and_the_same_for_all_fields(void **state) {
    static const char people[] =
        "{\"employees\":[{\"first\":\"John\",\"last\":\"Doe\"},{\"first\":\"Anna\",\"last\":"
        "\"Smith\"},{\"first\":\"Peter\",\"last\":\"Jones\"}]}";
    static const char nested[] =
        "{\"employees\":[[{\"first\":\"John\",\"last\":\"Doe\"}],[{\"first\":\"Peter\",\"last\":"
        "\"Jones\"}]]}";
    (void)state;
    assert_true(matches("{\"employees\":{\"first\":[\"Anna\"]}}", people));
    assert_false(matches("{\"employees\":{\"first\":[\"Anna\"],\"last\":[\"Jones\"]}}", people));
    assert_true(matches("{\"employees\":{\"first\":[\"Peter\"],\"last\":[\"Jones\"]}}", nested));
    assert_false(matches("{\"employees\":{\"first\":[\"John\"],\"last\":[\"Jones\"]}}", nested));
    assert_true(matches("{\"tags\":[\"b\"]}", "{\"tags\":[\"a\",[\"b\"]]}"));
    assert_true(matches("{\"tags\":[{\"anything-but\":\"a\"}]}", "{\"tags\":[\"a\",\"b\"]}"));
    assert_false(matches("{\"tags\":[{\"anything-but\":\"a\"}]}", "{\"tags\":[\"a\"]}"));
    assert_false(matches("{\"tags\":[{\"exists\":true}]}", "{\"tags\":[]}"));
    assert_false(matches("{\"tags\":[\"a\"]}", "{\"tags\":{\"a\":1}}"));
}

static void test_absence_must_hold_in_all_elements_or_in_the_one_that_matched(void **state) {
    (void)state;
    assert_false(matches("{\"d\":{\"a\":[{\"exists\":false}]}}", "{\"d\":[{\"a\":1},{\"b\":2}]}"));
    assert_true(matches("{\"d\":{\"a\":[{\"exists\":false}]}}", "{\"d\":[{\"c\":1},{\"b\":2}]}"));
    assert_true(matches("{\"d\":{\"a\":[{\"exists\":false}]}}", "{\"d\":[]}"));
    assert_true(matches("{\"d\":{\"a\":[{\"exists\":false}]}}", "{\"d\":7}"));
    assert_true(matches("{\"d\":{\"a\":[{\"exists\":false}]}}", "{}"));
    assert_true(
        matches("{\"d\":{\"c\":[{\"exists\":false}],\"b\":[2]}}", "{\"d\":[{\"c\":1},{\"b\":2}]}"));
    assert_false(
        matches("{\"d\":{\"c\":[{\"exists\":false}],\"b\":[2]}}", "{\"d\":[{\"c\":1,\"b\":2}]}"));
    assert_false(
        matches("{\"d\":{\"a\":[\"x\",{\"exists\":false}]}}", "{\"d\":[{\"a\":\"y\"},{\"b\":1}]}"));
    assert_true(matches("{\"d\":{\"a\":[\"x\",{\"exists\":false}]}}", "{\"d\":{\"b\":1}}"));
}

static void test_values_keep_their_kind(void **state) {
    (void)state;
    assert_false(matches("{\"a\":[\"1\"]}", "{\"a\":1}"));
    assert_false(matches("{\"a\":[1]}", "{\"a\":\"1\"}"));
    assert_true(matches("{\"a\":[null]}", "{\"a\":null}"));
    assert_false(matches("{\"a\":[null]}", "{\"b\":1}"));
    assert_true(matches("{\"a\":[{\"exists\":true}]}", "{\"a\":null}"));
    assert_true(matches("{\"a\":[true]}", "{\"a\":true}"));
    assert_false(matches("{\"a\":[\"true\"]}", "{\"a\":true}"));
    assert_false(matches("{\"a\":[{\"prefix\":\"1\"}]}", "{\"a\":1}"));
    assert_true(matches("{\"a\":[{\"anything-but\":\"x\"}]}", "{\"a\":5}"));
    assert_false(matches("{\"a\":[{\"numeric\":[\"=\",1]}]}", "{\"a\":\"1\"}"));
}

static void test_numbers_are_compared_as_decimals_without_loss(void **state) {
    (void)state;
    assert_true(matches("{\"a\":[0.1]}", "{\"a\":1e-1}"));
    assert_true(matches("{\"a\":[100]}", "{\"a\":1.00E2}"));
    assert_true(matches("{\"a\":[0]}", "{\"a\":-0.0e9}"));
    assert_false(matches("{\"a\":[12345678901234567890123456789]}",
                         "{\"a\":12345678901234567890123456788}"));
    assert_true(matches("{\"a\":[{\"numeric\":[\">\",12345678901234567890123456788]}]}",
                        "{\"a\":12345678901234567890123456789}"));
    assert_true(matches("{\"a\":[{\"numeric\":[\"<\",-0.5]}]}", "{\"a\":-0.50001}"));
    assert_false(matches("{\"a\":[{\"numeric\":[\"<\",-0.5]}]}", "{\"a\":0.6}"));
    assert_true(matches("{\"a\":[{\"numeric\":[\">\",1e999999999999999999999]}]}",
                        "{\"a\":1e9999999999999999999999}") == false);
}

static void test_text_is_compared_without_its_escapes(void **state) {
    (void)state;
    assert_true(matches("{\"a\\u0062\":[\"x\\ny\"]}", "{\"ab\":\"x\\u000ay\"}"));
    assert_true(matches("{\"ab\":[{\"suffix\":\"é\"}]}", "{\"a\\u0062\":\"caf\\u00e9\"}"));
    assert_true(matches("{\"a\":[{\"equals-ignore-case\":\"CAFÉ\"}]}", "{\"a\":\"caf\\u00e9\"}"));
    assert_true(matches("{\"a\":[\"\\ud83d\\ude00\"]}", "{\"a\":\"😀\"}"));
}

static void test_wildcards(void **state) {
    (void)state;
    assert_true(matches("{\"a\":[{\"wildcard\":\"*/bin/*.jar\"}]}", "{\"a\":\"x/bin/y.jar\"}"));
    assert_false(matches("{\"a\":[{\"wildcard\":\"*/bin/*.jar\"}]}", "{\"a\":\"x/bin.jar\"}"));
    assert_true(matches("{\"a\":[{\"wildcard\":\"*\"}]}", "{\"a\":\"\"}"));
    assert_false(matches("{\"a\":[{\"wildcard\":\"ab*ba\"}]}", "{\"a\":\"aba\"}"));
    assert_true(matches("{\"a\":[{\"wildcard\":\"a\\\\*b\\\\\\\\*\"}]}", "{\"a\":\"a*b\\\\c\"}"));
    assert_false(matches("{\"a\":[{\"wildcard\":\"plain\"}]}", "{\"a\":\"plainer\"}"));
}

static void test_addresses(void **state) {
    (void)state;
    assert_true(matches("{\"a\":[\"::1\"]}", "{\"a\":\"0:0:0:0:0:0:0:1\"}"));
    assert_true(matches("{\"a\":[{\"anything-but\":\"::1\"}]}", "{\"a\":\"0:0:0:0:0:0:0:1\"}"));
    assert_false(matches("{\"a\":[{\"anything-but\":\"::1\"}]}", "{\"a\":\"::1\"}"));
    assert_true(matches("{\"a\":[{\"cidr\":\"2001:db8::/32\"}]}", "{\"a\":\"2001:db8:1::5\"}"));
    assert_false(matches("{\"a\":[{\"cidr\":\"::/0\"}]}", "{\"a\":\"10.0.0.1\"}"));
    assert_false(matches("{\"a\":[{\"cidr\":\"0.0.0.0/0\"}]}", "{\"a\":\"host\"}"));
    assert_false(matches("{\"a\":[{\"cidr\":\"10.0.0.0/8\"}]}", "{\"a\":\"10.0.0.0/8\"}"));
}

static void test_what_is_refused_names_its_place(void **state) {
    (void)state;
    assert_refused("[]", "must be an object");
    assert_refused("{}", "an empty object");
    assert_refused("{\"data\":", "line 1");
    assert_refused("{\"tipic\":[\"a\"]}", "tipic: unknown: may be topic, key, id, source_cursor");
    assert_refused("{\"data\":{\"a\":\"x\"}}", "data.a: must be a list of conditions");
    assert_refused("{\"data\":{\"a\":[]}}", "data.a: an empty list");
    assert_refused("{\"data\":{\"a\":[1,{\"numerik\":[\"<\",1]}]}}",
                   "data.a[1]: unknown operator 'numerik': known are exactly, prefix");
    assert_refused("{\"data\":{\"a\":[{\"numeric\":[\"<\",1,\">\",0]}]}}", "then an upper one");
    assert_refused("{\"data\":{\"a\":[{\"numeric\":[\">\",5,\"<\",5]}]}}", "no number is within");
    assert_refused("{\"data\":{\"a\":[{\"numeric\":[\"~\",5]}]}}", "must be one of");
    assert_refused("{\"data\":{\"a\":[{\"numeric\":[\"<\",\"5\"]}]}}", "must be a number");
    assert_refused("{\"data\":{\"a\":[{\"wildcard\":\"a**b\"}]}}", "two * in a row");
    assert_refused("{\"data\":{\"a\":[{\"wildcard\":\"a\\\\b\"}]}}", "before * or");
    assert_refused("{\"data\":{\"a\":[{\"cidr\":\"10.0.0.0/33\"}]}}", "from 0 to 32");
    assert_refused("{\"data\":{\"a\":[{\"cidr\":\"10.0.0.1\"}]}}", "takes a range");
    assert_refused("{\"data\":{\"a\":[{\"exists\":1}]}}", "true or false");
    assert_refused("{\"data\":{\"a\":[{\"anything-but\":[1,\"a\"]}]}}", "strings and numbers");
    assert_refused("{\"data\":{\"a\":[{\"anything-but\":{\"cidr\":\"10.0.0.0/8\"}}]}}", "one of");
    assert_refused("{\"data\":{\"a\":[{\"prefix\":\"a\",\"suffix\":\"b\"}]}}", "one operator");
    assert_refused("{\"data\":{\"a\":[[1]]}}", "list inside");
    assert_refused("{\"$or\":[{\"topic\":[\"a\"]}]}", "$or: $or takes at least two");
    assert_refused("{\"$or\":[{\"topic\":[\"a\"]},{\"x\":[\"a\"]}]}", "$or[1].x: unknown");
    assert_refused("{\"data\":{\"b\":{\"c\":{\"d\":{\"e\":{\"f\":{\"g\":{\"h\":{\"i\":[1]}}}}}}}}}",
                   "more than 8 levels");
}

static void test_a_filter_that_no_event_can_meet_is_found(void **state) {
    static const struct {
        const char *pattern;
        bool hopeless;
    } cases[] = {{"{\"topic\":[1]}", true},      {"{\"topic\":[{\"exists\":false}]}", true},
                 {"{\"id\":[null]}", true},      {"{\"key\":[{\"exists\":false}]}", false},
                 {"{\"key\":[5]}", true},        {"{\"topic\":[{\"anything-but\":\"a\"}]}", false},
                 {"{\"topic\":[\"a\"]}", false}, {"{\"data\":[5]}", false}};
    struct error err;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct event_filter *filter = event_filter_new(span_of(cases[i].pattern), &err);
        if (!!event_filter_hopeless(filter) != cases[i].hopeless)
            fail_msg("%s", cases[i].pattern);
        event_filter_free(filter);
    }
}

static void test_the_pattern_topic_tells_which_topics_may_match(void **state) {
    struct error err;
    (void)state;
    struct event_filter *filter = event_filter_new(
        span_of("{\"topic\":[{\"prefix\":\"drug.\"},\"x\"]}"), &err);
    assert_true(event_filter_may_match_topic(filter, span_of("drug.copay")));
    assert_true(event_filter_may_match_topic(filter, span_of("x")));
    assert_false(event_filter_may_match_topic(filter, span_of("clinic")));
    event_filter_free(filter);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_examples_of_event_ruler_give_the_documented_answers),
        cmocka_unit_test(test_the_examples_of_eventbridge_give_the_documented_answers),
        cmocka_unit_test(test_generated_patterns_give_the_answers_of_event_ruler),
        cmocka_unit_test(test_the_pattern_is_copied),
        cmocka_unit_test(test_members_of_the_event_itself_can_be_asked_for),
        cmocka_unit_test(test_of_an_array_one_element_suffices_and_the_same_for_all_fields),
        cmocka_unit_test(test_absence_must_hold_in_all_elements_or_in_the_one_that_matched),
        cmocka_unit_test(test_values_keep_their_kind),
        cmocka_unit_test(test_numbers_are_compared_as_decimals_without_loss),
        cmocka_unit_test(test_text_is_compared_without_its_escapes),
        cmocka_unit_test(test_wildcards),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_what_is_refused_names_its_place),
        cmocka_unit_test(test_a_filter_that_no_event_can_meet_is_found),
        cmocka_unit_test(test_the_pattern_topic_tells_which_topics_may_match),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
