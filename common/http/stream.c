/* Answers of unknown length; see server.h. libmicrohttpd asks for the next bytes. The connection is
 * suspended while no bytes are left to send. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <utlist.h>

#include "common/http/http_internal.h"

enum {
    BLOCK_BYTES = 4 * 1024, /* libmicrohttpd's buffer, for HTTP/1.0 only */
    /* Kept by a stream without backlog: thousands may be idle. */
    KEPT_BYTES = 1024,
};

size_t http_stream_backlog(const struct http_request *r) { return r->out.len - r->out_taken; }

static void note_drained(struct http_request *r) {
    if (r->in_drained || r->answered || !r->drained)
        return;
    r->in_drained = true;
    LL_APPEND2(r->server->drained, r, drained_next);
}

void http_stream_forget(struct http_request *r) {
    if (r->in_drained)
        LL_DELETE2(r->server->drained, r, drained_next);
    r->in_drained = false;
}

void http_stream_call_drained(struct http_server *server) {
    struct http_request *last = server->drained; /* streams added meanwhile get their turn later */
    while (last && last->drained_next)
        last = last->drained_next;
    for (bool more = last; more && server->drained;) {
        struct http_request *r = server->drained;
        more = r != last;
        http_stream_forget(r);
        if (!r->answered && !r->dead)
            r->drained(r->drained_arg);
    }
}

static ssize_t on_read(void *cls, uint64_t position, char *to, size_t max) {
    struct http_request *r = cls;
    size_t n = http_stream_backlog(r) < max ? http_stream_backlog(r) : max;
    (void)position;
    if (r->dead)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    if (n == 0 && r->answered)
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (n == 0) {
        r->suspended = true; /* must be before the return */
        MHD_suspend_connection(r->mhd);
        return 0;
    }
    memcpy(to, r->out.data + r->out_taken, n);
    r->out_taken += n;
    if (http_stream_backlog(r) == 0) {
        r->out_taken = 0;
        if (r->out.cap > KEPT_BYTES)
            buf_fini(&r->out);
        else
            buf_clear(&r->out);
        http_request_hold(r, r->out.cap);
        note_drained(r);
    }
    return (ssize_t)n;
}

void http_stream_begin(struct http_request *r, unsigned status, const char *content_type,
                       void (*drained)(void *), void *arg) {
    r->response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES, on_read, r,
                                                    NULL);
    /* Out of memory: the client sees the connection close. */
    r->dead |= !r->response;
    r->streaming = true;
    r->status = status;
    r->drained = drained;
    r->drained_arg = arg;
    if (r->response)
        http_request_add_headers(r, content_type);
    http_request_resume(r);
}

void http_stream_write(struct http_request *r, const void *data, size_t len) {
    if (r->out_taken > http_stream_backlog(r)) { /* make room by dropping read bytes */
        memmove(r->out.data, r->out.data + r->out_taken, http_stream_backlog(r));
        r->out.len -= r->out_taken;
        r->out_taken = 0;
    }
    buf_append(&r->out, data, len);
    http_request_hold(r, r->out.cap);
    http_request_resume(r);
}

void http_stream_take(struct http_request *r, struct buf *data) {
    if (http_stream_backlog(r)) {
        http_stream_write(r, data->data, data->len);
        buf_fini(data);
        return;
    }
    buf_fini(&r->out);
    r->out = *data;
    r->out_taken = 0;
    http_request_hold(r, r->out.cap);
    buf_init(data);
    http_request_resume(r);
}

void http_stream_end(struct http_request *r) {
    r->answered = true;
    http_connection_deadline(r->connection, http_answer_ms(http_stream_backlog(r)));
    http_stream_forget(r);
    http_connection_watch(r->connection, NULL);
    http_request_resume(r);
}

void http_stream_cut(struct http_request *r) {
    r->dead = true;
    shutdown(r->connection->fd, SHUT_RDWR); /* the client may not read what libmicrohttpd holds */
    http_stream_end(r);
}
