/* The calls of a pulled subscriber's consumer. Loop thread only. */
#ifndef ESS_INGEST_CONSUMER_H
#define ESS_INGEST_CONSUMER_H

struct http_request;

/* Route handlers; `arg` is the struct ingest. GET /ess/subscribers/{id}/next: the events above the
 * position. POST /ess/subscribers/{id}/ack: moves the position. */
void consumer_next(void *arg, struct http_request *request);
void consumer_acknowledge(void *arg, struct http_request *request);

#endif
