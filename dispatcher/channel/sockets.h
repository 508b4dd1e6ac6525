/* The sockets of curl's connections, on the loop: the users of each socket, the fate of unsent
 * bytes at a close, and the end of idle sockets. A socket stays on the loop between two requests
 * of a connection, which saves two system calls each.
 *
 * - A socket closed before the request's answer is reset (SO_LINGER 0), also by the kernel if
 *   this process is killed. Otherwise the kernel would go on sending the written bytes, and an
 *   old event could arrive after newer events.
 * - A connection with input while no request is under way (an end, or unrequested bytes) is never
 *   reused: curl 7.88 takes such bytes for the answer to the next request (RFC 9112 9.2).
 *
 * Loop thread only. */
#ifndef ESS_DISPATCHER_SOCKETS_H
#define ESS_DISPATCHER_SOCKETS_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/base/loop.h"

struct sockets;
struct socket;

/* The sockets of one request: first member of the struct behind CURLOPT_PRIVATE. All zero at
 * first. */
struct exchange {
    struct socket *sockets;
    bool begun;    /* at least part of the request was sent */
    bool answered; /* the answer's status and headers are there */
};

/* Registers with `multi`, and calls `acted` after each call of curl_multi_socket_action. */
struct sockets *sockets_new(struct loop *loop, CURLM *multi, void (*acted)(void *arg), void *arg);
/* Call after curl_multi_cleanup, which closes all sockets. */
void sockets_free(struct sockets *sockets);

/* A new socket for a connection to `peer`, an address of the host; -1 with errno. `address`, where
 * the socket connects to, is another one if a proxy stands between. */
int sockets_open(struct sockets *sockets, const struct curl_sockaddr *address,
                 const struct sockaddr *peer, const char *host, struct exchange *exchange);
/* CURLOPT_CLOSESOCKETFUNCTION, with the sockets as its data. */
int sockets_close(void *sockets, curl_socket_t fd);
/* The exchange is over: its sockets are idle or closed. */
void sockets_leave(struct exchange *exchange);

/* Keeps only the host's connections to the addresses of this set. Connections of a family not
 * known are kept too. Others are closed once idle. */
struct address_set {
    const struct sockaddr_storage *addresses;
    size_t count;
    bool ipv4_known, ipv6_known;
};
void sockets_keep(struct sockets *sockets, const char *host, const struct address_set *set);

#endif
