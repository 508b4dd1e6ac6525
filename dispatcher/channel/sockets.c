/* curl's sockets on the loop; see sockets.h. After curl's multi_socket_action examples. */
#include "dispatcher/channel/sockets.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "common/base/buf.h"

struct socket {
    struct sockets *owner;
    struct loop_io io;
    uint32_t events; /* events waited for */
    /* curl does not wait for the socket: no request is under way, or the socket is about to be
     * closed */
    bool idle;
    /* while idle: the last request was answered, so the socket is connected, and only
     * sockets_close closes the socket */
    bool kept;
    bool unwanted; /* do not reuse the connection */
    struct exchange *exchange;
    struct socket *prev, *next; /* of the exchange */
    char *host;
    struct sockaddr_storage peer;
};

struct sockets {
    struct loop *loop;
    CURLM *multi;
    void (*acted)(void *arg);
    void *arg;
    struct socket **by_fd;
    size_t count;
};

static void socket_ready(void *arg, uint32_t events);

static void socket_watch(struct socket *s, uint32_t events) {
    if (events == s->events)
        return;
    s->events = events;
    if (events)
        loop_io_set(s->owner->loop, &s->io, s->io.fd, events, socket_ready, s);
    else
        loop_io_clear(s->owner->loop, &s->io);
}

/* curl has no call to close an idle connection. curl finds this connection at its end before the
 * next use: all input is read, and the peer accepts nothing more. */
static void socket_end(struct socket *s) {
    char dropped[4096];
    socket_watch(s, 0);
    shutdown(s->io.fd, SHUT_RDWR);
    while (recv(s->io.fd, dropped, sizeof dropped, MSG_DONTWAIT) > 0)
        ;
}

/* curl 7.88 silently closes a socket that was never connected. Another socket may have the number
 * by now: hands off. */
static void socket_end_idle(struct socket *s) {
    if (s->kept)
        socket_end(s);
    else
        socket_watch(s, 0);
}

