/* The HTTP server; see server.h. libmicrohttpd without threads: its epoll descriptor is in the
 * loop's. libmicrohttpd runs when the descriptor is ready, when a time-out is due, and when
 * necessary (a request was resumed, a connection ended). */
#include "common/http/server.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "common/base/clock.h"
#include "common/http/http_internal.h"

enum {
    BACKLOG = 1024,
    CONNECTION_MEMORY_BYTES = 16 * 1024, /* must hold the headers; kept by a suspended stream */
    INACTIVE_S = 60,                     /* for an unread answer or a silent connection */
    CLOSE_MS = 1000,                     /* for the last answers at shutdown */
    CLOSE_LOOK_MS = 5,
    DESCRIPTORS_KEPT = 256, /* for Kafka, files and lingering connections */
    LINGERS_MAX = 1000,
    ACCEPTS_A_TURN = 16,
    ACCEPT_AGAIN_MS = 100, /* after running out of descriptors or memory */
};

/* --- requests */

static void *on_request_line(void *cls, const char *uri, struct MHD_Connection *mhd) {
    struct http_request *request = http_request_new(cls, mhd, uri);
    http_connection_begin_request(request->connection);
    return request;
}

static void on_completed(void *cls, struct MHD_Connection *mhd, void **context,
                         enum MHD_RequestTerminationCode how) {
    struct http_request *request = *context;
    (void)cls, (void)mhd, (void)how;
    if (!request)
        return;
    http_connection_end_request(request->connection);
    http_request_free(request);
    *context = NULL;
}

/* The permission may have been revoked while the body arrived. */
static bool still_admitted(struct http_request *request) {
    const struct http_server_options *o = &request->server->options;
    return !request->guard.has_body || !o->admit || o->admit(o->arg, request);
}

static void server_handle(struct http_request *request) {
    request->handled = true;
    loop_timer_clear(request->server->loop, &request->connection->deadline);
    if (request->server->stopping)
        http_request_stopping(request);
    else if (request->too_large)
        http_request_too_large(request);
    else if (request->no_room)
        http_request_no_room(request);
    else if (still_admitted(request))
        request->route->handle(request->server->options.arg, request);
}

static enum MHD_Result go_on(struct http_request *request) {
    if (request->dead)
        return MHD_NO;
    if (request->response)
        return http_request_queue(request);
    request->suspended = true;
    MHD_suspend_connection(request->mhd);
    return MHD_YES;
}

/* Called by libmicrohttpd with the headers, with each piece of the body, at the body's end, and
 * after a resume. */
static enum MHD_Result on_request(void *cls, struct MHD_Connection *mhd, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *len, void **context) {
    struct http_server *server = cls;
    struct http_request *request = *context;
    (void)mhd;
    if (!request->begun) {
        http_connection_deadline(request->connection, server->options.body_timeout_ms);
        return http_request_begin(request, url, method, version) ? MHD_YES
                                                                 : http_request_queue(request);
    }
    if (*len) {
        http_request_take_body(request, data, *len);
        *len = 0;
        return MHD_YES;
    }
    if (!request->handled)
        server_handle(request);
    return go_on(request);
}

/* --- on the loop */

static bool due_now(struct http_server *server) {
    MHD_UNSIGNED_LONG_LONG wait_ms;
    if (MHD_get_timeout(server->daemon, &wait_ms) != MHD_YES)
        return false;
    if (wait_ms > 0)
        loop_timer_set(server->loop, &server->timer, clock_ms() + (int64_t)wait_ms);
    return wait_ms == 0;
}

static void server_run_daemon(struct http_server *server) {
    server->must_run = false;
    MHD_run(server->daemon);
}

static bool server_before_wait(void *arg) {
    struct http_server *server = arg;
    http_stream_call_drained(server);
    if (!server->must_run && !due_now(server))
        return false;
    server_run_daemon(server);
    return server->drained || server->must_run || due_now(server);
}

static void server_after_wait(void *arg) {
    struct http_server *server = arg;
    server->turn++;
}

static void on_timer(void *arg) { server_run_daemon(arg); }

