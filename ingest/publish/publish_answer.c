/* Answers to publishers; see publish_internal.h. */

#include "common/base/clock.h"
#include "common/http/authenticator.h"
#include "common/json/writer.h"
#include "ingest/publish/publish_internal.h"

enum { RETRY_AFTER_S = 1 };

static void publish_answer_count(const struct publish *p, enum publish_outcome outcome,
                                 size_t events) {
    p->publisher->published[outcome] += events;
}

static void publish_answer_add_result(struct buf *out, const struct publish *p,
                                      const struct publish_result *r) {
    int64_t cursor = r->first < 0 ? r->cursor : p->results[r->first].cursor;
    json_put_object(out);
    json_member_number(out, "cursor", cursor);
    json_member_string(out, "id", r->id);
    if (r->duplicate)
        json_member_bool(out, "duplicate", true);
    json_end_object(out);
    publish_answer_count(p, r->duplicate ? PUBLISH_DUPLICATE : PUBLISH_CREATED, 1);
}

void publish_answer_written(const struct publish *p) {
    struct buf body = {0};
    if (p->many) {
        json_put_object(&body);
        json_member_list(&body, "results");
    }
    for (size_t i = 0; i < p->count; i++)
        publish_answer_add_result(&body, p, &p->results[i]);
    if (p->many) {
        json_end_list(&body);
        json_end_object(&body);
    }
    buf_puts(&body, "\n");
    histogram_observe_us(&p->publisher->publish_seconds, clock_us() - p->began_us);
    http_answer(p->request, p->many || !p->results[0].duplicate ? 201 : 200, "application/json",
                &body);
    buf_fini(&body);
}

void publish_answer_refused(const struct publish *p, unsigned status, const struct error *err,
                            bool at_event, size_t index) {
    struct buf extra = {0};
    if (at_event)
        json_member_number(&extra, "index", (int64_t)index);
    publish_answer_count(p, PUBLISH_REFUSED, 1);
    if (status == 403)
        authenticator_refuse_with(p->request, err, buf_string(&extra));
    else
        http_problem(p->request, status, err, buf_string(&extra), 0);
    buf_fini(&extra);
}

/* Whether the answer may name the first event's cursor. The first event's topic is unknown here,
 * except from an id made of the topic. */
static bool publish_answer_first_may_be_told(const struct publish *p, const char *id) {
    const struct ingest *ingest = p->publisher->ingest;
    char topic[TOPIC_BYTES_MAX + 1];
    if (authenticator_allows(ingest->service.authenticator, p->request, SCOPE_READ, span_of("*")))
        return true;
    return event_id_topic(id, topic) &&
           (authenticator_allows(ingest->service.authenticator, p->request, SCOPE_READ,
                                 span_of(topic)) ||
            authenticator_allows(ingest->service.authenticator, p->request, SCOPE_PUBLISH,
                                 span_of(topic)));
}

void publish_answer_conflict(const struct publish *p, size_t index, int64_t cursor) {
    struct buf extra = {0};
    struct error err;
    error_set_field(&err, "id", "%s",
                    cursor < 0 ? "is already in this batch with other content"
                               : "was published with other content");
    if (p->many)
        json_member_number(&extra, "index", (int64_t)index);
    json_member_string(&extra, "id", p->results[index].id);
    if (cursor >= 0 && publish_answer_first_may_be_told(p, p->results[index].id))
        json_member_number(&extra, "cursor", cursor);
    publish_answer_count(p, PUBLISH_CONFLICT, 1);
    http_problem(p->request, 409, &err, buf_string(&extra), 0);
    buf_fini(&extra);
}

void publish_answer_unavailable(const struct publish *p, const char *reason) {
    struct buf extra = {0};
    struct error err;
    error_set(&err,
              "%s; send the request again with %s: no event is doubled within the dedupe window",
              reason, p->many ? "these ids" : "this id");
    if (p->many)
        json_member_list(&extra, "ids");
    else
        json_member(&extra, "id");
    for (size_t i = 0; i < p->count; i++)
        json_put_string(&extra, p->results[i].id);
    if (p->many)
        json_end_list(&extra);
    publish_answer_count(p, PUBLISH_UNAVAILABLE, p->count);
    http_problem(p->request, 503, &err, buf_string(&extra), RETRY_AFTER_S);
    buf_fini(&extra);
}
