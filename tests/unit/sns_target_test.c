/* The field `sns` of a spec: which ARNs, regions, endpoints and credentials are accepted, and what
 * is derived from them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <json-c/json.h>
#include <stdio.h>

#include "common/model/sns_target.h"
#include "common/model/spec.h"

static struct error err;

static struct sns_target *read_as(const char *json, bool from_record) {
    const struct spec_rules rules = {.from_record = from_record};
    struct json_object *tree = json_tokener_parse(json);
    struct sns_target *target = sns_target_new(tree, &rules, &err);
    json_object_put(tree);
    return target;
}

static struct sns_target *taken(const char *json) {
    struct sns_target *target = read_as(json, false);
    if (!target)
        fail_msg("%s: %s", json, err.message);
    return target;
}

static struct sns_target *taken_arn(const char *arn) {
    char json[700];
    snprintf(json, sizeof json, "{\"topic_arn\":\"%s\"}", arn);
    return taken(json);
}

static void the_endpoint_follows_from_the_arn(void **state) {
    static const struct {
        const char *arn, *url, *region;
    } cases[] = {{"arn:aws:sns:us-east-1:123456789012:drugs", "https://sns.us-east-1.amazonaws.com",
                  "us-east-1"},
                 {"arn:aws-cn:sns:cn-north-1:123456789012:drugs",
                  "https://sns.cn-north-1.amazonaws.com.cn", "cn-north-1"},
                 {"arn:aws-us-gov:sns:us-gov-west-1:123456789012:drugs",
                  "https://sns.us-gov-west-1.amazonaws.com", "us-gov-west-1"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sns_target *target = taken_arn(cases[i].arn);
        assert_string_equal(target->url, cases[i].url);
        assert_string_equal(target->signing_region, cases[i].region);
        assert_string_equal(target->account, "123456789012");
        assert_false(target->fifo);
        sns_target_free(target);
    }
}

static void a_name_that_ends_in_fifo_is_a_fifo_topics(void **state) {
    (void)state;
    struct sns_target *target = taken_arn("arn:aws:sns:eu-west-1:123456789012:drugs_a-1.fifo");
    assert_true(target->fifo);
    sns_target_free(target);
}

static void a_region_of_its_own_signs_and_names_the_endpoint(void **state) {
    (void)state;
    struct sns_target *target = taken(
        "{\"topic_arn\":\"arn:aws:sns:us-east-1:123456789012:t\",\"region\":\"us-west-2\"}");
    assert_string_equal(target->signing_region, "us-west-2");
    assert_string_equal(target->url, "https://sns.us-west-2.amazonaws.com");
    sns_target_free(target);
}

static void refused(const char *json, const char *message) {
    struct sns_target *target = read_as(json, false);
    assert_null(target);
    if (strncmp(err.message, message, strlen(message)) != 0)
        fail_msg("%s: %s", json, err.message);
    assert_int_equal(strncmp(err.message, err.field, strlen(err.field)), 0);
}

#define TOPIC "\"topic_arn\":\"arn:aws:sns:us-east-1:123456789012:t\""

static void each_mistake_has_its_own_reason(void **state) {
    static const struct {
        const char *json, *message;
    } cases[] = {
        {"[]", "sns: must be a map"},
        {"{}", "sns.topic_arn: is missing"},
        {"{\"topic_arn\":5}", "sns.topic_arn: must be text"},
        {"{\"topic_arn\":\"\"}", "sns.topic_arn: must have 1 to"},
        {"{\"topic_arn\":\"drugs\"}", "sns.topic_arn: must be as in"},
        {"{\"topic_arn\":\"urn:aws:sns:us-east-1:123456789012:t\"}", "sns.topic_arn: must be as"},
        {"{\"topic_arn\":\"arn:aws:sns:us-east-1:123456789012\"}", "sns.topic_arn: must be as in"},
        {"{\"topic_arn\":\"arn:aws-iso:sns:us-east-1:123456789012:t\"}",
         "sns.topic_arn: is of the partition \"aws-iso\""},
        {"{\"topic_arn\":\"arn:aws:sqs:us-east-1:123456789012:t\"}",
         "sns.topic_arn: is of the service \"sqs\""},
        {"{\"topic_arn\":\"arn:aws:sns::123456789012:t\"}", "sns.topic_arn: has no region"},
        {"{\"topic_arn\":\"arn:aws:sns:Us:123456789012:t\"}", "sns.topic_arn: has no region"},
        {"{\"topic_arn\":\"arn:aws:sns:a.evil.example/:123456789012:t\"}",
         "sns.topic_arn: has no region"},
        {"{\"topic_arn\":\"arn:aws-cn:sns:us-east-1:123456789012:t\"}",
         "sns.topic_arn: has a region of another partition"},
        {"{\"topic_arn\":\"arn:aws:sns:us-gov-west-1:123456789012:t\"}",
         "sns.topic_arn: has a region of another partition"},
        {"{\"topic_arn\":\"arn:aws:sns:us-east-1:12345678901:t\"}",
         "sns.topic_arn: has no account"},
        {"{\"topic_arn\":\"arn:aws:sns:us-east-1:12345678901x:t\"}",
         "sns.topic_arn: has no account"},
        {"{\"topic_arn\":\"arn:aws:sns:us-east-1:123456789012:\"}", "sns.topic_arn: must end with"},
        {"{\"topic_arn\":\"arn:aws:sns:us-east-1:123456789012:.fifo\"}",
         "sns.topic_arn: must end with"},
        {"{\"topic_arn\":\"arn:aws:sns:us-east-1:123456789012:a.b\"}",
         "sns.topic_arn: must end with"},
        {"{\"topic_arn\":\"arn:aws:sns:us-east-1:123456789012:t:5ea3\"}",
         "sns.topic_arn: names a subscription"},
        {"{" TOPIC ",\"region\":\"Paris\"}", "sns.region: must be a region"},
        {"{" TOPIC ",\"region\":\"cn-north-1\"}", "sns.region: is of another partition"},
        {"{" TOPIC ",\"endpoint\":\"http://sns.example\"}", "sns.endpoint: must begin with https"},
        {"{" TOPIC ",\"endpoint\":\"https://10.1.1.1\"}", "sns.endpoint: 10.1.1.1 is not a public"},
        {"{" TOPIC ",\"endpoint\":\"https://sns.example/x\"}", "sns.endpoint: must have no path"},
        {"{" TOPIC ",\"endpoint\":\"https://sns.example?x\"}", "sns.endpoint: must have no path"},
        {"{" TOPIC ",\"access_key_id\":\"A\"}", "sns.secret_access_key: is missing"},
        {"{" TOPIC ",\"secret_access_key\":\"s\"}", "sns.access_key_id: is missing"},
        {"{" TOPIC ",\"session_token\":\"s\"}", "sns.access_key_id: is missing"},
        {"{" TOPIC ",\"access_key_id\":\"A\\u000d\\u000aX: y\"}",
         "sns.access_key_id: may hold only"},
        {"{" TOPIC ",\"access_key_id\":\"A\\u0000B\"}", "sns.access_key_id: may hold only"},
        {"{" TOPIC ",\"topic\":\"t\"}", "sns.topic: is no field of sns"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        refused(cases[i].json, cases[i].message);
}

static void a_field_of_a_later_version_is_passed_over_in_a_record(void **state) {
    (void)state;
    struct sns_target *target = read_as("{" TOPIC ",\"later\":[1]}", true);
    assert_non_null(target);
    sns_target_free(target);
}

static void the_secrets_are_written_only_where_they_are_wanted(void **state) {
    struct buf shown = {0}, whole = {0}, secrets = {0};
    (void)state;
    struct sns_target *target = taken(
        "{\"session_token\":\"tok\",\"secret_access_key\":\"sec\"," TOPIC
        ",\"access_key_id\":\"AKIA\"}");
    sns_target_to_json(target, false, &shown);
    assert_string_equal(buf_string(&shown),
                        "{" TOPIC ",\"access_key_id\":\"AKIA\",\"secrets\":[\"secret_access_key\","
                        "\"session_token\"]}");
    sns_target_to_json(target, true, &whole);
    assert_string_equal(buf_string(&whole), "{" TOPIC ",\"access_key_id\":\"AKIA\","
                                            "\"secret_access_key\":\"sec\","
                                            "\"session_token\":\"tok\"}");
    assert_true(sns_target_put_secrets(target, &secrets));
    assert_string_equal(buf_string(&secrets),
                        "{\"secret_access_key\":\"sec\",\"session_token\":\"tok\"}");
    buf_fini(&shown);
    buf_fini(&whole);
    buf_fini(&secrets);
    sns_target_free(target);
}

static void credentials_are_one_accounts_and_one_endpoints(void **state) {
    (void)state;
    struct sns_target *a = taken_arn("arn:aws:sns:us-east-1:123456789012:a"),
                      *b = taken_arn("arn:aws:sns:us-east-1:123456789012:b.fifo"),
                      *account = taken_arn("arn:aws:sns:us-east-1:999999999999:a"),
                      *region = taken_arn("arn:aws:sns:us-east-2:123456789012:a");
    assert_true(sns_target_same_server(a, b));
    assert_false(sns_target_same_server(a, account));
    assert_false(sns_target_same_server(a, region));
    sns_target_free(a);
    sns_target_free(b);
    sns_target_free(account);
    sns_target_free(region);
}

static int read_spec(struct spec *spec, const char *json) {
    static const struct spec_rules rules;
    return spec_from_json(spec, span_of(json), &rules, &err);
}

static void spec_refused(const char *json, const char *message) {
    struct spec spec;
    assert_int_equal(read_spec(&spec, json), -1);
    if (!strstr(err.message, message))
        fail_msg("%s: %s", json, err.message);
}

#define SNS "\"sns\":{" TOPIC "}"
#define URL "\"url\":\"https://v.example/h\""

static void a_topic_stands_in_place_of_a_url_and_headers(void **state) {
    static const char json[] = "{\"id\":\"a\"," SNS ",\"topics\":[\"a\"]}";
    struct spec spec, hook;
    struct buf out = {0};
    (void)state;
    assert_int_equal(read_spec(&spec, json), 0);
    assert_int_equal(read_spec(&hook, "{" URL ",\"topics\":[\"a\"]}"), 0);
    assert_null(spec.url);
    spec_to_json(&spec, true, &out);
    assert_string_equal(buf_string(&out), json);
    assert_true(spec_same_server(&spec, &spec) && spec_same_endpoint(&spec, &spec));
    assert_false(spec_same_server(&spec, &hook) || spec_same_endpoint(&hook, &spec));
    spec_refused("{\"topics\":[\"a\"],\"secret\":\"s\"}", "url: is missing (url, or sns");
    spec_refused("{" URL "," SNS ",\"topics\":[\"a\"]}", "sns: must not stand beside url");
    spec_refused("{" SNS ",\"topics\":[\"a\"],\"headers\":{\"A\":\"b\"}}",
                 "headers: must not stand beside sns");
    buf_fini(&out);
    spec_fini(&spec);
    spec_fini(&hook);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_endpoint_follows_from_the_arn),
        cmocka_unit_test(a_name_that_ends_in_fifo_is_a_fifo_topics),
        cmocka_unit_test(a_region_of_its_own_signs_and_names_the_endpoint),
        cmocka_unit_test(each_mistake_has_its_own_reason),
        cmocka_unit_test(a_field_of_a_later_version_is_passed_over_in_a_record),
        cmocka_unit_test(the_secrets_are_written_only_where_they_are_wanted),
        cmocka_unit_test(credentials_are_one_accounts_and_one_endpoints),
        cmocka_unit_test(a_topic_stands_in_place_of_a_url_and_headers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
