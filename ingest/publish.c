/* POST /ess/publish; see publish.h. 2xx means: in Kafka, on every in-sync replica. */
#include "ingest/publish.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/random.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/feed/record.h"
#include "common/model/event.h"
#include "ingest/auth.h"
#include "ingest/ingest.h"

enum { ANSWER_WITHIN_MS = 2000, RETRY_AFTER_S = 1 };

/* One event on its way to Kafka. It outlives its request when the answer had to be given before the report. */
struct publish {
    struct append append;
    struct ingest *ingest;
    struct http_request *request; /* NULL: answered, or gone */
    struct loop_timer deadline;
    int64_t began_us;
    char id[EVENT_ID_BYTES_MAX + 1];
};

static void add_id(struct buf *out, const char *id) {
    buf_puts(out, "\"id\":");
    buf_json_string(out, id, strlen(id));
}

static void answer_unavailable(struct ingest *ingest, struct http_request *request, const char *id, const char *reason) {
    struct error err;
    struct buf extra = {0};
    error_set(&err, "%s; send it again with its id, it will not be doubled within the dedupe window", reason);
    buf_puts(&extra, ",");
    add_id(&extra, id);
    ingest->published[PUBLISH_UNAVAILABLE]++;
    http_problem(request, 503, &err, buf_string(&extra), RETRY_AFTER_S);
    buf_fini(&extra);
}

static void answer_created(struct publish *p, int64_t cursor) {
    struct buf body = {0};
    buf_printf(&body, "{\"cursor\":%" PRId64 ",", cursor);
    add_id(&body, p->id);
    buf_puts(&body, "}\n");
    p->ingest->published[PUBLISH_CREATED]++;
    histogram_observe_us(&p->ingest->publish_seconds, clock_us() - p->began_us);
    http_answer(p->request, 201, "application/json", &body);
    buf_fini(&body);
}

static void on_gone(void *arg) {
    struct publish *p = arg;
    p->request = NULL;
    loop_timer_clear(p->ingest->loop, &p->deadline);
}

static void on_deadline(void *arg) {
    struct publish *p = arg;
    struct http_request *request = p->request;
    p->request = NULL;
    answer_unavailable(p->ingest, request, p->id, "Kafka did not confirm the event in time");
}

static void on_reported(struct append *append, const struct producer_report *report) {
    struct publish *p = (struct publish *)append;
    struct ingest *ingest = p->ingest;
    loop_timer_clear(ingest->loop, &p->deadline);
    if (report->fate == PRODUCER_WRITTEN && report->offset <= ingest->acknowledged)
        ingest_start_over(ingest, "a delivery report was not above the last one");
    else if (report->fate == PRODUCER_WRITTEN)
        ingest->acknowledged = report->offset;
    if (p->request && report->fate == PRODUCER_WRITTEN)
        answer_created(p, report->offset);
    else if (p->request)
        answer_unavailable(ingest, p->request, p->id, report->reason);
    free(p);
}

/* A publisher's W3C trace context goes along when it can stand in a header. */
static const char *traceparent_of(const struct http_request *request) {
    const char *value = http_request_header(request, "traceparent");
    size_t len = value ? strlen(value) : 0;
    if (len == 0 || len > EVENT_TRACEPARENT_BYTES_MAX)
        return NULL;
    for (size_t i = 0; i < len; i++)
        if (value[i] < 0x21 || value[i] > 0x7e)
            return NULL;
    return value;
}

static void append_event(struct ingest *ingest, struct http_request *request, const struct event *event) {
    struct error err;
    struct record_draft draft;
    struct publish *p = mem_zero(sizeof *p);
    *p = (struct publish){.append.reported = on_reported, .ingest = ingest, .request = request, .began_us = clock_us()};
    memcpy(p->id, event->id, sizeof p->id);
    record_draft_init(&draft, event, ingest->genesis.feed, traceparent_of(request));
    const struct producer_record record = record_draft_record(&draft, ingest->events_topic);
    int result = producer_send(ingest->producer, &record, &p->append, &err);
    record_draft_fini(&draft);
    if (result) {
        free(p);
        answer_unavailable(ingest, request, event->id, err.message);
        return;
    }
    loop_timer_init(&p->deadline, on_deadline, p);
    loop_timer_set(ingest->loop, &p->deadline, clock_ms() + ANSWER_WITHIN_MS);
    http_request_on_gone(request, on_gone, p);
}

static void make_id_and_ts(char id[37], char ts[CLOCK_TEXT_BYTES]) {
    unsigned char random[10];
    int64_t now = clock_wall_ms();
    if (getrandom(random, sizeof random, 0) != sizeof random)
        abort();
    uuid_v7(now, random, id);
    clock_format(now, ts);
}

void publish_handle(void *arg, struct http_request *request) {
    static const char *const no_parameters[] = {NULL};
    struct ingest *ingest = arg;
    struct event event;
    struct error err;
    bool too_large = false;
    char id[37], ts[CLOCK_TEXT_BYTES];
    make_id_and_ts(id, ts);
    if (http_request_query_check(request, no_parameters, &err) ||
        event_parse(&event, http_request_body(request), (size_t)ingest->settings.ingest.max_event, id, ts, &too_large, &err)) {
        ingest->published[PUBLISH_REFUSED]++;
        http_problem(request, too_large ? 413 : 400, &err, NULL, 0);
    } else if (auth_publish(ingest, request, span_of(event.topic), &err)) {
        ingest->published[PUBLISH_REFUSED]++;
        bearer_refuse(request, &err);
    } else if (!ingest_ready(ingest)) {
        answer_unavailable(ingest, request, event.id, "Kafka is away, or its log is not read yet");
    } else {
        append_event(ingest, request, &event);
    }
}
