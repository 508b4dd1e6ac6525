/* libmicrohttpd, once: a bounded, guarded HTTP/1.1 server on the loop, without threads of its own.
 *
 * A request goes: guard (what nginx refuses is refused) -> route -> admit -> body collected up to
 * the limit -> handler -> answer, now or later, whole or as a stream. Every answer has
 * X-Request-Id. All on the loop's thread. */
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
struct tls;

struct http_route {
    const char *method;
    const char *path; /* "/ess/subscribers/{id}/pause": a segment in braces takes any one, see
                         http_request_segment */
    /* Called once the body is whole. Must answer, or keep the request and answer later from the
     * loop's thread. */
    void (*handle)(void *arg, struct http_request *request);
    bool large_body; /* its body may have options.body_max_bytes; any other's 64 KiB */
    int access;      /* the service's own, for `admit` */
};

struct http_server_options {
    const char *listen; /* "127.0.0.1:8080", "[::1]:0" */
    size_t body_max_bytes;
    /* The bytes that the body of a large_body route may have, judged by what of it has come: none
     * of it at the headers. `*field` may name the member that is too large in a body beyond them.
     * NULL: body_max_bytes. */
    size_t (*large_body_max)(void *arg, const struct http_request *request, const char **field);
    size_t buffers_bytes; /* of all bodies and answers together, beyond which bodies get 503; 0: no
                             limit */
    int64_t max_connections;                    /* 0: no limit */
    int64_t max_connections_per_address;        /* of IPv4, or /64 of IPv6; 0: no limit */
    int64_t header_timeout_ms, body_timeout_ms; /* absolute */
    struct tls *tls;                            /* NULL: without TLS. Stays the caller's */
    const struct http_route *routes;
    size_t routes_count;
    /* Called before any of the body is read, with the request's route known, and where there is a
     * body once more before the handler. False: it has answered (401, 403). May be NULL. */
    bool (*admit)(void *arg, struct http_request *request);
    void *arg; /* for the handlers */
};

/* Binds and listens. Returns NULL with the reason. */
struct http_server *http_server_new(struct loop *loop, const struct http_server_options *options,
                                    struct error *err);

/* "127.0.0.1:43215", with the real port. */
const char *http_server_address(const struct http_server *server);

/* Takes no further connections; kept-alive ones are closed with their next answer. */
void http_server_quiesce(struct http_server *server);

/* Requests that were handed to a handler and are not answered yet, streams included. */
size_t http_server_pending(const struct http_server *server);
/* Open connections, and how many there may be: options.max_connections, or fewer where descriptors
 * are short. */
size_t http_server_connections(const struct http_server *server);
size_t http_server_connections_max(const struct http_server *server);
/* Bytes that bodies and answers hold. */
size_t http_server_held(const struct http_server *server);

/* Answers what is pending with 503 (its `gone` is called), ends the streams and closes everything.
 */
void http_server_free(struct http_server *server);

/* --- the request: valid until it is answered */

const struct http_route *http_request_route(const struct http_request *request);
struct span http_request_body(const struct http_request *request);
const char *http_request_header(const struct http_request *request,
                                const char *name);                 /* NULL when absent */
const char *http_request_path(const struct http_request *request); /* decoded */
const char *http_request_id(const struct http_request *request);   /* its X-Request-Id */
/* What the route's {…} segments took, from 0; "" when it has no such segment. */
const char *http_request_segment(const struct http_request *request, size_t number);

/* Query parameters, decoded. A repeated one, or one that is not in `known` (NULL-terminated): -1
 * and err->field. */
int http_request_query_check(const struct http_request *request, const char *const *known,
                             struct error *err);
const char *http_request_query(const struct http_request *request,
                               const char *name); /* NULL when absent */
/* For a call that takes none: false when there are some, and then it has been answered with 400. */
bool http_request_no_query(struct http_request *request);

/* The service's own word about a request, such as who asks; freed by `free_data` (may be NULL) when
 * the request ends, or when another takes its place. */
void http_request_set_data(struct http_request *request, void *data, void (*free_data)(void *));
void *http_request_data(const struct http_request *request);

/* Called when the request's client has gone away before its answer was sent, or the server is
 * closing: the request must not be used any more. At most one. */
void http_request_on_gone(struct http_request *request, void (*gone)(void *arg), void *arg);
/* For a request that waits long: notices soon when its client closes the connection. */
void http_request_watch(struct http_request *request);

/* --- memory: bodies and answers together have options.buffers_bytes */

/* What is left of it. The last quarter is for bodies, so that slow readers don't hold up those who
 * write. */
size_t http_answer_room(const struct http_request *request);
/* For an answer that may be large: false when there is no room at all, and then it has been
 * answered with 503. */
bool http_answer_has_room(struct http_request *request);
/* An answer that is being made holds so many bytes; the answer itself takes the place of that. */
void http_answer_hold(struct http_request *request, size_t bytes);

/* --- whole answers; each ends the request. Bodies are copied, or taken over (`body` is emptied).
 */

/* A header of the answer that is still to be given. At most 8; texts are copied. */
void http_answer_header(struct http_request *request, const char *name, const char *value);
void http_answer(struct http_request *request, unsigned status, const char *content_type,
                 struct buf *body);
/* 200 with {"status":"<status>"}. */
void http_answer_status(struct http_request *request, const char *status);
/* RFC 9457: {"title","status","detail","field"?, …extra}. `extra` is JSON members without braces,
 * or NULL. `retry_after_s` 0: none. */
void http_problem(struct http_request *request, unsigned status, const struct error *err,
                  const char *extra, int64_t retry_after_s);

/* --- streams: an answer of unknown length */

/* Begins one. `drained` is called from the loop when the client has taken everything that was
 * written (never from within a write), and then not again before more was written. `gone`
 * (http_request_on_gone) tells when the client has left. */
void http_stream_begin(struct http_request *request, unsigned status, const char *content_type,
                       void (*drained)(void *arg), void *arg);
/* Appends; the bytes are copied. Bound them by http_stream_backlog: nothing is dropped here. */
void http_stream_write(struct http_request *request, const void *data, size_t len);
/* The same, but the bytes are taken over (`data` is emptied). */
void http_stream_take(struct http_request *request, struct buf *data);
/* Bytes written and not yet taken by the connection. */
size_t http_stream_backlog(const struct http_request *request);
/* Ends the request: what was written is still sent, in full. */
void http_stream_end(struct http_request *request);
/* Ends the request and cuts the connection, so that the client sees that something is missing. */
void http_stream_cut(struct http_request *request);

#endif
