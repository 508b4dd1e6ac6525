/* The fault behind a failed POST, in a network namespace with loopback only; skipped where
 * namespaces cannot be made. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dispatcher/channel/https_post.h"
#include "tests/unit/net_fixture.h"

static struct loop *loop;
static struct https_result result;
static char reason[512]; /* the result's error */
static bool alone;

static void on_done(void *arg, const struct https_result *found) {
    (void)arg;
    result = *found;
    snprintf(reason, sizeof reason, "%s", found->error ? found->error : "");
    loop_stop(loop);
}

static void send_to(const char *url) {
    const struct https_request request = {
        .url = url, .body = {"{}", 2}, .timeout_ms = 10000, .done = on_done};
    struct cidr all;
    struct error err;
    assert_int_equal(cidr_parse("0.0.0.0/0", &all, &err), 0);
    static const struct option_list servers;
    const struct https_client_options options = {.max_connections = 8,
                                                 .connect_timeout_ms = 5000,
                                                 .idle_timeout_ms = 1000,
                                                 .lifetime_ms = 1000,
                                                 .ca_file = "",
                                                 .name_servers = &servers,
                                                 .allowed = &all,
                                                 .allowed_count = 1};
    loop = loop_new();
    struct https_client *client = https_client_new(loop, &options, &err);
    assert_non_null(client);
    https_send(client, &request);
    loop_run(loop);
    https_client_free(client);
    loop_free(loop);
}

/* --- an endpoint that accepts connections and speaks no TLS */

static int endpoint_open(char url[80]) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    snprintf(url, 80, "https://127.0.0.1:%d/hook?token=s3cr3t", ntohs(address.sin_port));
    return fd;
}

static int endpoint_connect(int listener) {
    static const struct linger at_once = {1, 0};
    struct sockaddr_in address;
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, len), 0);
    return fd;
}

static void set_ports(const char *range) {
    int fd = open("/proc/sys/net/ipv4/ip_local_port_range", O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, range, strlen(range)), strlen(range));
    close(fd);
}

static void without_a_free_port_it_is_our_fault_until_one_is_free(void **state) {
    (void)state;
    char url[80];
    if (!alone)
        skip();
    int listener = endpoint_open(url);
    set_ports("40000 40001");
    int first = endpoint_connect(listener), second = endpoint_connect(listener);
    send_to(url);
    assert_int_equal(result.status, 0);
    assert_int_equal(result.fault, FAULT_PORTS);
    close(first);
    close(second);
    set_ports("32768 60999");
    close(listener);
    send_to(url);
    assert_int_equal(result.fault, FAULT_NONE);
}

static void no_reason_holds_the_urls_query(void **state) {
    (void)state;
    char url[80];
    if (!alone)
        skip();
    int listener = endpoint_open(url);
    close(listener);
    const char *const urls[] = {url, "https://198.51.100.1/hook?token=s3cr3t",
                                "https://nowhere.invalid/hook?token=s3cr3t",
                                "https://[2001:db8::1]/hook?token=s3cr3t"};
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        send_to(urls[i]);
        assert_int_equal(result.status, 0);
        assert_true(*reason);
        assert_null(strstr(reason, "s3cr3t"));
        assert_null(strstr(reason, "token"));
    }
}

static void an_address_without_a_route_is_our_fault_where_nothing_has_one(void **state) {
    (void)state;
    if (!alone)
        skip();
    send_to("https://198.51.100.1/hook");
    assert_int_equal(result.status, 0);
    assert_int_equal(result.fault, FAULT_ROUTE);
}

static void a_refused_connection_is_the_endpoints(void **state) {
    (void)state;
    if (!alone)
        skip();
    send_to("https://127.0.0.1:9/hook");
    assert_int_equal(result.status, 0);
    assert_int_equal(result.fault, FAULT_NONE);
    assert_false(result.stale);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_without_a_route_is_our_fault_where_nothing_has_one),
        cmocka_unit_test(a_refused_connection_is_the_endpoints),
        cmocka_unit_test(without_a_free_port_it_is_our_fault_until_one_is_free),
        cmocka_unit_test(no_reason_holds_the_urls_query),
    };
    alone = enter_empty_network(true);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
