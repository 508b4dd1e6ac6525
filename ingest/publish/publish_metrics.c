/* Metrics of publishing; see publish.h. */
#include "ingest/publish/publish_internal.h"

static void publish_metrics_put_outcomes(const struct publisher *publisher, struct buf *out) {
    static const char *const outcomes[PUBLISH_OUTCOMES] = {"created", "duplicate", "conflict",
                                                           "refused", "unavailable"};
    struct buf labels = {0};
    metrics_family(out, "ess_publish_total", "counter",
                   "Published events by outcome; a refused or conflicting request counts once.");
    for (int i = 0; i < PUBLISH_OUTCOMES; i++) {
        buf_clear(&labels);
        metrics_label(&labels, "outcome", outcomes[i]);
        metrics_value(out, "ess_publish_total", buf_string(&labels),
                      (double)publisher->published[i]);
    }
    buf_fini(&labels);
}

void publisher_metrics(struct publisher *publisher, struct buf *out) {
    publish_metrics_put_outcomes(publisher, out);
    metrics_family(out, "ess_publish_seconds", "histogram",
                   "Seconds from a complete request to Kafka's acknowledgement.");
    metrics_histogram(out, "ess_publish_seconds", "", &publisher->publish_seconds);
    metrics_single(out, "ess_dedupe_ids", "gauge", "Ids in the dedupe index.",
                   (double)publisher_ids(publisher));
    metrics_single(out, "ess_publish_unresolved", "gauge",
                   "Events with an unknown produce outcome, to be found by reading the log.",
                   (double)publisher->inflight.unresolved_count);
    metrics_single(out, "ess_doubled_ids_total", "counter",
                   "Ids that the log's tail has found at a second cursor.",
                   (double)publisher->doubled);
}
