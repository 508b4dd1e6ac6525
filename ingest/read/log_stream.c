/* Answers that go on; see log_stream.h. Back-pressure: a piece is read when the client has taken
 * the one before, so that a stream holds little; one that takes nothing for long is cut. */
#include "ingest/read/log_stream.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "ingest/access/auth.h"
#include "ingest/read/pull.h"

enum { PIECE_BYTES = 64 * 1024, LIMIT_MAX = 10000, BEAT_MS = 15000, PATIENCE_MS = 30000 };

struct log_stream {
    struct pull pull;
    bool events;  /* server-sent ones; else NDJSON */
    bool begun;   /* its status was sent */
    bool blocked; /* there is more to read once the client has taken what was written */
    struct loop_timer patience; /* set while something is waited for, but not at the log's end */
    struct loop_timer beat;
};

static void log_stream_free(struct log_stream *s) {
    loop_timer_clear(s->pull.ingest->loop, &s->patience);
    loop_timer_clear(s->pull.ingest->loop, &s->beat);
    pull_fini(&s->pull);
    free(s);
}

static void stream_end(struct pull *pull) { log_stream_free((struct log_stream *)pull); }

static void stream_abandon(struct pull *pull) {
    struct log_stream *s = (struct log_stream *)pull;
    if (s->begun)
        http_stream_cut(pull->request);
    else
        pull_unavailable(pull);
    log_stream_free(s);
}

/* Too slow for too long, or a part of the log does not come. The last event that it took whole
 * tells where to go on. */
static void stream_on_impatient(void *arg) {
    struct log_stream *s = arg;
    log_info(
        "stream_cut", LOG_S("path", http_request_path(s->pull.request)),
        LOG_N("cursor", s->pull.previous),
        LOG_S("reason", s->blocked ? "its client takes nothing" : "the log cannot be read on"));
    stream_abandon(&s->pull);
}

static void stream_be_patient(struct log_stream *s) {
    if (s->patience.slot == 0)
        loop_timer_set(s->pull.ingest->loop, &s->patience, clock_ms() + PATIENCE_MS);
}

static void stream_on_drained(void *arg) {
    struct log_stream *s = arg;
    if (!s->blocked)
        return;
    s->blocked = false;
    loop_timer_clear(s->pull.ingest->loop, &s->patience);
    s->pull.kind->go(&s->pull);
}

/* Says how far it came, which a client that connects again goes on from. */
static void stream_write_reached(struct log_stream *s) {
    char text[64];
    int len = snprintf(text, sizeof text, ": keep-alive\nid: %" PRId64 "\n\n",
                       pull_reached(&s->pull));
    http_stream_write(s->pull.request, text, (size_t)len);
}

static void stream_lapse(struct pull *pull) {
    struct log_stream *s = (struct log_stream *)pull;
    log_info("stream_cut", LOG_S("path", http_request_path(pull->request)),
             LOG_S("reason", "its access token is no longer in force"));
    if (s->begun)
        http_stream_cut(pull->request);
    else
        authenticator_lapsed(pull->request);
    log_stream_free(s);
}

static void stream_beat(struct log_stream *s) {
    if (http_stream_backlog(s->pull.request) == 0)
        stream_write_reached(s);
    loop_timer_set(s->pull.ingest->loop, &s->beat, clock_ms() + BEAT_MS);
}

static void stream_on_beat(void *arg) {
    struct log_stream *s = arg;
    if (!pull_lapsed(&s->pull))
        stream_beat(s);
}

static void stream_begin(struct log_stream *s) {
    s->begun = true;
    http_answer_header(s->pull.request, "Cache-Control", "no-store");
    http_answer_header(s->pull.request, "X-Accel-Buffering",
                       "no"); /* nginx passes on what it gets */
    http_stream_begin(s->pull.request, 200,
                      s->events ? "text/event-stream" : "application/x-ndjson", stream_on_drained,
                      s);
    if (s->events)
        stream_beat(s);
}

static void stream_put(struct log_stream *s, const struct feed_event *event, struct buf *out) {
    if (s->events)
        buf_printf(out, "id: %" PRId64 "\ndata: ", event->cursor);
    pull_put(&s->pull, event, out);
    buf_puts(out, s->events ? "\n\n" : "\n");
}

