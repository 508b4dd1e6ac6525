/* A reader of the log by HTTP; see http_reader.h. The log reader does the reading, so the loop
 * never blocks. */
#include "ingest/read/http_reader.h"

#include <inttypes.h>
#include <stdlib.h>
#include <utlist.h>

#include "common/base/clock.h"
#include "common/base/number.h"
#include "common/model/event.h"
#include "common/model/pattern.h"
#include "ingest/access/auth.h"
#include "ingest/access/token_reads.h"

enum { APPEAR_MS = 1000, ASK_AGAIN_MS = 1000, PATTERNS_MAX = 100, RETRY_AFTER_S = 1 };

struct http_readers {
    struct http_reader *all;
    struct http_reader *appearing; /* readers whose start the tail has not reached yet */
};

/* --- life */

static void http_reader_go(void *arg) {
    struct http_reader *p = arg;
    p->kind->go(p);
}

static void http_reader_on_wake(void *arg, int64_t cursor) {
    struct http_reader *p = arg;
    p->compacted |= feed_hole_above(p->ingest->service.feed, p->position);
    p->position = cursor - 1;
    p->kind->go(p);
}

static void http_reader_on_gone(void *arg) {
    struct http_reader *p = arg;
    p->kind->free(p);
}

static void http_reader_on_not_appeared(void *arg);

void http_reader_init(struct http_reader *p, const struct http_reader_kind *kind,
                      struct ingest *ingest, struct http_request *request) {
    *p = (struct http_reader){.kind = kind,
                              .ingest = ingest,
                              .request = request,
                              .cursor_name = kind->cursor_name,
                              .previous = -1,
                              .until = INT64_MAX,
                              .limit = INT64_MAX};
    p->at_end = (struct parked_reader){.wake = http_reader_on_wake, .arg = p};
    feed_reader_init(&p->log_reader, &p->subscription, http_reader_go, p);
    loop_timer_init(&p->turn, http_reader_go, p);
    loop_timer_init(&p->appear, http_reader_on_not_appeared, p);
    DL_APPEND(ingest->http_readers->all, p);
}

static void http_reader_stop_appearing(struct http_reader *p) {
    if (p->appear.slot == 0)
        return;
    DL_DELETE2(p->ingest->http_readers->appearing, p, appear_prev, appear_next);
    loop_timer_clear(p->ingest->service.loop, &p->appear);
}

void http_reader_fini(struct http_reader *p) {
    DL_DELETE(p->ingest->http_readers->all, p);
    http_reader_stop_appearing(p);
    loop_timer_clear(p->ingest->service.loop, &p->turn);
    feed_reader_fini(&p->log_reader);
    if (p->indexed)
        parked_readers_remove(p->ingest->parked_readers, &p->at_end);
    token_reads_end(p->ingest->token_reads, p->token_reads);
    subscription_fini(&p->subscription);
}

/* --- parameters */

int http_reader_whole_number(const char *text, const char *name, int64_t min, int64_t max,
                             int64_t *value, struct error *err) {
    int64_t n = number_parse(span_of(text));
    if (n < min || n > max)
        return error_set_field(err, name,
                               max == INT64_MAX ? "must be a whole number, %" PRId64 " or above"
                                                : "must be a whole number from %" PRId64
                                                  " to %" PRId64,
                               min, max);
    *value = n;
    return 0;
}

int http_reader_number(const struct http_request *request, const char *name, int64_t min,
                       int64_t max, int64_t *value, struct error *err) {
    const char *text = http_request_query(request, name);
    return text ? http_reader_whole_number(text, name, min, max, value, err) : 0;
}

int http_reader_range(struct http_reader *p, struct error *err) {
    if (http_reader_number(p->request, "since_cursor", 0, INT64_MAX, &p->position, err) ||
        http_reader_number(p->request, "until_cursor", 0, INT64_MAX, &p->until, err))
        return -1;
    return p->until < p->position
               ? error_set_field(err, "until_cursor", "must not be below since_cursor")
               : 0;
}

static int http_reader_add_pattern(struct http_reader *p, const char *pattern, struct error *err) {
    struct error reason;
    if (p->subscription.patterns_count == PATTERNS_MAX)
        return error_set_field(err, "topics", "at most %d patterns", PATTERNS_MAX);
    if (pattern_check(span_of(pattern), &reason))
        return error_set_field(err, "topics", "%s", reason.message);
    subscription_add(&p->subscription, pattern);
    return 0;
}

int http_reader_topics(struct http_reader *p, struct error *err) {
    const char *text = http_request_query(p->request, "topics");
    int result = 0;
    if (!text || !*text)
        return 0;
    char *copy = mem_copy_string(text, strlen(text)), *rest = copy;
    for (char *pattern; result == 0 && (pattern = strsep(&rest, ","));)
        result = http_reader_add_pattern(p, pattern, err);
    free(copy);
    return result;
}

int http_reader_filter(struct http_reader *p, struct error *err) {
    const char *text = http_request_query(p->request, "filter");
    return text ? subscription_set_filter(&p->subscription, span_of(text), err) : 0;
}

/* --- begin */

void http_reader_refuse(struct http_reader *p, const struct error *err) {
    http_problem(p->request, 400, err, NULL, 0);
}

void http_reader_unavailable(struct http_reader *p) {
    struct error err;
    if (p->newer)
        error_set(&err,
                  "a later version of ESS wrote the event at cursor %" PRId64
                  ": upgrade this ess-ingest to read it",
                  p->newer);
    else
        error_set(&err, "the log cannot be read at present; try again");
    http_problem(p->request, 503, &err, NULL, RETRY_AFTER_S);
}

