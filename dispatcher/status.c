/* Health and metrics of ess-dispatcher; see status.h. */
#include "dispatcher/status.h"

#include "common/base/clock.h"
#include "dispatcher/dispatcher.h"
#include "dispatcher/subscriber.h"
#include "dispatcher/subscribers.h"

void status_healthz(void *arg, struct http_request *request) {
    struct buf body = {0};
    (void)arg;
    buf_puts(&body, "{\"status\":\"ok\"}\n");
    http_answer(request, 200, "application/json", &body);
    buf_fini(&body);
}

void status_readyz(void *arg, struct http_request *request) {
    struct dispatcher *d = arg;
    struct buf body = {0};
    struct error err;
    if (dispatcher_ready(d)) {
        buf_puts(&body, "{\"status\":\"ready\"}\n");
        http_answer(request, 200, "application/json", &body);
    } else {
        error_set(&err, "%s", d->kafka_up ? "the subscribers are being read" : "no Kafka broker answers");
        http_problem(request, 503, &err, NULL, 1);
    }
    buf_fini(&body);
}

static void counters(const struct dispatcher *d, struct buf *out) {
    static const char *const outcomes[DELIVERY_OUTCOMES] = {"outcome=\"settled\"", "outcome=\"failed\"", "outcome=\"refused\"", "outcome=\"gone\""};
    static const char *const reasons[DEAD_LETTER_REASONS] = {"reason=\"attempts\"", "reason=\"refused\""};
    metrics_family(out, "ess_deliveries_total", "counter", "Attempts by outcome.");
    for (int i = 0; i < DELIVERY_OUTCOMES; i++)
        metrics_value(out, "ess_deliveries_total", outcomes[i], (double)d->deliveries[i]);
    metrics_family(out, "ess_dead_letters_total", "counter", "Events given up, by reason.");
    for (int i = 0; i < DEAD_LETTER_REASONS; i++)
        metrics_value(out, "ess_dead_letters_total", reasons[i], (double)d->dead_letters[i]);
    metrics_family(out, "ess_delivery_seconds", "histogram", "Duration of attempts.");
    metrics_histogram(out, "ess_delivery_seconds", "", &d->delivery_seconds);
    metrics_family(out, "ess_end_to_end_seconds", "histogram", "From an event's append to its 2xx.");
    metrics_histogram(out, "ess_end_to_end_seconds", "", &d->end_to_end_seconds);
    metrics_family(out, "ess_throttle_wait_seconds_total", "counter", "Time for which events waited for their throttle.");
    metrics_value(out, "ess_throttle_wait_seconds_total", "", (double)d->throttle_wait_ms / 1000);
    metrics_family(out, "ess_in_flight", "gauge", "Attempts under way.");
    metrics_value(out, "ess_in_flight", "", (double)d->capacity.in_flight);
}

static int64_t lag_of(const struct dispatcher *d, const struct subscriber *s) {
    return lane_idle(&s->live.lane) ? 0 : feed_end(d->feed) - s->live.lane.position;
}

static void subscribers(const struct dispatcher *d, struct buf *out) {
    struct buf labels = {0};
    metrics_family(out, "ess_subscriber_lag_events", "gauge", "Cursors between a subscriber's settled position and the end.");
    for (struct subscriber *s = subscribers_first(d->subscribers); s; s = s->hh.next) {
        if (!s->running)
            continue;
        buf_clear(&labels);
        metrics_label(&labels, "subscriber", s->id);
        metrics_value(out, "ess_subscriber_lag_events", buf_string(&labels), (double)lag_of(d, s));
    }
    metrics_family(out, "ess_subscriber_state", "gauge", "1 for the state that a subscriber is in.");
    for (struct subscriber *s = subscribers_first(d->subscribers); s; s = s->hh.next) {
        if (!s->running)
            continue;
        buf_clear(&labels);
        metrics_label(&labels, "subscriber", s->id);
        metrics_label(&labels, "state", token_state_name(lane_token_state(&s->live.lane)));
        metrics_value(out, "ess_subscriber_state", buf_string(&labels), 1);
    }
    buf_fini(&labels);
}

void status_metrics(void *arg, struct http_request *request) {
    struct dispatcher *d = arg;
    struct buf out = {0};
    counters(d, &out);
    if (d->feed)
        subscribers(d, &out);
    metrics_family(&out, "ess_kafka_up", "gauge", "1 while a Kafka broker answers.");
    metrics_value(&out, "ess_kafka_up", "", d->kafka_up);
    metrics_family(&out, "ess_feed_cursor", "gauge", "The newest cursor.");
    metrics_value(&out, "ess_feed_cursor", "", d->feed ? (double)feed_end(d->feed) : 0);
    metrics_family(&out, "ess_feed_cache_bytes", "gauge", "Memory of the log's chunks.");
    metrics_value(&out, "ess_feed_cache_bytes", "", d->feed ? (double)feed_bytes(d->feed) : 0);
    metrics_process(&out);
    http_answer(request, 200, "text/plain; version=0.0.4; charset=utf-8", &out);
    buf_fini(&out);
}
