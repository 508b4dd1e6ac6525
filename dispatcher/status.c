/* Health and metrics of ess-dispatcher; see status.h. */
#include "dispatcher/status.h"

#include "common/base/clock.h"
#include "common/service/readiness.h"
#include "dispatcher/certificates.h"
#include "dispatcher/dispatcher.h"
#include "dispatcher/liveness.h"
#include "dispatcher/ownership/partitions.h"
#include "dispatcher/subscriber/lag_monitor.h"
#include "dispatcher/subscriber/subscriber.h"
#include "dispatcher/subscriber/subscribers.h"

/* Kafka answers, the subscribers are read, deliveries run. */
static bool status_ready(const struct dispatcher *d) {
    return service_in_force(&d->service) && partitions_settled(d->partitions) &&
           !partitions_trouble(d->partitions);
}

static const char *status_own_trouble(const struct dispatcher *d) {
    const char *troubles[] = {key_check_trouble(&d->key_check), partitions_trouble(d->partitions),
                              partitions_fence_trouble(d->partitions),
                              partitions_group_trouble(d->partitions)};
    for (size_t i = 0; i < sizeof troubles / sizeof *troubles; i++)
        if (troubles[i])
            return troubles[i];
    return NULL;
}

/* NULL: the dispatcher is ready. */
static const char *status_reason(const struct dispatcher *d, struct error *held) {
    int64_t count = checkpoints_held(&d->checkpoints);
    const char *fault = fault_reason(d);
    if (fault && !producer_fault(d->service.producer))
        return fault;
    if (!status_ready(d))
        return readiness_reason(&d->service, status_own_trouble(d),
                                "the subscribers are being read");
    if (!count)
        return NULL;
    error_set(held,
              "%lld subscribers are held, because their checkpoints cannot be written to %s: %s",
              (long long)count, d->service.tokens_topic, d->checkpoints.reason);
    return held->message;
}

void status_readyz(void *arg, struct http_request *request) {
    struct error held;
    readiness_answer(request, status_reason(arg, &held));
}

static void status_counters(const struct dispatcher *d, struct buf *out) {
    const uint64_t *n = d->deliveries;
    const struct {
        const char *labels;
        uint64_t count;
    } outcomes[] = {
        {"outcome=\"settled\"", n[VERDICT_DELIVERED]},
        {"outcome=\"failed\"", n[VERDICT_FAILED] + n[VERDICT_OVERLOADED] + n[VERDICT_UNANSWERED]},
        {"outcome=\"refused\"", n[VERDICT_REFUSED]},
        {"outcome=\"gone\"", n[VERDICT_GONE]},
        {"outcome=\"unsent\"", n[VERDICT_UNSENT]},
    };
    static const char *const reasons[DEAD_LETTER_REASONS] = {
        "reason=\"attempts\"", "reason=\"refused\"", "reason=\"skipped\""};
    metrics_family(out, "ess_deliveries_total", "counter", "Attempts by outcome.");
    for (size_t i = 0; i < sizeof outcomes / sizeof *outcomes; i++)
        metrics_value(out, "ess_deliveries_total", outcomes[i].labels, (double)outcomes[i].count);
    metrics_family(out, "ess_dead_letters_total", "counter",
                   "Events that became dead letters, by reason.");
    for (int i = 0; i < DEAD_LETTER_REASONS; i++)
        metrics_value(out, "ess_dead_letters_total", reasons[i], (double)d->dead_letters[i]);
    metrics_single(out, "ess_compacted_total", "counter",
                   "Events that compaction took while they waited for another attempt.",
                   (double)d->compacted);
    metrics_family(out, "ess_delivery_seconds", "histogram", "Duration of attempts.");
    metrics_histogram(out, "ess_delivery_seconds", "", &d->delivery_seconds);
    metrics_family(out, "ess_end_to_end_seconds", "histogram",
                   "From an event's append to its 2xx.");
    metrics_histogram(out, "ess_end_to_end_seconds", "", &d->end_to_end_seconds);
    metrics_single(out, "ess_throttle_wait_seconds_total", "counter",
                   "Time that events waited for the throttle.", (double)d->throttle_wait_ms / 1000);
    fault_metrics(d, out);
    metrics_single(out, "ess_in_flight", "gauge", "Attempts under way.",
                   (double)d->slots.in_flight);
}

