/* Requests to a subscriber's URL with an access token, where its spec has `oauth2` (RFC 6749, 4.4).
 * The token is fetched when a request first needs it, kept in memory until shortly before it
 * expires, and fetched again once after a 401. Requests wait for one fetch together, at most as
 * long as a request may take. One a subscriber. Loop thread only; nothing blocks. */
#ifndef ESS_DISPATCHER_OAUTH2_H
#define ESS_DISPATCHER_OAUTH2_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/loop.h"
#include "common/model/spec.h"
#include "dispatcher/channel/oauth2_answer.h"

struct https_client;
struct https_post;
struct https_request;
struct oauth2_post;

enum { OAUTH2_FAILURE_BYTES = OAUTH2_ERROR_BYTES + 32 };

struct oauth2 {
    struct loop *loop;
    struct https_client *client;
    const struct spec *spec;     /* in force at each request */
    int64_t timeout_ms;          /* where the spec has none */
    char *token;                 /* NULL: none */
    uint64_t number;             /* of the token, from 1 */
    int64_t fetched_ms;          /* when the token was asked for */
    int64_t until_ms;            /* the token is not for a request after this */
    struct https_post *fetch;    /* NULL: none is under way */
    uint64_t fetches;            /* so far */
    bool fresh;                  /* the fetch is on a new connection */
    struct buf form;             /* of the fetch */
    struct oauth2_post *waiting; /* for the fetch under way, in order */
};

/* The caller keeps what is given, which must stay. */
void oauth2_init(struct oauth2 *oauth2, struct https_client *client, struct loop *loop,
                 const struct spec *spec, int64_t timeout_ms);

/* Sends the request to the URL of the spec, with its `tls`, and with a token if the spec has
 * `oauth2`. Never calls `done` from within. Where no token can be had, the result is `unsent`. The
 * first 401 of a delivery is reported as `stale`: the next attempt is made with another token. */
struct oauth2_post *oauth2_send(struct oauth2 *oauth2, const struct https_request *request);
/* Closes the connection; `done` is not called. */
void oauth2_cancel(struct oauth2_post *post);

/* The spec has another endpoint or other credentials: forgets the token, and reports requests that
 * wait for one as `stale`. */
void oauth2_forget(struct oauth2 *oauth2);
/* Forgets the token. Nothing may be under way. */
void oauth2_fini(struct oauth2 *oauth2);

#endif
