/* Streamed answers; see log_stream.h. Back-pressure: the next piece is read once the client has
 * taken the previous one, so a stream holds little memory. A client that takes nothing for
 * PATIENCE_MS is cut off. */
#include "ingest/read/log_stream.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "ingest/access/auth.h"
#include "ingest/read/http_reader.h"

enum { PIECE_BYTES = 64 * 1024, LIMIT_MAX = 10000, BEAT_MS = 15000, PATIENCE_MS = 30000 };

struct log_stream {
    struct http_reader reader;
    bool events;  /* server-sent events; otherwise NDJSON */
    bool begun;   /* the status line was sent */
    bool blocked; /* paused until the client has taken the written bytes */
    /* set while waiting for the client or the log, but not at the log's end */
    struct loop_timer patience;
    struct loop_timer beat;
};

static void log_stream_free(struct log_stream *s) {
    loop_timer_clear(s->reader.ingest->service.loop, &s->patience);
    loop_timer_clear(s->reader.ingest->service.loop, &s->beat);
    http_reader_fini(&s->reader);
    free(s);
}

static void log_stream_end(struct http_reader *reader) {
    log_stream_free((struct log_stream *)reader);
}

static void log_stream_abandon(struct http_reader *reader) {
    struct log_stream *s = (struct log_stream *)reader;
    if (s->begun)
        http_stream_cut(reader->request);
    else
        http_reader_unavailable(reader);
    log_stream_free(s);
}

/* The client is too slow, or a part of the log does not arrive. The client continues from the last
 * event received whole. */
static void log_stream_on_impatient(void *arg) {
    struct log_stream *s = arg;
    log_info("stream_cut", LOG_S("path", http_request_path(s->reader.request)),
             LOG_N("cursor", s->reader.previous),
             LOG_S("reason",
                   s->blocked ? "the client takes no data" : "the rest of the log cannot be read"));
    log_stream_abandon(&s->reader);
}

static void log_stream_be_patient(struct log_stream *s) {
    if (s->patience.slot == 0)
        loop_timer_set(s->reader.ingest->service.loop, &s->patience, clock_ms() + PATIENCE_MS);
}

static void log_stream_on_drained(void *arg) {
    struct log_stream *s = arg;
    if (!s->blocked)
        return;
    s->blocked = false;
    loop_timer_clear(s->reader.ingest->service.loop, &s->patience);
    s->reader.kind->go(&s->reader);
}

/* Writes the reached cursor as an id, from which a reconnecting client continues. */
static void log_stream_write_reached(struct log_stream *s) {
    char text[64];
    int len = snprintf(text, sizeof text, ": keep-alive\nid: %" PRId64 "\n\n",
                       http_reader_reached(&s->reader));
    http_stream_write(s->reader.request, text, (size_t)len);
}

static void log_stream_lapse(struct http_reader *reader) {
    struct log_stream *s = (struct log_stream *)reader;
    log_info("stream_cut", LOG_S("path", http_request_path(reader->request)),
             LOG_S("reason", "the access token is no longer in force"));
    if (s->begun)
        http_stream_cut(reader->request);
    else
        authenticator_lapsed(reader->request);
    log_stream_free(s);
}

static void log_stream_beat(struct log_stream *s) {
    if (http_stream_backlog(s->reader.request) == 0)
        log_stream_write_reached(s);
    loop_timer_set(s->reader.ingest->service.loop, &s->beat, clock_ms() + BEAT_MS);
}

static void log_stream_on_beat(void *arg) {
    struct log_stream *s = arg;
    if (!http_reader_lapsed(&s->reader))
        log_stream_beat(s);
}

static void log_stream_begin(struct log_stream *s) {
    s->begun = true;
    http_answer_header(s->reader.request, "Cache-Control", "no-store");
    /* makes nginx pass bytes on at once */
    http_answer_header(s->reader.request, "X-Accel-Buffering", "no");
    http_stream_begin(s->reader.request, 200,
                      s->events ? "text/event-stream" : "application/x-ndjson",
                      log_stream_on_drained, s);
    if (s->events)
        log_stream_beat(s);
}

static void log_stream_put(struct log_stream *s, const struct feed_event *event, struct buf *out) {
    if (s->events)
        buf_printf(out, "id: %" PRId64 "\ndata: ", event->cursor);
    http_reader_put(&s->reader, event, out);
    buf_puts(out, s->events ? "\n\n" : "\n");
}

/* Reads a piece. Returns HTTP_READER_EVENT when there is more. */
static enum http_reader_result log_stream_read_piece(struct log_stream *s, struct buf *out) {
    struct feed_event event;
    size_t max = http_reader_piece_bytes(&s->reader, PIECE_BYTES);
    if (!s->events)
        buf_reserve(out, max + max / 16);
    do {
        enum http_reader_result result = s->reader.count < s->reader.limit
                                             ? http_reader_next(&s->reader, &event)
                                             : HTTP_READER_END;
        if (result != HTTP_READER_EVENT)
            return result;
        log_stream_put(s, &event, out);
    } while (out->len < max);
    return HTTP_READER_EVENT;
}

