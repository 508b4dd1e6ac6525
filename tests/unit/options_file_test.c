/* The YAML file of options: nested and dotted names, lists and maps, and everything that is
 * refused, with its line. */
#include "tests/unit/options_fixture.h"

#define BYTE_ORDER_MARK(text) "\xef\xbb\xbf" text

static void nested_and_dotted_names_are_the_same(void **state) {
    (void)state;
    static const char *const files[] = {
        "delivery.timeout: 3s\ndelivery.max_attempts: 4\n",
        "delivery:\n  timeout: 3s\n  max_attempts: 4\n",
        "delivery: {timeout: 3s, max_attempts: 4}\n",
        "delivery: {timeout: 3s}\ndelivery.max_attempts: 4\n",
        "{\"delivery\": {\"timeout\": \"3s\", \"max_attempts\": 4}}",
        "---\n# comment\ndelivery:\r\n  timeout: '3s' # comment\r\n  \"max_attempts\": "
        "\"4\"\r\n...\n",
        BYTE_ORDER_MARK("delivery: {timeout: 3s, max_attempts: 4}"),
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        if (load_file(files[i]) != OPTIONS_READY)
            fail_msg("%s", err.message);
        assert_int_equal(target.timeout, 3000);
        assert_int_equal(target.attempts, 4);
    }
}

static void an_empty_file_leaves_all_at_their_defaults(void **state) {
    (void)state;
    static const char *const files[] = {"", "\n", "# comment\n", "---\n", "~\n", "{}\n"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        if (load_file(files[i]) != OPTIONS_READY)
            fail_msg("'%s': %s", files[i], err.message);
        assert_int_equal(target.attempts, 15);
    }
}

static void a_section_with_nothing_in_it_is_empty(void **state) {
    (void)state;
    assert_int_equal(
        load_file("kafka:\n  # brokers: x\ndelivery: ~\negress: {}\nplain: 5\nkafka.rdkafka:\n"),
        OPTIONS_READY);
    assert_int_equal(target.plain, 5);
    assert_string_equal(target.brokers, "127.0.0.1:9092");
}

static void lists_are_sequences_or_comma_separated(void **state) {
    (void)state;
    assert_int_equal(load_file("egress.names: [a, 'b, c', \"d\"]\n"), OPTIONS_READY);
    assert_list(&target.names, "[a] [b, c] [d]");
    assert_int_equal(load_file("egress:\n  names:\n    - a\n    - b\n"), OPTIONS_READY);
    assert_list(&target.names, "[a] [b]");
    assert_int_equal(load_file("egress.names: a, b\n"), OPTIONS_READY);
    assert_list(&target.names, "[a] [b]");
    static const char *const empty[] = {"egress.names: []\n", "egress.names:\n",
                                        "egress.names: none\n", "egress.names: ''\n"};
    for (size_t i = 0; i < sizeof empty / sizeof *empty; i++) {
        assert_int_equal(load_file(empty[i]), OPTIONS_READY);
        assert_list(&target.names, "");
    }
}

static void maps_are_nested_or_dotted(void **state) {
    (void)state;
    static const char *const files[] = {
        "kafka.rdkafka.security.protocol: SSL\nkafka.rdkafka.ssl.ca.location: /ca\n",
        "kafka:\n  rdkafka:\n    security.protocol: SSL\n    ssl.ca.location: /ca\n",
        "kafka: {rdkafka: {security: {protocol: SSL}, ssl: {ca: {location: /ca}}}}\n",
        "kafka.rdkafka: {security.protocol: SSL}\nkafka: {rdkafka.ssl.ca.location: /ca}\n",
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        assert_int_equal(load_file(files[i]), OPTIONS_READY);
        assert_map(&target.rdkafka, "[security.protocol=SSL] [ssl.ca.location=/ca]");
    }
    assert_int_equal(load_file("kafka.rdkafka: {a: ~, b: ''}\n"), OPTIONS_READY);
    assert_map(&target.rdkafka, "[a=] [b=]");
}

