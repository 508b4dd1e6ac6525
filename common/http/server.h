/* libmicrohttpd, once: a bounded, guarded HTTP/1.1 server on the loop, without threads of its own.
 *
 * A request goes: guard (what nginx refuses is refused) -> route -> body collected up to the limit -> handler -> answer,
 * now or later. Every answer has X-Request-Id. All on the loop's thread. */
#ifndef ESS_HTTP_SERVER_H
#define ESS_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/base/loop.h"
#include "common/base/span.h"

struct http_server;
struct http_request;

struct http_route {
    const char *method;
    const char *path; /* exact */
    /* Called once the body is whole. Must answer, or keep the request and answer later from the loop's thread. */
    void (*handle)(void *arg, struct http_request *request);
};

struct http_server_options {
    const char *listen; /* "127.0.0.1:8080", "[::1]:0" */
    size_t body_max_bytes;
    int64_t max_connections;             /* 0: no limit */
    int64_t max_connections_per_address; /* 0: no limit */
    int64_t header_timeout_ms, body_timeout_ms; /* absolute */
    const struct http_route *routes;
    size_t routes_count;
    void *arg; /* for the handlers */
};

/* Binds and listens. Returns NULL with the reason. */
struct http_server *http_server_new(struct loop *loop, const struct http_server_options *options, struct error *err);

/* "127.0.0.1:43215", with the real port. */
const char *http_server_address(const struct http_server *server);

/* Takes no further connections; kept-alive ones are closed with their next answer. */
void http_server_quiesce(struct http_server *server);

/* Requests that were handed to a handler and are not answered yet. */
size_t http_server_pending(const struct http_server *server);

/* Answers what is pending with 503 and closes everything. */
void http_server_free(struct http_server *server);

/* The request: valid until it is answered. */
struct span http_request_body(const struct http_request *request);
const char *http_request_header(const struct http_request *request, const char *name); /* NULL when absent */
const char *http_request_path(const struct http_request *request);
const char *http_request_id(const struct http_request *request); /* its X-Request-Id */

/* Query parameters, decoded. A repeated one, or one that is not in `known` (NULL-terminated): -1 and err->field. */
int http_request_query_check(const struct http_request *request, const char *const *known, struct error *err);
const char *http_request_query(const struct http_request *request, const char *name); /* NULL when absent */

/* Called when the request's client has gone away before its answer was sent, or the server is closing: the request
 * must not be used any more. At most one. */
void http_request_on_gone(struct http_request *request, void (*gone)(void *arg), void *arg);

/* The answers; each ends the request. Bodies are copied, or taken over (`body` is emptied). */
void http_answer(struct http_request *request, unsigned status, const char *content_type, struct buf *body);
/* The same with one more header. */
void http_answer_with(struct http_request *request, unsigned status, const char *content_type, struct buf *body, const char *header,
                      const char *value);
/* RFC 9457: {"title","status","detail","field"?, …extra}. `extra` is JSON members with a leading comma, or NULL. */
void http_problem(struct http_request *request, unsigned status, const struct error *err, const char *extra, int64_t retry_after_s);

#endif
