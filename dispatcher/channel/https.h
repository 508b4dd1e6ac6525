/* HTTPS POSTs to addresses that may be called, by libcurl on the loop. A POST's host is resolved
 * first; the addresses that may be called are pinned, and the real one is checked again when its
 * socket is opened. The body is sent once: a kept-alive connection that turns out to be dead is
 * reported as such (`stale`), never followed by a silent second attempt. Loop thread only; nothing
 * blocks. */
#ifndef ESS_DISPATCHER_HTTPS_H
#define ESS_DISPATCHER_HTTPS_H

#include <curl/curl.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/base/loop.h"
#include "common/base/options.h"
#include "common/base/span.h"
#include "common/net/address.h"
#include "dispatcher/channel/channel.h"

struct https_post;
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

struct https_result {
    int status;            /* 0: no answer, then `error` says why */
    enum fault_kind fault; /* with status 0: the endpoint had no part in it */
    bool stale; /* with status 0: a kept-alive connection had ended before a byte of an answer */
    bool connected;         /* a new connection was made for it */
    const char *error;      /* NULL with a status */
    int64_t retry_after_ms; /* 0: none */
    int64_t duration_ms;
    const char *excerpt; /* beginning of the answer's body, control characters and broken UTF-8 as
                            spaces */
};

struct https_request {
    const char *url;            /* copied */
    struct curl_slist *headers; /* taken over */
    struct span body;           /* must stay until `done` or https_cancel is called */
    int64_t timeout_ms;
    bool fresh;                                                 /* on a new connection */
    void (*done)(void *arg, const struct https_result *result); /* may send, and cancel others */
    void *arg;
};

struct https_client *https_client_new(struct loop *loop, const struct https_client_options *options,
                                      struct error *err);
/* Cancels what is under way. */
void https_client_free(struct https_client *client);

/* Never calls `done` from within. */
struct https_post *https_send(struct https_client *client, const struct https_request *request);
/* Closes its connection; `done` is not called. */
void https_cancel(struct https_post *post);

#endif
