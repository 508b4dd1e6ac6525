/* The HTTP server's limits of connections, and its end: no callback into a service that has freed
 * its data. */
#include "loop_fixture.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/http/http_internal.h"

static bool admit(void *arg, struct http_request *request) {
    (void)arg, (void)request;
    fail_msg("the service was asked whether a request is allowed");
    return true;
}

static void handle(void *arg, struct http_request *request) {
    (void)arg, (void)request;
    fail_msg("the service was handed a request");
}

static struct http_server *make_limited(bool with_admit, int64_t connections, int64_t per_address) {
    static const struct http_route routes[] = {{"GET", "/a", handle, false, 0},
                                               {"POST", "/a", handle, false, 0}};
    const struct http_server_options options = {.listen = "127.0.0.1:0",
                                                .header_timeout_ms = 60000,
                                                .body_timeout_ms = 60000,
                                                .routes = routes,
                                                .routes_count = 2,
                                                .max_connections = connections,
                                                .max_connections_per_address = per_address,
                                                .admit = with_admit ? admit : NULL};
    struct error err;
    struct http_server *server = http_server_new(loop, &options, &err);
    assert_non_null(server);
    return server;
}

static struct http_server *make_server(bool with_admit) { return make_limited(with_admit, 0, 0); }

static int connect_to(struct http_server *server) {
    const struct sockaddr_in6 address = {.sin6_family = AF_INET6};
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    assert_int_equal(MHD_add_connection(server->daemon, ends[0], (const struct sockaddr *)&address,
                                        sizeof address),
                     MHD_YES);
    MHD_run(server->daemon); /* libmicrohttpd 1.0 opens it only now */
    return ends[1];
}

static void put(int fd, const char *text) {
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void check_stopping(int fd) {
    char answer[2048] = "";
    assert_true(read(fd, answer, sizeof answer - 1) > 0);
    assert_ptr_equal(strstr(answer, "HTTP/1.1 503 "), answer);
    assert_non_null(strstr(answer, "Retry-After: 1"));
    close(fd);
}

static void test_a_request_that_comes_while_the_server_goes_is_told_so(void **state) {
    (void)state;
    struct http_server *server = make_server(true);
    int fd = connect_to(server);
    put(fd, "GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
    http_server_free(server);
    check_stopping(fd);
}

static void test_a_body_that_is_whole_while_the_server_goes_is_not_handled(void **state) {
    (void)state;
    struct http_server *server = make_server(false);
    int fd = connect_to(server);
    put(fd, "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n1");
    for (int turn = 0; turn < 10 && !(server->requests && server->requests->begun); turn++)
        MHD_run(server->daemon);
    assert_true(server->requests->begun);
    put(fd, "2");
    http_server_free(server);
    check_stopping(fd);
}

enum { CALLERS = 6, CALLERS_MAX = 2 };

/* Opens all connections before the server looks. Returns how many the server refused. */
static int call_at_once(struct http_server *server) {
    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    int fds[CALLERS], ended = 0;
    assert_int_equal(getsockname(server->listen_fd, (struct sockaddr *)&address, &len), 0);
    for (int i = 0; i < CALLERS; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(fds[i], (const struct sockaddr *)&address, len), 0);
    }
    for (int turn = 0; turn < 3; turn++)
        turn_once();
    assert_int_equal(http_server_connections(server), CALLERS_MAX);
    for (int i = 0; i < CALLERS; i++) {
        char byte;
        ended += recv(fds[i], &byte, 1, MSG_DONTWAIT) == 0 || errno != EAGAIN;
        close(fds[i]);
    }
    return ended;
}

static void test_connections_beyond_the_most_wait_and_are_not_turned_away(void **state) {
    (void)state;
    struct http_server *server = make_limited(false, CALLERS_MAX, 0);
    assert_int_equal(call_at_once(server), 0);
    http_server_free(server);
}

static void test_connections_beyond_the_most_of_their_address_are_turned_away(void **state) {
    (void)state;
    struct http_server *server = make_limited(false, 0, CALLERS_MAX);
    assert_int_equal(call_at_once(server), CALLERS - CALLERS_MAX);
    http_server_free(server);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_request_that_comes_while_the_server_goes_is_told_so,
                                        make_loop, free_loop),
        cmocka_unit_test_setup_teardown(
            test_a_body_that_is_whole_while_the_server_goes_is_not_handled, make_loop, free_loop),
        cmocka_unit_test_setup_teardown(
            test_connections_beyond_the_most_wait_and_are_not_turned_away, make_loop, free_loop),
        cmocka_unit_test_setup_teardown(
            test_connections_beyond_the_most_of_their_address_are_turned_away, make_loop,
            free_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
