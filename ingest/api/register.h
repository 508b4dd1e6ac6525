/* POST /register and /ess/subscribers: registers a subscriber with one call. */
#ifndef ESS_INGEST_REGISTER_H
#define ESS_INGEST_REGISTER_H

struct http_request;

/* Route handler; `arg` is the struct ingest. */
void register_handle(void *arg, struct http_request *request);

#endif