static bool log_stream_newer_is_next(struct http_reader *reader) {
    struct feed_event event;
    return http_reader_next(reader, &event) == HTTP_READER_NEWER;
}

/* Cuts the stream before an event of a later version. The client has everything before that
 * event. */
static void log_stream_cut_at_newer(struct log_stream *s) {
    log_info("stream_cut", LOG_S("path", http_request_path(s->reader.request)),
             LOG_N("cursor", s->reader.previous),
             LOG_S("reason", "a later version of ESS wrote the next event"));
    log_stream_abandon(&s->reader);
}

static void log_stream_go(struct http_reader *reader) {
    struct log_stream *s = (struct log_stream *)reader;
    struct buf piece = {0};
    loop_timer_clear(reader->ingest->service.loop, &s->patience);
    if (http_reader_lapsed(reader))
        return;
    if (!s->begun && log_stream_newer_is_next(reader)) {
        log_stream_cut_at_newer(s);
        return;
    }
    if (!s->begun)
        log_stream_begin(s);
    s->blocked = http_stream_backlog(reader->request) >= PIECE_BYTES;
    enum http_reader_result result = s->blocked ? HTTP_READER_EVENT
                                                : log_stream_read_piece(s, &piece);
    if (piece.len)
        http_stream_take(reader->request, &piece);
    buf_fini(&piece);
    if (result == HTTP_READER_NEWER && http_stream_backlog(reader->request) == 0) {
        log_stream_cut_at_newer(s);
    } else if (result == HTTP_READER_END && s->events) {
        http_reader_park(reader);
    } else if (result == HTTP_READER_END) {
        http_stream_end(reader->request);
        log_stream_free(s);
    } else {
        s->blocked = result == HTTP_READER_EVENT || result == HTTP_READER_NEWER;
        log_stream_be_patient(s);
    }
}

static struct log_stream *log_stream_new(const struct http_reader_kind *kind, struct ingest *ingest,
                                         struct http_request *request) {
    struct log_stream *s = mem_zero(sizeof *s);
    http_reader_init(&s->reader, kind, ingest, request);
    loop_timer_init(&s->patience, log_stream_on_impatient, s);
    loop_timer_init(&s->beat, log_stream_on_beat, s);
    return s;
}

static void log_stream_refuse(struct log_stream *s, const struct error *err) {
    http_reader_refuse(&s->reader, err);
    log_stream_free(s);
}

bool log_stream_accepted(const struct http_request *request) {
    const char *accept = http_request_header(request, "Accept");
    return accept && strcasestr(accept, "application/x-ndjson");
}

void log_stream_replay(void *arg, struct http_request *request) {
    static const struct http_reader_kind kind = {"since_cursor", log_stream_go, log_stream_abandon,
                                                 log_stream_lapse, log_stream_end};
    static const char *const known[] = {"since_cursor", "until_cursor", "topics",
                                        "filter",       "limit",        NULL};
    struct error err;
    struct log_stream *s = log_stream_new(&kind, arg, request);
    struct http_reader *reader = &s->reader;
    if (http_request_query_check(request, known, &err) ||
        http_reader_number(request, "limit", 1, LIMIT_MAX, &reader->limit, &err) ||
        http_reader_range(reader, &err) || http_reader_topics(reader, &err) ||
        http_reader_filter(reader, &err)) {
        log_stream_refuse(s, &err);
        return;
    }
    int64_t end = ingest_end(reader->ingest);
    if (reader->until > end)
        reader->until = end > reader->position ? end : reader->position;
    http_reader_begin(reader);
}

/* A reconnecting browser names its position in a header. */
static int log_stream_last_event_id(struct http_reader *reader, struct error *err) {
    const char *text = http_request_header(reader->request, "Last-Event-ID");
    if (!text || !*text)
        return 0;
    reader->cursor_name = "Last-Event-ID";
    return http_reader_whole_number(text, "Last-Event-ID", 0, INT64_MAX, &reader->position, err);
}

void log_stream_events(void *arg, struct http_request *request) {
    static const struct http_reader_kind kind = {"cursor", log_stream_go, log_stream_abandon,
                                                 log_stream_lapse, log_stream_end};
    static const char *const known[] = {"cursor", "topics", "filter", NULL};
    struct error err;
    struct log_stream *s = log_stream_new(&kind, arg, request);
    struct http_reader *reader = &s->reader;
    s->events = true;
    reader->position = -1;
    if (http_request_query_check(request, known, &err) ||
        http_reader_number(request, "cursor", 0, INT64_MAX, &reader->position, &err) ||
        log_stream_last_event_id(reader, &err) || http_reader_topics(reader, &err) ||
        http_reader_filter(reader, &err)) {
        log_stream_refuse(s, &err);
        return;
    }
    http_request_watch(request);
    http_reader_begin(reader);
}