/* The tail did not reach the requested position in time. */
static void http_reader_on_not_appeared(void *arg) {
    struct http_reader *p = arg;
    struct error err;
    int64_t end = ingest_end(p->ingest);
    DL_DELETE2(p->ingest->http_readers->appearing, p, appear_prev, appear_next);
    if (p->position > end && ingest_ready(p->ingest) && !p->admitted) {
        error_set_field(&err, p->cursor_name, "%" PRId64 " is beyond the end of the log, %" PRId64,
                        p->position, end);
        http_reader_refuse(p, &err);
        p->kind->free(p);
    } else {
        p->kind->abandon(p);
    }
}

/* Counts the read for the access token. False: over the limit, and answered. */
static bool http_reader_count_in(struct http_reader *p) {
    const struct principal *principal = authenticator_principal(p->request);
    int64_t max = p->ingest->service.settings.ingest.max_reads_per_token;
    struct error err;
    if (!principal || (p->token_reads = token_reads_begin(p->ingest->token_reads, principal)))
        return true;
    error_set(&err, "this access token already has %" PRId64 " reads under way, its limit", max);
    http_problem(p->request, 429, &err, NULL, RETRY_AFTER_S);
    return false;
}

/* Checks scopes, memory and the limit of reads. False: refused, and answered. */
static bool http_reader_admitted(struct http_reader *p) {
    struct error err;
    if (p->admitted || auth_read(p->ingest, p->request, &p->subscription, &err) == 0)
        return http_answer_has_room(p->request) && http_reader_count_in(p);
    authenticator_refuse(p->request, &err);
    return false;
}

void http_reader_begin(struct http_reader *p) {
    if (!http_reader_admitted(p)) {
        p->kind->free(p);
        return;
    }
    if (!ingest_ready(p->ingest)) {
        p->kind->abandon(p);
        return;
    }
    p->end = ingest_end(p->ingest);
    if (p->position < 0)
        p->position = p->end;
    if (p->position > p->end)
        p->end = p->position;
    if (p->previous < 0)
        p->previous = p->position;
    p->ask_ms = clock_ms() + ASK_AGAIN_MS;
    http_request_on_gone(p->request, http_reader_on_gone, p);
    if (feed_end(p->ingest->service.feed) >= p->end) {
        p->kind->go(p);
        return;
    }
    DL_APPEND2(p->ingest->http_readers->appearing, p, appear_prev, appear_next);
    loop_timer_set(p->ingest->service.loop, &p->appear, clock_ms() + APPEAR_MS);
}

/* --- reading */

bool http_reader_lapsed(struct http_reader *p) {
    if (clock_ms() < p->ask_ms)
        return false;
    p->ask_ms = clock_ms() + ASK_AGAIN_MS;
    if (authenticator_in_force(p->ingest->service.authenticator, p->request))
        return false;
    p->kind->lapse(p);
    return true;
}

/* An eighth of the free memory: each further slow reader gets less, but never nothing. */
size_t http_reader_piece_bytes(const struct http_reader *p, size_t max) {
    size_t room = http_answer_room(p->request) / 8;
    return room < max ? room : max;
}

enum http_reader_result http_reader_next(struct http_reader *p, struct feed_event *event) {
    struct feed_passed passed;
    enum feed_result result = feed_next(p->ingest->service.feed, &p->log_reader, p->position, event,
                                        &passed);
    p->compacted |= passed.compacted;
    p->position = passed.to < p->until ? passed.to : p->until;
    if (result == FEED_EVENT && event->cursor <= p->until)
        return HTTP_READER_EVENT;
    p->newer = result == FEED_NEWER && event->cursor <= p->until ? event->cursor : 0;
    if (p->newer)
        return HTTP_READER_NEWER;
    if (result == FEED_MORE && p->position < p->until) {
        http_reader_go_soon(p);
        return HTTP_READER_LATER;
    }
    return result == FEED_LATER && p->position < p->until ? HTTP_READER_LATER : HTTP_READER_END;
}

void http_reader_put(struct http_reader *p, const struct feed_event *event, struct buf *out) {
    event_splice(event->stored, event->topic.len, event->cursor, p->previous, p->compacted, out);
    p->position = p->previous = event->cursor;
    p->compacted = false;
    p->count++;
}

bool http_reader_has_more(const struct http_reader *p) {
    return p->position < p->until && p->position < feed_end(p->ingest->service.feed);
}

void http_reader_go_soon(struct http_reader *p) {
    loop_timer_set(p->ingest->service.loop, &p->turn, clock_ms());
}

void http_reader_park(struct http_reader *p) {
    if (!p->indexed)
        parked_readers_add(p->ingest->parked_readers, &p->at_end, &p->subscription);
    p->indexed = true;
    parked_readers_park(&p->at_end);
}

int64_t http_reader_reached(const struct http_reader *p) {
    return p->at_end.parked ? feed_end(p->ingest->service.feed) : p->position;
}

/* --- all readers of one ingest */

struct http_readers *http_readers_new(void) { return mem_zero(sizeof(struct http_readers)); }

void http_readers_free(struct http_readers *readers) { free(readers); }

size_t http_readers_count(const struct http_readers *readers) {
    size_t count = 0;
    for (const struct http_reader *p = readers->all; p; p = p->next)
        count++;
    return count;
}

void http_readers_end(struct http_readers *readers) {
    struct http_reader *p, *next;
    DL_FOREACH_SAFE(readers->all, p, next)
        p->kind->abandon(p);
}

void http_readers_advanced(struct ingest *ingest) {
    struct http_reader *p, *next;
    DL_FOREACH_SAFE2(ingest->http_readers->appearing, p, next, appear_next) {
        if (feed_end(ingest->service.feed) < p->end)
            continue;
        http_reader_stop_appearing(p);
        http_reader_go_soon(p);
    }
}
