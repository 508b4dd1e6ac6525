/* Requests that wait for an access token which cannot be had: reported, cancelled, forgotten. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "common/base/loop.h"
#include "common/model/oauth2_grant.h"
#include "dispatcher/channel/https_post.h"
#include "dispatcher/channel/oauth2.h"

#define UNUSED __attribute__((unused))

static struct oauth2_grant grant = {.token_url = (char[]){"https://127.0.0.1:9/token"},
                                    .client_id = (char[]){"c"},
                                    .client_secret = (char[]){"s"}};
static struct spec spec = {
    .url = (char[]){"https://127.0.0.1:9/hook"}, .oauth2 = &grant, .timeout_ms = 1000};

static struct loop *loop;
static struct https_client *client;
static struct oauth2 oauth2;
static struct https_result last;
static char reason[128];
static int calls, wanted;
static void (*on_call)(void);

static int set_up(UNUSED void **state) {
    static const struct option_list servers;
    const struct https_client_options options = {
        .max_connections = 1, .connect_timeout_ms = 1000, .ca_file = "", .name_servers = &servers};
    struct error err;
    loop = loop_new();
    client = https_client_new(loop, &options, &err);
    oauth2_init(&oauth2, client, loop, &spec, 1000);
    calls = 0;
    on_call = NULL;
    return client ? 0 : -1;
}

static int tear_down(UNUSED void **state) {
    oauth2_fini(&oauth2);
    https_client_free(client);
    loop_free(loop);
    return 0;
}

static void on_done(UNUSED void *arg, const struct https_result *result) {
    last = *result;
    snprintf(reason, sizeof reason, "%s", result->error);
    if (++calls == wanted)
        loop_stop(loop);
    if (on_call)
        on_call();
}

static struct oauth2_post *post(void) {
    const struct https_request request = {.timeout_ms = 1000, .done = on_done};
    return oauth2_send(&oauth2, &request);
}

static void run(int count) {
    wanted = count;
    loop_run(loop);
    assert_int_equal(calls, count);
}

static void all_that_wait_learn_that_the_token_server_failed(UNUSED void **state) {
    post();
    post();
    post();
    run(3);
    assert_int_equal(oauth2.fetches, 1);
    assert_true(last.unsent && !last.stale && last.status == 0);
    assert_string_equal(reason,
                        "token server: the address is not public; egress.allow does not allow it");
    assert_int_equal(https_outcome(&last, VERDICT_UNANSWERED).verdict, VERDICT_UNSENT);
    last.fault = FAULT_MEMORY;
    assert_int_equal(https_outcome(&last, VERDICT_UNANSWERED).verdict, VERDICT_CALLED_OFF);
}

static struct oauth2_post *other;

static void cancel_other(void) {
    on_call = NULL;
    oauth2_cancel(other);
    post();
}

static void the_first_to_learn_may_cancel_the_next_and_send_again(UNUSED void **state) {
    post();
    other = post();
    on_call = cancel_other;
    run(2);
    assert_int_equal(oauth2.fetches, 2);
}

static void a_cancelled_request_is_not_reported(UNUSED void **state) {
    other = post();
    post();
    oauth2_cancel(other);
    run(1);
}

static void what_waits_for_the_token_of_a_changed_spec_is_made_again(UNUSED void **state) {
    post();
    other = post();
    oauth2_forget(&oauth2);
    assert_int_equal(calls, 0); /* never from within */
    oauth2_cancel(other);
    run(1);
    assert_true(last.stale && !last.unsent);
    assert_int_equal(https_outcome(&last, VERDICT_UNANSWERED).verdict, VERDICT_CALLED_OFF);
}

static void without_a_grant_nothing_is_fetched(UNUSED void **state) {
    spec.oauth2 = NULL;
    oauth2_cancel(post());
    post();
    run(1);
    spec.oauth2 = &grant;
    assert_int_equal(oauth2.fetches, 0);
    assert_string_equal(reason, "the address is not public; egress.allow does not allow it");
    assert_false(last.unsent);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(all_that_wait_learn_that_the_token_server_failed),
        TEST(the_first_to_learn_may_cancel_the_next_and_send_again),
        TEST(a_cancelled_request_is_not_reported),
        TEST(what_waits_for_the_token_of_a_changed_spec_is_made_again),
        TEST(without_a_grant_nothing_is_fetched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
