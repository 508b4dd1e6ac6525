/* GET /ess/replay; see replay.h. A replay reads through the feed reader and never holds up the loop: after a piece of its
 * answer it lets others have their turn. */
#include "ingest/replay.h"

#include <inttypes.h>
#include <stdlib.h>
#include <utlist.h>

#include "common/base/clock.h"
#include "common/model/pattern.h"
#include "ingest/ingest.h"

enum { ANSWER_BYTES_MAX = 8 * 1024 * 1024, PIECE_BYTES = 256 * 1024, LIMIT_MAX = 10000, LIMIT_DEFAULT = 500, APPEAR_MS = 1000, PATTERNS_MAX = 100 };

struct replay {
    struct ingest *ingest;
    struct http_request *request;
    struct feed_reader reader;
    char *topics;      /* its text, split in place */
    struct span patterns[PATTERNS_MAX];
    size_t patterns_count; /* 0: everything */
    int64_t position, previous, until, limit, count;
    int64_t end;           /* as of the request: the tail must have come this far */
    struct buf body;
    bool compacted;        /* between previous and position */
    struct loop_timer turn;     /* the next piece of the answer */
    struct loop_timer deadline; /* set while the tail has not come as far as `end` */
    struct replay *prev, *next; /* of all that are being answered */
};

static struct replay *replays;

static void replay_free(struct replay *r) {
    DL_DELETE(replays, r);
    feed_reader_fini(&r->reader);
    loop_timer_clear(r->ingest->loop, &r->turn);
    loop_timer_clear(r->ingest->loop, &r->deadline);
    buf_fini(&r->body);
    free(r->topics);
    free(r);
}

static bool wants(void *arg, struct span topic) {
    struct replay *r = arg;
    for (size_t i = 0; i < r->patterns_count; i++)
        if (pattern_matches(r->patterns[i], topic))
            return true;
    return r->patterns_count == 0;
}

static void answer(struct replay *r, bool more) {
    buf_printf(&r->body, "],\"cursor\":%" PRId64 ",\"more\":%s}\n", r->position, more ? "true" : "false");
    http_answer(r->request, 200, "application/json", &r->body);
    replay_free(r);
}

static void refuse(struct replay *r, const char *field, const char *reason) {
    struct error err;
    error_set_field(&err, field, "%s", reason);
    http_problem(r->request, 400, &err, NULL, 0);
    replay_free(r);
}

static void unavailable(struct replay *r) {
    struct error err;
    error_set(&err, "the log cannot be read at present");
    http_problem(r->request, 503, &err, NULL, 1);
    replay_free(r);
}

/* Adds an event; false when the answer would grow too large by it. */
static bool add(struct replay *r, const struct feed_event *event) {
    if (r->count && r->body.len + event->stored.len > ANSWER_BYTES_MAX - 256)
        return false;
    buf_append(&r->body, ",", r->count != 0);
    event_splice(event->stored, event->topic.len, event->cursor, r->previous, r->compacted, &r->body);
    r->compacted = false;
    r->position = r->previous = event->cursor;
    r->count++;
    return true;
}

/* Reads on until the answer is whole, or something must be waited for. */
static void step(void *arg) {
    struct replay *r = arg;
    struct feed_event event;
    struct feed_passed passed;
    size_t began = r->body.len;
    while (r->body.len - began < PIECE_BYTES) {
        enum feed_result result = feed_next(r->ingest->feed, &r->reader, r->position, &event, &passed);
        r->compacted |= passed.compacted;
        r->position = passed.to < r->until ? passed.to : r->until;
        if (result == FEED_EVENT && event.cursor <= r->until) {
            if (!add(r, &event) || r->count == r->limit) {
                answer(r, r->position < r->end && r->position < r->until);
                return;
            }
        } else if (result == FEED_EVENT || r->position == r->until || result == FEED_END) {
            answer(r, false);
            return;
        } else if (result == FEED_LATER) {
            return;
        }
    }
    loop_timer_set(r->ingest->loop, &r->turn, clock_ms());
}

