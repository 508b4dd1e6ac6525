/* Shared by server.c, connection.c, request.c and stream.c. */
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
    HTTP_IDLE_MS = 60 * 1000, /* from an answer to the first byte of the next request */
};

/* An open connection. */
struct http_connection {
    struct http_server *server;
    int fd;
    struct http_peer *peer;
    struct loop_io io;
    struct loop_timer deadline;   /* for headers, body or idle time */
    bool idle;                    /* between two requests, */
    uint64_t idle_turn;           /* turn of the loop when idling began */
    bool lingers;                 /* linger after the last answer */
    struct http_request *watcher; /* notified when the client closes; NULL: none */
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
    const struct http_route *route; /* NULL until known */
    const char *path;
    char segments[HTTP_SEGMENTS_MAX][HTTP_SEGMENT_BYTES];
    char id[HTTP_ID_BYTES];
    struct http_parameter query[HTTP_QUERY_MAX];
    size_t query_count;
    struct guard guard;
    struct buf body;
    size_t length;           /* Content-Length; 0: none */
    size_t body_max;         /* body limit, given the bytes so far */
    const char *large_field; /* field to blame for a body above the limit; "" */
    void *data;
    void (*free_data)(void *);
    bool begun;     /* headers were checked */
    bool too_large; /* over the limit: the rest is dropped */
    bool no_room;   /* no memory left for the body: the rest is dropped */
    size_t held;    /* bytes of the server's memory in use */
    bool handled;   /* handler called, or not to be called */
    bool suspended;
    bool answered; /* the service is done with the request */
    bool dead;     /* client gone, or connection to be cut */
    bool closing;  /* close the connection after the answer */
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
    struct http_request *prev, *next; /* in the server's list of requests */
};

struct http_server {
    struct loop *loop;
    struct http_server_options options;
    struct MHD_Daemon *daemon;
    int listen_fd;
    char address[80];
    bool quiescing;
    /* The service has freed its handlers' data: call no handler. */
    bool stopping;
    /* libmicrohttpd must run: its own wake-up does not always reach the loop. */
    bool must_run;
    struct loop_io io;
    struct loop_timer timer; /* libmicrohttpd's time-outs */
    struct loop_io listener;
    struct loop_timer accept_again; /* set while out of descriptors */
    struct loop_hook hook;
    struct http_connection *connections;
    size_t connections_count, connections_max;
    struct http_peer *peers;
    struct http_linger *lingers;
    size_t lingers_count, lingers_max;
    uint64_t turn;                 /* counts the loop's wake-ups */
    size_t held;                   /* bytes of bodies and answers */
    struct http_request *requests; /* begun and not completed */
    struct http_request *drained;  /* drained callback due */
};

/* The current certificate, for MHD_OPTION_HTTPS_CERT_CALLBACK. */
int tls_retrieve(gnutls_session_t session, const gnutls_datum_t *ca, int ca_count,
                 const gnutls_pk_algorithm_t *algorithms, int algorithms_count,
                 gnutls_pcert_st **chain, unsigned *chain_count, gnutls_privkey_t *key);

/* Resumes accepting connections. */
void http_server_accept(struct http_server *server);

/* Callbacks of libmicrohttpd about connections; `cls` is the server. */
enum MHD_Result http_connection_accept(void *cls, const struct sockaddr *address, socklen_t len);
void http_connection_notify(void *cls, struct MHD_Connection *mhd, void **context,
                            enum MHD_ConnectionNotificationCode what);
/* Sets the time at which the connection is cut. */
void http_connection_deadline(struct http_connection *connection, int64_t wait_ms);
/* Marks the start of a request, whose headers must be complete in time; or its end, after which the
 * connection is idle. */
void http_connection_begin_request(struct http_connection *connection);
void http_connection_end_request(struct http_connection *connection);
/* Sets the request to notify by http_request_left when the client closes the connection; NULL:
 * none. */
void http_connection_watch(struct http_connection *connection, struct http_request *watcher);
/* Closes lingering connections. */
void http_connection_end_lingers(struct http_server *server);
/* How long a client may take to read so many bytes of an answer, which hold memory: a minute, plus
 * 1 s per 64 KB. */
static inline int64_t http_answer_ms(size_t bytes) { return 60 * 1000 + (int64_t)(bytes / 64); }

/* Makes a request after its request line; `uri` is as sent. */
struct http_request *http_request_new(struct http_server *server, struct MHD_Connection *mhd,
                                      const char *uri);
/* Frees a request that libmicrohttpd is done with. */
void http_request_free(struct http_request *request);
/* Call with complete headers. Fills path, query and route. Returns false after answering. */
bool http_request_begin(struct http_request *request, const char *url, const char *method,
                        const char *version);
/* Takes a piece of the body. Drops bytes beyond the limit; an answer has to wait for the whole
 * body, and the body's deadline bounds the wait. */
void http_request_take_body(struct http_request *request, const char *data, size_t len);
/* Answers that the body is too large, or that memory for bodies is full. */
void http_request_too_large(struct http_request *request);
void http_request_no_room(struct http_request *request);
/* Accounts for the body and so many bytes of an answer. */
void http_request_hold(struct http_request *request, size_t answer_bytes);
/* Answers that the server is stopping. */
void http_request_stopping(struct http_request *request);
/* Whether the body may grow by so many bytes. */
bool http_request_may_hold(const struct http_request *request, size_t more);
/* Adds the answer's headers to r->response. */
void http_request_add_headers(struct http_request *request, const char *content_type);
/* Queues the answer at libmicrohttpd. */
enum MHD_Result http_request_queue(struct http_request *request);
/* Resumes a suspended request. */
void http_request_resume(struct http_request *request);
/* Called when the client of a watched request has closed its connection. */
void http_request_left(struct http_request *request);
/* Tells the service, once, that the request is gone. */
void http_request_tell_gone(struct http_request *request);

/* Calls the drained callbacks of streams whose clients have read everything. */
void http_stream_call_drained(struct http_server *server);
void http_stream_forget(struct http_request *request);

#endif
