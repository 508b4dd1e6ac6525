/* Host names to addresses, by c-ares on the loop: a name server that is dead or slow holds up only
 * who asks for its names. Hosts of URLs are absolute: no search domain is ever tried. A and AAAA
 * are asked apart, and the first good answer is gone on with as RFC 8305 says: AAAA at once, A
 * after 50 ms, or at once where AAAA was not answered the last time. Answers are kept for their
 * time to live (1 to 60 s), failures are not; who asks for the same name at once shares a query. A
 * changed /etc/resolv.conf is read again. Loop thread only; nothing blocks. */
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
    struct sockaddr_storage addresses[RESOLVER_ADDRESSES_MAX]; /* in the order to try them */
    size_t count;                                              /* 0: then `error` says why */
    const char *error;                                         /* a static text */
    bool no_server;              /* nobody answered, neither in time nor at all */
    bool ipv4_known, ipv6_known; /* whether a name server said what this name has of these, or that
                                    it has none */
};

struct resolver_options {
    const struct option_list
        *servers;            /* addr:port of the name servers to ask; empty: those of resolv.conf */
    const char *resolv_conf; /* NULL: /etc/resolv.conf */
    /* The addresses of a name are others than before. Called before anybody gets the answer. */
    void (*changed)(void *arg, const char *host, const struct resolver_answer *answer);
    void *arg;
};

/* NULL with the reason. */
struct resolver *resolver_new(struct loop *loop, const struct resolver_options *options,
                              struct error *err);
/* Ends all queries; nobody is called any more. */
void resolver_free(struct resolver *resolver);

/* Somebody who waits for an answer; embedded, all zero at first. */
struct resolve {
    void (*done)(void *arg, const struct resolver_answer *answer);
    void *arg;
    struct resolver_name *name; /* NULL: not waiting */
    struct resolve *prev, *next;
};

/* The answer when it is known (valid until the return to the loop); else NULL, and done(arg) is
 * called later. */
const struct resolver_answer *resolver_find(struct resolver *resolver, struct resolve *resolve,
                                            const char *host);
/* Stops waiting. Does nothing for one that does not wait. */
void resolver_forget(struct resolve *resolve);
/* Whether a name server has answered anything since then. What lasts for half a second is followed
 * by a question that every server answers at once, so after a second this tells a dead server from
 * a dead name. */
bool resolver_heard_since(const struct resolver *resolver, int64_t since_ms);

#endif
