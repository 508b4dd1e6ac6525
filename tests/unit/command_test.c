/* Commands as records: a written command can be read back, and anything else is refused with the
 * reason. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/model/command.h"

#define REGISTRATION_ID "0190b6a0-0000-4000-8000-000000000001"
#define BEGIN "{\"v\":1,\"born\":\"" REGISTRATION_ID "\",\"command\":"

static struct command read_again(const struct command *command, const char *text) {
    struct buf out = {0};
    struct command read;
    struct error err;
    bool newer;
    command_to_json(command, &out);
    assert_string_equal(buf_string(&out), text);
    assert_int_equal(command_from_json(&read, (struct span){out.data, out.len}, &newer, &err), 0);
    assert_string_equal(read.registration_id, REGISTRATION_ID);
    assert_int_equal(read.kind, command->kind);
    buf_fini(&out);
    return read;
}

static void test_commands_are_read_as_they_were_written(void **state) {
    int64_t cursors[] = {3, 17, 900719925474099312};
    struct command read;
    (void)state;
    read = read_again(
        &(struct command){.registration_id = REGISTRATION_ID, .kind = COMMAND_REWIND, .cursor = 42},
        BEGIN "\"rewind\",\"cursor\":42}");
    assert_int_equal(read.cursor, 42);
    read = read_again(&(struct command){.registration_id = REGISTRATION_ID, .kind = COMMAND_SKIP},
                      BEGIN "\"skip\"}");
    command_fini(&read);
    read = read_again(&(struct command){.registration_id = REGISTRATION_ID, .kind = COMMAND_RESUME},
                      BEGIN "\"resume\"}");
    read = read_again(
        &(struct command){
            .registration_id = REGISTRATION_ID, .kind = COMMAND_REPLAY, .from = 0, .to = 99},
        BEGIN "\"replay\",\"from\":0,\"to\":99}");
    assert_int_equal(read.from, 0);
    assert_int_equal(read.to, 99);
    read = read_again(
        &(struct command){.registration_id = REGISTRATION_ID, .kind = COMMAND_END_JOB, .job = 7},
        BEGIN "\"end_job\",\"job\":7}");
    assert_int_equal(read.job, 7);
    read = read_again(
        &(struct command){.registration_id = REGISTRATION_ID, .kind = COMMAND_REDRIVE},
        BEGIN "\"redrive\"}");
    assert_null(read.cursors);
    read = read_again(&(struct command){.registration_id = REGISTRATION_ID,
                                        .kind = COMMAND_REDRIVE,
                                        .cursors = cursors,
                                        .cursors_count = 3},
                      BEGIN "\"redrive\",\"cursors\":[3,17,900719925474099312]}");
    assert_int_equal(read.cursors_count, 3);
    assert_memory_equal(read.cursors, cursors, sizeof cursors);
    command_fini(&read);
}

static void test_a_test_s_data_stays_byte_for_byte(void **state) {
#define DATA "{ \"copay\" : 25.00, \"n\":1e5,\"s\":\"\\u00e9\" }"
    char data[] = DATA;
    (void)state;
    struct command read = read_again(&(struct command){.registration_id = REGISTRATION_ID,
                                                       .kind = COMMAND_TEST,
                                                       .topic = "drug.copay",
                                                       .data = data},
                                     BEGIN "\"test\",\"topic\":\"drug.copay\",\"data\":" DATA "}");
    assert_string_equal(read.topic, "drug.copay");
    assert_string_equal(read.data, data);
    command_fini(&read);
}

static void test_members_that_a_reader_does_not_know_are_ignored(void **state) {
    struct command read;
    struct error err;
    bool newer;
    (void)state;
    const char *text =
        "{\"later\":[{}],\"v\":1,\"command\":\"rewind\",\"cursor\":1,\"born\":\"" REGISTRATION_ID
        "\"}";
    assert_int_equal(command_from_json(&read, span_of(text), &newer, &err), 0);
    assert_int_equal(read.cursor, 1);
}

static void test_what_is_no_command_is_refused(void **state) {
    static const char *const bad[] = {
        "",
        "null",
        "[]",
        "{",
        "{}",
        "{\"v\":1}",
        "{\"v\":0,\"born\":\"" REGISTRATION_ID "\",\"command\":\"resume\"}",
        "{\"v\":\"1\",\"born\":\"" REGISTRATION_ID "\",\"command\":\"resume\"}",
        "{\"v\":1,\"born\":\"x\",\"command\":\"resume\"}",
        "{\"v\":1,\"command\":\"resume\"}",
        BEGIN "\"explode\"}",
        BEGIN "1}",
        BEGIN "\"rewind\"}",
        BEGIN "\"rewind\",\"cursor\":-1}",
        BEGIN "\"rewind\",\"cursor\":\"1\"}",
        BEGIN "\"rewind\",\"cursor\":1.5}",
        BEGIN "\"rewind\",\"cursor\":1000000000000000000}",
        BEGIN "\"replay\",\"from\":1}",
        BEGIN "\"replay\",\"from\":2,\"to\":1}",
        BEGIN "\"redrive\",\"cursors\":[1,-2]}",
        BEGIN "\"redrive\",\"cursors\":[[1]]}",
        BEGIN "\"test\",\"topic\":\"a.*\",\"data\":1}",
        BEGIN "\"test\",\"topic\":\"a\"}",
        BEGIN "\"test\",\"data\":1}",
        BEGIN "\"end_job\"}",
        BEGIN "\"resume\"} x",
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct command read;
        struct error err = {0};
        bool newer = true;
        if (command_from_json(&read, span_of(bad[i]), &newer, &err) != -1 || newer || !*err.message)
            fail_msg("taken: %s", bad[i]);
        assert_null(read.cursors);
        assert_null(read.data);
    }
}

static void test_more_cursors_than_the_limit_are_refused(void **state) {
    struct buf text = {0};
    struct command read;
    struct error err;
    bool newer;
    (void)state;
    for (int extra = 0; extra <= 1; extra++) {
        buf_clear(&text);
        buf_puts(&text, BEGIN "\"redrive\",\"cursors\":[0");
        for (int i = 1; i < COMMAND_CURSORS_MAX + extra; i++)
            buf_printf(&text, ",%d", i);
        buf_puts(&text, "]}");
        assert_int_equal(command_from_json(&read, (struct span){text.data, text.len}, &newer, &err),
                         extra ? -1 : 0);
        assert_int_equal(read.cursors_count, extra ? 0 : COMMAND_CURSORS_MAX);
        command_fini(&read);
    }
    assert_string_equal(err.field, "cursors");
    buf_fini(&text);
}

static void test_a_newer_version_is_told_apart_whatever_else_it_holds(void **state) {
    struct command read;
    struct error err;
    bool newer = false;
    (void)state;
    assert_int_equal(
        command_from_json(&read, span_of("{\"v\":2,\"command\":\"explode\"}"), &newer, &err), -1);
    assert_true(newer);
}

static void test_each_command_has_a_key_of_its_own(void **state) {
    char one[COMMAND_KEY_BYTES], other[COMMAND_KEY_BYTES];
    (void)state;
    command_key("md-mm1", one);
    command_key("md-mm1", other);
    assert_memory_equal(one, "md-mm1/cmd/", 11);
    assert_int_equal(strlen(one), 11 + 36);
    assert_string_not_equal(one, other);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commands_are_read_as_they_were_written),
        cmocka_unit_test(test_a_test_s_data_stays_byte_for_byte),
        cmocka_unit_test(test_members_that_a_reader_does_not_know_are_ignored),
        cmocka_unit_test(test_what_is_no_command_is_refused),
        cmocka_unit_test(test_more_cursors_than_the_limit_are_refused),
        cmocka_unit_test(test_a_newer_version_is_told_apart_whatever_else_it_holds),
        cmocka_unit_test(test_each_command_has_a_key_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
