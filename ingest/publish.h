/* POST /ess/publish: from the body to the log. The connection waits until the broker's word is there. */
#ifndef ESS_INGEST_PUBLISH_H
#define ESS_INGEST_PUBLISH_H

struct http_request;

/* A route's handler; `arg` is the struct ingest. */
void publish_handle(void *arg, struct http_request *request);

#endif
