/* GET /healthz, /readyz and /metrics of ess-ingest: handlers whose `arg` is the struct ingest. */
#ifndef ESS_INGEST_STATUS_H
#define ESS_INGEST_STATUS_H

struct http_request;

void status_healthz(void *arg, struct http_request *request);
void status_readyz(void *arg, struct http_request *request);
void status_metrics(void *arg, struct http_request *request);

#endif
