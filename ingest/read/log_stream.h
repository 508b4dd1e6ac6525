/* Streamed answers: GET /ess/replay as NDJSON up to the log's end at the time of the request, and
 * GET /ess/stream as server-sent events without end. */
#ifndef ESS_INGEST_LOG_STREAM_H
#define ESS_INGEST_LOG_STREAM_H

#include <stdbool.h>

struct http_request;

/* Whether the request's Accept names application/x-ndjson. */
bool log_stream_accepted(const struct http_request *request);

/* Route handlers; `arg` is the struct ingest. */
void log_stream_replay(void *arg, struct http_request *request);
void log_stream_events(void *arg, struct http_request *request);

#endif
