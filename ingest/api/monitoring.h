/* GET /readyz and /metrics of ess-ingest: handlers whose `arg` is the struct ingest. */
#ifndef ESS_INGEST_MONITORING_H
#define ESS_INGEST_MONITORING_H

struct http_request;

void monitoring_readyz(void *arg, struct http_request *request);
void monitoring_metrics(void *arg, struct http_request *request);

#endif
