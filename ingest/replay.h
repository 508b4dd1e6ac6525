/* GET /ess/replay: the events after a cursor, as they were delivered. */
#ifndef ESS_INGEST_REPLAY_H
#define ESS_INGEST_REPLAY_H

struct http_request;
struct ingest;

/* A route's handler; `arg` is the struct ingest. */
void replay_handle(void *arg, struct http_request *request);

/* The log's tail has moved: replays that waited for it go on. */
void replay_wake(struct ingest *ingest);

/* The log is no longer read: answers all that are under way with 503. */
void replay_end_all(void);

#endif
