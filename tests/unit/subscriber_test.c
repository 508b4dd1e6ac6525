/* A subscriber's records: written records can be read back, and secrets only with the key and for
 * the id of the seal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/model/sns_target.h"
#include "common/model/subscriber.h"

static struct keyring *keyring;

static int make_keyring(void **state) {
    char path[] = "/tmp/ess-subscriber-test-XXXXXX";
    struct error err;
    (void)state;
    if (!mkdtemp(path))
        return -1;
    char file[64];
    snprintf(file, sizeof file, "%s/key", path);
    int result = keyring_create(file, &err);
    keyring = keyring_load(file, NULL, &err);
    unlink(file);
    rmdir(path);
    return result || !keyring ? -1 : 0;
}

static int free_keyring(void **state) {
    (void)state;
    keyring_free(keyring);
    return 0;
}

static const struct cidr everywhere = {.bits = 0};
static const struct spec_rules rules = {.allowed = &everywhere, .allowed_count = 1};
#define REGISTRATION_ID "0190b6a0-0000-4000-8000-000000000001"

static struct subscriber_record make_record(void) {
    struct subscriber_record record = {
        .registration_id = REGISTRATION_ID, .source = "subscribers/mmis.yml", .start = 42};
    struct error err;
    assert_int_equal(spec_from_json(&record.spec,
                                    span_of("{\"id\":\"md-mm1\",\"url\":\"https://127.0.0.1/"
                                            "hook\",\"topics\":[\"drug.*\"],\"throttle\":5,"
                                            "\"headers\":{\"X-Key\":\"pl4nted\"}}"),
                                    &rules, &err),
                     0);
    return record;
}

static void test_a_record_is_read_as_it_was_written_and_hides_header_values(void **state) {
    struct subscriber_record record = make_record(), read;
    struct buf text = {0};
    struct error err;
    bool newer, old_key = false;
    (void)state;
    subscriber_record_to_json(&record, keyring, &text);
    assert_null(strstr(text.data, "pl4nted"));
    assert_int_equal(subscriber_record_from_json(&read, "md-mm1",
                                                 (struct span){text.data, text.len}, keyring,
                                                 &newer, &old_key, &err),
                     0);
    assert_string_equal(read.registration_id, REGISTRATION_ID);
    assert_string_equal(read.source, "subscribers/mmis.yml");
    assert_int_equal(read.start, 42);
    assert_false(read.removed);
    assert_false(old_key);
    assert_string_equal(read.spec.headers[0].value, "pl4nted");
    assert_true(read.spec.throttle == 5);
    spec_fini(&read.spec);
    assert_int_equal(subscriber_record_from_json(&read, "other", (struct span){text.data, text.len},
                                                 keyring, &newer, &old_key, &err),
                     -1);
    spec_fini(&record.spec);
    buf_fini(&text);
}

static void test_the_credentials_of_sns_are_sealed(void **state) {
    static const char json[] =
        "{\"id\":\"md-mm1\",\"sns\":{\"topic_arn\":\"arn:aws:sns:us-east-1:123456789012:t\","
        "\"access_key_id\":\"AKIA\",\"secret_access_key\":\"pl4nted\",\"session_token\":"
        "\"t0ken\"},\"topics\":[\"a\"]}";
    struct subscriber_record record = {.registration_id = REGISTRATION_ID}, read;
    struct buf text = {0};
    struct error err;
    bool newer, old_key = false;
    (void)state;
    assert_int_equal(spec_from_json(&record.spec, span_of(json), &rules, &err), 0);
    subscriber_record_to_json(&record, keyring, &text);
    assert_null(strstr(text.data, "pl4nted"));
    assert_null(strstr(text.data, "t0ken"));
    const struct span value = {text.data, text.len};
    assert_int_equal(
        subscriber_record_from_json(&read, "md-mm1", value, keyring, &newer, &old_key, &err), 0);
    assert_true(spec_equal(&read.spec, &record.spec) &&
                spec_same_endpoint(&read.spec, &record.spec));
    assert_string_equal(read.spec.sns->secret_access_key, "pl4nted");
    assert_string_equal(read.spec.sns->session_token, "t0ken");
    spec_fini(&read.spec);
    spec_fini(&record.spec);
    buf_fini(&text);
}

/* Members that a later version of ESS adds to records of the same v. */
static void test_what_a_later_version_adds_to_a_record_is_passed_over(void **state) {
    static const char spec[] =
        "{\"v\":1,\"later\":[1],\"born\":\"" REGISTRATION_ID
        "\",\"source\":\"api\",\"start\":7,\"spec\":{\"id\":\"md-mm1\","
        "\"url\":\"https://v.example/"
        "\",\"topics\":[\"a\"],\"later\":{\"a\":{\"b\":{\"c\":{\"d\":[{\"e\":[1]}]}}}},"
        "\"exhaust\":\"x\",\"throttle\":5}}";
    struct subscriber_record read;
    struct subscriber_keys keys = {.registration_id = REGISTRATION_ID,
                                   .secret = (char[]){"s3cr3t"}},
                           opened;
    struct subscriber_desired desired;
    struct buf text = {0};
    struct error err;
    bool newer, old_key;
    (void)state;
    if (subscriber_record_from_json(&read, "md-mm1", span_of(spec), keyring, &newer, &old_key,
                                    &err))
        fail_msg("%s: %s", err.field, err.message);
    assert_true(read.spec.throttle == 5);
    spec_fini(&read.spec);
    subscriber_keys_to_json(&keys, "md-mm1", keyring, &text);
    text.len--;
    buf_puts(&text, ",\"later\":{\"a\":1}}");
    assert_int_equal(subscriber_keys_from_json(&opened, "md-mm1", span_of(text.data), keyring,
                                               &newer, &old_key, &err),
                     0);
    subscriber_keys_fini(&opened);
    const struct span wanted = span_of("{\"v\":1,\"born\":\"" REGISTRATION_ID
                                       "\",\"paused\":true,\"later\":1}");
    assert_int_equal(subscriber_desired_from_json(&desired, wanted, &newer, &err), 0);
    buf_fini(&text);
}

