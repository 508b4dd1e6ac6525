/* Answers for which libmicrohttpd has no memory: the connection is closed, and the server
 * continues. */
#include "loop_fixture.h"

#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "common/http/http_internal.h"

/* --- libmicrohttpd's functions, which fail while no_memory is set */

static bool no_memory;

static void *original(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    assert_non_null(found);
    return found;
}

struct MHD_Response *MHD_create_response_from_buffer(size_t size, void *buffer,
                                                     enum MHD_ResponseMemoryMode mode) {
    struct MHD_Response *(*create)(size_t, void *, enum MHD_ResponseMemoryMode);
    *(void **)&create = original("MHD_create_response_from_buffer");
    return no_memory ? NULL : create(size, buffer, mode);
}

struct MHD_Response *MHD_create_response_from_callback(uint64_t size, size_t block,
                                                       MHD_ContentReaderCallback read, void *arg,
                                                       MHD_ContentReaderFreeCallback free_arg) {
    struct MHD_Response *(*create)(uint64_t, size_t, MHD_ContentReaderCallback, void *,
                                   MHD_ContentReaderFreeCallback);
    *(void **)&create = original("MHD_create_response_from_callback");
    return no_memory ? NULL : create(size, block, read, arg, free_arg);
}

/* --- a server that answers at once, later, or by a stream */

static struct http_request *parked;
static int streams_gone;

static void answer(struct http_request *request) {
    struct buf body = {0};
    buf_puts(&body, "{}\n");
    http_answer(request, 200, "application/json", &body);
    buf_fini(&body);
}

static void handle_now(void *arg, struct http_request *request) {
    (void)arg;
    answer(request);
}

static void handle_later(void *arg, struct http_request *request) {
    (void)arg;
    parked = request;
}

static void on_gone(void *arg) {
    (void)arg;
    streams_gone++;
}

static void handle_stream(void *arg, struct http_request *request) {
    (void)arg;
    http_request_on_gone(request, on_gone, NULL);
    http_stream_begin(request, 200, "text/event-stream", NULL, NULL);
    http_stream_write(request, "data: 1\n\n", 9);
}

static struct http_server *make_server(void) {
    static const struct http_route routes[] = {{"GET", "/now", handle_now, false, 0},
                                               {"GET", "/later", handle_later, false, 0},
                                               {"GET", "/stream", handle_stream, false, 0}};
    const struct http_server_options options = {.listen = "127.0.0.1:0",
                                                .header_timeout_ms = 60000,
                                                .body_timeout_ms = 60000,
                                                .routes = routes,
                                                .routes_count = 3};
    struct error err;
    struct http_server *server = http_server_new(loop, &options, &err);
    assert_non_null(server);
    parked = NULL;
    streams_gone = 0;
    return server;
}

static int call(struct http_server *server, const char *path) {
    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    char text[80];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(getsockname(server->listen_fd, (struct sockaddr *)&address, &len), 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, len), 0);
    int bytes = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path);
    assert_int_equal(write(fd, text, (size_t)bytes), bytes);
    return fd;
}

/* What has come by now: a byte's worth of an answer, the connection's end (0), or nothing (-1). */
static ssize_t turn_until_heard(int fd) {
    char byte;
    ssize_t n = -1;
    for (int turn = 0; turn < 100000 && n < 0; turn++) {
        turn_once();
        n = recv(fd, &byte, 1, MSG_DONTWAIT);
        if (n < 0 && errno == ECONNRESET)
            n = 0;
    }
    return n;
}

static void check_served(struct http_server *server) {
    no_memory = false;
    int fd = call(server, "/now");
    assert_int_equal(turn_until_heard(fd), 1);
    close(fd);
    http_server_free(server);
}

static void an_answer_without_memory_closes_its_connection(void **state) {
    (void)state;
    struct http_server *server = make_server();
    no_memory = true;
    int fds[] = {call(server, "/now"), call(server, "/nowhere")};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(turn_until_heard(fds[i]), 0);
        close(fds[i]);
    }
    check_served(server);
}

static void a_later_answer_without_memory_closes_its_connection(void **state) {
    (void)state;
    struct http_server *server = make_server();
    int fd = call(server, "/later");
    while (!parked)
        turn_once();
    no_memory = true;
    answer(parked);
    assert_int_equal(turn_until_heard(fd), 0);
    close(fd);
    check_served(server);
}

static void a_stream_without_memory_ends_and_its_service_is_told(void **state) {
    (void)state;
    struct http_server *server = make_server();
    no_memory = true;
    int fd = call(server, "/stream");
    assert_int_equal(turn_until_heard(fd), 0);
    assert_int_equal(streams_gone, 1);
    close(fd);
    check_served(server);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_answer_without_memory_closes_its_connection, make_loop,
                                        free_loop),
        cmocka_unit_test_setup_teardown(a_later_answer_without_memory_closes_its_connection,
                                        make_loop, free_loop),
        cmocka_unit_test_setup_teardown(a_stream_without_memory_ends_and_its_service_is_told,
                                        make_loop, free_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
