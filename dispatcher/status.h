/* GET /healthz, /readyz and /metrics of ess-dispatcher: handlers whose `arg` is the struct
 * dispatcher. */
#ifndef ESS_DISPATCHER_STATUS_H
#define ESS_DISPATCHER_STATUS_H

struct http_request;

void status_readyz(void *arg, struct http_request *request);
void status_metrics(void *arg, struct http_request *request);

#endif
