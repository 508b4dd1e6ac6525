/* Answers of one page of events, {"events":[…],"cursor":C,"more":…}: GET /ess/replay and GET
 * /ess/poll. */
#ifndef ESS_INGEST_PAGE_H
#define ESS_INGEST_PAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/model/subscription.h"

struct http_request;
struct ingest;

/* Route handlers; `arg` is the struct ingest. page_replay streams where the request accepts
 * NDJSON. */
void page_replay(void *arg, struct http_request *request);
void page_poll(void *arg, struct http_request *request);

/* A page for a subscriber, with the events above `position`. */
struct page_order {
    struct subscription subscription; /* the page frees it */
    int64_t position;
    int64_t previous; /* the newest event for the subscriber up to there, or the position */
    bool compacted;   /* compaction removed records between the two */
    /* Called before each step of the page. Returns false if the subscriber has changed, after
     * answering the request. */
    bool (*still)(void *arg, struct http_request *request);
    void *arg; /* the page frees it by free() */
};
/* Checks the names of the query's parameters. Call before looking up the subscriber. */
int page_check_order(const struct http_request *request, struct error *err);
/* Answers like page_poll, with `limit` and `wait` of the request. Without `wait`, waits for
 * nothing. */
void page_answer_order(struct ingest *ingest, struct http_request *request,
                       const struct page_order *order);
/* Answers with a page without events. `more` is true: the next page may have some at once. */
void page_answer_empty(struct http_request *request, int64_t cursor);

#endif
