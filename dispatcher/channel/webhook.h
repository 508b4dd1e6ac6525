/* One HTTPS POST to a subscriber, by libcurl on the loop. Its host's name is resolved first; the
 * addresses that may be called are pinned, and the real one is checked again when its socket is
 * opened. The body is sent once: a kept-alive connection that turns out to be dead is told as such
 * (`stale`), never followed by a silent second attempt. Loop thread only; nothing blocks. */
#ifndef ESS_DISPATCHER_WEBHOOK_H
#define ESS_DISPATCHER_WEBHOOK_H

#include <curl/curl.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/base/loop.h"
#include "common/base/options.h"
#include "common/net/address.h"

struct webhook;
struct webhook_client;

struct webhook_client_options {
    int64_t max_connections;
    int64_t connect_timeout_ms;
    int64_t idle_timeout_ms; /* an idle connection older than this is not used again */
    int64_t lifetime_ms;     /* neither is one that was made longer ago */
    const char *ca_file;     /* "" : the system's certificates only */
    const struct option_list *name_servers; /* empty: the system's */
    const struct cidr *allowed;             /* egress.allow; must outlive the client */
    size_t allowed_count;
};

/* What kept an attempt from its endpoint that is no matter of the endpoint. */
enum webhook_fault {
    WEBHOOK_NO_FAULT,
    WEBHOOK_DESCRIPTORS, /* this process or machine has no descriptor left */
    WEBHOOK_PORTS,       /* no local port is left for a new connection */
    WEBHOOK_MEMORY,
    WEBHOOK_ROUTE, /* this machine has no route to the outside */
    WEBHOOK_NAMES, /* no name server answers anything */
    WEBHOOK_CA,    /* the CA file cannot be read */
    WEBHOOK_FAULTS,
};

struct webhook_result {
    int status;               /* 0: no answer, then `error` says why */
    enum webhook_fault fault; /* with status 0: the attempt is not to be counted */
    bool stale; /* likewise: a kept-alive connection was dead before a byte of an answer; try again
                   `fresh` */
    bool connected;         /* a new connection was made for it */
    const char *error;      /* NULL with a status */
    int64_t retry_after_ms; /* 0: none */
    int64_t duration_ms;
    const char *
        excerpt; /* beginning of the answer's body, control characters and broken UTF-8 as spaces */
    struct span body; /* what was sent */
};

struct webhook_request {
    const char *url;            /* copied */
    struct curl_slist *headers; /* taken over */
    struct buf *body;           /* taken over, and emptied */
    int64_t timeout_ms;
    bool fresh; /* on a new connection */
    void (*done)(void *arg,
                 const struct webhook_result *result); /* may send again, or cancel others */
    void *arg;
};

struct webhook_client *webhook_client_new(struct loop *loop,
                                          const struct webhook_client_options *options,
                                          struct error *err);
/* Cancels what is under way. */
void webhook_client_free(struct webhook_client *client);

/* Never calls `done` from within. */
struct webhook *webhook_send(struct webhook_client *client, const struct webhook_request *request);
/* Closes its connection; `done` is not called. */
void webhook_cancel(struct webhook *webhook);

#endif
