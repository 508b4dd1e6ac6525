/* Pages of events; see page.h. A page holds the events at hand, up to the limits. A poll waits at
 * the log's end for a first event. After READ_MS of reading, the page holds the events found so
 * far, with the cursor reached. */
#include "ingest/read/page.h"

#include <stdlib.h>

#include "common/base/clock.h"
#include "common/json/writer.h"
#include "ingest/access/auth.h"
#include "ingest/read/http_reader.h"
#include "ingest/read/log_stream.h"

enum {
    ANSWER_BYTES_MAX = 8 * 1024 * 1024,
    ANSWER_END_BYTES = 256,
    PIECE_BYTES = 256 * 1024, /* then other readers get a turn */
    LIMIT_MAX = 10000,
    LIMIT_DEFAULT = 500,
    WAIT_S_MAX = 60,
    WAIT_S_DEFAULT = 30,
    READ_MS = 10000,
};

struct page {
    struct http_reader reader;
    struct buf body;
    size_t max;            /* size limit of the page; 0 before the first event */
    int64_t begin;         /* the start position */
    int64_t wait_until_ms; /* a poll's deadline; 0: no waiting */
    struct loop_timer over;
    struct page_order order; /* all zero for a page that is not for a subscriber */
};

static void page_free(struct page *page) {
    loop_timer_clear(page->reader.ingest->service.loop, &page->over);
    http_reader_fini(&page->reader);
    buf_fini(&page->body);
    free(page->order.arg);
    free(page);
}

static void page_put_begin(struct buf *body) {
    json_put_object(body);
    json_member_list(body, "events");
}

static void page_send(struct http_request *request, struct buf *body, int64_t cursor, bool more) {
    json_end_list(body);
    json_member_number(body, "cursor", cursor);
    json_member_bool(body, "more", more);
    json_end_object(body);
    buf_puts(body, "\n");
    http_answer(request, 200, "application/json", body);
}

static void page_answer(struct page *page, bool more) {
    page_send(page->reader.request, &page->body, http_reader_reached(&page->reader), more);
    page_free(page);
}

static void page_abandon(struct http_reader *reader) {
    http_reader_unavailable(reader);
    page_free((struct page *)reader);
}

static void page_lapse(struct http_reader *reader) {
    authenticator_lapsed(reader->request);
    page_free((struct page *)reader);
}

static void page_end(struct http_reader *reader) { page_free((struct page *)reader); }

/* Reserves the page's memory at the first event: a waiting poll holds none. */
static void page_reserve(struct page *page) {
    page->max = http_reader_piece_bytes(&page->reader, ANSWER_BYTES_MAX);
    http_answer_hold(page->reader.request, 2 * page->max); /* a buffer grows by doubling */
}

/* Adds an event. False: the page is full. */
static bool page_add(struct page *page, const struct feed_event *event) {
    if (page->reader.count == 0)
        page_reserve(page);
    else if (page->body.len + event->stored.len + ANSWER_END_BYTES > page->max)
        return false;
    json_put_comma(&page->body);
    http_reader_put(&page->reader, event, &page->body);
    return true;
}

static void page_at_end(struct page *page) {
    if (page->reader.count == 0 && page->wait_until_ms > clock_ms()) {
        loop_timer_set(page->reader.ingest->service.loop, &page->over, page->wait_until_ms);
        /* check the token at once on wake-up: an event published after a revocation must not be
         * shown */
        page->reader.ask_ms = 0;
        http_reader_park(&page->reader);
    } else {
        page_answer(page, false);
    }
}

/* Answers the events before the unreadable one; the next call gets the reason. */
static void page_at_newer(struct page *page) {
    if (page->reader.position > page->begin)
        page_answer(page, true);
    else
        page_abandon(&page->reader);
}

/* Whether the subscriber has changed since the page began. If so, `still` has answered the request,
 * and the page is freed. */
static bool page_is_over(struct page *page) {
    if (!page->order.still || page->order.still(page->order.arg, page->reader.request))
        return false;
    page_free(page);
    return true;
}

/* Reads until the page is full or must wait. */
static void page_go(struct http_reader *reader) {
    struct page *page = (struct page *)reader;
    struct feed_event event;
    size_t began = page->body.len;
    if (http_reader_lapsed(reader) || page_is_over(page))
        return;
    while (page->body.len - began < PIECE_BYTES) {
        enum http_reader_result result = http_reader_next(reader, &event);
        if (result == HTTP_READER_LATER)
            return;
        if (result == HTTP_READER_END) {
            page_at_end(page);
            return;
        }
        if (result == HTTP_READER_NEWER) {
            page_at_newer(page);
            return;
        }
        if (!page_add(page, &event) || reader->count == reader->limit) {
            page_answer(page, http_reader_has_more(reader));
            return;
        }
    }
    http_reader_go_soon(reader);
}

