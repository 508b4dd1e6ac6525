/* Host names to addresses, by c-ares on the loop: a name server that is dead or slow holds up only who asks for its names.
 * Answers are kept for their time to live (1 to 60 s), failures are not; who asks for the same name at once shares a query.
 * Loop thread only; nothing blocks. */
#ifndef ESS_DISPATCHER_RESOLVER_H
#define ESS_DISPATCHER_RESOLVER_H

#include <stddef.h>
#include <sys/socket.h>

#include "common/base/error.h"
#include "common/base/loop.h"
#include "common/base/options.h"

enum { RESOLVER_ADDRESSES_MAX = 16 };

struct resolver;

struct resolver_answer {
    struct sockaddr_storage addresses[RESOLVER_ADDRESSES_MAX]; /* in the order of RFC 6724 */
    size_t count;      /* 0: then `error` says why */
    const char *error; /* a static text */
};

/* `servers` are addr:port of the name servers to ask; empty: those of /etc/resolv.conf. NULL with the reason. */
struct resolver *resolver_new(struct loop *loop, const struct option_list *servers, struct error *err);
/* Ends all queries; nobody is called any more. */
void resolver_free(struct resolver *resolver);

/* Somebody who waits for an answer; embedded, all zero at first. */
struct resolve {
    void (*done)(void *arg, const struct resolver_answer *answer);
    void *arg;
    struct resolver_name *name; /* NULL: not waiting */
    struct resolve *prev, *next;
};

/* The answer when it is known (valid until the return to the loop); else NULL, and done(arg) is called later. */
const struct resolver_answer *resolver_find(struct resolver *resolver, struct resolve *resolve, const char *host);
/* Stops waiting. Does nothing for one that does not wait. */
void resolver_forget(struct resolve *resolve);

#endif