static int64_t status_lag_of(const struct dispatcher *d, const struct subscriber *s) {
    /* later events are not for the subscriber, except events that cannot be read */
    if (lane_idle(&s->live.lane))
        return feed_trouble(d->service.feed)
                   ? feed_log_end(d->service.feed) - feed_end(d->service.feed)
                   : 0;
    return feed_log_end(d->service.feed) - s->live.lane.position;
}

static double status_lag_seconds_of(const struct subscriber *s, int64_t wall_ms) {
    int64_t oldest_ms = subscriber_oldest_ms(s);
    return oldest_ms && wall_ms > oldest_ms ? (double)(wall_ms - oldest_ms) / 1000 : 0;
}

/* One sample for each running subscriber. */
static void status_each(const struct dispatcher *d, struct buf *out, const char *name,
                        const char *help,
                        double (*value)(const struct dispatcher *, const struct subscriber *)) {
    struct buf labels = {0};
    metrics_family(out, name, "gauge", help);
    for (struct subscriber *s = subscribers_first(d->subscribers); s; s = s->hh.next) {
        if (!s->running)
            continue;
        buf_clear(&labels);
        metrics_label(&labels, "subscriber", s->id);
        metrics_value(out, name, buf_string(&labels), value(d, s));
    }
    buf_fini(&labels);
}

static double status_lag_events(const struct dispatcher *d, const struct subscriber *s) {
    return (double)status_lag_of(d, s);
}
static double status_lag_seconds(const struct dispatcher *d, const struct subscriber *s) {
    (void)d;
    return status_lag_seconds_of(s, clock_wall_ms());
}
static double status_lag_nears_window(const struct dispatcher *d, const struct subscriber *s) {
    return lag_watch_nears_window(&s->lag, d->service.settings.kafka.replay_window_ms,
                                  clock_wall_ms());
}
static double status_fails_long(const struct dispatcher *d, const struct subscriber *s) {
    (void)d;
    return lag_watch_fails_long(&s->lag);
}

static void status_states(const struct dispatcher *d, struct buf *out) {
    struct buf labels = {0};
    metrics_family(out, "ess_subscriber_state", "gauge",
                   "1 for the present state of a subscriber.");
    for (struct subscriber *s = subscribers_first(d->subscribers); s; s = s->hh.next) {
        if (!s->running)
            continue;
        buf_clear(&labels);
        metrics_label(&labels, "subscriber", s->id);
        metrics_label(&labels, "state", token_state_name(lane_state(&s->live.lane)));
        metrics_value(out, "ess_subscriber_state", buf_string(&labels), 1);
    }
    buf_fini(&labels);
}

static void status_subscribers(const struct dispatcher *d, struct buf *out) {
    status_each(d, out, "ess_subscriber_lag_events",
                "Cursors between a subscriber's settled position and the end.", status_lag_events);
    status_each(d, out, "ess_subscriber_lag_seconds", "Age of the oldest waiting event.",
                status_lag_seconds);
    status_each(d, out, "ess_subscriber_lag_nears_window",
                "1 while the oldest waiting event is older than four fifths of the replay window.",
                status_lag_nears_window);
    status_each(d, out, "ess_subscriber_fails_long",
                "1 while all attempts have failed for an hour.", status_fails_long);
    status_states(d, out);
    certificates_metrics(d, out);
    metrics_single(out, "ess_stuck_lanes", "gauge",
                   "Lanes with something to do and nothing to wake them: a fault of ESS.",
                   (double)liveness_stuck(d));
}

void status_metrics(void *arg, struct http_request *request) {
    struct dispatcher *d = arg;
    struct buf out = {0};
    if (!http_request_no_query(request))
        return;
    status_counters(d, &out);
    if (d->service.feed)
        status_subscribers(d, &out);
    metrics_single(&out, "ess_progress_unwritten_seconds", "gauge",
                   "Age of the oldest progress not yet in Kafka.",
                   (double)checkpoints_unwritten_ms(&d->checkpoints) / 1000);
    metrics_single(&out, "ess_subscribers_held", "gauge",
                   "Subscribers held until their progress is in Kafka.",
                   (double)checkpoints_held(&d->checkpoints));
    readiness_metrics(&d->service, request, d->service.feed ? feed_log_end(d->service.feed) : 0,
                      &out);
}
