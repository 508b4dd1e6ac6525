/* One POST by the client of https.h. For this folder only, because of libcurl's types. */
#ifndef ESS_DISPATCHER_HTTPS_POST_H
#define ESS_DISPATCHER_HTTPS_POST_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/span.h"
#include "dispatcher/channel/channel.h"
#include "dispatcher/channel/https.h"

struct https_post;
struct tls_identity;

/* AWS Signature Version 4, by libcurl. */
struct https_sigv4 {
    const char *scope; /* "aws:amz:<region>:<service>" */
    const char *access_key_id, *secret_access_key;
};

struct https_result {
    int status;            /* 0: no answer, then `error` says why */
    enum fault_kind fault; /* with status 0: not the endpoint's fault */
    bool alone;            /* the fault keeps this endpoint alone from being reached */
    /* with status 0: a kept-alive connection had ended before the first byte of an answer */
    bool stale;
    bool unsent;            /* with status 0: there was no access token to send it with */
    bool connected;         /* the request made a new connection */
    const char *error;      /* NULL with a status */
    int64_t retry_after_ms; /* 0: none */
    int64_t duration_ms;
    /* beginning of the answer's body; control characters and broken UTF-8 as spaces */
    const char *excerpt;
    struct span answer; /* beginning of the body, unchanged, if the request wants the body */
};

struct https_request {
    const char *url;                 /* copied */
    struct curl_slist *headers;      /* taken over */
    struct span body;                /* must stay until `done` or https_cancel is called */
    const struct https_sigv4 *sigv4; /* must stay as long; NULL: it is not signed */
    const struct tls_identity *tls;  /* read before https_send returns; NULL: none */
    size_t answer_max;               /* how much of the answer's body is wanted */
    int64_t timeout_ms;
    bool fresh; /* on a new connection */
    /* may send and cancel other requests */
    void (*done)(void *arg, const struct https_result *result);
    void *arg;
};

/* Never calls `done` from within. */
struct https_post *https_send(struct https_client *client, const struct https_request *request);
/* The outcome of a result that is judged as `verdict`, but for a result that teaches nothing about
 * the endpoint. The texts are the result's. */
struct outcome https_outcome(const struct https_result *result, enum verdict verdict);
/* Closes the connection; `done` is not called. */
void https_cancel(struct https_post *post);

#endif