static void test_keys_open_only_for_their_own_subscriber(void **state) {
    struct subscriber_keys keys = {.registration_id = REGISTRATION_ID,
                                   .secret = (char[]){"s3cr3t"}},
                           read;
    struct buf text = {0};
    struct error err;
    bool newer, old_key = false;
    (void)state;
    subscriber_keys_to_json(&keys, "md-mm1", keyring, &text);
    assert_null(strstr(text.data, "s3cr3t"));
    assert_int_equal(subscriber_keys_from_json(&read, "md-mm1", (struct span){text.data, text.len},
                                               keyring, &newer, &old_key, &err),
                     0);
    assert_string_equal(read.secret, "s3cr3t");
    subscriber_keys_fini(&read);
    assert_int_equal(subscriber_keys_from_json(&read, "md-mm2", (struct span){text.data, text.len},
                                               keyring, &newer, &old_key, &err),
                     -1);
    buf_fini(&text);
}

static void test_keys_keep_old_secrets_with_their_ends_and_the_access_token_s_hash(void **state) {
    struct subscriber_keys
        keys = {.registration_id = REGISTRATION_ID,
                .secret = (char[]){"n3w"},
                .old = {{(char[]){"an 0ld secret"}, 1700000000000},
                        {(char[]){"an 0ld secret, older"}, 1600000000000}},
                .old_count = 2,
                .token = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        read;
    struct buf text = {0};
    struct error err;
    bool newer, old_key = false;
    (void)state;
    subscriber_keys_to_json(&keys, "md-mm1", keyring, &text);
    assert_null(strstr(text.data, "an 0ld secret"));
    assert_int_equal(subscriber_keys_from_json(&read, "md-mm1", (struct span){text.data, text.len},
                                               keyring, &newer, &old_key, &err),
                     0);
    assert_string_equal(read.secret, "n3w");
    assert_int_equal(read.old_count, 2);
    assert_string_equal(read.old[0].secret, "an 0ld secret");
    assert_true(read.old[0].until_ms == 1700000000000);
    assert_string_equal(read.old[1].secret, "an 0ld secret, older");
    assert_string_equal(read.token, keys.token);
    subscriber_keys_fini(&read);
    assert_int_equal(subscriber_keys_from_json(&read, "md-mm2", (struct span){text.data, text.len},
                                               keyring, &newer, &old_key, &err),
                     -1);
    assert_null(read.secret);
    buf_fini(&text);
}

static void test_the_wanted_state_is_read_as_it_was_written(void **state) {
    struct subscriber_desired desired = {.registration_id = REGISTRATION_ID, .paused = true}, read;
    struct buf text = {0};
    struct error err;
    bool newer;
    (void)state;
    subscriber_desired_to_json(&desired, &text);
    assert_int_equal(
        subscriber_desired_from_json(&read, (struct span){text.data, text.len}, &newer, &err), 0);
    assert_string_equal(read.registration_id, REGISTRATION_ID);
    assert_true(read.paused);
    assert_int_equal(
        subscriber_desired_from_json(&read, span_of("{\"v\":1,\"born\":\"" REGISTRATION_ID "\"}"),
                                     &newer, &err),
        -1);
    assert_false(newer);
    assert_int_equal(subscriber_desired_from_json(
                         &read,
                         span_of("{\"v\":2,\"born\":\"" REGISTRATION_ID "\",\"paused\":true}"),
                         &newer, &err),
                     -1);
    assert_true(newer);
    buf_fini(&text);
}

static void test_garbage_and_newer_records_are_told_apart(void **state) {
    static const char *const garbage[] = {
        "",   "{",         "null",          "[]",
        "{}", "{\"v\":1}", "{\"v\":\"1\"}", "{\"v\":1,\"born\":\"" REGISTRATION_ID "\"}"};
    struct subscriber_record read;
    struct error err;
    bool newer, old_key;
    (void)state;
    for (size_t i = 0; i < sizeof garbage / sizeof *garbage; i++) {
        assert_int_equal(subscriber_record_from_json(&read, "a", span_of(garbage[i]), keyring,
                                                     &newer, &old_key, &err),
                         -1);
        assert_false(newer);
    }
    assert_int_equal(subscriber_record_from_json(&read, "a", span_of("{\"v\":2}"), keyring, &newer,
                                                 &old_key, &err),
                     -1);
    assert_true(newer);
}

static void test_kafka_keys_are_told_apart(void **state) {
    char id[SPEC_ID_BYTES_MAX + 1];
    (void)state;
    assert_int_equal(subscriber_key_parse(span_of("md-mm1"), id), SUBSCRIBER_KEY_SPEC);
    assert_string_equal(id, "md-mm1");
    assert_int_equal(subscriber_key_parse(span_of("md-mm1/keys"), id), SUBSCRIBER_KEY_KEYS);
    assert_string_equal(id, "md-mm1");
    assert_int_equal(subscriber_key_parse(span_of("md-mm1/want"), id), SUBSCRIBER_KEY_DESIRED);
    assert_string_equal(id, "md-mm1");
    assert_int_equal(subscriber_key_parse(span_of("md-mm1/ack"), id),
                     SUBSCRIBER_KEY_ACKNOWLEDGEMENT);
    assert_int_equal(subscriber_key_parse(span_of("md-mm1/cmd/1"), id), SUBSCRIBER_KEY_COMMAND);
    assert_string_equal(id, "md-mm1");
    assert_int_equal(subscriber_key_parse(span_of("md-mm1/cmd/"), id), SUBSCRIBER_KEY_OTHER);
    assert_int_equal(subscriber_key_parse(span_of("md-mm1/claim/" REGISTRATION_ID), id),
                     SUBSCRIBER_KEY_RESERVATION);
    assert_string_equal(id, "md-mm1");
    assert_int_equal(subscriber_key_parse(span_of("md-mm1/claim/"), id), SUBSCRIBER_KEY_OTHER);
    assert_int_equal(subscriber_key_parse(span_of("md-mm1/key"), id), SUBSCRIBER_KEY_OTHER);
    assert_int_equal(subscriber_key_parse(span_of("md-mm1/other"), id), SUBSCRIBER_KEY_OTHER);
    assert_string_equal(id, "");
    assert_int_equal(subscriber_key_parse((struct span){"md\0mm1", 6}, id), SUBSCRIBER_KEY_OTHER);
    assert_int_equal(
        subscriber_key_parse((struct span){SUBSCRIBER_CHECK_KEY, SUBSCRIBER_CHECK_KEY_BYTES}, id),
        SUBSCRIBER_KEY_CHECK);
    assert_int_equal(subscriber_key_parse((struct span){"\0claim", 6}, id), SUBSCRIBER_KEY_OTHER);
    assert_int_equal(subscriber_key_parse(span_of(""), id), SUBSCRIBER_KEY_OTHER);
}

static void test_the_check_record_opens_only_with_its_key(void **state) {
    struct keyring *mine = keyring;
    struct buf text = {0};
    struct error err;
    bool old_key = false;
    char id[16];
    subscriber_check_to_json(mine, &text);
    struct span check = {text.data, text.len};
    assert_int_equal(subscriber_check_from_json(check, mine, &old_key, &err), 0);
    subscriber_check_key_id(check, id);
    assert_string_equal(id, keyring_id(mine));
    assert_int_equal(make_keyring(state), 0);
    assert_int_equal(subscriber_check_from_json(check, keyring, &old_key, &err), -1);
    keyring_free(keyring);
    keyring = mine;
    buf_fini(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_record_is_read_as_it_was_written_and_hides_header_values),
        cmocka_unit_test(test_the_credentials_of_sns_are_sealed),
        cmocka_unit_test(test_what_a_later_version_adds_to_a_record_is_passed_over),
        cmocka_unit_test(test_keys_open_only_for_their_own_subscriber),
        cmocka_unit_test(test_keys_keep_old_secrets_with_their_ends_and_the_access_token_s_hash),
        cmocka_unit_test(test_the_wanted_state_is_read_as_it_was_written),
        cmocka_unit_test(test_garbage_and_newer_records_are_told_apart),
        cmocka_unit_test(test_kafka_keys_are_told_apart),
        cmocka_unit_test(test_the_check_record_opens_only_with_its_key),
    };
    return cmocka_run_group_tests(tests, make_keyring, free_keyring);
}
