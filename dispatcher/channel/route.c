/* The way of a request; see route.h. */
#include "dispatcher/channel/route.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "dispatcher/channel/machine.h"

enum { DEAF_MS = 10000 };

const char route_not_public[] = "the address is not public; egress.allow does not allow it";

/* Addresses of the endpoint that may be called. */
struct candidates {
    const struct sockaddr *addresses[RESOLVER_ADDRESSES_MAX];
    size_t count;
};

static void route_on_failed(void *arg) {
    struct route *route = arg;
    route->done(route->arg);
}

/* The caller of route_find is never called back from within. */
static bool route_fail(struct route *route, const char *failure, enum fault_kind fault) {
    route->failure = failure;
    route->fault = fault;
    loop_timer_init(&route->timer, route_on_failed, route);
    loop_timer_set(route->routes->loop, &route->timer, clock_ms());
    return false;
}

static void route_put_address(struct buf *out, const struct sockaddr *address) {
    char text[INET6_ADDRSTRLEN];
    bool v6 = address->sa_family == AF_INET6;
    const void *bytes =
        v6 ? (const void *)&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr
           : (const void *)&((const struct sockaddr_in *)(const void *)address)->sin_addr;
    inet_ntop(address->sa_family, bytes, text, sizeof text);
    buf_printf(out, "%s%s%s", v6 ? "[" : "", text, v6 ? "]" : "");
}

static void route_pin_name(struct route *route, const char *host, size_t len, const char *port,
                           const char *addresses) {
    struct buf line = {0};
    buf_printf(&line, "+%.*s:%s:%s", (int)len, host, port, addresses);
    route->pins = curl_slist_append(route->pins, buf_string(&line));
    buf_fini(&line);
}

/* Gives curl the name's addresses, so that curl resolves nothing. curl may look the name up
 * without the final dot. */
static void route_pin(struct route *route, const char *host, const char *port,
                      const struct candidates *found) {
    struct buf addresses = {0};
    size_t len = strlen(host);
    for (size_t i = 0; i < found->count; i++) {
        buf_puts(&addresses, i ? "," : "");
        route_put_address(&addresses, found->addresses[i]);
    }
    route_pin_name(route, host, len, port, buf_string(&addresses));
    if (len && host[len - 1] == '.')
        route_pin_name(route, host, len - 1, port, buf_string(&addresses));
    buf_fini(&addresses);
}

/* --- names */

/* An unanswered name counts against the endpoint, unless the name servers answer nothing at all,
 * or answered nothing a moment ago when this name was asked for. */
static enum fault_kind route_find_name_fault(const struct route *route, bool no_server) {
    struct routes *routes = route->routes;
    enum fault_kind fault = machine_fault();
    int64_t now_ms = clock_ms();
    if (fault || !no_server)
        return fault;
    if (!resolver_heard_since(routes->resolver, route->began_ms))
        routes->deaf_until_ms = now_ms + DEAF_MS;
    return now_ms < routes->deaf_until_ms ? FAULT_NAMES : FAULT_NONE;
}

/* Returns the answer if it is known at once; else one of the callbacks is called later. */
static const struct resolver_answer *route_resolve(struct route *route, const char *host,
                                                   void (*resolved)(void *,
                                                                    const struct resolver_answer *),
                                                   void (*late)(void *)) {
    route->resolve = (struct resolve){.done = resolved, .arg = route};
    const struct resolver_answer *answer = resolver_find(route->routes->resolver, &route->resolve,
                                                         host);
    if (answer)
        return answer;
    loop_timer_init(&route->timer, late, route);
    loop_timer_set(route->routes->loop, &route->timer, route->began_ms + route->routes->timeout_ms);
    return NULL;
}

/* --- through the proxy */

static bool route_use_proxys_answer(struct route *route, const struct resolver_answer *answer) {
    struct candidates all = {.count = answer->count};
    enum fault_kind fault = answer->count ? FAULT_NONE
                                          : route_find_name_fault(route, answer->no_server);
    if (!answer->count)
        return route_fail(route, "the proxy's name cannot be resolved",
                          fault ? fault : FAULT_PROXY);
    for (size_t i = 0; i < answer->count; i++)
        all.addresses[i] = (const struct sockaddr *)&answer->addresses[i];
    route_pin(route, proxy_host(route->routes->proxy), proxy_port(route->routes->proxy), &all);
    return true;
}

static void route_on_proxy_resolved(void *arg, const struct resolver_answer *answer) {
    struct route *route = arg;
    loop_timer_clear(route->routes->loop, &route->timer);
    if (route_use_proxys_answer(route, answer))
        route->done(route->arg);
}

