/* The meaning of a webhook's answer, and the effect of an attempt that never reached the
 * endpoint. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dispatcher/channel/https.h"
#include "dispatcher/channel/oauth2.h"
#include "dispatcher/channel/webhook.h"

static void every_2xx_is_delivered(void **state) {
    (void)state;
    for (int status = 200; status <= 299; status++)
        assert_int_equal(webhook_judge(status, 0), VERDICT_DELIVERED);
}

/* No answer may count as delivered by mistake. */
static void no_other_number_is(void **state) {
    (void)state;
    for (int status = -1; status <= 1000; status++)
        if (status < 200 || status > 299)
            assert_int_not_equal(webhook_judge(status, 0), VERDICT_DELIVERED);
}

static void no_answer_a_redirect_and_a_server_error_are_tried_again(void **state) {
    (void)state;
    assert_int_equal(webhook_judge(0, 0), VERDICT_UNANSWERED);
    for (int status = 300; status <= 399; status++)
        assert_int_equal(webhook_judge(status, 0), VERDICT_FAILED);
    for (int status = 500; status <= 599; status++)
        assert_int_equal(webhook_judge(status, 0), VERDICT_FAILED);
}

static void of_the_4xx_five_refuse_the_event_and_one_the_subscriber(void **state) {
    (void)state;
    for (int status = 400; status <= 499; status++) {
        enum verdict expected = VERDICT_FAILED;
        if (status == 400 || status == 409 || status == 413 || status == 415 || status == 422)
            expected = VERDICT_REFUSED;
        else if (status == 410)
            expected = VERDICT_GONE;
        else if (status == 429)
            expected = VERDICT_OVERLOADED;
        assert_int_equal(webhook_judge(status, 0), expected);
    }
}

/* A Retry-After in any other answer concerns the event alone. */
static void a_gateway_asks_for_a_pause_by_retry_after(void **state) {
    (void)state;
    for (int status = 200; status <= 599; status++)
        assert_int_equal(webhook_judge(status, 1000), status >= 502 && status <= 504
                                                          ? VERDICT_OVERLOADED
                                                          : webhook_judge(status, 0));
}

static struct loop *loop;
static struct outcome outcome;

static void on_done(struct delivery *delivery, const struct outcome *found) {
    (void)delivery;
    outcome = *found;
    loop_stop(loop);
}

/* A private address is never called: the attempt ends before anything is sent. */
static void what_the_endpoint_cannot_be_asked_is_unanswered(void **state) {
    static const struct option_list servers;
    const struct subscriber_keys keys = {.secret = (char[]){"a secret"}};
    const struct spec spec = {.url = (char[]){"https://127.0.0.1:9/hook"}, .timeout_ms = 1000};
    const struct https_client_options options = {
        .max_connections = 1, .connect_timeout_ms = 1000, .ca_file = "", .name_servers = &servers};
    struct delivery delivery = {.kind = DELIVERY_TEST,
                                .number = 1,
                                .topic = span_of("a.b"),
                                .id = span_of("x"),
                                .done = on_done};
    struct signing signing = {0};
    struct oauth2 oauth2;
    struct webhook webhook;
    struct error err;
    (void)state;
    loop = loop_new();
    struct https_client *client = https_client_new(loop, &options, &err);
    assert_non_null(client);
    oauth2_init(&oauth2, client, loop, &spec, 1000);
    webhook_init(&webhook, &oauth2, &signing, "s", &spec, "feed", 1000);
    assert_int_equal(signing_set(&signing, &keys, &err), 0);
    buf_puts(&delivery.body, "{}");
    webhook.channel.send(&webhook.channel, &delivery);
    webhook.channel.cancel(&webhook.channel, &delivery); /* `done` is not called */
    webhook.channel.send(&webhook.channel, &delivery);
    loop_run(loop);
    assert_int_equal(outcome.verdict, VERDICT_UNANSWERED);
    assert_int_equal(outcome.fault, FAULT_NONE);
    assert_int_equal(outcome.status, 0);
    assert_string_equal(outcome.error, "the address is not public; egress.allow does not allow it");
    assert_true(outcome.verdict != VERDICT_DELIVERED && !outcome.connected);
    buf_fini(&delivery.body);
    signing_fini(&signing);
    https_client_free(client);
    loop_free(loop);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_2xx_is_delivered),
        cmocka_unit_test(no_other_number_is),
        cmocka_unit_test(no_answer_a_redirect_and_a_server_error_are_tried_again),
        cmocka_unit_test(of_the_4xx_five_refuse_the_event_and_one_the_subscriber),
        cmocka_unit_test(a_gateway_asks_for_a_pause_by_retry_after),
        cmocka_unit_test(what_the_endpoint_cannot_be_asked_is_unanswered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