static void server_on_ready(void *arg, uint32_t events) {
    (void)events;
    server_run_daemon(arg);
}

/* --- listening */

/* Connections are accepted here, because libmicrohttpd, once refused a descriptor, accepts again
 * only after one of its connections ends, which may be never. */
static bool accept_one(struct http_server *server) {
    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    int fd = accept4(server->listen_fd, (struct sockaddr *)&address, &len,
                     SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0)
        MHD_add_connection(server->daemon, fd, (struct sockaddr *)&address,
                           len); /* closes a refused connection */
    else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        loop_io_clear(server->loop, &server->listener);
        loop_timer_set(server->loop, &server->accept_again, clock_ms() + ACCEPT_AGAIN_MS);
    }
    return fd >= 0;
}

/* libmicrohttpd 1.0 opens a connection only when run. Runs it after each connection, so that the
 * limits count the connection. */
static void on_connections(void *arg, uint32_t events) {
    struct http_server *server = arg;
    (void)events;
    for (int n = 0; n < ACCEPTS_A_TURN && server->listener.set &&
                    server->connections_count < server->connections_max && accept_one(server);
         n++)
        server_run_daemon(server);
    if (server->connections_count >= server->connections_max)
        loop_io_clear(server->loop, &server->listener);
}

void http_server_accept(struct http_server *server) {
    if (!server->quiescing && !server->listener.set && !server->accept_again.slot)
        loop_io_set(server->loop, &server->listener, server->listen_fd, EPOLLIN, on_connections,
                    server);
}

static void on_accept_again(void *arg) { http_server_accept(arg); }

/* Splits "127.0.0.1:8080" or "[::1]:0". */
static int split_address(const char *listen, char host[64], char port[8], struct error *err) {
    const char *colon = strrchr(listen, ':');
    size_t len = colon ? (size_t)(colon - listen) : 0;
    bool brackets = len > 2 && listen[0] == '[' && listen[len - 1] == ']';
    if (brackets) {
        listen++;
        len -= 2;
    }
    if (len == 0 || len >= 64 || !colon[1] || strlen(colon + 1) > 5 ||
        (!brackets && memchr(listen, ':', len)))
        return error_set(err, "must be address:port, such as 127.0.0.1:8080 or [::1]:0");
    snprintf(host, 64, "%.*s", (int)len, listen);
    snprintf(port, 8, "%s", colon + 1);
    return 0;
}

static int bind_one(const struct addrinfo *address, struct error *err) {
    static const int on = 1;
    int fd = socket(address->ai_family, address->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
                    address->ai_protocol);
    if (fd < 0)
        return error_set(err, "%s", strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, address->ai_addr, address->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    error_set(err, "%s",
              errno == EADDRINUSE ? "the port is taken by another program" : strerror(errno));
    close(fd);
    return -1;
}

static int open_listener(const char *listen, struct error *err) {
    const struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV,
                                   .ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    char host[64], port[8];
    if (split_address(listen, host, port, err))
        return error_prefix(err, "%s: ", listen);
    int code = getaddrinfo(host, port, &hints, &found);
    if (code)
        return error_set(err, "%s: %s", listen, gai_strerror(code));
    int fd = bind_one(found, err);
    freeaddrinfo(found);
    return fd >= 0 ? fd : error_prefix(err, "%s cannot be listened on: ", listen);
}

static void name_address(struct http_server *server) {
    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    char host[64] = "", port[8] = "";
    getsockname(server->listen_fd, (struct sockaddr *)&address, &len);
    getnameinfo((struct sockaddr *)&address, len, host, sizeof host, port, sizeof port,
                NI_NUMERICHOST | NI_NUMERICSERV);
    bool v6 = address.ss_family == AF_INET6;
    snprintf(server->address, sizeof server->address, "%s%s%s:%s", v6 ? "[" : "", host,
             v6 ? "]" : "", port);
}

static int start_daemon(struct http_server *server, struct error *err) {
    char priorities[] = "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2";
    const struct http_server_options *o = &server->options;
    struct MHD_OptionItem tls[] = {{MHD_OPTION_HTTPS_CERT_CALLBACK, 0, (void *)tls_retrieve},
                                   {MHD_OPTION_HTTPS_PRIORITIES, 0, priorities},
                                   {MHD_OPTION_END, 0, NULL}};
    unsigned flags = MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME |
                     (o->tls ? MHD_USE_TLS : 0);
    server->daemon = MHD_start_daemon(
        flags, 0, http_connection_accept, server, on_request, server, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)server->connections_max, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)CONNECTION_MEMORY_BYTES, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)INACTIVE_S,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_NOTIFY_CONNECTION, http_connection_notify,
        server, MHD_OPTION_NOTIFY_COMPLETED, on_completed, server, MHD_OPTION_URI_LOG_CALLBACK,
        on_request_line, server, MHD_OPTION_ARRAY, o->tls ? tls : tls + 2, MHD_OPTION_END);
    if (!server->daemon)
        return error_set(err, "libmicrohttpd does not start");
    int epoll = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    loop_io_set(server->loop, &server->io, epoll, EPOLLIN, server_on_ready, server);
    http_server_accept(server);
    return 0;
}