static void nothing_for_a_text_is_the_empty_one(void **state) {
    (void)state;
    static const char *const files[] = {"subscribers.dir:\n",      "subscribers.dir: ~\n",
                                        "subscribers.dir: null\n", "subscribers.dir: Null\n",
                                        "subscribers.dir: none\n", "subscribers.dir: ''\n"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        assert_int_equal(load_file(files[i]), OPTIONS_READY);
        assert_string_equal(target.dir, "");
    }
    assert_int_equal(load_file("subscribers.dir: '~'\n"), OPTIONS_READY);
    assert_string_equal(target.dir, "~");
    assert_int_equal(load_file("subscribers.dir: \"null\"\n"), OPTIONS_READY);
    assert_string_equal(target.dir, "null");
}

static void long_texts_may_fold(void **state) {
    (void)state;
    assert_int_equal(load_file("subscribers.dir: >-\n  a\n  b\n"), OPTIONS_READY);
    assert_string_equal(target.dir, "a b");
}

/* --- refused, with file, line, name and reason */

static void a_bad_value_is_named_with_its_line(void **state) {
    (void)state;
    assert_file_refused("plain: 1\n\ndelivery:\n  timeout: 15\n",
                        FILE_NAME ":4: delivery.timeout: '15' is not a duration such as 15s");
    assert_file_refused("ingest.queue: 1\n",
                        FILE_NAME ":1: ingest.queue: must be from 1KiB to 2GiB, not 1");
    assert_file_refused("plain:\n", FILE_NAME ":1: plain: '' is not a whole number");
    assert_file_refused("kafka:\n  rdkafka:\n    acks: 1\n",
                        FILE_NAME ":3: kafka.rdkafka.acks: is reserved");
    assert_file_refused("egress.allow:\n  - 1.2.3.4\n  - here\n",
                        FILE_NAME ":2: egress.allow: 'here' is no address");
}

static void an_unknown_name_is_refused_with_its_line(void **state) {
    (void)state;
    assert_file_refused("delivery:\n  timeout: 3s\n  max_atempts: 4\n",
                        FILE_NAME ":3: delivery.max_atempts: unknown option delivery.max_atempts; "
                                  "did you mean delivery.max_attempts?");
    assert_file_refused("whatever:\n  x: 1\n",
                        FILE_NAME ":1: whatever: unknown option whatever; --help lists all");
    assert_file_refused("whatever: [1]\n",
                        FILE_NAME ":1: whatever: unknown option whatever; --help lists all");
    assert_file_refused("plain: {x: 1}\n", FILE_NAME ":1: plain: takes one value, not a section");
    assert_file_refused("\"\": 1\n", FILE_NAME ":1: unknown option ; --help lists all");
    assert_file_refused("ESS_PLAIN: 1\n",
                        FILE_NAME ":1: ESS_PLAIN: unknown option ESS_PLAIN; --help lists all");
}

static void a_section_takes_no_value(void **state) {
    (void)state;
    assert_file_refused("kafka: here\n", FILE_NAME
                        ":1: kafka: is a section, not an option; set for example kafka.brokers");
    assert_file_refused("kafka: ''\n", FILE_NAME
                        ":1: kafka: is a section, not an option; set for example kafka.brokers");
    assert_file_refused("kafka: [a, b]\n", FILE_NAME
                        ":1: kafka: is a section, not an option; set for example kafka.brokers");
    assert_file_refused("kafka.rdkafka: 1\n",
                        FILE_NAME ":1: kafka.rdkafka: is a section, not an option; set for example "
                                  "kafka.rdkafka.<name>");
}

static void an_option_given_twice_is_refused_however_it_is_written(void **state) {
    (void)state;
    assert_file_refused("plain: 1\nplain: 2\n", FILE_NAME ":2: plain: is given twice");
    assert_file_refused("delivery:\n  timeout: 1s\ndelivery.timeout: 1s\n",
                        FILE_NAME ":3: delivery.timeout: is given twice");
    assert_file_refused("egress.names: [a]\negress: {names: b}\n",
                        FILE_NAME ":2: egress.names: is given twice");
    assert_file_refused("kafka.rdkafka.a: 1\nkafka: {rdkafka: {a: 1}}\n",
                        FILE_NAME ":2: kafka.rdkafka.a: is given twice");
    assert_file_refused("plain: 1\n---\nplain: 2\n", FILE_NAME ":3: plain: is given twice");
}

