/* Health and metrics of ess-ingest; see monitoring.h. */
#include "ingest/api/monitoring.h"

#include "common/feed/feed_metrics.h"
#include "common/http/metrics.h"
#include "ingest/ingest.h"
#include "ingest/publish/filter.h"
#include "ingest/publish/publish.h"
#include "ingest/read/http_reader.h"
#include "ingest/registry/registry.h"

void monitoring_healthz(void *arg, struct http_request *request) {
    (void)arg;
    if (http_request_no_query(request))
        http_answer_status(request, "ok");
}

static const char *monitoring_why_not_ready(const struct ingest *ingest) {
    const char *trouble = ingest->feed ? feed_trouble(ingest->feed) : NULL,
               *fault = producer_fault(ingest->producer);
    if (fault || trouble)
        return fault ? fault : trouble;
    if (!ingest->kafka_up)
        return "no Kafka broker answers";
    if (ingest->subscribers_trouble)
        return ingest->subscribers_trouble;
    return *ingest->waiting_for ? ingest->waiting_for
                                : "the log and the subscribers are being read";
}

void monitoring_readyz(void *arg, struct http_request *request) {
    struct ingest *ingest = arg;
    struct error err;
    if (!http_request_no_query(request))
        return;
    if (ingest_ready(ingest)) {
        http_answer_status(request, "ready");
    } else {
        error_set(&err, "%s", monitoring_why_not_ready(ingest));
        http_problem(request, 503, &err, NULL, 1);
    }
}

static void monitoring_subscribers(struct ingest *ingest, struct buf *out) {
    size_t active = 0, removed = 0;
    for (struct registry_entry *e = ingest->registry ? registry_first(ingest->registry) : NULL; e;
         e = e->hh.next) {
        active += e->known && !e->removed;
        removed += e->known && e->removed;
    }
    metrics_family(out, "ess_subscribers", "gauge", "Subscribers in ess.subscribers.");
    metrics_value(out, "ess_subscribers", "state=\"registered\"", (double)active);
    metrics_value(out, "ess_subscribers", "state=\"removed\"", (double)removed);
}

void monitoring_metrics(void *arg, struct http_request *request) {
    struct ingest *ingest = arg;
    struct buf out = {0};
    if (!http_request_no_query(request))
        return;
    publisher_metrics(ingest->publisher, &out);
    filter_metrics(ingest->filter, &out);
    metrics_family(&out, "ess_kafka_up", "gauge", "1 while Kafka answers and the log can be read.");
    metrics_value(&out, "ess_kafka_up", "", ingest_kafka_up(ingest));
    metrics_family(&out, "ess_feed_cursor", "gauge", "The newest cursor.");
    metrics_value(&out, "ess_feed_cursor", "", (double)ingest_log_end(ingest));
    feed_metrics(ingest->feed, &out);
    metrics_family(&out, "ess_http_buffer_bytes", "gauge",
                   "Memory of request bodies and of answers that clients have not taken yet.");
    metrics_value(&out, "ess_http_buffer_bytes", "", (double)http_server_held(ingest->http));
    metrics_family(&out, "ess_readers", "gauge", "Replays, polls and streams under way.");
    metrics_value(&out, "ess_readers", "", (double)http_readers_count(ingest->http_readers));
    metrics_family(&out, "ess_foreign_records_total", "counter",
                   "Records of the events topic that ESS did not write.");
    metrics_value(&out, "ess_foreign_records_total", "", (double)ingest->foreign_records);
    metrics_family(&out, "ess_bad_records_total", "counter",
                   "Records about subscribers that cannot be read.");
    metrics_value(&out, "ess_bad_records_total", "", (double)ingest->bad_records);
    monitoring_subscribers(ingest, &out);
    metrics_process(&out);
    http_answer(request, 200, "text/plain; version=0.0.4; charset=utf-8", &out);
    buf_fini(&out);
}
