/* Connections of a server: how many each address may have. */
#include "loop_fixture.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include "common/http/http_internal.h"

static struct http_server *server;

static int make_server(void **state) {
    struct error err;
    if (make_loop(state))
        return -1;
    const struct http_server_options options = {.listen = "127.0.0.1:0",
                                                .max_connections_per_address = 2,
                                                .header_timeout_ms = 60000,
                                                .body_timeout_ms = 60000};
    server = http_server_new(loop, &options, &err);
    return server ? 0 : -1;
}

static int free_server(void **state) {
    http_server_free(server);
    return free_loop(state);
}

/* Whether a connection from this address is accepted. The client's end stays open. libmicrohttpd
 * 1.0 counts a connection that it did not accept itself when it next runs; 0.9.75 counts it at
 * once. */
static bool connects(const char *text) {
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    int ends[2];
    bool is_v6 = inet_pton(AF_INET6, text, &v6.sin6_addr) == 1;
    assert_true(is_v6 || inet_pton(AF_INET, text, &v4.sin_addr) == 1);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    bool taken = MHD_add_connection(server->daemon, ends[0],
                                    is_v6 ? (struct sockaddr *)&v6 : (struct sockaddr *)&v4,
                                    is_v6 ? sizeof v6 : sizeof v4) == MHD_YES;
    MHD_run(server->daemon);
    return taken;
}

static void test_addresses_of_ipv4_count_each(void **state) {
    (void)state;
    assert_true(connects("192.0.2.1") && connects("192.0.2.1") && !connects("192.0.2.1"));
    assert_true(connects("192.0.2.2") && connects("::ffff:192.0.2.2") && !connects("192.0.2.2"));
}

static void test_a_64_of_ipv6_counts_as_one(void **state) {
    (void)state;
    assert_true(connects("2001:db8:1:2::1") && connects("2001:db8:1:2:a:b:c:d"));
    assert_false(connects("2001:db8:1:2:ffff::9"));
    assert_true(connects("2001:db8:1:3::1"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_addresses_of_ipv4_count_each, make_server,
                                        free_server),
        cmocka_unit_test_setup_teardown(test_a_64_of_ipv6_counts_as_one, make_server, free_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
