/* A bounded, guarded HTTP/1.1 server on the loop, by libmicrohttpd without threads.
 *
 * The way of a request: guard (refuses what nginx refuses) -> route -> admit -> collect the body up
 * to the limit -> handler -> answer, now or later, whole or as a stream. Every answer has
 * X-Request-Id. Loop thread only. */
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
    /* "/ess/subscribers/{id}/pause": a segment in braces matches any, see http_request_segment. */
    const char *path;
    /* Called once the body is complete. Must answer, now or later, on the loop's thread. */
    void (*handle)(void *arg, struct http_request *request);
    bool large_body; /* body up to options.body_max_bytes, not 64 KiB */
    int access;      /* the service's own, for `admit` */
};

struct http_server_options {
    const char *listen; /* "127.0.0.1:8080", "[::1]:0" */
    size_t body_max_bytes;
    /* Limits the body of a large_body route, given the bytes so far (none at the headers). `*field`
     * may name the member to blame above the limit. NULL: body_max_bytes. */
    size_t (*large_body_max)(void *arg, const struct http_request *request, const char **field);
    /* Memory of all bodies and answers, beyond which bodies get 503; 0: no limit. */
    size_t buffers_bytes;
    int64_t max_connections;                    /* 0: no limit */
    int64_t max_connections_per_address;        /* per IPv4 address or IPv6 /64; 0: no limit */
    int64_t header_timeout_ms, body_timeout_ms; /* absolute */
    struct tls *tls;                            /* NULL: no TLS; kept by the caller */
    const struct http_route *routes;
    size_t routes_count;
    /* Called with the route, before the body is read; with a body, again before the handler.
     * Returns false after answering (401, 403). May be NULL. */
    bool (*admit)(void *arg, struct http_request *request);
    void *arg; /* for the handlers */
};

/* Binds and listens. Returns NULL with the reason. */
struct http_server *http_server_new(struct loop *loop, const struct http_server_options *options,
                                    struct error *err);

/* "127.0.0.1:43215", with the actual port. */
const char *http_server_address(const struct http_server *server);

/* Stops accepting connections; closes kept-alive ones with their next answer. */
void http_server_quiesce(struct http_server *server);

/* Open connections, and their limit: options.max_connections, or fewer for lack of descriptors. */
size_t http_server_connections(const struct http_server *server);
size_t http_server_connections_max(const struct http_server *server);
/* Bytes held by bodies and answers. */
size_t http_server_held(const struct http_server *server);

/* Answers pending requests with 503 (calling `gone`), ends streams and closes everything. */
void http_server_free(struct http_server *server);

/* --- the request: valid until it is answered */

const struct http_route *http_request_route(const struct http_request *request);
struct span http_request_body(const struct http_request *request);
const char *http_request_header(const struct http_request *request,
                                const char *name);                 /* NULL when absent */
const char *http_request_path(const struct http_request *request); /* decoded */
const char *http_request_id(const struct http_request *request);   /* the X-Request-Id */
/* The text matched by the route's {…} segment number `index`, from 0; "" if absent. */
const char *http_request_segment(const struct http_request *request, size_t number);

/* Checks query parameters, decoded. Returns -1 with err->field for a repeated one, or one outside
 * `known` (NULL-terminated). */
int http_request_query_check(const struct http_request *request, const char *const *known,
                             struct error *err);
const char *http_request_query(const struct http_request *request,
                               const char *name); /* NULL when absent */
/* For calls without query parameters: returns false after answering 400 if there are any. */
bool http_request_no_query(struct http_request *request);

/* Attaches the service's data to a request, such as the principal. `free_data` (may be NULL) frees
 * the data when the request ends, or when other data replaces it. */
void http_request_set_data(struct http_request *request, void *data, void (*free_data)(void *));
void *http_request_data(const struct http_request *request);

/* Called when the client leaves before the answer, or the server closes: do not use the request any
 * more. At most one callback. */
void http_request_on_gone(struct http_request *request, void (*gone)(void *arg), void *arg);
/* For a request that waits long: notices promptly when the client closes the connection. */
void http_request_watch(struct http_request *request);

/* --- memory: bodies and answers together have options.buffers_bytes */

/* Free memory for answers. The last quarter is for bodies, so that slow readers do not block
 * publishers. */
size_t http_answer_room(const struct http_request *request);
/* For large answers: returns false after answering 503 when no memory is free. */
bool http_answer_has_room(struct http_request *request);
/* Reserves so many bytes for an answer in the making; the answer itself replaces the
 * reservation. */
void http_answer_hold(struct http_request *request, size_t bytes);

/* --- whole answers; each ends the request. Bodies are copied, or moved (`body` is emptied). */

/* Adds a header to the answer to come. At most 8; texts are copied. */
void http_answer_header(struct http_request *request, const char *name, const char *value);
void http_answer(struct http_request *request, unsigned status, const char *content_type,
                 struct buf *body);
/* Answers 200 with {"status":"<status>"}. */
void http_answer_status(struct http_request *request, const char *status);
/* Answers by RFC 9457: {"title","status","detail","field"?, …extra}. `extra` is JSON members
 * without braces, or NULL. `retry_after_s` 0: no Retry-After. */
void http_problem(struct http_request *request, unsigned status, const struct error *err,
                  const char *extra, int64_t retry_after_s);

/* --- streams: an answer of unknown length */

/* Begins a stream. `drained` is called from the loop once the client has read everything written
 * (never within a write), and again only after further writes. `gone` (http_request_on_gone)
 * reports that the client has left. */
void http_stream_begin(struct http_request *request, unsigned status, const char *content_type,
                       void (*drained)(void *arg), void *arg);
/* Appends a copy of the bytes. Callers bound the backlog by http_stream_backlog: nothing is dropped
 * here. */
void http_stream_write(struct http_request *request, const void *data, size_t len);
/* http_stream_write that moves the bytes (`data` is emptied). */
void http_stream_take(struct http_request *request, struct buf *data);
/* Bytes written and not yet read by the connection. */
size_t http_stream_backlog(const struct http_request *request);
/* Ends the request after sending everything written. */
void http_stream_end(struct http_request *request);
/* Ends the request and cuts the connection, so that the client notices missing data. */
void http_stream_cut(struct http_request *request);

#endif
