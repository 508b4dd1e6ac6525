/* Host names to addresses, by c-ares on the loop: a dead or slow name server holds up only the
 * names under that server. A URL's host is absolute: no search domain is tried. A and AAAA are
 * separate queries, and the first good answer is used as in RFC 8305: AAAA at once; A after 50
 * ms, or at once if AAAA went unanswered the last time. Answers are kept for their time to live
 * (1 to 60 s), failures are not kept. Simultaneous questions for a name share a query. A changed
 * /etc/resolv.conf is read again. Loop thread only; nothing blocks. */
#ifndef ESS_DISPATCHER_RESOLVER_H
#define ESS_DISPATCHER_RESOLVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/base/error.h"
#include "common/base/loop.h"
#include "common/base/options.h"

enum { RESOLVER_ADDRESSES_MAX = 16 };

struct resolver;

struct resolver_answer {
    struct sockaddr_storage addresses[RESOLVER_ADDRESSES_MAX]; /* in the order of preference */
    size_t count;                                              /* 0: then `error` says why */
    const char *error;                                         /* a static text */
    bool no_server; /* nobody answered, neither in time nor at all */
    /* a name server gave the name's addresses of this family, or answered that the name has none */
    bool ipv4_known, ipv6_known;
};

struct resolver_options {
    const struct option_list
        *servers;            /* addr:port of the name servers to ask; empty: as in resolv.conf */
    const char *resolv_conf; /* NULL: /etc/resolv.conf */
    /* The addresses of a name have changed. Called before anybody gets the answer. */
    void (*changed)(void *arg, const char *host, const struct resolver_answer *answer);
    void *arg;
};

/* NULL with the reason. */
struct resolver *resolver_new(struct loop *loop, const struct resolver_options *options,
                              struct error *err);
/* Ends all queries; nobody is called any more. */
void resolver_free(struct resolver *resolver);

/* A question waiting for an answer; embedded, all zero at first. */
struct resolve {
    void (*done)(void *arg, const struct resolver_answer *answer);
    void *arg;
    struct resolver_name *name; /* NULL: not waiting */
    struct resolve *prev, *next;
};

/* The known answer, valid until the return to the loop; else NULL: done(arg) is called later. */
const struct resolver_answer *resolver_find(struct resolver *resolver, struct resolve *resolve,
                                            const char *host);
/* Stops waiting. No effect if the question is not waiting. */
void resolver_forget(struct resolve *resolve);
/* Whether a name server has answered anything since `since_ms`. After half a second without an
 * answer, a question that every server answers at once follows, so after a second this tells a
 * dead server from a dead name. */
bool resolver_heard_since(const struct resolver *resolver, int64_t since_ms);

#endif