/* Reads a piece. PULL_EVENT: there is more. */
static enum pull_result stream_read_piece(struct log_stream *s, struct buf *out) {
    struct feed_event event;
    size_t max = pull_piece_bytes(&s->pull, PIECE_BYTES);
    if (!s->events)
        buf_reserve(out, max + max / 16);
    do {
        enum pull_result result = s->pull.count < s->pull.limit ? pull_next(&s->pull, &event)
                                                                : PULL_END;
        if (result != PULL_EVENT)
            return result;
        stream_put(s, &event, out);
    } while (out->len < max);
    return PULL_EVENT;
}

static bool stream_newer_is_next(struct pull *pull) {
    struct feed_event event;
    return pull_next(pull, &event) == PULL_NEWER;
}

/* The client has all that stands before it. */
static void stream_cut_at_newer(struct log_stream *s) {
    log_info("stream_cut", LOG_S("path", http_request_path(s->pull.request)),
             LOG_N("cursor", s->pull.previous),
             LOG_S("reason", "a later version of ESS wrote the next event"));
    stream_abandon(&s->pull);
}

static void stream_go(struct pull *pull) {
    struct log_stream *s = (struct log_stream *)pull;
    struct buf piece = {0};
    loop_timer_clear(pull->ingest->loop, &s->patience);
    if (pull_lapsed(pull))
        return;
    if ((!s->begun || http_stream_backlog(pull->request) == 0) && stream_newer_is_next(pull)) {
        stream_cut_at_newer(s);
        return;
    }
    if (!s->begun)
        stream_begin(s);
    s->blocked = http_stream_backlog(pull->request) >= PIECE_BYTES;
    enum pull_result result = s->blocked ? PULL_EVENT : stream_read_piece(s, &piece);
    if (piece.len)
        http_stream_take(pull->request, &piece);
    buf_fini(&piece);
    if (result == PULL_END && s->events) {
        pull_wait(pull);
    } else if (result == PULL_END) {
        http_stream_end(pull->request);
        log_stream_free(s);
    } else {
        s->blocked = result == PULL_EVENT || result == PULL_NEWER;
        stream_be_patient(s);
    }
}

static struct log_stream *log_stream_new(const struct pull_kind *kind, struct ingest *ingest,
                                         struct http_request *request) {
    struct log_stream *s = mem_zero(sizeof *s);
    pull_init(&s->pull, kind, ingest, request);
    loop_timer_init(&s->patience, stream_on_impatient, s);
    loop_timer_init(&s->beat, stream_on_beat, s);
    return s;
}

static void stream_refuse(struct log_stream *s, const struct error *err) {
    pull_refuse(&s->pull, err);
    log_stream_free(s);
}

bool log_stream_accepted(const struct http_request *request) {
    const char *accept = http_request_header(request, "Accept");
    return accept && strcasestr(accept, "application/x-ndjson");
}

void log_stream_replay(void *arg, struct http_request *request) {
    static const struct pull_kind kind = {"since_cursor", stream_go, stream_abandon, stream_lapse,
                                          stream_end};
    static const char *const known[] = {"since_cursor", "until_cursor", "topics", "limit", NULL};
    struct error err;
    struct log_stream *s = log_stream_new(&kind, arg, request);
    struct pull *pull = &s->pull;
    if (http_request_query_check(request, known, &err) ||
        pull_number(request, "limit", 1, LIMIT_MAX, &pull->limit, &err) || pull_range(pull, &err) ||
        pull_topics(pull, &err)) {
        stream_refuse(s, &err);
        return;
    }
    int64_t end = ingest_end(pull->ingest);
    if (pull->until > end)
        pull->until = end > pull->position ? end : pull->position;
    pull_begin(pull);
}

/* A browser that connects again says where it stood by a header. */
static int stream_last_event_id(struct pull *pull, struct error *err) {
    const char *text = http_request_header(pull->request, "Last-Event-ID");
    if (!text || !*text)
        return 0;
    pull->cursor_name = "Last-Event-ID";
    return pull_whole_number(text, "Last-Event-ID", 0, INT64_MAX, &pull->position, err);
}

void log_stream_events(void *arg, struct http_request *request) {
    static const struct pull_kind kind = {"cursor", stream_go, stream_abandon, stream_lapse,
                                          stream_end};
    static const char *const known[] = {"cursor", "topics", NULL};
    struct error err;
    struct log_stream *s = log_stream_new(&kind, arg, request);
    struct pull *pull = &s->pull;
    s->events = true;
    pull->position = -1;
    if (http_request_query_check(request, known, &err) ||
        pull_number(request, "cursor", 0, INT64_MAX, &pull->position, &err) ||
        stream_last_event_id(pull, &err) || pull_topics(pull, &err)) {
        stream_refuse(s, &err);
        return;
    }
    http_request_watch(request);
    pull_begin(pull);
}
