/* One who reads the log by HTTP; see pull.h. It reads through the feed reader and never holds up
 * the loop. */
#include "ingest/read/pull.h"

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

struct pulls {
    struct pull *all;
    struct pull *appearing; /* those whose beginning the tail has not reached yet */
};

/* --- life */

static void pull_go(void *arg) {
    struct pull *p = arg;
    p->kind->go(p);
}

static void pull_on_wake(void *arg, int64_t cursor) {
    struct pull *p = arg;
    p->compacted |= feed_hole_above(p->ingest->feed, p->position);
    p->position = cursor - 1;
    p->kind->go(p);
}

static void pull_on_gone(void *arg) {
    struct pull *p = arg;
    p->kind->free(p);
}

static void pull_on_not_appeared(void *arg);

void pull_init(struct pull *p, const struct pull_kind *kind, struct ingest *ingest,
               struct http_request *request) {
    *p = (struct pull){.kind = kind,
                       .ingest = ingest,
                       .request = request,
                       .cursor_name = kind->cursor_name,
                       .until = INT64_MAX,
                       .limit = INT64_MAX};
    p->waiter = (struct waiter){.wake = pull_on_wake, .arg = p};
    feed_reader_init(&p->reader, &p->subscription, pull_go, p);
    loop_timer_init(&p->turn, pull_go, p);
    loop_timer_init(&p->appear, pull_on_not_appeared, p);
    DL_APPEND(ingest->pulls->all, p);
}

static void pull_stop_appearing(struct pull *p) {
    if (p->appear.slot == 0)
        return;
    DL_DELETE2(p->ingest->pulls->appearing, p, appear_prev, appear_next);
    loop_timer_clear(p->ingest->loop, &p->appear);
}

void pull_fini(struct pull *p) {
    DL_DELETE(p->ingest->pulls->all, p);
    pull_stop_appearing(p);
    loop_timer_clear(p->ingest->loop, &p->turn);
    feed_reader_fini(&p->reader);
    if (p->indexed)
        waiters_remove(p->ingest->waiters, &p->waiter, &p->subscription);
    token_reads_end(p->ingest->token_reads, p->token_reads);
    subscription_fini(&p->subscription);
}

/* --- parameters */