static void aliases_anchors_and_tags_are_refused(void **state) {
    (void)state;
    assert_file_refused("plain: 1\nsubscribers.dir: *x\n",
                        FILE_NAME ":2: subscribers.dir: aliases are not allowed");
    assert_file_refused("plain: &x 1\n", FILE_NAME ":1: plain: anchors and tags are not allowed");
    assert_file_refused("plain: !!int 1\n",
                        FILE_NAME ":1: plain: anchors and tags are not allowed");
    assert_file_refused("kafka: &x {brokers: a}\n",
                        FILE_NAME ":1: kafka: anchors and tags are not allowed");
    assert_file_refused("egress.names: &x [a]\n",
                        FILE_NAME ":1: egress.names: anchors and tags are not allowed");
    assert_file_refused("egress.names: [a, !x b]\n",
                        FILE_NAME ":1: egress.names: anchors and tags are not allowed");
    assert_file_refused("&x plain: 1\n", FILE_NAME ":1: anchors and tags are not allowed");
    assert_file_refused("&x\nplain: 1\n", FILE_NAME ":1: anchors and tags are not allowed");
    assert_file_refused("!!map {plain: 1}\n", FILE_NAME ":1: anchors and tags are not allowed");
    assert_file_refused("<<: {plain: 1}\n",
                        FILE_NAME ":1: <<: unknown option <<; --help lists all");
}

static void values_of_another_shape_are_refused(void **state) {
    (void)state;
    assert_file_refused("plain: [1]\n", FILE_NAME ":1: plain: takes one value, not a list");
    assert_file_refused("egress.names: [[a]]\n",
                        FILE_NAME ":1: egress.names: a list must hold plain values only");
    assert_file_refused("egress.names: [{a: b}]\n",
                        FILE_NAME ":1: egress.names: a list must hold plain values only");
    assert_file_refused("egress.names: [a, '']\n",
                        FILE_NAME ":1: egress.names: an item must not be empty");
    assert_file_refused("egress.names:\n  -\n",
                        FILE_NAME ":2: egress.names: an item must not be empty");
    assert_file_refused("? [a]\n: b\n", FILE_NAME ":1: a name must be plain text");
    assert_file_refused("- plain: 1\n", FILE_NAME
                        ":1: must be names with values, such as \"kafka.brokers: 127.0.0.1:9092\"");
    assert_file_refused("plain\n", FILE_NAME
                        ":1: must be names with values, such as \"kafka.brokers: 127.0.0.1:9092\"");
}

static void a_nul_within_a_text_is_refused(void **state) {
    (void)state;
    assert_file_refused("subscribers.dir: \"a\\0b\"\n",
                        FILE_NAME ":1: subscribers.dir: a NUL is not allowed");
    assert_file_refused("\"plain\\0x\": 1\n", FILE_NAME ":1: a NUL is not allowed");
}

static void nesting_too_deep_is_refused(void **state) {
    (void)state;
    assert_int_equal(load_file("kafka.rdkafka: {a: {b: {c: {d: {e: {f: {g: x}}}}}}}\n"),
                     OPTIONS_READY);
    assert_map(&target.rdkafka, "[a.b.c.d.e.f.g=x]");
    assert_file_refused(
        "kafka.rdkafka: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: x}}}}}}}}}}}}}\n",
        FILE_NAME ":1: kafka.rdkafka.a.a.a.a.a.a.a.a.a.a.a.a: nested too deeply");
    static char brackets[200001];
    static const char openers[] = "[{";
    for (int i = 0; i < 2; i++) {
        memset(brackets, openers[i], sizeof brackets - 1);
        assert_int_equal(load_file(brackets), OPTIONS_BAD);
        memcpy(brackets, "egress.names: ", 14);
        assert_int_equal(load_file(brackets), OPTIONS_BAD);
    }
}

static void a_name_that_is_far_too_long_is_refused(void **state) {
    (void)state;
    char text[400], part[301] = "";
    memset(part, 'x', sizeof part - 1);
    snprintf(text, sizeof text, "kafka.rdkafka.%s: 1\n", part);
    assert_int_equal(load_file(text), OPTIONS_BAD);
    assert_non_null(strstr(err.message, FILE_NAME ":1: "));
    assert_non_null(strstr(err.message, "the name is too long"));
}