/* No event arrived in time, or reading takes too long. */
static void page_on_over(void *arg) {
    struct page *page = arg;
    if (page_is_over(page))
        return;
    if (page->reader.at_end.woken)
        loop_timer_set(page->reader.ingest->service.loop, &page->over,
                       clock_ms() + READ_MS); /* an event arrived in this very turn */
    else if (page->reader.at_end.parked)
        page_answer(page, false);
    else if (page->reader.position == page->begin && http_reader_has_more(&page->reader))
        page_abandon(&page->reader);
    else
        page_answer(page, http_reader_has_more(&page->reader));
}

static struct page *page_new(const struct http_reader_kind *kind, struct ingest *ingest,
                             struct http_request *request) {
    struct page *page = mem_zero(sizeof *page);
    http_reader_init(&page->reader, kind, ingest, request);
    page->reader.limit = LIMIT_DEFAULT;
    loop_timer_init(&page->over, page_on_over, page);
    page_put_begin(&page->body);
    return page;
}

/* Reads `limit` and `wait`. */
static int page_read_limits(struct page *page, int64_t wait_default_s, struct error *err) {
    struct http_request *request = page->reader.request;
    int64_t wait_s = wait_default_s;
    if (http_reader_number(request, "limit", 1, LIMIT_MAX, &page->reader.limit, err) ||
        http_reader_number(request, "wait", 0, WAIT_S_MAX, &wait_s, err))
        return -1;
    page->wait_until_ms = clock_ms() + wait_s * 1000;
    return 0;
}

static void page_begin(struct page *page) {
    int64_t over_ms = clock_ms() + READ_MS;
    loop_timer_set(page->reader.ingest->service.loop, &page->over,
                   page->wait_until_ms > over_ms ? page->wait_until_ms : over_ms);
    page->begin = page->reader.position;
    http_reader_begin(&page->reader);
}

/* page_begin for a page that may wait. */
static void page_begin_poll(struct page *page) {
    http_request_watch(page->reader.request);
    page_begin(page);
}

static void page_refuse(struct page *page, const struct error *err) {
    http_reader_refuse(&page->reader, err);
    page_free(page);
}

void page_replay(void *arg, struct http_request *request) {
    static const struct http_reader_kind kind = {"since_cursor", page_go, page_abandon, page_lapse,
                                                 page_end};
    static const char *const known[] = {"since_cursor", "until_cursor", "topics",
                                        "filter",       "limit",        NULL};
    struct error err;
    if (log_stream_accepted(request)) {
        log_stream_replay(arg, request);
        return;
    }
    struct page *page = page_new(&kind, arg, request);
    struct http_reader *reader = &page->reader;
    if (http_request_query_check(request, known, &err) ||
        http_reader_number(request, "limit", 1, LIMIT_MAX, &reader->limit, &err) ||
        http_reader_range(reader, &err) || http_reader_topics(reader, &err) ||
        http_reader_filter(reader, &err))
        page_refuse(page, &err);
    else
        page_begin(page);
}

/* Of a page that may wait. */
static const struct http_reader_kind page_poll_kind = {"cursor", page_go, page_abandon, page_lapse,
                                                       page_end};

void page_poll(void *arg, struct http_request *request) {
    static const char *const known[] = {"cursor", "topics", "filter", "limit", "wait", NULL};
    struct error err;
    struct page *page = page_new(&page_poll_kind, arg, request);
    struct http_reader *reader = &page->reader;
    reader->position = -1;
    if (http_request_query_check(request, known, &err) ||
        http_reader_number(request, "cursor", 0, INT64_MAX, &reader->position, &err) ||
        page_read_limits(page, WAIT_S_DEFAULT, &err) || http_reader_topics(reader, &err) ||
        http_reader_filter(reader, &err))
        page_refuse(page, &err);
    else
        page_begin_poll(page);
}

int page_check_order(const struct http_request *request, struct error *err) {
    static const char *const known[] = {"limit", "wait", NULL};
    return http_request_query_check(request, known, err);
}

void page_answer_order(struct ingest *ingest, struct http_request *request,
                       const struct page_order *order) {
    struct error err;
    struct page *page = page_new(&page_poll_kind, ingest, request);
    page->order = *order;
    page->reader.subscription = order->subscription;
    page->reader.position = order->position;
    page->reader.previous = order->previous;
    page->reader.compacted = order->compacted;
    page->reader.admitted = true;
    if (page_read_limits(page, 0, &err))
        page_refuse(page, &err);
    else
        page_begin_poll(page);
}

void page_answer_empty(struct http_request *request, int64_t cursor) {
    struct buf body = {0};
    page_put_begin(&body);
    page_send(request, &body, cursor, true);
}