static bool socket_has_input(const struct socket *s) {
    char byte;
    return recv(s->io.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0;
}

static void socket_ready(void *arg, uint32_t events) {
    struct socket *s = arg;
    struct sockets *sockets = s->owner;
    int running, flags = 0;
    if (s->idle) {
        socket_end_idle(s);
        return;
    }
    flags |= events & EPOLLIN ? CURL_CSELECT_IN : 0;
    flags |= events & EPOLLOUT ? CURL_CSELECT_OUT : 0;
    flags |= events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0;
    curl_multi_socket_action(sockets->multi, s->io.fd, flags, &running); /* may free `s` */
    sockets->acted(sockets->arg);
}

static void socket_set_exchange(struct socket *s, struct exchange *exchange) {
    if (s->exchange == exchange)
        return;
    if (s->exchange)
        DL_DELETE(s->exchange->sockets, s);
    s->exchange = exchange;
    if (exchange)
        DL_APPEND(exchange->sockets, s);
}

void sockets_leave(struct exchange *exchange) {
    while (exchange->sockets)
        socket_set_exchange(exchange->sockets, NULL);
}

static struct socket *sockets_find(const struct sockets *sockets, curl_socket_t fd) {
    return (size_t)fd < sockets->count ? sockets->by_fd[fd] : NULL;
}

/* curl no longer waits for the socket: the request is over, or the socket is about to be closed. */
static void socket_rest(struct socket *s) {
    s->idle = true;
    s->kept = s->exchange && s->exchange->answered;
    if (!s->kept)
        return;
    if (s->unwanted || socket_has_input(s))
        socket_end(s);
    else
        socket_watch(s, EPOLLIN);
}

static int sockets_on_poll(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg) {
    struct socket *s = sockets_find(arg, fd);
    char *private = NULL;
    (void)socket_arg;
    if (!s)
        return 0; /* not a connection's */
    if (what == CURL_POLL_REMOVE) {
        socket_rest(s);
        return 0;
    }
    curl_easy_getinfo(easy, CURLINFO_PRIVATE,
                      &private); /* NULL: curl's own handle, which ends a connection */
    socket_set_exchange(s, (struct exchange *)(void *)private);
    s->idle = false;
    socket_watch(s, (what & CURL_POLL_IN ? (uint32_t)EPOLLIN : 0) |
                        (what & CURL_POLL_OUT ? (uint32_t)EPOLLOUT : 0));
    return 0;
}

static void sockets_make_room(struct sockets *sockets, curl_socket_t fd) {
    size_t count = (size_t)fd + 64;
    if ((size_t)fd < sockets->count)
        return;
    sockets->by_fd = mem_resize(sockets->by_fd, count * sizeof *sockets->by_fd);
    memset(sockets->by_fd + sockets->count, 0, (count - sockets->count) * sizeof *sockets->by_fd);
    sockets->count = count;
}

static void socket_set_reset(int fd, bool reset) {
    const struct linger linger = {.l_onoff = reset, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
}

static void socket_free(struct socket *s) {
    socket_watch(s, 0);
    socket_set_exchange(s, NULL);
    free(s->host);
    free(s);
}

/* If a socket's number comes back at once and curl did not report the close, curl believes that
 * the loop still waits for the socket. */
static uint32_t sockets_forget(struct sockets *sockets, int fd) {
    struct socket *s = sockets->by_fd[fd];
    uint32_t events = s && !s->idle ? s->events : 0;
    if (s)
        socket_free(s);
    return events;
}

int sockets_open(struct sockets *sockets, const struct curl_sockaddr *address,
                 const struct sockaddr *peer, const char *host, struct exchange *exchange) {
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    if (fd < 0)
        return -1;
    socket_set_reset(fd, true);
    sockets_make_room(sockets, fd);
    uint32_t events = sockets_forget(sockets, fd);
    struct socket *s = sockets->by_fd[fd] = mem_zero(sizeof *s);
    *s = (struct socket){
        .owner = sockets, .io.fd = fd, .host = mem_copy_string(host, strlen(host))};
    memcpy(&s->peer, peer,
           peer->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in));
    socket_set_exchange(s, exchange);
    socket_watch(s, events);
    return fd;
}

int sockets_close(void *arg, curl_socket_t fd) {
    struct sockets *sockets = arg;
    struct socket *s = sockets_find(sockets, fd);
    if (s) {
        if (!s->exchange || !s->exchange->begun || s->exchange->answered)
            socket_set_reset(fd, false);
        sockets->by_fd[fd] = NULL;
        socket_free(s);
    }
    return close(fd);
}

static bool sockets_same_address(const struct sockaddr_storage *a,
                                 const struct sockaddr_storage *b) {
    const struct sockaddr_in *a4 = (const void *)a, *b4 = (const void *)b;
    const struct sockaddr_in6 *a6 = (const void *)a, *b6 = (const void *)b;
    if (a->ss_family != b->ss_family)
        return false;
    return a->ss_family == AF_INET6
               ? memcmp(&a6->sin6_addr, &b6->sin6_addr, sizeof a6->sin6_addr) == 0
               : a4->sin_addr.s_addr == b4->sin_addr.s_addr;
}

static bool address_set_has(const struct address_set *set, const struct sockaddr_storage *peer) {
    if (!(peer->ss_family == AF_INET6 ? set->ipv6_known : set->ipv4_known))
        return true;
    for (size_t i = 0; i < set->count; i++)
        if (sockets_same_address(&set->addresses[i], peer))
            return true;
    return false;
}

void sockets_keep(struct sockets *sockets, const char *host, const struct address_set *set) {
    for (size_t fd = 0; fd < sockets->count; fd++) {
        struct socket *s = sockets->by_fd[fd];
        if (!s || strcmp(s->host, host) != 0)
            continue;
        s->unwanted = !address_set_has(set, &s->peer);
        if (s->idle && s->unwanted)
            socket_end_idle(s);
    }
}

struct sockets *sockets_new(struct loop *loop, CURLM *multi, void (*acted)(void *arg), void *arg) {
    struct sockets *sockets = mem_zero(sizeof *sockets);
    *sockets = (struct sockets){.loop = loop, .multi = multi, .acted = acted, .arg = arg};
    curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, sockets_on_poll);
    curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, sockets);
    return sockets;
}

void sockets_free(struct sockets *sockets) {
    for (size_t fd = 0; fd < sockets->count; fd++)
        if (sockets->by_fd[fd])
            socket_free(sockets->by_fd[fd]);
    free(sockets->by_fd);
    free(sockets);
}
