/* POST /ess/publish: appends the events of a request to the log. The request waits for the
 * broker's acknowledgement. Loop thread only. */
#ifndef ESS_INGEST_PUBLISH_H
#define ESS_INGEST_PUBLISH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct feed_event;
struct http_request;
struct ingest;
struct publisher;

struct publisher *publisher_new(struct ingest *ingest);
/* Call after the producer, the offsets and the server were freed: by then every record is reported
 * and every question has ended. */
void publisher_free(struct publisher *publisher);

/* Route handler; `arg` is the struct ingest. */
void publish_handle(void *arg, struct http_request *request);

/* The server's large_body_max: for a single event ingest.max_event and some slack, for an array or
 * NDJSON all of ingest.max_body. */
size_t publish_body_max(void *arg, const struct http_request *request, const char **field);

/* Takes an event that the log's tail has read, in log order, from the start of the dedupe window
 * on. */
void publisher_appended(struct publisher *publisher, const struct feed_event *event);
/* The log is being read again from the start, and may be another one. Forgets all ids and answers
 * waiting requests 503. */
void publisher_start_over(struct publisher *publisher);

/* The number of known ids. */
size_t publisher_ids(struct publisher *publisher);

/* Appends the metrics of publishing. */
void publisher_metrics(struct publisher *publisher, struct buf *out);

#endif
