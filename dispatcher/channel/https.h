/* HTTPS POSTs to allowed addresses, by libcurl on the loop. The client resolves the host, pins
 * the allowed addresses, and checks the real address again when curl opens the socket. A body is
 * sent once: a dead kept-alive connection is reported as `stale`, never followed by a silent
 * second attempt. Loop thread only; nothing blocks. The POSTs themselves: https_post.h. */
#ifndef ESS_DISPATCHER_HTTPS_H
#define ESS_DISPATCHER_HTTPS_H

#include <stdint.h>

#include "common/base/error.h"
#include "common/base/loop.h"
#include "common/base/options.h"
#include "common/net/address.h"

struct https_client;

/* The options egress.proxy, egress.proxy_password_file and egress.no_proxy, checked. */
struct https_proxy_options {
    const char *url, *password_file; /* "" : none */
    const struct option_list *skipped;
};

struct https_client_options {
    int64_t max_connections;
    int64_t connect_timeout_ms;
    int64_t idle_timeout_ms;                /* a connection idle for longer is not reused */
    int64_t lifetime_ms;                    /* a connection older than this is not reused */
    const char *ca_file;                    /* "" : the system's certificates only */
    const struct option_list *name_servers; /* empty: the system's */
    const struct cidr *allowed;             /* egress.allow; must outlive the client */
    size_t allowed_count;
    struct https_proxy_options proxy; /* all zero: no proxy */
};

struct https_client *https_client_new(struct loop *loop, const struct https_client_options *options,
                                      struct error *err);
/* Cancels all requests under way. */
void https_client_free(struct https_client *client);

#endif