void replay_wake(struct ingest *ingest) {
    struct replay *r, *next;
    DL_FOREACH_SAFE(replays, r, next) {
        if (r->deadline.slot == 0 || feed_end(ingest->feed) < r->end)
            continue;
        loop_timer_clear(ingest->loop, &r->deadline);
        loop_timer_set(ingest->loop, &r->turn, clock_ms());
    }
}

void replay_end_all(void) {
    struct replay *r, *next;
    DL_FOREACH_SAFE(replays, r, next)
        unavailable(r);
}

/* The tail did not come as far as was asked for. */
static void on_tail_deadline(void *arg) {
    struct replay *r = arg;
    char reason[96];
    if (r->position > ingest_end(r->ingest)) {
        snprintf(reason, sizeof reason, "%" PRId64 " is beyond the end of the log, %" PRId64, r->position, ingest_end(r->ingest));
        refuse(r, "since_cursor", reason);
    } else {
        unavailable(r);
    }
}

static void on_gone(void *arg) { replay_free(arg); }

/* A whole number within min..max; absent: otherwise. */
static int number_parameter(const struct http_request *request, const char *name, int64_t min, int64_t max, int64_t *value, struct error *err) {
    const char *text = http_request_query(request, name);
    char *end;
    if (!text)
        return 0;
    size_t digits = strspn(text, "0123456789");
    long long n = digits && digits <= 18 && !text[digits] ? strtoll(text, &end, 10) : -1;
    if (n < min || n > max)
        return error_set_field(err, name, "must be a whole number from %" PRId64 " to %" PRId64, min, max);
    *value = n;
    return 0;
}

static int topics_parameter(struct replay *r, struct error *err) {
    const char *text = http_request_query(r->request, "topics");
    char *rest = NULL;
    if (!text || !*text)
        return 0;
    r->topics = mem_copy_string(text, strlen(text));
    for (char *pattern = strtok_r(r->topics, ",", &rest); pattern; pattern = strtok_r(NULL, ",", &rest)) {
        struct error reason;
        if (r->patterns_count == PATTERNS_MAX)
            return error_set_field(err, "topics", "at most %d patterns", PATTERNS_MAX);
        if (pattern_check(span_of(pattern), &reason))
            return error_set_field(err, "topics", "%s", reason.message);
        r->patterns[r->patterns_count++] = span_of(pattern);
    }
    return r->patterns_count ? 0 : error_set_field(err, "topics", "must name a topic or pattern");
}

static int parse(struct replay *r, struct error *err) {
    static const char *const known[] = {"since_cursor", "until_cursor", "topics", "limit", NULL};
    r->limit = LIMIT_DEFAULT;
    r->until = INT64_MAX;
    if (http_request_query_check(r->request, known, err) || number_parameter(r->request, "since_cursor", 0, INT64_MAX, &r->position, err) ||
        number_parameter(r->request, "until_cursor", 0, INT64_MAX, &r->until, err) ||
        number_parameter(r->request, "limit", 1, LIMIT_MAX, &r->limit, err) || topics_parameter(r, err))
        return -1;
    if (r->until < r->position)
        return error_set_field(err, "until_cursor", "must not be below since_cursor");
    r->previous = r->position;
    return 0;
}

void replay_handle(void *arg, struct http_request *request) {
    struct ingest *ingest = arg;
    struct error err;
    struct replay *r = mem_zero(sizeof *r);
    *r = (struct replay){.ingest = ingest, .request = request};
    DL_APPEND(replays, r);
    loop_timer_init(&r->turn, step, r);
    loop_timer_init(&r->deadline, on_tail_deadline, r);
    feed_reader_init(&r->reader, wants, step, r);
    if (parse(r, &err)) {
        http_problem(request, 400, &err, NULL, 0);
        replay_free(r);
    } else if (!ingest_ready(ingest)) {
        unavailable(r);
    } else {
        buf_puts(&r->body, "{\"events\":[");
        http_request_on_gone(request, on_gone, r);
        r->end = ingest_end(ingest) > r->position ? ingest_end(ingest) : r->position;
        if (feed_end(ingest->feed) < r->end)
            loop_timer_set(ingest->loop, &r->deadline, clock_ms() + APPEAR_MS);
        else
            step(r);
    }
}
