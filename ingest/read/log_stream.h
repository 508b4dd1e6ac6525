/* Answers that go on: GET /ess/replay as NDJSON, to the log's end as of the request, and GET
 * /ess/stream as server-sent events, for ever. */
#ifndef ESS_INGEST_LOG_STREAM_H
#define ESS_INGEST_LOG_STREAM_H

#include <stdbool.h>

struct http_request;

/* The request's Accept names application/x-ndjson. */
bool log_stream_accepted(const struct http_request *request);

/* Routes' handlers; `arg` is the struct ingest. */
void log_stream_replay(void *arg, struct http_request *request);
void log_stream_events(void *arg, struct http_request *request);

#endif
