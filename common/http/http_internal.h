/* What server.c, request.c and stream.c share. Nobody else includes it. */
#ifndef ESS_HTTP_INTERNAL_H
#define ESS_HTTP_INTERNAL_H

#include <gnutls/abstract.h>
#include <microhttpd.h>
#include <uthash.h>

#include "common/http/guard.h"
#include "common/http/server.h"
#include "common/http/tls.h"

enum {
    HTTP_SEGMENTS_MAX = 4,
    HTTP_SEGMENT_BYTES = 128,
    HTTP_ANSWER_HEADERS_MAX = 8,
    HTTP_QUERY_MAX = 16,
    HTTP_ID_BYTES = 65,
    HTTP_BODY_BYTES_DEFAULT = 64 * 1024,
    HTTP_IDLE_MS = 60 * 1000, /* a kept-alive connection until the first byte of its next request */
};

/* An open connection. */
struct http_connection {
    struct http_server *server;
    int fd;
    struct http_peer *peer;
    struct loop_io io;
    struct loop_timer deadline;   /* of the headers, the body, or the idleness that it is in */
    bool idle;                    /* between two requests, */
    uint64_t idle_turn;           /* since this turn of the loop */
    bool lingers;                 /* its last answer comes while the client may still write */
    struct http_request *watcher; /* is to know when the client closes; NULL: nobody */
    struct http_connection *prev, *next;
};

struct http_parameter {
    const char *name, *value;
    bool has_nul;
};

struct http_request {
    struct http_server *server;
    struct http_connection *connection;
    struct MHD_Connection *mhd;
    const struct http_route *route; /* NULL until it is known */
    const char *path;
    char segments[HTTP_SEGMENTS_MAX][HTTP_SEGMENT_BYTES];
    char id[HTTP_ID_BYTES];
    struct http_parameter query[HTTP_QUERY_MAX];
    size_t query_count;
    struct guard guard;
    struct buf body;
    size_t length;           /* Content-Length; 0: none */
    size_t body_max;         /* bytes that its body may have, as far as what has come tells */
    const char *large_field; /* what is too large in a body beyond that; "" */
    void *data;
    void (*free_data)(void *);
    bool begun;     /* its headers were looked at */
    bool too_large; /* the body went beyond the limit: the rest is not kept */
    bool no_room;   /* the server's memory for bodies and answers ran out: likewise */
    size_t held;    /* bytes that it holds of that */
    bool handled;   /* the handler was called, or is not to be */
    bool suspended;
    bool answered; /* the service has no more to do with it */
    bool dead;     /* its client has gone, or it is to be cut off */
    bool closing;  /* the connection ends with the answer */
    /* the answer */
    struct MHD_Response *response; /* made and not yet queued */
    unsigned status;
    char *headers[HTTP_ANSWER_HEADERS_MAX]; /* "Name\0value" */
    size_t headers_count;
    void (*gone)(void *arg);
    void *gone_arg;
    /* of a stream */
    bool streaming, in_drained;
    struct buf out;
    size_t out_taken;
    void (*drained)(void *arg);
    void *drained_arg;
    struct http_request *drained_next;
    struct http_request *prev, *next; /* among the server's begun requests */
};

struct http_server {
    struct loop *loop;
    struct http_server_options options;
    struct MHD_Daemon *daemon;
    int listen_fd;
    char address[80];
    bool quiescing;
    bool stopping; /* the service has freed what its handlers use: they are called no more */
    bool must_run; /* libmicrohttpd: its own wake-up does not always reach the loop */
    struct loop_io io;
    struct loop_timer timer; /* libmicrohttpd's own time-outs */
    struct loop_io listener;
    struct loop_timer accept_again; /* set: there was no descriptor for a connection */
    struct loop_hook hook;
    struct http_connection *connections;
    size_t connections_count, connections_max;
    struct http_peer *peers;
    struct http_linger *lingers;
    size_t lingers_count, lingers_max;
    uint64_t turn;                 /* counts the loop's wake-ups */
    size_t held;                   /* bytes of bodies and answers */
    struct http_request *requests; /* begun and not completed */
    struct http_request *drained;  /* whose callback is due */
};

/* The certificate in force, for MHD_OPTION_HTTPS_CERT_CALLBACK. */
int tls_retrieve(gnutls_session_t session, const gnutls_datum_t *ca, int ca_count,
                 const gnutls_pk_algorithm_t *algorithms, int algorithms_count,
                 gnutls_pcert_st **chain, unsigned *chain_count, gnutls_privkey_t *key);

/* Accepts connections, if it has stopped: there is room for one again. */
void http_server_accept(struct http_server *server);

/* libmicrohttpd's questions and news about connections; `cls` is the server. */
enum MHD_Result http_connection_accept(void *cls, const struct sockaddr *address, socklen_t len);
void http_connection_notify(void *cls, struct MHD_Connection *mhd, void **context,
                            enum MHD_ConnectionNotificationCode what);
/* The connection is cut off at that time at the latest. */
void http_connection_deadline(struct http_connection *connection, int64_t wait_ms);
/* A request has begun: its headers must be whole in time. One has ended: the connection is idle. */
void http_connection_begin_request(struct http_connection *connection);
void http_connection_end_request(struct http_connection *connection);
/* The request is to know, by http_request_left, when the client closes the connection; NULL: nobody
 * any more. */
void http_connection_watch(struct http_connection *connection, struct http_request *watcher);
/* Closes those that linger. */
void http_connection_end_lingers(struct http_server *server);
/* How long a client may take for so many bytes of an answer, which hold memory: a minute, and 64 KB
 * a second. */
static inline int64_t http_answer_ms(size_t bytes) { return 60 * 1000 + (int64_t)(bytes / 64); }

/* The request line was read: `uri` is as it was sent. */
struct http_request *http_request_new(struct http_server *server, struct MHD_Connection *mhd,
                                      const char *uri);
/* libmicrohttpd is done with it. */
void http_request_free(struct http_request *request);
/* The headers are whole. Fills path, query and route. False: it has been answered. */
bool http_request_begin(struct http_request *request, const char *url, const char *method,
                        const char *version);
/* A piece of its body has come. What goes beyond the body's limit is not kept; an answer can only
 * be given when the body is whole, and the body's deadline bounds the wait. */
void http_request_take_body(struct http_request *request, const char *data, size_t len);
/* Answers that its body is larger, or that there is no memory left for it. */
void http_request_too_large(struct http_request *request);
void http_request_no_room(struct http_request *request);
/* It holds its body and so many bytes of an answer. */
void http_request_hold(struct http_request *request, size_t answer_bytes);
/* Answers that the server goes. */
void http_request_stopping(struct http_request *request);
/* Whether its body may grow by so many bytes. */
bool http_request_may_hold(const struct http_request *request, size_t more);
/* Puts its headers into r->response. */
void http_request_add_headers(struct http_request *request, const char *content_type);
/* Gives libmicrohttpd the answer that was made. */
enum MHD_Result http_request_queue(struct http_request *request);
/* Lets libmicrohttpd go on with a suspended request. */
void http_request_resume(struct http_request *request);
/* The client of a watched request has closed its connection. */
void http_request_left(struct http_request *request);
/* Tells the service, once, that the request is no more. */
void http_request_tell_gone(struct http_request *request);

/* Calls the services of streams whose clients have taken all. */
void http_stream_call_drained(struct http_server *server);
void http_stream_forget(struct http_request *request);

#endif