int pull_whole_number(const char *text, const char *name, int64_t min, int64_t max, int64_t *value,
                      struct error *err) {
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

int pull_number(const struct http_request *request, const char *name, int64_t min, int64_t max,
                int64_t *value, struct error *err) {
    const char *text = http_request_query(request, name);
    return text ? pull_whole_number(text, name, min, max, value, err) : 0;
}

int pull_range(struct pull *p, struct error *err) {
    if (pull_number(p->request, "since_cursor", 0, INT64_MAX, &p->position, err) ||
        pull_number(p->request, "until_cursor", 0, INT64_MAX, &p->until, err))
        return -1;
    return p->until < p->position
               ? error_set_field(err, "until_cursor", "must not be below since_cursor")
               : 0;
}

static int pull_add_pattern(struct pull *p, const char *pattern, struct error *err) {
    struct error reason;
    if (p->subscription.patterns_count == PATTERNS_MAX)
        return error_set_field(err, "topics", "at most %d patterns", PATTERNS_MAX);
    if (pattern_check(span_of(pattern), &reason))
        return error_set_field(err, "topics", "%s", reason.message);
    subscription_add(&p->subscription, pattern);
    return 0;
}

int pull_topics(struct pull *p, struct error *err) {
    const char *text = http_request_query(p->request, "topics");
    int result = 0;
    if (!text || !*text)
        return 0;
    char *copy = mem_copy_string(text, strlen(text)), *rest = copy;
    for (char *pattern; result == 0 && (pattern = strsep(&rest, ","));)
        result = pull_add_pattern(p, pattern, err);
    free(copy);
    return result;
}

/* --- the beginning */

void pull_refuse(struct pull *p, const struct error *err) {
    http_problem(p->request, 400, err, NULL, 0);
}

void pull_unavailable(struct pull *p) {
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

/* The tail did not come as far as was asked for. */
static void pull_on_not_appeared(void *arg) {
    struct pull *p = arg;
    struct error err;
    int64_t end = ingest_end(p->ingest);
    DL_DELETE2(p->ingest->pulls->appearing, p, appear_prev, appear_next);
    if (p->position > end && ingest_ready(p->ingest)) {
        error_set_field(&err, p->cursor_name, "%" PRId64 " is beyond the end of the log, %" PRId64,
                        p->position, end);
        pull_refuse(p, &err);
        p->kind->free(p);
    } else {
        p->kind->abandon(p);
    }
}

/* Whether its token may begin another read. False: answered. */
static bool pull_count_in(struct pull *p) {
    const struct principal *principal = authenticator_principal(p->request);
    int64_t max = p->ingest->settings.ingest.max_reads_per_token;
    struct error err;
    if (!principal || (p->token_reads = token_reads_begin(p->ingest->token_reads, principal)))
        return true;
    error_set(&err, "this access token has %" PRId64 " reads under way, and may have no more", max);
    http_problem(p->request, 429, &err, NULL, RETRY_AFTER_S);
    return false;
}

/* What it wants is allowed, and may be begun now. False: answered. */
static bool pull_admitted(struct pull *p) {
    struct error err;
    if (auth_read(p->ingest, p->request, &p->subscription, &err) == 0)
        return http_answer_has_room(p->request) && pull_count_in(p);
    authenticator_refuse(p->request, &err);
    return false;
}

void pull_begin(struct pull *p) {
    if (!pull_admitted(p)) {
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
    p->previous = p->position;
    p->ask_ms = clock_ms() + ASK_AGAIN_MS;
    http_request_on_gone(p->request, pull_on_gone, p);
    if (feed_end(p->ingest->feed) >= p->end) {
        p->kind->go(p);
        return;
    }
    DL_APPEND2(p->ingest->pulls->appearing, p, appear_prev, appear_next);
    loop_timer_set(p->ingest->loop, &p->appear, clock_ms() + APPEAR_MS);
}

/* --- reading */

bool pull_lapsed(struct pull *p) {
    if (clock_ms() < p->ask_ms)
        return false;
    p->ask_ms = clock_ms() + ASK_AGAIN_MS;
    if (authenticator_in_force(p->ingest->authenticator, p->request))
        return false;
    p->kind->lapse(p);
    return true;
}

/* An eighth of what is free: slow readers one after the other leave ever less, and never nothing.
 */
size_t pull_piece_bytes(const struct pull *p, size_t max) {
    size_t room = http_answer_room(p->request) / 8;
    return room < max ? room : max;
}

enum pull_result pull_next(struct pull *p, struct feed_event *event) {
    struct feed_passed passed;
    enum feed_result result = feed_next(p->ingest->feed, &p->reader, p->position, event, &passed);
    p->compacted |= passed.compacted;
    p->position = passed.to < p->until ? passed.to : p->until;
    if (result == FEED_EVENT && event->cursor <= p->until)
        return PULL_EVENT;
    p->newer = result == FEED_NEWER && event->cursor <= p->until ? event->cursor : 0;
    if (p->newer)
        return PULL_NEWER;
    return result == FEED_LATER && p->position < p->until ? PULL_LATER : PULL_END;
}

void pull_put(struct pull *p, const struct feed_event *event, struct buf *out) {
    event_splice(event->stored, event->topic.len, event->cursor, p->previous, p->compacted, out);
    p->position = p->previous = event->cursor;
    p->compacted = false;
    p->count++;
}

bool pull_has_more(const struct pull *p) {
    return p->position < p->until && p->position < feed_end(p->ingest->feed);
}

void pull_go_soon(struct pull *p) { loop_timer_set(p->ingest->loop, &p->turn, clock_ms()); }

void pull_wait(struct pull *p) {
    if (!p->indexed)
        waiters_add(p->ingest->waiters, &p->waiter, &p->subscription);
    p->indexed = true;
    waiters_wait(&p->waiter);
}

int64_t pull_reached(const struct pull *p) {
    return p->waiter.waiting ? feed_end(p->ingest->feed) : p->position;
}

/* --- all of them */

struct pulls *pulls_new(void) { return mem_zero(sizeof(struct pulls)); }

void pulls_free(struct pulls *pulls) { free(pulls); }

size_t pulls_count(const struct pulls *pulls) {
    size_t count = 0;
    for (const struct pull *p = pulls->all; p; p = p->next)
        count++;
    return count;
}

void pulls_end(struct pulls *pulls) {
    struct pull *p, *next;
    DL_FOREACH_SAFE(pulls->all, p, next)
        p->kind->abandon(p);
}

void pulls_advanced(struct ingest *ingest) {
    struct pull *p, *next;
    DL_FOREACH_SAFE2(ingest->pulls->appearing, p, next, appear_next) {
        if (feed_end(ingest->feed) < p->end)
            continue;
        pull_stop_appearing(p);
        pull_go_soon(p);
    }
}
