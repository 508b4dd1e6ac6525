/* The way of a request to its endpoint: the addresses that its host has and may have (SSRF), and
 * whether the request goes through the proxy. Everything is resolved here, so curl resolves
 * nothing, and the proxy is asked for an address that was checked. For this folder only, because of
 * libcurl's types. Loop thread only; nothing blocks. */
#ifndef ESS_DISPATCHER_ROUTE_H
#define ESS_DISPATCHER_ROUTE_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/base/loop.h"
#include "common/net/address.h"
#include "dispatcher/channel/channel.h"
#include "dispatcher/channel/handle.h"
#include "dispatcher/channel/proxy.h"
#include "dispatcher/channel/resolver.h"

/* What all requests of a client share. */
struct routes {
    struct loop *loop;
    struct resolver *resolver;
    struct proxy *proxy; /* NULL: none */
    const struct cidr *allowed;
    size_t allowed_count;
    int64_t timeout_ms; /* limits name resolution */
    /* no name server answered; questions asked before may still fail until then */
    int64_t deaf_until_ms;
};

/* Embedded, all zero at first. */
struct route {
    struct routes *routes;
    const struct handle *handle; /* has the endpoint's URL */
    void (*done)(void *arg);     /* the way is known, or `failure` says why not */
    void *arg;
    int64_t began_ms;

    struct curl_slist *pins, *connect_to;
    bool proxied;
    struct sockaddr_storage target; /* proxied: the endpoint's address; of family 0 otherwise */
    const char *failure;            /* NULL: none; a static text */
    enum fault_kind fault;          /* behind the failure */

    struct resolve resolve;
    struct loop_timer timer; /* limits name resolution; or reports a failure from the loop */
};

extern const char route_not_public[];

/* Begins to look for the way of a request that began at `began_ms`, to the URL of its handle, which
 * must stay. Returns true if the way is known at once; otherwise `done` is called later. */
bool route_find(struct route *route, struct routes *routes, const struct handle *handle,
                int64_t began_ms, void (*done)(void *arg), void *arg);
/* `done` is not called any more. */
void route_fini(struct route *route);

/* Whether curl may open a connection to this address: a last check of the address itself, whatever
 * the name resolved to. */
bool route_allows(const struct route *route, const struct sockaddr *address);

#endif