static void route_on_proxy_late(void *arg) {
    struct route *route = arg;
    enum fault_kind fault = route_find_name_fault(route, true);
    route->failure = "the proxy's name could not be resolved in time";
    route->fault = fault ? fault : FAULT_PROXY;
    route->done(route->arg);
}

/* The proxy is asked for a checked address, and not for the name, which the proxy might resolve to
 * another one. TLS and the Host header are the name's as ever. */
static void route_connect_to(struct route *route, const struct candidates *found) {
    struct buf line = {0};
    const struct sockaddr *target =
        found->addresses[proxy_choose(route->routes->proxy, route->handle->host, found->count)];
    memcpy(&route->target, target,
           target->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                         : sizeof(struct sockaddr_in));
    buf_puts(&line, "::");
    route_put_address(&line, target);
    buf_printf(&line, ":%s", route->handle->port);
    route->connect_to = curl_slist_append(NULL, buf_string(&line));
    buf_fini(&line);
}

static bool route_go_by_proxy(struct route *route, const struct candidates *found) {
    struct sockaddr_storage literal;
    const char *host = proxy_host(route->routes->proxy);
    route->proxied = true;
    route_connect_to(route, found);
    if (strchr(host, ':') || address_from_literal(host, &literal))
        return true;
    const struct resolver_answer *answer = route_resolve(route, host, route_on_proxy_resolved,
                                                         route_on_proxy_late);
    return answer && route_use_proxys_answer(route, answer);
}

/* --- which way */

/* Those of the addresses that are called without the proxy. */
static struct candidates route_unproxied(const struct route *route,
                                         const struct candidates *found) {
    struct candidates some = {0};
    if (!route->routes->proxy || proxy_skips_host(route->routes->proxy, route->handle->host))
        return *found;
    for (size_t i = 0; i < found->count; i++)
        if (proxy_skips_address(route->routes->proxy, found->addresses[i]))
            some.addresses[some.count++] = found->addresses[i];
    return some;
}

/* For a host that is the address itself curl needs no pin. */
static bool route_go(struct route *route, const struct candidates *found) {
    const struct candidates direct = route_unproxied(route, found);
    if (!direct.count)
        return route_go_by_proxy(route, found);
    if (!route->handle->literal.ss_family)
        route_pin(route, route->handle->host, route->handle->port, &direct);
    return true;
}

static bool route_is_allowed(const struct route *route, const struct sockaddr *address) {
    return address_allowed(address, route->routes->allowed, route->routes->allowed_count);
}

static bool route_use_answer(struct route *route, const struct resolver_answer *answer) {
    struct candidates found = {0};
    for (size_t i = 0; i < answer->count; i++) {
        const struct sockaddr *address = (const struct sockaddr *)&answer->addresses[i];
        if (route_is_allowed(route, address))
            found.addresses[found.count++] = address;
    }
    if (found.count)
        return route_go(route, &found);
    return answer->count
               ? route_fail(route, route_not_public, FAULT_NONE)
               : route_fail(route, answer->error, route_find_name_fault(route, answer->no_server));
}

static void route_on_resolved(void *arg, const struct resolver_answer *answer) {
    struct route *route = arg;
    loop_timer_clear(route->routes->loop, &route->timer);
    if (route_use_answer(route, answer))
        route->done(route->arg);
}

static void route_on_late(void *arg) {
    struct route *route = arg;
    route->failure = "the host name could not be resolved in time";
    route->fault = route_find_name_fault(route, true);
    route->done(route->arg);
}

bool route_find(struct route *route, struct routes *routes, const struct handle *handle,
                int64_t began_ms, void (*done)(void *arg), void *arg) {
    *route = (struct route){
        .routes = routes, .handle = handle, .done = done, .arg = arg, .began_ms = began_ms};
    if (handle->literal.ss_family) {
        const struct candidates one = {.addresses = {(const struct sockaddr *)&handle->literal},
                                       .count = 1};
        return route_is_allowed(route, one.addresses[0])
                   ? route_go(route, &one)
                   : route_fail(route, route_not_public, FAULT_NONE);
    }
    const struct resolver_answer *answer = route_resolve(route, handle->host, route_on_resolved,
                                                         route_on_late);
    return answer && route_use_answer(route, answer);
}

void route_fini(struct route *route) {
    if (!route->routes)
        return;
    resolver_forget(&route->resolve);
    loop_timer_clear(route->routes->loop, &route->timer);
    curl_slist_free_all(route->pins);
    curl_slist_free_all(route->connect_to);
    *route = (struct route){0};
}

bool route_allows(const struct route *route, const struct sockaddr *address) {
    return route->proxied || route_is_allowed(route, address);
}
