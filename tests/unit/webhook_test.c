/* Whose fault a failed attempt is, in a network namespace that has nothing but loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dispatcher/channel/webhook.h"
#include "tests/unit/net_fixture.h"

static struct loop *loop;
static struct webhook_result result;

static void on_done(void *arg, const struct webhook_result *found) {
    (void)arg;
    result = *found;
    loop_stop(loop);
}

static void send_to(const char *url) {
    struct buf body = {0};
    const struct webhook_request request = {
        .url = url, .body = &body, .timeout_ms = 10000, .done = on_done};
    struct cidr all;
    struct error err;
    assert_int_equal(cidr_parse("0.0.0.0/0", &all, &err), 0);
    static const struct option_list servers;
    const struct webhook_client_options options = {.max_connections = 8,
                                                   .connect_timeout_ms = 5000,
                                                   .idle_timeout_ms = 1000,
                                                   .lifetime_ms = 1000,
                                                   .ca_file = "",
                                                   .name_servers = &servers,
                                                   .allowed = &all,
                                                   .allowed_count = 1};
    buf_puts(&body, "{}");
    loop = loop_new();
    struct webhook_client *client = webhook_client_new(loop, &options, &err);
    assert_non_null(client);
    webhook_send(client, &request);
    loop_run(loop);
    webhook_client_free(client);
    loop_free(loop);
}

static void an_address_without_a_route_is_our_fault_where_nothing_has_one(void **state) {
    (void)state;
    send_to("https://198.51.100.1/hook");
    assert_int_equal(result.status, 0);
    assert_int_equal(result.fault, WEBHOOK_ROUTE);
}

static void a_refused_connection_is_the_endpoints(void **state) {
    (void)state;
    send_to("https://127.0.0.1:9/hook");
    assert_int_equal(result.status, 0);
    assert_int_equal(result.fault, WEBHOOK_NO_FAULT);
    assert_false(result.stale);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_without_a_route_is_our_fault_where_nothing_has_one),
        cmocka_unit_test(a_refused_connection_is_the_endpoints),
    };
    if (!enter_empty_network(true))
        return 0; /* not root */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
