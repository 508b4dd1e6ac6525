/* HTTPS POSTs to addresses that may be called, by libcurl on the loop. A POST's host is resolved
 * first; the addresses that may be called are pinned, and the real one is checked again when its
 * socket is opened. The body is sent once: a kept-alive connection that turns out to be dead is
 * reported as such (`stale`), never followed by a silent second attempt. Loop thread only; nothing
 * blocks. The POSTs themselves: https_post.h. */
#ifndef ESS_DISPATCHER_HTTPS_H
#define ESS_DISPATCHER_HTTPS_H

#include <stdint.h>

#include "common/base/error.h"
#include "common/base/loop.h"
#include "common/base/options.h"
#include "common/net/address.h"

struct https_client;

struct https_client_options {
    int64_t max_connections;
    int64_t connect_timeout_ms;
    int64_t idle_timeout_ms; /* an idle connection older than this is not used again */
    int64_t lifetime_ms;     /* neither is one that was made longer ago */
    const char *ca_file;     /* "" : the system's certificates only */
    const struct option_list *name_servers; /* empty: the system's */
    const struct cidr *allowed;             /* egress.allow; must outlive the client */
    size_t allowed_count;
};

struct https_client *https_client_new(struct loop *loop, const struct https_client_options *options,
                                      struct error *err);
/* Cancels what is under way. */
void https_client_free(struct https_client *client);

#endif
