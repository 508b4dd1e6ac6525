/* POST /ess/publish: from the body to the log. The connection waits until the broker's word is
 * there. All on the loop's thread. */
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
/* After the producer has been freed, and so has reported everything, the server, and the loop,
 * which has waited for tasks. */
void publisher_free(struct publisher *publisher);

/* A route's handler; `arg` is the struct ingest. */
void publish_handle(void *arg, struct http_request *request);

/* The server's large_body_max: a single event has its `data` and what goes with it, an array or
 * NDJSON the whole of ingest.max_body. */
size_t publish_body_max(void *arg, const struct http_request *request, const char **field);

/* The log's tail has read an event; in the order of the log, from the beginning of the dedupe
 * window on. */
void publisher_appended(struct publisher *publisher, const struct feed_event *event);
/* The log is to be read anew, and may be another one: what is known of ids is forgotten, who waits
 * is told to come again. */
void publisher_start_over(struct publisher *publisher);

/* Ids that are known. */
size_t publisher_ids(struct publisher *publisher);

/* Appends the metrics of publishing. */
void publisher_metrics(struct publisher *publisher, struct buf *out);

#endif
