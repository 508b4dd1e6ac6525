/* Moves lanes; see delivery.h. Every way by which a lane may go on leads to delivery_step. */
#include "dispatcher/delivery.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "common/base/clock.h"
#include "common/model/signature.h"
#include "dispatcher/dead_letter.h"
#include "dispatcher/dispatcher.h"
#include "dispatcher/partitions.h"
#include "dispatcher/progress.h"
#include "dispatcher/retry.h"
#include "dispatcher/subscriber.h"
#include "dispatcher/webhook.h"

enum { FAILURE_LOG_PERIOD_MS = 10000 };

static void leave_queue(struct subscriber *s) {
    if (s->in_capacity_queue)
        DL_DELETE(s->dispatcher->capacity_queue, s);
    s->in_capacity_queue = false;
}

/* The oldest of those that wait for a free connection has its turn. */
static void serve_queue(struct dispatcher *d) {
    while (d->capacity_queue && d->in_flight < d->settings.dispatcher.max_connections) {
        struct subscriber *s = d->capacity_queue;
        leave_queue(s);
        delivery_step(s);
    }
}

static struct curl_slist *add_header(struct curl_slist *list, const char *name, const char *value) {
    struct buf line = {0};
    buf_printf(&line, "%s: %s", name, value);
    list = curl_slist_append(list, buf_string(&line));
    if (!list)
        abort();
    buf_fini(&line);
    return list;
}

static struct curl_slist *add_number(struct curl_slist *list, const char *name, int64_t value) {
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, value);
    return add_header(list, name, text);
}

static struct curl_slist *sign(struct subscriber *s, struct curl_slist *list, struct span body) {
    char hex[SIGNATURE_HEX_BYTES], webhook[SIGNATURE_WEBHOOK_BYTES];
    int64_t now_s = clock_wall_ms() / 1000;
    signer_hex(s->signer, body, hex);
    signer_webhook(s->signer, span_of(s->event_id), now_s, body, webhook);
    list = add_header(list, "X-ESS-Signature", hex);
    list = add_header(list, "webhook-id", s->event_id);
    list = add_number(list, "webhook-timestamp", now_s);
    return add_header(list, "webhook-signature", webhook);
}

static struct curl_slist *make_headers(struct subscriber *s, const struct feed_event *event, int64_t attempt, struct span body) {
    char topic[128], trace[EVENT_TRACEPARENT_BYTES_MAX + 1];
    struct curl_slist *list = curl_slist_append(NULL, "Content-Type: application/json");
    list = curl_slist_append(list, "Expect:"); /* no extra round trip for large bodies */
    snprintf(topic, sizeof topic, "%.*s", (int)event->topic.len, event->topic.data);
    list = add_header(list, "X-ESS-Subscriber", s->id);
    list = add_header(list, "X-ESS-Topic", topic);
    list = add_number(list, "X-ESS-Cursor", event->cursor);
    list = add_number(list, "X-ESS-Attempt", attempt);
    list = sign(s, list, body);
    if (event->traceparent.len) {
        snprintf(trace, sizeof trace, "%.*s", (int)event->traceparent.len, event->traceparent.data);
        list = add_header(list, "traceparent", trace);
    }
    for (size_t i = 0; i < s->record.spec.headers_count; i++)
        list = add_header(list, s->record.spec.headers[i].name, s->record.spec.headers[i].value);
    return list;
}

static void log_failure(struct subscriber *s, const struct webhook_result *result, int64_t cursor, int64_t attempt) {
    int64_t held_back, now = clock_ms(), wait = lane_due_ms(&s->lane) == INT64_MAX ? 0 : lane_due_ms(&s->lane) - now;
    if (!log_limit_pass(&s->failures, now, FAILURE_LOG_PERIOD_MS, &held_back))
        return;
    log_warn("delivery_failed", LOG_S("subscriber", s->id), LOG_N("cursor", cursor), LOG_N("attempt", attempt),
             LOG_N("status", result->status), LOG_S("error", result->error), LOG_N("retry_in_ms", wait), LOG_N("held_back", held_back));
}

static void count(struct subscriber *s, const struct webhook_result *result) {
    static const enum delivery_outcome outcomes[] = {
        [RETRY_SETTLED] = DELIVERY_SETTLED, [RETRY_LATER] = DELIVERY_FAILED, [RETRY_REFUSED] = DELIVERY_REFUSED, [RETRY_GONE] = DELIVERY_GONE};
    struct dispatcher *d = s->dispatcher;
    enum delivery_outcome outcome = outcomes[retry_judge(result->status)];
    d->deliveries[outcome]++;
    histogram_observe_us(&d->delivery_seconds, result->duration_ms * 1000);
    if (outcome == DELIVERY_SETTLED)
        histogram_observe_us(&d->end_to_end_seconds, (clock_wall_ms() - s->event_appended_ms) * 1000);
}

