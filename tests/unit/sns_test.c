/* The channel to SNS: what is reported without a word to SNS, and what is cancelled. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "common/model/sns_target.h"
#include "dispatcher/channel/https.h"
#include "dispatcher/channel/sns.h"

static struct sns_target target = {.topic_arn = (char[]){"arn:aws:sns:us-east-1:123456789012:t"},
                                   .signing_region = (char[]){"us-east-1"},
                                   .url = (char[]){"https://127.0.0.1:9"}};
static const struct spec spec = {.sns = &target, .timeout_ms = 1000};
static const struct subscriber_keys keys = {.secret = (char[]){"a secret"}};

static struct loop *loop;
static struct https_client *client;
static struct signing signing;
static struct sns sns;
static struct outcome outcome;
static char reason[128];
static int calls;

static void on_done(struct delivery *delivery, const struct outcome *found) {
    (void)delivery;
    outcome = *found;
    snprintf(reason, sizeof reason, "%s", found->error);
    calls++;
    loop_stop(loop);
}

static int set_up(void **state) {
    static const struct option_list servers;
    static char id[] = "AKIA", secret[] = "secret";
    const struct https_client_options options = {
        .max_connections = 1, .connect_timeout_ms = 1000, .ca_file = "", .name_servers = &servers};
    struct error err;
    (void)state;
    loop = loop_new();
    client = https_client_new(loop, &options, &err);
    sns_init(&sns, loop, client, &signing, &spec, "feed", 1000);
    calls = 0;
    unsetenv("AWS_ACCESS_KEY_ID");
    target.access_key_id = id;
    target.secret_access_key = secret;
    return signing_set(&signing, &keys, &err);
}

static int tear_down(void **state) {
    (void)state;
    signing_fini(&signing);
    https_client_free(client);
    loop_free(loop);
    return 0;
}

static void send_one(size_t bytes) {
    struct delivery delivery = {.kind = DELIVERY_LIVE,
                                .number = 1,
                                .topic = span_of("a.b"),
                                .id = span_of("x"),
                                .done = on_done};
    memset(buf_reserve(&delivery.body, bytes), 'x', bytes);
    buf_commit(&delivery.body, bytes);
    channel_send(&sns.channel, &delivery);
    channel_cancel(&delivery);
    channel_send(&sns.channel, &delivery);
    assert_int_equal(calls, 0); /* never from within */
    loop_run(loop);
    assert_int_equal(calls, 1); /* what was cancelled is not reported */
    buf_fini(&delivery.body);
}

static void an_address_that_is_not_public_is_not_called(void **state) {
    (void)state;
    send_one(10);
    assert_int_equal(outcome.verdict, VERDICT_UNANSWERED);
    assert_string_equal(reason, "the address is not public; egress.allow does not allow it");
}

static void without_credentials_nothing_is_sent_and_the_reason_says_what_to_do(void **state) {
    (void)state;
    target.access_key_id = target.secret_access_key = NULL;
    send_one(10);
    assert_int_equal(outcome.verdict, VERDICT_FAILED);
    assert_int_equal(outcome.status, 0);
    assert_string_equal(reason, "no AWS credentials: give the subscriber its own, or set "
                                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for ess-dispatcher");
}

static void above_256_kib_with_attributes_a_message_is_refused(void **state) {
    (void)state;
    send_one((size_t)256 * 1024);
    assert_int_equal(outcome.verdict, VERDICT_REFUSED);
    assert_non_null(strstr(reason, "bytes with its attributes; SNS takes 262144"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_address_that_is_not_public_is_not_called, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            without_credentials_nothing_is_sent_and_the_reason_says_what_to_do, set_up, tear_down),
        cmocka_unit_test_setup_teardown(above_256_kib_with_attributes_a_message_is_refused, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
