/* Health and metrics of ess-ingest; see monitoring.h. */
#include "ingest/api/monitoring.h"

#include "common/http/metrics.h"
#include "common/service/readiness.h"
#include "ingest/ingest.h"
#include "ingest/publish/filter.h"
#include "ingest/publish/publish.h"
#include "ingest/read/http_reader.h"
#include "ingest/registry/registry.h"

void monitoring_readyz(void *arg, struct http_request *request) {
    const struct ingest *ingest = arg;
    readiness_answer(request, ingest_ready(ingest)
                                  ? NULL
                                  : readiness_reason(&ingest->service, ingest->subscribers_trouble,
                                                     "the log and the subscribers are being read"));
}

static void monitoring_subscribers(struct ingest *ingest, struct buf *out) {
    size_t active = 0, removed = 0;
    for (struct registry_entry *e = ingest->registry ? registry_first(ingest->registry) : NULL; e;
         e = e->hh.next) {
        active += registry_in_force(e);
        removed += e->known && !registry_in_force(e);
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
    metrics_single(&out, "ess_http_buffer_bytes", "gauge",
                   "Memory of request bodies and of answers not sent yet.",
                   (double)http_server_held(ingest->service.http));
    metrics_single(&out, "ess_readers", "gauge", "Replays, polls and streams under way.",
                   (double)http_readers_count(ingest->http_readers));
    metrics_single(&out, "ess_foreign_records_total", "counter",
                   "Records in the events topic that ESS did not write.",
                   (double)ingest->service.foreign_records);
    monitoring_subscribers(ingest, &out);
    readiness_metrics(&ingest->service, request, ingest_log_end(ingest), &out);
}
