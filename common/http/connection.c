/* Open connections: deadlines, connections per address, and lingering ends; see http_internal.h. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "common/base/clock.h"
#include "common/http/http_internal.h"

enum {
    LINGER_MS = 2000,
    LINGER_PIECE_BYTES = 16 * 1024,
};

/* The connections of one IPv4 address, or of one IPv6 /64, the usual share of one customer. */
struct http_peer {
    UT_hash_handle hh;
    unsigned char network[16];
    int64_t connections;
};

/* A connection whose last answer was sent while the client still writes. Closing it now would reset
 * the connection and lose the answer. Drops arriving bytes. */
struct http_linger {
    struct http_server *server;
    struct loop_io io;
    struct loop_timer deadline;
    size_t left_bytes;
    struct http_linger *prev, *next;
};

/* --- connections per address */

static void peer_network(const struct sockaddr *address, unsigned char network[16]) {
    memset(network, 0, 16);
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)address;
        network[10] = network[11] = 0xff;
        memcpy(network + 12, &v4->sin_addr, 4);
    } else if (address->sa_family == AF_INET6) {
        const struct in6_addr *v6 =
            &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
        memcpy(network, v6, IN6_IS_ADDR_V4MAPPED(v6) ? 16 : 8);
    }
}

static struct http_peer *peer_find(const struct http_server *server,
                                   const unsigned char network[16]) {
    struct http_peer *peer;
    HASH_FIND(hh, server->peers, network, 16, peer);
    return peer;
}

static struct http_peer *peer_join(struct http_server *server, const struct sockaddr *address) {
    unsigned char network[16];
    peer_network(address, network);
    struct http_peer *peer = peer_find(server, network);
    if (!peer) {
        peer = mem_zero(sizeof *peer);
        memcpy(peer->network, network, sizeof network);
        HASH_ADD(hh, server->peers, network, sizeof peer->network, peer);
    }
    peer->connections++;
    return peer;
}

static void peer_leave(struct http_server *server, struct http_peer *peer) {
    if (--peer->connections)
        return;
    HASH_DEL(server->peers, peer);
    free(peer);
}

enum MHD_Result http_connection_accept(void *cls, const struct sockaddr *address, socklen_t len) {
    const struct http_server *server = cls;
    int64_t max = server->options.max_connections_per_address;
    unsigned char network[16];
    (void)len;
    peer_network(address, network);
    const struct http_peer *peer = peer_find(server, network);
    return max && peer && peer->connections >= max ? MHD_NO : MHD_YES;
}

/* --- lingering ends */

static void linger_end(struct http_linger *l) {
    DL_DELETE(l->server->lingers, l);
    l->server->lingers_count--;
    loop_timer_clear(l->server->loop, &l->deadline);
    loop_io_clear(l->server->loop, &l->io);
    close(l->io.fd);
    free(l);
}

static void linger_on_deadline(void *arg) { linger_end(arg); }

static void linger_on_ready(void *arg, uint32_t events) {
    struct http_linger *l = arg;
    char dropped[LINGER_PIECE_BYTES];
    (void)events;
    ssize_t n = recv(l->io.fd, dropped, sizeof dropped, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0 || (size_t)n > l->left_bytes)
        linger_end(l);
    else
        l->left_bytes -= (size_t)n;
}

/* libmicrohttpd closes its descriptor; a duplicate keeps the socket. Beyond the limit on lingering
 * connections, closes at once. */
static void linger_begin(struct http_server *server, int fd) {
    int own = server->lingers_count < server->lingers_max ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
    if (own < 0)
        return;
    struct http_linger *l = mem_zero(sizeof *l);
    l->server = server;
    l->left_bytes = 1024 * 1024 + server->options.body_max_bytes;
    DL_APPEND(server->lingers, l);
    server->lingers_count++;
    shutdown(own, SHUT_WR);
    loop_timer_init(&l->deadline, linger_on_deadline, l);
    loop_timer_set(server->loop, &l->deadline, clock_ms() + LINGER_MS);
    loop_io_set(server->loop, &l->io, own, EPOLLIN, linger_on_ready, l);
}

void http_connection_end_lingers(struct http_server *server) {
    while (server->lingers)
        linger_end(server->lingers);
}

/* --- deadlines */

static void connection_on_deadline(void *arg) {
    struct http_connection *c = arg;
    shutdown(c->fd, SHUT_RDWR); /* libmicrohttpd sees the end, and closes */
}

void http_connection_deadline(struct http_connection *c, int64_t wait_ms) {
    loop_timer_set(c->server->loop, &c->deadline, clock_ms() + wait_ms);
}

void http_connection_begin_request(struct http_connection *c) {
    int64_t header_ms = c->server->options.header_timeout_ms;
    c->idle = false;
    if (c->deadline.at_ms > clock_ms() + header_ms)
        http_connection_deadline(c, header_ms);
}

void http_connection_end_request(struct http_connection *c) {
    c->idle = true;
    c->idle_turn = c->server->turn;
    http_connection_deadline(c, HTTP_IDLE_MS);
}

/* Edge-triggered. Detects the first byte of the next request: libmicrohttpd reports a request only
 * once its line is complete. Bytes fetched in the turn in which a request ended may still belong to
 * that request. */
static void connection_on_ready(void *arg, uint32_t events) {
    struct http_connection *c = arg;
    if (c->watcher && events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        http_request_left(c->watcher);
    else if (events & EPOLLIN && c->idle && c->idle_turn != c->server->turn)
        http_connection_begin_request(c);
}

void http_connection_watch(struct http_connection *c, struct http_request *watcher) {
    c->watcher = watcher;
    if (watcher) /* again, so that earlier events are reported too */
        loop_io_set(c->server->loop, &c->io, c->fd, EPOLLIN | EPOLLRDHUP | EPOLLET,
                    connection_on_ready, c);
}

/* --- life */

static void connection_open(struct http_server *server, struct MHD_Connection *mhd,
                            void **context) {
    struct http_connection *c = mem_zero(sizeof *c);
    c->server = server;
    c->fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    c->peer = peer_join(
        server, MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr);
    loop_timer_init(&c->deadline, connection_on_deadline, c);
    http_connection_deadline(c, server->options.header_timeout_ms);
    loop_io_set(server->loop, &c->io, c->fd, EPOLLIN | EPOLLRDHUP | EPOLLET, connection_on_ready,
                c);
    DL_APPEND(server->connections, c);
    server->connections_count++;
    *context = c;
}

static void connection_close(struct http_connection *c) {
    struct http_server *server = c->server;
    loop_timer_clear(server->loop, &c->deadline);
    loop_io_clear(server->loop, &c->io);
    peer_leave(server, c->peer);
    if (c->lingers)
        linger_begin(server, c->fd);
    DL_DELETE(server->connections, c);
    server->connections_count--;
    http_server_accept(server); /* accepting stopped at the limit */
    free(c);
}

void http_connection_notify(void *cls, struct MHD_Connection *mhd, void **context,
                            enum MHD_ConnectionNotificationCode what) {
    if (what == MHD_CONNECTION_NOTIFY_STARTED)
        connection_open(cls, mhd, context);
    else
        connection_close(*context);
}
