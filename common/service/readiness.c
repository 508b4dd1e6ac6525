/* Health of a service; see readiness.h. */
#include "common/service/readiness.h"

#include "common/feed/feed_metrics.h"
#include "common/http/metrics.h"

const char *readiness_reason(const struct service *s, const char *own, const char *reading) {
    const char *trouble = s->feed ? feed_trouble(s->feed) : NULL,
               *fault = producer_fault(s->producer);
    if (fault || trouble)
        return fault ? fault : trouble;
    if (!s->kafka_up)
        return "no Kafka broker answers";
    if (own)
        return own;
    return *s->waiting_for ? s->waiting_for : reading;
}

void readiness_healthz(void *arg, struct http_request *request) {
    (void)arg;
    if (http_request_no_query(request))
        http_answer_status(request, "ok");
}

void readiness_answer(struct http_request *request, const char *reason) {
    struct error err;
    if (!http_request_no_query(request))
        return;
    if (!reason) {
        http_answer_status(request, "ready");
        return;
    }
    error_set(&err, "%s", reason);
    http_problem(request, 503, &err, NULL, 1);
}

void readiness_metrics(const struct service *s, struct http_request *request, int64_t cursor,
                       struct buf *own) {
    metrics_single(own, "ess_kafka_up", "gauge", "1 while Kafka answers and the log can be read.",
                   service_kafka_up(s));
    metrics_single(own, "ess_feed_cursor", "gauge", "The newest cursor.", (double)cursor);
    feed_metrics(s->feed, own);
    metrics_single(own, "ess_bad_records_total", "counter",
                   "Records about subscribers that cannot be read.", (double)s->bad_records);
    metrics_process(own);
    http_answer(request, 200, "text/plain; version=0.0.4; charset=utf-8", own);
    buf_fini(own);
}