static void more_options_than_anybody_has_are_refused(void **state) {
    (void)state;
    char *text = malloc(100000);
    size_t used = 0;
    for (int i = 0; i < 1001; i++)
        used += (size_t)snprintf(text + used, 100000 - used, "kafka.rdkafka.x%d: 1\n", i);
    assert_file_refused(text, FILE_NAME ":1001: kafka.rdkafka.x1000: too many options");
    free(text);
}

static void what_is_no_yaml_is_refused_with_its_line(void **state) {
    (void)state;
    assert_file_refused("plain: 1\nplain 2\n", FILE_NAME ":3: could not find expected ':'");
    assert_file_refused("plain: 1\n\tx: 1\n",
                        FILE_NAME ":2: found a tab character that violates indentation");
    assert_file_refused("plain: 'a\n", FILE_NAME ":2: found unexpected end of stream");
    assert_file_refused("kafka: {brokers: a\n", FILE_NAME ":2: did not find expected ',' or '}'");
    assert_file_refused("plain: 1\n\n# \xff\n", FILE_NAME ":3: invalid leading UTF-8 octet");
    assert_file_refused("plain: 1\n\n\n# \x01\n",
                        FILE_NAME ":4: control characters are not allowed");
}

static void a_file_of_a_mebibyte_is_read_and_a_larger_one_refused(void **state) {
    (void)state;
    enum { MIB = 1 << 20 };
    char *text = malloc(MIB + 1);
    memset(text, '\n', MIB + 1);
    memcpy(text, "plain: 6", 8);
    assert_int_equal(load_bytes(text, MIB), OPTIONS_READY);
    assert_int_equal(target.plain, 6);
    assert_int_equal(load_bytes(text, MIB + 1), OPTIONS_BAD);
    assert_string_equal(err.message, "--config: " FILE_NAME " is larger than 1 MiB");
    free(text);
}

/* Whatever the file holds, reading ends, and a refusal has a reason. */
static void no_change_of_one_byte_makes_it_crash(void **state) {
    (void)state;
    static const char whole[] =
        "kafka: {brokers: \"a\", rdkafka: {b: 'c'}}\negress.names: [d, e]\nplain: 7\n";
    static const char bytes[] = "\0\x01\t\n \"'&*![]{}:,-?%~\x80\xff";
    char text[sizeof whole];
    for (size_t at = 0; at < sizeof whole - 1; at++) {
        for (size_t i = 0; i < sizeof bytes - 1; i++) {
            memcpy(text, whole, sizeof whole);
            text[at] = bytes[i];
            enum options_result result = load_bytes(text, sizeof whole - 1);
            if (result != OPTIONS_READY)
                assert_int_equal(strncmp(err.message, FILE_NAME ":", strlen(FILE_NAME) + 1), 0);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nested_and_dotted_names_are_the_same),
        cmocka_unit_test(an_empty_file_leaves_all_at_their_defaults),
        cmocka_unit_test(a_section_with_nothing_in_it_is_empty),
        cmocka_unit_test(lists_are_sequences_or_comma_separated),
        cmocka_unit_test(maps_are_nested_or_dotted),
        cmocka_unit_test(nothing_for_a_text_is_the_empty_one),
        cmocka_unit_test(long_texts_may_fold),
        cmocka_unit_test(a_bad_value_is_named_with_its_line),
        cmocka_unit_test(an_unknown_name_is_refused_with_its_line),
        cmocka_unit_test(a_section_takes_no_value),
        cmocka_unit_test(an_option_given_twice_is_refused_however_it_is_written),
        cmocka_unit_test(aliases_anchors_and_tags_are_refused),
        cmocka_unit_test(values_of_another_shape_are_refused),
        cmocka_unit_test(a_nul_within_a_text_is_refused),
        cmocka_unit_test(nesting_too_deep_is_refused),
        cmocka_unit_test(a_name_that_is_far_too_long_is_refused),
        cmocka_unit_test(more_options_than_anybody_has_are_refused),
        cmocka_unit_test(what_is_no_yaml_is_refused_with_its_line),
        cmocka_unit_test(a_file_of_a_mebibyte_is_read_and_a_larger_one_refused),
        cmocka_unit_test(no_change_of_one_byte_makes_it_crash),
    };
    return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