static void on_done(void *arg, const struct webhook_result *result) {
    struct subscriber *s = arg;
    struct dispatcher *d = s->dispatcher;
    int64_t cursor = s->lane.current, attempt = s->lane.attempts; /* the lane forgets them when it is done with the event */
    const struct lane_outcome outcome = {.status = result->status,
                                         .error = result->error,
                                         .retry_after_ms = result->retry_after_ms,
                                         .duration_ms = result->duration_ms,
                                         .excerpt = result->excerpt};
    s->webhook = NULL;
    d->in_flight--;
    count(s, result);
    lane_finish(&s->lane, &outcome, clock_ms(), clock_wall_ms(), dispatcher_random(d));
    if (retry_judge(result->status) != RETRY_SETTLED)
        log_failure(s, result, cursor, attempt);
    if (s->lane.state == LANE_DISABLED)
        log_warn("subscriber_disabled", LOG_S("subscriber", s->id), LOG_S("reason", s->lane.reason));
    if (s->lane.state == LANE_BURYING)
        dead_letter_write(s, result);
    progress_made(s);
    delivery_step(s);
    serve_queue(d);
}

/* `compacted`: right before it, above the lane's position, records are missing. What a first attempt said of it stays said. */
static void send_event(struct subscriber *s, const struct feed_event *event, bool compacted) {
    struct dispatcher *d = s->dispatcher;
    struct buf body = {0};
    int64_t previous = s->lane.last;
    snprintf(s->event_id, sizeof s->event_id, "%.*s", (int)event->id.len, event->id.data);
    s->event_appended_ms = event->appended_ms;
    if (event->cursor != s->lane.current)
        s->event_compacted = s->lane.compacted || compacted;
    int64_t attempt = lane_start(&s->lane, event->cursor, token_id_hash(event->id));
    event_splice(event->stored, event->topic.len, event->cursor, previous, s->event_compacted, &body);
    const struct spec *spec = &s->record.spec;
    const struct webhook_request request = {
        .url = spec->url,
        .headers = make_headers(s, event, attempt, (struct span){body.data, body.len}),
        .body = &body,
        .timeout_ms = spec->timeout_ms >= 0 ? spec->timeout_ms : d->settings.delivery.timeout_ms,
        .done = on_done,
        .arg = s,
    };
    d->in_flight++;
    s->webhook = webhook_send(d->webhooks, &request);
}

/* The lane may start an attempt now: with which event? */
static void advance(struct subscriber *s) {
    struct feed_event event;
    struct feed_passed passed;
    switch (feed_next(s->dispatcher->feed, &s->reader, s->lane.position, &event, &passed)) {
    case FEED_EVENT:
        send_event(s, &event, passed.compacted);
        break;
    case FEED_END:
        s->lane.compacted |= passed.compacted;
        lane_wait(&s->lane, passed.to);
        progress_made(s);
        break;
    case FEED_LATER:
        s->lane.compacted |= passed.compacted;
        if (passed.to > s->lane.position)
            lane_pass(&s->lane, passed.to);
        break;
    }
}

void delivery_step(struct subscriber *s) {
    struct dispatcher *d = s->dispatcher;
    int64_t due = lane_due_ms(&s->lane), now = clock_ms();
    if (!s->running || due == INT64_MAX || !partitions_may_start(d->partitions, s->partition))
        return;
    if (due > now) {
        if (s->lane.state == LANE_READY && s->due.slot == 0)
            d->throttle_wait_ms += due - now;
        loop_timer_set(d->loop, &s->due, due);
    } else if (d->in_flight < d->settings.dispatcher.max_connections) {
        advance(s);
    } else if (!s->in_capacity_queue) {
        DL_APPEND(d->capacity_queue, s);
        s->in_capacity_queue = true;
    }
}

static void wake(void *arg, struct match_member *member) {
    const struct feed_event *event = arg;
    struct subscriber *s = (struct subscriber *)(void *)((char *)member - offsetof(struct subscriber, member));
    if (s->lane.state != LANE_WAITING)
        return; /* it is behind, and will come to it */
    s->lane.compacted |= feed_hole_above(s->dispatcher->feed, s->lane.position);
    lane_wake(&s->lane, event->cursor - 1);
    delivery_step(s);
}

void delivery_appended(struct dispatcher *d, const struct feed_event *event) {
    struct feed_event copy = *event;
    match_each(d->match, event->topic, wake, &copy);
}

void delivery_cancel(struct subscriber *s) {
    leave_queue(s);
    loop_timer_clear(s->dispatcher->loop, &s->due);
    if (!s->webhook)
        return;
    webhook_cancel(s->webhook);
    s->webhook = NULL;
    s->dispatcher->in_flight--;
    lane_abort(&s->lane, clock_ms());
}
