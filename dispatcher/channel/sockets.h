/* The sockets of curl's connections, on the loop: who uses them, what their closing does to bytes
 * that are still to be sent, and the end of idle ones. A socket stays on the loop from one request
 * of its connection to the next, which saves two system calls each.
 *
 * - A socket that is closed while its request has no answer yet is reset (SO_LINGER 0), by the
 * kernel too when this process is killed: else the kernel would go on sending what was written, and
 * an old event could arrive after newer ones.
 * - A connection on which something arrives while no request is under way (its end, or bytes that
 * nobody asked for) is never used again: curl 7.88 takes such bytes for the answer to the next
 * request (RFC 9112 9.2).
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

/* A request's use of its sockets: first member of what CURLOPT_PRIVATE points to. All zero at
 * first. */
struct exchange {
    struct socket *sockets;
    bool begun;    /* the request was sent, or some of it */
    bool answered; /* the status and the headers of its answer are there */
};

/* Registers with `multi`, and calls `acted` after each call of curl_multi_socket_action. */
struct sockets *sockets_new(struct loop *loop, CURLM *multi, void (*acted)(void *arg), void *arg);
/* After curl_multi_cleanup, which closes all. */
void sockets_free(struct sockets *sockets);

/* A new socket for a connection to a host's address; -1 with errno. */
int sockets_open(struct sockets *sockets, const struct curl_sockaddr *address, const char *host,
                 struct exchange *exchange);
/* CURLOPT_CLOSESOCKETFUNCTION, with the sockets as its data. */
int sockets_close(void *sockets, curl_socket_t fd);
/* The exchange is over: what it used is idle, or was closed. */
void sockets_leave(struct exchange *exchange);

/* Only those of the host's connections are kept that go to one of these addresses, or to one of a
 * family that `known` does not say true for. The others are closed once they are idle. */
struct address_set {
    const struct sockaddr_storage *addresses;
    size_t count;
    bool ipv4_known, ipv6_known;
};
void sockets_keep(struct sockets *sockets, const char *host, const struct address_set *set);

#endif
