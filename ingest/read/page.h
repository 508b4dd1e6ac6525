/* Answers of one page of events, {"events":[…],"cursor":C,"more":…}: GET /ess/replay and GET
 * /ess/poll. */
#ifndef ESS_INGEST_PAGE_H
#define ESS_INGEST_PAGE_H

struct http_request;

/* Route handlers; `arg` is the struct ingest. page_replay streams where the request accepts
 * NDJSON. */
void page_replay(void *arg, struct http_request *request);
void page_poll(void *arg, struct http_request *request);

#endif