/* The limit of connections: as configured (0: any number), or fewer for lack of descriptors. Half
 * of the remaining descriptors may linger. */
static void share_descriptors(struct http_server *server, int64_t wanted) {
    int64_t all = sysconf(_SC_OPEN_MAX),
            room = all > 2 * DESCRIPTORS_KEPT ? all - DESCRIPTORS_KEPT : all / 2;
    int64_t max = wanted && wanted < room ? wanted : room, lingers = (all - max) / 2;
    server->connections_max = (size_t)max;
    server->lingers_max = (size_t)(lingers < LINGERS_MAX ? lingers : LINGERS_MAX);
}

struct http_server *http_server_new(struct loop *loop, const struct http_server_options *options,
                                    struct error *err) {
    int fd = open_listener(options->listen, err);
    if (fd < 0)
        return NULL;
    struct http_server *server = mem_zero(sizeof *server);
    *server = (struct http_server){.loop = loop, .options = *options, .listen_fd = fd};
    server->hook = (struct loop_hook){
        .before_wait = server_before_wait, .after_wait = server_after_wait, .arg = server};
    share_descriptors(server, options->max_connections);
    loop_timer_init(&server->timer, on_timer, server);
    loop_timer_init(&server->accept_again, on_accept_again, server);
    name_address(server);
    if (start_daemon(server, err)) {
        close(fd);
        free(server);
        return NULL;
    }
    loop_hook_add(loop, &server->hook);
    return server;
}

const char *http_server_address(const struct http_server *server) { return server->address; }
size_t http_server_held(const struct http_server *server) { return server->held; }
size_t http_server_connections(const struct http_server *server) {
    return server->connections_count;
}
size_t http_server_connections_max(const struct http_server *server) {
    return server->connections_max;
}

/* --- the end */

void http_server_quiesce(struct http_server *server) {
    if (server->quiescing)
        return;
    server->quiescing = true;
    loop_io_clear(server->loop, &server->listener);
    loop_timer_clear(server->loop, &server->accept_again);
    close(server->listen_fd);
}

static void answer_the_last(struct http_server *server) {
    struct http_request *r, *next;
    DL_FOREACH_SAFE(server->requests, r, next) {
        if (!r->handled || r->answered)
            continue;
        http_request_tell_gone(r);
        if (r->streaming)
            http_stream_end(r);
        else
            http_request_stopping(r);
    }
}

void http_server_free(struct http_server *server) {
    if (!server)
        return;
    int64_t until_ms = clock_ms() + CLOSE_MS;
    http_server_quiesce(server);
    server->stopping = true;
    answer_the_last(server);
    MHD_run(server->daemon);
    while (server->requests && clock_ms() < until_ms) {
        usleep(CLOSE_LOOK_MS * 1000);
        MHD_run(server->daemon);
    }
    loop_hook_remove(server->loop, &server->hook);
    loop_io_clear(server->loop, &server->io);
    MHD_stop_daemon(server->daemon);
    http_connection_end_lingers(server);
    loop_timer_clear(server->loop, &server->timer);
    free(server);
}
